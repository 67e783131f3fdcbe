"""What do customers without a contract do? Revenue, buyers, first-time buyers and who comes back, from orders.

A sale is a row with an amount of 0 or more, a return one below 0 (or of kind `return`); revenue is net of returns. Rows
without a customer count in revenue and in nothing else. A cohort is the period of a customer's first sale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from tenure.errors import BadInput
from tenure.kernel.money import to_major
from tenure.kernel.survival import Triangle, cohort_triangle
from tenure.kernel.time import Period, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, from_micros
from tenure.measure.movements import calendar

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


def _sales(st: Statement, facts: Facts) -> str:
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
    row = facts.engine.table(st.render(f"SELECT min(ts) AS a, max(ts) AS b FROM {_sales(st, facts)}")).to_pylist()[0]
    if row["a"] is None:
        return None
    tz = facts.timezone
    return from_micros(row["a"]).astimezone(tz).date(), from_micros(row["b"]).astimezone(tz).date()


def order_history(facts: Facts, *, until: date | None = None, grain: str = "month") -> list[OrderHistory]:
    """What orders say per period since the first one, up to (not including) the day `until`; one per currency."""
    days = span(facts)
    if days is None:
        raise BadInput(
            "no orders are loaded; load some with `tenure load orders FILE` or `tenure load order_lines FILE`"
        )
    after = until or days[1] + timedelta(days=1)
    if after <= days[0]:
        raise BadInput(f"orders begin on {days[0]}; ask for a later day than {after}")
    every = periods(days[0], after, grain, facts.timezone)
    st = facts.statement()
    sales = _sales(st, facts)
    d = facts.engine.dialect
    dated = st.step(
        "dated_sales",
        f"SELECT s.*, {d.local_day('ts', facts.timezone, _OLDEST, facts.known_before + timedelta(days=1))} AS day FROM {sales} AS s",
    )
    calendar(st, facts, every)
    placed = st.step(
        "placed_sales", f"SELECT s.*, c.period FROM {dated} AS s JOIN calendar AS c ON c.day = s.day", keep=True
    )
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
