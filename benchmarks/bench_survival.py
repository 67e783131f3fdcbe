"""How fast is Kaplan-Meier? Counts made in the engine, the curve from the counts, beside lifelines on the same rows.

    python benchmarks/bench_survival.py [--rows 10000000] [--runs 3]

Rows are customers with an entry (a third come under observation late), a tenure in months and whether they left. Ours
is one grouping query over a Parquet file and kernel.survival on its answer; lifelines gets the same columns as arrays
(reading the file is not charged to it). The curves must be equal within 1e-12. Aim: at least 8x; 10x the rows at most
11x the cost.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def customers(rows: int, path: Path) -> dict[str, np.ndarray]:
    """Made-up tenures in a Parquet file, and as arrays."""
    rng = np.random.default_rng(11)
    tenure = 1 + np.minimum(rng.geometric(0.04, rows), 119)
    entry = np.where(rng.random(rows) < 1 / 3, (rng.random(rows) * tenure).astype(np.int64), 0)
    found = {"entry": entry, "tenure": tenure, "gone": rng.random(rows) < 0.7}
    pq.write_table(pa.table(found), path)
    return found


def ours(path: Path) -> np.ndarray:
    """The curve from counts made in the engine."""
    import duckdb

    from tenure.kernel.survival import Counts, kaplan_meier

    told = duckdb.sql(
        f"""SELECT t, sum(e)::BIGINT AS e, sum(d)::BIGINT AS d, sum(c)::BIGINT AS c FROM (
            SELECT entry AS t, count(*) AS e, 0 AS d, 0 AS c FROM read_parquet('{path}') GROUP BY entry
            UNION ALL SELECT tenure, 0, count(*) FILTER (gone), count(*) FILTER (NOT gone) FROM read_parquet('{path}')
            GROUP BY tenure) GROUP BY t"""
    ).fetchnumpy()
    return np.asarray(kaplan_meier(Counts.of(told["t"], told["e"], told["d"], told["c"])).survival)


def theirs(found: dict[str, np.ndarray]) -> np.ndarray:
    """lifelines' curve, at the times at which ours has one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifelines import KaplanMeierFitter

        fitter: Any = KaplanMeierFitter().fit(found["tenure"], found["gone"], entry=found["entry"])
    return np.asarray(fitter.survival_function_.iloc[:, 0])


def median_seconds(work: Callable[[], Any], runs: int) -> float:
    """The median wall time."""
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'customers':>12}{'ours s':>9}{'lifelines s':>13}{'ratio':>8}   medians of {arguments.runs}")
    walls = []
    with tempfile.TemporaryDirectory(prefix="tenure-bench-") as folder:
        for rows in (arguments.rows // 10, arguments.rows):
            path = Path(folder) / f"{rows}.parquet"
            found = customers(rows, path)
            mine, other = ours(path), theirs(found)
            if len(mine) != len(other) or np.abs(mine - other).max() > 1e-12:
                raise SystemExit("the curves differ")
            wall, peer = (
                median_seconds(lambda p=path: ours(p), arguments.runs),
                median_seconds(lambda f=found: theirs(f), arguments.runs),
            )
            walls.append(wall)
            print(f"{rows:>12,}{wall:>9.3f}{peer:>13.3f}{peer / wall:>7.1f}x")
    print(f"10x the customers cost {walls[1] / walls[0]:.1f}x")


if __name__ == "__main__":
    main()
