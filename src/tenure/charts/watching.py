"""Has a number left its usual range? Its past, the range that the past makes usual, and where it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import Language
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt

MOST = 12  # pictures under each other; what is odder comes first


def left_its_range(
    rows: Any, language: str = "en", grain: str = "month", width: int = look.WIDE, height: int = 150
) -> alt.VConcatChart:
    """One small picture per metric, segment and currency: the past as a line, the latest number on its usual range.

    rows: `metric`, `segment` (dict or None), `currency`, `unit` (money, count, rate, ratio), `period` (first day),
    `value`, and for the latest period of each `usual_low`, `usual_high`, `is_out`, `is_better`; periods in order.
    The first MOST pictures are drawn.
    """
    words = language_of(language)
    pictures: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in look.rows_of(rows):
        place = ", ".join(str(value or "?") for value in (row["segment"] or {}).values())
        pictures.setdefault((row["metric"], place, row["currency"] or ""), []).append(row)
    drawn = [_picture(words, *of, found, grain, width, height) for of, found in list(pictures.items())[:MOST]]
    return look.stacked(drawn, width)


def _picture(
    words: Language, metric: str, place: str, currency: str, rows: list[dict[str, Any]], grain: str, *size: int
) -> alt.LayerChart:
    import altair as alt

    width, height = size
    unit, now = rows[0]["unit"], rows[-1]
    told = [{"period": look.plain(row["period"]), "value": row["value"]} for row in rows]
    if unit == "money":
        axis = look.money_axis(words, currency, tickCount=4)
    else:
        form = {"rate": ".1%", "count": "~s"}.get(unit, ".2f")
        axis = alt.Axis(format=form, title=None, tickCount=4)
    x = alt.X(
        "period:O",
        axis=look.period_axis(words, (str(row["period"]) for row in told), grain, width),
        scale=alt.Scale(padding=0.5),
    )
    scale = alt.Scale(zero=unit in ("money", "count"))
    colour = look.WARM if now["is_out"] and not now["is_better"] else look.ACCENT
    latest = {
        "period": look.plain(now["period"]),
        "value": now["value"],
        "low": now["usual_low"],
        "high": now["usual_high"],
    }
    base = alt.Chart(look.values(told))
    here = alt.Chart(look.values([latest]))
    usual = (
        here.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_rule(color=look.ACCENT, opacity=0.3, strokeWidth=12)
        .encode(x=x, y=alt.Y("low:Q", axis=axis, scale=scale), y2="high:Q")
    )
    line = base.mark_line(color=look.ACCENT, strokeWidth=1.8).encode(x=x, y=alt.Y("value:Q", axis=axis, scale=scale))
    dot = here.mark_point(filled=True, size=70, opacity=1, color=colour, shape="circle").encode(
        x=x, y=alt.Y("value:Q", axis=axis, scale=scale)
    )
    name = words.named("watch", metric)
    said = words.words("watch.out" if now["is_out"] else "watch.within")
    title = alt.TitleParams(
        " · ".join(filter(None, (name, place))),
        subtitle=said,
        anchor="start",
        fontSize=13,
        color=look.INK,
        subtitleColor=colour if now["is_out"] else look.INK_SOFT,
    )
    return alt.layer(usual, line, dot, width=width, height=height, title=title)
