"""How sure is this number, and is that change more than noise? Intervals from counts and sums, never from rows.

What grows with customers is summed in the engine; these functions take a handful of counts or sums and answer at once.
Which one belongs to which number:

    share of customers (churn rate)             wilson(lost, customers)
    bounded share of revenue (gross churn, GRR) wilson_effective(share, effective_size(sum m, sum m^2))
    events per exposure (leavers per month)     poisson_exact(events, exposure)
    net revenue retention                       ratio_interval(six sums), what ratio_bootstrap of customers tends to
    this period against the last                change_of_shares(...), or change_interval of any two estimates
    many comparisons at once                    holm(p values)
    monthly <-> annual                          to_period(rate, 12, 1)

An empty base has no rate: functions answer None there, never 0. How well each interval covers the truth is measured in
benchmarks/bench_intervals.py and told in docs/explanation/intervals.md.

Sources: Wilson 1927 (JASA 22, score interval); Garwood 1936 (Biometrika 28, exact Poisson); Kish 1965 (Survey Sampling,
effective sample size); Cochran 1977 (Sampling Techniques, ratio estimates); Holm 1979 (Scand. J. Statist. 6);
Newcombe 1998 (Statist. Med. 17:857 and 17:873, proportions and their difference); Zou & Donner 2008 (Statist. Med. 27,
the same for any two estimates).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from operator import index
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from tenure.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Number: TypeAlias = int | float | Decimal | Fraction
Verdict: TypeAlias = Literal["rose", "fell", "noise", "unknown"]

SMALL_BASE = 30
"""Below this many customers a rate moves by more than 3 points when one customer leaves; it is shown with a flag."""


class Interval(NamedTuple):
    """From where to where the truth may lie; None where it cannot be said."""

    low: float | None
    high: float | None


class Estimate(NamedTuple):
    """A number with its interval; every part None where there is nothing to estimate from."""

    value: float | None
    low: float | None
    high: float | None


UNKNOWN = Interval(None, None)
NO_ESTIMATE = Estimate(None, None, None)


@lru_cache(maxsize=64)
def normal_quantile(level: float) -> float:
    """How many standard errors a two-sided interval of this level reaches: 1.959964 for 0.95."""
    if not 0.0 < level < 1.0:
        raise BadInput(f"a confidence level lies between 0 and 1, got {level!r}; write 0.95 for 95 %")
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + level / 2)


def small_base(n: Number) -> bool:
    """Whether a rate stands on fewer than 30 customers, so that a reader should be warned."""
    return n < SMALL_BASE


# ---------------------------------------------------------------------------------------------------------------------
# One number


def wilson(k: int, n: int, level: float = 0.95) -> Interval:
    """Where the true share lies when k of n customers left. Wilson's score interval, no continuity correction.

    Both ends are shares in [0, 1]; no customers, no interval. k counts some of the n, so k <= n. Unlike k/n +- 2
    standard errors it says something when nobody left. Source: Wilson 1927; Newcombe 1998, method 3.

    >>> low, high = wilson(15, 148)
    >>> round(low, 4), round(high, 4)
    (0.0624, 0.1605)
    """
    if not 0 <= k <= n:
        raise BadInput(
            f"{k} of {n} is no share: the counted must be among the {n}; use poisson_exact for events per exposure"
        )
    if n == 0:
        return UNKNOWN
    low, high = _score(k / n, float(n), level)
    # The formula gives these two ends exactly; floating point would leave 1e-17 of a customer.
    return Interval(0.0 if k == 0 else low, 1.0 if k == n else high)


def wilson_effective(share: Number | None, n_eff: Number | None, level: float = 0.95) -> Interval:
    """Where the true share of revenue lies, when customers pay unequal amounts. Wilson's interval at n_eff customers.

    `share` in [0, 1] is money over money (gross MRR churn, GRR), `n_eff` comes from effective_size. Its variance is
    right when leaving has nothing to do with size. No base, or a share outside [0, 1] (more was lost than there was at
    the start, because newcomers left too): no interval. Source: Wilson 1927 with Kish 1965.

    >>> low, high = wilson_effective(0.10, 20.0)
    >>> round(low, 4), round(high, 4)
    (0.0279, 0.301)
    """
    if share is None or n_eff is None:
        return UNKNOWN
    p, n = float(share), float(n_eff)
    if not (0.0 <= p <= 1.0 and n > 0.0):
        return UNKNOWN
    low, high = _score(p, n, level)
    return Interval(0.0 if p == 0.0 else low, 1.0 if p == 1.0 else high)


def _score(p: float, n: float, level: float) -> tuple[float, float]:
    z = normal_quantile(level)
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    shrink = 1 + z * z / n
    return max(0.0, (centre - half) / shrink), min(1.0, (centre + half) / shrink)


def effective_size(sum_m: Number, sum_m2: Number) -> float | None:
    """How many equal customers would tell as much as these unequal ones: (sum m)^2 / sum m^2.

    Ten customers paying the same count as ten; one that pays more than all others together counts for little more than
    one. Never above the number of customers. None when nobody pays. Source: Kish 1965.

    >>> effective_size(sum_m=100 + 1 + 1, sum_m2=100**2 + 1 + 1)
    1.0401919616076785
    """
    if sum_m < 0 or sum_m2 < 0:
        raise BadInput(f"sizes are not negative, got sum {sum_m} and sum of squares {sum_m2}; leave refunds out of MRR")
    if not sum_m2:
        return None
    return float(_exact(sum_m) ** 2 / _exact(sum_m2))


def _exact(number: Number) -> Fraction:
    # A numpy integer inside a Fraction overflows at 64 bits; a Python integer does not.
    return Fraction(number if isinstance(number, float | Decimal | Fraction) else index(number))


def poisson_exact(events: int, exposure: Number, level: float = 0.95) -> Estimate:
    """How many leave per unit of exposure (customer-months, customer-days), with Garwood's exact interval.

    The rate has the unit 1/exposure. No exposure, no rate. For events that a customer can have again, or that are not a
    part of a counted base: use this and not wilson. Source: Garwood 1936.

    >>> rate, low, high = poisson_exact(10, 1)
    >>> rate, round(low, 4), round(high, 4)
    (10.0, 4.7954, 18.3904)
    """
    if events < 0 or exposure < 0:
        raise BadInput(f"events and exposure are not negative, got {events} events in {exposure}")
    if not exposure:
        return NO_ESTIMATE
    rate, low, high = poisson_exact_all([events], [float(exposure)], level)
    return Estimate(float(rate[0]), float(low[0]), float(high[0]))


def poisson_exact_all(
    events: ArrayLike, exposure: ArrayLike, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """`poisson_exact` for many rows at once: rate, low, high as float arrays, NaN where there was no exposure."""
    import numpy as np
    from scipy.special import gammaincinv

    tail = (1 - level) / 2
    normal_quantile(level)  # refuses a level outside (0, 1)
    k = np.asarray(events, dtype=np.float64)
    seen = np.asarray(exposure, dtype=np.float64)
    if np.any(k < 0) or np.any(seen < 0):
        raise BadInput("events and exposure are not negative; look for subtracted corrections")
    base = np.where(seen > 0, seen, np.nan)
    # Half the chi-square quantile at 2k degrees of freedom is the gamma quantile at shape k; with no event, low is 0.
    low = np.where(k > 0, gammaincinv(np.maximum(k, 1.0), tail), 0.0)
    high = gammaincinv(k + 1.0, 1 - tail)
    return k / base, low / base, high / base


# ---------------------------------------------------------------------------------------------------------------------
# A ratio of two sums over customers: net revenue retention


def ratio_interval(
    n: int,
    Ss: Number,
    Se: Number,
    Sss: Number,
    See: Number,
    Sse: Number,
    level: float = 0.95,
    unseen: float = 1.0,
) -> Estimate:
    """Net revenue retention with its interval, from six sums over the customers who paid at the start.

    n customers; Ss, Se = sums of MRR at start and end; Sss, See, Sse = sums of start^2, end^2 and start x end. However
    the customers are split into parts, the sums add. The value is Se/Ss; its variance is linearised (delta method),

        V = n/(n-1) * (See - 2 R Sse + R^2 Sss) / Ss^2  +  unseen / n_eff^2,      n_eff = Ss^2 / Sss

    and the interval is R exp(+- z sqrt(V) / R), so it is never negative. The second term is one imaginary customer, of
    average weight, who left or doubled: without it a month in which nobody moved has an interval of no width, and in
    quiet months of very unequal customers "95 %" holds the truth in 60 % (40 customers) to 86 % of cases (600);
    measured by benchmarks/bench_intervals.py. unseen=0 gives the textbook.
    Fewer than two customers, or nothing at the start: no interval. Decimal sums lose nothing to cancellation.
    Source: Cochran 1977, ch. 6; the second term in the spirit of Agresti & Coull 1998.

    >>> starts, ends = [100] * 50, [100] * 45 + [150] * 2 + [0] * 3
    >>> sums = sum(starts), sum(ends), 50 * 100**2, 45 * 100**2 + 2 * 150**2, 45 * 100**2 + 2 * 150 * 100
    >>> [round(part, 3) for part in ratio_interval(50, *sums)]
    [0.96, 0.88, 1.047]
    """
    start, end, start2, end2, cross = (_exact(part) for part in (Ss, Se, Sss, See, Sse))
    if start < 0 or end < 0:
        raise BadInput(f"MRR is not negative, got {Ss} at the start and {Se} at the end")
    if not start:
        return NO_ESTIMATE
    ratio = end / start
    if n < 2 or not start2:
        return Estimate(float(ratio), None, None)
    residual = max(end2 - 2 * ratio * cross + ratio * ratio * start2, Fraction(0))
    n_eff = float(start * start / start2)
    variance = float(residual / (start * start)) * n / (n - 1) + unseen / n_eff**2
    return _log_limits(float(ratio), math.sqrt(variance), level)


def _log_limits(ratio: float, error: float, level: float) -> Estimate:
    """Limits ratio exp(+- z error / ratio); where everybody left, the plain 0 to z error."""
    reach = normal_quantile(level) * error
    if ratio == 0.0:
        return Estimate(0.0, 0.0, reach)
    stretch = reach / ratio
    # exp(700) is the edge of floating point: with that little data there is no upper limit to speak of.
    return Estimate(ratio, ratio * math.exp(-stretch), ratio * math.exp(stretch) if stretch < 700 else None)


_CELLS = 1_000_000  # drawn at once: 8 MB


def ratio_bootstrap(
    start: ArrayLike,
    end: ArrayLike,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
    counts: ArrayLike | None = None,
    unseen: float = 1.0,
) -> Estimate:
    """Net revenue retention with a customer bootstrap: what if other customers, alike, had been ours?

    start, end = MRR of each customer at both ends (end 0 for who left); `counts` says how many customers a row stands
    for (the engine can group equal pairs). Customers are drawn with replacement, percentiles of the drawn ratios are
    the interval. Same seed, same answer, in whatever order customers come. Time grows with resamples x distinct pairs,
    memory does not grow with resamples. Each draw is jittered by one imaginary customer of average weight (see
    ratio_interval; unseen=0 is the textbook). BCa was studied and left out: with very unequal customers it mostly
    covers less than plain percentiles (docs/explanation/intervals.md). Many customers: ratio_interval is as good and
    needs six sums. Source: Efron 1979.
    """
    import numpy as np

    tail = (1 - level) / 2
    normal_quantile(level)  # refuses a level outside (0, 1)
    s, e, c = _distinct_pairs(start, end, counts)
    n, total = int(c.sum()), float(c @ s)
    if total == 0.0:
        return NO_ESTIMATE
    ratio = float(c @ e) / total
    if n < 2:
        return Estimate(ratio, None, None)
    rng = np.random.default_rng(seed)
    # Few twins: drawing n customers is cheaper than drawing a count for every distinct pair.
    one_by_one = n <= 10 * len(c)
    pairs = np.stack([np.repeat(s, c), np.repeat(e, c)]) if one_by_one else np.stack([s, e])
    rows = max(1, _CELLS // pairs.shape[1])
    parts: list[NDArray[np.float64]] = []
    for first in range(0, resamples, rows):
        block = min(rows, resamples - first)
        if one_by_one:
            drawn = rng.integers(0, n, (block, n))
            parts.append(np.stack([column[drawn].sum(axis=1) for column in pairs]))
        else:
            parts.append(pairs @ rng.multinomial(n, c / n, size=block).T)
    sums = np.concatenate(parts, axis=1)
    sums = sums[:, sums[0] > 0]  # a draw of none but customers who paid nothing has no ratio
    ratios = sums[1] / sums[0]
    if unseen > 0:
        n_eff = total**2 / float(c @ (s * s))
        jitter = math.sqrt(unseen) / n_eff * rng.standard_normal(len(ratios))
        ratios = np.abs(jitter) if ratio == 0.0 else ratios * np.exp(np.minimum(jitter / ratio, 700.0))
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Estimate(ratio, float(low) if ratio else 0.0, float(high))


def _distinct_pairs(
    start: ArrayLike, end: ArrayLike, counts: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Equal customers as one row with a count, sorted, so that the answer does not hang on the order they came in."""
    import numpy as np

    s = np.asarray(start, dtype=np.float64).ravel()
    e = np.asarray(end, dtype=np.float64).ravel()
    c = np.ones(len(s), dtype=np.int64) if counts is None else np.asarray(counts, dtype=np.int64).ravel()
    if not len(s) == len(e) == len(c):
        raise BadInput(f"one start, end and count for each row, got {len(s)}, {len(e)} and {len(c)}")
    if not (np.all(s >= 0) and np.all(e >= 0) and np.all(c >= 0)):
        raise BadInput("MRR and counts are numbers from 0 up; an unknown MRR must be left out, not passed as NaN")
    s, e, c = s[c > 0], e[c > 0], c[c > 0]
    if not len(s):
        return s, e, c
    order = np.lexsort((e, s))
    s, e, c = s[order], e[order], c[order]
    first = np.flatnonzero(np.concatenate([[True], (np.diff(s) != 0) | (np.diff(e) != 0)]))
    return s[first], e[first], np.add.reduceat(c, first)


# ---------------------------------------------------------------------------------------------------------------------
# Two numbers


@dataclass(frozen=True)
class Change:
    """How far a number moved, and whether that is more than noise.

    verdict: "rose" or "fell" when the interval of the difference leaves zero out, "noise" when it does not, "unknown"
    when one side has no interval.
    """

    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    high: float | None
    level: float
    verdict: Verdict


def change_interval(before: Estimate, after: Estimate, level: float = 0.95) -> Change:
    """Is this more than noise? The difference after - before of two independent estimates, with its interval.

    Each is (value, low, high) with intervals of this same `level`, of any kind: two Wilson intervals give Newcombe's
    hybrid score interval, two NRRs theirs, skew and all. Estimates that share their noise (rolling twelve-month figures
    of neighbouring months) are not independent: the interval is then too wide, and "noise" may hide a real move.
    Source: Newcombe 1998, method 10; Zou & Donner 2008.
    """
    normal_quantile(level)  # refuses a level outside (0, 1)
    old, old_low, old_high = before
    new, new_low, new_high = after
    if old is None or new is None:
        return Change(old, new, None, None, None, level, "unknown")
    difference = new - old
    if old_low is None or old_high is None or new_low is None or new_high is None:
        return Change(old, new, difference, None, None, level, "unknown")
    low = difference - math.hypot(new - new_low, old_high - old)
    high = difference + math.hypot(new_high - new, old - old_low)
    verdict: Verdict = "rose" if low > 0 else "fell" if high < 0 else "noise"
    return Change(old, new, difference, low, high, level, verdict)


def change_of_shares(k_before: int, n_before: int, k_after: int, n_after: int, level: float = 0.95) -> Change:
    """Did the share of customers who left really change? Newcombe's hybrid score interval of the difference.

    >>> april_to_may = change_of_shares(48, 80, 56, 70)
    >>> round(april_to_may.low, 4), round(april_to_may.high, 4), april_to_may.verdict
    (0.0524, 0.3339, 'rose')
    """
    sides = []
    for k, n in ((k_before, n_before), (k_after, n_after)):
        sides.append(Estimate(k / n if n else None, *wilson(k, n, level)))
    return change_interval(sides[0], sides[1], level)


def same_share_p(k1: int, n1: int, k2: int, n2: int) -> float | None:
    """How often two groups with the same true share would differ at least this much: a two-sided p value.

    The pooled score test; Fisher's exact test when a cell of the table expects fewer than five. An empty group: None.
    Source: Cochran 1954 for the rule of five; Fisher 1934.
    """
    wilson(k1, n1), wilson(k2, n2)  # refuses k > n
    if n1 == 0 or n2 == 0:
        return None
    n, k = n1 + n2, k1 + k2
    if k in (0, n):
        return 1.0
    if min(k, n - k) * min(n1, n2) / n < 5:
        return _fisher(k1, n1, k2, n2)
    pooled = k / n
    z = (k1 / n1 - k2 / n2) / math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    return math.erfc(abs(z) / math.sqrt(2))


def _fisher(k1: int, n1: int, k2: int, n2: int) -> float:
    import numpy as np
    from scipy.special import gammaln

    def log_choose(of: NDArray[np.float64] | int, take: NDArray[np.float64]) -> NDArray[np.float64]:
        return gammaln(np.add(of, 1.0)) - gammaln(take + 1.0) - gammaln(of - take + 1.0)

    k = k1 + k2
    first = np.arange(max(0, k - n2), min(k, n1) + 1, dtype=np.float64)
    log_weight = log_choose(n1, first) + log_choose(n2, k - first)
    weight = np.exp(log_weight - log_weight.max())
    here = weight[int(k1 - first[0])]
    # Tables as unlikely as ours are counted in spite of rounding, as R does.
    return float(min(1.0, weight[weight <= here * (1 + 1e-7)].sum() / weight.sum()))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values corrected for having looked at many segments at once, in their own order.

    Keeps the chance of even one false alarm in the family at the level read off, however the tests depend on each
    other. None stays None and is not counted. Source: Holm 1979.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    floor = 0.0
    for rank, (p, place) in enumerate(order):
        if not 0.0 <= p <= 1.0:
            raise BadInput(f"a p value lies between 0 and 1, got {p!r}")
        floor = max(floor, min(1.0, p * (len(order) - rank)))
        adjusted[place] = floor
    return adjusted


# ---------------------------------------------------------------------------------------------------------------------
# A rate has a period


def to_period(rate: Number | None, from_periods_per_year: Number, to_periods_per_year: Number) -> float | None:
    """What is this churn rate over another period? 1 - (1 - r)^k, never r times k.

    12 periods a year are months, 4 quarters, 1 years, 365/30 spans of thirty days. Who leaves in January cannot leave
    again in February, so 5 % a month is 46 % a year, not 60 %. A negative rate (net churn of a growing base) converts
    too; a rate above 1 is no rate. Holds if the rate stays the same all along, which that of young customers never
    does: see docs/explanation/survival.md. None stays None.

    >>> round(to_period(0.05, 12, 1), 4), round(to_period(0.05, 1, 12), 6), round(to_period(0.15, 4, 12), 5)
    (0.4596, 0.004265, 0.05273)
    """
    if rate is None:
        return None
    if not (from_periods_per_year > 0 and to_periods_per_year > 0):
        raise BadInput(
            "periods per year are above 0: 12 for months, 4 for quarters, 1 for years, 365/30 for thirty days"
        )
    r = float(rate)
    if not r <= 1.0:
        raise BadInput(f"a churn rate is at most 1 (everybody), got {r!r}; write 0.05 for 5 %")
    if r == 1.0:
        return 1.0
    return -math.expm1(math.log1p(-r) * float(from_periods_per_year) / float(to_periods_per_year))


def over_days(rate: Number | None, from_days: Number, to_days: Number) -> float | None:
    """The same by days: 5 % in 30 days is 46.42 % in a year of 365 and 5.068 % in a month of 365/12 days.

    >>> round(over_days(0.05, 30, 365), 4), round(over_days(0.05, 30, 365 / 12), 5)
    (0.4642, 0.05068)
    """
    if not (from_days > 0 and to_days > 0):
        raise BadInput(f"a period is longer than 0 days, got {from_days} and {to_days}")
    return to_period(rate, 1 / _exact(from_days), 1 / _exact(to_days))
