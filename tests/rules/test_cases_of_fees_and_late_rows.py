"""Do fees, second departures, long and short months, and rows learned late count as the industry's cases ask?

One test a case of the conformance table (reference/definitions.md), its number in the comment above it, under the
profiles that it names. The rows that say when they were recorded tell the same story to every profile: what differs
between tools is what they do with it afterwards, and there Tenure keeps what was known apart from what is known.
"""

from __future__ import annotations

from calendar import monthrange
from fractions import Fraction

import pytest

from tenure.app.closing import MonthRestated
from tests.reference.builder import Company, Facts
from tests.rules.books import Books, span
from tests.rules.books import books as books


# 9: the processor keeps 3.20 of a hundred, the platform 5.00: neither lowers what the subscription is worth
@pytest.mark.parametrize("profile", ["tenure", "stripe", "chartmogul", "recurly"])
def test_fees_of_cards_and_platforms_are_not_taken_off_mrr(company: Company, profile: str) -> None:
    facts = Facts()
    facts.state("2025-06-01")
    facts.invoice("bill", "2025-06-01", total_minor=10_500, status="paid")
    facts.line("2025-06-01", invoice="bill", service_end="2025-07-01", amount_minor=10_000)
    facts.line("2025-06-01", invoice="bill", service_end="2025-06-01", kind="one_time", amount_minor=500)
    facts.payment("bill", "2025-06-01", amount_minor=9_680)
    assert company(facts).value("mrr", "2025-06", profile=profile) == 100


# 40: of five customers one leaves, returns and leaves again within June
@pytest.mark.parametrize(
    ("profile", "rate"), [("tenure", (1, 5)), ("stripe", (2, 5)), ("baremetrics", (2, 5)), ("maxio", (2, 5))]
)
def test_who_returns_and_leaves_again_has_left_twice(company: Company, profile: str, rate: tuple[int, int]) -> None:
    facts = Facts()
    for number in range(4):
        facts.state("2025-01-10", customer=f"stays-{number}")
    facts.state("2025-01-10", customer="wavers")
    for day, status in (("05", "canceled"), ("12", "active"), ("21", "canceled")):
        facts.state(f"2025-06-{day}", customer="wavers", status=status)
    shop = company(facts)
    assert shop.values("2025-06", "customers_churned", "customers_reactivated", profile=profile) == [2, 1]
    row = shop.row("customer_churn_rate", "2025-06", profile=profile)
    assert (row["numerator"], row["denominator"]) == rate


# 44: 30.00 more a month from the sixteenth on; the bill charges what is left of 31, 30 or 29 days
@pytest.mark.parametrize("month", ["2025-01", "2025-04", "2024-02"])
@pytest.mark.parametrize("profile", ["tenure", "stripe", "chartmogul"])
def test_a_dearer_plan_counts_in_full_however_long_the_month_is(company: Company, month: str, profile: str) -> None:
    days = monthrange(int(month[:4]), int(month[5:]))[1]
    facts = Facts()
    facts.state("2023-12-01")
    facts.state(f"{month}-16", amount_minor=13_000)
    rest = round(3_000 * Fraction(days - 15, days))
    facts.line(f"{month}-16", service_end=f"{month}-{days}", amount_minor=rest, is_proration=True)
    assert company(facts).values(month, "mrr_expansion", "mrr", profile=profile) == [30, 130]


def _june(books: Books, **question: str) -> MonthRestated:
    (june,) = books.shop.restatements(since="2025-06", until="2025-06", published_on="2025-07-01", **question)
    return june


# 62
@pytest.mark.parametrize("profile", ["tenure", "chartmogul", "stripe"])
def test_an_updated_source_row_is_noticed_and_what_was_published_stays_known(books: Books, profile: str) -> None:
    books.learn(span("Ann", 140, "2025-01-05", recorded="2025-07-09"))
    assert books.value("mrr", "2025-06", profile=profile, known_on="2025-06-30") == 150
    assert books.value("mrr", "2025-06", profile=profile) == 190
    (one,) = (one for one in _june(books, profile=profile).changed if one.metric.name == "mrr")
    assert [(row.customers, row.what, row.columns) for row in one.because] == [
        (("Ann",), "corrected", ("amount_minor",))
    ]


# 62
@pytest.mark.parametrize("profile", ["tenure", "chartmogul", "stripe"])
def test_a_deleted_source_row_is_noticed_and_corrects_the_next_opening(books: Books, profile: str) -> None:
    books.shop.close_month("2025-06", profile=profile, known_on="2025-06-30")
    books.learn(span("Ben", 50, "2025-01-08", recorded="2025-07-09", retracted=True))
    assert books.value("mrr", "2025-06", profile=profile) == 100
    assert books.value("mrr_opening", "2025-07", profile=profile) == 150
    assert books.value("mrr_correction", "2025-07", profile=profile) == -50
    (one,) = (one for one in _june(books).changed if one.metric.name == "mrr")
    assert [(row.customers, row.what) for row in one.because] == [(("Ben",), "retracted")]


# 63: learned on 9 July, begun on 3 June; Maxio and Recurly rewrite June, here both answers stay to be had
@pytest.mark.parametrize("profile", ["tenure", "maxio"])
def test_a_backdated_start_moves_mrr_on_its_own_day_and_is_listed(books: Books, profile: str) -> None:
    books.learn(span("Eve", 70, "2025-06-03", recorded="2025-07-09"))
    assert books.value("mrr_new", "2025-06", profile=profile) == 70
    assert books.value("mrr_new", "2025-07", profile=profile) == 0
    assert books.value("mrr_new", "2025-06", profile=profile, known_on="2025-06-30") == 0
    (one,) = (one for one in _june(books, profile=profile).changed if one.metric.name == "mrr_new")
    assert [(row.customers, row.what) for row in one.because] == [(("Eve",), "late")]


# 64: the price of the last quarter was wrong
@pytest.mark.parametrize("profile", ["tenure", "chartmogul"])
def test_a_corrected_price_changes_every_month_it_stood_in_and_each_is_listed(books: Books, profile: str) -> None:
    books.learn(span("Ben", 45, "2025-01-08", recorded="2025-07-09"))
    told = books.shop.restatements(since="2025-04", until="2025-06", published_on="2025-07-01", profile=profile)
    for month in told:
        (one,) = (one for one in month.changed if one.metric.name == "mrr")
        assert one.then is not None
        assert one.now is not None
        assert one.now - one.then == -5 * 100_000_000
        assert books.value("mrr", f"{month.month:%Y-%m}", profile=profile, known_on="2025-06-30") == one.then / 10**8
    assert [f"{month.month:%Y-%m}" for month in told] == ["2025-04", "2025-05", "2025-06"]


# 86: one by choice, one by a card that failed, one of whom nobody knows
@pytest.mark.parametrize(("profile", "by_choice", "unknown"), [("tenure", 1, 1), ("stripe", 1, 1), ("chargebee", 2, 0)])
def test_unknown_stays_unknown_but_where_the_vendor_calls_it_a_choice(
    company: Company, profile: str, by_choice: int, unknown: int
) -> None:
    facts = Facts()
    for customer, actor in (("chooses", "customer"), ("fails", "dunning"), ("vanishes", None)):
        facts.state("2025-01-10", customer=customer)
        facts.state("2025-06-10", customer=customer, status="canceled", cancel_actor=actor)
    shop = company(facts)
    kinds = ("voluntary", "involuntary", "unknown")
    names = [f"customers_churned_{kind}" for kind in kinds]
    assert shop.values("2025-06", *names, profile=profile) == [by_choice, 1, unknown]
    answer = shop.workspace.metrics(*names, since="2025-06", profile=profile, known_on="2026-01-01")
    told = answer.customers().to_pylist()
    listed = {kind: {row["customer_id"] for row in told if row["metric"].endswith(f"_{kind}")} for kind in kinds}
    assert listed["involuntary"] == {"fails"}
    assert ("vanishes" in listed["voluntary"]) is (profile == "chargebee")
    assert ("vanishes" in listed["unknown"]) is (profile != "chargebee")


# 86
def test_the_bridge_to_chargebee_names_who_is_called_a_choice_there(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-06-10", status="canceled", cancel_actor=None)
    found = company(facts).workspace.bridge("customers_churned_voluntary", after="chargebee", month="2025-06")
    assert {line.name: line.amount for line in found.lines if line.amount} == {"cancellation reason": 1}
