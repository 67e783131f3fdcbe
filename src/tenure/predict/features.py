"""What was known of each customer on a day? Features as of a date, in one statement, for those who may leave.

    told = features(facts, as_of, definition)
    told.table        Arrow: customer_id and one column per feature, one row per live customer who is not leaving already
    told.leaving      Arrow: customer_id, ends_at and the features: who has said so already, and is not scored
    told.features     what the columns mean (see features_catalogue); told.missing: what could not be told, and why

Nothing counts that happened, or was recorded, at or after `as_of`: rows are read as they were known then, and what a
row tells of later is hidden. Each table is read once; nothing is done customer by customer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tenure.errors import BadInput
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, day_number
from tenure.measure import states
from tenure.measure.cohorts import nothing_known
from tenure.measure.definition import Definition
from tenure.measure.item_days import local_day, planned_day
from tenure.predict.features_catalogue import (
    FEATURES,
    NEVER,
    STATIC_COLUMNS,
    SUBSCRIPTIONS,
    Feature,
    of_column,
    of_trait,
)

if TYPE_CHECKING:
    import pyarrow as pa

LOOK_BACK_DAYS = 180  # of usage and satisfaction
MOST_TRAITS = 100
_WANTED = (
    "customer_id", "subscription_id", "item_id", "status", "plan_id", "interval", "interval_count", "quantity",
    "amount_minor", "tax_minor", "tax_inclusive", "discount_forever_minor", "discount_limited_minor",
    "discount_ends_at", "minimum_commit_minor", "currency", "is_metered", "period_end", "term_ends_at", "auto_renews",
    "trial_ends_at", "collection_paused", "cancel_at", "cancel_requested_at",
)  # fmt: skip
_DEAD = ", ".join(f"'{status}'" for status in states.DEAD)
INTERVAL_DAYS = (
    "greatest(coalesce(interval_count, 1), 1) * CASE interval WHEN 'day' THEN 1 WHEN 'week' THEN 7 WHEN 'quarter' THEN 91 "
    "WHEN 'year' THEN 365 ELSE 30 END"
)
_ITEM = "PARTITION BY subscription_id, item_id"


@dataclass(frozen=True, eq=False)
class Told:
    """The features of one day; see the module. missing: feature or trait -> why it is none."""

    as_of: datetime
    features: tuple[Feature, ...]
    table: pa.Table
    leaving: pa.Table
    missing: dict[str, str]
    statement: str


def known_as_of(facts: Facts, as_of: datetime) -> Facts:
    """The same look at the lake, with only what was known before an instant."""
    if as_of.tzinfo is None:
        raise BadInput(f"{as_of} has no time zone; give an aware datetime")
    as_of = as_of.astimezone(UTC)
    if as_of > facts.known_before:
        raise BadInput(
            f"{as_of:%Y-%m-%d} lies after what is known ({facts.known_before:%Y-%m-%d}); ask for an earlier day"
        )
    return replace(facts, known_before=as_of, memory={})


def features(
    facts: Facts,
    as_of: datetime,
    definition: Definition,
    *,
    static: Collection[str] = (),
    refused: Mapping[str, str] | None = None,
) -> Told:
    """What was known of every live customer just before `as_of`; see the module.

    A customer is live who ever paid, or uses what is metered, with an item that has neither ended nor is on trial: also
    a paused one, and one that is free by now (as the metric `customers` counts). static: columns of customers, which have
    no date, that are declared to have always held; traits are declared when loaded (`tenure load --static`). refused:
    features to leave out, with the reason, as `features_refused.refused` answers.
    """
    facts = known_as_of(facts, as_of)
    missing: dict[str, str] = {}
    there = [feature for feature in FEATURES if _is_told(facts, feature, missing)]
    if not any(_known(facts, table) for table in SUBSCRIPTIONS):
        raise nothing_known(facts)
    st = facts.statement()
    base = _subscriptions(st, facts, replace(definition, source="states", churn_at="request", follows="customer"))
    joins, used = "", {table for feature in there for table in feature.needs}
    if "payments" in used:
        joins += _joined("p", _payments(st, facts))
    if "usage" in used:
        days, breadth, since = _usage(st, facts)
        joins += _joined("u", days) + _joined("f", breadth) + f" CROSS JOIN {since} AS w"
    if "tickets" in used:
        joins += _joined("t", _tickets(st, facts))
    if "answers" in used:
        joins += _joined("a", _answers(st, facts))
    if "change_exposures" in used:
        joins += _joined("c", _changes(st, facts, "changes" in used))
    told = [(feature, _written(feature.sql, facts)) for feature in there]
    traits, joined = _traits(st, facts, missing)
    columns, joined_too = _columns(st, facts, static, missing)
    told = [each for each in (*told, *traits, *columns) if each[0].name not in (refused or {})]
    missing |= refused or {}
    d = facts.engine.dialect
    select = "".join(
        f",\n       CAST({sql} AS {d.text if feature.is_text else 'DOUBLE'}) AS x{i}"
        for i, (feature, sql) in enumerate(told)
    )
    sql = st.render(
        f"SELECT b.customer_id, b.is_leaving, b.ends_us{select}\nFROM {base} AS b{joins}{joined}{joined_too}\nORDER BY 1"
    )
    return _split(facts, facts.engine.table(sql), [feature for feature, _ in told], missing, sql)


def _split(facts: Facts, found: pa.Table, told: Sequence[Feature], missing: dict[str, str], sql: str) -> Told:
    """Who is scored and who is leaving; columns that say nothing of anybody taken out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    gone = pc.equal(found.column("is_leaving"), 1)
    leaving = found.filter(gone)
    ends = leaving.column("ends_us").cast(pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    here = found.filter(pc.invert(gone))
    kept, columns = [], {"customer_id": here.column("customer_id")}
    for i, feature in enumerate(told):
        column = here.column(f"x{i}")
        if here.num_rows and column.null_count == here.num_rows:
            missing[feature.name] = "nothing was known of it for any customer"
            continue
        kept.append(feature)
        columns[feature.name] = column
    table = pa.table(
        {
            "customer_id": leaving.column("customer_id"),
            "ends_at": ends,
            **{feature.name: leaving.column(f"x{i}") for i, feature in enumerate(told) if feature in kept},
        }
    )
    return Told(facts.known_before, tuple(kept), pa.table(columns), table, missing, sql)


def _known(facts: Facts, table: str) -> bool:
    """Whether any row of a table was known then, going by the files' statistics."""
    first = facts.snapshot(table).minimum.get("recorded_at")
    return facts.has(table) and (not isinstance(first, datetime) or first < facts.known_before)


def _is_told(facts: Facts, feature: Feature, missing: dict[str, str]) -> bool:
    for need in feature.needs:
        if not any(_known(facts, table) for table in (SUBSCRIPTIONS if need == "subscriptions" else (need,))):
            missing[feature.name] = f"nothing of {need} was known then (`tenure load {need} FILE`)"
            return False
    return True


def _joined(alias: str, step: str) -> str:
    return f"\nLEFT JOIN {step} AS {alias} ON {alias}.customer_id = b.customer_id"


def _today(facts: Facts) -> int:
    """The day that begins at (or holds) the cut-off, in the company's zone."""
    return day_number(facts.known_before.astimezone(facts.timezone).date())


def _back(facts: Facts, days: int) -> int:
    return facts.horizon - days * DAY_US


def _written(sql: str, facts: Facts) -> str:
    """An expression of the catalogue, as SQL."""
    sql = sql.replace("{today}", str(_today(facts))).replace("{told_since}", "w.told_since")
    sql = re.sub(r"\{back\((\d+)\)\}", lambda found: str(_back(facts, int(found[1]))), sql)
    return re.sub(r"\{days\(([^{}]*)\)\}", lambda found: _days(re.sub(r"\bat\b", str(facts.horizon), found[1])), sql)


def _days(us: str) -> str:
    return f"floor(CAST({us} AS DOUBLE) / {DAY_US})"


def _rows(st: Statement, facts: Facts, table: str, columns: Sequence[str], where: str) -> str:
    """The rows of a table as known then, of the customers that count, that had happened."""
    columns = tuple(dict.fromkeys(("customer_id", *columns)))
    known = facts.counted(st, facts.latest(st, table, columns), columns, f"counted_{table}")
    return st.step(f"told_{table}", f"SELECT {', '.join(columns)} FROM {known} WHERE {where}")


def _subscriptions(st: Statement, facts: Facts, definition: Definition) -> str:
    """The step of live customers: one row each, with what their items are, were, and will be."""
    d, at = facts.engine.dialect, facts.horizon
    every = states.all_states(st, facts, _WANTED, definition)
    rate = states.monthly(facts, definition, states.base_price(facts, definition))
    lives = f"status NOT IN ({_DEAD}) AND NOT (status = 'trialing' AND trial_ends_at IS NULL)"
    begins = "CASE WHEN status = 'trialing' THEN greatest(trial_ends_at, ts) ELSE ts END"
    ends = "CASE WHEN status = 'non_renewing' THEN coalesce(cancel_at, term_ends_at, period_end) ELSE cancel_at END"
    item = st.step(
        "item_states",
        f"SELECT {', '.join(_WANTED)}, ts, {rate} AS mrr, ({lives}) AS lives, {begins} AS begins_us, {ends} AS ends_us, "
        f"lead(ts) OVER item AS next_ts, min(ts) OVER ({_ITEM}) AS began_us, lag(plan_id) OVER item AS was_plan, "
        f"lag({rate}) OVER item AS was_mrr, lag(greatest(coalesce(quantity, 1), 1)) OVER item AS was_quantity, "
        f"lag(currency) OVER item AS was_currency, greatest(coalesce(quantity, 1), 1) AS units "
        f"FROM {every} WHERE ts < {at} WINDOW item AS ({_ITEM} ORDER BY ts)",
        keep=True,
        says="every state of every item, beside the one before and the next",
    )
    priced = "(mrr > 0 OR coalesce(is_metered, FALSE))"

    def stands(moment: int) -> str:
        """What lives just before an instant, its trial over and its planned end not come."""
        return (
            f"lives AND ts < {moment} AND coalesce(next_ts >= {moment}, TRUE) AND begins_us < {moment} "
            f"AND coalesce(ends_us >= {moment}, TRUE)"
        )

    first = st.step(
        "first_payments",
        f"SELECT customer_id, min(begins_us) AS first_us FROM {item} WHERE lives AND {priced} AND begins_us < {at} "
        "AND coalesce(next_ts > begins_us, TRUE) AND coalesce(ends_us > begins_us, TRUE) GROUP BY customer_id",
    )
    rise = st.step(
        "price_rises",
        f"SELECT subscription_id, item_id, max(ts) AS rise_us FROM {item} WHERE lives AND was_mrr > 0 "
        "AND coalesce(was_plan, '') = coalesce(plan_id, '') AND was_currency = currency AND mrr * was_quantity > was_mrr * units "
        "GROUP BY subscription_id, item_id",
    )
    months = (
        "greatest(coalesce(interval_count, 1), 1) * CASE interval WHEN 'quarter' THEN 3 WHEN 'year' THEN 12 ELSE 1 END"
    )
    short = "greatest(coalesce(interval_count, 1), 1) * CASE interval WHEN 'week' THEN 7 ELSE 1 END"
    today = _today(facts)
    discount = f"CASE WHEN coalesce(discount_ends_at >= {at}, TRUE) THEN coalesce(discount_limited_minor, 0) ELSE 0 END"
    runs = f"discount_limited_minor > 0 AND discount_ends_at >= {at}"
    standing = st.step(
        "items_now",
        f"SELECT i.*, r.rise_us, {INTERVAL_DAYS} AS interval_days, {months} AS months, {short} AS days, "
        f"{local_day(facts, 'began_us')} AS began_day, "
        f"{planned_day(facts, f'CASE WHEN term_ends_at >= {at} THEN term_ends_at WHEN period_end >= {at} THEN period_end END')} "
        "AS renews_day, row_number() OVER (PARTITION BY customer_id ORDER BY mrr DESC, i.subscription_id, i.item_id) AS place "
        f"FROM {item} AS i LEFT JOIN {rise} AS r ON r.subscription_id = i.subscription_id AND r.item_id = i.item_id "
        f"WHERE {stands(at)}",
        says="each item as it stands",
    )
    by_days = f"began_day + ({d.div(f'{today} - began_day', 'days')} + 1) * days"
    passed = d.div(d.completed_months("began_day", str(today)), "months")
    by_months = d.months_after("began_day", f"(({passed} + 1) * months)")
    counted = f"CASE WHEN interval IN ('day', 'week') THEN {by_days} ELSE {by_months} END"
    now = st.step(
        "items_told",
        f"SELECT *, coalesce(renews_day, {counted}) - {today} AS renewal_days, "
        "max(CASE WHEN place = 1 THEN currency END) OVER (PARTITION BY customer_id) AS main_currency, "
        f"CASE WHEN place = 1 AND amount_minor > 0 THEN CAST(coalesce(discount_forever_minor, 0) + {discount} AS DOUBLE) "
        f"/ amount_minor END AS discount_share FROM {standing}",
    )
    then = st.step(
        "items_then",
        f"SELECT customer_id, currency, {d.total('mrr')} AS mrr, {d.total(_seats())} AS seats FROM {item} "
        f"WHERE {stands(_back(facts, 90))} GROUP BY customer_id, currency",
    )
    seats_then = st.step(
        "seats_then", f"SELECT customer_id, {d.total('seats')} AS seats FROM {then} GROUP BY customer_id"
    )
    ending = "CASE WHEN ends_us IS NOT NULL OR status = 'non_renewing' THEN 1 ELSE 0 END"
    own = "coalesce(currency = main_currency, main_currency IS NULL)"
    summed = st.step(
        "customers_now",
        "SELECT customer_id, max(CASE WHEN place = 1 THEN plan_id END) AS plan_id, max(main_currency) AS currency, "
        f"{d.total(f'CASE WHEN {own} THEN mrr ELSE 0 END')} AS mrr, count(*) AS items, "
        f"max(CASE WHEN place = 1 THEN interval_days END) AS interval_days, min(renewal_days) AS renewal_days, "
        "max(CASE WHEN auto_renews THEN 0 WHEN NOT auto_renews THEN 1 END) AS renewal_off, "
        "max(CASE WHEN status = 'paused' OR coalesce(collection_paused, FALSE) THEN 1 ELSE 0 END) AS paused, "
        f"max(rise_us) AS rise_us, max(discount_share) AS discount_share, min(CASE WHEN {runs} THEN discount_ends_at END) "
        f"AS discount_us, {d.total(_seats())} AS seats, max(CASE WHEN status = 'past_due' THEN 1 ELSE 0 END) AS past_due, "
        f"min({ending}) AS is_leaving, max(CASE WHEN ends_us > {at} THEN ends_us END) AS ends_us FROM {now} "
        "GROUP BY customer_id",
    )
    return st.step(
        "customers_told",
        f"SELECT n.*, f.first_us, t.mrr AS mrr_then, s.seats AS seats_then FROM {summed} AS n "
        f"JOIN {first} AS f ON f.customer_id = n.customer_id "
        f"LEFT JOIN {then} AS t ON t.customer_id = n.customer_id AND coalesce(t.currency, '') = coalesce(n.currency, '') "
        f"LEFT JOIN {seats_then} AS s ON s.customer_id = n.customer_id",
        says="live customers, and what they pay for",
    )


def _seats() -> str:
    return "CASE WHEN coalesce(is_metered, FALSE) THEN NULL ELSE quantity END"


def _payments(st: Statement, facts: Facts) -> str:
    columns = ("attempted_at", "kind", "outcome", "card_expires_on")
    known = _rows(
        st, facts, "payments", columns, f"attempted_at < {facts.horizon} AND coalesce(kind, 'charge') = 'charge'"
    )
    who = "OVER (PARTITION BY customer_id)"
    walked = st.step(
        "payments_told",
        f"SELECT *, max(CASE WHEN outcome = 'succeeded' THEN attempted_at END) {who} AS paid_us, "
        f"max(CASE WHEN card_expires_on IS NOT NULL THEN attempted_at END) {who} AS card_us FROM {known}",
    )
    failed = "outcome = 'failed'"
    return st.step(
        "payments_of_customers",
        f"SELECT customer_id, sum(CASE WHEN {failed} AND attempted_at >= {_back(facts, 90)} THEN 1 ELSE 0 END) AS failed_90, "
        f"sum(CASE WHEN {failed} AND coalesce(attempted_at > paid_us, TRUE) THEN 1 ELSE 0 END) AS in_a_row, "
        f"min(CASE WHEN attempted_at = card_us THEN card_expires_on END) AS card_day FROM {walked} GROUP BY customer_id",
        says="payments that failed, and the card in use",
    )


def _usage(st: Statement, facts: Facts) -> tuple[str, str, str]:
    """Steps of days with usage and of breadth, each by customer, and since when usage is told of at all."""
    at, today = facts.horizon, _today(facts)
    columns = ("happened_at", "feature", "contact_id", "quantity")
    within = f"happened_at < {at} AND happened_at >= {_back(facts, LOOK_BACK_DAYS)}"
    seen = _rows(st, facts, "usage", columns, within)
    lately = f"happened_at >= {_back(facts, 28)}"
    daily = st.step(
        "usage_days",
        f"SELECT customer_id, day, min(happened_at) AS since_us, "
        f"sum(CASE WHEN {lately} THEN coalesce(quantity, 1) ELSE 0 END) AS use_28, "
        f"sum(CASE WHEN happened_at >= {_back(facts, 56)} AND NOT {lately} THEN coalesce(quantity, 1) ELSE 0 END) AS use_56 "
        f"FROM (SELECT *, {local_day(facts, 'happened_at')} AS day FROM {seen}) AS dated GROUP BY customer_id, day",
        keep=True,
        says="days with usage",
    )
    days = st.step(
        "usage_of_customers",
        f"SELECT customer_id, sum(use_28) AS use_28, sum(use_56) AS use_56, count(*) AS days_180, min(day) AS first_day, "
        f"max(day) AS last_day, sum(CASE WHEN day >= {today - 28} THEN 1 ELSE 0 END) AS days_28 FROM {daily} "
        "GROUP BY customer_id",
    )
    different = st.step(
        "used_lately",
        f"SELECT customer_id, feature, contact_id FROM {seen} WHERE {lately} GROUP BY customer_id, feature, contact_id",
    )
    breadth = st.step(
        "breadth_of_use",
        "SELECT customer_id, count(DISTINCT feature) AS features_28, nullif(count(DISTINCT contact_id), 0) AS people_28 "
        f"FROM {different} GROUP BY customer_id",
        says="features and people of the last 28 days",
    )
    since = st.step("usage_told_since", f"SELECT min(since_us) AS told_since FROM {daily}")
    return days, breadth, since


def _tickets(st: Statement, facts: Facts) -> str:
    at = facts.horizon
    columns = ("opened_at", "first_replied_at", "resolved_at", "csat")
    known = _rows(st, facts, "tickets", columns, f"opened_at < {at}")
    lately = f"opened_at >= {_back(facts, 90)}"
    waited = f"least(coalesce(first_replied_at, {at}), coalesce(resolved_at, {at})) - opened_at"
    return st.step(
        "tickets_of_customers",
        f"SELECT customer_id, sum(CASE WHEN {lately} THEN 1 ELSE 0 END) AS opened_90, "
        "sum(CASE WHEN resolved_at IS NULL THEN 1 ELSE 0 END) AS open_now, "
        "min(CASE WHEN resolved_at IS NULL THEN opened_at END) AS oldest_us, "
        f"sum(CASE WHEN {lately} AND {waited} > {2 * DAY_US} THEN 1 ELSE 0 END) AS slow_90, "
        f"avg(CASE WHEN opened_at >= {_back(facts, LOOK_BACK_DAYS)} THEN csat END) AS csat FROM {known} GROUP BY customer_id",
        says="tickets open, slow and rated",
    )


def _answers(st: Statement, facts: Facts) -> str:
    columns = ("answer_id", "kind", "answered_at", "score")
    known = _rows(st, facts, "answers", columns, f"answered_at < {facts.horizon} AND score IS NOT NULL")
    order = "OVER (PARTITION BY customer_id, kind ORDER BY answered_at DESC, answer_id DESC)"
    last = st.step(
        "answers_in_order", f"SELECT *, row_number() {order} AS place FROM {known} WHERE kind IN ('nps', 'csat')"
    )
    return st.step(
        "answers_of_customers",
        "SELECT customer_id, max(CASE WHEN kind = 'nps' THEN score END) AS nps, "
        "max(CASE WHEN kind = 'nps' THEN answered_at END) AS nps_us, max(CASE WHEN kind = 'csat' THEN score END) AS csat "
        f"FROM {last} WHERE place = 1 GROUP BY customer_id",
        says="latest answers",
    )


def _changes(st: Statement, facts: Facts, kinds: bool) -> str:
    at = facts.horizon
    columns = ("change_id", "announced_at", "effective_at")
    known = _rows(st, facts, "change_exposures", columns, f"coalesce(announced_at < {at}, TRUE)")
    price = "CAST(NULL AS BIGINT) AS price_us"
    if kinds:
        changes = facts.latest(st, "changes", ("change_id", "kind"))
        known = st.step(
            "changes_told",
            f"SELECT e.*, k.kind FROM {known} AS e LEFT JOIN {changes} AS k ON k.change_id = e.change_id",
        )
        price = f"min(CASE WHEN kind = 'price' AND effective_at >= {at} THEN effective_at END) AS price_us"
    done = f"effective_at < {at}"
    return st.step(
        "changes_of_customers",
        f"SELECT customer_id, sum(CASE WHEN {done} AND effective_at >= {_back(facts, 90)} THEN 1 ELSE 0 END) AS changes_90, "
        f"max(CASE WHEN {done} THEN effective_at END) AS last_us, {price} FROM {known} GROUP BY customer_id",
        says="changes that touched them",
    )


Sql = tuple[Feature, str]


def _traits(st: Statement, facts: Facts, missing: dict[str, str]) -> tuple[list[Sql], str]:
    """Dated traits, and undated ones that were declared static when they were loaded."""
    if not _known(facts, "traits"):
        return [], ""
    d, at = facts.engine.dialect, facts.horizon
    columns = ("customer_id", "trait", "effective_at", "value", "number", "is_dated")
    asked = facts.statement()
    names = asked.render(
        "SELECT trait, max(CASE WHEN is_dated THEN 1 ELSE 0 END) AS dated, "
        "max(CASE WHEN is_dated AND number IS NULL AND value IS NOT NULL THEN 1 ELSE 0 END) AS is_text "
        f"FROM {facts.latest(asked, 'traits', columns)} WHERE coalesce(effective_at < {at}, TRUE) GROUP BY trait ORDER BY trait"
    )
    found: list[tuple[str, bool]] = []
    for row in facts.engine.table(names).to_pylist():
        trait = str(row["trait"])
        if trait.lower() in NEVER:
            missing[f"trait:{trait}"] = "it names the customer, and names are never learned from"
        elif not row["dated"]:
            missing[f"trait:{trait}"] = (
                "it has no date, so nobody can say what it was then; load it with dates, or declare it to have always held "
                f"(`--static {trait}`)"
            )
        elif len(found) == MOST_TRAITS:
            missing[f"trait:{trait}"] = f"only the first {MOST_TRAITS} traits become features"
        else:
            found.append((trait, bool(row["is_text"])))
    if not found:
        return [], ""
    known = _rows(st, facts, "traits", columns, f"is_dated AND coalesce(effective_at < {at}, TRUE)")
    order = "OVER (PARTITION BY customer_id, trait ORDER BY coalesce(effective_at, -9223372036854775807) DESC, value)"
    last = st.step("traits_in_order", f"SELECT *, row_number() {order} AS place FROM {known}")
    picked = ", ".join(
        f"max(CASE WHEN trait = {d.literal(trait)} THEN {'value' if is_text else 'number'} END) AS trait_{i}"
        for i, (trait, is_text) in enumerate(found)
    )
    step = st.step(
        "traits_of_customers", f"SELECT customer_id, {picked} FROM {last} WHERE place = 1 GROUP BY customer_id"
    )
    return [(of_trait(trait, is_text), f"g.trait_{i}") for i, (trait, is_text) in enumerate(found)], _joined("g", step)


def _columns(st: Statement, facts: Facts, static: Collection[str], missing: dict[str, str]) -> tuple[list[Sql], str]:
    """Columns of customers, where they are declared to have always held."""
    unknown = sorted(set(static) - set(STATIC_COLUMNS))
    if unknown:
        raise BadInput(
            f"only {', '.join(STATIC_COLUMNS)} of customers can be declared static, not {', '.join(unknown)}; a trait is "
            "declared when it is loaded (`tenure load --static TRAIT`)"
        )
    if not _known(facts, "customers"):
        return [], ""
    for column in STATIC_COLUMNS:
        if column not in static:
            missing[f"customer:{column}"] = "it has no date; declare it static if it has always held"
    found = [column for column in STATIC_COLUMNS if column in static]
    if not found:
        return [], ""
    known = facts.latest(st, "customers", ("customer_id", *found), step="customers_as_known")
    return [(of_column(column), f"k.{column}") for column in found], _joined("k", known)
