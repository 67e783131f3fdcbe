"""By which definition does another tool count? The one whose figures come closest to what that tool shows.

Every profile is tried, then every single switch of the three nearest, and from the best of these further switches as
long as one brings the figures closer. Where that takes several switches and a profile with one of them explains as
much, it is that one. How far a definition is: the sum over the figures of |ours - theirs| / max(|ours|, |theirs|),
where a difference that rounding to their printed digits explains is none, and a figure that we have not got counts 1.
Ties go to the profile and to the switch named first, so the same figures always find the same definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any

from tenure.errors import BadInput
from tenure.kernel.money import exponent
from tenure.kernel.time import add_months
from tenure.lake.facts import Facts
from tenure.measure import states
from tenure.measure.catalogue import Metric
from tenure.measure.currencies import SCALE, currencies
from tenure.measure.definition import CHOICES, INTERVALS, Definition, profile, profiles
from tenure.measure.gathering import Gathered, gather

Progress = Callable[[str, int, int], None]
Define = Callable[[str], Definition]

# Values of numbers that are worth a try, besides those of the profiles.
_USUAL: dict[str, tuple[int, ...]] = {
    "past_due_days": (0, 7, 14, 30, 60),
    "pause_months": (0, 1, 3, 6, 12),
    "grouping_minutes": (0, 60, 1440),
    "gap_days": (0, 1, 7, 30),
    "reactivation_days": (0, 30, 60, 90),
    "window_days": (0, 30),
}
_MOST_SWITCHES = 6
_MOST_STARTS = 3


@dataclass(frozen=True, slots=True)
class Theirs:
    """One figure of another tool: money in major units, rates as fractions. within: what their rounding may hide."""

    line: int
    month: date
    metric: Metric
    currency: str | None
    value: Fraction
    within: Fraction


@dataclass(frozen=True, slots=True)
class Compared:
    """Their figure and ours by the best definition; remains is ours less theirs, None where we have none."""

    theirs: Theirs
    ours: Fraction | None
    remains: Fraction | None
    reason: str

    @property
    def explained(self) -> bool:
        """Whether both say the same, to the digits of theirs."""
        return self.remains is not None and abs(self.remains) <= self.theirs.within


@dataclass
class Reconciled:
    """The definition that comes closest, how far it still is, and how far each profile was.

    switches: the choices that differ from the profile, in the order in which they helped.
    """

    definition: Definition
    switches: list[tuple[str, str]]
    distance: Fraction
    rows: list[Compared]
    by_profile: list[tuple[str, Fraction]]
    left_out: list[tuple[str, str]] = field(default_factory=list)
    tried: int = 0


Values = list[tuple[Fraction | None, str]]
# How far, which definition, the switches that make it, and its figures.
Found = tuple[Fraction, Definition, list[tuple[str, str]], Values]


class Search:
    """Definitions tried against one set of figures; what they have in common is gathered once."""

    def __init__(self, facts: Facts, define: Define, theirs: Sequence[Theirs], currency: str | None) -> None:
        self.facts, self.define, self.theirs, self.currency = facts, define, theirs, currency
        self.first = min(row.month for row in theirs)
        self.after = add_months(max(row.month for row in theirs), 1)
        self.gathered: dict[tuple[object, ...], Gathered] = {}
        self.tried = 0
        converts = currency is not None and currencies(facts) != [currency]
        self.telling = _telling(facts, converts)

    def values(self, definition: Definition) -> Values:
        """Our figures by a definition, in the units of theirs; BadInput where it cannot be counted by."""
        self.tried += 1
        if definition.source == "invoice_lines" and not self.facts.has("invoice_lines"):
            raise BadInput("it counts invoice lines, and none are loaded")
        key = tuple(getattr(definition, name) for name, choice in CHOICES.items() if choice.engine or name == "source")
        if key not in self.gathered:
            self.gathered[key] = gather(
                self.facts,
                definition,
                first=self.first,
                after=self.after,
                grain="month",
                currency=self.currency,
                year_back=any(row.metric.looks_back for row in self.theirs),
                rates=any(row.metric.unit == "rate" for row in self.theirs),
                retention=any(row.metric.opens == "kept" for row in self.theirs),
                readings=self._readings(definition),
            )
        there = self.gathered[key]
        place = {period.first: i for i, period in enumerate(there.asked)}
        known = currencies(self.facts, definition.source)
        single = known[0] if len(known) == 1 else None
        found: Values = []
        for row in self.theirs:
            money = (row.currency or self.currency or single) if row.metric.of_money else None
            figures = there.found.get((place[row.month], "", money)) or there.found.get((place[row.month], "", None))
            if figures is None:
                found.append((None, "there is nobody to count"))
                continue
            value = row.metric.compute(figures.under(definition))
            ours = value.value
            if ours is not None and row.metric.unit == "money":
                ours = ours / (SCALE * 1_000_000 * 10 ** exponent(str(money))) if money else None
            found.append((ours, value.reason))
        return found

    def _readings(self, definition: Definition) -> list[Definition]:
        """Definitions that need all that any reading of the same sums needs."""
        names = {row.metric.name for row in self.theirs}
        found = []
        if any("customer_churn" in name for name in names):
            found = [replace(definition, joiners="counted", returners="counted", churn_base="daily")]
        if any(row.metric.unit == "rate" for row in self.theirs):
            found += [replace(definition, window_days=days) for days in _candidates("window_days")]
        if names & {"nrr", "grr"}:
            found.append(replace(definition, retention_of="subscription"))
        return found

    def distance(self, values: Values) -> Fraction:
        """How far our figures are from theirs; see the module."""
        return sum((_apart(row, ours) for row, (ours, _) in zip(self.theirs, values, strict=True)), Fraction(0))


def _apart(row: Theirs, ours: Fraction | None) -> Fraction:
    if ours is None:
        return Fraction(1)
    apart = abs(ours - row.value)
    if apart <= row.within:
        return Fraction(0)
    return min(apart / max(abs(ours), abs(row.value)), Fraction(1))


def _candidates(choice: str) -> list[Any]:
    """The values of a choice that are worth a try, in a fixed order."""
    allowed = CHOICES[choice].allowed
    if isinstance(allowed, tuple):
        return list(allowed)
    of_profiles = {getattr(profile(name), choice) for name in profiles()}
    return sorted(of_profiles | set(_USUAL.get(choice, ())))


def _told(value: object) -> str:
    return f"{value[0]}/{value[1]}" if isinstance(value, tuple) else str(value)


def _switched(
    definition: Definition, choices: Sequence[str], without: set[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Every single switch of a definition, as (choice, value), in the order of the choices."""
    for name in choices:
        for value in _candidates(name):
            if value != getattr(definition, name) and (name, _told(value)) not in without:
                yield name, _told(value)


def _telling(facts: Facts, converts: bool) -> list[str]:
    """The choices that can change a figure of these facts: without weekly prices, a week's factor changes none."""
    statuses: set[str] = set()
    intervals: set[str] = set()
    pauses = discounts = limited = False
    for table in states.tables(facts):
        st = facts.statement()
        raw = facts.source(st, table)
        for row in facts.engine.table(
            st.render(f"SELECT DISTINCT status, {facts.engine.dialect.quoted('interval')} AS interval FROM {raw}")
        ).to_pylist():
            statuses.add(row["status"])
            intervals.add(row["interval"])
        pauses |= table == "subscription_states" and not facts.lacks(table, "collection_paused")
        discounts |= not facts.lacks(table, "discount_forever_minor")
        limited |= not facts.lacks(table, "discount_limited_minor")
    bills = facts.has("invoices") and facts.has("payments")
    lines = facts.has("invoice_lines")
    idle = {
        *(name for name in INTERVALS if name not in intervals and not lines),
        *(() if discounts else ("forever_discount",)),
        *(() if limited else ("limited_discount",)),
        *(() if bills else ("first_payment",)),
        *(() if "past_due" in statuses else ("past_due_days",)),
        *(() if "paused" in statuses or pauses else ("pause", "pause_months")),
        *(() if converts else ("fx",)),
        *(() if lines else ("source",)),
    }
    if "week" in intervals:
        idle.discard("four_weeks")
    return [name for name in CHOICES if name not in idle]


def reconcile(
    facts: Facts,
    define: Define,
    theirs: Sequence[Theirs],
    *,
    currency: str | None = None,
    bases: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Reconciled:
    """The definition that comes closest to another tool's figures.

    define: makes a definition of its name, such as `stripe, past_due_days=14`. bases: the profiles to begin with
    (default: all). progress is told what is tried, and how many of how many are done.
    """
    if not theirs:
        raise BadInput("there are no figures to compare with")
    search = Search(facts, define, theirs, currency)
    bases = list(bases or profiles())
    found: list[tuple[Fraction, int, Definition, Values]] = []
    left_out: list[tuple[str, str]] = []
    for place, name in enumerate(bases):
        if progress is not None:
            progress(name, place, len(bases))
        try:
            definition = define(name)
            values = search.values(definition)
        except BadInput as error:
            left_out.append((name, str(error)))
            continue
        found.append((search.distance(values), place, definition, values))
    if not found:
        raise BadInput("; ".join(f"{name}: {reason}" for name, reason in left_out))
    starts: list[tuple[Fraction, int, Definition, Values]] = []
    for one in sorted(found, key=lambda one: one[:2]):
        # Profiles that give the very same figures need not all be begun with.
        if len(starts) < _MOST_STARTS and all(one[3] != other[3] for other in starts):
            starts.append(one)
    best: Found | None = None
    base = ""
    for far, place, definition, values in starts:
        better = _improved(search, bases[place], (far, definition, [], values), progress, rounds=1)
        if best is None or better[0] < best[0]:
            best, base = better, bases[place]
        if not best[0]:
            break
    assert best is not None
    best = _improved(search, base, best, progress, rounds=_MOST_SWITCHES - 1)
    if len(best[2]) > 1:
        best = _simpler(search, bases, best, progress)
    distance, definition, switches, values = best
    rows = [
        Compared(row, ours, None if ours is None else ours - row.value, reason)
        for row, (ours, reason) in zip(theirs, values, strict=True)
    ]
    by_profile = [(bases[place], far) for far, place, _, _ in found]
    return Reconciled(definition, switches, distance, rows, by_profile, left_out, search.tried)


def _improved(search: Search, base: str, found: Found, progress: Progress | None, rounds: int) -> Found:
    """The definition after so many single switches, each the one that brings it closest; fewer where none helps."""
    distance, definition, switches, values = found
    switches = list(switches)
    idle: set[tuple[str, str]] = set()
    for _ in range(rounds):
        if not distance:
            break
        best: tuple[Fraction, Definition, tuple[str, str], Values] | None = None
        every = list(_switched(definition, search.telling, idle))
        for done, switch in enumerate(every):
            if progress is not None:
                progress(f"{definition.name}, {switch[0]}={switch[1]}", done, len(every))
            kept = [one for one in switches if one[0] != switch[0]]
            text = ", ".join([base, *(f"{name}={value}" for name, value in [*kept, switch])])
            try:
                other = search.define(text)
                mine = search.values(other)
            except BadInput:
                continue
            if mine == values:
                idle.add(switch)  # what changes no figure here is not tried again
                continue
            far = search.distance(mine)
            if best is None or far < best[0]:
                best = (far, other, switch, mine)
        if best is None or best[0] >= distance:
            break
        distance, definition, switch, values = best
        switches = [*(one for one in switches if one[0] != switch[0]), switch]
    return distance, definition, switches, values


def _simpler(search: Search, bases: Sequence[str], best: Found, progress: Progress | None) -> Found:
    """A profile with one switch where that explains as much as another with several; else what was found.

    Only the choices of the switches are tried, for the others have not helped.
    """
    distance, _, switches, _ = best
    choices = [name for name in CHOICES if name in {name for name, _ in switches}]
    for done, base in enumerate(bases):
        if progress is not None:
            progress(base, done, len(bases))
        try:
            definition = search.define(base)
        except BadInput:
            continue
        for switch in _switched(definition, choices, set()):
            try:
                other = search.define(f"{base}, {switch[0]}={switch[1]}")
                values = search.values(other)
            except BadInput:
                continue
            if search.distance(values) <= distance:
                return search.distance(values), other, [switch], values
    return best
