"""How many of a cohort renew, and renew again? sBG, and BdW in which one customer's chance changes with age.

Under contract one sees who leaves at each renewal. Retention rates rise with age even if no customer becomes more
loyal: those likely to leave do so first. sBG says just that: at each renewal a customer leaves with a probability of
his own, Beta(alpha, beta). BdW lets that probability fall (c < 1) or rise (c > 1) with age, too.

    S(t) = B(alpha, beta + t) / B(alpha, beta)          sBG: the share that renews t times
    S(t) = B(alpha, beta + t^c) / B(alpha, beta)        BdW

All that the likelihood asks of the data is how many came up for their t-th renewal and how many of them left.

Sources: Fader & Hardie 2007, Journal of Interactive Marketing 21 (sBG), and 2010, Marketing Science 29 (DERL); Fader,
Hardie, Liu, Davin & Steenburgh 2018, Journal of Interactive Marketing 43 (BdW).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from scipy import special

from tenure.errors import BadInput, CannotFit
from tenure.predict.histories import column, counts, refuse, weights_of
from tenure.predict.likelihood import Edge, Model, Note, chain, log_rise

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tenure.predict.likelihood import Objective, Real

    Self = TypeVar("Self", bound="RetentionCurve")


class Renewals(NamedTuple):
    """Customers made up by a model: renewals decided, and whether the last of them was a leaving."""

    periods: NDArray[np.int64]
    churned: NDArray[np.bool_]


class RetentionCurve(Model):
    """What sBG and BdW share; they differ in the curve."""

    alpha_: float
    beta_: float
    at_risk_: Real
    lost_: Real

    def fit(
        self: Self,
        periods: ArrayLike,
        churned: ArrayLike,
        weights: ArrayLike | None = None,
        entry: ArrayLike | None = None,
    ) -> Self:
        """The curve that makes these customers likeliest.

        periods: how many renewals have been decided; churned: whether the last of them was a leaving (True) or the
        customer is still there (False); weights: how many customers a row stands for; entry: how many renewals were
        behind somebody when observation began (0 if not given), so that old customers do not flatter.
        """
        t = counts(periods, "periods")
        gone = column(churned, "churned", len(t))
        refuse((gone != 0) & (gone != 1), gone, "churned", "is neither true nor false")
        refuse(
            (gone == 1) & (t == 0), t, "periods", "with churned: nobody leaves before the first renewal, count it as 1"
        )
        weight = weights_of(weights, len(t))
        w = np.ones(len(t)) if weight is None else weight
        since = np.zeros(len(t)) if entry is None else counts(entry, "entry", len(t))
        refuse(since > t, since, "entry", "is after `periods`; observation ended before it began")
        refuse((gone == 1) & (since >= t), since, "entry", "is not before the leaving, which nobody can have seen then")
        most = int(t.max(initial=0))
        if most > 100_000:
            raise BadInput(f"{most:,} periods; renewals are counted, not days: hand in renewals")
        ended = np.bincount(t.astype(np.int64), w, minlength=most + 1)
        began = np.bincount(since.astype(np.int64), w, minlength=most + 1)
        lost = np.asarray(np.bincount(t.astype(np.int64), w * gone, minlength=most + 1)[1:], dtype=np.float64)
        # At the t-th renewal stand those who began before it and have not ended before it.
        at_risk = (np.cumsum(began) - np.concatenate([[0.0], np.cumsum(ended)[:-1]]))[1:] - began[1:]
        return self._from_counts(at_risk, lost, float(w.sum()))

    def fit_survivors(self: Self, survivors: ArrayLike) -> Self:
        """The curve of one cohort, from how many were there at first and after each renewal: 1000, 869, 743 ..."""
        there = column(survivors, "survivors")
        refuse(there < 0, there, "survivors", "is negative; it counts customers")
        if len(there) < 2:
            raise CannotFit("a curve needs the cohort's size and who was left after at least one renewal")
        refuse(
            np.concatenate([[False], np.diff(there) > 0]),
            there,
            "survivors",
            "is more than the row before; nobody returns",
        )
        return self._from_counts(there[:-1], there[:-1] - there[1:], float(there[0]))

    def _from_counts(self: Self, at_risk: Real, lost: Real, customers: float) -> Self:
        seen = at_risk > 0
        if not seen.any():
            raise CannotFit("nobody has come up for a renewal; fit again when some have")
        self.at_risk_, self.lost_ = at_risk, lost
        # Shares of a person and rounding leave counts like 1e-13; they are nobody.
        t, n, d = (np.flatnonzero(seen) + 1).astype(np.float64), at_risk[seen], np.minimum(lost[seen], at_risk[seen])
        rate = float(d.sum() / n.sum())
        mean = min(max(rate, 1e-4), 1 - 1e-4)
        self._settle(self._objective(t, n, d), self._starts(mean), customers)
        if d.sum() == 0:
            bound = -math.expm1(math.log(0.05) / float(n.sum()))
            text = (
                f"nobody left at {n.sum():,.0f} renewals; the curve stays at 1. A chance to leave of up to {bound:.2%} "
                "per renewal would still show this one time in twenty"
            )
            self.notes_ = (Note("edge", text), *(note for note in self.notes_ if note.kind in ("few", "not_converged")))
        return self

    # -------------------------------------------------------------------------------------------------- predictions

    def survival(self, t: ArrayLike) -> NDArray[np.float64]:
        """The share of a cohort that is still there after t renewals; 1 at 0."""
        self._fitted()
        return np.exp(self._log_survival(_renewals(t)))

    def retention(self, t: ArrayLike) -> NDArray[np.float64]:
        """Of those who come up for the t-th renewal, the share that renews; t from 1 on."""
        self._fitted()
        at = _renewals(t)
        if (at < 1).any():
            raise BadInput("renewals are counted from 1; there is no rate at 0")
        return np.exp(self._log_survival(at) - self._log_survival(at - 1))

    def churn(self, t: ArrayLike) -> NDArray[np.float64]:
        """Of those who come up for the t-th renewal, the share that leaves; t from 1 on."""
        return 1 - self.retention(t)

    def discounted_lifetime(self, discount_rate: float, horizon: int | None = None) -> float:
        """Payments a new customer is expected to make, the one on joining included, each discounted to that day (DEL).

        discount_rate: per period; 0 needs a horizon, the number of payments counted.
        """
        self._fitted()
        return float(_discounted(self._log_survival(_ahead(discount_rate, horizon)), discount_rate))

    def discounted_residual_lifetime(self, discount_rate: float, renewals: int, horizon: int | None = None) -> float:
        """Payments still to come from somebody who renewed so many times, just before the next renewal (DERL).

        The next renewal is not certain and is not discounted. discount_rate: per period; 0 needs a horizon. Source:
        Fader & Hardie 2010.
        """
        self._fitted()
        if renewals < 0 or renewals != int(renewals):
            raise BadInput(f"renewals is {renewals!r}; it counts renewals, so write 0, 1, 2 ...")
        later = _ahead(discount_rate, horizon) + renewals + 1
        start = self._log_survival(np.array([float(renewals)]))
        return float(_discounted(self._log_survival(later) - start, discount_rate))

    def simulate(self, periods: ArrayLike, seed: int) -> Renewals:
        """Customers watched for so many renewals each, as this model would make them."""
        rng = self._draw(seed)
        t = counts(periods, "periods").astype(np.int64)
        last = self._last(len(t), rng)
        churned = last <= t
        return Renewals(np.where(churned, np.minimum(last, t), t).astype(np.int64), churned)

    def plot(self, language: str = "en", width: int = 0, until: int | None = None) -> Any:
        """The share still there after each renewal, seen as dots and by the model as a line (altair.Chart).

        until: how far the line goes, twice as far as was seen if not given.
        """
        from tenure.charts.purchases import retention_curve

        self._fitted()
        if not hasattr(self, "at_risk_"):
            raise BadInput(f"{type(self).__name__}.plot() shows the data of fit(), and nothing was fitted")
        seen = np.cumprod(
            1 - np.divide(self.lost_, self.at_risk_, out=np.zeros(len(self.lost_)), where=self.at_risk_ > 0)
        )
        end = until or 2 * len(seen)
        rows = [
            {
                "at": t,
                "expected": float(self.survival(t)),
                "seen": 1.0 if t == 0 else float(seen[t - 1]) if t <= len(seen) else None,
            }
            for t in range(end + 1)
        ]
        return retention_curve(rows, language, width)

    # ---------------------------------------------------------------------------------------- what the curves decide

    def _objective(self, t: Real, at_risk: Real, lost: Real) -> Objective:
        raise AssertionError("every curve has its likelihood")

    def _starts(self, rate: float) -> Sequence[Real]:
        raise AssertionError("every curve has its starts")

    def _log_survival(self, t: Real) -> Real:
        raise AssertionError("every curve has its survival")

    def _last(self, n: int, rng: np.random.Generator) -> Real:
        raise AssertionError("every curve can be simulated")

    def _partners(self, parameter: str) -> dict[str, int]:
        return {"alpha": 1} if parameter == "beta" else {}


_ONE_RATE = "customers do not differ in the chance to leave; {}"
_NOBODY = Edge("alpha", 1e-12, "nobody left; the curve stays at 1", (("beta", 1.0),))
_SPLIT = Edge("beta", 1e-9, "some left at the first renewal, the others never; nobody is in between")
_AT_ONCE = Edge("beta", 1e-12, "everybody left at the first renewal", (("alpha", 1.0),))


class ShiftedBetaGeometric(RetentionCurve):
    """How many of a cohort are left after t renewals? sBG: each has a fixed chance to leave, and chances differ.

    Parameters: alpha, beta; the first renewal loses alpha / (alpha + beta). Source: Fader & Hardie 2007.

    >>> curve = ShiftedBetaGeometric().fit_survivors([1000, 869, 743, 653, 593, 551, 517, 491])
    >>> curve
    ShiftedBetaGeometric(alpha=0.6681, beta=3.806)
    >>> (1000 * curve.survival([8, 12])).round().tolist()
    [460.0, 378.0]
    """

    names: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    edges: ClassVar[tuple[Edge, ...]] = (
        _NOBODY,
        Edge("beta", 1e6, _ONE_RATE.format("it is one rate at every renewal (geometric)")),
        _AT_ONCE,
        _SPLIT,
    )

    def _starts(self, rate: float) -> Sequence[Real]:
        return [np.array([rate * size, (1 - rate) * size]) for size in (1.0, 5.0, 50.0)]

    def _objective(self, t: Real, at_risk: Real, lost: Real) -> Objective:
        stayed = at_risk - lost

        def at(log_parameters: Real) -> tuple[float, Real, Real]:
            alpha, beta = values = np.exp(log_parameters)
            rest = beta + t - 1
            # Written so that nothing cancels where beta is huge.
            value = -(stayed @ np.log1p(alpha / rest)) + lost @ (math.log(alpha) - np.log(alpha + rest))
            u, z = 1 / (alpha + rest), 1 / rest
            gradient = np.array([lost.sum() / alpha - at_risk @ u, stayed @ z - at_risk @ u])
            both = float(at_risk @ u**2)
            hessian = np.array([[both - lost.sum() / alpha**2, both], [both, both - stayed @ z**2]])
            return float(value), *chain(gradient, hessian, values)

        return at

    def _log_survival(self, t: Real) -> Real:
        alpha, beta = self.parameters_.values()
        return _log_beta_ratio(alpha, beta, t)

    def _last(self, n: int, rng: np.random.Generator) -> Real:
        alpha, beta = self.parameters_.values()
        chance = np.maximum(rng.beta(alpha, beta, n), 1e-300)
        return np.ceil(np.maximum(-rng.exponential(1.0, n) / np.log1p(-np.minimum(chance, 1 - 1e-16)), 1e-9))


class BetaDiscreteWeibull(RetentionCurve):
    """How many of a cohort are left after t renewals? BdW: chances to leave differ, and each changes with age.

    Parameters: alpha, beta as in sBG; c below 1 where one customer's chance to leave falls with age, above 1 where it
    rises, 1 for sBG. Source: Fader, Hardie, Liu, Davin & Steenburgh 2018.

    >>> BetaDiscreteWeibull().fit_survivors([1000, 869, 743, 653, 593])
    BetaDiscreteWeibull(alpha=0.2593, beta=1.723, c=1.584)
    """

    c_: float

    names: ClassVar[tuple[str, ...]] = ("alpha", "beta", "c")
    edges: ClassVar[tuple[Edge, ...]] = (
        _NOBODY._replace(drops=(("beta", 1.0), ("c", 1.0))),
        Edge(
            "c",
            1.0,
            "the data do not tell how one customer's chance to leave changes with age; it is taken as fixed (sBG)",
        ),
        Edge("beta", 1e5, _ONE_RATE.format("all follow one discrete Weibull curve")),
        _AT_ONCE._replace(drops=(("alpha", 1.0), ("c", 1.0))),
        _SPLIT._replace(drops=(("c", 1.0),)),
    )

    def _starts(self, rate: float) -> Sequence[Real]:
        told = ((1.0, 1.0), (5.0, 1.0), (1.0, 1.6), (5.0, 0.7), (0.5, 0.6), (50.0, 1.0))
        return [np.array([rate * size, (1 - rate) * size, c]) for size, c in told]

    def _objective(self, t: Real, at_risk: Real, lost: Real) -> Objective:
        stayed = at_risk - lost
        ends = np.unique(np.concatenate([t, t - 1]))
        after, before = np.searchsorted(ends, t), np.searchsorted(ends, t - 1)
        log_t = np.log(np.maximum(ends, 1.0))

        def at(log_parameters: Real) -> tuple[float, Real, Real]:
            alpha, beta, c = values = np.exp(log_parameters)
            u = ends**c
            total, rest = alpha + beta + u, beta + u
            ul = u * log_t
            slope = special.psi(rest) - special.psi(total)
            outer = special.polygamma(1, total)
            bend = special.polygamma(1, rest) - outer

            def step(part: Real) -> Real:
                return np.asarray(part[after] - part[before])

            # ln of the share that renews, and its derivatives.
            delta = step(-log_rise(rest, alpha))
            first = np.stack([step(-special.psi(total)), step(slope), step(slope * ul)])
            second = {
                (0, 0): -outer, (0, 1): -outer, (0, 2): -outer * ul, (1, 1): bend, (1, 2): bend * ul,
                (2, 2): bend * ul**2 + slope * ul * log_t,
            }  # fmt: skip
            odds = 1 / np.expm1(-delta)
            pull = stayed - lost * odds
            value = float(stayed @ delta + special.xlogy(lost, -np.expm1(delta)).sum())
            gradient = first @ pull
            hessian = -(first * (lost * odds * (1 + odds))) @ first.T
            for (row, col), part in second.items():
                more = float(step(part) @ pull)
                hessian[row, col] += more
                if row != col:
                    hessian[col, row] += more
            return value, *chain(gradient, hessian, values)

        return at

    def _log_survival(self, t: Real) -> Real:
        alpha, beta, c = self.parameters_.values()
        return _log_beta_ratio(alpha, beta, t**c)

    def _last(self, n: int, rng: np.random.Generator) -> Real:
        alpha, beta, c = self.parameters_.values()
        chance = np.maximum(rng.beta(alpha, beta, n), 1e-300)
        whole = np.maximum(-rng.exponential(1.0, n) / np.log1p(-np.minimum(chance, 1 - 1e-16)), 1e-9)
        return np.ceil(whole ** (1 / c))


def _log_beta_ratio(alpha: float, beta: float, u: Real) -> Real:
    """ln B(alpha, beta + u) / B(alpha, beta)."""
    if alpha < 1e-9:  # an edge: the difference below would be lost in rounding
        return np.asarray(-alpha * (special.psi(beta + u) - special.psi(beta)))
    found = log_rise(beta, alpha) - log_rise(beta + u, alpha)
    return np.asarray(np.minimum(found, 0.0))


def _renewals(t: ArrayLike) -> Real:
    found = np.asarray(t, dtype=np.float64)
    if not (np.isfinite(found).all() and (found >= 0).all() and (found == np.rint(found)).all()):
        raise BadInput("t counts renewals: 0, 1, 2 ...")
    return found


def _ahead(discount_rate: float, horizon: int | None) -> Real:
    """0, 1, 2 ... as far as payments count."""
    if not (math.isfinite(discount_rate) and discount_rate >= 0):
        raise BadInput(f"discount_rate is {discount_rate!r}; write a rate per period such as 0.01, or 0 with a horizon")
    if horizon is not None and (horizon < 1 or horizon != int(horizon)):
        raise BadInput(f"horizon is {horizon!r}; it is the number of payments counted, from 1 on")
    if horizon is None:
        if discount_rate < 1e-5:
            raise BadInput(
                f"discount_rate is {discount_rate:g}: without discounting a life has no last payment; name a horizon, "
                "the number of payments to count"
            )
        # What lies beyond adds less than 1e-15.
        horizon = math.ceil(36 / math.log1p(discount_rate))
    return np.arange(horizon, dtype=np.float64)


def _discounted(log_survival: Real, discount_rate: float) -> float:
    k = np.arange(len(log_survival))
    return float(np.exp(log_survival - k * math.log1p(discount_rate)).sum())
