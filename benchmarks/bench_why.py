"""How long does a whole verdict take? Made-up companies of growing size, and what grows with them.

    python benchmarks/bench_why.py                                   1,000 and 10,000 customers
    python benchmarks/bench_why.py --customers 10000 100000          the full size: 10 million rows of usage, and more
    python benchmarks/bench_why.py --profile                         and where the largest one's time went

Asked are the last 12 of 30 months, the first time in a process, with two threads. The aim is under 60 s for 100,000
customers, and ten times the customers in at most ten times the time. Making and loading a company is not counted; with
--keep FOLDER it is made once.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TABLES = (
    "customers", "traits", "changes", "change_exposures", "rates", "subscription_states", "usage", "tickets", "answers",
    "touches", "competitor_offers", "exposures",
)  # fmt: skip


def made(folder: Path, customers: int) -> None:
    """The company in a workspace, unless it is there already."""
    import tenure
    from tenure.simulate import Company, write

    if (folder / "shop" / "tenure.toml").exists():
        return
    files = write(Company(customers=customers, seed=3), folder / "facts")
    shop = tenure.open(folder / "shop", create=True, currency="USD")
    for table in TABLES:
        for file in files[table]:
            shop.load(table, file)
    shop.close()


def asked(folder: Path, profile: bool) -> None:
    """One verdict, in a process of its own: seconds, memory, and the rows it had to go through."""
    import tenure

    shop = tenure.open(folder / "shop")
    facts = shop.facts("2026-06-30")
    rows = {table: facts.snapshot(table).rows for table in ("usage", "tickets", "touches")}
    began = time.perf_counter()
    if profile:
        import cProfile
        import pstats

        with cProfile.Profile() as told:
            shop.why("verdict", since="2025-07", until="2026-06", known_on="2026-06-30")
        pstats.Stats(told).sort_stats("cumulative").print_stats(45)
    else:
        shop.why("verdict", since="2025-07", until="2026-06", known_on="2026-06-30")
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    counts = " | ".join(f"{rows[table]:,}" for table in rows)
    print(f"{counts} | {seconds:.1f} | {peak:.1f} |")


def main() -> None:
    """Makes, asks and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, nargs="+", default=[1_000, 10_000], help="sizes (1000 10000)")
    parser.add_argument("--keep", type=Path, help="where companies are kept (a folder that is removed)")
    parser.add_argument("--profile", action="store_true", help="print where the largest one's time went")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone is not None:
        asked(arguments.alone, arguments.profile)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        print("| customers ever | usage rows | tickets | messages | verdict, s | memory, GB |")
        print("|---:|---:|---:|---:|---:|---:|", flush=True)
        for customers in arguments.customers:
            made(folder / str(customers), customers)
            command = [sys.executable, __file__, "--alone", str(folder / str(customers))]
            print(f"| {customers:,} | ", end="", flush=True)
            subprocess.run(command, check=True)
        if arguments.profile:
            subprocess.run([*command, "--profile"], check=True)


if __name__ == "__main__":
    main()
