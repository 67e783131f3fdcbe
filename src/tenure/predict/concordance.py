"""Does a model put those who leave sooner above those who leave later? Pairs counted without comparing them all.

A pair (i, j) can be compared when i was seen leaving and j was then under observation and stayed longer; one still here
whose observation ended on the day i left stayed longer. The pair is concordant if i was given the higher risk; equal
risks count one half, and two who leave on the same day are no pair. C is the concordant share of the pairs.

With n customers this takes n log n steps: a wavelet matrix answers for all of them at once how many in the tail of a
list are smaller than a bound. Sources: Harrell et al. 1982 (C); Claude, Navarro & Ordonez 2015 (wavelet matrix).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tenure.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]
    Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Per customer seen leaving (in the given order): with how many others he makes a pair, and how those come out.

    leaver: positions of those seen leaving; compared, concordant, tied: numbers of pairs, whole numbers.
    """

    leaver: Whole
    compared: Whole
    concordant: Whole
    tied: Whole

    def index(self, weight: Real | None = None) -> float | None:
        """C: (concordant + tied / 2) / compared, each leaver's pairs counted `weight` times; None without a pair."""
        w = np.ones(len(self.leaver)) if weight is None else np.asarray(weight, dtype=np.float64)
        pairs = float(w @ self.compared)
        return float(w @ (self.concordant + self.tied / 2)) / pairs if pairs > 0 else None


def pairs(duration: ArrayLike, left: ArrayLike, risk: ArrayLike, entry: ArrayLike | None = None) -> Pairs:
    """The comparable pairs of every customer seen leaving, counted exactly.

    duration: tenure at the end of observation; left: whether he left then; risk: higher means leaving sooner; entry:
    tenure at which observation began (left truncation): somebody not yet seen when i left makes no pair with i.
    """
    end = np.asarray(duration, dtype=np.float64).ravel()
    gone = np.asarray(left).ravel().astype(bool)
    told = np.asarray(risk, dtype=np.float64).ravel()
    if not len(end) == len(gone) == len(told):
        raise BadInput(f"one row per customer, got {len(end)}, {len(gone)} and {len(told)}")
    if np.isnan(end).any() or np.isnan(told).any():
        raise BadInput("durations and risks are numbers; leave out customers without one")
    rank = np.unique(told, return_inverse=True)[1].astype(np.int64)

    # Leavers of a day before those whose observation ended on it: so all who stayed longer are a tail of this list.
    order = np.lexsort((~gone, end))
    sorted_end, sorted_gone = end[order], gone[order]
    at = np.flatnonzero(sorted_gone)
    leaver = order[at]
    day_begins = np.searchsorted(sorted_end, sorted_end[at], side="left")
    left_that_day = np.searchsorted(sorted_end[sorted_gone], sorted_end[at], side="right") - np.searchsorted(
        sorted_end[sorted_gone], sorted_end[at], side="left"
    )
    tail = day_begins + left_that_day
    compared = len(end) - tail
    below = smaller_in_tail(rank[order], tail, rank[leaver])
    to_equal = smaller_in_tail(rank[order], tail, rank[leaver] + 1)
    if entry is not None:
        begin = np.asarray(entry, dtype=np.float64).ravel()
        if len(begin) != len(end) or np.any(begin > end):
            raise BadInput("one entry per customer, none after the end of observation")
        late = np.argsort(begin, kind="stable")
        unseen = np.searchsorted(begin[late], end[leaver], side="left")
        compared = compared - (len(end) - unseen)
        below = below - smaller_in_tail(rank[late], unseen, rank[leaver])
        to_equal = to_equal - smaller_in_tail(rank[late], unseen, rank[leaver] + 1)
    return Pairs(leaver, compared, below, to_equal - below)


def smaller_in_tail(values: Whole, tail: Whole, bound: Whole) -> Whole:
    """For each (tail, bound): how many of values[tail:] are smaller than bound. Whole numbers, none negative.

    >>> smaller_in_tail(np.array([3, 1, 2, 0]), np.array([0, 1, 3]), np.array([3, 2, 1])).tolist()
    [3, 2, 1]
    """
    count = np.zeros(len(tail), dtype=np.int64)
    if not len(values) or not len(tail):
        return count
    low, high = tail.astype(np.int64), np.full(len(tail), len(values), dtype=np.int64)
    bound = bound.astype(np.int64)
    for bit in reversed(range(int(max(values.max(), bound.max())).bit_length())):
        ones = ((values >> bit) & 1).astype(bool)
        zeros_before = np.concatenate([[0], np.cumsum(~ones)])
        zeros = int(zeros_before[-1])
        zeros_low, zeros_high = zeros_before[low], zeros_before[high]
        up = ((bound >> bit) & 1).astype(bool)
        count += np.where(up, zeros_high - zeros_low, 0)
        low = np.where(up, zeros + low - zeros_low, zeros_low)
        high = np.where(up, zeros + high - zeros_high, zeros_high)
        values = np.concatenate([values[~ones], values[ones]])
    return count
