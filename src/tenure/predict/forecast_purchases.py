"""What will customers without a contract buy in the months ahead? Those who have bought, and those who will come.

Who has bought buys again as BG/NBD, MBG/NBD or Pareto/NBD has it (`predict.buyer_value`), each purchase worth what
Gamma-Gamma expects; new buyers come as an average of past months, buy on the day they come, and go on as newcomers do.
A purchase is a day on which a customer bought. Intervals hold the models' parameters, the level of new buyers, how much
months differ beyond chance, and chance. There is no season in it: a shop that lives of Christmas should not trust it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.kernel.time import add_months
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number
from tenure.predict.buyer_value import WEEKS_A_MONTH, BuyerValue, another
from tenure.predict.new_business import MonthlyLevel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

WORLDS = 60
LIVES = 10
_SAMPLE = 1_500  # histories by which worlds are told apart
_LOOK_BACK = 36  # months
_SHARES = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class Purchases:
    """By month: purchases and revenue (minor units), expected and their ends. newcomers: buyers a month."""

    purchases: Real
    purchases_ends: Real
    revenue: Real
    revenue_ends: Real
    newcomers: MonthlyLevel
    name: str

    def row(self, i: int, currency: str) -> dict[str, Any]:
        """Month i as plain data; money in major units."""
        from tenure.predict.forecast import major

        low, high = (round(float(end), 3) for end in self.purchases_ends[:, i])
        found: dict[str, Any] = {"purchases": round(float(self.purchases[i]), 3)}
        found |= {"purchases_low": low, "purchases_high": high, "revenue": major(float(self.revenue[i]), currency)}
        low_r, high_r = (major(float(end), currency) for end in self.revenue_ends[:, i])
        return found | {"revenue_low": low_r, "revenue_high": high_r}


def purchases(
    facts: Facts, cut: date, ahead: int, currency: str | None, seed: int, new: float | None = None
) -> tuple[dict[str, Purchases], list[str]]:
    """By currency shown, what will be bought from the day `cut` on; and what cannot be told, with the reason.

    new: so many new buyers a month, in place of the past's.
    """
    from tenure.predict.value import buyers_by_currency

    said: list[str] = []
    found = buyers_by_currency(facts, cut, ahead, 1.0, None, currency, said)
    told = {}
    for shown, one in found.items():
        told[shown] = _ahead(one, cut, ahead, seed, new)
    failed = [note for note in said if not any(note.startswith(f"purchases in {shown}: ") for shown in found)]
    return told, failed


def _ahead(one: BuyerValue, cut: date, ahead: int, seed: int, fixed: float | None) -> Purchases:
    rng = np.random.default_rng([seed, 3])
    h = one.histories
    level, restless = _past(one, cut)
    bought, again = _of_known(one, one.model, np.arange(len(h)), ahead)
    mean_new = float(np.asarray(one.mean_values(np.zeros(1), np.zeros(1)))[0])
    fresh = _of_new(one.model, ahead)
    came = level.expected(ahead) if fixed is None else np.full(ahead, fixed)
    expected = bought.sum(axis=0) + came @ fresh
    revenue = (bought / np.maximum(h.customers, 1)[:, None] * again[:, None]).sum(axis=0) + came @ fresh * mean_new
    # Worlds: other parameters, on some of the histories.
    rows = np.arange(0, len(h), max(1, len(h) // _SAMPLE))
    base = np.maximum(_of_known(one, one.model, rows, ahead)[0].sum(axis=0), 1e-12)
    known, new = np.empty((WORLDS, ahead)), np.empty((WORLDS, ahead, ahead))
    for world in range(WORLDS):
        drawn = another(one.model, rng)
        known[world] = _of_known(one, drawn, rows, ahead)[0].sum(axis=0) / base
        new[world] = _of_new(drawn, ahead)
    of = np.repeat(np.arange(WORLDS), LIVES)
    levels = level.paths(rng, len(of), ahead)
    counts = level.counts(rng, levels) if fixed is None else np.full(levels.shape, fixed)
    months = np.exp(rng.normal(size=(len(of), ahead)) * restless - restless**2 / 2)
    of_known = known[of] * bought.sum(axis=0) * months
    of_new = np.einsum("ps,pst->pt", counts, new[of]) * months
    # A customer's count is Poisson about a rate that is Gamma, if he still is one.
    alive = np.maximum(one.model.probability_alive(h.frequency, h.recency / 7, h.age / 7), 1e-9)
    shape = one.model.parameters_["r"] + h.frequency
    doubt = (1 + 1 / shape) / alive - 1
    variance = of_known + (bought**2 / np.maximum(h.customers, 1)[:, None] * doubt[:, None]).sum(axis=0) + of_new
    whole = np.maximum(of_known + of_new + rng.normal(size=of_known.shape) * np.sqrt(variance), 0.0)
    per = revenue / np.maximum(expected, 1e-12)
    # What a purchase brings differs between customers, and from one to the next.
    differs = 1.0
    if one.money is not None:
        p, q = one.money.parameters_["p"], one.money.parameters_["q"]
        differs = 1 / p + (1 / (q - 2) if q > 2.5 else 2.0) * (1 + 1 / p)
    spread = np.sqrt(differs / np.maximum(whole, 1.0) + float(np.var(one._worlds / np.mean(one._worlds))) / 4)
    money = np.maximum(whole * per * (1 + rng.normal(size=whole.shape) * spread), 0.0)
    return Purchases(expected, _ends(whole, expected), revenue, _ends(money, revenue), level, one.name)


def _ends(paths: Real, expected: Real) -> Real:
    low, high = np.quantile(paths, _SHARES, axis=0)
    return np.stack([np.minimum(low, expected), np.maximum(high, expected)])


def _of_known(one: BuyerValue, model: Any, rows: Any, ahead: int) -> tuple[Real, Real]:
    """(purchases of each month, value of one summed over its customers) of these histories."""
    h = one.histories
    x, t_x, age, many = h.frequency[rows], h.recency[rows] / 7, h.age[rows] / 7, h.customers[rows]
    alive = model.probability_alive(x, t_x, age)
    until = np.stack([model.purchases_if_alive((k + 1) * WEEKS_A_MONTH, x, age) for k in range(ahead)], axis=1)
    each = np.diff(until, axis=1, prepend=0.0) * (alive * many)[:, None]
    return each, one.mean_values(x, h.repeat[rows], many)


def _of_new(model: Any, ahead: int) -> Real:
    """(month of coming, month): purchases of one who comes in the middle of the first, that one included."""
    so_far = np.concatenate([[0.0], 1 + model.expected_purchases((np.arange(ahead) + 0.5) * WEEKS_A_MONTH)])
    each = np.diff(so_far)
    found = np.zeros((ahead, ahead))
    for month in range(ahead):
        found[month, month:] = each[: ahead - month]
    return found


def _past(one: BuyerValue, cut: date) -> tuple[MonthlyLevel, float]:
    """The level of new buyers a month, and how much a month's purchases differ beyond chance, as a share."""
    h = one.histories
    first = day_number(cut) - 1 - int(h.age.max())
    edges = [day_number(cut)]
    for back in range(1, _LOOK_BACK + 1):
        edge = day_number(add_months(cut, -back))
        if edge < first:
            break
        edges.append(edge)
    if len(edges) < 2:
        edges.append(first)
    edges.reverse()
    born = day_number(cut) - 1 - h.age
    came, _ = np.histogram(born, bins=edges, weights=h.customers)
    level = MonthlyLevel.of(came)
    st, told = one.asked.customers()
    from tenure.measure.orders import purchase_days

    days = purchase_days(st, one.asked.facts)
    sql = st.render(
        f"SELECT p.day, count(*) AS n FROM {days} AS p JOIN {told} AS b ON b.customer_id = p.customer_id "
        f"WHERE p.day >= {edges[0]} AND p.day < {edges[-1]} GROUP BY p.day ORDER BY p.day"
    )
    table = one.asked.facts.engine.table(sql)
    n, _ = np.histogram(table.column("day").to_numpy(), bins=edges, weights=table.column("n").to_numpy())
    if len(n) < 4 or not n.sum():
        return level, 0.0
    all_ = MonthlyLevel.of(n)
    return level, float(np.sqrt(max(all_.excess - 1, 0.0) / max(all_.level, 1.0)))
