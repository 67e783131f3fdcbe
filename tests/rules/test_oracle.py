"""A whole company whose true chances are known: `fit`, `risk` and `value` come near what can be known at all, and where
there is nothing to know nothing is claimed. The large version, with every month within 5 %: benchmarks/bench_oracle.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tenure
from tenure.app.fitting import Fitted
from tenure.app.model_health import model_health
from tenure.predict.calibration import Curve, calibrate
from tenure.predict.calibration_now import level_now, moved, stretched
from tenure.predict.features_refused import auc
from tenure.predict.judging import judge
from tests.rules.known_company import LAST, KnownCompany, beside_the_oracle, simulate

MONTHS_TO_COME = 36


@pytest.fixture(scope="module")
def known() -> KnownCompany:
    return simulate(5_000, 14, seed=1, ahead=MONTHS_TO_COME)


@pytest.fixture(scope="module")
def shop(known: KnownCompany, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tenure.Workspace]:
    workspace = known.opened(tmp_path_factory.mktemp("oracle") / "shop")
    yield workspace
    workspace.close()


@pytest.fixture(scope="module")
def fitted(shop: tenure.Workspace) -> Fitted:
    (found,) = shop.fit(horizons=("30d",), since="2025-03", threads=1)
    return found


def test_on_months_not_seen_most_of_what_can_be_known_is_known(known: KnownCompany, fitted: Fitted) -> None:
    assert fitted.in_service, fitted.reason
    replayed = fitted.replayed
    assert replayed is not None
    truth = known.truths(replayed.cut_off, replayed.customer)
    assert auc(truth, replayed.left) >= 0.70
    (whole, *months) = beside_the_oracle(replayed, truth)
    assert whole.gain >= 0.8
    # What is left to chance is how many left in the months learned from: two standard errors of their count.
    luck = 2 / sum(origin.leavers for origin in replayed.origins) ** 0.5
    assert len(months) >= 3
    for one in (whole, *months):
        assert abs(one.true_to_said - 1) <= 0.05 + luck, one
        assert 0.9 <= one.slope <= 1.1, one


def test_the_list_of_today_expects_as_many_as_will_truly_leave(
    known: KnownCompany, shop: tenure.Workspace, fitted: Fitted
) -> None:
    rows = shop.risk(save=False, threads=1).table
    # Who has decided and told nobody is on the list too, and no truth of the month to come.
    there = set(known.chances[LAST][0].tolist())
    names = rows.column("customer_id").to_pylist()
    here = np.array([int(name[1:]) in there for name in names])
    said = np.asarray(rows.column("probability"))[here]
    truth = known.truth(LAST, np.array(names)[here])
    luck = 2 / fitted.trained.model.leavers_**0.5
    assert said.sum() == pytest.approx(truth.sum(), rel=0.05 + luck)
    assert np.corrcoef(np.log(said), np.log(truth))[0, 1] > 0.9


def test_nothing_is_said_to_have_moved_in_a_company_that_goes_on_as_before(
    shop: tenure.Workspace, fitted: Fitted
) -> None:
    (health,) = model_health(shop)
    assert fitted.in_service and health.is_fine and "no feature has moved far" in health.says


def test_what_everybody_is_worth_is_within_a_tenth_of_what_they_will_pay(
    known: KnownCompany, shop: tenure.Workspace
) -> None:
    (line,) = shop.value(months=MONTHS_TO_COME).lines
    paid = known.paid(MONTHS_TO_COME)
    truth = 0.8 * float(paid @ 1.1 ** (-np.arange(MONTHS_TO_COME) / 12)) / 100
    assert float(line.mrr) == pytest.approx(paid[0] / 100, rel=1e-9)
    assert float(line.value) == pytest.approx(truth, rel=0.10)


def test_where_all_have_one_chance_no_lift_is_claimed_and_nothing_serves(tmp_path: Path) -> None:
    known = simulate(3_000, 10, seed=2, strength=0.0)
    shop = known.opened(tmp_path / "null")
    (fitted,) = shop.fit(horizons=("30d",), since="2025-09", threads=1)
    assert not fitted.in_service and "not put into service" in fitted.reason
    assert fitted.replayed is not None
    lift = fitted.replayed.judge(draws=200)["model"]["top_decile_lift"]
    assert lift.low is not None and lift.high is not None and lift.low <= 1.0 <= lift.high
    risks = shop.risk(save=False, threads=1)
    assert not risks.in_service and "base rate" in risks.says[0]
    shop.close()


# ------------------------------------------------------------------------------------------------ what time tells


def counts(rng: np.random.Generator, levels: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Months of rows, each with chance 5 % times the month's level: time, left, expected."""
    time = np.repeat(np.arange(len(levels)), rows).astype(float)
    return (
        time,
        (rng.random(len(time)) < 0.05 * np.exp(levels[time.astype(int)])).astype(float),
        np.full(len(time), 0.05),
    )


def test_a_level_that_does_not_wander_is_that_of_all_months_and_one_that_wanders_is_followed() -> None:
    rng = np.random.default_rng(3)
    still, turned = [], []
    for _ in range(20):
        time, left, expected = counts(rng, np.full(18, 0.2), 2_000)
        still.append(level_now(time, left, expected, np.ones(len(time))))
        time, left, expected = counts(rng, np.where(np.arange(18) < 12, 0.0, 0.6), 2_000)
        turned.append(level_now(time, left, expected, np.ones(len(time))))
    # 18 months of 122 leavers: the last three alone would have an error of .052, all of them .021.
    assert np.mean(still) == pytest.approx(0.2, abs=0.03) and np.std(still) < 0.045
    assert np.mean(turned) == pytest.approx(0.6, abs=0.08)


def test_a_level_without_leavers_or_of_one_month_is_what_the_counts_say() -> None:
    ones = np.ones(1000)
    assert level_now(np.zeros(1000), np.zeros(1000), ones * 0.05, ones) == 0.0
    left = (np.arange(1000) < 100).astype(float)
    # (100 + 1/2) / (50 + 1/2)
    assert level_now(np.zeros(1000), left, ones * 0.05, ones) == pytest.approx(np.log(100.5 / 50.5))


def test_a_spread_that_no_longer_holds_is_drawn_in_and_one_that_holds_is_left() -> None:
    rng = np.random.default_rng(4)
    truth = 1 / (1 + np.exp(-rng.normal(-3, 1, 40_000)))
    odds = np.log(truth / (1 - truth))
    left = (rng.random(40_000) < truth).astype(float)
    same = Curve("platt", 1.0, 1.0, 0.0)
    weight = np.ones(len(truth))
    boastful = 1 / (1 + np.exp(-(-3 + 2 * (odds + 3))))
    right = stretched(same, left, boastful, weight).apply(boastful)
    told = judge(left, right, draws=20)
    assert told["calibration_slope"].value == pytest.approx(1.0, abs=0.05)
    assert stretched(same, left, truth, weight).apply(truth) == pytest.approx(truth, rel=0.1)


def test_steps_are_moved_as_a_curve_is() -> None:
    rng = np.random.default_rng(5)
    p = rng.random(5_000)
    left = (rng.random(5_000) < p**2).astype(float)
    steps = calibrate(left, p)
    by = moved(steps, 0.5, 0.9).apply(p)
    odds = np.log(steps.apply(p) / (1 - steps.apply(p)))
    assert by == pytest.approx(1 / (1 + np.exp(-(0.9 * odds + 0.5))), abs=0.01)
