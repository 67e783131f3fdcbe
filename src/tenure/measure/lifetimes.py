"""How long do customers stay? Tenures counted in the engine, curves computed from the counts.

A life runs from the day a customer first paid to the first day it was none; who returns has had that loss. Tenure is
whole months (or days): who leaves within a month of life has left by its end, who is still here counts for the months
completed. See docs/explanation/survival.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tenure.errors import BadInput
from tenure.kernel.survival import Counts
from tenure.kernel.time import Period, add_months, midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import Dialect, Statement, day_number, from_day_number
from tenure.measure import states
from tenure.measure.cohorts import history, nothing_known
from tenure.measure.definition import Definition
from tenure.measure.movements import movements
from tenure.measure.segments import Segment, members, resolve

UNITS = ("month", "day")
# If nobody left in a stretch in which so small a chance says somebody should have, its leavers are missing.
SURVIVORS_ONLY = 0.01


@dataclass(frozen=True)
class Lives:
    """The counts behind a survival curve, of one segment.

    counts: every way of leaving; by_kind: events by (voluntary, involuntary, ...) and tenure. exposure_since: lives
    before that day are not looked at, because the data knows no leaver of then (survivors only); None: all of history.
    """

    segment: dict[str, str | None] | None
    unit: str
    counts: Counts
    by_kind: dict[str, dict[int, int]]
    exposure_since: date | None
    snapshot: bool
    statement: str


def exposure_start(facts: Facts, definition: Definition, until: date) -> tuple[date | None, bool]:
    """From which day on leavers are known at all, and whether all left on one day (a snapshot).

    None: history is whole. Where nobody left before some day although, at the rate of afterwards, the chance of that
    would be under 1 %, exposure starts there. Where all who left did so on one day, they are one month's leavers.
    """
    span = history(facts)
    if span is None or until <= span[0]:
        return None, False
    return _exposures(facts, definition, span[0], [until])[0]


def _exposures(
    facts: Facts, definition: Definition, first: date, ends: Sequence[date]
) -> list[tuple[date | None, bool]]:
    """exposure_start as seen on each of several days, by one look at the movements."""
    st, moved = _moved(facts, definition, first, max(ends))
    spells = st.step("all_spells", f"SELECT * FROM {_spells(st, facts, moved, '')}", keep=True)
    rows = [(str(i), f"CAST({day_number(end)} AS BIGINT)") for i, end in enumerate(ends)]
    marks = st.step("ends", facts.engine.dialect.values(rows, ("seen", "end_day")), keep=True)
    lost = "CASE WHEN lost_day < end_day THEN lost_day END"
    seen = st.step(
        "losses_seen",
        f"SELECT seen, end_day, min({lost}) AS first_loss, max({lost}) AS last_loss, count({lost}) AS losses, "
        f"count(*) AS customers FROM {spells} JOIN {marks} ON start_day < end_day GROUP BY seen, end_day",
    )
    lived = "least(coalesce(s.lost_day, e.end_day), e.end_day)"
    sql = st.render(
        "SELECT e.seen, e.first_loss, e.last_loss, e.losses, e.customers, "
        f"CAST(sum(greatest(least(e.first_loss, {lived}) - s.start_day, 0)) AS DOUBLE) AS before, "
        f"CAST(sum(greatest({lived} - greatest(s.start_day, e.first_loss), 0)) AS DOUBLE) AS later "
        f"FROM {spells} AS s JOIN {seen} AS e ON s.start_day < e.end_day "
        "GROUP BY e.seen, e.first_loss, e.last_loss, e.losses, e.customers"
    )
    told = {row["seen"]: row for row in facts.engine.table(sql).to_pylist()}
    return [_exposure(told.get(i)) for i in range(len(ends))]


def _exposure(row: dict[str, Any] | None) -> tuple[date | None, bool]:
    if row is None or not row["losses"]:
        return None, False
    first = int(row["first_loss"])
    if first == int(row["last_loss"]) and row["losses"] > 1 and row["customers"] > row["losses"]:
        return add_months(from_day_number(first), -1), True
    if not row["later"] or not row["before"]:
        return None, False
    expected = row["losses"] / row["later"] * row["before"]
    return (from_day_number(first), False) if math.exp(-expected) < SURVIVORS_ONLY else (None, False)


def lives(
    facts: Facts,
    definition: Definition,
    *,
    until: date,
    unit: str = "month",
    by: tuple[str, ...] = (),
    since: date | None = None,
    snapshot: bool = False,
) -> list[Lives]:
    """Tenures of all customers as seen up to (not including) the day `until`, one set of counts per segment.

    since: exposure starts on that day, customers of before enter late (left truncation); None counts everybody from
    their first day (the arithmetic of a snapshot). by: what belongs to the customer.
    """
    if unit not in UNITS:
        raise BadInput(f"tenure counts in {' or '.join(UNITS)}s, not in '{unit}'")
    span = history(facts)
    if span is None:
        raise nothing_known(facts)
    if until <= span[0]:
        raise BadInput(f"history begins on {span[0]}; ask for lives up to a later day than {until}")
    segment = resolve(facts, by)
    if segment is not None and not follows_lives(segment):
        raise BadInput("lives are split by what belongs to the customer: a column of customers or a trait")
    rows, sql = _ended(facts, definition, span[0], [(until, since)], unit, segment)
    found = []
    for value in sorted({row["seg"] for row in rows}):
        mine = [row for row in rows if row["seg"] == value]
        found.append(_lives(mine, segment.read(value) if segment else None, unit, since, snapshot, sql))
    return found


def follows_lives(segment: Segment) -> bool:
    """Whether a whole life belongs to one value of the segment: what items are, tenure and size do not."""
    return not (segment.of_item or segment.bands)


def lives_until(
    facts: Facts, definition: Definition, ends: Sequence[date], segment: Segment | None
) -> tuple[dict[tuple[int, str], Lives], str]:
    """The lives in months as seen on each of several days, by (place of the day, segment's text), and the statement.

    As `lives` with the exposure that `exposure_start` finds on each day, by two looks at the movements in all, however
    often one asks. A day before all history, and a segment nobody was in, have none.
    """
    if facts.among is not None:  # another relation may bear that name tomorrow
        return _lives_until(facts, definition, ends, segment)
    key = ("lives_until", facts.loaded_before, definition, tuple(ends), segment)
    if key not in facts.memory:
        facts.memory[key] = _lives_until(facts, definition, ends, segment)
    found: tuple[dict[tuple[int, str], Lives], str] = facts.memory[key]
    return found


def _lives_until(
    facts: Facts, definition: Definition, ends: Sequence[date], segment: Segment | None
) -> tuple[dict[tuple[int, str], Lives], str]:
    span = history(facts)
    asked = [(i, end) for i, end in enumerate(ends) if span is not None and end > span[0]]
    if span is None or not asked:
        return {}, ""
    exposed = _exposures(facts, definition, span[0], [end for _, end in asked])
    marks = [(end, since) for (_, end), (since, _) in zip(asked, exposed, strict=True)]
    rows, sql = _ended(facts, definition, span[0], marks, "month", segment)
    mine: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in rows:
        mine.setdefault((int(row["seen"]), row["seg"]), []).append(row)
    return {
        (asked[seen][0], seg): _lives(group, segment.read(seg) if segment else None, "month", *exposed[seen], sql)
        for (seen, seg), group in mine.items()
    }, sql


def _ended(
    facts: Facts,
    definition: Definition,
    first: date,
    ends: Sequence[tuple[date, date | None]],
    unit: str,
    segment: Segment | None,
) -> tuple[list[dict[str, Any]], str]:
    """Customers counted by (seen, seg, actor, entry, tenure, gone) as seen on each of several days, with exposure."""
    st, moved = _moved(facts, definition, first, max(end for end, _ in ends))
    d = facts.engine.dialect
    seg = "''"
    if segment is not None:
        last = max(end for end, _ in ends)
        one = [Period(midnight(first, facts.timezone), midnight(last, facts.timezone), first, last, "day")]
        known = members(st, facts, segment, one, moved, None)
        spells = _spells(st, facts, moved, known)
        seg = "seg"
    else:
        spells = _spells(st, facts, moved, "")
    horizon = _horizon_day(facts)
    rows = [
        (
            str(i),
            f"CAST({day_number(end)} AS BIGINT)",
            f"CAST({min(day_number(end), horizon)} AS BIGINT)",
            f"CAST({'NULL' if since is None else day_number(since)} AS BIGINT)",
        )
        for i, (end, since) in enumerate(ends)
    ]
    marks = st.step("ends", d.values(rows, ("seen", "after_day", "end_day", "begin_day")))

    def months(a: str, b: str, up: bool) -> str:
        if unit == "day":
            return f"({b} - {a})"
        return months_begun(d, a, b) if up else d.completed_months(a, b)

    seen = st.step(
        "spells_seen",
        "SELECT e.seen, e.end_day, e.begin_day, s.start_day, CASE WHEN s.lost_day < e.after_day THEN s.lost_day END AS lost_day, "
        f"CASE WHEN s.lost_day < e.after_day THEN s.actor END AS actor, {seg} AS seg FROM {spells} AS s "
        f"JOIN {marks} AS e ON s.start_day < e.after_day",
        says="each life as it is seen on each of the days",
    )
    left = f"greatest({months('start_day', 'lost_day', True)}, 1)"
    stayed = months("start_day", "end_day", False)
    late = f"CASE WHEN start_day < begin_day THEN {months('start_day', 'begin_day', False)} ELSE 0 END"
    rows_step = st.step(
        "lives",
        f"SELECT seen, seg, actor, {late} AS entry, CASE WHEN lost_day IS NULL THEN {stayed} ELSE {left} END AS tenure, "
        f"CASE WHEN lost_day IS NULL THEN 0 ELSE 1 END AS gone FROM {seen} "
        "WHERE begin_day IS NULL OR lost_day IS NULL OR lost_day >= begin_day",
        says="each customer's tenure at the start and at the end of observation",
    )
    sql = st.render(
        f"SELECT seen, seg, actor, entry, tenure, gone, count(*) AS n FROM {rows_step} WHERE entry < tenure OR tenure = 0 "
        "GROUP BY seen, seg, actor, entry, tenure, gone ORDER BY 1, 2, 3, 4, 5, 6"
    )
    return facts.engine.table(sql).to_pylist(), sql


def months_begun(d: Dialect, start: str, end: str) -> str:
    """How many calendar months lie between two day numbers, a month that has begun counting as one."""
    a, b = d.date_of(start), d.date_of(end)
    exact = f"(day({a}) = day({b}) OR ({b} = last_day({b}) AND day({a}) > day({b})))"
    return f"({d.completed_months(start, end)} + CASE WHEN {exact} THEN 0 ELSE 1 END)"


def _horizon_day(facts: Facts) -> int:
    return day_number((facts.known_before - timedelta(microseconds=1)).astimezone(facts.timezone).date()) + 1


def _moved(facts: Facts, definition: Definition, first: date, until: date) -> tuple[Statement, str]:
    st = facts.statement()
    tz = facts.timezone
    one = [Period(midnight(first, tz), midnight(until, tz), first, until, "day")]
    return st, movements(st, facts, definition, states.shape(facts, definition), one)


def _spells(st: Statement, facts: Facts, moved: str, known: str) -> str:
    """A step (customer_id, start_day, lost_day, actor, seg): each customer's first life."""
    first = st.step(
        "first_lives",
        "SELECT customer_id, min(CASE WHEN customer0 = 0 AND customer1 = 1 AND first = 1 THEN day END) AS start_day, "
        "min(CASE WHEN customer0 = 1 AND customer1 = 0 THEN day END) AS lost_day, "
        "min_by(actor, CASE WHEN customer0 = 1 AND customer1 = 0 THEN ts END) AS actor "
        f"FROM {moved} WHERE closes = 1 GROUP BY customer_id",
        says="from the first payment to the first loss",
    )
    if known:
        return st.step(
            "spells",
            f"SELECT f.*, coalesce(k.seg, '') AS seg FROM {first} AS f LEFT JOIN {known} AS k ON k.customer_id = f.customer_id "
            "AND k.last_slice >= 0 WHERE f.start_day IS NOT NULL",
        )
    return st.step("spells", f"SELECT * FROM {first} WHERE start_day IS NOT NULL")


def _lives(
    rows: list[dict[str, Any]],
    segment: dict[str, str | None] | None,
    unit: str,
    since: date | None,
    snapshot: bool,
    sql: str,
) -> Lives:
    times: list[int] = []
    entries: list[int] = []
    events: list[int] = []
    censored: list[int] = []
    kinds: dict[str, dict[int, int]] = {}
    for row in rows:
        n, gone = int(row["n"]), int(row["gone"])
        times += [int(row["entry"]), int(row["tenure"])]
        entries += [n, 0]
        events += [0, n if gone else 0]
        censored += [0, 0 if gone else n]
        if gone:
            name = states.ACTOR_NAMES[int(row["actor"] or 0)]
            of_kind = kinds.setdefault(name, {})
            of_kind[int(row["tenure"])] = of_kind.get(int(row["tenure"]), 0) + n
    return Lives(segment, unit, Counts.of(times, entries, events, censored), kinds, since, snapshot, sql)
