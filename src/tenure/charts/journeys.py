"""When in their life do they leave, and what happened around a change? The hazard with its spikes; month by month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt


def hazard_with_spikes(rows: Any, language: str = "en", width: int = look.WIDE, height: int = 0) -> alt.LayerChart:
    """Of those who got to each month of life, the share that left in it: dots on intervals, spikes named and in colour.

    rows: `month` (1 is the first), `hazard`, `low`, `high` (fractions a month), `level` (what the neighbours foretell,
    None where they tell none), `spike` (its name, None where it is none).
    """
    import altair as alt

    words = language_of(language)
    told = [dict(row) for row in look.rows_of(rows)]
    peak = max((float(row["hazard"]) for row in told), default=0.0)
    highs = sorted(float(row["high"]) for row in told if row.get("high") is not None)
    top = max(peak * 1.25, highs[int(len(highs) * 0.8)] if highs else 0.0) or 0.01
    longest = max((int(row["month"]) for row in told), default=1)
    for row in told:
        row["is_spike"] = row["spike"] is not None
        row["seen_high"] = min(float(row["high"]), top) if row.get("high") is not None else None
        # A name near the right edge is written to the left of its dot.
        row["right"] = row["month"] > 0.7 * longest
    step = 1 if longest <= 12 else 3 if longest <= 36 else 6
    place = alt.X(
        "month:Q",
        axis=alt.Axis(title=words.words("explain.age"), values=list(range(0, longest + 1, step)), grid=False),
        scale=alt.Scale(domain=[0, longest + 1], nice=False),
    )
    scale = alt.Scale(domain=[0, top], clamp=True)
    # Written across the top: standing on its side, Thai's upper marks would be cut.
    axis = look.percent_axis(words.words("explain.hazard"), titleAngle=0, titleAlign="left", titleX=0, titleY=-14)
    colour = alt.Color("is_spike:N", scale=alt.Scale(domain=[False, True], range=[look.ACCENT, look.WARM]), legend=None)
    base = alt.Chart()
    level = (
        base.transform_filter("isValid(datum.level)")
        .mark_line(color=look.INK_SOFT, strokeDash=[4, 3], strokeWidth=1.5)
        .encode(x=place, y=alt.Y("level:Q", axis=axis, scale=scale))
    )
    spans = (
        base.transform_filter("isValid(datum.low) && isValid(datum.seen_high)")
        .mark_rule(opacity=0.35, strokeWidth=max(1.5, min(6.0, width / max(len(told), 1) / 3)))
        .encode(x=place, y=alt.Y("low:Q", axis=axis, scale=scale), y2="seen_high:Q", color=colour)
    )
    dots = base.mark_point(filled=True, size=55, opacity=1).encode(
        x=place, y=alt.Y("hazard:Q", axis=axis, scale=scale), color=colour
    )
    names = [
        base.transform_filter(f"datum.is_spike && {'' if right else '!'}datum.right")
        .mark_text(align="right" if right else "left", dx=-9 if right else 9, dy=-6, color=look.INK)
        .encode(x=place, y=alt.Y("hazard:Q", axis=axis, scale=scale), text="spike:N")
        for right in (False, True)
    ]
    return look.finished([level, spans, dots, *names], width, height or (320 if width >= 480 else 270), told)


def around_a_change(
    rows: Any, language: str = "en", width: int = look.WIDE, height: int = 0, title: str = ""
) -> alt.LayerChart:
    """How much more those touched left than others, month by month around the announcement, with 95 % intervals.

    rows: `month` (0 is the first after the announcement), `difference`, `low`, `high` (fractions a month; None is left
    out). title: which change, written under the months.
    """
    import altair as alt

    words = language_of(language)
    told = [{**row, "after": int(row["month"]) >= 0} for row in look.rows_of(rows) if row["difference"] is not None]
    ends = [0.0, *(float(row[end]) for row in told for end in ("low", "high") if row[end] is not None)]
    span = (max(ends) - min(ends)) or 0.02
    first, last = (
        min((int(row["month"]) for row in told), default=-1),
        max((int(row["month"]) for row in told), default=1),
    )
    label = words.words("explain.from_announcement")
    place = alt.X(
        "month:Q",
        axis=alt.Axis(
            title=f"{label} · {title}" if title else label, values=list(range(first, last + 1)), grid=False, format="+d"
        ),
        scale=alt.Scale(domain=[first - 0.6, last + 0.6], nice=False),
    )
    axis = alt.Axis(  # its title across the top, as above
        title=words.words("explain.beside_others"),
        titleAngle=0,
        titleAlign="left",
        titleX=0,
        titleY=-14,
        tickCount=6,
        labelExpr="(datum.value > 0 ? '+' : datum.value < 0 ? '−' : '') + format(abs(datum.value) * 100, '.2~f')",
    )
    scale = alt.Scale(domain=[min(ends) - 0.05 * span, max(ends) + 0.05 * span], nice=False)
    colour = alt.Color("after:N", scale=alt.Scale(domain=[False, True], range=["#9aa5ae", look.WARM]), legend=None)
    zero = (
        alt.Chart(look.values([{"zero": 0}]))
        .mark_rule(color=look.INK_SOFT)
        .encode(y=alt.Y("zero:Q", scale=scale, axis=axis))
    )
    announced = (
        alt.Chart(look.values([{"then": -0.5}]))
        .mark_rule(color=look.INK_SOFT, strokeDash=[3, 3])
        .encode(x=alt.X("then:Q", scale=alt.Scale(domain=[first - 0.6, last + 0.6], nice=False)))
    )
    base = alt.Chart()
    spans = (
        base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_rule(strokeWidth=5, opacity=0.35, strokeCap="round")
        .encode(x=place, y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q", color=colour)
    )
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=place, y=alt.Y("difference:Q", scale=scale, axis=axis), color=colour
    )
    return look.finished([zero, announced, spans, dots], width, height or (300 if width >= 480 else 260), told)
