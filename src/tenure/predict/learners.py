"""How likely is it that a customer leaves in the next period? Three learners of that, from the simplest up.

    ByTenure    the share that left at about that tenure
    Logistic    log odds as a weighted sum of columns, some with knees; ridge keeps the weights small
    Boosted     LightGBM's trees; where theory says that more means leaving sooner, they never say otherwise

Each learns from rows of one customer and one period: x (rows, columns) without unknowns, period (tenure at its start),
left (0 or 1), weight. `odds` are log odds of leaving in the period; `parts` (rows, columns + 2) is how each column
moves them, the last two being tenure and the level: rows of parts sum to odds. Which columns may only raise (1) or
only lower (-1) the risk is told as `direction`, one number per column, 0 for no rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]
    Whole = NDArray[np.int64]


class Learner(Protocol):
    """What the three have in common."""

    kind: str

    def fit(self, x: Real, period: Real, left: Real, weight: Real, customer: Whole) -> Learner:
        """Learn from these rows."""
        ...

    def odds(self, x: Real, period: Real) -> Real:
        """(rows,) log odds of leaving within the period."""
        ...

    def parts(self, x: Real, period: Real) -> Real:
        """(rows, columns + 2) what each column, the tenure and the level add to the log odds."""
        ...


class ByTenure:
    """The share that left at about this tenure, drawn towards everybody's as three more leavers' rows would."""

    kind = "base rate by tenure"

    def fit(self, x: Real, period: Real, left: Real, weight: Real, customer: Whole) -> ByTenure:
        """At most twelve spans of tenure with as many leavers in each; one if there are few."""
        base = float((weight @ left + 0.5) / (weight.sum() + 1.0))
        spans = int(min(12, left.sum() // 20))
        gone = np.sort(period[left > 0])
        # Each span ends with its last leaver, so that a day on which many leave stays in one.
        cuts = gone[np.arange(1, spans) * len(gone) // spans] if spans > 1 else np.empty(0)
        self.edges_ = np.unique(cuts)
        group = np.searchsorted(self.edges_, period, side="left")
        size = len(self.edges_) + 1
        total, leavers = (np.bincount(group, weights=each, minlength=size) for each in (weight, weight * left))
        prior = 3.0 / base
        rate = (leavers + 3.0) / (total + prior) if size > 1 else np.array([base])
        self.rates_ = np.log(rate) - np.log1p(-rate)
        self.level_ = float(np.log(base) - np.log1p(-base))
        return self

    def odds(self, x: Real, period: Real) -> Real:
        """(rows,) of the span of tenure."""
        return np.asarray(self.rates_[np.searchsorted(self.edges_, period, side="left")])

    def parts(self, x: Real, period: Real) -> Real:
        """Tenure alone moves it."""
        found = np.zeros((len(period), x.shape[1] + 2))
        found[:, -1] = self.level_
        found[:, -2] = self.odds(x, period) - self.level_
        return found


class Logistic:
    """Ridge logistic regression: columns in units of their spread, clipped at their outermost hundredths.

    A column of many values without a rule has a knee at each third of its values, so that it need not be straight;
    tenure has a level of its own in each span. A column whose weight goes against its rule is left out.
    """

    kind = "logistic"

    def __init__(self, direction: Sequence[int], ridge: float = 10.0) -> None:
        self.direction = tuple(direction)
        self.ridge = ridge

    def fit(self, x: Real, period: Real, left: Real, weight: Real, customer: Whole) -> Logistic:
        """Newton's steps on the penalised likelihood."""
        self.tenure_ = ByTenure().fit(x, period, left, weight, customer)
        low, high = np.quantile(x, [0.005, 0.995], axis=0) if x.shape[1] else (np.empty(0), np.empty(0))
        # A column that is hardly ever anything else would be clipped away.
        flat = low == high
        low[flat], high[flat] = x[:, flat].min(axis=0), x[:, flat].max(axis=0)
        self.low_, self.high_ = low, high
        self.knees_: list[tuple[int, float]] = []
        for j in range(x.shape[1]):
            if not self.direction[j] and len(np.unique(x[:5000, j])) > 20:
                self.knees_ += [(j, float(k)) for k in np.unique(np.quantile(x[:, j], [1 / 3, 2 / 3]))]
        self.origin_ = np.array([*range(x.shape[1]), *(j for j, _ in self.knees_)], dtype=np.int64)
        raw = self._raw(x)
        self.mean_ = np.average(raw, axis=0, weights=weight)
        spread = raw.std(axis=0)
        self.scale_ = np.where(spread > 1e-12, spread, np.inf)
        rule = np.zeros(raw.shape[1])
        rule[: x.shape[1]] = self.direction
        design = self._design(x, period)
        used = np.ones(design.shape[1], dtype=bool)
        while True:
            b = np.zeros(design.shape[1])
            b[used] = ridge_logistic(design[:, used], left, weight, self._penalty(design.shape[1])[used])
            against = used[: len(rule)] & (rule * b[: len(rule)] < 0)
            if not against.any():
                break
            used[: len(rule)] &= ~against
        self.weights_ = b
        return self

    def _penalty(self, columns: int) -> Real:
        penalty = np.full(columns, self.ridge)
        penalty[-1] = 0.0
        return penalty

    def _raw(self, x: Real) -> Real:
        clipped = np.clip(x, self.low_, self.high_)
        knees = [np.maximum(clipped[:, j] - at, 0.0) for j, at in self.knees_]
        return np.column_stack([clipped, *knees]) if knees else clipped

    def _design(self, x: Real, period: Real) -> Real:
        return np.column_stack(
            [
                (self._raw(x) - self.mean_) / self.scale_,
                self.tenure_.odds(x, period) - self.tenure_.level_,
                np.ones(len(period)),
            ]
        )

    def odds(self, x: Real, period: Real) -> Real:
        """(rows,) the weighted sum."""
        return np.asarray(self._design(x, period) @ self.weights_)

    def parts(self, x: Real, period: Real) -> Real:
        """Each column's part, its knees included, against the mean customer."""
        terms = self._design(x, period) * self.weights_
        found = np.zeros((len(period), x.shape[1] + 2))
        for column, origin in enumerate(self.origin_):
            found[:, origin] += terms[:, column]
        found[:, -2:] = terms[:, -2:]
        return found


def log_likelihood(b: Real, design: Real, left: Real, weight: Real, penalty: Real) -> tuple[float, Real]:
    """The penalised log-likelihood of a logistic regression, and its gradient."""
    eta = design @ b
    value = float(weight @ (left * eta - np.logaddexp(0.0, eta)) - 0.5 * (penalty * b) @ b)
    return value, np.asarray(design.T @ (weight * (left - 1 / (1 + np.exp(-eta)))) - penalty * b)


def ridge_logistic(design: Real, left: Real, weight: Real, penalty: Real) -> Real:
    """The weights with the highest penalised likelihood. Many rows: a look at some of them gives the start."""
    b = np.zeros(design.shape[1])
    every = len(left) // 50_000
    if every >= 4:
        b = ridge_logistic(design[::every], left[::every], weight[::every] * every, penalty)
    height, gradient = log_likelihood(b, design, left, weight, penalty)
    for _ in range(100):
        mu = 1 / (1 + np.exp(-(design @ b)))
        curve = (design * (weight * mu * (1 - mu))[:, None]).T @ design
        curve[np.diag_indices_from(curve)] += penalty + 1e-9
        step = np.linalg.solve(curve, gradient)
        gain = float(gradient @ step)
        if gain < 1e-9:
            break
        for _ in range(40):
            tried, slope = log_likelihood(b + step, design, left, weight, penalty)
            if tried >= height:
                break
            step = step / 2
        b, height, gradient = b + step, tried, slope
    return b


class Boosted:
    """LightGBM: many small trees, each from the errors of those before, as many as help on customers left aside.

    trees: so many, where that is known already; rounds: at most so many.
    """

    kind = "boosted trees"

    def __init__(
        self, direction: Sequence[int], seed: int = 0, threads: int = 0, rounds: int = 1500, trees: int = 0
    ) -> None:
        self.direction = tuple(direction)
        self.seed, self.threads, self.rounds, self.trees = seed, threads, rounds, trees

    def _settings(self, rows: int) -> dict[str, Any]:
        return {
            "objective": "binary",
            "learning_rate": 0.03 if rows < 100_000 else 0.06,
            "num_leaves": 8 if rows < 20_000 else 24,
            "min_data_in_leaf": int(np.clip(rows // 200, 20, 500)),
            "lambda_l2": 5.0,
            "feature_fraction": 0.6,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.threads,
            "verbosity": -1,
        }

    def fit(self, x: Real, period: Real, left: Real, weight: Real, customer: Whole) -> Boosted:
        """Trees until a fifth of the customers, left aside, gains no more; then as many from everybody."""
        import lightgbm

        whole = np.column_stack([x, period])
        ids, place = np.unique(customer, return_inverse=True)
        aside = (np.random.default_rng(self.seed).random(len(ids)) < 0.2)[place]
        settings = self._settings(len(left))
        if any(self.direction):
            settings |= {"monotone_constraints": [*self.direction, 0], "monotone_constraints_method": "intermediate"}
        rounds = self.trees or 100
        if not self.trees and 0 < left[aside].sum() < aside.sum() and 0 < left[~aside].sum() < (~aside).sum():
            learn = lightgbm.Dataset(whole[~aside], left[~aside], weight=weight[~aside], free_raw_data=True)
            check = lightgbm.Dataset(whole[aside], left[aside], weight=weight[aside], reference=learn)
            stop = lightgbm.early_stopping(50, verbose=False)
            tried = lightgbm.train(settings, learn, self.rounds, valid_sets=[check], callbacks=[stop])
            rounds = max(1, int(tried.best_iteration * 1.1))
        self.trees_ = rounds
        self.booster_ = lightgbm.train(settings, lightgbm.Dataset(whole, left, weight=weight), rounds)
        return self

    def odds(self, x: Real, period: Real) -> Real:
        """(rows,) the sum of the trees."""
        told = self.booster_.predict(np.column_stack([x, period]), raw_score=True, num_threads=self.threads)
        return np.asarray(told, dtype=np.float64)

    def parts(self, x: Real, period: Real) -> Real:
        """Exact TreeSHAP values; the level is the mean of the trees over training."""
        from tenure.predict.contributions import TreeContributions

        return TreeContributions.of(self.booster_).values(np.column_stack([x, period]))
