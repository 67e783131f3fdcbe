"""Did winning them pay? What a newcomer is worth beside what winning one costs, a pair of bars per segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt

MOST = 12  # segments drawn: those with the most newcomers


def value_beside_cost(rows: Any, language: str = "en", width: int = look.WIDE, height: int = 0) -> alt.LayerChart:
    """Two lying bars per segment: the value of a newcomer with its interval, and the cost of winning one.

    rows: as Value.rows() has them, of one currency (of several the first is drawn): segment, currency,
    value_of_newcomer, newcomer_low, newcomer_high, cac, ltv_to_cac, newcomers. What is not known has no bar.
    """
    import altair as alt

    words = language_of(language)
    every = look.rows_of(rows)
    currency = every[0]["currency"] if every else "USD"
    mine = [row for row in every if row["currency"] == currency and row["value_of_newcomer"] is not None]
    mine = sorted(mine, key=lambda row: -row["newcomers"])[:MOST]
    names = {"value": words.words("value.newcomer"), "cost": words.words("value.cac")}
    bars: list[dict[str, Any]] = []
    for row in mine:
        segment = row["segment"]
        unknown = words.words("value.unknown")
        label = words.words("value.all") if segment is None else ", ".join(v or unknown for v in segment.values())
        ratio = row["ltv_to_cac"]
        text = words.money(row["value_of_newcomer"], currency, whole=True)
        bars.append(
            {
                "label": label, "kind": names["value"], "value": row["value_of_newcomer"], "low": row["newcomer_low"],
                "high": row["newcomer_high"], "text": text + (f"  ({ratio:.1f} : 1)" if ratio is not None else ""),
            }
        )  # fmt: skip
        if row["cac"] is not None:
            cost = words.money(row["cac"], currency, whole=True)
            told = {"label": label, "kind": names["cost"], "value": row["cac"], "low": None, "high": None}
            bars.append({**told, "text": cost})
    labels = list(dict.fromkeys(bar["label"] for bar in bars))
    most = max((float(bar["high"] or bar["value"]) for bar in bars), default=1.0) or 1.0
    kinds = list(names.values())
    place = alt.Y("label:N", sort=labels, title=None, axis=alt.Axis(labelLimit=220, grid=False))
    beside = alt.YOffset("kind:N", sort=kinds)
    along = alt.X("value:Q", scale=alt.Scale(domain=[0, most * 1.3]), axis=look.money_axis(words, currency), title=None)
    base = alt.Chart()
    bar = base.mark_bar(height={"band": 0.86}).encode(
        x=along,
        y=place,
        yOffset=beside,
        color=alt.Color(
            "kind:N",
            scale=alt.Scale(domain=kinds, range=[look.KINDS["new"], look.KINDS["contraction"]]),
            legend=alt.Legend(title=None),
        ),
    )
    ends = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(color=look.INK, strokeWidth=1.5)
        .encode(x="low:Q", x2="high:Q", y=place, yOffset=beside)
    )
    behind = alt.X("behind:Q")
    text = (
        base.transform_calculate(behind="isValid(datum.high) ? max(datum.high, datum.value) : datum.value")
        .mark_text(align="left", dx=6)
        .encode(x=behind, y=place, yOffset=beside, text="text:N")
    )
    return look.finished([bar, ends, text], width, height or 70 + 62 * max(len(labels), 1), bars, kinds)
