"""How does the lake stay fast and tidy, and how is a person erased? Compaction, vacuum, erasure, one at a time.

delta-rs does not notice two of its compactions at once: both rewrite the same files and every row is there twice. So
all three run under one exclusive lock of the whole lake and open the table only once they hold it. Every rewrite also
carries the application transaction `rewrite`, of which Delta lets only one of two rivals through: where a file system
keeps no locks, the second one is refused instead of doubling rows.

Rows are rewritten here and not by delta-rs, whose log entries cut instants to milliseconds: the largest `recorded_at`
would then be smaller than the truth. Loads need no lock against a rewrite: an append and an exchange of older files do
not touch each other.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tenure.errors import BadInput, Busy
from tenure.lake.disk import make_durable
from tenure.lake.shape import add_action, arrow_schema
from tenure.lake.statistics import new_name, of_footer
from tenure.lake.tables import FactTable

if TYPE_CHECKING:
    import pyarrow
    from deltalake import DeltaTable

LEAST_RETENTION_HOURS = 24
MOST_RETENTION_HOURS = 30 * 24  # as long as the log tells a removed file from a stranger
TARGET_BYTES = 128 * 1024 * 1024
ROW_GROUP_ROWS = 122_880  # DuckDB's own: one thread's share of work
REWRITE = "rewrite"
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction did: so many small files became so many larger ones; 0 and 0 when there was nothing to do."""

    table: str
    files_before: int
    files_after: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure did, as it stands in the lake's `erasures.jsonl`; the person's id only as its SHA-256.

    rows            rows that were deleted, all versions counted
    files           files that were rewritten without them
    erased_at       from then on no snapshot shows the person
    gone_from_disk  the first vacuum after this instant has removed the last file that held the rows
    """

    table: str
    customer_sha256: str
    rows: int
    files: int
    erased_at: datetime
    gone_from_disk: datetime


@dataclass(frozen=True, slots=True)
class _Stored:
    """One file of the table's newest version."""

    path: str
    bytes: int
    written_ms: int


def compact(reopen: Callable[[], DeltaTable], fact: FactTable, folder: Path, target_bytes: int) -> Compaction:
    """Join small files into larger ones, in the order they were written, each file's rows in theirs.

    A file of half the target or more stays as it is. Each larger file is one commit, so a compaction that is killed
    keeps what it has done. Call under the lake's lock.
    """
    before = after = 0
    for group in _groups(_stored(reopen()), target_bytes):
        rows = _rows_of([folder / file.path for file in group], fact)
        _exchange(reopen, fact, folder, {tuple(group): rows}, data_change=False, note="compact")
        before, after = before + len(group), after + 1
    return Compaction(fact.name, before, after)


def erase(reopen: Callable[[], DeltaTable], fact: FactTable, folder: Path, customer_id: str) -> tuple[int, int]:
    """Rewrite every file that holds a row of the customer, without those rows: (rows deleted, files rewritten).

    All files in one commit. Call under the lake's lock and the table's writing lock.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    exchanged: dict[tuple[_Stored, ...], Iterator[pyarrow.Table]] = {}
    deleted = 0
    for file in _stored(reopen()):
        path = folder / file.path
        held = sum(
            pc.sum(pc.equal(batch.column(0), customer_id)).as_py() or 0
            for batch in pq.ParquetFile(path).iter_batches(columns=["customer_id"])
        )
        if held:
            deleted += held
            exchanged[(file,)] = _without(_rows_of([path], fact), customer_id)
    if exchanged:
        _exchange(reopen, fact, folder, exchanged, data_change=True, note="erase")
    return deleted, len(exchanged)


def vacuum(delta: DeltaTable, folder: Path, retention_hours: int) -> list[str]:
    """Delete files that no version has named for so long, and log entries past their time; the files' names.

    Files of killed loads go the same way. Call under the lake's lock. Raises BadInput for a retention that would take
    files from under running loads and reads (below 24 hours) or that the log does not reach back to (above 30 days).
    """
    if not LEAST_RETENTION_HOURS <= retention_hours <= MOST_RETENTION_HOURS:
        raise BadInput(
            f"a vacuum keeps files for {LEAST_RETENTION_HOURS} to {MOST_RETENTION_HOURS} hours, not {retention_hours}."
        )
    before = {path.name for path in folder.glob("*.parquet")}
    delta.vacuum(retention_hours=retention_hours, dry_run=False, enforce_retention_duration=False, full=True)
    # Not what the vacuum answers: that names files which went with an earlier one, too.
    removed = before - {path.name for path in folder.glob("*.parquet")}
    delta.update_incremental()
    delta.create_checkpoint()
    delta.cleanup_metadata()
    return sorted([*removed, *_remove_unfinished_commits(folder, retention_hours)])


def record(root: Path, erasure: Erasure) -> None:
    """Note the erasure in `<root>/erasures.jsonl`, which outlives the tables' own history."""
    line = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in asdict(erasure).items()}
    path = root / "erasures.jsonl"
    with path.open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
    make_durable([path])


def digest(customer_id: str) -> str:
    """The id as it may be kept: whoever has the id finds the entry, the entry does not give the id away."""
    return hashlib.sha256(customer_id.encode()).hexdigest()


# ----------------------------------------------------------------------------------------------------------- inside


def _stored(delta: DeltaTable) -> list[_Stored]:
    """The files of the newest version, oldest first."""
    import pyarrow as pa

    actions = pa.table(delta.get_add_actions())
    files = [
        _Stored(path.as_py(), size.as_py(), written.as_py())
        for path, size, written in zip(
            actions["path"], actions["size_bytes"], actions["modification_time"], strict=True
        )
    ]
    return sorted(files, key=lambda file: (file.written_ms, file.path))


def _groups(files: Sequence[_Stored], target_bytes: int) -> list[list[_Stored]]:
    """Runs of small files, in order, each run at most about the target together; runs of one are left out."""
    groups: list[list[_Stored]] = [[]]
    for file in files:
        if file.bytes >= target_bytes // 2:
            continue
        if groups[-1] and sum(member.bytes for member in groups[-1]) + file.bytes > target_bytes:
            groups.append([])
        groups[-1].append(file)
    return [group for group in groups if len(group) > 1]


def _rows_of(paths: Sequence[Path], fact: FactTable) -> Iterator[pyarrow.Table]:
    """The files' rows in batches, every column of the table there: one that a file lacks is NULL."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = arrow_schema(fact)
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROW_GROUP_ROWS):
                rows = pa.Table.from_batches([batch])
                columns = [
                    rows.column(part.name).cast(part.type)
                    if part.name in rows.column_names
                    else pa.nulls(rows.num_rows, part.type)
                    for part in schema
                ]
                yield pa.Table.from_arrays(columns, schema=schema)


def _without(batches: Iterator[pyarrow.Table], customer_id: str) -> Iterator[pyarrow.Table]:
    import pyarrow.compute as pc

    for rows in batches:
        theirs = pc.fill_null(pc.equal(rows.column("customer_id"), customer_id), False)
        yield rows.filter(pc.invert(theirs))


def _exchange(
    reopen: Callable[[], DeltaTable],
    fact: FactTable,
    folder: Path,
    exchanged: Mapping[tuple[_Stored, ...], Iterator[pyarrow.Table]],
    *,
    data_change: bool,
    note: str,
) -> None:
    """Put the rows in the place of the files, in one commit; Busy if a file is no longer part of the table."""
    import pyarrow.parquet as pq
    from deltalake.exceptions import CommitFailedError
    from deltalake.transaction import CommitProperties, RemoveAction, Transaction

    replaced = {file.path: file for files in exchanged for file in files}
    written = [path for rows in exchanged.values() if (path := _write(folder, fact, rows))]
    make_durable(written)
    adds = [add_action(path, of_footer(pq.read_metadata(path)), data_change=data_change) for path in written]
    ours = secrets.randbelow(2**62) + 1
    refusal: Exception | None = None
    for _ in range(_ATTEMPTS):
        delta = reopen()
        if delta.transaction_version(REWRITE) == ours:
            return
        if not replaced.keys() <= {file.path for file in _stored(delta)}:
            break
        now_ms = int(time.time() * 1000)
        removes = [RemoveAction(file.path, data_change, now_ms, file.bytes, {}) for file in replaced.values()]
        try:
            delta.create_write_transaction(
                [*removes, *adds],
                mode="append",
                schema=delta.schema(),
                commit_properties=CommitProperties(
                    custom_metadata={"tenure.upkeep": note}, app_transactions=[Transaction(REWRITE, ours)]
                ),
            )
            return
        except CommitFailedError as error:
            refusal = error
    for path in written:
        path.unlink(missing_ok=True)
    raise Busy(f"another process rewrote table '{fact.name}' at the same time; try again.") from refusal


def _write(folder: Path, fact: FactTable, batches: Iterator[pyarrow.Table]) -> Path | None:
    """One Parquet file with those rows; None, and no file, when there are none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / new_name()
    rows = 0
    waiting: list[pyarrow.Table] = []
    with pq.ParquetWriter(path, arrow_schema(fact), compression="zstd") as writer:
        for batch in batches:
            waiting.append(batch)
            rows += batch.num_rows
            if sum(part.num_rows for part in waiting) >= ROW_GROUP_ROWS:
                joined = pa.concat_tables(waiting)
                whole = joined.num_rows - joined.num_rows % ROW_GROUP_ROWS
                writer.write_table(joined.slice(0, whole), row_group_size=ROW_GROUP_ROWS)
                waiting = [joined.slice(whole)]
        rest = pa.concat_tables(waiting) if waiting else None
        if rest is not None and rest.num_rows:
            writer.write_table(rest)
    if rows:
        return path
    path.unlink()
    return None


def _remove_unfinished_commits(folder: Path, retention_hours: int) -> list[str]:
    """Delete what killed writers left in the log's folder: commits that never got their name."""
    removed = []
    for path in (folder / "_delta_log").iterdir():
        unfinished = path.name.endswith(".tmp") or "#" in path.name
        if unfinished and path.stat().st_mtime < time.time() - retention_hours * 3600:
            path.unlink(missing_ok=True)
            removed.append(f"_delta_log/{path.name}")
    return removed
