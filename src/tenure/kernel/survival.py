"""How long do customers stay? Survival estimates from counts by tenure, never from rows.

The engine counts, for each whole day or month of tenure t, how many customers came under observation, left, or were
still here when observation ended. Those few thousand numbers are all these functions need, however many customers
there are.

    counts = Counts.of(time, entries, events, censored)
    kaplan_meier(counts).survival_at(12)        what share stays longer than 12 months
    life_table(counts, width=30)                the same in a table, with the hazard of each span of tenure
    log_rank({"monthly": ..., "yearly": ...})   do these groups leave at different speeds
    cumulative_incidence(counts, by_kind)       by choice or by a failed card: who is lost to which, and when
    cohort_triangle(rows)                       each cohort, age by age; the future stays empty

Times are whole numbers. A customer is at risk over (entry, exit]: one who comes under observation at tenure t is
counted for who leaves after t, not at t. Customers seen from their first day have entry 0 and are at risk at 0 too.
Somebody known to us only from tenure e on (history began then, or the import did) enters at e: left truncation.
Counting him from 0 would count months in which he could not have been seen leaving. One with entry = exit > 0 was
never at risk: leave him out.

Sources: Kaplan & Meier 1958; Greenwood 1926; Cutler & Ederer 1958; Mantel 1966; Aalen & Johansen 1978;
Kalbfleisch & Prentice 2002 (log-log band, truncation); Brookmeyer & Crowley 1982 (median's interval).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tenure.errors import BadInput
from tenure.kernel.stats import NO_ESTIMATE, Estimate, normal_quantile, poisson_exact_all, wilson_effective

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Whole = NDArray[np.int64]
    Real = NDArray[np.float64]

# S = 1/2 reached by a chain of exact fractions, as 3/4 x 2/3, must count as reached whatever the last bit says.
_REACHED = 1 + 1e-12


@dataclass(frozen=True, eq=False)
class Counts:
    """How many customers came under observation, left, and were last seen staying, at each tenure. Made by Counts.of.

    time: tenures at which anything happened, whole numbers, rising; the other columns are customers at that tenure.
    """

    time: Whole
    entries: Whole
    events: Whole
    censored: Whole

    @classmethod
    def of(cls, time: ArrayLike, entries: ArrayLike, events: ArrayLike, censored: ArrayLike) -> Counts:
        """Counts from four columns in any order; repeated tenures add up."""
        import numpy as np

        t, *columns = (_whole(values) for values in (time, entries, events, censored))
        if len({len(t), *(len(c) for c in columns)}) != 1:
            raise BadInput(f"one count per tenure, got {len(t)} tenures and {[len(c) for c in columns]} counts")
        if np.any(t < 0) or any(np.any(c < 0) for c in columns):
            raise BadInput("tenures and counts are not negative; look for customers who leave before they start")
        distinct, place = np.unique(t, return_inverse=True)
        sums = []
        for column in columns:
            total = np.zeros(len(distinct), dtype=np.int64)
            np.add.at(total, place, column)
            sums.append(total)
        counts = cls(distinct, *sums)
        if len(distinct) and np.any(counts.events + counts.censored > counts.at_risk()):
            when = int(distinct[np.argmax(counts.events + counts.censored > counts.at_risk())])
            raise BadInput(
                f"at tenure {when} more customers end than were under observation; "
                "leave out customers whose entry and exit are the same day, and those who leave before they enter"
            )
        open_ended = counts.customers - int(counts.events.sum() + counts.censored.sum())
        if open_ended:
            raise BadInput(
                f"{open_ended} customers come under observation and never end; "
                "count those still here as censored at the tenure they had when observation ended"
            )
        return counts

    @classmethod
    def of_customers(cls, duration: ArrayLike, left: ArrayLike, entry: ArrayLike | None = None) -> Counts:
        """Counts from customers: tenure at the end of observation, whether they left then, tenure at its start.

        Rows with entry = duration > 0 were never at risk and are left out.
        """
        import numpy as np

        end = _whole(duration)
        gone = np.asarray(left).astype(bool)
        begin = np.zeros(len(end), dtype=np.int64) if entry is None else _whole(entry)
        if not len(end) == len(gone) == len(begin):
            raise BadInput(f"one row per customer, got {len(end)}, {len(gone)} and {len(begin)}")
        if np.any(begin > end):
            raise BadInput("a customer comes under observation after having left; swap entry and duration")
        seen = (begin < end) | (end == 0)
        begin, end, gone = begin[seen], end[seen], gone[seen]
        none, one = np.zeros(len(end), dtype=np.int64), np.ones(len(end), dtype=np.int64)
        return cls.of(
            np.concatenate([begin, end]),
            np.concatenate([one, none]),
            np.concatenate([none, gone]),
            np.concatenate([none, ~gone]),
        )

    @property
    def customers(self) -> int:
        """How many customers were under observation at all."""
        return int(self.entries.sum())

    def at_risk(self) -> Whole:
        """How many customers could have been seen leaving at each tenure: entered before it and not yet gone.

        Those who enter at 0 are at risk at 0. The same convention as R's survfit and lifelines.
        """
        import numpy as np

        before = np.cumsum(self.entries - self.events - self.censored) - (self.entries - self.events - self.censored)
        return np.asarray(before + np.where(self.time == 0, self.entries, 0), dtype=np.int64)

    def after(self, tenure: int) -> Counts:
        """The same customers from `tenure` on: those who reached it enter there. For "once they have stayed a year"."""
        import numpy as np

        if tenure <= 0:
            return self
        here = self.time <= tenure
        reached = int((self.entries - self.events - self.censored)[here].sum())
        later = [column[~here] for column in (self.time, self.entries, self.events, self.censored)]
        first = [tenure, reached, 0, 0]
        return Counts(*(np.concatenate([[a], b]).astype(np.int64) for a, b in zip(first, later, strict=True)))

    def exposure(self, low: int, high: int) -> int:
        """Customer-days (or months) lived under observation in tenure (low, high].

        Exact, because nobody comes or goes between whole days.
        """
        import numpy as np

        if not len(self.time) or high <= low:
            return 0
        # The number under observation just after time[i] holds until time[i + 1].
        after = np.cumsum(self.entries - self.events - self.censored)
        span = np.minimum(np.append(self.time[1:], self.time[-1]), high) - np.maximum(self.time, low)
        return int((after * np.maximum(span, 0)).sum())


def _whole(values: ArrayLike) -> Whole:
    import numpy as np

    array = np.asarray(values).ravel()
    whole = array.astype(np.int64)
    if not np.array_equal(whole, array):
        raise BadInput("tenures and counts are whole numbers; count days or completed months")
    return whole


# ---------------------------------------------------------------------------------------------------------------------
# The curve


@dataclass(frozen=True)
class RestrictedMean:
    """How long a customer stays on average within the first `until` units of tenure: the area under the curve.

    value: in units of tenure, counted from `since` (0, unless nobody was seen before); standard_error of that estimate.
    """

    value: float
    standard_error: float
    low: float
    high: float
    since: int
    until: int


@dataclass(frozen=True, eq=False)
class KaplanMeier:
    """The share of customers who stay longer than each tenure, with a pointwise band.

    time rises from the first tenure at which anything happened; at_risk and events count customers; survival, low, high
    are shares in [0, 1]. Before the first leaver and after the last customer has left the band has no width: Greenwood
    knows no doubt there. Read at_risk beside it.
    """

    time: Whole
    at_risk: Whole
    events: Whole
    survival: Real
    low: Real
    high: Real
    greenwood: Real = field(repr=False)
    level: float

    @property
    def since(self) -> int | None:
        """The tenure from which anybody was observed: the curve holds for those who reached it. None: nobody was."""
        here = self.at_risk > 0
        if not here.any():
            return None
        first = int(here.argmax())
        # Who is at risk at one tenure came under observation at the tenure listed before it.
        return int(self.time[first - 1]) if first else int(self.time[0])

    @property
    def until(self) -> int | None:
        """The last tenure at which the curve is known; `stops` says why it is not known further."""
        return self._end[0]

    @property
    def stops(self) -> str:
        """Why the curve is not known beyond `until`; empty if it ends because everybody left."""
        return self._end[1]

    @property
    def _end(self) -> tuple[int | None, str]:
        here = self.at_risk > 0
        if not here.any():
            return None, "nobody was under observation"
        first, last = int(here.argmax()), int(len(here) - 1 - here[::-1].argmax())
        empty = (~here[first : last + 1]).nonzero()[0]
        gone = (self.survival[first : last + 1] <= 0.0).nonzero()[0]
        if len(gone) and first + gone[0] < last and not (len(empty) and empty[0] < gone[0]):
            when, since = int(self.time[first + gone[0]]), self.since
            known = when - 1 if since is not None and since < when else None
            return known, f"all at risk left at tenure {when}, while others were seen staying longer"
        if len(empty):
            before, after = int(self.time[first + empty[0] - 1]), int(self.time[first + empty[0]])
            return before, f"nobody was under observation right after tenure {before}, up to {after} at least"
        if self.survival[last] <= 0.0:
            return int(self.time[last]), ""
        return int(self.time[last]), "nobody was observed longer"

    def survival_at(self, tenure: float) -> Estimate:
        """What share stays longer than `tenure`; nothing where the curve is not known."""
        since, until = self.since, self.until
        if since is None or until is None or tenure < since or (tenure > until and self.stops):
            return NO_ESTIMATE
        place = int(self.time.searchsorted(tenure, side="right")) - 1
        return Estimate(float(self.survival[place]), float(self.low[place]), float(self.high[place]))

    def quantile(self, share: float) -> Estimate:
        """The first tenure at which at most `share` are still customers, with the interval from the band.

        None where the curve (or that side of its band) never comes down so far: more than `share` stay as long as we
        have seen anybody stay. Source: Brookmeyer & Crowley 1982, on the log-log scale.
        """
        if not 0.0 < share < 1.0:
            raise BadInput(f"a share lies between 0 and 1, got {share!r}; the median is 0.5")
        return Estimate(*(self._first_at_or_below(curve, share) for curve in (self.survival, self.low, self.high)))

    @property
    def median(self) -> Estimate:
        """The tenure at which half have left; None when more than half stay as long as anybody was observed."""
        return self.quantile(0.5)

    def _first_at_or_below(self, curve: Real, share: float) -> float | None:
        reached = (curve <= share * _REACHED) & (self.time <= (-1 if self.until is None else self.until))
        return float(self.time[int(reached.argmax())]) if reached.any() else None

    def restricted_mean(self, until: int) -> RestrictedMean | None:
        """The mean tenure up to `until`, which exists even where the median does not; None beyond what is known.

        Area under the curve from `since`; variance = sum of A(t)^2 d / (n (n - d)), A(t) the area right of t.
        Source: Klein & Moeschberger 2003, 4.5.
        """
        import numpy as np

        since, last = self.since, self.until
        if since is None or last is None or until <= since or (until > last and self.stops):
            return None
        # Steps at or before `since` (who left on day 0) lower the first strip; each later step begins a new one.
        first = max(0, int(self.time.searchsorted(since, side="right")) - 1)
        beyond = int(self.time.searchsorted(until, side="left"))
        edges = np.append(self.time[first:beyond], until).astype(np.float64)
        strips = self.survival[first:beyond] * np.diff(edges)
        right = np.cumsum(strips[::-1])[::-1]  # the area right of each step
        n, d = self.at_risk[first:beyond].astype(np.float64), self.events[first:beyond].astype(np.float64)
        terms = np.divide(d * right**2, n * (n - d), out=np.zeros_like(d), where=n > d)
        value, error = float(right[0]), math.sqrt(float(terms.sum()))
        reach = normal_quantile(self.level) * error
        return RestrictedMean(
            value, error, max(0.0, value - reach), min(float(until - since), value + reach), since, until
        )


def kaplan_meier(counts: Counts, level: float = 0.95) -> KaplanMeier:
    """What share of customers stays longer than each tenure: the product of (1 - left / at risk).

    Customers still here count for as long as they were seen, which the share of leavers to date does not do.
    Greenwood's variance, band on the scale log(-log S), so that it stays within [0, 1]. With truncated entry, a risk
    set that is very small at low tenure throws the whole curve: look at at_risk, or begin at a later tenure. Source:
    Kaplan & Meier 1958; Greenwood 1926; Kalbfleisch & Prentice 2002.
    """
    import numpy as np

    n, d = counts.at_risk().astype(np.float64), counts.events.astype(np.float64)
    stay = np.divide(n - d, n, out=np.ones_like(n), where=n > 0)
    survival = np.cumprod(stay, dtype=np.float64)
    # When all at risk leave, S is 0 from there on and its variance no longer matters.
    spread = n * (n - d)
    greenwood = np.cumsum(np.divide(d, spread, out=np.zeros_like(n), where=spread > 0), dtype=np.float64)
    low, high = _log_log_band(survival, np.sqrt(greenwood) * survival, level)
    return KaplanMeier(counts.time, counts.at_risk(), counts.events, survival, low, high, greenwood, level)


def _log_log_band(share: Real, error: Real, level: float) -> tuple[Real, Real]:
    """Limits share^exp(-+ z error / (share log share)); without width at 0 and 1."""
    import numpy as np

    z = normal_quantile(level)
    inside = (share > 0.0) & (share < 1.0)
    p = np.where(inside, share, 0.5)
    log_p = np.log(p)
    stretch = np.exp(np.minimum(z * np.where(inside, error, 0.0) / (p * -log_p), 700.0))
    low, high = np.exp(log_p * stretch), np.exp(log_p / stretch)
    return np.where(inside, low, share), np.where(inside, high, share)


# ---------------------------------------------------------------------------------------------------------------------
# Life table and hazard


@dataclass(frozen=True)
class LifeSpan:
    """One line of a life table: what happened to customers in tenure (start, end].

    entering: under observation just after `start`; late: came under observation within; events: left; withdrawn: last
    seen staying within. effective = entering + late/2 - withdrawn/2. leaves = events / effective, the chance to leave
    within the span, with Wilson's interval; None where nobody was at risk. survival = chance to stay past `end`, with
    Greenwood's standard error. exposure: customer-units lived; hazard = events / exposure per unit, with Garwood's
    interval.
    """

    start: int
    end: int
    entering: int
    late: int
    events: int
    withdrawn: int
    effective: float
    leaves: Estimate
    survival: float | None
    survival_error: float | None
    exposure: int
    hazard: Estimate


def life_table(counts: Counts, width: int, level: float = 0.95) -> list[LifeSpan]:
    """When in their life do customers leave? One line per span of `width` days or months of tenure.

    Spans are (0, w], (w, 2w], ...: who leaves after exactly w days belongs to the first, as does who leaves on day 0.
    Actuarial: those withdrawn or entering within a span count half in `effective`; `exposure` and `hazard` are exact.
    Source: Cutler & Ederer 1958; Garwood 1936.
    """
    import numpy as np

    if width < 1:
        raise BadInput(f"a span of tenure is at least 1 long, got {width}")
    if not len(counts.time):
        return []
    last = max(1, int(counts.time[-1]))
    spans = -(-last // width)
    # (a, b] for what ends, [a, b) for what begins: who enters at a lives through all of (a, b].
    ends_in = np.maximum(0, -(-counts.time // width) - 1)
    begins_in = counts.time // width
    at_edge = counts.time % width == 0

    def total(values: Whole, place: Whole) -> Whole:
        return np.bincount(place, weights=values, minlength=spans + 1)[:spans].astype(np.int64)

    events = total(counts.events, ends_in)
    withdrawn = total(counts.censored, ends_in)
    edge = total(np.where(at_edge, counts.entries, 0), begins_in)
    late = total(np.where(at_edge, 0, counts.entries), begins_in)
    net = edge + late - events - withdrawn
    entering = np.cumsum(net) - net + edge
    exposure = [counts.exposure(i * width, (i + 1) * width) for i in range(spans)]
    hazard = poisson_exact_all(events, exposure, level)
    table: list[LifeSpan] = []
    survival: float | None = 1.0
    greenwood = 0.0
    for i in range(spans):
        effective = float(entering[i]) + float(late[i]) / 2 - float(withdrawn[i]) / 2
        d = int(events[i])
        leaves = NO_ESTIMATE
        if effective >= d and effective > 0:
            q = d / effective
            leaves = Estimate(q, *wilson_effective(q, effective, level))
        if survival is not None:
            if leaves.value is None:
                survival = None if survival > 0 else 0.0
            else:
                survival *= 1 - leaves.value
                greenwood += leaves.value / (effective - d) if effective > d else 0.0
            if survival == 0 and any(entering[i + 1 :]) | any(late[i + 1 :]):
                survival = None  # all at risk left, while others were seen staying longer
        table.append(
            LifeSpan(
                start=i * width,
                end=(i + 1) * width,
                entering=int(entering[i]),
                late=int(late[i]),
                events=d,
                withdrawn=int(withdrawn[i]),
                effective=effective,
                leaves=leaves,
                survival=survival,
                survival_error=None if survival is None else survival * math.sqrt(greenwood),
                exposure=exposure[i],
                hazard=NO_ESTIMATE if not exposure[i] else Estimate(*(float(part[i]) for part in hazard)),
            )
        )
    return table


def hazard_by_tenure(events: ArrayLike, exposure: ArrayLike, level: float = 0.95) -> list[Estimate]:
    """How fast customers leave in each band of tenure: leavers per customer-day (or month) lived in it.

    events and exposure one per band, in any bands; exact Poisson intervals; nothing where nobody lived. Source:
    Garwood 1936.
    """
    rows = zip(*poisson_exact_all(events, exposure, level), strict=True)
    return [
        NO_ESTIMATE if math.isnan(rate) else Estimate(float(rate), float(low), float(high)) for rate, low, high in rows
    ]


# ---------------------------------------------------------------------------------------------------------------------
# Do groups differ?


@dataclass(frozen=True)
class LogRank:
    """Whether groups leave at different speeds over their whole life.

    observed and expected leavers per group: expected if all groups left alike. chi2 with df degrees of freedom and its
    p; all three None (df 0) where fewer than two groups were ever at risk together.
    """

    chi2: float | None
    df: int
    p: float | None
    observed: Mapping[str, int]
    expected: Mapping[str, float]


def log_rank(groups: Mapping[str, Counts]) -> LogRank:
    """Do these groups leave at different speeds? Mantel's log-rank test for any number of groups, with truncated entry.

    At each tenure the leavers are what a blind draw from all at risk would give, if groups were alike; the test adds up
    observed minus expected. Blind to curves that cross. Source: Mantel 1966; Kalbfleisch & Prentice 2002, 1.5.
    """
    import numpy as np
    from scipy.special import chdtrc

    names = list(groups)
    times = np.unique(np.concatenate([c.time[c.events > 0] for c in groups.values()] or [np.zeros(0, dtype=np.int64)]))
    n = np.zeros((len(names), len(times)))
    d = np.zeros_like(n)
    for row, counts in enumerate(groups.values()):
        if not len(counts.time):
            continue
        # At risk at a tenure not listed: those left under observation after the tenure listed before it.
        after = np.cumsum(counts.entries - counts.events - counts.censored)
        place = np.searchsorted(counts.time, times, side="left")
        listed = (place < len(counts.time)) & (counts.time[np.minimum(place, len(counts.time) - 1)] == times)
        n[row] = np.where(place > 0, after[np.maximum(place, 1) - 1], 0)
        n[row, listed] = counts.at_risk()[place[listed]]
        d[row, listed] = counts.events[place[listed]]
    all_n, all_d = n.sum(axis=0), d.sum(axis=0)
    share = n / all_n
    expected = share @ all_d
    ties = np.divide(all_n - all_d, all_n - 1, out=np.zeros_like(all_n), where=all_n > 1)
    weight = all_d * ties
    covariance = np.diag(share @ weight) - (share * weight) @ share.T
    met = expected > 0
    observed = {name: int(k) for name, k in zip(names, d.sum(axis=1), strict=True)}
    hoped = {name: float(k) for name, k in zip(names, expected, strict=True)}
    kept = np.flatnonzero(met)[:-1]
    difference, spread = (d.sum(axis=1) - expected)[kept], covariance[np.ix_(kept, kept)]
    df = int(np.linalg.matrix_rank(spread, hermitian=True)) if len(kept) else 0
    if df == 0:
        return LogRank(None, 0, None, observed, hoped)
    # Groups never at risk together leave the matrix short of rank; the pseudo-inverse tests what can be tested.
    inverse = np.linalg.inv(spread) if df == len(kept) else np.linalg.pinv(spread, hermitian=True)
    chi2 = float(difference @ inverse @ difference)
    return LogRank(chi2, df, float(chdtrc(df, chi2)), observed, hoped)


# ---------------------------------------------------------------------------------------------------------------------
# By choice, or by a failed card


@dataclass(frozen=True, eq=False)
class Incidence:
    """The share of customers lost to one kind of leaving by each tenure, with its variance and pointwise band."""

    events: Whole
    share: Real
    variance: Real
    low: Real
    high: Real


@dataclass(frozen=True, eq=False)
class CumulativeIncidence:
    """Who is lost to what, and when: at every tenure the kinds' shares and the share still here add up to one."""

    curve: KaplanMeier
    kinds: Mapping[str, Incidence]

    def share_at(self, kind: str, tenure: float) -> Estimate:
        """What share is lost to `kind` up to and including `tenure`; nothing where the curve is not known."""
        one = self.kinds[kind]
        if self.curve.survival_at(tenure).value is None:
            return NO_ESTIMATE
        place = int(self.curve.time.searchsorted(tenure, side="right")) - 1
        return Estimate(float(one.share[place]), float(one.low[place]), float(one.high[place]))


def cumulative_incidence(
    time: ArrayLike,
    entries: ArrayLike,
    censored: ArrayLike,
    events: Mapping[str, ArrayLike],
    level: float = 0.95,
) -> CumulativeIncidence:
    """What share of customers is lost by choice, to failed payments, to unknown causes, by each tenure? Aalen-Johansen.

    Columns as for Counts.of, with one column of leavers per kind. A customer lost one way can no longer be lost the
    other: treating the other kinds as censored (one minus their Kaplan-Meier) would count customers who are gone as if
    they could still leave, and the kinds would add up to more than all. Variance by the delta method, ties allowed;
    band on the log(-log) scale. Source: Aalen & Johansen 1978; Marubini & Valsecchi 1995, ch. 10.
    """
    import numpy as np

    kinds = {kind: _whole(column) for kind, column in events.items()}
    if not kinds:
        raise BadInput("name at least one kind of leaving, as {'voluntary': counts}")
    lengths = {kind: len(column) for kind, column in kinds.items()}
    if set(lengths.values()) != {len(_whole(time))}:
        raise BadInput(f"one count per tenure and kind, got {len(_whole(time))} tenures and {lengths}")
    if any(np.any(column < 0) for column in kinds.values()):
        raise BadInput("counts are not negative; look for subtracted corrections")
    counts = Counts.of(time, entries, np.sum(list(kinds.values()), axis=0), censored)
    curve = kaplan_meier(counts, level)
    n, d = curve.at_risk.astype(np.float64), curve.events.astype(np.float64)
    before = np.concatenate([[1.0], curve.survival[:-1]])
    per_head = np.divide(1.0, n, out=np.zeros_like(n), where=n > 0)
    greenwood = np.divide(d, n * (n - d), out=np.zeros_like(n), where=n > d)
    place = np.searchsorted(counts.time, _whole(time))
    found: dict[str, Incidence] = {}
    for kind, column in kinds.items():
        dk = np.zeros(len(n))
        np.add.at(dk, place, column)
        share = np.cumsum(before * dk * per_head)
        # Var F(t) = sum over t_i <= t of (F(t)-F_i)^2 d/(n(n-d)) + S^2 dk (n-dk)/n^3 - 2 (F(t)-F_i) S dk/n^2, S before
        # t_i: three sums of powers of F(t), each a running sum.
        cross = before * dk * per_head**2
        own = before**2 * dk * (n - dk) * per_head**3
        variance = (
            share**2 * np.cumsum(greenwood)
            - 2 * share * np.cumsum(share * greenwood + cross)
            + np.cumsum(share**2 * greenwood + own + 2 * share * cross)
        )
        variance = np.maximum(variance, 0.0)
        low, high = _log_log_band(np.minimum(share, 1.0), np.sqrt(variance), level)
        found[kind] = Incidence(dk.astype(np.int64), share, variance, low, high)
    return CumulativeIncidence(curve, found)


# ---------------------------------------------------------------------------------------------------------------------
# Cohorts


@dataclass(frozen=True)
class Triangle:
    """Each cohort of customers, age by age. The lower right is the future: None, never 0.

    cohorts: numbers of the periods in which customers came, rising; sizes: what each cohort began with, None if it came
    before history and nobody said. values[c][a]
    and shares[c][a]: what was there at age a, absolutely and per size; a cell observed without any row is 0 (all had
    left).
    """

    cohorts: tuple[int, ...]
    sizes: tuple[float | None, ...]
    values: tuple[tuple[float | None, ...], ...]
    shares: tuple[tuple[float | None, ...], ...]

    @property
    def ages(self) -> range:
        """The ages that the columns stand for, 0 the period of joining."""
        return range(len(self.values[0]) if self.values else 0)

    def average(self, age: int) -> float | None:
        """The share there at `age` over all cohorts old enough to know, large ones counting more."""
        known = [
            (value, size)
            for value, size in ((row[age], size) for row, size in zip(self.values, self.sizes, strict=True))
            if value is not None and size is not None
        ]
        total = math.fsum(size for _, size in known)
        return math.fsum(value for value, _ in known) / total if total else None


def cohort_triangle(
    rows: Iterable[tuple[int, int, float]],
    first: int | None = None,
    last: int | None = None,
    sizes: Mapping[int, float] | None = None,
) -> Triangle:
    """What is left of each cohort at each age? Rows of (cohort, age, customers or money) as a triangle with shares.

    Cohort and age count periods (month 24312 = 2026-01, or any running number); rows of one cell add up. `first` is
    the period in which history begins, `last` the last that is complete (default: the last that any row speaks of);
    cells outside are None. `sizes` is what a cohort began with; default is its cell of age 0, which understates it
    where some left within their first period; with neither, no shares. A share above 1 is possible: customers who come
    back belong to their first cohort.
    """
    cells: dict[tuple[int, int], float] = {}
    for cohort, age, value in rows:
        if age < 0:
            raise BadInput(f"cohort {cohort} has a row at age {age}; a customer cannot be here before the first period")
        cells[cohort, age] = cells.get((cohort, age), 0.0) + float(value)
    cohorts: Sequence[int] = sorted({cohort for cohort, _ in cells} | set(sizes or {}))
    end = last if last is not None else max((cohort + age for cohort, age in cells), default=0)
    cohorts = [cohort for cohort in cohorts if cohort <= end]
    width = end - cohorts[0] + 1 if cohorts else 0
    begin = cohorts[0] if first is None and cohorts else first or 0
    values = tuple(
        tuple(cells.get((cohort, age), 0.0) if begin <= cohort + age <= end else None for age in range(width))
        for cohort in cohorts
    )
    began = tuple(
        float(sizes[cohort]) if sizes is not None and cohort in sizes else row[0]
        for cohort, row in zip(cohorts, values, strict=True)
    )
    shares = tuple(
        tuple(value / size if value is not None and size else None for value in row)
        for row, size in zip(values, began, strict=True)
    )
    return Triangle(tuple(cohorts), began, values, shares)
