"""Who is in a number of buyers? Each customer's part in who is active, came, lapsed and returned."""

from __future__ import annotations

from collections.abc import Callable

from tenure.kernel.time import midnight
from tenure.lake.portable import from_day_number, micros
from tenure.measure.catalogue import Metric
from tenure.measure.openings import Opening, Share, Shares


def recipe_of_buyers(metric: Metric) -> Callable[[Opening], Shares]:
    """What a customer adds to a metric of buyers."""
    return _PARTS[metric.opens.partition(":")[2]]


def _instant(told: Opening, day: int) -> int:
    """Where a day begins, in microseconds."""
    return micros(midnight(from_day_number(day), told.facts.timezone))


def _known(told: Opening, window: int) -> bool:
    """Whether anything is known of a period's buyers."""
    return not told.buyers.nobody(told.asked[window]).reason


def _standing(at_end: bool) -> Callable[[Opening], Shares]:
    """Whoever has a spell that spans the period's end (or start)."""

    def shares(told: Opening) -> Shares:
        found: Shares = {}
        for row in told.buyers.people:
            if row["what"] == "spell":
                first, after = (row["b"], row["e"]) if at_end else (row["b"] + 1, row["e"] + 1)
                for i in range(max(first, 0), min(after, len(told.asked))):
                    if _known(told, i):
                        found[i, row["seg"], None, row["customer_id"]] = Share(1, what=["active"])
        return found

    return shares


def _began(first: int) -> Callable[[Opening], Shares]:
    def shares(told: Opening) -> Shares:
        found: Shares = {}
        for row in told.buyers.people:
            if row["what"] == "spell" and row["first"] == first and 0 <= row["b"] < len(told.asked):
                share = found.setdefault((row["b"], row["seg"], None, row["customer_id"]), Share())
                share.amount += 1
                share.seen(_instant(told, row["begins"]), "new" if first else "returned")
        return found

    return shares


def _lapsed(told: Opening) -> Shares:
    found: Shares = {}
    for row in told.buyers.people:
        if row["what"] == "spell" and 0 <= row["e"] < len(told.asked):
            share = found.setdefault((row["e"], row["seg"], None, row["customer_id"]), Share())
            share.amount += 1
            share.seen(_instant(told, row["lapse"]), "lapsed")
    return found


def _churn(told: Opening) -> Shares:
    """Who was active at the periods' starts, one each in the denominator; who is not at the end is in the numerator."""
    found = {key: Share(0, 1, what=["stayed"]) for key in _standing(at_end=False)(told)}
    lapses = {
        (row["e"], row["seg"], None, row["customer_id"]): row["lapse"]
        for row in sorted(told.buyers.people, key=lambda row: row["lapse"] or 0)
        if row["what"] == "spell" and row["lapse"] is not None
    }
    for row in told.buyers.people:
        if row["what"] == "lost":
            key = (row["b"], row["seg"], None, row["customer_id"])
            found[key] = Share(1, 1, _instant(told, lapses[key]), ["lapsed"])
    return found


_PARTS: dict[str, Callable[[Opening], Shares]] = {
    "closing": _standing(at_end=True),
    "opening": _standing(at_end=False),
    "new": _began(first=1),
    "returned": _began(first=0),
    "lapsed": _lapsed,
    "churn": _churn,
}
