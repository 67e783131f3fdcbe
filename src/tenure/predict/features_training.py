"""How likely does each customer decide to leave soon? Learned from what was known at every month's beginning.

    trained = train(facts, definition, since, until, gap=7, horizon=30)
    trained.score(facts, as_of, definition)      Arrow: customer_id, probability and its three causes

Only windows that were seen to their end are learned from; traits that know the future are left out and named. The model
is `DiscreteHazard`: the latest quarter of rows chooses and calibrates it, and where there is too little to learn, the
base rate by tenure stands and `trained.model.why_` says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import CannotFit
from tenure.lake.facts import Facts
from tenure.measure.definition import Definition
from tenure.predict.features import Told, features
from tenure.predict.features_catalogue import Feature
from tenure.predict.features_periods import Periods, person_periods
from tenure.predict.features_refused import refused
from tenure.predict.hazards import DiscreteHazard

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Trained:
    """A model and what it was made from.

    features: what it learned from; refused: traits left out, with the reason; missing: features that could not be told;
    rows: the rows it was offered, with those whose window is not over; gap, horizon: days; static: columns of customers
    declared to have always held.
    """

    model: DiscreteHazard
    features: tuple[Feature, ...]
    refused: dict[str, str]
    missing: dict[str, str]
    rows: Periods
    since: date
    until: date
    gap: int
    horizon: int
    static: tuple[str, ...]

    def score(self, facts: Facts, as_of: datetime, definition: Definition) -> tuple[pa.Table, Told]:
        """The chance that each live customer decides to leave within one horizon, and what was told of him.

        Columns: customer_id, probability, and one per cause, which add up to it.
        """
        import pyarrow as pa

        told = features(facts, as_of, definition, static=self.static, refused=self.refused)
        age = np.asarray(told.table.column("tenure_days"), dtype=np.float64) // self.horizon
        chance = self.model.predict(matrix(told.table, self.features), age)
        columns: dict[str, Any] = {"customer_id": told.table.column("customer_id"), "probability": chance.sum(axis=1)}
        columns |= {cause: chance[:, i] for i, cause in enumerate(self.model.causes)}
        return pa.table(columns), told


def matrix(table: pa.Table, told: Sequence[Feature]) -> Mapping[str, NDArray[Any]]:
    """The features as columns that a model takes; one that the table lacks is unknown for everybody."""
    found: dict[str, NDArray[Any]] = {}
    for feature in told:
        there = feature.name in table.column_names
        if feature.is_text:
            texts = table.column(feature.name).cast("string").to_pylist() if there else [None] * table.num_rows
            found[feature.name] = np.array(texts, dtype=object)
        elif there:
            found[feature.name] = np.asarray(table.column(feature.name).cast("double").fill_null(np.nan))
        else:
            found[feature.name] = np.full(table.num_rows, np.nan)
    return found


def train(
    facts: Facts,
    definition: Definition,
    since: date,
    until: date,
    *,
    gap: int = 0,
    horizon: int = 30,
    static: Collection[str] = (),
    learner: str = "best",
    seed: int = 0,
    threads: int = 0,
) -> Trained:
    """Learn from the months of [since, until) who decides to leave within a horizon after the gap; see the module.

    Raises CannotFit where no window was seen to its end.
    """
    rows = person_periods(facts, definition, since, until, gap=gap, horizon=horizon, static=static)
    out = refused(rows.table, rows.features)
    kept = tuple(feature for feature in rows.features if feature.name not in out)
    whole = rows.table.filter(rows.table.column("is_whole"))
    if not whole.num_rows:
        raise CannotFit(
            f"no window of {gap} + {horizon} days after a month's beginning is over by {facts.known_before:%Y-%m-%d}; "
            "load more history, or take a shorter horizon"
        )
    direction = {feature.name: feature.direction for feature in kept if feature.direction}
    model = DiscreteHazard(monotone=direction, learner=learner, seed=seed, threads=threads).fit(
        matrix(whole, kept),
        whole.column("period").to_numpy(),
        np.array(whole.column("outcome").to_pylist()),
        time=whole.column("month").to_numpy(),
        customer=np.array(whole.column("customer_id").to_pylist()),
    )
    return Trained(model, kept, out, rows.missing, rows, since, until, gap, horizon, tuple(static))
