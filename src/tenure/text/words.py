"""Which words does a text have, also where nobody writes spaces between them? For naming topics, not for labels.

Latin and other scripts with spaces: runs of letters. Thai: words are learnt from the texts themselves, without a
dictionary, so names of products and features are words as well. Three steps:

1. A run of Thai is cut into character clusters, which no word may divide (a consonant with its vowels and tone marks).
2. A sequence of clusters is a word if it occurs at least three times and at least three different clusters, or an end,
   stand before it and after it (Feng, Chen, Deng and Zheng, "Accessor Variety Criteria for Chinese Word Extraction",
   2004); unless it is two words that meet no more than ten times as often as clusters thrown together would.
3. A run is cut into the words that together are likeliest, and they are counted again, twice over.

Who has a better divider, such as pythainlp's `word_tokenize`, hands it to `topics(..., divide=...)`.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

LONGEST = 8  # clusters
SEEN = 3
VARIETY = 3
TOGETHER = 10
SAMPLE = 10_000  # runs of Thai from which words are learnt
_ROUNDS = 2
_RUN = re.compile(r"[\u0e01-\u0e4e]+|[^\W\d_\u0e00-\u0e7f]+(?:['’][^\W\d_\u0e00-\u0e7f]+)?")
# Leading vowel, consonant, marks above and below, following vowel; what fits nothing is a cluster of its own.
_CLUSTER = re.compile(
    r"[\u0e40-\u0e44]?[\u0e01-\u0e2e][\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]*[\u0e30\u0e32\u0e33\u0e45]?\u0e46?|."
)

Divide = Callable[[str], Sequence[str]]


def clusters(run: str) -> list[str]:
    """A run of Thai in character clusters.

    >>> clusters("แพงเกินไป")
    ['แพ', 'ง', 'เกิ', 'น', 'ไป']
    """
    return _CLUSTER.findall(run)


def is_thai(word: str) -> bool:
    """Whether a word is written in Thai."""
    return "\u0e01" <= word[0] <= "\u0e4e"


class Divider:
    """Divides texts into words, the Thai ones as it learnt them from `texts`."""

    def __init__(self, texts: Iterable[str], sample: int = SAMPLE) -> None:
        """Learn the words of these texts, of at most `sample` runs of Thai; order changes nothing."""
        runs = Counter(run for text in texts for run in _RUN.findall(text) if is_thai(run))
        cut = [
            (run, _ends(run), count) for run, count in sorted(runs.items(), key=lambda pair: _hash(pair[0]))[:sample]
        ]
        found: Counter[str] = Counter()
        for run, ends, count in cut:
            for begin in range(len(ends) - 1):
                start = ends[begin]
                for end in ends[begin + 1 : begin + 1 + LONGEST]:
                    found[run[start:end]] += count
        # An end of a run is another neighbour every time, as in Feng and others.
        before: defaultdict[str, set[object]] = defaultdict(set)
        after: defaultdict[str, set[object]] = defaultdict(set)
        for number, (run, ends, _) in enumerate(cut):
            last = len(ends) - 1
            for begin in range(last):
                start = ends[begin]
                left = run[ends[begin - 1] : start] if begin else number
                for place in range(begin + 1, min(begin + LONGEST, last) + 1):
                    word = run[start : ends[place]]
                    if found[word] < SEEN:  # what is longer is rarer still
                        break
                    before[word].add(left)
                    after[word].add(run[ends[place] : ends[place + 1]] if place < last else number)
        kept = {
            word: count
            for word, count in found.items()
            if count >= SEEN and (_CLUSTER.fullmatch(word) or min(len(before[word]), len(after[word])) >= VARIETY)
        }
        total = sum(count for word, count in found.items() if _CLUSTER.fullmatch(word))
        kept = {word: count for word, count in kept.items() if not _is_two_words(word, found, kept, total)}
        self._cost = _costs(kept)
        for _ in range(_ROUNDS):
            used: Counter[str] = Counter()
            for run, ends, count in cut:
                for word in self._cut(run, ends):
                    used[word] += count
            self._cost = _costs({word: count for word, count in used.items() if word in kept})

    def __call__(self, text: str) -> list[str]:
        """The words of a text in their order, in lower case."""
        found: list[str] = []
        for run in _RUN.findall(text.lower()):
            if is_thai(run):
                found += self._cut(run, _ends(run))
            else:
                found.append(run)
        return found

    def _cut(self, run: str, ends: Sequence[int]) -> list[str]:
        """The likeliest words of one run (Viterbi); unknown clusters next to each other stay together."""
        size = len(ends) - 1
        best = [0.0] + [math.inf] * size
        came = [0] * (size + 1)
        cost_of = self._cost
        unknown = cost_of.get("", 20.0)
        for begin in range(size):
            here, start = best[begin], ends[begin]
            for place in range(begin + 1, min(begin + LONGEST, size) + 1):
                cost = cost_of.get(run[start : ends[place]])
                if cost is None:
                    if place > begin + 1:
                        continue
                    cost = unknown
                if here + cost < best[place]:
                    best[place], came[place] = here + cost, begin
        words: list[str] = []
        place = size
        while place:
            words.append(run[ends[came[place]] : ends[place]])
            place = came[place]
        joined: list[str] = []
        strange = False
        for word in reversed(words):
            new = word not in cost_of
            if new and strange:
                joined[-1] += word
            else:
                joined.append(word)
            strange = new
        return joined


def _is_two_words(word: str, found: Counter[str], kept: dict[str, int], total: int) -> bool:
    """Whether a sequence is two words that met by chance."""
    return any(
        word[:end] in kept
        and word[end:] in kept
        and found[word] * total < TOGETHER * found[word[:end]] * found[word[end:]]
        for end in _ends(word)[1:-1]
    )


def _ends(run: str) -> list[int]:
    """Where the clusters of a run begin, and its end."""
    return [0, *(found.end() for found in _CLUSTER.finditer(run))]


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).digest()


def _costs(counts: dict[str, int]) -> dict[str, float]:
    """Minus the logarithm of each word's share; under "" what an unknown cluster costs."""
    total = sum(counts.values()) + 1
    return {word: math.log(total / count) for word, count in counts.items()} | {"": math.log(total) + 4.0}
