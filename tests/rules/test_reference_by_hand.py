"""Is the reference itself right? Small cases worked by hand, the arithmetic beside them.

The reference (tests/reference/day_by_day.py) is what the product is held to, so it is held to these first. Money in the
comments is in major units; the reference counts 10^-6 minor units, so 1.00 USD = 100 minor = 100,000,000 micro.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import pytest

from tests.reference.builder import Facts
from tests.reference.day_by_day import Counts, Lines, NoRateKnown, Reference, add_months

USD = 100 * 10**6  # one dollar in micro units


def reference(facts: Facts, known_on: str = "2027-01-01", **settings: Any) -> Reference:
    settings.setdefault("zone", "UTC")
    return Reference(facts.tables, known_on=datetime.fromisoformat(known_on).replace(tzinfo=UTC), **settings)


def month(answer: Reference, text: str, by: tuple[str, ...] = ()) -> Any:
    first = date.fromisoformat(f"{text}-01")
    return answer.period(first, add_months(first, 1), by)


def lines(answer: Reference, text: str, currency: str = "USD") -> Lines:
    return month(answer, text).money.get(((), currency), Lines())


def counts(answer: Reference, text: str) -> Counts:
    return month(answer, text).counts.get((), Counts())


def moved(answer: Reference) -> list[tuple[str, str, Any]]:
    """(day and minute, kind, major units) of every movement, summed by group and kind."""
    total: dict[tuple[Any, str, str], int] = {}
    for row in answer.movements():
        key = (row.at, row.kind, row.customer)
        total[key] = total.get(key, 0) + row.micro
    return [
        (at.strftime("%m-%d %H:%M"), kind, Fraction(micro, USD))
        for (at, kind, _), micro in sorted(total.items())
        if micro
    ]


def came(answer: Reference) -> list[tuple[str, str]]:
    return [(event.at.strftime("%m-%d"), event.kind) for event in sorted(answer.customer_events(), key=lambda e: e.at)]


def test_a_year_is_twelve_months_and_what_is_lost_to_rounding_is_a_millionth_of_a_cent() -> None:
    facts = Facts()
    facts.state("2025-01-10", amount_minor=200_000, interval="year", quantity=4)
    # 2,000 / 12 = 166.666666...; in micro cents 16,666,666,666.67 -> 16,666,666,667
    assert lines(reference(facts), "2025-01").new == 16_666_666_667


def test_weeks_and_days_are_months_by_the_days_of_a_year() -> None:
    facts = Facts()
    facts.state("2025-01-10", customer="weekly", amount_minor=1000, interval="week")
    facts.state("2025-02-10", customer="daily", amount_minor=100, interval="day")
    facts.state("2025-03-10", customer="four weeks", amount_minor=10_000, interval="week", interval_count=4)
    facts.state("2025-04-10", customer="two months", amount_minor=6_000, interval="month", interval_count=2)
    answer = reference(facts)
    # 10 * 365/84 = 43.45238095238...; 1 * 365/12 = 30.41666...; 100 * 13/12 = 108.3333...; 60 / 2 = 30
    assert lines(answer, "2025-01").new == 4_345_238_095
    assert lines(answer, "2025-02").new == 3_041_666_667
    assert lines(answer, "2025-03").new == 10_833_333_333
    assert lines(answer, "2025-04").new == 30 * USD


def test_a_half_of_the_last_digit_is_rounded_to_even() -> None:
    facts = Facts()
    # 1 cent / 64 months = 15,625 micro exactly; 1 / 128 = 7,812.5 -> 7,812; 3 / 128 = 23,437.5 -> 23,438
    facts.state("2025-01-10", customer="exact", amount_minor=1, interval_count=64)
    facts.state("2025-02-10", customer="down", amount_minor=1, interval_count=128)
    facts.state("2025-03-10", customer="up", amount_minor=3, interval_count=128)
    answer = reference(facts)
    assert [lines(answer, text).new for text in ("2025-01", "2025-02", "2025-03")] == [15_625, 7_812, 23_438]


def test_tax_inside_the_price_and_lasting_discounts_are_no_revenue_but_a_limited_discount_is_ignored() -> None:
    facts = Facts()
    facts.state(
        "2025-01-10",
        amount_minor=11_900,
        tax_minor=1_900,
        tax_inclusive=True,
        discount_forever_minor=2_500,
        discount_limited_minor=5_000,
    )
    facts.state("2025-01-10", customer="c2", amount_minor=10_000, tax_minor=1_900, tax_inclusive=False)
    facts.state("2025-01-10", customer="c3", amount_minor=1_000, discount_forever_minor=1_500)
    # 119 - 19 - 25 = 75; tax on top is not in the price: 100; never below 0: 0
    answer = reference(facts)
    assert lines(answer, "2025-01").new == 175 * USD
    assert counts(answer, "2025-01").new == 2


def test_what_is_metered_counts_with_its_minimum_only() -> None:
    facts = Facts()
    facts.state("2025-01-10", amount_minor=99_900, is_metered=True, minimum_commit_minor=5_000)
    facts.state("2025-01-10", customer="c2", amount_minor=99_900, is_metered=True)
    answer = reference(facts)
    assert lines(answer, "2025-01").new == 50 * USD
    assert counts(answer, "2025-01").closing == 1


def test_the_life_of_one_customer_rolls_forward_month_by_month() -> None:
    facts = Facts()
    facts.state("2025-01-10", amount_minor=10_000)
    facts.state("2025-02-10", amount_minor=15_000)
    facts.state("2025-03-10", amount_minor=12_000)
    facts.state("2025-04-10", status="canceled")
    facts.state("2025-06-10", amount_minor=9_000)
    answer = reference(facts)
    assert moved(answer) == [
        ("01-10 00:00", "new", 100),
        ("02-10 00:00", "expansion", 50),
        ("03-10 00:00", "contraction", -30),
        ("04-10 00:00", "churn", -120),
        ("06-10 00:00", "reactivation", 90),
    ]
    assert came(answer) == [("01-10", "new"), ("04-10", "churned"), ("06-10", "reactivated")]
    april = lines(answer, "2025-04")
    assert (april.opening, april.churn, april.closing) == (120 * USD, 120 * USD, 0)
    assert counts(answer, "2025-04").churn_rate == 1
    assert counts(answer, "2025-05").churn_rate is None
    assert lines(answer, "2025-05").rates()["gross_mrr_churn_rate"] is None


def test_a_span_ends_where_no_other_span_goes_on() -> None:
    facts = Facts()
    facts.span("2025-01-10", "2025-02-10", amount_minor=10_000)
    facts.span("2025-02-10", "2025-03-10", amount_minor=12_000)
    facts.span("2025-04-01", "2025-04-01", amount_minor=99_000)  # of no length: never there
    answer = reference(facts)
    assert moved(answer) == [
        ("01-10 00:00", "new", 100),
        ("02-10 00:00", "expansion", 20),
        ("03-10 00:00", "churn", -120),
    ]


def test_an_item_with_states_is_told_by_them_alone() -> None:
    facts = Facts()
    facts.span("2025-01-10", "2025-02-10", amount_minor=10_000)
    facts.state("2025-03-01", amount_minor=5_000)
    assert moved(reference(facts)) == [("03-01 00:00", "new", 50)]


def test_a_span_with_a_trial_pays_from_the_trials_end() -> None:
    facts = Facts()
    facts.span("2025-01-10", "2025-06-01", trial_ends_at="2025-01-24")
    facts.span("2025-01-10", "2025-01-20", customer="c2", trial_ends_at="2025-01-24")
    facts.span("2025-01-10", customer="c3", status="trialing")
    answer = reference(facts)
    # c2 left within the trial and c3's trial has no end: neither ever was a customer
    assert moved(answer) == [("01-24 00:00", "new", 100), ("06-01 00:00", "churn", -100)]
    assert counts(answer, "2025-01").new == 1


def test_one_that_does_not_renew_ends_at_the_first_end_it_names() -> None:
    facts = Facts()
    facts.state(
        "2025-01-10", status="non_renewing", period_end="2025-02-10", term_ends_at="2025-04-10", cancel_actor="customer"
    )
    facts.state("2025-01-10", customer="c2", status="non_renewing", period_end="2025-02-10")
    facts.state("2025-01-10", customer="c3", period_end="2025-02-10", term_ends_at="2025-04-10")  # renews
    answer = reference(facts)
    assert moved(answer) == [
        ("01-10 00:00", "new", 100),
        ("01-10 00:00", "new", 100),
        ("01-10 00:00", "new", 100),
        ("02-10 00:00", "churn", -100),
        ("04-10 00:00", "churn", -100),
    ]
    assert [event.cause for event in answer.customer_events() if event.kind == "churned"] == ["voluntary", "unknown"]


def test_a_cancellation_taken_back_before_its_date_is_none() -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-08", cancel_at="2025-02-15", cancel_actor="customer")
    facts.state("2025-02-12")
    assert moved(reference(facts)) == [("01-10 00:00", "new", 100)]


def test_collection_paused_stops_revenue_at_the_next_period_and_is_no_churn() -> None:
    facts = Facts()
    facts.state("2025-01-10", period_end="2025-02-10")
    facts.state("2025-01-20", period_end="2025-02-10", collection_paused=True)
    facts.state("2025-02-10", period_end="2025-03-10", collection_paused=True)  # asks again, later: the first counts
    facts.state("2025-03-05", period_end="2025-03-10", amount_minor=11_000)
    answer = reference(facts)
    assert moved(answer) == [
        ("01-10 00:00", "new", 100),
        ("02-10 00:00", "pause", -100),
        ("03-05 00:00", "resume", 110),
    ]
    assert came(answer) == [("01-10", "new")]
    february = lines(answer, "2025-02")
    assert february.rates()["gross_mrr_churn_rate"] == 1
    assert counts(answer, "2025-02").churn_rate == 0
    assert february.rates()["nrr"] == 0  # a pause lowers retention while it lasts


def test_a_pause_of_six_months_becomes_churn_on_the_day() -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-08-31", status="paused")
    answer = reference(facts)
    # 31 August + 6 months = 28 February
    assert moved(answer) == [
        ("01-10 00:00", "new", 100),
        ("08-31 00:00", "pause", -100),
        ("02-28 00:00", "churn", -100),
        ("02-28 00:00", "resume", 100),
    ]
    february = lines(answer, "2026-02")
    assert (february.opening, february.resume, february.churn, february.closing) == (0, 100 * USD, 100 * USD, 0)
    assert counts(answer, "2026-02").churned == 1


def test_a_pause_with_a_resume_date_ends_by_itself_and_the_next_one_has_six_months_of_its_own() -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-01", status="paused", resumes_at="2025-03-01")
    facts.state("2025-09-01", status="paused")  # no state between them says that it was active again
    answer = reference(facts, known_on="2026-02-01")
    assert moved(answer) == [
        ("01-10 00:00", "new", 100),
        ("02-01 00:00", "pause", -100),
        ("03-01 00:00", "resume", 100),
        ("09-01 00:00", "pause", -100),
    ]
    assert counts(answer, "2025-09").closing == 1


def test_who_pays_first_after_a_pause_that_took_nothing_is_new() -> None:
    facts = Facts()
    facts.state("2025-01-10", status="trialing", trial_ends_at="2025-01-24")
    facts.state("2025-01-24", status="paused")  # no card at the trial's end
    facts.state("2025-02-10")
    answer = reference(facts)
    assert moved(answer) == [("02-10 00:00", "new", 100)]
    assert came(answer) == [("02-10", "new")]


def test_a_paused_item_replaced_by_a_smaller_one_is_resumed_and_contracted() -> None:
    facts = Facts()
    facts.state("2025-01-10", subscription="old")
    facts.state("2025-02-10", subscription="old", status="paused")
    facts.state("2025-03-10 10:00", subscription="old", status="canceled")
    facts.state("2025-03-10 10:30", subscription="new", amount_minor=6_000)
    # at 10:00 nothing is live, at 10:30 the customer is back: one group. +100 back, -100 + 60 = -40
    answer = reference(facts)
    assert moved(answer) == [
        ("01-10 00:00", "new", 100),
        ("02-10 00:00", "pause", -100),
        ("03-10 10:30", "contraction", -40),
        ("03-10 10:30", "resume", 100),
    ]
    assert came(answer) == [("01-10", "new")]


def test_of_two_subscriptions_the_first_to_go_is_a_contraction_and_the_second_churn() -> None:
    facts = Facts()
    facts.state("2025-01-10", subscription="a", amount_minor=4_000)
    facts.state("2025-01-10", subscription="b", amount_minor=6_000)
    facts.state("2025-02-10", subscription="a", status="canceled")
    facts.state("2025-02-10 01:00:01", subscription="b", status="canceled")  # an hour and a second later
    answer = reference(facts)
    assert moved(answer) == [
        ("01-10 00:00", "new", 100),
        ("02-10 00:00", "contraction", -40),
        ("02-10 01:00", "churn", -60),
    ]


def test_what_happens_within_sixty_minutes_is_one_movement_dated_at_its_end() -> None:
    facts = Facts()
    facts.state("2025-01-10 09:00", amount_minor=10_000)
    facts.state("2025-01-10 10:00", amount_minor=15_000)
    facts.state("2025-01-10 10:59", subscription="b", amount_minor=1_000)
    facts.state("2025-01-11 09:00", amount_minor=10_000)
    # 9:00, 10:00 and 10:59 follow each other within the hour
    assert moved(reference(facts)) == [("01-10 10:59", "new", 160), ("01-11 09:00", "contraction", -50)]


def test_an_hour_across_midnight_is_two_movements_and_midnight_is_the_companys() -> None:
    facts = Facts()
    facts.state("2025-01-10 16:50", amount_minor=10_000)
    facts.state("2025-01-10 17:10", amount_minor=15_000)
    assert moved(reference(facts)) == [("01-10 17:10", "new", 150)]
    # Bangkok is seven hours ahead: its midnight is 17:00 UTC
    bangkok = reference(facts, zone="Asia/Bangkok")
    assert moved(bangkok) == [("01-10 16:50", "new", 100), ("01-10 17:10", "expansion", 50)]
    first = bangkok.period(date(2025, 1, 10), date(2025, 1, 11)).money[(), "USD"]
    assert first.closing == 100 * USD


def test_who_leaves_and_is_back_on_the_same_day_did_not_leave() -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-10 02:00", status="canceled")
    facts.state("2025-02-10 22:00", subscription="other", amount_minor=7_000)
    facts.state("2025-03-10 02:00", subscription="other", status="canceled")
    facts.state("2025-03-11 02:00", subscription="other", amount_minor=7_000)
    assert moved(reference(facts)) == [
        ("01-10 00:00", "new", 100),
        ("02-10 22:00", "contraction", -30),
        ("03-10 02:00", "churn", -70),
        ("03-11 02:00", "reactivation", 70),
    ]


def test_a_downgrade_to_the_free_plan_churns_revenue_but_keeps_the_customer() -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-10", amount_minor=0)
    facts.state("2025-03-10", amount_minor=8_000)
    facts.state("2025-04-10", amount_minor=0)
    facts.state("2025-05-10", status="canceled")
    answer = reference(facts)
    assert moved(answer) == [
        ("01-10 00:00", "new", 100),
        ("02-10 00:00", "churn", -100),
        ("03-10 00:00", "reactivation", 80),
        ("04-10 00:00", "churn", -80),
    ]
    assert came(answer) == [("01-10", "new"), ("05-10", "churned")]
    assert (counts(answer, "2025-02").closing, counts(answer, "2025-02").paying) == (1, 0)


def test_a_discount_of_everything_is_a_contraction_and_its_end_an_expansion() -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-10", discount_forever_minor=10_000)
    facts.state("2025-03-10")
    assert moved(reference(facts)) == [
        ("01-10 00:00", "new", 100),
        ("02-10 00:00", "contraction", -100),
        ("03-10 00:00", "expansion", 100),
    ]


def test_who_only_ever_used_the_free_plan_is_in_no_denominator() -> None:
    facts = Facts()
    facts.state("2025-01-10", amount_minor=0)
    facts.state("2025-01-10", customer="c2")
    facts.state("2025-02-10", customer="c2", status="canceled")
    facts.state("2025-02-11", status="canceled")
    february = counts(reference(facts), "2025-02")
    assert (february.opening, february.base_lost, february.churned) == (1, 1, 1)


def test_why_somebody_left_is_told_by_the_state_that_ended_the_last_live_item() -> None:
    facts = Facts()
    for customer, columns in {
        "by choice": {"status": "canceled", "cancel_actor": "customer"},
        "card": {"status": "canceled", "cancel_actor": "dunning"},
        "unpaid": {"status": "unpaid"},
        "bank": {"status": "canceled", "cancel_actor": "dispute"},
        "thief": {"status": "canceled", "cancel_actor": "fraud"},
        "us": {"status": "canceled", "cancel_actor": "business"},
        "who knows": {"status": "canceled"},
        "nobody says": {"status": "canceled", "cancel_actor": "unknown"},
    }.items():
        facts.state("2025-01-10", customer=customer)
        facts.state("2025-02-10", customer=customer, **columns)
    # two items end at once: one says nothing, the other that the customer wished it
    facts.state("2025-01-10", customer="both", subscription="a")
    facts.state("2025-01-10", customer="both", subscription="b")
    facts.state("2025-02-10", customer="both", subscription="a", status="canceled")
    facts.state("2025-02-10", customer="both", subscription="b", status="canceled", cancel_actor="customer")
    causes = counts(reference(facts), "2025-02").causes
    assert causes == {"voluntary": 2, "involuntary": 2, "dispute": 1, "fraud": 1, "business": 1, "unknown": 2}


def test_nothing_is_counted_from_the_known_on_instant_on_and_later_rows_do_not_exist() -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-10", amount_minor=15_000, recorded_at="2025-02-20")
    facts.state("2025-03-01", cancel_at="2025-04-01", cancel_actor="customer")
    assert moved(reference(facts, "2025-02-15")) == [("01-10 00:00", "new", 100)]
    assert moved(reference(facts, "2025-02-20")) == [("01-10 00:00", "new", 100)]  # recorded at this very instant
    assert moved(reference(facts, "2025-02-21")) == [("01-10 00:00", "new", 100), ("02-10 00:00", "expansion", 50)]
    told = [("01-10 00:00", "new", 100), ("02-10 00:00", "expansion", 50), ("03-01 00:00", "contraction", -50)]
    assert moved(reference(facts, "2025-04-01")) == told  # the end is planned for this very instant: not yet
    assert moved(reference(facts, "2025-04-02")) == [*told, ("04-01 00:00", "churn", -100)]


def test_an_end_that_came_after_the_known_on_instant_is_not_known_nor_who_caused_it() -> None:
    facts = Facts()
    facts.span("2025-01-10", "2025-05-01", cancel_requested_at="2025-04-20", cancel_actor="customer")
    assert moved(reference(facts, "2025-04-30")) == [("01-10 00:00", "new", 100)]
    assert [e.cause for e in reference(facts, "2025-05-02").customer_events()] == [None, "voluntary"]
    facts = Facts()
    facts.state("2025-01-10", cancel_at="2025-04-01", cancel_requested_at="2025-04-20", cancel_actor="customer")
    assert [e.cause for e in reference(facts, "2025-04-10").customer_events()] == [None, "unknown"]


def test_of_the_versions_of_a_row_the_latest_counts_and_a_retraction_takes_it_back() -> None:
    facts = Facts()
    facts.state("2025-01-10", amount_minor=10_000, version=7)
    facts.state("2025-01-10", amount_minor=11_000, version=8)  # recorded together: the greater version
    facts.state("2025-01-10", amount_minor=12_000)  # no version is the smallest
    assert moved(reference(facts)) == [("01-10 00:00", "new", 110)]
    facts.state("2025-01-10", recorded_at="2025-03-01", retracted=True)
    assert moved(reference(facts)) == []
    assert moved(reference(facts, "2025-02-28")) == [("01-10 00:00", "new", 110)]
    facts.state("2025-01-10", recorded_at="2025-04-01", amount_minor=13_000)
    assert moved(reference(facts)) == [("01-10 00:00", "new", 130)]


def test_merged_customers_have_one_history_and_test_customers_none() -> None:
    facts = Facts()
    facts.customer("a", merged_into="b")
    facts.customer("b", merged_into="c")
    facts.customer("t", is_test=True)
    facts.state("2025-01-10", customer="a", amount_minor=10_000)
    facts.state("2025-02-10", customer="a", status="canceled")
    facts.state("2025-02-10", customer="c", amount_minor=12_000)
    facts.state("2025-02-10", customer="t", amount_minor=99_000)
    answer = reference(facts)
    assert {row.customer for row in answer.movements()} == {"c"}
    assert moved(answer) == [("01-10 00:00", "new", 100), ("02-10 00:00", "expansion", 20)]
    assert answer.test_customers == 1


def test_exchange_rates_move_neither_movements_nor_retention_but_their_own_line() -> None:
    facts = Facts()
    facts.rate("2025-01-01", "EUR", "0.8")  # 1.25 USD
    facts.rate("2025-02-15", "EUR", "0.5")  # 2.00 USD
    facts.state("2025-01-10", currency="EUR", amount_minor=10_000)
    facts.state("2025-02-20", currency="EUR", amount_minor=15_000)
    answer = reference(facts, reporting="USD")
    january, february = lines(answer, "2025-01"), lines(answer, "2025-02")
    assert (january.new, january.fx, january.closing) == (125 * USD, 0, 125 * USD)
    # 125 + 100 EUR * (2.00 - 1.25) + 50 EUR * 2.00 = 300 = 150 EUR * 2.00
    assert (february.opening, february.fx, february.expansion, february.closing) == (
        125 * USD,
        75 * USD,
        100 * USD,
        300 * USD,
    )
    # at the rates of the start: 150 EUR * 1.25 / 125 = 1.5
    assert (february.rates()["nrr"], february.rates()["grr"]) == (Fraction(3, 2), 1)
    with pytest.raises(NoRateKnown):
        lines(reference(facts, reporting="THB"), "2025-01")


def test_yen_have_no_cents_and_cross_rates_are_rounded_once_to_twelve_decimals() -> None:
    facts = Facts()
    facts.rate("2025-01-01", "JPY", "150")
    facts.rate("2025-01-01", "EUR", "0.9")
    facts.state("2025-01-10", currency="JPY", amount_minor=3_000)
    # 0.9 / 150 = 0.006 exactly: 3,000 yen = 18.00 EUR. 1 / 150 = 0.006666666667: 3,000 yen = 20.000000001 USD
    assert lines(reference(facts, reporting="EUR"), "2025-01", "EUR").new == 1_800 * 10**6
    assert lines(reference(facts, reporting="USD"), "2025-01").new == Fraction(2_000_000_000_1, 10)


def test_a_customer_who_changes_currency_leaves_one_and_enters_the_other() -> None:
    facts = Facts()
    facts.rate("2025-01-01", "EUR", "0.8")
    facts.state("2025-01-10", amount_minor=10_000)
    facts.state("2025-02-10", amount_minor=9_000, currency="EUR")
    native = reference(facts)
    assert lines(native, "2025-02", "USD").contraction == 100 * USD
    assert lines(native, "2025-02", "EUR").expansion == 90 * USD
    # in USD: -100 + 90 * 1.25 = +12.50, one expansion
    converted = lines(reference(facts, reporting="USD"), "2025-02")
    assert (converted.expansion, converted.contraction) == (Fraction(25, 2) * USD, 0)


def test_the_reporting_currency_decides_the_sign_of_a_mixed_change() -> None:
    facts = Facts()
    facts.rate("2025-01-01", "EUR", "0.8")
    facts.state("2025-01-10", subscription="a", amount_minor=10_000)
    facts.state("2025-01-10", subscription="b", amount_minor=10_000, currency="EUR")
    facts.state("2025-02-10", subscription="a", amount_minor=11_000)  # +10 USD
    facts.state("2025-02-10", subscription="b", amount_minor=9_000, currency="EUR")  # -10 EUR = -12.50 USD
    answer = reference(facts, reporting="USD")
    assert lines(answer, "2025-02").contraction == Fraction(5, 2) * USD
    assert {row.kind for row in answer.movements() if row.at.month == 2} == {"contraction"}


def test_what_leaves_a_plan_enters_another_and_the_remainder_moves_there() -> None:
    facts = Facts()
    facts.state("2025-01-10", plan_id="A", amount_minor=5_000)
    facts.state("2025-02-10", plan_id="B", amount_minor=3_000)
    facts.state("2025-03-10", plan_id="C", amount_minor=3_000)
    answer = reference(facts)
    february = month(answer, "2025-02", by=("plan_id",)).money
    a, b = february[("A",), "USD"], february[("B",), "USD"]
    assert (a.opening, a.leaving, a.closing) == (50 * USD, 50 * USD, 0)
    assert (b.opening, b.entering, b.contraction, b.closing) == (0, 50 * USD, 20 * USD, 30 * USD)
    assert lines(answer, "2025-02").contraction == 20 * USD
    march = month(answer, "2025-03", by=("plan_id",)).money
    assert march[("B",), "USD"].leaving == march[("C",), "USD"].entering == 30 * USD
    assert lines(answer, "2025-03").expansion == lines(answer, "2025-03").contraction == 0


def test_what_several_plans_gain_is_shared_in_proportion() -> None:
    facts = Facts()
    facts.state("2025-01-10", item="1", plan_id="A", amount_minor=3_000)
    facts.state("2025-02-10", item="1", status="canceled", plan_id="A")
    facts.state("2025-02-10", item="2", plan_id="B", amount_minor=1_000)
    facts.state("2025-02-10", item="3", plan_id="C", amount_minor=5_000)
    found = month(reference(facts), "2025-02", by=("plan_id",)).money
    # A loses 30, B gains 10 and C 50: B takes in 30 * 10/60 = 5 and expands by 5, C takes in 25 and expands by 25
    assert found[("A",), "USD"].leaving == 30 * USD
    assert (found[("B",), "USD"].entering, found[("B",), "USD"].expansion) == (5 * USD, 5 * USD)
    assert (found[("C",), "USD"].entering, found[("C",), "USD"].expansion) == (25 * USD, 25 * USD)


def test_a_trait_is_taken_at_the_start_of_each_period_and_for_joiners_when_they_join() -> None:
    facts = Facts()
    facts.trait("tier", "small", "2025-01-01")
    facts.trait("tier", "large", "2025-02-15")
    facts.trait("tier", "tiny", customer="c2")
    facts.trait("tier", "huge", "2025-01-15", customer="c2")
    facts.state("2025-01-10")
    facts.state("2025-01-12", customer="c2")
    facts.state("2025-02-20", amount_minor=11_000)
    answer = reference(facts)
    assert {key[0]: found.closing for key, found in month(answer, "2025-01", by=("tier",)).money.items()} == {
        ("small",): 100 * USD,
        ("tiny",): 100 * USD,
    }
    february = month(answer, "2025-02", by=("tier",))
    assert february.money[("small",), "USD"].expansion == 10 * USD
    assert {where: found.closing for where, found in february.counts.items()} == {("small",): 1, ("huge",): 1}
    assert month(answer, "2025-03", by=("tier",)).counts[("large",)].opening == 1


def test_gross_retention_takes_each_customer_at_most_at_the_start() -> None:
    facts = Facts()
    for customer, amount in {"a": 15_000, "b": None, "c": 10_000, "d": 6_000}.items():
        facts.state("2025-01-10", customer=customer)
        if amount is None:
            facts.state("2025-02-10", customer=customer, status="canceled")
        else:
            facts.state("2025-02-10", customer=customer, amount_minor=amount)
    facts.state("2025-02-12", customer="late")
    found = lines(reference(facts), "2025-02").rates()
    # 100 -> 150, 100 -> 0, 100 -> 100, 100 -> 60: net 310/400, gross (100 + 0 + 100 + 60)/400; who joins is no part
    assert found["nrr"] == Fraction(775, 1000)
    assert found["grr"] == Fraction(65, 100)


def test_twelve_months_look_back_a_year_from_each_periods_end() -> None:
    facts = Facts()
    facts.state("2025-01-31")
    facts.state("2025-02-10", customer="c2")
    facts.state("2026-01-31", amount_minor=9_000)
    found = lines(reference(facts), "2026-01")
    # the year from 1 February 2025 to 1 February 2026: only c1 paid at its start, 100 then and 90 now
    assert (found.nrr_12m, found.grr_12m) == ((90 * USD, 100 * USD), (90 * USD, 100 * USD))
    # c2 paid at the start of January 2026 too: (90 + 100) / 200
    assert found.rates()["nrr"] == Fraction(190, 200)


def test_the_rates_of_a_month_come_from_its_lines() -> None:
    facts = Facts()
    for customer in ("gone", "less", "more", "stays"):
        facts.state("2025-01-10", customer=customer, amount_minor=2_500)
    facts.state("2025-01-10", customer="back", amount_minor=500)
    facts.state("2025-01-20", customer="back", status="canceled")
    facts.state("2025-02-05", customer="gone", status="canceled")
    facts.state("2025-02-05", customer="less", amount_minor=1_000)
    facts.state("2025-02-05", customer="more", amount_minor=3_500)
    facts.state("2025-02-05", customer="back", amount_minor=500)
    facts.state("2025-02-05", customer="fresh", amount_minor=2_000)
    found = lines(reference(facts), "2025-02")
    assert [found.opening, found.churn, found.contraction, found.expansion, found.reactivation, found.new] == [
        amount * USD for amount in (100, 25, 15, 10, 5, 20)
    ]
    assert found.rates() | {"nrr_12m": 0, "grr_12m": 0} == {
        "gross_mrr_churn_rate": Fraction(40, 100),
        "net_mrr_churn_rate": Fraction(40 - 10 - 5, 100),
        "quick_ratio": Fraction(20 + 5 + 10, 40),
        "arpa": Fraction(95 * USD, 5),  # less, more, stays, back, fresh
        "nrr": Fraction(25 - 25 + 10 + 35 + 25, 100),
        "grr": Fraction(10 + 25 + 25, 100),
        "nrr_12m": 0,
        "grr_12m": 0,
    }


def test_clocks_that_change_make_days_of_23_and_25_hours() -> None:
    facts = Facts()
    # New York's 9 March 2025 began at 05:00 UTC and ended at 04:00 UTC the next day
    facts.state("2025-03-10 03:50", amount_minor=10_000)
    facts.state("2025-03-10 04:10", amount_minor=11_000)
    answer = reference(facts, zone="America/New_York")
    ninth = answer.period(date(2025, 3, 9), date(2025, 3, 10)).money[(), "USD"]
    tenth = answer.period(date(2025, 3, 10), date(2025, 3, 11)).money[(), "USD"]
    assert (ninth.new, tenth.expansion) == (100 * USD, 10 * USD)


def test_another_plan_at_the_same_price_is_no_movement_but_moves_between_the_plans() -> None:
    facts = Facts()
    facts.state("2025-01-10", plan_id="A")
    facts.state("2025-02-10 10:00", plan_id="B")
    facts.state("2025-02-10 10:30", plan_id="B", amount_minor=11_000)
    answer = reference(facts)
    # 10:00 is no event, so 10:30 is a group of its own: 100 go from A to B, then B expands by 10
    assert moved(answer) == [("01-10 00:00", "new", 100), ("02-10 10:30", "expansion", 10)]
    found = month(answer, "2025-02", by=("plan_id",)).money
    assert (found[("A",), "USD"].leaving, found[("B",), "USD"].entering) == (100 * USD, 100 * USD)
    assert found[("B",), "USD"].expansion == 10 * USD


def test_a_pause_within_the_hour_of_leaving_is_no_pause() -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-02-10 10:00", status="paused")
    facts.state("2025-02-10 10:30", amount_minor=900)
    facts.state("2025-02-10 10:45", status="canceled")
    # one group: from 100 to nothing, whatever it was between
    assert moved(reference(facts)) == [("01-10 00:00", "new", 100), ("02-10 10:45", "churn", -100)]


def test_what_was_new_and_paused_within_the_hour_resumes_with_what_it_had() -> None:
    facts = Facts()
    facts.state("2025-01-10 10:00")
    facts.state("2025-01-10 10:30", status="paused")
    facts.state("2025-02-10")
    answer = reference(facts)
    # the first group goes from nothing to paused and moves nothing, yet it made a customer
    assert moved(answer) == [("02-10 00:00", "resume", 100)]
    assert came(answer) == [("01-10", "new")]
    assert (counts(answer, "2025-01").closing, counts(answer, "2025-01").paying) == (1, 0)


def test_another_plan_between_two_changes_within_the_hour_is_told_step_by_step() -> None:
    facts = Facts()
    facts.state("2025-01-10", plan_id="A", amount_minor=5_000)
    facts.state("2025-02-10 10:00", plan_id="A", amount_minor=6_000)
    facts.state("2025-02-10 10:10", plan_id="B", amount_minor=6_000)
    facts.state("2025-02-10 10:20", plan_id="B", amount_minor=7_000)
    found = month(reference(facts), "2025-02", by=("plan_id",)).money
    a, b = found[("A",), "USD"], found[("B",), "USD"]
    assert (a.opening, a.expansion, a.leaving, a.closing) == (50 * USD, 10 * USD, 60 * USD, 0)
    assert (b.opening, b.expansion, b.entering, b.closing) == (0, 10 * USD, 60 * USD, 70 * USD)
