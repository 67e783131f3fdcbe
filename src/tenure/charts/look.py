"""How do Tenure's pictures look? One palette, one set of type, one way to finish a chart.

Gains are blue-green and losses are red-orange everywhere: told apart by colour-blind readers, and never the only
sign (gains stand above the line, losses below). Backgrounds are transparent so that a page may be light or dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tenure.charts.language import Language

if TYPE_CHECKING:
    import altair as alt

WIDE = 720
NARROW = 340  # a phone: charts turn or thin out below 480

INK = "#1d2a35"
INK_SOFT = "#5b6873"
INK_ON_LIGHT = "#1c2935"  # on a light cell: stays dark where a page turns ink light
LINE = "#e3e7ea"
PAPER = "#ffffff"
ACCENT = "#17607a"
WARM = "#b3402e"

KINDS = {
    "new": "#17607a",
    "expansion": "#3f97ab",
    "reactivation": "#86c0cc",
    "resume": "#bfe0e6",
    "entering": "#d7ebef",
    "churn": "#b3402e",
    "contraction": "#dc875f",
    "pause": "#f0c592",
    "leaving": "#f6dfc4",
    "fx": "#8a8fa3",
    "correction": "#b8a2c8",
}
GAINS = ("new", "expansion", "reactivation", "resume", "entering")
LOSSES = ("churn", "contraction", "pause", "leaving")
CURVES = ("#17607a", "#d0722f", "#6a5a9c", "#4f8a5b", "#b3406f", "#8a7a2f")

_LAYERS = ("#12324f", "#17607a", "#3f97ab", "#8cc3b8", "#cfdcae", "#f0dfae")
_HEAT = ("#f6efe0", "#cfe3dd", "#86c0cc", "#3f97ab", "#17607a", "#12324f")


def rows_of(data: Any) -> list[dict[str, Any]]:
    """Any table as a list of dicts: a list of mappings, or what has `to_pylist` (Arrow), `to_dicts` (Polars)."""
    if hasattr(data, "to_pylist"):
        return list(data.to_pylist())
    if hasattr(data, "to_dicts"):
        return list(data.to_dicts())
    return [dict(row) for row in data]


def plain(value: Any) -> Any:
    """A value as JSON knows it: money and dates lose nothing a picture could show."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return value


def values(rows: Iterable[Mapping[str, Any]]) -> alt.InlineData:
    """Rows as the data of a chart."""
    import altair as alt

    return alt.InlineData(values=[{key: plain(value) for key, value in row.items()} for row in rows])


def ramp(colours: Sequence[str], count: int) -> list[str]:
    """`count` colours evenly spaced along a ramp given by some of its colours."""
    if count <= 1:
        return [colours[1]][:count]
    stops = [tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in colours]
    found = []
    for index in range(count):
        at = index / (count - 1) * (len(stops) - 1)
        low = min(int(at), len(stops) - 2)
        share = at - low
        mixed = (round(a + (b - a) * share) for a, b in zip(stops[low], stops[low + 1], strict=True))
        found.append("#" + "".join(f"{part:02x}" for part in mixed))
    return found


def layers(count: int) -> list[str]:
    """Colours of a layer cake, the oldest cohort first (darkest, at the bottom)."""
    return ramp(_LAYERS, count)


def heat() -> list[str]:
    """Colours of a heat map, from nothing left to everything left."""
    return list(_HEAT)


def money_axis(language: Language, currency: str, **more: Any) -> alt.Axis:
    """An axis of money: $400k, −$20k, ฿1.2M."""
    import altair as alt

    sign = language.symbol(currency).replace("\\", "").replace("'", "")
    sign += " " if sign[-1:].isalpha() else ""
    expression = f"(datum.value < 0 ? '−' : '') + '{sign}' + replace(format(abs(datum.value), '~s'), 'G', 'B')"
    return alt.Axis(labelExpr=expression, title=None, **{"tickCount": 5, **more})


def percent_axis(title: str | None = None, **more: Any) -> alt.Axis:
    """An axis of fractions, shown in per cent."""
    import altair as alt

    settings = {"tickCount": 5, **more}
    return alt.Axis(labelExpr="format(datum.value * 100, '~g') + '%'", title=title, **settings)


def period_axis(language: Language, periods: Iterable[str], grain: str, width: int) -> alt.Axis:
    """An axis of periods given as ISO days: month names, the year under the first and under each January.

    As many labels as fit, at steps people expect (every month, second month, quarter, half year, year).
    """
    import json

    import altair as alt

    days = [date.fromisoformat(day) for day in sorted(set(periods))]
    room = max(2, width // 46)
    shown = days
    if grain == "month":
        for step in (1, 2, 3, 6, 12):
            shown = [day for day in days if (day.month - 1) % step == 0]
            if len(shown) <= room:
                break
        shown = shown or days[:1]
    if len(shown) > room:
        every = -(-len(shown) // room)
        shown = shown[::every]
    labels: dict[str, list[str]] = {}
    told: str = ""
    for day in shown:
        name, year = language.tick(day, grain)
        labels[day.isoformat()] = [name, year] if year != told else [name]
        told = year
    return alt.Axis(
        title=None,
        values=[day.isoformat() for day in shown],
        labelExpr=f"({json.dumps(labels, ensure_ascii=False)})[datum.value]",
        labelAngle=0,
        labelOverlap=False,
        grid=False,
    )


def finished(
    layers: Sequence[Any],
    width: int,
    height: int,
    rows: Any = None,
    named: Sequence[str] = (),
    is_coloured_apart: bool = False,
) -> Any:
    """The layers as one chart at its outer size, in Tenure's type and colours.

    rows: the data of the layers that bring none. named: what the legend names, it takes as many columns as fit.
    is_coloured_apart: each layer has its own scale of colour.
    Everything is given at once: each further call on an Altair chart would copy all of its data again.
    """
    import altair as alt

    more: dict[str, Any] = {}
    if rows is not None:
        more["data"] = values(rows)
    if is_coloured_apart:
        more["resolve"] = alt.Resolve(scale=alt.ScaleResolveMap(color="independent"))
    return alt.layer(
        *layers,
        width=width,
        height=height,
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        padding={"left": 2, "right": 10, "top": 6, "bottom": 2},
        config=_config(width, named),
        **more,
    )


def stacked(pictures: Sequence[Any], width: int) -> Any:
    """Pictures under each other as one chart, in Tenure's type and colours."""
    import altair as alt

    padding = {"left": 2, "right": 10, "top": 10, "bottom": 2}
    return alt.vconcat(*pictures, spacing=22, padding=padding, config=_config(width, []))


def _config(width: int, named: Sequence[str]) -> alt.Config:
    import altair as alt

    wide = [min(len(name) * 6.6, 160) + 34 for name in named] or [width]
    fitting = len(wide) if sum(wide) < width - 50 else max(1, int((width - 50) // max(wide)))

    return alt.Config(
        font="Sarabun, sans-serif",
        background="transparent",
        aria=False,
        view=alt.ViewConfig(strokeWidth=0),
        axis=alt.AxisConfig(
            labelColor=INK_SOFT,
            titleColor=INK_SOFT,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=8,
            labelPadding=6,
            gridColor=LINE,
            domain=False,
            ticks=False,
        ),
        legend=alt.LegendConfig(
            orient="top",
            direction="horizontal",
            title=None,
            labelColor=INK,
            labelFontSize=12,
            labelLimit=160,
            symbolType="square",
            symbolSize=90,
            symbolStrokeWidth=0,
            columnPadding=14,
            padding=0,
            offset=8,
            columns=fitting,
            rowPadding=5,
        ),
        text=alt.MarkConfig(fontSize=12, color=INK),
    )
