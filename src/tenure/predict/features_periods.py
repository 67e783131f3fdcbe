"""Who was there when each month began, what was known then, and who decided to leave soon after? Rows to learn from.

    rows = person_periods(facts, definition, since, until, gap=7, horizon=30)
    rows.table     Arrow: one row per live customer and cut-off; what `features` tells, and what came of it
    DiscreteHazard().fit(X, rows.table["period"], rows.table["outcome"], time=rows.table["month"], customer=...)

The event is the decision, not the end: when somebody asked to leave, else the end less one billing interval, of which
at most a month (nobody can say when in its year a yearly contract was given up, and it can be saved to the last). A
row's outcome looks at decisions in [cut-off + gap, cut-off + gap + horizon); the gap is the lead time that acting
takes. The horizon `renewal` is each customer's own: up to and including the day of the next renewal. Who had decided
before it begins has no row (he is beyond reach, though nobody may have known), and who had said so by the cut-off was
not scored. Who stayed is kept, up to what is known (right censoring); a window that nobody saw to its end has is_whole
false. Features are as known at each cut-off, outcomes as known now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import BadInput
from tenure.kernel.lots import drawn
from tenure.kernel.time import Period, midnight, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, micros
from tenure.measure import states
from tenure.measure.cohorts import history, nothing_known
from tenure.measure.definition import Definition
from tenure.measure.movements import movements
from tenure.predict.features import INTERVAL_DAYS, Told, features
from tenure.predict.features_catalogue import Feature

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

RENEWAL = "renewal"
Horizon = int | str  # days, or RENEWAL
# Tenure counts in these days where the horizon is each customer's own.
MONTH_DAYS = 30
# The longest stretch before an end at which a decision that nobody told is thought to have fallen.
LONGEST_LAG_DAYS = 31
# By choice, by failed payment, or neither: a dispute, fraud, and whom the business sent away are no choice to predict.
CAUSES = {
    "unknown": "unknown",
    "voluntary": "voluntary",
    "involuntary": "involuntary",
    "dispute": "unknown",
    "fraud": "unknown",
    "business": "unknown",
}


@dataclass(frozen=True, eq=False)
class Periods:
    """Rows to learn from; see the module.

    table: customer_id, cut_off (instant), month (0, 1, ...: which cut-off), period (tenure in whole horizons), one
    column per feature, outcome ('' stayed as far as is known, else a cause), decided_at (NULL: did not), ends_at (of
    the window), is_whole.
    features: of any cut-off; missing: feature -> why, at the last cut-off; decided_before: rows left out at each
    cut-off because the decision had fallen; leaving: how many had said so and were not scored; empty: cut-offs without
    any live customer.
    """

    table: pa.Table
    features: tuple[Feature, ...]
    missing: dict[str, str]
    decided_before: dict[datetime, int]
    leaving: dict[datetime, int]
    empty: tuple[datetime, ...]


@dataclass(eq=False)
class Looks:
    """What was told at each cut-off, looked up once however many models are made of it.

    most: rows in all; above, the same customers are drawn at every cut-off, and `share` says how many of them.
    """

    facts: Facts
    definition: Definition
    static: tuple[str, ...] = ()
    most: int | None = None
    share: float = 1.0
    _told: dict[datetime, Told | None] = field(default_factory=dict)

    def prepare(self, cut_offs: Collection[datetime]) -> None:
        """Fix the share of customers by how many there are at the last of these cut-offs."""
        if self.most is None or not cut_offs or self._told:
            return
        last = _told_then(self.facts, max(cut_offs), self.definition, self.static, None)
        if last is not None and last.table.num_rows * len(cut_offs) > self.most:
            self.share = self.most / (last.table.num_rows * len(cut_offs))

    def at(self, cut_off: datetime) -> Told | None:
        """The features of a cut-off; None where nothing was known of any subscription yet."""
        if cut_off not in self._told:
            told = _told_then(self.facts, cut_off, self.definition, self.static, None)
            if told is not None and self.share < 1.0:
                lots = np.array(drawn(told.table.column("customer_id").to_pylist(), "sample of rows to learn from"))
                told = replace(told, table=told.table.filter(lots < self.share))
            self._told[cut_off] = told
        return self._told[cut_off]


def month_starts(facts: Facts, since: date, until: date) -> list[datetime]:
    """The first instants of the months of [since, until), as far as they are known."""
    first = since if since.day == 1 else (since.replace(day=1))
    return [
        period.start
        for period in periods(first, until, "month", facts.timezone)
        if period.first >= since and period.start <= facts.known_before
    ]


def decisions(facts: Facts, definition: Definition) -> pa.Table:
    """Every loss of a customer that is known, and its decision.

    Columns: customer_id, lost_us, decided_us, is_told (somebody asked), cause.
    As movements count losses when they end: a change of subscription is none, and who comes back was lost before.
    """
    import pyarrow as pa

    definition = replace(definition, source="states", churn_at="end", follows="customer")
    span = history(facts)
    if span is None:
        raise nothing_known(facts)
    after = facts.known_before.astimezone(facts.timezone).date()
    tz = facts.timezone
    whole = [Period(midnight(span[0], tz), facts.known_before, span[0], max(after, span[0]), "day")]
    st = facts.statement()
    moved = movements(st, facts, definition, states.shape(facts, definition), whole)
    every = states.all_states(st, facts, states.EVENT_COLUMNS, definition)
    losses = st.step(
        "losses",
        f"SELECT customer_id, ts AS lost_us, actor FROM {moved} WHERE closes = 1 AND customer0 = 1 AND customer1 = 0",
        keep=True,
        says="who was lost, and when",
    )
    last = st.step(
        "last_states_of_lost",
        f"SELECT l.customer_id, l.lost_us, max(l.actor) AS actor, max(s.ts) AS last_us FROM {losses} AS l "
        f"JOIN {every} AS s ON s.customer_id = l.customer_id AND s.ts <= l.lost_us GROUP BY l.customer_id, l.lost_us",
        keep=True,
    )
    asked = "max(CASE WHEN s.cancel_requested_at <= l.lost_us THEN s.cancel_requested_at END)"
    sql = st.render(
        f"SELECT l.customer_id, l.lost_us, l.actor, {asked} AS asked_us, "
        f"least(min({INTERVAL_DAYS}), {LONGEST_LAG_DAYS}) AS lag_days FROM {last} AS l "
        f"JOIN {every} AS s ON s.customer_id = l.customer_id "
        "AND s.ts = l.last_us GROUP BY l.customer_id, l.lost_us, l.actor ORDER BY 1, 2"
    )
    found = facts.engine.table(sql)
    lost = found.column("lost_us").to_numpy().astype(np.int64)
    told = ~np.asarray(found.column("asked_us").is_null())
    when = np.asarray(found.column("asked_us").fill_null(0), dtype=np.int64)
    inferred = lost - np.asarray(found.column("lag_days"), dtype=np.int64) * DAY_US
    causes = np.array([CAUSES[states.ACTOR_NAMES[i]] for i in range(len(states.ACTOR_NAMES))])
    cause = causes[np.asarray(found.column("actor").fill_null(0), dtype=np.int64)]
    return pa.table(
        {
            "customer_id": found.column("customer_id").combine_chunks(),
            "lost_us": lost,
            "decided_us": np.where(told, when, inferred),
            "is_told": told,
            "cause": pa.array(cause.tolist(), pa.string()),
        }
    )


def person_periods(
    facts: Facts,
    definition: Definition,
    since: date,
    until: date,
    *,
    gap: int = 0,
    horizon: Horizon = 30,
    static: Collection[str] = (),
    refused: Mapping[str, str] | None = None,
    looks: Looks | None = None,
) -> Periods:
    """Rows at the first of every month of [since, until), exactly as known then, and what came of them; see the module.

    gap: days; horizon: days or RENEWAL. looks: what was told at cut-offs, where several models are made of it (it then
    says what is static). One statement per cut-off, each reading every table once: linear in rows and in months.
    """
    import pyarrow as pa

    if gap < 0 or (horizon != RENEWAL and (not isinstance(horizon, int) or horizon < 1)):
        raise BadInput(f"a gap is 0 days or more and a horizon 1 or more, or '{RENEWAL}', got {gap} and {horizon}")
    cut_offs = month_starts(facts, since, until)
    if not cut_offs:
        raise BadInput(
            f"no month begins from {since} up to {until} that is known; ask for an earlier or longer stretch"
        )
    lost = decisions(facts, definition)
    waits = bool((~np.asarray(lost.column("is_told"))).any())
    roots = _merged(facts)
    parts: list[pa.Table] = []
    named: dict[str, Feature] = {}
    decided_before: dict[datetime, int] = {}
    leaving: dict[datetime, int] = {}
    empty: list[datetime] = []
    missing: dict[str, str] = {}
    for month, cut_off in enumerate(cut_offs):
        told = _told_then(facts, cut_off, definition, static, refused) if looks is None else looks.at(cut_off)
        if told is None or not told.table.num_rows:
            empty.append(cut_off)
            continue
        named |= {feature.name: feature for feature in told.features}
        rows, gone = _with_outcomes(told, month, lost, roots, facts.horizon, gap, horizon, waits)
        parts.append(rows)
        missing, decided_before[cut_off], leaving[cut_off] = told.missing, gone, told.leaving.num_rows
    if not parts:
        raise BadInput(f"no customer was live at any month's beginning from {since} up to {until}; load more history")
    for name, feature in list(named.items()):
        kinds = {part.schema.field(name).type for part in parts if name in part.column_names}
        if len(kinds) > 1:
            # A trait that was a number until somebody wrote a word: all of it is text.
            parts = [_as_text(part, name) if name in part.column_names else part for part in parts]
            named[name] = replace(feature, unit="text")
    return Periods(
        pa.concat_tables(parts, promote_options="default").combine_chunks(),
        tuple(named.values()),
        {name: why for name, why in missing.items() if name not in named},
        decided_before,
        leaving,
        tuple(empty),
    )


def _told_then(
    facts: Facts, cut_off: datetime, definition: Definition, static: Collection[str], refused: Mapping[str, str] | None
) -> Told | None:
    """The features of a cut-off; None where nothing was known of any subscription yet."""
    earliest = [facts.snapshot(table).minimum.get("recorded_at") for table in states.tables(facts)]
    if all(isinstance(first, datetime) and first >= cut_off for first in earliest):
        return None
    return features(facts, cut_off, definition, static=static, refused=refused)


def _with_outcomes(
    told: Told,
    month: int,
    lost: pa.Table,
    roots: pa.Table | None,
    known: int,
    gap: int,
    horizon: Horizon,
    waits: bool,
) -> tuple[pa.Table, int]:
    """The rows of a cut-off with what came of them, and how many are left out because they had decided."""
    import pyarrow as pa
    import pyarrow.compute as pc

    at = micros(told.as_of)
    begins, ends = at + gap * DAY_US, at + (gap + days_ahead(told.table, horizon)) * DAY_US
    ids = told.table.column("customer_id").combine_chunks()
    if roots is not None:
        # Who was merged since is lost when the customer is whom he was merged into.
        place = pc.index_in(ids, value_set=roots.column("customer_id").combine_chunks())
        ids = pc.coalesce(pc.take(roots.column("root").combine_chunks(), place), ids)
    # The next loss of each: losses are in order of customer and time.
    after = lost.filter(pc.greater_equal(lost.column("lost_us"), at))
    losers = after.column("customer_id").combine_chunks()
    place = np.asarray(pc.index_in(ids, value_set=losers).fill_null(-1), dtype=np.int64)
    firsts = np.append(after.column("decided_us").to_numpy(), 0)
    causes = np.append(np.array(after.column("cause").to_pylist(), dtype=object), "")
    has = place >= 0
    decided = firsts[place]
    early = has & (decided < begins)
    event = has & ~early & (decided < ends)
    wait = np.minimum(np.asarray(told.table.column("interval_days")), LONGEST_LAG_DAYS) * DAY_US if waits else 0
    # A decision that nobody told shows at the end of what it ended: until then nobody knows that there was none.
    # Leavers of a window that is not over count no more than those who stayed in it, or leaving would look too likely.
    whole = np.broadcast_to(ends + wait <= known, decided.shape)
    age = np.asarray(told.table.column("tenure_days"))
    stamp = pa.timestamp("us", tz="UTC")
    rows = told.table.append_column("cut_off", pa.array(np.full(len(age), at), pa.int64()).cast(stamp))
    rows = rows.append_column("month", pa.array(np.full(len(age), month), pa.int64()))
    rows = rows.append_column("period", pa.array(whole_periods(age, horizon)))
    rows = rows.append_column("outcome", pa.array(np.where(event, causes[place], "").tolist(), pa.string()))
    rows = rows.append_column("decided_at", pa.array(decided, pa.int64(), mask=~event).cast(stamp))
    rows = rows.append_column("ends_at", pa.array(ends, pa.int64()).cast(stamp))
    rows = rows.append_column("is_whole", pa.array(whole))
    return rows.filter(pa.array(~early)), int(early.sum())


def micros_of(rows: pa.Table, name: str) -> NDArray[np.int64]:
    """A column of instants as microseconds; 0 where there is none."""
    import pyarrow as pa

    whole = rows.column(name).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(whole.fill_null(0), dtype=np.int64)


def days_ahead(told: pa.Table, horizon: Horizon) -> NDArray[np.int64]:
    """How many days the horizon is for each customer."""
    if horizon != RENEWAL:
        return np.full(told.num_rows, int(horizon), dtype=np.int64)
    days = np.asarray(told.column("renewal_days").cast("double").fill_null(MONTH_DAYS), dtype=np.float64)
    return np.maximum(days, 0).astype(np.int64) + 1


def whole_periods(tenure_days: NDArray[Any], horizon: Horizon) -> NDArray[np.int64]:
    """Tenure in whole periods, as a model of that horizon counts it."""
    return (tenure_days // (MONTH_DAYS if horizon == RENEWAL else int(horizon))).astype(np.int64)


def _merged(facts: Facts) -> pa.Table | None:
    """Who is whom by now: customer_id, root."""
    st = facts.statement()
    merged, _ = facts.people(st)
    if merged is None:
        return None
    return facts.engine.table(st.render(f"SELECT customer_id, root FROM {merged}"))


def _as_text(part: pa.Table, name: str) -> pa.Table:
    import pyarrow as pa

    i = part.schema.get_field_index(name)
    return part.set_column(i, name, part.column(name).cast(pa.string()))
