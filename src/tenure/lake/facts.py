"""What did we know? The facts as they were known on a date, one version of each row, ready for a statement.

Every step handed out here has instants as BIGINT microseconds and days as BIGINT day numbers (see portable.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tenure.errors import BadInput
from tenure.lake import identities
from tenure.lake.engines import Engine
from tenure.lake.portable import Statement, micros
from tenure.lake.tables import BITEMPORAL, TABLES, Column, all_columns

if TYPE_CHECKING:
    from tenure.lake.store import Lake, Snapshot

# Mergers, and parents, are followed this many doublings deep: chains of up to 32. Longer ones are measured first.
_DOUBLINGS = 5
GRAINS = ("customer", "account")


@dataclass
class Facts:
    """One consistent look at the lake: snapshots taken once, an engine, and the (exclusive) known-on instant."""

    lake: Lake
    engine: Engine
    known_before: datetime
    timezone: ZoneInfo
    among: str | None = None  # a relation in the engine with the customer_ids to look at; None: everybody
    share: tuple[int, int] | None = None  # the i-th of n shares of the customers (DuckDB only); None: everybody
    loaded_before: datetime | None = None  # only rows that were in the lake before this instant; None: all of them
    grain: str = "customer"  # who is one: each customer, or an `account`, a parent with all its children
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
        what happens at or after the horizon is NULL, with what depends on it. `customer_id` is whom the row is about,
        by whatever name its source calls the customer; see lake.identities.
        """
        step = step or f"latest_{table}"
        if step in st:
            return step
        wanted = list(dict.fromkeys(columns))
        found = identities.ways(self, table) if "customer_id" in wanted else None
        if not found:
            return self._versions(st, table, wanted, where, hide, step)
        told = self._versions(st, table, wanted, where, hide, f"{step}_told", identities.told_names(self, table, found))
        rows, who, _ = identities.looked_up(self, st, found, told)
        others = ", ".join(f"r.{name}" for name in wanted if name != "customer_id")
        select = f"SELECT {who} AS customer_id{', ' + others if others else ''} FROM {rows}"
        return st.step(step, select, says=f"{table}: whom each row is about, by whatever name")

    def as_named(self, st: Statement, table: str, columns: Iterable[str], step: str, also: tuple[str, ...] = ()) -> str:
        """As `latest`, with customers by the names that the rows have; `also`: SQL of stored columns, with names."""
        return self._versions(st, table, list(columns), "", True, step, also)

    def _versions(
        self,
        st: Statement,
        table: str,
        wanted: list[str],
        where: str,
        hide: bool,
        step: str,
        also: tuple[str, ...] = (),
    ) -> str:
        """As `latest`, with customers as the rows name them. also: SQL selected besides, of columns of names in it."""
        fact = TABLES[table]
        raw = self.source(st, table)
        d = self.engine.dialect
        snapshot = self.snapshot(table)
        select = ", ".join([*(self._shown(table, fact.column(name), hide) for name in wanted), *also])
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
                | ({fact.business_time, "source"} if also else set())
                | ({"subscription_id"} if any("subscription_id" in sql for sql in also) else set())
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

        None where there is nothing to merge or to leave out. Raises BadInput for customers merged in a circle.
        """
        merged = left_out = None
        if not self.lacks("customers", "merged_into"):
            merged = self._roots(st, "merged")
        if not self.lacks("customers", "is_test"):
            left_out = "left_out"
            if left_out not in st:
                known = self.latest(st, "customers", ("customer_id", "is_test"), step="tests")
                st.step(left_out, f"SELECT DISTINCT customer_id FROM {known} WHERE is_test", keep=True)
        return merged, left_out

    def accounts(self, st: Statement) -> str | None:
        """A step (customer_id -> root): of each child, after mergers, the parent above which there is none.

        None where customers are counted one by one, or none has a parent. Raises BadInput for parents in a circle.
        """
        if self.grain == "customer" or self.lacks("customers", "parent_id"):
            return None
        return self._roots(st, "accounts")

    def _roots(self, st: Statement, name: str) -> str:
        """The step `merged` or `accounts`: every chain followed to its end."""
        if name in st:
            return name
        key = ("doublings", name, self.known_before)
        if key not in self.memory:
            self.memory[key] = self._doublings(name)
        return self._followed(st, name, self.memory[key])

    def _followed(self, st: Statement, name: str, doublings: int) -> str:
        step = self._links(st, name)
        for i in range(1, doublings + 1):
            target = name if i == doublings else f"{name}_{i}"
            sql = (
                f"SELECT a.customer_id, coalesce(b.root, a.root) AS root FROM {step} AS a "
                f"LEFT JOIN {step} AS b ON b.customer_id = a.root"
            )
            step = st.step(target, sql, keep=True)
        return step

    def _links(self, st: Statement, name: str) -> str:
        """A step (customer_id -> root): each merger, or each child's parent, one link of a chain."""
        if name == "merged":
            known = self.latest(st, "customers", ("customer_id", "merged_into"), step="mergers")
            sql = f"SELECT customer_id, merged_into AS root FROM {known} WHERE merged_into <> customer_id"
            return st.step("merged_0", sql, keep=True)
        known = self.latest(st, "customers", ("customer_id", "parent_id"), step="parents")
        merged, _ = self.people(st)
        parent, gone = "p.parent_id", ""
        joins = f"{known} AS p"
        if merged is not None:
            # Whoever is merged has the parent of the customer kept; a parent that is merged is the one kept.
            parent, gone = "coalesce(m.root, p.parent_id)", " AND g.customer_id IS NULL"
            joins += f" LEFT JOIN {merged} AS m ON m.customer_id = p.parent_id"
            joins += f" LEFT JOIN {merged} AS g ON g.customer_id = p.customer_id"
        sql = f"SELECT p.customer_id, {parent} AS root FROM {joins} WHERE {parent} <> p.customer_id{gone}"
        return st.step("accounts_0", sql, keep=True)

    def _doublings(self, name: str) -> int:
        """How often the links must be doubled until every chain is at its end; BadInput where one has none."""
        st = self.statement()
        roots, links = self._followed(st, name, _DOUBLINGS), self._links(st, name)
        left = f"SELECT r.customer_id FROM {roots} AS r JOIN {links} AS l ON l.customer_id = r.root LIMIT 1"
        if not self.engine.table(st.render(left)).num_rows:
            return _DOUBLINGS
        st = self.statement()
        found = self.engine.table(st.render(f"SELECT customer_id, root FROM {self._links(st, name)}"))
        next_of = dict(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))
        column = "merged_into" if name == "merged" else "parent_id"
        longest = 0
        ended: dict[str, int] = {}  # links from here to the chain's end
        for customer in sorted(next_of):
            path: list[str] = []
            seen: set[str] = set()
            while customer in next_of and customer not in ended:
                if customer in seen:
                    circle = [*path[path.index(customer) :], customer]
                    raise BadInput(
                        f"customers stand in a circle by {column}: {' -> '.join(circle)}; load one of them again with "
                        f"another {column}, or none (`tenure load customers FILE`)"
                    )
                path.append(customer)
                seen.add(customer)
                customer = next_of[customer]
            length = ended.get(customer, 0)
            for one in reversed(path):
                length += 1
                ended[one] = length
            longest = max(longest, length)
        return max(_DOUBLINGS, longest.bit_length() + 1)

    def counted(self, st: Statement, relation: str, columns: Iterable[str], step: str) -> str:
        """A step: `relation` with customer_id replaced by who counts as one, and test customers left out.

        That is the customer merged into; by account the parent above it. Of those in `among` and of the `share`, if
        that is set.
        """
        merged, left_out = self.people(st)
        accounts = self.accounts(st)
        if merged is None and left_out is None and accounts is None and self.among is None and self.share is None:
            return relation
        if step in st:
            return step
        others = "".join(f", r.{column}" for column in columns if column != "customer_id")
        one = "r.customer_id" if merged is None else "coalesce(m.root, r.customer_id)"
        who = one if accounts is None else f"coalesce(p.root, {one})"
        sql = f"SELECT {who} AS customer_id{others} FROM {relation} AS r"
        if merged:
            sql += f" LEFT JOIN {merged} AS m ON m.customer_id = r.customer_id"
        if accounts:
            sql += f" LEFT JOIN {accounts} AS p ON p.customer_id = {one}"
        if self.among:
            sql += f" JOIN {self.among} AS a ON a.customer_id = {who}"
        conditions = []
        if left_out:
            sql += f" LEFT JOIN {left_out} AS t ON t.customer_id = {one}"
            conditions.append("t.customer_id IS NULL")
        if self.share:
            conditions.append(f"hash({who}) % {self.share[1]} = {self.share[0]}")
        if conditions:
            sql += f" WHERE {' AND '.join(conditions)}"
        says = "merged customers are one, test customers are left out"
        says = says if accounts is None else f"{says}, children are their parent"
        # Of a share little is kept of much that is read: it is read once.
        return st.step(step, sql, keep=self.share is not None, says=says)


BITEMPORAL_NAMES = tuple(column.name for column in BITEMPORAL)
