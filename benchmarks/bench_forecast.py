"""How far can forecasts be trusted, and what do they cost? Made-up companies whose later months are known.

    python benchmarks/bench_forecast.py                 three companies, then 1, 3 and 10 times as many customers
    python benchmarks/bench_forecast.py --companies 12 --customers 3000

Each company is forecast again from every third month on, as known then, and held against what came: the error in percent
(MAPE) beside saying that all stays as it is and that the last six months' change goes on, and how much of what came lay
within the intervals of 80 % and 95 %. A price rise, an incident and a removed feature befall each company; nobody told
the forecast.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import tenure
from tenure.predict.forecast_replay import SHOWN, ForecastReplay
from tenure.simulate.company import Company, simulate

TABLES = ("customers", "subscription_states", "rates", "tickets")
UNTIL = date(2026, 6, 30)


def opened(folder: Path, company: Company) -> Any:
    """The company's facts that a forecast reads, loaded."""
    shop = tenure.open(folder, create=True, currency="USD")
    parts: dict[str, list[pa.Table]] = defaultdict(list)
    for table, rows in simulate(company):
        if table in TABLES:
            parts[table].append(rows)
    for table, rows_ in parts.items():
        file = folder / f"{table}.parquet"
        pq.write_table(pa.concat_tables(rows_, promote_options="default"), file)
        shop.load(table, file)
    return shop


def trusted(companies: int, customers: int, months: int) -> None:
    held, skipped = [], {}
    for seed in range(1, companies + 1):
        with (
            tempfile.TemporaryDirectory() as folder,
            opened(Path(folder) / "shop", Company(customers=customers, months=months, seed=seed, usage="none")) as shop,
        ):
            found = shop.forecast_replay(as_of=UNTIL, step=3, seed=seed)
            held += found.held
            skipped |= found.skipped
    print(
        f"{companies} companies, {customers:,} customers ever, {months} months; {len(held):,} forecasts held against what came"
    )
    print(
        f"{'error of':<10} {'months':>6} {'n':>5} {'forecast':>9} {'as it is':>9} {'trend':>7} {'in 80 %':>8} {'in 95 %':>8}"
    )
    for row in ForecastReplay(tuple(held), skipped).rows():
        ahead = "all" if row["months_ahead"] is None else row["months_ahead"]
        shares = [f"{100 * row[name]:.1f} %" for name in ("mape", "mape_level", "mape_trend")]
        inside = [f"{100 * row[name]:.0f} %" for name in ("inside_80", "inside_95")]
        print(
            f"{row['figure']:<10} {ahead:>6} {row['forecasts']:>5} {shares[0]:>9} {shares[1]:>9} {shares[2]:>7} "
            f"{inside[0]:>8} {inside[1]:>8}"
        )
    assert max(SHOWN) <= 12


def cost(customers: int, months: int, times: tuple[int, ...]) -> None:
    print("\ncost of one forecast of 12 months, with a what-if")
    for factor in times:
        company = Company(customers=customers * factor, months=months, seed=1, usage="none")
        with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "shop", company) as shop:
            begun = time.process_time(), time.perf_counter()
            found = shop.forecast(as_of=UNTIL, what_if="monthly churn -0.5 points")
            spent = time.process_time() - begun[0], time.perf_counter() - begun[1]
            kinds = len(found.book.groups)
            print(
                f"{customers * factor:>9,} customers ever, {found.book.customers.sum():>7,.0f} there, {kinds:>6,} kinds: {spent[0]:6.1f} s of processor, {spent[1]:6.1f} s"
            )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--companies", type=int, default=3)
    asked.add_argument("--customers", type=int, default=1_000)
    asked.add_argument("--months", type=int, default=36)
    asked.add_argument("--times", type=int, nargs="*", default=[1, 3, 10])
    told = asked.parse_args()
    if told.companies:
        trusted(told.companies, told.customers, told.months)
    if told.times:
        cost(told.customers, told.months, tuple(told.times))


if __name__ == "__main__":
    main()
