"""Where do the facts live, and what keeps them whole? A folder with one append-only Delta table per fact table.

    <root>/<table>/*.parquet      the rows, written by the loader or by `append_arrow`
    <root>/<table>/_delta_log/    which files make up which version
    <root>/.locks/                locks between processes (see locks.py)

A file counts from the commit that names it: whoever is killed before leaves nothing visible. Each load is an
application transaction, so it happens once however often it is tried. docs/explanation/lake.md tells why that holds.
"""

from __future__ import annotations

import random
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput, Busy, Damaged, Failed, UnknownName
from tenure.lake import upkeep
from tenure.lake.disk import make_durable
from tenure.lake.locks import held
from tenure.lake.lost_files import retry_lost_file
from tenure.lake.shape import add_action, arrow_schema, checked, shaped_like
from tenure.lake.statistics import combine, new_name
from tenure.lake.tables import TABLES, FactTable, all_columns

if TYPE_CHECKING:
    import pyarrow
    from deltalake import DeltaTable

Compaction = upkeep.Compaction
Erasure = upkeep.Erasure
REPEATED_KEYS = "repeated_keys"
COMMIT_ATTEMPTS = 40
# Statistics of every column (Delta's default is the first 32), and a log that tells removed files from strangers for
# longer than any vacuum waits.
_CONFIGURATION = {
    "delta.dataSkippingNumIndexedCols": "-1",
    "delta.deletedFileRetentionDuration": "interval 30 days",
    "delta.logRetentionDuration": "interval 30 days",
}
_AGEING_HOURS = 12  # a staged file older than this might meet a vacuum, which spares nothing older than 24 hours


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of one table: its files and what is certain of their rows.

    version          -1 while the table does not exist
    files            absolute paths of the Parquet files
    rows             in all files, every version of every key counted
    all_null         columns that hold only NULL, or that no file has; every column when there are no rows
    all_false        true/false columns that hold no TRUE
    minimum, maximum by column, where every file tells them exactly: short text, integers, dates, instants (UTC)
    no_repeated_keys no key occurs in more than one row, so that no version has to be chosen
    """

    table: str
    version: int
    files: tuple[str, ...]
    rows: int
    all_null: frozenset[str]
    all_false: frozenset[str]
    minimum: Mapping[str, Any]
    maximum: Mapping[str, Any]
    no_repeated_keys: bool


class Lake:
    """The facts in one folder, safe for many processes that load, read and compact at once.

    An instance holds no state but the folder's path: make as many as you like, in any thread. Do not fork a process
    that has used one (delta-rs runs threads); start a new one.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()

    # ----------------------------------------------------------------------------------------------------- reading

    def tables(self) -> list[str]:
        """The names of the tables that exist, in the order of the alphabet."""
        return sorted(name for name in TABLES if self._open(name) is not None)

    def snapshot(self, table: str) -> Snapshot:
        """The table's newest version: one consistent look. A table that does not exist yet is empty.

        Raises UnknownName for a table that is none, Damaged where the log cannot be read.
        """
        return retry_lost_file(lambda: self._snapshot(table))

    def _snapshot(self, table: str) -> Snapshot:
        columns = all_columns(_fact_table(table))
        names = [column.name for column in columns]
        booleans = frozenset(column.name for column in columns if column.type == "bool")
        delta = self._open(table)
        if delta is None:
            return Snapshot(table, -1, (), 0, frozenset(names), booleans, {}, {}, True)
        import pyarrow as pa

        actions = pa.table(delta.get_add_actions(flatten=True))
        folder = str(self._folder(table))
        files = tuple(f"{folder}/{path}" for path in actions["path"].to_pylist())
        total = combine(actions, names, booleans, files)
        repeated = delta.transaction_version(REPEATED_KEYS) is not None
        return Snapshot(
            table,
            delta.version(),
            files,
            total.rows,
            total.all_null,
            total.all_false,
            total.minimum,
            total.maximum,
            not repeated,
        )

    def has_load(self, table: str, load_id: str) -> bool:
        """Whether that load was committed to that table."""
        return self._transaction_version(table, _transaction(load_id)) is not None

    # ----------------------------------------------------------------------------------------------------- writing

    def stage(self, table: str) -> Path:
        """A path for a new Parquet file of the table. Nobody sees the file until `commit` names it.

        A file that never is committed costs disk until a vacuum finds it older than its retention.
        """
        folder = self._folder(table)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / new_name()

    def commit(
        self,
        table: str,
        files: Sequence[Path],
        *,
        load_id: str,
        rows: int,
        repeats_keys: bool,
        metadata: Mapping[str, str] | None = None,
    ) -> bool:
        """Make the staged files part of the table, all at once. False if that load was there already.

        In that case the staged files are deleted and nothing changes, so a load may be tried again after any failure.
        The files hold columns of the table in their types, `rows` rows together, and a value wherever a column is
        required; a column that a file lacks is NULL in it. `repeats_keys` says that a key of these rows occurs twice,
        here or with what is stored: a lasting mark. `metadata` goes into the table's history. On an error the staged
        files are left to the caller.

        Raises BadInput for files of another shape, Busy when other writers win again and again.
        """
        paths = [Path(file) for file in files]
        transaction = _transaction(load_id)
        if self.has_load(table, load_id):
            self._discard(table, paths)
            return False
        for path in paths:
            if path.parent.absolute() != self._folder(table):
                raise BadInput(f"{path} is not in the folder of table '{table}'; ask stage() for a path.")
        statistics = [checked(_fact_table(table), path) for path in paths]
        if sum(part.rows for part in statistics) != rows:
            found = sum(part.rows for part in statistics)
            raise BadInput(f"load '{load_id}' of table '{table}' says {rows} rows, its files hold {found}.")
        make_durable(paths)
        with self._safe_from_vacuum(paths):
            actions = [add_action(path, part) for path, part in zip(paths, statistics, strict=True)]
            return self._commit(table, actions, transaction, repeats_keys, {"load": load_id, **(metadata or {})})

    def append_arrow(
        self,
        table: str,
        arrow_table: pyarrow.Table,
        *,
        load_id: str,
        repeats_keys: bool | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bool:
        """Commit the rows of an Arrow table as one load. False if that load was there already.

        Columns that are missing become typed NULLs; `retracted` and `recorded_assumed` become FALSE. Integers and times
        are widened where nothing is lost. `repeats_keys=None` looks for itself: it compares the keys with each other
        and with those stored, under the table's writing lock.

        Raises BadInput for a column that the table has not, a value of another type, or a required column left empty.
        """
        import pyarrow.parquet as pq

        shaped = shaped_like(_fact_table(table), arrow_table)
        if repeats_keys is None:
            if self.has_load(table, load_id):
                return False
            with self.writing(table):
                repeated = self._repeats_keys(table, shaped)
                return self.append_arrow(table, shaped, load_id=load_id, repeats_keys=repeated, metadata=metadata)
        path = self.stage(table)
        try:
            pq.write_table(shaped, path, compression="zstd")
            return self.commit(
                table,
                [path],
                load_id=load_id,
                rows=shaped.num_rows,
                repeats_keys=repeats_keys,
                metadata=metadata,
            )
        except BadInput:
            path.unlink(missing_ok=True)
            raise

    def writing(self, table: str, timeout: float = 600.0) -> AbstractContextManager[None]:
        """The exclusive right to compare with what the table holds and then commit; free again if its holder dies.

        A block, `with lake.writing("customers"):`. Not for plain appends, which need no lock. Raises Busy after
        `timeout` seconds.
        """
        _fact_table(table)
        return held(self._lock(f"writing-{table}"), what=f"loading into table '{table}'", timeout=timeout)

    # ------------------------------------------------------------------------------------------------------ upkeep

    def compact(self, table: str, *, target_bytes: int = upkeep.TARGET_BYTES, timeout: float = 3600.0) -> Compaction:
        """Join the table's small files into larger ones. Loads and reads go on meanwhile.

        Raises Busy if another upkeep of this lake takes longer than `timeout` seconds.
        """
        with self._upkeep(timeout=timeout):
            if self._open(table) is None:
                return Compaction(table, 0, 0)
            return upkeep.compact(
                lambda: self._open_for_writing(table), _fact_table(table), self._folder(table), target_bytes
            )

    def vacuum(self, table: str, *, retention_hours: int = 24, timeout: float = 3600.0) -> list[str]:
        """Delete files that no version has named for `retention_hours`, killed loads' files among them; their names.

        Raises BadInput for a retention below 24 hours or above 30 days, Busy as `compact` does.
        """
        with self._upkeep(timeout=timeout):
            delta = self._open(table)
            return [] if delta is None else upkeep.vacuum(delta, self._folder(table), retention_hours)

    def erase(self, table: str, customer_id: str, *, now: datetime, timeout: float = 3600.0) -> Erasure:
        """Remove every row of the customer: the one rewrite of facts, noted in the lake's `erasures.jsonl`.

        From its return no snapshot shows the rows. The old files follow with the first vacuum 24 hours later, for a
        reader may be at work on them. Deletes, compacts and vacuums; loads into the table wait.

        Raises UnknownName for a table without customer_id, Busy as `compact` does.
        """
        fact = _fact_table(table)
        if "customer_id" not in fact.names:
            raise UnknownName(f"table '{table}' has no column customer_id; nobody can be erased from it by that id.")
        rows = files = 0
        # In this order: a load that holds the writing lock may be waiting for the end of an upkeep.
        with self.writing(table, timeout=timeout), self._upkeep(timeout=timeout):
            if self._open(table) is not None:
                folder = self._folder(table)
                # An append needs no lock, so one may have come in between: look until there is nothing left.
                while True:
                    found = upkeep.erase(lambda: self._open_for_writing(table), fact, folder, customer_id)
                    rows, files = rows + found[0], files + found[1]
                    if not found[0]:
                        break
                upkeep.compact(lambda: self._open_for_writing(table), fact, folder, upkeep.TARGET_BYTES)
                if delta := self._open(table):
                    upkeep.vacuum(delta, folder, upkeep.LEAST_RETENTION_HOURS)
            gone = now + timedelta(hours=upkeep.LEAST_RETENTION_HOURS)
            erasure = Erasure(table, upkeep.digest(customer_id), rows, files, now, gone)
            self.root.mkdir(parents=True, exist_ok=True)
            upkeep.record(self.root, erasure)
        return erasure

    # ------------------------------------------------------------------------------------------------------ inside

    def _folder(self, table: str) -> Path:
        _fact_table(table)
        return self.root / table

    def _lock(self, name: str) -> Path:
        return self.root / ".locks" / f"{name}.lock"

    def _upkeep(self, *, shared: bool = False, timeout: float = 3600.0) -> AbstractContextManager[None]:
        """The one lock of compaction, vacuum and erasure: two compactions at once would double rows."""
        return held(
            self._lock("upkeep"), what="compacting, vacuuming or erasing in this lake", timeout=timeout, shared=shared
        )

    def _open(self, table: str) -> DeltaTable | None:
        """The newest version, or None while the table does not exist."""
        folder = self._folder(table)
        log = folder / "_delta_log"
        if not log.is_dir():
            return None
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        reason = ""
        for _ in range(3):
            try:
                delta = DeltaTable(str(folder))
            except TableNotFoundError as error:
                if all(path.suffix not in (".json", ".parquet") for path in log.iterdir()):
                    return None
                reason = str(error)  # another process created the table this very moment, or part of its log is gone
            except (DeltaError, OSError, ValueError) as error:
                raise Damaged(_damaged(table, str(error))) from error
            else:
                newest = log / f"{delta.version():020}.json"
                if newest.exists() and newest.stat().st_size == 0:
                    raise Damaged(_damaged(table, f"{newest} is empty"))
                return delta
        raise Damaged(_damaged(table, reason))

    def _transaction_version(self, table: str, transaction: str) -> int | None:
        delta = self._open(table)
        return None if delta is None else delta.transaction_version(transaction)

    def _open_for_writing(self, table: str) -> DeltaTable:
        """The newest version, created if need be and grown by the columns it lacks."""
        from deltalake import DeltaTable, Schema
        from deltalake.exceptions import CommitFailedError, DeltaError

        wanted = arrow_schema(_fact_table(table))
        for attempt in range(COMMIT_ATTEMPTS):
            delta = self._open(table)
            try:
                if delta is None:
                    folder = self._folder(table)
                    folder.mkdir(parents=True, exist_ok=True)
                    DeltaTable.create(str(folder), wanted, mode="ignore", configuration=_CONFIGURATION)
                    continue
                stored = {part.name: part.type for part in delta.schema().fields}
                fields = Schema.from_arrow(wanted).fields
                for part in fields:
                    if part.name in stored and stored[part.name] != part.type:
                        raise Damaged(
                            f"column '{part.name}' of table '{table}' is stored as {stored[part.name]}, "
                            f"this Tenure wants {part.type}; load the facts into a new workspace."
                        )
                missing = [part for part in fields if part.name not in stored]
                if not missing:
                    return delta
                delta.alter.add_columns(missing)
            except CommitFailedError:
                _pause(attempt)
            except DeltaError as error:
                # Another process created the table between our look and our attempt.
                if delta is not None or attempt > 3:
                    raise Damaged(_damaged(table, str(error))) from error
                _pause(attempt)
        raise Busy(f"table '{table}' is being changed by too many others at once; try again.")

    def _commit(
        self,
        table: str,
        actions: list[Any],
        transaction: str,
        repeats_keys: bool,
        metadata: Mapping[str, str],
    ) -> bool:
        """One Delta commit, tried again while others get in between; see `commit`."""
        from deltalake.exceptions import CommitFailedError, DeltaError
        from deltalake.transaction import CommitProperties, Transaction

        # The version of the transaction names this very attempt: after a failure that came behind the commit (writing a
        # checkpoint, say) it tells our commit from another process's commit of the same load.
        ours = secrets.randbelow(2**62) + 1
        refusal: Exception | None = None
        for attempt in range(COMMIT_ATTEMPTS):
            delta = self._open_for_writing(table)
            committed = delta.transaction_version(transaction)
            if committed is not None:
                if committed == ours:
                    return True
                self._discard(table, [self._folder(table) / action.path for action in actions])
                return False
            taken = {action.path for action in actions}.intersection(Path(uri).name for uri in delta.file_uris())
            if taken:
                raise BadInput(f"file '{taken.pop()}' belongs to table '{table}' already, by another load.")
            transactions = [Transaction(transaction, ours)]
            if repeats_keys and delta.transaction_version(REPEATED_KEYS) is None:
                transactions.append(Transaction(REPEATED_KEYS, 1))
            try:
                delta.create_write_transaction(
                    actions,
                    mode="append",
                    schema=delta.schema(),
                    commit_properties=CommitProperties(
                        custom_metadata={f"tenure.{key}": value for key, value in metadata.items()},
                        app_transactions=transactions,
                    ),
                )
            except CommitFailedError as error:
                refusal = error
                _pause(attempt)
                continue
            except (DeltaError, OSError) as error:
                if self._transaction_version(table, transaction) != ours:
                    raise Failed(f"load into table '{table}' could not be committed: {error}; try it again.") from error
            self._make_log_durable(table, delta.version())
            return True
        raise Busy(
            f"table '{table}': {COMMIT_ATTEMPTS} attempts to commit were refused, the last with: {refusal}; try again."
        ) from refusal

    def _safe_from_vacuum(self, paths: Sequence[Path]) -> AbstractContextManager[None]:
        """Keeps vacuum out while files that it could take for leftovers are committed; free for young files."""
        from contextlib import nullcontext

        oldest = min((path.stat().st_mtime for path in paths), default=time.time())
        if time.time() - oldest < _AGEING_HOURS * 3600:
            return nullcontext()
        return self._upkeep(shared=True)

    def _make_log_durable(self, table: str, since: int) -> None:
        """See to it that what was committed after version `since` outlives a power cut."""
        log = self._folder(table) / "_delta_log"
        make_durable([path for path in log.glob("*.json") if path.stem.isdigit() and int(path.stem) > since])

    def _discard(self, table: str, paths: Sequence[Path]) -> None:
        """Delete staged files of a load that is there already, but never a file the table lives on."""
        delta = self._open(table)
        live = {Path(uri).name for uri in delta.file_uris()} if delta is not None else set()
        for path in paths:
            if path.name not in live:
                path.unlink(missing_ok=True)

    def _repeats_keys(self, table: str, rows: pyarrow.Table) -> bool:
        """Whether a key occurs twice among the rows or both there and in the table. Call under `writing`."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        key = list(_fact_table(table).key)
        seen = rows.select(key)
        if seen.group_by(key).aggregate([([], "count_all")]).num_rows < rows.num_rows:
            return True
        snapshot = self.snapshot(table)
        if not snapshot.no_repeated_keys:
            return True
        first = seen.column(key[0]).combine_chunks()
        for file in snapshot.files:
            for batch in pq.ParquetFile(file).iter_batches(columns=key):
                stored = pa.Table.from_batches([batch]).select(key)
                stored = stored.filter(pc.is_in(stored.column(key[0]), first))
                both = pa.concat_tables([seen, stored.cast(seen.schema).group_by(key).aggregate([])])
                if both.group_by(key).aggregate([([], "count_all")]).num_rows < both.num_rows:
                    return True
        return False


# ------------------------------------------------------------------------------------------------------ small print


def _fact_table(name: str) -> FactTable:
    if name not in TABLES:
        raise UnknownName.of("table", name, TABLES)
    return TABLES[name]


def _transaction(load_id: str) -> str:
    if not load_id:
        raise BadInput("a load needs an id that is not empty.")
    return f"load:{load_id}"


def _damaged(table: str, reason: str) -> str:
    first = re.split(r"\n|\s+0: <unknown>", reason.strip())[0]
    return (
        f"the log of table '{table}' cannot be read: {first}. "
        "Restore the table's folder from a backup, or load the facts into a new workspace."
    )


def _pause(attempt: int) -> None:
    """A short wait that spreads rivals apart: up to 5 ms at first, at most 200 ms."""
    time.sleep(random.uniform(0, min(0.2, 0.005 * 2**attempt)))


__all__ = ["Compaction", "Erasure", "Lake", "Snapshot", "arrow_schema"]
