"""Who buys, told a second time: day by day and customer by customer in plain Python, from the orders as they are.

Orders are dicts of customer_id (or None), at (datetime in UTC), minor (negative: brought back), currency. The product
counts spells and their ends; here every customer is looked at on every single day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from tests.reference.builder import Facts

ORDER = {"kind": None, "product_id": None, "quantity": None, "amount_minor": 1_000, "currency": "USD"}


def order(facts: Facts, at: str | datetime, customer: str | None, minor: int = 1_000, **columns: Any) -> None:
    """An order of a customer in the facts; an amount below 0 is brought back."""
    rows = facts.tables.setdefault("orders", [])
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    key = {"order_id": f"o{len(rows)}", "ordered_at": moment}
    facts._add("orders", key, {"customer_id": customer, **ORDER, "amount_minor": minor}, columns, moment)


def told(facts: Facts, known_before: datetime) -> list[dict[str, Any]]:
    """The orders that were known and had happened, of customers that are no test and by the name they merged into."""
    people = {row["customer_id"]: row for row in facts.tables["customers"]}
    found = []
    for row in facts.tables.get("orders", []):
        if row["recorded_at"] >= known_before or row["ordered_at"] >= known_before:
            continue
        customer = row["customer_id"]
        while customer in people and people[customer]["merged_into"]:
            customer = people[customer]["merged_into"]
        if customer in people and people[customer]["is_test"]:
            continue
        found.append(
            {
                "customer_id": customer,
                "at": row["ordered_at"],
                "minor": row["amount_minor"],
                "returned": row["kind"] == "return" or row["amount_minor"] < 0,
                "currency": row["currency"],
            }
        )
    return found


def days_bought(orders: Iterable[Mapping[str, Any]], zone: str) -> dict[str, list[date]]:
    """The days on which each customer bought, in order."""
    found: dict[str, set[date]] = defaultdict(set)
    for row in orders:
        if row["customer_id"] is not None and not row["returned"]:
            found[row["customer_id"]].add(row["at"].astimezone(ZoneInfo(zone)).date())
    return {customer: sorted(days) for customer, days in sorted(found.items())}


def is_active(days: Sequence[date], at: date, window: int) -> bool:
    """Whether a customer is active where day `at` begins."""
    return any(1 <= (at - day).days <= window for day in days)


def period_of(days: Mapping[str, Sequence[date]], last: date, first: date, after: date, window: int) -> dict[str, int]:
    """One period's buyers, from every customer on every one of its days; nothing lapses after the day `last`."""
    end = last + timedelta(days=1)
    found = dict.fromkeys(("opening", "new", "returned", "lapsed", "closing", "lost"), 0)
    for mine in days.values():

        def active(at: date, mine: Sequence[date] = mine) -> bool:
            return is_active(mine, min(at, end), window)

        found["opening"] += active(first)
        found["closing"] += active(after)
        found["lost"] += active(first) and not active(after)
        day = first
        while day < after:
            if day in mine:
                found["new"] += day == mine[0]
                found["returned"] += day != mine[0] and not active(day)
            found["lapsed"] += active(day) and not active(day + timedelta(days=1))
            day += timedelta(days=1)
    return found


def gaps_of(days: Mapping[str, Sequence[date]], last: date) -> tuple[list[int], list[int]]:
    """All gaps between purchase days, and everybody's silence since the last of them, both in order."""
    gaps = sorted((b - a).days for mine in days.values() for a, b in pairwise(mine))
    return gaps, sorted((last - mine[-1]).days for mine in days.values())


def still_silent(gaps: Sequence[int], silences: Sequence[int], day: int) -> float:
    """The product-limit estimate of the share of silences longer than `day`, one day at a time."""
    share = 1.0
    for at in range(1, day + 1):
        watched = sum(gap >= at for gap in gaps) + sum(silence >= at for silence in silences)
        if watched:
            share *= 1 - sum(gap == at for gap in gaps) / watched
    return share


def scores_of(values: Mapping[str, int]) -> dict[str, int]:
    """1 + the whole fifths of all customers that have less."""
    return {
        customer: 1 + 5 * sum(other < value for other in values.values()) // len(values)
        for customer, value in values.items()
    }
