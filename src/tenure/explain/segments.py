"""Which kinds of customers leave more than others? Churn by traits and pairs of traits, and segments that are confirmed.

    found = segments(facts, definition, first, after)
    found.rows        every level of every trait, and every pair: customer-months, who left, the share with its interval
    found.findings    segments with unusual churn, proposed by one half of the customers, judged by the other

Churn is what `customer_churn_rate` counts: who was there as a month began and none as it ended, however lost. A segment
is unusual if it differs from customers who have been here as long and pay as often (yearly, or not). Halves are drawn by
the hash of the customer's id: the same customer is in the same half every time. A trait without a date is the value of
now; where it was written after the customer left it explains nothing, and a trait that all but tells who left is left out
and named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.explain.findings import Finding, in_family
from tenure.explain.hunting import Proposal, hunt
from tenure.explain.months import Months
from tenure.kernel.stats import Estimate, change_of_shares, wilson
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement
from tenure.measure.definition import Definition
from tenure.measure.segments import OF_CUSTOMER

if TYPE_CHECKING:
    import pyarrow as pa

MOST_LEVELS = 20
MOST_TRAITS = 25
SHOWN_FROM = 30  # customer-months
_COLUMNS = tuple(name for name in OF_CUSTOMER if name != "parent_id")
_OWN = {
    "plan": ("plan", "แพ็กเกจ"),
    "billing": ("billed", "เรียกเก็บเงิน"),
    "country": ("country", "ประเทศ"),
    "language": ("language", "ภาษา"),
    "channel": ("channel", "ช่องทาง"),
    "owner": ("owner", "ผู้ดูแล"),
    "timezone": ("time zone", "เขตเวลา"),
}
_KNOWS = 0.9  # of a trait's level: this share of it left, and of all who left that share had it
A_CHANGE = "an experiment within the segment, or a change that reaches it alone: `tenure why journey`"


@dataclass(frozen=True, slots=True)
class Row:
    """Customer-months of one segment: how many, how many left."""

    traits: tuple[str, ...]
    levels: tuple[str, ...]
    customer_months: int
    left: int

    def as_json(self) -> dict[str, Any]:
        """The row as plain values."""
        low, high = wilson(self.left, self.customer_months)
        return {
            "segment": dict(zip(self.traits, self.levels, strict=True)), "customer_months": self.customer_months,
            "left": self.left, "churn": self.left / self.customer_months, "low": low, "high": high,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Segments:
    """Churn by segment; see the module. overall: all customer-months and who left; left_out: trait -> why."""

    findings: tuple[Finding, ...]
    rows: tuple[Row, ...]
    overall: tuple[int, int]
    left_out: dict[str, str]
    notes: list[str] = field(default_factory=list)
    sql: str = ""

    def chart(self, language: str = "en") -> Any:
        """A picture: each confirmed segment, then the single traits that differ most, beside everybody's churn."""
        from tenure.charts.segments import churn_by_segment

        people, left = self.overall
        overall = left / people if people else None
        rows = []
        for one in self.findings:
            if one.stands:
                low, high = wilson(int(one.more["left"]), int(one.more["customer_months"]))
                rows.append(
                    {
                        "segment": one.subject(language),
                        "rate": one.more["churn"],
                        "low": low,
                        "high": high,
                        "is_worse": True,
                    }
                )
        named = {row["segment"] for row in rows}
        single = [row for row in self.rows if len(row.traits) == 1 and row.customer_months >= SHOWN_FROM]
        single.sort(key=lambda row: -abs(row.left / row.customer_months - (overall or 0.0)) * row.customer_months**0.5)
        for row in single[: 12 - len(rows)]:
            name = _words(row.traits, row.levels, language)
            told = row.as_json()
            if name not in named:
                rows.append(
                    {
                        "segment": name,
                        "rate": told["churn"],
                        "low": told["low"],
                        "high": told["high"],
                        "is_worse": False,
                    }
                )
        return churn_by_segment(rows, overall, language)


def segments(facts: Facts, definition: Definition, first: date, after: date) -> Segments:
    """Churn by traits and pairs of them over the months that begin in [first, after); see the module."""
    months = Months.of(facts, definition, first, after, clock="lost")
    st = facts.statement()
    names, rows = _traited(st, months)
    columns = [f"t{i}" for i in range(len(names))]
    listed = ", ".join(["half", "tenure", "pays_yearly", *columns])
    sql = st.render(f"SELECT {listed}, count(*) AS people, sum(gone) AS gone FROM {rows} GROUP BY {listed}")
    told = facts.engine.table(sql)
    people = np.asarray(told.column("people"), dtype=np.float64)
    gone = np.asarray(told.column("gone").cast("int64"), dtype=np.float64)
    half = np.asarray(told.column("half"), dtype=np.int64) == 0
    yearly = told.column("pays_yearly").to_pylist()
    # Who pays yearly can hardly leave before the renewal: that is no kind of customer, and others are beside their like.
    alike = np.array([f"{one} {pays}" for one, pays in zip(told.column("tenure").to_pylist(), yearly, strict=True)])
    coded = [_coded(told.column(column).to_pylist(), people) for column in columns]
    left_out = _left_out(names, coded, people, gone)
    kept = [i for i, (values, _) in enumerate(coded) if names[i] not in left_out and len(values) > 1]
    levels = np.stack([coded[i][1] for i in kept], axis=1) if kept else np.zeros((len(people), 0), dtype=np.int64)
    values = [coded[i][0] for i in kept]
    chosen = [names[i] for i in kept]
    hunted = levels.copy()
    if "billing" in chosen:
        hunted[:, chosen.index("billing")] = -1
    proposals = hunt(hunted, _expected(people, gone, alike), gone, half)
    findings = in_family(
        "segments",
        [_finding(months, st, rows, one, kept, chosen, values, levels, people, gone, half) for one in proposals],
    )
    notes = list(months.notes)
    if any(name.startswith("trait ") for name in chosen):
        notes.append("Traits without a date are those of now; they may have been others when customers left.")
    return Segments(
        findings,
        _rows(chosen, values, levels, people, gone),
        (int(people.sum()), int(gone.sum())),
        left_out,
        notes,
        sql,
    )


def _expected(
    people: np.ndarray[Any, Any], gone: np.ndarray[Any, Any], alike: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """How many of each row would leave if only tenure, and how often they pay, mattered."""
    expected = np.zeros(len(people))
    for band in set(alike.tolist()):
        mine = alike == band
        expected[mine] = people[mine] * (gone[mine].sum() / max(1.0, people[mine].sum()))
    return expected


def _coded(texts: Sequence[str | None], people: np.ndarray[Any, Any]) -> tuple[list[str], np.ndarray[Any, Any]]:
    """The commonest levels of a trait, and each row's place among them: -1 for unknown and rare ones."""
    counts: dict[str, float] = defaultdict(float)
    for text, n in zip(texts, people, strict=True):
        if text:
            counts[text] += float(n)
    values = sorted(counts, key=lambda value: (-counts[value], value))[:MOST_LEVELS]
    places = {value: i for i, value in enumerate(values)}
    return values, np.array([places.get(text or "", -1) for text in texts], dtype=np.int64)


def _left_out(
    names: Sequence[str],
    coded: Sequence[tuple[list[str], Any]],
    people: np.ndarray[Any, Any],
    gone: np.ndarray[Any, Any],
) -> dict[str, str]:
    """Traits that know who left: of a level nearly all left in a month, and nearly all who left have it."""
    found = {}
    whole = gone.sum()
    for name, (values, places) in zip(names, coded, strict=True):
        for level, value in enumerate(values):
            mine = places == level
            there, left = float(people[mine].sum()), float(gone[mine].sum())
            others = float(people[~mine].sum())
            if (
                others
                and whole >= 20
                and left >= _KNOWS * whole
                and (whole - left) / others < 0.02 * left / max(1.0, there)
            ):
                found[name] = f"'{value}' all but tells who left: it was written afterwards"
    return found


def _rows(
    names: Sequence[str],
    values: Sequence[list[str]],
    levels: np.ndarray[Any, Any],
    people: np.ndarray[Any, Any],
    gone: np.ndarray[Any, Any],
) -> tuple[Row, ...]:
    found = []
    for size in (1, 2):
        for chosen in combinations(range(len(names)), size):
            known = np.all(levels[:, list(chosen)] >= 0, axis=1)
            place = np.zeros(int(known.sum()), dtype=np.int64)
            for trait in chosen:
                place = place * len(values[trait]) + levels[known, trait]
            count = int(np.prod([len(values[trait]) for trait in chosen]))
            n, k = np.bincount(place, people[known], count), np.bincount(place, gone[known], count)
            for cell in np.flatnonzero(n >= (1 if size == 1 else SHOWN_FROM)):
                rest = int(cell)
                told: list[str] = []
                for trait in reversed(chosen):
                    told.insert(0, values[trait][rest % len(values[trait])])
                    rest //= len(values[trait])
                found.append(Row(tuple(names[trait] for trait in chosen), tuple(told), int(n[cell]), int(k[cell])))
    return tuple(found)


def _words(traits: Sequence[str], levels: Sequence[str], language: str) -> str:
    """A segment in words: country TH and plan team."""
    told = []
    for trait, level in zip(traits, levels, strict=True):
        own = _OWN.get(trait)
        called = trait.removeprefix("trait ") if own is None else own[1 if language == "th" else 0]
        told.append(f"{called} {level}")
    return (" และ " if language == "th" else " and ").join(told)


def _finding(
    months: Months,
    st: Statement,
    rows: str,
    one: Proposal,
    kept: Sequence[int],
    names: Sequence[str],
    values: Sequence[list[str]],
    levels: np.ndarray[Any, Any],
    people: np.ndarray[Any, Any],
    gone: np.ndarray[Any, Any],
    half: np.ndarray[Any, Any],
) -> Finding:
    """A proposal as a finding: churn of the held-back half, inside and outside."""
    traits = [names[trait] for trait, _ in one.cell]
    told = [values[trait][level] for trait, level in one.cell]
    within = np.all([levels[:, trait] == level for trait, level in one.cell], axis=0)
    n1, k1 = (int(part[within & ~half].sum()) for part in (people, gone))
    n0, k0 = (int(part[~within & ~half].sum()) for part in (people, gone))
    change = change_of_shares(k0, n0, k1, n1)
    d = months.facts.engine.dialect
    where = " AND ".join(f"t{kept[trait]} = {d.literal(values[trait][level])}" for trait, level in one.cell)

    def who(last: bool = True) -> pa.Table:
        months.lend()
        at = f" AND cut = {len(months.cuts) - 1}" if last else ""
        return months.facts.engine.table(
            st.render(f"SELECT DISTINCT customer_id FROM {rows} WHERE {where}{at} ORDER BY customer_id")
        )

    lister: Callable[[], pa.Table] = who
    return Finding(
        "segments", "+".join(f"{trait}={level}" for trait, level in zip(traits, told, strict=True)), None,
        _words(traits, told, "en"), _words(traits, told, "th"), Estimate(change.difference, change.low, change.high),
        "points", who(False).num_rows, p=one.p, settles=A_CHANGE, who=lister,
        more={
            "segment": dict(zip(traits, told, strict=True)), "churn": k1 / n1 if n1 else None, "left": k1, "customer_months": n1,
            "churn_others": k0 / n0 if n0 else None, "left_others": k0, "customer_months_others": n0, "expected": one.expected,
        },
    )  # fmt: skip


def _traited(st: Statement, months: Months) -> tuple[list[str], str]:
    """The traits' names, and the step with each customer-month's half and traits t0, t1, ... as texts."""
    facts, d = months.facts, months.facts.engine.dialect
    at_risk = months.at_risk(st)
    names, columns, joins = (
        ["plan", "billing"],
        ["r.plan", "CASE WHEN r.pays_yearly = 1 THEN 'yearly' ELSE 'more often' END"],
        "",
    )
    found = [column for column in _COLUMNS if facts.has("customers") and not facts.lacks("customers", column)]
    if found:
        known = facts.latest(st, "customers", ("customer_id", *found), step="customers_as_known")
        joins += f" LEFT JOIN {known} AS k ON k.customer_id = r.customer_id"
        names += found
        columns += [f"k.{column}" for column in found]
    traits = _of_customers(facts)
    if traits:
        picked = _picked(st, months, traits, at_risk)
        joins += f" LEFT JOIN {picked} AS g ON g.customer_id = r.customer_id AND g.cut = r.cut"
        for i, (trait, is_many) in enumerate(traits):
            names.append(f"trait {trait}")
            columns.append(_banded(facts, trait, f"g.number_{i}") if is_many else f"g.value_{i}")
    named = ", ".join(f"CAST({sql} AS {d.text}) AS t{i}" for i, sql in enumerate(columns))
    half = "CASE WHEN substr(md5(r.customer_id), 1, 1) < '8' THEN 0 ELSE 1 END"
    step = st.step(
        "traited",
        f"SELECT r.customer_id, r.cut, r.tenure, r.pays_yearly, r.gone, {half} AS half, {named} FROM {at_risk} AS r{joins}",
        keep=True,
        says="live customers at each month's beginning, with who they are",
    )
    return names, step


def _of_customers(facts: Facts) -> list[tuple[str, bool]]:
    """The traits that are worth comparing, and whether each is a number with many values."""
    if not facts.has("traits"):
        return []
    st = facts.statement()
    known = facts.latest(st, "traits", ("customer_id", "trait", "effective_at", "value", "number"), step="known_traits")
    sql = st.render(
        "SELECT trait, greatest(count(DISTINCT value), count(DISTINCT number)) AS levels, count(number) AS numbers, count(value) AS n, "
        f"count(DISTINCT customer_id) AS customers FROM {known} GROUP BY trait ORDER BY trait"
    )
    found = []
    for row in facts.engine.table(sql).to_pylist():
        is_number = row["numbers"] and row["numbers"] >= row["n"]
        if row["levels"] < 2 or (not is_number and row["levels"] > max(50, row["customers"] // 10)):
            continue
        found.append((row["trait"], bool(is_number) and row["levels"] > MOST_LEVELS))
    return found[:MOST_TRAITS]


def _picked(st: Statement, months: Months, traits: Sequence[tuple[str, bool]], at_risk: str) -> str:
    """A step (customer_id, cut, value_0, number_0, ...): each trait as in force when the month began, else undated."""
    facts, d = months.facts, months.facts.engine.dialect
    columns = ("customer_id", "trait", "effective_at", "value", "number")
    known = facts.counted(st, facts.latest(st, "traits", columns, step="known_traits"), columns, "counted_traits")
    ranked = st.step(
        "traits_in_force",
        f"SELECT r.customer_id, r.cut, t.trait, t.value, t.number, row_number() OVER (PARTITION BY r.customer_id, r.cut, t.trait "
        f"ORDER BY CASE WHEN t.effective_at IS NULL THEN 1 ELSE 0 END, t.effective_at DESC, t.value) AS place FROM {at_risk} AS r "
        f"JOIN {known} AS t ON t.customer_id = r.customer_id AND coalesce(t.effective_at < r.at_us, TRUE)",
    )
    told = ", ".join(
        f"max(CASE WHEN trait = {d.literal(trait)} THEN {column} END) AS {column}_{i}"
        for i, (trait, is_many) in enumerate(traits)
        for column in ("number" if is_many else "value",)
    )
    return st.step(
        "traits_then", f"SELECT customer_id, cut, {told} FROM {ranked} WHERE place = 1 GROUP BY customer_id, cut"
    )


def _banded(facts: Facts, trait: str, column: str) -> str:
    """A number as one of four bands, cut at the quarters of what is known."""
    st = facts.statement()
    known = facts.latest(st, "traits", ("trait", "number"), step="known_numbers")
    edges = ", ".join(
        f"percentile_disc({q}) WITHIN GROUP (ORDER BY number) AS q{i}" for i, q in enumerate((0.25, 0.5, 0.75))
    )
    literal = facts.engine.dialect.literal(trait)
    row = facts.engine.table(st.render(f"SELECT {edges} FROM {known} WHERE trait = {literal}")).to_pylist()[0]
    told = sorted({float(edge) for edge in row.values() if edge is not None})
    names = [f"up to {edge:g}" for edge in told[:1]]
    names += [f"{low:g} to {high:g}" for low, high in pairwise(told)]
    cases = " ".join(f"WHEN {column} <= {edge!r} THEN '{name}'" for edge, name in zip(told, names, strict=True))
    return f"CASE WHEN {column} IS NULL THEN NULL {cases} ELSE 'over {told[-1]:g}' END" if told else "NULL"
