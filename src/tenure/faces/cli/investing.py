"""`tenure investors`: what an investor asks, in the terminal, as one page, and as files for a spreadsheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenure.faces.cli.commands import (
    CurrencyOption,
    EngineOption,
    KnownOnOption,
    WorkspaceOption,
    _shop,
    _write_whole,
    app,
)
from tenure.faces.cli.outputs import put

if TYPE_CHECKING:
    from tenure.app.investors import Investors


@app.command()
def investors(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Also write it as one page (two sheets of A4 at most).")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="DIR_OR_ZIP", help="Also write the figures behind it, as CSV files.")
    ] = None,
    language: Annotated[str, typer.Option(metavar="LANG", help="Of the page and the print: en or th.")] = "en",
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="MONTH", help="The month it is about [default: the last whole one]."),
    ] = None,
    known_on: KnownOnOption = None,
    currency: CurrencyOption = None,
    engine: EngineOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Sum up for investors. ARR, growth, NRR, GRR, quick ratio, cohorts, concentration, and how each is counted.

    No customer is named in it. Without --out and --csv it is printed alone.
    """
    from tenure.errors import BadInput
    from tenure.faces.cli import progress
    from tenure.faces.report.sentences import report_language

    report_language(language)  # a language nobody speaks is refused before anything is measured
    if out is not None and out.is_dir():
        raise BadInput(f"{out} is a folder; name the file to write, such as {out / 'investors.html'}")
    if csv is not None and csv.exists() and csv.is_dir() == (csv.suffix.lower() == ".zip"):
        raise BadInput(f"{csv} is there already and is no {'file' if csv.is_dir() else 'folder'}; name another")
    shop = _shop(context, workspace)
    files: list[str] = []
    with progress.shown("measuring") as moved:
        found = shop.investors(month=as_of, known_on=known_on, currency=currency, engine=engine, progress=moved)
        if out is not None:
            from tenure.faces.report.investors import render

            moved("drawing the page")
            _write_whole(render(found, language), out)
        if csv is not None:
            from tenure.faces.report import investor_files

            moved("writing the files")
            files = investor_files.write(found, csv)
    put(as_text(found, language))
    if out is not None:
        put(f"\nThe page: {out}")
    if csv is not None:
        put(f"\nThe figures: {len(files)} files in {csv}")


def as_text(found: Investors, language: str) -> str:
    """The summary for a terminal: the numbers with interval and year before, and concentration."""
    from tenure.faces.cli.layout import Column, strong, table, wrapped
    from tenure.faces.report.investors import title_of
    from tenure.faces.report.sentences import Teller, report_language

    words = report_language(language)
    teller, about = Teller(found.story, words), found.story.about
    period = teller.period(about.period)
    lines = []
    for headline in found.headlines:
        figure = headline.figure
        before = next((one for one in headline.comparisons if one.against == "year_ago"), None)
        interval = teller.interval(figure) if figure.value is not None else teller.missing(figure.reason)
        lines.append(
            [
                title_of(teller, headline),
                teller.value(figure.value, figure.unit, figure.currency),
                interval,
                "" if before is None else teller.value(before.then.value, figure.unit, figure.currency),
            ]
        )
    columns = [
        Column(words.words("kpi.metric")),
        Column(words.words("kpi.now"), right=True),
        Column(words.words("kpi.interval"), right=True, cut=True),
        Column(words.words("compare.year_ago"), right=True),
    ]
    text = strong(words.words("investors.title_of", company=about.company, period=period)) + "\n\n"
    text += table(columns, lines)
    spread = found.concentration
    if spread is not None:
        groups = [
            [
                words.words(f"investors.{held.group}", held.customers, count=words.number(held.customers)),
                words.percent(float(held.share)),
                words.money(spread.major(held.mrr), spread.currency, whole=False),
            ]
            for held in spread.groups
        ]
        titles = [words.words(f"investors.{name}") for name in ("group", "share", "mrr")]
        text += "\n" + strong(words.words("investors.concentration")) + "\n"
        text += table([Column(titles[0]), *(Column(title, right=True) for title in titles[1:])], groups)
    remarks = [words.words("definitions.intro", profile=about.profile)]
    if about.is_provisional:
        remarks.append(words.words("page.provisional_long", period=period))
    if about.is_reconstructed:
        remarks.append(words.words("page.reconstructed_long"))
    if about.is_made_up:
        remarks.append(words.words("page.made_up_long", company=about.company))
    return text + "\n" + "".join(wrapped(remark) + "\n" for remark in remarks)
