"""`tenure buyers`: customers without a contract. How long they wait, who has stopped, who is best, all in one book."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.faces.cli.commands import (
    CurrencyOption,
    EngineOption,
    FormatOption,
    GrainOption,
    KnownOnOption,
    WorkspaceOption,
    _people,
    _remarks,
    _shop,
    app,
)
from tenure.faces.cli.outputs import Format, as_csv, as_json, flattened, put

if TYPE_CHECKING:
    from tenure.measure.answers import Answer
    from tenure.measure.purchase_gaps import Gaps
    from tenure.measure.rfm import Rfm
    from tenure.measure.whole_book import WholeBook

GAP_KEYS = (
    "segment", "share", "gap_days", "all_days", "low", "high", "customer_days", "gaps", "buyers", "repeat_buyers",
    "window_days", "window_chosen",
)  # fmt: skip
RFM_KEYS = (
    "segment", "rfm_segment", "currency", "customers", "share", "purchases", "revenue", "revenue_share", "since",
    "until",
)  # fmt: skip
BOOK_KEYS = (
    "line", "segment", "period_start", "period_end", "opening", "came", "left", "closing", "churn_rate", "low", "high",
    "currency", "amount", "definition", "reason",
)  # fmt: skip
_SHOWN = 100


class What(StrEnum):
    """What is asked of buyers."""

    gaps = "gaps"
    churn = "churn"
    rfm = "rfm"
    book = "book"


@app.command()
def buyers(
    context: typer.Context,
    what: Annotated[
        What, typer.Argument(metavar="[gaps|churn|rfm|book]", help="Which question; see above.")
    ] = What.gaps,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="First day, month, quarter or year, whole; for churn and book."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last one, included whole [default: that of --from].")
    ] = None,
    period: Annotated[
        str, typer.Option(metavar="GRAIN", help="Of churn: day, week, month, quarter or year.")
    ] = "month",
    window: Annotated[
        str | None,
        typer.Option(
            metavar="DAYS",
            help="Silence after which a buyer has lapsed, such as 90d or 13w [default: the "
            "workspace's, else chosen from the gaps].",
        ),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Split by a customer's column or trait; repeatable.")
    ] = None,
    currency: CurrencyOption = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the book's contracts [default: the workspace's].")
    ] = None,
    grain: GrainOption = "customer",
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    customers: Annotated[bool, typer.Option("--customers", help="Print who it is instead.")] = False,
    chart: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into FILE.svg or FILE.png.")] = None,
    language: Annotated[str, typer.Option(metavar="LANGUAGE", help="Of the chart: en or th.")] = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Ask about customers without a contract. They never cancel: they stop buying, and come back.

    gaps: how long they wait between purchases, and the silence after which they count as gone. churn: who is active,
    new, back and lapsed, per period. rfm: scores of recency, frequency and monetary value. book: customers with and
    without a contract together, each counted once.
    """
    from tenure.errors import BadInput, BadPeriod

    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")
    if what in (What.churn, What.book) and since is None:
        raise BadPeriod(f"`tenure buyers {what}` needs a period: add --from, such as --from 2026-01")
    if what is What.gaps and (since or until):
        raise BadInput("gaps are those of the whole history; use --known-on to look at it as it was known earlier")
    if what is What.gaps and customers:
        raise BadInput("gaps are counted, not listed; `tenure buyers rfm --customers` lists every buyer")
    if what is What.book and chart is not None:
        raise BadInput("the book has no chart; draw churn, gaps or rfm")
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress

    names = tuple(by or ())
    options: dict[str, Any] = {"by": names, "known_on": known_on, "engine": engine, "grain": grain}
    remarks = _remarks(shop, known_on, profile, grain)
    with progress.shown("measuring"):
        if what is What.gaps:
            gaps = shop.purchase_gaps(window=window, **options)
        elif what is What.churn:
            answer = shop.activity(since=since, until=until, period=period, window=window, **options)
        elif what is What.rfm:
            scored = shop.rfm(since=since, until=until, currency=currency, **options)
        else:
            money = {"currency": currency, "profile": profile}
            book = shop.book(since=since, until=until, window=window, **money, **options)
    if chart is not None:
        from tenure.charts.picture import save

        drawn: Any = gaps[0] if what is What.gaps else answer if what is What.churn else scored[0]
        save(drawn.chart(language), chart)
    if what is What.gaps:
        _put(format, [one.as_json() for one in gaps], GAP_KEYS, [r for g in gaps for r in g.rows()], names)
        if format is Format.table:
            put(gaps_table(gaps, remarks))
    elif what is What.churn:
        _churn(answer, period, names, customers, format, shop.settings.timezone, remarks)
    elif what is What.rfm:
        _rfm(scored, names, customers, format, remarks)
    else:
        _book(book, names, customers, format, remarks)


def _put(
    format: Format, objects: Sequence[Any], keys: Sequence[str], rows: Sequence[dict[str, Any]], by: Sequence[str]
) -> None:
    if format is Format.json:
        put(as_json(objects))
    elif format is Format.csv:
        put(as_csv(*flattened(keys, rows, by)))


def _named(segment: dict[str, str | None] | None) -> str:
    return ", ".join(f"{name} = {value or '(unknown)'}" for name, value in (segment or {}).items())


def _below(remarks: Sequence[str]) -> str:
    from tenure.faces.cli.layout import width, wrapped

    room = width()
    return "".join(wrapped(remark, room) + "\n" for remark in remarks)


def gaps_table(found: Sequence[Gaps], remarks: Sequence[str]) -> str:
    """The window in words, then a table of quantiles per segment."""
    from tenure.faces.cli.layout import Column, strong, table, width, wrapped
    from tenure.faces.cli.numbers import NOTHING
    from tenure.measure.purchase_gaps import NO_GAPS, YEAR_DAYS

    room = width()
    blocks = []
    for one in found:
        head = f"{_named(one.segment)}: " if one.segment else ""
        window = one.window
        said = window.told() if window else f"{NO_GAPS[0].upper()}{NO_GAPS[1:]}."
        text = wrapped(head + said, room) + "\n"
        if window and (back := one.returning(YEAR_DAYS, window.days)) is not None:
            told = f"Of those silent for {window.days} days, {100 * back:.0f} % buy again within a further year."
            text += wrapped(told, room) + "\n"
        columns = [
            Column("share of gaps"), Column("gaps that ended", right=True), Column("all silences", right=True),
            Column("95 % interval", right=True), Column("a customer's mean", right=True),
        ]  # fmt: skip

        def days(value: int | None) -> str:
            return NOTHING if value is None else f"{value:,} days"

        lines = []
        for row in one.rows():
            low, high = row["low"], row["high"]
            between = "" if row["all_days"] is None else f"{low or NOTHING} to {high or NOTHING}"
            share = f"{100 * row['share']:.0f} % up to"
            lines.append([share, days(row["gap_days"]), days(row["all_days"]), between, days(row["customer_days"])])
        text += "\n" + table(columns, lines, room)
        text += wrapped(
            f"{one.gaps:,} gaps; {one.buyers:,} buyers, of whom {one.repeat_buyers:,} bought on two days or more. "
            f"Orders are known from {one.since} to {one.until}.", room,
        ) + "\n"  # fmt: skip
        blocks.append(text)
    if any(row["all_days"] is None for one in found for row in one.rows()):
        remarks = [f"{NOTHING}: fewer are seen to buy again, as long as anybody was watched.", *remarks]
    return strong("Days between purchases") + "\n" + "\n".join(blocks) + _below(remarks)


def _churn(
    answer: Answer, grain: str, by: tuple[str, ...], customers: bool, format: Format, zone: str, remarks: list[str]
) -> None:
    from tenure.faces.cli import numbers

    if customers:
        remarks = [*answer.notes, *remarks]
        _people(numbers.people(answer), grain, by, zone, format, remarks)
        return
    rows = answer.rows()
    _put(format, rows, numbers.KEYS, rows, by)
    if format is Format.table:
        put(churn_table(rows, grain, by, [*answer.notes, *remarks]) if rows else "There is nobody to count.")


def churn_table(rows: Sequence[dict[str, Any]], grain: str, by: Sequence[str], remarks: Sequence[str]) -> str:
    """A line per period and segment: active before + new + returned - lapsed = active after, and the rate."""
    from datetime import date

    from tenure.faces.cli import numbers
    from tenure.faces.cli.layout import Column, table, width
    from tenure.kernel.time import label
    from tenure.measure.buyers import NAMES

    notes = numbers.Footnotes()
    places: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for row in rows:
        key = (row["period_start"], *((row["segment"] or {}).get(name) for name in by))
        places.setdefault(key, {})[row["metric"]] = row
    columns = [Column(grain), *(Column(name, cut=True) for name in by)]
    columns += [Column(title, right=True) for title in ("active", "+ new", "+ back", "- lapsed", "= active")]
    columns += [Column("churn", right=True), Column("95 % interval", right=True)]
    lines = []
    for key, told in places.items():
        line = [label(date.fromisoformat(key[0]), grain), *("(unknown)" if v is None else str(v) for v in key[1:])]
        rate = told[NAMES[-1]]
        line += [numbers.number(told[name]["value"], "count", None) for name in NAMES[:-1]]
        reasons = "; ".join(dict.fromkeys(row["reason"] for row in told.values() if row["reason"]))
        # One mark a line: what is doubtful of one number of a roll-forward is of all of them.
        parts = dict.fromkeys(part for part in reasons.split("; ") if part)
        mark = notes.mark("; ".join(parts))
        line += [numbers.number(rate["value"], "rate", None) + (f" {mark}" if mark else ""), numbers.interval(rate)]
        lines.append(line)
    room = width()
    return table(columns, lines, room) + notes.text(room) + _below(remarks)


def _rfm(found: Sequence[Rfm], by: tuple[str, ...], customers: bool, format: Format, remarks: list[str]) -> None:
    from tenure.faces.cli import numbers

    if customers:
        people = [row for one in found for row in one.people().to_pylist()]
        if format is Format.json:
            put(as_json(people))
        elif format is Format.csv:
            put(as_csv(tuple(people[0]) if people else ("customer_id",), people))
        else:
            put(_people_table(people, numbers))
        return
    rows = [row for one in found for row in one.rows()]
    _put(format, rows, RFM_KEYS, rows, by)
    if format is Format.table:
        put(rfm_table(found, by, remarks) if rows else "Nobody bought.")


def _people_table(people: Sequence[dict[str, Any]], numbers: Any) -> str:
    from tenure.faces.cli.layout import Column, table
    from tenure.measure.rfm import SEGMENTS

    columns = [Column("customer", cut=True), Column("name", cut=True), Column("segment"), Column("last", right=True)]
    columns += [Column(name, right=True) for name in ("days bought", "revenue", "R", "F", "M")]
    lines = [
        [
            row["customer_id"],
            row["name"] or "",
            SEGMENTS[row["rfm_segment"]],
            f"{row['recency_days']:,} days ago",
            f"{row['frequency']:,}",
            numbers.number(row["monetary"], "money", row["currency"]),
            *(str(row[score]) for score in ("r", "f", "m")),
        ]
        for row in people[:_SHOWN]
    ]
    more = f"... and {len(people) - _SHOWN:,} more: --format csv lists them all\n" if len(people) > _SHOWN else ""
    return table(columns, lines) + more if people else "Nobody bought.\n"


def rfm_table(found: Sequence[Rfm], by: Sequence[str], remarks: Sequence[str]) -> str:
    """The best segment in a sentence, then a line per named segment; below, who is left out."""
    from tenure.faces.cli import numbers
    from tenure.faces.cli.layout import Column, strong, table, width, wrapped
    from tenure.measure.rfm import SEGMENTS

    room = width()
    blocks = []
    for one in found:
        parts = one.parts()
        whole: dict[str, float] = {}
        for part in parts:
            whole[part.name] = whole.get(part.name, 0) + (part.revenue_share or 0)
        best = max(whole, key=lambda name: whole[name])
        share = sum(part.share for part in parts if part.name == best)
        said = (
            f"{SEGMENTS[best]} are {100 * share:.0f} % of {one.customers:,} buyers and bring {100 * whole[best]:.0f} % "
        )
        said += f"of their revenue of {numbers.number(one.revenue, 'money', one.currency)}, {one.since} to {one.until}."
        columns = [*(Column(name, cut=True) for name in by), Column("segment")]
        columns += [Column(name, right=True) for name in ("buyers", "share", "days bought", "revenue", "of revenue")]
        lines = [
            [
                *("(unknown)" if v is None else str(v) for v in (part.segment or {}).values()),
                SEGMENTS[part.name],
                f"{part.customers:,}",
                f"{100 * part.share:.1f} %",
                f"{part.purchases:,}",
                numbers.number(part.revenue, "money", one.currency),
                numbers.NOTHING if part.revenue_share is None else f"{100 * part.revenue_share:.1f} %",
            ]
            for part in parts
        ]
        text = wrapped(said, room) + "\n\n" + table(columns, lines, room)
        left = []
        count, amount = one.only_returned
        if count:
            who = "1 customer brings" if count == 1 else f"{count:,} customers bring"
            left.append(f"{who} back and never bought ({numbers.number(amount, 'money', one.currency)})")
        if one.unnamed:
            left.append(f"{numbers.number(one.unnamed, 'money', one.currency)} name no customer")
        if left:
            text += wrapped(f"Not scored: {'; '.join(left)}.", room) + "\n"
        blocks.append((strong(one.currency) + "\n" if len(found) > 1 else "") + text)
    rule = "Scores by quintiles of all buyers: 1 + the fifths below; equal values have equal scores. Net of returns."
    return "\n".join(blocks) + _below([rule, *remarks])


def _book(found: WholeBook, by: tuple[str, ...], customers: bool, format: Format, remarks: list[str]) -> None:
    if customers:
        people = found.customers().to_pylist()
        if format is Format.json:
            put(as_json(people))
        elif format is Format.csv:
            put(as_csv(tuple(found.customers().column_names), people))
        else:
            put(_book_people(people))
        return
    _put(format, found.rows(), BOOK_KEYS, found.rows(), by)
    if format is Format.table:
        put(book_table(found, by, [*found.notes, *remarks]))


def _book_people(people: Sequence[dict[str, Any]]) -> str:
    from tenure.faces.cli.layout import Column, table

    def side(row: dict[str, Any], end: str) -> str:
        told = [word for word in ("contract", "buyer") if row[f"{word}_{end}"]]
        return " and ".join(told) or "–"

    columns = [Column("customer", cut=True), Column("name", cut=True), Column("start"), Column("end"), Column("became")]
    lines = [
        [row["customer_id"], row["name"] or "", side(row, "start"), side(row, "end"), row["became"]]
        for row in people[:_SHOWN]
    ]
    more = f"... and {len(people) - _SHOWN:,} more: --format csv lists them all\n" if len(people) > _SHOWN else ""
    return table(columns, lines) + more if people else "There is nobody to count.\n"


def book_table(found: WholeBook, by: Sequence[str], remarks: Sequence[str]) -> str:
    """The whole company in a sentence, a line per side, and what each pays."""
    from tenure.faces.cli import numbers
    from tenure.faces.cli.costing import stretch
    from tenure.faces.cli.layout import Column, table, width, wrapped
    from tenure.measure.whole_book import DEFINITIONS, MONEY, SIDES

    room = width()
    notes = numbers.Footnotes()
    whole = found.side("company")
    count = f"{whole.opening:,} customer{'' if whole.opening == 1 else 's'}"
    said = f"Of {count} at the start of {stretch(found.period)}, with or without a contract, {whole.left:,} were lost"
    said += f" ({100 * whole.churn.value:.2f} %)" if whole.churn.value is not None else ""
    said += f"; {whole.closing:,} are there at the end, each counted once."
    columns = [*(Column(name, cut=True) for name in by), Column("")]
    columns += [Column(name, right=True) for name in ("start", "+ came", "- left", "= end", "churn", "95 % interval")]
    lines = []
    for side in found.sides:
        head = ["" if side.segment is None else str(side.segment[name] or "(unknown)") for name in by]
        mark = notes.mark(side.reason)
        rate = numbers.NOTHING if side.churn.value is None else f"{100 * side.churn.value:.2f} %"
        row = {"low": side.churn.low, "high": side.churn.high, "unit": "rate"}
        rate = "" if side.side == "both" else rate
        lines.append(
            [
                *head,
                SIDES[side.side] + (f" {mark}" if mark else ""),
                *(f"{n:,}" for n in (side.opening, side.came, side.left, side.closing)),
                rate,
                numbers.interval(row),
            ]
        )
    text = wrapped(said, room) + "\n\n" + table(columns, lines, room)
    if found.money:
        columns = [*(Column(name, cut=True) for name in by), Column(""), Column("amount", right=True)]
        paid = [
            [
                *("" if amount.segment is None else str(amount.segment[name] or "(unknown)") for name in by),
                MONEY[amount.line],
                f"{numbers.number(amount.value, 'money', amount.currency)} {notes.mark(amount.reason)}".rstrip(),
            ]
            for amount in found.money
        ]
        text += "\n" + table(columns, paid, room)
    told = [
        f"{SIDES[name]}: churn is the share of {definition}."
        for name, definition in DEFINITIONS.items()
        if any(side.side == name for side in found.sides)
    ]
    return text + notes.text(room) + _below([*told, *remarks])
