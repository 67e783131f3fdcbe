"""How does a customer's plan, country or a trait with 100,000 values become numbers, without telling the future?

Numbers stay numbers; an unknown one becomes the median with a column that says it was unknown. A trait of few values
becomes one column per value. One of many becomes two: how common its value is, and how those of that value fared. The
second would tell each customer's own outcome back to the model, so in training it is computed from other customers
only (folds by customer); a value met once says nothing then. A value never seen in training counts as unseen: nobody's
rate. Source: Micci-Barreca 2001 (SIGKDD Explorations 3:27), with cross-fitting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tenure.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]
    Whole = NDArray[np.int64]

# A trait of more values than this is encoded by its values' rates, and not by a column each.
FEW = 12
# As many rows at the base rate are added to each value: a value must be met often to say much.
_PRIOR = 20.0

Columns: TypeAlias = "Mapping[str, NDArray[Any]]"


def columns(X: Mapping[str, ArrayLike] | ArrayLike, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Columns by name, from a mapping (or data frame) of columns, or a two-dimensional array.

    Numbers become float64 (booleans too); anything else is a trait, None and NaN its unknown.
    """
    if hasattr(X, "keys"):
        given: Any = X
        found = {str(name): np.asarray(given[name]) for name in given.keys()}  # noqa: SIM118 - also of a data frame
    else:
        x = np.asarray(X)
        x = x[:, None] if x.ndim == 1 else x
        if x.ndim != 2:
            raise BadInput(f"X has one row per customer and one column per fact, got {x.ndim} dimensions")
        called = list(names) if names is not None else [f"x{i}" for i in range(x.shape[1])]
        if len(called) != x.shape[1] or len(set(called)) != len(called):
            raise BadInput(f"{x.shape[1]} columns and names {called}; give each its own name")
        found = {name: x[:, i] for i, name in enumerate(called)}
    lengths = {len(column) for column in found.values()}
    if len(lengths) > 1:
        raise BadInput(f"columns differ in length: {sorted(lengths)}; give one value per row")
    return {name: _typed(name, column) for name, column in found.items()}


def _typed(name: str, column: NDArray[Any]) -> NDArray[Any]:
    if column.dtype.kind in "biuf":
        numbers = column.astype(np.float64)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    if column.dtype.kind not in "OUS":
        raise BadInput(f"column '{name}' holds neither numbers nor text but {column.dtype}; turn dates into days since")
    return np.array([None if each is None or each != each else str(each) for each in column.tolist()], dtype=object)


@dataclass(frozen=True, eq=False)
class _Trait:
    """What training saw of one trait: its values, how often each, and how those customers fared."""

    values: Mapping[str | None, int]
    share: Real
    rate: Real  # log odds against everybody's
    spelled: bool  # one column per value


class Encoder:
    """From columns as people have them to a matrix of numbers, the same way in training and ever after.

    names_ : the matrix's columns; origin_ : for each, the name of the column it was made from
    """

    def fit_transform(self, X: Columns, left: Real, fold: Whole, weight: Real | None = None) -> Real:
        """Learn the encoding and apply it to the rows it was learned from, each from other folds than its own."""
        self._fit(X, left, weight)
        rates: dict[str, Real] = {}
        for name, trait in self.traits_.items():
            if not trait.spelled:
                place = self._places(X[name], trait)
                rates[name] = _rates_of_others(place, len(trait.share), left, fold, weight)
        return self._matrix(X, rates)

    def transform(self, X: Columns) -> Real:
        """The matrix of other rows. A missing column is refused by name; columns not seen in training are ignored."""
        missing = [name for name in self.columns_ if name not in X]
        if missing:
            raise BadInput(f"these columns were there in training and are missing now: {missing}")
        return self._matrix(X, {})

    def _fit(self, X: Columns, left: Real, weight: Real | None) -> None:
        self.columns_ = tuple(X)
        self.middle_: dict[str, float] = {}
        self.flagged_: set[str] = set()
        self.traits_: dict[str, _Trait] = {}
        for name, column in X.items():
            if column.dtype == object:
                self.traits_[name] = _learn(column, left, weight)
                continue
            known = column[~np.isnan(column)]
            self.middle_[name] = float(np.median(known)) if len(known) else 0.0
            if len(known) < len(column):
                self.flagged_.add(name)
        self.names_, self.origin_ = self._names()

    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        told: list[tuple[str, str]] = []
        for name in self.columns_:
            if name in self.middle_:
                told.append((name, name))
                if name in self.flagged_:
                    told.append((f"{name} unknown", name))
                continue
            trait = self.traits_[name]
            if trait.spelled:
                told += [(f"{name} = {'unknown' if value is None else value}", name) for value in trait.values]
            else:
                told += [(f"{name}: how common", name), (f"{name}: how others fared", name)]
        return tuple(each for each, _ in told), tuple(origin for _, origin in told)

    def _places(self, column: NDArray[Any], trait: _Trait) -> Whole:
        # The place beyond the last value is that of values training never met.
        unseen = len(trait.values)
        return np.array([trait.values.get(each, unseen) for each in column.tolist()], dtype=np.int64)

    def _matrix(self, X: Columns, rates: Mapping[str, Real]) -> Real:
        rows = len(next(iter(X.values()))) if X else 0
        x = np.empty((rows, len(self.names_)))
        at = 0
        for name in self.columns_:
            column = X[name]
            if name in self.middle_:
                if column.dtype == object:
                    raise BadInput(f"column '{name}' held numbers in training and holds text now")
                unknown = np.isnan(column)
                x[:, at] = np.where(unknown, self.middle_[name], column)
                at += 1
                if name in self.flagged_:
                    x[:, at] = unknown
                    at += 1
                continue
            trait = self.traits_[name]
            place = self._places(_typed(name, column.astype(object)), trait)
            if trait.spelled:
                for value in range(len(trait.values)):
                    x[:, at] = place == value
                    at += 1
            else:
                x[:, at] = np.log(np.append(trait.share, trait.share.min(initial=1.0) / 2)[place])
                x[:, at + 1] = rates[name] if name in rates else np.append(trait.rate, 0.0)[place]
                at += 2
        return x


def _learn(column: NDArray[Any], left: Real, weight: Real | None) -> _Trait:
    values: dict[str | None, int] = {}
    place = np.array([values.setdefault(each, len(values)) for each in column.tolist()], dtype=np.int64)
    counts = np.bincount(place, minlength=len(values))
    base, rate = _rates(place, len(values), left, weight)
    return _Trait(values, counts / len(column), rate - base, len(values) <= FEW)


def _rates(place: Whole, values: int, left: Real, weight: Real | None) -> tuple[float, Real]:
    """Log odds of leaving, of everybody and per value, the latter drawn towards the former."""
    w = np.ones(len(left)) if weight is None else weight
    base = float((w @ left + 0.5) / (w.sum() + 1.0))
    total = np.bincount(place, weights=w, minlength=values)
    gone = np.bincount(place, weights=w * left, minlength=values)
    rate = (gone + _PRIOR * base) / (total + _PRIOR)
    return float(np.log(base / (1 - base))), np.asarray(np.log(rate / (1 - rate)))


def _rates_of_others(place: Whole, values: int, left: Real, fold: Whole, weight: Real | None) -> Real:
    """Per row, how its value's customers in the other folds fared, against all in the other folds."""
    found = np.zeros(len(left))
    for each in np.unique(fold):
        others, own = fold != each, fold == each
        if not others.any():
            continue
        base, rate = _rates(place[others], values, left[others], None if weight is None else weight[others])
        found[own] = rate[place[own]] - base
    return found
