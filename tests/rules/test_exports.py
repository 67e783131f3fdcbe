"""Is every vendor's export read as the vendor means it? Small made-up files in the shape of the documented columns.

The figures are worked by hand beside the files; the mappings' sources name the pages the columns were taken from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

import tenure
from tenure.connect import exports
from tenure.errors import BadFile, PartlyLoaded, UnknownName
from tests.rules.load_shop import at


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tenure.Workspace]:
    with tenure.open(tmp_path / "shop", create=True) as workspace:
        yield workspace


def folder(place: Path, **files: str) -> Path:
    """A folder with these files; lines may be indented, `stripe__charge` is stripe/charge.csv."""
    place.mkdir(exist_ok=True)
    for name, content in files.items():
        lines = [line.strip() for line in content.strip().splitlines()]
        (place / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return place


def rows(shop: tenure.Workspace, table: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    """Columns of the stored rows, every version, in order."""
    snapshot = shop.lake.snapshot(table)
    if not snapshot.rows:
        return []
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        files = list(snapshot.files)
        sql = f"SELECT {columns} FROM read_parquet(?, union_by_name=true) WHERE {where} ORDER BY ALL"
        return con.execute(sql, [files]).fetchall()


def counts(loaded: exports.Loaded) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    """(file, table) -> rows, loaded, known, quarantined, added up; each report must add up by itself."""
    found: dict[tuple[str, str], tuple[int, int, int, int]] = {}
    for report in loaded.reports:
        assert report.rows == report.loaded + report.known + report.quarantined, report
        key = (Path(report.file).name, report.table)
        before = found.get(key, (0, 0, 0, 0))
        new = (report.rows, report.loaded, report.known, report.quarantined)
        found[key] = tuple(a + b for a, b in zip(before, new, strict=True))  # type: ignore[assignment]
    return found


def changes_nothing(shop: tenure.Workspace, name: str, place: Path) -> None:
    """Load the folder again: every row is known, and no table grows."""
    tables = ("customers", "subscription_states", "subscription_spans", "payments", "invoice_lines", "quarantine")
    before = {table: shop.lake.snapshot(table).rows for table in tables}
    again = shop.load_export(name, place)
    assert all(report.loaded == 0 for report in again.reports), again.reports
    assert {table: shop.lake.snapshot(table).rows for table in tables} == before


def mrr(shop: tenure.Workspace, month: str, currency: str = "USD") -> Decimal:
    """MRR at the month's end in one currency, by itself."""
    cells = shop.metrics("mrr", since=month, currency="each").rows()
    return sum((Decimal(cell["value"]) for cell in cells if cell["currency"] == currency), Decimal(0))


# --------------------------------------------------------------------------------------------------------------- Stripe

STRIPE = {
    "customer": """
        id,name,email,address_country,currency,created,livemode
        c1,Ada,ada@example.com,TH,usd,2026-01-01 00:00:00,true
        c2,Ben,,,usd,2026-01-31 00:00:00,true
        """,
    # s1 three seats; s2 yearly with a trial; s3 yen; s4 cancelled for April; s5 with a coupon; s6 collection paused in
    # its period from 5 March; s7 two items and five dollars off; s8 metered; s9 sold in packs; s10 past due; s11 krona
    "subscription": """
        id,customer_id,status,created,start_date,ended_at,canceled_at,cancel_at_period_end,current_period_start,current_period_end,trial_start,trial_end,pause_collection_behavior,cancellation_details_reason,cancellation_details_feedback,cancellation_details_comment,livemode
        s1,c1,active,2026-01-01,2026-01-01,,,false,2026-03-01,2026-04-01,,,,,,,true
        s2,c2,active,2026-02-01,2026-02-01,,,false,2026-02-15,2027-02-15,2026-02-01,2026-02-15,,,,,true
        s3,c3,active,2026-01-10,2026-01-10,,,false,2026-03-10,2026-04-10,,,,,,,true
        s4,c4,canceled,2026-01-01,2026-01-01,2026-04-01,2026-03-10 12:00:00,true,2026-03-01,2026-04-01,,,,cancellation_requested,too_expensive,"dear, and slow",true
        s5,c5,active,2026-01-01,2026-01-01,,,false,2026-03-01,2026-04-01,,,,,,,true
        s6,c6,active,2026-01-05,2026-01-05,,,false,2026-03-05,2026-04-05,,,void,,,,true
        s7,c7,active,2026-01-01,2026-01-01,,,false,2026-03-01,2026-04-01,,,,,,,true
        s8,c8,active,2026-01-01,2026-01-01,,,false,2026-03-01,2026-04-01,,,,,,,true
        s9,c9,active,2026-01-01,2026-01-01,,,false,2026-03-01,2026-04-01,,,,,,,true
        s10,c10,past_due,2026-01-01,2026-01-01,,,false,2026-03-01,2026-04-01,,,,,,,true
        s11,c11,active,2026-01-01,2026-01-01,,,false,2026-03-01,2026-04-01,,,,,,,true
        s12,c12,active,2026-01-01,2026-01-01,,,false,2026-03-01,2026-04-01,,,,,,,false
        """,
    "subscription_item": """
        id,subscription_id,price_id,quantity,created
        i1,s1,ten,3,2026-01-01
        i2,s2,year,1,2026-02-01
        i3,s3,yen,2,2026-01-10
        i4,s4,ten,2,2026-01-01
        i5,s5,fifty,1,2026-01-01
        i6,s6,ten,4,2026-01-05
        i7a,s7,ten,3,2026-01-01
        i7b,s7,ten,1,2026-01-01
        i8,s8,calls,,2026-01-01
        i9,s9,packs,250,2026-01-01
        i10,s10,ten,1,2026-01-01
        i11,s11,krona,1,2026-01-01
        i12,s12,ten,1,2026-01-01
        """,
    "price": """
        id,currency,product_id,unit_amount,unit_amount_decimal,recurring_interval,recurring_interval_count,recurring_usage_type,transform_quantity_divide_by,transform_quantity_round
        ten,usd,basic,1000,1000,month,1,licensed,,
        year,usd,basic,12000,12000,year,1,licensed,,
        yen,jpy,basic,1000,1000,month,1,licensed,,
        fifty,usd,pro,5000,5000,month,1,licensed,,
        calls,usd,api,2,2,month,1,metered,,
        packs,usd,pro,500,500,month,1,licensed,100,up
        krona,isk,basic,100000,100000,month,1,licensed,,
        """,
    "coupon": """
        id,currency,duration,percent_off,amount_off
        fifth,,forever,20,
        five,usd,forever,,500
        spring,,repeating,50,
        first,,once,100,
        """,
    "subscription_discount": """
        id,coupon_id,subscription_id,start,end,invoice_item_id
        d1,fifth,s5,2026-01-01,,
        d2,five,s7,2026-01-01,,
        d3,spring,s1,2026-01-01,2026-04-01,
        d4,first,s9,2026-01-01,,
        """,
}


def test_what_a_stripe_export_is_worth_is_worked_by_hand(shop: tenure.Workspace, tmp_path: Path) -> None:
    place = folder(tmp_path / "export", **STRIPE)
    loaded = shop.load_export("stripe-export", place)
    assert not any(report.quarantined for report in loaded.reports), loaded.reports
    # January: s1 30, s4 20, s5 50 less a fifth, s6 40, s7 30 + 10 - 5, s9 three packs of 5, s10 10.
    assert mrr(shop, "2026-01") == Decimal("30") + 20 + 40 + 40 + 35 + 15 + 10
    # February: and 120 a year since the trial ended.
    assert mrr(shop, "2026-02") == Decimal("200.00")
    # March: the paused collection of s6 costs nothing before its period ends, on 5 April.
    assert mrr(shop, "2026-03") == Decimal("200.00")
    # April: s4 has left on the first, s6 pays nothing; the coupon of s1 is limited and never lowered MRR.
    assert mrr(shop, "2026-04") == Decimal("140.00")
    assert (mrr(shop, "2026-03", "JPY"), mrr(shop, "2026-03", "ISK")) == (Decimal(2000), Decimal(1000))
    churn = shop.metrics("mrr_churn", since="2026-04", currency="each").rows()
    assert [cell["value"] for cell in churn if cell["currency"] == "USD"] == [Decimal("20.00")]
    changes_nothing(shop, "stripe-export", place)


def test_a_stripe_subscription_tells_its_trial_its_request_and_its_end(shop: tenure.Workspace, tmp_path: Path) -> None:
    shop.load_export("stripe-export", folder(tmp_path / "export", **STRIPE))
    columns = "effective_at, status, cancel_requested_at, cancel_at, cancel_actor, cancel_reason, cancel_comment"
    said = (at("2026-03-10 12:00"), None, "customer", "too_expensive", "dear, and slow")
    assert rows(shop, "subscription_states", columns, "subscription_id = 's4'") == [
        (at("2026-01-01"), "active", None, None, None, None, None),
        # The period it asked in is that of the row: up to the end of March.
        (at("2026-03-01"), "active", None, None, None, None, None),
        (at("2026-03-10 12:00"), "active", said[0], at("2026-04-01"), *said[2:]),
        (at("2026-04-01"), "canceled", *said),
    ]
    trial = rows(shop, "subscription_states", "effective_at, status, trial_ends_at", "subscription_id = 's2'")
    assert trial[0] == (at("2026-02-01"), "trialing", at("2026-02-15"))
    due = rows(shop, "subscription_states", "effective_at, status", "subscription_id = 's10'")
    assert due == [(at("2026-01-01"), "active"), (at("2026-03-01"), "past_due")]
    shares = rows(shop, "subscription_states", "DISTINCT item_id, discount_forever_minor", "subscription_id = 's7'")
    assert shares == [("i7a", 375), ("i7b", 125)]
    limited = "DISTINCT discount_limited_minor, discount_forever_minor, discount_ends_at"
    assert rows(shop, "subscription_states", limited, "subscription_id = 's1'") == [
        (1500, None, at("2026-04-01")),
        (None, None, None),  # from April on
    ]
    answer = rows(shop, "answers", "kind, customer_id, choice, comment, answered_at")
    assert answer == [("exit", "c4", "too_expensive", "dear, and slow", at("2026-03-10 12:00"))]
    assert rows(shop, "subscription_states", "*", "subscription_id = 's12'") == [], "test mode is no business"


def test_a_stripe_history_tells_what_the_row_has_forgotten(shop: tenure.Workspace, tmp_path: Path) -> None:
    place = folder(
        tmp_path / "export",
        subscription_history="""
            id,customer_id,status,created,start_date,ended_at,canceled_at,quantity,current_period_start,fivetran_start,_fivetran_active
            s1,c1,active,2026-01-01,2026-01-01,,,1,2026-01-01,2026-01-01 00:05:00,false
            s1,c1,past_due,2026-01-01,2026-01-01,,,1,2026-02-01,2026-02-01 01:00:00,false
            s1,c1,active,2026-01-01,2026-01-01,,,3,2026-02-01,2026-02-08,false
            s1,c1,canceled,2026-01-01,2026-01-01,2026-03-20,2026-03-20,3,2026-03-01,2026-03-20 00:30:00,true
            """,
        subscription="""
            id,customer_id,status,start_date
            s1,c1,canceled,2026-01-01
            """,
        subscription_item=STRIPE["subscription_item"].replace("i1,s1,ten,3", "i1,s1,ten,"),
        price=STRIPE["price"],
    )
    loaded = shop.load_export("stripe-export", place)
    assert counts(loaded)["subscription_history.csv", "subscription_states"] == (4, 4, 0, 0)
    assert rows(shop, "subscription_states", "effective_at, status, quantity, amount_minor") == [
        (at("2026-01-01"), "active", 1, 1000),
        (at("2026-02-01 01:00"), "past_due", 1, 1000),
        (at("2026-02-08"), "active", 3, 3000),
        # The pipeline learned of the end half an hour later.
        (at("2026-03-20"), "canceled", 3, 3000),
    ]
    assert [mrr(shop, f"2026-0{month}") for month in (1, 2, 3)] == [Decimal(10), Decimal(30), Decimal(0)]


def test_stripe_charges_refunds_and_disputes_become_payments(shop: tenure.Workspace, tmp_path: Path) -> None:
    place = folder(
        tmp_path / "export",
        charge="""
            id,customer_id,invoice_id,amount,currency,created,status,failure_code,outcome_reason,payment_intent_id,payment_method_id
            ch1,c1,in1,3000,usd,2026-01-01 09:00:00,failed,card_declined,insufficient_funds,pi1,pm1
            ch2,c1,in1,3000,usd,2026-01-04 09:00:00,succeeded,,,pi1,pm1
            ch3,c2,in2,500,jpy,2026-01-05 09:00:00,failed,card_declined,,pi2,pm2
            """,
        payment_intent="""
            id,last_payment_error_charge_id,last_payment_error_code,last_payment_error_decline_code
            pi2,ch3,card_declined,expired_card
            """,
        refund="""
            id,charge_id,amount,currency,created,status
            re1,ch2,1000,usd,2026-01-09,succeeded
            """,
        dispute="""
            id,charge_id,amount,currency,created,status
            dp1,ch2,3000,usd,2026-02-01,lost
            dp2,ch_unknown,3000,usd,2026-02-01,lost
            """,
        payment_method_card="""
            payment_method_id,brand,funding,country,exp_month,exp_year,fingerprint,last_4
            pm1,visa,credit,SG,2,2028,Xt5EWLLDS7FJjR1c,4242
            """,
    )
    loaded = shop.load_export("stripe-export", place)
    what = (
        "payment_id, kind, parent_payment_id, invoice_id, customer_id, attempt_number, amount_minor, currency, outcome"
    )
    assert rows(shop, "payments", what) == [
        ("ch1", "charge", None, "in1", "c1", 1, 3000, "USD", "failed"),
        ("ch2", "charge", None, "in1", "c1", 2, 3000, "USD", "succeeded"),
        ("ch3", "charge", None, "in2", "c2", 1, 500, "JPY", "failed"),
        ("dp1", "dispute", "ch2", "in1", "c1", None, 3000, "USD", "lost"),
        ("re1", "refund", "ch2", "in1", "c1", None, 1000, "USD", "succeeded"),
    ]
    declines = rows(shop, "payments", "payment_id, decline_code", "decline_code IS NOT NULL")
    assert declines == [("ch1", "insufficient_funds"), ("ch3", "expired_card")]
    card = "DISTINCT network, funding, card_country, card_expires_on::VARCHAR"
    assert rows(shop, "payments", card, "method_id = 'pm1'") == [("visa", "credit", "SG", "2028-02-29")]
    everything = str(rows(shop, "payments", "*")) + str(rows(shop, "traits", "*"))
    assert "Xt5EWLLDS7FJjR1c" not in everything and "4242" not in everything
    assert counts(loaded)["dispute.csv", "payments"] == (2, 1, 0, 1)
    held = rows(shop, "quarantine", 'file, line, "column", reason')
    assert held == [(str(place / "dispute.csv"), 3, "customer_id", "is missing")]


def test_stripe_invoices_and_their_lines_keep_service_and_proration(shop: tenure.Workspace, tmp_path: Path) -> None:
    place = folder(
        tmp_path / "export",
        invoice="""
            id,customer_id,subscription_id,currency,created,due_date,subtotal,tax,total,status,billing_reason
            in1,c1,s1,usd,2026-01-01,2026-01-31,3000,210,3210,paid,subscription_cycle
            """,
        invoice_line_item="""
            id,invoice_id,amount,currency,period_start,period_end,proration,quantity,subscription_id,subscription_item_id,price_id,type
            il_1,in1,3000,usd,2026-01-01,2026-02-01,false,3,s1,i1,ten,subscription
            il_2,in1,-500,usd,2026-01-16,2026-02-01,true,1,s1,i1,ten,invoiceitem
            il_3,in1,40,usd,2026-01-01,2026-02-01,false,20,s1,i8,calls,subscription
            su_4,in1,900,usd,2026-01-01,2026-01-01,false,1,,,,invoiceitem
            """,
        price=STRIPE["price"],
    )
    shop.load_export("stripe-export", place)
    columns = "line_id, kind, customer_id, subscription_id, item_id, plan_id, quantity, amount_minor, is_proration"
    assert rows(shop, "invoice_lines", columns) == [
        ("il_1", "recurring", "c1", "s1", "i1", "ten", 3, 3000, False),
        ("il_2", "recurring", "c1", "s1", "i1", "ten", 1, -500, True),
        ("il_3", "usage", "c1", "s1", "i8", "calls", 20, 40, False),
        ("in1/su_4", "one_time", "c1", "s1", "s1", None, 1, 900, False),
    ]
    service = rows(shop, "invoice_lines", "service_start, service_end", "line_id = 'il_2'")
    assert service == [(at("2026-01-16"), at("2026-02-01"))]
    bill = rows(shop, "invoices", "issued_at, due_at, subtotal_minor, tax_minor, total_minor, currency, billing_reason")
    assert bill == [(at("2026-01-01"), at("2026-01-31"), 3000, 210, 3210, "USD", "subscription_cycle")]


# ------------------------------------------------------------------------------------------- what is wrong is told where


def test_a_cell_that_cannot_be_read_holds_its_line_back_by_file_and_line(
    shop: tenure.Workspace, tmp_path: Path
) -> None:
    broken = STRIPE["subscription"].replace("s1,c1,active,2026-01-01,2026-01-01,,", "s1,c1,active,2026-01-01,soon,,")
    broken = broken.replace("s3,c3,active,", "s3,c3,active,more,cells,")
    prices = STRIPE["price"].replace("fifty,usd,pro,5000,5000", "fifty,usd,pro,a lot,")
    place = folder(tmp_path / "export", **{**STRIPE, "subscription": broken, "price": prices})
    loaded = shop.load_export("stripe-export", place)
    found = {
        (Path(file).name, line): (column, reason)
        for file, line, column, reason in rows(shop, "quarantine", 'file, line, "column", reason')
    }
    assert found == {
        ("subscription.csv", 2): ("", "'start_date' is not a time; write it like 2026-01-31 17:30"),
        ("subscription.csv", 4): ("", "has 19 cells where the header has 17"),
        # Its price is not known, so that what it costs is not either.
        ("subscription.csv", 6): ("amount_minor", "is missing, though the item is billed"),
        ("price.csv", 5): ("", "'unit_amount' is not a number"),
    }
    raw = rows(shop, "quarantine", "raw", "line = 5 AND file LIKE '%price.csv'")
    assert raw == [("fifty,usd,pro,a lot,,month,1,licensed,,",)]
    states = [report for report in loaded.reports if Path(report.file).name == "subscription.csv"]
    assert states[0].reasons[0].first_line in (2, 4, 6)
    changes_nothing(shop, "stripe-export", place)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("id,name,created\nc1,Ada,2026-01-01\nc2,Ben,soon\n", 3),
        ('id,name,created\nc1,"Ada\nof Bangkok",2026-01-01\nc2,Ben,soon\n', 4),
        ("id,name,created\n\nc1,Ada,2026-01-01\n\nc2,Ben,soon", 5),
        ("\ufeffid,name,created\r\nc1,Ada,2026-01-01\r\nc2,Ben,soon\r\n", 3),
        ("id;name;created\nc1;Ada;2026-01-01\nc2;Ben;soon", 3),
    ],
    ids=["plain", "line break in a cell", "blank lines", "byte order mark", "semicolons"],
)
def test_the_line_of_a_bad_row_is_the_files_own(
    shop: tenure.Workspace, tmp_path: Path, content: str, line: int
) -> None:
    place = tmp_path / "export"
    place.mkdir()
    (place / "customers.csv").write_bytes(content.encode())
    loaded = shop.load_export("stripe-export", place)
    assert counts(loaded)["customers.csv", "customers"] == (2, 1, 0, 1)
    ((told, raw),) = rows(shop, "quarantine", "line, raw")
    assert (told, raw.replace(";", ",")) == (line, "c2,Ben,soon")


def test_a_corrected_file_loads_what_was_held_back(shop: tenure.Workspace, tmp_path: Path) -> None:
    place = folder(tmp_path / "export", **{**STRIPE, "customer": "id,created\nc1,yesterday\nc2,2026-01-31"})
    assert counts(shop.load_export("stripe-export", place))["customer.csv", "customers"] == (2, 1, 0, 1)
    folder(place, customer="id,created\nc1,2026-01-01\nc2,2026-01-31")
    assert counts(shop.load_export("stripe-export", place))["customer.csv", "customers"] == (2, 1, 1, 0)
    assert [customer for (customer,) in rows(shop, "customers", "customer_id")] == ["c1", "c2"]


def test_strictly_a_file_with_a_bad_row_is_refused_and_the_others_load(shop: tenure.Workspace, tmp_path: Path) -> None:
    customers = "id,created\nc1,yesterday\nc2,2026-01-31"
    place = folder(tmp_path / "export", **{**STRIPE, "customer": customers})
    with pytest.raises(PartlyLoaded, match=r"customer\.csv; with --strict nothing was loaded") as raised:
        shop.load_export("stripe-export", place, strict=True)
    assert shop.lake.snapshot("customers").rows == 0
    assert shop.lake.snapshot("subscription_states").rows > 0
    assert Path(raised.value.loaded.reports[0].file).name == "subscription.csv"


def test_a_needed_column_that_is_missing_stops_everything_before_anything_loads(
    shop: tenure.Workspace, tmp_path: Path
) -> None:
    place = folder(tmp_path / "export", **{**STRIPE, "price": "price,currency\nten,usd"})
    with pytest.raises(BadFile, match=r"price\.csv has no column 'id', which stripe-export needs of 'price'"):
        shop.load_export("stripe-export", place)
    assert shop.lake.snapshot("customers").rows == 0


def test_a_folder_without_any_of_the_files_says_which_are_known(shop: tenure.Workspace, tmp_path: Path) -> None:
    place = folder(tmp_path / "export", sheet="a,b\n1,2")
    with pytest.raises(BadFile, match="has no file of recurly-export, which knows: account_history, "):
        shop.load_export("recurly-export", place)
    with pytest.raises(BadFile, match="is not there"):
        shop.load_export("recurly-export", tmp_path / "nowhere")
    with pytest.raises(BadFile, match="is a file; name the folder"):
        shop.load_export("recurly-export", place / "sheet.csv")
    with pytest.raises(UnknownName, match="Did you mean 'stripe-export'"):
        shop.load_export("strip-export", place)


def test_two_files_of_one_name_are_not_chosen_between(shop: tenure.Workspace, tmp_path: Path) -> None:
    place = folder(tmp_path / "export", **STRIPE)
    (place / "customer.tsv").write_text("id\nc1\n", encoding="utf-8")
    with pytest.raises(BadFile, match=r"has customer\.csv and customer\.tsv; keep the one that counts"):
        shop.load_export("stripe-export", place)


# ------------------------------------------------------------------------------------------------ a mapping of one's own

OWN = """
title = "Our billing system"
timezone = "Asia/Bangkok"

[[sources]]
page = "the wiki, page Billing"
read_on = 2026-11-23

[files.contract]
named = ["contracts"]
needs = ["number", "client", "monthly"]
time = ["since", "until"]
also = { client = ["customer no"] }

[[facts]]
table = "subscriptions"
of = "contract"
where = "monthly <> '0'"
[facts.columns]
subscription_id = "number"
customer_id = "'client-' || client"
started_at = "since"
ended_at = "until"
amount = "monthly"
currency = "'THB'"
[facts.traits]
branch = "upper(branch)"
"""


def own(place: Path, text: str = OWN) -> Path:
    path = place / "ours.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_mapping_of_ones_own_is_named_by_its_path(shop: tenure.Workspace, tmp_path: Path) -> None:
    place = folder(
        tmp_path / "export",
        contracts="""
            Number,Customer No,Monthly,Since,Until,Branch,Line,Broken,c1
            k1,7,1500.00,2026-01-01,,bkk,x,y,z
            k2,8,0,2026-01-01,,cnx,x,y,z
            k3,9,12.345,2026-01-01,,cnx,x,y,z
            """,
    )
    loaded = shop.load_export(own(tmp_path), place)
    assert counts(loaded) == {("contracts.csv", "subscriptions"): (2, 1, 0, 1)}
    # Midnight in Bangkok is five in the afternoon in UTC.
    what = "subscription_id, customer_id, started_at, amount_minor, currency"
    assert rows(shop, "subscription_spans", what) == [("k1", "client-7", at("2025-12-31 17:00"), 150_000, "THB")]
    assert rows(shop, "traits", "customer_id, trait, value") == [("client-7", "branch", "BKK")]
    held = rows(shop, "quarantine", 'line, "column", reason')
    assert held == [(4, "Monthly", "is finer than the currency's minor unit; round it in the source")]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"number"', '"nummer"', "has no column 'nummer', which ours needs of 'contract'. Is it 'Number'"),
        ('amount = "monthly"', 'amount = "montly"', r"facts 1 \(subscriptions of contract\): Binder Error.*montly"),
        ("started_at =", "startd_at =", r"no column of 'subscriptions' \(facts 1\) called 'startd_at'. Did you mean"),
        ('table = "subscriptions"', 'table = "subs"', "no table to load called 'subs'"),
        ('of = "contract"', 'of = "contracts"', r"no file in the mapping \(facts 1: of\) called 'contracts'"),
        ('named = ["contracts"]', 'name = ["contracts"]', "no entry of files.contract called 'name'. Did you mean"),
        ('title = "Our billing system"', "title = ", "cannot be read"),
        ("'THB'", "(SELECT content FROM read_text('/etc/hostname'))", "file system operations are disabled"),
    ],
)
def test_a_slip_in_a_mapping_is_told_where_it_stands(
    shop: tenure.Workspace, tmp_path: Path, old: str, new: str, says: str
) -> None:
    place = folder(tmp_path / "export", contracts="Number,Client,Monthly\nk1,7,1500.00")
    with pytest.raises(BadFile, match=f"(?s){says}"):
        shop.load_export(own(tmp_path, OWN.replace(old, new)), place)
    assert shop.lake.snapshot("subscription_spans").rows == 0


@pytest.mark.parametrize("name", exports.names())
def test_every_mapping_that_ships_names_its_sources_and_runs_without_a_row(
    shop: tenure.Workspace, tmp_path: Path, name: str
) -> None:
    told = exports.mapping(name)
    assert told.title and told.about and told.sources, "who reads it must find out where the columns are from"
    assert all(source.read_on.year >= 2026 and source.tells for source in told.sources)
    # Headers alone: every statement is bound, nothing is loaded.
    place = tmp_path / "empty"
    place.mkdir()
    for spec in told.files.values():
        (place / f"{spec.named[0].replace('*', '')}.csv").write_text(",".join(spec.columns) + "\n", encoding="utf-8")
    loaded = shop.load_export(name, place)
    assert loaded.absent == [] and loaded.unused == []
    assert {report.rows for report in loaded.reports} == {0}


# ------------------------------------------------------------------------------------------------------------ RevenueCat


def test_revenuecat_transactions_become_spans_of_each_period(shop: tenure.Workspace, tmp_path: Path) -> None:
    header = (
        "rc_original_app_user_id,rc_last_seen_app_user_id_alias,country,product_identifier,start_time,end_time,store,"
        "is_trial_period,is_sandbox,price_in_purchased_currency,purchased_currency,store_transaction_id,"
        "original_store_transaction_id,refunded_at,unsubscribe_detected_at,billing_issues_detected_at,product_duration,"
        "effective_end_time,ownership_type,first_seen_time,updated_at"
    )
    march = """
        u1,ann,GB,pro,2026-01-01 10:00:00,2026-01-08 10:00:00,app_store,true,false,0,GBP,t1,t1,,,,P1M,2026-01-08 10:00:00,PURCHASED,2025-12-24,2026-01-01
        u1,ann,GB,pro,2026-01-08 10:00:00,2026-02-08 10:00:00,app_store,false,false,9.99,GBP,t2,t1,,,,P1M,2026-02-08 10:00:00,PURCHASED,2025-12-24,2026-01-08
        u1,ann,GB,pro,2026-02-08 10:20:00,2026-03-08 10:20:00,app_store,false,false,9.99,GBP,t3,t1,,,,P1M,2026-03-08 10:20:00,PURCHASED,2025-12-24,2026-02-08
        u2,,US,pro_year,2026-02-01,2027-02-01,play_store,false,false,59.990001678466797,USD,t4,t4,2026-03-01,,,P1Y,2026-03-01,PURCHASED,2026-02-01,2026-03-01
        u3,,US,pro,2026-02-01,2026-03-01,app_store,false,true,9.99,USD,t5,t5,,,,P1M,2026-03-01,PURCHASED,2026-02-01,2026-02-01
        u4,,US,pro,2026-02-01,2026-03-01,app_store,false,false,9.99,USD,t6,t6,,,,P1M,2026-03-01,FAMILY_SHARED,2026-02-01,2026-02-01
        u5,,JP,coins,2026-02-02,,app_store,false,false,480,JPY,t7,t7,,,,,,PURCHASED,2026-02-02,2026-02-02
        """
    april = """
        u1,ann,GB,pro,2026-02-08 10:20:00,2026-03-08 10:20:00,app_store,false,false,9.99,GBP,t3,t1,,2026-02-20,,P1M,2026-03-08 10:20:00,PURCHASED,2025-12-24,2026-02-20
        """
    place = folder(
        tmp_path / "export",
        transactions_1772323200=header + march,
        transactions_1775001600=header + april,
    )
    loaded = shop.load_export("revenuecat-export", place)
    assert not any(report.quarantined for report in loaded.reports), loaded.reports
    what = "subscription_id, started_at, ended_at, status, amount_minor, currency, interval, cancel_requested_at, cancel_actor"
    assert rows(shop, "subscription_spans", what) == [
        ("t1", at("2026-01-01 10:00"), at("2026-01-08 10:00"), "trialing", 0, "GBP", "month", None, None),
        # The store renewed twenty minutes late: the period goes on.
        ("t1", at("2026-01-08 10:00"), at("2026-02-08 10:20"), "active", 999, "GBP", "month", None, None),
        (
            "t1",
            at("2026-02-08 10:20"),
            at("2026-03-08 10:20"),
            "active",
            999,
            "GBP",
            "month",
            at("2026-02-20"),
            "customer",
        ),
        ("t4", at("2026-02-01"), at("2026-03-01"), "active", 5999, "USD", "year", at("2026-03-01"), "customer"),
    ]
    assert [mrr(shop, f"2026-0{month}", "GBP") for month in (1, 2, 3)] == [Decimal("9.99"), Decimal("9.99"), 0]
    # 59.99 a year, for February alone.
    assert round(mrr(shop, "2026-02", "USD"), 2) == Decimal("5.00")
    assert rows(shop, "orders", "order_id, amount_minor, currency") == [("t7", 480, "JPY")]
    assert rows(shop, "payments", "payment_id, kind, amount_minor") == [
        ("t2", "charge", 999),
        ("t3", "charge", 999),
        ("t4", "charge", 5999),
        ("t4/refund", "refund", 5999),
        ("t7", "charge", 480),
    ]
    assert rows(shop, "identities", "system, external_id, customer_id") == [("product", "ann", "u1")]
    assert rows(shop, "customers", "customer_id, signed_up_at", "customer_id = 'u1'") == [("u1", at("2025-12-24"))]
    # The line of the delivery in which the row stands: t3 counts as the later file has it.
    assert counts(loaded)["transactions_1775001600.csv", "subscriptions"] == (1, 1, 0, 0)
    changes_nothing(shop, "revenuecat-export", place)


# -------------------------------------------------------------------------------------------------------------- Shopify


def test_shopify_orders_count_once_whatever_their_lines_and_net_their_refunds(
    shop: tenure.Workspace, tmp_path: Path
) -> None:
    place = folder(
        tmp_path / "export",
        orders_export_1="""
            Name,Email,Financial Status,Paid at,Currency,Subtotal,Shipping,Taxes,Total,Discount Amount,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Billing Name,Billing Country,Cancelled at,Refunded Amount,Outstanding Balance,Id,Source,Phone
            #1001,Ann@Example.com,paid,2026-01-05 09:50:26 +0700,THB,900.00,50.00,0.00,950.00,0.00,2026-01-05 09:50:26 +0700,1,Tea,300.00,TEA,Ann A,TH,,0.00,0.00,1,web,
            #1001,Ann@Example.com,,,,,,,,,2026-01-05 09:50:26 +0700,2,Cup,300.00,CUP,,,,,,,,
            #1002,ann@example.com,partially_refunded,2026-02-01 08:00:00 +0700,THB,300.00,0.00,0.00,300.00,0.00,2026-02-01 08:00:00 +0700,1,Tea,300.00,TEA,Ann A,TH,,120.50,0.00,2,web,
            #1003,ben@example.com,pending,,THB,300.00,0.00,0.00,300.00,0.00,2026-02-02 08:00:00 +0700,1,Tea,300.00,TEA,Ben,TH,,0.00,300.00,3,web,
            #1004,,paid,2026-02-03 08:00:00 +0700,THB,300.00,0.00,0.00,300.00,0.00,2026-02-03 08:00:00 +0700,1,Tea,300.00,TEA,,TH,,0.00,0.00,4,pos,
            """,
        customers_export="""
            Customer ID,First Name,Last Name,Email,Default Address Country Code,Total Orders
            '7001,Ann,Archer,ann@example.com,TH,2
            """,
    )
    loaded = shop.load_export("shopify-export", place)
    assert not any(report.quarantined for report in loaded.reports), loaded.reports
    assert rows(shop, "orders", "order_id, customer_id, kind, quantity, amount_minor, ordered_at") == [
        ("#1001", "ann@example.com", "sale", 3, 95_000, at("2026-01-05 02:50:26")),
        ("#1002", "ann@example.com", "sale", 1, 30_000, at("2026-02-01 01:00")),
        ("#1002/refund", "ann@example.com", "return", None, -12_050, at("2026-02-01 01:00")),
        ("#1004", None, "sale", 1, 30_000, at("2026-02-03 01:00")),
    ]
    (history,) = shop.orders()
    assert (history.customers, history.total) == (1, Decimal("950.00") + 300 - Decimal("120.50") + 300)
    people = rows(shop, "customers", "customer_id, name, signed_up_at")
    assert people == [
        ("ann@example.com", "Ann Archer", at("2026-01-05 02:50:26")),
        ("ben@example.com", "Ben", at("2026-02-02 01:00")),
    ]
    assert rows(shop, "identities", "system, external_id, customer_id") == [("shop", "7001", "ann@example.com")]
    changes_nothing(shop, "shopify-export", place)


# ------------------------------------------------------------------------------------------------------------ Chargebee


def test_chargebee_subscriptions_are_worth_their_items_less_their_coupons(
    shop: tenure.Workspace, tmp_path: Path
) -> None:
    place = tmp_path / "export"
    place.mkdir()
    plan = {"item_price_id": "pro-USD-Monthly", "item_type": "plan", "quantity": 3, "unit_price": 1000, "amount": 3000}
    seat = {"item_price_id": "seat-USD", "item_type": "addon", "quantity": 2, "unit_price": 500, "amount": 1000}
    setup = {"item_price_id": "setup-USD", "item_type": "charge", "quantity": 1, "unit_price": 9900, "amount": 9900}
    since = {"created_at": 1767225600, "started_at": 1767225600}  # 2026-01-01
    monthly = {"billing_period": 1, "billing_period_unit": "month", "currency_code": "USD"}
    subscriptions = [
        {"id": "a", "customer_id": "c1", "status": "active", **since, **monthly}
        | {"subscription_items": [plan, seat, setup], "coupons": [{"coupon_id": "TENTH"}]},
        # cancelled on 10 March for the 31st, asked with a reason code
        {"id": "b", "customer_id": "c2", "status": "cancelled", **since, **monthly, "cancelled_at": 1774915200}
        | {
            "cancel_schedule_created_at": 1773100800,
            "cancel_reason_code": "Too expensive",
            "subscription_items": [plan],
        },
        # catalogue 1.0: a plan and an add-on, yearly; cancelled because the card failed
        {"id": "d", "customer_id": "c3", "status": "cancelled", **since, "currency_code": "JPY", "billing_period": 1}
        | {"billing_period_unit": "year", "plan_id": "year", "plan_quantity": 2, "plan_unit_price": 12000}
        | {"addons": [{"id": "plus", "quantity": 1, "unit_price": 1200}], "cancelled_at": 1772409600}
        | {"cancel_reason": "not_paid"},
        {"id": "e", "customer_id": "c4", "status": "paused", **since, **monthly, "pause_date": 1772323200}
        | {"subscription_items": [plan]},
        {"id": "f", "customer_id": "c5", "status": "in_trial", "created_at": 1772323200, "started_at": 1772323200}
        | {**monthly, "trial_end": 1775001600, "subscription_items": [plan]},
        {"id": "g", "customer_id": "c6", "status": "active", **since, **monthly, "due_since": 1772323200}
        | {"subscription_items": [plan]},
    ]
    lines = "\n".join(json.dumps(row) for row in subscriptions)
    (place / "subscriptions.jsonl").write_text(lines + "\n", encoding="utf-8")
    folder(
        place,
        coupons="""
            id,discount_type,discount_percentage,duration_type
            TENTH,percentage,10,forever
            """,
        customers="""
            id,company,email,created_at,billing_address
            c1,Ada Ltd,ada@example.com,2026-01-01T00:00:00Z,"{""country"": ""TH""}"
            """,
        transactions="""
            id,customer_id,subscription_id,type,date,amount,currency_code,status,error_code,linked_invoices,masked_card_number
            x1,c3,d,payment,2026-03-01T09:00:00Z,25200,JPY,failure,insufficient_funds,"[{""invoice_id"": ""9""}]",************4242
            x2,c1,a,payment,2026-01-01T09:00:00Z,3600,USD,success,,"[{""invoice_id"": ""7""}]",
            x3,c1,a,refund,2026-01-03T09:00:00Z,600,USD,success,,,
            x4,c1,a,authorization,2026-01-03T09:00:00Z,0,USD,success,,,
            """,
    )
    bill = {"id": "7", "customer_id": "c1", "subscription_id": "a", "date": "2026-01-01", "currency_code": "USD"}
    bill |= {"sub_total": 4000, "tax": 0, "total": 3600, "status": "paid", "price_type": "tax_exclusive"}
    line = {"subscription_id": "a", "date_from": 1767225600, "date_to": 1769904000, "quantity": 3}
    bill["line_items"] = [
        {"id": "li_1", "entity_type": "plan_item_price", "entity_id": "pro-USD-Monthly", "amount": 3000, **line},
        {"id": "li_2", "entity_type": "addon_item_price", "entity_id": "seat-USD", "amount": 1000, **line}
        | {"description": "Seat - Prorated Charges", "discount_amount": 400},
        {"id": "li_3", "entity_type": "charge_item_price", "entity_id": "setup-USD", "amount": 9900, **line},
    ]
    (place / "invoices.jsonl").write_text(json.dumps(bill) + "\n", encoding="utf-8")

    loaded = shop.load_export("chargebee-export", place)
    assert not any(report.quarantined for report in loaded.reports), loaded.reports
    # a 40 less a tenth, b 30, e 30, g 30; in March e is paused, g is past due and still counts, f is in its trial.
    assert mrr(shop, "2026-02") == Decimal("126.00")
    assert mrr(shop, "2026-03") == Decimal("66.00"), "b left on the 31st"
    # In April the trial has become a subscription.
    assert mrr(shop, "2026-04") == Decimal("96.00")
    assert mrr(shop, "2026-02", "JPY") == Decimal(2100), "(2 x 12000 + 1200) / 12"
    ends = rows(
        shop,
        "subscription_states",
        "DISTINCT subscription_id, effective_at, cancel_actor, cancel_reason",
        "status = 'canceled'",
    )
    assert ends == [
        ("b", at("2026-03-31"), "customer", "Too expensive"),
        ("d", at("2026-03-02"), "dunning", "not_paid"),
    ]
    assert rows(shop, "answers", "customer_id, choice, answered_at") == [("c2", "Too expensive", at("2026-03-10"))]
    what = "line_id, kind, customer_id, item_id, amount_minor, discount_minor, service_start, service_end, is_proration"
    stretch = (at("2026-01-01"), at("2026-02-01"))
    assert rows(shop, "invoice_lines", what) == [
        ("li_1", "recurring", "c1", "a/pro-USD-Monthly", 3000, 0, *stretch, False),
        ("li_2", "recurring", "c1", "a/seat-USD", 1000, 400, *stretch, True),
        ("li_3", "one_time", "c1", "a/setup-USD", 9900, 0, *stretch, False),
    ]
    assert rows(shop, "payments", "payment_id, kind, invoice_id, amount_minor, outcome, decline_code") == [
        ("x1", "charge", "9", 25200, "failed", "insufficient_funds"),
        ("x2", "charge", "7", 3600, "succeeded", None),
        ("x3", "refund", None, 600, "succeeded", None),
    ]
    assert rows(shop, "customers", "customer_id, name, country") == [("c1", "Ada Ltd", "TH")]
    changes_nothing(shop, "chargebee-export", place)
