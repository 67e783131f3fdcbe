"""How long do customers stay, by hand and by brute force? Everything here is counted again, customer by customer.

The other half, equality with lifelines and with published curves, is in test_survival_peers.py.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tenure.errors import BadInput
from tenure.kernel import survival
from tenure.kernel.stats import NO_ESTIMATE, poisson_exact, wilson_effective
from tenure.kernel.survival import Counts

# One customer: (tenure when observation began, tenure when it ended, whether they left then).
Life = tuple[int, int, bool]


def lives(max_size: int = 30, longest: int = 12, truncated: bool = True) -> st.SearchStrategy[list[Life]]:
    one = st.tuples(st.integers(0, longest if truncated else 0), st.integers(0, longest), st.booleans()).map(
        lambda life: (min(life[0], life[1]), max(life[0], life[1]), life[2])
    )
    return st.lists(one.filter(lambda life: life[0] < life[1] or life[1] == 0), min_size=1, max_size=max_size)


def counted(base: list[Life]) -> Counts:
    return Counts.of_customers([end for _, end, _ in base], [left for *_, left in base], [begin for begin, *_ in base])


def at_risk(base: list[Life], t: int) -> int:
    return sum((begin < t or begin == t == 0) and end >= t for begin, end, _ in base)


def leavers(base: list[Life], t: int) -> int:
    return sum(left and end == t for _, end, left in base)


def stay(base: list[Life], t: int) -> Fraction:
    """Kaplan-Meier in exact fractions, from the definition."""
    share = Fraction(1)
    for u in range(t + 1):
        if n := at_risk(base, u):
            share *= 1 - Fraction(leavers(base, u), n)
    return share


def greenwood(base: list[Life], t: int) -> Fraction:
    total = Fraction(0)
    for u in range(t + 1):
        n, d = at_risk(base, u), leavers(base, u)
        if n > d:
            total += Fraction(d, n * (n - d))
    return total


# ---------------------------------------------------------------------------------------------------------------------
# Counts


def test_who_enters_at_a_tenure_is_not_at_risk_of_leaving_at_it() -> None:
    counts = Counts.of([0, 5, 8], entries=[3, 2, 0], events=[0, 1, 2], censored=[0, 0, 2])
    # On day 5 the three who began on day 0; on day 8 the two left of them and the two who came on day 5.
    assert counts.at_risk().tolist() == [3, 3, 4]


def test_who_leaves_on_the_first_day_was_at_risk_on_it() -> None:
    counts = Counts.of([0, 3], [4, 0], [1, 1], [0, 2])
    assert counts.at_risk().tolist() == [4, 3]
    # 3/4, then 3/4 x 2/3 = 1/2: the median is reached though floating point may say .5000000001.
    assert survival.kaplan_meier(counts).survival.tolist() == pytest.approx([0.75, 0.5])
    assert survival.kaplan_meier(counts).median.value == 3


@given(lives(), st.randoms())
def test_the_order_of_rows_and_their_splitting_change_nothing(base: list[Life], random: object) -> None:
    whole = counted(base)
    rows = [(begin, 1, 0, 0) for begin, *_ in base] + [(end, 0, int(left), int(not left)) for _, end, left in base]
    random.shuffle(rows)  # type: ignore[attr-defined]
    split = Counts.of(*zip(*rows, strict=True))
    for column in ("time", "entries", "events", "censored"):
        assert getattr(split, column).tolist() == getattr(whole, column).tolist()


@given(lives(), st.integers(0, 14), st.integers(0, 14))
def test_exposure_is_the_time_lived_under_observation(base: list[Life], low: int, high: int) -> None:
    lived = sum(max(0, min(end, high) - max(begin, low)) for begin, end, _ in base)
    assert counted(base).exposure(low, high) == (lived if high > low else 0)


def test_a_customer_never_under_observation_is_left_out() -> None:
    counts = Counts.of_customers(duration=[5, 7, 0], left=[True, True, True], entry=[5, 2, 0])
    assert counts.customers == 2


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        (([0, 5], [1, 0], [0, 2], [0, 0]), "at tenure 5 more customers end"),
        (([5, 5], [1, 0], [0, 1], [0, 0]), "the same day"),
        (([0, 5], [3, 0], [0, 1], [0, 0]), "2 customers come under observation and never end"),
        (([-1], [1], [0], [1]), "not negative"),
        (([0], [1.5], [0], [1]), "whole numbers"),
        (([0, 1], [1], [0], [1]), "one count per tenure"),
    ],
)
def test_counts_that_cannot_be_are_refused_with_what_to_look_for(rows: tuple[list[int], ...], part: str) -> None:
    with pytest.raises(BadInput, match=part):
        Counts.of(*rows)


def test_a_customer_cannot_be_seen_after_having_left() -> None:
    with pytest.raises(BadInput, match="swap"):
        Counts.of_customers([3], [True], [5])


# ---------------------------------------------------------------------------------------------------------------------
# The curve


@given(lives())
def test_the_curve_is_the_definition_worked_in_fractions(base: list[Life]) -> None:
    curve = survival.kaplan_meier(counted(base))
    for t, share, spread in zip(curve.time, curve.survival, curve.greenwood, strict=True):
        assert share == pytest.approx(float(stay(base, int(t))), abs=1e-14)
        assert spread == pytest.approx(float(greenwood(base, int(t))), rel=1e-12)


@given(lives(), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_the_curve_never_rises_and_its_band_holds_it(base: list[Life], level: float) -> None:
    curve = survival.kaplan_meier(counted(base), level)
    assert (np.diff(curve.survival) <= 0).all()
    assert ((curve.low >= 0) & (curve.low <= curve.survival + 1e-15)).all()
    assert ((curve.high <= 1) & (curve.high >= curve.survival - 1e-15)).all()
    wider = survival.kaplan_meier(counted(base), 1 - (1 - level) / 10)
    assert (wider.low <= curve.low + 1e-15).all() and (wider.high >= curve.high - 1e-15).all()


@given(lives(truncated=False))
def test_without_censoring_the_curve_is_the_plain_share_still_here(base: list[Life]) -> None:
    everybody_leaves = [(0, end, True) for _, end, _ in base]
    curve = survival.kaplan_meier(counted(everybody_leaves))
    for t in range(14):
        still = sum(end > t for _, end, _ in everybody_leaves) / len(base)
        assert curve.survival_at(t).value == pytest.approx(still, abs=1e-14)


@given(lives(), st.integers(1, 10))
def test_the_curve_of_those_who_reached_a_tenure_is_the_curve_divided(base: list[Life], from_tenure: int) -> None:
    """S(t | stayed longer than u) = S(t) / S(u)."""
    assume(stay(base, from_tenure) > 0)
    later = survival.kaplan_meier(counted(base).after(from_tenure))
    assert later.time[0] == from_tenure
    for t, share in zip(later.time, later.survival, strict=True):
        assert share == pytest.approx(float(stay(base, int(t)) / stay(base, from_tenure)), abs=1e-12)
    assert counted(base).after(0).entries.tolist() == counted(base).entries.tolist()


def test_counting_newcomers_of_the_import_from_their_first_day_would_flatter() -> None:
    """Ten customers known from month 12 on, since the history of those who left earlier is gone."""
    old = [(12, 13, True)] * 5 + [(12, 24, False)] * 5
    young = [(0, 2, True)] * 5 + [(0, 12, False)] * 5
    right = survival.kaplan_meier(counted(old + young))
    wrong = survival.kaplan_meier(counted([(0, end, left) for _, end, left in old + young]))
    # Month 2: 5 of 10 leave; month 13: 5 of the 10 old. Counted from 0: 5 of 20, then 5 of 10.
    assert right.survival_at(13).value == pytest.approx(0.25)
    assert wrong.survival_at(13).value == pytest.approx(0.375)


def test_beyond_the_longest_stay_seen_the_curve_is_unknown() -> None:
    curve = survival.kaplan_meier(Counts.of([0, 3, 7], [10, 0, 0], [0, 4, 0], [0, 0, 6]))
    assert (curve.since, curve.until, curve.stops) == (0, 7, "nobody was observed longer")
    assert curve.survival_at(7).value == pytest.approx(0.6)
    assert curve.survival_at(8) == NO_ESTIMATE
    assert curve.survival_at(-1) == NO_ESTIMATE


def test_when_everybody_has_left_nobody_comes_back_later() -> None:
    curve = survival.kaplan_meier(Counts.of([0, 3, 7], [10, 0, 0], [0, 4, 6], [0, 0, 0]))
    assert curve.stops == "" and curve.survival_at(100).value == 0.0
    assert curve.restricted_mean(100) is not None


def test_before_anybody_was_observed_the_curve_is_unknown() -> None:
    curve = survival.kaplan_meier(Counts.of([6, 9, 12], [10, 0, 0], [0, 5, 0], [0, 0, 5]))
    assert curve.since == 6
    assert curve.survival_at(5) == NO_ESTIMATE
    assert curve.survival_at(6).value == 1.0 and curve.survival_at(9).value == 0.5


def test_a_gap_in_observation_ends_what_is_known() -> None:
    # Trial customers are seen for 10 days, then customers imported at day 300.
    curve = survival.kaplan_meier(Counts.of([0, 2, 10, 300, 310], [5, 0, 0, 5, 0], [0, 1, 0, 0, 2], [0, 0, 4, 0, 3]))
    assert curve.until == 10 and "nobody was under observation" in curve.stops
    assert curve.survival_at(10).value == pytest.approx(0.8)
    assert curve.survival_at(11) == NO_ESTIMATE
    assert curve.restricted_mean(200) is None
    assert curve.median.value is None and curve.median.high is None


def test_two_early_customers_who_leave_do_not_take_all_later_ones_with_them() -> None:
    # Only two were seen from the start; both left by day 4. A hundred seen from day 30 on cannot tell what came before.
    curve = survival.kaplan_meier(Counts.of([0, 1, 3, 4, 40], [2, 0, 100, 0, 0], [0, 1, 1, 0, 10], [0, 0, 0, 0, 90]))
    assert curve.survival[-1] == 0
    assert curve.until == 2 and "all at risk left at tenure 3" in curve.stops
    assert curve.survival_at(2).value == 0.5
    assert curve.survival_at(40) == NO_ESTIMATE


def test_nobody_at_all_is_no_curve() -> None:
    curve = survival.kaplan_meier(Counts.of([], [], [], []))
    assert (curve.since, curve.until, curve.median) == (None, None, NO_ESTIMATE)
    assert curve.survival_at(0) == NO_ESTIMATE and curve.restricted_mean(5) is None


def test_a_median_not_reached_is_none_and_so_is_its_upper_end() -> None:
    curve = survival.kaplan_meier(Counts.of([0, 3, 7], [100, 0, 0], [0, 45, 0], [0, 0, 55]))
    # 45 % left on day 3, give or take ten points: half may have, so the lower end is day 3.
    assert curve.median == (None, 3, None)
    assert curve.quantile(0.75) == (3, 3, 3)


@given(lives(), st.integers(1, 14))
def test_the_restricted_mean_is_the_area_added_day_by_day(base: list[Life], until: int) -> None:
    curve = survival.kaplan_meier(counted(base))
    mean = curve.restricted_mean(until)
    if mean is None:
        assert curve.since is None or curve.until is None or curve.since >= until or curve.until < until
        return
    assert curve.since is not None
    area = sum(stay(base, t) for t in range(curve.since, until))
    assert mean.value == pytest.approx(float(area), abs=1e-12)
    variance = Fraction(0)
    for t in range(until):
        n, d = at_risk(base, t), leavers(base, t)
        if n > d:
            right = sum(stay(base, u) for u in range(max(t, curve.since), until))
            variance += Fraction(d, n * (n - d)) * right**2
    assert mean.standard_error == pytest.approx(math.sqrt(variance), abs=1e-12)
    assert 0 <= mean.low <= mean.value <= mean.high <= until - curve.since


@given(lives(truncated=False))
def test_without_censoring_the_restricted_mean_is_the_plain_mean_with_its_plain_error(base: list[Life]) -> None:
    tenures = [end for _, end, _ in base]
    mean = survival.kaplan_meier(counted([(0, end, True) for end in tenures])).restricted_mean(13)
    assert mean is not None
    assert mean.value == pytest.approx(np.mean(tenures))
    assert mean.standard_error == pytest.approx(np.std(tenures) / math.sqrt(len(tenures)), abs=1e-12)


def test_a_share_outside_zero_and_one_has_no_quantile() -> None:
    with pytest.raises(BadInput, match="the median is"):
        survival.kaplan_meier(Counts.of([0], [1], [0], [1])).quantile(50)


# ---------------------------------------------------------------------------------------------------------------------
# Life table and hazard


def test_a_life_table_reads_as_worked_by_hand() -> None:
    # 100 begin. Days 1-30: 10 leave, 20 withdrawn. Days 31-60: 30 come on day 40, 14 leave, 86 withdrawn on day 60.
    counts = Counts.of([0, 15, 30, 40, 50, 60], [100, 0, 0, 30, 0, 0], [0, 4, 6, 0, 14, 0], [0, 20, 0, 0, 0, 86])
    first, second = survival.life_table(counts, width=30)
    assert (first.start, first.end, first.entering, first.late) == (0, 30, 100, 0)
    assert (first.events, first.withdrawn) == (10, 20)
    assert first.effective == 90 and first.leaves.value == pytest.approx(1 / 9)
    assert first.leaves[1:] == wilson_effective(1 / 9, 90)
    assert first.exposure == 100 * 15 + 76 * 15
    assert first.hazard == poisson_exact(10, 2640)
    assert (second.entering, second.late, second.events, second.withdrawn) == (70, 30, 14, 86)
    assert second.effective == 70 + 15 - 43 and second.leaves.value == pytest.approx(14 / 42)
    assert second.survival == pytest.approx(8 / 9 * 2 / 3)
    # Greenwood: sqrt(10/(90 x 80) + 14/(42 x 28))
    assert second.survival_error == pytest.approx(8 / 9 * 2 / 3 * math.sqrt(10 / 7200 + 14 / 1176))
    assert second.exposure == 70 * 10 + 100 * 10 + 86 * 10


def test_who_leaves_after_exactly_thirty_days_left_in_the_first_thirty() -> None:
    table = survival.life_table(Counts.of([0, 30, 31], [2, 0, 0], [0, 1, 1], [0, 0, 0]), width=30)
    assert [span.events for span in table] == [1, 1]


@given(lives(), st.integers(1, 6))
def test_a_life_table_adds_up_to_its_customers(base: list[Life], width: int) -> None:
    counts = counted(base)
    table = survival.life_table(counts, width)
    assert sum(span.events for span in table) == sum(left for *_, left in base)
    assert sum(span.withdrawn for span in table) == sum(not left for *_, left in base)
    assert sum(span.exposure for span in table) == sum(end - begin for begin, end, _ in base)
    for span, following in zip(table, [*table[1:], None], strict=True):
        newcomers = sum(begin == span.end for begin, *_ in base)
        left_over = span.entering + span.late - span.events - span.withdrawn + newcomers
        assert left_over == (following.entering if following else 0)
        begins = [life for life in base if life[0] <= span.start and (life[1] > span.start or span.start == 0)]
        assert span.entering == len(begins)


@given(lives(truncated=False))
def test_with_spans_of_one_day_and_nobody_censored_the_life_table_is_the_curve(base: list[Life]) -> None:
    everybody_leaves = [(0, max(1, end), True) for _, end, _ in base]
    curve = survival.kaplan_meier(counted(everybody_leaves))
    for span in survival.life_table(counted(everybody_leaves), width=1):
        assert span.survival == pytest.approx(curve.survival_at(span.end).value, abs=1e-13)


def test_a_span_that_nobody_lived_in_has_no_hazard_and_ends_the_table_of_survival() -> None:
    table = survival.life_table(Counts.of([0, 5, 20, 25], [5, 0, 5, 0], [0, 1, 0, 1], [0, 4, 0, 4]), width=5)
    assert [span.survival is None for span in table] == [False, True, True, True, True]
    assert table[1].hazard == NO_ESTIMATE and table[1].leaves == NO_ESTIMATE
    assert table[4].leaves.value == pytest.approx(1 / 3)


def test_all_leaving_early_does_not_speak_for_those_who_were_seen_later() -> None:
    table = survival.life_table(Counts.of([0, 2, 10, 12], [1, 0, 9, 0], [0, 1, 0, 3], [0, 0, 0, 6]), width=5)
    assert [span.survival for span in table] == [None, None, None]


def test_a_hazard_by_tenure_has_an_interval_where_somebody_lived() -> None:
    first, second = survival.hazard_by_tenure([3, 0], [120, 0])
    assert first == poisson_exact(3, 120) and second == NO_ESTIMATE


def test_no_customers_are_no_table_and_a_span_is_at_least_one_day() -> None:
    assert survival.life_table(Counts.of([], [], [], []), 30) == []
    with pytest.raises(BadInput, match="at least 1"):
        survival.life_table(Counts.of([0], [1], [0], [1]), 0)


# ---------------------------------------------------------------------------------------------------------------------
# Groups


def log_rank_by_hand(groups: list[list[Life]]) -> tuple[list[Fraction], list[list[Fraction]]]:
    """Observed - expected and its covariance in exact fractions, tenure by tenure, pair by pair."""
    k = len(groups)
    difference = [Fraction(0)] * k
    covariance = [[Fraction(0)] * k for _ in range(k)]
    for t in range(20):
        n, d = [at_risk(g, t) for g in groups], [leavers(g, t) for g in groups]
        all_n, all_d = sum(n), sum(d)
        if not all_d:
            continue
        for i in range(k):
            difference[i] += d[i] - Fraction(all_d * n[i], all_n)
            for j in range(k):
                if all_n > 1:
                    ties = Fraction(all_d * (all_n - all_d), all_n - 1)
                    covariance[i][j] += ties * Fraction(n[i], all_n) * ((i == j) - Fraction(n[j], all_n))
    return difference, covariance


@given(lives(), lives())
def test_the_log_rank_test_of_two_groups_is_the_difference_squared_over_its_variance(
    one: list[Life], other: list[Life]
) -> None:
    (difference, _), ((variance, _), _) = log_rank_by_hand([one, other])
    test = survival.log_rank({"one": counted(one), "other": counted(other)})
    if variance == 0:
        assert (test.chi2, test.df, test.p) == (None, 0, None)
    else:
        assert test.df == 1
        assert test.chi2 == pytest.approx(float(difference**2 / variance), abs=1e-9)
        assert test.p == pytest.approx(math.erfc(math.sqrt(difference**2 / variance / 2)), abs=1e-9)
    assert sum(test.expected.values()) == pytest.approx(sum(test.observed.values()))


@given(lives(), lives(), lives())
def test_the_log_rank_test_of_three_groups_solves_the_exact_equations(
    a: list[Life], b: list[Life], c: list[Life]
) -> None:
    (x, y, _), ((p, q, _), (_, r, _), _) = log_rank_by_hand([a, b, c])
    determinant = p * r - q * q
    assume(determinant > 0)
    test = survival.log_rank({"a": counted(a), "b": counted(b), "c": counted(c)})
    # Cramer's rule for the 2 x 2 that is left when one group is dropped.
    chi2 = float((x * (r * x - q * y) + y * (p * y - q * x)) / determinant)
    assert test.df == 2
    assert test.chi2 == pytest.approx(chi2, rel=1e-7, abs=1e-9)


def test_a_group_that_was_never_at_risk_beside_another_is_not_tested() -> None:
    early, late = counted([(0, 3, True)] * 5), counted([(5, 9, True)] * 5)
    assert survival.log_rank({"early": early, "late": late}).df == 0
    nobody = Counts.of([], [], [], [])
    third = counted([(0, 3, True)] * 3 + [(0, 6, False)] * 4)
    with_nobody = survival.log_rank({"early": early, "third": third, "nobody": nobody})
    without = survival.log_rank({"early": early, "third": third})
    assert with_nobody.df == 1
    assert with_nobody.chi2 == pytest.approx(without.chi2)
    assert with_nobody.expected["nobody"] == 0


def test_no_groups_and_no_leavers_are_no_test() -> None:
    assert survival.log_rank({}).chi2 is None
    assert survival.log_rank({"a": counted([(0, 3, False)]), "b": counted([(0, 4, False)])}).p is None


# ---------------------------------------------------------------------------------------------------------------------
# Kinds of leaving

kinds = st.lists(
    st.tuples(st.integers(0, 6), st.integers(1, 12), st.sampled_from(["voluntary", "involuntary", "unknown", ""])).map(
        lambda life: (min(life[0], life[1] - 1), life[1], life[2])
    ),
    min_size=1,
    max_size=30,
)


def incidence(base: list[tuple[int, int, str]], level: float = 0.95) -> survival.CumulativeIncidence:
    begin = np.array([b for b, *_ in base])
    end = np.array([e for _, e, _ in base])
    kind = np.array([k for *_, k in base])
    none = np.zeros(len(base), dtype=int)
    return survival.cumulative_incidence(
        np.concatenate([begin, end]),
        entries=np.concatenate([none + 1, none]),
        censored=np.concatenate([none, kind == ""]),
        events={name: np.concatenate([none, kind == name]) for name in ("voluntary", "involuntary", "unknown")},
        level=level,
    )


@given(kinds)
def test_those_lost_to_each_kind_and_those_still_here_are_all(base: list[tuple[int, int, str]]) -> None:
    found = incidence(base)
    total = found.curve.survival + sum(one.share for one in found.kinds.values())
    assert total == pytest.approx(1.0, abs=1e-12)
    for one in found.kinds.values():
        assert (np.diff(one.share) >= 0).all()
        assert (one.low <= one.share + 1e-12).all() and (one.high >= one.share - 1e-12).all()


@given(kinds)
def test_the_incidence_is_the_chance_to_be_here_times_the_chance_to_be_lost_that_day(
    base: list[tuple[int, int, str]],
) -> None:
    plain = [(begin, end, kind != "") for begin, end, kind in base]
    found = incidence(base).kinds["involuntary"]
    share = Fraction(0)
    for t, got in zip(incidence(base).curve.time, found.share, strict=True):
        lost = sum(kind == "involuntary" and end == t for _, end, kind in base)
        if n := at_risk(plain, int(t)):
            share += (stay(plain, int(t) - 1) if t else Fraction(1)) * Fraction(lost, n)
        assert got == pytest.approx(float(share), abs=1e-13)


@given(lives())
def test_with_one_kind_only_the_variance_is_greenwoods(base: list[Life]) -> None:
    curve = survival.kaplan_meier(counted(base))
    rows = [(begin, 1, 0, 0) for begin, *_ in base] + [(end, 0, int(left), int(not left)) for _, end, left in base]
    time, entries, events, censored = zip(*rows, strict=True)
    found = survival.cumulative_incidence(time, entries, censored, {"any": events}).kinds["any"]
    assert found.share == pytest.approx(1 - curve.survival, abs=1e-13)
    assert found.variance == pytest.approx(curve.survival**2 * curve.greenwood, abs=1e-12)


def test_the_variance_of_an_incidence_is_what_repeated_companies_show() -> None:
    """1,000 companies of 200 customers, with ties and truncated entry: the estimate spreads as its error says."""
    rng = np.random.default_rng(8)
    estimates, variances = [], []
    for _ in range(1000):
        begin = np.where(rng.random(200) < 0.3, rng.integers(1, 4, 200), 0)
        leaves_at = rng.geometric(0.12, 200)
        kind = np.where(rng.random(200) < 0.3, "involuntary", "voluntary")
        ends = rng.integers(3, 13, 200)
        seen = (leaves_at > begin) & (ends > begin)
        end = np.minimum(leaves_at, ends)[seen]
        kind = np.where(leaves_at <= ends, kind, "")[seen]
        found = incidence(list(zip(begin[seen].tolist(), end.tolist(), kind.tolist(), strict=True)))
        place = int(found.curve.time.searchsorted(8, side="right")) - 1
        estimates.append(found.kinds["involuntary"].share[place])
        variances.append(found.kinds["involuntary"].variance[place])
    # Truth: .3 of those gone by month 8, 1 - .88^8; the Monte Carlo error of a variance from 1,000 is 4.5 %.
    assert np.mean(estimates) == pytest.approx(0.3 * (1 - 0.88**8), abs=0.004)
    assert np.mean(variances) == pytest.approx(np.var(estimates), rel=0.12)


def test_treating_the_other_kinds_as_censored_would_add_up_to_more_than_all() -> None:
    base = [(0, 1, "voluntary")] * 5 + [(0, 2, "involuntary")] * 5
    found = incidence(base)
    assert found.share_at("voluntary", 2).value == pytest.approx(0.5)
    assert found.share_at("involuntary", 2).value == pytest.approx(0.5)
    apart = [1 - float(stay([(b, e, k == kind) for b, e, k in base], 2)) for kind in ("voluntary", "involuntary")]
    assert sum(apart) == pytest.approx(1.5)


def test_an_incidence_is_unknown_where_the_curve_is() -> None:
    found = incidence([(0, 4, "voluntary"), (0, 6, "")])
    assert found.share_at("voluntary", 6).value == 0.5
    assert found.share_at("voluntary", 7) == NO_ESTIMATE


@pytest.mark.parametrize(
    ("events", "part"),
    [({}, "at least one kind"), ({"a": [1]}, "one count per tenure and kind"), ({"a": [0, -1]}, "not negative")],
)
def test_kinds_of_leaving_that_do_not_fit_are_refused(events: dict[str, list[int]], part: str) -> None:
    with pytest.raises(BadInput, match=part):
        survival.cumulative_incidence([0, 1], [1, 0], [0, 1], events)


# ---------------------------------------------------------------------------------------------------------------------
# Cohorts


def test_a_cohort_triangle_leaves_the_future_empty_and_a_lost_cohort_at_zero() -> None:
    triangle = survival.cohort_triangle(
        [(1, 0, 100), (1, 1, 80), (1, 2, 30), (1, 2, 30), (2, 0, 50), (3, 0, 40)], last=3
    )
    assert triangle.cohorts == (1, 2, 3) and list(triangle.ages) == [0, 1, 2]
    # Cohort 2 has no row at age 1, though that month was observed: all had left.
    assert triangle.values == ((100, 80, 60), (50, 0, None), (40, None, None))
    assert triangle.shares == ((1.0, 0.8, 0.6), (1.0, 0.0, None), (1.0, None, None))
    # At age 1: (80 + 0) / (100 + 50); at age 2 only the first cohort can know.
    assert [triangle.average(age) for age in triangle.ages] == pytest.approx([1.0, 80 / 150, 0.6])


def test_a_month_still_running_is_not_counted_as_lost() -> None:
    rows = [(1, 0, 100), (1, 1, 80), (1, 2, 3), (2, 0, 50), (2, 1, 2), (3, 0, 1)]
    triangle = survival.cohort_triangle(rows, last=2)
    assert triangle.values == ((100, 80), (50, None))


def test_cohorts_older_than_history_have_no_share_unless_their_size_is_known() -> None:
    rows = [(1, 2, 60), (1, 3, 50), (3, 0, 40), (3, 1, 40), (4, 0, 9)]
    triangle = survival.cohort_triangle(rows, first=3, last=4)
    assert triangle.sizes == (None, 40, 9)
    assert triangle.values[0] == (None, None, 60, 50)
    assert triangle.shares[0] == (None, None, None, None)
    assert triangle.average(2) is None
    known = survival.cohort_triangle(rows, first=3, last=4, sizes={1: 120})
    assert known.shares[0] == (None, None, 0.5, pytest.approx(50 / 120))


def test_customers_who_come_back_lift_their_first_cohort() -> None:
    assert survival.cohort_triangle([(1, 0, 10), (1, 1, 4), (1, 2, 6)]).shares == ((1.0, 0.4, 0.6),)


def test_no_rows_are_no_cohorts_and_nobody_is_here_before_coming() -> None:
    empty = survival.cohort_triangle([])
    assert empty.cohorts == () and list(empty.ages) == []
    with pytest.raises(BadInput, match="age -1"):
        survival.cohort_triangle([(3, -1, 5)])


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 99)), min_size=1, max_size=40))
def test_every_cell_of_a_triangle_is_the_sum_of_its_rows_or_none_in_the_future(
    rows: list[tuple[int, int, int]],
) -> None:
    triangle = survival.cohort_triangle(rows)
    last = max(cohort + age for cohort, age, _ in rows)
    for cohort, row in zip(triangle.cohorts, triangle.values, strict=True):
        for age, value in enumerate(row):
            if cohort + age > last:
                assert value is None
            else:
                assert value == sum(v for c, a, v in rows if (c, a) == (cohort, age))
    assert sum(value for row in triangle.values for value in row if value is not None) == sum(v for *_, v in rows)
