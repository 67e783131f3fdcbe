"""What became of a file? Every row is loaded, known already or held back, and the three add up."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """Why rows were held back: what is wrong, in which column, how many rows, the first line and what stood there."""

    reason: str
    column: str
    rows: int
    first_line: int
    example: str


@dataclass(frozen=True, slots=True)
class LoadReport:
    """One file's summary: rows = loaded + known + quarantined.

    `notes` are remarks for people: columns that became traits, defaults that were taken, what to look at.
    """

    file: str
    table: str
    rows: int
    loaded: int
    known: int
    quarantined: int
    reasons: list[Reason] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The summary as the command line promises it."""
        return {
            "file": self.file,
            "table": self.table,
            "rows": self.rows,
            "loaded": self.loaded,
            "known": self.known,
            "quarantined": self.quarantined,
            "reasons": [asdict(reason) for reason in self.reasons],
        }
