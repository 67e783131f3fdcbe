"""`tenure fit`, `tenure risk`, `tenure backtest`: a model is made and judged; who leaves next; what it was worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.faces.cli.commands import EngineOption, FormatOption, WorkspaceOption, _shop, app
from tenure.faces.cli.outputs import Format, as_csv, as_json, put

if TYPE_CHECKING:
    from tenure.app.backtesting import Backtest
    from tenure.app.fitting import Fitted
    from tenure.app.risks import Risks

SHOWN = 25
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        "--known-on",
        metavar="DATE",
        help="Only what had happened and was known by the end of this day [default: the last one that facts tell of].",
    ),
]
LanguageOption = Annotated[str, typer.Option(metavar="LANGUAGE", help="Of the reasons and the chart: en or th.")]
ChartOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into FILE.svg or FILE.png.")]


@app.command()
def fit(
    context: typer.Context,
    horizon: Annotated[
        list[str] | None,
        typer.Option(metavar="HORIZON", help="30d, 90d or renewal; repeatable [default: all three]."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First month to learn from [default: 24 months back].")
    ] = None,
    as_of: AsOfOption = None,
    engine: EngineOption = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Learn who leaves next, and judge it. Only a model that beats the base rate and recency is put into service.

    Works on imported history from the first day. Models are files in the workspace's folder `models`.
    """
    from tenure.app.fitting import HORIZONS
    from tenure.faces.cli import progress

    shop = _shop(context, workspace)
    with progress.shown("looking at what was known") as moved:
        found = shop.fit(horizons=tuple(horizon or HORIZONS), since=since, as_of=as_of, engine=engine, progress=moved)
    rows = [each.as_json() for each in found]
    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(list(rows[0]), rows))
    else:
        put(fitted_text(found))


def fitted_text(found: Sequence[Fitted]) -> str:
    """What came of each horizon: in service or not, and why; what it learned from; what was left out."""
    from tenure.faces.cli.layout import strong, width, wrapped

    room, text = width(), ""
    for each in found:
        told, model = each.as_json(), each.trained.model
        state = "in service" if each.in_service else "NOT IN SERVICE"
        text += strong(f"{each.horizon}: {state}") + "\n"
        says = [each.reason[0].upper() + each.reason[1:] + "."]
        if each.stays:
            says.append(f"{each.stays} stays in service.")
        elif not each.in_service:
            says.append("Until a model is, `tenure risk` gives everybody the base rate by tenure.")
        says.append(
            f"Version {each.version}: {model.chosen_}, from {model.rows_:,} looks at {model.customers_:,} customers, "
            f"{model.leavers_:,} of which were followed by leaving, known by {each.as_of}."
        )
        if told["auc"] is not None:
            lift, level = f"{told['top_decile_lift']:.1f}", f"{told['observed_to_expected']:.2f}"
            says.append(
                f"On months it had not seen: AUC {told['auc']:.3f}, {lift} times as many leavers in its first tenth as "
                f"by chance, {level} left for each that was expected."
            )
        says += [f"{note[0].upper()}{note[1:]}." for note in told["why"]]
        says += [f"{name}: {why}." for name, why in told["refused"].items()]
        text += "".join(wrapped(note, room, indent="  ") + "\n" for note in says) + "\n"
    return text.rstrip("\n") + "\n"


@app.command()
def risk(
    context: typer.Context,
    horizon: Annotated[str, typer.Option(metavar="HORIZON", help="Leaving within 30d, 90d or up to renewal.")] = "30d",
    top: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Only the first N [default: 25 for people, else all].")
    ] = None,
    order: Annotated[
        str, typer.Option(metavar="ORDER", help="probability, or loss (probability x value at stake).")
    ] = "probability",
    as_of: AsOfOption = None,
    save: Annotated[bool, typer.Option(help="Write everybody's score to the table scores.")] = True,
    chart: ChartOption = None,
    language: LanguageOption = "en",
    engine: EngineOption = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Say who leaves next. Probability, what is at stake, the three facts that move it most, and when to act.

    Voluntary, involuntary and unknown add up to the probability. Who has a scheduled cancellation is listed as leaving
    already and has none. `tenure fit` comes first.
    """
    from tenure.app.risks import KEYS
    from tenure.charts.language import language as language_of
    from tenure.errors import BadInput
    from tenure.faces.cli import progress

    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")
    language_of(language)
    shop = _shop(context, workspace)
    with progress.shown("scoring"):
        found = shop.risk(horizon=horizon, as_of=as_of, order=order, engine=engine, save=save)
        rows = found.rows(SHOWN if top is None and format is Format.table else top, language)
    if chart is not None:
        from tenure.charts.picture import save as draw

        draw(found.chart(language, top or 15), chart)
    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(KEYS, rows))
    else:
        put(risk_text(found, rows))


def risk_text(found: Risks, rows: Sequence[dict[str, Any]]) -> str:
    """The list for people: a line of figures per customer and its facts below; who is leaving already; remarks."""
    from tenure.faces.cli.layout import Column, strong, table, width, wrapped
    from tenure.faces.cli.numbers import amount

    room = width()
    count = found.table.num_rows
    until = {"30d": "within 30 days", "90d": "within 90 days", "renewal": "by their next renewal"}[found.horizon]
    said = f"Of {count:,} customers as of {found.as_of}, about {found.expected():,.0f} are expected to decide to leave"
    blocks = [wrapped(f"{said} {until}.", room) + "\n"]
    scored = [row for row in rows if row["state"] == "scored"]
    leaving = [row for row in rows if row["state"] == "leaving"]
    if scored:
        columns = [
            Column("customer", cut=True), Column("chance", right=True), Column("week", right=True),
            Column("by choice", right=True), Column("payment", right=True), Column("MRR", right=True),
            Column("at stake", right=True), Column("act by"),
        ]  # fmt: skip
        lines = []
        for row in scored:
            name = row["customer_id"] + (f" {row['name']}" if row["name"] else "") + (" *" if row["held_out"] else "")
            money = [
                "" if row[each] is None or not row["currency"] else amount(row[each], row["currency"])
                for each in ("mrr", "value")
            ]
            lines.append(
                [
                    name,
                    _percent(row["probability"]),
                    "new" if row["change_7d"] is None else f"{100 * row['change_7d']:+.1f}",
                    _percent(row["voluntary"]),
                    _percent(row["involuntary"]),
                    *money,
                    row["act_by"].isoformat(),
                ]
            )
        text = table(columns, lines, room).splitlines()
        # Each customer's facts stand below its figures.
        told = text[:2]
        for line, row in zip(text[2:], scored, strict=True):
            facts = "; ".join(
                each["reason"] + ("" if each["contribution"] > 0 else " (lowers it)") for each in row["reasons"]
            )
            told.append(line)
            if facts:
                told.append(wrapped(facts, room, indent="    "))
        blocks.append("\n".join(told) + "\n")
        if count > len(scored):
            blocks.append(f"... and {count - len(scored):,} more: --top {count} or --format csv lists them all\n")
    if leaving:
        columns = [Column("leaving already", cut=True), Column("ends"), Column("MRR", right=True)]
        lines = [
            [
                row["customer_id"] + (f" {row['name']}" if row["name"] else ""),
                "" if row["ends_on"] is None else row["ends_on"].isoformat(),
                "" if row["mrr"] is None or not row["currency"] else amount(row["mrr"], row["currency"]),
            ]
            for row in leaving[:SHOWN]
        ]
        more = f"... and {len(leaving) - SHOWN:,} more\n" if len(leaving) > SHOWN else ""
        blocks.append(strong("Leaving already, and not scored") + "\n" + table(columns, lines, room) + more)
    notes = list(found.says)
    if any(row["held_out"] for row in scored):
        notes.append("* held out: not to be contacted, so that we know who leaves when left alone (hold_out).")
    if scored and found.in_service:
        notes.append("The facts say what moves the score. What would keep a customer only an experiment shows.")
    below = "".join(wrapped(note, room) + "\n" for note in notes)
    return "\n".join(blocks) + ("\n" + below if below else "")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


@app.command()
def backtest(
    context: typer.Context,
    horizon: Annotated[str, typer.Option(metavar="HORIZON", help="Leaving within 30d, 90d or up to renewal.")] = "30d",
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First month to learn from [default: 24 months back].")
    ] = None,
    as_of: AsOfOption = None,
    gap: Annotated[
        int | None,
        typer.Option(metavar="DAYS", min=0, help="Who decides sooner is out of reach [default: lead_days, else 7]."),
    ] = None,
    step: Annotated[int, typer.Option(metavar="MONTHS", min=1, help="A new model every so many months.")] = 3,
    offer: Annotated[
        float | None,
        typer.Option(
            metavar="AMOUNT", min=0.0, help="What an offer costs [default: offer_cost, else 5 % of the value]."
        ),
    ] = None,
    contact: Annotated[
        float | None,
        typer.Option(metavar="AMOUNT", min=0.0, help="What a contact costs [default: contact_cost, else 0.5 %]."),
    ] = None,
    chart: ChartOption = None,
    language: LanguageOption = "en",
    engine: EngineOption = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Say what the list would have been worth. History replayed, exactly as known then, beside two baselines.

    A model is made at each of several past months and judged on those after it, on decisions from the gap on. Nothing
    is stored.
    """
    from tenure.app.backtesting import KEYS
    from tenure.charts.language import language as language_of
    from tenure.errors import BadInput
    from tenure.faces.cli import progress

    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")
    language_of(language)
    shop = _shop(context, workspace)
    with progress.shown("looking at what was known") as moved:
        found = shop.backtest(
            horizon=horizon, since=since, as_of=as_of, gap=gap, step=step, offer_cost=offer, contact_cost=contact,
            engine=engine, progress=moved,
        )  # fmt: skip
    if chart is not None:
        from tenure.charts.picture import save as draw

        draw(found.chart(language), chart)
    rows = found.rows()
    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(KEYS, rows))
    else:
        put(backtest_text(found, rows))


FIGURES = {
    "observed_to_expected": "left / expected",
    "calibration_slope": "calibration slope",
    "log_loss": "log loss",
    "brier": "Brier score",
    "auc": "AUC",
    "pr_auc": "PR-AUC",
    "top_decile_lift": "lift of the first tenth",
    "empc": "EMPC, per customer",
}


def backtest_text(found: Backtest, rows: Sequence[dict[str, Any]]) -> str:
    """One table: a line per figure, the model and the two baselines side by side, each with its interval."""
    from tenure.faces.cli.layout import Column, table, width, wrapped
    from tenure.faces.cli.numbers import Footnotes

    room, notes = width(), Footnotes()
    replayed = found.replayed
    names = list(replayed.said)
    told = {(row["figure"], row["said_by"]): row for row in rows}
    lines = []
    for figure in dict.fromkeys(row["figure"] for row in rows):
        title = FIGURES.get(figure)
        if figure.startswith("saved_"):
            title = f"saved, {100 * float(figure.removeprefix('saved_')):.3g}% contacted"
        if title is None:
            continue
        cells = []
        for name in names:
            row = told[(figure, name)]
            digits = 2 if figure == "empc" or figure.startswith("saved_") or "lift" in figure else 3
            if row["value"] is None:
                cells += [f"– {notes.mark(row['reason'])}".rstrip(), ""]
            else:
                cells += [f"{row['value']:,.{digits}f}", f"{row['low']:,.{digits}f} to {row['high']:,.{digits}f}"]
        lines.append([title, *cells])
    columns = [Column("")]
    for name in names:
        columns += [Column(name, right=True), Column("95 %", right=True)]
    made = ", ".join(f"{origin.cut_off:%Y-%m}" for origin in replayed.origins)
    later = f", from day {replayed.gap} on" if replayed.gap else ""
    said = (
        f"Models made from what was known at the beginning of {made} looked {len(replayed.left):,} times at customers "
        f"in the months after; {int(replayed.left.sum()):,} looks were followed by leaving within {found.horizon}"
        f"{later}."
    )
    verdict = found.verdict
    blocks = [wrapped(said, room) + "\n", table(columns, lines, room)]
    below = [verdict.reason[0].upper() + verdict.reason[1:] + ".", *found.says]
    below += [f"{origin:%Y-%m} has no model: {why}." for origin, why in replayed.skipped.items()]
    return (
        "\n".join(blocks)
        + "\n"
        + notes.text(room)
        + "".join(wrapped(note.rstrip(".") + ".", room) + "\n" for note in below)
    )
