"""What is it worth in the reporting currency? Dated rates, exactly, the last known one where a day has none."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tenure.errors import NoRate
from tenure.kernel.money import exponent
from tenure.kernel.time import midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import Dialect, day_number, from_day_number, from_micros

if TYPE_CHECKING:
    import pyarrow as pa

# Converted amounts are integers of 10^-16 of a 10^-6 minor unit: twelve decimals of the rate and the difference of two
# currencies' minor units (at most four digits) fit without another rounding.
SCALE = 10**16
_DECIMALS = 12
_NO_RATE = "no exchange rate for"
_LONG_AGO = -36525  # a hundred years before 1970: nothing in a company's books is older


@dataclass
class Conversion:
    """Rates into one currency: `unit(currency, day)` is exact, and None where no rate is known yet."""

    reporting: str
    days: dict[str, list[int]] = field(default_factory=dict)
    per_usd: dict[str, list[Fraction]] = field(default_factory=dict)
    fixed: int | None = None  # the day whose rates count for every day
    made: dict[Any, Any] = field(default_factory=dict)  # tables for the engine that need not be made twice
    _units: dict[tuple[str, int, int], int | None] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: Facts, reporting: str) -> Conversion:
        """The rates known before the horizon."""
        exponent(reporting)
        found = cls(reporting)
        if facts.has("rates"):
            st = facts.statement()
            step = facts.latest(st, "rates", ("day", "currency", "per_usd"))
            rows = facts.engine.table(st.render(f"SELECT currency, day, per_usd FROM {step} ORDER BY currency, day"))
            for currency, day, per_usd in zip(*(rows.column(i).to_pylist() for i in range(3)), strict=True):
                if per_usd and midnight(from_day_number(day), facts.timezone) < facts.known_before:
                    found.days.setdefault(currency, []).append(day)
                    found.per_usd.setdefault(currency, []).append(Fraction(per_usd))
        return found

    def _rate(self, currency: str, day: int) -> tuple[int, Fraction] | None:
        if currency == "USD" and currency not in self.days:
            return 0, Fraction(1)
        days = self.days.get(currency, [])
        i = bisect.bisect_right(days, day) - 1
        return (days[i], self.per_usd[currency][i]) if i >= 0 else None

    def unit(self, currency: str, day: int) -> int | None:
        """What one minor unit of `currency` is worth in minor units of the reporting currency on a day, times SCALE.

        The ratio of the two rates is rounded half-even once to twelve decimals. None without a rate up to that day.
        """
        if currency == self.reporting:
            return SCALE
        if self.fixed is not None:
            day = self.fixed
        theirs, ours = self._rate(currency, day), self._rate(self.reporting, day)
        if theirs is None or ours is None:
            return None
        key = (currency, theirs[0], ours[0])
        if key not in self._units:
            digits = 16 - _DECIMALS + exponent(self.reporting) - exponent(currency)
            self._units[key] = round(ours[1] / theirs[1] * 10**_DECIMALS) * 10**digits
        return self._units[key]

    def need(self, currency: str, day: int) -> int:
        """The same, NoRate where there is none."""
        unit = self.unit(currency, day)
        if unit is None:
            raise NoRate(self.reason(currency, day))
        return unit

    def reason(self, currency: str, day: int) -> str:
        """Why there is no value: which currency lacks a rate up to when."""
        missing = next((c for c in (currency, self.reporting) if self._rate(c, day) is None), currency)
        return f"{_NO_RATE} {missing} on or before {from_day_number(day)}; load some with `tenure load rates`"

    def lacking(self, known: str, currency: str, day: int) -> str:
        """The reason to show where several rates are missing: another one that is known, else the first in order.

        Engines give rows in any order; what is said must not depend on it.
        """
        told = self.reason(currency, day)
        return min(known, told) if known.startswith(_NO_RATE) else known or told

    def table(self, keys: Iterable[tuple[int, str, int]], name: str) -> pa.Table:
        """An Arrow table (name, currency, rate) for the engine, of (index, currency, day) keys that have a rate."""
        import pyarrow as pa

        rows = []
        for index, currency, day in keys:
            unit = self.unit(currency, day)
            if unit is not None:
                rows.append((index, currency, Decimal(unit).scaleb(-16).quantize(Decimal(1).scaleb(-14))))
        return pa.table(
            {
                name: pa.array([row[0] for row in rows], pa.int64()),
                "currency": pa.array([row[1] for row in rows], pa.string()),
                "rate": pa.array([row[2] for row in rows], pa.decimal128(20, 14)),
            }
        )


def by_day(facts: Facts, conversion: Conversion, known: Sequence[str], first: date, after: date) -> pa.Table:
    """What a movement of any day before `after` is worth: an Arrow table (day, currency, rate) for the engine.

    It covers all of history, for there the sign of a group in several currencies is judged at the day's rate.
    """
    horizon = day_number(from_micros(facts.horizon).astimezone(facts.timezone).date())
    every = range(_first_day(facts, day_before(first)), min(day_number(after), horizon + 1))
    return conversion.table(((day, c, day) for day in every for c in known), "day")


def _first_day(facts: Facts, asked: int) -> int:
    """A day before which no subscription can have moved, by the files' statistics; at most the one asked for."""
    found = asked
    for table, column in (("subscription_states", "effective_at"), ("subscription_spans", "started_at")):
        if facts.has(table):
            low = facts.snapshot(table).minimum.get(column)
            if not isinstance(low, datetime):
                return _LONG_AGO
            found = min(found, day_number(low.astimezone(UTC).date()) - 1)
    return max(found, _LONG_AGO)


def written(dialect: Dialect, name: str, table: pa.Table) -> str:
    """The statement that makes a lent table (number, currency, rate), so that what reads it runs anywhere.

    Numbers that follow one another at one rate are a single row of the text.
    """
    key = table.column_names[0]
    runs: list[list[Any]] = []
    last: dict[str, list[Any]] = {}
    for number, currency, rate in zip(*(table.column(i).to_pylist() for i in range(3)), strict=True):
        run = last.get(currency)
        if run is not None and run[1] == number and run[3] == rate:
            run[1] = number + 1
        else:
            last[currency] = [number, number + 1, currency, rate]
            runs.append(last[currency])
    head = "CREATE OR REPLACE TEMP VIEW" if dialect.spark else "CREATE OR REPLACE TEMP TABLE"
    if not runs:
        types = {key: "BIGINT", "currency": dialect.text, "rate": "DECIMAL(20,14)"}
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in types.items())
        return f"{head} {name} AS\nSELECT {nothing} WHERE 1 = 0"
    lines = ",\n".join(
        f"  ({first}, {after}, {dialect.literal(currency)}, '{rate}')" for first, after, currency, rate in runs
    )
    each = dialect.numbers("first", "after")
    return (
        f"{head} {name} AS\nSELECT CAST({key} AS BIGINT) AS {key}, currency, CAST(rate AS DECIMAL(20,14)) AS rate FROM "
        f"(SELECT {each} AS {key}, currency, rate FROM (VALUES\n{lines}\n) AS v(first, after, currency, rate)) AS run"
    )


def currencies(facts: Facts, source: str = "states") -> list[str]:
    """The currencies that subscriptions are priced in (or that invoice lines are in), sorted."""
    found: set[str] = set()
    for table in ("subscription_states", "subscription_spans") if source == "states" else (source,):
        if facts.has(table):
            constant = facts.constant(table, "currency")
            if constant is not None:
                found.add(str(constant))
                continue
            st = facts.statement()
            raw = facts.source(st, table)
            rows = facts.engine.table(st.render(f"SELECT DISTINCT currency FROM {raw} WHERE currency IS NOT NULL"))
            found.update(rows.column(0).to_pylist())
    return sorted(found)


def day_before(day: date) -> int:
    """The number of the day before."""
    return day.toordinal() - 719163 - 1
