"""Who is in a number of seats or champions? What each customer adds to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenure.measure.catalogue import Metric
from tenure.measure.openings import Opening, Share, Shares

Row = dict[str, Any]


def _each(made: Callable[[Row], Share | None], reason: str) -> Callable[[Opening], Shares]:
    """A share of every customer that has one, in the periods of which the number is known."""

    def shares(told: Opening) -> Shares:
        found: Shares = {}
        for row in told.seats.customers:
            if getattr(told.seats.figures(row["win"], row["seg"]), reason):
                continue
            share = made(row)
            if share is not None:
                found[row["win"], row["seg"], None, row["customer_id"]] = share
        return found

    return shares


def _seats(row: Row, amount: str, base: str = "") -> Share | None:
    if not row["paid"]:
        return None
    what = f"{row['used']} of {row['paid']} seats used" if amount == "used" else "seats"
    return Share(int(row[amount]), int(row[base]) if base else 0, what=[what])


def _left(row: Row) -> Share | None:
    if not (row["was"] and row["champions_left"]):
        return None
    return Share(int(row["champions_left"]), at=row["left_at"], what=["champion left"])


def _without(row: Row) -> Share | None:
    if not (row["stands"] and row["ever"]) or row["there"]:
        return None
    return Share(1, at=row["left_at"], what=["champion left"])


_PARTS: dict[str, Callable[[Opening], Shares]] = {
    "paid": _each(lambda row: _seats(row, "paid"), "no_seats"),
    "used": _each(lambda row: _seats(row, "used"), "no_use"),
    "utilization": _each(lambda row: _seats(row, "used", "paid"), "no_use"),
    "left": _each(_left, "no_champions"),
    "without": _each(_without, "no_champions"),
}


def recipe_of_people(metric: Metric) -> Callable[[Opening], Shares]:
    """What a customer adds to a metric of seats or champions."""
    return _PARTS[metric.opens.partition(":")[2]]
