"""How often do the intervals of a purchase model's parameters hold the truth? Made-up customers, a fit, and a count.

    python benchmarks/bench_parameter_coverage.py                       500 simulations per model, some minutes
    python benchmarks/bench_parameter_coverage.py --simulations 100 --models BetaGeoNBD GammaGamma

Each simulation makes customers with known parameters and fits them; the 95 % interval comes from the observed
information, symmetric on the scale of logarithms. Coverage should be 93 to 97 %; one standard error of a share of 500
is 1.0 point. The last column is the median of the estimates over the truth. A fit that ends at an edge (a simpler model)
has no interval for the parameter there and counts as a miss. Seeds are fixed.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

LEVEL = 0.95


def cases() -> dict[str, tuple[Any, int, Callable[[Any, int, int], Any]]]:
    """Per model: the truth, how many customers, and one simulation with its fit."""
    from tenure import predict

    # Who is watched for how long is drawn from another stream than what they do, or the two would go together.
    def buyers(truth: Any, n: int, seed: int) -> Any:
        age = np.random.default_rng([seed, 1]).integers(182, 365, n) / 7.0
        made = truth.simulate(age, seed)
        return type(truth)().fit(made.frequency, made.recency, made.age)

    def donors(truth: Any, n: int, seed: int) -> Any:
        made = truth.simulate(np.full(n, 12), seed)
        return type(truth)().fit(made.frequency, made.recency, made.age)

    def spenders(truth: Any, n: int, seed: int) -> Any:
        made = truth.simulate(1 + np.random.default_rng([seed, 1]).geometric(0.3, n), seed)
        return type(truth)().fit(made.frequency, made.value)

    def subscribers(truth: Any, n: int, seed: int) -> Any:
        made = truth.simulate(np.random.default_rng([seed, 1]).integers(4, 13, n), seed)
        return type(truth)().fit(made.periods, made.churned)

    return {
        "BetaGeoNBD": (predict.BetaGeoNBD.of(r=0.6, alpha=6.0, a=0.8, b=2.5), 4000, buyers),
        "ModifiedBetaGeoNBD": (predict.ModifiedBetaGeoNBD.of(r=0.6, alpha=6.0, a=0.8, b=2.5), 4000, buyers),
        "ParetoNBD": (predict.ParetoNBD.of(r=0.6, alpha=6.0, s=0.6, beta=12.0), 4000, buyers),
        "BetaGeoBetaBinomial": (
            predict.BetaGeoBetaBinomial.of(alpha=1.2, beta=0.75, gamma=0.66, delta=2.8), 4000, donors,
        ),
        "GammaGamma": (predict.GammaGamma.of(p=6.25, q=3.74, v=15.44), 2000, spenders),
        "ShiftedBetaGeometric": (predict.ShiftedBetaGeometric.of(alpha=0.7, beta=2.5), 2000, subscribers),
        "BetaDiscreteWeibull": (predict.BetaDiscreteWeibull.of(alpha=0.7, beta=2.5, c=1.4), 10_000, subscribers),
    }  # fmt: skip


def main() -> None:
    """Prints the table."""
    every = cases()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=500, help="per model (500)")
    parser.add_argument("--models", nargs="+", choices=list(every), default=list(every), help="which models (all)")
    arguments = parser.parse_args()
    n = arguments.simulations
    print(
        f"{n} simulations per model, 95 % intervals; one standard error of 95 % is {100 * math.sqrt(0.0475 / n):.1f} points\n"
    )
    print("| model | customers | parameter | truth | coverage, % | median estimate / truth | at an edge |")
    print("|---|---:|---|---:|---:|---:|---:|")
    began = time.perf_counter()
    outside = []
    for name in arguments.models:
        truth, customers, simulated = every[name]
        held = dict.fromkeys(truth.names, 0)
        found: dict[str, list[float]] = {parameter: [] for parameter in truth.names}
        edges = 0
        for seed in range(n):
            fitted = simulated(truth, customers, 1000 + seed)
            edges += any(note.kind == "edge" for note in fitted.notes_)
            for parameter, (low, high) in fitted.interval(LEVEL).items():
                value = truth.parameters_[parameter]
                held[parameter] += low is not None and low <= value <= high
                found[parameter].append(fitted.parameters_[parameter] / value)
        for parameter, value in truth.parameters_.items():
            share = 100 * held[parameter] / n
            if not 93 <= share <= 97:
                outside.append(f"{name}.{parameter}")
            print(
                f"| {name} | {customers:,} | {parameter} | {value:g} | {share:.1f} | {np.median(found[parameter]):.3f} | {edges} |",
                flush=True,
            )
    print(f"\noutside 93 to 97 %: {', '.join(outside) or 'none'}; {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
