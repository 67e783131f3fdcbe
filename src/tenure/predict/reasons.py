"""What moves a score most, in words that a success team reads? Facts of the customer, not columns of a model.

    told = spoken(model, table, features, horizon)    the strongest facts of each customer, as numbers
    sentence(feature, row, "en", currency)            "no login for 19 days; usually every 2"

Contributions are exact (TreeSHAP, or the weighted sum of a logistic model) parts of the log odds against the mean
customer. Those of columns that say one thing to a person are summed: how long somebody was silent, against which habit.
They say what moves the score. What would keep the customer is known only where an experiment has shown it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.kernel.money import exponent, is_currency
from tenure.predict.features_catalogue import GROUPS, Feature
from tenure.predict.features_periods import Horizon
from tenure.predict.features_training import matrix, tenure_periods
from tenure.predict.hazards import DiscreteHazard

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

MOST = 3
BLOCK = 50_000
# Columns that say one thing to a person, and whose sentence speaks for them.
SAYS = {
    "silence_ratio": "silent_days",
    "usual_gap_days": "silent_days",
    "tenure": "tenure_days",
    "failures_in_a_row": "failed_payments_90d",
    "past_due": "failed_payments_90d",
    "oldest_open_days": "open_tickets",
    "nps_days": "nps",
    "changes_90d": "change_days",
    "use_28d": "active_days_28d",
    "seat_use": "people_28d",
}
# Claims have two sides; and what is 0 is sometimes better said otherwise.
OTHERWISE = {
    ("renewal_off", 0.0): ("renews by itself", "สัญญาต่ออายุอัตโนมัติ"),
    ("paused", 0.0): ("has not paused", "ไม่ได้พักการใช้งาน"),
    ("past_due", 0.0): ("nothing is overdue", "ไม่มียอดค้างชำระ"),
    ("failures_in_a_row", 0.0): ("the last payment went through", "ชำระเงินครั้งล่าสุดสำเร็จ"),
    ("failed_payments_90d", 0.0): ("no failed payment in 90 days", "ไม่มีการตัดเงินไม่ผ่านใน 90 วัน"),
    ("open_tickets", 0.0): ("no ticket is open", "ไม่มีเรื่องค้าง"),
    ("tickets_90d", 0.0): ("no ticket in 90 days", "ไม่ได้แจ้งปัญหาใน 90 วัน"),
    ("slow_tickets_90d", 0.0): ("no ticket waited over two days", "ไม่มีเรื่องที่รอคำตอบเกินสองวัน"),
    ("changes_90d", 0.0): ("no change touched them in 90 days", "ไม่มีการเปลี่ยนแปลงใน 90 วัน"),
    ("renewal_days", 0.0): ("renews today", "ต่ออายุวันนี้"),
    ("silent_days", 0.0): ("used it today", "ใช้งานวันนี้"),
    ("seats_change_90d", 0.0): ("as many seats as 90 days ago", "จำนวนที่นั่งเท่ากับ 90 วันก่อน"),
    ("mrr_change_90d", 0.0): ("pays as much as 90 days ago", "จ่ายเท่ากับ 90 วันก่อน"),
}
SIGNED = {
    "mrr_change_90d": (
        ("pays {value} more than 90 days ago", "จ่ายเพิ่มขึ้น {value} จาก 90 วันก่อน"),
        ("pays {value} less than 90 days ago", "จ่ายลดลง {value} จาก 90 วันก่อน"),
    ),
    "seats_change_90d": (
        ("{value} seats more than 90 days ago", "เพิ่มขึ้น {value} ที่นั่งจาก 90 วันก่อน"),
        ("{value} seats less than 90 days ago", "ลดลง {value} ที่นั่งจาก 90 วันก่อน"),
    ),
    "card_expires_days": (
        ("the card expires in {value} days", "บัตรจะหมดอายุใน {value} วัน"),
        ("the card expired {value} days ago", "บัตรหมดอายุไปแล้ว {value} วัน"),
    ),
    "silent_days": (
        ("no login for {value} days", "ไม่ได้เข้าใช้งาน {value} วัน"),
        ("no login for {value} days", "ไม่ได้เข้าใช้งาน {value} วัน"),
    ),
}
_ONE = re.compile(r"(?<![\d.,])1 (day|month|seat|ticket|attempt|change|feature|time|product)s\b")


@dataclass(frozen=True, slots=True)
class Reason:
    """One fact: the feature that speaks, the customer's value of it (None: not known), and its part of the log odds."""

    feature: str
    value: float | str | None
    contribution: float


def spoken(
    model: DiscreteHazard, table: pa.Table, features: Sequence[Feature], horizon: Horizon, most: int = MOST
) -> list[tuple[Reason, ...]]:
    """The facts that move each customer's score most, strongest first; worked on in blocks, so memory stays bounded."""
    known = {feature.name: feature for feature in features}
    found: list[tuple[Reason, ...]] = []
    for start in range(0, table.num_rows, BLOCK):
        part = table.slice(start, BLOCK)
        X = matrix(part, features)
        names, parts = model.contributions(X, tenure_periods(part, horizon))
        columns = dict(X) if "tenure_days" in X else {**X, "tenure_days": _tenure(part)}
        found += _strongest(names, parts, columns, known, most)
    return found


def _strongest(
    names: Sequence[str], parts: Real, columns: Mapping[str, NDArray[Any]], known: Mapping[str, Feature], most: int
) -> list[tuple[Reason, ...]]:
    members: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if name != "level":
            members.setdefault(SAYS.get(name, name), []).append(place)
    groups = list(members)
    if not groups:
        return [()] * len(parts)
    summed = np.column_stack([parts[:, places].sum(axis=1) for places in members.values()])
    top = np.argsort(-np.abs(summed), axis=1, kind="stable")[:, :most]
    found = []
    for row in range(len(parts)):
        told = []
        for group in top[row]:
            contribution = float(summed[row, group])
            if contribution == 0.0:
                continue
            own = sorted(members[groups[group]], key=lambda place: -abs(parts[row, place]))
            speaker, value = _speaker(groups[group], [names[place] for place in own], columns, row)
            told.append(Reason(speaker, value, contribution))
        found.append(tuple(told))
    return found


def _speaker(
    group: str, own: Sequence[str], columns: Mapping[str, NDArray[Any]], row: int
) -> tuple[str, float | str | None]:
    """Which feature of a group speaks: the strongest that is known; silence speaks of days where it can."""
    order = [group, *own] if group in ("silent_days", "tenure_days") else [*own, group]
    for name in order:
        if name in columns:
            value = columns[name][row]
            if isinstance(value, str):
                return name, value
            if value is not None and np.isfinite(value):
                return name, float(value)
    return group, None


def _tenure(table: pa.Table) -> Real:
    return np.asarray(table.column("tenure_days").cast("double").fill_null(np.nan), dtype=np.float64)


def sentence(
    reason: Reason,
    features: Mapping[str, Feature],
    others: Mapping[str, Any],
    language: str = "en",
    currency: str | None = None,
) -> str:
    """The fact as a sentence. others: the customer's other values by feature, for sentences that need a second one."""
    thai = language == "th"
    feature = features.get(reason.feature)
    if feature is None or reason.value is None:
        words = GROUPS[feature.group][thai] if feature is not None else reason.feature
        return f"ไม่มีข้อมูล: {words}" if thai else f"nothing known of {words}"
    if (reason.feature, reason.value) in OTHERWISE:
        return OTHERWISE[(reason.feature, reason.value)][thai]  # type: ignore[index]
    lacks = any(others.get(name) is None for _, name in feature.also)
    if reason.feature in SIGNED and (lacks or not feature.also) and not isinstance(reason.value, str):
        told = SIGNED[reason.feature][reason.value < 0][thai]
        return _one(told.format(value=written(feature, abs(reason.value), currency)))
    values = {feature.name: written(feature, reason.value, currency)}
    for _, name in feature.also:
        values[name] = written(features.get(name, feature), others.get(name), currency)
    return _one(feature.sentence(language, values))


def written(feature: Feature, value: float | str | None, currency: str | None = None) -> str:
    """A value as a person reads it: whole days, shares in per cent, money with its currency."""
    if value is None:
        return "?"
    if isinstance(value, str):
        return value
    if feature.unit == "share":
        return f"{100 * value:,.0f} %"
    if feature.unit == "minor units a month" and currency and is_currency(currency):
        digits = exponent(currency)
        return f"{value / 10**digits:,.{digits}f} {currency}"
    if feature.name == "usual_gap_days":
        return f"{value:,.0f}" if value >= 2 or round(value, 1) == round(value) else f"{value:,.1f}"
    if feature.unit in ("-1 to 1", "times", "1 to 5", "number"):
        return f"{value:,.1f}".rstrip("0").rstrip(".") if abs(value) >= 0.05 else "0"
    return f"{value:,.0f}"


def _one(text: str) -> str:
    """One day, not one days."""
    return _ONE.sub(r"1 \1", text)
