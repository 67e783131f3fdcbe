"""`tenure why journey`: when in their life do they leave, and did what we changed make them leave?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.faces.cli.commands import EngineOption, FormatOption, KnownOnOption, WorkspaceOption, _shop
from tenure.faces.cli.outputs import Format
from tenure.faces.cli.why import (
    ChartOption,
    CustomersOption,
    LanguageOption,
    ProfileOption,
    SinceOption,
    UntilOption,
    asked,
    draw,
    drawn,
    findings_table,
    keys_of,
    people,
    remarks,
    shown,
    tell,
    why,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure.explain.changes import Month
    from tenure.explain.findings import Finding
    from tenure.explain.journey import Age, Journey

_SPIKES = 5  # that do not stand are shown beside those that do
SPIKES = (
    "Points above the level that the months around foretell. At a renewal that ends a term it says when they can go, "
    "not why they went."
)
CHANGES = (
    "Extra decisions to leave per 100 customers touched, in the 20 weeks from the announcement, beside customers not "
    "touched yet. Checked: that before it the two did not drift apart, and that a made-up date three months earlier "
    "finds nothing."
)


@why.command()
def journey(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    change: Annotated[
        str | None, typer.Option(metavar="CHANGE", help="Show one change month by month instead, also in the chart.")
    ] = None,
    customers: CustomersOption = None,
    profile: ProfileOption = None,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    chart: ChartOption = None,
    language: LanguageOption = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """When in their life they leave, and what followed each change. Spikes of the hazard by age; event studies."""
    period = asked(since, until)
    drawn(chart)
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress

    with progress.shown("following"):
        found: Journey = shop.why("journey", **period, profile=profile, known_on=known_on, engine=engine)
    if customers is not None:
        people(found.findings, customers, format)
        return
    if change is not None:
        path = found.studied.path(change)
        if chart is not None:
            from tenure.charts.picture import save

            save(found.chart(language, change), chart)
        rows = [month.as_json() for month in path]
        tell(_MONTHS, rows, format, _path_text(found, change, path), remarks(shop, known_on, profile, [CHANGES]))
        return
    draw(found, chart, language)
    rows = [{"section": "age", **age.as_json()} for age in found.ages]
    rows += [{"section": "finding", **one.as_json()} for one in found.findings]
    notes = [*([SPIKES] if found.ages else []), *([CHANGES] if found.studied.findings else []), *found.notes]
    tell(keys_of(rows) or ("section",), rows, format, _text(found), remarks(shop, known_on, profile, notes))


_MONTHS = ("change_id", "month", "customer_weeks", "left", "expected", "difference", "low", "high")


def _text(found: Journey) -> str:
    from tenure.faces.cli.layout import wrapped

    spikes = [one for one in found.findings if "month" in one.more]
    changes = [one for one in found.findings if "change_id" in one.more]
    blocks = []
    if found.ages:
        standing = [one for one in spikes if one.stands]
        told = "; ".join(
            f"{one.en} ({_percent(one.more['hazard'])} against {_percent(one.more['level'])})" for one in standing
        )
        said = f"More leave than the months around foretell in {told}." if told else (
            "No month of life stands above the months around it, more than chance explains."
        )  # fmt: skip
        blocks += [wrapped(said) + "\n", _ages(found.ages)]
        others = sorted((one for one in spikes if not one.stands), key=lambda one: one.p or 0.0)[:_SPIKES]
        blocks.append(findings_table([*standing, *others], "month of life", "points"))
    if changes:
        standing = [one for one in changes if one.stands and one.more["passed"]]
        told = "; ".join(f"{one.en} ({shown(one.estimate.value, 'points')} points)" for one in standing)
        said = f"More than chance explains, and checks passed: {told}." if told else (
            "After no change did those touched leave more than others, beyond chance and with checks passed."
        )  # fmt: skip
        blocks += [wrapped(said) + "\n", findings_table(changes, "change", "points"), _checks(changes)]
    return "\n".join(blocks) or "There is nothing to look at: no age and no change is known.\n"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _ages(ages: Sequence[Age]) -> str:
    """The hazard by month of life; after the second year by quarters of a year."""
    from tenure.faces.cli.layout import Column, table

    columns = [Column("month of life"), Column("customers", right=True), Column("left by choice", right=True)]
    columns += [Column("a month", right=True), Column("foretold", right=True), Column("spike")]
    lines = []
    for age in ages[:24]:
        spike = "" if age.spike is None else "yes"
        lines.append(
            [str(age.month), f"{age.there:,}", f"{age.left:,}", _percent(age.hazard.value), _percent(age.level), spike]
        )
    more = f"... and {len(ages) - 24} more months: --format csv lists them all\n" if len(ages) > 24 else ""
    return table(columns, lines) + more


def _checks(changes: Sequence[Finding]) -> str:
    """What each change was set beside, and how its checks came out."""
    from tenure.faces.cli.layout import Column, table

    columns = [Column("change"), Column("announced"), Column("beside", cut=True), Column("before, p", right=True)]
    columns += [Column("placebo, p", right=True), Column("checks")]
    lines = []
    for one in changes:
        passed = {True: "passed", False: "failed", None: "none"}[one.more["passed"]]
        p = [_p(one.more.get(name)) for name in ("pre_trend_p", "placebo_p")]
        lines.append([one.name, one.more["announced_on"], one.more.get("beside") or one.reason or "", *p, passed])
    return table(columns, lines)


def _p(p: float | None) -> str:
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _path_text(found: Journey, change: str, path: Sequence[Month]) -> str:
    from tenure.faces.cli.layout import Column, table, wrapped

    one: Any = next(one for one in found.findings if one.name == change)
    columns = [Column("month", right=True), Column("customers", right=True), Column("left", right=True)]
    columns += [Column("as others", right=True), Column("points", right=True), Column("95 % interval", right=True)]
    lines = []
    for month in path:
        low, high = (shown(end, "points") for end in (month.difference.low, month.difference.high))
        expected = "" if month.expected is None else f"{month.expected:,.1f}"
        between = f"{low} to {high}" if month.difference.low is not None else ""
        lines.append(
            [
                f"{month.month:+d}", f"{month.weeks // 4:,}", f"{month.left:,}", expected,
                shown(month.difference.value, "points"), between,
            ]
        )  # fmt: skip
    beside = one.more.get("beside")
    said = f"{one.en}, announced on {one.more['announced_on']}" + (f"; beside: {beside}." if beside else ".")
    return (
        wrapped(said[0].upper() + said[1:]) + "\n\n" + table(columns, lines) + (one.reason + "\n" if one.reason else "")
    )
