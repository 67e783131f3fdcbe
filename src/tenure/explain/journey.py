"""When in their life do customers leave, and did what we changed make them leave? Spikes of the hazard, and event studies.

    found = journey(facts, definition, first, after)
    found.ages        by month of life: who was there, who left by choice, the hazard, and the smooth level beside it
    found.findings    the months that stand above their neighbours, named by what happens then; and each change
    found.studied     the event studies; see `changes`

A month of life is a spike if more left in it than its neighbours foretell: the level there is a line through the logarithms
of the hazards of up to `REACH` months on either side, other spikes left out, and the month is tested against it (likelihood
ratio, one-sided). All months together have one half of this method's part of the family-wise 5 %, all changes the other.
A spike is named by the event that most of those who left beyond the level had just then. Whoever pays yearly can hardly
leave before the renewal: such a spike is marked as an opportunity, for it says when they go and not why.

Life counts from the first payment, in months; customers of before the period enter with the age they have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tenure.errors import BadInput, BadPeriod
from tenure.explain.changes import Studied, studied
from tenure.explain.findings import Finding, adjusted, share_of
from tenure.explain.months import LOST, Months
from tenure.kernel.stats import Estimate, normal_quantile, wilson
from tenure.kernel.time import midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, micros
from tenure.measure.definition import Definition
from tenure.measure.item_days import local_day
from tenure.measure.lifetimes import exposure_start, lives, months_begun

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

REACH = 3  # months on either side
FEWEST = 5  # who left in the neighbours: fewer tell no level
FEWEST_THERE = 30
LAST_MONTH = 60
ONBOARDING_MONTHS = 3
_NEAR_DAYS = 7  # from the end of a term
_AFTER_TRIAL_DAYS = 35
_AFTER_DISCOUNT_DAYS = 45
BY_CHOICE = ("voluntary", "unknown")
# Event -> in English and Thai, the cause it points to, and what would settle it.
EVENTS: dict[str, tuple[str, str, str | None, str]] = {
    "trial_end": (
        "after the trial ended", "หลังหมดช่วงทดลองใช้", None, "an experiment: a longer trial, or help before it ends, for some",
    ),
    "first_renewal": (
        "the first renewal", "การต่ออายุครั้งแรก", None, "an experiment: some hear of what they got before the first renewal",
    ),
    "yearly_renewal": (
        "a yearly renewal", "การต่ออายุรายปี", None, "an experiment: some are called a quarter before the renewal",
    ),
    "discount_end": (
        "a discount ended", "ส่วนลดสิ้นสุด", "price", "an experiment: the discount ends step by step for some",
    ),
    "onboarding": (
        "the first months", "ช่วงเริ่มใช้งาน", "experience", "an experiment: help with the first steps for some, by chance",
    ),
    "": ("no event is known", "ไม่พบเหตุการณ์ที่อธิบายได้", None, "asking those who left at this age (`tenure why follow-up`)"),
}  # fmt: skip


class Age(NamedTuple):
    """One month of life: 1 is the first. there: customers who came to it; left: by choice within it; level: what the
    neighbours foretell (None: too few); spike: the event that names it, '' for none known, None where it is none."""

    month: int
    there: int
    left: int
    level: float | None
    spike: str | None

    @property
    def hazard(self) -> Estimate:
        """The share who left in it, with a 95 % interval."""
        return Estimate(self.left / self.there, *wilson(self.left, self.there))

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        value, low, high = self.hazard
        return {
            "month": self.month, "customers": self.there, "left": self.left, "hazard": value, "low": low, "high": high,
            "level": self.level, "spike": self.spike,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Journey:
    """When they leave, and what followed our changes; see the module. findings: spikes, then changes."""

    findings: tuple[Finding, ...]
    ages: tuple[Age, ...]
    studied: Studied
    notes: list[str] = field(default_factory=list)
    sql: str = ""

    def chart(self, language: str = "en", change: str | None = None) -> Any:
        """A picture: the hazard along the life with its spikes; with `change`, the months around that change instead."""
        from tenure.charts.journeys import around_a_change, hazard_with_spikes

        if change is not None:
            title = next(one for one in self.findings if one.name == change) if self.studied.path(change) else None
            rows = [month.as_json() for month in self.studied.path(change)]
            return around_a_change(rows, language, title="" if title is None else title.subject(language))
        th = language == "th"
        rows = [
            {**age.as_json(), "spike": None if age.spike is None else EVENTS[age.spike][1 if th else 0]}
            for age in self.ages
        ]
        return hazard_with_spikes(rows, language)


def journey(facts: Facts, definition: Definition, first: date, after: date) -> Journey:
    """When in their life customers left in [first, after), and the event study of every change; see the module."""
    events = studied(facts, definition, first, after)
    notes = list(events.notes)
    changes = _in_half(list(events.findings))
    try:
        known, at_once = exposure_start(facts, definition, after)
        if at_once:
            raise BadPeriod("all who left are known of one day only, so nobody's age at leaving can be told")
        since = max(first, known or first)
        told = lives(facts, definition, until=after, since=since)[0]
        months = Months.of(facts, definition, since, after, clock="lost")
    except (BadInput, BadPeriod) as error:
        return Journey(
            changes, (), events, [*notes, f"Nothing is said of the ages at which they leave: {error}"], events.sql
        )
    counts = told.counts
    there = dict(zip(counts.time.tolist(), counts.at_risk().tolist(), strict=True))
    left: Counter[int] = Counter()
    for kind in BY_CHOICE:
        left.update(told.by_kind.get(kind, {}))
    last = 0
    while last < LAST_MONTH and there.get(last + 1, 0) >= FEWEST_THERE:
        last += 1
    ages = np.arange(1, last + 1)
    n = np.array([there[age] for age in ages.tolist()], dtype=np.float64)
    d = np.array([left[age] for age in ages.tolist()], dtype=np.float64)
    tests = beside_neighbours(n, d)
    sql, happened, who = _happened(months, since, after)
    findings = []
    levels: dict[int, float] = {}
    for i, test in enumerate(tests):
        if test is None:
            continue
        levels[i] = test.level
        findings.append(_spike(i + 1, n, d, test, happened, who))
    spikes = _in_half(findings)
    named = {int(one.more["month"]): str(one.more["event"]) for one in spikes if one.stands}
    told_ages = tuple(
        Age(int(age), int(n[i]), int(d[i]), levels.get(i), named.get(int(age))) for i, age in enumerate(ages.tolist())
    )
    shown = tuple(one for one in spikes if one.stands or (one.p or 1.0) < 1.0)
    return Journey((*shown, *changes), told_ages, events, [*notes, *months.notes], sql)


def _in_half(found: list[Finding]) -> tuple[Finding, ...]:
    """The findings with p values corrected for having half of the method's part of the family."""
    corrected = adjusted([one.p for one in found], share_of("journey") / 2)
    return tuple(replace(one, adjusted_p=p) for one, p in zip(found, corrected, strict=True))


@dataclass(frozen=True, slots=True)
class Beside:
    """One month beside its neighbours: the level there with its error, p of being above it, which neighbours."""

    level: float
    error: float
    p: float
    beside: tuple[int, ...]


def beside_neighbours(n: Real, d: Real) -> list[Beside | None]:
    """Each month beside the level of its neighbours, those that stand out themselves left out of the others' level."""
    out: set[int] = set()
    tests: list[Beside | None] = []
    for _ in range(len(n) + 1):
        tests = [_beside(n, d, i, out) for i in range(len(n))]
        tried = [(test.p, i) for i, test in enumerate(tests) if test is not None and i not in out]
        if not tried or min(tried)[0] * len(tried) > 0.05:
            break
        out.add(min(tried)[1])
    return tests


def _beside(n: Real, d: Real, i: int, out: set[int]) -> Beside | None:
    places = sorted((j for j in range(len(n)) if j != i and j not in out and n[j] > 0), key=lambda j: (abs(j - i), j))
    left, right = [j for j in places if i - REACH <= j < i], [j for j in places if i < j <= i + REACH]
    # At either end of life the missing side is made up by more months of the other.
    short = 2 * REACH - len(left) - len(right)
    beside = sorted(
        [*left, *right, *[j for j in places if abs(j - i) > REACH and (j > i) == (len(left) < len(right))][:short]]
    )
    if len(beside) < 3 or d[beside].sum() < FEWEST:
        return None
    x = np.array(beside, dtype=np.float64) - i
    theta, covariance = _line(x, n[beside], d[beside])
    level = float(np.exp(theta[0]))
    error = level * float(covariance[0, 0]) ** 0.5
    p = 1.0
    if d[i] > level * n[i]:
        # With the month itself in the line (no spike), and with it free.
        both = np.append(x, 0.0)
        joint, _ = _line(both, np.append(n[beside], n[i]), np.append(d[beside], d[i]))
        without = _likelihood(joint, both, np.append(n[beside], n[i]), np.append(d[beside], d[i]))
        free = _likelihood(theta, x, n[beside], d[beside]) + float(d[i] * np.log(d[i]) - d[i])
        from scipy.stats import norm

        p = float(norm.sf(max(0.0, 2 * (free - without)) ** 0.5))
    return Beside(level, error, p, tuple(beside))


def _likelihood(theta: Real, x: Real, n: Real, d: Real) -> float:
    expected = n * np.exp(theta[0] + theta[1] * x)
    return float((d * np.log(np.maximum(expected, 1e-300)) - expected).sum())


def _line(x: Real, n: Real, d: Real) -> tuple[Real, Real]:
    """A line through the logarithms of the hazards, by Poisson's likelihood, and its covariance."""
    theta = np.array([np.log(d.sum() / n.sum()), 0.0])
    design = np.column_stack([np.ones(len(x)), x])
    information = np.eye(2)
    for _ in range(50):
        expected = n * np.exp(np.clip(design @ theta, -30, 2))
        # A slope of more than about a doubling a month is not believed.
        information = design.T @ (design * expected[:, None]) + np.diag([0.0, 4.0])
        step = np.linalg.solve(information, design.T @ (d - expected) - np.array([0.0, 4.0 * theta[1]]))
        theta = theta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return theta, np.asarray(np.linalg.inv(information), dtype=np.float64)


def _spike(
    month: int, n: Real, d: Real, test: Beside, happened: Mapping[int, Counter[str]], who: Callable[[int], pa.Table]
) -> Finding:
    i = month - 1
    extra = float(d[i] - test.level * n[i])
    event = _event(month, d, test, happened, extra)
    en, th, cause, settles = EVENTS[event]
    value = float(d[i] / n[i] - test.level)
    variance = (d[i] / n[i] * (1 - d[i] / n[i])) / n[i] + test.error**2
    reach = normal_quantile(0.95) * float(variance) ** 0.5
    there: Callable[[], pa.Table] = lambda: who(month)  # noqa: E731
    return Finding(
        "journey", f"month {month}", cause, f"month {month}: {en}", f"เดือนที่ {month}: {th}",
        Estimate(value, value - reach, value + reach), "points", int(d[i]), p=test.p, settles=settles, who=there,
        more={
            "month": month, "event": event, "hazard": float(d[i] / n[i]), "level": test.level, "left": int(d[i]),
            "customer_months": int(n[i]), "extra": extra, "opportunity": event == "yearly_renewal",
        },
    )  # fmt: skip


def _event(month: int, d: Real, test: Beside, happened: Mapping[int, Counter[str]], extra: float) -> str:
    """The event that most of those beyond the level had; in the first months onboarding where none does."""
    here = happened.get(month, Counter())
    beside = [happened.get(j + 1, Counter()) for j in test.beside]
    left = float(d[list(test.beside)].sum())
    expected = float(d[month - 1]) - extra
    beyond = {
        name: here[name] - expected * sum(part[name] for part in beside) / left
        for name in EVENTS
        if name and here[name]
    }
    best = max(beyond, key=lambda name: (beyond[name], name), default="")
    if best and beyond[best] >= 0.5 * extra:
        return best
    return "onboarding" if month <= ONBOARDING_MONTHS else ""


def _happened(
    months: Months, since: date, after: date
) -> tuple[str, dict[int, Counter[str]], Callable[[int], pa.Table]]:
    """The statement; by month of life, how many of those who left by choice had which event; and who they are."""
    facts = months.facts
    d = facts.engine.dialect
    months.lend()
    st = facts.statement()
    items = months.items(st)
    low, high = micros(midnight(since, facts.timezone)), micros(midnight(after, facts.timezone))
    begun = st.step(
        "began_and_tried",
        f"SELECT customer_id, min(CASE WHEN mrr > 0 OR coalesce(is_metered, FALSE) THEN begins_us END) AS first_us, max(trial_ends_at) AS trial_us FROM {items} GROUP BY customer_id",
    )
    near = f"{_NEAR_DAYS * DAY_US}"
    ends = "coalesce(i.term_ends_at, i.period_end, i.ends_us)"
    at_end = f"({ends} BETWEEN l.lost_us - {near} AND l.lost_us + {near})"
    is_year = "i.interval = 'year' OR (i.interval = 'month' AND coalesce(i.interval_count, 1) >= 12)"
    discount = f"i.discount_ends_at BETWEEN l.lost_us - {_AFTER_DISCOUNT_DAYS * DAY_US} AND l.lost_us + {near}"
    last = st.step(
        "leavers_then",
        f"SELECT l.customer_id, l.lost_us, max(CASE WHEN ({is_year}) AND {at_end} THEN 1 ELSE 0 END) AS at_year, "
        f"max(CASE WHEN NOT ({is_year}) AND {at_end} THEN 1 ELSE 0 END) AS at_term, max(CASE WHEN {discount} THEN 1 ELSE 0 END) AS discount "
        f"FROM {LOST} AS l JOIN {items} AS i ON i.customer_id = l.customer_id AND i.ts < l.lost_us "
        f"AND coalesce(i.next_ts >= l.lost_us - {_AFTER_DISCOUNT_DAYS * DAY_US}, TRUE) "
        f"WHERE l.is_choice = 1 AND l.lost_us >= {low} AND l.lost_us < {high} GROUP BY l.customer_id, l.lost_us",
        says="who left by choice, and what lay near",
    )
    age = f"greatest({months_begun(d, local_day(facts, 'b.first_us'), local_day(facts, 'l.lost_us'))}, 1)"
    trial = f"b.trial_us <= l.lost_us AND b.trial_us > l.lost_us - {_AFTER_TRIAL_DAYS * DAY_US}"
    dated = st.step(
        "leavers_aged",
        f"SELECT l.*, {age} AS month, CASE WHEN {trial} THEN 1 ELSE 0 END AS trial FROM {last} AS l JOIN {begun} AS b "
        "ON b.customer_id = l.customer_id WHERE b.first_us < l.lost_us",
        keep=True,
    )
    sql = st.render(
        "SELECT month, CAST(sum(trial) AS BIGINT) AS trial_end, CAST(sum(discount) AS BIGINT) AS discount_end, "
        "CAST(sum(at_year) AS BIGINT) AS yearly_renewal, CAST(sum(CASE WHEN at_term = 1 AND trial = 0 AND month <= 3 THEN 1 ELSE 0 END) AS BIGINT) "
        f"AS first_renewal FROM {dated} GROUP BY month ORDER BY month"
    )
    found = {
        int(row["month"]): Counter({name: int(row[name] or 0) for name in EVENTS if name in row})
        for row in facts.engine.table(sql).to_pylist()
    }

    def who(month: int) -> pa.Table:
        months.lend()
        return facts.engine.table(
            st.render(f"SELECT DISTINCT customer_id FROM {dated} WHERE month = {month} ORDER BY customer_id")
        )

    return sql, found, who
