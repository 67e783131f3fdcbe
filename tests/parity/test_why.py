"""Is the answer to why they leave the same on a laptop and on a cluster? Each method, on one small company."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tenure
from tenure.explain.evidence import evidence
from tenure.explain.excess import Cells
from tenure.lake.engines import Spark
from tests.rules.simulated_shop import opened

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PERIOD = {"since": "2026-03", "until": "2026-04", "known_on": "2026-06-30"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[tenure.Workspace]:
    folder = tmp_path_factory.mktemp("parity-of-why") / "shop"
    workspace, _ = opened(folder, customers=160, months=6, seed=11, churn=10.0, usage="month")
    workspace._engines["spark"] = Spark(spark)
    yield workspace
    workspace.close()


def alike(one: Any, other: Any, where: str = "") -> None:
    """The same to the last digits but few: engines add floats in orders of their own."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            alike(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            alike(a, b, f"{where}[{i}]")
    elif isinstance(one, float):
        assert other == pytest.approx(one, rel=1e-7, abs=1e-9), where
    else:
        assert one == other, where


def asked(shop: tenure.Workspace, method: str, engine: str) -> Any:
    return shop.why(method, engine=engine, **PERIOD)


@pytest.mark.parametrize("method", ["segments", "support", "journey"])
def test_a_method_finds_the_same_on_both_engines(shop: tenure.Workspace, method: str) -> None:
    one, other = (asked(shop, method, engine) for engine in ("duckdb", "spark"))
    told, again = ([finding.as_json() for finding in found.findings] for found in (one, other))
    alike(told, again, method)
    if method == "segments":
        assert one.rows
        alike(sorted(map(str, one.rows)), sorted(map(str, other.rows)))
        return
    assert one.findings
    if method == "journey":
        alike([age.as_json() for age in one.ages], [age.as_json() for age in other.ages])
        alike([month.as_json() for month in one.studied.paths], [month.as_json() for month in other.studied.paths])
    if method == "support":
        assert one.times == other.times


def test_what_the_verdict_weighs_is_counted_alike_on_both_engines(shop: tenure.Workspace) -> None:
    counted = []
    for engine in ("duckdb", "spark"):
        facts = shop.facts(PERIOD["known_on"], engine)
        counted.append(evidence(facts, shop.definition(), date(2026, 3, 1), date(2026, 5, 1)))
    one, other = counted
    assert (one.columns, one.levels, one.weeks) == (other.columns, other.levels, other.weeks)

    def told(cells: Cells) -> list[tuple[float, ...]]:
        rows = np.column_stack([cells.base, cells.evidence, cells.term, cells.weeks, cells.left])
        return sorted(map(tuple, rows.tolist()))

    assert told(one.cells) == told(other.cells)
    assert one.cells.left.sum() > 0 and one.cells.evidence.any()
    assert sorted(one.customer_ids) == sorted(other.customer_ids)
