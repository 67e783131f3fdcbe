"""How fast is Cox's model (Efron's ties)? Beside lifelines on the same customers.

    python benchmarks/bench_cox.py [--rows 1000000] [--columns 10] [--runs 3]

Customers with made-up columns, tenures in whole days (many leave on one day) and, a tenth of the customers, in
fractions of them (nobody together). Coefficients, standard errors and log-likelihood must agree. Nothing is compiled, so the first
call costs what the others do. Aim: at least 4x; 10x the rows at most 12x the cost, for sorting is not quite linear.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np


def customers(rows: int, columns: int, days: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((rows, columns))
    life = rng.exponential(300 * np.exp(-x @ np.linspace(-0.4, 0.4, columns)))
    watched = rng.uniform(0, 720, rows)
    end = np.minimum(life, watched)
    return x, np.ceil(end) if days else end, life <= watched


def seconds(work: Callable[[], Any], runs: int) -> tuple[float, Any]:
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        found = work()
        took.append(time.perf_counter() - began)
    return statistics.median(took), found


def main() -> None:
    """Prints the table."""
    import pandas as pd

    from tenure.predict import Cox

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifelines import CoxPHFitter

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(
        f"{'customers':>12}  {'tenures':<10}{'ours s':>9}{'lifelines s':>13}{'ratio':>8}   medians of {arguments.runs}"
    )
    for days in (True, False):
        walls = []
        # lifelines goes through fractions one customer at a time: minutes for a million, so a tenth of them is compared.
        most = arguments.rows if days else arguments.rows // 10
        for rows in (most // 10, most):
            x, end, left = customers(rows, arguments.columns, days)
            frame = pd.DataFrame(x).assign(end=end, left=left)
            frame.columns = frame.columns.astype(str)
            wall, ours = seconds(lambda x=x, end=end, left=left: Cox().fit(x, end, left), arguments.runs)
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                peer, theirs = seconds(lambda frame=frame: CoxPHFitter().fit(frame, "end", "left"), 1)
            far = np.abs(ours.coefficients_ - theirs.params_.to_numpy()).max()
            if far > 1e-5 or ours.log_likelihood_ < theirs.log_likelihood_ - 1e-6:
                raise SystemExit(f"the fits differ by {far}")
            walls.append(wall)
            kind = "days" if days else "fractions"
            print(f"{rows:>12,}  {kind:<10}{wall:>9.3f}{peer:>13.2f}{peer / wall:>7.1f}x")
        print(f"10x the customers cost {walls[1] / walls[0]:.1f}x in {'days' if days else 'fractions'}")


if __name__ == "__main__":
    main()
