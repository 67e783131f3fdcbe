"""A made-up company in a workspace, as the simulator gives it: for tests of what learns from a whole company."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

import tenure
from tenure.lake.tables import TABLES
from tenure.simulate.company import Company, simulate


def opened(folder: Path, **settings: Any) -> tuple[tenure.Workspace, pa.Table]:
    """A workspace with the company's facts, and the table of its true hazards."""
    workspace = tenure.open(folder, create=True, currency="USD")
    told: dict[str, list[pa.Table]] = {}
    for name, rows in simulate(Company(**settings)):
        told.setdefault(name, []).append(rows)
    loaded = pa.scalar(datetime(2026, 11, 1, tzinfo=UTC), pa.timestamp("us", tz="UTC"))
    for name, parts in told.items():
        if name in TABLES:
            table = pa.concat_tables(parts)
            table = table.append_column("loaded_at", pa.repeat(loaded, table.num_rows))
            assert workspace.lake.append_arrow(name, table, load_id=name)
    return workspace, pa.concat_tables(told["truth_hazards"])
