"""Who is already leaving, and whose term ends soon? Each item as it stands at an instant, with its plans."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from tenure.lake.facts import Facts
from tenure.lake.portable import micros
from tenure.measure import states
from tenure.measure.definition import Definition


def items_standing(facts: Facts, definition: Definition, as_of: datetime) -> list[dict[str, Any]]:
    """The items that pay just before `as_of` and have an end set, or a term or yearly period that ends afterwards.

    One dict per item: customer_id, subscription_id, item_id, plan_id, currency, mrr (10^-6 minor units), ends_at (an
    end already set, microseconds, else None), renews_at (end of the term, or of a billing period of a quarter or more),
    cancel_reason, cancel_comment. An item with a set end is not renewing.
    """
    definition = replace(definition, source="states")
    st = facts.statement()
    moment = micros(as_of)
    wanted = [
        "customer_id", "subscription_id", "item_id", "status", "plan_id", "interval", "interval_count", "amount_minor",
        "tax_minor", "tax_inclusive", "discount_forever_minor", "minimum_commit_minor", "is_metered", "currency",
        "trial_ends_at", "term_ends_at", "period_end", "auto_renews", "collection_paused", "cancel_at", "cancel_reason",
        "cancel_comment",
    ]  # fmt: skip
    every = states.all_states(st, facts, wanted)
    dead = ", ".join(f"'{status}'" for status in (*states.DEAD, "paused"))
    last = st.step(
        "last_states",
        f"SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY subscription_id, item_id ORDER BY ts DESC) AS place "
        f"FROM {every} WHERE ts < {moment}) AS s WHERE place = 1 AND status NOT IN ({dead}) "
        f"AND NOT coalesce(status = 'trialing' AND coalesce(trial_ends_at, {moment}) >= {moment}, FALSE)",
        says="each item as it stands",
    )
    rate = states.monthly(facts, definition, states.base_price(facts, definition))
    end = "CASE WHEN status = 'non_renewing' THEN coalesce(cancel_at, term_ends_at, period_end) ELSE cancel_at END"
    long_period = "interval IN ('quarter', 'year') OR (interval = 'month' AND coalesce(interval_count, 1) >= 3)"
    renews = f"coalesce(term_ends_at, CASE WHEN {long_period} THEN period_end END)"
    priced = st.step(
        "standing_items",
        f"SELECT customer_id, subscription_id, item_id, plan_id, currency, {rate} AS mrr, {end} AS ends_at, "
        f"CASE WHEN coalesce(auto_renews, TRUE) OR term_ends_at IS NOT NULL THEN {renews} END AS renews_at, cancel_reason, "
        f"cancel_comment FROM {last}",
    )
    planned = ""
    if facts.has("subscription_spans"):
        # A span's end that lies ahead is a plan, too; the latest view hides it because it has not happened.
        shown = facts.latest(
            st,
            "subscription_spans",
            ("subscription_id", "item_id", "started_at", "ended_at"),
            hide=False,
            step="planned_spans",
        )
        ends = st.step(
            "planned_ends",
            f"SELECT subscription_id, item_id, max(ended_at) AS ended_at, count(*) - count(ended_at) AS open FROM {shown} "
            f"WHERE started_at < {moment} GROUP BY subscription_id, item_id",
        )
        planned = (
            f"SELECT p.customer_id, p.subscription_id, p.item_id, p.plan_id, p.currency, p.mrr, coalesce(p.ends_at, CASE WHEN e.open = 0 "
            f"AND e.ended_at >= {moment} THEN e.ended_at END) AS ends_at, p.renews_at, p.cancel_reason, p.cancel_comment "
            f"FROM {priced} AS p LEFT JOIN {ends} AS e ON e.subscription_id = p.subscription_id AND e.item_id = p.item_id"
        )
    source = f"({planned}) AS planned" if planned else priced
    sql = st.render(
        f"SELECT * FROM {source} WHERE mrr > 0 AND (ends_at IS NULL OR ends_at >= {moment}) AND (ends_at IS NOT NULL OR renews_at >= {moment}) "
        "ORDER BY customer_id, subscription_id, item_id"
    )
    return facts.engine.table(sql).to_pylist()
