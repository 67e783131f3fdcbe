"""Why do customers of the made-up company leave, and how likely is it? Additive hazards, one per cause.

A customer's hazard at a decision is the sum of a base (nobody's fault: tenure, plan, channel, country, seats) and of
what each cause adds. The strength of a cause is a setting: 1 as described here, 0 switches it off. So the share of
cause k of a leaver is known exactly: its hazard over the sum.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from tenure.simulate import people, plans
from tenure.simulate.chance import Numbers


@dataclass(frozen=True)
class Causes:
    """How strong each cause is: 1 as the simulator has it by default, 0 not at all, 2 twice as strong."""

    experience: float = 1.0  # they lost the habit: usage fell, the champion left
    contact: float = 1.0  # never contacted, or flooded with bulk mail
    price: float = 1.0  # the price change
    quality: float = 1.0  # the incident
    support: float = 1.0  # tickets answered late
    fit: float = 1.0  # an industry the product does not suit
    competition: float = 1.0  # a rival's offer
    change: float = 1.0  # a feature was removed
    circumstance: float = 1.0  # moved, closed, project ended

    @classmethod
    def none(cls) -> Causes:
        """A world without effects: customers leave at the base rate only."""
        return cls(**{field.name: 0.0 for field in fields(cls)})


# Names of causes as the truth tables give them, in the order of their numbers. The last two are never drawn by hazard.
CAUSES = (*(field.name for field in fields(Causes)), "unknown", "involuntary")
UNKNOWN = CAUSES.index("unknown")
INVOLUNTARY = CAUSES.index("involuntary")

# What an event adds to the monthly hazard, by billing periods since the customer learned of it.
_PRICE = np.array([0.022, 0.045, 0.030, 0.012])
_INCIDENT = np.array([0.060, 0.030, 0.012, 0.0])
_REMOVAL = np.array([0.045, 0.040, 0.020, 0.010])

# A yearly contract is thought over once a year: its decision weighs more than a month's and less than twelve.
_BASE_WEIGHT = np.array([1.0, 2.2, 5.5])
_CAUSE_WEIGHT = np.array([1.0, 1.5, 2.5])
# Where the base is the same for everybody: one rate, and as much of it as months lie between two decisions.
_EVEN = 0.0125
_EVEN_WEIGHT = np.array([1.0, 3.0, 12.0])


@dataclass(frozen=True)
class Situation:
    """What a customer's hazard depends on at one decision, one array element per customer.

    The `*_age` columns count billing periods since the customer learned of the event, -1 where it never did.
    """

    plan: Numbers
    interval: Numbers
    channel: Numbers
    country: Numbers
    industry: Numbers
    seats: Numbers
    tenure: Numbers  # months since the first paid day
    engagement: Numbers
    pain: Numbers  # slow answers lately, fading
    comforted: Numbers  # a check-in call lately
    neglected: Numbers
    flooded: Numbers
    price_age: Numbers
    incident_age: Numbers
    removal_age: Numbers
    rival: Numbers
    discontent: Numbers  # what makes them unhappy and no usage shows; all 0 in a world without confounding


def _after(curve: Numbers, age: Numbers) -> Numbers:
    return np.where((age >= 0) & (age < len(curve)), curve[np.clip(age, 0, len(curve) - 1)], 0.0)


def hazards(causes: Causes, of: Situation, unevenness: float = 1.0) -> Numbers:
    """The hazard of leaving by choice at this decision, one row per cause in the order of CAUSES up to `unknown`.

    unevenness: 1 as described, 0 the same base for everybody, between them a geometric mean.
    """
    tenure = np.select(
        [of.tenure < 2, of.tenure < 4, of.tenure < 7, of.tenure < 13, of.tenure < 25], [2.1, 1.6, 1.25, 1, 0.7], 0.5
    )
    base = (
        np.array([0, 0.0195, 0.0115, 0.006])[of.plan]
        * tenure
        * np.array([0.95, 1.3, 0.8, 1.05])[of.channel]
        * np.where((of.channel == people.ADS) & (of.plan == plans.STARTER), 1.7, 1.0)
        * np.array([1.0, 1.0, 0.9, 0.75, 1.05, 1.0, 1.0, 1.1])[of.country]
        * np.maximum(of.seats, 1) ** -0.08
    )
    low = np.maximum(0.0, -of.engagement - 0.3)
    small = np.array([0, 1.0, 0.8, 0.6])[of.plan]
    rows = np.stack(
        [
            causes.experience * 0.020 * (small * low * np.where(of.comforted, 0.5, 1.0) + of.discontent),
            causes.contact * (0.004 * of.neglected + 0.008 * of.flooded),
            causes.price * _after(_PRICE, of.price_age),
            causes.quality * _after(_INCIDENT, of.incident_age),
            causes.support * 0.045 * np.minimum(of.pain, 2.0),
            causes.fit * 0.014 * ((of.industry == people.EVENTS) & (of.tenure < 12)),
            causes.competition * 0.010 * of.rival,
            causes.change * _after(_REMOVAL, of.removal_age),
            causes.circumstance * np.full(len(of.plan), 0.0020),
            base,
        ]
    )
    rows[:-1] *= _CAUSE_WEIGHT[of.interval]
    rows[-1] *= _BASE_WEIGHT[of.interval]
    if unevenness < 1:
        even = _EVEN * _EVEN_WEIGHT[of.interval] * (of.plan > plans.FREE)
        rows[-1] = rows[-1] ** unevenness * even ** (1 - unevenness)
    return rows
