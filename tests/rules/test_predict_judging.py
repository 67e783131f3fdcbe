"""Figures that judge predictions agree with peers and with sums written out, and their intervals hold what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from tenure.errors import BadInput, UnknownName
from tenure.predict import judging
from tenure.predict.baselines import BaseRate, RecencyOnly, put_into_service
from tenure.predict.calibration import beta, calibrate, isotonic, level, platt
from tenure.predict.judging import FIGURES, judge, log_losses, reliability
from tenure.predict.profit import Campaign, empc

metrics = pytest.importorskip("sklearn.metrics")


def customers(n: int, seed: int, grain: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Who left, and the true chance of it; with `grain` only so many different chances."""
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 4, n)
    p = np.clip(np.round(p * grain) / grain, 0.01, 0.99) if grain else p
    return (rng.random(n) < p).astype(float), p


def test_the_classical_figures_are_those_of_scikit_learn() -> None:
    for grain in (0, 12):
        y, p = customers(2000, 1, grain)
        told = judge(y, p, draws=5)
        assert told["auc"].value == pytest.approx(metrics.roc_auc_score(y, p), abs=1e-12)
        assert told["pr_auc"].value == pytest.approx(metrics.average_precision_score(y, p), abs=1e-12)
        assert told["log_loss"].value == pytest.approx(metrics.log_loss(y, p), abs=1e-12)
        assert told["brier"].value == pytest.approx(metrics.brier_score_loss(y, p), abs=1e-12)


def test_weights_count_as_so_many_rows() -> None:
    y, p = customers(300, 2, 20)
    weight = np.random.default_rng(0).integers(0, 4, 300)
    once, repeated = judge(y, p, weight=weight, draws=2), judge(np.repeat(y, weight), np.repeat(p, weight), draws=2)
    assert {name: each.value for name, each in once.items()} == pytest.approx(
        {name: each.value for name, each in repeated.items()}
    )
    assert once["auc"].value == pytest.approx(metrics.roc_auc_score(y, p, sample_weight=weight))


def test_calibration_is_the_logistic_regression_on_what_was_said() -> None:
    y, p = customers(4000, 3)
    odds = np.log(p / (1 - p))
    too_sure = 1 / (1 + np.exp(-(0.3 + 2.0 * odds)))
    told = judge(y, too_sure, draws=2)
    # log odds of the truth = (said - 0.3) / 2: the slope is about a half.
    assert 0.44 < (told["calibration_slope"].value or 0) < 0.56
    from scipy.optimize import minimize

    said = 0.3 + 2.0 * odds
    peer = minimize(lambda b: np.logaddexp(0, -(2 * y - 1) * (b[0] + b[1] * said)).sum(), [0.0, 1.0], method="BFGS").x
    assert told["calibration_slope"].value == pytest.approx(peer[1], abs=1e-4)
    level_only = minimize(lambda b: np.logaddexp(0, -(2 * y - 1) * (b[0] + said)).sum(), [0.0], method="BFGS").x
    assert told["calibration_intercept"].value == pytest.approx(level_only[0], abs=1e-4)
    assert told["observed_to_expected"].value == pytest.approx(y.sum() / too_sure.sum())


def test_the_top_decile_counts_ties_at_its_edge_in_part() -> None:
    # 20 customers, the top tenth are 2; one clear first who left, then 4 alike of whom 2 left: 1 + 1 x 2/4 leavers.
    y = np.array([1, 1, 1, 0, 0] + [0] * 14 + [1], dtype=float)
    p = np.array([0.9] + [0.5] * 4 + [0.1] * 15)
    # 1.5 of 4 leavers are among a tenth of the customers.
    assert judge(y, p, draws=2)["top_decile_lift"].value == pytest.approx(1.5 / 4 / 0.1)


@pytest.mark.parametrize("campaign", [Campaign(), Campaign(2, 3, 90, 20, 5), Campaign(6, 14, 200, 0, 0)])
def test_expected_maximum_profit_is_that_of_empulse(campaign: Campaign) -> None:
    peer = pytest.importorskip("empulse.metrics", reason="the oracle is in the test extra: pip install 'tenure[test]'")
    for grain in (0, 15):
        y, p = customers(700, 4, grain)
        costs = {
            "alpha": campaign.alpha,
            "beta": campaign.beta,
            "clv": campaign.value,
            "incentive_cost": campaign.offer_cost,
            "contact_cost": campaign.contact_cost,
        }
        assert empc(y, p, campaign).profit == pytest.approx(peer.empc_score(y.astype(int), p, **costs), abs=1e-9)
        rate = peer.empc_score.optimal_rate(y.astype(int), p, **costs)
        assert empc(y, p, campaign).contacted == pytest.approx(rate, abs=1e-9)


def test_expected_maximum_profit_is_the_best_cut_off_averaged_over_acceptance() -> None:
    y, p = customers(60, 5)
    plan = Campaign()
    order = np.argsort(-p)

    def best(gamma: float) -> float:
        each = np.where(y[order] > 0, gamma * (plan.value - plan.offer_cost), -plan.offer_cost) - plan.contact_cost
        return max(0.0, float(np.cumsum(each).max())) / len(y)

    density = math.gamma(20) / math.gamma(6) / math.gamma(14)
    whole, _ = quad(lambda g: best(g) * density * g**5 * (1 - g) ** 13, 0, 1, limit=500)
    assert empc(y, p).profit == pytest.approx(whole, rel=1e-5)
    assert empc([1, 0, 1, 0], [0.5] * 4).profit == pytest.approx(empc([1, 0], [0.1, 0.1]).profit)
    with pytest.raises(BadInput, match="customers who left and customers who stayed"):
        empc([1, 1], [0.1, 0.2])


def test_money_saved_within_a_budget_is_what_the_contacts_would_have_brought() -> None:
    # Acceptance .3; a leaver worth 200 brings .3 x 190 - 1 = 56, one who stays costs 11; 10 customers, 2 contacts.
    y, p = np.array([1, 0, 1, 0, 0, 0, 0, 0, 0, 0.0]), np.linspace(0.9, 0.1, 10)
    told = judge(y, p, budgets=(0.2, 0.3, 1.0), draws=2)
    assert told["saved_0.2"].value == pytest.approx((56 - 11) / 10)
    assert told["saved_0.3"].value == pytest.approx((56 - 11 + 56) / 10)
    assert told["saved_1"].value == pytest.approx((2 * 56 - 8 * 11) / 10)
    # The second is worth so much more that it is contacted first, and it stayed: 1 contact brings -11.
    rich = np.full(10, 200.0)
    rich[1] = 2000
    assert judge(y, p, value=rich, budgets=(0.1,), draws=2)["saved_0.1"].value == pytest.approx(-11 / 10)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    # With the true chances slope is 1, observed to expected 1, and the Brier score's mean is known.
    held = {"calibration_slope": 0, "observed_to_expected": 0, "brier": 0, "auc": 0}
    reference_y, reference_p = customers(400_000, 99)
    truth = {
        "calibration_slope": 1.0,
        "observed_to_expected": 1.0,
        "brier": float((reference_p * (1 - reference_p)).mean()),
        "auc": metrics.roc_auc_score(reference_y, reference_p),
    }
    for seed in range(60):
        told = judge(*customers(400, seed), draws=120, seed=seed)
        for name in held:
            low, high = told[name].low, told[name].high
            held[name] += low is not None and high is not None and low <= truth[name] <= high
    # 57 of 60 expected, standard deviation 1.7; percentile intervals of 400 customers are a little short.
    assert all(51 <= each <= 60 for each in held.values()), held


def test_cut_into_groups_a_large_base_gives_nearly_the_width_of_every_score() -> None:
    y, p = customers(6000, 7)
    fast = judge(y, p, draws=300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "_CELLS", 10**6)
        exact = judge(y, p, draws=300)
    for name in exact:
        assert fast[name].value == exact[name].value
        wide = (exact[name].high or 0) - (exact[name].low or 0)
        assert (fast[name].low or 0) == pytest.approx(exact[name].low or 0, abs=0.15 * wide)
        assert (fast[name].high or 0) == pytest.approx(exact[name].high or 0, abs=0.15 * wide)


def test_customers_with_many_rows_are_drawn_whole_and_make_intervals_wider() -> None:
    y, p = customers(300, 8)
    alone = judge(y, p, draws=300)
    y, p, who = np.repeat(y, 9), np.repeat(p, 9), np.repeat(np.arange(300), 9)
    told, naive = judge(y, p, customer=who, draws=300), judge(y, p, draws=300)

    def width(each: judging.Figure) -> float:
        return (each.high or 0) - (each.low or 0)

    assert width(told["brier"]) == pytest.approx(width(alone["brier"]), rel=0.25)
    assert width(naive["brier"]) < 0.5 * width(told["brier"])


def test_where_nobody_left_figures_of_ranking_say_so_and_losses_stand() -> None:
    told = judge(np.zeros(50), np.full(50, 0.1), draws=10)
    for name in ("auc", "pr_auc", "top_decile_lift", "empc", "calibration_slope"):
        assert told[name] == (None, None, None, "nobody left among those judged"), name
    assert told["brier"].value == pytest.approx(0.01)
    assert told["saved_0.1"].value == pytest.approx(-1.1)
    everybody = judge(np.ones(50), np.full(50, 0.9), draws=10)
    assert everybody["auc"].reason == "everybody left among those judged"
    y, _ = customers(200, 9)
    assert judge(y, np.full(200, 0.2), draws=10)["calibration_slope"].reason == "the probabilities are all the same"


def test_every_figure_has_an_explanation_and_a_name_that_is_found() -> None:
    told = judge(*customers(100, 10), draws=10)
    rows = told.rows()
    assert {row["figure"] for row in rows} == set(told) and all(row["says"] for row in rows)
    assert set(FIGURES) - {"saved"} <= set(told) and len(told) == len(FIGURES) - 1 + 4
    assert all((row["low"] or 0) <= (row["value"] or 0) <= (row["high"] or 0) for row in rows)
    with pytest.raises(UnknownName, match="Did you mean 'auc'"):
        told["aucc"]


def test_bad_probabilities_are_refused() -> None:
    for left, said, match in (
        ([0, 1], [0.1, 1.2], "between 0 and 1"),
        ([0, 2], [0.1, 0.2], "true or false"),
        ([0, 1], [0.1, math.nan], "unknown for 1 of 2"),
        ([], [], "nobody to judge"),
        ([0, 1], [0.1], "one probability per row"),
    ):
        with pytest.raises(BadInput, match=match):
            judge(left, said)
    with pytest.raises(BadInput, match="contact budget"):
        judge([0, 1], [0.1, 0.2], budgets=(5,))


def test_reliability_shows_what_was_said_beside_what_happened() -> None:
    y, p = customers(5000, 11)
    groups = reliability(y, p)
    assert len(groups) == 10 and sum(each.customers for each in groups) == 5000
    assert [each.said for each in groups] == sorted(each.said for each in groups)
    inside = sum((each.low or 0) <= each.said <= (each.high or 1) for each in groups)
    assert inside >= 8
    assert len(reliability([0, 1, 1], [0.2, 0.2, 0.7])) == 2


# ---------------------------------------------------------------------------------------------------------------------
# Calibration


@pytest.mark.parametrize("kind", [level, platt, beta, isotonic])
def test_each_calibration_brings_the_sum_right_and_never_turns_the_ranking_around(kind: object) -> None:
    y, p = customers(20_000, 12)
    wrong = p**2
    told = kind(y, wrong, np.ones(len(y)))  # type: ignore[operator]
    right = told.apply(wrong)
    assert right.mean() == pytest.approx(y.mean(), rel=0.02)
    assert (np.diff(told.apply(np.linspace(0.001, 0.999, 200))) >= -1e-12).all()
    assert right.min() > 0 and right.max() < 1
    assert log_losses(y, right).mean() < log_losses(y, wrong).mean()


def test_a_kink_that_no_curve_has_is_met_by_rising_steps_and_a_line_by_platts() -> None:
    rng = np.random.default_rng(13)
    p = rng.uniform(0, 1, 30_000)
    kinked = (rng.random(30_000) < np.where(p < 0.5, 0.1, np.where(p < 0.6, 0.8, 0.85))).astype(float)
    assert calibrate(kinked, p).kind == "isotonic"
    straight = (rng.random(30_000) < 1 / (1 + np.exp(-(0.5 * np.log(p / (1 - p)) - 1)))).astype(float)
    found = calibrate(straight, p)
    assert found.kind == "platt" and found.a == pytest.approx(0.5, abs=0.03)  # type: ignore[attr-defined]
    assert calibrate(straight[:100], p[:100]).kind in ("level", "platt")
    few = np.zeros(1000)
    few[:10] = 1
    assert calibrate(few, p[:1000]).kind == "level"
    against = calibrate(1 - straight[:400], p[:400])
    assert against.kind == "level"


# ---------------------------------------------------------------------------------------------------------------------
# Baselines, and the rule


def test_the_base_rate_is_never_certain_and_recency_says_more_where_it_matters() -> None:
    assert BaseRate().fit(np.zeros(9)).predict(2).tolist() == [0.05, 0.05]
    rng = np.random.default_rng(14)
    days = rng.exponential(20, 5000)
    y = (rng.random(5000) < np.clip(days / 100, 0.02, 0.9)).astype(float)
    recency = RecencyOnly().fit(days, y)
    told = recency.predict([0.1, 10, 80, np.nan])
    assert told[0] < told[1] < told[2] and told[3] == pytest.approx(y.mean(), abs=1e-3)
    base = BaseRate().fit(y).predict(5000)
    verdict = put_into_service(y, recency.predict(days), {"base rate": base})
    assert verdict.in_service and "base rate" in verdict.reason


@pytest.mark.parametrize(("noise", "serves"), [(0.0, True), (3.0, False)])
def test_a_model_that_does_not_beat_the_baselines_is_not_put_into_service(noise: float, serves: bool) -> None:
    y, p = customers(3000, 15)
    odds = np.log(p / (1 - p)) + noise * np.random.default_rng(0).normal(size=3000)
    verdict = put_into_service(y, 1 / (1 + np.exp(-odds)), {"base rate": np.full(3000, y.mean())}, draws=500)
    assert verdict.in_service is serves
    difference = verdict.difference["base rate"]
    assert (difference.high or 0) < 0 if serves else (difference.high or 0) >= 0
    assert ("not put into service" in verdict.reason) is not serves


def test_a_model_that_only_repeats_the_baseline_is_not_put_into_service() -> None:
    y, p = customers(500, 16)
    verdict = put_into_service(y, p, {"the same": p, "base rate": np.full(500, y.mean())}, draws=200)
    assert not verdict.in_service and "the same" in verdict.reason and "base rate" not in verdict.reason


@given(st.integers(0, 1000), st.integers(2, 40))
def test_groups_hold_whole_scores_in_rising_order(seed: int, most: int) -> None:
    score = np.random.default_rng(seed).integers(0, 60, 200).astype(float)
    group = judging._groups(score, most)
    assert group.max() + 1 <= min(most, len(np.unique(score)))
    order = np.argsort(score, kind="stable")
    assert (np.diff(group[order]) >= 0).all() and (np.diff(group[order])[np.diff(score[order]) == 0] == 0).all()
