"""What does a stored file hold, without reading it? Row counts, NULL counts, smallest and largest values.

Two ways in, one shape out. `of_footer` reads a Parquet file's own footer: it is what a commit writes into the table's
log. `combine` sums up the log's statistics of all files of one version: it is what a snapshot tells the engines.

Only the entries of files that this package wrote (`new_name`) are believed; other writers cut instants to milliseconds,
which makes the largest too small. Their files are asked themselves.

Some values have no smallest and largest here, because a bound that is nearly right is wrong: text of 32 characters or
more (writers cut it), decimals (the log holds them as floating point) and floats (statistics pass over NaN).
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

_OURS = r"^part-[0-9a-f]{32}\.parquet$"
LONGEST_TEXT = 31  # characters of a text bound


def new_name() -> str:
    """A name for a file of ours: the form by which a snapshot knows that the log's statistics are exact."""
    return f"part-{uuid.uuid4().hex}.parquet"


@dataclass(frozen=True, slots=True)
class FileStatistics:
    """One file: its rows, its columns, NULLs per column, and bounds where they are exact.

    A column without an entry in `nulls` is unknown; one without a bound has none that is exact, or holds only NULL.
    """

    rows: int
    columns: frozenset[str]
    nulls: Mapping[str, int]
    minimum: Mapping[str, Any] = field(default_factory=dict)
    maximum: Mapping[str, Any] = field(default_factory=dict)

    def as_delta(self) -> dict[str, Any]:
        """The statistics as the Delta log wants them: JSON values, instants in ISO form with Z."""
        return {
            "numRecords": self.rows,
            "minValues": {name: _as_json(value) for name, value in self.minimum.items()},
            "maxValues": {name: _as_json(value) for name, value in self.maximum.items()},
            "nullCount": dict(self.nulls),
        }


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """All files of one version together. Only what is certain for every row is said."""

    rows: int
    all_null: frozenset[str]
    all_false: frozenset[str]
    minimum: Mapping[str, Any]
    maximum: Mapping[str, Any]


def exact_bound(value: Any) -> bool:
    """Whether a smallest or largest value may be told: it is exact in every writer's statistics."""
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT
    return isinstance(value, bool | int | date)  # a datetime is a date


def of_footer(metadata: pyarrow.parquet.FileMetaData) -> FileStatistics:
    """The statistics in a Parquet footer. A column that some row group has no statistics for is left out."""
    rows = metadata.num_rows
    nulls: dict[str, int] = {}
    lows: dict[str, Any] = {}
    highs: dict[str, Any] = {}
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    names = [metadata.schema.column(position).path for position in range(metadata.num_columns)]
    for position, name in enumerate(names):
        chunks = [(group.num_rows, group.column(position).statistics) for group in groups]
        if any(statistics is None or not statistics.has_null_count for _, statistics in chunks):
            continue
        nulls[name] = sum(statistics.null_count for _, statistics in chunks)
        valued = [statistics for size, statistics in chunks if statistics.null_count < size]
        if not valued or not all(statistics.has_min_max for statistics in valued):
            continue
        low, high = [s.min for s in valued], [s.max for s in valued]
        if all(map(exact_bound, low)) and all(map(exact_bound, high)):
            lows[name], highs[name] = min(low), max(high)
    return FileStatistics(rows, frozenset(names), nulls, lows, highs)


@lru_cache(maxsize=4096)
def of_stored_file(path: str) -> FileStatistics:
    """The statistics of a stored file, remembered: a stored file never changes."""
    import pyarrow.parquet

    return of_footer(pyarrow.parquet.read_metadata(path))


def combine(
    actions: pyarrow.Table, columns: Sequence[str], booleans: Collection[str], paths: Sequence[str]
) -> TableStatistics:
    """All files of one version together, from its add actions (`get_add_actions(flatten=True)`).

    `columns` are all that a reader may ask for, `booleans` those of them that are true or false, `paths` where the
    files are, in the order of the actions. A file of which the log does not say how many NULLs every column has (a
    column is younger than the file) or that another program wrote is asked itself: its footer is read, once.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    counts = ["num_records", *(f"null_count.{name}" for name in columns)]
    told = pc.match_substring_regex(actions["path"], _OURS)
    for name in counts:
        told = pc.and_(told, pc.is_valid(actions[name]) if name in actions.column_names else pa.scalar(False))
    logged = actions.filter(told)
    parts = [of_stored_file(path) for path, known in zip(paths, told.to_pylist(), strict=True) if not known]
    if logged.num_rows:
        parts.append(_of_log(logged, columns))
    return _sum(parts, columns, booleans)


def _of_log(actions: pyarrow.Table, columns: Sequence[str]) -> FileStatistics:
    """Many files' log entries, each of which counts every column's NULLs, as if they were one file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    records = actions["num_records"]
    nulls: dict[str, int] = {}
    lows: dict[str, Any] = {}
    highs: dict[str, Any] = {}
    for name in columns:
        counted = actions[f"null_count.{name}"]
        nulls[name] = pc.sum(counted).as_py()
        if f"min.{name}" not in actions.column_names or f"max.{name}" not in actions.column_names:
            continue
        bounds = actions.select([f"min.{name}", f"max.{name}"]).filter(pc.less(counted, records))
        low, high = bounds.column(0), bounds.column(1)
        if not bounds.num_rows or low.null_count or high.null_count:
            continue
        if pa.types.is_string(low.type):
            exact = max(pc.max(pc.utf8_length(side)).as_py() for side in (low, high)) <= LONGEST_TEXT
        else:
            exact = exact_bound(pc.min(low).as_py()) and exact_bound(pc.max(high).as_py())
        if exact:
            lows[name], highs[name] = pc.min(low).as_py(), pc.max(high).as_py()
    return FileStatistics(pc.sum(records).as_py(), frozenset(columns), nulls, lows, highs)


def _sum(parts: Sequence[FileStatistics], columns: Sequence[str], booleans: Collection[str]) -> TableStatistics:
    """What is certain of all parts together."""
    all_null: set[str] = set()
    minimum: dict[str, Any] = {}
    maximum: dict[str, Any] = {}
    for name in columns:
        # Where a column may hold a value: unknown counts of NULLs included, files without the column not.
        valued = [
            part
            for part in parts
            if name in part.columns and not (name in part.nulls and part.nulls[name] == part.rows)
        ]
        if not valued:
            all_null.add(name)
        elif all(name in part.minimum for part in valued):
            minimum[name] = min(part.minimum[name] for part in valued)
            maximum[name] = max(part.maximum[name] for part in valued)
    no_true = {name for name in booleans if name in all_null or maximum.get(name) is False}
    return TableStatistics(sum(part.rows for part in parts), frozenset(all_null), frozenset(no_true), minimum, maximum)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return value
