"""What does another definition cost, and what a bridge between two? Beside one run of the default metrics.

    python benchmarks/bench_bridge.py [--rows 10000000] [--runs 3] [--no-bridges]

Each in a fresh process, on the same lake: every profile that the facts allow, the default definition right before each
run of it, and the bridge from the default to it, once. A ratio is that of the medians of those pairs, so that a machine
that slows down slows both. Aims: a profile at most 1.2x of the default, a bridge at most 25x of one run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
NAMES = ("mrr", "mrr_churn", "customer_churn_rate", "gross_mrr_churn_rate", "nrr", "customers")
# Recurly's needs invoice lines.
PROFILES = ("stripe", "chartmogul", "baremetrics", "profitwell", "chargebee", "maxio", "paddle")
MONTH = "2025-07"  # 31 days, so that a window of thirty is another


def alone(what: str, folder: Path) -> None:
    """One profile's metrics or one bridge, once, in this process: prints seconds and how many lines as JSON."""
    import tenure

    began = time.perf_counter()
    with tenure.open(folder, create=True) as shop:
        kind, _, profile = what.partition(":")
        if kind == "metrics":
            lines = len(list(shop.metrics(*NAMES, since=MONTH, profile=profile, known_on="2026-03-31")))
        else:
            found = shop.bridge("customer_churn_rate", after=profile, month=MONTH, known_on="2026-03-31")
            if sum(line.amount for line in found.lines) != found.difference:
                raise SystemExit("the lines do not add up")
            lines = len(found.lines)
    print(json.dumps({"wall": time.perf_counter() - began, "lines": lines}))


def once(what: str, folder: Path) -> float:
    """Wall seconds of one fresh process."""
    command = [sys.executable, str(HERE), "--alone", what, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{what} failed:\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["wall"])


def main() -> None:
    """Makes the facts, runs everything, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-bridges", action="store_true")
    parser.add_argument("--alone")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.alone:
        alone(arguments.alone, arguments.folder)
        return
    with tempfile.TemporaryDirectory(prefix="tenure-bench-") as scratch:
        walls = []
        for rows in (arguments.rows // 10, arguments.rows):
            folder = Path(scratch) / str(rows)
            subprocess.run([sys.executable, str(HERE.with_name("facts_at_scale.py")), str(folder / "lake"), "--rows",
                            str(rows)], check=True, capture_output=True)  # fmt: skip
            once("metrics:tenure", folder)  # reads the files into memory
            print(f"\n{rows:,} states, {len(NAMES)} metrics of one month")
            print(f"{'profile':14}{'default s':>10}{'metrics s':>10}{'ratio':>8}{'bridge s':>10}{'ratio':>8}")
            defaults = []
            for profile in PROFILES:
                pairs = [
                    (once("metrics:tenure", folder), once(f"metrics:{profile}", folder)) for _ in range(arguments.runs)
                ]
                default, wall = (statistics.median(side) for side in zip(*pairs, strict=True))
                defaults += [before for before, _ in pairs]
                told = f"{profile:14}{default:>10.2f}{wall:>10.2f}{wall / default:>7.2f}x"
                if not arguments.no_bridges:
                    bridge = once(f"bridge:{profile}", folder)
                    told += f"{bridge:>10.2f}{bridge / default:>7.2f}x"
                print(told, flush=True)
            walls.append(statistics.median(defaults))
    print(f"\ngrowth of the default from a tenth of the rows: {walls[1] / walls[0]:.1f}x")


if __name__ == "__main__":
    main()
