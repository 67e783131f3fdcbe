"""Does every rate carry the interval it says it does? Published values, sums worked apart, and what always holds."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.errors import BadInput
from tenure.kernel import stats
from tenure.kernel.stats import Estimate

levels = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])


def rounded(pair: tuple[float | None, ...], digits: int = 4) -> tuple[float | None, ...]:
    return tuple(None if part is None else round(part, digits) for part in pair)


# ---------------------------------------------------------------------------------------------------------------------
# Shares


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe 1998 (Statist. Med. 17:857), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_share_has_the_score_interval_that_newcombe_printed(k: int, n: int, low: float, high: float) -> None:
    assert rounded(stats.wilson(k, n)) == (low, high)


def test_no_customers_is_no_interval() -> None:
    assert stats.wilson(0, 0) == (None, None)
    assert stats.wilson_effective(None, 12.0) == (None, None)
    assert stats.wilson_effective(0.5, None) == (None, None)
    assert stats.wilson_effective(0.5, 0.0) == (None, None)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), levels)
def test_the_ends_of_wilsons_interval_are_the_shares_that_the_score_test_just_does_not_refuse(
    case: tuple[int, int], level: float
) -> None:
    k, n = case
    low, high = stats.wilson(k, n, level)
    assert low is not None and high is not None
    assert 0 <= low <= k / n <= high <= 1
    z = stats.normal_quantile(level)
    for end in (low, high):
        if 1e-9 < end < 1 - 1e-9 and end != k / n:
            assert abs(k / n - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(z, rel=1e-6)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), levels)
def test_customers_who_all_pay_the_same_count_one_each(case: tuple[int, int], level: float) -> None:
    k, n = case
    n_eff = stats.effective_size(Decimal("29.90") * n, Decimal("29.90") ** 2 * n)
    assert n_eff == n
    assert stats.wilson_effective(Fraction(k, n), n_eff, level) == pytest.approx(stats.wilson(k, n, level), abs=1e-12)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50))
def test_the_effective_size_is_at_most_the_number_of_payers_and_at_least_one(sizes: list[int]) -> None:
    n_eff = stats.effective_size(sum(sizes), sum(m * m for m in sizes))
    if not any(sizes):
        assert n_eff is None
    else:
        assert n_eff is not None and 1 <= n_eff <= sum(m > 0 for m in sizes)


def test_one_giant_among_ten_customers_leaves_little_more_than_one() -> None:
    # (91 + 9)^2 / (91^2 + 9) = 10000 / 8290
    assert stats.effective_size(100, 91**2 + 9) == pytest.approx(10000 / 8290)


def test_a_revenue_share_above_one_has_no_interval() -> None:
    """More was lost than there was at the start, because newcomers left as well: not a share of the base."""
    assert stats.wilson_effective(1.2, 40.0) == (None, None)


def test_a_base_is_small_below_thirty() -> None:
    assert stats.small_base(29) and not stats.small_base(30)


# ---------------------------------------------------------------------------------------------------------------------
# Events per exposure


@pytest.mark.parametrize(
    ("events", "low", "high"),
    # Garwood 1936; the same table stands in Ulm 1990 and in the Biometrika Tables for Statisticians, table 40.
    [(0, 0.0, 3.689), (1, 0.0253, 5.572), (5, 1.623, 11.668), (10, 4.795, 18.390), (50, 37.11, 65.92)],
)
def test_a_count_has_the_exact_interval_that_garwood_printed(events: int, low: float, high: float) -> None:
    rate, below, above = stats.poisson_exact(events, 1)
    assert rate == events
    assert below == pytest.approx(low, abs=0.006) and above == pytest.approx(high, abs=0.006)


def chance_of_at_most(k: int, mean: float) -> float:
    return math.fsum(math.exp(-mean + i * math.log(mean) - math.lgamma(i + 1)) for i in range(k + 1))


@given(st.integers(0, 60), st.floats(0.5, 5000), levels)
def test_the_exact_interval_ends_where_either_tail_is_half_of_what_is_left(
    events: int, exposure: float, level: float
) -> None:
    rate, low, high = stats.poisson_exact(events, exposure, level)
    assert rate is not None and low is not None and high is not None
    assert chance_of_at_most(events, high * exposure) == pytest.approx((1 - level) / 2, rel=1e-8)
    if events:
        assert 1 - chance_of_at_most(events - 1, low * exposure) == pytest.approx((1 - level) / 2, rel=1e-8)
    else:
        assert low == 0


def test_no_exposure_is_no_rate() -> None:
    assert stats.poisson_exact(0, 0) == (None, None, None)
    rate, low, high = stats.poisson_exact_all([0, 3], [0, 10])
    assert np.isnan([rate[0], low[0], high[0]]).all() and rate[1] == 0.3


def test_many_rates_at_once_equal_each_alone() -> None:
    events, exposure = [0, 1, 7, 300], [10, 3, 9.5, 1000]
    together = list(zip(*stats.poisson_exact_all(events, exposure, 0.9), strict=True))
    assert together == [stats.poisson_exact(k, t, 0.9) for k, t in zip(events, exposure, strict=True)]


# ---------------------------------------------------------------------------------------------------------------------
# Net revenue retention


def six_sums(start: list[int], end: list[int]) -> tuple[int, ...]:
    pairs = list(zip(start, end, strict=True))
    return (
        len(start),
        sum(start),
        sum(end),
        sum(s * s for s in start),
        sum(e * e for e in end),
        sum(s * e for s, e in pairs),
    )


bases = st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 2 * 10**6)), min_size=2, max_size=40)


@given(bases, levels)
def test_the_ratio_interval_is_the_linearised_one_written_customer_by_customer(
    base: list[tuple[int, int]], level: float
) -> None:
    start, end = [s for s, _ in base], [e for _, e in base]
    value, low, high = stats.ratio_interval(*six_sums(start, end), level=level, unseen=0)
    n, total = len(base), sum(start)
    ratio = sum(end) / total
    residuals = [(e - ratio * s) / total for s, e in base]
    error = math.sqrt(sum(d * d for d in residuals) * n / (n - 1))
    assert value == pytest.approx(ratio)
    if ratio > 0 and error / ratio < 100:
        reach = math.exp(stats.normal_quantile(level) * error / ratio)
        assert low == pytest.approx(ratio / reach, rel=1e-6)
        assert high == pytest.approx(ratio * reach, rel=1e-6)


@given(bases)
def test_the_imaginary_customer_only_ever_widens_the_interval(base: list[tuple[int, int]]) -> None:
    sums = six_sums([s for s, _ in base], [e for _, e in base])
    value, low, high = stats.ratio_interval(*sums)
    _, low_without, high_without = stats.ratio_interval(*sums, unseen=0)
    assert value is not None and low is not None and low_without is not None
    assert 0 <= low <= low_without <= value
    if high is not None:
        assert high_without is not None and value <= high_without <= high


@given(bases)
def test_a_ratio_does_not_depend_on_the_unit_of_money(base: list[tuple[int, int]]) -> None:
    n, *cents = six_sums([s for s, _ in base], [e for _, e in base])
    dollars = [Decimal(total) / 100**power for total, power in zip(cents, (1, 1, 2, 2, 2), strict=True)]
    assert stats.ratio_interval(n, *dollars) == stats.ratio_interval(n, *cents)


def test_a_month_in_which_nobody_moved_is_not_certain() -> None:
    # n_eff = 50: one imaginary customer of 1/50 of the MRR who left or doubled, exp(+-1.96/50).
    value, low, high = stats.ratio_interval(*six_sums([100] * 50, [100] * 50))
    assert (value, low, high) == pytest.approx((1.0, math.exp(-1.959964 / 50), math.exp(1.959964 / 50)), rel=1e-6)


def test_sums_of_squares_beyond_64_bits_lose_nothing_to_cancellation() -> None:
    """1e4 customers of 1e12 micro units, one of whom grew by 1e6: floats would see noise a thousand times larger."""
    n, big, grown = 10**4, 10**12, 10**6
    sums = (n * big, n * big + grown, n * big**2, n * big**2 + 2 * big * grown + grown**2, n * big**2 + big * grown)
    value, low, high = stats.ratio_interval(n, *(Decimal(part) for part in sums), unseen=0)
    assert value is not None and low is not None and high is not None
    # The residual of the one is 1e6 in 1e16; all others together are 1e-4 of it.
    assert (high - low) / 2 == pytest.approx(1.959964 * 1e6 / 1e16, rel=1e-3)


def test_sums_may_be_what_numpy_hands_over() -> None:
    start, end = np.array([10**9, 2 * 10**9]), np.array([10**9, 10**9])
    columns = (start.sum(), end.sum(), (start**2).sum(), (end**2).sum(), (start * end).sum())
    assert stats.ratio_interval(2, *columns) == stats.ratio_interval(*six_sums(start.tolist(), end.tolist()))
    assert stats.effective_size(start.sum(), (start**2).sum()) == pytest.approx(1.8)


def test_nothing_at_the_start_is_no_retention() -> None:
    assert stats.ratio_interval(0, 0, 0, 0, 0, 0) == (None, None, None)
    assert stats.ratio_bootstrap([], [], seed=1) == (None, None, None)


def test_one_customer_has_a_ratio_and_no_interval() -> None:
    assert stats.ratio_interval(*six_sums([100], [120])) == (1.2, None, None)
    assert stats.ratio_bootstrap([100], [120], seed=1) == (1.2, None, None)


def test_when_all_left_the_ratio_is_zero_and_the_interval_reaches_above() -> None:
    value, low, high = stats.ratio_interval(*six_sums([100] * 10, [0] * 10))
    assert (value, low) == (0.0, 0.0)
    assert high == pytest.approx(0.196, abs=0.001)
    value, low, high = stats.ratio_bootstrap([100] * 10, [0] * 10, seed=3)
    assert (value, low) == (0.0, 0.0) and high is not None and 0 < high < 0.4


@given(bases, st.integers(0, 5), st.randoms())
def test_the_bootstrap_gives_one_answer_per_seed_in_whatever_order_customers_come(
    base: list[tuple[int, int]], seed: int, random: object
) -> None:
    shuffled = list(base)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = stats.ratio_bootstrap(*zip(*base, strict=True), seed=seed, resamples=50)
    again = stats.ratio_bootstrap(*zip(*shuffled, strict=True), seed=seed, resamples=50)
    assert first == again


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(1, 30)), min_size=1, max_size=5))
def test_rows_that_stand_for_several_customers_equal_those_customers_one_by_one(
    groups: list[tuple[int, int, int]],
) -> None:
    start, end, count = zip(*groups, strict=True)
    each_start = [s for s, _, c in groups for _ in range(c)]
    each_end = [e for _, e, c in groups for _ in range(c)]
    grouped = stats.ratio_bootstrap(start, end, seed=7, resamples=60, counts=count)
    assert grouped == stats.ratio_bootstrap(each_start, each_end, seed=7, resamples=60)


@pytest.mark.parametrize("twins", [1, 100])
def test_the_bootstrap_spreads_as_the_linearised_interval_does_with_many_customers(twins: int) -> None:
    """Both ways of drawing (customer by customer, or a count per distinct pair) against the formula."""
    rng = np.random.default_rng(5)
    start = np.repeat(rng.integers(10, 200, 6000 // twins), twins)
    growth = np.repeat(rng.choice([0.0, 0.5, 1.0, 1.5], 6000 // twins, p=[0.1, 0.1, 0.7, 0.1]), twins)
    end = start * growth
    formula = stats.ratio_interval(
        len(start), start.sum(), end.sum(), (start**2).sum(), (end**2).sum(), (start * end).sum()
    )
    drawn = stats.ratio_bootstrap(start, end, seed=11, resamples=2000)
    assert drawn.value == pytest.approx(formula.value)
    assert formula.low is not None and formula.high is not None and drawn.low is not None and drawn.high is not None
    # 2000 draws know an end of the interval within about 4 % of its width.
    assert (drawn.low, drawn.high) == pytest.approx(
        (formula.low, formula.high), abs=0.06 * (formula.high - formula.low)
    )


# ---------------------------------------------------------------------------------------------------------------------
# Changes


@pytest.mark.parametrize(
    ("before", "after", "low", "high"),
    # Newcombe 1998 (Statist. Med. 17:873), table II, method 10; the article subtracts the second from the first.
    [
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((3, 10), (9, 10), 0.1705, 0.8090),
        ((2, 7), (6, 7), 0.0582, 0.8062),
        ((0, 29), (5, 56), -0.0381, 0.1926),
        ((0, 20), (0, 10), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((0, 20), (10, 10), 0.6791, 1.0),
        ((0, 10), (10, 10), 0.6075, 1.0),
    ],
)
def test_a_change_of_share_has_the_interval_that_newcombe_printed(
    before: tuple[int, int], after: tuple[int, int], low: float, high: float
) -> None:
    change = stats.change_of_shares(*before, *after)
    assert rounded((change.low, change.high)) == (low, high)


def test_a_verdict_says_rose_fell_noise_or_unknown() -> None:
    assert stats.change_of_shares(50, 1000, 80, 1000).verdict == "rose"
    assert stats.change_of_shares(80, 1000, 50, 1000).verdict == "fell"
    assert stats.change_of_shares(5, 100, 8, 100).verdict == "noise"
    nobody = stats.change_of_shares(0, 0, 8, 100)
    assert (nobody.difference, nobody.low, nobody.high, nobody.verdict) == (None, None, None, "unknown")
    assert stats.change_interval(Estimate(1.0, None, None), Estimate(1.1, 1.0, 1.2)).difference == pytest.approx(0.1)


@given(st.tuples(st.integers(0, 80), st.integers(80, 200)), st.tuples(st.integers(0, 80), st.integers(80, 200)), levels)
def test_looked_at_backwards_a_change_is_its_own_negative(
    one: tuple[int, int], other: tuple[int, int], level: float
) -> None:
    there, back = stats.change_of_shares(*one, *other, level), stats.change_of_shares(*other, *one, level)
    assert there.low is not None and there.high is not None and there.difference is not None
    assert there.low <= there.difference <= there.high
    assert back.difference == pytest.approx(-there.difference)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert {there.verdict, back.verdict} in ({"noise"}, {"rose", "fell"})


def test_a_fall_of_net_retention_is_judged_with_both_intervals() -> None:
    # Differences of 0.06 and 0.08 to the ends: hypot(0.08, 0.06) = 0.10 either way.
    before, after = Estimate(1.10, 1.04, 1.16), Estimate(0.95, 0.87, 1.03)
    change = stats.change_interval(before, after)
    assert (change.difference, change.low, change.high) == pytest.approx((-0.15, -0.25, -0.05))
    assert change.verdict == "fell"


tables = st.tuples(st.integers(1, 60), st.integers(1, 60)).flatmap(
    lambda sizes: st.tuples(st.integers(0, sizes[0]), st.just(sizes[0]), st.integers(0, sizes[1]), st.just(sizes[1]))
)


@given(tables)
def test_the_p_value_of_a_small_table_is_fishers_counted_table_by_table(case: tuple[int, int, int, int]) -> None:
    k1, n1, k2, n2 = case
    p = stats.same_share_p(*case)
    k, n = k1 + k2, n1 + n2
    if k in (0, n):
        assert p == 1.0
    elif min(k, n - k) * min(n1, n2) / n < 5:
        ways = [math.comb(n1, i) * math.comb(n2, k - i) if 0 <= k - i <= n2 else 0 for i in range(n1 + 1)]
        as_rare = sum(Fraction(w, math.comb(n, k)) for w in ways if 0 < w <= ways[k1])
        assert p == pytest.approx(float(as_rare), rel=1e-9)
    else:
        # The pooled score test is the square root of Pearson's chi-square.
        expected = [(n1 * k / n), (n1 * (n - k) / n), (n2 * k / n), (n2 * (n - k) / n)]
        chi2 = sum((o - e) ** 2 / e for o, e in zip([k1, n1 - k1, k2, n2 - k2], expected, strict=True))
        assert p == pytest.approx(math.erfc(math.sqrt(chi2 / 2)), rel=1e-9)


def test_the_lady_tasting_tea_is_not_convincing_at_three_of_four() -> None:
    # Fisher 1935: 34/70 two-sided.
    assert stats.same_share_p(3, 4, 1, 4) == pytest.approx(34 / 70)


def test_a_group_without_customers_is_compared_with_nobody() -> None:
    assert stats.same_share_p(0, 0, 3, 10) is None


def test_holm_corrects_a_family_as_in_his_paper() -> None:
    # Ordered .01 x 4, .02 x 3, .03 x 2, .2 x 1, each at least the one before.
    assert stats.holm([0.2, 0.01, 0.03, 0.02]) == pytest.approx([0.2, 0.04, 0.06, 0.06])
    assert stats.holm([]) == []
    assert stats.holm([None, 0.5]) == [None, 0.5]


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12))
def test_holm_never_makes_a_finding_surer_nor_turns_the_order_round(p_values: list[float | None]) -> None:
    adjusted = stats.holm(p_values)
    known = [(p, q) for p, q in zip(p_values, adjusted, strict=True) if p is not None and q is not None]
    assert [p is None for p in p_values] == [q is None for q in adjusted]
    assert all(p <= q <= min(1.0, len(known) * p) + 1e-15 for p, q in known)
    assert all(q <= r for (p, q) in known for (o, r) in known if p < o)


# ---------------------------------------------------------------------------------------------------------------------
# Periods


def test_five_percent_a_month_is_forty_six_a_year_not_sixty() -> None:
    assert stats.to_period(0.05, 12, 1) == pytest.approx(0.4596, abs=5e-5)
    assert stats.to_period(0.05, 1, 12) == pytest.approx(0.004265, abs=5e-7)
    assert stats.to_period(0.15, 4, 12) == pytest.approx(0.05273, abs=5e-6)


def test_five_percent_in_thirty_days_is_converted_by_days() -> None:
    assert stats.over_days(0.05, 30, 365) == pytest.approx(0.4642, abs=5e-5)
    assert stats.over_days(0.05, 30, Fraction(365, 12)) == pytest.approx(0.05068, abs=5e-6)


def test_a_thousand_customers_at_five_percent_a_month_are_540_after_a_year() -> None:
    rate = stats.to_period(Decimal("0.05"), 12, 1)
    assert rate is not None and 1000 * (1 - rate) == pytest.approx(540.36, abs=0.005)


@given(st.floats(-1, 0.999), st.sampled_from([1, 2, 4, 12, 52, 365]), st.sampled_from([1, 2, 4, 12, 52, 365]))
def test_a_rate_converted_there_and_back_is_the_same_rate(rate: float, one: int, other: int) -> None:
    there = stats.to_period(rate, one, other)
    if there is not None and there < 1 - 1e-6 and there > -1e6:
        assert stats.to_period(there, other, one) == pytest.approx(rate, rel=1e-6, abs=1e-9)


def test_who_loses_everybody_in_a_month_loses_everybody_in_a_year_and_no_rate_stays_none() -> None:
    assert stats.to_period(1, 12, 1) == 1.0
    assert stats.to_period(0, 12, 1) == 0.0
    assert stats.to_period(None, 12, 1) is None
    assert stats.over_days(None, 30, 365) is None


# ---------------------------------------------------------------------------------------------------------------------
# Refusals


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: stats.wilson(3, 2), "3 of 2"),
        (lambda: stats.wilson(-1, 2), "-1 of 2"),
        (lambda: stats.wilson(1, 2, 95), "0.95 for 95 %"),
        (lambda: stats.poisson_exact(-1, 2), "-1 events"),
        (lambda: stats.poisson_exact(1, 2, 1.0), "0.95"),
        (lambda: stats.poisson_exact_all([1, -1], [1, 1]), "not negative"),
        (lambda: stats.effective_size(-1, 1), "not negative"),
        (lambda: stats.ratio_interval(2, -1, 1, 1, 1, 1), "not negative"),
        (lambda: stats.ratio_bootstrap([1, float("nan")], [1, 1], seed=1), "left out"),
        (lambda: stats.ratio_bootstrap([1, 2], [1], seed=1), "got 2, 1"),
        (lambda: stats.ratio_bootstrap([1, 2], [1, 2], seed=1, level=95), "0.95"),
        (lambda: stats.holm([1.5]), "1.5"),
        (lambda: stats.to_period(5, 12, 1), "0.05 for 5 %"),
        (lambda: stats.to_period(float("nan"), 12, 1), "nan"),
        (lambda: stats.to_period(0.05, 0, 1), "12 for months"),
        (lambda: stats.over_days(0.05, 30, 0), "0 days"),
        (lambda: stats.change_interval(Estimate(1, 1, 1), Estimate(1, 1, 1), level=0), "0.95"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_do_instead(call: object, part: str) -> None:
    with pytest.raises(BadInput, match=part.replace("%", ".").replace("(", r"\(")):
        call()  # type: ignore[operator]
