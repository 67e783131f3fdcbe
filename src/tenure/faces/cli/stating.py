"""`tenure why surveys`, `money`, `competition`, `follow-up`: what do leavers say, and what was lost with them?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from tenure.faces.cli.commands import CurrencyOption, EngineOption, FormatOption, KnownOnOption, WorkspaceOption, _shop
from tenure.faces.cli.outputs import Format
from tenure.faces.cli.why import (
    ChartOption,
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
    remarks,
    tell,
    why,
)

if TYPE_CHECKING:
    from tenure.explain.competition import Competition
    from tenure.explain.follow_up import FollowUp
    from tenure.explain.leavers import Leaver
    from tenure.explain.stated import Stated
    from tenure.explain.surveys import Score, Surveys

CauseOption = Annotated[
    str | None, typer.Option("--customers", metavar="CAUSE", help="List who named this cause, in their words, instead.")
]
_SHOWN = 100
SAID = (
    "What leavers by choice say, each answer standing for those of the same plan and tenure who gave none. It is what "
    "they say, not what made them leave."
)


@why.command()
def surveys(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    lead: LeadOption = 7,
    customers: CauseOption = None,
    currency: CurrencyOption = None,
    profile: ProfileOption = None,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    chart: ChartOption = None,
    language: LanguageOption = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """What leavers say, weighted for who answers. Reasons, NPS, CSAT and CES, their trends, and later leaving."""
    period = asked(since, until)
    drawn(chart)
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress

    with progress.shown("reading"):
        found: Surveys = shop.why(
            "surveys", **period, lead=lead, currency=currency, profile=profile, known_on=known_on, engine=engine
        )
    draw(found, chart, language)
    if customers is not None:
        pairs = list(zip(found.left.people, found.stated, strict=True))
        rows = [_person(one, said) for one, said in pairs if (said.cause or "none") == customers]
        tell(_PEOPLE, rows, format, _people_table(rows, ZoneInfo(shop.settings.timezone)))
        return
    from tenure.explain.surveys import lost_by_cause

    rows = [{"section": "reason", **row} for row in lost_by_cause(found)]
    rows += [{"section": "score", **score.as_json()} for score in found.scores]
    rows += [{"section": "finding", **finding.as_json()} for finding in found.findings]
    tell(keys_of(rows), rows, format, _surveys_text(found), remarks(shop, known_on, profile, [SAID, *found.notes]))


def _surveys_text(found: Surveys) -> str:
    from tenure.faces.cli.layout import wrapped

    blocks = [wrapped(_said(found)) + "\n"]
    if found.reasons:
        blocks.append(_reasons_table(found))
    moved = [(cause, rises) for cause, (p, rises) in found.trends.items() if p <= 0.05]
    if moved:
        told = ", ".join(f"{cause} is named {'more' if rises else 'less'} often" for cause, rises in moved)
        blocks.append(wrapped(f"From month to month, more than noise: {told}.") + "\n")
    if found.scores:
        blocks.append(_scores_table([score for score in found.scores if score.month is None]))
        blocks.append(headline(found.findings, "No score goes with later leaving more than chance explains.") + "\n")
        blocks.append(findings_table(found.findings, "from unhappy to happy", "points"))
    return "\n".join(blocks)


def _said(found: Surveys) -> str:
    """Who left, who said why, and what was said most, in two sentences."""
    if not found.left.people:
        return "Nobody left."
    forced = f" ({found.involuntary:,} lost to failed payments)" if found.involuntary else ""
    told = f"{len(found.left.people):,} left{forced}; of {found.by_choice:,} by choice {found.answered:,} said why."
    named = [one for one in found.reasons if one.cause != "unknown"]
    if not named:
        return told + " No cause was named."
    first = named[0]
    between = f"{100 * (first.share.low or 0):.0f} to {100 * (first.share.high or 0):.0f} %"
    return f"{told} The cause that most name: {first.cause}, {100 * (first.share.value or 0):.0f} % ({between})."


def _reasons_table(found: Surveys) -> str:
    from tenure.explain.leavers import money
    from tenure.faces.cli.layout import Column, table
    from tenure.faces.cli.numbers import number

    columns = [Column("cause"), Column("said", right=True), Column("of customers", right=True)]
    columns += [
        Column("95 % interval", right=True),
        Column("of lost MRR", right=True),
        Column("95 % interval", right=True),
    ]
    columns += [Column("MRR of those", right=True)]
    lines = []
    for one in found.reasons:
        mrr = money(one.mrr_said, found.left.currency)
        lines.append(
            [
                one.cause, f"{one.said:,}", _percent(one.share.value), _between(one.share.low, one.share.high),
                _percent(one.mrr_share.value), _between(one.mrr_share.low, one.mrr_share.high),
                "" if mrr is None else number(mrr, "money", found.left.currency),
            ]
        )  # fmt: skip
    return table(columns, lines)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f} %"


def _scores_table(scores: Sequence[Score]) -> str:
    from tenure.faces.cli.layout import Column, table

    columns = [Column("survey"), Column("answers", right=True), Column("value", right=True)]
    columns += [Column("95 % interval", right=True), Column("from month to month")]
    lines = []
    for one in scores:
        low, high, value = one.value.low or 0.0, one.value.high or 0.0, one.value.value or 0.0
        is_nps = one.kind == "nps"
        shown = f"{value:+.0f}" if is_nps else f"{100 * value:.1f} % happy"
        between = f"{low:+.0f} to {high:+.0f}" if is_nps else f"{100 * low:.1f} to {100 * high:.1f} %"
        moves = "" if one.trend_p is None else "moves" if one.trend_p <= 0.05 else "no more than noise"
        lines.append([one.kind.upper(), f"{one.answers:,}", shown, between, moves])
    return table(columns, lines)


_PEOPLE = (
    "customer_id",
    "name",
    "left_at",
    "plan",
    "mrr",
    "currency",
    "cause",
    "reason",
    "by",
    "said",
    "text_ids",
    "competitor",
)


def _person(one: Leaver, said: Stated) -> dict[str, Any]:
    """A leaver and what he said, as plain values."""
    from tenure.explain.leavers import money

    return {
        "customer_id": one.customer_id, "name": one.name, "left_at": one.left_at, "plan": one.plan,
        "mrr": money(one.mrr, one.currency), "currency": one.currency, "cause": said.cause, "reason": said.reason,
        "by": said.by, "said": said.said, "text_ids": list(said.text_ids), "competitor": said.competitor,
    }  # fmt: skip


def _people_table(rows: Sequence[dict[str, Any]], tz: ZoneInfo) -> str:
    """Leavers and their words, for people."""
    from tenure.faces.cli.layout import Column, table
    from tenure.faces.cli.numbers import number

    if not rows:
        return "Nobody: `--customers none` lists who said nothing.\n"
    columns = [
        Column("customer", cut=True),
        Column("left"),
        Column("MRR", right=True),
        Column("by"),
        Column("said", cut=True),
    ]
    lines = [
        [
            row["customer_id"], row["left_at"].astimezone(tz).strftime("%Y-%m-%d"),
            "" if row["mrr"] is None else number(row["mrr"], "money", row["currency"]), row["by"], row["said"],
        ]
        for row in rows[:_SHOWN]
    ]  # fmt: skip
    more = f"... and {len(rows) - _SHOWN:,} more: --format csv lists them all\n" if len(rows) > _SHOWN else ""
    return table(columns, lines) + more


NAMED = (
    "Of those who left by choice, each answer standing for those of the same plan and tenure who gave none. Somebody "
    "may name two rivals. That he names one is what he says, not proof that it drew him away."
)


@why.command()
def competition(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    customers: Annotated[
        str | None,
        typer.Option("--customers", metavar="RIVAL", help="List who named this rival when leaving, instead."),
    ] = None,
    currency: CurrencyOption = None,
    profile: ProfileOption = None,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    chart: ChartOption = None,
    language: LanguageOption = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Who they leave for. Rivals named at exit, in tickets and in reviews, and what they ask beside us.

    rivals.toml in the workspace's folder tells how rivals are spelled, in English and Thai.
    """
    period = asked(since, until)
    drawn(chart)
    shop = _shop(context, workspace)
    from tenure.explain.competition import rows_of
    from tenure.faces.cli import progress

    with progress.shown("reading"):
        found: Competition = shop.why(
            "competition", **period, currency=currency, profile=profile, known_on=known_on, engine=engine
        )
    draw(found, chart, language)
    if customers is not None:
        _tell_naming(found, customers, format, ZoneInfo(shop.settings.timezone))
        return
    rows = rows_of(found)
    told = remarks(shop, known_on, profile, [NAMED, *found.notes])
    tell(keys_of(rows) or ("section",), rows, format, _competition_text(found), told)


def _competition_text(found: Competition) -> str:
    from tenure.explain.leavers import money
    from tenure.faces.cli.layout import Column, table, wrapped
    from tenure.faces.cli.numbers import number

    named = [one for one in found.rivals if one.said]
    lead = f"{len(found.left.people):,} left; of {found.by_choice:,} by choice {found.spoke:,} said why."
    if named:
        first = named[0]
        between = f"{100 * (first.share.low or 0):.0f} to {100 * (first.share.high or 0):.0f} %"
        lead += f" Most name {first.name}: {100 * (first.share.value or 0):.0f} % ({between})."
    else:
        lead += " Nobody named a rival."
    blocks = [wrapped(lead) + "\n"]
    if found.rivals:
        columns = [Column("rival", cut=True), Column("said", right=True), Column("of customers", right=True)]
        columns += [Column("95 % interval", right=True), Column("of lost MRR", right=True)]
        columns += [Column("MRR of those", right=True), Column("tickets", right=True), Column("reviews", right=True)]
        lines = []
        for one in found.rivals:
            mrr = money(one.mrr_said, found.left.currency)
            paid = "" if mrr is None else number(mrr, "money", found.left.currency)
            between = _between(one.share.low, one.share.high)
            shares = [_percent(one.share.value), between, _percent(one.mrr_share.value)]
            lines.append([one.name, f"{one.said:,}", *shares, paid, f"{one.tickets:,}", f"{one.reviews:,}"])
        blocks.append(table(columns, lines))
    moved = [one for one in found.rivals if one.trend_p is not None and one.trend_p <= 0.05]
    if moved:
        told = ", ".join(f"{one.name} is named {'more' if one.rises else 'less'} often" for one in moved)
        blocks.append(wrapped(f"From month to month, more than noise: {told}.") + "\n")
    if found.offers:
        columns = [Column("offer", cut=True), Column("per"), Column("first", right=True), Column("least", right=True)]
        columns += [Column("on"), Column("latest", right=True), Column("not used with us", cut=True)]
        lines = []
        for offer in found.offers:
            first_, least, latest = (
                "" if each is None else number(each, "money", offer.currency)
                for each in (offer.first, offer.least, offer.latest)
            )
            lacking = "" if offer.lacking is None else ", ".join(offer.lacking)
            lines.append([offer.product, offer.interval or "", first_, least, str(offer.least_on), latest, lacking])
        blocks.append(table(columns, lines))
    beside = {offer.currency for offer in found.offers}
    plans = [one for one in found.plans if one.currency in beside] or found.plans
    if plans:
        columns = [Column("our plan", cut=True), Column("per"), Column("usual price of one", right=True)]
        columns.append(Column("customers", right=True))
        lines = [
            [one.plan, one.interval, number(one.price, "money", one.currency), f"{one.customers:,}"] for one in plans
        ]
        blocks.append(table(columns, lines))
    return "\n".join(blocks)


def _tell_naming(found: Competition, rival: str, format: Format, tz: ZoneInfo) -> None:
    """Prints who named a rival when leaving, where and in which words."""
    from tenure.errors import UnknownName
    from tenure.explain.leavers import money

    if rival not in {one.name for one in found.rivals}:
        raise UnknownName.of("rival", rival, [one.name for one in found.rivals])
    rows = [
        {
            "customer_id": one.leaver.customer_id, "name": one.leaver.name, "left_at": one.leaver.left_at,
            "mrr": money(one.leaver.mrr, one.leaver.currency), "currency": one.leaver.currency, "by": one.where,
            "said": one.words, "rivals": "; ".join(one.rivals),
        }
        for one in found.namings
        if rival in one.rivals
    ]  # fmt: skip
    keys = ("customer_id", "name", "left_at", "mrr", "currency", "by", "said", "rivals")
    tell(keys, rows, format, _people_table(rows, tz) if rows else "Nobody named it when leaving.\n")


TO_FILL_IN = (
    "--format csv > calls.csv is the sheet: fill in answered_at, choice (a code of the reasons) and comment, then "
    "`tenure load interviews calls.csv`. Who was not reached stays empty."
)


@why.command("follow-up")
def follow_up(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    size: Annotated[int, typer.Option("--size", metavar="N", help="How many customers to call.")] = 20,
    currency: CurrencyOption = None,
    profile: ProfileOption = None,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    chart: ChartOption = None,
    language: LanguageOption = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Whom to call among those who left. A sample over value, segment and reason unknown, as a sheet to fill in.

    `tenure load interviews FILE` reads the sheet back: what was said then counts in surveys and in the verdict.
    """
    period = asked(since, until)
    drawn(chart)
    shop = _shop(context, workspace)
    from tenure.explain.follow_up import SHEET
    from tenure.faces.cli import progress

    with progress.shown("drawing"):
        found: FollowUp = shop.why(
            "follow-up", **period, size=size, currency=currency, profile=profile, known_on=known_on, engine=engine
        )
    draw(found, chart, language)
    told = remarks(shop, known_on, profile, [TO_FILL_IN, *found.notes])
    tell(SHEET, found.sheet(), format, _calls_text(found), told)


def _calls_text(found: FollowUp) -> str:
    from tenure.faces.cli.layout import Column, table, wrapped
    from tenure.faces.cli.numbers import number

    lead = f"{found.chosen_from:,} left by choice and were not interviewed; of {found.unknown:,} nobody knows why."
    if found.interviewed:
        lead += f" {found.interviewed:,} were interviewed already."
    if not found.calls:
        return lead + " There is nobody to call.\n"
    columns = [Column("call"), Column("left"), Column("MRR", right=True), Column("why chosen", cut=True)]
    columns.append(Column("stands for", right=True))
    lines = []
    for row in found.sheet():
        mrr = "" if row["mrr"] is None else number(row["mrr"], "money", row["currency"])
        lines.append([row["customer_id"], str(row["left_on"]), mrr, row["why_chosen"], f"{row['stands_for']:,.1f}"])
    return wrapped(lead) + "\n\n" + table(columns, lines)
