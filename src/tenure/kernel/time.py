"""When does a day, month or year begin and end? Instants in UTC, spans half-open, calendars in the company's zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from tenure.errors import BadPeriod, UnknownZone

__all__ = ["GRAINS", "UTC", "Period", "Span", "add_months", "instant", "offsets", "periods", "whole", "zone"]

GRAINS = ("day", "week", "month", "quarter", "year")
PER_YEAR = {"day": 365.0, "week": 365.0 / 7, "month": 12.0, "quarter": 4.0, "year": 1.0}


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UnknownZone(
            f"'{name}' is not a time zone; use an IANA name such as Asia/Bangkok, Europe/Berlin or UTC"
        ) from None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time from `start` up to but not including `end`, both UTC."""

    start: datetime
    end: datetime

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class Period:
    """One reporting period: UTC instants of its start and (exclusive) end, its first and last+1 day in the zone."""

    start: datetime
    end: datetime
    first: date
    after: date
    grain: str

    @property
    def label(self) -> str:
        """A short name that sorts: 2026-01, 2026-Q1, 2026-W03, 2026-01-31."""
        return label(self.first, self.grain)


def months_of(period: Period) -> float:
    """How many months a period has: calendar months where it begins and ends with one, else days of a 365-day year."""
    if period.grain in PER_YEAR:
        return 12.0 / PER_YEAR[period.grain]
    if period.first.day == period.after.day == 1:
        return 12.0 * (period.after.year - period.first.year) + period.after.month - period.first.month
    return (period.after - period.first).days * 12 / 365


def label(first: date, grain: str) -> str:
    """The name of the period of `grain` that begins on day `first`."""
    if grain == "year":
        return f"{first.year:04d}"
    if grain == "quarter":
        return f"{first.year:04d}-Q{(first.month + 2) // 3}"
    if grain == "month":
        return f"{first.year:04d}-{first.month:02d}"
    if grain == "week":
        year, week, _ = first.isocalendar()
        return f"{year:04d}-W{week:02d}"
    return first.isoformat()


def midnight(day: date, tz: ZoneInfo) -> datetime:
    """The UTC instant at which `day` begins in `tz` (the first instant after, where a clock skips it)."""
    return datetime(day.year, day.month, day.day, tzinfo=tz).astimezone(UTC)


def add_months(day: date, months: int) -> date:
    """The same day `months` later, or the last day of that month where it is shorter."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    if not 1 <= year <= 9999:
        raise BadPeriod(f"{day} and {months} months is outside the years 1 to 9999")
    last = 31 if month == 11 else (date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month + 1, min(day.day, last))


def floor_day(day: date, grain: str) -> date:
    """The first day of the period of `grain` that holds `day`; weeks begin on Monday."""
    if grain == "day":
        return day
    if grain == "week":
        return day - timedelta(days=day.weekday())
    if grain == "month":
        return day.replace(day=1)
    if grain == "quarter":
        return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
    if grain == "year":
        return date(day.year, 1, 1)
    raise BadPeriod(f"'{grain}' is not a period; use one of {', '.join(GRAINS)}")


def next_day(first: date, grain: str) -> date:
    """The first day of the period after the one that begins on `first`."""
    if grain == "day":
        return first + timedelta(days=1)
    if grain == "week":
        return first + timedelta(days=7)
    return add_months(first, {"month": 1, "quarter": 3, "year": 12}[grain])


_WHOLE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?|-[Qq]([1-4])|-[Ww](\d{2}))?")


def whole_days(text: str) -> tuple[date, date]:
    """The first day and the day after the last of what `text` names: 2026, 2026-Q1, 2026-01, 2026-W05 or 2026-01-31."""
    match = _WHOLE.fullmatch(text.strip())
    if match is None:
        raise BadPeriod(f"'{text}' is not a date, month or year; write it like 2026-01-31, 2026-01 or 2026")
    year, month, day, quarter, week = (int(part) if part else None for part in match.groups())
    assert year is not None
    try:
        if week:
            first = date.fromisocalendar(year, week, 1)
            return first, first + timedelta(days=7)
        if quarter:
            first = date(year, 3 * quarter - 2, 1)
            return first, add_months(first, 3)
        if day:
            first = date(year, month or 1, day)
            return first, first + timedelta(days=1)
        if month:
            first = date(year, month, 1)
            return first, add_months(first, 1)
        first = date(year, 1, 1)
        return first, add_months(first, 12)
    except (ValueError, OverflowError) as error:
        raise BadPeriod(f"'{text}' is not in the calendar ({error}); write it like 2026-01-31") from None


def whole(text: str, tz: ZoneInfo) -> Span:
    """What `text` names, whole: `2026-01` is all of January in the zone, as UTC instants."""
    first, after = whole_days(text)
    return Span(midnight(first, tz), midnight(after, tz))


STRETCH = "stretch"  # the grain of one period of any length


def periods(first: date, after: date, grain: str, tz: ZoneInfo) -> list[Period]:
    """The periods of `grain` that cover the days [first, after), whole: the first one begins at or before `first`.

    With the grain STRETCH the days are one period as they are.
    """
    if grain == STRETCH and first < after:
        return [Period(midnight(first, tz), midnight(after, tz), first, after, grain)]
    if grain not in GRAINS:
        raise BadPeriod(f"'{grain}' is not a period; use one of {', '.join(GRAINS)}")
    if first >= after:
        raise BadPeriod(f"the period ends ({after}) before it begins ({first}); swap --from and --to")
    found = []
    day = floor_day(first, grain)
    while day < after:
        following = next_day(day, grain)
        found.append(Period(midnight(day, tz), midnight(following, tz), day, following, grain))
        day = following
    return found


def instant(text: str, tz: ZoneInfo) -> datetime:
    """A moment written as ISO 8601 text, in `tz` where it names no offset of its own, as UTC."""
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadPeriod(f"'{text}' is not a time; write it like 2026-01-31T17:30:00+07:00") from None
    return (value if value.tzinfo else value.replace(tzinfo=tz)).astimezone(UTC)


@lru_cache(maxsize=256)
def offsets(tz: ZoneInfo, since: datetime, until: datetime) -> tuple[tuple[datetime | None, timedelta], ...]:
    """The zone's offsets from UTC over a stretch of time: (from this instant on, offset), the first from None.

    Found by bisection over monthly steps, so that a zone's rules need not be known: a zone that changes twice within
    one such step and back would be missed, and none does.
    """
    step = timedelta(days=20)
    found: list[tuple[datetime | None, timedelta]] = []
    at = since
    offset = _offset(at, tz)
    found.append((None, offset))
    while at < until:
        following = min(at + step, until)
        if _offset(following, tz) != offset:
            low, high = at, following
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                if _offset(middle, tz) == offset:
                    low = middle
                else:
                    high = middle
            change = high.replace(microsecond=0)
            offset = _offset(high, tz)
            found.append((change, offset))
            at = high
        else:
            at = following
    return tuple(found)


def _offset(at: datetime, tz: ZoneInfo) -> timedelta:
    value = at.astimezone(tz).utcoffset()
    assert value is not None
    return value
