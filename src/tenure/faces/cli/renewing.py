"""`tenure renewals`: what came due, what renewed, what came late, what is undecided and what was lost?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.faces.cli.commands import (
    CurrencyOption,
    EngineOption,
    FormatOption,
    KnownOnOption,
    WorkspaceOption,
    _remarks,
    _shop,
    app,
)
from tenure.faces.cli.outputs import Format, as_csv, as_json, flattened, put

if TYPE_CHECKING:
    from tenure.measure.renewal_answer import Renewals

_SHOWN = 100


@app.command()
def renewals(
    context: typer.Context,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day, month, quarter or year, whole.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last one, included whole [default: that of --from].")
    ] = None,
    period: Annotated[str, typer.Option(metavar="GRAIN", help="day, week, month, quarter or year.")] = "month",
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Split by a column or trait; repeatable.")
    ] = None,
    interval: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="Only terms of a week, month, quarter or year.")
    ] = None,
    annual: Annotated[bool, typer.Option("--annual", help="Only terms of a year or more.")] = False,
    grace: Annotated[
        int | None,
        typer.Option(metavar="DAYS", help="How late a renewal may come [default: the workspace's, else 30]."),
    ] = None,
    currency: CurrencyOption = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Definition profile [default: the workspace's].")
    ] = None,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    grain: Annotated[
        str, typer.Option(metavar="WHO", help="Who is one: customer, or account (a parent and its children).")
    ] = "customer",
    customers: Annotated[bool, typer.Option("--customers", help="Print each renewal instead.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements instead.")] = False,
    chart: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into FILE.svg or FILE.png.")] = None,
    language: Annotated[str, typer.Option(metavar="LANGUAGE", help="Of the chart: en or th.")] = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Say what came due and what became of it. Renewed, late within the grace, undecided or lost; count and ARR.

    due = renewed + late + undecided + lost, in count and in ARR. A day that lies ahead is due and undecided.
    """
    from tenure.errors import BadInput, BadPeriod

    if since is None:
        raise BadPeriod("renewals need a period: add --from, such as --from 2026-01")
    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")
    if sql and customers:
        raise BadInput("--sql and --customers answer two questions; ask one of them")
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress

    with progress.shown("measuring"):
        found = shop.renewals(
            since=since,
            until=until,
            period=period,
            by=tuple(by or ()),
            interval=interval,
            annual=annual,
            grace=grace,
            currency=currency,
            profile=profile,
            known_on=known_on,
            engine=engine,
            grain=grain,
        )
        each = found.each() if customers else []
    if chart is not None:
        from tenure.charts.picture import save

        save(found.chart(language), chart)
    remarks = [
        f"A renewal may come up to {found.book.grace} days late.",
        *_remarks(shop, known_on, found.definition.name, grain),
    ]
    if sql:
        put(found.sql())
    elif customers:
        _print_each(each, tuple(by or ()), remarks, format)
    elif format is Format.json:
        put(as_json(found.rows()))
    elif format is Format.csv:
        from tenure.measure.renewal_answer import KEYS

        put(as_csv(*flattened(KEYS, found.rows(), tuple(by or ()))))
    else:
        put(as_text(found, remarks))


def headline(found: Renewals) -> str:
    """What came due and what became of it, in two sentences."""
    from tenure.faces.cli.costing import stretch
    from tenure.faces.cli.numbers import amount
    from tenure.kernel.time import Period

    first, last = found.periods[0], found.periods[-1]
    when = stretch(Period(first.start, last.end, first.first, last.after, first.grain))
    rows = found.rows()

    def count(name: str) -> int:
        return sum(row[name] for row in rows)

    def money(name: str) -> str:
        totals: dict[str, Decimal] = {}
        for row in rows:
            if row[name] is None:
                return ""
            totals[row["currency"]] = totals.get(row["currency"], Decimal(0)) + row[name]
        parts = [amount(value, currency) for currency, value in totals.items() if value]
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)

    due = count("due")
    if not due:
        return f"Nothing came due in {when}."
    worth = money("arr_due")
    said = f"{due:,} renewal{'' if due == 1 else 's'} came due in {when}" + (f", {worth} of ARR" if worth else "")
    parts = [f"{count('renewed'):,} renewed", f"{count('late'):,} late", f"{count('undecided'):,} undecided"]
    lost, gone = count("lost"), money("arr_lost_at_renewal")
    parts.append(f"{lost:,} lost" + (f" ({gone})" if gone else ""))
    decided = due - count("undecided")
    rate = f" Of the {decided:,} decided, {100 * (decided - lost) / decided:.1f} % renewed." if decided else ""
    return f"{said}: {', '.join(parts)}.{rate}"


def as_text(found: Renewals, remarks: Sequence[str]) -> str:
    """The answer in words, a table of counts and one of ARR; reasons and remarks below."""
    from tenure.faces.cli.layout import Column, strong, table, width, wrapped
    from tenure.faces.cli.numbers import NOTHING, Footnotes, number
    from tenure.kernel.time import label

    room, notes, rows = width(), Footnotes(), found.rows()
    several = len(found.currencies) > 1
    lead = [Column("period"), *(Column(name, cut=True) for name in found.by)]
    lead += [Column("currency")] if several else []

    def head(row: dict[str, Any]) -> list[str]:
        segment = row["segment"] or {}
        names = ["(unknown)" if segment.get(name) is None else str(segment[name]) for name in found.by]
        return [
            label(date.fromisoformat(row["period_start"]), found.grain),
            *names,
            *([row["currency"]] if several else []),
        ]

    def rate(row: dict[str, Any]) -> str:
        # How many are undecided stands beside it.
        told = [part for part in (row["reason"] or "").split("; ") if not part.endswith("not decided yet")]
        mark = notes.mark("; ".join(told))
        return f"{number(row['renewal_rate'], 'rate', None)} {mark}".rstrip()

    def between(row: dict[str, Any]) -> str:
        return "" if row["low"] is None else f"{100 * row['low']:,.1f} to {100 * row['high']:,.1f} %"

    counts = [[*head(row), *(f"{row[name]:,}" for name in _COUNTS), rate(row), between(row)] for row in rows]
    money = [[*head(row), *(number(row[name], "money", row["currency"]) for name in _ARR)] for row in rows]
    blocks = [wrapped(headline(found), room) + "\n"]
    if any(row["due"] for row in rows):
        titles = [*_COUNTS, "rate", "95 % interval"]
        blocks.append(
            strong("Renewals") + "\n" + table([*lead, *(Column(t, right=True) for t in titles)], counts, room)
        )
        titles = list(_ARR.values())
        blocks.append(
            strong("Their ARR") + "\n" + table([*lead, *(Column(t, right=True) for t in titles)], money, room)
        )
    below = notes.text(room) + "".join(wrapped(remark, room) + "\n" for remark in [*found.notes, *remarks])
    return "\n".join(blocks).replace(NOTHING + " %", NOTHING) + ("\n" + below if below else "")


_COUNTS = ("due", "renewed", "late", "undecided", "lost")
_ARR = {
    "arr_due": "due",
    "arr_due_renewed": "renewed",
    "arr_due_late": "late",
    "arr_due_undecided": "undecided",
    "arr_lost_at_renewal": "lost",
    "arr_renewed": "goes on with",
}


def _print_each(rows: list[dict[str, Any]], by: tuple[str, ...], remarks: Sequence[str], format: Format) -> None:
    from tenure.faces.cli.numbers import trimmed
    from tenure.measure.renewal_answer import EACH_KEYS

    for row in rows:
        row["arr_due"] = trimmed(row["arr_due"], row["currency"])
        row["arr_renewed"] = trimmed(row["arr_renewed"], row["renewed_currency"])
    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(*flattened(EACH_KEYS, rows, by)))
    else:
        put(each_table(rows, by, remarks))


def each_table(rows: Sequence[dict[str, Any]], by: Sequence[str], remarks: Sequence[str]) -> str:
    """Each renewal for people: what was lost first, the dearest first."""
    from tenure.faces.cli.layout import Column, table, width, wrapped
    from tenure.faces.cli.numbers import number

    if not rows:
        return "Nothing came due.\n"
    order = {"lost": 0, "undecided": 1, "late": 2, "renewed": 3}
    chosen = sorted(rows, key=lambda row: (row["period_start"], order[row["outcome"]], -row["arr_due"]))
    columns = [Column("due"), *(Column(name, cut=True) for name in by), Column("customer", cut=True)]
    columns += [Column("name", cut=True), Column("plan", cut=True), Column("ARR due", right=True), Column("outcome")]
    columns += [Column("on"), Column("goes on with", right=True)]
    lines = []
    for row in chosen[:_SHOWN]:
        segment = row["segment"] or {}
        again = "" if row["arr_renewed"] is None else number(row["arr_renewed"], "money", row["renewed_currency"])
        lines.append(
            [
                row["due_on"].isoformat(),
                *("(unknown)" if segment.get(name) is None else str(segment[name]) for name in by),
                row["customer_id"],
                row["name"] or "",
                row["plan_id"] or "",
                number(row["arr_due"], "money", row["currency"]),
                row["outcome"],
                "" if row["renewed_on"] is None else row["renewed_on"].isoformat(),
                again,
            ]
        )
    more = f"... and {len(rows) - _SHOWN:,} more: --format csv lists them all\n" if len(rows) > _SHOWN else ""
    told = "".join(wrapped(remark, width()) + "\n" for remark in remarks)
    return table(columns, lines) + more + ("\n" + told if told else "")
