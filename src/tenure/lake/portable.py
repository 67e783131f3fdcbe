"""The few expressions on which the engines differ, each in one place with a parity test.

Statements are written once, in the SQL that DuckDB and Spark share. Inside a statement an instant is a BIGINT of
microseconds since 1970 (UTC) and a day the BIGINT number of days since 1970 in the company's zone: integers mean the
same everywhere, time zone functions do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tenure.kernel.time import offsets

DAY_US = 86_400_000_000
# Between the statements of a script; a text literal cannot hold it, because a ' is escaped there.
THEN = "\n;\n-- then: ';'\n"
_WORD = re.compile(r"[a-z_][a-z0-9_]*")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(at: datetime) -> int:
    """An instant as microseconds since 1970."""
    return (at - EPOCH) // timedelta(microseconds=1)


def from_micros(us: int) -> datetime:
    """Microseconds since 1970 as an instant."""
    return EPOCH + timedelta(microseconds=us)


def day_number(day: date) -> int:
    """A day as the number of days since 1970."""
    return day.toordinal() - 719163


def from_day_number(number: int) -> date:
    """The day with that number."""
    return date.fromordinal(number + 719163)


def text(value: str) -> str:
    """A text literal of standard SQL; Spark's differ, see Dialect.literal."""
    return "'" + value.replace("'", "''") + "'"


def name(column: str) -> str:
    """A column name as it is where it is plain; other names never reach a statement."""
    if not column.replace("_", "").isalnum() or not column.isascii():
        raise ValueError(f"not a plain column name: {column!r}")
    return column


@dataclass(frozen=True, slots=True)
class Key:
    """What brings rows with equal texts together: columns that a step adds, and the list to partition or group by."""

    columns: tuple[str, ...]
    select: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one engine writes what the other writes differently."""

    engine: str

    @property
    def spark(self) -> bool:
        """Whether this is Spark."""
        return self.engine == "spark"

    @property
    def text(self) -> str:
        """The type of a text column."""
        return "STRING" if self.spark else "VARCHAR"

    def literal(self, value: str) -> str:
        """A text literal."""
        if self.spark:
            escaped = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"'{escaped}'"
        return text(value)

    def quoted(self, column: str) -> str:
        """A column's name that may be a reserved word, such as `table`."""
        return f"`{column}`" if self.spark else f'"{column}"'

    def micros(self, column: str) -> str:
        """A timestamp column as microseconds since 1970."""
        return f"unix_micros({column})" if self.spark else f"epoch_us({column})"

    def day_of_date(self, column: str) -> str:
        """A date column as a day number."""
        return f"CAST(unix_date({column}) AS BIGINT)" if self.spark else f"CAST({column} - DATE '1970-01-01' AS BIGINT)"

    def div(self, a: str, b: str) -> str:
        """Integer division of non-negative BIGINTs, cut."""
        return f"(({a}) div ({b}))" if self.spark else f"(({a}) // ({b}))"

    def muldiv(self, a: str, b: str, c: str) -> str:
        """a * b / c of non-negative BIGINTs, cut, without overflow in between."""
        if self.spark:
            return f"(CAST({a} AS DECIMAL(19,0)) * CAST({b} AS DECIMAL(19,0)) div CAST({c} AS DECIMAL(19,0)))"
        return f"CAST((CAST({a} AS HUGEINT) * ({b})) // ({c}) AS BIGINT)"

    def add_months(self, us: str, months: int) -> str:
        """Microseconds moved by calendar months in UTC, clipped to the month's last day."""
        if self.spark:
            return f"unix_micros(timestamp_micros({us}) + make_interval(0, {months}))"
        return f"epoch_us(make_timestamp({us}) + INTERVAL {months} MONTH)"

    def completed_months(self, start: str, end: str) -> str:
        """How many whole calendar months lie between two day numbers; a shorter one is whole at its end."""
        a, b = self.date_of(start), self.date_of(end)
        whole = f"(year({b}) * 12 + month({b}) - year({a}) * 12 - month({a}))"
        short = f"(day({b}) < day({a}) AND {b} <> last_day({b}))"
        return f"CAST({whole} - CASE WHEN {short} THEN 1 ELSE 0 END AS BIGINT)"

    def months_after(self, day: str, months: str) -> str:
        """The day number so many calendar months after a day number, clipped to the month's last day."""
        if self.spark:
            return self.day_of_date(f"add_months({self.date_of(day)}, CAST({months} AS INT))")
        return self.day_of_date(f"CAST({self.date_of(day)} + to_months(CAST({months} AS INT)) AS DATE)")

    def date_of(self, day: str) -> str:
        """A day number as a DATE."""
        if self.spark:
            return f"date_from_unix_date(CAST({day} AS INT))"
        return f"(DATE '1970-01-01' + CAST({day} AS INT))"

    def local_day(self, us: str, tz: ZoneInfo, since: datetime, until: datetime) -> str:
        """The day number, in the zone, of an instant between `since` and `until`.

        The zone's rules become a CASE over its clock changes in that stretch; a zone without changes is one addition.
        """
        found = offsets(tz, since, until)
        shift = str(found[-1][1] // timedelta(microseconds=1))
        if len(found) > 1:
            cases = [
                f"WHEN {us} < {micros(change)} THEN {found[i][1] // timedelta(microseconds=1)}"
                for i, (change, _) in enumerate(found[1:])
                if change is not None
            ]
            shift = f"CASE {' '.join(cases)} ELSE {shift} END"
        local = us if shift == "0" else f"{us} + {shift}"
        # Instants before 1970 are negative; moving by whole days keeps the cut division a floor.
        far = 800_000
        return f"({self.div(f'{local} + {far * DAY_US}', str(DAY_US))} - {far})"

    def total(self, expression: str) -> str:
        """The exact sum of BIGINTs: DuckDB widens by itself, Spark must be told."""
        if self.spark:
            return f"CAST(sum(CAST({expression} AS DECIMAL(38,0))) AS DECIMAL(38,0))"
        return f"CAST(sum({expression}) AS DECIMAL(38,0))"

    def explode(self, elements: Sequence[str]) -> str:
        """One row per distinct non-NULL element (Spark keeps NULL: filter it afterwards)."""
        inner = ", ".join(elements)
        return f"explode(array_distinct(array({inner})))" if self.spark else f"unnest(list_distinct([{inner}]))"

    def numbers(self, first: str, after: str) -> str:
        """One row per integer in [first, after), which must not be empty."""
        return f"explode(sequence({first}, {after} - 1))" if self.spark else f"unnest(range({first}, {after}))"

    def key(self, name: str, columns: Sequence[str]) -> Key:
        """A short key instead of texts: sorting by long texts takes DuckDB three times as long as sorting by numbers.

        96 bits of two hashes, that of the texts and that of the texts moved by one letter, so that one does not follow
        from the other. Of ten million keys two are the same with a chance of 10^-15: never, in other words.
        """
        if self.spark:
            return Key((), (), ", ".join(columns))
        moved = ", ".join(f"'-' || {column}" for column in columns)
        select = (
            f"hash({', '.join(columns)}) AS {name}_key",
            f"CAST(hash({moved}) >> 32 AS UINTEGER) AS {name}_check",
        )
        names = (f"{name}_key", f"{name}_check")
        return Key(names, select, ", ".join(names))

    def values(self, rows: Sequence[Sequence[str]], columns: Sequence[str]) -> str:
        """A small relation written out; no row makes an empty relation only with `typed_empty`."""
        body = ", ".join("(" + ", ".join(row) + ")" for row in rows)
        return f"SELECT * FROM (VALUES {body}) AS v({', '.join(columns)})"

    def once(self) -> str:
        """How a CTE that is read several times is kept (Spark decides by itself)."""
        return "" if self.spark else "MATERIALIZED "

    def inline(self) -> str:
        """How a CTE that is read once is kept out of memory."""
        return "" if self.spark else "NOT MATERIALIZED "

    def next_known(self, column: str, window: str) -> str:
        """The first non-NULL value of a column in the rows after this one, in an ordered window that has a name."""
        return (
            f"lead({column}) IGNORE NULLS OVER {window}" if self.spark else f"lead({column} IGNORE NULLS) OVER {window}"
        )

    def last_known(self, column: str, window: str) -> str:
        """The last non-NULL value of a column up to and with this row, in an ordered window that has a name."""
        if self.spark:
            return f"last_value({column}) IGNORE NULLS OVER {window}"
        return f"last_value({column} IGNORE NULLS) OVER {window}"

    def last_before(self, expression: str, partition: str, order: str) -> str:
        """The last non-NULL value in the rows before this one."""
        frame = "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
        ignore = f"last_value({expression}) IGNORE NULLS" if self.spark else f"last_value({expression} IGNORE NULLS)"
        return f"{ignore} OVER (PARTITION BY {partition} ORDER BY {order} {frame})"


DUCKDB = Dialect("duckdb")
SPARK = Dialect("spark")


class Statement:
    """A statement as named steps (CTEs), each written once, in the order in which they were first needed."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._steps: dict[str, tuple[str, str, str]] = {}
        self._kept: set[str] = set()

    def __contains__(self, step: str) -> bool:
        return step in self._steps

    def step(self, step: str, sql: str, *, keep: bool = False, says: str = "") -> str:
        """Adds a step and returns its name; `keep` holds its rows because several steps read it."""
        if step in self._steps and self._steps[step][0] != sql:
            raise ValueError(f"two different steps are called {step}")
        self._steps[step] = (sql, self.dialect.once() if keep else self.dialect.inline(), says)
        if keep:
            self._kept.add(step)
        return step

    def text(self, step: str) -> str:
        """The text of a step that is already there."""
        return self._steps[step][0]

    def render(self, final: str) -> str:
        """The whole statement, ending in the select `final`.

        Spark computes a CTE anew for every step that reads it, so there a kept step becomes a table of its own: a
        script of statements separated by THEN, which the engine runs one after the other.
        """
        if self.dialect.spark:
            return self._script(final)
        return self._with(self._steps, final)

    def _with(self, steps: Iterable[str], final: str) -> str:
        parts = []
        for step in steps:
            sql, mode, says = self._steps[step]
            comment = f"-- {says}\n" if says else ""
            parts.append(f"{comment}{step} AS {mode}(\n{sql.strip()}\n)")
        return "WITH " + ",\n".join(parts) + "\n" + final.strip() if parts else final

    def _needs(self, sql: str, kept: set[str]) -> list[str]:
        """The steps that a text reads, directly or through others that are not kept, in their order."""
        found: set[str] = set()
        open_texts = [sql]
        while open_texts:
            words = set(_WORD.findall(open_texts.pop()))
            for step in words & self._steps.keys() - found - kept:
                found.add(step)
                open_texts.append(self._steps[step][0])
        return [step for step in self._steps if step in found]

    def _script(self, final: str) -> str:
        kept: set[str] = set()
        script = []
        for step, (sql, _, says) in self._steps.items():
            if step in self._kept:
                query = self._with(self._needs(sql, kept), sql)
                script.append((f"-- {says}\n" if says else "") + f"CREATE TABLE {step} AS\n{query}")
                kept.add(step)
        script.append(self._with(self._needs(final, kept), final))
        return THEN.join(script)
