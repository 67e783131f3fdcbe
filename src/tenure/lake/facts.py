"""What did we know? The facts as they were known on a date, one version of each row, ready for a statement.

Every step handed out here has instants as BIGINT microseconds and days as BIGINT day numbers (see portable.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tenure.lake.engines import Engine
from tenure.lake.portable import Statement, micros
from tenure.lake.tables import BITEMPORAL, TABLES, Column, all_columns

if TYPE_CHECKING:
    from tenure.lake.store import Lake, Snapshot

# Merged customers are followed this many doublings deep: chains of up to 32 mergers.
_MERGE_DOUBLINGS = 5


@dataclass
class Facts:
    """One consistent look at the lake: snapshots taken once, an engine, and the (exclusive) known-on instant."""

    lake: Lake
    engine: Engine
    known_before: datetime
    timezone: ZoneInfo
    among: str | None = None  # a relation in the engine with the customer_ids to look at; None: everybody
    loaded_before: datetime | None = None  # only rows that were in the lake before this instant; None: all of them
    _snapshots: dict[str, Snapshot] = field(default_factory=dict)
    memory: dict[Any, Any] = field(default_factory=dict)  # what need not be read twice in one look

    @property
    def horizon(self) -> int:
        """Nothing at or after this instant (microseconds) is known or counted."""
        return micros(self.known_before)

    def snapshot(self, table: str) -> Snapshot:
        """The table's snapshot, the same at every call."""
        if table not in self._snapshots:
            self._snapshots[table] = self.lake.snapshot(table)
        return self._snapshots[table]

    def statement(self) -> Statement:
        """An empty statement in the engine's dialect."""
        return Statement(self.engine.dialect)

    def has(self, table: str) -> bool:
        """Whether the table holds any row at all."""
        return self.snapshot(table).rows > 0

    def lacks(self, table: str, column: str) -> bool:
        """Whether a column holds nothing but NULL (or, for a claim, false), going by the files' statistics."""
        snapshot = self.snapshot(table)
        return snapshot.rows == 0 or column in snapshot.all_null or column in snapshot.all_false

    def constant(self, table: str, column: str) -> object | None:
        """The one value a column holds in every row, where the statistics prove it; else None."""
        snapshot = self.snapshot(table)
        low, high = snapshot.minimum.get(column), snapshot.maximum.get(column)
        return low if low is not None and low == high else None

    def source(self, st: Statement, table: str) -> str:
        """A step with the table's stored rows, every version."""
        step = f"raw_{table}"
        if step not in st:
            snapshot = self.snapshot(table)
            sql = self.engine.source(table, snapshot.files, all_columns(TABLES[table]), snapshot.all_null)
            if self.loaded_before is not None:
                loaded = self.engine.dialect.micros("loaded_at")
                sql = f"SELECT * FROM ({sql}) AS stored WHERE {loaded} < {micros(self.loaded_before)}"
            st.step(step, sql)
        return step

    def latest(
        self, st: Statement, table: str, columns: Iterable[str], where: str = "", *, hide: bool = True, step: str = ""
    ) -> str:
        """A step with the version in force of each key, known before the horizon, of the wanted columns.

        `where` filters rows before versions are chosen and may therefore name only columns of the key. With `hide`,
        what happens at or after the horizon is NULL, with what depends on it.
        """
        fact = TABLES[table]
        step = step or f"latest_{table}"
        if step in st:
            return step
        raw = self.source(st, table)
        d = self.engine.dialect
        snapshot = self.snapshot(table)
        wanted = list(dict.fromkeys(columns))
        select = ", ".join(self._shown(table, fact.column(name), hide) for name in wanted)
        conditions = []
        latest_record = snapshot.maximum.get("recorded_at")
        if not (isinstance(latest_record, datetime) and latest_record < self.known_before):
            conditions.append(f"{d.micros('recorded_at')} < {self.horizon}")
        if where:
            conditions.append(where)
        if snapshot.no_repeated_keys:
            if not self.lacks(table, "retracted"):
                conditions.append("NOT retracted")
            sql = f"SELECT {select} FROM {raw}" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
        else:
            inner_columns = sorted(
                {*wanted, *fact.key, "retracted", "recorded_at", "version", "row_hash"}
                | {fact.column(name).depends_on for name in wanted if fact.column(name).depends_on}
                | ({"ended_at", "cancel_requested_at"} if table == "subscription_spans" else set())
            )
            order = "recorded_at DESC, coalesce(version, -9223372036854775807) DESC, row_hash DESC"
            if self.lacks(table, "version"):
                order = "recorded_at DESC, row_hash DESC"
            known = f" WHERE {' AND '.join(conditions)}" if conditions else ""

            def chosen(known: str) -> str:
                return (
                    f"SELECT {select} FROM (SELECT {', '.join(inner_columns)}, row_number() OVER "
                    f"(PARTITION BY {', '.join(fact.key)} ORDER BY {order}) AS version_rank FROM {raw}{known}"
                    ") AS versions WHERE version_rank = 1 AND NOT retracted"
                )

            if d.spark:
                sql = chosen(known)
            else:
                # Few keys have several versions, and choosing costs a sort of all that is sorted: only theirs are. A
                # number may be that of two keys; that costs a little sorting, for the choice is made by the keys.
                number = f"hash({', '.join(fact.key)})"
                several = st.step(
                    f"{step}_repeated",
                    f"SELECT {number} AS number FROM {raw}{known} GROUP BY {number} HAVING count(*) > 1",
                    keep=True,
                    says=f"{table}: keys that may have several versions",
                )
                and_ = f"{known} AND" if known else " WHERE"
                sql = (
                    f"SELECT {select} FROM {raw}{and_} NOT retracted AND {number} NOT IN (SELECT number FROM {several})"
                    f"\nUNION ALL\n{chosen(f'{and_} {number} IN (SELECT number FROM {several})')}"
                )
        return st.step(step, sql, says=f"{table}: one version of each row, as known")

    def _shown(self, table: str, column: Column, hide: bool) -> str:
        d = self.engine.dialect
        value = column.name
        if column.type == "instant":
            value = d.micros(column.name)
        elif column.type == "date":
            value = d.day_of_date(column.name)
        if column.name in self.snapshot(table).all_null:
            return f"{value} AS {column.name}"
        if hide and column.tells == "happened" and not self._before(table, column.name):
            return f"CASE WHEN {value} < {self.horizon} THEN {value} END AS {column.name}"
        if hide and column.depends_on:
            clock = column.depends_on
            if table == "subscription_spans":
                # A span may say when it ended without saying when that was asked for.
                if self._before(table, "ended_at") and self._before(table, clock):
                    return f"{value} AS {column.name}"
                seen = f"coalesce({d.micros(clock)}, {d.micros('ended_at')})"
            else:
                if self._before(table, clock):
                    return f"{value} AS {column.name}"
                seen = d.micros(clock)
            return f"CASE WHEN {seen} >= {self.horizon} THEN NULL ELSE {value} END AS {column.name}"
        return f"{value} AS {column.name}"

    def _before(self, table: str, column: str) -> bool:
        """Whether the statistics prove that every value of an instant lies before the horizon."""
        snapshot = self.snapshot(table)
        if column in snapshot.all_null:
            return True
        high = snapshot.maximum.get(column)
        return isinstance(high, datetime) and high < self.known_before

    def people(self, st: Statement) -> tuple[str | None, str | None]:
        """Steps (merged, left_out): merged (customer_id -> root) and left_out (customer_id of test customers).

        None where there is nothing to merge or to leave out.
        """
        merged = left_out = None
        if not self.lacks("customers", "merged_into"):
            merged = "merged"
            if merged not in st:
                known = self.latest(st, "customers", ("customer_id", "merged_into"), step="mergers")
                sql = f"SELECT customer_id, merged_into AS root FROM {known} WHERE merged_into <> customer_id"
                step = st.step("merged_0", sql, keep=True)
                for i in range(1, _MERGE_DOUBLINGS + 1):
                    target = merged if i == _MERGE_DOUBLINGS else f"merged_{i}"
                    sql = (
                        f"SELECT a.customer_id, coalesce(b.root, a.root) AS root FROM {step} AS a "
                        f"LEFT JOIN {step} AS b ON b.customer_id = a.root"
                    )
                    step = st.step(target, sql, keep=True)
        if not self.lacks("customers", "is_test"):
            left_out = "left_out"
            if left_out not in st:
                known = self.latest(st, "customers", ("customer_id", "is_test"), step="tests")
                st.step(left_out, f"SELECT DISTINCT customer_id FROM {known} WHERE is_test", keep=True)
        return merged, left_out

    def counted(self, st: Statement, relation: str, columns: Iterable[str], step: str) -> str:
        """A step: `relation` with customer_id replaced by the merged customer and test customers left out.

        Of the customers in `among`, if that is set.
        """
        merged, left_out = self.people(st)
        if merged is None and left_out is None and self.among is None:
            return relation
        if step in st:
            return step
        others = ", ".join(f"r.{column}" for column in columns if column != "customer_id")
        who = "r.customer_id" if merged is None else "coalesce(m.root, r.customer_id)"
        sql = f"SELECT {who} AS customer_id, {others} FROM {relation} AS r"
        if merged:
            sql += f" LEFT JOIN {merged} AS m ON m.customer_id = r.customer_id"
        if self.among:
            sql += f" JOIN {self.among} AS a ON a.customer_id = {who}"
        if left_out:
            sql += f" LEFT JOIN {left_out} AS t ON t.customer_id = {who}"
            sql += " WHERE t.customer_id IS NULL"
        return st.step(step, sql, says="merged customers are one, test customers are left out")


BITEMPORAL_NAMES = tuple(column.name for column in BITEMPORAL)
