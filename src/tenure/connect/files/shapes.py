"""Which columns does a file of that table have? The fact tables themselves, and the shapes in which people export them.

A shape names the columns a file may have (`inputs`) and the fact table its rows end up in (`table`). Amounts may always
come in major units under the column's name without `_minor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tenure.errors import UnknownName
from tenure.lake.tables import BITEMPORAL, INTERVALS, STATUSES, TABLES, Column, FactTable

# Column types that only files have: an amount in major units, and the price of one unit, of any fineness.
MAJOR = "major"
UNIT = "unit"

# Words that other systems use for the same thing, by column.
SYNONYMS: dict[str, dict[str, str]] = {
    "interval": {
        **{f"{name}s": name for name in INTERVALS},
        **{"daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter", "yearly": "year"},
        **{"annual": "year", "annually": "year", "mo": "month", "yr": "year"},
    },
    "status": {"cancelled": "canceled", "trial": "trialing", "in_trial": "trialing", "past due": "past_due"}
    | {"non-renewing": "non_renewing", "future": "scheduled", "live": "active"},
    "kind": {"one-time": "one_time", "refund": "return", "returned": "return"},
}

# A table's pairs of times of which the second must not lie before the first.
IN_ORDER = (
    ("started_at", "ended_at"),
    ("period_start", "period_end"),
    ("service_start", "service_end"),
    ("joined_at", "left_at"),
    ("opened_at", "first_replied_at"),
    ("opened_at", "resolved_at"),
    ("asked_at", "answered_at"),
    ("sent_at", "outcome_at"),
)
# Times at which 9999-12-31 is how a database writes "no end".
OPEN_ENDS = ("ended_at", "cancel_at")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a file may hold for one word after `tenure load`.

    required   inputs a file must have: alternatives separated by |
    defaults   inputs that may be missing, and what is taken instead (told in the report)
    aliases    other names of inputs
    grouped    '' if every row becomes one fact, else how rows are put together: mrr or movements
    dated      the input that dates the traits made of unknown columns; '' = undated
    """

    name: str
    table: FactTable
    inputs: Mapping[str, Column]
    required: tuple[str, ...]
    defaults: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    grouped: str = ""
    dated: str = ""

    @property
    def has_customer(self) -> bool:
        """Whether rows belong to a customer, so that unknown columns can become traits."""
        return "customer_id" in self.inputs and self.name not in ("traits", "identities", "interviews")


_TOLD = tuple(
    replace(column, required=False) for column in BITEMPORAL if column.name in ("recorded_at", "version", "retracted")
)


def _inputs(table: FactTable) -> dict[str, Column]:
    inputs = {column.name: column for column in table.columns}
    for column in table.columns:
        major = column.name.removesuffix("_minor")
        if column.type == "money_minor" and major not in inputs:
            inputs[major] = replace(column, name=major, type=MAJOR, required=False)
    if table.name in ("orders", "order_lines", "invoice_lines"):
        inputs["unit_amount"] = Column("unit_amount", UNIT, "price of one unit, of any fineness", signed=True)
    return inputs | {column.name: column for column in _TOLD}


def _of_table(table: FactTable) -> Shape:
    required = []
    for column in table.columns:
        if not column.required or column.name in (table.generated_key, "item_id"):
            continue
        if column.type == "money_minor":
            unit = "|unit_amount" if table.name == "invoice_lines" else ""
            required.append(f"{column.name}|{column.name.removesuffix('_minor')}{unit}")
        else:
            required.append(column.name)
    defaults = {}
    if table.name in ("subscription_spans", "subscription_states"):
        required.append("amount_minor|amount|is_metered")
        defaults = {"interval": "month", "interval_count": "1"}
    if table.name in ("orders", "order_lines"):
        required.append("amount_minor|amount|unit_amount")
    aliases = {"customer": "customer_id"} if "customer_id" in table.names else {}
    undated = table.name in ("customers", "contacts", "identities", "traits")
    return Shape(
        table.name,
        table,
        _inputs(table),
        tuple(required),
        defaults,
        aliases,
        dated="" if undated else table.business_time,
    )


# What a sheet calls the plan and the product; a column that has our own name goes before it.
_CALLED = {"plan": "plan_id", "plan_name": "plan_id", "product": "product_id", "product_name": "product_id"}


def _text(name: str, doc: str) -> Column:
    return Column(name, "text", doc)


_CUSTOMER = Column("customer_id", "text", "the customer", required=True)
_CURRENCY = Column("currency", "text", "ISO 4217 code")
_MONEY = (
    Column("amount", MAJOR, "amount in major units"),
    Column("amount_minor", "money_minor", "amount in minor units"),
)
_PARTS = (
    _text("subscription_id", "the subscription"),
    _text("plan_id", "the plan"),
    _text("product_id", "the product"),
)


def _named(*columns: Column) -> dict[str, Column]:
    return {column.name: column for column in columns}


_SPANS = TABLES["subscription_spans"]
_SNAPSHOT = Shape(
    "snapshot",
    _SPANS,
    _named(
        _CUSTOMER,
        Column("tenure", "int", "whole months since the customer came", required=True),
        Column("left", "bool", "whether the customer left", required=True),
        Column("observed_on", "instant", "the day of the snapshot", required=True),
        *_MONEY,
        _CURRENCY,
        *_PARTS,
        _TOLD[0],
    ),
    ("customer_id", "tenure", "left"),
    {"observed_on": "the day of loading"},
    {
        **{"customer": "customer_id", "tenure_months": "tenure", "months": "tenure"},
        **{"churn": "left", "churned": "left", "has_left": "left", "is_churned": "left", "exited": "left"},
        **{"monthly_charges": "amount", "monthly_amount": "amount", "mrr": "amount"},
        **_CALLED,
    },
)
_MRR = Shape(
    "mrr",
    _SPANS,
    _named(_CUSTOMER, Column("month", "month", "the month", required=True), *_MONEY, _CURRENCY, *_PARTS),
    ("customer_id", "month", "amount|amount_minor"),
    {},
    {"customer": "customer_id", "mrr": "amount", "mrr_minor": "amount_minor", "date": "month", "period": "month"}
    | _CALLED,
    "mrr",
)
MOVEMENTS = {
    **{"new": "new", "new_biz": "new", "new business": "new", "new_business": "new", "new_mrr": "new"},
    **{"expansion": "expansion", "upgrade": "expansion", "contraction": "contraction", "downgrade": "contraction"},
    **{"churn": "churn", "churned": "churn", "cancellation": "churn", "reactivation": "reactivation"},
}
_MOVEMENTS = Shape(
    "movements",
    _SPANS,
    _named(
        _CUSTOMER,
        Column("date", "instant", "when", required=True),
        Column("type", "text", "new_biz, expansion, contraction, churn, reactivation"),
        Column("delta", MAJOR, "change of MRR in major units", signed=True),
        Column("delta_minor", "money_minor", "change of MRR in minor units", signed=True),
        Column("mrr", MAJOR, "MRR afterwards in major units"),
        Column("mrr_minor", "money_minor", "MRR afterwards in minor units"),
        _CURRENCY,
        *_PARTS,
    ),
    ("customer_id", "date", "delta|delta_minor|mrr|mrr_minor"),
    {},
    {
        **{"customer": "customer_id", "kind": "type", "movement_type": "type", "activity_type": "type"},
        **{
            "at": "date",
            "happened_at": "date",
            "occurred_at": "date",
            "activity_date": "date",
            "movement_date": "date",
        },
        **{"mrr_change": "delta", "mrr_movement": "delta", "activity_mrr_movement": "delta", "change": "delta"},
        **{"activity_mrr": "mrr", "mrr_after": "mrr", "customer_external_id": "customer_id", **_CALLED},
    },
    "movements",
)
_ANSWERS = _of_table(TABLES["answers"])
_CANCELLATIONS = Shape(
    "cancellations",
    TABLES["answers"],
    _named(
        Column("answer_id", "text", "the cancellation, if it has a name"),
        _CUSTOMER,
        Column("canceled_at", "instant", "when the customer cancelled", required=True),
        _text("reason", "the reason chosen"),
        _text("comment", "the reason in the customer's own words"),
        _text("language", "language of the comment"),
        _text("competitor", "the rival named"),
        *_TOLD,
    ),
    ("customer_id", "canceled_at"),
    {},
    {"customer": "customer_id", "cancelled_at": "canceled_at", "date": "canceled_at", "cancel_reason": "reason"}
    | {"cancel_comment": "comment"},
    dated="canceled_at",
)
# What `tenure why follow-up` gives out to fill in: its other columns tell who was called, and are left out.
_INTERVIEWS = replace(
    _ANSWERS,
    name="interviews",
    required=("customer_id", "kind"),
    aliases={"customer": "customer_id", "reason": "choice", "notes": "comment", "interviewed_at": "answered_at"},
)
_SUBSCRIPTIONS = replace(_of_table(_SPANS), name="subscriptions", aliases={"customer": "customer_id"} | _CALLED)

SHAPES: dict[str, Shape] = {
    **{name: _of_table(table) for name, table in TABLES.items() if name != "quarantine"},
    **{shape.name: shape for shape in (_SUBSCRIPTIONS, _MRR, _MOVEMENTS, _SNAPSHOT, _CANCELLATIONS, _INTERVIEWS)},
}
BILLED = tuple(status for status in STATUSES if status in ("active", "past_due", "non_renewing", "trialing"))


def shape(name: str) -> Shape:
    """The shape of that name, or UnknownName with the nearest one."""
    if name not in SHAPES:
        raise UnknownName.of("table to load", name, SHAPES)
    return SHAPES[name]
