"""How does a table read in a terminal, a log and a mail? Columns of plain text, numbers aligned to the right."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# As wide as a table may be where nobody knows the width of the paper.
PIPE_WIDTH = 100
GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, whether it holds numbers, and whether its text may be cut where the table is too wide."""

    title: str
    right: bool = False
    cut: bool = False


def width() -> int:
    """How many columns there are to write in: the terminal's, or PIPE_WIDTH in a pipe."""
    if sys.stdout.isatty():
        return max(40, shutil.get_terminal_size((PIPE_WIDTH, 24)).columns)
    return PIPE_WIDTH


def printable(text: str, *, lines: bool = False) -> str:
    """The text without anything a terminal would obey: control characters become spaces or visible marks.

    >>> printable("red \\x1b[31m alert")
    'red \\\\x1b[31m alert'
    """
    shown = []
    for character in text:
        if character == "\n" and lines:
            shown.append(character)
        elif character in "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029":
            shown.append(" ")
        elif character < " " or "\x7f" <= character <= "\x9f" or character in _DIRECTIONS:
            shown.append(f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}")
        else:
            shown.append(character)
    return "".join(shown)


# Marks that turn the direction of text around, and so what the reader believes to see.
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def cells(text: str) -> int:
    """How many columns of a terminal the text takes: Thai vowel signs take none, Chinese letters two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, room: int) -> str:
    """The text cut to `room` columns, with an ellipsis where something is missing."""
    if cells(text) <= room:
        return text
    if room <= 1:
        return "…"[:room]
    kept, used = [], 0
    for character in text:
        size = cells(character)
        if used + size > room - 1:
            break
        kept.append(character)
        used += size
    return "".join(kept).rstrip() + "…"


def padded(text: str, room: int, right: bool) -> str:
    """The text filled with spaces to `room` columns."""
    gap = " " * (room - cells(text))
    return gap + text if right else text + gap


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int | None = None) -> str:
    """The rows under their titles, lines ending in a newline; text columns that may be cut make it fit in `room`."""
    room = room or width()
    clean = [[printable(cell) for cell in row] for row in rows]
    sizes = [max([cells(column.title), *(cells(row[i]) for row in clean)]) for i, column in enumerate(columns)]
    over = sum(sizes) + len(GAP) * (len(sizes) - 1) - room
    while over > 0:
        # The widest of those that may be cut gives way, down to a width at which it still says something.
        widest = max(
            (i for i, column in enumerate(columns) if column.cut and sizes[i] > 12),
            key=lambda i: sizes[i],
            default=None,
        )
        if widest is None:
            break
        give = min(over, max(1, (sizes[widest] - 12) // 2))
        sizes[widest] -= give
        over -= give

    def line(texts: Sequence[str]) -> str:
        parts = [
            padded(shortened(text, size), size, column.right)
            for text, size, column in zip(texts, sizes, columns, strict=True)
        ]
        return GAP.join(parts).rstrip() + "\n"

    head = line([column.title for column in columns])
    rule = GAP.join("─" * size for size in sizes) + "\n"
    return strong(head.rstrip("\n")) + "\n" + rule + "".join(line(row) for row in clean)


def table_width(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> int:
    """How wide the table is without cutting anything."""
    sizes = [max([cells(column.title), *(cells(row[i]) for row in rows)]) for i, column in enumerate(columns)]
    return sum(sizes) + len(GAP) * (len(sizes) - 1)


def strong(text: str) -> str:
    """The text in bold on a terminal that shows it, plain everywhere else."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        return f"\x1b[1m{text}\x1b[0m"
    return text


def console() -> Console:
    """Where tables that Rich draws go: as wide as the paper, coloured on a terminal only."""
    from rich.console import Console

    from tenure.faces.cli.ending import Unread

    class Page(Console):
        """A console that tells when nobody reads on, instead of ending the process itself."""

        def on_broken_pipe(self) -> None:
            raise Unread

    return Page(width=min(width(), 120), highlight=False)


def wrapped(text: str, room: int | None = None, indent: str = "", first: str | None = None) -> str:
    """A paragraph of plain words in lines of at most `room` columns."""
    import textwrap

    return textwrap.fill(
        printable(text),
        width=min(room or width(), PIPE_WIDTH),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
