"""Are customers worth the same on a laptop and on a cluster? Months and purchase histories, counted by both engines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from tenure.explain.price_elasticity import _rise
from tenure.kernel.time import add_months
from tenure.lake.engines import Spark
from tenure.predict.buyer_histories import Bought, buyer_histories, spending
from tenure.predict.buyer_value import BuyerValue
from tenure.predict.customer_months import customer_months
from tenure.predict.forecast_purchases import _past
from tenure.predict.support_load import _counted
from tests.reference.builder import Facts, Shop, open_company

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CUT = date(2025, 10, 1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Shop]:
    """Sixty contracts of three intervals and two currencies, some ending, paused or announced; and orders."""
    rng = np.random.default_rng(4)
    facts = Facts()
    for i in range(60):
        interval = ("month", "month", "quarter", "year")[i % 4]
        terms = {
            "plan_id": ("basic", "plus")[i % 2], "interval": interval, "currency": ("USD", "EUR")[i % 3 == 0],
            "amount_minor": int(rng.integers(5, 90)) * 100,
        }  # fmt: skip
        start = date(2024, 1, 3) + timedelta(days=int(rng.integers(0, 400)))
        facts.customer(f"c{i}", channel=("ads", "shop", None)[i % 3])
        facts.state(start.isoformat(), customer=f"c{i}", status="active", **terms)
        later = start + timedelta(days=int(rng.integers(30, 400)))
        if later < CUT and i % 5 == 0:
            facts.state(later.isoformat(), customer=f"c{i}", status="canceled", **terms)
        elif later < CUT and i % 5 == 1:
            facts.state(later.isoformat(), customer=f"c{i}", status="paused", **terms)
        elif later < CUT and i % 5 == 2:
            end = (later + timedelta(days=50)).isoformat()
            facts.state(later.isoformat(), customer=f"c{i}", status="active", cancel_at=end, **terms)
        elif later < CUT:
            facts.state(later.isoformat(), customer=f"c{i}", status="active", **terms | {"amount_minor": 12_300})
        if i % 2:
            facts.exposed("dearer", "2024-05-01", "2024-06-01", customer=f"c{i}")
    facts.change("dearer", "price", "2024-05-01")
    folder = tmp_path_factory.mktemp("parity-of-value")
    opened = open_company(folder / "shop", facts, timezone="Asia/Bangkok")
    days = [(f"c{i % 90}", date(2024, 1, 1) + timedelta(days=int(rng.integers(0, 650)))) for i in range(400)]
    orders = pd.DataFrame(days, columns=["customer_id", "ordered_at"])
    orders = orders.assign(order_id=range(400), amount=rng.integers(-5, 90, 400), currency="USD")
    orders.to_csv(folder / "orders.csv", index=False)
    opened.workspace.load("orders", folder / "orders.csv")
    asked = [
        (f"t{i}", f"c{i % 60}", date(2024, 3, 1) + timedelta(days=4 * i), ("ann", "ben", None)[i % 3])
        for i in range(150)
    ]
    tickets = pd.DataFrame(asked, columns=["ticket_id", "customer_id", "opened_at", "agent"])
    tickets.to_csv(folder / "tickets.csv", index=False)
    opened.workspace.load("tickets", folder / "tickets.csv")
    opened.workspace._engines["spark"] = Spark(spark)
    yield opened
    opened.close()


def test_months_of_customers_are_the_same_on_both_engines(shop: Shop) -> None:
    workspace = shop.workspace
    one, other = (
        customer_months(workspace.facts("2025-09-30", engine), workspace.definition(), cut=CUT, by=("channel",))
        for engine in ("duckdb", "spark")
    )
    assert one.months == other.months
    for name in ("past", "now", "came"):
        mine, theirs = getattr(one, name).to_pylist(), getattr(other, name).to_pylist()
        assert len(mine) == len(theirs) > 5
        for a, b in zip(mine, theirs, strict=True):
            for column in a:
                assert b[column] == (pytest.approx(a[column]) if isinstance(a[column], float) else a[column]), column


def test_purchase_histories_are_the_same_on_both_engines(shop: Shop) -> None:
    workspace = shop.workspace
    asked = [Bought(workspace.facts("2025-09-30", engine), CUT, native="USD") for engine in ("duckdb", "spark")]
    one, other = (buyer_histories(each) for each in asked)
    assert len(one) == len(other) > 50
    for name in ("frequency", "recency", "age", "customers", "repeat", "squares", "all_minor"):
        assert getattr(one, name) == pytest.approx(getattr(other, name)), name
    # Counted another way: pandas, customer by customer.
    sales = pd.read_csv(workspace.folder.parent / "orders.csv", parse_dates=["ordered_at"])
    # A day of the file is midnight in UTC unless a zone is told; the workspace's zone is told when loading.
    sold = sales[(sales["amount"] >= 0) & (sales["ordered_at"] < pd.Timestamp(CUT))]
    days = sold.drop_duplicates(["customer_id", "ordered_at"]).groupby("customer_id")["ordered_at"]
    assert sorted(np.repeat(one.frequency, one.customers)) == sorted((days.count() - 1).tolist())
    assert sorted(np.repeat(one.recency, one.customers)) == sorted((days.max() - days.min()).dt.days.tolist())
    assert all((a == b).all() for a, b in zip(spending(asked[0])[:3], spending(asked[1])[:3], strict=True))


def test_what_a_buyer_is_worth_is_the_same_on_both_engines(shop: Shop) -> None:
    workspace = shop.workspace
    mine, theirs = (
        BuyerValue.of(
            Bought(workspace.facts("2025-09-30", engine), CUT, native="USD"), date(2024, 1, 1), 6, 1.0
        ).people()
        for engine in ("duckdb", "spark")
    )
    assert mine.num_rows == theirs.num_rows > 80
    for a, b in zip(mine.to_pylist(), theirs.to_pylist(), strict=True):
        assert a == {name: pytest.approx(b[name]) if isinstance(b[name], float) else b[name] for name in b}


def test_tickets_first_purchases_and_price_rises_are_counted_alike(shop: Shop) -> None:
    found = []
    for engine in ("duckdb", "spark"):
        facts = shop.workspace.facts("2025-09-30", engine)
        spans = [(add_months(CUT, w - 18), add_months(CUT, w - 17)) for w in range(18)]
        opened, agents = _counted(facts, spans)
        rise = _rise(facts, shop.workspace.definition(), "dearer")
        told = buyer_histories(Bought(facts, CUT, native="USD"))
        bought = _past(BuyerValue.of(Bought(facts, CUT, native="USD"), date(2024, 1, 1), 6, 1.0), CUT)[1]
        found.append((opened.tolist(), agents.tolist(), rise, told.age.tolist(), bought))
    assert found[0] == found[1]
    assert sum(found[0][0]) > 20 and max(found[0][1]) == 2 and found[0][2] > 0
