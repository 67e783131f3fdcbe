"""What was asked, and what is the answer? A question becomes one or two statements, and their sums become metrics."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput, BadPeriod
from tenure.kernel.money import exponent
from tenure.kernel.time import Period
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number
from tenure.measure import states, targets
from tenure.measure.catalogue import Metric, metrics
from tenure.measure.causes import ask_by_cause, asks_for_causes
from tenure.measure.currencies import SCALE
from tenure.measure.definition import Definition
from tenure.measure.figures import Figures, Retention
from tenure.measure.gathering import asked_alone, gather
from tenure.measure.orders import has_orders
from tenure.measure.revenue_lines import of_line
from tenure.measure.segments import resolve
from tenure.measure.worth import ASSUMED, Assumptions

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Question:
    """Which metrics, over which days, per which period, by which columns, in which currency, under what assumptions."""

    names: tuple[str, ...]
    first: date
    after: date
    grain: str = "month"
    by: tuple[str, ...] = ()
    currency: str | None = None
    intervals: bool = True
    assumed: Assumptions = ASSUMED
    revenue: str = "committed"
    inactivity: int | None = None  # days without a purchase after which a buyer has lapsed; None: chosen from the gaps


@dataclass(frozen=True, slots=True)
class Cell:
    """One number: exact value with interval, what it was divided from, and why it is missing or doubtful."""

    metric: Metric
    period: Period
    segment: dict[str, str | None] | None
    currency: str | None
    value: Fraction | None
    low: float | None
    high: float | None
    numerator: Fraction | None
    denominator: Fraction | None
    n: int | None
    reason: str
    times: Fraction | None = None  # see catalogue.Value

    def major(self, amount: Fraction | None) -> Decimal | None:
        """An exact amount of money as a Decimal in major units, rounded half-even to the currency's digits."""
        if amount is None or self.currency is None:
            return None
        digits = exponent(self.currency)
        return _decimal(amount / (SCALE * 1_000_000 * 10**digits), digits)


def _decimal(value: Fraction, digits: int) -> Decimal:
    return Decimal(round(value * 10**digits)).scaleb(-digits)


@dataclass
class Answer:
    """The numbers asked for, with their statements, ways to look at them and the customers behind them."""

    question: Question
    definition: Definition
    cells: list[Cell]
    statements: list[str]
    facts: Facts
    notes: list[str] = field(default_factory=list)
    corrected: Callable[[date], list[dict[str, Any]]] | None = None  # see openings: whom closed books have otherwise
    targets: Mapping[str, float] = field(default_factory=dict)  # the company's, by metric; money in `target_currency`
    target_currency: str | None = None

    def __iter__(self) -> Any:
        return iter(self.cells)

    def rows(self, exact: bool = False) -> list[dict[str, Any]]:
        """One dict per number, as the command line's JSON has them.

        A number with a target has one key more, `target`: an object of value, distance, met and more_than_noise; see
        measure.targets. `exact` rows have none. Numbers by account have the key `grain`.
        Money in major units as Decimal, rates as float, counts as int; with `exact`, Fractions of 10^-6 minor units
        (money) or of one (rates, counts), ends of intervals as floats of the same.
        """
        found = []
        currencies = {cell.currency for cell in self.cells if cell.currency}
        aimed_in = self.target_currency or (next(iter(currencies)) if len(currencies) == 1 else None)
        for cell in self.cells:
            value, numerator, denominator = cell.value, cell.numerator, cell.denominator
            shown: dict[str, Any] = {"value": value, "numerator": numerator, "denominator": denominator}
            unit = cell.metric.unit
            shown["low"], shown["high"] = cell.low, cell.high
            if unit == "money":
                for end in ("low", "high"):
                    if shown[end] is not None:
                        shown[end] = shown[end] / SCALE if exact else cell.major(Fraction(shown[end]))
            if exact:
                if unit == "money":
                    shown["value"] = None if value is None else value / SCALE
                if unit == "money" or cell.metric.money_parts:
                    shown["numerator"] = None if numerator is None else numerator / SCALE
                if cell.metric.money_parts:
                    shown["denominator"] = None if denominator is None else denominator / SCALE
            else:
                money_top = unit == "money" or cell.metric.money_parts
                shown["numerator"] = cell.major(numerator) if money_top else _plain(numerator)
                shown["denominator"] = cell.major(denominator) if cell.metric.money_parts else _plain(denominator)
                if unit == "money":
                    shown["value"] = cell.major(value)
                elif unit == "count":
                    shown["value"] = None if value is None else int(value)
                else:
                    shown["value"] = None if value is None else float(value)
            found.append(
                {
                    "metric": cell.metric.name,
                    "profile": self.definition.name,
                    "revenue": cell.metric.line,
                    "period_start": cell.period.first.isoformat(),
                    "period_end": cell.period.after.isoformat(),
                    "segment": cell.segment,
                    "currency": cell.currency,
                    "unit": unit,
                    "value": shown["value"],
                    "low": shown["low"],
                    "high": shown["high"],
                    "numerator": shown["numerator"],
                    "denominator": shown["denominator"],
                    "n": cell.n,
                    "reason": cell.reason or None,
                }
            )
            if self.facts.grain != "customer":
                found[-1]["grain"] = self.facts.grain
            if not exact and targets.applies(cell, self.targets, aimed_in):
                found[-1]["target"] = targets.compared(cell, found[-1], self.targets[cell.metric.name])
        return found

    def to_json(self) -> str:
        """The rows as JSON: money as decimal strings in major units, rates as fractions."""
        return json.dumps(self.rows(), default=str, ensure_ascii=False, indent=1)

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table; `segment` is JSON text.

        Where any number has a target: target_value, target_distance, target_met and target_more_than_noise, at the end.
        """
        import pyarrow as pa

        def number(value: Any) -> float | None:
            return None if value is None else float(value)

        found = self.rows()
        columns: dict[str, Any] = {
            name: pa.array([row[name] for row in found], pa.string())
            for name in ("metric", "profile", "revenue", "currency", "unit", "reason")
        }
        for name in ("period_start", "period_end"):
            columns[name] = pa.array([date.fromisoformat(row[name]) for row in found], pa.date32())
        columns["segment"] = pa.array(
            [None if row["segment"] is None else json.dumps(row["segment"], ensure_ascii=False) for row in found],
            pa.string(),
        )
        for name in ("value", "low", "high", "numerator", "denominator"):
            columns[name] = pa.array([number(row[name]) for row in found], pa.float64())
        columns["n"] = pa.array([row["n"] for row in found], pa.int64())
        columns["grain"] = pa.array([row.get("grain") for row in found], pa.string())
        order = (
            [name for name in found[0] if name != "target"] if found else [name for name in columns if name != "grain"]
        )
        if any("target" in row for row in found):
            for name in targets.TARGET_KEYS:
                told = [row.get("target", {}).get(name) for row in found]
                is_number = name in ("value", "distance")
                kind = pa.float64() if is_number else pa.bool_()
                columns[f"target_{name}"] = pa.array([number(v) for v in told] if is_number else told, kind)
                order.append(f"target_{name}")
        return pa.table({name: columns[name] for name in order})

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame (needs pandas)."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """The rows as a Polars DataFrame (needs polars)."""
        import polars

        return polars.from_arrow(self.to_arrow())

    def sql(self) -> str:
        """The statements that were run, ready to be run by hand."""
        return ";\n\n".join(self.statements)

    def value(self, name: str | None = None) -> Any:
        """The one value of the answer (or of one metric in it); BadInput where there are several."""
        found = [row["value"] for row in self.rows() if name in (None, row["metric"])]
        if len(found) != 1:
            raise BadInput(
                f"the answer has {len(found)} values; ask for one metric, period and currency, or use rows()"
            )
        return found[0]

    def customers(self, limit: int | None = None) -> pa.Table:
        """Who is in these numbers: one row per customer and movement or balance. See measure.openings."""
        from tenure.measure.openings import customers

        return customers(self, limit)

    def chart(self, language: str = "en") -> Any:
        """The numbers as a chart (altair.Chart): a line per metric and segment over the periods, with its interval."""
        from tenure.charts.lines import metric_lines

        return metric_lines(self.rows(), language)


def _plain(value: Fraction | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value.denominator == 1 else float(value)


def ask(facts: Facts, definition: Definition, question: Question) -> Answer:
    """The answer to a question about subscriptions, what is used, or what is bought without a contract.

    Raises BadPeriod without a period, UnknownName for unknown metrics or columns, BadInput where there is nothing to
    measure.
    """
    wanted = [of_line(metric, question.revenue) for metric in metrics(question.names)]
    if not wanted:
        raise BadInput("name at least one metric; `tenure metrics --list` shows them all")
    if question.first >= question.after:
        raise BadPeriod(f"the period ends ({question.after}) before it begins ({question.first})")
    if asks_for_causes(question.by):
        told = ask_by_cause(facts, definition, question)
        told.notes += _notes(facts)
        return told
    committed = any(metric.line not in ("usage", "orders") for metric in wanted)
    bought = any(metric.line == "orders" for metric in wanted)
    if bought and not committed and not has_orders(facts):
        raise BadInput("no orders are loaded; load some with `tenure load orders FILE`")
    if committed and not states.tables(facts) and definition.source == "states":
        raise BadInput("no subscriptions are loaded; load some with `tenure load subscriptions FILE`")
    there = (gather if committed else asked_alone)(
        facts,
        definition,
        first=question.first,
        after=question.after,
        grain=question.grain,
        segment=resolve(facts, question.by),
        currency=question.currency,
        year_back=any(metric.looks_back for metric in wanted),
        rates=any(metric.unit == "rate" or "churn" in metric.needs for metric in wanted),
        retention=any(metric.opens == "kept" for metric in wanted),
        renewals=any(metric.opens == "due" for metric in wanted),
    )
    made_of = {need for metric in wanted for need in metric.needs}
    if needs := made_of - {"renewals", "committed", "orders", "people"}:
        from tenure.measure.lifetime_value import fill

        fill(facts, definition, there, question.assumed, needs, question.currency)
    if "renewals" in made_of:
        from tenure.measure.renewal_book import fill as fill_renewals

        fill_renewals(there, facts, definition, question.assumed.grace_days, question.currency)
    if "committed" in made_of:
        from tenure.measure.committed import fill as fill_committed

        fill_committed(there, facts, definition, question.assumed.committed_months, question.currency)
    if "people" in made_of:
        from tenure.measure.seats import fill as fill_people

        fill_people(there, facts, definition, question.currency)
    used: list[str] = []
    if any(metric.line in ("usage", "total") for metric in wanted):
        from tenure.measure.usage_revenue import fill as fill_usage

        used = fill_usage(facts, definition, there, question.currency, wanted)
    if bought and has_orders(facts):
        from tenure.measure.buyers import fill as fill_buyers

        used = [*used, *fill_buyers(facts, there, question.by, question.inactivity)]
    found, segment = there.found, there.segment
    segments = sorted({key[1] for key in found}) if segment else [""]
    cells = []
    for metric in wanted:
        for i, period in enumerate(there.asked):
            for seg in segments:
                for currency in there.currencies if metric.of_money else [None]:
                    figures = found.get((i, seg, currency))
                    if figures is None and (i, seg, None) in found:
                        # Nobody was ever billed in this currency here.
                        figures = Figures(period, seg, currency, definition=definition)
                        figures.worth = found[i, seg, None].worth
                    if figures is None:
                        continue
                    if segment and _is_empty(found, i, seg):
                        continue
                    value = metric.compute(figures)
                    reason = value.reason
                    if figures.provisional or day_number(period.after) > there.horizon_day:
                        reason = "; ".join(filter(None, (reason, "provisional: the period is not over")))
                    cells.append(
                        Cell(
                            metric,
                            period,
                            segment.read(seg) if segment else None,
                            currency,
                            value.value,
                            value.low if question.intervals else None,
                            value.high if question.intervals else None,
                            value.numerator,
                            value.denominator,
                            value.n,
                            reason,
                            value.times,
                        )
                    )
    return Answer(question, definition, cells, there.statements, facts, [*_notes(facts), *used])


def _notes(facts: Facts) -> list[str]:
    """What a reader of these numbers should know: who is left out of them."""
    if facts.lacks("customers", "is_test"):
        return []
    st = facts.statement()
    _, left_out = facts.people(st)
    count = facts.engine.table(st.render(f"SELECT count(*) AS n FROM {left_out}")).column(0).to_pylist()[0]
    return [f"{count} test customer{'' if count == 1 else 's'} left out"] if count else []


def _is_empty(found: dict[tuple[int, str, str | None], Figures], i: int, seg: str) -> bool:
    """Whether a segment has nothing to say in a period: no money, no customers, no event."""
    for (index, name, _), figures in found.items():
        if index == i and name == seg:
            if (
                figures.opening
                or figures.closing
                or figures.customers_open
                or figures.customers_close
                or figures.reason
            ):
                return False
            if any(figures.flows.values()) or any(figures.events.values()):
                return False
            if figures.kept_12m is not None and figures.kept_12m.opening:
                return False
            if figures.usage is not None and not figures.usage.says_nothing:
                return False
            if figures.renewals is not None and figures.renewals.all_due:
                return False
            if figures.committed is not None and (figures.committed.signed or figures.committed.leaving):
                return False
            if figures.buyers is not None and not figures.buyers.says_nothing:
                return False
    return True


__all__ = ["Answer", "Cell", "Question", "Retention", "ask"]
