"""`tenure forecast`: customers, MRR, tickets and agents of the months ahead, what-ifs, and how far to trust them."""

from __future__ import annotations

from collections.abc import Sequence
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
    _remarks,
    _shop,
    app,
)
from tenure.faces.cli.outputs import Format, as_csv, as_json, put

if TYPE_CHECKING:
    from tenure.predict.forecast import Forecast
    from tenure.predict.forecast_replay import ForecastReplay


_BESIDE = 2  # currencies in one table


@app.command()
def forecast(
    context: typer.Context,
    months: Annotated[int, typer.Option(metavar="N", help="How many months ahead, up to 36.")] = 12,
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            metavar="WORDS",
            help="'monthly churn -0.5 points', 'monthly churn -10 %', 'price +10 % on plan B', 'new customers +20 %'; "
            "repeatable.",
        ),
    ] = None,
    new: Annotated[
        float | None, typer.Option(metavar="N", help="New customers a month [default: an average of past months].")
    ] = None,
    elasticity: Annotated[
        str | None,
        typer.Option(
            metavar="E",
            help="Of customers to price: -0.5, or 'measured' by past price changes [default: none leaves for one].",
        ),
    ] = None,
    backtest: Annotated[
        bool,
        typer.Option("--backtest", help="Print how earlier forecasts would have done, beside naive ones, instead."),
    ] = False,
    step: Annotated[int, typer.Option(metavar="MONTHS", help="Of --backtest: months between two cut-offs.")] = 3,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DATE", help="As of the end of that day [default: the last one told of]."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Definition profile [default: the workspace's].")
    ] = None,
    currency: CurrencyOption = None,
    grain: GrainOption = "customer",
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    chart: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into FILE.svg or FILE.png.")] = None,
    figure: Annotated[str, typer.Option(metavar="FIGURE", help="Of the chart: mrr, customers or tickets.")] = "mrr",
    language: Annotated[str, typer.Option(metavar="LANGUAGE", help="Of the chart: en or th.")] = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Say what lies ahead: customers, MRR, tickets and agents, month by month, with intervals and what-ifs.

    From retention curves of the facts known then (--known-on is --as-of unless told), and past months' new business.
    """
    from tenure.charts.language import language as language_of
    from tenure.errors import BadInput
    from tenure.faces.cli import progress

    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")
    if backtest and (what_if or new is not None or elasticity is not None or chart is not None):
        raise BadInput("--backtest replays the forecast itself: leave out --what-if, --new, --elasticity and --chart")
    language_of(language)
    shop = _shop(context, workspace)
    asked: dict[str, Any] = {
        "as_of": as_of, "months": months, "currency": currency, "profile": profile, "known_on": known_on,
        "engine": engine, "grain": grain,
    }  # fmt: skip
    if backtest:
        with progress.shown("forecasting again") as moved:
            replayed = shop.forecast_replay(step=step, progress=moved, **asked)
        rows = replayed.rows()
        from tenure.predict.forecast_replay import KEYS as REPLAY_KEYS

        if format is Format.table:
            put(replay_text(replayed, _remarks(shop, known_on, profile, grain)))
        else:
            put(as_json(rows) if format is Format.json else as_csv(REPLAY_KEYS, rows))
        return
    with progress.shown("forecasting"):
        found = shop.forecast(what_if=tuple(what_if or ()), new=new, elasticity=elasticity, **asked)
    if chart is not None:
        from tenure.charts.picture import save

        save(found.chart(language, figure), chart)
    from tenure.predict.forecast import KEYS

    if format is Format.json:
        put(as_json(found.rows()))
    elif format is Format.csv:
        put(as_csv(KEYS, found.rows()))
    else:
        put(forecast_text(found, _remarks(shop, known_on, profile, grain)))


def forecast_text(found: Forecast, remarks: Sequence[str]) -> str:
    """The answer in words, a table per scenario with a line per month, and what it all rests on."""
    from tenure.faces.cli.layout import strong, width, wrapped

    room = width()
    blocks = ["".join(wrapped(said, room) + "\n" for said in headlines(found))]
    rows = found.rows()
    for name in found.scenarios:
        title = "" if len(found.scenarios) == 1 else strong(name[0].upper() + name[1:]) + "\n"
        blocks.append(title + _months(found, [row for row in rows if row["scenario"] == name], room))
    if found.purchases:
        blocks.append(strong("Purchases of customers without a contract") + "\n" + _purchases(found, rows, room))
    notes = [*found.assumed, *(f"Not included: {said[0].lower()}{said[1:].rstrip('.')}." for said in found.missing)]
    notes.append("Low and high: 95 % of what may come. No season is in it, and nothing that never happened before.")
    if len(found.currencies) > 1 or len(found.purchases) > 1:
        notes.append("Each currency by itself; --currency converts, at the last day's rates.")
    notes.append("How far to trust it: --backtest.")
    return "\n".join(blocks) + "\n" + "".join(wrapped(note, room) + "\n" for note in [*notes, *remarks])


def headlines(found: Forecast) -> list[str]:
    """Where the last month ends, and what the what-if adds to it, in a sentence each."""
    from tenure.faces.cli.numbers import short
    from tenure.predict.forecast import BASE

    if BASE not in found.scenarios:
        return [f"{len(found)} months from {found.months[0][0]} on, as of {found.as_of}."]
    one, last = found.scenarios[BASE], found.months[-1][1].fromordinal(found.months[-1][1].toordinal() - 1)
    low, _, _, high = one.ends["end"][:, -1]
    now = one.expected["start"][0]
    parts = [
        f"{now:,.0f} customers as of {found.as_of} become {one.expected['end'][-1]:,.0f} ({low:,.0f} to {high:,.0f})"
    ]
    said = [f"{parts[0]} by {last}."]
    rows = {row["currency"]: row for row in found.rows() if row["scenario"] == BASE and row["mrr"] is not None}
    assert found.book is not None
    from tenure.predict.forecast import major

    for currency, row in rows.items():
        before = short(major(found.book.paid[currency], currency), currency)
        ends = f"{short(row['mrr_low'], currency)} to {short(row['mrr_high'], currency)}"
        said.append(f"MRR of {before} becomes {short(row['mrr'], currency)} ({ends}).")
    apart = found.difference()
    if apart:
        asked = "; ".join(one.text for one in found.asked)
        parts = []
        for each in apart:
            if each.currency is None:
                parts.append(f"{each.value:+,.0f} customers ({each.low:+,.0f} to {each.high:+,.0f})")
            else:
                ends = f"{_signed(each.low, each.currency)} to {_signed(each.high, each.currency)}"
                parts.append(f"{_signed(each.value, each.currency)} MRR ({ends})")
        said.append(f"What if {asked}: by then {', '.join(parts)}.")
    return said


def _signed(value: Any, currency: str) -> str:
    from tenure.faces.cli.numbers import short

    text = short(abs(value), currency)
    return ("-" if value < 0 else "+") + text


def _months(found: Forecast, rows: Sequence[dict[str, Any]], room: int) -> str:
    from tenure.faces.cli.layout import Column, table
    from tenure.faces.cli.numbers import short

    counts = [row for row in rows if row["start"] is not None]
    money: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        if row["mrr"] is not None:
            money.setdefault(row["currency"], []).append(row)
    has_tickets, has_agents = counts[0]["tickets"] is not None, counts[0]["agents"] is not None
    one = len(money) == 1
    columns = [Column("month")] + [
        Column(title, right=True) for title in ("start", "came", "left", "end", "low", "high")
    ]
    if one:
        columns += [Column(title, right=True) for title in ("MRR", "low", "high")]
    if has_tickets:
        columns.append(Column("tickets", right=True))
    if has_agents:
        columns.append(Column("agents", right=True))
    lines = []
    for i, row in enumerate(counts):
        cells = [_name(row)] + [f"{row[name]:,.0f}" for name in ("start", "came", "left", "end", "end_low", "end_high")]
        if one:
            (currency,) = money
            told = money[currency][i]
            cells += [short(told[name], currency) for name in ("mrr", "mrr_low", "mrr_high")]
        if has_tickets:
            cells.append(f"{row['tickets']:,.0f}")
        if has_agents:
            cells.append(f"{row['agents']:,.1f}")
        lines.append(cells)
    text = table(columns, lines, room)
    for some in () if one else _batched(money, _BESIDE):
        titles = [title for currency in some for title in (currency, "low", "high")]
        columns = [Column("MRR")] + [Column(title, right=True) for title in titles]
        keys = ("mrr", "mrr_low", "mrr_high")
        lines = [
            [_name(row)] + [short(money[each][i][key], each) for each in some for key in keys]
            for i, row in enumerate(counts)
        ]
        text += "\n" + table(columns, lines, room)
    return text


def _batched(names: Sequence[Any] | dict[Any, Any], size: int) -> list[list[Any]]:
    """Names in groups of a size, in order."""
    every = list(names)
    return [every[at : at + size] for at in range(0, len(every), size)]


def _name(row: dict[str, Any]) -> str:
    """A calendar month by its name, another by its last day."""
    return f"{row['month']:%Y-%m}" if row["month"].day == 1 else f"to {row['until']}"


def _purchases(found: Forecast, rows: Sequence[dict[str, Any]], room: int) -> str:
    from tenure.faces.cli.layout import Column, table
    from tenure.faces.cli.numbers import short

    columns = [Column("month"), Column("")] + [
        Column(title, right=True) for title in ("purchases", "low", "high", "revenue", "low", "high")
    ]
    lines = [
        [
            _name(row), row["currency"],
            *(f"{row[name]:,.0f}" for name in ("purchases", "purchases_low", "purchases_high")),
            *(short(row[name], row["currency"]) for name in ("revenue", "revenue_low", "revenue_high")),
        ]
        for row in rows
        if row["purchases"] is not None
    ]  # fmt: skip
    return table(columns, lines, room)


def replay_text(found: ForecastReplay, remarks: Sequence[str]) -> str:
    """The verdict, then errors and coverage by months ahead."""
    from tenure.faces.cli.layout import Column, table, width, wrapped
    from tenure.faces.cli.numbers import NOTHING
    from tenure.predict.forecast_replay import TREND

    room = width()

    def percent(share: float | None, digits: int = 1) -> str:
        return NOTHING if share is None else f"{100 * share:.{digits}f} %"

    columns = [Column("error of"), Column("months ahead", right=True), Column("cut-offs", right=True)]
    columns += [Column(title, right=True) for title in ("forecast", "as it is", "trend", "in 80 %", "in 95 %")]
    lines = [
        [
            {"customers": "customers", "mrr": "MRR"}[row["figure"]],
            "all" if row["months_ahead"] is None else str(row["months_ahead"]), str(row["cut_offs"]),
            *(percent(row[name]) for name in ("mape", "mape_level", "mape_trend")),
            *(percent(row[name], 0) for name in ("inside_80", "inside_95")),
        ]
        for row in found.rows()
    ]  # fmt: skip
    cuts = ", ".join(f"{day}" for day in found.cuts)
    says = [
        "Error: mean absolute, in percent of what came. As it is: the last month stays. Trend: the mean change of the "
        f"last {TREND} months goes on. In 80 %, in 95 %: how often what came lay within the interval.",
        f"Forecast again, from what was known as these days began: {cuts}. They overlap: a wave of cancellations that "
        "nobody foresaw is in several.",
        *(f"From {day} on there is no forecast: {why}." for day, why in found.skipped.items()),
        *remarks,
    ]
    head = "".join(wrapped(said, room) + "\n" for said in found.verdict())
    return head + "\n" + table(columns, lines, room) + "\n" + "".join(wrapped(said, room) + "\n" for said in says)
