"""What became of the files? One line each, the first reasons why rows were held back, and what to do about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tenure.faces.cli.ending import say
from tenure.faces.cli.layout import Column, printable, shortened, table, width, wrapped

if TYPE_CHECKING:
    from tenure.app.rebuilding import Rebuilt
    from tenure.connect.files import LoadReport

KEYS = ("file", "table", "rows", "loaded", "known", "quarantined", "reasons")
# So many reasons are told; the quarantine has them all.
FIRST_REASONS = 5


def as_table(reports: Sequence[LoadReport], made_of: str) -> str:
    """The reports for people; `made_of` is how the workspace was named, to be repeated in the commands to try next."""
    columns = [
        Column("file", cut=True), Column("table"), Column("rows", right=True), Column("loaded", right=True),
        Column("known", right=True), Column("quarantined", right=True),
    ]  # fmt: skip
    lines = [[r.file, r.table, f"{r.rows:,}", f"{r.loaded:,}", f"{r.known:,}", f"{r.quarantined:,}"] for r in reports]
    text = table(columns, lines)
    for report in reports:
        text += _held_back(report, len(reports) > 1)
        for note in report.notes:
            text += "\n" + wrapped(f"Note: {note}.", indent="  ", first="") + "\n"
    return text + _next(reports, made_of)


def held_back_before(reports: Sequence[LoadReport], strict: bool) -> bool:
    """Says, with --strict, which files hold rows that were held back; whether any does.

    The loader refuses such a file, unless it came before without --strict: then it is known, bad rows too.
    """
    found = [report for report in reports if strict and report.quarantined]
    for report in found:
        held = f"{report.quarantined:,} of its rows were held back"
        say(f"{report.file} was loaded before, and {held}; nothing changed")
    return bool(found)


def _held_back(report: LoadReport, several: bool) -> str:
    if not report.quarantined:
        return ""
    where = f" of {report.file}" if several else ""
    count = f"{report.quarantined:,} row{'s' if report.quarantined != 1 else ''}{where}"
    lines = [f"\n{count} went to quarantine, the rest is loaded:\n"]
    for reason in report.reasons[:FIRST_REASONS]:
        example = f": '{printable(shortened(reason.example, 40))}'" if reason.example else ""
        told = (
            f"{reason.rows:,} row{'s' if reason.rows != 1 else ''}: {sentence(reason.column, reason.reason)} "
            f"({'first in ' if reason.rows != 1 else ''}line {reason.first_line}{example})"
        )
        lines.append(wrapped(told, indent="    ", first="  - ") + "\n")
    more = len(report.reasons) - FIRST_REASONS
    if more > 0:
        lines.append(f"  - and {more} more reason{'s' if more > 1 else ''}\n")
    return "".join(lines)


def sentence(column: str, reason: str) -> str:
    """What is wrong, in words: the loader's reasons go on where a column's name ends."""
    return f"{column} {reason}" if column else reason


def _next(reports: Sequence[LoadReport], made_of: str) -> str:
    if any(report.quarantined for report in reports):
        advice = (
            f"The raw rows, with their line numbers: `tenure quarantine{made_of}`. Correct them and load the file "
            "again: rows that are loaded already are known and change nothing."
        )
    elif reports and not any(report.loaded for report in reports):
        advice = "Nothing new: every row was known already." if any(report.known for report in reports) else ""
    else:
        advice = ""
    return "\n" + wrapped(advice, min(width(), 100)) + "\n" if advice else ""


def rebuilt(found: Rebuilt) -> str:
    """What a rebuild wrote, in words."""
    alone = f" {found.left_alone:,} subscriptions that tell of themselves were left alone." if found.left_alone else ""
    if not (found.written or found.corrected or found.retracted):
        return wrapped(f"Nothing to rebuild: what invoice lines tell is in the states already.{alone}") + "\n"
    told = (
        f"Rebuilt {found.written:,} states of {found.subscriptions:,} subscriptions from invoice lines, marked derived."
    )
    if found.corrected or found.retracted:
        told += f" {found.corrected:,} were corrected and {found.retracted:,} taken back, for lines tell otherwise now."
    return wrapped(told + alone) + "\n"
