"""What is a customer worth, and when has winning one paid off? Arithmetic on exact numbers, without facts or engine.

Two families of lifetime value, never mixed: the restricted mean (what customers really stay, month by month, cut at
HORIZON) and the simple variants (one over the churn rate, for ever). See docs/how-to/what-churn-costs.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from tenure.errors import BadInput

if TYPE_CHECKING:
    from tenure.kernel.survival import Counts, KaplanMeier

# Months beyond which nothing counts: five years, for who knows what a company sells then.
HORIZON = 60
# A curve known for less than a year says too little of five.
SHORTEST = 12
# Who has not paid back after a hundred years never will.
_PATIENCE = 1200
POINT = Fraction(1, 100)
NO_CHURN = "nobody left, and what never ends has no lifetime value"


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What no fact tells: the gross margin, the yearly discount rate, and how long before customers come spend works.

    margin: share of revenue in (0, 1]; discount_rate: a year, in [0, 1]; lag_months: whole months of spend's lead;
    grace_days: until when after its day a renewal may still come; committed_months: how far ahead committed MRR looks.
    """

    margin: Fraction = Fraction(4, 5)
    discount_rate: Fraction = Fraction(1, 10)
    lag_months: int = 0
    grace_days: int = 30
    committed_months: int = 12

    @classmethod
    def of(
        cls, margin: float, discount_rate: float, lag_months: int, grace_days: int = 30, committed_months: int = 12
    ) -> Assumptions:
        """From settings as they are written: 0.8 is four fifths, not the nearest binary number."""
        return cls(Fraction(str(margin)), Fraction(str(discount_rate)), lag_months, grace_days, committed_months)


ASSUMED = Assumptions()  # what holds where nothing is told


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How many months a customer stays within the first `horizon`, with its 95 % interval; None with the reason.

    A value may carry a reason too: a horizon under HORIZON, because nobody was observed for longer.
    """

    months: Fraction | None = None
    low: float | None = None
    high: float | None = None
    horizon: int = HORIZON
    reason: str = "how long customers stay is not known"


@dataclass(frozen=True, slots=True)
class Worth:
    """What lifetime value and acquisition are made of, beside a period's sums; each None with its reason.

    spend: scaled as money in currencies.SCALE. recent_churn: mean of six months' customer churn rates.
    """

    assumed: Assumptions = Assumptions()
    lifetime: Lifetime = Lifetime()
    recent_churn: Fraction | None = None
    recent_reason: str = "no month before had customers"
    spend: Fraction | None = None
    spend_reason: str = "no spend is told of this time"


def curve(counts: Counts) -> KaplanMeier:
    """The share still there at each completed month."""
    from tenure.kernel.survival import kaplan_meier

    return kaplan_meier(counts)


def horizon_of(km: KaplanMeier) -> tuple[int, str]:
    """Up to which month the curve is known, at most HORIZON, and a reason where that is sooner (0: not at all)."""
    since, until = km.since, km.until
    if since is None or until is None:
        return 0, "nobody was under observation"
    if since > 0:
        return 0, f"nobody was observed before month {since} of being a customer"
    if until >= HORIZON or not km.stops:
        return HORIZON, ""
    if until < SHORTEST:
        return 0, f"how long customers stay is known for less than {SHORTEST} months of being one"
    return until, f"how long customers stay is known for {until} months: later months count for nothing"


def lifetime(counts: Counts) -> Lifetime:
    """The mean months a customer stays within HORIZON: the area under the survival curve.

    Source: restricted mean survival time, Klein & Moeschberger 2003, 4.5 (see kernel.survival).
    """
    km = curve(counts)
    horizon, reason = horizon_of(km)
    mean = km.restricted_mean(horizon) if horizon else None
    if mean is None:
        return Lifetime(reason=reason or "how long customers stay is not known")
    return Lifetime(Fraction(mean.value), mean.low, mean.high, horizon, reason)


def months_left(km: KaplanMeier, horizon: int) -> list[Fraction | None]:
    """How many more months somebody who has completed t months would have stayed, for t from 0 to horizon.

    Area under the curve from t to the horizon over its height at t: at 0 the restricted mean, at the horizon nothing.
    None where the curve says that nobody gets so far, though somebody did.
    """
    height = []
    for month in range(horizon + 1):
        share = km.survival_at(month).value
        height.append(Fraction(0) if share is None else Fraction(share))
    found: list[Fraction | None] = []
    area = Fraction(0)
    for month in range(horizon, -1, -1):
        if month < horizon:
            area += height[month]
        found.append(area / height[month] if height[month] else Fraction(0) if month == horizon else None)
    return found[::-1]


# ------------------------------------------------------------------------------------------- one over the churn rate


def simple(margin: Fraction, churn: Fraction) -> Fraction | None:
    """How many months' revenue a customer is worth at one monthly churn rate for ever: margin / churn.

    >>> 100 * simple(Fraction(1), Fraction(5, 100)), 100 * simple(Fraction(4, 5), Fraction(5, 100))
    (Fraction(2000, 1), Fraction(1600, 1))
    """
    return None if churn <= 0 else margin / churn


def in_arrears(margin: Fraction, churn: Fraction) -> Fraction | None:
    """The same where a month is paid at its end, by those who are still there: margin x (1 - churn) / churn.

    >>> 100 * in_arrears(Fraction(4, 5), Fraction(5, 100))
    Fraction(1520, 1)
    """
    return None if churn <= 0 else margin * (1 - churn) / churn


def discounted(margin: Fraction, churn: Fraction, yearly: Fraction) -> Fraction | None:
    """The same, money of later worth less: margin x sum of ((1 - churn) / (1 + d))^t, d = (1 + yearly)^(1/12) - 1.

    >>> round(float(100 * discounted(Fraction(4, 5), Fraction(5, 100), Fraction(1, 10))), 2)
    1390.93
    """
    if churn <= 0:
        return None
    monthly = Fraction((1.0 + float(yearly)) ** (1 / 12) - 1.0) if yearly else Fraction(0)
    return margin * (1 + monthly) / (churn + monthly)


# ------------------------------------------------------------------------------------------------------- acquisition


def payback(cac: Fraction, monthly_margin: Fraction) -> Fraction | None:
    """After how many months a customer who stays has brought in what winning one cost.

    >>> float(payback(Fraction(600), Fraction(80)))
    7.5
    """
    return None if monthly_margin <= 0 else cac / monthly_margin


def payback_with_churn(cac: Fraction, monthly_margin: Fraction, churn: Fraction) -> int | None:
    """The first whole month by which those who came have brought in what winning them cost, leavers left out.

    Month t brings margin x (1 - churn)^t, t from 0; None where it never does (cac x churn >= margin).

    >>> payback_with_churn(Fraction(600), Fraction(80), Fraction(5, 100))
    10
    """
    if not 0 <= churn <= 1:
        raise BadInput(f"a churn rate lies between 0 and 1, got {float(churn)}")
    if cac <= 0:
        return 0
    if monthly_margin <= 0 or cac * churn >= monthly_margin:
        return None
    if not churn:
        return math.ceil(cac / monthly_margin)

    def brought(months: int) -> Fraction:
        return monthly_margin * (1 - (1 - churn) ** months) / churn

    if churn == 1:
        return 1
    # The logarithm says about when; exact sums say when.
    share = float(1 - cac * churn / monthly_margin)
    months = max(1, round(math.log(share) / math.log1p(-float(churn)))) if share > 0 else _PATIENCE
    if months > _PATIENCE:
        return None
    while brought(months) < cac:
        months += 1
    while months > 1 and brought(months - 1) >= cac:
        months -= 1
    return months


# ------------------------------------------------------------------------------------------------------ one point


@dataclass(frozen=True, slots=True)
class Point:
    """What one point less of monthly churn is worth over some months: revenue until then, and ARR at their end."""

    months: int
    revenue: Fraction
    arr: Fraction


def point_of_churn(mrr: Fraction, churn: Fraction, months: int) -> Point | None:
    """What today's MRR brings in more over `months` if each month's churn were one point lower; nobody new counted.

    Revenue: sum over t = 1..months of mrr x ((1 - churn + 0.01)^t - (1 - churn)^t); arr: twelve times the last term.
    None where churn is under a point.
    """
    if churn < POINT:
        return None
    now, better = 1 - churn, 1 - churn + POINT
    gained = [mrr * (better**t - now**t) for t in range(1, months + 1)]
    return Point(months, sum(gained, Fraction(0)), 12 * gained[-1])
