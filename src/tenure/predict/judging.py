"""Are these probabilities worth believing, and the ranking worth following? Each figure with its interval.

    judged = judge(left, probability)
    judged["auc"]                      Figure(value=0.84, low=0.83, high=0.85, reason=None)
    judged.rows()                      all of them, as a table's rows
    reliability(left, probability)     ten groups: what was said, and what happened

Figures (FIGURES says what each is; docs/explanation/how-predictions-are-judged.md how it is computed):
observed_to_expected, calibration_intercept, calibration_slope, log_loss, brier, auc, pr_auc, top_decile_lift, empc, and
saved_<share> for each contact budget. Intervals are percentile bootstrap intervals over customers. A customer with
several rows is drawn with all of them (`customer`).

A bootstrap of a million customers is made fast by counting: scores are cut into at most 1,000 groups of equal size, and
a draw is one draw of the counts of leavers and stayers per group. The figure itself uses every score; only the width
around it comes from the groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tenure.errors import BadInput, UnknownName
from tenure.kernel.stats import effective_size, wilson_effective
from tenure.predict.profit import Campaign, brought, empc_of_cells, order_of_contact

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]
    Whole = NDArray[np.int64]

# A probability of exactly 0 or 1 that turns out wrong would cost without end.
_SURE = 1e-15
_CELLS = 1000

FIGURES: Mapping[str, str] = {
    "observed_to_expected": "leavers that happened / leavers expected; 1 is right on the whole",
    "calibration_intercept": "by how much the log odds are too low (above 0) or too high, all alike",
    "calibration_slope": "1 is right; below 1 the probabilities are too extreme, above 1 too timid",
    "log_loss": "mean of -log(probability given to what happened); lower is better",
    "brier": "mean squared distance of the probability from what happened; lower is better",
    "auc": "chance that one who left was ranked above one who stayed",
    "pr_auc": "average precision: mean share of leavers among those ranked at least as high as each leaver",
    "top_decile_lift": "leavers among the tenth ranked highest, against the tenth picked blindly",
    "empc": "expected maximum profit per customer of contacting by this ranking (Verbraken)",
    "saved": "profit per customer of the base when this share of it is contacted, best expected gain first",
}


class Figure(NamedTuple):
    """A figure with the interval in which the truth may lie; None with a reason where there is nothing to tell."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Judgement(Mapping[str, Figure]):
    """The figures by name; how many rows were judged, and how many (by weight) were leavers."""

    figures: Mapping[str, Figure]
    rows_judged: int
    leavers: float

    def __getitem__(self, name: str) -> Figure:
        if name not in self.figures:
            raise UnknownName.of("figure", name, self.figures)
        return self.figures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    def rows(self) -> list[dict[str, Any]]:
        """One row per figure: figure, value, low, high, reason, says."""
        return [
            {"figure": name, **each._asdict(), "says": FIGURES["saved" if name.startswith("saved_") else name]}
            for name, each in self.figures.items()
        ]


class Bin(NamedTuple):
    """One group of customers of like probability: what was said and what happened."""

    customers: int
    said: float
    happened: float
    low: float | None
    high: float | None


def judge(
    left: ArrayLike,
    probability: ArrayLike,
    *,
    value: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    customer: ArrayLike | None = None,
    campaign: Campaign | None = None,
    budgets: Sequence[float] = (0.01, 0.05, 0.1, 0.2),
    draws: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> Judgement:
    """Every figure with its interval, for customers whose future the model had not seen.

    left: who left within the horizon; probability: what the model had said; value: each customer's lifetime value for
    `saved` (default: the campaign's); weight: how much each row counts (hold-outs, censoring); customer: who a row is
    about, if some have several; budgets: shares of the base that can be contacted; draws: bootstrap draws.
    Where all left or all stayed, figures that compare the two have no value and say so.
    """
    y, p, w = _told(left, probability, weight)
    plan = campaign or Campaign()
    if any(not 0 < share <= 1 for share in budgets):
        raise BadInput(f"a contact budget is a share of the base above 0 and up to 1, got {list(budgets)}")
    worth = np.full(len(y), plan.value) if value is None else _column(value, len(y), "value")
    exact = _Cells.of(p, y, p, w, np.unique(p, return_inverse=True)[1])
    point = _figures(exact, exact.weights(), plan)
    gain = order_of_contact(p, worth, plan)
    contacts = _Contacts.of(gain, brought(y, worth, plan), w, np.unique(gain, return_inverse=True)[1])
    point |= _saved(contacts, contacts.weights(), budgets)

    rng = np.random.default_rng(seed)
    coarse = _Cells.of(p, y, p, w, _groups(p))
    coarse_contacts = _Contacts.of(gain, brought(y, worth, plan), w, _groups(gain))
    around = _figures(coarse, coarse.weights(), plan) | _saved(coarse_contacts, coarse_contacts.weights(), budgets)
    spread: dict[str, list[Real]] = {name: [] for name in point}
    # Several draws at a time: the figures are computed for all of them at once.
    for some in _batched(_draws(len(y), customer, draws, rng), max(1, 100_000 // coarse.cells)):
        told = _figures(coarse, np.concatenate([coarse.drawn(rows) for rows in some]), plan)
        told |= _saved(coarse_contacts, np.concatenate([coarse_contacts.drawn(rows) for rows in some]), budgets)
        for name, each in told.items():
            spread[name].append(each)
    leavers = float(w @ y)
    reason = None
    if leavers == 0 or leavers >= w.sum():
        reason = "nobody left among those judged" if leavers == 0 else "everybody left among those judged"
    figures = {}
    for name, each in point.items():
        alone = float(each[0])
        if not np.isfinite(alone):
            figures[name] = Figure(None, None, None, reason or "the probabilities are all the same")
            continue
        shifted = np.concatenate(spread[name]) - float(around[name][0]) + alone
        shifted = shifted[np.isfinite(shifted)]
        low, high = np.quantile(shifted, [0.5 - level / 2, 0.5 + level / 2]) if len(shifted) else (None, None)
        figures[name] = Figure(
            alone, None if low is None else min(float(low), alone), None if high is None else max(float(high), alone)
        )
    return Judgement(figures, len(y), leavers)


def reliability(
    left: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None, bins: int = 10, level: float = 0.95
) -> list[Bin]:
    """What was said and what happened, in groups of equal size by probability; rows of like probability stay together.

    happened has its Wilson interval. Fewer groups come back where there are few distinct probabilities.
    """
    y, p, w = _told(left, probability, weight)
    group = _groups(p, bins)
    found = []
    for each in range(int(group.max()) + 1):
        here = group == each
        total = float(w[here].sum())
        if total <= 0:
            continue
        share = float(w[here] @ y[here]) / total
        interval = wilson_effective(share, effective_size(total, float(w[here] @ w[here])), level)
        found.append(Bin(int(here.sum()), float(w[here] @ p[here]) / total, share, *interval))
    return found


def log_losses(left: Real, probability: Real) -> Real:
    """(customers,) -log of the probability given to what happened."""
    p = np.clip(probability, _SURE, 1 - _SURE)
    return np.asarray(-np.where(left > 0, np.log(p), np.log1p(-p)))


# ---------------------------------------------------------------------------------------------------------------------
# Cells: customers of one score, or of one of a thousand groups of scores


@dataclass(frozen=True, eq=False)
class _Cells:
    """Per cell, scores rising: mean log odds, and per leaver and stayer the mean losses; and each row's own place."""

    place: Whole  # per row: 2 x cell + left
    weight: Real  # per row
    cells: int
    said: Real
    odds: Real
    loss: Real  # (2, cells): mean log loss of those who stayed, who left
    square: Real

    @classmethod
    def of(cls, score: Real, y: Real, p: Real, w: Real, cell: Whole) -> _Cells:
        count = int(cell.max()) + 1
        place = (2 * cell + (y > 0)).astype(np.int64)

        def mean(values: Real, of: Whole, size: int) -> Real:
            total = np.bincount(of, weights=w, minlength=size)
            sums = np.bincount(of, weights=w * values, minlength=size)
            return np.asarray(np.divide(sums, total, out=np.zeros(size), where=total > 0))

        clipped = np.clip(p, _SURE, 1 - _SURE)
        return cls(
            place,
            w,
            count,
            mean(p, cell, count),
            mean(np.log(clipped) - np.log1p(-clipped), cell, count),
            mean(log_losses(y, p), place, 2 * count).reshape(count, 2).T,
            mean((y - p) ** 2, place, 2 * count).reshape(count, 2).T,
        )

    def weights(self) -> Real:
        """(1, cells, 2) the weight of stayers and leavers."""
        return self.drawn(np.ones(len(self.place)))

    def drawn(self, rows: Real) -> Real:
        """(1, cells, 2) the same where row i was drawn rows[i] times."""
        sums = np.bincount(self.place, weights=self.weight * rows, minlength=2 * self.cells)
        return np.asarray(sums.reshape(1, self.cells, 2), dtype=np.float64)


def _figures(cells: _Cells, weights: Real, plan: Campaign) -> dict[str, Real]:
    """Every figure but `saved`; (draws,) each, NaN where it has no value."""
    stay, gone = weights[..., 0], weights[..., 1]
    every = stay + gone
    total, leavers, stayers = every.sum(axis=1), gone.sum(axis=1), stay.sum(axis=1)
    both = (leavers > 0) & (stayers > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = (every * cells.said).sum(axis=1)
        found = {
            "observed_to_expected": np.where(expected > 0, leavers / expected, np.nan),
            "calibration_intercept": _recalibrated(cells.odds, every, gone, both, slope=False)[0],
            "calibration_slope": _recalibrated(cells.odds, every, gone, both, slope=True)[1],
            "log_loss": ((stay * cells.loss[0]).sum(axis=1) + (gone * cells.loss[1]).sum(axis=1)) / total,
            "brier": ((stay * cells.square[0]).sum(axis=1) + (gone * cells.square[1]).sum(axis=1)) / total,
        }
        below = np.cumsum(stay, axis=1) - stay / 2
        found["auc"] = np.where(both, (gone * below).sum(axis=1) / (leavers * stayers), np.nan)
        hits, seen = (np.cumsum(each[:, ::-1], axis=1) for each in (gone, every))
        precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        found["pr_auc"] = np.where(both, (gone[:, ::-1] * precision).sum(axis=1) / leavers, np.nan)
        top = _top(every, 0.1)
        found["top_decile_lift"] = np.where(leavers > 0, (gone * top).sum(axis=1) / leavers / 0.1, np.nan)
        profit = [empc_of_cells(g, s, plan).profit if ok else np.nan for g, s, ok in zip(gone, stay, both, strict=True)]
        found["empc"] = np.array(profit)
    return found


def _top(every: Real, share: float) -> Real:
    """(draws, cells) which share of each cell is among the `share` ranked highest; the last cell counts in part."""
    above = np.cumsum(every[:, ::-1], axis=1)[:, ::-1] - every
    room = share * every.sum(axis=1, keepdims=True) - above
    return np.clip(np.divide(room, every, out=np.zeros_like(every), where=every > 0), 0.0, 1.0)


def _recalibrated(odds: Real, every: Real, gone: Real, both: NDArray[np.bool_], slope: bool) -> tuple[Real, Real]:
    """log odds of leaving = a + b x the log odds said (b = 1 without `slope`): Newton's steps, all draws at once."""
    draws = len(every)
    a, b = np.zeros(draws), np.ones(draws)
    # With one probability for all there is no slope to tell.
    if slope and (len(odds) < 2 or np.ptp(odds[every.sum(axis=0) > 0]) < 1e-12):
        return np.full(draws, np.nan), np.full(draws, np.nan)
    for _ in range(50):
        eta = np.clip(a[:, None] + b[:, None] * odds, -35, 35)
        mu = 1 / (1 + np.exp(-eta))
        residual, curve = gone - every * mu, every * mu * (1 - mu)
        g0, h00 = residual.sum(axis=1), curve.sum(axis=1)
        if slope:
            g1, h01, h11 = (residual * odds).sum(axis=1), (curve * odds).sum(axis=1), (curve * odds**2).sum(axis=1)
            determinant = h00 * h11 - h01**2
            step_a, step_b = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
        else:
            step_a, step_b = g0 / h00, np.zeros(draws)
        step_a, step_b = np.clip(step_a, -2, 2), np.clip(step_b, -2, 2)
        a, b = a + np.where(both, step_a, 0.0), b + np.where(both, step_b, 0.0)
        if np.nanmax(np.abs(np.where(both, step_a, 0.0)) + np.abs(np.where(both, step_b, 0.0)), initial=0.0) < 1e-12:
            break
    return np.where(both, a, np.nan), np.where(both, b, np.nan)


@dataclass(frozen=True, eq=False)
class _Contacts:
    """Per cell of expected gain, rising: what its customers would have brought on average."""

    place: Whole
    weight: Real
    cells: int
    money: Real  # per row

    @classmethod
    def of(cls, gain: Real, money: Real, w: Real, cell: Whole) -> _Contacts:
        return cls(cell.astype(np.int64), w, int(cell.max()) + 1, money)

    def weights(self) -> Real:
        return self.drawn(np.ones(len(self.place)))

    def drawn(self, rows: Real) -> Real:
        """(1, cells, 2) weight and money per cell where row i was drawn rows[i] times."""
        w = self.weight * rows
        weight = np.bincount(self.place, weights=w, minlength=self.cells)
        money = np.bincount(self.place, weights=w * self.money, minlength=self.cells)
        return np.asarray(np.stack([weight, money], axis=-1)[None], dtype=np.float64)


def _saved(contacts: _Contacts, sums: Real, budgets: Sequence[float]) -> dict[str, Real]:
    every, money = sums[..., 0], sums[..., 1]
    total = every.sum(axis=1)
    return {f"saved_{share:g}": (money * _top(every, share)).sum(axis=1) / total for share in budgets}


def _groups(score: Real, most: int = _CELLS) -> Whole:
    """Each row's group by score, rising; at most `most`, of about equal size, equal scores together."""
    distinct, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    if len(distinct) <= most:
        return place.astype(np.int64)
    middle = np.cumsum(counts) - counts / 2
    cut = np.minimum((middle * most / len(score)).astype(np.int64), most - 1)
    return np.asarray(np.unique(cut, return_inverse=True)[1][place], dtype=np.int64)


def _batched(draws: Iterator[Real], size: int) -> Iterator[list[Real]]:
    """The draws in lists of at most this many."""
    while some := list(islice(draws, size)):
        yield some


def _draws(rows: int, customer: ArrayLike | None, draws: int, rng: np.random.Generator) -> Iterator[Real]:
    """How often each row is drawn: customers are drawn with replacement, with all of their rows."""
    if customer is None:
        for _ in range(draws):
            yield np.bincount(rng.integers(0, rows, rows), minlength=rows).astype(np.float64)
        return
    who = np.asarray(customer).ravel()
    if len(who) != rows:
        raise BadInput(f"one customer per row, got {rows} rows and {len(who)} customers")
    ids, place = np.unique(who, return_inverse=True)
    for _ in range(draws):
        yield np.bincount(rng.integers(0, len(ids), len(ids)), minlength=len(ids)).astype(np.float64)[place]


def _told(left: ArrayLike, probability: ArrayLike, weight: ArrayLike | None) -> tuple[Real, Real, Real]:
    y = np.asarray(left).ravel()
    p = _column(probability, len(y), "probability")
    if not len(y):
        raise BadInput("there is nobody to judge; choose a cut-off after which some time has passed")
    if not np.isin(y, (0, 1)).all():
        raise BadInput("who left is true or false, 1 or 0")
    if np.any((p < 0) | (p > 1)):
        raise BadInput("probabilities lie between 0 and 1")
    w = np.ones(len(y)) if weight is None else _column(weight, len(y), "weight")
    if np.any(w < 0) or not w.sum() > 0:
        raise BadInput("weights are 0 or more, and not all 0")
    return y.astype(np.float64), p, w


def _column(values: ArrayLike, rows: int, name: str) -> Real:
    column = np.asarray(values, dtype=np.float64).ravel()
    if len(column) != rows:
        raise BadInput(f"one {name} per row, got {rows} rows and {len(column)}")
    if not np.isfinite(column).all():
        raise BadInput(f"{name} is unknown for {int((~np.isfinite(column)).sum())} of {rows} rows; leave them out")
    return column
