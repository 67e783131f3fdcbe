"""What will customers under contract still bring in? The chance to be there x what is paid then, discounted, x margin.

Over so many months from the cut on, each paid as it begins: margin x contract x sum over t of S(t) g(t) v^t, with S the
survival of who is like this customer by plan, interval, term and months since joining, g what those who stay pay, and
v = (1 + yearly discount)^(-1/12). What lies beyond the months counts for nothing. See docs/explanation/survival.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.predict.customer_months import CustomerMonths, people
from tenure.predict.own_chance import ends_of_lives, own_chance
from tenure.predict.staying import Groups, Staying

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

DRAWS = 80
_YEAR = 12


@dataclass(frozen=True, slots=True)
class Sum:
    """Customers of a segment and currency: what they pay a month, and their value before margin, in minor units.

    variance: of the value, by the chance of each customer; draws: the value in each world that the data allow.
    """

    customers: int
    mrr: float
    value: float
    variance: float
    draws: Real


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who came in the last year, in a segment and currency: how many, how many for the first time, and their value.

    joined: came or came back and were there as the next month began; value: of all of those, before margin.
    """

    joined: int
    newcomers: int
    value: float
    draws: Real


@dataclass(eq=False)
class ContractValue:
    """The value of everybody who is under contract at the cut; see the module. v: what a month later counts."""

    months: CustomerMonths
    staying: Staying
    ahead: int
    v: float
    seed: int = 7

    def factors(self, groups: Groups, draw: Any = None) -> tuple[Real, Real]:
        """(survival, weights) of groups: what a month counts if it is reached, discount and growth together."""
        survival = self.staying.survival(groups, self.ahead, draw)
        weights = self.staying.payments(groups, self.ahead, draw) * self.v ** np.arange(self.ahead)
        return survival, weights

    @cached_property
    def _worlds(self) -> list[Any]:
        rng = np.random.default_rng(self.seed)
        return [self.staying.draw(rng, self.ahead) for _ in range(DRAWS)]

    def _valued(self, groups: Groups) -> tuple[Real, Real, Real]:
        """Of each group: value per unit of contract, its variance by chance, and its value in all worlds."""
        survival, weights = self.factors(groups)
        drawn = np.empty((len(self._worlds), len(groups)))
        for i, world in enumerate(self._worlds):
            s, w = self.factors(groups, world)
            drawn[i] = (s * w).sum(axis=1)
        return (survival * weights).sum(axis=1), own_chance(survival, weights, self.staying.unrest), drawn

    @cached_property
    def _now(self) -> tuple[dict[str, Any], Groups, NDArray[np.int64], Real, Real, Real]:
        rows = arrays(self.months.now)
        groups, place = kinds(self.staying, rows)
        return rows, groups, place, *self._valued(groups)

    def worth_by_tenure(self) -> tuple[Real, Real]:
        """(months since joining, value of a unit of contract), rising: the mean of who is there, by what each pays."""
        rows, _, place, value, _, _ = self._now
        tenure = np.asarray(rows["tenure"], dtype=np.int64)
        paid = np.bincount(tenure, weights=rows["contract"]) if len(tenure) else np.zeros(0)
        months = np.flatnonzero(paid > 0)
        worth = np.bincount(tenure, weights=rows["contract"] * value[place])[months] if len(months) else np.zeros(0)
        return months.astype(np.float64), worth / paid[months]

    # --------------------------------------------------------------------------------------------------------- sums

    def sums(self) -> dict[tuple[str, str], Sum]:
        """By (segment's text, currency): everybody who is there at the cut."""
        rows, _, place, value, chance, drawn = self._now
        contract, squares = rows["contract"], rows["squares"]
        found = {}
        for key in sorted(set(zip(rows["seg"], rows["currency"], strict=True))):
            mine = (rows["seg"] == key[0]) & (rows["currency"] == key[1])
            at = place[mine]
            found[key] = Sum(
                int(rows["customers"][mine].sum()),
                float(rows["paid"][mine].sum()),
                float(contract[mine] @ value[at]),
                float(squares[mine] @ chance[at]),
                drawn[:, at] @ contract[mine],
            )
        return found

    def newcomers(self) -> dict[tuple[str, str], Newcomer]:
        """By (segment's text, currency): who came within the last year, valued as on the first month's beginning."""
        rows = arrays(self.months.came)
        recent = rows["w"] > self.months.months - _YEAR
        rows = {name: column[recent] for name, column in rows.items()}
        n = len(rows["w"])
        if not n:
            return {}
        rows["tenure"], rows["ahead"] = np.zeros(n, np.int64), np.full(n, -1)
        groups, place = kinds(self.staying, rows)
        survival, weights = self.factors(groups)
        value = (survival * weights).sum(axis=1)
        drawn = np.empty((len(self._worlds), len(groups)))
        for i, world in enumerate(self._worlds):
            s, w = self.factors(groups, world)
            drawn[i] = (s * w).sum(axis=1)
        found = {}
        for key in sorted(set(zip(rows["seg"], rows["currency"], strict=True))):
            mine = (rows["seg"] == key[0]) & (rows["currency"] == key[1])
            found[key] = Newcomer(
                int(rows["customers"][mine].sum()),
                int(rows["newcomers"][mine].sum()),
                float(rows["contract"][mine] @ value[place[mine]]),
                drawn[:, place[mine]] @ rows["contract"][mine],
            )
        return found

    # -------------------------------------------------------------------------------------------------------- people

    def people(self, unit: dict[str, float], top: int | None = None) -> pa.Table:
        """Everybody who is there, the most valuable first: Arrow, customer_id, currency, contract, paid, value, ends.

        value, low, high: before margin, in minor units of the customer's own currency; low and high by when this one
        customer leaves, as the curves have it. unit: what a minor unit of each currency is worth, to be put in order.
        """
        import pyarrow as pa

        rows, groups, place, value, _, _ = self._now
        low, high = ends_of_lives(*self.factors(groups))
        keys = ("plan_id", "months", "phase", "tenure", "ahead")
        seen: dict[tuple[Any, ...], int] = {}
        for i, at in enumerate(place):
            seen.setdefault(tuple(rows[key][i] for key in keys), int(at))
        at = np.array(list(seen.values()), dtype=np.int64)
        told = {key: [k[i] for k in seen] for i, key in enumerate(keys)}
        table = pa.table(
            {
                "plan_id": pa.array([str(text) for text in told["plan_id"]], pa.string()),
                **{key: pa.array([int(x) for x in told[key]], pa.int64()) for key in keys[1:]},
                **{name: pa.array(x[at], pa.float64()) for name, x in (("value", value), ("low", low), ("high", high))},
            }
        )
        engine = self.months.facts.engine
        lent = engine.lend("value_of_kinds", table)
        units = engine.lend(
            "units_of_value",
            pa.table(
                {
                    "currency": pa.array(list(unit), pa.string()),
                    "unit": pa.array(list(unit.values()), pa.float64()),
                }
            ),
        )
        st, there = people(self.months)
        join = " AND ".join(f"v.{key} = p.{key}" for key in keys)
        order = "ORDER BY p.contract * v.value * coalesce(u.unit, 0.0) DESC, p.customer_id, p.currency"
        minor = "CAST(p.contract AS DOUBLE) / 1000000.0"
        sql = st.render(
            "SELECT p.customer_id, p.seg, p.currency, p.plan_id, p.contract / 1000000.0 AS contract, "
            f"p.paid / 1000000.0 AS paid, {minor} * v.value AS value, {minor} * v.low AS low, {minor} * v.high AS high "
            f"FROM {there} AS p JOIN {lent} AS v ON {join} LEFT JOIN {units} AS u ON u.currency = p.currency {order}"
            + (f" LIMIT {int(top)}" if top is not None else "")
        )
        return engine.table(sql)


def kinds(staying: Staying, rows: dict[str, Any]) -> tuple[Groups, NDArray[np.int64]]:
    """The distinct kinds of customers among these rows, and the place of each row's."""
    strata = np.array(
        [staying.stratum(str(p), int(m)) for p, m in zip(rows["plan_id"], rows["months"], strict=True)],
        dtype=np.int64,
    )
    keys = np.stack([strata, rows["months"], rows["phase"], rows["tenure"], rows["ahead"]]).astype(np.int64)
    found, place = np.unique(keys, axis=1, return_inverse=True)
    return Groups(*found), np.ravel(place)


def arrays(table: pa.Table) -> dict[str, Any]:
    """A table of counts as arrays; money in minor units, of its squares too."""
    found: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name)
        if name in ("plan_id", "currency", "seg"):
            found[name] = np.array(column.to_pylist(), dtype=object)
        elif name in ("contract", "paid"):
            found[name] = np.array([float(value or 0) for value in column.to_pylist()]) / 1e6
        else:
            found[name] = np.asarray(column.to_numpy())
    return found
