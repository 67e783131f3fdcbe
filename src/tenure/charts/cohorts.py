"""Which cohorts carry the revenue, and how much of each is still there?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt


def layer_cake(
    rows: Any,
    currency: str,
    language: str = "en",
    grain: str = "month",
    width: int = look.WIDE,
    height: int = 0,
) -> alt.LayerChart:
    """Revenue by the cohort it comes from, the oldest at the bottom.

    rows: `period` (first day), `cohort` (text that sorts in time), `amount` (major units). A pair of period
    and cohort that is missing counts as nothing. Layers that keep their height are customers who stay and grow.
    """
    import altair as alt

    words = language_of(language)
    amounts: dict[tuple[str, str], float] = {}
    for row in look.rows_of(rows):
        key = (str(look.plain(row["period"])), str(row["cohort"]))
        amounts[key] = amounts.get(key, 0.0) + float(row["amount"])
    periods = sorted({period for period, _ in amounts})
    cohorts = sorted({cohort for _, cohort in amounts})
    told = [
        {"period": period, "cohort": cohort, "amount": max(amounts.get((period, cohort), 0.0), 0.0), "order": order}
        for order, cohort in enumerate(cohorts)
        for period in periods
    ]
    # A legend of thirty cohorts is noise: name some, the eye fills in the rest.
    most = 4 if width < 480 else 9
    step = max(1, math.ceil(len(cohorts) / most))
    chart = (
        alt.Chart()
        .mark_area(stroke=look.PAPER, strokeWidth=0.6)
        .encode(
            x=alt.X("period:O", axis=look.period_axis(words, periods, grain, width), scale=alt.Scale(padding=0)),
            y=alt.Y("amount:Q", stack="zero", axis=look.money_axis(words, currency)),
            color=alt.Color(
                "cohort:N",
                scale=alt.Scale(domain=cohorts, range=look.layers(len(cohorts))),
                legend=alt.Legend(values=cohorts[::step], title=None),
            ),
            order="order:Q",
        )
    )
    return look.finished([chart], width, height or (320 if width >= 480 else 270), told, cohorts[::step])


def cohort_heatmap(
    rows: Any,
    measure: str = "customers",
    language: str = "en",
    grain: str = "month",
    width: int = look.WIDE,
    height: int = 0,
) -> alt.LayerChart:
    """How much of each cohort is left after 1, 2, 3 ... periods.

    rows: `cohort` (text, kept in the order given), `age` (whole periods since the start, 0 = the start), `value`
    (fraction of the start; None where nothing has been observed yet), optionally `size` (customers at the start).
    measure: customers, revenue, or orders (share that bought in that period: its scale leaves the first period out).
    """
    import altair as alt

    words = language_of(language)
    told = [row for row in look.rows_of(rows) if row["value"] is not None]
    cohorts = list(dict.fromkeys(str(row["cohort"]) for row in told))
    ages = sorted({int(row["age"]) for row in told})
    if width < 480:
        # A phone has room for the first ages of the latest cohorts.
        cohorts, ages = cohorts[-12:], ages[:8]
        told = [row for row in told if row["age"] in set(ages) and str(row["cohort"]) in set(cohorts)]
    later = [float(row["value"]) for row in told if row["age"] > 0] or [1.0]
    low = min(later)
    high = max(later) if measure == "orders" else max(1.0, *later)
    low = 0.0 if measure == "orders" else math.floor(low * 10) / 10
    if high <= low:
        high = low + 0.1
    column = (width - 110) / max(len(ages), 1)
    size = 12 if column >= 38 else 10 if column >= 27 else 0
    digits = 1 if measure == "orders" and column >= 40 else 0
    for row in told:
        share = (min(float(row["value"]), high) - low) / (high - low)
        row["shade"] = "dark" if share > 0.52 else "light"
        row["text"] = words.number(float(row["value"]) * 100, digits)
    unit = words.words(f"units.{grain}s")
    title = words.words("charts.months_since_order" if measure == "orders" else "charts.months_since", unit=unit)
    title = title[0].upper() + title[1:]
    base = alt.Chart().encode(
        x=alt.X(
            "age:O",
            title=title,
            axis=alt.Axis(
                labelAngle=0, orient="top", grid=False, labelOverlap=True, values=ages if len(ages) <= 18 else ages[::3]
            ),
        ),
        y=alt.Y("cohort:N", sort=cohorts, title=None, axis=alt.Axis(grid=False, labelLimit=100)),
    )
    cells = base.mark_rect(stroke=look.PAPER, strokeWidth=1.5, cornerRadius=2).encode(
        color=alt.Color(
            "value:Q",
            scale=alt.Scale(domain=[low, high], range=look.heat(), clamp=True, interpolate="rgb"),
            legend=None,
        )
    )
    layers: list[Any] = [cells]
    if size:
        shade = alt.Scale(domain=["dark", "light"], range=["#ffffff", look.INK_ON_LIGHT])
        text = base.mark_text(fontSize=size).encode(text="text:N", color=alt.Color("shade:N", scale=shade, legend=None))
        layers.append(text)
    row_height = 26 if len(cohorts) <= 18 else 20
    return look.finished(layers, width, height or row_height * len(cohorts) + 62, told, is_coloured_apart=True)
