"""Who showed a sign of a broken rhythm: of those who left later and of those who stayed, and how long before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt


def signs(rows: Any, language: str = "en", width: int = look.WIDE, height: int = 0) -> alt.LayerChart:
    """Two dots on their intervals for each sign: the share of leavers who showed it, and of those who stayed.

    rows: `label`, `caught`, `caught_low`, `caught_high`, `false_alarms`, `false_low`, `false_high` (fractions, None is
    left out), `lead_days` (the median, None without), in the order shown.
    """
    import altair as alt

    words = language_of(language)
    left, stayed = words.words("explain.left_later"), words.words("explain.stayed")
    told: list[dict[str, Any]] = []
    labels: list[str] = []
    for row in look.rows_of(rows):
        if row["caught"] is None and row["false_alarms"] is None:
            continue
        labels.append(str(row["label"]))
        for who, names in (
            (left, ("caught", "caught_low", "caught_high")),
            (stayed, ("false_alarms", "false_low", "false_high")),
        ):
            share, low, high = (row[name] for name in names)
            if share is None:
                continue
            text = words.percent(float(share))
            if who == left and row.get("lead_days") is not None:
                text += " · " + words.words(
                    "explain.days_before", row["lead_days"], days=words.number(row["lead_days"])
                )
            told.append({"label": labels[-1], "who": who, "share": share, "low": low, "high": high, "text": text})
    top = max((float(row["high"]) for row in told), default=0.1) or 0.1
    scale = alt.Scale(domain=[0, top * (1.3 if width >= 480 else 1.9)], nice=False)
    axis = look.percent_axis(words.words("explain.showed_it"), tickCount=4 if width < 480 else 6)
    labelled = alt.Axis(grid=False, labelLimit=120 if width < 480 else 300, labelColor=look.INK)
    place = alt.Y("label:N", sort=labels, title=None, axis=labelled, scale=alt.Scale(padding=0.25))
    apart = alt.YOffset("who:N", sort=[left, stayed])
    legend = alt.Legend(orient="top", title=None)
    colour = alt.Color("who:N", scale=alt.Scale(domain=[left, stayed], range=[look.WARM, "#8b979f"]), legend=legend)
    base = alt.Chart()
    x = alt.X("share:Q", scale=scale, axis=axis)
    spans = base.mark_rule(strokeWidth=5, opacity=0.35, strokeCap="round").encode(
        y=place, yOffset=apart, x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", color=colour
    )
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(y=place, yOffset=apart, x=x, color=colour)
    texts = base.mark_text(align="left", dx=8, fontSize=11 if width >= 480 else 9).encode(
        y=place, yOffset=apart, x=alt.X("high:Q", scale=scale, axis=axis), text="text:N"
    )
    return look.finished([spans, dots, texts], width, height or 52 * max(1, len(labels)) + 84, told, [left, stayed])
