"""How many customers do we have, with and without a contract, and how many of them did we lose? Each counted once.

Who is under contract and who buys without one is asked of two tables, each by its own rule: a customer under contract
is one by section 6 of docs/explanation/movements.md, a buyer is active for the inactivity window after a purchase (see
buyers). Some are both. So at both ends of a stretch of time

    under contract + active buyers - both = the whole company

and a customer is lost to the whole company only who was either at the start and is neither at the end: who stops buying
and signs a contract has moved, not left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput
from tenure.kernel import stats
from tenure.kernel.money import exponent
from tenure.kernel.time import STRETCH, Period, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, day_number
from tenure.measure import states
from tenure.measure.buyers import BuyersBook
from tenure.measure.currencies import SCALE, Conversion
from tenure.measure.definition import Definition
from tenure.measure.movements import movements
from tenure.measure.openings import names
from tenure.measure.orders import dated, has_orders
from tenure.measure.purchase_gaps import Window, buyers_segment, segment_of
from tenure.measure.segments import Segment

if TYPE_CHECKING:
    import pyarrow as pa

SIDES = {
    "contract": "Under contract",
    "buyers": "Active buyers",
    "both": "Of them both",
    "company": "The whole company",
}
DEFINITIONS = {
    "contract": "customers under contract at the start who are not at the end",
    "buyers": "active buyers at the start who are not active at the end",
    "company": "customers of either side at the start who are of neither at the end",
}
MONEY = {
    "mrr": "MRR at the end",
    "orders_contract": "Orders of customers with a contract",
    "orders_others": "Orders of all others",
    "orders_unnamed": "Orders that name no customer",
}

# Of the flags (contract, buyer) at one end, whether a customer counts on a side.
_COUNTS: dict[str, Callable[[bool, bool], bool]] = {
    "contract": lambda contract, buyer: contract,
    "buyers": lambda contract, buyer: buyer,
    "both": lambda contract, buyer: contract and buyer,
    "company": lambda contract, buyer: contract or buyer,
}


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the book in one segment: opening + came - left = closing; left are of the opening.

    churn: left / opening with Wilson's interval; nothing for those who are both, for who stops being both has not left.
    """

    side: str
    segment: dict[str, str | None] | None
    opening: int
    came: int
    left: int
    closing: int
    churn: stats.Estimate
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Amount:
    """What one side pays, in one currency: a line of MONEY in major units (None: no rate is known)."""

    line: str
    segment: dict[str, str | None] | None
    currency: str
    value: Decimal | None
    reason: str = ""


@dataclass(frozen=True)
class WholeBook:
    """A company's customers with and without a contract over a stretch of time; see the module.

    window: the inactivity window; None where there are no orders. notes: what a reader must know.
    """

    period: Period
    sides: tuple[Side, ...]
    money: tuple[Amount, ...]
    window: Window | None
    definition: Definition
    notes: tuple[str, ...]
    by: tuple[str, ...]
    facts: Facts = field(repr=False)
    people_sql: str = field(repr=False, default="")
    segment: Segment | None = field(repr=False, default=None)
    statements: tuple[str, ...] = field(repr=False, default=())

    def side(self, name: str) -> Side:
        """The side of that name, of everybody."""
        return next(side for side in self.sides if side.side == name and side.segment is None)

    def rows(self) -> list[dict[str, Any]]:
        """A dict per side and per line of money, as the command line's CSV has them."""
        start, end = self.period.first, self.period.after
        of_time = {"period_start": start, "period_end": end}
        nothing = dict.fromkeys(
            ("opening", "came", "left", "closing", "churn_rate", "low", "high", "amount", "currency")
        )
        found: list[dict[str, Any]] = []
        for side in self.sides:
            found.append(
                {
                    "line": side.side,
                    "segment": side.segment,
                    **of_time,
                    **nothing,
                    "opening": side.opening,
                    "came": side.came,
                    "left": side.left,
                    "closing": side.closing,
                    "churn_rate": side.churn.value,
                    "low": side.churn.low,
                    "high": side.churn.high,
                    "definition": DEFINITIONS.get(side.side),
                    "reason": side.reason or None,
                }
            )
        for amount in self.money:
            told = {"amount": amount.value, "currency": amount.currency}
            rest = {"definition": MONEY[amount.line], "reason": amount.reason or None}
            found.append({"line": amount.line, "segment": amount.segment, **of_time, **nothing, **told, **rest})
        return found

    def customers(self) -> pa.Table:
        """Who is on which side: customer_id, name, and (true or false) contract and buyer at the start and at the end.

        Everybody of either side at either end; `became` says what became of them: stayed, came, left, or moved.
        """
        import pyarrow as pa

        known = names(self.facts)
        rows = self.facts.engine.table(self.people_sql).to_pylist()
        flags = ("contract_start", "buyer_start", "contract_end", "buyer_end")
        ends = [tuple(bool(row[flag]) for flag in ("c0", "b0", "c1", "b1")) for row in rows]
        return pa.table(
            {
                "customer_id": pa.array([row["customer_id"] for row in rows], pa.string()),
                "name": pa.array([known.get(row["customer_id"]) for row in rows], pa.string()),
                **{
                    f"segment.{name}": pa.array(
                        [(self.segment.read(row["seg"]) if self.segment else {})[name] for row in rows], pa.string()
                    )
                    for name in self.by
                },
                **{flag: pa.array([end[i] for end in ends], pa.bool_()) for i, flag in enumerate(flags)},
                "became": pa.array([_became(*end) for end in ends], pa.string()),
            }
        )


def _became(c0: bool, b0: bool, c1: bool, b1: bool) -> str:
    if not (c0 or b0):
        return "came"
    if not (c1 or b1):
        return "left"
    return "stayed" if (c0, b0) == (c1, b1) else "moved"


def whole_book(
    facts: Facts,
    definition: Definition,
    *,
    first: date,
    after: date,
    by: Sequence[str] = (),
    currency: str | None = None,
    window: int | None = None,
) -> WholeBook:
    """The book of the days [first, after); a company with contracts alone, or with orders alone, has one side.

    by: what stays with a customer. currency: converts MRR at the rate of the last day and orders at that of each day.
    """
    contracts, orders = bool(states.tables(facts)), has_orders(facts)
    if not contracts and not orders:
        raise BadInput("nothing is loaded of anybody: load subscriptions, or orders, with `tenure load`")
    (period,) = periods(first, after, STRETCH, facts.timezone)
    segment = buyers_segment(facts, by)
    book = BuyersBook(facts, [period], (), window)
    reasons = {"contract": "" if contracts else "no subscriptions are loaded"}
    doubts = book.nobody(period) if book.there else None
    reasons["buyers"] = "no orders are loaded" if doubts is None else doubts.reason
    st = facts.statement()
    both = _both_ends(st, facts, definition, period, book if doubts and not doubts.reason else None, contracts)
    join, seg = segment_of(st, facts, segment, both, "e")
    sql = st.render(
        f"SELECT {seg} AS seg, c0, b0, c1, b1, count(*) AS n FROM {both} AS e{join} "
        f"GROUP BY c0, b0, c1, b1{'' if segment is None else f', {seg}'} ORDER BY 1, 2, 3, 4, 5"
    )
    people = st.render(
        f"SELECT e.customer_id, {seg} AS seg, c0, b0, c1, b1 FROM {both} AS e{join} "
        "WHERE c0 + b0 + c1 + b1 > 0 ORDER BY e.customer_id"
    )
    counts = facts.engine.table(sql).to_pylist()
    doubt = "" if doubts is None else "; ".join(filter(None, (doubts.doubt_at_start, doubts.doubt)))
    not_over = ""
    if facts.known_before < period.end:
        not_over = "provisional: the period is not over"
    sides = []
    for name in [None, *sorted({row["seg"] for row in counts})] if segment else [None]:
        mine = counts if name is None else [row for row in counts if row["seg"] == name]
        told = None if segment is None or name is None else segment.read(name)
        for side in SIDES:
            if side in ("both", "company") or not reasons[side]:
                uncertain = "" if side == "contract" else doubt
                sides.append(_side(side, told, mine, "; ".join(filter(None, (uncertain, not_over)))))
    if not (contracts and not reasons["buyers"]):
        sides = [side for side in sides if side.side != "both"]
    money, statements = _money(facts, definition, period, segment, currency, contracts, both, st)
    notes = [f"{SIDES[side]}: {why}." for side, why in reasons.items() if why]
    notes += book.notes
    return WholeBook(
        period,
        tuple(sides),
        tuple(money),
        book.window,
        definition,
        tuple(notes),
        tuple(by),
        facts,
        people,
        segment,
        (sql, *statements),
    )


def _side(side: str, segment: dict[str, str | None] | None, counts: list[dict[str, Any]], reason: str) -> Side:
    is_in = _COUNTS[side]
    opening = came = left = closing = 0
    for row in counts:
        was, stands = is_in(bool(row["c0"]), bool(row["b0"])), is_in(bool(row["c1"]), bool(row["b1"]))
        opening += row["n"] * was
        closing += row["n"] * stands
        came += row["n"] * (stands and not was)
        left += row["n"] * (was and not stands)
    churn = stats.NO_ESTIMATE
    if side != "both":
        if opening:
            churn = stats.Estimate(left / opening, *stats.wilson(left, opening))
        else:
            reason = "; ".join(filter(None, ("there was nobody at the start", reason)))
    return Side(side, segment, opening, came, left, closing, churn, reason)


def _both_ends(
    st: Statement, facts: Facts, definition: Definition, period: Period, book: BuyersBook | None, contracts: bool
) -> str:
    """A step: of every customer (0 or 1) whether under contract (c) and active (b) at the start (0) and the end (1)."""
    parts = []
    if contracts:
        moved = movements(st, facts, definition, states.shape(facts, definition), [period])
        parts.append(
            "SELECT customer_id, sum(CASE WHEN period < 0 THEN customer1 - customer0 ELSE 0 END) AS c0, "
            f"sum(customer1 - customer0) AS c1, 0 AS b0, 0 AS b1 FROM {moved} WHERE closes = 1 AND period <= 0 "
            "GROUP BY customer_id"
        )
    if book is not None and book.window is not None:
        placed = book.placed(st)
        parts.append(
            "SELECT customer_id, 0 AS c0, 0 AS c1, max(CASE WHEN b < 0 AND e >= 0 THEN 1 ELSE 0 END) AS b0, "
            f"max(CASE WHEN b <= 0 AND e > 0 THEN 1 ELSE 0 END) AS b1 FROM {placed} GROUP BY customer_id"
        )
    if not parts:
        parts.append(
            "SELECT customer_id, 0 AS c0, 0 AS c1, 0 AS b0, 0 AS b1 FROM "
            f"(SELECT DISTINCT customer_id FROM {dated(st, facts)} WHERE customer_id IS NOT NULL) AS w"
        )
    flags = ", ".join(f"CASE WHEN max({flag}) > 0 THEN 1 ELSE 0 END AS {flag}" for flag in ("c0", "c1", "b0", "b1"))
    each = "\nUNION ALL ".join(parts)
    return st.step(
        "both_ends",
        f"SELECT customer_id, {flags} FROM (\n{each}\n) AS sides GROUP BY customer_id",
        keep=True,
        says="who is under contract and who buys, at the start and at the end",
    )


def _money(
    facts: Facts,
    definition: Definition,
    period: Period,
    segment: Segment | None,
    currency: str | None,
    contracts: bool,
    both: str,
    st: Statement,
) -> tuple[list[Amount], list[str]]:
    """MRR at the end, and what was ordered in the stretch, net of returns, by whom."""
    found: list[Amount] = []
    statements: list[str] = []
    if contracts:
        from tenure.measure.answers import Question, ask

        by = segment.names if segment else ()
        answer = ask(facts, definition, Question(("mrr",), period.first, period.after, STRETCH, by, currency, False))
        statements += answer.statements
        for cell in answer.cells:
            if cell.currency is not None:
                found.append(Amount("mrr", cell.segment, cell.currency, cell.major(cell.value), cell.reason))
    if has_orders(facts):
        join, seg = segment_of(st, facts, segment, both, "p")
        d = facts.engine.dialect
        who = (
            "CASE WHEN p.customer_id IS NULL THEN 'orders_unnamed' WHEN e.c0 + e.c1 > 0 THEN 'orders_contract' "
            "ELSE 'orders_others' END"
        )
        sql = st.render(
            f"SELECT {who} AS line, {seg} AS seg, p.currency, p.day, {d.total('p.minor')} AS minor "
            f"FROM {dated(st, facts)} AS p LEFT JOIN {both} AS e ON e.customer_id = p.customer_id{join} "
            f"WHERE p.day >= {day_number(period.first)} AND p.day < {day_number(period.after)} "
            f"GROUP BY {who}, p.currency, p.day{'' if segment is None else f', {seg}'} ORDER BY 1, 2, 3, 4"
        )
        statements.append(sql)
        found += _ordered(facts.engine.table(sql).to_pylist(), facts, segment, currency)
    return found, statements


def _ordered(rows: list[dict[str, Any]], facts: Facts, segment: Segment | None, currency: str | None) -> list[Amount]:
    conversion = Conversion.of(facts, currency) if currency is not None else None
    sums: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    missing: dict[tuple[str, str, str], str] = {}
    for row in rows:
        key = row["line"], row["seg"], currency or row["currency"]
        unit = SCALE if conversion is None else conversion.unit(row["currency"], row["day"])
        if unit is None:
            assert conversion is not None
            missing[key] = conversion.lacking(missing.get(key, ""), row["currency"], row["day"])
        sums[key] += Fraction(int(row["minor"]) * (unit or 0), SCALE)
    return [
        Amount(
            line,
            segment.read(seg) if segment else None,
            money,
            None if (line, seg, money) in missing else Decimal(round(minor)).scaleb(-exponent(money)),
            missing.get((line, seg, money), ""),
        )
        for (line, seg, money), minor in sorted(sums.items(), key=lambda item: (list(MONEY).index(item[0][0]), item[0]))
    ]
