"""How much of the leaving is owed to each cause? An additive hazard: what all have, and what each cause adds to it.

    found = fitted(cells, {"price": [0, 1, 2], "support": [3]})
    found.parts(evidence)                 of each leaver: the share of each cause in its hazard; the rest is the base

The weekly hazard of a cell is h = exp(x g) + o c z b: a base that multiplies (plan, tenure, term, channel), plus what each
piece of evidence z adds, which may come out negative and is not forced to be positive (that would see causes everywhere).
o is how much of a decision there is at all: a yearly contract is thought over when its end comes near, so there a cause
can do more, and before it nothing; it is read off the base. c lets longer terms differ from that. The likelihood is
Poisson's, maximised by Fisher scoring; errors are those of the likelihood, carried to the shares by the delta method.
Whether a cause is there at all is a score test, one-sided, its tail that of a scaled Poisson count; causes are admitted
one after the other, each against those that are admitted already, corrected for how many were still tried (Holm), so
that one false one in twenty worlds is all that is risked, whatever else is real.

Sources: Breslow & Day 1987, chapter 4 (additive excess risk); McCullagh & Nelder 1989; Holm 1979.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tenure.errors import CannotFit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

_ROUNDS = 40
FLOOR = 0.02  # of the base: a cause that keeps people takes at most the rest
_WIDE = 9.0  # variance of what is thought of a level's log rate before looking
_SCALE = 0.5  # the same of the log of what a longer term weighs


@dataclass(frozen=True, eq=False)
class Cells:
    """What was counted: one row per kind of customer-week.

    base: [cell, column] of 0 and 1, its first column 1 for all; evidence: [cell, column]; term: 0 for a monthly
    decision, else which kind of longer term; weeks: customer-weeks; left: decisions to leave within them; nearness:
    which columns of the base say how near the end of a term is; opportunity: how much of a decision there is (`fitted`
    finds it).
    """

    base: Real
    evidence: Real
    term: NDArray[np.int64]
    weeks: Real
    left: Real
    nearness: tuple[int, ...] = ()
    opportunity: Real | None = None

    @property
    def chance(self) -> Real:
        """opportunity, 1 where nothing is known of it."""
        return np.ones(len(self.weeks)) if self.opportunity is None else self.opportunity

    def weighed(self, coefficients: Real) -> Cells:
        """The cells with their opportunity, from the base's coefficients of nearness."""
        return replace(self, opportunity=np.exp(np.clip(self.base[:, list(self.nearness)] @ coefficients, -12, 5)))


@dataclass(frozen=True, eq=False)
class Admitted:
    """A cause that was tried: its unadjusted p against the causes admitted before it, the p with all tries counted, and
    whether it was admitted; the ratio of its sum to one: excess decisions, their error, customer-weeks of evidence."""

    cause: str
    p: float
    adjusted_p: float
    stands: bool
    slope: float
    error: float


@dataclass(frozen=True, eq=False)
class Excess:
    """The fitted hazard; see the module. columns: of the evidence, those that are in it, by cause."""

    columns: Mapping[str, list[int]]
    tried: tuple[Admitted, ...]
    theta: Real
    covariance: Real
    bases: int
    terms: int
    nearness: Real

    def hazards(self, cells: Cells) -> tuple[Real, Real, Real]:
        """(base, what longer terms weigh, slope of each evidence column that is in it) of each cell."""
        base = np.exp(np.clip(cells.base @ self.theta[: self.bases], -30, 5))
        scale = np.concatenate([[1.0], np.exp(self.theta[self.bases : self.bases + self.terms])])
        chance = cells.weighed(self.nearness).chance
        return base, np.asarray(scale[cells.term] * chance, dtype=np.float64), self.theta[self.bases + self.terms :]

    def shares(self, cells: Cells, weights: Real) -> tuple[dict[str, float], Real]:
        """The share of each admitted cause among leavers, each of `cells` standing for `weights`, and their covariance."""
        parts, gradients = self.parts(cells), []
        names = list(self.columns)
        base, scale, slopes = self.hazards(cells)
        place = {column: i for i, column in enumerate(column for name in names for column in self.columns[name])}
        total = float(weights.sum())
        each = cells.evidence[:, list(place)] if place else np.zeros((len(base), 0))
        added = scale * (each @ slopes)
        h = np.maximum(base + added, FLOOR * base)
        is_long = cells.term > 0
        for name in names:
            mine = [place[column] for column in self.columns[name]]
            e = scale * (each[:, mine] @ slopes[mine])
            # d(e/h): by the base's coefficients, the weights of terms, and the slopes.
            by_base = (-(e / h**2) * base * weights) @ cells.base
            by_scale = np.array(
                [
                    float((weights * is_long * (cells.term == g + 1) * (e / h - e * added / h**2)).sum())
                    for g in range(self.terms)
                ]
            )
            by_slope = -(weights * e / h**2 * scale) @ each
            by_slope[mine] += (weights * scale / h) @ each[:, mine]
            gradients.append(np.concatenate([by_base, by_scale, by_slope]) / total)
        gradient = np.array(gradients).reshape(len(names), len(self.theta))
        value = {name: float((parts[name] * weights).sum() / total) for name in names}
        return value, gradient @ self.covariance @ gradient.T

    def parts(self, cells: Cells) -> dict[str, Real]:
        """Of each cell, the share of each admitted cause in its hazard; what is left is the base."""
        base, scale, slopes = self.hazards(cells)
        found, at = {}, 0
        added = np.zeros(len(base))
        for name, columns in self.columns.items():
            found[name] = scale * (cells.evidence[:, columns] @ slopes[at : at + len(columns)])
            added += found[name]
            at += len(columns)
        h = np.maximum(base + added, FLOOR * base)
        return {name: part / h for name, part in found.items()}


def fitted(
    cells: Cells,
    causes: Mapping[str, Sequence[int]],
    level: float = 0.05,
    *,
    segments: Mapping[str, Sequence[int]] | None = None,
    shares: tuple[float, float] = (1.0, 1.0),
) -> Excess:
    """Admits those causes that are there by more than chance, at the family-wise `level`, and fits the hazard with them.

    causes: columns of the evidence by cause; segments: the same of kinds of customers, which are a family of their own;
    shares: the parts of the level that the two may spend. adjusted_p is compared with `level`. Raises CannotFit where
    fewer than 20 left.
    """
    if cells.left.sum() < 20:
        raise CannotFit(
            f"{cells.left.sum():.0f} left by choice; it takes 20 to say anything of why. Ask for a longer period"
        )
    used = cells.evidence != 0
    every = {**causes, **(segments or {})}
    family = {name: 0 if name in causes else 1 for name in every}
    waiting = {name: list(columns) for name, columns in every.items() if used[:, list(columns)].any()}
    inside: dict[str, list[int]] = {}
    tried: dict[str, Admitted] = {}
    theta, covariance = _fit(cells, [])
    nearness = theta[list(cells.nearness)]
    cells = cells.weighed(nearness)
    floor = [0.0, 0.0]
    while waiting:
        test = _Score(cells, theta, covariance, [column for held in inside.values() for column in held])
        tests = {name: test(columns) for name, columns in waiting.items()}
        many = [sum(family[name] == one for name in waiting) for one in (0, 1)]
        for name, (p, slope, error) in tests.items():
            mine = family[name]
            corrected = min(1.0, max(floor[mine], p * many[mine] / shares[mine]))
            tried[name] = Admitted(name, p, corrected, False, slope, error)
        best = min(tests, key=lambda name: (tried[name].adjusted_p, tests[name][0], name))
        if tried[best].adjusted_p > level:
            break
        floor[family[best]] = tried[best].adjusted_p
        tried[best] = replace(tried[best], stands=True)
        inside[best] = waiting.pop(best)
        theta, covariance = _fit(cells, [column for columns in inside.values() for column in columns])
    for name in every:
        tried.setdefault(name, Admitted(name, 1.0, 1.0, False, 0.0, 0.0))
    terms = int(cells.term.max()) if len(cells.term) else 0
    return Excess(inside, tuple(tried[name] for name in every), theta, covariance, cells.base.shape[1], terms, nearness)


def _hazard(cells: Cells, theta: Real, columns: Sequence[int]) -> tuple[Real, Real, Real, Real]:
    bases, terms = cells.base.shape[1], int(cells.term.max()) if len(cells.term) else 0
    base = np.exp(np.clip(cells.base @ theta[:bases], -30, 5))
    scale = np.concatenate([[1.0], np.exp(theta[bases : bases + terms])])[cells.term] * cells.chance
    slopes = theta[bases + terms :]
    added = scale * (cells.evidence[:, list(columns)] @ slopes) if len(columns) else np.zeros(len(base))
    return base, scale, added, np.maximum(base + added, FLOOR * base)


def _gradient(cells: Cells, base: Real, scale: Real, added: Real, h: Real, columns: Sequence[int]) -> Real:
    """dh/dtheta of each cell; 0 for what a floor holds."""
    terms = int(cells.term.max()) if len(cells.term) else 0
    free = (h > FLOOR * base).astype(np.float64)
    by_base = cells.base * base[:, None]
    by_scale = [((cells.term == g + 1) * added * free)[:, None] for g in range(terms)]
    by_slope = cells.evidence[:, list(columns)] * (scale * free)[:, None]
    return np.hstack([by_base, *by_scale, by_slope])


def _prior(cells: Cells, columns: Sequence[int]) -> Real:
    """How surely each parameter is thought to be 0 before looking."""
    bases, terms = cells.base.shape[1], int(cells.term.max()) if len(cells.term) else 0
    return np.concatenate([[1e-6], np.full(bases - 1, 1 / _WIDE), np.full(terms, 1 / _SCALE), np.zeros(len(columns))])


def _objective(cells: Cells, theta: Real, columns: Sequence[int], prior: Real) -> float:
    h = _hazard(cells, theta, columns)[3]
    told = cells.left > 0
    return float((cells.left[told] * np.log(h[told])).sum() - (cells.weeks * h).sum() - 0.5 * (prior * theta**2).sum())


def _fit(cells: Cells, columns: Sequence[int]) -> tuple[Real, Real]:
    """Parameters and their covariance, by Fisher scoring with halved steps."""
    bases, terms = cells.base.shape[1], int(cells.term.max()) if len(cells.term) else 0
    theta = np.zeros(bases + terms + len(columns))
    rate = cells.left.sum() / cells.weeks.sum()
    theta[0] = np.log(rate)
    prior = _prior(cells, columns)
    # The intercept is where it is, not near 0.
    prior[0] = 0.0
    best = _objective(cells, theta, columns, prior)
    information = np.eye(len(theta))
    for _ in range(_ROUNDS):
        base, scale, added, h = _hazard(cells, theta, columns)
        g = _gradient(cells, base, scale, added, h, columns)
        information = (g * (cells.weeks / h)[:, None]).T @ g + np.diag(prior + 1e-9)
        step = np.linalg.solve(information, g.T @ (cells.left / h - cells.weeks) - prior * theta)
        size = 1.0
        while size > 1e-4:
            value = _objective(cells, theta + size * step, columns, prior)
            if np.isfinite(value) and value >= best - 1e-9:
                break
            size /= 2
        else:
            break
        gained, best = value - best, value
        theta = theta + size * step
        if gained < 1e-7 * max(1.0, abs(best)) and size == 1.0:
            break
    return theta, np.asarray(np.linalg.inv(information), dtype=np.float64)


class _Score:
    """Score tests of further evidence against a hazard that is fitted."""

    def __init__(self, cells: Cells, theta: Real, covariance: Real, columns: Sequence[int]) -> None:
        base, self._scale, added, self._h = _hazard(cells, theta, columns)
        self._cells, self._covariance = cells, covariance
        self._gradient = _gradient(cells, base, self._scale, added, self._h, columns)
        self._off = cells.left / self._h - cells.weeks

    def __call__(self, columns: Sequence[int]) -> tuple[float, float, float]:
        """One-sided p that the evidence of `columns`, taken as one, adds nothing; the slope it would have, its error."""
        cells = self._cells
        z = self._scale * cells.evidence[:, list(columns)].sum(axis=1)
        surplus, expected = float((z * self._off).sum()), float((z * cells.weeks).sum())
        both = self._gradient.T @ (z * cells.weeks / self._h)
        variance = float((z * z * cells.weeks / self._h).sum()) - float(both @ self._covariance @ both)
        if variance <= 1e-12 or expected <= 0:
            return 1.0, 0.0, 0.0
        return _tail(surplus, expected, variance), surplus / variance, variance**-0.5


def _tail(surplus: float, expected: float, variance: float) -> float:
    """P(a scaled Poisson count with this mean and variance is at least so far above its mean)."""
    from scipy.special import gammainc

    factor = variance / expected
    mean, count = expected / factor, (expected + surplus) / factor
    return 1.0 if count <= 0 else float(gammainc(count, mean))
