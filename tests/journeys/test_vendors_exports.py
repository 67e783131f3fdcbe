"""Do real exports of other people's systems load, and are their figures those that the files themselves give?

The expected figures are worked out here by reading the CSV files again, with Python's csv module and nothing of ours.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

import tenure
from tenure.connect import exports

Find = Callable[[str], Path]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tenure.Workspace]:
    with tenure.open(tmp_path / "shop", create=True, currency="USD") as workspace:
        yield workspace


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def stored(shop: tenure.Workspace, table: str, sql: str) -> list[tuple[Any, ...]]:
    """An answer about the stored rows, called `facts` in the statement."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.read_parquet(list(shop.lake.snapshot(table).files)).create_view("facts")
        return con.execute(sql).fetchall()


def counts(loaded: exports.Loaded) -> dict[tuple[str, str], tuple[int, int, int]]:
    """(file, table) -> loaded, known, quarantined."""
    found = {}
    for report in loaded.reports:
        assert report.rows == report.loaded + report.known + report.quarantined, report
        found[Path(report.file).name, report.table] = (report.loaded, report.known, report.quarantined)
    return found


def nothing_changes(shop: tenure.Workspace, name: str, folder: Path, first: exports.Loaded) -> None:
    """A second load: what was loaded is known, what was held back still is, and no table has grown."""
    tables = sorted({report.table for report in first.reports if report.table != "cancellations"})
    tables = [{"subscriptions": "subscription_spans"}.get(table, table) for table in [*tables, "quarantine"]]
    before = {table: shop.lake.snapshot(table).rows for table in tables}
    again = counts(shop.load_export(name, folder))
    assert again == {key: (0, new + known, bad) for key, (new, known, bad) in counts(first).items()}
    assert {table: shop.lake.snapshot(table).rows for table in tables} == before


def test_the_stripe_seeds_load_with_the_counts_that_the_files_give(shop: tenure.Workspace, shared_data: Find) -> None:
    folder = shared_data("dbt_stripe_seeds")
    loaded = shop.load_export("stripe-export", folder)
    found = counts(loaded)

    customers = read(folder / "customer_data.csv")
    assert found["customer_data.csv", "customers"] == (len(customers), 0, 0)
    assert len({row["id"] for row in customers}) == len(customers)

    charges = read(folder / "charge_data.csv")
    assert found["charge_data.csv", "payments"] == (len(charges), 0, 0)
    by_outcome = Counter((row["status"], row["outcome_reason"] or None) for row in charges)
    sql = "SELECT outcome, decline_code, count(*) FROM facts WHERE kind = 'charge' GROUP BY ALL"
    told = {(outcome, code): n for outcome, code, n in stored(shop, "payments", sql)}
    assert told == dict(by_outcome)
    total = stored(shop, "payments", "SELECT sum(amount_minor) FROM facts")
    assert total == [(sum(int(row["amount"]) for row in charges),)]

    # No refund or dispute of the seeds names one of their charges: nobody knows whose they are.
    known = {row["id"] for row in charges}
    for name in ("refund", "dispute"):
        others = read(folder / f"{name}_data.csv")
        strangers = [row for row in others if row["charge_id"] not in known]
        assert found[f"{name}_data.csv", "payments"] == (len(others) - len(strangers), 0, len(strangers))
    held = stored(
        shop,
        "quarantine",
        "SELECT line, \"column\", reason FROM facts WHERE file LIKE '%refund_data.csv' ORDER BY line",
    )
    refunds = len(read(folder / "refund_data.csv"))
    assert held == [(line, "customer_id", "is missing") for line in range(2, 2 + refunds)]

    lines = read(folder / "invoice_line_item_data.csv")
    owner = {row["id"]: row["customer_id"] for row in read(folder / "invoice_data.csv")}
    of_subscription = {row["id"]: row["customer_id"] for row in read(folder / "subscription_history_data.csv")}
    expected = sorted(
        (
            f"{row['invoice_id']}/{row['id']}",
            owner.get(row["invoice_id"]) or of_subscription[row["subscription_id"]],
            int(row["amount"]),
            row["proration"] == "TRUE",
        )
        for row in lines
    )
    sql = "SELECT line_id, customer_id, amount_minor, is_proration FROM facts ORDER BY ALL"
    assert stored(shop, "invoice_lines", sql) == expected
    nothing_changes(shop, "stripe-export", folder, loaded)


def test_the_subscriptions_of_the_stripe_seeds_cost_what_their_items_and_plans_say(
    shop: tenure.Workspace, shared_data: Find
) -> None:
    folder = shared_data("dbt_stripe_seeds")
    shop.load_export("stripe-export", folder)
    plans = {row["id"]: row for row in read(folder / "plan_data.csv")}
    items = {row["subscription_id"]: row for row in read(folder / "subscription_item_data.csv")}
    expected = []
    for row in read(folder / "subscription_history_data.csv"):
        item, plan = items[row["id"]], plans[items[row["id"]]["plan_id"]]
        amount = int(item["quantity"]) * int(plan["amount"])
        # Both live for one day, which is their trial.
        for at, status in ((row["start_date"], "trialing"), (row["ended_at"], "canceled")):
            expected.append((row["id"], f"{at}+00", row["customer_id"], status, amount, plan["interval"], "USD"))
    sql = (
        "SELECT subscription_id, effective_at::VARCHAR, customer_id, status, amount_minor, interval, currency "
        "FROM facts ORDER BY ALL"
    )
    assert stored(shop, "subscription_states", sql) == sorted(expected)
    assert shop.metrics("mrr", since="2021-02").value() == 0
    # The last item's period ends in the year 9999, which no period of anything does.
    sql = "SELECT line, reason FROM facts WHERE file LIKE '%subscription_item_data.csv'"
    assert stored(shop, "quarantine", sql) == [(15, "'current_period_end' is outside the years 1900 to 2200")]


def test_the_recurly_seeds_are_worth_their_subscriptions_subtotals(shop: tenure.Workspace, shared_data: Find) -> None:
    folder = shared_data("dbt_recurly_seeds")
    loaded = shop.load_export("recurly-export", folder)
    found = counts(loaded)
    assert not any(report.quarantined for report in loaded.reports), loaded.reports
    accounts = read(folder / "account_history_data.csv")
    assert found["account_history_data.csv", "customers"] == (len(accounts), 0, 0)
    assert found["account_history_data.csv", "identities"] == (len({row["code"] for row in accounts}), 0, 0)
    for name, table in (("invoice_history", "invoices"), ("line_item_history", "invoice_lines")):
        assert found[f"{name}_data.csv", table][0] == len(read(folder / f"{name}_data.csv"))
    payments = [row for row in read(folder / "transaction_data.csv") if row["type"] != "verify"]
    assert found["transaction_data.csv", "payments"] == (len(payments), 0, 0)
    amounts = sorted(int(Decimal(row["amount"]) * 100) for row in payments)
    assert [n for (n,) in stored(shop, "payments", "SELECT amount_minor FROM facts ORDER BY 1")] == amounts

    # In July 2022 two are alive, both monthly: what the rows call subtotal, add-ons included, is their MRR.
    versions = read(folder / "subscription_history_data.csv")
    alive = {row["id"]: Decimal(row["subtotal"]) for row in versions if row["state"] == "active"}
    assert sum(alive.values()) == Decimal("5695.0")
    assert shop.metrics("mrr", since="2022-07").value() == Decimal("5695.00")
    # The larger one begins after its trial, on 20 February 2015.
    assert shop.metrics("mrr", since="2015-02").value() == Decimal("5695.00")
    days = shop.metrics("mrr", since="2015-02-19", until="2015-02-20", period="day")
    assert [row["value"] for row in days.rows()] == [Decimal("99.00"), Decimal("5695.00")]
    # Two were cancelled within minutes on 26 March 2019.
    ends = stored(
        shop,
        "subscription_states",
        "SELECT subscription_id, cancel_actor FROM facts WHERE status = 'canceled' ORDER BY 1",
    )
    assert ends == sorted((row["id"], "customer") for row in versions if row["state"] == "expired")
    nothing_changes(shop, "recurly-export", folder, loaded)


def test_the_zendesk_seeds_tell_whose_each_ticket_is_and_when_it_was_solved(
    shop: tenure.Workspace, shared_data: Find
) -> None:
    folder = shared_data("dbt_zendesk_seeds")
    loaded = shop.load_export("zendesk-export", folder)
    found = counts(loaded)
    tickets = [row for row in read(folder / "ticket_data.csv") if row["status"] != "deleted"]
    users = {row["id"]: row for row in read(folder / "user_data.csv")}
    assert found["ticket_data.csv", "tickets"] == (len(tickets), 0, 0)
    organizations = read(folder / "organization_data.csv")
    assert found["organization_data.csv", "customers"] == (len(organizations), 0, 0)
    people = [row for row in users.values() if row["role"] == "end-user"]
    assert found["user_data.csv", "contacts"] == (len(people), 0, 0)
    expected = sorted(
        (row["id"], row["organization_id"] or users[row["requester_id"]]["organization_id"]) for row in tickets
    )
    assert stored(shop, "tickets", "SELECT ticket_id, customer_id FROM facts ORDER BY ALL") == expected
    solved = {
        row["ticket_id"]: row["updated"]
        for row in read(folder / "ticket_field_history_data.csv")
        if row["field_name"] == "status" and row["value"] == "solved"
    }
    resolved = sorted((row["id"], f"{solved.get(row['id'], row['updated_at'])}+00") for row in tickets)
    assert stored(shop, "tickets", "SELECT ticket_id, resolved_at::VARCHAR FROM facts ORDER BY ALL") == resolved
    nothing_changes(shop, "zendesk-export", folder, loaded)


def test_ravenstacks_usage_finds_every_customer_through_its_subscription(
    shop: tenure.Workspace, shared_data: Find
) -> None:
    folder = shared_data("ravenstack")
    loaded = shop.load_export("ravenstack", folder)
    assert counts(loaded) == {
        ("ravenstack_accounts.csv", "customers"): (500, 0, 0),
        ("ravenstack_subscriptions.csv", "subscriptions"): (5_000, 0, 0),
        ("ravenstack_feature_usage.csv", "usage"): (25_000, 0, 0),
        ("ravenstack_support_tickets.csv", "tickets"): (2_000, 0, 0),
        ("ravenstack_churn_events.csv", "cancellations"): (600, 0, 0),
    }
    subscriptions = read(folder / "ravenstack_subscriptions.csv")
    owner = {row["subscription_id"]: row["account_id"] for row in subscriptions}
    usage = read(folder / "ravenstack_feature_usage.csv")
    expected = Counter(owner[row["subscription_id"]] for row in usage)
    told = stored(shop, "usage", "SELECT customer_id, count(*) FROM facts GROUP BY 1")
    assert dict(told) == dict(expected)
    assert sum(n for customer, n in told if customer is not None) == len(usage) == 25_000
    assert stored(shop, "usage", "SELECT sum(quantity)::BIGINT FROM facts") == [
        (sum(int(row["usage_count"]) for row in usage),)
    ]
    # What the open subscriptions add up to.
    open_ones = sum(int(row["mrr_amount"]) for row in subscriptions if not row["end_date"])
    assert shop.metrics("mrr", since="2024-12").value() == Decimal(open_ones) == Decimal(10_159_608)
    nothing_changes(shop, "ravenstack", folder, loaded)


def test_complete_journey_is_what_its_households_bought(shop: tenure.Workspace, shared_data: Find) -> None:
    folder = shared_data("completejourney_cc0")
    loaded = shop.load_export("complete-journey", folder)
    assert counts(loaded)["transactions_sample.parquet", "order_lines"] == (75_000, 0, 0)
    households, total = duckdb.sql(
        "SELECT count(DISTINCT household_id), CAST(sum(CAST(sales_value AS DECIMAL(18,2))) AS DECIMAL(18,2)) "
        f"FROM read_parquet('{folder / 'transactions_sample.parquet'}')"
    ).fetchone()
    (history,) = shop.orders()
    assert (history.customers, history.total) == (households, total) == (2_377, Decimal("233935.24"))
    assert counts(loaded)["demographics.csv", "customers"] == (len(read(folder / "demographics.csv")), 0, 0)
    nothing_changes(shop, "complete-journey", folder, loaded)
