"""How much do they use the product? Sums per customer, feature and week, day or month, dated at the last hour.

Nothing is written where nothing was used. What a customer uses, and how many people use it, is fixed at sign-up; how
much follows its engagement, its seats, the season and chance. Use of classic-sync ends with its removal.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenure.simulate import plans
from tenure.simulate.chance import Chance, Numbers
from tenure.simulate.lives import Lives
from tenure.simulate.months import DAY, HOUR, NEVER, Months
from tenure.simulate.sheets import Clerk, Names, joined, sheet, words
from tenure.simulate.world import Calendar

FEATURES = ("documents", "reports", "exports", "api", "classic-sync")
CLASSIC = FEATURES.index("classic-sync")
GRAINS = ("week", "day", "month", "none")
_ADOPTED = np.array([1.0, 0.62, 0.34, 0.16, 1.0])
_PER_WEEK = np.array([14.0, 4.0, 2.2, 30.0, 5.0])
# Cells looked at in one go; bounds the memory, decides nothing.
_CELLS = 3_000_000


def _ends(months: Months, grain: str) -> tuple[Numbers, float]:
    """When each sum ends (exclusive), and how many weeks it is long."""
    if grain == "month":
        return months.start(np.arange(1, months.count + 1)), 30.44 / 7
    first = months.start_of_window // DAY
    last = months.end_of_window // DAY
    if grain == "day":
        return np.arange(first + 1, last + 1) * DAY, 1 / 7
    first += -(first + 3) % 7 + 7  # the first Monday after a whole week; 1 January 1970 was a Thursday
    return np.arange(first, last + 1, 7) * DAY, 1.0


def usage(
    lives: Lives, names: Names, clerk: Clerk, chance: Chance, months: Months, events: Calendar, grain: str
) -> Iterator[tuple[str, pa.Table]]:
    """The table `usage` of a chunk, in several pieces."""
    if grain == "none":
        return
    ends, weeks = _ends(months, grain)
    folk = lives.people
    n = len(folk.who)
    adopted = chance.uniform("adopts", folk.who[:, None], np.arange(len(FEATURES))) < _ADOPTED
    adopted[:, CLASSIC] = lives.classic
    size = np.maximum(folk.seats, 1) ** 0.7
    people_of = folk.contacts
    slab = max(1, _CELLS // (n * len(FEATURES)))
    for low in range(0, len(ends), slab):
        end = ends[low : low + slab]
        at = end - HOUR
        month = months.of(at)
        # A customer's step begins in its month and reaches into the next: it is this month's step or the one before.
        level = np.zeros((n, len(end)))
        sub = np.zeros((n, len(end)), np.int64)
        inside = np.zeros((n, len(end)), bool)
        for back in (1, 0):
            column = np.maximum(month + 1 - back, 0)
            begins, stops = lives.active_from[:, column], lives.active_to[:, column]
            here = (begins != NEVER) & (begins <= at) & (at < stops)
            level = np.where(here, lives.level[:, column], level)
            sub = np.where(here, lives.subs[:, column], sub)
            inside |= here
        who, when = np.nonzero(inside & (end < clerk.end + 1))
        season = 1 + 0.12 * np.cos((month - 2) * (2 * np.pi / 12))
        much = np.exp(0.75 * level[who, when]) * size[who] * season[when] * weeks
        for feature in range(len(FEATURES)):
            uses = np.flatnonzero(adopted[who, feature])
            if feature == CLASSIC:
                uses = uses[at[when[uses]] < events.removal_effective]
            v, w = who[uses], when[uses]
            key = end[w] // DAY * 8 + feature
            mean = much[uses] * _PER_WEEK[feature]
            if feature == 3:
                mean = mean * np.where(folk.plan[v] >= plans.TEAM, 1.0, 0.2)
            # Rounded down after adding a uniform: the expectation is the mean, and small means are often 0.
            noise = np.exp(0.45 * chance.normal("usage", folk.who[v], key) - 0.1)
            quantity = np.floor(mean * noise + chance.uniform("usage rounds", folk.who[v], key))
            some = np.flatnonzero(quantity > 0)
            v, w, key, quantity = v[some], w[some], key[some], quantity[some]
            # The people behind a customer share the features; the champion's go to the next one when it leaves.
            person = feature % people_of[v]
            gone = (lives.contact_left[v] != NEVER) & (lives.contact_left[v] <= at[w])
            person = np.where(gone & (person == 0), np.minimum(1, people_of[v] - 1), person)
            alone = gone & (people_of[v] == 1)
            contact = joined("con", names.number(v), person + 1)
            day = words([f"{d}" for d in (end // DAY).tolist()], w)
            yield (
                "usage",
                sheet(
                    "usage",
                    len(v),
                    usage_id=joined("us", names.number(v), day, FEATURES[feature]),
                    customer_id=names.customer(v),
                    subscription_id=names.subscription(v, sub[v, w]),
                    contact_id=pc.if_else(pa.array(~alone), contact, pa.nulls(len(v), pa.string())),
                    feature=FEATURES[feature],
                    happened_at=at[w],
                    quantity=quantity,
                    recorded_at=clerk.recorded(
                        "usage", folk.who[v], key, np.minimum(end[w], clerk.end - 1), late=0.004
                    ),
                ),
            )
