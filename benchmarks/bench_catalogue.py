"""Does the rest of the catalogue cost at most as much more as there are more rows? Renewals to usage, once at 1x and 10x.

    python benchmarks/bench_catalogue.py [--states 1000000] [--lines 1000000] [--usage 10000000] [--orders 1000000]
                                         [--runs 1] [--only states lines usage orders]

The sizes are those of 1x; each is followed by ten times as much. Facts come from facts_at_scale.py and
events_at_scale.py, straight into a lake. Every run is a process of its own; printed are the median of wall seconds and
of peak memory, beside the hand-written DuckDB statement of the same main sum, where one is reasonable ('-' where not):
it reads the same files, knows what the product has to find out (one currency, no corrections, no trials), and answers only the sum, not what stands beside it.
The imports of a process are paid before the clock starts. `growth` is the time of 10x over that of 1x.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
YEAR: dict[str, Any] = {"since": "2025-01", "until": "2025-12"}

# --------------------------------------------------------------------------------- by hand: the sum, and nothing else

_MONTHLY = (
    "CASE WHEN status = 'canceled' THEN 0 ELSE CASE interval WHEN 'year' THEN (amount_minor * 500000 + 3) // 6 "
    "WHEN 'quarter' THEN (amount_minor * 2000000 + 3) // 6 ELSE amount_minor * 1000000 END END"
)
_STANDING = f"""
SELECT count(*), sum(mrr) FROM (
 SELECT arg_max({_MONTHLY}, effective_at) AS mrr FROM {{subscription_states}}
 WHERE effective_at < TIMESTAMPTZ '2026-01-01' GROUP BY subscription_id, item_id
) WHERE mrr > 0
"""
_USED = """
SELECT date_trunc('month', service_end - INTERVAL 1 MICROSECOND) AS month, sum(amount_minor), count(DISTINCT customer_id)
FROM {invoice_lines} WHERE kind = 'usage' GROUP BY month ORDER BY month
"""
_REBUILT = """
COPY (
 SELECT subscription_id, item_id, service_start, quantity, amount_minor FROM (
  SELECT subscription_id, item_id, service_start, quantity, amount_minor,
   lag(amount_minor) OVER o AS was, lag(service_end) OVER o AS until, lead(service_start) OVER o AS next
  FROM {invoice_lines} WHERE kind = 'recurring' AND NOT is_proration
  WINDOW o AS (PARTITION BY subscription_id, item_id ORDER BY service_start)
 ) WHERE was IS DISTINCT FROM amount_minor OR until < service_start OR next IS NULL
) TO '{scratch}/states.parquet' (FORMAT parquet, COMPRESSION zstd)
"""
_SEATS = """
WITH w AS (SELECT unnest(range(TIMESTAMPTZ '2025-02-01', TIMESTAMPTZ '2026-01-02', INTERVAL 1 MONTH)) AS ends)
SELECT ends, sum(n) FROM (
 SELECT w.ends, i.customer_id, count(DISTINCT u.contact_id) AS n
 FROM {usage} AS u JOIN w ON u.happened_at >= w.ends - INTERVAL 30 DAY AND u.happened_at < w.ends
 JOIN {identities} AS i ON i.external_id = u.customer_id
 WHERE u.happened_at >= TIMESTAMPTZ '2025-01-01' AND u.contact_id IS NOT NULL GROUP BY w.ends, i.customer_id
) GROUP BY ends ORDER BY ends
"""
_COVERED = """
SELECT day, sum(n), count(DISTINCT customer_id) FROM (
 SELECT u.happened_at // 86400000000 AS day, i.customer_id, count(*) AS n
 FROM (SELECT epoch_us(happened_at) AS happened_at, customer_id FROM {usage}) AS u
 LEFT JOIN {identities} AS i ON i.external_id = u.customer_id GROUP BY day, i.customer_id
) GROUP BY day ORDER BY day
"""
_MATCHED = """
SELECT count(*), count(i.customer_id), count(DISTINCT u.customer_id) FROM {usage} AS u
LEFT JOIN {identities} AS i ON i.external_id = u.customer_id AND i.system = 'product'
"""
_DAYS = "SELECT DISTINCT customer_id, ordered_at::DATE AS day FROM {orders} WHERE kind = 'sale'"
_GAPS = f"""
SELECT gap, count(*) FROM (
 SELECT lead(day) OVER (PARTITION BY customer_id ORDER BY day) - day AS gap FROM ({_DAYS})
) GROUP BY gap ORDER BY gap
"""
_LAPSED = f"""
SELECT date_trunc('month', day + 79) AS month, count(*) FROM (
 SELECT day, lead(day) OVER (PARTITION BY customer_id ORDER BY day) AS next FROM ({_DAYS})
) WHERE next IS NULL OR next - day > 78 GROUP BY month ORDER BY month
"""
_RFM = """
SELECT r, f, m, count(*), sum(money) FROM (
 SELECT ntile(5) OVER (ORDER BY last) AS r, ntile(5) OVER (ORDER BY days) AS f, ntile(5) OVER (ORDER BY money) AS m, money
 FROM (SELECT max(ordered_at) AS last, count(DISTINCT ordered_at::DATE) AS days, sum(amount_minor) AS money
  FROM {orders} GROUP BY customer_id)
) GROUP BY r, f, m
"""


# ------------------------------------------------------------------------------------------------------ what is asked


@dataclass(frozen=True)
class Case:
    """One question: what the product does, and the statement of its main sum by hand ('' where none is reasonable)."""

    title: str
    of: str
    ask: Callable[[Any], object]
    hand: str = ""
    writes: bool = False  # changes the lake: each run has a lake of its own (hard links)


def _buyers_churn(shop: Any) -> object:
    return shop.activity(**YEAR).rows()


def _moves(*names: str, **how: Any) -> Callable[[Any], object]:
    return lambda shop: shop.metrics(*names, **YEAR, **how).rows()


def _flows() -> str:
    """The hand-written statement of bench_metrics: every movement of every month."""
    sys.path.insert(0, str(HERE.parent))
    from bench_metrics import HAND

    return HAND.replace("read_parquet({files})", "{subscription_states}")


CASES: dict[str, Case] = {
    "renewals": Case("renewals, 12 months", "states", lambda shop: shop.renewals(**YEAR).rows()),
    "cmrr": Case("cmrr, 12 months", "states", _moves("cmrr"), _STANDING),
    "cause": Case("mrr_expansion --by cause, 12 months", "states", _moves("mrr_expansion", by="cause"), "flows"),
    "cost": Case("tenure cost, a year", "states", lambda shop: shop.cost(**YEAR).rows(), "flows"),
    "usage_metrics": Case(
        "usage run-rate and its change", "lines", _moves("mrr", "usage_change", "customers", revenue="usage"), _USED
    ),
    "usage_nrr": Case("usage_nrr, usage_churn_rate", "lines", _moves("usage_nrr", "usage_churn_rate"), _USED),
    "rebuild": Case("tenure rebuild", "lines", lambda shop: shop.rebuild(), _REBUILT, writes=True),
    "total": Case("rebuilt, --revenue total", "rebuilt", _moves("mrr", "mrr_expansion", "mrr_churn", revenue="total")),
    "again": Case("rebuild again, nothing new", "rebuilt", lambda shop: shop.rebuild(), _REBUILT, writes=True),
    "seats": Case("seats_used, utilization, 12 months", "usage", _moves("seats_used", "seat_utilization"), _SEATS),
    "coverage": Case("tenure coverage", "usage", lambda shop: shop.coverage(), _COVERED),
    "identities": Case("tenure identities", "usage", lambda shop: shop.matches(), _MATCHED),
    "gaps": Case("buyers gaps", "orders", lambda shop: shop.purchase_gaps(), _GAPS),
    "churn": Case("buyers churn, 12 months", "orders", _buyers_churn, _LAPSED),
    "rfm": Case("buyers rfm", "orders", lambda shop: shop.rfm(), _RFM),
}
MADE_OF = {"states": "states", "lines": "invoice lines", "rebuilt": "invoice lines", "usage": "rows of usage",
           "orders": "orders"}  # fmt: skip


# -------------------------------------------------------------------------------------------------- one run, by itself


def alone(way: str, name: str, folder: Path) -> None:
    """One way of one case in this process: prints wall seconds and peak GB."""
    import deltalake
    import duckdb
    import pyarrow.parquet

    import tenure

    del deltalake, pyarrow
    case = CASES[name]
    if way == "product":
        with tenure.open(folder) as shop:
            began = time.perf_counter()
            case.ask(shop)
            wall = time.perf_counter() - began
    else:
        sql = _flows() if case.hand == "flows" else case.hand
        from tenure.lake.store import Lake

        lake = Lake(folder / "lake")
        sources = {table: f"read_parquet({list(lake.snapshot(table).files)})" for table in lake.tables()}
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        began = time.perf_counter()
        connection.execute(sql.format(scratch=folder, **sources)).fetchall()
        wall = time.perf_counter() - began
    print(f"{wall} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}")


def measured(way: str, name: str, folder: Path, runs: int) -> tuple[float, float]:
    """Medians of seconds and peak GB over fresh processes."""
    found = []
    for _ in range(runs):
        place = folder
        if CASES[name].writes:
            place = folder.with_name(f"{folder.name}-own")
            shutil.copytree(folder, place, copy_function=os.link)
        command = [sys.executable, str(HERE), "--alone", way, name, str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{way} of {name} failed:\n{done.stderr[-3000:]}")
        found.append([float(part) for part in done.stdout.splitlines()[-1].split()])
        if place != folder:
            shutil.rmtree(place)
    return statistics.median(each[0] for each in found), statistics.median(each[1] for each in found)


def made(kind: str, folder: Path, rows: int) -> int:
    """A workspace with about that many rows of a kind; how many they are. In a process of its own."""
    import tenure

    tenure.open(folder, create=True, timezone="UTC", currency="USD").close()
    script = [str(HERE.with_name("facts_at_scale.py"))]
    if kind != "states":
        script = [str(HERE.with_name("events_at_scale.py")), "lines" if kind == "rebuilt" else kind]
    command = [sys.executable, *script, str(folder / "lake"), "--rows", str(rows)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if kind == "rebuilt":
        # In a process of its own too: a child starts with the peak memory of its parent.
        subprocess.run(
            [sys.executable, str(HERE), "--alone", "product", "rebuild", str(folder)], check=True, capture_output=True
        )
    return int(said.split()[0].replace(",", ""))


def main() -> None:
    """Makes the facts of each kind at 1x and 10x, runs everything, prints a table for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind, rows in (("states", 1_000_000), ("lines", 1_000_000), ("usage", 10_000_000), ("orders", 1_000_000)):
        parser.add_argument(f"--{kind}", type=int, default=rows, help=f"1x of {MADE_OF[kind]} ({rows:,})")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=("states", "lines", "usage", "orders"))
    parser.add_argument("--cases", nargs="+", choices=CASES)
    parser.add_argument("--alone", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        alone(asked.alone[0], asked.alone[1], Path(asked.alone[2]))
        return
    for kind in ("states", "lines", "rebuilt", "usage", "orders"):
        size = "lines" if kind == "rebuilt" else kind
        names = [name for name, case in CASES.items() if case.of == kind and name in (asked.cases or CASES)]
        if not names or (asked.only and size not in asked.only):
            continue
        small: dict[str, float] = {}
        for rows in (getattr(asked, size), 10 * getattr(asked, size)):
            with tempfile.TemporaryDirectory(prefix="tenure-bench-") as scratch:
                folder = Path(scratch) / "shop"
                there = made(kind, folder, rows)
                print(f"\n{there:,} {MADE_OF[kind]}", flush=True)
                print(f"{'':36}{'wall s':>9}{'peak GB':>9}{'by hand s':>11}{'ratio':>8}{'growth':>8}")
                for name in names:
                    wall, peak = measured("product", name, folder, asked.runs)
                    hand = measured("hand", name, folder, asked.runs)[0] if CASES[name].hand else None
                    beside = f"{'-':>11}{'-':>8}" if hand is None else f"{hand:>11.2f}{wall / hand:>7.1f}x"
                    grown = f"{wall / small[name]:>7.1f}x" if name in small else ""
                    print(f"{CASES[name].title:36}{wall:>9.2f}{peak:>9.2f}{beside}{grown}", flush=True)
                    small.setdefault(name, wall)


if __name__ == "__main__":
    main()
