"""What is usual? The range in which the next period should fall if nothing has changed, and how odd it is if not.

A number is compared with its own past: with periods of its own group (the same weekday, the same month of the year, or
simply those before), each with an exposure (customers x days, opening MRR) that says how much could have happened.

    counts (leavers, newcomers)      Counted: given the total of past and present, the present is a binomial share of it
                                     by exposure, so the range of a Poisson count is exact without knowing its rate
    amounts, ratios                  Measured: a t prediction range around the group's mean, on a scale on which such
                                     sums are near normal (the cube root), with a robust spread

Both look past outliers: a period more than 2.58 robust deviations away counts the less, the further away it is, so an
outage of last spring neither hides the next one nor becomes usual. Counts that scatter more than Poisson counts do
(shared causes, trends) widen their range by that much; it is never narrower than Poisson's. Neither knows of trends
within the past: they are scatter to it. Periods are taken to be independent of each other.

Sources: Przyborowski & Wilenski 1940 (Biometrika 31, comparing two Poisson counts by the binomial share); Nelson 1970
(Technometrics 12, prediction ranges from it); Farrington et al. 1996 (J. R. Statist. Soc. A 159:547, over-dispersed
counts against the same weeks of past years, past outbreaks weighed less), with the limit of 2.58 of Noufaily et al.
2013 (Statist. Med. 32:1206); Wilson & Hilferty 1931 (PNAS 17, the cube root); Hampel 1974 (JASA 69, the median absolute
deviation); Hahn & Meeker 1991 (Statistical Intervals, prediction ranges of the normal).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tenure.errors import BadInput

OUTLYING = 2.58  # deviations; 1 % of a normal's values lie beyond
_ROBUST = 1.4826  # the median absolute deviation of a normal, times this, is its standard deviation
_ROUNDS = 3
_FREEDOM = (
    8  # at most, for amounts: sums over very unequal customers have heavier tails than a normal, cube root or not
)
_MEDIAN_FROM = 5  # a median of fewer is no safer than their mean


@dataclass(frozen=True, slots=True)
class Past:
    """A period before: its group, what happened in it (a count or an amount) and its exposure, above 0."""

    group: int
    happened: float
    exposure: float = 1.0


@dataclass(frozen=True, slots=True)
class Counted:
    """What is usual of a count: `events` in `past_exposure`, now looked for in `exposure`; scatter 1 is Poisson's."""

    events: float
    past_exposure: float
    exposure: float
    scatter: float
    freedom: float
    periods: int

    @property
    def expected(self) -> float:
        """How many there would be at the rate of the past."""
        return self.events / self.past_exposure * self.exposure

    def p(self, count: float) -> float:
        """How often chance alone would take a count this far from the usual or further, up or down."""
        from scipy.special import betainc, ndtri, stdtr

        share = self.exposure / (self.exposure + self.past_exposure)
        now, before = count / self.scatter, self.events / self.scatter
        above = float(betainc(now, before + 1, share)) if now > 0 else 1.0
        below = 1.0 - float(betainc(now + 1 / self.scatter, before, share)) if before > 0 else 1.0
        least = min(above, below)
        if self.scatter > 1 and 0 < least < 0.5:
            # The scatter is an estimate itself: Student's t in place of the normal, as quasi-likelihood has it.
            least = float(stdtr(self.freedom, ndtri(least)))
        return min(1.0, 2 * least)

    def range(self, level: float) -> tuple[int, int]:
        """The least and the largest count whose p is above `level`."""
        middle = math.floor(self.expected)
        for near in (middle, middle + 1):
            if self.p(near) > level:
                middle = near
        low, high = _edge(lambda n: self.p(middle - n) > level, middle), _edge(lambda n: self.p(middle + n) > level)
        return middle - low, middle + high


def _edge(holds: Callable[[int], bool], most: int | None = None) -> int:
    """The largest whole number, at most `most`, up to which it holds; it holds for 0."""
    reach = 1
    while (most is None or reach <= most) and holds(reach):
        reach *= 2
    low, high = reach // 2, reach if most is None else min(reach, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a number is near normal: the way there and the way back."""

    there: Callable[[float], float]
    back: Callable[[float], float]


CUBE_ROOT = Scale(lambda x: math.copysign(abs(x) ** (1 / 3), x), lambda z: z**3)
LOGARITHM = Scale(math.log, lambda z: math.exp(min(z, 700.0)))
AS_IT_IS = Scale(lambda x: x, lambda z: z)


@dataclass(frozen=True, slots=True)
class Measured:
    """What is usual of an amount per exposure: centre and spread of a prediction on `scale`, with its freedom."""

    centre: float
    spread: float
    freedom: float
    exposure: float
    scale: Scale
    periods: int

    @property
    def expected(self) -> float:
        """What there would be if it were as in the middle of the past."""
        return self.scale.back(self.centre) * self.exposure

    def p(self, amount: float) -> float:
        """How often chance alone would take an amount this far from the usual or further, up or down."""
        from scipy.special import stdtr

        away = abs(self.scale.there(amount / self.exposure) - self.centre) / self.spread
        return 2 * float(stdtr(self.freedom, -away))

    def range(self, level: float) -> tuple[float, float]:
        """The amounts whose p is above `level`."""
        from scipy.special import stdtrit

        reach = -float(stdtrit(self.freedom, level / 2)) * self.spread
        return tuple(self.scale.back(self.centre + side * reach) * self.exposure for side in (-1, 1))  # type: ignore[return-value]


Usual: TypeAlias = Counted | Measured


def usual_count(past: Sequence[Past], group: int, exposure: float) -> Counted | None:
    """What is usual of a count in a period of `group` with this exposure; None without exposure in that group's past.

    The rate is the group's own; how much counts scatter around their group's rate is learned from all groups.
    """
    mine = [one for one in past if one.group == group]
    _refuse(past, exposure)
    if not mine:
        return None
    weights = [1.0] * len(past)
    scatter, freedom = 1.0, 0
    for _ in range(_ROUNDS):
        residuals = _counts_apart(past, weights)
        if residuals is None:
            break
        told, freedom = residuals
        if freedom <= 0:
            break
        limit = OUTLYING * max(1.0, _ROBUST * _median([abs(r) for r in told]))
        scatter = max(1.0, sum(min(r * r, limit * limit) for r in told) / freedom)
        limit = OUTLYING * math.sqrt(scatter)
        weights = [1.0 if abs(r) <= limit else (limit / r) ** 2 for r in told]
    own = [(one, weight) for one, weight in zip(past, weights, strict=True) if one.group == group]
    return Counted(
        sum(weight * one.happened for one, weight in own),
        sum(weight * one.exposure for one, weight in own),
        exposure,
        scatter,
        freedom,
        len(mine),
    )


def _counts_apart(past: Sequence[Past], weights: Sequence[float]) -> tuple[list[float], int] | None:
    """Each count's distance from its group's rate in Poisson deviations, and how many distances are free."""
    groups: dict[int, list[float]] = {}
    for one, weight in zip(past, weights, strict=True):
        sums = groups.setdefault(one.group, [0.0, 0.0, 0.0])
        sums[0] += weight * one.happened
        sums[1] += weight * one.exposure
        sums[2] += 1
    found = []
    for one in past:
        events, seen, n = groups[one.group]
        expected = events / seen * one.exposure
        if expected <= 0 or n < 2:
            found.append(0.0)
            continue
        found.append((one.happened - expected) / math.sqrt(expected))
    empty = sum(1 for events, _, _ in groups.values() if events <= 0)
    free = sum(int(n) - 1 for events, _, n in groups.values() if events > 0)
    return (found, free) if empty < len(groups) else None


def usual_amount(past: Sequence[Past], group: int, exposure: float, scale: Scale) -> Measured | None:
    """What is usual of an amount in a period of `group` with this exposure.

    None where the past has no spread to go by: fewer than three periods beyond one a group, or more than half alike.
    The middle is the group's own, the spread is learned from all groups. With LOGARITHM amounts are above 0.
    """
    _refuse(past, exposure)
    groups: dict[int, list[int]] = {}
    for place, one in enumerate(past):
        groups.setdefault(one.group, []).append(place)
    freedom = sum(len(places) - 1 for places in groups.values())
    if group not in groups or freedom < 3:
        return None
    told = [scale.there(one.happened / one.exposure) for one in past]
    weights = [1.0] * len(past)
    centres: dict[int, float] = {}
    for name, places in groups.items():
        mine = [told[place] for place in places]
        centres[name] = _median(mine) if len(mine) >= _MEDIAN_FROM else sum(mine) / len(mine)
    spread = 0.0
    for _ in range(_ROUNDS):
        away = [0.0] * len(past)
        for name, places in groups.items():
            for place in places:
                if len(places) > 1:
                    away[place] = (told[place] - centres[name]) / math.sqrt(1 - 1 / len(places))
        apart = [abs(away[place]) for places in groups.values() if len(places) > 1 for place in places]
        robust = _ROBUST * _median(apart)
        if not robust:
            return None
        limit = OUTLYING * robust
        clipped = sum(
            min(abs(away[place]), limit) ** 2 * (1 - 1 / len(places)) for places in groups.values() for place in places
        )
        spread = max(robust, math.sqrt(clipped / freedom))
        limit = OUTLYING * spread
        weights = [1.0 if abs(r) <= limit else (limit / r) ** 2 for r in away]
        for name, places in groups.items():
            total = sum(weights[place] for place in places)
            centres[name] = sum(weights[place] * told[place] for place in places) / total
    worth = sum(weights[place] for place in groups[group])
    reach = spread * math.sqrt(1 + 1 / worth)
    return Measured(centres[group], reach, min(freedom, _FREEDOM), exposure, scale, len(groups[group]))


def _median(numbers: Sequence[float]) -> float:
    ordered = sorted(numbers)
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2 if n else 0.0


def _refuse(past: Sequence[Past], exposure: float) -> None:
    if exposure <= 0 or any(one.exposure <= 0 for one in past):
        raise BadInput("a period in which nothing can happen has no usual range; leave periods without exposure out")
