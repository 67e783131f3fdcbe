"""Cox's model agrees with published figures, with lifelines, and with sums written out pair by pair."""

from __future__ import annotations

import itertools
import math
import pickle
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.errors import BadInput, CannotFit
from tenure.predict import Cox, cox
from tenure.predict.concordance import pairs, smaller_in_tail

lifelines = pytest.importorskip("lifelines", reason="the oracle is in the test extra: pip install 'tenure[test]'")
from lifelines import CoxPHFitter  # noqa: E402
from lifelines.datasets import load_rossi  # noqa: E402
from lifelines.utils import concordance_index  # noqa: E402


@pytest.fixture(autouse=True)
def numpy_as_lifelines_leaves_it() -> Iterator[None]:
    """lifelines switches numpy's floating-point warnings off for good, and warns of old ways of others."""
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def customers(n: int, seed: int, whole: bool = True, late: bool = False) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    t = rng.exponential(20 * np.exp(-x @ [0.6, -0.3, 0.0]))
    seen = rng.uniform(1, 40, n)
    end, left = np.minimum(t, seen), t <= seen
    entry = rng.uniform(0, 0.8, n) * end * (rng.random(n) < 0.5) if late else np.zeros(n)
    if whole:
        end, entry = np.ceil(end), np.floor(entry)
    return x, end, left, entry


def by_hand(x: np.ndarray, end: np.ndarray, left: np.ndarray, entry: np.ndarray, b: np.ndarray, efron: bool) -> float:
    """The partial log-likelihood as the papers write it, risk set by risk set."""
    total = 0.0
    for day in np.unique(end[left]):
        gone = left & (end == day)
        at_risk = np.exp(x @ b)[(entry < day) & (end >= day)].sum()
        tied = np.exp(x @ b)[gone].sum()
        for place in range(int(gone.sum())):
            total -= math.log(at_risk - (place / gone.sum() * tied if efron else 0.0))
        total += float((x @ b)[gone].sum())
    return total


def test_the_rossi_data_give_the_published_figures() -> None:
    rossi = load_rossi()
    x = rossi.drop(columns=["week", "arrest"])
    fit = Cox().fit(x, rossi["week"], rossi["arrest"], names=list(x))
    told = dict(zip(fit.names_, fit.coefficients_.round(4).tolist(), strict=True))
    published = {"fin": -0.3794, "age": -0.0574, "race": 0.3139, "wexp": -0.1498, "mar": -0.4337, "paro": -0.0849}
    assert told == {**published, "prio": 0.0915}
    assert round(fit.log_likelihood_, 4) == -658.7477 and round(fit.null_log_likelihood_, 3) == -675.381
    assert round(fit.concordance_ or 0, 4) == 0.6403
    assert (fit.customers_, fit.events_, fit.left_out_) == (432, 114, ())


def test_errors_baseline_and_survival_are_those_of_lifelines() -> None:
    rossi = load_rossi()
    x = rossi.drop(columns=["week", "arrest"])
    fit, peer = Cox().fit(x, rossi["week"], rossi["arrest"]), CoxPHFitter().fit(rossi, "week", "arrest")
    assert fit.standard_errors_ == pytest.approx(peer.standard_errors_.to_numpy(), rel=1e-7)
    base = peer.baseline_cumulative_hazard_.iloc[:, 0].reindex(fit.baseline_times_).to_numpy()
    assert fit.baseline_cumulative_hazard_ == pytest.approx(base, rel=1e-6)
    theirs = peer.predict_survival_function(x.iloc[:20], times=[5, 20, 52]).T.to_numpy()
    assert fit.predict_survival(x.iloc[:20], [5, 20, 52]) == pytest.approx(theirs, abs=1e-7)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_random_customers_with_late_entries_agree_with_lifelines(whole: bool, late: bool) -> None:
    x, end, left, entry = customers(600, 3, whole, late)
    frame = pd.DataFrame(x).assign(end=end, left=left, entry=entry)
    peer = CoxPHFitter().fit(frame, "end", "left", entry_col="entry")
    fit = Cox().fit(x, end, left, entry=entry if late else None)
    # lifelines stops a little before the top; ours has no slope left.
    assert fit.coefficients_ == pytest.approx(peer.params_.to_numpy(), abs=1e-5)
    assert fit.standard_errors_ == pytest.approx(peer.standard_errors_.to_numpy(), rel=1e-5)
    assert fit.log_likelihood_ == pytest.approx(peer.log_likelihood_, abs=1e-6)
    assert fit.log_likelihood_ >= peer.log_likelihood_ - 1e-9
    data = cox._Sorted.of(x, np.zeros(3), np.ones(3), end, left, entry)
    assert np.abs(cox._evaluate(data, fit.coefficients_, True)[1]).max() < 1e-6


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@given(seed=st.integers(0, 10_000), late=st.booleans(), b=st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_the_likelihood_is_the_one_written_out_and_its_gradient_and_hessian_are_its_slopes(
    ties: str, seed: int, late: bool, b: list[float]
) -> None:
    x, end, left, entry = customers(40, seed, True, late)
    end = np.ceil(end / 5) * 5  # many on one day
    if not left.any():
        return
    at = np.array(b)
    data = cox._Sorted.of(x, np.zeros(3), np.ones(3), end, left, entry if late else None)
    value, gradient, information = cox._evaluate(data, at, ties == "efron")
    assert value == pytest.approx(by_hand(x, end, left, entry, at, ties == "efron"), rel=1e-12)
    for i in range(3):
        step = 1e-5 * np.eye(3)[i]
        above, below = (cox._evaluate(data, at + sign * step, ties == "efron") for sign in (1, -1))
        assert gradient[i] == pytest.approx((above[0] - below[0]) / 2e-5, abs=1e-5)
        assert information[i] == pytest.approx((below[1] - above[1]) / 2e-5, abs=1e-5)


def test_many_rows_worked_through_in_blocks_with_a_first_look_give_the_same_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, end, left, entry = customers(3000, 8, True, True)
    whole = Cox().fit(x, end, left, entry=entry)
    monkeypatch.setattr(cox, "_BLOCK", 7)
    monkeypatch.setattr(cox, "_FIRST_LOOK", 500)
    pieces = Cox().fit(x, end, left, entry=entry)
    assert pieces.coefficients_ == pytest.approx(whole.coefficients_, abs=1e-9)
    assert pieces.covariance_ == pytest.approx(whole.covariance_, rel=1e-6)
    assert pieces.log_likelihood_ == pytest.approx(whole.log_likelihood_, abs=1e-9)


def test_the_truth_lies_within_two_errors_most_of_the_time() -> None:
    truth, inside = np.array([0.6, -0.3, 0.0]), []
    for seed in range(60):
        x, end, left, _entry = customers(400, 100 + seed, False, True)
        # Only who is still here at his entry is seen at all.
        fit = Cox().fit(x, end, left)
        inside.append(np.abs(fit.coefficients_ - truth) < 1.96 * fit.standard_errors_)
    # 180 intervals of 95 %: 171 expected, standard deviation 2.9.
    assert 161 <= np.sum(inside) <= 180


def test_survival_given_tenure_is_the_ratio_of_two_survivals() -> None:
    x, end, left, _ = customers(500, 4)
    fit = Cox().fit(x, end, left)
    now = np.array([0.0, 5.0, 12.0])
    ahead = fit.predict_survival(x[:3], [3, 20], since=now)
    whole, spent = fit.predict_survival(x[:3], [3, 20]), np.diag(fit.predict_survival(x[:3], now))
    assert ahead == pytest.approx(np.minimum(whole / spent[:, None], 1.0))
    assert ahead[1, 0] == 1.0 and ahead[2, 0] == 1.0


def test_a_constant_column_says_nothing_and_is_left_out_by_name() -> None:
    x, end, left, _ = customers(300, 5)
    fit = Cox().fit(np.column_stack([x, np.full(300, 7.0)]), end, left, names=["a", "b", "c", "same"])
    assert fit.left_out_ == ("same",) and fit.coefficients_[3] == 0 and np.isnan(fit.standard_errors_[3])
    assert fit.coefficients_[:3] == pytest.approx(Cox().fit(x, end, left).coefficients_, abs=1e-10)
    only = Cox().fit(np.ones((300, 1)), end, left)
    assert only.log_likelihood_ == pytest.approx(only.null_log_likelihood_) and only.concordance_ == 0.5


def test_what_cannot_be_estimated_is_refused_with_what_to_do() -> None:
    x, end, left, _ = customers(200, 6)
    with pytest.raises(CannotFit, match="none of the 200 customers left"):
        Cox().fit(x, end, np.zeros(200))
    with pytest.raises(CannotFit, match=r"columns \['x0', 'x3'\] say the same"):
        Cox().fit(np.column_stack([x, x[:, 0]]), end, left)
    with pytest.raises(CannotFit, match="'closed' parts those who leave from those who stay"):
        Cox().fit(np.column_stack([x, left]), end, left, names=["a", "b", "c", "closed"])
    kept = Cox(penalty=1).fit(np.column_stack([x, left]), end, left)
    assert 1 < kept.coefficients_[3] < 30 and np.isfinite(kept.standard_errors_).all()
    with pytest.raises(BadInput, match="'x1' is unknown for 1 of 200"):
        Cox().fit(np.where(np.arange(600).reshape(200, 3) == 4, np.nan, x), end, left)
    with pytest.raises(BadInput, match="entry = duration"):
        Cox().fit(x, end, left, entry=end)
    with pytest.raises(BadInput, match="got 200 of X, 199 durations"):
        Cox().fit(x, end[1:], left)
    with pytest.raises(BadInput, match="'efron' or 'breslow'"):
        Cox(ties="exact")  # type: ignore[arg-type]


def test_a_stored_model_keeps_its_concordance_and_not_the_customers() -> None:
    x, end, left, _ = customers(5000, 7)
    fit = Cox().fit(x, end, left)
    stored = pickle.dumps(fit)
    assert len(stored) < 5000
    again = pickle.loads(stored)
    assert again.concordance_ == fit.concordance_ == fit.concordance(x, end, left)
    assert (again.predict_log_hazard(x) == fit.predict_log_hazard(x)).all()


@given(seed=st.integers(0, 10_000), late=st.booleans())
def test_pairs_counted_quickly_are_those_counted_one_by_one(seed: int, late: bool) -> None:
    rng = np.random.default_rng(seed)
    end, left = rng.integers(1, 8, 30).astype(float), rng.random(30) < 0.6
    risk, entry = rng.integers(0, 5, 30).astype(float), np.floor(rng.random(30) * end * late)
    told = pairs(end, left, risk, entry)
    for place, i in enumerate(told.leaver):
        others = [j for j in range(30) if entry[j] < end[i] and (end[j] > end[i] or (end[j] == end[i] and not left[j]))]
        assert told.compared[place] == len(others)
        assert told.concordant[place] == sum(risk[j] < risk[i] for j in others)
        assert told.tied[place] == sum(risk[j] == risk[i] for j in others)
    if not late and told.compared.sum():
        assert told.index() == pytest.approx(concordance_index(end, -risk, left), abs=1e-12)


@given(st.lists(st.integers(0, 40), max_size=30), st.data())
def test_the_smaller_ones_in_a_tail_are_counted_exactly(values: list[int], data: st.DataObject) -> None:
    ask = data.draw(st.lists(st.tuples(st.integers(0, len(values)), st.integers(0, 70)), max_size=10))
    whole = np.array(values, dtype=np.int64)
    tail, bound = (np.array([each[i] for each in ask], dtype=np.int64) for i in (0, 1))
    found = smaller_in_tail(whole, tail, bound)
    assert found.tolist() == [sum(v < b for v in values[t:]) for t, b in ask]


def test_without_a_comparable_pair_there_is_no_concordance() -> None:
    assert pairs([3, 3], [True, True], [1, 2]).index() is None
    assert pairs([], [], []).index() is None
    assert pairs([1, 2], [True, False], [5, 1]).index() == 1.0
    with pytest.raises(BadInput, match="numbers"):
        pairs([1, 2], [True, False], [np.nan, 1])
    assert all(
        pairs([1, 2, 3], list(each), [3, 2, 1]).index() in (None, 1.0)
        for each in itertools.product([True, False], repeat=3)
    )
