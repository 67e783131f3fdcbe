"""`tenure why METHOD`: why do they leave? What all ways of asking share: period, money, chart, format, findings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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
    from tenure.explain.findings import Finding

SinceOption = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="First day, month, quarter or year, whole.")
]
UntilOption = Annotated[
    str | None, typer.Option("--to", metavar="DATE", help="Last one, included whole [default: that of --from].")
]
ProfileOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Definition profile [default: the workspace's].")
]
ChartOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into FILE.svg or FILE.png.")]
LanguageOption = Annotated[str, typer.Option(metavar="LANGUAGE", help="Of the chart: en or th.")]

LeadOption = Annotated[
    int, typer.Option("--lead", metavar="DAYS", help="Days from a month's beginning until leaving counts as later.")
]
CustomersOption = Annotated[
    str | None, typer.Option("--customers", metavar="FINDING", help="List the customers of this finding instead.")
]

why = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
app.add_typer(why, name="why")


@why.callback()
def begin(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    customers: Annotated[
        bool, typer.Option("--customers", help="List who left, with probable causes, instead.")
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
    """Why they leave. With --from all ways of asking taken together; each METHOD is a command of its own.

    The share of each cause in the customers and the MRR lost, with a 90 % interval, and the evidence; what nothing
    explains is unknown, as large as it is. Without --from: this help.
    """
    if context.invoked_subcommand is not None:
        return
    if since is None:
        put(context.get_help())
        return
    drawn(chart)
    shop = _shop(context, workspace)
    from tenure.faces.cli import progress
    from tenure.faces.cli.judging import tell_verdict

    with progress.shown("weighing"):
        found = shop.why(
            "verdict", **asked(since, until), currency=currency, profile=profile, known_on=known_on, engine=engine
        )
    draw(found, chart, language)
    tell_verdict(found, format, remarks(shop, known_on, profile, found.notes), customers)


def asked(since: str | None, until: str | None) -> dict[str, Any]:
    """The period as the workspace's methods take it; BadPeriod where there is none."""
    from tenure.errors import BadPeriod

    if since is None:
        raise BadPeriod("why they leave is asked of a period: add --from, such as --from 2026-01")
    return {"since": since, "until": until}


def drawn(chart: Path | None) -> None:
    """Refuses a picture of an unknown kind before anything is measured."""
    from tenure.errors import BadInput

    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")


def draw(found: Any, chart: Path | None, language: str) -> None:
    """Draws what was found, where a file is named for it."""
    if chart is not None:
        from tenure.charts.picture import save

        save(found.chart(language), chart)


def tell(
    keys: Sequence[str], rows: Sequence[dict[str, Any]], format: Format, text: str, remarks: Sequence[str] = ()
) -> None:
    """Prints rows for programs and spreadsheets, or the text with its remarks for people."""
    from tenure.faces.cli.layout import wrapped

    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(keys, rows))
    else:
        told = "".join(wrapped(remark) + "\n" for remark in remarks)
        put(text.rstrip("\n") + "\n" + ("\n" + told if told else ""))


def keys_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The columns of rows that do not all have the same."""
    return list(dict.fromkeys(name for row in rows for name in row))


def remarks(shop: Any, known_on: str | None, profile: str | None, notes: Sequence[str]) -> list[str]:
    """What a method notes, and what stands under every table."""
    return [*notes, *_remarks(shop, known_on, profile)]


def people(found: Sequence[Finding], name: str, format: Format) -> None:
    """Prints the customers of one finding."""
    from tenure.errors import BadInput, UnknownName

    one = [finding for finding in found if finding.name == name]
    if not one:
        raise UnknownName.of("finding", name, [finding.name for finding in found])
    if one[0].who is None:
        raise BadInput(f"'{name}' ({one[0].en}) lists no customers")
    rows = one[0].who().to_pylist()
    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(list(rows[0]) if rows else ["customer_id"], rows))
    else:
        put("".join(f"{row['customer_id']}\n" for row in rows) or "Nobody, as the last month began.\n")


def headline(found: Sequence[Finding], otherwise: str) -> str:
    """What stands, in a sentence; where nothing does, that nothing was found."""
    standing = [one for one in found if one.stands]
    if not standing:
        return otherwise
    told = ", ".join(f"{one.en} ({shown(one.estimate.value, one.unit)} points)" for one in standing)
    return f"What goes with leaving, more than noise: {told}."


def findings_table(found: Sequence[Finding], what: str = "finding", value: str = "value") -> str:
    """Findings for people: the subject, its estimate and interval, for how many, how strong."""
    from tenure.faces.cli.layout import Column, table

    columns = [Column(what, cut=True), Column(value, right=True), Column("95 % interval", right=True)]
    columns += [Column("customers", right=True), Column("adjusted p", right=True), Column("strength")]
    lines = []
    for one in found:
        low, high = (shown(end, one.unit) for end in (one.estimate.low, one.estimate.high))
        p = "" if one.adjusted_p is None else "< 0.001" if one.adjusted_p < 0.001 else f"{one.adjusted_p:.3f}"
        between = f"{low} to {high}" if one.estimate.low is not None else ""
        value = shown(one.estimate.value, one.unit)
        lines.append([one.en, value, between, f"{one.customers:,}", p, one.strength.words])
    return table(columns, lines)


def shown(value: float | None, unit: str) -> str:
    """A finding's number as people read it: shares in percent, differences of shares in points."""
    if value is None:
        return ""
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "points":
        return f"{100 * value:+.1f}"
    if unit == "ratio":
        return f"x {value:.2f}"
    return f"{value:,.1f}"
