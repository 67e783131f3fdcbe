"""What of this is new? Rows against each other and against what the lake holds.

known     said before: the same content as the latest version of its key (or, where the row tells when it was
          recorded, the same row with the same recorded_at and version)
clash     two different rows of one key, recorded at the same time, with nothing to order them
overlap   a span that covers a time which another span of the same item covers
later     a new version of a key the lake knows, which does not tell when it was recorded: recorded now
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.connect.files.checking import row_hash
from tenure.lake.portable import micros, text
from tenure.lake.tables import FactTable, all_columns

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tenure.lake.store import Lake

_FOREVER = 2**63 - 1  # microseconds
_CHUNK = 30_000_000  # rows whose key hashes (8 bytes each) are held in memory at once
CLASH = "clash"
OVERLAP = "overlap"
OVERLAP_LOADED = "overlap_loaded"
REASONS = {
    CLASH: "clashes with another row of the same key; give them a recorded_at or a version, or keep one",
    OVERLAP: "overlaps another span of the same item in this file",
    OVERLAP_LOADED: "overlaps a span of the same item that is loaded already",
}


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the comparison found; the temp table `verdicts` (rid, verdict) names the rows that are not simply new."""

    any: bool
    refused: int
    repeats_keys: bool


def compare(con: DuckDBPyConnection, lake: Lake, table: FactTable, staged: Path) -> Verdicts:
    """Compare the staged rows with each other and with the lake. Call under the table's writing lock."""
    con.execute("CREATE OR REPLACE TEMP TABLE verdicts (rid BIGINT, verdict VARCHAR)")
    rows = stored(table, text(str(staged)), numbered=True)
    key = [f'"{name}"' for name in table.key]
    told = "NOT recorded_assumed AND recorded_at <> loaded_at"
    several = _Several.of(con, rows) if table.name == "subscription_spans" else None
    repeated = (several is None or several.same_start()) and _repeated(con, staged, key)
    if repeated:
        _among_themselves(con, rows, key, told)
    snapshot = lake.snapshot(table.name)
    met = False
    if snapshot.rows:
        files = "[" + ", ".join(text(file) for file in snapshot.files) + "]"
        met = _with_the_lake(con, table, rows, files, key, told)
    if table.name == "subscription_spans" and (
        snapshot.rows or ((several is None or several.overlap()) and _repeated(con, staged, key[:2]))
    ):
        lake_rows = stored(table, files) if snapshot.rows else ""
        _overlaps(con, table, rows, lake_rows, told)
    found = con.execute("SELECT verdict, count(*) FROM verdicts GROUP BY 1").fetchall()
    counts = dict(found)
    refused = sum(counts.get(kind, 0) for kind in REASONS)
    repeats = False
    if met or repeated:
        fresh = (
            f"(SELECT * FROM {rows} WHERE file_row_number NOT IN (SELECT rid FROM verdicts WHERE verdict <> 'later'))"
        )
        if met:
            repeats = _one(con, f"SELECT count(*) FROM {fresh} f SEMI JOIN met m ON {_same(table, 'f', 'm')}") > 0
        if repeated and not repeats:
            groups = f"SELECT 1 FROM {fresh} GROUP BY {', '.join(key)} HAVING count(*) > 1 LIMIT 1"
            repeats = con.execute(groups).fetchone() is not None
    return Verdicts(bool(counts), refused, repeats)


def stored(table: FactTable, files: str, *, numbered: bool = False) -> str:
    """Rows of files of a table as a relation with every column: one that no file has is NULL."""
    numbers = ", file_row_number=true" if numbered else ""
    nothing = ", ".join(f'NULL::{column.sql_type} AS "{column.name}"' for column in all_columns(table))
    return (
        f"((FROM read_parquet({files}, union_by_name=true{numbers})) UNION ALL BY NAME (SELECT {nothing} WHERE false))"
    )


def _one(con: DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _same(table: FactTable, a: str, b: str) -> str:
    """The condition that two rows share their key; a trait's effective_at may be NULL."""
    nullable = {column.name for column in table.columns if not column.required}
    return " AND ".join(
        f'{a}."{name}" {"IS NOT DISTINCT FROM" if name in nullable else "="} {b}."{name}"' for name in table.key
    )


def _repeated(con: DuckDBPyConnection, staged: Path, columns: list[str]) -> bool:
    """Whether any two rows agree in these columns, going by 64-bit hashes; the temp table `repeated` holds those.

    Sorting numbers in NumPy takes a tenth of the time and a fixed memory; what shares a hash by chance is told apart by
    whoever looks at the rows.
    """
    import numpy as np

    rows = f"read_parquet({text(str(staged))})"
    total = _one(con, f"SELECT count(*) FROM {rows}")
    pieces = max(1, -(-total // _CHUNK))
    found: list[Any] = []
    value = f"hash({', '.join(columns)})"
    for piece in range(pieces):
        where = f" WHERE {value} % {pieces} = {piece}" if pieces > 1 else ""
        found.append(_twice(con.execute(f"SELECT {value} AS h FROM {rows}{where}").fetchnumpy()["h"]))
    return _keep_repeated(con, np.concatenate(found))


def _twice(hashes: Any) -> Any:
    """The numbers that occur more than once."""
    import numpy as np

    ordered = np.sort(np.asarray(hashes))
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    return again[np.append(True, again[1:] != again[:-1])] if len(again) else again


def _keep_repeated(con: DuckDBPyConnection, again: Any) -> bool:
    import pyarrow as pa

    if not len(again):
        return False
    con.register("again", pa.table({"h": pa.array(again, pa.uint64())}))
    con.execute("CREATE OR REPLACE TEMP TABLE repeated AS SELECT h FROM again")
    con.unregister("again")
    return True


@dataclass(frozen=True, slots=True)
class _Several:
    """The spans of items that (going by their hashes) occur more than once, by item and start."""

    items: Any
    starts: Any
    ends: Any

    @classmethod
    def of(cls, con: DuckDBPyConnection, rows: str) -> _Several | None:
        """Pick them out by the first 26 bits; the few others that come along are alone and do no harm.

        None where there are more spans than memory is meant for.
        """
        import numpy as np

        if _one(con, f"SELECT count(*) FROM {rows}") > _CHUNK:
            return None
        seen = con.execute(
            "SELECT hash(subscription_id, item_id) AS items, epoch_us(started_at) AS starts, "
            f"coalesce(epoch_us(ended_at), {_FOREVER}) AS ends FROM {rows}"
        ).fetchnumpy()
        again = _twice(seen["items"])
        if not len(again):
            return cls(again, again, again)
        marks = np.zeros(1 << 26, bool)
        marks[again >> np.uint64(38)] = True
        near = np.flatnonzero(marks[seen["items"] >> np.uint64(38)])
        order = near[np.argsort(seen["items"][near], kind="stable")]
        items, starts = seen["items"][order], seen["starts"][order]
        if ((items[1:] == items[:-1]) & (starts[1:] < starts[:-1])).any():  # the file was not in the order of time
            order = order[np.lexsort((starts, items))]
        return cls(seen["items"][order], seen["starts"][order], seen["ends"][order])

    def same_start(self) -> bool:
        """Whether two spans of an item begin at once: they share their key."""
        return bool(((self.items[1:] == self.items[:-1]) & (self.starts[1:] == self.starts[:-1])).any())

    def overlap(self) -> bool:
        """Whether two spans of an item overlap: in the order of their starts, such a span overlaps the next one."""
        spans = self.ends > self.starts
        items, starts, ends = self.items[spans], self.starts[spans], self.ends[spans]
        return bool(((items[1:] == items[:-1]) & (ends[:-1] > starts[1:])).any())


def _among_themselves(con: DuckDBPyConnection, rows: str, key: list[str], told: str) -> None:
    """Rows of this file with one key: the same said twice is known, different things said at once clash."""
    keys = ", ".join(key)
    con.execute(
        f"""
INSERT INTO verdicts
WITH candidates AS (
    SELECT file_row_number AS rid, {keys}, row_hash, retracted, version,
           CASE WHEN {told} THEN recorded_at END AS told_at
    FROM {rows} WHERE hash({keys}) IN (SELECT h FROM repeated)
), judged AS (
    SELECT rid,
           row_number() OVER (PARTITION BY {keys}, told_at, version, row_hash, retracted ORDER BY rid) AS nth,
           min(row_hash) OVER same <> max(row_hash) OVER same
           OR min(retracted::INTEGER) OVER same <> max(retracted::INTEGER) OVER same AS clash
    FROM candidates WINDOW same AS (PARTITION BY {keys}, told_at, version)
)
SELECT rid, CASE WHEN clash THEN '{CLASH}' ELSE 'known' END FROM judged WHERE clash OR nth > 1
"""
    )


def _with_the_lake(con: DuckDBPyConnection, table: FactTable, rows: str, files: str, key: list[str], told: str) -> bool:
    """Rows whose key the lake holds: known, or a later version. False if the lake holds none of the keys."""
    keys = ", ".join(key)
    own_hash = row_hash(table)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE met AS SELECT {keys}, coalesce(row_hash, {own_hash}) AS row_hash, retracted, "
        f"recorded_at, version FROM {stored(table, files)} l "
        f"SEMI JOIN {rows} s ON {_same(table, 'l', 's')}"
    )
    if not _one(con, "SELECT count(*) FROM met"):
        return False
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE in_force AS SELECT * FROM met QUALIFY row_number() OVER (PARTITION BY {keys} "
        "ORDER BY recorded_at DESC, coalesce(version, -9223372036854775807) DESC, row_hash DESC) = 1"
    )
    content = "m.row_hash = s.row_hash AND m.retracted = s.retracted"
    con.execute(
        f"""
INSERT INTO verdicts
WITH candidates AS (
    SELECT file_row_number AS rid, {keys}, row_hash, retracted, version, recorded_at, {told} AS is_told FROM {rows}
    WHERE file_row_number NOT IN (SELECT rid FROM verdicts)
), judged AS (
    SELECT s.rid, s.is_told,
           EXISTS (FROM in_force m WHERE {_same(table, "m", "s")} AND {content}) AS is_latest,
           EXISTS (FROM met m WHERE {_same(table, "m", "s")} AND {content} AND m.version = s.version) AS is_version,
           EXISTS (FROM met m WHERE {_same(table, "m", "s")} AND {content} AND m.recorded_at = s.recorded_at
                   AND m.version IS NOT DISTINCT FROM s.version) AS is_same,
           EXISTS (FROM met m WHERE {_same(table, "m", "s")}) AS is_met
    FROM candidates s
)
SELECT rid, CASE WHEN is_told THEN 'known' WHEN is_latest OR is_version THEN 'known' ELSE 'later' END
FROM judged WHERE is_met AND (is_same OR NOT is_told)
"""
    )
    return True


def _overlaps(con: DuckDBPyConnection, table: FactTable, rows: str, lake_rows: str, told: str) -> None:
    """Spans of one item that cover the same time.

    Only rows that do not tell when they were recorded are held against the lake, and rows that do only against
    those recorded at the same time: else the order in which files are loaded would decide what is loaded.
    """
    order = "recorded_at DESC, coalesce(version, -9223372036854775807) DESC, row_hash DESC"
    if lake_rows:
        con.execute(
            "CREATE OR REPLACE TEMP TABLE loaded AS SELECT subscription_id, item_id, started_at, ended_at, "
            f"recorded_at, version, coalesce(row_hash, {row_hash(table)}) AS row_hash, retracted FROM {lake_rows} l SEMI JOIN "
            f"(SELECT subscription_id, item_id FROM {rows} WHERE NOT ({told})) s USING (subscription_id, item_id)"
        )
    else:
        con.execute(
            "CREATE OR REPLACE TEMP TABLE loaded AS SELECT NULL::VARCHAR AS subscription_id, NULL::VARCHAR AS item_id, "
            "NULL::TIMESTAMPTZ AS started_at, NULL::TIMESTAMPTZ AS ended_at, NULL::TIMESTAMPTZ AS recorded_at, "
            "NULL::BIGINT AS version, NULL::BIGINT AS row_hash, false AS retracted WHERE false"
        )
    few = "" if lake_rows else "AND hash(subscription_id, item_id) IN (SELECT h FROM repeated)"
    con.execute(
        f"""
INSERT INTO verdicts
WITH fresh AS (
    SELECT file_row_number AS rid, subscription_id, item_id, started_at, coalesce(ended_at, 'infinity') AS ended_at,
           retracted, CASE WHEN {told} THEN recorded_at END AS told_at
    FROM {rows} WHERE file_row_number NOT IN (SELECT rid FROM verdicts WHERE verdict <> 'later') {few}
    QUALIFY row_number() OVER (PARTITION BY subscription_id, item_id, started_at, told_at ORDER BY {order}) = 1
), beside AS (
    SELECT NULL AS rid, subscription_id, item_id, started_at, coalesce(ended_at, 'infinity') AS ended_at, retracted,
           NULL AS told_at
    FROM loaded l ANTI JOIN (FROM fresh WHERE told_at IS NULL) f USING (subscription_id, item_id, started_at)
    QUALIFY row_number() OVER (PARTITION BY subscription_id, item_id, started_at ORDER BY {order}) = 1
), every AS (
    FROM (FROM fresh UNION ALL FROM beside) WHERE NOT retracted AND ended_at > started_at
), neighbours AS (
    SELECT rid, started_at, ended_at,
           max(ended_at) FILTER (rid IS NOT NULL) OVER earlier AS own_before,
           min(started_at) FILTER (rid IS NOT NULL) OVER afterwards AS own_after,
           max(ended_at) FILTER (rid IS NULL) OVER earlier AS lake_before,
           min(started_at) FILTER (rid IS NULL) OVER afterwards AS lake_after
    FROM every
    WINDOW earlier AS (PARTITION BY subscription_id, item_id, told_at ORDER BY started_at, rid
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
           afterwards AS (PARTITION BY subscription_id, item_id, told_at ORDER BY started_at, rid
                       ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
)
SELECT rid, CASE WHEN own_before > started_at OR own_after < ended_at THEN '{OVERLAP}' ELSE '{OVERLAP_LOADED}' END
FROM neighbours WHERE rid IS NOT NULL
AND (own_before > started_at OR own_after < ended_at OR lake_before > started_at OR lake_after < ended_at)
"""
    )
    # A row that is refused is not also a later version.
    con.execute(
        f"DELETE FROM verdicts WHERE verdict = 'later' AND rid IN (SELECT rid FROM verdicts WHERE verdict IN "
        f"('{OVERLAP}', '{OVERLAP_LOADED}'))"
    )


def write_fresh(
    con: DuckDBPyConnection, table: FactTable, staged: Path, target: Path, columns: list[str], now: datetime
) -> int:
    """The staged rows that are to be loaded, as a file of the table; later versions are recorded now. How many."""
    instant = f"make_timestamptz({micros(now)})"
    shown = []
    for name in columns:
        if name == "recorded_at":
            shown.append(f"CASE WHEN v.verdict = 'later' THEN {instant} ELSE recorded_at END AS recorded_at")
        elif name == "recorded_assumed":
            shown.append("recorded_assumed AND v.verdict IS NULL AS recorded_assumed")
        else:
            shown.append(f's."{name}"')
    rows = stored(table, text(str(staged)), numbered=True)
    query = (
        f"SELECT {', '.join(shown)} FROM {rows} s LEFT JOIN verdicts v ON v.rid = s.file_row_number "
        "WHERE v.verdict IS NULL OR v.verdict = 'later'"
    )
    return _one(con, f"COPY ({query}) TO {text(str(target))} (FORMAT parquet, COMPRESSION snappy)")
