"""How fast are exact contributions of boosted trees? Beside LightGBM's own `pred_contrib` on the same model.

    python benchmarks/bench_shap.py [--rows 100000] [--trees 100] [--columns 20] [--leaves 31] [--threads 2]

Both give the same numbers, within 1e-9. Tables are made once per model; their time is told by itself and is part of the
ratio. Aim: at least 5x; 10x the rows at most 10x the time of looking up.
"""

from __future__ import annotations

import argparse
import time

import numpy as np


def main() -> None:
    """Prints the table."""
    import lightgbm

    from tenure.predict.contributions import TreeContributions

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    rng = np.random.default_rng(3)
    x = rng.standard_normal((50_000, arguments.columns))
    y = (rng.random(len(x)) < 1 / (1 + np.exp(1 - x[:, 0] - x[:, 1] * x[:, 2]))).astype(int)
    settings = {
        "objective": "binary",
        "num_leaves": arguments.leaves,
        "verbosity": -1,
        "num_threads": arguments.threads,
    }
    booster = lightgbm.train(settings, lightgbm.Dataset(x, y), arguments.trees)
    began = time.perf_counter()
    tables = TreeContributions.of(booster)
    making = time.perf_counter() - began
    size = sum(table.lines.nbytes for table in tables.tables) / 1e6
    print(f"{len(tables.tables)} tables of {size:.0f} MB together made in {making:.2f} s, once per model")
    print(f"{'rows':>10}{'ours s':>9}{'with tables':>13}{'LightGBM s':>12}{'ratio':>8}{'with tables':>13}")
    walls = []
    for rows in (arguments.rows // 10, arguments.rows):
        other = rng.standard_normal((rows, arguments.columns))
        began = time.perf_counter()
        ours = tables.values(other, threads=arguments.threads)
        wall = time.perf_counter() - began
        began = time.perf_counter()
        theirs = booster.predict(other, pred_contrib=True, num_threads=arguments.threads)
        peer = time.perf_counter() - began
        if np.abs(ours - theirs).max() > 1e-9:
            raise SystemExit("the contributions differ")
        walls.append(wall)
        both = wall + making
        print(f"{rows:>10,}{wall:>9.2f}{both:>13.2f}{peer:>12.2f}{peer / wall:>7.1f}x{peer / both:>12.1f}x")
    print(f"10x the rows cost {walls[1] / walls[0]:.1f}x")


if __name__ == "__main__":
    main()
