"""Which kinds of customers leave unusually often, and is that still true of customers who were not looked at?

    found = hunt(levels, expected, gone, discovery)      traits as columns of numbers, one row for each combination

A segment is one level of a trait, or one level of each of two. The half that is looked at proposes: of all segments that
are large enough, the one that explains most of who left (the likelihood ratio, less what choosing among so many explains
by itself) is taken, its customers are set aside, and the search goes on among the rest, so that a segment is not found
again through its neighbours. The half that was held back judges each proposal, without those found before it: given how
many left in all, how likely so many of them fall into it. Sources: Friedman & Fisher 1999 (setting aside); Cox 1975
(splitting); the conditional test of two Poisson rates, Przyborowski & Wilenski 1940.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 8
FEWEST_EXPECTED = 5.0
_WORTH = 6.0  # what a segment must explain beyond the choice among all

Cell = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A segment as (trait, level) pairs; what the held-back half says of it: who left, and how many as elsewhere would.

    p: two-sided, that it is as elsewhere.
    """

    cell: Cell
    gone: float
    expected: float
    p: float


def hunt(
    levels: NDArray[np.int64],
    expected: NDArray[np.float64],
    gone: NDArray[np.float64],
    discovery: NDArray[np.bool_],
    alone: Sequence[Sequence[int]] = (),
) -> list[Proposal]:
    """The segments that the discovery half proposes, in order, as the other half judges them; see the module.

    levels: rows x traits, -1 where a level is unknown or rare (never a segment); expected: of each row, how many would
    leave if segments meant nothing; gone: how many did. alone: traits of which two are never paired with each other.
    """
    mine, held = discovery.copy(), ~discovery
    found: list[Proposal] = []
    while len(found) < MOST:
        cell = _best(levels[mine], expected[mine], gone[mine], alone)
        if cell is None:
            break
        within = _within(levels, cell)
        found.append(_judged(cell, within & held, held, expected, gone))
        mine, held = mine & ~within, held & ~within
    return found


def _within(levels: NDArray[np.int64], cell: Cell) -> NDArray[np.bool_]:
    found = np.ones(len(levels), dtype=bool)
    for trait, level in cell:
        found &= levels[:, trait] == level
    return found


def _best(
    levels: NDArray[np.int64], expected: NDArray[np.float64], gone: NDArray[np.float64], alone: Sequence[Sequence[int]]
) -> Cell | None:
    """The segment that explains most beyond the choice among all; None where none does."""
    whole, everybody = float(gone.sum()), float(expected.sum())
    if whole < 2 * FEWEST_EXPECTED or everybody <= 0:
        return None
    traits = levels.shape[1]
    sizes = [int(levels[:, trait].max(initial=-1)) + 1 for trait in range(traits)]
    kinds: list[tuple[Cell | None, float]] = [(None, _WORTH)]
    pairs = [pair for pair in combinations(range(traits), 2) if not any(set(pair) <= set(group) for group in alone)]
    for group in ([(trait,) for trait in range(traits)], pairs):
        choices = sum(math.prod(sizes[trait] for trait in chosen) for chosen in group)
        price = 2 * math.log(max(2, choices))
        for chosen in group:
            known = np.all(levels[:, list(chosen)] >= 0, axis=1)
            place = np.zeros(int(known.sum()), dtype=np.int64)
            for trait in chosen:
                place = place * sizes[trait] + levels[known, trait]
            count = math.prod(sizes[trait] for trait in chosen)
            if not count:
                continue
            inside = np.bincount(place, gone[known], count)
            share = np.bincount(place, expected[known], count) / everybody
            gain = _explained(inside.astype(np.float64), share, whole) - price
            # As many as the segment, and as many outside it, must be expected to leave.
            enough = np.minimum(share, 1 - share) * whole >= FEWEST_EXPECTED
            gain = np.where(enough, gain, -np.inf)
            best = int(np.argmax(gain))
            if gain[best] > kinds[-1][1]:
                cell: list[tuple[int, int]] = []
                rest = best
                for trait in reversed(chosen):
                    cell.insert(0, (trait, rest % sizes[trait]))
                    rest //= sizes[trait]
                kinds.append((tuple(cell), float(gain[best])))
    return kinds[-1][0]


def _explained(inside: NDArray[np.float64], share: NDArray[np.float64], whole: float) -> NDArray[np.float64]:
    """Twice the logarithm of the likelihood ratio: rates of its own inside and outside, against one for all."""

    def part(seen: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(divide="ignore", invalid="ignore"):
            found: NDArray[np.float64] = np.where(seen > 0, seen * np.log(seen / expected), 0.0)
        return found

    explained = part(inside, share * whole) + part(whole - inside, (1 - share) * whole)
    return 2 * np.where(np.isfinite(explained), explained, 0.0)


def _judged(
    cell: Cell,
    within: NDArray[np.bool_],
    held: NDArray[np.bool_],
    expected: NDArray[np.float64],
    gone: NDArray[np.float64],
) -> Proposal:
    from scipy.stats import binom

    inside, whole = float(gone[within].sum()), float(gone[held].sum())
    everybody = float(expected[held].sum())
    share = float(expected[within].sum()) / everybody if everybody else 0.0
    p = 1.0
    if 0 < share < 1:
        tails = binom.cdf(inside, whole, share), binom.sf(inside - 1, whole, share)
        p = min(1.0, 2 * float(min(tails)))
    rest, left_rest = everybody * (1 - share), whole - inside
    as_elsewhere = float(expected[within].sum()) * left_rest / rest if rest else 0.0
    return Proposal(cell, inside, as_elsewhere, p)
