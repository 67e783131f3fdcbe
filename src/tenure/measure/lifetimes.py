"""How long do customers stay? Tenures counted in the engine, curves computed from the counts.

A life runs from the day a customer first paid to the first day it was none; who returns has had that loss. Tenure is
whole months (or days): who leaves within a month of life has left by its end, who is still here counts for the months
completed. See docs/explanation/survival.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tenure.errors import BadInput
from tenure.kernel.survival import Counts
from tenure.kernel.time import Period, add_months, midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, day_number, from_day_number
from tenure.measure import states
from tenure.measure.cohorts import history, nothing_known
from tenure.measure.definition import Definition
from tenure.measure.movements import movements
from tenure.measure.segments import members, resolve

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
    st, moved = _moved(facts, definition, span[0], until)
    sql = st.render(
        "SELECT min(lost_day) AS first_loss, max(lost_day) AS last_loss, count(lost_day) AS losses, count(*) AS customers, "
        f"min(start_day) AS began FROM {_spells(st, facts, moved, '')}"
    )
    row = facts.engine.table(sql).to_pylist()[0]
    if not row["losses"]:
        return None, False
    first, end = int(row["first_loss"]), day_number(until)
    if first == int(row["last_loss"]) and row["losses"] > 1 and row["customers"] > row["losses"]:
        return add_months(from_day_number(first), -1), True
    st, moved = _moved(facts, definition, span[0], until)
    spells = _spells(st, facts, moved, "")
    lived = f"least(coalesce(lost_day, {end}), {end})"
    sql = st.render(
        f"SELECT CAST(sum(greatest(least({first}, {lived}) - start_day, 0)) AS DOUBLE) AS before, "
        f"CAST(sum(greatest({lived} - greatest(start_day, {first}), 0)) AS DOUBLE) AS later FROM {spells}"
    )
    lives = facts.engine.table(sql).to_pylist()[0]
    if not lives["later"] or not lives["before"]:
        return None, False
    expected = row["losses"] / lives["later"] * lives["before"]
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
    if segment is not None and (segment.of_item or segment.bands):
        raise BadInput("lives are split by what belongs to the customer: a column of customers or a trait")
    st, moved = _moved(facts, definition, span[0], until)
    d = facts.engine.dialect
    seg = "''"
    if segment is not None:
        one = [Period(midnight(span[0], facts.timezone), midnight(until, facts.timezone), span[0], until, "day")]
        known = members(st, facts, segment, one, moved, None)
        spells = _spells(st, facts, moved, known)
        seg = "seg"
    else:
        spells = _spells(st, facts, moved, "")
    end = min(day_number(until), _horizon_day(facts))

    def months(a: str, b: str, up: bool) -> str:
        if unit == "day":
            return f"({b} - {a})"
        whole = d.completed_months(a, b)
        if not up:
            return whole
        exact = f"(day({d.date_of(a)}) = day({d.date_of(b)}) OR ({d.date_of(b)} = last_day({d.date_of(b)}) AND day({d.date_of(a)}) > day({d.date_of(b)})))"
        return f"({whole} + CASE WHEN {exact} THEN 0 ELSE 1 END)"

    left = months("start_day", "lost_day", True)
    stayed = months("start_day", str(end), False)
    entered = "0"
    where = ""
    if since is not None:
        begin = day_number(since)
        entered = f"CASE WHEN start_day < {begin} THEN {months('start_day', str(begin), False)} ELSE 0 END"
        where = f" WHERE lost_day IS NULL OR lost_day >= {begin}"
    rows_step = st.step(
        "lives",
        f"SELECT {seg} AS seg, actor, {entered} AS entry, CASE WHEN lost_day IS NULL THEN {stayed} ELSE greatest({left}, 1) END AS tenure, "
        f"CASE WHEN lost_day IS NULL THEN 0 ELSE 1 END AS gone FROM {spells}{where}",
        says="each customer's tenure at the start and at the end of observation",
    )
    sql = st.render(
        f"SELECT seg, actor, entry, tenure, gone, count(*) AS n FROM {rows_step} WHERE entry < tenure OR tenure = 0 "
        "GROUP BY seg, actor, entry, tenure, gone ORDER BY 1, 2, 3, 4, 5"
    )
    rows = facts.engine.table(sql).to_pylist()
    found = []
    for value in sorted({row["seg"] for row in rows}):
        mine = [row for row in rows if row["seg"] == value]
        found.append(_lives(mine, segment.read(value) if segment else None, unit, since, snapshot, sql))
    return found


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
