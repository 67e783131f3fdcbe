"""Which sums does a question need? One look at the facts, or several, until every figure of its periods is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput
from tenure.kernel.time import Period, add_months, midnight, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number, from_micros
from tenure.measure import states, totals
from tenure.measure.currencies import Conversion, by_day, currencies, day_before, written
from tenure.measure.definition import Definition
from tenure.measure.figures import Figures, Retention, Row, assemble, retention, rows, tell_alone
from tenure.measure.renewals import due
from tenure.measure.segments import Segment, of_lent

if TYPE_CHECKING:
    import pyarrow as pa

Key = tuple[int, str, str | None]


@dataclass
class Gathered:
    """The figures of each period asked for, by (period, segment, currency), and how they were found."""

    asked: list[Period]
    segment: Segment | None
    currencies: list[str | None]
    found: dict[Key, Figures]
    horizon_day: int
    statements: list[str] = field(default_factory=list)


@dataclass
class _Look:
    """What every statement of one question shares."""

    facts: Facts
    definition: Definition
    currency: str | None
    segment: Segment | None
    conversion: Conversion | None
    known: Sequence[str]
    purchase: str | None
    grain: str
    statements: list[str]

    @property
    def single(self) -> str | None:
        return self.known[0] if len(self.known) == 1 else None

    @property
    def horizon_day(self) -> int:
        at = from_micros(self.facts.horizon)
        return day_number(at.astimezone(self.facts.timezone).date())

    def run(
        self,
        slices: Sequence[Period],
        windows: Sequence[totals.Window],
        *,
        only_people: bool = False,
        turnover: bool = False,
        definition: Definition | None = None,
        alone: Sequence[Period] = (),
    ) -> list[Row]:
        """The rows of one statement; only_people: nothing but customers won and lost; alone: see totals.statement."""
        facts, conversion = self.facts, None if only_people else self.conversion
        daily, opening_rates, lent = None, None, []
        if conversion is not None:
            keys = [(i, c, day_before(slices[w.first].first)) for i, w in enumerate(windows) for c in self.known]
            opening_rates = f"rates_at_start_{len(self.statements)}"
            lent.append(self._lend(opening_rates, tuple(keys), lambda: conversion.table(keys, "win")))
            if len(self.known) > 1:
                daily, span = "rates_by_day", (slices[0].first, slices[-1].after)
                lent.append(self._lend(daily, span, lambda: by_day(facts, conversion, self.known, *span)))
        sql = totals.statement(
            facts,
            definition or self.definition,
            slices,
            windows,
            segment=self.segment,
            by_day=conversion is not None,
            currency=self.currency or self.single,
            conversion=daily,
            opening_rates=opening_rates,
            purchase=self.purchase,
            reporting=self.currency if self.purchase else None,
            only_people=only_people,
            turnover=turnover,
            alone=alone,
        )
        self.statements.append(";\n\n".join([*lent, sql]))
        return rows(facts.engine.table(sql))

    def _lend(self, name: str, what: Any, make: Callable[[], pa.Table]) -> str:
        """Makes a table of rates readable in statements, and answers the statement that makes it elsewhere."""
        assert self.conversion is not None
        engine, made = self.facts.engine, self.conversion.made
        key = (engine.name, name, tuple(self.known), what)
        if key not in made:
            table = make()
            made[key] = (table, written(engine.dialect, name, table))
        table, text = made[key]
        engine.lend(name, table)
        return text

    def figures(self, slices: Sequence[Period], answer: Iterable[Row]) -> dict[Key, Figures]:
        found = assemble(answer, slices, self.conversion, self.single, self.horizon_day)
        for figures in found.values():
            figures.definition = self.definition
        return found

    def over(
        self, spans: Sequence[tuple[date, date]], turnover: bool, alone: Sequence[Period] = ()
    ) -> dict[Key, Figures]:
        """The figures of stretches of time that may overlap, by one statement; the first of the key is the stretch.

        alone: the first of them, of which what was kept of each subscription is told too, where one look can.
        """
        slices, place = self.cut(day for span in spans for day in span)
        windows = [totals.Window(place[start], place[end] - 1) for start, end in spans]
        if all(window.first == window.last == i for i, window in enumerate(windows)):
            answer = self.run(slices, windows, turnover=turnover, alone=alone)
            told_at_once = self.figures(slices, answer)
            tell_alone(told_at_once, answer, len(alone))
            return told_at_once
        answer = self.run(slices, windows, turnover=turnover, alone=alone)
        of_windows = ("kept", "lost", "turnover")
        at = self.figures(slices, [row for row in answer if row.what not in of_windows])
        told: dict[Key, list[Row]] = {}
        for row in answer:
            if row.what in of_windows:
                told.setdefault((row.slice, row.seg, row.currency), []).append(row)
        found: dict[Key, Figures] = {}
        tz = self.facts.timezone
        for i, (start, end) in enumerate(spans):
            period = Period(midnight(start, tz), midnight(end, tz), start, end, self.grain)
            for seg, currency in dict.fromkeys((seg, currency) for _, seg, currency in at):
                parts = [at.get((j, seg, currency)) for j in range(windows[i].first, windows[i].last + 1)]
                whole = found[i, seg, currency] = _joined(period, seg, currency, parts)
                whole.definition = self.definition
                for row in told.get((i, seg, None), []):
                    if row.what == "lost":
                        whole.lost += row.n
                    elif row.what == "turnover":
                        whole.turnover[row.kind] = whole.turnover.get(row.kind, 0) + row.n
                kept = told.get((i, seg, None if self.conversion else currency), [])
                whole.kept = retention(whole, {row.kind: row for row in kept if row.what == "kept"})
        tell_alone(found, answer, len(alone))
        return found

    def cut(self, bounds: Iterable[date]) -> tuple[list[Period], dict[date, int]]:
        """The stretches between days, and which begins on which day."""
        days = sorted(set(bounds))
        tz = self.facts.timezone
        slices = [Period(midnight(a, tz), midnight(b, tz), a, b, self.grain) for a, b in pairwise(days)]
        return slices, {day: i for i, day in enumerate(days)}


def gather(
    facts: Facts,
    definition: Definition,
    *,
    first: date,
    after: date,
    grain: str,
    segment: Segment | None = None,
    currency: str | None = None,
    year_back: bool = False,
    rates: bool = True,
    readings: Sequence[Definition] = (),
    renewals: bool = False,
    retention: bool = True,
) -> Gathered:
    """The figures of every period of [first, after); see Gathered.

    year_back: also those of twelve months before (nrr_12m); rates: also what only churn rates need; readings: other
    definitions that the figures will be read by, which count the same movements; renewals: also who was due for
    renewal; retention: also what was kept of each subscription, where a definition compares that.
    """
    tz = facts.timezone
    asked = periods(first, after, grain, tz)
    known = currencies(facts, definition.source)
    conversion = None
    if currency is not None:
        conversion = _conversion(facts, currency, definition.fx)
    elif len(known) > 1 and segment is not None and "size" in segment.bands:
        raise BadInput("bands of size need one currency: add --currency, such as --currency USD")
    if conversion is not None and known == [currency]:
        conversion = None
    purchase = None
    statements: list[str] = []
    if conversion is not None and definition.fx == "purchase":
        purchase = _purchase_rates(facts, conversion, known, after, statements)
        conversion, known = None, [str(currency)]
    look = _Look(facts, definition, currency, segment, conversion, known, purchase, grain, statements)
    read = (definition, *readings) if rates else ()
    turnover = any("counted" in (d.joiners, d.returners) for d in read)
    each = retention and any(d.retention_of == "subscription" for d in read)
    lookbacks = sorted({d.window_days for d in read} - {0})
    if segment is not None and segment.moves:
        # Who belongs where is looked at when a slice starts, so every stretch of time needs slices of its own.
        found = look.over([(period.first, period.after) for period in asked], turnover)
        if year_back:
            starts = [(add_months(period.after, -12), period.after) for period in asked]
            _fill(found, look.over(starts, False), year=True)
        for days in lookbacks:
            spans = [(period.after - timedelta(days=days), period.after) for period in asked]
            _fill(found, look.over(spans, turnover), days=days)
    else:
        spans = [(period.first, period.after) for period in asked]
        n = len(asked)
        if year_back:
            spans += [(add_months(period.after, -12), period.after) for period in asked]
        for days in lookbacks:
            spans += [(period.after - timedelta(days=days), period.after) for period in asked]
        every = look.over(spans, turnover, asked if each else ())
        found = {key: figures for key, figures in every.items() if key[0] < n}
        if year_back:
            _fill(found, every, n, year=True)
        for i, days in enumerate(lookbacks):
            _fill(found, every, n * (1 + year_back + i), days=days)
    if any(d.churn_base in ("customer_days", "daily") for d in read):
        _days(look, asked, found)
    if each and any(figures.kept_alone is None for figures in found.values()):
        _subscriptions(look, asked, found)
    if renewals:
        _renewals(look, asked, found)
    shown: list[str | None] = [currency] if currency else list(known)
    return Gathered(asked, segment, shown, found, look.horizon_day, statements)


def asked_alone(
    facts: Facts,
    definition: Definition,
    *,
    first: date,
    after: date,
    grain: str,
    segment: Segment | None = None,
    currency: str | None = None,
    **_: bool,
) -> Gathered:
    """The periods of [first, after) without any figures of subscriptions: for questions that need none of them."""
    asked = periods(first, after, grain, facts.timezone)
    horizon = day_number(from_micros(facts.horizon).astimezone(facts.timezone).date())
    return Gathered(asked, segment, [currency] if currency else [], {}, horizon)


def _conversion(facts: Facts, currency: str, fx: str) -> Conversion:
    """The rates into a currency, read once per look at the facts."""
    key = ("conversion", currency, fx)
    if key not in facts.memory:
        conversion = facts.memory[key] = Conversion.of(facts, currency)
        if fx == "current":
            at = from_micros(facts.horizon - 1)
            conversion.fixed = day_number(at.astimezone(facts.timezone).date())
    found: Conversion = facts.memory[key]
    return found


def _purchase_rates(
    facts: Facts, conversion: Conversion, known: Sequence[str], after: date, statements: list[str]
) -> str:
    """Lends the rates of every day, for prices that are converted once; NoRate where one that is needed is missing."""
    key = ("purchase", conversion.reporting, after)
    if key in facts.memory:
        name, rates, text = facts.memory[key]
        statements.append(text)
        return facts.engine.lend(name, rates)
    for table, column in (("subscription_states", "effective_at"), ("subscription_spans", "started_at")):
        if facts.has(table):
            st = facts.statement()
            raw = facts.source(st, table)
            began = facts.engine.dialect.micros(f"min({column})")
            sql = st.render(
                f"SELECT currency, {began} AS began FROM {raw} WHERE currency IS NOT NULL GROUP BY currency"
            )
            for row in facts.engine.table(sql).to_pylist():
                conversion.need(
                    row["currency"], day_number(from_micros(row["began"]).astimezone(facts.timezone).date())
                )
    rates = by_day(facts, conversion, known, date(1970, 1, 2), after)
    name = facts.engine.lend("rates_of_purchase", rates)
    text = written(facts.engine.dialect, name, rates)
    facts.memory[key] = (name, rates, text)
    statements.append(text)
    return name


def _fill(
    found: dict[Key, Figures], of: dict[Key, Figures], offset: int = 0, *, year: bool = False, days: int = 0
) -> None:
    """Hangs the figures of other stretches of time (the year, the days before a period's end) on the periods'."""
    for (i, seg, currency), figures in found.items():
        other = of.get((i + offset, seg, currency)) or Figures(figures.period, seg, currency)
        if year:
            figures.kept_12m = other.kept
        else:
            figures.windows[days] = other


def _joined(period: Period, seg: str, currency: str | None, parts: Sequence[Figures | None]) -> Figures:
    """One stretch of time from stretches that follow each other."""
    there = [part for part in parts if part is not None]
    whole = Figures(period, seg, currency)
    if not there:
        return whole
    first, last = there[0], there[-1]
    whole.opening, whole.squares = first.opening, first.squares
    whole.customers_open, whole.paying_open = first.customers_open, first.paying_open
    whole.closing, whole.customers_close, whole.paying_close = last.closing, last.customers_close, last.paying_close
    for part in there:
        for kind, amount in part.flows.items():
            whole.flows[kind] += amount
        for kind, n in part.events.items():
            whole.events[kind] += n
        whole.fx += part.fx
        whole.reason = whole.reason or part.reason
        whole.provisional |= part.provisional
    return whole


def _days(look: _Look, asked: Sequence[Period], found: dict[Key, Figures]) -> None:
    """Fills `days` of every figure and its windows: each day's customers and losses."""
    targets = [(key, target) for key, figures in found.items() for target in (figures, *figures.windows.values())]
    first = min(target.period.first for _, target in targets)
    days = periods(first, asked[-1].after, "day", look.facts.timezone)
    answer = look.run(days, [totals.Window(i, i) for i in range(len(days))], only_people=True)
    at = assemble([row for row in answer if row.what == "people"], days, None, None, look.horizon_day)
    place = {day.first: i for i, day in enumerate(days)}
    for (_, seg, _), target in targets:
        within = range(place[target.period.first], place.get(target.period.after, len(days)))
        mine = [at.get((j, seg, None)) for j in within]
        target.days = tuple((d.customers_open, d.churned, d.customers_close) if d else (0, 0, 0) for d in mine)


def _renewals(look: _Look, asked: Sequence[Period], found: dict[Key, Figures]) -> None:
    """Fills due: in each period, the same count of those alone whose subscription came up for renewal."""
    for i, period in enumerate(asked):
        people = due(look.facts, look.definition, period)
        lent = look.facts.engine.lend("due_for_renewal", people)
        alone = replace(look, facts=replace(look.facts, among=lent), conversion=None)
        there = alone.figures([period], alone.run([period], [totals.Window(0, 0)]))
        for (j, seg, _), figures in found.items():
            if j == i:
                mine = there.get((0, seg, None))
                figures.due = (mine.customers_open, mine.lost) if mine else (0, 0)


def _subscriptions(look: _Look, asked: Sequence[Period], found: dict[Key, Figures]) -> None:
    """Fills kept_alone: what was kept of each subscription."""
    if look.segment is not None and look.segment.lent is not None:
        look = replace(look, segment=of_lent(_lent_to_subscriptions(look.facts, look.segment.lent)))
    elif look.segment is not None and look.segment.of_customer:
        raise BadInput(
            "this definition compares each subscription's revenue, so it splits by columns of the subscription "
            "(plan_id, interval, ...) only; choose retention_of=customer to split by what belongs to customers"
        )
    alone = replace(look.definition, follows="subscription")
    each = [totals.Window(i, i) for i in range(len(asked))]
    there = look.figures(asked, look.run(asked, each, definition=alone))
    for key, figures in found.items():
        figures.kept_alone = there[key].kept if key in there else Retention()


def _lent_to_subscriptions(facts: Facts, relation: str) -> str:
    """The same segments by subscription: the relation (customer_id, seg) for movements that follow subscriptions."""
    st = facts.statement()
    every = states.all_states(st, facts, ("customer_id", "subscription_id", "item_id"))
    sql = st.render(
        f"SELECT DISTINCT s.subscription_id AS customer_id, r.seg FROM {every} AS s "
        f"JOIN {relation} AS r ON r.customer_id = s.customer_id"
    )
    return facts.engine.lend(f"{relation}_by_subscription", facts.engine.table(sql))
