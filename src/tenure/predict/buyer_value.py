"""What will customers without a contract still buy? Purchases to come x the value of one, discounted, x margin.

How often each will buy again, and whether he still is a customer, is told by BG/NBD, MBG/NBD or Pareto/NBD: whichever,
fitted on history up to a day, made what happened after it likeliest. What one of his purchases brings is told by
Gamma-Gamma, whose assumption (how much has nothing to do with how often) is checked and said. Time is counted in weeks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import BadInput, CannotFit
from tenure.predict.buyer_histories import Bought, BuyerHistories, buyer_histories, spending
from tenure.predict.histories import Histories

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from tenure.predict.gamma_gamma import GammaGamma
    from tenure.predict.purchases import PurchaseModel

    Real = NDArray[np.float64]

MODELS = ("BG/NBD", "MBG/NBD", "Pareto/NBD")
WEEKS_A_MONTH = 365.25 / 12 / 7
# Of all history, the share that is held back to choose a model, and the least that is worth it (days).
HELD_BACK = 1 / 4
_LEAST_HELD = 28
# Fewer repeat buyers than these tell too little of how customers differ.
ENOUGH = 30
AS_GOOD = 2.0  # units of log-likelihood
DRAWS = 60
_SAMPLE = 800  # histories in which chance is looked at
_LIVES = 200  # futures of each
_LAST_PURCHASE = 2_000


@dataclass(frozen=True)
class Tried:
    """A model and what it made of the time held back: log-likelihood per customer; None where it was not asked."""

    name: str
    score: float | None


def made(name: str) -> PurchaseModel:
    """A model of that name, not fitted."""
    from tenure.predict.beta_geo import BetaGeoNBD, ModifiedBetaGeoNBD
    from tenure.predict.pareto import ParetoNBD

    return {"BG/NBD": BetaGeoNBD, "MBG/NBD": ModifiedBetaGeoNBD, "Pareto/NBD": ParetoNBD}[name]()


def grouped(told: BuyerHistories) -> Histories:
    """The histories as the models take them, in weeks."""
    return Histories.of(told.frequency, told.recency / 7, told.age / 7, told.customers)


def likelihood(model: PurchaseModel, histories: Histories) -> float:
    """The log-likelihood of histories under a model that was fitted on others."""
    values = np.log([model.parameters_[name] for name in model.names])
    return float(model._objective(histories)(values)[0])


def choose(asked: Bought, first: date, models: Sequence[str] = MODELS) -> tuple[str, tuple[Tried, ...], date | None]:
    """The model that made the last quarter of history likeliest when fitted on what was before it, and all tried.

    One that comes within two units of log-likelihood of the best is as good, and the first such is taken.

    The likelihood of what followed is that of whole histories over that of their first part, for the customers known
    by then. Too short a history is not cut: then the first model is taken, and nothing was judged.
    """
    days = (asked.end - first).days
    held = int(days * HELD_BACK)
    if held < _LEAST_HELD:
        return models[0], tuple(Tried(name, None) for name in models), None
    early = asked.end - timedelta(days=held)
    before = buyer_histories(Bought(asked.facts, early, asked.native, asked.rates))
    if before.customers[before.frequency > 0].sum() < ENOUGH:
        return models[0], tuple(Tried(name, None) for name in models), None
    after = buyer_histories(Bought(asked.facts, asked.end, asked.native, asked.rates, born_before=early))
    known, whole = grouped(before), grouped(after)
    tried = []
    for name in models:
        model = made(name).fit_histories(known)
        tried.append(Tried(name, (likelihood(model, whole) - likelihood(model, known)) / known.customers))
    # The first of those that are as good: what chance alone may turn round is no reason to leave it.
    best = max(one.score for one in tried if one.score is not None)
    good = [one for one in tried if (best - (one.score or 0.0)) * known.customers < AS_GOOD]
    chosen = (good or tried)[0]
    rest = sorted((one for one in tried if one is not chosen), key=lambda one: -(one.score or 0.0))
    return chosen.name, (chosen, *rest), early


@dataclass(frozen=True, slots=True)
class BuyerSum:
    """Buyers of a segment: how many, how many of them alive, purchases to come, and value before margin (minor units).

    variance: by the chance of each; draws: of the value, in each world that the data allow; spent: what they brought in
    the time known; mean_value: the expected value of one purchase.
    """

    customers: int
    alive: float
    purchases: float
    value: float
    variance: float
    draws: Real
    spent: float
    mean_value: float


@dataclass(eq=False)
class BuyerValue:
    """The value of everybody who ever bought, in one currency; see the module. v: what a month later counts."""

    asked: Bought
    histories: BuyerHistories
    model: PurchaseModel
    name: str
    tried: tuple[Tried, ...]
    held_since: date | None
    money: GammaGamma | None
    flat: float  # the mean value of a purchase, where no model tells it
    ahead: int
    v: float
    notes: tuple[str, ...]
    seed: int = 7
    _rows: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, asked: Bought, first: date, ahead: int, v: float, models: Sequence[str] = MODELS) -> BuyerValue:
        """Counts, chooses and fits. first: the first day of any order.

        Raises CannotFit where too few bought again.
        """
        told = buyer_histories(asked)
        again = int(told.customers[told.frequency > 0].sum())
        if again < ENOUGH:
            raise CannotFit(
                f"{again:,} customers bought again, and fewer than {ENOUGH} do not tell how often people buy; "
                "wait for more orders"
            )
        name, tried, since = choose(asked, first, models)
        model = made(name).fit_histories(grouped(told))
        notes = [f"{name}: {note.text}" for note in model.notes_]
        money, flat = _spend(asked, told, notes)
        return cls(asked, told, model, name, tried, since, money, flat, ahead, v, tuple(notes))

    # ---------------------------------------------------------------------------------------------------- purchases

    @property
    def _discounts(self) -> Real:
        """What a purchase of month k ahead counts: it falls in the month's middle."""
        return np.asarray(self.v ** (np.arange(self.ahead) + 0.5))

    def purchases(self, model: PurchaseModel, x: Any, t_x: Any, T: Any) -> tuple[Real, Real, Real]:
        """(alive, purchases to come, the same discounted) of each history, in days."""
        alive = model.probability_alive(x, t_x / 7, T / 7)
        pairs, place = np.unique(np.stack([x, T]), axis=1, return_inverse=True)
        place = np.ravel(place)
        so_far = np.zeros(pairs.shape[1])
        discounted = np.zeros(pairs.shape[1])
        for month, discount in enumerate(self._discounts):
            until = model.purchases_if_alive((month + 1) * WEEKS_A_MONTH, pairs[0], pairs[1] / 7)
            discounted += discount * (until - so_far)
            so_far = until
        return alive, alive * so_far[place], alive * discounted[place]

    def mean_values(self, x: Any, repeat: Any, customers: Any = 1.0) -> Real:
        """The expected value of a purchase, summed over the customers of each history (linear in what they spent)."""
        if self.money is None:
            return np.asarray(np.broadcast_to(self.flat, np.shape(x)) * customers)
        p, q, v = (self.money.parameters_[name] for name in ("p", "q", "v"))
        return np.asarray(p * (v * customers + repeat) / (p * x + q - 1))

    @cached_property
    def _told(self) -> tuple[Real, Real, Real, Real]:
        """(alive, purchases, discounted purchases, summed value) of each row of the histories."""
        h = self.histories
        alive, purchases, discounted = self.purchases(self.model, h.frequency, h.recency, h.age)
        return alive, purchases, discounted, discounted * self.mean_values(h.frequency, h.repeat, h.customers)

    @cached_property
    def _worlds(self) -> Real:
        """How the total value differs from world to world, as a factor: other parameters, the same customers."""
        h = self.histories
        step = max(1, len(h) // _SAMPLE)
        rows = slice(None, None, step)
        rng = np.random.default_rng(self.seed)
        weight = self.mean_values(h.frequency[rows], h.repeat[rows], h.customers[rows])
        base = self.purchases(self.model, h.frequency[rows], h.recency[rows], h.age[rows])[2] @ weight
        found = np.empty(DRAWS)
        for i in range(DRAWS):
            drawn = another(self.model, rng)
            found[i] = self.purchases(drawn, h.frequency[rows], h.recency[rows], h.age[rows])[2] @ weight / base
        spread = 0.0
        if self.money is not None:
            n = float(self.money.weights_.sum())
            spread = float(self.money.value_.std() / self.money.value_.mean()) / np.sqrt(max(n, 1.0))
        return np.asarray(found * np.exp(rng.normal(0, spread, DRAWS)))

    @cached_property
    def _chance(self) -> tuple[Any, Real, Real]:
        """Of histories looked at: their places, and mean and mean square of discounted purchases by chance."""
        h = self.histories
        rng = np.random.default_rng(self.seed + 1)
        step = max(1, len(h) // _SAMPLE)
        rows = np.arange(0, len(h), step)
        counts = futures(
            self.model, h.frequency[rows], h.recency[rows] / 7, h.age[rows] / 7, self._discounts, rng, _LIVES
        )
        return rows, counts.mean(axis=1), (counts**2).mean(axis=1)

    def sums(self) -> dict[str, BuyerSum]:
        """By segment's text."""
        h = self.histories
        alive, purchases, discounted, value = self._told
        rows, mean, square = self._chance
        each = self.mean_values(h.frequency[rows], h.repeat[rows] / h.customers[rows])
        p, q = (self.money.parameters_[n] for n in ("p", "q")) if self.money is not None else (1e9, 1e9)
        free = p * h.frequency[rows] + q - 2
        of_mean = each**2 / np.where(free > 1, free, 1.0)
        variance = each**2 * np.maximum(square - mean**2, 0) + square * of_mean + mean * (each**2 + of_mean) / p
        # What chance does to a customer goes with the square of his expected value: scaled up from those looked at.
        share = float((h.customers[rows] @ variance) / max(float(h.customers[rows] @ (mean * each) ** 2), 1e-12))
        square_of_sums = (discounted**2) * self._squared_values()
        found = {}
        for seg in sorted(set(h.seg)):
            mine = h.seg == seg
            total = float(value[mine].sum())
            bought = float(discounted[mine] @ h.customers[mine])
            found[seg] = BuyerSum(
                int(h.customers[mine].sum()),
                float(alive[mine] @ h.customers[mine]),
                float(purchases[mine] @ h.customers[mine]),
                total,
                share * float(square_of_sums[mine].sum()),
                total * self._worlds,
                float(h.all_minor[mine].sum()),
                total / bought if bought else self.flat,
            )
        return found

    def _squared_values(self) -> Real:
        """The sum over the customers of each history of the squared expected value of a purchase."""
        h = self.histories
        if self.money is None:
            return np.asarray(self.flat**2 * h.customers)
        p, q, v = (self.money.parameters_[name] for name in ("p", "q", "v"))
        inner = v**2 * h.customers + 2 * v * h.repeat + h.squares
        return np.asarray(p**2 * inner / (p * h.frequency + q - 1) ** 2)

    def newcomer(self, mean_value: float) -> tuple[float, Real]:
        """What somebody who buys for the first time today brings within the months, the first purchase included."""
        until = self.model.expected_purchases(np.arange(self.ahead + 1) * WEEKS_A_MONTH)
        value = mean_value * (1 + float(np.diff(until) @ self._discounts))
        return value, value * self._worlds

    # -------------------------------------------------------------------------------------------------------- people

    def people(self, top: int | None = None) -> pa.Table:
        """Everybody who ever bought, the most valuable first: customer_id, seg, alive, purchases, value, low, high.

        Before margin, minor units. low, high: by how often this one customer buys again, if at all.
        """
        import pyarrow as pa

        h = self.histories
        alive, purchases, discounted, _ = self._told
        kinds: dict[tuple[int, int, int], int] = {}
        for i, key in enumerate(zip(h.frequency.tolist(), h.recency.tolist(), h.age.tolist(), strict=True)):
            kinds.setdefault(key, i)
        at = np.array(list(kinds.values()))
        rng = np.random.default_rng(self.seed + 2)
        low, high = np.empty(len(at)), np.empty(len(at))
        for begin in range(0, len(at), 2_000):
            rows = at[begin : begin + 2_000]
            counts = futures(
                self.model, h.frequency[rows], h.recency[rows] / 7, h.age[rows] / 7, self._discounts, rng, _LIVES
            )
            low[begin : begin + len(rows)], high[begin : begin + len(rows)] = np.quantile(
                counts, (0.025, 0.975), axis=1
            )
        table = pa.table(
            {
                "frequency": h.frequency[at], "recency": h.recency[at], "age": h.age[at], "alive": alive[at],
                "purchases": purchases[at], "discounted": discounted[at], "low": low, "high": high,
            }
        )  # fmt: skip
        lent = self.asked.facts.engine.lend("value_of_histories", table)
        st, told = self.asked.customers()
        each = f"{float(self.flat)!r}"
        if self.money is not None:
            p, q, v = (float(self.money.parameters_[name]) for name in ("p", "q", "v"))
            repeat = f"CAST(b.repeat_minor AS DOUBLE) / {self.asked.scale}.0"
            each = f"({p!r} * ({v!r} + {repeat}) / ({p!r} * b.frequency + {q - 1!r}))"
        sql = st.render(
            f"SELECT b.customer_id, b.seg, k.alive, k.purchases, k.discounted * {each} AS value, "
            f"k.low * {each} AS low, "
            f"k.high * {each} AS high FROM {told} AS b JOIN {lent} AS k ON k.frequency = b.frequency "
            "AND k.recency = b.recency AND k.age = b.age ORDER BY value DESC, b.customer_id"
            + (f" LIMIT {int(top)}" if top is not None else "")
        )
        return self.asked.facts.engine.table(sql)


def _spend(asked: Bought, told: BuyerHistories, notes: list[str]) -> tuple[GammaGamma | None, float]:
    """Gamma-Gamma on repeat purchases, and the plain mean beside it; the reason where the model does not hold."""
    from tenure.predict.gamma_gamma import GammaGamma

    repeats = float(told.frequency @ told.customers)
    flat = max(float(told.repeat.sum()) / repeats, 0.0) if repeats else 0.0
    x, value, n, step = spending(asked)
    if step > 1:
        notes.append(f"values of purchases are learned from every {step}th repeat buyer")
    if n.sum() < ENOUGH or np.ptp(value) == 0:
        notes.append(
            "what a purchase brings is taken as the mean of all: too few, or all equal, to tell customers apart"
        )
        return None, flat
    model = GammaGamma().fit(x, value, n)
    notes += [f"Gamma-Gamma: {note.text}" for note in model.notes_]
    if model.independence_.holds:
        i = model.independence_
        notes.append(
            f"how much is spent goes with how often by {i.correlation:.2f} ({i.low:.2f} to {i.high:.2f}): near enough "
            "to none for Gamma-Gamma"
        )
    if model.q_ <= 1:
        notes.append(
            "what a purchase brings is taken as the mean of all: a few are so large that the model has no mean"
        )
        return None, flat
    return model, flat


def another(model: PurchaseModel, rng: np.random.Generator) -> PurchaseModel:
    """The same model with parameters that the data allow as well: drawn by their covariance, on logarithms."""
    values = np.array([model.parameters_[name] for name in model.names])
    spread = np.nan_to_num(model.covariance_ / np.outer(values, values))
    sizes, vectors = np.linalg.eigh(spread)
    step = vectors @ (np.sqrt(np.clip(sizes, 0, 1.0)) * rng.normal(size=len(values)))
    drawn = (float(value) for value in values * np.exp(step))
    return type(model).of(**dict(zip(model.names, drawn, strict=True)))


def futures(
    model: PurchaseModel, x: Any, t_x: Any, T: Any, discounts: Real, rng: np.random.Generator, lives: int
) -> Real:
    """Discounted purchases in `lives` possible futures of each history: (history, life). Times in weeks.

    While a customer, the rate is Gamma(r + x, alpha + T); he stops after a purchase with a chance Beta(a, b + x), or at
    a time with rate Gamma(s, beta + T).
    """
    n = len(x)
    get = model.parameters_
    shape = (n, lives)
    is_alive = rng.random(shape) < model.probability_alive(x, t_x, T)[:, None]
    rate = rng.gamma((get["r"] + x)[:, None], 1 / (get["alpha"] + T)[:, None], shape)
    if "a" in get:
        coins = int(getattr(model, "_coins_before", 0))
        chance = rng.beta(get["a"], np.maximum((get["b"] + x + coins)[:, None], 1e-9), shape)
        gone_at = np.full(shape, np.inf)
    else:
        chance = np.zeros(shape)
        gone_at = rng.exponential(1.0, shape) / np.maximum(
            rng.gamma(get["s"], 1 / (get["beta"] + T)[:, None], shape), 1e-12
        )
    end = len(discounts) * WEEKS_A_MONTH
    found, now = np.zeros(shape), np.zeros(shape)
    going = np.flatnonzero(is_alive)
    flat_now, flat_found = now.ravel(), found.ravel()
    for _ in range(_LAST_PURCHASE):
        if not len(going):
            break
        flat_now[going] += rng.exponential(1.0, len(going)) / np.maximum(rate.ravel()[going], 1e-12)
        going = going[(flat_now[going] < end) & (flat_now[going] < gone_at.ravel()[going])]
        flat_found[going] += discounts[
            np.minimum((flat_now[going] / WEEKS_A_MONTH).astype(np.int64), len(discounts) - 1)
        ]
        going = going[rng.random(len(going)) >= chance.ravel()[going]]
    return flat_found.reshape(shape)


def horizon(months: int) -> int:
    """So many months ahead; BadInput for what is none.

    >>> horizon(36)
    36
    """
    if not 1 <= months <= 120:
        raise BadInput(f"{months} months: value is told for 1 to 120 months ahead")
    return months
