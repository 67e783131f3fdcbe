"""Companies whose churn costs what can be worked out by hand: subscriptions with spend, answers, reviews and owners."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from tests.reference.builder import Facts, instant


def month(index: int) -> str:
    """The first of the month so many months after January 2020."""
    return f"{2020 + index // 12}-{index % 12 + 1:02d}-01"


class Company(Facts):
    """Facts, and what is told beside subscriptions."""

    def __init__(self) -> None:
        super().__init__()
        for table in ("spend", "answers", "mentions"):
            self.tables.setdefault(table, [])

    def spend(
        self, start: str, end: str, minor: int, *, channel: str = "ads", kind: str = "media", currency: str = "USD"
    ) -> None:
        """So much was spent on a channel from one instant up to another."""
        key = {"period_start": instant(start), "period_end": instant(end), "channel": channel, "kind": kind}
        self._add("spend", key, {"amount_minor": minor, "currency": currency}, {}, instant(start))

    def score(self, customer: str, at: str, score: float, kind: str = "nps") -> None:
        """A customer's answer to a survey."""
        key = {"answer_id": f"answer-{len(self.tables['answers'])}"}
        told = {"kind": kind, "customer_id": customer, "asked_at": instant(at), "answered_at": instant(at)}
        self._add("answers", key, {**told, "score": score}, {}, instant(at))

    def review(self, at: str, rating: float, customer: str | None = None) -> None:
        """Stars that somebody gave."""
        key = {"mention_id": f"mention-{len(self.tables['mentions'])}"}
        told = {"published_at": instant(at), "rating": rating, "customer_id": customer}
        self._add("mentions", key, told, {}, instant(at))

    def person(self, customer: str, **columns: Any) -> None:
        """A customer with an owner or a channel."""
        plain = {"owner": None, "channel": None, "is_test": None, "merged_into": None}
        self._add("customers", {"customer_id": customer}, plain, columns, datetime(2000, 1, 1, tzinfo=UTC))


def steady(leavers: int = 1, price: int = 10_000, channel: str | None = None) -> Company:
    """Twenty customers at 100.00 at every month's start of 2025; so many leave in its middle, as many come."""
    company = Company()
    there = [f"old-{n}" for n in range(20)]
    since = dict.fromkeys(there, "2024-12-01")
    for m in range(1, 13):
        for n in range(leavers):
            gone = there.pop(0)
            company.span(
                since.pop(gone), f"2025-{m:02d}-15", customer=gone, amount_minor=price, cancel_actor="customer"
            )
            there.append(f"new-{m}-{n}")
            since[there[-1]] = f"2025-{m:02d}-10"
    for who in there:
        company.span(since[who], None, customer=who, amount_minor=price)
    if channel is not None:
        for who in dict.fromkeys(row["customer_id"] for row in company.tables["subscription_spans"]):
            company.person(who, channel=channel)
    return company


def months_between(start: date, end: date) -> int:
    """Whole months from one first of a month to another."""
    return 12 * (end.year - start.year) + end.month - start.month
