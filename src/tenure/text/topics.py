"""What do they write about, beside the reasons we know? Topics found in the texts, named by their typical words.

A text's words, and pairs of neighbouring words, are weighted by how rare they are (TF-IDF); non-negative matrix
factorisation finds the few mixtures of words that explain the texts best (Lee and Seung, "Learning the parts of objects
by non-negative matrix factorization", 1999). A text belongs to the topic that explains most of it, or to none where no
known word occurs. Names are the words that weigh most in a topic. The same texts give the same topics, in any order.
"""

from __future__ import annotations

import hashlib
import math
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tenure.errors import BadInput
from tenure.kernel import stats
from tenure.text.cleaning import cleaned
from tenure.text.languages import idle_words
from tenure.text.words import Divide, Divider, is_thai

SAMPLE = 20_000  # texts from which topics are learnt; all are assigned
MOST = 12
TEXTS_EACH = 50
NAMED_BY = 3
_SEEN = 3  # texts that must have a word
_COMMON = 0.4  # share of texts above which a word says nothing
_WORDS = 4_000
_PARTICLE = re.compile("(?:อ่ะ|น่ะ|หน่ะ|นะ)?(?:ค่ะ|คะ|ครับ|คับ|ค่า|จ้า)$")


class Topic(NamedTuple):
    """One topic: its name, its typical words with the weightiest first, and the texts it explains best, best first."""

    name: str
    words: tuple[str, ...]
    text_ids: tuple[str, ...]


class Month(NamedTuple):
    """How much of one period's texts a topic is: texts of it, of all, the share with its Wilson interval (95 %)."""

    topic: str
    period: str
    texts: int
    of: int
    share: float
    low: float | None
    high: float | None


class Trend(NamedTuple):
    """Whether a topic's share rises or falls over the periods.

    p: of a Cochran-Armitage test for a linear trend, adjusted by Holm for all topics; None where there is but one
    period or no text. direction: "rising" or "falling" where p < 0.05, else "".
    """

    topic: str
    months: tuple[Month, ...]
    p: float | None
    direction: str


@dataclass(frozen=True)
class Topics:
    """The topics, largest first, and which each text belongs to (None: none of them)."""

    topics: tuple[Topic, ...]
    of: Mapping[str, str | None]

    def trend(self, periods: Mapping[str, str]) -> tuple[Trend, ...]:
        """Each topic's share per period; `periods` names each text's, such as "2026-03", and they sort by name.

        Texts without a period are left out; those without a topic count among all.
        """
        named = sorted(set(periods.values()))
        place = {period: number for number, period in enumerate(named)}
        dated = [(text_id, topic) for text_id, topic in self.of.items() if text_id in periods]
        everything = Counter(periods[text_id] for text_id, _ in dated)
        counted = Counter((topic, periods[text_id]) for text_id, topic in dated)
        raw = [
            _trend_p([(place[one], counted[topic.name, one], everything[one]) for one in named])
            for topic in self.topics
        ]
        adjusted = stats.holm([p for p, _ in raw])
        found = []
        for topic, (_, slope), p in zip(self.topics, raw, adjusted, strict=True):
            months = []
            for period in named:
                texts, of = counted[topic.name, period], everything[period]
                if of:
                    interval = stats.wilson(texts, of)
                    months.append(Month(topic.name, period, texts, of, texts / of, interval.low, interval.high))
            direction = "" if p is None or p >= 0.05 else "rising" if slope > 0 else "falling"
            found.append(Trend(topic.name, tuple(months), p, direction))
        return tuple(found)


def topics(
    texts: Mapping[str, str | None], number: int | None = None, divide: Divide | None = None, sample: int = SAMPLE
) -> Topics:
    """The topics of these texts, by id.

    number: of topics; one for each 50 texts and at most 12 unless told. divide: cuts a text into words; unless given,
    Thai words are learnt from the texts (tenure.text.words). sample: from how many texts topics are learnt, chosen by a
    hash of the text.

    Few texts, or texts that share no words, give fewer topics, down to none. Raises BadInput for a number below 1.
    """
    if number is not None and number < 1:
        raise BadInput(f"{number} topics cannot be found; ask for at least 1")
    words = {text_id: cleaned(text) for text_id, text in texts.items()}
    learnt = sorted({text for text in words.values() if text}, key=_hash)[:sample]
    cut = divide or Divider(learnt)
    terms = [_terms(cut, text) for text in learnt]
    seen = Counter(term for one in terms for term in set(one))
    kept = [
        term
        for term, count in seen.items()
        if _SEEN <= count <= max(_COMMON * len(learnt), _SEEN) and not _is_idle(term)
    ]
    kept = sorted(kept, key=lambda term: (-seen[term], term))[:_WORDS]
    number = number or max(1, min(MOST, len(learnt) // TEXTS_EACH))
    number = min(number, len(kept), len(learnt))
    none: dict[str, str | None] = dict.fromkeys(texts)
    if number < 1:
        return Topics((), none)
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    column = {term: place for place, term in enumerate(sorted(kept))}
    rare = np.array([math.log((1 + len(learnt)) / (1 + seen[term])) + 1 for term in column])
    model = NMF(number, init="nndsvd", random_state=0, max_iter=400, tol=1e-4)
    with warnings.catch_warnings():
        # Stopped a little before its optimum, it names the same topics.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(_matrix(terms, column, rare))
    known = dict(zip(learnt, terms, strict=True))

    def terms_of(text: str) -> list[str]:
        return known[text] if text in known else _terms(cut, text)

    ids = list(words)
    shares = np.zeros((len(ids), number))
    for begin in range(0, len(ids), 10_000):
        part = [terms_of(words[text_id]) for text_id in ids[begin : begin + 10_000]]
        shares[begin : begin + len(part)] = model.transform(_matrix(part, column, rare))
    best = np.where(shares.max(axis=1) > 1e-6, shares.argmax(axis=1), -1)
    spoken = list(column)
    found, used = [], set()
    for topic in range(number):
        rows = [int(row) for row in np.flatnonzero(best == topic)]
        if not rows:
            continue
        heavy = [spoken[place] for place in np.argsort(-model.components_[topic], kind="stable")[:40]
                 if model.components_[topic][place] > 0]  # fmt: skip
        typical = _typical(heavy)
        name = next(
            (tried for size in range(NAMED_BY, 11) if (tried := ", ".join(typical[:size])) not in used),
            f"{', '.join(typical[:NAMED_BY])} ({topic + 1})",
        )
        used.add(name)
        rows.sort(key=lambda row: (-shares[row, topic], ids[row]))
        found.append((topic, Topic(name, tuple(typical[:10]), tuple(ids[row] for row in rows))))
    found.sort(key=lambda pair: (-len(pair[1].text_ids), pair[1].name))
    names = {topic: one.name for topic, one in found}
    return Topics(
        tuple(one for _, one in found), none | {ids[row]: names.get(int(topic)) for row, topic in enumerate(best)}
    )


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).digest()


def _terms(cut: Divide, text: str) -> list[str]:
    """Words, and pairs of neighbours in scripts that write spaces; one letter is no word."""
    spoken = (_PARTICLE.sub("", word.strip().lower()) for word in cut(text))
    words = [word for word in spoken if len(word) > 1]
    pairs = [f"{first} {second}" for first, second in pairwise(words) if not is_thai(first) and not is_thai(second)]
    return words + pairs


def _is_idle(term: str) -> bool:
    """Whether a term names nothing: every word, or the first or last of a pair, is a function word."""
    words = term.split(" ")
    return words[0] in idle_words() or words[-1] in idle_words()


def _matrix(terms: Sequence[Sequence[str]], column: Mapping[str, int], rare: Any) -> Any:
    """TF-IDF with rows of length one."""
    from scipy.sparse import csr_matrix

    places: list[int] = []
    weights: list[float] = []
    ends = [0]
    for one in terms:
        counted = Counter(column[term] for term in one if term in column)
        row = {place: (1 + math.log(count)) * rare[place] for place, count in sorted(counted.items())}
        length = math.sqrt(sum(weight * weight for weight in row.values()))
        places += row
        weights += (weight / length for weight in row.values())
        ends.append(len(places))
    return csr_matrix((weights, places, ends), shape=(len(terms), len(column)))


def _typical(heavy: Sequence[str]) -> list[str]:
    """The weightiest terms without those that stand in a weightier one, or hold one."""
    found: list[str] = []
    for term in heavy:
        if not any(term in other or other in term for other in found):
            found.append(term)
    return found


def _trend_p(counts: Sequence[tuple[int, int, int]]) -> tuple[float | None, float]:
    """Cochran-Armitage: p and slope of a linear trend in shares; (place, texts of the topic, texts of all) each."""
    total = sum(of for _, _, of in counts)
    texts = sum(hits for _, hits, _ in counts)
    if not total or texts in (0, total):
        return None, 0.0
    share = texts / total
    mean = sum(place * of for place, _, of in counts) / total
    spread = share * (1 - share) * sum(of * (place - mean) ** 2 for place, _, of in counts)
    if spread <= 0:
        return None, 0.0
    slope = sum((place - mean) * hits for place, hits, _ in counts)
    return math.erfc(abs(slope) / math.sqrt(2 * spread)), slope
