"""When a model says 30 %, do 30 of 100 leave? Three ways to make it so, learned on customers the model has not seen.

    calibrate(left, probability)    chooses: Platt's line, a beta curve, or steps that only rise (isotonic)

Platt: log odds become a + b x log odds (two numbers). Beta: a ln p - b ln(1 - p) + c (three, a and b not negative).
Isotonic: any rising steps; it needs many leavers, or it learns the noise. Below 30 leavers only the level is moved,
below 500 only Platt's line is tried; above, the one with the lowest log loss over five folds is taken, the simpler
where they tie. Sources: Platt 1999; Kull, Silva Filho & Flach 2017 (EJS 11:5052); Zadrozny & Elkan 2002.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tenure.predict.judging import log_losses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

_FEW, _MANY = 30, 500
_EDGE = 1e-9


class Calibrator(Protocol):
    """From what the model said to what happened to such customers."""

    @property
    def kind(self) -> str:
        """level, platt, beta or isotonic."""
        ...

    def apply(self, probability: Real) -> Real:
        """Probabilities as they come out right."""
        ...


@dataclass(frozen=True)
class Curve:
    """a ln p - b ln(1 - p) + c, back to a probability; Platt's line has a = b."""

    kind: str
    a: float
    b: float
    c: float

    def apply(self, probability: Real) -> Real:
        """Probabilities as they come out right."""
        p = np.clip(probability, _EDGE, 1 - _EDGE)
        odds = self.a * np.log(p) - self.b * np.log1p(-p) + self.c
        return np.asarray(1 / (1 + np.exp(-odds)))


@dataclass(frozen=True, eq=False)
class Rising:
    """Straight lines between the middles of the rising steps, level beyond the first and last."""

    said: Real
    happened: Real
    kind: str = "isotonic"

    def apply(self, probability: Real) -> Real:
        """Probabilities as they come out right."""
        return np.asarray(np.interp(probability, self.said, self.happened))


def calibrate(left: Real, probability: Real, weight: Real | None = None, seed: int = 0) -> Calibrator:
    """The best of the three for as many leavers as there are; both outcomes must occur."""
    w = np.ones(len(left)) if weight is None else weight
    rarer = min(float(left.sum()), float((1 - left).sum()))
    if rarer < _FEW or float(np.ptp(probability)) < 1e-12:
        return level(left, probability, w)
    if rarer < _MANY:
        return platt(left, probability, w)
    kinds: list[Callable[[Real, Real, Real], Calibrator]] = [platt, beta, isotonic]
    fold = np.random.default_rng(seed).integers(0, 5, len(left))
    losses = []
    for kind in kinds:
        told = np.empty(len(left))
        for each in range(5):
            own, others = fold == each, fold != each
            told[own] = kind(left[others], probability[others], w[others]).apply(probability[own])
        losses.append(float(w @ log_losses(left, told)) / float(w.sum()))
    # The simpler one unless another is better by a ten-thousandth.
    best = min(range(3), key=lambda i: losses[i] + 1e-4 * losses[0] * i)
    return kinds[best](left, probability, w)


def level(left: Real, probability: Real, weight: Real) -> Curve:
    """The same log odds, all moved by as much as brings the sum right."""
    c = _newton(left, _odds(probability)[:, None] * np.empty((1, 0)), weight, _odds(probability))[-1]
    return Curve("level", 1.0, 1.0, float(c))


def platt(left: Real, probability: Real, weight: Real) -> Curve:
    """Platt's line on the log odds; one that would turn the ranking around only moves the level."""
    slope, c = _newton(left, _odds(probability)[:, None], weight)
    return Curve("platt", float(slope), float(slope), float(c)) if slope > 0 else level(left, probability, weight)


def beta(left: Real, probability: Real, weight: Real) -> Curve:
    """A beta curve; where it would fall anywhere, Platt's line."""
    p = np.clip(probability, _EDGE, 1 - _EDGE)
    a, b, c = _newton(left, np.stack([np.log(p), -np.log1p(-p)], axis=1), weight)
    if a < 0 or b < 0:
        return platt(left, probability, weight)
    return Curve("beta", float(a), float(b), float(c))


def isotonic(left: Real, probability: Real, weight: Real) -> Rising:
    """Rising steps through what happened, each drawn a little towards the whole so that nothing is certain."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(probability, kind="stable")
    p, y, w = probability[order], left[order], weight[order]
    blocks = isotonic_regression(y, weights=np.maximum(w, 1e-12)).blocks[:-1]
    total = np.add.reduceat(w, blocks)
    base = float(w @ y) / float(w.sum())
    happened = (np.add.reduceat(w * y, blocks) + base) / (total + 1.0)
    said = np.divide(np.add.reduceat(w * p, blocks), total, out=p[blocks].copy(), where=total > 0)
    said, first = np.unique(said, return_index=True)
    return Rising(said, np.maximum.accumulate(happened[first]))


def _odds(probability: Real) -> Real:
    p = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(p) - np.log1p(-p))


def _newton(left: Real, x: Real, weight: Real, offset: Real | None = None) -> Real:
    """Logistic regression of few columns and a constant (last), by Newton's steps with a touch of ridge."""
    design = np.column_stack([x, np.ones(len(left))])
    b = np.zeros(design.shape[1])
    b[:-1] = 1.0 if offset is None else 0.0
    for _ in range(100):
        eta = np.clip(design @ b + (0.0 if offset is None else offset), -35, 35)
        mu = 1 / (1 + np.exp(-eta))
        gradient = design.T @ (weight * (left - mu))
        curve = (design * (weight * mu * (1 - mu))[:, None]).T @ design
        step = np.linalg.solve(curve + 1e-9 * np.eye(len(b)), gradient)
        b = b + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-10:
            break
    return b
