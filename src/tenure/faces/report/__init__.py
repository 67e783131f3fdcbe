"""The report, told twice from one story: a page that opens offline (`html`) and a print in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenure.app.story import Story
    from tenure.app.workspace import Workspace


def write(shop: Workspace, out: str | Path, *, language: str = "en", **options: Any) -> Story:
    """Writes a workspace's report as one self-contained page (`en` or `th`) and returns what it says.

    options: month, known_on, currency, engine, progress, as in tenure.app.report.story.
    """
    from tenure.faces.report.html import render

    told = shop.story(**options)
    Path(out).write_text(render(told, language), encoding="utf-8")
    return told
