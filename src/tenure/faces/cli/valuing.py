"""`tenure value`: what are customers worth, who is worth most, and did winning them pay?"""

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
from tenure.faces.cli.outputs import Format, as_csv, as_json, flattened, put

if TYPE_CHECKING:
    from tenure.predict.value import Value

SHOWN = 10  # customers that people are shown; --top and the machine formats have more


@app.command()
def value(
    context: typer.Context,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Lines per plan, currency, channel, column or undated trait; repeatable."),
    ] = None,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only the N customers who are worth most.")
    ] = None,
    months: Annotated[int, typer.Option(metavar="N", help="How far ahead revenue counts.")] = 36,
    discount: Annotated[
        float | None, typer.Option(metavar="SHARE", help="A year, such as 0.10 [default: the workspace's].")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Gross margin, such as 0.80 [default: the workspace's].")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DATE", help="As of the end of that day [default: the last one told of]."),
    ] = None,
    models: Annotated[
        bool, typer.Option("--models", help="Print the models that were tried, and how they did, instead.")
    ] = False,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Definition profile [default: the workspace's].")
    ] = None,
    currency: CurrencyOption = None,
    grain: GrainOption = "customer",
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    chart: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into FILE.svg or FILE.png.")] = None,
    language: Annotated[str, typer.Option(metavar="LANGUAGE", help="Of the chart: en or th.")] = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Say what customers are worth: margin on what they will still pay, with its interval, beside what winning costs.

    Contracts by the chance to stay, purchases by the chance to buy again. JSON and CSV list customers, with --by the
    lines. As known then: --known-on is --as-of unless told.
    """
    from tenure.errors import BadInput

    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress
    from tenure.predict.value import CUSTOMER_KEYS, KEYS

    names = tuple(by or ())
    with progress.shown("valuing"):
        found = shop.value(
            as_of=as_of, months=months, by=names, currency=currency, discount=discount, margin=margin,
            profile=profile, known_on=known_on, engine=engine, grain=grain,
        )  # fmt: skip
        lists = not models and ((format is not Format.table and not names) or format is Format.table)
        limit = top if format is not Format.table else top or SHOWN
        people = found.people(limit) if lists else []
    if chart is not None:
        from tenure.charts.picture import save

        save(found.chart(language), chart)
    rows: list[dict[str, Any]] = found.models() if models else found.rows() if names else people
    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        keys = ("of", "model", "score", "chosen", "fitted") if models else KEYS if names else CUSTOMER_KEYS
        put(as_csv(*flattened(keys, rows, found.by)) if names and not models else as_csv(keys, rows))
    elif models:
        put(models_table(rows))
    else:
        put(as_table(found, people, _remarks(shop, known_on, profile, grain)))


def as_table(found: Value, people: Sequence[dict[str, Any]], remarks: Sequence[str]) -> str:
    """The answer in words, a line per segment and currency, then the customers worth most."""
    from tenure.faces.cli.layout import Column, strong, table, width, wrapped
    from tenure.faces.cli.numbers import NOTHING, Footnotes, number, short

    room, notes = width(), Footnotes()
    rows = found.rows()
    if not rows:
        return "".join(wrapped(text, room) + "\n" for text in ("There is nobody to value.", *found.notes))
    several = len({row["currency"] for row in rows}) > 1
    columns = [*(Column(name, cut=True) for name in found.by)]
    columns += [Column(title, right=True) for title in ("customers", "MRR", "value", "95 % interval", "each")]
    columns += [Column(title, right=True) for title in ("newcomer", "CAC", "LTV:CAC")]
    lines = []
    for row in rows:
        money = row["currency"]

        def told(name: str, row: dict[str, Any] = row, money: str = money) -> str:
            return short(row[name], money)

        ratio = row["ltv_to_cac"]
        mark = notes.mark(row["reason"] or "")
        lines.append(
            [
                *("(unknown)" if part is None else str(part) for part in (row["segment"] or {}).values()),
                f"{row['customers']:,}", told("mrr"), told("value"), f"{told('low')} to {told('high')}",
                told("value_per_customer"), told("value_of_newcomer"), told("cac") + (f" {mark}" if mark else ""),
                NOTHING if ratio is None else f"{ratio:.1f}",
            ]
        )  # fmt: skip
    text = "".join(wrapped(said, room) + "\n" for said in headlines(found)) + "\n" + table(columns, lines, room)
    text += notes.text(room)
    if people:
        heads = [Column("customer", cut=True), Column("value", right=True), Column("95 % of lives", right=True)]
        heads += [Column("alive", right=True), Column("purchases", right=True), Column("model", cut=True)]
        shown = [
            [
                row["customer_id"], number(row["value"], "money", row["currency"]),
                f"{short(row['low'], row['currency'])} to {short(row['high'], row['currency'])}",
                f"{100 * row['alive']:.0f} %",
                NOTHING if row["expected_purchases"] is None else f"{row['expected_purchases']:.1f}", row["model"],
            ]
            for row in people
        ]  # fmt: skip
        text += "\n" + strong("Worth most") + "\n" + table(heads, shown, room)
    share = f"{100 * float(found.assumed.margin):g} %"
    yearly = f"{100 * float(found.assumed.discount_rate):g} %"
    says = (
        f"Margin {share}, {yearly} a year discounted, {found.ahead} months ahead; nothing beyond. Intervals of sums: "
        "models drawn by their errors, and each customer's own chance; of one customer: his own chance. Newcomer: the "
        "value of somebody who comes today, as those of the last 12 months came."
    )
    if several:
        remarks = [*remarks, "Each currency by itself; --currency converts."]
    told_ = [says, *found.notes, *remarks]
    return text + "\n" + "".join(wrapped(note, room) + "\n" for note in told_)


def headlines(found: Value) -> list[str]:
    """What everybody is worth, and whether winning them pays, in a sentence each."""
    from tenure.faces.cli.numbers import number

    said = []
    for currency in dict.fromkeys(line.currency for line in found.lines):
        mine = [line for line in found.lines if line.currency == currency]
        total = number(sum(line.value for line in mine), "money", currency)
        heads = sum(line.customers for line in mine)
        when = f"over the next {found.ahead} months, as of {found.as_of}"
        said.append(f"{heads:,} customers are worth {total} {when}.")
    whole = [line for line in found.lines if line.ltv_to_cac is not None]
    if len(whole) == 1 and not found.by:
        line = whole[0]
        each = number(line.value_of_newcomer, "money", line.currency)
        cost = number(line.cac, "money", line.currency)
        said.append(f"A newcomer is worth {each} and costs {cost} to win: {line.ltv_to_cac:.1f} to 1.")
    return said


def models_table(rows: Sequence[dict[str, Any]]) -> str:
    """Every model that was tried and its score on the time held back."""
    from tenure.faces.cli.layout import Column, table, width, wrapped
    from tenure.faces.cli.numbers import NOTHING

    columns = [Column("of"), Column("model", cut=True), Column("score held back", right=True), Column("chosen")]
    columns.append(Column("fitted", cut=True))
    lines = [
        [
            row["of"], row["model"], NOTHING if row["score"] is None else f"{row['score']:.5f}",
            "yes" if row["chosen"] else "", row["fitted"] or "",
        ]
        for row in rows
    ]  # fmt: skip
    says = (
        "Score: mean log-likelihood of the time held back, higher is better; of contracts per customer and month, of "
        "purchases per customer. Without one, history is too short to hold anything back."
    )
    return (table(columns, lines) if rows else "No model was fitted.\n") + "\n" + wrapped(says, width()) + "\n"
