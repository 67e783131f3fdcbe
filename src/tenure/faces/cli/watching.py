"""`tenure watch`: what has left its usual range? Made for cron: silent in a pipe where there is nothing to tell."""

from __future__ import annotations

import sys
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
    _people,
    _remarks,
    _shop,
    app,
)
from tenure.faces.cli.ending import FAILED, Ended
from tenure.faces.cli.outputs import Format, as_csv, as_json, flattened, put

if TYPE_CHECKING:
    from tenure.measure.watching import Watched


@app.command()
def watch(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Metrics to watch [default: the core ones].")
    ] = None,
    period: Annotated[str, typer.Option(metavar="GRAIN", help="day, week or month.")] = "month",
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="The period to judge [default: the latest that is over].")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Watch each segment of a column or trait; repeatable.")
    ] = None,
    currency: CurrencyOption = None,
    false_alarms: Annotated[
        float, typer.Option(metavar="SHARE", help="How often anything may be listed although nothing changed.")
    ] = 0.05,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Definition profile [default: the workspace's].")
    ] = None,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Print what stayed in its range and what was not judged.")
    ] = False,
    customers: Annotated[
        bool, typer.Option("--customers", help="Print who is in what left its range instead.")
    ] = False,
    fail: Annotated[bool, typer.Option("--fail", help="End with exit code 1 if anything left its range.")] = False,
    chart: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into FILE.svg or FILE.png.")] = None,
    language: Annotated[str, typer.Option(metavar="LANGUAGE", help="Of the chart: en or th.")] = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """List what left its usual range. The latest day, week or month against the company's own past, for cron.

    Prints nothing into a pipe where nothing left its range. One chance of a false alarm covers all that is watched.
    """
    from tenure.errors import BadInput

    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")
    if every and customers:
        raise BadInput("--all and --customers answer two questions; ask one of them")
    shop = _shop(context, workspace)
    from tenure.faces.cli import numbers, progress

    with progress.shown("watching"):
        found = shop.watch(
            *(names or ()),
            period=period,
            until=until,
            by=tuple(by or ()),
            currency=currency,
            false_alarms=false_alarms,
            profile=profile,
            known_on=known_on,
            engine=engine,
        )
        people = numbers.listed(found.customers()) if customers and found.out else []
    if chart is not None and found.judged:
        from tenure.charts.picture import save

        save(found.chart(language), chart)
    remarks = _remarks(shop, known_on, found.definition.name)
    if customers and (found.out or format is not Format.table):
        _people(people, period, tuple(by or ()), shop.settings.timezone, format, remarks)
    elif format is Format.json:
        put(as_json(found.rows(every)))
    elif format is Format.csv:
        from tenure.measure.watching import KEYS

        put(as_csv(*flattened(KEYS, found.rows(every), tuple(by or ()))))
    elif found.out or every or sys.stdout.isatty():
        put(as_text(found, every, remarks))
    if not found.judged and not (every and format is Format.table) and not sys.stdout.isatty():
        # Silence would be taken for good news.
        typer.echo(f"nothing is watched yet: {_why_not(found)}", err=True)
    if fail and found.out:
        raise Ended(FAILED)


def _why_not(found: Watched) -> str:
    reasons = list(dict.fromkeys(look.reason for look in found.looks if look.reason))
    return reasons[0] if reasons else (found.notes[-1] if found.notes else "there is nothing to judge")


def headline(found: Watched) -> str:
    """What left its usual range, in a sentence."""
    when = "" if found.period is None else f" in {found.period.label}"
    if not found.judged:
        return f"Nothing was judged{when}: {_why_not(found)}"
    of = f"{found.judged} number{'' if found.judged == 1 else 's'}"
    if not found.out:
        return f"Nothing left its usual range{when}: {of} watched."
    return f"{len(found.out)} of {of} left {'its' if len(found.out) == 1 else 'their'} usual range{when}."


def as_text(found: Watched, every: bool, remarks: Sequence[str]) -> str:
    """The answer in a sentence, a table of what left its range (with `every` of all), and how often that is chance."""
    from tenure.faces.cli.layout import width, wrapped
    from tenure.faces.cli.numbers import Footnotes

    room, notes = width(), Footnotes()
    parts = [wrapped(headline(found), room) + "\n"]
    rows = found.rows(every)
    if rows:
        parts.append(_table(rows, found.by, notes, room))
    told = list(remarks)
    if found.judged:
        share = f"{100 * found.false_alarms:g} %"
        told.insert(0, f"If nothing had changed, something would be listed in at most {share} of such looks.")
    told = [*found.notes, *told]
    below = notes.text(room) + "".join(wrapped(remark, room) + "\n" for remark in told)
    return "\n".join(parts) + ("\n" + below if below else "")


def _table(rows: Sequence[dict[str, Any]], by: Sequence[str], notes: Any, room: int) -> str:
    from tenure.faces.cli.layout import Column, table
    from tenure.faces.cli.numbers import number

    several = len({row["currency"] for row in rows if row["currency"]}) > 1
    columns = [Column("metric"), *(Column(name, cut=True) for name in by), *([Column("currency")] if several else [])]
    columns += [Column("now", right=True), Column("usual", right=True), Column("is"), Column("compared with", cut=True)]
    lines = []
    for row in rows:
        segment, of = row["segment"] or {}, (row["unit"], row["currency"])
        usual = ""
        if row["usual_low"] is not None:
            low, high = number(row["usual_low"], *of), number(row["usual_high"], *of)
            usual = f"{low.removesuffix(' %')} to {high}"
        good = {True: ", better", False: ", worse", None: ""}[row["is_better"]]
        mark = notes.mark(row["reason"])
        said = f"not judged {mark}" if mark else f"{row['direction'] or 'within'}{good}"
        line = [row["metric"], *("(unknown)" if segment.get(name) is None else str(segment[name]) for name in by)]
        line += [row["currency"] or ""] if several else []
        lines.append([*line, number(row["value"], *of), usual, said, row["compared_with"] or ""])
    return table(columns, lines, room)
