"""What were subscriptions, where nothing but their invoices tells? States rebuilt from lines of recurring charges.

A line for a whole billing period says what its item costs from the period's start on. A proration tells of a change in
mid-cycle and is never summed: the new price is what the next whole line of the same plan and quantity says, or, where
none follows, the proration made whole. Credits alone in mid-cycle tell of less, or of the end. Periods that follow one
another (a few days apart at most) are one life; where they stop, it ended, if the export reaches far enough to show
that no renewal came. An item whose last invoice was given up left then. One whose first line is a renewal was there for the period before it.

Lines cannot tell everything. A change that was not invoiced shows with the next line; a pause is a gap; nobody says who
cancelled or why. A discount counts as one for a limited time where it ends later on, or where it still runs and
discounts of the same size have ended with others; one that has lasted for more than a year counts as one without end.
What an item is charged for usage at least, more than once, is its minimum commitment.
"""

from __future__ import annotations

from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement
from tenure.measure.lines import INTERVALS

DERIVED = "derived"  # what the column `source` says of a rebuilt state
# Periods that lie at most so many days apart follow one another; a day after its end a renewal would have come.
GRACE_DAYS = 3
_GRACE = GRACE_DAYS * DAY_US
_YEAR = 366 * DAY_US
_LINES, _STATES, _SPANS, _BILLS = "invoice_lines", "subscription_states", "subscription_spans", "invoices"
KEY = ("subscription_id", "item_id", "effective_at")
# What a rebuilt state tells besides its key and what the simplest of types (BIGINT, text, BOOLEAN) it has.
CONTENT = {
    "customer_id": "text",
    "status": "text",
    "plan_id": "text",
    "interval": "text",
    "interval_count": "BIGINT",
    "quantity": "DOUBLE",
    "amount_minor": "BIGINT",
    "tax_minor": "BIGINT",
    "tax_inclusive": "BOOLEAN",
    "discount_forever_minor": "BIGINT",
    "discount_limited_minor": "BIGINT",
    "minimum_commit_minor": "BIGINT",
    "currency": "text",
    "is_metered": "BOOLEAN",
    "period_start": "BIGINT",
    "period_end": "BIGINT",
    "cancel_requested_at": "BIGINT",
    "cancel_actor": "text",
}
INSTANTS = ("effective_at", "period_start", "period_end", "cancel_requested_at")


def changes(facts: Facts) -> str:
    """The statement whose rows have to be written so that the lake holds what the lines tell.

    Columns: those of KEY and CONTENT (instants as microseconds), `retracted` (a rebuilt state that no line tells of any
    more) and `known` (its key is stored already, so that the row corrects it). No row where all is as it should be.
    """
    st = facts.statement()
    fresh = rebuilt(st, facts)
    names = [*KEY, *CONTENT]
    if not facts.has(_STATES):
        shown = ", ".join(f"f.{name}" for name in names)
        return st.render(f"SELECT {shown}, FALSE AS retracted, FALSE AS known FROM {fresh} AS f ORDER BY {_keys('f')}")
    latest = facts.latest(st, _STATES, names, hide=False)
    ours = st.step(
        "rebuilt_before",
        f"SELECT s.* FROM {latest} AS s LEFT JOIN told_subscriptions AS t ON t.subscription_id = s.subscription_id "
        "WHERE t.subscription_id IS NULL",
        keep=True,
        says="states that were rebuilt before",
    )
    d = facts.engine.dialect
    kept = st.step(
        "ever_rebuilt",
        f"SELECT DISTINCT subscription_id, item_id, {d.micros('effective_at')} AS effective_at FROM "
        f"{facts.source(st, _STATES)} WHERE source = '{DERIVED}'",
    )
    differs = " OR ".join(f"f.{name} IS DISTINCT FROM o.{name}" for name in CONTENT)
    on = " AND ".join(f"{{0}}.{name} = {{1}}.{name}" for name in KEY)
    new = ", ".join(f"f.{name}" for name in names)
    old = ", ".join(f"o.{name}" for name in names)
    overtaken, ended = _overtaken(st, facts, latest, kept)
    return st.render(
        f"SELECT {new}, FALSE AS retracted, k.item_id IS NOT NULL AS known FROM {fresh} AS f "
        f"LEFT JOIN {ours} AS o ON {on.format('o', 'f')} LEFT JOIN {kept} AS k ON {on.format('k', 'f')} "
        f"WHERE o.item_id IS NULL OR {differs}\nUNION ALL\n"
        f"SELECT {old}, TRUE AS retracted, TRUE AS known FROM {ours} AS o LEFT JOIN {fresh} AS f "
        f"ON {on.format('f', 'o')} WHERE f.item_id IS NULL\nUNION ALL\n"
        f"SELECT {', '.join(names)}, TRUE, TRUE FROM {overtaken}\nUNION ALL\n"
        f"SELECT {', '.join(names)}, FALSE, FALSE FROM {ended}\nORDER BY {', '.join(KEY)}"
    )


def _overtaken(st: Statement, facts: Facts, latest: str, kept: str) -> tuple[str, str]:
    """Steps with rebuilt states that were told of later, and with the ends of items that those who tell do not know.

    From its first told state on, a subscription tells of itself; what was rebuilt of the time before stands. A span
    tells of all of its subscription's time.
    """
    d, text = facts.engine.dialect, facts.engine.dialect.text
    raw = facts.source(st, _STATES)
    since = f"SELECT subscription_id, {d.micros('effective_at')} AS since FROM {raw} WHERE coalesce(source, '') <> '{DERIVED}'"
    if facts.has(_SPANS):
        since += f" UNION ALL SELECT subscription_id, CAST(0 AS BIGINT) AS since FROM {facts.source(st, _SPANS)}"
    first = st.step(
        "told_since", f"SELECT subscription_id, min(since) AS since FROM ({since}) AS t GROUP BY subscription_id"
    )
    told_keys = st.step(
        "told_keys",
        f"SELECT DISTINCT subscription_id, item_id, {d.micros('effective_at')} AS effective_at FROM {raw} "
        f"WHERE coalesce(source, '') <> '{DERIVED}'",
        keep=True,
    )
    both = st.step(
        "rebuilt_and_told",
        f"SELECT s.*, t.since, i.item_id IS NULL AS unknown_item FROM {latest} AS s "
        f"JOIN {kept} AS k ON k.subscription_id = s.subscription_id AND k.item_id = s.item_id "
        f"AND k.effective_at = s.effective_at JOIN {first} AS t ON t.subscription_id = s.subscription_id "
        f"LEFT JOIN {told_keys} AS o ON o.subscription_id = s.subscription_id AND o.item_id = s.item_id "
        f"AND o.effective_at = s.effective_at LEFT JOIN (SELECT DISTINCT subscription_id, item_id FROM {told_keys}) AS i "
        "ON i.subscription_id = s.subscription_id AND i.item_id = s.item_id WHERE o.item_id IS NULL",
        keep=True,
        says="rebuilt states of subscriptions that tell of themselves by now",
    )
    stays = "unknown_item AND since > 0 AND effective_at = since AND status = 'canceled'"
    overtaken = st.step("overtaken", f"SELECT * FROM {both} WHERE effective_at >= since AND NOT ({stays})")
    last = st.step(
        "last_rebuilt",
        f"SELECT *, row_number() OVER (PARTITION BY subscription_id, item_id ORDER BY effective_at DESC) AS place, "
        f"max(CASE WHEN {stays} THEN 1 ELSE 0 END) OVER (PARTITION BY subscription_id, item_id) AS is_ended FROM {both} "
        "WHERE effective_at <= since",
    )
    shown = {
        "effective_at": "since",
        "status": f"CAST('canceled' AS {text})",
        "cancel_requested_at": "CAST(NULL AS BIGINT)",
        "cancel_actor": f"CAST(NULL AS {text})",
    }
    columns = ", ".join(f"{shown.get(name, name)} AS {name}" for name in (*KEY, *CONTENT))
    ended = st.step(
        "handed_over",
        f"SELECT {columns} FROM {last} WHERE place = 1 AND unknown_item AND is_ended = 0 AND status <> 'canceled' "
        "AND since > 0",
    )
    return overtaken, ended


def _keys(of: str) -> str:
    return ", ".join(f"{of}.{name}" for name in KEY)


def rebuilt(st: Statement, facts: Facts) -> str:
    """A step with the states that the lines tell, of subscriptions that no state or span tells of; see CONTENT."""
    lines = _lines(st, facts)
    _whole(st, facts, lines)
    _changes(st, facts, lines)
    _ends(st, facts)
    _commitments(st, facts, lines)
    return _states_of(st, facts)


# ------------------------------------------------------------------------------------------------------------- lines


def told(st: Statement, facts: Facts) -> str:
    """The step `told_subscriptions` (subscription_id, customer_id): those of which a state or a span tells."""
    parts = []
    if facts.has(_STATES):
        raw = facts.source(st, _STATES)
        parts.append(f"SELECT subscription_id, customer_id FROM {raw} WHERE coalesce(source, '') <> '{DERIVED}'")
    if facts.has(_SPANS):
        parts.append(f"SELECT subscription_id, customer_id FROM {facts.source(st, _SPANS)}")
    text = facts.engine.dialect.text
    none = f"SELECT CAST(NULL AS {text}) AS subscription_id, CAST(NULL AS {text}) AS customer_id WHERE 1 = 0"
    return st.step(
        "told_subscriptions",
        f"SELECT subscription_id, max(customer_id) AS customer_id FROM ({' UNION ALL '.join(parts) or none}) AS t "
        "GROUP BY subscription_id",
        keep=True,
        says="subscriptions that tell of themselves",
    )


def _lines(st: Statement, facts: Facts) -> str:
    """The step `rebuild_lines`: every line with a time of service, of subscriptions that are not told, with its item."""
    d = facts.engine.dialect
    there = told(st, facts)
    latest = facts.latest(
        st,
        _LINES,
        (
            "line_id", "invoice_id", "customer_id", "subscription_id", "item_id", "plan_id", "kind", "quantity",
            "amount_minor", "discount_minor", "tax_minor", "tax_inclusive", "currency", "service_start", "service_end",
            "is_proration",
        ),
    )  # fmt: skip
    bill, join = f"CAST(NULL AS {d.text}) AS status, CAST(NULL AS BIGINT) AS given_up_at, 0 AS renews", ""
    if facts.has(_BILLS) and not facts.lacks(_BILLS, "status"):
        bills = facts.latest(st, _BILLS, ("invoice_id", "status", "billing_reason"))
        given_up = st.step(
            "given_up",
            f"SELECT invoice_id, min({d.micros('recorded_at')}) AS given_up_at FROM {facts.source(st, _BILLS)} "
            "WHERE status IN ('void', 'uncollectible') AND NOT retracted AND NOT recorded_assumed GROUP BY invoice_id",
            says="when an invoice was known to be given up",
        )
        of_bills = st.step(
            "told_by_bills",
            "SELECT b.invoice_id, CASE WHEN b.status IN ('void', 'uncollectible', 'draft') THEN b.status END AS status, "
            "g.given_up_at, CASE WHEN b.billing_reason = 'subscription_cycle' THEN 1 ELSE 0 END AS renews "
            f"FROM {bills} AS b LEFT JOIN {given_up} AS g ON g.invoice_id = b.invoice_id "
            "WHERE b.status IN ('void', 'uncollectible', 'draft') OR b.billing_reason = 'subscription_cycle'",
            keep=True,
        )
        bill, join = (
            "b.status, b.given_up_at, coalesce(b.renews, 0) AS renews",
            f" LEFT JOIN {of_bills} AS b ON b.invoice_id = l.invoice_id",
        )
    served = st.step(
        "served",
        "SELECT l.invoice_id, l.customer_id, coalesce(l.subscription_id, l.customer_id) AS subscription_id, l.item_id AS "
        "told_item, l.plan_id, l.quantity, l.currency, l.service_start AS s, l.service_end AS e, l.amount_minor AS "
        "amount, coalesce(l.discount_minor, 0) AS discount, coalesce(l.tax_minor, 0) AS tax, "
        "coalesce(l.tax_inclusive, FALSE) AS tax_inclusive, coalesce(l.kind, 'recurring') AS kind, "
        f"coalesce(l.is_proration, FALSE) AS prorated, {bill} FROM {latest} AS l{join} "
        f"LEFT JOIN {there} AS t ON t.subscription_id = l.subscription_id "
        f"LEFT JOIN (SELECT DISTINCT customer_id FROM {there}) AS c ON c.customer_id = l.customer_id "
        f"AND l.subscription_id IS NULL WHERE l.service_end > l.service_start AND l.service_start < {facts.horizon} "
        "AND t.subscription_id IS NULL AND c.customer_id IS NULL AND coalesce(l.kind, 'recurring') <> 'one_time'",
        keep=True,
        says="lines with a time of service, of subscriptions that no state tells of",
    )
    several = st.step(
        "several_items",
        f"SELECT DISTINCT subscription_id FROM (SELECT subscription_id, s FROM {served} WHERE told_item IS NULL "
        "AND kind = 'recurring' AND NOT prorated GROUP BY subscription_id, s "
        "HAVING min(coalesce(plan_id, '')) <> max(coalesce(plan_id, ''))) AS p",
        says="subscriptions of several plans at once, whose lines name no items",
    )
    by_plan = "r.subscription_id || '.' || coalesce(r.plan_id, '')"
    days = d.div(f"r.e - r.s + {DAY_US // 2}", str(DAY_US))
    return st.step(
        "rebuild_lines",
        f"SELECT r.*, coalesce(r.told_item, CASE WHEN p.subscription_id IS NULL THEN r.subscription_id ELSE {by_plan} END) "
        f"AS item_id, {days} AS days FROM {served} AS r LEFT JOIN {several} AS p ON p.subscription_id = r.subscription_id",
        keep=True,
    )


def _interval(place: int, other: str) -> str:
    """What a service of `days` days is billed by (place 2: the unit, 3: how many of it), else `other`."""
    cases = " ".join(
        f"WHEN days BETWEEN {row[0]} AND {row[1]} THEN {chr(39) + str(row[2]) + chr(39) if place == 2 else row[3]}"
        for row in INTERVALS
    )
    return f"CASE {cases} ELSE {other} END"


# ----------------------------------------------------------------------------------------------------- whole periods


def _whole(st: Statement, facts: Facts, lines: str) -> None:
    """The step `whole_lines`: one row per item and billing period, with its price and how its discount parts."""
    totals = ", ".join(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in ("amount", "discount", "tax"))
    bills = st.step(
        "item_bills",
        f"SELECT customer_id, subscription_id, item_id, invoice_id, s, e, days, currency, tax_inclusive, "
        f"max(plan_id) AS plan_id, sum(quantity) AS quantity, {totals}, max(status) AS status, "
        f"max(given_up_at) AS given_up_at, max(renews) AS renews FROM {lines} WHERE kind = 'recurring' AND NOT prorated AND amount >= 0 "
        "GROUP BY customer_id, subscription_id, item_id, invoice_id, s, e, days, currency, tax_inclusive",
        says="what each invoice says of an item; tiers are several lines of one",
    )
    item = "PARTITION BY subscription_id, item_id"
    once = st.step(
        "item_periods",
        f"SELECT * FROM (SELECT *, row_number() OVER ({item}, s ORDER BY CASE WHEN status IN ('void', 'draft') THEN 1 "
        f"ELSE 0 END, e DESC, invoice_id) AS place FROM {bills}) AS b WHERE place = 1",
        says="an invoice that replaces a voided one counts in its place",
    )
    rate = "CASE WHEN amount > 0 THEN CAST(discount AS DOUBLE) / CAST(amount AS DOUBLE) ELSE 0e0 END"
    rated = st.step(
        "rated_periods",
        f"SELECT *, {rate} AS rate, {_interval(2, 'NULL')} AS unit, {_interval(3, 'NULL')} AS units FROM {once}",
    )
    ahead = "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING"
    looked = st.step(
        "looked_ahead",
        f"SELECT *, min(rate) OVER ({item} ORDER BY s {ahead}) AS least_ahead, lead(rate) OVER ({item} ORDER BY s) AS "
        f"next_rate, min(rate) OVER ({item} ORDER BY s DESC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS "
        f"least, max_by(rate, s) OVER ({item}) AS last_rate, lead(s) OVER ({item} ORDER BY s) AS next_s, "
        f"lead(plan_id) OVER ({item} ORDER BY s) AS next_plan, lead(quantity) OVER ({item} ORDER BY s) AS next_quantity, "
        f"lead(unit) OVER ({item} ORDER BY s) AS next_unit, lead(units) OVER ({item} ORDER BY s) AS next_units, "
        f"lead(amount) OVER ({item} ORDER BY s) AS next_amount, lead(discount) OVER ({item} ORDER BY s) AS next_discount, "
        f"lead(tax) OVER ({item} ORDER BY s) AS next_tax, lag(s) OVER ({item} ORDER BY s) AS former_s FROM {rated}",
        keep=True,
    )
    ended = st.step(
        "discounts_that_end",
        f"SELECT DISTINCT CAST(round(100 * (rate - next_rate)) AS BIGINT) AS percent FROM {looked} "
        "WHERE next_rate < rate - 0.005e0",
        says="sizes of discounts that were seen to end",
    )
    running = st.step(
        "discounts_still_running",
        f"SELECT subscription_id, item_id FROM {looked} WHERE least_ahead = last_rate AND last_rate > 0.005e0 "
        f"AND CAST(round(100 * last_rate) AS BIGINT) IN (SELECT percent FROM {ended}) "
        f"GROUP BY subscription_id, item_id HAVING max(e) - min(s) <= {_YEAR}",
        says="items at whose end a discount of such a size still runs, for a year at most",
    )
    forever = "CASE WHEN r.item_id IS NOT NULL AND l.least_ahead = l.last_rate THEN 0e0 ELSE l.least_ahead END"
    split = st.step(
        "split_discounts",
        f"SELECT l.*, least(l.discount, CAST(round(l.amount * ({forever})) AS BIGINT)) AS found FROM {looked} AS l "
        f"LEFT JOIN {running} AS r ON r.subscription_id = l.subscription_id AND r.item_id = l.item_id",
    )
    # Another amount's share may be off by the rounding of one unit; then it is the discount itself.
    own = "CASE WHEN discount - found <= 1 THEN discount ELSE found END"
    parted = st.step("parted_discounts", f"SELECT *, {own} AS forever, discount - {own} AS limited FROM {split}")
    # The tax is that of what was invoiced. Without the limited discount it is more, at the same rate.
    d = facts.engine.dialect
    taxed = "amount - discount - CASE WHEN tax_inclusive THEN tax ELSE 0 END"
    points = f"CAST(round(10000 * CAST(tax AS DOUBLE) / CAST({taxed} AS DOUBLE)) AS BIGINT)"
    over = "10000 + CASE WHEN tax_inclusive THEN points ELSE 0 END"
    more = d.div(f"(amount - forever) * points + {d.div(over, '2')}", over)
    pointed = st.step(
        "tax_points",
        f"SELECT *, CASE WHEN limited > 0 AND tax > 0 AND {taxed} > 0 THEN {points} END AS points FROM {parted}",
    )
    st.step(
        "whole_lines",
        "SELECT customer_id, subscription_id, item_id, s, e, days, currency, tax_inclusive, plan_id, quantity, amount, "
        f"CASE WHEN points IS NULL THEN tax ELSE {more} END AS tax, forever, limited, status, given_up_at, renews, unit, "
        "units, former_s, next_s, next_plan, next_quantity, next_unit, next_units, next_amount, next_discount, next_tax "
        f"FROM {pointed}",
        keep=True,
        says="each billing period of an item: what it costs, and how its discount parts",
    )


def _changes(st: Statement, facts: Facts, lines: str) -> None:
    """The step `told_prices`: from when on an item costs what, by its periods and by changes in mid-cycle."""
    d = facts.engine.dialect
    charges = st.step(
        "prorations",
        "SELECT customer_id, subscription_id, item_id, s, max(e) AS e, currency, tax_inclusive, "
        "max(CASE WHEN amount > 0 THEN plan_id END) AS plan_id, "
        "sum(CASE WHEN amount > 0 THEN quantity END) AS quantity, "
        "CAST(coalesce(sum(CASE WHEN amount > 0 THEN amount END), 0) AS BIGINT) AS amount, "
        "CAST(coalesce(sum(CASE WHEN amount > 0 THEN discount END), 0) AS BIGINT) AS discount, "
        "CAST(coalesce(sum(CASE WHEN amount > 0 THEN tax END), 0) AS BIGINT) AS tax, "
        "max(CASE WHEN amount < 0 THEN plan_id END) AS old_plan, "
        "CAST(coalesce(-sum(CASE WHEN amount < 0 THEN amount END), 0) AS BIGINT) AS old_amount, "
        "CAST(coalesce(-sum(CASE WHEN amount < 0 THEN discount END), 0) AS BIGINT) AS old_discount, "
        "CAST(coalesce(-sum(CASE WHEN amount < 0 THEN tax END), 0) AS BIGINT) AS old_tax "
        f"FROM {lines} WHERE prorated AND kind IN ('recurring', 'credit') "
        "GROUP BY customer_id, subscription_id, item_id, s, currency, tax_inclusive",
        keep=True,
        says="changes in mid-cycle: charges, and credits alone (amount 0)",
    )
    # Who begins with a renewal was there for the period before it, at the price that the first change in it gave back,
    # or, where nothing changed as far as anybody knows, at the renewal's.
    began = "w.s - (w.e - w.s)"
    first = st.step(
        "first_changes",
        f"SELECT w.subscription_id, w.item_id, min(p.s) AS s FROM whole_lines AS w JOIN {charges} AS p "
        f"ON p.subscription_id = w.subscription_id AND p.item_id = w.item_id AND p.s >= {began} AND p.s < w.s "
        "WHERE w.renews = 1 AND w.former_s IS NULL GROUP BY w.subscription_id, w.item_id",
    )

    def given_back(old: str, name: str) -> str:
        whole = f"CAST(p.{old} AS DOUBLE) * CAST(w.e - w.s AS DOUBLE) / CAST(p.e - p.s AS DOUBLE)"
        return (
            f"CASE WHEN p.old_amount > 0 AND p.e > p.s THEN CAST(round({whole}) AS BIGINT) ELSE w.{name} END AS {name}"
        )

    shape = (
        "customer_id, subscription_id, item_id, s, e, unit, units, plan_id, quantity, amount, tax, tax_inclusive, forever, "
        "limited, currency"
    )
    former = st.step(
        "former_periods",
        f"SELECT w.customer_id, w.subscription_id, w.item_id, {began} AS s, w.s AS e, w.unit, w.units, "
        "CASE WHEN p.old_amount > 0 THEN p.old_plan ELSE w.plan_id END AS plan_id, "
        "CASE WHEN p.old_amount > 0 THEN NULL ELSE w.quantity END AS quantity, "
        f"{given_back('old_amount', 'amount')}, {given_back('old_tax', 'tax')}, w.tax_inclusive, "
        f"{given_back('old_discount', 'forever')}, CASE WHEN p.old_amount > 0 THEN 0 ELSE w.limited END AS limited, "
        f"w.currency FROM whole_lines AS w LEFT JOIN {first} AS f ON f.subscription_id = w.subscription_id "
        f"AND f.item_id = w.item_id LEFT JOIN {charges} AS p ON p.subscription_id = w.subscription_id "
        "AND p.item_id = w.item_id AND p.s = f.s WHERE w.renews = 1 AND w.former_s IS NULL AND w.unit IS NOT NULL",
        keep=True,
        says="the period before a renewal that is the first that is known",
    )
    covers = st.step(
        "known_periods", f"SELECT {shape} FROM whole_lines UNION ALL SELECT {shape} FROM {former}", keep=True
    )
    near = st.step(
        "periods_around",
        "SELECT p.subscription_id, p.item_id, p.s, max(CASE WHEN w.s <= p.s THEN w.s END) AS cover_s, "
        f"min(CASE WHEN w.s > p.s THEN w.s END) AS next_s FROM {charges} AS p JOIN {covers} AS w "
        "ON w.subscription_id = p.subscription_id AND w.item_id = p.item_id GROUP BY p.subscription_id, p.item_id, p.s",
    )
    follows = f"n.s IS NOT NULL AND n.s <= p.e + {_GRACE}"
    made = f"(c.unit IS NOT NULL AND p.e > p.s AND p.e <= c.e + {_GRACE})"
    # The next whole line may have another price again. It is the change's where it agrees with what the proration
    # makes, up to the rounding of one unit and of a day.
    off = "abs(CAST(n.amount AS DOUBLE) * CAST(p.e - p.s AS DOUBLE) / CAST(c.e - c.s AS DOUBLE) - CAST(p.amount AS DOUBLE))"
    agrees = f"(NOT {made} OR {off} <= 1 + CAST(n.amount AS DOUBLE) * {DAY_US} / CAST(c.e - c.s AS DOUBLE))"
    # A credit alone has no plan of its own: what follows is what it left.
    same = (
        f"({follows} AND (p.amount = 0 OR (n.plan_id IS NOT DISTINCT FROM p.plan_id "
        f"AND coalesce(n.quantity, 0) = coalesce(p.quantity, coalesce(n.quantity, 0)) AND {agrees})))"
    )

    def whole(name: str) -> str:
        scaled = (
            f"CAST(round(CAST(p.{name} AS DOUBLE) * CAST(c.e - c.s AS DOUBLE) / CAST(p.e - p.s AS DOUBLE)) AS BIGINT)"
        )
        return f"CASE WHEN {made} THEN {scaled} ELSE p.{name} END"

    days = d.div(f"p.e - p.s + {DAY_US // 2}", str(DAY_US))
    in_cycle = (
        "SELECT p.customer_id, p.subscription_id, p.item_id, p.s AS ts, p.e, 2 AS rank, "
        f"CASE WHEN p.amount = 0 AND NOT ({follows}) THEN 'canceled' ELSE 'active' END AS status, "
        f"CASE WHEN {same} THEN n.plan_id ELSE coalesce(p.plan_id, c.plan_id) END AS plan_id, "
        f"CASE WHEN {same} THEN n.unit WHEN {made} THEN c.unit ELSE 'day' END AS unit, "
        f"CASE WHEN {same} THEN n.units WHEN {made} THEN c.units ELSE greatest({days}, 1) END AS units, "
        f"CASE WHEN {same} THEN n.quantity ELSE coalesce(p.quantity, c.quantity) END AS quantity, "
        f"CASE WHEN {same} THEN n.amount ELSE {whole('amount')} END AS amount, "
        f"CASE WHEN {same} THEN n.tax ELSE {whole('tax')} END AS tax, p.tax_inclusive, "
        f"CASE WHEN {same} THEN n.forever ELSE {whole('discount')} END AS forever, "
        f"CASE WHEN {same} THEN n.limited ELSE 0 END AS limited, p.currency, "
        f"CAST(NULL AS {d.text}) AS bill_status, CAST(NULL AS BIGINT) AS given_up_at "
        f"FROM {charges} AS p LEFT JOIN {near} AS a ON a.subscription_id = p.subscription_id AND a.item_id = p.item_id "
        f"AND a.s = p.s LEFT JOIN {covers} AS c ON c.subscription_id = p.subscription_id AND c.item_id = p.item_id "
        "AND c.s = a.cover_s LEFT JOIN whole_lines AS n ON n.subscription_id = p.subscription_id "
        "AND n.item_id = p.item_id AND n.s = a.next_s"
    )
    # A first or last period that is no whole one costs what the next whole one of the same plan does.
    like_next = (
        f"(unit IS NULL AND next_unit IS NOT NULL AND next_s <= e + {_GRACE} AND next_plan IS NOT DISTINCT FROM plan_id "
        "AND coalesce(next_quantity, 0) = coalesce(quantity, 0))"
    )
    whole_periods = (
        "SELECT customer_id, subscription_id, item_id, s AS ts, e, 1 AS rank, 'active' AS status, plan_id, "
        f"CASE WHEN {like_next} THEN next_unit ELSE coalesce(unit, 'day') END AS unit, "
        f"CASE WHEN {like_next} THEN next_units ELSE coalesce(units, greatest(days, 1)) END AS units, quantity, "
        f"CASE WHEN {like_next} THEN next_amount ELSE amount END AS amount, "
        f"CASE WHEN {like_next} THEN next_tax ELSE tax END AS tax, tax_inclusive, "
        f"CASE WHEN {like_next} THEN next_discount ELSE forever END AS forever, "
        f"CASE WHEN {like_next} THEN 0 ELSE limited END AS limited, currency, status AS bill_status, given_up_at "
        "FROM whole_lines"
    )
    before = (
        "SELECT customer_id, subscription_id, item_id, s AS ts, e, 0 AS rank, 'active' AS status, plan_id, unit, units, "
        "quantity, amount, tax, tax_inclusive, forever, limited, currency, "
        f"CAST(NULL AS {d.text}) AS bill_status, CAST(NULL AS BIGINT) AS given_up_at FROM {former}"
    )
    st.step(
        "told_prices",
        f"{whole_periods}\nUNION ALL\n{before}\nUNION ALL\n{in_cycle}",
        keep=True,
        says="from when on an item costs what",
    )


# --------------------------------------------------------------------------------------------------------------- ends


def _ends(st: Statement, facts: Facts) -> None:
    """The step `item_ends` (…, ts, actor): where no further period follows, as far as the export shows."""
    d = facts.engine.dialect
    parts = [
        f"SELECT max(CASE WHEN kind = 'usage' THEN e ELSE s END) AS ts FROM rebuild_lines WHERE s < {facts.horizon} "
        f"AND (kind <> 'usage' OR e <= {facts.horizon})"
    ]
    if facts.has(_BILLS):
        issued = d.micros("issued_at")
        parts.append(f"SELECT max({issued}) AS ts FROM {facts.source(st, _BILLS)} WHERE {issued} < {facts.horizon}")
    st.step(
        "export_end",
        f"SELECT max(ts) AS reaches FROM ({' UNION ALL '.join(parts)}) AS x",
        keep=True,
        says="up to when the invoices reach",
    )
    item = "PARTITION BY subscription_id, item_id ORDER BY ts, rank"
    ordered = st.step(
        "prices_in_order",
        f"SELECT *, lead(ts) OVER ({item}) AS next_at, max(e) OVER ({item} ROWS UNBOUNDED PRECEDING) AS served_until "
        "FROM told_prices",
    )
    lost = "p.bill_status IN ('uncollectible', 'void') AND p.given_up_at > p.ts AND p.given_up_at < p.served_until"
    # A voided invoice may be replaced; one that is not within a month was the last.
    final = f"{lost} AND (p.bill_status = 'uncollectible' OR p.given_up_at + {31 * DAY_US} <= x.reaches)"
    soon = f"p.served_until + {DAY_US} <= x.reaches"
    st.step(
        "item_ends",
        "SELECT p.customer_id, p.subscription_id, p.item_id, p.plan_id, p.unit, p.units, p.quantity, p.amount, p.tax, "
        "p.tax_inclusive, p.forever, p.limited, p.currency, p.ts AS began, p.served_until, "
        f"CASE WHEN {lost} AND (p.next_at IS NULL OR p.next_at > p.given_up_at) THEN p.given_up_at ELSE p.served_until END "
        f"AS ts, CASE WHEN {lost} AND p.bill_status = 'uncollectible' THEN 'dunning' END AS actor "
        f"FROM {ordered} AS p CROSS JOIN export_end AS x WHERE p.status <> 'canceled' AND (p.next_at > p.served_until + "
        f"{_GRACE} OR (p.next_at IS NULL AND ({soon} OR ({final}))))",
        keep=True,
        says="where no further period follows",
    )


# --------------------------------------------------------------------------------------------------------- commitments


def _commitments(st: Statement, facts: Facts, lines: str) -> None:
    """The step `committed_spans` (…, ts, until): minimum commitments, while the subscription lives."""
    net = "amount - discount - CASE WHEN tax_inclusive THEN tax ELSE 0 END"
    d = facts.engine.dialect
    used = st.step(
        "usage_charged",
        f"SELECT customer_id, subscription_id, item_id, max(plan_id) AS plan_id, currency, s, max(e) AS e, "
        f"CAST(sum({net}) AS BIGINT) AS net FROM {lines} WHERE kind = 'usage' "
        "GROUP BY customer_id, subscription_id, item_id, currency, s",
    )
    least = st.step(
        "least_charged",
        f"SELECT *, min(net) OVER (PARTITION BY subscription_id, item_id, currency) AS floor FROM {used}",
    )
    floors = st.step(
        "usage_floors",
        "SELECT customer_id, subscription_id, item_id, max(plan_id) AS plan_id, currency, floor, min(s) AS first_s, "
        f"max(e) AS last_e, max(e - s) AS longest, {d.div(f'max(e - s) + {DAY_US // 2}', str(DAY_US))} AS days "
        f"FROM {least} WHERE floor > 0 GROUP BY customer_id, subscription_id, item_id, currency, floor "
        "HAVING sum(CASE WHEN net = floor THEN 1 ELSE 0 END) >= 2",
        keep=True,
        says="what is charged for usage at least, more than once",
    )
    # The subscription lives where any of its items does.
    item = "PARTITION BY subscription_id ORDER BY ts, until"
    lived = st.step(
        "item_stretches",
        "SELECT p.subscription_id, p.ts, coalesce(min(z.ts), 9000000000000000) AS until FROM told_prices AS p "
        f"JOIN (SELECT DISTINCT subscription_id FROM {floors}) AS f ON f.subscription_id = p.subscription_id "
        "LEFT JOIN item_ends AS z ON z.subscription_id = p.subscription_id AND z.item_id = p.item_id AND z.ts > p.ts "
        "WHERE p.status <> 'canceled' GROUP BY p.subscription_id, p.item_id, p.ts",
    )
    before = st.step(
        "stretches_in_order",
        f"SELECT *, max(until) OVER ({item} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM {lived}",
    )
    numbered = st.step(
        "numbered_stretches",
        f"SELECT *, sum(CASE WHEN before IS NULL OR ts > before THEN 1 ELSE 0 END) OVER ({item} ROWS UNBOUNDED "
        f"PRECEDING) AS run FROM {before}",
    )
    st.step(
        "subscription_runs",
        f"SELECT subscription_id, run, min(ts) AS ts, max(until) AS until FROM {numbered} GROUP BY subscription_id, run",
        keep=True,
    )
    # An item without usage for longer than its period has ended before its subscription.
    own_end = (
        f"CASE WHEN f.last_e + f.longest + {_GRACE} <= least(x.reaches, coalesce(r.until, x.reaches)) THEN f.last_e "
        "ELSE 9000000000000000 END"
    )
    st.step(
        "committed_spans",
        f"SELECT * FROM (SELECT f.customer_id, f.subscription_id, f.item_id, f.plan_id, f.currency, f.floor, "
        f"{_interval(2, chr(39) + 'day' + chr(39))} AS unit, {_interval(3, 'greatest(days, 1)')} AS units, "
        "greatest(f.first_s, coalesce(r.ts, f.first_s)) AS ts, "
        f"least(coalesce(r.until, 9000000000000000), {own_end}) AS until FROM {floors} AS f CROSS JOIN export_end AS x "
        "LEFT JOIN subscription_runs AS r ON r.subscription_id = f.subscription_id) AS c WHERE until > ts",
        keep=True,
        says="minimum commitments, while the subscription lives",
    )


# -------------------------------------------------------------------------------------------------------------- states


def _states_of(st: Statement, facts: Facts) -> str:
    """The step `rebuilt_states`: one row where an item becomes another than before."""
    text = facts.engine.dialect.text
    named = (
        "customer_id, subscription_id, item_id, ts AS effective_at, {status} AS status, plan_id, unit, units, quantity, "
        "amount, tax, tax_inclusive, forever, limited, CAST(NULL AS BIGINT) AS least, currency, FALSE AS metered, "
        "{period}, {asked} AS asked, {actor} AS actor, {rank} AS rank"
    )
    nobody = f"CAST(NULL AS {text})"
    prices = named.format(
        status="status",
        period="ts AS period_start, e AS period_end",
        asked="CAST(NULL AS BIGINT)",
        actor=nobody,
        rank="rank",
    )
    ends = named.format(
        status="'canceled'",
        period="began AS period_start, served_until AS period_end",
        asked="CASE WHEN actor IS NOT NULL THEN ts END",
        actor="actor",
        rank="3",
    )

    def commitment(at: str, status: str, rank: int) -> str:
        return (
            f"SELECT customer_id, subscription_id, item_id, {at} AS effective_at, '{status}' AS status, plan_id, unit, "
            "units, CAST(NULL AS DOUBLE) AS quantity, CAST(0 AS BIGINT) AS amount, CAST(NULL AS BIGINT) AS tax, "
            "FALSE AS tax_inclusive, CAST(0 AS BIGINT) AS forever, CAST(0 AS BIGINT) AS limited, floor AS least, "
            "currency, TRUE AS metered, CAST(NULL AS BIGINT) AS period_start, CAST(NULL AS BIGINT) AS period_end, "
            f"CAST(NULL AS BIGINT) AS asked, {nobody} AS actor, {rank} AS rank FROM committed_spans"
        )

    every = st.step(
        "every_state",
        f"SELECT {prices} FROM told_prices\nUNION ALL\nSELECT {ends} FROM item_ends\nUNION ALL\n"
        f"{commitment('ts', 'active', 1)}\nUNION ALL\n{commitment('until', 'canceled', 3)} "
        f"WHERE until < 9000000000000000",
    )
    item = "PARTITION BY subscription_id, item_id"
    once = st.step(
        "one_state_each",
        f"SELECT * FROM (SELECT *, row_number() OVER ({item}, effective_at ORDER BY rank, currency) AS place "
        f"FROM {every} WHERE effective_at < {facts.horizon}) AS s WHERE place = 1",
    )
    same = " || '|' || ".join(
        f"coalesce(CAST({column} AS {text}), '')"
        for column in (
            *("status", "plan_id", "unit", "units", "quantity", "amount", "tax", "tax_inclusive", "forever", "limited"),
            *("least", "currency"),
        )
    )
    what = f"CASE WHEN status = 'canceled' THEN 'canceled' ELSE {same} END"
    seen = st.step(
        "states_in_order",
        f"SELECT *, {what} AS what, lag({what}) OVER ({item} ORDER BY effective_at) AS was FROM {once}",
    )
    columns = {
        "customer_id": "customer_id",
        "status": "status",
        "plan_id": "plan_id",
        "interval": "unit",
        "interval_count": "units",
        "quantity": "quantity",
        "amount_minor": "amount",
        "tax_minor": "tax",
        "tax_inclusive": "tax_inclusive",
        "discount_forever_minor": "forever",
        "discount_limited_minor": "limited",
        "minimum_commit_minor": "least",
        "currency": "currency",
        "is_metered": "metered",
        "period_start": "period_start",
        "period_end": "period_end",
        "cancel_requested_at": "asked",
        "cancel_actor": "actor",
    }
    shown = ", ".join(
        f"CAST({columns[name]} AS {text if kind == 'text' else kind}) AS {name}" for name, kind in CONTENT.items()
    )
    return st.step(
        "rebuilt_states",
        f"SELECT subscription_id, item_id, CAST(effective_at AS BIGINT) AS effective_at, {shown} FROM {seen} "
        "WHERE was IS NULL AND status <> 'canceled' OR was <> what",
        keep=True,
        says="where an item becomes another than before",
    )
