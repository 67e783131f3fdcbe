"""How far is it to the target? A number beside the target that the company set for it, and whether that is noise.

A target is of the whole company and, where the number depends on how long a period is, of a month. It is compared with
what it was set for and with nothing else; see `applies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tenure.measure.catalogue import CATALOGUE

if TYPE_CHECKING:
    from tenure.measure.answers import Cell

TARGET_KEYS = ("value", "distance", "met", "more_than_noise")


def applies(cell: Cell, targets: Mapping[str, float], currency: str | None) -> bool:
    """Whether the company's target of this metric was set for a number such as this one.

    Not for a segment, another revenue than the metric's own, money in a currency other than `currency` (that of the
    settings, else the book's only one; None: there are several), nor a period other than a month, where the number
    would be another in a longer one.
    """
    metric = cell.metric
    if metric.name not in targets or cell.segment is not None or metric.line != CATALOGUE[metric.name].line:
        return False
    if metric.unit == "money" and cell.currency != currency:
        return False
    return cell.period.grain == "month" or metric.grain == "state" or metric.looks_back


def compared(cell: Cell, row: Mapping[str, Any], target: float) -> dict[str, Any]:
    """A number's row (of Answer.rows) against its target, in the number's own unit.

    value: the target; distance: the number - the target, None where there is no number. met: whether the number is on
    the good side of it or on it, None where neither side is good or the period is not over. more_than_noise: whether
    the 95 % interval keeps clear of the target, None where the number has no interval (a count or a sum of money is
    exact: its distance is all there is to say).
    """
    shown: Any = Decimal(str(target)) if cell.metric.unit == "money" else target
    value, low, high = row["value"], row["low"], row["high"]
    if value is None:
        return {"value": shown, "distance": None, "met": None, "more_than_noise": None}
    # Of the number as it is written, not of the binary fraction next to it.
    goal, now = Fraction(str(target)), Fraction(str(value))
    distance: Any = value - shown if isinstance(shown, Decimal) else float(now - goal)
    if cell.metric.unit == "count" and distance.is_integer():
        distance = int(distance)
    better = cell.metric.better
    over = "provisional" not in (row["reason"] or "")
    met = None if better == "neither" or not over else now >= goal if better == "higher" else now <= goal
    clear = None if low is None or high is None else not float(low) <= target <= float(high)
    return {"value": shown, "distance": distance, "met": met, "more_than_noise": clear}
