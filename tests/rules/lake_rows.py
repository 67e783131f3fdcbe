"""Small fact tables for the lake's tests: only the columns that a test speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tenure.lake.store import Snapshot

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


def customers(ids: Sequence[str], **columns: Any) -> pa.Table:
    """Customers with those ids, recorded and loaded at NOON; a column is one value for all, or a list."""
    told: dict[str, Any] = {"customer_id": list(ids), "recorded_at": NOON, "loaded_at": NOON, "row_hash": 1, **columns}
    return pa.table(
        {name: value if isinstance(value, list | pa.Array) else [value] * len(ids) for name, value in told.items()}
    )


def numbered(first: int, count: int, **columns: Any) -> pa.Table:
    """Customers c<first> to c<first + count - 1>, each recorded a second later than the one before."""
    recorded = [NOON + timedelta(seconds=number) for number in range(first, first + count)]
    return customers([f"c{number}" for number in range(first, first + count)], **{"recorded_at": recorded, **columns})


def read(snapshot: Snapshot, *columns: str) -> list[tuple[Any, ...]]:
    """The rows of a snapshot's files, in the files' order."""
    rows: list[tuple[Any, ...]] = []
    for file in snapshot.files:
        table = pq.read_table(file, columns=list(columns))
        rows.extend(zip(*(table.column(name).to_pylist() for name in columns), strict=True))
    return rows


def ids(snapshot: Snapshot) -> list[str]:
    """The customers in a snapshot, sorted, each as often as it occurs."""
    return sorted(row[0] for row in read(snapshot, "customer_id"))
