"""What has become known since a figure was published, and whom does it change? Rows, customers, figures.

A figure of a month that is over changes only because rows were learned later: late ones (the first of their key),
corrections (a later version of a known key) and retractions. Two looks at the same facts, one of then and one of now,
show which customers' part in a figure they changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tenure.kernel.time import Period, midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number, from_day_number, from_micros, micros
from tenure.lake.tables import TABLES, Column
from tenure.measure import states
from tenure.measure.answers import Answer, Question
from tenure.measure.catalogue import CATALOGUE, Metric
from tenure.measure.currencies import currencies
from tenure.measure.definition import Definition
from tenure.measure.movements import movements
from tenure.measure.openings import Opening, recipe
from tenure.measure.totals import Look

if TYPE_CHECKING:
    import pyarrow as pa

# Of customers only these columns change a number.
_OF_CUSTOMERS = ("merged_into", "is_test")
_OLDEST_VERSION = -(2**63)


@dataclass(frozen=True, slots=True)
class Learned:
    """One row that was learned late, and says of some days something else than was known of its key before.

    what: late (the first version of its key), corrected or retracted. columns: those in which a corrected row differs
    from the version before. customers: whose row it is, and whose it was.
    """

    table: str
    key: tuple[tuple[str, str], ...]
    customers: tuple[str, ...]
    what: str
    columns: tuple[str, ...]
    recorded_at: datetime
    loaded_at: datetime
    learned_at: datetime

    def as_json(self) -> dict[str, Any]:
        """The row as the command line's JSON has it."""
        return {
            "table": self.table,
            "key": dict(self.key),
            "customer_id": self.customers[0] if self.customers else None,
            "what": self.what,
            "columns": list(self.columns),
            "recorded_at": self.recorded_at,
            "loaded_at": self.loaded_at,
            "learned_at": self.learned_at,
        }


def balances(facts: Facts, definition: Definition, first: date, after: date) -> pa.Table:
    """What each customer pays before the day `after`, and whether it is a customer then, in the order of customers.

    Returns an Arrow table: customer_id, currency (NULL with one that never paid), mrr_micro (text of a whole number of
    10^-6 minor units), is_customer. Who neither pays nor is a customer has no row.
    """
    import pyarrow as pa

    tz = facts.timezone
    one = [Period(midnight(first, tz), midnight(after, tz), first, after, "month")]
    st = facts.statement()
    shape = states.shape(facts, definition)
    moved = movements(st, facts, definition, shape, one)
    known = currencies(facts, definition.source)
    look = Look(st, facts, shape, None, moved, one, known[0] if len(known) == 1 else None)
    d = facts.engine.dialect
    own = st.step(
        "closing_balances",
        f"SELECT customer_id, {look.currency} AS currency, "
        f"{d.total(f'CASE WHEN {look.real} THEN amount ELSE 0 END')} AS mrr_micro, "
        "CAST(sum(closes * (customer1 - customer0)) AS INT) AS turned "
        f"FROM {moved} GROUP BY customer_id, {look.currency}",
    )
    whose = st.step(
        "closing_customers",
        "SELECT customer_id, currency, mrr_micro, sum(turned) OVER (PARTITION BY customer_id) > 0 AS is_customer "
        f"FROM {own}",
    )
    text = d.text
    found = facts.engine.table(
        st.render(
            f"SELECT customer_id, currency, CAST(CAST(mrr_micro AS DECIMAL(38,0)) AS {text}) AS mrr_micro, is_customer "
            f"FROM {whose} WHERE mrr_micro <> 0 OR is_customer ORDER BY customer_id, currency"
        )
    )
    fields = [(name, pa.string()) for name in ("customer_id", "currency", "mrr_micro")] + [("is_customer", pa.bool_())]
    return found.cast(pa.schema(fields)).combine_chunks()


def compared(facts: Facts, then: pa.Table, now: pa.Table) -> list[dict[str, Any]]:
    """The customers whose balances differ between two tables of `balances`, in the order of customers.

    Returns dicts: customer_id, currency, then, now (whole 10^-6 minor units), was_customer, is_customer.
    """
    engine = facts.engine
    a, b = engine.lend("balances_then", then), engine.lend("balances_now", now)
    number = "CAST(coalesce({}.mrr_micro, '0') AS DECIMAL(38,0))"
    same = "b.customer_id = a.customer_id AND coalesce(b.currency, '') = coalesce(a.currency, '')"
    sql = (
        "SELECT coalesce(a.customer_id, b.customer_id) AS customer_id, coalesce(a.currency, b.currency) AS currency, "
        f"{number.format('a')} AS was, {number.format('b')} AS stands, "
        "coalesce(a.is_customer, FALSE) AS was_customer, coalesce(b.is_customer, FALSE) AS is_customer "
        f"FROM {a} AS a FULL OUTER JOIN {b} AS b ON {same}"
    )
    differing = f"SELECT * FROM ({sql}) AS t WHERE was <> stands OR was_customer <> is_customer"
    return [
        {
            "customer_id": row["customer_id"],
            "currency": row["currency"],
            "then": int(row["was"]),
            "now": int(row["stands"]),
            "was_customer": row["was_customer"],
            "is_customer": row["is_customer"],
        }
        for row in engine.table(f"{differing} ORDER BY customer_id, currency").to_pylist()
    ]


# ------------------------------------------------------------------------------------------------------ rows learned


def learned(
    facts: Facts, definition: Definition, *, since: datetime, after: date, loaded_since: datetime | None = None
) -> list[Learned]:
    """The rows that were learned since an instant and say something else of the days before `after`.

    Learned is what was recorded at or after `since`, and with `loaded_since` also what came into the lake then though
    it was recorded before. What a row says of later days (an end next month, say) changes no figure of these.
    """
    found: list[Learned] = []
    for table in _told_by(facts, definition):
        if facts.has(table):
            found += _learned_of(facts, table, since, loaded_since, None if _whole(table, definition) else after, after)
    return sorted(found, key=lambda row: (row.learned_at, row.table, row.key))


def _told_by(facts: Facts, definition: Definition) -> tuple[str, ...]:
    """The tables that figures of this definition are made from."""
    told = ["subscription_states", "subscription_spans"] if definition.source == "states" else ["invoice_lines"]
    if definition.first_payment == "needed":
        told += ["invoices", "payments"]
    return (*told, "customers", "rates")


def _whole(table: str, definition: Definition) -> bool:
    """Whether every row of the table may change a month, whenever its own time is."""
    return table == "customers" or (table == "rates" and definition.fx == "current")


def _learned_of(
    facts: Facts, table: str, since: datetime, loaded_since: datetime | None, before: date | None, after: date
) -> list[Learned]:
    fact, d = TABLES[table], facts.engine.dialect
    st = facts.statement()
    raw = facts.source(st, table)
    new = f"{d.micros('recorded_at')} >= {micros(since)}"
    if loaded_since is not None:
        new = f"({new} OR {d.micros('loaded_at')} >= {micros(loaded_since)})"
    known = f"{d.micros('recorded_at')} < {facts.horizon}"
    conditions = [new, known]
    end = micros(midnight(after, facts.timezone))
    if before is not None:
        column = fact.column(fact.business_time)
        is_day = column.type == "date"
        limit = day_number(before) if is_day else end
        conditions.append(f"{_number(d, column)} < {limit}")
    keys = ", ".join(fact.key)
    news = st.step("learned_keys", f"SELECT DISTINCT {keys} FROM {raw} WHERE {' AND '.join(conditions)}")
    content = fact.columns if table != "customers" else (fact.column("customer_id"), *map(fact.column, _OF_CUSTOMERS))
    selected = [f"{_number(d, column, 'r.')} AS {column.name}" for column in content]
    selected += [f"{d.micros(f'r.{name}')} AS {name}" for name in ("recorded_at", "loaded_at")]
    on = " AND ".join(f"n.{name} = r.{name}" for name in fact.key)
    rows = facts.engine.table(
        st.render(
            f"SELECT {', '.join(selected)}, r.version, r.retracted, r.row_hash FROM {raw} AS r "
            f"JOIN {news} AS n ON {on} WHERE {known.replace('recorded_at', 'r.recorded_at')}"
        )
    ).to_pylist()
    rows.sort(key=lambda row: (row["recorded_at"], _version(row), row["row_hash"]))
    versions: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        versions.setdefault(tuple(row[name] for name in fact.key), []).append(row)
    found = []
    for story in versions.values():
        before_it: dict[str, Any] = {}
        for place, row in enumerate(story):
            says = {} if row["retracted"] else {c.name: _clipped(table, c, row, end) for c in content}
            is_new = row["recorded_at"] >= micros(since)
            is_late_load = loaded_since is not None and row["loaded_at"] >= micros(loaded_since)
            if (is_new or is_late_load) and says != before_it:
                names = [name for name in says if before_it and says[name] != before_it[name]]
                who = [row.get("customer_id"), before_it.get("customer_id")]
                who += [says.get("merged_into"), before_it.get("merged_into")]
                found.append(
                    Learned(
                        table,
                        tuple((name, _key_text(fact.column(name), row[name])) for name in fact.key),
                        tuple(dict.fromkeys(customer for customer in who if customer is not None)),
                        "retracted" if row["retracted"] else "corrected" if place else "late",
                        tuple(names),
                        from_micros(row["recorded_at"]),
                        from_micros(row["loaded_at"]),
                        from_micros(row["recorded_at"] if is_new else row["loaded_at"]),
                    )
                )
            before_it = says
    return found


def _version(row: dict[str, Any]) -> int:
    return _OLDEST_VERSION if row["version"] is None else int(row["version"])


def _number(d: Any, column: Column, of: str = "") -> str:
    """A column as statements have it: instants as microseconds, days as their number."""
    name = of + column.name
    if column.type == "instant":
        return str(d.micros(name))
    return str(d.day_of_date(name)) if column.type == "date" else name


def _key_text(column: Column, value: Any) -> str:
    if column.type == "instant" and value is not None:
        return from_micros(value).isoformat()
    return from_day_number(value).isoformat() if column.type == "date" and value is not None else str(value)


def _clipped(table: str, column: Column, row: dict[str, Any], end: int) -> Any:
    """What a row says of the time before `end`: nothing of what happens later, and of a later plan only that it is."""
    value = row[column.name]
    if value is None:
        return None
    if column.tells == "happened":
        return value if value < end else None
    if column.tells == "planned":
        return min(value, end) if column.type == "instant" else value
    if column.depends_on:
        clock = row[column.depends_on]
        if clock is None and table == "subscription_spans":
            clock = row["ended_at"]
        if clock is not None and clock >= end:
            return None
    return value


# -------------------------------------------------------------------------------------------------- whom they change


def among(facts: Facts, then: Facts, rows: Iterable[Learned]) -> tuple[dict[str, set[str]], pa.Table]:
    """Who stands behind the customers of the rows: those they are merged into, as known then and now.

    Returns {customer_id as rows have it: customer_ids as figures have them} and all of the latter as a table.
    """
    import pyarrow as pa

    whose = {customer: {customer} for row in rows for customer in row.customers}
    lent = facts.engine.lend("learned_customers", pa.table({"customer_id": pa.array(sorted(whose), pa.string())}))
    for look in (facts, then):
        st = look.statement()
        merged, _ = look.people(st)
        if merged is not None:
            sql = f"SELECT m.customer_id, m.root FROM {merged} AS m JOIN {lent} AS l ON l.customer_id = m.customer_id"
            for row in look.engine.table(st.render(sql)).to_pylist():
                whose[row["customer_id"]].add(row["root"])
    everybody = sorted({root for roots in whose.values() for root in roots})
    return whose, pa.table({"customer_id": pa.array(everybody, pa.string())})


def changed(
    facts: Facts,
    then: Facts,
    definition: Definition,
    metrics: Sequence[Metric],
    first: date,
    after: date,
    currency: str | None,
    customers: pa.Table,
) -> dict[tuple[str, str | None], set[str]]:
    """Of these customers, whose part in a metric of the month [first, after) is another now than then.

    Returns {(metric, currency or None for counts): customer_ids}.
    """
    if not customers.num_rows:
        return {}
    lent = facts.engine.lend("restated_customers", customers)
    question = Question(tuple(metric.name for metric in metrics), first, after, "month", (), currency, False)
    parts = []
    for look in (then, facts):
        answer = Answer(question, definition, [], [], replace(look, among=lent))
        opened: dict[bool, Opening] = {}
        mine: dict[tuple[str, str | None, str], tuple[Fraction, Fraction]] = {}
        for metric in metrics:
            if metric.looks_back not in opened:
                opened[metric.looks_back] = Opening(answer, year=metric.looks_back)
            # A correction is the opening of now less the one of the books.
            of = CATALOGUE["mrr_opening"] if metric.name == "mrr_correction" else metric
            for (_, _, money, customer), share in recipe(of)(opened[metric.looks_back]).items():
                if share.amount or share.base:
                    mine[metric.name, money, customer] = (Fraction(share.amount), Fraction(share.base))
        parts.append(mine)
    was, stands = parts
    found: dict[tuple[str, str | None], set[str]] = {}
    for name, money, customer in was.keys() | stands.keys():
        if was.get((name, money, customer)) != stands.get((name, money, customer)):
            found.setdefault((name, money), set()).add(customer)
    return found
