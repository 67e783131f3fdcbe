"""What is a ranking of customers by risk worth in money? Expected maximum profit, and profit per contact budget.

A campaign contacts those ranked highest. Each contact costs `contact_cost`. A customer who was going to leave accepts
the offer with probability gamma, then costs `offer_cost` and keeps his value; one who was going to stay takes the offer
and costs it for nothing. So a contact is worth

    gamma (value - offer_cost) - contact_cost      for one who would have left
    - offer_cost - contact_cost                    for one who would have stayed

Nobody knows gamma well: the EMPC averages over Beta(alpha, beta), each gamma with its own best number of contacts.
Profits are per customer of the base, in the unit of `value`. They hold as far as gamma does: an estimate of what a
campaign would bring, and no measurement of one. Source: Verbraken, Verbeke & Baesens 2013 (IEEE TKDE 25:961);
Verbraken, Bravo, Weber & Baesens 2014 (EJOR 238:505); hull by pooling adjacent violators:
Fawcett & Niculescu-Mizil 2007 (Machine Learning 68:97).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tenure.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]


@dataclass(frozen=True)
class Campaign:
    """What a contact costs and brings: the defaults of Verbraken et al.

    alpha, beta: the share of leavers who accept the offer is Beta(alpha, beta), 0.3 on average; value: what a kept
    customer is worth; offer_cost, contact_cost: money per customer who takes the offer, and per contact.
    """

    alpha: float = 6.0
    beta: float = 14.0
    value: float = 200.0
    offer_cost: float = 10.0
    contact_cost: float = 1.0

    def __post_init__(self) -> None:
        if not (self.alpha > 0 and self.beta > 0 and self.value > 0):
            raise BadInput("alpha, beta and value are above 0; see Verbraken et al. 2013 for what they mean")
        if not (0 <= self.offer_cost < self.value and self.contact_cost >= 0):
            raise BadInput("an offer costs less than the customer is worth, and neither cost is negative")

    @property
    def acceptance(self) -> float:
        """The share of leavers who accept, on average."""
        return self.alpha / (self.alpha + self.beta)


class MaximumProfit(NamedTuple):
    """profit: money per customer of the base; contacted: the share of the base to contact for it, on average."""

    profit: float
    contacted: float


def empc(left: ArrayLike, score: ArrayLike, campaign: Campaign | None = None) -> MaximumProfit:
    """The profit per customer of contacting by this score, with the best number of contacts for each gamma.

    left: who left; score: higher means more likely to leave. Somebody must have left and somebody stayed (BadInput).

    >>> result = empc([0, 1, 0, 1, 0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9])
    >>> round(result.profit, 5)
    23.87559
    """
    y, told = np.asarray(left, dtype=np.float64).ravel(), np.asarray(score, dtype=np.float64).ravel()
    if len(y) != len(told):
        raise BadInput(f"one score per customer, got {len(y)} and {len(told)}")
    cells, place = np.unique(told, return_inverse=True)
    gone = np.bincount(place, weights=y, minlength=len(cells))
    here = np.bincount(place, weights=1.0 - y, minlength=len(cells))
    if not gone.sum() or not here.sum():
        raise BadInput("profit of a ranking needs customers who left and customers who stayed")
    return empc_of_cells(gone.astype(np.float64), here.astype(np.float64), campaign or Campaign())


def empc_of_cells(gone: Real, here: Real, campaign: Campaign) -> MaximumProfit:
    """The same from the weights of leavers and stayers per score, scores rising."""
    from scipy.optimize import isotonic_regression
    from scipy.special import betainc

    some = (gone + here) > 0
    gone, here = gone[some], here[some]
    total = float(gone.sum() + here.sum())
    # Cells pooled until the share of leavers rises with the score are the edges of the ROC curve's convex hull.
    blocks = isotonic_regression(gone / (gone + here), weights=gone + here).blocks
    left = np.add.reduceat(gone, blocks[:-1])[::-1] / total
    stay = np.add.reduceat(here, blocks[:-1])[::-1] / total
    delta, phi = campaign.offer_cost / campaign.value, campaign.contact_cost / campaign.value
    # From which gamma on is it worth going on to the next edge of the hull, the riskiest first?
    worth = left > 0
    from_gamma = np.full(len(left), np.inf)
    from_gamma[worth] = ((delta + phi) * stay[worth] / left[worth] + phi) / (1.0 - delta)
    from_gamma = np.clip(from_gamma, 0.0, 1.0)
    # Each edge is contacted at all gammas above its own: weigh it by their probability, and by their mean.
    above = 1.0 - betainc(campaign.alpha, campaign.beta, from_gamma)
    gamma = campaign.acceptance * (1.0 - betainc(campaign.alpha + 1.0, campaign.beta, from_gamma))
    gain = ((1.0 - delta) * gamma - phi * above) * left - (delta + phi) * above * stay
    return MaximumProfit(float(campaign.value * gain.sum()), float((above * (left + stay)).sum()))


def order_of_contact(probability: Real, value: Real, campaign: Campaign) -> Real:
    """What contacting each customer is expected to bring, by his probability of leaving and his own value."""
    accepted = campaign.acceptance * (value - campaign.offer_cost) - campaign.contact_cost
    return np.asarray(probability * accepted - (1.0 - probability) * (campaign.offer_cost + campaign.contact_cost))


def brought(left: Real, value: Real, campaign: Campaign) -> Real:
    """What contacting each customer would have brought, now that it is known who left."""
    accepted = campaign.acceptance * (value - campaign.offer_cost) - campaign.contact_cost
    return np.asarray(np.where(left > 0, accepted, -(campaign.offer_cost + campaign.contact_cost)))
