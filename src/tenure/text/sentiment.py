"""How does somebody feel about it? Each text as positive, negative, neutral, or a question; in English and Thai.

Thai: a linear reading of character n-grams, learnt from the training split of Wisesight Sentiment (21,628 messages of
social media in Thai, labelled by people; CC0-1.0) and shipped as `weights/wisesight.npz`; `tools/train_sentiment.py`
makes it. English, and what is written in Latin letters: words that please and displease
(`vocabulary/feelings.toml`), with negation ("not helpful"), excess ("too fast") and turns ("nice, but"). Simple on
purpose: it sums up many texts well and single ones badly, and irony escapes it. How
often it is right: docs/explanation/reading-what-customers-write.md.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

import numpy as np

from tenure.text.cleaning import cleaned
from tenure.text.languages import language_of
from tenure.text.linear import TextClassifier

POSITIVE: Final = "positive"
NEUTRAL: Final = "neutral"
NEGATIVE: Final = "negative"
QUESTION: Final = "question"
# Wisesight's names of them.
WISESIGHT = {"pos": POSITIVE, "neu": NEUTRAL, "neg": NEGATIVE, "q": QUESTION}
WEIGHTS = Path(__file__).with_name("weights") / "wisesight.npz"
WORDS = Path(__file__).with_name("vocabulary") / "feelings.toml"
_BITS = 14  # columns of the shipped weights: 2^14 keep the file small and cost nothing on held-back texts
_STRENGTH = 0.3
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)?|[.!?;,]")

Feel = Literal["positive", "neutral", "negative", "question"]


class Feeling(NamedTuple):
    """How a text feels: one of positive, neutral, negative, question; None for a text without words or a language
    nobody taught.

    score: -1 (all against) to 1 (all for), 0 for None; for averages and order, not a chance. by: which reading
    answered, "wisesight" or "words"; '' for None.
    """

    label: Feel | None
    score: float
    by: str


class Sentiment:
    """Reads how texts feel.

    >>> [feeling.label for feeling in Sentiment().read(["Great tool, love it", "บริการแย่มาก", ""])]
    ['positive', 'negative', None]
    """

    def read(self, texts: Sequence[str | None]) -> list[Feeling]:
        """One feeling for each text."""
        words = [cleaned(text) for text in texts]
        languages = [language_of(text) for text in words]
        found = [Feeling(None, 0.0, "")] * len(words)
        thai = [number for number, language in enumerate(languages) if language == "th"]
        if thai:
            model = shipped()
            chances = model.chances([words[number] for number in thai])
            scores = chances[:, model.labels.index(POSITIVE)] - chances[:, model.labels.index(NEGATIVE)]
            for number, best, score in zip(thai, chances.argmax(axis=1), scores, strict=True):
                found[number] = Feeling(cast(Feel, model.labels[best]), float(score), "wisesight")
        for number, (text, language) in enumerate(zip(words, languages, strict=True)):
            if text and language != "th":
                found[number] = _by_words(text, language)
        return found


def train(texts: Sequence[str], labels: Sequence[str]) -> TextClassifier:
    """The reading that these texts teach, as shipped: small."""
    return TextClassifier.fit(texts, labels, bits=_BITS, strength=_STRENGTH, made_of="Wisesight Sentiment, CC0-1.0")


@cache
def shipped() -> TextClassifier:
    """The reading of Thai that ships with Tenure."""
    return TextClassifier.load(WEIGHTS)


@cache
def _points() -> tuple[dict[str, float], dict[str, frozenset[str]], dict[str, float]]:
    raw = tomllib.loads(WORDS.read_text(encoding="utf-8"))
    points: dict[str, float] = {}
    for key, weight in (("positive", 1.0), ("positive_strong", 2.0), ("negative", -1.0), ("negative_strong", -2.0)):
        points |= dict.fromkeys(raw[key].split(), weight)
    signs = dict.fromkeys(raw["emoji_positive"], 1.0) | dict.fromkeys(raw["emoji_negative"], -1.0)
    signs |= dict.fromkeys(raw["smileys_positive"], 1.0) | dict.fromkeys(raw["smileys_negative"], -1.0)
    return points, {key: frozenset(raw[key].split()) for key in ("negations", "excess", "turning", "questions")}, signs


def _by_words(text: str, language: str) -> Feeling:
    """Points for words, emoji and smileys; without any a question mark makes a question, and English is neutral."""
    points, groups, signs = _points()
    tokens = [token.replace("’", "'") for token in _TOKEN.findall(text.lower())]
    total = 0.0
    seen = 0
    negated = excess = 0  # for how many more words what was said holds
    for token in tokens:
        if token in ".!?;,":
            negated = excess = 0
            continue
        if token in groups["turning"]:
            total, negated, excess = total / 2, 0, 0
            continue
        weight = points.get(token, 0.0)
        if weight:
            seen += 1
            if negated:
                weight *= -0.75 if weight > 0 else -0.5
            elif excess:
                weight = -abs(weight)
            total += weight
        negated, excess = max(negated - 1, 0), max(excess - 1, 0)
        if token in groups["negations"]:
            negated = 3
        elif token in groups["excess"]:
            seen += 1
            total -= 0.5
            excess = 2
    marks = sum(weight * text.count(sign) for sign, weight in signs.items() if sign in text)
    total += float(np.clip(marks, -2, 2))
    if not (seen or marks) and language != "en":
        return Feeling(None, 0.0, "")
    score = total / (abs(total) + 1.5)
    asks = text.rstrip().endswith("?") and tokens and tokens[0] in groups["questions"]
    if asks and abs(total) < 1:
        return Feeling(QUESTION, score, "words")
    if abs(total) < 0.5:
        return Feeling(NEUTRAL, score, "words")
    return Feeling(POSITIVE if total > 0 else NEGATIVE, score, "words")
