"""What do customers pay for what they use? Usage run-rate, its change, who keeps using, commitments and credits."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from tenure.errors import BadInput, UnknownName
from tenure.faces.cli.ending import run as command_line
from tenure.kernel.time import add_months
from tests.parity.test_openings import differences
from tests.reference.builder import LONG_AFTER, Company, Facts, Shop, cents


def months(first: str, count: int) -> Iterator[tuple[str, str]]:
    """So many calendar months from one on, as (first day, first day of the next)."""
    day = date.fromisoformat(f"{first}-01")
    for i in range(count):
        yield add_months(day, i).isoformat(), add_months(day, i + 1).isoformat()


def used(facts: Facts, first: str, *amounts: int, customer: str = "c1", **columns: Any) -> None:
    """A usage line for each month from one on; 0 is a month without a line."""
    for (start, end), amount in zip(months(first, len(amounts)), amounts, strict=True):
        if amount:
            columns = {
                "subscription_id": f"s-{customer}",
                "item_id": f"{customer}.calls",
                "plan_id": "calls",
                **columns,
            }
            facts.line(start, service_end=end, kind="usage", amount_minor=amount, customer=customer, **columns)


def usage(shop: Shop, name: str, text: str, **question: Any) -> Fraction | None:
    """One number of the usage line."""
    return shop.value(name, text, revenue="usage", **question)


# --- case 52: three lines of revenue ----------------------------------------------------------------------------------


# 52
@pytest.mark.parametrize("profile", ["tenure", "stripe", "chartmogul", "paddle", "profitwell"])
def test_metered_usage_is_no_mrr_and_stands_on_a_line_of_its_own(company: Company, profile: str) -> None:
    facts = Facts()
    facts.state("2025-01-01", amount_minor=10_000)
    facts.invoice("first", "2025-01-01")
    facts.payment("first", "2025-01-01")
    facts.state("2025-01-01", item="c1.calls", amount_minor=0, is_metered=True)
    used(facts, "2025-01", 3_000, 6_000, 9_000)
    shop = company(facts)
    assert shop.value("mrr", "2025-03", profile=profile) == 100
    assert usage(shop, "mrr", "2025-03", profile=profile) == 60  # (30 + 60 + 90) / 3
    assert shop.value("mrr", "2025-03", profile=profile, revenue="total") == 160


def test_the_run_rate_is_the_mean_of_three_complete_service_months(company: Company) -> None:
    facts = Facts()
    used(facts, "2025-01", 3_000, 6_000, 9_000, 12_000)
    shop = company(facts)
    assert usage(shop, "mrr", "2025-01") == 10
    assert usage(shop, "mrr", "2025-02") == 30
    assert usage(shop, "mrr", "2025-03") == 60
    assert usage(shop, "mrr", "2025-03-30") == 30  # March is not over
    assert usage(shop, "mrr", "2025-04") == 90
    assert usage(shop, "mrr", "2025-04-15") == 60
    assert usage(shop, "mrr", "2025-07") == 0
    assert usage(shop, "arr", "2025-04") == 12 * 90


def test_a_service_belongs_to_the_month_in_which_it_ends(company: Company) -> None:
    facts = Facts()
    for start, end in (("2024-12-15", "2025-01-15"), ("2025-01-15", "2025-02-15"), ("2025-02-15", "2025-03-15")):
        facts.line(start, service_end=end, kind="usage", amount_minor=3_000)
    facts.line("2025-03-15", service_end="2025-04-15", kind="usage", amount_minor=90_000)
    shop = company(facts)
    assert usage(shop, "mrr", "2025-03") == 30
    assert usage(shop, "mrr", "2025-04") == 320


def test_a_service_that_ends_at_midnight_belongs_to_the_month_before_in_the_companys_zone(company: Company) -> None:
    facts = Facts()
    facts.line("2025-01-01", service_end="2025-02-01", kind="usage", amount_minor=3_000)
    assert usage(company(facts), "mrr", "2025-01") == 10
    assert usage(company(facts, timezone="Asia/Bangkok"), "mrr", "2025-01") == 0  # there it ends at seven on 1 February
    assert usage(company(facts, timezone="Asia/Bangkok"), "mrr", "2025-02") == 10


def test_a_year_of_usage_on_one_line_counts_as_a_quarter_of_it(company: Company) -> None:
    facts = Facts()
    facts.line("2024-01-01", service_end="2025-01-01", kind="usage", amount_minor=36_600)  # 366 days
    # 366.00 x (365 / 4) / 366 days = 91.25 in three months
    assert cents(usage(company(facts), "mrr", "2024-12")) == cents(Fraction("91.25") / 3)


def test_usage_wiggle_is_usage_change_and_never_expansion(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-01", amount_minor=10_000)
    used(facts, "2025-01", 3_000, 6_000, 9_000, 3_000)
    shop = company(facts)
    names = ("mrr_opening", "mrr_expansion", "mrr_contraction", "usage_change", "mrr_fx", "mrr")
    assert shop.values("2025-03", *names, revenue="total") == [130, 0, 0, 30, 0, 160]
    assert shop.values("2025-05", *names, revenue="total") == [160, 0, 0, -20, 0, 140]
    assert shop.value("usage_change", "2025-03") == 30  # the same without a word of the line
    assert shop.value("mrr_net_new", "2025-01", revenue="total") == 110


def test_each_row_names_its_line(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    used(facts, "2025-01", 3_000)
    shop = company(facts)

    def lines(revenue: str) -> list[str]:
        return [row["revenue"] for row in shop.rows(("mrr", "usage_change"), "2025-01", revenue=revenue)]

    assert lines("committed") == ["committed", "usage"]
    assert lines("usage") == ["usage", "usage"]
    assert lines("total") == ["total", "usage"]


def test_the_command_line_takes_the_line_and_tells_it(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    used(facts, "2025-01", 3_000, 3_000, 3_000)
    shop = company(facts)
    asked = ["metrics", "mrr", "--from", "2025-03", "--known-on", LONG_AFTER, "-w", str(shop.workspace.folder)]
    assert command_line([*asked, "--revenue", "total", "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["revenue"], row["value"]) == ("total", "130.00")
    assert command_line([*asked, "--revenue", "usage"]) == 0
    assert "Of usage revenue." in capsys.readouterr().out
    assert command_line([*asked, "--revenue", "usage", "--sql"]) == 0
    assert "usage_months" in capsys.readouterr().out
    assert command_line([*asked, "--revenue", "usage", "--customers", "--format", "json"]) == 0
    assert [who["customer_id"] for who in json.loads(capsys.readouterr().out)] == ["c1"]
    assert command_line([*asked, "--revenue", "uasge"]) == 2
    assert "Did you mean 'usage'?" in capsys.readouterr().err


def test_a_number_that_a_line_does_not_have_is_refused_with_those_that_it_has(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    shop = company(facts)
    with pytest.raises(BadInput, match=r"mrr_expansion is not told of usage revenue; there are mrr, arr"):
        usage(shop, "mrr_expansion", "2025-01")
    with pytest.raises(BadInput, match="nrr is not told of total revenue"):
        shop.value("nrr", "2025-01", revenue="total")
    with pytest.raises(UnknownName, match="no revenue line called 'all'"):
        shop.value("mrr", "2025-01", revenue="all")


def test_without_usage_lines_usage_is_unknown_with_a_reason_and_the_total_is_what_is_committed(
    company: Company,
) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    shop = company(facts)
    row = shop.row("usage_run_rate", "2025-01")
    assert row["value"] is None and "no usage lines are loaded" in row["reason"]
    assert shop.row("usage_churn_rate", "2025-01")["value"] is None
    assert shop.value("mrr", "2025-01", revenue="total") == 100


def test_a_company_that_only_charges_usage_needs_no_subscriptions(company: Company) -> None:
    facts = Facts()
    used(facts, "2025-01", 3_000, 3_000, 3_000)
    shop = company(facts)
    assert shop.values("2025-03", "mrr", "usage_customers", revenue="usage") == [30, 1]
    with pytest.raises(BadInput, match="no subscriptions are loaded"):
        shop.value("mrr", "2025-03")


def test_what_is_learned_later_was_not_known_before(company: Company) -> None:
    facts = Facts()
    used(facts, "2025-01", 3_000, 3_000)
    used(facts, "2025-03", 9_000, recorded_at="2025-04-20")
    assert usage(company(facts), "mrr", "2025-03") == 50
    early = company(facts, known_on="2025-04-10")
    assert usage(early, "mrr", "2025-03") == 20
    row = early.row("mrr", "2025-04", revenue="usage")
    assert row["value"] == 20 and "provisional" in row["reason"]  # April is not over


def test_lines_without_a_time_of_service_are_told_of(company: Company) -> None:
    facts = Facts()
    used(facts, "2025-01", 3_000)
    facts.line(None, kind="usage", amount_minor=5_000, recorded_at="2025-01-20")
    answer = company(facts).workspace.metrics("usage_run_rate", since="2025-01", known_on=LONG_AFTER)
    assert answer.notes == ["1 usage line tells no time of service and count in no month"]


# --- cases 47 to 51: what money does and revenue does not -------------------------------------------------------------


def paying(facts: Facts, *texts: str, until: str = "2025-06") -> None:
    """A customer of 100 a month, invoiced and paid in each month, with a line for each."""
    facts.state("2025-01-01", amount_minor=10_000, plan_id="pro")
    for (start, end), bill in zip(months("2025-01", 6), "abcdef", strict=True):
        facts.invoice(bill, start, status="paid")
        facts.payment(bill, start)
        facts.line(start, service_end=end, amount_minor=10_000, invoice=bill, subscription_id="s-c1", plan_id="pro")


# 47
@pytest.mark.parametrize("profile", ["tenure", "stripe", "profitwell", "maxio", "chartmogul", "recurly"])
def test_a_refund_of_one_month_is_money_and_changes_no_mrr(company: Company, profile: str) -> None:
    facts = Facts()
    paying(facts)
    facts.payment("c", "2025-03-20", kind="refund", amount_minor=10_000)
    shop = company(facts)
    for month in ("2025-03", "2025-04"):
        assert shop.values(month, "mrr", "customers_churned", profile=profile) == [100, 0]


# 48
@pytest.mark.parametrize("profile", ["tenure", "profitwell"])
def test_a_yearly_plan_refunded_pro_rata_is_churn_when_it_is_cancelled_and_its_history_stays(
    company: Company, profile: str
) -> None:
    facts = Facts()
    facts.state("2025-01-01", amount_minor=120_000, interval="year", period_end="2026-01-01")
    facts.invoice("year", "2025-01-01", status="paid", total_minor=120_000)
    facts.payment("year", "2025-01-01", amount_minor=120_000)
    facts.line("2025-01-01", service_end="2026-01-01", amount_minor=120_000, invoice="year", subscription_id="s-c1")
    # ProfitWell reads the end of the paid period: refunded pro rata, that is the day of the cancellation
    facts.state("2025-07-01 12:00", status="canceled", interval="year", period_end="2025-07-01 12:00")
    facts.payment("year", "2025-07-01 12:00", kind="refund", amount_minor=60_000)
    shop = company(facts)
    assert shop.values("2025-06", "mrr", "customers_churned", profile=profile) == [100, 0]
    assert shop.values("2025-07", "mrr", "mrr_churn", "customers_churned", profile=profile) == [0, 100, 1]


# 49
def test_a_credit_note_without_a_time_of_service_is_money_alone(company: Company) -> None:
    facts = Facts()
    paying(facts)
    used(facts, "2025-01", 3_000, 3_000, 3_000)
    facts.line(None, kind="credit", amount_minor=-2_000, subscription_id="s-c1", recorded_at="2025-03-10")
    facts.line(
        None, kind="credit", amount_minor=-900, item_id="c1.calls", subscription_id="s-c1", recorded_at="2025-03-10"
    )
    shop = company(facts)
    for profile in ("tenure", "profitwell", "recurly"):
        assert shop.value("mrr", "2025-03", profile=profile) == 100
    assert shop.values("2025-03", "mrr", "usage_credits", revenue="usage") == [30, 0]


# 49
def test_a_credit_with_start_and_end_counts_at_recurly_and_lowers_what_was_used(company: Company) -> None:
    facts = Facts()
    paying(facts)
    used(facts, "2025-01", 3_000, 3_000, 3_000)
    facts.line(
        "2025-03-01",
        service_end="2025-04-01",
        kind="credit",
        amount_minor=-2_000,
        subscription_id="s-c1",
        plan_id="pro",
    )
    march = {"service_end": "2025-04-01", "kind": "credit", "subscription_id": "s-c1"}
    facts.line("2025-03-01", amount_minor=-900, item_id="c1.calls", **march)
    shop = company(facts)
    assert shop.value("mrr", "2025-03", profile="tenure") == 100
    assert shop.value("mrr", "2025-03", profile="recurly") == 100 - 20 - 9
    assert shop.values("2025-03", "mrr", "usage_credits", revenue="usage") == [27, 9]


# 50
@pytest.mark.parametrize("profile", ["tenure", "stripe", "profitwell", "chartmogul"])
def test_a_voided_invoice_changes_no_mrr_while_the_subscription_is_active(company: Company, profile: str) -> None:
    facts = Facts()
    paying(facts)
    facts.invoice("c", "2025-03-01", status="void", recorded_at="2025-03-09")
    assert company(facts).values("2025-03", "mrr", "customers_churned", profile=profile) == [100, 0]


# 50
def test_usage_on_a_voided_invoice_was_never_owed(company: Company) -> None:
    facts = Facts()
    used(facts, "2025-01", 3_000, 3_000)
    facts.invoice("void", "2025-04-01", status="void")
    used(facts, "2025-03", 9_000, invoice="void")
    assert usage(company(facts), "mrr", "2025-03") == 20


# 51
@pytest.mark.parametrize("profile", ["tenure", "stripe", "chartmogul"])
def test_a_lost_chargeback_leaves_mrr_until_the_subscription_ends_and_the_end_is_told_as_a_dispute(
    company: Company, profile: str
) -> None:
    facts = Facts()
    paying(facts)
    facts.payment("d", "2025-04-20", kind="dispute", amount_minor=10_000)
    facts.state("2025-05-10", status="canceled", cancel_actor="dispute", cancel_requested_at="2025-05-10")
    shop = company(facts)
    assert shop.values("2025-04", "mrr", "customers_churned", profile=profile) == [100, 0]
    names = ("mrr", "customers_churned", "customers_churned_other", "customers_churned_involuntary")
    assert shop.values("2025-05", *names, profile=profile) == [0, 1, 1, 0]


# --- minimum commitments ----------------------------------------------------------------------------------------------


def committed(facts: Facts, least: int) -> None:
    facts.state("2025-01-01", item="c1.calls", amount_minor=0, is_metered=True, minimum_commit_minor=least)


def test_a_minimum_commitment_is_committed_and_only_what_lies_beyond_is_usage(company: Company) -> None:
    facts = Facts()
    committed(facts, 20_000)
    used(facts, "2025-01", 20_000, 20_000, 26_000)  # at least the commitment is invoiced
    shop = company(facts)
    assert shop.values("2025-03", "mrr", "paying_customers") == [200, 1]
    assert usage(shop, "mrr", "2025-03") == 20  # (0 + 0 + 60) / 3
    assert shop.value("mrr", "2025-03", revenue="total") == 220
    assert shop.by("is_metered", "mrr", "2025-03") == {"true": 200}
    # Who stays within the commitment uses all the same.
    assert usage(shop, "customers", "2025-02") == 1


def test_a_commitment_that_is_invoiced_by_itself_is_not_taken_off_usage_again(company: Company) -> None:
    facts = Facts()
    committed(facts, 20_000)
    for start, end in months("2025-01", 3):
        facts.line(start, service_end=end, amount_minor=20_000, item_id="c1.calls", subscription_id="s-c1")
    used(facts, "2025-01", 3_000, 3_000, 3_000)
    assert company(facts).value("mrr", "2025-03", revenue="total") == 230


def test_a_commitment_counts_as_it_was_in_the_month_of_use(company: Company) -> None:
    facts = Facts()
    committed(facts, 20_000)
    facts.state("2025-03-01", item="c1.calls", amount_minor=0, is_metered=True, minimum_commit_minor=50_000)
    used(facts, "2025-01", 26_000, 26_000, 56_000)
    assert usage(company(facts), "mrr", "2025-03") == 60


# --- who keeps using --------------------------------------------------------------------------------------------------


def test_who_used_nothing_for_three_service_months_has_churned(company: Company) -> None:
    facts = Facts()
    used(facts, "2025-01", *[1_000] * 8, customer="Ann")
    used(facts, "2025-01", 1_000, 1_000, 0, 0, 1_000, 0, 0, 0, customer="Bo")
    shop = company(facts)
    assert [shop.value("usage_customers", f"2025-0{m}") for m in range(1, 9)] == [2, 2, 2, 2, 2, 2, 2, 1]
    row = shop.row("usage_churn_rate", "2025-08")
    assert (row["numerator"], row["denominator"], row["revenue"]) == (1, 2, "usage")
    assert row["low"] < 0.5 < row["high"]
    assert usage(shop, "customers_churned", "2025-08") == 1
    assert usage(shop, "customer_churn_rate", "2025-08") == Fraction(1, 2)


def test_who_has_closed_the_account_has_churned_at_once(company: Company) -> None:
    facts = Facts()
    used(facts, "2025-01", 1_000, 1_000, 1_000)
    facts.state("2025-01-01", amount_minor=0, is_metered=True)
    facts.state("2025-03-20", status="canceled")
    shop = company(facts)
    assert shop.values("2025-03", "usage_customers", "usage_customers_churned", "usage_churn_rate") == [0, 1, 1]
    # The run-rate is what it is: three months of lines.
    assert usage(shop, "mrr", "2025-03") == 10
    row = shop.row("usage_churn_rate", "2025-04")
    assert row["value"] is None and "nobody used anything" in row["reason"]


def test_a_span_that_ends_closes_the_account_too(company: Company) -> None:
    facts = Facts()
    used(facts, "2025-01", 1_000, 1_000, 1_000, customer="Ann")
    used(facts, "2025-01", 1_000, 1_000, 1_000, customer="Bo")
    facts.span("2025-01-01", "2025-03-20", customer="Ann", minimum_commit_minor=500, is_metered=True)
    facts.span("2025-01-01", None, customer="Bo")
    shop = company(facts)
    assert shop.values("2025-03", "usage_customers", "usage_customers_churned") == [1, 1]
    assert shop.value("usage_customers", "2025-02") == 2


def test_usage_nrr_is_twelve_months_over_the_twelve_before_of_those_present_at_the_start(company: Company) -> None:
    facts = Facts()
    used(facts, "2023-01", *[1_000] * 12, *[1_500] * 12, customer="Ann")
    used(facts, "2023-01", *[1_000] * 12, *[500] * 6, *[0] * 6, customer="Bo")
    used(facts, "2023-06", *[9_000] * 19, customer="Cy")  # came after the start
    shop = company(facts)
    row = shop.row("usage_nrr", "2024-12")
    # (180 + 30) / (120 + 120)
    assert (float(row["numerator"]), float(row["denominator"]), row["n"]) == (210, 240, 2)
    assert usage(shop, "nrr_12m", "2024-12") == Fraction(210, 240)
    assert row["low"] < row["value"] < row["high"]
    row = shop.row("usage_nrr", "2024-11")
    assert row["value"] is None and row["reason"] == "it looks back 24 months, to 2022-12, and usage begins in 2023-01"


# --- currencies, segments, customers ----------------------------------------------------------------------------------


@pytest.fixture
def two_currencies(company: Company) -> Shop:
    """Ann uses in dollars, Bo in euros, which go from 1.25 to 1 dollar on 15 April."""
    facts = Facts()
    facts.customer("Ann", channel="ads", country="US")
    facts.customer("Bo", channel="partner", country="DE")
    facts.trait("tier", "gold", customer="Ann")
    facts.state("2023-01-01", customer="Ann")
    facts.state("2023-01-01", customer="Bo", currency="EUR")
    used(facts, "2023-01", *range(3_000, 3_030), customer="Ann")
    used(facts, "2023-01", *[2_000] * 24, *[2_600] * 4, 0, 0, customer="Bo", currency="EUR", plan_id="seconds")
    facts.rate("2022-12-01", "EUR", "0.8")
    facts.rate("2025-04-15", "EUR", "1")
    return company(facts)


def test_in_one_currency_what_rates_do_stands_on_a_line_of_its_own(two_currencies: Shop) -> None:
    names = ("mrr_opening", "usage_change", "mrr_fx", "mrr")
    opening, change, fx, closing = two_currencies.values("2025-04", *names, revenue="usage", currency="USD")
    assert opening is not None and change is not None and fx is not None and closing is not None
    # Bo's 26.00 EUR a month stand: a rate of 1.25 becomes 1.
    assert cents(fx) == "-6.50"
    assert abs(opening + change + fx - closing) <= Fraction(2, 100)
    assert two_currencies.value("mrr_fx", "2025-04", revenue="usage", currency="EUR") != 0
    each = {
        row["currency"]: row["value"] for row in two_currencies.rows(("usage_run_rate",), "2025-04", currency="each")
    }
    assert each["EUR"] == 26


def test_without_a_rate_there_is_no_number_and_the_reason_says_so(company: Company) -> None:
    facts = Facts()
    used(facts, "2025-01", 3_000, currency="EUR")
    row = company(facts).row("usage_run_rate", "2025-01", currency="USD")
    assert row["value"] is None and "no exchange rate for EUR" in row["reason"]


@pytest.mark.parametrize(
    "by", [(), ("plan_id",), ("channel",), ("tier",), ("currency",), ("plan_id", "country")], ids=str
)
@pytest.mark.parametrize("currency", ["USD", "EUR", "each"])
@pytest.mark.parametrize("revenue", ["committed", "usage", "total"])
def test_every_number_of_usage_adds_up_to_its_customers(
    two_currencies: Shop, currency: str, by: tuple[str, ...], revenue: str
) -> None:
    from tenure.measure.revenue_lines import names_of

    names = names_of("usage" if revenue == "committed" else revenue)
    if revenue == "committed":
        names = [name for name in names if name.startswith("usage_")]
    answer = two_currencies.workspace.metrics(
        *names, since="2025-03", until="2025-05", by=by, currency=currency, revenue=revenue, known_on=LONG_AFTER
    )
    assert differences(answer) == []
    assert any(row["value"] for row in answer.rows() if row["metric"] == "usage_change")


def test_segments_add_up_to_the_whole(two_currencies: Shop) -> None:
    whole = two_currencies.value("usage_run_rate", "2025-02", currency="USD")
    parts = two_currencies.by("channel", "usage_run_rate", "2025-02", currency="USD")
    assert set(parts) == {"ads", "partner"}
    assert whole is not None and abs(sum(part or 0 for part in parts.values()) - whole) <= Fraction(1, 100)
    with pytest.raises(BadInput, match="usage cannot be split by tenure"):
        two_currencies.value("usage_run_rate", "2025-02", by=("tenure",))


def test_merged_customers_are_one_and_test_customers_are_left_out(company: Company) -> None:
    facts = Facts()
    facts.customer("old", merged_into="kept")
    facts.customer("try", is_test=True)
    for customer in ("old", "kept", "try"):
        used(facts, "2025-01", 3_000, customer=customer)
    assert company(facts).values("2025-01", "usage_run_rate", "usage_customers") == [20, 1]


# --- against a reference written differently --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_run_rates_churn_and_nrr_are_those_of_a_loop_over_lines(company: Company, seed: int) -> None:
    dice = random.Random(seed)
    facts = Facts()
    book: dict[str, dict[int, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for number in range(12):
        customer = f"c{number}"
        begin, end = sorted(dice.sample(range(36), 2))
        for k in range(begin, end + 1):
            if dice.random() < 0.25:
                continue
            start = add_months(date(2022, 1, 1), k)
            for _ in range(dice.randint(1, 3)):
                amount, discount, tax = dice.randint(100, 90_000), dice.randint(0, 50), dice.randint(0, 40)
                inclusive = dice.random() < 0.5
                facts.line(
                    start.isoformat(), service_end=add_months(start, 1).isoformat(), kind="usage", amount_minor=amount,
                    discount_minor=discount, tax_minor=tax, tax_inclusive=inclusive, customer=customer,
                )  # fmt: skip
                book[customer][k] += Fraction(amount - discount - (tax if inclusive else 0), 100)
    shop = company(facts)
    for month in (6, 20, 29, 35):
        text = add_months(date(2022, 1, 1), month).strftime("%Y-%m")
        k = month + 1  # the first month that is not complete
        rate = sum((sum(book[c][k - back] for back in (1, 2, 3)) for c in list(book)), Fraction(0)) / 3
        assert cents(usage(shop, "mrr", text)) == cents(rate)
        was = {c for c in book if any(book[c][k - back] for back in (2, 3, 4))}
        stands = {c for c in book if any(book[c][k - back] for back in (1, 2, 3))}
        row = shop.row("usage_churn_rate", text)
        assert (row["numerator"], row["denominator"]) == (len(was - stands), len(was))
        cohort = {c for c in book if book[c][k - 24] > 0}
        row = shop.row("usage_nrr", text)
        if cohort and min(min(m for m, v in of.items() if v) for of in book.values()) <= k - 24:
            now = sum((book[c][k - back] for c in cohort for back in range(1, 13)), Fraction(0))
            before = sum((book[c][k - back] for c in cohort for back in range(13, 25)), Fraction(0))
            assert row["value"] == pytest.approx(float(now / before), abs=1e-12)
        else:
            assert row["value"] is None


def test_what_every_definition_counts_alike_is_neither_bridged_nor_reconciled(company: Company) -> None:
    from tenure.app.theirs import metric_of

    facts = Facts()
    facts.state("2025-01-01")
    used(facts, "2025-01", 3_000)
    with pytest.raises(BadInput, match="nothing to bridge"):
        company(facts).workspace.bridge("usage_run_rate", after="stripe", month="2025-01")
    with pytest.raises(ValueError, match="every definition counts alike"):
        metric_of("usage_run_rate")
