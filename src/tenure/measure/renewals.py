"""Whose subscription came up for renewal in a period? The base of a churn rate per renewal.

A yearly customer can leave once a year: among all customers of a month most could not have left, and a rate of all of
them says little of those who decided. An item that lives just before a period is due in it if a billing interval, or
its contract's term, ends in it. Intervals are counted from the day on which the item began to be billed as it is
(began, came back, left its trial, or changed its interval).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tenure.kernel.time import Period
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number, micros
from tenure.measure import states
from tenure.measure.definition import Definition

if TYPE_CHECKING:
    import pyarrow as pa


def due(facts: Facts, definition: Definition, period: Period) -> pa.Table:
    """The customers with an item that is due for renewal in the period: an Arrow table (customer_id)."""
    st = facts.statement()
    d = facts.engine.dialect
    wanted = (
        "customer_id", "subscription_id", "item_id", "status", "interval", "interval_count", "trial_ends_at",
        "term_ends_at",
    )  # fmt: skip
    every = states.all_states(st, facts, wanted, definition)
    start, end = micros(period.start), micros(period.end)
    dead = ", ".join(f"'{status}'" for status in states.DEAD)
    # A trial counts as another way of being billed until it ends.
    how = f"CASE WHEN status IN ({dead}) THEN 'dead' WHEN status = 'trialing' THEN 'trial' ELSE 'billed' END"
    billed = f"{how} || ' ' || coalesce(interval, '') || ' ' || CAST(coalesce(interval_count, 1) AS {d.text})"
    item = "PARTITION BY subscription_id, item_id ORDER BY ts"
    ordered = st.step(
        "renewal_states",
        f"SELECT *, {billed} AS billed, lag({billed}) OVER ({item}) AS was_billed FROM {every} WHERE ts < {start}",
    )
    changes = "CASE WHEN was_billed IS NULL OR was_billed <> billed THEN 1 ELSE 0 END"
    runs = st.step(
        "renewal_runs",
        f"SELECT *, sum({changes}) OVER ({item} ROWS UNBOUNDED PRECEDING) AS run, "
        "row_number() OVER (PARTITION BY subscription_id, item_id ORDER BY ts DESC) AS place "
        f"FROM {ordered}",
    )
    began = "min(ts) OVER (PARTITION BY subscription_id, item_id, run)"
    anchored = st.step("renewal_anchors", f"SELECT *, {began} AS began FROM {runs}")
    trial = "status = 'trialing'"
    anchor = f"CASE WHEN {trial} THEN trial_ends_at ELSE began END"
    trying = f"coalesce({trial} AND coalesce(trial_ends_at, {start}) >= {start}, FALSE)"
    live = f"place = 1 AND status NOT IN ({dead}) AND NOT {trying}"
    items = st.step(
        "renewal_items",
        "SELECT customer_id, interval, greatest(coalesce(interval_count, 1), 1) AS n, term_ends_at, "
        f"{d.local_day(anchor, facts.timezone, datetime(1970, 1, 1, tzinfo=UTC), period.end)} AS anchor "
        f"FROM {anchored} WHERE {live}",
    )
    first, last = day_number(period.first) - 1, day_number(period.after) - 1
    months = "CASE interval WHEN 'quarter' THEN 3 WHEN 'year' THEN 12 ELSE 1 END * n"
    days = "CASE interval WHEN 'week' THEN 7 ELSE 1 END * n"

    def passed(day: int) -> str:
        """How many intervals have ended by the end of a day."""
        by_days = d.div(f"greatest({day} - anchor, 0)", days)
        by_months = d.div(d.completed_months("anchor", f"greatest(CAST({day} AS BIGINT), anchor)"), months)
        return f"CASE WHEN interval IN ('day', 'week') THEN {by_days} ELSE {by_months} END"

    comes = f"{passed(last)} > {passed(first)}"
    term = f"term_ends_at >= {start} AND term_ends_at < {end}"
    sql = st.render(
        f"SELECT DISTINCT customer_id FROM {items} WHERE CASE WHEN term_ends_at IS NULL THEN {comes} ELSE {term} END"
    )
    import pyarrow as pa

    return facts.engine.table(sql).cast(pa.schema([("customer_id", pa.string())]))
