"""What do counted months tell of how long customers stay? Ways to see a curve, judged on months held back.

The months come from predict.customer_months. Every way is learned on all months but the last six and scored by the
likelihood of those; the best is learned again on all of them. What varies from month to month beyond chance, what
those do who have said nothing yet, and what those who stay pay is learned beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import CannotFit
from tenure.predict.staying import AGES, LAGS, Choice, Staying
from tenure.predict.staying_curves import ENOUGH, Curve

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

CURVES = ("sBG", "BdW", "Kaplan-Meier")
STRETCHES = (None, 12)  # months that a curve learns from: all, or the last twelve
HELD_BACK = 6
GROWTH_MONTHS = 24  # that tell what those who stay pay


def columns(past: pa.Table) -> dict[str, Any]:
    """The counts as arrays; money in whole minor units."""
    found: dict[str, Any] = {}
    for name in past.column_names:
        column = past.column(name)
        if name in ("plan_id", "currency"):
            found[name] = np.array(column.to_pylist(), dtype=object)
        elif name in ("before", "stayed", "after", "paid"):
            found[name] = np.array([float(value or 0) for value in column.to_pylist()]) / 1e6
        else:
            kind = np.float64 if name in ("squares", "squared_change") else np.int64
            found[name] = np.asarray(column.to_numpy(), dtype=kind)
    return found


def fit(past: pa.Table, months: int, curves: Sequence[str] = CURVES) -> Staying:
    """What these counted months tell of the next ones; see the module. months: how many there are, the last one whole.

    Raises CannotFit where nobody was ever under observation.
    """
    rows = columns(past)
    if not len(rows["w"]) or not rows["customers"].sum():
        raise CannotFit("no customer under contract was watched for a whole month; load more history")
    return _Learning(rows, months, curves).done()


class _Learning:
    """The steps of `fit`, on one set of rows."""

    def __init__(self, rows: dict[str, Any], months: int, curves: Sequence[str]) -> None:
        self.rows, self.months, self.curves = rows, months, curves
        self.n, self.lost = rows["customers"].astype(float), rows["lost"].astype(float)
        self.due = rows["phase"] == 0
        length = rows["months"]
        self.term = np.where(
            length == 1, rows["tenure"] + 1, np.maximum(np.rint((rows["tenure"] + 1) / length), 1)
        ).astype(np.int64)
        self.first_w = int(rows["w"].min())

    def pairs(self) -> set[tuple[str, int]]:
        """Every plan and interval (months) there is."""
        return {(str(p), int(m)) for p, m in zip(self.rows["plan_id"], self.rows["months"], strict=True)}

    def strata(self, where: Any) -> list[tuple[str, int]]:
        """Plans and intervals of their own, then each interval, then all: keys of counts to learn a curve from."""
        own = []
        pairs = sorted(self.pairs())
        for plan, months in pairs:
            mine = where & self.due & (self.rows["plan_id"] == plan) & (self.rows["months"] == months)
            if self.lost[mine].sum() >= ENOUGH and plan:
                own.append((plan, months))
        found: list[tuple[str, int]] = [*own]
        for months in sorted({months for _, months in pairs}):
            if self.n[where & self.due & (self.rows["months"] == months)].sum() >= ENOUGH:
                found.append(("", months))
        return [*found, ("", 0)]

    def of_key(self, key: tuple[str, int]) -> Any:
        """The rows that come up for a term in this stratum."""
        plan, months = key
        mine = self.due.copy()
        if plan:
            mine &= self.rows["plan_id"] == plan
        if months:
            mine &= self.rows["months"] == months
        return mine

    def counts(self, mine: Any) -> tuple[Real, Real]:
        most = int(self.term[mine].max(initial=1))
        size = most + 1
        at_risk = np.bincount(self.term[mine], self.n[mine], minlength=size)[1:]
        lost = np.bincount(self.term[mine], self.lost[mine], minlength=size)[1:]
        return np.asarray(at_risk, float), np.asarray(lost, float)

    def curve(self, kind: str, mine: Any) -> Curve:
        at_risk, lost = self.counts(mine)
        return Curve(kind, at_risk, lost)

    def within(self, stretch: int | None, end: int) -> Any:
        """Rows of the months that a curve learns from, up to month `end`."""
        w = self.rows["w"]
        return (w < end) & (True if stretch is None else w >= end - stretch)

    def choices(self) -> dict[str, tuple[Choice, ...]]:
        """Every way to see a curve, scored on the months held back, for monthly and for longer terms."""
        seen = self.months - self.first_w
        held = min(HELD_BACK, seen // 3)
        found: dict[str, tuple[Choice, ...]] = {}
        for name, mine in (("monthly", self.rows["months"] == 1), ("longer", self.rows["months"] > 1)):
            if not (mine & self.due).any():
                continue
            end = self.months - held
            if held < 1 or self.lost[mine & self.due & (self.rows["w"] < end)].sum() < ENOUGH:
                found[name] = (Choice("sBG" if "sBG" in self.curves else self.curves[0], None, None),)
                continue
            tried = []
            for kind in self.curves:
                for stretch in STRETCHES:
                    if stretch is not None and end - self.first_w <= stretch:
                        continue
                    score = self._held_back(kind, stretch, end, mine)
                    if score is not None:
                        tried.append(Choice(kind, stretch, score))
            found[name] = tuple(sorted(tried, key=lambda one: -(one.score or 0.0)))
        return found

    def _held_back(self, kind: str, stretch: int | None, end: int, mine: Any) -> float | None:
        learn = self.within(stretch, end) & mine
        later = (self.rows["w"] >= end) & mine & self.due
        total = float(self.n[later].sum())
        if not total or not self.lost[learn & self.due].sum():
            return None
        keys = [key for key in self.strata(learn) if key != ("", 0)]
        score, done = 0.0, np.zeros(len(later), dtype=bool)
        for key in [*keys, ("", 0)]:
            part = self.of_key(key) & later & ~done
            if not part.any():
                continue
            done |= part
            curve = self.curve(kind, self.of_key(key) & learn)
            score += curve.log_likelihood(*self.counts(part))
        return score / total

    def done(self) -> Staying:
        choices = self.choices()
        everything = np.ones(len(self.n), dtype=bool)
        curves: dict[tuple[str, int], Curve] = {}
        for key in self.strata(everything):
            months = key[1]
            name = "monthly" if months == 1 or "longer" not in choices else "longer"
            if months == 0:
                name = next(iter(choices), "monthly")
            best = choices[name][0] if choices.get(name) else Choice("sBG", None, None)
            mine = self.of_key(key) & self.within(best.stretch, self.months)
            if self.lost[mine].sum() < 1 or self.n[mine].sum() < 1:
                mine = self.of_key(key)
            if self.n[mine].sum() < 1:
                mine = everything
            kind = best.curve if self.lost[mine].sum() > 0 else "Kaplan-Meier"
            curves[key] = self.curve(kind, mine)
        strata = tuple(sorted(self.pairs()))
        found = Staying(
            strata, choices, 0.0, 0.0, 1.0, np.ones(LAGS + 1), 1.0, 1.0,
            np.ones((len(strata), len(AGES) + 1)), np.zeros((len(strata), len(AGES) + 1)), 0.0, 0.0,
            int(self.lost.sum()), int(self.n.sum()), (), curves,
        )  # fmt: skip
        self._between_terms(found)
        expected = self._expected(found)
        self._notice(found, expected)
        self._shocks(found, expected)
        self._growth(found)
        self._of_money(found, expected)
        found.notes = tuple(self._notes(found))
        return found

    def _between_terms(self, found: Staying) -> None:
        length, phase = self.rows["months"], self.rows["phase"]
        for months in np.unique(length):
            if months == 1:
                continue
            for to, mine in ((found.late, phase == months - 1), (found.between, (phase > 0) & (phase < months - 1))):
                rows = mine & (length == months)
                to[int(months)] = (float(self.lost[rows].sum()), float(self.n[rows].sum()))

    def _expected(self, found: Staying) -> Real:
        """The chance to leave of every row, by the curves alone."""
        chance = np.zeros(len(self.n))
        for plan, months in self.pairs():
            rows = np.flatnonzero((self.rows["plan_id"] == plan) & (self.rows["months"] == months))
            by_curve = found.curve(plan, months).at(self.term[rows])
            if months > 1:
                late, between = found.rates(months, None)
                phase = self.rows["phase"][rows]
                by_curve = np.where(phase == 0, by_curve, np.where(phase == months - 1, late, between))
            chance[rows] = by_curve
        return chance

    def _notice(self, found: Staying, chance: Real) -> None:
        """Of those who had said nothing so many months earlier: leavers over those the curves expect."""
        notice = self.rows["notice"]
        ratios = []
        for lag in range(LAGS):
            mine = self.due & (notice <= lag)
            expected = float(self.n[mine] @ chance[mine])
            ratios.append(float(self.lost[mine].sum()) / expected if expected > 0 else 1.0)
        whole = float(self.n[self.due] @ chance[self.due])
        base = float(self.lost[self.due].sum()) / whole if whole > 0 else 1.0
        found.notice = np.array([min(max(ratio / base, 0.02), 1.0) if base else 1.0 for ratio in ratios] + [1.0])
        going = (notice > 0) & (self.rows["goes"] == 1)
        n = float(self.n[going].sum())
        found.goes = (float(self.lost[going].sum()) + 0.99) / (n + 1.0)

    def _shocks(self, found: Staying, chance: Real) -> None:
        """How much months differ beyond chance, how long that lasts, and where the last months stand."""
        w = self.rows["w"]
        many = self.months - self.first_w
        lost = np.bincount(w - self.first_w, self.lost, minlength=many)
        expected = np.maximum(np.bincount(w - self.first_w, self.n * chance, minlength=many), 1e-9)
        enough = expected >= 3
        if enough.sum() < 6:
            return
        ratio, e = (lost / expected)[enough], expected[enough]
        weight = e / e.sum()
        mean = float(weight @ ratio)
        spread = float(weight @ (ratio - mean) ** 2)
        shock = max(spread - mean * float(weight @ (1 / e)), 0.0)
        # Two neighbours share no chance of their own, so what they have in common is the shock alone.
        both = (ratio[1:] - mean) * (ratio[:-1] - mean)
        found.shock = min(shock, 1.0)
        if shock > 0:
            found.memory = float(np.clip(both.mean() / shock, 0.0, 0.97))
            a = 1 / shock
            last = slice(max(len(ratio) - 3, 0), None)
            found.level = float((ratio[last] @ e[last] + a) / (e[last].sum() + a))

    def _growth(self, found: Staying) -> None:
        """What those who stay pay after a month, by plan and age, in shares of what currencies pay on average."""
        rows = self.rows
        recent = rows["w"] >= self.months - GROWTH_MONTHS
        scale = _mean_contract(rows, self.n)
        unit = np.array([scale[currency] for currency in rows["currency"]])
        before, after = rows["stayed"] / unit, rows["after"] / unit
        moved = rows["squared_change"] / unit**2
        squares = rows["squares"] / unit**2
        band = np.searchsorted(AGES, rows["tenure"], side="right")
        all_before = float(before[recent].sum())
        if not all_before:
            return
        # What a customer's payment wanders in a month, as a share of it: the pull behind every error here.
        found.unrest = float(np.sqrt(moved[recent].sum() / max(squares[recent].sum(), 1e-12)))
        mean = float(after[recent].sum()) / all_before
        for place, (plan, months) in enumerate(found.strata):
            own = recent & (rows["plan_id"] == plan) & (rows["months"] == months)
            of_plan, _ = _drawn_in(before[own].sum(), after[own].sum(), squares[own].sum(), found.unrest, mean)
            for age in range(len(AGES) + 1):
                mine = own & (band == age)
                found.growth[place, age], found.growth_error[place, age] = _drawn_in(
                    before[mine].sum(), after[mine].sum(), squares[mine].sum(), found.unrest, of_plan
                )
        w = rows["w"]
        by_month = [
            (float(before[w == m].sum()), float(after[w == m].sum()), float(squares[w == m].sum()))
            for m in range(max(self.months - GROWTH_MONTHS, self.first_w), self.months)
        ]
        told = [(b, a / b, s) for b, a, s in by_month if b > 0]
        if len(told) >= 6:
            ratios = np.array([ratio for _, ratio, _ in told])
            chance = np.array([found.unrest**2 * s / b**2 for b, _, s in told])
            found.growth_unrest = float(np.sqrt(max(ratios.var(ddof=1) - chance.mean(), 0.0)))
        total = float(rows["before"].astype(float) @ (1 / unit))
        found.paying = min(float((rows["paid"] / unit).sum()) / total, 1.0) if total else 1.0

    def _of_money(self, found: Staying, chance: Real) -> None:
        """Whether those who pay much leave less than those who pay little, plan and age being equal."""
        rows = self.rows
        scale = _mean_contract(rows, self.n)
        unit = np.array([scale[currency] for currency in rows["currency"]])
        gone, before = (rows["before"] - rows["stayed"]) / unit, rows["before"] / unit
        expected, people = float(before @ chance), float(self.n @ chance)
        left = float(self.lost.sum())
        if left < ENOUGH or gone.sum() <= 0 or expected <= 0:
            return
        ratio = float(gone.sum()) / expected * people / left
        error = float((rows["squares"] / unit**2) @ chance) / expected**2
        prior = 0.3**2  # by so much, give or take, money leaves less or more than customers do
        share = prior / (prior + error)
        found.of_money = float(np.exp(share * np.log(ratio)))
        found.of_money_error = float(np.sqrt(share * error))

    def _notes(self, found: Staying) -> list[str]:
        notes = []
        if not self.lost.sum():
            notes.append("nobody left in the months that are known: that everybody stays is an extrapolation")
        seen = self.months - self.first_w
        if seen < 12:
            notes.append(f"only {seen} months are known: seasons and later years are beyond them")
        return notes


def _mean_contract(rows: dict[str, Any], n: Real) -> dict[str, float]:
    """What a customer pays a month on average, by currency: what makes currencies comparable without a rate."""
    found: dict[str, float] = {}
    for currency in sorted(set(rows["currency"])):
        mine = rows["currency"] == currency
        found[currency] = max(float(rows["before"][mine].sum()) / max(float(n[mine].sum()), 1.0), 1e-9)
    return found


def _drawn_in(before: float, after: float, squares: float, unrest: float, mean: float) -> tuple[float, float]:
    """A growth factor drawn towards a mean the less is known of it, and its error on the scale of logarithms."""
    if before <= 0:
        return mean, 0.0
    ratio = after / before
    error = unrest**2 * squares / before**2
    prior = 0.01**2  # plans and ages differ by about a hundredth a month
    share = prior / (prior + error)
    return mean + share * (ratio - mean), float(np.sqrt(share * error))
