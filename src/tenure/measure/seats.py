"""Who sits on the seats that are paid for, and is somebody there who wants us? People behind the customers.

Seats paid: of each subscription the largest quantity among its items that pay where the period ends, metered ones left
out (add-ons have no seats of their own); of a customer the sum of its subscriptions'. Seats used: of a customer that
pays for seats, the different contacts in its usage in the 30 days before the period ends; where usage names no
contacts, the contacts who have joined and not left. A champion is a contact whose role says so.

All of it is counted in the engine: the answer grows with periods and segments, not with customers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tenure.kernel.stats import Estimate, ratio_interval
from tenure.kernel.time import Period
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, from_micros, micros
from tenure.measure import states
from tenure.measure.definition import Definition
from tenure.measure.movements import movements
from tenure.measure.segments import Segment, members

if TYPE_CHECKING:
    from tenure.measure.gathering import Gathered

LOOK_BACK_DAYS = 30
CHAMPION = "champion"
NO_QUANTITY = "no subscription tells how many seats it has"
ONE_SEAT = "every subscription has one seat: nothing is priced by seat"
NO_CONTACTS = "no contacts are loaded (`tenure load contacts FILE`)"
NO_CHAMPIONS = "no contact has the role of a champion"


@dataclass(slots=True)
class PeopleFigures:
    """One period of one segment: sums over its customers.

    seated: customers that pay for seats; paid, used: their seats, with the sums of squares and of products. left:
    champions who left in the period, of customers at its start; without: customers at its end with no champion any
    more, of `looked_after` that ever had one. no_seats, no_use, no_champions: why nothing is known.
    """

    seated: int = 0
    paid: int = 0
    used: int = 0
    paid_squared: int = 0
    used_squared: int = 0
    crossed: int = 0
    left: int = 0
    without: int = 0
    looked_after: int = 0
    no_seats: str = ""
    no_use: str = ""
    no_champions: str = ""

    def utilization(self) -> Estimate:
        """Seats used of seats paid, with its interval over customers."""
        sums = (self.paid, self.used, self.paid_squared, self.used_squared, self.crossed)
        return ratio_interval(self.seated, *sums)


@dataclass
class SeatBook:
    """The people of some periods, by segment and by customer; each statement is run when it is first needed."""

    facts: Facts
    definition: Definition
    asked: Sequence[Period]
    segment: Segment | None = None
    currency: str | None = None
    statements: list[str] = field(default_factory=list)

    @cached_property
    def split_by(self) -> str:
        """Why people are not told by these segments; empty where they are."""
        if self.segment is None or not self.segment.of_item:
            return ""
        return f"people belong to customers and are not told by {', '.join(self.segment.item)}"

    @cached_property
    def no_seats(self) -> str:
        """Why no seats are known, empty where they are."""
        there = states.tables(self.facts)
        if all(self.facts.lacks(table, "quantity") for table in there):
            return NO_QUANTITY
        if all(self.facts.constant(table, "quantity") == 1 for table in there):
            return ONE_SEAT
        return ""

    @cached_property
    def by_usage(self) -> bool:
        """Whether usage names the people who use."""
        return self.facts.has("usage") and not self.facts.lacks("usage", "contact_id")

    @cached_property
    def usage_since(self) -> int | None:
        """The first instant of which usage with a contact tells."""
        st = self.facts.statement()
        at = self.facts.engine.dialect.micros("happened_at")
        raw = self.facts.source(st, "usage")
        sql = st.render(f"SELECT min({at}) AS first FROM {raw} WHERE contact_id IS NOT NULL")
        found = self.facts.engine.table(sql).column(0).to_pylist()[0]
        return None if found is None else int(found)

    def ends(self, period: Period) -> int:
        """Where a period ends, or what is known of it."""
        return min(micros(period.end), self.facts.horizon)

    def no_use(self, period: Period) -> str:
        """Why seats used are not known in a period, empty where they are."""
        if not self.by_usage:
            return "" if self.facts.has("contacts") else NO_CONTACTS
        since = self.usage_since
        if since is not None and since > self.ends(period) - LOOK_BACK_DAYS * DAY_US:
            day = from_micros(since).astimezone(self.facts.timezone).date()
            return f"usage is known from {day} on, and seats used need {LOOK_BACK_DAYS} days of it"
        return ""

    @cached_property
    def no_champions(self) -> str:
        """Why no champions are known, empty where they are."""
        if not self.facts.has("contacts"):
            return NO_CONTACTS
        st = self.facts.statement()
        raw = self.facts.source(st, "contacts")
        sql = st.render(f"SELECT 1 AS one FROM {raw} WHERE lower(role) = '{CHAMPION}' LIMIT 1")
        return "" if self.facts.engine.table(sql).num_rows else NO_CHAMPIONS

    # ------------------------------------------------------------------------------------------------ in the engine

    def _people(self, st: Statement) -> str:
        """A step with a row for each period and customer who was one, is one or pays for seats, in its segment.

        Columns: win, seg, customer_id, was, stands, paid, used, champions_left, ever, there, left_at.
        """
        facts, d = self.facts, self.facts.engine.dialect
        definition = replace(self.definition, follows="customer", source="states")
        shape = states.shape(facts, definition)
        moved = movements(st, facts, definition, shape, self.asked)
        rows = [
            (str(i), *(f"CAST({us} AS BIGINT)" for us in (micros(p.start), self.ends(p))))
            for i, p in enumerate(self.asked)
        ]
        wins = st.step("wins", d.values(rows, ("win", "begins", "ends")), says="the periods, up to what is known")
        stood = st.step(
            "stood",
            "SELECT w.win, m.customer_id, sum(CASE WHEN m.period < w.win THEN m.customer1 - m.customer0 ELSE 0 END) "
            f"AS was, sum(m.customer1 - m.customer0) AS stands FROM {moved} AS m JOIN {wins} AS w ON m.period <= w.win "
            "WHERE m.closes = 1 GROUP BY w.win, m.customer_id",
            says="who is a customer where each period begins and ends",
        )
        joins, columns = "", []
        for step, values in (
            (self._paid(st, definition, moved, wins), {"paid": "0"}),
            (self._used(st, wins), {"used": "0"}),
            (
                self._champions(st, wins),
                {"champions_left": "0", "ever": "0", "there": "0", "left_at": ""},
            ),
        ):
            if step:
                joins += f" LEFT JOIN {step} ON {step}.win = b.win AND {step}.customer_id = b.customer_id"
            for name, empty in values.items():
                value = f"{step}.{name}" if step else "CAST(NULL AS BIGINT)"
                columns.append(f"coalesce({value}, {empty}) AS {name}" if empty else f"{value} AS {name}")
        seg = "''"
        if self.segment is not None:
            mine = members(st, facts, self.segment, self.asked, "movements", self.currency)
            joins += (
                f" LEFT JOIN {mine} AS s ON s.customer_id = b.customer_id "
                "AND b.win BETWEEN s.first_slice AND s.last_slice"
            )
            seg = "coalesce(s.seg, '')"
        every = st.step(
            "people_of_customers",
            f"SELECT b.win, {seg} AS seg, b.customer_id, b.was, b.stands, {', '.join(columns)} "
            f"FROM {stood} AS b{joins}",
            says="seats and champions of each customer",
        )
        return st.step("customers_with_people", f"SELECT * FROM {every} WHERE was = 1 OR stands = 1 OR paid > 0")

    def _paid(self, st: Statement, definition: Definition, moved: str, wins: str) -> str:
        if self.no_seats:
            return ""
        facts, d = self.facts, self.facts.engine.dialect
        told = states.all_states(st, facts, states.EVENT_COLUMNS, definition)
        paying = st.step(
            "paying_items",
            f"SELECT w.win, w.ends, m.customer_id, m.subscription_id, m.item_id FROM {moved} AS m "
            f"JOIN {wins} AS w ON m.period <= w.win "
            "GROUP BY w.win, w.ends, m.customer_id, m.subscription_id, m.item_id "
            f"HAVING {d.total('m.amount')} > 0",
            says="items that pay where each period ends",
        )
        seats = "CASE WHEN coalesce(s.is_metered, FALSE) THEN 0 ELSE coalesce(s.quantity, 0) END"
        last = st.step(
            "seats_of_items",
            f"SELECT p.win, p.customer_id, p.subscription_id, p.item_id, max_by({seats}, s.ts) AS seats "
            f"FROM {paying} AS p JOIN {told} AS s ON s.subscription_id = p.subscription_id AND s.item_id = p.item_id "
            "AND s.ts < p.ends "
            "GROUP BY p.win, p.customer_id, p.subscription_id, p.item_id",
        )
        each = st.step(
            "seats_of_subscriptions",
            f"SELECT win, customer_id, subscription_id, max(seats) AS seats FROM {last} "
            "GROUP BY win, customer_id, subscription_id",
        )
        return st.step(
            "seats_paid",
            f"SELECT win, customer_id, CAST(sum(seats) AS BIGINT) AS paid FROM {each} GROUP BY win, customer_id",
            says="seats each customer pays for",
        )

    def _used(self, st: Statement, wins: str) -> str:
        facts = self.facts
        if self.by_usage:
            columns = ("customer_id", "contact_id", "happened_at")
            told = facts.counted(st, facts.latest(st, "usage", columns), columns, "counted_use")
            first = min(self.ends(p) for p in self.asked) - LOOK_BACK_DAYS * DAY_US
            named = f"u.contact_id IS NOT NULL AND u.happened_at >= {first}"
            within = f"u.happened_at >= w.ends - {LOOK_BACK_DAYS * DAY_US} AND u.happened_at < w.ends"
            sql = (
                f"SELECT w.win, u.customer_id, count(DISTINCT u.contact_id) AS used FROM {told} AS u "
                f"JOIN {wins} AS w ON {within} WHERE {named} GROUP BY w.win, u.customer_id"
            )
            return st.step("seats_used", sql, says="people of each customer who used it in the last 30 days")
        if not facts.has("contacts"):
            return ""
        there = f"coalesce(c.joined_at, w.begins) < w.ends AND coalesce(c.left_at, {facts.horizon}) >= w.ends"
        sql = (
            f"SELECT w.win, c.customer_id, count(*) AS used FROM {self._contacts(st)} AS c JOIN {wins} AS w "
            f"ON {there} GROUP BY w.win, c.customer_id"
        )
        return st.step("seats_used", sql, says="people of each customer who have joined and not left")

    def _contacts(self, st: Statement) -> str:
        columns = ("customer_id", "role", "joined_at", "left_at")
        told = self.facts.latest(st, "contacts", columns)
        return self.facts.counted(st, told, columns, "counted_contacts")

    def _champions(self, st: Statement, wins: str) -> str:
        if self.no_champions:
            return ""
        gone, inside = "c.left_at < w.ends", "c.left_at >= w.begins AND c.left_at < w.ends"
        sql = (
            "SELECT w.win, c.customer_id, "
            f"CAST(sum(CASE WHEN {inside} THEN 1 ELSE 0 END) AS BIGINT) AS champions_left, count(*) AS ever, "
            f"CAST(sum(CASE WHEN {gone} THEN 0 ELSE 1 END) AS BIGINT) AS there, "
            f"max(CASE WHEN {gone} THEN c.left_at END) AS left_at FROM {self._contacts(st)} AS c JOIN {wins} AS w "
            f"ON coalesce(c.joined_at, w.begins) < w.ends WHERE lower(c.role) = '{CHAMPION}' "
            "GROUP BY w.win, c.customer_id"
        )
        return st.step("champions", sql, says="champions of each customer, there and gone")

    # ------------------------------------------------------------------------------------------------------- answers

    @cached_property
    def sums(self) -> dict[tuple[int, str], PeopleFigures]:
        """The figures by period and segment."""
        if self.split_by:
            return {}
        st, d = self.facts.statement(), self.facts.engine.dialect
        seated = "CASE WHEN paid > 0 THEN {} ELSE 0 END"
        sums = {
            "seated": seated.format("1"),
            "paid": "paid",
            "used": seated.format("used"),
            "paid_squared": "paid * paid",
            "used_squared": seated.format("used * used"),
            "crossed": "paid * used",
            "left": "CASE WHEN was = 1 THEN champions_left ELSE 0 END",
            "without": "CASE WHEN stands = 1 AND ever > 0 AND there = 0 THEN 1 ELSE 0 END",
            "looked_after": "CASE WHEN stands = 1 AND ever > 0 THEN 1 ELSE 0 END",
        }
        columns = ", ".join(f"{d.total(sql)} AS {d.quoted(name)}" for name, sql in sums.items())
        sql = st.render(f"SELECT win, seg, {columns} FROM {self._people(st)} GROUP BY win, seg ORDER BY win, seg")
        self.statements.append(sql)
        found = {}
        for row in self.facts.engine.table(sql).to_pylist():
            told: dict[str, Any] = {name: int(row[name]) for name in sums}
            found[row["win"], row["seg"]] = self._with_reasons(PeopleFigures(**told), self.asked[row["win"]])
        return found

    def figures(self, win: int, seg: str) -> PeopleFigures:
        """The figures of one period and segment; zeros where there is nobody."""
        empty = self._with_reasons(PeopleFigures(), self.asked[win])
        return self.sums.get((win, seg), empty)

    def _with_reasons(self, figures: PeopleFigures, period: Period) -> PeopleFigures:
        split = self.split_by
        figures.no_seats = split or self.no_seats
        figures.no_use = split or self.no_seats or self.no_use(period)
        figures.no_champions = split or self.no_champions
        return figures

    @cached_property
    def customers(self) -> list[dict[str, Any]]:
        """The rows behind the figures, one per period and customer, with the columns of `_people`."""
        if self.split_by:
            return []
        st = self.facts.statement()
        sql = st.render(f"SELECT * FROM {self._people(st)} ORDER BY win, seg, customer_id")
        return self.facts.engine.table(sql).to_pylist()


def fill(there: Gathered, facts: Facts, definition: Definition, currency: str | None) -> None:
    """Hangs the people of each period and segment on gathered figures."""
    single = currency or (there.currencies[0] if len(there.currencies) == 1 else None)
    book = SeatBook(facts, definition, there.asked, there.segment, single)
    for (i, seg, _), figures in there.found.items():
        figures.people = book.figures(i, seg)
    there.statements += book.statements
