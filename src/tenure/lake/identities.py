"""Who is who? The names that other systems give our customers, looked up as of each row's time.

A row's customer_id is a customer's own (it has a row in `customers`; where that table is empty, a subscription), or the
name that a system gives: then `identities` tells who that is, as of the row's time. Which system's name it is: the one
that the row's source is called after (helpdesk for helpdesk-2026.csv), else the table's usual one, else any, where all
systems that know the name agree. A row that names nobody we know, and a subscription we know, is the subscription's
customer's. What is found by neither keeps its own name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenure.lake.portable import Statement
from tenure.lake.tables import TABLES

if TYPE_CHECKING:
    from tenure.lake.facts import Facts

# Whose names a table's rows usually have.
USUAL = {
    "usage": "product",
    "tickets": "helpdesk",
    "orders": "shop",
    "order_lines": "shop",
    "payments": "billing",
    "invoices": "billing",
    "invoice_lines": "billing",
    "subscription_states": "billing",
    "subscription_spans": "billing",
    "contacts": "crm",
    "traits": "crm",
    "answers": "survey",
}
# Rows of these tables are named by no other system: they are the directory itself, or ours.
OWN = ("customers", "identities", "scores", "exposures")
SUBSCRIPTIONS = ("subscription_states", "subscription_spans")
BEGINNING, END = -9_000_000_000_000_000_000, 9_000_000_000_000_000_000
# How a row came to its customer, in the order in which it is tried.
WAYS = ("known", "identity", "subscription", "none")


@dataclass(frozen=True, slots=True)
class Ways:
    """How a table's rows that name nobody we know may still find their customer: by identities, by subscriptions."""

    systems: tuple[str, ...] = ()
    by_subscription: bool = False
    sources: tuple[tuple[str, str], ...] = ()  # (source, the system that it is called after)

    def __bool__(self) -> bool:
        return bool(self.systems) or self.by_subscription


def named_tables() -> tuple[str, ...]:
    """The tables whose rows may name a customer as another system does."""
    return tuple(
        name
        for name, table in TABLES.items()
        if name not in OWN and any(column.name == "customer_id" for column in table.columns)
    )


def ways(facts: Facts, table: str) -> Ways:
    """Which ways a table's rows need; none where every row names a customer, or nothing else could tell."""
    key = ("ways", table)
    if key not in facts.memory:
        facts.memory[key] = _ways(facts, table)
    found: Ways = facts.memory[key]
    return found


def _ways(facts: Facts, table: str) -> Ways:
    if table not in named_tables() or not facts.has(table):
        return Ways()
    has_names = facts.has("identities")
    owned = table not in SUBSCRIPTIONS and "subscription_id" in TABLES[table].names
    owned = owned and not facts.lacks(table, "subscription_id")
    owned = owned and any(facts.has(name) for name in SUBSCRIPTIONS)
    if not has_names and not (owned and not TABLES[table].column("customer_id").required):
        return Ways()
    st = facts.statement()
    raw = facts.source(st, table)
    if not has_names:
        unknown = f"SELECT 1 AS one FROM {raw} WHERE customer_id IS NULL AND subscription_id IS NOT NULL LIMIT 1"
    else:
        known = known_customers(facts, st)
        named = "" if owned else " AND r.customer_id IS NOT NULL"
        unknown = (
            f"SELECT 1 AS one FROM {raw} AS r LEFT JOIN {known} AS k ON k.customer_id = r.customer_id "
            f"WHERE k.customer_id IS NULL{named} LIMIT 1"
        )
    if not facts.engine.table(st.render(unknown)).num_rows:
        return Ways()
    if not has_names:
        return Ways(by_subscription=True)
    systems = tuple(_distinct(facts, "identities", "system"))
    called = {source: called_after(source, systems) for source in _distinct(facts, table, "source")}
    return Ways(systems, owned, tuple((source, system) for source, system in called.items() if system))


def _distinct(facts: Facts, table: str, column: str) -> list[str]:
    st = facts.statement()
    sql = f"SELECT DISTINCT {column} AS found FROM {facts.source(st, table)} WHERE {column} IS NOT NULL ORDER BY found"
    return [str(value) for value in facts.engine.table(st.render(sql)).column(0).to_pylist()]


def called_after(source: str, systems: tuple[str, ...]) -> str:
    """The system whose name stands in a source's, '' for none: the longest of several.

    >>> called_after("exports/Help-Desk 2026.csv", ("product", "helpdesk"))
    'helpdesk'
    """
    plain = _plain(source)
    within = [system for system in systems if _plain(system) and _plain(system) in plain]
    return max(within, key=lambda system: (len(_plain(system)), system), default="")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def system_of(facts: Facts, table: str, found: Ways) -> str:
    """SQL text: the system by whose names a row of the table is looked up first, '' for no one system."""
    literal = facts.engine.dialect.literal
    usual = literal(USUAL[table] if USUAL.get(table) in found.systems else "")
    cases = " ".join(f"WHEN {literal(source)} THEN {literal(system)}" for source, system in found.sources)
    return f"CASE source {cases} ELSE {usual} END" if cases else usual


def known_customers(facts: Facts, st: Statement) -> str:
    """A step (customer_id): who is a customer of ours by the own name."""
    if "known_customers" in st:
        return "known_customers"
    if facts.has("customers"):
        rows = facts.latest(st, "customers", ("customer_id",), step="customers_we_know")
        sql = f"SELECT customer_id FROM {rows}"
    else:
        d = facts.engine.dialect
        there = [
            f"SELECT customer_id FROM {facts.source(st, name)} WHERE {d.micros('recorded_at')} < {facts.horizon}"
            for name in SUBSCRIPTIONS
            if facts.has(name)
        ]
        nobody = f"SELECT CAST(NULL AS {d.text}) AS customer_id WHERE FALSE"
        sql = f"SELECT DISTINCT customer_id FROM ({' UNION ALL '.join(there) or nobody}) AS s"
    return st.step("known_customers", sql, keep=True, says="who is a customer by the own name")


def names(facts: Facts, st: Statement) -> str:
    """A step (system, external_id, customer_id, since, until): whom each name means, from when up to when.

    A name that is given to another customer later belongs to either in its time; what takes a name back takes all of
    its past back.
    """
    if "system_names" in st:
        return "system_names"
    d = facts.engine.dialect
    raw = facts.source(st, "identities")
    order = "recorded_at DESC, coalesce(version, -9223372036854775807) DESC, row_hash DESC"
    name = "PARTITION BY system, external_id"
    told = st.step(
        "names_told",
        f"SELECT system, external_id, customer_id, coalesce({d.micros('valid_from')}, {BEGINNING}) AS since, "
        f"retracted, row_number() OVER ({name} ORDER BY {order}) AS place FROM {raw} "
        f"WHERE {d.micros('recorded_at')} < {facts.horizon}",
    )
    kept = st.step(
        "names_kept",
        f"SELECT *, min(CASE WHEN retracted THEN place END) OVER ({name}) AS taken_back, "
        f"min(CASE WHEN retracted THEN NULL ELSE place END) OVER ({name}, since) AS newest FROM {told}",
    )
    return st.step(
        "system_names",
        f"SELECT system, external_id, customer_id, since, coalesce(lead(since) OVER ({name} ORDER BY since), {END}) "
        f"AS until FROM {kept} WHERE NOT retracted AND place = newest AND (taken_back IS NULL OR place < taken_back)",
        keep=True,
        says="whom each system's names mean, from when up to when",
    )


def names_anywhere(facts: Facts, st: Statement) -> str:
    """A step (external_id, customer_id, since): names that mean one customer, whichever system says them."""
    told = names(facts, st)
    return st.step(
        "names_anywhere",
        f"SELECT external_id, min(customer_id) AS customer_id, min(since) AS since FROM {told} GROUP BY external_id "
        "HAVING min(customer_id) = max(customer_id)",
        says="names on which all systems agree",
    )


def owners(facts: Facts, st: Statement) -> str:
    """A step (subscription_id, customer_id, since, until): whose each subscription is, from when up to when."""
    if "subscription_owners" in st:
        return "subscription_owners"
    parts = []
    for table, at in (("subscription_states", "effective_at"), ("subscription_spans", "started_at")):
        if facts.has(table):
            rows = facts.latest(st, table, ("subscription_id", "customer_id", at), step=f"owners_in_{table}")
            parts.append(f"SELECT subscription_id, customer_id, {at} AS since FROM {rows}")
    told = st.step("owners_told", "\nUNION ALL\n".join(parts))
    each = "OVER (PARTITION BY subscription_id ORDER BY since, customer_id)"
    marks = st.step("owners_marked", f"SELECT *, lag(customer_id) {each} AS before FROM {told}")
    return st.step(
        "subscription_owners",
        f"SELECT subscription_id, customer_id, CASE WHEN before IS NULL THEN {BEGINNING} ELSE since END AS since, "
        f"coalesce(lead(since) {each}, {END}) AS until FROM {marks} WHERE before IS NULL OR before <> customer_id",
        keep=True,
        says="whose each subscription is, from when up to when",
    )


def told_names(facts: Facts, table: str, found: Ways) -> tuple[str, ...]:
    """What `looked_up` needs of each stored row besides its columns: when it was so, and by whose names."""
    d = facts.engine.dialect
    at = f"coalesce({d.micros(TABLES[table].business_time)}, {facts.horizon - 1}) AS named_at"
    by = (f"{system_of(facts, table, found)} AS named_by",) if found.systems else ()
    return (at, *by, *(("subscription_id AS named_for",) if found.by_subscription else ()))


def looked_up(facts: Facts, st: Statement, found: Ways, rows: str) -> tuple[str, str, str]:
    """(rows, customer_id, way): rows r, with the columns of `told_names`, whose each row is and how that is known."""
    joins = f" LEFT JOIN {known_customers(facts, st)} AS k ON k.customer_id = r.customer_id"
    tried: list[tuple[str, str]] = []
    if found.systems:
        joins += (
            f" LEFT JOIN {names(facts, st)} AS o ON o.system = r.named_by AND o.external_id = r.customer_id "
            "AND o.since <= r.named_at AND r.named_at < o.until"
            f" LEFT JOIN {names_anywhere(facts, st)} AS a ON a.external_id = r.customer_id AND a.since <= r.named_at"
        )
        tried += [("o.customer_id", "identity"), ("a.customer_id", "identity")]
    if found.by_subscription:
        joins += (
            f" LEFT JOIN {owners(facts, st)} AS s ON s.subscription_id = r.named_for "
            "AND s.since <= r.named_at AND r.named_at < s.until"
        )
        tried.append(("s.customer_id", "subscription"))
    first = ", ".join(column for column, _ in tried)
    who = f"CASE WHEN k.customer_id IS NOT NULL THEN r.customer_id ELSE coalesce({first}, r.customer_id) END"
    cases = " ".join(f"WHEN {column} IS NOT NULL THEN '{way}'" for column, way in tried)
    way = f"CASE WHEN k.customer_id IS NOT NULL THEN 'known' {cases} ELSE 'none' END"
    return f"{rows} AS r{joins}", who, way
