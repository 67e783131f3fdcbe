"""Which silences are outages? Streams whose rhythm, and whose outages, we chose."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.measure.silences import Rhythm, rhythm

FIRST = date(2024, 1, 1)  # a Monday


def told(numbers: list[int] | np.ndarray, without: tuple[date, date] | None = None) -> dict[date, int]:
    days = {FIRST + timedelta(days=i): int(n) for i, n in enumerate(numbers)}
    return {day: n for day, n in days.items() if n and not (without and without[0] <= day < without[1])}


def until(numbers: list[int] | np.ndarray) -> date:
    return FIRST + timedelta(days=len(numbers))


def spans(found: Rhythm) -> list[tuple[date, date]]:
    return [(gap.first, gap.after) for gap in found.gaps]


def test_a_weekend_is_no_gap_and_three_workdays_are() -> None:
    numbers = ([20] * 5 + [0, 0]) * 40
    assert rhythm(told(numbers), until(numbers)) == Rhythm("day", rhythm(told(numbers), until(numbers)).usual)
    out = (date(2024, 6, 8), date(2024, 6, 13))  # from a Saturday to a Wednesday
    found = rhythm(told(numbers, out), until(numbers))
    assert spans(found) == [(date(2024, 6, 10), date(2024, 6, 13))]
    assert found.gaps[0].expected == 60 and found.gaps[0].days == 3 and not found.gaps[0].is_last


def test_a_stream_that_stops_has_a_gap_to_the_end() -> None:
    numbers = [30] * 200
    found = rhythm(told(numbers[:150]), until(numbers))
    assert spans(found) == [(FIRST + timedelta(days=150), until(numbers))]
    assert found.gaps[0].is_last


def test_bills_of_the_first_of_the_month_keep_months_and_a_month_without_any_is_a_gap() -> None:
    firsts = {date(2022 + m // 12, m % 12 + 1, 1): 40 + m for m in range(30) if m != 17}
    found = rhythm(firsts, date(2024, 7, 1))
    assert (found.unit, spans(found)) == ("month", [(date(2023, 6, 1), date(2023, 7, 1))])


def test_a_report_a_week_keeps_weeks_or_its_weekday() -> None:
    tuesdays = {FIRST + timedelta(days=1 + 7 * week): 5 for week in range(60) if week not in (40, 41, 42)}
    found = rhythm(tuesdays, date(2025, 2, 24))
    assert found.unit == "day"
    ((first, after),) = spans(found)
    assert first == FIRST + timedelta(days=1 + 7 * 40) and after == FIRST + timedelta(days=1 + 7 * 42 + 1)
    rng = np.random.default_rng(1)
    any_day = {FIRST + timedelta(days=7 * week + int(rng.integers(0, 7))): 3 for week in range(60)}
    assert rhythm(any_day, date(2025, 2, 24)).unit == "week"


@pytest.mark.parametrize("numbers", [[], [1], [0, 0, 3], [1] + [0] * 400 + [1]])
def test_few_events_keep_no_rhythm_and_have_no_gaps(numbers: list[int]) -> None:
    assert rhythm(told(numbers), until(numbers)) == Rhythm("", 0.0)


@pytest.mark.parametrize(
    "kind", ["poisson 2", "poisson 30", "bursts", "weekends", "growth", "season", "decline", "sometimes a day off"]
)
def test_streams_without_an_outage_have_hardly_ever_a_gap(kind: str) -> None:
    rng = np.random.default_rng(7)
    day = np.arange(540)

    def stream() -> np.ndarray:
        if kind == "poisson 2":
            return rng.poisson(2, 540)
        if kind == "poisson 30":
            return rng.poisson(30, 540)
        if kind == "bursts":
            return rng.negative_binomial(0.4, 0.4 / 20.4, 540)
        if kind == "weekends":
            return rng.poisson(np.where(day % 7 < 5, 12, 0.3))
        if kind == "growth":
            return rng.poisson(0.2 * np.exp(day / 100))
        if kind == "season":
            return rng.poisson(8 + 7.5 * np.sin(day / 365 * 2 * np.pi))
        if kind == "decline":
            return rng.poisson(20 * np.exp(-day / 120))
        return rng.poisson(200, 540) * (rng.random(540) > 0.05)

    wrong = sum(bool(rhythm(told(numbers), until(numbers)).gaps) for numbers in (stream() for _ in range(150)))
    assert wrong <= 6, wrong  # one in a hundred is allowed; six of 150 have a chance of 0.2 % then


@pytest.mark.parametrize(("mean", "days"), [(5, 6), (30, 2), (1_000, 1)])
def test_outages_are_found_where_they_are(mean: int, days: int) -> None:
    rng = np.random.default_rng(11)
    found = 0
    for _ in range(50):
        numbers = rng.poisson(mean, 400)
        begin = int(rng.integers(60, 380))
        numbers[begin : begin + days] = 0
        first, after = FIRST + timedelta(days=begin), FIRST + timedelta(days=begin + days)
        found += any(a <= first and after <= b for a, b in spans(rhythm(told(numbers), until(numbers))))
    assert found >= 48


@given(
    numbers=st.lists(st.integers(0, 3) | st.sampled_from([0, 0, 50]), min_size=1, max_size=200), cut=st.integers(0, 9)
)
def test_no_gap_holds_an_event_and_gaps_neither_meet_nor_leave_the_stream(numbers: list[int], cut: int) -> None:
    days = told(numbers)
    end = until(numbers) - timedelta(days=min(cut, len(numbers) - 1))
    found = rhythm(days, end)
    last = FIRST
    for gap in found.gaps:
        assert last <= gap.first < gap.after <= end and gap.expected > 0
        assert not any(gap.first <= day < gap.after for day in days)
        last = gap.after
