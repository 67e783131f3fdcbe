"""A workshop for the loader's tests: a lake in a temporary folder, files written by hand, rows read back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tenure.connect.files import LoadReport, load
from tenure.lake.engines import DuckDB
from tenure.lake.store import Lake
from tenure.lake.tables import TABLES, all_columns

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


class Shop:
    """One lake and the files that are loaded into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = Lake(folder / "lake")
        self._files = 0

    def file(self, content: str | bytes, name: str = "") -> Path:
        """A new file with that content; lines may be indented."""
        self._files += 1
        path = self.folder / (name or f"file{self._files}.csv")
        if isinstance(content, str):
            content = "\n".join(line.strip() for line in content.strip().splitlines()).encode() + b"\n"
        path.write_bytes(content)
        return path

    def load(self, table: str, content: str | bytes | Path, name: str = "", **options: Any) -> LoadReport:
        """Load a file (or content, written to one), and check that the summary adds up."""
        path = content if isinstance(content, Path) else self.file(content, name)
        report = load(self.lake, table, path, **{"now": NOW, **options})
        assert report.rows == report.loaded + report.known + report.quarantined, report
        assert report.quarantined == sum(reason.rows for reason in report.reasons)
        return report

    def rows(self, table: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Columns of the stored rows, every version, ordered by these columns."""
        snapshot = self.lake.snapshot(table)
        if not snapshot.rows:
            return []
        engine = DuckDB()
        every = engine.source(table, snapshot.files, all_columns(TABLES[table]), snapshot.all_null)
        try:
            found = engine.connection.execute(f"SELECT {columns} FROM ({every}) AS t WHERE {where} ORDER BY ALL")
            return list(found.fetchall())
        finally:
            engine.close()

    def count(self, table: str) -> int:
        """How many rows are stored."""
        return self.lake.snapshot(table).rows

    def reasons(self, report: LoadReport) -> dict[int, tuple[str, str]]:
        """What the quarantine says of each line: (column, reason)."""
        found = self.rows("quarantine", 'line, "column", reason', f"file LIKE '%{Path(report.file).name}'")
        assert len(found) == report.quarantined
        return {line: (column, reason) for line, column, reason in found}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty shop."""
    return Shop(tmp_path)


def at(text: str) -> datetime:
    """An instant: at("2026-01-31 17:30")."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
