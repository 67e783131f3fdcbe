"""`tenure why experiments`: what past experiments showed of each cause, and which one to make next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
    keys_of,
    people,
    remarks,
    shown,
    tell,
    why,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure.explain.experiments import Experiments, Proposal
    from tenure.explain.findings import Finding

TREATED = (
    "Everybody counts as assigned; points are the arm's share who left, less the hold-out's. That chance decided is "
    "the promise of who wrote the exposures."
)


@why.command()
def experiments(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    cause: Annotated[
        list[str] | None,
        typer.Option("--cause", metavar="EXPERIMENT=CAUSE", help="Which cause an experiment asks about; repeatable."),
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
    """What experiments showed, and which to make next. Leaving against the hold-out; a design for each open cause.

    Past exposures with their hold-out and interval; for each suspected cause that no experiment asks about: whom, how
    many for 80 % power, how long, what to measure and what must not get worse.
    """
    from tenure.errors import BadInput

    period = asked(since, until)
    drawn(chart)
    pairs = [one.partition("=") for one in cause or ()]
    if any(not name or not code for name, _, code in pairs):
        raise BadInput("--cause names an experiment and its cause, such as --cause check-in=experience")
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress

    with progress.shown("weighing"):
        found: Experiments = shop.why(
            "experiments", **period, causes={name: code for name, _, code in pairs}, profile=profile,
            known_on=known_on, engine=engine,
        )  # fmt: skip
    if customers is not None:
        people(found.findings, customers, format)
        return
    draw(found, chart, language)
    rows = [{"section": "experiment", **one.as_json()} for one in found.findings]
    rows += [{"section": "proposal", **one.as_json()} for one in found.proposals]
    notes = [*([TREATED] if found.findings else []), *found.notes]
    tell(keys_of(rows) or ("section",), rows, format, _text(found), remarks(shop, known_on, profile, notes))


def _text(found: Experiments) -> str:
    from tenure.faces.cli.layout import wrapped

    blocks = []
    if found.findings:
        standing = [one for one in found.findings if one.stands]
        told = "; ".join(f"{one.en} ({shown(one.estimate.value, 'points')} points)" for one in standing)
        said = f"Shown: {told}." if told else "No experiment showed a difference beyond chance."
        blocks += [wrapped(said) + "\n", _shown_table(found.findings)]
    if found.proposals:
        blocks += ["No experiment has asked about these causes. What would settle each:\n"]
        blocks += [_proposal(one) for one in found.proposals]
    return "\n".join(blocks) or "No experiment is known, and no cause is suspected.\n"


def _shown_table(findings: Sequence[Finding]) -> str:
    from tenure.faces.cli.layout import Column, table

    columns = [Column("experiment, arm", cut=True), Column("cause"), Column("left", right=True)]
    columns += [Column("hold-out", right=True), Column("points", right=True), Column("95 % interval", right=True)]
    columns += [Column("adjusted p", right=True)]
    lines = []
    for one in findings:
        low, high = (shown(end, "points") for end in (one.estimate.low, one.estimate.high))
        p = "" if one.adjusted_p is None else "< 0.001" if one.adjusted_p < 0.001 else f"{one.adjusted_p:.3f}"
        held = one.more.get("people_hold_out")
        lines.append(
            [
                one.name, one.cause or "not told", f"{one.more['left']:,} of {one.more['people']:,}",
                one.reason or "" if held is None else f"{one.more['left_hold_out']:,} of {held:,}",
                shown(one.estimate.value, "points"), f"{low} to {high}" if one.estimate.low is not None else "", p,
            ]
        )  # fmt: skip
    return table(columns, lines)


def _proposal(one: Proposal) -> str:
    from tenure.faces.cli.layout import wrapped

    weeks = "over two years" if one.weeks is None else f"{one.weeks} weeks"
    told = (
        f"of {one.whom} ({one.customers:,} now), chance picks half: {one.what}. Measure: {one.metric}, from "
        f"{one.leave:.1%} to {one.would_leave:.1%}. It takes {one.size:,} customers in both halves for 80 % power, "
        f"{weeks}. Must not get worse: {one.guardrail}."
    )
    lines = [f"{one.cause}:", wrapped(f"  {told}")]
    if one.reason:
        lines.append(wrapped(f"  {one.reason[0].upper()}{one.reason[1:]}."))
    return "\n".join(lines) + "\n"
