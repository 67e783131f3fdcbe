"""Customers without a contract: when they count as gone, who came back, who is best, and all customers in one book."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import tenure
from tenure.errors import BadConfiguration, BadInput, BadPeriod
from tenure.measure.purchase_gaps import quantile, window_days
from tenure.measure.rfm import SEGMENTS, segment_name
from tests.parity.test_openings import differences
from tests.reference.builder import Company, Facts, Shop, open_workspace
from tests.reference.purchases import order

KNOWN = "2026-10-31"
Tell = Callable[..., tenure.Workspace]


def case_97() -> Facts:
    """Gaps of 10, 10, 10 (Ann), 5 and 73 days (Bo); Cy buys once; the last order is of 20 March 2025."""
    facts = Facts()
    for day in ("2025-01-01", "2025-01-11", "2025-01-21", "2025-01-31"):
        order(facts, day, "Ann")
    for day in ("2025-01-01", "2025-01-06", "2025-03-20"):
        order(facts, day, "Bo")
    order(facts, "2025-01-10", "Cy")
    return facts


@pytest.fixture
def tell(tmp_path: Path) -> Iterator[Tell]:
    """Opens a workspace with the facts."""
    opened: list[tenure.Workspace] = []

    def build(facts: Facts, **settings: Any) -> tenure.Workspace:
        opened.append(open_workspace(tmp_path / f"shop-{len(opened)}", facts, **settings))
        return opened[-1]

    yield build
    for shop in opened:
        shop.close()


def rolled(shop: tenure.Workspace, month: str, **options: Any) -> list[Any]:
    """[opening, new, returned, lapsed, closing, churn] of a month."""
    return [row["value"] for row in shop.activity(since=month, **options).rows()]


# ------------------------------------------------------------------------------------------ gaps and the window


def test_case_97_the_window_is_chosen_from_the_gaps_and_who_is_silent_for_it_has_lapsed(tell: Tell) -> None:
    shop = tell(case_97())
    (gaps,) = shop.purchase_gaps()
    # 5, 10, 10, 10, 73: four of five are no longer than 10 days.
    assert gaps.window is not None and (gaps.window.days, gaps.window.chosen) == (10, "gaps")
    assert (gaps.window.gaps, gaps.window.within) == (5, 4)
    # Bo was silent for 73 days and came back; Ann has been for 48, Cy for 69.
    assert (gaps.window.reached, gaps.window.came_back) == (3, 1)
    # Bo lapses on 16 January, Cy on the 20th; Ann on 10 February; Bo is back on 20 March.
    assert rolled(shop, "2025-01") == [0, 3, 0, 2, 1, None]
    assert rolled(shop, "2025-02") == [1, 0, 0, 1, 0, 1.0]
    assert rolled(shop, "2025-03") == [0, 0, 1, 0, 1, None]
    assert "10 days, chosen from the gaps" in shop.activity(since="2025-02").notes[0]


def test_the_window_in_words_says_how_many_silences_ended_in_a_purchase_all_the_same(tell: Tell) -> None:
    (gaps,) = tell(case_97()).purchase_gaps()
    assert gaps.window is not None
    assert gaps.window.told() == (
        "Inactivity window: 10 days, chosen from the gaps. 80.0 % of the 5 gaps between purchase days are no longer. "
        "Of 3 silences that reached it, 33.3 % ended in a purchase all the same, so far."
    )
    low, high = gaps.window.share_came_back.low, gaps.window.share_came_back.high
    assert low is not None and high is not None and low < 1 / 3 < high


def test_silences_that_have_not_ended_count_for_as_long_as_they_have_lasted(tell: Tell) -> None:
    (gaps,) = tell(case_97()).purchase_gaps()
    # Of 8 silences one ends at 5; then 3 of 7 at 10 (the eighth, Bo's last, is of day 0 and never at risk at 5).
    # At risk at 5: five gaps and Ann's 48 and Cy's 69 days = 7. S(5) = 6/7, S(10) = 6/7 * 3/6.
    assert gaps.curve.survival_at(5).value == pytest.approx(6 / 7)
    assert gaps.curve.survival_at(10).value == pytest.approx(3 / 7)
    assert gaps.returning(5) == pytest.approx(1 / 7) and gaps.returning(60, after=10) == pytest.approx(0)
    assert (gaps.quantile(Fraction(1, 2)), gaps.buyers, gaps.repeat_buyers) == (10, 3, 2)
    # Ann's mean gap is 10 days, Bo's (5 + 73) / 2 = 39.
    assert gaps.means == {10: 1, 39: 1} and gaps.mean_gap(Fraction(1, 2)) == 10


def test_a_mean_gap_is_rounded_half_up_and_a_quantile_of_nothing_is_nothing(tell: Tell) -> None:
    facts = Facts()
    for day in ("2025-01-01", "2025-01-02", "2025-01-06"):  # gaps of 1 and 4: 2.5 days
        order(facts, day, "Ann")
    (gaps,) = tell(facts).purchase_gaps()
    assert gaps.means == {3: 1}
    assert quantile({}, Fraction(4, 5)) is None


def test_a_gap_of_the_windows_length_is_no_lapse_and_one_day_more_is(tell: Tell) -> None:
    for gap, lapsed in ((30, 0), (31, 1)):
        facts = Facts()
        order(facts, "2025-01-01", "Ann")
        order(facts, date(2025, 1, 1).fromordinal(date(2025, 1, 1).toordinal() + gap).isoformat(), "Ann")
        shop = tell(facts)
        got = shop.metrics("buyers_lapsed", "buyers_returned", since="2025", period="year", window=30)
        assert [row["value"] for row in got.rows()] == [lapsed, lapsed]


def test_several_orders_of_a_day_are_one_purchase_day_in_the_companys_zone(tell: Tell) -> None:
    facts = Facts()
    order(facts, "2025-01-01 16:59", "Ann")  # 23:59 in Bangkok
    order(facts, "2025-01-01 17:00", "Ann")  # the next day there
    (utc,) = tell(facts).purchase_gaps()
    (bangkok,) = tell(facts, timezone="Asia/Bangkok").purchase_gaps()
    assert utc.gaps == 0 and utc.window is None
    assert bangkok.gaps == 1 and bangkok.window is not None and bangkok.window.days == 1


def test_a_window_is_given_for_one_question_or_for_good(tell: Tell) -> None:
    shop = tell(case_97())
    assert rolled(shop, "2025-02", window="60d") == [3, 0, 0, 0, 3, 0.0]
    assert rolled(shop, "2025-02", window="10") == rolled(shop, "2025-02")
    (shop.folder / "tenure.toml").write_text('inactivity_window = "9w"\n', encoding="utf-8")
    with tenure.open(shop.folder) as again:
        assert again.inactivity_days() == 63
        assert rolled(again, "2025-02") == [3, 0, 0, 0, 3, 0.0]
        assert again.inactivity_days("5d") == 5
        assert again.purchase_gaps()[0].window.told().startswith("Inactivity window: 63 days, as given.")  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "0d", "90x", "-5", "3m", "1.5d", "4000d"])
def test_a_window_that_is_none_is_refused(text: str, tell: Tell) -> None:
    with pytest.raises(BadInput, match="write days or weeks"):
        window_days(text)
    shop = tell(case_97())
    (shop.folder / "tenure.toml").write_text(f'inactivity_window = "{text}"\n', encoding="utf-8")
    with pytest.raises(BadConfiguration, match="inactivity_window"):
        tenure.open(shop.folder)


def test_where_nobody_bought_twice_there_is_no_window_and_the_reason_stands_there(tell: Tell) -> None:
    facts = Facts()
    order(facts, "2025-01-01", "Ann")
    order(facts, "2025-02-01", "Bo")
    shop = tell(facts)
    for row in shop.activity(since="2025-01").rows():
        assert row["value"] is None and "no inactivity window can be chosen" in row["reason"]
    assert rolled(shop, "2025-01", window="40d")[:2] == [0, 1]


# ----------------------------------------------------------------------------------------------- activity churn


def test_returns_test_customers_and_nameless_sales_are_no_buyers_and_merged_ones_are_one(tell: Tell) -> None:
    facts = case_97()
    order(facts, "2025-02-15", "Ann", -500)
    order(facts, "2025-02-15", "Dee", 500, kind="return")
    order(facts, "2025-02-15", None)
    order(facts, "2025-02-15", "Test")
    facts.customer("Test", is_test=True)
    order(facts, "2025-01-25", "Ann2")
    facts.customer("Ann2", merged_into="Ann")
    shop = tell(facts)
    assert rolled(shop, "2025-02", window="10d") == [1, 0, 0, 1, 0, 1.0]
    (gaps,) = shop.purchase_gaps()
    assert gaps.buyers == 3 and gaps.counts[4] == (1, 0) and gaps.counts[6] == (1, 0)


def test_nobody_lapses_where_orders_end_and_no_number_is_made_up_after_them(tell: Tell) -> None:
    shop = tell(case_97())
    march = shop.activity(since="2025-03").rows()
    assert [row["value"] for row in march][-2] == 1  # Bo bought on the last day, and has not lapsed by the 31st
    assert "provisional: orders are not known to the period's end" in march[-2]["reason"]
    for row in shop.activity(since="2025-04", until="2025-06").rows():
        assert row["value"] is None and row["reason"] == "no order is known of this time"
    (row,) = shop.metrics("buyers_new", since="2025-01").rows()
    assert row["value"] == 3 and "counts as new" in row["reason"]


def test_who_was_silent_was_not_yet_called_lapsed(tell: Tell) -> None:
    shop = tell(case_97())
    # On 8 February the last order known is Ann's of 31 January: nothing is known of later days.
    rows = shop.activity(since="2025-02", known_on="2025-02-08", window="10d").rows()
    assert rows[0]["value"] is None and "no order is known of this time" in rows[0]["reason"]
    rows = shop.activity(since="2025-01", known_on="2025-01-18", window="10d").rows()
    # Known then: Bo's lapse of the 16th has no later order to show that the file goes on.
    assert [row["value"] for row in rows] == [0, 3, 0, 0, 3, None]
    assert all("provisional" in row["reason"] for row in rows if row["metric"] == "active_buyers")


def test_an_order_that_was_taken_back_counts_for_nothing(tell: Tell) -> None:
    facts = case_97()
    row = facts.tables["orders"][6]  # Bo's of 20 March
    facts._add(
        "orders",
        {"order_id": row["order_id"], "ordered_at": row["ordered_at"]},
        {name: row[name] for name in ("customer_id", "kind", "product_id", "quantity", "amount_minor", "currency")},
        {"retracted": True, "recorded_at": "2025-05-01"},
        row["ordered_at"],
    )
    shop = tell(facts)
    (gaps,) = shop.purchase_gaps()
    assert gaps.until == date(2025, 1, 31) and gaps.gaps == 4
    (before,) = shop.purchase_gaps(known_on="2025-04-01")
    assert before.until == date(2025, 3, 20) and before.gaps == 5


def test_every_segment_rolls_forward_and_opens_to_its_customers(tell: Tell) -> None:
    facts = case_97()
    for customer, channel in (("Ann", "ads"), ("Bo", "shop")):
        facts.customer(customer, channel=channel)
    shop = tell(facts)
    answer = shop.activity(since="2025-01", until="2025-04", by="channel", window="10d")
    assert differences(answer) == []
    for period in ("2025-01-01", "2025-02-01", "2025-03-01"):
        for channel in ("ads", "shop", None):
            mine = [
                r["value"] for r in answer.rows() if (r["period_start"], r["segment"]["channel"]) == (period, channel)
            ]
            if mine and mine[0] is not None:
                opening, new, returned, lapsed, closing, _ = mine
                assert opening + new + returned - lapsed == closing
    (left,) = [r for r in answer.customers().to_pylist() if r["metric"] == "activity_churn_rate" and r["amount"]]
    assert (left["customer_id"], left["what"], f"{left['at']:%Y-%m-%d}") == ("Ann", "lapsed", "2025-02-10")


def test_buyers_are_split_by_what_stays_with_them_alone(tell: Tell) -> None:
    shop = tell(case_97())
    for odd in ("plan_id", "tenure", "currency"):
        with pytest.raises(BadInput, match=f"buyers cannot be split by {odd}"):
            shop.activity(since="2025-01", by=odd)


def test_without_orders_a_question_about_buyers_says_what_to_load(company: Company) -> None:
    facts = Facts()
    facts.span("2025-01-01", None)
    shop: Shop = company(facts)
    with pytest.raises(BadInput, match="no orders are loaded"):
        shop.workspace.activity(since="2025-01")
    with pytest.raises(BadInput, match="no orders are loaded"):
        shop.workspace.purchase_gaps()
    with pytest.raises(BadInput, match="no orders are loaded"):
        shop.workspace.rfm()
    both = shop.workspace.metrics("mrr", "active_buyers", since="2025-01", currency="USD").rows()
    assert both[0]["value"] == 100 and both[1]["value"] is None and "no orders" in both[1]["reason"]


def test_numbers_of_buyers_stand_beside_those_of_subscriptions(tell: Tell) -> None:
    facts = case_97()
    facts.span("2025-01-01", None, customer="Eve")
    answer = tell(facts).metrics("mrr", "active_buyers", "customers", since="2025-01", currency="USD")
    assert [(row["metric"], row["value"], row["revenue"]) for row in answer.rows()] == [
        ("mrr", 100, "committed"),
        ("active_buyers", 1, "orders"),
        ("customers", 1, "committed"),
    ]
    assert answer.chart() is not None


# ----------------------------------------------------------------------------------------------------------- rfm


def five() -> Facts:
    """Five buyers, one in each fifth of recency and money; three bought once, so their frequency is the same."""
    facts = Facts()
    order(facts, "2025-01-01", "A", 100)
    order(facts, "2025-02-01", "B", 200)
    order(facts, "2025-03-01", "C", 300)
    for day, minor in (("2025-03-15", 900), ("2025-04-01", -500)):
        order(facts, day, "D", minor)
    order(facts, "2025-03-20", "D", 0)
    for day in ("2025-04-01", "2025-04-10", "2025-05-01"):
        order(facts, day, "E", 400)
    order(facts, "2025-05-01", "R", -50)
    order(facts, "2025-05-01", None, 70)
    return facts


def test_scores_are_one_more_than_the_fifths_below_and_equal_values_score_alike(tell: Tell) -> None:
    (found,) = tell(five(), currency="USD").rfm()
    people = {row["customer_id"]: row for row in found.people().to_pylist()}
    assert {who: (row["r"], row["f"], row["m"]) for who, row in people.items()} == {
        "A": (1, 1, 1),  # bought once, as B and C: nobody has less
        "B": (2, 1, 2),
        "C": (3, 1, 3),
        "D": (4, 4, 4),  # three fifths bought less often
        "E": (5, 5, 5),
    }
    assert people["D"]["monetary"] == Decimal("4.00") and people["D"]["frequency"] == 2
    assert people["A"]["recency_days"] == 120 and people["E"]["recency_days"] == 0
    assert [(part.name, part.customers, part.revenue) for part in found.parts()] == [
        ("champions", 1, Decimal("12.00")),
        ("loyal", 1, Decimal("4.00")),
        ("about_to_sleep", 1, Decimal("3.00")),
        ("hibernating", 2, Decimal("3.00")),
    ]
    assert sum(part.share for part in found.parts()) == pytest.approx(1)
    assert sum(part.revenue_share or 0 for part in found.parts()) == pytest.approx(1)


def test_who_only_brings_back_is_not_scored_and_nothing_is_lost_of_the_revenue(tell: Tell) -> None:
    shop = tell(five(), currency="USD")
    (found,) = shop.rfm()
    assert found.customers == 5 and found.only_returned == (1, Decimal("-0.50")) and found.unnamed == Decimal("0.70")
    (history,) = shop.orders()
    assert found.revenue + found.only_returned[1] + found.unnamed == history.total == Decimal("22.20")


def test_scores_look_at_the_stretch_that_is_asked_for_and_money_at_its_currency(tell: Tell) -> None:
    facts = five()
    order(facts, "2025-04-20", "A", 1_000, currency="EUR")
    facts.rate("2025-01-01", "EUR", "0.5")
    shop = tell(facts)
    each = {found.currency: found for found in shop.rfm()}
    assert each["EUR"].customers == 1 and each["USD"].customers == 5
    (whole,) = shop.rfm(currency="USD", until="2025-04-20")
    # Ten euros are 20 dollars; E's purchase of May is not yet there.
    assert whole.revenue == Decimal("20.00") + Decimal("1.00") + 2 + 3 + 4 + 8
    assert whole.until == date(2025, 4, 20)
    with pytest.raises(BadInput, match="orders are known from 2025-01-01 to 2025-05-01"):
        shop.rfm(since="2026-01")
    assert shop.rfm(since="2025-05", currency="USD")[0].customers == 1


def test_scores_are_of_all_buyers_and_segments_only_split_the_counts(tell: Tell) -> None:
    facts = five()
    for customer in "AB":
        facts.customer(customer, channel="ads")
    (found,) = tell(facts, currency="USD").rfm(by="channel")
    split = {((part.segment or {})["channel"], part.name): part.customers for part in found.parts()}
    assert split == {(None, "champions"): 1, (None, "loyal"): 1, (None, "about_to_sleep"): 1, ("ads", "hibernating"): 2}


def test_every_pair_of_scores_has_a_name_and_every_name_a_place() -> None:
    named = {segment_name(r, f) for r in range(1, 6) for f in range(1, 6)}
    assert named == set(SEGMENTS)
    assert (
        segment_name(1, 5) == "cannot_lose" and segment_name(5, 1) == "new" and segment_name(3, 3) == "need_attention"
    )


# ------------------------------------------------------------------------------------------------------ the book


def both_kinds() -> Facts:
    """Ann has a contract and stops buying; Bo moves to a contract; Cy lapses; Dee cancels; Eve only pays."""
    facts = Facts()
    facts.span("2025-01-01", None, customer="Ann", amount_minor=1_000)
    facts.span("2025-03-10", None, customer="Bo", amount_minor=2_000)
    facts.span("2025-01-01", "2025-03-20", customer="Dee", amount_minor=3_000)
    facts.span("2025-01-01", None, customer="Eve", amount_minor=4_000)
    for customer in ("Ann", "Bo", "Cy"):
        order(facts, "2025-02-20", customer, 500)
    order(facts, "2025-04-20", "Fay", 700)
    order(facts, "2025-03-15", "Ann", -100)
    return facts


def test_a_customer_of_both_kinds_counts_once_and_who_changes_sides_is_not_lost(tell: Tell) -> None:
    book = tell(both_kinds()).book(since="2025-03", window="30d")
    sides = {side.side: (side.opening, side.came, side.left, side.closing) for side in book.sides}
    assert sides == {
        "contract": (3, 1, 1, 3),  # Ann, Dee, Eve; Bo comes, Dee leaves
        "buyers": (3, 0, 3, 0),  # Ann, Bo, Cy lapse on 22 March
        "both": (1, 0, 1, 0),  # Ann
        "company": (5, 0, 2, 3),  # Cy and Dee are lost; Bo and Ann are not
    }
    assert sides["contract"][0] + sides["buyers"][0] - sides["both"][0] == sides["company"][0]
    assert book.side("company").churn.value == 2 / 5 and book.side("both").churn.value is None
    became = {row["customer_id"]: row["became"] for row in book.customers().to_pylist()}
    assert became == {"Ann": "moved", "Bo": "moved", "Cy": "left", "Dee": "left", "Eve": "stayed"}
    money = {(amount.line, amount.currency): amount.value for amount in book.money}
    assert money == {("mrr", "USD"): Decimal("70.00"), ("orders_contract", "USD"): Decimal("-1.00")}


def test_each_side_of_the_book_is_the_metric_of_its_own_definition(tell: Tell) -> None:
    shop = tell(both_kinds())
    book = shop.book(since="2025-03", window="30d")
    names = ("customer_churn_rate", "activity_churn_rate", "customers", "active_buyers", "mrr")
    rows = {row["metric"]: row for row in shop.metrics(*names, since="2025-03", window="30d").rows()}
    for side, rate, level in (
        ("contract", "customer_churn_rate", "customers"),
        ("buyers", "activity_churn_rate", "active_buyers"),
    ):
        found = book.side(side)
        assert (found.churn.value, found.churn.low, found.churn.high) == tuple(
            rows[rate][part] for part in ("value", "low", "high")
        )
        assert (found.left, found.opening, found.closing) == (
            rows[rate]["numerator"],
            rows[rate]["denominator"],
            rows[level]["value"],
        )


def test_a_book_of_one_kind_has_one_side_and_says_what_is_missing(tell: Tell) -> None:
    contracts = Facts()
    contracts.span("2025-01-01", None, customer="Ann")
    book = tell(contracts).book(since="2025-03")
    assert [side.side for side in book.sides] == ["contract", "company"] and book.window is None
    assert book.side("company").closing == 1 and "Active buyers: no orders are loaded." in book.notes
    book = tell(case_97()).book(since="2025-02")
    assert [(side.side, side.opening, side.left) for side in book.sides] == [("buyers", 1, 1), ("company", 1, 1)]
    assert "Under contract: no subscriptions are loaded." in book.notes


def test_the_sides_of_segments_add_up_to_those_of_everybody(tell: Tell) -> None:
    facts = both_kinds()
    for customer in ("Ann", "Bo", "Eve"):
        facts.customer(customer, channel="ads")
    book = tell(facts).book(since="2025-03", window="30d", by="channel")
    whole = {side.side: (side.opening, side.came, side.left, side.closing) for side in book.sides if not side.segment}
    for name, told in whole.items():
        parts = [(s.opening, s.came, s.left, s.closing) for s in book.sides if s.side == name and s.segment]
        assert tuple(map(sum, zip(*parts, strict=True))) == told
    assert {row["segment.channel"] for row in book.customers().to_pylist()} == {"ads", None}


def test_orders_in_the_book_are_converted_at_the_rate_of_each_day(tell: Tell) -> None:
    facts = both_kinds()
    order(facts, "2025-03-02", "Gil", 1_000, currency="EUR")
    order(facts, "2025-03-30", "Gil", 1_000, currency="EUR")
    facts.rate("2025-01-01", "EUR", "0.5")
    facts.rate("2025-03-15", "EUR", "1")
    shop = tell(facts)
    money = {amount.line: amount.value for amount in shop.book(since="2025-03", currency="USD").money}
    assert money["orders_others"] == Decimal("30.00")
    each = {(amount.line, amount.currency): amount.value for amount in shop.book(since="2025-03").money}
    assert each["orders_others", "EUR"] == Decimal("20.00")


def test_a_book_before_anything_or_without_days_is_refused(tell: Tell, tmp_path: Path) -> None:
    with pytest.raises(BadPeriod, match="before it begins"):
        tell(case_97()).book(since="2025-03", until="2025-01")
    with tenure.open(tmp_path / "empty", create=True) as empty, pytest.raises(BadInput, match="nothing is loaded"):
        empty.book(since="2025-01")


def test_repeat_cohorts_are_told_of_a_company_that_has_contracts_too(tell: Tell) -> None:
    shop = tell(both_kinds())
    (orders,) = shop.cohorts(of="orders")
    assert orders.of == "orders" and orders.triangle.sizes == (3, 1)
    (contracts,) = shop.cohorts()
    assert contracts.of == "subscriptions"
    assert orders.chart("th") is not None
    with pytest.raises(BadInput, match="of subscriptions or of orders"):
        shop.cohorts(of="carts")
