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
    found = facts.engine.table(rebuilding.changes(facts))
    st = facts.statement()
    told = rebuilding.told(st, facts)
    count = facts.engine.table(st.render(f"SELECT count(*) AS n FROM {told}")).column(0).to_pylist()[0]
    flags = [found.column(name).to_pylist() for name in ("retracted", "known")]
    retracted = sum(flags[0])
    corrected = sum(known and not gone for gone, known in zip(*flags, strict=True))
    if found.num_rows:
        _load(shop, found)
    subscriptions = len(set(found.column("subscription_id").to_pylist()))
    return Rebuilt(subscriptions, found.num_rows - corrected - retracted, corrected, retracted, count)


def _load(shop: Workspace, found: pa.Table) -> None:
    """Load the rows as any file is loaded: its name becomes their `source`."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from tenure.connect.files import load

    now = datetime.now(UTC)
    instant = pa.timestamp("us", tz="UTC")
    columns = {
        name: found.column(name).cast(pa.int64()).cast(instant) if name in INSTANTS else found.column(name)
        for name in (*KEY, *CONTENT)
    }
    # A state that was written before is corrected now; a new one is taken to be known since it took effect.
    known = found.column("known").combine_chunks()
    columns["recorded_at"] = pc.if_else(known, pa.scalar(now, instant), pa.scalar(None, instant))
    columns["retracted"] = found.column("retracted")
    with tempfile.TemporaryDirectory(prefix="tenure-rebuilt-") as scratch:
        file = Path(scratch) / DERIVED
        pq.write_table(pa.table(columns), file, compression="zstd")
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
