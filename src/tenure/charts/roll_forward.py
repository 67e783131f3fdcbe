"""Why did MRR move? The waterfall of one period and the movements of many."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt


def waterfall(
    rows: Any, currency: str, language: str = "en", width: int = look.WIDE, height: int = 0
) -> alt.LayerChart:
    """From where MRR stood to where it stands, one step per kind of movement.

    rows: `kind` (opening, new, ..., closing; see docs/explanation/movements.md), `amount` (major units, signed:
    what was lost is negative). Kinds that moved nothing are left out.

    Opening and closing are drawn as levels, not as bars: bars from zero would make every movement invisible, and bars
    that start elsewhere would lie about the size of MRR. So the axis need not start at zero; lengths compare movements.
    """
    import altair as alt

    words = language_of(language)
    steps: list[dict[str, Any]] = []
    level = Decimal(0)
    for row in look.rows_of(rows):
        kind, amount = str(row["kind"]), Decimal(str(row["amount"]))
        if kind in ("opening", "closing"):
            level = amount
            steps.append({"kind": kind, "low": amount, "high": amount, "end": amount, "amount": amount})
        elif amount:
            start, level = level, level + amount
            steps.append(
                {"kind": kind, "low": min(start, level), "high": max(start, level), "end": level, "amount": amount}
            )
    for step in steps:
        is_level = step["kind"] in ("opening", "closing")
        step["label"] = words.named("kinds", step["kind"])
        step["text"] = words.money(step["amount"], currency, signed=not is_level, whole=True)
    for step, after in zip(steps, [*steps[1:], *steps[-1:]], strict=True):
        step["next"] = after["label"]

    lies = width < 480
    place: Any
    names = [step["label"] for step in steps]
    spread = max(step["high"] for step in steps) - min(step["low"] for step in steps) if steps else Decimal(0)
    # Beside a lying bar stands its amount: as many pixels as it has letters, of those the labels and the bars leave.
    letters = max((len(step["text"]) for step in steps), default=0) * 7.2 + 10
    margin = float(spread) * (letters / max(width - 120 - letters, 40) if lies else 0.08) or 1.0
    domain = [
        float(min((step["low"] for step in steps), default=Decimal(0))) - margin * (0.12 if lies else 1),
        float(max((step["high"] for step in steps), default=Decimal(0))) + margin,
    ]
    if domain[0] < 0 <= min((step["low"] for step in steps), default=Decimal(0)):
        domain[0] = 0.0
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    axis = look.money_axis(words, currency, tickCount=2 if lies else 4)
    colour = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=[*look.KINDS, "opening", "closing"], range=[*look.KINDS.values(), look.INK, look.INK]),
        legend=None,
    )
    base = alt.Chart()
    moved = "datum.kind != 'opening' && datum.kind != 'closing'"
    if lies:
        place = alt.Y(
            "label:N",
            axis=alt.Axis(labelLimit=110, grid=False),
            scale=alt.Scale(paddingInner=0.35),
            sort=names,
            title=None,
        )
        bars = (
            base.transform_filter(moved)
            .mark_bar(cornerRadius=1.5)
            .encode(y=place, x=alt.X("low:Q", scale=scale, axis=axis, title=None), x2="high:Q", color=colour)
        )
        levels = (
            base.transform_filter(f"!({moved})")
            .mark_tick(orient="vertical", thickness=3, size=22)
            .encode(y=place, x=alt.X("end:Q", scale=scale, title=None), color=colour)
        )
        texts = base.mark_text(align="left", dx=6, fontWeight=600, fontSize=12).encode(
            y=place, x=alt.X("high:Q", scale=scale, title=None), text="text:N"
        )
        return look.finished([bars, levels, texts], width, height or 34 * len(steps) + 40, steps)
    place = alt.X(
        "label:N",
        axis=alt.Axis(labelAngle=0, labelLimit=width // max(len(steps), 1), grid=False, labelColor=look.INK),
        scale=alt.Scale(paddingInner=0.35, paddingOuter=0.15),
        sort=names,
        title=None,
    )
    bars = (
        base.transform_filter(moved)
        .mark_bar(cornerRadius=1.5)
        .encode(x=place, y=alt.Y("low:Q", scale=scale, axis=axis, title=None), y2="high:Q", color=colour)
    )
    levels = (
        base.transform_filter(f"!({moved})")
        .mark_tick(orient="horizontal", thickness=4, size=0.62 * width / max(len(steps), 1))
        .encode(x=place, y=alt.Y("end:Q", scale=scale, title=None), color=colour)
    )
    links = (
        base.transform_filter("datum.next != datum.label")
        .mark_rule(color=look.INK_SOFT, strokeDash=[2, 3])
        .encode(x=place, x2="next:N", y=alt.Y("end:Q", scale=scale, title=None))
    )
    texts = base.mark_text(dy=-9, fontWeight=600, fontSize=12).encode(
        x=place, y=alt.Y("high:Q", scale=scale, title=None), text="text:N"
    )
    return look.finished([links, bars, levels, texts], width, height or 300, steps)


def movements(
    rows: Any,
    currency: str,
    language: str = "en",
    grain: str = "month",
    width: int = look.WIDE,
    height: int = 0,
) -> alt.LayerChart:
    """What came and what went in every period, and the net of it.

    rows: `period` (first day), `kind`, `amount` (major units, signed as it moved MRR). Gains are stacked above the
    line, losses below, the net change is the dark mark.
    """
    import altair as alt

    words = language_of(language)
    told = [row for row in look.rows_of(rows) if row["kind"] not in ("opening", "closing") and row["amount"]]
    for row in told:
        row["period"] = look.plain(row["period"])
        row["amount"] = float(row["amount"])
        row["label"] = words.named("kinds", row["kind"])
        row["order"] = list(look.KINDS).index(row["kind"]) if row["kind"] in look.KINDS else len(look.KINDS)
    kinds = [kind for kind in look.KINDS if any(row["kind"] == kind for row in told)]
    net: dict[str, float] = {}
    for row in told:
        net[row["period"]] = net.get(row["period"], 0.0) + row["amount"]
    place = alt.X("period:O", axis=look.period_axis(words, net, grain, width), scale=alt.Scale(paddingInner=0.25))
    axis = look.money_axis(words, currency)
    bars = (
        alt.Chart()
        .mark_bar()
        .encode(
            x=place,
            y=alt.Y("amount:Q", stack="zero", axis=axis),
            color=alt.Color(
                "label:N",
                scale=alt.Scale(
                    domain=[words.named("kinds", kind) for kind in kinds], range=[look.KINDS[kind] for kind in kinds]
                ),
            ),
            order="order:Q",
        )
    )
    zero = alt.Chart(look.values([{"zero": 0}])).mark_rule(color=look.INK_SOFT, strokeWidth=1).encode(y="zero:Q")
    nets = alt.Chart(look.values({"period": period, "amount": amount} for period, amount in net.items()))
    size = 0.62 * (width - 60) / max(len(net), 1)
    # A white edge keeps the mark readable on the darkest bar.
    edge = nets.mark_tick(orient="horizontal", thickness=6, color=look.PAPER, size=size + 2).encode(
        x=place, y="amount:Q"
    )
    mark = nets.mark_tick(orient="horizontal", thickness=3, color=look.INK, size=size).encode(x=place, y="amount:Q")
    return look.finished(
        [bars, zero, edge, mark],
        width,
        height or (300 if width >= 480 else 290),
        told,
        [words.named("kinds", kind) for kind in kinds],
    )
