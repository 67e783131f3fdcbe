"""Comparing within strata: against least squares, hypergeometric tails and simulations whose truth is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from tenure.errors import BadInput
from tenure.explain.comparing import compared, trended


def least_squares(stratum: list[int], score: list[float], gone: list[int], people: list[int]) -> float:
    """The slope of leaving on the score, each person a row, with a constant for each stratum."""
    rows, y = [], []
    for name, x, left, n in zip(stratum, score, gone, people, strict=True):
        for person in range(n):
            rows.append([x, *(1.0 if other == name else 0.0 for other in sorted(set(stratum)))])
            y.append(1.0 if person < left else 0.0)
    return float(np.linalg.lstsq(np.array(rows), np.array(y), rcond=None)[0][0])


def test_one_stratum_gives_the_plain_difference_and_ratio() -> None:
    found = compared([12], [100], [5], [80])
    assert found.difference.value == pytest.approx(0.12 - 5 / 80)
    assert found.ratio.value == pytest.approx(0.12 / (5 / 80))
    assert (found.share, found.share_others) == (0.12, 5 / 80)


def test_a_plan_that_leaves_more_is_not_taken_for_an_effect() -> None:
    # In both plans nobody differs (10 % and 40 %), but the group is mostly on the plan that leaves more.
    found = compared([2, 32], [20, 80], [8, 8], [80, 20])
    assert found.share == 0.34
    assert found.share_others == 0.16
    assert found.difference.value == pytest.approx(0.0)
    assert found.p == 1.0


def test_the_exact_p_is_twice_the_smaller_tail_of_the_hypergeometric() -> None:
    found = compared([7], [10], [3], [20])
    assert found.p == pytest.approx(2 * hypergeom.sf(6, 30, 10, 10))
    # Two strata: the sum of two such counts.
    found = compared([3, 2], [4, 5], [1, 0], [6, 5])
    chances = np.convolve(hypergeom.pmf(range(5), 10, 4, 4), hypergeom.pmf(range(3), 10, 5, 2))
    assert found.p == pytest.approx(2 * chances[5:].sum())


def test_the_slope_is_that_of_least_squares_with_a_constant_for_each_stratum() -> None:
    stratum, score = [0, 0, 0, 1, 1, 2], [0.0, 3.0, 9.0, 1.0, 4.0, 5.0]
    gone, people = [4, 6, 9, 2, 5, 3], [20, 22, 18, 30, 25, 7]
    assert trended(stratum, score, gone, people).slope.value == pytest.approx(
        least_squares(stratum, score, gone, people)
    )


def test_strata_with_one_score_and_groups_without_partners_tell_nothing() -> None:
    assert compared([3], [10], [0], [0]).p is None
    assert trended([0, 1], [0, 5], [10, 10], [50, 50]).p is None
    with_useless = compared([7, 5], [10, 9], [3, 0], [20, 0])
    assert with_useless.p == compared([7], [10], [3], [20]).p


def test_more_leavers_than_people_are_refused() -> None:
    with pytest.raises(BadInput, match="at most everybody"):
        compared([11], [10], [0], [10])
    with pytest.raises(BadInput, match="at most everybody"):
        trended([0], [1], [3], [2])


def test_intervals_of_the_adjusted_difference_cover_the_truth() -> None:
    # 200 small strata with their own base rates, a difference of four points in each; 500 worlds.
    rng = np.random.default_rng(11)
    covered, found_p = 0, []
    for _ in range(500):
        n1, n0 = rng.integers(1, 12, 200), rng.integers(1, 12, 200)
        base = rng.uniform(0.02, 0.3, 200)
        found = compared(rng.binomial(n1, base + 0.04), n1, rng.binomial(n0, base), n0)
        assert found.difference.low is not None
        covered += found.difference.low <= 0.04 <= found.difference.high
        null = compared(rng.binomial(n1, base), n1, rng.binomial(n0, base), n0)
        found_p.append(null.p)
    assert 0.93 <= covered / 500 <= 0.975
    # Without an effect p is at most uniform.
    assert np.mean([p <= 0.05 for p in found_p]) <= 0.06


def test_intervals_of_the_slope_cover_the_truth_and_its_p_is_honest() -> None:
    rng = np.random.default_rng(12)
    covered, small = 0, 0
    stratum, score = np.repeat(np.arange(40), 5), np.tile(np.arange(5), 40)
    for _ in range(500):
        people = rng.integers(1, 30, 200)
        base = np.repeat(rng.uniform(0.02, 0.2, 40), 5)
        found = trended(stratum, score, rng.binomial(people, base + 0.01 * score), people)
        covered += found.slope.low <= 0.01 <= found.slope.high
        small += trended(stratum, score, rng.binomial(people, base), people).p <= 0.05
    assert 0.93 <= covered / 500 <= 0.97
    assert small / 500 <= 0.07
