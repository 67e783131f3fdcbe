"""How far can a forecast be trusted? History forecast again from earlier days, as known then, beside two naive ones.

At each earlier cut-off a forecast is made from what was known at that instant, and held against what came, as known
now: the error in percent of what came (MAPE), and how often it lay within the interval. Beside it stand what needs no
model: that all stays as it is, and that the last six months' change goes on. Money is converted at the cut-off's rates
on both sides, for a forecast of customers is none of exchange rates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import BadInput, CannotFit
from tenure.kernel.time import midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number
from tenure.measure.currencies import SCALE, Conversion
from tenure.measure.definition import Definition
from tenure.predict.customer_months import customer_months
from tenure.predict.forecast import BASE, forecast
from tenure.predict.forecast_worlds import WORLDS
from tenure.predict.staying_learned import columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

TREND = 6  # months whose mean change goes on
SHORTEST = 6  # months that must be known before a cut-off
MOST = 8  # cut-offs
FEW = 3  # fewer cut-offs than these tell nothing of a model
SHOWN = (1, 3, 6, 12)
NAIVE = ("level", "trend")
KEYS = (
    "figure", "months_ahead", "cut_offs", "forecasts", "mape", "mape_level", "mape_trend", "inside_80", "inside_95",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Held:
    """One forecast and what came of it. figure: customers or mrr; money in minor units of `currency`."""

    cut: date
    ahead: int
    figure: str
    currency: str | None
    said: float
    ends: tuple[float, float, float, float]  # of 95 % and 80 %: low, low, high, high
    came: float
    level: float
    trend: float


@dataclass(frozen=True, eq=False)
class ForecastReplay:
    """Every forecast of the replay, and what is said of it; skipped: cut-offs without one, with the reason."""

    held: tuple[Held, ...]
    skipped: dict[date, str]

    @property
    def cuts(self) -> tuple[date, ...]:
        """The cut-offs, the first one first."""
        return tuple(sorted({one.cut for one in self.held}))

    def rows(self) -> list[dict[str, Any]]:
        """A dict per figure and months ahead (None: all of them), see KEYS; errors and coverage as shares."""
        found = []
        for figure in ("customers", "mrr"):
            mine = [one for one in self.held if one.figure == figure]
            most = max((one.ahead for one in mine), default=0)
            for ahead in (*(month for month in SHOWN if month <= most), None):
                part = [one for one in mine if ahead in (None, one.ahead)]
                told = {"figure": figure, "months_ahead": ahead, "cut_offs": len({one.cut for one in part})}
                found.append(told | {"forecasts": len(part)} | _errors(part))
        return found

    def beats_naive(self, figure: str) -> bool | None:
        """Whether its mean error is below that of both naive forecasts; None where too few cut-offs tell."""
        part = [one for one in self.held if one.figure == figure and one.came > 0]
        if len({one.cut for one in part}) < FEW:
            return None
        told = _errors(part)
        return bool(told["mape"] < min(told["mape_level"], told["mape_trend"]))

    def verdict(self) -> list[str]:
        """In a sentence per figure: does it beat the naive forecasts, and do its intervals hold?"""
        said = []
        for figure, name in (("customers", "customers"), ("mrr", "MRR")):
            part = [one for one in self.held if one.figure == figure and one.came > 0]
            if not part:
                continue
            told, beats = _errors(part), self.beats_naive(figure)
            best = min(NAIVE, key=lambda one: told[f"mape_{one}"])
            words = {"level": "that all stays as it is", "trend": f"that the last {TREND} months' change goes on"}
            naive = f"{100 * told[f'mape_{best}']:.1f} % for saying {words[best]}"
            error = f"{100 * told['mape']:.1f} %"
            if beats is None:
                text = f"Of {name}, too few cut-offs tell: an error of {error}, against {naive}."
            elif beats:
                text = f"Of {name}, the forecast beats both naive ones: an error of {error}, against {naive}."
            else:
                text = (
                    f"Of {name}, the forecast DOES NOT BEAT a naive one: an error of {error}, against {naive}. Use the "
                    "naive one, and this one for its what-ifs."
                )
            inside = f"{100 * told['inside_95']:.0f} % lay within the interval of 95 %"
            said.append(f"{text} {inside}, {100 * told['inside_80']:.0f} % within that of 80 %.")
        return said


def _errors(part: list[Held]) -> dict[str, Any]:
    """Mean absolute errors in shares of what came, and coverage; None of nothing."""
    known = [one for one in part if one.came > 0]
    if not known:
        return dict.fromkeys(("mape", "mape_level", "mape_trend", "inside_80", "inside_95"))
    came = np.array([one.came for one in known])
    said = {
        "mape": [one.said for one in known],
        "mape_level": [one.level for one in known],
        "mape_trend": [one.trend for one in known],
    }
    found: dict[str, Any] = {name: float(np.mean(np.abs(np.array(told) - came) / came)) for name, told in said.items()}
    ends = np.array([one.ends for one in known])
    found["inside_80"] = float(np.mean((ends[:, 1] <= came) & (came <= ends[:, 2])))
    found["inside_95"] = float(np.mean((ends[:, 0] <= came) & (came <= ends[:, 3])))
    return found


def replay(
    facts: Facts,
    definition: Definition,
    *,
    cut: date,
    known: Callable[[date], Facts],
    ahead: int = 12,
    step: int = 3,
    currency: str | None = None,
    most: int = MOST,
    seed: int = 7,
    progress: Callable[..., None] = lambda *told: None,
) -> ForecastReplay:
    """Forecasts from every `step`-th month before `cut`, at most so many, the latest ones; see the module.

    known: the facts as known when a day begins. Raises CannotFit where history is too short to hold any of it back.
    """
    if step < 1:
        raise BadInput(f"--step {step}: give whole months between two cut-offs, 1 or more")
    truth = customer_months(facts, definition, cut=cut)
    origins = list(range(truth.months - 1, SHORTEST - 1, -step))[:most]
    if not origins:
        raise CannotFit(
            f"{truth.months} months are known, and a replay needs more than {SHORTEST}: some to learn from and some to "
            "hold back; load more history"
        )
    customers, paid = _history(truth)
    held: list[Held] = []
    skipped: dict[date, str] = {}
    for done, w in enumerate(reversed(origins)):
        progress("forecasting again", done, len(origins))
        then = truth.month(w)[0]
        try:
            found = forecast(
                known(then), definition, cut=then, ahead=min(ahead, truth.months - w), currency=currency, seed=seed,
                with_purchases=False, worlds=WORLDS // 2,
            )  # fmt: skip
        except (BadInput, CannotFit) as error:
            skipped[then] = str(error)
            continue
        held += _held(found, then, w, customers, _shown(paid, known(then), currency, then))
    if not held:
        raise CannotFit("; ".join(dict.fromkeys(skipped.values())))
    return ForecastReplay(tuple(held), skipped)


def known_at(facts: Facts) -> Callable[[date], Facts]:
    """The facts as they were known when a day began."""
    from tenure.predict.features import known_as_of

    return lambda day: known_as_of(facts, midnight(day, facts.timezone))


def _history(truth: Any) -> tuple[Real, dict[str, Real]]:
    """Customers and, by native currency, what was paid, as each month began and at the cut."""
    past, many = columns(truth.past), truth.months
    now = {name: truth.now.column(name).to_pylist() for name in ("customers", "paid", "currency")}
    customers = np.append(np.bincount(past["w"], past["customers"], minlength=many), sum(now["customers"]))
    paid = {}
    for currency in sorted({*past["currency"], *now["currency"]} - {""}):
        mine = past["currency"] == currency
        last = sum(float(p) for p, c in zip(now["paid"], now["currency"], strict=True) if c == currency) / 1e6
        paid[currency] = np.append(np.bincount(past["w"][mine], past["paid"][mine], minlength=many), last)
    return customers, paid


def _shown(paid: dict[str, Real], facts: Facts, currency: str | None, then: date) -> dict[str, Real]:
    """What was paid, each currency by itself or all at the rates of the day before."""
    if currency is None:
        return paid
    conversion = Conversion.of(facts, currency)
    total = np.zeros(len(next(iter(paid.values()), ())))
    for native, series in paid.items():
        unit = conversion.unit(native, day_number(then) - 1)
        if unit is not None:
            total = total + series * (float(unit) / SCALE)
    return {currency: total} if paid else {}


def _held(found: Any, then: date, w: int, customers: Real, paid: dict[str, Real]) -> list[Held]:
    one = found.scenarios[BASE]
    series: list[tuple[str, str | None, str, Real, Real]] = [("customers", None, "end", customers, found.book.history)]
    for currency in found.currencies:
        if currency in paid:
            then_known = found.book.paid_history[currency]
            series.append(("mrr", currency, f"mrr {currency}", paid[currency], then_known))
    rows = []
    for figure, money, name, came, past in series:
        last = float(past[-1])
        back = min(TREND, len(past) - 1)
        slope = (last - float(past[-1 - back])) / back if back else 0.0
        for month in range(len(found)):
            low, low_80, high_80, high = (float(end) for end in one.ends[name][:, month])
            rows.append(
                Held(
                    then, month + 1, figure, money, float(one.expected[name][month]), (low, low_80, high_80, high),
                    float(came[w + month + 1]), last, max(last + slope * (month + 1), 0.0),
                )
            )  # fmt: skip
    return rows
