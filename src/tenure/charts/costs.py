"""What did churn cost? What was lost, what may go next and what was kept, a bar each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt

# Of each section the sums that stand beside each other; what is part of another of them is left out.
BARS = {
    "lost": ("arr_lost", "forgone_value"),
    "replacing": ("replacement_cost",),
    "at_risk": ("arr_scheduled", "arr_past_due", "arr_renewal"),
    "protected": ("arr_saved", "arr_recovered", "arr_won_back"),
    "point": ("point_revenue_12m",),
}
COLOURS = {
    "lost": look.KINDS["churn"],
    "replacing": look.KINDS["contraction"],
    "at_risk": look.KINDS["pause"],
    "protected": look.KINDS["new"],
    "point": look.KINDS["expansion"],
}


def cost_of_churn(
    rows: Any, currency: str, language: str = "en", width: int = look.WIDE, height: int = 0
) -> alt.LayerChart:
    """Sums of money, lying, in groups: lost, replacing it, at risk, protected, one point of churn.

    rows: `section`, `line` and `value` (major units of `currency`, None: left out), as Cost.rows() has them.
    """
    import altair as alt

    words = language_of(language)
    told = {(row["section"], row["line"]): row["value"] for row in look.rows_of(rows)}
    bars: list[dict[str, Any]] = []
    for section, names in BARS.items():
        for name in names:
            value = told.get((section, name))
            if value is not None:
                bars.append(
                    {
                        "label": words.words(f"cost.{name}"),
                        "group": words.words(f"cost.{section}"),
                        "value": value,
                        "text": words.money(value, currency, whole=True),
                    }
                )
    labels = [bar["label"] for bar in bars]
    groups = list(dict.fromkeys(bar["group"] for bar in bars))
    colours = {words.words(f"cost.{section}"): colour for section, colour in COLOURS.items()}
    most = max((float(bar["value"]) for bar in bars), default=1.0) or 1.0
    place = alt.Y("label:N", sort=labels, title=None, axis=alt.Axis(labelLimit=260, grid=False))
    # Room behind the longest bar for its number.
    along = alt.X(
        "value:Q", scale=alt.Scale(domain=[0, most * 1.25], nice=False), axis=look.money_axis(words, currency)
    )
    colour = alt.Color(
        "group:N",
        scale=alt.Scale(domain=groups, range=[colours[group] for group in groups]),
        legend=alt.Legend(title=None, orient="top", symbolType="square", columns=3),
    )
    base = alt.Chart()
    drawn = base.mark_bar(cornerRadius=1.5).encode(y=place, x=along, color=colour)
    texts = base.mark_text(align="left", dx=6, fontWeight=600, fontSize=12).encode(y=place, x=along, text="text:N")
    return look.finished([drawn, texts], width, height or 30 * len(bars) + 50, bars)
