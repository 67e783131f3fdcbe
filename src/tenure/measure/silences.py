"""Is this silence an outage, or does nothing ever happen on Sundays? Gaps in a stream, judged by its own rhythm.

A stream has the finest rhythm that it keeps: days (at least one weekday on which most weeks have an event), else weeks,
else months; what keeps none has no gaps, only few events. A stretch without an event is a gap when the like stretches
before it and after it make it too unlikely: for each day the same weekday of the eight weeks on either side (weeks:
eight, months: twelve), the chance of no event as the negative binomial with their mean and variance has it, never less
than the share of them that were silent too; of either side, and of the nearest of both, whichever is kindest; and the
chances of the stretch multiplied. So weekends, slow seasons and bursts are no gaps, nor are days off that come oftener
than once in two months, nor the quiet beginning of a stream, before which there is nothing to compare with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import fmean, variance

DAY, WEEK, MONTH = "day", "week", "month"
KEEPS = 0.7  # share of weeks (or of weeks within months, or of months) that makes a rhythm
CHANCE = 0.01  # that a stream without any outage is said to have one, over all its life
NEIGHBOURS = {DAY: 8, WEEK: 8, MONTH: 12}
LOUD = 0.5  # a unit whose silence is less likely than this is one that usually speaks
HABIT = 60  # silences that come oftener than once in so many units are the stream's habit
FEWEST = 3  # like stretches to compare with, on a side


@dataclass(frozen=True, slots=True)
class Silence:
    """The days [first, after) without an event, of which `expected` would be usual; is_last: nothing came after it."""

    first: date
    after: date
    expected: float
    is_last: bool = False

    @property
    def days(self) -> int:
        """How many days."""
        return (self.after - self.first).days


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a stream speaks: its unit ('' where it keeps none), what is usual in one, and its gaps."""

    unit: str
    usual: float
    gaps: tuple[Silence, ...] = ()


def rhythm(counts: Mapping[date, int], until: date) -> Rhythm:
    """The rhythm and the gaps of a stream told by its events a day, up to (not including) `until`.

    >>> from datetime import date, timedelta
    >>> days = [date(2025, 1, 1) + timedelta(days=i) for i in range(120)]
    >>> workdays = {day: 9 for day in days if day.weekday() < 5 and not date(2025, 3, 3) <= day < date(2025, 3, 13)}
    >>> (gap,) = rhythm(workdays, date(2025, 5, 1)).gaps
    >>> gap.first.isoformat(), gap.after.isoformat(), gap.expected
    ('2025-03-03', '2025-03-13', 72.0)
    """
    spoken = {day: n for day, n in counts.items() if n > 0 and day < until}
    if not spoken:
        return Rhythm("", 0.0)
    first = min(spoken)
    for unit in (DAY, WEEK, MONTH):
        starts = _starts(first, until, unit)
        series = _series(spoken, starts)
        if len(starts) > 2 * FEWEST + 1 and _keeps(spoken, series, starts, unit):
            usual = fmean(series[:-1]) if len(series) > 1 else float(series[0])
            return Rhythm(unit, usual, tuple(_gaps(series, starts, unit)))
    return Rhythm("", 0.0)


def _starts(first: date, until: date, unit: str) -> list[date]:
    """Where each unit begins, and where the last whole one ends."""
    if unit == DAY:
        return [first + timedelta(days=i) for i in range((until - first).days + 1)]
    found = [first - timedelta(days=first.weekday()) if unit == WEEK else first.replace(day=1)]
    while True:
        last = found[-1]
        following = last + timedelta(days=7) if unit == WEEK else (last + timedelta(days=32)).replace(day=1)
        if following > until:
            return found
        found.append(following)


def _series(spoken: Mapping[date, int], starts: Sequence[date]) -> list[int]:
    """Events in each unit."""
    series = [0] * (len(starts) - 1)
    place = 0
    for day in sorted(spoken):
        while place < len(series) and day >= starts[place + 1]:
            place += 1
        if place < len(series):
            series[place] += spoken[day]
    return series


def _keeps(spoken: Mapping[date, int], series: Sequence[int], starts: Sequence[date], unit: str) -> bool:
    if unit == DAY:
        weeks = {day - timedelta(days=day.weekday()) for day in spoken}
        per_weekday = [len({day for day in spoken if day.weekday() == w}) for w in range(7)]
        return max(per_weekday) / len(weeks) >= KEEPS
    if unit == WEEK:
        months = {(day.year, day.month) for day in spoken}
        within = [n for start, n in zip(starts, series, strict=False) if (start.year, start.month) in months]
        return bool(within) and sum(n > 0 for n in within) / len(within) >= KEEPS
    return sum(n > 0 for n in series) / len(series) >= KEEPS


def _gaps(series: Sequence[int], starts: Sequence[date], unit: str) -> list[Silence]:
    """Runs of silent units that are too unlikely; looked at twice, the second time without the gaps of the first."""
    silent: set[int] = set()
    found: list[Silence] = []
    for _ in range(2):
        judged = [
            (begin, end, [_compared(series, i, unit, silent | set(range(begin, end))) for i in range(begin, end)])
            for begin, end in _runs(series)
        ]
        habit = _habit([[chance for chance, _ in run] for _, _, run in judged], len(series))
        found = []
        for begin, end, run in judged:
            if sum(math.log(max(chance, habit)) for chance, _ in run) > math.log(CHANCE / len(series)):
                continue
            # What is silent anyway, such as the weekend before an outage, is not part of it.
            loud = [begin + i for i, (chance, _) in enumerate(run) if chance < LOUD]
            first, last = loud[0], loud[-1] + 1
            expected = sum(usual for _, usual in run)
            found.append(Silence(starts[first], starts[last], expected, is_last=end == len(series)))
        silent = {i for begin, end, _ in judged for i in range(begin, end) if any(_in(gap, starts[i]) for gap in found)}
    return found


def _in(gap: Silence, day: date) -> bool:
    return gap.first <= day < gap.after


def _habit(runs: Sequence[Sequence[float]], units: int) -> float:
    """The share of units that are silent although they are not likely to be, where that happens every other month."""
    loud = [sum(chance < LOUD for chance in run) for run in runs]
    often = sum(n > 0 for n in loud) > max(units / HABIT, FEWEST)
    return sum(loud) / units if often else 0.0


def _runs(series: Sequence[int]) -> list[tuple[int, int]]:
    found, begin = [], None
    for i, n in enumerate([*series, 1]):
        if n == 0 and begin is None:
            begin = i
        elif n and begin is not None:
            found.append((begin, i))
            begin = None
    return found


def _compared(series: Sequence[int], i: int, unit: str, left_out: set[int]) -> tuple[float, float]:
    """(chance of silence, usual number) of one unit, by its like before and after; 1 where nothing can be compared."""
    step, wanted = 7 if unit == DAY else 1, NEIGHBOURS[unit]
    before = _likes(series, range(i - step, -1, -step), wanted, left_out)
    after = _likes(series, range(i + step, len(series), step), wanted, left_out)
    if len(before) < FEWEST:
        return 1.0, 0.0
    near = [*before[: wanted // 2], *after[: wanted // 2]]
    sides = [side for side in (before, after, near) if len(side) >= FEWEST]
    return max(_no_event(side) for side in sides), fmean([*before, *after])


def _likes(series: Sequence[int], places: range, wanted: int, left_out: set[int]) -> list[int]:
    found: list[int] = []
    for place in places:
        if place not in left_out:
            found.append(series[place])
            if len(found) == wanted:
                break
    return found


def _no_event(likes: Sequence[int]) -> float:
    """The chance of no event: the negative binomial of these numbers' mean and variance; at least their share of 0."""
    mean = fmean(likes)
    if not mean:
        return 1.0
    spread = variance(likes)
    if spread > mean:
        size = mean * mean / (spread - mean)
        logs = size * math.log(size / (size + mean))
    else:
        logs = -mean
    return max(math.exp(max(logs, -600.0)), sum(n == 0 for n in likes) / len(likes), 1e-250)
