"""How many came due, and for how much? The renewals of some periods counted by outcome, and listed by customer.

Money of a renewal, what it was due with and what it is renewed with, counts at the exchange rate of its due day, so
that no rate makes uplift. See measure.renewals for what is a renewal and what became of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tenure.errors import UnknownName
from tenure.kernel import stats
from tenure.kernel.time import Period
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, day_number
from tenure.measure import states
from tenure.measure.currencies import SCALE, Conversion
from tenure.measure.definition import Definition
from tenure.measure.item_days import owes
from tenure.measure.movements import calendar, movements
from tenure.measure.renewals import LENGTHS, OUTCOMES, followed, horizon_day, outcomes
from tenure.measure.segments import SEPARATOR, Segment, members
from tenure.measure.shares import shares

if TYPE_CHECKING:
    from tenure.measure.gathering import Gathered

Key = tuple[int, str, str | None]
_KEYS = ("win", "seg", "outcome", "currency", "renewed_currency", "day")
MONTHS = 12  # ARR is so many times MRR


@dataclass
class RenewalFigures:
    """One period of one segment in one currency: counts and ARR by outcome; money is scaled as in currencies.SCALE.

    due = renewed + late + undecided + lost, in `counts` and in `due`. again: the ARR that those who renewed, on time or
    late, renewed with = their `due` + uplift - downsell. annual: (renewed or late, decided) of terms of a year or more.
    kept: each decided renewal with at most what it was due with. squares, again_squares, crossed: of the decided.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    due: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    again: int = 0
    uplift: int = 0
    downsell: int = 0
    annual: tuple[int, int] = (0, 0)
    squares: float = 0.0
    again_squares: float = 0.0
    crossed: float = 0.0
    reason: str = ""  # why money has no value

    @property
    def all_due(self) -> int:
        """How many came due."""
        return sum(self.counts.values())

    @property
    def arr_due(self) -> int:
        """With how much ARR."""
        return sum(self.due.values())

    @property
    def decided(self) -> int:
        """How many of them are decided."""
        return self.all_due - self.counts["undecided"]

    @property
    def arr_decided(self) -> int:
        """With how much ARR."""
        return self.arr_due - self.due["undecided"]

    @property
    def came(self) -> int:
        """How many renewed, on time or late."""
        return self.counts["renewed"] + self.counts["late"]

    @property
    def kept(self) -> int:
        """ARR that was renewed, each renewal at most with what it was due with."""
        return self.again - self.uplift

    def gross_interval(self) -> tuple[float | None, float | None]:
        """Wilson's interval of the ARR kept, with as many renewals as the amounts are worth."""
        if self.arr_decided <= 0 or not self.squares:
            return None, None
        size = stats.effective_size(self.arr_decided / SCALE, self.squares)
        return stats.wilson_effective(self.kept / self.arr_decided, size)

    def net_interval(self) -> tuple[float | None, float | None]:
        """The interval of a ratio of sums over the decided renewals; see stats.ratio_interval."""
        if self.decided < 2 or self.arr_decided <= 0:
            return None, None
        sums = self.arr_decided / SCALE, self.again / SCALE, self.squares, self.again_squares, self.crossed
        interval = stats.ratio_interval(self.decided, *sums)
        return interval.low, interval.high


@dataclass
class RenewalBook:
    """The renewals of some periods, by segment and currency; each statement is run when it is first needed."""

    facts: Facts
    definition: Definition
    asked: Sequence[Period]
    grace: int
    segment: Segment | None = None
    currency: str | None = None  # the reporting currency; None: each by itself
    length: str | None = None  # only terms and intervals of this length; see renewals.LENGTHS
    statements: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.length is not None and self.length not in LENGTHS:
            raise UnknownName.of("interval", self.length, LENGTHS)

    @cached_property
    def conversion(self) -> Conversion | None:
        """The rates into the reporting currency."""
        if self.currency is None:
            return None
        made = Conversion.of(self.facts, self.currency)
        if self.definition.fx == "current":
            made.fixed = horizon_day(self.facts) - 1
        return made

    def _look(self, facts: Facts) -> tuple[Statement, str]:
        """A statement with the renewals in their periods and segments: the step `renewals_placed`, with win and seg."""
        segment, definition = self.segment, followed(self.definition)
        d = facts.engine.dialect
        st = facts.statement()
        found = states.shape(facts, definition)
        item_seg = None
        if segment is not None and segment.column is not None:
            item_seg = segment.column.replace("{text}", d.text)
        first, after = day_number(self.asked[0].first), day_number(self.asked[-1].after)
        told = outcomes(st, facts, definition, found, first, after, self.grace, item_seg)
        calendar(st, facts, self.asked)
        seg, join = "r.item_seg", ""
        if segment is not None and segment.of_customer:
            moved = movements(st, facts, definition, found, self.asked) if segment.moves else told
            members(st, facts, segment, self.asked, moved, self.currency or found.currency)
            join = (
                " LEFT JOIN members AS s ON s.customer_id = r.customer_id "
                "AND c.period BETWEEN s.first_slice AND s.last_slice"
            )
            parts = (["r.item_seg"] if segment.of_item else []) + ["coalesce(s.seg, '')"]
            seg = f" || '{SEPARATOR}' || ".join(parts)
        where = f" WHERE r.length = '{self.length}'" if self.length else ""
        return st, st.step(
            "renewals_placed",
            f"SELECT c.period AS win, {seg} AS seg, r.* FROM {told} AS r JOIN calendar AS c ON c.day = r.due_day{join}{where}",
            keep=True,
            says="in its period and segment",
        )

    def _rows(self, st: Statement, sql: str) -> list[dict[str, Any]]:
        text = st.render(sql)
        self.statements.append(text)
        return self.facts.engine.table(text).to_pylist()

    @cached_property
    def sums(self) -> list[dict[str, Any]]:
        """Renewals counted: by period, segment, outcome, currencies and, where rates are needed, by due day."""
        # Who is in a segment may depend on other customers: then all are looked at together.
        alone = self.segment is None or not self.segment.of_customer
        owes(self.facts)
        several = shares(self.facts) if alone else [self.facts]
        if len(several) == 1:
            return self._summed(self.facts)
        together: dict[tuple[Any, ...], dict[str, Any]] = {}
        for share in several:
            for row in self._summed(share):
                key = tuple(row[name] for name in _KEYS)
                held = together.setdefault(key, row)
                if held is not row:
                    held.update({name: held[name] + value for name, value in row.items() if name not in _KEYS})
        return list(together.values())

    def _summed(self, facts: Facts) -> list[dict[str, Any]]:
        """`sums` of one look at the facts."""
        st, placed = self._look(facts)
        d = facts.engine.dialect
        day = "due_day" if self.currency is not None else "CAST(NULL AS BIGINT)"
        keys = "win, seg, outcome, currency, renewed_currency" + (", due_day" if self.currency is not None else "")
        same = "coalesce(renewed_currency, currency) = currency"
        due, again = "CAST(m AS DOUBLE)", "CAST(coalesce(renewed_m, 0) AS DOUBLE)"
        return self._rows(
            st,
            f"SELECT win, seg, outcome, currency, renewed_currency, {day} AS day, count(*) AS n, "
            f"CAST(sum(CASE WHEN length = 'year' THEN 1 ELSE 0 END) AS BIGINT) AS annual, {d.total('m')} AS due, "
            f"{d.total('coalesce(renewed_m, 0)')} AS again, "
            f"{d.total(f'CASE WHEN {same} THEN greatest(coalesce(renewed_m, m) - m, 0) ELSE renewed_m END')} AS uplift, "
            f"{d.total(f'CASE WHEN {same} THEN greatest(m - coalesce(renewed_m, m), 0) ELSE m END')} AS downsell, "
            f"sum({due} * {due}) AS squares, sum({again} * {again}) AS again_squares, sum({due} * {again}) AS crossed "
            f"FROM {placed} GROUP BY {keys}",
        )

    @cached_property
    def each(self) -> list[dict[str, Any]]:
        """Every renewal as a row: win, seg and the columns of renewals.outcomes, by due day and customer."""
        owes(self.facts)
        st, placed = self._look(self.facts)
        return self._rows(st, f"SELECT * FROM {placed} ORDER BY due_day, customer_id, subscription_id, item_id")

    @property
    def currencies(self) -> list[str]:
        """In which currencies anything came due or was renewed, sorted."""
        told = {row[name] for row in self.sums for name in ("currency", "renewed_currency")}
        return sorted(told - {None})

    def unit(self, currency: str, day: int) -> int | None:
        """What a minor unit is worth on a day, times SCALE; None without a rate."""
        return SCALE if self.conversion is None else self.conversion.unit(currency, day)

    def figures(self) -> dict[Key, RenewalFigures]:
        """The figures by (period, segment, currency); currency None tells counts alone."""
        found: dict[Key, RenewalFigures] = defaultdict(RenewalFigures)
        for row in self.sums:
            win, seg, outcome = row["win"], row["seg"], row["outcome"]
            native, again = row["currency"], row["renewed_currency"] or row["currency"]
            heads = [None, self.currency or native]
            for money in heads:
                figures = found[win, seg, money]
                figures.counts[outcome] += row["n"]
                if outcome != "undecided":
                    came, decided = figures.annual
                    figures.annual = came + (row["annual"] if outcome != "lost" else 0), decided + row["annual"]
            figures, other = found[win, seg, self.currency or native], found[win, seg, self.currency or again]
            unit, new_unit = (self.unit(name, row["day"] or 0) for name in (native, again))
            if unit is None or new_unit is None:
                assert self.conversion is not None
                missing = native if unit is None else again
                figures.reason = self.conversion.lacking(figures.reason, missing, row["day"])
                continue
            figures.due[outcome] += MONTHS * int(row["due"]) * unit
            if outcome == "undecided":
                continue
            rate, new_rate = MONTHS * unit / SCALE, MONTHS * new_unit / SCALE
            figures.squares += row["squares"] * rate**2
            other.again_squares += row["again_squares"] * new_rate**2
            if figures is other:
                figures.crossed += row["crossed"] * rate * new_rate
            if outcome != "lost":
                other.again += MONTHS * int(row["again"]) * new_unit
                other.uplift += MONTHS * int(row["uplift"]) * new_unit
                figures.downsell += MONTHS * int(row["downsell"]) * unit
        return dict(found)


def fill(there: Gathered, facts: Facts, definition: Definition, grace: int, currency: str | None) -> None:
    """Hangs the renewals of each period, segment and currency on gathered figures."""
    from tenure.measure.figures import Figures

    book = RenewalBook(facts, definition, there.asked, grace, there.segment, currency)
    told = book.figures()
    for (i, seg, money), renewals in told.items():
        if (i, seg, money) not in there.found:
            there.found[i, seg, money] = Figures(there.asked[i], seg, money, definition=definition)
        there.found[i, seg, money].renewals = renewals
    for key, figures in there.found.items():
        if key not in told:
            figures.renewals = RenewalFigures()
    there.statements += book.statements


@dataclass(frozen=True, slots=True)
class Renewal:
    """What one renewal adds: by whom, when, with what ARR (scaled), what became of it and with what ARR it goes on."""

    window: int
    seg: str
    customer_id: str
    due_day: int
    outcome: str
    length: str
    currency: str
    due: Fraction
    renewed_currency: str
    again: Fraction
    same: bool  # whether both are money of one currency in the books


def renewals(book: RenewalBook) -> list[Renewal]:
    """Each renewal in the reporting currency; where a rate is missing, in its own."""
    found = []
    for row in book.each:
        native, new = row["currency"], row["renewed_currency"] or row["currency"]
        unit, new_unit = book.unit(native, row["due_day"]), book.unit(new, row["due_day"])
        same = native == new
        if book.currency is not None and unit is not None and new_unit is not None:
            native = new = book.currency
        else:
            unit = new_unit = SCALE
        due, again = MONTHS * int(row["m"]) * unit, MONTHS * int(row["renewed_m"] or 0) * new_unit
        found.append(
            Renewal(
                row["win"], row["seg"], row["customer_id"], row["due_day"], row["outcome"], row["length"],
                native, Fraction(due), new, Fraction(again), same,
            )
        )  # fmt: skip
    return found
