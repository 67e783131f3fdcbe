"""When did each customer without a contract buy, and for how much? Four numbers each, counted in the engine.

On a grid of days, as of the day `end` begins: frequency (days with a purchase after the first one), recency (days from
the first to the last), age (days from the first to the last day known) and what the repeat purchases brought, net of
returns. Customers who share the first three are one row, with their money added up: what the models and the value of a
customer need is linear in it. A customer is whoever bought; who only returned is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, day_number
from tenure.measure.currencies import SCALE
from tenure.measure.orders import dated
from tenure.measure.purchase_gaps import segment_of
from tenure.measure.segments import Segment

if TYPE_CHECKING:
    import pyarrow as pa

# Mean values are fitted on at most so many customers: every k-th of them, in order of their names.
MOST_SPENDERS = 200_000


@dataclass(frozen=True)
class Bought:
    """What is asked: purchases before the day `end`, in one native currency or converted, of whom.

    native: only what was bought in that currency; rates: a relation in the engine (day, currency, unit); born_before:
    only customers whose first purchase lies before that day.
    """

    facts: Facts
    end: date
    native: str | None = None
    rates: str | None = None
    segment: Segment | None = None
    born_before: date | None = None

    @property
    def scale(self) -> int:
        """What sums of money are divided by to be minor units."""
        return 1 if self.rates is None else SCALE

    def customers(self) -> tuple[Statement, str]:
        """A step with everybody who bought: customer_id, seg, frequency, recency, age, repeat_minor (times scale)."""
        st, d = self.facts.statement(), self.facts.engine.dialect
        end = day_number(self.end)
        worth, join, where = "s.minor", "", ""
        if self.native is not None:
            where = f" AND s.currency = {d.literal(self.native)}"
        if self.rates is not None:
            worth = "CAST(s.minor AS DECIMAL(18,0)) * CAST(x.unit AS DECIMAL(20,0))"
            join = f" JOIN {self.rates} AS x ON x.day = s.day AND x.currency = s.currency"
        sold = dated(st, self.facts)
        named = f"s.customer_id IS NOT NULL AND s.day < {end}{where}"
        born = "" if self.born_before is None else f" HAVING min(s.day) < {day_number(self.born_before)}"
        first = st.step(
            "first_purchases",
            f"SELECT s.customer_id, min(s.day) AS first_day FROM {sold} AS s WHERE {named} AND s.returned = 0 "
            f"GROUP BY s.customer_id{born}",
            keep=True,
            says="the day on which each customer first bought",
        )
        day = "CASE WHEN s.returned = 0 THEN s.day END"
        bought = st.step(
            "purchase_histories",
            f"SELECT s.customer_id, count(DISTINCT {day}) - 1 AS frequency, max({day}) - min(f.first_day) AS recency, "
            f"{end - 1} - min(f.first_day) AS age, "
            f"CAST(sum(CASE WHEN s.day > f.first_day THEN {worth} ELSE 0 END) AS DECIMAL(38,0)) AS repeat_minor, "
            f"CAST(sum({worth}) AS DECIMAL(38,0)) AS minor "
            f"FROM {sold} AS s JOIN {first} AS f ON f.customer_id = s.customer_id{join} WHERE {named} "
            "GROUP BY s.customer_id",
            keep=True,
            says="how often and how long each customer bought, and what the repeat purchases brought",
        )
        joined, seg = segment_of(st, self.facts, self.segment, bought, "b")
        return st, st.step(
            "buyers_told",
            f"SELECT b.customer_id, {seg} AS seg, b.frequency, b.recency, b.age, b.repeat_minor, b.minor "
            f"FROM {bought} AS b{joined}",
        )


@dataclass(frozen=True, eq=False)
class BuyerHistories:
    """Customers who share a history, a row each: seg, frequency, recency, age (days), customers, and their money.

    repeat, squares: of the repeat purchases' net amounts, the sum (minor units) and the sum of squares; all_minor: the
    sum over all purchases.
    """

    seg: Any
    frequency: Any
    recency: Any
    age: Any
    customers: Any
    repeat: Any
    squares: Any
    all_minor: Any
    statement: str

    def __len__(self) -> int:
        return len(self.frequency)


def buyer_histories(asked: Bought) -> BuyerHistories:
    """The histories of everybody who bought, grouped; see the module."""
    st, told = asked.customers()
    minor = f"(CAST(repeat_minor AS DOUBLE) / {asked.scale}.0)"
    keys = "seg, frequency, recency, age"
    sql = st.render(
        f"SELECT {keys}, count(*) AS customers, CAST(sum(repeat_minor) AS DECIMAL(38,0)) AS repeat, "
        f"CAST(sum(minor) AS DECIMAL(38,0)) AS all_minor, CAST(sum({minor} * {minor}) AS DOUBLE) AS squares "
        f"FROM {told} GROUP BY {keys} ORDER BY {keys}"
    )
    table = asked.facts.engine.table(sql)

    def money(name: str) -> Any:
        return np.array([float(Fraction(int(value), asked.scale)) for value in table.column(name).to_pylist()])

    def whole(name: str) -> Any:
        return np.asarray(table.column(name).to_numpy(), dtype=np.int64)

    return BuyerHistories(
        seg=np.array(table.column("seg").to_pylist(), dtype=object),
        frequency=whole("frequency"),
        recency=whole("recency"),
        age=whole("age"),
        customers=whole("customers"),
        repeat=money("repeat"),
        squares=np.asarray(table.column("squares").to_numpy(), dtype=np.float64),
        all_minor=money("all_minor"),
        statement=sql,
    )


def spending(asked: Bought) -> tuple[Any, Any, Any, int]:
    """Repeat buyers' frequency, mean value of a repeat purchase (minor units), how many share both; and every k-th k.

    Who brought back all that he bought again is left out: his mean is none.
    """
    st, told = asked.customers()
    numbered = st.step(
        "repeat_buyers",
        f"SELECT frequency, repeat_minor, row_number() OVER (ORDER BY customer_id) AS place, count(*) OVER () AS many "
        f"FROM {told} WHERE frequency > 0 AND repeat_minor > 0",
        keep=True,
    )
    every = st.step(
        "every_kth",
        f"SELECT frequency, repeat_minor, {asked.facts.engine.dialect.div(f'many + {MOST_SPENDERS - 1}', str(MOST_SPENDERS))} "
        f"AS step, place FROM {numbered}",
    )
    sql = st.render(
        f"SELECT frequency, repeat_minor, max(step) AS step, count(*) AS n FROM {every} WHERE place % step = 0 "
        "GROUP BY frequency, repeat_minor ORDER BY frequency, repeat_minor"
    )
    table: pa.Table = asked.facts.engine.table(sql)
    x = np.asarray(table.column("frequency").to_numpy(), dtype=np.float64)
    total = np.array([float(Fraction(int(value), asked.scale)) for value in table.column("repeat_minor").to_pylist()])
    step = max((int(value) for value in table.column("step").to_pylist()), default=1)
    return x, total / np.maximum(x, 1), np.asarray(table.column("n").to_numpy(), dtype=np.float64), step
