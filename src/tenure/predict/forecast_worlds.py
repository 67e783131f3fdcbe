"""What may the next months bring? Worlds that the data allow, and in each of them what chance may do.

A world is a set of curves, months of its own and a level of new business, drawn from what is not known of them. In
each, customers leave one by one by chance, newcomers come and leave as newcomers do, and money follows: each kind's
contract, what those who stay come to pay, and how unequal customers are. What-ifs share worlds with the forecast they
change, so that a what-if that changes nothing is the forecast itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import BadInput
from tenure.predict.forecast_book import Book
from tenure.predict.staying import Draw, Groups
from tenure.predict.what_if import WhatIf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tenure.predict.support_load import SupportLoad

    Real = NDArray[np.float64]

WORLDS = 200
LIVES = 5  # of each world
SHARES = (0.025, 0.1, 0.9, 0.975)  # the ends of 95 % and of 80 %
COUNTS = ("start", "came", "left", "end", "tickets", "agents")
_MOST = 0.999
_HARDLY_ANY = 0.001  # a month: of a churn below, points are added to every chance


@dataclass(frozen=True, eq=False)
class Projection:
    """One forecast: by name, what is expected of each month, and the ends of its intervals (end of SHARES, month).

    Names: COUNTS, and by currency `mrr CUR`; of those also `mrr_new`, `mrr_lost` and `mrr_change`, expected only: what
    newcomers bring, what goes with who leaves, and what who stays pays more. worlds: the expected customers and MRR of
    every world (world, month).
    """

    expected: dict[str, Real]
    ends: dict[str, Real]
    worlds: dict[str, Real] = field(repr=False)


@dataclass(frozen=True, eq=False)
class _Rates:
    """One world as the customers of a scenario meet it; months are columns."""

    leaving: Real  # who is there: chance to leave in each month
    staying: Real  # share of them still there at its end
    new_leaving: Real  # (month of coming, month): chance to leave
    new_staying: Real  # the share of a month's newcomers still there at the end of each
    money: dict[str, tuple[Real, Real]]  # existing: MRR at each month's end, and its variance added in each
    new_money: dict[str, Real]  # (month of coming, month): MRR per newcomer who came
    lost: dict[str, Real]
    new_lost: dict[str, Real]  # (month of coming, month), per newcomer who came


class Scenario:
    """What is otherwise, as factors on chances, prices and newcomers. Nothing otherwise: every factor is 1."""

    def __init__(self, asked: Sequence[WhatIf], elasticity: float, book: Book, base: Real | None) -> None:
        self.asked, self.elasticity = tuple(asked), elasticity
        self.churn, self.more = 1.0, 0.0
        self.new = 1.0
        self.prices: dict[str | None, float] = {}
        for one in asked:
            if one.kind == "new":
                self.new *= 1 + one.by
            elif one.kind == "price":
                self.prices[one.plan] = one.by
            elif not one.in_points:
                self.churn *= 1 + one.by
            elif base is not None:
                self._points(one, float(base.mean()))
        self.now = self._rises(book, book.groups)
        self.newcomers = self._rises(book, book.newcomers.groups)

    def _points(self, one: WhatIf, now: float) -> None:
        if now + one.by < 0:
            raise BadInput(
                f"--what-if '{one.text}': on average {100 * now:.2f} % of customers leave in a month without having "
                f"announced it, which cannot fall by {-100 * one.by:g} points"
            )
        if now < _HARDLY_ANY:
            self.more = one.by
        else:
            self.churn = 1 + one.by / now

    def _rises(self, book: Book, groups: Groups) -> Real:
        """By kind, the rise of its price as a share."""
        plans = np.array([book.staying.strata[at][0] for at in groups.stratum], dtype=object)
        found = np.zeros(len(groups))
        for plan, by in self.prices.items():
            found[np.ones(len(groups), bool) if plan is None else plans == plan] = by
        return found

    def chances(self, raw: Real, groups: Groups, rises: Real, announced: bool) -> Real:
        """Chances to leave as they are in this scenario; ends that were announced stay as they are."""
        found = raw
        if self.churn != 1.0 or self.more != 0.0:
            found = np.clip(found * self.churn + self.more, 0.0, _MOST)
        lost = np.clip(-self.elasticity * rises, 0.0, _MOST) if announced else np.zeros(len(groups))
        if lost.any():
            # Each meets the new price once, at his next term.
            at = np.flatnonzero(groups.phase < raw.shape[1])
            found = found.copy()
            found[at, groups.phase[at]] = 1 - (1 - found[at, groups.phase[at]]) * (1 - lost[at])
        if announced and found is not raw:
            told = np.arange(raw.shape[1])[None, :] <= groups.ahead[:, None]
            found = np.where(told, raw, found)
        return found


class Worlds:
    """All that one book allows over the next months; `projected` answers for one scenario or several."""

    def __init__(self, book: Book, ahead: int, load: SupportLoad, seed: int, worlds: int = WORLDS) -> None:
        self.book, self.ahead, self.load, self.seed, self.many = book, ahead, load, seed, worlds
        rng = np.random.default_rng(seed)
        self.draws = [book.staying.draw(rng, ahead + 1) for _ in range(worlds)]

    def scenario(self, asked: Sequence[WhatIf] = (), elasticity: float = 0.0) -> Scenario:
        """What is asked; points of churn are of the average month of the forecast without it."""
        points = any(one.in_points for one in asked)
        return Scenario(asked, elasticity, self.book, self._monthly_churn() if points else None)

    def projected(self, scenarios: Sequence[Scenario]) -> list[Projection]:
        """Each scenario's forecast, in the same worlds."""
        every: list[list[_Rates]] = [[] for _ in scenarios]
        for draw in self.draws:
            raw = self._raw(draw)
            for place, scenario in enumerate(scenarios):
                every[place].append(self._rates(raw, draw, scenario))
        raw = self._raw(None)
        return [self._lived(self._rates(raw, None, one), told, one) for one, told in zip(scenarios, every, strict=True)]

    # ------------------------------------------------------------------------------------------------- one world

    def _raw(self, draw: Draw | None) -> tuple[Real, Real, Real, Real]:
        """(chances, payments) of who is there, and the same of newcomers from the month in which they come."""
        staying, n = self.book.staying, self.ahead
        now, new = self.book.groups, self.book.newcomers.groups
        return (
            staying.hazards(now, n, draw),
            staying.payments(now, n + 1, draw) / staying.paying,
            staying.hazards(new, n, draw, is_to_come=True),
            staying.payments(new, n + 1, draw, is_to_come=True) / staying.paying,
        )

    def _monthly_churn(self) -> Real:
        """Of each month, the share of customers expected to leave without having announced it."""
        raw = self._raw(None)
        book = self.book
        told = np.arange(self.ahead)[None, :] <= book.groups.ahead[:, None]
        before = _begins(_stays(raw[0])) * book.customers[:, None]
        there, left = before.sum(axis=0), np.where(told, 0.0, before * raw[0]).sum(axis=0)
        shocks = book.staying.shocks(self.ahead)
        come = book.newcomers.expected(self.ahead)
        for month in range(self.ahead - 1):
            chances = np.minimum(raw[2][:, : self.ahead - 1 - month] * shocks[month + 1 :], _MOST)
            mine = _begins(_stays(chances)) * book.newcomers.shares[:, None] * come[month]
            there[month + 1 :] += mine.sum(axis=0)
            left[month + 1 :] += (mine * chances).sum(axis=0)
        found = np.divide(left, there, out=np.zeros(self.ahead), where=there > 0)
        return np.asarray(found[there > 0] if (there > 0).any() else found)

    def _rates(self, raw: tuple[Real, Real, Real, Real], draw: Draw | None, scenario: Scenario) -> _Rates:
        book, n = self.book, self.ahead
        staying, new = book.staying, book.newcomers
        chances = scenario.chances(raw[0], book.groups, scenario.now, True)
        ends = _stays(chances)
        begins = _begins(ends)
        # Money leaves as customers do where they are alike in size; who has announced an end takes all of his along.
        weight = staying.of_money * (1.0 if draw is None else draw.money_of(staying.of_money_error))
        told = np.arange(n)[None, :] <= book.groups.ahead[:, None]
        money_ends = _stays(np.where(told, chances, np.minimum(chances * weight, _MOST)))
        money_begins = _begins(money_ends)
        there = book.customers @ begins
        gone = book.customers @ (begins * chances)
        # At a month's end the new price is paid by whose term ended by then.
        risen = 1 + scenario.now[:, None] * (np.arange(n)[None, :] >= book.groups.phase[:, None])
        pays = raw[1][:, 1:] * risen
        paid = _shifted(raw[1][:, :1], pays)
        risk = begins * chances * (1 - chances)
        equal = _over(book.customers @ risk, there)
        money, lost = {}, {}
        for currency in book.currencies:
            contract, squares = book.contract[currency], book.squares[currency]
            share = _ratio(book.paid[currency], float(contract.sum()))
            total = contract @ (money_ends * pays) * share
            # Beyond the chance that counts already have: customers are not equal, and their payments wander.
            unequal = squares @ (risk * pays**2) - equal * there * _over(contract @ (begins * pays), there) ** 2
            variance = np.maximum(unequal, 0.0) + min(staying.unrest, 0.5) ** 2 * (squares @ (ends * pays**2))
            money[currency] = (total, variance * share**2)
            lost[currency] = contract @ ((money_begins - money_ends) * paid) * share
        new_leaving, new_staying = np.zeros((n, n)), np.zeros((n, n))
        new_money = {currency: np.zeros((n, n)) for currency in book.currencies}
        new_lost = {currency: np.zeros((n, n)) for currency in book.currencies}
        shocks = staying.shocks(n, draw)
        months = np.ones(n) if draw is None else draw.months[:n]
        rises = scenario.newcomers
        shares = new.shares * (1 + scenario.elasticity * rises)
        each = shares / max(float(shares.sum()), 1e-300)
        untold = scenario.chances(raw[2], new.groups, rises, False)
        for month in range(n):
            later = np.minimum(untold[:, : n - 1 - month] * shocks[None, month + 1 :], _MOST)
            stays = np.concatenate([np.ones((len(new.groups), 1)), _stays(later)], axis=1)
            alive = each @ stays
            new_staying[month, month:] = alive
            new_leaving[month, month + 1 :] = _over(each @ (stays[:, :-1] * later), alive[:-1])
            kept = _stays(np.minimum(later * weight, _MOST))
            kept = np.concatenate([np.ones((len(new.groups), 1)), kept], axis=1)
            grown = raw[3][:, : n - month] * np.concatenate([[1.0], np.cumprod(months[month + 1 :])])
            for currency in book.currencies:
                # Per newcomer of any kind: the kinds' contracts, less where a price keeps some away.
                per = _over(new.contract[currency], new.shares) * each * (1 + rises)
                new_money[currency][month, month:] = per @ (kept * grown)
                new_lost[currency][month, month + 1 :] = per @ ((kept[:, :-1] - kept[:, 1:]) * grown[:, :-1])
        left = _over(gone, there)
        return _Rates(
            np.clip(left, 0.0, 1.0), _stays(left), new_leaving, new_staying, money, new_money, lost, new_lost
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------- all worlds

    def _lived(self, mean: _Rates, worlds: Sequence[_Rates], scenario: Scenario) -> Projection:
        """What is expected, and where the paths of all worlds end."""
        book, n, new = self.book, self.ahead, self.book.newcomers
        begun = round(float(book.customers.sum()))
        shares = new.shares
        kept = float((shares * (1 + scenario.elasticity * scenario.newcomers)).sum()) / max(float(shares.sum()), 1e-300)
        factor = scenario.new * (kept if shares.any() else 1.0)
        paths = self.many * LIVES
        of = np.repeat(np.arange(self.many), LIVES)
        levels = self._levels(paths) * factor
        expected = self._expected(mean, new.expected(n) * factor, begun)
        found = _paths(self, worlds, of, levels, begun)
        for name, told in found.items():
            if name not in expected:
                expected[name] = told.mean(axis=0)
        ends = {}
        for name, told in found.items():
            low = np.quantile(told, SHARES, axis=0)
            # Chance may put all of what is likely to one side of what is expected, never what is expected outside.
            ends[name] = np.concatenate([np.minimum(low[:2], expected[name]), np.maximum(low[2:], expected[name])])
        by_world = levels.reshape(self.many, LIVES, n).mean(axis=1)
        seen = [self._expected(one, by_world[i], begun) for i, one in enumerate(worlds)]
        names = ("end", *(f"mrr {currency}" for currency in book.currencies))
        return Projection(expected, ends, {name: np.array([one[name] for one in seen]) for name in names})

    def _levels(self, paths: int) -> Real:
        new = self.book.newcomers
        if new.fixed is not None:
            return np.full((paths, self.ahead), new.fixed)
        return new.level.paths(np.random.default_rng([self.seed, 1]), paths, self.ahead)

    def _expected(self, rates: _Rates, came: Real, begun: int) -> dict[str, Real]:
        """What these rates and newcomers come to, without chance."""
        there = begun * rates.staying
        new = came @ rates.new_staying
        end = there + new
        start = _shifted(np.array([float(begun)]), end)
        found = {"start": start, "came": came, "left": start + came - end, "end": end}
        for currency in self.book.currencies:
            brought = came * np.diagonal(rates.new_money[currency])
            found[f"mrr {currency}"] = rates.money[currency][0] + came @ rates.new_money[currency]
            found[f"mrr_new {currency}"] = brought
            found[f"mrr_lost {currency}"] = rates.lost[currency] + came @ rates.new_lost[currency]
            before = _shifted(np.array([self.book.paid[currency]]), found[f"mrr {currency}"])
            found[f"mrr_change {currency}"] = (
                found[f"mrr {currency}"] - before - brought + found[f"mrr_lost {currency}"]
            )
        load = self.load
        if load.rate is not None:
            found["tickets"] = load.rate.level * (start + end) / 2
            if load.per_agent:
                found["agents"] = found["tickets"] / load.per_agent
        return found


def _paths(self: Worlds, worlds: Sequence[_Rates], of: Any, levels: Real, begun: int) -> dict[str, Real]:
    """Every path, month by month: (path, month) by name."""
    book, n, load = self.book, self.ahead, self.load
    rng = np.random.default_rng([self.seed, 2])
    paths = len(of)
    if book.newcomers.fixed is not None:
        came = np.floor(levels + rng.random(levels.shape)).astype(np.int64)
    else:
        came = book.newcomers.level.counts(rng, levels)
    leaving = np.array([one.leaving for one in worlds])
    new_leaving = np.array([one.new_leaving for one in worlds])
    there = np.full(paths, begun, np.int64)
    new = np.zeros((paths, n), np.int64)  # by month of coming
    start, left, end = (np.zeros((paths, n)) for _ in range(3))
    still = np.zeros((paths, n))
    alive = np.zeros((paths, n, n), np.int64)
    for month in range(n):
        start[:, month] = there + new.sum(axis=1)
        gone = rng.binomial(there, leaving[of, month])
        there = there - gone
        if month:
            of_new = rng.binomial(new[:, :month], new_leaving[of, :month, month])
            new[:, :month] -= of_new
            gone = gone + of_new.sum(axis=1)
        new[:, month] = came[:, month]
        left[:, month] = gone
        end[:, month] = there + new.sum(axis=1)
        still[:, month] = there
        alive[:, :, month] = new
    found = {"start": start, "came": came.astype(np.float64), "left": left, "end": end}
    expected = begun * np.array([one.staying for one in worlds])[of]
    for currency in book.currencies:
        total = np.array([one.money[currency][0] for one in worlds])[of]
        added = np.array([one.money[currency][1] for one in worlds])[of]
        # What chance added to the sum goes on as the sum does.
        size = np.maximum(total, 1e-300)
        apart = np.cumsum(rng.normal(size=total.shape) * np.sqrt(added) / size, axis=1)
        money = total * np.maximum(1 + apart, 0.0) * _over(still, expected)
        per = np.array([one.new_money[currency] for one in worlds])[of]
        stays = np.array([one.new_staying for one in worlds])[of]
        unsure = book.newcomers.unsure[currency]
        known = _mean_one(rng, np.full(paths, unsure / max(book.newcomers.seen, 1)))[:, None]
        each = _mean_one(rng, unsure / np.maximum(came, 1)) * known
        money += ((alive * _over(per, stays)) * each[:, :, None]).sum(axis=1)
        found[f"mrr {currency}"] = money
    if load.rate is not None:
        rate = load.rate.paths(rng, paths, n)
        # Counts wander around what is expected of them as those of past months did.
        found["tickets"] = load.rate.counts(rng, rate * (start + end) / 2).astype(np.float64)
        if load.per_agent:
            found["agents"] = found["tickets"] / load.per_agent
    return found


def _mean_one(rng: np.random.Generator, variance: Real) -> Real:
    """Gamma draws with mean 1 and this variance."""
    shape = 1 / np.maximum(variance, 1e-12)
    return np.asarray(rng.gamma(shape, 1 / shape))


def _stays(chances: Real) -> Real:
    """Shares at the end of each month from chances to leave within each."""
    return np.asarray(np.cumprod(1 - chances, axis=-1), dtype=np.float64)


def _begins(ends: Real) -> Real:
    """Shares at the beginning of each month from those at its end."""
    return np.concatenate([np.ones((len(ends), 1)), ends[:, :-1]], axis=1)


def _shifted(first: Real, ends: Real) -> Real:
    """What stood at each month's beginning, from what stands at its end."""
    return np.concatenate([first, ends[..., :-1]], axis=-1)


def _over(above: Real, below: Real) -> Real:
    """A ratio, 0 where there is nothing below."""
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=np.asarray(below) > 0)


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else 0.0
