"""What does chance do to one customer? Variance and ends of what somebody pays who may leave in any month."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]


def own_chance(survival: Real, weights: Real, unrest: float) -> Real:
    """The variance of what one customer of each group will have paid, in squares of today's contract.

    weights: what a month counts if it is reached (discount x growth); a payment wanders by `unrest` a month. With T the
    month of leaving: E[X^2] = sum over s, t of w_s w_t S(max(s, t)) (1 + unrest^2)^min(s, t).
    """
    ahead = survival.shape[1]
    month = np.arange(ahead)
    lower, upper = np.minimum.outer(month, month), np.maximum.outer(month, month)
    wander = (1 + min(unrest, 0.5) ** 2) ** lower
    found = np.empty(len(survival))
    for at in range(0, len(survival), 500):
        s, w = survival[at : at + 500], weights[at : at + 500]
        second = np.einsum("gs,gt,gst,st->g", w, w, s[:, upper], wander, optimize=True)
        found[at : at + 500] = second - (s * w).sum(axis=1) ** 2
    return np.maximum(found, 0.0)


def ends_of_lives(survival: Real, weights: Real, level: float = 0.95) -> tuple[Real, Real]:
    """Between which ends what one customer of each group will have paid lies with this chance, by when he leaves."""
    paid = np.cumsum(weights, axis=1)
    gone_by = 1 - survival  # before the month begins
    tail = (1 - level) / 2

    def end(share: float) -> Real:
        # The last month that is reached: the first at which more than the share have gone by the next one.
        later = np.concatenate([gone_by[:, 1:], np.ones((len(gone_by), 1))], axis=1)
        place = (later >= share - 1e-12).argmax(axis=1)
        return np.asarray(paid[np.arange(len(paid)), place])

    return end(tail), end(1 - tail)


def normal_ends(mean: float, sd: float, level: float = 0.95) -> tuple[float, float]:
    """A normal interval that does not fall below nothing."""
    reach = float(special.ndtri(0.5 + level / 2)) * sd
    return max(mean - reach, 0.0), mean + reach
