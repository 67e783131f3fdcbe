"""Why do customers leave, and how do they say it? A taxonomy: causes, the reasons within each, phrases per language.

The causes are data (`taxonomies/causes.toml`). A workspace adds a file of the same shape: a code that is known takes on
the new names and phrases besides its own, a new one is added. Two codes may not share a phrase, for then nothing could
tell them apart. What a vendor's cancellation codes stand for is data too (`vendors/*.toml`).

The causes: experience, contact, price, quality, support, fit, competition, change, circumstance (nothing the company
did), involuntary (did not mean to leave) and unknown (says nothing of why).
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from tenure.errors import BadFile, UnknownName
from tenure.text.cleaning import cleaned

CAUSES = Path(__file__).with_name("taxonomies") / "causes.toml"
VENDORS = Path(__file__).with_name("vendors")
VERSION = 1
UNKNOWN = "unknown"
_CODE = re.compile(r"[a-z][a-z0-9_]*")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_KEYS = {
    "cause": {"code": True, "name": True, "description": False},
    "reason": {"code": True, "name": False, "description": False, "phrases": False},
}


@dataclass(frozen=True)
class Reason:
    """A cause (`price`) or one of its reasons (`price.increase`), named in each language, with example phrases."""

    code: str
    names: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    phrases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def cause(self) -> str:
        """The cause it belongs to: the part of the code before the point."""
        return self.code.partition(".")[0]

    def name(self, language: str = "en") -> str:
        """Its name in that language, else in English, else the code in words."""
        spoken = self.code.rpartition(".")[2].replace("_", " ").capitalize()
        return self.names.get(language) or self.names.get("en") or spoken


@dataclass(frozen=True)
class Taxonomy:
    """All causes and reasons by code, in the order of their files.

    >>> taxonomy = Taxonomy.load()
    >>> taxonomy["price.increase"].name("en")
    'Price went up'
    >>> len(taxonomy.causes)
    11
    """

    reasons: Mapping[str, Reason]
    languages: tuple[str, ...]

    @classmethod
    def load(cls, *files: Path | str) -> Taxonomy:
        """The causes that ship with Tenure, extended by each of `files` in order.

        Raises
        ------
        BadFile : a file is no TOML, has another version, a key, code or language nobody knows, a reason without its
            cause, or a phrase that another code has already; the message names the file and the entry.
        """
        found: dict[str, Reason] = {}
        owner: dict[str, tuple[str, Path]] = {}
        languages: list[str] = []
        for path in (CAUSES, *map(Path, files)):
            _add(path, found, owner, languages)
        for reason in found.values():
            if reason.cause not in found:
                known = ", ".join(code for code in found if "." not in code)
                raise BadFile(
                    f"reason '{reason.code}' has no cause: add a [[cause]] with code '{reason.cause}', "
                    f"or begin its code with one of {known}"
                )
        return cls(found, tuple(languages))

    @property
    def causes(self) -> tuple[str, ...]:
        """The codes of the causes."""
        return tuple(code for code in self.reasons if "." not in code)

    def __getitem__(self, code: str) -> Reason:
        """The cause or reason with this code; UnknownName with the nearest one otherwise."""
        if code not in self.reasons:
            raise UnknownName.of("reason", code, self.reasons)
        return self.reasons[code]

    def __contains__(self, code: object) -> bool:
        """Whether there is a cause or reason with this code."""
        return code in self.reasons

    def within(self, cause: str) -> tuple[str, ...]:
        """The codes of a cause's reasons."""
        return tuple(code for code, reason in self.reasons.items() if "." in code and reason.cause == cause)

    def phrases(self) -> Iterator[tuple[str, str, str]]:
        """Every phrase: code, language, text."""
        for code, reason in self.reasons.items():
            for language, texts in reason.phrases.items():
                for text in texts:
                    yield code, language, text

    @property
    def fingerprint(self) -> str:
        """A hash of all codes and phrases: two taxonomies that read alike have the same one."""
        said = sorted([*self.phrases(), *((code, "", "") for code in self.reasons)])
        return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class VendorCodes:
    """What one vendor's codes of cancellation stand for: by code our reason and what the vendor says it means."""

    name: str
    field: str
    source: str
    seen: date
    reasons: Mapping[str, str]
    says: Mapping[str, str]


@cache
def vendor_codes(vendor: str = "stripe") -> VendorCodes:
    """Which reason each cancellation code of a vendor stands for, with the vendor's page and the date it was read.

    >>> vendor_codes("stripe").reasons["too_expensive"]
    'price.too_expensive'
    """
    known = sorted(path.stem for path in VENDORS.glob("*.toml"))
    if vendor not in known:
        raise UnknownName.of("vendor with cancellation codes", vendor, known)
    raw = tomllib.loads((VENDORS / f"{vendor}.toml").read_text(encoding="utf-8"))
    codes: dict[str, dict[str, str]] = raw["codes"]
    return VendorCodes(
        raw["name"],
        raw["field"],
        raw["source"],
        date.fromisoformat(raw["seen"]),
        {code: entry["reason"] for code, entry in codes.items()},
        {code: entry["says"] for code, entry in codes.items()},
    )


def _add(path: Path, found: dict[str, Reason], owner: dict[str, tuple[str, Path]], languages: list[str]) -> None:
    """Read one file into what was found so far."""
    raw = _read(path)
    for language in raw["languages"]:
        if language not in languages:
            languages.append(language)
    for kind in _KEYS:
        for number, entry in enumerate(raw.get(kind, []), 1):
            where = f"{path}: [[{kind}]] {number}"
            reason = _reason(entry, kind, where, raw["languages"])
            for language, texts in reason.phrases.items():
                for text in texts:
                    code, other = owner.setdefault(f"{language}:{cleaned(text).casefold()}", (reason.code, path))
                    if code != reason.code:
                        raise BadFile(
                            f"{where} ('{reason.code}'): the phrase '{text}' already says '{code}' in {other}"
                        )
            found[reason.code] = _joined(found[reason.code], reason) if reason.code in found else reason


def _read(path: Path) -> dict[str, Any]:
    """A file as TOML, with what is true of the whole of it checked."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise BadFile(f"no taxonomy at {path}") from err
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        raise BadFile(f"{path} is not a TOML file in UTF-8: {err}") from err
    if raw.get("version") != VERSION:
        raise BadFile(f"{path}: version is {raw.get('version')!r}; write version = {VERSION} at its top")
    unknown = sorted(set(raw) - {"version", "languages", *_KEYS})
    if unknown:
        raise BadFile(f"{path}: nobody knows '{unknown[0]}'; a taxonomy has version, languages, [[cause]], [[reason]]")
    languages = raw.setdefault("languages", ["en"])
    if not _are_texts(languages) or not all(_LANGUAGE.fullmatch(language) for language in languages):
        raise BadFile(f'{path}: languages is a list of ISO 639 codes, such as ["en", "th"]')
    for kind in _KEYS:
        entries = raw.get(kind, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise BadFile(f"{path}: write [[{kind}]] in double brackets, once for each {kind}")
    return raw


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _reason(entry: dict[str, Any], kind: str, where: str, languages: Iterable[str]) -> Reason:
    """One entry of a file, checked."""
    code = entry.get("code")
    if not isinstance(code, str):
        raise BadFile(f"{where} has no code")
    where = f"{where} ('{code}')"
    parts = code.split(".")
    if len(parts) != (1 if kind == "cause" else 2) or not all(_CODE.fullmatch(part) for part in parts):
        shape = "one lower-case word, such as price" if kind == "cause" else "cause.reason, such as price.increase"
        raise BadFile(f"{where}: the code of a {kind} is {shape}")
    unknown = sorted(set(entry) - set(_KEYS[kind]))
    if unknown:
        raise BadFile(f"{where}: nobody knows '{unknown[0]}'; a {kind} has {', '.join(_KEYS[kind])}")
    for key in ("name", "description", "phrases"):
        value = entry.get(key, {})
        if not isinstance(value, dict):
            raise BadFile(f'{where}: {key} is told per language, such as {key} = {{ en = "..." }}')
        for language, said in value.items():
            if language not in languages:
                raise BadFile(f"{where}: {key} in '{language}', which is not among the file's languages")
            if key == "phrases" and (not _are_texts(said) or not said or not all(cleaned(text) for text in said)):
                raise BadFile(f"{where}: phrases.{language} is a list of texts, none of them empty")
            if key != "phrases" and (not isinstance(said, str) or not said.strip()):
                raise BadFile(f"{where}: {key}.{language} is a text")
    phrases = {language: tuple(texts) for language, texts in entry.get("phrases", {}).items()}
    return Reason(code, entry.get("name", {}), entry.get("description", {}), phrases)


def _joined(old: Reason, new: Reason) -> Reason:
    """A reason with what another file says of it besides."""
    spoken = dict.fromkeys([*old.phrases, *new.phrases])
    return Reason(
        old.code,
        {**old.names, **new.names},
        {**old.descriptions, **new.descriptions},
        {
            language: tuple(dict.fromkeys([*old.phrases.get(language, ()), *new.phrases.get(language, ())]))
            for language in spoken
        },
    )
