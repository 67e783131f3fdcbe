"""Do the purchase models foretell what they should? Beside lifetimes, beside made-up customers, and by brute force.

lifetimes is an oracle for tests only; nothing of Tenure imports it. Its own log-likelihood of BG/NBD is on rescaled
time: it is worked out again here before it is compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from tenure.charts import png
from tenure.predict import (
    BetaDiscreteWeibull,
    BetaGeoBetaBinomial,
    BetaGeoNBD,
    GammaGamma,
    ModifiedBetaGeoNBD,
    ParetoNBD,
    ShiftedBetaGeometric,
)
from tenure.predict.beta_geo import purchases_of_the_alive
from tenure.predict.histories import Histories
from tests.rules.shops_without_contracts import Buyers, cdnow

lifetimes = pytest.importorskip("lifetimes", reason="the oracle is in the test extra: pip install 'tenure[test]'")

# What lifetimes' own code warns of: pandas of its time, and floating point on the way to its optimum.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:RuntimeWarning:lifetimes"),
    pytest.mark.filterwarnings("ignore:.*:RuntimeWarning:autograd"),
    pytest.mark.filterwarnings("ignore:.*:RuntimeWarning:pandas"),
]

PEERS: dict[type[Any], Callable[[], Any]] = {
    BetaGeoNBD: lambda: lifetimes.BetaGeoFitter(),
    ModifiedBetaGeoNBD: lambda: lifetimes.ModifiedBetaGeoFitter(),
    ParetoNBD: lambda: lifetimes.ParetoNBDFitter(),
}
TRUTHS: dict[type[Any], Any] = {
    BetaGeoNBD: BetaGeoNBD.of(r=0.6, alpha=6.0, a=0.8, b=2.5),
    ModifiedBetaGeoNBD: ModifiedBetaGeoNBD.of(r=0.6, alpha=6.0, a=0.8, b=2.5),
    ParetoNBD: ParetoNBD.of(r=0.6, alpha=6.0, s=0.6, beta=12.0),
}
SOME = ([0, 0, 1, 2, 7, 25], [0, 0, 3.0, 30.43, 38.0, 30.0], [39.0, 20.0, 39.0, 38.86, 38.9, 39.0])


@pytest.fixture(scope="module")
def buyers(shared_data: Callable[[str], Path]) -> Buyers:
    return cdnow(shared_data("cdnow/CDNOW_sample.txt"))


@pytest.mark.parametrize("model", PEERS)
def test_no_peer_finds_likelier_parameters_on_cdnow(model: type[Any], buyers: Buyers) -> None:
    history = buyers.frequency, buyers.recency, buyers.age
    ours, peer = model().fit(*history), PEERS[model]().fit(*history)
    theirs = model()._objective(Histories.of(*history))(np.log(np.asarray(peer.params_)))[0]
    assert ours.log_likelihood_ >= theirs - 1e-6
    assert ours.log_likelihood_ == pytest.approx(theirs, abs=0.01)


@pytest.mark.parametrize("model", [BetaGeoNBD, ModifiedBetaGeoNBD])
def test_standard_errors_are_those_of_lifetimes(model: type[Any], buyers: Buyers) -> None:
    history = buyers.frequency, buyers.recency, buyers.age
    ours, peer = model().fit(*history), PEERS[model]().fit(*history)
    assert ours.standard_errors_ == pytest.approx(peer.standard_errors_.to_dict(), rel=0.02)


@pytest.mark.parametrize("model", PEERS)
def test_predictions_are_those_of_lifetimes(model: type[Any]) -> None:
    known = TRUTHS[model]
    peer = PEERS[model]()
    peer.params_ = pd.Series(known.parameters_)
    history = tuple(np.array(part, dtype=float) for part in SOME)
    t = np.array([0.5, 4.0, 39.0, 200.0])
    assert known.probability_alive(*history) == pytest.approx(
        np.ravel(peer.conditional_probability_alive(*history)), rel=1e-8
    )
    for ahead in t:
        ours = known.conditional_expected_purchases(ahead, *history)
        theirs = peer.conditional_expected_number_of_purchases_up_to_time(ahead, *history)
        assert ours == pytest.approx(np.ravel(theirs), rel=1e-7)
    assert known.expected_purchases(t) == pytest.approx(peer.expected_number_of_purchases_up_to_time(t), rel=1e-8)
    if model is not ParetoNBD:  # lifetimes has it only conditionally there
        for n in range(5):
            ours = known.probability_of_purchases(n, 10.0)
            assert ours == pytest.approx(peer.probability_of_n_purchases_up_to_time(10.0, n), rel=1e-8)


def test_bg_bb_predicts_what_lifetimes_predicts() -> None:
    known = BetaGeoBetaBinomial.of(alpha=1.2035, beta=0.7497, gamma=0.6567, delta=2.7834)
    peer = lifetimes.BetaGeoBetaBinomFitter()
    peer.params_ = pd.Series(known.parameters_)
    history = np.array([0, 1, 3, 6, 2]), np.array([0, 1, 5, 6, 4]), np.array([6, 6, 6, 6, 4])
    for ahead in (1, 5, 20):
        assert known.conditional_expected_purchases(ahead, *history) == pytest.approx(
            peer.conditional_expected_number_of_purchases_up_to_time(ahead, *history), rel=1e-8
        )
        assert known.probability_alive(*history, ahead=ahead) == pytest.approx(
            peer.conditional_probability_alive(ahead, *history), rel=1e-8
        )
    assert sum(known.probability_of_purchases(x, 6) for x in range(7)) == pytest.approx(1)
    mean = sum(x * known.probability_of_purchases(x, 6) for x in range(7))
    assert known.expected_purchases(6) == pytest.approx(mean)


def test_gamma_gamma_expects_what_lifetimes_expects() -> None:
    known = GammaGamma.of(p=6.25, q=3.74, v=15.44)
    peer = lifetimes.GammaGammaFitter()
    peer.params_ = pd.Series(known.parameters_)
    x, z = np.array([0.0, 1, 4, 40]), np.array([0.0, 80, 12, 35])
    assert known.expected_value(x, z) == pytest.approx(peer.conditional_expected_average_profit(x, z), rel=1e-12)
    assert known.expected_value([0, 0], [math.nan, 5.0]) == pytest.approx([known.mean] * 2)


# ----------------------------------------------------------------------------------------------------- inner agreement


@pytest.mark.parametrize("model", TRUTHS)
def test_the_distribution_of_purchases_adds_up_and_has_the_expected_mean(model: type[Any]) -> None:
    known = TRUTHS[model]
    chances = np.array([known.probability_of_purchases(n, [3.0, 30.0]) for n in range(250)])
    assert chances.sum(axis=0) == pytest.approx([1, 1], abs=1e-6)
    means = (np.arange(250)[:, None] * chances).sum(axis=0)
    assert means == pytest.approx(known.expected_purchases([3.0, 30.0]), rel=1e-5)


@given(
    st.floats(0.05, 4.0),
    st.floats(0.5, 60.0),
    st.sampled_from([0.2, 0.5, 0.9999, 1.0, 1.0004, 1.3, 4.0]),
    st.sampled_from([0.05, 0.5, 0.8, 5.0, 40.0]),
    st.floats(0.1, 300.0),
)
def test_expected_purchases_are_the_integral_of_their_rate_poles_included(
    r: float, alpha: float, a: float, b: float, t: float
) -> None:
    def rate(now: float) -> float:
        return r / alpha * (1 + now / alpha) ** (-r - 1) * float(special.hyp2f1(r + 1, b, a + b, now / (alpha + now)))

    steps = [0.0, *(part * t for part in (0.01, 0.1, 0.4)), t]
    whole = sum(integrate.quad(rate, low, high, epsabs=1e-9, epsrel=1e-9)[0] for low, high in pairwise(steps))
    found = purchases_of_the_alive(np.array([t]), r, alpha, a, b)
    assert found[0] == pytest.approx(whole, rel=1e-7)


@pytest.mark.parametrize(("model", "tail"), [(BetaGeoNBD, 1e-3), (ModifiedBetaGeoNBD, 1e-3), (ParetoNBD, 1e-3)])
def test_discounted_purchases_are_the_sum_of_the_discounted_years(model: type[Any], tail: float) -> None:
    known, discount = TRUTHS[model], 0.02
    ends = np.concatenate([np.arange(0, 60, 0.05), np.arange(60, 900, 1.0)])
    for x, t_x, T in zip(*SOME, strict=True):
        so_far = np.array(known.conditional_expected_purchases(ends, *(np.full(len(ends), v) for v in (x, t_x, T))))
        middle = (ends[1:] + ends[:-1]) / 2
        summed = (np.diff(so_far) * np.exp(-discount * middle)).sum()
        assert known.discounted_purchases(discount, [x], [t_x], [T])[0] == pytest.approx(summed, rel=tail)


def test_pareto_nbds_discounted_purchases_are_the_published_formula() -> None:
    # Fader, Hardie & Lee 2005 (JMR), (4), with Tricomi's function as Gamma(1 - s, z); s < 1 and moderate z.
    known, discount = TRUTHS[ParetoNBD], 0.02
    r, alpha, s, beta = known.parameters_.values()
    for x, t_x, T in zip(*SOME, strict=True):
        z = discount * (beta + T)
        psi = math.exp(z) * float(special.gammaincc(1 - s, z) * special.gamma(1 - s))
        alive = known.probability_alive([x], [t_x], [T])[0]
        told = alive * (r + x) / (alpha + T) * discount ** (s - 1) * (beta + T) ** s * psi
        assert known.discounted_purchases(discount, [x], [t_x], [T])[0] == pytest.approx(told, rel=1e-9)


def test_bg_bb_discounts_opportunity_by_opportunity() -> None:
    known, rate = BetaGeoBetaBinomial.of(alpha=1.2, beta=0.75, gamma=0.66, delta=2.8), 0.1
    for history in [([0], [0], [6]), ([3], [5], [6])]:
        totals = [known.conditional_expected_purchases(k, *history)[0] for k in range(301)]
        summed = sum((totals[k] - totals[k - 1]) / (1 + rate) ** k for k in range(1, 301))
        assert known.discounted_purchases(rate, *history)[0] == pytest.approx(summed, rel=1e-9)


@pytest.mark.parametrize(
    "curve", [ShiftedBetaGeometric.of(alpha=0.67, beta=3.8), BetaDiscreteWeibull.of(alpha=0.26, beta=1.7, c=1.6)]
)
def test_a_residual_lifetime_is_the_sum_of_what_is_still_to_come(curve: Any) -> None:
    s = curve.survival(np.arange(0, 400))
    assert curve.discounted_lifetime(0.1) == pytest.approx((s * 1.1 ** -np.arange(400.0)).sum(), rel=1e-12)
    for renewals in (0, 3):
        later = s[renewals + 1 :] / s[renewals]
        told = (later * 1.1 ** -np.arange(float(len(later)))).sum()
        assert curve.discounted_residual_lifetime(0.1, renewals) == pytest.approx(told, rel=1e-12)
    assert curve.discounted_lifetime(0.0, horizon=12) == pytest.approx(s[:12].sum())


def test_sbgs_residual_lifetime_is_the_published_formula() -> None:
    # Fader & Hardie 2010, (6): active for n periods, that is n - 1 renewals.
    alpha, beta, d, n = 0.668, 3.806, 0.1, 4
    tail = special.hyp2f1(1, beta + n, alpha + beta + n, 1 / (1 + d))
    told = (beta + n - 1) / (alpha + beta + n - 1) * tail
    curve = ShiftedBetaGeometric.of(alpha=alpha, beta=beta)
    assert curve.discounted_residual_lifetime(d, n - 1) == pytest.approx(float(told), rel=1e-10)


# ---------------------------------------------------------------------------------------------------- made-up customers


@pytest.mark.parametrize("model", TRUTHS)
def test_among_made_up_customers_the_truth_is_found_and_the_future_as_foretold(model: type[Any]) -> None:
    known = TRUTHS[model]
    ages = np.repeat(np.arange(26.0, 39.0), 4000)
    made = known.simulate(ages, seed=12, ahead=26.0)
    fitted = model().fit(made.frequency, made.recency, made.age)
    assert fitted.converged_
    for name, (low, high) in fitted.interval(0.9999).items():
        assert low < known.parameters_[name] < high, name
    history = made.frequency, made.recency, made.age
    expected, alive = known.conditional_expected_purchases(26.0, *history), known.probability_alive(*history)
    noise = 5 * made.future.std() / math.sqrt(len(ages))
    assert made.future.mean() == pytest.approx(expected.mean(), abs=noise)
    # Not only on the whole: among the likely and the unlikely, among the frequent and the rest.
    for edge in (0.2, 0.5, 0.8):
        for group in (alive < edge, alive >= edge, (alive >= edge) & (made.frequency > 3)):
            if group.sum() > 500:
                off = 5 * made.future[group].std() / math.sqrt(group.sum())
                assert made.future[group].mean() == pytest.approx(expected[group].mean(), abs=off)
                assert made.alive[group].mean() == pytest.approx(
                    alive[group].mean(), abs=5 * 0.5 / math.sqrt(group.sum())
                )
    assert known.expected_purchases(26.0) == pytest.approx(
        known.simulate(np.full(40_000, 26.0), seed=3).frequency.mean(), rel=0.05
    )


def test_among_made_up_donors_the_truth_is_found_and_the_future_as_foretold() -> None:
    known = BetaGeoBetaBinomial.of(alpha=1.2, beta=0.75, gamma=0.66, delta=2.8)
    made = known.simulate(np.full(20_000, 8), seed=6, ahead=5)
    fitted = BetaGeoBetaBinomial().fit(made.frequency, made.recency, made.age)
    for name, (low, high) in fitted.interval(0.9999).items():
        assert low < known.parameters_[name] < high, name
    expected = known.conditional_expected_purchases(5, made.frequency, made.recency, made.age)
    alive = known.probability_alive(made.frequency, made.recency, made.age)
    assert made.future.mean() == pytest.approx(expected.mean(), rel=0.03)
    assert made.alive.mean() == pytest.approx(alive.mean(), rel=0.03)


def test_among_made_up_spenders_and_subscribers_the_truth_is_found() -> None:
    money = GammaGamma.of(p=6.0, q=4.0, v=15.0)
    spent = money.simulate(np.random.default_rng(1).integers(1, 9, 20_000), seed=2)
    fitted = GammaGamma().fit(spent.frequency, spent.value)
    for name, (low, high) in fitted.interval(0.9999).items():
        assert low < money.parameters_[name] < high, name
    assert fitted.independence_.holds
    assert fitted.expected_value(spent.frequency, spent.value).mean() == pytest.approx(spent.mean.mean(), rel=0.02)
    # Nearer to each customer's true mean than his mean so far, and than everybody's.
    ours = np.abs(fitted.expected_value(spent.frequency, spent.value) - spent.mean).mean()
    assert ours < np.abs(spent.value - spent.mean).mean()
    assert ours < np.abs(fitted.mean - spent.mean).mean()
    for curve in (ShiftedBetaGeometric.of(alpha=0.7, beta=2.0), BetaDiscreteWeibull.of(alpha=0.7, beta=2.0, c=1.5)):
        made = curve.simulate(np.full(40_000, 10), seed=9)
        found = type(curve)().fit(made.periods, made.churned)
        for name, (low, high) in found.interval(0.9999).items():
            assert low < curve.parameters_[name] < high, name


def test_the_same_seed_makes_the_same_customers() -> None:
    for model in TRUTHS.values():
        one, same, other = (model.simulate(np.full(50, 30.0), seed=seed) for seed in (4, 4, 5))
        assert (one.recency == same.recency).all()
        assert (one.recency != other.recency).any()


# ------------------------------------------------------------------------------------------------------------- pictures


def test_a_picture_shows_what_was_seen_and_what_is_expected(buyers: Buyers) -> None:
    fitted = BetaGeoNBD().fit(buyers.frequency, buyers.recency, buyers.age)
    for language in ("en", "th"):
        told = fitted.plot(language).to_dict()
        (rows,) = told["datasets"].values()
        assert [row["label"] for row in rows] == ["0", "1", "2", "3", "4", "5", "6", "7+"]
        assert [row["seen"] for row in rows] == [1411, 439, 214, 100, 62, 38, 29, 64]
        assert sum(row["expected"] for row in rows) == pytest.approx(2357)
        # Fader, Hardie & Lee 2005, Figure 3: hardly to be told apart.
        assert all(row["expected"] == pytest.approx(row["seen"], abs=25) for row in rows)
    assert png(fitted.plot(width=340)).startswith(b"\x89PNG")


def test_every_model_has_its_picture() -> None:
    made = TRUTHS[ParetoNBD].simulate(np.full(2000, 30.0), seed=1)
    donors = BetaGeoBetaBinomial.of(alpha=1.2, beta=0.75, gamma=0.66, delta=2.8).simulate(np.full(500, 6), seed=6)
    spent = GammaGamma.of(p=6.0, q=4.0, v=15.0).simulate(np.full(800, 3), seed=2)
    fits = [
        ParetoNBD().fit(made.frequency, made.recency, made.age),
        ModifiedBetaGeoNBD().fit(made.frequency, made.recency, made.age),
        BetaGeoBetaBinomial().fit(donors.frequency, donors.recency, donors.age),
        GammaGamma().fit(spent.frequency, spent.value),
    ]
    for fitted in fits:
        (rows,) = fitted.plot().to_dict(validate=True)["datasets"].values()
        assert sum(row["seen"] for row in rows) == pytest.approx(fitted.n_)
        assert sum(row["expected"] for row in rows) == pytest.approx(fitted.n_, rel=1e-6)
    curve = ShiftedBetaGeometric().fit_survivors([1000, 869, 743, 653])
    (rows,) = curve.plot("th").to_dict(validate=True)["datasets"].values()
    assert [row["seen"] for row in rows] == [
        1.0,
        pytest.approx(0.869),
        pytest.approx(0.743),
        pytest.approx(0.653),
        *[None] * 3,
    ]
    assert [row["at"] for row in rows] == list(range(7))
