"""Whose subscription came up for renewal in a period, and what became of it? The base of a churn rate per renewal.

A yearly customer can leave once a year: among all customers of a month most could not have left, and a rate of all of
them says little of those who decided. `due` lists customers for that rate: an item that lives just before a period is
due in it if a billing interval, or its contract's term, ends in it. Intervals are counted from the day on which the
item began to be billed as it is (began, came back, left its trial, or changed its interval).

`outcomes` tells of each renewal, which is an item and a day, what became of it. The day:

    the contract's term ends         told by the state in force, or by the one before a term that was made longer early
    else, a billing interval ends    counted as above; after a term that has ended without a new one, from its end

An item that pays as its due day begins is due; so is one that ended on the day before, for many export the last day as
the end. It is not due again while the renewal before is still unpaid: that one is lost. What it is due with is what it
pays then, or what it paid before its term was made longer early. Looked at as each day ends, a renewal is

    renewed     the item pays, and owes nothing (past_due), at the end of its due day
    late        not then, but at the end of a day within the grace days; before the next renewal in any case
    undecided   neither yet, and the grace days are not over as of what is known; or the item pauses at their end
    lost        none of these

Where an item has ended, another item of the same customer that pays for the first time from the day before up to the
end of the grace stands in its place (a new contract, another product): of several, the dearest for the dearest; each
stands in for one renewal, that of the latest due day.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tenure.kernel.time import Period
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, day_number, from_micros, micros
from tenure.measure import states
from tenure.measure.definition import Definition
from tenure.measure.item_days import NEVER, item_days, local_day, planned_day

if TYPE_CHECKING:
    import pyarrow as pa


OUTCOMES = ("renewed", "late", "undecided", "lost")
LENGTHS = ("week", "month", "quarter", "year")  # of what ended, at least: a term of two years is a year's


def followed(definition: Definition) -> Definition:
    """The definition by which renewals are told: a renewal is lost when the item ends, not when that is asked for."""
    return replace(definition, churn_at="end") if definition.churn_at == "request" else definition


def horizon_day(facts: Facts) -> int:
    """The first day whose end is not known."""
    return day_number(from_micros(facts.horizon).astimezone(facts.timezone).date())


def outcomes(
    st: Statement,
    facts: Facts,
    definition: Definition,
    found: states.Shape,
    first: int,
    after: int,
    grace: int,
    segment: str | None = None,
) -> str:
    """The step `renewals`: what came due on the days [first, after) and what became of it; see the module.

    Columns: customer_id, subscription_id, item_id, plan_id, item_seg, length (see LENGTHS), due_day, grace_day (the last
    of the grace), outcome, renewed_day, m, currency (what it was due with, 10^-6 minor units a month), renewed_m,
    renewed_currency (what it is renewed with, NULL where it is not), by_another (1 where another item stands in).
    The definition is one that `followed` answers.
    """
    known = horizon_day(facts)
    candidates = _candidates(st, facts, definition, first, after + grace + 1, grace, segment)
    pays = item_days(st, facts, definition, found)
    item = "c.subscription_id = p.subscription_id AND c.item_id = p.item_id"
    seen = f"least(c.grace_day, {known - 1})"
    good = "p.m > 0 AND p.overdue = 0"

    def starts(day: str) -> str:
        return f"p.day0 < {day} AND p.day1 >= {day}"

    def ends(day: str) -> str:
        return f"p.day0 <= {day} AND p.day1 > {day}"

    on_day = f"{good} AND c.due_day < {known} AND {ends('c.due_day')}"
    in_grace = f"{good} AND p.day0 > c.due_day AND p.day0 <= {seen}"
    before = f"{good} AND p.day0 < c.due_day AND p.day1 > c.prev_day"
    of_moved = starts("coalesce(c.moved_day, c.due_day)")
    told = {
        "pays": f"max(CASE WHEN {starts('c.due_day')} THEN p.m END)",
        "paid": f"max(CASE WHEN {starts('c.due_day - 1')} THEN p.m END)",
        "pays_in": f"max(CASE WHEN {starts('c.due_day')} AND p.m > 0 THEN p.currency END)",
        "paid_in": f"max(CASE WHEN {starts('c.due_day - 1')} AND p.m > 0 THEN p.currency END)",
        "moved_m": f"max(CASE WHEN {of_moved} THEN p.m END)",
        "moved_in": f"max(CASE WHEN {of_moved} AND p.m > 0 THEN p.currency END)",
        "was_good": f"max(CASE WHEN {before} THEN 1 ELSE 0 END)",
        "on_m": f"max(CASE WHEN {on_day} THEN p.m END)",
        "on_currency": f"max(CASE WHEN {on_day} THEN p.currency END)",
        "late_day": f"min(CASE WHEN {in_grace} THEN p.day0 END)",
        "late_m": f"min_by(CASE WHEN {in_grace} THEN p.m END, CASE WHEN {in_grace} THEN p.day0 END)",
        "late_currency": f"min_by(CASE WHEN {in_grace} THEN p.currency END, CASE WHEN {in_grace} THEN p.day0 END)",
        "pausing": f"max(CASE WHEN {ends(seen)} THEN p.paused ELSE 0 END)",
        "stands": f"max(CASE WHEN {ends(seen)} THEN p.m END)",
    }
    names = ("customer_id", "plan_id", "item_seg", "length", "grace_day")
    carried = ", ".join(f"max(c.{name}) AS {name}" for name in names)
    judged = st.step(
        "renewals_judged",
        f"SELECT c.subscription_id, c.item_id, c.due_day, {carried}, max(c.moved_day) AS moved_day, "
        f"{', '.join(f'{sql} AS {name}' for name, sql in told.items())} FROM {candidates} AS c JOIN {pays} AS p "
        f"ON {item} AND p.day0 <= c.grace_day AND p.day1 > c.look_day GROUP BY c.subscription_id, c.item_id, c.due_day",
        says="what each pays before and after its day",
    )
    of_day = "CASE WHEN pays > 0 THEN pays ELSE paid END"
    in_currency = "CASE WHEN pays > 0 THEN pays_in ELSE paid_in END"
    plain = st.step(
        "renewals_plain",
        "SELECT customer_id, subscription_id, item_id, plan_id, item_seg, length, due_day, grace_day, pausing, stands, "
        f"CASE WHEN moved_day IS NOT NULL AND moved_m > 0 THEN moved_m ELSE {of_day} END AS m, "
        f"CASE WHEN moved_day IS NOT NULL AND moved_m > 0 THEN moved_in ELSE {in_currency} END AS currency, "
        "CASE WHEN on_m IS NOT NULL THEN due_day ELSE late_day END AS renewed_day, coalesce(on_m, late_m) AS renewed_m, "
        "CASE WHEN on_m IS NOT NULL THEN on_currency ELSE late_currency END AS renewed_currency "
        f"FROM {judged} WHERE (pays > 0 OR paid > 0) AND was_good = 1",
        keep=True,
        says="renewals, by what the item itself did",
    )
    ended = f"renewed_m IS NULL AND due_day < {known} AND coalesce(stands, 0) = 0 AND pausing = 0"
    begun = st.step(
        "items_begun",
        "SELECT p.customer_id, p.subscription_id, p.item_id, min(p.day0) AS day, min_by(p.m, p.day0) AS m, "
        f"min_by(p.currency, p.day0) AS currency FROM {pays} AS p JOIN (SELECT DISTINCT customer_id FROM {plain} "
        f"WHERE {ended}) AS e ON e.customer_id = p.customer_id WHERE p.m > 0 GROUP BY p.customer_id, p.subscription_id, "
        "p.item_id",
        says="items that pay for the first time, of customers of whom an item has ended",
    )
    claims = st.step(
        "items_standing_in",
        "SELECT b.customer_id, b.subscription_id, b.item_id, b.day, b.m, b.currency, max(e.due_day) AS due_day "
        f"FROM {begun} AS b JOIN {plain} AS e ON e.customer_id = b.customer_id AND b.day >= e.due_day - 1 "
        f"AND b.day <= e.grace_day AND b.day < {known} WHERE {ended.replace('renewed_m', 'e.renewed_m')} "
        "AND NOT (e.subscription_id = b.subscription_id AND e.item_id = b.item_id) "
        "GROUP BY b.customer_id, b.subscription_id, b.item_id, b.day, b.m, b.currency",
    )
    place = "row_number() OVER (PARTITION BY customer_id, due_day ORDER BY m DESC, subscription_id, item_id) AS place"
    standing_in = st.step("standing_in_order", f"SELECT *, {place} FROM {claims}")
    gone = st.step(
        "renewals_ended", f"SELECT customer_id, subscription_id, item_id, due_day, {place} FROM {plain} WHERE {ended}"
    )
    taken = st.step(
        "renewals_taken",
        "SELECT g.subscription_id, g.item_id, g.due_day, s.day, s.m, s.currency "
        f"FROM {gone} AS g JOIN {standing_in} AS s ON s.customer_id = g.customer_id AND s.due_day = g.due_day "
        "AND s.place = g.place",
        says="ended items in whose place another one stands",
    )
    day = "CASE WHEN t.item_id IS NOT NULL THEN greatest(t.day, r.due_day) ELSE r.renewed_day END"
    undecided = f"r.due_day >= {known} OR r.grace_day >= {known} OR r.pausing = 1"
    return st.step(
        "renewals",
        "SELECT r.customer_id, r.subscription_id, r.item_id, r.plan_id, r.item_seg, r.length, r.due_day, r.grace_day, "
        f"CASE WHEN {day} = r.due_day THEN 'renewed' WHEN {day} IS NOT NULL THEN 'late' WHEN {undecided} THEN 'undecided' "
        f"ELSE 'lost' END AS outcome, {day} AS renewed_day, r.m, r.currency, coalesce(t.m, r.renewed_m) AS renewed_m, "
        "coalesce(t.currency, r.renewed_currency) AS renewed_currency, "
        f"CASE WHEN t.item_id IS NULL THEN 0 ELSE 1 END AS by_another FROM {plain} AS r LEFT JOIN {taken} AS t "
        "ON t.subscription_id = r.subscription_id AND t.item_id = r.item_id AND t.due_day = r.due_day "
        f"WHERE r.due_day >= {first} AND r.due_day < {after}",
        keep=True,
        says="every renewal and what became of it",
    )


def _candidates(
    st: Statement, facts: Facts, definition: Definition, first: int, after: int, grace: int, segment: str | None
) -> str:
    """The step `renewal_days`: every item and day of [first, after) on which a term or an interval ends."""
    d = facts.engine.dialect
    every = states.all_states(st, facts, states.EVENT_COLUMNS, definition)
    dead = ", ".join(f"'{status}'" for status in states.DEAD)
    n = "greatest(coalesce(interval_count, 1), 1)"
    how = f"CASE WHEN status IN ({dead}) THEN 'dead' WHEN status = 'trialing' THEN 'trial' ELSE 'billed' END"
    billed = f"{how} || ' ' || coalesce(interval, '') || ' ' || CAST(coalesce(interval_count, 1) AS {d.text})"
    short = d.key("item", ("subscription_id", "item_id"))
    item = f"PARTITION BY {short.by}"
    # Where no term is ever told, nothing looks for its days.
    terms = any(not facts.lacks(table, "term_ends_at") for table in states.tables(facts))
    told = st.step(
        "renewal_told",
        f"SELECT customer_id, subscription_id, item_id, {''.join(f'{c}, ' for c in short.select)}plan_id, ts, "
        f"{local_day(facts, 'ts')} AS day, interval, {n} AS n, "
        f"CASE WHEN status IN ({dead}) THEN 1 ELSE 0 END AS dead, status = 'trialing' AS trying, "
        f"{planned_day(facts, 'trial_ends_at')} AS trial_day, {planned_day(facts, 'term_ends_at')} AS term_day, "
        f"{billed} AS billed, {segment or chr(39) * 2} AS item_seg FROM {every} WHERE ts < {facts.horizon}",
    )
    told_day = f"min(day) OVER ({item}, term_day)" if terms else "day"
    walked = st.step(
        "renewal_walk",
        "SELECT *, lag(billed) OVER item AS was_billed, lead(day) OVER item AS next_day, CASE WHEN lead(dead) OVER item = 1 "
        "AND coalesce(lead(day, 2) OVER item > lead(day) OVER item, TRUE) THEN 1 ELSE 0 END AS next_dead, "
        f"lead(term_day) OVER item AS next_term, {told_day} AS told_day FROM {told} WINDOW item AS ({item} ORDER BY ts)",
        says="each state beside the next",
    )
    changes = "CASE WHEN was_billed IS NULL OR was_billed <> billed THEN day END"
    turned = st.step("renewal_turns", f"SELECT *, {changes} AS turn_day FROM {walked}")
    began = st.step(
        "renewal_began",
        f"SELECT *, {d.last_known('turn_day', 'item')} AS began FROM {turned} "
        f"WINDOW item AS ({item} ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
        keep=terms,
        says="since when each is billed as it is",
    )
    high = f"least(coalesce(next_day + next_dead, {NEVER}), {after - 1})"
    anchored = st.step(
        "renewal_bases",
        f"SELECT *, coalesce(term_day, CASE WHEN trying THEN trial_day ELSE began END) AS base, "
        f"CASE WHEN term_day IS NULL THEN 1 ELSE 0 END AS k_least, greatest(day, {first - 1}) AS low, {high} AS high, "
        "CASE interval WHEN 'quarter' THEN 3 WHEN 'year' THEN 12 ELSE 1 END * n AS months, "
        f"CASE interval WHEN 'week' THEN 7 ELSE 1 END * n AS days FROM {began} WHERE dead = 0",
    )

    def passed(day: str) -> str:
        """How many intervals have ended by the end of a day that is not before the base."""
        later = f"greatest({day}, base)"
        by_days, by_months = d.div(f"{later} - base", "days"), d.div(d.completed_months("base", later), "months")
        return f"CASE WHEN interval IN ('day', 'week') THEN {by_days} ELSE {by_months} END"

    def end_of(k: str) -> str:
        """The day on which the k-th interval after the base ends."""
        return (
            f"CASE WHEN interval IN ('day', 'week') THEN base + ({k}) * days "
            f"ELSE {d.months_after('base', f'({k}) * months')} END"
        )

    counted = st.step(
        "renewal_counts",
        f"SELECT *, CASE WHEN low < base THEN k_least ELSE greatest({passed('low')} + 1, k_least) END AS k0, "
        f"CASE WHEN high < base THEN -1 ELSE {passed('high')} END AS k1 FROM {anchored} WHERE high > low AND base IS NOT NULL",
    )
    shared = (
        "customer_id, subscription_id, item_id, plan_id, item_seg, interval, months, days, term_day, told_day, began"
    )
    numbered = st.step(
        "renewal_numbers", f"SELECT {shared}, base, {d.numbers('k0', 'k1 + 1')} AS k FROM {counted} WHERE k1 >= k0"
    )
    # Of a term that was made longer before its end, the day is that of the shorter one.
    early = "next_term > term_day AND next_day < term_day AND next_dead = 0 AND day < next_day"
    sooner = (
        f"SELECT {shared}, 0, term_day, began, CAST({NEVER} AS BIGINT), next_day FROM {anchored} WHERE {early} "
        f"AND term_day >= {first} AND term_day < {after}"
    )
    days = st.step(
        "renewal_each",
        f"SELECT {shared}, k, {end_of('k')} AS due_day, CASE WHEN k = 0 THEN began ELSE {end_of('k - 1')} END AS prev_day, "
        f"CASE WHEN k = 0 THEN CAST({NEVER} AS BIGINT) ELSE {end_of('k + 1')} END AS follows, "
        f"CAST(NULL AS BIGINT) AS moved_day FROM {numbered}" + (f"\nUNION ALL\n{sooner}" if terms else ""),
        says="and the days on which each interval or term ends",
    )
    lasted = "CASE WHEN interval IN ('day', 'week') THEN days ELSE months * 30 END"
    lasted = f"CASE WHEN k = 0 AND term_day IS NOT NULL THEN greatest(due_day - told_day, {lasted}) ELSE {lasted} END"
    length = f"CASE WHEN {lasted} >= 360 THEN 'year' WHEN {lasted} >= 85 THEN 'quarter' WHEN {lasted} >= 28 THEN 'month' ELSE 'week' END"
    return st.step(
        "renewal_days",
        f"SELECT customer_id, subscription_id, item_id, plan_id, item_seg, {length} AS length, due_day, prev_day, moved_day, "
        f"least(due_day + {grace}, follows - 1) AS grace_day, "
        "least(prev_day, due_day - 2, coalesce(moved_day, due_day) - 2) AS look_day "
        f"FROM {days}",
        says="each renewal, the one before it and the last day of its grace",
    )


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
