"""Does each vendor's profile give the number that the vendor would show for the same facts?

One test a case of the conformance table (reference/definitions.md) on which vendors differ, its number in the comment
above it. Where a vendor's present help page contradicts the table, the page wins and the comment says so.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from tenure.errors import BadInput, NoRate
from tenure.faces.cli.ending import run as command_line
from tests.reference.builder import LONG_AFTER, Company, Facts, Shop, cents

# --- fixture A: nine denominators, one June ---------------------------------------------------------------------------

D = {
    "D1": ("tenure, joiners=counted, returners=counted", "13.00"),
    "D2": ("tenure", "8.00"),
    "D3": ("tenure, joiners=counted, returners=counted, churn_base=start_and_new", "10.00"),
    "D4": ("tenure, joiners=counted, returners=counted, churn_base=mean", "11.87"),
    "D5": ("tenure, joiners=counted, returners=counted, churn_base=customer_days", "11.29"),
    "D6": ("tenure, joiners=counted, returners=counted, churn_base=daily", "10.15"),
    "D7": ("tenure, joiners=counted, returners=counted, churn_base=end", "10.92"),
    "D8": ("tenure, returners=counted", "10.00"),
    "D9": ("tenure, joiners=counted", "11.00"),
    "Baremetrics": ("baremetrics", "13.00"),
    "ChartMogul": ("chartmogul", "8.00"),
    "Stripe": ("stripe", "10.00"),
    "ProfitWell": ("profitwell", "10.00"),
}


@pytest.mark.parametrize("name", D)
def test_fixture_a_has_one_rate_by_each_definition_through_the_command_line(
    june: Shop, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    profile, percent = D[name]
    folder = str(june.workspace.folder)
    arguments = ["metrics", "customer_churn_rate", "--from", "2025-06", "--to", "2025-06", "--known-on", LONG_AFTER]
    assert command_line([*arguments, "-w", folder, "--profile", profile, "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert f"{100 * row['value']:.2f}" == percent
    assert row["profile"] == profile
    assert row["low"] < row["value"] < row["high"]


def test_in_a_month_of_31_days_stripe_looks_at_the_last_thirty(company: Company) -> None:
    facts = Facts()
    for number in range(10):
        facts.state("2025-01-10", customer=f"c{number}")
    # May has 31 days: who leaves on the 1st has left before the thirty days begin.
    facts.state("2025-05-01 12:00", customer="c0", status="canceled")
    facts.state("2025-05-20", customer="c1", status="canceled")
    row = company(facts).row("customer_churn_rate", "2025-05", profile="stripe")
    assert (row["numerator"], row["denominator"]) == (1, 9)


# --- what a price is a month ------------------------------------------------------------------------------------------


# 4, 5: Paddle's week is 4.33 weeks, its day and Recurly's is thirty
def test_paddle_takes_4_33_weeks_and_thirty_days_a_month(company: Company) -> None:
    facts = Facts()
    for number in range(100):
        facts.state("2025-01-10", customer=f"c{number}", amount_minor=1_000, interval="week")
    assert cents(company(facts).value("mrr", "2025-01", profile="paddle")) == "4330.00"
    daily = Facts()
    daily.state("2025-01-10", amount_minor=100, interval="day")
    assert cents(company(daily).value("mrr", "2025-01", profile="paddle")) == "30.00"


# 5
def test_recurly_takes_thirty_days_a_month(company: Company) -> None:
    facts = Facts()
    for day in range(1, 32):
        facts.line(
            f"2025-01-{day:02}", service_end=f"2025-01-{day + 1:02}" if day < 31 else "2025-02-01", amount_minor=100
        )
    assert cents(company(facts).value("mrr", "2025-01", profile="recurly", known_on="2025-01-30")) == "30.00"


# --- discounts --------------------------------------------------------------------------------------------------------


# 10
@pytest.mark.parametrize(("profile", "mrr"), [("stripe", "50.00"), ("chartmogul", "50.00"), ("paddle", "100.00")])
def test_a_coupon_forever_halves_mrr_but_not_paddles(company: Company, profile: str, mrr: str) -> None:
    facts = Facts()
    facts.state("2025-01-10", discount_forever_minor=5_000)
    assert cents(company(facts).value("mrr", "2025-01", profile=profile)) == mrr


# 11
@pytest.mark.parametrize(
    ("profile", "while_it_lasts"),
    [
        ("tenure", "100.00"),
        ("stripe", "100.00"),
        ("paddle", "100.00"),
        ("profitwell", "80.00"),
        ("chartmogul", "80.00"),
        ("chargebee", "80.00"),
        ("stripe, limited_discount=lowers", "80.00"),
    ],
)
def test_a_coupon_for_three_months_lowers_mrr_only_where_the_vendor_says_so(
    company: Company, profile: str, while_it_lasts: str
) -> None:
    facts = Facts()
    facts.state("2025-01-10", discount_limited_minor=2_000, discount_ends_at="2025-04-10")
    shop = company(facts)
    assert cents(shop.value("mrr", "2025-02", profile=profile)) == while_it_lasts
    assert cents(shop.value("mrr", "2025-04", profile=profile)) == "100.00"
    # 13: when it ends, the difference has expanded, of cause discount_end
    expansion = Fraction(100) - Fraction(while_it_lasts)
    assert shop.value("mrr_expansion", "2025-04", profile=profile) == expansion


# 11
def test_chargebee_spares_the_yearly_plan_from_a_limited_coupon(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", amount_minor=120_000, interval="year", discount_limited_minor=12_000)
    shop = company(facts)
    assert cents(shop.value("mrr", "2025-01", profile="chargebee")) == "100.00"
    assert cents(shop.value("mrr", "2025-01", profile="profitwell")) == "90.00"


# 12
def test_a_yearly_plan_with_ten_percent_off_is_nine_a_month_where_discounts_count(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", amount_minor=12_000, interval="year", discount_limited_minor=1_200)
    assert cents(company(facts).value("mrr", "2025-01", profile="profitwell")) == "9.00"


# 13
def test_the_end_of_a_discount_is_an_expansion_with_its_cause(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", discount_limited_minor=2_000, discount_ends_at="2025-04-10")
    shop = company(facts)
    moved = shop.workspace.movements(since="2025-04", until="2025-04", profile="chartmogul", known_on=LONG_AFTER)
    assert [(row["kind"], row["cause"]) for row in moved.to_pylist()] == [("expansion", "discount_end")]


# 14, 15
@pytest.mark.parametrize(("profile", "lost"), [("tenure", 0), ("chartmogul", 0), ("stripe", 1), ("profitwell", 1)])
@pytest.mark.parametrize(
    "how", [{"discount_forever_minor": 10_000}, {"amount_minor": 0}], ids=["100 % off", "free plan"]
)
def test_who_pays_nothing_any_more_is_lost_only_where_customers_are_who_pays(
    company: Company, profile: str, lost: int, how: dict[str, int]
) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-03-10", **how)
    assert company(facts).values("2025-03", "mrr", "customers_churned", profile=profile) == [0, lost]


# --- payment ----------------------------------------------------------------------------------------------------------


# 18: Stripe counts a subscription when it turns active; ChartMogul when its first invoice is paid in full
def test_a_trial_that_converts_unpaid_counts_at_stripe_and_waits_at_chartmogul(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", status="trialing", trial_ends_at="2025-01-20")
    facts.state("2025-01-20")
    facts.invoice("i1", "2025-01-20")
    facts.payment("i1", "2025-01-20", outcome="failed")
    facts.payment("i1", "2025-02-05")
    shop = company(facts)
    assert shop.values("2025-01", "mrr", "customers_new", profile="stripe") == [100, 1]
    assert shop.values("2025-01", "mrr", "customers_new", profile="chartmogul") == [0, 0]
    assert shop.values("2025-02", "mrr", "customers_new", profile="chartmogul") == [100, 1]


# 18
def test_who_never_pays_the_first_invoice_was_never_a_customer_of_chartmogul(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.invoice("i1", "2025-01-10")
    facts.state("2025-02-20", status="canceled", cancel_actor="dunning")
    shop = company(facts)
    assert shop.values("2025-02", "customers_churned", "mrr_churn", profile="tenure") == [1, 100]
    assert shop.values("2025-02", "customers_churned", "mrr_churn", profile="chartmogul") == [0, 0]


# 21, 23
def test_thirty_days_past_due_is_lost_at_baremetrics_and_never_by_default(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-03-05", status="past_due")
    shop = company(facts)
    assert shop.values("2025-04", "mrr", "customers_churned") == [100, 0]
    assert shop.values("2025-04", "mrr", "customers_churned", profile="baremetrics") == [0, 1]
    assert shop.values("2025-03", "mrr", profile="baremetrics") == [100]
    # 23: "leave past due" as dunning's last word: after so many days of one's own
    assert shop.values("2025-03", "mrr", "customers_churned", profile="tenure, past_due_days=14") == [0, 1]


# 87, 88
def test_who_cancels_during_dunning_left_by_choice_and_who_is_recovered_after_it_comes_back(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", customer="quits")
    facts.state("2025-03-05", customer="quits", status="past_due")
    facts.state(
        "2025-03-08", customer="quits", status="canceled", cancel_actor="customer", cancel_requested_at="2025-03-08"
    )
    facts.state("2025-01-10", customer="returns")
    facts.state("2025-03-10", customer="returns", status="unpaid")
    facts.state("2025-04-02", customer="returns")
    shop = company(facts)
    left = ("customers_churned_voluntary", "customers_churned_involuntary")
    assert shop.values("2025-03", *left) == [1, 1]
    assert shop.values("2025-04", "customers_reactivated", "mrr_reactivation") == [1, 100]


# --- pauses -----------------------------------------------------------------------------------------------------------


# 24
@pytest.mark.parametrize(
    ("profile", "mrr", "paused", "churned"),
    [
        ("tenure", 0, 100, 0),
        ("chargebee", 0, 100, 0),
        ("stripe", 100, 0, 0),
        ("chartmogul", 100, 0, 0),
        ("maxio", 100, 0, 0),
        ("profitwell", 0, 0, 1),
        ("tenure, pause=churn", 0, 0, 1),
    ],
)
def test_a_pause_is_what_the_vendor_calls_it(
    company: Company, profile: str, mrr: int, paused: int, churned: int
) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-03-10", status="paused")
    facts.state("2025-05-10")
    shop = company(facts)
    assert shop.values("2025-03", "mrr", "mrr_pause", "customers_churned", profile=profile) == [mrr, paused, churned]
    back = shop.values("2025-05", "mrr", "mrr_resume", "customers_reactivated", profile=profile)
    assert back == [100, paused, churned]


# 25
def test_a_pause_becomes_a_loss_after_six_months_or_never(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-03-10", status="paused")
    shop = company(facts)
    assert shop.values("2025-09", "customers_churned", "mrr_churn") == [1, 100]
    assert shop.values("2025-09", "customers_churned", profile="tenure, pause_months=0") == [0]
    assert shop.values("2025-05", "customers_churned", profile="tenure, pause_months=2") == [1]


# --- when somebody has left -------------------------------------------------------------------------------------------


def scheduled() -> Facts:
    """Clicked on 8 June, ends on 15 July."""
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-06-08", cancel_at="2025-07-15", cancel_requested_at="2025-06-08", cancel_actor="customer")
    facts.state("2025-07-15", status="canceled", cancel_requested_at="2025-06-08", cancel_actor="customer")
    return facts


# 26; Stripe's page on cancellations has MRR gone at the click, a newer one makes it a setting
@pytest.mark.parametrize("profile", ["maxio", "paddle", "stripe"])
def test_a_click_is_the_loss_where_the_vendor_says_so(company: Company, profile: str) -> None:
    shop = company(scheduled())
    names = ("customers_churned_voluntary", "mrr_churn", "mrr")
    assert shop.values("2025-06", *names, profile=profile) == [1, 100, 0]
    assert shop.values("2025-07", *names, profile=profile) == [0, 0, 0]


# 26
@pytest.mark.parametrize("profile", ["tenure", "chartmogul", "chargebee", "stripe, churn_at=end"])
def test_the_end_is_the_loss_elsewhere(company: Company, profile: str) -> None:
    shop = company(scheduled())
    assert shop.values("2025-06", "customers_churned", "mrr", profile=profile) == [0, 100]
    assert shop.values("2025-07", "customers_churned_voluntary", "mrr", profile=profile) == [1, 0]


# 26
def test_the_click_is_known_from_the_cancellation_alone_and_from_a_span_that_still_runs(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", customer="states")
    facts.state("2025-06-20", customer="states", amount_minor=12_000)
    facts.state(
        "2025-07-15", customer="states", status="canceled", cancel_requested_at="2025-06-08", cancel_actor="customer"
    )
    shop = company(facts)
    assert shop.values("2025-06", "customers_churned_voluntary", "mrr", profile="maxio") == [1, 0]
    spans = Facts()
    spans.span("2025-01-10", "2025-07-15", cancel_requested_at="2025-06-08", cancel_actor="customer")
    shop = company(spans, known_on="2025-06-30")
    assert shop.values("2025-06", "customers_churned_voluntary", "mrr", profile="maxio") == [1, 0]
    assert shop.values("2025-06", "customers_churned", "mrr") == [0, 100]


# 27
def test_a_click_taken_back_is_a_loss_and_a_return_where_clicks_count_and_nothing_elsewhere(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-06-08", cancel_at="2025-07-15", cancel_requested_at="2025-06-08", cancel_actor="customer")
    facts.state("2025-06-12")
    shop = company(facts)
    names = ("customers_churned", "customers_reactivated", "mrr")
    assert shop.values("2025-06", *names, profile="maxio") == [1, 1, 100]
    assert shop.values("2025-06", *names) == [0, 0, 100]


# 28, 29
@pytest.mark.parametrize(
    ("profile", "month"),
    [
        ("tenure", "2025-06"),
        ("stripe", "2025-06"),
        ("profitwell", "2025-07"),
        ("chartmogul, churn_at=paid_until", "2025-07"),
    ],
)
def test_who_cancels_at_once_in_mid_period_leaves_then_or_when_what_is_paid_for_ends(
    company: Company, profile: str, month: str
) -> None:
    facts = Facts()
    facts.state("2025-06-10", period_end="2025-07-10")
    facts.state("2025-06-20", status="canceled", cancel_requested_at="2025-06-20", cancel_actor="customer")
    shop = company(facts)
    for text in ("2025-06", "2025-07"):
        assert shop.value("customers_churned", text, profile=profile) == (text == month)


def test_who_buys_again_within_the_paid_period_never_left_where_the_loss_is_at_its_end(company: Company) -> None:
    facts = Facts()
    facts.state("2025-06-10", period_end="2025-07-10")
    facts.state("2025-06-20", status="canceled", cancel_requested_at="2025-06-20")
    facts.state("2025-07-01", period_end="2025-08-01")
    shop = company(facts)
    assert shop.values("2025-06", "customers_churned", "mrr", profile="profitwell") == [0, 100]
    assert shop.values("2025-07", "customers_churned", "customers_reactivated", profile="profitwell") == [0, 0]


# --- groups, joiners, returns -----------------------------------------------------------------------------------------


# 33, 34
def test_an_hour_is_one_movement_at_chartmogul_and_two_at_stripe(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10 10:00")
    facts.state("2025-01-10 10:30", amount_minor=15_000)
    shop = company(facts)
    names = ("mrr_new", "mrr_expansion")
    assert shop.values("2025-01", *names, profile="chartmogul") == [150, 0]
    assert shop.values("2025-01", *names, profile="stripe") == [100, 50]


# 36
def test_who_joins_and_leaves_in_one_month_counts_by_each_vendors_rule(company: Company) -> None:
    facts = Facts()
    for number in range(10):
        facts.state("2025-01-10", customer=f"c{number}")
    facts.state("2025-06-11", customer="brief")
    facts.state("2025-06-20", customer="brief", status="canceled")
    shop = company(facts)

    def rate(profile: str) -> tuple[int, int]:
        row = shop.row("customer_churn_rate", "2025-06", profile=profile)
        return int(row["numerator"]), int(row["denominator"])

    assert rate("baremetrics") == (1, 10)
    assert rate("stripe") == (1, 11)
    assert rate("profitwell") == rate("chargebee") == rate("chartmogul") == rate("tenure") == (0, 10)
    assert shop.values("2025-06", "customers_new", "customers_churned") == [1, 1]


# 37
def test_who_leaves_and_returns_in_one_month_nets_to_nothing_or_is_an_event(company: Company) -> None:
    facts = Facts()
    for number in range(10):
        facts.state("2025-01-10", customer=f"c{number}")
    facts.state("2025-06-11", customer="c0", status="canceled")
    facts.state("2025-06-20", customer="c0")
    shop = company(facts)
    lost = {
        p: shop.row("customer_churn_rate", "2025-06", profile=p)["numerator"]
        for p in ("tenure", "stripe", "profitwell")
    }
    assert lost == {"tenure": 0, "stripe": 1, "profitwell": 1}


# 38
def test_a_gap_that_is_allowed_is_no_churn(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-03-10", status="canceled")
    facts.state("2025-03-15")
    shop = company(facts)
    assert shop.values("2025-03", "customers_churned", "customers_reactivated") == [1, 1]
    assert shop.values("2025-03", "customers_churned", "customers_reactivated", profile="tenure, gap_days=7") == [0, 0]


# 39
@pytest.mark.parametrize(("returned", "new", "back"), [("2025-05-01", 0, 1), ("2025-07-01", 1, 0)])
def test_who_returns_to_maxio_after_ninety_days_is_new(company: Company, returned: str, new: int, back: int) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.state("2025-03-10", status="canceled")
    facts.state(returned)
    shop = company(facts)
    month = returned[:7]
    names = ("customers_new", "customers_reactivated", "mrr_new", "mrr_reactivation")
    assert shop.values(month, *names, profile="maxio") == [new, back, 100 * new, 100 * back]
    assert shop.values(month, *names, profile="profitwell") == [0, 1, 0, 100]


# 39
def test_recurly_compares_months_so_that_a_gap_within_one_is_nothing(company: Company) -> None:
    facts = Facts()
    facts.line("2025-01-01", subscription_id="s", service_end="2025-01-10", amount_minor=10_000)
    facts.line("2025-01-20", subscription_id="s", service_end="2025-02-20", amount_minor=10_000)
    facts.line("2025-04-20", subscription_id="s", service_end="2025-05-20", amount_minor=10_000)
    shop = company(facts)
    names = ("customers_new", "customers_churned", "customers_reactivated")
    assert shop.values("2025-01", *names, profile="recurly") == [1, 0, 0]
    assert shop.values("2025-02", *names, profile="recurly") == [0, 1, 0]
    assert shop.values("2025-04", *names, profile="recurly") == [0, 0, 1]


# 42: 10.00 more from mid-month on; Recurly counts the 5.00 that are invoiced for the rest of the month
def test_a_seat_added_in_mid_month_is_ten_or_at_recurly_the_five_invoiced(company: Company) -> None:
    facts = Facts()
    facts.state("2025-06-01", amount_minor=10_000)
    facts.state("2025-06-16", amount_minor=11_000)
    facts.line("2025-06-01", subscription_id="s-c1", plan_id="p", service_end="2025-07-01", amount_minor=10_000)
    facts.line(
        "2025-06-16", subscription_id="s-c1", plan_id="p", service_end="2025-07-01", amount_minor=500, is_proration=True
    )
    facts.line("2025-07-01", subscription_id="s-c1", plan_id="p", service_end="2025-08-01", amount_minor=11_000)
    shop = company(facts)
    assert shop.values("2025-06", "mrr", "mrr_new", "mrr_expansion", profile="tenure") == [110, 100, 10]
    assert shop.values("2025-06", "mrr", "mrr_new", profile="recurly") == [105, 105]
    assert shop.values("2025-07", "mrr", "mrr_expansion", profile="recurly") == [110, 5]


# 43 at Recurly: charges and credits of a prorated change are what the month is
def test_recurly_counts_a_credit_with_a_time_of_service(company: Company) -> None:
    facts = Facts()
    facts.line("2025-06-01", subscription_id="s", plan_id="a", service_end="2025-07-01", amount_minor=10_000)
    facts.line(
        "2025-06-16", subscription_id="s", plan_id="a", service_end="2025-07-01", amount_minor=-5_000, kind="credit"
    )
    facts.line("2025-06-16", subscription_id="s", plan_id="b", service_end="2025-07-01", amount_minor=12_500)
    facts.line("2025-07-01", subscription_id="s", plan_id="b", service_end="2025-08-01", amount_minor=25_000)
    shop = company(facts)
    assert shop.values("2025-06", "mrr", profile="recurly") == [175]
    assert shop.values("2025-07", "mrr", profile="recurly") == [250]


def test_a_definition_by_invoices_says_so_where_there_are_none(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    with pytest.raises(BadInput, match="no invoice lines are loaded"):
        company(facts).value("mrr", "2025-01", profile="recurly")


# --- currencies -------------------------------------------------------------------------------------------------------


def euro() -> Facts:
    facts = Facts()
    facts.rate("2025-01-01", "EUR", "0.909090909091")  # 1.10 dollars a euro
    facts.rate("2025-03-15", "EUR", "0.833333333333")  # 1.20
    facts.state("2025-02-10", amount_minor=10_000, currency="EUR")
    facts.state("2025-02-10", customer="c2")
    return facts


# 56, 57
def test_rates_move_mrr_at_paddle_have_their_own_line_by_default_and_do_nothing_at_profitwell(company: Company) -> None:
    shop = company(euro())

    def told(profile: str) -> list[str]:
        return [
            cents(v) for v in shop.values("2025-03", "mrr", "mrr_fx", "mrr_expansion", currency="USD", profile=profile)
        ]

    assert told("tenure") == told("stripe") == ["220.00", "10.00", "0.00"]
    assert told("paddle") == ["220.00", "0.00", "0.00"]
    assert told("profitwell") == ["210.00", "0.00", "0.00"]
    # Paddle's February is made anew with March's rate
    assert cents(shop.value("mrr", "2025-02", currency="USD", profile="paddle")) == "220.00"
    assert cents(shop.value("mrr", "2025-02", currency="USD", profile="tenure")) == "210.00"


def test_a_price_that_began_before_any_rate_has_no_value_at_the_rate_of_purchase(company: Company) -> None:
    facts = euro()
    facts.state("2024-02-10", customer="early", currency="EUR")
    with pytest.raises(NoRate, match="EUR"):
        company(facts).value("mrr", "2025-03", currency="USD", profile="profitwell")


# --- rates of revenue -------------------------------------------------------------------------------------------------


def revenue() -> Facts:
    """Case 73: 100 at the start; contraction 10, churn 10, expansion 10, reactivation 5."""
    facts = Facts()
    for name, amount in (("shrinks", 4_000), ("leaves", 1_000), ("grows", 3_000), ("stays", 2_000)):
        facts.state("2025-01-10", customer=name, amount_minor=amount)
    facts.state("2025-01-10", customer="back", amount_minor=500)
    facts.state("2025-03-10", customer="back", status="canceled")
    facts.state("2025-06-10", customer="shrinks", amount_minor=3_000)
    facts.state("2025-06-10", customer="leaves", status="canceled")
    facts.state("2025-06-10", customer="grows", amount_minor=4_000)
    facts.state("2025-06-10", customer="back", amount_minor=500)
    return facts


# 73, 74, 75
def test_net_churn_is_five_percent_at_chartmogul_and_ten_at_baremetrics(company: Company) -> None:
    shop = company(revenue())
    names = ("gross_mrr_churn_rate", "net_mrr_churn_rate", "nrr")
    assert shop.values("2025-06", *names, profile="chartmogul") == [
        Fraction(20, 100),
        Fraction(5, 100),
        Fraction(90, 100),
    ]
    # 75: Baremetrics' NRR is 100 % less its net churn
    assert shop.values("2025-06", *names, profile="baremetrics") == [
        Fraction(20, 100),
        Fraction(10, 100),
        Fraction(90, 100),
    ]


# 78
def test_the_quick_ratio_leaves_reactivation_out_at_baremetrics(company: Company) -> None:
    facts = revenue()
    facts.state("2025-06-10", customer="new", amount_minor=2_000)
    shop = company(facts)
    assert shop.value("quick_ratio", "2025-06", profile="tenure") == Fraction(35, 20)
    assert shop.value("quick_ratio", "2025-06", profile="baremetrics") == Fraction(30, 20)


# 76: per customer 65 %; Chargebee's own text asks for each subscription, its example takes the minimum of totals
def test_retention_per_subscription_sees_a_loss_that_another_subscription_hides(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", subscription="one")
    facts.state("2025-01-10", subscription="two", amount_minor=5_000)
    facts.state("2025-06-10", subscription="one", amount_minor=6_000)
    facts.state("2025-06-12", subscription="two", amount_minor=9_000)
    facts.state("2025-06-12", subscription="three", amount_minor=1_000)
    shop = company(facts)
    assert shop.values("2025-06", "nrr", "grr", profile="tenure") == [Fraction(160, 150), Fraction(150, 150)]
    assert shop.values("2025-06", "nrr", "grr", profile="chargebee") == [Fraction(150, 150), Fraction(110, 150)]


def test_retention_per_subscription_is_not_split_by_what_belongs_to_customers(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10")
    facts.customer(channel="ads")
    with pytest.raises(BadInput, match="retention_of=customer"):
        company(facts).value("nrr", "2025-02", profile="chargebee", by=("channel",))


# --- segments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["channel", "plan_id"])
def test_events_of_a_rate_stand_in_the_segment_they_belong_to(company: Company, column: str) -> None:
    facts = Facts()
    for number, plan in enumerate(["a", "a", "b", "b"]):
        facts.customer(f"c{number}", channel=plan)
        facts.state("2025-01-10", customer=f"c{number}", plan_id=plan)
    facts.customer("brief", channel="b")
    facts.state("2025-06-11", customer="brief", plan_id="b")
    facts.state("2025-06-20", customer="brief", plan_id="b", status="canceled")
    facts.state("2025-06-21", customer="c0", plan_id="a", status="canceled")
    facts.state("2025-06-25", customer="c0", plan_id="a")
    shop = company(facts)
    for profile, lost in (
        ("tenure, joiners=counted, returners=counted", {"a": 1, "b": 1}),
        ("tenure, joiners=counted", {"a": 0, "b": 1}),
        ("tenure, returners=counted", {"a": 1, "b": 0}),
    ):
        rows = shop.rows(("customer_churn_rate",), "2025-06", by=(column,), profile=profile)
        assert {row["segment"][column]: row["numerator"] for row in rows} == lost, profile


def test_a_pass_through_the_command_line_names_the_choices_in_every_row(
    june: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["-w", str(june.workspace.folder), "metrics", "mrr", "--from", "2025-06", "--to", "2025-06"]
    assert command_line([*arguments, "--profile", "stripe, churn_at=nd"]) == 2
    assert "Did you mean 'end'" in capsys.readouterr().err
    assert command_line([*arguments, "--profile", "strype"]) == 2
    assert "Did you mean 'stripe'" in capsys.readouterr().err
    assert command_line([*arguments, "--profile", "stripe, pause=zero"]) == 2
    assert "impossible" in capsys.readouterr().err


# a thirty-day month does not end where June ends
def test_the_window_and_the_calendar_agree_in_june(june: Shop) -> None:
    plain = june.row("customer_churn_rate", "2025-06", profile="stripe, window_days=0")
    window = june.row("customer_churn_rate", "2025-06", profile="stripe")
    assert (plain["numerator"], plain["denominator"]) == (window["numerator"], window["denominator"]) == (13, 130)
    assert datetime(2025, 7, 1, tzinfo=UTC) - timedelta(days=30) == datetime(2025, 6, 1, tzinfo=UTC)
