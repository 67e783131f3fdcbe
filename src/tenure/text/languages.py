"""Which language is a text written in? English, Thai or another, told by script and by the commonest words.

Thai has a script of its own: a text of which a tenth of the letters are Thai is Thai, for Thai customers write brands
and products in Latin letters. A Latin text is English if English function words outnumber those of the other languages
that share the letters, and few letters occur that English does not write; with no such word at all it is English if one
of its words is among the common ones or ends as English words do. What has no letters has no language.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

VOCABULARY = Path(__file__).with_name("vocabulary") / "words.toml"
_LATIN_BEYOND_ENGLISH = re.compile("[à-öø-ÿāăąćčďđēęěğıīłńňőœřśşšťūůűźżžơưạ-ỹßñ]")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_ENDING = re.compile("...(ing|ness|ful|less|ly|ous|ity|ed|ies|tions?|y)$")
_LOOKED_AT = 2_000


@cache
def _vocabulary() -> tuple[dict[str, frozenset[str]], frozenset[str], frozenset[str]]:
    """Words that tell a language, by language; common English ones; those that name nothing."""
    raw = tomllib.loads(VOCABULARY.read_text(encoding="utf-8"))
    said = {language: frozenset(words.split()) for language, words in raw["function"].items()}
    telling = {
        language: own.difference(*(rest for other, rest in said.items() if other != language))
        for language, own in said.items()
    }
    idle = said["en"].union(*(words.split() for words in raw["idle"].values()))
    return telling, frozenset(raw["common"]["en"].split()), idle


def language_of(text: str) -> str:
    """'en', 'th', 'other' for any other language, or '' where a text has no letters. `text` is cleaned.

    >>> [language_of(text) for text in ("Far too dear", "แพงเกินไป", "Das ist mir zu teuer", "5/10 !!!")]
    ['en', 'th', 'other', '']
    """
    text = text[:_LOOKED_AT]
    letters = len(_LETTER.findall(text))
    thai = sum("\u0e01" <= character <= "\u0e2e" for character in text) if not text.isascii() else 0
    if letters == 0:
        return ""
    if thai * 10 >= letters:
        return "th"
    if not text.isascii():
        latin = sum(character < "\u0250" or "\u1e00" <= character <= "\u1eff" for character in _LETTER.findall(text))
        if latin * 2 < letters:
            return "other"
    telling, common, _ = _vocabulary()
    words = [word.replace("’", "'") for word in _WORD.findall(text.lower())]
    said = {language: sum(word in own for word in words) for language, own in telling.items()}
    english = said.pop("en")
    foreign = len(_LATIN_BEYOND_ENGLISH.findall(text.lower()))
    if english or max(said.values()):
        return "en" if english >= max(said.values()) and foreign * 8 <= letters else "other"
    return "en" if not foreign and any(word in common or _ENDING.search(word) for word in words) else "other"


def idle_words() -> frozenset[str]:
    """Words of English and Thai that name nothing."""
    return _vocabulary()[2]
