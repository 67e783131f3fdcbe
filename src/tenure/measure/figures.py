"""What do a period's sums say? The small exact table out of which every metric is computed in plain Python.

Money here is an integer of 10^-16 of a 10^-6 minor unit (see currencies.SCALE), converted or in its own currency.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from tenure.kernel.time import Period
from tenure.lake.portable import day_number
from tenure.measure.currencies import SCALE, Conversion, day_before
from tenure.measure.definition import BASE, Definition, profile
from tenure.measure.worth import Worth

if TYPE_CHECKING:
    import pyarrow as pa

    from tenure.measure.buyers import BuyerFigures
    from tenure.measure.committed import Committed
    from tenure.measure.renewal_book import RenewalFigures
    from tenure.measure.seats import PeopleFigures
    from tenure.measure.usage_revenue import UsageFigures

CHURNED = tuple(f"churned_{name}" for name in ("voluntary", "involuntary", "dispute", "fraud", "business", "unknown"))
FLOWS = ("new", "reactivation", "resume", "expansion", "contraction", "pause", "churn", "entering", "leaving")
LOSSES = ("contraction", "pause", "churn", "leaving")


@dataclass
class Retention:
    """Those who paid at a window's start: their MRR then (all of it), what was lost of it and the net change."""

    opening: int = 0
    loss: Fraction = Fraction(0)  # scaled like money
    net: Fraction = Fraction(0)
    moved: int = 0
    net_squared: float = 0.0
    crossed: float = 0.0
    squares: float | None = 0.0
    customers: int = 0
    reason: str = ""

    def plus(self, other: Retention) -> Retention:
        """Both together: of people whom no customer belongs to twice."""
        return Retention(
            self.opening + other.opening,
            self.loss + other.loss,
            self.net + other.net,
            self.moved + other.moved,
            self.net_squared + other.net_squared,
            self.crossed + other.crossed,
            None if self.squares is None or other.squares is None else self.squares + other.squares,
            self.customers + other.customers,
            self.reason or other.reason,
        )


@dataclass
class Figures:
    """One period of one segment in one currency (or converted, or without money: currency None)."""

    period: Period
    segment: str
    currency: str | None
    opening: int = 0
    flows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FLOWS, 0))
    fx: int = 0
    closing: int = 0
    squares: float | None = 0.0  # of the opening balances
    customers_open: int = 0
    customers_close: int = 0
    paying_open: int = 0
    paying_close: int = 0
    events: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lost: int = 0
    kept: Retention = field(default_factory=Retention)
    kept_12m: Retention | None = None
    reason: str = ""  # why money has no value
    provisional: bool = False
    definition: Definition = field(default_factory=lambda: profile(BASE))
    turnover: dict[str, int] = field(default_factory=dict)  # see totals: base_events, passers
    days: tuple[tuple[int, int, int], ...] | None = None  # each day's (customers at its start, who left, at its end)
    windows: dict[int, Figures] = field(default_factory=dict)  # by days before the end: what churn rates see
    kept_alone: Retention | None = None  # kept, of each subscription
    due: tuple[int, int] | None = None  # customers due for renewal in the period, and how many of them are lost
    usage: UsageFigures | None = None  # what was used; None where no usage was looked at
    buyers: BuyerFigures | None = None  # who bought without a contract; None where no orders were looked at
    renewals: RenewalFigures | None = None  # what came due and what became of it; None where it was not looked at
    committed: Committed | None = None  # what is signed and what is leaving; None where it was not looked at
    people: PeopleFigures | None = None  # seats and champions; None where they were not looked at
    worth: Worth = field(default_factory=Worth)  # what lifetime value and acquisition are made of, where asked for

    def flow(self, kind: str) -> int:
        """A movement as shown: losses positive."""
        return -self.flows[kind] if kind in LOSSES else self.flows[kind]

    @property
    def rated(self) -> Figures:
        """What churn rates are made of: the window they look at, or the period itself."""
        found = self.windows.get(self.definition.window_days)
        return self if found is None else found.under(self.definition)

    def under(self, definition: Definition) -> Figures:
        """The same sums read by another definition."""
        return replace(self, definition=definition)

    def plus(self, other: Figures) -> Figures:
        """Both together: the sums of people whom no customer belongs to twice."""
        return Figures(
            self.period,
            self.segment,
            self.currency,
            self.opening + other.opening,
            {kind: self.flows[kind] + other.flows[kind] for kind in FLOWS},
            self.fx + other.fx,
            self.closing + other.closing,
            None if self.squares is None or other.squares is None else self.squares + other.squares,
            self.customers_open + other.customers_open,
            self.customers_close + other.customers_close,
            self.paying_open + other.paying_open,
            self.paying_close + other.paying_close,
            _summed(self.events, other.events),
            self.lost + other.lost,
            self.kept.plus(other.kept),
            None if self.kept_12m is None or other.kept_12m is None else self.kept_12m.plus(other.kept_12m),
            self.reason or other.reason,
            self.provisional or other.provisional,
            self.definition,
            _summed(self.turnover, other.turnover),
            None
            if self.days is None or other.days is None
            else tuple((a + d, b + e, c + f) for (a, b, c), (d, e, f) in zip(self.days, other.days, strict=True)),
            {days: window.plus(other.windows[days]) for days, window in self.windows.items()},
            None if self.kept_alone is None or other.kept_alone is None else self.kept_alone.plus(other.kept_alone),
            None if self.due is None or other.due is None else (self.due[0] + other.due[0], self.due[1] + other.due[1]),
        )

    @property
    def churned(self) -> int:
        """Customers who left, events."""
        return sum(self.events[name] for name in CHURNED)


def _summed(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int, one)
    for kind, n in other.items():
        total[kind] += n
    return total


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the statement's answer."""

    what: str
    slice: int
    day: int | None
    currency: str | None
    seg: str
    kind: str
    amount: Decimal
    n: int
    x1: float
    x2: float


def rows(table: pa.Table) -> list[Row]:
    """The statement's answer as rows."""
    columns = [table.column(name).to_pylist() for name in Row.__slots__]
    return [Row(*values) for values in zip(*columns, strict=True)]


def assemble(
    answer: Iterable[Row],
    slices: Sequence[Period],
    conversion: Conversion | None,
    single_currency: str | None,
    horizon_day: int,
) -> dict[tuple[int, str, str | None], Figures]:
    """Figures by (slice, segment, currency): money by currency (the reporting one if converted), people in each.

    single_currency: the one currency of an unconverted book, or None where there are several.
    """
    money: dict[tuple[str, str], dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    people: dict[str, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    kept: dict[tuple[int, str, str | None], dict[str, Row]] = defaultdict(dict)
    spread: dict[tuple[str, str], dict[int, float]] = defaultdict(lambda: defaultdict(float))
    payers: dict[tuple[str, str], dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    segments: set[str] = set()
    currencies: set[str] = set()
    has_spread = False
    for row in answer:
        segments.add(row.seg)
        if row.what == "money":
            assert row.currency is not None
            money[row.seg, row.currency][row.slice].append(row)
            currencies.add(row.currency)
        elif row.what in ("people", "lost", "turnover"):
            people[row.seg][row.slice].append(row)
        elif row.what == "kept":
            kept[row.slice, row.seg, row.currency][row.kind] = row
        elif row.what == "spread":
            assert row.currency is not None
            spread[row.seg, row.currency][row.slice] += row.x1
            has_spread = True
        elif row.what == "payers":
            assert row.currency is not None
            payers[row.seg, row.currency][row.slice].append(row)
    if single_currency is not None:
        currencies.add(single_currency)
    shown: list[str] = [conversion.reporting] if conversion else sorted(currencies)
    found: dict[tuple[int, str, str | None], Figures] = {}
    for seg in sorted(segments) or [""]:
        _people(found, people[seg], slices, seg)
        for currency in shown:
            own = [c for s, c in money if s == seg] if conversion else [currency]
            for i, period in enumerate(slices):
                figures = found[i, seg, currency] = Figures(period, seg, currency)
                base = found[i, seg, None]
                figures.customers_open, figures.customers_close = base.customers_open, base.customers_close
                figures.paying_open, figures.paying_close = base.paying_open, base.paying_close
                figures.events, figures.lost, figures.turnover = base.events, base.lost, base.turnover
                figures.provisional = day_number(period.after) > horizon_day
                if not has_spread:
                    figures.squares = None
            for native in own:
                _money(found, money[seg, native], spread[seg, native], slices, seg, native, currency, conversion)
            if payers and not conversion:
                # A currency in which nobody of the segment ever paid has no payers, whoever pays in another.
                _payers(found, payers.get((seg, currency), {}), slices, seg, currency)
            for i in range(len(slices)):
                figures = found[i, seg, currency]
                mine = kept.get((i, seg, None if conversion else currency), {})
                figures.kept = retention(figures, mine)
    return found


def tell_alone(found: Mapping[tuple[int, str, str | None], Figures], answer: Iterable[Row], n: int) -> None:
    """Fills kept_alone of the first n periods, where the answer tells of subscriptions alone."""
    told: dict[tuple[str | None, str], dict[int, Row]] = defaultdict(dict)
    for row in answer:
        if row.what == "alone":
            told[row.currency, row.kind][row.slice] = row
    for (i, _, currency), figures in found.items():
        if told and i < n:
            figures.kept_alone = Retention()
            if (currency, "spread") in told:
                mine = {kind: told[currency, kind][i] for kind in ("loss", "net") if i in told[currency, kind]}
                before = [row for slice, row in sorted(told[currency, "spread"].items()) if slice < i]
                kept = figures.kept_alone = retention(figures, mine)
                # Whoever they belong to, all subscriptions together pay what all customers do.
                kept.customers, kept.squares = sum(row.n for row in before), sum(row.x1 for row in before)


def retention(figures: Figures, mine: dict[str, Row]) -> Retention:
    """What the statement says of those who paid at the start, beside what they paid then."""
    found = Retention(figures.opening, customers=figures.paying_open, squares=figures.squares, reason=figures.reason)
    if "loss" in mine:
        # Not as decimals: Python rounds their products to 28 digits.
        found.loss = Fraction(mine["loss"].amount) * SCALE
    if "net" in mine:
        row = mine["net"]
        found.net, found.moved = Fraction(row.amount) * SCALE, row.n
        found.net_squared, found.crossed = row.x1, row.x2
    return found


def _people(
    found: dict[tuple[int, str, str | None], Figures],
    by_slice: dict[int, list[Row]],
    slices: Sequence[Period],
    seg: str,
) -> None:
    customers = sum(row.n for row in by_slice.get(-1, []) if row.kind == "customers" and row.what == "people")
    paying = sum(row.n for row in by_slice.get(-1, []) if row.kind == "paying" and row.what == "people")
    for i, period in enumerate(slices):
        figures = found[i, seg, None] = Figures(period, seg, None)
        mine = by_slice.get(i, [])
        customers += sum(row.n for row in mine if row.kind == "regrouped_customers")
        paying += sum(row.n for row in mine if row.kind == "regrouped_paying")
        figures.customers_open, figures.paying_open = customers, paying
        for row in mine:
            if row.what == "lost":
                figures.lost += row.n
            elif row.what == "turnover":
                figures.turnover[row.kind] = figures.turnover.get(row.kind, 0) + row.n
            elif row.kind == "customers":
                customers += row.n
            elif row.kind == "paying":
                paying += row.n
            elif not row.kind.startswith("regrouped"):
                figures.events[row.kind] += row.n
        figures.customers_close, figures.paying_close = customers, paying


def _payers(
    found: dict[tuple[int, str, str | None], Figures],
    by_slice: dict[int, list[Row]],
    slices: Sequence[Period],
    seg: str,
    currency: str,
) -> None:
    paying = sum(row.n for row in by_slice.get(-1, []))
    for i in range(len(slices)):
        figures = found[i, seg, currency]
        paying += sum(row.n for row in by_slice.get(i, []) if row.kind == "regrouped")
        figures.paying_open = paying
        paying += sum(row.n for row in by_slice.get(i, []) if row.kind != "regrouped")
        figures.paying_close = paying


def _money(
    found: dict[tuple[int, str, str | None], Figures],
    by_slice: dict[int, list[Row]],
    spread: dict[int, float],
    slices: Sequence[Period],
    seg: str,
    native: str,
    currency: str,
    conversion: Conversion | None,
) -> None:
    """Adds one native currency's sums to the figures, converted day by day where there is a conversion."""
    balance = sum(int(row.amount) for row in by_slice.get(-1, []))
    squares = spread.get(-1, 0.0)
    needs = conversion is not None and native != currency
    for i, period in enumerate(slices):
        figures = found[i, seg, currency]
        mine = by_slice.get(i, [])
        balance += sum(int(row.amount) for row in mine if row.kind == "regrouped")
        moves = [row for row in mine if row.kind != "regrouped"]
        start = end = SCALE
        if needs:
            assert conversion is not None
            first, last = day_before(period.first), day_before(period.after)
            at_start, at_end = conversion.unit(native, first), conversion.unit(native, last)
            if (balance and at_start is None) or ((balance or moves) and at_end is None):
                figures.reason = conversion.lacking(figures.reason, native, first if at_start is None else last)
                balance += sum(int(row.amount) for row in moves)
                squares += spread.get(i, 0.0)
                continue
            start, end = at_start or 0, at_end or 0
        figures.opening += balance * start
        if figures.squares is not None:
            figures.squares += squares * (start / SCALE) ** 2
        fx = balance * (end - start)
        for row in moves:
            amount = int(row.amount)
            unit = SCALE
            if needs:
                assert conversion is not None and row.day is not None
                known = conversion.unit(native, row.day)
                if known is None:
                    figures.reason = conversion.lacking(figures.reason, native, row.day)
                    continue
                unit = known
            figures.flows[row.kind] += amount * unit
            fx += amount * (end - unit)
            balance += amount
        figures.fx += fx
        figures.closing += balance * end
        squares += spread.get(i, 0.0)
