"""Which rows could not be loaded, and why? The quarantine, newest load first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tenure.connect.files.shapes import shape
from tenure.faces.cli.layout import printable, shortened, width, wrapped
from tenure.faces.cli.loads import sentence
from tenure.lake.tables import TABLES, all_columns

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace

KEYS = ("loaded_at", "load_id", "file", "table", "line", "column", "reason", "raw")


def held_back(shop: Workspace, file: str | None = None, meant_for: str | None = None) -> list[dict[str, Any]]:
    """Every row in quarantine (of files of that name, meant for that table): when, file, line, column, reason, raw."""
    if meant_for is not None:
        shape(meant_for)  # UnknownName for a table that nothing is loaded into
    snapshot = shop.lake.snapshot("quarantine")
    if not snapshot.rows:
        return []
    engine = shop.engine("duckdb")
    literal = engine.dialect.literal
    source = engine.source("quarantine", snapshot.files, all_columns(TABLES["quarantine"]), frozenset())
    where = [
        f'"{name}" = {literal(value)}' for name, value in (("file", file), ("table", meant_for)) if value is not None
    ]
    names = ", ".join(f'"{name}"' for name in KEYS)
    sql = f"SELECT {names} FROM ({source}) AS q" + (f" WHERE {' AND '.join(where)}" if where else "")
    rows = engine.table(f'{sql} ORDER BY loaded_at DESC, "file", line, "column"').to_pylist()
    return rows


def counts(shop: Workspace) -> list[tuple[str, str, int]]:
    """How many rows are in quarantine by table and reason, most first."""
    found: dict[tuple[str, str], int] = {}
    for row in held_back(shop):
        found[row["table"], row["reason"]] = found.get((row["table"], row["reason"]), 0) + 1
    return sorted(((*key, rows) for key, rows in found.items()), key=lambda item: (-item[2], item[0], item[1]))


def as_text(rows: Sequence[dict[str, Any]], limit: int, chosen: bool = False) -> str:
    """The first rows for people: where each stood, what is wrong with it, how it read; chosen: some were asked for."""
    if not rows:
        if chosen:
            return "No row of that file or table is in quarantine.\n"
        return "The quarantine is empty: every row that was ever loaded passed.\n"
    lines = []
    for row in rows[:limit]:
        told = f"{row['file']}, line {row['line']} (for {row['table']}): {sentence(row['column'], row['reason'])}"
        lines.append(wrapped(told, indent="    ", first="") + "\n")
        if row["raw"]:
            lines.append("    " + shortened(printable(row["raw"]), width() - 4) + "\n")
    if len(rows) > limit:
        more = f"... and {len(rows) - limit:,} more: --format csv lists them all, whole."
    else:
        more = "--format csv shows the rows whole."
    advice = "Correct them in the file and load it again: rows that are loaded already change nothing."
    return "".join(lines) + "\n" + wrapped(f"{more} {advice}") + "\n"
