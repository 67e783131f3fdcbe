"""`tenure why money`: what did it cost that they left, by cause, by segment and by customer, and what is threatened?"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from tenure.faces.cli.commands import CurrencyOption, EngineOption, FormatOption, KnownOnOption, WorkspaceOption, _shop
from tenure.faces.cli.outputs import Format
from tenure.faces.cli.why import (
    ChartOption,
    LanguageOption,
    ProfileOption,
    SinceOption,
    UntilOption,
    asked,
    draw,
    drawn,
    keys_of,
    remarks,
    tell,
    why,
)

if TYPE_CHECKING:
    from tenure.explain.money import Money

ByOption = Annotated[
    list[str] | None,
    typer.Option("--by", metavar="NAME", help="Segments: what belongs to the item, or a trait [default: plan_id]."),
]
_SHOWN = 15
SHARED_OUT = (
    "Each loss is shared out by the chances of its causes, so causes add up to what `tenure cost` says was lost. A "
    "cause's part is as sure as its share in `tenure why --from`, which has the intervals."
)
_KINDS = {
    "scheduled": "end is set",
    "past_due": "payment is open",
    "renewal": "renewal within 90 days",
    "scored": "expected by the scores",
}


@why.command()
def money(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    by: ByOption = None,
    customers: Annotated[
        bool, typer.Option("--customers", help="List every loss, the dearest first, instead.")
    ] = False,
    currency: CurrencyOption = None,
    profile: ProfileOption = None,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    chart: ChartOption = None,
    language: LanguageOption = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """What their leaving cost, and what is threatened. Revenue and lifetime value by cause, segment and customer."""
    period = asked(since, until)
    drawn(chart)
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress

    split = {"by": tuple(by)} if by else {}
    with progress.shown("weighing"):
        found: Money = shop.why(
            "money", **period, **split, currency=currency, profile=profile, known_on=known_on, engine=engine
        )
    draw(found, chart, language)
    zone = ZoneInfo(shop.settings.timezone)
    rows = found.rows()
    if customers:
        rows = [row for row in rows if row["section"] == "customer"]
        tell(keys_of(rows) or ("section",), rows, format, _hurt(rows, zone, len(rows)))
        return
    told = remarks(shop, known_on, profile, [SHARED_OUT, *found.notes])
    tell(keys_of(rows) or ("section",), rows, format, _text(found, rows, zone), told)


def _text(found: Money, rows: list[dict[str, Any]], zone: ZoneInfo) -> str:
    from tenure.faces.cli.layout import Column, table
    from tenure.text import Taxonomy

    if not found.causes:
        return "Nobody left.\n"
    causes = Taxonomy.load()
    blocks = []
    for section, title in (("cause", "probable cause"), ("segment", "segment")):
        mine = [row for row in rows if row["section"] == section]
        if not mine:
            continue
        columns = [Column(title, cut=True), Column("customers", right=True), Column("MRR lost", right=True)]
        columns += [Column("value lost", right=True)]
        if section == "cause":
            columns.append(Column("MRR of who say so", right=True))
        lines = []
        for row in mine:
            name = causes[row["name"]].name("en") if section == "cause" else row["name"]
            heads = f"{row['customers']:,.1f}" if section == "cause" else f"{row['customers']:,.0f}"
            line = [
                name,
                heads,
                _money(row["mrr_lost"], row["currency"]),
                _money(row["forgone_value"], row["currency"]),
            ]
            lines.append([*line, _money(row.get("mrr_said"), row["currency"])] if section == "cause" else line)
        blocks.append(table(columns, lines))
    blocks.append(
        "Whose leaving hurt most:\n" + _hurt([row for row in rows if row["section"] == "customer"], zone, _SHOWN)
    )
    if found.threats:
        columns = [Column("threatened"), Column("cause they name", cut=True), Column("customers", right=True)]
        columns += [
            Column("MRR", right=True),
            Column("expected to leave", right=True),
            Column("value at stake", right=True),
        ]
        lines = []
        for one in found.threats:
            told = one.as_json()
            cause = "" if one.cause is None else causes[one.cause].name("en")
            expected = "" if one.expected is None else f"{one.expected:,.1f} in {one.horizon or ''}".strip()
            value = "" if one.value is None else _money(Decimal(str(round(one.value, 2))), one.currency)
            lines.append(
                [
                    _KINDS[one.kind],
                    cause,
                    f"{one.customers:,}",
                    _money(told["mrr_threatened"], one.currency),
                    expected,
                    value,
                ]
            )
        blocks.append(table(columns, lines))
    return "\n".join(blocks)


def _money(amount: Any, currency: str | None) -> str:
    from tenure.faces.cli.numbers import number

    return "" if amount is None else number(amount, "money", currency)


def _hurt(rows: list[dict[str, Any]], zone: ZoneInfo, most: int) -> str:
    from tenure.faces.cli.layout import Column, table

    columns = [Column("customer"), Column("left"), Column("MRR", right=True), Column("value lost", right=True)]
    columns.append(Column("likeliest cause, and the facts", cut=True))
    lines = []
    for row in rows[:most]:
        facts = f" ({row['facts']})" if row["facts"] else ""
        cause = f"{row['cause']} {100 * row['chance']:.0f} %{facts}"
        amounts = [_money(row["mrr_lost"], row["currency"]), _money(row["forgone_value"], row["currency"])]
        lines.append([row["name"], row["left_at"].astimezone(zone).strftime("%Y-%m-%d"), *amounts, cause])
    return table(columns, lines)
