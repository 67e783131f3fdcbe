"""What do customers without a contract do? Revenue, buyers, first-time buyers and who comes back, from orders.

A sale is a row with an amount of 0 or more, a return one below 0 (or of kind `return`); revenue is net of returns. Rows
without a customer count in revenue and in nothing else. A cohort is the period of a customer's first sale.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from tenure.errors import BadInput
from tenure.kernel.money import exponent, to_major
from tenure.kernel.survival import Triangle, cohort_triangle
from tenure.kernel.time import Period, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, from_day_number, from_micros
from tenure.measure.cohorts import CohortTable
from tenure.measure.currencies import SCALE, Conversion
from tenure.measure.movements import calendar
from tenure.measure.segments import members, resolve

MEASURES = ("customers", "revenue")
# If nobody new came in a stretch in which so small a chance says somebody should have, new customers are missing.
NOBODY_NEW = 0.01
_NOBODY_NEW_DAYS = 28
_OLDEST = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class OrderFigures:
    """One period in one currency: revenue net of returns (major units), returns (positive), lines, buyers."""

    period: Period
    currency: str
    revenue: Decimal
    returns: Decimal
    orders: int
    customers: int
    new_customers: int


@dataclass(frozen=True)
class OrderHistory:
    """Everything that orders say of a stretch of time, in one currency.

    customers: all who ever bought or returned; buyers: who bought at least once; total: net revenue in major units.
    repeat: the cohort triangle of buyers (a cell is who of the cohort bought in that period). revenue: net revenue of
    each cohort in each period, {(cohort, period): major units}, cohorts and periods as indices of `periods`.
    """

    currency: str
    periods: tuple[Period, ...]
    figures: tuple[OrderFigures, ...]
    customers: int
    buyers: int
    total: Decimal
    repeat: Triangle
    revenue: dict[tuple[int, int], Decimal]
    statement: str


def has_orders(facts: Facts) -> bool:
    """Whether any order is there."""
    return facts.has("order_lines") or facts.has("orders")


def sales(st: Statement, facts: Facts) -> str:
    """A step with every sale and return: customer_id, us, order_id, minor, currency, returned. Lines win over orders."""
    columns = ("customer_id", "ordered_at", "order_id", "amount_minor", "currency", "kind")
    parts = []
    if facts.has("order_lines"):
        lines = facts.latest(st, "order_lines", columns)
        parts.append(f"SELECT {', '.join(columns)} FROM {lines}")
    if facts.has("orders"):
        whole = facts.latest(st, "orders", columns)
        sql = f"SELECT {', '.join(columns)} FROM {whole}"
        if parts:
            told = st.step(
                "orders_with_lines", f"SELECT DISTINCT order_id AS told FROM {facts.latest(st, 'order_lines', columns)}"
            )
            sql = f"SELECT {', '.join('o.' + c for c in columns)} FROM {whole} AS o LEFT JOIN {told} AS t ON t.told = o.order_id WHERE t.told IS NULL"
        parts.append(sql)
    step = st.step("told_orders", "\nUNION ALL\n".join(parts), says="sales and returns")
    counted = facts.counted(st, step, columns, "counted_orders")
    return st.step(
        "sales",
        "SELECT customer_id, ordered_at AS ts, order_id, coalesce(amount_minor, 0) AS minor, currency, "
        "CASE WHEN coalesce(kind = 'return', FALSE) OR coalesce(amount_minor, 0) < 0 THEN 1 ELSE 0 END AS returned "
        f"FROM {counted} WHERE ordered_at < {facts.horizon}",
    )


def span(facts: Facts) -> tuple[date, date] | None:
    """The first and the last day of any order, in the company's zone."""
    if not has_orders(facts):
        return None
    st = facts.statement()
    row = facts.engine.table(st.render(f"SELECT min(ts) AS a, max(ts) AS b FROM {sales(st, facts)}")).to_pylist()[0]
    if row["a"] is None:
        return None
    tz = facts.timezone
    return from_micros(row["a"]).astimezone(tz).date(), from_micros(row["b"]).astimezone(tz).date()


def dated(st: Statement, facts: Facts) -> str:
    """A step with every sale and return and its day, in the company's zone."""
    until = facts.known_before + timedelta(days=1)
    day = facts.engine.dialect.local_day("ts", facts.timezone, _OLDEST, until)
    return st.step("dated_sales", f"SELECT s.*, {day} AS day FROM {sales(st, facts)} AS s")


def purchase_days(st: Statement, facts: Facts) -> str:
    """A step with the days on which each customer bought: customer_id, day; a return is no purchase."""
    return st.step(
        "purchase_days",
        f"SELECT DISTINCT customer_id, day FROM {dated(st, facts)} WHERE customer_id IS NOT NULL AND returned = 0",
        keep=True,
        says="the days on which each customer bought",
    )


def _placed(st: Statement, facts: Facts, every: Sequence[Period]) -> str:
    """A step with the sales, the day of each and the index of its period."""
    told = dated(st, facts)
    calendar(st, facts, every)
    return st.step(
        "placed_sales", f"SELECT s.*, c.period FROM {told} AS s JOIN calendar AS c ON c.day = s.day", keep=True
    )


def _every(facts: Facts, until: date | None, grain: str) -> list[Period]:
    """The periods from the first order on, up to (not including) the day `until`."""
    days = span(facts)
    if days is None:
        raise BadInput(
            "no orders are loaded; load some with `tenure load orders FILE` or `tenure load order_lines FILE`"
        )
    after = until or days[1] + timedelta(days=1)
    if after <= days[0]:
        raise BadInput(f"orders begin on {days[0]}; ask for a later day than {after}")
    return periods(days[0], after, grain, facts.timezone)


def order_cohorts(
    facts: Facts,
    *,
    measure: str = "customers",
    grain: str = "month",
    until: date | None = None,
    by: tuple[str, ...] = (),
    currency: str | None = None,
) -> list[CohortTable]:
    """Who of each generation buys again? Cohort triangles of orders, one per segment (and currency, for revenue).

    A cohort is the period of the first sale; a cell is who of it bought in that period (customers), or net revenue of
    it in that period (revenue, converted at each day's rate where `currency` is given; what came back before the first
    sale was bought before history). by: what belongs to the customer, as it was at the first sale.
    """
    if measure not in MEASURES:
        raise BadInput(f"cohorts measure {' or '.join(MEASURES)}, not '{measure}'")
    every = _every(facts, until, grain)
    segment = resolve(facts, by)
    if segment is not None and (segment.of_item or segment.bands):
        raise BadInput("cohorts of orders are split by what belongs to the customer: a column of customers or a trait")
    st, d = facts.statement(), facts.engine.dialect
    placed = _placed(st, facts, every)
    first = st.step(
        "first_sales",
        "SELECT customer_id, min(period) AS cohort, min(ts) AS ts FROM "
        f"{placed} WHERE customer_id IS NOT NULL AND returned = 0 GROUP BY customer_id",
        keep=True,
        says="the period in which each customer first bought",
    )
    join, seg = "", "''"
    if segment is not None:
        # Buying first is joining: who belongs where is asked of that moment.
        joined = st.step(
            "joined_by_buying",
            "SELECT customer_id, cohort AS period, ts, 0 AS customer0, 1 AS customer1, 1 AS closes, "
            f"CAST(NULL AS {'STRING' if d.spark else 'VARCHAR'}) AS kind, CAST(0 AS BIGINT) AS amount FROM {first}",
        )
        known = members(st, facts, segment, every, joined, None)
        join = f" LEFT JOIN {known} AS s ON s.customer_id = f.customer_id AND f.cohort BETWEEN s.first_slice AND s.last_slice"
        seg = "coalesce(s.seg, '')"
    both = f"{placed} AS p JOIN {first} AS f ON f.customer_id = p.customer_id{join}"
    if measure == "customers":
        keys = f"f.cohort, p.period, {seg}"
        sql = st.render(
            f"SELECT f.cohort, p.period, {seg} AS seg, count(DISTINCT p.customer_id) AS n FROM {both} WHERE p.returned = 0 "
            f"GROUP BY {keys} ORDER BY 1, 2, 3"
        )
    else:
        keys = f"f.cohort, p.period, p.day, p.currency, {seg}"
        sql = st.render(
            f"SELECT f.cohort, p.period, p.day, p.currency, {seg} AS seg, {d.total('p.minor')} AS minor FROM {both} "
            f"WHERE p.period >= f.cohort GROUP BY {keys} ORDER BY 1, 2, 3, 4, 5"
        )
    rows = facts.engine.table(sql).to_pylist()
    conversion = Conversion.of(facts, currency) if currency is not None and measure == "revenue" else None
    cells: dict[tuple[str, str | None], list[tuple[int, int, float]]] = defaultdict(list)
    for row in rows:
        cohort, age = row["cohort"], row["period"] - row["cohort"]
        if measure == "customers":
            cells[row["seg"], None].append((cohort, age, row["n"]))
        elif conversion is None:
            cells[row["seg"], row["currency"]].append(
                (cohort, age, float(to_major(int(row["minor"]), row["currency"])))
            )
        else:
            worth = int(row["minor"]) * conversion.need(row["currency"], row["day"])
            cells[row["seg"], currency].append((cohort, age, worth / (SCALE * 10 ** exponent(conversion.reporting))))
    tables = []
    for (name, money), mine in sorted(cells.items(), key=str):
        triangle = cohort_triangle(mine, last=len(every) - 1)
        named = tuple(every[cohort] for cohort in triangle.cohorts)
        where = segment.read(name) if segment else None
        tables.append(CohortTable(measure, grain, where, money, named, triangle, sql, of="orders"))
    return tables


def nobody_new_since(facts: Facts, until: date | None = None) -> date | None:
    """The last day on which anybody bought for the first time, if after it new customers are missing; else None.

    Missing: at the pace before it, the chance that nobody new comes in the rest of the history is under 1 %. A panel of
    chosen customers looks so, and all its numbers are of people who grow older.
    """
    every = _every(facts, until, "day")
    st = facts.statement()
    placed = _placed(st, facts, every)
    first = st.step(
        "first_days",
        f"SELECT customer_id, min(day) AS day FROM {placed} WHERE customer_id IS NOT NULL AND returned = 0 GROUP BY customer_id",
    )
    sql = st.render(
        f"SELECT count(*) AS n, min(day) AS began, max(day) AS ended, (SELECT max(day) FROM {placed}) AS last FROM {first}"
    )
    row = facts.engine.table(sql).to_pylist()[0]
    if not row["n"]:
        return None
    silent, pace = row["last"] - row["ended"], row["n"] / (row["ended"] - row["began"] + 1)
    missing = silent >= _NOBODY_NEW_DAYS and math.exp(-pace * silent) < NOBODY_NEW
    return from_day_number(row["ended"]) if missing else None


def order_history(facts: Facts, *, until: date | None = None, grain: str = "month") -> list[OrderHistory]:
    """What orders say per period since the first one, up to (not including) the day `until`; one per currency."""
    every = _every(facts, until, grain)
    st, d = facts.statement(), facts.engine.dialect
    placed = _placed(st, facts, every)
    first = st.step(
        "first_sales",
        f"SELECT customer_id, currency, min(CASE WHEN returned = 0 THEN period END) AS cohort, min(period) AS seen FROM {placed} "
        "WHERE customer_id IS NOT NULL GROUP BY customer_id, currency",
        keep=True,
        says="the period in which each customer first bought",
    )
    bought = st.step(
        "buyers",
        f"SELECT p.currency, p.period, f.cohort, count(DISTINCT p.customer_id) AS n FROM {placed} AS p JOIN {first} AS f "
        "ON f.customer_id = p.customer_id AND f.currency = p.currency WHERE p.returned = 0 GROUP BY p.currency, p.period, f.cohort",
    )
    money = st.step(
        "cohort_revenue",
        f"SELECT p.currency, p.period, coalesce(f.cohort, f.seen, -1) AS cohort, {d.total('p.minor')} AS minor FROM {placed} AS p "
        "LEFT JOIN " + first + " AS f ON f.customer_id = p.customer_id AND f.currency = p.currency "
        "GROUP BY p.currency, p.period, coalesce(f.cohort, f.seen, -1)",
    )
    sums = st.step(
        "period_sums",
        f"SELECT currency, period, {d.total('minor')} AS minor, {d.total('CASE WHEN returned = 1 THEN -minor ELSE 0 END')} AS returned, "
        "count(DISTINCT CASE WHEN returned = 0 THEN order_id END) AS orders, "
        "count(DISTINCT CASE WHEN returned = 0 THEN customer_id END) AS customers "
        f"FROM {placed} GROUP BY currency, period",
    )
    zero = "CAST(0 AS DECIMAL(38,0))"
    sql = st.render(
        f"SELECT 'sums' AS what, currency, period, -1 AS cohort, minor AS a, returned AS b, orders AS n, customers AS m FROM {sums}\n"
        f"UNION ALL SELECT 'bought', currency, period, cohort, {zero}, {zero}, n, 0 FROM {bought}\n"
        f"UNION ALL SELECT 'money', currency, period, cohort, minor, {zero}, 0, 0 FROM {money}\n"
        f"UNION ALL SELECT 'customers', currency, 0, 0, {zero}, {zero}, count(*), count(cohort) FROM {first} GROUP BY currency\n"
        "ORDER BY 1, 2, 3, 4"
    )
    rows = facts.engine.table(sql).to_pylist()
    return [_history(rows, currency, every, sql) for currency in sorted({row["currency"] for row in rows})]


def _history(rows: Sequence[dict[str, object]], currency: str, every: list[Period], sql: str) -> OrderHistory:
    by: dict[str, list[dict[str, int]]] = defaultdict(list)
    for row in rows:
        if row["currency"] == currency:
            by[str(row["what"])].append({k: int(str(v)) for k, v in row.items() if k not in ("what", "currency")})
    joined = {row["cohort"]: row["n"] for row in by["bought"] if row["cohort"] == row["period"]}
    figures = tuple(
        OrderFigures(
            every[row["period"]],
            currency,
            to_major(row["a"], currency),
            to_major(row["b"], currency),
            row["n"],
            row["m"],
            joined.get(row["period"], 0),
        )
        for row in by["sums"]
    )
    repeat = cohort_triangle(
        [(row["cohort"], row["period"] - row["cohort"], row["n"]) for row in by["bought"]], last=len(every) - 1
    )
    revenue = {(row["cohort"], row["period"]): to_major(row["a"], currency) for row in by["money"]}
    total = sum((row["a"] for row in by["sums"]), 0)
    customers, buyers = (by["customers"][0]["n"], by["customers"][0]["m"]) if by["customers"] else (0, 0)
    return OrderHistory(
        currency, tuple(every), figures, customers, buyers, to_major(total, currency), repeat, revenue, sql
    )
