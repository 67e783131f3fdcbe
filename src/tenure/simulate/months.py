"""When does a customer's billing period begin? Months counted from the window's first, and anchors within them.

Month 0 is the first calendar month of the window, month -1 the one before it. Instants are int64 microseconds since
1970 in UTC; NEVER stands for "no instant". A customer who began on the 31st is billed on the last day of a shorter
month.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import ArrayLike

from tenure.simulate.chance import Numbers

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NEVER = np.iinfo(np.int64).min


def day_start(day: date) -> int:
    """Midnight UTC of a day."""
    return (day - date(1970, 1, 1)).days * DAY


class Months:
    """The calendar of one window: `months` calendar months, the last one cut after the day `until`."""

    def __init__(self, until: date, months: int) -> None:
        self.count = months
        last = until.year * 12 + until.month - 1
        self.first_month = last - months + 1
        self._origin = np.datetime64(f"{self.first_month // 12:04d}-{self.first_month % 12 + 1:02d}", "M")
        self._low = -80
        # The tables reach far beyond the window, for what began before it and what is planned after it.
        at = self._origin + np.arange(self._low, months + 40).astype("timedelta64[M]")
        self._starts = at.astype("datetime64[us]").astype(np.int64)
        self.start_of_window = int(self.start(0)[0])
        self.end_of_window = day_start(until) + DAY

    def start(self, month: ArrayLike) -> Numbers:
        """The first instant of a month."""
        return self._starts[np.atleast_1d(np.asarray(month, dtype=np.int64)) - self._low]

    def days(self, month: ArrayLike) -> Numbers:
        """How many days a month has."""
        at = np.atleast_1d(np.asarray(month, dtype=np.int64)) - self._low
        return (self._starts[at + 1] - self._starts[at]) // DAY

    def of(self, instant: ArrayLike) -> Numbers:
        """The month an instant lies in."""
        return np.searchsorted(self._starts, np.asarray(instant, dtype=np.int64), side="right") - 1 + self._low

    def anchor(self, month: ArrayLike, day: Numbers, time_of_day: Numbers) -> Numbers:
        """When the billing period of a month begins, for customers billed on `day` (1 to 31) at `time_of_day`."""
        return self.start(month) + (np.minimum(day, self.days(month)) - 1) * DAY + time_of_day

    def first_day(self, month: int) -> date:
        """The first day of a month as a date."""
        at = self.first_month + month
        return date(at // 12, at % 12 + 1, 1)
