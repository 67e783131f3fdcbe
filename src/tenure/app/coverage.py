"""How far to trust all this? What facts there are, since when, how many were assumed, refused or matched."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from tenure.app.story import FactCoverage, Match, Note, Trust
from tenure.lake.facts import Facts
from tenure.lake.portable import from_micros
from tenure.lake.tables import TABLES

# What a report on churn looks for, in the order in which it is shown.
LOOKED_FOR = (
    "customers",
    "subscription_states",
    "subscription_spans",
    "invoices",
    "invoice_lines",
    "payments",
    "orders",
    "order_lines",
    "usage",
    "tickets",
    "answers",
    "touches",
    "changes",
    "spend",
    "rates",
)


def trust(facts: Facts, survivors_until: date | None, notes: tuple[Note, ...]) -> Trust:
    """Coverage of every table, match rates between systems, and what a reader must know."""
    refused = _quarantined(facts)
    found = tuple(_coverage(facts, table, refused.get(table, 0)) for table in LOOKED_FOR)
    extra: list[Note] = list(notes)
    rows = sum(fact.rows for fact in found)
    assumed = sum(fact.assumed for fact in found)
    if assumed:
        extra.append(Note("assumed_rows", {"rows": assumed, "share": assumed / rows}))
    if refused:
        extra.append(Note("quarantined_rows", {"rows": sum(refused.values())}))
    tests, merged = _left_out(facts)
    if tests:
        extra.append(Note("test_customers", {"customers": tests}))
    if merged:
        extra.append(Note("merged_customers", {"customers": merged}))
    return Trust(found, _matches(facts), survivors_until, tests, tuple(extra))


def _one(facts: Facts, sql_of: Any) -> dict[str, Any]:
    st = facts.statement()
    row = facts.engine.table(st.render(sql_of(st))).to_pylist()[0]
    return dict(row)


def _coverage(facts: Facts, table: str, quarantined: int) -> FactCoverage:
    if not facts.has(table):
        return FactCoverage(table, 0, quarantined=quarantined)
    fact = TABLES[table]
    d = facts.engine.dialect
    time = fact.business_time
    kind = fact.column(time).type
    clock = d.micros(time) if kind == "instant" else f"{d.day_of_date(time)} * 86400000000"
    has_customer = any(column.name == "customer_id" for column in fact.columns)

    def sql(st: Any) -> str:
        raw = facts.source(st, table)
        who = "count(DISTINCT customer_id)" if has_customer else "CAST(NULL AS BIGINT)"
        return (
            f"SELECT count(*) AS n, {who} AS customers, min({clock}) AS a, max({clock}) AS b, "
            f"sum(CASE WHEN recorded_assumed THEN 1 ELSE 0 END) AS assumed, "
            f"sum(CASE WHEN source = 'derived' THEN 1 ELSE 0 END) AS derived FROM {raw} "
            f"WHERE {d.micros('recorded_at')} < {facts.horizon}"
        )

    row = _one(facts, sql)
    zone = facts.timezone

    def day(us: int | None) -> date | None:
        return None if us is None else from_micros(int(us)).astimezone(zone).date()

    return FactCoverage(
        table,
        int(row["n"]),
        row["customers"],
        day(row["a"]),
        day(row["b"]),
        int(row["derived"] or 0),
        int(row["assumed"] or 0),
        quarantined,
    )


def _quarantined(facts: Facts) -> dict[str, int]:
    if not facts.has("quarantine"):
        return {}
    st = facts.statement()
    raw = facts.source(st, "quarantine")
    table = facts.engine.dialect.quoted("table")
    rows = f"SELECT DISTINCT load_id, {table} AS name, line FROM {raw}"
    sql = f"SELECT name, count(*) AS n FROM ({rows}) AS q GROUP BY name"
    return {row["name"]: int(row["n"]) for row in facts.engine.table(st.render(sql)).to_pylist()}


def _left_out(facts: Facts) -> tuple[int, int]:
    if not facts.has("customers"):
        return 0, 0

    def sql(st: Any) -> str:
        latest = facts.latest(st, "customers", ("customer_id", "is_test", "merged_into"))
        return (
            "SELECT sum(CASE WHEN is_test AND merged_into IS NULL THEN 1 ELSE 0 END) AS tests, "
            f"sum(CASE WHEN merged_into IS NOT NULL THEN 1 ELSE 0 END) AS merged FROM {latest}"
        )

    row = _one(facts, sql)
    return int(row["tests"] or 0), int(row["merged"] or 0)


def _matches(facts: Facts) -> tuple[Match, ...]:
    """Of the customers that each table names, how many have a row in `customers` (or a subscription)."""
    if not facts.has("customers"):
        return ()
    found = []
    for table in ("subscription_states", "subscription_spans", "usage", "tickets", "payments"):
        if not facts.has(table) or facts.lacks(table, "customer_id"):
            continue

        def sql(st: Any, table: str = table) -> str:
            raw = facts.source(st, table)
            known = facts.source(st, "customers")
            return (
                f"SELECT count(*) AS n, count(k.customer_id) AS matched FROM (SELECT DISTINCT customer_id FROM {raw} "
                f"WHERE customer_id IS NOT NULL) AS t LEFT JOIN (SELECT DISTINCT customer_id FROM {known}) AS k "
                "ON k.customer_id = t.customer_id"
            )

        row = _one(facts, sql)
        found.append(Match(table, int(row["matched"]), int(row["n"])))
    return tuple(found)


def is_reconstructed(facts: Facts, *, loaded_later: bool = True) -> bool:
    """Whether numbers stand on rows whose time of record was assumed or that were loaded after the known-on date.

    Without loaded_later, only the former count: what says when it was recorded may come at any time.
    """
    for table in ("subscription_states", "subscription_spans", "orders", "order_lines"):
        if not facts.has(table):
            continue
        snapshot = facts.snapshot(table)
        if snapshot.maximum.get("recorded_assumed") is not False and "recorded_assumed" not in snapshot.all_false:
            return True
        loaded = snapshot.maximum.get("loaded_at")
        if loaded_later and isinstance(loaded, datetime) and loaded >= facts.known_before:
            return True
    return False
