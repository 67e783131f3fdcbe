"""Which sums does a question need? One look at the facts, or several, until every figure of its periods is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise

from tenure.errors import BadInput
from tenure.kernel.time import Period, add_months, midnight, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number, from_micros
from tenure.measure import totals
from tenure.measure.currencies import Conversion, by_day, currencies, day_before, written
from tenure.measure.definition import Definition
from tenure.measure.figures import Figures, Retention, Row, assemble, retention, rows
from tenure.measure.segments import Segment

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
        parts: str = "all",
        turnover: bool = False,
        definition: Definition | None = None,
    ) -> list[Row]:
        """The rows of one statement; parts: all, kept (what is compared between two instants) or people."""
        facts, conversion = self.facts, self.conversion if parts != "people" else None
        daily, opening_rates, lent = None, None, []
        if conversion is not None:
            keys = [(i, c, day_before(slices[w.first].first)) for i, w in enumerate(windows) for c in self.known]
            rates = conversion.table(keys, "win")
            opening_rates = facts.engine.lend(f"rates_at_start_{len(self.statements)}", rates)
            lent.append(written(facts.engine.dialect, opening_rates, rates))
            if len(self.known) > 1:
                rates = by_day(facts, conversion, self.known, slices[0].first, slices[-1].after)
                daily = facts.engine.lend("rates_by_day", rates)
                lent.append(written(facts.engine.dialect, daily, rates))
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
            parts=parts,
            turnover=turnover,
        )
        self.statements.append(";\n\n".join([*lent, sql]))
        return rows(facts.engine.table(sql))

    def figures(self, slices: Sequence[Period], answer: Iterable[Row]) -> dict[Key, Figures]:
        found = assemble(answer, slices, self.conversion, self.single, self.horizon_day)
        for figures in found.values():
            figures.definition = self.definition
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
) -> Gathered:
    """The figures of every period of [first, after); see Gathered.

    year_back: also those of twelve months before (nrr_12m); rates: also what only churn rates need; readings: other
    definitions that the figures will be read by, which count the same movements.
    """
    tz = facts.timezone
    asked = periods(first, after, grain, tz)
    known = currencies(facts, definition.source)
    conversion = None
    if currency is not None:
        conversion = Conversion.of(facts, currency)
    elif len(known) > 1 and segment is not None and "size" in segment.bands:
        raise BadInput("bands of size need one currency: add --currency, such as --currency USD")
    if conversion is not None and known == [currency]:
        conversion = None
    purchase = None
    statements: list[str] = []
    if conversion is not None and definition.fx == "current":
        conversion.fixed = day_number(from_micros(facts.horizon - 1).astimezone(tz).date())
    elif conversion is not None and definition.fx == "purchase":
        purchase = _purchase_rates(facts, conversion, known, after, statements)
        conversion, known = None, [str(currency)]
    look = _Look(facts, definition, currency, segment, conversion, known, purchase, grain, statements)
    read = (definition, *readings) if rates else ()
    turnover = any("counted" in (d.joiners, d.returners) for d in read)
    each = [totals.Window(i, i) for i in range(len(asked))]
    found = look.figures(asked, look.run(asked, each, turnover=turnover))
    if year_back:
        _look_back(look, asked, found)
    for days in sorted({d.window_days for d in read} - {0}):
        _windows(look, asked, found, days, turnover)
    if any(d.churn_base in ("customer_days", "daily") for d in read):
        _days(look, asked, found)
    if any(d.retention_of == "subscription" for d in read):
        _subscriptions(look, asked, found)
    shown: list[str | None] = [currency] if currency else list(known)
    return Gathered(asked, segment, shown, found, look.horizon_day, statements)


def _purchase_rates(
    facts: Facts, conversion: Conversion, known: Sequence[str], after: date, statements: list[str]
) -> str:
    """Lends the rates of every day, for prices that are converted once; NoRate where one that is needed is missing."""
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
    statements.append(written(facts.engine.dialect, name, rates))
    return name


def _look_back(look: _Look, asked: Sequence[Period], found: dict[Key, Figures]) -> None:
    """Fills kept_12m: the same comparison over the twelve calendar months before each period's end."""
    starts = [add_months(period.after, -12) for period in asked]
    slices, place = look.cut([*starts, *(period.after for period in asked)])
    windows = [totals.Window(place[s], place[p.after] - 1) for s, p in zip(starts, asked, strict=True)]
    # The balances at the windows' starts come from a second assembly over the finer slices.
    answer = look.run(slices, windows, parts="kept")
    at = look.figures(slices, look.run(slices, [totals.Window(i, i) for i in range(len(slices))]))
    kept = _kept(answer)
    for (i, seg, currency), figures in found.items():
        start = at.get((windows[i].first, seg, currency)) or Figures(asked[i], seg, currency)
        figures.kept_12m = retention(start, kept.get((i, seg, None if look.conversion else currency), {}))


def _kept(answer: Iterable[Row]) -> dict[Key, dict[str, Row]]:
    kept: dict[Key, dict[str, Row]] = {}
    for row in answer:
        if row.what == "kept":
            kept.setdefault((row.slice, row.seg, row.currency), {})[row.kind] = row
    return kept


def _windows(look: _Look, asked: Sequence[Period], found: dict[Key, Figures], days: int, turnover: bool) -> None:
    """Fills `windows`: the figures of so many days before each period's end, that churn rates look at."""
    spans = [(period.after - timedelta(days=days), period.after) for period in asked]
    if all(start == period.first for (start, _), period in zip(spans, asked, strict=True)):
        return
    slices, place = look.cut(day for span in spans for day in span)
    windows = [totals.Window(place[start], place[end] - 1) for start, end in spans]
    over = look.run(slices, windows, parts="kept", turnover=turnover)
    at = look.figures(slices, look.run(slices, [totals.Window(i, i) for i in range(len(slices))]))
    kept = _kept(over)
    for (i, seg, currency), figures in found.items():
        parts = [at.get((j, seg, currency)) for j in range(windows[i].first, windows[i].last + 1)]
        start, end = spans[i]
        tz = look.facts.timezone
        period = Period(midnight(start, tz), midnight(end, tz), start, end, look.grain)
        window = _joined(period, seg, currency, parts)
        window.definition = look.definition
        mine = [row for row in over if row.slice == i and row.seg == seg]
        window.lost = sum(row.n for row in mine if row.what == "lost")
        for row in mine:
            if row.what == "turnover":
                window.turnover[row.kind] = window.turnover.get(row.kind, 0) + row.n
        window.kept = retention(window, kept.get((i, seg, None if look.conversion else currency), {}))
        figures.windows[days] = window


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
    answer = look.run(days, [totals.Window(i, i) for i in range(len(days))], parts="people")
    at = assemble([row for row in answer if row.what == "people"], days, None, None, look.horizon_day)
    place = {day.first: i for i, day in enumerate(days)}
    for (_, seg, _), target in targets:
        within = range(place[target.period.first], place.get(target.period.after, len(days)))
        mine = [at.get((j, seg, None)) for j in within]
        target.days = tuple((d.customers_open, d.churned, d.customers_close) if d else (0, 0, 0) for d in mine)


def _subscriptions(look: _Look, asked: Sequence[Period], found: dict[Key, Figures]) -> None:
    """Fills kept_alone: what was kept of each subscription."""
    if look.segment is not None and look.segment.of_customer:
        raise BadInput(
            "this definition compares each subscription's revenue, so it splits by columns of the subscription "
            "(plan_id, interval, ...) only; choose retention_of=customer to split by what belongs to customers"
        )
    alone = replace(look.definition, follows="subscription")
    each = [totals.Window(i, i) for i in range(len(asked))]
    there = look.figures(asked, look.run(asked, each, definition=alone))
    for key, figures in found.items():
        figures.kept_alone = there[key].kept if key in there else Retention()
