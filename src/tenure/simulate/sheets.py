"""How do columns become a table of facts? Arrow tables in the schema of `tenure.lake.tables`, and who records when.

A table holds the fact table's own columns, then recorded_at, version, retracted and source, which is always
"simulator". What the loader decides (recorded_assumed, loaded_at, row_hash) is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenure.lake.tables import TABLES
from tenure.simulate.chance import Chance, Numbers
from tenure.simulate.hazards import CAUSES
from tenure.simulate.months import DAY, HOUR, MINUTE, NEVER, SECOND, Months

INSTANT = pa.timestamp("us", tz="UTC")
TYPES = {
    "text": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "instant": INSTANT,
    "date": pa.date32(),
    "money_minor": pa.int64(),
    "rate": pa.decimal128(38, 12),
}
SOURCE = "simulator"
_RECORD = (("recorded_at", INSTANT), ("version", pa.int64()), ("retracted", pa.bool_()), ("source", pa.string()))


def schema(table: str) -> pa.Schema:
    """The columns of one of our tables, in order."""
    if table in TRUTHS:
        return TRUTHS[table]
    own = [(column.name, TYPES[column.type]) for column in TABLES[table].columns]
    return pa.schema([*own, *_RECORD])


TRUTHS = {
    "truth_hazards": pa.schema(
        [
            ("customer_id", pa.string()),
            ("month", pa.date32()),
            ("hazard_voluntary", pa.float64()),
            ("hazard_involuntary", pa.float64()),
            ("left", pa.bool_()),
            ("actor", pa.string()),
            ("cause", pa.string()),
        ]
    ),
    "truth_leavers": pa.schema(
        [
            ("customer_id", pa.string()),
            ("left_at", INSTANT),
            ("decided_at", INSTANT),
            ("actor", pa.string()),
            ("cause", pa.string()),
            *((f"share_{cause}", pa.float64()) for cause in CAUSES),
        ]
    ),
    "truth_mrr": pa.schema([("month", pa.date32()), ("currency", pa.string()), ("mrr_minor", pa.decimal128(38, 6))]),
    "truth_causes": pa.schema(
        [("month", pa.date32()), ("cause", pa.string()), ("expected_leavers", pa.float64()), ("left", pa.int64())]
    ),
}


def instants(values: Numbers) -> pa.Array:
    """Microseconds as UTC timestamps, NEVER as NULL."""
    return pa.array(values, pa.int64(), mask=values == NEVER).view(INSTANT)


def words(labels: Sequence[str], numbers: Numbers) -> pa.Array:
    """Labels by their numbers, NULL for a negative one."""
    return pa.array(labels, pa.string()).take(pa.array(numbers, pa.int64(), mask=numbers < 0))


def joined(*parts: Any, between: str = "_") -> pa.Array:
    """Text put together row by row; numbers are written out, single texts are the same in every row."""
    texts = [
        part if isinstance(part, (str, pa.Array, pa.ChunkedArray)) else pa.array(part).cast(pa.string())
        for part in parts
    ]
    return pc.binary_join_element_wise(*texts, between)


def sheet(table: str, rows: int, **columns: Any) -> pa.Table:
    """A table of `rows` rows from its columns; a column that is not given is NULL (retracted: False)."""
    columns.setdefault("retracted", np.zeros(rows, bool))
    columns.setdefault("source", pa.array([SOURCE]).take(pa.array(np.zeros(rows, np.int64))))
    arrays = []
    fields = schema(table)
    for field in fields:
        value = columns.pop(field.name, None)
        if value is None:
            value = pa.nulls(rows, field.type)
        elif isinstance(value, np.ndarray):
            value = instants(value) if field.type == INSTANT else pa.array(value, field.type)
        elif isinstance(value, str):
            value = pa.array([value]).take(pa.array(np.zeros(rows, np.int64)))
        arrays.append(value)
    if columns:
        raise KeyError(f"{table} has no column {', '.join(sorted(columns))}")
    return pa.Table.from_arrays(arrays, schema=fields)


def from_rows(table: str, rows: list[dict[str, Any]]) -> pa.Table:
    """A table from a few rows told one by one."""
    told = [{"retracted": False, "source": SOURCE, **row} for row in rows]
    return pa.Table.from_pylist(told, schema=schema(table))


@dataclass(frozen=True)
class Names:
    """How the customers of a chunk and their subscriptions are called."""

    numbers: pa.Array  # "0000042"
    customers: pa.Array  # "cus_0000042"

    @classmethod
    def of(cls, who: Numbers) -> Names:
        """Names for the customers numbered `who`, the first being 0000001."""
        numbers = [f"{number + 1:07d}" for number in who.tolist()]
        return cls(pa.array(numbers, pa.string()), pa.array([f"cus_{number}" for number in numbers], pa.string()))

    def customer(self, who: Numbers) -> pa.Array:
        """customer_id of the rows of a chunk."""
        return self.customers.take(pa.array(who))

    def number(self, who: Numbers) -> pa.Array:
        """The bare number, to build other names from."""
        return self.numbers.take(pa.array(who))

    def subscription(self, who: Numbers, sub: Numbers) -> pa.Array:
        """subscription_id: the customer's number and which of its subscriptions it is."""
        return joined("sub", self.number(who), sub)


class Clerk:
    """When is a row written down? Mostly within minutes, sometimes days late, never after the window's end."""

    def __init__(self, months: Months, chance: Chance, late: float) -> None:
        self.start, self.end = months.start_of_window, months.end_of_window
        self._chance, self._late = chance, late

    def recorded(self, purpose: str, who: Numbers, which: Any, at: Numbers, late: float | None = None) -> Numbers:
        """recorded_at of rows about `at`: what precedes the window was imported in its first two hours."""
        quick = self._chance.uniform(purpose + " recorded", who, which)
        share = self._late if late is None else late * (self._late > 0)
        days = np.where(
            self._chance.uniform(purpose + " late", who, which) < share,
            1 + 20 * self._chance.uniform(purpose + " days late", who, which) ** 2,
            0.0,
        )
        when = at + ((20 + 400 * quick**3) * SECOND + days * DAY).astype(np.int64) // SECOND * SECOND
        when = np.maximum(when, self.start + ((10 + 100 * quick) * MINUTE).astype(np.int64) // SECOND * SECOND)
        return np.maximum(np.minimum(when, self.end - SECOND), at)

    def later(self, purpose: str, who: Numbers, which: Any, at: Numbers, low: float, high: float) -> Numbers:
        """An instant `low` to `high` days after `at`."""
        days = low + (high - low) * self._chance.uniform(purpose, who, which)
        return at + (days * (DAY // SECOND)).astype(np.int64) * SECOND + HOUR
