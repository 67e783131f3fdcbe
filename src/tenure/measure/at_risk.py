"""Which revenue may go next, and which was kept from going? Only as far as the facts tell, each item counted once.

At risk, as things stand just before an instant (an item counts under the first that is true):

    scheduled   its end is set and lies ahead: cancel_at, non_renewing, or a span whose end is planned
    past_due    a payment is open: status past_due
    renewal     its contract's term, or its billing period of a quarter or more, ends within so many days

Protected within a period, and still paying without an end in sight when it closes:

    saved       an end was set, and was taken back
    recovered   it was past due, and is no more

Who left and came back is won back: movements of kind reactivation. Spans tell an end that has happened since as
scheduled only where they say when it was asked for; else the future would be known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tenure.kernel.time import Period
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, micros
from tenure.measure import states
from tenure.measure.definition import Definition
from tenure.measure.segments import SEPARATOR, Segment, members

RISKS = ("scheduled", "past_due", "renewal")
KEPT = ("saved", "recovered")
RENEWAL_DAYS = 90
_ENDED = (*states.DEAD, "paused")
_PLAN = (
    "customer_id", "subscription_id", "item_id", "status", "interval", "interval_count", "amount_minor", "tax_minor",
    "tax_inclusive", "discount_forever_minor", "minimum_commit_minor", "is_metered", "currency", "trial_ends_at",
    "term_ends_at", "period_end", "auto_renews", "collection_paused", "cancel_at",
)  # fmt: skip
_LONG = "interval IN ('quarter', 'year') OR (interval = 'month' AND coalesce(interval_count, 1) >= 3)"


@dataclass(frozen=True, slots=True)
class Exposed:
    """What stands in one kind, segment and currency: customers and MRR (10^-6 minor units); customer_id where listed.

    Rows of currency None count the customers of all currencies, each once.
    """

    kind: str
    segment: str
    currency: str | None
    customers: int
    mrr: int
    customer_id: str | None = None


def told(facts: Facts, before: int) -> set[str]:
    """Which of scheduled, past_due and renewal the facts ever tell of, up to an instant: without, none is not 0."""
    st = facts.statement()
    every = states.all_states(st, facts, _PLAN)
    flags = {
        "past_due": "status = 'past_due'",
        "scheduled": "status = 'non_renewing' OR cancel_at > ts",
        "renewal": f"term_ends_at IS NOT NULL OR (period_end IS NOT NULL AND ({_LONG}))",
    }
    parts = ", ".join(f"max(CASE WHEN {sql} THEN 1 ELSE 0 END) AS {name}" for name, sql in flags.items())
    row = facts.engine.table(st.render(f"SELECT {parts} FROM {every} WHERE ts < {before}")).to_pylist()[0]
    found = {name for name in flags if row[name]}
    if facts.has("subscription_spans") and not facts.lacks("subscription_spans", "cancel_requested_at"):
        found.add("scheduled")
    if facts.has("subscription_spans") and "scheduled" not in found:
        st = facts.statement()
        latest = facts.latest(st, "subscription_spans", ("ended_at",), hide=False, step="planned_spans")
        ahead = st.render(f"SELECT count(*) AS n FROM {latest} WHERE ended_at >= {facts.horizon}")
        found |= {"scheduled"} if facts.engine.table(ahead).to_pylist()[0]["n"] else set()
    return found


def at_risk(
    facts: Facts,
    definition: Definition,
    period: Period,
    segment: Segment | None = None,
    *,
    days: int = RENEWAL_DAYS,
    each: bool = False,
) -> tuple[list[Exposed], str]:
    """What is at risk as a period closes, and the statement; `each`: by customer instead."""
    st = facts.statement()
    moment = micros(period.end)
    items = _items(st, facts, definition, moment, segment)
    until = moment + days * DAY_US
    kind = (
        "CASE WHEN ends_at IS NOT NULL THEN 'scheduled' WHEN status = 'past_due' THEN 'past_due' "
        f"WHEN renews_at >= {moment} AND renews_at < {until} THEN 'renewal' END"
    )
    found = st.step("exposed", f"SELECT *, {kind} AS kind FROM {items}")
    return _summed(facts, st, found, segment, each)


def protected(
    facts: Facts, definition: Definition, period: Period, segment: Segment | None = None, *, each: bool = False
) -> tuple[list[Exposed], str]:
    """What was saved and recovered within a period, and the statement; `each`: by customer instead."""
    st = facts.statement()
    start, end = micros(period.start), micros(period.end)
    dead = ", ".join(f"'{status}'" for status in _ENDED)
    every = states.all_states(st, facts, _wanted(segment))
    # Only items that ever had an end set, or owed, can have been kept; the others' states need no order.
    flagged = st.step(
        "items_flagged",
        f"SELECT DISTINCT subscription_id, item_id FROM {every} WHERE ts < {end} "
        "AND (status IN ('non_renewing', 'past_due') OR cancel_at IS NOT NULL)",
    )
    short = facts.engine.dialect.key("item", ("subscription_id", "item_id"))
    order = f"OVER (PARTITION BY {short.by} ORDER BY ts)"
    keyed = st.step(
        "states_flagged",
        f"SELECT {', '.join(('*', *short.select))} FROM (SELECT s.subscription_id, s.item_id, s.ts, s.status, "
        f"s.cancel_at FROM {every} AS s JOIN {flagged} AS f "
        "ON f.subscription_id = s.subscription_id AND f.item_id = s.item_id "
        f"WHERE s.ts < {end}) AS told",
    )
    ordered = st.step(
        "turns",
        f"SELECT subscription_id, item_id, ts, status, cancel_at, lag(status) {order} AS was, "
        f"lag(cancel_at) {order} AS was_ending FROM {keyed}",
        says="each state beside the one before it",
    )
    planned = "(status = 'non_renewing' OR coalesce(cancel_at > ts, FALSE))"
    was_planned = "(was = 'non_renewing' OR coalesce(was_ending > ts, FALSE))"
    lives = f"status NOT IN ({dead})"
    turns = st.step(
        "items_turned",
        "SELECT subscription_id, item_id, "
        f"max(CASE WHEN {was_planned} AND NOT {planned} AND {lives} THEN 1 ELSE 0 END) AS saved, "
        f"max(CASE WHEN was = 'past_due' AND status <> 'past_due' AND {lives} THEN 1 ELSE 0 END) AS recovered "
        f"FROM {ordered} WHERE ts >= {start} AND was NOT IN ({dead}) GROUP BY subscription_id, item_id",
    )
    turned = st.step(
        "rescued",
        f"SELECT * FROM {turns} WHERE saved = 1 OR recovered = 1",
        keep=True,
        says="items whose end was taken back, or whose payment came in after all",
    )
    items = _items(st, facts, definition, end, segment, turned)
    found = st.step(
        "protected_items",
        "SELECT i.*, CASE WHEN r.saved = 1 THEN 'saved' WHEN r.recovered = 1 THEN 'recovered' END AS kind "
        f"FROM {items} AS i JOIN {turned} AS r ON r.subscription_id = i.subscription_id AND r.item_id = i.item_id "
        "WHERE i.ends_at IS NULL AND i.status <> 'past_due'",
    )
    return _summed(facts, st, found, segment, each)


def _wanted(segment: Segment | None) -> tuple[str, ...]:
    """The columns of states that are read: what an item is and pays, and what it is split by."""
    return tuple(dict.fromkeys((*_PLAN, *(segment.item if segment is not None else ()))))


def _items(
    st: Statement, facts: Facts, definition: Definition, moment: int, segment: Segment | None, only: str = ""
) -> str:
    """The items that pay just before an instant: status, mrr, ends_at, renews_at as told by then, item_seg.

    only: a step with the items that are wanted (default: all).
    """
    definition = replace(definition, source="states")
    every = states.all_states(st, facts, _wanted(segment))
    join = f" JOIN {only} AS o ON o.subscription_id = s.subscription_id AND o.item_id = s.item_id" if only else ""
    latest = st.step(
        "latest_of_items",
        f"SELECT s.subscription_id, s.item_id, max(s.ts) AS ts FROM {every} AS s{join} WHERE s.ts < {moment} "
        "GROUP BY s.subscription_id, s.item_id",
    )
    dead = ", ".join(f"'{status}'" for status in _ENDED)
    last = st.step(
        "last_states",
        f"SELECT s.* FROM {every} AS s JOIN {latest} AS l ON l.subscription_id = s.subscription_id "
        f"AND l.item_id = s.item_id AND l.ts = s.ts WHERE s.status NOT IN ({dead}) "
        "AND NOT coalesce(s.collection_paused, FALSE) "
        f"AND NOT coalesce(s.status = 'trialing' AND coalesce(s.trial_ends_at, {moment}) >= {moment}, FALSE)",
        says="each item as it stands",
    )
    rate = states.monthly(facts, definition, states.base_price(facts, definition))
    ends = "CASE WHEN status = 'non_renewing' THEN coalesce(cancel_at, term_ends_at, period_end) ELSE cancel_at END"
    renews = f"coalesce(term_ends_at, CASE WHEN {_LONG} THEN period_end END)"
    item_seg = "''"
    if segment is not None and segment.column is not None:
        item_seg = segment.column.replace("{text}", facts.engine.dialect.text)
    priced = st.step(
        "standing_items",
        f"SELECT customer_id, subscription_id, item_id, currency, status, {rate} AS mrr, {ends} AS ends_at, "
        f"{renews} AS renews_at, {item_seg} AS item_seg FROM {last}",
    )
    ends_at = "p.ends_at"
    join = ""
    if facts.has("subscription_spans"):
        # A span's end that lies ahead is a plan where it was asked for by then, or has not come to this day.
        spans = facts.latest(
            st,
            "subscription_spans",
            ("subscription_id", "item_id", "started_at", "ended_at", "cancel_requested_at"),
            hide=False,
            step="planned_spans",
        )
        planned = st.step(
            "planned_ends",
            "SELECT subscription_id, item_id, max(ended_at) AS ended_at, max(cancel_requested_at) AS asked_at, "
            f"count(*) - count(ended_at) AS open FROM {spans} WHERE started_at < {moment} "
            "GROUP BY subscription_id, item_id",
        )
        known = f"(e.ended_at >= {facts.horizon} OR coalesce(e.asked_at < {moment}, FALSE))"
        ends_at = (
            f"coalesce(p.ends_at, CASE WHEN e.open = 0 AND e.ended_at >= {moment} AND {known} THEN e.ended_at END)"
        )
        join = f" LEFT JOIN {planned} AS e ON e.subscription_id = p.subscription_id AND e.item_id = p.item_id"
    return st.step(
        "paying_items",
        "SELECT p.customer_id, p.subscription_id, p.item_id, p.currency, p.status, p.mrr, p.renews_at, p.item_seg, "
        f"{ends_at} AS ends_at FROM {priced} AS p{join} WHERE p.mrr > 0 AND coalesce({ends_at}, {moment}) >= {moment}",
        says="what each item pays a month, and the end that is set for it",
    )


def _summed(facts: Facts, st: Statement, items: str, segment: Segment | None, each: bool) -> tuple[list[Exposed], str]:
    """Items of any kind added up by kind, segment and currency."""
    seg, join = "i.item_seg", ""
    if segment is not None and segment.of_customer:
        known = members(st, facts, segment, [], items, None)
        parts = (["i.item_seg"] if segment.of_item else []) + ["coalesce(m.seg, '')"]
        seg = f" || '{SEPARATOR}' || ".join(parts)
        join = f" LEFT JOIN {known} AS m ON m.customer_id = i.customer_id"
    d = facts.engine.dialect
    placed = st.step(
        "exposed_items",
        f"SELECT i.kind, {seg} AS seg, i.currency, i.customer_id, i.mrr FROM {items} AS i{join} "
        "WHERE i.kind IS NOT NULL",
    )
    who = "customer_id" if each else f"CAST(NULL AS {d.text})"
    sums = f"count(DISTINCT customer_id) AS n, {d.total('mrr')} AS mrr"
    group = "kind, seg, currency" + (", customer_id" if each else "")
    sql = f"SELECT kind, seg, currency, {who} AS who, {sums} FROM {placed} GROUP BY {group}"
    if not each:
        sql += (
            f"\nUNION ALL\nSELECT kind, seg, CAST(NULL AS {d.text}), CAST(NULL AS {d.text}), {sums} FROM {placed} "
            "GROUP BY kind, seg"
        )
    sql = st.render(f"{sql}\nORDER BY 1, 2, 3, 4")
    return list(_rows(facts.engine.table(sql).to_pylist())), sql


def _rows(rows: list[dict[str, Any]]) -> Iterator[Exposed]:
    for row in rows:
        yield Exposed(row["kind"], row["seg"], row["currency"], int(row["n"]), int(row["mrr"]), row["who"])
