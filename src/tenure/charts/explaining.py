"""Why do they leave? Differences with their intervals, shares by cause, and churn by tenth of what customers do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt


def churn_by_tenth(
    rows: Any,
    metrics: Sequence[str],
    stands: Collection[str] = (),
    language: str = "en",
    width: int = look.WIDE,
    height: int = 0,
) -> alt.LayerChart:
    """The share who left a month in each tenth of each metric: a dot on its interval, a strip for each metric.

    rows: `metric` (as it is shown), `tenth` (1 to 10), `churn`, `low`, `high` (fractions). metrics: the strips, in
    order; those in `stands` are more than noise and drawn in colour, the others grey.
    """
    import altair as alt

    words = language_of(language)
    told = look.rows_of(rows)
    top = max((float(row["churn"]) for row in told), default=0.01) * 1.6 or 0.01
    band = 1.0 / max(1, len(metrics))
    drawn: list[dict[str, Any]] = []
    for row in told:
        floor = 1 - band * (metrics.index(row["metric"]) + 1)
        reach = band * 0.82 / top

        def up(share: Any, floor: float = floor, reach: float = reach) -> float:
            return floor + min(float(share), top) * reach

        drawn.append(
            {
                "tenth": row["tenth"],
                "y": up(row["churn"]),
                "low": up(row["low"]),
                "high": up(row["high"]),
                "stands": row["metric"] in stands,
                "text": words.percent(float(row["churn"])),
            }
        )
    names = [
        {"metric": name, "y": 1 - band * i - band * 0.06, "floor": 1 - band * (i + 1)} for i, name in enumerate(metrics)
    ]
    scale = alt.Scale(domain=[0, 1], nice=False, zero=False)
    place = alt.X(
        "tenth:O",
        title=words.words("explain.tenth"),
        axis=alt.Axis(labelAngle=0, grid=False),
        scale=alt.Scale(domain=list(range(1, 11))),
    )
    colour = alt.Color("stands:N", scale=alt.Scale(domain=[True, False], range=[look.WARM, "#9aa5ae"]), legend=None)
    axis = None
    spans = (
        alt.Chart()
        .mark_rule(strokeWidth=5, opacity=0.3, strokeCap="round")
        .encode(x=place, y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q", color=colour)
    )
    dots = (
        alt.Chart()
        .mark_point(filled=True, size=50, opacity=1)
        .encode(x=place, y=alt.Y("y:Q", scale=scale, axis=axis), color=colour)
    )
    small = 10 if width >= 480 else 8
    texts = (
        alt.Chart()
        .mark_text(dy=-8, fontSize=small, color=look.INK_SOFT)
        .encode(x=place, y=alt.Y("high:Q", scale=scale, axis=axis), text="text:N")
    )
    labels = (
        alt.Chart(look.values(names))
        .mark_text(align="left", baseline="top", fontWeight=600)
        .encode(x=alt.value(2), y=alt.Y("y:Q", scale=scale, axis=axis), text="metric:N")
    )
    floors = alt.Chart(look.values(names)).mark_rule(color=look.LINE).encode(y=alt.Y("floor:Q", scale=scale, axis=axis))
    return look.finished([floors, spans, dots, texts, labels], width, height or 118 * max(1, len(metrics)) + 50, drawn)


def differences(
    rows: Any, language: str = "en", width: int = look.WIDE, height: int = 0, title: str = ""
) -> alt.LayerChart:
    """Who leaves more or less than others, in points a month: a dot on its interval, zero as a line.

    rows: `label`, `value`, `low`, `high` (fractions; None is left out), `stands` (more than noise), in the order shown.
    """
    import altair as alt

    words = language_of(language)
    told = [dict(row) for row in look.rows_of(rows) if row["value"] is not None]
    for row in told:
        row["text"] = words.points(float(row["value"]))
        row["low"] = row["value"] if row["low"] is None else row["low"]
        row["high"] = row["value"] if row["high"] is None else row["high"]
        row["stands"] = bool(row["stands"])
    labels = [str(row["label"]) for row in told]
    ends = [0.0, *(float(row["low"]) for row in told), *(float(row["high"]) for row in told)]
    span = (max(ends) - min(ends)) or 0.02
    scale = alt.Scale(domain=[min(ends) - 0.05 * span, max(ends) + (0.14 if width >= 480 else 0.3) * span], nice=False)
    axis = alt.Axis(
        title=title or words.words("explain.points"),
        tickCount=4 if width < 480 else 7,
        labelExpr="(datum.value > 0 ? '+' : datum.value < 0 ? '−' : '') + format(abs(datum.value) * 100, '.2~f')",
    )
    colour = alt.Color("stands:N", scale=alt.Scale(domain=[True, False], range=[look.WARM, "#9aa5ae"]), legend=None)
    place = alt.Y(
        "label:N",
        sort=labels,
        title=None,
        axis=alt.Axis(grid=False, labelLimit=150 if width < 480 else 330, labelColor=look.INK),
    )
    zero = alt.Chart(look.values([{"zero": 0}])).mark_rule(color=look.INK_SOFT, strokeDash=[3, 3])
    base = alt.Chart()
    spans = base.mark_rule(strokeWidth=5, opacity=0.35, strokeCap="round").encode(
        y=place, x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", color=colour
    )
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=place, x=alt.X("value:Q", scale=scale, axis=axis), color=colour
    )
    texts = base.mark_text(align="left", dx=8).encode(y=place, x=alt.X("high:Q", scale=scale, axis=axis), text="text:N")
    layers = [zero.encode(x=alt.X("zero:Q", scale=scale, axis=axis)), spans, dots, texts]
    return look.finished(layers, width, height or 30 * max(1, len(labels)) + 62, told)


def shares(rows: Any, language: str = "en", width: int = look.WIDE, height: int = 0, title: str = "") -> alt.LayerChart:
    """Of everything, how much each: a lying bar with its interval, unknown in grey.

    rows: `label`, `share`, optionally `low`, `high` (fractions), `text` (else the share), `unknown` (true is grey), in
    the order shown.
    """
    import altair as alt

    words = language_of(language)
    told = [dict(row) for row in look.rows_of(rows) if row["share"] is not None]
    for row in told:
        row["text"] = row.get("text") or words.percent(float(row["share"]))
        row["unknown"] = bool(row.get("unknown"))
        row["end"] = row["high"] if row.get("high") is not None else row["share"]
    labels = [str(row["label"]) for row in told]
    top = max((float(row["end"]) for row in told), default=1.0) or 1.0
    scale = alt.Scale(domain=[0, top * (1.2 if width >= 480 else 1.5)], nice=False)
    axis = look.percent_axis(title or None, tickCount=4 if width < 480 else 6)
    place = alt.Y(
        "label:N",
        sort=labels,
        title=None,
        axis=alt.Axis(grid=False, labelLimit=130 if width < 480 else 260, labelColor=look.INK),
    )
    colour = alt.Color("unknown:N", scale=alt.Scale(domain=[False, True], range=[look.ACCENT, "#c9ced3"]), legend=None)
    base = alt.Chart()
    bars = base.mark_bar(cornerRadius=1.5, height=14).encode(
        y=place, x=alt.X("share:Q", scale=scale, axis=axis), color=colour
    )
    spans = (
        base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_rule(strokeWidth=1.5, color=look.INK)
        .encode(y=place, x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q")
    )
    texts = base.mark_text(align="left", dx=8).encode(y=place, x=alt.X("end:Q", scale=scale, axis=axis), text="text:N")
    return look.finished([bars, spans, texts], width, height or 28 * max(1, len(labels)) + 48, told)
