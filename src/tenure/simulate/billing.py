"""What was invoiced, and was it paid? Invoices, their lines, charges, refunds and disputes from the customers' lives.

Per line `amount_minor - discount_minor - (tax_minor if tax_inclusive)` is the net amount; credits are negative
throughout. An invoice that was not paid at once has two versions: open when it is issued, then what became of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenure.simulate import people, plans
from tenure.simulate.chance import Chance, Numbers
from tenure.simulate.contracts import PLAN_IDS
from tenure.simulate.dunning import DECLINES, EXPIRED, INSUFFICIENT, PROCESSING, STOLEN, VELOCITY
from tenure.simulate.lives import Lives
from tenure.simulate.months import DAY, HOUR, SECOND, Months
from tenure.simulate.sheets import Clerk, Names, joined, sheet, words
from tenure.simulate.standing import INVOICE_STATUSES, LINE_KINDS, OPEN, PAID, REASONS

ADVICE = ("try_again_later", "do_not_try_again", "confirm_card_data")
_ADVICE_OF = np.full(len(DECLINES), 0)
_ADVICE_OF[STOLEN], _ADVICE_OF[EXPIRED] = 1, 2
_ADVICE_OF[PROCESSING] = _ADVICE_OF[INSUFFICIENT] = _ADVICE_OF[VELOCITY] = 0
KINDS = ("charge", "refund", "dispute")
_SHORT = ("new", "cycle", "update")
_LINE = ("base", "add-on", "usage", "second", *("",) * 6, "set-up", "credit")


def bills(lives: Lives, names: Names, clerk: Clerk, chance: Chance, months: Months) -> Iterator[tuple[str, pa.Table]]:
    """The tables `invoices`, `invoice_lines` and `payments` of a chunk."""
    lines, invoices, payments = lives.lines, lives.invoices, lives.payments
    folk = lives.people
    who, issued = invoices["who"], invoices["at"]
    customer, subscription = names.customer(who), names.subscription(who, invoices["sub"])
    step = joined(names.number(who), invoices["sub"], invoices["step"])
    invoice_id = joined("in", step, words(_SHORT, invoices["reason"]))
    currency = words(plans.CURRENCIES, folk.currency[who])
    number = folk.who[who]
    inclusive = plans.tax_inclusive(folk.currency[who])

    of = lines["invoice"]
    net = lines["amount"] - lines["discount"] - np.where(inclusive[of], lines["tax"], 0)
    subtotal, tax = np.zeros(len(who), np.int64), np.zeros(len(who), np.int64)
    np.add.at(subtotal, of, net)
    np.add.at(tax, of, lines["tax"])
    total = subtotal + tax
    recorded = clerk.recorded("invoice", number, issued // SECOND, issued, late=0.004)

    # The versions of an invoice: what it was when issued, and what became of it.
    settled = invoices["fate_at"] < clerk.end
    at_once = settled & (invoices["fate"] == PAID) & (invoices["fate_at"] <= issued + HOUR)
    first = np.flatnonzero(issued < clerk.end)
    second = np.flatnonzero(settled & ~at_once & (issued < clerk.end))
    rows = np.concatenate([first, second])
    status = np.concatenate([np.where(at_once[first], PAID, OPEN), invoices["fate"][second]])
    known = np.concatenate(
        [
            np.where(at_once, np.minimum(np.maximum(recorded, invoices["fate_at"]), clerk.end - SECOND), recorded)[
                first
            ],
            np.maximum(np.minimum(invoices["fate_at"][second] + 5 * SECOND, clerk.end - SECOND), recorded[second]),
        ]
    )
    version = np.concatenate([np.ones(len(first), np.int64), np.full(len(second), 2)])
    take = pa.array(rows)
    yield (
        "invoices",
        sheet(
            "invoices",
            len(rows),
            invoice_id=invoice_id.take(take),
            customer_id=customer.take(take),
            subscription_id=subscription.take(take),
            issued_at=issued[rows],
            due_at=invoices["due"][rows],
            subtotal_minor=subtotal[rows],
            tax_minor=tax[rows],
            total_minor=total[rows],
            currency=currency.take(take),
            status=words(INVOICE_STATUSES, status),
            billing_reason=words(REASONS, invoices["reason"][rows]),
            recorded_at=known,
            version=version,
        ),
    )
    x = np.flatnonzero(issued[of] < clerk.end)
    ln = {name: column[x] for name, column in lines.items()}
    take = pa.array(ln["invoice"])
    subscription_of = subscription.take(take)
    item = ln["item"]
    plan = np.where(item == plans.BASE, ln["plan"], len(plans.PLANS) + item - 1)
    named = joined(joined(step, words(_SHORT, invoices["reason"])).take(take), words(_LINE, ln["number"]), between="_")
    yield (
        "invoice_lines",
        sheet(
            "invoice_lines",
            len(x),
            line_id=joined("il", named),
            invoice_id=invoice_id.take(take),
            customer_id=customer.take(take),
            subscription_id=subscription_of,
            item_id=joined(subscription_of, words(plans.ITEM_SUFFIX, item), between="."),
            plan_id=words(PLAN_IDS, np.where(ln["number"] >= 10, -1, plan)),
            kind=words(LINE_KINDS, ln["kind"]),
            quantity=ln["quantity"],
            amount_minor=ln["amount"],
            discount_minor=ln["discount"],
            tax_minor=ln["tax"],
            tax_inclusive=inclusive[ln["invoice"]],
            currency=currency.take(take),
            service_start=ln["service_start"],
            service_end=ln["service_end"],
            is_proration=ln["proration"],
            recorded_at=recorded[ln["invoice"]],
        ),
    )
    yield "payments", _payments(lives, names, clerk, chance, months, total, payments, invoice_id, customer, currency)


def _payments(
    lives: Lives, names: Names, clerk: Clerk, chance: Chance, months: Months, total: Numbers,
    payments: dict[str, Numbers], invoice_id: pa.Array, customer: pa.Array, currency: pa.Array,
) -> pa.Table:  # fmt: skip
    x = np.flatnonzero((payments["at"] < clerk.end) & (total[payments["invoice"]] > 0))
    p = {name: column[x] for name, column in payments.items()}
    of = p["invoice"]
    who = lives.invoices["who"][of]
    number = lives.people.who[who]
    kind = np.where(p["is_dispute"], 2, 0)
    amount = total[of]
    at = p["at"]
    # A few are given back some days later.
    lot = chance.uniform("refund", number, at // SECOND)
    back_at = clerk.later("refunded at", number, at // SECOND, at, 1, 20)
    y = np.flatnonzero((kind == 0) & (p["code"] < 0) & (lot < 0.007) & (back_at < clerk.end))
    part = np.where(lot[y] < 0.002, amount[y] // 2, amount[y])
    y, part = y[part > 0], part[part > 0]
    rows = np.concatenate([np.arange(len(of)), y])
    kind = np.concatenate([kind, np.ones(len(y), np.int64)])
    at = np.concatenate([at, back_at[y]])
    amount = np.concatenate([amount, part])
    p = {name: column[rows] for name, column in p.items()}
    of, who, number = of[rows], who[rows], number[rows]

    charge = joined("py", invoice_id.take(pa.array(of)), p["attempt"])
    # The charge that a refund or dispute is about: the one that came through on that invoice.
    good = np.zeros(len(total), np.int64)
    paid = (kind == 0) & (p["code"] < 0)
    good[of[paid]] = p["attempt"][paid]
    parent = joined("py", invoice_id.take(pa.array(of)), good[of])
    none = pa.nulls(len(of), pa.string())
    has_parent = pa.array((kind > 0) & (good[of] > 0))
    card = p["card"] > 0
    expiry = np.where(card, p["card_until"], months.count)
    # The card is good up to the last day of its month.
    last_days = (months.start(np.clip(expiry + 1, -79, months.count + 38)) // DAY - 1).astype(np.int32)
    failed = p["code"] >= 0
    code = p["code"]
    folk = lives.people
    return sheet(
        "payments",
        len(of),
        payment_id=joined(charge, words(("", "_refund", "_dispute"), kind), between=""),
        kind=words(KINDS, kind),
        parent_payment_id=pc.if_else(has_parent, parent, none),
        invoice_id=invoice_id.take(pa.array(of)),
        customer_id=customer.take(pa.array(of)),
        method_id=joined(words(("bank", "card"), card.astype(np.int64)), names.number(who), p["card"]),
        attempted_at=at,
        attempt_number=p["attempt"],
        amount_minor=amount,
        currency=currency.take(pa.array(of)),
        outcome=words(("succeeded", "failed"), failed.astype(np.int64)),
        decline_code=words(DECLINES, code),
        advice_code=words(ADVICE, np.where(failed, _ADVICE_OF[code], -1)),
        network=words(people.NETWORKS, np.where(card, folk.network[who], -1)),
        funding=words(people.FUNDING, np.where(card, folk.funding[who], -1)),
        card_country=words([c.code for c in people.COUNTRIES], np.where(card, folk.country[who], -1)),
        card_expires_on=pa.array(last_days, pa.int32(), mask=~card).view(pa.date32()),
        recorded_at=clerk.recorded("payment", number, at // SECOND * 4 + kind, at, late=0.006),
    )
