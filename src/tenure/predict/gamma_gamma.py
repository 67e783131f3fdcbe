"""What will a customer's next purchase be worth? Gamma-Gamma: between his own mean so far and everybody's.

The value of a purchase varies around a mean of the customer's own: it is Gamma(p, nu). Customers differ: nu is
Gamma(q, v). The expected value for somebody with x purchases of mean z is a weighted mean of z and of the mean of all,
and x decides the weights.

The model assumes that how much is spent has nothing to do with how often. That is checked: `independence_` holds the
correlation of frequency and value with its interval, and a note says so where it is not near 0.

Sources: Fader, Hardie & Lee 2005, Journal of Marketing Research 42; Fader & Hardie 2013, "The Gamma-Gamma Model of
Monetary Value".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from scipy import special

from tenure.errors import BadInput, CannotFit
from tenure.kernel.stats import normal_quantile
from tenure.predict.histories import column, counts, refuse, weights_of
from tenure.predict.likelihood import Edge, Model, Note, chain, log_rise

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tenure.predict.likelihood import Objective, Real

# A correlation beyond this, clear of 0, is worth a warning: the paper went ahead at .11 and found little harm.
_RELATED = 0.1


class Independence(NamedTuple):
    """The correlation of frequency and mean value with its interval (Fisher's z); None where it cannot be said."""

    correlation: float | None
    low: float | None
    high: float | None

    @property
    def holds(self) -> bool | None:
        """Whether the data leave room for a correlation within 0.1 of none; None where it cannot be said."""
        if self.low is None or self.high is None:
            return None
        return self.low <= _RELATED and self.high >= -_RELATED

    @classmethod
    def of(cls, frequency: Real, value: Real, weight: Real, level: float = 0.95) -> Independence:
        """From one row per customer or per group of customers."""
        n = float(weight.sum())
        if len(frequency) < 2 or n <= 3 or np.ptp(frequency) == 0 or np.ptp(value) == 0:
            return cls(None, None, None)
        first, second = frequency - weight @ frequency / n, value - weight @ value / n
        spread = math.sqrt(float(weight @ first**2) * float(weight @ second**2))
        found = min(max(float(weight @ (first * second)) / spread, -1.0), 1.0)
        if abs(found) == 1.0:
            return cls(found, found, found)
        reach = normal_quantile(level) / math.sqrt(n - 3)
        return cls(found, math.tanh(math.atanh(found) - reach), math.tanh(math.atanh(found) + reach))


class Spending(NamedTuple):
    """Customers made up by the model: the mean value seen, and the customer's true mean."""

    frequency: Real
    value: Real
    mean: Real


class GammaGamma(Model):
    """What is a purchase of this customer worth on average? Gamma-Gamma, on frequency and mean value so far.

    Parameters: p (how even one customer's purchases are), q and v (how customers differ); the mean of all is
    p v / (q - 1), and infinite for q <= 1. Source: Fader, Hardie & Lee 2005.

    >>> model = GammaGamma.of(p=6.25, q=3.74, v=15.44)
    >>> round(model.mean, 2)
    35.22
    >>> model.expected_value([1, 10], [100.0, 100.0]).round(2).tolist()
    [80.26, 97.28]
    """

    names: ClassVar[tuple[str, ...]] = ("p", "q", "v")
    edges: ClassVar[tuple[Edge, ...]] = (
        Edge("q", 1e7, "customers do not differ in what they spend on average; one mean holds for all"),
        Edge("p", 1e7, "each customer is taken to spend the same every time; his mean so far is his mean"),
    )

    p_: float
    q_: float
    v_: float
    independence_: Independence
    frequency_: Real
    value_: Real
    weights_: Real

    def fit(self, frequency: ArrayLike, value: ArrayLike, weights: ArrayLike | None = None) -> GammaGamma:
        """The parameters that make these mean values likeliest.

        frequency: purchases that the mean is of, at least 1 (repeat purchases, where the first is left out of the
        mean as in the paper); value: the mean value of one purchase, above 0, in any one currency; weights: how many
        customers a row stands for.
        """
        x = counts(frequency, "frequency")
        if not len(x):
            raise CannotFit("there are no customers; hand in one row per customer with a purchase")
        refuse(x == 0, x, "frequency", "leaves no mean value; hand in only customers with a (repeat) purchase")
        z = column(value, "value", len(x))
        refuse(z <= 0, z, "value", "is not above 0; leave out free purchases, or add up what belongs to one purchase")
        weight = weights_of(weights, len(x))
        w = np.ones(len(x)) if weight is None else weight
        x, z, w = x[w > 0], z[w > 0], w[w > 0]
        if not len(x):
            raise CannotFit("all weights are 0, so there are no customers")
        if np.ptp(z) == 0:
            raise CannotFit(f"every mean value is {z[0]:g}; no model is needed: each purchase is worth {z[0]:g}")
        customers = float(w.sum())
        mean = float(w @ z) / customers
        starts = ((6.0, 4.0), (1.0, 2.5), (2.0, 10.0), (20.0, 3.0))
        self._settle(
            self._objective(x, z, w),
            [np.array([p, q, mean * (q - 1) / p]) for p, q in starts],
            customers,
            self._objective(x[:: len(x) // 2000], z[:: len(x) // 2000], w[:: len(x) // 2000])
            if len(x) >= 8000
            else None,
        )
        self.independence_ = Independence.of(x, z, w)
        self.frequency_, self.value_, self.weights_ = x, z, w
        told = self.independence_
        if told.holds is False:
            self.notes_ += (
                Note(
                    "related",
                    f"frequency and value are correlated ({told.correlation:.2f}, {told.low:.2f} to {told.high:.2f}): "
                    "the model takes them for independent; fit groups of customers apart, or expect the values of the "
                    "most frequent to be off",
                ),
            )
        if self.q_ <= 1:
            self.notes_ += (
                Note(
                    "no_mean",
                    f"q is {self.q_:.3g}: a few purchases are so large that the mean of all is infinite under this "
                    "model; look at the largest values",
                ),
            )
        return self

    @property
    def mean(self) -> float:
        """The expected value of a purchase of somebody unknown; infinite where q is 1 or less."""
        p, q, v = self._fitted().values()
        return p * v / (q - 1) if q > 1 else math.inf

    def expected_value(self, frequency: ArrayLike, value: ArrayLike) -> NDArray[np.float64]:
        """The expected value of a purchase of each customer, from his purchases so far; without any, everybody's mean.

        Infinite where p x + q is 1 or less.
        """
        p, q, v = self._fitted().values()
        x = counts(frequency, "frequency")
        raw = np.asarray(value, dtype=np.float64)
        # Without a purchase there is no mean value, whatever stands in the column.
        z = column(np.where(x == 0, 0.0, np.broadcast_to(raw, x.shape) if raw.ndim == 0 else raw), "value", len(x))
        refuse((x > 0) & (z <= 0), z, "value", "is not above 0; a mean value of purchases is")
        known = p * x + q - 1
        with np.errstate(divide="ignore"):
            return np.asarray(np.where(known > 0, p * (v + x * z) / np.where(known > 0, known, 1.0), np.inf))

    def simulate(self, frequency: ArrayLike, seed: int) -> Spending:
        """Mean values of customers with so many purchases as this model would make them, and their true means."""
        rng = self._draw(seed)
        p, q, v = self._fitted().values()
        x = counts(frequency, "frequency")
        refuse(x == 0, x, "frequency", "leaves nothing to take the mean of; write 1 or more")
        nu = rng.gamma(q, 1 / v, len(x))
        return Spending(x, rng.gamma(p * x, 1 / (nu * x)), p / nu)

    def plot(self, language: str = "en", width: int = 0, bars: int = 10) -> Any:
        """How many customers have which mean value, beside how many the model expects (altair.Chart)."""
        from tenure.charts.purchases import seen_and_expected

        p, q, v = self._fitted().values()
        if not hasattr(self, "value_"):
            raise BadInput("GammaGamma.plot() shows the data of fit(), and nothing was fitted")
        x, z, w = self.frequency_, self.value_, self.weights_
        # The largest tenth goes into one last bar, or nothing else could be seen.
        step = _round(float(np.quantile(z, 0.9)) / (bars - 1))
        many, place = np.unique(x, return_inverse=True)
        of_each = np.bincount(place, w)
        rows, below = [], 0.0
        for n in range(bars):
            last = n == bars - 1
            low, high = n * step, math.inf if last else (n + 1) * step
            share = 1.0 if last else special.betainc(p * many, q, many * high / (many * high + v))
            up_to = float((of_each * share).sum())
            label = f"{low:,.10g}+" if last else f"{low:,.10g}–{high:,.10g}"
            rows.append({"label": label, "seen": float(w[(z >= low) & (z < high)].sum()), "expected": up_to - below})
            below = up_to
        return seen_and_expected(rows, "value", language, width)

    def _objective(self, x: Real, z: Real, w: Real) -> Objective:
        total = x * z
        many, place = np.unique(x, return_inverse=True)
        of_each = np.bincount(place, w)
        customers, purchases = float(w.sum()), float(w @ x)
        logs, plain = float((w * x) @ np.log(total)), float(w @ np.log(z))
        wx = w * x

        def at(log_parameters: Real) -> tuple[float, Real, Real]:
            values = np.exp(log_parameters)
            p, q, v = values
            px = p * many
            span, u = np.log1p(total / v), 1 / (total + v)
            with_v = wx @ span + purchases * math.log(v)
            value = float(of_each @ (log_rise(q, px) - special.gammaln(px)))
            value += p * logs - plain - p * with_v - q * float(w @ span)
            one, two = special.psi(px + q), special.polygamma(1, px + q)
            wu, wxu = float(w @ u), float(wx @ u)
            gradient = np.array(
                [
                    (of_each * many) @ (one - special.psi(px)) + logs - with_v,
                    of_each @ one - customers * special.psi(q) - w @ span,
                    customers * q / v - p * wxu - q * wu,
                ]
            )
            hessian = np.empty((3, 3))
            hessian[0, 0] = (of_each * many**2) @ (two - special.polygamma(1, px))
            hessian[0, 1] = hessian[1, 0] = (of_each * many) @ two
            hessian[1, 1] = of_each @ two - customers * special.polygamma(1, q)
            hessian[0, 2] = hessian[2, 0] = -wxu
            hessian[1, 2] = hessian[2, 1] = customers / v - wu
            hessian[2, 2] = -customers * q / v**2 + ((p * wx + q * w) * u) @ u
            return value, *chain(gradient, hessian, values)

        return at

    def _partners(self, parameter: str) -> dict[str, int]:
        return {"q": {"v": 1}, "p": {"v": -1}}.get(parameter, {})


def _round(step: float) -> float:
    """A step people count in: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return power * min((1, 2, 5, 10), key=lambda nice: abs(math.log(nice * power / step)))
