"""What is each item worth, and is it alive, at every instant? States and spans become item events.

Implements sections 1 to 4 of docs/explanation/movements.md as one statement. An item event is an instant at which what
an item pays (`m0` -> `m1`, 10^-6 minor units a month), or whether it is live, paused or listed at a price, changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Dialect, Key, Statement
from tenure.measure import lines
from tenure.measure.definition import Definition

DEAD = ("canceled", "unpaid", "incomplete", "incomplete_expired", "scheduled")
# Columns of a state that `--by` may name: they belong to the item and move with it.
ITEM_COLUMNS = ("plan_id", "product_id", "interval", "interval_count", "quantity", "is_metered", "auto_renews")
ACTORS = {"customer": 1, "dunning": 2, "dispute": 3, "fraud": 4, "business": 5}
ACTOR_NAMES = {0: "unknown", 1: "voluntary", 2: "involuntary", 3: "dispute", 4: "fraud", 5: "business"}

_TEXT = ("customer_id", "subscription_id", "item_id", "status", "product_id", "plan_id", "interval", "currency")
_NUMBERS = (
    "interval_count",
    "quantity",
    "amount_minor",
    "tax_minor",
    "discount_forever_minor",
    "discount_limited_minor",
    "minimum_commit_minor",
)
_CLAIMS = ("tax_inclusive", "is_metered")
_SHARED = (
    *_TEXT,
    *_NUMBERS,
    *_CLAIMS,
    "discount_ends_at",
    "trial_ends_at",
    "term_ends_at",
    "cancel_requested_at",
    "cancel_actor",
    "cancel_reason",
    "cancel_comment",
)
_ONLY_STATES = ("period_start", "period_end", "auto_renews", "collection_paused", "resumes_at", "cancel_at")
# What item events are made of: who reads states beside them, in one statement, asks for the same columns.
EVENT_COLUMNS = (*_SHARED, *_ONLY_STATES)
# A cancellation that somebody asked for earlier than it took effect.
_BROUGHT_FORWARD = "status = 'canceled' AND coalesce(cancel_requested_at < ts, FALSE)"
_BETWEEN = "and the instants at which something happens in between"
# What a movement row tells of the item before and after, when asked for in detail.
DETAIL = ("plan_id", "quantity", "amount_minor", "interval", "interval_count", "minimum_commit_minor", "discount")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the data can contain at all, so that a statement carries no step it does not need.

    Found from the files' statistics and one narrow scan; claiming too much costs time, never correctness.
    """

    pauses: bool
    zeros: bool  # live items without MRR: free plans, full discounts, pauses
    trials: bool
    ends: bool
    limited: bool
    currencies: bool  # more than one
    actors: bool
    currency: str | None = None  # the only one; rows without a price may lack it
    unpaid: bool = False  # a subscription counts from its first payment
    asks: bool = False  # who asks to leave is as good as gone
    overdue: bool = False  # who is past due for long is lost

    @property
    def breaks(self) -> bool:
        """Whether anything can happen between two states."""
        return self.pauses or self.trials or self.ends or self.limited or self.unpaid or self.overdue


def tables(facts: Facts) -> tuple[str, ...]:
    """Which of the two tables of subscriptions hold rows."""
    return tuple(name for name in ("subscription_states", "subscription_spans") if facts.has(name))


def shape(facts: Facts, definition: Definition, reporting: str | None = None) -> Shape:
    """Looks at the facts once; see Shape. `reporting`: the currency that prices are converted to when they begin."""
    if definition.source == "invoice_lines":
        return lines.shape(facts)
    pauses = zeros = trials = ends = limited = actors = asks = overdue = False
    currencies: set[object] = set()
    for table in tables(facts):
        is_state = table == "subscription_states"

        def any_of(column: str, table: str = table) -> bool:
            return not facts.lacks(table, column)

        st = facts.statement()
        raw = facts.source(st, table)
        paused = "status = 'paused'" + (" OR collection_paused" if is_state and any_of("collection_paused") else "")
        net = "coalesce(amount_minor, 0)"
        if any_of("tax_minor") and any_of("tax_inclusive"):
            net += " - CASE WHEN tax_inclusive THEN coalesce(tax_minor, 0) ELSE 0 END"
        if any_of("discount_forever_minor") and definition.forever_discount == "lowers":
            net += " - coalesce(discount_forever_minor, 0)"
        if definition.limited_discount != "ignored" and any_of("discount_limited_minor"):
            net += " - coalesce(discount_limited_minor, 0)"
            limited = True
        if any_of("is_metered"):
            net = f"CASE WHEN is_metered THEN coalesce(minimum_commit_minor, 0) ELSE {net} END"
        dead = ", ".join(f"'{status}'" for status in DEAD)
        sql = (
            f"SELECT coalesce(max(CASE WHEN {paused} THEN 1 ELSE 0 END), 0) AS pauses, "
            f"coalesce(max(CASE WHEN coalesce(status, 'active') NOT IN ({dead}) AND {net} <= 0 THEN 1 ELSE 0 END), 0) "
            f"AS zeros, min(currency) AS low, max(currency) AS high, "
            "coalesce(max(CASE WHEN status = 'past_due' THEN 1 ELSE 0 END), 0) AS overdue, "
            f"coalesce(max(CASE WHEN status = 'non_renewing' THEN 1 ELSE 0 END), 0) AS expiring FROM {raw}"
        )
        row = facts.engine.table(st.render(sql)).to_pylist()[0]
        pauses |= bool(row["pauses"]) and definition.pause != "keeps"
        zeros |= bool(row["zeros"])
        overdue |= bool(row["overdue"]) and definition.past_due_days > 0
        currencies |= {row["low"], row["high"]} - {None}
        trials |= any_of("trial_ends_at")
        ends |= bool(row["expiring"]) or (is_state and any_of("cancel_at"))
        if definition.churn_at == "request" and any_of("cancel_requested_at"):
            asks = True
            # A span tells of the request from its start; it may end later than anybody knows yet.
            ends |= not is_state
        actors |= any_of("cancel_actor") or any_of("status")
    if reporting is not None:
        currencies = {reporting}
    single = str(next(iter(currencies))) if len(currencies) == 1 else None
    unpaid = definition.first_payment == "needed" and facts.has("invoices")
    several = len(currencies) > 1
    return Shape(pauses, zeros or pauses, trials, ends, limited, several, actors, single, unpaid, asks, overdue)


def all_states(st: Statement, facts: Facts, wanted: Sequence[str], definition: Definition | None = None) -> str:
    """A step with every state, from states and from spans, of the wanted columns (and `ts`).

    With a definition, cancellations stand where it recognises them and `customer_id` is whom it follows.
    """
    if definition is not None and definition.source == "invoice_lines":
        step = lines.states(st, facts, wanted)
    else:
        step = _told_states(st, facts, wanted, definition is not None and definition.churn_at == "request")
    step = facts.counted(st, step, ("ts", *wanted), "counted_states")
    if definition is None:
        return step
    if definition.churn_at == "paid_until" and not _lack(facts, "period_end"):
        step = _ended_when_paid_until(st, step, wanted)
    if definition.follows == "subscription":
        others = ", ".join(column for column in ("ts", *wanted) if column != "customer_id")
        step = st.step("states_alone", f"SELECT subscription_id AS customer_id, {others} FROM {step}")
    return step


def _ended_when_paid_until(st: Statement, states: str, wanted: Sequence[str]) -> str:
    """A step in which a cancellation takes effect at the end of the period it falls into, unless the item goes on."""
    alive = "CASE WHEN status NOT IN ('canceled', 'unpaid', 'incomplete', 'incomplete_expired') THEN period_end END"
    item = "OVER (PARTITION BY subscription_id, item_id ORDER BY ts)"
    seen = st.step(
        "states_paid", f"SELECT *, lag({alive}) {item} AS paid_until, lead(ts) {item} AS followed FROM {states}"
    )
    later = "CASE WHEN status = 'canceled' THEN greatest(ts, coalesce(period_end, paid_until, ts)) ELSE ts END"
    return st.step(
        "states_ended_when_paid_until",
        f"SELECT {', '.join(wanted)}, {later} AS ts FROM {seen} WHERE NOT (status = 'canceled' AND coalesce(followed <= {later}, FALSE))",
        says="who cancels leaves at the end of the period that is paid for",
    )


def _told_states(st: Statement, facts: Facts, wanted: Sequence[str], asked: bool) -> str:
    """A step with every state from states and spans; `asked`: spans tell from their start what was asked for."""
    parts = []
    both = len(tables(facts)) == 2
    if facts.has("subscription_states"):
        columns = ["effective_at", *wanted]
        latest = facts.latest(st, "subscription_states", columns, f"{_micros(facts)} < {facts.horizon}")
        parts.append(f"SELECT effective_at AS ts, {', '.join(wanted)} FROM {latest}")
    if facts.has("subscription_spans"):
        span_columns = [c for c in wanted if c not in _ONLY_STATES]
        latest = facts.latest(st, "subscription_spans", ["started_at", "ended_at", *span_columns])
        if both:
            told = st.step(
                "told_by_states", "SELECT DISTINCT subscription_id, item_id FROM latest_subscription_states", keep=True
            )
            sql = (
                f"SELECT s.* FROM {latest} AS s LEFT JOIN {told} AS t ON t.subscription_id = s.subscription_id "
                "AND t.item_id = s.item_id WHERE t.item_id IS NULL AND "
            )
        else:
            sql = f"SELECT s.* FROM {latest} AS s WHERE "
        sql += "(s.ended_at IS NULL OR s.ended_at > s.started_at)"
        spans = st.step("spans", sql, keep=True, says="spans that last, of items that no state tells of")

        def told_by(column: str, ended: bool) -> str:
            if column == "status":
                if ended:
                    return "'canceled' AS status"
                return (
                    "CASE WHEN coalesce(s.trial_ends_at > s.started_at, FALSE) THEN 'trialing' "
                    "WHEN s.status IN ('past_due', 'paused', 'unpaid', 'non_renewing', 'incomplete', "
                    "'incomplete_expired', 'scheduled', 'trialing') THEN s.status ELSE 'active' END AS status"
                )
            if asked and not ended and column in ("cancel_requested_at", "cancel_actor"):
                return f"s.{column}"
            if asked and not ended and column == "cancel_at":
                return f"CASE WHEN s.cancel_requested_at IS NOT NULL THEN coalesce(s.ended_at, {facts.horizon}) END AS cancel_at"
            if column in _ONLY_STATES:
                kind = {"auto_renews": "BOOLEAN", "collection_paused": "BOOLEAN"}.get(column, "BIGINT")
                return f"CAST(NULL AS {kind}) AS {column}"
            if column.startswith("cancel_") and not ended:
                kind = "BIGINT" if column.endswith("_at") else facts.engine.dialect.text
                return f"CASE WHEN s.status = 'non_renewing' THEN s.{column} ELSE CAST(NULL AS {kind}) END AS {column}"
            if column == "trial_ends_at" and ended:
                return "CAST(NULL AS BIGINT) AS trial_ends_at"
            return f"s.{column}"

        begin = ", ".join(told_by(column, False) for column in wanted)
        end = ", ".join(told_by(column, True) for column in wanted)
        parts.append(f"SELECT s.started_at AS ts, {begin} FROM {spans} AS s")
        parts.append(
            f"SELECT s.ended_at AS ts, {end} FROM {spans} AS s WHERE s.ended_at < {facts.horizon} AND NOT EXISTS ("
            f"SELECT 1 FROM {spans} AS o WHERE o.subscription_id = s.subscription_id AND o.item_id = s.item_id "
            "AND o.started_at <= s.ended_at AND (o.ended_at IS NULL OR o.ended_at > s.ended_at "
            "OR (o.ended_at = s.ended_at AND o.started_at > s.started_at)))"
        )
    return st.step("told_states", "\nUNION ALL\n".join(parts), says="every state of every item")


def _micros(facts: Facts) -> str:
    return facts.engine.dialect.micros("effective_at")


def base_price(facts: Facts, definition: Definition) -> str:
    """What an item costs per interval, in minor units: section 3 of the rules, before the interval's factor.

    Columns that hold nothing in these facts are left out.
    """
    if definition.source == "invoice_lines":
        return lines.PRICE
    net = "amount_minor"
    if not (_lack(facts, "tax_inclusive") or _lack(facts, "tax_minor")):
        net += " - CASE WHEN tax_inclusive THEN coalesce(tax_minor, 0) ELSE 0 END"
    if not _lack(facts, "discount_forever_minor") and definition.forever_discount == "lowers":
        net += " - coalesce(discount_forever_minor, 0)"
    net = f"coalesce({net}, 0)"
    if not _lack(facts, "is_metered"):
        net = f"CASE WHEN is_metered THEN coalesce(minimum_commit_minor, 0) ELSE {net} END"
    return f"greatest({net}, 0)"


def _lack(facts: Facts, column: str) -> bool:
    return all(facts.lacks(table, column) for table in tables(facts))


def monthly(facts: Facts, definition: Definition, base: str) -> str:
    """The base price as 10^-6 minor units a month: times the interval's factor, rounded half-even once (BIGINT)."""
    d = facts.engine.dialect
    factors = dict(definition.factors)
    plain = definition.source == "states" and all(
        facts.lacks(table, "interval_count") or facts.constant(table, "interval_count") == 1 for table in tables(facts)
    )
    if plain:
        cases = " ".join(f"WHEN '{k}' THEN {_priced(facts, base, *v)}" for k, v in factors.items() if v != (1, 1))
        return f"CASE interval WHEN 'month' THEN {_priced(facts, base, *factors['month'])} {cases} ELSE {base} * 1000000 END"
    count = "greatest(coalesce(interval_count, 1), 1)"
    # Four weeks are billed thirteen times a year, whatever a week alone is worth (`four_weeks` in the profile).
    fours = f"interval = 'week' AND {count} % 4 = 0"
    numerator = _case({k: v[0] for k, v in factors.items()})
    denominator = f"{_case({k: v[1] for k, v in factors.items()})} * {count}"
    times, months = definition.four_weeks
    numerator = f"CASE WHEN {fours} THEN {times} ELSE {numerator} END"
    denominator = f"CASE WHEN {fours} THEN {months} * {d.div(count, '4')} ELSE {denominator} END"
    return _priced(facts, base, numerator, denominator)


def _priced(facts: Facts, base: str, numerator: int | str, denominator: int | str) -> str:
    """base * numerator / denominator in 10^-6, rounded half-even once."""
    d = facts.engine.dialect
    whole, over = f"{base}" if numerator == 1 else f"({base}) * ({numerator})", f"({denominator})"
    if denominator == 1:
        return f"{whole} * 1000000"
    rest = f"(({whole}) % {over}) * 1000000"
    cut = d.div(rest, over)
    doubled = f"2 * (({rest}) % {over})"
    up = f"CASE WHEN {doubled} > {over} OR ({doubled} = {over} AND {cut} % 2 = 1) THEN 1 ELSE 0 END"
    return f"{d.div(whole, over)} * 1000000 + {cut} + {up}"


def _case(values: dict[str, int]) -> str:
    cases = " ".join(f"WHEN '{k}' THEN {v}" for k, v in values.items() if v != 1)
    return f"CASE interval {cases} ELSE 1 END" if cases else "1"


def item_events(
    st: Statement,
    facts: Facts,
    definition: Definition,
    found: Shape,
    *,
    segment: str | None = None,
    detail: bool = False,
    purchase: str | None = None,
    by_subscription: bool = False,
) -> str:
    """A step with the item events; see the module.

    purchase: a relation (day, currency, rate) in the engine, to price each state at the rate of the day it began.
    by_subscription: also the columns of subscription_key.

    Columns: customer_id, subscription_id, item_id, at, currency, actor, m0, m1, and l0, l1 (live), h0, h1 (live and
    paused or listed), p0, p1 (paused) where the shape has zeros or pauses; seg with `segment`; with `detail`
    before/after columns. A change of currency or of segment makes two rows, one for what was and one for what is.
    """
    d = facts.engine.dialect
    states = all_states(st, facts, EVENT_COLUMNS, definition)
    if purchase is not None:
        states = _with_rates(st, facts, states, purchase)
    if found.unpaid:
        states = with_first_payment(st, facts, states)

    # A chain of WHENs, the frequent one first: DuckDB makes a join of an IN with five values.
    dead = " ".join(f"WHEN '{s}' THEN TRUE" for s in DEAD)
    dead = f"(CASE status WHEN 'active' THEN FALSE {dead} WHEN 'trialing' THEN trial_ends_at IS NULL ELSE FALSE END)"
    base = base_price(facts, definition)

    def worth(price: str) -> str:
        value = monthly(facts, definition, price)
        if definition.source == "invoice_lines":
            value = f"CASE WHEN {price} < 0 THEN -({monthly(facts, definition, f'(-{price})')}) ELSE {value} END"
        if purchase is None:
            return value
        return f"CAST(round(CAST({value} AS DECIMAL(18,0)) * purchase_rate) AS BIGINT)"

    # The rate of a state that is worth nothing whatever happens is NULL.
    params = ["rate"] + (["currency"] if found.currencies else [])
    items, customers = keys(facts, segment, detail)
    if by_subscription:
        items = _items_by_subscription(d)
    columns = [
        "customer_id",
        "subscription_id",
        "item_id",
        *items.select,
        *customers.select,
        "ts"
        if not found.asks
        else f"2 * CASE WHEN {_BROUGHT_FORWARD} THEN cancel_requested_at ELSE ts END + "
        f"CASE WHEN {_BROUGHT_FORWARD} THEN 0 ELSE 1 END AS turn",
        f"CASE WHEN NOT {dead} THEN {worth(base)} END AS rate",
        *(["currency"] if found.currency is None else []),
    ]
    if found.zeros:
        columns.append("coalesce(amount_minor, 0) > 0 AS listed")
        params.append("listed")
    if found.limited:
        spared = "is_metered"
        if definition.limited_discount == "lowers_monthly":
            spared += " OR interval = 'year' OR (interval = 'month' AND coalesce(interval_count, 1) >= 12)"
        lower = f"greatest({base} - CASE WHEN {spared} THEN 0 ELSE coalesce(discount_limited_minor, 0) END, 0)"
        columns += [f"{worth(lower)} AS rate_lower", "discount_ends_at AS lower_until"]
        params += ["rate_lower", "lower_until"]
    if found.trials:
        columns.append("CASE WHEN status = 'trialing' THEN trial_ends_at END AS trial_end")
        params.append("trial_end")
    if found.ends:
        end = f"CASE WHEN {dead} THEN NULL WHEN status = 'non_renewing' THEN coalesce(cancel_at, term_ends_at, period_end) ELSE cancel_at END"
        if found.asks:
            end = f"CASE WHEN ({end}) IS NOT NULL AND NOT {dead} THEN coalesce(cancel_requested_at, {end}) END"
        columns.append(f"{end} AS end_at")
        params.append("end_at")
    if found.overdue:
        columns.append("coalesce(status = 'past_due', FALSE) AS overdue")
    if found.pauses:
        asked = "CASE WHEN status = 'paused' THEN ts ELSE coalesce(greatest(period_end, ts), ts) END"
        columns += [
            "coalesce(status = 'paused' OR collection_paused, FALSE) AS pausing",
            f"CASE WHEN status = 'paused' OR collection_paused THEN {asked} END AS pause_asked",
            "CASE WHEN status = 'paused' OR collection_paused THEN resumes_at END AS resumes_at",
        ]
        params.append("resumes_at")
    if found.unpaid:
        columns.append("first_paid")
        params.append("first_paid")
    actor = "0"
    if found.actors:
        cases = " ".join(f"WHEN '{k}' THEN {v}" for k, v in ACTORS.items())
        unsaid = "CASE WHEN status = 'unpaid' THEN 2 ELSE 0 END"
        actor = f"CASE WHEN cancel_actor IS NULL THEN {unsaid} ELSE CASE cancel_actor {cases} ELSE {unsaid} END END"
    columns.append(f"{actor} AS actor")
    if found.asks:
        columns.append(f"CASE WHEN {_BROUGHT_FORWARD} THEN ts END AS gone_until")
    asker = found.asks and found.ends
    if asker:
        cases = " ".join(f"WHEN '{k}' THEN {v}" for k, v in ACTORS.items())
        columns.append(f"CASE WHEN status = 'canceled' THEN CASE cancel_actor {cases} ELSE 0 END END AS asker")
    extras: dict[str, str] = {}
    if segment:
        # '' stands for an unknown segment: a missing value must not be lost in comparisons.
        extras["seg"] = f"coalesce(CAST({segment} AS {d.text}), '')"
    if detail:
        extras |= {f"d_{name}": name for name in DETAIL if name != "discount"}
        extras["d_discount"] = "coalesce(discount_forever_minor, 0)" + (
            " + coalesce(discount_limited_minor, 0)" if found.limited else ""
        )
        extras["d_reason"] = "cancel_reason"
        extras["d_comment"] = "cancel_comment"
        extras["d_status"] = "status"
    columns += [f"{sql} AS {name}" for name, sql in extras.items()]
    priced = st.step(
        "priced_states",
        f"SELECT {', '.join(columns)} FROM {states} WHERE ts < {facts.horizon}",
        keep=False,
        says="what each state is worth a month, in 10^-6 minor units",
    )
    key = items.by
    alone = subscription_key(facts).columns if by_subscription else ()
    named = ["customer_id", "subscription_id", "item_id", *customers.columns, *alone]
    own = [column for column in items.columns if column not in alone]
    runs = (["pausing"] if found.pauses else []) + (["overdue"] if found.overdue else [])
    kept = [*named, *own, "ts", "actor", *params, *extras, *runs]
    if found.pauses:
        kept.append("pause_asked")
    if not found.currencies and found.currency is None:
        kept.append("currency")

    beside = {f"prev_{column}": f"lag({column}) OVER item" for column in [*params, *extras]}
    beside |= {f"prev_{column}": f"lag({column}, 1, FALSE) OVER item" for column in runs}
    # Where only runs (of pauses, of past due) bring something between two states, the runs find the next one.
    breaks = any(column in kept for column in _break_columns(found))
    if breaks:
        beside["next_at"] = "lead(ts) OVER item"
    shown = [*kept, *beside]
    if found.asks:
        kept[kept.index("ts")] = "turn"
        kept.append("gone_until")
        upto = f"PARTITION BY {key} ORDER BY turn ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
        beside |= {"prev_turn": "lag(turn) OVER item", "was_gone_until": f"max(gone_until) OVER ({upto})"}
        if breaks:
            beside["next_at"] = f"lead({_at_turn(d)}) OVER item"
    if asker:
        kept.append("asker")
        beside |= {"next_asker": d.next_known("asker", "item"), "next_actor": "lead(actor) OVER item"}
    lags = ", ".join(f"{sql} AS {column}" for column, sql in beside.items())
    timeline = st.step(
        "item_timeline",
        f"SELECT {', '.join(kept)}, {lags} FROM {priced} WINDOW item AS (PARTITION BY {key} ORDER BY {'turn' if found.asks else 'ts'})",
        says="each state beside the one before it",
    )
    if found.asks:
        timeline = _left_when_asked(st, d, timeline, shown, asker)
    parts = _moments(st, facts, definition, found, timeline, shown, key) if found.breaks else [_Part(timeline, found)]
    changes = ["m0 <> m1"]
    if found.zeros:
        changes += [f"{short}0 <> {short}1" for short in ("l", "p", "h", "x")]
    two_legs = []
    if found.currencies:
        changes.append("(c0 <> c1 AND m0 > 0 AND m1 > 0)")
        two_legs.append("c0 <> c1")
    if segment:
        two_legs.append("seg0 <> seg1")

    def values_of(part: _Part) -> str:
        """What an item is worth just before the part's instants, and from then on."""
        now = _value("", part.t or "ts", part.found)
        before = _value("" if part.t else "prev_", f"{part.t or 'ts'} - 1", part.found)
        was = "" if part.t else "prev_"
        select = [*named, f"{part.t} AS ts" if part.t else "ts", "actor"]
        select += [f"{before['mrr']} AS m0", f"{now['mrr']} AS m1"]
        if found.zeros:
            for short, long in (("l", "live"), ("p", "paused"), ("h", "held"), ("x", "listed")):
                select += [f"CASE WHEN {before[long]} THEN 1 ELSE 0 END AS {short}0"]
                select += [f"CASE WHEN {now[long]} THEN 1 ELSE 0 END AS {short}1"]
        if found.currencies:
            # Whoever is canceled need not say in what currency.
            select += [f"{was}currency AS c0", f"coalesce(currency, {was}currency) AS c1"]
        elif found.currency is None:
            select.append("currency")
        if segment:
            select += [f"{was}seg AS seg0", "seg AS seg1"]
        if detail:
            for name in extras:
                if name.startswith("d_"):
                    select += [f"{was}{name} AS {name}_0", f"{name} AS {name}_1"]
        return f"SELECT {', '.join(select)} FROM {part.step}" + (f" WHERE {part.where}" if part.where else "")

    says = "what each item is worth before and from each instant on"
    values = st.step(
        "item_values",
        "\nUNION ALL\n".join(values_of(part) for part in parts),
        keep=segment is not None,
        says=f"{says}, {_BETWEEN}" if found.breaks else says,
    )
    changed = f"SELECT * FROM {values} WHERE {' OR '.join(changes)}"
    if segment:
        same = "m0 = m1 AND m0 > 0 AND seg0 <> seg1" + (" AND c0 = c1" if found.currencies else "")
        st.step(
            "relabelled",
            f"SELECT customer_id, ts, {'c1' if found.currencies else currency_of(facts, found)} AS currency, seg0, seg1, m0 FROM {values} WHERE {same}",
            keep=True,
            says="items that change their segment and nothing else",
        )
    if not two_legs:
        return st.step("item_events", changed, says="instants at which an item changes")
    return _legs(st, facts, found, changed, two_legs, segment, detail, extras)


def keys(facts: Facts, segment: str | None, detail: bool) -> tuple[Key, Key]:
    """What brings together an item's rows, and a customer's: short keys unless the names themselves are asked for."""
    d = facts.engine.dialect
    if segment is None and not detail:
        return d.key("item", ("subscription_id", "item_id")), d.key("customer", ("customer_id",))
    return Key((), (), "subscription_id, item_id"), Key((), (), "customer_id")


def subscription_key(facts: Facts) -> Key:
    """What brings together a subscription's item events."""
    return facts.engine.dialect.key("subscription", ("subscription_id",))


def _items_by_subscription(d: Dialect) -> Key:
    """An item's key that borrows its subscription's check: wider rows to sort cost more than all the rest."""
    whole, item = d.key("subscription", ("subscription_id",)), d.key("item", ("subscription_id", "item_id"))
    if not whole.columns:
        return item
    columns, select = (*whole.columns, item.columns[0]), (*whole.select, item.select[0])
    return Key(columns, select, f"{item.columns[0]}, {whole.columns[1]}")


def currency_of(facts: Facts, found: Shape) -> str:
    """The currency of a row: its column, or the only one there is."""
    return "currency" if found.currency is None else facts.engine.dialect.literal(found.currency)


def _break_columns(found: Shape) -> list[str]:
    columns = []
    if found.trials:
        columns.append("trial_end")
    if found.ends:
        columns.append("end_at")
    if found.limited:
        columns.append("lower_until")
    if found.pauses:
        columns += ["pause_from", "resumes_at", "expires"]
    if found.overdue:
        columns.append("overdue_end")
    if found.unpaid:
        columns.append("first_paid")
    return columns


def _at_turn(d: Dialect) -> str:
    """The instant of a `turn`: twice the instant, and one more for all but a cancellation that was brought forward.

    So a cancellation comes before what else is told of its instant, and the engines sort one column.
    """
    return d.div("(turn - CASE WHEN gone_until IS NULL THEN 1 ELSE 0 END)", "2")


def _left_when_asked(st: Statement, d: Dialect, states: str, columns: Sequence[str], asker: bool) -> str:
    """A step without what is told of an item between its request to leave and its leaving: it is as good as gone.

    Cancellations stand where they were asked for (`gone_until`: where they took effect). asker: whoever is said to
    have ended it there or in the state that told of the request.
    """
    before = "coalesce(prev_turn < 2 * was_gone_until, FALSE)"
    replaced = {
        "ts": _at_turn(d),
        "prev_rate": f"CASE WHEN NOT {before} THEN prev_rate END",
        "prev_pausing": f"prev_pausing AND NOT {before}",
        "prev_overdue": f"prev_overdue AND NOT {before}",
    }
    if asker:
        # Who asks is told by the cancellation, or by the state that told of the request.
        told = "CASE WHEN next_at < gone_until THEN next_actor END"
        replaced["actor"] = f"coalesce(nullif(actor, 0), nullif({told}, 0), next_asker, 0)"
    found = [f"{replaced[column]} AS {column}" if column in replaced else column for column in columns]
    return st.step(
        "timeline_of_asking",
        f"SELECT {', '.join(found)} FROM {states} "
        "WHERE gone_until IS NOT NULL OR coalesce(turn >= 2 * was_gone_until, TRUE)",
        says="who asks to leave is as good as gone",
    )


def _with_rates(st: Statement, facts: Facts, states: str, purchase: str) -> str:
    """A step that adds purchase_rate: what the state's currency was worth on the day the state began."""
    until = facts.known_before + timedelta(days=1)
    day = facts.engine.dialect.local_day("ts", facts.timezone, datetime(1970, 1, 1, tzinfo=UTC), until)
    dated = st.step("states_with_days", f"SELECT *, {day} AS priced_on FROM {states}")
    return st.step(
        "states_with_rates",
        f"SELECT s.*, CAST(r.rate AS DECIMAL(20,14)) AS purchase_rate FROM {dated} AS s "
        f"LEFT JOIN {purchase} AS r ON r.day = s.priced_on AND r.currency = s.currency",
        says="and the exchange rate of the day each state began",
    )


def with_first_payment(st: Statement, facts: Facts, states: str) -> str:
    """A step that adds first_paid: when an invoice of the subscription was first paid; never, if it has unpaid ones."""
    invoices = facts.latest(
        st, "invoices", ("invoice_id", "subscription_id", "issued_at", "total_minor", "status"), step="all_invoices"
    )
    billed = "i.subscription_id IS NOT NULL AND coalesce(i.total_minor, 0) > 0"
    paid = f"SELECT i.subscription_id, min(CASE WHEN i.status = 'paid' THEN i.issued_at END) AS at FROM {invoices} AS i WHERE {billed} GROUP BY i.subscription_id"
    if facts.has("payments"):
        payments = facts.latest(st, "payments", ("invoice_id", "kind", "attempted_at", "outcome"), step="all_payments")
        succeeded = "p.kind = 'charge' AND p.outcome = 'succeeded'"
        paid = (
            f"SELECT i.subscription_id, min(CASE WHEN {succeeded} THEN p.attempted_at END) AS at FROM {invoices} AS i "
            f"LEFT JOIN {payments} AS p ON p.invoice_id = i.invoice_id WHERE {billed} GROUP BY i.subscription_id"
        )
    first = st.step("first_payments", paid, says="when each subscription was first paid for")
    never = 9_000_000_000_000_000_000
    return st.step(
        "states_with_payments",
        f"SELECT s.*, CASE WHEN f.subscription_id IS NULL THEN NULL ELSE coalesce(f.at, {never}) END AS first_paid "
        f"FROM {states} AS s LEFT JOIN {first} AS f ON f.subscription_id = s.subscription_id",
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """States at their instants: where each begins, or, with `t`, the instants between it and the next."""

    step: str
    found: Shape
    where: str = ""
    t: str = ""


def _moments(
    st: Statement,
    facts: Facts,
    definition: Definition,
    found: Shape,
    states: str,
    columns: Sequence[str],
    key: str,
) -> list[_Part]:
    """The states where each begins, and at what happens before the next."""
    d = facts.engine.dialect
    runs = (["pausing"] if found.pauses else []) + (["overdue"] if found.overdue else [])
    in_run = " OR ".join(f"{column} OR prev_{column}" for column in runs)
    told = [column for column in _break_columns(found) if column in columns]
    # What says the same as the state before it, with nothing to come, can be no event.
    said = [column.removeprefix("prev_") for column in columns if column.startswith("prev_")]
    said = [column for column in said if column not in runs and not column.startswith("d_")]
    news = [f"{column} IS DISTINCT FROM prev_{column}" for column in said]
    news += [f"{column} IS NOT NULL" for column in told] + (["in_run"] if runs else [])
    if runs:
        states = st.step("states_and_runs", f"SELECT {', '.join(columns)}, ({in_run}) AS in_run FROM {states}")
    kept = st.step(
        "states_of_note",
        f"SELECT * FROM {states} WHERE {' OR '.join(news)}",
        keep=True,
        says="each state beside the one before it, where something is or comes new",
    )

    def parts(step: str, name: str, breaks: Sequence[str], shape: Shape, where: str = "") -> list[_Part]:
        begins = _Part(step, shape, where)
        if not breaks:
            return [begins]
        limit = f"least(coalesce(next_at, {facts.horizon}), {facts.horizon})"
        comes = [f"{column} > ts AND {column} < {limit}" for column in breaks]
        if len(breaks) == 1:
            return [begins, _Part(step, shape, f"({where}) AND {comes[0]}" if where else comes[0], breaks[0])]
        points = [f"CASE WHEN {come} THEN {column} END" for come, column in zip(comes, breaks, strict=True)]
        some = " OR ".join(f"({come})" for come in comes)
        between = st.step(
            name,
            f"SELECT *, {d.explode(points)} AS t FROM {step} WHERE {f'({where}) AND ' if where else ''}({some})",
            says="what happens between a state and the next",
        )
        return [begins, _Part(between, shape, "t IS NOT NULL", "t")]

    if not runs:
        return parts(kept, "instants_between", told, found)
    of_run = _runs(st, facts, definition, found, kept, columns, key)
    alone = replace(found, pauses=False, overdue=False)
    return [
        *parts(kept, "instants_between", told, alone, "NOT in_run"),
        *parts(of_run, "instants_of_runs", _break_columns(found), found),
    ]


def _runs(
    st: Statement,
    facts: Facts,
    definition: Definition,
    found: Shape,
    states: str,
    columns: Sequence[str],
    key: str,
) -> str:
    """A step of the states in a run, with when its pause began and expires, or past due became loss."""
    d = facts.engine.dialect
    rows = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    over = f"OVER (PARTITION BY {key} ORDER BY ts"
    told: list[str] = []
    also: dict[str, str] = {}
    step, where = states, " WHERE in_run"
    if "next_at" not in columns:
        # What follows a state in a run is in a run.
        told.append(f"lead(ts) {over}) AS next_at")
        also["next_at"] = "next_at"
    if found.pauses:
        goes_on = "prev_pausing AND NOT coalesce(prev_resumes_at <= ts, FALSE)"
        opens = f"CASE WHEN pausing AND NOT coalesce({goes_on}, FALSE) THEN 1 ELSE 0 END"
        step = st.step("run_numbers", f"SELECT *, sum({opens}) {over} {rows}) AS pause_number FROM {states}{where}")
        where = ""
        asked = f"min(pause_asked) OVER (PARTITION BY {key}, pause_number, pausing ORDER BY ts {rows})"
        step = st.step("run_starts", f"SELECT *, CASE WHEN pausing THEN {asked} END AS pause_from FROM {step}")
        told.append(f"CASE WHEN prev_pausing THEN lag(pause_from) {over}) END AS prev_pause_from")
        expires = "pause_from"
        if definition.pause == "zero":
            months = definition.pause_months
            expires = d.add_months("pause_from", months) if months else "CAST(NULL AS BIGINT)"
        also |= {"pause_from": "pause_from", "expires": expires, "prev_pause_from": "prev_pause_from"}
        also["prev_expires"] = expires.replace("pause_from", "prev_pause_from")
    if found.overdue:
        # A run's first state is the last such state up to any state of the run, and up to the one after it.
        starts = "CASE WHEN overdue AND NOT prev_overdue THEN ts END"
        told.append(f"max({starts}) {over} {rows}) + {definition.past_due_days * DAY_US} AS lost_at")
        also["overdue_end"] = "CASE WHEN overdue THEN lost_at END"
        also["prev_overdue_end"] = "CASE WHEN prev_overdue THEN lost_at END"
    beside = st.step("runs_beside", f"SELECT *, {', '.join(told)} FROM {step}{where}")
    shown = ", ".join([*columns, *(f"{sql} AS {name}" for name, sql in also.items())])
    return st.step(
        "timeline_of_runs",
        f"SELECT {shown} FROM {beside}",
        keep=True,
        says="and when its pause began and expires, or past due became loss",
    )


def _value(prefix: str, t: str, found: Shape) -> dict[str, str]:
    """What a state is at instant `t`: SQL claims gone, live, paused, held, listed, and the MRR (section 4)."""
    p = prefix
    gone = [f"{p}rate IS NULL"]
    paused = "FALSE"
    if found.trials:
        gone.append(f"coalesce({t} < {p}trial_end, FALSE)")
    if found.ends:
        gone.append(f"coalesce({t} >= {p}end_at, FALSE)")
    if found.overdue:
        gone.append(f"coalesce({t} >= {p}overdue_end, FALSE)")
    if found.unpaid:
        gone.append(f"coalesce({t} < {p}first_paid, FALSE)")
    if found.pauses:
        paused = f"(coalesce({t} >= {p}pause_from, FALSE) AND NOT coalesce({t} >= {p}resumes_at, FALSE))"
        gone.append(f"({paused} AND coalesce({t} >= {p}expires, FALSE))")
    lost = " OR ".join(gone)
    rate = f"{p}rate"
    if found.limited:
        rate = f"CASE WHEN coalesce({t} < {p}lower_until, {p}lower_until IS NULL) THEN {p}rate_lower ELSE {p}rate END"
    idle = f"({lost}) OR {paused}" if found.pauses else lost
    return {
        "live": f"NOT ({lost})",
        "paused": f"(NOT ({lost}) AND {paused})",
        "listed": f"(NOT ({lost}) AND coalesce({p}listed, FALSE))",
        "held": f"(NOT ({lost}) AND ({paused} OR coalesce({p}listed, FALSE)))",
        "mrr": f"CASE WHEN {idle} THEN 0 ELSE {rate} END",
    }


def _legs(
    st: Statement,
    facts: Facts,
    found: Shape,
    changed: str,
    two_legs: Sequence[str],
    segment: str | None,
    detail: bool,
    extras: dict[str, str],
) -> str:
    """Splits a change of currency or segment into what leaves and what comes; other events keep one row."""
    events = st.step("changed_items", changed)
    split = f"(m0 > 0 AND m1 > 0 AND ({' OR '.join(two_legs)}))"
    legs = "array(1, 2)" if facts.engine.dialect.spark else "[1, 2]"
    one = "array(0)" if facts.engine.dialect.spark else "[0]"
    unnest = "explode" if facts.engine.dialect.spark else "unnest"
    both = st.step(
        "event_legs", f"SELECT *, {unnest}(CASE WHEN {split} THEN {legs} ELSE {one} END) AS leg FROM {events}"
    )
    customers = keys(facts, segment, detail)[1]
    select = ["customer_id", "subscription_id", "item_id", *customers.columns, "ts", "actor"]
    select += ["CASE WHEN leg = 2 THEN 0 ELSE m0 END AS m0", "CASE WHEN leg = 1 THEN 0 ELSE m1 END AS m1"]
    if found.zeros:
        # The first leg stands still: live, paused and held change on the second.
        for short in ("l", "p", "h", "x"):
            select += [f"{short}0", f"CASE WHEN leg = 1 THEN {short}0 ELSE {short}1 END AS {short}1"]
    old = "leg = 1 OR (leg = 0 AND m1 = 0 AND m0 > 0)"
    if found.currencies:
        select.append(f"CASE WHEN {old} THEN c0 ELSE c1 END AS currency")
    elif found.currency is None:
        select.append("currency")
    if segment:
        select.append(f"CASE WHEN {old} THEN seg0 ELSE seg1 END AS seg")
    if detail:
        select += [f"{name}_{i}" for name in extras if name.startswith("d_") for i in (0, 1)]
    select.append("leg")
    return st.step("item_events", f"SELECT {', '.join(select)} FROM {both}", says="instants at which an item changes")
