"""What do others publish, and how do we compare? Published figures beside the company's own, over the same period.

The figures are data (`published/*.toml`), as published, with their source, year and period. A rate that is known for a
month is made a year's by 1 - (1 - r)^12 and back; retention by r^12, which is the same of what is lost. A figure whose
period nobody tells, or that is known only from somebody who repeats it, is shown and never compared.

The company's own numbers are not converted: a month's is counted over the month, a year's over the twelve months.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tenure.errors import BadInput, UnknownName
from tenure.kernel import stats
from tenure.kernel.time import STRETCH, add_months
from tenure.measure.answers import Cell, Question, ask
from tenure.measure.catalogue import CATALOGUE
from tenure.measure.cohorts import history, nothing_known
from tenure.measure.currencies import currencies
from tenure.measure.lifetimes import exposure_start

if TYPE_CHECKING:
    from tenure.lake.facts import Facts
    from tenure.measure.definition import Definition

PUBLISHED = Path(__file__).with_name("published")
PERIODS = ("month", "year")
# Metrics that say what stayed; all others say what was lost, or a share that has no period.
KEPT = ("nrr", "grr")
SHARES = ("involuntary_churn_share",)
# Counts of our catalogue that others publish as a rate: leavers of a month by the customers at its start.
COUNTS = ("customers_churned_voluntary", "customers_churned_involuntary")
METRICS = ("customer_churn_rate", *COUNTS, *SHARES, "gross_mrr_churn_rate", *KEPT)

Verdict = Literal["lower", "no different", "higher", ""]


@dataclass(frozen=True)
class Published:
    """One published figure: a share from `low` to `high` (the same twice for a single one), as its source has it.

    metric: of our catalogue, the nearest, or "" where Tenure measures nothing like it. period: month, year, none (a
    share of leavers, which has no period), or "" where the source does not say. The other fields are those of the file.
    """

    id: str
    metric: str
    says: str
    low: float
    high: float
    period: str
    segment: str
    year: str
    source: str
    url: str
    seen: str
    secondary: bool = False
    compared: bool = True
    why: str = ""
    remarks: str = ""

    def per(self, period: str) -> tuple[float, float] | None:
        """The figure over a month or a year: as published, converted, or None where it has no period of its own."""
        if self.period == "none" and self.metric in SHARES:
            return self.low, self.high
        if self.period not in PERIODS or not self.metric or (self.metric in COUNTS and period != self.period):
            return None
        return self._over(self.low, period), self._over(self.high, period)

    def is_converted(self, period: str) -> bool:
        """Whether that period is not the one it was published for."""
        return self.period in PERIODS and self.period != period

    @property
    def left_out(self) -> str:
        """Why it is not compared, '' where it is."""
        if not self.compared:
            return self.why
        if self.period == "":
            return "no period is told"
        if self.secondary:
            return "secondary"
        return "" if self.metric else "Tenure measures nothing like it"

    def _over(self, share: float, period: str) -> float:
        if self.period == period:
            return share
        per_year = {"month": 12, "year": 1}
        lost = stats.to_period(1 - share if self.metric in KEPT else share, per_year[self.period], per_year[period])
        assert lost is not None
        return 1 - lost if self.metric in KEPT else lost


@dataclass(frozen=True)
class Own:
    """The company's own number over [first, after): a share with its interval and parts, or None and the reason."""

    metric: str
    period: str
    first: date
    after: date
    value: float | None
    low: float | None = None
    high: float | None = None
    numerator: Fraction | None = None
    denominator: Fraction | None = None
    n: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Beside:
    """A published figure beside the company's own, both over the same period.

    verdict: whether the company's own is lower, higher or no different, by its own interval over `judged` (the twelve
    months where they are known, else the month). What the publisher's own interval is nobody tells.
    """

    published: Published
    month: tuple[float, float] | None
    year: tuple[float, float] | None
    own_month: Own | None
    own_year: Own | None
    verdict: Verdict
    judged: str
    left_out: str


@dataclass(frozen=True)
class Benchmarks:
    """Every published figure that was asked for, in the order of the catalogue, and what the company's own are."""

    definition: Definition
    currency: str | None
    rows_beside: tuple[Beside, ...]
    own: tuple[Own, ...]
    notes: list[str] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """One dict per published figure, shares as float; `month_...` and `year_...` are over the same period."""
        return [_row(one, self.definition) for one in self.rows_beside]


def _row(one: Beside, definition: Definition) -> dict[str, Any]:
    said = one.published
    row: dict[str, Any] = {
        "id": said.id,
        "metric": said.metric or None,
        "segment": said.segment,
        "says": said.says,
        "published_low": said.low,
        "published_high": said.high,
        "published_per": said.period or None,
        "year_of_data": said.year or None,
        "source": said.source,
        "url": said.url or None,
        "seen": said.seen,
        "secondary": said.secondary,
        "remarks": said.remarks or None,
    }
    for period, figure, own in (("month", one.month, one.own_month), ("year", one.year, one.own_year)):
        row[f"{period}_low"], row[f"{period}_high"] = figure or (None, None)
        row[f"{period}_converted"] = figure is not None and said.is_converted(period)
        row[f"own_{period}"] = None if own is None else own.value
        row[f"own_{period}_low"] = None if own is None else own.low
        row[f"own_{period}_high"] = None if own is None else own.high
        row[f"own_{period}_from"] = None if own is None else own.first.isoformat()
        row[f"own_{period}_to"] = None if own is None else own.after.isoformat()
        row[f"own_{period}_reason"] = None if own is None else own.reason or None
    row["profile"] = definition.name
    row["own_is"] = one.verdict or None
    row["judged_over"] = one.judged or None
    row["not_compared"] = one.left_out or None
    return row


@cache
def published() -> tuple[Published, ...]:
    """The figures that ship with the package, in the order of their files."""
    found = []
    for path in sorted(PUBLISHED.glob("*.toml")):
        for raw in tomllib.loads(path.read_text(encoding="utf-8"))["figure"]:
            value = raw.pop("value", None)
            low, high = (value, value) if value is not None else (raw.pop("low"), raw.pop("high"))
            found.append(Published(low=float(low), high=float(high), **raw))
    return tuple(found)


def benchmarks(
    facts: Facts,
    definition: Definition,
    *,
    first: date,
    after: date,
    metrics: Sequence[str] = (),
    currency: str | None = None,
) -> Benchmarks:
    """What others publish beside the company's own, of the month [first, after) and the twelve months that end with it.

    metrics: of METRICS; none for all, and with them what Tenure measures nothing like. currency: of money; with
    several and none chosen, rates of revenue have no value and say so. Raises UnknownName for a metric nobody publishes
    and BadInput without any subscription.
    """
    for name in metrics:
        if name not in METRICS:
            raise UnknownName.of("metric with published figures", name, METRICS)
    span = history(facts)
    if span is None:
        raise nothing_known(facts)
    since, snapshot = exposure_start(facts, definition, after)
    year = add_months(after, -12)
    why = {"month": "", "year": ""}
    for period, start in (("month", first), ("year", year)):
        if span[0] > start:
            why[period] = f"history begins on {span[0]}, later than {start}"
        elif since is not None and since > start and not snapshot:
            why[period] = f"nobody is seen to leave before {since}"
    if snapshot:
        why["year"] = "all who left did so at one time: a snapshot tells of no twelve months"
    wanted = [name for name in METRICS if not metrics or name in metrics]
    own: dict[tuple[str, str], Own] = {}
    for period, start in (("month", first), ("year", year)):
        for one in _own(facts, definition, wanted, period, start, after, currency, why[period]):
            own[one.metric, period] = one
    rows = []
    order = {name: place for place, name in enumerate((*METRICS, ""))}
    for said in sorted(published(), key=lambda one: order[one.metric]):
        if metrics and said.metric not in metrics:
            continue
        rows.append(_beside(said, own.get((said.metric, "month")), own.get((said.metric, "year"))))
    return Benchmarks(definition, currency, tuple(rows), tuple(own.values()))


def _beside(said: Published, month: Own | None, year: Own | None) -> Beside:
    figures = {period: said.per(period) for period in PERIODS}
    left_out, verdict, judged = said.left_out, "", ""
    if not left_out:
        for period, own in (("year", year), ("month", month)):
            figure = figures[period]
            if own is None or own.value is None or own.low is None or own.high is None or figure is None:
                continue
            judged = period
            verdict = "lower" if own.high < figure[0] else "higher" if own.low > figure[1] else "no different"
            break
        else:
            left_out = (
                next((own.reason for own in (year, month) if own is not None and own.reason), "") or "no interval"
            )
    return Beside(said, figures["month"], figures["year"], month, year, verdict, judged, left_out)  # type: ignore[arg-type]


def _own(
    facts: Facts,
    definition: Definition,
    wanted: Sequence[str],
    period: str,
    first: date,
    after: date,
    currency: str | None,
    why: str,
) -> list[Own]:
    if why:
        return [Own(name, period, first, after, None, reason=why) for name in wanted]
    names = tuple(dict.fromkeys([*wanted, *(["customer_churn_rate"] if set(wanted) & set(COUNTS) else [])]))
    answer = ask(facts, definition, Question(names, first, after, STRETCH, (), currency))
    several = currency is None and len(currencies(facts, definition.source)) > 1
    found = []
    cells = {cell.metric.name: cell for cell in answer.cells}
    for name in wanted:
        if several and CATALOGUE[name].of_money:
            reason = "there are several currencies: choose one with --currency"
            found.append(Own(name, period, first, after, None, reason=reason))
        elif name not in cells:
            found.append(Own(name, period, first, after, None, reason="there is nobody to count"))
        elif name in COUNTS:
            found.append(_events(cells[name], cells["customer_churn_rate"], period, first, after))
        else:
            cell = cells[name]
            value = None if cell.value is None else float(cell.value)
            parts = (cell.numerator, cell.denominator, cell.n, cell.reason)
            found.append(Own(name, period, first, after, value, cell.low, cell.high, *parts))
    return found


def _events(left: Cell, churn: Cell, period: str, first: date, after: date) -> Own:
    """Leavers of one kind by the customers at the start, as others publish them: events by exposure, exact Poisson."""
    if period == "year":
        reason = "of twelve months it would count those who came and left within them"
        return Own(left.metric.name, period, first, after, None, reason=reason)
    events, base = int(left.value or 0), churn.n or 0
    rate = stats.poisson_exact(events, base)
    reason = "" if base else "there were no customers at the start"
    name, parts = left.metric.name, (Fraction(events), Fraction(base), base, reason)
    return Own(name, period, first, after, rate.value, rate.low, rate.high, *parts)


@dataclass(frozen=True)
class Reading:
    """One rate read as that of a month or of a year: what it is over either, and how many of `of` are left later.

    left: (months, customers), customers rounded half-even.
    """

    read_as: str
    month: float
    year: float
    of: int
    left: tuple[tuple[int, int], ...]


def readings(rate: float, of: int = 1000, months: Sequence[int] = (1, 6, 12, 24, 36)) -> tuple[Reading, Reading]:
    """What a churn rate without a period may mean: read as a month's, and read as a year's.

    >>> monthly, yearly = readings(0.05)
    >>> round(monthly.year, 4), dict(monthly.left)[12], round(yearly.month, 4), dict(yearly.left)[12]
    (0.4596, 540, 0.0043, 950)
    """
    if not 0 <= rate < 1:
        raise BadInput(f"a churn rate lies between 0 and 1, got {rate:g}; write 0.05 or 5% for 5 %")

    def reading(read_as: str, month: float | None, year: float | None) -> Reading:
        assert month is not None and year is not None
        left = []
        for count in months:
            gone = stats.to_period(month, 12, 12 / count)
            assert gone is not None
            left.append((count, round(of * (1 - gone))))
        return Reading(read_as, month, year, of, tuple(left))

    return (
        reading("month", rate, stats.to_period(rate, 12, 1)),
        reading("year", stats.to_period(rate, 1, 12), rate),
    )
