"""The shapes in which people have their figures become spans, and what cannot be true in them is held back."""

from __future__ import annotations

import pytest

from tenure.connect.files import safe_cell
from tenure.connect.files.cells import is_card_number, masked
from tenure.errors import BadFile
from tests.rules.load_shop import NOW, Shop, at
from tests.rules.load_shop import shop as shop

SPAN = "customer_id, amount_minor, started_at, ended_at"


# -------------------------------------------------------------------------------------------------------------- mrr


def test_a_sheet_of_customers_by_month_becomes_one_span_per_stretch_of_one_amount(shop: Shop) -> None:
    report = shop.load(
        "mrr",
        """
        Customer,Region,Jan 2026,Feb 2026,Mar 2026,Apr 2026
        steady,eu,100,100,100,100
        grows,eu,100,100,150.50,150.50
        leaves,us,80,80,,
        zero,us,80,0,0,0
        returns,us,50,,50,50
        never,us,,,,
        """,
        currency="USD",
    )
    assert (report.rows, report.loaded) == (6, 6)
    assert shop.rows("subscription_spans", SPAN) == sorted(
        [
            ("steady", 10000, at("2026-01-01"), None),
            ("grows", 10000, at("2026-01-01"), at("2026-03-01")),
            ("grows", 15050, at("2026-03-01"), None),
            ("leaves", 8000, at("2026-01-01"), at("2026-03-01")),
            ("zero", 8000, at("2026-01-01"), at("2026-02-01")),
            ("returns", 5000, at("2026-01-01"), at("2026-02-01")),
            ("returns", 5000, at("2026-03-01"), None),
        ],
        key=lambda row: (row[0], row[1], row[2]),
    )
    assert shop.rows("subscription_spans", 'DISTINCT status, "interval", interval_count, currency') == [
        ("active", "month", 1, "USD")
    ]
    assert shop.rows("traits", "DISTINCT trait, is_dated") == [("region", False)]


def test_the_long_form_says_the_same_and_months_begin_in_the_companys_zone(shop: Shop) -> None:
    long = """
        month,customer_id,amount,currency
        2026-01,a,100,THB
        2026-03-01,a,100,THB
        ก.พ. 2569,a,100,THB
        2026-02,b,10,THB
        """
    report = shop.load("mrr", long, timezone="Asia/Bangkok")
    assert (report.rows, report.loaded) == (4, 4)
    assert shop.rows("subscription_spans", SPAN) == [
        ("a", 10000, at("2025-12-31 17:00"), None),
        ("b", 1000, at("2026-01-31 17:00"), at("2026-02-28 17:00")),
    ]


def test_next_months_sheet_closes_and_continues_the_spans_of_the_last_one(shop: Shop) -> None:
    shop.load("mrr", "customer,2026-01,2026-02\na,10,10\nb,10,10\nc,10,10\n", currency="USD")
    report = shop.load("mrr", "customer,2026-01,2026-02,2026-03\na,10,10,10\nb,10,10,\nc,10,10,20\n", currency="USD")
    # a is as it was; b's span has an end now; c's has one and a new span follows.
    assert (report.loaded, report.known) == (2, 1)
    assert shop.rows("subscription_spans", f"{SPAN}, recorded_at", "recorded_at >= '2026-03-01'") == [
        ("b", 1000, at("2026-01-01"), at("2026-03-01"), NOW),
        ("c", 1000, at("2026-01-01"), at("2026-03-01"), NOW),
        ("c", 2000, at("2026-03-01"), None, at("2026-03-01")),
    ]


def test_a_bad_month_holds_back_the_whole_customer_for_a_hole_would_read_as_churn(shop: Shop) -> None:
    report = shop.load(
        "mrr",
        """
        customer_id,month,amount,currency
        a,2026-01,10,USD
        a,2026-02,ten,USD
        a,2026-03,10,USD
        b,2026-01,10,USD
        b,soon,10,USD
        c,2026-01,10,USD
        """,
    )
    assert (report.rows, report.loaded, report.quarantined) == (6, 1, 5)
    reasons = shop.reasons(report)
    assert reasons[3][1].startswith("is not an amount") and reasons[6][1].startswith("is not a month")
    assert all("is held back with another row of the same customer" in reasons[line][1] for line in (2, 4, 5))
    wide = shop.load("mrr", "customer,2026-01,2026-02\nx,1,-2\ny,1,2.005\nz,1,2\n", currency="USD")
    assert {line: column for line, (column, _) in shop.reasons(wide).items()} == {2: "2026-02", 3: "2026-02"}
    assert wide.loaded == 1


def test_two_amounts_of_one_customer_and_month_cannot_both_be_true(shop: Shop) -> None:
    report = shop.load(
        "mrr", "customer,month,amount\na,2026-01,1\na,2026-01,2\nb,2026-01,3\nb,2026-01,3\n", currency="USD"
    )
    assert (report.loaded, report.quarantined) == (2, 2)
    assert shop.rows("subscription_spans", SPAN) == [("b", 300, at("2026-01-01"), None)]


def test_with_a_plan_column_each_plan_of_a_customer_is_an_item(shop: Shop) -> None:
    shop.load(
        "mrr",
        "customer,month,plan_id,amount\na,2026-01,x,1\na,2026-01,y,2\na,2026-02,x,1\n",
        currency="USD",
    )
    assert shop.rows("subscription_spans", "subscription_id, item_id, plan_id, amount_minor, ended_at") == [
        ("a", "a:x", "x", 100, None),
        ("a", "a:y", "y", 200, at("2026-02-01")),
    ]


def test_only_the_new_month_is_held_back_where_the_sheet_is_loaded_already(shop: Shop) -> None:
    shop.load("mrr", "customer,month,amount\na,2026-01,1\n", currency="USD")
    report = shop.load("mrr", "customer,month,amount\na,2026-02,2\n", currency="USD")
    assert shop.reasons(report)[2][1] == "overlaps a span of the same item that is loaded already"


def test_a_sheet_without_a_currency_or_with_a_month_twice_is_refused(shop: Shop) -> None:
    with pytest.raises(BadFile, match="--currency"):
        shop.load("mrr", "customer,2026-01\na,1\n")
    with pytest.raises(BadFile, match="same month"):
        shop.load("mrr", "customer,2026-01,Jan 2026\na,1,2\n", currency="USD")
    with pytest.raises(BadFile, match="month"):
        shop.load("mrr", "customer,spend\na,1\n", currency="USD")


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("mrr", "Customer,Plan,Product,2026-01\na,gold,crm,1"),
        ("mrr", "Customer,Plan name,Product,month,amount\na,gold,crm,2026-01,1"),
        ("movements", "customer,date,type,mrr change,plan,product name\na,2026-01-01,new_biz,1,gold,crm"),
        ("snapshot", "customer,plan,product,tenure,left,observed_on\na,gold,crm,3,no,2026-06-01"),
        ("subscriptions", "subscription_id,customer,plan,product,amount,started_at\ns,a,gold,crm,1,2026-01-01"),
    ],
)
def test_a_column_plan_is_the_plan_where_there_is_no_plan_id(shop: Shop, table: str, content: str) -> None:
    report = shop.load(table, content, currency="USD")
    assert shop.rows("subscription_spans", "customer_id, plan_id, product_id") == [("a", "gold", "crm")]
    assert shop.count("traits") == 0
    (note,) = [note for note in report.notes if note.startswith("columns read under our name")]
    assert "as plan_id" in note and "as product_id" in note and "as customer_id" in note


def test_a_column_plan_beside_a_plan_id_is_a_trait(shop: Shop) -> None:
    report = shop.load("mrr", "customer,plan,plan_id,2026-01\na,Gold plan,gold,1\n", currency="USD")
    assert shop.rows("subscription_spans", "plan_id") == [("gold",)]
    assert shop.rows("traits", "trait, value") == [("plan", "Gold plan")]
    assert any("became traits" in note and "plan" in note for note in report.notes)


# -------------------------------------------------------------------------------------------------------- movements


def test_movements_add_up_to_spans(shop: Shop) -> None:
    report = shop.load(
        "movements",
        """
        customer,date,type,mrr change,currency,plan
        a,2026-03-01,expansion,50,USD,pro
        a,2026-01-01,new_biz,100,USD,basic
        a,2026-05-01,Contraction,-30,USD,pro
        a,2026-06-01,churn,-120,USD,
        a,2026-06-15,reactivation,80,USD,basic
        b,2026-02-01,new_biz,10,EUR,basic
        """,
    )
    assert (report.rows, report.loaded) == (6, 6)
    assert shop.rows("subscription_spans", f"{SPAN}, plan_id") == [
        ("a", 8000, at("2026-06-15"), None, "basic"),
        ("a", 10000, at("2026-01-01"), at("2026-03-01"), "basic"),
        ("a", 12000, at("2026-05-01"), at("2026-06-01"), "pro"),
        ("a", 15000, at("2026-03-01"), at("2026-05-01"), "pro"),
        ("b", 1000, at("2026-02-01"), None, "basic"),
    ]


@pytest.mark.parametrize(
    ("rows", "line", "reason"),
    [
        ("a,2026-01-01,expansion,5,USD", 2, "is an expansion, but MRR does not grow from something above zero"),
        ("a,2026-01-01,new_biz,-5,USD", 2, "takes the customer's MRR below zero"),
        ("a,2026-01-01,new_biz,5,USD\na,2026-02-01,new_biz,5,USD", 3, "is new, but the customer was there before"),
        ("a,2026-01-01,new_biz,5,USD\na,2026-02-01,churn,-4,USD", 3, "is a churn, but MRR does not go"),
        ("a,2026-01-01,new_biz,5,USD\na,2026-02-01,churn,-6,USD", 3, "takes the customer's MRR below zero"),
        ("a,2026-01-01,new_biz,5,USD\na,2026-02-01,contraction,-5,USD", 3, "is a contraction, but MRR does not"),
        ("a,2026-01-01,new_biz,5,USD\na,2026-02-01,contraction,5,USD", 3, "is a contraction, but MRR does not"),
        ("a,2026-01-01,new_biz,5,USD\na,2026-02-01,reactivation,5,USD", 3, "is a reactivation, but the customer"),
        ("a,2026-01-01,new_biz,5,USD\na,2026-02-01,upsale,5,USD", 3, "is none of new_biz, expansion"),
        ("a,2026-01-01,new_biz,5,USD\na,2026-02-01,expansion,,USD", 3, "is missing, and so is the MRR afterwards"),
    ],
)
def test_an_impossible_movement_is_held_back(shop: Shop, rows: str, line: int, reason: str) -> None:
    report = shop.load("movements", f"customer,date,type,delta,currency\n{rows}\n")
    assert report.quarantined == 1
    assert shop.reasons(report)[line][1].startswith(reason)


def test_a_balance_that_is_not_the_sum_of_the_changes_is_held_back(shop: Shop) -> None:
    report = shop.load(
        "movements",
        "customer,date,type,delta,mrr,currency\na,2026-01-01,new,5,5,USD\na,2026-02-01,expansion,5,11,USD\n"
        "a,2026-03-01,expansion,5,10,USD\n",
    )
    assert shop.reasons(report) == {3: ("mrr", "is not the sum of the changes so far")}
    assert shop.rows("subscription_spans", SPAN) == [
        ("a", 500, at("2026-01-01"), at("2026-03-01")),
        ("a", 1000, at("2026-03-01"), None),
    ]


def test_balances_alone_are_enough_and_movements_at_one_instant_are_one(shop: Shop) -> None:
    report = shop.load(
        "movements",
        "customer,date,mrr,currency\na,2026-01-01,5,USD\na,2026-01-01,7,USD\na,2026-02-01,0,USD\n",
    )
    assert report.loaded == 3
    assert shop.rows("subscription_spans", SPAN) == [("a", 700, at("2026-01-01"), at("2026-02-01"))]


# --------------------------------------------------------------------------------------------------------- snapshot


def test_a_snapshot_becomes_one_span_per_customer(shop: Shop) -> None:
    report = shop.load(
        "snapshot",
        """
        customerID,tenure,Churn,MonthlyCharges,Contract,observed_on
        a,3,No,29.85,monthly,2026-05-31
        b,0,No,10,monthly,2026-05-31
        c,13,Yes,20,yearly,2026-05-31
        d,x,Yes,20,yearly,2026-05-31
        e,1,Yes,20,yearly,2027-05-31
        """,
        currency="USD",
    )
    assert {line: column for line, (column, _) in shop.reasons(report).items()} == {5: "tenure", 6: "observed_on"}
    # Three calendar months before 31 May there is no 31 February.
    assert shop.rows("subscription_spans", SPAN) == [
        ("a", 2985, at("2026-02-28"), None),
        ("b", 1000, at("2026-05-31"), None),
        ("c", 2000, at("2025-04-30"), at("2026-05-31")),
    ]
    assert shop.rows("traits", "customer_id, trait, value, is_dated") == [
        ("a", "contract", "monthly", False),
        ("b", "contract", "monthly", False),
        ("c", "contract", "yearly", False),
    ]


def test_a_snapshot_without_a_day_or_an_amount_says_what_it_takes_instead(shop: Shop) -> None:
    report = shop.load("snapshot", "customer,tenure,left\na,1,no\n", timezone="Asia/Bangkok")
    assert shop.rows("subscription_spans", f"{SPAN}, currency") == [("a", 100, at("2026-05-31 17:00"), None, "USD")]
    assert any("the day of loading" in note for note in report.notes)
    assert any("money is not" in note for note in report.notes)


def test_cancellations_become_answers_on_leaving(shop: Shop) -> None:
    report = shop.load(
        "cancellations",
        """
        customer_id,canceled_at,reason,comment,competitor,refund
        a,2026-01-05,price,แพงไป,Rival,3.50
        b,2026-01-06,,,,
        b,,price,,,
        """,
    )
    assert shop.reasons(report) == {4: ("canceled_at", "is missing")}
    assert shop.rows("answers", "customer_id, kind, choice, comment, competitor, answered_at, asked_at") == [
        ("a", "exit", "price", "แพงไป", "Rival", at("2026-01-05"), at("2026-01-05")),
        ("b", "exit", None, None, None, at("2026-01-06"), at("2026-01-06")),
    ]
    assert shop.rows("traits", "trait, effective_at, number") == [("refund", at("2026-01-05"), 3.5)]


# ------------------------------------------------------------------------------------------------------------ cells


def test_a_cell_that_a_spreadsheet_would_run_is_defused() -> None:
    for text in ("=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "-A1", "+"):
        assert safe_cell(text) == "'" + text, text
    for text in ("", "Ann", "-12.50", "+66 81", "12", "-1e5", "a=b", "c@d.e"):
        assert safe_cell(text) == ("'" + text if text == "+66 81" else text), text


def test_card_numbers_are_told_by_their_prefix_and_check_digit() -> None:
    for number in ("4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "4222222222222"):
        assert is_card_number(number), number
    for number in ("4111111111111112", "1234567890123452", "411111111111", "41111111111111111111", "9111111111111111"):
        assert not is_card_number(number), number
    assert masked("a 4111 1111 1111 1111, b 5555-5555-5555-4444 c 12345678901234") == (
        "a ****1111, b ****4444 c 12345678901234"
    )
