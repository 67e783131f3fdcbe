"""The same rows for people, spreadsheets and programs: --format table, csv or json."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tenure.faces.cli.ending import Unread


class Format(StrEnum):
    """How data is printed."""

    table = "table"
    csv = "csv"
    json = "json"


def put(text: str) -> None:
    """Writes text to stdout, with a newline at its end."""
    try:
        sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
    except BrokenPipeError:
        raise Unread from None


def plain(value: Any) -> Any:
    """A value as JSON has it: money and other decimals as text, instants and days in ISO 8601."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as a JSON list of objects, one object a line."""
    lines = [
        json.dumps({name: _tree(value) for name, value in row.items()}, ensure_ascii=False, allow_nan=False)
        for row in rows
    ]
    return "[" + ",\n ".join(lines) + "]\n"


def _tree(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _tree(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(inner) for inner in value]
    if isinstance(value, str):
        # A name that is no UTF-8 (of a file, say) is shown escaped, for JSON has no place for it.
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return plain(value)


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as CSV with a header; text that a spreadsheet would run is defused, NULL is an empty cell."""
    from tenure.connect.files import safe_cell

    def cell(value: Any) -> str:
        value = plain(value)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return safe_cell(value)
        if isinstance(value, Mapping | list | tuple):
            return json.dumps(_tree(value), ensure_ascii=False)
        return str(value)

    lines = [[safe_cell(name) for name in columns]]
    lines += [[cell(row.get(name)) for name in columns] for row in rows]
    return "".join(",".join(map(_quoted, line)) + "\n" for line in lines)


def _quoted(cell: str) -> str:
    """A cell as RFC 4180 has it; Python's csv leaves a lone carriage return bare, and the row in two."""
    return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in ',"\r\n') else cell


def flattened(
    keys: Sequence[str], rows: Iterable[Mapping[str, Any]], by: Sequence[str]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows for CSV: JSON's, with `segment.NAME` for every part of the segment in place of `segment`."""
    parts = [f"segment.{name}" for name in by] or ["segment"]
    columns = [column for key in keys for column in (parts if key == "segment" else [key])]
    flat = []
    for row in rows:
        inner = {f"segment.{name}": value for name, value in (row["segment"] or {}).items()}
        flat.append({**{name: value for name, value in row.items() if name != "segment"}, **inner})
    return columns, flat
