"""How near does the product come to what can be known? A whole company with known chances: `backtest` and `value`.

    python benchmarks/bench_oracle.py [--customers 20000] [--months 16] [--seed 1] [--season 0.0]

The company is that of tests/rules/known_company.py: facts in a workspace, and behind them each customer's true chance to
decide to leave in each month, so no one can foretell better than those chances. `tenure backtest --step 6` is run twice,
without a gap and with the week of lead that is the default. By month: who left, the true chances over those said (which
knows no luck of the draw), the slope of true on said log odds, and the share of the log-loss gain from the base rate to
the truth that the model has. Then the lifetime value of everybody over 36 months beside what they will pay, and the null
world, in which all have one chance.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from tests.rules.known_company import beside_the_oracle, simulate

AHEAD = 36


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=20_000, help="who ever came (20,000)")
    parser.add_argument("--months", type=int, default=16, help="months of history beside the twelve it settles in (16)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--season", type=float, default=0.0, help="how far log odds swing over the year (0)")
    options = parser.parse_args()
    from tenure.predict.features_refused import auc

    started = time.perf_counter()
    known = simulate(options.customers, options.months, options.seed, ahead=AHEAD, season=options.season)
    with tempfile.TemporaryDirectory(prefix="tenure-oracle-") as folder:
        shop = known.opened(Path(folder) / "shop")
        for gap in (0, 7):
            told = shop.backtest(gap=gap, step=6, draws=50, threads=1)
            truth = known.truths(told.replayed.cut_off, told.replayed.customer)
            oracle = auc(truth, told.replayed.left)
            own = auc(told.replayed.said["model"], told.replayed.left)
            leavers = ", ".join(f"{origin.leavers:,}" for origin in told.replayed.origins)
            print(
                f"\ngap {gap} days; AUC of the truth {oracle:.3f}, of the model {own:.3f}; made from {leavers} leavers"
            )
            print(
                f"{'month':10s} {'looks':>8s} {'left':>7s} {'left/said':>9s} {'true/said':>9s} {'slope':>6s} {'gain':>5s}"
            )
            for one in beside_the_oracle(told.replayed, truth):
                name = "all" if one.month is None else f"{one.month:%Y-%m}"
                print(
                    f"{name:10s} {one.rows:8,d} {one.left:7,d} {one.left_to_said:9.3f} {one.true_to_said:9.3f} "
                    f"{one.slope:6.3f} {one.gain:5.0%}"
                )
        (line,) = shop.value(months=AHEAD).lines
        paid = 0.8 * float(known.paid(AHEAD) @ 1.1 ** (-np.arange(AHEAD) / 12)) / 100
        print(
            f"\nlifetime value of {line.customers:,} customers over {AHEAD} months: {line.value:,.0f} "
            f"({line.low:,.0f} to {line.high:,.0f}), they pay {paid:,.0f}: {float(line.value) / paid:.3f}"
        )
        shop.close()
        null = simulate(options.customers // 2, options.months, options.seed + 1, strength=0.0)
        shop = null.opened(Path(folder) / "null")
        told = shop.backtest(gap=7, step=6, draws=200, threads=1)
        lift = told.judged["model"]["top_decile_lift"]
        print(
            f"null world: lift {lift.value:.2f} ({lift.low:.2f} to {lift.high:.2f}); in service: {told.verdict.in_service}"
        )
        shop.close()
    print(f"{time.perf_counter() - started:,.0f} s")


if __name__ == "__main__":
    main()
