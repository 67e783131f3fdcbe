"""Do the purchase models give the numbers of their papers? Published parameters, likelihoods and survivors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tenure.predict import (
    BetaDiscreteWeibull,
    BetaGeoBetaBinomial,
    BetaGeoNBD,
    GammaGamma,
    ModifiedBetaGeoNBD,
    ParetoNBD,
    ShiftedBetaGeometric,
)
from tests.rules.shops_without_contracts import Buyers, cdnow

# Fader & Hardie 2007, Table 1: who is left of 1,000 after 0, 1, ... 12 renewals.
REGULAR = [1000, 631, 468, 382, 326, 289, 262, 241, 223, 207, 194, 183, 173]
HIGH_END = [1000, 869, 743, 653, 593, 551, 517, 491, 468, 445, 427, 409, 394]


@pytest.fixture(scope="module")
def buyers(shared_data: Callable[[str], Path]) -> Buyers:
    return cdnow(shared_data("cdnow/CDNOW_sample.txt"))


def parameters(model: object, digits: int) -> list[float]:
    return [round(value, digits) for value in model.parameters_.values()]  # type: ignore[attr-defined]


def test_bg_nbd_on_cdnow_is_the_papers_table_2(buyers: Buyers) -> None:
    # Fader, Hardie & Lee 2005, Marketing Science 24, Table 2; the paper prints .243 4.414 .793 2.426 and -9582.4.
    model = BetaGeoNBD().fit(buyers.frequency, buyers.recency, buyers.age)
    assert model.n_ == 2357
    assert buyers.frequency.sum() == 2457
    assert parameters(model, 3) == pytest.approx([0.243, 4.414, 0.793, 2.426], abs=1.001e-3)
    assert model.r_ == pytest.approx(0.2426, abs=1e-4)
    assert model.alpha_ == pytest.approx(4.4136, abs=2e-3)
    assert model.log_likelihood_ == pytest.approx(-9582.429, abs=5e-4)
    assert model.converged_
    assert not model.notes_


def test_pareto_nbd_on_cdnow_is_the_papers_table_2(buyers: Buyers) -> None:
    model = ParetoNBD().fit(buyers.frequency, buyers.recency, buyers.age)
    assert parameters(model, 3) == pytest.approx([0.553, 10.578, 0.606, 11.669], abs=2e-3)
    assert model.log_likelihood_ == pytest.approx(-9594.976, abs=5e-4)
    assert model.converged_


def test_mbg_nbd_on_cdnow_is_what_lifetimes_finds(shared_data: Callable[[str], Path]) -> None:
    # The summary that lifetimes ships, ages rounded to hundredths of a week.
    table = np.loadtxt(shared_data("cdnow/cdnow_customers_summary.csv"), delimiter=",", skiprows=1)
    model = ModifiedBetaGeoNBD().fit(table[:, 1], table[:, 2], table[:, 3])
    assert parameters(model, 5) == pytest.approx([0.52484, 6.18299, 0.89136, 1.61400], rel=1e-4)


def test_gamma_gamma_on_cdnow_is_the_papers(shared_data: Callable[[str], Path]) -> None:
    # Fader, Hardie & Lee 2005, JMR 42: 946 repeat buyers, correlation of frequency and value .11 with all of them.
    path = shared_data("cdnow/cdnow_customers_summary_with_transactions.csv")
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    again = table[table[:, 1] > 0]
    model = GammaGamma().fit(again[:, 1], again[:, 4])
    assert model.n_ == 946
    assert parameters(model, 2) == pytest.approx([6.25, 3.74, 15.44], abs=1.5e-2)
    assert model.log_likelihood_ == pytest.approx(-4055.92, abs=5e-3)
    assert model.independence_.correlation == pytest.approx(0.11, abs=5e-3)
    assert model.independence_.holds


def test_bg_bb_on_the_donations_is_what_the_paper_prints(shared_data: Callable[[str], Path]) -> None:
    # Fader, Hardie & Shang 2010: 11,104 donors, six years, 22 distinct histories.
    table = np.loadtxt(shared_data("cdnow/donations.csv"), delimiter=",", skiprows=1)
    assert len(table) == 22
    model = BetaGeoBetaBinomial().fit(table[:, 0], table[:, 1], table[:, 2], weights=table[:, 3])
    assert model.n_ == 11_104
    assert parameters(model, 4) == pytest.approx([1.2035, 0.7497, 0.6567, 2.7834], abs=1e-4)
    assert model.log_likelihood_ == pytest.approx(-33225.581, abs=5e-4)


@pytest.mark.parametrize(
    ("survivors", "alpha", "beta", "likelihood"),
    [(HIGH_END, 0.668, 3.806, -1611.16), (REGULAR, 0.704, 1.182, -1680.265)],
    ids=["High End", "Regular"],
)
def test_sbg_on_seven_renewals_is_the_papers_appendix_b(
    survivors: list[int], alpha: float, beta: float, likelihood: float
) -> None:
    curve = ShiftedBetaGeometric().fit_survivors(survivors[:8])
    assert curve.alpha_ == pytest.approx(alpha, abs=5e-4)
    assert curve.beta_ == pytest.approx(beta, abs=5e-4)
    assert curve.log_likelihood_ == pytest.approx(likelihood, abs=5e-3)
    # Judged on the five renewals held back, as in the paper's figure: within 2 points of the cohort.
    assert curve.survival(np.arange(8, 13)) == pytest.approx(np.array(survivors[8:]) / 1000, abs=0.02)


def test_bdw_on_four_renewals_is_what_retenmod_finds() -> None:
    curve = BetaDiscreteWeibull().fit_survivors(HIGH_END[:5])
    assert parameters(curve, 4) == pytest.approx([0.2593, 1.7225, 1.5844], abs=1.1e-4)


def test_where_chances_rise_with_age_bdw_beats_sbg_on_the_months_held_back() -> None:
    # Fader et al. 2018 make the same point on these cohorts with short calibration.
    later = np.arange(5, 13)
    gaps = {}
    for curve in (ShiftedBetaGeometric(), BetaDiscreteWeibull()):
        curve.fit_survivors(HIGH_END[:5])
        gaps[type(curve).__name__] = np.abs(curve.survival(later) - np.array(HIGH_END[5:]) / 1000).mean()
    assert gaps["BetaDiscreteWeibull"] < gaps["ShiftedBetaGeometric"] / 2
    assert gaps["BetaDiscreteWeibull"] < 0.02


def test_held_out_cdnow_is_within_fifteen_per_cent_and_each_customer_nearer_than_by_rates(buyers: Buyers) -> None:
    history = buyers.frequency, buyers.recency, buyers.age
    model = BetaGeoNBD().fit(*history)
    expected = model.conditional_expected_purchases(39, *history)
    assert buyers.later.sum() == 1882
    assert expected.sum() == pytest.approx(1653, abs=1)
    assert abs(expected.sum() / buyers.later.sum() - 1) < 0.15
    assert model.expected_total(39, *history) == pytest.approx(expected.sum())
    naive = buyers.frequency / buyers.age * 39
    ours, theirs = (np.abs(guess - buyers.later).mean() for guess in (expected, naive))
    assert ours == pytest.approx(0.79, abs=0.015)
    assert theirs == pytest.approx(1.02, abs=0.015)


def test_a_customers_future_in_the_papers_spreadsheet_is_ours() -> None:
    # Fader, Hardie & Lee 2005b ("Implementing the BG/NBD Model in Excel"): x 2, t_x 30.43, T 38.86, next 39 weeks.
    model = BetaGeoNBD.of(r=0.243, alpha=4.414, a=0.793, b=2.426)
    assert model.conditional_expected_purchases(39, [2], [30.43], [38.86])[0] == pytest.approx(1.226, abs=5e-4)


def test_the_regular_cohort_renews_more_with_every_renewal_though_nobody_changes() -> None:
    curve = ShiftedBetaGeometric().fit_survivors(REGULAR[:8])
    rates = curve.retention(np.arange(1, 13))
    assert (np.diff(rates) > 0).all()
    assert rates[0] == pytest.approx(curve.beta_ / (curve.alpha_ + curve.beta_))
    assert curve.churn(1) == pytest.approx(1 - rates[0])
