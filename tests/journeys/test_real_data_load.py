"""Public data sets load as they are, and the counts are those that are printed about them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tenure.connect.files import LoadReport, load
from tenure.lake.store import Lake

NOW = datetime(2026, 11, 22, tzinfo=UTC)
Find = Callable[[str], Path]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def take(lake: Lake, table: str, path: Path, mapping: dict[str, str] | None = None, **options: Any) -> LoadReport:
    """Load the file, see that the summary adds up, and that loading it again changes nothing."""
    report = load(lake, table, path, mapping=mapping, now=NOW, **options)
    assert report.rows == report.loaded + report.known + report.quarantined
    again = load(lake, table, path, mapping=mapping, now=NOW, **options)
    assert (again.rows, again.loaded, again.quarantined) == (report.rows, 0, report.quarantined)
    return report


def ask(lake: Lake, table: str, sql: str) -> tuple[Any, ...]:
    """One row of an answer about the stored rows, called `facts` in the statement."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.read_parquet(list(lake.snapshot(table).files)).create_view("facts")
        row = con.execute(sql).fetchone()
    assert row is not None
    return row


def test_cdnow_is_23570_customers_and_69659_purchases(lake: Lake, shared_data: Find) -> None:
    mapping = {"date": "ordered_at", "number_of_cds": "quantity", "dollar_value": "amount"}
    report = take(lake, "orders", shared_data("cdnow/CDNOW_master.txt"), mapping, currency="USD")
    assert (report.rows, report.loaded, report.quarantined) == (69_659, 69_659, 0)
    found = ask(
        lake,
        "orders",
        "SELECT count(*), count(DISTINCT customer_id), sum(amount_minor), min(ordered_at), max(ordered_at), "
        "count(DISTINCT order_id), count(*) FILTER (amount_minor = 0) FROM facts",
    )
    first, last = datetime(1997, 1, 1, tzinfo=UTC), datetime(1998, 6, 30, tzinfo=UTC)
    assert found == (69_659, 23_570, 250_031_563, first, last, 69_659, 80)


def test_the_cdnow_sample_has_no_header_and_loads_by_position(lake: Lake, shared_data: Find) -> None:
    mapping = {"2": "customer_id", "3": "ordered_at", "4": "quantity", "5": "amount"}
    report = take(lake, "orders", shared_data("cdnow/CDNOW_sample.txt"), mapping, currency="USD")
    assert report.loaded == 6_919
    assert ask(lake, "orders", "SELECT count(DISTINCT customer_id) FROM facts") == (2_357,)


def test_online_retail_is_4372_customers_and_9747747_93_in_total(lake: Lake, shared_data: Find) -> None:
    mapping = {
        "InvoiceNo": "order_id",
        "StockCode": "product_id",
        "InvoiceDate": "ordered_at",
        "UnitPrice": "unit_amount",
    }
    report = take(lake, "order_lines", shared_data("onlineretail_uci/onlineretail.parquet"), mapping, currency="GBP")
    assert (report.rows, report.loaded, report.quarantined) == (541_909, 541_909, 0)
    found = ask(
        lake,
        "order_lines",
        "SELECT count(DISTINCT customer_id), sum(amount_minor), count(*) FILTER (customer_id IS NULL) FROM facts",
    )
    assert found == (4_372, 974_774_793, 135_080)
    returns_only = ask(
        lake,
        "order_lines",
        "SELECT count(*) FROM (SELECT customer_id FROM facts WHERE customer_id IS NOT NULL "
        "GROUP BY 1 HAVING bool_and(kind = 'return'))",
    )
    assert returns_only == (33,)
    # The country became a trait: one row each, more for the few who moved.
    assert ask(lake, "traits", "SELECT count(DISTINCT customer_id) FROM facts WHERE trait = 'country'") == (4_372,)


def test_the_telco_snapshot_is_7043_customers_of_whom_1869_left(lake: Lake, shared_data: Find) -> None:
    path = shared_data("telco_ibm_v1/Telco-Customer-Churn.csv")
    report = take(lake, "snapshot", path, {"=2026-06-30": "observed_on"}, currency="USD")
    assert (report.rows, report.loaded, report.quarantined) == (7_043, 7_043, 0)
    found = ask(lake, "subscription_spans", "SELECT count(*), count(ended_at), sum(amount_minor) FROM facts")
    assert found == (7_043, 1_869, 45_611_660)
    months = ask(
        lake,
        "subscription_spans",
        "SELECT max(datediff('month', started_at, TIMESTAMPTZ '2026-06-30 00:00:00+00')) FROM facts",
    )
    assert months == (72,)
    contracts = ask(lake, "traits", "SELECT count(DISTINCT value) FROM facts WHERE trait = 'contract'")
    assert contracts == (3,)


def test_ravenstack_loads_table_by_table(lake: Lake, shared_data: Find) -> None:
    folder = shared_data("ravenstack")
    customers = take(
        lake,
        "customers",
        folder / "ravenstack_accounts.csv",
        {
            "account_id": "customer_id",
            "account_name": "name",
            "signup_date": "signed_up_at",
            "referral_source": "channel",
        },
    )
    assert customers.loaded == 500
    spans = take(
        lake,
        "subscriptions",
        folder / "ravenstack_subscriptions.csv",
        {
            "account_id": "customer_id",
            "start_date": "started_at",
            "end_date": "ended_at",
            "plan_tier": "plan_id",
            "seats": "quantity",
            "mrr_amount": "amount",
        },
        currency="USD",
    )
    assert (spans.loaded, spans.quarantined) == (5_000, 0)
    total = "SELECT count(ended_at), sum(amount_minor), sum(amount_minor) FILTER (ended_at IS NULL) FROM facts"
    assert ask(lake, "subscription_spans", total) == (486, 1_133_874_700, 1_015_960_800)
    usage = take(
        lake,
        "usage",
        folder / "ravenstack_feature_usage.csv",
        {"usage_date": "happened_at", "feature_name": "feature", "usage_count": "quantity"},
    )
    # 21 pairs of rows share an id and differ: neither can be believed.
    assert (usage.rows, usage.loaded, usage.quarantined) == (25_000, 24_958, 42)
    assert ask(lake, "usage", "SELECT count(customer_id), count(subscription_id) FROM facts") == (0, 24_958)
    tickets = take(
        lake,
        "tickets",
        folder / "ravenstack_support_tickets.csv",
        {
            "account_id": "customer_id",
            "submitted_at": "opened_at",
            "closed_at": "resolved_at",
            "satisfaction_score": "csat",
        },
    )
    assert tickets.loaded == 2_000
    assert round(ask(lake, "tickets", "SELECT avg(csat) FROM facts")[0], 2) == 3.98
    left = take(
        lake,
        "cancellations",
        folder / "ravenstack_churn_events.csv",
        {
            "account_id": "customer_id",
            "churn_date": "canceled_at",
            "reason_code": "reason",
            "feedback_text": "comment",
            "churn_event_id": "answer_id",
        },
    )
    assert left.loaded == 600
    said = "SELECT count(DISTINCT customer_id), count(*) FILTER (choice = 'features') FROM facts WHERE kind = 'exit'"
    assert ask(lake, "answers", said) == (352, 114)


def test_the_rates_of_the_european_central_bank_are_units_per_dollar(lake: Lake, shared_data: Find) -> None:
    report = take(lake, "rates", shared_data("ecb_fx/eurofxref-hist.zip"))
    assert report.quarantined == 0
    days = ask(lake, "rates", "SELECT count(DISTINCT day), count(DISTINCT currency), min(day), max(day) FROM facts")
    assert days == (7_126, 42, date(1999, 1, 4), date(2026, 10, 30))
    # 37.683 baht and 1.1172 dollars for a euro
    baht = ask(lake, "rates", "SELECT per_usd FROM facts WHERE day = DATE '2026-10-30' AND currency = 'THB'")
    assert baht == (Decimal("33.729860365199"),)


@pytest.mark.parametrize(
    ("table", "name", "mapping", "loaded"),
    [
        ("mentions", "wisesight_th", {}, 0),
        ("customers", "dbt_stripe_seeds/customer_data.csv", {"id": "customer_id", "created": "signed_up_at"}, 1),
    ],
)
def test_other_peoples_exports_load_or_are_refused_with_a_reason(
    lake: Lake, shared_data: Find, table: str, name: str, mapping: dict[str, str], loaded: int
) -> None:
    from tenure.errors import BadFile

    path = shared_data(name)
    if path.is_dir():
        with pytest.raises(BadFile, match="is a folder"):
            load(lake, table, path, now=NOW)
    else:
        assert take(lake, table, path, mapping, currency="USD").loaded >= loaded
