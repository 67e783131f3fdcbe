"""How often does each interval hold the truth? Companies with a known truth, 95 % intervals, and a count.

    python benchmarks/bench_intervals.py                 about half a minute
    python benchmarks/bench_intervals.py --companies 5000 --bootstrap-companies 2000   the same with less noise

Coverage should be 95 %. Where it can be summed over all outcomes (Wilson, Poisson) it is exact; elsewhere it is
simulated and its Monte Carlo error, one standard error, stands beside it. Width is the median width of the interval,
in points. The numbers of docs/explanation/intervals.md come from here.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import gammaln

from tenure.kernel import stats

SEED = 20_260_101


@dataclass(frozen=True)
class Line:
    """One setting: coverage and its Monte Carlo error (0 where exact), median width; all as shares."""

    setting: str
    interval: str
    coverage: float
    error: float
    width: float


def counted(setting: str, interval: str, limits: list[tuple[float, float]], truths: np.ndarray) -> Line:
    low, high = (np.array(side) for side in zip(*limits, strict=True))
    coverage = float(((low <= truths) & (truths <= high)).mean())
    error = math.sqrt(max(coverage * (1 - coverage), 0.25 / len(low)) / len(low))
    return Line(setting, interval, coverage, error, float(np.median(high - low)))


def pair(limits: tuple[float | None, ...]) -> tuple[float, float]:
    """Low and high; an end that cannot be said holds everything on its side."""
    low, high = limits[-2:]
    return (-math.inf if low is None else low, math.inf if high is None else high)


# ---------------------------------------------------------------------------------------------------------------------
# Exact: every outcome weighed


def share_of_customers() -> Iterator[Line]:
    for n in (20, 100, 1000):
        for p in (0.01, 0.05, 0.20):
            k = np.arange(n + 1)
            weight = np.exp(
                gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
            )
            z = stats.normal_quantile(0.95)
            textbook = [(x - z * math.sqrt(x * (1 - x) / n), x + z * math.sqrt(x * (1 - x) / n)) for x in k / n]
            wilson = [pair(stats.wilson(int(one), n)) for one in k]
            for name, limits in (("Wilson", wilson), ("p +- 1.96 se", textbook)):
                low, high = (np.array(side) for side in zip(*limits, strict=True))
                coverage = float(weight[(low <= p) & (p <= high)].sum())
                width = float((high - low)[np.searchsorted(np.cumsum(weight), 0.5)])
                yield Line(f"{p:.0%} leave, {n} customers", name, coverage, 0.0, width)


def events_per_exposure() -> Iterator[Line]:
    for mean in (1, 5, 20, 100):
        k = np.arange(int(mean + 20 * math.sqrt(mean) + 20))
        weight = np.exp(-mean + k * math.log(mean) - gammaln(k + 1))
        _, low, high = stats.poisson_exact_all(k, np.ones(len(k)))
        coverage = float(weight[(low <= mean) & (mean <= high)].sum())
        width = float((high - low)[np.searchsorted(np.cumsum(weight), 0.5)]) / mean
        yield Line(f"{mean} leavers expected", "exact Poisson", coverage, 0.0, width)


# ---------------------------------------------------------------------------------------------------------------------
# Simulated: revenue


def revenue_churn(companies: int, rng: np.random.Generator) -> Iterator[Line]:
    """Share of MRR lost to leavers. Sizes are lognormal; leaving is independent of size, or three times as frequent in
    the smaller ("large stay") or the larger half of customers ("large leave")."""
    settings = [(0.5, ""), (1.5, ""), (1.5, ", large stay"), (1.5, ", large leave")]
    for spread, how in settings:
        for n in (30, 100, 1000):
            for p in (0.02, 0.10):
                size = np.exp(spread * rng.standard_normal((companies, n)))
                often = {"": size > 0, ", large stay": size < 1.0, ", large leave": size >= 1.0}[how]
                chance = np.where(often, p if not how else 1.5 * p, 0.5 * p)
                total = size.sum(axis=1)
                lost = (size * (rng.random(size.shape) < chance)).sum(axis=1) / total
                truth = (size * chance).sum(axis=1) / total
                n_eff = total**2 / (size**2).sum(axis=1)
                setting = f"sigma {spread}, {p:.0%} leave{how}, {n} customers"
                limits = [pair(stats.wilson_effective(a, b)) for a, b in zip(lost, n_eff, strict=True)]
                yield counted(setting, "Wilson at n_eff", limits, truth)
                limits = [pair(stats.wilson_effective(a, n)) for a in lost]
                yield counted(setting, "Wilson at n", limits, truth)


def quiet_month(n: int, rng: np.random.Generator) -> np.ndarray:
    """3 % leave, 1 % fall to .6, 3 % grow to 1.4: expected 0.978."""
    return rng.choice([0.0, 0.6, 1.4, 1.0], n, p=[0.03, 0.01, 0.03, 0.93])


def year(n: int, rng: np.random.Generator) -> np.ndarray:
    """12 % leave, 8 % fall to .4 to .95, 30 % grow by a lognormal: expected .93158."""
    kind = rng.random(n)
    growth = np.where(kind < 0.12, 0.0, np.where(kind < 0.20, rng.uniform(0.4, 0.95, n), 1.0))
    return np.where(kind >= 0.70, np.exp(0.15 + 0.4 * rng.standard_normal(n)), growth)


def wild_year(n: int, rng: np.random.Generator) -> np.ndarray:
    """15 % leave, 20 % grow or shrink by a lognormal of sigma 1: a few become five times as large. Expected 1.05275."""
    kind = rng.random(n)
    return np.where(kind < 0.15, 0.0, np.where(kind < 0.35, np.exp(0.2 + rng.standard_normal(n)), 1.0))


YEAR = 0.08 * 0.675 + 0.30 * math.exp(0.15 + 0.08) + 0.50
WILD = 0.65 + 0.20 * math.exp(0.2 + 0.5)
KINDS: tuple[tuple[str, Callable[[int, np.random.Generator], np.ndarray], float], ...] = (
    ("quiet month", quiet_month, 0.978),
    ("year", year, YEAR),
    ("wild year", wild_year, WILD),
)


def bca(start: np.ndarray, end: np.ndarray, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    """Efron's BCa bootstrap of the ratio, to compare with; not part of Tenure."""
    n, ratio = len(start), end.sum() / start.sum()
    drawn = rng.integers(0, n, (resamples, n))
    ratios = end[drawn].sum(axis=1) / start[drawn].sum(axis=1)
    normal = NormalDist()
    below = (ratios < ratio).mean() + (ratios == ratio).mean() / 2
    bias = normal.inv_cdf(float(np.clip(below, 1 / resamples, 1 - 1 / resamples)))
    without = (end.sum() - end) / (start.sum() - start)
    gap = without.mean() - without
    scale = (gap**2).sum()
    skew = (gap**3).sum() / (6 * scale**1.5) if scale > 1e-18 else 0.0
    z = stats.normal_quantile(0.95)
    ends = [normal.cdf(bias + (bias + q) / (1 - skew * (bias + q))) for q in (-z, z)]
    low, high = np.quantile(ratios, ends)
    return float(low), float(high)


def retention(companies: int, bootstrap_companies: int, rng: np.random.Generator) -> Iterator[Line]:
    """Net revenue retention: six sums, and the bootstraps on fewer companies."""
    for name, growth, truth in KINDS:
        for spread in (0.5, 1.5):
            for n in (40, 150, 600):
                limits: dict[str, list[tuple[float, float]]] = {}
                for company in range(companies):
                    start = np.exp(spread * rng.standard_normal(n))
                    end = start * growth(n, rng)
                    sums = [float(x) for x in (start.sum(), end.sum(), start @ start, end @ end, start @ end)]
                    for method, unseen in (("sums", 1.0), ("sums, textbook", 0.0)):
                        limits.setdefault(method, []).append(pair(stats.ratio_interval(n, *sums, unseen=unseen)))
                    if company >= bootstrap_companies:
                        continue
                    for method, unseen in (("bootstrap", 1.0), ("bootstrap, textbook", 0.0)):
                        found = stats.ratio_bootstrap(start, end, seed=company, resamples=500, unseen=unseen)
                        limits.setdefault(method, []).append(pair(found))
                    limits.setdefault("bootstrap, BCa", []).append(bca(start, end, rng, 500))
                for method, found_limits in limits.items():
                    setting = f"{name}, sigma {spread}, {n} customers"
                    yield counted(setting, method, found_limits, np.full(len(found_limits), truth))


def changes(companies: int, rng: np.random.Generator) -> Iterator[Line]:
    """The difference of two months' churn rates; width in points of churn."""
    for n in (50, 200, 2000):
        for before, after in ((0.05, 0.05), (0.03, 0.06)):
            first, second = rng.binomial(n, before, companies), rng.binomial(n, after, companies)
            limits = []
            for one, other in zip(first.tolist(), second.tolist(), strict=True):
                change = stats.change_of_shares(one, n, other, n)
                limits.append(pair((change.low, change.high)))
            setting = f"{before:.0%} then {after:.0%}, {n} customers"
            yield counted(setting, "Newcombe", limits, np.full(companies, after - before))


def show(title: str, lines: Iterator[Line]) -> None:
    print(f"\n{title}\n")
    print(f"| {'setting':<54} | {'interval':<20} | coverage | MC error | width, points |")
    print(f"|{'-' * 56}|{'-' * 22}|---------:|---------:|--------------:|")
    for line in lines:
        error = f"{100 * line.error:.1f}" if line.error else "exact"
        print(
            f"| {line.setting:<54} | {line.interval:<20} | {100 * line.coverage:>8.1f} | {error:>8} "
            f"| {100 * line.width:>13.1f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="How often does each interval hold the truth?")
    parser.add_argument("--companies", type=int, default=2000, help="simulated companies per setting (2000)")
    parser.add_argument("--bootstrap-companies", type=int, default=250, help="of these, how many to bootstrap (250)")
    options = parser.parse_args()
    began = time.perf_counter()
    show("Share of customers who leave", share_of_customers())
    show("Leavers per exposure (width in % of the rate)", events_per_exposure())
    show("Share of MRR lost", revenue_churn(options.companies, np.random.default_rng(SEED)))
    # Each section has its own stream: adding a line to one leaves the others as they were.
    show(
        "Net revenue retention", retention(options.companies, options.bootstrap_companies, np.random.default_rng(SEED))
    )
    show("Change of a churn rate", changes(options.companies, np.random.default_rng(SEED)))
    print(f"\n95 % intervals, seed {SEED}, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
