"""What is a customer worth, and what did churn cost? The cases of the definitions, by hand and against brute force."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.app import settings as settings_file
from tenure.charts import svg
from tenure.errors import BadConfiguration, BadInput, BadPeriod
from tenure.faces.cli import main
from tenure.kernel.survival import Counts
from tenure.kernel.time import Period
from tenure.measure.acquisition import Stretch, spent
from tenure.measure.costs import LINES, Cost
from tenure.measure.currencies import SCALE
from tenure.measure.lifetimes import exposure_start, lives, lives_until
from tenure.measure.segments import resolve
from tenure.measure.worth import curve, lifetime, months_left, payback_with_churn, point_of_churn
from tests.reference.builder import Shop
from tests.rules.lost_customers import Company, month, months_between, steady

SIMPLE = ("ltv_revenue", "ltv_simple", "ltv_arrears", "ltv_discounted", "ltv_six_months")
Built = Callable[..., Shop]


def told(shop: Shop, text: str = "2025-08", **question: Any) -> Cost:
    """What churn cost in a stretch, as known long after."""
    question.setdefault("known_on", shop.known_on)
    return shop.workspace.cost(since=text, **question)


def values(cost: Cost, *names: str, **where: Any) -> list[Any]:
    """The shown values of lines."""
    return [cost.line(name, **where).shown() for name in names]


# ------------------------------------------------------------------------------------------------ cases 80, 81, 82, 59


def test_case_80_arpa_100_and_churn_5_percent_give_each_named_lifetime_value(company: Built) -> None:
    shop = company(steady())
    found = dict(zip(SIMPLE, shop.values("2025-08", *SIMPLE), strict=True))
    assert found["ltv_revenue"] == 2_000  # 100 / 0.05
    assert found["ltv_simple"] == 1_600  # x 80 %
    assert found["ltv_arrears"] == 1_520  # 1,600 x 0.95
    assert found["ltv_discounted"] == Fraction("1390.93")  # at 10 % a year
    assert found["ltv_six_months"] == 2_000  # February to July lost one of twenty each


def test_case_80_the_six_months_before_a_month_do_not_count_the_month_itself(company: Built) -> None:
    shop = company(steady())
    # January's rate alone lies before February: December 2024 began without customers.
    assert shop.value("ltv_six_months", "2025-02") == 2_000
    first = shop.row("ltv_six_months", "2024-12")
    assert first["value"] is None and first["reason"] == "no month before had customers"


@pytest.mark.parametrize("name", SIMPLE)
def test_case_81_where_nobody_left_a_simple_lifetime_value_is_null_and_neither_0_nor_infinite(
    name: str, company: Built
) -> None:
    row = company(steady(leavers=0)).row(name, "2025-08")
    assert row["value"] is None
    assert row["reason"] == "nobody left, and what never ends has no lifetime value"


def test_case_82_cac_600_is_paid_back_after_7_and_a_half_months_or_10_with_churn(company: Built) -> None:
    facts = steady()
    facts.spend("2025-08-01", "2025-09-01", 60_000)
    shop = company(facts)
    assert shop.value("cac", "2025-08") == 600  # one came
    rows = {row["metric"]: row["value"] for row in shop.rows(PAYBACK, "2025-08")}
    assert rows["cac_payback"] == 7.5
    assert rows["cac_payback_churn_adjusted"] == 10
    assert rows["ltv_simple_to_cac"] == pytest.approx(1_600 / 600)  # 2.67


PAYBACK = ("cac_payback", "cac_payback_churn_adjusted", "ltv_simple_to_cac")


def test_case_59_lost_yen_have_no_decimals_and_lost_dinars_have_three(company: Built) -> None:
    facts = Company()
    facts.span("2025-01-01", "2025-08-10", customer="yen", amount_minor=1_234, currency="JPY")
    facts.span("2025-01-01", "2025-08-20", customer="dinar", amount_minor=12_345, currency="KWD")
    cost = told(company(facts))
    assert str(cost.line("mrr_lost", "JPY").shown()) == "1234"
    assert str(cost.line("mrr_lost", "KWD").shown()) == "12.345"
    assert [str(row["arr_lost"]) for row in cost.customers().to_pylist()] == ["14808.0000000000", "148.1400000000"]


# ------------------------------------------------------------------------------------------------- lifetime value


NOW = 81  # October 2026, as months since January 2020


def history(seed: int) -> list[tuple[int, int | None, int]]:
    """Customers as (first month, month of leaving or None, price in minor units), over almost seven years."""
    chance = random.Random(seed)
    found = []
    for _ in range(60):
        start = chance.randrange(0, 70)
        end = start + 1 + int(chance.expovariate(1 / 25))
        found.append((start, end if end < NOW else None, chance.randrange(10, 200) * 100))
    return found


def mean_months(customers: list[tuple[int, int | None, int]], now: int, horizon: int = 60) -> Fraction:
    """The restricted mean by the definition: the chance to reach each month, multiplied up and added up."""
    area, stay = Fraction(0), Fraction(1)
    for t in range(horizon):
        reach = [c for c in customers if (c[1] if c[1] is not None else now) - c[0] >= t]
        gone = sum(1 for start, end, _ in reach if end is not None and end - start == t and t > 0)
        if reach:
            stay *= 1 - Fraction(gone, len(reach))
        area += stay
    return area


@pytest.mark.parametrize("seed", range(4))
def test_lifetime_value_is_margin_times_arpa_times_the_area_under_the_curve(seed: int, company: Built) -> None:
    customers, facts = history(seed), Company()
    for n, (start, end, price) in enumerate(customers):
        facts.span(month(start), None if end is None else month(end), customer=f"c{n}", amount_minor=price)
    shop = company(facts)
    row = shop.row("ltv", "2026-09")
    staying = [price for start, end, price in customers if end is None]
    arpa = Fraction(sum(staying), 100 * len(staying))
    assert float(row["value"]) == pytest.approx(float(Fraction(4, 5) * arpa * mean_months(customers, NOW)), abs=0.01)
    assert row["reason"] is None and row["low"] < row["value"] < row["high"]
    # What each customer's MRR is worth adds up to the numerator.
    who = shop.workspace.metrics("ltv", since="2026-09", known_on=shop.known_on).customers().to_pylist()
    assert (
        abs(sum(one["amount"] for one in who) - row["numerator"]) < Decimal("0.01") and len(who) == row["denominator"]
    )


def test_where_nobody_was_seen_for_five_years_only_the_months_that_were_seen_count(company: Built) -> None:
    facts = Company()
    for n in range(10):
        left = {0: "2024-02-01", 1: "2024-07-01", 2: "2025-01-01", 3: "2025-02-01"}.get(n)
        facts.span("2024-01-01", left, customer=f"c{n}")
    row = company(facts).row("ltv", "2025-06")
    # Of ten, one leaves after 1 month, after 6, 12 and 13: 1 + 5 x 0.9 + 6 x 0.8 + 0.7 + 5 x 0.6 = 14 months of 80.
    assert row["value"] == Decimal(1120)
    assert row["reason"] == "how long customers stay is known for 18 months: later months count for nothing"


def test_a_history_of_less_than_a_year_has_no_lifetime_value(company: Built) -> None:
    row = company(steady()).row("ltv", "2025-08")
    assert row["value"] is None
    assert row["reason"] == "how long customers stay is known for less than 12 months of being one"


def test_lifetimes_are_not_told_by_what_items_are_and_the_number_says_so(company: Built) -> None:
    facts = steady()
    for row in company(facts).rows(("ltv", "ltv_simple"), "2025-08", by=("currency",)):
        assert (row["value"] is None) == (row["metric"] == "ltv")
        assert row["metric"] != "ltv" or "is not told by currency" in row["reason"]


@pytest.mark.parametrize("by", [(), ("channel",)])
def test_lives_seen_on_many_days_are_those_seen_on_each(by: tuple[str, ...], company: Built) -> None:
    facts = Company()
    for n, (start, end, price) in enumerate(history(9)):
        facts.span(month(start), None if end is None else month(end), customer=f"c{n}", amount_minor=price)
        facts.person(f"c{n}", channel=("ads", "events", None)[n % 3])
    shop = company(facts)
    looked, definition = shop.workspace.facts(shop.known_on), shop.workspace.definition()
    ends = [date(2019, 1, 1), date(2020, 3, 17), date(2022, 8, 1), date(2024, 2, 29), date(2026, 12, 1)]
    segment = resolve(looked, by)
    many, _ = lives_until(looked, definition, ends, segment)
    assert not any(place == 0 for place, _ in many)
    for place, end in enumerate(ends[1:], 1):
        since, _ = exposure_start(looked, definition, end)
        each = lives(looked, definition, until=end, by=by, since=since)
        assert len(each) == sum(1 for where, _ in many if where == place)
        for one in each:
            seg = "" if one.segment is None else one.segment["channel"] or ""
            other = many[place, seg]
            assert (other.by_kind, other.exposure_since) == (one.by_kind, one.exposure_since)
            for column in ("time", "entries", "events", "censored"):
                assert getattr(other.counts, column).tolist() == getattr(one.counts, column).tolist()


def test_who_has_stayed_so_long_stays_so_much_longer() -> None:
    # Of four, one leaves in month 2, one in month 4; two are seen for sixty: S = 1, 1, 3/4, 3/4, 1/2, ...
    km = curve(Counts.of_customers([2, 4, 60, 60], [True, True, False, False]))
    left = months_left(km, 60)
    assert left[0] == 2 + Fraction(3, 4) * 2 + Fraction(1, 2) * 56
    assert left[4] == 56 and left[60] == 0
    assert lifetime(Counts.of_customers([2, 4, 60, 60], [True, True, False, False])).months == left[0]


# ----------------------------------------------------------------------------------------- arithmetic by brute force

RATES = st.fractions(min_value=0, max_value=Fraction(9, 10), max_denominator=200)
MONEY = st.integers(min_value=1, max_value=10**6).map(Fraction)


@given(cac=MONEY, margin=MONEY, churn=RATES)
def test_churn_adjusted_payback_is_the_first_month_that_a_ladder_reaches(
    cac: Fraction, margin: Fraction, churn: Fraction
) -> None:
    found = payback_with_churn(cac, margin, churn)
    if cac * churn >= margin:
        assert found is None
        return
    brought, there, month_ = Fraction(0), Fraction(1), 0
    while brought < cac and month_ < 300:
        brought += margin * there
        there *= 1 - churn
        month_ += 1
    assert found == month_ if brought >= cac else found is None or found >= 300


@given(mrr=MONEY, churn=st.fractions(min_value=Fraction(1, 100), max_value=1, max_denominator=100))
@pytest.mark.parametrize("months", [12, 36])
def test_a_point_of_churn_is_what_month_by_month_book_keeping_says(months: int, mrr: Fraction, churn: Fraction) -> None:
    found = point_of_churn(mrr, churn, months)
    as_is = better = mrr
    gained = Fraction(0)
    for _ in range(months):
        as_is -= as_is * churn
        better -= better * (churn - Fraction(1, 100))
        gained += better - as_is
    assert found is not None and (found.revenue, found.arr) == (gained, 12 * (better - as_is))


def test_under_one_point_of_churn_there_is_no_point_to_take() -> None:
    assert point_of_churn(Fraction(100), Fraction(9, 1000), 12) is None


UTC_FACTS: Any = SimpleNamespace(timezone=UTC)


def period(first: date, after: date) -> Period:
    """The days as a period in UTC."""
    start, end = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (first, after))
    return Period(start, end, first, after, "stretch")


@given(
    stretches=st.lists(
        st.tuples(st.integers(0, 300), st.integers(1, 120), st.integers(0, 10**9)), min_size=1, max_size=6
    ),
    cuts=st.sets(st.integers(1, 399), max_size=8),
)
def test_spend_shared_out_over_periods_adds_up_to_the_spend(
    stretches: list[tuple[int, int, int]], cuts: set[int]
) -> None:
    day, origin = 86_400_000_000, date(1971, 1, 1)
    base = 365 * day
    rows = [Stretch("ads", "USD", base + a * day, base + (a + n) * day, money) for a, n, money in stretches]
    bounds = [origin + timedelta(days=cut) for cut in (0, *sorted(cuts), 420)]
    shares = [
        spent(UTC_FACTS, rows, period(a, b), currency="USD", conversion=None).amount or Fraction(0)
        for a, b in pairwise(bounds)
    ]
    assert sum(shares) == sum(money for *_, money in stretches) * 1_000_000 * SCALE


# ------------------------------------------------------------------------------------------------------ acquisition


def test_cac_by_channel_divides_each_channels_spend_by_who_came_through_it(company: Built) -> None:
    facts = Company()
    for n, channel in enumerate(("ads", "ads", "events", "friends", None)):
        facts.span(f"2025-08-0{n + 1}", None, customer=f"c{n}")
        facts.person(f"c{n}", channel=channel)
    facts.spend("2025-08-01", "2025-09-01", 30_000, channel="ads")
    facts.spend("2025-08-01", "2025-09-01", 5_000, channel="ads", kind="people")
    facts.spend("2025-08-01", "2025-09-01", 40_000, channel="events")
    shop = company(facts)
    rows = {row["segment"]["channel"]: row for row in shop.rows(("cac",), "2025-08", by=("channel",))}
    assert {name: row["value"] for name, row in rows.items()} == {
        "ads": Decimal(175), "events": Decimal(400), "friends": None, None: None,
    }  # fmt: skip
    assert rows["friends"]["reason"] == "no spend is told of this channel"
    assert rows[None]["reason"] == "no spend belongs to customers whose channel is unknown"
    assert shop.value("cac", "2025-08") == 150  # 750 for five
    (by_plan,) = shop.rows(("cac",), "2025-08", by=("plan_id",))
    assert (by_plan["value"], by_plan["reason"]) == (None, "spend is told by channel alone")


def test_with_a_lag_customers_are_weighed_against_what_was_spent_earlier(company: Built) -> None:
    facts = steady()
    facts.spend("2025-06-01", "2025-07-01", 90_000)
    facts.spend("2025-08-01", "2025-09-01", 10_000)
    shop = company(facts)
    assert values(told(shop), "cac") == [Decimal(100)]
    assert values(told(shop, lag_months=2), "cac") == [Decimal(900)]
    (_, reason) = (None, told(shop, lag_months=1).line("cac").reason)
    assert reason == "no spend is told of this time"


def test_a_quarters_spend_belongs_to_its_months_by_their_days(company: Built) -> None:
    facts = steady()
    facts.spend("2025-07-01", "2025-10-01", 92_000)  # 92 days
    shop = company(facts)
    assert [shop.value("cac", f"2025-0{m}") for m in (7, 8, 9)] == [310, 310, 300]
    half = shop.row("cac", "2025")
    assert half["reason"] == "spend is told of a part of this time only" and half["numerator"] == Decimal(920)


def test_spend_in_another_currency_is_converted_or_has_no_value(company: Built) -> None:
    facts = steady()
    facts.spend("2025-08-01", "2025-09-01", 10_000, currency="EUR")
    facts.rate("2025-08-01", "EUR", "0.5")
    facts.rate("2025-08-31", "EUR", "0.8")
    shop = company(facts)
    assert shop.value("cac", "2025-08", currency="USD") == 125  # at the rate of the last day
    row = shop.row("cac", "2025-08")
    assert row["value"] is None and row["reason"] == "spend is in EUR: add --currency, such as --currency EUR"


def test_who_spends_more_than_churn_lets_come_back_is_never_paid_back(company: Built) -> None:
    facts = steady()
    facts.spend("2025-08-01", "2025-09-01", 160_000)  # 1,600 = 80 / 0.05: the whole of an endless life
    row = company(facts).row("cac_payback_churn_adjusted", "2025-08")
    assert row["value"] is None and row["reason"] == "at this churn winning a customer is never paid back"


# -------------------------------------------------------------------------------------------------- what was lost


def long_company() -> Company:
    """Eight customers, seven since 2020: two leave after two years, Ann (300) in her 24th month, Bo (100) late."""
    facts = Company()
    for n in range(8):
        price = (30_000, 10_000)[n] if n < 2 else 5_000
        name = ("Ann", "Bo")[n] if n < 2 else f"c{n}"
        start = ("2023-09-01", "2020-01-01")[n] if n < 2 else "2020-01-01"
        end = ("2025-08-16", "2025-08-20")[n] if n < 2 else "2022-01-01" if n < 4 else None
        facts.span(start, end, customer=name, amount_minor=price, cancel_actor="customer" if n != 1 else "dunning")
        facts.person(name, channel="ads" if n % 2 else "events", owner=("Kim", "Lee", None)[n % 3])
    return facts


def test_churn_costs_the_mrr_lost_and_the_margin_that_would_still_have_come(company: Built) -> None:
    facts = long_company()
    facts.span("2025-08-01", None, customer="new")
    facts.spend("2025-08-01", "2025-09-01", 50_000)
    shop = company(facts)
    cost = told(shop)
    assert values(cost, "customers_lost", "mrr_lost", "arr_lost", "mrr_lost_per_customer") == [2, 400, 4800, 200]
    # Ann had begun her 24th month, Bo his 68th: nothing within five years was left of him. Of the eight, two left at
    # 24 months, Ann among three: S(t) = 1 before, 5/8 from there to 60, so 36 months were left for who got so far.
    assert values(cost, "forgone_value", "forgone_value_per_customer") == [Decimal(300 * 36 * 8) / 10, Decimal(4320)]
    assert values(cost, "cac", "replacement_cost") == [500, 1000]
    who = {row["customer_id"]: row for row in cost.customers().to_pylist()}
    assert list(who) == ["Ann", "Bo"]
    assert (who["Ann"]["tenure_months"], who["Ann"]["how"]) == (24, "voluntary")
    assert (who["Bo"]["tenure_months"], who["Bo"]["how"], who["Bo"]["forgone_value"]) == (68, "involuntary", 0)


@pytest.mark.parametrize("by", [(), ("channel",), ("plan_id",), ("channel", "currency")])
@pytest.mark.parametrize("currency", ["USD", "each"])
def test_who_left_adds_up_to_what_was_lost_in_every_segment_and_currency(
    by: tuple[str, ...], currency: str, company: Built
) -> None:
    chance, facts = random.Random(3), Company()
    for n, (start, end, price) in enumerate(history(5)):
        facts.span(
            month(start),
            None if end is None else month(end),
            customer=f"c{n}",
            amount_minor=price,
            currency=chance.choice(("USD", "EUR")),
            plan_id=chance.choice(("basic", "pro")),
        )
        facts.person(f"c{n}", channel=chance.choice(("ads", "events", None)))
    facts.rate("2019-12-01", "EUR", "0.9")
    facts.spend("2023-01-01", "2025-01-01", 1_000_000, channel="ads")
    shop = company(facts)
    cost = told(shop, "2023", until="2024", by=by, currency=currency)
    people = cost.customers().to_pylist()
    lost = [
        line for line in cost.lines if line.kind.name in ("mrr_lost", "arr_lost", "forgone_value", "replacement_cost")
    ]
    assert any(line.value for line in lost)
    for line in lost:
        column = {"replacement_cost": "replacement_cost", "forgone_value": "forgone_value"}.get(
            line.kind.name, line.kind.name
        )
        segment = None if line.segment is None else json.dumps(line.segment, ensure_ascii=False)
        mine = [row for row in people if row["segment"] == segment and row["currency"] == line.currency]
        if line.value is None:
            assert line.reason
            continue
        assert abs(sum(Fraction(row[column]) for row in mine) - Fraction(line.shown() or 0)) < Fraction(1, 100), line
    # And the segments of customers are the whole.
    if by == ("channel",):
        whole = told(shop, "2023", until="2024", currency=currency)
        for money in dict.fromkeys(line.currency for line in lost):
            parts = [line.value for line in lost if line.kind.name == "mrr_lost" and line.currency == money]
            assert sum(part or 0 for part in parts) == whole.line("mrr_lost", money).value


def test_where_nobody_left_churn_cost_nothing_and_the_answer_says_so(company: Built) -> None:
    from tenure.faces.cli.costing import headline

    cost = told(company(steady(leavers=0)))
    assert values(cost, "customers_lost", "mrr_lost", "forgone_value") == [0, 0, 0]
    assert cost.line("mrr_lost_per_customer").reason == "nobody left"
    assert headline(cost) == "Nobody left in 2025-08: churn cost nothing."


def test_one_point_of_churn_is_told_of_todays_mrr(company: Built) -> None:
    cost = told(company(steady()))
    expected = point_of_churn(Fraction(2000), Fraction(5, 100), 12)
    assert expected is not None and cost.line("monthly_mrr_churn").value == Fraction(5, 100)
    assert float(values(cost, "point_revenue_12m")[0]) == pytest.approx(float(expected.revenue), abs=0.005)
    assert float(values(cost, "point_arr_12m")[0]) == pytest.approx(float(expected.arr), abs=0.005)
    quarter = told(company(steady()), "2025-07", until="2025-09").line("monthly_mrr_churn")
    assert float(quarter.value or 0) == pytest.approx(1 - 0.85 ** (1 / 3))  # three of twenty in three months


# ----------------------------------------------------------------------------------------------- at risk, protected


def standing() -> Company:
    """Ten customers at 100.00 a month, each with another thing ahead of him at the end of August 2025."""
    facts = Company()
    year = {"interval": "year", "amount_minor": 120_000}
    for name in ("plain", "ends", "late", "late-ends", "backs-out", "pays-late", "gave-up"):
        facts.state("2025-01-01", customer=name)
    facts.state("2025-01-01", customer="soon", period_end="2025-10-01", **year)
    facts.state("2025-01-01", customer="later", period_end="2026-01-01", **year)
    facts.state("2025-01-01", customer="term", term_ends_at="2025-11-20")
    facts.state("2025-08-05", customer="ends", status="active", cancel_at="2025-09-15")
    facts.state("2025-08-05", customer="late", status="past_due")
    facts.state("2025-08-05", customer="late-ends", status="past_due", cancel_at="2025-09-10")
    facts.state("2025-07-05", customer="backs-out", status="non_renewing", cancel_at="2025-09-10")
    facts.state("2025-08-20", customer="backs-out", status="active")
    facts.state("2025-07-28", customer="pays-late", status="past_due")
    facts.state("2025-08-03", customer="pays-late", status="active")
    facts.state("2025-08-01", customer="gave-up", status="past_due")
    facts.state("2025-08-10", customer="gave-up", status="active")
    facts.state("2025-08-30", customer="gave-up", status="canceled", cancel_actor="customer")
    return facts


def test_arr_at_risk_counts_each_item_once_under_what_is_most_certain(company: Built) -> None:
    cost = told(company(standing()))
    found = {kind: (cost.line(f"arr_{kind}").shown(), cost.line(f"arr_{kind}").n) for kind in RISKS}
    assert found == {"scheduled": (2400, 2), "past_due": (1200, 1), "renewal": (2400, 2)}
    assert values(cost, "arr_at_risk") == [6000]


RISKS = ("scheduled", "past_due", "renewal")


def test_saved_is_an_end_taken_back_and_recovered_a_payment_that_came_if_they_still_pay(company: Built) -> None:
    cost = told(company(standing()))
    assert [(cost.line(f"arr_{kind}").shown(), cost.line(f"arr_{kind}").n) for kind in ("saved", "recovered")] == [
        (1200, 1), (1200, 1),
    ]  # fmt: skip
    # A month later there is nothing new to protect, and the two whose end came are gone.
    later = told(company(standing()), "2025-09")
    assert values(later, "arr_saved", "arr_recovered") == [0, 0]


def test_won_back_is_what_those_who_had_left_pay_again(company: Built) -> None:
    facts = Company()
    facts.span("2025-01-01", "2025-03-01", customer="back")
    facts.span("2025-08-12", None, customer="back", subscription="again", amount_minor=7_000)
    line = told(company(facts)).line("arr_won_back")
    assert (line.shown(), line.n) == (840, 1)


def test_what_the_facts_never_tell_of_is_unknown_and_not_0(company: Built) -> None:
    cost = told(company(steady()))
    for name in ("arr_scheduled", "arr_past_due", "arr_renewal", "arr_saved", "arr_recovered", "arr_at_risk"):
        assert cost.line(name).value is None and "ever told" in cost.line(name).reason, name


def test_a_spans_end_was_scheduled_only_if_it_was_asked_for_by_then(company: Built) -> None:
    facts = Company()
    facts.span("2025-01-01", "2025-10-01", customer="asked", cancel_requested_at="2025-08-20")
    facts.span("2025-01-01", "2025-10-01", customer="asked-later", cancel_requested_at="2025-09-20")
    facts.span("2025-01-01", "2025-10-01", customer="silent")
    facts.span("2025-01-01", None, customer="stays")
    assert told(company(facts)).line("arr_scheduled").n == 1


@pytest.mark.parametrize("by", ["channel", "plan_id"])
def test_at_risk_by_segment_adds_up_to_the_whole(by: str, company: Built) -> None:
    facts = standing()
    for n, row in enumerate(list(facts.tables["subscription_states"])):
        row["plan_id"] = "pro" if row["customer_id"] < "m" else "basic"
        facts.person(row["customer_id"], channel="ads" if len(row["customer_id"]) % 2 else "events") if n < 10 else None
    shop = company(facts)
    whole, parts = told(shop), told(shop, by=by)
    for name in ("arr_scheduled", "arr_past_due", "arr_renewal", "arr_at_risk", "arr_saved", "arr_recovered"):
        mine = [line for line in parts.lines if line.kind.name == name]
        assert len(mine) == 2 and sum(line.value or 0 for line in mine) == whole.line(name).value


# ----------------------------------------------------------------------------------------------- reputation, owners


def test_detractors_stand_beside_the_churn_of_who_had_spoken_before(company: Built) -> None:
    facts = Company()
    for n, score in enumerate((0, 3, 6, 7, 9, 10)):
        leaves = "2025-08-20" if n in (0, 3) else None
        facts.span("2025-01-01", leaves, customer=f"c{n}")
        facts.score(f"c{n}", "2025-03-01", 10)
        facts.score(f"c{n}", "2025-06-01", score)  # the latest one counts
        facts.score(f"c{n}", "2025-08-05", score)
    facts.score("c0", "2025-08-06", 1, kind="ces")
    cost = told(company(facts))
    assert cost.line("nps").value == Fraction(100 * (2 - 3), 6)
    assert values(cost, "detractors") == [3]
    lost = {group: cost.line(f"churn_of_{group}") for group in ("detractors", "passives", "promoters")}
    assert {group: (line.numerator, line.denominator) for group, line in lost.items()} == {
        "detractors": (1, 3), "passives": (1, 1), "promoters": (0, 2),
    }  # fmt: skip
    assert lost["detractors"].low is not None and lost["detractors"].low < 1 / 3 < (lost["detractors"].high or 0)


def test_reviews_count_whoever_wrote_them(company: Built) -> None:
    facts = Company()
    facts.span("2025-01-01", "2025-08-09", customer="c1")
    facts.span("2025-01-01", None, customer="c2")
    facts.review("2025-05-01", 1, "c1")
    facts.review("2025-08-01", 5)
    facts.review("2025-08-31", 2, "c2")
    cost = told(company(facts))
    assert values(cost, "reviews", "mean_rating", "low_reviews", "churn_of_low_reviewers") == [2, 3.5, 0.5, 1.0]


def test_each_owner_has_customers_and_losses(company: Built) -> None:
    cost = told(company(long_company()))
    found = {
        owner: values(cost, "owner_customers", "owner_lost", "owner_mrr_lost", owner=owner) for owner in ("Kim", "Lee")
    }
    # Kim owns Ann (left), c3 (left in 2022) and c6; Lee owns Bo (left), c4 and c7.
    assert found == {"Kim": [1, 1, 300], "Lee": [2, 1, 100]}
    assert values(cost, "customers_per_owner", "lost_per_owner") == [1.5, 1.0]


def test_without_answers_reviews_and_owners_their_sections_are_not_there(company: Built) -> None:
    sections = {line.kind.section for line in told(company(steady())).lines}
    assert sections == {"lost", "replacing", "point", "at_risk", "protected"}


# ------------------------------------------------------------------------------------------- asking, in every way


def test_json_arrow_and_the_picture_tell_the_same(company: Built) -> None:
    facts = long_company()
    facts.spend("2025-08-01", "2025-09-01", 50_000)
    cost = told(company(facts))
    rows = cost.as_json()["lines"]
    assert cost.to_arrow().column("line").to_pylist() == [row["line"] for row in rows]
    assert {row["line"] for row in rows} <= set(LINES) and all(row["definition"] for row in rows)
    assert json.loads(json.dumps(cost.as_json(), default=str))["lines"][1]["value"] == "400.00"
    for language, word in (("en", "ARR lost"), ("th", "ARR ที่เสียไป")):
        assert word in svg(cost.chart(language))


def test_a_company_that_nobody_can_move_within_is_asked_for_what_stays(company: Built) -> None:
    with pytest.raises(BadInput, match="what customers do not move between, and tenure changes"):
        told(company(steady()), by="tenure")


def test_the_command_answers_in_words_first_and_ends_with_2_for_bad_input(
    company: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = company(long_company())
    folder = ["-w", str(shop.workspace.folder), "cost", "--from", "2025-08", "--known-on", shop.known_on]

    def run(*more: str) -> int:
        import sys

        before = sys.argv
        sys.argv = ["tenure", *folder, *more]
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            sys.argv = before
        return 0

    assert run() == 0
    said = capsys.readouterr().out
    assert said.startswith("Churn cost $400.00 of MRR in 2025-08, $4,800.00 a year: 2 customers left.")
    assert run("--format", "csv", "--customers") == 0
    assert capsys.readouterr().out.startswith("segment,customer_id,name,at,how,tenure_months,currency,mrr_lost")
    assert run("--by", "size") == 2
    assert run("--lag", "99") == 2
    capsys.readouterr()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("margin = 80", "such as 0.80 for 80 %"),
        ("margin = 0", "above 0"),
        ("discount_rate = 10", "such as 0.10 for 10 % a year"),
        ("spend_lag_months = -1", "whole months from 0 to 24"),
        ("spend_lag_months = 1.5", "wrong type"),
    ],
)
def test_a_margin_or_rate_that_is_none_is_refused_with_how_to_write_it(line: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "tenure.toml").write_text(f"{line}\n")
    with pytest.raises(BadConfiguration, match=says):
        settings_file.read(tmp_path)


def test_the_margin_of_the_settings_counts_and_a_default_is_told(company: Built) -> None:
    shop = company(steady())
    assert any("margin of 80 % is the default" in note for note in told(shop).notes)
    path = shop.workspace.folder / "tenure.toml"
    path.write_text(path.read_text() + "\nmargin = 0.5\n" if "[" not in path.read_text() else "margin = 0.5\n")
    import tenure

    with tenure.open(shop.workspace.folder) as again:
        cost = again.cost(since="2025-08", known_on=shop.known_on)
        assert not any("default" in note for note in cost.notes)
        row = again.metrics("ltv_simple", since="2025-08", known_on=shop.known_on).rows()[0]
        assert row["value"] == 1000


def test_what_rests_on_assumptions_is_not_bridged(company: Built) -> None:
    with pytest.raises(BadInput, match="rests on assumptions"):
        company(steady()).workspace.bridge("ltv", after="stripe", month="2025-08")


def test_a_cost_without_a_period_or_with_one_turned_round_is_refused(company: Built) -> None:
    with pytest.raises(BadPeriod, match="before it begins"):
        told(company(steady()), "2025-08", until="2025-07")


def test_months_between_counts_them() -> None:
    assert months_between(date(2024, 11, 1), date(2026, 2, 1)) == 15
