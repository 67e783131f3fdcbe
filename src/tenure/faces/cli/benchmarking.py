"""`tenure benchmarks`: published churn figures beside one's own, over the same period; and what a bare 5 % may mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
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
from tenure.faces.cli.outputs import Format, as_csv, as_json, put

if TYPE_CHECKING:
    from tenure.measure.benchmarks import Benchmarks, Beside, Own, Reading

KEYS = (
    "id", "metric", "segment", "says", "published_low", "published_high", "published_per", "year_of_data", "source",
    "url", "seen", "secondary", "remarks",
    "month_low", "month_high", "month_converted", "own_month", "own_month_low", "own_month_high", "own_month_from",
    "own_month_to", "own_month_reason",
    "year_low", "year_high", "year_converted", "own_year", "own_year_low", "own_year_high", "own_year_from",
    "own_year_to", "own_year_reason",
    "profile", "own_is", "judged_over", "not_compared",
)  # fmt: skip
READING_KEYS = ("read_as", "month", "year", "after_months", "customers_left", "of")
CONVERTED = "~"


@app.command()
def benchmarks(
    context: typer.Context,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only figures of this metric; repeatable.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="MONTH", help="One's own month, and the year it ends [default: the last]."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Instead: what this churn, such as 5%, is as a month's and as a year's."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Definition profile [default: the workspace's].")
    ] = None,
    currency: CurrencyOption = None,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Compare with published figures. Each with its source and year, always over the same period as one's own.

    A figure that nobody gives a period, or that is known only from somebody who repeats it, is shown and not compared.
    """
    if rate is not None:
        _readings(rate, format)
        return
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress

    with progress.shown("measuring"):
        found = shop.benchmarks(
            *(metric or ()), month=as_of, currency=currency, profile=profile, known_on=known_on, engine=engine
        )
    if format is Format.json:
        put(as_json(found.rows()))
    elif format is Format.csv:
        put(as_csv(KEYS, found.rows()))
    else:
        put(as_table(found, _remarks(shop, known_on, found.definition.name)))


def share(value: float) -> str:
    """A share as per cent, as sources write it: 5.48 %, 0.043 %."""
    digits = 2 if abs(value) >= 0.001 or value == 0 else 3
    return f"{100 * value:.{digits}f} %"


def between(low: float, high: float) -> str:
    """A share, or from where to where it lies."""
    return share(low) if low == high else f"{share(low).removesuffix(' %')} to {share(high)}"


def as_table(found: Benchmarks, remarks: Sequence[str]) -> str:
    """A table per metric with one's own number above it; below, what is shown and not compared, and why."""
    from tenure.faces.cli.layout import strong, width, wrapped
    from tenure.measure.catalogue import CATALOGUE

    room = width()
    blocks = []
    own = {(one.metric, one.period): one for one in found.own}
    for name in dict.fromkeys(one.published.metric for one in found.rows_beside if one.published.metric):
        mine = [one for one in found.rows_beside if one.published.metric == name]
        known = [one for one in mine if not one.published.left_out]
        head = strong(CATALOGUE[name].title) + "\n"
        head += wrapped(f"Yours: {_told(own[name, 'month'])}; {_told(own[name, 'year'])}.", room) + "\n"
        head += wrapped(f"Which is: {_meaning(name)}.", room) + "\n"
        blocks.append(head + (_table(known, room) if known else "Nothing that is published of it can be compared.\n"))
    aside = [one for one in found.rows_beside if one.published.left_out]
    if aside:
        blocks.append(strong("Shown, and not compared") + "\n" + _aside(aside, room))
    below = [
        f"{CONVERTED} converted: 1 - (1 - r)^12 from a month to a year and back, as if the rate stayed the same all "
        "along; retention likewise by what is lost.",
        "yours is: by the 95 % interval of your twelve months, where they are known, else of your month; what the "
        "publisher's own interval is nobody tells. Definitions differ from ours: what was counted: --format json.",
        "secondary: known only from somebody who repeats it.",
        *found.notes,
        *remarks,
    ]
    return "\n".join(blocks) + "\n" + "".join(wrapped(note, room) + "\n" for note in below)


def _told(own: Own) -> str:
    from tenure.kernel.time import label

    when = label(own.first, "month")
    if own.period == "year":
        when += f" to {label(own.after - timedelta(days=1), 'month')}"
    if own.value is None:
        return f"unknown in {when} ({own.reason})"
    shown = f"{share(own.value)} in {when}"
    return shown if own.low is None or own.high is None else f"{shown} ({between(own.low, own.high)})"


def _meaning(name: str) -> str:
    from tenure.measure.benchmarks import COUNTS
    from tenure.measure.catalogue import CATALOGUE

    formula = CATALOGUE[name].formula
    return f"{formula}, by the customers at the start" if name in COUNTS else formula


def _table(rows: Sequence[Beside], room: int) -> str:
    from tenure.faces.cli.layout import Column, table

    def shown(one: Beside, period: str) -> str:
        figure = one.month if period == "month" else one.year
        if figure is None:
            return ""
        return (CONVERTED if one.published.is_converted(period) else "") + between(*figure)

    columns = [
        Column("of whom", cut=True),
        Column("a month", right=True),
        Column("a year", right=True),
        Column("yours is"),
        Column("data of", cut=True),
        Column("source", cut=True),
    ]
    if rows[0].published.period == "none":
        columns[1:3] = [Column("share", right=True)]
    lines = []
    for one in rows:
        said = one.published
        figures = [shown(one, "year")] if said.period == "none" else [shown(one, "month"), shown(one, "year")]
        lines.append([said.segment, *figures, one.verdict or "unknown", said.year or "unknown", said.source])
    return table(columns, lines, room)


def _aside(rows: Sequence[Beside], room: int) -> str:
    from tenure.faces.cli.layout import Column, table

    columns = [
        Column("figure", right=True), Column("per"), Column("of", cut=True), Column("why not", cut=True),
        Column("source", cut=True),
    ]  # fmt: skip
    lines = [
        [
            between(one.published.low, one.published.high),
            {"": "not told", "none": ""}.get(one.published.period, one.published.period),
            one.published.says,
            one.left_out,
            one.published.source,
        ]
        for one in rows
    ]
    return table(columns, lines, room)


def _readings(rate: str, format: Format) -> None:
    from tenure.errors import BadInput
    from tenure.measure.benchmarks import readings

    text = rate.strip().removesuffix("%").strip()
    try:
        share_of = float(text) / (100 if rate.strip().endswith("%") else 1)
    except ValueError:
        raise BadInput(f"--rate {rate}: write a share or a percentage, such as 0.05 or 5%") from None
    found = readings(share_of)
    rows: list[dict[str, Any]] = [
        {
            "read_as": one.read_as,
            "month": one.month,
            "year": one.year,
            "after_months": months,
            "customers_left": left,
            "of": one.of,
        }
        for one in found
        for months, left in one.left
    ]
    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(READING_KEYS, rows))
    else:
        put(readings_table(share_of, found))


def readings_table(rate: float, found: Sequence[Reading]) -> str:
    """One rate, read twice: how many of a thousand customers are left."""
    from tenure.faces.cli.layout import Column, table

    shown = f"{100 * rate:g} %"
    columns = [Column(f"{shown} read as"), Column("a month", right=True), Column("a year", right=True)]
    columns += [Column(f"{months} months" if months > 1 else "1 month", right=True) for months, _ in found[0].left]
    lines = [
        [f"that of a {one.read_as}", share(one.month), share(one.year), *(f"{left:,}" for _, left in one.left)]
        for one in found
    ]
    return table(columns, lines) + f"\nHow many of {found[0].of:,} customers are left after so many months.\n"
