"""Who was away? Who has paused does not use the product, and some leave when the pause ends: that is no lost habit.

Silence after a pause says that there was a pause. Whoever looks at use before leaving leaves such customers out.
"""

from __future__ import annotations

from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement

_FOREVER = 9_000_000_000_000_000_000


def away(st: Statement, facts: Facts, days: int) -> str | None:
    """A step (customer_id, cut): who had paused at any time in the `days` before each cut; None where no state tells.

    Needs the step `cuts` of explain.months. A pause lasts to the next state of its item or to the day on which it was to
    resume, whichever comes first.
    """
    if not facts.has("subscription_states"):
        return None
    columns = ("customer_id", "subscription_id", "item_id", "effective_at", "status", "collection_paused", "resumes_at")
    known = facts.counted(
        st, facts.latest(st, "subscription_states", columns, step="known_pauses"), columns, "counted_pauses"
    )
    lasting = st.step(
        "pauses",
        "SELECT *, lead(effective_at) OVER (PARTITION BY subscription_id, item_id ORDER BY effective_at) AS next_ts "
        f"FROM {known}",
    )
    until = f"coalesce(least(p.next_ts, p.resumes_at), p.next_ts, p.resumes_at, {_FOREVER})"
    return st.step(
        "away",
        f"SELECT DISTINCT p.customer_id, c.cut FROM {lasting} AS p JOIN cuts AS c ON p.effective_at < c.at_us "
        f"AND {until} > c.at_us - {days * DAY_US} WHERE p.status = 'paused' OR coalesce(p.collection_paused, FALSE)",
        says="who had paused, so that silence tells nothing",
    )
