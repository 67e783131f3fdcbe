"""What a forecast starts from: the customers who are there, those who will come, and what both pay, kind by kind.

Kinds are customers alike in plan, billing interval, place in the term, months since joining and announced end. Money is
in minor units of the currency shown: each by itself, or all converted at one day's rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.predict.contract_value import arrays, kinds
from tenure.predict.customer_months import CustomerMonths
from tenure.predict.new_business import MonthlyLevel
from tenure.predict.staying import Groups, Staying
from tenure.predict.staying_learned import columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

YEAR = 12
Units = Mapping[str, tuple[str, float]]  # by native currency: the one shown, and what a minor unit is worth in it


@dataclass(frozen=True, eq=False)
class Newcomers:
    """Who will come: how many a month, of which kinds, and what each kind pays.

    shares: of each kind in all of them; contract: by currency, of each kind, per newcomer of any kind; unsure: by
    currency, variance of one newcomer's contract over its squared mean; seen: how many that was learned from.
    """

    level: MonthlyLevel
    fixed: float | None
    groups: Groups
    shares: Real
    contract: dict[str, Real]
    unsure: dict[str, float]
    seen: int

    def expected(self, ahead: int) -> Real:
        """So many in each of the next months."""
        return self.level.expected(ahead) if self.fixed is None else np.full(ahead, self.fixed)


@dataclass(frozen=True, eq=False)
class Book:
    """The customers at the cut; by kind: customers, and by currency contract and sum of squared contracts.

    paid: by currency, what is paid a month now, pauses aside. history: customers at the beginning of each month, the
    last at the cut; paid_history: by currency, the same of what was paid.
    """

    staying: Staying
    groups: Groups
    customers: Real
    contract: dict[str, Real]
    squares: dict[str, Real]
    paid: dict[str, float]
    newcomers: Newcomers
    history: Real
    paid_history: dict[str, Real]

    @property
    def currencies(self) -> tuple[str, ...]:
        """Those that money is shown in."""
        return tuple(sorted(self.contract))


def book(months: CustomerMonths, staying: Staying, units: Units, new: float | None = None) -> Book:
    """Everything of these months that a forecast needs. new: so many newcomers a month, in place of the past's."""
    rows = arrays(months.now)
    groups, place = kinds(staying, rows)
    many = len(groups)
    past = columns(months.past)
    history = np.append(_summed(past["w"], past["customers"], months.months), float(rows["customers"].sum()))
    contract: dict[str, Real] = {}
    squares: dict[str, Real] = {}
    paid: dict[str, float] = {}
    paid_history: dict[str, Real] = {}
    for native, (shown, unit) in sorted(units.items()):
        mine = rows["currency"] == native
        contract[shown] = contract.get(shown, np.zeros(many)) + _summed(
            place[mine], rows["contract"][mine] * unit, many
        )
        square = _summed(place[mine], rows["squares"][mine] * unit**2, many)
        squares[shown] = squares.get(shown, np.zeros(many)) + square
        now = float(rows["paid"][mine].sum()) * unit
        paid[shown] = paid.get(shown, 0.0) + now
        then = past["currency"] == native
        series = np.append(_summed(past["w"][then], past["paid"][then] * unit, months.months), now)
        paid_history[shown] = paid_history.get(shown, np.zeros(months.months + 1)) + series
    customers = _summed(place, rows["customers"], many)
    lost = _summed(past["w"], past["lost"], months.months)
    came = np.maximum(history[1:] - (history[:-1] - lost), 0.0)
    found = _newcomers(months, staying, units, came, new)
    if found is None:  # nobody came: if some are told to come, then like those who are there
        rows |= {"tenure": np.zeros(len(place), np.int64), "ahead": np.full(len(place), -1)}
        found = _like(staying, rows, units, came, new)
    return Book(staying, groups, customers, contract, squares, paid, found, history, paid_history)


def _summed(place: Any, values: Any, many: int) -> Real:
    """Sums of values by place, 0 up to many."""
    return np.asarray(np.bincount(place, values, minlength=many)[:many], dtype=np.float64)


def _newcomers(
    months: CustomerMonths, staying: Staying, units: Units, came: Real, new: float | None
) -> Newcomers | None:
    rows = arrays(months.came)
    recent = rows["w"] > months.months - YEAR
    rows = {name: column[recent] for name, column in rows.items()}
    if not len(rows["w"]) or not rows["customers"].sum():
        return None
    rows |= {"tenure": np.zeros(len(rows["w"]), np.int64), "ahead": np.full(len(rows["w"]), -1)}
    return _like(staying, rows, units, came, new)


def _like(staying: Staying, rows: dict[str, Any], units: Units, came: Real, new: float | None) -> Newcomers:
    """Newcomers who are as these rows are."""
    groups, place = kinds(staying, rows)
    total = float(rows["customers"].sum())
    each = max(total, 1.0)
    contract: dict[str, Real] = {}
    for native, (shown, unit) in sorted(units.items()):
        mine = rows["currency"] == native
        told = _summed(place[mine], rows["contract"][mine] * unit, len(groups)) / each
        contract[shown] = contract.get(shown, np.zeros(len(groups))) + told
    shares = _summed(place, rows["customers"], len(groups)) / each
    unsure = {shown: _unsure(rows, shown, units) for shown in contract}
    return Newcomers(MonthlyLevel.of(came), new, groups, shares, contract, unsure, int(total))


def _unsure(rows: dict[str, Any], shown: str, units: Units) -> float:
    """Variance of one newcomer's contract over its squared mean, from how far months differ."""
    if "w" not in rows:
        return 1.0
    w = rows["w"] - int(rows["w"].min())
    n = np.bincount(w, rows["customers"]).astype(np.float64)
    money = np.zeros(len(n))
    for native, (to, unit) in units.items():
        if to == shown:
            mine = rows["currency"] == native
            money += np.bincount(w[mine], rows["contract"][mine] * unit, minlength=len(n))
    there = n > 0
    mean = float(money.sum() / n.sum())
    if there.sum() < 3 or mean <= 0:
        return 1.0
    return float(((money - mean * n)[there] ** 2 / n[there]).sum() / (there.sum() - 1)) / mean**2
