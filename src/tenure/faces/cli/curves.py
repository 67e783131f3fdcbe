"""How long do customers stay? Survival curves for people, spreadsheets and programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from tenure.faces.cli.layout import Column, table, wrapped
from tenure.faces.cli.numbers import NOTHING

if TYPE_CHECKING:
    from tenure.kernel.stats import Estimate
    from tenure.measure.lifetimes import Lives

KEYS = ("segment", "unit", "tenure", "at_risk", "left", "hazard", "survival", "low", "high")
# At which tenures several curves are compared, and how many lines one curve gets before it is thinned out.
LANDMARKS = {"month": (1, 3, 6, 12, 24, 36), "day": (7, 30, 90, 180, 365, 730)}
MOST_LINES = 40


def as_rows(found: Sequence[Lives]) -> Iterator[dict[str, Any]]:
    """One row per segment and tenure: at risk, left, hazard = left / at risk, and the share staying longer."""
    from tenure.kernel.survival import kaplan_meier

    for one in found:
        curve = kaplan_meier(one.counts)
        for t, n, d, share, low, high in zip(
            curve.time, curve.at_risk, curve.events, curve.survival, curve.low, curve.high, strict=True
        ):
            yield {
                "segment": one.segment,
                "unit": one.unit,
                "tenure": int(t),
                "at_risk": int(n),
                "left": int(d),
                "hazard": int(d) / int(n) if n else None,
                "survival": float(share),
                "low": float(low),
                "high": float(high),
            }


def as_table(found: Sequence[Lives], remarks: Sequence[str] = ()) -> str:
    """One curve line by line, or several side by side at the same tenures, with the test whether they differ."""
    text = _curve(found[0]) if len(found) == 1 and found[0].segment is None else _side_by_side(found)
    told = [*_cautions(found), *remarks]
    return text + "".join("\n" + wrapped(remark) + "\n" for remark in told)


def _curve(one: Lives) -> str:
    from tenure.kernel.survival import kaplan_meier

    curve = kaplan_meier(one.counts)
    rows = list(as_rows([one]))
    step = 1 if len(rows) <= MOST_LINES else 3 if len(rows) <= 3 * MOST_LINES else 12 if one.unit == "month" else 30
    columns = [
        Column(f"{one.unit}s", right=True), Column("at risk", right=True), Column("left", right=True),
        Column("stay longer", right=True), Column("95 % interval", right=True),
    ]  # fmt: skip
    lines = []
    left = 0
    for row in rows:
        left += row["left"]
        if row["tenure"] % step and row is not rows[-1]:
            continue
        lines.append(
            [str(row["tenure"]), f"{row['at_risk']:,}", f"{left:,}", f"{100 * row['survival']:.1f} %", _interval(row)]
        )
        left = 0
    return table(columns, lines) + "\n" + wrapped(_summary(one, curve)) + "\n"


def _interval(row: dict[str, Any]) -> str:
    return f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %" if row["low"] < row["high"] else ""


def _summary(one: Lives, curve: Any) -> str:
    """The median and the mean up to the end of what was watched, in a sentence each."""
    median = curve.median
    unit = f"{one.unit}s"
    if median.value is None:
        first = f"More than half stay longer than the {curve.until or 0:,} {unit} watched, so there is no median yet."
    else:
        first = f"Half have left by {median.value:,.0f} {unit}{_within(median)}."
    until = curve.until
    mean = curve.restricted_mean(until) if until else None
    if mean is None:
        return first
    average = f"{mean.value:,.1f} {unit} on average ({mean.low:,.1f} to {mean.high:,.1f})"
    return f"{first} Up to {mean.until:,} {unit}, a customer stays {average}."


def _within(median: Estimate) -> str:
    if median.low is None and median.high is None:
        return ""
    low = "0" if median.low is None else f"{median.low:,.0f}"
    return f" (95 % interval {low} to {median.high:,.0f})" if median.high is not None else f" (at least {low})"


def _side_by_side(found: Sequence[Lives]) -> str:
    from tenure.kernel.survival import kaplan_meier, log_rank

    names = list((found[0].segment or {}).keys())
    marks = LANDMARKS[found[0].unit]
    columns = [Column(name, cut=True) for name in names]
    columns += [Column("customers", right=True), Column("left", right=True), Column("median", right=True)]
    columns += [Column(f"{mark} {found[0].unit[0]}", right=True) for mark in marks]
    lines = []
    for one in found:
        curve = kaplan_meier(one.counts)
        median = curve.median.value
        line = [str(value) if value is not None else "(unknown)" for value in (one.segment or {}).values()]
        line += [f"{int(one.counts.entries.sum()):,}", f"{int(one.counts.events.sum()):,}"]
        line.append(NOTHING if median is None else f"{median:,.0f}")
        for mark in marks:
            share = curve.survival_at(mark).value
            line.append(NOTHING if share is None else f"{100 * share:.1f} %")
        lines.append(line)
    groups = {"\x1f".join(str(value) for value in (one.segment or {}).values()): one.counts for one in found}
    test = log_rank(groups)
    text = table(columns, lines)
    if test.p is not None:
        verdict = (
            "they leave at different speeds, beyond what chance explains"
            if test.p < 0.05
            else "chance alone explains such a difference"
        )
        p = "p < 0.001" if test.p < 0.001 else f"p = {test.p:.3f}"
        text += "\n" + wrapped(f"Log-rank test over the whole life: {p}; {verdict}.") + "\n"
    return text


def survivors_only(since: date) -> str:
    """What to know of a history that has no leavers before some day."""
    return f"Nobody left before {since}: history before is survivors only."


def _cautions(found: Sequence[Lives]) -> list[str]:
    told = []
    if any(one.snapshot for one in found):
        told.append(
            "All who left did so at one time: this is a snapshot. Its leavers are those of one month, not of a "
            "lifetime. "
            "--from-birth shows the curve that counts them over the whole tenure, which is arithmetic and no forecast."
        )
    since = next((one.exposure_since for one in found if one.exposure_since is not None), None)
    if since is not None and not any(one.snapshot for one in found):
        told.append(
            f"{survivors_only(since)} Exposure starts there, and customers of before enter at the tenure they had."
        )
    return told
