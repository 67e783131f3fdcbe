"""Who takes the next opportunity? BG/BB: one chance to buy or give per period, and a chance to stop before each.

For donations, conferences, fortnightly boxes: in every period one buys at most once. While a customer, one buys with
probability p at each opportunity; before each opportunity one stops for good with probability theta. Customers differ:
p is Beta(alpha, beta), theta is Beta(gamma, delta).

Source: Fader, Hardie & Shang 2010, Marketing Science 29.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from scipy import special

from tenure.errors import BadInput
from tenure.predict.histories import Histories, Simulated, checked, column, counts, refuse
from tenure.predict.likelihood import Edge, Model, chain
from tenure.predict.purchases import rows_of_counts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tenure.predict.likelihood import Objective, Real


class _Rising(NamedTuple):
    """ln of a (a + 1) ... (a + k - 1) for k = 0, 1, ..., and its two derivatives in a."""

    value: Real
    first: Real
    second: Real

    @classmethod
    def of(cls, a: float, most: int) -> _Rising:
        terms = a + np.arange(most, dtype=np.float64)
        sums = (np.cumsum(part) for part in (np.log(terms), 1 / terms, -1 / terms**2))
        return cls(*(np.concatenate([[0.0], part]) for part in sums))


class BetaGeoBetaBinomial(Model):
    """Who takes the next opportunities, and who has stopped? BG/BB, for at most one purchase per period.

    Parameters: alpha, beta (the chance to buy at an opportunity is Beta(alpha, beta)); gamma, delta (the chance to stop
    before one is Beta(gamma, delta)). Source: Fader, Hardie & Shang 2010.

    >>> model = BetaGeoBetaBinomial.of(alpha=1.2035, beta=0.7497, gamma=0.6567, delta=2.7834)
    >>> model.conditional_expected_purchases(5, [0, 6], [0, 6], [6, 6]).round(2).tolist()
    [0.07, 3.75]
    """

    names: ClassVar[tuple[str, ...]] = ("alpha", "beta", "gamma", "delta")
    edges: ClassVar[tuple[Edge, ...]] = (
        Edge("gamma", 1e-12, "nobody is seen to have stopped; everybody stays (beta-binomial)", (("delta", 1.0),)),
        Edge("beta", 1e7, "customers do not differ in the chance to buy at an opportunity; it is one for all"),
        Edge("delta", 1e7, "customers do not differ in the chance to stop; it is one for all"),
        Edge("delta", 1e-9, "some stop before the first opportunity, the others never; nobody is in between"),
        Edge("beta", 1e-9, "some buy at every opportunity, the others at none; nobody is in between"),
        Edge("beta", 1e-12, "everybody buys at every opportunity until the stop", (("alpha", 1.0),)),
    )

    alpha_: float
    beta_: float
    gamma_: float
    delta_: float
    histories_: Histories

    def fit(
        self,
        frequency: ArrayLike,
        recency: ArrayLike,
        opportunities: ArrayLike,
        weights: ArrayLike | None = None,
    ) -> BetaGeoBetaBinomial:
        """The parameters that make these histories likeliest.

        frequency: opportunities taken (after the one that made a customer); recency: the number of the last one taken,
        0 if none; opportunities: how many there were. weights: how many customers a row stands for.
        """
        x, t_x, n = _checked(frequency, recency, opportunities)
        histories = Histories.of(x, t_x, n, weights).worth_fitting()
        starts = ((1.0, 1.0, 0.5, 3.0), (0.5, 1.5, 1.0, 10.0), (2.0, 1.0, 0.5, 1.0), (3.0, 6.0, 2.0, 20.0))
        self._settle(self._objective(histories), [np.array(start) for start in starts], histories.customers)
        self.histories_ = histories
        return self

    def _objective(self, data: Histories) -> Objective:
        """Log-likelihood with gradient and Hessian: each history is a sum over when the customer may have stopped."""
        weight = data.weight
        x, last, n = (part.astype(np.int64) for part in (data.frequency, data.recency, data.age))
        choices = n - last + 1
        row = np.repeat(np.arange(len(x)), choices)
        first_of = np.cumsum(choices) - choices
        # Opportunities he was there for; all of them means that he may be there still.
        there = np.arange(len(row)) - first_of[row] + last[row]
        taken = x[row]
        missed = there - taken
        stops = there < n[row]
        tossed = there + stops
        most = int(n.max()) + 2

        def at(log_parameters: Real) -> tuple[float, Real, Real]:
            values = np.exp(log_parameters)
            alpha, beta, gamma, delta = values
            a, b, ab = _Rising.of(alpha, most), _Rising.of(beta, most), _Rising.of(alpha + beta, most)
            d, gd = _Rising.of(delta, most), _Rising.of(gamma + delta, most)
            part = a.value[taken] + b.value[missed] - ab.value[there]
            part += d.value[there] - gd.value[tossed] + stops * math.log(gamma)
            top = np.maximum.reduceat(part, first_of)
            mass = np.exp(part - top[row])
            total = np.add.reduceat(mass, first_of)
            value = float(weight @ (top + np.log(total)))
            share = mass / total[row]
            first = np.stack(
                [
                    a.first[taken] - ab.first[there],
                    b.first[missed] - ab.first[there],
                    stops / gamma - gd.first[tossed],
                    d.first[there] - gd.first[tossed],
                ]
            )
            mean = np.add.reduceat(first * share, first_of, axis=1)
            heavy = share * weight[row]
            gradient = mean @ weight
            hessian = (first * heavy) @ first.T - (mean * weight) @ mean.T
            both, coins = heavy @ ab.second[there], heavy @ gd.second[tossed]
            hessian[:2, :2] -= both
            hessian[2:, 2:] -= coins
            hessian[0, 0] += heavy @ a.second[taken]
            hessian[1, 1] += heavy @ b.second[missed]
            hessian[2, 2] -= float(heavy @ stops) / gamma**2
            hessian[3, 3] += heavy @ d.second[there]
            return value, *chain(gradient, hessian, values)

        return at

    # ---------------------------------------------------------------------------------------------------- answers

    def probability_alive(
        self, frequency: ArrayLike, recency: ArrayLike, opportunities: ArrayLike, ahead: int = 0
    ) -> NDArray[np.float64]:
        """The probability that a customer of this history is one at opportunity `opportunities` + ahead.

        With ahead = 0 that he was there for the last one; the paper's P(alive) at the next is ahead = 1.
        """
        self._fitted()
        x, t_x, n = _checked(frequency, recency, opportunities)
        return self._there(x, t_x, n) * self._stays(n, _ahead(ahead))

    def expected_purchases(self, n: int) -> float:
        """Purchases that a new customer is expected to make at the first n opportunities."""
        alpha, beta, _, _ = self._fitted().values()
        k = np.arange(1, _ahead(n) + 1, dtype=np.float64)
        return float(alpha / (alpha + beta) * self._stays(np.zeros(len(k)), k).sum())

    def conditional_expected_purchases(
        self, n: int, frequency: ArrayLike, recency: ArrayLike, opportunities: ArrayLike
    ) -> NDArray[np.float64]:
        """Purchases that a customer of this history is expected to make at the next n opportunities."""
        alpha, beta, _, _ = self._fitted().values()
        x, t_x, seen = _checked(frequency, recency, opportunities)
        ages, place = np.unique(seen, return_inverse=True)
        k = np.arange(1, _ahead(n) + 1, dtype=np.float64)
        there = self._stays(ages[:, None], k).sum(axis=1)[place]
        return np.asarray(self._there(x, t_x, seen) * (alpha + x) / (alpha + beta + seen) * there)

    def expected_total(
        self,
        n: int,
        frequency: ArrayLike,
        recency: ArrayLike,
        opportunities: ArrayLike,
        weights: ArrayLike | None = None,
    ) -> float:
        """Purchases that all these customers together are expected to make at the next n opportunities."""
        each = self.conditional_expected_purchases(n, frequency, recency, opportunities)
        return float(each.sum() if weights is None else each @ column(weights, "weights", len(each)))

    def probability_of_purchases(self, x: int, n: int) -> float:
        """The probability that a new customer takes exactly x of the first n opportunities."""
        alpha, beta, gamma, delta = self._fitted().values()
        if not 0 <= x <= n:
            return 0.0
        there = np.arange(x, n + 1, dtype=np.float64)
        stops = there < n
        log_part = special.gammaln(there + 1) - special.gammaln(x + 1) - special.gammaln(there - x + 1)
        log_part += special.betaln(alpha + x, beta + there - x) - special.betaln(alpha, beta)
        log_part += special.betaln(gamma + stops, delta + there) - special.betaln(gamma, delta)
        return float(np.exp(log_part).sum())

    def discounted_purchases(
        self, discount_rate: float, frequency: ArrayLike, recency: ArrayLike, opportunities: ArrayLike
    ) -> NDArray[np.float64]:
        """All future purchases of a customer of this history, discounted by 1 / (1 + rate) per opportunity (DERT)."""
        alpha, beta, gamma, delta = self._fitted().values()
        if not (math.isfinite(discount_rate) and discount_rate > 0):
            raise BadInput(
                f"discount_rate is {discount_rate!r}; a positive rate per opportunity is needed, such as 0.1"
            )
        x, t_x, n = _checked(frequency, recency, opportunities)
        tail = special.hyp2f1(1.0, delta + n + 1, gamma + delta + n + 1, 1 / (1 + discount_rate))
        sums = (delta + n) / (gamma + delta + n) / (1 + discount_rate) * tail
        return np.asarray(self._there(x, t_x, n) * (alpha + x) / (alpha + beta + n) * sums)

    def simulate(self, opportunities: ArrayLike, seed: int, ahead: int = 0) -> Simulated:
        """Customers with so many opportunities each, as this model would make them, and the truth behind them."""
        rng = self._draw(seed)
        alpha, beta, gamma, delta = self._fitted().values()
        n = counts(opportunities, "opportunities")
        buys, stops = rng.beta(alpha, beta, len(n)), rng.beta(gamma, delta, len(n))
        frequency, future = np.zeros(len(n), dtype=np.int64), np.zeros(len(n), dtype=np.int64)
        recency, alive = np.zeros(len(n)), np.ones(len(n), dtype=bool)
        at_end = alive & (n == 0)
        for k in range(1, int(n.max(initial=0)) + _ahead(ahead) + 1):
            alive &= rng.random(len(n)) >= stops
            bought = alive & (rng.random(len(n)) < buys)
            seen = k <= n
            frequency += bought & seen
            future += bought & ~seen & (k <= n + ahead)
            recency[bought & seen] = k
            at_end |= alive & (k == n)
        return Simulated(frequency, recency, n, at_end, future)

    def plot(self, language: str = "en", width: int = 0, most: int = 7) -> Any:
        """How many customers took 0, 1, 2 ... opportunities, beside how many the model expects (altair.Chart)."""
        from tenure.charts.purchases import seen_and_expected

        self._fitted()
        if not hasattr(self, "histories_"):
            raise BadInput("BetaGeoBetaBinomial.plot() shows the data of fit(), and nothing was fitted")
        ages, customers, _ = self.histories_.by_age
        expected = [
            sum(many * self.probability_of_purchases(x, int(n)) for n, many in zip(ages, customers, strict=True))
            for x in range(most)
        ]
        rows = rows_of_counts(self.histories_.by_frequency, expected, self.histories_.customers)
        return seen_and_expected(rows, "purchases", language, width)

    def _there(self, x: Real, t_x: Real, n: Real) -> Real:
        """The probability that he was still there at the last opportunity."""
        alpha, beta, gamma, delta = self.parameters_.values()
        still = special.betaln(alpha + x, beta + n - x) + special.betaln(gamma, delta + n)
        total = np.ones(len(x))
        # One round per opportunity since the last purchase, for those who had so many.
        for k in range(int((n - t_x).max(initial=0))):
            more = np.flatnonzero(t_x + k < n)
            there = t_x[more] + k
            gone = special.betaln(alpha + x[more], beta + there - x[more]) + special.betaln(gamma + 1, delta + there)
            total[more] += np.exp(gone - still[more])
        return np.asarray(1 / total)

    def _stays(self, n: Real, ahead: Real | int) -> Real:
        """The probability that somebody there at opportunity n is there `ahead` later."""
        _, _, gamma, delta = self.parameters_.values()
        return np.asarray(np.exp(special.betaln(gamma, delta + n + ahead) - special.betaln(gamma, delta + n)))

    def _partners(self, parameter: str) -> dict[str, int]:
        return {"beta": {"alpha": 1}, "delta": {"gamma": 1}}.get(parameter, {})


def _checked(frequency: ArrayLike, recency: ArrayLike, opportunities: ArrayLike) -> Sequence[Real]:
    x, t_x, n = checked(frequency, recency, opportunities)
    for values, name in ((t_x, "recency"), (n, "opportunities")):
        refuse(values != np.rint(values), values, name, "is not whole; it counts opportunities")
    refuse(x > t_x, x, "frequency", "is more than recency; there is one purchase per opportunity at most")
    refuse(n > 10_000, n, "opportunities", "is more than 10,000; for buying at any time take BetaGeoNBD")
    return x, t_x, n


def _ahead(n: float) -> int:
    if n < 0 or n != int(n):
        raise BadInput(f"{n!r} is no number of opportunities; write 0, 1, 2 ...")
    return int(n)
