"""Whom shall we call of those who left? A sample that covers money, segments and those of whom nobody knows why.

    found = follow_up(facts, definition, first, after, currency="USD", size=20)
    found.calls        each customer to call: why he was chosen, how many such he stands for
    found.sheet()      the rows to fill in: `tenure load interviews FILE` reads them back

Chosen from are those who left by choice and were not interviewed yet. They are told apart by whether a reason is known,
by thirds of what they paid, and by plan. Half of the places go to those of whom no reason is known, as far as there are
so many; within each half the kinds of customers get places by half their number and half their revenue (Hamilton's
method), and each kind that is due any is drawn from by lot. The lot follows from the data and the period alone: the same
question has the same answer, whoever asks. What the interviews say is an answer of kind `interview`: it outweighs the exit
survey in `surveys`, `money`, `competition` and in what the verdict says of each customer.

Sources: Cochran 1977, chapter 5 (strata); each row's `stands_for` is the inverse of its chance to be drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from tenure.errors import BadInput
from tenure.explain.leavers import Leaver, Left, leavers, money
from tenure.explain.stated import INTERVIEW_DAYS, Stated, stated
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, micros
from tenure.measure.definition import Definition
from tenure.text import Taxonomy
from tenure.text.taxonomy import UNKNOWN

SIZE = 20
LARGEST = 10_000
THIRDS = (("low", "bottom third", "หนึ่งในสามที่จ่ายน้อยที่สุด"), ("middle", "middle third", "หนึ่งในสามที่จ่ายปานกลาง"), ("high", "top third", "หนึ่งในสามที่จ่ายมากที่สุด"))  # fmt: skip
# The columns of the sheet: the first are facts to load, the others tell the caller whom he has on the line.
SHEET = (
    "answer_id", "survey_id", "kind", "customer_id", "asked_at", "answered_at", "choice", "comment", "competitor", "language",
    "name", "email", "owner", "speaks", "left_on", "plan", "mrr", "currency", "said_cause", "said", "why_chosen", "stands_for",
)  # fmt: skip

Kind = tuple[bool, str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """A customer to call: as he left, what he said, the kind he was drawn from, and for how many of it he stands.

    known: whether a reason is known; third: of what was paid; of_kind, drawn: how many there are of the kind, how many of
    them are called.
    """

    leaver: Leaver
    said: Stated
    known: bool
    third: str
    of_kind: int
    drawn: int
    contact: dict[str, str | None]

    @property
    def stands_for(self) -> float:
        """How many who left this one stands for."""
        return self.of_kind / self.drawn

    @property
    def why(self) -> str:
        """Why he was chosen, in words."""
        reason = f"says {self.said.cause}" if self.known else "reason unknown"
        third = next(en for name, en, _ in THIRDS if name == self.third)
        return f"{reason}; {third} of MRR; plan {self.leaver.plan or 'not known'}; {self.drawn} of {self.of_kind} such"

    def as_json(self) -> dict[str, Any]:
        """The row of the sheet: what is to fill in is empty."""
        one = self.leaver
        return {
            "answer_id": f"interview-{one.customer_id}-{one.left_at:%Y%m%d}", "survey_id": "follow-up", "kind": "interview",
            "customer_id": one.customer_id, "asked_at": None, "answered_at": None, "choice": None, "comment": None,
            "competitor": None, "language": None, "name": one.name, "email": self.contact.get("email"),
            "owner": self.contact.get("owner"), "speaks": self.contact.get("language"), "left_on": one.left_at.date(),
            "plan": one.plan or None, "mrr": money(one.mrr, one.currency), "currency": one.currency,
            "said_cause": self.said.cause, "said": self.said.said or None, "why_chosen": self.why,
            "stands_for": round(self.stands_for, 2),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class FollowUp:
    """Whom to call; see the module. chosen_from: left by choice and not yet interviewed; unknown: of them, without a reason."""

    left: Left
    calls: tuple[Call, ...]
    chosen_from: int
    unknown: int
    interviewed: int
    notes: list[str] = field(default_factory=list)

    def sheet(self) -> list[dict[str, Any]]:
        """The rows to fill in, in the order of SHEET."""
        return [one.as_json() for one in self.calls]

    def chart(self, language: str = "en") -> Any:
        """A picture: of each kind of customer, how many left and how many of them are called."""
        from tenure.charts.calls import called

        rows: dict[Kind, dict[str, Any]] = {}
        for one in self.calls:
            rows.setdefault(
                (one.known, one.third, ""), {"known": one.known, "third": one.third, "called": 0, "stands_for": 0.0}
            )
            row = rows[one.known, one.third, ""]
            row["called"] += 1
            row["stands_for"] += one.stands_for
        thirds = {name: (en, th) for name, en, th in THIRDS}
        place = 1 if language == "th" else 0
        return called([{**row, "label": thirds[row["third"]][place]} for row in rows.values()], language)


def follow_up(
    facts: Facts,
    definition: Definition,
    first: date,
    after: date,
    *,
    currency: str | None = None,
    size: int = SIZE,
    taxonomy: Taxonomy | None = None,
) -> FollowUp:
    """Whom to call of those who left in [first, after); see the module. Raises BadInput for a size beyond 1 to 10,000."""
    if not 1 <= size <= LARGEST:
        raise BadInput(f"a sample of {size}: give a number from 1 to {LARGEST:,}")
    left = leavers(facts, definition, first, after, currency=currency)
    says = stated(facts, left.people, taxonomy)
    done = _interviewed(facts, left)
    # Who came back and left again is called of his last leaving.
    last = {one.customer_id: i for i, one in enumerate(left.people)}
    ours = [i for i, one in enumerate(left.people) if one.is_choice and last[one.customer_id] == i]
    chosen_from = [i for i in ours if i not in done]
    thirds = _thirds([left.people[i] for i in chosen_from])
    kinds: dict[Kind, list[int]] = {}
    for i, third in zip(chosen_from, thirds, strict=True):
        kinds.setdefault((_is_known(says[i]), third, left.people[i].plan), []).append(i)
    seed = hashlib.sha256(
        "\n".join([str(first), str(after), *sorted(left.people[i].customer_id for i in chosen_from)]).encode()
    )
    places = _places(kinds, left.people, min(size, len(chosen_from)))
    contacts = _contacts(facts)
    calls = []
    for kind in sorted(kinds):
        order = sorted(
            kinds[kind], key=lambda i: hashlib.sha256(seed.digest() + left.people[i].customer_id.encode()).digest()
        )
        for i in order[: places[kind]]:
            one = left.people[i]
            calls.append(
                Call(one, says[i], kind[0], kind[1], len(kinds[kind]), places[kind], contacts.get(one.customer_id, {}))
            )
    rank = {name: i for i, (name, _, _) in enumerate(THIRDS)}
    calls.sort(key=lambda call: (call.known, -rank[call.third], call.leaver.plan, call.leaver.customer_id))
    unknown = sum(not _is_known(says[i]) for i in chosen_from)
    return FollowUp(left, tuple(calls), len(chosen_from), unknown, len(ours) - len(chosen_from), list(left.notes))


def _is_known(said: Stated) -> bool:
    return said.cause not in (None, UNKNOWN)


def _interviewed(facts: Facts, left: Left) -> set[int]:
    """Who told in an interview already why he left, by his place among the people."""
    if not facts.has("answers"):
        return set()
    st = facts.statement()
    columns = ("customer_id", "kind", "answered_at", "choice", "comment")
    known = facts.counted(st, facts.latest(st, "answers", columns), columns, "counted_answers")
    sql = st.render(
        f"SELECT customer_id, answered_at FROM {known} WHERE kind = 'interview' AND answered_at IS NOT NULL "
        "AND (choice IS NOT NULL OR comment IS NOT NULL)"
    )
    at: dict[str, list[int]] = {}
    for row in facts.engine.table(sql).to_pylist():
        at.setdefault(row["customer_id"], []).append(int(row["answered_at"]))
    return {
        i
        for i, one in enumerate(left.people)
        if any(0 <= told - micros(one.left_at) <= INTERVIEW_DAYS * DAY_US for told in at.get(one.customer_id, ()))
    }


def _thirds(people: Sequence[Leaver]) -> list[str]:
    """The third of what was paid that each is in, among those who paid in the same currency."""
    found = ["middle"] * len(people)
    by: dict[str | None, list[int]] = {}
    for i, one in enumerate(people):
        by.setdefault(one.currency, []).append(i)
    for mine in by.values():
        order = sorted(mine, key=lambda i: (people[i].mrr or 0, people[i].customer_id))
        for place, i in enumerate(order):
            found[i] = THIRDS[3 * place // len(order)][0]
    return found


def _places(kinds: dict[Kind, list[int]], people: Sequence[Leaver], size: int) -> dict[Kind, int]:
    """How many of each kind are called: half for those without a known reason, then by half number and half revenue."""
    unknown = sum(len(mine) for kind, mine in kinds.items() if not kind[0])
    known = sum(len(mine) for kind, mine in kinds.items() if kind[0])
    for_unknown = min(unknown, max(-(-size // 2), size - known))
    found: dict[Kind, int] = {}
    for is_known, part in ((False, for_unknown), (True, size - for_unknown)):
        found |= _hamilton({kind: mine for kind, mine in kinds.items() if kind[0] == is_known}, people, part)
    return found


def _hamilton(kinds: dict[Kind, list[int]], people: Sequence[Leaver], size: int) -> dict[Kind, int]:
    """So many places shared out by half the number and half the revenue of each kind, never more than it has."""
    found = dict.fromkeys(kinds, 0)
    heads = sum(len(mine) for mine in kinds.values())
    # Money of several currencies has no sum: each is a share of its own, weighted by its heads.
    paid: dict[str | None, Fraction] = {}
    for mine in kinds.values():
        for i in mine:
            paid[people[i].currency] = paid.get(people[i].currency, Fraction(0)) + (people[i].mrr or 0)
    of_currency = {unit: sum(people[i].currency == unit for mine in kinds.values() for i in mine) for unit in paid}

    def weight(mine: Sequence[int]) -> Fraction:
        money_ = sum(
            (Fraction(people[i].mrr or 0) / paid[people[i].currency] * Fraction(of_currency[people[i].currency], heads))
            if paid[people[i].currency]
            else Fraction(1, heads)
            for i in mine
        )
        return (Fraction(len(mine), heads) + money_) / 2

    weights = {kind: weight(mine) for kind, mine in kinds.items()}
    while sum(found.values()) < size:
        free = {kind: weights[kind] for kind in kinds if found[kind] < len(kinds[kind])}
        rest, whole = size - sum(found.values()), sum(free.values(), Fraction(0))
        due = {kind: rest * part / whole for kind, part in free.items()}
        for kind, part in due.items():
            found[kind] += min(int(part), len(kinds[kind]) - found[kind])
        open_ = size - sum(found.values())
        order = sorted(free, key=lambda kind: (int(due[kind]) - due[kind], kind))
        for kind in [kind for kind in order if found[kind] < len(kinds[kind])][:open_]:
            found[kind] += 1
    return found


def _contacts(facts: Facts) -> dict[str, dict[str, str | None]]:
    """Email, owner and language of each customer."""
    if not facts.has("customers"):
        return {}
    st = facts.statement()
    columns = ("customer_id", "email", "owner", "language")
    known = facts.latest(st, "customers", columns)
    rows = facts.engine.table(st.render(f"SELECT {', '.join(columns)} FROM {known}")).to_pylist()
    return {row["customer_id"]: row for row in rows}
