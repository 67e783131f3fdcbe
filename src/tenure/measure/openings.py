"""Who is in this number? From any figure down to the customers, movements and causes behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tenure.kernel.money import exponent
from tenure.kernel.time import Period, add_months, midnight, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, from_micros
from tenure.measure import states
from tenure.measure.definition import Definition
from tenure.measure.movements import movements
from tenure.measure.segments import resolve
from tenure.measure.totals import Look

if TYPE_CHECKING:
    import pyarrow as pa

    from tenure.measure.answers import Answer

# Periods in twelve calendar months, where they are whole.
_YEAR = {"month": 12, "quarter": 4, "year": 1}


def major(micro: int | Decimal, currency: str) -> Decimal:
    """10^-6 minor units as an exact Decimal of major units, without trailing zeros beyond the currency's digits."""
    digits = exponent(currency)
    value = Decimal(micro).scaleb(-6 - digits)
    rounded = value.quantize(Decimal(1).scaleb(-digits))
    return rounded if rounded == value else value


def cause_of(kind: str, row: dict[str, Any]) -> str:
    """Why an item's MRR changed, in one word, from what was different before and after (DESIGN: causes refine kinds)."""
    before = {name: row[f"d_{name}_0"] for name in states.DETAIL}
    after = {name: row[f"d_{name}_1"] for name in states.DETAIL}
    if kind in ("new", "reactivation"):
        return ""
    if kind == "churn" or row["m1"] == 0:
        if row["d_status_1"] == "paused" and kind in ("churn", "contraction", "resume"):
            return "pause_expired"
        if kind == "contraction" and after["amount_minor"] and row["d_status_1"] not in ("canceled", "unpaid"):
            return "discount"
        if kind == "contraction":
            return "removed"
        if kind == "churn" and after["amount_minor"] == 0 and row["d_status_1"] not in ("canceled", "unpaid"):
            return "downgraded_to_free"
        return row["d_reason_1"] or ""
    if kind in ("pause", "resume"):
        return ""
    if row["m0"] == 0:
        return "add_on"
    if (before["interval"], before["interval_count"]) != (after["interval"], after["interval_count"]):
        return "interval"
    if before["plan_id"] != after["plan_id"]:
        return "plan"
    if before["quantity"] != after["quantity"]:
        return "seats"
    if before["discount"] != after["discount"]:
        return "discount" if (after["discount"] or 0) > (before["discount"] or 0) else "discount_end"
    if before["amount_minor"] != after["amount_minor"]:
        return "price"
    return "discount_end" if row["m1"] > row["m0"] else "other"


def movement_rows(facts: Facts, definition: Definition, first: date, after: date) -> pa.Table:
    """Every movement of the days [first, after), in order of time and customer.

    Returns an Arrow table: customer_id, name, at (UTC), kind, amount (Decimal, signed, major units), amount_micro (integer
    of 10^-6 minor units), currency, cause, subscription_id, item_id, plan_before, plan_after, reason, comment, how
    (voluntary, involuntary, ... of a churn).
    """
    tz = facts.timezone
    one = [Period(midnight(first, tz), midnight(after, tz), first, after, "day")]
    found = _detail(facts, definition, one, "kind IS NOT NULL AND kind <> 'idle' AND amount <> 0 AND period >= 0")
    return _table(facts, found)


def _detail(facts: Facts, definition: Definition, slices: Sequence[Period], where: str) -> list[dict[str, Any]]:
    st = facts.statement()
    found = states.shape(facts, definition)
    moved = movements(st, facts, definition, found, slices, detail=True)
    sql = st.render(f"SELECT * FROM {moved} WHERE {where} ORDER BY ts, customer_id, subscription_id, item_id, amount")
    return facts.engine.table(sql).to_pylist()


def names(facts: Facts) -> dict[str, str]:
    """Customers' names by id, as known; empty without a customers table."""
    if not facts.has("customers"):
        return {}
    st = facts.statement()
    latest = facts.latest(st, "customers", ("customer_id", "name"))
    rows = facts.engine.table(st.render(f"SELECT customer_id, name FROM {latest} WHERE name IS NOT NULL"))
    return dict(zip(rows.column(0).to_pylist(), rows.column(1).to_pylist(), strict=True))


def _table(facts: Facts, found: list[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    known = names(facts)
    columns: dict[str, list[Any]] = {
        "customer_id": [row["customer_id"] for row in found],
        "name": [known.get(row["customer_id"]) for row in found],
        "at": [from_micros(row["ts"]) for row in found],
        "kind": [row["kind"] for row in found],
        "amount": [major(row["amount"], row["currency"]) for row in found],
        "amount_micro": [int(row["amount"]) for row in found],
        "currency": [row["currency"] for row in found],
        "cause": [cause_of(row["kind"], row) or None for row in found],
        "subscription_id": [row["subscription_id"] for row in found],
        "item_id": [row["item_id"] for row in found],
        "plan_before": [row["d_plan_id_0"] if row["m0"] else None for row in found],
        "plan_after": [row["d_plan_id_1"] if row["m1"] else None for row in found],
        "reason": [row["d_reason_1"] if row["amount"] < 0 else None for row in found],
        "comment": [row["d_comment_1"] if row["amount"] < 0 else None for row in found],
        "how": [states.ACTOR_NAMES[row["actor"]] if row["kind"] == "churn" else None for row in found],
    }
    types = {"at": pa.timestamp("us", tz="UTC"), "amount": pa.decimal128(38, 10), "amount_micro": pa.int64()}
    return pa.table({name: pa.array(values, types.get(name, pa.string())) for name, values in columns.items()})


def customers(answer: Answer, limit: int | None = None) -> pa.Table:
    """The customers behind every number of an answer, largest amounts first.

    Returns an Arrow table: metric, period_start, segment (JSON-like text or NULL), customer_id, name, currency, amount
    (Decimal in major units, signed; NULL for counts), opening (for retention), at (of the movement), what (the kind of
    movement or event).
    """
    import pyarrow as pa

    facts, definition, question = answer.facts, answer.definition, answer.question
    asked = periods(question.first, question.after, question.grain, facts.timezone)
    segment = resolve(facts, question.by)
    text = "STRING" if facts.engine.dialect.spark else "VARCHAR"
    found: list[dict[str, Any]] = []
    known = names(facts)
    cut = f" LIMIT {int(limit)}" if limit else ""
    for metric in dict.fromkeys(cell.metric for cell in answer.cells):
        st = facts.statement()
        shape = states.shape(facts, definition)
        column = segment.column.replace("{text}", text) if segment is not None and segment.column else None
        back = _YEAR.get(question.grain) if metric.opens == "kept_12m" else 0
        if back is None:
            continue
        slices = (
            periods(add_months(asked[0].first, -12), question.after, question.grain, facts.timezone) if back else asked
        )
        moved = movements(st, facts, definition, shape, slices, segment=column)
        look = Look(st, facts, shape, segment, moved, slices, question.currency)
        sql = _opened(st, look, metric.opens, len(slices), back or 1)
        if sql is None:
            continue
        ordered = f"SELECT * FROM ({sql}) AS opened WHERE period >= {back} ORDER BY period, seg, abs(amount) DESC, customer_id{cut}"
        for row in facts.engine.table(st.render(ordered)).to_pylist():
            currency = row["currency"]
            found.append(
                {
                    "metric": metric.name,
                    "period_start": slices[row["period"]].first,
                    "segment": None
                    if segment is None
                    else ", ".join(f"{k}={v}" for k, v in segment.read(row["seg"]).items()),
                    "customer_id": row["customer_id"],
                    "name": known.get(row["customer_id"]),
                    "currency": currency,
                    "amount": None if currency is None else major(row["amount"], currency),
                    "opening": None if currency is None or row["opening"] is None else major(row["opening"], currency),
                    "at": None if row["ts"] is None else from_micros(row["ts"]),
                    "what": row["what"],
                }
            )
    types = {
        "period_start": pa.date32(),
        "amount": pa.decimal128(38, 10),
        "opening": pa.decimal128(38, 10),
        "at": pa.timestamp("us", tz="UTC"),
    }
    order = ("metric", "period_start", "segment", "customer_id", "name", "currency", "amount", "opening", "at", "what")
    return pa.table({name: pa.array([row[name] for row in found], types.get(name, pa.string())) for name in order})


def _opened(st: Statement, look: Look, opens: str, count: int, back: int) -> str | None:
    """The select that lists who is in a number: period, seg, customer_id, currency, amount, opening, ts, what."""
    family, _, detail = opens.partition(":")
    none = f"CAST(NULL AS {look.text})"
    seg = look.seg()
    number = "CAST(NULL AS DECIMAL(38,0))"
    if family == "flow":
        kinds = ", ".join(f"'{kind}'" for kind in detail.split(","))
        return (
            f"SELECT period, {seg} AS seg, customer_id, currency, CAST(sum(amount) AS DECIMAL(38,0)) AS amount, {number} AS opening, "
            f"max(ts) AS ts, kind AS what FROM {look.placed()} WHERE period >= 0 AND kind IN ({kinds}) "
            f"GROUP BY period, {seg}, customer_id, currency, kind HAVING sum(amount) <> 0"
        )
    if family == "event":
        claims = {
            "new": "customer0 = 0 AND customer1 = 1 AND first = 1",
            "reactivated": "customer0 = 0 AND customer1 = 1 AND first = 0",
            "churned": "customer0 = 1 AND customer1 = 0",
            "voluntary": "customer0 = 1 AND customer1 = 0 AND actor = 1",
            "involuntary": "customer0 = 1 AND customer1 = 0 AND actor = 2",
            "other": "customer0 = 1 AND customer1 = 0 AND actor IN (3, 4, 5)",
            "unknown": "customer0 = 1 AND customer1 = 0 AND actor = 0",
        }
        cases = " ".join(f"WHEN {code} THEN '{name}'" for code, name in states.ACTOR_NAMES.items())
        what = f"'{detail}'" if detail in ("new", "reactivated") else f"CASE actor {cases} END"
        return (
            f"SELECT period, {seg} AS seg, customer_id, {none} AS currency, CAST(0 AS DECIMAL(38,0)) AS amount, {number} AS opening, "
            f"ts, {what} AS what FROM {look.placed()} WHERE closes = 1 AND period >= 0 AND {claims[detail]}"
        )
    if family == "lost":
        return (
            f"SELECT period, min({seg}) AS seg, customer_id, {none} AS currency, CAST(0 AS DECIMAL(38,0)) AS amount, {number} AS opening, "
            f"max(CASE WHEN customer1 = 0 THEN ts END) AS ts, 'lost' AS what FROM {look.placed()} WHERE closes = 1 AND period >= 0 "
            "GROUP BY period, customer_id HAVING sum(customer1 - customer0) = -1"
        )
    if family in ("balance", "kept", "kept_12m", "customers"):
        every = look.d.values([(str(i),) for i in range(count)], ("p",))
        marks = st.step("asked_periods", every)
        if family == "customers":
            return (
                f"SELECT a.p AS period, max({seg}) AS seg, m.customer_id, {none} AS currency, CAST(0 AS DECIMAL(38,0)) AS amount, "
                f"{number} AS opening, CAST(NULL AS BIGINT) AS ts, 'customer' AS what FROM {marks} AS a JOIN {look.placed()} AS m "
                "ON m.period <= a.p WHERE m.closes = 1 GROUP BY a.p, m.customer_id HAVING sum(m.customer1 - m.customer0) = 1"
            )
        start = f"sum(CASE WHEN m.period <= a.p - {back} THEN m.amount ELSE 0 END)"
        having = "sum(m.amount) > 0" if family == "balance" else f"{start} > 0"
        now = "sum(m.amount)"
        what = (
            "'balance'"
            if family == "balance"
            else f"CASE WHEN {now} = 0 THEN 'left' WHEN {now} < {start} THEN 'less' WHEN {now} > {start} THEN 'more' ELSE 'same' END"
        )
        return (
            f"SELECT a.p AS period, {seg} AS seg, m.customer_id, m.currency, CAST(sum(m.amount) AS DECIMAL(38,0)) AS amount, "
            f"CAST({start} AS DECIMAL(38,0)) AS opening, CAST(NULL AS BIGINT) AS ts, {what} AS what FROM {marks} AS a "
            f"JOIN {look.placed()} AS m ON m.period <= a.p WHERE {look.real} GROUP BY a.p, {seg}, m.customer_id, m.currency HAVING {having}"
        )
    return None
