"""What does a mapping say? One commented TOML file names a vendor's files and columns and what each fact is made of.

    title = "Stripe, as a data pipeline exports it"
    timezone = "UTC"                       times that name no offset; left out: the workspace's zone

    [[sources]]                            where the columns are documented
    page = "https://..."
    read_on = 2026-11-23
    tells = "the columns of every table"

    [files.charge]
    named = ["charge", "charges"]          file names without endings; `*` stands for anything
    needs = ["id", "amount"]               columns without which the file is refused
    text = ["failure_code"]                columns that may be absent; all others of the file may be used as text too
    time = ["created"]                     read as times; likewise whole (numbers), number, claim (true or false)
    also = { customer_id = ["customer"] }  other names of a column

    [functions]                            macros of DuckDB, for expressions that come again
    minor = "(amount, code) AS ..."

    [views]                                SELECTs that several facts share, each may use those above it
    charge_now = "SELECT ..."

    [[facts]]
    table = "payments"                     a table of `tenure load`
    of = "charge"                          the file whose lines the rows are made of, or several
    from = "charge LEFT JOIN ..."          default: the file itself
    where = "amount > 0"                   default: every row
    [facts.columns]
    payment_id = "charge.id"               any SQL expression of DuckDB
    [facts.traits]
    plan_type = "..."                      traits of the customer

Each file is a relation of its name with its columns in snake case and `place`, which says where a row came from: a view
that a fact is made from must hand `place` on.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from tenure.connect.files.headers import snake
from tenure.connect.files.shapes import SHAPES
from tenure.errors import BadFile, UnknownName

FOLDER = Path(__file__).parent / "mappings"
KINDS = ("text", "time", "whole", "number", "claim")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Page:
    """Where a column list stands, when it was read, and what it tells."""

    page: str
    read_on: date
    tells: str


@dataclass(frozen=True, slots=True)
class VendorFile:
    """One file of an export: how it may be called, its columns by kind, which it cannot do without, other names."""

    name: str
    named: tuple[str, ...]
    about: str
    columns: Dictionary[str, str]
    needs: tuple[str, ...]
    also: Dictionary[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class FactsOf:
    """Rows of one table: the files they are made of, the relation, and an expression for each column and trait."""

    table: str
    of: tuple[str, ...]
    relation: str
    where: str
    columns: Dictionary[str, str]
    traits: Dictionary[str, str]
    about: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping as it was written; `text` is the file itself, which is part of a load's identity."""

    name: str
    title: str
    about: str
    timezone: str | None
    sources: tuple[Page, ...]
    files: Dictionary[str, VendorFile]
    functions: Dictionary[str, str]
    views: Dictionary[str, str]
    facts: tuple[FactsOf, ...]
    limits: tuple[str, ...]
    text: str = field(repr=False)

    def reads(self, facts: FactsOf) -> frozenset[str]:
        """The files that these facts are made of, directly or through views."""
        words = self._words(facts)
        return frozenset(name for name in self.files if name in words)

    def uses(self, facts: FactsOf) -> list[str]:
        """The views that these facts are made from, in the order in which they are told."""
        words = self._words(facts)
        return [name for name in self.views if name in words]

    def _words(self, facts: FactsOf) -> set[str]:
        """Every word of the facts' SQL and of the views it names, directly or through others."""
        seen: set[str] = set()
        texts = [" ".join([*facts.of, facts.relation, facts.where, *facts.columns.values(), *facts.traits.values()])]
        while texts:
            words = set(_WORD.findall(texts.pop())) - seen
            seen |= words
            texts += [self.views[name] for name in words & set(self.views)]
        return seen


@cache
def names() -> tuple[str, ...]:
    """The mappings that ship with the package, by name."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def mapping(name: str | Path) -> Mapping:
    """The mapping of that name, or the one in that file if it ends with .toml.

    Raises UnknownName for a name that is none, BadFile for a file that is no mapping.
    """
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise BadFile(f"there is no mapping {path}; name a TOML file, or one of {', '.join(names())}")
    elif str(name) in names():
        path = FOLDER / f"{name}.toml"
    else:
        hint = "A mapping of your own is named by its path, ending with .toml."
        raise UnknownName.of("mapping of an export", str(name), names(), hint)
    try:
        text = path.read_text(encoding="utf-8")
        told = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadFile(f"the mapping {path} cannot be read: {error}") from None
    return _Reader(path, text).mapping(told)


class _Reader:
    """Turns what TOML says into a mapping; every slip is told with the place where it stands."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text

    def mapping(self, told: dict[str, Any]) -> Mapping:
        """The whole file."""
        keys = ("title", "about", "timezone", "limits", "sources", "files", "functions", "views", "facts")
        self._only(told, keys, "the mapping")
        specs = self._table(told.get("files", {}), "files")
        files = {name: self._file(name, self._table(spec, f"files.{name}")) for name, spec in specs.items()}
        texts = self._table(told.get("views", {}), "views")
        views = {name: self._words(sql, f"views.{name}") for name, sql in texts.items()}
        macros = self._table(told.get("functions", {}), "functions")
        functions = {name: self._words(sql, f"functions.{name}") for name, sql in macros.items()}
        for name in (*files, *functions, *views):
            if snake(name) != name:
                raise self._wrong(f"'{name}' must be written in snake case")
        facts = tuple(self._facts(number, spec, files) for number, spec in enumerate(self._list(told, "facts"), 1))
        if not files or not facts:
            raise self._wrong("it names no files, or makes no facts of them")
        sources = tuple(
            Page(str(page["page"]), page["read_on"], str(page.get("tells", ""))) for page in self._list(told, "sources")
        )
        return Mapping(
            self.path.stem,
            str(told.get("title", self.path.stem)),
            str(told.get("about", "")).strip(),
            told.get("timezone"),
            sources,
            files,
            functions,
            views,
            facts,
            tuple(str(limit) for limit in told.get("limits", ())),
            self.text,
        )

    def _file(self, name: str, spec: dict[str, Any]) -> VendorFile:
        self._only(spec, ("named", "about", "needs", "also", *KINDS), f"files.{name}")
        columns = {column: kind for kind in KINDS for column in spec.get(kind, ())}
        needs = tuple(spec.get("needs", ()))
        columns = {**dict.fromkeys(needs, "text"), **columns}
        for column in columns:
            if column != snake(column):
                raise self._wrong(f"column '{column}' of files.{name} must be written in snake case")
        also = {column: tuple(others) for column, others in spec.get("also", {}).items()}
        named = tuple(spec.get("named", (name,)))
        return VendorFile(name, named, str(spec.get("about", "")), columns, needs, also)

    def _facts(self, number: int, spec: dict[str, Any], files: Dictionary[str, VendorFile]) -> FactsOf:
        where = f"facts {number}"
        self._only(spec, ("table", "of", "from", "where", "columns", "traits", "about"), where)
        table, of = str(spec.get("table", "")), spec.get("of", "")
        of = tuple(of) if isinstance(of, list) else (str(of),)
        if table not in SHAPES:
            raise self._wrong(str(UnknownName.of("table to load", table, SHAPES)))
        for name in of:
            if name not in files:
                raise self._wrong(str(UnknownName.of(f"file in the mapping ({where}: of)", str(name), files)))
        shape = SHAPES[table]
        columns = {name: self._words(sql, where) for name, sql in self._table(spec.get("columns", {}), where).items()}
        for name in columns:
            if name not in shape.inputs:
                raise self._wrong(str(UnknownName.of(f"column of '{table}' ({where})", name, shape.inputs)))
        traits = {name: self._words(sql, where) for name, sql in self._table(spec.get("traits", {}), where).items()}
        if traits and not shape.has_customer:
            raise self._wrong(f"'{table}' has no customer whose traits these could be ({where})")
        relation = " ".join(str(spec.get("from", of[0])).split())
        return FactsOf(table, of, relation, str(spec.get("where", "true")), columns, traits, str(spec.get("about", "")))

    def _wrong(self, what: str) -> BadFile:
        return BadFile(f"the mapping {self.path}: {what}")

    def _only(self, spec: dict[str, Any], keys: tuple[str, ...], where: str) -> None:
        for key in spec:
            if key not in keys:
                raise self._wrong(str(UnknownName.of(f"entry of {where}", key, keys)))

    def _table(self, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(f"'{where}' must be a table")
        return value

    def _list(self, told: dict[str, Any], key: str) -> list[dict[str, Any]]:
        value = told.get(key, [])
        if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
            raise self._wrong(f"'{key}' must be written as [[{key}]]")
        return value

    def _words(self, sql: object, where: str) -> str:
        if not isinstance(sql, str) or not sql.strip():
            raise self._wrong(f'{where}: an expression must be text, such as "created"')
        return sql.strip()
