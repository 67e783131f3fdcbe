"""What does an investor ask? The report's story, and what it leaves out: ARR, growth, quick ratio, concentration.

Every number comes from the functions that the report and `tenure metrics` call, at one known-on instant, so that the
page, the pack of files and the report never disagree. No customer is named in any of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from tenure.app import story as s
from tenure.errors import BadInput
from tenure.kernel.time import add_months
from tenure.measure.catalogue import CATALOGUE
from tenure.measure.concentration import Concentration, concentration

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace
    from tenure.measure.answers import Answer, Cell
    from tenure.measure.cohorts import CohortTable
    from tenure.measure.definition import Definition

# What the pack of files holds of every month, in the order of the catalogue.
NAMES = (
    "mrr", "arr", "mrr_opening", "mrr_new", "mrr_reactivation", "mrr_resume", "mrr_expansion", "mrr_contraction",
    "mrr_pause", "mrr_churn", "mrr_fx", "mrr_correction", "mrr_net_new", "arpa", "quick_ratio", "gross_mrr_churn_rate",
    "net_mrr_churn_rate", "nrr", "grr", "nrr_12m", "grr_12m", "customers", "paying_customers", "customers_new",
    "customers_churned", "customer_churn_rate",
)  # fmt: skip
SHOWN = ("arr", "mrr", "mrr_growth_12m", "nrr_12m", "grr_12m", "quick_ratio_12m", "customers", "customer_churn_rate")
# Titles, questions and formulas of what only this summary shows.
OWN = {
    "mrr_growth_12m": s.Definition(
        "mrr_growth_12m",
        "MRR growth, 12 months",
        "By how much did MRR grow within a year?",
        "mrr / mrr twelve months before - 1",
        "rate",
        CATALOGUE["mrr"].source,
    ),
    "quick_ratio_12m": s.Definition(
        "quick_ratio_12m",
        "Quick ratio, 12 months",
        "How much MRR was gained for each unit lost, over twelve months?",
        "quick_ratio over the last twelve months: all gains / all losses",
        "ratio",
        CATALOGUE["quick_ratio"].source,
    ),
    "mrr_concentration": s.Definition(
        "mrr_concentration",
        "Concentration",
        "On how few customers does the revenue rest?",
        "MRR of the largest paying customers / MRR of all of them; ties by id, a tenth is rounded up",
        "rate",
        CATALOGUE["mrr"].source,
    ),
}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Investors:
    """Everything the page for investors and its files say, of one month and one currency.

    story: the report's, whose charts and words the page uses; headlines: SHOWN; metrics: NAMES of every month told;
    cohorts: triangles by month of customers and of revenue; definition: what counts, with its choices.
    """

    story: s.Story
    headlines: tuple[s.Headline, ...]
    concentration: Concentration | None
    metrics: Answer
    cohorts: tuple[CohortTable, ...]
    definition: Definition

    @property
    def recurring(self) -> s.Recurring:
        """The one currency's movements and layers."""
        return self.story.recurring[0]


def investors(
    shop: Workspace,
    *,
    month: str | None = None,
    known_on: str | datetime | None = None,
    currency: str | None = None,
    engine: str | None = None,
    progress: Progress = lambda step: None,
) -> Investors:
    """What an investor asks about one month (default: the last whole one that the data reaches).

    Raises BadInput for a company without subscriptions, and where money is in several currencies and none is chosen.
    """
    # One instant for every question: what is loaded meanwhile waits for the next summary.
    known = shop.known_before(known_on) - timedelta(microseconds=1)
    told = shop.story(month=month, known_on=known, currency=currency, engine=engine, progress=progress)
    if not told.recurring:
        raise BadInput(
            "an investor summary tells of subscriptions, and there are none: `tenure report` tells of orders; load "
            "subscriptions with `tenure load subscriptions FILE`"
        )
    if len(told.recurring) > 1:
        known_currencies = ", ".join(sorted(one.currency for one in told.recurring))
        raise BadInput(
            f"money is in {known_currencies}: choose what the summary is told in, such as --currency "
            f"{told.recurring[0].currency}; rates come with `tenure load rates FILE`"
        )
    recurring, period = told.recurring[0], told.about.period
    progress("the months")
    first = recurring.months[0].period.start
    last_day = period.end - timedelta(days=1)
    asked: dict[str, object] = {"known_on": known, "engine": engine, "currency": recurring.currency}
    answer = shop.metrics(*NAMES, since=first.isoformat(), until=last_day.isoformat(), **asked)  # type: ignore[arg-type]
    progress("cohorts by month")
    tables = [
        *shop.cohorts("customers", until=last_day.isoformat(), **asked),  # type: ignore[arg-type]
        *shop.cohorts("revenue", until=last_day.isoformat(), **asked),  # type: ignore[arg-type]
    ]
    progress("concentration")
    definition = shop.definition()
    spread = concentration(shop.facts(known, engine), definition, at=period.end, currency=recurring.currency)
    more = tuple(_definition(name) for name in ("arr", *OWN) if name not in {one.metric for one in told.definitions})
    told = replace(told, definitions=(*told.definitions, *more))
    found = Investors(told, (), spread[0] if spread else None, answer, tuple(tables), definition)
    return replace(found, headlines=tuple(_headlines(found)))


def _definition(name: str) -> s.Definition:
    if name in OWN:
        return OWN[name]
    m = CATALOGUE[name]
    return s.Definition(m.name, m.title, m.question, m.formula, m.unit, m.source)  # type: ignore[arg-type]


def _headlines(found: Investors) -> list[s.Headline]:
    """The numbers of the page's head, each with its history and what it was a year before."""
    told, recurring = found.story, found.recurring
    rates = {one.figure.metric: one for one in told.rates}
    known: dict[str, s.Headline] = {**rates, "mrr": recurring.mrr, "arr": _arr(found)}
    if told.customers is not None:
        known["customers"] = told.customers
    known["mrr_growth_12m"] = _growth(recurring.mrr, told.about.period)
    known["quick_ratio_12m"] = _quick_ratio(found)
    return [known[name] for name in SHOWN if name in known]


def _arr(found: Investors) -> s.Headline:
    """The catalogue's ARR of every month, with what it was a month and a year before."""
    cells = {cell.period.first: cell for cell in found.metrics.cells if cell.metric.name == "arr"}
    mrr = found.recurring.mrr

    def of(figure: s.Figure) -> s.Figure:
        cell = cells.get(figure.period.start)
        value = None if cell is None else cell.major(cell.value)
        return replace(figure, metric="arr", value=value, reason=figure.reason if value is None else "")

    now = of(mrr.figure)
    compared = []
    for one in mrr.comparisons:
        then = of(one.then)
        if one.against != "target" and now.value is not None and then.value is not None:
            compared.append(replace(one, then=then, difference=now.value - then.value))  # type: ignore[operator]
    history = tuple(
        replace(one, value=None if (cell := cells.get(one.period.start)) is None else cell.major(cell.value))
        for one in mrr.history
    )
    return replace(mrr, figure=now, comparisons=tuple(compared), history=history, customers=None)


def _growth(mrr: s.Headline, period: s.Period) -> s.Headline:
    """MRR against that of twelve months before, and the same of every month that has both."""
    by_start = {point.period.start: point.value for point in mrr.history}

    def grown(start: object) -> float | None:
        now, then = by_start.get(start), by_start.get(add_months(start, -12))  # type: ignore[call-overload,arg-type]
        return None if now is None or not then else float(now / then) - 1

    value = grown(period.start)
    reason = "" if value is not None else "no MRR is known of twelve months before"
    points = tuple(
        s.Point(one.period, grown(one.period.start)) for one in mrr.history if grown(one.period.start) is not None
    )
    year = s.Period(add_months(period.end, -12), period.end, "year")
    figure = s.Figure(
        "mrr_growth_12m", value, "rate", year, reason=reason, profile=mrr.figure.profile, currency=mrr.figure.currency
    )
    return s.Headline(figure, "higher", _year_before(figure, points, period), points)


def _quick_ratio(found: Investors) -> s.Headline:
    """Gains over losses of the last twelve months, and the same at every month's end that has twelve before it."""
    period, profile = found.story.about.period, found.story.about.profile
    cells: dict[object, Cell] = {
        cell.period.first: cell for cell in found.metrics.cells if cell.metric.name == "quick_ratio"
    }

    def over_year(start: object) -> tuple[Fraction, Fraction] | None:
        months = [cells.get(add_months(start, -back)) for back in range(12)]  # type: ignore[arg-type]
        parts = [
            (one.numerator, one.denominator)
            for one in months
            if one is not None and one.numerator is not None and one.denominator is not None
        ]
        if len(parts) < 12:
            return None
        return sum((top for top, _ in parts), Fraction(0)), sum((bottom for _, bottom in parts), Fraction(0))

    def ratio(start: object) -> float | None:
        parts = over_year(start)
        return None if parts is None or not parts[1] else float(parts[0] / parts[1])

    parts = over_year(period.start)
    value = ratio(period.start)
    reason = ""
    if value is None:
        reason = "twelve months are not known" if parts is None else "nothing was lost, so there is no ratio"
    cell = cells.get(period.start)
    figure = s.Figure(
        "quick_ratio_12m",
        value,
        "ratio",
        s.Period(add_months(period.end, -12), period.end, "year"),
        found.recurring.currency,
        numerator=None if parts is None or cell is None else cell.major(parts[0]),
        denominator=None if parts is None or cell is None else cell.major(parts[1]),
        reason=reason,
        profile=profile,
    )
    points = tuple(
        s.Point(one.period, ratio(one.period.start))
        for one in found.recurring.mrr.history
        if ratio(one.period.start) is not None
    )
    return s.Headline(figure, "higher", _year_before(figure, points, period), points)


def _year_before(figure: s.Figure, points: tuple[s.Point, ...], period: s.Period) -> tuple[s.Comparison, ...]:
    """The comparison with the same figure of a year before, where that is known."""
    then = next((one for one in points if one.period.start == add_months(period.start, -12)), None)
    if then is None or then.value is None or figure.value is None:
        return ()
    earlier = replace(figure, value=then.value, period=then.period, numerator=None, denominator=None)
    return (s.Comparison("year_ago", earlier, float(figure.value) - float(then.value)),)
