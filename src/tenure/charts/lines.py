"""How did a number move? Any metric over its periods, a line per segment, with its interval."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt

MOST_LINES = 6  # as many as colours that can be told apart


def metric_lines(rows: Any, language: str = "en", width: int = look.WIDE, height: int = 240) -> alt.VConcatChart:
    """One small picture per metric and currency of an answer, under each other; one line per segment.

    rows: what `Answer.rows()` gives: `metric`, `period_start` (ISO date), `segment` (dict or None), `currency`, `unit`,
    `value`, `low`, `high`. Rows without a value leave a gap. Of many segments the six with the largest last value are
    drawn.
    """
    import altair as alt

    language_of(language)  # a language nobody speaks is refused
    pictures: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in look.rows_of(rows):
        pictures.setdefault((row["metric"], row["currency"] or ""), []).append(row)
    drawn = [_picture(name, currency, found, width, height) for (name, currency), found in pictures.items()]
    return alt.vconcat(*drawn, spacing=24)


def _picture(name: str, currency: str, rows: list[dict[str, Any]], width: int, height: int) -> alt.LayerChart:
    import altair as alt

    told = []
    for row in rows:
        segment = row["segment"]
        told.append(
            {
                "period": date.fromisoformat(str(row["period_start"])[:10]),
                "segment": "" if not segment else ", ".join(str(value or "?") for value in segment.values()),
                "value": row["value"],
                "low": row["low"],
                "high": row["high"],
            }
        )
    last: dict[str, float] = {}
    for row in told:
        if row["value"] is not None:
            last[row["segment"]] = float(row["value"])
    shown = sorted(last, key=lambda s: -last[s])[:MOST_LINES]
    told = [row for row in told if row["segment"] in shown]
    unit = rows[0]["unit"]
    axis = alt.Axis(format=".1%" if unit == "rate" else "~s" if unit in ("money", "count") else ".2f", title=None)
    colour = alt.Color(
        "segment:N",
        scale=alt.Scale(domain=shown, range=list(look.CURVES[: len(shown)])),
        legend=None if shown == [""] else alt.Legend(title=None, orient="top"),
    )
    base = alt.Chart(look.values(told))
    x = alt.X("period:T", title=None, axis=alt.Axis(grid=False))
    band = (
        base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_area(opacity=0.15)
        .encode(x=x, y=alt.Y("low:Q", axis=axis), y2="high:Q", color=colour)
    )
    line = base.mark_line(point=alt.OverlayMarkDef(size=24), strokeWidth=2).encode(
        x=x, y=alt.Y("value:Q", axis=axis, scale=alt.Scale(zero=unit != "ratio")), color=colour
    )
    title = f"{name} ({currency})" if currency else name
    return alt.layer(band, line).properties(width=width, height=height, title=title)
