"""Whose churn? Segments of items (they move with the item) and of customers (taken at the start of each period).

A segment may name several columns at once. In the statements it is one text: the parts joined by U+001F, '' standing
for an unknown value. Section 7 of docs/explanation/movements.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tenure.errors import BadInput, UnknownName
from tenure.kernel.money import exponent
from tenure.kernel.time import Period
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, micros
from tenure.measure.states import ITEM_COLUMNS

SEPARATOR = "\x1f"
OF_ITEM = (*ITEM_COLUMNS, "currency")
OF_CUSTOMER = ("country", "language", "channel", "owner", "parent_id", "timezone")
BANDS = ("tenure", "size")
# Months since the first payment, and MRR in major units of the currency (or of the reporting currency).
TENURE_BANDS = ((3, "0-3 months"), (6, "3-6 months"), (12, "6-12 months"), (24, "12-24 months"))
TENURE_LAST = "24 months or more"
SIZE_BANDS = ((50, "under 50"), (200, "50 to 200"), (1000, "200 to 1,000"), (5000, "1,000 to 5,000"))
SIZE_LAST = "5,000 or more"
_FOREVER = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Segment:
    """What `--by` names, resolved: which parts belong to the item, which to the customer, and which of those move."""

    names: tuple[str, ...]
    item: tuple[str, ...]
    columns: tuple[str, ...]  # of the customers table
    traits: tuple[str, ...]  # with one value for all time
    dated: tuple[str, ...]  # traits with dates
    bands: tuple[str, ...]
    lent: str | None = None  # a relation (customer_id, seg) in the engine

    @property
    def of_item(self) -> bool:
        """Whether some part belongs to the item."""
        return bool(self.item)

    @property
    def of_customer(self) -> bool:
        """Whether some part belongs to the customer."""
        return bool(self.columns or self.traits or self.dated or self.bands or self.lent)

    @property
    def moves(self) -> bool:
        """Whether customers change their segment over time."""
        return bool(self.dated or self.bands)

    @property
    def column(self) -> str | None:
        """The item's part as one SQL text."""
        return joined([f"CAST({name} AS {{text}})" for name in self.item]) if self.item else None

    @property
    def order(self) -> tuple[str, ...]:
        """The names in the order in which their values stand in the text."""
        lent = (self.lent,) if self.lent else ()
        return (*self.item, *self.columns, *lent, *self.traits, *self.dated, *self.bands)

    def read(self, text: str) -> dict[str, str | None]:
        """The text of a statement's answer as {name: value}, in the order asked for."""
        values = dict(zip(self.order, text.split(SEPARATOR), strict=True))
        return {name: values[name] or None for name in self.names}


def of_lent(relation: str) -> Segment:
    """The segment that a relation (customer_id, seg) in the engine tells for each customer."""
    return Segment((relation,), (), (), (), (), (), relation)


def joined(parts: Sequence[str]) -> str:
    """SQL texts joined by the separator, NULL as ''."""
    return f" || '{SEPARATOR}' || ".join(f"coalesce({part}, '')" for part in parts)


def resolve(facts: Facts, names: Sequence[str]) -> Segment | None:
    """What the names mean in these facts; None for no name. Raises UnknownName with the names that exist."""
    if not names:
        return None
    if len(set(names)) != len(names):
        raise BadInput(f"--by names a column twice: {', '.join(names)}")
    known: dict[str, bool] | None = None
    item: list[str] = []
    columns: list[str] = []
    traits: list[str] = []
    dated: list[str] = []
    bands: list[str] = []
    for name in names:
        if name in OF_ITEM:
            item.append(name)
        elif name in BANDS:
            bands.append(name)
        elif name in OF_CUSTOMER:
            columns.append(name)
        else:
            if known is None:
                known = _traits(facts)
            if name not in known:
                raise UnknownName.of("column or trait", name, [*OF_ITEM, *OF_CUSTOMER, *BANDS, *known])
            (dated if known[name] else traits).append(name)
    return Segment(tuple(names), tuple(item), tuple(columns), tuple(traits), tuple(dated), tuple(bands))


def _traits(facts: Facts) -> dict[str, bool]:
    if not facts.has("traits"):
        return {}
    st = facts.statement()
    raw = facts.source(st, "traits")
    dated = "max(CASE WHEN effective_at IS NOT NULL THEN 1 ELSE 0 END)"
    rows = facts.engine.table(st.render(f"SELECT trait, {dated} AS dated FROM {raw} GROUP BY trait ORDER BY trait"))
    return {row["trait"]: bool(row["dated"]) for row in rows.to_pylist()}


def members(
    st: Statement, facts: Facts, segment: Segment, slices: Sequence[Period], moved: str, currency: str | None
) -> str:
    """The step `members`: customer_id, first_slice, last_slice, joined, seg: who belongs where in which slices.

    A part that does not move has one row per customer; otherwise rows begin at the slices in which the segment, as at
    the slice's start (or when the customer joined within it), is another than before.
    """
    d = facts.engine.dialect
    text = d.text
    who = st.step("who", f"SELECT DISTINCT customer_id FROM {moved}", keep=True)
    if segment.moves:
        points = _points(st, facts, segment, slices, moved)
        base = f"SELECT p.customer_id, p.slice, p.moment, p.joins FROM {points} AS p"
    else:
        base = f"SELECT customer_id, -1 AS slice, CAST(0 AS BIGINT) AS moment, 1 AS joins FROM {who}"
    marks = st.step("member_marks", base, keep=True)
    parts: list[str] = []
    joins: list[str] = []
    if segment.columns:
        latest = facts.latest(st, "customers", ("customer_id", *segment.columns), step="member_columns")
        joins.append(f"LEFT JOIN {latest} AS c ON c.customer_id = m.customer_id")
        parts += [f"CAST(c.{column} AS {text})" for column in segment.columns]
    if segment.traits or segment.dated:
        facts.latest(st, "traits", ("customer_id", "trait", "effective_at", "value"), step="known_traits")
    if segment.lent:
        joins.append(f"LEFT JOIN {segment.lent} AS l ON l.customer_id = m.customer_id")
        parts.append("l.seg")
    for i, trait in enumerate(segment.traits):
        step = st.step(
            f"trait_{i}",
            f"SELECT customer_id, max(value) AS value FROM known_traits WHERE trait = {d.literal(trait)} GROUP BY customer_id",
        )
        joins.append(f"LEFT JOIN {step} AS t{i} ON t{i}.customer_id = m.customer_id")
        parts.append(f"t{i}.value")
    for i, trait in enumerate(segment.dated):
        rows = st.step(
            f"dated_{i}",
            f"SELECT customer_id, coalesce(effective_at, -9000000000000000) AS since, coalesce(value, '') AS value FROM known_traits WHERE trait = {d.literal(trait)}",
            keep=True,
        )
        step = st.step(
            f"dated_at_{i}",
            f"SELECT m.customer_id, m.slice, max_by(v.value, v.since) AS value FROM {marks} AS m JOIN {rows} AS v "
            "ON v.customer_id = m.customer_id AND v.since <= m.moment GROUP BY m.customer_id, m.slice",
        )
        joins.append(f"LEFT JOIN {step} AS d{i} ON d{i}.customer_id = m.customer_id AND d{i}.slice = m.slice")
        parts.append(f"d{i}.value")
    if "tenure" in segment.bands:
        first = st.step(
            "first_payments",
            f"SELECT customer_id, min(ts) AS since FROM {moved} WHERE customer1 = 1 GROUP BY customer_id",
        )
        joins.append(f"LEFT JOIN {first} AS f ON f.customer_id = m.customer_id")
        cases = " ".join(
            f"WHEN m.moment < {d.add_months('f.since', months)} THEN '{name}'" for months, name in TENURE_BANDS
        )
        parts.append(f"CASE {cases} ELSE '{TENURE_LAST}' END")
    if "size" in segment.bands:
        if currency is None:
            raise BadInput("bands of size need one currency: add --currency, such as --currency USD")
        minor = 10 ** exponent(currency) * 1_000_000
        balance = st.step(
            "sizes",
            f"SELECT m.customer_id, m.slice, sum(CASE WHEN v.period < m.slice OR (m.joins = 1 AND v.ts = m.moment) THEN v.amount ELSE 0 END) AS mrr "
            f"FROM {marks} AS m JOIN {moved} AS v ON v.customer_id = m.customer_id WHERE v.kind IS NOT NULL GROUP BY m.customer_id, m.slice",
        )
        joins.append(f"LEFT JOIN {balance} AS b ON b.customer_id = m.customer_id AND b.slice = m.slice")
        cases = " ".join(f"WHEN coalesce(b.mrr, 0) < {limit * minor} THEN '{name}'" for limit, name in SIZE_BANDS)
        parts.append(f"CASE {cases} ELSE '{SIZE_LAST}' END")
    lent = [segment.lent] if segment.lent else []
    order = [*segment.columns, *lent, *segment.traits, *segment.dated, *(b for b in BANDS if b in segment.bands)]
    named = dict(zip(order, parts, strict=True))
    value = joined([named[name] for name in segment.order if name in named])
    named_marks = st.step(
        "member_values", f"SELECT m.customer_id, m.slice, {value} AS seg FROM {marks} AS m {' '.join(joins)}"
    )
    if not segment.moves:
        return st.step(
            "members",
            f"SELECT customer_id, -1 AS first_slice, {_FOREVER} AS last_slice, seg FROM {named_marks}",
            keep=True,
            says="each customer's segment",
        )
    return st.step(
        "members",
        "SELECT customer_id, slice AS first_slice, "
        f"coalesce(lead(slice) OVER (PARTITION BY customer_id ORDER BY slice) - 1, {_FOREVER}) AS last_slice, seg FROM {named_marks}",
        keep=True,
        says="each customer's segment, from slice to slice",
    )


def _points(st: Statement, facts: Facts, segment: Segment, slices: Sequence[Period], moved: str) -> str:
    """A step (customer_id, slice, moment, joins): when a customer's segment has to be looked at anew."""
    d = facts.engine.dialect
    rows = [(str(i), str(micros(p.start))) for i, p in enumerate(slices)]
    starts = st.step("slice_starts", d.values(rows, ("slice", "moment")), keep=True)
    first_start = micros(slices[0].start)
    # Whoever is there before the first slice is looked at when it starts.
    points = [
        f"SELECT customer_id, -1 AS slice, CAST({first_start} AS BIGINT) - 1 AS moment, 0 AS joins FROM who",
        f"SELECT customer_id, 0 AS slice, CAST({first_start} AS BIGINT) AS moment, 0 AS joins FROM who",
    ]
    joined_first = st.step(
        "first_joins",
        f"SELECT customer_id, period AS slice, min(CASE WHEN customer0 = 0 AND customer1 = 1 THEN ts END) AS moment, "
        f"min_by(customer0, ts) AS was FROM {moved} WHERE closes = 1 AND period >= 0 GROUP BY customer_id, period",
    )
    points.append(
        f"SELECT customer_id, slice, moment, 1 AS joins FROM {joined_first} WHERE was = 0 AND moment IS NOT NULL"
    )
    after = f"SELECT j.customer_id, s.slice, s.moment, 0 AS joins FROM {joined_first} AS j JOIN {starts} AS s ON s.slice = j.slice + 1 WHERE j.was = 0"
    points.append(after)
    if "size" in segment.bands:
        points.append(
            f"SELECT DISTINCT m.customer_id, s.slice, s.moment, 0 AS joins FROM {moved} AS m JOIN {starts} AS s ON s.slice = m.period + 1"
        )
    if "tenure" in segment.bands:
        began = st.step(
            "tenure_begins",
            f"SELECT customer_id, min(ts) AS since FROM {moved} WHERE customer1 = 1 GROUP BY customer_id",
            keep=True,
        )
        for months, _ in TENURE_BANDS:
            turn = d.add_months("f.since", months)
            points.append(
                f"SELECT f.customer_id, min(s.slice) AS slice, min(s.moment) AS moment, 0 AS joins FROM {began} AS f "
                f"JOIN {starts} AS s ON s.moment >= {turn} GROUP BY f.customer_id"
            )
    if segment.dated:
        facts.latest(st, "traits", ("customer_id", "trait", "effective_at", "value"), step="known_traits")
        listed = ", ".join(d.literal(trait) for trait in segment.dated)
        points.append(
            "SELECT v.customer_id, min(s.slice) AS slice, min(s.moment) AS moment, 0 AS joins FROM known_traits AS v "
            f"JOIN {starts} AS s ON s.moment >= v.effective_at WHERE v.trait IN ({listed}) GROUP BY v.customer_id, v.effective_at"
        )
    # A customer who joins within a slice is looked at then, not at the slice's start.
    every = "\nUNION ALL\n".join(points)
    return st.step(
        "member_points",
        f"SELECT customer_id, slice, max_by(moment, joins) AS moment, max(joins) AS joins FROM (\n{every}\n) AS p GROUP BY customer_id, slice",
        says="when a customer's segment has to be looked at",
    )


def shown(value: Any) -> str:
    """A segment's value for people: unknown values say so."""
    return "(unknown)" if value is None else str(value)
