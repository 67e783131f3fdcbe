"""Whom to call among those who left: of each kind of customer how many left, and how many of them are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt


def called(rows: Any, language: str = "en", width: int = look.WIDE, height: int = 0) -> alt.LayerChart:
    """A bar of who left with the called in front, for each third of what was paid.

    rows: `label` (the third), `known` (whether a reason is known), `called`, `stands_for` (how many left), in the order
    shown.
    """
    import altair as alt

    words = language_of(language)
    told = [dict(row) for row in look.rows_of(rows)]
    for row in told:
        what = words.words("explain.reason_known" if row["known"] else "explain.reason_unknown")
        row["place"] = f"{what} · {row['label']}"
        row["text"] = words.words(
            "explain.called", called=words.number(row["called"]), left=words.number(round(row["stands_for"]))
        )
    labels = [row["place"] for row in told]
    top = max((float(row["stands_for"]) for row in told), default=1.0) or 1.0
    scale = alt.Scale(domain=[0, top * (1.35 if width >= 480 else 1.9)], nice=False)
    axis = alt.Axis(title=words.words("explain.left_by_choice"), tickCount=4 if width < 480 else 6)
    labelled = alt.Axis(grid=False, labelLimit=150 if width < 480 else 330, labelColor=look.INK)
    place = alt.Y("place:N", sort=labels, title=None, axis=labelled)
    base = alt.Chart()
    whole = base.mark_bar(cornerRadius=1.5, height=16, color="#d5dade").encode(
        y=place, x=alt.X("stands_for:Q", scale=scale, axis=axis)
    )
    part = base.mark_bar(cornerRadius=1.5, height=16, color=look.ACCENT).encode(
        y=place, x=alt.X("called:Q", scale=scale, axis=axis)
    )
    texts = base.mark_text(align="left", dx=6).encode(
        y=place, x=alt.X("stands_for:Q", scale=scale, axis=axis), text="text:N"
    )
    return look.finished([whole, part, texts], width, height or 32 * max(1, len(labels)) + 56, told)
