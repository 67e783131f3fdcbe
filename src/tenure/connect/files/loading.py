"""How does a file become facts? Read, check, compare, commit; all of it or nothing, and the same file only once.

A clean file takes one stream through the engine: cells are cast and checked while the Parquet file is written that the
lake then commits. If anything at all is wrong, that file is dropped and the careful way finds the line and the reason
of every bad row. Both ways use the same statements (checking.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.connect import ecb
from tenure.connect.files import sources, versions
from tenure.connect.files.cells import masked
from tenure.connect.files.checking import Check, Limits, Reading, canonical, prepare, row_hash, short_hash, trait_column
from tenure.connect.files.grouping import group_months, group_movements
from tenure.connect.files.headers import bind
from tenure.connect.files.reports import LoadReport, Reason
from tenure.connect.files.shapes import Shape
from tenure.connect.files.shapes import shape as shape_of
from tenure.errors import BadFile, BadInput, Failed, UnknownName
from tenure.kernel.money import exponent
from tenure.kernel.time import zone as zone_of
from tenure.lake.portable import micros, text
from tenure.lake.tables import TABLES, FactTable, all_columns

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyarrow.parquet import FileMetaData

    from tenure.lake.store import Lake

MEMORY = "1500MB"
_RAW = 10_000  # characters of a bad row that are kept
_STALE = 24 * 3600  # seconds after which a killed load's scratch folder is swept away
# A row group is one thread's share of work when it is read.
_PARQUET = "(FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 122880)"


@dataclass(frozen=True, slots=True)
class Derived:
    """Rows that a mapping made of somebody's file, to be loaded in the file's name instead of its own rows.

    records   a Parquet file: c1.. as text, line (which of these rows, from 1), broken (why a line made none), at (the
              line of the file that the row was made of)
    columns   what c1.. are: (the table's column or a trait, the column of the file it is named after)
    raw       makes a relation (SQL) of the file's own lines (line, raw); asked only if rows are held back
    identity  all that the rows were made of, in hex: the files and the mapping
    """

    records: Path
    columns: tuple[tuple[str, str], ...]
    raw: Callable[[], str]
    identity: str


def load(
    lake: Lake,
    table: str,
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    static: Sequence[str] = (),
    strict: bool = False,
    timezone: str = "UTC",
    currency: str | None = None,
    now: datetime,
    progress: Callable[[str], None] | None = None,
    derived: Derived | None = None,
) -> LoadReport:
    """Load one file into a fact table, or in one of the shapes people have, and say what became of its rows.

    mapping    theirs -> ours: a header or a position (from 1) to one of our columns; `=value` for theirs gives every
               row that value
    static     columns that become traits and are declared to have held always
    strict     load nothing at all if any row is bad
    timezone   the zone of times that name no offset
    currency   the currency of amounts where the file has no such column
    now        the instant of loading
    derived    rows made of the file, which are loaded instead of its own; the report then counts these

    Raises BadFile (nothing was loaded) for a file that cannot be read, lacks a column or, with strict, holds a bad row;
    UnknownName for a table, trait or mapped column that is none; Busy if others hold the table for minutes.
    """
    if now.tzinfo is None:
        raise BadInput("`now` needs a time zone, such as datetime.now(UTC)")
    if currency is not None:
        exponent(currency)
    loading = _Loading(
        lake=lake,
        shape=shape_of(table),
        path=Path(path),
        mapping=dict(mapping or {}),
        static=tuple(static),
        strict=strict,
        zone_name=zone_of(timezone).key,
        currency=currency,
        now=now,
        tell=progress or (lambda step: None),
        derived=derived,
    )
    import duckdb

    with scratch_folder(lake) as scratch, connection(scratch) as con:
        try:
            return loading.run(con, scratch)
        except duckdb.OutOfMemoryException as error:
            first = str(error).splitlines()[0]
            raise Failed(f"{path} could not be loaded within {MEMORY} of memory and the free disk: {first}") from error
        except duckdb.IOException as error:
            raise Failed(f"{path} could not be loaded: {str(error).splitlines()[0]}") from error


@contextmanager
def scratch_folder(lake: Lake) -> Iterator[Path]:
    """A folder of our own beside the tables, gone afterwards; those of loads that were killed go after a day."""
    lake.root.mkdir(parents=True, exist_ok=True)
    for left in lake.root.glob(".load-*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE:
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=".load-", dir=lake.root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def connection(scratch: Path) -> Iterator[DuckDBPyConnection]:
    """An engine for one load: within a fixed memory, spilling into `scratch`, with the functions of checking.py."""
    import duckdb

    con = duckdb.connect(":memory:")
    try:
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
        con.execute(f"SET memory_limit = '{MEMORY}'")
        con.execute(f"SET threads = {threads}")
        con.execute(f"SET temp_directory = {text(str(scratch))}")
        con.execute("SET preserve_insertion_order = false")
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET enable_progress_bar = false")
        con.execute("SET streaming_buffer_size = '64MB'")
        con.execute("SET autoinstall_known_extensions = false")
        prepare(con)
        yield con
    finally:
        con.close()


@dataclass(frozen=True, slots=True)
class _Bad:
    """The rows that are held back, counted by reason; the temp table `bad` has them all."""

    rows: int
    reasons: list[Reason]


@dataclass
class _Loading:
    """One call of `load`."""

    lake: Lake
    shape: Shape
    path: Path
    mapping: dict[str, str]
    static: tuple[str, ...]
    strict: bool
    zone_name: str
    currency: str | None
    now: datetime
    tell: Callable[[str], None]
    derived: Derived | None = None

    def run(self, con: DuckDBPyConnection, scratch: Path) -> LoadReport:
        """Read, check, compare, commit."""
        self.con, self.scratch = con, scratch
        self.tell("looking at the file")
        self._open(scratch)
        self.binding = bind(self.source, self.shape, self.mapping, self.currency, self.path)
        unknown = [trait for trait in self.static if trait not in self.binding.traits]
        if unknown:
            raise UnknownName.of("column that becomes a trait", unknown[0], self.binding.traits, "See --static.")
        short = self.source.kind != "parquet"
        self.reading = Reading(self.shape, self.binding, zone_of(self.zone_name), self.now, text_is_short=short)
        self._short = short
        self._open_ends()
        load_id = _Digest(self)
        self.table = self.shape.table
        self.columns = [column.name for column in all_columns(self.table)]
        self.con.execute('CREATE TEMP TABLE bad (line BIGINT, "column" VARCHAR, reason VARCHAR, example VARCHAR)')

        self.tell("reading and checking")
        staged = self._read_fast()
        careful = staged is None
        if staged is None:
            self.tell("finding the rows that are wrong")
            staged = self._read_carefully()
        try:
            with self.lake.writing(self.table.name):
                self.load_id = load_id.result()
                if self.lake.has_load(self.table.name, self.load_id):
                    return self._repeated()
                self.tell("comparing with what is known")
                verdicts = versions.compare(con, self.lake, self.table, staged)
                if verdicts.refused and not careful:
                    staged.unlink(missing_ok=True)
                    self.tell("finding the rows that are wrong")
                    staged = self._read_carefully()
                    careful = True
                    verdicts = versions.compare(con, self.lake, self.table, staged)
                return self._commit(staged, careful, verdicts)
        finally:
            staged.unlink(missing_ok=True) if staged.parent == scratch else self._drop(staged)

    # ------------------------------------------------------------------------------------------------------ reading

    def _open(self, scratch: Path) -> None:
        """Look at the file, or take the rows that were made of it."""
        if self.derived is not None:
            names = tuple(theirs for _, theirs in self.derived.columns)
            records = self.derived.records
            self.source = sources.Source(self.path, "derived", records, "none", "", names, True, 1, "")
            self.mapping = {str(place): ours for place, (ours, _) in enumerate(self.derived.columns, start=1)}
            return
        positions = any(theirs.isdigit() for theirs in self.mapping)
        file = self.path
        if self.shape.name == "rates" and file.is_file() and ecb.is_reference_rates(file):
            file = scratch / "rates.csv"
            ecb.write_long(self.path, file)
        self.source = sources.open_source(file, scratch, positions)
        if self.source.readable == file and any(sign in str(file) for sign in "*?["):
            # The engine would take such a name for a pattern and read other files too.
            link = scratch / f"file{file.suffix}"
            link.symlink_to(file.absolute())
            self.source = replace(self.source, readable=link)

    def _open_ends(self) -> None:
        for name in ("ended_at", "cancel_at"):
            if name in self.binding.inputs and "9999-12-31" in self.source.sample:
                self.binding.notes.append(f"9999-12-31 in '{self.binding.theirs(name)}' is read as: no end")

    def _raw(self, careful: bool) -> str:
        """The file as a relation of text cells c1.., with line and broken."""
        width = len(self.source.names)
        if self.source.kind == "parquet":
            names = ", ".join(
                f"nullif(CAST({_quoted(name)} AS VARCHAR), '') AS c{place}"
                for place, name in enumerate(self.source.names, start=1)
            )
            file = text(str(self.source.readable))
            return (
                f"(SELECT {names}, file_row_number + 1 AS line, NULL::VARCHAR AS broken "
                f"FROM read_parquet({file}, file_row_number=true))"
            )
        if self.derived is not None:
            return f"read_parquet({text(str(self.derived.records))})"
        if careful:
            return f"read_parquet({text(str(self.scratch / 'records.parquet'))})"
        columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(1, width + 1))
        missing = ", ".join(text(word) for word in sources.MISSING)
        return (
            "(SELECT *, NULL::BIGINT AS line, NULL::VARCHAR AS broken "
            f"FROM read_csv({text(str(self.source.readable))}, "
            f"auto_detect=false, columns={{{columns}}}, header={str(self.source.has_header).lower()}, "
            f"delim={text(self.source.delimiter)}, quote='\"', escape='\"', compression='{self.source.compression}', "
            f"nullstr=[{missing}], strict_mode=true, null_padding=false, store_rejects=true, "
            f"max_line_size={sources.LONGEST_RECORD}))"
        )

    def _read_fast(self) -> Path | None:
        """The whole file in one stream into a file of the table; None if anything is wrong with any row."""
        import duckdb

        source = self.source
        if self.shape.grouped or source.kind == "json":
            return None
        if source.kind == "csv" and source.first_line != (2 if source.has_header else 1):
            return None
        if self.derived and _number(self.con, f"SELECT count(*) FROM {self._raw(False)} WHERE broken IS NOT NULL"):
            return None
        try:
            if self._generates_key():
                staged = self._digest_keys()
            else:
                staged = self._stream_rows()
        except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException):
            return None
        if staged is not None:
            self._none_at_all()
        return staged

    def _digest_keys(self) -> Path | None:
        """Rows whose key we make: first their digests, then which of equal rows each is."""
        reading, con = self.reading, self.con
        target = self.scratch / "fast.parquet"
        content = [f"{reading.column(column)} AS {_quoted(column.name)}" for column in self.table.columns]
        shown = [*content, self._told("recorded_at"), self._told("version"), self._told("retracted")]
        body = f"SELECT {', '.join(shown)}, {reading.bad} AS is_bad FROM ({reading.values(self._raw(False))})"
        key = f"{_content_digest(self.table)} AS {_quoted(self.table.generated_key)}"
        query = f"SELECT * REPLACE ({key}), NULL::BIGINT AS at_line FROM ({body})"
        con.execute(f"COPY ({query}) TO {text(str(target))} {_PARQUET}")
        rows = f"read_parquet({text(str(target))})"
        if self._rejected() or _number(con, f"SELECT count(*) FROM {rows} WHERE is_bad"):
            return None
        self.rows = _number(con, f"SELECT count(*) FROM {rows}")
        staged = self.lake.stage(self.table.name)
        self._finish(f"(SELECT * EXCLUDE (is_bad) FROM {rows})", staged, lined=False, digested=True)
        return staged

    def _stream_rows(self) -> Path | None:
        """Rows that bring their key: read, checked and written by one statement, which the first bad row ends."""
        from pyarrow.parquet import read_metadata

        reading = self.reading
        if self.source.kind == "csv":
            zone = zone_of(self.zone_name)
            plain = Reading(self.shape, self.binding, zone, self.now, text_is_short=self._short, plain=True)
            reading = plain if self._is_plain(plain) else reading
        limits = list(reading.limits)
        if self.table.generated_key:
            limits.append((self.table.generated_key, None, None, False))
        staged = self.lake.stage(self.table.name)
        try:
            self.con.execute(f"COPY ({self._stream(reading)}) TO {text(str(staged))} {_PARQUET}")
            footer = read_metadata(staged)
            fits = _within(footer, limits) and not self._rejected()
        except BaseException:
            self._drop(staged)
            raise
        if not fits:
            self._drop(staged)
            return None
        self.rows = footer.num_rows
        return staged

    def _rejected(self) -> bool:
        """Whether the engine could not cut some line into cells."""
        return self.source.kind == "csv" and _number(self.con, "SELECT count(*) FROM reject_errors") > 0

    def _stream(self, reading: Reading) -> str:
        """The statement that reads, checks and completes every row; a bad one is an error."""
        content = [
            f"{reading.column(column)} AS {_quoted(column.name)}"
            for column in self.table.columns
            if reading.has(column.name) or column.required
        ]
        bitemporal = self._bitemporal(None, reading)
        if not reading.has("version"):
            del bitemporal["version"]
        return (
            f"SELECT {', '.join([*content, *bitemporal.values()])}, "
            f"CASE WHEN {reading.bad} OR {reading.untrimmed('whole')} THEN error('a row is wrong') "
            f"ELSE {short_hash('whole')} END AS row_hash "
            f"FROM (SELECT *, {reading.joined()} AS whole FROM ({reading.values(self._raw(False))}))"
        )

    def _is_plain(self, reading: Reading) -> bool:
        """Whether a plain reading finds nothing wrong with the file's first rows."""
        import duckdb

        try:
            self.con.execute(f"SELECT count(row_hash) FROM (FROM ({self._stream(reading)}) LIMIT 4096)").fetchone()
        except duckdb.Error:
            return False
        return True

    def _read_carefully(self) -> Path:
        """The file row by row with line numbers; bad rows go to `bad`, good ones to a scratch file with their lines."""
        con, reading = self.con, self.reading
        if self.source.kind not in ("parquet", "derived"):
            sources.write_records(self.source, self.scratch / "records.parquet")
        content = [f"{reading.column(column)} AS {_quoted(column.name)}" for column in self.table.columns]
        if self.shape.grouped:
            content = [_quoted(name) for name in reading.names]
        else:
            content += [self._told("recorded_at"), self._told("version"), self._told("retracted")]
        traits = [f"t_{trait_column(cell)}" for cell in self.binding.traits.values()]
        problem = f"{reading.problem} AS problem"
        checked = text(str(self.scratch / "checked.parquet"))
        query = f"SELECT {', '.join([*content, *traits])}, at_line, {problem} FROM ({reading.values(self._raw(True))})"
        con.execute(f"COPY ({query}) TO {checked} {_PARQUET}")
        con.execute(f"CREATE OR REPLACE TEMP VIEW checked AS FROM read_parquet({checked})")
        con.execute("CREATE OR REPLACE TEMP VIEW good AS FROM checked WHERE problem = 0")
        self.rows = _number(con, "SELECT count(*) FROM checked")
        self._none_at_all()
        con.execute("DELETE FROM bad")
        self._collect_problems()
        staged = self.scratch / "staged.parquet"
        if self.shape.grouped:
            spans = self.scratch / "spans.parquet"
            if self.shape.grouped == "mrr":
                group_months(con, self.binding, zone_of(self.zone_name), spans)
            else:
                group_movements(con, self.binding, spans)
            rows = f"read_parquet({text(str(spans))})"
            have = {row[0] for row in con.execute(f"DESCRIBE FROM {rows}").fetchall()}
            filled = [
                _quoted(column.name) if column.name in have else f"NULL::{column.sql_type} AS {_quoted(column.name)}"
                for column in self.table.columns
            ]
            untold = (
                "NULL::TIMESTAMPTZ AS told_recorded_at, NULL::BIGINT AS told_version, NULL::BOOLEAN AS told_retracted"
            )
            self._finish(f"(SELECT {', '.join(filled)}, {untold}, at_line, grp FROM {rows})", staged, extra=", grp")
        else:
            self._finish("good", staged)
        return staged

    def _none_at_all(self) -> None:
        if self.rows == 0:
            raise BadFile(f"{self.path} has a header and no rows; nothing was loaded")

    def _collect_problems(self) -> None:
        """The rows that failed a check, into `bad`: line, column, reason and the cell as it stood there."""
        con = self.con
        if not _number(con, "SELECT count(*) FROM checked WHERE problem <> 0"):
            return
        failed = [row[0] for row in con.execute("SELECT DISTINCT problem FROM checked WHERE problem > 0").fetchall()]
        checks = {number: self.reading.checks[number - 1] for number in failed}
        con.execute('CREATE OR REPLACE TEMP TABLE checks (problem INTEGER, "column" VARCHAR, reason VARCHAR)')
        if checks:
            rows = [(number, self.binding.theirs(check.column), check.reason) for number, check in checks.items()]
            con.executemany("INSERT INTO checks VALUES (?, ?, ?)", rows)
        cells = " ".join(f"WHEN {number} THEN {self._example(check)}" for number, check in checks.items())
        example = f"CASE c.problem {cells} END" if cells else "NULL"
        con.execute(
            f"INSERT INTO bad SELECT c.at_line, coalesce(k.\"column\", ''), coalesce(k.reason, r.broken), "
            f"left({example}, 200) FROM checked c JOIN {self._raw(True)} r ON r.line = c.at_line "
            "LEFT JOIN checks k ON k.problem = c.problem WHERE c.problem <> 0"
        )

    def _example(self, check: Check) -> str:
        return f"r.{cell}" if (cell := self.reading.cell(check.column)) != "NULL" else "NULL"

    def _told(self, name: str) -> str:
        column = {part.name: part for part in all_columns(self.table)}[name]
        return f"{self.reading.column(column)} AS told_{name}"

    def _generates_key(self) -> bool:
        return bool(self.table.generated_key) and self.table.generated_key not in self.binding.inputs

    def _bitemporal(self, told: str | None, reading: Reading | None = None) -> dict[str, str]:
        """The columns after the content, but for row_hash; `told` leads the names of what rows tell themselves."""
        reading = reading or self.reading
        instant = f"make_timestamptz({micros(self.now)})"
        moment = self._business_time()
        shown = {
            name: f"{told or ''}{name}" if told or reading.has(name) else f"NULL::{kind}"
            for name, kind in (("recorded_at", "TIMESTAMPTZ"), ("version", "BIGINT"), ("retracted", "BOOLEAN"))
        }
        own = shown["recorded_at"]
        return {
            "recorded_at": f"coalesce({own}, least({moment}, {instant}), {instant}) AS recorded_at",
            "recorded_assumed": f"{own} IS NULL AND {moment} IS NOT NULL AS recorded_assumed",
            "loaded_at": f"{instant} AS loaded_at",
            "version": f"{shown['version']} AS version",
            "retracted": f"coalesce({shown['retracted']}, false) AS retracted",
            "source": f"{text(self.path.name)} AS source",
        }

    def _business_time(self) -> str:
        name = self.table.business_time
        column = self.table.column(name)
        if not self.shape.grouped and not self.reading.has(name):
            return "NULL::TIMESTAMPTZ"
        return f'CAST("{name}" AS TIMESTAMP)::TIMESTAMPTZ' if column.type == "date" else f'"{name}"'

    def _finish(self, rows: str, target: Path, *, lined: bool = True, digested: bool = False, extra: str = "") -> None:
        """Checked rows (content, told_*, line) as a file of the table, with generated keys and row hashes.

        With `lined` the file keeps each row's line (and `extra` columns) at its end: a scratch file.
        """
        key = self.table.generated_key
        if key and not self.shape.grouped:
            digest = _quoted(key) if digested else f"coalesce({_quoted(key)}, {_content_digest(self.table)})"
            others = ", ".join(_quoted(name) for name in ("digest", *self.table.key) if name != key)
            made = "true" if digested else f"{_quoted(key)} IS NULL"
            nth = f"row_number() OVER (PARTITION BY {others}, made ORDER BY at_line)"
            rows = (
                f"(SELECT * EXCLUDE (digest, made) REPLACE (CASE WHEN made THEN digest || '-' || {nth} ELSE digest END "
                f"AS {_quoted(key)}) FROM (SELECT *, {digest} AS digest, {made} AS made FROM {rows}))"
            )
        content = ", ".join(_quoted(column.name) for column in self.table.columns)
        last = f", at_line{extra}" if lined else ""
        bitemporal = ", ".join(self._bitemporal("told_").values())
        query = f"SELECT {content}, {bitemporal}, {row_hash(self.table)} AS row_hash{last} FROM {rows}"
        self.con.execute(f"COPY ({query}) TO {text(str(target))} {_PARQUET}")

    # --------------------------------------------------------------------------------------------------- committing

    def _commit(self, staged: Path, careful: bool, verdicts: versions.Verdicts) -> LoadReport:
        con = self.con
        if verdicts.refused:
            self._refuse()
        known, loaded = self._count(staged, careful)
        bad = self._bad()
        if self.strict and bad.rows:
            raise BadFile(_strict_message(self.path, bad))
        target = staged
        if careful or verdicts.any:
            target = self.lake.stage(self.table.name)
            try:
                count = versions.write_fresh(con, self.table, staged, target, self.columns, self.now)
            except BaseException:
                self._drop(target)
                raise
        else:
            count = self.rows
        try:
            if self.binding.traits:
                self.tell("writing traits")
                self._load_traits(careful)
            if bad.rows:
                self._store_bad()
            committed = True
            if count:
                self.tell("writing")
                committed = self.lake.commit(
                    self.table.name,
                    [target],
                    load_id=self.load_id,
                    rows=count,
                    repeats_keys=verdicts.repeats_keys,
                    metadata={"file": self.path.name, "rows": str(self.rows)},
                )
            if not committed:
                loaded, known = 0, self.rows - bad.rows
            target = staged if not count else Path()
        finally:
            if target != staged and target != Path():
                self._drop(target)
        return self._report(loaded, known, bad)

    def _refuse(self) -> None:
        """Clashing and overlapping rows into `bad`, with their lines."""
        con = self.con
        staged = f"read_parquet({text(str(self.scratch / 'staged.parquet'))}, file_row_number=true)"
        key = ", ".join(self.table.key)
        cases = " ".join(f"WHEN {text(kind)} THEN {text(reason)}" for kind, reason in versions.REASONS.items())
        column = {versions.CLASH: self.binding.theirs(self.table.key[0])}
        shown = " ".join(f"WHEN {text(kind)} THEN {text(name)}" for kind, name in column.items())
        second = self.binding.theirs("started_at") if "started_at" in self.table.names else key
        if self.shape.grouped:
            # All rows of a customer whose spans are refused are held back together with them.
            con.execute(
                f"INSERT INTO bad SELECT g.at_line, 'customer_id', r.reason, g.customer_id FROM good g JOIN ("
                f"SELECT s.grp, min(CASE v.verdict {cases} END) AS reason FROM {staged} s JOIN verdicts v ON "
                f"v.rid = s.file_row_number WHERE v.verdict IN {_listed(versions.REASONS)} GROUP BY s.grp) r "
                "ON r.grp = g.customer_id WHERE g.at_line NOT IN (SELECT line FROM bad)"
            )
            con.execute(
                f"INSERT INTO verdicts SELECT s.file_row_number, '{versions.OVERLAP}' FROM {staged} s WHERE s.grp IN "
                f"(SELECT s2.grp FROM {staged} s2 JOIN verdicts v ON v.rid = s2.file_row_number WHERE v.verdict IN "
                f"{_listed(versions.REASONS)}) AND s.file_row_number NOT IN (SELECT rid FROM verdicts "
                f"WHERE verdict IN {_listed(versions.REASONS)})"
            )
            refused = f"(SELECT rid FROM verdicts WHERE verdict IN {_listed(versions.REASONS)})"
            con.execute(f"DELETE FROM verdicts WHERE verdict IN ('later', 'known') AND rid IN {refused}")
            return
        con.execute(
            f"INSERT INTO bad SELECT s.at_line, CASE v.verdict {shown} ELSE {text(second)} END, "
            f"CASE v.verdict {cases} END, NULL FROM {staged} s JOIN verdicts v ON v.rid = s.file_row_number "
            f"WHERE v.verdict IN {_listed(versions.REASONS)}"
        )

    def _count(self, staged: Path, careful: bool) -> tuple[int, int]:
        """Rows known and rows loaded; rows that make a span together count together."""
        con = self.con
        refused = _number(con, "SELECT count(*) FROM bad")
        if not self.shape.grouped:
            known = _number(con, "SELECT count(*) FROM verdicts WHERE verdict = 'known'")
            return known, self.rows - refused - known
        rows = f"read_parquet({text(str(staged))}, file_row_number=true)"
        known = _number(
            con,
            f"SELECT count(*) FROM good WHERE at_line NOT IN (SELECT line FROM bad) AND customer_id IN ("
            f"SELECT grp FROM {rows} s LEFT JOIN verdicts v ON v.rid = s.file_row_number GROUP BY grp "
            "HAVING bool_and(coalesce(v.verdict, '') = 'known'))",
        )
        return known, self.rows - refused - known

    def _bad(self) -> _Bad:
        con = self.con
        rows = con.execute(
            f'SELECT reason, "column", count(*), min(line), arg_min(example, line) FROM {self._placed()} GROUP BY 1, 2 '
            'ORDER BY count(*) DESC, min(line), "column"'
        ).fetchall()
        reasons = [
            Reason(reason, column, n, line, masked(example or "")[:80]) for reason, column, n, line, example in rows
        ]
        return _Bad(sum(reason.rows for reason in reasons), reasons)

    def _placed(self) -> str:
        """The bad rows with the line of the file that each was made of."""
        if self.derived is None:
            return "bad"
        return f"(SELECT b.* REPLACE (r.at AS line) FROM bad b JOIN {self._raw(True)} r ON r.line = b.line)"

    def _store_bad(self) -> None:
        """The bad rows into the table `quarantine`, once however often the load is repeated."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        from tenure.lake.store import arrow_schema

        load_id = f"{self.load_id}-quarantine"
        if self.lake.has_load("quarantine", load_id):
            return
        bad, raw = self._placed(), self._raw_text()
        query = (
            f'SELECT b.line, b."column", b.reason, r.raw FROM {bad} b JOIN {raw} r ON r.line = b.line ORDER BY b.line'
        )
        schema = arrow_schema(TABLES["quarantine"])
        target = self.lake.stage("quarantine")
        rows = 0
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            cursor = self.con.execute(query)
            while batch := cursor.fetchmany(5_000):
                rows += len(batch)
                values: dict[str, list[Any]] = {
                    "load_id": [self.load_id] * len(batch),
                    "file": [str(self.path)] * len(batch),
                    "table": [self.shape.name] * len(batch),
                    "line": [row[0] for row in batch],
                    "column": [row[1] for row in batch],
                    "reason": [row[2] for row in batch],
                    "raw": [masked(row[3] or "")[:_RAW] for row in batch],
                    "recorded_at": [self.now] * len(batch),
                    "recorded_assumed": [False] * len(batch),
                    "loaded_at": [self.now] * len(batch),
                    "version": [None] * len(batch),
                    "retracted": [False] * len(batch),
                    "source": [self.path.name] * len(batch),
                    "row_hash": [_digest_of(self.load_id, row) for row in batch],
                }
                arrays = [pa.array(values[field.name], field.type) for field in schema]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        self._commit_beside("quarantine", target, load_id, rows, False)

    def _raw_text(self) -> str:
        """Line and raw text of every row, as a relation."""
        if self.derived is not None:
            return self.derived.raw()
        if self.source.kind != "parquet":
            return f"(SELECT line, raw FROM {self._raw(True)})"
        pairs = ", ".join(f"{text(name)}: {_quoted(name)}" for name in self.source.names)
        file = text(str(self.source.readable))
        return (
            f"(SELECT file_row_number + 1 AS line, CAST({{{pairs}}} AS VARCHAR) AS raw "
            f"FROM read_parquet({file}, file_row_number=true))"
        )

    def _repeated(self) -> LoadReport:
        """The report on a file that was loaded before: everything is known, what was held back still is."""
        snapshot = self.lake.snapshot("quarantine")
        bad = _Bad(0, [])
        if snapshot.rows:
            files = "[" + ", ".join(text(file) for file in snapshot.files) + "]"
            rows = self.con.execute(
                f'SELECT reason, "column", count(*), min(line), arg_min(raw, line) FROM read_parquet({files}) '
                f'WHERE load_id = {text(self.load_id)} GROUP BY 1, 2 ORDER BY count(*) DESC, min(line), "column"'
            ).fetchall()
            reasons = [Reason(reason, column, n, line, (raw or "")[:80]) for reason, column, n, line, raw in rows]
            bad = _Bad(sum(reason.rows for reason in reasons), reasons)
        return self._report(0, self.rows - bad.rows, bad)

    def _report(self, loaded: int, known: int, bad: _Bad) -> LoadReport:
        notes = list(dict.fromkeys(self.binding.notes))
        return LoadReport(str(self.path), self.shape.name, self.rows, loaded, known, bad.rows, bad.reasons, notes)

    def _drop(self, staged: Path) -> None:
        """Delete a file that was staged and is not part of the table."""
        if staged.exists() and str(staged) not in self.lake.snapshot(self.table.name).files:
            staged.unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------------- traits

    def _load_traits(self, careful: bool) -> None:
        """The columns the table does not know, as traits of the customers; its own transaction, before the main one."""
        con, table = self.con, TABLES["traits"]
        with self.lake.writing("traits"):
            if self.lake.has_load("traits", self.load_id):
                return
            if careful:
                rows = "(FROM good WHERE at_line NOT IN (SELECT line FROM bad))"
                told = "NULL::TIMESTAMPTZ" if self.shape.grouped else "told_recorded_at"
            else:
                rows = f"({self.reading.values(self._raw(False))})"
                told = '"recorded_at"' if self.reading.has("recorded_at") else "NULL::TIMESTAMPTZ"
            shape = self.shape
            dated = shape.dated if not shape.grouped else ""
            if dated == "canceled_at":
                dated = "answered_at"
            at = f'"{dated}"' if dated and self.reading.has(dated) else "NULL::TIMESTAMPTZ"
            if dated and self.table.names and dated in self.table.names and self.table.column(dated).type == "date":
                at = "NULL::TIMESTAMPTZ"
            moment = "NULL::TIMESTAMPTZ" if shape.grouped else self._business_time()
            cells = ", ".join(
                f"{{'trait': {text(trait)}, 'is_static': {str(trait in self.static).lower()}, "
                f"'value': t_{trait_column(cell)}}}"
                for trait, cell in self.binding.traits.items()
            )
            instant = f"make_timestamptz({micros(self.now)})"
            con.execute(
                f"""
CREATE OR REPLACE TEMP TABLE said AS
WITH said AS (
    SELECT customer_id, {at} AS dated, {told} AS told_at, {moment} AS moment, unnest([{cells}], recursive := true)
    FROM {rows} WHERE customer_id IS NOT NULL
), once AS (
    SELECT customer_id, trait, CASE WHEN NOT is_static THEN dated END AS effective_at, told_at,
           bool_or(is_static) AS is_static,
           min(moment) AS moment, min(value) AS value, min(value) <> max(value) AS clash
    FROM said WHERE value IS NOT NULL GROUP BY 1, 2, 3, 4
)
FROM once
"""
            )
            lost = con.execute("SELECT trait, count(*) FROM said WHERE clash GROUP BY 1 ORDER BY 1").fetchall()
            if lost:
                names = ", ".join(f"{trait} ({count})" for trait, count in lost)
                self.binding.notes.append(f"not kept, for one customer has several values at the same time: {names}")
            columns = ["customer_id", "trait", "effective_at", "value", "number", "is_dated"]
            number = "CASE WHEN isfinite(TRY_CAST(value AS DOUBLE)) THEN TRY_CAST(value AS DOUBLE) END"
            staged = self.scratch / "traits.parquet"
            # Of a dated trait only the changes are kept: what did not change between two dates says nothing new.
            con.execute(
                f"""
COPY (
SELECT {", ".join(columns)}, coalesce(told_at, least(moment, {instant}), {instant}) AS recorded_at,
       told_at IS NULL AND moment IS NOT NULL AS recorded_assumed, {instant} AS loaded_at, NULL::BIGINT AS version,
       false AS retracted, {text(self.path.name)} AS source, {row_hash(table)} AS row_hash
FROM (
    SELECT customer_id, trait, effective_at, value, {number} AS number,
           is_static OR effective_at IS NOT NULL AS is_dated, told_at, moment
    FROM said WHERE NOT clash
    QUALIFY told_at IS NOT NULL OR effective_at IS NULL OR lag(value) OVER (
        PARTITION BY customer_id, trait, told_at IS NULL ORDER BY effective_at) IS DISTINCT FROM value
)
) TO {text(str(staged))} {_PARQUET}
"""
            )
            con.execute("DROP TABLE said")
            verdicts = versions.compare(con, self.lake, table, staged)
            target = self.lake.stage("traits")
            stored = [column.name for column in all_columns(table)]
            count = versions.write_fresh(con, table, staged, target, stored, self.now)
            self._commit_beside("traits", target, self.load_id, count, verdicts.repeats_keys)

    def _commit_beside(self, table: str, target: Path, load_id: str, rows: int, repeats_keys: bool) -> None:
        """Commit a file of a table beside the main one; if that fails, nothing is left of it."""
        committed = False
        try:
            if rows:
                self.lake.commit(table, [target], load_id=load_id, rows=rows, repeats_keys=repeats_keys)
                committed = True
        finally:
            if not committed and str(target) not in self.lake.snapshot(table).files:
                target.unlink(missing_ok=True)


class _Digest:
    """The load's identity, computed beside the reading: the file's bytes, the table, the mapping and the options."""

    def __init__(self, loading: _Loading) -> None:
        options = json.dumps(
            [
                loading.shape.name,
                sorted(loading.mapping.items()),
                sorted(loading.static),
                loading.zone_name,
                loading.currency,
            ],
            ensure_ascii=False,
        )
        self._found: str | None = None
        self._error: OSError | None = None

        def work() -> None:
            try:
                content = loading.derived.identity if loading.derived else sources.digest(loading.path)
            except OSError as error:
                self._error = error
                return
            self._found = hashlib.sha256(f"{content}\n{options}".encode()).hexdigest()

        self._thread = threading.Thread(target=work, name="tenure-digest", daemon=True)
        self._thread.start()

    def result(self) -> str:
        """The identity, in hex."""
        self._thread.join()
        if self._found is None:
            raise BadFile(f"the file cannot be read: {self._error}")
        return self._found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(words: Mapping[str, str]) -> str:
    return "(" + ", ".join(text(word) for word in words) + ")"


def _number(con: DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _within(footer: FileMetaData, limits: Sequence[Limits]) -> bool:
    """Whether a written file's columns keep within their bounds, by the statistics of its row groups."""
    place = {footer.schema.column(i).path: i for i in range(footer.num_columns)}
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    for name, least, most, may_be_null in limits:
        for group in groups:
            found = group.column(place[name]).statistics
            if found is None or not found.has_null_count or (found.null_count and not may_be_null):
                return False
            if (least is None and most is None) or found.null_count == group.num_rows:
                continue
            if not found.has_min_max:
                return False
            if (least is not None and found.min_raw < least) or (most is not None and found.max_raw > most):
                return False
    return True


def _content_digest(table: FactTable) -> str:
    """The first part of a generated key, as tenure.kernel.ids.content_key makes it: 32 hex digits of SHA-256."""
    parts = [canonical(column) for column in table.columns if column.name != table.generated_key]
    # strlen counts bytes, as content_key does.
    joined = ", ".join(f"coalesce(strlen({part}) || ':' || {part}, '-')" for part in parts)
    return f"left(sha256(concat({joined})), 32)"


def _digest_of(load_id: str, row: Sequence[object]) -> int:
    content = "\x1f".join([load_id, *(str(value) for value in row)])
    return int.from_bytes(hashlib.md5(content.encode(), usedforsecurity=False).digest()[:8], "little") & (2**63 - 1)


def _strict_message(path: Path, bad: _Bad) -> str:
    lines = [
        f"  line {reason.first_line}{f', {reason.column}' if reason.column else ''}: {reason.reason}"
        + (f" ({reason.example!r})" if reason.example else "")
        + (f", and {reason.rows - 1} more" if reason.rows > 1 else "")
        for reason in bad.reasons[:5]
    ]
    more = f"\n  and {len(bad.reasons) - 5} more reasons" if len(bad.reasons) > 5 else ""
    plural = "row is" if bad.rows == 1 else "rows are"
    return f"{bad.rows} {plural} wrong in {path}; with --strict nothing was loaded:\n" + "\n".join(lines) + more
