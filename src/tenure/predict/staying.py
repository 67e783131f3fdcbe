"""How long will customers under contract stay, and what will they pay? Curves from counted months, and their doubts.

A customer comes up for a decision when a term ends: each month where the billing interval is a month, once a year where
it is a year. The chance to leave then depends on plan, interval and how many terms lie behind; between terms few leave,
and right after one some do, whose payment failed. Curves are the shifted beta-geometric, the beta-discrete-Weibull, or
the shares that left at each term themselves (Kaplan-Meier, going on at the pace of the last year of them), learned from
all of history or from the last twelve months: whichever made the last months, held back, likeliest.

What an average month hides is kept apart: `notice` (who has said nothing yet seldom leaves within the month), `shocks`
(some months lose more than chance allows; the last ones say where we stand), and growth (what those who stay pay after
a month, by plan and age). All of it can be drawn, which is where intervals come from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tenure.predict.staying_curves import Curve

    Real = NDArray[np.float64]
    Whole = NDArray[np.int64]

AGES = (6, 12, 24)  # of growth, months since joining
LAGS = 3  # months for which those who have said nothing yet differ from all


@dataclass(frozen=True)
class Choice:
    """One way to see a curve, and what it made of the months held back: mean log-likelihood per customer and month."""

    curve: str
    stretch: int | None
    score: float | None

    @property
    def name(self) -> str:
        """As people read it."""
        return self.curve if self.stretch is None else f"{self.curve}, last {self.stretch} months"


@dataclass(frozen=True, eq=False)
class Groups:
    """Customers who are alike, one element each: stratum, months (interval), phase, tenure, ahead (-1: goes on)."""

    stratum: Whole
    months: Whole
    phase: Whole
    tenure: Whole
    ahead: Whole

    def __len__(self) -> int:
        return len(self.stratum)


@dataclass(eq=False)
class Staying:
    """What was learned; see `fit`.

    choices: for monthly and for longer terms, every way that was tried, the best first. shock, memory: variance of a
    month's leavers over those expected beyond chance, and how much of it the next month keeps; level: where the last
    months stand. growth: factor a month by (stratum, age), with its error and its monthly unrest. of_money: leaving
    counted in money over leaving counted in customers, below 1 where the large leave less; of_money_error: its error on
    the scale of logarithms.
    """

    strata: tuple[tuple[str, int], ...]
    choices: dict[str, tuple[Choice, ...]]
    shock: float
    memory: float
    level: float
    notice: Real
    goes: float
    paying: float
    growth: Real
    growth_error: Real
    growth_unrest: float
    unrest: float
    losses: int
    exposure: int
    notes: tuple[str, ...]
    curves: dict[tuple[str, int], Curve] = field(default_factory=dict, repr=False)
    between: dict[int, tuple[float, float]] = field(default_factory=dict, repr=False)
    late: dict[int, tuple[float, float]] = field(default_factory=dict, repr=False)
    of_money: float = 1.0
    of_money_error: float = 0.0

    def stratum(self, plan: str, months: int) -> int:
        """The place of a plan and interval in `strata`; a new one is added, and seen as its interval is."""
        key = (plan, months)
        if key not in self.strata:
            self.strata = (*self.strata, key)
            self.growth = np.vstack([self.growth, np.ones(len(AGES) + 1)])
            self.growth_error = np.vstack([self.growth_error, np.zeros(len(AGES) + 1)])
        return self.strata.index(key)

    @property
    def name(self) -> str:
        """The curves in use, as people read them."""
        names = dict.fromkeys(kinds[0].name for kinds in self.choices.values() if kinds)
        return " / ".join(names) or "no curve"

    def curve(self, plan: str, months: int) -> Curve:
        """The curve of a plan at an interval: its own, its interval's, or that of all."""
        for key in ((plan, months), ("", months), ("", 1 if months == 1 else 12), ("", 0)):
            if key in self.curves:
                return self.curves[key]
        raise AssertionError("there is a curve of all")

    # ------------------------------------------------------------------------------------------------------- looking

    def hazards(self, groups: Groups, ahead: int, draw: Draw | None = None, is_to_come: bool = False) -> Real:
        """The chance to leave within each of the next `ahead` months for who is still there: (group, month).

        is_to_come: of those who are not there yet, from their first month on. What they will have announced by then
        nobody knows, so it is that of all; the shocks of the calendar's months are left to the caller.
        """
        chances = np.empty((len(groups), ahead))
        for stratum in np.unique(groups.stratum):
            rows = np.flatnonzero(groups.stratum == stratum)
            plan, months = self.strata[stratum]
            curve = self.curve(plan, months)
            chances[rows] = self._of_stratum(curve, months, groups, rows, ahead, draw, is_to_come)
        leaving = np.flatnonzero(groups.ahead >= 0)
        if len(leaving):
            lag = np.arange(ahead)[None, :]
            at = groups.ahead[leaving][:, None]
            chances[leaving] = np.where(lag == at, self.goes, np.where(lag < at, 0.0, chances[leaving]))
        return chances

    def _of_stratum(
        self, curve: Curve, months: int, groups: Groups, rows: Whole, ahead: int, draw: Draw | None, is_to_come: bool
    ) -> Real:
        lag = np.arange(ahead)[None, :]
        tenure = groups.tenure[rows][:, None] + lag
        ratio: Any = 1.0 if is_to_come else self.notice[np.minimum(lag, LAGS)]
        shock: Any = 1.0 if is_to_come else self.shocks(ahead, draw)[None, :]
        if months == 1:
            return np.minimum(curve.at(tenure + 1, draw) * ratio * shock, 0.999)
        phase = (groups.phase[rows][:, None] - lag) % months
        terms = np.maximum(np.rint((tenure + 1) / months), 1).astype(np.int64)
        due = curve.at(terms, draw) * ratio
        late, between = self.rates(months, draw)
        return np.minimum(np.where(phase == 0, due, np.where(phase == months - 1, late, between)) * shock, 0.999)

    def shocks(self, ahead: int, draw: Draw | None = None) -> Real:
        """What each of the next months does to every chance to leave, as a factor: fading from where we stand."""
        if draw is not None:
            return draw.shocks[:ahead]
        return np.asarray(1 + (self.level - 1) * self.memory ** (np.arange(ahead) + 1), dtype=np.float64)

    def rates(self, months: int, draw: Draw | None) -> tuple[float, float]:
        """The chances to leave in the month after a term has ended, and between terms, at an interval."""
        late = self.late.get(months) or self.late.get(12) or (0.0, 1.0)
        between = self.between.get(months) or self.between.get(12) or (0.0, 1.0)
        return tuple(  # type: ignore[return-value]
            (lost + 0.5) / (n + 1.0) if draw is None else draw.rate(lost, n) for lost, n in (late, between)
        )

    def survival(self, groups: Groups, ahead: int, draw: Draw | None = None) -> Real:
        """The share of each group still there as the next `ahead` months begin, 1 at the first: (group, month)."""
        chances = self.hazards(groups, ahead, draw)
        stays = np.cumprod(1 - chances, axis=1)
        return np.concatenate([np.ones((len(groups), 1)), stays[:, :-1]], axis=1)

    def payments(self, groups: Groups, ahead: int, draw: Draw | None = None, is_to_come: bool = False) -> Real:
        """What who is still there pays as each of the next months begins, as a factor of today's contract.

        Pauses are shared out: the paying part of all contracts is what each pays. is_to_come: as in `hazards`.
        """
        age = np.minimum(np.arange(ahead)[None, :] + groups.tenure[:, None], 10_000)
        place = np.searchsorted(AGES, age, side="right")
        factors = self.growth[groups.stratum[:, None], place]
        if draw is not None:
            factors = factors * draw.growth_of(self.growth_error)[groups.stratum[:, None], place]
            if not is_to_come:
                factors = factors * draw.months[None, :ahead]
        path = np.cumprod(factors, axis=1)
        return np.concatenate([np.ones((len(groups), 1)), path[:, :-1]], axis=1) * self.paying

    def draw(self, rng: np.random.Generator, ahead: int) -> Draw:
        """One world that the data allow: other curves, and months of their own."""
        shocks = np.empty(ahead)
        now = self.level + rng.normal() * np.sqrt(self.shock * (1 - self.memory**2)) / 2
        for month in range(ahead):
            now = 1 + self.memory * (now - 1) + rng.normal() * np.sqrt(self.shock * (1 - self.memory**2))
            shocks[month] = min(max(now, 0.05), 4.0)
        months = np.exp(rng.normal(0, self.growth_unrest, ahead)) if self.growth_unrest else np.ones(ahead)
        return Draw(rng, shocks, months)


class Draw:
    """One world: a shock for each month, and parameters drawn once, when they are first asked for."""

    def __init__(self, rng: np.random.Generator, shocks: Real, months: Real) -> None:
        self.rng = rng
        self.shocks = shocks
        self.months = months
        self._made: dict[Any, Any] = {}

    def rate(self, lost: float, n: float) -> float:
        """A chance of which so many of so many are known."""
        key = ("rate", lost, n)
        if key not in self._made:
            self._made[key] = float(self.rng.beta(lost + 0.5, max(n - lost, 0) + 0.5))
        return float(self._made[key])

    def growth_of(self, error: Real) -> Real:
        """Factors around 1 for every stratum and age."""
        if "growth" not in self._made or self._made["growth"].shape != error.shape:
            self._made["growth"] = np.exp(self.rng.normal(0, 1, error.shape) * error)
        return np.asarray(self._made["growth"])

    def money_of(self, error: float) -> float:
        """A factor around 1 for leaving counted in money."""
        return float(self.kept("money", lambda rng: np.exp(rng.normal() * error)))

    def kept(self, key: Any, make: Any) -> Any:
        """What `make` answers, once per world."""
        if key not in self._made:
            self._made[key] = make(self.rng)
        return self._made[key]
