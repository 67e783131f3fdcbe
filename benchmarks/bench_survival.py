"""How fast is Kaplan-Meier? Counts made in the engine, the curve from the counts, beside lifelines on the same rows.

    python benchmarks/bench_survival.py [--rows 10000000] [--runs 5]

Rows are customers with a tenure in months and whether they left; in the second half also with an entry, for a third of
them come under observation late. Both sides have the columns in memory: ours is one grouping query over the engine's
table and kernel.survival on its answer, lifelines gets arrays. The curves must be equal within 1e-12. Aim: at least 8x;
10x the rows at most 11x the cost.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa


def customers(rows: int) -> dict[str, np.ndarray]:
    """Made-up entries and tenures in months, and who left."""
    rng = np.random.default_rng(11)
    tenure = 1 + np.minimum(rng.geometric(0.04, rows), 119)
    entry = np.where(rng.random(rows) < 1 / 3, (rng.random(rows) * tenure).astype(np.int64), 0)
    return {"entry": entry.astype(np.int16), "tenure": tenure.astype(np.int16), "gone": rng.random(rows) < 0.7}


LEAVING = "SELECT tenure AS t, {entered} AS e, sum(gone::TINYINT) AS d, count(*) - sum(gone::TINYINT) AS c FROM seen GROUP BY tenure"
ENTERING = "SELECT entry, count(*), 0, 0 FROM seen GROUP BY entry"


def ours(connection: Any, late: bool) -> np.ndarray:
    """The curve from counts made in the engine."""
    from tenure.kernel.survival import Counts, kaplan_meier

    if late:
        each = f"{LEAVING.format(entered=0)} UNION ALL {ENTERING}"
        sql = f"SELECT t, sum(e)::BIGINT AS e, sum(d)::BIGINT AS d, sum(c)::BIGINT AS c FROM ({each}) GROUP BY t"
        told = connection.execute(sql).fetchnumpy()
        entries, times = told["e"], told["t"]
    else:
        told = connection.execute(LEAVING.format(entered="0::BIGINT")).fetchnumpy()
        # Everybody is there from the start.
        times, entries = np.append(told["t"], 0), np.append(told["e"], int(told["d"].sum() + told["c"].sum()))
        told = {"d": np.append(told["d"], 0), "c": np.append(told["c"], 0)}
    whole = [np.asarray(column, dtype=np.int64) for column in (times, entries, told["d"], told["c"])]
    return np.asarray(kaplan_meier(Counts.of(*whole)).survival)


def theirs(found: dict[str, np.ndarray], late: bool) -> np.ndarray:
    """lifelines' curve, at the times at which ours has one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifelines import KaplanMeierFitter

        entry = found["entry"] if late else None
        fitter: Any = KaplanMeierFitter().fit(found["tenure"], found["gone"], entry=entry)
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
    import duckdb

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print(
        f"{'customers':>12}  {'entries':<8}{'ours s':>9}{'lifelines s':>13}{'ratio':>8}   medians of {arguments.runs}"
    )
    walls: dict[bool, list[float]] = {False: [], True: []}
    for rows in (arguments.rows // 10, arguments.rows):
        found = customers(rows)
        with duckdb.connect() as connection:
            connection.register("arrays", pa.table(found))
            connection.execute("CREATE TABLE seen AS SELECT * FROM arrays")
            for late in (False, True):
                mine, other = ours(connection, late), theirs(found, late)
                if len(mine) != len(other) or np.abs(mine - other).max() > 1e-12:
                    raise SystemExit("the curves differ")
                wall = median_seconds(lambda late=late: ours(connection, late), arguments.runs)
                peer = median_seconds(lambda late=late, found=found: theirs(found, late), arguments.runs)
                walls[late].append(wall)
                kind = "late" if late else "at 0"
                print(f"{rows:>12,}  {kind:<8}{wall:>9.4f}{peer:>13.4f}{peer / wall:>7.1f}x")
    for late, (small, large) in walls.items():
        print(f"10x the customers cost {large / small:.1f}x{' with late entries' if late else ''}")


if __name__ == "__main__":
    main()
