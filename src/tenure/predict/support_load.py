"""How many tickets do customers open, and how many can one agent answer? Counted month by month, in the engine.

Every ticket counts, of whomever, for somebody answers it: only those of test customers are left out. An agent is
whoever is named as the one who answered. What an agent answers in a month is what was answered, not what could be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from tenure.lake.facts import Facts
from tenure.lake.portable import day_number
from tenure.measure.item_days import local_day
from tenure.predict.new_business import MonthlyLevel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

_YEAR = 12
NO_TICKETS = "no tickets are loaded, so neither tickets nor agents are forecast (`tenure load tickets FILE`)"
NO_AGENTS = (
    "no ticket tells who answered it, so agents are not forecast: set tickets_per_agent (a month) in tenure.toml"
)


@dataclass(frozen=True)
class SupportLoad:
    """Tickets per customer and month, None where nothing tells of them; tickets that one agent answers in a month.

    notes: what is missing, and where the figures come from.
    """

    rate: MonthlyLevel | None
    per_agent: float | None
    notes: tuple[str, ...]


def support_load(
    facts: Facts, months: Sequence[tuple[date, date]], customers: Sequence[float], per_agent: float | None = None
) -> SupportLoad:
    """What the tickets of these months tell, of so many customers in each; per_agent: as set, else as seen."""
    if not facts.has("tickets") or not months:
        return SupportLoad(None, None, (NO_TICKETS,))
    opened, agents = _counted(facts, months)
    seen = np.flatnonzero(opened)
    if not len(seen):
        return SupportLoad(None, None, (f"no ticket was opened from {months[0][0]} on: neither is forecast",))
    notes = []
    # The month of the first ticket may be half a one; of few months it is kept all the same.
    first = int(seen[0]) + (1 if seen[0] > 0 and len(opened) - int(seen[0]) > 3 else 0)
    there = np.asarray(customers, dtype=np.float64)[first:]
    rate = MonthlyLevel.of(opened[first:], there, may_grow=False)
    if rate.months == 0:
        return SupportLoad(None, None, ("tickets are known of no month with customers, and are not forecast",))
    notes.append(
        f"Tickets: {rate.level:.2f} a month per customer, from {rate.months} months"
        + ("." if opened[-1] else "; the last month has none: are all loaded?")
    )
    if per_agent is not None:
        notes.append(f"Agents: one answers {per_agent:g} tickets a month, as set in tenure.toml.")
        return SupportLoad(rate, per_agent, tuple(notes))
    staffed = agents[-_YEAR:] > 0
    if not staffed.any():
        return SupportLoad(rate, None, (*notes, NO_AGENTS))
    each = float(opened[-_YEAR:][staffed].sum() / agents[-_YEAR:][staffed].sum())
    notes.append(
        f"Agents: one answered {each:.0f} tickets a month in the last year, which is what was asked and not what one "
        "can (tickets_per_agent in tenure.toml)."
    )
    return SupportLoad(rate, each, tuple(notes))


def _counted(facts: Facts, months: Sequence[tuple[date, date]]) -> tuple[Real, Real]:
    """Tickets opened in each month, and how many agents are named in them."""
    st, d = facts.statement(), facts.engine.dialect
    columns = ("customer_id", "ticket_id", "opened_at", "agent")
    known = facts.counted(st, facts.latest(st, "tickets", columns, step="tickets_known"), columns, "tickets_counted")
    rows = [(str(w), str(day_number(a)), str(day_number(b))) for w, (a, b) in enumerate(months)]
    spans = st.step("months_of_tickets", d.values(rows, ("w", "since", "until")))
    day = local_day(facts, "opened_at")
    dated = st.step("days_of_tickets", f"SELECT {day} AS day, agent FROM {known}")
    sql = st.render(
        f"SELECT m.w, count(*) AS opened, count(DISTINCT t.agent) AS agents FROM {dated} AS t "
        f"JOIN {spans} AS m ON t.day >= m.since AND t.day < m.until GROUP BY m.w ORDER BY m.w"
    )
    opened, agents = np.zeros(len(months)), np.zeros(len(months))
    for row in facts.engine.table(sql).to_pylist():
        opened[row["w"]], agents[row["w"]] = row["opened"], row["agents"]
    return opened, agents
