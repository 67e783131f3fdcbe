"""Which segment loses more customers, and is that more than noise?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt


def churn_by_segment(
    rows: Any, overall: float | None = None, language: str = "en", width: int = look.WIDE, height: int = 0
) -> alt.LayerChart:
    """Each segment's churn rate as a dot on its interval, beside the rate of all customers.

    rows: `segment` (text, kept in the order given), `rate`, `low`, `high` (fractions; None is left out), optionally
    `is_worse` (shown in the colour of losses). overall: the rate of everybody, drawn as a line.
    """
    import altair as alt

    words = language_of(language)
    told = [dict(row) for row in look.rows_of(rows) if row.get("rate") is not None]
    segments = list(dict.fromkeys(str(row["segment"]) for row in told))
    peak = max([float(row["rate"]) for row in told] + [overall or 0.0]) if told else 0.01
    highs = [float(row["high"]) for row in told if row.get("high") is not None]
    top = min(max([peak * 1.1, *highs]), peak * 3) or 0.01
    for row in told:
        row["text"] = words.percent(float(row["rate"]))
        row["is_worse"] = bool(row.get("is_worse"))
        row["seen_high"] = min(float(row["high"]), top) if row.get("high") is not None else None
        row["end"] = row["seen_high"] if row["seen_high"] is not None else float(row["rate"])
    colour = alt.Color("is_worse:N", scale=alt.Scale(domain=[False, True], range=[look.ACCENT, look.WARM]), legend=None)
    place = alt.Y(
        "segment:N",
        sort=segments,
        title=None,
        axis=alt.Axis(grid=False, labelLimit=100 if width < 480 else 200, labelColor=look.INK),
    )
    axis = look.percent_axis(tickCount=4 if width < 480 else 6)
    scale = alt.Scale(domain=[0, top * 1.12])
    base = alt.Chart()
    spans = (
        base.transform_filter("isValid(datum.low) && isValid(datum.seen_high)")
        .mark_rule(strokeWidth=5, opacity=0.35, strokeCap="round")
        .encode(y=place, x=alt.X("low:Q", axis=axis, scale=scale), x2="seen_high:Q", color=colour)
    )
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=place, x=alt.X("rate:Q", axis=axis, scale=scale), color=colour
    )
    texts = base.mark_text(align="left", dx=8).encode(y=place, x=alt.X("end:Q", axis=axis, scale=scale), text="text:N")
    layers: list[Any] = [spans, dots, texts]
    if overall is not None:
        line = alt.Chart(look.values([{"overall": overall}])).mark_rule(color=look.INK_SOFT, strokeDash=[3, 3])
        layers.insert(0, line.encode(x=alt.X("overall:Q", axis=axis, scale=scale)))
    return look.finished(layers, width, height or 30 * len(segments) + 42, told)
