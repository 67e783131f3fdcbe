"""A model written down says the same when it is read; what is at stake, what is told and what has moved, by hand."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tenure.errors import Damaged
from tenure.predict.at_stake import act_by, by_tenure
from tenure.predict.calibration import Curve, Rising
from tenure.predict.drift import MOVED, distribution, drift
from tenure.predict.features_catalogue import BY_NAME, of_trait
from tenure.predict.hazards import DiscreteHazard
from tenure.predict.reasons import Reason, sentence
from tenure.predict.stored_models import as_data, from_data

FEATURES = {
    name: BY_NAME[name]
    for name in (
        "silent_days", "usual_gap_days", "mrr", "open_tickets", "mrr_change_90d", "card_expires_days", "past_due",
        "nps", "plan", "discount_share",
    )
}  # fmt: skip


def learned(learner: str) -> tuple[DiscreteHazard, dict[str, Any], np.ndarray]:
    rng = np.random.default_rng(5)
    n = 3_000
    usage = rng.normal(size=n)
    X = {
        "usage": np.where(rng.random(n) < 0.05, np.nan, usage),
        "plan": np.array(["a", "b", None], dtype=object)[rng.integers(0, 3, n)],
        "city": np.array([f"city {i}" for i in rng.integers(0, 60, n)], dtype=object),
    }
    age = rng.integers(0, 24, n)
    left = rng.random(n) < 1 / (1 + np.exp(2.2 + 1.1 * usage))
    outcome = np.where(left, np.where(rng.random(n) < 0.5 + 0.2 * np.tanh(usage), "voluntary", "involuntary"), "")
    time = rng.integers(0, 12, n)
    return DiscreteHazard(learner=learner, threads=1).fit(X, age, outcome, time=time), X, age


@pytest.mark.parametrize("learner", ["boosted", "logistic", "tenure"])
def test_a_model_read_back_says_the_same_to_the_last_digit(learner: str) -> None:
    model, X, age = learned(learner)
    again = from_data(json.loads(json.dumps(as_data(model), allow_nan=False)), threads=1)
    assert np.array_equal(again.predict(X, age), model.predict(X, age))
    (names, parts), (names_again, parts_again) = model.contributions(X, age), again.contributions(X, age)
    assert names == names_again and np.allclose(parts, parts_again, rtol=1e-12, atol=1e-14)
    assert (again.chosen_, again.leavers_, again.why_) == (model.chosen_, model.leavers_, model.why_)


def test_every_way_of_putting_chances_right_is_kept() -> None:
    model, X, age = learned("tenure")
    steps = np.array([0.01, 0.2, 0.5])
    for calibrator in (Curve("beta", 1.1, 0.9, 0.2), Rising(steps, steps**2)):
        model.calibrator_ = calibrator
        again = from_data(json.loads(json.dumps(as_data(model))))
        assert np.array_equal(again.predict(X, age), model.predict(X, age))


def test_a_model_with_a_part_missing_or_strange_is_refused() -> None:
    model, _, _ = learned("boosted")
    told = as_data(model)
    for change in ({"format": 99}, {"learner": {"kind": "pickle"}}, {"shares": None}):
        with pytest.raises(Damaged, match="tenure fit"):
            from_data(told | change)
    trees = dict(told["learner"], trees="no trees at all")
    with pytest.raises(Damaged, match="trees"):
        from_data(told | {"learner": trees})


def test_looks_at_the_past_are_worth_what_customers_of_that_tenure_are_worth_today() -> None:
    class Told:
        def worth_by_tenure(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
            return np.array([0.0, 10.0]), np.array([2.0, 4.0])

    told: Any = Told()
    # 160 days are 5 completed months: half way from 2 to 4 months' pay, of 100 at a margin of .8; beyond 10 the last.
    assert by_tenure(told, [100.0] * 3, [0.0, 160.0, 5000.0], 0.8) == pytest.approx([160.0, 240.0, 320.0])


@pytest.mark.parametrize(
    ("renewal", "days", "lead", "expected"),
    [
        (20, 30, 7, "2026-06-13"),  # before the renewal
        (40, 30, 7, "2026-06-23"),  # none within the horizon: before its end
        (3, 30, 7, "2026-05-31"),  # today: the renewal is too near
        (None, 90, 0, "2026-08-29"),
    ],
)
def test_the_day_to_act_by_leaves_time_to_act(renewal: float | None, days: int, lead: int, expected: str) -> None:
    assert act_by(date(2026, 5, 31), renewal, days, lead) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("name", "value", "english", "thai"),
    [
        ("silent_days", 19.0, "no login for 19 days; usually every 2", "ไม่ได้เข้าใช้งาน 19 วัน ปกติทุก 2 วัน"),
        ("mrr", 4900.0, "pays 49.00 USD a month", "จ่ายเดือนละ 49.00 USD"),
        ("open_tickets", 1.0, "1 ticket open", "มีเรื่องค้าง 1 เรื่อง"),
        ("open_tickets", 0.0, "no ticket is open", "ไม่มีเรื่องค้าง"),
        ("mrr_change_90d", -0.25, "pays 25 % less than 90 days ago", "จ่ายลดลง 25 % จาก 90 วันก่อน"),
        ("card_expires_days", -1.0, "the card expired 1 day ago", "บัตรหมดอายุไปแล้ว 1 วัน"),
        ("past_due", 1.0, "a payment is overdue", "มียอดค้างชำระ"),
        ("nps", None, "nothing known of what they told us", "ไม่มีข้อมูล: ความเห็นจากแบบสำรวจ"),
        ("plan", "Team {x}", "on the plan Team {x}", "ใช้แพ็กเกจ Team {x}"),
    ],
)
def test_a_fact_is_told_in_plain_words(name: str, value: float | str | None, english: str, thai: str) -> None:
    others = {"usual_gap_days": 2.2}
    fact = Reason(name, value, 0.5)
    assert sentence(fact, FEATURES, others, "en", "USD") == english
    assert sentence(fact, FEATURES, others, "th", "USD") == thai


def test_silence_without_a_habit_is_told_without_one() -> None:
    assert sentence(Reason("silent_days", 1.0, 0.5), FEATURES, {}, "en") == "no login for 1 day"
    assert sentence(Reason("trait:size", "x", 0.5), {"trait:size": of_trait("size", True)}, {}, "en") == "size is x"


def test_a_feature_that_has_moved_is_named_and_one_that_has_not_is_not() -> None:
    rng = np.random.default_rng(2)
    features = (BY_NAME["use_28d"], BY_NAME["tickets_90d"], BY_NAME["plan"])
    plans = np.array(["a", "b", "c"])

    def table(shift: float, plan: list[float]) -> pa.Table:
        return pa.table(
            {
                "use_28d": rng.normal(10 + shift, 2, 4000),
                "tickets_90d": pa.array(rng.poisson(1.0, 4000).astype(float), mask=rng.random(4000) < 0.1),
                "plan": plans[rng.choice(3, 4000, p=plan)].tolist(),
            }
        )

    then = distribution(table(0.0, [0.5, 0.3, 0.2]), features)
    still = drift(then, table(0.0, [0.5, 0.3, 0.2]), features)
    assert max(still.values()) < 0.02
    moved = drift(then, table(3.0, [0.1, 0.3, 0.6]), features)
    assert list(moved)[:2] == sorted(("use_28d", "plan"), key=lambda name: -moved[name])
    assert moved["use_28d"] > MOVED and moved["plan"] > MOVED and moved["tickets_90d"] < 0.02
    # By hand: shares .5 .3 .2 to .1 .3 .6, PSI = .4 ln 5 + .4 ln 3, but for the sampling.
    assert moved["plan"] == pytest.approx(0.4 * np.log(5) + 0.4 * np.log(3), abs=0.12)


def test_what_every_month_has_its_own_of_is_no_drift_and_what_no_month_had_is() -> None:
    # Usage told on Sundays: on a month's first all have been silent for as many days, another number each month.
    features = (BY_NAME["silent_days"], BY_NAME["seats"])
    rng = np.random.default_rng(8)
    month = np.repeat(np.arange(12), 400)
    silent = (month * 2) % 7 + 7.0 * rng.integers(0, 3, len(month))
    seats = rng.integers(1, 30, len(month)).astype(float)
    then = distribution(pa.table({"silent_days": silent, "seats": seats, "month": month}), features)
    today = rng.integers(1, 30, 400).astype(float)
    weekday = 3 + 7.0 * rng.integers(0, 3, 400)
    still = drift(then, pa.table({"silent_days": weekday, "seats": today}), features)
    assert all(psi < MOVED / 2 for psi in still.values()), still
    pooled = {name: {**told, "by_month": []} for name, told in then.items()}
    assert drift(pooled, pa.table({"silent_days": weekday, "seats": today}), features)["silent_days"] > MOVED
    longer = drift(then, pa.table({"silent_days": weekday + 14, "seats": today * 2}), features)
    assert all(psi > MOVED for psi in longer.values()), longer
