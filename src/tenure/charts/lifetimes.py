"""How long do customers stay, and when do they leave?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import Language
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt


def survival(
    rows: Any, unit: str = "months", language: str = "en", width: int = look.WIDE, height: int = 0
) -> alt.LayerChart:
    """The share of customers still there at each tenure, as steps with their bands (Kaplan-Meier).

    rows: `segment` ("" = everybody), `at` (tenure in `unit`), `survival`, `low`, `high` (fractions; bands may be None).
    Each curve starts at 1. Points closer than a pixel are thinned out: steps move by at most that.
    """
    import altair as alt

    words = language_of(language)
    curves: dict[str, list[dict[str, Any]]] = {}
    for row in look.rows_of(rows):
        curves.setdefault(str(row.get("segment") or ""), []).append(dict(row))
    told: list[dict[str, Any]] = []
    longest = max((float(point["at"]) for points in curves.values() for point in points), default=1.0) or 1.0
    for segment, points in curves.items():
        ordered = sorted(points, key=lambda point: float(point["at"]))
        if not ordered or float(ordered[0]["at"]) > 0:
            ordered.insert(0, {"at": 0, "survival": 1.0, "low": 1.0, "high": 1.0})
        kept: dict[int, dict[str, Any]] = {int(float(point["at"]) / longest * width): point for point in ordered}
        if ordered[0] not in kept.values():
            told.append({**ordered[0], "segment": segment})
        told.extend({**point, "segment": segment} for point in kept.values())
    names = {segment: segment or words.words("charts.everybody") for segment in curves}
    for point in told:
        point["label"] = names[point["segment"]]
    colour = alt.Color(
        "label:N",
        scale=alt.Scale(domain=list(names.values()), range=list(look.CURVES[: len(names)] or look.CURVES[:1])),
        legend=alt.Legend(symbolOpacity=1) if len(names) > 1 else None,
    )
    place = alt.X(
        "at:Q", axis=_tenure_axis(words, unit, longest, width), scale=alt.Scale(domain=[0, longest], nice=False)
    )
    height_axis = look.percent_axis()
    base = alt.Chart()
    bands = (
        base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_area(opacity=0.18, interpolate="step-after")
        .encode(x=place, y=alt.Y("low:Q", axis=height_axis, scale=alt.Scale(domain=[0, 1])), y2="high:Q", color=colour)
    )
    lines = base.mark_line(strokeWidth=2, interpolate="step-after").encode(
        x=place, y=alt.Y("survival:Q", axis=height_axis, scale=alt.Scale(domain=[0, 1])), color=colour
    )
    half = (
        alt.Chart(look.values([{"half": 0.5}]))
        .mark_rule(color=look.INK_SOFT, strokeDash=[2, 4])
        .encode(y=alt.Y("half:Q"))
    )
    return look.finished(
        [bands, half, lines], width, height or (320 if width >= 480 else 270), told, list(names.values())
    )


def hazard(
    rows: Any, unit: str = "months", language: str = "en", width: int = look.WIDE, height: int = 0
) -> alt.LayerChart:
    """Of those who got that far, the share that leaves within the next unit of tenure, with intervals.

    rows: `start`, `end` (tenure in `unit`, half-open), `hazard`, `low`, `high` (fractions per unit; intervals may
    be None).
    """
    import altair as alt

    words = language_of(language)
    told = [{**row, "middle": (float(row["start"]) + float(row["end"])) / 2} for row in look.rows_of(rows)]
    longest = max((float(row["end"]) for row in told), default=1.0) or 1.0
    # The tail has few customers: let its intervals run out of the picture rather than flatten everything else.
    peak = max((float(row["hazard"]) for row in told), default=0.0)
    highs = sorted(float(row["high"]) for row in told if row.get("high") is not None)
    top = max(peak * 1.15, highs[int(len(highs) * 0.9)] if highs else 0.0) or 0.01
    for row in told:
        row["seen_high"] = min(float(row["high"]), top) if row.get("high") is not None else None
    place = alt.X(
        "middle:Q", axis=_tenure_axis(words, unit, longest, width), scale=alt.Scale(domain=[0, longest], nice=False)
    )
    scale = alt.Scale(domain=[0, top], clamp=True)
    axis = look.percent_axis()
    base = alt.Chart()
    spans = (
        base.transform_filter("isValid(datum.low) && isValid(datum.seen_high)")
        .mark_rule(color=look.ACCENT, opacity=0.4, strokeWidth=max(1.5, min(6.0, width / max(len(told), 1) / 3)))
        .encode(x=place, y=alt.Y("low:Q", axis=axis, scale=scale), y2="seen_high:Q")
    )
    line = base.mark_line(color=look.ACCENT, strokeWidth=1, opacity=0.5).encode(
        x=place, y=alt.Y("hazard:Q", axis=axis, scale=scale)
    )
    dots = base.mark_point(color=look.ACCENT, filled=True, size=44, opacity=1).encode(
        x=place, y=alt.Y("hazard:Q", axis=axis, scale=scale)
    )
    return look.finished([spans, line, dots], width, height or (280 if width >= 480 else 240), told)


def _tenure_axis(words: Language, unit: str, longest: float, width: int) -> alt.Axis:
    import altair as alt

    step = {"months": 3, "days": 30, "weeks": 13, "years": 1}.get(unit, 1)
    room = max(2, width // 60)
    multiple = 1
    while longest / (step * multiple) > room:
        multiple *= 2
    ticks = [step * multiple * index for index in range(int(longest / (step * multiple)) + 1)]
    title = words.words("charts.tenure", unit=words.words(f"units.{unit}"))
    return alt.Axis(values=ticks, grid=False, title=title[0].upper() + title[1:])
