"""A whole company in a workspace whose chance to lose each customer in each month is known, because we chose it.

    company = simulate(customers=3000, months=16, seed=1)
    shop = company.opened(folder)                     a workspace with its facts
    company.truth("2025-03-01", names)                the true chance of each of these customers to decide in that month
    company.paid(cut, ahead)                          what those there at the cut will really pay in each month to come

The chance of a month rests on what the facts tell as it begins: usage of 28 days, tickets open, failed payments in a
row, plan, seats and tenure. So nobody can foretell better than these chances do: they are the oracle. Decisions fall
between the 11th and the 27th of a month, so that a window of 30 days holds one month's decisions, with and without a
week of lead. Some ask to leave and are gone at the next renewal; of others nobody knows until they are gone; cards that
fail for good are gone a month after. With strength 0 all have one chance: the null world.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import tenure
from tenure.kernel.time import add_months
from tenure.predict.replay import BASE, MODEL, Replayed
from tenure.simulate.months import NEVER
from tenure.simulate.sheets import joined, sheet, words

DAY = 86_400_000_000
HOUR = DAY // 24
FOREVER = np.iinfo(np.int64).max
PLANS = ("basic", "team", "pro")
PRICE = np.array([2_900, 5_900, 9_900])
BEFORE = 12  # months of history before the first one that counts, so that the company has settled
LAST = date(2026, 7, 1)
_WEEKS = (25, 18, 11, 4)  # days before a month begins at which its usage is told

Real = np.ndarray[Any, np.dtype[np.float64]]
Whole = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(eq=False)
class KnownCompany:
    """See the module. months: firsts of all months that facts tell of, the first BEFORE being settling in."""

    months: list[date]
    joined: Whole  # microseconds
    mrr: Whole  # minor units
    ends: Whole  # when each is gone, FOREVER where he stays to the end of all that was drawn
    said_at: Whole  # when he said so
    chances: dict[date, tuple[Whole, Real]] = field(default_factory=dict)  # by month: numbers of customers, chances
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)

    @property
    def cut(self) -> date:
        """The day after the last one that facts tell of."""
        return add_months(self.months[-1], 1)

    def opened(self, folder: Path) -> tenure.Workspace:
        """A new workspace with the facts."""
        shop = tenure.open(folder, create=True, currency="USD")
        loaded = pa.scalar(datetime(2026, 11, 1, tzinfo=UTC), pa.timestamp("us", tz="UTC"))
        for name, parts in self.tables.items():
            table = pa.concat_tables(parts)
            table = table.append_column("loaded_at", pa.repeat(loaded, table.num_rows))
            assert shop.lake.append_arrow(name, table, load_id=name, repeats_keys=False)
        return shop

    def truth(self, month: date, names: Any) -> Real:
        """The true chance of these customers to decide to leave in a month; KeyError for one who was not there."""
        who, chance = self.chances[month]
        known = dict(zip(who.tolist(), chance.tolist(), strict=True))
        return np.array([known[int(str(name).removeprefix("c"))] for name in names])

    def truths(self, cut_off: Any, names: Any) -> Real:
        """The same for rows of several months; cut_off: microseconds of each row's month."""
        found = np.empty(len(names))
        for at in np.unique(cut_off):
            here = cut_off == at
            found[here] = self.truth(datetime.fromtimestamp(int(at) / 1e6, UTC).date(), np.asarray(names)[here])
        return found

    def paid(self, ahead: int) -> Real:
        """(ahead,) minor units paid as each month from the cut on begins, by who is there at the cut."""
        cut = micros(self.cut)
        here = (self.joined < cut) & (self.ends > cut)
        starts = [micros(add_months(self.cut, k)) for k in range(ahead)]
        return np.array([float(self.mrr[here & (self.ends > at)].sum()) for at in starts])


@dataclass(frozen=True)
class BesideOracle:
    """What a model said of some rows beside their true chances. month: None for all; gain: the share of the log-loss
    gain from the base rate to the truth, by the true chances; slope: of the truth's log odds on those said."""

    month: date | None
    rows: int
    left: int
    true_to_said: float
    left_to_said: float
    slope: float
    gain: float


def beside_the_oracle(replayed: Replayed, truth: Real) -> list[BesideOracle]:
    """All rows of a replay together, then month by month."""

    def of(here: Any, month: date | None) -> BesideOracle:
        said, base, true = replayed.said[MODEL][here], replayed.said[BASE][here], truth[here]

        def loss(p: Real) -> float:
            return float(-(true * np.log(p) + (1 - true) * np.log1p(-p)).mean())

        gain = (loss(base) - loss(said)) / (loss(base) - loss(true))
        left, total = int(replayed.left[here].sum()), float(said.sum())
        return BesideOracle(month, len(true), left, float(true.sum()) / total, left / total, _slope(true, said), gain)

    every: list[tuple[Any, date | None]] = [(np.full(len(truth), True), None)]
    for at in np.unique(replayed.cut_off):
        every.append((replayed.cut_off == at, datetime.fromtimestamp(int(at) / 1e6, UTC).date()))
    return [of(here, month) for here, month in every]


def _slope(true: Real, said: Real) -> float:
    """The slope of a logistic regression of true chances on the log odds said; NaN where one was said of all."""
    odds = np.log(said) - np.log1p(-said)
    if np.ptp(odds) < 1e-9:
        return float("nan")
    design, b = np.column_stack([np.ones(len(odds)), odds]), np.array([0.0, 1.0])
    for _ in range(30):
        mu = 1 / (1 + np.exp(-design @ b))
        b = b + np.linalg.solve((design * (mu * (1 - mu))[:, None]).T @ design, design.T @ (true - mu))
    return float(b[1])


def micros(day: date) -> int:
    """The day's first instant, UTC."""
    return (day - date(1970, 1, 1)).days * DAY


def simulate(
    customers: int, months: int, seed: int, strength: float = 1.0, ahead: int = 0, season: float = 0.0
) -> KnownCompany:
    """`customers` who ever came, `months` that count, and `ahead` more of which no fact tells.

    season: how far the log odds of leaving swing over the year.
    """
    rng = np.random.default_rng(seed)
    n = customers
    first = add_months(LAST, -(months + BEFORE))
    told = [add_months(first, k) for k in range(months + BEFORE)]
    later = [add_months(LAST, k) for k in range(ahead)]
    # Half were there when the company settled, the others come all along.
    begin, end = micros(first), micros(LAST)
    share = np.where(rng.random(n) < 0.5, rng.random(n) * BEFORE / (BEFORE + months), rng.random(n))
    came = (begin + (share * (end - begin)).astype(np.int64)) // DAY * DAY + 9 * HOUR
    plan = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    seats = rng.integers(1, 30, n)
    billed = rng.integers(1, 28, n)  # the day of the month on which the card is charged
    lean = np.array([0.5, 0.0, -0.5])[plan]
    company = KnownCompany(told, came, PRICE[plan] * seats, np.full(n, FOREVER), np.full(n, NEVER))
    facts = _Facts(company, rng, plan, seats)
    facts.joins()
    mood, in_a_row = rng.normal(size=n), np.zeros(n, np.int64)
    decided = np.full(n, FOREVER)
    open_until: list[tuple[Whole, Whole]] = []
    for before, month in pairwise([*told, *later]):
        at, since = micros(month), micros(before)
        mood = 0.8 * mood + 0.6 * rng.normal(size=n)
        here = (came < at) & (company.ends > since)
        use = facts.usage(here, at, mood)
        asks = np.flatnonzero(here & (rng.random(n) < 0.25))
        opened = since + (5 + 20 * rng.random(len(asks))) * DAY
        length = np.where(rng.random(len(asks)) < 0.35, 45, 3) * DAY
        late = opened > came[asks]
        asks, opened, length = asks[late], opened[late], length[late]
        closed = (opened + length).astype(np.int64)
        facts.tickets(asks, opened.astype(np.int64), closed, month)
        open_until = [*open_until[-2:], (asks, closed)]
        tickets = sum(np.bincount(who[until > at], minlength=n) for who, until in open_until)
        charged = since + (billed - 1) * DAY + 6 * HOUR
        tries = here & (charged > came)
        fails = tries & (rng.random(n) < 0.07)
        facts.payments(tries, fails, charged, month)
        in_a_row = np.where(fails, in_a_row + 1, np.where(tries, 0, in_a_row))
        # What is known as the month begins, and what comes of it.
        swing = season * np.sin(2 * np.pi * (month.month - 1) / 12)
        score = -0.9 * use + 0.5 * np.minimum(tickets, 3) + lean + 0.5 * (at - came < 90 * DAY)
        score = score + 0.8 * ((use < -0.5) & (seats > 15)) + swing
        by_choice = 1 / (1 + np.exp(-(-4.0 + strength * score)))
        by_card = 0.004 + strength * 0.12 * (in_a_row > 0)
        total = 1 - (1 - by_choice) * (1 - by_card)
        now = np.flatnonzero((came < at) & (decided == FOREVER))
        company.chances[month] = (now, total[now])
        goes = now[rng.random(len(now)) < total[now]]
        when = at + ((10 + 16 * rng.random(len(goes))) * DAY).astype(np.int64)
        chosen = rng.random(len(goes)) < (by_choice / (by_choice + by_card))[goes]
        decided[goes] = when
        facts.leave(goes, when, chosen, rng.random(len(goes)) < 0.7)
    facts.states()
    return company


class _Facts:
    """Writes down what happens, as long as facts tell of it."""

    def __init__(self, company: KnownCompany, rng: np.random.Generator, plan: Whole, seats: Whole) -> None:
        self.company, self.rng, self.plan, self.seats = company, rng, plan, seats
        self.end = micros(LAST)
        self.rows: list[dict[str, Any]] = []

    def add(self, table: str, rows: pa.Table) -> None:
        if rows.num_rows:
            self.company.tables.setdefault(table, []).append(rows)

    def joins(self) -> None:
        who = np.arange(len(self.plan))
        self.rows.append({"who": who, "at": self.company.joined, "status": np.zeros(len(who), np.int64)})

    def usage(self, here: Any, at: int, mood: Real) -> Real:
        """Write down the four weeks before a month; the level that the month's chance rests on."""
        total = np.zeros(len(mood))
        for week in _WEEKS:
            when = at - week * DAY + 12 * HOUR
            uses = here & (self.company.joined < when) & (self.company.ends > when)
            uses &= self.rng.random(len(mood)) < 1 / (1 + np.exp(-2.2 - 1.2 * mood))
            quantity = np.floor(np.exp(3.0 + 0.5 * mood) + self.rng.random(len(mood)))
            total += np.where(uses, quantity, 0)
            who = np.flatnonzero(uses & (quantity > 0))
            if when < self.end - HOUR:
                self.add(
                    "usage",
                    sheet(
                        "usage", len(who), usage_id=joined("u", who, str(when // DAY)), customer_id=_name(who),
                        feature="runs", happened_at=np.full(len(who), when), quantity=quantity[who],
                        recorded_at=np.full(len(who), when + HOUR),
                    ),
                )  # fmt: skip
        return np.clip((np.log1p(total) - 4.3) / 0.55, -3.0, 2.5)

    def tickets(self, who: Whole, opened: Whole, closed: Whole, month: date) -> None:
        told = opened < self.end - HOUR
        who, opened, closed = who[told], opened[told], closed[told]
        self.add(
            "tickets",
            sheet(
                "tickets", len(who), ticket_id=joined("t", who, month.isoformat()), customer_id=_name(who),
                opened_at=opened, first_replied_at=opened + 2 * HOUR, resolved_at=closed, recorded_at=opened + HOUR,
            ),
        )  # fmt: skip

    def payments(self, tries: Any, fails: Any, charged: Whole, month: date) -> None:
        who = np.flatnonzero(tries & (charged < self.end - HOUR))
        self.add(
            "payments",
            sheet(
                "payments", len(who), payment_id=joined("p", who, month.isoformat()), kind="charge",
                customer_id=_name(who), attempted_at=charged[who], amount_minor=self.company.mrr[who], currency="USD",
                outcome=words(("succeeded", "failed"), fails[who].astype(np.int64)), recorded_at=charged[who] + HOUR,
            ),
        )  # fmt: skip

    def leave(self, who: Whole, when: Whole, chosen: Any, says: Any) -> None:
        """Who says so is gone at the next renewal, at most a month later; of the others it shows after 30 days."""
        says = says & chosen
        since = (when - self.company.joined[who]) // DAY
        renewal = self.company.joined[who] + (since // 30 + 1) * 30 * DAY
        gone = np.where(says, renewal, when + 30 * DAY)
        self.company.ends[who] = gone
        self.company.said_at[who[says]] = when[says]
        self.rows.append({"who": who[says], "at": when[says], "status": np.full(says.sum(), 1)})
        self.rows.append({"who": who, "at": gone, "status": np.where(says, 2, np.where(chosen, 3, 4))})

    def states(self) -> None:
        """The states of everybody: here, said to go, gone (after saying so, unsaid, by a card)."""
        who, at, status = (np.concatenate([row[name] for row in self.rows]) for name in ("who", "at", "status"))
        told = at < self.end - HOUR
        who, at, status = who[told], at[told], status[told]
        said, ends = self.company.said_at[who], self.company.ends[who]
        self.add(
            "subscription_states",
            sheet(
                "subscription_states", len(who), subscription_id=joined("s", who), item_id=joined("s", who),
                effective_at=at, customer_id=_name(who), status=words(("active", "canceled"), (status >= 2) * 1),
                plan_id=words(PLANS, self.plan[who]), interval="month", interval_count=np.ones(len(who), np.int64),
                quantity=self.seats[who], amount_minor=self.company.mrr[who], currency="USD",
                cancel_at=np.where((status == 1) | (status == 2), ends, NEVER),
                cancel_requested_at=np.where((status == 1) | (status == 2), said, NEVER),
                cancel_actor=words(("customer", "dunning"), np.where(status == 0, -1, (status == 4) * 1)),
                recorded_at=at + HOUR // 4,
            ),
        )  # fmt: skip


def _name(who: Whole) -> pa.Array:
    return joined("c", who, between="")
