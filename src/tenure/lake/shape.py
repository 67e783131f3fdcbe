"""What may a stored file hold? Columns of its table, each in its one type, and a value where one is required."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput, Failed, UnknownName
from tenure.lake.statistics import FileStatistics, of_footer
from tenure.lake.tables import SQL_TYPES, Column, FactTable, all_columns

if TYPE_CHECKING:
    import pyarrow


def arrow_schema(table: FactTable) -> pyarrow.Schema:
    """The table's columns as Arrow types: what a stored file holds."""
    import pyarrow as pa

    types = {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
        "DATE": pa.date32(),
        "DECIMAL(38,12)": pa.decimal128(38, 12),
    }
    return pa.schema([(column.name, types[SQL_TYPES[column.type]]) for column in all_columns(table)])


def shaped_like(table: FactTable, rows: pyarrow.Table) -> pyarrow.Table:
    """The rows with every column of the table, in its order and types; see `Lake.append_arrow`."""
    import pyarrow as pa

    schema = arrow_schema(table)
    if len(set(rows.column_names)) < rows.num_columns:
        raise BadInput(f"the rows for table '{table.name}' name a column twice.")
    for name in rows.column_names:
        if name not in schema.names:
            raise UnknownName.of(f"column of table '{table.name}'", name, schema.names)
    columns: list[Any] = []
    for wanted in schema:
        if wanted.name in rows.column_names:
            columns.append(_as_type(table.name, rows.column(wanted.name), wanted))
        elif wanted.name in ("retracted", "recorded_assumed"):
            columns.append(pa.array([False] * rows.num_rows, pa.bool_()))
        else:
            columns.append(pa.nulls(rows.num_rows, wanted.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _as_type(table: str, values: pyarrow.ChunkedArray, wanted: pyarrow.Field) -> pyarrow.ChunkedArray:
    """The values in the wanted type, if that changes no value: kinds do not mix, and nothing is cut."""
    import pyarrow as pa

    kinds = {
        "text": lambda kind: (
            pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        ),
        "whole number": pa.types.is_integer,
        "number": lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind),
        "true or false": pa.types.is_boolean,
        "instant with a time zone": lambda kind: pa.types.is_timestamp(kind) and kind.tz is not None,
        "date": pa.types.is_date,
        "decimal": lambda kind: pa.types.is_decimal(kind) or pa.types.is_integer(kind),
    }
    kind = next(name for name, holds in kinds.items() if holds(wanted.type))
    found = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if not pa.types.is_null(found) and not kinds[kind](found):
        raise BadInput(f"column '{wanted.name}' of table '{table}' wants {kind}, the rows hold {found}.")
    try:
        return values.cast(wanted.type, safe=True)
    except pa.ArrowInvalid as error:
        raise BadInput(f"column '{wanted.name}' of table '{table}' wants {kind}: {error}.") from error


def checked(table: FactTable, path: Path) -> FileStatistics:
    """The file's statistics, if it holds what a file of the table holds."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(path)
        found = footer.schema.to_arrow_schema()
    except FileNotFoundError as error:
        raise _vanished(path) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(f"{path} cannot be read as a Parquet file: {error}.") from error
    wanted = arrow_schema(table)
    for name in sorted(set(found.names) - set(wanted.names)):
        raise BadInput(f"{path.name} for table '{table.name}' has an unknown column '{name}'.")
    absent = set(wanted.names) - set(found.names)
    for column in all_columns(table):
        if column.required and column.name in absent:
            raise BadInput(f"{path.name} for table '{table.name}' lacks column '{column.name}', which is required.")
    for part in wanted:
        if part.name not in absent and found.field(part.name).type != part.type:
            raise BadInput(
                f"column '{part.name}' of table '{table.name}' wants {part.type}, "
                f"{path.name} holds {found.field(part.name).type}."
            )
    there = of_footer(footer)
    nulls = {**there.nulls, **dict.fromkeys(absent, there.rows)}
    statistics = replace(there, columns=frozenset(wanted.names), nulls=nulls)
    for column in all_columns(table):
        if _must_have_value(column) and statistics.nulls.get(column.name, 0):
            empty = statistics.nulls[column.name]
            raise BadInput(f"{empty} rows for table '{table.name}' lack '{column.name}', which is required.")
    return statistics


def _must_have_value(column: Column) -> bool:
    # A missing hash only loses the last tie between versions; it is the loader's to make.
    return column.required and column.name != "row_hash"


def add_action(path: Path, statistics: FileStatistics, *, data_change: bool = True) -> Any:
    """The entry of the table's log that makes a file part of the table."""
    from deltalake.transaction import AddAction

    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise _vanished(path) from error
    # Not escaped: delta-rs reads an escaped pair of surrogates, any emoji, as another character.
    stats = json.dumps(statistics.as_delta(), ensure_ascii=False)
    return AddAction(path.name, found.st_size, {}, int(found.st_mtime * 1000), data_change, stats)


def _vanished(path: Path) -> Failed:
    return Failed(f"{path} is gone: never written, or vacuumed a day after it was staged; load the facts again.")
