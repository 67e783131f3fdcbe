"""A made-up company as a workspace, for tests of what lies ahead: its later months are known."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import tenure
from tenure.kernel.time import add_months, midnight
from tenure.lake.portable import day_number
from tenure.measure.currencies import SCALE, Conversion
from tenure.measure.openings import movement_rows
from tenure.simulate.company import Company, simulate

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace

TABLES = ("customers", "subscription_states", "rates", "spend", "tickets")


def made_up(folder: Path, **settings: Any) -> Workspace:
    """The company's facts that value and forecast read, loaded; no usage, no invoices."""
    shop = tenure.open(folder, create=True, currency="USD")
    parts: dict[str, list[pa.Table]] = defaultdict(list)
    for table, rows in simulate(Company(usage="none", **settings)):
        if table in TABLES:
            parts[table].append(rows)
    for table, rows_ in parts.items():
        file = folder / f"{table}.parquet"
        pq.write_table(pa.concat_tables(rows_, promote_options="default"), file)
        shop.load(table, file)
    return shop


def paid_later(shop: Workspace, customers: set[str], cut: date, months: int) -> Any:
    """What these customers really paid as each of the months from `cut` on began, in dollars at the cut's rates."""
    facts = shop.facts()
    conversion = Conversion.of(facts, "USD")
    starts = [midnight(add_months(cut, month), facts.timezone) for month in range(months)]
    found = np.zeros(months)
    rows = movement_rows(facts, shop.definition(), date(2010, 1, 1), add_months(cut, months)).to_pylist()
    for row in rows:
        if row["customer_id"] in customers:
            unit = conversion.need(row["currency"], day_number(cut) - 1) / SCALE
            micro = float(row["amount_micro"]) * unit / 1e8
            for month, start in enumerate(starts):
                if row["at"] < start:
                    found[month] += micro
    return found
