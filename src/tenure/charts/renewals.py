"""What came due and what became of it, period by period; and why MRR grew or shrank, by cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import MINUS, Language
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt

OUTCOMES = {
    "renewed": look.ACCENT,
    "late": "#86c0cc",
    "undecided": "#c9ced3",
    "lost": look.WARM,
}
_MONEY = {
    "renewed": "arr_due_renewed",
    "late": "arr_due_late",
    "undecided": "arr_due_undecided",
    "lost": "arr_lost_at_renewal",
}
CAUSES = {
    "seats": look.CURVES[0],
    "plan": look.CURVES[1],
    "price": look.CURVES[2],
    "discount_end": look.CURVES[3],
    "add_on": look.CURVES[4],
    "interval": look.CURVES[5],
    "commitment": "#8a8fa3",
    "discount": "#b8a2c8",
    "removed": "#dc875f",
    "other": "#c9ced3",
}


def renewals_by_period(
    rows: Any,
    currency: str,
    grain: str = "month",
    language: str = "en",
    width: int = look.WIDE,
    height: int = 0,
) -> alt.LayerChart:
    """The ARR that came due in each period, a bar in four parts: renewed, late, undecided, lost.

    rows: `period_start`, `arr_due_renewed`, `arr_due_late`, `arr_due_undecided`, `arr_lost_at_renewal` (major units;
    None is left out), as Renewals.rows() has them.
    """
    words = language_of(language)
    told = [
        {
            "period": look.plain(row["period_start"]),
            "label": words.words(f"renewals.{outcome}"),
            "amount": float(row[column]),
            "order": place,
        }
        for row in look.rows_of(rows)
        for place, (outcome, column) in enumerate(_MONEY.items())
        if row[column]
    ]
    colours = {words.words(f"renewals.{outcome}"): colour for outcome, colour in OUTCOMES.items()}
    every = sorted({look.plain(row["period_start"]) for row in look.rows_of(rows)})
    return _stacked(told, colours, every, currency, grain, words, width, height)


def movements_by_cause(
    rows: Any,
    currency: str,
    grain: str = "month",
    language: str = "en",
    width: int = look.WIDE,
    height: int = 0,
) -> alt.LayerChart:
    """Why MRR grew or shrank in each period: a bar of its causes, gains above the line and losses below.

    rows: `period` (first day), `cause`, `amount` (major units, signed as it moved MRR; 0 and None are left out).
    """
    words = language_of(language)
    told = []
    for row in look.rows_of(rows):
        if row["amount"]:
            cause = row["cause"] if row["cause"] in CAUSES else "other"
            told.append(
                {
                    "period": look.plain(row["period"]),
                    "label": words.words(f"causes.{cause}"),
                    "amount": float(row["amount"]),
                    "order": list(CAUSES).index(cause),
                }
            )
    seen = {row["label"] for row in told}
    colours = {
        words.words(f"causes.{cause}"): colour
        for cause, colour in CAUSES.items()
        if words.words(f"causes.{cause}") in seen
    }
    every = sorted({look.plain(row["period"]) for row in look.rows_of(rows)})
    return _stacked(told, colours, every, currency, grain, words, width, height)


def change_by_cause(
    rows: Any, currency: str, language: str = "en", width: int = look.WIDE, height: int = 0
) -> alt.LayerChart:
    """Why those who stayed pay more or less, a lying bar per cause: gains to the right, losses to the left.

    rows: `cause`, `amount` (major units, signed as it moved MRR), in the order in which they are shown.
    """
    import altair as alt

    words = language_of(language)
    bars: list[dict[str, Any]] = []
    for row in look.rows_of(rows):
        amount = float(row["amount"])
        label = words.named("causes", row["cause"])
        # A cause may have gains and losses: each is a bar of its own.
        place = label + (" +" if amount >= 0 else f" {MINUS}")
        bars.append(
            {
                "label": place,
                "amount": amount,
                "gains": amount >= 0,
                "text": words.money(row["amount"], currency, True),
                "end": max(amount, 0.0),
            }
        )
    bars.sort(key=lambda bar: -bar["amount"])
    most = max((abs(bar["amount"]) for bar in bars), default=1.0) or 1.0
    least = min((bar["amount"] for bar in bars), default=0.0)
    scale = alt.Scale(domain=[min(least * 1.1, 0.0), most * (1.3 if width >= 480 else 1.8)], nice=False)
    axis = look.money_axis(words, currency, tickCount=3 if width < 480 else 6)
    along = alt.X("amount:Q", scale=scale, axis=axis)
    limit = 130 if width < 480 else 240
    upright = alt.Y(
        "label:N", sort=[bar["label"] for bar in bars], title=None, axis=alt.Axis(labelLimit=limit, grid=False)
    )
    colour = alt.Color(
        "gains:N",
        scale=alt.Scale(domain=[True, False], range=[look.KINDS["expansion"], look.KINDS["contraction"]]),
        legend=None,
    )
    base = alt.Chart()
    drawn = base.mark_bar(cornerRadius=1.5).encode(y=upright, x=along, color=colour)
    texts = base.mark_text(align="left", dx=6, fontWeight=600, fontSize=12).encode(
        y=upright, x=alt.X("end:Q", scale=scale, axis=axis), text="text:N"
    )
    return look.finished([drawn, texts], width, height or 30 * len(bars) + 50, bars)


def _stacked(
    rows: list[dict[str, Any]],
    colours: dict[str, str],
    periods: list[str],
    currency: str,
    grain: str,
    words: Language,
    width: int,
    height: int,
) -> alt.LayerChart:
    """A bar per period, its parts on top of each other in their order."""
    import altair as alt

    place = alt.X(
        "period:O",
        axis=look.period_axis(words, periods, grain, width),
        scale=alt.Scale(domain=periods, paddingInner=0.25),
    )
    bars = (
        alt.Chart()
        .mark_bar()
        .encode(
            x=place,
            y=alt.Y("amount:Q", stack="zero", axis=look.money_axis(words, currency)),
            color=alt.Color("label:N", scale=alt.Scale(domain=list(colours), range=list(colours.values()))),
            order="order:Q",
        )
    )
    zero = alt.Chart(look.values([{"zero": 0}])).mark_rule(color=look.INK_SOFT, strokeWidth=1).encode(y="zero:Q")
    return look.finished([bars, zero], width, height or (280 if width >= 480 else 270), rows, list(colours))
