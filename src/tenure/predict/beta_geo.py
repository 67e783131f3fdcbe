"""Who stops after a purchase? BG/NBD, and MBG/NBD in which somebody may stop right after the first one.

While a customer, one buys at random times, lambda per unit of time; after each purchase one stops with probability p.
Customers differ: lambda is Gamma(r, alpha), p is Beta(a, b). In BG/NBD nobody without a repeat purchase can have
stopped; MBG/NBD tosses the coin after the first purchase, too.

Sources: Fader, Hardie & Lee 2005, Marketing Science 24 (BG/NBD); Batislam, Denizel & Filiztekin 2007, IJRM 24, and
Wagner & Hoppe 2008, Marketing Science 27 (MBG/NBD).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import special

from tenure.predict.likelihood import Edge, chain
from tenure.predict.purchases import Leaves, PurchaseModel

if TYPE_CHECKING:
    from tenure.predict.histories import Histories
    from tenure.predict.likelihood import Objective, Real

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2

_ALIKE = Edge(
    "r", 1e7, "customers do not differ in how often they buy; purchases of those who are still here are Poisson"
)
_STAY = Edge(
    "a", 1e-12, "nobody is seen to have stopped; everybody goes on buying (NBD without leaving)", (("b", 1.0),)
)
_SPLIT = "some stop {}, the others never; nobody is in between"
_SAME = Edge("b", 1e7, "customers do not differ in the chance to stop after a purchase; it is one probability for all")


class BetaGeoNBD(PurchaseModel):
    """How often does each buy, who has stopped? BG/NBD: somebody may stop after any repeat purchase.

    Parameters: r, alpha (rates are Gamma(r, alpha), mean r / alpha per unit of time); a, b (the chance to stop after a
    repeat purchase is Beta(a, b), mean a / (a + b)). A customer without a repeat purchase counts as alive for certain;
    where that is wrong, MBG/NBD is better. Source: Fader, Hardie & Lee 2005.

    >>> model = BetaGeoNBD.of(r=0.2426, alpha=4.4136, a=0.7929, b=2.4259)
    >>> model.probability_alive([2, 0], [30.43, 0], [38.86, 38.86]).round(4).tolist()
    [0.7266, 1.0]
    >>> model.conditional_expected_purchases(39, [2], [30.43], [38.86]).round(3).tolist()
    [1.226]
    """

    r_: float
    alpha_: float
    a_: float
    b_: float

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    edges: ClassVar[tuple[Edge, ...]] = (
        _STAY,
        _ALIKE,
        _SAME,
        Edge("b", 1e-12, "everybody who bought again stopped with that purchase", (("a", 1.0),)),
        Edge("b", 1e-9, _SPLIT.format("with their first repeat purchase")),
    )
    # Whether a coin is tossed after the first purchase, too.
    _coins_before: ClassVar[int] = 0

    def _starts(self, rate: float, unit: float) -> Sequence[Real]:
        # Rates of those who stay are higher than the mean over all.
        told = ((0.3, 2.0, 0.8, 2.5), (0.8, 1.5, 0.4, 3.0), (2.0, 1.2, 1.5, 12.0), (0.5, 4.0, 1.5, 1.0))
        return [np.array([r, r / (faster * rate), a, b]) for r, faster, a, b in told]

    def _objective(self, data: Histories) -> Objective:
        """Log-likelihood with gradient and Hessian in the logarithms of r, alpha, a, b.

        With A_j = customers of more than j repeat purchases, n and X customers and purchases by age T, C_j = customers
        who passed at least j + 1 coins:

            sum A_j ln(r + j) - r sum n ln(1 + T / alpha) - sum X ln(alpha + T) - sum C_j ln(1 + a / (b + j))
            + sum over who may have stopped: ln(1 + a / (b + x' - 1) ((alpha + T) / (alpha + t_x))^(r + x))

        where x' = x for BG/NBD and x + 1 for MBG/NBD. No gamma function is left.
        """
        first = self._coins_before
        buys = data.beyond
        j = np.arange(len(buys), dtype=np.float64)
        by_frequency = data.by_frequency
        coins = np.cumsum(by_frequency[::-1])[::-1][1 - first :]
        k = np.arange(len(coins), dtype=np.float64)
        ages, customers, purchases = data.by_age
        unsure = data.of_repeat_buyers()
        if first:
            never = data.without_recency()
            parts = zip(unsure.columns, never.columns, strict=True)
            x, t_x, T, w = (np.concatenate(pair) for pair in parts)
        else:
            x, t_x, T, w = unsure.columns
        age_level, age_at = np.unique(T, return_inverse=True)
        last_level, last_at = np.unique(t_x, return_inverse=True)
        tossed = x + (first - 1)
        n_coin, many = np.unique(tossed, return_inverse=True)

        def at(log_parameters: Real) -> tuple[float, Real, Real]:
            r, alpha, a, b = values = np.exp(log_parameters)
            older, since = np.log1p(age_level / alpha), np.log1p(last_level / alpha)
            u, z = 1 / (alpha + age_level), 1 / (alpha + last_level)
            gap = older[age_at] - since[last_at]
            slope = u[age_at] - z[last_at]
            rx = r + x
            odds = (np.log(a) - np.log(b + n_coin))[many] + rx * gap
            stopped = special.expit(odds)
            value = float(w @ np.logaddexp(0.0, odds))
            by = np.stack([gap, rx * slope, np.full(len(x), 1 / a), (-1 / (b + n_coin))[many]])
            wp = w * stopped
            gradient = by @ wp
            hessian = (by * (wp * (1 - stopped))) @ by.T
            hessian[0, 1] += wp @ slope
            hessian[1, 1] += (wp * rx) @ ((z * z)[last_at] - (u * u)[age_at])
            hessian[2, 2] -= wp.sum() / a**2
            hessian[3, 3] += wp @ (1 / (b + n_coin) ** 2)[many]
            # What does not ask whether somebody stopped.
            rj, bk, abk = 1 / (r + j), 1 / (b + k), 1 / (a + b + k)
            v = 1 / (alpha + ages)
            span = np.log1p(ages / alpha)
            value += float(buys @ np.log(r + j) - r * (customers @ span) - purchases @ np.log(alpha + ages))
            value -= float(coins @ np.log1p(a * bk))
            tilt = customers @ (ages * v) / alpha
            gradient += [
                buys @ rj - customers @ span,
                r * tilt - purchases @ v,
                -(coins @ abk),
                coins @ (bk - abk),
            ]
            hessian[0, 0] -= buys @ rj**2
            hessian[0, 1] += tilt
            hessian[1, 1] += purchases @ v**2 - r * (customers @ (ages * (2 * alpha + ages) * v**2)) / alpha**2
            both = coins @ abk**2
            hessian[2, 2] += both
            hessian[2, 3] += both
            hessian[3, 3] += both - coins @ bk**2
            hessian[1, 0], hessian[3, 2] = hessian[0, 1], hessian[2, 3]
            return value, *chain(gradient, hessian, values)

        return at

    # ---------------------------------------------------------------------------------------------------- answers

    def _alive(self, x: Real, t_x: Real, T: Real) -> Real:
        r, alpha, a, b = self.parameters_.values()
        tossed = x + (self._coins_before - 1)
        sure = tossed < 0
        odds = np.log(a) - np.log(b + np.where(sure, 0.0, tossed)) + (r + x) * np.log1p((T - t_x) / (alpha + t_x))
        return np.where(sure, 1.0, special.expit(-odds))

    def _expected_new(self, t: Real) -> Real:
        r, alpha, a, b = self.parameters_.values()
        passes = b / (a + b) if self._coins_before else 1.0
        return passes * purchases_of_the_alive(t, r, alpha, a, b + self._coins_before)

    def _expected_alive(self, t: Real, x: Real, T: Real) -> Real:
        r, alpha, a, b = self.parameters_.values()
        return purchases_of_the_alive(t, r + x, alpha + T, a, b + x + self._coins_before)

    def _discounted_alive(self, discount: float, x: Real, T: Real) -> Real:
        r, alpha, a, b = self.parameters_.values()
        shape, scale = (r + x)[:, None], (alpha + T)[:, None]
        coins = (b + x + self._coins_before)[:, None]
        # With t = scale (e^v - 1) the rate of purchases falls evenly in v; after e^-40 nothing counts.
        reach = np.log1p(40 / (discount * scale))
        v = _NODES * reach
        t = scale * np.expm1(v)
        rate = rate_of_the_alive(t, shape, scale, a, coins)
        return np.asarray((rate * (scale + t) * np.exp(-discount * t) * reach) @ _WEIGHTS)

    def _mass(self, n: int, t: Real) -> Real:
        r, alpha, a, b = self.parameters_.values()
        first = self._coins_before
        share = t / (alpha + t)
        log_nb = special.gammaln(r + n) - special.gammaln(r) - special.gammaln(n + 1)
        log_nb = log_nb - r * np.log1p(t / alpha) + special.xlogy(n, share)
        still = np.exp(special.betaln(a, b + n + first) - special.betaln(a, b) + log_nb)
        if n + first == 0:
            return np.asarray(still)
        ends = np.exp(special.betaln(a + 1, b + n + first - 1) - special.betaln(a, b))
        return np.asarray(still + ends * (special.betainc(n, r, share) if n else 1.0))

    def _customers(self, n: int, rng: np.random.Generator) -> tuple[Real, Leaves]:
        r, alpha, a, b = self.parameters_.values()
        rate = rng.gamma(r, 1 / alpha, n)
        chance = rng.beta(a, b, n)
        first = rng.random(n) < chance if self._coins_before else np.zeros(n, dtype=bool)
        return rate, Leaves(np.where(first, 0.0, np.inf), chance)


class ModifiedBetaGeoNBD(BetaGeoNBD):
    """How often does each buy, who has stopped? MBG/NBD: somebody may stop after any purchase, the first included.

    Parameters and their meaning as in BetaGeoNBD. Source: Batislam, Denizel & Filiztekin 2007; Wagner & Hoppe 2008.

    >>> model = ModifiedBetaGeoNBD.of(r=0.5248, alpha=6.183, a=0.8914, b=1.614)
    >>> model.probability_alive([2, 0], [30.43, 0], [38.86, 38.86]).round(4).tolist()
    [0.7061, 0.3897]
    """

    edges: ClassVar[tuple[Edge, ...]] = (
        _STAY,
        _ALIKE,
        _SAME,
        Edge("b", 1e-9, _SPLIT.format("with their first purchase")),
    )
    _coins_before: ClassVar[int] = 1


# Beyond these sizes customers hardly differ, and the limit is taken: one chance to stop, one rate of buying, for all.
_ONE_CHANCE, _ONE_RATE = 1e6, 1e6


def purchases_of_the_alive(t: Real, r: Real | float, alpha: Real | float, a: float, b: Real | float) -> Real:
    """Purchases within t of somebody alive now with lambda ~ Gamma(r, alpha) and p ~ Beta(a, b).

    (a + b - 1) / (a - 1) (1 - (1 + t / alpha)^(1 - a) 2F1(a - 1, a + b - 1 - r; a + b - 1; t / (alpha + t))): Fader,
    Hardie & Lee's formula after Euler's transformation, so that nothing grows with r and b. Near its removable poles
    at a = 1 and a + b = 1, and for rates that hardly differ, the rate of purchases is integrated instead.
    """
    t, r, alpha, b = np.broadcast_arrays(t, r, alpha, b)
    c = a + b - 1
    same = a + b > _ONE_CHANCE
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        power = np.exp((1 - a) * np.log1p(t / alpha))
        found = c / (a - 1) * (1 - power * special.hyp2f1(a - 1, c - r, c, t / (alpha + t)))
        chance = a / (a + b)
        found = np.where(same, -np.expm1(-r * np.log1p(chance * t / alpha)) / chance, found)
    other = ~same & ((abs(a - 1) < 1e-3) | (abs(c) < 1e-3) | (r > _ONE_RATE) | ~np.isfinite(found))
    if other.any():
        r, alpha, b = (part[other][:, None] for part in (r, alpha, b))
        # Purchases soon thin out: the nodes crowd where they are, at any age.
        slow = alpha / r
        reach = np.log1p(t[other][:, None] / slow)
        v = _NODES * reach
        now = slow * np.expm1(v)
        found[other] = (rate_of_the_alive(now, r, alpha, a, b) * (slow + now) * reach) @ _WEIGHTS
    return np.asarray(found)


def rate_of_the_alive(t: Real, r: Real | float, alpha: Real | float, a: float, b: Real | float) -> Real:
    """Purchases per unit of time, at t from now, of somebody alive now: the mean of lambda exp(-lambda p t)."""
    t, r, alpha, b = np.broadcast_arrays(t, r, alpha, b)
    with np.errstate(over="ignore", invalid="ignore"):
        # 2F1(r + 1, a; a + b; -t / alpha) after Pfaff's transformation: scipy is exact to the last digits there.
        found = r / alpha * np.exp(-a * np.log1p(t / alpha))
        found = found * special.hyp2f1(a + b - r - 1, a, a + b, t / (alpha + t))
        found = np.where(r > _ONE_RATE, r / alpha * special.hyp1f1(a, a + b, -r / alpha * t), found)
        one = r / alpha * np.exp(-(r + 1) * np.log1p(a / (a + b) * t / alpha))
    return np.asarray(np.where(a + b > _ONE_CHANCE, one, found))
