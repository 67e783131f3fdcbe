"""What do we have? Which facts are present, since when, with what gaps; who is silent; which months may still change.

Everything is counted in the engine; what comes back are counts by table, by day and by days of delay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tenure.kernel.time import Period, add_months, floor_day, midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, from_day_number, from_micros
from tenure.lake.tables import TABLES
from tenure.measure import states
from tenure.measure.definition import Definition
from tenure.measure.movements import movements
from tenure.measure.silences import Rhythm, rhythm

if TYPE_CHECKING:
    import pyarrow as pa

# Tables whose rows are events that come by themselves: a silence in them may be an outage.
STREAMS = (
    "subscription_states", "invoices", "payments", "orders", "order_lines", "usage", "tickets", "answers", "mentions",
    "touches",
)  # fmt: skip
# Where a customer who is well known leaves traces.
TRACES = ("usage", "tickets", "answers", "contacts")
USUALLY = 0.95  # share of rows after which a table counts as having arrived
LATEST = 62  # days; rows that arrive later than that were loaded afterwards and say nothing of the usual delay
KEYS = (
    "table", "rows", "customers", "since", "until", "last_load", "assumed", "derived", "rhythm", "usual", "late_days",
    "gaps", "without",
)  # fmt: skip
_OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
NOT_LOADED = "it begins after the last load"
NOT_OVER = "it was not over at the last load"
ARRIVING = "rows still arrive"
UNTOLD = "no row tells of it"


@dataclass(frozen=True, slots=True)
class TableCoverage:
    """What there is of one table, every stored version counted.

    since, until: first and last day of its business time (company's zone), what lies in the future left out. assumed:
    rows whose time of record was assumed; derived: rows made from other facts. rhythm: its unit is '' where it is no
    stream or keeps none. late_days: so soon after the event 19 of 20 rows are recorded; None where nothing tells.
    without: customers of now that have no row in it; None where that is not asked of this table.
    """

    table: str
    rows: int
    customers: int | None
    since: date | None
    until: date | None
    last_load: datetime | None
    assumed: int
    derived: int
    rhythm: Rhythm
    late_days: int | None
    without: int | None

    def as_json(self) -> dict[str, Any]:
        """The same as a row of KEYS; gaps as a list of objects, `to` exclusive."""
        gaps = [
            {
                "from": gap.first,
                "to": gap.after,
                "days": gap.days,
                "expected": round(gap.expected, 1),
                "is_last": gap.is_last,
            }
            for gap in self.rhythm.gaps
        ]
        told = {name: getattr(self, name) for name in KEYS if name not in ("rhythm", "usual", "gaps")}
        rest = {"rhythm": self.rhythm.unit or None, "usual": round(self.rhythm.usual, 2) if self.rhythm.unit else None}
        return {name: {**told, **rest, "gaps": gaps}[name] for name in KEYS}


@dataclass(frozen=True, slots=True)
class Provisional:
    """Months, from the first to the last (their first days), whose numbers may still change, and why."""

    first: date
    last: date
    reason: str


@dataclass
class Coverage:
    """What there is. until: the last day of which an event tells; last_load: when anything was loaded last.

    customers: how many there are now; silent: how many of them have no trace in any table of TRACES that is there.
    """

    facts: Facts
    definition: Definition
    tables: list[TableCoverage]
    provisional: list[Provisional]
    until: date | None
    last_load: datetime | None
    customers: int | None
    silent: int | None

    @property
    def seen(self) -> date | None:
        """The last day of which anything could be known: that of the last load, or of the horizon."""
        return None if self.last_load is None else _seen(self.facts, self.last_load)

    def as_json(self) -> dict[str, Any]:
        """Everything as one object."""
        return {
            "until": self.until,
            "last_load": self.last_load,
            "customers": self.customers,
            "silent": self.silent,
            "tables": [table.as_json() for table in self.tables],
            "provisional": [asdict(months) for months in self.provisional],
        }

    @cached_property
    def traced(self) -> tuple[str, ...]:
        """The tables in which traces of customers were looked for."""
        return tuple(table.table for table in self.tables if table.without is not None)

    def silent_customers(self, limit: int | None = None) -> pa.Table:
        """The customers of now without any trace. Arrow: customer_id, name, since (UTC, when the customer came)."""
        return _silent(self.facts, self.definition, self.traced, limit)

    def chart(self, language: str = "en") -> Any:
        """Each table as a line of time, with its gaps, and the months that may still change (altair.Chart)."""
        from tenure.charts.coverage import coverage_timeline

        changing = self.provisional[0].first if self.provisional else None
        return coverage_timeline([table.as_json() for table in self.tables], changing, self.until, language)


def coverage(facts: Facts, definition: Definition) -> Coverage:
    """Looks at every table that has rows; see Coverage."""
    there = [name for name in TABLES if name != "quarantine" and facts.has(name)]
    days = {name: _by_day(facts, name) for name in STREAMS if name in there}
    until = max((max(counts) for counts in days.values() if counts), default=None)
    current, traces, nobody = _traces(facts, definition)
    tables = []
    for name in there:
        told = _counted(facts, name)
        counts = days.get(name)
        beat = Rhythm("", 0.0) if not counts or until is None else rhythm(counts, until + timedelta(days=1))
        late = _late(facts, name) if name in STREAMS else None
        tables.append(TableCoverage(name, **told, rhythm=beat, late_days=late, without=traces.get(name)))
    last_load = max((table.last_load for table in tables if table.last_load), default=None)
    late_days = max((table.late_days or 0 for table in tables), default=0)
    months = provisional(facts, until, last_load, late_days)
    return Coverage(facts, definition, tables, months, until, last_load, current, nobody)


def _seen(facts: Facts, last_load: datetime) -> date:
    now = from_micros(facts.horizon - 1).astimezone(facts.timezone).date()
    return min(last_load.astimezone(facts.timezone).date(), now)


def _counted(facts: Facts, name: str) -> dict[str, Any]:
    """Rows, customers, first and last day, last load, assumed and derived rows of one table."""
    st, d, fact = facts.statement(), facts.engine.dialect, TABLES[name]
    time = fact.business_time
    clock = d.micros(time) if fact.column(time).type == "instant" else f"{d.day_of_date(time)} * {DAY_US}"
    named = any(column.name == "customer_id" for column in fact.columns)
    seen = f"CASE WHEN {clock} < {facts.horizon} THEN {clock} END"
    sql = st.render(
        f"SELECT count(*) AS n, {'count(DISTINCT customer_id)' if named else 'CAST(NULL AS BIGINT)'} AS customers, "
        f"min({seen}) AS a, max({seen}) AS b, max({d.micros('loaded_at')}) AS loaded, "
        "sum(CASE WHEN recorded_assumed THEN 1 ELSE 0 END) AS assumed, "
        f"sum(CASE WHEN source = 'derived' THEN 1 ELSE 0 END) AS derived FROM {facts.source(st, name)} "
        f"WHERE {d.micros('recorded_at')} < {facts.horizon}"
    )
    row = facts.engine.table(sql).to_pylist()[0]

    def day(us: int | None) -> date | None:
        return None if us is None else from_micros(int(us)).astimezone(facts.timezone).date()

    return {
        "rows": int(row["n"]),
        "customers": row["customers"],
        "since": day(row["a"]),
        "until": day(row["b"]),
        "last_load": None if row["loaded"] is None else from_micros(int(row["loaded"])),
        "assumed": int(row["assumed"] or 0),
        "derived": int(row["derived"] or 0),
    }


def _by_day(facts: Facts, name: str) -> dict[date, int]:
    """Events a day, in the company's zone, of what has happened by the horizon."""
    st, d = facts.statement(), facts.engine.dialect
    clock = d.micros(TABLES[name].business_time)
    day = d.local_day("us", facts.timezone, _OLDEST, facts.known_before + timedelta(days=1))
    sql = st.render(
        f"SELECT {day} AS day, count(*) AS n FROM (SELECT {clock} AS us FROM {facts.source(st, name)} "
        f"WHERE NOT retracted AND {clock} < {facts.horizon} AND {d.micros('recorded_at')} < {facts.horizon}) AS e "
        f"GROUP BY {day}"
    )
    return {from_day_number(int(row["day"])): int(row["n"]) for row in facts.engine.table(sql).to_pylist()}


def _late(facts: Facts, name: str) -> int | None:
    """Within how many days after the event 19 of 20 rows are recorded, by rows that say when they were."""
    st, d = facts.statement(), facts.engine.dialect
    clock, recorded = d.micros(TABLES[name].business_time), d.micros("recorded_at")
    days = d.div(f"greatest({recorded} - {clock}, 0)", str(DAY_US))
    sql = st.render(
        f"SELECT {days} AS late, count(*) AS n FROM {facts.source(st, name)} "
        f"WHERE NOT recorded_assumed AND NOT retracted AND {clock} < {facts.horizon} AND {recorded} < {facts.horizon} "
        f"GROUP BY {days} ORDER BY late"
    )
    rows = [(int(row["late"]), int(row["n"])) for row in facts.engine.table(sql).to_pylist()]
    total, so_far = sum(n for _, n in rows), 0
    for late, n in rows:
        so_far += n
        if so_far >= USUALLY * total:
            return late if late <= LATEST else None
    return None


def provisional(facts: Facts, until: date | None, last_load: datetime | None, late_days: int) -> list[Provisional]:
    """The months up to the horizon whose numbers may still change, oldest first; those of one reason that meet are one.

    until: the last day of which an event tells; late_days: so late rows usually come.
    """
    if until is None or last_load is None:
        return []
    now = from_micros(facts.horizon - 1).astimezone(facts.timezone).date()
    seen = _seen(facts, last_load)
    found: list[Provisional] = []
    month = floor_day(min(until, seen) - timedelta(days=late_days), "month")
    while month <= now:
        following = add_months(month, 1)
        reason = ""
        if month > seen:
            reason = NOT_LOADED
        elif following > seen:
            reason = NOT_OVER
        elif month > until:
            reason = UNTOLD
        elif following + timedelta(days=late_days) > seen:
            reason = ARRIVING
        if reason and found and found[-1].reason == reason and add_months(found[-1].last, 1) == month:
            found[-1] = Provisional(found[-1].first, month, reason)
        elif reason:
            found.append(Provisional(month, month, reason))
        month = following
    return found


# -------------------------------------------------------------------------------------------------- who leaves no trace


def _current(st: Any, facts: Facts, definition: Definition) -> str:
    """A step (customer_id, since): who is a customer where what is known ends."""
    definition = replace(definition, follows="customer")
    first = date(1970, 1, 2)
    last = from_micros(facts.horizon - 1).astimezone(facts.timezone).date() + timedelta(days=1)
    one = [Period(midnight(first, facts.timezone), midnight(last, facts.timezone), first, last, "day")]
    moved = movements(st, facts, definition, states.shape(facts, definition), one)
    return str(
        st.step(
            "customers_now",
            "SELECT customer_id, min(CASE WHEN customer1 = 1 THEN ts END) AS since "
            f"FROM {moved} WHERE closes = 1 GROUP BY customer_id HAVING sum(customer1 - customer0) = 1",
            keep=True,
            says="who is a customer now",
        )
    )


def _marked(st: Any, facts: Facts, definition: Definition, tables: Iterable[str]) -> tuple[str, dict[str, str]]:
    """A step with the customers of now beside who leaves a trace in each table, and SQL that says who does not."""
    joins, missing = "", {}
    for name in tables:
        rows = facts.counted(
            st,
            facts.latest(st, name, ("customer_id",), step=f"{name}_traces"),
            ("customer_id",),
            f"counted_{name}_traces",
        )
        step = st.step(f"traces_in_{name}", f"SELECT DISTINCT customer_id FROM {rows} WHERE customer_id IS NOT NULL")
        joins += f" LEFT JOIN {step} ON {step}.customer_id = c.customer_id"
        missing[name] = f"{step}.customer_id IS NULL"
    return f"{_current(st, facts, definition)} AS c{joins}", missing


def _traces(facts: Facts, definition: Definition) -> tuple[int | None, Mapping[str, int], int | None]:
    """(customers now, how many of them have no row in each table, how many in none); None where nothing tells."""
    there = [name for name in TRACES if facts.has(name)]
    if not states.tables(facts) or not there:
        return None, {}, None
    st = facts.statement()
    rows, missing = _marked(st, facts, definition, there)
    counts = [f"sum(CASE WHEN {sql} THEN 1 ELSE 0 END) AS {name}" for name, sql in missing.items()]
    nobody = f"sum(CASE WHEN {' AND '.join(missing.values())} THEN 1 ELSE 0 END) AS nobody"
    sql = st.render(f"SELECT count(*) AS n, {', '.join(counts)}, {nobody} FROM {rows}")
    row = facts.engine.table(sql).to_pylist()[0]
    return int(row["n"]), {name: int(row[name] or 0) for name in there}, int(row["nobody"] or 0)


def _silent(facts: Facts, definition: Definition, tables: Iterable[str], limit: int | None) -> pa.Table:
    import pyarrow as pa

    from tenure.measure.openings import names

    listed: list[dict[str, Any]] = []
    if tables := tuple(tables):
        st = facts.statement()
        rows, missing = _marked(st, facts, definition, tables)
        cut = f" LIMIT {int(limit)}" if limit else ""
        sql = st.render(
            f"SELECT c.customer_id, c.since FROM {rows} WHERE {' AND '.join(missing.values())} "
            f"ORDER BY c.since, c.customer_id{cut}"
        )
        listed = facts.engine.table(sql).to_pylist()
    known = names(facts) if listed else {}
    return pa.table(
        {
            "customer_id": pa.array([row["customer_id"] for row in listed], pa.string()),
            "name": pa.array([known.get(row["customer_id"]) for row in listed], pa.string()),
            "since": pa.array([from_micros(int(row["since"])) for row in listed], pa.timestamp("us", tz="UTC")),
        }
    )
