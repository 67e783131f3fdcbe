"""Which rivals does a text name? Their names and other spellings, in English and Thai, and how they are found in words.

    names = Rivals.of(["Madeupify"], {"Madeupify": Known(("เมดอัปปิฟาย",))})
    names.named("ย้ายไปMADEUPIFYแล้วค่ะ")      ('Madeupify',)

A name counts as a word of its own: no other letter or digit touches it, upper and lower case are the same. Thai is
written without spaces, so there a name may touch anything Thai; it only must not cut a syllable: no vowel that is
written before its consonant stands in front of it, no mark that belongs to its last letter follows. What is markup or
invisible is taken out first (see text.cleaning), so neither hides a name nor makes one.

The workspace's own `rivals.toml` tells spellings, one table for each rival:

    [Madeupify]
    also = ["Made-up-ify", "เมดอัปปิฟาย"]
    in_texts = true        # false for a name that is a common word: then only columns that name a rival count
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tenure.errors import BadConfiguration
from tenure.text import cleaned

_THAI = "\u0e00-\u0e7f"
# Letters and digits of other scripts than Thai: what must not touch a name.
_OTHERS = rf"[^\W_{_THAI}]"
_BEFORE_CONSONANT = "[\u0e40-\u0e44]"
_MARKS = "[\u0e31\u0e33-\u0e3a\u0e45\u0e47-\u0e4e]"
_KEYS = {"also", "in_texts"}


@dataclass(frozen=True, slots=True)
class Known:
    """What else a rival is called, and whether his name may be looked for in texts."""

    also: tuple[str, ...] = ()
    in_texts: bool = True


@dataclass(frozen=True)
class Rivals:
    """Rivals by the name under which each is counted; spellings: as folded -> that name."""

    names: tuple[str, ...]
    spellings: Mapping[str, str]
    in_texts: frozenset[str]

    @classmethod
    def of(cls, seen: Iterable[str], known: Mapping[str, Known]) -> Rivals:
        """Those that were seen in columns and those that are known; spellings that differ in case only are one rival."""
        spellings: dict[str, str] = {}
        silent: set[str] = set()
        for name, one in known.items():
            for spelling in (name, *one.also):
                if folded(spelling):
                    spellings.setdefault(folded(spelling), name)
            if not one.in_texts:
                silent.add(name)
        for name in sorted(seen):
            if folded(name):
                spellings.setdefault(folded(name), cleaned(name))
        names = tuple(dict.fromkeys(spellings.values()))
        return cls(names, spellings, frozenset(name for name in names if name not in silent))

    def counted_as(self, name: str | None) -> str | None:
        """The name under which a column's value is counted; None for none."""
        return None if name is None else self.spellings.get(folded(name), cleaned(name) or None)

    def named(self, text: str | None) -> tuple[str, ...]:
        """The rivals that a text names, each once, in the order of the text."""
        if not text or self._pattern is None:
            return ()
        found = (self.spellings[match.group(0)] for match in self._pattern.finditer(folded(text)))
        return tuple(dict.fromkeys(found))

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        looked_for = [spelling for spelling, name in self.spellings.items() if name in self.in_texts]
        if not looked_for:
            return None
        return re.compile("|".join(_guarded(spelling) for spelling in sorted(looked_for, key=len, reverse=True)))


def _guarded(spelling: str) -> str:
    """A pattern that finds a spelling where it stands as a word."""
    before = f"(?<!{_BEFORE_CONSONANT})" if _is_thai(spelling[0]) else f"(?<!{_OTHERS})"
    after = f"(?!{_MARKS})" if _is_thai(spelling[-1]) else f"(?!{_OTHERS})"
    return before + re.escape(spelling) + after


def _is_thai(letter: str) -> bool:
    return "\u0e00" <= letter <= "\u0e7f"


def folded(text: str) -> str:
    """A text as names are compared: cleaned, in one case, the Thai vowel am written as one letter.

    >>> folded("<b>Made\u200bUpify</b>")
    'madeupify'
    """
    return cleaned(text).casefold().replace("\u0e4d\u0e32", "\u0e33")


def load(path: Path) -> dict[str, Known]:
    """The workspace's own spellings; see the module. Raises BadConfiguration for a file that says something else."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path}: {error}") from error
    found = {}
    for name, told in tree.items():
        if not isinstance(told, dict) or set(told) - _KEYS:
            raise BadConfiguration(
                f"{path}: write a table for each rival, [{name}], with `also` and `in_texts` at most"
            )
        also, in_texts = told.get("also", []), told.get("in_texts", True)
        if (
            not isinstance(also, list)
            or not all(isinstance(one, str) for one in also)
            or not isinstance(in_texts, bool)
        ):
            raise BadConfiguration(f"{path}: of [{name}], `also` is a list of names and `in_texts` is true or false")
        found[name] = Known(tuple(also), in_texts)
    return found
