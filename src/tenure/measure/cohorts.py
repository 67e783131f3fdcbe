"""How much of each generation of customers is still there? Cohort triangles, summed in the engine.

A cohort is the period in which customers first paid; who leaves and returns stays in the first cohort, so a row may
rise again. Customers are those of section 6 of docs/explanation/movements.md, revenue is MRR in the currency asked for.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tenure.errors import BadInput
from tenure.kernel.money import exponent
from tenure.kernel.survival import Triangle, cohort_triangle
from tenure.kernel.time import Period, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, from_micros
from tenure.measure import states
from tenure.measure.currencies import SCALE, Conversion, currencies, day_before
from tenure.measure.definition import Definition
from tenure.measure.movements import movements
from tenure.measure.segments import Segment, members, resolve

MEASURES = ("customers", "revenue")


@dataclass(frozen=True)
class CohortTable:
    """One triangle: the cohorts' periods beside kernel.survival.Triangle, whose row i belongs to cohorts[i].

    measure: customers, or revenue (MRR at each age's end, major units of `currency`). sizes: who came (or the MRR they
    came with). The triangle's ages count periods of the same grain; a cell is None where it lies in the future. of:
    subscriptions, or orders (see measure.orders.order_cohorts), where a cell is who bought or what was sold then.
    """

    measure: str
    grain: str
    segment: dict[str, str | None] | None
    currency: str | None
    cohorts: tuple[Period, ...]
    triangle: Triangle
    statement: str
    of: str = "subscriptions"

    def chart(self, language: str = "en") -> Any:
        """The share of each cohort by age (altair.Chart), as a heat map."""
        from tenure.charts.cohorts import cohort_heatmap

        rows = [
            {"cohort": cohort.label, "age": age, "value": share, "size": size}
            for cohort, size, shares in zip(self.cohorts, self.triangle.sizes, self.triangle.shares, strict=True)
            for age, share in enumerate(shares)
        ]
        return cohort_heatmap(rows, "orders" if self.of == "orders" else self.measure, language, self.grain)


def history(facts: Facts) -> tuple[date, date] | None:
    """The first and last day (in the company's zone) on which anything is told of a subscription; None without any."""
    found: list[int] = []
    for table, column in (("subscription_states", "effective_at"), ("subscription_spans", "started_at")):
        if facts.has(table):
            st = facts.statement()
            raw = facts.source(st, table)
            us = facts.engine.dialect.micros(column)
            ends = f", max({facts.engine.dialect.micros('ended_at')})" if table == "subscription_spans" else ""
            sql = f"SELECT min({us}) AS a, max({us}) AS b{ends} FROM {raw} WHERE {us} < {facts.horizon}"
            row = list(facts.engine.table(st.render(sql)).to_pylist()[0].values())
            found += [min(value, facts.horizon - 1) for value in row if value is not None]
    if not found:
        return None
    tz = facts.timezone
    return tuple(from_micros(us).astimezone(tz).date() for us in (min(found), max(found)))  # type: ignore[return-value]


def nothing_known(facts: Facts) -> BadInput:
    """The error for a company without any history: nothing is loaded, or nothing of it was known then."""
    if states.tables(facts):
        return BadInput(
            f"nothing was known of any subscription before {facts.known_before:%Y-%m-%d}; ask for a later --known-on"
        )
    return BadInput("no subscriptions are loaded; load some with `tenure load subscriptions FILE`")


def cohorts(
    facts: Facts,
    definition: Definition,
    *,
    measure: str = "customers",
    grain: str = "month",
    until: date,
    by: tuple[str, ...] = (),
    currency: str | None = None,
) -> list[CohortTable]:
    """Cohort triangles over all of history up to (not including) the day `until`, one per segment.

    by: columns and traits of the customer (a customer's segment is that of its first day). currency: converts revenue;
    None keeps one triangle per currency.
    """
    if measure not in MEASURES:
        raise BadInput(f"cohorts measure {' or '.join(MEASURES)}, not '{measure}'")
    span = history(facts)
    if span is None:
        raise nothing_known(facts)
    if until <= span[0]:
        raise BadInput(f"history begins on {span[0]}; ask for cohorts up to a later day than {until}")
    every = periods(span[0], until, grain, facts.timezone)
    segment = resolve(facts, by)
    if segment is not None and (segment.of_item or segment.bands):
        raise BadInput("cohorts are split by what belongs to the customer: a column of customers or a trait")
    st = facts.statement()
    found = states.shape(facts, definition)
    moved = movements(st, facts, definition, found, every)
    seg = _first_segments(st, facts, segment, every, moved)
    born = st.step(
        "births",
        f"SELECT m.customer_id, min(m.period) AS cohort FROM {moved} AS m WHERE m.customer1 = 1 GROUP BY m.customer_id",
        says="the period in which each customer first paid",
    )
    d = facts.engine.dialect
    join, column = (
        ("", "''")
        if seg is None
        else (f" LEFT JOIN {seg} AS s ON s.customer_id = m.customer_id", "coalesce(s.seg, '')")
    )
    converts = measure == "revenue" and currency is not None and currencies(facts) != [currency]
    day = "m.day" if converts else "CAST(NULL AS BIGINT)"
    if measure == "customers":
        what = "CAST(sum(m.customer1 - m.customer0) AS DECIMAL(38,0)) AS amount, CAST(sum(CASE WHEN m.customer0 = 0 AND m.customer1 = 1 AND m.first = 1 THEN 1 ELSE 0 END) AS DECIMAL(38,0)) AS began"
        where, money = "m.closes = 1", f"CAST(NULL AS {d.text})"
    else:
        joined = "CASE WHEN m.kind = 'new' THEN m.amount ELSE 0 END"
        what = f"{d.total('m.amount')} AS amount, {d.total(joined)} AS began"
        where, money = "m.kind IS NOT NULL AND m.kind <> 'idle'", "m.currency"
    sql = st.render(
        f"SELECT b.cohort, m.period, {day} AS day, {money} AS currency, {column} AS seg, {what} FROM {moved} AS m "
        f"JOIN {born} AS b ON b.customer_id = m.customer_id{join} WHERE {where} "
        f"GROUP BY b.cohort, m.period, {day}, {money}, {column} ORDER BY 1, 2, 3, 4, 5"
    )
    rows = facts.engine.table(sql).to_pylist()
    conversion = Conversion.of(facts, currency) if converts and currency else None
    tables = []
    keys = sorted({(row["seg"], None if conversion else row["currency"]) for row in rows}, key=str)
    for seg_value, native in keys:
        mine = [row for row in rows if row["seg"] == seg_value and native in (None, row["currency"])]
        shown = currency if conversion else native
        tables.append(
            _table(mine, every, measure, grain, segment.read(seg_value) if segment else None, shown, conversion, sql)
        )
    return tables


def _first_segments(
    st: Statement, facts: Facts, segment: Segment | None, every: list[Period], moved: str
) -> str | None:
    if segment is None:
        return None
    known = members(st, facts, segment, every, moved, None)
    born = f"SELECT customer_id, min(period) AS cohort FROM {moved} WHERE customer1 = 1 GROUP BY customer_id"
    first = st.step("first_periods", born)
    return st.step(
        "first_segments",
        f"SELECT k.customer_id, k.seg FROM {known} AS k JOIN {first} AS f ON f.customer_id = k.customer_id "
        "AND f.cohort BETWEEN k.first_slice AND k.last_slice",
    )


def _table(
    rows: list[dict[str, object]],
    every: list[Period],
    measure: str,
    grain: str,
    segment: dict[str, str | None] | None,
    currency: str | None,
    conversion: Conversion | None,
    sql: str,
) -> CohortTable:
    """Running sums of the changes; converted revenue stands at the rate of each period's last day."""
    changes: dict[int, dict[str | None, dict[int, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    sizes: dict[int, int] = defaultdict(int)
    for row in rows:
        cohort, period, native = int(str(row["cohort"])), int(str(row["period"])), row["currency"]
        changes[cohort][native][period] += int(str(row["amount"]))  # type: ignore[index]
        began = int(str(row["began"]))
        if conversion is not None and began:
            began = began * conversion.need(str(native), int(str(row["day"])))
        sizes[cohort] += began
    cells = []
    scale = _scale(measure, currency, conversion)
    for cohort, by_currency in changes.items():
        for native, by_period in by_currency.items():
            balance = 0
            for period in range(cohort, len(every)):
                balance += by_period.get(period, 0)
                unit = 1
                if conversion is not None and balance:
                    unit = conversion.need(str(native), day_before(every[period].after))
                cells.append((cohort, period - cohort, float(balance * unit) / scale))
    triangle = cohort_triangle(cells, last=len(every) - 1, sizes={c: float(s) / scale for c, s in sizes.items()})
    named = tuple(every[cohort] for cohort in triangle.cohorts)
    return CohortTable(measure, grain, segment, currency, named, triangle, sql)


def _scale(measure: str, currency: str | None, conversion: Conversion | None) -> float:
    if measure == "customers" or currency is None:
        return 1.0
    return float(Decimal(1_000_000 * 10 ** exponent(currency)) * (SCALE if conversion is not None else 1))
