"""Is a number the same on a laptop and on a cluster? The demo company's lake, read by DuckDB and by Spark.

Money and counts must be equal to the last digit, floats (intervals) within 1e-9 of each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

import tenure
from tenure.lake.engines import DuckDB, Engine, Spark
from tenure.lake.portable import micros
from tenure.measure.catalogue import CATALOGUE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The demo's company, without its usage: no number here is made of it.
CUSTOMERS = 5_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tenure.Workspace]:
    import pyarrow as pa

    from tenure.lake.tables import TABLES
    from tenure.simulate.company import Company, simulate

    workspace = tenure.open(tmp_path_factory.mktemp("parity") / "shop", create=True, timezone="Asia/Bangkok")
    told: dict[str, list[pa.Table]] = {}
    for name, rows in simulate(Company(customers=CUSTOMERS, usage="none")):
        if name in TABLES:
            told.setdefault(name, []).append(rows)
    loaded = pa.scalar(datetime(2026, 11, 1, tzinfo=UTC), pa.timestamp("us", tz="UTC"))
    for name, parts in told.items():
        table = pa.concat_tables(parts)
        table = table.append_column("loaded_at", pa.repeat(loaded, table.num_rows))
        assert workspace.lake.append_arrow(name, table, load_id=name)
    yield workspace
    workspace.close()


@pytest.fixture
def engines(shop: tenure.Workspace, spark: SparkSession) -> tuple[str, str]:
    shop._engines["spark"] = Spark(spark)
    return "duckdb", "spark"


def assert_same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        for name in a:
            if isinstance(a[name], float) and isinstance(b[name], float):
                assert a[name] == pytest.approx(b[name], rel=1e-9, abs=1e-9), (a, b)
            else:
                assert a[name] == b[name], (a, b)


@pytest.mark.parametrize(
    ("names", "question"),
    [
        (tuple(CATALOGUE), {"currency": "USD"}),
        (
            tuple(
                name for name, m in CATALOGUE.items() if not (m.looks_back or m.needs or m.opens.startswith("usage"))
            ),
            {"currency": "each", "by": "plan_id"},
        ),
        (
            ("mrr", "mrr_opening", "customers", "customer_churn_rate", "nrr"),
            {"currency": "USD", "by": ("channel", "tenure")},
        ),
        (("mrr", "customers_churned", "grr"), {"currency": "THB", "known_on": "2026-02-10", "period": "quarter"}),
    ],
    ids=["every-metric", "by-plan-each-currency", "by-channel-and-tenure", "as-known-earlier"],
)
def test_every_metric_is_equal_on_both_engines(
    shop: tenure.Workspace, engines: tuple[str, str], names: tuple[str, ...], question: dict[str, Any]
) -> None:
    answers = [
        shop.metrics(*names, since="2026-02", until="2026-03", engine=engine, **question).rows(exact=True)
        for engine in engines
    ]
    assert_same(*answers)


def test_revenue_of_three_lines_is_equal_on_both_engines(shop: tenure.Workspace, engines: tuple[str, str]) -> None:
    names = ("mrr", "mrr_opening", "mrr_fx", "usage_change", "usage_credits", "usage_nrr", "usage_churn_rate")
    for revenue, question in (
        ("usage", {"currency": "USD"}),
        ("total", {"currency": "each", "by": ("channel", "plan_id")}),
    ):
        answers = [
            shop.metrics(*names, since="2026-03", until="2026-06", revenue=revenue, engine=engine, **question)
            for engine in engines
        ]
        assert_same(*(answer.rows(exact=True) for answer in answers))
        assert any(row["value"] for row in answers[0].rows() if row["metric"] == "usage_change")
    here, there = (
        shop.metrics("usage_run_rate", "usage_nrr", since="2026-06", currency="USD", engine=engine).customers()
        for engine in engines
    )
    assert here.to_pylist() == there.to_pylist()


def test_states_rebuilt_from_invoice_lines_are_equal_on_both_engines(
    shop: tenure.Workspace, engines: tuple[str, str], tmp_path: Path
) -> None:
    from tenure.measure.rebuilding import changes

    # The same invoices in a lake without states.
    alone = tenure.open(tmp_path / "shop", create=True)
    for name in ("invoices", "invoice_lines"):
        files = list(shop.lake.snapshot(name).files)
        rows = shop.engine("duckdb").table(f"SELECT * FROM read_parquet({files}) WHERE customer_id < 'cus_0001500'")
        assert alone.lake.append_arrow(name, rows, load_id=name)
    alone._engines["spark"] = shop._engines["spark"]
    here, there = (alone.engine(engine).table(changes(alone.facts(engine=engine))).to_pylist() for engine in engines)
    assert len(here) > 2_000
    assert there == here
    alone._engines.pop("spark")
    alone.close()


# Between them these make every choice that changes a statement; a statement takes Spark ten seconds.
@pytest.mark.parametrize(
    "profile",
    [
        "stripe",
        "profitwell",
        "recurly",
        "maxio, past_due_days=30, gap_days=3, churn_base=daily, returners=counted",
        "chargebee, forever_discount=ignored, joiners=counted",
    ],
)
def test_every_profile_is_equal_on_both_engines(shop: tenure.Workspace, engines: tuple[str, str], profile: str) -> None:
    names = ("mrr", "mrr_churn", "customers_churned", "customer_churn_rate", "nrr")
    answers = [
        shop.metrics(*names, since="2026-03", engine=engine, currency="USD", profile=profile).rows(exact=True)
        for engine in engines
    ]
    assert_same(*answers)


def test_a_bridge_is_equal_on_both_engines(shop: tenure.Workspace, engines: tuple[str, str]) -> None:
    other_definition = "tenure, pause=churn, joiners=counted, returners=counted"
    one, other = (
        shop.bridge("customer_churn_rate", after=other_definition, month="2026-03", currency="USD", engine=engine)
        for engine in engines
    )
    assert [(line.name, line.amount, line.touched) for line in one.lines] == [
        (line.name, line.amount, line.touched) for line in other.lines
    ]
    assert any(line.amount for line in one.lines)


def test_movements_and_their_causes_are_equal_on_both_engines(shop: tenure.Workspace, engines: tuple[str, str]) -> None:
    one, other = (shop.movements(since="2026-02", engine=engine).to_pylist() for engine in engines)
    assert one == other
    assert {row["kind"] for row in one} >= {"new", "churn", "expansion"}


def test_cohorts_and_lifetimes_are_equal_on_both_engines(shop: tenure.Workspace, engines: tuple[str, str]) -> None:
    for measure in ("customers", "revenue"):
        one, other = (shop.cohorts(measure, period="quarter", currency="USD", engine=engine) for engine in engines)
        assert [t.triangle.values for t in one] == [t.triangle.values for t in other]
    first, second = (shop.lives(by="channel", engine=engine) for engine in engines)
    assert [(life.segment, life.by_kind) for life in first] == [(life.segment, life.by_kind) for life in second]
    for a, b in zip(first, second, strict=True):
        assert a.counts.time.tolist() == b.counts.time.tolist()
        assert a.counts.events.tolist() == b.counts.events.tolist()
        assert a.counts.entries.tolist() == b.counts.entries.tolist()


def test_what_churn_costs_is_equal_on_both_engines(shop: tenure.Workspace, engines: tuple[str, str]) -> None:
    one, other = (shop.cost(since="2026-03", currency="USD", engine=engine) for engine in engines)
    assert_same(one.rows(), other.rows())
    assert one.customers().to_pylist() == other.customers().to_pylist()
    assert {row["section"] for row in one.rows() if row["value"]} >= {"lost", "replacing", "at_risk", "protected"}


def one_value(engine: Engine, expression: str) -> Any:
    return engine.table(f"SELECT {expression} AS x").column(0).to_pylist()[0]


def test_what_the_engines_write_differently_means_the_same(engines: tuple[str, str], spark: SparkSession) -> None:
    duck, cluster = DuckDB(), Spark(spark)
    new_york = ZoneInfo("America/New_York")
    since, until = datetime(1970, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    moments = [
        datetime(1950, 5, 5, 23, 59, tzinfo=UTC),
        datetime(2024, 3, 10, 6, 59, 59, tzinfo=UTC),
        datetime(2024, 3, 10, 7, 0, tzinfo=UTC),
        datetime(2024, 11, 3, 4, 30, tzinfo=UTC),
        datetime(2024, 8, 31, 12, 0, tzinfo=UTC),
        datetime(2023, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
    for at in moments:
        for engine in (duck, cluster):
            d = engine.dialect
            us = f"CAST({micros(at)} AS BIGINT)"
            if at >= since:
                expected = (at.astimezone(new_york).date() - since.date()) // timedelta(days=1)
                assert one_value(engine, d.local_day(us, new_york, since, until)) == expected, (engine.name, at)
            later = one_value(engine, d.add_months(us, 6))
            assert later == one_value(duck, duck.dialect.add_months(us, 6)), (engine.name, at)
    for engine in (duck, cluster):
        d = engine.dialect
        assert one_value(engine, d.div("CAST(7 AS BIGINT)", "CAST(2 AS BIGINT)")) == 3
        # 3 x 10^18 would not fit a BIGINT on the way.
        product = d.muldiv("CAST(3000000000000 AS BIGINT)", "CAST(4000000000000 AS BIGINT)", "CAST(7000000 AS BIGINT)")
        assert one_value(engine, product) == 3_000_000_000_000 * 4_000_000_000_000 // 7_000_000
        assert one_value(engine, d.literal("it's a \\ test")) == "it's a \\ test"
        assert (
            one_value(engine, d.completed_months("CAST(19753 AS BIGINT)", "CAST(19782 AS BIGINT)")) == 1
        )  # 31 Jan, 29 Feb
        rows = engine.table(
            f"SELECT {d.total('v')} AS x FROM (VALUES (9000000000000000000), (9000000000000000000)) AS t(v)"
        )
        assert rows.column(0).to_pylist() == [Decimal(18_000_000_000_000_000_000)]
    duck.close()
