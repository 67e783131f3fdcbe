"""Is who is who, and what there is, the same on a laptop and on a cluster? Forty customers with names to look up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import tenure
from tenure.lake.engines import Spark
from tests.parity.test_engines import assert_same
from tests.reference.builder import Facts, open_workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def told() -> Facts:
    """Forty customers in families, with seats and champions; the product and the help desk have names of their own."""
    facts = Facts()
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    for number in range(40):
        name, at = f"c{number:02}", begin + timedelta(days=3 * number)
        parent = f"c{number // 3:02}" if number % 3 and number else None
        merged = f"c{number - 1:02}" if number % 11 == 10 else None
        facts.customer(
            name, parent_id=parent, merged_into=merged, is_test=number == 17, channel="ads" if number % 2 else None
        )
        ended = at + timedelta(days=60 + number) if number % 4 == 1 else None
        own = "billing-" + name if number % 5 == 0 else name
        facts.span(
            at, ended, customer=own, subscription=f"s{number}", quantity=2 + number % 7, amount_minor=1_000 + number
        )
        facts.identity("billing", "billing-" + name, name)
        facts.identity("product", f"ws-{number}", name, valid_from=f"{at:%Y-%m-%d}")
        facts.identity("helpdesk", f"ws-{(number * 7) % 40}", name)
        gone = f"{at + timedelta(days=70):%Y-%m-%d}" if number % 3 == 0 else None
        facts.contact(f"p{number}", f"{at:%Y-%m-%d}", customer=name, role="champion", left_at=gone)
    facts.identity("product", "ws-3", "c04", valid_from="2025-04-01")
    for day in range(150):
        for number in range(0, 40, 2):
            if not 80 <= day < 95:
                who: dict[str, Any] = (
                    {"subscription": f"s{number}"} if number % 3 == 0 else {"customer": f"ws-{number}"}
                )
                at = begin + timedelta(days=day, hours=number % 24)
                facts.use(f"u{day}-{number}", at, contact=f"p{number % 9}", recorded_at=at + timedelta(days=1), **who)
    for day in range(0, 150, 2):
        facts.ticket(f"t{day}", begin + timedelta(days=day), customer=f"ws-{day % 50}")
    return facts


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tenure.Workspace]:
    with open_workspace(tmp_path_factory.mktemp("who") / "shop", told(), timezone="Asia/Bangkok") as opened:
        yield opened


@pytest.fixture
def engines(shop: tenure.Workspace, spark: SparkSession) -> Iterator[tuple[str, str]]:
    shop._engines["spark"] = Spark(spark)
    yield "duckdb", "spark"
    shop._engines.pop("spark")


PEOPLE = ("seats_paid", "seats_used", "seat_utilization", "champions_left", "customers_without_champion")


def test_match_rates_and_what_is_unmatched_are_equal_on_both_engines(
    shop: tenure.Workspace, engines: tuple[str, str]
) -> None:
    here, there = (shop.matches(known_on="2025-06-15", engine=engine) for engine in engines)
    assert here == there
    found = {(match.table, match.system): match for match in here}
    assert found["usage", "product"].by_identity and found["usage", "product"].by_subscription
    assert found["subscription_spans", "billing"].by_identity == 8
    one, other = (shop.unmatched(known_on="2025-06-15", engine=engine).to_pylist() for engine in engines)
    assert one == other and one


def test_numbers_by_account_and_of_people_are_equal_on_both_engines(
    shop: tenure.Workspace, engines: tuple[str, str]
) -> None:
    ask: dict[str, Any] = {"since": "2025-03", "until": "2025-04", "known_on": "2025-06-15", "grain": "account"}
    names = ("mrr", "mrr_contraction", "customers", "customers_churned", *PEOPLE)
    one, other = (shop.metrics(*names, by="channel", engine=engine, **ask) for engine in engines)
    assert_same(one.rows(exact=True), other.rows(exact=True))
    assert one.customers().to_pylist() == other.customers().to_pylist()
    assert {row["metric"] for row in one.rows() if row["value"]} >= set(PEOPLE)


def test_coverage_is_equal_on_both_engines(shop: tenure.Workspace, engines: tuple[str, str]) -> None:
    here, there = (shop.coverage(known_on="2025-06-15", engine=engine) for engine in engines)
    assert here.as_json() == there.as_json()
    assert any(table.rhythm.gaps for table in here.tables) and here.silent is not None
    assert here.silent_customers().to_pylist() == there.silent_customers().to_pylist()
