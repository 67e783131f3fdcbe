"""What was spent to win customers, and when? Spend by channel, shared out by time over the periods it was spent in.

A row of `spend` covers a stretch of time. A period gets of it the share of the stretch that lies in it, to the
microsecond and exactly; with a lag, what was spent so many months earlier. In another currency it is worth the rate of
the last day of what it covers in the period.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from tenure.kernel.time import Period, add_months, midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number, from_micros, micros
from tenure.measure.currencies import SCALE, Conversion

NONE_TOLD = "no spend is told of this time"


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was spent on one channel in one currency over a stretch of time: microseconds, minor units."""

    channel: str
    currency: str
    start: int
    end: int
    amount: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent in a period, scaled as money in currencies.SCALE; None with the reason, or a doubt beside it."""

    amount: Fraction | None
    reason: str = ""


def stretches(facts: Facts) -> list[Stretch]:
    """Everything that is told of spend, added up by channel, currency and stretch of time."""
    if not facts.has("spend"):
        return []
    st = facts.statement()
    columns = ("period_start", "period_end", "channel", "kind", "amount_minor", "currency")
    latest = facts.latest(st, "spend", columns)
    total = facts.engine.dialect.total("amount_minor")
    sql = st.render(
        f"SELECT channel, currency, period_start, period_end, {total} AS amount FROM {latest} "
        "WHERE period_end > period_start GROUP BY channel, currency, period_start, period_end ORDER BY 1, 2, 3, 4"
    )
    return [
        Stretch(row["channel"], row["currency"], int(row["period_start"]), int(row["period_end"]), int(row["amount"]))
        for row in facts.engine.table(sql).to_pylist()
    ]


def earlier(period: Period, months: int, facts: Facts) -> tuple[int, int]:
    """The microseconds in which spend had to happen to win the customers of a period: so many months before it."""
    bounds = (add_months(day, -months) for day in (period.first, period.after))
    start, end = (micros(midnight(day, facts.timezone)) for day in bounds)
    return start, end


def spent(
    facts: Facts,
    told: Sequence[Stretch],
    period: Period,
    *,
    channel: str | None = None,
    currency: str,
    conversion: Conversion | None,
    lag_months: int = 0,
) -> Spent:
    """What was spent for a period's customers: in all, or on one channel.

    conversion: into `currency`; None where spend of another currency has no value here. A channel of which nothing is
    told has no amount, not 0; where spend is told of a part of the time only, the reason says so.
    """
    start, end = earlier(period, lag_months, facts)
    within = [one for one in told if one.start < end and one.end > start]
    mine = [one for one in within if channel is None or one.channel == channel]
    if not mine:
        return Spent(None, NONE_TOLD if not within else "no spend is told of this channel")
    total = Fraction(0)
    for one in mine:
        low, high = max(one.start, start), min(one.end, end)
        unit: int | None = SCALE
        if one.currency != currency:
            if conversion is None:
                return Spent(None, f"spend is in {one.currency}: add --currency, such as --currency {one.currency}")
            last = from_micros(high) - timedelta(microseconds=1)
            day = day_number(last.astimezone(facts.timezone).date())
            unit = conversion.unit(one.currency, day)
            if unit is None:
                return Spent(None, conversion.reason(one.currency, day))
        assert unit is not None
        total += Fraction(one.amount * (high - low), one.end - one.start) * 1_000_000 * unit
    covered = _covered(within, start, end)
    doubt = "" if covered == end - start else "spend is told of a part of this time only"
    return Spent(total, doubt)


def _covered(told: Sequence[Stretch], start: int, end: int) -> int:
    """How many microseconds of [start, end) lie in any stretch."""
    covered, reached = 0, start
    for one in sorted(told, key=lambda one: one.start):
        low, high = max(one.start, reached), min(one.end, end)
        if high > low:
            covered += high - low
            reached = high
    return covered
