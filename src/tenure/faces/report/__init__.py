"""The report, told twice from one story: a page that opens offline (`html`) and a print in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenure.app.story import Story
    from tenure.app.workspace import Workspace


# Pixels; twice as many in a PNG.
CHART_WIDTH = 880


def draw(
    story: Story, folder: str | Path, *, language: str = "en", endings: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Draws every picture of a report into a folder, without a browser, and returns the files in the report's order.

    Each is titled with what it shows and what it says, for it stands alone: `01-waterfall.png`, `01-waterfall.svg`, ...
    """
    from tenure.charts.picture import save, titled, unchecked
    from tenure.errors import BadInput
    from tenure.faces.report.pictures import pictures
    from tenure.faces.report.sentences import Teller, report_language

    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise BadInput(f"{place} is a file; name a folder for the charts")
    place.mkdir(parents=True, exist_ok=True)
    teller = Teller(story, report_language(language))
    drawn: list[Path] = []
    with unchecked():
        for number, picture in enumerate((one for one in pictures(teller) if one.draw), start=1):
            assert picture.draw is not None
            says = [" ".join(str(sentence) for sentence in picture.sentences)]
            if story.about.is_made_up:
                says.append(teller.language.words("page.made_up"))
            chart = titled(picture.draw(CHART_WIDTH), picture.title, says)
            drawn += [
                save(chart, place / f"{number:02}-{picture.name.replace('_', '-')}.{ending}") for ending in endings
            ]
    return drawn


def write(shop: Workspace, out: str | Path, *, language: str = "en", **options: Any) -> Story:
    """Writes a workspace's report as one self-contained page (`en` or `th`) and returns what it says.

    options: month, known_on, currency, engine, progress, as in tenure.app.report.story.
    """
    from tenure.faces.report.html import render

    told = shop.story(**options)
    Path(out).write_text(render(told, language), encoding="utf-8")
    return told
