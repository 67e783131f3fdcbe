"""How fast are the metrics? Eighteen metrics over 36 months, beside what one would write by hand for this one data set.

    python benchmarks/bench_metrics.py [--rows 10000000] [--runs 3] [--quick]

In one run, each in a fresh process, on the same Parquet files: the product (`shop.metrics`), the best DuckDB statement
we could write by hand for the same answers (it knows that there is one currency and neither trial nor pause), Polars
(lazy, streaming) and pandas. All four must give the same movements, customers and retention, or the benchmark stops.
Printed: median wall seconds, processor seconds, peak memory, the ratio to the hand-written statement, the cost of
corrected rows, and growth from a tenth of the rows to all. About a quarter of an hour at ten million states on two
cores; --quick takes a million.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
NAMES = (
    "mrr", "mrr_new", "mrr_expansion", "mrr_contraction", "mrr_churn", "mrr_reactivation", "customers",
    "paying_customers", "customers_new", "customers_churned", "customers_reactivated", "customer_churn_rate", "gross_mrr_churn_rate",
    "net_mrr_churn_rate", "nrr", "grr", "quick_ratio", "arpa",
)  # fmt: skip
# What all four are held to, per month: flows in 10^-6 minor units, counts of events, what those of the start lost.
SHARED = ("new", "react", "expansion", "contraction", "churn", "n_new", "n_react", "n_churned", "net", "loss", "lost")

HAND = """
WITH s AS (
 SELECT customer_id AS c, subscription_id AS sub, item_id AS item, epoch_us(effective_at) AS ts,
  CASE WHEN status = 'canceled' THEN 0 ELSE CASE interval WHEN 'year' THEN (amount_minor * 500000 + 3) // 6
   WHEN 'quarter' THEN (amount_minor * 2000000 + 3) // 6 ELSE amount_minor * 1000000 END END AS m
 FROM read_parquet({files}) WHERE effective_at < TIMESTAMPTZ '2026-01-01'
), i AS (
 SELECT c, ts, m - coalesce(lag(m) OVER (PARTITION BY sub, item ORDER BY ts), 0) AS d FROM s QUALIFY d <> 0
), w AS (
 SELECT c, ts, d, CAST(sum(d) OVER o AS BIGINT) AS bal, lag(ts) OVER o AS prev_ts, lead(ts) OVER o AS next_ts
 FROM i WINDOW o AS (PARTITION BY c ORDER BY ts ROWS UNBOUNDED PRECEDING)
), j AS MATERIALIZED (
 SELECT c, ts, bal, bal - d AS bal0, prev_ts IS NULL AS first,
  coalesce(ts // 86400000000 = prev_ts // 86400000000 AND (ts - prev_ts <= 3600000000 OR bal = d), false) AS joins_prev,
  coalesce(ts // 86400000000 = next_ts // 86400000000 AND (next_ts - ts <= 3600000000 OR bal = 0), false) AS joins_next
 FROM w
), g AS (
 SELECT c, ts, bal0, bal AS bal1, first FROM j WHERE NOT joins_prev AND NOT joins_next
 UNION ALL
 SELECT c, ts, bal0, bal1, first FROM (
   SELECT c, joins_next, joins_prev, bal0, first, lead(bal) OVER o AS bal1, lead(ts) OVER o AS ts FROM j
   WHERE joins_prev <> joins_next WINDOW o AS (PARTITION BY c ORDER BY ts, joins_prev)
 ) WHERE joins_next AND NOT joins_prev
), m AS MATERIALIZED (
 SELECT c, ts, bal0, bal1, first, date_trunc('month', make_timestamp(ts))::DATE AS month FROM g
), flows AS (
 SELECT month, sum(bal1 - bal0) FILTER (bal0 = 0 AND bal1 > 0 AND first) AS new,
   sum(bal1) FILTER (bal0 = 0 AND bal1 > 0 AND NOT first) AS react,
   sum(bal1 - bal0) FILTER (bal0 > 0 AND bal1 > 0 AND bal1 > bal0) AS expansion,
   sum(bal0 - bal1) FILTER (bal0 > 0 AND bal1 > 0 AND bal1 < bal0) AS contraction,
   sum(bal0) FILTER (bal0 > 0 AND bal1 = 0) AS churn, count(*) FILTER (bal0 = 0 AND bal1 > 0 AND first) AS n_new,
   count(*) FILTER (bal0 = 0 AND bal1 > 0 AND NOT first) AS n_react,
   count(*) FILTER (bal0 > 0 AND bal1 = 0) AS n_churned
 FROM m GROUP BY month
), cm AS (
 SELECT month, c, min_by(bal0, ts) AS opening, max_by(bal1, ts) AS closing FROM m GROUP BY month, c
), kept AS (
 SELECT month, sum(closing - opening) AS net, sum(greatest(opening - closing, 0)) AS loss,
   count(*) FILTER (closing = 0) AS lost FROM cm WHERE opening > 0 GROUP BY month
)
SELECT strftime(month, '%Y-%m') AS month, * EXCLUDE (month) FROM flows LEFT JOIN kept USING (month) ORDER BY 1
"""


def by_product(lake: Path) -> dict[str, dict[str, int]]:
    """The product's answer, as exact integers per month."""
    import tenure

    with tenure.open(lake.parent, create=True) as shop:
        rows = shop.metrics(*NAMES, since="2023-01", until="2025-12", known_on="2026-03-31").rows(exact=True)
    by: dict[str, dict[str, Any]] = {}
    for row in rows:
        by.setdefault(row["period_start"][:7], {})[row["metric"]] = row
    found = {}
    for month, told in by.items():

        def value(name: str, told: dict[str, Any] = told) -> int:
            return int(told[name]["value"] or 0)

        nrr, grr, lost = told["nrr"], told["grr"], told["customer_churn_rate"]
        found[month] = {
            "new": value("mrr_new"), "react": value("mrr_reactivation"), "expansion": value("mrr_expansion"),
            "contraction": value("mrr_contraction"), "churn": value("mrr_churn"), "n_new": value("customers_new"),
            "n_react": value("customers_reactivated"), "n_churned": value("customers_churned"),
            "net": int((nrr["numerator"] or 0) - (nrr["denominator"] or 0)),
            "loss": int((grr["denominator"] or 0) - (grr["numerator"] or 0)), "lost": int(lost["numerator"] or 0),
        }  # fmt: skip
    return found


def by_hand(lake: Path) -> dict[str, dict[str, int]]:
    """The hand-written statement's answer."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    rows = connection.execute(HAND.format(files=[str(f) for f in _files(lake)])).to_arrow_table().to_pylist()
    return {row["month"]: {name: int(row[name] or 0) for name in SHARED} for row in rows}


def by_polars(lake: Path) -> dict[str, dict[str, int]]:
    """The same answers in Polars' lazy API."""
    import polars as pl

    day, hour = 86_400_000_000, 3_600_000_000
    monthly = (
        pl.when(pl.col("status") == "canceled").then(0)
        .when(pl.col("interval") == "year").then((pl.col("amount_minor") * 500_000 + 3) // 6)
        .when(pl.col("interval") == "quarter").then((pl.col("amount_minor") * 2_000_000 + 3) // 6)
        .otherwise(pl.col("amount_minor") * 1_000_000)
    )  # fmt: skip
    states = (
        pl.scan_parquet([str(f) for f in _files(lake)])
        .select("customer_id", "subscription_id", "item_id", ts=pl.col("effective_at").dt.epoch("us"), m=monthly)
        .sort("subscription_id", "item_id", "ts")
        .with_columns(d=pl.col("m") - pl.col("m").shift(1).over("subscription_id", "item_id").fill_null(0))
        .filter(pl.col("d") != 0)
        .select("customer_id", "ts", "d")
        .sort("customer_id", "ts")
    )
    c = "customer_id"
    walk = states.with_columns(
        bal=pl.col("d").cum_sum().over(c), prev=pl.col("ts").shift(1).over(c), nth=pl.int_range(pl.len()).over(c)
    ).with_columns(bal0=pl.col("bal") - pl.col("d"))
    near = (pl.col("ts") - pl.col("prev") <= hour) | (pl.col("bal0") == 0)
    joins = ((pl.col("ts") // day == pl.col("prev") // day) & near).fill_null(False)
    groups = (
        walk.with_columns(g=(~joins).cum_sum().over(c))
        .group_by(c, "g")
        .agg(
            bal0=pl.col("bal0").first(),
            bal1=pl.col("bal").last(),
            ts=pl.col("ts").last(),
            first=pl.col("nth").min() == 0,
        )
        .with_columns(month=pl.from_epoch("ts", time_unit="us").dt.strftime("%Y-%m"))
        .collect(engine="streaming")
    )
    a, b, first = pl.col("bal0"), pl.col("bal1"), pl.col("first")
    up, both, gone = (a == 0) & (b > 0), (a > 0) & (b > 0), (a > 0) & (b == 0)
    flows = groups.group_by("month").agg(
        new=b.filter(up & first).sum(), react=b.filter(up & ~first).sum(),
        expansion=(b - a).filter(both & (b > a)).sum(),
        contraction=(a - b).filter(both & (b < a)).sum(), churn=a.filter(gone).sum(), n_new=(up & first).sum(),
        n_react=(up & ~first).sum(), n_churned=gone.sum(),
    )  # fmt: skip
    ends = groups.sort("ts").group_by("month", c).agg(opening=a.first(), closing=b.last()).filter(pl.col("opening") > 0)
    change = pl.col("closing") - pl.col("opening")
    kept = ends.group_by("month").agg(
        net=change.sum(), loss=(-change).clip(lower_bound=0).sum(), lost=(pl.col("closing") == 0).sum()
    )
    rows = flows.join(kept, on="month", how="left").to_dicts()
    return {row["month"]: {name: int(row[name] or 0) for name in SHARED} for row in rows}


def by_pandas(lake: Path) -> dict[str, dict[str, int]]:
    """The same answers in pandas."""
    import numpy as np
    import pandas as pd

    columns = ["customer_id", "subscription_id", "item_id", "effective_at", "status", "interval", "amount_minor"]
    s = pd.concat([pd.read_parquet(f, columns=columns) for f in _files(lake)], ignore_index=True)
    for name in ("customer_id", "subscription_id", "item_id", "status", "interval"):
        s[name] = s[name].astype("category")
    s["ts"] = s.pop("effective_at").astype("datetime64[us, UTC]").astype("int64")
    amount = s["amount_minor"].to_numpy()
    year, quarter = s["interval"] == "year", s["interval"] == "quarter"
    s["m"] = np.select(
        [s["status"] == "canceled", year, quarter],
        [0, (amount * 500_000 + 3) // 6, (amount * 2_000_000 + 3) // 6],
        amount * 1_000_000,
    )
    s = s.sort_values(["subscription_id", "item_id", "ts"])
    keys = [s["subscription_id"], s["item_id"]]
    s["d"] = s["m"] - s.groupby(keys, observed=True)["m"].shift(1).fillna(0).astype("int64")
    e = s.loc[s["d"] != 0, ["customer_id", "ts", "d"]].sort_values(["customer_id", "ts"], kind="stable")
    by = e.groupby("customer_id", observed=True)
    e["bal"], e["prev"], e["nth"] = by["d"].cumsum(), by["ts"].shift(1), by.cumcount()
    e["bal0"] = e["bal"] - e["d"]
    day, hour = 86_400_000_000, 3_600_000_000
    joins = (e["ts"] // day == e["prev"] // day) & ((e["ts"] - e["prev"] <= hour) | (e["bal0"] == 0))
    e["g"] = (~joins).cumsum()
    g = e.groupby("g").agg(c=("customer_id", "first"), bal0=("bal0", "first"), bal1=("bal", "last"), ts=("ts", "last"),
                           nth=("nth", "min"))  # fmt: skip
    g["month"] = pd.to_datetime(g["ts"], unit="us").dt.strftime("%Y-%m")
    a, b, first = g["bal0"], g["bal1"], g["nth"] == 0
    up, both, gone = (a == 0) & (b > 0), (a > 0) & (b > 0), (a > 0) & (b == 0)
    parts = {
        "new": b.where(up & first, 0), "react": b.where(up & ~first, 0), "expansion": (b - a).where(both & (b > a), 0),
        "contraction": (a - b).where(both & (b < a), 0), "churn": a.where(gone, 0), "n_new": (up & first) * 1,
        "n_react": (up & ~first) * 1, "n_churned": gone * 1,
    }  # fmt: skip
    flows = pd.DataFrame(parts).groupby(g["month"]).sum()
    ends = g.groupby(["month", "c"], observed=True).agg(opening=("bal0", "first"), closing=("bal1", "last"))
    ends = ends[ends["opening"] > 0]
    change = ends["closing"] - ends["opening"]
    told = pd.DataFrame({"net": change, "loss": (-change).clip(lower=0), "lost": (ends["closing"] == 0) * 1})
    table = flows.join(told.groupby("month").sum(), how="left").fillna(0)
    return {str(month): {name: int(row[name]) for name in SHARED} for month, row in table.iterrows()}


WAYS = {"product": by_product, "hand SQL": by_hand, "Polars": by_polars, "pandas": by_pandas}


def _files(lake: Path) -> list[str]:
    from tenure.lake.store import Lake

    return list(Lake(lake).snapshot("subscription_states").files)


def alone(way: str, lake: Path) -> None:
    """One way, once, in this process: prints its answer, seconds and memory as JSON."""
    began = time.perf_counter()
    answer = WAYS[way](lake)
    wall = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {"answer": answer, "wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 2**20}
    print(json.dumps(told))


def measured(way: str, lake: Path, runs: int) -> dict[str, Any]:
    """Medians over fresh processes."""
    found = []
    for _ in range(runs):
        done = subprocess.run([sys.executable, str(HERE), "--alone", way, "--lake", str(lake)],
                              capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{way} failed:\n{done.stderr[-2000:]}")
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return {
        "answer": found[0]["answer"],
        **{k: statistics.median(f[k] for f in found) for k in ("wall", "cpu", "peak")},
    }


def compare(lake: Path, runs: int, ways: list[str]) -> dict[str, dict[str, Any]]:
    """All ways on one lake, held to the hand-written statement's answers."""
    found = {way: measured(way, lake, 1 if way == "pandas" else runs) for way in ways}
    expected = found["hand SQL"]["answer"]
    for way, told in found.items():
        for month, values in expected.items():
            for name, value in values.items():
                if told["answer"][month][name] != value:
                    raise SystemExit(
                        f"{way} and the hand SQL differ: {month} {name} {told['answer'][month][name]} {value}"
                    )
    return found


def main() -> None:
    """Makes the facts, runs everything, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a million rows at most, and no growth")
    parser.add_argument("--alone", choices=WAYS)
    parser.add_argument("--lake", type=Path)
    arguments = parser.parse_args()
    if arguments.alone:
        alone(arguments.alone, arguments.lake)
        return
    sizes = [min(arguments.rows, 1_000_000)] if arguments.quick else [arguments.rows // 10, arguments.rows]
    walls = {}
    with tempfile.TemporaryDirectory(prefix="tenure-bench-") as folder:
        for rows in sizes:
            places = {}
            for kind, share in (("plain", 0.0), ("corrected", 0.01)):
                places[kind] = Path(folder) / f"{kind}-{rows}"
                subprocess.run([sys.executable, str(HERE.with_name("facts_at_scale.py")), str(places[kind] / "lake"), "--rows",
                                str(rows), "--corrected", str(share)], check=True, capture_output=True)  # fmt: skip
            found = compare(places["plain"] / "lake", arguments.runs, list(WAYS))
            corrected = measured("product", places["corrected"] / "lake", arguments.runs)
            print(f"\n{rows:,} states, 36 months, {len(NAMES)} metrics; all four gave the same answers")
            print(f"{'':22}{'wall s':>9}{'cpu s':>9}{'peak GB':>9}{'of hand SQL':>13}")
            for way, told in [*found.items(), ("product, 1 % corrected", corrected)]:
                ratio = told["wall"] / found["hand SQL"]["wall"]
                print(f"{way:22}{told['wall']:>9.2f}{told['cpu']:>9.2f}{told['peak']:>9.2f}{ratio:>12.2f}x")
            ratio = corrected["wall"] / found["product"]["wall"]
            print(f"corrected rows cost {ratio:.2f}x of the plain ones")
            walls[rows] = found["product"]["wall"]
    if len(walls) == 2:
        small, large = walls.values()
        print(f"\ngrowth of the product from {sizes[0]:,} to {sizes[1]:,} states: {large / small:.1f}x")


if __name__ == "__main__":
    main()
