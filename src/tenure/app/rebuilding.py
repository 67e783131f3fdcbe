"""Where billing keeps no history, its invoices do: states rebuilt from them go into the lake, marked derived."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput, Failed
from tenure.measure import rebuilding
from tenure.measure.rebuilding import CONTENT, DERIVED, INSTANTS, KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from tenure.app.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild wrote.

    subscriptions: those that the written rows tell of; written: new states; corrected: states that lines tell otherwise
    now; retracted: those that no line tells of any more; left_alone: subscriptions that tell of themselves.
    """

    subscriptions: int
    written: int
    corrected: int
    retracted: int
    left_alone: int

    def as_json(self) -> dict[str, Any]:
        """The same as a dict."""
        return {name: getattr(self, name) for name in self.__slots__}


def rebuild(shop: Workspace, engine: str | None = None) -> Rebuilt:
    """Writes the states that invoice lines tell of, for subscriptions that no state or span tells of.

    Rows have `source` = derived, and say that when they were recorded is assumed. A second run writes nothing; after
    more lines came it writes what they add, and takes back what they contradict. What was loaded is never touched.
    Raises BadInput where there are no invoice lines.
    """
    facts = shop.facts(engine=engine)
    if not facts.has("invoice_lines"):
        raise BadInput(
            "there are no invoice lines to rebuild from; load some with `tenure load invoice_lines FILE`, or an export "
            "that holds them"
        )
    st = facts.statement()
    told = rebuilding.told(st, facts)
    count = facts.engine.table(st.render(f"SELECT count(*) AS n FROM {told}")).column(0).to_pylist()[0]
    with tempfile.TemporaryDirectory(prefix="tenure-rebuilt-") as scratch:
        file = Path(scratch) / DERIVED
        now = datetime.now(UTC)
        written, corrected, retracted, subscriptions = _write(
            facts.engine.batches(rebuilding.changes(facts)), file, now
        )
        if written + corrected + retracted:
            _load(shop, file, now)
    return Rebuilt(subscriptions, written, corrected, retracted, count)


def _write(batches: Iterable[pa.RecordBatch], file: Path, now: datetime) -> tuple[int, int, int, int]:
    """Writes the rows, which come in the order of subscriptions, into a file in the shape of a table's.

    Returns how many are new, correct one that was written before, take one back, and of how many subscriptions.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    instant = pa.timestamp("us", tz="UTC")
    total = known_rows = gone_rows = subscriptions = 0
    last, writer = None, None
    for batch in batches:
        if not batch.num_rows:
            continue
        columns = {
            name: batch.column(name).cast(pa.int64()).cast(instant) if name in INSTANTS else batch.column(name)
            for name in (*KEY, *CONTENT)
        }
        known, gone, owner = (batch.column(name) for name in ("known", "retracted", "subscription_id"))
        # A state that was written before is corrected now; a new one is taken to be known since it took effect.
        columns["recorded_at"] = pc.if_else(known, pa.scalar(now, instant), pa.scalar(None, instant))
        columns["retracted"] = gone
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table.cast(writer.schema))
        total += batch.num_rows
        gone_rows += pc.sum(gone).as_py()
        known_rows += pc.sum(pc.and_(known, pc.invert(gone))).as_py()
        subscriptions += int(owner[0].as_py() != last) + (pc.sum(pc.not_equal(owner[1:], owner[:-1])).as_py() or 0)
        last = owner[-1].as_py()
    if writer:
        writer.close()
    return total - known_rows - gone_rows, known_rows, gone_rows, subscriptions


def _load(shop: Workspace, file: Path, now: datetime) -> None:
    """Load the rows as any file is loaded: its name becomes their `source`."""
    from tenure.connect.files import load

    report = load(
        shop.lake,
        "subscription_states",
        file,
        mapping={},
        timezone=shop.settings.timezone,
        currency=shop.settings.currency,
        now=now,
    )
    if report.quarantined:
        raise Failed(
            f"{report.quarantined} rebuilt states could not be stored: {report.reasons}; `tenure quarantine` shows them"
        )
