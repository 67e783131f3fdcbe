"""How far is it? A line on stderr while somebody watches a terminal; nothing in a pipe, a log or a test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Told what is being done, or how much is done and of how much: ("loading usage"), (3, 10), ("loading usage", 3, 10).
Progress = Callable[..., None]


def watched() -> bool:
    """Whether somebody looks at stderr."""
    return sys.stderr.isatty()


@contextmanager
def shown(first: str) -> Iterator[Progress]:
    """A callback that moves a bar on the terminal, or does nothing where nobody looks."""
    if not watched():
        yield lambda *told: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(_plain(first), total=None)

        def move(*told: str | float) -> None:
            words = [part for part in told if isinstance(part, str)]
            counts = [part for part in told if not isinstance(part, str)]
            if words:
                bar.update(task, description=_plain(words[0]))
            done, total = (*counts, None, None)[:2]
            bar.update(task, completed=done or 0, total=total)

        yield move


def _plain(text: str) -> str:
    """Text that neither the terminal nor rich takes for a command."""
    from rich.markup import escape

    from tenure.faces.cli.layout import printable

    return escape(printable(text))
