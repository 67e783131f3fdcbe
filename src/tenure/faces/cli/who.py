"""`tenure identities`: how much of what other systems tell can be laid to a customer, and what cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.faces.cli.commands import EngineOption, FormatOption, KnownOnOption, WorkspaceOption, _shop, app
from tenure.faces.cli.outputs import Format, as_csv, as_json, put

if TYPE_CHECKING:
    from tenure.measure.matching import Matched

SHOWN = 20  # names of each table and system that people are shown; the machine formats have all


@app.command()
def identities(
    context: typer.Context,
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="TABLE", help="Only these [default: all that name customers].")
    ] = None,
    unmatched: Annotated[bool, typer.Option("--unmatched", help="List the names that are nobody's instead.")] = False,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Say who is who. How many rows of each table have a customer, by own name, by identities or by subscription."""
    from tenure.faces.cli import progress
    from tenure.measure.matching import KEYS, UNMATCHED_KEYS

    shop = _shop(context, workspace)
    with progress.shown("matching"):
        found = shop.matches(*(tables or ()), known_on=known_on, engine=engine)
        limit = SHOWN if format is Format.table else None
        names = shop.unmatched(*(tables or ()), known_on=known_on, engine=engine, limit=limit) if unmatched else None
    rows = [match.as_json() for match in found] if names is None else names.to_pylist()
    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(KEYS if names is None else UNMATCHED_KEYS, rows))
    elif names is not None:
        put(unmatched_table(rows, found))
    else:
        put(as_table(found))


def as_table(found: Sequence[Matched]) -> str:
    """The match rates for people, and what to do about what is unmatched."""
    from tenure.faces.cli.layout import Column, table, wrapped

    if not found:
        return "Nothing that names customers is loaded.\n"
    columns = [
        Column("table"), Column("looked up in"), Column("rows", right=True), Column("own name", right=True),
        Column("identity", right=True), Column("subscription", right=True), Column("nobody", right=True),
        Column("matched", right=True),
    ]  # fmt: skip
    lines = [
        [
            match.table, match.system or "any", *(f"{n:,}" for n in (match.rows, match.known, match.by_identity)),
            f"{match.by_subscription:,}", f"{match.unmatched:,}", percent(match.rate),
        ]
        for match in found
    ]  # fmt: skip
    left = sum(match.names_unmatched for match in found)
    says = "Every row has a customer."
    if left:
        count = f"{left:,} name{' is' if left == 1 else 's are'} nobody's"
        says = (
            f"{count}: `tenure identities --unmatched` lists them; `tenure load identities FILE` tells whose they are."
        )
    return table(columns, lines) + "\n" + wrapped(says) + "\n"


def percent(rate: float | None) -> str:
    """A share in percent; 100 only where nothing is missing."""
    if rate is None:
        return ""
    return f"{100 if rate == 1 else min(100 * rate, 99.99):.2f} %"


def unmatched_table(rows: Sequence[dict[str, Any]], found: Sequence[Matched]) -> str:
    """The names that are nobody's, for people."""
    from tenure.faces.cli.layout import Column, table, wrapped

    if not rows:
        return "Every row has a customer.\n"
    columns = [
        Column("table"), Column("looked up in"), Column("name", cut=True), Column("rows", right=True), Column("from"),
        Column("to"), Column("why", cut=True),
    ]  # fmt: skip
    lines = [
        [
            row["table"], row["system"] or "any", "(none)" if row["name"] is None else row["name"],
            f"{row['rows']:,}", row["since"].isoformat(), row["until"].isoformat(), row["reason"],
        ]
        for row in rows
    ]  # fmt: skip
    text = table(columns, lines)
    more = sum(match.names_unmatched for match in found) - len(rows)
    return text + ("\n" + wrapped(f"... and {more:,} more: --format csv lists them all") + "\n" if more > 0 else "")
