"""Who are our best buyers, and who is slipping away? Recency, frequency and monetary value, scored from 1 to 5.

Of everybody who bought up to a day: recency is the days since the last purchase day, frequency the number of purchase
days, monetary the revenue net of returns. Each is scored by quintiles: 1 for the lowest fifth, 5 for the highest (the
fewest days, for recency). A score is 1 + the number of fifths of all buyers that lie strictly below; so equal values
always have equal scores, fifths need not be equally large, and where most bought once their frequency scores 1.

The segments' names depend on recency and frequency alone; monetary stands beside. They are those of the RFM map that
marketing tools have in common (Putler's ten names, on the grid of recency and frequency). Quintiles: Hughes 1994,
Strategic Database Marketing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput
from tenure.kernel.money import exponent
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, day_number
from tenure.measure.currencies import SCALE, Conversion
from tenure.measure.openings import names
from tenure.measure.orders import dated
from tenure.measure.purchase_gaps import buyers_segment, history, segment_of

if TYPE_CHECKING:
    import pyarrow as pa

# Recency (rows, 5 to 1) by frequency (columns, 1 to 5).
_MAP = {
    5: ("new", "potential", "potential", "champions", "champions"),
    4: ("promising", "potential", "potential", "loyal", "loyal"),
    3: ("about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"),
    2: ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    1: ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
}
SEGMENTS = {
    "champions": "Champions",
    "loyal": "Loyal customers",
    "potential": "Potential loyalists",
    "new": "New customers",
    "promising": "Promising",
    "need_attention": "Need attention",
    "about_to_sleep": "About to sleep",
    "at_risk": "At risk",
    "cannot_lose": "Can't lose them",
    "hibernating": "Hibernating",
}
FIFTHS = 5


def segment_name(recency: int, frequency: int) -> str:
    """The segment of two scores.

    >>> segment_name(5, 5), segment_name(1, 1)
    ('champions', 'hibernating')
    """
    return _MAP[recency][frequency - 1]


@dataclass(frozen=True, slots=True)
class Cell:
    """The buyers with the same three scores in one segment: how many, on how many days they bought, and net revenue."""

    seg: str
    recency: int
    frequency: int
    monetary: int
    customers: int
    purchases: int
    revenue: Fraction  # in minor units


@dataclass(frozen=True, slots=True)
class Part:
    """One named segment: customers, purchase days and net revenue (major units), with their shares of the whole."""

    segment: dict[str, str | None] | None
    name: str
    customers: int
    purchases: int
    revenue: Decimal
    share: float
    revenue_share: float | None


@dataclass(frozen=True)
class Rfm:
    """The buyers of one currency (or converted) up to a day, scored.

    cuts: of recency (day numbers), frequency and monetary (minor units) the four values that 1/5 .. 4/5 of the buyers
    do not exceed; a score is 1 + the cuts that the value exceeds. unnamed: net revenue of sales that name no customer;
    only_returned: customers who bring back and never buy (they are not scored), and the amount.
    """

    currency: str
    since: date
    until: date
    cells: tuple[Cell, ...]
    cuts: dict[str, tuple[Fraction, ...]]
    unnamed: Decimal
    only_returned: tuple[int, Decimal]
    by: tuple[str, ...]
    facts: Facts = field(repr=False)
    asked: Asked = field(repr=False)
    statement: str = field(repr=False, default="")

    @property
    def customers(self) -> int:
        """How many bought."""
        return sum(cell.customers for cell in self.cells)

    @property
    def revenue(self) -> Decimal:
        """Net revenue of those who bought, in major units."""
        return _major(sum((cell.revenue for cell in self.cells), Fraction(0)), self.currency)

    def parts(self) -> list[Part]:
        """Every named segment that has customers, in the order of SEGMENTS; by segment of `--by` first."""
        sums: dict[tuple[str, str], list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 3)
        for cell in self.cells:
            mine = sums[cell.seg, segment_name(cell.recency, cell.frequency)]
            added = (Fraction(cell.customers), Fraction(cell.purchases), cell.revenue)
            sums[cell.seg, segment_name(cell.recency, cell.frequency)] = [
                a + b for a, b in zip(mine, added, strict=True)
            ]
        segment = self.asked.segment
        total = sum((cell.revenue for cell in self.cells), Fraction(0))
        found = []
        for seg in sorted({seg for seg, _ in sums}):
            for name in SEGMENTS:
                if (seg, name) in sums:
                    customers, purchases, revenue = sums[seg, name]
                    found.append(
                        Part(
                            segment.read(seg) if segment else None,
                            name,
                            int(customers),
                            int(purchases),
                            _major(revenue, self.currency),
                            float(customers / self.customers),
                            float(revenue / total) if total > 0 else None,
                        )
                    )
        return found

    def rows(self) -> list[dict[str, Any]]:
        """A dict per named segment (rfm_segment): customers, purchase days and revenue with their shares."""
        return [
            {
                "segment": part.segment,
                "rfm_segment": part.name,
                "currency": self.currency,
                "customers": part.customers,
                "share": part.share,
                "purchases": part.purchases,
                "revenue": part.revenue,
                "revenue_share": part.revenue_share,
                "since": self.since,
                "until": self.until,
            }
            for part in self.parts()
        ]

    def people(self) -> pa.Table:
        """Every buyer, best first (by the three scores together, then by monetary).

        Columns: customer_id, name, the parts of --by, rfm_segment, recency_days, frequency, monetary (major units), r,
        f, m, currency.
        """
        import pyarrow as pa

        st, scored = self.asked.scored(self.facts)
        sql = st.render(
            f"SELECT customer_id, seg, last_day, days, minor, r, f, m FROM {scored} "
            "ORDER BY r + f + m DESC, minor DESC, customer_id"
        )
        known, segment = names(self.facts), self.asked.segment
        last = day_number(self.until)
        rows = self.facts.engine.table(sql).to_pylist()
        return pa.table(
            {
                "customer_id": pa.array([row["customer_id"] for row in rows], pa.string()),
                "name": pa.array([known.get(row["customer_id"]) for row in rows], pa.string()),
                **{
                    f"segment.{name}": pa.array([(segment.read(row["seg"]) if segment else {})[name] for row in rows])
                    for name in self.by
                },
                "rfm_segment": pa.array([segment_name(row["r"], row["f"]) for row in rows], pa.string()),
                "recency_days": pa.array([last - row["last_day"] for row in rows], pa.int64()),
                "frequency": pa.array([row["days"] for row in rows], pa.int64()),
                "monetary": [_major(self.asked.worth(row["minor"]), self.currency) for row in rows],
                **{score: pa.array([row[score] for row in rows], pa.int64()) for score in ("r", "f", "m")},
                "currency": pa.array([self.currency] * len(rows), pa.string()),
            }
        )

    def chart(self, language: str = "en") -> Any:
        """Customers by recency and frequency score (altair.Chart), named as the segments are."""
        from tenure.charts.buyers import rfm_map

        grid: dict[tuple[int, int], int] = defaultdict(int)
        for cell in self.cells:
            grid[cell.recency, cell.frequency] += cell.customers
        rows = [
            {"recency": r, "frequency": f, "segment": segment_name(r, f), "customers": grid.get((r, f), 0)}
            for r in _MAP
            for f in range(1, FIFTHS + 1)
        ]
        return rfm_map(rows, language)


@dataclass(frozen=True)
class Asked:
    """What is asked of whom: which days, which currency (native alone, or all converted), split by what."""

    first: int
    after: int
    native: str | None
    rates: str | None
    segment: Any

    def worth(self, minor: int | Decimal) -> Fraction:
        """A sum of the engine in minor units."""
        return Fraction(minor) / (1 if self.rates is None else SCALE)

    def bought(self, facts: Facts) -> tuple[Statement, str]:
        """A step with each buyer's last day, purchase days and net amount (minor units, times SCALE if converted)."""
        st, d = facts.statement(), facts.engine.dialect
        worth, join, where = "p.minor", "", ""
        if self.native is not None:
            where = f" AND p.currency = {d.literal(self.native)}"
        if self.rates is not None:
            worth = "CAST(p.minor AS DECIMAL(18,0)) * CAST(x.unit AS DECIMAL(20,0))"
            join = f" JOIN {self.rates} AS x ON x.day = p.day AND x.currency = p.currency"
        sold = "CASE WHEN p.returned = 0 THEN p.day END"
        every = st.step(
            "ordering_customers",
            f"SELECT p.customer_id, max({sold}) AS last_day, count(DISTINCT {sold}) AS days, "
            f"CAST(sum({worth}) AS DECIMAL(38,0)) AS minor FROM {dated(st, facts)} AS p{join} "
            f"WHERE p.customer_id IS NOT NULL AND p.day >= {self.first} AND p.day < {self.after}{where} "
            "GROUP BY p.customer_id",
            keep=True,
            says="each customer's last purchase day, purchase days, and revenue net of returns",
        )
        return st, st.step("scored_buyers", f"SELECT * FROM {every} WHERE days > 0")

    def scored(self, facts: Facts) -> tuple[Statement, str]:
        """A step with each buyer's scores: seg, customer_id, last_day, days, minor, r, f, m."""
        st, bought = self.bought(facts)
        join, seg = segment_of(st, facts, self.segment, bought, "b")
        cuts = _cuts(st, bought)
        scores = ", ".join(
            "1 + "
            + " + ".join(f"CASE WHEN b.{column} > c.{letter}{k} THEN 1 ELSE 0 END" for k in range(1, FIFTHS))
            + f" AS {letter}"
            for letter, column in _SCORED.items()
        )
        return st, st.step(
            "scored",
            f"SELECT {seg} AS seg, b.customer_id, b.last_day, b.days, b.minor, {scores} FROM {bought} AS b "
            f"CROSS JOIN {cuts} AS c{join}",
            keep=True,
            says="each buyer's scores: 1 + the fifths that lie below",
        )


_SCORED = {"r": "last_day", "f": "days", "m": "minor"}


def _cuts(st: Statement, bought: str) -> str:
    """A step with one row: of each value the four that 1/5 .. 4/5 of the buyers do not exceed (r1 .. m4)."""
    parts = []
    for letter, column in _SCORED.items():
        # Grouped first: what is put in order is the distinct values, not the customers.
        ranked = st.step(
            f"ranked_{letter}",
            "SELECT value, sum(n) OVER (ORDER BY value ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS so_far, "
            "sum(n) OVER () AS every FROM "
            f"(SELECT {column} AS value, count(*) AS n FROM {bought} GROUP BY {column}) AS v",
        )
        chosen = ", ".join(
            f"min(CASE WHEN {FIFTHS} * so_far >= {k} * every THEN value END) AS {letter}{k}" for k in range(1, FIFTHS)
        )
        parts.append((letter, st.step(f"cuts_{letter}", f"SELECT {chosen} FROM {ranked}")))
    listed = ", ".join(f"{letter}{k}" for letter in _SCORED for k in range(1, FIFTHS))
    joined = " CROSS JOIN ".join(f"{step}" for _, step in parts)
    return st.step("cuts", f"SELECT {listed} FROM {joined}", keep=True, says="where the fifths end")


def rfm(
    facts: Facts,
    *,
    first: date | None = None,
    after: date | None = None,
    by: Sequence[str] = (),
    currency: str | None = None,
) -> list[Rfm]:
    """The buyers of the days [first, after), scored; one answer per currency, or one in `currency` with all converted.

    first, after: default to the whole history. Scores compare all buyers; by: splits the counts, not the scores.
    Money is converted at each day's rate; NoRate where one is missing.
    """
    told = history(facts)
    if told is None:
        raise BadInput(
            "no orders are loaded; load some with `tenure load orders FILE` or `tenure load order_lines FILE`"
        )
    start = max(first or told.first, told.first)
    # Recency is counted to the last day of which orders tell, not into days of which nobody knows.
    end = min(after or told.last + timedelta(days=1), told.last + timedelta(days=1))
    if start >= end:
        raise BadInput(f"orders are known from {told.first} to {told.last}; ask for days among them")
    segment = buyers_segment(facts, by)
    found = []
    for native, unnamed in currencies_bought(facts, start, end, currency).items():
        rates = None if currency is None else lent_rates(facts, currency, start, end)
        asked = Asked(day_number(start), day_number(end), native if currency is None else None, rates, segment)
        st, scored = asked.scored(facts)
        d = facts.engine.dialect
        sql = st.render(
            f"SELECT s.seg, s.r, s.f, s.m, count(*) AS n, CAST(sum(s.days) AS BIGINT) AS days, "
            f"CAST(sum(s.minor) AS DECIMAL(38,0)) AS minor, {_listed(d.text)} FROM {scored} AS s CROSS JOIN cuts AS c "
            "GROUP BY s.seg, s.r, s.f, s.m ORDER BY 1, 2, 3, 4"
        )
        rows = facts.engine.table(sql).to_pylist()
        if not rows:
            continue
        cells = tuple(
            Cell(row["seg"], row["r"], row["f"], row["m"], row["n"], int(row["days"]), asked.worth(row["minor"]))
            for row in rows
        )
        cuts = {
            letter: tuple(
                asked.worth(int(rows[0][f"{letter}{k}"])) if letter == "m" else Fraction(int(rows[0][f"{letter}{k}"]))
                for k in range(1, FIFTHS)
            )
            for letter in _SCORED
        }
        shown = native if currency is None else currency
        found.append(
            Rfm(
                shown,
                start,
                end - timedelta(days=1),
                cells,
                cuts,
                _major(unnamed, shown),
                _only_returned(facts, asked, shown),
                tuple(by),
                facts,
                asked,
                sql,
            )
        )
    return found


def _only_returned(facts: Facts, asked: Asked, currency: str) -> tuple[int, Decimal]:
    """How many customers bring back and never buy, and the amount."""
    st, _ = asked.bought(facts)
    sql = st.render(
        "SELECT count(*) AS n, CAST(coalesce(sum(minor), 0) AS DECIMAL(38,0)) AS minor "
        "FROM ordering_customers WHERE days = 0"
    )
    row = facts.engine.table(sql).to_pylist()[0]
    return row["n"], _major(asked.worth(row["minor"]), currency)


def _listed(text: str) -> str:
    return ", ".join(
        f"max(CAST(c.{letter}{k} AS {text})) AS {letter}{k}" for letter in _SCORED for k in range(1, FIFTHS)
    )


def currencies_bought(facts: Facts, first: date, after: date, currency: str | None) -> dict[str, Fraction]:
    """The currencies in which anything was bought, each with the net amount (minor units) that names no customer.

    With a currency to convert into: that one alone, with all of them.
    """
    st, d = facts.statement(), facts.engine.dialect
    sold = dated(st, facts)
    sql = st.render(
        f"SELECT currency, day, {d.total('CASE WHEN customer_id IS NULL THEN minor ELSE 0 END')} AS minor FROM {sold} "
        f"WHERE day >= {day_number(first)} AND day < {day_number(after)} GROUP BY currency, day ORDER BY currency, day"
    )
    rows = facts.engine.table(sql).to_pylist()
    if currency is None:
        found: dict[str, Fraction] = defaultdict(Fraction)
        for row in rows:
            found[row["currency"]] += int(row["minor"])
        return dict(found)
    conversion = _conversion(facts, currency)
    units = ((int(row["minor"]), conversion.need(row["currency"], row["day"])) for row in rows)
    return {currency: sum((Fraction(minor * unit, SCALE) for minor, unit in units), Fraction(0))}


def _conversion(facts: Facts, currency: str) -> Conversion:
    key = ("conversion", currency, "daily")
    if key not in facts.memory:
        facts.memory[key] = Conversion.of(facts, currency)
    found: Conversion = facts.memory[key]
    return found


def lent_rates(facts: Facts, currency: str, first: date, after: date) -> str:
    """What a minor unit of each currency is worth on each day of orders, times SCALE, as a relation in the engine."""
    import pyarrow as pa

    st = facts.statement()
    sold = dated(st, facts)
    sql = st.render(
        f"SELECT DISTINCT currency, day FROM {sold} WHERE day >= {day_number(first)} AND day < {day_number(after)}"
    )
    conversion = _conversion(facts, currency)
    rows = facts.engine.table(sql).to_pylist()
    units = [Decimal(conversion.need(row["currency"], row["day"])) for row in rows]
    table = pa.table(
        {
            "day": pa.array([row["day"] for row in rows], pa.int64()),
            "currency": pa.array([row["currency"] for row in rows], pa.string()),
            "unit": pa.array(units, pa.decimal128(38, 0)),
        }
    )
    return facts.engine.lend("rates_of_orders", table)


def _major(minor: Fraction, currency: str) -> Decimal:
    """Minor units as a Decimal of major units, rounded half-even to the currency's digits."""
    return Decimal(round(minor)).scaleb(-exponent(currency))
