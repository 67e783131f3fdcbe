"""Who buys without a contract? How long they wait between purchases, and the map of recency and frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt

# What each segment of the map is coloured as: those who will stay, those who may go, those who have gone.
_TONES = {
    "champions": look.ACCENT,
    "loyal": "#3f97ab",
    "potential": "#86c0cc",
    "new": "#bfe0e6",
    "promising": "#d7ebef",
    "need_attention": "#f6dfc4",
    "about_to_sleep": "#f0c592",
    "at_risk": "#dc875f",
    "cannot_lose": look.WARM,
    "hibernating": "#c9ced3",
}
_DARK = frozenset({"champions", "loyal", "cannot_lose"})


def purchase_gaps(
    rows: Any, window: int | None, language: str = "en", width: int = look.WIDE, height: int = 0
) -> alt.LayerChart:
    """The share that has bought again after so many days: of the gaps that ended, and of all silences with their band.

    rows: `of` (gaps or all), `days`, `share`, `low`, `high` (fractions; None without a band), as Gaps.points() has
    them. window: the inactivity window, marked with a line. Points closer than a pixel are thinned out.
    """
    import altair as alt

    words = language_of(language)
    names = {of: words.words(f"buyers.{of}") for of in ("gaps", "all")}
    told: dict[tuple[str, int], dict[str, Any]] = {}
    every = look.rows_of(rows)
    longest = max([float(row["days"]) for row in every] + [float(window or 1)])
    for row in sorted(every, key=lambda row: float(row["days"])):
        told[row["of"], int(float(row["days"]) / longest * width)] = {**row, "label": names[row["of"]]}
    points = [{"of": of, "days": 0, "share": 0.0, "low": None, "high": None, "label": names[of]} for of in names]
    points += list(told.values())
    place = alt.X(
        "days:Q",
        scale=alt.Scale(domain=[0, longest], nice=False),
        axis=alt.Axis(title=words.words("buyers.days"), grid=False, tickCount=max(3, width // 90)),
    )
    up = alt.Y("share:Q", scale=alt.Scale(domain=[0, 1]), axis=look.percent_axis())
    colour = alt.Color(
        "label:N",
        scale=alt.Scale(domain=list(names.values()), range=[look.CURVES[1], look.ACCENT]),
        legend=alt.Legend(symbolOpacity=1),
    )
    base = alt.Chart()
    band = (
        base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_area(opacity=0.18, interpolate="step-after")
        .encode(x=place, y=alt.Y("low:Q", scale=alt.Scale(domain=[0, 1])), y2="high:Q", color=colour)
    )
    lines = base.mark_line(strokeWidth=2, interpolate="step-after").encode(x=place, y=up, color=colour)
    layers = [band, lines]
    if window is not None:
        text = words.words("buyers.window", days=words.number(window))
        mark = look.values([{"days": window, "share": 0.06, "text": text}])
        rule = alt.Chart(mark).mark_rule(color=look.INK_SOFT, strokeDash=[4, 4]).encode(x=place)
        left = window > longest / 2
        label = alt.Chart(mark).mark_text(align="right" if left else "left", dx=-6 if left else 6, color=look.INK)
        layers += [rule, label.encode(x=place, y=alt.Y("share:Q"), text="text:N")]
    return look.finished(layers, width, height or (320 if width >= 480 else 270), points, list(names.values()))


def rfm_map(rows: Any, language: str = "en", width: int = look.WIDE, height: int = 0) -> alt.LayerChart:
    """Buyers by recency (up) and frequency (right), five scores each: the cells in the colours of their segments.

    rows: `recency`, `frequency` (1 to 5), `segment` (a name of measure.rfm.SEGMENTS), `customers`; every cell once.
    """
    import altair as alt

    words = language_of(language)
    cells = [
        {
            **row,
            "label": words.words(f"rfm.{row['segment']}"),
            "text": words.number(row["customers"]),
            "ink": "#ffffff" if row["segment"] in _DARK else look.INK_ON_LIGHT,
        }
        for row in look.rows_of(rows)
    ]
    labels = {segment: words.words(f"rfm.{segment}") for segment in _TONES}
    place = alt.X(
        "frequency:O",
        axis=alt.Axis(title=words.words("rfm.frequency"), labelAngle=0, domain=False, ticks=False),
        scale=alt.Scale(paddingInner=0.04),
    )
    up = alt.Y(
        "recency:O",
        sort="descending",
        axis=alt.Axis(title=words.words("rfm.recency"), domain=False, ticks=False),
        scale=alt.Scale(paddingInner=0.04),
    )
    colour = alt.Color("label:N", scale=alt.Scale(domain=list(labels.values()), range=list(_TONES.values())))
    base = alt.Chart()
    drawn = base.mark_rect(cornerRadius=2).encode(x=place, y=up, color=colour)
    texts = base.mark_text(fontSize=13, fontWeight=600).encode(
        x=place, y=up, text="text:N", color=alt.Color("ink:N", scale=None)
    )
    named = list(labels.values())
    return look.finished(
        [drawn, texts], width, height or (400 if width >= 480 else 440), cells, named, is_coloured_apart=True
    )
