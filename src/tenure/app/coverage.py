"""How far to trust all this? What facts there are, since when, how many were assumed, refused or matched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from tenure.app.story import FactCoverage, Match, Note, Trust
from tenure.lake.facts import Facts
from tenure.measure.coverage import Coverage, TableCoverage, coverage
from tenure.measure.definition import Definition
from tenure.measure.matching import matches

MATCHED = ("subscription_states", "subscription_spans", "usage", "tickets", "payments", "answers")
GAPS_TOLD = 3
# Under this share of the customers, those without a trace are not worth a reader's time.
WORTH_TELLING = 0.02
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


def trust(facts: Facts, definition: Definition, survivors_until: date | None, notes: tuple[Note, ...]) -> Trust:
    """Coverage of every table, match rates between systems, and what a reader must know."""
    refused = _quarantined(facts)
    looked = coverage(facts, definition)
    there = {table.table: table for table in looked.tables}
    found = tuple(_fact(name, there.get(name), refused.get(name, 0)) for name in LOOKED_FOR)
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
    return Trust(found, _matches(facts), survivors_until, tests, (*extra, *_missing(looked)))


def _missing(looked: Coverage) -> Iterator[Note]:
    """What is worth telling of gaps in the last year of the facts, and of customers without a trace."""
    if looked.until is None:
        return
    recent = looked.until - timedelta(days=365)
    gaps = [(table.table, gap) for table in looked.tables for gap in table.rhythm.gaps if gap.after > recent]
    largest = sorted(gaps, key=lambda one: -one[1].expected)[:GAPS_TOLD]
    for table, gap in sorted(largest, key=lambda one: (one[1].first, one[0])):
        if gap.is_last:
            yield Note("stream_stopped", {"table": table, "since": gap.first - timedelta(days=1)})
        else:
            last = gap.after - timedelta(days=1)
            usual = max(1, round(gap.expected))
            yield Note("stream_gap", {"table": table, "since": gap.first, "until": last, "usual": usual})
    if looked.silent and looked.customers and looked.silent >= WORTH_TELLING * looked.customers:
        yield Note("silent_customers", {"customers": looked.silent, "of": looked.customers})


def _fact(name: str, table: TableCoverage | None, quarantined: int) -> FactCoverage:
    if table is None:
        return FactCoverage(name, 0, quarantined=quarantined)
    return FactCoverage(
        name, table.rows, table.customers, table.since, table.until, table.derived, table.assumed, quarantined
    )


def _one(facts: Facts, sql_of: Any) -> dict[str, Any]:
    st = facts.statement()
    row = facts.engine.table(st.render(sql_of(st))).to_pylist()[0]
    return dict(row)


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
    """Of the names of customers in each table, how many are somebody's; nothing where no customers are loaded."""
    if not facts.has("customers"):
        return ()
    names: dict[str, tuple[int, int]] = {}
    for match in matches(facts, MATCHED):
        known, total = names.get(match.table, (0, 0))
        names[match.table] = (known + match.names - match.names_unmatched, total + match.names)
    return tuple(Match(table, known, total) for table, (known, total) in names.items())


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
