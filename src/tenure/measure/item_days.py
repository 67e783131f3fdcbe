"""What does each item pay at the end of each day? Item events cut into stretches of whole days.

The step `item_days` has one row per item and stretch of days at whose ends nothing is different:

    customer_id, subscription_id, item_id
    day0, day1        the end of day d is in the stretch where day0 <= d < day1
    m                 10^-6 minor units a month, 0 where nothing is paid
    currency          in which; of a stretch without money it says nothing
    paused, overdue   1 or 0: the item pauses; a payment is open (status past_due)
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tenure.lake.facts import Facts
from tenure.lake.portable import Statement
from tenure.measure import states
from tenure.measure.definition import Definition

NEVER = 10_000_000  # the day after the last: in the year 29349
_OLDEST = datetime(1970, 1, 1, tzinfo=UTC)


def local_day(facts: Facts, us: str) -> str:
    """The day number, in the company's zone, of an instant that is known."""
    return facts.engine.dialect.local_day(us, facts.timezone, _OLDEST, facts.known_before + timedelta(days=1))


def planned_day(facts: Facts, us: str) -> str:
    """The same of an instant that may lie ahead: the zone's clock changes are looked up for a century."""
    return facts.engine.dialect.local_day(us, facts.timezone, _OLDEST, datetime(2100, 1, 1, tzinfo=UTC))


def owes(facts: Facts) -> bool:
    """Whether any item was ever past due, whatever is known of it."""
    if ("owes",) not in facts.memory:
        found = False
        for table in states.tables(facts):
            if not found and not facts.lacks(table, "status"):
                st = facts.statement()
                flag = "coalesce(max(CASE WHEN status = 'past_due' THEN 1 ELSE 0 END), 0) AS flag"
                row = facts.engine.table(st.render(f"SELECT {flag} FROM {facts.source(st, table)}"))
                found = bool(row.column(0).to_pylist()[0])
        facts.memory["owes",] = found
    return bool(facts.memory["owes",])


def item_days(st: Statement, facts: Facts, definition: Definition, found: states.Shape, only: str = "") -> str:
    """The step `item_days`; see the module. only: a step with the items that are wanted (default: all)."""
    if "item_days" in st:
        return "item_days"
    d = facts.engine.dialect
    events = states.item_events(st, facts, definition, found)
    wanted = ""
    if only:
        items = st.step("items_wanted", f"SELECT DISTINCT subscription_id, item_id FROM {only}", keep=True)
        wanted = f" JOIN {items} AS i ON i.subscription_id = {{0}}.subscription_id AND i.item_id = {{0}}.item_id"
        events = st.step("events_wanted", f"SELECT e.* FROM {events} AS e{wanted.format('e')}")
    paused = "p1" if found.zeros else "0"
    item = "subscription_id, item_id"
    # A change of currency is two rows of one instant, of which one brings money.
    several = "currency" if found.currencies or found.currency is None else None
    currency = f"max_by({several}, ts * 2 + CASE WHEN m1 > 0 THEN 1 ELSE 0 END)" if several else ""
    at_end = "max_by({}, ts) AS {}"
    if found.currencies:
        events = st.step(
            "instants_of_items",
            f"SELECT {item}, ts, max(customer_id) AS customer_id, CAST(sum(m1) AS BIGINT) AS m1, "
            f"max(CASE WHEN m1 > 0 THEN currency END) AS currency, max({paused}) AS p1 FROM {events} GROUP BY {item}, ts",
        )
        currency, paused = "max_by(currency, ts)", "p1"
    if not several:
        currency = d.literal(str(found.currency))
    dated = st.step("dated_events", f"SELECT *, {local_day(facts, 'ts')} AS day FROM {events}")
    daily = st.step(
        "item_day_ends",
        f"SELECT {item}, day, {at_end.format('customer_id', 'customer_id')}, {at_end.format('m1', 'm')}, "
        f"{currency} AS currency, {at_end.format(paused, 'paused')} FROM {dated} GROUP BY {item}, day",
        keep=owes(facts),
        says="what each item pays at the end of the days on which that changes",
    )
    following = f"coalesce(lead(day) OVER (PARTITION BY {item} ORDER BY day), {NEVER})"
    columns = f"customer_id, {item}, day AS day0, {following} AS day1, m, currency, paused"
    if not owes(facts):
        return st.step("item_days", f"SELECT {columns}, 0 AS overdue FROM {daily}", keep=True)
    every = states.all_states(st, facts, states.EVENT_COLUMNS, definition)
    flag = "CASE WHEN status = 'past_due' THEN 1 ELSE 0 END"
    owing = st.step(
        "owing_day_ends",
        f"SELECT {item}, day, max_by(customer_id, ts) AS customer_id, max_by({flag}, ts) AS overdue FROM (SELECT s.*, "
        f"{local_day(facts, 's.ts')} AS day FROM {every} AS s JOIN (SELECT DISTINCT {item} FROM {every} WHERE status = "
        f"'past_due') AS o ON o.subscription_id = s.subscription_id AND o.item_id = s.item_id{wanted.format('s')} "
        f"WHERE s.ts < {facts.horizon}) "
        f"AS w GROUP BY {item}, day",
        keep=True,
        says="whether a payment is open, of items that ever owed one",
    )
    none = f"CAST(NULL AS BIGINT) AS m, CAST(NULL AS {d.text}) AS currency, CAST(NULL AS INT) AS paused"
    together = st.step(
        "day_ends_together",
        f"SELECT {item}, day, max(customer_id) AS customer_id, max(m) AS m, max(currency) AS currency, "
        f"max(paused) AS paused, max(overdue) AS overdue FROM (SELECT e.subscription_id, e.item_id, e.day, e.customer_id, "
        f"e.m, e.currency, e.paused, CAST(NULL AS INT) AS overdue FROM {daily} AS e JOIN (SELECT DISTINCT {item} FROM "
        f"{owing}) AS o ON o.subscription_id = e.subscription_id AND o.item_id = e.item_id\nUNION ALL\n"
        f"SELECT {item}, day, customer_id, {none}, overdue FROM {owing}) AS w GROUP BY {item}, day",
    )
    known = ", ".join(f"{d.last_known(name, 'item')} AS {name}" for name in ("m", "currency", "paused", "overdue"))
    filled = st.step(
        "day_ends_filled",
        f"SELECT {item}, day, customer_id, {known} FROM {together} WINDOW item AS (PARTITION BY {item} ORDER BY day "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
    )
    return st.step(
        "item_days",
        f"SELECT {columns}, 0 AS overdue FROM (SELECT e.* FROM {daily} AS e LEFT JOIN (SELECT DISTINCT {item} FROM {owing}) "
        "AS o ON o.subscription_id = e.subscription_id AND o.item_id = e.item_id WHERE o.item_id IS NULL) AS plain\n"
        f"UNION ALL\nSELECT customer_id, {item}, day AS day0, {following} AS day1, coalesce(m, 0) AS m, currency, "
        f"coalesce(paused, 0) AS paused, coalesce(overdue, 0) AS overdue FROM {filled}",
        keep=True,
        says="what each item pays, and whether it pauses or owes, from day to day",
    )
