"""Who is in this number? From any figure down to the customers, movements and causes behind it.

Every number is a sum over customers, or one sum divided by another. A recipe says of each metric what a customer adds
to either; the sums come from the engine in the customers' own currencies, and are converted here as the metric is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tenure.kernel.money import exponent
from tenure.kernel.time import Period, add_months, midnight, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, from_micros
from tenure.measure import causes, states
from tenure.measure.currencies import SCALE, Conversion, by_day, currencies, day_before
from tenure.measure.definition import BASE, Definition, profile
from tenure.measure.figures import LOSSES
from tenure.measure.lifetimes import months_begun
from tenure.measure.movements import Money, movements
from tenure.measure.renewals import due
from tenure.measure.segments import resolve
from tenure.measure.totals import Look, Window

if TYPE_CHECKING:
    import pyarrow as pa

    from tenure.measure.answers import Answer, Cell
    from tenure.measure.buyers import BuyersBook
    from tenure.measure.catalogue import Metric
    from tenure.measure.committed import Promise
    from tenure.measure.renewal_book import Renewal
    from tenure.measure.seats import SeatBook
    from tenure.measure.usage_revenue import UsageBook

# Decimals of a major unit to which converted amounts are told; sums of millions of them still round to the figure.
_DECIMALS = 10


def major(micro: int | Decimal, currency: str) -> Decimal:
    """10^-6 minor units as an exact Decimal of major units, without trailing zeros beyond the currency's digits."""
    digits = exponent(currency)
    value = Decimal(micro).scaleb(-6 - digits)
    rounded = value.quantize(Decimal(1).scaleb(-digits))
    return rounded if rounded == value else value


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
    order = "ts, customer_id, subscription_id, item_id, amount"
    sql = st.render(f"SELECT *, {causes.cause()} AS cause FROM {moved} WHERE {where} ORDER BY {order}")
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
        "cause": [row["cause"] or None for row in found],
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


@dataclass(slots=True)
class Share:
    """What one customer adds to one number.

    amount: to the numerator (to the value, where nothing is divided); base: to the denominator. Money is scaled as in
    currencies.SCALE, or Fraction of it; counts are plain.
    """

    amount: int | Fraction = 0
    base: int | Fraction = 0
    at: int | None = None
    what: list[str] = field(default_factory=list)

    def seen(self, at: int | None, *what: str) -> None:
        """Adds when and by what kind of movement the customer came into the number."""
        if at is not None:
            self.at = at if self.at is None else max(self.at, at)
        self.what += [word for word in what if word not in self.what]


# (window, segment, currency or None, customer)
Key = tuple[int, str, str | None, str]
Shares = dict[Key, Share]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a customer paid before and at the end of a window, in one currency and segment (10^-6 minor units)."""

    window: int
    seg: str
    customer_id: str
    currency: str
    opening: int
    closing: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What movements of one kind and day did to a customer's MRR in one currency and segment."""

    window: int
    seg: str
    customer_id: str
    currency: str
    day: int
    kind: str
    amount: int
    ts: int


class Opening:
    """The sums behind an answer, by customer; each asked of the engine when it is first needed."""

    def __init__(self, answer: Answer, year: bool = False) -> None:
        self.facts, self.definition, self.question = answer.facts, answer.definition, answer.question
        self.cells = answer.cells
        question, tz = self.question, self.facts.timezone
        self.asked = periods(question.first, question.after, question.grain, tz)
        self.slices: Sequence[Period] = self.asked
        self.windows = [Window(i, i) for i in range(len(self.asked))]
        if year:
            starts = [add_months(period.after, -12) for period in self.asked]
            bounds = sorted({*starts, *(period.after for period in self.asked)})
            self.slices = [Period(midnight(a, tz), midnight(b, tz), a, b, question.grain) for a, b in pairwise(bounds)]
            place = {day: i for i, day in enumerate(bounds)}
            self.windows = [Window(place[s], place[p.after] - 1) for s, p in zip(starts, self.asked, strict=True)]
        self.known = currencies(self.facts)
        self.corrected = answer.corrected or (lambda first: [])
        self.by_cause = causes.asks_for_causes(question.by)
        self.segment = causes.segment() if self.by_cause else resolve(self.facts, question.by)
        reporting = question.currency
        converts = reporting is not None and self.known != [reporting]
        self.conversion = Conversion.of(self.facts, reporting) if reporting is not None and converts else None

    @cached_property
    def usage(self) -> UsageBook:
        """What was used in the periods asked for."""
        from tenure.measure.usage_revenue import UsageBook

        return UsageBook(self.facts, self.definition, self.asked, self.segment, self.question.currency)

    @cached_property
    def seats(self) -> SeatBook:
        """Who sits on the seats in the periods asked for."""
        from tenure.measure.seats import SeatBook

        currency = self.question.currency or (self.known[0] if len(self.known) == 1 else None)
        return SeatBook(self.facts, self.definition, self.asked, self.segment, currency)

    @cached_property
    def buyers(self) -> BuyersBook:
        """Who bought without a contract in the periods asked for."""
        from tenure.measure.buyers import BuyersBook

        return BuyersBook(self.facts, self.asked, self.question.by, self.question.inactivity)

    @cached_property
    def renewals(self) -> list[Renewal]:
        """What came due in the periods asked for."""
        from tenure.measure.renewal_book import RenewalBook, renewals

        grace, question = self.question.assumed.grace_days, self.question
        return renewals(RenewalBook(self.facts, self.definition, self.asked, grace, self.segment, question.currency))

    @cached_property
    def promises(self) -> list[Promise]:
        """What is promised at the ends of the periods asked for."""
        from tenure.measure.committed import CommittedBook

        months, question = self.question.assumed.committed_months, self.question
        return CommittedBook(self.facts, self.definition, self.asked, months, self.segment, question.currency).promises

    # ------------------------------------------------------------------------------------------------- in the engine

    def _look(self) -> tuple[Statement, Look]:
        """The movements, and who belongs to which segment."""
        facts, question = self.facts, self.question
        st = facts.statement()
        shape = states.shape(facts, self.definition)
        column = self.segment.column if self.segment is not None else None
        if column is not None:
            column = column.replace("{text}", facts.engine.dialect.text)
        money = Money()
        if self.conversion is not None and len(self.known) > 1:
            rates = by_day(facts, self.conversion, self.known, self.slices[0].first, self.slices[-1].after)
            money = Money(facts.engine.lend("rates_by_day", rates))
        moved = movements(st, facts, self.definition, shape, self.slices, segment=column, money=money)
        currency = question.currency or (self.known[0] if len(self.known) == 1 else None)
        look = Look(st, facts, shape, self.segment, moved, self.slices, currency)
        look.who = "customer_id"
        return st, look

    def _marks(self, st: Statement, look: Look) -> str:
        rows = [(str(i), str(w.first), str(w.last)) for i, w in enumerate(self.windows)]
        return st.step("asked_windows", look.d.values(rows, ("win", "first_slice", "last_slice")))

    @staticmethod
    def _member(look: Look, item: str) -> tuple[str, str]:
        """The join to a customer's segment at the window's start, and the whole segment's text."""
        if not look.of_customer:
            return "", item if look.of_item else "''"
        join = (
            " LEFT JOIN members AS s ON s.customer_id = b.customer_id "
            "AND b.first_slice BETWEEN s.first_slice AND s.last_slice"
        )
        return join, look.full(item, "s.seg")

    def _rows(self, st: Statement, sql: str) -> Iterator[dict[str, Any]]:
        for batch in self.facts.engine.table(st.render(sql)).to_batches():
            yield from batch.to_pylist()

    @cached_property
    def standings(self) -> list[Standing]:
        """Balances at the start and at the end of each window."""
        st, look = self._look()
        per, marks = look.customer_slices(), self._marks(st, look)
        own = ", b.currency" if look.by_currency else ""
        sums = st.step(
            "opened_balances",
            f"SELECT w.win, w.first_slice, b.customer_id{own}, b.item_seg, "
            "CAST(sum(CASE WHEN b.period < w.first_slice THEN b.net ELSE 0 END) AS DECIMAL(38,0)) AS opening, "
            f"CAST(sum(b.net) AS DECIMAL(38,0)) AS closing FROM {per} AS b JOIN {marks} AS w ON b.period <= w.last_slice "
            f"GROUP BY w.win, w.first_slice, b.customer_id{own}, b.item_seg",
        )
        join, seg = self._member(look, "b.item_seg")
        rows = self._rows(
            st,
            f"SELECT b.win, {seg} AS seg, b.customer_id, {look.currency_in('b')} AS currency, b.opening, b.closing "
            f"FROM {sums} AS b{join} WHERE b.opening <> 0 OR b.closing <> 0",
        )
        return [
            Standing(r["win"], r["seg"], r["customer_id"], r["currency"], int(r["opening"]), int(r["closing"]))
            for r in rows
        ]

    @cached_property
    def moves(self) -> list[Moved]:
        """Every movement of the windows, summed by customer, day and kind."""
        if self.by_cause:
            told = causes.caused(self.facts, self.definition, self.asked, self.conversion, each=True)
            return [
                Moved(
                    r["win"], r["seg"], r["customer_id"], r["currency"], r["day"], r["kind"], int(r["amount"]), int(r["ts"])
                )
                for r in told
            ]  # fmt: skip
        st, look = self._look()
        keys = f"period, {look.seg()}, customer_id, {look.currency}, day, kind"
        rows = self._rows(
            st,
            f"SELECT period AS win, {look.seg()} AS seg, customer_id, {look.currency} AS currency, day, kind, "
            f"{look.d.total('amount')} AS amount, max(ts) AS ts FROM {look.placed()} "
            f"WHERE period >= 0 AND {look.real} GROUP BY {keys}",
        )
        return [
            Moved(
                r["win"], r["seg"], r["customer_id"], r["currency"], r["day"], r["kind"], int(r["amount"]), int(r["ts"])
            )
            for r in rows
        ]

    @cached_property
    def people(self) -> dict[tuple[int, str], tuple[bool, bool, int | None, str]]:
        """Who is a customer before and at the end of each window, when a customer was last lost in it, and where.

        {(window, customer): (before, at the end, microseconds, segment)}; without the item's part of the segment.
        """
        st, look = self._look()
        marks = self._marks(st, look)
        sums = st.step(
            "opened_customers",
            "SELECT w.win, w.first_slice, m.customer_id, "
            "sum(CASE WHEN m.period < w.first_slice THEN m.customer1 - m.customer0 ELSE 0 END) AS was, "
            "sum(m.customer1 - m.customer0) AS stands, "
            "max(CASE WHEN m.period >= w.first_slice AND m.customer0 = 1 AND m.customer1 = 0 THEN m.ts END) AS lost_at "
            f"FROM {look.moved} AS m JOIN {marks} AS w ON m.period <= w.last_slice WHERE m.closes = 1 "
            "GROUP BY w.win, w.first_slice, m.customer_id",
        )
        join, seg = self._member(look, "''")
        rows = self._rows(
            st,
            f"SELECT b.win, {seg} AS seg, b.customer_id, b.was, b.stands, b.lost_at FROM {sums} AS b{join} "
            "WHERE b.was > 0 OR b.stands > 0",
        )
        return {(r["win"], r["customer_id"]): (r["was"] > 0, r["stands"] > 0, r["lost_at"], r["seg"]) for r in rows}

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Customers won and lost: win, seg, customer_id, ts, happened (new, reactivated, churned_<how>)."""
        st, look = self._look()
        actor = " ".join(f"WHEN {code} THEN 'churned_{name}'" for code, name in states.ACTOR_NAMES.items())
        named = (
            "CASE WHEN g.customer0 = 0 AND g.customer1 = 1 THEN CASE WHEN g.first = 1 THEN 'new' ELSE 'reactivated' END "
            f"WHEN g.customer0 = 1 AND g.customer1 = 0 THEN CASE g.actor {actor} END END"
        )
        if not look.of_item:
            source = f"{look.placed()} AS g WHERE g.closes = 1 AND g.period >= 0 AND g.customer0 <> g.customer1"
            seg = look.seg() if look.seg() == "''" else "g.seg"
            return list(
                self._rows(
                    st, f"SELECT g.period AS win, {seg} AS seg, g.customer_id, g.ts, {named} AS happened FROM {source}"
                )
            )
        # As the figure counts them: in every segment in which the group moved money.
        who = st.step(
            "opened_groups",
            "SELECT customer_id, ts, max(customer0) AS customer0, max(customer1) AS customer1, max(actor) AS actor, "
            f"max(first) AS first FROM {look.moved} WHERE closes = 1 GROUP BY customer_id, ts",
        )
        return list(
            self._rows(
                st,
                f"SELECT DISTINCT m.period AS win, m.seg, m.customer_id, m.ts, {named} AS happened FROM {look.placed()} AS m "
                f"JOIN {who} AS g ON g.customer_id = m.customer_id AND g.ts = m.ts "
                "WHERE m.kind IS NOT NULL AND m.period >= 0 AND g.customer0 <> g.customer1",
            )
        )

    def losses(self, each: bool = False) -> Iterator[dict[str, Any]]:
        """Churned MRR by window, segment, currency, day and months since the customer's first payment.

        Rows win, seg, currency, day, tenure (a month that has begun counts), amount (10^-6 minor units, positive); with
        `each` also customer_id, ts and actor, by customer.
        """
        st, look = self._look()
        first = st.step(
            "first_days",
            "SELECT customer_id, min(day) AS start_day FROM "
            f"{look.moved} WHERE closes = 1 AND customer0 = 0 AND customer1 = 1 GROUP BY customer_id",
            says="the day on which each customer first paid",
        )
        seg = look.seg() if look.seg() == "''" else "m.seg"
        currency = look.currency_in("m") if look.by_currency else look.currency
        tenure = f"greatest({months_begun(look.d, 'f.start_day', 'm.day')}, 1)"
        lost = st.step(
            "lost_by_tenure",
            f"SELECT m.period AS win, {seg} AS seg, {currency} AS currency, m.day, {tenure} AS tenure, m.customer_id, "
            f"m.ts, m.actor, -m.amount AS amount FROM {look.placed()} AS m JOIN {first} AS f "
            "ON f.customer_id = m.customer_id WHERE m.kind = 'churn' AND m.period >= 0",
        )
        keys = "win, seg, currency, day, tenure" + (", customer_id" if each else "")
        also = ", max(ts) AS ts, max_by(actor, ts) AS actor" if each else ""
        total = look.d.total("amount")
        return self._rows(st, f"SELECT {keys}, {total} AS amount{also} FROM {lost} GROUP BY {keys} ORDER BY {keys}")

    # ------------------------------------------------------------------------------------------------ in one currency

    def worth(self, amount: int, currency: str, day: int) -> tuple[int, str]:
        """An amount at a day's rate with its currency; where no rate is known it stays what it is, in its own."""
        if self.conversion is None:
            return amount * SCALE, currency
        unit = self.conversion.unit(currency, day)
        if unit is None:
            return amount * SCALE, currency
        return amount * unit, self.conversion.reporting

    def starts(self, window: int) -> int:
        """The day whose rate stands at a window's start."""
        return day_before(self.slices[self.windows[window].first].first)

    def ends(self, window: int) -> int:
        """The day whose rate stands at a window's end."""
        return day_before(self.slices[self.windows[window].last].after)


def _balance(times: int = 1, opening: bool = False, per_head: bool = False) -> Callable[[Opening], Shares]:
    """The balance at the windows' ends (or starts); per head, everybody who pays is one in the denominator."""

    def shares(told: Opening) -> Shares:
        found: Shares = {}
        for row in told.standings:
            micro = row.opening if opening else row.closing
            day = told.starts(row.window) if opening else told.ends(row.window)
            if micro:
                amount, currency = told.worth(micro, row.currency, day)
                share = found.setdefault((row.window, row.seg, currency, row.customer_id), Share())
                share.amount += amount * times
                share.base = 1 if per_head else 0
                share.seen(None, "balance")
        return found

    return shares


balance = _balance()


def _flow(
    *kinds: str, sign: int = 1, below: tuple[str, ...] = (), opening: bool = False
) -> Callable[[Opening], Shares]:
    """Movements of some kinds, times `sign`; in the denominator losses of the kinds `below`, or the opening balance."""

    def shares(told: Opening) -> Shares:
        found: Shares = {}
        for row in told.moves:
            if row.kind in kinds or row.kind in below:
                amount, currency = told.worth(row.amount, row.currency, row.day)
                share = found.setdefault((row.window, row.seg, currency, row.customer_id), Share())
                share.amount += sign * amount if row.kind in kinds else 0
                share.base -= amount if row.kind in below else 0
                share.seen(row.ts, row.kind)
        if opening:
            for key, start in _balance(opening=True)(told).items():
                found.setdefault(key, Share()).base = start.amount
        return found

    return shares


def _fx(told: Opening) -> Shares:
    """What the rates alone did to each customer: the opening balance's change of rate, and each movement's since."""
    found: Shares = {}
    if told.conversion is None:
        return found
    changes = [
        *(
            (row.window, row.seg, row.customer_id, row.currency, row.opening, told.starts(row.window))
            for row in told.standings
        ),
        *((row.window, row.seg, row.customer_id, row.currency, row.amount, row.day) for row in told.moves),
    ]
    for window, seg, customer, currency, micro, day in changes:
        then, now = told.conversion.unit(currency, day), told.conversion.unit(currency, told.ends(window))
        if then is not None and now is not None and micro:
            key = (window, seg, told.conversion.reporting, customer)
            share = found.setdefault(key, Share())
            share.amount += micro * (now - then)
            share.seen(None, "fx")
    return found


def _kept(gross: bool) -> Callable[[Opening], Shares]:
    """Those who paid at the windows' starts: then in the denominator, at the end in the numerator, at the rates of then."""

    def shares(told: Opening) -> Shares:
        by_item = told.segment is not None and told.segment.of_item
        paid = {
            (row.window, row.customer_id, row.seg if by_item else "")
            for row in told.standings
            if row.opening and told.conversion is not None
        }
        found: Shares = {}
        for row in told.standings:
            if told.conversion is None:
                if not row.opening:
                    continue
            elif (row.window, row.customer_id, row.seg if by_item else "") not in paid:
                continue
            day = told.starts(row.window)
            start, currency = told.worth(row.opening, row.currency, day)
            if told.conversion is not None and currency != told.conversion.reporting and not row.opening:
                continue  # a currency that had no rate at the start counts for nothing then
            share = found.setdefault((row.window, row.seg, currency, row.customer_id), Share())
            share.base += start
            share.amount += told.worth(row.closing, row.currency, day)[0]
        for share in found.values():
            less, more = share.amount < share.base, share.amount > share.base
            share.seen(None, "left" if not share.amount else "less" if less else "more" if more else "same")
            if gross:
                share.amount = min(share.amount, share.base)
        return found

    return shares


def _events(*happened: str, out_of: tuple[str, ...] = ()) -> Callable[[Opening], Shares]:
    """Customer events, one each; with `out_of`, those are the denominator."""

    def shares(told: Opening) -> Shares:
        found: Shares = {}
        presumed = {"churned_unknown": "churned_voluntary"} if told.definition.unknown_actor == "voluntary" else {}
        for row in told.events:
            event = presumed.get(row["happened"], row["happened"])
            if event in happened or event in out_of:
                share = found.setdefault((row["win"], row["seg"], None, row["customer_id"]), Share())
                share.amount += event in happened
                share.base += event in out_of
                share.seen(row["ts"], event.removeprefix("churned_"))
        return found

    return shares


def _paying(told: Opening, opening: bool) -> Iterable[tuple[int, str, str]]:
    """Who pays in which segment, in whatever currency: (window, segment, customer)."""
    return dict.fromkeys(
        (row.window, row.seg, row.customer_id) for row in told.standings if (row.opening if opening else row.closing)
    )


def _payers(told: Opening) -> Shares:
    return {
        (window, seg, None, customer): Share(1, what=["paying"])
        for window, seg, customer in _paying(told, opening=False)
    }


def _customers(told: Opening) -> Shares:
    if told.segment is not None and told.segment.of_item:
        return _payers(told)
    return {
        (window, seg, None, customer): Share(1, what=["customer"])
        for (window, customer), (_, stands, _, seg) in told.people.items()
        if stands
    }


def _cells(told: Opening, name: str) -> dict[tuple[int, str, str | None], Cell]:
    """The numbers of one metric by (window, segment as the statements have it, currency)."""
    place = {period.first: i for i, period in enumerate(told.asked)}
    read: dict[str | None, str] = {None: ""}
    if told.segment is not None:
        seen = {row.seg for row in told.standings} | {row["seg"] for row in told.events}
        read |= {json.dumps(told.segment.read(seg)): seg for seg in seen}
    return {
        (place[cell.period.first], seg, cell.currency): cell
        for cell in told.cells
        if cell.metric.name == name
        and (seg := read.get(None if cell.segment is None else json.dumps(cell.segment))) is not None
    }


def _times(name: str) -> Callable[[Opening], Shares]:
    """What each payer's MRR is worth, so many times over, and one head each."""

    def shares(told: Opening) -> Shares:
        cells = _cells(told, name)
        found: Shares = {}
        for key, share in _balance(per_head=True)(told).items():
            cell = cells.get(key[:3])
            if cell is not None and cell.times is not None:
                share.amount = share.amount * cell.times
                found[key] = share
        return found

    return shares


def _spent(told: Opening) -> Shares:
    """Who became a customer, each with an equal share of what was spent."""
    cells = _cells(told, "cac")
    found: Shares = {}
    for row in told.events:
        if row["happened"] == "new":
            for (window, seg, currency), cell in cells.items():
                if (window, seg) == (row["win"], row["seg"]) and cell.value is not None:
                    found[window, seg, currency, row["customer_id"]] = Share(cell.value, 1, row["ts"], ["new"])
    return found


def _lost(told: Opening) -> Shares:
    """Customers at the windows' starts, each one in the denominator; who is none at the end is one in the numerator."""
    if told.segment is not None and told.segment.of_item:
        there = _paying(told, opening=True)
    else:
        there = ((window, seg, customer) for (window, customer), (was, _, _, seg) in told.people.items() if was)
    found: Shares = {}
    for window, seg, customer in there:
        was, stands, lost_at, _ = told.people.get((window, customer), (True, True, None, ""))
        gone = was and not stands
        found[window, seg, None, customer] = Share(
            int(gone), 1, lost_at if gone else None, ["lost" if gone else "stayed"]
        )
    return found


def _due(told: Opening) -> Shares:
    """As _lost, of those alone whose subscription came up for renewal in the window."""
    people = [set(due(told.facts, told.definition, p).column(0).to_pylist()) for p in told.asked]
    return {key: share for key, share in _lost(told).items() if key[3] in people[key[0]]}


def _correction(told: Opening) -> Shares:
    """What each customer's balance at a window's start is now, less what the closed books have; nobody without books."""
    found: Shares = {}
    for window, period in enumerate(told.asked):
        for row in told.corrected(period.first):
            if row["currency"] is not None and row["now"] != row["then"]:
                amount, currency = told.worth(row["now"] - row["then"], row["currency"], told.starts(window))
                share = found.setdefault((window, "", currency, row["customer_id"]), Share())
                share.amount += amount
                share.seen(None, "correction")
    return found


def _opening(told: Opening) -> Shares:
    """The balance at the windows' starts; after a closed month, as its books have it."""
    found = _balance(opening=True)(told)
    for key, share in _correction(told).items():
        found.setdefault(key, Share(what=["balance"])).amount -= share.amount
    return found


def _nobody(told: Opening) -> Shares:
    """A number that is made of no customer."""
    return {}


_GAINS = ("expansion", "reactivation", "resume")
_GONE = ("churn", "contraction", "pause")
_LEFT = tuple(f"churned_{name}" for name in states.ACTOR_NAMES.values())
_OTHER = ("churned_dispute", "churned_fraud", "churned_business")

# What a customer adds to each metric's numerator and denominator; for those not named, how the catalogue says it opens.
RECIPES: dict[str, Callable[[Opening], Shares]] = {
    "arr": _balance(12),
    "mrr_opening": _opening,
    "mrr_correction": _correction,
    "mrr_fx": _fx,
    "arpa": _balance(per_head=True),
    "paying_customers": _payers,
    "quick_ratio": _flow("new", *_GAINS, below=_GONE),
    "gross_mrr_churn_rate": _flow(*_GONE, sign=-1, opening=True),
    "net_mrr_churn_rate": _flow(*_GONE, *_GAINS, sign=-1, opening=True),
    "grr": _kept(gross=True),
    "grr_12m": _kept(gross=True),
    "involuntary_churn_share": _events("churned_involuntary", out_of=_LEFT),
}


def recipe(metric: Metric) -> Callable[[Opening], Shares]:
    """What a customer adds to a metric."""
    if metric.opens.startswith(("usage:", "total:")):
        from tenure.measure.usage_openings import recipe_of_line

        return recipe_of_line(metric)
    if metric.opens.startswith("people:"):
        from tenure.measure.seat_openings import recipe_of_people

        return recipe_of_people(metric)
    if metric.opens.startswith("buyers:"):
        from tenure.measure.buyers_openings import recipe_of_buyers

        return recipe_of_buyers(metric)
    if metric.opens.startswith(("renewals:", "committed:")):
        from tenure.measure.renewal_openings import recipe_of_renewals

        return recipe_of_renewals(metric)
    if metric.name in RECIPES:
        return RECIPES[metric.name]
    opens, _, detail = metric.opens.partition(":")
    if opens == "flow":
        kinds = tuple(detail.split(","))
        return _flow(*kinds, sign=-1 if set(kinds) <= set(LOSSES) else 1)
    if opens == "event":
        happened = {"churned": _LEFT, "other": _OTHER, "new": ("new",), "reactivated": ("reactivated",)}
        return _events(*happened.get(detail, (f"churned_{detail}",)))
    if opens == "times":
        return _times(metric.name)
    return {
        "balance": _balance(),
        "spend": _spent,
        "kept": _kept(gross=False),
        "kept_12m": _kept(gross=False),
        "customers": _customers,
        "lost": _lost,
        "due": _due,
    }.get(opens, _nobody)


# Choices of a definition that change what is made of the movements; listed is what the default makes of them.
_NOT_FOLLOWED = (
    *("net_churn", "quick_ratio", "churn_base", "joiners", "returners", "window_days"),
    *("retention", "retention_of", "fx", "source"),
)


def not_followed(definition: Definition) -> list[str]:
    """The definition's choices because of which listed customers need not add up to a number; none for the default."""
    return [name for name in definition.differs(profile(BASE)) if name in _NOT_FOLLOWED]


def customers(answer: Answer, limit: int | None = None) -> pa.Table:
    """The customers behind every number of an answer, one row each: who adds most (or, to retention, moved it most) first.

    Returns an Arrow table: metric, period_start, segment (JSON text or NULL), customer_id, name, currency, amount, base
    (Decimals; money in major units), at (of the last movement), what (kinds of movement, or what became of the customer).
    The amounts of one number's rows add up to its numerator (to its value, where nothing is divided), the bases to its
    denominator; where a rate is missing, and with it the number, the customer's own currency stands. At most `limit` rows
    of each number.
    """
    import pyarrow as pa

    told: dict[bool, Opening] = {}
    known = names(answer.facts)
    found: list[dict[str, Any]] = []
    for metric in dict.fromkeys(cell.metric for cell in answer.cells):
        if metric.looks_back not in told:
            told[metric.looks_back] = Opening(answer, year=metric.looks_back)
        opening = told[metric.looks_back]
        shares = recipe(metric)(opening)
        moved = metric.opens.startswith("kept")
        read = {seg: _named(opening, seg) for seg in {key[1] for key in shares}}

        def place(item: tuple[Key, Share], moved: bool = moved) -> tuple[object, ...]:
            (window, seg, currency, customer), share = item
            weight = abs(Fraction(share.amount - share.base)) if moved else abs(Fraction(share.amount))
            return window, seg, currency or "", -weight, -abs(Fraction(share.base)), customer

        listed, last = 0, None
        for (window, seg, currency, customer), share in sorted(shares.items(), key=place):
            if not share.amount and not share.base:
                continue
            listed = listed + 1 if last == (window, seg, currency) else 1
            last = (window, seg, currency)
            if limit and listed > limit:
                continue
            divided = metric.unit in ("rate", "ratio") or metric.per_head
            found.append(
                {
                    "metric": metric.name,
                    "period_start": opening.asked[window].first,
                    "segment": read[seg],
                    "customer_id": customer,
                    "name": known.get(customer),
                    "currency": currency,
                    "amount": _told(share.amount, currency),
                    "base": _told(share.base, None if metric.per_head else currency) if divided else None,
                    "at": None if share.at is None else from_micros(share.at),
                    "what": ", ".join(share.what) or None,
                }
            )
    types = {
        "period_start": pa.date32(),
        "amount": pa.decimal128(38, _DECIMALS),
        "base": pa.decimal128(38, _DECIMALS),
        "at": pa.timestamp("us", tz="UTC"),
    }
    order = ("metric", "period_start", "segment", "customer_id", "name", "currency", "amount", "base", "at", "what")
    return pa.table({name: pa.array([row[name] for row in found], types.get(name, pa.string())) for name in order})


def _named(opening: Opening, seg: str) -> str | None:
    return None if opening.segment is None else json.dumps(opening.segment.read(seg), ensure_ascii=False)


def _told(value: int | Fraction, currency: str | None) -> Decimal:
    """A share as a Decimal: money in major units, rounded half-even once to _DECIMALS; counts as they are."""
    if currency is None:
        return Decimal(int(value))
    exact = Fraction(value) / (SCALE * 1_000_000 * 10 ** exponent(currency))
    return Decimal(round(exact * 10**_DECIMALS)).scaleb(-_DECIMALS)
