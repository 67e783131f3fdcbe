"""Is the model better than what anybody would have said without it? Two baselines, and the rule for using a model.

    base = BaseRate().fit(left)                        everybody the same
    recency = RecencyOnly().fit(days_since, left)      who was seen longest ago leaves first, and nothing else
    verdict = put_into_service(left, model_said, {"base rate": base.predict(n), "recency only": recency.predict(days)})
    verdict.in_service, verdict.reason

The rule: a model that does not beat them on customers and times it has not seen is not put into service. To beat is to
have the lower log loss, and by more than chance would give: the upper end of the bootstrap interval of the difference
(the same customers drawn for both) lies below 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tenure.errors import BadInput, CannotFit
from tenure.predict.judging import Figure, log_losses

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]


class BaseRate:
    """Says of everybody the share that left in training; one leaver and one stayer short of certain."""

    def fit(self, left: ArrayLike, weight: ArrayLike | None = None) -> BaseRate:
        """Learn the share: (leavers + 1/2) / (customers + 1), so that nobody is sure of what has not happened yet."""
        y = np.asarray(left, dtype=np.float64).ravel()
        w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64).ravel()
        self.rate_ = float((w @ y + 0.5) / (w.sum() + 1.0))
        return self

    def predict(self, customers: int) -> Real:
        """(customers,) the share."""
        return np.full(customers, self.rate_)


class RecencyOnly:
    """Says of each customer the share that left in training among those last seen about as long ago.

    Ten groups of training customers of equal size by days since last seen; each group's share is drawn towards the
    whole's as if one more customer had been seen there. Unknown recency is a group of its own.
    """

    def fit(self, recency: ArrayLike, left: ArrayLike, weight: ArrayLike | None = None) -> RecencyOnly:
        """Learn the shares. recency: days since last seen (NaN: never seen)."""
        r, y = np.asarray(recency, dtype=np.float64).ravel(), np.asarray(left, dtype=np.float64).ravel()
        w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64).ravel()
        if not len(r) == len(y) == len(w):
            raise BadInput(f"one row per customer, got {len(r)} and {len(y)}")
        if not len(y):
            raise CannotFit("there are no customers to learn from; load more history or choose a later cut-off")
        known = r[np.isfinite(r)]
        self.edges_ = np.unique(np.quantile(known, np.linspace(0.1, 0.9, 9))) if len(known) else np.empty(0)
        group = self._group(r)
        size = len(self.edges_) + 2
        base = BaseRate().fit(y, w).rate_
        total = np.bincount(group, weights=w, minlength=size)
        self.rates_ = (np.bincount(group, weights=w * y, minlength=size) + base) / (total + 1.0)
        return self

    def _group(self, recency: Real) -> NDArray[np.int64]:
        group = np.searchsorted(self.edges_, recency, side="left")
        return np.where(np.isfinite(recency), group, len(self.edges_) + 1).astype(np.int64)

    def predict(self, recency: ArrayLike) -> Real:
        """(customers,) the share of each one's group."""
        return np.asarray(self.rates_[self._group(np.asarray(recency, dtype=np.float64).ravel())])


@dataclass(frozen=True)
class Verdict:
    """Whether the model is put into service, why, and by how much its log loss differs from each baseline's."""

    in_service: bool
    reason: str
    difference: Mapping[str, Figure]


def put_into_service(
    left: ArrayLike,
    model: ArrayLike,
    baselines: Mapping[str, ArrayLike],
    *,
    weight: ArrayLike | None = None,
    customer: ArrayLike | None = None,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Verdict:
    """The rule, applied to customers and times the model has not seen. difference: model minus baseline; < 0 wins."""
    y = np.asarray(left, dtype=np.float64).ravel()
    if not baselines:
        raise BadInput("there is nothing to beat; give at least the base rate")
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64).ravel()
    own = log_losses(y, np.asarray(model, dtype=np.float64).ravel())
    differences: dict[str, Figure] = {}
    place = np.arange(len(y)) if customer is None else np.unique(np.asarray(customer), return_inverse=True)[1]
    count = int(place.max()) + 1 if len(y) else 0
    totals = np.bincount(place, weights=w, minlength=count)
    for name, said in baselines.items():
        extra = np.bincount(
            place, weights=w * (own - log_losses(y, np.asarray(said, dtype=np.float64).ravel())), minlength=count
        )
        # The same seed for each: the same customers are drawn.
        rng = np.random.default_rng(seed)
        drawn = []
        for _ in range(draws):
            rows = rng.integers(0, count, count)
            total = totals[rows].sum()
            drawn.append(extra[rows].sum() / total if total > 0 else 0.0)
        low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
        differences[name] = Figure(float(extra.sum() / totals.sum()), float(low), float(high))
    lost = [name for name, each in differences.items() if each.high is None or each.high >= 0]
    if lost:
        told = ", ".join(
            f"{name}: {differences[name].value:+.4f} ({differences[name].low:+.4f} to {differences[name].high:+.4f})"
            for name in lost
        )
        return Verdict(False, f"not put into service: its log loss is not surely below that of {told}", differences)
    return Verdict(True, f"its log loss is below that of {' and '.join(differences)}", differences)
