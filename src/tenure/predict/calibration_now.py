"""Probabilities came out right so far; will they in the months to come? What time tells, beyond all customers together.

    calibrator = stretched(calibrator, left, probability, weight)       does the spread still hold on later time?
    calibrator = moved(calibrator, level_now(time, left, expected, weight))      and where does the level stand?

How probabilities are put right is learned from all months, on customers that the model has not seen: known best, and
blind to time. Later time alone is told by few leavers, so it is believed as far as it differs by more than chance:

spread    a slope of log odds on later time, drawn towards 1 by the positive-part rule of James and Stein 1961
level     by month, log(left / expected) wanders from month to month, seen through the chance of the count. How far is
          not known: every size counts as much as it makes the counts likely. Where nothing wanders, the level is that
          of all months together; where it does, old months count less, and a company that has just settled, or a
          market that turned, is followed. The local level model, Harvey 1989, ch. 2 (Kalman's filter)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tenure.predict.calibration import Calibrator, Curve, Rising

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

# How far a level may wander in a month, on the scale of logarithms: each as likely as the others before the look.
_WANDERS = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
_FEWEST = 3


def level_now(time: Real, left: Real, expected: Real, weight: Real) -> float:
    """The level at the last time, log(left / expected). expected: chances from a model that has not seen the row."""
    moments, place = np.unique(time, return_inverse=True)
    size = len(moments)
    gone, said, squares = (
        np.bincount(place, weights=each, minlength=size)
        for each in (weight * left, weight * expected, weight**2 * expected * (1 - expected))
    )
    if not gone.sum() or not said.sum():
        return 0.0
    seen = said > 0
    # Half a leaver on both sides: a month without any is no proof that nobody will leave.
    ratio = np.log((gone[seen] + 0.5) / (said[seen] + 0.5))
    chance = squares[seen] / said[seen] ** 2
    if seen.sum() < _FEWEST:
        return float(np.average(ratio, weights=1 / chance))
    steps = np.diff(moments[seen])
    steps = steps / max(float(np.median(steps)), 1e-12)
    heights, levels = np.array([_filtered(ratio, chance, steps, wander**2) for wander in _WANDERS]).T
    likely = np.exp(heights - heights.max())
    return float(likely @ levels / likely.sum())


def _filtered(ratio: Real, chance: Real, steps: Real, variance: float) -> tuple[float, float]:
    """The log-likelihood of the ratios, and the level at the last one."""
    level, doubt = float(ratio[0]), float(chance[0])
    height = 0.0
    for i in range(1, len(ratio)):
        doubt += variance * float(steps[i - 1])
        error, spread = float(ratio[i]) - level, doubt + float(chance[i])
        height -= 0.5 * (np.log(spread) + error**2 / spread)
        share = doubt / spread
        level, doubt = level + share * error, doubt * (1 - share)
    return float(height), level


def stretched(calibrator: Calibrator, left: Real, probability: Real, weight: Real) -> Calibrator:
    """The calibration with the slope of its log odds on later time. probability: from a model of earlier time."""
    p = np.clip(calibrator.apply(probability), 1e-9, 1 - 1e-9)
    odds = np.log(p) - np.log1p(-p)
    middle = float(np.average(odds, weights=weight))
    design = np.column_stack([odds - middle, np.ones(len(odds))])
    b = np.array([1.0, middle])
    for _ in range(50):
        mu = 1 / (1 + np.exp(-np.clip(design @ b, -35, 35)))
        curve = (design * (weight * mu * (1 - mu))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curve, design.T @ (weight * (left - mu)))
        b = b + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-10:
            break
    error = float(np.linalg.inv(curve)[0, 0])
    off = float(b[0]) - 1.0
    if off**2 <= error:
        return calibrator
    slope = max(1.0 + off * (1.0 - error / off**2), 0.1)
    return moved(calibrator, middle * (1.0 - slope), slope)


def moved(calibrator: Calibrator, by: float, slope: float = 1.0) -> Calibrator:
    """The same calibration, its log odds times a slope and moved."""
    if isinstance(calibrator, Curve):
        a, b, c = (slope * each for each in (calibrator.a, calibrator.b, calibrator.c))
        return Curve(calibrator.kind, a, b, c + by)
    assert isinstance(calibrator, Rising)
    p = np.clip(calibrator.happened, 1e-12, 1 - 1e-12)
    return Rising(calibrator.said, 1 / (1 + np.exp(-(slope * (np.log(p) - np.log1p(-p)) + by))))
