"""How does a folder of somebody's files become facts? Each file is read and typed once, facts are made of it, and the
loader of files takes these: it checks, holds back, compares and commits, and tells of every row by the file and line it
was made of.

A cell that is not what its column must be (a time, a number) makes its whole line unreadable: nothing is made of it,
and it goes to quarantine. So an expression never takes an unreadable end for no end.
"""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.connect.exports.mapping import FactsOf, Mapping, VendorFile, mapping
from tenure.connect.files import sources
from tenure.connect.files.checking import EARLIEST, LATEST, local_shift
from tenure.connect.files.headers import snake
from tenure.connect.files.loading import Derived, connection, scratch_folder
from tenure.connect.files.loading import load as load_file
from tenure.connect.files.reports import LoadReport
from tenure.connect.files.sources import Source
from tenure.errors import BadFile
from tenure.kernel.time import zone as zone_of
from tenure.lake.portable import micros, text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tenure.lake.store import Lake

ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".parquet", ".json", ".jsonl", ".ndjson")
PACKED = (".gz", ".zst")
_PLACES = 1 << 40  # more lines than a file has: place = number of the file * _PLACES + line
_NO_END = "9999-12-31"  # how a database writes that something does not end
_PARQUET = "(FORMAT parquet, COMPRESSION snappy)"

# What a column of each kind is made of, given the cell, its type, and how we say that a cell is none.
_TYPES = {"text": "VARCHAR", "time": "TIMESTAMPTZ", "whole": "BIGINT", "number": "DECIMAL(38,10)", "claim": "BOOLEAN"}
_NOT = {
    "time": "is not a time; write it like 2026-01-31 17:30",
    "whole": "is not a whole number",
    "number": "is not a number",
    "claim": "is neither true nor false",
}
# Functions for the expressions of mappings.
_FUNCTIONS = (
    # An amount in major units as minor units, halves away from zero, for sources that keep amounts as floats.
    "to_minor(amount, currency) AS CAST(round(amount * ten_to(exponent_of(upper(currency)))) AS BIGINT)",
    "last_day_of(year, month) AS last_day(make_date(TRY_CAST(year AS BIGINT), TRY_CAST(month AS BIGINT), 1))",
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a folder.

    reports   one for each file and table that was made of it, in the mapping's order
    absent    files of the mapping that are not in the folder
    unused    files of the folder that the mapping does not know
    refused   with `strict`, why a file's facts were not loaded
    """

    reports: list[LoadReport]
    absent: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def load(
    lake: Lake,
    name: str | Path,
    folder: Path,
    *,
    strict: bool = False,
    timezone: str = "UTC",
    currency: str | None = None,
    now: datetime,
    progress: Callable[[str], None] | None = None,
) -> Loaded:
    """Load every file of an export that the mapping knows.

    name       a mapping that ships with the package, or the path of one (.toml)
    strict     of a file in which any row fails, nothing is loaded for that table
    timezone   the zone of times without an offset, where the mapping does not name the vendor's
    currency   the currency of amounts where the mapping gives none

    Loading the folder again changes nothing. Raises BadFile (nothing was loaded) for a folder without any of the files,
    a file that cannot be read or lacks a column, a mapping that does not run; UnknownName for a mapping that is none.
    """
    told = mapping(name)
    tell = progress or (lambda step: None)
    with scratch_folder(lake) as scratch:
        with connection(scratch) as con:
            folder_of = _Folder(con, told, Path(folder), scratch, told.timezone or timezone)
            folder_of.read(tell)
            pieces = folder_of.derive(tell)
        made_of = {piece.path for piece in pieces if piece.rows}
        reports: list[LoadReport] = []
        refused: list[str] = []
        for piece in pieces:
            if not piece.rows:
                # Told only of a file of which nothing at all was made, and once.
                if piece.path not in made_of:
                    made_of.add(piece.path)
                    reports.append(LoadReport(str(piece.path), piece.table, 0, 0, 0, 0))
                continue
            tell(f"loading {piece.table} of {piece.path.name}")
            try:
                report = load_file(
                    lake,
                    piece.table,
                    piece.path,
                    strict=strict,
                    timezone=told.timezone or timezone,
                    currency=currency,
                    now=now,
                    derived=piece.derived,
                )
            except BadFile as error:
                if not strict:
                    raise
                refused.append(str(error))
            else:
                reports.append(report)
        return Loaded(reports, folder_of.absent, folder_of.unused, refused)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Facts of one table made of one file, ready to be loaded."""

    path: Path
    table: str
    rows: int
    derived: Derived


@dataclass(frozen=True, slots=True)
class _Read:
    """One file as it was read: its number, its lines as records (a relation), and what makes that of their raw text."""

    number: int
    path: Path
    name: str
    records: str
    raw: Callable[[], str]
    digest: str
    header: dict[str, str]  # column in snake case -> as it stands in the file


class _Folder:
    """The files of one folder, read and typed, as relations of one engine."""

    def __init__(self, con: DuckDBPyConnection, told: Mapping, folder: Path, scratch: Path, timezone: str) -> None:
        self.con, self.told, self.folder, self.scratch = con, told, folder, scratch
        self.zone = zone_of(timezone)
        self.files: list[_Read] = []
        self.absent: list[str] = []
        self.unused: list[str] = []
        self.broken: dict[int, int] = {}  # file's number -> lines of which nothing can be made
        self._typed: dict[str, list[str]] = {}
        self._made: set[str] = set()  # the views that are computed

    def read(self, tell: Callable[[str], None]) -> None:
        """Find, read and type every file; nothing outside the scratch folder can be read afterwards."""
        con = self.con
        for function in _FUNCTIONS:
            con.execute(f"CREATE TEMP MACRO {function}")
        found = self._find()
        for spec in self.told.files.values():
            for path in found[spec.name]:
                tell(f"reading {path.name}")
                self._read(spec, path)
        # What a mapping says is somebody's SQL: it sees these files and nothing else.
        con.execute(f"SET allowed_directories = [{text(str(self.scratch))}]")
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")
        for spec in self.told.files.values():
            self._relation(spec)
        for name, sql in self.told.functions.items():
            self._run(f"CREATE TEMP MACRO {name}{sql}", f"the function {name}")

    def derive(self, tell: Callable[[str], None]) -> list[_Piece]:
        """The facts of every file, one piece for each file and table."""
        pieces: list[_Piece] = []
        mains = {name for facts in self.told.facts for name in facts.of}
        told_of: set[int] = set()  # files whose unreadable lines are told
        for number, facts in enumerate(self.told.facts):
            own = [file for file in self.files if file.name in facts.of]
            if not own:
                continue
            self._views(facts)
            tell(f"making {facts.table} of {', '.join(file.path.name for file in own)}")
            made = self._make(number, facts)
            identity = self._identity(number, facts)
            columns = tuple(self._columns(facts))
            for file in own:
                pieces.append(self._piece(number, facts, file, made, columns, identity, file.number not in told_of))
                told_of.add(file.number)
            # The unreadable lines of files that are only looked up in are told with the first facts that look there.
            for file in self.files:
                if file.number in told_of or file.name not in self.told.reads(facts) or file.name in mains:
                    continue
                told_of.add(file.number)
                if self.broken[file.number]:
                    pieces.append(self._piece(number, facts, file, "", columns, identity, True))
        return pieces

    # ------------------------------------------------------------------------------------------------------- finding

    def _find(self) -> dict[str, list[Path]]:
        """The files of the folder by their name in the mapping."""
        if not self.folder.is_dir():
            what = "is a file; name the folder it is in" if self.folder.exists() else "is not there; check the name"
            raise BadFile(f"{self.folder} {what}")
        there = sorted(path for path in self.folder.iterdir() if path.is_file() and _stem(path))
        found: dict[str, list[Path]] = {}
        used: set[Path] = set()
        for spec in self.told.files.values():
            fits: list[Path] = []
            for named in spec.named:
                many = "*" in named
                fits = [path for path in there if path not in used and fnmatch.fnmatchcase(_stem(path), named)]
                if len(fits) > 1 and not many:
                    both = " and ".join(path.name for path in fits)
                    raise BadFile(f"{self.folder} has {both}; keep the one that counts. Nothing was loaded.")
                if fits:
                    break
            found[spec.name] = fits
            used |= set(fits)
            if not fits:
                self.absent.append(spec.named[0])
        self.unused = [path.name for path in there if path not in used]
        if not used:
            wanted = ", ".join(spec.named[0] for spec in self.told.files.values())
            raise BadFile(f"{self.folder} has no file of {self.told.name}, which knows: {wanted} (.csv, .parquet, ...)")
        return found

    # ------------------------------------------------------------------------------------------------------- reading

    def _read(self, spec: VendorFile, path: Path) -> None:
        number = len(self.files)
        scratch = self.scratch / f"file{number}"
        scratch.mkdir()
        if _holds_no_row(path):
            return
        source = sources.open_source(path, scratch, False)
        header = {snake(name): name for name in reversed(source.names)}
        missing = [name for name in spec.needs if self._place(spec, source, name) is None]
        if missing:
            near = difflib.get_close_matches(missing[0], list(header), n=1, cutoff=0.6)
            there = f"Is it '{header[near[0]]}'?" if near else f"It has: {', '.join(list(header.values())[:15])}."
            raise BadFile(
                f"{path} has no column '{missing[0]}', which {self.told.name} needs of '{spec.name}'. {there} "
                "Nothing was loaded."
            )
        records = self._records(source, scratch)
        raw = self._raw(source, scratch)
        file = _Read(number, path, spec.name, records, raw, sources.digest(path), header)
        self.files.append(file)
        self._type(spec, source, file, scratch)

    def _place(self, spec: VendorFile, source: Source, name: str) -> int | None:
        """Where the column stands, from 1: under its own name, else under another that it may have."""
        by_snake: dict[str, int] = {}
        for place, theirs in enumerate(source.names, start=1):
            by_snake.setdefault(snake(theirs), place)
        for called in (name, *(snake(other) for other in spec.also.get(name, ()))):
            if called in by_snake:
                return by_snake[called]
        return None

    def _records(self, source: Source, scratch: Path) -> str:
        """The lines as a relation: c1.. as text, line, broken."""
        if source.kind == "parquet":
            cells = ", ".join(
                f"nullif(CAST({_quoted(name)} AS VARCHAR), '') AS c{place}"
                for place, name in enumerate(source.names, start=1)
            )
            file = text(str(source.readable))
            return (
                f"(SELECT {cells}, file_row_number + 1 AS line, NULL::VARCHAR AS broken "
                f"FROM read_parquet({file}, file_row_number=true))"
            )
        if plain := self._plain_records(source, scratch):
            return plain
        sources.write_records(source, scratch / "records.parquet")
        return f"read_parquet({text(str(scratch / 'records.parquet'))})"

    def _plain_records(self, source: Source, scratch: Path) -> str:
        """The lines of a file in which every line is one row, read by the engine; '' if it is any other file.

        The engine does not say on which line a row begins: rows are counted, and must be as many as the lines.
        """
        import duckdb

        if source.kind != "csv" or source.compression != "none" or source.first_line != 2:
            return ""
        columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(1, len(source.names) + 1))
        missing = ", ".join(text(word) for word in sources.MISSING)
        rows = (
            f"read_csv({text(str(source.readable))}, auto_detect=false, columns={{{columns}}}, header=true, "
            f"delim={text(source.delimiter)}, quote='\"', escape='\"', nullstr=[{missing}], strict_mode=true, "
            f"null_padding=false, max_line_size={sources.LONGEST_RECORD})"
        )
        target = text(str(scratch / "plain.parquet"))
        sql = f"SELECT *, row_number() OVER () + 1 AS line, NULL::VARCHAR AS broken FROM {rows}"
        self.con.execute("SET preserve_insertion_order = true")
        try:
            self.con.execute(f"COPY ({sql}) TO {target} {_PARQUET}")
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            return ""
        finally:
            self.con.execute("SET preserve_insertion_order = false")
        read = f"read_parquet({target})"
        return read if _count(self.con, f"FROM {read}") == _lines(source.readable) - 1 else ""

    def _raw(self, source: Source, scratch: Path) -> Callable[[], str]:
        """What makes the relation of the file's lines as they stand there, for those that are held back."""
        records = scratch / "records.parquet"

        def lines() -> str:
            if not records.exists():
                sources.write_records(source, records)
            return f"(SELECT line, raw FROM read_parquet({text(str(records))}))"

        if source.kind != "parquet":
            return lines
        pairs = ", ".join(f"{text(name)}: {_quoted(name)}" for name in source.names)
        file = text(str(source.readable))
        relation = (
            f"(SELECT file_row_number + 1 AS line, CAST({{{pairs}}} AS VARCHAR) AS raw "
            f"FROM read_parquet({file}, file_row_number=true))"
        )
        return lambda: relation

    def _type(self, spec: VendorFile, source: Source, file: _Read, scratch: Path) -> None:
        """The file's columns with their types, and of each line what is wrong with it."""
        cells: dict[str, str] = {}
        for name in spec.columns:
            found = self._place(spec, source, name)
            cells[name] = f"c{found}" if found else "NULL::VARCHAR"
        for place, theirs in enumerate(source.names, start=1):
            if snake(theirs):
                cells.setdefault(snake(theirs), f"c{place}")
        values: list[str] = []
        checks: list[str] = []
        # What the file does not call so: its columns are in snake case, and a name in that has no space.
        told: dict[str, str] = {"line": '"the line"', "broken": '"what is broken"'}
        for name, cell in cells.items():
            kind = spec.columns.get(name, "text")
            values.append(f"{self._value(kind, cell)} AS {_quoted(name)}")
            if kind != "text" and cell.startswith("c"):
                raw = told.setdefault(cell, f'"the {cell}"')
                called = file.header.get(name, name)
                silent = f"{_quoted(name)} IS NULL AND trimmed({raw}) IS NOT NULL"
                if kind == "time":
                    silent += f" AND NOT prefix(trimmed({raw}), '{_NO_END}')"
                    says = text(f"'{called}' is outside the years 1900 to 2200")
                    checks.append(f"WHEN {silent} AND time_text({raw}) IS NOT NULL THEN {says}")
                says = text(f"'{called}' {_NOT[kind]}")
                checks.append(f"WHEN {silent} THEN {says}")
        line, broken = told["line"], told["broken"]
        wrong = f"CASE WHEN {broken} IS NOT NULL THEN {broken} {' '.join(checks)} END"
        target = text(str(scratch / "typed.parquet"))
        names = ", ".join(_quoted(name) for name in cells)
        inner = ", ".join([*values, *(f"{cell} AS {name}" for cell, name in told.items())])
        sql = (
            f"SELECT {names}, {file.number * _PLACES} + {line} AS place, {line}, {wrong} AS {broken} "
            f"FROM (SELECT {inner} FROM {file.records})"
        )
        self.con.execute(f"COPY ({sql}) TO {target} {_PARQUET}")
        self._typed.setdefault(spec.name, []).append(target)
        self.broken[file.number] = _count(self.con, f'FROM read_parquet({target}) WHERE "what is broken" IS NOT NULL')

    def _value(self, kind: str, cell: str) -> str:
        if kind == "text":
            return f"trimmed({cell})"
        if kind == "whole":
            return f"whole_number({cell})"
        if kind == "number":
            return f"TRY_CAST(trimmed({cell}) AS DECIMAL(38,10))"
        if kind == "claim":
            word = f"lower(trimmed({cell}))"
            return (
                f"CASE WHEN {word} IN ('true', 't', 'yes', 'y', '1', '1.0') THEN true "
                f"WHEN {word} IN ('false', 'f', 'no', 'n', '0', '0.0') THEN false END"
            )
        moment = f"time_text({cell})"
        stretch = f"epoch_us({moment}) BETWEEN {micros(EARLIEST)} AND {micros(LATEST) - 1}"
        if self.zone.key == "UTC":
            return f"CASE WHEN {stretch} THEN {moment} END"
        shift = local_shift(f"epoch_us({moment})", self.zone, f"strlen(trimmed({cell})) <= 10")
        return (
            f"CASE WHEN NOT ({stretch}) THEN NULL WHEN says_offset(trimmed({cell})) THEN {moment} "
            f"ELSE make_timestamptz(epoch_us({moment}) - {shift}) END"
        )

    def _relation(self, spec: VendorFile) -> None:
        """The file (or files of one kind) as a relation of its name; one that is absent has no rows."""
        files = self._typed.get(spec.name)
        if files:
            every = f"read_parquet([{', '.join(files)}], union_by_name=true)"
            sql = f'SELECT * EXCLUDE ("the line", "what is broken") FROM {every} WHERE "what is broken" IS NULL'
        else:
            columns = [f"NULL::{_TYPES[kind]} AS {_quoted(name)}" for name, kind in spec.columns.items()]
            sql = f"SELECT {', '.join([*columns, 'NULL::BIGINT AS place'])} WHERE false"
        self.con.execute(f'CREATE TEMP VIEW "{spec.name}" AS {sql}')

    # -------------------------------------------------------------------------------------------------------- making

    def _views(self, facts: FactsOf) -> None:
        """The views that the facts are made from, each computed once however often it is used."""
        for name in self.told.uses(facts):
            if name not in self._made:
                self._run(f'CREATE TEMP TABLE "{name}" AS {self.told.views[name]}', f"the view {name}")
                self._made.add(name)

    def _make(self, number: int, facts: FactsOf) -> str:
        """The facts as a file: c1.. as text, place."""
        target = text(str(self.scratch / f"facts{number}.parquet"))
        alias = _alias(facts.relation)
        cells = [
            f"CAST(({sql}) AS VARCHAR) AS c{at}"
            for at, sql in enumerate([*facts.columns.values(), *facts.traits.values()], start=1)
        ]
        sql = f"SELECT {', '.join(cells)}, {alias}.place AS place FROM {facts.relation} WHERE ({facts.where})"
        self._run(
            f"COPY ({sql}) TO {target} {_PARQUET}", f"facts {number + 1} ({facts.table} of {', '.join(facts.of)})"
        )
        return target

    def _piece(
        self,
        number: int,
        facts: FactsOf,
        file: _Read,
        made: str,
        columns: Sequence[tuple[str, str]],
        identity: str,
        tells_broken: bool,
    ) -> _Piece:
        """What was made of one file, and the lines of it that nothing could be made of."""
        target = self.scratch / f"facts{number}-{file.number}.parquet"
        low, high = file.number * _PLACES, (file.number + 1) * _PLACES
        width = range(1, len(columns) + 1)
        parts = []
        if made:
            cells = ", ".join(f"nullif(c{place}, '') AS c{place}" for place in width)
            parts.append(
                f"SELECT {cells}, NULL::VARCHAR AS broken, place - {low} AS at FROM read_parquet({made}) "
                f"WHERE place >= {low} AND place < {high}"
            )
        if tells_broken and self.broken[file.number]:
            cells = ", ".join(f"NULL::VARCHAR AS c{place}" for place in width)
            typed = ", ".join(part for part in self._typed[file.name] if f"/file{file.number}/" in part)
            parts.append(
                f'SELECT {cells}, "what is broken" AS broken, "the line" AS at FROM read_parquet([{typed}]) '
                'WHERE "what is broken" IS NOT NULL'
            )
        if not parts:
            return _Piece(file.path, facts.table, 0, Derived(target, tuple(columns), file.raw, identity))
        rows = f"SELECT row_number() OVER () AS line, * FROM ({' UNION ALL '.join(parts)})"
        self.con.execute(f"COPY ({rows}) TO {text(str(target))} {_PARQUET}")
        count = _count(self.con, f"FROM read_parquet({text(str(target))})")
        own = hashlib.sha256(f"{identity}\n{file.number}\n{file.digest}".encode()).hexdigest()
        return _Piece(file.path, facts.table, count, Derived(target, tuple(columns), file.raw, own))

    def _columns(self, facts: FactsOf) -> list[tuple[str, str]]:
        """Ours and theirs: an expression that is nothing but a column of the file is told by the column's name."""
        header: dict[str, str] = {}
        for file in self.files:
            if file.name in facts.of:
                header |= file.header
        found = []
        for ours, sql in {**facts.columns, **facts.traits}.items():
            plain = re.fullmatch(r'(?:\w+\.)?"?(\w+)"?', sql)
            found.append((ours, header.get(plain.group(1), ours) if plain else ours))
        return found

    def _identity(self, number: int, facts: FactsOf) -> str:
        """What the facts are made of: every file they read, the mapping, and which of its facts they are."""
        reads = self.told.reads(facts)
        parts = [self.told.text, str(number), self.zone.key]
        parts += [f"{file.name} {file.path.name} {file.digest}" for file in self.files if file.name in reads]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _run(self, sql: str, what: str) -> None:
        """Run a statement of the mapping; what is wrong with it is the mapping's fault."""
        import duckdb

        try:
            self.con.execute(sql)
        except (duckdb.OutOfMemoryException, duckdb.IOException):
            raise
        except duckdb.Error as error:
            first = " ".join(str(error).split("\n\n")[0].splitlines())
            raise BadFile(f"the mapping {self.told.name}, {what}: {first}. Nothing was loaded.") from error


def _alias(relation: str) -> str:
    """What the first relation after FROM is called: its alias, else its name.

    >>> _alias("charge LEFT JOIN card ON true"), _alias("charge c LEFT JOIN card ON true"), _alias("(FROM x) AS y")
    ('charge', 'c', 'y')
    """
    rest = relation.strip()
    name = ""
    if rest.startswith("("):
        depth = 0
        for at, sign in enumerate(rest):
            depth += {"(": 1, ")": -1}.get(sign, 0)
            if not depth:
                rest = rest[at + 1 :]
                break
    else:
        name, rest = re.split(r"(?<=\w)\b", rest, maxsplit=1)
    alias = re.match(r"\s+(?:AS\s+)?(?!(?:LEFT|RIGHT|FULL|JOIN|INNER|CROSS|ASOF|SEMI|ANTI|NATURAL)\b)(\w+)", rest, re.I)
    return alias.group(1) if alias else name


def _stem(path: Path) -> str:
    """A file's name without endings, in snake case; '' for a file of a kind that is not read."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    name = path.name
    if suffixes and suffixes[-1] in PACKED:
        name = name[: -len(suffixes.pop())]
    if not suffixes or suffixes[-1] not in ENDINGS or path.name.startswith("."):
        return ""
    return snake(name[: -len(suffixes[-1])])


def _holds_no_row(path: Path) -> bool:
    """Whether it is a Parquet file of columns alone: a table in which nothing happened."""
    import pyarrow.parquet as pq

    with path.open("rb") as handle:
        if handle.read(4) != b"PAR1":
            return False
    try:
        return int(pq.read_metadata(path).num_rows) == 0
    except (OSError, ValueError):
        return False  # whoever reads it says what is wrong with it


def _lines(path: Path) -> int:
    """How many lines a text file has, the last one perhaps without its end."""
    count, last = 0, b"\n"
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            count += chunk.count(b"\n")
            last = chunk[-1:]
    return count + (last != b"\n")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _count(con: DuckDBPyConnection, rest: str) -> int:
    row: Any = con.execute(f"SELECT count(*) {rest}").fetchone()
    return int(row[0])
