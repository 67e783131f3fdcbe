"""Do the corners that random companies found stay right? One small story each, worked by hand.

Every story here once divided the engine and the plain reference (tests/parity/test_brute_force.py); the page both
implement is docs/explanation/movements.md.
"""

from __future__ import annotations

import pytest

from tests.reference.builder import Company, Facts


def test_what_is_canceled_needs_no_price_and_no_currency(company: Company) -> None:
    facts = Facts()
    facts.rate("2025-01-01", "THB", "35")
    facts.state("2025-01-10", amount_minor=0)
    facts.state("2025-02-10", status="canceled", amount_minor=None, currency=None, interval=None, interval_count=None)
    assert company(facts, currency="THB").values("2025-02", "mrr", "customers") == [0, 0]


def test_what_was_new_and_paused_within_the_hour_took_nothing_away(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10 10:00")
    facts.state("2025-01-10 10:30", status="paused")
    facts.state("2025-02-10")
    shop = company(facts)
    assert shop.values("2025-01", "mrr", "mrr_new", "mrr_pause", "customers_new") == [0, 0, 0, 1]
    assert shop.values("2025-02", "mrr", "mrr_resume") == [100, 100]


def test_a_pause_and_a_return_within_the_hour_of_leaving_are_part_of_the_leaving(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-10 10:00", status="paused")
    facts.state("2025-02-10 10:30", amount_minor=900)
    facts.state("2025-02-10 10:45", status="canceled")
    assert company(facts).values("2025-02", "mrr_churn", "mrr_pause", "mrr_resume") == [100, 0, 0]


def test_a_paused_item_that_returns_and_leaves_within_the_hour_gives_back_what_the_pause_took(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-10", status="paused")
    facts.state("2025-03-10 10:00", amount_minor=900)
    facts.state("2025-03-10 10:45", status="canceled")
    shop = company(facts)
    assert shop.values("2025-03", "mrr_resume", "mrr_churn", "mrr", "customers_churned") == [100, 100, 0, 1]


def test_what_several_steps_within_the_hour_do_to_plans_adds_up(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", plan_id="A", amount_minor=5_000)
    facts.state("2025-02-10 10:00", plan_id="A", amount_minor=6_000)
    facts.state("2025-02-10 10:10", plan_id="B", amount_minor=6_000)
    facts.state("2025-02-10 10:20", plan_id="B", amount_minor=7_000)
    shop = company(facts)
    assert shop.by("plan_id", "mrr_expansion", "2025-02") == {"A": 10, "B": 10}
    assert shop.by("plan_id", "mrr_leaving", "2025-02") == {"A": 60, "B": 0}
    assert shop.by("plan_id", "mrr_entering", "2025-02") == {"A": 0, "B": 60}


def test_a_plan_that_everybody_left_within_the_year_kept_nothing(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", plan_id="A")
    facts.state("2025-03-10", status="canceled", plan_id="A")
    facts.state("2025-01-10", customer="stays", plan_id="B")
    shop = company(facts)
    # from 1 February 2025 to 1 February 2026
    assert shop.by("plan_id", "nrr_12m", "2026-01") == {"A": 0, "B": 1}
    assert shop.by("plan_id", "grr_12m", "2026-01") == {"A": 0, "B": 1}


def test_everybody_leaving_in_a_foreign_currency_leaves_exactly_nothing(company: Company) -> None:
    facts = Facts()
    facts.rate("2024-01-01", "EUR", "36.123456789012")
    facts.rate("2024-01-01", "THB", "35")
    facts.state("2024-05-08", customer="a", amount_minor=12_345, currency="EUR", cancel_at="2024-06-08")
    facts.state("2024-02-18", customer="b", amount_minor=100_000_001, currency="THB")
    facts.state("2025-01-04", customer="b", status="canceled")
    shop = company(facts, currency="USD")
    for text in ("2024-06", "2025-01"):
        assert shop.value("mrr", text) is not None
    assert shop.value("nrr", "2025-01") == 0
    assert shop.value("nrr_12m", "2025-02") == 0


@pytest.mark.parametrize("taken_back", [False, True])
def test_states_that_are_not_known_or_were_taken_back_do_not_silence_spans(company: Company, taken_back: bool) -> None:
    facts = Facts()
    facts.span("2025-01-10")
    facts.state("2025-01-05", amount_minor=5_000, recorded_at="2025-06-01")
    if taken_back:
        facts.state("2025-01-05", amount_minor=5_000, recorded_at="2025-06-02", retracted=True)
    known = "2025-06-30" if taken_back else "2025-05-31"
    assert company(facts, known_on=known).value("mrr", "2025-01") == 100


def test_a_span_that_does_not_renew_says_who_ended_it_at_its_term(company: Company) -> None:
    facts = Facts()
    facts.span("2025-01-10", status="non_renewing", term_ends_at="2025-03-10", cancel_actor="customer")
    shop = company(facts)
    assert shop.values("2025-03", "customers_churned", "customers_churned_voluntary") == [1, 1]


def test_what_somebody_adds_in_another_currency_counts_in_the_retention_of_its_plan(company: Company) -> None:
    facts = Facts()
    facts.rate("2022-01-01", "EUR", "0.8")  # 1.25 USD
    facts.state("2025-01-10", plan_id="A")
    facts.state("2025-02-10", subscription="more", plan_id="A", amount_minor=5_000, currency="EUR")
    shop = company(facts, currency="USD")
    # (100 + 50 * 1.25) / 100
    assert float(shop.value("nrr", "2025-02") or 0) == 1.625
    assert {plan: float(rate or 0) for plan, rate in shop.by("plan_id", "nrr", "2025-02").items()} == {"A": 1.625}
