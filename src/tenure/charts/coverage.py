"""What facts are there, and since when? Each table as a line of time, with its gaps and the months that may change."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt

FACTS, GAP, CHANGING = look.ACCENT, look.WARM, "#fae8d3"


def coverage_timeline(
    rows: Any,
    changing: date | None,
    until: date | None,
    language: str = "en",
    width: int = look.WIDE,
    height: int = 0,
) -> alt.LayerChart:
    """A line for each table that has days, from its first to its last; gaps stand out.

    rows: `table`, `since`, `until` (days, the last included), `gaps` (a list of `from` and `to`, exclusive). changing:
    the first day of the months that may still change, None for none; until: the last day of which an event tells.
    """
    import altair as alt

    words = language_of(language)
    told = [row for row in look.rows_of(rows) if row["since"] is not None and row["until"] is not None]
    covered, gap, change = (words.words(f"coverage.{name}") for name in ("covered", "gap", "changing"))
    bars: list[dict[str, Any]] = []
    for row in told:
        label = words.named("tables", row["table"])
        begin, after = row["since"], row["until"] + timedelta(days=1)
        for one in row["gaps"]:
            bars.append({"label": label, "from": begin, "to": one["from"], "what": covered})
            bars.append({"label": label, "from": one["from"], "to": one["to"], "what": gap})
            begin = one["to"]
        if begin < after:
            bars.append({"label": label, "from": begin, "to": after, "what": covered})
    bars = [bar for bar in bars if bar["from"] < bar["to"]]
    labels = list(dict.fromkeys(bar["label"] for bar in bars))
    last = max((bar["to"] for bar in bars), default=date(2000, 1, 1))
    if until is not None:
        last = max(last, until + timedelta(days=1))
    first = min((bar["from"] for bar in bars), default=last - timedelta(days=1))
    open_months = (
        [] if changing is None or changing >= last else [{"from": max(changing, first), "to": last, "what": change}]
    )
    # What may still change lies behind everything, over the whole height.
    names = [covered, *([gap] if any(bar["what"] == gap for bar in bars) else []), *([change] if open_months else [])]
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=names, range=[{covered: FACTS, gap: GAP, change: CHANGING}[name] for name in names]),
        legend=alt.Legend(title=None, orient="top", symbolType="square", columns=3),
    )
    scale = alt.Scale(domain=[first.isoformat(), last.isoformat()], nice=False, type="time")
    years = (last - first).days > 800
    axis = alt.Axis(title=None, tickCount=max(3, width // 110), format="%Y" if years else "%Y-%m", grid=True)
    along = alt.X("from:T", scale=scale, axis=axis)
    place = alt.Y("label:N", sort=labels, title=None, axis=alt.Axis(labelLimit=200, grid=False))
    behind = (
        alt.Chart(look.values(open_months)).mark_rect(opacity=1).encode(x=along, x2="to:T", color=colour)
        if open_months
        else None
    )
    base = alt.Chart(look.values(bars))
    solid = (
        base.transform_filter(f"datum.what == '{covered}'")
        .mark_bar(height=12)
        .encode(x=along, x2="to:T", y=place, color=colour)
    )
    boxes = (
        base.transform_filter(f"datum.what == '{gap}'")
        .mark_bar(height=16)
        .encode(x=along, x2="to:T", y=place, color=colour)
    )
    layers = [layer for layer in (behind, solid, boxes) if layer is not None]
    return look.finished(layers, width, height or 28 * max(len(labels), 1) + 64, named=names)
