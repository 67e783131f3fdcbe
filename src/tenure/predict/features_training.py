"""How likely does each customer decide to leave soon? Learned from what was known at every month's beginning.

    trained = train(facts, definition, since, until, gap=7, horizon=30)
    trained.score(facts, as_of, definition)      Arrow: customer_id, probability and its three causes

Only windows that were seen to their end are learned from; traits that know the future are left out and named. Treated
customers count up to their first touch, and customers like them for the rest (see left_alone). The model is
`DiscreteHazard`: the latest quarter of rows chooses it, all months put it right, and where there is too little to
learn, the base rate by tenure stands and `trained.model.why_` says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import CannotFit
from tenure.lake.facts import Facts
from tenure.measure.definition import Definition
from tenure.predict.features import Told, features
from tenure.predict.features_catalogue import Feature
from tenure.predict.features_periods import RENEWAL, Horizon, Looks, Periods, person_periods, whole_periods
from tenure.predict.features_refused import refused
from tenure.predict.hazards import DiscreteHazard
from tenure.predict.left_alone import LeftAlone, first_treated, left_alone

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Trained:
    """A model and what it was made from.

    features: what it learned from; refused: traits left out, with the reason; missing: features that could not be told;
    rows: the rows it was offered, with those whose window is not over; gap, horizon: days (or 'renewal'); static:
    columns of customers declared to have always held; left_alone: the weights of those rows whose window is over.
    """

    model: DiscreteHazard
    features: tuple[Feature, ...]
    refused: dict[str, str]
    missing: dict[str, str]
    rows: Periods
    since: date
    until: date
    gap: int
    horizon: Horizon
    static: tuple[str, ...]
    left_alone: LeftAlone

    def score(self, facts: Facts, as_of: datetime, definition: Definition) -> tuple[pa.Table, Told]:
        """The chance that each live customer decides to leave within one horizon, and what was told of him.

        Columns: customer_id, probability, and one per cause, which add up to it.
        """
        told = features(facts, as_of, definition, static=self.static, refused=self.refused)
        return scored(self.model, told.table, self.features, self.horizon), told


def scored(model: DiscreteHazard, table: pa.Table, told: Sequence[Feature], horizon: Horizon) -> pa.Table:
    """What a model says of the customers of a table of features: customer_id, probability, and one column per cause."""
    import pyarrow as pa

    chance = model.predict(matrix(table, told), tenure_periods(table, horizon))
    columns: dict[str, Any] = {"customer_id": table.column("customer_id"), "probability": chance.sum(axis=1)}
    columns |= {cause: chance[:, i] for i, cause in enumerate(model.causes)}
    return pa.table(columns)


def tenure_periods(table: pa.Table, horizon: Horizon) -> NDArray[np.int64]:
    """Each customer's tenure in whole periods of a model of that horizon."""
    return whole_periods(np.asarray(table.column("tenure_days").cast("double").fill_null(0.0)), horizon)


def matrix(table: pa.Table, told: Sequence[Feature]) -> Mapping[str, NDArray[Any]]:
    """The features as columns that a model takes; one that the table lacks is unknown for everybody."""
    found: dict[str, NDArray[Any]] = {}
    for feature in told:
        there = feature.name in table.column_names
        if feature.is_text:
            texts = table.column(feature.name).cast("string").to_pylist() if there else [None] * table.num_rows
            found[feature.name] = np.array(texts, dtype=object)
        elif there:
            found[feature.name] = _numbers(table.column(feature.name))
        else:
            found[feature.name] = np.full(table.num_rows, np.nan)
    return found


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column as numbers, unknown where it holds none: a trait may have become a text since the model was made."""
    import pyarrow as pa

    if not pa.types.is_string(column.type):
        return np.asarray(column.cast("double").fill_null(np.nan), dtype=np.float64)
    found = np.full(len(column), np.nan)
    for i, text in enumerate(column.to_pylist()):
        with suppress(TypeError, ValueError):
            found[i] = float(text)
    return found


def train(
    facts: Facts,
    definition: Definition,
    since: date,
    until: date,
    *,
    gap: int = 0,
    horizon: Horizon = 30,
    static: Collection[str] = (),
    hold_out: float = 0.1,
    plays: Collection[str] = (),
    looks: Looks | None = None,
    learner: str = "best",
    seed: int = 0,
    threads: int = 0,
) -> Trained:
    """Learn from the months of [since, until) who decides to leave within a horizon after the gap; see the module.

    hold_out: the share of customers whom nobody treats; plays: whose touches treat though they carry no arm; looks:
    what was told at the cut-offs, where several models are made of it. Raises CannotFit where no window was seen to its
    end, or every customer was treated.
    """
    rows = person_periods(facts, definition, since, until, gap=gap, horizon=horizon, static=static, looks=looks)
    out = refused(rows.table, rows.features)
    kept = tuple(feature for feature in rows.features if feature.name not in out)
    whole = rows.table.filter(rows.table.column("is_whole"))
    if not whole.num_rows:
        length = f"{gap} + {horizon} days" if horizon != RENEWAL else "up to the renewal"
        raise CannotFit(
            f"no window of {length} after a month's beginning is over by {facts.known_before:%Y-%m-%d}; "
            "load more history, or take a shorter horizon"
        )
    X = matrix(whole, kept)
    alone = left_alone(whole, X, first_treated(facts, plays), hold_out, threads)
    counts = np.ones(whole.num_rows, dtype=bool) if alone.weight is None else alone.weight > 0
    if not counts.any():
        raise CannotFit(
            "every customer was treated before the window was over, so nobody shows who leaves when left alone; "
            "hold some out (hold_out in tenure.toml)"
        )
    direction = {feature.name: feature.direction for feature in kept if feature.direction}
    model = DiscreteHazard(monotone=direction, learner=learner, seed=seed, threads=threads).fit(
        {name: column[counts] for name, column in X.items()},
        whole.column("period").to_numpy()[counts],
        np.array(whole.column("outcome").to_pylist())[counts],
        time=whole.column("month").to_numpy()[counts],
        weight=None if alone.weight is None else alone.weight[counts],
        customer=np.array(whole.column("customer_id").to_pylist())[counts],
    )
    return Trained(model, kept, out, rows.missing, rows, since, until, gap, horizon, tuple(static), alone)
