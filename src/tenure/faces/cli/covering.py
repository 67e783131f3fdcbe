"""`tenure coverage`: which facts there are, since when, with what gaps; also in words, as the doctor says it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.faces.cli.commands import EngineOption, FormatOption, KnownOnOption, WorkspaceOption, _shop, app
from tenure.faces.cli.outputs import Format, as_csv, as_json, put

if TYPE_CHECKING:
    from tenure.measure.coverage import Coverage, TableCoverage
    from tenure.measure.silences import Silence

CSV_KEYS = (
    "table", "rows", "customers", "since", "until", "last_load", "assumed", "derived", "rhythm", "usual", "late_days",
    "gaps", "gap_days", "last_gap_from", "last_gap_to", "without",
)  # fmt: skip
SILENT_KEYS = ("customer_id", "name", "since")
SPEAKS = {"": "", "day": "daily", "week": "weekly", "month": "monthly"}
TOLD = 3  # gaps of one stream that are told in words


@app.command()
def coverage(
    context: typer.Context,
    customers: Annotated[
        bool, typer.Option("--customers", help="List the customers of now who leave no trace instead.")
    ] = False,
    chart: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into FILE.svg or FILE.png.")] = None,
    language: Annotated[str, typer.Option(metavar="LANGUAGE", help="Of the chart: en or th.")] = "en",
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Show what facts there are. Each table's days, rhythm and gaps, silent customers, months that may still change."""
    from tenure.errors import BadInput
    from tenure.faces.cli import progress

    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")
    shop = _shop(context, workspace)
    with progress.shown("looking at the facts"):
        found = shop.coverage(known_on=known_on, engine=engine)
        people = found.silent_customers().to_pylist() if customers else []
    if chart is not None:
        from tenure.charts.picture import save

        save(found.chart(language), chart)
    if customers:
        put(
            as_json(people)
            if format is Format.json
            else as_csv(SILENT_KEYS, people)
            if format is Format.csv
            else silent_table(people, found)
        )
    elif format is Format.json:
        put(as_json([found.as_json()]))
    elif format is Format.csv:
        put(as_csv(CSV_KEYS, (csv_row(table) for table in found.tables)))
    else:
        put(as_text(found))


def csv_row(table: TableCoverage) -> dict[str, Any]:
    """One table as a row of CSV_KEYS: of its gaps how many, how many days in all, and the last."""
    gaps = table.rhythm.gaps
    last = gaps[-1] if gaps else None
    return {
        **table.as_json(),
        "gaps": len(gaps),
        "gap_days": sum(gap.days for gap in gaps),
        "last_gap_from": last and last.first,
        "last_gap_to": last and last.after,
    }


def as_text(found: Coverage) -> str:
    """The tables for people, and below them what is worth saying."""
    from tenure.faces.cli.layout import Column, table, wrapped

    if not found.tables:
        return "Nothing is loaded yet; begin with `tenure load subscriptions FILE`.\n"
    columns = [
        Column("table"), Column("rows", right=True), Column("customers", right=True), Column("from"), Column("to"),
        Column("last load"), Column("speaks"), Column("gaps", right=True), Column("assumed", right=True),
    ]  # fmt: skip
    lines = [
        [
            one.table, f"{one.rows:,}", "" if one.customers is None else f"{one.customers:,}", _day(one.since),
            _day(one.until), _day(one.last_load), SPEAKS[one.rhythm.unit],
            f"{len(one.rhythm.gaps):,}" if one.rhythm.unit else "", f"{one.assumed:,}" if one.assumed else "",
        ]
        for one in found.tables
    ]  # fmt: skip
    below = "".join(wrapped(f"{subject}: {says}", indent="  ", first="") + "\n" for subject, says in sentences(found))
    return table(columns, lines) + (
        "\n" + below if below else "\nNo gaps, no silent customers, no months that may change.\n"
    )


def _day(value: date | datetime | None) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    return "" if value is None else value.isoformat()


def sentences(found: Coverage) -> Iterator[tuple[str, str]]:
    """What is worth saying of what there is: (what it is about, the sentence), the most telling first."""
    for table in found.tables:
        gaps = sorted(table.rhythm.gaps, key=lambda gap: -gap.expected)
        for gap in sorted(gaps[:TOLD], key=lambda gap: gap.first):
            yield table.table, gap_told(gap)
        if len(gaps) > TOLD:
            yield table.table, f"and {len(gaps) - TOLD} more gaps: `tenure coverage --format json` has them all"
    if found.silent and found.customers:
        where = _listed(found.traced)
        share = f"{found.silent:,} of {found.customers:,} customers"
        verb = "has" if found.silent == 1 else "have"
        yield "customers", f"{share} {verb} no row in {where}; `tenure coverage --customers` lists them"
    for months in found.provisional:
        yield "months", months_told(months.first, months.last, months.reason, found)
    assumed = {table.table: table.assumed for table in found.tables if table.assumed}
    if assumed:
        rows = sum(assumed.values())
        of = sum(table.rows for table in found.tables)
        yield (
            "record time",
            (
                f"of {rows:,} of {of:,} rows ({_listed(tuple(assumed), 'and')}) the time of record was not told but "
                "assumed: --known-on shows a reconstruction of the past"
            ),
        )


def gap_told(gap: Silence) -> str:
    """A gap in a sentence."""
    last = gap.after - timedelta(days=1)
    usual = f"about {gap.expected:,.0f} would be usual" if gap.expected >= 1.5 else "one would be usual"
    if gap.is_last:
        goes_on = f"nothing since {gap.first}, while other tables go on ({usual} until {last})"
        return f"{goes_on}: it was no longer loaded, or stopped"
    days = "1 day" if gap.days == 1 else f"{gap.days} days"
    when = f"on {gap.first}" if gap.days == 1 else f"from {gap.first} to {last}"
    return f"nothing {when} ({days}; {usual}): rows are missing, or nothing happened; load these days again"


def months_told(first: date, last: date, reason: str, found: Coverage) -> str:
    """Months that may still change, in a sentence."""
    from tenure.measure.coverage import ARRIVING, NOT_LOADED, NOT_OVER

    when = f"{first:%Y-%m}" if first == last else f"{first:%Y-%m} to {last:%Y-%m}"
    loaded = "" if found.seen is None else found.seen.isoformat()
    if reason == NOT_OVER:
        return f"{when} is provisional: it was not over on {loaded}, up to which anything is known"
    if reason == NOT_LOADED:
        return f"{when} {'begins' if first == last else 'begin'} after the last load ({loaded}): load newer files"
    if reason == ARRIVING:
        days = max((table.late_days or 0 for table in found.tables), default=0)
        return f"{when} is provisional: rows come up to {days} days late, and it is known as of {loaded}"
    return f"{when}: no event tells of {'it' if first == last else 'them'}; the last is of {found.until}"


def _listed(names: tuple[str, ...], last: str = "or") -> str:
    return " ".join([*filter(None, [", ".join(names[:-1])]), *([last] if len(names) > 1 else []), *names[-1:]])


def silent_table(people: list[dict[str, Any]], found: Coverage) -> str:
    """The customers without a trace, for people."""
    from tenure.faces.cli.layout import Column, table, wrapped

    if not found.traced:
        return "No table that customers leave traces in is loaded: usage, tickets, answers or contacts.\n"
    if not people:
        return f"Every customer has a row in {_listed(found.traced)}.\n"
    shown = people[:100]
    columns = [Column("customer", cut=True), Column("name", cut=True), Column("customer since")]
    lines = [[row["customer_id"], row["name"] or "", _day(row["since"])] for row in shown]
    more = f"... and {len(people) - len(shown):,} more: --format csv lists them all" if len(people) > len(shown) else ""
    return table(columns, lines) + ("\n" + wrapped(more) + "\n" if more else "")
