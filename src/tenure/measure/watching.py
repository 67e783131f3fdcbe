"""What has left its usual range? The latest period that is over against the company's own past, without crying wolf.

Each metric is compared with the same weekday (days), the periods before (weeks, months), or the same month of the years
before (months, where there are two such years: each by how it stood to the twelve months before it, so that a trend is
followed); see kernel.usual for the ranges and their sources. All metrics, segments and currencies looked at are one
family: Holm's correction keeps the chance that anything at all is listed, if nothing has changed, at `false_alarms`.
Customers who leave are weighed against those who were there, money that moves against the opening MRR, and both against
the days of the period, so that growth alone is no alarm.

What is not judged is said with its reason: a period that is not over, a past too short, a sum that in some periods was
nothing (its count is judged). Levels such as mrr and figures over twelve months are refused: of them every period
repeats the one before, so they have no usual range; what moves them has.
"""

from __future__ import annotations

import json
from calendar import month_name
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput, BadPeriod
from tenure.kernel import stats
from tenure.kernel.time import Period, add_months, floor_day, label, next_day
from tenure.kernel.usual import AS_IT_IS, CUBE_ROOT, LOGARITHM, Past, Usual, usual_amount, usual_count
from tenure.lake.facts import Facts
from tenure.measure.answers import Answer, Cell, Question, ask
from tenure.measure.catalogue import CATALOGUE, Metric, metrics
from tenure.measure.cohorts import history, nothing_known
from tenure.measure.currencies import SCALE
from tenure.measure.definition import Definition
from tenure.measure.lifetimes import exposure_start

if TYPE_CHECKING:
    import pyarrow as pa

# The churn rate is left out because customers_churned is weighed against who was there: it is the same test.
CORE = (
    "customers_churned",
    "customers_churned_involuntary",
    "customers_new",
    "mrr_churn",
    "mrr_contraction",
    "mrr_expansion",
    "mrr_new",
    "quick_ratio",
    "nrr",
)
FALSE_ALARMS = 0.05
GRAINS = ("day", "week", "month")
LOOKS_BACK = {"day": 26 * 7, "week": 52, "month": 60}  # periods
LEAST = {"day": 8, "week": 12, "month": 12}  # of the same weekday; of all
_STRAGGLE = {"day": 1, "week": 2, "month": 4}  # a period is told of if something is known of its last days
KEYS = (
    "metric", "profile", "period_start", "period_end", "segment", "currency", "unit", "value", "usual_low",
    "usual_high", "direction", "is_better", "p", "compared_with", "periods", "reason",
)  # fmt: skip
_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


@dataclass(frozen=True, slots=True)
class Look:
    """One metric of one segment in one currency: its latest number, what was usual, and how odd it is.

    p: Holm's, over all that was judged; None where nothing was judged, with the reason. low, high: the usual range at
    the level that the family left to this metric. Amounts here are floats of 10^-6 minor units, as the cell's are.
    """

    cell: Cell
    p: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    is_out: bool = False
    compared_with: str = ""
    periods: int = 0
    reason: str = ""

    @property
    def direction(self) -> str | None:
        """above or below its usual range; None where it is within, or was not judged."""
        if not self.is_out or self.expected is None or self.cell.value is None:
            return None
        return "above" if _plain(self.cell) > self.expected else "below"

    @property
    def is_better(self) -> bool | None:
        """Whether it left for the better; None where it did not leave, or no direction is better."""
        better = self.cell.metric.better
        if self.direction is None or better == "neither":
            return None
        return (self.direction == "above") == (better == "higher")

    def shown(self, value: float | None) -> Any:
        """A number of this metric in its unit, as Answer.rows has them."""
        if value is None:
            return None
        if self.cell.metric.unit == "money":
            return self.cell.major(Fraction(value) * SCALE)
        return round(value) if self.cell.metric.unit == "count" else value


@dataclass
class Watched:
    """What left its usual range in the latest period, what stayed in it, and what could not be judged."""

    period: Period | None
    grain: str
    by: tuple[str, ...]
    false_alarms: float
    definition: Definition
    looks: list[Look]
    past: list[Cell]
    facts: Facts
    question: Question | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def out(self) -> list[Look]:
        """What left its usual range, the oddest first."""
        return sorted((look for look in self.looks if look.is_out), key=lambda look: look.p or 0.0)

    @property
    def judged(self) -> int:
        """How many numbers were compared with their past: the family."""
        return sum(look.p is not None for look in self.looks)

    def rows(self, every: bool = False) -> list[dict[str, Any]]:
        """One dict per number that left its usual range, the oddest first; with `every`, all that were looked at.

        Keys as KEYS: value and range in the metric's unit (money: Decimal, major units), p as corrected by Holm,
        `reason` why a number was not judged.
        """
        chosen = [*self.out, *(look for look in self.looks if not look.is_out)] if every else self.out
        return [
            {
                "metric": look.cell.metric.name,
                "profile": self.definition.name,
                "period_start": look.cell.period.first.isoformat(),
                "period_end": look.cell.period.after.isoformat(),
                "segment": look.cell.segment,
                "currency": look.cell.currency,
                "unit": look.cell.metric.unit,
                "value": None if look.cell.value is None else look.shown(_plain(look.cell)),
                "usual_low": look.shown(look.low),
                "usual_high": look.shown(look.high),
                "direction": look.direction,
                "is_better": look.is_better,
                "p": look.p,
                "compared_with": look.compared_with or None,
                "periods": look.periods or None,
                "reason": look.reason or None,
            }
            for look in chosen
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything as plain data: the family with its stated chance of a false alarm, and every row."""
        return {
            "period": None if self.period is None else self.period.label,
            "grain": self.grain,
            "by": list(self.by),
            "judged": self.judged,
            "out": len(self.out),
            "false_alarms": self.false_alarms,
            "rows": self.rows(every=True),
            "notes": list(self.notes),
        }

    def customers(self) -> pa.Table:
        """Who is in the numbers that left their range, as Answer.customers lists them; no rows where none did."""
        import pyarrow as pa

        from tenure.measure.openings import customers

        out = {(look.cell.metric.name, _key(look.cell.segment), look.cell.currency) for look in self.out}
        names = tuple(dict.fromkeys(name for name, _, _ in out))
        if self.question is None or self.period is None:
            raise BadInput("nothing was looked at, so there is nobody to list")
        asked = replace(self.question, names=names or CORE[:1], first=self.period.first, after=self.period.after)
        answer = ask(self.facts, self.definition, asked)
        listed = customers(answer)
        kept = [
            (row["metric"], _key(row["segment"] and json.loads(row["segment"])), row["currency"]) in out
            or (row["metric"], _key(row["segment"] and json.loads(row["segment"])), None) in out
            for row in listed.to_pylist()
        ]
        return listed.filter(pa.array(kept, pa.bool_()))

    def chart(self, language: str = "en") -> Any:
        """What left its range (if nothing did: all that was judged) over time, with that range; altair.Chart."""
        from tenure.charts.watching import left_its_range

        shown = self.out or [look for look in self.looks if look.p is not None]
        rows: list[dict[str, Any]] = []
        for look in shown:
            of = (look.cell.metric.name, look.cell.segment, look.cell.currency)
            mine = [cell for cell in self.past if (cell.metric.name, cell.segment, cell.currency) == of]
            for cell in [*mine, look.cell]:
                is_now = cell is look.cell
                rows.append(
                    {
                        "metric": cell.metric.name,
                        "segment": cell.segment,
                        "currency": cell.currency,
                        "unit": cell.metric.unit,
                        "period": cell.period.first,
                        "value": None if cell.value is None else look.shown(_plain(cell)),
                        "usual_low": look.shown(look.low) if is_now else None,
                        "usual_high": look.shown(look.high) if is_now else None,
                        "is_out": is_now and look.is_out,
                        "is_better": look.is_better if is_now else None,
                    }
                )
        return left_its_range(rows, language, grain=self.grain)


def watchable(names: Sequence[str]) -> list[Metric]:
    """The metrics of those names (CORE without any); BadInput for one that has no usual range."""
    found = metrics(list(dict.fromkeys(names)) or CORE)
    for metric in found:
        if why := _unfit(metric):
            raise BadInput(f"{metric.name} cannot be watched: {why}")
    return found


def _unfit(metric: Metric) -> str:
    if metric.looks_back:
        return "each period repeats most of the one before; watch nrr, grr or what moves them"
    if metric.needs or metric.opens == "none" or metric.name == "mrr_fx":
        return "it rests on assumptions or on what is known elsewhere; watch what it is made of"
    if metric.line != "committed":
        return "what customers use is told months later; ask `tenure metrics` for it"
    if metric.grain == "state":
        return "it is a level, in which every period repeats the one before; watch what moves it, such as mrr_churn"
    if metric.name in ("customer_churn_rate_monthly", "customer_churn_rate_annual"):
        return "it is customer_churn_rate in other words; watch that"
    return ""


def watch(
    facts: Facts,
    definition: Definition,
    names: Sequence[str] = (),
    *,
    grain: str = "month",
    until: date | None = None,
    by: tuple[str, ...] = (),
    currency: str | None = None,
    false_alarms: float = FALSE_ALARMS,
) -> Watched:
    """Which metrics left their usual range in the latest period that is over (or the one that ends before `until`).

    names: metrics of the catalogue (default: CORE). grain: day, week or month. A period is over when it has ended and
    something is known of its last days. Raises BadInput for a metric that has no usual range and BadPeriod for another
    grain; too little history is no error but an answer in which nothing is judged, with the reason.
    """
    chosen = watchable(names)
    if grain not in GRAINS:
        raise BadPeriod(f"'{grain}' cannot be watched; use one of {', '.join(GRAINS)}")
    if not 0 < false_alarms < 1:
        raise BadInput(f"a chance of {false_alarms} for a false alarm: give a share between 0 and 1, such as 0.05")
    span = history(facts)
    if span is None:
        raise nothing_known(facts)
    horizon = facts.known_before.astimezone(facts.timezone).date()
    latest = _latest(span[1], horizon, grain)
    judged = latest if until is None else floor_day(until - timedelta(days=1), grain)
    found = Watched(None, grain, by, false_alarms, definition, [], [], facts)
    since, snapshot = exposure_start(facts, definition, max(next_day(judged, grain), span[1] + timedelta(days=1)))
    first = _first(max(span[0], since or span[0]), judged, grain)
    if snapshot or first >= judged:
        found.notes.append(
            "All who left did so on one day, so there is no past to compare with: nothing is judged."
            if snapshot
            else f"Leavers are known since {since or span[0]}: no whole {grain} lies before {label(judged, grain)}."
        )
        return found
    asked = Question(
        tuple(dict.fromkeys([*(metric.name for metric in chosen), "customer_churn_rate", "mrr_opening"])),
        first,
        next_day(judged, grain),
        grain,
        by,
        currency,
        intervals=False,
    )
    answer = ask(facts, definition, asked)
    found.question, found.notes = replace(asked, names=tuple(metric.name for metric in chosen)), list(answer.notes)
    if until is None and next_day(next_day(judged, grain), grain) <= horizon:
        found.notes.append(f"The last fact is of {span[1]}: no later {grain} is judged.")
    compare(found, answer, chosen, judged, horizon)
    return found


def _latest(last: date, horizon: date, grain: str) -> date:
    """The first day of the latest period that is over and of whose last days something is known."""
    at = floor_day(min(last, horizon), grain)
    while next_day(at, grain) > horizon or last < next_day(at, grain) - timedelta(days=_STRAGGLE[grain]):
        at = floor_day(at - timedelta(days=1), grain)
    return at


def _first(begins: date, judged: date, grain: str) -> date:
    """The first day of the past that is looked at: whole periods of history, not too long ago."""
    whole = begins if floor_day(begins, grain) == begins else next_day(floor_day(begins, grain), grain)
    n = LOOKS_BACK[grain]
    ago = add_months(judged, -n) if grain == "month" else judged - timedelta(days=n * (7 if grain == "week" else 1))
    return max(whole, ago)


def compare(found: Watched, answer: Answer, chosen: Sequence[Metric], judged: date, horizon: date) -> None:
    """Fills in the looks: each number against its past, all of them as one family."""
    series: dict[tuple[str, str, str | None], list[Cell]] = {}
    for cell in answer.cells:
        series.setdefault((cell.metric.name, _key(cell.segment), cell.currency), []).append(cell)
    wanted = {metric.name for metric in chosen}
    looks: list[tuple[Look, Usual | None, float]] = []
    for (name, segment, currency), cells in series.items():
        if name not in wanted or cells[-1].period.first != judged:
            continue
        now = cells[-1]
        found.period = now.period
        found.past += cells[:-1]
        base = _base(CATALOGUE[name], series, segment, currency)
        look = Look(now)
        if now.period.after > horizon:
            looks.append((replace(look, reason="the period is not over"), None, 0.0))
            continue
        looks.append(_look(look, cells[:-1], base, found.grain))
    adjusted = stats.holm([None if usual is None else usual.p(happened) for _, usual, happened in looks])
    out = [p is not None and p <= found.false_alarms for p in adjusted]
    family = sum(p is not None for p in adjusted)
    odd = sorted((adjusted[place] or 0.0, place) for place in range(len(looks)) if out[place])
    rank = {place: i for i, (_, place) in enumerate(odd)}
    for place, (look, usual, happened) in enumerate(looks):
        if usual is None:
            found.looks.append(look)
            continue
        # What Holm left to this one: the range ends exactly where the alarm begins.
        level = found.false_alarms / (family - rank.get(place, sum(out)))
        low, high = usual.range(level)
        plain = _plain(look.cell)
        times = plain / happened if happened else _times(look.cell, answer.definition)
        ends = [end * times for end in (low, high, usual.expected)]
        if look.cell.metric.unit == "rate" and _counted(look.cell.metric):
            ends[1] = min(ends[1], 1.0)
        elif look.cell.metric.unit == "money" and look.cell.metric.name != "mrr_net_new":
            ends[0] = max(ends[0], 0.0)  # such a sum is never below nothing
        elif look.cell.metric.name == "grr":
            ends[1] = min(ends[1], 1.0)
        found.looks.append(
            replace(look, p=adjusted[place], low=ends[0], high=ends[1], expected=ends[2], is_out=out[place])
        )


def _look(look: Look, past: Sequence[Cell], base: dict[date, float], grain: str) -> tuple[Look, Usual | None, float]:
    """One number's usual range, with what happened in the range's own terms; None with the reason why not."""
    now, metric = look.cell, look.cell.metric
    if now.value is None:
        return replace(look, reason=now.reason), None, 0.0
    counted = _counted(metric)
    if counted and metric.unit == "rate" and not now.denominator:
        return replace(look, reason=now.reason), None, 0.0
    told: list[tuple[Past, date]] = []
    for cell in past:
        if cell.value is None or (cell.period.first not in base and _weighed(metric)):
            continue
        exposure = _exposure(cell, base)
        if exposure > 0:
            told.append((Past(_group(cell.period.first, grain), _happened(cell), exposure), cell.period.first))
    exposure, happened = _exposure(now, base), _happened(now)
    if exposure <= 0:
        return replace(look, reason="nobody was there at the start"), None, 0.0
    mine = _group(now.period.first, grain)
    seasonal = grain == "day" or (grain == "month" and sum(one.group == mine for one, _ in told) >= 2)
    lines = [one if seasonal else replace(one, group=0) for one, _ in told]
    if seasonal and grain == "month" and (counted or _is_sum(metric)):
        levels = _levels(lines)
        exposure *= levels[-1]
        kept = [(one, level) for one, level in zip(lines, levels, strict=False) if level > 0]
        lines = [replace(one, exposure=one.exposure * level) for one, level in kept]
        if exposure <= 0:
            return replace(look, reason="there was none of it in the twelve months before"), None, 0.0
    mine = mine if seasonal else 0
    same = sum(one.group == mine for one in lines)
    least = 2 if grain == "month" and seasonal else LEAST[grain]
    if same < least or len(lines) < LEAST[grain]:
        what = _WEEKDAYS[mine] if grain == "day" else f"{grain}s"
        short = f"too little history: {same} {what} before it, {LEAST[grain]} are needed"
        return replace(look, reason=short), None, 0.0
    usual: Usual | None
    if counted:
        usual = usual_count(lines, mine, exposure)
        why = "nothing could happen in the past"
    elif metric.unit == "ratio" and (happened <= 0 or any(one.happened <= 0 for one in lines)):
        usual, why = None, "the ratio is not above 0 throughout"
    elif metric.unit == "money" and sum(one.happened == 0 for one in lines):
        usual, why = None, "there was none of it in some of the past periods: too rare for a range of money"
    else:
        scale = LOGARITHM if metric.unit == "ratio" else CUBE_ROOT if _is_sum(metric) else AS_IT_IS
        usual, why = usual_amount(lines, mine, exposure, scale), "the past hardly varies"
    if usual is None:
        return replace(look, reason=why), None, 0.0
    what = _WEEKDAYS[mine] if grain == "day" else f"{month_name[mine]}s" if seasonal else f"{grain}s"
    against = f"{same} {what}"
    return replace(look, compared_with=against, periods=same), usual, happened


def _levels(lines: Sequence[Past]) -> list[float]:
    """The rate of the twelve months before each month (of the first twelve: of that year), and before the next one."""

    def rate(months: Sequence[Past]) -> float:
        return sum(one.happened for one in months) / sum(one.exposure for one in months)

    return [rate(lines[:12] if i < 12 else lines[i - 12 : i]) for i in range(len(lines) + 1)]


def _group(first: date, grain: str) -> int:
    return first.weekday() if grain == "day" else first.month if grain == "month" else 0


def _counted(metric: Metric) -> bool:
    """Whether it counts customers, or is a share of counted customers."""
    return metric.unit == "count" or (metric.unit == "rate" and not metric.money_parts)


def _is_sum(metric: Metric) -> bool:
    """Whether it adds up what single customers moved, so that the cube root makes it near normal."""
    return metric.unit == "money" or metric.name == "gross_mrr_churn_rate"


def _weighed(metric: Metric) -> bool:
    """Whether it is weighed against who or what was there at the start; newcomers are not."""
    kinds = metric.opens.partition(":")[2]
    if metric.unit == "count":
        return kinds != "new" and kinds != "reactivated"
    return metric.unit == "money" and not {"new", "reactivation"} & set(kinds.split(","))


def _base(
    metric: Metric, series: dict[tuple[str, str, str | None], list[Cell]], segment: str, currency: str | None
) -> dict[date, float]:
    """What was there at the start of each period: customers, or opening MRR; empty where it is not weighed."""
    if not _weighed(metric):
        return {}
    if metric.unit == "count":
        cells = series.get(("customer_churn_rate", segment, None), [])
        return {cell.period.first: float(cell.n) for cell in cells if cell.n}
    cells = series.get(("mrr_opening", segment, currency), [])
    return {cell.period.first: _plain(cell) for cell in cells if cell.value}


def _exposure(cell: Cell, base: dict[date, float]) -> float:
    """How much could have happened: what was there x days; a share's denominator; 1 for a ratio."""
    metric, days = cell.metric, (cell.period.after - cell.period.first).days
    if metric.unit == "rate" and _counted(metric):
        of = float(cell.denominator or 0)
        return of if metric.opens in ("due", "event:churned") else of * days
    if metric.unit in ("rate", "ratio"):
        return 1.0
    return (base.get(cell.period.first, 0.0) if _weighed(metric) else 1.0) * days


def _happened(cell: Cell) -> float:
    if cell.metric.unit == "rate" and _counted(cell.metric):
        return float(cell.numerator or 0)
    return _plain(cell)


def _times(cell: Cell, definition: Definition) -> float:
    """What one counted customer adds to the number as it is shown."""
    if cell.metric.unit != "rate" or not _counted(cell.metric):
        return 1.0
    return (30 if definition.churn_base == "customer_days" else 1) / float(cell.denominator or 1)


def _plain(cell: Cell) -> float:
    """A cell's value as a float: money in 10^-6 minor units."""
    assert cell.value is not None
    return float(cell.value / SCALE if cell.metric.unit == "money" else cell.value)


def _key(segment: dict[str, str | None] | None) -> str:
    return json.dumps(segment, sort_keys=True, ensure_ascii=False)


__all__ = ["CORE", "Look", "Watched", "compare", "watch", "watchable"]
