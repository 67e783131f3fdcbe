"""Who buys, who has stopped, who came back? Activity churn of customers without a contract, from their purchase days.

A buyer is active where a day begins if the last purchase lies at most the inactivity window back (see purchase_gaps):
who buys on a day is active at the start of the next `window` days. Who does not buy again within them lapses on the
last of those days, and returns with the next purchase. So in every period and segment, with nothing left over:

    active before + new + returned - lapsed = active after

`activity_churn_rate` follows the buyers active where the period begins: the share of them not active where it ends.
A lapse is dated when the silence has lasted the window, not when it began: only then is it known. Nobody lapses on days
of which no order tells, and who bought before the first order is unknown: both are said as a reason.

Source: Gold 2020, Fighting Churn with Data, 2.3 (churn from inactivity).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tenure.kernel.time import Period
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, day_number, from_day_number
from tenure.measure.movements import calendar
from tenure.measure.orders import has_orders
from tenure.measure.purchase_gaps import (
    NO_GAPS,
    History,
    Window,
    buyers_segment,
    history,
    inactivity_window,
    neighbours,
    segment_of,
)

if TYPE_CHECKING:
    from tenure.measure.gathering import Gathered

NOTHING_KNOWN = "no order is known of this time"
NOT_TO_THE_END = "provisional: orders are not known to the period's end, and nobody lapses later"
NOT_BEFORE = "who bought before orders begin is not known, and counts as new"

NAMES = (
    "active_buyers_opening", "buyers_new", "buyers_returned", "buyers_lapsed", "active_buyers", "activity_churn_rate",
)  # fmt: skip
# Periods before and after those asked for, as indices of a period.
_BEFORE, _AFTER = -1, 1_000_000_000

Key = tuple[int, str]


@dataclass(slots=True)
class BuyerFigures:
    """One period of one segment: opening + new + returned - lapsed = closing.

    lost: of the opening, who is not active at the end. reason: why nothing is known; doubt: what a reader must know of
    the numbers all the same, and of those that look at the start alone (doubt_at_start).
    """

    opening: int = 0
    new: int = 0
    returned: int = 0
    lapsed: int = 0
    lost: int = 0
    reason: str = ""
    doubt: str = ""
    doubt_at_start: str = ""

    @property
    def closing(self) -> int:
        """Who is active where the period ends."""
        return self.opening + self.new + self.returned - self.lapsed

    @property
    def says_nothing(self) -> bool:
        """Whether nobody bought or lapsed, and nobody was active."""
        return not (self.opening or self.new or self.returned or self.lapsed)


def spells(st: Statement, facts: Facts, window: int, lapse_before: int) -> str:
    """A step with each stretch in which a customer was active: customer_id, first (1: the first one), begins, lapse.

    begins: the day of its first purchase. lapse: the day on which the silence after its last one reached the window;
    NULL where that day is not known yet (lapse_before).
    """
    turn = neighbours(st, facts)
    marked = st.step(
        "purchases_in_spells",
        "SELECT customer_id, day, CASE WHEN prev IS NULL THEN 1 ELSE 0 END AS first, "
        f"sum(CASE WHEN prev IS NULL OR day - prev > {window} THEN 1 ELSE 0 END) OVER "
        "(PARTITION BY customer_id ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS spell "
        f"FROM {turn}",
    )
    lapse = f"max(day) + {window}"
    return st.step(
        "active_spells",
        "SELECT customer_id, max(first) AS first, min(day) AS begins, "
        f"CASE WHEN {lapse} < {lapse_before} THEN {lapse} END AS lapse FROM {marked} GROUP BY customer_id, spell",
        keep=True,
        says="each stretch in which a customer was active, and when it lapsed",
    )


@dataclass
class BuyersBook:
    """The buyers of some periods, by segment; each statement is run when it is first needed."""

    facts: Facts
    asked: Sequence[Period]
    by: Sequence[str] = ()
    window_days: int | None = None
    statements: list[str] = field(default_factory=list)

    @cached_property
    def there(self) -> bool:
        """Whether anything is known of purchases."""
        return has_orders(self.facts) and self.history is not None

    @cached_property
    def history(self) -> History | None:
        """The days of which orders tell."""
        return history(self.facts) if has_orders(self.facts) else None

    @cached_property
    def window(self) -> Window | None:
        """The inactivity window."""
        return inactivity_window(self.facts, self.window_days) if self.there else None

    def placed(self, st: Statement) -> str:
        """A step with the spells and the periods of both their ends: b of the first day, e of the lapse.

        A spell spans the start of period i where b < i <= e, and its end where b <= i < e.
        """
        assert self.history is not None and self.window is not None
        facts = self.facts
        every = spells(st, facts, self.window.days, self.history.lapse_before)
        calendar(st, facts, self.asked)
        first = day_number(self.asked[0].first)

        def place(day: str, found: str) -> str:
            return f"coalesce({found}.period, CASE WHEN {day} < {first} THEN {_BEFORE} ELSE {_AFTER} END)"

        return st.step(
            "placed_spells",
            f"SELECT a.customer_id, a.first, a.begins, a.lapse, {place('a.begins', 'b')} AS b, "
            f"{place('a.lapse', 'e')} AS e FROM {every} AS a LEFT JOIN calendar AS b ON b.day = a.begins "
            "LEFT JOIN calendar AS e ON e.day = a.lapse",
            keep=True,
            says="the periods in which it began and lapsed",
        )

    def _placed(self) -> tuple[Statement, str, str, str]:
        """A statement with the spells; the join to the customer's segment, and its text."""
        st = self.facts.statement()
        placed = self.placed(st)
        join, seg = segment_of(st, self.facts, buyers_segment(self.facts, self.by), placed, "p")
        return st, placed, join, seg

    def _lost(self, st: Statement, placed: str) -> str:
        """A step (customer_id, period): active where the period begins, not where it ends."""
        # Whoever is there at the start has a spell that spans it; one that lapses within takes the customer along,
        # unless a later one of the same period spans its end.
        return st.step(
            "lost_buyers",
            "SELECT customer_id, period FROM ("
            f"SELECT customer_id, e AS period, 1 AS gone, 0 AS back FROM {placed} WHERE b < e AND e < {_AFTER} "
            f"UNION ALL SELECT customer_id, b, 0, 1 FROM {placed} WHERE e > b AND b >= 0 AND b < {_AFTER}"
            ") AS both_ends GROUP BY customer_id, period HAVING max(gone) = 1 AND max(back) = 0",
            keep=True,
        )

    def _rows(self, st: Statement, sql: str) -> list[dict[str, Any]]:
        text = st.render(sql)
        self.statements.append(text)
        return self.facts.engine.table(text).to_pylist()

    @cached_property
    def counts(self) -> list[dict[str, Any]]:
        """By segment and period: spells that began (n first ones, m others) and that lapsed, and who was lost."""
        st, placed, join, seg = self._placed()
        lost = self._lost(st, placed)
        keyed = "" if seg == "''" else f", {seg}"
        gone = join.replace("p.customer_id", "l.customer_id")
        return self._rows(
            st,
            f"SELECT 'began' AS what, {seg} AS seg, p.b AS period, CAST(sum(p.first) AS BIGINT) AS n, "
            f"CAST(sum(1 - p.first) AS BIGINT) AS m FROM {placed} AS p{join} WHERE p.b < {_AFTER} GROUP BY p.b{keyed}\n"
            f"UNION ALL SELECT 'lapsed', {seg}, p.e, count(*), 0 FROM {placed} AS p{join} "
            f"WHERE p.e < {_AFTER} GROUP BY p.e{keyed}\n"
            f"UNION ALL SELECT 'lost', {seg}, l.period, count(*), 0 FROM {lost} AS l{gone} GROUP BY l.period{keyed}\n"
            "ORDER BY 1, 2, 3",
        )

    @cached_property
    def figures(self) -> dict[Key, BuyerFigures]:
        """By (period, segment)."""
        if not self.there:
            return {}
        if self.window is None:
            return {(i, ""): BuyerFigures(reason=NO_GAPS) for i in range(len(self.asked))}
        told: dict[str, dict[tuple[str, int], tuple[int, int]]] = defaultdict(dict)
        for row in self.counts:
            told[row["seg"]][row["what"], row["period"]] = int(row["n"]), int(row["m"])
        found: dict[Key, BuyerFigures] = {}
        for seg in sorted(told) or [""]:
            mine = told[seg]
            first, others = mine.get(("began", _BEFORE), (0, 0))
            active = first + others - mine.get(("lapsed", _BEFORE), (0, 0))[0]
            for i, period in enumerate(self.asked):
                new, returned = mine.get(("began", i), (0, 0))
                lapsed, lost = mine.get(("lapsed", i), (0, 0))[0], mine.get(("lost", i), (0, 0))[0]
                figures = BuyerFigures(active, new, returned, lapsed, lost)
                active = figures.closing
                self._say(figures, period)
                found[i, seg] = figures
        return found

    def nobody(self, period: Period) -> BuyerFigures:
        """A period of a segment in which nobody ever bought."""
        figures = BuyerFigures(reason="" if self.window else NO_GAPS)
        if self.window is not None:
            self._say(figures, period)
        return figures

    def _say(self, figures: BuyerFigures, period: Period) -> None:
        """Fills in what is not known of a period: before orders begin, after they end."""
        assert self.history is not None and self.window is not None
        told = self.history
        after = from_day_number(told.lapse_before)
        if period.first >= after or period.after <= told.first:
            figures.reason = NOTHING_KNOWN
            return
        # A period that is not over is said to be so by whoever asks.
        if period.after > after and told.lapse_before == day_number(told.last) + 1:
            figures.doubt = NOT_TO_THE_END
        if period.first < told.first + timedelta(days=self.window.days):
            figures.doubt_at_start = NOT_BEFORE

    @cached_property
    def people(self) -> list[dict[str, Any]]:
        """Who did what: seg, customer_id, what (began, lapsed, lost, there, stays), period, first, day (number)."""
        if not self.there or self.window is None:
            return []
        st, placed, join, seg = self._placed()
        lost = self._lost(st, placed)
        gone = join.replace("p.customer_id", "l.customer_id")
        from_to = f"WHERE p.b < {_AFTER} AND p.e >= 0"
        return self._rows(
            st,
            f"SELECT 'spell' AS what, {seg} AS seg, p.customer_id, p.first, p.b, p.e, p.begins, p.lapse "
            f"FROM {placed} AS p{join} {from_to}\n"
            f"UNION ALL SELECT 'lost', {seg}, l.customer_id, 0, l.period, l.period, 0, 0 FROM {lost} AS l{gone}",
        )

    @property
    def notes(self) -> list[str]:
        """The window in words, and of which days orders tell, for whoever reads the numbers."""
        if self.window is None or self.history is None:
            return []
        return [self.window.told(), f"Orders are known from {self.history.first} to {self.history.last}."]


def fill(facts: Facts, there: Gathered, by: Sequence[str], window: int | None) -> list[str]:
    """Hangs the buyers of each period and segment on gathered figures; answers what their reader should know."""
    from tenure.measure.figures import Figures

    book = BuyersBook(facts, there.asked, by, window)
    found = book.figures
    for seg in {seg for _, seg, _ in there.found} | {seg for _, seg in found}:
        for i, period in enumerate(there.asked):
            buyers = found.get((i, seg)) or book.nobody(period)
            for money in (None, *(money for money in there.currencies if money is not None)):
                figures = there.found.get((i, seg, money))
                if figures is None:
                    figures = there.found[i, seg, money] = Figures(period, seg, money)
                figures.buyers = buyers
    there.statements += book.statements
    return book.notes
