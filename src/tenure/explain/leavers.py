"""Who left in a stretch of time, what was lost with each, and what did the cancellation itself say?

    left = leavers(facts, definition, first, after, currency="USD")
    left.people      one Leaver for each loss of a customer, as `customers_churned` counts them, in order of time
    left.total       what they paid a month, exactly; None where it cannot be told in one currency

Amounts are those of `mrr_churn` at the moment the customer left: of who came back and left again, each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from tenure.explain.months import TENURE_LAST, TENURES
from tenure.kernel.money import exponent
from tenure.kernel.time import Period, midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, from_micros
from tenure.measure import states
from tenure.measure.currencies import SCALE, Conversion, currencies
from tenure.measure.definition import Definition
from tenure.measure.movements import movements
from tenure.measure.openings import names

BY_CHOICE = ("voluntary", "unknown")


class Leaver(NamedTuple):
    """One loss of a customer.

    how: voluntary, involuntary, dispute, fraud, business or unknown; plan and tenure (a band of `months`) as he left;
    mrr: what he paid a month, in major units of `currency`, None where there is no rate; code, comment: as the
    cancellation tells them; text_id names the comment.
    """

    customer_id: str
    name: str | None
    left_at: datetime
    how: str
    plan: str
    tenure: str
    tenure_days: int
    mrr: Fraction | None
    currency: str | None
    code: str | None
    comment: str | None
    text_id: str

    @property
    def is_choice(self) -> bool:
        """Whether he left by choice, as far as anybody told."""
        return self.how in BY_CHOICE


@dataclass(frozen=True, eq=False)
class Left:
    """Everybody who left; see the module. currency: of the amounts, None where there are several and none was asked."""

    first: date
    after: date
    people: tuple[Leaver, ...]
    currency: str | None
    notes: list[str]

    @property
    def total(self) -> Fraction | None:
        """What they paid a month."""
        return summed(self.people, self.currency)


def summed(people: tuple[Leaver, ...] | list[Leaver], currency: str | None) -> Fraction | None:
    """What these paid a month, exactly; None in several currencies, or without a rate."""
    if currency is None:
        return None
    found = Fraction(0)
    for one in people:
        if one.mrr is None:
            return None
        found += one.mrr
    return found


def money(amount: Fraction | None, currency: str | None) -> Decimal | None:
    """An exact amount as it is shown: with its currency's digits, rounded half-even."""
    if amount is None or currency is None:
        return None
    digits = exponent(currency)
    return Decimal(round(amount * 10**digits)).scaleb(-digits)


def leavers(facts: Facts, definition: Definition, first: date, after: date, *, currency: str | None = None) -> Left:
    """Everybody who left in the whole days [first, after); see the module."""
    tz = facts.timezone
    one = [Period(midnight(first, tz), midnight(after, tz), first, after, "day")]
    st, found = facts.statement(), states.shape(facts, definition)
    moved = movements(st, facts, definition, found, one, detail=True)
    told = states.currency_of(facts, found)
    turns = st.step(
        "customers_left",
        f"SELECT customer_id, ts, max(day) AS day, max(actor) AS actor FROM {moved} WHERE closes = 1 AND customer0 = 1 "
        "AND customer1 = 0 AND period = 0 GROUP BY customer_id, ts",
        keep=True,
        says="who left, and when",
    )
    began = st.step(
        "began", f"SELECT customer_id, min(ts) AS first_us FROM {moved} WHERE customer1 = 1 GROUP BY customer_id"
    )
    sums = st.step(
        "lost_money",
        f"SELECT m.customer_id, m.ts, {told} AS currency, {facts.engine.dialect.total('-m.amount')} AS lost FROM {moved} AS m "
        f"JOIN {turns} AS l ON l.customer_id = m.customer_id AND l.ts = m.ts WHERE m.kind = 'churn' GROUP BY m.customer_id, m.ts, {told}",
    )
    order = "CASE WHEN m.d_reason_1 IS NULL THEN 1 ELSE 0 END, CASE WHEN m.d_comment_1 IS NULL THEN 1 ELSE 0 END, m.m0 DESC, m.subscription_id, m.item_id"
    last = st.step(
        "said_last",
        "SELECT m.customer_id, m.ts, m.subscription_id, m.d_plan_id_0 AS plan, m.d_reason_1 AS reason, m.d_comment_1 AS comment, "
        f"row_number() OVER (PARTITION BY m.customer_id, m.ts ORDER BY {order}) AS place FROM {moved} AS m "
        f"JOIN {turns} AS l ON l.customer_id = m.customer_id AND l.ts = m.ts WHERE m.m1 = 0",
    )
    sql = st.render(
        "SELECT l.customer_id, l.ts, l.day, l.actor, b.first_us, s.subscription_id, s.plan, s.reason, s.comment, q.currency, q.lost "
        f"FROM {turns} AS l JOIN {began} AS b ON b.customer_id = l.customer_id "
        f"LEFT JOIN {last} AS s ON s.customer_id = l.customer_id AND s.ts = l.ts AND s.place = 1 "
        f"LEFT JOIN {sums} AS q ON q.customer_id = l.customer_id AND q.ts = l.ts ORDER BY l.ts, l.customer_id, q.currency"
    )
    known = currencies(facts, definition.source)
    shown = currency or (known[0] if len(known) == 1 else None)
    converts = currency is not None and known != [currency]
    conversion = Conversion.of(facts, currency) if currency is not None and converts else None
    notes: list[str] = []
    if shown is None and len(known) > 1:
        notes.append(f"There is {', '.join(known)}: money is summed with --currency.")
    called = names(facts)
    people: list[Leaver] = []
    for row in facts.engine.table(sql).to_pylist():
        mrr, own = _amount(row, conversion, shown, notes)
        if people and (people[-1].customer_id, people[-1].left_at) == (row["customer_id"], from_micros(row["ts"])):
            before = people[-1].mrr
            both = None if before is None or mrr is None or shown is None else before + mrr
            people[-1] = people[-1]._replace(mrr=both, currency=shown)
            continue
        days = int((row["ts"] - row["first_us"]) // DAY_US)
        band = next((name for limit, name in TENURES if days < limit), TENURE_LAST)
        people.append(
            Leaver(
                row["customer_id"], called.get(row["customer_id"]), from_micros(row["ts"]),
                states.ACTOR_NAMES[int(row["actor"] or 0)], row["plan"] or "", band, days, mrr, own, row["reason"],
                row["comment"], f"cancellations:{row['subscription_id']}",
            )
        )  # fmt: skip
    return Left(first, after, tuple(people), shown, notes)


def _amount(
    row: dict[str, object], conversion: Conversion | None, shown: str | None, notes: list[str]
) -> tuple[Fraction | None, str | None]:
    """What was lost in major units, and in which currency."""
    native, lost = row["currency"], row["lost"]
    if native is None or lost is None:
        return Fraction(0), shown
    own = str(native)
    if conversion is None:
        return Fraction(int(lost), 10 ** (6 + exponent(own))), own  # type: ignore[call-overload]
    unit = conversion.unit(own, int(row["day"]))  # type: ignore[call-overload]
    if unit is None:
        reason = conversion.reason(own, int(row["day"]))  # type: ignore[call-overload]
        if reason not in notes:
            notes.append(reason)
        return None, shown
    micro = int(lost) * unit  # type: ignore[call-overload]
    return Fraction(micro, SCALE * 10 ** (6 + exponent(conversion.reporting))), shown
