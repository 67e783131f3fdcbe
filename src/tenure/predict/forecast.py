"""How many customers, what revenue and how many tickets are ahead? Month by month, with intervals and what-ifs.

    found = forecast(facts, definition, cut=date(2026, 7, 1), ahead=12, asked=read_all(["monthly churn -0.5 points"]))
    found.rows()         per scenario, month and currency: customers, MRR, tickets, agents, each with its ends
    found.difference()   what the what-if adds to the last month, with its interval

Customers who are there leave as the curves of `predict.staying` have it, by plan, interval, term and months since
joining; who will come is an average of past months (`predict.new_business`), leaves as newcomers do and pays as those
of the last twelve months; who stays pays what those who stayed came to pay. Intervals hold what the data do not tell of
all this, how much months differ beyond chance, and chance. They hold no season, and nothing that never happened before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import BadInput, CannotFit, UnknownName
from tenure.kernel.money import exponent
from tenure.kernel.time import add_months
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number
from tenure.measure import states
from tenure.measure.cohorts import nothing_known
from tenure.measure.currencies import SCALE, Conversion
from tenure.measure.definition import Definition
from tenure.measure.orders import has_orders
from tenure.predict.customer_months import CustomerMonths, customer_months
from tenure.predict.forecast_book import YEAR, Book, Units, book
from tenure.predict.forecast_worlds import WORLDS, Projection, Worlds
from tenure.predict.staying_learned import fit
from tenure.predict.support_load import SupportLoad, support_load
from tenure.predict.what_if import WhatIf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tenure.predict.forecast_purchases import Purchases

    Real = NDArray[np.float64]

KNOWN, BASE, WHAT_IF = "known", "forecast", "what if"
LONGEST = 36
_SMALL = 30
KEYS = (
    "scenario", "month", "until", "currency", "start", "came", "left", "end", "end_low", "end_high", "end_low_80",
    "end_high_80", "mrr", "mrr_low", "mrr_high", "mrr_low_80", "mrr_high_80", "mrr_new", "mrr_lost", "mrr_change",
    "tickets", "tickets_low", "tickets_high", "agents", "agents_low", "agents_high", "purchases",
    "purchases_low", "purchases_high", "revenue", "revenue_low", "revenue_high",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """What a what-if adds to the last month: of customers, or of MRR in a currency (major units), with 95 % ends."""

    what: str
    currency: str | None
    value: float | Decimal
    low: float | Decimal
    high: float | Decimal


@dataclass(eq=False)
class Forecast:
    """The months ahead; see the module. as_of: the last day known; scenarios: by name, the forecast itself first.

    assumed: sentences on what the figures rest on; missing: what is not in them, and why; purchases: by currency, what
    customers without a contract will buy.
    """

    as_of: date
    months: tuple[tuple[date, date], ...]
    scenarios: dict[str, Projection]
    asked: tuple[WhatIf, ...]
    currencies: tuple[str, ...]
    assumed: tuple[str, ...]
    missing: tuple[str, ...]
    purchases: dict[str, Purchases] = field(default_factory=dict)
    book: Book | None = field(default=None, repr=False)
    tickets_of: SupportLoad | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.months)

    def rows(self) -> list[dict[str, Any]]:
        """A dict per scenario, month and currency, see KEYS; money in major units, as Decimal.

        With several currencies counts of customers and tickets stand in a row without a currency, and money in a row
        for each. Ends are of 95 %, those with `_80` of 80 %.
        """
        rows = []
        for name, one in self.scenarios.items():
            for i, (first, after) in enumerate(self.months):
                told = {"scenario": name, "month": first, "until": after - timedelta(days=1)}
                counts = _counted(one, i)
                if len(self.currencies) == 1:
                    rows.append(told | {"currency": self.currencies[0]} | counts | _money(one, self.currencies[0], i))
                    continue
                rows.append(told | {"currency": None} | counts)
                rows += [told | {"currency": each} | _money(one, each, i) for each in self.currencies]
        for currency, bought in self.purchases.items():
            for i, (first, after) in enumerate(self.months):
                mine = {"scenario": BASE, "month": first, "until": after - timedelta(days=1), "currency": currency}
                row = mine | bought.row(i, currency)
                there = [one for one in rows if all(one[key] == mine[key] for key in mine)]
                if there:
                    there[0].update(row)
                else:
                    rows.append(row)
        return [{key: row.get(key) for key in KEYS} for row in rows]

    def difference(self) -> list[Difference]:
        """What the what-if adds to the last month: customers, then MRR by currency; empty without a what-if."""
        if WHAT_IF not in self.scenarios:
            return []
        base, other = self.scenarios[BASE], self.scenarios[WHAT_IF]
        found = []
        for name in base.worlds:
            apart = (other.worlds[name] - base.worlds[name])[:, -1]
            value = float((other.expected[name] - base.expected[name])[-1])
            low, high = (float(end) for end in np.quantile(apart, (0.025, 0.975)))
            low, high = min(low, value), max(high, value)
            if name == "end":
                found.append(Difference("customers", None, value, low, high))
                continue
            currency = name.removeprefix("mrr ")
            found.append(Difference("MRR", currency, *(major(amount, currency) for amount in (value, low, high))))
        return found

    def chart(self, language: str = "en", figure: str = "mrr") -> Any:
        """The months ahead as a fan after those that were, of mrr, customers or tickets; see charts.forecasts."""
        from tenure.charts.forecasts import fan

        return fan(self.lines(figure), figure, self._drawn(figure), language)

    def _drawn(self, figure: str) -> str:
        """The currency that a picture of money shows: the one with the most of it."""
        if figure != "mrr" or self.book is None or not self.currencies:
            return ""
        return max(self.currencies, key=lambda each: self.book.paid[each] / 10 ** exponent(each) if self.book else 0.0)

    def lines(self, figure: str = "mrr") -> list[dict[str, Any]]:
        """Rows of a picture: scenario (KNOWN of the past), period (the first day of the month at whose end the value
        stands), value, and the ends of 95 % and 80 %."""
        names = {"mrr": f"mrr {self._drawn('mrr')}", "customers": "end", "tickets": "tickets"}
        if figure not in names:
            raise UnknownName.of("figure", figure, names)
        name, rows = names[figure], []
        currency = self._drawn(figure)
        if not self.scenarios or name not in self.scenarios[BASE].expected or self.book is None:
            raise BadInput(f"{figure} is not forecast: {'; '.join(self.missing) or 'there is nothing to draw'}")

        def shown(value: float) -> float:
            return float(major(value, currency)) if currency else float(value)

        past = self.book.paid_history[currency] if currency else self.book.history if name == "end" else None
        cut = self.as_of + timedelta(days=1)
        if past is not None:
            seen = past[-2 * YEAR - 1 :]
            for i, value in enumerate(seen):
                rows.append({"scenario": KNOWN, "period": add_months(cut, i - len(seen)), "value": shown(value)})
        for scenario, one in self.scenarios.items():
            if past is not None:
                here = shown(float(past[-1]))
                ends = dict.fromkeys(("low", "high", "low_80", "high_80"), here)
                rows.append({"scenario": scenario, "period": add_months(cut, -1), "value": here, **ends})
            for i, (first, _) in enumerate(self.months):
                low, low_80, high_80, high = (shown(end) for end in one.ends[name][:, i])
                told = {"scenario": scenario, "period": first, "value": shown(one.expected[name][i])}
                rows.append(told | {"low": low, "low_80": low_80, "high_80": high_80, "high": high})
        return rows


def _counted(one: Projection, i: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("start", "came", "left", "end", "tickets", "agents"):
        if name not in one.expected:
            continue
        found[name] = round(float(one.expected[name][i]), 3)
        if name in ("end", "tickets", "agents"):
            low, low_80, high_80, high = (round(float(end), 3) for end in one.ends[name][:, i])
            found |= {f"{name}_low": low, f"{name}_high": high, f"{name}_low_80": low_80, f"{name}_high_80": high_80}
    return found


def _money(one: Projection, currency: str, i: int) -> dict[str, Any]:
    name = f"mrr {currency}"
    found: dict[str, Any] = {"mrr": major(float(one.expected[name][i]), currency)}
    low, low_80, high_80, high = (major(float(end), currency) for end in one.ends[name][:, i])
    found |= {"mrr_low": low, "mrr_high": high, "mrr_low_80": low_80, "mrr_high_80": high_80}
    for part in ("mrr_new", "mrr_lost", "mrr_change"):
        found[part] = major(float(one.expected[f"{part} {currency}"][i]), currency)
    return found


def major(minor: float, currency: str) -> Decimal:
    """An estimated amount in major units, to the minor unit."""
    return Decimal(round(minor)).scaleb(-exponent(currency))


def forecast(
    facts: Facts,
    definition: Definition,
    *,
    cut: date,
    ahead: int = 12,
    currency: str | None = None,
    new: float | None = None,
    asked: Sequence[WhatIf] = (),
    elasticity: float | None = None,
    per_agent: float | None = None,
    seed: int = 7,
    with_purchases: bool = True,
    worlds: int = WORLDS,
) -> Forecast:
    """The `ahead` months from the day `cut` on; see the module.

    facts: as known then. currency: all converted at the day before's rates (None: each by itself). new: newcomers a
    month in place of the past's average. elasticity: of customers to price, 0 or below (None: nobody leaves for it).
    per_agent: tickets that an agent answers a month (None: as seen). worlds: so many are drawn. Raises BadInput where
    nothing is known or a what-if cannot be; CannotFit where history is too short for any curve.
    """
    if not 1 <= ahead <= LONGEST:
        raise BadInput(f"{ahead} months: a forecast reaches 1 to {LONGEST} months ahead")
    if new is not None and not 0 <= new <= 1e7:
        raise BadInput(f"--new {new:g}: give the number of new customers a month, 0 or more")
    contracts, orders = bool(states.tables(facts)), has_orders(facts)
    if not contracts and not orders:
        raise nothing_known(facts)
    if not contracts and asked:
        raise BadInput(f"--what-if '{asked[0].text}' is about contracts, and there are only orders")
    conversion = Conversion.of(facts, currency) if currency is not None else None
    missing: list[str] = []
    if contracts:
        months = customer_months(facts, definition, cut=cut)
        found = _of_contracts(
            months, conversion, missing, ahead, new, tuple(asked), elasticity, per_agent, seed, worlds
        )
    else:
        missing.append("nobody is under contract: customers, MRR and tickets are not forecast")
        found = Forecast(cut - timedelta(days=1), _ahead(cut, ahead), {}, (), (), (), ())
    if orders and with_purchases:
        from tenure.predict.forecast_purchases import purchases

        found.purchases, said = purchases(facts, cut, ahead, currency, seed, None if contracts else new)
        missing += said
        if found.purchases:
            found.assumed = (*found.assumed, *_of_buyers(found.purchases, None if contracts else new))
    found.missing = tuple(missing)
    return found


def _ahead(cut: date, ahead: int) -> tuple[tuple[date, date], ...]:
    return tuple((add_months(cut, i), add_months(cut, i + 1)) for i in range(ahead))


def _of_contracts(
    months: CustomerMonths, conversion: Conversion | None, missing: list[str], ahead: int, new: float | None,
    asked: tuple[WhatIf, ...], elasticity: float | None, per_agent: float | None, seed: int, many: int,
) -> Forecast:  # fmt: skip
    staying = fit(months.past, months.months)
    units = _units(months, conversion, missing)
    told = book(months, staying, units, new)
    if not told.customers.sum() and not told.newcomers.expected(1).any():
        raise CannotFit(
            f"nobody is under contract on {months.cut - timedelta(days=1)} and nobody came in the months before: there "
            "is nothing to go on with; --new N tells how many will come"
        )
    _check_plans(asked, staying.strata)
    spans = [months.month(w) for w in range(months.months)]
    exposure = (told.history[:-1] + told.history[1:]) / 2
    load = support_load(months.facts, spans, list(exposure), per_agent)
    worlds = Worlds(told, ahead, load, seed, many)
    scenarios = {BASE: worlds.scenario()}
    if asked:
        scenarios[WHAT_IF] = worlds.scenario(asked, elasticity or 0.0)
    projected = dict(zip(scenarios, worlds.projected(list(scenarios.values())), strict=True))
    notes = [*load.notes] if load.rate is not None else []
    if load.rate is None:
        missing += load.notes
    assumed = [*_assumed(told, months, new), *notes, *_of_prices(asked, elasticity)]
    return Forecast(
        months.cut - timedelta(days=1), _ahead(months.cut, ahead), projected, asked, told.currencies,
        tuple(assumed), (), {}, told, load,
    )  # fmt: skip


def _assumed(told: Book, months: CustomerMonths, new: float | None) -> list[str]:
    level, staying = told.newcomers.level, told.staying
    said = [f"Leaving: {staying.name}, from {staying.losses:,} leavers in {months.months} months."]
    if new is not None:
        said.append(f"New business: {new:g} customers a month, as told; no doubt about them is in the intervals.")
    elif level.level:
        far = float(np.sqrt(level.weights @ (level.errors**2 + (level.levels - level.level) ** 2)))
        said.append(
            f"New business is an assumption: {level.level:,.1f} customers a month (give or take {1.96 * far:,.1f}), an "
            f"average of the last {level.months} months in which recent ones count more the more the numbers "
            f"wandered, {_growing(level.growth)}; they pay what those of the last 12 months paid. --new tells another "
            "number."
        )
    else:
        said.append("New business: nobody came in the months that are known, and nobody is taken to come (--new N).")
    people = int(told.customers.sum())
    if people < _SMALL:
        said.append(f"{people} customers are few: chance alone moves every figure, and the intervals say how far.")
    return said + [f"{note[0].upper()}{note[1:]}." for note in staying.notes]


def _growing(growth: float) -> str:
    if abs(growth) < 0.002:
        return "neither growing nor shrinking"
    way = "growing" if growth > 0 else "shrinking"
    return f"{way} {100 * abs(growth):.1f} % a month as they did, less and less"


def _of_buyers(bought: dict[str, Purchases], new: float | None) -> list[str]:
    said = []
    for currency, one in bought.items():
        level = f"{one.newcomers.level:,.1f}" if new is None else f"{new:g}"
        told = "as told" if new is not None else f"an average of the last {one.newcomers.months} months"
        said.append(f"Purchases in {currency}: {one.name}; {level} new buyers a month, {told}.")
    return said


def _of_prices(asked: Sequence[WhatIf], elasticity: float | None) -> list[str]:
    rises = [one for one in asked if one.kind == "price"]
    if not rises:
        return []
    when = "Newcomers pay the new price from the start, who is there from his next term on."
    if elasticity is None:
        return [f"{when} Nobody is taken to leave or to stay away because of it: --elasticity says otherwise."]
    return [
        f"{when} Elasticity {elasticity:.3g}: a price 10 % higher drives {-10 * elasticity:.2g} % away, once, at the "
        "term in which they first meet it, and as many of those who would have come."
    ]


def _check_plans(asked: Sequence[WhatIf], strata: Sequence[tuple[str, int]]) -> None:
    plans = sorted({plan for plan, _ in strata if plan})
    for one in asked:
        if one.plan is not None and one.plan not in plans:
            raise UnknownName.of("plan", one.plan, plans)


def _units(months: CustomerMonths, conversion: Conversion | None, missing: list[str]) -> Units:
    """By native currency: the one shown, and what a minor unit is worth in it; no rate: left out, and said."""
    told = (months.past, months.now, months.came)
    natives = sorted({native for table in told for native in table.column("currency").to_pylist() if native})
    if conversion is None:
        return {native: (native, 1.0) for native in natives}
    units: dict[str, tuple[str, float]] = {}
    day = day_number(months.cut - timedelta(days=1))
    for native in natives:
        unit = conversion.unit(native, day)
        if unit is None:
            missing.append(conversion.reason(native, day))
        else:
            units[native] = (conversion.reporting, float(unit) / SCALE)
    return units
