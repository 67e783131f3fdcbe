"""`tenure why behaviour`, `support`, `engagement`, `segments`: who leaves more than customers who are alike?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

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
    shown,
    tell,
    why,
)

if TYPE_CHECKING:
    from tenure.explain.engagement import Engagement
    from tenure.explain.findings import Finding
    from tenure.explain.segments import Segments
    from tenure.explain.support import Support

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


@why.command()
def segments(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Show pairs of traits in the table too.")] = False,
    customers: CustomersOption = None,
    profile: ProfileOption = None,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    chart: ChartOption = None,
    language: LanguageOption = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Which kinds of customers leave more. Churn by traits and pairs; unusual ones confirmed on held-back customers."""
    period = asked(since, until)
    drawn(chart)
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress

    with progress.shown("comparing"):
        found: Segments = shop.why("segments", **period, profile=profile, known_on=known_on, engine=engine)
    draw(found, chart, language)
    if customers is not None:
        people(found.findings, customers, format)
        return
    rows: list[dict[str, Any]] = [{"section": "finding", **one.as_json()} for one in found.findings]
    rows += [{"section": "segment", **row.as_json()} for row in found.rows]
    missing = [f"{name.removeprefix('trait ')}: {why}." for name, why in found.left_out.items()]
    told = remarks(shop, known_on, profile, [HELD_BACK, *missing, *found.notes])
    tell(keys_of(rows) or ("section",), rows, format, _segments_text(found, pairs), told)


HELD_BACK = (
    "Points a month, of the customers held back, beside all others. Proposed by one half of the customers, judged by "
    "the other against customers who have been here as long and pay yearly, or do not, as they do."
)


def _segments_text(found: Segments, pairs: bool) -> str:
    from tenure.faces.cli.layout import Column, table, wrapped

    people, left = found.overall
    standing = [one for one in found.findings if one.stands]
    said = f"{left:,} of {people:,} customer-months ended in leaving ({100 * left / people:.1f} %). " if people else ""
    if not standing:
        said += "No segment leaves more or less than others of the same tenure, more than chance explains."
        return wrapped(said) + "\n\n" + _singles(found, pairs)
    listed = "; ".join(
        f"{one.en} ({_share(one.more['churn'])} against {_share(one.more['churn_others'])})" for one in standing
    )
    columns = [Column("segment", cut=True), Column("points", right=True), Column("95 % interval", right=True)]
    columns += [Column("left", right=True), Column("customers", right=True), Column("adjusted p", right=True)]
    lines = []
    for one in standing:
        low, high = (shown(end, "points") for end in (one.estimate.low, one.estimate.high))
        p = one.adjusted_p or 0.0
        lines.append(
            [
                one.en, shown(one.estimate.value, "points"), f"{low} to {high}",
                _of(one.more["left"], one.more["customer_months"]), f"{one.customers:,}",
                "< 0.001" if p < 0.001 else f"{p:.3f}",
            ]
        )  # fmt: skip
    unusual = wrapped(f"{said}Unusual, and confirmed: {listed}.") + "\n\n"
    return unusual + table(columns, lines) + "\n" + _singles(found, pairs)


def _share(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _singles(found: Segments, pairs: bool) -> str:
    """Churn of the segments that differ most, as counted."""
    from tenure.explain.segments import SHOWN_FROM
    from tenure.faces.cli.layout import Column, table

    people, left = found.overall
    overall = left / people if people else 0.0
    rows = [row for row in found.rows if row.customer_months >= SHOWN_FROM and (pairs or len(row.traits) == 1)]
    rows.sort(key=lambda row: -abs(row.left / row.customer_months - overall) * row.customer_months**0.5)
    columns = [Column("as counted", cut=True), Column("left", right=True), Column("churn", right=True)]
    columns += [Column("95 % interval", right=True)]
    lines = []
    for row in rows[:20]:
        told = row.as_json()
        name = ", ".join(f"{trait.removeprefix('trait ')} {level}" for trait, level in told["segment"].items())
        between = f"{100 * told['low']:.1f} to {100 * told['high']:.1f} %"
        lines.append([name, f"{row.left:,} of {row.customer_months:,}", _share(told["churn"]), between])
    more = f"... and {len(rows) - 20:,} more: --format csv lists them all\n" if len(rows) > 20 else ""
    return table(columns, lines) + more


@why.command()
def support(
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
    """Whether support drives customers away. Topics, tone, waits, reopened and open tickets, and later leaving."""
    period = asked(since, until)
    drawn(chart)
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress

    with progress.shown("reading tickets"):
        found: Support = shop.why("support", **period, lead=lead, profile=profile, known_on=known_on, engine=engine)
    draw(found, chart, language)
    if customers is not None:
        people(found.findings, customers, format)
        return
    rows: list[dict[str, Any]] = [{"section": "finding", **one.as_json()} for one in found.findings]
    rows += [{"section": "times", **times.as_json()} for times in found.times]
    rows += [{"section": "topic", **topic.as_json()} for topic in found.topics]
    rows += [{"section": "cause", "cause": cause, "tickets": n} for cause, n in found.causes.items()]
    missing = [f"{name}: {why}." for name, why in found.missing.items()]
    told = remarks(shop, known_on, profile, [ASSOCIATION, *missing, *found.notes])
    tell(keys_of(rows) or ("section",), rows, format, _support_text(found), told)


def _support_text(found: Support) -> str:
    from tenure.faces.cli.layout import Column, table

    if not found.times:
        return "There are no tickets in these months.\n"
    columns = [
        Column("opened in"),
        Column("tickets", right=True),
        Column("first reply", right=True),
        Column("90 %", right=True),
    ]
    columns += [Column("solution", right=True), Column("90 %", right=True), Column("slow", right=True)]
    columns += [Column("reopened", right=True), Column("open", right=True)]
    lines = []
    for one in found.times:
        hours = (one.reply_hours, one.reply_hours_p90, one.solution_hours, one.solution_hours_p90)
        told = ["" if each is None else f"{each:,.1f} h" for each in hours]
        counts = [f"{n:,}" for n in (one.slow, one.reopened, one.unresolved)]
        lines.append(["all" if one.month is None else f"{one.month:%Y-%m}", f"{one.tickets:,}", *told, *counts])
    blocks = [headline(found.findings, NOTHING) + "\n", table(columns, lines)]
    if found.topics:
        columns = [Column("topic", cut=True), Column("tickets", right=True), Column("unhappy", right=True)]
        blocks.append(table(columns, [[one.name, f"{one.tickets:,}", f"{one.negative:,}"] for one in found.topics]))
    blocks.append(findings_table(found.findings, "customers who", "points"))
    return "\n".join(blocks)


@why.command()
def engagement(
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
    """When their own rhythm broke. Silence, falling use, fewer features, champion left; message fatigue and neglect.

    How many of those who left later showed each sign, how long before, and how many who stayed did (false alarms).
    --customers any lists whose rhythm is broken as the last month begins.
    """
    period = asked(since, until)
    drawn(chart)
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress

    with progress.shown("comparing"):
        found: Engagement = shop.why(
            "engagement", **period, lead=lead, profile=profile, known_on=known_on, engine=engine
        )
    draw(found, chart, language)
    if customers is not None:
        _tell_broken(found, customers, format)
        return
    rows = [{"section": "sign", **one.as_json()} for one in found.signs]
    rows += [{"section": "finding", **one.as_json()} for one in found.findings]
    missing = [f"{name}: {why}." for name, why in found.missing.items()]
    withheld = [f"{one.name}: {one.reason}." for one in found.findings if one.reason]
    told = remarks(shop, known_on, profile, [ASSOCIATION, *withheld, *missing, *found.notes])
    tell(keys_of(rows) or ("section",), rows, format, _engagement_text(found), told)


def _tell_broken(found: Engagement, name: str, format: Format) -> None:
    """Prints the customers of a sign, with their rhythm and the day on which it broke."""
    from tenure.errors import UnknownName
    from tenure.explain.engagement import ANY
    from tenure.faces.cli.layout import Column, table

    of = {one.name: one.who for one in found.findings}
    if name != ANY and name not in of:
        raise UnknownName.of("finding", name, [ANY, *of])
    listed = found.broken() if name == ANY else of[name]()  # type: ignore[misc]
    rows = listed.to_pylist()
    columns = [Column("customer"), Column("broke"), Column("usual gap", right=True), Column("last active")]
    columns.append(Column("signs", cut=True))
    lines = []
    for row in rows:
        gap = "" if row["typical_gap_days"] is None else f"{row['typical_gap_days']:,.1f} days"
        lines.append([row["customer_id"], _day(row["broke_on"]), gap, _day(row["last_active_on"]), row["signs"]])
    tell(listed.column_names, rows, format, table(columns, lines) if rows else "Nobody, as the last month began.\n")


def _day(day: Any) -> str:
    return "" if day is None else str(day)


def _engagement_text(found: Engagement) -> str:
    from tenure.explain.engagement import title
    from tenure.faces.cli.layout import Column, table

    standing = [one for one in found.findings if one.cause is not None]
    blocks = [headline(standing, NOTHING) + "\n"]
    if found.signs:
        columns = [Column("as a month began", cut=True), Column("left later", right=True), Column("stayed", right=True)]
        columns += [Column("more", right=True), Column("95 % interval", right=True), Column("days before", right=True)]
        lines = []
        for one in found.signs:
            low, high = (shown(end, "points") for end in (one.difference.low, one.difference.high))
            early = "" if one.lead_days is None else "{1:,} ({0:,} to {2:,})".format(*one.lead_days)
            shares = [shown(one.caught.value, "share"), shown(one.false_alarms.value, "share")]
            between = f"{low} to {high}" if one.difference.low is not None else ""
            lines.append([title(one.name), *shares, shown(one.difference.value, "points"), between, early])
        blocks.append(table(columns, lines))
    blocks.append(findings_table(found.findings, "customers who", "points"))
    return "\n".join(blocks)
