"""What was invoiced for which time? Invoice lines as states, for tools that make MRR from invoices.

Every recurring line with a time of service is an item of its own that lives from service_start to service_end at what
the line says, after its discount and without its tax; credits with a time of service count with their sign. A line's
amount is per billing interval, whatever part of it the line serves: a seat added in mid-month counts with what is
invoiced for it. The interval is read off the longest service that the subscription's plan was ever invoiced for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tenure.errors import BadInput
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement

if TYPE_CHECKING:
    from tenure.measure.states import Shape

# What an item made of a line costs per interval; negative for a credit.
PRICE = "amount_minor"
# Days of service -> interval and how many of it; anything else is so many days.
INTERVALS = (
    (1, 1, "day", 1),
    (6, 8, "week", 1),
    (13, 15, "week", 2),
    (27, 32, "month", 1),
    (57, 63, "month", 2),
    (88, 93, "quarter", 1),
    (178, 186, "month", 6),
    (360, 370, "year", 1),
    (725, 735, "year", 2),
)


def shape(facts: Facts) -> Shape:
    """What lines can contain; see states.Shape. BadInput where there are none."""
    from tenure.measure.states import Shape

    if not facts.has("invoice_lines"):
        raise BadInput(
            "this definition makes MRR from invoices, and no invoice lines are loaded; load some with "
            "`tenure load invoice_lines FILE`, or choose source=states"
        )
    st = facts.statement()
    sql = (
        "SELECT min(currency) AS low, max(currency) AS high, "
        "max(CASE WHEN kind = 'recurring' THEN 1 ELSE 0 END) AS recurring "
        f"FROM {facts.source(st, 'invoice_lines')}"
    )
    row = facts.engine.table(st.render(sql)).to_pylist()[0]
    if not row["recurring"]:
        raise BadInput(
            "this definition makes MRR from invoices, and no lines of recurring charges are loaded; load some with "
            "`tenure load invoice_lines FILE`, or choose source=states"
        )
    several = row["low"] != row["high"]
    return Shape(False, False, False, False, False, several, False, None if several else row["low"])


def states(st: Statement, facts: Facts, wanted: Sequence[str]) -> str:
    """A step with each line's beginning and end as states of the wanted columns (and `ts`)."""
    d = facts.engine.dialect
    text = d.text
    told = facts.latest(
        st,
        "invoice_lines",
        (
            "line_id", "customer_id", "subscription_id", "plan_id", "kind", "quantity", "amount_minor",
            "discount_minor", "tax_minor", "tax_inclusive", "currency", "service_start", "service_end",
        ),
    )  # fmt: skip
    served = st.step(
        "served_lines",
        "SELECT line_id, customer_id, coalesce(subscription_id, customer_id) AS subscription_id, plan_id, quantity, "
        "currency, service_start, service_end, amount_minor - coalesce(discount_minor, 0) "
        "- CASE WHEN tax_inclusive THEN coalesce(tax_minor, 0) ELSE 0 END AS net, "
        f"{d.div(f'service_end - service_start + {DAY_US // 2}', str(DAY_US))} AS days "
        f"FROM {told} WHERE kind IN ('recurring', 'credit') AND service_end > service_start",
        says="lines with a time of service, after discount and without tax",
    )
    whole = st.step(
        "whole_services",
        f"SELECT *, max(days) OVER (PARTITION BY subscription_id, plan_id) AS whole FROM {served}",
        keep=True,
    )

    def of_interval(i: int, other: str) -> str:
        cases = " ".join(
            f"WHEN whole BETWEEN {low} AND {high} THEN {text_of(row[i])}"
            for row in INTERVALS
            for low, high in (row[:2],)
        )
        return f"CASE {cases} ELSE {other} END"

    def text_of(value: object) -> str:
        return f"'{value}'" if isinstance(value, str) else str(value)

    named = {
        "customer_id": "customer_id",
        "subscription_id": "subscription_id",
        "item_id": "line_id",
        "plan_id": "plan_id",
        "quantity": "quantity",
        "currency": "currency",
        "amount_minor": "net",
        "interval": of_interval(2, "'day'"),
        "interval_count": of_interval(3, "greatest(whole, 1)"),
    }
    kinds = {
        "tax_inclusive": "BOOLEAN",
        "is_metered": "BOOLEAN",
        "auto_renews": "BOOLEAN",
        "collection_paused": "BOOLEAN",
    }
    texts = ("product_id", "cancel_actor", "cancel_reason", "cancel_comment")

    def row(status: str) -> str:
        parts = []
        for column in wanted:
            if column == "status":
                parts.append(f"'{status}' AS status")
            elif column in named:
                parts.append(f"{named[column]} AS {column}")
            else:
                kind = kinds.get(column, text if column in texts else "BIGINT")
                parts.append(f"CAST(NULL AS {kind}) AS {column}")
        return ", ".join(parts)

    return st.step(
        "line_states",
        f"SELECT service_start AS ts, {row('active')} FROM {whole}\nUNION ALL\n"
        f"SELECT service_end AS ts, {row('canceled')} FROM {whole} WHERE service_end < {facts.horizon}",
        says="what was invoiced, as states",
    )
