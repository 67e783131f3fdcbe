"""How does a chart become a picture? SVG or PNG through vl-convert, in one process, without a browser.

Thai needs two things here. A font: Sarabun (SIL Open Font License, in `fonts/`) is registered before the first picture.
And sara am (U+0E33): shapers split it into nikhahit and sara aa, and the rasteriser then gives the pair the width of
one, so that the next letter is printed on top. Written as two characters, with a tone mark after the nikhahit, it is
set right; SVG gets its own spelling back, so that text in it can be searched and copied.
"""

from __future__ import annotations

import base64
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tenure.errors import BadInput

FONTS = Path(__file__).with_name("fonts")

# Which letters are in which file; browsers load what they need, we embed what the page may need.
SUBSETS = {
    "thai": "U+02D7,U+0303,U+0331,U+0E01-0E5B,U+200C-200D,U+25CC",
    "latin-ext": "U+0100-02BA,U+02BD-02C5,U+02C7-02CC,U+02CE-02D7,U+02DD-02FF,U+0304,U+0308,U+0329,U+1D00-1DBF,"
    "U+1E00-1E9F,U+1EF2-1EFF,U+2020,U+20A0-20AB,U+20AD-20C0,U+2113,U+2C60-2C7F,U+A720-A7FF",
    "latin": "U+0000-00FF,U+0131,U+0152-0153,U+02BB-02BC,U+02C6,U+02DA,U+02DC,U+0304,U+0308,U+0329,U+2000-206F,U+20AC,"
    "U+2122,U+2191,U+2193,U+2212,U+2215,U+FEFF,U+FFFD",
}

# Above a chart: letters in a line of sentences, and its height in pixels.
_LETTERS = 110
_LINE = 19

_SARA_AM = re.compile("([\u0e48-\u0e4b]?)\u0e33")
_SARA_AM_IN_TWO = re.compile("\u0e4d([\u0e48-\u0e4b]?)\u0e32")


def svg(chart: Any, is_standalone: bool = False) -> str:
    """The chart as SVG text.

    is_standalone: a file of its own carries its font and a white background; inside a page both are the page's.
    """
    import vl_convert

    _fonts_registered()
    spelled = vl_convert.vegalite_to_svg(_spelled(chart, "white" if is_standalone else None))
    text = _SARA_AM_IN_TWO.sub("\\1\u0e33", spelled)
    if is_standalone:
        text = text.replace(">", f"><defs><style>{font_faces()}</style></defs>", 1)
    return text


def png(chart: Any, scale: float = 2.0) -> bytes:
    """The chart as PNG on white; `scale` 2 suits screens of high density and print."""
    import vl_convert

    _fonts_registered()
    return bytes(vl_convert.vegalite_to_png(_spelled(chart, "white"), scale=scale))


def save(chart: Any, path: str | Path, scale: float = 2.0) -> Path:
    """Writes the chart to `path`; the ending decides: .svg, .png, or .json for the Vega-Lite specification."""
    target = Path(path)
    ending = target.suffix.lower()
    if ending == ".svg":
        target.write_text(svg(chart, is_standalone=True), encoding="utf-8")
    elif ending == ".png":
        target.write_bytes(png(chart, scale))
    elif ending == ".json":
        target.write_text(json.dumps(chart.to_dict(), ensure_ascii=False, indent=1), encoding="utf-8")
    else:
        raise BadInput(f"cannot save a chart as '{target.name}': end its name in .svg, .png or .json.")
    return target


def titled(chart: Any, title: str, says: Sequence[str]) -> Any:
    """The chart with a title and sentences above it, for a file that stands alone; it grows by their height."""
    import altair

    # Thai writes phrases without blanks; a line is broken between them, never inside.
    lines = [line for text in says for line in textwrap.wrap(text, _LETTERS, break_long_words=False)]
    above = altair.TitleParams(
        title,
        subtitle=lines,
        anchor="start",
        fontSize=17,
        subtitleFontSize=13,
        subtitleLineHeight=_LINE,
        subtitlePadding=8,
        offset=12,
    )
    return chart.properties(title=above, height=chart.height + 34 + _LINE * len(lines))


@contextmanager
def unchecked() -> Iterator[None]:
    """Within it Altair builds charts without checking each part against its schema: a third of the time of a report.

    For charts of this package, which the tests check; in a notebook the checks explain mistakes.
    """
    from altair.utils.schemapi import debug_mode

    with debug_mode(False):
        yield


@cache
def font_faces() -> str:
    """CSS that carries Sarabun (regular and semibold; Thai, Latin, extended Latin) inside the document."""
    faces = []
    for weight in (400, 600):
        for subset, letters in SUBSETS.items():
            data = base64.b64encode((FONTS / f"sarabun-{subset}-{weight}-normal.woff2").read_bytes()).decode("ascii")
            faces.append(
                f"@font-face{{font-family:Sarabun;font-style:normal;font-weight:{weight};font-display:swap;"
                f"src:url(data:font/woff2;base64,{data}) format('woff2');unicode-range:{letters}}}"
            )
    return "".join(faces)


def _spelled(chart: Any, background: str | None) -> str:
    # Charts are checked against the schema where they are tested, not each time one is drawn.
    specification = chart.to_dict(validate=False)
    if background is not None:
        specification.setdefault("config", {})["background"] = background
    return _SARA_AM.sub("\u0e4d\\1\u0e32", json.dumps(specification, ensure_ascii=False))


@cache
def _fonts_registered() -> None:
    import vl_convert

    vl_convert.register_font_directory(str(FONTS))
