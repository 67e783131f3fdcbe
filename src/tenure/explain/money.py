"""What did it cost that they left, and what is threatened: by cause, by segment and by customer?

    found = money(facts, definition, first, after, currency="USD", by=("plan_id",), assumed=Assumptions())
    found.causes       MRR and lifetime value that went, by probable cause; what those say who say why
    found.segments     the same by segment
    found.hurt         each loss, the dearest first, with its likeliest cause
    found.threats      an end that is set, a payment that is open, what the latest scores expect, by cause as far as told

A loss is shared out by the chances of its causes as the verdict has them for that customer, so that causes add up to
what was lost: exactly to `mrr_churn`, and to the lines `mrr_lost` and `forgone_value` of `tenure cost`. Lifetime value is
the margin that customers would still have brought by how long customers of their tenure stay. A cause's part is as sure
as the verdict's share of it, and no surer; unknown is as large as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tenure.errors import BadPeriod
from tenure.explain.stated import stated
from tenure.explain.threats import Threat, threats
from tenure.explain.verdict import verdict
from tenure.kernel.money import exponent
from tenure.lake.facts import Facts
from tenure.measure.costs import Cost, Loss, cost_of_churn, in_major, losses_of
from tenure.measure.definition import Definition
from tenure.measure.openings import names
from tenure.measure.worth import Assumptions
from tenure.text import Taxonomy

UNKNOWN = "unknown"
BY = ("plan_id",)


@dataclass(frozen=True, slots=True)
class Part:
    """What a cause or a segment took in one currency, exactly, in major units.

    customers: how many left for it, in expectation for a cause; said: MRR of those who say this cause. forgone: None where
    it is not known of some of them.
    """

    name: str
    currency: str
    customers: float
    mrr: Fraction
    forgone: Fraction | None
    said: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Hurt:
    """One loss: who, when, what went with him, the likeliest cause with its chance and the facts for it."""

    customer_id: str
    name: str | None
    left_at: datetime
    currency: str
    mrr: Fraction
    forgone: Fraction | None
    cause: str
    chance: float
    facts: tuple[str, ...]
    says: str | None


@dataclass(frozen=True, eq=False)
class Money:
    """What it cost; see the module. cost: the answer to `tenure cost` of the same period, which this adds up to."""

    first: date
    after: date
    causes: tuple[Part, ...]
    segments: tuple[Part, ...]
    hurt: tuple[Hurt, ...]
    threats: tuple[Threat, ...]
    cost: Cost
    by: tuple[str, ...]
    notes: list[str] = field(default_factory=list)

    def total(self, currency: str) -> Fraction:
        """The MRR that went, in a currency."""
        return sum((one.mrr for one in self.causes if one.currency == currency), Fraction(0))

    @property
    def currencies(self) -> list[str]:
        """In which money went, the most first."""
        found = dict.fromkeys(one.currency for one in self.causes)
        return sorted(found, key=lambda currency: (-self.total(currency), currency))

    def rows(self) -> list[dict[str, Any]]:
        """Everything as rows in major units; parts are rounded so that they add up to the rounded whole."""
        found = []
        for section, parts in (("cause", self.causes), ("segment", self.segments)):
            for currency in self.currencies:
                mine = [one for one in parts if one.currency == currency]
                mrr = _together([one.mrr for one in mine], currency)
                forgone = _together([one.forgone for one in mine], currency)
                for one, paid, value in zip(mine, mrr, forgone, strict=True):
                    row = {
                        "section": section,
                        "name": one.name,
                        "currency": currency,
                        "customers": round(one.customers, 2),
                    }
                    row |= {"mrr_lost": paid, "forgone_value": value}
                    if section == "cause":
                        row["mrr_said"] = None if one.said is None else _rounded(one.said, currency)
                    found.append(row)
        for hurt in self.hurt:
            found.append(
                {
                    "section": "customer", "name": hurt.customer_id, "currency": hurt.currency, "customers": 1,
                    "mrr_lost": _rounded(hurt.mrr, hurt.currency),
                    "forgone_value": None if hurt.forgone is None else _rounded(hurt.forgone, hurt.currency),
                    "called": hurt.name, "left_at": hurt.left_at, "cause": hurt.cause, "chance": round(hurt.chance, 4),
                    "says": hurt.says, "facts": "; ".join(hurt.facts),
                }
            )  # fmt: skip
        return found + [{"section": "threat", **one.as_json()} for one in self.threats]

    def chart(self, language: str = "en") -> Any:
        """A picture: the MRR that went by cause, in the currency in which most went, unknown in grey."""
        from tenure.charts.explaining import shares
        from tenure.charts.language import language as language_of
        from tenure.text import Taxonomy as Causes

        names_, words = Causes.load(), language_of(language)
        currency = next(iter(self.currencies), "USD")
        whole = self.total(currency) or Fraction(1)
        mine = [one for one in self.causes if one.currency == currency and one.mrr]
        rows = [
            {
                "label": names_[one.name].name(language), "share": float(one.mrr / whole), "unknown": one.name == UNKNOWN,
                "text": f"{words.money(_rounded(one.mrr, currency), currency)} · {words.percent(float(one.mrr / whole))}",
            }
            for one in mine
        ]  # fmt: skip
        return shares(rows, language, title=words.words("explain.mrr_went"))


def _rounded(value: Fraction, currency: str) -> Decimal:
    digits = exponent(currency)
    return Decimal(round(value * 10**digits)).scaleb(-digits)


def _together(values: Sequence[Fraction | None], currency: str) -> list[Decimal | None]:
    """Values with the currency's digits that add up to the rounded whole: the largest remainders are rounded up."""
    if any(value is None for value in values):
        return [None if value is None else _rounded(value, currency) for value in values]
    digits = exponent(currency)
    scaled = [(value or Fraction(0)) * 10**digits for value in values]
    found = [value.numerator // value.denominator for value in scaled]
    order = sorted(range(len(scaled)), key=lambda i: (found[i] - scaled[i], i))
    for i in order[: round(sum(scaled, Fraction(0))) - sum(found)]:
        found[i] += 1
    return [Decimal(value).scaleb(-digits) for value in found]


def money(
    facts: Facts,
    definition: Definition,
    first: date,
    after: date,
    *,
    currency: str | None = None,
    by: Sequence[str] = BY,
    taxonomy: Taxonomy | None = None,
    assumed: Assumptions,
) -> Money:
    """What went in [first, after) and what is threatened as it ends; see the module.

    by: what segments are told of, as in `tenure cost`. Raises BadInput for segments that customers move between.
    """
    cost = cost_of_churn(facts, definition, first=first, after=after, currency=currency, assumed=assumed)
    lost = losses_of(cost)
    each: dict[tuple[str, datetime], dict[str, Any]] = {}
    said: dict[tuple[str, datetime], str | None] = {}
    notes = list(cost.notes)
    try:
        found = verdict(facts, definition, first, after, currency=currency)
        for one, row, words in zip(
            found.left.people, found.each, stated(facts, found.left.people, taxonomy), strict=True
        ):
            each[one.customer_id, one.left_at], said[one.customer_id, one.left_at] = row, words.cause
        notes += [note for note in found.notes if note not in notes]
    except BadPeriod:
        notes.append("Nobody left in this period.")
    causes: dict[tuple[str, str], list[Any]] = {}

    def sums(cause: str, unit: str) -> list[Any]:
        return causes.setdefault((cause, unit), [Fraction(0), Fraction(0), Fraction(0), Fraction(0)])

    paid_in: dict[tuple[str, datetime], str] = {}
    for loss in lost:
        key = loss.customer_id, loss.at
        paid_in.setdefault(key, loss.currency)
        for cause, chance in _chances(each.get(key)).items():
            of_cause = sums(cause, loss.currency)
            of_cause[1] += chance * loss.mrr
            of_cause[2] = None if of_cause[2] is None or loss.forgone is None else of_cause[2] + chance * loss.forgone
        word = said.get(key)
        if word is not None:
            sums(word, loss.currency)[3] += loss.mrr
    only = next(iter(paid_in.values()), None) if len(set(paid_in.values())) == 1 else None
    for key, row in each.items():
        unit = paid_in.get(key, only)
        # Who paid in two currencies left once; who paid nothing left without taking revenue along.
        if unit is not None:
            for cause, chance in _chances(row).items():
                sums(cause, unit)[0] += chance
    parts = [
        Part(name, unit, float(n), mrr, forgone, words) for (name, unit), (n, mrr, forgone, words) in causes.items()
    ]
    parts.sort(key=lambda one: (one.currency, one.name == UNKNOWN, -one.mrr, one.name))
    called = names(facts)
    hurt = [
        _hurt(loss, each.get((loss.customer_id, loss.at)), said.get((loss.customer_id, loss.at)), called)
        for loss in lost
    ]
    hurt.sort(key=lambda one: (-(one.forgone or 0), -one.mrr, one.customer_id))
    split = tuple(by)
    segments = (
        _segments(
            cost_of_churn(facts, definition, first=first, after=after, by=split, currency=currency, assumed=assumed)
        )
        if split
        else ()
    )
    told = threats(facts, cost, taxonomy)
    return Money(first, after, tuple(parts), tuple(segments), tuple(hurt), tuple(told), cost, split, notes)


def _chances(row: Mapping[str, Any] | None) -> dict[str, Fraction]:
    """The chances of one leaver's causes, which sum to one exactly; unknown where the verdict has nobody."""
    if row is None:
        return {UNKNOWN: Fraction(1)}
    found = {one["cause"]: Fraction(str(one["chance"])) for one in row["causes"] if one["chance"] > 0}
    whole = sum(found.values(), Fraction(0))
    return {cause: chance / whole for cause, chance in found.items()} if whole else {UNKNOWN: Fraction(1)}


def _hurt(loss: Loss, row: Mapping[str, Any] | None, says: str | None, called: Mapping[str, str]) -> Hurt:
    cause, chance, facts = UNKNOWN, 1.0, ()
    if row is not None and row["causes"]:
        first = max(row["causes"], key=lambda one: one["chance"])
        cause, chance, facts = first["cause"], float(first["chance"]), tuple(first["facts"])
    return Hurt(
        loss.customer_id, called.get(loss.customer_id), loss.at, loss.currency, loss.mrr, loss.forgone, cause, chance, facts, says
    )  # fmt: skip


def _segments(cost: Cost) -> Iterable[Part]:
    """What went by segment, of a cost that is split; segments that lost nothing are left out."""
    heads = {str(line.segment): line.value for line in cost.lines if line.kind.name == "customers_lost"}
    values = {
        (str(line.segment), line.currency): line.value for line in cost.lines if line.kind.name == "forgone_value"
    }
    found = []
    for line in cost.lines:
        if line.kind.name != "mrr_lost" or not line.value or line.currency is None:
            continue
        segment = line.segment or {}
        name = ", ".join(f"{key} = {value if value is not None else 'not known'}" for key, value in segment.items())
        forgone = values.get((str(line.segment), line.currency))
        found.append(
            Part(
                name, line.currency, float(heads.get(str(line.segment)) or 0), in_major(line.value, line.currency),
                None if forgone is None else in_major(forgone, line.currency),
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (one.currency, -one.mrr, one.name))
