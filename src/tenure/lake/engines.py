"""Who reads the facts? DuckDB on a laptop (default), Spark on a cluster: the same files, the same statements."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tenure.errors import BadInput, Failed, UnknownName
from tenure.lake.portable import DUCKDB, SPARK, THEN, Dialect
from tenure.lake.tables import Column

if TYPE_CHECKING:
    import pyarrow as pa

ENGINES = ("duckdb", "spark")
_SPARK_TYPES = {
    "VARCHAR": "STRING",
    "BIGINT": "BIGINT",
    "DOUBLE": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "DATE": "DATE",
    "DECIMAL(38,12)": "DECIMAL(38,12)",
}


class Engine(Protocol):
    """Reads Parquet files and answers statements as Arrow tables."""

    name: str
    dialect: Dialect

    def source(self, table: str, files: Sequence[str], columns: Sequence[Column], all_null: frozenset[str]) -> str:
        """A select over the files with every column of the schema; columns known to be empty are written as NULL."""
        ...

    def table(self, sql: str) -> pa.Table:
        """The statement's answer."""
        ...

    def batches(self, sql: str, rows: int = 100_000) -> Iterator[pa.RecordBatch]:
        """The statement's answer in portions of about so many rows, for answers as long as the facts themselves."""
        ...

    def lend(self, name: str, table: pa.Table) -> str:
        """Makes a small table of ours readable in statements under `name`, which is returned."""
        ...

    def close(self) -> None:
        """Lets go of memory and files."""
        ...


def _select_list(
    dialect: Dialect, columns: Sequence[Column], all_null: frozenset[str], types: dict[str, str] | None
) -> str:
    parts = []
    for column in columns:
        kind, name = types[column.sql_type] if types else column.sql_type, dialect.quoted(column.name)
        parts.append(f"CAST(NULL AS {kind}) AS {name}" if column.name in all_null else name)
    return ", ".join(parts)


class DuckDB:
    """DuckDB in this process: two cores and a spill folder are enough for tens of millions of rows."""

    name = "duckdb"
    dialect = DUCKDB

    def __init__(self, memory_limit: str | None = None, threads: int | None = None) -> None:
        import duckdb

        self._scratch = tempfile.mkdtemp(prefix="tenure-spill-")
        # Goes when the engine is closed, forgotten or the program ends, whichever comes first.
        self._clean = weakref.finalize(self, shutil.rmtree, self._scratch, True)
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        # Literals, not parameters: DuckDB imports pandas, where it is installed, to look at a parameter.
        self.connection.execute(f"SET temp_directory = {self.dialect.literal(self._scratch)}")
        # Results carry their own ORDER BY; keeping the files' order would only cost memory.
        self.connection.execute("SET preserve_insertion_order = false")
        self.connection.execute("SET enable_progress_bar = false")
        if memory_limit:
            self.connection.execute(f"SET memory_limit = {self.dialect.literal(memory_limit)}")
        if threads:
            self.connection.execute(f"SET threads = {int(threads)}")

    def source(self, table: str, files: Sequence[str], columns: Sequence[Column], all_null: frozenset[str]) -> str:
        """See Engine.source; the select names the files itself, so that `--sql` can be run anywhere."""
        if not files:
            every = frozenset(column.name for column in columns)
            return f"SELECT {_select_list(self.dialect, columns, every, None)} WHERE 1 = 0"
        # A folder's name may hold what DuckDB would take for a pattern.
        plain = str.maketrans({"[": "[[]", "*": "[*]", "?": "[?]"})
        listed = ", ".join(self.dialect.literal(path.translate(plain)) for path in files)
        chosen = _select_list(self.dialect, columns, all_null, None)
        return f"SELECT {chosen} FROM read_parquet([{listed}], union_by_name = true)"

    def table(self, sql: str) -> pa.Table:
        """See Engine.table."""
        import duckdb

        try:
            return self.connection.execute(sql).to_arrow_table()
        except duckdb.OutOfMemoryException as error:
            raise _too_little(error) from error

    def batches(self, sql: str, rows: int = 100_000) -> Iterator[pa.RecordBatch]:
        """See Engine.batches."""
        import duckdb

        try:
            yield from self.connection.cursor().execute(sql).to_arrow_reader(rows)
        except duckdb.OutOfMemoryException as error:
            raise _too_little(error) from error

    def lend(self, name: str, table: pa.Table) -> str:
        """See Engine.lend."""
        self.connection.register(name, table)
        return name

    def close(self) -> None:
        """See Engine.close."""
        self.connection.close()
        self._clean()


def _too_little(error: Exception) -> Failed:
    return Failed(f"the engine ran out of memory: {error}; set a higher memory_limit or use Spark")


class Spark:
    """Apache Spark: the same statements on a cluster, or on this machine to see that they agree."""

    name = "spark"
    dialect = SPARK

    def __init__(self, session: Any = None) -> None:
        try:
            from pyspark.sql import SparkSession
        except ImportError:
            raise BadInput(
                "the engine 'spark' needs the extra `spark`: pip install 'tenure[spark]' and Java 17"
            ) from None
        self.session = session or (
            SparkSession.builder.appName("tenure")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.sql.shuffle.partitions", "8")
            .getOrCreate()
        )
        self.session.conf.set("spark.sql.session.timeZone", "UTC")
        # Guessing further filters from every alias of a long statement takes the planner longer than the work itself.
        self.session.conf.set("spark.sql.constraintPropagation.enabled", "false")

    def source(self, table: str, files: Sequence[str], columns: Sequence[Column], all_null: frozenset[str]) -> str:
        """See Engine.source; the files stand behind a temporary view raw_<table>."""
        if not files:
            every = frozenset(column.name for column in columns)
            return f"SELECT {_select_list(self.dialect, columns, every, _SPARK_TYPES)} WHERE 1 = 0"
        schema = ", ".join(f"{self.dialect.quoted(column.name)} {_SPARK_TYPES[column.sql_type]}" for column in columns)
        self.session.read.schema(schema).parquet(*files).createOrReplaceTempView(f"raw_{table}")
        return f"SELECT {_select_list(self.dialect, columns, all_null, _SPARK_TYPES)} FROM raw_{table}"

    def table(self, sql: str) -> pa.Table:
        """See Engine.table; of a script, the answer of its last statement.

        A table that the script makes is a local checkpoint: computed once, and the planner forgets where it came from.
        (A cached view would carry its whole past into every later plan, which doubles with each step that reads two.)
        """
        *steps, final = sql.split(THEN)
        made = []
        try:
            for step in steps:
                name, query = step.split("CREATE TABLE ", 1)[1].split(" AS\n", 1)
                self.session.sql(query).localCheckpoint().createOrReplaceTempView(name)
                made.append(name)
            return self.session.sql(final).toArrow()
        finally:
            for name in made:
                self.session.catalog.dropTempView(name)

    def batches(self, sql: str, rows: int = 100_000) -> Iterator[pa.RecordBatch]:
        """See Engine.batches; the driver holds the whole answer, as Arrow."""
        yield from self.table(sql).to_batches(rows)

    def lend(self, name: str, table: pa.Table) -> str:
        """See Engine.lend."""
        self.session.createDataFrame(table).createOrReplaceTempView(name)
        return name

    def close(self) -> None:
        """Leaves the session running: starting one takes seconds, and others may share it."""


def open_engine(name: str, *, memory_limit: str | None = None, threads: int | None = None) -> Engine:
    """The engine called `name`.

    Raises UnknownName for any other, BadInput where its extra is not installed.
    """
    if name == "duckdb":
        return DuckDB(memory_limit, threads)
    if name == "spark":
        return Spark()
    raise UnknownName.of("engine", name, ENGINES)
