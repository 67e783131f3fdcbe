"""What are our customers worth, and did winning them pay? Contracts and purchases in one book, beside what they cost.

    found = value(facts, definition, cut=date(2026, 7, 1), ahead=36, by=("channel",), assumed=assumed)
    found.lines          per segment and currency: customers, value with its interval, a newcomer's value, CAC, LTV:CAC
    found.customers(20)  who is worth most: Arrow, one row each

Value is gross margin on revenue still to come within `ahead` months, discounted: what customers will have paid, not
what they paid. A customer with a contract and with purchases is one customer, worth the sum. Intervals of sums hold
what the data do not tell of the models (parameters drawn by their covariance, months by how much months differ) and
what chance does to each customer; those of one customer hold his own chance alone.

LTV to CAC compares who is won with what winning costs: the value of somebody who comes today (customers of the last
twelve months, as they came) over the spend of those months per new customer. Sources: docs/explanation/survival.md,
docs/explanation/purchase-models.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import CannotFit
from tenure.kernel.money import exponent
from tenure.kernel.time import STRETCH, Period, add_months, midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number
from tenure.measure import states
from tenure.measure.acquisition import spent, stretches
from tenure.measure.cohorts import nothing_known
from tenure.measure.currencies import SCALE, Conversion
from tenure.measure.definition import Definition
from tenure.measure.orders import has_orders, span
from tenure.measure.rfm import currencies_bought, lent_rates
from tenure.measure.segments import SEPARATOR, Segment
from tenure.measure.worth import ASSUMED, Assumptions
from tenure.predict.buyer_histories import Bought
from tenure.predict.buyer_value import BuyerSum, BuyerValue, horizon
from tenure.predict.contract_value import ContractValue, Newcomer, Sum
from tenure.predict.customer_months import customer_months, resolved
from tenure.predict.own_chance import normal_ends
from tenure.predict.staying_learned import fit

if TYPE_CHECKING:
    import pyarrow as pa

YEAR = 12
NO_CONTRACTS = "nobody is under contract"
KEYS = (
    "segment", "currency", "customers", "contracts", "buyers", "alive", "mrr", "value", "low", "high",
    "value_per_customer", "newcomers", "value_of_newcomer", "newcomer_low", "newcomer_high", "cac", "ltv_to_cac",
    "reason",
)  # fmt: skip
CUSTOMER_KEYS = ("customer_id", "as_of", "currency", "value", "low", "high", "alive", "expected_purchases", "model")


@dataclass(frozen=True, slots=True)
class Line:
    """One segment in one currency; money in major units. None with the reason, where something is not known.

    contracts, buyers: customers with each (who has both is in both, and once in customers); alive: buyers who still are
    customers, by the model's probabilities; value, low, high: of all of them; newcomers: who came in the last twelve
    months for the first time; value_of_newcomer: of one who comes today; cac: spend per newcomer.
    """

    segment: dict[str, str | None] | None
    currency: str
    customers: int
    contracts: int
    buyers: int
    alive: float | None
    mrr: Decimal
    value: Decimal
    low: Decimal
    high: Decimal
    newcomers: int
    value_of_newcomer: Decimal | None
    newcomer_low: Decimal | None
    newcomer_high: Decimal | None
    cac: Decimal | None
    reason: str

    @property
    def ltv_to_cac(self) -> float | None:
        """The value of a newcomer over what winning one cost."""
        if self.value_of_newcomer is None or not self.cac:
            return None
        return float(self.value_of_newcomer / self.cac)

    def row(self) -> dict[str, Any]:
        """As plain data, see KEYS."""
        each = None if not self.customers else self.value / self.customers
        digits = Decimal(1).scaleb(-exponent(self.currency))
        found = {name: getattr(self, name) for name in KEYS if name not in ("value_per_customer", "ltv_to_cac")}
        found["value_per_customer"] = None if each is None else each.quantize(digits)
        found["ltv_to_cac"] = self.ltv_to_cac
        found["reason"] = self.reason or None
        return {name: found[name] for name in KEYS}


@dataclass(eq=False)
class Value:
    """What everybody is worth as of a day; see the module. contract, buyers: the models behind it, None without."""

    as_of: date
    ahead: int
    assumed: Assumptions
    by: tuple[str, ...]
    lines: list[Line]
    contract: ContractValue | None
    buyers: dict[str, BuyerValue]
    facts: Facts = field(repr=False)
    conversion: Conversion | None = field(repr=False, default=None)
    notes: list[str] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """A dict per segment and currency; see KEYS."""
        return [line.row() for line in self.lines]

    def line(self, currency: str | None = None, **segment: str | None) -> Line:
        """The only line of a segment and currency; KeyError where there is none or several."""
        found = [
            line
            for line in self.lines
            if (currency is None or line.currency == currency) and (not segment or line.segment == segment)
        ]
        if len(found) != 1:
            raise KeyError(f"{len(found)} lines; name a currency and a segment")
        return found[0]

    def models(self) -> list[dict[str, Any]]:
        """Every model that was tried, with its score on the time held back (higher is better), the chosen ones first.

        Rows: of (monthly or longer contracts, or purchases in a currency), model, score, chosen, fitted.
        """
        found: list[dict[str, Any]] = []
        if self.contract is not None:
            for of, tried in self.contract.staying.choices.items():
                found += [
                    {"of": f"{of} contracts", "model": one.name, "score": one.score, "chosen": not i, "fitted": None}
                    for i, one in enumerate(tried)
                ]
        for currency, one_value in self.buyers.items():
            for one in one_value.tried:
                chosen = one.name == one_value.name
                fitted = repr(one_value.model) if chosen else None
                row = {"of": f"purchases in {currency}", "model": one.name, "score": one.score, "chosen": chosen}
                found.append({**row, "fitted": fitted})
        return found

    def customers(self, top: int | None = None) -> pa.Table:
        """The rows of `people` as Arrow."""
        import pyarrow as pa

        rows = self.people(top)
        types = {
            "customer_id": pa.string(), "as_of": pa.date32(), "currency": pa.string(), "value": pa.decimal128(38, 4),
            "low": pa.decimal128(38, 4), "high": pa.decimal128(38, 4), "alive": pa.float64(),
            "expected_purchases": pa.float64(), "model": pa.string(),
        }  # fmt: skip
        return pa.table({name: pa.array([row[name] for row in rows], types[name]) for name in CUSTOMER_KEYS})

    def people(self, top: int | None = None) -> list[dict[str, Any]]:
        """Who is worth most: CUSTOMER_KEYS, a dict per customer and currency; value, low and high in major units.

        alive: the probability that somebody without a contract still is a customer, 1 of a contract. low, high: by the
        customer's own chance alone.
        """
        both = self.contract is not None and bool(self.buyers)
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self._contract_rows(None if both else top):
            rows[row["customer_id"], row["currency"]] = row
        for row in self._buyer_rows(None if both else top):
            key = (row["customer_id"], row["currency"])
            if key not in rows:
                rows[key] = row
                continue
            mine = rows[key]
            for name in ("value", "low", "high"):
                mine[name] += row[name]
            mine |= {"expected_purchases": row["expected_purchases"], "model": f"{mine['model']}; {row['model']}"}
        order = sorted(rows.values(), key=lambda row: (-self._in_order(row), row["customer_id"], row["currency"]))
        return order[:top]

    def _in_order(self, row: dict[str, Any]) -> float:
        """Its value where several currencies stand beside each other, in whatever they have in common."""
        if len({line.currency for line in self.lines}) < 2 or self.conversion is None:
            return float(row["value"])
        unit = self.conversion.unit(row["currency"], day_number(self.as_of))
        return float(row["value"]) * (float(unit) / SCALE if unit else 0.0)

    def _contract_rows(self, top: int | None) -> list[dict[str, Any]]:
        if self.contract is None:
            return []
        units = _units(self)
        found = self.contract.people({currency: unit for currency, (_, unit) in units.items()}, top)
        name = f"contract: {self.contract.staying.name}"
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for row in found.to_pylist():
            if row["currency"] not in units:
                continue
            currency, unit = units[row["currency"]]
            ends = {key: _major(float(row[key]) * unit * float(self.assumed.margin), currency) for key in _ENDS}
            key = (row["customer_id"], currency)
            if key in rows:
                for end, amount in ends.items():
                    rows[key][end] += amount
                continue
            rows[key] = {
                "customer_id": row["customer_id"], "as_of": self.as_of, "currency": currency, **ends, "alive": 1.0,
                "expected_purchases": None, "model": name,
            }  # fmt: skip
        return list(rows.values())

    def _buyer_rows(self, top: int | None) -> list[dict[str, Any]]:
        rows = []
        for currency, one in self.buyers.items():
            name = one.name + (" x Gamma-Gamma" if one.money is not None else " x mean value")
            for row in one.people(top).to_pylist():
                ends = {key: _major(float(row[key]) * float(self.assumed.margin), currency) for key in _ENDS}
                told = {"customer_id": row["customer_id"], "as_of": self.as_of, "currency": currency, **ends}
                rows.append({**told, "alive": row["alive"], "expected_purchases": row["purchases"], "model": name})
        return rows

    def chart(self, language: str = "en") -> Any:
        """What a newcomer is worth beside what winning one costs, a pair of bars per segment (altair.Chart)."""
        from tenure.charts.value import value_beside_cost

        return value_beside_cost(self.rows(), language)


_ENDS = ("value", "low", "high")


def value(
    facts: Facts,
    definition: Definition,
    *,
    cut: date,
    ahead: int = 36,
    by: Sequence[str] = (),
    currency: str | None = None,
    assumed: Assumptions = ASSUMED,
) -> Value:
    """What everybody is worth as the day `cut` begins; see the module.

    facts: as known then. by: plan, currency, a column of customers or an undated trait. currency: all converted at the
    day before's rates (None: each by itself). Raises BadInput where nothing is known, or a segment that changes.
    """
    ahead = horizon(ahead)
    by = tuple("plan_id" if name == "plan" else name for name in by)
    segment = resolved(facts, by)
    contracts, orders = bool(states.tables(facts)), has_orders(facts)
    if not contracts and not orders:
        raise nothing_known(facts)
    conversion = Conversion.of(facts, currency) if currency is not None else None
    v = (1.0 + float(assumed.discount_rate)) ** (-1 / 12)
    notes: list[str] = []
    contract = None
    if contracts:
        months = customer_months(facts, definition, cut=cut, by=by)
        try:
            contract = ContractValue(months, fit(months.past, months.months), ahead, v)
            notes += contract.staying.notes
        except CannotFit as error:
            notes.append(f"contracts: {error}")
    buyers: dict[str, BuyerValue] = {}
    if orders:
        buyers = buyers_by_currency(facts, cut, ahead, v, segment, currency, notes)
    found = Value(cut - timedelta(days=1), ahead, assumed, by, [], contract, buyers, facts, conversion, notes)
    if contract is not None and (
        free := sum(one.customers for (_, money), one in contract.sums().items() if not money)
    ):
        notes.append(f"{free:,} customers pay nothing, and are in no line")
    found.lines = _Lines(found, segment, cut, currency).made()
    return found


def buyers_by_currency(
    facts: Facts, cut: date, ahead: int, v: float, segment: Segment | None, currency: str | None, notes: list[str]
) -> dict[str, BuyerValue]:
    """The models of purchases, by currency shown; where there is none, a note says why."""
    days = span(facts)
    if days is None or days[0] >= cut:
        return {}
    who = None
    if segment is not None and segment.of_customer:
        who = replace(segment, item=(), names=tuple(name for name in segment.names if name not in segment.item))
    found = {}
    for native in currencies_bought(facts, days[0], cut, currency):
        rates = None if currency is None else lent_rates(facts, currency, days[0], cut)
        asked = Bought(facts, cut, native if currency is None else None, rates, who)
        shown = native if currency is None else currency
        try:
            found[shown] = BuyerValue.of(asked, days[0], ahead, v)
            notes += [f"purchases in {shown}: {note}" for note in found[shown].notes]
        except CannotFit as error:
            notes.append(f"purchases in {shown}: {error}")
    return found


class _Lines:
    """The lines of an answer: sums of both books by segment and currency."""

    def __init__(self, found: Value, segment: Segment | None, cut: date, currency: str | None) -> None:
        self.found, self.segment, self.cut, self.currency = found, segment, cut, currency
        self.margin = float(found.assumed.margin)
        self.told = stretches(found.facts)

    def made(self) -> list[Line]:
        sums, newcomers = self._contracts()
        buyers, first = self._of_buyers()
        both = self._both()
        keys = sorted({*sums, *buyers})
        lines = []
        for seg, currency in keys:
            mine, bought = sums.get((seg, currency), []), buyers.get((seg, currency))
            value = sum(one.value for one, _ in mine) + (bought.value if bought else 0.0)
            variance = sum(one.variance for one, _ in mine) + (bought.variance if bought else 0.0)
            draws: Any = sum((one.draws for one, _ in mine), np.zeros(1))
            world = float(np.var(draws)) + (float(np.var(bought.draws)) if bought else 0.0)
            low, high = normal_ends(value, float(np.sqrt(variance + world)))
            there = sum(one.customers for one, _ in mine)
            people = there + (bought.customers if bought else 0) - (both.get(seg, 0) if mine and bought else 0)
            came, worth, ends = self._newcomer(newcomers.get((seg, currency), []), bought, first.get((seg, currency)))
            cac, reason = self._cac(seg, currency, came)

            def money(amount: float, currency: str = currency) -> Decimal:
                return _major(amount * self.margin, currency)

            lines.append(
                Line(
                    segment=None if self.segment is None else self.segment.read(seg),
                    currency=currency,
                    customers=people,
                    contracts=there,
                    buyers=bought.customers if bought else 0,
                    alive=bought.alive if bought else None,
                    mrr=_major(sum(one.mrr for one, _ in mine), currency),
                    value=money(value),
                    low=money(low),
                    high=money(high),
                    newcomers=came,
                    value_of_newcomer=None if worth is None else money(worth),
                    newcomer_low=None if ends is None else money(ends[0]),
                    newcomer_high=None if ends is None else money(ends[1]),
                    cac=cac,
                    reason=reason,
                )
            )
        return lines

    def _contracts(
        self,
    ) -> tuple[dict[tuple[str, str], list[tuple[Sum, float]]], dict[tuple[str, str], list[Newcomer]]]:
        """Sums and newcomers by segment and currency shown; a row without a price belongs to no currency."""
        sums: dict[tuple[str, str], list[tuple[Sum, float]]] = {}
        came: dict[tuple[str, str], list[Newcomer]] = {}
        contract = self.found.contract
        if contract is None:
            return sums, came
        units = _units(self.found)
        for (seg, native), one in contract.sums().items():
            if native in units:
                shown, unit = units[native]
                scaled = Sum(one.customers, one.mrr * unit, one.value * unit, one.variance * unit**2, one.draws * unit)
                sums.setdefault((seg, shown), []).append((scaled, unit))
        for (seg, native), new in contract.newcomers().items():
            if native in units:
                shown, unit = units[native]
                scaled_new = Newcomer(new.joined, new.newcomers, new.value * unit, new.draws * unit)
                came.setdefault((seg, shown), []).append(scaled_new)
        return sums, came

    def _of_buyers(self) -> tuple[dict[tuple[str, str], BuyerSum], dict[tuple[str, str], tuple[int, float, Any]]]:
        sums: dict[tuple[str, str], BuyerSum] = {}
        first: dict[tuple[str, str], tuple[int, float, Any]] = {}
        for currency, one in self.found.buyers.items():
            recent = one.histories.age < (self.cut - add_months(self.cut, -YEAR)).days
            for seg, total in one.sums().items():
                key = (self._text(seg, currency), currency)
                sums[key] = total
                mine = recent & (one.histories.seg == seg)
                worth, draws = one.newcomer(total.mean_value)
                first[key] = (int(one.histories.customers[mine].sum()), worth, draws)
        return sums, first

    def _text(self, seg: str, currency: str) -> str:
        """A buyer's segment as the whole book has it: of an item's parts only the currency is known."""
        if self.segment is None or not self.segment.item:
            return seg
        parts = [currency if name == "currency" else "" for name in self.segment.item]
        return SEPARATOR.join(parts + ([seg] if len(self.segment.order) > len(parts) else []))

    def _both(self) -> dict[str, int]:
        """How many customers have a contract and buy, by segment; nothing where segments are of the item."""
        if self.found.contract is None or not self.found.buyers or (self.segment is not None and self.segment.item):
            return {}
        from tenure.predict.customer_months import people

        facts = self.found.facts
        st, there = people(self.found.contract.months)
        ids = facts.engine.table(st.render(f"SELECT DISTINCT customer_id FROM {there}"))
        lent = facts.engine.lend("under_contract", ids)
        counts: dict[str, int] = {}
        for one in self.found.buyers.values():
            st, told = one.asked.customers()
            sql = st.render(
                f"SELECT b.seg, count(*) AS n FROM {told} AS b JOIN {lent} AS c ON c.customer_id = b.customer_id "
                "GROUP BY b.seg"
            )
            for row in facts.engine.table(sql).to_pylist():
                counts[row["seg"]] = counts.get(row["seg"], 0) + int(row["n"])
        return counts

    def _newcomer(
        self, new: Sequence[Newcomer], bought: BuyerSum | None, first: tuple[int, float, Any] | None
    ) -> tuple[int, float | None, tuple[float, float] | None]:
        """How many came in the last year, what one of them is worth as he comes, and the ends of that mean."""
        joined = sum(one.joined for one in new)
        came = sum(one.newcomers for one in new)
        value = sum(one.value for one in new)
        draws: Any = sum((one.draws for one in new), np.zeros(1))
        people = joined
        if first is not None and bought is not None:
            came, people = came + first[0], people + first[0]
            value, draws = value + first[0] * first[1], draws + first[0] * first[2][: len(draws) or None].mean()
            if not joined:
                draws = first[0] * first[2]
        if not people:
            return came, None, None
        mean, sd = value / people, float(np.std(draws)) / people
        return came, mean, normal_ends(mean, sd)

    def _cac(self, seg: str, currency: str, came: int) -> tuple[Decimal | None, str]:
        names = () if self.segment is None else self.segment.names
        if names not in ((), ("channel",)):
            return None, "spend is told by channel alone"
        if names and not seg:
            return None, "no spend belongs to customers whose channel is unknown"
        if self.currency is None and len({key[1] for key in self._contracts()[0]} | set(self.found.buyers)) > 1:
            return None, f"customers pay in several currencies: add --currency, such as --currency {currency}"
        first, tz = add_months(self.cut, -YEAR), self.found.facts.timezone
        period = Period(midnight(first, tz), midnight(self.cut, tz), first, self.cut, STRETCH)
        found = spent(
            self.found.facts, self.told, period, channel=seg if names else None, currency=currency,
            conversion=self.found.conversion, lag_months=self.found.assumed.lag_months,
        )  # fmt: skip
        if found.amount is None:
            return None, found.reason
        if not came:
            return None, "nobody new came in the last twelve months"
        return _major(float(found.amount / Fraction(SCALE * 1_000_000) / came), currency), found.reason


def _units(found: Value) -> dict[str, tuple[str, float]]:
    """By native currency: the currency shown, and what a minor unit is worth in its minor units.

    A currency without a rate is left out, and a note says so.
    """
    assert found.contract is not None
    told = (found.contract.months.now, found.contract.months.came)
    natives = sorted({native for table in told for native in table.column("currency").to_pylist()})
    units: dict[str, tuple[str, float]] = {}
    day = day_number(found.as_of)
    for native in natives:
        if not native:
            continue
        if found.conversion is None:
            units[native] = (native, 1.0)
            continue
        unit = found.conversion.unit(native, day)
        if unit is None:
            if (note := found.conversion.reason(native, day)) not in found.notes:
                found.notes.append(note)
            continue
        units[native] = (found.conversion.reporting, float(unit) / SCALE)
    return units


def _major(minor: float, currency: str) -> Decimal:
    return Decimal(round(minor)).scaleb(-exponent(currency))
