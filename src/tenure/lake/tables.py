"""Which facts are there? Every fact table as data: its key, its columns, and what each column tells.

A column *tells* of something that `happened` (its time may lie after a known-on date and is then hidden, with the
columns that depend on it) or of a `planned` time, which stays visible; most tell neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# How a type is held: the DuckDB type, also the name that Parquet and Spark understand through the lake's schema.
SQL_TYPES = {
    "text": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "bool": "BOOLEAN",
    "instant": "TIMESTAMP WITH TIME ZONE",
    "date": "DATE",
    "money_minor": "BIGINT",
    "rate": "DECIMAL(38,12)",
}

STATUSES = (
    "incomplete",
    "incomplete_expired",
    "trialing",
    "active",
    "past_due",
    "unpaid",
    "paused",
    "non_renewing",
    "scheduled",
    "canceled",
)
INTERVALS = ("day", "week", "month", "quarter", "year")
ACTORS = ("customer", "dunning", "business", "fraud", "dispute", "unknown")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, whether a row may lack it, the values it may take, and what it tells."""

    name: str
    type: str
    doc: str
    required: bool = False
    tells: str = ""
    depends_on: str = ""  # hidden whenever that `happened` column is
    one_of: tuple[str, ...] = ()
    signed: bool = False  # may be negative

    @property
    def sql_type(self) -> str:
        """The type in the engines' SQL."""
        return SQL_TYPES[self.type]


@dataclass(frozen=True, slots=True)
class FactTable:
    """One fact table: the business key that a correction repeats, and the columns besides the bitemporal ones.

    `business_time` names the column that stands in for a missing recorded_at at the first load.
    `generated_key` is the part of the key that a file may lack: it becomes a content hash plus occurrence number.
    """

    name: str
    key: tuple[str, ...]
    doc: str
    columns: tuple[Column, ...]
    business_time: str
    generated_key: str = ""
    _by_name: dict[str, Column] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._by_name.update({column.name: column for column in self.columns})

    def column(self, name: str) -> Column:
        """The column of that name."""
        return self._by_name[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The content columns' names, in order."""
        return tuple(column.name for column in self.columns)


BITEMPORAL = (
    Column("recorded_at", "instant", "when the business learned the row", required=True),
    Column("recorded_assumed", "bool", "recorded_at was not told but taken from the business time", required=True),
    Column("loaded_at", "instant", "when this lake learned the row", required=True),
    Column("version", "int", "the source's own order of versions, if it has one"),
    Column("retracted", "bool", "the row takes its key back", required=True),
    Column("source", "text", "where the row came from: a file's name or a connector"),
    Column("row_hash", "int", "64 bits of MD5 over the content, the last tie-breaker between versions", required=True),
)


def _c(name: str, type: str, doc: str, **options: object) -> Column:
    return Column(name, type, doc, **options)  # type: ignore[arg-type]


_CUSTOMER = _c("customer_id", "text", "the customer", required=True)
_CANCEL = (
    _c("cancel_requested_at", "instant", "when somebody asked for the end", tells="happened"),
    _c("cancel_actor", "text", "who ended it", one_of=ACTORS, depends_on="cancel_requested_at"),
    _c("cancel_reason", "text", "the reason as the source codes it", depends_on="cancel_requested_at"),
    _c("cancel_comment", "text", "the reason in the customer's own words", depends_on="cancel_requested_at"),
)
_PRICE = (
    _c("product_id", "text", "the product"),
    _c("plan_id", "text", "the plan or price"),
    _c("interval", "text", "billing interval", one_of=INTERVALS),
    _c("interval_count", "int", "intervals per billing period (2 with month = every two months)"),
    _c("quantity", "int", "seats or units"),
    _c("amount_minor", "money_minor", "whole item per interval at the current quantity, before discount"),
    _c("tax_minor", "money_minor", "tax in the amount or on top of it"),
    _c("tax_inclusive", "bool", "amount_minor contains tax_minor"),
    _c("discount_forever_minor", "money_minor", "discount per interval that does not end"),
    _c("discount_limited_minor", "money_minor", "discount per interval that ends"),
    _c("discount_ends_at", "instant", "when the limited discount ends", tells="planned"),
    _c("minimum_commit_minor", "money_minor", "minimum per interval of a metered item"),
    _c("currency", "text", "ISO 4217 code"),
    _c("is_metered", "bool", "priced by use; not part of MRR beyond its minimum commitment"),
)

_TABLES = (
    FactTable(
        "customers",
        ("customer_id",),
        "who they are",
        (
            _CUSTOMER,
            _c("name", "text", "name for people to read"),
            _c("email", "text", "contact address"),
            _c("country", "text", "ISO 3166 code or name"),
            _c("language", "text", "language code"),
            _c("timezone", "text", "IANA zone of the customer"),
            _c("currency", "text", "billing currency"),
            _c("signed_up_at", "instant", "when the customer appeared"),
            _c("channel", "text", "how the customer was won"),
            _c("owner", "text", "who looks after the customer"),
            _c("parent_id", "text", "the parent customer"),
            _c("merged_into", "text", "the customer this one was merged into"),
            _c("is_test", "bool", "an internal or test customer, left out of every number"),
        ),
        "signed_up_at",
    ),
    FactTable(
        "identities",
        ("system", "external_id"),
        "how billing, product and help desk name the same customer",
        (
            _c("system", "text", "billing, product, helpdesk, crm, ...", required=True),
            _c("external_id", "text", "the name there", required=True),
            _CUSTOMER,
            _c("valid_from", "instant", "from when on"),
        ),
        "valid_from",
    ),
    FactTable(
        "contacts",
        ("contact_id",),
        "people behind a customer",
        (
            _c("contact_id", "text", "the person", required=True),
            _CUSTOMER,
            _c("role", "text", "champion, admin, billing, user, ..."),
            _c("joined_at", "instant", "first seen"),
            _c("left_at", "instant", "left", tells="happened"),
        ),
        "joined_at",
    ),
    FactTable(
        "traits",
        ("customer_id", "trait", "effective_at"),
        "anything else known of a customer, as name and value",
        (
            _CUSTOMER,
            _c("trait", "text", "the trait's name", required=True),
            _c("effective_at", "instant", "from when on; NULL = undated, the current value"),
            _c("value", "text", "the value as text"),
            _c("number", "float", "the value as a number, where it is one", signed=True),
            _c("is_dated", "bool", "whether effective_at was told"),
        ),
        "effective_at",
    ),
    FactTable(
        "subscription_spans",
        ("subscription_id", "item_id", "started_at"),
        "subscriptions as people export them: from, to, price",
        (
            _c("subscription_id", "text", "the subscription", required=True),
            _c("item_id", "text", "the line of the subscription; default its id", required=True),
            _c("started_at", "instant", "from when on", required=True),
            _c("ended_at", "instant", "up to, exclusive; NULL = still running", tells="happened"),
            _CUSTOMER,
            _c("status", "text", "status over the whole span", one_of=STATUSES),
            *_PRICE,
            _c("trial_ends_at", "instant", "end of the free trial", tells="planned"),
            _c("term_ends_at", "instant", "end of the contract's term", tells="planned"),
            *_CANCEL,
        ),
        "started_at",
    ),
    FactTable(
        "subscription_states",
        ("subscription_id", "item_id", "effective_at"),
        "what each item of each subscription is from an instant on",
        (
            _c("subscription_id", "text", "the subscription", required=True),
            _c("item_id", "text", "the line of the subscription; default its id", required=True),
            _c("effective_at", "instant", "from when on", required=True),
            _CUSTOMER,
            _c("status", "text", "status from that instant on", required=True, one_of=STATUSES),
            *_PRICE,
            _c("period_start", "instant", "start of the billing period"),
            _c("period_end", "instant", "end of the billing period", tells="planned"),
            _c("term_ends_at", "instant", "end of the contract's term", tells="planned"),
            _c("auto_renews", "bool", "renews unless cancelled"),
            _c("trial_ends_at", "instant", "end of the free trial", tells="planned"),
            _c("collection_paused", "bool", "payment collection is paused"),
            _c("resumes_at", "instant", "when the pause ends", tells="planned"),
            _c("cancel_at", "instant", "when it will end", tells="planned"),
            *_CANCEL,
        ),
        "effective_at",
    ),
    FactTable(
        "invoices",
        ("invoice_id",),
        "bills",
        (
            _c("invoice_id", "text", "the invoice", required=True),
            _CUSTOMER,
            _c("subscription_id", "text", "the subscription"),
            _c("issued_at", "instant", "when it was issued", required=True),
            _c("due_at", "instant", "when it is due", tells="planned"),
            _c("subtotal_minor", "money_minor", "before tax", signed=True),
            _c("tax_minor", "money_minor", "tax", signed=True),
            _c("total_minor", "money_minor", "total", signed=True),
            _c("currency", "text", "ISO 4217 code", required=True),
            _c("status", "text", "draft, open, paid, void, uncollectible"),
            _c("billing_reason", "text", "why it was issued"),
        ),
        "issued_at",
    ),
    FactTable(
        "invoice_lines",
        ("line_id",),
        "lines of bills",
        (
            _c("line_id", "text", "the line", required=True),
            _c("invoice_id", "text", "its invoice", required=True),
            _CUSTOMER,
            _c("subscription_id", "text", "the subscription"),
            _c("item_id", "text", "the subscription's item"),
            _c("plan_id", "text", "the plan or price"),
            _c("kind", "text", "what for", one_of=("recurring", "usage", "one_time", "credit")),
            _c("quantity", "float", "units"),
            _c("amount_minor", "money_minor", "amount, credits negative", required=True, signed=True),
            _c("discount_minor", "money_minor", "discount in it", signed=True),
            _c("tax_minor", "money_minor", "tax in it or on top", signed=True),
            _c("tax_inclusive", "bool", "amount_minor contains tax_minor"),
            _c("currency", "text", "ISO 4217 code", required=True),
            _c("service_start", "instant", "service from"),
            _c("service_end", "instant", "service up to, exclusive"),
            _c("is_proration", "bool", "a part of a period after a change"),
        ),
        "service_start",
        generated_key="line_id",
    ),
    FactTable(
        "payments",
        ("payment_id",),
        "attempts to be paid, refunds, disputes",
        (
            _c("payment_id", "text", "the attempt", required=True),
            _c("kind", "text", "charge, refund or dispute", one_of=("charge", "refund", "dispute")),
            _c("parent_payment_id", "text", "the charge that is refunded or disputed"),
            _c("invoice_id", "text", "the invoice"),
            _CUSTOMER,
            _c("method_id", "text", "the payment method's token, never a card number"),
            _c("attempted_at", "instant", "when", required=True),
            _c("attempt_number", "int", "1 for the first try"),
            _c("amount_minor", "money_minor", "amount", required=True),
            _c("currency", "text", "ISO 4217 code", required=True),
            _c("outcome", "text", "succeeded, failed, pending"),
            _c("decline_code", "text", "why it failed"),
            _c("advice_code", "text", "the network's advice"),
            _c("network", "text", "visa, mastercard, ..."),
            _c("funding", "text", "credit, debit, prepaid"),
            _c("card_country", "text", "country of the card"),
            _c("card_expires_on", "date", "last day the card is good", tells="planned"),
        ),
        "attempted_at",
    ),
    FactTable(
        "orders",
        ("order_id",),
        "purchases, one row each",
        (
            _c("order_id", "text", "the order", required=True),
            _c("customer_id", "text", "the customer; NULL = not known"),
            _c("ordered_at", "instant", "when", required=True),
            _c("kind", "text", "sale or return", one_of=("sale", "return")),
            _c("product_id", "text", "the product"),
            _c("quantity", "float", "units", signed=True),
            _c("amount_minor", "money_minor", "amount, returns negative", signed=True),
            _c("currency", "text", "ISO 4217 code", required=True),
        ),
        "ordered_at",
        generated_key="order_id",
    ),
    FactTable(
        "order_lines",
        ("order_id", "line"),
        "lines of purchases",
        (
            _c("order_id", "text", "the order", required=True),
            _c("line", "text", "the line within it", required=True),
            _c("customer_id", "text", "the customer; NULL = not known"),
            _c("ordered_at", "instant", "when", required=True),
            _c("kind", "text", "sale or return", one_of=("sale", "return")),
            _c("product_id", "text", "the product"),
            _c("quantity", "float", "units", signed=True),
            _c("amount_minor", "money_minor", "amount, returns negative", signed=True),
            _c("currency", "text", "ISO 4217 code", required=True),
        ),
        "ordered_at",
        generated_key="line",
    ),
    FactTable(
        "usage",
        ("usage_id",),
        "what they do in the product: events or daily sums",
        (
            _c("usage_id", "text", "the event or sum", required=True),
            _c("customer_id", "text", "the customer; NULL where only the subscription is known"),
            _c("subscription_id", "text", "the subscription"),
            _c("contact_id", "text", "the person"),
            _c("feature", "text", "what was used"),
            _c("happened_at", "instant", "when", required=True),
            _c("quantity", "float", "how much", signed=True),
        ),
        "happened_at",
        generated_key="usage_id",
    ),
    FactTable(
        "tickets",
        ("ticket_id",),
        "requests for help",
        (
            _c("ticket_id", "text", "the ticket", required=True),
            _CUSTOMER,
            _c("channel", "text", "email, chat, phone, ..."),
            _c("opened_at", "instant", "when it was opened", required=True),
            _c("first_replied_at", "instant", "first reply by a person", tells="happened"),
            _c("resolved_at", "instant", "when it was resolved", tells="happened"),
            _c("reopened", "int", "how often it was reopened", depends_on="resolved_at"),
            _c("priority", "text", "low, normal, high, urgent"),
            _c("agent", "text", "who answered"),
            _c("subject", "text", "subject"),
            _c("body", "text", "text"),
            _c("csat", "float", "satisfaction afterwards, 1 to 5", depends_on="resolved_at"),
        ),
        "opened_at",
    ),
    FactTable(
        "answers",
        ("answer_id",),
        "answers to surveys",
        (
            _c("answer_id", "text", "the answer", required=True),
            _c("survey_id", "text", "the survey"),
            _c("kind", "text", "nps, csat, ces, exit, pricing, ..."),
            _CUSTOMER,
            _c("asked_at", "instant", "when asked"),
            _c("answered_at", "instant", "when answered; NULL = not answered", tells="happened"),
            _c("question", "text", "the question", depends_on=""),
            _c("score", "float", "a number given", signed=True, depends_on="answered_at"),
            _c("choice", "text", "an option chosen", depends_on="answered_at"),
            _c("comment", "text", "free text", depends_on="answered_at"),
            _c("language", "text", "language of the comment", depends_on="answered_at"),
            _c("competitor", "text", "a rival that is named", depends_on="answered_at"),
        ),
        "asked_at",
        generated_key="answer_id",
    ),
    FactTable(
        "mentions",
        ("mention_id",),
        "reviews and posts about the company",
        (
            _c("mention_id", "text", "the mention", required=True),
            _c("source_site", "text", "where"),
            _c("author", "text", "who"),
            _c("published_at", "instant", "when", required=True),
            _c("rating", "float", "stars"),
            _c("text", "text", "text"),
            _c("language", "text", "language"),
            _c("customer_id", "text", "the customer, where known"),
            _c("competitor", "text", "a rival that is named"),
        ),
        "published_at",
        generated_key="mention_id",
    ),
    FactTable(
        "labels",
        ("source_table", "source_id"),
        "what a person says a text means",
        (
            _c("source_table", "text", "whose text: answers, cancellations, tickets, mentions", required=True),
            _c("source_id", "text", "the row whose text it is", required=True),
            _c("code", "text", "a code of the reasons, such as price.increase; NULL takes back what was said"),
            _c("labelled_by", "text", "who says so"),
            _c("labelled_at", "instant", "when it was said"),
        ),
        "labelled_at",
    ),
    FactTable(
        "changes",
        ("change_id",),
        "what the company changed or suffered",
        (
            _c("change_id", "text", "the change", required=True),
            _c("kind", "text", "what", one_of=("release", "price", "policy", "incident", "removal", "campaign")),
            _c("announced_at", "instant", "when customers were told"),
            _c("happened_at", "instant", "when it took effect", tells="planned"),
            _c("title", "text", "in words"),
            _c("scope", "text", "whom it touched"),
        ),
        "announced_at",
    ),
    FactTable(
        "change_exposures",
        ("change_id", "customer_id"),
        "which customer a change touched, and when",
        (
            _c("change_id", "text", "the change", required=True),
            _CUSTOMER,
            _c("announced_at", "instant", "when this customer was told"),
            _c("effective_at", "instant", "when it took effect for this customer", tells="planned"),
        ),
        "announced_at",
    ),
    FactTable(
        "touches",
        ("touch_id",),
        "what we did to keep a customer",
        (
            _c("touch_id", "text", "the touch", required=True),
            _CUSTOMER,
            _c("play", "text", "which play"),
            _c("channel", "text", "email, call, in-product, ..."),
            _c("sent_at", "instant", "when", required=True),
            _c("arm", "text", "treated or held out"),
            _c("outcome", "text", "what came of it", depends_on="outcome_at"),
            _c("outcome_at", "instant", "when that was known", tells="happened"),
            _c("cost_minor", "money_minor", "what it cost, in the reporting currency"),
        ),
        "sent_at",
    ),
    FactTable(
        "exposures",
        ("experiment", "customer_id"),
        "who saw which arm of which experiment",
        (
            _c("experiment", "text", "the experiment", required=True),
            _CUSTOMER,
            _c("arm", "text", "the arm", required=True),
            _c("exposed_at", "instant", "when first seen", required=True),
        ),
        "exposed_at",
    ),
    FactTable(
        "scores",
        ("model", "customer_id", "as_of"),
        "what a model said of a customer",
        (
            _c("model", "text", "the model", required=True),
            _CUSTOMER,
            _c("as_of", "instant", "as of when", required=True),
            _c("horizon", "text", "over which horizon"),
            _c("probability", "float", "probability of leaving"),
            _c("voluntary", "float", "of it by choice"),
            _c("involuntary", "float", "of it by failed payment"),
            _c("value", "float", "expected lifetime value in major units", signed=True),
            _c("model_version", "text", "version of the model"),
        ),
        "as_of",
    ),
    FactTable(
        "spend",
        ("period_start", "period_end", "channel", "kind"),
        "what winning customers cost",
        (
            _c("period_start", "instant", "from", required=True),
            _c("period_end", "instant", "up to, exclusive", required=True, tells="planned"),
            _c("channel", "text", "which channel", required=True),
            _c("kind", "text", "ads, people, tools, ...", required=True),
            _c("amount_minor", "money_minor", "amount", required=True),
            _c("currency", "text", "ISO 4217 code", required=True),
        ),
        "period_start",
    ),
    FactTable(
        "rates",
        ("day", "currency"),
        "exchange rates",
        (
            _c("day", "date", "the day", required=True),
            _c("currency", "text", "ISO 4217 code", required=True),
            _c("per_usd", "rate", "units of the currency for one US dollar", required=True),
        ),
        "day",
    ),
    FactTable(
        "competitor_offers",
        ("competitor", "product", "observed_at"),
        "what rivals ask",
        (
            _c("competitor", "text", "the rival", required=True),
            _c("product", "text", "its product", required=True),
            _c("observed_at", "instant", "when seen", required=True),
            _c("price_minor", "money_minor", "price"),
            _c("currency", "text", "ISO 4217 code"),
            _c("interval", "text", "per", one_of=INTERVALS),
            _c("features", "text", "what it includes"),
        ),
        "observed_at",
    ),
    FactTable(
        "quarantine",
        ("load_id", "line", "column"),
        "rows that could not be loaded, with the reason and the raw text",
        (
            _c("load_id", "text", "the load", required=True),
            _c("file", "text", "the file", required=True),
            _c("table", "text", "the table it was meant for", required=True),
            _c("line", "int", "line (text files) or row number, 1 = first line of the file", required=True),
            _c("column", "text", "the column that is wrong, '' where it is the whole row", required=True),
            _c("reason", "text", "what is wrong, in words", required=True),
            _c("raw", "text", "the row as it stood in the file, cut at 10,000 characters"),
        ),
        "",
    ),
)

TABLES: dict[str, FactTable] = {table.name: table for table in _TABLES}


def all_columns(table: FactTable) -> tuple[Column, ...]:
    """The content columns followed by the bitemporal ones: what a stored file holds, in this order."""
    return table.columns + BITEMPORAL
