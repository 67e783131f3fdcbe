"""What lies ahead? The months that were as a line, those to come as a fan, and a what-if as a second line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt

FIGURES = ("mrr", "customers", "tickets")


def fan(
    rows: Any, figure: str, currency: str = "", language: str = "en", width: int = look.WIDE, height: int = 0
) -> alt.LayerChart:
    """A fan chart of one figure.

    rows: `scenario` (known, forecast, what if), `period` (first day of the month), `value`, and of months to come
    `low`, `low_80`, `high_80`, `high` (95 % and 80 %). figure: mrr (money of `currency`), customers or tickets. The
    what-if is drawn as a line; its band would hide the forecast's.
    """
    import altair as alt

    words = language_of(language)
    told = look.rows_of(rows)
    names = {
        "known": words.words("forecast.known"),
        "forecast": words.words("forecast.forecast"),
        "what if": words.words("forecast.what_if"),
    }
    told = [{**row, "period": str(look.plain(row["period"])), "line": names[row["scenario"]]} for row in told]
    there = [name for key, name in names.items() if any(row["scenario"] == key for row in told)]
    colours = {names["known"]: look.INK, names["forecast"]: look.ACCENT, names["what if"]: look.WARM}
    place = alt.X(
        "period:O",
        axis=look.period_axis(words, (row["period"] for row in told), "month", width),
        scale=alt.Scale(padding=0.2),
    )
    title = words.words(f"forecast.{figure}")
    axis = look.money_axis(words, currency) if figure == "mrr" else alt.Axis(tickCount=5, format="~s", title=None)
    up = alt.Scale(zero=False, nice=True)
    base = alt.Chart()
    of_forecast = base.transform_filter("datum.scenario == 'forecast' && isValid(datum.low)")
    wide = of_forecast.mark_area(color=look.ACCENT, opacity=0.14).encode(
        x=place, y=alt.Y("low:Q", axis=axis, scale=up), y2="high:Q"
    )
    narrow = of_forecast.mark_area(color=look.ACCENT, opacity=0.2).encode(
        x=place, y=alt.Y("low_80:Q", axis=axis, scale=up), y2="high_80:Q"
    )
    lines = base.mark_line(strokeWidth=2.2).encode(
        x=place,
        y=alt.Y("value:Q", axis=axis, scale=up),
        color=alt.Color(
            "line:N",
            scale=alt.Scale(domain=there, range=[colours[name] for name in there]),
            legend=alt.Legend(title=title, titleLimit=300, labelLimit=420, symbolType="stroke", symbolStrokeWidth=3),
        ),
        strokeDash=alt.StrokeDash(
            "scenario:N", scale=alt.Scale(domain=list(names), range=[[1, 0], [1, 0], [6, 3]]), legend=None
        ),
    )
    return look.finished([wide, narrow, lines], width, height or (320 if width >= 480 else 260), told, there)
