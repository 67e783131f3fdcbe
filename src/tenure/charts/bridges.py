"""Why do two definitions give two numbers? The waterfall from one to the other, a bar per line of the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt

WORSE, BETTER = look.KINDS["churn"], look.KINDS["new"]


def bridge(
    rows: Any,
    unit: str,
    currency: str | None,
    start: str,
    end: str,
    language: str = "en",
    width: int = look.WIDE,
    height: int = 0,
) -> alt.LayerChart:
    """From one definition's number down to another's, lying, a bar per line; lines without effect are left out.

    rows: `line` (start, the lines' names, end) and `amount` (of the unit, signed; of start and end: the level). unit:
    rate, money (major units of `currency`), ratio or count. start, end: the definitions' names.
    """
    import altair as alt

    words = language_of(language)
    told = look.rows_of(rows)
    scale = 100.0 if unit == "rate" else 1.0
    largest = max((abs(float(row["amount"])) for row in told), default=0.0)
    steps: list[dict[str, Any]] = []
    level = 0.0
    for row in told:
        line, amount = str(row["line"]), float(row["amount"]) * scale
        if line in ("start", "end"):
            level = amount
            steps.append({"line": line, "low": amount, "high": amount, "end": amount, "way": "level"})
        elif abs(amount) > largest * scale * 1e-9:
            before, level = level, level + amount
            low, high = sorted((before, level))
            steps.append({"line": line, "low": low, "high": high, "end": level, "way": "up" if amount > 0 else "down"})
        else:
            continue
        step = steps[-1]
        is_level = step["way"] == "level"
        step["label"] = {"start": start, "end": end}.get(line) or words.named("bridge", line)
        if unit == "rate":
            step["text"] = words.percent(amount / 100, digits=2) if is_level else f"{amount:+.2f}".replace("-", "−")
        elif unit == "money" and currency:
            step["text"] = words.money(row["amount"], currency, signed=not is_level)
        else:
            step["text"] = f"{amount:,.2f}" if is_level else f"{amount:+,.2f}".replace("-", "−")
    names = [step["label"] for step in steps]
    low = min((step["low"] for step in steps), default=0.0)
    high = max((step["high"] for step in steps), default=1.0)
    margin = (high - low) * 0.2 or abs(high) * 0.1 or 1.0
    domain = [max(low - margin * 0.5, 0.0) if low >= 0 else low - margin * 0.5, high + margin]
    axis = alt.Axis(title=words.words("charts.percent") if unit == "rate" else currency, tickCount=5)
    place = alt.Y("label:N", sort=names, title=None, axis=alt.Axis(labelLimit=260, grid=False))
    along = alt.Scale(domain=domain, nice=False, zero=False)
    colour = alt.Color(
        "way:N",
        scale=alt.Scale(domain=["up", "down", "level"], range=[WORSE, BETTER, look.INK]),
        legend=None,
    )
    base = alt.Chart()
    bars = (
        base.transform_filter("datum.way != 'level'")
        .mark_bar(cornerRadius=1.5)
        .encode(y=place, x=alt.X("low:Q", scale=along, axis=axis), x2="high:Q", color=colour)
    )
    levels = (
        base.transform_filter("datum.way == 'level'")
        .mark_tick(orient="vertical", thickness=4, size=22)
        .encode(y=place, x=alt.X("end:Q", scale=along, axis=axis), color=colour)
    )
    texts = base.mark_text(align="left", dx=6, fontWeight=600, fontSize=12).encode(
        y=place, x=alt.X("high:Q", scale=along, axis=axis), text="text:N"
    )
    return look.finished([bars, levels, texts], width, height or 34 * len(steps) + 50, steps)
