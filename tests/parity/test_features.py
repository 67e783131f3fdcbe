"""Are features the same on a laptop and on a cluster? The hand-worked company, read by DuckDB and by Spark."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from tenure.lake.engines import Spark
from tenure.predict.features import features
from tenure.predict.features_periods import person_periods
from tests.reference.builder import Shop, open_company
from tests.rules.test_features import by_hand

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Shop]:
    facts = by_hand()
    facts.customer("ann", channel="ads")
    # A correction, so that versions have to be chosen; and somebody known by another name.
    facts.ticket("t2", "2026-02-20", customer="ann", resolved_at="2026-02-26", recorded_at="2026-02-26")
    facts.identity("product", "ann@work", "ann")
    facts.use("u9", "2026-02-12", customer="ann@work", feature="c", quantity=1.0)
    opened = open_company(tmp_path_factory.mktemp("parity-of-features") / "shop", facts, timezone="Asia/Bangkok")
    opened.workspace._engines["spark"] = Spark(spark)
    yield opened
    opened.close()


def test_features_are_the_same_on_both_engines(shop: Shop) -> None:
    workspace = shop.workspace
    at = datetime(2026, 2, 28, 17, tzinfo=UTC)
    one, other = (
        features(workspace.facts(shop.known_on, engine), at, workspace.definition(), static=["channel"])
        for engine in ("duckdb", "spark")
    )
    assert one.features == other.features
    assert one.missing == other.missing
    names = ["customer_id", "ends_at", "mrr", "plan"]
    assert one.leaving.select(names).to_pylist() == other.leaving.select(names).to_pylist()
    assert one.table.num_rows == 4
    for a, b in zip(one.table.to_pylist(), other.table.to_pylist(), strict=True):
        for name in a:
            assert b[name] == (pytest.approx(a[name], rel=1e-12) if isinstance(a[name], float) else a[name]), name


def test_rows_to_learn_from_are_the_same_on_both_engines(shop: Shop) -> None:
    workspace = shop.workspace
    one, other = (
        person_periods(
            workspace.facts(shop.known_on, engine), workspace.definition(), date(2026, 1, 1), date(2026, 3, 1)
        ).table
        for engine in ("duckdb", "spark")
    )
    assert one.column_names == other.column_names
    told = ("customer_id", "cut_off", "period", "outcome", "decided_at", "is_whole", "silent_days", "renewal_days")
    assert one.select(told).to_pylist() == other.select(told).to_pylist()
    # Ann, Ben, Cid, Fay and Hal in both months; Dot, still here as 2025 ends in Bangkok, had decided in December.
    assert one.num_rows == 10
