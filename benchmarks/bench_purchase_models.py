"""How fast are the purchase models? BG/NBD and Pareto/NBD beside lifetimes on the same customers, in one run.

    python benchmarks/bench_purchase_models.py                     about ten minutes, most of them the peer's
    python benchmarks/bench_purchase_models.py --grid 100000 --cohorts 20000 --pareto 5000 --runs 3    under a minute

Three jobs: a 39-week cohort on a grid of days (--grid customers), three years of newcomers on a grid of days
(--cohorts), and Pareto/NBD on the latter (--pareto). Both sides get the same arrays, one row per customer. Our time is
everything from arrays to parameters and errors: checks, grouping, all starts. The log-likelihood of the peer's
parameters is worked out anew, on the time of the data. Aims: 80x, 15x and 35x, and nowhere a lower log-likelihood; ten
times the customers at most eleven times the cost. Nothing is compiled; the first call, which imports, stands apart.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

WEEK = 7.0


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def customers(n: int, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequency, recency and age in weeks on a grid of days, by a truth like CDNOW's."""
    from tenure.predict import BetaGeoNBD, ParetoNBD

    rng = np.random.default_rng(39)
    if kind == "39 weeks":
        age = (39 * 7 - rng.integers(0, 84, n)) / WEEK
        made = BetaGeoNBD.of(r=0.243, alpha=4.414, a=0.793, b=2.426).simulate(age, seed=1)
    else:
        age = rng.integers(1, 3 * 365 + 1, n) / WEEK
        truth: Any = BetaGeoNBD.of(r=0.243, alpha=4.414, a=0.793, b=2.426)
        if kind == "Pareto":
            truth = ParetoNBD.of(r=0.553, alpha=10.578, s=0.606, beta=11.669)
        made = truth.simulate(age, seed=1)
    recency = np.minimum(np.ceil(made.recency * WEEK) / WEEK, age)
    return made.frequency, recency, age


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=int, default=1_000_000, help="customers of the 39-week cohort (1,000,000)")
    parser.add_argument("--cohorts", type=int, default=100_000, help="customers of three years (100,000)")
    parser.add_argument("--pareto", type=int, default=100_000, help="customers for Pareto/NBD (100,000)")
    parser.add_argument("--runs", type=int, default=5, help="our runs per line, of which the median counts (5)")
    parser.add_argument("--no-peer", action="store_true", help="ours alone")
    arguments = parser.parse_args()

    def first() -> Any:
        from tenure.predict import BetaGeoNBD, ParetoNBD

        few = np.array([0, 1, 2, 4, 0, 3]), np.array([0, 3, 20, 30, 0, 5.0]), np.full(6, 39.0)
        return BetaGeoNBD().fit(*few), ParetoNBD().fit(*few)

    print(f"first call of both models, imports included: {timed(first)[0]:.2f} s")
    from tenure.predict import BetaGeoNBD, ParetoNBD
    from tenure.predict.histories import Histories

    warnings.simplefilter("ignore")
    peers: dict[str, Any] = {}
    if not arguments.no_peer:
        import lifetimes

        peers = {"BG/NBD": lifetimes.BetaGeoFitter, "Pareto/NBD": lifetimes.ParetoNBDFitter}
    jobs = (
        ("BG/NBD", BetaGeoNBD, "39 weeks", arguments.grid),
        ("BG/NBD", BetaGeoNBD, "3 years", arguments.cohorts),
        ("Pareto/NBD", ParetoNBD, "Pareto", arguments.pareto),
    )
    print(
        f"{'model':<11}{'cohort':<10}{'customers':>10}{'rows kept':>11}{'ours s':>9}{'lifetimes s':>13}{'ratio':>8}"
        f"{'LL less the peer':>18}   median of {arguments.runs}"
    )
    growth: dict[tuple[str, str], list[float]] = {}
    for name, model, kind, most in jobs:
        for n in (most // 10, most):
            history = customers(n, kind)
            runs = [timed(lambda model=model, history=history: model().fit(*history)) for _ in range(arguments.runs)]
            ours, fitted = statistics.median(wall for wall, _ in runs), runs[-1][1]
            growth.setdefault((name, kind), []).append(ours)
            line = f"{name:<11}{kind:<10}{n:>10,}{len(fitted.histories_.weight):>11,}{ours:>9.4f}"
            if name in peers:
                wall, peer = timed(lambda name=name, history=history: peers[name]().fit(*history))
                at = np.log(np.asarray(peer.params_, dtype=np.float64))
                theirs = model()._objective(Histories.of(*history))(at)[0]
                if fitted.log_likelihood_ < theirs - 1e-6:
                    raise SystemExit(
                        f"{name}: the peer's parameters are likelier by {theirs - fitted.log_likelihood_:.6f}"
                    )
                line += f"{wall:>13.3f}{wall / ours:>7.1f}x{fitted.log_likelihood_ - theirs:>18.5f}"
            print(line, flush=True)
    for (name, kind), (small, large) in growth.items():
        print(f"{name}, {kind}: ten times the customers cost {large / small:.1f} times")


if __name__ == "__main__":
    main()
