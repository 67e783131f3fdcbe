"""What do customers pay for what they use? The usage run-rate, its change, who keeps using, from usage lines.

A line of usage belongs to the service month in which its service ends; a month counts once it is over. The run-rate at
a day is the mean of the last three complete service months. What changes it is `usage_change`, never expansion: a
month enters on its last day, the month three before it leaves on the same day, each at that day's exchange rate.

What a minimum commitment already counts in committed MRR is no part of the run-rate: of an item with one, only what
its month was charged beyond it is. Where the commitment is invoiced on recurring lines of the same item, usage lines
are beyond it as they are. Who uses, and usage NRR, go by all that is charged for usage, within a commitment or beyond.
Credits lower usage where they name a time of service and an item that is charged for usage alone; other credits are
money, not revenue. Lines of invoices that were voided, or never left the draft, do not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput
from tenure.kernel import stats
from tenure.kernel.time import Period, midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, day_number, from_micros, micros
from tenure.measure import states
from tenure.measure.currencies import SCALE, Conversion, day_before
from tenure.measure.definition import Definition
from tenure.measure.segments import SEPARATOR, Segment, members

if TYPE_CHECKING:
    from tenure.measure.catalogue import Metric
    from tenure.measure.gathering import Gathered

TABLE = "invoice_lines"
RUN_RATE_MONTHS = 3  # complete service months whose mean is the run-rate
QUIET_MONTHS = 3  # who has used nothing for so many complete service months has churned
YEAR = 12
_LONG_DAYS = 93  # a longer service tells of more months than the run-rate looks at, and counts by its share
_OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
# Columns of an item by which lines can be split, besides what belongs to the customer.
ITEM_COLUMNS = ("plan_id", "currency")
# What one statement reads of states, for commitments and for who has left.
_OF_STATES = (
    "customer_id", "subscription_id", "item_id", "status", "is_metered", "minimum_commit_minor", "interval",
    "interval_count", "trial_ends_at",
)  # fmt: skip

Key = tuple[int, str, str | None]


@dataclass
class UsageFigures:
    """One period of one segment in one currency; money is scaled as in currencies.SCALE.

    opening + change + fx = closing. before, after: NRR's twelve months and the twelve behind them, of `cohort`
    customers; sums of their squares and products as floats. customers_*: who uses, by head, in any currency.
    """

    opening: Fraction = Fraction(0)
    change: Fraction = Fraction(0)
    fx: Fraction = Fraction(0)
    closing: Fraction = Fraction(0)
    credits: Fraction = Fraction(0)
    before: Fraction = Fraction(0)
    after: Fraction = Fraction(0)
    cohort: int = 0
    squares: float = 0.0
    after_squares: float = 0.0
    crossed: float = 0.0
    customers_open: int = 0
    customers_close: int = 0
    lost: int = 0
    reason: str = ""  # why money has no value
    retention_reason: str = ""  # why usage NRR has none

    def retention_interval(self) -> tuple[float | None, float | None]:
        """The interval of usage NRR: that of a ratio of sums over the cohort; see stats.ratio_interval."""
        if self.cohort < 2 or self.before <= 0 or self.after < 0:
            return None, None
        sums = float(self.before / SCALE), float(self.after / SCALE), self.squares, self.after_squares, self.crossed
        interval = stats.ratio_interval(self.cohort, *sums)
        return interval.low, interval.high

    @property
    def says_nothing(self) -> bool:
        """Whether there was no usage at all."""
        counts = self.customers_open or self.customers_close or self.cohort or self.reason
        return not (self.opening or self.change or self.closing or counts)


def has_usage(facts: Facts) -> bool:
    """Whether any line of usage is there."""
    if not facts.has(TABLE) or facts.lacks(TABLE, "kind"):
        return False
    key = ("has usage", facts.horizon)
    if key not in facts.memory:
        st = facts.statement()
        sql = f"SELECT count(*) AS n FROM (SELECT 1 AS one FROM {facts.source(st, TABLE)} WHERE kind = 'usage' LIMIT 1) AS u"
        facts.memory[key] = bool(facts.engine.table(st.render(sql)).column(0).to_pylist()[0])
    return bool(facts.memory[key])


def unplaced(facts: Facts) -> int:
    """How many lines of usage tell no time of service, and so count in no month."""
    st = facts.statement()
    told = facts.latest(st, TABLE, ("kind", "service_start", "service_end"))
    sql = f"SELECT count(*) AS n FROM {told} WHERE kind = 'usage' AND service_end IS NULL AND service_start IS NULL"
    return int(facts.engine.table(st.render(sql)).column(0).to_pylist()[0])


def month_index(day: date) -> int:
    """The month of a day, counted from January 1970."""
    return 12 * (day.year - 1970) + day.month - 1


def month_start(index: int) -> date:
    """The first day of the month with that index."""
    return date(1970 + index // 12, index % 12 + 1, 1)


def last_day(index: int) -> int:
    """The day number of a month's last day: that on which the month has become complete."""
    return day_before(month_start(index + 1))


def usage_months(st: Statement, facts: Facts, definition: Definition, segment: Segment | None) -> str:
    """The step `usage_months`: what each customer used in each service month.

    Columns: customer_id, item_seg (text of the item's part of the segment, '' without), currency, month (see
    month_index), charged (all of it), amount (what lies beyond minimum commitments) and credits; DECIMAL(38,0), 10^-6
    minor units, after discount and without tax.
    """
    if "usage_months" in st:
        return "usage_months"
    d = facts.engine.dialect
    told = facts.latest(
        st,
        TABLE,
        (
            "line_id", "invoice_id", "customer_id", "subscription_id", "item_id", "plan_id", "kind", "amount_minor",
            "discount_minor", "tax_minor", "tax_inclusive", "currency", "service_start", "service_end", "is_proration",
        ),
    )  # fmt: skip
    item = "coalesce(l.item_id, l.subscription_id, l.customer_id)"
    void = ""
    if facts.has("invoices") and not facts.lacks("invoices", "status"):
        bills = facts.latest(st, "invoices", ("invoice_id", "status"))
        never_owed = st.step(
            "never_owed", f"SELECT invoice_id AS void_id FROM {bills} WHERE status IN ('void', 'draft')", keep=True
        )
        void = f" LEFT JOIN {never_owed} AS v ON v.void_id = l.invoice_id"
    net = (
        "l.amount_minor - coalesce(l.discount_minor, 0) "
        "- CASE WHEN l.tax_inclusive THEN coalesce(l.tax_minor, 0) ELSE 0 END"
    )
    charged = st.step(
        "charged_lines",
        f"SELECT l.customer_id, coalesce(l.subscription_id, l.customer_id) AS subscription_id, {item} AS item_id, "
        f"l.plan_id, l.currency, l.kind, {net} AS net, coalesce(l.service_end, l.service_start) AS ended, "
        "coalesce(l.service_end - l.service_start, 0) AS served, coalesce(l.is_proration, FALSE) AS prorated "
        f"FROM {told} AS l{void} WHERE l.kind IN ('usage', 'credit', 'recurring') "
        f"AND coalesce(l.service_end, l.service_start) IS NOT NULL{' AND v.void_id IS NULL' if void else ''}",
        keep=True,
        says="lines with a time of service, after discount and without tax",
    )
    items = st.step(
        "usage_items",
        "SELECT subscription_id, item_id, max(CASE WHEN kind = 'recurring' THEN 1 ELSE 0 END) AS billed_too "
        f"FROM {charged} GROUP BY subscription_id, item_id HAVING max(CASE WHEN kind = 'usage' THEN 1 ELSE 0 END) = 1",
        keep=True,
        says="what is charged for usage",
    )
    # A service of more than a quarter counts as its share of three months, as if used evenly.
    days = d.div(f"c.served + {DAY_US // 2}", str(DAY_US))
    share = d.muldiv(f"CASE WHEN c.net < 0 THEN -c.net ELSE c.net END * {365 * 1_000_000}", "1", f"4 * {days}")
    worth = (
        f"CASE WHEN c.served > {_LONG_DAYS * DAY_US} THEN CASE WHEN c.net < 0 THEN -1 ELSE 1 END * {share} "
        "ELSE c.net * 1000000 END"
    )
    credit = "CASE WHEN kind = 'credit' THEN -worth ELSE 0 END"
    day = d.local_day("c.ended - 1", facts.timezone, _OLDEST, facts.known_before + timedelta(days=1))
    month = d.completed_months("CAST(0 AS BIGINT)", day)
    by_month = st.step(
        "usage_item_months",
        f"SELECT customer_id, subscription_id, item_id, max(plan_id) AS plan_id, currency, month, "
        "max(ended) AS ended, max(billed_too) AS billed_too, "
        f"{d.total('worth')} AS amount, {d.total('worth')} AS charged, {d.total(credit)} AS credits "
        f"FROM (SELECT c.customer_id, c.subscription_id, c.item_id, c.plan_id, c.currency, c.kind, c.ended, "
        f"u.billed_too, {month} AS month, {worth} AS worth FROM {charged} AS c JOIN {items} AS u "
        "ON u.subscription_id = c.subscription_id AND u.item_id = c.item_id "
        f"WHERE c.ended <= {facts.horizon} AND c.ended > 0 AND (c.kind = 'usage' OR (c.kind = 'credit' "
        "AND u.billed_too = 0 AND NOT c.prorated AND c.served > 0))) AS w "
        "GROUP BY customer_id, subscription_id, item_id, currency, month",
        says="what each item was charged for each service month",
    )
    beyond = _beyond_commitments(st, facts, definition, by_month)
    counted = facts.counted(
        st, beyond, ("customer_id", "plan_id", "currency", "month", "amount", "charged", "credits"), "counted_usage"
    )
    seg = "''"
    if segment is not None and segment.column is not None:
        seg = segment.column.replace("{text}", d.text)
    return st.step(
        "usage_months",
        "SELECT customer_id, item_seg, currency, month, CAST(sum(amount) AS DECIMAL(38,0)) AS amount, "
        "CAST(sum(charged) AS DECIMAL(38,0)) AS charged, CAST(sum(credits) AS DECIMAL(38,0)) AS credits "
        f"FROM (SELECT customer_id, {seg} AS item_seg, currency, month, amount, charged, credits FROM {counted}) AS s "
        "GROUP BY customer_id, item_seg, currency, month",
        keep=True,
        says="what each customer used in each service month",
    )


def _beyond_commitments(st: Statement, facts: Facts, definition: Definition, by_month: str) -> str:
    """The items' months without what a minimum commitment in force at their end already counts."""
    there = states.tables(facts)
    if not there or all(facts.lacks(table, "minimum_commit_minor") for table in there):
        return by_month
    dead = ", ".join(f"'{status}'" for status in states.DEAD)
    every = states.all_states(st, facts, _OF_STATES)
    least = states.monthly(facts, replace(definition, source="states"), "coalesce(minimum_commit_minor, 0)")
    told = st.step(
        "commitments",
        f"SELECT subscription_id, item_id, ts, CASE WHEN is_metered AND status NOT IN ({dead}) THEN {least} ELSE 0 END "
        f"AS least FROM {every} WHERE (subscription_id, item_id) IN (SELECT subscription_id, item_id FROM {every} "
        "WHERE minimum_commit_minor > 0)",
        keep=True,
        says="minimum commitments a month, as they change",
    )
    in_force = st.step(
        "commitments_in_force",
        f"SELECT m.subscription_id, m.item_id, m.month, m.currency, max_by(c.least, c.ts) AS least FROM {by_month} AS m "
        f"JOIN {told} AS c ON c.subscription_id = m.subscription_id AND c.item_id = m.item_id AND c.ts < m.ended "
        "WHERE m.billed_too = 0 GROUP BY m.subscription_id, m.item_id, m.month, m.currency",
    )
    amount = "CASE WHEN coalesce(f.least, 0) > 0 THEN greatest(m.amount - f.least, 0) ELSE m.amount END"
    return st.step(
        "usage_beyond_commitments",
        f"SELECT m.customer_id, m.plan_id, m.currency, m.month, CAST({amount} AS DECIMAL(38,0)) AS amount, m.charged, m.credits "
        f"FROM {by_month} AS m LEFT JOIN {in_force} AS f ON f.subscription_id = m.subscription_id "
        "AND f.item_id = m.item_id AND f.month = m.month AND f.currency = m.currency",
        says="what was used beyond minimum commitments, which are committed revenue",
    )


@dataclass
class UsageBook:
    """The usage of some periods, by segment and currency; each statement is run when it is first needed."""

    facts: Facts
    definition: Definition
    asked: Sequence[Period]
    segment: Segment | None = None
    currency: str | None = None  # the reporting currency; None: each by itself
    statements: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.segment is not None and self.there:
            odd = [*self.segment.bands, *self.segment.dated]
            odd += [name for name in self.segment.item if name not in ITEM_COLUMNS]
            if odd:
                raise BadInput(
                    f"usage cannot be split by {odd[0]}; use plan_id, currency, or what stays with a customer: a column "
                    "of customers, or a trait without dates"
                )

    @cached_property
    def there(self) -> bool:
        """Whether there is any usage to tell of."""
        return has_usage(self.facts)

    @cached_property
    def horizon(self) -> date:
        """The first day that is not wholly known."""
        return from_micros(self.facts.horizon).astimezone(self.facts.timezone).date()

    def complete(self, day: date) -> int:
        """The first month that is not complete at the start of a day, or not known to be."""
        return month_index(min(day, self.horizon))

    @cached_property
    def conversion(self) -> Conversion | None:
        """The rates into the reporting currency."""
        if self.currency is None:
            return None
        key = ("conversion", self.currency, self.definition.fx)
        if key not in self.facts.memory:
            made = self.facts.memory[key] = Conversion.of(self.facts, self.currency)
            if self.definition.fx == "current":
                made.fixed = day_number(from_micros(self.facts.horizon - 1).astimezone(self.facts.timezone).date())
        found: Conversion = self.facts.memory[key]
        return found

    # ------------------------------------------------------------------------------------------------- in the engine

    def _look(self) -> tuple[Statement, str, str, str]:
        """A statement with the months; the join to the customer's segment (of `m`) and the whole segment's text."""
        st = self.facts.statement()
        months = usage_months(st, self.facts, self.definition, self.segment)
        segment = self.segment
        if segment is None:
            return st, months, "", "''"
        parts = ["m.item_seg"] if segment.of_item else []
        join = ""
        if segment.of_customer:
            members(st, self.facts, segment, self.asked, months, self.currency)
            join = " LEFT JOIN members AS s ON s.customer_id = m.customer_id"
            parts.append("coalesce(s.seg, '')")
        return st, months, join, f" || '{SEPARATOR}' || ".join(parts)

    def _rows(self, st: Statement, sql: str) -> list[dict[str, Any]]:
        text = st.render(sql)
        self.statements.append(text)
        return self.facts.engine.table(text).to_pylist()

    @cached_property
    def sums(self) -> dict[tuple[str, str], dict[int, tuple[int, int]]]:
        """{(segment, currency): {month: (amount, credits)}} in 10^-6 minor units."""
        found: dict[tuple[str, str], dict[int, tuple[int, int]]] = defaultdict(dict)
        if self.there:
            st, months, join, seg = self._look()
            sql = (
                f"SELECT {seg} AS seg, m.currency, m.month, CAST(sum(m.amount) AS DECIMAL(38,0)) AS amount, "
                f"CAST(sum(m.credits) AS DECIMAL(38,0)) AS credits FROM {months} AS m{join} "
                f"GROUP BY m.currency, m.month{_also(seg)}"
            )
            for row in self._rows(st, sql):
                found[row["seg"], row["currency"]][row["month"]] = (int(row["amount"]), int(row["credits"]))
        return dict(found)

    @property
    def currencies(self) -> list[str]:
        """The currencies of usage, sorted."""
        return sorted({currency for _, currency in self.sums})

    @property
    def segments(self) -> list[str]:
        """The segments in which anything was used, sorted."""
        return sorted({seg for seg, _ in self.sums})

    def _windows(self, st: Statement) -> str:
        """The step `usage_windows`: each period's months: (k0, k1) where it begins and ends, y0 a month two years back."""
        rows = []
        for i, period in enumerate(self.asked):
            k0, k1 = self.complete(period.first), self.complete(period.after)
            rows.append((str(i), str(k0), str(k1), str(k1 - 2 * YEAR)))
        return st.step("usage_windows", self.facts.engine.dialect.values(rows, ("win", "k0", "k1", "y0")))

    def _closed(self, st: Statement, months: str) -> str | None:
        """The step `usage_closed` (customer_id, boundary): who has had subscriptions and has none left, at which day."""
        if not states.tables(self.facts):
            return None
        every = states.all_states(st, self.facts, _OF_STATES)
        dead = ", ".join(f"'{status}'" for status in states.DEAD)
        lives = st.step(
            "item_lives",
            f"SELECT e.customer_id, e.ts, CASE WHEN e.status IN ({dead}) THEN 0 ELSE 1 END AS alive, "
            "lead(e.ts) OVER (PARTITION BY e.subscription_id, e.item_id ORDER BY e.ts) AS until "
            f"FROM {every} AS e JOIN (SELECT DISTINCT customer_id FROM {months}) AS u ON u.customer_id = e.customer_id",
        )
        days = sorted({day for period in self.asked for day in (period.first, period.after)})
        tz = self.facts.timezone
        rows = [(str(day_number(day)), str(micros(midnight(day, tz)))) for day in days]
        bounds = st.step("usage_bounds", self.facts.engine.dialect.values(rows, ("boundary", "us")))
        return st.step(
            "usage_closed",
            f"SELECT l.customer_id, b.boundary FROM {lives} AS l JOIN {bounds} AS b ON l.ts < b.us "
            "AND (l.until IS NULL OR l.until >= b.us) GROUP BY l.customer_id, b.boundary HAVING max(l.alive) = 0",
            keep=True,
            says="customers whose subscriptions have all ended",
        )

    def _users(self, st: Statement, months: str, join: str, seg: str) -> str:
        """The step `usage_users` (win, seg, customer_id, was, stands): who uses when a period begins and when it ends."""
        windows, closed = self._windows(st), self._closed(st, months)
        rows = [
            (str(i), str(day_number(period.first)), str(day_number(period.after)))
            for i, period in enumerate(self.asked)
        ]
        ends = st.step("usage_ends", self.facts.engine.dialect.values(rows, ("win", "first", "after")))
        used = st.step(
            "usage_used",
            f"SELECT w.win, {seg} AS seg, m.customer_id, "
            f"max(CASE WHEN m.month >= w.k0 - {QUIET_MONTHS} AND m.month < w.k0 AND m.charged > 0 THEN 1 ELSE 0 END) AS was, "
            f"max(CASE WHEN m.month >= w.k1 - {QUIET_MONTHS} AND m.month < w.k1 AND m.charged > 0 THEN 1 ELSE 0 END) AS stands "
            f"FROM {months} AS m{join} JOIN {windows} AS w ON m.month >= w.k0 - {QUIET_MONTHS} AND m.month < w.k1 "
            f"GROUP BY w.win, m.customer_id{_also(seg)}",
            says="who used anything in the months before",
        )
        if closed is None:
            return used
        return st.step(
            "usage_users",
            "SELECT u.win, u.seg, u.customer_id, CASE WHEN a.customer_id IS NULL THEN u.was ELSE 0 END AS was, "
            f"CASE WHEN z.customer_id IS NULL THEN u.stands ELSE 0 END AS stands FROM {used} AS u "
            f"JOIN {ends} AS e ON e.win = u.win "
            f"LEFT JOIN {closed} AS a ON a.customer_id = u.customer_id AND a.boundary = e.first "
            f"LEFT JOIN {closed} AS z ON z.customer_id = u.customer_id AND z.boundary = e.after",
            says="and whose subscriptions have not all ended",
        )

    @cached_property
    def heads(self) -> dict[tuple[int, str], tuple[int, int, int]]:
        """{(period, segment): (customers at its start, at its end, lost in between)}."""
        if not self.there:
            return {}
        st, months, join, seg = self._look()
        users = self._users(st, months, join, seg)
        rows = self._rows(
            st,
            "SELECT win, seg, CAST(sum(was) AS BIGINT) AS was, CAST(sum(stands) AS BIGINT) AS stands, "
            f"CAST(sum(CASE WHEN was = 1 AND stands = 0 THEN 1 ELSE 0 END) AS BIGINT) AS lost FROM {users} GROUP BY win, seg",
        )
        return {(row["win"], row["seg"]): (row["was"], row["stands"], row["lost"]) for row in rows}

    @cached_property
    def users(self) -> list[tuple[int, str, str, bool, bool]]:
        """(period, segment, customer, at its start, at its end) of everybody who counts at either."""
        if not self.there:
            return []
        st, months, join, seg = self._look()
        users = self._users(st, months, join, seg)
        rows = self._rows(st, f"SELECT win, seg, customer_id, was, stands FROM {users} WHERE was = 1 OR stands = 1")
        return [(r["win"], r["seg"], r["customer_id"], bool(r["was"]), bool(r["stands"])) for r in rows]

    def _kept(self, st: Statement, months: str, join: str, seg: str) -> str:
        """The step `usage_kept` (win, seg, customer_id, currency, before, after) of those present at the start.

        Present is who used anything in the first of the 24 months.
        """
        windows = self._windows(st)
        return st.step(
            "usage_kept",
            f"SELECT win, seg, customer_id, currency, before, after FROM (SELECT *, max(present) OVER (PARTITION BY win, "
            f"seg, customer_id{'' if self.currency else ', currency'}) AS was FROM ("
            f"SELECT w.win, {seg} AS seg, m.customer_id, m.currency, "
            f"max(CASE WHEN m.month = w.y0 AND m.charged > 0 THEN 1 ELSE 0 END) AS present, "
            f"CAST(sum(CASE WHEN m.month < w.y0 + {YEAR} THEN m.charged ELSE 0 END) AS DECIMAL(38,0)) AS before, "
            f"CAST(sum(CASE WHEN m.month >= w.y0 + {YEAR} THEN m.charged ELSE 0 END) AS DECIMAL(38,0)) AS after "
            f"FROM {months} AS m{join} JOIN {windows} AS w ON m.month >= w.y0 AND m.month < w.k1 "
            f"GROUP BY w.win, m.customer_id, m.currency{_also(seg)}) AS k) AS p WHERE was = 1",
            says="two years of those who used anything in the first month of them",
        )

    def start_rate(self, period: Period) -> int:
        """The day whose rates count for usage NRR: that before its second twelve months."""
        return day_before(month_start(self.complete(period.after) - YEAR))

    @cached_property
    def kept(self) -> list[dict[str, Any]]:
        """Usage NRR's sums by (win, seg, currency): before, after, n; x (before^2), y (after^2), z (product) as floats."""
        if not self.there:
            return []
        st, months, join, seg = self._look()
        kept = self._kept(st, months, join, seg)
        sums = (
            "CAST(sum(before) AS DECIMAL(38,0)) AS before, CAST(sum(after) AS DECIMAL(38,0)) AS after, "
            "count(*) AS n, sum(CAST(before AS DOUBLE) * CAST(before AS DOUBLE)) AS x, "
            "sum(CAST(after AS DOUBLE) * CAST(after AS DOUBLE)) AS y, "
            "sum(CAST(before AS DOUBLE) * CAST(after AS DOUBLE)) AS z"
        )
        return self._rows(st, f"SELECT win, seg, currency, {sums} FROM {kept} GROUP BY win, seg, currency")

    @cached_property
    def kept_by_customer(self) -> list[dict[str, Any]]:
        """Usage NRR's cohort: dicts of win, seg, customer_id, currency, before, after (10^-6 minor units)."""
        if not self.there:
            return []
        st, months, join, seg = self._look()
        kept = self._kept(st, months, join, seg)
        return self._rows(st, f"SELECT win, seg, customer_id, currency, before, after FROM {kept}")

    @cached_property
    def by_customer(self) -> dict[tuple[str, str, str], dict[int, tuple[int, int]]]:
        """{(segment, currency, customer): {month: (amount, credits)}} of the months that the run-rates look at."""
        found: dict[tuple[str, str, str], dict[int, tuple[int, int]]] = defaultdict(dict)
        if self.there:
            st, months, join, seg = self._look()
            since = min(self.complete(period.first) for period in self.asked) - RUN_RATE_MONTHS
            until = max(self.complete(period.after) for period in self.asked)
            rows = self._rows(
                st,
                f"SELECT {seg} AS seg, m.currency, m.customer_id, m.month, m.amount, m.credits FROM {months} AS m{join} "
                f"WHERE m.month >= {since} AND m.month < {until}",
            )
            for row in rows:
                place = row["seg"], row["currency"], row["customer_id"]
                amount, credits = found[place].get(row["month"], (0, 0))
                found[place][row["month"]] = (amount + int(row["amount"]), credits + int(row["credits"]))
        return dict(found)

    # ----------------------------------------------------------------------------------------------------- in figures

    def unit(self, currency: str, day: int) -> int | None:
        """What a minor unit is worth in the reporting currency (or in its own); None without a rate."""
        return SCALE if self.conversion is None else self.conversion.unit(currency, day)

    def moves(self, period: Period, months: dict[int, tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
        """(month, by how much the three months' sum changed, credits) for each month that became complete in a period."""
        for k in range(self.complete(period.first), self.complete(period.after)):
            now, credits = months.get(k, (0, 0))
            gone, _ = months.get(k - RUN_RATE_MONTHS, (0, 0))
            yield k, now - gone, credits

    def balance(self, k: int, months: dict[int, tuple[int, int]]) -> int:
        """The sum of the complete months before month `k` that the run-rate looks at."""
        return sum(months.get(k - back, (0, 0))[0] for back in range(1, RUN_RATE_MONTHS + 1))

    def figures(self, *, people: bool, retention: bool) -> dict[Key, UsageFigures]:
        """By (period, segment, currency): money in each currency or in the reporting one, customers under None too.

        people, retention: also what usage churn and usage NRR need.
        """
        found: dict[Key, UsageFigures] = {}
        shown: list[str | None] = [self.currency] if self.currency else [*self.currencies]
        for i in range(len(self.asked)):
            for seg in self.segments:
                for currency in (None, *shown):
                    found[i, seg, currency] = UsageFigures()
        for (seg, native), months in self.sums.items():
            for i, period in enumerate(self.asked):
                self._money(found[i, seg, self.currency or native], period, native, months)
        if people:
            for (i, seg), (was, stands, lost) in self.heads.items():
                for currency in (None, *shown):
                    figures = found[i, seg, currency]
                    figures.customers_open, figures.customers_close, figures.lost = was, stands, lost
        if retention:
            self._retention(found)
        return found

    def _money(self, figures: UsageFigures, period: Period, native: str, months: dict[int, tuple[int, int]]) -> None:
        """Adds one native currency's run-rate: opening + change + fx = closing, at each month's own rate."""
        k0, k1 = self.complete(period.first), self.complete(period.after)
        opening, closing = self.balance(k0, months), self.balance(k1, months)
        moves = list(self.moves(period, months))
        first, last = day_before(period.first), day_before(period.after)
        wanted = [(first, opening), (last, closing), *((last_day(k), amount) for k, amount, _ in moves)]
        for day, amount in wanted:
            if amount and self.unit(native, day) is None:
                assert self.conversion is not None
                figures.reason = self.conversion.lacking(figures.reason, native, day)
        if figures.reason:
            return
        start, end = self.unit(native, first) or 0, self.unit(native, last) or 0
        third = Fraction(1, RUN_RATE_MONTHS)
        figures.opening += third * opening * start
        figures.closing += third * closing * end
        figures.fx += third * opening * (end - start)
        for k, amount, credits in moves:
            unit = self.unit(native, last_day(k)) or 0
            figures.change += third * amount * unit
            figures.fx += third * amount * (end - unit)
            figures.credits += credits * unit

    def too_young(self, period: Period) -> str:
        """Why usage NRR looks further back than usage is known; '' where it does not."""
        first = self.complete(period.after) - 2 * YEAR
        begun = min((month for sums in self.sums.values() for month in sums), default=None)
        if begun is not None and (begun <= first or begun >= self.complete(period.after)):
            return ""  # in the second case there was no usage at all
        since = "" if begun is None else f", and usage begins in {month_start(begun):%Y-%m}"
        return f"it looks back 24 months, to {month_start(first):%Y-%m}{since}"

    def _retention(self, found: dict[Key, UsageFigures]) -> None:
        for (i, _, _), figures in found.items():
            figures.retention_reason = self.too_young(self.asked[i])
        for row in self.kept:
            i, seg, native = row["win"], row["seg"], row["currency"]
            figures = found[i, seg, self.currency or native]
            day = self.start_rate(self.asked[i])
            unit = self.unit(native, day)
            if unit is None:
                assert self.conversion is not None
                figures.retention_reason = self.conversion.lacking(figures.retention_reason, native, day)
                continue
            before, after = int(row["before"]), int(row["after"])
            figures.before += before * unit
            figures.after += after * unit
            # Of a customer who uses in two currencies the two parts are taken for two: the interval alone sees it.
            figures.cohort += row["n"]
            rate = unit / SCALE
            figures.squares += row["x"] * rate**2
            figures.after_squares += row["y"] * rate**2
            figures.crossed += row["z"] * rate**2


def _also(seg: str) -> str:
    """A segment's text as one more thing to group by; a text that is the same for all is none."""
    return "" if seg == "''" else f", {seg}"


def fill(
    facts: Facts, definition: Definition, there: Gathered, currency: str | None, wanted: Sequence[Metric]
) -> list[str]:
    """Hangs the usage of each period, segment and currency on gathered figures; answers what their reader should know.

    Segments and currencies in which nothing but usage is charged are added.
    """
    from tenure.measure.figures import Figures

    book = UsageBook(facts, definition, there.asked, there.segment, currency)
    opens = {metric.opens for metric in wanted if metric.line in ("usage", "total")}
    used = book.figures(
        people=bool(opens & {"usage:customers", "usage:lost", "usage:churn"}), retention="usage:kept" in opens
    )
    if currency is None:
        told = sorted({*there.currencies, *book.currencies} - {None}, key=str)
        there.currencies[:] = [*told] or [None]
    segments = {seg for _, seg, _ in (*there.found, *used)} or {""}
    for i, period in enumerate(there.asked):
        for seg in segments:
            for money in (None, *(money for money in there.currencies if money is not None)):
                figures = there.found.get((i, seg, money))
                if figures is None:
                    figures = there.found[i, seg, money] = Figures(period, seg, money, definition=definition)
                if book.there:
                    figures.usage = used.get((i, seg, money)) or UsageFigures(retention_reason=book.too_young(period))
    there.statements += book.statements
    if not book.there:
        return []
    count = unplaced(facts)
    lines = "1 usage line tells" if count == 1 else f"{count} usage lines tell"
    return [f"{lines} no time of service and count in no month"] if count else []
