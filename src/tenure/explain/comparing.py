"""Do these customers leave more than those, when both pay for the same plan and have been here as long?

    found = compared(gone, people, gone_others, people_others)       one number of each for every stratum
    found.difference, found.ratio, found.p
    trended(stratum, score, gone, people)                            more than two kinds, in an order

Mantel and Haenszel's weights: each stratum compares its own customers, and none is so small that it cannot count. The
difference is in shares of customers a month; its interval is Sato's, right for few large strata and for many small
ones. p is exact (conditional on how many left in each stratum) where little is known, and the normal approximation with
continuity correction otherwise. A trend is the slope within strata, its interval robust, its p Mantel's extension of the
same test. Sources: Mantel & Haenszel 1959; Mantel 1963; Greenland & Robins 1985; Sato 1989; White 1980.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tenure.errors import BadInput
from tenure.kernel.stats import NO_ESTIMATE, Estimate, normal_quantile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Below this variance of the count under no effect, the exact distribution is worth its time.
_EXACT_BELOW = 60.0


@dataclass(frozen=True, slots=True)
class Compared:
    """Two groups compared within strata.

    difference, ratio: of the shares who left, adjusted; p: two-sided, that there is none, None where no stratum has
    both groups; gone, people, gone_others, people_others: what was counted in the strata that have both.
    """

    difference: Estimate
    ratio: Estimate
    p: float | None
    gone: int
    people: int
    gone_others: int
    people_others: int

    @property
    def share(self) -> float | None:
        """Of the first group, the plain share who left."""
        return self.gone / self.people if self.people else None

    @property
    def share_others(self) -> float | None:
        """Of the others, the plain share who left."""
        return self.gone_others / self.people_others if self.people_others else None


def compared(
    gone: ArrayLike, people: ArrayLike, gone_others: ArrayLike, people_others: ArrayLike, level: float = 0.95
) -> Compared:
    """Two groups compared stratum by stratum; see the module.

    Strata in which one of the groups has nobody tell nothing and are left out. Raises BadInput where more left than
    were there.

    >>> found = compared([20], [100], [10], [100])
    >>> round(found.difference.value, 3), round(found.ratio.value, 3)
    (0.1, 2.0)
    """
    columns = (gone, people, gone_others, people_others)
    a, n1, b, n0 = (np.asarray(part, dtype=np.float64).ravel() for part in columns)
    if not len(a) == len(n1) == len(b) == len(n0):
        raise BadInput(f"one number for each stratum, got {len(a)}, {len(n1)}, {len(b)} and {len(n0)}")
    if np.any(a < 0) or np.any(b < 0) or np.any(a > n1) or np.any(b > n0):
        raise BadInput("of a group at least nobody and at most everybody leaves")
    both = (n1 > 0) & (n0 > 0)
    a, n1, b, n0 = a[both], n1[both], b[both], n0[both]
    counted = (int(a.sum()), int(n1.sum()), int(b.sum()), int(n0.sum()))
    if not len(a):
        return Compared(NO_ESTIMATE, NO_ESTIMATE, None, *counted)
    n = n1 + n0
    weight = n1 * n0 / n
    return Compared(
        _difference(a, n1, b, n0, n, float(weight.sum()), level),
        _ratio(a, n1, b, n0, n, level),
        _p(a, n1, b, n),
        *counted,
    )


@dataclass(frozen=True, slots=True)
class Trend:
    """How the share who left moves with a score, within strata.

    slope: change of the share for one step of the score; p: two-sided, that there is none; None where no stratum has two
    scores, or fewer than FEWEST left. gone, people: what was counted in the strata that have several scores.
    """

    slope: Estimate
    p: float | None
    gone: int
    people: int


FEWEST = 10


def trended(stratum: ArrayLike, score: ArrayLike, gone: ArrayLike, people: ArrayLike, level: float = 0.95) -> Trend:
    """The trend in one number for each stratum and score; see the module.

    >>> found = trended([0, 0, 0], [0, 1, 2], [10, 20, 30], [100, 100, 100])
    >>> round(found.slope.value, 3), found.p < 0.001
    (0.1, True)
    """
    names = np.asarray(stratum).ravel()
    x, a, n = (np.asarray(part, dtype=np.float64).ravel() for part in (score, gone, people))
    if not len(names) == len(x) == len(a) == len(n):
        raise BadInput(f"one number for each stratum and score, got {len(names)}, {len(x)}, {len(a)} and {len(n)}")
    if np.any(a < 0) or np.any(a > n):
        raise BadInput("of a group at least nobody and at most everybody leaves")
    _, place = np.unique(names, return_inverse=True)

    def total(part: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.bincount(place, part).astype(np.float64)
        return found

    people_of = total(n)
    mean = total(n * x) / np.maximum(people_of, 1)
    spread = total(n * x * x) - people_of * mean * mean
    told = (spread > 1e-9)[place] & (n > 0)
    counted = int(a[told].sum()), int(n[told].sum())
    if not told.any() or counted[0] < FEWEST:
        return Trend(NO_ESTIMATE, None, *counted)
    gone_of = total(a)
    whole = float(spread[spread > 1e-9].sum())
    away = x - mean[place]
    surplus = float((away * a)[told].sum())
    slope = surplus / whole
    # Under no effect those who left are a random draw of their stratum.
    draws = gone_of * (people_of - gone_of) / (people_of * np.maximum(people_of - 1, 1))
    variance = float((draws * spread)[spread > 1e-9].sum())
    if variance <= 0:
        return Trend(NO_ESTIMATE, 1.0, *counted)
    expected = (gone_of / people_of)[place] + slope * away
    # Squared residuals of each cell's customers, of whom some left and the rest did not.
    squares = a * (1 - expected) ** 2 + (n - a) * expected**2
    reach = normal_quantile(level) * math.sqrt(float((away * away * squares)[told].sum())) / whole
    p = math.erfc(abs(surplus) / math.sqrt(2 * variance))
    return Trend(Estimate(slope, slope - reach, slope + reach), p, *counted)


def _difference(
    a: NDArray[np.float64],
    n1: NDArray[np.float64],
    b: NDArray[np.float64],
    n0: NDArray[np.float64],
    n: NDArray[np.float64],
    weight: float,
    level: float,
) -> Estimate:
    difference = float(((a * n0 - b * n1) / n).sum()) / weight
    p = ((n1 * n1 * b - n0 * n0 * a + n1 * n0 * (n0 - n1) / 2) / (n * n)).sum()
    q = ((a * (n0 - b) + b * (n1 - a)) / (2 * n)).sum()
    # One imaginary leaver on each side: a small group of whom nobody left has an interval of some width, too.
    unseen = float(n1.sum()) ** -2 + float(n0.sum()) ** -2
    variance = max(0.0, difference * float(p) + float(q)) / weight**2 + unseen
    reach = normal_quantile(level) * math.sqrt(variance)
    return Estimate(difference, max(-1.0, difference - reach), min(1.0, difference + reach))


def _ratio(
    a: NDArray[np.float64],
    n1: NDArray[np.float64],
    b: NDArray[np.float64],
    n0: NDArray[np.float64],
    n: NDArray[np.float64],
    level: float,
) -> Estimate:
    above, below = float((a * n0 / n).sum()), float((b * n1 / n).sum())
    if not below:
        return NO_ESTIMATE
    if not above:
        return Estimate(0.0, None, None)
    variance = float(((n1 * n0 * (a + b) - a * b * n) / (n * n)).sum()) / (above * below)
    reach = normal_quantile(level) * math.sqrt(max(variance, 0.0))
    ratio = above / below
    stretch = math.exp(reach) if reach < 700 else math.inf
    return Estimate(ratio, ratio / stretch, ratio * stretch if math.isfinite(stretch) else None)


def _p(a: NDArray[np.float64], n1: NDArray[np.float64], b: NDArray[np.float64], n: NDArray[np.float64]) -> float:
    """How often chance alone would share out those who left at least this unevenly."""
    t = a + b
    n0 = n - n1
    several = n > 1
    spread = np.where(several, n1 * n0 * t * (n - t) / (n * n * np.where(several, n - 1, 1)), 0.0)
    variance, surplus = float(spread.sum()), float((a - t * n1 / n).sum())
    if variance <= 0:
        return 1.0
    if variance < _EXACT_BELOW:
        return _exact(a, n1, t, n)
    return math.erfc(max(0.0, abs(surplus) - 0.5) / math.sqrt(2 * variance))


def _exact(a: NDArray[np.float64], n1: NDArray[np.float64], t: NDArray[np.float64], n: NDArray[np.float64]) -> float:
    """Twice the smaller tail of the sum of hypergeometric counts, one for each stratum in which somebody left."""
    told = (t > 0) & (t < n)
    a, n1, t, n = a[told], n1[told], t[told], n[told]
    lowest = np.maximum(0, t - (n - n1))
    total = round(float((a - lowest).sum()))
    # Strata that are alike share a distribution.
    chance = np.ones(1)
    rows, counts = np.unique(np.stack([n1, t, n], axis=1), axis=0, return_counts=True)
    for (ones, gone, people), count in zip(rows, counts, strict=True):
        chance = np.convolve(chance, _power(_hypergeometric(int(ones), int(gone), int(people)), int(count)))
    chance /= chance.sum()
    upper, lower = float(chance[total:].sum()), float(chance[: total + 1].sum())
    return min(1.0, 2 * min(upper, lower))


def _power(chance: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The distribution of the sum of so many counts that are distributed alike."""
    found, doubled = np.ones(1), chance
    while count:
        if count % 2:
            found = np.convolve(found, doubled)
        count //= 2
        if count:
            doubled = np.convolve(doubled, doubled)
    return found


def _hypergeometric(ones: int, gone: int, people: int) -> NDArray[np.float64]:
    """How likely each number of the first group is among those who left, from the least possible number on."""
    from scipy.special import gammaln

    k = np.arange(max(0, gone - (people - ones)), min(gone, ones) + 1, dtype=np.float64)

    def log_choose(of: float, take: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = gammaln(of + 1.0) - gammaln(take + 1.0) - gammaln(of - take + 1.0)
        return found

    weight = log_choose(ones, k) + log_choose(people - ones, gone - k)
    chance: NDArray[np.float64] = np.exp(weight - weight.max())
    return chance / chance.sum()
