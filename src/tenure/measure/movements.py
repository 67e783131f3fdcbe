"""Why did MRR move? Item events become a company's movements: groups, kinds, customers won and lost.

Implements sections 5 and 6 of docs/explanation/movements.md. The step `movements` has one row per item event (two where
a paused item leaves):

    customer_id, subscription_id, item_id   and what `states.keys` calls a customer
    ts, day, period                                          when (the group's last event), -1 = before the periods
    currency, seg                                            seg only with a segment of the item
    kind                                                     see KINDS; NULL for an event without money
    amount                                                   signed, 10^-6 minor units a month
    paying0, paying1, customer0, customer1                   of the customer, before and after the group (0 or 1)
    first                                                    1 where the customer was never one before the group
    closes                                                   1 on the group's last row
    actor                                                    see states.ACTOR_NAMES: of the group's last ending

Where a customer is who pays (`is_plain`: one currency, nothing free, no segment of the item, groups within a day) also

    balance                                                  what the customer pays after the event
    opens, ends                                              whether it is the customer's first, last event in the period
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tenure.kernel.time import Period
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, day_number, micros
from tenure.measure import states
from tenure.measure.definition import Definition

KINDS = (
    "new",
    "reactivation",
    "resume",
    "expansion",
    "contraction",
    "pause",
    "churn",
    "entering",
    "leaving",
)
# Nothing in a company's books is older; the zone's clock changes are looked up from here on.
_OLDEST = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Money:
    """In what currency the movements are judged: conv_days (day, currency, rate) stands in the engine, or None.

    The rate is per minor unit, DECIMAL(20,14). Only a group in several currencies needs it, for the sign of its sum.
    purchase: such a relation for prices that are converted once, when they begin, into `reporting`.
    """

    conversion: str | None = None
    purchase: str | None = None
    reporting: str | None = None


def calendar(st: Statement, facts: Facts, periods: Sequence[Period]) -> str:
    """A step (day, period): the index of the period that each day belongs to."""
    d = facts.engine.dialect
    rows = [
        (str(i), str(day_number(p.first)), str(day_number(p.after)), str(micros(p.start)), str(micros(p.end)))
        for i, p in enumerate(periods)
    ]
    names = ("period", "first_day", "after_day", "begins", "ends")
    st.step("periods", d.values(rows, names), says="the periods asked for")
    days = d.numbers("first_day", "after_day")
    return st.step("calendar", f"SELECT period, begins, ends, {days} AS day FROM periods")


def is_plain(found: states.Shape, definition: Definition, segment: str | None) -> bool:
    """Whether a customer's balance tells all: who pays is a customer, and who is a customer pays."""
    return not (
        found.zeros
        or found.currencies
        or segment
        or definition.gap_days
        or definition.grouping == "month"
        or definition.source == "invoice_lines"
    )


def adds_up(found: states.Shape, definition: Definition, segment: str | None) -> bool:
    """Whether what is paid before and after a period is the plain sum of the item events up to then."""
    return not (
        found.currency is None
        or found.currencies
        or segment
        or definition.gap_days
        or definition.grouping == "month"
        or definition.source == "invoice_lines"
    )


def events_kept(st: Statement) -> str:
    """The step that holds the items' events as they were before any walk; see `by_subscription`."""
    return "events_kept" if "events_kept" in st else "events_with_pauses"


def movements(
    st: Statement,
    facts: Facts,
    definition: Definition,
    found: states.Shape,
    periods: Sequence[Period],
    *,
    segment: str | None = None,
    detail: bool = False,
    money: Money = Money(),
    by_subscription: bool = False,
) -> str:
    """The step `movements` over all of history up to the last period's end or the horizon; see the module.

    by_subscription: the items' events are kept, in the step that `events_kept` names, by states.subscription_key too.
    """
    d = facts.engine.dialect
    events = states.item_events(
        st,
        facts,
        definition,
        found,
        segment=segment,
        detail=detail,
        purchase=money.purchase,
        by_subscription=by_subscription,
    )
    customer = states.keys(facts, segment, detail)[1]
    plain = is_plain(found, definition, segment)
    carried = ["customer_id", "subscription_id", "item_id", *customer.columns] + (["seg"] if segment else [])
    if by_subscription and not found.pauses:
        # What is kept is kept whole, so the names are left behind.
        carried = customer.by.split(", ")
        held = [*carried, *states.subscription_key(facts).by.split(", "), "ts", "actor", "m0", "m1"]
        held += ["l0", "l1", "h0", "h1", "p0", "p1"] if found.zeros else []
        events = st.step(
            "events_kept",
            f"SELECT {', '.join(held)} FROM {events}",
            keep=True,
            says="read by customer and by subscription",
        )
    if found.currency is None:
        carried.append("currency")
    if detail:
        names = [f"d_{n}" for n in states.DETAIL] + ["d_reason", "d_comment", "d_status"]
        carried += [f"{name}_{i}" for name in names for i in (0, 1)]
    # Where only payers are customers, what is live without MRR is as good as gone.
    zeros = found.zeros and definition.customer == "live"
    was = ([] if found.currency else ["was_currency"]) + (["was_seg"] if segment else [])
    if found.pauses:
        events = _pause_rows(st, facts, events, [column.removeprefix("was_") for column in was])

    # One walk over each customer's events: what stands before and after each.
    live = "l1 - l0" if zeros else "CASE WHEN m1 > 0 THEN 1 ELSE 0 END - CASE WHEN m0 > 0 THEN 1 ELSE 0 END"
    pays = "CASE WHEN m1 > 0 THEN 1 ELSE 0 END - CASE WHEN m0 > 0 THEN 1 ELSE 0 END"
    tie = ", subscription_id, item_id, m0 DESC" if detail or found.currencies or segment else ""
    running = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    select = [*carried, "ts", "actor", "m0", "m1"]
    if plain:
        select.append("CAST(sum(m1 - m0) OVER walk AS BIGINT) AS balance")
    else:
        select += [f"{pays} AS pays", f"sum({pays}) OVER walk AS paying"]
        select.append("sum(CASE WHEN m1 > 0 THEN 1 ELSE 0 END) OVER walk AS paid")
    if zeros:
        select += [
            f"{live} AS lives",
            f"sum({live}) OVER walk AS live",
            "h1 - h0 AS holds",
            "sum(h1 - h0) OVER walk AS held",
        ]
    if found.zeros:
        select += ["l0", "l1", "p0", "p1"]
    if found.pauses:
        select += ["was_paused", *was]
    select += ["lag(ts) OVER step AS prev_at", "lead(ts) OVER step AS next_at", "row_number() OVER step AS place"]
    order = f"PARTITION BY {customer.by} ORDER BY ts{tie}"
    walked = st.step(
        "walk",
        f"SELECT {', '.join(select)} FROM {events} WINDOW walk AS ({order} {running}), step AS ({order})",
        says="each customer's events in order, with what is alive after each",
    )
    lives, alive = ("lives", "live") if zeros else ("(m1 - m0)", "balance") if plain else ("pays", "paying")

    until = facts.known_before + timedelta(days=1)

    def day(us: str) -> str:
        return d.local_day(us, facts.timezone, _OLDEST, until)

    near = definition.grouping_minutes * 60_000_000
    same_prev = f"{day('ts')} = {day('prev_at')}"
    same_next = f"{day('ts')} = {day('next_at')}"
    # The days of events that lie further apart need not be looked at.
    apart = 33 if definition.grouping == "month" else 2
    close_prev, close_next = f"ts - prev_at < {apart * DAY_US}", f"next_at - ts < {apart * DAY_US}"
    joins_prev = (
        f"CASE WHEN {close_prev} THEN {same_prev} AND (ts - prev_at <= {near} OR {alive} - {lives} = 0) ELSE FALSE END"
    )
    joins_next = f"CASE WHEN {close_next} THEN {same_next} AND (next_at - ts <= {near} OR {alive} = 0) ELSE FALSE END"
    if definition.gap_days:
        gap = definition.gap_days * DAY_US
        joins_prev = f"({joins_prev} OR coalesce({alive} - {lives} = 0 AND ts - prev_at < {gap}, FALSE))"
        joins_next = f"({joins_next} OR coalesce({alive} = 0 AND next_at - ts < {gap}, FALSE))"
    if definition.grouping == "month":

        def month(us: str) -> str:
            return f"(year({d.date_of(day(us))}) * 12 + month({d.date_of(day(us))}))"

        joins_prev = f"CASE WHEN {close_prev} THEN {month('ts')} = {month('prev_at')} ELSE FALSE END"
        joins_next = f"CASE WHEN {close_next} THEN {month('ts')} = {month('next_at')} ELSE FALSE END"
    joined = st.step(
        "joined",
        f"SELECT *, {day('ts')} AS day, {joins_prev} AS joins_prev, {joins_next} AS joins_next FROM {walked}",
        keep=True,
        says="which events belong together: close by on one day, or gone and back on one day",
    )

    # The customer before and after the group; most groups are one event and need no further window.
    alone = {
        "paying0": "CASE WHEN paying - pays > 0 THEN 1 ELSE 0 END",
        "paying1": "CASE WHEN paying > 0 THEN 1 ELSE 0 END",
        "ever0": "CASE WHEN paid - CASE WHEN m1 > 0 THEN 1 ELSE 0 END > 0 THEN 1 ELSE 0 END",
        "ever1": "CASE WHEN paid > 0 THEN 1 ELSE 0 END",
        "live0": f"CASE WHEN {alive} - {lives} > 0 THEN 1 ELSE 0 END",
        "live1": f"CASE WHEN {alive} > 0 THEN 1 ELSE 0 END",
        "held0": "CASE WHEN held - holds > 0 THEN 1 ELSE 0 END" if zeros else "0",
        "held1": "CASE WHEN held > 0 THEN 1 ELSE 0 END" if zeros else "0",
    }
    if plain:
        # The first event of all is an item that begins to pay.
        alone = {
            "paying0": "CASE WHEN balance - (m1 - m0) > 0 THEN 1 ELSE 0 END",
            "paying1": "CASE WHEN balance > 0 THEN 1 ELSE 0 END",
            "ever0": "CASE WHEN place > 1 THEN 1 ELSE 0 END",
        }
    if definition.reactivation_days:
        # Who comes back after so long is new: as if never here before.
        long = definition.reactivation_days * DAY_US
        away = "balance - (m1 - m0)" if plain else f"{alive} - {lives}"
        alone["ever0"] = (
            f"CASE WHEN {away} = 0 AND coalesce(ts - prev_at > {long}, FALSE) THEN 0 ELSE {alone['ever0']} END"
        )
    row_kind = "CAST(NULL AS INT)"
    if found.pauses:
        row_kind = (
            "CASE WHEN m0 > 0 AND p1 = 1 THEN 1 WHEN p0 = 1 AND m1 > 0 AND was_paused > 0 THEN 2 "
            "WHEN p0 = 1 AND l1 = 0 AND was_paused > 0 THEN 3 END"
        )
    base = [*carried, "place", "m1 - m0 AS change", f"{row_kind} AS pausing"]
    if plain:
        base += ["balance", "prev_at", "next_at"]
    if detail:
        base += ["m0", "m1"]
    if found.pauses:
        base += ["was_paused", *was]
    ends = (
        "CASE WHEN l0 = 1 AND l1 = 0 THEN 1 ELSE 0 END"
        if found.zeros
        else "CASE WHEN m0 > 0 AND m1 = 0 THEN 1 ELSE 0 END"
    )
    single = [
        *base,
        "ts",
        "day",
        *(f"{sql} AS {name}" for name, sql in alone.items()),
        "actor",
        "1 AS closes",
        "m1 - m0 AS rest" if plain else f"CAST(m1 - m0 AS DECIMAL(38,{14 if money.conversion else 0})) AS rest",
        "0 AS together",
    ]
    groups = st.step(
        "together",
        f"SELECT *, sum(CASE WHEN joins_prev THEN 0 ELSE 1 END) OVER (PARTITION BY {customer.by} ORDER BY place {running}) "
        f"AS grouped FROM {joined} WHERE joins_prev OR joins_next",
        says="groups of several events",
    )
    whole = f"PARTITION BY {customer.by}, grouped"
    frame = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
    if money.conversion:
        groups = st.step(
            "together_valued",
            f"SELECT g.*, CAST(c.rate AS DECIMAL(20,14)) AS rate FROM {groups} AS g "
            f"LEFT JOIN {money.conversion} AS c ON c.day = g.day AND c.currency = g.currency",
        )
    # What is neither pause nor resume decides between expansion and contraction.
    rest_of_row = "m1 - m0"
    together = base
    if found.pauses:
        groups = _items_in_groups(st, groups, was)
        # What an item's rows are is told by what it was before its first and after its last event in the group.
        item_kind = (
            "CASE WHEN item_m0 > 0 AND item_p1 = 1 THEN 1 WHEN item_p0 = 1 AND item_was > 0 AND item_m1 > 0 THEN 2 "
            "WHEN item_p0 = 1 AND item_was > 0 AND item_l1 = 0 AND item_last = 1 THEN 3 END"
        )
        rest_of_row = (
            f"CASE WHEN ({item_kind}) IN (1, 2) THEN 0 WHEN ({item_kind}) = 3 THEN m1 - m0 - item_was ELSE m1 - m0 END"
        )
        then = {
            f"{row_kind} AS pausing": f"{item_kind} AS pausing",
            "was_paused": "item_was AS was_paused",
            "was_currency": "item_currency AS was_currency",
            "was_seg": "item_seg AS was_seg",
        }
        together = [then.get(column, column) for column in base]
    if plain:
        rest = f"CAST(sum(m1 - m0) OVER ({whole}) AS BIGINT)"
    elif money.conversion:
        rest = f"CAST(sum(CAST({rest_of_row} AS DECIMAL(18,0)) * rate) OVER ({whole}) AS DECIMAL(38,14))"
    else:
        same = whole if found.currency else f"{whole}, currency"
        rest = f"CAST(sum(CAST({rest_of_row} AS DECIMAL(38,0))) OVER ({same}) AS DECIMAL(38,0))"
    # The latest ending speaks; of several at one instant the first word of states.ACTOR_NAMES that one of them says.
    rank = "CASE WHEN actor = 0 THEN 0 ELSE 9 - actor END"
    ended = f"max(CASE WHEN {ends} = 1 THEN (ts + 4000000000000000) * 10 + {rank} END) OVER ({whole})"
    several = [
        *together,
        f"max(ts) OVER ({whole}) AS ts",
        f"max(day) OVER ({whole}) AS day",
        *(
            f"{'first' if name.endswith('0') else 'last'}_value({sql}) OVER ({whole} ORDER BY place {frame}) AS {name}"
            for name, sql in alone.items()
        ),
        f"coalesce(CASE WHEN {ended} % 10 = 0 THEN 0 ELSE 9 - {ended} % 10 END, 0) AS actor",
        f"CASE WHEN place = max(place) OVER ({whole}) THEN 1 ELSE 0 END AS closes",
        f"{rest} AS rest",
        "grouped AS together",
    ]
    rows = st.step(
        "grouped_events",
        f"SELECT {', '.join(single)} FROM {joined} WHERE NOT (joins_prev OR joins_next)\nUNION ALL\n"
        f"SELECT {', '.join(several)} FROM {groups}",
        says="the customer before and after each group",
    )
    judged = st.step(
        "judged",
        f"SELECT *, paying0 AS customer0, paying1 AS customer1 FROM {rows}"
        if plain
        else f"SELECT *, live0 * ever0 AS customer0, live1 * ever1 AS customer1 FROM {rows}",
    )
    kind = _kind(found, zeros)
    out = [
        *carried,
        "place",
        "ts",
        "day",
        "customer0",
        "customer1",
        "paying0",
        "paying1",
        "closes",
        "actor",
        "together",
    ]
    out += ["1 - ever0 AS first"] + (["m0", "m1"] if detail else [])
    out += ["balance", "prev_at", "next_at"] if plain else []
    money_rows = f"SELECT {', '.join(out)}, {kind} AS kind, change AS amount FROM {judged}"
    if found.pauses:
        # A paused item that leaves: it resumes with what the pause took, and goes.
        then = {"closes": "0 AS closes", "currency": "was_currency AS currency", "seg": "was_seg AS seg"}
        silent = [then.get(column, column) for column in out]
        gone = "CASE WHEN customer1 = 1 THEN 'contraction' ELSE 'churn' END"
        away = f"CASE WHEN paying0 = 0 AND paying1 = 0 THEN {gone} ELSE {_rest_kind(zeros)} END"
        money_rows = (
            f"{money_rows}\nUNION ALL\nSELECT {', '.join(silent)}, 'resume' AS kind, was_paused AS amount FROM {judged} WHERE pausing = 3"
            f"\nUNION ALL\nSELECT {', '.join(silent)}, {away} AS kind, -was_paused AS amount FROM {judged} WHERE pausing = 3"
        )
    dated = st.step("dated", money_rows, says="kinds of movements")
    calendar(st, facts, periods)
    last = day_number(periods[-1].after)
    first = day_number(periods[0].first)
    also = "" if found.currency is None else f", {states.currency_of(facts, found)} AS currency"
    if plain:
        also += ", CASE WHEN prev_at IS NULL THEN TRUE WHEN c.begins IS NULL THEN FALSE ELSE prev_at < c.begins END AS opens"
        also += f", CASE WHEN next_at IS NULL THEN TRUE ELSE next_at >= coalesce(c.ends, {micros(periods[0].start)}) END AS ends"
    step = st.step(
        "movements",
        f"SELECT m.*, CASE WHEN m.day < {first} THEN -1 ELSE c.period END AS period{also} FROM {dated} AS m "
        f"LEFT JOIN calendar AS c ON c.day = m.day WHERE m.day < {last}",
        keep=True,
        says="every movement, dated and in its period (-1: before the first)",
    )
    return _transfers(st, facts, step, day, first, last) if segment else step


def _kind(found: states.Shape, zeros: bool) -> str:
    """The kind of an event's own change of MRR; 'idle' sums to zero within its group."""
    pausing = "WHEN pausing = 1 THEN 'pause' WHEN pausing = 2 THEN 'resume' " if found.pauses else ""
    return f"CASE WHEN change = 0 THEN NULL {pausing}ELSE {_rest_kind(zeros)} END"


def _rest_kind(zeros: bool) -> str:
    """The kind that everything in a group shares which is neither pause nor resume: the table of section 6."""
    stay_after = "held1 = 1" if zeros else "FALSE"
    stay_before = "held0 = 1" if zeros else "FALSE"
    return (
        "CASE WHEN paying0 = 0 AND paying1 = 1 AND ever0 = 0 THEN 'new' "
        "WHEN paying0 = 0 AND paying1 = 1 AND customer0 = 0 THEN 'reactivation' "
        f"WHEN paying0 = 0 AND paying1 = 1 AND NOT ({stay_before}) THEN 'reactivation' "
        "WHEN paying0 = 1 AND paying1 = 0 AND customer1 = 0 THEN 'churn' "
        f"WHEN paying0 = 1 AND paying1 = 0 THEN CASE WHEN {stay_after} THEN 'contraction' ELSE 'churn' END "
        "WHEN paying0 = 0 AND paying1 = 0 THEN 'idle' "
        "WHEN rest > 0 THEN 'expansion' ELSE 'contraction' END"
    )


def _items_in_groups(st: Statement, groups: str, was: Sequence[str]) -> str:
    """A step that adds what each item was before its first and after its last event in the group."""
    item = "PARTITION BY customer_id, grouped, subscription_id, item_id"
    frame = "ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
    first = {"m0": "item_m0", "p0": "item_p0", "was_paused": "item_was"}
    first |= {column: column.replace("was_", "item_") for column in was}
    columns = [f"first_value({column}) OVER ({item} {frame}) AS {name}" for column, name in first.items()]
    columns += [f"last_value({column}1) OVER ({item} {frame}) AS item_{column}1" for column in ("m", "p", "l")]
    columns.append(f"CASE WHEN place = max(place) OVER ({item}) THEN 1 ELSE 0 END AS item_last")
    return st.step("items_together", f"SELECT *, {', '.join(columns)} FROM {groups}")


def _pause_rows(st: Statement, facts: Facts, events: str, carried: Sequence[str]) -> str:
    """A step that adds was_paused: of a paused item, what its pause took when it began (else 0), and in what currency."""
    d = facts.engine.dialect
    kept = st.step("events_with_pauses", f"SELECT * FROM {events}", keep=True)
    items = st.step(
        "paused_items",
        f"SELECT DISTINCT subscription_id AS s, item_id AS i FROM {kept} WHERE p0 = 1 OR p1 = 1",
        keep=True,
    )
    order = "ts, m0 DESC"
    took = [f"{d.last_before('CASE WHEN p0 = 0 AND p1 = 1 THEN m0 END', 'subscription_id, item_id', order)} AS took"]
    took += [
        f"{d.last_before(f'CASE WHEN p0 = 0 AND p1 = 1 THEN {column} END', 'subscription_id, item_id', order)} AS took_{column}"
        for column in carried
    ]
    mine = f"{items} AS x ON x.s = e.subscription_id AND x.i = e.item_id"
    paused = st.step("pause_amounts", f"SELECT e.*, {', '.join(took)} FROM {kept} AS e JOIN {mine}")
    idle = "".join(f", e.{column} AS was_{column}" for column in carried)
    was = "".join(
        f", CASE WHEN p0 = 1 THEN coalesce(took_{column}, {column}) ELSE {column} END AS was_{column}"
        for column in carried
    )
    dropped = ", ".join(["took", *(f"took_{column}" for column in carried)])
    return st.step(
        "events_of_pauses",
        f"SELECT e.*, CAST(0 AS BIGINT) AS was_paused{idle} FROM {kept} AS e LEFT JOIN {mine} WHERE x.i IS NULL\nUNION ALL\n"
        f"SELECT {_but(facts, dropped)}CASE WHEN p0 = 1 THEN coalesce(took, 0) ELSE 0 END AS was_paused{was} "
        f"FROM {paused}",
    )


def _but(facts: Facts, columns: str) -> str:
    return f"* EXCEPT ({columns}), " if facts.engine.dialect.spark else f"* EXCLUDE ({columns}), "


def _transfers(
    st: Statement, facts: Facts, moved: str, day: Callable[[str], str], first_day: int, last_day: int
) -> str:
    """Splits expansion and contraction between segments: what losers lose is leaving there, entering in the gainers."""
    d = facts.engine.dialect
    rest = "m.kind IN ('expansion', 'contraction', 'idle') AND m.together > 0"
    key = "customer_id, ts, currency"
    legs = st.step(
        "segment_legs",
        f"SELECT {key}, seg, max(kind) AS kind, max(period) AS period, max(day) AS day, CAST(sum(amount) AS BIGINT) AS amount "
        f"FROM {moved} AS m WHERE {rest} GROUP BY {key}, seg",
    )
    lost = f"sum(CASE WHEN amount < 0 THEN -amount ELSE 0 END) OVER (PARTITION BY {key})"
    gained = f"sum(CASE WHEN amount > 0 THEN amount ELSE 0 END) OVER (PARTITION BY {key})"
    upto = f"sum(CASE WHEN amount > 0 THEN amount ELSE 0 END) OVER (PARTITION BY {key} ORDER BY seg ROWS UNBOUNDED PRECEDING)"
    sums = st.step(
        "segment_sums",
        f"SELECT *, CAST({lost} AS BIGINT) AS lost, CAST({gained} AS BIGINT) AS gained, CAST({upto} AS BIGINT) AS upto FROM {legs}",
        keep=True,
    )
    enters = f"CASE WHEN amount > 0 THEN {d.muldiv('lost', 'upto', 'gained')} - {d.muldiv('lost', 'upto - amount', 'gained')} ELSE 0 END"
    split = st.step(
        "segment_shares", f"SELECT *, {enters} AS enters FROM {sums} WHERE lost > 0 AND gained > 0", keep=True
    )
    others = "period, day, currency, seg"
    plain = "period, day, currency, seg, kind, amount"
    empty = "0 AS customer0, 0 AS customer1, 0 AS paying0, 0 AS paying1, 0 AS closes, 0 AS actor, 0 AS first, customer_id, ts"
    moment = st.step(
        "relabelled_days", f"SELECT *, {day('ts')} AS day FROM relabelled", says="changes of segment alone, by day"
    )
    dated = st.step(
        "relabelled_dated",
        f"SELECT r.*, CASE WHEN r.day < {first_day} THEN -1 ELSE c.period END AS period FROM {moment} AS r "
        f"LEFT JOIN calendar AS c ON c.day = r.day WHERE r.day < {last_day}",
        keep=True,
    )
    return st.step(
        "segment_movements",
        f"SELECT {plain}, customer0, customer1, paying0, paying1, closes, actor, first, customer_id, ts FROM {moved} AS m WHERE NOT coalesce({rest}, FALSE)\n"
        f"UNION ALL SELECT customer_rows.* FROM (SELECT period, day, currency, seg, CAST(NULL AS {d.text}) AS kind, CAST(0 AS BIGINT) AS amount, customer0, customer1, paying0, paying1, closes, actor, first, customer_id, ts FROM {moved} AS m WHERE {rest}) AS customer_rows\n"
        f"UNION ALL SELECT {plain}, {empty} FROM {sums} WHERE NOT (lost > 0 AND gained > 0)\n"
        f"UNION ALL SELECT {others}, 'leaving', amount, {empty} FROM {split} WHERE amount < 0\n"
        f"UNION ALL SELECT {others}, 'entering', enters, {empty} FROM {split} WHERE amount > 0\n"
        f"UNION ALL SELECT {others}, kind, amount - enters, {empty} FROM {split} WHERE amount > 0\n"
        f"UNION ALL SELECT period, day, currency, seg0, 'leaving', -m0, {empty} FROM {dated}\n"
        f"UNION ALL SELECT period, day, currency, seg1, 'entering', m0, {empty} FROM {dated}",
        keep=True,
        says="what moves between segments is entering and leaving",
    )
