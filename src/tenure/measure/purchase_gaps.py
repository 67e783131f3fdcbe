"""After how long without a purchase is a customer gone? The gaps between purchase days, and the window made of them.

Without a contract nobody says goodbye. What can be counted is silence: the days from one purchase day to the next, and
for everybody the days since the last one, which may yet end. The inactivity window is a silence that few gaps exceed:
by default the shortest number of days that 80 % of all gaps do not exceed. A customer whose silence reaches the window
has lapsed; how many of those silences ended in a purchase all the same stands beside it.

A day with any sale is one purchase day, however many orders it has; returns are none. Days are the company's.
Sources: Gold 2020, Fighting Churn with Data, 2.3 (inactivity); the 80th percentile of gaps as Statlas takes it; Kaplan
& Meier 1958 for the silences that have not ended.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput
from tenure.kernel import stats
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, day_number, from_micros
from tenure.measure.orders import has_orders, purchase_days, span
from tenure.measure.segments import Segment, members, resolve

if TYPE_CHECKING:
    from tenure.kernel.survival import KaplanMeier

SHARE = Fraction(4, 5)
"""The default window is the shortest that this share of all gaps does not exceed."""
SHARES = tuple(Fraction(percent, 100) for percent in (10, 25, 50, 75, 80, 90, 95))
YEAR_DAYS = 365
LONGEST = 3650
NO_GAPS = "nobody bought on two days, so no inactivity window can be chosen (set inactivity_window in tenure.toml)"

_WINDOW = re.compile(r"(\d+)\s*([dw]?)")


def window_days(text: str | int) -> int:
    """The days that a window says: `90d`, `90` and 90 are days, `13w` weeks. BadInput for anything else.

    >>> window_days("13w")
    91
    """
    match = _WINDOW.fullmatch(str(text).strip().lower()) if not isinstance(text, bool) else None
    days = int(match[1]) * (7 if match[2] == "w" else 1) if match else 0
    if not 1 <= days <= LONGEST:
        raise BadInput(
            f"an inactivity window of {text!r}: write days or weeks, such as 90d or 13w, up to {LONGEST} days"
        )
    return days


@dataclass(frozen=True, slots=True)
class Window:
    """The inactivity window: how many days, chosen how, and what it makes of the gaps seen so far.

    chosen: `gaps` (by the rule) or `given`. gaps: all that ended; within: those no longer than the window. reached:
    silences that lasted at least the window (and so were called lapsed); came_back: those that a purchase ended.
    """

    days: int
    chosen: str
    gaps: int
    within: int
    reached: int
    came_back: int

    @property
    def share_within(self) -> float | None:
        """The share of gaps no longer than the window; None without a gap."""
        return self.within / self.gaps if self.gaps else None

    @property
    def share_came_back(self) -> stats.Estimate:
        """The share of silences as long as the window that ended in a purchase so far, with Wilson's interval."""
        if not self.reached:
            return stats.NO_ESTIMATE
        return stats.Estimate(self.came_back / self.reached, *stats.wilson(self.came_back, self.reached))

    def told(self) -> str:
        """The window in words."""
        days = f"{self.days} day{'' if self.days == 1 else 's'}"
        how = "chosen from the gaps" if self.chosen == "gaps" else "as given"
        said = f"Inactivity window: {days}, {how}."
        if self.gaps:
            said += (
                f" {100 * self.within / self.gaps:.1f} % of the {self.gaps:,} gaps between purchase days are no longer."
            )
        if self.reached:
            said += (
                f" Of {self.reached:,} silences that reached it, {100 * self.came_back / self.reached:.1f} % ended in "
                "a purchase all the same, so far."
            )
        return said


@dataclass(frozen=True)
class Gaps:
    """How long customers wait between purchases, in one segment.

    counts: {days: (gaps that ended after so many, last silences so long)}; the latter have not ended when history does.
    means: {days: customers whose mean gap, rounded half up, is so long} of those who bought on two days. window: of all
    customers together, read on this segment's gaps. since, until: the first and the last day of history.
    """

    segment: dict[str, str | None] | None
    counts: dict[int, tuple[int, int]]
    means: dict[int, int]
    window: Window | None
    since: date
    until: date
    statement: str = field(repr=False, default="")

    @property
    def gaps(self) -> int:
        """How many gaps have ended."""
        return sum(ended for ended, _ in self.counts.values())

    @property
    def buyers(self) -> int:
        """How many customers have bought; each has one last silence."""
        return sum(silent for _, silent in self.counts.values())

    @property
    def repeat_buyers(self) -> int:
        """How many have bought on at least two days."""
        return sum(self.means.values())

    def quantile(self, share: Fraction) -> int | None:
        """The shortest gap that at least this share of the gaps that ended does not exceed; None without any."""
        return quantile({days: ended for days, (ended, _) in self.counts.items()}, share)

    def mean_gap(self, share: Fraction) -> int | None:
        """The same over customers: each who bought twice counts once, with the mean of all gaps."""
        return quantile(self.means, share)

    @cached_property
    def curve(self) -> KaplanMeier:
        """The share of silences that last longer than so many days, those that have not ended counted too."""
        from tenure.kernel.survival import Counts, kaplan_meier

        days = sorted({0, *self.counts})
        ended = [self.counts.get(day, (0, 0))[0] for day in days]
        silent = [self.counts.get(day, (0, 0))[1] for day in days]
        entries = [sum(ended) + sum(silent)] + [0] * (len(days) - 1)
        return kaplan_meier(Counts.of(days, entries, ended, silent))

    def returning(self, within: int, after: int = 0) -> float | None:
        """The chance to buy again within so many days, of those silent for `after` days; None where it is not known."""
        then, now = self.curve.survival_at(after + within).value, self.curve.survival_at(after).value
        return None if then is None or not now else 1 - then / now

    def rows(self) -> list[dict[str, Any]]:
        """A dict per quantile: segment, share, gap_days, all_days with low and high, customer_days, and the window's.

        gap_days: of gaps that ended. all_days: with the silences that have not (Kaplan-Meier; None where fewer than
        this share are seen to buy again), customer_days: of customers' mean gaps.
        """
        found = []
        for share in SHARES:
            # Half of all silences are over at the first day at which at most half last longer.
            all_, low, high = self.curve.quantile(float(1 - share))
            found.append(
                {
                    "segment": self.segment,
                    "share": float(share),
                    "gap_days": self.quantile(share),
                    "all_days": None if all_ is None else int(all_),
                    "low": None if low is None else int(low),
                    "high": None if high is None else int(high),
                    "customer_days": self.mean_gap(share),
                    "gaps": self.gaps,
                    "buyers": self.buyers,
                    "repeat_buyers": self.repeat_buyers,
                    "window_days": self.window.days if self.window else None,
                    "window_chosen": self.window.chosen if self.window else None,
                }
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """Everything of it as plain data, the whole distribution included."""
        window, back = self.window, self.window.share_came_back if self.window else stats.NO_ESTIMATE
        return {
            "segment": self.segment,
            "since": self.since,
            "until": self.until,
            "buyers": self.buyers,
            "repeat_buyers": self.repeat_buyers,
            "gaps": self.gaps,
            "window": window
            and {
                "days": window.days,
                "chosen": window.chosen,
                "share_within": window.share_within,
                "reached": window.reached,
                "came_back": window.came_back,
                "share_came_back": back.value,
                "low": back.low,
                "high": back.high,
                "back_within_a_year": self.returning(YEAR_DAYS, window.days),
            },
            "quantiles": [
                {name: row[name] for name in ("share", "gap_days", "all_days", "low", "high", "customer_days")}
                for row in self.rows()
            ],
            "distribution": [
                {"days": days, "gaps": ended, "silent": silent} for days, (ended, silent) in sorted(self.counts.items())
            ],
        }

    def chart(self, language: str = "en") -> Any:
        """How many have bought again after so many days (altair.Chart): gaps that ended, and all silences."""
        from tenure.charts.buyers import purchase_gaps

        return purchase_gaps(self.points(), self.window.days if self.window else None, language)

    def points(self) -> list[dict[str, Any]]:
        """The share that has bought again after so many days: `of` (gaps or all), `days`, `share`, `low`, `high`."""
        found: list[dict[str, Any]] = []
        ended = 0
        for days in sorted(self.counts):
            ended += self.counts[days][0]
            if self.gaps and self.counts[days][0]:
                found.append({"of": "gaps", "days": days, "share": ended / self.gaps, "low": None, "high": None})
        curve = self.curve
        for i, days in enumerate(curve.time.tolist()):
            if curve.events[i]:
                low, high = 1 - float(curve.high[i]), 1 - float(curve.low[i])
                found.append(
                    {"of": "all", "days": days, "share": 1 - float(curve.survival[i]), "low": low, "high": high}
                )
        return found


def quantile(counts: dict[int, int], share: Fraction) -> int | None:
    """The smallest value that at least this share of what is counted does not exceed; None of nothing."""
    total, so_far = sum(counts.values()), 0
    for value in sorted(counts):
        so_far += counts[value]
        if so_far and so_far >= share * total:
            return value
    return None


@dataclass(frozen=True, slots=True)
class History:
    """Between which days purchases are known. first: of the first order. last: of the last one.

    lapse_before: the first day (number) of which nobody can say that a silence reached it, for nothing is known then.
    """

    first: date
    last: date
    lapse_before: int


def history(facts: Facts) -> History | None:
    """The days of which orders tell; None without any order."""
    key = ("order history", facts.horizon)
    if key not in facts.memory:
        days = span(facts)
        horizon = day_number(from_micros(facts.horizon).astimezone(facts.timezone).date())
        facts.memory[key] = days and History(days[0], days[1], min(day_number(days[1]) + 1, horizon))
    found: History | None = facts.memory[key]
    return found


def buyers_segment(facts: Facts, names: Sequence[str]) -> Segment | None:
    """What `--by` means for buyers: what stays with a customer. BadInput for anything that moves or is of an item."""
    segment = resolve(facts, names)
    if segment is not None:
        odd = [*segment.item, *segment.bands, *segment.dated]
        if odd and has_orders(facts):
            raise BadInput(
                f"buyers cannot be split by {odd[0]}; use what stays with a customer: a column of customers, or a "
                "trait without dates"
            )
    return segment


def segment_of(st: Statement, facts: Facts, segment: Segment | None, people: str, alias: str) -> tuple[str, str]:
    """The join to the segment of a relation's customers, and the segment's text ('' for everybody)."""
    if segment is None:
        return "", "''"
    known = members(st, facts, segment, (), people, None)
    return f" LEFT JOIN {known} AS s ON s.customer_id = {alias}.customer_id", "coalesce(s.seg, '')"


def neighbours(st: Statement, facts: Facts) -> str:
    """A step: each purchase day (customer_id, day) with the customer's one before and after it (prev, next)."""
    return st.step(
        "purchases_in_turn",
        "SELECT customer_id, day, lag(day) OVER turn AS prev, lead(day) OVER turn AS next "
        f"FROM {purchase_days(st, facts)} WINDOW turn AS (PARTITION BY customer_id ORDER BY day)",
        keep=True,
        says="each purchase day with the ones before and after",
    )


def purchase_gaps(facts: Facts, *, by: Sequence[str] = (), window: int | None = None) -> list[Gaps]:
    """How long customers wait between purchases; one answer per segment, the most buyers first.

    window: the inactivity window in days (default: the rule of the module, over all customers).
    """
    told = history(facts)
    if told is None:
        raise BadInput(
            "no orders are loaded; load some with `tenure load orders FILE` or `tenure load order_lines FILE`"
        )
    segment = buyers_segment(facts, by)
    rows, sql = _counted(facts, segment, day_number(told.last))
    counts: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    means: dict[str, dict[int, int]] = defaultdict(dict)
    for row in rows:
        seg, days, n = row["seg"], int(row["days"]), int(row["n"])
        if row["what"] == "mean":
            means[seg][days] = n
        else:
            ended, silent = counts[seg].get(days, (0, 0))
            counts[seg][days] = (ended + n, silent) if row["what"] == "gap" else (ended, silent + n)
    whole = chosen(_added(counts.values()), window)
    found = [
        Gaps(
            segment.read(seg) if segment else None,
            counts[seg],
            means.get(seg, {}),
            whole and read(counts[seg], whole.days, whole.chosen),
            told.first,
            told.last,
            sql,
        )
        for seg in sorted(counts)
    ]
    return sorted(found, key=lambda gaps: -gaps.buyers)


def _added(many: Iterable[dict[int, tuple[int, int]]]) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for counts in many:
        for days, (ended, silent) in counts.items():
            before = found.get(days, (0, 0))
            found[days] = (before[0] + ended, before[1] + silent)
    return found


def chosen(counts: dict[int, tuple[int, int]], window: int | None) -> Window | None:
    """The window of these gaps: the one given, or the shortest that SHARE of them do not exceed; None without a gap."""
    days = window or quantile({days: ended for days, (ended, _) in counts.items()}, SHARE)
    return None if days is None else read(counts, days, "given" if window else "gaps")


def read(counts: dict[int, tuple[int, int]], days: int, how: str) -> Window:
    """What a window of so many days makes of gaps and last silences.

    A gap longer than the window was called lapsed on the way; a last silence was when it has lasted the window.
    """
    gaps = sum(ended for ended, _ in counts.values())
    back = sum(ended for gap, (ended, _) in counts.items() if gap > days)
    silent = sum(silent for gap, (_, silent) in counts.items() if gap >= days)
    return Window(days, how, gaps, gaps - back, back + silent, back)


def inactivity_window(facts: Facts, window: int | None = None) -> Window | None:
    """The inactivity window of a company, looked up once per look at the facts; None where nothing tells one."""
    key = ("inactivity window", facts.horizon, window)
    if key not in facts.memory:
        told = history(facts)
        rows = _counted(facts, None, day_number(told.last), means=False)[0] if told else []
        counts: dict[int, tuple[int, int]] = {}
        for row in rows:
            ended, silent = counts.get(int(row["days"]), (0, 0))
            n = int(row["n"])
            counts[int(row["days"])] = (ended + n, silent) if row["what"] == "gap" else (ended, silent + n)
        facts.memory[key] = chosen(counts, window)
    found: Window | None = facts.memory[key]
    return found


def _counted(
    facts: Facts, segment: Segment | None, last: int, *, means: bool = True
) -> tuple[list[dict[str, Any]], str]:
    """Counts by segment, `what` (gap, silent, mean) and days: a row for each number of days that occurs."""
    st, d = facts.statement(), facts.engine.dialect
    turn = neighbours(st, facts)
    join, seg = segment_of(st, facts, segment, turn, "g")
    keyed = "" if segment is None else f", {seg}"
    parts = [
        f"SELECT {seg} AS seg, 'gap' AS what, g.next - g.day AS days, count(*) AS n FROM {turn} AS g{join} "
        f"WHERE g.next IS NOT NULL GROUP BY g.next - g.day{keyed}",
        f"SELECT {seg} AS seg, 'silent' AS what, {last} - g.day AS days, count(*) AS n FROM {turn} AS g{join} "
        f"WHERE g.next IS NULL GROUP BY {last} - g.day{keyed}",
    ]
    if means:
        mean = d.div("2 * (max(day) - min(day)) + count(*) - 1", "2 * (count(*) - 1)")
        each = st.step(
            "mean_gaps",
            f"SELECT customer_id, CAST({mean} AS BIGINT) AS days FROM {turn} GROUP BY customer_id HAVING count(*) > 1",
            says="each customer's mean gap, rounded half up",
        )
        parts.append(f"SELECT {seg}, 'mean', g.days, count(*) FROM {each} AS g{join} GROUP BY g.days{keyed}")
    sql = st.render("\nUNION ALL ".join(parts) + "\nORDER BY 1, 2, 3")
    return facts.engine.table(sql).to_pylist(), sql
