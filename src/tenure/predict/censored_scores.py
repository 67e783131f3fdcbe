"""How good is a model of *when*, judged on customers most of whom are still here? C and Brier score with censoring.

Somebody whose observation ended early is no leaver and no stayer. Here he counts as long as he was seen, and others who
were like him up to then count a little more: by 1 / G, G being the chance to be still under observation (inverse
probability of censoring weights). What is pinned, so that two programs agree:

- G is Kaplan and Meier's estimate of the end of observation, among `reference` customers (default: those judged). On a
  day on which some leave and others are last seen, leavers go first. A leaver of day t weighs 1 / G(t-), one who stays
  beyond t counts 1 / G(t) at t.
- C is Uno's: leaver i of day T_i <= until makes a pair with everybody seen longer, and with one last seen staying on
  the same day; weight 1 / G(T_i-)^2; two leavers of one day are no pair; equal risks count one half.
- Brier(t) is Graf's: mean of S(t)^2 / G(T-) over leavers up to t and (1 - S(t))^2 / G(t) over those still here after t.
  Integrated: trapezoids over the given times, divided by their span. A model that knows nothing has about .25 where
  half have left; the Kaplan-Meier curve given to everybody is the figure to beat.
- Everybody is seen from the start. With late entries, judge the probability within a horizon instead: `judging.judge`.

Sources: Uno, Cai, Pencina, D'Agostino & Wei 2011 (Statist. Med. 30:1105); Graf, Schmoor, Sauerbrei & Schumacher 1999
(Statist. Med. 18:2529).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tenure.errors import BadInput
from tenure.predict.concordance import pairs
from tenure.predict.judging import Figure

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]

# C of more customers than this is drawn from so many, and its interval narrowed as the square root says.
_MOST = 20_000


@dataclass(frozen=True, eq=False)
class Steps:
    """A curve that falls in steps: 1 before the first time; `level[i]` from `time[i]` on."""

    time: Real
    level: Real

    def at(self, times: Real) -> Real:
        """The level at each time, a step on that time included."""
        return np.asarray(np.append(1.0, self.level)[np.searchsorted(self.time, times, side="right")])

    def before(self, times: Real) -> Real:
        """The level just before each time."""
        return np.asarray(np.append(1.0, self.level)[np.searchsorted(self.time, times, side="left")])


def staying(duration: ArrayLike, left: ArrayLike) -> Steps:
    """Kaplan and Meier's curve of not having left, for any times; with bands and late entries: kernel.survival."""
    end, gone = _lives(duration, left)
    return _product(end, gone, gone_before=np.zeros(len(end), dtype=bool))


def observed(duration: ArrayLike, left: ArrayLike) -> Steps:
    """The chance to be still under observation: the same curve with the end of observation as the event."""
    end, gone = _lives(duration, left)
    return _product(end, ~gone, gone_before=gone)


def _product(end: Real, event: NDArray[np.bool_], gone_before: NDArray[np.bool_]) -> Steps:
    times, place = np.unique(end, return_inverse=True)
    ends, events, before = (
        np.bincount(place, weights=each, minlength=len(times)) for each in (np.ones(len(end)), event, gone_before)
    )
    at_risk = np.cumsum(ends[::-1])[::-1] - before
    return Steps(times, np.cumprod(1.0 - np.divide(events, at_risk, out=np.zeros(len(times)), where=at_risk > 0)))


def uno_c(
    duration: ArrayLike, left: ArrayLike, risk: ArrayLike, until: float | None = None, reference: Steps | None = None
) -> float | None:
    """C with censoring weights: does the model put those who leave sooner above? None without a comparable pair.

    risk: higher means leaving sooner; until: only leavers up to here begin a pair (default: all whose chance to be seen
    so long is above 0); reference: `observed` of other customers, of training for instance.
    """
    end, gone = _lives(duration, left)
    found = pairs(end, gone, risk)
    seen = (reference or observed(end, gone)).before(end[found.leaver])
    counts = (seen > 0) & (end[found.leaver] <= (math.inf if until is None else until))
    return found.index(np.divide(1.0, seen**2, out=np.zeros(len(seen)), where=counts))


def brier_parts(
    duration: ArrayLike, left: ArrayLike, survival: ArrayLike, times: ArrayLike, reference: Steps | None = None
) -> Real:
    """(customers, times) each customer's part of the Brier score at each time; the mean over customers is the score.

    survival: (customers, times) the chance to stay longer than each time, or one row for all.
    """
    end, gone = _lives(duration, left)
    at = np.asarray(times, dtype=np.float64).ravel()
    told = np.asarray(survival, dtype=np.float64)
    told = np.broadcast_to(told, (len(end), len(at))) if told.ndim == 1 or len(told) == 1 else told
    if told.shape != (len(end), len(at)):
        raise BadInput(f"one chance per customer and time, got {told.shape} for {len(end)} customers, {len(at)} times")
    if not np.isfinite(told).all() or told.min(initial=0) < 0 or told.max(initial=0) > 1 + 1e-12:
        raise BadInput("chances to stay lie between 0 and 1 and are known for everybody; fill or leave out the others")
    curve = reference or observed(end, gone)
    own, then = curve.before(end), curve.at(at)
    if np.any(then <= 0):
        last = at[then > 0].max(initial=0.0)
        raise BadInput(f"nobody is observed longer than some of the times; give times up to {last:g}")
    weight_left = np.divide(1.0, own, out=np.zeros(len(own)), where=own > 0)
    is_left = gone[:, None] & (end[:, None] <= at)
    stays = end[:, None] > at
    return np.asarray(np.where(is_left, told**2 * weight_left[:, None], np.where(stays, (1.0 - told) ** 2 / then, 0.0)))


def integrated_brier(
    duration: ArrayLike, left: ArrayLike, survival: ArrayLike, times: ArrayLike, reference: Steps | None = None
) -> float:
    """The Brier score averaged over the span of the times (trapezoids); at least two times, rising."""
    return float(_over_span(brier_parts(duration, left, survival, times, reference), times).mean())


def _over_span(parts: Real, times: ArrayLike) -> Real:
    at = np.asarray(times, dtype=np.float64).ravel()
    if len(at) < 2 or np.any(np.diff(at) <= 0):
        raise BadInput("an average over time needs two times or more, rising")
    return np.asarray(np.trapezoid(parts, at, axis=1) / (at[-1] - at[0]))


@dataclass(frozen=True)
class SurvivalJudgement:
    """concordance: Uno's C; brier: integrated Brier score; brier_of_nobody: that of one Kaplan-Meier curve for all."""

    concordance: Figure
    brier: Figure
    brier_of_nobody: float


def judge_survival(
    duration: ArrayLike,
    left: ArrayLike,
    survival: ArrayLike,
    times: ArrayLike,
    risk: ArrayLike | None = None,
    *,
    reference: Steps | None = None,
    draws: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> SurvivalJudgement:
    """C and integrated Brier score of held-out customers with bootstrap intervals, and the Brier score to beat.

    risk: default 1 - the chance to stay to the last time. The weights G stay as they are in every draw.
    """
    end, gone = _lives(duration, left)
    told, at = np.asarray(survival, dtype=np.float64), np.asarray(times, dtype=np.float64).ravel()
    curve = reference or observed(end, gone)
    score = 1.0 - told[:, -1] if risk is None else np.asarray(risk, dtype=np.float64).ravel()
    losses = _over_span(brier_parts(end, gone, told, at, curve), at)
    c = uno_c(end, gone, score, float(at[-1]), curve)
    rng, n = np.random.default_rng(seed), len(end)
    some = min(n, _MOST)
    briers, indices = [], []
    for _ in range(draws):
        briers.append(losses[rng.integers(0, n, n)].mean())
        rows = rng.integers(0, n, some)
        drawn = uno_c(end[rows], gone[rows], score[rows], float(at[-1]), curve)
        if drawn is not None and c is not None:
            indices.append(c + (drawn - c) * math.sqrt(some / n))
    tails = [0.5 - level / 2, 0.5 + level / 2]
    if c is None or not indices:
        concordance = Figure(None, None, None, "nobody left while others were seen staying longer")
    else:
        low, high = np.quantile(indices, tails)
        concordance = Figure(c, float(low), float(high))
    low, high = np.quantile(briers, tails)
    brier = Figure(float(losses.mean()), float(low), float(high))
    return SurvivalJudgement(concordance, brier, integrated_brier(end, gone, staying(end, gone).at(at), at, curve))


def _lives(duration: ArrayLike, left: ArrayLike) -> tuple[Real, NDArray[np.bool_]]:
    end = np.asarray(duration, dtype=np.float64).ravel()
    told = np.asarray(left).ravel()
    if len(end) != len(told) or not len(end):
        raise BadInput(f"one row per customer and at least one, got {len(end)} durations and {len(told)} of who left")
    if not np.isfinite(end).all() or not np.isin(told, (0, 1)).all():
        raise BadInput("durations are numbers, and who left is true or false")
    return end, told.astype(bool)
