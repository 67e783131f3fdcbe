"""What kind of file is this? Its format, compression, encoding, delimiter and header, found by looking at it."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tenure.errors import BadFile

if TYPE_CHECKING:
    import pyarrow

LONGEST_RECORD = 2_000_000  # bytes of one row of text; more is a broken file, not a fact
MISSING = ("", "NULL", "\\N")  # cells that say nothing
_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 1 << 18
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True, slots=True)
class Source:
    """One file as we shall read it.

    kind          csv, json (one object a line) or parquet
    readable      the file to read: the given one, or a copy in UTF-8 with one delimiter
    names         the header's cells (csv), the keys (json) or the columns (parquet), as they stand there
    types         the column types of a Parquet file, by name
    first_line    the line on which the rows begin
    sample        the first part of the text, for looking at
    """

    path: Path
    kind: str
    readable: Path
    compression: str
    delimiter: str
    names: tuple[str, ...]
    has_header: bool
    first_line: int
    sample: str
    types: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a text file: the line it begins on, its cells, or what is broken about it, and how it stood there."""

    line: int
    cells: list[str | None] | None
    broken: str
    raw: str


def digest(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def open_source(path: Path, scratch: Path, positions: bool) -> Source:
    """Look at the file and say how to read it. `positions`: columns are named by number, so a header may be absent.

    Raises BadFile for what is no file, holds nothing, or is of another kind than its name says.
    """
    try:
        if path.is_dir():
            raise BadFile(f"{path} is a folder; name the files in it, for example {path}/*.csv")
        if not path.exists():
            raise BadFile(f"there is no file {path}; check the name")
        with path.open("rb") as handle:
            head = handle.read(8)
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}; check the file and its permissions") from None
    if not head:
        raise BadFile(f"{path} is empty; nothing was loaded")
    if head[:4] == b"PAR1":
        return _parquet(path)
    if head[:4] == b"PK\x03\x04":
        raise BadFile(f"{path} is a zip archive or a spreadsheet workbook; save the sheet as CSV, or unpack it first")
    compression = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "none")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if compression == "none" and suffixes and suffixes[-1] in (".gz", ".zst", ".parquet"):
        raise BadFile(f"{path} is not what its name says: its content is no {suffixes[-1][1:]} file")
    if compression != "none" and suffixes and suffixes[-1] in (".gz", ".zst"):
        suffixes.pop()
    try:
        return _text(path, scratch, compression, suffixes[-1] if suffixes else "", positions)
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise BadFile(f"{path} cannot be unpacked: {error}; is the download complete?") from None


def _parquet(path: Path) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        rows = pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError) as error:
        raise BadFile(f"{path} is not a whole Parquet file: {str(error).splitlines()[0]}") from None
    if rows == 0:
        raise BadFile(f"{path} has columns and no rows; nothing was loaded")
    fields = [field for field in schema if not field.name.startswith("__index_level_")]
    types = {field.name: str(field.type) for field in fields}
    return Source(path, "parquet", path, "none", "", tuple(types), True, 1, "", types)


def _text(path: Path, scratch: Path, compression: str, suffix: str, positions: bool) -> Source:
    with unpacked(path, compression) as handle:
        sample = handle.read(_SAMPLE)
    if not sample.strip():
        raise BadFile(f"{path} is empty; nothing was loaded")
    readable, packed = path, compression
    encoding = _utf16(sample)
    if encoding:
        readable, packed = _recoded(path, compression, encoding, scratch), "none"
        with unpacked(readable, packed) as handle:
            sample = handle.read(_SAMPLE)
    elif b"\x00" in sample[:4096]:
        raise BadFile(f"{path} is not a text file; save it as CSV in UTF-8")
    if b"\n" not in sample and b"\r" in sample:  # line ends of old Macintoshes
        readable, packed = _rewritten(readable, packed, scratch, None), "none"
        with unpacked(readable, packed) as handle:
            sample = handle.read(_SAMPLE)
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(sample.removeprefix(codecs.BOM_UTF8), final=False)
    if suffix in (".jsonl", ".ndjson", ".json") or text.lstrip().startswith("{"):
        if text.lstrip().startswith("["):
            raise BadFile(f"{path} is one JSON list; write one object a line (JSON lines), as jq -c '.[]' does")
        names = _keys(readable, packed, path)
        return Source(path, "json", readable, packed, "", names, True, 1, text)
    first = next((line for line in text.splitlines() if line.strip()), None)
    if first is None:  # a mark of the byte order and nothing after it
        raise BadFile(f"{path} is empty; nothing was loaded")
    delimiter = _delimiter(first, suffix)
    if not delimiter and _spaced(text):
        readable, packed, delimiter = _rewritten(readable, packed, scratch, "\t"), "none", "\t"
    found = next(records(readable, packed, delimiter or ",", None, 1), None)
    if found is None or found.cells is None:
        what = found.broken if found else "it holds no line"
        raise BadFile(f"the first line of {path} cannot be read: {what}")
    cells = [cell or "" for cell in found.cells]
    if positions and any(re.fullmatch(r"\s*[-+]?\d+(\.\d+)?\s*", cell) for cell in cells):
        names = tuple(str(place + 1) for place in range(len(cells)))
        return Source(path, "csv", readable, packed, delimiter or ",", names, False, found.line, text)
    following = found.line + found.raw.count("\n")
    names = tuple(cell.strip() for cell in cells)
    return Source(path, "csv", readable, packed, delimiter or ",", names, True, following, text)


def unpacked(path: Path, compression: str) -> IO[bytes]:
    """The file's bytes without its compression."""
    if compression == "gzip":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if compression == "zstd":
        import pyarrow as pa

        return io.BufferedReader(_Raw(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")), 1 << 20)
    return path.open("rb")


class _Raw(io.RawIOBase):
    """An Arrow stream as Python's buffered reader wants it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _utf16(sample: bytes) -> str:
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return ""


def _recoded(path: Path, compression: str, encoding: str, scratch: Path) -> Path:
    target = scratch / "recoded.txt"
    with unpacked(path, compression) as source, target.open("w", encoding="utf-8", newline="") as out:
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        while chunk := source.read(1 << 20):
            out.write(decoder.decode(chunk))
        out.write(decoder.decode(b"", final=True))
    return target


def _rewritten(path: Path, compression: str, scratch: Path, delimiter: str | None) -> Path:
    """A copy with plain line ends; with a `delimiter`, that for every run of spaces. Lines keep their number."""
    target = scratch / "rewritten.txt"
    with unpacked(path, compression) as source, target.open("wb") as out:
        text = io.TextIOWrapper(source, encoding="utf-8", errors="surrogateescape", newline=None)
        for line in text:
            fixed = delimiter.join(line.split()) + "\n" if delimiter else line
            out.write(fixed.encode("utf-8", errors="surrogateescape"))
    return target


def _delimiter(first: str, suffix: str) -> str:
    """The delimiter that cuts the header into the most cells, quoted ones aside; '' if none does."""
    bare = re.sub(r'"[^"]*"', "", first)
    if suffix in (".tsv", ".tab") and "\t" in bare:
        return "\t"
    counts = {delimiter: bare.count(delimiter) for delimiter in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else ""


def _spaced(text: str) -> bool:
    """Whether the lines have one and the same number (two or more) of cells, cut at runs of spaces."""
    lines = [line.split() for line in text.splitlines()[:50] if line.strip()]
    if len(text) >= _SAMPLE and len(lines) < 50:
        lines = lines[:-1]
    return bool(lines) and len(lines[0]) > 1 and all(len(line) == len(lines[0]) for line in lines)


def _keys(path: Path, compression: str, given: Path) -> tuple[str, ...]:
    """Every key that occurs in a file of JSON lines, in the order of first sight."""
    import json

    found: dict[str, None] = {}
    for line in _lines(path, compression):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found.update(dict.fromkeys(value))
    if not found:
        raise BadFile(f"no line of {given} is a JSON object; write one object a line (JSON lines)")
    return tuple(found)


def _lines(path: Path, compression: str) -> Iterator[bytes]:
    """Physical lines; one that is far too long comes in its first part only, so that memory stays bounded."""
    with unpacked(path, compression) as handle:
        while line := handle.readline(LONGEST_RECORD + 1):
            if len(line) > LONGEST_RECORD and not line.endswith(b"\n"):
                while rest := handle.readline(LONGEST_RECORD + 1):
                    if rest.endswith(b"\n"):
                        break
            yield line


# --------------------------------------------------------------------------------------------------- rows, carefully


def records(path: Path, compression: str, delimiter: str, width: int | None, first_line: int) -> Iterator[Record]:
    """The rows of a delimited text file from line `first_line` on, with physical line numbers (RFC 4180).

    A quoted cell may hold line breaks. A row with another number of cells than `width`, invalid UTF-8, text behind a
    closing quote, a quote that never closes, or too many bytes comes as broken, and reading goes on with the next
    line. Blank lines are no rows.
    """
    plain = delimiter.encode()
    reader = _Cells(plain)
    pushed: list[bytes] = []
    lines = _lines(path, compression)
    number = 0
    while (line := pushed.pop() if pushed else next(lines, None)) is not None:
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if number < first_line or not line.strip(b"\r\n"):
            continue
        if len(line) > LONGEST_RECORD:
            yield _broken(number, line, f"is longer than {LONGEST_RECORD:,} bytes")
            continue
        if b'"' not in line:
            yield _record(number, line, line.rstrip(b"\r\n").split(plain), width)
            continue
        start, taken, size = number, [line], len(line)
        reader.begin()
        open_still = reader.feed(line)
        while open_still and size <= LONGEST_RECORD:
            more = pushed.pop() if pushed else next(lines, None)
            if more is None:
                break
            taken.append(more)
            size += len(more)
            open_still = reader.feed(more)
        if open_still:
            # The quote never closes: give this line up and go on with the next one.
            pushed.extend(reversed(taken[1:]))
            yield _broken(start, line, "has a quote that never closes")
            continue
        number += len(taken) - 1
        whole = b"".join(taken)
        yield _broken(start, whole, reader.broken) if reader.broken else _record(start, whole, reader.cells, width)


class _Cells:
    """Cuts a row with quotes into cells, fed line by line: a cell of many lines costs no more than its length."""

    def __init__(self, delimiter: bytes) -> None:
        d = re.escape(delimiter)
        self._opening = re.compile(rb' ?"')
        self._inside = re.compile(rb'[^"]*(?:""[^"]*)*')
        self._after = re.compile(rb'" *(' + d + rb"|\r?\n?\Z)")
        self._plain = re.compile(rb"([^" + d + rb"\r\n]*)(" + d + rb"|\r?\n?\Z)")
        self.begin()

    def begin(self) -> None:
        """Start a new row."""
        self.cells: list[bytes] = []
        self.broken = ""
        self._held: list[bytes] | None = None

    def feed(self, line: bytes) -> bool:
        """Take one more line; whether a quoted cell is still open behind it."""
        at = 0
        while True:
            if self._held is None and (opening := self._opening.match(line, at)):
                self._held, at = [], opening.end()
            if self._held is not None:
                inside = self._inside.match(line, at)
                assert inside is not None
                self._held.append(inside.group().replace(b'""', b'"'))
                if inside.end() == len(line):
                    return True
                ending = self._after.match(line, inside.end())
                if ending is None:
                    self.broken = "has text behind a closing quote"
                    return False
                self.cells.append(b"".join(self._held))
                self._held = None
                at, end = ending.end(), ending.group(1)
            else:
                match = self._plain.match(line, at)
                if match is None:
                    self.broken = "has a carriage return inside a cell"
                    return False
                self.cells.append(match.group(1))
                at, end = match.end(), match.group(2)
            if end in (b"", b"\n", b"\r\n", b"\r"):
                return False


def _record(line: int, whole: bytes, cells: list[bytes], width: int | None) -> Record:
    try:
        texts = [cell.decode() for cell in cells]
    except UnicodeDecodeError:
        return _broken(line, whole, "is not valid UTF-8")
    while width is not None and len(texts) > width and not texts[-1]:
        texts.pop()  # delimiters at the end of the line
    if width is not None and len(texts) != width:
        return _broken(line, whole, f"has {len(texts)} cells where the header has {width}")
    return Record(line, [None if text in MISSING else text for text in texts], "", whole.decode())


def _broken(line: int, whole: bytes, reason: str) -> Record:
    return Record(line, None, reason, whole[:40_000].decode(errors="replace"))


def json_records(path: Path, compression: str, names: tuple[str, ...]) -> Iterator[Record]:
    """The rows of a file of JSON lines; what is not text is taken as it is written."""
    import json

    for number, line in enumerate(_lines(path, compression), start=1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            continue
        if len(line) > LONGEST_RECORD:
            yield _broken(number, line, f"is longer than {LONGEST_RECORD:,} bytes")
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError:
            yield _broken(number, line, "is not valid UTF-8")
            continue
        try:
            # Numbers stay as they are written: 1.10 must not pass through a float.
            value = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            yield _broken(number, line, "is not valid JSON")
            continue
        if not isinstance(value, dict):
            yield _broken(number, line, "is not a JSON object")
            continue
        yield Record(number, [_cell(value.get(name)) for name in names], "", text)


def _cell(value: object) -> str | None:
    import json

    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # A lone surrogate is no character and cannot be stored.
    return text.encode("utf-8", "replace").decode() or None


def write_records(source: Source, target: Path) -> None:
    """The rows as a Parquet file: c1..cN as text, line, broken (reason, where the row has no cells) and raw."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    width = len(source.names)
    names = [f"c{place + 1}" for place in range(width)]
    schema = pa.schema(
        [(name, pa.string()) for name in names] + [("line", pa.int64()), ("broken", pa.string()), ("raw", pa.string())]
    )
    found = (
        json_records(source.readable, source.compression, source.names)
        if source.kind == "json"
        else records(source.readable, source.compression, source.delimiter, width, source.first_line)
    )
    with pq.ParquetWriter(target, schema, compression="snappy") as writer:
        for batch in _batches(found):
            writer.write_table(_table(batch, width, schema))


def _batches(found: Iterator[Record], rows: int = 20_000, size: int = 32_000_000) -> Iterator[list[Record]]:
    batch: list[Record] = []
    held = 0
    for record in found:
        batch.append(record)
        held += len(record.raw)
        if len(batch) >= rows or held > size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _table(batch: list[Record], width: int, schema: pyarrow.Schema) -> pyarrow.Table:
    import pyarrow as pa

    empty: list[str | None] = [None] * width
    columns: list[Any] = [list(column) for column in zip(*(row.cells or empty for row in batch), strict=True)]
    columns += [
        [row.line for row in batch],
        [row.broken or None for row in batch],
        [row.raw.rstrip("\r\n")[:40_000] for row in batch],
    ]
    return pa.table([pa.array(column, part.type) for column, part in zip(columns, schema, strict=True)], schema=schema)
