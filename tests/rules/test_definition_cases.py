"""Does Tenure give the answers that the industry's edge cases call for, under its default profile?

One test a case of the conformance table (reference/definitions.md), its number in the comment above it, through the
public interface: facts go into a workspace's lake, numbers come out of `shop.metrics`. What the table leaves to other
profiles is tested with those.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import tenure
from tenure.errors import BadPeriod
from tenure.faces.cli import main as command_line
from tests.reference.builder import LONG_AFTER, Company, Facts, Shop, cents

# --- what a subscription is worth a month ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "columns", "mrr"),
    [
        # 1, 2: 2,000 / 12 = 166.67, whatever the seats
        ("1,200 a year", {"amount_minor": 120_000, "interval": "year"}, "100.00"),
        ("2,000 a year for four seats", {"amount_minor": 200_000, "interval": "year", "quantity": 4}, "166.67"),
        # 3
        ("300 a quarter", {"amount_minor": 30_000, "interval": "quarter"}, "100.00"),
        ("300 every three months", {"amount_minor": 30_000, "interval_count": 3}, "100.00"),
        # 4: 10 * 365/84 = 43.452...
        ("10 a week", {"amount_minor": 1_000, "interval": "week"}, "43.45"),
        # 5: 365/12 = 30.4166...
        ("1 a day", {"amount_minor": 100, "interval": "day"}, "30.42"),
        # 6: thirteen times a year; 100 * 13/12 = 108.33, and not 100 as if it were a month
        ("100 every four weeks", {"amount_minor": 10_000, "interval": "week", "interval_count": 4}, "108.33"),
        # 7
        ("60 every two months", {"amount_minor": 6_000, "interval_count": 2}, "30.00"),
        # 8: 119 with 19 of tax inside, 100 with 19 on top
        ("with tax inside", {"amount_minor": 11_900, "tax_minor": 1_900, "tax_inclusive": True}, "100.00"),
        ("with tax on top", {"amount_minor": 10_000, "tax_minor": 1_900, "tax_inclusive": False}, "100.00"),
        # 53: 25 seats in tiers cost 230 now; that is the price of the item
        ("tiered, at the current quantity", {"amount_minor": 23_000, "quantity": 25}, "230.00"),
    ],
)
def test_a_price_is_normalised_to_a_month(company: Company, told: str, columns: dict[str, Any], mrr: str) -> None:
    facts = Facts()
    facts.state("2025-01-10", **columns)
    assert cents(company(facts).value("mrr", "2025-01")) == mrr, told


# 4
def test_a_hundred_weekly_subscriptions_are_summed_before_they_are_rounded(company: Company) -> None:
    facts = Facts()
    for number in range(100):
        facts.state("2025-01-10", customer=f"c{number}", amount_minor=1_000, interval="week")
    assert cents(company(facts).value("mrr", "2025-01")) == "4345.24"


# 54
def test_a_one_time_charge_is_no_recurring_revenue(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.line("2025-01-10", kind="one_time", amount_minor=195_000)
    facts.line("2025-01-10", kind="recurring", amount_minor=10_000)
    assert cents(company(facts).value("mrr", "2025-01")) == "100.00"


# --- trials, and what is not paid yet -------------------------------------------------------------------------------


# 16
def test_who_tries_is_no_customer_and_pays_nothing(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", status="trialing", trial_ends_at="2025-02-10")
    shop = company(facts, known_on="2025-01-31")
    assert shop.values("2025-01", "mrr", "customers", "paying_customers") == [0, 0, 0]


# 17
def test_a_trial_cancelled_before_it_was_paid_is_no_churn_and_was_no_customer(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", status="trialing", trial_ends_at="2025-02-10")
    facts.state("2025-01-20", status="canceled", cancel_actor="customer")
    shop = company(facts)
    for text in ("2025-01", "2025-02"):
        assert shop.values(text, "customers", "customers_new", "customers_churned", "mrr_churn") == [0, 0, 0, 0]


# 19
def test_a_trial_that_converts_in_the_future_is_not_counted_early(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", status="trialing", trial_ends_at="2025-02-10")
    # known on the ninth of February: nothing yet, in the same month that later has it
    assert company(facts, known_on="2025-02-09").values("2025-02", "mrr", "customers_new") == [0, 0]
    assert company(facts, known_on="2025-02-10").values("2025-02", "mrr", "customers_new") == [100, 1]


# 20
def test_what_was_never_completed_is_never_revenue(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", status="incomplete")
    facts.state("2025-01-11", status="incomplete_expired")
    assert company(facts).values("2025-01", "mrr", "mrr_new", "customers", "customers_churned") == [0, 0, 0, 0]


# 21
def test_past_due_stays_in_mrr_until_dunning_ends_and_is_involuntary_only_then(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-10", status="past_due")
    facts.state("2025-03-10", status="canceled", cancel_actor="dunning")
    shop = company(facts)
    assert shop.values("2025-02", "mrr", "customers_churned") == [100, 0]
    assert shop.values("2025-03", "mrr", "customers_churned", "involuntary_churn_share") == [0, 1, 1]


# 22
def test_unpaid_leaves_mrr_on_the_day_the_status_turns_and_is_involuntary(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-08", status="past_due")  # the last attempt
    facts.state("2025-02-15", status="unpaid")  # the next bill
    shop = company(facts)
    assert [(row["at"].date().isoformat(), row["kind"]) for row in shop.movements()][1:] == [("2025-02-15", "churn")]
    assert shop.value("involuntary_churn_share", "2025-02") == 1


# 23
def test_a_subscription_left_past_due_for_ever_never_churns_by_itself(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-10", status="past_due")
    assert company(facts).values("2026-01", "mrr", "customers") == [100, 1]


# --- pauses and ends ------------------------------------------------------------------------------------------------


# 24
def test_paused_collection_takes_mrr_out_from_the_next_period_on_and_is_no_churn(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", period_end="2025-02-10")
    facts.state("2025-01-20", period_end="2025-02-10", collection_paused=True)
    facts.state("2025-04-10", period_end="2025-05-10")
    shop = company(facts)
    assert shop.values("2025-01", "mrr", "mrr_pause") == [100, 0]
    assert shop.values("2025-02", "mrr", "mrr_pause", "mrr_churn") == [0, 100, 0]
    assert shop.values("2025-02", "customers", "customers_churned") == [1, 0]
    assert shop.values("2025-04", "mrr", "mrr_resume", "mrr_reactivation", "customers_reactivated") == [100, 100, 0, 0]


# 25
def test_a_pause_becomes_churn_after_six_months(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-10", status="paused")
    shop = company(facts)
    assert shop.values("2025-07", "customers", "customers_churned") == [1, 0]
    assert shop.values("2025-08", "customers", "customers_churned") == [0, 1]
    assert shop.values("2025-08", "mrr_churn", "mrr_resume", "mrr") == [100, 100, 0]


# 26
def test_a_cancellation_for_the_periods_end_is_churn_at_the_periods_end(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-15")
    facts.state("2025-06-08", cancel_at="2025-06-15", cancel_requested_at="2025-06-08", cancel_actor="customer")
    assert company(facts, known_on="2025-06-14").values("2025-06", "mrr", "customers_churned") == [100, 0]
    shop = company(facts)
    assert shop.values("2025-06", "mrr", "customers_churned") == [0, 1]
    assert shop.movements()[-1]["at"] == datetime(2025, 6, 15, tzinfo=UTC)


# 27
def test_a_cancellation_taken_back_before_it_happens_is_no_churn(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-15")
    facts.state("2025-06-08", cancel_at="2025-06-15", cancel_requested_at="2025-06-08", cancel_actor="customer")
    facts.state("2025-06-12")
    assert company(facts).values("2025-06", "mrr", "customers_churned", "mrr_churn") == [100, 0, 0]


# 28, 29
@pytest.mark.parametrize("refunded", [False, True])
def test_an_immediate_cancellation_is_churn_at_once_with_or_without_a_refund(company: Company, refunded: bool) -> None:
    facts = Facts()
    facts.state("2025-01-15", amount_minor=120_000, interval="year", period_end="2026-01-15")
    facts.state("2025-06-08 12:00", status="canceled", period_end="2026-01-15", cancel_actor="customer")
    if refunded:
        facts.line("2025-06-08", kind="credit", amount_minor=-72_658)
    last = company(facts).movements()[-1]
    assert (last["at"], last["kind"], last["amount"]) == (datetime(2025, 6, 8, 12, tzinfo=UTC), "churn", -100)


# 30
def test_mrr_holds_what_is_scheduled_to_end_and_not_what_is_signed_to_start(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-15", customer="leaving", cancel_at="2025-08-15")
    facts.state("2025-06-10", customer="signed", status="scheduled", amount_minor=5_000)
    facts.state("2025-09-01", customer="signed", amount_minor=5_000, recorded_at="2025-06-10")
    shop = company(facts, known_on="2025-06-30")
    assert shop.values("2025-06", "mrr", "customers") == [100, 1]
    assert company(facts).values("2025-09", "mrr", "customers_new") == [50, 1]


# 31, 32
def test_of_two_subscriptions_the_first_cancelled_is_a_contraction_and_the_second_churn(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-15", subscription="a", amount_minor=4_000)
    facts.state("2025-01-15", subscription="b", amount_minor=6_000)
    facts.state("2025-02-10", subscription="a", status="canceled")
    shop = company(facts)
    assert shop.values("2025-02", "mrr_contraction", "mrr_churn", "customers_churned") == [40, 0, 0]
    facts.state("2025-03-10", subscription="b", status="canceled")
    assert company(facts).values("2025-03", "mrr_contraction", "mrr_churn", "customers_churned") == [0, 60, 1]


# 33
def test_both_cancelled_within_the_hour_is_one_churn_of_the_sum(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-15", subscription="a", amount_minor=4_000)
    facts.state("2025-01-15", subscription="b", amount_minor=6_000)
    facts.state("2025-02-10 10:00", subscription="a", status="canceled")
    facts.state("2025-02-10 11:00", subscription="b", status="canceled")
    shop = company(facts)
    assert shop.values("2025-02", "mrr_contraction", "mrr_churn", "customers_churned") == [0, 100, 1]


# 34, 35
def test_an_upgrade_within_the_hour_is_new_business_and_one_on_the_next_day_is_not(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-15 10:00", amount_minor=10_000)
    facts.state("2025-01-15 10:45", amount_minor=25_000)
    facts.state("2025-01-16 10:45", amount_minor=30_000)
    assert company(facts).values("2025-01", "mrr_new", "mrr_expansion") == [250, 50]


# 36
def test_who_joins_and_leaves_in_a_month_is_counted_twice_but_not_in_the_rate(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-15", customer="base")
    facts.state("2025-02-05", customer="guest")
    facts.state("2025-02-25", customer="guest", status="canceled")
    shop = company(facts)
    assert shop.values("2025-02", "customers_new", "customers_churned", "customer_churn_rate") == [1, 1, 0]


# 37
def test_who_leaves_and_returns_in_a_month_is_two_events_and_nobody_lost(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-15")
    facts.state("2025-02-05", status="canceled")
    facts.state("2025-02-25")
    names = ("customers_churned", "customers_reactivated", "mrr_churn", "mrr_reactivation", "customer_churn_rate")
    assert company(facts).values("2025-02", *names) == [1, 1, 100, 100, 0]


# 38, 39
def test_a_gap_is_no_churn_only_where_there_is_none_and_a_return_is_a_reactivation_after_any(company: Company) -> None:
    facts = Facts()
    facts.span("2025-01-15", "2025-02-15")
    facts.span("2025-02-15", "2025-03-15")  # on without a gap
    facts.span("2025-03-16", "2025-03-20")  # a day later
    facts.span("2026-09-20", None)  # a year and a half later
    shop = company(facts)
    assert shop.values("2025-02", "customers_churned", "mrr_churn") == [0, 0]
    assert shop.values("2025-03", "customers_churned", "customers_reactivated") == [2, 1]
    assert shop.values("2026-09", "customers_new", "customers_reactivated", "mrr_reactivation") == [0, 1, 100]


# 40, 41
def test_a_returning_customer_stays_in_the_first_cohort_and_may_leave_again(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-15")
    facts.state("2025-02-05", status="canceled")
    facts.state("2025-04-05")
    facts.state("2025-05-05", status="canceled")
    shop = company(facts)
    assert sum(shop.value("customers_churned", text) or 0 for text in ("2025-02", "2025-05")) == 2
    (table,) = shop.workspace.cohorts(until="2025-05", known_on=shop.known_on)
    assert [cohort.label for cohort in table.cohorts] == ["2025-01"]
    # at the end of January, February, March, April, May
    assert table.triangle.values == ((1, 0, 0, 1, 0),)


# --- changes of price -----------------------------------------------------------------------------------------------


# 42
def test_a_seat_added_in_the_middle_of_a_month_expands_by_its_full_price(company: Company) -> None:
    facts = Facts()
    facts.state("2025-06-01", quantity=4, amount_minor=4_000)
    facts.state("2025-07-16", quantity=5, amount_minor=5_000)
    facts.line("2025-07-16", kind="recurring", amount_minor=500, is_proration=True)  # half a month was billed
    assert company(facts).values("2025-07", "mrr_expansion", "mrr") == [10, 50]


# 43
def test_prorated_lines_are_never_summed_into_a_change_of_plan(company: Company) -> None:
    facts = Facts()
    facts.state("2025-06-01", plan_id="basic", amount_minor=10_000)
    facts.state("2025-07-16", plan_id="plus", amount_minor=25_000)
    facts.line("2025-07-16", kind="recurring", amount_minor=12_500, is_proration=True)
    facts.line("2025-07-16", kind="recurring", amount_minor=-5_000, is_proration=True)
    assert company(facts).values("2025-07", "mrr_expansion", "mrr") == [150, 250]


# 45
def test_from_monthly_to_yearly_at_a_discount_is_a_contraction_because_of_the_interval(company: Company) -> None:
    facts = Facts()
    facts.state("2025-06-01", plan_id="monthly", amount_minor=1_200)
    facts.state("2025-07-01", plan_id="yearly", amount_minor=12_000, interval="year")
    shop = company(facts)
    assert shop.values("2025-07", "mrr_contraction", "customers_churned") == [2, 0]
    last = shop.movements()[-1]
    assert (last["kind"], last["cause"]) == ("contraction", "interval")


# 46
def test_a_migration_to_another_product_on_the_same_day_is_only_the_difference(company: Company) -> None:
    facts = Facts()
    facts.state("2025-06-01", subscription="old", product_id="p1", plan_id="v1", amount_minor=10_000)
    facts.state("2025-07-10 09:00", subscription="old", product_id="p1", plan_id="v1", status="canceled")
    facts.state("2025-07-10 15:00", subscription="new", product_id="p2", plan_id="v2", amount_minor=11_000)
    names = ("mrr_expansion", "mrr_new", "mrr_churn", "customers_new", "customers_churned")
    assert company(facts).values("2025-07", *names) == [10, 0, 0, 0, 0]


# --- currencies -----------------------------------------------------------------------------------------------------


# 56
def test_a_rate_that_moves_is_no_movement_but_its_own_line(company: Company) -> None:
    facts = Facts()
    facts.rate("2025-01-01", "EUR", "0.909090909091")  # 1.10 USD for one EUR
    facts.rate("2025-07-10", "EUR", "0.833333333333")  # 1.20
    facts.state("2025-06-01", currency="EUR", amount_minor=10_000)
    shop = company(facts, currency="USD")
    assert cents(shop.value("mrr", "2025-06")) == "110.00"
    assert cents(shop.value("mrr_fx", "2025-07")) == "10.00"
    assert shop.values("2025-07", "mrr_expansion", "mrr_contraction", "nrr", "grr") == [0, 0, 1, 1]
    assert cents(shop.value("mrr", "2025-07")) == "120.00"
    assert shop.value("mrr", "2025-07", currency="each") == 100  # in its own currency nothing happened


# 57
def test_a_day_without_a_rate_takes_the_last_earlier_one_and_is_restated_when_its_own_comes(company: Company) -> None:
    facts = Facts()
    facts.rate("2025-01-01", "EUR", "0.8")  # 1.25 USD
    facts.rate("2025-06-10", "EUR", "0.5", recorded_at="2025-06-12")  # 2.00 USD, told two days late
    facts.state("2025-06-10 12:00", currency="EUR", amount_minor=10_000)
    assert company(facts, currency="USD", known_on="2025-06-11").value("mrr_new", "2025-06") == 125
    assert company(facts, currency="USD").value("mrr_new", "2025-06") == 200


# 58
def test_a_customer_who_changes_currency_leaves_at_the_rate_and_comes_in_at_the_rate(company: Company) -> None:
    facts = Facts()
    facts.rate("2025-01-01", "EUR", "0.8")  # 1.25 USD
    facts.rate("2025-07-05", "EUR", "0.5")  # 2.00 USD
    facts.state("2025-06-01", currency="EUR", amount_minor=10_000)
    facts.state("2025-07-10", currency="USD", amount_minor=19_000)
    shop = company(facts, currency="USD")
    # 125 at the start, +75 by the rate of the fifth, then 200 out and 190 in: the price fell by 10
    assert shop.values("2025-07", "mrr_fx", "mrr_contraction", "mrr") == [75, 10, 190]


# --- time -----------------------------------------------------------------------------------------------------------


# 63, 64, 65
def test_what_is_learned_late_moves_its_own_month_and_leaves_the_earlier_view_as_it_was(company: Company) -> None:
    facts = Facts()
    facts.state("2025-05-10")
    facts.state("2025-06-20", status="canceled", recorded_at="2025-07-05")
    facts.state("2025-05-10", customer="c2", recorded_at="2025-08-01")  # a backdated start
    assert company(facts, known_on="2025-06-30").values("2025-06", "customers", "customers_churned") == [1, 0]
    assert company(facts).values("2025-06", "customers", "customers_churned") == [1, 1]
    assert company(facts).value("customers_new", "2025-05") == 2


# 66
def test_the_day_of_a_cancellation_is_the_companys(company: Company) -> None:
    facts = Facts()
    facts.state("2025-05-10")
    facts.state("2025-07-01 07:30", status="canceled")  # 23:30 on 30 June, eight hours west of Greenwich
    assert company(facts, timezone="Etc/GMT+8").values("2025-06", "mrr", "customers_churned") == [0, 1]
    assert company(facts).values("2025-06", "mrr", "customers_churned") == [100, 0]


# 67
def test_a_month_from_the_thirty_first_of_january_to_the_last_of_february_is_no_lapse(company: Company) -> None:
    facts = Facts()
    for started, ended in (("2024-12-31", "2025-01-31"), ("2025-01-31", "2025-02-28"), ("2025-02-28", "2025-03-31")):
        facts.span(started, ended)
    shop = company(facts)
    for text in ("2025-01", "2025-02"):
        assert shop.values(text, "mrr", "customers_churned", "mrr_churn", "mrr_expansion") == [100, 0, 0, 0]


# 68
def test_a_subscription_that_ends_at_midnight_is_not_active_on_the_day_that_begins(company: Company) -> None:
    facts = Facts()
    facts.span("2025-05-01", "2025-07-01")
    shop = company(facts)
    assert shop.values("2025-06", "mrr", "customers_churned") == [100, 0]
    assert shop.values("2025-07", "mrr", "customers_churned") == [0, 1]


# --- who counts -----------------------------------------------------------------------------------------------------


# 69
def test_merged_customers_share_one_history(company: Company) -> None:
    facts = Facts()
    facts.customer("old", merged_into="kept")
    facts.state("2025-05-10", customer="old")
    facts.state("2025-06-10", customer="old", status="canceled")
    facts.state("2025-06-10", customer="kept")
    shop = company(facts)
    assert shop.values("2025-06", "customers", "customers_new", "customers_churned", "mrr_churn") == [1, 0, 0, 0]
    assert shop.value("customers_new", "2025-05") == 1


# 70
def test_customers_who_only_test_are_in_no_number_and_their_count_is_told(company: Company) -> None:
    facts = Facts()
    facts.customer("us", is_test=True)
    facts.state("2025-05-10", customer="us", amount_minor=99_900)
    facts.state("2025-05-10", customer="them")
    shop = company(facts)
    assert shop.values("2025-05", "mrr", "customers", "customers_new") == [100, 1, 1]
    answer = shop.workspace.metrics("mrr", since="2025-05", known_on=shop.known_on)
    assert any("1 test customer" in note for note in answer.notes)


# 99
def test_who_never_paid_anything_is_in_no_denominator(company: Company) -> None:
    facts = Facts()
    facts.state("2025-05-10", customer="free", amount_minor=0)
    facts.state("2025-05-10", customer="pays")
    facts.state("2025-06-10", customer="free", status="canceled", amount_minor=0)
    rate = company(facts).row("customer_churn_rate", "2025-06")
    assert (int(rate["numerator"]), int(rate["denominator"])) == (0, 1)


# --- rates ----------------------------------------------------------------------------------------------------------


def a_month_of_everything() -> Facts:
    """Opening 100, contraction 10, churn 10, expansion 10, reactivation 5, new 20, in February."""
    facts = Facts()
    facts.state("2025-01-05", customer="back", amount_minor=500)
    facts.state("2025-01-20", customer="back", amount_minor=500, status="canceled")
    facts.state("2025-02-20", customer="back", amount_minor=500)
    for customer, before, after in (("less", 4_000, 3_000), ("gone", 1_000, None), ("more", 5_000, 6_000)):
        facts.state("2025-01-10", customer=customer, amount_minor=before, plan_id="A")
        if after is None:
            facts.state("2025-02-10", customer=customer, status="canceled", plan_id="A")
        else:
            facts.state("2025-02-10", customer=customer, amount_minor=after, plan_id="B")
    facts.state("2025-02-11", customer="fresh", amount_minor=2_000)
    return facts


# 71
def test_the_lines_of_a_month_lead_from_its_opening_to_its_closing(company: Company) -> None:
    shop = company(a_month_of_everything())
    lines = ("mrr_new", "mrr_reactivation", "mrr_resume", "mrr_expansion", "mrr_contraction", "mrr_pause", "mrr_churn")
    new, reactivation, resume, expansion, contraction, pause, churn = shop.values("2025-02", *lines)
    assert (new, reactivation, resume, expansion, contraction, pause, churn) == (20, 5, 0, 10, 10, 0, 10)
    opening, closing = shop.value("mrr", "2025-01"), shop.value("mrr", "2025-02")
    assert opening + new + reactivation + resume + expansion - contraction - pause - churn == closing == 115


# 72
def test_a_plan_that_loses_a_customer_to_another_plan_shows_it_as_leaving(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", plan_id="A", amount_minor=5_000)
    facts.state("2025-02-10", plan_id="B", amount_minor=3_000)
    shop = company(facts)
    names = ("mrr_leaving", "mrr_entering", "mrr_contraction", "mrr")
    found = {name: shop.by("plan_id", name, "2025-02") for name in names}
    assert [found[name].get("A", 0) for name in names] == [50, 0, 0, 0]
    assert [found[name].get("B", 0) for name in names] == [0, 50, 20, 30]


# 73, 74, 75
def test_churn_gross_and_net_and_retention_of_one_month(company: Company) -> None:
    shop = company(a_month_of_everything())
    # (10 + 10) / 100; (10 + 10 - 10 - 5) / 100; the returner was not paying at the start: (100 - 10 - 10 + 10) / 100
    names = ("gross_mrr_churn_rate", "net_mrr_churn_rate", "nrr")
    assert shop.values("2025-02", *names) == [Fraction(20, 100), Fraction(5, 100), Fraction(90, 100)]


# 76, 77
def test_gross_retention_is_the_minimum_of_each_customer_and_never_above_one(company: Company) -> None:
    facts = Facts()
    for customer, after in (("a", 15_000), ("b", None), ("c", 10_000), ("d", 6_000)):
        facts.state("2025-01-10", customer=customer)
        if after is None:
            facts.state("2025-02-10", customer=customer, status="canceled")
        else:
            facts.state("2025-02-10", customer=customer, amount_minor=after)
    assert company(facts).values("2025-02", "grr", "nrr") == [Fraction(65, 100), Fraction(775, 1000)]
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-10", amount_minor=90_000)
    row = company(facts).row("grr", "2025-02")
    assert float(row["value"]) == 1.0
    assert 0 <= float(row["low"]) <= float(row["high"]) <= 1


# 78
def test_the_quick_ratio_counts_returns_and_is_unknown_where_nothing_was_lost(company: Company) -> None:
    shop = company(a_month_of_everything())
    assert shop.value("quick_ratio", "2025-02") == Fraction(20 + 5 + 10, 10 + 10)
    row = shop.row("quick_ratio", "2025-03")
    assert row["value"] is None
    assert row["reason"]


# 79
def test_average_revenue_is_of_those_who_pay(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", customer="a", amount_minor=10_000)
    facts.state("2025-01-10", customer="b", amount_minor=5_000)
    facts.state("2025-01-10", customer="free", amount_minor=0)
    facts.state("2025-01-10", customer="tries", status="trialing")
    facts.state("2025-01-10", customer="discounted", discount_forever_minor=10_000)
    assert company(facts).value("arpa", "2025-01") == 75


# 83
def test_a_rate_of_nobody_is_unknown_with_a_reason(company: Company) -> None:
    facts = Facts()
    facts.state("2025-02-10")
    shop = company(facts)
    for name in (
        "customer_churn_rate",
        "gross_mrr_churn_rate",
        "net_mrr_churn_rate",
        "nrr",
        "grr",
        "nrr_12m",
        "grr_12m",
    ):
        row = shop.row(name, "2025-02")
        assert row["value"] is None, name
        assert row["reason"], name


# 84
def test_a_small_base_has_a_wide_interval_and_says_that_it_is_small(company: Company) -> None:
    facts = Facts()
    for number in range(10):
        facts.state("2025-01-10", customer=f"c{number}")
    facts.state("2025-02-10", customer="c0", status="canceled")
    row = company(facts).row("customer_churn_rate", "2025-02")
    # Wilson's interval of 1 in 10 at 95 %: 0.0179 to 0.4042
    assert (round(float(row["low"]), 4), round(float(row["high"]), 4)) == (0.0179, 0.4042)
    assert row["n"] == 10
    assert "30" in str(row["reason"])


# 86
def test_who_chose_to_leave_and_whom_a_card_failed_are_told_apart_and_the_unknown_stay_unknown(
    company: Company,
) -> None:
    facts = Facts()
    said: tuple[tuple[str, dict[str, Any]], ...] = (
        ("chose", {"cancel_actor": "customer"}),
        ("card", {"cancel_actor": "dunning"}),
        ("unpaid", {"status": "unpaid"}),
        ("bank", {"cancel_actor": "dispute"}),
        ("thief", {"cancel_actor": "fraud"}),
        ("nobody knows", {}),
    )
    for customer, columns in said:
        facts.state("2025-01-10", customer=customer)
        facts.state("2025-02-10", customer=customer, **{"status": "canceled", **columns})
    shop = company(facts)
    names = ("customers_churned_voluntary", "customers_churned_involuntary", "customers_churned_unknown")
    assert shop.values("2025-02", "customers_churned", *names) == [6, 1, 2, 1]


# 87
def test_who_cancels_while_past_due_chose_to_leave(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-01", status="past_due")
    facts.state("2025-02-10", status="canceled", cancel_actor="customer")
    shop = company(facts)
    assert shop.values("2025-02", "customers_churned_voluntary", "customers_churned_involuntary") == [1, 0]


# 55
def test_a_negative_amount_is_held_back_with_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_text(
        "subscription_id,customer_id,plan_id,amount,currency,interval,interval_count,quantity,started_at,ended_at\n"
        "s1,c1,basic,100.00,USD,month,1,1,2025-01-10,\n"
        "s2,c2,basic,-100.00,USD,month,1,1,2025-01-10,\n",
        encoding="utf-8",
    )
    with tenure.open(tmp_path / "shop", create=True) as workspace:
        (loaded,) = workspace.load("subscriptions", file)
        assert (loaded.rows, loaded.loaded, loaded.quarantined) == (2, 1, 1)
        (reason,) = loaded.reasons
        assert (reason.column, reason.first_line) == ("amount", 3)
        assert "negative" in reason.reason
        assert Shop(workspace, LONG_AFTER).values("2025-01", "mrr", "customers") == [100, 1]


# 100
def test_a_rate_without_a_period_is_refused(company: Company, tmp_path: Path) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    with pytest.raises(BadPeriod):
        company(facts).workspace.metrics("customer_churn_rate", since="")
    with pytest.raises(TypeError):
        company(facts).workspace.metrics("customer_churn_rate")
    with pytest.raises(SystemExit) as ended:
        command_line(["metrics", "customer_churn_rate", "-w", str(tmp_path / "shop-0")])
    assert ended.value.code == 2


def fixture_a() -> Facts:
    """June: 100 customers on the 1st, 30 join on the 11th, 10 leave on the 16th, 2 return, 3 of the new leave."""
    facts = Facts()
    june = datetime(2025, 6, 1, tzinfo=UTC)
    for number in range(100):
        facts.state("2025-05-10", customer=f"base-{number}")
    for number in range(30):
        facts.state(june + timedelta(days=10), customer=f"new-{number}")
    for number in range(10):
        facts.state(june + timedelta(days=15), customer=f"base-{number}", status="canceled")
    for number in range(2):
        facts.state(june + timedelta(days=20), customer=f"base-{number}")
    for number in range(3):
        facts.state(june + timedelta(days=25), customer=f"new-{number}", status="canceled")
    return facts


# fixture A, D2
def test_of_a_hundred_customers_eight_are_lost_at_the_end_whatever_came_and_went_between(company: Company) -> None:
    shop = company(fixture_a())
    row = shop.row("customer_churn_rate", "2025-06")
    assert (int(row["numerator"]), int(row["denominator"])) == (8, 100)
    assert round(float(row["value"]), 12) == 0.08
    assert shop.values("2025-06", "customers", "customers_churned", "customers_reactivated") == [119, 13, 2]


# 85: of a hundred yearly customers ten came up for renewal in June; three of them left
def test_a_churn_rate_per_renewal_asks_only_those_who_could_leave(company: Company) -> None:
    facts = Facts()
    for number in range(90):
        facts.state("2024-03-10", customer=f"march-{number}", amount_minor=120_000, interval="year")
    for number in range(10):
        facts.state("2024-06-10", customer=f"june-{number}", amount_minor=120_000, interval="year")
    for number in range(3):
        facts.state("2025-06-10", customer=f"june-{number}", status="canceled")
    shop = company(facts)
    rate, per_renewal = (shop.row(name, "2025-06") for name in ("customer_churn_rate", "renewal_churn_rate"))
    assert (rate["numerator"], rate["denominator"]) == (3, 100)
    assert (per_renewal["numerator"], per_renewal["denominator"]) == (3, 10)
    assert shop.row("renewal_churn_rate", "2025-07")["reason"] == "nobody was due for renewal"
    answer = shop.workspace.metrics("renewal_churn_rate", since="2025-06", known_on=LONG_AFTER)
    assert [row["amount"] for row in answer.customers().to_pylist()].count(1) == 3


# 85
@pytest.mark.parametrize(
    ("told", "story", "months"),
    [
        ("a monthly plan every month", [("2025-01-31", {})], ["2025-02", "2025-03", "2025-04"]),
        ("a quarter", [("2025-01-15", {"interval": "quarter"})], ["2025-04", "2025-07"]),
        ("a week", [("2025-01-15", {"interval": "week"})], ["2025-02", "2025-03"]),
        ("from a trial's end",
         [("2025-01-15", {"status": "trialing", "trial_ends_at": "2025-02-15", "interval": "quarter"})],
         ["2025-05"]),
        ("from the change of the interval",
         [("2025-01-15", {"interval": "year"}), ("2025-03-01", {"interval": "quarter"})],
         ["2025-06"]),
        ("a new price leaves the day", [("2025-01-15", {"interval": "quarter"}), ("2025-03-01", {"interval": "quarter",
         "amount_minor": 9_000})], ["2025-04", "2025-07"]),
        ("the contract's term", [("2025-01-15", {"term_ends_at": "2025-06-30"})], ["2025-06"]),
    ],
)  # fmt: skip
def test_somebody_is_due_when_what_was_billed_for_ends(
    company: Company, told: str, story: list[tuple[str, dict[str, Any]]], months: list[str]
) -> None:
    facts = Facts()
    for at, columns in story:
        facts.state(at, **columns)
    shop = company(facts)
    every = [f"2025-{month:02}" for month in range(2, 8)]
    due = [month for month in every if shop.row("renewal_churn_rate", month)["denominator"]]
    assert due == (every if told in ("a monthly plan every month", "a week") else months)
