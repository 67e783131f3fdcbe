"""What companies could there be? Strategies that draw small and nasty ones, and shrink to simple ones.

A `World` is what companies in one workspace share: the time zone, the reporting currency, exchange rates, and the day
on which the facts are looked at. A company is one to six customers; its rows are named after it (`k3-...`), every
customer of it has the undated trait `company`, and no two companies share anything else. So many of them live in one
workspace, and each is compared on its own.

What makes them nasty: changes within and beyond sixty minutes, around midnights of three zones and ends of months;
pauses of both sorts, with and without a resume date, beyond six months; trials, cancel dates, terms that are not
renewed; rows recorded late, corrected, versioned, taken back and told again; merged customers in chains, and test
customers.

An item always belongs to one customer, merges never form a circle, and every currency has a rate from the first day on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.reference.builder import Facts

FIRST = date(2023, 8, 1)  # the first day on which anything happens
DAYS = 620  # ... and on how many it may: 2023-08-01 to 2025-04-11, with a leap day in it
ZONES = ("UTC", "Asia/Bangkok", "America/New_York")
CURRENCIES = ("USD", "EUR", "THB", "JPY")

# Days that calendars trip over: ends of months before shorter ones, the leap day, New York's clock changes.
SHARP_DAYS = tuple(
    (day - FIRST).days
    for day in (
        date(2023, 8, 31),
        date(2023, 9, 1),
        date(2023, 11, 5),
        date(2023, 12, 31),
        date(2024, 1, 31),
        date(2024, 2, 29),
        date(2024, 3, 10),
        date(2024, 3, 31),
        date(2024, 8, 31),
        date(2024, 9, 1),
        date(2024, 10, 31),
        date(2024, 11, 3),
        date(2024, 12, 31),
        date(2025, 1, 1),
    )
)
# Minutes of the day, UTC: plain ones first; Bangkok's midnight is 17:00, New York's 04:00 or 05:00.
MINUTES = (0, 600, 630, 700, 1439, 1380, 1019, 1020, 1050, 239, 240, 299, 300, 330)
# What lies between one change of an item and the next.
GAPS = (
    timedelta(days=30),
    timedelta(days=31),
    timedelta(days=7),
    timedelta(minutes=30),
    timedelta(minutes=60),
    timedelta(minutes=60, seconds=1),
    timedelta(hours=5),
    timedelta(hours=20),
    timedelta(days=1),
    timedelta(days=90),
    timedelta(days=184),
    timedelta(days=200),
    timedelta(microseconds=1),
)
AMOUNTS = (10_000, 5_000, 0, 1, 999, 12_345, 100_000_001)
DELAYS = (
    timedelta(0),
    timedelta(minutes=5),
    timedelta(days=3),
    timedelta(days=45),
    timedelta(days=250),
)
ACTORS = (None, "customer", "dunning", "dispute", "fraud", "business", "unknown")
INTERVALS = ("month", "year", "quarter", "week", "day")


@dataclass(frozen=True)
class World:
    """What the companies of one workspace share."""

    zone: str
    reporting: str | None
    known_on: date  # the whole of this day is known; nothing later
    rates: Facts


def rarely(draw: Callable[..., Any], one_in: int = 5) -> bool:
    """Yes, once in so many times; shrinks to no."""
    return bool(draw(st.integers(0, one_in - 1)) == one_in - 1)


def some_day(draw: Callable[..., Any]) -> date:
    """A day of the story, often one that calendars trip over."""
    day = draw(st.one_of(st.integers(0, DAYS), st.sampled_from(SHARP_DAYS)))
    return FIRST + timedelta(days=day)


def some_instant(draw: Callable[..., Any]) -> datetime:
    """A moment of the story, often one that days trip over."""
    day = some_day(draw)
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=draw(st.sampled_from(MINUTES)))


@st.composite
def worlds(draw: Callable[..., Any]) -> World:
    """A zone, a reporting currency or none, rates with gaps and corrections, and the day of the looking."""
    rates = Facts()
    for currency, usual in (("EUR", "0.9"), ("THB", "35"), ("JPY", "150")):
        rates.rate("2022-01-01", currency, usual)
        for _ in range(draw(st.integers(0, 3))):
            day = some_day(draw)
            per_usd = draw(st.sampled_from(("1", "0.8", "0.333333", "36.123456789012", "141.7")))
            rates.rate(day, currency, per_usd)
            if rarely(draw):
                later = datetime(day.year, day.month, day.day, tzinfo=UTC) + draw(st.sampled_from(DELAYS[1:]))
                rates.rate(day, currency, "2.5", recorded_at=later, retracted=rarely(draw, 2))
    if rarely(draw, 2):
        known_on = some_day(draw)
    else:
        known_on = date(2026, 6, 30)
    return World(
        zone=draw(st.sampled_from(ZONES)),
        reporting=draw(st.sampled_from((None, *CURRENCIES))),
        known_on=known_on,
        rates=rates,
    )


@st.composite
def companies(draw: Callable[..., Any], name: str = "k", currencies: tuple[str, ...] = CURRENCIES) -> Facts:
    """The facts of one company of one to six customers; `name` begins all of its names."""
    facts = Facts()
    count = draw(st.integers(1, 6))
    customers = [f"{name}-c{number}" for number in range(count)]
    for number, customer in enumerate(customers):
        facts.trait("company", name, customer=customer)
        if rarely(draw, 2):
            _identity(draw, facts, customer, customers[number + 1 :])
        for _ in range(draw(st.integers(0, 2))):
            _trait(draw, facts, customer)
        anchor = some_instant(draw)  # where most of what the customer does begins, so that it meets
        for subscription in range(draw(st.integers(0, 2))):
            for item in range(1 + rarely(draw, 4)):
                names = {"customer": customer, "subscription": f"{customer}-s{subscription}", "item": f"i{item}"}
                began = anchor if rarely(draw, 2) else some_instant(draw)
                shape = draw(st.integers(0, 7))
                if shape < 5 or shape == 7:
                    _states(draw, facts, names, began, currencies)
                if shape >= 5:
                    _spans(draw, facts, names, began, currencies)
    return facts


def _identity(draw: Callable[..., Any], facts: Facts, customer: str, others: list[str]) -> None:
    columns: dict[str, Any] = {
        "channel": draw(st.sampled_from((None, "search", "word"))),
        "is_test": rarely(draw, 6),
        "merged_into": draw(st.sampled_from(others)) if others and rarely(draw, 3) else None,
    }
    facts.customer(customer, **columns)
    if rarely(draw):
        at = some_instant(draw)
        changed = {**columns, "channel": "partner", "is_test": rarely(draw, 3), "merged_into": None}
        facts.customer(customer, recorded_at=at, retracted=rarely(draw, 3), **{**changed})


def _trait(draw: Callable[..., Any], facts: Facts, customer: str) -> None:
    value = draw(st.sampled_from(("small", "large", None)))
    effective = None if rarely(draw, 3) else datetime.isoformat(some_instant(draw).replace(tzinfo=None))
    row = facts.trait("tier", value, effective, customer=customer)
    if rarely(draw):
        later = row["recorded_at"] + draw(st.sampled_from(DELAYS[1:]))
        facts.trait("tier", "huge", effective, customer=customer, recorded_at=later, retracted=rarely(draw, 2))


def _price(draw: Callable[..., Any], currencies: tuple[str, ...]) -> dict[str, Any]:
    price: dict[str, Any] = {
        "amount_minor": draw(st.sampled_from(AMOUNTS)),
        "currency": draw(st.sampled_from(currencies)),
        "plan_id": draw(st.sampled_from(("basic", "plus", None))),
    }
    if rarely(draw, 3):
        price["interval"] = draw(st.sampled_from(INTERVALS))
        price["interval_count"] = draw(st.sampled_from((1, 2, 3, 7)))
    if rarely(draw, 3):
        price |= draw(
            st.sampled_from(
                (
                    {"tax_minor": 700, "tax_inclusive": True},
                    {"tax_minor": 700, "tax_inclusive": False},
                    {"tax_minor": 700},
                    {"discount_forever_minor": 2_500},
                    {"discount_forever_minor": 100_000_001},
                    {"discount_limited_minor": 5_000},
                    {"tax_minor": 333, "tax_inclusive": True, "discount_forever_minor": 333},
                    {"is_metered": True},
                    {"is_metered": True, "minimum_commit_minor": 4_000},
                    {"is_metered": False, "minimum_commit_minor": 4_000},
                )
            )
        )
    return price


# How a state may differ from a plain active one. `D` stands for a date some gap after (or before) the state's instant.
D = object()
STEPS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {},
    {},
    {},
    {},
    {"status": "canceled"},
    {"status": "canceled", "actor": True},
    {"status": "canceled", "actor": True},
    {"status": "canceled", "actor": True},
    {"status": "paused"},
    {"status": "paused"},
    {"status": "paused"},
    {"status": "past_due"},
    {"status": "unpaid"},
    {"status": "unpaid", "actor": True},
    {"status": "trialing"},
    {"status": "trialing", "trial_ends_at": D},
    {"status": "trialing", "trial_ends_at": D, "cancel_at": D},
    {"status": "trialing", "trial_ends_at": D, "collection_paused": True},
    {"trial_ends_at": D},
    {"status": "paused"},
    {"status": "paused", "resumes_at": D},
    {"status": "paused", "resumes_at": D, "period_end": D},
    {"status": "paused", "cancel_at": D, "actor": True},
    {"collection_paused": True},
    {"collection_paused": True, "period_end": D},
    {"collection_paused": True, "period_end": D, "resumes_at": D},
    {"status": "past_due", "collection_paused": True, "period_end": D},
    {"status": "non_renewing", "collection_paused": True, "period_end": D},
    {"status": "canceled", "collection_paused": True},
    {"cancel_at": D, "actor": True},
    {"cancel_at": D},
    {"status": "non_renewing"},
    {"status": "non_renewing", "term_ends_at": D, "actor": True},
    {"status": "non_renewing", "period_end": D},
    {"status": "non_renewing", "period_end": D, "term_ends_at": D, "cancel_at": D},
    {"period_end": D, "term_ends_at": D},
    {"status": "incomplete"},
    {"status": "incomplete_expired"},
    {"status": "scheduled"},
)
LATER = (*GAPS, timedelta(days=-10), timedelta(0))


def _states(
    draw: Callable[..., Any], facts: Facts, names: dict[str, str], at: datetime, currencies: tuple[str, ...]
) -> None:
    price = _price(draw, currencies)
    last = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=DAYS)
    for number in range(draw(st.integers(1, 6))):
        if at > last:
            return
        if rarely(draw, 3):
            price = _price(draw, currencies)
        columns = {**price, **_step(draw, at, one_in=4 if number == 0 else 1)}
        if columns.get("status") == "canceled" and rarely(draw, 2):  # what is gone has no price any more
            columns |= {"amount_minor": None, "currency": None, "plan_id": None, "interval": None}
        recorded = at + draw(st.sampled_from(DELAYS)) if rarely(draw, 3) else at
        row = facts.state(at, **names, recorded_at=recorded, **columns)
        if rarely(draw):
            other = {**_price(draw, currencies), **_step(draw, at)}
            _again(draw, lambda **more: facts.state(at, **names, **more), row, columns, other)  # noqa: B023
        at += draw(st.sampled_from(GAPS))


def _step(draw: Callable[..., Any], at: datetime, one_in: int = 2) -> dict[str, Any]:
    if not rarely(draw, one_in):
        return {}
    step = dict(draw(st.sampled_from(STEPS)))
    for name, value in step.items():
        if value is D:
            step[name] = at + draw(st.sampled_from(LATER))
    if step.pop("actor", False):
        step["cancel_actor"] = draw(st.sampled_from(ACTORS))
        if rarely(draw, 2):
            step["cancel_requested_at"] = at + draw(st.sampled_from(LATER))
    return step


def _again(
    draw: Callable[..., Any],
    add: Callable[..., Any],
    row: dict[str, Any],
    columns: dict[str, Any],
    other: dict[str, Any],
) -> None:
    """Tell the same row again: corrected later, as another version, or taken back (and perhaps told once more)."""
    recorded = row["recorded_at"]
    later = recorded + draw(st.sampled_from(DELAYS[1:]))
    how = draw(st.integers(0, 4))
    if how == 0:
        add(recorded_at=later, **other)
    elif how == 1:
        add(recorded_at=recorded, version=draw(st.sampled_from((1, 2))), **other)
    elif how == 2:
        add(recorded_at=recorded, **other)  # the hashes decide
    else:
        add(recorded_at=later, retracted=True, **columns)
        if how == 4:
            add(recorded_at=later + timedelta(days=1), **other)


SPAN_STATUSES = (
    None,
    "active",
    "past_due",
    "paused",
    "unpaid",
    "non_renewing",
    "incomplete",
    "incomplete_expired",
    "scheduled",
    "trialing",
    "canceled",
)


def _spans(
    draw: Callable[..., Any], facts: Facts, names: dict[str, str], at: datetime, currencies: tuple[str, ...]
) -> None:
    started = set()
    for _ in range(draw(st.integers(1, 4))):
        if at in started:
            return
        started.add(at)
        length = draw(st.sampled_from((None, timedelta(0), *GAPS)))
        columns: dict[str, Any] = _price(draw, currencies)
        if rarely(draw, 3):
            columns["status"] = draw(st.sampled_from(SPAN_STATUSES))
        if rarely(draw, 4):
            columns["trial_ends_at"] = at + draw(st.sampled_from(LATER))
        if rarely(draw, 4):
            columns["term_ends_at"] = at + draw(st.sampled_from(LATER))
        if rarely(draw, 2):
            columns["cancel_actor"] = draw(st.sampled_from(ACTORS))
            if rarely(draw, 2):
                columns["cancel_requested_at"] = at + draw(st.sampled_from(LATER))
        ended = None if length is None else at + length
        recorded = at + draw(st.sampled_from(DELAYS)) if rarely(draw, 3) else at
        row = facts.span(at, ended, **names, recorded_at=recorded, **columns)
        if rarely(draw):
            other_end = ended if rarely(draw, 2) else at + draw(st.sampled_from(GAPS))
            other = {**columns, "amount_minor": 7_777}

            def add(at: datetime = at, end: datetime | None = other_end, **more: Any) -> None:
                facts.span(at, end, **names, **more)

            _again(draw, add, row, columns, other)
        if ended is None:
            return
        # on without a gap, after a gap, or overlapping (as after a correction)
        step = draw(st.sampled_from((timedelta(0), timedelta(minutes=30), timedelta(days=2), timedelta(days=-1))))
        at = ended + step
        if step < timedelta(0) and at <= row["started_at"]:
            at = ended
