"""How fast does a clean CSV file become facts, beside DuckDB's own copy of it to Parquet?

    python benchmarks/bench_load.py                     1 million and 10 million rows, median of 3 runs
    python benchmarks/bench_load.py --rows 100000 --runs 1
    TENURE_BENCH_ROWS=100000 python benchmarks/bench_load.py

Both read the same file with the same number of threads and write snappy Parquet. DuckDB's copy guesses the types and
stores what it reads; a load also checks every cell, makes row hashes and the bitemporal columns, looks for repeated
keys, takes the file's SHA-256 and commits to the lake. Each run is a process of its own, so that its peak memory is its
own. Aims: at least 45 % of the copy's rows per second, ten times the rows at most eleven times the time.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

TABLES = ("subscription_states", "subscriptions")
NOW = datetime(2026, 7, 1, tzinfo=UTC)
_COMMON = """
    'plan_' || hash(i * 3) % 9 AS plan_id, CASE WHEN hash(i * 5) % 4 = 0 THEN 'year' ELSE 'month' END AS "interval",
    1 + hash(i * 11) % 20 AS quantity, 990 + hash(i * 13) % 90000 AS amount_minor,
    CASE hash(i // 12) % 4 WHEN 0 THEN 'EUR' WHEN 1 THEN 'THB' ELSE 'USD' END AS currency
"""
_DAY = "strftime(TIMESTAMP '2023-01-01' + to_days(({})::INTEGER), '%Y-%m-%d')"
# Thirteen states an item over three years; or an export of subscriptions of which every fifth changed its plan once.
_SHAPES = {
    "subscription_states": f"""
        SELECT 'sub_' || lpad((i // 13)::VARCHAR, 8, '0') AS subscription_id,
            'cus_' || lpad((i // 13)::VARCHAR, 7, '0') AS customer_id,
            strftime(TIMESTAMP '2023-01-01' + to_days((i % 13 * 84 + hash(i) % 80)::INTEGER)
                     + to_seconds((hash(i * 7) % 86400)::BIGINT), '%Y-%m-%dT%H:%M:%SZ') AS effective_at,
            CASE WHEN hash(i) % 20 = 0 THEN 'past_due' WHEN i % 13 = 12 AND hash(i) % 3 = 0 THEN 'canceled'
                 ELSE 'active' END AS status, {_COMMON}
        FROM range({{rows}}) t(i)""",
    "subscriptions": f"""
        SELECT 'sub_' || lpad((i - CASE WHEN i % 6 = 5 THEN 1 ELSE 0 END)::VARCHAR, 8, '0') AS subscription_id,
            'cus_' || lpad((i // 6)::VARCHAR, 7, '0') AS customer_id,
            {_DAY.format("CASE WHEN i % 6 = 5 THEN 600 ELSE 0 END + hash(i) % 200")} AS started_at,
            CASE WHEN i % 6 BETWEEN 2 AND 4 THEN {_DAY.format("300 + hash(i) % 200")} END AS ended_at, {_COMMON}
        FROM range({{rows}}) t(i)""",
}


def write_csv(table: str, rows: int, path: Path) -> None:
    """A clean export of that many rows."""
    import duckdb

    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        con.execute(f"COPY ({_SHAPES[table].format(rows=rows)}) TO '{path}' (HEADER)")


def copy(path: Path, scratch: Path) -> int:
    """DuckDB's own: types guessed, nothing checked."""
    import duckdb

    with duckdb.connect() as con:
        con.execute("SET preserve_insertion_order = false")
        con.execute(f"SET threads = {len(os.sched_getaffinity(0))}")
        found = con.execute(f"COPY (SELECT * FROM read_csv('{path}')) TO '{scratch}/copy.parquet' (FORMAT parquet)")
        row = found.fetchone()
    assert row is not None
    return int(row[0])


def load(path: Path, scratch: Path, table: str) -> int:
    """Ours, into an empty lake."""
    from tenure.connect.files import load
    from tenure.lake.store import Lake

    report = load(Lake(scratch / "lake"), table, path, now=NOW)
    assert report.loaded == report.rows, report
    return report.loaded


def run_one(what: str, table: str, path: Path) -> None:
    """One measured run in this process: seconds, peak megabytes and rows on a line."""
    import deltalake
    import duckdb
    import pyarrow.parquet

    from tenure.connect.files import loading

    del deltalake, duckdb, pyarrow, loading  # imports are paid once, not per row
    scratch = Path(tempfile.mkdtemp(dir=path.parent))
    try:
        began = time.perf_counter()
        rows = copy(path, scratch) if what == "copy" else load(path, scratch, table)
        seconds = time.perf_counter() - began
    finally:
        shutil.rmtree(scratch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seconds} {peak} {rows}")


def measure(what: str, table: str, path: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of one run in a process of its own."""
    command = [sys.executable, __file__, "--one", what, table, str(path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(said[0]), float(said[1])


def main() -> None:
    """Measure every table at 1x and 10x, the two kinds of run taking turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=int(os.environ.get("TENURE_BENCH_ROWS", "1000000")), help="1x")
    parser.add_argument("--runs", type=int, default=int(os.environ.get("TENURE_BENCH_RUNS", "3")))
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--one", nargs=3, metavar=("WHAT", "TABLE", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        run_one(asked.one[0], asked.one[1], Path(asked.one[2]))
        return
    print(f"{'table':20} {'rows':>11} {'file':>8} {'copy':>8} {'load':>8} {'share':>6} {'load rows/s':>12} {'peak':>8}")
    with tempfile.TemporaryDirectory(prefix="tenure-bench-") as folder:
        for table in asked.tables:
            seconds: dict[int, float] = {}
            for rows in (asked.rows, 10 * asked.rows):
                path = Path(folder) / f"{table}_{rows}.csv"
                write_csv(table, rows, path)
                runs = [(measure("copy", table, path), measure("load", table, path)) for _ in range(asked.runs)]
                copied = statistics.median(run[0][0] for run in runs)
                loaded = statistics.median(run[1][0] for run in runs)
                peak = max(run[1][1] for run in runs)
                seconds[rows] = loaded
                print(
                    f"{table:20} {rows:>11,} {path.stat().st_size / 1e6:>5,.0f} MB {copied:>6.2f} s {loaded:>6.2f} s "
                    f"{copied / loaded:>5.0%} {rows / loaded:>12,.0f} {peak:>5,.0f} MB"
                )
                path.unlink()
            growth = seconds[10 * asked.rows] / seconds[asked.rows]
            print(f"{table:20} ten times the rows cost {growth:.1f} times the time")


if __name__ == "__main__":
    main()
