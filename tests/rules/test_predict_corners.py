"""What do purchase models and retention curves do with data that cannot be, or that hold too little for them?

Impossible data end in a message that names the row; data with too little in them in the simplest model that holds,
with a note that says which.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tenure.errors import BadInput, CannotFit
from tenure.predict import (
    BetaDiscreteWeibull,
    BetaGeoBetaBinomial,
    BetaGeoNBD,
    GammaGamma,
    ModifiedBetaGeoNBD,
    ParetoNBD,
    ShiftedBetaGeometric,
)

BUYING = [BetaGeoNBD, ModifiedBetaGeoNBD, ParetoNBD]


def kinds(model: Any) -> list[str]:
    return [note.kind for note in model.notes_]


def uniform_days(x: np.ndarray, age: np.ndarray, seed: int) -> np.ndarray:
    """The day of the last of x purchases that fall anywhere within the age."""
    rng = np.random.default_rng(seed)
    return np.where(x > 0, age * rng.random(len(x)) ** (1 / np.maximum(x, 1)), 0.0)


@pytest.mark.parametrize("model", BUYING)
@pytest.mark.parametrize(
    ("history", "says"),
    [
        (([1, -1], [2, 0], [9, 9]), r"row 1 \(counted from 0\): frequency -1 is negative"),
        (([1, 1.5], [2, 3], [9, 9]), r"row 1 .*frequency 1.5 is not whole"),
        (([1, math.nan], [2, 3], [9, 9]), r"row 1 .*frequency nan is not a finite number"),
        (([0, 1], [0, 10], [9, 9]), r"row 1 .*recency 10 is more than age"),
        (([0, 1], [0, math.inf], [9, 9]), r"row 1 .*recency inf is not a finite number"),
        (
            ([2, 1], [0, 3], [9, 9]),
            r"row 0 .*frequency 2 with recency 0: count several purchases of the first day as one",
        ),
        (([0, 1], [4, 3], [9, 9]), r"row 0 .*recency 4 with frequency 0"),
        (([1, 1], [-2, 3], [9, 9]), r"row 0 .*recency -2 is negative"),
        (([1, 1, 1], [2, 3], [9, 9]), r"recency has 2 rows, the columns before it 3"),
        (([[1, 1]], [2, 3], [9, 9]), r"frequency has 2 dimensions"),
        ((["a", "b"], [2, 3], [9, 9]), r"frequency must be numbers"),
        (([10**8], [2], [9]), r"is more than anybody does"),
    ],
)
def test_an_impossible_history_is_refused_with_its_row(model: type[Any], history: tuple[Any, ...], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        model().fit(*history)


@pytest.mark.parametrize("model", BUYING)
@pytest.mark.parametrize(
    ("history", "says"),
    [
        (([], [], []), "there are no customers"),
        (([0, 0, 0], [0, 0, 0], [9, 8, 7]), "none of 3 customers bought again"),
        (([0, 0], [0, 0], [0, 0]), "nobody was watched for any time"),
    ],
)
def test_data_with_nothing_to_learn_say_so_and_what_to_do(
    model: type[Any], history: tuple[Any, ...], says: str
) -> None:
    with pytest.raises(CannotFit, match=says):
        model().fit(*history)


def test_more_wrong_rows_are_counted_and_weights_are_checked_too() -> None:
    with pytest.raises(BadInput, match=r"row 1 .*\(2 more rows like it\)"):
        BetaGeoNBD().fit([0, -1, -1, -3], [0, 0, 0, 0], [5, 5, 5, 5])
    with pytest.raises(BadInput, match=r"row 0 .*weights -1 is negative"):
        BetaGeoNBD().fit([1], [2.0], [5.0], weights=[-1])
    with pytest.raises(CannotFit, match="all weights are 0"):
        BetaGeoNBD().fit([1], [2.0], [5.0], weights=[0])


@pytest.mark.parametrize("model", BUYING)
def test_where_nobody_stops_and_all_buy_alike_the_model_becomes_poisson_and_says_so(model: type[Any]) -> None:
    rng = np.random.default_rng(1)
    age = rng.integers(50, 100, 3000).astype(float)
    x = rng.poisson(0.1 * age)
    t_x = uniform_days(x, age, 3)
    fitted = model().fit(x, t_x, age)
    assert fitted.converged_
    assert kinds(fitted) == ["edge", "edge"]
    assert any("nobody is seen to have stopped" in note.text for note in fitted.notes_)
    assert any("Poisson" in note.text for note in fitted.notes_)
    rate = x.sum() / age.sum()
    assert fitted.expected_purchases([1.0, 100.0]) == pytest.approx([rate, 100 * rate], rel=1e-4)
    assert fitted.conditional_expected_purchases(10.0, x, t_x, age) == pytest.approx(np.full(3000, 10 * rate), rel=1e-4)
    assert fitted.probability_alive(x, t_x, age) == pytest.approx(np.ones(3000), abs=1e-6)
    # And its likelihood is Poisson's.
    assert fitted.log_likelihood_ == pytest.approx(x.sum() * math.log(rate) - rate * age.sum(), abs=0.6)
    assert math.isnan(fitted.standard_errors_["r"])
    assert fitted.interval()["r"] == (None, None)


@pytest.mark.parametrize("model", [ModifiedBetaGeoNBD, ParetoNBD])
def test_where_some_never_come_back_and_the_others_never_stop_the_model_says_so(model: type[Any]) -> None:
    rng = np.random.default_rng(2)
    age = rng.integers(50, 100, 3000).astype(float)
    x = np.where(rng.random(3000) < 0.3, 0, rng.poisson(rng.gamma(4.0, 0.05, 3000) * age))
    t_x = uniform_days(x, age, 3)
    fitted = model().fit(x, t_x, age)
    assert fitted.converged_
    if model is ParetoNBD:  # MBG/NBD has a top of its own here, close to that end
        assert any("the others hardly ever" in note.text for note in fitted.notes_)
    alive = fitted.probability_alive(x, t_x, age)
    assert alive[x > 0].mean() > 0.95
    assert alive.mean() == pytest.approx(0.7, abs=0.04)


@pytest.mark.parametrize("model", BUYING)
def test_where_nobody_stops_the_model_becomes_nbd_and_says_so(model: type[Any]) -> None:
    rng = np.random.default_rng(5)
    age = rng.integers(50, 100, 3000).astype(float)
    x = rng.poisson(rng.gamma(2.0, 0.05, 3000) * age)
    fitted = model().fit(x, uniform_days(x, age, 6), age)
    assert kinds(fitted) == ["edge"]
    low, high = fitted.interval()["r"]
    assert low < 2.0 < high


@pytest.mark.parametrize("model", BUYING)
@pytest.mark.parametrize(
    "history",
    [
        (np.full(50, 3), np.full(50, 20.0), np.full(50, 40.0)),
        (np.full(50, 3), np.full(50, 40.0), np.full(50, 40.0)),
        (np.ones(50), np.ones(50), np.full(50, 400.0)),
        ([2], [3.0], [10.0]),
    ],
    ids=["all alike", "all just bought", "once and long ago", "one customer"],
)
def test_constant_data_get_the_simplest_model_and_sane_answers(model: type[Any], history: tuple[Any, ...]) -> None:
    fitted = model().fit(*history)
    assert fitted.converged_
    assert "edge" in kinds(fitted)
    alive = fitted.probability_alive(*history)
    ahead = fitted.conditional_expected_purchases(5.0, *history)
    assert ((alive >= 0) & (alive <= 1)).all()
    assert ((ahead >= 0) & (ahead < 10)).all()


@pytest.mark.parametrize("model", BUYING)
def test_ten_customers_are_fitted_with_a_warning(model: type[Any]) -> None:
    history = [0, 0, 0, 1, 0, 2, 0, 5, 0, 1], [0, 0, 0, 3.0, 0, 20, 0, 38, 0, 9], [39.0] * 10
    fitted = model().fit(*history)
    assert kinds(fitted)[-1] == "few"
    assert "so few customers (10)" in fitted.notes_[-1].text
    assert 0 < fitted.expected_total(10.0, *history) < 10
    assert "note: so few customers" in fitted.summary()


def test_donors_who_all_give_or_all_give_once_get_the_simplest_model() -> None:
    always = BetaGeoBetaBinomial().fit([6] * 40, [6] * 40, [6] * 40)
    assert kinds(always) == ["edge", "edge"]
    assert always.conditional_expected_purchases(3, [6], [6], [6])[0] == pytest.approx(3, abs=1e-3)
    once = BetaGeoBetaBinomial().fit([1] * 40, [1] * 40, [6] * 40)
    assert "edge" in kinds(once)
    assert once.conditional_expected_purchases(3, [1], [1], [6])[0] < 0.1
    with pytest.raises(BadInput, match="frequency 3 is more than recency; there is one purchase per opportunity"):
        BetaGeoBetaBinomial().fit([3], [2], [6])
    with pytest.raises(BadInput, match=r"recency 2.5 is not whole"):
        BetaGeoBetaBinomial().fit([1], [2.5], [6])
    with pytest.raises(CannotFit, match="none of 2 customers"):
        BetaGeoBetaBinomial().fit([0, 0], [0, 0], [6, 6])


def test_values_that_cannot_be_or_do_not_differ_are_told() -> None:
    with pytest.raises(BadInput, match=r"row 1 .*frequency 0 leaves no mean value"):
        GammaGamma().fit([1, 0], [5.0, 3.0])
    with pytest.raises(BadInput, match=r"row 0 .*value -5 is not above 0"):
        GammaGamma().fit([1, 1], [-5.0, 3.0])
    with pytest.raises(CannotFit, match="every mean value is 20; no model is needed"):
        GammaGamma().fit([1, 2, 3], [20.0, 20.0, 20.0])
    with pytest.raises(CannotFit, match="there are no customers"):
        GammaGamma().fit([], [])
    spent = np.random.default_rng(4).gamma(2.0, 10.0, 900)
    alike = GammaGamma().fit(np.ones(900), spent)
    assert "customers do not differ in what they spend" in alike.notes_[0].text
    assert alike.mean == pytest.approx(spent.mean(), rel=1e-3)
    assert alike.expected_value([1, 50], [500.0, 20.0]) == pytest.approx([alike.mean] * 2, rel=1e-3)


def test_values_that_go_with_frequency_are_noticed() -> None:
    rng = np.random.default_rng(7)
    x = rng.integers(1, 12, 2000)
    related = GammaGamma().fit(x, rng.gamma(4.0, 2.0 * x))
    assert related.independence_.holds is False
    assert "related" in kinds(related)
    assert "correlated" in next(note.text for note in related.notes_ if note.kind == "related")
    free = GammaGamma().fit(x, rng.gamma(4.0, 8.0, 2000))
    assert free.independence_.holds
    assert "related" not in kinds(free)
    same = GammaGamma().fit(np.full(100, 3), rng.gamma(4.0, 8.0, 100))
    assert same.independence_ == (None, None, None)
    assert same.independence_.holds is None


@pytest.mark.parametrize("curve", [ShiftedBetaGeometric, BetaDiscreteWeibull])
def test_a_cohort_that_nobody_left_stays_at_one_with_what_may_hide_behind_it(curve: type[Any]) -> None:
    fitted = curve().fit_survivors([100, 100, 100])
    assert fitted.survival([0, 1, 2, 50]) == pytest.approx([1, 1, 1, 1], abs=1e-9)
    assert "up to 1.49% per renewal" in fitted.notes_[0].text
    assert abs(0.985**200 - 0.05) < 0.002


@pytest.mark.parametrize("curve", [ShiftedBetaGeometric, BetaDiscreteWeibull])
def test_a_cohort_that_all_left_at_once_is_gone(curve: type[Any]) -> None:
    fitted = curve().fit_survivors([100, 0])
    assert fitted.survival([0, 1, 2]) == pytest.approx([1, 0, 0], abs=1e-9)
    assert "everybody left at the first renewal" in fitted.notes_[0].text


@pytest.mark.parametrize("curve", [ShiftedBetaGeometric, BetaDiscreteWeibull])
def test_a_cohort_that_halves_every_time_has_one_rate(curve: type[Any]) -> None:
    fitted = curve().fit_survivors([800, 400, 200, 100, 50, 25])
    assert any("customers do not differ in the chance to leave" in note.text for note in fitted.notes_)
    assert fitted.retention([1, 5, 30]) == pytest.approx([0.5, 0.5, 0.5], abs=1e-3)


def test_one_renewal_does_not_tell_two_parameters_and_the_fit_says_so() -> None:
    one = ShiftedBetaGeometric().fit_survivors([1000, 700])
    assert one.survival(1) == pytest.approx(0.7, abs=1e-3)
    assert kinds(one)
    two = BetaDiscreteWeibull().fit_survivors([1000, 700, 600])
    assert two.survival([1, 2]) == pytest.approx([0.7, 0.6], abs=2e-3)
    assert kinds(two)


def test_a_curve_refuses_what_cannot_be() -> None:
    with pytest.raises(BadInput, match=r"row 2 .*survivors 80 is more than the row before; nobody returns"):
        ShiftedBetaGeometric().fit_survivors([100, 70, 80])
    with pytest.raises(CannotFit, match="at least one renewal"):
        ShiftedBetaGeometric().fit_survivors([100])
    with pytest.raises(BadInput, match="nobody leaves before the first renewal"):
        ShiftedBetaGeometric().fit([0, 1], [True, False])
    with pytest.raises(BadInput, match="entry 3 is after `periods`"):
        ShiftedBetaGeometric().fit([2, 5], [False, True], entry=[3, 0])
    with pytest.raises(CannotFit, match="nobody has come up for a renewal"):
        ShiftedBetaGeometric().fit([0, 0], [False, False])
    with pytest.raises(BadInput, match="churned 2 is neither true nor false"):
        ShiftedBetaGeometric().fit([1, 1], [2, 0])
    curve = ShiftedBetaGeometric.of(alpha=1.0, beta=3.0)
    with pytest.raises(BadInput, match="renewals are counted from 1"):
        curve.retention(0)
    with pytest.raises(BadInput, match="name a horizon"):
        curve.discounted_lifetime(0.0)
    with pytest.raises(BadInput, match="t counts renewals"):
        curve.survival(1.5)


def test_a_curve_from_customers_is_the_curve_from_survivors() -> None:
    survivors = [1000, 869, 743, 653, 593, 551, 517, 491]
    lost = -np.diff(survivors)
    periods = np.concatenate([np.repeat(np.arange(1, 8), lost), np.full(491, 7)])
    churned = np.concatenate([np.ones(lost.sum(), bool), np.zeros(491, bool)])
    one, other = ShiftedBetaGeometric().fit_survivors(survivors), ShiftedBetaGeometric().fit(periods, churned)
    assert one.log_likelihood_ == pytest.approx(other.log_likelihood_, rel=1e-12)
    assert one.parameters_ == pytest.approx(other.parameters_)


def test_a_model_without_parameters_or_with_wrong_ones_says_what_to_do() -> None:
    with pytest.raises(BadInput, match=r"this BetaGeoNBD has no parameters yet; call fit\(...\) first"):
        BetaGeoNBD().probability_alive([1], [2.0], [5.0])
    with pytest.raises(BadInput, match="takes r, alpha, a, b"):
        BetaGeoNBD.of(r=1.0)
    with pytest.raises(BadInput, match=r"alpha is -1.0; every parameter"):
        BetaGeoNBD.of(r=1.0, alpha=-1.0, a=1.0, b=1.0)
    with pytest.raises(BadInput, match="nothing was fitted"):
        BetaGeoNBD.of(r=1.0, alpha=1.0, a=1.0, b=1.0).plot()
    with pytest.raises(BadInput, match="discount_rate is 0"):
        ParetoNBD.of(r=1.0, alpha=1.0, s=1.0, beta=1.0).discounted_purchases(0, [1], [2.0], [5.0])
    with pytest.raises(BadInput, match="t is a length of time"):
        ParetoNBD.of(r=1.0, alpha=1.0, s=1.0, beta=1.0).expected_purchases(-3)


def test_purchase_models_are_imported_when_they_are_asked_for_and_know_no_store() -> None:
    import subprocess
    import sys

    code = (
        "import sys, tenure.predict as p\n"
        "assert 'numpy' not in sys.modules\n"
        "p.BetaGeoNBD, p.ParetoNBD, p.GammaGamma, p.BetaGeoBetaBinomial, p.ShiftedBetaGeometric\n"
        "assert not {'duckdb', 'deltalake', 'pyarrow', 'altair', 'tenure.lake'} & set(sys.modules)\n"
        "assert set(p.__all__) <= set(dir(p))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
