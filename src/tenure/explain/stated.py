"""What do those who left say made them leave? One stated reason for each, from whatever he said last and most plainly.

What counts, the first that says something: a person's correction of any of his texts; an interview; the answer to an
exit survey; the code of the cancellation; its comment. A code that names no cause ("other") gives way to the words
beside it. Who lost his subscription to a failed payment did not mean to leave, whatever he says. Who said nothing has no
reason: None, which is not the same as an answer that names none ("unknown").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from tenure.explain.leavers import Leaver
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, from_micros, micros
from tenure.text import Label, Reading, ReasonClassifier, Taxonomy, vendor_codes
from tenure.text.taxonomy import UNKNOWN, VENDORS

if TYPE_CHECKING:
    from collections.abc import Sequence

# An exit survey belongs to a loss when it was answered this close to it; an interview when it came after.
NEAR_DAYS = 90
INTERVIEW_DAYS = 365
SOURCES = ("interview", "exit", "cancellation")


@dataclass(frozen=True, slots=True)
class Stated:
    """Why a leaver says he left.

    cause: a code of the taxonomy, None for who said nothing; reason: within it, where one is named; by: correction,
    interview, exit, cancellation, text or payment; said: his own words, or the code he picked; text_ids: what opens to
    his texts; competitor: a rival he named; is_text: whether a classifier read it.
    """

    cause: str | None
    reason: str | None
    by: str
    said: str
    text_ids: tuple[str, ...]
    competitor: str | None = None
    confidence: float | None = None

    @property
    def is_text(self) -> bool:
        """Whether a reading of words told, rather than something that was picked or corrected."""
        return self.by == "text"


NOTHING = Stated(None, None, "", "", ())


@dataclass(frozen=True, slots=True)
class _Said:
    """One thing that somebody said: a code, words, or both."""

    source: str
    text_id: str
    code: str | None
    words: str | None
    competitor: str | None


def labels(facts: Facts) -> list[Label]:
    """What people say texts mean, as known: every correction that is loaded (`tenure load labels FILE`)."""
    if not facts.has("labels"):
        return []
    st = facts.statement()
    known = facts.latest(st, "labels", ("source_table", "source_id", "code", "labelled_at"))
    rows = facts.engine.table(st.render(f"SELECT * FROM {known} ORDER BY source_table, source_id")).to_pylist()
    return [
        Label(f"{row['source_table']}:{row['source_id']}", row["code"], from_micros(row["labelled_at"] or 0))
        for row in rows
    ]


def reader(facts: Facts, texts: Mapping[str, str], taxonomy: Taxonomy | None = None) -> ReasonClassifier:
    """The reading of reasons that the phrases and every correction of these texts give."""
    corrected = labels(facts)
    started = _from_phrases() if taxonomy is None else ReasonClassifier.from_phrases(taxonomy)
    known = [label for label in corrected if label.code is None or label.code in started.taxonomy]
    return started.learn(texts, known) if known else started


@cache
def _from_phrases() -> ReasonClassifier:
    return ReasonClassifier.from_phrases()


def stated(facts: Facts, people: Sequence[Leaver], taxonomy: Taxonomy | None = None) -> list[Stated]:
    """The stated reason of each leaver, in their order; see the module."""
    said = _answers(facts, people)
    for i, one in enumerate(people):
        if one.code or one.comment:
            said[i].append(_Said("cancellation", one.text_id, one.code, one.comment, None))
    texts: dict[str, str] = {}
    for of_one in said:
        for each in of_one:
            words = each.words or (each.code if each.code and coded(each.code, taxonomy) is None else None)
            if words:
                texts[each.text_id] = words
    reading = reader(facts, texts, taxonomy)
    read = {one.text_id: one for one in reading.read(texts)}
    return [_stated(one, of_one, read, reading) for one, of_one in zip(people, said, strict=True)]


def coded(code: str, taxonomy: Taxonomy | None = None) -> str | None:
    """The taxonomy's code that a picked code stands for: its own, else a vendor's; None for one that nobody knows.

    >>> coded("too_expensive"), coded("price.increase"), coded("because")
    ('price.too_expensive', 'price.increase', None)
    """
    if code in (taxonomy or _from_phrases().taxonomy):
        return code
    return _vendors().get(code.strip().lower())


@cache
def _vendors() -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(VENDORS.glob("*.toml")):
        found |= vendor_codes(path.stem).reasons
    return found


def _stated(one: Leaver, said: Sequence[_Said], read: Mapping[str, Reading], reading: ReasonClassifier) -> Stated:
    ids = tuple(each.text_id for each in said if each.words)
    rival = next((each.competitor for each in said if each.competitor), None)
    if one.how == "involuntary":
        return Stated("involuntary", "involuntary.payment_failed", "payment", "", ids, rival)
    for each in said:
        if each.text_id in reading.labelled:
            code = reading.labelled[each.text_id]
            return Stated(
                code.partition(".")[0], code if "." in code else None, "correction", each.words or "", ids, rival
            )
    answered = False
    for source in SOURCES:
        for each in said:
            if each.source != source:
                continue
            answered = True
            picked = None if each.code is None else coded(each.code, reading.taxonomy)
            if picked is not None and picked.partition(".")[0] != UNKNOWN:
                told = picked if "." in picked else None
                return Stated(picked.partition(".")[0], told, source, each.words or each.code or "", ids, rival)
            words = read.get(each.text_id)
            if words is not None and words.cause not in (None, UNKNOWN):
                said_so = each.words or each.code or ""
                return Stated(words.cause, words.reason, "text", said_so, ids, rival, words.confidence)
    if not answered:
        return NOTHING
    last = said[0]
    return Stated(UNKNOWN, None, last.source, last.words or last.code or "", ids, rival)


def _answers(facts: Facts, people: Sequence[Leaver]) -> list[list[_Said]]:
    """What each leaver answered to exit surveys and in interviews, interviews first, the latest of each."""
    found: list[list[_Said]] = [[] for _ in people]
    if not facts.has("answers"):
        return found
    st = facts.statement()
    columns = ("customer_id", "answer_id", "kind", "asked_at", "answered_at", "choice", "comment", "competitor")
    known = facts.counted(st, facts.latest(st, "answers", columns), columns, "counted_answers")
    sql = st.render(
        f"SELECT * FROM {known} WHERE kind IN ('exit', 'interview') AND answered_at IS NOT NULL "
        "ORDER BY CASE kind WHEN 'interview' THEN 0 ELSE 1 END, answered_at DESC, answer_id"
    )
    by: dict[str, list[dict[str, Any]]] = {}
    for row in facts.engine.table(sql).to_pylist():
        by.setdefault(row["customer_id"], []).append(row)
    for i, one in enumerate(people):
        for row in by.get(one.customer_id, ()):
            away = (row["answered_at"] - micros(one.left_at)) / DAY_US
            near = -NEAR_DAYS <= away <= (INTERVIEW_DAYS if row["kind"] == "interview" else NEAR_DAYS)
            if near and (row["choice"] or row["comment"] or row["competitor"]):
                found[i].append(
                    _Said(row["kind"], f"answers:{row['answer_id']}", row["choice"], row["comment"], row["competitor"])
                )
    return found


def causes_of(found: Iterable[Stated]) -> dict[str, int]:
    """How many say each cause; those who said nothing are not counted."""
    counts: dict[str, int] = {}
    for one in found:
        if one.cause is not None:
            counts[one.cause] = counts.get(one.cause, 0) + 1
    return counts
