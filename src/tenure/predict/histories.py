"""What is known of a customer without a contract? Repeat purchases, when the last one was, and since when we look.

Three numbers per customer are all that the models of the BG/NBD family need (Fader, Hardie & Lee 2005): `frequency`,
the periods with a purchase after the first one; `recency`, the time from the first purchase to the last; `age`, the
time from the first purchase to the end of observation. Recency and age share one unit of time, whichever.

Millions of customers have few distinct histories: on a grid of days a quarter's newcomers share some ten thousand.
They are grouped by sorting one integer per customer; what the likelihoods sum over depends on the groups alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tenure.errors import BadInput, CannotFit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]
    Whole = NDArray[np.int64]

# Steps per unit of time that are tried: days, days told in weeks, hundredths of weeks as in published tables, hours.
_GRIDS = (1.0, 7.0, 24.0, 100.0, 168.0)
# More purchases than this are no person's.
_MOST = 10_000_000


class Simulated(NamedTuple):
    """Customers made up by a model: what would be seen of them, and the truth that nobody sees."""

    frequency: Whole
    recency: Real
    age: Real
    alive: NDArray[np.bool_]
    future: Whole


def column(values: ArrayLike, name: str, rows: int | None = None) -> Real:
    """One number per customer, finite; a row that is not is named."""
    try:
        found = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} must be numbers, one per customer: {error}") from error
    if found.ndim == 0 and rows is not None:
        found = np.full(rows, float(found))
    if found.ndim != 1:
        raise BadInput(f"{name} has {found.ndim} dimensions; hand in one number per customer")
    if rows is not None and len(found) != rows:
        raise BadInput(
            f"{name} has {len(found):,} rows, the columns before it {rows:,}; hand in one number per customer"
        )
    refuse(~np.isfinite(found), found, name, "is not a finite number; leave the row out or fill it")
    return found


def refuse(wrong: NDArray[np.bool_], values: Any, name: str, why: str) -> None:
    """Name the first row for which `wrong` holds."""
    if wrong.any():
        row = int(np.argmax(wrong))
        more = int(wrong.sum()) - 1
        rest = f" ({more:,} more rows like it)" if more else ""
        raise BadInput(f"row {row} (counted from 0): {name} {values[row]:g} {why}{rest}")


def counts(values: ArrayLike, name: str, rows: int | None = None) -> Real:
    """One whole number from 0 on per customer."""
    found = column(values, name, rows)
    refuse(found < 0, found, name, "is negative; it counts something")
    refuse(found != np.rint(found), found, name, "is not whole; it counts something")
    refuse(found > _MOST, found, name, "is more than anybody does; is it an amount of money?")
    return found


def weights_of(weights: ArrayLike | None, rows: int) -> Real | None:
    """How many customers each row stands for; None where it is one each."""
    if weights is None:
        return None
    found = column(weights, "weights", rows)
    refuse(found < 0, found, "weights", "is negative; it counts the customers of the row")
    return found


def checked(frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> tuple[Real, Real, Real]:
    """The three columns, whole and possible; the first row that is neither is named with what to do."""
    x = counts(frequency, "frequency")
    t_x = column(recency, "recency", len(x))
    t = column(age, "age", len(x))
    refuse(t_x < 0, t_x, "recency", "is negative; it is the time from the first purchase to the last")
    refuse(
        t_x > t,
        t_x,
        "recency",
        "is more than age; both run from the first purchase, in the same unit, to the last purchase and to today",
    )
    bought = x > 0
    refuse(
        bought & (t_x == 0),
        x,
        "frequency",
        "with recency 0: count several purchases of the first day as one, the first",
    )
    refuse(~bought & (t_x > 0), t_x, "recency", "with frequency 0; without a repeat purchase recency is 0")
    return x, t_x, t


def _codes(values: Real) -> tuple[Whole, float] | None:
    """Times as whole steps of a grid, with the steps per unit of time; None where they are on none of the grids."""
    for per_unit in _GRIDS:
        # A glance at a few rows tells most grids that do not fit.
        for part in (values[:64], values):
            steps = np.rint(part * per_unit)
            if not np.array_equal(steps / per_unit, part):
                break
        else:
            return steps.astype(np.int64), per_unit
    return None


@dataclass(frozen=True, eq=False)
class Histories:
    """Distinct histories and how many customers share each, in one order: by age, then frequency, then recency."""

    frequency: Real
    recency: Real
    age: Real
    weight: Real

    @classmethod
    def of(
        cls, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike, weights: ArrayLike | None = None
    ) -> Histories:
        """Checks the three columns and groups them."""
        x, t_x, t = checked(frequency, recency, age)
        if not len(x):
            raise CannotFit("there are no customers; hand in one row per customer")
        weight = weights_of(weights, len(x))
        if weight is not None:
            kept = weight > 0
            if not kept.any():
                raise CannotFit("all weights are 0, so there are no customers")
            x, t_x, t, weight = x[kept], t_x[kept], t[kept], weight[kept]
        both = _codes(t), _codes(t_x)
        if both[0] is not None and both[1] is not None:
            (t_code, t_grid), (x_code, x_grid) = both[0], both[1]
            t_value, x_value = None, None
        else:
            t_value, t_code = np.unique(t, return_inverse=True)
            x_value, x_code = np.unique(t_x, return_inverse=True)
            t_grid = x_grid = 1.0
        many_x, many_tx = int(x.max()) + 1, int(x_code.max()) + 1
        if float(many_x) * many_tx * (float(t_code.max()) + 1) > 2**62:
            return cls(x, t_x, t, np.ones(len(x)) if weight is None else weight)
        key = (t_code * many_x + x.astype(np.int64)) * many_tx + x_code
        if weight is None:
            key.sort()
            first = np.flatnonzero(np.diff(key, prepend=-1))
            total = np.diff(first, append=len(key)).astype(np.float64)
            key = key[first]
        else:
            key, place = np.unique(key, return_inverse=True)
            total = np.asarray(np.bincount(place, weight), dtype=np.float64)
        rest, x_code = np.divmod(key, many_tx)
        t_code, x_count = np.divmod(rest, many_x)
        return cls(
            x_count.astype(np.float64),
            x_code / x_grid if x_value is None else x_value[x_code],
            t_code / t_grid if t_value is None else t_value[t_code],
            total,
        )

    @property
    def columns(self) -> tuple[Real, Real, Real, Real]:
        """Frequency, recency, age and weight."""
        return self.frequency, self.recency, self.age, self.weight

    @cached_property
    def customers(self) -> float:
        """How many customers there are."""
        return float(self.weight.sum())

    @cached_property
    def purchases(self) -> float:
        """All repeat purchases."""
        return float(self.weight @ self.frequency)

    @cached_property
    def mean_age(self) -> float:
        """The mean age, a natural unit of time for these data."""
        return float(self.weight @ self.age) / self.customers

    @cached_property
    def beyond(self) -> Real:
        """For j = 0, 1, ...: how many customers have more than j repeat purchases."""
        per_count = np.bincount(self.frequency.astype(np.int64), self.weight)
        return np.asarray(np.cumsum(per_count[::-1])[::-1][1:])

    @cached_property
    def by_frequency(self) -> Real:
        """For 0, 1, ... repeat purchases: how many customers."""
        return np.asarray(np.bincount(self.frequency.astype(np.int64), self.weight), dtype=np.float64)

    @cached_property
    def by_age(self) -> tuple[Real, Real, Real]:
        """Distinct ages, the customers of each and their repeat purchases."""
        first = np.flatnonzero(np.diff(self.age, prepend=-1.0))
        if len(first) > 1 and (np.diff(self.age) < 0).any():  # not grouped: in no order
            ages, place = np.unique(self.age, return_inverse=True)
            sums = (np.bincount(place, part) for part in (self.weight, self.weight * self.frequency))
            customers, purchases = (np.asarray(part, dtype=np.float64) for part in sums)
            return ages, customers, purchases
        return (
            self.age[first],
            np.add.reduceat(self.weight, first),
            np.add.reduceat(self.weight * self.frequency, first),
        )

    def of_repeat_buyers(self) -> Histories:
        """Those with at least one repeat purchase."""
        kept = self.frequency > 0
        return Histories(self.frequency[kept], self.recency[kept], self.age[kept], self.weight[kept])

    def without_recency(self) -> Histories:
        """Who never bought again, one row per age."""
        kept = self.frequency == 0
        part = Histories(self.frequency[kept], self.recency[kept], self.age[kept], self.weight[kept])
        if not kept.any():
            return part
        ages, customers, _ = part.by_age
        nothing = np.zeros(len(ages))
        return Histories(nothing, nothing, ages, customers)

    def thinned(self, rows: int) -> Histories | None:
        """Every so many-th history, for a first look; None where there are few anyway."""
        if len(self.frequency) <= 2 * rows:
            return None
        step = len(self.frequency) // rows
        # A stride over rows in order keeps the mix of ages and frequencies.
        found = Histories(self.frequency[::step], self.recency[::step], self.age[::step], self.weight[::step])
        return found if found.purchases > 0 else None

    def worth_fitting(self) -> Histories:
        """Itself, unless there is nothing to learn from."""
        if self.mean_age == 0:
            raise CannotFit("every age is 0: nobody was watched for any time; fit again when time has passed")
        if self.purchases == 0:
            raise CannotFit(
                f"none of {self.customers:,.0f} customers bought again, so nothing tells how often they buy or whether "
                "they stopped; watch them for longer, or hand in customers who had more time"
            )
        return self
