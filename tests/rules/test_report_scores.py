"""The report tells who leaves next by the last scores that were stored, and nothing where none are fresh."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from tenure.app.report import story
from tenure.app.story import LeavesNext
from tests.reference.builder import Company, Facts


def leaves_next(company: Company, facts: Facts, **question: Any) -> LeavesNext | None:
    return story(company(facts).workspace, month="2025-06", known_on="2026-01-01", **question).leaves_next


def scored() -> Facts:
    facts = Facts()
    facts.state("2024-01-01", customer="Ann", amount_minor=10_000)
    facts.state("2024-01-01", customer="Bo", amount_minor=10_000, currency="THB")
    facts.state("2024-01-01", customer="Cy", amount_minor=10_000)
    facts.rate("2024-01-01", "THB", "40")
    for as_of in ("2025-05-20", "2025-07-01"):
        late = as_of > "2025-06"
        facts.score("Ann", as_of, 0.5 if late else 0.9, involuntary=0.1, value=100.0)
        facts.score("Bo", as_of, 0.25, value=8_000.0)
    facts.score("Cy", "2025-07-01", 0.75)
    facts.score("Ann", "2025-07-02", 0.99)  # after the month
    return facts


def test_the_last_scores_up_to_the_months_end_are_told_in_the_reporting_currency(company: Company) -> None:
    told = leaves_next(company, scored(), currency="USD")
    assert told is not None
    assert (told.day, told.days, told.scored, told.expected) == (date(2025, 7, 1), 30, 3, 1.5)
    # 8,000 baht are 200 dollars, and a quarter of it as much as half of 100.
    assert [(row.id, row.chance, row.worth, row.at_stake) for row in told.rows] == [
        ("Ann", 0.5, Decimal(100), Decimal(50)),
        ("Bo", 0.25, Decimal(200), Decimal(50)),
        ("Cy", 0.75, None, None),
    ]
    assert told.ranked == "at_stake" and told.rows[0].by_payment == 0.1
    assert {row.currency for row in told.rows} == {"USD"}
    assert told.command == "tenure risk --horizon 30d --top 10"


def test_without_a_reporting_currency_the_likeliest_stand_first(company: Company) -> None:
    told = leaves_next(company, scored())
    assert told is not None and told.ranked == "chance"
    assert [(row.id, row.worth, row.currency) for row in told.rows] == [
        ("Cy", None, "USD"),
        ("Ann", Decimal(100), "USD"),
        ("Bo", Decimal(8_000), "THB"),
    ]


def test_scores_that_are_old_are_not_told(company: Company) -> None:
    facts = Facts()
    facts.state("2024-01-01", customer="Ann", amount_minor=10_000)
    assert leaves_next(company, facts) is None
    facts.score("Ann", "2025-05-01", 0.5)
    assert leaves_next(company, facts) is None
