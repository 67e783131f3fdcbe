"""Did more of them leave because of what we changed? An event study around every row of `changes`.

    found = studied(facts, definition, first, after)
    found.findings        one per change: the extra decisions to leave per 100 customers touched, with a 95 % interval
    found.paths           month by month around the announcement, those touched beside those not touched

Customers touched by a change are set beside customers whom it has not touched yet, in the same weeks, with the same plan,
tenure and distance to their next decision (a yearly contract is decided when its end comes near), all of them customers
when it was announced. The clock starts when it was announced to them. Customers told in different weeks are a cohort
each, and the cohorts are stacked, so that no one who was touched serves as another's control.

Nobody who is touched can have left before, so the touched themselves have no hazard before the announcement. The time
before is that of customers like them: of the plan, the trait or the feature in use that tells best who was touched, if
it tells nearly all (`KIN`). What is estimated is a difference in differences of weekly hazards: how much more the
touched left in the months after than their kin before, less the same of the others.

Two checks decide whether it may be believed: that before the announcement the kin and the others did not drift apart
month by month (pre-trend), and that the same sum, made as if the change had come three months earlier, finds nothing
(placebo). Without kin neither can be made, and what is found is an association. Where everybody was touched at once there
are no controls: what is shown then is labelled "before and after, weak".

Sources: Sun & Abraham 2021; Callaway & Sant'Anna 2021 (not-yet-treated controls); Cengiz et al. 2019 (stacking).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import BadPeriod, UnknownName
from tenure.explain.evidence import CAUSE_OF, terms
from tenure.explain.findings import Finding, Strength, in_family
from tenure.explain.months import Months
from tenure.kernel.stats import NO_ESTIMATE, Estimate, normal_quantile
from tenure.kernel.time import midnight, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, from_micros
from tenure.measure.definition import Definition
from tenure.measure.lifetimes import exposure_start

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

WEEK_US = 7 * DAY_US
BEFORE, AFTER = 6, 5  # months (of AS_MONTH weeks) that are looked at before and after the announcement
AS_MONTH = 4
PLACEBO = 3  # months before the announcement at which nothing happened
PASSES = 0.01  # a check fails below this p: several are made, and each that fails hides an effect
MOST_COHORTS = 24
_LEAST_OVERLAP = 0.2  # of the touched's weeks that others of the same plan can stand beside
_MOST_VALUES = 12
KIN = 0.9  # of the touched who have it, less of the others: so well must a trait tell who was touched
WEAK = "before and after, weak"
SETTLES = "announcing the next such change to a part of the customers first, chosen by chance"


@dataclass(frozen=True, slots=True)
class Month:
    """One month around the announcement: customer-weeks and decisions of those touched, and those expected had they left
    like the others; difference: of the shares who decide in a month, with a 95 % interval. Nothing where nobody stands
    beside them."""

    change_id: str
    month: int
    weeks: int
    left: int
    expected: float | None
    difference: Estimate = NO_ESTIMATE

    def as_json(self) -> dict[str, Any]:
        """The month as plain values."""
        return {
            "change_id": self.change_id, "month": self.month, "customer_weeks": self.weeks, "left": self.left,
            "expected": self.expected, "difference": self.difference.value, "low": self.difference.low,
            "high": self.difference.high,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Studied:
    """What every change did, as far as can be told; see the module. extra: of each change, the extra decisions in the
    months after, with their interval."""

    findings: tuple[Finding, ...]
    paths: tuple[Month, ...]
    extra: dict[str, Estimate]
    notes: tuple[str, ...] = ()
    sql: str = field(default="", repr=False)

    def passed(self, cause: str) -> bool | None:
        """Whether the changes that speak for a cause passed their checks; None where none could be checked."""
        told = [one.more["passed"] for one in self.findings if one.cause == cause and one.more["passed"] is not None]
        return all(told) if told else None

    def path(self, change: str) -> list[Month]:
        """One change, month by month. Raises UnknownName for one that was not studied."""
        if change not in {one.name for one in self.findings}:
            raise UnknownName.of("change", change, [one.name for one in self.findings])
        return [month for month in self.paths if month.change_id == change]

    def chart(self, language: str = "en") -> Any:
        """A picture: the extra leaving after each change, those that stand first."""
        from tenure.charts.explaining import differences

        rows = [
            {"label": one.subject(language), "value": one.estimate.value, "low": one.estimate.low, "high": one.estimate.high,
             "stands": one.stands}
            for one in sorted(self.findings, key=lambda one: (not one.stands, one.p if one.p is not None else 2.0))
        ]  # fmt: skip
        return differences(rows, language)


def studied(facts: Facts, definition: Definition, first: date, after: date) -> Studied:
    """The event study of every change announced in [first, after); see the module.

    Weeks up to half a year before `first` serve as the time before.
    """
    if not facts.has("changes"):
        return Studied((), (), {}, ("No change is loaded (`tenure load changes`).",))
    rows = _changes(facts, first, after)
    known, _ = exposure_start(facts, definition, after)
    begin = date.fromordinal(first.toordinal() - 7 * AS_MONTH * (BEFORE + 1))
    if known is not None:
        begin = max(begin, known)
    try:
        months = Months.of(facts, definition, min(begin, first), after, lead=0)
    except BadPeriod as error:
        return Studied((), (), {}, (str(error),))
    weeks = [
        week
        for week in periods(min(begin, first), after, "week", facts.timezone)
        if week.end <= facts.known_before and week.end <= midnight(after, facts.timezone)
    ]
    if not weeks:
        return Studied((), (), {}, (f"No week from {first} up to {after} is over.",))
    weekly = replace(months, cuts=tuple(weeks), unfinished=())
    weekly.lend()
    st = facts.statement()
    told = _told(st, facts, weekly)
    kin = _kin(st, facts, told)
    sql = _statement(st, facts, kin)
    counts: dict[str, list[dict[str, Any]]] = {}
    for row in facts.engine.table(sql).to_pylist():
        counts.setdefault(row["change_id"], []).append(row)
    findings, paths, extra = [], [], {}
    for change in rows:
        finding, path, more = _study(change, counts.get(change["change_id"], []), facts, kin.get(change["change_id"]))
        findings.append(finding)
        paths += path
        if more is not None:
            extra[change["change_id"]] = more
    return Studied(in_family("journey", findings), tuple(paths), extra, (), sql)


def _changes(facts: Facts, first: date, after: date) -> list[dict[str, Any]]:
    st = facts.statement()
    known = facts.latest(
        st, "changes", ("change_id", "kind", "title", "announced_at", "happened_at"), step="all_changes"
    )
    low, high = midnight(first, facts.timezone), midnight(after, facts.timezone)
    sql = st.render(
        f"SELECT change_id, kind, title, coalesce(announced_at, happened_at) AS told_us FROM {known} ORDER BY told_us, change_id"
    )
    found: list[dict[str, Any]] = facts.engine.table(sql).to_pylist()
    return [row for row in found if row["told_us"] is not None and low <= from_micros(row["told_us"]) < high]


def _told(st: Statement, facts: Facts, weekly: Months) -> str:
    """The steps of customer-weeks, of who was told of what, and of cohorts; the last one's name is returned."""
    d = facts.engine.dialect
    at_risk = weekly.at_risk(st)
    near = terms(st, d)
    st.step(
        "weeks_lived",
        f"SELECT r.customer_id, r.at_us, r.gone, r.plan, r.tenure, coalesce(t.term, 'month') AS term FROM {at_risk} AS r "
        f"LEFT JOIN {near} AS t ON t.customer_id = r.customer_id AND t.cut = r.cut",
        keep=True,
    )
    changes = facts.latest(st, "changes", ("change_id", "announced_at", "happened_at"), step="all_changes_dated")
    if facts.has("change_exposures"):
        columns = ("customer_id", "change_id", "announced_at", "effective_at")
        told = facts.counted(
            st, facts.latest(st, "change_exposures", columns, step="exposed_known"), columns, "exposed_counted"
        )
        exposed = st.step(
            "exposed",
            f"SELECT e.customer_id, e.change_id, min(coalesce(e.announced_at, c.announced_at, e.effective_at, c.happened_at)) AS told_us FROM {told} AS e "
            f"JOIN {changes} AS c ON c.change_id = e.change_id GROUP BY e.customer_id, e.change_id",
            keep=True,
        )
    else:
        exposed = st.step(
            "exposed",
            f"SELECT CAST(NULL AS {d.text}) AS customer_id, change_id, announced_at AS told_us FROM {changes} WHERE 1 = 0",
            keep=True,
        )
    # Cohorts: who was told in one week; a change without exposures touches everybody at its announcement.
    cohort = d.div("told_us", str(WEEK_US))
    return st.step(
        "cohorts",
        f"SELECT change_id, cohort, start_us FROM (SELECT change_id, cohort, min(told_us) AS start_us, row_number() OVER "
        f"(PARTITION BY change_id ORDER BY count(*) DESC, cohort) AS place FROM (SELECT change_id, told_us, {cohort} AS cohort FROM {exposed} "
        f"WHERE told_us IS NOT NULL) AS weekly GROUP BY change_id, cohort) AS sized WHERE place <= {MOST_COHORTS}\nUNION ALL\n"
        f"SELECT c.change_id, CAST(-1 AS BIGINT), coalesce(c.announced_at, c.happened_at) FROM {changes} AS c LEFT JOIN (SELECT DISTINCT change_id FROM {exposed}) AS e "
        "ON e.change_id = c.change_id WHERE e.change_id IS NULL AND coalesce(c.announced_at, c.happened_at) IS NOT NULL",
        keep=True,
        says="who was told of each change in one week; -1: everybody at once",
    )


def _kin(st: Statement, facts: Facts, cohorts: str) -> dict[str, str]:
    """By change: the plan, trait or feature that tells nearly all who were touched from the others."""
    d = facts.engine.dialect
    parts = [f"SELECT CAST(NULL AS {d.text}) AS customer_id, CAST(NULL AS {d.text}) AS what WHERE 1 = 0"]
    if facts.has("traits"):
        columns = ("customer_id", "trait", "value", "effective_at")
        known = facts.counted(st, facts.latest(st, "traits", columns, step="kin_traits"), columns, "kin_traits_counted")
        parts.append(
            f"SELECT DISTINCT customer_id, trait || ' ' || value FROM {known} WHERE effective_at IS NULL AND value IS NOT NULL "
            f"AND trait IN (SELECT trait FROM {known} WHERE effective_at IS NULL GROUP BY trait HAVING count(DISTINCT value) <= {_MOST_VALUES})"
        )
    if facts.has("usage"):
        used = ("customer_id", "feature")
        known = facts.counted(st, facts.latest(st, "usage", used, step="kin_usage"), used, "kin_usage_counted")
        parts.append(f"SELECT DISTINCT customer_id, 'uses ' || feature FROM {known} WHERE feature IS NOT NULL")
    st.step("characters", "\nUNION ALL\n".join(parts), keep=True, says="what each customer is and uses")
    present = st.step(
        "present",
        f"SELECT r.customer_id, r.plan, c.change_id, c.cohort, CASE WHEN {d.div('e.told_us', str(WEEK_US))} = c.cohort THEN 1 ELSE 0 END AS touched "
        f"FROM weeks_lived AS r JOIN {cohorts} AS c ON c.cohort >= 0 AND r.at_us <= c.start_us AND c.start_us < r.at_us + {WEEK_US} "
        "LEFT JOIN exposed AS e ON e.customer_id = r.customer_id AND e.change_id = c.change_id",
        keep=True,
        says="who was there when a change was announced",
    )
    sql = st.render(
        f"SELECT change_id, '' AS what, touched, count(*) AS n FROM {present} GROUP BY change_id, touched\nUNION ALL\n"
        f"SELECT change_id, 'plan ' || plan, touched, count(*) FROM {present} GROUP BY change_id, plan, touched\nUNION ALL\n"
        f"SELECT p.change_id, k.what, p.touched, count(*) FROM {present} AS p JOIN characters AS k ON k.customer_id = p.customer_id "
        "GROUP BY p.change_id, k.what, p.touched ORDER BY 1, 2, 3"
    )
    counts: dict[str, dict[str, dict[int, int]]] = {}
    for row in facts.engine.table(sql).to_pylist():
        counts.setdefault(row["change_id"], {}).setdefault(row["what"], {})[int(row["touched"])] = int(row["n"])
    found = {}
    for change, by in counts.items():
        every = by.pop("", {})
        if not every.get(1) or not every.get(0):
            continue
        tells = {what: n.get(1, 0) / every[1] - n.get(0, 0) / every[0] for what, n in by.items()}
        best = max(tells, key=lambda what: (tells[what], what), default="")
        if best and tells[best] >= KIN:
            found[change] = best
    return found


def _statement(st: Statement, facts: Facts, kin: Mapping[str, str]) -> str:
    """Customer-weeks by change, month around the announcement, stratum, and whether touched: counted in the engine."""
    d = facts.engine.dialect
    low, high = BEFORE * AS_MONTH * WEEK_US, AFTER * AS_MONTH * WEEK_US
    shift = BEFORE * AS_MONTH
    week = d.div(f"(r.at_us + {WEEK_US - 1} - c.start_us + {shift * WEEK_US})", str(WEEK_US))
    month = f"{d.div(week, str(AS_MONTH))} - {BEFORE}"
    pairs = [(d.literal(change), d.literal(what)) for change, what in sorted(kin.items())] or [("''", "''")]
    st.step("kin", d.values(pairs, ("change_id", "what")), says="what tells who was touched by each change")
    inside = f"r.at_us + {WEEK_US - 1} >= c.start_us - {low} AND r.at_us + {WEEK_US - 1} < c.start_us + {high}"
    started = f"r.at_us + {WEEK_US - 1} >= c.start_us"
    told = d.div("e.told_us", str(WEEK_US))
    columns = "plan, tenure, term, gone"
    r = ", ".join(f"r.{name}" for name in columns.split(", "))
    stacked = st.step(
        "stacked",
        # After the announcement: who was there and was told, beside who was there and is told nothing before the window closes.
        f"SELECT c.change_id, {month} AS month, p.touched, {r} FROM weeks_lived AS r JOIN cohorts AS c ON {inside} AND {started} AND c.cohort >= 0 "
        "JOIN present AS p ON p.customer_id = r.customer_id AND p.change_id = c.change_id AND p.cohort = c.cohort "
        "LEFT JOIN exposed AS e ON e.customer_id = r.customer_id AND e.change_id = c.change_id "
        f"WHERE p.touched = 1 OR e.told_us IS NULL OR e.told_us >= c.start_us + {high}\nUNION ALL\n"
        # Before it: the kin of the touched beside all others.
        f"SELECT c.change_id, {month}, CASE WHEN k.what = 'plan ' || r.plan OR x.what IS NOT NULL THEN 1 ELSE 0 END, {r} FROM weeks_lived AS r "
        f"JOIN cohorts AS c ON {inside} AND NOT ({started}) AND c.cohort >= 0 JOIN kin AS k ON k.change_id = c.change_id "
        "LEFT JOIN characters AS x ON x.customer_id = r.customer_id AND x.what = k.what "
        "LEFT JOIN exposed AS e ON e.customer_id = r.customer_id AND e.change_id = c.change_id "
        f"WHERE e.told_us IS NULL OR {told} >= c.cohort\nUNION ALL\n"
        f"SELECT c.change_id, {month}, 1, {r} FROM weeks_lived AS r JOIN cohorts AS c ON {inside} AND c.cohort < 0",
        says="each cohort of each change, beside those not touched yet",
    )
    return st.render(
        f"SELECT change_id, month, touched, plan, tenure, term, count(*) AS weeks, sum(gone) AS gone FROM {stacked} "
        "GROUP BY change_id, month, touched, plan, tenure, term ORDER BY 1, 2, 3, 4, 5, 6"
    )


@dataclass(frozen=True, eq=False)
class _Counts:
    """[month, stratum] customer-weeks and decisions of the touched (1) and the others (0)."""

    n1: NDArray[np.float64]
    d1: NDArray[np.float64]
    n0: NDArray[np.float64]
    d0: NDArray[np.float64]


def _counts(rows: Iterable[dict[str, Any]], keys: tuple[str, ...]) -> _Counts:
    told = list(rows)
    names = {name: i for i, name in enumerate(sorted({tuple(str(row[key]) for key in keys) for row in told}))}
    shape = (BEFORE + AFTER, len(names))
    n, d = np.zeros((2, *shape)), np.zeros((2, *shape))
    for row in told:
        at = int(row["month"]) + BEFORE
        if 0 <= at < shape[0]:
            place = names[tuple(str(row[key]) for key in keys)]
            n[int(row["touched"]), at, place] += float(row["weeks"])
            d[int(row["touched"]), at, place] += float(row["gone"])
    return _Counts(n[1], d[1], n[0], d[0])


def _surplus(c: _Counts, months: slice) -> tuple[float, float, float]:
    """(decisions of the touched beyond those of the others, variance, customer-weeks) in some months taken as one."""
    n1, d1, n0, d0 = (part[months].sum(axis=0) for part in (c.n1, c.d1, c.n0, c.d0))
    both = (n1 > 0) & (n0 > 0)
    n1, d1, n0, d0 = n1[both], d1[both], n0[both], d0[both]
    # Mantel and Haenszel's weights: a stratum with few others cannot swing the whole.
    n = n1 + n0
    weight = float((n1 * n0 / n).sum())
    weeks = float(n1.sum())
    if not weight:
        return 0.0, 0.0, 0.0
    rate = float(((d1 * n0 - d0 * n1) / n).sum()) / weight
    variance = float(((n0 / n) ** 2 * d1 + (n1 / n) ** 2 * d0).sum()) / weight**2
    return rate * weeks, variance * weeks**2, weeks


def _difference(c: _Counts, before: slice, after: slice) -> tuple[float, float, float]:
    """(extra decisions after, less what the months before foretell; variance; customer-weeks after)."""
    pre, pre_var, pre_weeks = _surplus(c, before)
    post, post_var, weeks = _surplus(c, after)
    ratio = weeks / pre_weeks if pre_weeks else 0.0
    return post - ratio * pre, post_var + ratio**2 * pre_var, weeks


def _study(
    change: dict[str, Any], rows: list[dict[str, Any]], facts: Facts, kin: str | None
) -> tuple[Finding, list[Month], Estimate | None]:
    name, title = str(change["change_id"]), str(change["title"] or change["change_id"])
    cause = CAUSE_OF.get(str(change["kind"] or ""))
    en, th = f"after {title}", f"หลังจาก {title}"
    told = from_micros(change["told_us"]).astimezone(facts.timezone).date()
    more: dict[str, Any] = {"change_id": name, "kind": change["kind"], "announced_on": told.isoformat(), "passed": None}

    def none(reason: str, path: Iterable[Month] = (), strength: Strength = Strength.association) -> Any:
        return (
            Finding("journey", name, cause, en, th, NO_ESTIMATE, "points", people, strength=strength, settles=SETTLES, reason=reason, more=more),
            list(path), None,
        )  # fmt: skip

    people = 0
    touched = [row for row in rows if row["touched"] == 1]
    if not touched:
        return none("nobody who was there is known to have been touched (`tenure load change_exposures`)")
    people = int(max(sum(row["weeks"] for row in touched if row["month"] == m) for m in range(-1, 1)) / AS_MONTH)
    others = any(row["touched"] == 0 for row in rows)
    keys: tuple[str, ...] = ("plan", "tenure", "term")
    c = _counts(rows, keys)
    if others:
        n1, n0 = c.n1[BEFORE:].sum(axis=0), c.n0[BEFORE:].sum(axis=0)
        if (n1 * n0 / np.maximum(n1 + n0, 1)).sum() < _LEAST_OVERLAP * n1.sum():
            # A change for one plan: nobody of that plan is untouched, so other plans' customers stand beside them.
            keys = ("tenure", "term")
            c = _counts(rows, keys)
    months = [m for m in range(-BEFORE, AFTER) if c.n1[m + BEFORE].sum() > 0]
    path = []
    for m in months:
        surplus, variance, weeks = _surplus(c, slice(m + BEFORE, m + BEFORE + 1))
        left, shift = int(c.d1[m + BEFORE].sum()), NO_ESTIMATE
        if weeks and variance > 0:
            reach = normal_quantile(0.95) * variance**0.5
            shift = Estimate(*(AS_MONTH * end / weeks for end in (surplus, surplus - reach, surplus + reach)))
        path.append(Month(name, m, int(c.n1[m + BEFORE].sum()), left, left - surplus if others else None, shift))
    if not others:
        return _before_and_after(c, cause, name, en, th, people, more, path)
    more["beside"] = "the same plan" if len(keys) == 3 else "other plans"
    before = slice(max(0, months[0] + BEFORE), BEFORE)
    months_after = slice(BEFORE, BEFORE + AFTER)
    more["kin"] = kin
    if kin is not None and c.n1[before].sum() > 0 and c.n0[before].sum() > 0:
        extra, variance, weeks = _difference(c, before, months_after)
    else:
        kin, (extra, variance, weeks) = None, _surplus(c, months_after)
    if not weeks or variance <= 0 or (kin is None and len(keys) < 3):
        return none("there is nobody to compare with", path)
    reach = normal_quantile(0.95) * variance**0.5
    count = Estimate(extra, extra - reach, extra + reach)
    started = max(float(c.n1[BEFORE].sum()) / AS_MONTH, 1.0)
    estimate = Estimate(extra / started, (extra - reach) / started, (extra + reach) / started)
    trend, placebo = _checks(c, before) if kin is not None else (None, None)
    passed = trend is None or (trend >= PASSES and (placebo is None or placebo >= PASSES))
    more |= {
        "passed": passed if trend is not None else None,
        "pre_trend_p": trend,
        "placebo_p": placebo,
        "extra": extra,
    }
    p = _normal_p(extra / variance**0.5)
    strength = Strength.event_study if more["passed"] else Strength.association
    reason = None if passed else "before the announcement the two already drifted apart: no effect can be told"
    if more["passed"] is None:
        reason = "nothing tells who would have been touched, so the time before cannot be compared"
    finding = Finding(
        "journey", name, cause, en, th, estimate, "points", people, strength=strength, p=p, settles=SETTLES, reason=reason,
        who=_lister(facts, name), more=more,
    )  # fmt: skip
    return finding, path, count


def _before_and_after(
    c: _Counts, cause: str | None, name: str, en: str, th: str, people: int, more: dict[str, Any], path: list[Month]
) -> tuple[Finding, list[Month], Estimate | None]:
    """Everybody was touched at once: the same customers' strata before and after, which anything else may explain."""
    more["beside"] = WEAK
    n, d = c.n1[:BEFORE].sum(axis=0), c.d1[:BEFORE].sum(axis=0)
    m, e = c.n1[BEFORE:].sum(axis=0), c.d1[BEFORE:].sum(axis=0)
    both = (n > 0) & (m > 0)
    ratio = m[both] / n[both]
    if not both.any():
        finding = Finding(
            "journey",
            name,
            cause,
            en,
            th,
            NO_ESTIMATE,
            "points",
            people,
            settles=SETTLES,
            reason=f"{WEAK}: nothing is known of before",
            more=more,
        )
        return finding, path, None
    extra = float(e[both].sum() - (ratio * d[both]).sum())
    variance = float(e[both].sum() + (ratio**2 * d[both]).sum())
    reach = normal_quantile(0.95) * variance**0.5
    started = max(float(c.n1[BEFORE].sum()) / AS_MONTH, 1.0)
    estimate = Estimate(extra / started, (extra - reach) / started, (extra + reach) / started)
    # Not tested: what else happened at that time cannot be told apart from it.
    finding = Finding(
        "journey", name, cause, en, th, estimate, "points", people, settles=SETTLES,
        reason=f"{WEAK}: everybody was touched at once, so nobody can be compared with", more=more,
    )  # fmt: skip
    return finding, path, None


def _checks(c: _Counts, before: slice) -> tuple[float | None, float | None]:
    """(p of the pre-trend, p of the placebo), None where too little was seen before."""
    from scipy.stats import chi2

    monthly = [_surplus(c, slice(m, m + 1)) for m in range(before.start, before.stop)]
    monthly = [one for one in monthly if one[1] > 0 and one[2] > 0]
    if len(monthly) < 3:
        return None, None
    rate = np.array([one[0] / one[2] for one in monthly])
    weight = np.array([one[2] ** 2 / one[1] for one in monthly])
    mean = float((weight * rate).sum() / weight.sum())
    at = np.arange(len(rate), dtype=np.float64)
    away = at - float((weight * at).sum() / weight.sum())
    slope = float((weight * away * (rate - mean)).sum()) ** 2 / float((weight * away**2).sum())
    trend = float(chi2.sf(slope, 1))
    middle = before.stop - PLACEBO
    if middle <= before.start:
        return trend, None
    shift, variance, weeks = _difference(c, slice(before.start, middle), slice(middle, before.stop))
    return trend, _normal_p(shift / variance**0.5) if variance > 0 and weeks else None


def _normal_p(z: float) -> float:
    from math import erfc, sqrt

    return float(erfc(abs(z) / sqrt(2)))


def _lister(facts: Facts, change: str) -> Any:
    """Lists the customers whom a change touched."""

    def who() -> pa.Table:
        st = facts.statement()
        columns = ("customer_id", "change_id")
        told = facts.counted(
            st, facts.latest(st, "change_exposures", columns, step="who_exposed"), columns, "who_counted"
        )
        which = facts.engine.dialect.literal(change)
        return facts.engine.table(
            st.render(f"SELECT DISTINCT customer_id FROM {told} WHERE change_id = {which} ORDER BY customer_id")
        )

    return who
