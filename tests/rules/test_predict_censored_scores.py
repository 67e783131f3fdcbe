"""C and Brier score under censoring are those written out by customer, and what censoring hides is put back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.errors import BadInput
from tenure.kernel.survival import Counts, kaplan_meier
from tenure.predict.censored_scores import (
    brier_parts,
    integrated_brier,
    judge_survival,
    staying,
    uno_c,
)


def customers(n: int, seed: int, whole: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tenure at the end, who left, and each one's true rate of leaving."""
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.normal(0, 0.7, n)) / 10
    t, seen = rng.exponential(1 / rate), rng.uniform(2, 25, n)
    end = np.minimum(t, seen)
    return (np.ceil(end) if whole else end), t <= seen, rate


def g_by_hand(end: np.ndarray, left: np.ndarray, t: float, before: bool) -> float:
    """The chance to be still observed at t (or just before), leavers of a day going first."""
    product = 1.0
    for day in sorted(set(end[~left])):
        if day < t or (day == t and not before):
            stopped = ((end == day) & ~left).sum()
            product *= 1 - stopped / ((end > day).sum() + stopped)
    return product


@given(seed=st.integers(0, 5000), until=st.integers(4, 20))
def test_c_is_the_weighted_sum_over_pairs_written_out(seed: int, until: int) -> None:
    end, left, rate = customers(40, seed)
    risk = np.round(rate, 1)
    above = below = 0.0
    for i in range(40):
        g = g_by_hand(end, left, end[i], before=True)
        if not left[i] or end[i] > until or g == 0:
            continue
        for j in range(40):
            if end[j] > end[i] or (end[j] == end[i] and not left[j]):
                below += g**-2
                above += g**-2 * (1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0)
    told = uno_c(end, left, risk, until)
    assert told == (None if below == 0 else pytest.approx(above / below, rel=1e-12))


@given(seed=st.integers(0, 5000))
def test_the_brier_score_is_grafs_written_out(seed: int) -> None:
    end, left, rate = customers(30, seed)
    times = np.array([1.0, 3.0, 4.5])
    said = np.exp(-rate[:, None] * times)
    if g_by_hand(end, left, 4.5, before=False) == 0:
        return
    parts = brier_parts(end, left, said, times)
    for i in range(30):
        for k, t in enumerate(times):
            if left[i] and end[i] <= t:
                own = said[i, k] ** 2 / g_by_hand(end, left, end[i], before=True)
            elif end[i] > t:
                own = (1 - said[i, k]) ** 2 / g_by_hand(end, left, t, before=False)
            else:
                own = 0.0
            assert parts[i, k] == pytest.approx(own, rel=1e-10)
    mean = parts.mean(axis=0)
    area = (mean[0] + mean[1]) / 2 * 2.0 + (mean[1] + mean[2]) / 2 * 1.5
    assert integrated_brier(end, left, said, times) == pytest.approx(area / 3.5)


def test_staying_is_kaplan_and_meiers_curve() -> None:
    end, left, _ = customers(300, 3)
    curve = kaplan_meier(Counts.of_customers(end, left))
    ours = staying(end, left)
    for t in (1, 5, 12, 20):
        assert ours.at(np.array([t]))[0] == pytest.approx(curve.survival_at(t).value, abs=1e-12)
    assert ours.before(np.array([1.0]))[0] == 1.0


def test_censoring_is_put_back_to_what_would_have_been_seen_without_it() -> None:
    rng = np.random.default_rng(5)
    rate = np.exp(rng.normal(0, 0.7, 20_000)) / 10
    t, seen = rng.exponential(1 / rate), rng.uniform(2, 25, 20_000)
    times = np.linspace(1, 15, 8)
    said = np.exp(-rate[:, None] * times)
    censored = judge_survival(np.minimum(t, seen), t <= seen, said, times, rate, draws=10)
    whole = judge_survival(t, np.ones(len(t), dtype=bool), said, times, rate, draws=10)
    assert censored.concordance.value == pytest.approx(whole.concordance.value, abs=0.01)
    assert censored.brier.value == pytest.approx(whole.brier.value, abs=0.004)
    assert censored.brier_of_nobody == pytest.approx(whole.brier_of_nobody, abs=0.004)
    assert (censored.brier.value or 1) < censored.brier_of_nobody
    assert (censored.brier.low or 0) < (censored.brier.value or 0) < (censored.brier.high or 0)
    assert (censored.concordance.low or 0) < (censored.concordance.value or 0) < (censored.concordance.high or 0)


def test_times_that_nobody_was_watched_for_are_refused() -> None:
    end, left = np.array([1.0, 2.0, 3.0]), np.array([True, False, False])
    with pytest.raises(BadInput, match="give times up to 2"):
        brier_parts(end, left, [[0.5, 0.5]], [2.0, 4.0])
    with pytest.raises(BadInput, match="two times or more"):
        integrated_brier(end, left, [[0.5]], [2.0])
    with pytest.raises(BadInput, match="one chance per customer and time"):
        brier_parts(end, left, [[0.5, 0.5], [0.5, 0.5]], [1.0, 2.0])
    with pytest.raises(BadInput, match="between 0 and 1"):
        brier_parts(end, left, [[1.5, 0.5]], [1.0, 2.0])
    nobody = judge_survival(end, np.zeros(3, dtype=bool), np.full((3, 2), 0.9), [0.5, 0.7], draws=5)
    assert nobody.concordance == (None, None, None, "nobody left while others were seen staying longer")
