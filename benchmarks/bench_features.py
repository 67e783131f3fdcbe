"""What do features of everybody cost, and scores with reasons? 1x and 10x, beside SQL by hand and LightGBM's own parts.

    python benchmarks/bench_features.py [--customers 100000] [--times 1 10] [--runs 1]

A hundred rows of usage a customer over three years (benchmarks/events_at_scale.py), one or two states of a subscription
each, named in the product's own way in the usage. Every figure comes from a process of its own: seconds, those of the
processors in it (growth is theirs, for a busy machine changes them little), and the largest memory it ever held. 1x is 100,000 customers and 10 million rows of usage, 10x the million and the hundred million.

features    `predict.features` as of the last day: every feature that subscriptions and usage allow
by hand     DuckDB, the same columns of usage, MRR, seats and tenure in one statement, and no question of what was known
scores      for as many as there are customers (the live ones, repeated): chances by cause, and the three facts that move
            each most, from the model made at 1x
LightGBM    of the same rows: its own predict and predict(pred_contrib=True), on 20,000 of them, scaled up
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).absolute()
EACH = 100
DAY, HORIZON = "2025-12-31", 30
SAMPLE = 20_000

# What the catalogue says, written as an analyst would for this company alone.
_BY_HAND = """
WITH now AS (SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AS t),
live AS (
 SELECT customer_id, arg_max(status, effective_at) AS status, arg_max(amount_minor, effective_at) AS mrr,
  arg_max(quantity, effective_at) AS seats, min(effective_at) FILTER (status = 'active') AS since
 FROM {subscription_states}, now WHERE effective_at < t GROUP BY customer_id HAVING arg_max(status, effective_at) = 'active'
), named AS (
 SELECT external_id, customer_id FROM {identities}
), u AS (
 SELECT n.customer_id, CAST(happened_at AS DATE) AS day, feature, contact_id, quantity,
  happened_at >= t - INTERVAL 28 DAY AS lately, happened_at >= t - INTERVAL 56 DAY AS before
 FROM {usage} AS u, now, named AS n WHERE n.external_id = u.customer_id AND happened_at < t AND happened_at >= t - INTERVAL 180 DAY
), s AS (
 SELECT customer_id, sum(quantity) FILTER (lately) AS use_28, sum(quantity) FILTER (before AND NOT lately) AS use_56,
  count(DISTINCT day) FILTER (lately) AS days_28, count(DISTINCT day) AS days_180, min(day) AS first, max(day) AS last,
  count(DISTINCT feature) FILTER (lately) AS breadth, count(DISTINCT contact_id) FILTER (lately) AS people
 FROM u GROUP BY customer_id
)
SELECT l.customer_id, l.mrr, l.seats, date_diff('day', l.since, t) AS tenure, s.* EXCLUDE (customer_id),
 date_diff('day', s.last, CAST(t AS DATE)) AS silent, (s.use_28 - s.use_56) / nullif(s.use_28 + s.use_56, 0) AS trend,
 s.people / nullif(l.seats, 0) AS seat_use, date_diff('day', s.first, s.last) / nullif(s.days_180 - 1, 0) AS usual
FROM live AS l LEFT JOIN s ON s.customer_id = l.customer_id, now
"""


def made(folder: Path, customers: int) -> None:
    """A workspace with the facts."""
    import tenure

    tenure.open(folder, create=True, timezone="UTC", currency="USD").close()
    script = [str(HERE.with_name("events_at_scale.py")), "usage", str(folder / "lake")]
    rows = ["--rows", str(customers * EACH), "--each", str(EACH)]
    subprocess.run([sys.executable, *script, *rows], check=True, capture_output=True)


def asked(folder: Path) -> tuple[Any, Any]:
    """The features of everybody as of the last day, and the workspace."""
    import tenure
    from tenure.predict.features import features

    shop = tenure.open(folder)
    facts = shop.facts(DAY)
    return features(facts, facts.known_before, shop.definition()), shop


def taught(folder: Path, place: Path) -> None:
    """A model of boosted trees from made-up outcomes of these customers, stored as `tenure fit` stores one."""
    import json

    from tenure.predict.features_training import matrix, tenure_periods
    from tenure.predict.hazards import DiscreteHazard
    from tenure.predict.stored_models import as_data

    told, shop = asked(folder)
    rows = told.table.slice(0, 100_000)
    X = matrix(rows, told.features)
    rng = np.random.default_rng(1)
    score = -3 - 0.05 * X["active_days_28d"] + 0.03 * np.nan_to_num(X["silent_days"]) + 0.02 * X["seats"]
    left = rng.random(rows.num_rows) < 1 / (1 + np.exp(-score))
    model = DiscreteHazard(learner="boosted").fit(X, tenure_periods(rows, HORIZON), left)
    shop.close()
    place.write_text(json.dumps({"model": as_data(model), "features": [each.name for each in told.features]}))


def alone(way: str, folder: Path, place: Path, many: int) -> None:
    """One way in this process: prints wall seconds, peak GB and rows."""
    import deltalake
    import duckdb
    import pyarrow.parquet

    del deltalake, pyarrow
    if way == "model":
        taught(folder, place)
        return
    if way == "features":
        clock = _Clock()
        told, shop = asked(folder)
        wall, used = clock.read()
        rows = told.table.num_rows
        shop.close()
    elif way == "by hand":
        from tenure.lake.store import Lake

        lake = Lake(folder / "lake")
        sources = {table: f"read_parquet({list(lake.snapshot(table).files)})" for table in lake.tables()}
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        clock = _Clock()
        rows = connection.execute(_BY_HAND.format(**sources)).to_arrow_table().num_rows
        wall, used = clock.read()
    else:
        wall, used, rows = _scored(way, folder, place, many)
    print(f"{wall} {used} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20} {rows}")


class _Clock:
    """Seconds on the wall, and of the processors in this process."""

    def __init__(self) -> None:
        self.wall, self.used = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall, time.process_time() - self.used


def _scored(way: str, folder: Path, place: Path, many: int) -> tuple[float, float, int]:
    import json

    from tenure.predict.features_catalogue import BY_NAME
    from tenure.predict.features_training import matrix, scored, tenure_periods
    from tenure.predict.reasons import spoken
    from tenure.predict.stored_models import from_data

    read = json.loads(place.read_text())
    model, features = from_data(read["model"]), tuple(BY_NAME[name] for name in read["features"])
    told, shop = asked(folder)
    shop.close()
    # Four in ten are still customers: repeated, they are as many as ever came.
    table = told.table.take(np.arange(many) % told.table.num_rows)
    if way == "scores":
        clock = _Clock()
        scored(model, table, features, HORIZON)
        spoken(model, table, features, HORIZON)
        return *clock.read(), table.num_rows
    part = table.slice(0, SAMPLE)
    x = np.column_stack([model.encoder_.transform(dict(matrix(part, features))), tenure_periods(part, HORIZON)])
    clock = _Clock()
    model.model_.booster_.predict(x, raw_score=True)  # type: ignore[attr-defined]
    model.model_.booster_.predict(x, pred_contrib=True)  # type: ignore[attr-defined]
    wall, used = clock.read()
    return wall * table.num_rows / len(x), used * table.num_rows / len(x), table.num_rows


def measured(way: str, folder: Path, place: Path, runs: int, many: int) -> tuple[float, float, float, int]:
    """Medians of seconds, processor seconds (all of the process) and peak GB; the customers answered for."""
    found = []
    for _ in range(runs):
        command = [sys.executable, str(HERE), "--alone", way, str(folder), str(place), str(many)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{way} failed:\n{done.stderr[-3000:]}")
        if way == "model":
            return 0.0, 0.0, 0.0, 0
        found.append([float(part) for part in done.stdout.splitlines()[-1].split()])
    wall, used, peak = (statistics.median(each[i] for each in found) for i in range(3))
    return wall, used, peak, int(found[0][3])


def main() -> None:
    """Makes the facts of each size, runs everything, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000, help="at 1x (100,000)")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="where the facts are made (a temporary folder)")
    parser.add_argument("--alone", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        way, folder, place, many = options.alone
        alone(way, Path(folder), Path(place), int(many))
        return
    first: dict[str, float] = {}
    print(
        f"{'':10s} {'customers':>10s} {'usage rows':>12s} {'live':>10s} {'seconds':>8s} {'cpu':>7s} {'GB':>5s} {'growth':>7s}"
    )
    with tempfile.TemporaryDirectory(prefix="tenure-features-", dir=options.folder) as root:
        place = Path(root) / "model.json"
        for times in options.times:
            folder, customers = Path(root) / f"x{times}", options.customers * times
            made(folder, customers)
            if not place.exists():
                measured("model", folder, place, 1, customers)
            for way in ("features", "by hand", "scores", "LightGBM"):
                wall, used, peak, rows = measured(way, folder, place, options.runs, customers)
                first.setdefault(way, used / times)
                grew = used / first[way] / options.times[0]
                print(
                    f"{way:10s} {customers:10,d} {customers * EACH:12,d} {rows:10,d} {wall:8.1f} {used:7.1f} {peak:5.1f} {grew:6.1f}x",
                    flush=True,
                )


if __name__ == "__main__":
    main()
