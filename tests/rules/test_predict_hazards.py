"""The chance to leave is learned where it can be, and where it cannot the simplest model stands and says why."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad

from tenure.errors import BadInput, CannotFit
from tenure.predict import DiscreteHazard
from tenure.predict.encoding import Encoder, columns
from tenure.predict.hazards import Split, person_periods
from tenure.predict.judging import judge, log_losses
from tenure.predict.learners import ByTenure, Logistic, log_likelihood, ridge_logistic
from tests.rules.known_hazards import Known, simulate

RULES = {"usage": -1, "tickets": 1, "failed": 1}


def learned(known: Known, **options: object) -> DiscreteHazard:
    model = DiscreteHazard(RULES, threads=1, **options)  # type: ignore[arg-type]
    return model.fit(known.X, known.age, known.outcome, time=known.month, customer=known.customer)


@pytest.fixture(scope="module")
def known() -> Known:
    return simulate(9000, 18, seed=1)


@pytest.fixture(scope="module")
def past(known: Known) -> Known:
    return known.where(known.month < 14)


@pytest.fixture(scope="module")
def later(known: Known) -> Known:
    return known.where(known.month >= 14)


@pytest.fixture(scope="module")
def model(past: Known) -> DiscreteHazard:
    return learned(past)


# ---------------------------------------------------------------------------------------------------------------------
# A world whose truth we chose


def test_on_later_months_most_of_what_can_be_known_is_known(model: DiscreteHazard, past: Known, later: Known) -> None:
    y, truth = later.left.astype(float), later.truth.sum(axis=1)
    said = model.predict_leaving(later.X, later.age)
    oracle = judge(y, truth, draws=2)
    assert (oracle["auc"].value or 0) >= 0.70

    def loss(p: np.ndarray) -> float:
        return float(log_losses(y, p).mean())

    base = np.full(len(y), past.left.mean())
    assert loss(base) - loss(said) >= 0.8 * (loss(base) - loss(truth))
    told = judge(y, said, customer=later.customer, draws=100)
    assert 0.9 <= (told["calibration_slope"].value or 0) <= 1.1
    # Against the true chances, which know no luck of the draw.
    assert said.mean() == pytest.approx(truth.mean(), rel=0.05)
    for month in np.unique(later.month):
        here = later.month == month
        one = judge(y[here], said[here], draws=100)
        assert (one["calibration_slope"].low or 9) <= 1.1 and (one["calibration_slope"].high or 0) >= 0.9
        assert said[here].mean() == pytest.approx(truth[here].mean(), rel=0.08)
    assert model.chosen_ in ("boosted trees", "logistic") and model.judged_on_ == "later time" and not model.why_


def test_causes_share_the_chance_and_follow_their_own_truth(model: DiscreteHazard, later: Known) -> None:
    said = model.predict(later.X, later.age)
    assert said.sum(axis=1) == pytest.approx(model.predict_leaving(later.X, later.age), abs=1e-12)
    assert (said >= 0).all() and said[:, 2].max() < 0.01
    for cause in (0, 1):
        assert said[:, cause].mean() == pytest.approx(later.truth[:, cause].mean(), rel=0.15)
        assert np.corrcoef(said[:, cause], later.truth[:, cause])[0, 1] > 0.8


def test_several_periods_are_the_periods_one_after_another(model: DiscreteHazard, later: Known) -> None:
    X = {name: column[:50] for name, column in later.X.items()}
    age = np.arange(50.0) % 7
    here, by_hand = np.ones(50), np.zeros((50, 3))
    for ahead in range(3):
        now = model.predict(X, np.minimum(age + ahead, model.oldest_))
        by_hand += here[:, None] * now
        here = here * (1 - now.sum(axis=1))
    assert model.predict(X, age, horizon=3) == pytest.approx(by_hand, abs=1e-12)
    assert model.predict_survival(X, age, [1, 3])[:, 1] == pytest.approx(here, abs=1e-12)
    with pytest.raises(BadInput, match="whole number of periods"):
        model.predict(X, age, horizon=0)


@pytest.mark.parametrize("learner", ["boosted", "logistic"])
def test_what_may_only_raise_the_chance_never_lowers_it_and_parts_sum_to_the_score(past: Known, learner: str) -> None:
    some = past.where(past.customer < 3000)
    model = learned(some, learner=learner)
    X = {name: column[:200].copy() for name, column in some.X.items()}
    age = some.age[:200]
    before = model.predict_leaving(X, age)
    names, parts = model.contributions(X, age)
    assert set(names) == {*some.X, "tenure", "level"}
    odds = model.model_.odds(model.encoder_.transform(columns(X)), age)
    assert parts.sum(axis=1) == pytest.approx(odds, abs=1e-9)
    reasons, grouped = model.contributions(X, age, groups={"usage": "how they use it", "tickets": "how they use it"})
    assert len(reasons) == len(names) - 1 and grouped.sum(axis=1) == pytest.approx(odds, abs=1e-9)
    assert grouped[:, reasons.index("how they use it")] == pytest.approx(
        parts[:, names.index("usage")] + parts[:, names.index("tickets")]
    )
    for name, way in RULES.items():
        moved = {**X, name: X[name] + 1.0}
        unknown = np.isnan(X[name])
        assert (way * (model.predict_leaving(moved, age) - before)[~unknown] >= -1e-9).all(), name


def test_in_a_world_without_effects_nothing_is_learned_and_no_lift_is_claimed() -> None:
    known = simulate(4000, 15, seed=5, strength=0.0)
    past, later = known.where(known.month < 11), known.where(known.month >= 11)
    model = learned(past)
    assert model.chosen_ == "base rate by tenure"
    assert "not surely better than the base rate by tenure on later time" in " ".join(model.why_)
    for learner in (
        model.predict_leaving(later.X, later.age),
        learned(past, learner="boosted").predict_leaving(later.X, later.age),
    ):
        told = judge(later.left, learner, customer=later.customer, draws=200)
        assert (told["top_decile_lift"].low or 9) <= 1.0 and (told["auc"].low or 9) <= 0.5


def test_weights_and_order_of_rows_count_as_they_should(past: Known) -> None:
    some = past.where(past.customer < 1500)
    weight = np.where(some.X["plan"] == "pro", 0.0, 1.0)
    without = some.where(some.X["plan"] != "pro")
    told = DiscreteHazard(learner="tenure").fit(some.X, some.age, some.outcome, weight=weight)
    other = DiscreteHazard(learner="tenure").fit(without.X, without.age, without.outcome)
    assert told.predict_leaving(some.X, some.age) == pytest.approx(other.predict_leaving(some.X, some.age), abs=0.02)
    again, before = learned(some), learned(some)
    assert (again.predict(some.X, some.age) == before.predict(some.X, some.age)).all()
    stored = pickle.loads(pickle.dumps(again))
    assert (stored.predict(some.X, some.age) == again.predict(some.X, some.age)).all()


# ---------------------------------------------------------------------------------------------------------------------
# Rows: who was watched over which period


@given(
    st.lists(st.tuples(st.integers(0, 36), st.integers(0, 36), st.sampled_from(["", "voluntary"])), min_size=1),
    st.data(),
)
def test_a_period_has_a_row_if_it_was_watched_from_its_start(
    lives: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    width = data.draw(st.sampled_from([0.5, 1.0, 2.0]))
    entry, end = ([fn(each[:2]) / 4 for each in lives] for fn in (min, max))
    cause = [each[2] for each in lives]
    rows = person_periods(end, cause, entry, width)
    for i, (begin, until, why) in enumerate(zip(entry, end, cause, strict=True)):
        own = rows.period[rows.customer == i].tolist()
        watched = [
            k
            for k in range(40)
            if begin <= k * width and ((k + 1) * width <= until or (why and k * width <= until < (k + 1) * width))
        ]
        assert own == watched
        outcomes = rows.outcome[rows.customer == i].tolist()
        assert outcomes == [why if why and k == int(until // width) else "" for k in watched]


def test_hazards_of_rows_with_late_entries_are_those_of_the_truth() -> None:
    rng = np.random.default_rng(0)
    life = rng.geometric(0.1, 60_000) - 0.5
    entry = rng.uniform(0, 15, 60_000)
    until = entry + rng.uniform(0, 12, 60_000)
    seen = np.minimum(life, until)
    met = life > entry
    cause = np.where(life == seen, "voluntary", "")[met]
    rows = person_periods(seen[met], cause, entry[met], watched_until=until[met])
    assert len(rows.period) < len(person_periods(seen[met], cause, entry[met]).period)
    # Who leaves counts in his own period, and every period watched counts: 0.1 in each.
    for period in (1, 3, 8, 14):
        here = rows.period == period
        assert (rows.outcome[here] != "").mean() == pytest.approx(0.1, abs=0.012), period


def test_lives_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadInput, match="nobody ends before he enters"):
        person_periods([1.0], [""], [2.0])
    with pytest.raises(BadInput, match="longer than 0"):
        person_periods([1.0], [""], width=0)
    assert len(person_periods([0.5], [""]).period) == 0


# ---------------------------------------------------------------------------------------------------------------------
# Where the data hold too little


def base(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"usage": rng.normal(size=n), "plan": rng.choice(["a", "b"], n)}


@pytest.mark.parametrize(
    ("n", "left", "says"),
    [
        (500, lambda rng, n: np.zeros(n), "nobody left"),
        (500, lambda rng, n: np.ones(n), "everybody left"),
        (10, lambda rng, n: np.arange(n) < 3, "only 3 left"),
        (500, lambda rng, n: np.arange(n) >= 6, "only 6 stayed"),
    ],
)
def test_where_too_few_left_or_stayed_the_base_rate_stands_and_says_why(n: int, left: object, says: str) -> None:
    y = left(np.random.default_rng(0), n)  # type: ignore[operator]
    model = DiscreteHazard().fit(base(n), np.arange(n) % 5, y.astype(bool))
    assert model.chosen_ == "base rate by tenure" and says in model.why_[0]
    said = model.predict(base(n), np.zeros(n))
    assert ((said > 0) & (said < 1)).all()
    assert said.sum(axis=1) == pytest.approx((y.sum() + 0.5) / (n + 1), rel=0.05)
    assert model.contributions(base(n), np.zeros(n))[0] == ("tenure", "level")


def test_constant_columns_are_named_and_left_out() -> None:
    rng = np.random.default_rng(1)
    X = {"usage": rng.normal(size=2000), "same": np.full(2000, 3.0), "one": np.array(["x"] * 2000)}
    y = rng.random(2000) < 1 / (1 + np.exp(1 - X["usage"]))
    model = DiscreteHazard(threads=1).fit(X, np.zeros(2000), y)
    assert model.left_out_ == ("same", "one") and "say nothing: same, one" in model.why_[0]
    assert model.chosen_ != "base rate by tenure"
    only = DiscreteHazard().fit({"same": X["same"]}, np.zeros(2000), y)
    assert only.chosen_ == "base rate by tenure" and "no column differs" in only.why_[1]


def test_one_class_in_a_fold_falls_back_to_what_still_holds() -> None:
    X, y = base(400), np.zeros(400, dtype=bool)
    y[:40] = True
    # Three customers have all rows between them that ended in leaving.
    who = np.where(y, np.arange(400) % 3, np.arange(400))
    X["usage"][:40] += 2
    model = DiscreteHazard(threads=1).fit(X, np.zeros(400), y, customer=np.where(y, 0, who))
    assert model.chosen_ == "base rate by tenure" and "a fold of customers has leavers only, or none" in model.why_[0]


def test_time_that_cannot_judge_leaves_it_to_other_customers() -> None:
    known = simulate(700, 8, seed=3)
    now = DiscreteHazard(threads=1).fit(known.X, known.age, known.outcome, time=np.full(len(known.age), 7))
    assert now.judged_on_ == "other customers" and "all rows are of one time" in now.why_[0]
    early = known.outcome.copy()
    early[known.month > 3] = ""
    none = DiscreteHazard(threads=1).fit(known.X, known.age, early, time=known.month, customer=known.customer)
    assert none.judged_on_ == "other customers" and "too few left (or stayed) before or after" in none.why_[0]


def test_unknown_values_are_learned_from_and_foretold() -> None:
    rng = np.random.default_rng(2)
    usage = rng.normal(size=4000)
    y = rng.random(4000) < 1 / (1 + np.exp(1.5 - usage))
    # Unknown mostly for those who leave: that it is unknown says something itself.
    X = {"usage": np.where(rng.random(4000) < np.where(y, 0.5, 0.05), np.nan, usage), "empty": np.full(4000, np.nan)}
    model = DiscreteHazard(threads=1).fit(X, np.zeros(4000), y)
    said = model.predict_leaving({"usage": [np.nan, 0.0], "empty": [np.nan, np.nan]}, [0, 0])
    assert said[0] > said[1] and np.isfinite(said).all()


def test_a_trait_of_a_hundred_thousand_values_tells_nothing_of_itself() -> None:
    rng = np.random.default_rng(3)
    n = 100_000
    X = {"usage": rng.normal(size=n), "street": np.array([f"s{i}" for i in range(n)])}
    y = (rng.random(n) < 1 / (1 + np.exp(2.5 - X["usage"]))).astype(float)
    encoder = Encoder()
    fold = rng.integers(0, 5, n)
    x = encoder.fit_transform(columns(X), y, fold)
    assert encoder.names_ == ("usage", "street: how common", "street: how others fared")
    # A value met once: nothing is known of it but that.
    assert np.abs(x[:, 2]).max() < 1e-12 and np.ptp(x[:, 1]) == 0.0
    some = np.arange(0, n, 10)
    model = DiscreteHazard(threads=1).fit({k: v[some] for k, v in X.items()}, np.zeros(len(some)), y[some])
    rest = np.arange(5, n, 10)
    told = judge(y[rest], model.predict_leaving({k: v[rest] for k, v in X.items()}, np.zeros(len(rest))), draws=2)
    assert 0.85 < (told["calibration_slope"].value or 0) < 1.15 and (told["auc"].value or 0) > 0.7


def test_a_trait_of_many_values_is_learned_from_other_customers_only() -> None:
    rng = np.random.default_rng(4)
    n, kinds = 20_000, 200
    effect, kind = rng.normal(0, 1, kinds), rng.integers(0, kinds, n)
    y = (rng.random(n) < 1 / (1 + np.exp(2 - effect[kind]))).astype(float)
    X = columns({"town": np.array([f"t{i}" for i in kind])})
    encoder = Encoder()
    x = encoder.fit_transform(X, y, rng.integers(0, 5, n))
    assert np.corrcoef(x[:, 1], effect[kind])[0, 1] > 0.8
    noise = (rng.random(n) < 0.1).astype(float)
    blind = Encoder().fit_transform(X, noise, rng.integers(0, 5, n))
    # Without an effect, others' fate says nothing of one's own; one's own would.
    assert abs(np.corrcoef(blind[:, 1], noise)[0, 1]) < 0.03
    assert encoder.transform(columns({"town": np.array(["never seen"])}))[0, 1] == 0.0
    with pytest.raises(BadInput, match=r"missing now: \['town'\]"):
        encoder.transform(columns({"village": np.array(["t1"])}))


def test_what_is_no_outcome_or_no_column_is_refused_by_name() -> None:
    X = base(50)
    with pytest.raises(BadInput, match=r"no causes of leaving: \['bored'\]"):
        DiscreteHazard().fit(X, np.zeros(50), ["bored"] * 50)
    with pytest.raises(BadInput, match=r"monotone names columns that X has not: \['tickets'\]"):
        DiscreteHazard({"tickets": 1}).fit(X, np.zeros(50), np.zeros(50))
    with pytest.raises(BadInput, match="turn dates into days since"):
        DiscreteHazard().fit({"day": np.array(["2026-01-01"] * 50, dtype="datetime64[D]")}, np.zeros(50), np.zeros(50))
    with pytest.raises(CannotFit, match="no customer was watched over a whole period"):
        DiscreteHazard().fit({"usage": np.empty(0)}, [], [])
    with pytest.raises(BadInput, match="call fit first"):
        DiscreteHazard().predict(X, np.zeros(50))
    with pytest.raises(BadInput, match="'best', 'boosted'"):
        DiscreteHazard(learner="deep")
    with pytest.raises(BadInput, match="raises"):
        DiscreteHazard({"usage": 2})


# ---------------------------------------------------------------------------------------------------------------------
# Parts


def test_gradients_are_the_slopes_of_what_is_climbed() -> None:
    rng = np.random.default_rng(6)
    design, weight = np.column_stack([rng.normal(size=(80, 4)), np.ones(80)]), rng.uniform(0.5, 2, 80)
    left, penalty = (rng.random(80) < 0.4).astype(float), np.array([3.0, 3, 3, 3, 0])
    at = rng.normal(size=5)
    off = check_grad(
        lambda b: log_likelihood(b, design, left, weight, penalty)[0],
        lambda b: log_likelihood(b, design, left, weight, penalty)[1],
        at,
    )
    assert off < 1e-4
    cause, split = rng.integers(0, 3, 80), Split(3)
    flat = rng.normal(size=15)
    off = check_grad(
        lambda b: split.loss(b, design, cause, weight)[0], lambda b: split.loss(b, design, cause, weight)[1], flat
    )
    assert off < 1e-4


def test_the_ridge_regression_is_that_of_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(7)
    x = rng.normal(size=(500, 4))
    left = (rng.random(500) < 1 / (1 + np.exp(1 - x[:, 0]))).astype(float)
    ours = ridge_logistic(np.column_stack([x, np.ones(500)]), left, np.ones(500), np.array([4.0, 4, 4, 4, 0]))
    peer = linear.LogisticRegression(C=0.25, tol=1e-10, max_iter=1000).fit(x, left)
    assert ours == pytest.approx([*peer.coef_[0], peer.intercept_[0]], abs=1e-5)


def test_a_weight_against_its_rule_is_left_out() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(3000, 2))
    left = (rng.random(3000) < 1 / (1 + np.exp(1 - x[:, 0] + x[:, 1]))).astype(float)
    age, ones, who = np.zeros(3000), np.ones(3000), np.arange(3000)
    obeys = Logistic([1, 1]).fit(x, age, left, ones, who)
    parts = obeys.parts(x, age)
    assert np.ptp(parts[:, 1]) == 0 and np.ptp(parts[:, 0]) > 1


def test_the_base_rate_follows_tenure_where_enough_left() -> None:
    rng = np.random.default_rng(9)
    age = rng.integers(0, 24, 20_000).astype(float)
    truth = np.where(age < 3, 0.2, 0.03)
    left = (rng.random(20_000) < truth).astype(float)
    model = ByTenure().fit(np.empty((20_000, 0)), age, left, np.ones(20_000), np.arange(20_000))
    said = 1 / (1 + np.exp(-model.odds(np.empty((2, 0)), np.array([1.0, 15.0]))))
    assert said == pytest.approx([0.2, 0.03], abs=0.035)
