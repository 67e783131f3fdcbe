"""Who stops at any moment, bought or not? Pareto/NBD.

While a customer, one buys at random times, lambda per unit of time; the time of stopping is random, too, mu per unit.
Customers differ: lambda is Gamma(r, alpha), mu is Gamma(s, beta), independent of each other.

The likelihood of a history is a sum over when the customer stopped: after the end of observation, or at some y between
the last purchase and then,

    Gamma(r + x) / Gamma(r) alpha^r ( (beta / (beta + T))^s (alpha + T)^-(r + x)
                                      + integral over y of s beta^s (beta + y)^-(s + 1) (alpha + y)^-(r + x) ).

Written with 2F1 that is a difference of two large numbers in two branches (alpha above beta, or below). The integral is
taken as it stands instead, by Gauss and Legendre in a variable in which it is nearly a polynomial: all terms are
positive, nothing cancels, no branch is needed, and gradient and Hessian are means over y of those of the integrand.
The rule is checked against 2F1 and adaptive integration in the tests.

Sources: Schmittlein, Morrison & Colombo 1987, Management Science 33; Fader & Hardie 2005, "A Note on Deriving the
Pareto/NBD Model"; Fader, Hardie & Lee 2005, Journal of Marketing Research 42 (DERT).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from scipy import special

from tenure.predict.likelihood import Edge, chain
from tenure.predict.purchases import Leaves, PurchaseModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tenure.predict.histories import Histories
    from tenure.predict.likelihood import Objective, Real

# With w uniform on (0, 1), the density of the time since the last purchase is (1 - w)^(_FALL - 1), times
# a smooth factor.
_FALL = 4.0
# How many rows at once: their nodes fit the processor's cache.
_CHUNK = 2_048


def _rule(nodes: int) -> tuple[Real, Real]:
    """Gauss and Legendre's nodes and weights on (0, 1)."""
    q, weight = np.polynomial.legendre.leggauss(nodes)
    return (q + 1) / 2, weight / 2


_EASY, _LONG, _HARD = _rule(20), _rule(64), _rule(120)


class _Nodes(NamedTuple):
    """Moments of stopping for some rows: the last column stands for `after the end of observation`.

    `mass` is each one's part of the likelihood, over that of stopping at once (`reference`, its logarithm).
    """

    later: Real  # ln((alpha + y) / (alpha + t_x))
    y: Real
    mass: Real
    reference: Real


class ParetoNBD(PurchaseModel):
    """How often does each buy, who has stopped? Pareto/NBD: somebody may stop at any moment, also without buying.

    Parameters: r, alpha (rates of buying are Gamma(r, alpha), mean r / alpha per unit of time); s, beta (rates of
    stopping are Gamma(s, beta), mean s / beta). The top of the likelihood is often flat: several parameters say the
    same about purchases. Source: Schmittlein, Morrison & Colombo 1987.

    >>> model = ParetoNBD.of(r=0.5533, alpha=10.5776, s=0.6062, beta=11.6688)
    >>> model.probability_alive([2, 0], [30.43, 0], [38.86, 38.86]).round(4).tolist()
    [0.8691, 0.2951]
    """

    r_: float
    alpha_: float
    s_: float
    beta_: float

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")
    edges: ClassVar[tuple[Edge, ...]] = (
        Edge(
            "s",
            1e-12,
            "nobody is seen to have stopped; everybody goes on buying (NBD without leaving)",
            (("beta", 1.0),),
        ),
        Edge("r", 1e7, "customers do not differ in how often they buy; purchases of those still here are Poisson"),
        Edge("s", 1e7, "customers do not differ in how soon they stop; their lives are exponential"),
        # The chance of stopping at once grows like the logarithm of beta, so its end lies very far out.
        Edge("beta", 1e-60, "some stop right after their first purchase, the others hardly ever; nobody is in between"),
    )

    def _starts(self, rate: float, unit: float) -> Sequence[Real]:
        told = ((0.5, 1.5, 0.6, 0.4), (1.0, 1.2, 0.3, 1.0), (2.0, 2.0, 1.5, 1.0), (0.5, 3.0, 1.0, 0.3))
        return [np.array([r, r / (faster * rate), s, later * unit]) for r, faster, s, later in told]

    def _objective(self, data: Histories) -> Objective:
        buys = data.beyond
        j = np.arange(len(buys), dtype=np.float64)
        parts = zip(data.of_repeat_buyers().columns, data.without_recency().columns, strict=True)
        x, t_x, T, w = (np.concatenate(pair) for pair in parts)

        def at(log_parameters: Real) -> tuple[float, Real, Real]:
            values = np.exp(log_parameters)
            r, alpha, s, beta = values
            value = float(buys @ np.log(r + j))
            gradient, hessian = np.zeros(4), np.zeros((4, 4))
            gradient[0] = buys @ (1 / (r + j))
            hessian[0, 0] = -(buys @ (1 / (r + j) ** 2))
            for rows, rule in _in_chunks(values, x, t_x, T):
                weight, rx = w[rows], (r + x[rows])[:, None]
                nodes = _nodes(values, x[rows], t_x[rows], T[rows], rule)
                total = nodes.mass.sum(axis=1)
                value += float(weight @ (nodes.reference + np.log(total)))
                share = nodes.mass / total[:, None]
                u, z = 1 / (alpha + nodes.y), 1 / (beta + nodes.y)
                # Someone who stops at y adds the density s / (beta + y); who stops later does not.
                ends = np.ones(nodes.mass.shape[1])
                ends[-1] = 0.0
                first = np.empty((4, *nodes.mass.shape))
                first[0] = -(np.log1p(t_x[rows] / alpha)[:, None] + nodes.later)
                first[1] = r / alpha - rx * u
                first[2] = ends / s - np.log1p(nodes.y / beta)
                first[3] = s / beta - (s + ends) * z
                mean = np.einsum("kij,ij->ki", first, share)
                gradient += mean @ weight
                heavy = share * weight[:, None]
                flat = first.reshape(4, -1)
                hessian += (flat * heavy.ravel()) @ flat.T - (mean * weight) @ mean.T
                customers = weight.sum()
                hu, hz = heavy * u, heavy * z
                left = customers - heavy[:, -1].sum()
                hessian[0, 1] += customers / alpha - hu.sum()
                hessian[1, 1] += (rx * hu * u).sum() - customers * r / alpha**2
                hessian[2, 2] -= left / s**2
                hessian[2, 3] += customers / beta - hz.sum()
                hessian[3, 3] += ((s + ends) * hz * z).sum() - customers * s / beta**2
            hessian[1, 0], hessian[3, 2] = hessian[0, 1], hessian[2, 3]
            return value, *chain(gradient, hessian, values)

        return at

    # ---------------------------------------------------------------------------------------------------- answers

    def _alive(self, x: Real, t_x: Real, T: Real) -> Real:
        found = np.empty(len(x))
        values = np.array(list(self.parameters_.values()))
        for rows, rule in _in_chunks(values, x, t_x, T):
            mass = _nodes(values, x[rows], t_x[rows], T[rows], rule).mass
            found[rows] = mass[:, -1] / mass.sum(axis=1)
        return found

    def _expected_new(self, t: Real) -> Real:
        r, alpha, s, beta = self.parameters_.values()
        return r / alpha * time_alive(t, s, beta)

    def _expected_alive(self, t: Real, x: Real, T: Real) -> Real:
        r, alpha, s, beta = self.parameters_.values()
        return (r + x) / (alpha + T) * time_alive(t, s, beta + T)

    def _discounted_alive(self, discount: float, x: Real, T: Real) -> Real:
        r, alpha, s, beta = self.parameters_.values()
        # Integral of exp(-discount t) ((beta + T) / (beta + T + t))^s, Tricomi's function in the literature.
        ages, place = np.unique(T, return_inverse=True)
        reach = np.log1p(40 / (discount * (beta + ages)))[:, None]
        q, weight = _LONG
        v = q * reach
        t = (beta + ages)[:, None] * np.expm1(v)
        lived = ((np.exp((1 - s) * v - discount * t) * reach) @ weight) * (beta + ages)
        return np.asarray((r + x) / (alpha + T) * lived[place])

    def _mass(self, n: int, t: Real) -> Real:
        r, alpha, s, beta = self.parameters_.values()

        def nb(length: Real) -> Real:
            log_nb = special.gammaln(r + n) - special.gammaln(r) - special.gammaln(n + 1)
            log_nb = log_nb - r * np.log1p(length / alpha) + special.xlogy(n, length / (alpha + length))
            return np.asarray(np.exp(log_nb))

        q, weight = _LONG
        reach = np.log1p(np.asarray(t) / beta)[..., None]
        v = q * reach
        stopped = (s * np.exp(-s * v) * nb(beta * np.expm1(v)) * reach) @ weight
        return np.asarray(np.exp(-s * np.log1p(t / beta)) * nb(t) + stopped)

    def _customers(self, n: int, rng: np.random.Generator) -> tuple[Real, Leaves]:
        r, alpha, s, beta = self.parameters_.values()
        rate = rng.gamma(r, 1 / alpha, n)
        return rate, Leaves(rng.exponential(1.0, n) / rng.gamma(s, 1 / beta, n))


def time_alive(t: Real, s: float, beta: Real | float) -> Real:
    """How much of the next t somebody alive now will be a customer for, if his rate of stopping is Gamma(s, beta)."""
    span = np.log1p(t / beta)
    if abs(s - 1) < 1e-9:
        return np.asarray(beta * span)
    return np.asarray(beta * -np.expm1((1 - s) * span) / (s - 1))


def _in_chunks(
    values: Real, x: Real, t_x: Real, T: Real
) -> Iterator[tuple[slice | NDArray[np.intp], tuple[Real, Real]]]:
    """Rows in portions, each with the rule that is exact enough for it."""
    r, alpha, s, beta = values
    fall = r + x + s
    # How steeply the density falls at first, over how it does in the end; and where its corner lies, left of w = 0.
    ratio = (alpha + t_x) / (beta + t_x)
    first = (r + x - 1 + (s + 1) * ratio) / fall
    corner = -fall / _FALL * np.log(np.maximum(1 - 1 / ratio, 1e-12))  # of 1 - w, its logarithm
    turns = (s + 1) * (1 - ratio) > 4 * ratio * (1 + x)
    hard = (first < 0.4) | (first > 6) | (corner < 0.34) | turns
    if not hard.any():
        for begin in range(0, len(x), _CHUNK):
            yield slice(begin, begin + _CHUNK), _EASY
        return
    for rows, rule, size in ((np.flatnonzero(~hard), _EASY, _CHUNK), (np.flatnonzero(hard), _HARD, _CHUNK // 6)):
        for begin in range(0, len(rows), size):
            yield rows[begin : begin + size], rule


def _nodes(values: Real, x: Real, t_x: Real, T: Real, rule: tuple[Real, Real]) -> _Nodes:
    """When each of these customers may have stopped, and how much each moment adds to the likelihood."""
    r, alpha, s, beta = values
    w, weight = rule
    a, b = alpha + t_x, beta + t_x
    whole = np.log1p((T - t_x) / a)
    rows, columns = len(x), len(w)
    later = np.zeros((rows, columns + 1))
    if rule is _EASY:
        # 1 - w = exp(-kappa later), so that most moments lie soon after the last purchase.
        kappa = (r + x + s) / _FALL
        reach = -np.expm1(-kappa * whole)
        np.multiply.outer(reach, -w, out=later[:, :columns])
        np.log1p(later, out=later)
        later[:, :columns] *= (-1 / kappa)[:, None]
        crowded, scale = kappa, reach / kappa
    else:
        # later = (exp(growth w) - 1) / steep: even on a logarithmic scale, from the steepest fall to the whole span.
        steep = abs(r + x - 1) + (s + 1) * a / b
        growth = np.log1p(steep * whole)
        later[:, :columns] = np.expm1(np.multiply.outer(growth, w)) / steep[:, None]
        crowded, scale = None, growth / steep
    later[:, columns] = whole
    since = np.expm1(later)
    since *= a[:, None]
    since[:, columns] = T - t_x
    stopping = since / b[:, None]
    np.log1p(stopping, out=stopping)
    # dy = (alpha + y) dlater, and dlater is `scale` exp(kappa later) dw or `scale` exp(growth w) dw.
    power = ((0.0 if crowded is None else crowded) + 1 - (r + x))[:, None] * later
    power -= (s + 1) * stopping
    if crowded is None:
        power[:, :columns] += np.multiply.outer(growth, w)
    power[:, columns] = -(r + x) * whole - s * stopping[:, columns]
    mass = np.exp(power)
    mass[:, :columns] *= (s * a * scale / b)[:, None] * weight
    since += t_x[:, None]
    reference = -r * np.log1p(t_x / alpha) - x * np.log(a) - s * np.log1p(t_x / beta)
    return _Nodes(later, since, mass, reference)
