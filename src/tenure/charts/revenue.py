"""A rate over time, and what a business that sells orders earns and from how many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt


def revenue_by_period(
    rows: Any,
    currency: str,
    language: str = "en",
    grain: str = "month",
    width: int = look.WIDE,
    height: int = 0,
) -> alt.LayerChart:
    """Revenue of each period.  rows: `period` (first day), `revenue` (major units, net of returns)."""
    import altair as alt

    words = language_of(language)
    told = look.rows_of(rows)
    chart = (
        alt.Chart()
        .mark_bar(color=look.ACCENT, cornerRadiusTopLeft=1.5, cornerRadiusTopRight=1.5)
        .encode(
            x=alt.X(
                "period:O",
                axis=look.period_axis(words, (str(look.plain(row["period"])) for row in told), grain, width),
                scale=alt.Scale(paddingInner=0.25),
            ),
            y=alt.Y("revenue:Q", axis=look.money_axis(words, currency)),
        )
    )
    return look.finished([chart], width, height or 260, told)


def customers_by_period(
    rows: Any, language: str = "en", grain: str = "month", width: int = look.WIDE, height: int = 0
) -> alt.LayerChart:
    """Customers who bought in each period: those who had bought before, and the new on top.

    rows: `period` (first day), `customers` (all who bought), `new_customers` (bought for the first time).
    """
    import altair as alt

    words = language_of(language)
    told = look.rows_of(rows)
    parts = []
    before, new = words.words("charts.returning_customers"), words.words("charts.new_customers")
    for row in told:
        period = look.plain(row["period"])
        parts.append(
            {"period": period, "who": before, "customers": row["customers"] - row["new_customers"], "order": 0}
        )
        parts.append({"period": period, "who": new, "customers": row["new_customers"], "order": 1})
    chart = (
        alt.Chart()
        .mark_bar()
        .encode(
            x=alt.X(
                "period:O",
                axis=look.period_axis(words, (str(part["period"]) for part in parts), grain, width),
                scale=alt.Scale(paddingInner=0.25),
            ),
            y=alt.Y("customers:Q", stack="zero", title=None, axis=alt.Axis(tickCount=5, format="~s")),
            color=alt.Color("who:N", scale=alt.Scale(domain=[before, new], range=[look.ACCENT, look.KINDS["resume"]])),
            order="order:Q",
        )
    )
    return look.finished([chart], width, height or 260, parts, [before, new])


def rate_over_time(
    rows: Any,
    target: float | None = None,
    language: str = "en",
    grain: str = "month",
    width: int = look.WIDE,
    height: int = 0,
) -> alt.LayerChart:
    """One rate over time with its interval, and the target if there is one.

    rows: `period` (first day), `value`, `low`, `high` (fractions; None leaves a gap).
    """
    import altair as alt

    words = language_of(language)
    told = look.rows_of(rows)
    place = alt.X(
        "period:O",
        axis=look.period_axis(words, (str(look.plain(row["period"])) for row in told), grain, width),
        scale=alt.Scale(padding=0.2),
    )
    axis = look.percent_axis()
    base = alt.Chart()
    scale = alt.Scale(zero=False, nice=True)
    band = (
        base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_area(color=look.ACCENT, opacity=0.16)
        .encode(x=place, y=alt.Y("low:Q", axis=axis, scale=scale), y2="high:Q")
    )
    line = base.mark_line(
        color=look.ACCENT, strokeWidth=2, point=alt.OverlayMarkDef(color=look.ACCENT, size=26)
    ).encode(x=place, y=alt.Y("value:Q", axis=axis, scale=scale))
    layers: list[Any] = [band, line]
    if target is not None:
        goal = alt.Chart(look.values([{"target": target}])).mark_rule(color=look.WARM, strokeDash=[4, 4])
        layers.append(goal.encode(y=alt.Y("target:Q", axis=axis, scale=scale)))
    return look.finished(layers, width, height or 240, told)
