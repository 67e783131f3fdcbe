"""How do tests tell a company's story? Short calls that make fact rows, complete with every column.

    facts = Facts()
    facts.state("2025-01-10", amount_minor=10_000)                    customer c1, subscription s1, from that instant on
    facts.state("2025-03-01", status="canceled", cancel_actor="customer")
    facts.span("2025-01-01", "2025-06-01", customer="c2")
    facts.rate("2025-01-01", "EUR", "0.9")

A time is a datetime or text in UTC ("2025-01-10", "2025-01-10 14:30"). `facts.tables` holds lists of dicts, for the
reference; `open_company(folder, facts)` writes them into the lake of a new workspace, for the product.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenure import Workspace

Row = dict[str, Any]

PRICE = {
    "product_id": None,
    "plan_id": None,
    "interval": "month",
    "interval_count": 1,
    "quantity": 1,
    "amount_minor": 10_000,
    "tax_minor": None,
    "tax_inclusive": None,
    "discount_forever_minor": None,
    "discount_limited_minor": None,
    "discount_ends_at": None,
    "minimum_commit_minor": None,
    "currency": "USD",
    "is_metered": None,
}
CANCEL = {"cancel_requested_at": None, "cancel_actor": None, "cancel_reason": None, "cancel_comment": None}
STATE = {
    **PRICE,
    "status": "active",
    "period_start": None,
    "period_end": None,
    "term_ends_at": None,
    "auto_renews": None,
    "trial_ends_at": None,
    "collection_paused": None,
    "resumes_at": None,
    "cancel_at": None,
    **CANCEL,
}
SPAN = {**PRICE, "status": None, "trial_ends_at": None, "term_ends_at": None, **CANCEL}
CUSTOMER = {
    "name": None,
    "parent_id": None,
    "merged_into": None,
    "is_test": None,
    "channel": None,
    "country": None,
    "signed_up_at": None,
}
LINE = {
    "subscription_id": None,
    "item_id": None,
    "plan_id": None,
    "kind": "recurring",
    "quantity": None,
    "amount_minor": 0,
    "discount_minor": None,
    "tax_minor": None,
    "tax_inclusive": None,
    "currency": "USD",
    "service_end": None,
    "is_proration": None,
}
INVOICE = {
    "subscription_id": None,
    "issued_at": None,
    "total_minor": 10_000,
    "currency": "USD",
    "status": "open",
    "billing_reason": None,
}
PAYMENT = {
    "kind": "charge",
    "invoice_id": None,
    "attempted_at": None,
    "amount_minor": 10_000,
    "currency": "USD",
    "outcome": "succeeded",
    "card_expires_on": None,
}
USE = {
    "customer_id": None,
    "subscription_id": None,
    "contact_id": None,
    "feature": None,
    "quantity": 1.0,
    "source": None,
}
TICKET = {
    "first_replied_at": None,
    "resolved_at": None,
    "reopened": None,
    "subject": None,
    "body": None,
    "csat": None,
    "source": None,
}
SAID = {"choice": None, "comment": None, "competitor": None}
ANSWER = {"kind": None, "answered_at": None, "score": None, **SAID, "source": None}
MENTION = {"rating": None, "text": None, "customer_id": None, "competitor": None}
TOUCH = {"play": None, "channel": None, "outcome": None}
OFFER = {"price_minor": None, "currency": "USD", "interval": "month", "features": None}
SCORE = {
    "horizon": None,
    "probability": None,
    "voluntary": None,
    "involuntary": None,
    "value": None,
    "model_version": None,
}
CONTACT = {"role": "user", "joined_at": None, "left_at": None}
TRAIT = {"value": None, "number": None}
INSTANTS = {
    "discount_ends_at",
    "cancel_requested_at",
    "period_start",
    "period_end",
    "term_ends_at",
    "trial_ends_at",
    "resumes_at",
    "cancel_at",
    "recorded_at",
    "signed_up_at",
    "service_end",
    "issued_at",
    "attempted_at",
    "answered_at",
    "first_replied_at",
    "resolved_at",
    "announced_at",
    "valid_from",
    "joined_at",
    "left_at",
}


def instant(text: str | datetime | None) -> datetime | None:
    """The UTC instant that a text without a zone names."""
    if text is None or isinstance(text, datetime):
        return text
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Facts:
    """Fact rows by table, as a lake would hold them: later calls with the same key are corrections."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {
            "customers": [],
            "traits": [],
            "subscription_spans": [],
            "subscription_states": [],
            "rates": [],
            "invoice_lines": [],
            "invoices": [],
            "payments": [],
            "identities": [],
            "contacts": [],
            "usage": [],
            "tickets": [],
            "answers": [],
            "changes": [],
            "change_exposures": [],
            "labels": [],
            "mentions": [],
            "touches": [],
            "competitor_offers": [],
            "exposures": [],
            "scores": [],
        }

    def state(
        self,
        effective_at: str | datetime,
        *,
        customer: str = "c1",
        subscription: str | None = None,
        item: str | None = None,
        **columns: Any,
    ) -> Row:
        """From this instant on the item is so; the subscription is named after the customer unless told."""
        subscription = subscription or f"s-{customer}"
        key = {"subscription_id": subscription, "item_id": item or subscription, "effective_at": instant(effective_at)}
        return self._add("subscription_states", key, {"customer_id": customer, **STATE}, columns, key["effective_at"])

    def span(
        self,
        started_at: str | datetime,
        ended_at: str | datetime | None = None,
        *,
        customer: str = "c1",
        subscription: str | None = None,
        item: str | None = None,
        **columns: Any,
    ) -> Row:
        """The item runs from one instant up to another, or still."""
        subscription = subscription or f"s-{customer}"
        key = {"subscription_id": subscription, "item_id": item or subscription, "started_at": instant(started_at)}
        plain = {"ended_at": instant(ended_at), "customer_id": customer, **SPAN}
        return self._add("subscription_spans", key, plain, columns, key["started_at"])

    def customer(self, customer: str = "c1", **columns: Any) -> Row:
        """Who somebody is."""
        return self._add("customers", {"customer_id": customer}, CUSTOMER, columns, datetime(2000, 1, 1, tzinfo=UTC))

    def trait(
        self, trait: str, value: str | None, effective_at: str | None = None, *, customer: str = "c1", **columns: Any
    ) -> Row:
        """Something else known of a customer, from an instant on or undated."""
        key = {"customer_id": customer, "trait": trait, "effective_at": instant(effective_at)}
        plain = {**TRAIT, "value": value, "is_dated": effective_at is not None}
        return self._add("traits", key, plain, columns, key["effective_at"] or datetime(2000, 1, 1, tzinfo=UTC))

    def rate(self, day: str | date, currency: str, per_usd: str, **columns: Any) -> Row:
        """So many units of the currency were one US dollar on that day."""
        day = date.fromisoformat(day) if isinstance(day, str) else day
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return self._add("rates", {"day": day, "currency": currency}, {"per_usd": Decimal(per_usd)}, columns, at)

    def line(self, at: str | None, *, customer: str = "c1", invoice: str | None = None, **columns: Any) -> Row:
        """A line of a bill, which is its own unless told."""
        name = f"line-{len(self.tables['invoice_lines'])}"
        key = {"line_id": name, "invoice_id": invoice or f"bill-of-{name}", "service_start": instant(at)}
        plain = {"customer_id": customer, **LINE}
        return self._add("invoice_lines", key, plain, columns, key["service_start"])

    def invoice(self, invoice: str, issued_at: str, *, customer: str = "c1", **columns: Any) -> Row:
        """A bill of the customer's subscription, open unless told."""
        columns = {"subscription_id": f"s-{customer}", "issued_at": issued_at, **columns}
        plain = {"customer_id": customer, **INVOICE}
        return self._add("invoices", {"invoice_id": invoice}, plain, columns, instant(issued_at))

    def payment(self, invoice: str, attempted_at: str, *, customer: str = "c1", **columns: Any) -> Row:
        """An attempt to collect a bill; it succeeds unless told."""
        key = {"payment_id": f"payment-{len(self.tables['payments'])}"}
        columns = {"invoice_id": invoice, "attempted_at": attempted_at, **columns}
        return self._add("payments", key, {"customer_id": customer, **PAYMENT}, columns, instant(attempted_at))

    def identity(
        self, system: str, external_id: str, customer: str = "c1", *, valid_from: str | None = None, **columns: Any
    ) -> Row:
        """What another system calls the customer, from an instant on or always."""
        key = {"system": system, "external_id": external_id}
        plain = {"customer_id": customer, "valid_from": instant(valid_from)}
        return self._add("identities", key, plain, columns, instant(valid_from) or datetime(2000, 1, 1, tzinfo=UTC))

    def contact(self, contact: str, joined_at: str | None = None, *, customer: str = "c1", **columns: Any) -> Row:
        """A person behind a customer, a user unless told."""
        at = instant(joined_at)
        plain = {"customer_id": customer, **CONTACT, "joined_at": at}
        return self._add("contacts", {"contact_id": contact}, plain, columns, at or datetime(2000, 1, 1, tzinfo=UTC))

    def use(
        self,
        usage: str,
        happened_at: str | datetime,
        *,
        customer: str | None = None,
        subscription: str | None = None,
        contact: str | None = None,
        **columns: Any,
    ) -> Row:
        """Something done in the product, by whatever the product knows."""
        at = instant(happened_at)
        who = {"customer_id": customer, "subscription_id": subscription, "contact_id": contact}
        return self._add("usage", {"usage_id": usage, "happened_at": at}, {**USE, **who}, columns, at)

    def ticket(self, ticket: str, opened_at: str | datetime, *, customer: str = "c1", **columns: Any) -> Row:
        """A request for help."""
        at = instant(opened_at)
        return self._add(
            "tickets", {"ticket_id": ticket, "opened_at": at}, {"customer_id": customer, **TICKET}, columns, at
        )

    def answer(self, answer: str, asked_at: str | datetime, *, customer: str = "c1", **columns: Any) -> Row:
        """An answer to a survey, given when it was asked unless told."""
        at = instant(asked_at)
        plain = {"customer_id": customer, **ANSWER, "answered_at": at}
        return self._add("answers", {"answer_id": answer, "asked_at": at}, plain, columns, at)

    def change(self, change: str, kind: str, announced_at: str, **columns: Any) -> Row:
        """Something the company changed."""
        at = instant(announced_at)
        return self._add("changes", {"change_id": change}, {"kind": kind, "announced_at": at}, columns, at)

    def exposed(
        self, change: str, announced_at: str, effective_at: str, *, customer: str = "c1", **columns: Any
    ) -> Row:
        """A customer whom a change touched, and from when on."""
        plain = {"announced_at": instant(announced_at), "effective_at": instant(effective_at)}
        key = {"change_id": change, "customer_id": customer}
        return self._add("change_exposures", key, plain, columns, plain["announced_at"])

    def label(self, table: str, row: str, code: str | None, labelled_at: str, **columns: Any) -> Row:
        """What a person says a text means."""
        at = instant(labelled_at)
        key = {"source_table": table, "source_id": row}
        return self._add("labels", key, {"code": code, "labelled_at": at}, columns, at)

    def mention(self, mention: str, published_at: str, **columns: Any) -> Row:
        """A review or a post."""
        at = instant(published_at)
        return self._add("mentions", {"mention_id": mention, "published_at": at}, MENTION, columns, at)

    def touch(self, touch: str, sent_at: str | datetime, *, customer: str = "c1", **columns: Any) -> Row:
        """A message or a call to the customer."""
        at = instant(sent_at)
        return self._add("touches", {"touch_id": touch, "sent_at": at}, {"customer_id": customer, **TOUCH}, columns, at)

    def assigned(
        self, experiment: str, arm: str, exposed_at: str | datetime, *, customer: str = "c1", **columns: Any
    ) -> Row:
        """A customer in an arm of an experiment."""
        at = instant(exposed_at)
        key = {"experiment": experiment, "customer_id": customer}
        return self._add("exposures", key, {"arm": arm, "exposed_at": at}, columns, at)

    def score(self, customer: str, as_of: str, probability: float, **columns: Any) -> Row:
        """What a model said of a customer; columns: model (default leaving-30d), involuntary, value, ..."""
        key = {"model": columns.pop("model", "leaving-30d"), "customer_id": customer, "as_of": instant(as_of)}
        plain = {**SCORE, "probability": probability}
        return self._add("scores", key, plain, columns, key["as_of"])

    def offer(self, competitor: str, product: str, observed_at: str, **columns: Any) -> Row:
        """What a rival asks for a product."""
        at = instant(observed_at)
        key = {"competitor": competitor, "product": product, "observed_at": at}
        return self._add("competitor_offers", key, OFFER, columns, at)

    def _add(self, table: str, key: Row, plain: Row, columns: Mapping[str, Any], business_time: datetime | None) -> Row:
        told = {"recorded_at": business_time, "version": None, "retracted": False, "recorded_assumed": False}
        unknown = set(columns) - set(plain) - set(told)
        assert not unknown, f"{table} has no column {unknown}"
        given = {name: instant(value) if name in INSTANTS else value for name, value in columns.items()}
        row = {**key, **plain, **told, **given}
        row["row_hash"] = content_hash({**key, **{name: row[name] for name in plain}})
        self.tables[table].append(row)
        return row


def content_hash(content: Mapping[str, Any]) -> int:
    """Any 64 bits of the content, signed: the last tie-breaker between versions of a row."""
    text = json.dumps({name: str(value) for name, value in sorted(content.items())})
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8], "big", signed=True)


# --- the product's side -----------------------------------------------------------------------------------------------

LONG_AFTER = "2026-10-31"  # the stories end before; what is known then is all of them


def open_workspace(folder: Path, facts: Facts, *, timezone: str = "UTC", currency: str | None = None) -> Workspace:
    """A new workspace whose lake holds the facts, each table in one load."""
    import pyarrow as pa

    import tenure

    workspace = tenure.open(folder, create=True, timezone=timezone, currency=currency)
    for table, rows in facts.tables.items():
        if rows:
            columns = {name: [row[name] for row in rows] for name in rows[0]}
            columns["loaded_at"] = [datetime(2026, 11, 1, tzinfo=UTC)] * len(rows)
            told = {name: values for name, values in columns.items() if any(value is not None for value in values)}
            types = {"row_hash": pa.int64(), "per_usd": pa.decimal128(38, 12)}
            arrow = pa.table({name: pa.array(values, types.get(name)) for name, values in told.items()})
            assert workspace.lake.append_arrow(table, arrow, load_id=f"story-{table}")
    return workspace


class Shop:
    """A workspace looked at on one day, with numbers as exact fractions of major units."""

    def __init__(self, workspace: Workspace, known_on: str) -> None:
        self.workspace = workspace
        self.known_on = known_on

    def close(self) -> None:
        """Give back what the workspace's engine holds."""
        self.workspace.close()

    def rows(self, names: tuple[str, ...], text: str, **question: Any) -> list[dict[str, Any]]:
        """The rows that answer for the period that the text names."""
        question.setdefault("known_on", self.known_on)
        grain = {4: "year", 7: "month", 10: "day"}[len(text)]
        return list(self.workspace.metrics(*names, since=text, period=grain, **question).rows())

    def row(self, name: str, text: str, **question: Any) -> dict[str, Any]:
        """The only row of one metric."""
        (found,) = self.rows((name,), text, **question)
        return found

    def value(self, name: str, text: str, **question: Any) -> Fraction | None:
        """The value of one metric: money in major units as shown, a rate as the exact quotient, a count."""
        return exact(self.row(name, text, **question))

    def values(self, text: str, *names: str, **question: Any) -> list[Fraction | None]:
        """The values of several metrics in the order asked for."""
        found = {row["metric"]: exact(row) for row in self.rows(names, text, **question)}
        return [found[name] for name in names]

    def by(self, column: str, name: str, text: str, **question: Any) -> dict[str | None, Fraction | None]:
        """One metric by the segments of one column."""
        found = self.rows((name,), text, by=(column,), **question)
        return {row["segment"][column]: exact(row) for row in found}

    def movements(self, since: str = "2024-01", until: str = LONG_AFTER) -> list[dict[str, Any]]:
        """Every movement row, by time."""
        return list(self.workspace.movements(since=since, until=until, known_on=self.known_on).to_pylist())


def exact(row: Mapping[str, Any]) -> Fraction | None:
    """A row's value without rounding where it is a quotient, else as shown."""
    if row["value"] is None:
        return None
    if row["unit"] in ("rate", "ratio"):
        quotient = Fraction(row["numerator"]) / Fraction(row["denominator"])
        assert abs(float(quotient) - row["value"]) < 1e-9, row
        return quotient
    return Fraction(row["value"])


def open_company(folder: Path, facts: Facts, *, known_on: str = LONG_AFTER, **settings: Any) -> Shop:
    """A new workspace with the facts, looked at on a day."""
    return Shop(open_workspace(folder, facts, **settings), known_on)


# What the fixture `company` answers: facts and settings of a workspace in, the workspace out.
Company = Callable[..., Shop]


def cents(value: Fraction | None) -> str:
    """An amount in major units, to the cent."""
    assert value is not None
    return f"{float(round(value, 2)):.2f}"
