"""How do rows that only mean something together become spans? Months of a spreadsheet, movements of an export.

Both take checked rows and give spans of subscription_spans, each with `grp`, the customer whose rows it was made of,
and further rows that are wrong in the light of the others. What is held back of one customer's months is held back
whole: a hole would read as churn.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tenure.connect.files.checking import month_column
from tenure.connect.files.headers import Binding, month_of
from tenure.connect.files.shapes import MOVEMENTS
from tenure.kernel.time import add_months, midnight

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PARTS = ("subscription_id", "plan_id", "product_id")


def group_months(con: DuckDBPyConnection, binding: Binding, zone: ZoneInfo, target: Path) -> None:
    """Rows of `good` (customer x month x amount, long or wide) as one span per stretch of one amount, in `target`.

    A blank, a zero or a missing month ends a stretch; one that reaches the last month of the file goes on.
    """
    parts = [name for name in _PARTS if name in binding.inputs]
    keep = ", ".join(["at_line AS line", "customer_id", "currency", *parts])
    con.execute("CREATE OR REPLACE TEMP TABLE calendar (month DATE, starts TIMESTAMPTZ, ends TIMESTAMPTZ)")
    if binding.months:
        cells = ", ".join(
            f"{{'month': DATE '{month}', 'amount_minor': {month_column(month)}_minor}}" for month in binding.months
        )
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE cells AS SELECT {keep}, unnest([{cells}], recursive := true) FROM good"
        )
        months = set(binding.months)
    else:
        spellings = [row[0] for row in con.execute("SELECT DISTINCT month FROM good").fetchall()]
        read = {spelling: month_of(spelling) for spelling in spellings}
        con.execute("CREATE OR REPLACE TEMP TABLE spellings (spelling VARCHAR, first DATE)")
        if read:
            con.executemany("INSERT INTO spellings VALUES (?, ?)", list(read.items()))
        con.execute(
            "INSERT INTO bad SELECT at_line, 'month', 'is not a month; write it like 2026-01', month "
            "FROM good JOIN spellings ON spelling = month WHERE first IS NULL"
        )
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE cells AS SELECT {keep}, first AS month, amount_minor "
            "FROM good JOIN spellings ON spelling = good.month WHERE first IS NOT NULL"
        )
        months = {first for first in read.values() if first is not None}
    _calendar(con, months, zone)
    item = ["coalesce(subscription_id, customer_id)" if "subscription_id" in parts else "customer_id"]
    item += [name for name in ("plan_id", "product_id") if name in parts]
    if binding.inputs["currency"].place:
        item.append("currency")
    items = f"concat_ws(':', {', '.join(item)})" if len(item) > 1 else item[0]
    con.execute(f"CREATE OR REPLACE TEMP TABLE cells AS SELECT *, {items} AS item FROM cells")
    # Two amounts of one item in one month cannot both be true; the same one twice is said twice.
    con.execute(
        "INSERT INTO bad SELECT DISTINCT line, 'amount', 'is one of two different amounts of one customer and month', "
        "NULL FROM cells SEMI JOIN (SELECT item, month FROM cells GROUP BY item, month "
        "HAVING min(coalesce(amount_minor, 0)) <> max(coalesce(amount_minor, 0))) USING (item, month)"
    )
    _hold_back(con)
    con.execute("DELETE FROM cells WHERE line IN (SELECT line FROM bad)")
    last = max(months, default=date(1900, 1, 1))
    subscription = "coalesce(subscription_id, customer_id)" if "subscription_id" in parts else "customer_id"
    attributes = ", ".join(f"any_value({name}) AS {name}" for name in ("plan_id", "product_id") if name in parts)
    attributes = attributes and ", " + attributes
    con.execute(
        f"""
COPY (
WITH months AS (
    SELECT item, month, any_value(amount_minor) AS amount_minor, any_value(currency) AS currency,
           any_value(customer_id) AS customer_id, any_value({subscription}) AS subscription_id, min(line) AS line
           {attributes}
    FROM cells GROUP BY item, month HAVING any_value(amount_minor) > 0
), stretches AS (
    SELECT *, coalesce(lag(month) OVER w + INTERVAL 1 MONTH = month AND lag(amount_minor) OVER w = amount_minor
           AND lag(currency) OVER w = currency, false) AS goes_on
    FROM months WINDOW w AS (PARTITION BY item ORDER BY month)
), numbered AS (
    SELECT *, sum(CASE WHEN goes_on THEN 0 ELSE 1 END) OVER (PARTITION BY item ORDER BY month) AS stretch
    FROM stretches
), spans AS (
    SELECT item AS item_id, stretch, min(month) AS first, max(month) AS last, any_value(amount_minor) AS amount_minor,
           any_value(currency) AS currency, any_value(customer_id) AS customer_id, any_value(subscription_id) AS
           subscription_id, min(line) AS line {attributes}
    FROM numbered GROUP BY item, stretch
)
SELECT subscription_id, item_id, f.starts AS started_at,
       CASE WHEN last < DATE '{last}' THEN l.ends END AS ended_at, customer_id, 'active' AS status,
       'month' AS "interval", 1::BIGINT AS interval_count, amount_minor, currency
       {"".join(f", {name}" for name in ("plan_id", "product_id") if name in parts)}, line AS at_line, customer_id AS grp
FROM spans JOIN calendar f ON f.month = first JOIN calendar l ON l.month = last
) TO '{target}' (FORMAT parquet)
"""
    )


def _calendar(con: DuckDBPyConnection, months: set[date], zone: ZoneInfo) -> None:
    rows = [(month, midnight(month, zone), midnight(add_months(month, 1), zone)) for month in sorted(months)]
    if rows:
        con.executemany("INSERT INTO calendar VALUES (?, ?, ?)", rows)


def _hold_back(con: DuckDBPyConnection) -> None:
    """Add the other rows of customers of whom a row is bad."""
    con.execute(
        "INSERT INTO bad SELECT g.at_line, 'customer_id', "
        "'is held back with another row of the same customer: a missing month would read as churn', g.customer_id "
        "FROM checked g WHERE g.problem = 0 AND g.at_line NOT IN (SELECT line FROM bad) AND g.customer_id IN "
        "(SELECT c.customer_id FROM checked c WHERE c.customer_id IS NOT NULL AND c.at_line IN (SELECT line FROM bad))"
    )


# --------------------------------------------------------------------------------------------------------- movements


def group_movements(con: DuckDBPyConnection, binding: Binding, target: Path) -> None:
    """Rows of `good` (a change of MRR each) added up in time order; impossible ones go to `bad`, the rest to spans.

    Impossible is: a first movement that is not new, a second new, an expansion that shrinks or a contraction that
    grows, a churn that leaves something or another kind that leaves nothing, MRR below zero, a balance that is not
    the sum of the changes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    have = [name for name in ("type", "delta_minor", "mrr_minor", *_PARTS) if _has(binding, name)]
    shown = [name if name in have else f"NULL AS {name}" for name in ("type", "delta_minor", "mrr_minor", *_PARTS)]
    query = (
        f"FROM (SELECT customer_id, currency, epoch_us(date) AS moment, at_line AS line, {', '.join(shown)} FROM good) "
        "ORDER BY customer_id, coalesce(subscription_id, ''), currency, moment, line"
    )
    schema = pa.schema(
        [(name, pa.string()) for name in ("subscription_id", "item_id")]
        + [(name, pa.timestamp("us", "UTC")) for name in ("started_at", "ended_at")]
        + [(name, pa.string()) for name in ("customer_id", "status", "interval")]
        + [("interval_count", pa.int64()), ("amount_minor", pa.int64())]
        + [(name, pa.string()) for name in ("currency", "plan_id", "product_id")]
        + [("at_line", pa.int64()), ("grp", pa.string())]
    )
    bad: list[tuple[int, str, str, str | None]] = []
    several = bool(binding.inputs["currency"].place)
    with pq.ParquetWriter(target, schema) as writer:
        spans: list[dict[str, Any]] = []
        for span in _spans(con, query, several, bad):
            spans.append(span)
            if len(spans) >= 50_000:
                writer.write_table(pa.Table.from_pylist(spans, schema))
                spans = []
        writer.write_table(pa.Table.from_pylist(spans, schema))
    if bad:
        con.executemany("INSERT INTO bad VALUES (?, ?, ?, ?)", bad)


def _has(binding: Binding, name: str) -> bool:
    return name in binding.inputs or name.removesuffix("_minor") in binding.inputs


def _spans(
    con: DuckDBPyConnection, query: str, several: bool, bad: list[tuple[int, str, str, str | None]]
) -> Iterator[dict[str, Any]]:
    cursor = con.execute(query)
    owner: tuple[str, str, str] | None = None
    open_span: dict[str, Any] | None = None
    balance, ever, before_at = 0, False, None
    while rows := cursor.fetchmany(20_000):
        for customer, currency, at, line, kind, delta, after, subscription, plan, product in rows:
            key = (customer, subscription or "", currency)
            if key != owner:
                if open_span is not None:
                    yield open_span
                owner, open_span, balance, ever, before_at = key, None, 0, False, None
            reason = _impossible(kind, delta, after, balance, ever)
            if reason:
                bad.append((line, reason[0], reason[1], kind))
                continue
            balance = balance + delta if delta is not None else after
            ever = True
            moment = datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000)
            if open_span is not None:
                if at == before_at:
                    line = open_span["at_line"]  # both movements happen at once: only what comes of them is a span
                else:
                    open_span["ended_at"] = moment
                    yield open_span
            open_span = None
            before_at = at
            if balance > 0:
                item = subscription or customer
                open_span = {
                    "subscription_id": item,
                    "item_id": f"{item}:{currency}" if several else item,
                    "started_at": moment,
                    "ended_at": None,
                    "customer_id": customer,
                    "status": "active",
                    "interval": "month",
                    "interval_count": 1,
                    "amount_minor": balance,
                    "currency": currency,
                    "plan_id": plan,
                    "product_id": product,
                    "at_line": line,
                    "grp": customer,
                }
    if open_span is not None:
        yield open_span


def _impossible(
    kind: str | None, delta: int | None, after: int | None, balance: int, ever: bool
) -> tuple[str, str] | None:
    """What is impossible about a movement, as (column, reason), given the MRR before it."""
    if delta is None and after is None:
        return "delta", "is missing, and so is the MRR afterwards"
    change = delta if delta is not None else (after or 0) - balance
    result = balance + change
    if after is not None and delta is not None and after != result:
        return "mrr", "is not the sum of the changes so far"
    if result < 0:
        return "delta", "takes the customer's MRR below zero"
    if kind is None:
        return None
    name = MOVEMENTS.get(kind.strip().lower().replace("-", "_"))
    if name is None:
        return "type", "is none of new_biz, expansion, contraction, churn, reactivation"
    if name == "new" and (balance > 0 or ever or change <= 0):
        return "type", "is new, but the customer was there before or brings nothing"
    if name == "reactivation" and (balance > 0 or not ever or change <= 0):
        return "type", "is a reactivation, but the customer had not left or brings nothing"
    if name == "expansion" and (balance <= 0 or change <= 0):
        return "type", "is an expansion, but MRR does not grow from something above zero"
    if name == "contraction" and (balance <= 0 or change >= 0 or result == 0):
        return "type", "is a contraction, but MRR does not shrink to something above zero"
    if name == "churn" and (balance <= 0 or result != 0):
        return "type", "is a churn, but MRR does not go from above zero to zero"
    return None
