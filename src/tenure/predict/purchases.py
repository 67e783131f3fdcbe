"""How often will a customer without a contract buy, and is he still one? What the purchase models have in common.

    model = BetaGeoNBD().fit(frequency, recency, age)
    model.probability_alive(frequency, recency, age)
    model.conditional_expected_purchases(39, frequency, recency, age)
    model.discounted_purchases(0.0027, frequency, recency, age)

Times are in the unit of the data: with weeks in, `39` is 39 weeks and a discount rate is per week. Each answer is an
array with one number per customer. The first purchase makes somebody a customer and is not counted: purchases are
repeat purchases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tenure.errors import BadInput
from tenure.predict.histories import Histories, Simulated, checked, column, refuse
from tenure.predict.likelihood import Model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tenure.predict.likelihood import Objective, Real

    Self = TypeVar("Self", bound="PurchaseModel")

# Above this many distinct histories the starts are compared on about so many of them.
FIRST_LOOK = 1_000


class PurchaseModel(Model):
    """What BG/NBD, MBG/NBD and Pareto/NBD answer; they differ in when a customer may stop."""

    histories_: Histories

    def fit(
        self: Self, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike, weights: ArrayLike | None = None
    ) -> Self:
        """The parameters that make these histories likeliest.

        frequency: repeat purchases (periods with a purchase, without the first); recency: time from the first purchase
        to the last, 0 without a repeat purchase; age: time from the first purchase to the end of observation; weights:
        how many customers a row stands for (1 if not given), so that grouped counts give the same answer.

        Raises BadInput naming the first row that cannot be, CannotFit where nobody bought again.
        """
        return self.fit_histories(Histories.of(frequency, recency, age, weights))

    def fit_histories(self: Self, histories: Histories) -> Self:
        """The same from histories that are grouped already."""
        histories.worth_fitting()
        part = histories.thinned(FIRST_LOOK)
        unit = histories.mean_age
        self._settle(
            self._objective(histories),
            self._starts(histories.purchases / (histories.customers * unit), unit),
            histories.customers,
            None if part is None else self._objective(part),
            {"alpha": unit, "beta": unit},
        )
        self.histories_ = histories
        return self

    # -------------------------------------------------------------------------------------------------- predictions

    def probability_alive(self, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> NDArray[np.float64]:
        """The probability that a customer of this history still is one, at the end of observation."""
        self._fitted()
        return self._alive(*checked(frequency, recency, age))

    def expected_purchases(self, t: ArrayLike) -> NDArray[np.float64]:
        """Repeat purchases that somebody who just bought for the first time is expected to make within t."""
        self._fitted()
        return self._expected_new(_times(t))

    def conditional_expected_purchases(
        self, t: ArrayLike, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> NDArray[np.float64]:
        """Purchases that a customer of this history is expected to make within the next t."""
        self._fitted()
        x, t_x, T = checked(frequency, recency, age)
        ahead = np.broadcast_to(_times(t), x.shape)
        return self._alive(x, t_x, T) * self._expected_alive(ahead, x, T)

    def purchases_if_alive(self, t: float, frequency: ArrayLike, age: ArrayLike) -> NDArray[np.float64]:
        """The same of somebody who still is a customer for certain: recency says no more than that."""
        self._fitted()
        x, T = column(frequency, "frequency"), column(age, "age")
        return self._expected_alive(np.broadcast_to(_times(t), x.shape), x, T)

    def expected_total(
        self, t: float, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike, weights: ArrayLike | None = None
    ) -> float:
        """Purchases that all these customers together are expected to make within the next t."""
        each = self.conditional_expected_purchases(t, frequency, recency, age)
        return float(each.sum() if weights is None else each @ column(weights, "weights", len(each)))

    def probability_of_purchases(self, n: int, t: ArrayLike) -> NDArray[np.float64]:
        """The probability that somebody new makes exactly n repeat purchases within t of the first one."""
        self._fitted()
        if n < 0 or n != int(n):
            raise BadInput(f"n is {n!r}; it counts purchases, so write 0, 1, 2 ...")
        return self._mass(int(n), _times(t))

    def discounted_purchases(
        self, discount_rate: float, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> NDArray[np.float64]:
        """All future purchases of a customer of this history, each discounted back to now (DERT).

        discount_rate: continuous, per unit of time; 15 % a year is ln(1.15) / 52 a week. Times the value of a purchase
        it is the remaining lifetime value. Source: Fader, Hardie & Lee 2005 (JMR 42).
        """
        self._fitted()
        if not (math.isfinite(discount_rate) and discount_rate > 0):
            raise BadInput(
                f"discount_rate is {discount_rate!r}; a positive rate per unit of time is needed, for without one the "
                "sum over all future has no end. 15 % a year is ln(1.15) / 52 = 0.0027 a week"
            )
        x, t_x, T = checked(frequency, recency, age)
        # Those alive differ by frequency and age only, and share them: each is worked out once.
        pairs, place = np.unique(np.stack([x, T]), axis=1, return_inverse=True)
        each = self._discounted_alive(discount_rate, pairs[0], pairs[1])
        return self._alive(x, t_x, T) * each[np.ravel(place)]

    def simulate(self, age: ArrayLike, seed: int, ahead: float = 0.0) -> Simulated:
        """Customers of these ages as this model would make them: what is seen of each, and the truth behind it.

        Answers frequency, recency, age, alive (at `age`) and future (purchases in the `ahead` after it).
        """
        rng = self._draw(seed)
        T = column(age, "age")
        refuse(T < 0, T, "age", "is negative; it is the time since the first purchase")
        if not ahead >= 0:
            raise BadInput(f"ahead is {ahead!r}; it is how long after `age` purchases are counted, from 0 on")
        rate, leaves = self._customers(len(T), rng)
        return _live(rate, leaves, T, float(ahead), rng)

    def plot(self, language: str = "en", width: int = 0, most: int = 7) -> Any:
        """How many customers made 0, 1, 2 ... repeat purchases, beside how many the model expects (altair.Chart).

        The last bar holds `most` and more.
        """
        from tenure.charts.purchases import seen_and_expected

        self._fitted()
        if not hasattr(self, "histories_"):
            raise BadInput(f"{type(self).__name__}.plot() shows the data of fit(), and nothing was fitted")
        ages, customers, _ = self.histories_.by_age
        expected = [float(customers @ self._mass(n, ages)) for n in range(most)]
        return seen_and_expected(
            rows_of_counts(self.histories_.by_frequency, expected, self.histories_.customers),
            "purchases",
            language,
            width,
        )

    # ---------------------------------------------------------------------------------------- what the models decide

    def _objective(self, data: Histories) -> Objective:
        raise AssertionError("every purchase model has its likelihood")

    def _starts(self, rate: float, unit: float) -> Sequence[Real]:
        raise AssertionError("every purchase model has its starts")

    def _alive(self, x: Real, t_x: Real, T: Real) -> Real:
        raise AssertionError("every purchase model says who is alive")

    def _expected_new(self, t: Real) -> Real:
        raise AssertionError("every purchase model expects purchases")

    def _expected_alive(self, t: Real, x: Real, T: Real) -> Real:
        raise AssertionError("every purchase model expects purchases")

    def _discounted_alive(self, discount: float, x: Real, T: Real) -> Real:
        raise AssertionError("every purchase model discounts")

    def _mass(self, n: int, t: Real) -> Real:
        raise AssertionError("every purchase model has a distribution")

    def _customers(self, n: int, rng: np.random.Generator) -> tuple[Real, Leaves]:
        raise AssertionError("every purchase model can be simulated")

    def _partners(self, parameter: str) -> dict[str, int]:
        return {"r": {"alpha": 1}, "s": {"beta": 1}, "b": {"a": 1}}.get(parameter, {})


class Leaves:
    """When a made-up customer stops: at a time (Pareto), or after a purchase with a chance (beta-geometric)."""

    def __init__(self, at: Real, chance: Real | None = None) -> None:
        self.at = at
        self.chance = chance


def rows_of_counts(seen: Real, expected: Sequence[float], customers: float) -> list[dict[str, Any]]:
    """Rows of a chart: 0, 1, 2 ... and the last `and more`, seen and expected."""
    most = len(expected)
    rows = [
        {"label": str(n), "seen": float(seen[n]) if n < len(seen) else 0.0, "expected": float(expected[n])}
        for n in range(most)
    ]
    more, rest = float(seen[most:].sum()), max(customers - float(sum(expected)), 0.0)
    if more == 0 and rest < 1e-6 * customers:
        return rows
    return [*rows, {"label": f"{most}+", "seen": more, "expected": rest}]


def _times(t: ArrayLike) -> Real:
    found = np.asarray(t, dtype=np.float64)
    if not (np.isfinite(found).all() and (found >= 0).all()):
        raise BadInput("t is a length of time from 0 on, in the unit of the data")
    return found


def _live(rate: Real, leaves: Leaves, age: Real, ahead: float, rng: np.random.Generator) -> Simulated:
    """Purchase after purchase for everybody at once, until all have left or their time is over."""
    frequency = np.zeros(len(age), dtype=np.int64)
    future = np.zeros(len(age), dtype=np.int64)
    recency = np.zeros(len(age))
    left_at = leaves.at.copy()
    going = np.arange(len(age))
    now = np.zeros(len(age))
    while len(going):
        now = now + rng.exponential(1.0, len(going)) / rate[going]
        there = (now <= age[going] + ahead) & (now <= left_at[going])
        going, now = going[there], now[there]
        seen = now <= age[going]
        frequency[going] += seen
        future[going] += ~seen
        recency[going[seen]] = now[seen]
        if leaves.chance is not None:
            left_at[going] = np.where(rng.random(len(going)) < leaves.chance[going], now, np.inf)
    return Simulated(frequency, recency, age, left_at > age, future)
