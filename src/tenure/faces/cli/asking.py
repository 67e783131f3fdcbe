"""`tenure why behaviour`, `support`, `engagement`, `segments`: who leaves more than customers who are alike?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from tenure.faces.cli.commands import EngineOption, FormatOption, KnownOnOption, WorkspaceOption, _shop
from tenure.faces.cli.outputs import Format
from tenure.faces.cli.why import (
    ChartOption,
    CustomersOption,
    LanguageOption,
    LeadOption,
    ProfileOption,
    SinceOption,
    UntilOption,
    asked,
    draw,
    drawn,
    findings_table,
    headline,
    keys_of,
    people,
    remarks,
    tell,
    why,
)

if TYPE_CHECKING:
    from tenure.explain.findings import Finding

ASSOCIATION = (
    "Points a month, beside customers of the same month, plan and tenure. It goes with leaving; whether it causes it, "
    "an experiment would tell."
)
NOTHING = "Nothing was found: none of these goes with leaving more than chance explains."


@why.command()
def behaviour(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    lead: LeadOption = 7,
    customers: CustomersOption = None,
    profile: ProfileOption = None,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    chart: ChartOption = None,
    language: LanguageOption = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Which behaviour goes with staying. Tenths of usage, breadth, seats, tickets, spend and discount, and who left."""
    period = asked(since, until)
    drawn(chart)
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress

    with progress.shown("comparing"):
        found = shop.why("behaviour", **period, lead=lead, profile=profile, known_on=known_on, engine=engine)
    draw(found, chart, language)
    if customers is not None:
        people(found.findings, customers, format)
        return
    text = (
        headline(found.findings, NOTHING) + "\n\n" + findings_table(found.findings, "from least to most of", "points")
    )
    text += "\n" + _thirds(found.findings)
    missing = [f"{name}: {why}." for name, why in found.missing.items()]
    _tell(found.findings, format, text, remarks(shop, known_on, profile, [ASSOCIATION, *missing, *found.notes]))


def _thirds(found: Sequence[Finding]) -> str:
    """Who left of those with the least and with the most of each, as counted."""
    from tenure.faces.cli.layout import Column, table

    columns = [
        Column("who left a month", cut=True),
        Column("lowest third", right=True),
        Column("highest third", right=True),
    ]
    lines = []
    for one in found:
        sides = ("_others", "")
        lines.append([one.en, *(_of(one.more[f"left{side}"], one.more[f"customer_months{side}"]) for side in sides)])
    return table(columns, lines)


def _of(left: int, people: int) -> str:
    return f"{left:,} of {people:,} ({100 * left / people:.1f} %)" if people else ""


def _tell(found: Sequence[Finding], format: Format, text: str, told: Sequence[str]) -> None:
    rows: list[dict[str, Any]] = [one.as_json() for one in found]
    from tenure.explain.findings import KEYS

    tell(keys_of(rows) or KEYS, rows, format, text, told)
