"""Which language is a text written in? English, Thai or another, told by script and by the commonest words.

Thai has a script of its own: a text of which a tenth of the letters are Thai is Thai, for Thai customers write brands
and products in Latin letters. A Latin text is English if English function words outnumber those of the other languages
that share the letters, and few letters occur that English does not write; with no such word at all it is English if one
of its words is among the common ones or ends as English words do. What has no letters has no language.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

VOCABULARY = Path(__file__).with_name("vocabulary") / "words.toml"
_LATIN_BEYOND_ENGLISH = re.compile("[à-öø-ÿāăąćčďđēęěğıīłńňőœřśşšťūůűźżžơưạ-ỹßñ]")
_LETTER = re.compile(r"[^\W\d_]")
_THAI = re.compile("[\u0e01-\u0e2e]")
_LATIN = re.compile("[a-zA-Z\u00c0-\u024f\u1e00-\u1eff]")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_ENDING = re.compile("...(ing|ness|ful|less|ly|ous|ity|ed|ies|tions?|y)$")
_LOOKED_AT = 500


@cache
def _vocabulary() -> tuple[dict[str, str], frozenset[str], frozenset[str]]:
    """The language that a word tells; common English words; those that name nothing."""
    raw = tomllib.loads(VOCABULARY.read_text(encoding="utf-8"))
    said = {language: frozenset(words.split()) for language, words in raw["function"].items()}
    spoken_in = Counter(word for words in said.values() for word in words)
    telling = {word: language for language, words in said.items() for word in words if spoken_in[word] == 1}
    idle = said["en"].union(*(words.split() for words in raw["idle"].values()))
    return telling, frozenset(raw["common"]["en"].split()), idle


def language_of(text: str) -> str:
    """'en', 'th', 'other' for any other language, or '' where a text has no letters. `text` is cleaned.

    >>> [language_of(text) for text in ("Far too dear", "แพงเกินไป", "Das ist mir zu teuer", "5/10 !!!")]
    ['en', 'th', 'other', '']
    """
    text = text[:_LOOKED_AT]
    letters = len(text) if text.isascii() and text.isalpha() else len(_LETTER.findall(text))
    if letters == 0:
        return ""
    foreign = 0
    if not text.isascii():
        if len(_THAI.findall(text)) * 10 >= letters:
            return "th"
        if len(_LATIN.findall(text)) * 2 < letters:
            return "other"
        foreign = len(_LATIN_BEYOND_ENGLISH.findall(text.lower()))
    telling, common, _ = _vocabulary()
    words = _WORD.findall(text.lower().replace("’", "'"))
    said = Counter(telling[word] for word in words if word in telling)
    english = said.pop("en", 0)
    most = max(said.values(), default=0)
    if english or most:
        return "en" if english >= most and foreign * 8 <= letters else "other"
    return "en" if not foreign and any(word in common or _ENDING.search(word) for word in words) else "other"


def idle_words() -> frozenset[str]:
    """Words of English and Thai that name nothing."""
    return _vocabulary()[2]
