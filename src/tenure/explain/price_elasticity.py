"""How many more left for a price that was raised? The elasticity that an event study of past price changes gives.

The extra decisions to leave in the months after a price change, per customer told of it (`explain.changes`), over the
rise itself: the median change of an item's amount, its plan, quantity and interval unchanged, of those who were told.
An elasticity of -0.5 says that a price 10 % higher drives 5 % of customers away. The latest change that passed its checks
and stands above noise counts; where there is none, the reasons are told and nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from tenure.errors import BadInput
from tenure.explain.changes import studied
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US
from tenure.measure import states
from tenure.measure.definition import Definition

_WITHIN_DAYS = 400  # after the announcement: a yearly customer meets the price at his next term
_COLUMNS = (
    "customer_id",
    "subscription_id",
    "item_id",
    "plan_id",
    "quantity",
    "interval",
    "interval_count",
    "amount_minor",
)


@dataclass(frozen=True, slots=True)
class PriceElasticity:
    """What one price change did. rise: of the price, as a share; extra: more who left, per customer told, with
    ends; doubt: why it may be no effect, where it could not be checked."""

    change: str
    title: str
    announced_on: str
    rise: float
    extra: float
    low: float
    high: float
    doubt: str = ""

    @property
    def value(self) -> float:
        """The change of the number of customers over that of the price, 0 or below."""
        return min(-self.extra / self.rise, 0.0)

    @property
    def ends(self) -> tuple[float, float]:
        """Of the interval of 95 %."""
        return -self.high / self.rise, -self.low / self.rise

    def sentence(self) -> str:
        """Where it comes from."""
        low, high = self.ends
        return (
            f"Elasticity {self.value:.2f} ({low:.2f} to {high:.2f}) is measured by an event study of '{self.title}' "
            f"({self.announced_on}): {100 * self.extra:.1f} of 100 customers told left for a price "
            f"{100 * self.rise:.0f} % higher." + (f" An association: {self.doubt}." if self.doubt else "")
        )


def price_elasticity(facts: Facts, definition: Definition, first: date, after: date) -> PriceElasticity:
    """Of the latest price rise announced in [first, after) that can be told; see the module.

    Raises BadInput with the reason of each change where none can.
    """
    found = [one for one in studied(facts, definition, first, after).findings if one.more.get("kind") == "price"]
    if not found:
        raise BadInput(
            f"no change of a price was announced from {first} on (`tenure load changes`), so no elasticity can be "
            "measured: give a number, such as --elasticity -0.5"
        )
    reasons = []
    for one in sorted(found, key=lambda each: str(each.more["announced_on"]), reverse=True):
        title, estimate = one.en.removeprefix("after "), one.estimate
        if estimate.value is None or one.more["passed"] is False:
            reasons.append(f"'{title}': {one.reason}")
            continue
        assert estimate.low is not None and estimate.high is not None
        if estimate.low <= 0:
            reasons.append(f"'{title}': {100 * estimate.value:.1f} more of 100 left, which may be noise")
            continue
        rise = _rise(facts, definition, str(one.more["change_id"]))
        if rise is None or rise <= 0:
            reasons.append(f"'{title}': no item of those who were told became dearer at the same plan and quantity")
            continue
        return PriceElasticity(
            str(one.more["change_id"]), title, str(one.more["announced_on"]), rise, float(estimate.value),
            float(estimate.low), float(estimate.high), str(one.reason or ""),
        )  # fmt: skip
    raise BadInput(f"no elasticity can be measured: {'; '.join(reasons)}. Give a number, such as --elasticity -0.5")


def _rise(facts: Facts, definition: Definition, change: str) -> float | None:
    """The median rise of an item's amount after a change, of those who were told of it (all, if nobody is named)."""
    st, d = facts.statement(), facts.engine.dialect
    known = facts.latest(st, "changes", ("change_id", "announced_at", "happened_at"), step="changes_of_price")
    every = states.all_states(st, facts, _COLUMNS, definition)
    item = "OVER (PARTITION BY subscription_id, item_id ORDER BY ts)"
    same = ("plan_id", "quantity", "interval", "interval_count")
    lags = ", ".join(f"lag({name}) {item} AS {name}_before" for name in (*same, "amount_minor"))
    moved = st.step("amounts_before", f"SELECT customer_id, ts, {', '.join(same)}, amount_minor, {lags} FROM {every}")
    equal = " AND ".join(f"coalesce({name} = {name}_before, {name} IS NULL AND {name}_before IS NULL)" for name in same)
    join, told = "", ""
    if facts.has("change_exposures"):
        columns = ("customer_id", "change_id")
        exposed = facts.latest(st, "change_exposures", columns, step="exposed_to_price")
        exposed = facts.counted(st, exposed, columns, "exposed_to_price_counted")
        whom = st.step(
            "told_of_price",
            f"SELECT DISTINCT customer_id FROM {exposed} WHERE change_id = {d.literal(change)}",
            keep=True,
        )
        join = f" LEFT JOIN {whom} AS w ON w.customer_id = m.customer_id CROSS JOIN (SELECT count(*) AS n FROM {whom}) AS a"
        told = " AND (w.customer_id IS NOT NULL OR a.n = 0)"
    ratio = "CAST(m.amount_minor AS DOUBLE) / CAST(m.amount_minor_before AS DOUBLE)"
    since = "coalesce(c.announced_at, c.happened_at)"
    sql = st.render(
        f"SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY {ratio}) AS ratio FROM {moved} AS m JOIN {known} AS c "
        f"ON c.change_id = {d.literal(change)}{join} WHERE m.ts >= {since} AND m.ts < {since} + {_WITHIN_DAYS * DAY_US} "
        f"AND m.amount_minor_before > 0 AND m.amount_minor > m.amount_minor_before AND {equal}{told}"
    )
    rows: list[dict[str, Any]] = facts.engine.table(sql).to_pylist()
    return None if rows[0]["ratio"] is None else float(rows[0]["ratio"]) - 1
