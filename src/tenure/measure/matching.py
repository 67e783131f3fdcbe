"""How much of what other systems tell can be laid to a customer of ours? Match rates, and what is left over.

Each row is looked up as every number does it (see lake.identities); here it is only counted how it was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from tenure.errors import UnknownName
from tenure.lake import identities
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, from_micros

if TYPE_CHECKING:
    import pyarrow as pa

KEYS = ("table", "system", "rows", "known", "by_identity", "by_subscription", "unmatched", "rate", "names",
        "names_unmatched")  # fmt: skip
UNMATCHED_KEYS = ("table", "system", "name", "rows", "since", "until", "reason")
UNKNOWN = "no identity tells whose name this is"
NOT_YET = "an identity tells whose name this is from a later day on"
SEVERAL = "several systems use this name for different customers"
NAMELESS = "the rows name nobody"
NO_OWNER = "the rows name only a subscription that is not loaded"


@dataclass(frozen=True, slots=True)
class Matched:
    """Of one table's rows, looked up first by the names of one system ('' for none): how their customers were found.

    known: by the customer's own name; by_identity, by_subscription; unmatched: not at all. names: different names (or
    none) in the rows, of which names_unmatched have a row without a customer.
    """

    table: str
    system: str
    rows: int
    known: int
    by_identity: int
    by_subscription: int
    unmatched: int
    names: int
    names_unmatched: int

    @property
    def rate(self) -> float | None:
        """The share of rows that have a customer; None without rows."""
        return (self.rows - self.unmatched) / self.rows if self.rows else None

    def as_json(self) -> dict[str, Any]:
        """The same as a row of KEYS."""
        return {name: (getattr(self, name) or None) if name == "system" else getattr(self, name) for name in KEYS}


def named(tables: Sequence[str]) -> tuple[str, ...]:
    """The tables of these names (none: every one) whose rows name customers; UnknownName for another."""
    every = identities.named_tables()
    for table in tables:
        if table not in every:
            raise UnknownName.of("table that names customers", table, every)
    return tuple(tables) or every


def matches(facts: Facts, tables: Sequence[str] = ()) -> list[Matched]:
    """The match rates, one row per table with rows and per system that its names are looked up in first."""
    found = []
    for table in (table for table in named(tables) if facts.has(table)):
        st = facts.statement()
        rows = _ways(st, facts, table)
        counts = ", ".join(
            f"CAST(sum(CASE WHEN way = '{way}' THEN n ELSE 0 END) AS BIGINT) AS {_column(way)}"
            for way in identities.WAYS
        )
        each = st.step(
            "each_name",
            f"SELECT named_by, name, way, count(*) AS n FROM {rows} GROUP BY named_by, name, way",
            says="how the rows of each name were found",
        )
        sql = st.render(
            f"SELECT named_by, CAST(sum(n) AS BIGINT) AS total, {counts}, count(DISTINCT coalesce(name, '')) AS names, "
            "count(DISTINCT CASE WHEN way = 'none' THEN coalesce(name, '') END) AS names_unmatched "
            f"FROM {each} GROUP BY named_by ORDER BY named_by"
        )
        for row in facts.engine.table(sql).to_pylist():
            told = {name: int(row[name]) for name in row if name not in ("named_by", "total")}
            found.append(Matched(table, row["named_by"], int(row["total"]), **told))
    return found


def _column(way: str) -> str:
    return {"known": "known", "none": "unmatched"}.get(way, f"by_{way}")


def _ways(st: Statement, facts: Facts, table: str) -> str:
    """A step (named_by, name, way, at, subscription) with a table's rows, one version each."""
    found = identities.ways(facts, table)
    also = identities.told_names(facts, table, found)
    rows = facts.as_named(st, table, ["customer_id"], f"{table}_to_match", also)
    if found:
        source, _, way = identities.looked_up(facts, st, found, rows)
    else:
        source = f"{rows} AS r LEFT JOIN {identities.known_customers(facts, st)} AS k ON k.customer_id = r.customer_id"
        way = "CASE WHEN k.customer_id IS NOT NULL THEN 'known' ELSE 'none' END"
    by = "r.named_by" if found.systems else "''"
    of = "r.named_for" if found.by_subscription else f"CAST(NULL AS {facts.engine.dialect.text})"
    return st.step(
        "ways_found",
        f"SELECT {by} AS named_by, r.customer_id AS name, {way} AS way, r.named_at AS at, {of} AS subscription "
        f"FROM {source}",
        says="how each row's customer was found",
    )


def unmatched(facts: Facts, tables: Sequence[str] = (), limit: int | None = None) -> pa.Table:
    """The names that are nobody's, most rows first within each table.

    Arrow: table, system, name (NULL: the rows have none), rows, since, until (days in the company's zone), reason.
    """
    import pyarrow as pa

    d = facts.engine.dialect
    has_names = facts.has("identities")
    listed: list[dict[str, Any]] = []
    for match in matches(facts, tables):
        if not match.unmatched:
            continue
        st = facts.statement()
        rows = _ways(st, facts, match.table)
        known, first = "0", f"CAST({identities.END} AS BIGINT)"
        joins = ""
        if has_names:
            told = st.step(
                "who_has_names",
                "SELECT external_id, count(DISTINCT customer_id) AS customers, min(since) AS first FROM "
                f"{identities.names(facts, st)} GROUP BY external_id",
            )
            joins = f" LEFT JOIN {told} AS t ON t.external_id = w.name"
            known, first = "max(coalesce(t.customers, 0))", f"max(coalesce(t.first, {identities.END}))"
        sql = st.render(
            "SELECT w.name, count(*) AS n, min(w.at) AS since, max(w.at) AS until, "
            f"max(CASE WHEN w.subscription IS NULL THEN 0 ELSE 1 END) AS subscribed, {known} AS customers, "
            f"{first} AS first FROM {rows} AS w{joins} "
            f"WHERE w.way = 'none' AND w.named_by = {d.literal(match.system)} GROUP BY w.name "
            f"ORDER BY n DESC, w.name IS NULL, w.name{f' LIMIT {int(limit)}' if limit else ''}"
        )
        for row in facts.engine.table(sql).to_pylist():
            listed.append({**row, "table": match.table, "system": match.system or None, "reason": _reason(row)})

    def day(us: int) -> date:
        return from_micros(us).astimezone(facts.timezone).date()

    return pa.table(
        {
            "table": pa.array([row["table"] for row in listed], pa.string()),
            "system": pa.array([row["system"] for row in listed], pa.string()),
            "name": pa.array([row["name"] for row in listed], pa.string()),
            "rows": pa.array([int(row["n"]) for row in listed], pa.int64()),
            "since": pa.array([day(int(row["since"])) for row in listed], pa.date32()),
            "until": pa.array([day(int(row["until"])) for row in listed], pa.date32()),
            "reason": pa.array([row["reason"] for row in listed], pa.string()),
        }
    )


def _reason(row: dict[str, Any]) -> str:
    if row["name"] is None:
        return NO_OWNER if row["subscribed"] else NAMELESS
    if row["customers"] > 1:
        return SEVERAL
    return NOT_YET if row["customers"] and row["first"] > row["since"] else UNKNOWN
