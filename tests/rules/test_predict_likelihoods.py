"""Are the likelihoods those of the models? Against integrals over customers, their own slopes, and ungrouped rows.

The references are written from the story of each model (a customer's rate and chance to stop, integrated over all
customers by brute force), not from its formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial.legendre import leggauss
from scipy import integrate, optimize, special, stats

from tenure.predict import (
    BetaDiscreteWeibull,
    BetaGeoBetaBinomial,
    BetaGeoNBD,
    GammaGamma,
    ModifiedBetaGeoNBD,
    ParetoNBD,
    ShiftedBetaGeometric,
)
from tenure.predict.histories import Histories
from tenure.predict.pareto import _in_chunks, _nodes

BUYING = [BetaGeoNBD, ModifiedBetaGeoNBD, ParetoNBD]
HISTORIES = Histories.of(
    [0, 0, 0, 1, 1, 2, 2, 3, 7, 19, 1, 0],
    [0, 0, 0, 2.0, 35.5, 30.43, 1.0, 12.0, 38.0, 36.0, 39.0, 0],
    [39.0, 27.0, 38.86, 39.0, 39.0, 38.86, 30.0, 30.0, 39.0, 36.5, 39.0, 0.0],
    [900, 500, 11, 90, 14, 20, 25, 4, 3, 1, 2, 6],
)
OPPORTUNITIES = Histories.of(
    [0, 1, 1, 2, 3, 6, 2], [0, 1, 6, 5, 3, 6, 4], [6, 6, 6, 6, 6, 6, 4], [340, 90, 11, 9, 5, 70, 8]
)

positive = st.floats(0.05, 12.0)
stretch = st.floats(0.2, 60.0)


def objective(model: type[Any]) -> tuple[Callable[..., Any], list[Any]]:
    """A likelihood on a few rows, with strategies for its parameters."""
    if model in BUYING:
        return model()._objective(HISTORIES), [positive, stretch, positive, stretch if model is ParetoNBD else positive]
    if model is BetaGeoBetaBinomial:
        return model()._objective(OPPORTUNITIES), [positive] * 4
    if model is GammaGamma:
        x, z, w = np.array([1.0, 2, 2, 5, 30]), np.array([10.0, 0.5, 44, 18, 21]), np.array([3.0, 1, 1, 2, 1])
        return model()._objective(x, z, w), [positive, positive, stretch]
    t, n, d = np.array([1.0, 2, 3, 7]), np.array([100.0, 70, 66, 20]), np.array([30.0, 4, 11, 0])
    return model()._objective(t, n, d), [positive, positive, st.floats(0.2, 4.0)][: len(model.names)]


@pytest.mark.parametrize("model", [*BUYING, BetaGeoBetaBinomial, GammaGamma, ShiftedBetaGeometric, BetaDiscreteWeibull])
def test_gradients_and_hessians_are_the_finite_differences_of_the_likelihood(model: type[Any]) -> None:
    likelihood, parameters = objective(model)

    @given(st.tuples(*parameters))
    def check(values: tuple[float, ...]) -> None:
        at = np.log(values)
        _, gradient, hessian = likelihood(at)
        h = 1e-5
        for k in range(len(at)):
            step = np.zeros(len(at))
            step[k] = h
            up, down = likelihood(at + step), likelihood(at - step)
            scale = 1 + np.abs(hessian).max()
            assert gradient[k] == pytest.approx((up[0] - down[0]) / (2 * h), rel=1e-5, abs=1e-5 * scale)
            assert hessian[k] == pytest.approx((up[1] - down[1]) / (2 * h), rel=1e-5, abs=1e-6 * scale)
        assert hessian == pytest.approx(hessian.T)

    check()


# ----------------------------------------------------------------------------------------------- brute force, per model


def over_customers(of_rate: Callable[[float], float], shape: float, scale: float) -> float:
    """The mean of a function of a customer's rate, over rates that are Gamma(shape, scale)."""
    top = stats.gamma(shape, scale=1 / scale)
    # In the root of the rate, so that a density with a pole at 0 has none.
    edges = [0.0, *(math.sqrt(top.ppf(q)) for q in (1e-6, 0.05, 0.5, 0.95, 1 - 1e-13))]

    def density(u: float) -> float:
        return of_rate(u * u) * float(top.pdf(u * u)) * 2 * u

    parts = [integrate.quad(density, low, high, epsabs=0, epsrel=1e-9, limit=200)[0] for low, high in pairwise(edges)]
    return float(sum(parts))


def over_chances(of_chance: Callable[[np.ndarray], np.ndarray], a: float, b: float) -> float:
    """The mean of a function of a chance, over chances that are Beta(a, b)."""
    # p = u^4 (and 1 - p = w^4) flatten the corners at 0 and 1.
    q, weight = leggauss(400)
    u, weight = (q + 1) / 2 * 0.5**0.25, weight / 2 * 0.5**0.25
    low, high = u**4, 1 - u**4
    each = 4 * u**3 * weight / special.beta(a, b)
    left = of_chance(low) * low ** (a - 1) * (1 - low) ** (b - 1)
    right = of_chance(high) * high ** (a - 1) * u ** (4 * (b - 1))
    return float(((left + right) * each).sum())


def one_history(model: Any, x: int, t_x: float, T: float) -> float:
    """The log-likelihood of one history: the exact gaps between purchases, over all rates and all ways of stopping."""
    first, second, third, fourth = model.parameters_.values()
    if isinstance(model, ParetoNBD):

        def given_rate(rate: float) -> float:
            # Stops at y with a rate mu of Gamma(s, beta): stays beyond y with (beta / (beta + y))^s.
            stay = (fourth / (fourth + T)) ** third * math.exp(-rate * T)

            def stops(y: float) -> float:
                return third / fourth * (1 + y / fourth) ** (-third - 1) * math.exp(-rate * y)

            gone = integrate.quad(stops, t_x, T, epsabs=0, epsrel=1e-10, limit=200)[0]
            return rate**x * (stay + gone)

        return math.log(over_customers(given_rate, first, second))

    tosses = x + (1 if isinstance(model, ModifiedBetaGeoNBD) else 0)
    alive = over_customers(lambda rate: rate**x * math.exp(-rate * T), first, second)
    gone = over_customers(lambda rate: rate**x * math.exp(-rate * t_x), first, second)
    passes = over_chances(lambda p: (1 - p) ** tosses, third, fourth)
    ends = over_chances(lambda p: p * (1 - p) ** (tosses - 1), third, fourth) if tosses else 0.0
    return math.log(alive * passes + gone * ends)


@pytest.mark.parametrize("model", BUYING)
@pytest.mark.parametrize("values", [(0.5, 8.0, 0.8, 2.5), (1.7, 30.0, 2.5, 0.9), (0.9, 2.0, 0.6, 14.0)])
def test_a_history_is_as_likely_as_the_story_of_the_model_makes_it(model: type[Any], values: tuple[float, ...]) -> None:
    known = model.of(**dict(zip(model.names, values, strict=True)))
    for x, t_x, T in [(0, 0.0, 39.0), (1, 3.0, 39.0), (2, 30.43, 38.86), (5, 12.0, 12.0), (6, 2.0, 30.0)]:
        ours = model()._objective(Histories.of([x], [t_x], [T]))(np.log(values))[0]
        assert ours == pytest.approx(one_history(known, x, t_x, T), abs=1e-6)


def test_a_donor_is_as_likely_as_the_story_of_bg_bb_makes_him() -> None:
    values = (1.2, 0.75, 0.66, 2.8)
    for x, t_x, n in [(0, 0, 6), (1, 1, 6), (3, 5, 6), (6, 6, 6), (2, 4, 9)]:
        total = 0.0
        for there in range(t_x, n + 1):  # opportunities he was there for
            buys = over_chances(lambda p, x=x, there=there: p**x * (1 - p) ** (there - x), values[0], values[1])
            stops = over_chances(
                lambda p, n=n, there=there: (1 - p) ** there * (p if there < n else 1.0), values[2], values[3]
            )
            total += buys * stops
        ours = BetaGeoBetaBinomial()._objective(Histories.of([x], [t_x], [n]))(np.log(values))[0]
        assert ours == pytest.approx(math.log(total), abs=1e-8)


def test_a_mean_value_is_as_likely_as_the_story_of_gamma_gamma_makes_it() -> None:
    p, q, v = 2.5, 3.1, 12.0
    for x, z in [(1, 4.0), (3, 22.0), (10, 8.0)]:
        # The mean of x Gamma(p, nu) values is Gamma(p x, nu x).
        density = over_customers(lambda nu, x=x, z=z: float(stats.gamma.pdf(z, p * x, scale=1 / (nu * x))), q, v)
        ours = GammaGamma()._objective(np.array([float(x)]), np.array([z]), np.ones(1))(np.log([p, q, v]))[0]
        assert ours == pytest.approx(math.log(density), abs=1e-6)


def test_curves_lose_what_the_story_makes_them_lose() -> None:
    alpha, beta, c = 0.7, 1.9, 1.4
    curve, weibull = (
        ShiftedBetaGeometric.of(alpha=alpha, beta=beta),
        BetaDiscreteWeibull.of(alpha=alpha, beta=beta, c=c),
    )
    for t in range(7):
        stays = over_chances(lambda p, t=t: (1 - p) ** t, alpha, beta)
        assert curve.survival(t) == pytest.approx(stays, rel=1e-8)
        stays = over_chances(lambda p, t=t: (1 - p) ** (t**c), alpha, beta)
        assert weibull.survival(t) == pytest.approx(stays, rel=1e-8)
    # And the likelihood is that of the curve: who left at t, S(t - 1) - S(t); who is still there, S(t).
    t, n, d = np.array([1.0, 2, 3]), np.array([100.0, 60, 50]), np.array([40.0, 10, 5])
    for known in (curve, weibull):
        s = known.survival([0, 1, 2, 3])
        told = d @ np.log(s[:-1] - s[1:]) + 45 * np.log(s[3])
        values = np.log(list(known.parameters_.values()))
        assert known._objective(t, n, d)(values)[0] == pytest.approx(told, rel=1e-10)


@given(
    st.tuples(st.floats(0.05, 15), st.floats(0.02, 300), st.floats(0.05, 15), st.floats(0.02, 300)),
    st.integers(0, 60),
    st.floats(0.01, 1.0),
    st.floats(1.0, 200.0),
)
def test_the_integral_of_pareto_nbd_is_that_of_gauss_and_of_adaptive_quadrature(
    values: tuple[float, ...], x: int, part: float, T: float
) -> None:
    t_x = part * T if x else 0.0
    r, alpha, s, beta = values
    one = np.array([float(x)]), np.array([t_x]), np.array([T])
    ((_, rule),) = list(_in_chunks(np.array(values), *one))
    found = _nodes(np.array(values), *one, rule)

    # In v = ln((alpha + y) / (alpha + t_x)), over the likelihood of stopping at t_x at once.
    def density(v: float) -> float:
        y = (alpha + t_x) * math.expm1(v)
        return s * (alpha + t_x) / (beta + t_x) * math.exp(-(r + x - 1) * v - (s + 1) * math.log1p(y / (beta + t_x)))

    whole = math.log1p((T - t_x) / (alpha + t_x))
    steep = abs(r + x - 1) + (s + 1) * (alpha + t_x) / (beta + t_x)
    edges = [0.0, *sorted(p for p in (0.3 / steep, 1 / steep, 5 / steep, 20 / steep, 1.0, 3.0) if p < whole), whole]
    gone = sum(
        integrate.quad(density, low, high, epsabs=0, epsrel=1e-12, limit=200)[0] for low, high in pairwise(edges)
    )
    stays = math.exp(-(r + x) * whole - s * math.log1p((T - t_x) / (beta + t_x)))
    assert found.mass.sum() == pytest.approx(gone + stays, rel=1e-6)
    assert found.mass[0, -1] == pytest.approx(stays, rel=1e-10)


@pytest.mark.parametrize(("alpha", "beta"), [(10.6, 4.2), (4.2, 10.6), (7.0, 7.0)], ids=["above", "below", "equal"])
def test_pareto_nbd_is_the_published_difference_of_2f1_on_both_branches(alpha: float, beta: float) -> None:
    # Fader & Hardie 2005, "A Note on Deriving the Pareto/NBD Model and Related Expressions", (18) to (20).
    r, s = 0.55, 0.61
    for x, t_x, T in [(0, 0.0, 39.0), (2, 30.0, 39.0), (7, 12.0, 39.0)]:
        big, gap, second = (alpha, alpha - beta, s + 1) if alpha >= beta else (beta, beta - alpha, r + x)

        def branch(t: float, big: float = big, gap: float = gap, second: float = second, x: int = x) -> float:
            z = gap / (big + t)
            return float(special.hyp2f1(r + s + x, second, r + s + x + 1, z)) / (big + t) ** (r + s + x)

        first = 1 / ((alpha + T) ** (r + x) * (beta + T) ** s)
        whole = first + s / (r + s + x) * (branch(t_x) - branch(T))
        front = special.gammaln(r + x) - special.gammaln(r) + r * math.log(alpha) + s * math.log(beta)
        ours = ParetoNBD()._objective(Histories.of([x], [t_x], [T]))(np.log([r, alpha, s, beta]))[0]
        assert ours == pytest.approx(front + math.log(whole), abs=1e-9)


# ------------------------------------------------------------------------------------------------------------ grouping


@pytest.mark.parametrize("model", BUYING)
def test_grouped_rows_weights_order_and_a_continuous_clock_change_nothing(model: type[Any]) -> None:
    truth = BetaGeoNBD.of(r=0.5, alpha=6.0, a=0.8, b=2.5)
    made = truth.simulate(np.repeat(np.arange(20.0, 40.0), 60), seed=5)
    x, t_x, T = made.frequency, np.ceil(made.recency), made.age
    rows = model().fit(x, t_x, T)
    table, many = np.unique(np.stack([x, t_x, T]), axis=1, return_counts=True)
    shuffled = np.random.default_rng(1).permutation(len(many))
    grouped = model().fit(*table[:, shuffled], weights=many[shuffled])
    assert len(rows.histories_.weight) == len(many) < len(x)
    assert grouped.log_likelihood_ == pytest.approx(rows.log_likelihood_, rel=1e-12)
    assert list(grouped.parameters_.values()) == pytest.approx(list(rows.parameters_.values()), rel=1e-6)
    assert list(grouped.standard_errors_.values()) == pytest.approx(list(rows.standard_errors_.values()), rel=1e-5)
    # Times on no grid are grouped by value; in another unit only the unit changes.
    off = model().fit(x, t_x * math.pi, T * math.pi)
    assert len(off.histories_.weight) == len(many)
    assert off.r_ == pytest.approx(rows.r_, rel=1e-5)
    assert off.alpha_ == pytest.approx(rows.alpha_ * math.pi, rel=1e-5)
    assert off.log_likelihood_ == pytest.approx(rows.log_likelihood_ - x.sum() * math.log(math.pi), rel=1e-9)


@pytest.mark.parametrize("model", BUYING)
def test_no_other_start_and_no_other_search_finds_a_higher_likelihood(model: type[Any]) -> None:
    made = BetaGeoNBD.of(r=0.4, alpha=5.0, a=0.7, b=2.0).simulate(np.repeat([25.0, 39.0], 300), seed=8)
    fitted = model().fit(made.frequency, made.recency, made.age)
    likelihood = model()._objective(fitted.histories_)
    rng = np.random.default_rng(3)
    for _ in range(3):
        start = np.log([1.0, 10.0, 1.0, 10.0 if model is ParetoNBD else 2.0]) + rng.uniform(-1, 1, 4)
        other = optimize.minimize(
            lambda at: tuple(-part for part in likelihood(at)[:2]), start, jac=True, method="L-BFGS-B"
        )
        assert fitted.log_likelihood_ >= -other.fun - 1e-6


def test_a_renewal_seen_late_counts_from_when_it_was_seen() -> None:
    truth = ShiftedBetaGeometric.of(alpha=0.8, beta=2.0)
    made = truth.simulate(np.full(20_000, 12), seed=2)
    late = np.random.default_rng(4).integers(0, 6, len(made.periods))
    known = made.periods > late  # who left before observation began was never heard of
    right = ShiftedBetaGeometric().fit(made.periods[known], made.churned[known], entry=late[known])
    wrong = ShiftedBetaGeometric().fit(made.periods[known], made.churned[known])
    later = np.array([1, 3, 6, 12])
    assert right.survival(later) == pytest.approx(truth.survival(later), abs=0.02)
    assert wrong.survival(12) > truth.survival(12) + 0.05
