"""What came due and what became of it, as an answer: a row per period, or a row per renewal.

Count and ARR are told by the currency of what was due; due = renewed + late + undecided + lost in both, exactly.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput, BadPeriod
from tenure.kernel.money import exponent
from tenure.kernel.time import Period, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number, from_day_number
from tenure.measure import states
from tenure.measure.catalogue import CATALOGUE
from tenure.measure.currencies import SCALE, currencies
from tenure.measure.definition import Definition
from tenure.measure.figures import Figures
from tenure.measure.renewal_book import MONTHS, RenewalBook, RenewalFigures
from tenure.measure.renewals import OUTCOMES, horizon_day
from tenure.measure.segments import resolve

if TYPE_CHECKING:
    import pyarrow as pa

KEYS = (
    "period_start", "period_end", "segment", "currency", "due", *OUTCOMES, "renewal_rate", "low", "high",
    "arr_due", "arr_due_renewed", "arr_due_late", "arr_due_undecided", "arr_lost_at_renewal", "arr_renewed",
    "arr_renewal_uplift", "arr_renewal_downsell", "arr_renewal_rate", "arr_net_renewal_rate", "reason",
)  # fmt: skip
EACH_KEYS = (
    "period_start", "segment", "due_on", "customer_id", "name", "subscription_id", "item_id", "plan_id", "length",
    "currency", "arr_due", "outcome", "renewed_on", "renewed_currency", "arr_renewed", "by_another", "grace_until",
)  # fmt: skip
_MONEY = KEYS[12:20]


@dataclass
class Renewals:
    """What came due in each period, what became of it, and the renewals themselves."""

    facts: Facts
    definition: Definition
    book: RenewalBook
    grain: str
    by: tuple[str, ...]
    notes: list[str] = field(default_factory=list)

    @property
    def periods(self) -> Sequence[Period]:
        """The periods asked for."""
        return self.book.asked

    @cached_property
    def figures(self) -> dict[tuple[int, str, str | None], RenewalFigures]:
        """The figures of each period, segment and currency."""
        return self.book.figures()

    @cached_property
    def currencies(self) -> list[str]:
        """The reporting currency, or each in which anything came due."""
        if self.book.currency is not None:
            return [self.book.currency]
        return self.book.currencies or currencies(self.facts, self.definition.source)[:1]

    def rows(self) -> list[dict[str, Any]]:
        """One dict per period, segment and currency (see KEYS): counts, ARR in major units, rates as fractions.

        `reason` says why money or a rate is missing or doubtful. A segment in which nothing came due has no row.
        """
        found = []
        segments = sorted({seg for _, seg, _ in self.figures}) if self.book.segment is not None else [""]
        for i, period in enumerate(self.periods):
            for seg in segments:
                for currency in self.currencies:
                    told = self.figures.get((i, seg, currency))
                    if told is None and self.book.segment is not None:
                        continue
                    found.append(self._row(period, seg, currency, told or RenewalFigures()))
        return found

    def _row(self, period: Period, seg: str, currency: str, told: RenewalFigures) -> dict[str, Any]:
        figures = Figures(period, seg, currency, definition=self.definition, renewals=told)
        rate, gross, net = (
            CATALOGUE[name].compute(figures) for name in ("renewal_rate", "arr_renewal_rate", "arr_net_renewal_rate")
        )
        money = {name: CATALOGUE[name].compute(figures).value for name in _MONEY}
        reasons = [told.reason, rate.reason]
        if day_number(period.after) > horizon_day(self.facts):
            reasons.append("provisional: the period is not over")
        return {
            "period_start": period.first.isoformat(),
            "period_end": period.after.isoformat(),
            "segment": None if self.book.segment is None else self.book.segment.read(seg),
            "currency": currency,
            "due": told.all_due,
            **told.counts,
            "renewal_rate": _float(rate.value),
            "low": rate.low,
            "high": rate.high,
            **{name: None if value is None else _major(value, currency) for name, value in money.items()},
            "arr_renewal_rate": _float(gross.value),
            "arr_net_renewal_rate": _float(net.value),
            "reason": "; ".join(filter(None, reasons)) or None,
        }

    def each(self) -> list[dict[str, Any]]:
        """One dict per renewal (see EACH_KEYS), by due day and customer; ARR in major units at the due day's rate."""
        from tenure.measure.openings import names

        known = names(self.facts)
        found = []
        for row in self.book.each:
            due, currency = self._worth(row["m"], row["currency"], row["due_day"])
            again, new = None, None
            if row["renewed_m"] is not None and row["outcome"] != "lost":
                again, new = self._worth(row["renewed_m"], row["renewed_currency"] or row["currency"], row["due_day"])
            found.append(
                {
                    "period_start": self.periods[row["win"]].first,
                    "segment": None if self.book.segment is None else self.book.segment.read(row["seg"]),
                    "due_on": from_day_number(row["due_day"]),
                    "customer_id": row["customer_id"],
                    "name": known.get(row["customer_id"]),
                    "subscription_id": row["subscription_id"],
                    "item_id": row["item_id"],
                    "plan_id": row["plan_id"],
                    "length": row["length"],
                    "currency": currency,
                    "arr_due": due,
                    "outcome": row["outcome"],
                    "renewed_on": None if row["renewed_day"] is None else from_day_number(row["renewed_day"]),
                    "renewed_currency": new,
                    "arr_renewed": again,
                    "by_another": bool(row["by_another"]),
                    "grace_until": from_day_number(row["grace_day"]),
                }
            )
        return found

    def _worth(self, micro: int, currency: str, day: int) -> tuple[Decimal, str]:
        unit = self.book.unit(currency, day) if self.book.currency is not None else None
        if unit is None or self.book.currency is None:
            return _major(Fraction(MONTHS * int(micro) * SCALE), currency, digits=10), currency
        return _major(Fraction(MONTHS * int(micro) * unit), self.book.currency, digits=10), self.book.currency

    def customers(self) -> pa.Table:
        """Every renewal as a row of an Arrow table; see `each`. Segments are JSON text."""
        import pyarrow as pa

        rows = self.each()
        for row in rows:
            row["segment"] = row["segment"] and json.dumps(row["segment"], ensure_ascii=False)
        types: dict[str, Any] = {
            **dict.fromkeys(("period_start", "due_on", "renewed_on", "grace_until"), pa.date32()),
            **dict.fromkeys(("arr_due", "arr_renewed"), pa.decimal128(38, 10)),
            "by_another": pa.bool_(),
        }
        return pa.table({key: pa.array([row[key] for row in rows], types.get(key, pa.string())) for key in EACH_KEYS})

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table; segments are JSON text, days are dates."""
        import pyarrow as pa

        rows = self.rows()
        columns: dict[str, Any] = {}
        for key in KEYS:
            values = [row[key] for row in rows]
            if key.startswith("period_"):
                columns[key] = pa.array([date.fromisoformat(value) for value in values], pa.date32())
            elif key == "segment":
                texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
                columns[key] = pa.array(texts, pa.string())
            elif key in ("currency", "reason"):
                columns[key] = pa.array(values, pa.string())
            elif key == "due" or key in OUTCOMES:
                columns[key] = pa.array(values, pa.int64())
            else:
                columns[key] = pa.array([_float(value) for value in values], pa.float64())
        return pa.table(columns)

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame (needs pandas)."""
        return self.to_arrow().to_pandas()

    def to_json(self) -> str:
        """The rows as JSON: money as decimal strings in major units, rates as fractions."""
        return json.dumps(self.rows(), default=str, ensure_ascii=False, indent=1)

    def sql(self) -> str:
        """The statements that were run, ready to be run by hand."""
        _ = self.figures
        return ";\n\n".join(self.book.statements)

    def chart(self, language: str = "en", currency: str | None = None) -> Any:
        """Stacked bars: the ARR that came due in each period, by what became of it (altair.Chart)."""
        from tenure.charts.renewals import renewals_by_period

        chosen = currency or self.currencies[0]
        rows = [row for row in self.rows() if row["currency"] == chosen]
        return renewals_by_period(rows, chosen, self.grain, language)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _major(value: Fraction, currency: str, digits: int | None = None) -> Decimal:
    digits = exponent(currency) if digits is None else digits
    exact = value / (SCALE * 1_000_000 * 10 ** exponent(currency))
    return Decimal(round(exact * 10**digits)).scaleb(-digits)


def renewals(
    facts: Facts,
    definition: Definition,
    *,
    first: date,
    after: date,
    grain: str = "month",
    by: Sequence[str] = (),
    currency: str | None = None,
    grace: int = 30,
    length: str | None = None,
) -> Renewals:
    """What came due on the days [first, after) and what became of it; see measure.renewals.

    length: only terms and intervals of a week, month, quarter or year. Raises BadPeriod, BadInput, UnknownName.
    """
    if first >= after:
        raise BadPeriod(f"the period ends ({after}) before it begins ({first})")
    if not 0 <= grace <= 365:
        raise BadInput(f"{grace} days of grace: give whole days from 0 to 365")
    if not states.tables(facts) and definition.source == "states":
        raise BadInput("no subscriptions are loaded; load some with `tenure load subscriptions FILE`")
    asked = periods(first, after, grain, facts.timezone)
    names = tuple(by)
    book = RenewalBook(facts, definition, asked, grace, resolve(facts, names), currency, length)
    return Renewals(facts, definition, book, grain, names)
