"""Where do the made-up facts go? One file per table, Parquet or CSV, and a note that says that all of it is made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from tenure.errors import BadInput, Failed
from tenure.simulate.company import FACTS, TRUTHS, Company, simulate
from tenure.simulate.sheets import INSTANT, schema

FORMATS = ("parquet", "csv")
# Rows gathered before they become a row group: readers dislike many small ones.
_GROUP = 120_000
_INITIALS = ("id", "usd", "mrr", "csat")

_NOTE = """# Made up

Nobody in these files exists. They were made by Tenure's company simulator, from a seed, to show and to test what Tenure
does. The files' names say so, and with them every row of a lake they are loaded into; the customers are called
"Made-up Co. 0042" and write from `made-up.example`; rivals, reviews, exchange rates and prices are made up too.
Numbers from here are no findings.

    {company}

Load a table with `tenure load TABLE FILE`. The folder `truth` holds what no real company knows: the hazards that
customers were drawn from, why each of them left, and MRR as it was meant. It is not for loading.

Customers who left before {first} are missing, as they would be after a move from an older billing system.
"""


class _Writer:
    """One table's file, appended to piece by piece; Arrow pieces are gathered into row groups of a decent size."""

    def __init__(self, path: Path, table: str, format: str) -> None:
        self.path, self._format, self._fields = path, format, _own(schema(table).empty_table()).schema
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._file: Any = None

    def add(self, piece: pa.Table) -> None:
        self._waiting.append(_own(piece))
        self._rows += piece.num_rows
        if self._rows >= _GROUP:
            self._write()

    def _write(self) -> None:
        rows = pa.concat_tables(self._waiting) if self._waiting else self._fields.empty_table()
        self._waiting, self._rows = [], 0
        if self._format == "csv":
            rows = _for_people(rows)
        if self._file is None and self._format == "csv":
            self._file = pyarrow.csv.CSVWriter(self.path, rows.schema)
        elif self._file is None:
            self._file = pq.ParquetWriter(self.path, rows.schema, compression="zstd", compression_level=1)
        if self._format == "csv":
            self._file.write_table(rows)
        else:
            self._file.write_table(rows, row_group_size=_GROUP * 4)

    def close(self) -> None:
        if self._waiting or self._file is None:
            self._write()
        self._file.close()


def _own(rows: pa.Table) -> pa.Table:
    """Without `source`: a file does not say where it comes from, whoever loads it does (by the file's name)."""
    return rows.drop_columns(["source"]) if "source" in rows.column_names else rows


def header(column: str) -> str:
    """How a person would head a column: customer_id is Customer ID, which the loader reads back as customer_id.

    >>> header("customer_id"), header("per_usd"), header("amount_minor")
    ('Customer ID', 'Per USD', 'Amount minor')
    """
    words = column.split("_")
    words[0] = words[0].capitalize()
    return " ".join(word.upper() if word.lower() in _INITIALS else word for word in words)


def _for_people(rows: pa.Table) -> pa.Table:
    """Headers for people, and instants as 2026-06-30T23:59:59Z."""
    for at, field in enumerate(rows.schema):
        if field.type == INSTANT:
            text = pc.strftime(rows.column(at).cast(pa.timestamp("s", tz="UTC")), format="%Y-%m-%dT%H:%M:%SZ")
            rows = rows.set_column(at, field.name, text)
    return rows.rename_columns([header(name) for name in rows.column_names])


def write_files(
    company: Company, folder: Path, format: str, progress: Callable[[int, int], None] | None
) -> dict[str, list[Path]]:
    """See `tenure.simulate.company.write`."""
    if format not in FORMATS:
        raise BadInput(f"no file format called '{format}'; use {' or '.join(FORMATS)}")
    try:
        (folder / "truth").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(f"cannot write into {folder}: {error.strerror or error}; choose another folder") from error
    paths = {name: folder / f"made-up-{name}.{format}" for name in FACTS}
    paths |= {name: folder / "truth" / f"made-up-{name.removeprefix('truth_')}.{format}" for name in TRUTHS}
    writers = {name: _Writer(path, name, format) for name, path in paths.items()}
    try:
        for name, rows in simulate(company, progress):
            writers[name].add(rows)
    finally:
        for writer in writers.values():
            writer.close()
    from tenure.simulate.months import Months

    first = Months(company.until, company.months).first_day(0)
    (folder / "MADE-UP.md").write_text(_NOTE.format(company=company, first=first), encoding="utf-8")
    return {name: [path] for name, path in paths.items()}
