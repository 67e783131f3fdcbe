"""What should every number be? A second program for docs/explanation/movements.md, written apart from the product.

Plain Python, exact integers and fractions, no SQL, no numpy, nothing of `tenure`. Slow and short on purpose: every
value of an item is worked out afresh from its states at the instant asked for, and every balance is a sum of such
values. Movements are made separately, and every answer is checked against the balances: two ways that must agree.

    reference = Reference(facts, zone="UTC", known_on=instant)            one row per dict, tables by name
    reference.movements()                                                 what moved, row by row
    reference.customer_events()                                           who came, left and came back, and why
    reference.period(date(2025, 1, 1), date(2025, 2, 1), by=("plan_id",))   the lines of one period

Money is counted in micro units: 10^-6 of the currency's minor unit. A reporting currency makes fractions of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]
Facts = Mapping[str, Sequence[Row]]
Segment = tuple[Any, ...]

TICK = timedelta(microseconds=1)  # nothing is recorded finer, so "just before t" is t - TICK
MICRO = 10**6
MINOR_DIGITS = {"JPY": 0, "USD": 2, "EUR": 2, "THB": 2, "GBP": 2, "KWD": 3}

KEYS = {
    "customers": ("customer_id",),
    "traits": ("customer_id", "trait", "effective_at"),
    "subscription_spans": ("subscription_id", "item_id", "started_at"),
    "subscription_states": ("subscription_id", "item_id", "effective_at"),
    "rates": ("day", "currency"),
}
HAPPENED = ("ended_at", "cancel_requested_at")  # columns that tell of something that has happened

CANCELLATION = ("cancel_actor", "cancel_reason", "cancel_comment")  # hidden with it

ITEM_COLUMNS = ("plan_id", "product_id", "interval", "currency")  # segments that belong to an item
CUSTOMER_COLUMNS = ("channel", "country")  # segments that are columns of `customers`; every other name is a trait

FACTOR = {
    "day": Fraction(365, 12),
    "week": Fraction(365, 84),
    "month": Fraction(1),
    "quarter": Fraction(1, 3),
    "year": Fraction(1, 12),
}
DEAD = {"canceled", "unpaid", "incomplete", "incomplete_expired", "scheduled"}
SAID_BY_A_SPAN = {
    "past_due",
    "paused",
    "unpaid",
    "non_renewing",
    "incomplete",
    "incomplete_expired",
    "scheduled",
    "trialing",
}
CAUSE_OF_ACTOR = {
    "customer": "voluntary",
    "dunning": "involuntary",
    "dispute": "dispute",
    "fraud": "fraud",
    "business": "business",
}
CAUSES = ("voluntary", "involuntary", "dispute", "fraud", "business", "unknown")  # the first that one of them says
KINDS = ("new", "reactivation", "resume", "expansion", "contraction", "pause", "churn")
GAINS = ("new", "reactivation", "resume", "expansion")
LOSSES = ("contraction", "pause", "churn")


class NoRateKnown(Exception):
    """No exchange rate of that currency up to that day."""


# --- 1. What we knew --------------------------------------------------------------------------------------------------


def known(table: str, rows: Iterable[Row], known_on: datetime) -> list[Row]:
    """The rows of a table as they were known before an instant: the latest of each key, without those taken back."""
    latest: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        if row["recorded_at"] >= known_on:
            continue
        key = tuple(row[column] for column in KEYS[table])
        if key not in latest or _order(latest[key]) < _order(row):
            latest[key] = row
    return [_without_the_future(row, known_on) for row in latest.values() if not row.get("retracted")]


def _order(row: Row) -> tuple[Any, ...]:
    version = row.get("version")
    return (row["recorded_at"], version is not None, version or 0, row.get("row_hash") or 0)


def _without_the_future(row: Row, known_on: datetime) -> Row:
    seen = dict(row)
    asked = row.get("cancel_requested_at") or row.get("ended_at")  # a span may say when it ended but not who asked when
    if asked is not None and asked >= known_on:
        seen |= dict.fromkeys(CANCELLATION)
    for column in HAPPENED:
        if seen.get(column) is not None and seen[column] >= known_on:
            seen[column] = None
    return seen


# --- 2. Spans become states -------------------------------------------------------------------------------------------


def states_of_spans(spans: Sequence[Row]) -> list[Row]:
    """What the spans of one item say it was, from instant to instant."""
    lasting = [span for span in spans if span["ended_at"] is None or span["ended_at"] > span["started_at"]]
    starts, ends = [], {}
    for span in sorted(lasting, key=lambda span: span["started_at"]):
        status = span["status"] if span["status"] in SAID_BY_A_SPAN else "active"
        if span["trial_ends_at"] is not None and span["trial_ends_at"] > span["started_at"]:
            status = "trialing"
        start = {**span, "effective_at": span["started_at"], "status": status}
        starts.append(start if status == "non_renewing" else start | dict.fromkeys(CANCELLATION))
        ended = span["ended_at"]
        if ended is not None and not any(_covers(other, ended) for other in lasting):
            ends[ended] = {**span, "effective_at": ended, "status": "canceled"}  # of two that end at once, the later
    return starts + list(ends.values())


def _covers(span: Row, at: datetime) -> bool:
    return bool(span["started_at"] <= at and (span["ended_at"] is None or at < span["ended_at"]))


# --- 3. and 4. What a state is worth, and what an item is at an instant ----------------------------------------------


@dataclass(frozen=True)
class Value:
    """What an item is at one instant. `state` is the row that says so."""

    mrr: int = 0
    live: bool = False
    paused: bool = False
    state: Row = field(default_factory=dict, compare=False)

    @property
    def listed(self) -> bool:
        """Whether it is live and somebody would pay for it but for a discount or a pause: it is no free plan."""
        return self.live and (self.state.get("amount_minor") or 0) > 0

    @property
    def columns(self) -> dict[str, Any]:
        """The segments the item's MRR is in."""
        return {name: self.state.get(name) for name in ITEM_COLUMNS}

    @property
    def seen(self) -> tuple[Any, ...]:
        """What makes an event when it changes."""
        return (self.mrr, self.columns["currency"] if self.mrr else None, self.live, self.paused, self.listed)


NOTHING = Value()


def worth(state: Row) -> int:
    """The monthly recurring revenue of a state in micro units."""
    if state.get("is_metered"):
        base = state.get("minimum_commit_minor") or 0
    else:
        tax = (state.get("tax_minor") or 0) if state.get("tax_inclusive") else 0
        base = max(0, state["amount_minor"] - tax - (state.get("discount_forever_minor") or 0))
    count = state.get("interval_count") or 1
    factor = FACTOR[state["interval"]]
    if state["interval"] == "week" and count % 4 == 0:
        factor = Fraction(13, 3)  # thirteen times four weeks are a year
    return round(base * factor / count * MICRO)  # half-even


@dataclass(frozen=True)
class Item:
    """One line of one subscription: its states in the order of time."""

    name: tuple[str, str]
    customer: str
    states: tuple[Row, ...]
    _asked: dict[datetime, Value] = field(default_factory=dict, compare=False, repr=False)

    def at(self, t: datetime) -> Value:
        """What the item is at instant t."""
        if t not in self._asked:
            self._asked[t] = self._at(t)
        return self._asked[t]

    def _at(self, t: datetime) -> Value:
        past = [state for state in self.states if state["effective_at"] <= t]
        if not past:
            return NOTHING
        state = past[-1]
        nothing = Value(state=state)
        if state["status"] in DEAD:
            return nothing
        end = end_of(state)
        if end is not None and t >= end:
            return nothing
        if state["status"] == "trialing" and (state["trial_ends_at"] is None or t < state["trial_ends_at"]):
            return nothing
        begun = pause_begin(past)
        resumed = state.get("resumes_at") is not None and state["resumes_at"] <= t
        if begun is not None and begun <= t and not resumed:
            if t >= six_months_after(begun):
                return nothing
            return Value(live=True, paused=True, state=state)
        return Value(mrr=worth(state), live=True, state=state)

    def instants(self) -> Iterator[datetime]:
        """Every instant at which the item may change, and some at which it does not."""
        for count, state in enumerate(self.states, start=1):
            yield state["effective_at"]
            begun = pause_begin(self.states[:count])
            if begun is not None:
                yield from (begun, six_months_after(begun))
            for column in ("cancel_at", "term_ends_at", "period_end", "trial_ends_at", "resumes_at"):
                if state.get(column) is not None:
                    yield state[column]


def end_of(state: Row) -> datetime | None:
    """When the state says that the item ends."""
    columns = ["cancel_at"]
    if state["status"] == "non_renewing":
        columns += ["term_ends_at", "period_end"]
    return next((state[column] for column in columns if state.get(column) is not None), None)


def is_pause(state: Row) -> bool:
    """Whether the state asks for a pause."""
    return state["status"] == "paused" or bool(state.get("collection_paused"))


def pause_begin(past: Sequence[Row]) -> datetime | None:
    """When the pause of the last of these states began or will begin; None where that state asks for none."""
    begin: datetime | None = None
    resumes: datetime | None = None
    for state in past:
        if not is_pause(state):
            begin = resumes = None
            continue
        if resumes is not None and resumes <= state["effective_at"]:
            begin = None  # the pause before was over: this is another one
        asked = state["effective_at"]
        if state["status"] != "paused" and state.get("period_end") is not None:
            asked = max(asked, state["period_end"])
        begin = asked if begin is None else min(begin, asked)
        resumes = state.get("resumes_at")
    return begin


def add_months(day: date, months: int) -> date:
    """The same day of another month, or that month's last day where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(last, day.day))
        except ValueError:
            continue
    raise AssertionError(day)


@lru_cache(maxsize=10_000)
def six_months_after(at: datetime) -> datetime:
    """Six calendar months later in UTC, at the same time of the day."""
    at = at.astimezone(UTC)
    return datetime.combine(add_months(at.date(), 6), at.timetz())


# --- 5. and 6. Events, groups, movements ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Movement:
    """One signed change of one item's MRR. `columns` are the segments it happened in."""

    customer: str
    at: datetime
    kind: str
    micro: int
    currency: str
    item: tuple[str, str]
    columns: Mapping[str, Any] = field(compare=False)
    is_rest: bool = field(compare=False)  # shares its kind with the rest of its group


@dataclass(frozen=True)
class CustomerEvent:
    """Somebody became a customer (new, reactivated) or ceased to be one (churned, with its cause)."""

    customer: str
    at: datetime
    kind: str
    cause: str | None = None


@dataclass(frozen=True)
class Transfer:
    """An item went on at the same MRR in other segments: no movement, but those segments' balances change."""

    customer: str
    at: datetime
    micro: int
    currency: str
    left: Mapping[str, Any] = field(compare=False)
    entered: Mapping[str, Any] = field(compare=False)


@dataclass
class History:
    """Everything that ever happened to one customer's MRR."""

    movements: list[Movement] = field(default_factory=list)
    events: list[CustomerEvent] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)


def sums(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """The sum of the amounts of each key."""
    total: dict[Any, Any] = defaultdict(int)
    for key, amount in pairs:
        total[key] += amount
    return dict(total)


# --- 7. Periods -------------------------------------------------------------------------------------------------------


@dataclass
class Lines:
    """The roll-forward of one segment in one currency, in micro units; losses are positive."""

    opening: Fraction = Fraction(0)
    new: Fraction = Fraction(0)
    reactivation: Fraction = Fraction(0)
    resume: Fraction = Fraction(0)
    expansion: Fraction = Fraction(0)
    contraction: Fraction = Fraction(0)
    pause: Fraction = Fraction(0)
    churn: Fraction = Fraction(0)
    entering: Fraction = Fraction(0)
    leaving: Fraction = Fraction(0)
    fx: Fraction = Fraction(0)
    closing: Fraction = Fraction(0)
    paying: int = 0  # customers with MRR in this currency at the end
    nrr: tuple[Fraction, Fraction] = (Fraction(0), Fraction(0))  # numerator, denominator
    grr: tuple[Fraction, Fraction] = (Fraction(0), Fraction(0))
    nrr_12m: tuple[Fraction, Fraction] = (Fraction(0), Fraction(0))
    grr_12m: tuple[Fraction, Fraction] = (Fraction(0), Fraction(0))

    def rolls_forward(self) -> bool:
        """Whether opening and movements give closing, exactly."""
        gained = self.new + self.reactivation + self.resume + self.expansion + self.entering
        lost = self.contraction + self.pause + self.churn + self.leaving
        return self.opening + gained - lost + self.fx == self.closing

    def rates(self) -> dict[str, Fraction | None]:
        """The rates of the metric table; None where there is nothing to divide by."""
        losses = self.churn + self.contraction + self.pause
        gains = self.expansion + self.reactivation + self.resume
        return {
            "gross_mrr_churn_rate": ratio(losses, self.opening),
            "net_mrr_churn_rate": ratio(losses - gains, self.opening),
            "quick_ratio": ratio(self.new + gains, losses),
            "arpa": ratio(self.closing, self.paying),
            "nrr": ratio(*self.nrr),
            "grr": ratio(*self.grr),
            "nrr_12m": ratio(*self.nrr_12m),
            "grr_12m": ratio(*self.grr_12m),
        }


@dataclass
class Counts:
    """The customers of one segment in one period."""

    opening: int = 0
    new: int = 0
    reactivated: int = 0
    churned: int = 0
    closing: int = 0
    paying: int = 0
    base_lost: int = 0
    causes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CAUSES, 0))

    @property
    def churn_rate(self) -> Fraction | None:
        """Customers of the start who are none at the end, of the customers of the start."""
        return ratio(self.base_lost, self.opening)


def ratio(numerator: Fraction | int, denominator: Fraction | int) -> Fraction | None:
    """The quotient, or None where there is nothing to divide by."""
    return Fraction(numerator) / denominator if denominator else None


@dataclass
class Period:
    """One period's answer: money by (segment, currency), customers by segment."""

    money: dict[tuple[Segment, str], Lines]
    counts: dict[Segment, Counts]


class Reference:
    """All answers about one company's facts as known at an instant, with money in one reporting currency or in each."""

    def __init__(self, facts: Facts, *, zone: str, known_on: datetime, reporting: str | None = None) -> None:
        self.zone = ZoneInfo(zone)
        self.known_on = known_on
        self.reporting = reporting
        tables = {table: known(table, facts.get(table, ()), known_on) for table in KEYS}
        self.about = {row["customer_id"]: row for row in tables["customers"]}
        self.traits = tables["traits"]
        self.items = self._items(tables["subscription_spans"], tables["subscription_states"])
        self.per_usd: dict[str, list[tuple[date, Fraction]]] = defaultdict(list)
        for row in sorted(tables["rates"], key=lambda row: row["day"]):
            if self.midnight(row["day"]) < known_on:
                self.per_usd[row["currency"]].append((row["day"], Fraction(row["per_usd"])))

    # who is who

    def root(self, customer: str) -> str:
        """The customer that this one was merged into in the end, or itself."""
        target = self.about.get(customer, {}).get("merged_into")
        return customer if target is None else self.root(target)

    def is_test(self, customer: str) -> bool:
        """Whether the customer, after all merging, is a test customer."""
        return bool(self.about.get(self.root(customer), {}).get("is_test"))

    @property
    def test_customers(self) -> int:
        """How many customers are left out because they are tests."""
        return len({self.root(name) for name in self.about if self.is_test(name)})

    def _items(self, spans: Sequence[Row], states: Sequence[Row]) -> list[Item]:
        told: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in spans:
            told[row["subscription_id"], row["item_id"]].append(row)
        told = {name: states_of_spans(rows) for name, rows in told.items()}
        by_states: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in states:
            by_states[row["subscription_id"], row["item_id"]].append(row)
        told |= by_states
        items = []
        for name, rows in sorted(told.items()):
            customers = {self.root(row["customer_id"]) for row in rows}
            assert len(customers) <= 1, f"{name} belongs to several customers: {customers}"
            for customer in customers:
                if not self.is_test(customer):
                    items.append(Item(name, customer, tuple(sorted(rows, key=lambda row: row["effective_at"]))))
        return items

    @cached_property
    def items_of(self) -> dict[str, list[Item]]:
        """Every customer's items."""
        found: dict[str, list[Item]] = defaultdict(list)
        for item in self.items:
            found[item.customer].append(item)
        return dict(found)

    # time

    def midnight(self, day: date) -> datetime:
        """The instant at which a day begins in the company's zone."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC)

    def day(self, at: datetime) -> date:
        """The company's calendar day of an instant."""
        return at.astimezone(self.zone).date()

    def _before(self, t: datetime) -> datetime:
        """The last instant before t that counts: nothing does at or after the known-on instant."""
        return min(t, self.known_on) - TICK

    # exchange rates

    def rate(self, currency: str, day: date) -> Fraction:
        """Units of a currency for one US dollar on a day: the last one known up to then."""
        if currency == "USD":
            return Fraction(1)
        past = [per_usd for rate_day, per_usd in self.per_usd[currency] if rate_day <= day]
        if not past:
            raise NoRateKnown(f"{currency} on {day}")
        return past[-1]

    def convert(self, micro: int | Fraction, currency: str, day: date) -> Fraction:
        """An amount in micro units as micro units of the reporting currency at a day's rate; without one, itself."""
        if self.reporting is None or currency == self.reporting or micro == 0:
            return Fraction(micro)
        unit = Fraction(round(self.rate(self.reporting, day) / self.rate(currency, day) * 10**12), 10**12)
        return micro * unit * Fraction(10) ** (MINOR_DIGITS[self.reporting] - MINOR_DIGITS[currency])

    # movements

    def movements(self) -> list[Movement]:
        """Every row that moved, by customer and time."""
        return [row for history in self._histories.values() for row in history.movements]

    def customer_events(self) -> list[CustomerEvent]:
        """Everybody who came, left or came back."""
        return [event for history in self._histories.values() for event in history.events]

    @cached_property
    def _histories(self) -> dict[str, History]:
        return {customer: self._history(customer, items) for customer, items in self.items_of.items()}

    def _instants(self, items: Sequence[Item]) -> list[datetime]:
        return sorted(
            {
                t
                for item in items
                for t in item.instants()
                if t < self.known_on and item.at(t).seen != item.at(t - TICK).seen
            }
        )

    def _groups(self, items: Sequence[Item]) -> list[list[datetime]]:
        groups: list[list[datetime]] = []
        for t in self._instants(items):
            last = groups[-1][-1] if groups else None
            joins = (
                last is not None
                and self.day(last) == self.day(t)
                and (t - last <= timedelta(minutes=60) or not any(item.at(t - TICK).live for item in items))
            )
            if joins:
                groups[-1].append(t)
            else:
                groups.append([t])
        return groups

    def _history(self, customer: str, items: Sequence[Item]) -> History:
        history = History()
        movements, events = history.movements, history.events
        taken: dict[tuple[str, str], Value] = {}  # what items were just before they paused, those that paid
        ever = False
        for group in self._groups(items):
            before = {item.name: item.at(group[0] - TICK) for item in items}
            after = {item.name: item.at(group[-1]) for item in items}
            ever_before = ever
            ever = ever or any(item.at(t).mrr for item in items for t in group)
            paying_before, paying_after = any(v.mrr for v in before.values()), any(v.mrr for v in after.values())
            was_customer = ever_before and any(v.live for v in before.values())
            is_customer = ever and any(v.live for v in after.values())
            at = group[-1]

            rest: list[tuple[tuple[str, str], int, Value]] = []  # item, signed micro units, where it happened
            gone: list[tuple[tuple[str, str], int, Value]] = []  # the same of paused items that left
            for item in items:
                steps = [(item.at(t - TICK), item.at(t)) for t in group if item.at(t).seen != item.at(t - TICK).seen]
                if not steps:
                    continue
                first, last, had = steps[0][0], steps[-1][1], taken.get(item.name)
                rows = [(item.name, micro, v) for old, new in steps for micro, v in ((-old.mrr, old), (new.mrr, new))]
                if first.mrr and last.paused:
                    movements += [self._row(customer, at, "pause", *row) for row in rows if row[1]]
                elif first.paused and had and last.mrr:
                    movements += [self._row(customer, at, "resume", *row) for row in rows if row[1]]
                else:
                    rest += rows
                    if first.paused and had and not last.live:
                        movements.append(self._row(customer, at, "resume", item.name, had.mrr, had))
                        gone.append((item.name, -had.mrr, had))
                for old, new in steps:
                    if new.paused and not old.paused:
                        taken.pop(item.name, None)
                        if old.mrr:
                            taken[item.name] = old

            kind_of = self._kinds(
                [(value.columns["currency"], micro) for _, micro, value in rest + gone if micro],
                self.day(at),
                shape=(paying_before, paying_after),
                ever_before=ever_before,
                was_customer=was_customer,
                is_customer=is_customer,
                priced_before=any(v.paused or v.listed for v in before.values()),
                priced_after=any(v.paused or v.listed for v in after.values()),
            )
            idle = not paying_before and not paying_after
            for name, micro, value in rest:
                if micro:
                    kind = "expansion" if idle else kind_of(value.columns["currency"])  # idle: they sum to zero
                    movements.append(self._row(customer, at, kind, name, micro, value, is_rest=True))
            for name, micro, value in gone:
                kind = kind_of(value.columns["currency"])
                movements.append(self._row(customer, at, kind, name, micro, value, is_rest=True))

            if is_customer and not was_customer:
                events.append(CustomerEvent(customer, at, "reactivated" if ever_before else "new"))
            if was_customer and not is_customer:
                events.append(CustomerEvent(customer, at, "churned", cause(items, at)))
        for item in items:
            for t in sorted(set(item.instants())):
                old, new = item.at(t - TICK), item.at(t)
                if t < self.known_on and old.mrr and old.seen == new.seen and old.columns != new.columns:
                    currency = new.columns["currency"]
                    history.transfers.append(Transfer(customer, t, new.mrr, currency, old.columns, new.columns))
        return history

    def _row(
        self,
        customer: str,
        at: datetime,
        kind: str,
        item: tuple[str, str],
        micro: int,
        value: Value,
        *,
        is_rest: bool = False,
    ) -> Movement:
        return Movement(customer, at, kind, micro, value.columns["currency"], item, value.columns, is_rest)

    def _kinds(
        self,
        rest: Sequence[tuple[str, int]],
        day: date,
        *,
        shape: tuple[bool, bool],
        ever_before: bool,
        was_customer: bool,
        is_customer: bool,
        priced_before: bool,
        priced_after: bool,
    ) -> Callable[[str], str]:
        """Which kind the rest of a group is, by currency."""

        def by_sign(currency: str) -> str:
            if self.reporting is None:
                total: int | Fraction = sum(micro for other, micro in rest if other == currency)
            else:
                total = sum(self.convert(micro, other, day) for other, micro in rest)
            return "contraction" if total < 0 else "expansion"

        match shape:
            case (False, True):
                if not was_customer:
                    return lambda _: "reactivation" if ever_before else "new"
                return by_sign if priced_before else lambda _: "reactivation"
            case (True, False):
                return lambda _: "contraction" if is_customer and priced_after else "churn"
            case (False, False):
                return lambda _: "contraction" if is_customer else "churn"
        return by_sign

    # balances, straight from the items

    def balances(self, t: datetime) -> list[tuple[Item, Value]]:
        """Every item with MRR just before t, and what it was."""
        at = self._before(t)
        return [(item, value) for item in self.items if (value := item.at(at)).mrr]

    def is_customer(self, customer: str, t: datetime) -> bool:
        """Whether somebody was a customer just before t: something live, and paid at some time until then."""
        items = self.items_of[customer]
        at = self._before(t)
        if not any(item.at(at).live for item in items):
            return False
        return any(item.at(then).mrr for item in items for then in item.instants() if then <= at)

    # periods

    def period(self, first: date, after: date, by: tuple[str, ...] = ()) -> Period:
        """The lines of the days [first, after), for every segment of `by` that has any.

        `by` holds names of item columns (they move with the item) and of customer columns or traits (taken at the
        start of the period, or when the customer joins within it).
        """
        start, end = self.midnight(first), self.midnight(after)
        groups_of_customers = tuple(name for name in by if name not in ITEM_COLUMNS)
        segment_of_customer = {
            customer: dict(zip(groups_of_customers, values, strict=True))
            for customer in self.items_of
            if (values := self._segment(customer, start, end, groups_of_customers)) is not None
        }

        # Who joins and leaves within an hour moves by nothing and has no segment: the unknown one holds the zeros.
        nowhere = dict.fromkeys(groups_of_customers)

        def segment(customer: str, columns: Mapping[str, Any]) -> Segment:
            own = segment_of_customer.get(customer, nowhere)
            return tuple(columns[name] if name in ITEM_COLUMNS else own[name] for name in by)

        money: dict[tuple[Segment, str], Lines] = defaultdict(Lines)

        def lines(where: Segment, currency: str) -> Lines:
            return money[where, self.reporting or currency]

        day_before = timedelta(days=1)
        for item, value in self.balances(start):
            currency = value.columns["currency"]
            lines(segment(item.customer, value.columns), currency).opening += self.convert(
                value.mrr, currency, first - day_before
            )
        paying: dict[tuple[Segment, str], set[str]] = defaultdict(set)
        for item, value in self.balances(end):
            currency = value.columns["currency"]
            where = segment(item.customer, value.columns)
            lines(where, currency).closing += self.convert(value.mrr, currency, after - day_before)
            paying[where, self.reporting or currency].add(item.customer)
        for key, names in paying.items():
            money[key].paying = len(names)
        if self.reporting is not None:
            self._add_fx(first, after, segment, lines)
        self._add_movements(start, end, segment, lines)
        self._add_retention(first, after, by, money, "nrr", "grr")
        self._add_retention(add_months(after, -12), after, by, money, "nrr_12m", "grr_12m")

        for key, found in money.items():
            assert found.rolls_forward(), f"{key} from {first} to {after} does not roll forward: {found}"
        if set(by) <= set(groups_of_customers):
            counts = self._counts(start, end, {name: tuple(own.values()) for name, own in segment_of_customer.items()})
        else:
            counts = {}
        return Period(dict(money), counts)

    def _segment(self, customer: str, start: datetime, end: datetime, names: tuple[str, ...]) -> Segment | None:
        """The customer's segments in a period; None for somebody who is no customer at any time of it."""
        if self.is_customer(customer, start):
            at = start
        else:
            joined = [
                event.at
                for event in self._histories[customer].events
                if event.kind != "churned" and start <= event.at < end
            ]
            if not joined:
                return None
            at = min(joined)
        return tuple(self._characteristic(customer, name, at) for name in names)

    def _characteristic(self, customer: str, name: str, at: datetime) -> Any:
        if name in CUSTOMER_COLUMNS:
            return self.about.get(customer, {}).get(name)
        rows = [row for row in self.traits if row["customer_id"] == customer and row["trait"] == name]
        dated = [row for row in rows if row["effective_at"] is not None and row["effective_at"] <= at]
        if dated:
            return max(dated, key=lambda row: row["effective_at"])["value"]
        return next((row["value"] for row in rows if row["effective_at"] is None), None)

    def _add_fx(
        self,
        first: date,
        after: date,
        segment: Callable[[str, Mapping[str, Any]], Segment],
        lines: Callable[[Segment, str], Lines],
    ) -> None:
        day = first
        while day < after:
            for item, value in self.balances(self.midnight(day)):
                currency = value.columns["currency"]
                today = self.convert(value.mrr, currency, day)
                yesterday = self.convert(value.mrr, currency, day - timedelta(days=1))
                lines(segment(item.customer, value.columns), currency).fx += today - yesterday
            day += timedelta(days=1)

    def _add_movements(
        self,
        start: datetime,
        end: datetime,
        segment: Callable[[str, Mapping[str, Any]], Segment],
        lines: Callable[[Segment, str], Lines],
    ) -> None:
        rest: dict[tuple[Any, ...], list[tuple[Segment, int]]] = defaultdict(list)
        for row in self.movements():
            if not start <= row.at < end:
                continue
            where = segment(row.customer, row.columns)
            if row.is_rest and row.kind in ("expansion", "contraction"):
                rest[row.customer, row.at, row.kind, row.currency].append((where, row.micro))
            else:
                amount = self.convert(row.micro, row.currency, self.day(row.at))
                _add(lines(where, row.currency), row.kind, amount)
        for (_, at, kind, currency), changes in rest.items():
            for where, (leaving, entering, remainder) in split(sums(changes)).items():
                found = lines(where, currency)
                found.leaving += self.convert(leaving, currency, self.day(at))
                found.entering += self.convert(entering, currency, self.day(at))
                _add(found, kind, self.convert(remainder, currency, self.day(at)))
        for history in self._histories.values():
            for move in history.transfers:
                left, entered = segment(move.customer, move.left), segment(move.customer, move.entered)
                if start <= move.at < end and left != entered:
                    amount = self.convert(move.micro, move.currency, self.day(move.at))
                    lines(left, move.currency).leaving += amount
                    lines(entered, move.currency).entering += amount

    def _add_retention(
        self, first: date, after: date, by: tuple[str, ...], money: dict[tuple[Segment, str], Lines], nrr: str, grr: str
    ) -> None:
        """What those who paid at the start pay at the end, both at the rates of the start, by customer and segment."""
        start, end = self.midnight(first), self.midnight(after)
        rate_day = first - timedelta(days=1)

        def held(t: datetime) -> dict[Any, Fraction]:
            found = []
            for item, value in self.balances(t):
                if not self.is_customer(item.customer, start):
                    continue
                where = tuple(
                    value.columns[name] if name in ITEM_COLUMNS else self._characteristic(item.customer, name, start)
                    for name in by
                )
                currency = value.columns["currency"]
                key = (item.customer, where, self.reporting or currency)
                found.append((key, self.convert(value.mrr, currency, rate_day)))
            return sums(found)

        at_start, at_end = held(start), held(end)
        for (customer, where, currency), base in at_start.items():
            kept = at_end.get((customer, where, currency), Fraction(0))
            found = money[where, currency]
            for name, amount in ((nrr, kept), (grr, min(kept, base))):
                above, below = getattr(found, name)
                setattr(found, name, (above + amount, below + base))

    def _counts(self, start: datetime, end: datetime, segments: Mapping[str, Segment]) -> dict[Segment, Counts]:
        counts: dict[Segment, Counts] = defaultdict(Counts)
        paying = {item.customer for item, _ in self.balances(end)}
        for customer, where in segments.items():
            found = counts[where]
            at_start, at_end = self.is_customer(customer, start), self.is_customer(customer, end)
            found.opening += at_start
            found.closing += at_end
            found.base_lost += at_start and not at_end
            found.paying += customer in paying
            came = [event for event in self._histories[customer].events if start <= event.at < end]
            for event in came:
                setattr(found, event.kind, getattr(found, event.kind) + 1)
                if event.cause is not None:
                    found.causes[event.cause] += 1
            came_and_left = sum(-1 if event.kind == "churned" else 1 for event in came)
            assert at_start + came_and_left == at_end, f"{customer} from {start} to {end}: {came}"
        return dict(counts)


def _add(lines: Lines, kind: str, amount: Fraction | int) -> None:
    setattr(lines, kind, getattr(lines, kind) + (-amount if kind in LOSSES else amount))


def split(changes: Mapping[Segment, int]) -> dict[Segment, tuple[int, int, int]]:
    """(leaving, entering, remainder) of each segment: what the losers lose enters the gainers, by their gain."""
    lost = -sum(amount for amount in changes.values() if amount < 0)
    gained = sum(amount for amount in changes.values() if amount > 0)
    if not lost or not gained:
        return {where: (0, 0, amount) for where, amount in changes.items()}
    found = {}
    so_far = 0
    for where, amount in sorted(changes.items(), key=lambda pair: [name or "" for name in pair[0]]):
        if amount < 0:
            found[where] = (-amount, 0, 0)
        else:
            entering = lost * (so_far + amount) // gained - lost * so_far // gained
            so_far += amount
            found[where] = (0, entering, amount - entering)
    return found


def cause(items: Sequence[Item], at: datetime) -> str:
    """Why a customer left: what the states say that ended the last live items, the first of CAUSES that one says."""
    found = []
    for item in items:
        now = item.at(at)
        if item.at(at - TICK).live and not now.live:
            said = CAUSE_OF_ACTOR.get(now.state.get("cancel_actor") or "")
            found.append(said or ("involuntary" if now.state["status"] == "unpaid" else "unknown"))
    return min(found, key=CAUSES.index)
