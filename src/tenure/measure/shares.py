"""What needs all of a customer's facts, but no two customers together: asked of a share of the customers at a time.

Sums over customers are sums over shares. A question whose statement keeps a lot of every item in memory then needs no
more of it than a share does, and takes as many times longer as there are more customers, and not more than that.
"""

from __future__ import annotations

from dataclasses import replace

from tenure.lake.facts import Facts
from tenure.measure import states

ROWS = 2_000_000  # states and spans of a share: a few hundred megabytes in the widest statement


def shares(facts: Facts, rows: int | None = None) -> list[Facts]:
    """The same facts as looks at a share of the customers each, of about `rows` states (default: ROWS).

    One look, where that is all. Every customer is in one share. An item that passed from one customer to another needs
    both, so where there is any, nothing is shared; nor is it on a cluster, which shares by itself.
    """
    told = sum(facts.snapshot(table).rows for table in states.tables(facts))
    number = -(-told // (rows or ROWS))
    if number < 2 or facts.engine.dialect.spark or facts.share is not None or _passed_on(facts):
        return [facts]
    return [replace(facts, share=(i, number), memory=dict(facts.memory)) for i in range(number)]


def _passed_on(facts: Facts) -> bool:
    """Whether any item names several customers, or two texts have the same hash (which is harmless here)."""
    if ("passed_on",) not in facts.memory:
        st = facts.statement()
        told = "\nUNION ALL\n".join(
            f"SELECT hash(subscription_id, item_id) AS item, hash(customer_id) AS who FROM {facts.source(st, table)}"
            for table in states.tables(facts)
        )
        sql = f"SELECT item FROM ({told}) AS told GROUP BY item HAVING min(who) <> max(who) LIMIT 1"
        facts.memory["passed_on",] = facts.engine.table(st.render(sql)).num_rows > 0
    return bool(facts.memory["passed_on",])
