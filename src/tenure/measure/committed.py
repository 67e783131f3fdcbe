"""What is already promised? Committed MRR: what is signed and has not begun, and what is known to go.

At a period's end each item has what it pays and, where something is planned within so many months, what it will pay:

    future-dated     a state or span that begins later and was recorded by then: what the last of them says
    its end is set   cancel_at, non_renewing, or a span's planned end: nothing, unless something begins there
    scheduled        status scheduled, starting at its period_start (no day told: within the months): its price

`signed` is by how much an item will pay more, `leaving` by how much less: cmrr = mrr + signed - leaving. Trials are not
signed, pauses are not leaving, and a term that ends without auto_renews is a renewal to be decided, not a loss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tenure.kernel.time import Period, add_months, midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, day_number, from_micros, micros
from tenure.measure import states
from tenure.measure.currencies import SCALE, Conversion, day_before
from tenure.measure.definition import Definition
from tenure.measure.item_days import item_days, owes
from tenure.measure.movements import movements
from tenure.measure.segments import SEPARATOR, Segment, members

if TYPE_CHECKING:
    from tenure.measure.gathering import Gathered

Key = tuple[int, str, str | None]
_OF_INVOICES = "this definition makes MRR from invoices, which do not tell what is signed or leaving"
_PRICE = (
    "customer_id", "subscription_id", "item_id", "status", "plan_id", "product_id", "interval", "interval_count",
    "quantity", "amount_minor", "tax_minor", "tax_inclusive", "discount_forever_minor", "minimum_commit_minor",
    "is_metered", "currency",
)  # fmt: skip


@dataclass
class Committed:
    """What is signed and leaving at one period's end, in one segment and currency; scaled as in currencies.SCALE."""

    signed: int = 0
    leaving: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """What one customer will pay more and less than at a window's end (10^-6 minor units), each with its currency."""

    window: int
    seg: str
    customer_id: str
    signed: int
    signed_currency: str
    leaving: int
    leaving_currency: str


@dataclass
class CommittedBook:
    """What is promised at the ends of some periods, within `months` after them."""

    facts: Facts
    definition: Definition
    asked: Sequence[Period]
    months: int
    segment: Segment | None = None
    currency: str | None = None
    statements: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """Why nothing can be told; '' where it can."""
        return _OF_INVOICES if self.definition.source == "invoice_lines" else ""

    @cached_property
    def conversion(self) -> Conversion | None:
        """The rates into the reporting currency."""
        if self.currency is None:
            return None
        made = Conversion.of(self.facts, self.currency)
        if self.definition.fx == "current":
            made.fixed = day_number(from_micros(self.facts.horizon - 1).astimezone(self.facts.timezone).date())
        return made

    def _windows(self, st: Statement) -> str:
        """The step `promised_windows`: each period's end (of what is known), how far ahead is looked, and its last day."""
        rows = []
        for i, period in enumerate(self.asked):
            ahead = midnight(add_months(period.after, self.months), self.facts.timezone)
            at_us = min(micros(period.end), self.facts.horizon)
            rows.append((str(i), str(at_us), str(micros(ahead)), str(day_number(period.after) - 1)))
        return st.step(
            "promised_windows", self.facts.engine.dialect.values(rows, ("win", "at_us", "until_us", "last_day"))
        )

    def _item_seg(self) -> str:
        if self.segment is None or self.segment.column is None:
            return "''"
        return self.segment.column.replace("{text}", self.facts.engine.dialect.text)

    def _ahead(self, st: Statement) -> str | None:
        """The step `ahead`: what begins within the months and was told by then, the last of each item and window."""
        facts, d = self.facts, self.facts.engine.dialect
        parts = []
        for table in states.tables(facts):
            raw = facts.source(st, table)
            is_state = table == "subscription_states"
            began = d.micros("r.effective_at" if is_state else "r.started_at")
            price = ", ".join(f"r.{name}" for name in _PRICE if name != "status")
            status = "r.status"
            ends = "CAST(NULL AS BIGINT)"
            trial = d.micros("r.trial_ends_at")
            if is_state:
                ends = d.micros("r.cancel_at")
            else:
                ends = d.micros("r.ended_at")
                status = f"CASE WHEN coalesce({trial} > {began}, FALSE) THEN 'trialing' ELSE coalesce(r.status, 'active') END"
            order = "r.recorded_at DESC, coalesce(r.version, -9223372036854775807) DESC, r.row_hash DESC"
            parts.append(
                f"SELECT w.win, w.until_us, {began} AS ts, {status} AS status, {ends} AS ends_at, {price}, r.retracted, "
                f"row_number() OVER (PARTITION BY w.win, r.subscription_id, r.item_id, {began} ORDER BY {order}) AS version_rank "
                # Few rows are told before they begin, and only these are laid beside the periods.
                f"FROM (SELECT * FROM {raw} AS r WHERE {d.micros('r.recorded_at')} < {began}) AS r "
                f"JOIN promised_windows AS w ON {d.micros('r.recorded_at')} < w.at_us "
                f"AND {began} >= w.at_us AND {began} < w.until_us{self._untold(is_state, 'r')}"
            )
        told = st.step("told_ahead", "\nUNION ALL\n".join(parts), says="what was told to begin later")
        names = [*_PRICE, "win", "until_us", "ts", "ends_at"]
        chosen = st.step(
            "ahead_as_told", f"SELECT {', '.join(names)} FROM {told} WHERE version_rank = 1 AND NOT retracted"
        )
        counted = facts.counted(st, chosen, names, "counted_ahead")
        rate = states.monthly(facts, self.definition, states.base_price(facts, self.definition))
        dead = ", ".join(f"'{status}'" for status in (*states.DEAD, "paused") if status != "scheduled")
        worth = f"CASE WHEN status IN ({dead}) OR coalesce(ends_at < until_us, FALSE) THEN 0 ELSE {rate} END"
        priced = st.step(
            "ahead_priced",
            f"SELECT win, customer_id, subscription_id, item_id, ts, currency, {worth} AS rate, "
            f"CASE WHEN status = 'trialing' THEN 1 ELSE 0 END AS tries, {self._item_seg()} AS item_seg FROM {counted}",
        )
        at_last = ", ".join(f"max_by({c}, ts) AS {c}" for c in ("customer_id", "rate", "currency", "item_seg", "tries"))
        return st.step(
            "ahead",
            f"SELECT win, subscription_id, item_id, max(ts) AS ts, {at_last} FROM {priced} "
            "GROUP BY win, subscription_id, item_id",
            keep=True,
            says="the last that begins within the months",
        )

    def _untold(self, is_state: bool, row: str) -> str:
        """Of a span: the condition that no state tells of its item, where there are both."""
        if is_state or len(states.tables(self.facts)) < 2:
            return ""
        item = f"t.subscription_id = {row}.subscription_id AND t.item_id = {row}.item_id"
        return f" AND NOT EXISTS (SELECT 1 FROM told_by_states AS t WHERE {item})"

    def _set(self, st: Statement) -> str:
        """The step `set_now`: items whose end is set or whose start is scheduled as a period ends, and when."""
        facts = self.facts
        every = states.all_states(st, facts, states.EVENT_COLUMNS, self.definition)
        rate = states.monthly(facts, self.definition, states.base_price(facts, self.definition))
        own = f"customer_id, subscription_id, item_id, currency, status, {rate} AS rate, {self._item_seg()} AS item_seg"
        end = "CASE WHEN status = 'non_renewing' THEN coalesce(cancel_at, term_ends_at, period_end) ELSE cancel_at END"
        dead = ", ".join(f"'{status}'" for status in states.DEAD if status != "scheduled")
        # Most items are never told to end or begin later: only the others' states are put in order.
        later = f"status NOT IN ({dead}) AND (status IN ('scheduled', 'trialing') OR {end} IS NOT NULL)"
        items = st.step("items_with_plans", f"SELECT DISTINCT subscription_id, item_id FROM {every} WHERE {later}")
        told = st.step(
            "set_told",
            f"SELECT {own}, ts, {end} AS ends_at, CASE WHEN period_start > ts THEN period_start END AS starts_at, "
            "lead(ts) OVER (PARTITION BY subscription_id, item_id ORDER BY ts) AS next_ts FROM (SELECT s.* FROM "
            f"{every} AS s JOIN {items} AS i ON i.subscription_id = s.subscription_id AND i.item_id = s.item_id "
            f"WHERE s.ts < {facts.horizon}) AS planned",
        )
        columns = "customer_id, subscription_id, item_id, currency, status, rate, item_seg, ends_at, starts_at"
        placed = (
            f"SELECT w.win, {', '.join(f's.{c}' for c in columns.split(', '))} FROM {told} AS s "
            "JOIN promised_windows AS w ON s.ts < w.at_us AND (s.next_ts IS NULL OR s.next_ts >= w.at_us) "
            f"WHERE s.status NOT IN ({dead}) AND (s.status IN ('scheduled', 'trialing') OR s.ends_at >= w.at_us)"
        )
        if not facts.has("subscription_spans") or facts.lacks("subscription_spans", "ended_at"):
            return st.step("set_now", placed, keep=True, says="whose end is set, or whose start is")
        # A span's end that lies ahead is a plan where it was asked for by then, or has not come to this day.
        names = ("customer_id", "subscription_id", "item_id", "currency", "plan_id", "product_id", "interval",
                 "interval_count", "quantity", "is_metered", "started_at", "ended_at", "cancel_requested_at")  # fmt: skip
        spans = facts.latest(st, "subscription_spans", names, hide=False, step="planned_spans")
        seg = self._item_seg().replace("auto_renews", "CAST(NULL AS BOOLEAN)")
        counted = facts.counted(st, spans, names, "counted_planned_spans")
        if self.definition.follows == "subscription":
            others = ", ".join(name for name in names if name != "customer_id")
            counted = st.step("planned_spans_alone", f"SELECT subscription_id AS customer_id, {others} FROM {counted}")
        ending = st.step(
            "planned_spans_named", f"SELECT *, {seg} AS item_seg FROM {counted} WHERE ended_at IS NOT NULL"
        )
        asked = f"e.ended_at >= {facts.horizon} OR coalesce(e.cancel_requested_at < w.at_us, FALSE)"
        several = (
            f"SELECT w.win, e.customer_id, e.subscription_id, e.item_id, e.currency, 'active' AS status, "
            "CAST(0 AS BIGINT) AS rate, e.item_seg, e.ended_at AS ends_at, CAST(NULL AS BIGINT) AS starts_at "
            f"FROM {ending} AS e JOIN promised_windows AS w ON e.started_at < w.at_us AND e.ended_at >= w.at_us "
            f"WHERE ({asked}){self._untold(False, 'e')}"
        )
        both = st.step("set_by_either", f"{placed}\nUNION ALL\n{several}")
        # An item may have several spans: it ends with the last of them.
        at_last = ", ".join(
            f"max_by({c}, coalesce(ends_at, 0)) AS {c}"
            for c in ("customer_id", "currency", "status", "rate", "item_seg", "starts_at")
        )
        return st.step(
            "set_now",
            f"SELECT win, subscription_id, item_id, {at_last}, max(ends_at) AS ends_at FROM {both} "
            "GROUP BY win, subscription_id, item_id",
            keep=True,
            says="whose end is set, or whose start is",
        )

    def _look(self) -> tuple[Statement, str]:
        """A statement with each item's promise: the step `promises`."""
        facts, segment, d = self.facts, self.segment, self.facts.engine.dialect
        owes(facts)
        st = facts.statement()
        found = states.shape(facts, self.definition)
        self._windows(st)
        now, ahead = self._set(st), self._ahead(st)
        key = "k.win = {0}.win AND k.subscription_id = {0}.subscription_id AND k.item_id = {0}.item_id"
        keys = st.step(
            "promised_items",
            f"SELECT win, subscription_id, item_id FROM {now} UNION SELECT win, subscription_id, item_id FROM {ahead}",
        )
        pays = item_days(st, facts, self.definition, found, keys)
        until, begins = "w.until_us", "a.item_id IS NOT NULL AND a.tries = 0 AND coalesce(n.status <> 'trialing', TRUE)"
        ends = f"coalesce(n.ends_at < {until}, FALSE)"
        m = "coalesce(p.m, 0)"
        will = (
            f"CASE WHEN {begins} AND (n.ends_at IS NULL OR a.ts >= n.ends_at OR n.ends_at >= {until}) THEN a.rate "
            f"WHEN {ends} THEN 0 WHEN n.status = 'scheduled' AND coalesce(n.starts_at < {until}, TRUE) THEN n.rate ELSE {m} END"
        )
        told = st.step(
            "promised_each",
            f"SELECT k.win, coalesce(n.customer_id, a.customer_id) AS customer_id, {m} AS m, {will} AS will, "
            f"CASE WHEN {begins} THEN a.currency ELSE coalesce(n.currency, p.currency) END AS will_currency, "
            "coalesce(p.currency, n.currency, a.currency) AS currency, coalesce(n.item_seg, a.item_seg) AS item_seg "
            f"FROM {keys} AS k JOIN promised_windows AS w ON w.win = k.win LEFT JOIN {now} AS n ON {key.format('n')} "
            f"LEFT JOIN {ahead} AS a ON {key.format('a')} LEFT JOIN {pays} AS p "
            "ON p.subscription_id = k.subscription_id AND p.item_id = k.item_id "
            "AND p.day0 <= w.last_day AND p.day1 > w.last_day",
            says="what each item pays, and what it will",
        )
        same = "will_currency = currency OR m = 0 OR will = 0"
        promised = st.step(
            "promised",
            f"SELECT win, customer_id, item_seg, CASE WHEN {same} THEN greatest(will - m, 0) ELSE will END AS signed, "
            f"CASE WHEN {same} THEN greatest(m - will, 0) ELSE m END AS leaving, "
            f"CASE WHEN will > 0 THEN coalesce(will_currency, currency) ELSE currency END AS signed_currency, "
            f"currency AS leaving_currency FROM {told} WHERE will <> m OR (will > 0 AND will_currency <> currency)",
            keep=True,
        )
        seg, join = "b.item_seg", ""
        if segment is not None and segment.of_customer:
            moved = movements(st, facts, self.definition, found, self.asked) if segment.moves else promised
            members(st, facts, segment, self.asked, moved, self.currency or found.currency)
            join = " LEFT JOIN members AS s ON s.customer_id = b.customer_id AND b.win BETWEEN s.first_slice AND s.last_slice"
            seg = f" || '{SEPARATOR}' || ".join([*(["b.item_seg"] if segment.of_item else []), "coalesce(s.seg, '')"])
        group = "win, seg, customer_id, signed_currency, leaving_currency"
        placed = st.step("promised_placed", f"SELECT b.*, {seg} AS seg FROM {promised} AS b{join}")
        return st, st.step(
            "promises",
            f"SELECT {group}, {d.total('signed')} AS signed, {d.total('leaving')} AS leaving FROM {placed} GROUP BY {group}",
            says="what each customer will pay more, and less",
        )

    def _rows(self, st: Statement, sql: str) -> list[dict[str, Any]]:
        text = st.render(sql)
        self.statements.append(text)
        return self.facts.engine.table(text).to_pylist()

    @cached_property
    def sums(self) -> list[dict[str, Any]]:
        """Signed and leaving by period, segment and currencies."""
        if self.reason:
            return []
        st, promises = self._look()
        d, group = self.facts.engine.dialect, "win, seg, signed_currency, leaving_currency"
        sums = f"{d.total('signed')} AS signed, {d.total('leaving')} AS leaving"
        return self._rows(st, f"SELECT {group}, {sums} FROM {promises} GROUP BY {group} ORDER BY {group}")

    @cached_property
    def promises(self) -> list[Promise]:
        """Every customer with a promise, and what it is."""
        if self.reason:
            return []
        st, promises = self._look()
        names = ("win", "seg", "customer_id", "signed", "signed_currency", "leaving", "leaving_currency")
        rows = self._rows(st, f"SELECT {', '.join(names)} FROM {promises} ORDER BY win, customer_id")
        return [
            Promise(r["win"], r["seg"], r["customer_id"], int(r["signed"]), r["signed_currency"], int(r["leaving"]),
                    r["leaving_currency"])
            for r in rows
        ]  # fmt: skip

    def figures(self) -> dict[Key, Committed]:
        """The figures by (period, segment, currency)."""
        found: dict[Key, Committed] = defaultdict(Committed)
        for row in self.sums:
            day = day_before(self.asked[row["win"]].after)
            for part in ("signed", "leaving"):
                native, amount = row[f"{part}_currency"], int(row[part])
                if not amount:
                    continue
                figures = found[row["win"], row["seg"], self.currency or native]
                unit = SCALE if self.conversion is None else self.conversion.unit(native, day)
                if unit is None:
                    assert self.conversion is not None
                    figures.reason = self.conversion.lacking(figures.reason, native, day)
                elif part == "signed":
                    figures.signed += amount * unit
                else:
                    figures.leaving += amount * unit
        return dict(found)


def fill(there: Gathered, facts: Facts, definition: Definition, months: int, currency: str | None) -> None:
    """Hangs what is promised at each period's end, by segment and currency, on gathered figures."""
    from tenure.measure.figures import Figures

    book = CommittedBook(facts, definition, there.asked, months, there.segment, currency)
    told = book.figures()
    if currency is None:
        have = {name for name in there.currencies if name is not None}
        told_in: list[str | None] = [*sorted(have | {key[2] for key in told if key[2] is not None})]
        there.currencies[:] = told_in or [None]
    for (i, seg, money), committed in told.items():
        for name in (None, money):
            if (i, seg, name) not in there.found:
                there.found[i, seg, name] = Figures(there.asked[i], seg, name, definition=definition)
        there.found[i, seg, money].committed = committed
    for key, figures in there.found.items():
        if key not in told:
            figures.committed = Committed(reason=book.reason)
    there.statements += book.statements
