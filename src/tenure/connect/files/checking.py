"""Is that cell what it must be? Each input's text becomes a typed value and the list of what can be wrong with it.

All of it is SQL, so that a hundred million rows are checked by the engine in one stream. One definition serves the fast
reading of clean files (`Reading.bad`: is anything wrong?) and the careful one (`Reading.problem`: what, in which
column?), so both agree on every cell.

In the statements below `c3` is the third cell as text, `t_x` input x as trimmed text, `p_x` an intermediate, and the
plain name x the typed value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tenure.connect.files.cells import CARD_PREFIX, suggests_payment
from tenure.connect.files.headers import Binding, Cell
from tenure.connect.files.shapes import BILLED, IN_ORDER, MAJOR, OPEN_ENDS, SYNONYMS, UNIT, Shape
from tenure.kernel.money import EXPONENTS
from tenure.kernel.time import offsets
from tenure.lake.portable import micros, text
from tenure.lake.tables import SQL_TYPES, Column, FactTable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_MONTHLY = 9_000_000_000_000  # minor units; what one item may be worth a month
MOST = 9_000_000_000_000_000  # minor units; any amount, so that sums stay exact
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2201, 1, 1, tzinfo=UTC)
LONGEST_TEXT = 2_000_000
CARD = "[0-9](?:[ -]?[0-9]){12,18}"


Limits = tuple[str, int | None, int | None, bool]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that can be wrong: the input, the condition under which it is (SQL), and how we say so.

    `implied`: a row that fails it fails another check too, so that it only tells the reason more precisely.
    `limits`: the same as bounds of the values of a column of integers or instants, which cost nothing to look at batch
    by batch: (value, least, most, may be NULL).
    """

    column: str
    bad: str
    reason: str
    implied: bool = False
    limits: Limits | None = None


# The functions of the statements. Most cells take the first, cheap branch of each.
_FUNCTIONS = f"""
trimmed(c):
    CASE WHEN prefix(c, ' ') OR suffix(c, ' ')
    THEN nullif(trim(c, chr(9) || chr(10) || chr(13) || ' ' || chr(160) || chr(65279) || chr(8203)), '') ELSE c END

-- Luhn's check digit, for 13 to 19 digits that begin as a card network's numbers do.
card_digits(d):
    regexp_matches(d, '^{CARD_PREFIX}') AND list_sum(list_transform(range(1, strlen(d) + 1), lambda i:
        CASE WHEN (strlen(d) - i) % 2 = 0 THEN d[i]::INTEGER
             WHEN d[i]::INTEGER > 4 THEN 2 * d[i]::INTEGER - 9 ELSE 2 * d[i]::INTEGER END)) % 10 = 0

-- The whole text is a card's number, perhaps in groups. A UUID has 36 characters.
is_card(t):
    CASE WHEN strlen(t) >= 13 THEN CASE WHEN t >= '2' AND t < '7' AND strlen(t) BETWEEN 13 AND 38 AND strlen(t) <> 36
        AND regexp_full_match(t, '{CARD}') THEN card_digits(regexp_replace(t, '[^0-9]', '', 'g')) ELSE false END
    ELSE false END

-- A cell that says something no value was made of.
resists(v, t): CASE WHEN v IS NULL THEN trimmed(t) IS NOT NULL ELSE false END

holds_card(t):
    CASE WHEN strlen(t) >= 13 AND regexp_matches(t, '{CARD}') THEN
        len(list_filter(regexp_extract_all(t, '{CARD}'),
                        lambda n: card_digits(regexp_replace(n, '[^0-9]', '', 'g')))) > 0
    ELSE false END

whole_number(t):
    CASE WHEN regexp_full_match(trimmed(t), '[+-]?[0-9]{{1,18}}([.]0*)?')
    THEN TRY_CAST(split_part(trimmed(t), '.', 1) AS BIGINT) END

-- Times written otherwise than 2026-01-31: 20260131, seconds or milliseconds since 1970, 20260131T173000Z, a space
-- before the offset, no seconds before it.
odd_time(t):
    CASE WHEN regexp_full_match(t, '[0-9]{{8}}') THEN TRY_STRPTIME(t, '%Y%m%d')::TIMESTAMPTZ
         WHEN regexp_full_match(t, '[0-9]{{9,10}}') THEN make_timestamptz(TRY_CAST(t AS BIGINT) * 1000000)
         WHEN regexp_full_match(t, '[0-9]{{12,13}}') THEN make_timestamptz(TRY_CAST(t AS BIGINT) * 1000)
         WHEN regexp_full_match(t, '[0-9]{{14}}') THEN TRY_STRPTIME(t, '%Y%m%d%H%M%S')::TIMESTAMPTZ
         WHEN regexp_full_match(t, '[0-9]{{8}}T[0-9]{{6}}Z?')
         THEN TRY_STRPTIME(rtrim(t, 'Z'), '%Y%m%dT%H%M%S')::TIMESTAMPTZ
         ELSE TRY_CAST(regexp_replace(regexp_replace(t, ' +([+-][0-9])', '\\1'),
                  '([ T][0-9]{{1,2}}:[0-9]{{2}})([-+zZ])', '\\1:00\\2') AS TIMESTAMPTZ) END

-- A time as if it were UTC, unless it names its offset. The engine's cast of a text without one asks the time zone
-- database and takes three times as long, so texts that are too short for an offset go another way.
iso_time(c):
    CASE WHEN strlen(c) <= 10 OR (strlen(c) = 19 AND substring(c, 17, 1) = ':')
         THEN make_timestamptz(epoch_us(TRY_CAST(c AS TIMESTAMP))) ELSE TRY_CAST(c AS TIMESTAMPTZ) END

time_text(c):
    coalesce(iso_time(c), CASE WHEN trimmed(c) >= '0' AND trimmed(c) < ':' THEN odd_time(trimmed(c)) END)

says_offset(t):
    CASE WHEN strlen(t) <= 8 THEN false ELSE strlen(t) > 10 AND regexp_matches(t,
        '([0-9] *[zZ]|:[0-9.]+ *[+-][0-9]{{2}}(:?[0-9]{{2}}){{0,2}}|[0-9] [A-Za-z_]+(/[A-Za-z_+-]+)*)$')
        OR regexp_full_match(t, '[0-9]{{9,10}}|[0-9]{{12,13}}') END

decimals(t): CASE WHEN contains(t, '.') THEN strlen(t) - instr(t, '.') ELSE 0 END

ten_to(n): CASE n WHEN 2 THEN 100 WHEN 0 THEN 1 WHEN 1 THEN 10 WHEN 3 THEN 1000 WHEN 4 THEN 10000 END::BIGINT

is_amount(t): regexp_full_match(t, '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)')

-- Zeros at the end say nothing: 29.8500 has two decimals.
bare(t): CASE WHEN contains(t, '.') THEN rtrim(rtrim(t, '0'), '.') ELSE t END

plain_minor(t, e): TRY_CAST(replace(t, '.', '') AS BIGINT) * ten_to(e - decimals(t))

-- An amount in major units as minor units, exactly: the point is taken out, never a float. NULL if it is too fine.
minor(t, e):
    CASE WHEN regexp_full_match(t, '-?[0-9]{{1,14}}([.][0-9]{{1,2}})?') AND decimals(t) <= e THEN plain_minor(t, e)
         WHEN is_amount(t) AND decimals(bare(t)) <= e AND strlen(bare(t)) <= 15 THEN plain_minor(bare(t), e) END

digits(v): TRY_CAST(replace(v::VARCHAR, '.', '') AS BIGINT)

-- A unit price times a quantity; the cast to the currency's decimals rounds halves away from zero.
product(u, q):
    CASE WHEN is_amount(u) AND is_amount(q) AND decimals(bare(u)) <= 8 AND decimals(bare(q)) <= 6
    THEN TRY_CAST(u AS DECIMAL(20,8)) * TRY_CAST(q AS DECIMAL(18,6)) END

exact_product(p, e):
    CASE e WHEN 2 THEN digits(TRY_CAST(p AS DECIMAL(18,2))) WHEN 0 THEN digits(TRY_CAST(p AS DECIMAL(18,0)))
           WHEN 3 THEN digits(TRY_CAST(p AS DECIMAL(18,3))) WHEN 4 THEN digits(TRY_CAST(p AS DECIMAL(18,4))) END

-- Thousandths to minor units, halves away from zero.
from_thousandths(v, k): CASE WHEN v < 0 THEN -((k // 2 - v) // k) ELSE (v + k // 2) // k END

-- Prices of up to three decimals and whole quantities need no wide decimals, whose division is slow.
product_minor(u, q, e):
    CASE WHEN e <= 3 AND regexp_full_match(u, '-?[0-9]{{1,9}}([.][0-9]{{1,3}})?')
              AND regexp_full_match(q, '-?[0-9]{{1,7}}([.]0)?')
         THEN from_thousandths(plain_minor(u, 3) * CAST(CAST(q AS DOUBLE) AS BIGINT), ten_to(3 - e))
         ELSE exact_product(product(u, q), e) END

-- Half to even at the twelfth decimal; the cast alone rounds halves away from zero.
half_even(v):
    CASE WHEN abs(v - CAST(v AS DECIMAL(38,12))) = 0.0000000000005::DECIMAL(38,18)
              AND CAST(CAST(v AS DECIMAL(38,12)) * 1000000000000 AS HUGEINT) % 2 <> 0
         THEN CAST(CAST(v AS DECIMAL(38,12)) - 0.000000000001 AS DECIMAL(38,12)) ELSE CAST(v AS DECIMAL(38,12)) END
"""


# Asked for in this order, so that most rows are done after a few comparisons (the engine turns IN into a join).
_USUAL = ("USD", "EUR", "GBP", "THB", "JPY", "AUD", "CAD", "CHF", "SGD", "INR")
_CODES = ", ".join(text(code) for code in EXPONENTS)
_FUNCTIONS += f"""
currency_of(t):
    CASE t {" ".join(f"WHEN '{code}' THEN '{code}'" for code in _USUAL)}
    ELSE CASE WHEN (t = upper(t) OR t = lower(t)) AND list_contains([{_CODES}], upper(t)) THEN upper(t) END END

is_currency(t):
    CASE t {" ".join(f"WHEN '{code}' THEN true" for code in _USUAL)} ELSE list_contains([{_CODES}], t) END

exponent_of(c):
    CASE c {" ".join(f"WHEN '{code}' THEN {EXPONENTS[code]}" for code in _USUAL)}
    {" ".join(f"WHEN '{code}' THEN {digits}" for code, digits in EXPONENTS.items() if digits != 2)}
    ELSE CASE WHEN c IS NOT NULL THEN 2 END END
"""


def prepare(con: DuckDBPyConnection) -> None:
    """Make the functions that the statements use."""
    kept = "\n".join(line for line in _FUNCTIONS.splitlines() if not line.startswith("--"))
    for function in kept.split("\n\n"):
        if function.strip():
            name, _, body = function.strip().partition(":")
            con.execute(f"CREATE TEMP MACRO {name} AS ({body})")


class Reading:
    """The statement that turns a file's cells into the typed values of a table, with everything that can be wrong.

    A `plain` reading takes cells as they stand and finds all wrong that would need more than a cast: spaces around a cell,
    `1.0` for a whole number, `cancelled` for `canceled`, `usd`. Most files are plain, and faster so.
    """

    def __init__(
        self, shape: Shape, binding: Binding, zone: ZoneInfo, now: datetime, *, text_is_short: bool, plain: bool = False
    ) -> None:
        self.shape = shape
        self.binding = binding
        self.checks: list[Check] = []
        self._zone = zone
        self._now = now
        self._short = text_is_short
        self._plain = plain
        self._texts: dict[str, str] = {}  # the first layer
        self._parts: dict[str, str] = {}  # the second
        self._values: dict[str, tuple[str, str]] = {}  # the third: value and type
        self._late: dict[str, str] = {}  # the fourth: values that follow from others
        self._canon: dict[str, str] = {}  # a shorter way to the value's canonical text
        self._has_currency = False
        self._currency()
        for name in binding.inputs:
            if name != "currency":
                self._input(shape.inputs[name], binding.inputs[name])
        for month, cell in binding.months.items():
            self._input(Column(month_column(month), MAJOR, "the month's amount"), cell)
        for trait, cell in binding.traits.items():
            self._trait(trait, cell)
        self._derive()
        self._across()

    # -------------------------------------------------------------------------------------------------- statements

    def has(self, name: str) -> bool:
        """Whether there is such an input or derived value."""
        return name in self._values or name in self._late

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all values."""
        return (*self._values, *self._late)

    def values(self, raw: str) -> str:
        """The SELECT of typed values over the relation `raw` (c1.., line, broken)."""
        first = ["line AS at_line", "broken", *(f"{sql} AS {name}" for name, sql in self._texts.items())]
        sql = f"SELECT {', '.join(first)} FROM {raw}"
        if self._has_currency:
            code = "t_currency" if self._plain else "currency_of(t_currency)"
            inner = f"SELECT *, {code} AS p_currency FROM ({sql})"
            sql = f"SELECT *, exponent_of(p_currency) AS p_exponent FROM ({inner})"
        parts = "".join(f", {part} AS {name}" for name, part in self._parts.items())
        values = "".join(f', {value} AS "{name}"' for name, (value, _) in self._values.items())
        late = "".join(f', {value} AS "{name}"' for name, value in self._late.items())
        return f"SELECT *{late} FROM (SELECT *{values} FROM (SELECT *{parts} FROM ({sql})))"

    @property
    def bad(self) -> str:
        """The condition under which anything at all is wrong with a row."""
        told = [check for check in self.checks if not check.implied and not (self._plain and check.limits)]
        return " OR ".join(f"({check.bad})" for check in told) or "false"

    @property
    def limits(self) -> list[Limits]:
        """What a plain reading's `bad` leaves to whoever sees the values: bounds of columns."""
        return [check.limits for check in self.checks if check.limits] if self._plain else []

    def joined(self) -> str:
        """The canonical texts that row_hash is made of."""
        return joined(hashed(self.shape.table), [self.canonical(column) for column in hashed(self.shape.table)])

    def untrimmed(self, whole: str) -> str:
        """Whether a text cell begins or ends with a space, for a plain reading, which does not trim.

        The cells of the content but for the key stand in the joined texts, between two separators.
        """
        if not self._plain:
            return "false"
        columns = self.shape.table.columns
        last = [column.name for column in columns if self.has(column.name)][-1]
        alone = [column.name for column in columns if column.name in (*self.shape.table.key, last)]
        tests = [f"prefix({t}, ' ') OR suffix({t}, ' ')" for name in alone if (t := f"t_{name}") in self._texts]
        inside = f"CASE WHEN contains({whole}, ' ') THEN contains({whole}, ' \x1f') OR contains({whole}, '\x1f ') "
        inside += f"OR prefix({whole}, ' ') ELSE false END"
        return " OR ".join([inside, *tests])

    @property
    def problem(self) -> str:
        """Which check a row fails first, counted from 1; 0 if none; -1 if the row is broken."""
        cases = " ".join(f"WHEN {check.bad} THEN {number}" for number, check in enumerate(self.checks, start=1))
        return f"CASE WHEN broken IS NOT NULL THEN -1 {cases} ELSE 0 END"

    def column(self, column: Column) -> str:
        """The value of a column of the target table, typed, NULL where the file does not tell it."""
        if self.has(column.name):
            return f'"{column.name}"'
        return f"NULL::{column.sql_type}"

    def canonical(self, column: Column) -> str:
        """The column's canonical text, by the shortest way."""
        if column.name in self._canon:
            return self._canon[column.name]
        return canonical(column) if self.has(column.name) else ""

    def cell(self, name: str) -> str:
        """The place in the file that a check's column came from, as SQL text; for the example in the report."""
        found = self.binding.cell(name)
        return f"c{found.place}" if found and found.place else "NULL"

    # -------------------------------------------------------------------------------------------------- one input

    def _raw(self, cell: Cell) -> str:
        return f"c{cell.place}" if cell.constant is None else f"{text(cell.constant)}"

    def _check(
        self, column: str, bad: str, reason: str, *, implied: bool = False, limits: Limits | None = None
    ) -> None:
        self.checks.append(Check(column, bad, reason, implied, limits))

    def _trimmed(self, raw: str) -> str:
        return raw if self._plain else f"trimmed({raw})"

    def _currency(self) -> None:
        cell = self.binding.inputs.get("currency")
        if cell is None:
            self._texts["p_exponent"] = str(self.binding.exponent)
            return
        self._texts["t_currency"] = self._trimmed(self._raw(cell))
        self._has_currency = True
        self._values["currency"] = ("p_currency", "VARCHAR")
        self._canon["currency"] = "p_currency"
        if self.shape.inputs["currency"].required:
            self._check("currency", "t_currency IS NULL", "is missing")
        wrong = "NOT is_currency(t_currency)" if self._plain else "p_currency IS NULL"
        self._check("currency", f"t_currency IS NOT NULL AND {wrong}", "is not an ISO 4217 currency code")

    def _input(self, column: Column, cell: Cell) -> None:
        kind = column.type
        raw = self._raw(cell)
        # Numbers and times are cast as they stand; only what resists is trimmed.
        texts = kind in ("text", MAJOR, UNIT, "rate", "month")
        self._texts[f"t_{column.name}"] = self._trimmed(raw) if texts else raw
        ours = (self.shape.table.generated_key, "item_id")  # made where they are missing
        if column.required and column.name not in ours:
            typed = kind in ("int", "money_minor", "bool", "instant")
            never_null = (column.name, None, None, False) if kind == "text" and not self._renames() else None
            missing = f"t_{column.name} IS NULL"
            self._check(column.name, missing, "is missing", implied=typed, limits=never_null)
        {
            "text": self._text,
            "int": self._int,
            "money_minor": self._int,
            "float": self._float,
            "bool": self._bool,
            "instant": self._instant,
            "date": self._date,
            "rate": self._rate,
            "month": self._month,
            MAJOR: self._major,
            UNIT: self._unit,
        }[kind](column)
        if (kind == "text" and not column.one_of) or suggests_payment(column.name):
            self._no_card(column.name, cell)

    def _renames(self) -> bool:
        """Whether inputs and the table's columns differ in name."""
        return self.shape.name in ("snapshot", "cancellations") or bool(self.shape.grouped)

    def _no_card(self, name: str, cell: Cell) -> None:
        test = "holds_card" if suggests_payment(name) or suggests_payment(snake_of(cell)) else "is_card"
        self._check(name, f"{test}(t_{name})", "holds what looks like a payment card's number; never store one")

    def _text(self, column: Column) -> None:
        t = f"t_{column.name}"
        value = t
        if column.one_of:
            # CASE, for the engine turns IN into a join; the usual words go first.
            usual = sorted(column.one_of, key=lambda option: option not in ("active", "month"))
            what = f"is none of {', '.join(column.one_of)}"
            if self._plain:
                among = " ".join(f"WHEN {text(option)} THEN false" for option in usual)
                self._check(column.name, f"CASE {t} {among} ELSE {t} IS NOT NULL END", what)
            else:
                exact = " ".join(f"WHEN {text(option)} THEN {text(option)}" for option in usual)
                alike = exact + "".join(
                    f" WHEN {text(a)} THEN {text(b)}"
                    for a, b in SYNONYMS.get(column.name, {}).items()
                    if b in column.one_of
                )
                value = f"p_{column.name}"
                self._parts[value] = f"CASE {t} {exact} ELSE CASE lower(trimmed({t})) {alike} END END"
                self._check(column.name, f"{value} IS NULL AND {t} IS NOT NULL", what)
        if not self._short:
            self._check(column.name, f"strlen({t}) > {LONGEST_TEXT}", f"is longer than {LONGEST_TEXT:,} bytes")
        self._values[column.name] = (value, "VARCHAR")
        self._canon[column.name] = value

    def _int(self, column: Column) -> None:
        name, t, part = column.name, f"t_{column.name}", f"p_{column.name}"
        self._parts[part] = f"TRY_CAST({t} AS BIGINT)"
        # 1.5 and 0x10 cast as well; only what is written as it would be written back is taken at its word.
        what = "is not a whole number of minor units" if column.type == "money_minor" else "is not a whole number"
        if self._plain:
            self._values[name] = (part, "BIGINT")
            self._canon[name] = t
            self._check(name, f"{part}::VARCHAR IS DISTINCT FROM {t}", what)
        else:
            exact = f"{part}::VARCHAR = {t}"
            self._values[name] = (f"CASE WHEN {exact} THEN {part} ELSE whole_number({t}) END", "BIGINT")
            self._canon[name] = f'CASE WHEN {exact} THEN {t} ELSE "{name}"::VARCHAR END'
            self._check(name, f'resists("{name}", {t})', what, implied=column.required)
        if column.required:
            self._check(name, f'"{name}" IS NULL', "is missing")
        if not column.signed:
            self._check(name, f'"{name}" < 0', "is negative", limits=self._within(name, 0, None))
        if column.type == "money_minor":
            limits = self._within(name, -MOST, MOST)
            self._check(name, f'"{name}" > {MOST} OR "{name}" < -{MOST}', "is too large", limits=limits)

    def _within(self, name: str, least: int | None, most: int | None) -> Limits | None:
        """Bounds of a value, if it is one that the table keeps (else nobody would see it)."""
        return (name, least, most, True) if name in self.shape.table.names else None

    def _float(self, column: Column) -> None:
        name, t = column.name, f"t_{column.name}"
        self._values[name] = (f"TRY_CAST({t} AS DOUBLE)", "DOUBLE")
        self._check(
            name,
            f'("{name}" IS NULL AND trimmed({t}) IS NOT NULL) OR contains({t}, \'_\') OR NOT isfinite("{name}")',
            "is not a number",
        )
        if not column.signed:
            self._check(name, f'"{name}" < 0', "is negative")

    def _bool(self, column: Column) -> None:
        name, t = column.name, f"t_{column.name}"
        value = f"coalesce(TRY_CAST({t} AS BOOLEAN), CASE lower(trimmed({t})) "
        value += "WHEN 'yes' THEN true WHEN 'no' THEN false WHEN 'true' THEN true WHEN 'false' THEN false "
        value += "WHEN '1' THEN true WHEN '0' THEN false WHEN '1.0' THEN true WHEN '0.0' THEN false "
        value += "WHEN 'y' THEN true WHEN 'n' THEN false WHEN 'ใช่' THEN true WHEN 'ไม่' THEN false END)"
        self._values[name] = (value, "BOOLEAN")
        self._check(name, f'resists("{name}", {t})', "is neither true nor false", implied=column.required)
        if column.required:
            self._check(name, f'"{name}" IS NULL', "is missing")

    def _instant(self, column: Column) -> None:
        name, t, part = column.name, f"t_{column.name}", f"p_{column.name}"
        raw = self._texts[t]
        if name in OPEN_ENDS:
            self._texts[t] = f"CASE WHEN prefix({self._trimmed(raw)}, '9999-12-31') THEN NULL ELSE {raw} END"
        self._parts[part] = f"iso_time({t})" if self._plain else f"time_text({t})"
        stretch = f"{micros(EARLIEST)} AND {micros(LATEST) - 1}"
        value = part
        if not self._is_utc():
            us = f"epoch_us({part})"
            shift = local_shift(us, self._zone, f"strlen(trimmed({t})) <= 10")
            value = f"CASE WHEN {part} IS NULL OR says_offset(trimmed({t})) THEN {part} "
            value += f"WHEN {us} BETWEEN {stretch} THEN make_timestamptz({us} - {shift}) ELSE {part} END"
        self._values[name] = (value, "TIMESTAMPTZ")
        self._canon[name] = f'epoch_us("{name}")::VARCHAR'
        what = "is not a time; write it like 2026-01-31 17:30"
        silent = f"{part} IS NULL AND {t} IS NOT NULL" if self._plain else f"resists({part}, {t})"
        self._check(name, silent, what, implied=column.required)
        # The engine knows words (epoch, infinity) and years before Christ; a plain reading sees most by the limits.
        self._check(name, f"{t} >= 'A'" if self._plain else f"{t} >= 'A' OR prefix({t}, '-')", what)
        if column.required:
            limits = (name, None, None, False) if name in self.shape.table.names else None
            self._check(name, f"{part} IS NULL", "is missing", limits=limits)
        if not self._is_utc():
            gone = f"does not exist in {self._zone.key}: the clocks skipped it"
            self._check(name, f'{part} IS NOT NULL AND "{name}" IS NULL', gone)
        years = self._within(name, micros(EARLIEST), micros(LATEST) - 1)
        beyond = f'epoch_us("{name}") NOT BETWEEN {stretch}'
        self._check(name, beyond, "is outside the years 1900 to 2200", limits=years)
        if name == "recorded_at":
            now = f"make_timestamptz({micros(self._now)})"
            self._check(name, f'"{name}" > {now}', "is later than now: nobody can have known it")
        if name == "observed_on":
            now = f"make_timestamptz({micros(self._now)})"
            self._check(name, f'"{name}" > {now}', "is later than now")

    def _date(self, column: Column) -> None:
        name, t = column.name, f"t_{column.name}"
        value = f"CASE WHEN trimmed({t}) >= '0' AND trimmed({t}) < ':' THEN coalesce(TRY_CAST(trimmed({t}) AS DATE), "
        value += f"odd_time(trimmed({t}))::DATE) END"
        self._values[name] = (value, "DATE")
        self._check(name, f'resists("{name}", {t})', "is not a date; write it like 2026-01-31")
        low, high = (f"DATE '{at:%Y-%m-%d}'" for at in (EARLIEST, LATEST))
        self._check(name, f'"{name}" < {low} OR "{name}" >= {high}', "is outside the years 1900 to 2200")

    def _rate(self, column: Column) -> None:
        name, t = column.name, f"t_{column.name}"
        self._parts[f"p_{name}"] = f"TRY_CAST({t} AS DECIMAL(38,18))"
        self._values[name] = (f"half_even(p_{name})", SQL_TYPES["rate"])
        self._check(name, f'"{name}" IS NULL AND {t} IS NOT NULL', "is not a number")
        self._check(
            name, f"NOT is_amount({t}) AND NOT regexp_full_match({t}, '[0-9.]+[eE][+-]?[0-9]+')", "is not a number"
        )
        self._check(name, f'"{name}" <= 0', "is not above zero")

    def _month(self, column: Column) -> None:
        # Months are parsed in Python, each spelling once, and joined in (see grouping.py).
        self._values[column.name] = (f"t_{column.name}", "VARCHAR")

    def _major(self, column: Column) -> None:
        """An amount in major units: the value goes to the column in minor units."""
        name, t = column.name, f"t_{column.name}"
        minor = f"{name}_minor"
        self._values[minor] = (f"minor({t}, p_exponent)", "BIGINT")
        self._check(name, f"NOT is_amount({t})", "is not an amount; write it like 1234.56")
        self._check(
            name,
            f'"{minor}" IS NULL AND {t} IS NOT NULL AND p_exponent IS NOT NULL AND decimals(bare({t})) > p_exponent',
            "is finer than the currency's minor unit; round it in the source",
        )
        if self._has_currency:
            self._check(name, f"{t} IS NOT NULL AND t_currency IS NULL", "has no currency")
        self._check(name, f'"{minor}" IS NULL AND {t} IS NOT NULL', "is too large")
        if not column.signed:
            self._check(name, f'"{minor}" < 0', "is negative")
        self._check(name, f'"{minor}" > {MOST} OR "{minor}" < -{MOST}', "is too large")

    def _unit(self, column: Column) -> None:
        """A unit price: times the quantity, rounded half up (away from zero) to the minor unit, once per line."""
        t = f"t_{column.name}"
        self._parts["p_amount"] = f"product_minor({t}, trimmed(t_quantity), p_exponent)"
        self._values["amount_minor"] = ("p_amount", "BIGINT")
        self._check(column.name, f"NOT is_amount({t})", "is not an amount; write it like 1234.56")
        given = f"{t} IS NOT NULL AND trimmed(t_quantity) IS NOT NULL"
        self._check(column.name, f'"amount_minor" IS NULL AND {given}', "times the quantity is too large or too fine")
        self._check(column.name, f'"amount_minor" > {MOST} OR "amount_minor" < -{MOST}', "is too large")

    def _trait(self, trait: str, cell: Cell) -> None:
        name = trait_column(cell)
        self._texts[f"t_{name}"] = f"trimmed({self._raw(cell)})"  # not part of the joined texts
        test = "holds_card" if suggests_payment(trait) else "is_card"
        self._check(trait, f"{test}(t_{name})", "holds what looks like a payment card's number; never store one")

    # ------------------------------------------------------------------------------------- what follows from others

    def _derive(self) -> None:
        """Values that the file may leave to us."""
        shape, table = self.shape, self.shape.table
        if shape.grouped:
            return
        if "item_id" in table.names and shape.name != "snapshot":
            if self.has("item_id"):
                value = self._values["item_id"][0]
                self._values["item_id"] = (f"coalesce({value}, t_subscription_id)", "VARCHAR")
                self._canon.pop("item_id", None)
            else:
                self._values["item_id"] = ("t_subscription_id", "VARCHAR")
                self._canon["item_id"] = "t_subscription_id"
        if shape.name in ("subscription_spans", "subscriptions", "subscription_states"):
            if not self.has("interval"):
                self._values["interval"] = ("'month'", "VARCHAR")
                self._canon["interval"] = "'month'"
            count = self._values.get("interval_count")
            self._values["interval_count"] = (f"coalesce({count[0]}, 1)" if count else "1::BIGINT", "BIGINT")
            self._canon["interval_count"] = '"interval_count"::VARCHAR' if count else "'1'"
        if table.name in ("orders", "order_lines") and not self.has("kind"):
            names = [name for name in ("amount_minor", "quantity") if self.has(name)]
            tests = " OR ".join(f'coalesce("{name}" < 0, false)' for name in names)
            self._late["kind"] = f"CASE WHEN {tests} THEN 'return' ELSE 'sale' END"
        if shape.name == "cancellations":
            at = self._values.pop("canceled_at")
            self._values["canceled_at"] = at
            self._values["asked_at"] = at
            self._values["answered_at"] = at
            self._values["kind"] = ("'exit'", "VARCHAR")
            if self.has("reason"):
                self._values["choice"] = self._values.pop("reason")
        if shape.name == "snapshot":
            self._snapshot()

    def _snapshot(self) -> None:
        """One span per customer: from the tenure's months before the day of the snapshot, to that day or open."""
        if self.has("observed_on"):
            seen = self._values["observed_on"][0]
        else:
            today = self._now.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
            seen = f"make_timestamptz({micros(today.astimezone(UTC))})"
        # Calendar months are counted in the company's zone.
        months = f"to_months(CAST(least(greatest(({self._values['tenure'][0]}), 0), 3600) AS INTEGER))"
        zone = text(self._zone.key)
        begin = f"timezone({zone}, timezone({zone}, {seen}) - {months})"
        self._values["started_at"] = (begin, "TIMESTAMPTZ")
        self._values["ended_at"] = (f"CASE WHEN {self._values['left'][0]} THEN {seen} END", "TIMESTAMPTZ")
        self._values["status"] = ("'active'", "VARCHAR")
        for name in ("subscription_id", "item_id"):
            own = "t_subscription_id" if "subscription_id" in self.binding.inputs else "NULL"
            self._values[name] = (f"coalesce({own}, t_customer_id)", "VARCHAR")
            self._canon.pop(name, None)
        self._values["interval"] = ("'month'", "VARCHAR")
        self._values["interval_count"] = ("1::BIGINT", "BIGINT")
        if not self.has("amount_minor"):
            # Without an amount a customer would not count at all: one unit of the currency each.
            code = self._values.get("currency", ("'USD'", ""))[0]
            digits = "p_exponent" if "currency" in self.binding.inputs else "2"
            self._values["amount_minor"] = (f"ten_to({digits})", "BIGINT")
            self._values["currency"] = (code, "VARCHAR")
            self._canon.pop("currency", None)
            self.binding.notes.append(
                "there is no amount: every customer counts as 1.00 a month, so customers are right and money is not"
            )
        self._check("tenure", '"tenure" > 3600', "is more than 300 years")
        early = f"TIMESTAMPTZ '{EARLIEST:%Y-%m-%d} 00:00:00+00'"
        self._check("tenure", f'"started_at" < {early}', "begins before 1900")

    def _across(self) -> None:
        """What is wrong only in the light of another column."""
        if self.shape.grouped:
            return
        for first, second in IN_ORDER:
            if self.has(first) and self.has(second) and self.shape.name not in ("snapshot", "cancellations"):
                self._check(second, f'"{second}" < "{first}"', f"is before {first}")
        if "interval_count" in self.binding.inputs:
            limits = self._within("interval_count", 1, None)
            self._check("interval_count", '"interval_count" < 1', "is less than 1", limits=limits)
        if self.shape.table.name in ("subscription_spans", "subscription_states"):
            self._billed()
        for column in self.shape.table.columns:
            if column.required and column.type == "money_minor":
                self._check(self._money(column.name), f'"{column.name}" IS NULL', "is missing")

    def _billed(self) -> None:
        amount = '"amount_minor"' if self.has("amount_minor") else "NULL::BIGINT"
        retracted = 'coalesce("retracted", false)' if self.has("retracted") else "false"
        metered = 'coalesce("is_metered", false)' if self.has("is_metered") else "false"
        if self.shape.name != "snapshot":
            status = '"status"' if self.has("status") else "'active'"
            billed = " OR ".join(f"{status} = {text(option)}" for option in BILLED)
            self._check(
                self._money("amount_minor"),
                f"CASE WHEN {amount} IS NULL THEN ({status} IS NULL OR {billed}) AND NOT {metered} AND NOT {retracted} "
                "ELSE false END",
                "is missing, though the item is billed",
            )
        else:
            self._check(self._money("amount_minor"), f"{amount} IS NULL", "is missing")
        if self.has("amount_minor") and "interval" in self.binding.inputs:
            self._check("interval", f'{amount} IS NOT NULL AND "interval" IS NULL', "is missing beside an amount")
        if self.has("amount_minor") and "currency" in self.binding.inputs:
            self._check("currency", f'{amount} IS NOT NULL AND "currency" IS NULL', "is missing beside an amount")
        if self.shape.name in ("subscription_spans", "subscriptions"):
            ended = '"ended_at" IS NULL' if self.has("ended_at") else "true"
            if self.has("status"):
                self._check("ended_at", f"\"status\" = 'canceled' AND {ended}", "is missing, though it is canceled")
        per_month = {"day": "365 / 12", "week": "365 / 84", "quarter": "1 / 3", "year": "1 / 12"}
        for name in ("amount_minor", "minimum_commit_minor"):
            if self.has(name):
                amount = f'"{name}"'
                cases = " ".join(f"WHEN '{each}' THEN {amount}::DOUBLE * {part}" for each, part in per_month.items())
                monthly = f'CASE "interval" {cases} ELSE {amount} END / greatest("interval_count", 1)'
                # Below a thirtieth of the limit no interval can make it too much.
                much = f"CASE WHEN {amount} > {MOST_MONTHLY // 31} THEN {monthly} > {MOST_MONTHLY} ELSE false END"
                what = f"is worth more than {MOST_MONTHLY:,} minor units a month"
                self._check(self._money(name), much, what, limits=self._within(name, None, MOST_MONTHLY // 31))

    def _money(self, name: str) -> str:
        """The input that an amount in minor units came from."""
        major = name.removesuffix("_minor")
        for candidate in (name, major, "unit_amount"):
            if candidate in self.binding.inputs:
                return candidate
        return name

    def _is_utc(self) -> bool:
        return self._zone.key in ("UTC", "Etc/UTC", "Etc/GMT", "GMT", "Zulu")


def snake_of(cell: Cell) -> str:
    """The column's own name in snake case."""
    from tenure.connect.files.headers import snake

    return snake(cell.theirs)


def month_column(month: date) -> str:
    """The name, inside our statements, of a wide sheet's column."""
    return f"m{month:%Y%m}"


def trait_column(cell: Cell) -> str:
    """The name, inside our statements, of a column that becomes a trait."""
    return f"trait_{cell.place}"


def canonical(column: Column, name: str = "") -> str:
    """The canonical text of a stored value, from which row_hash and generated keys are made."""
    value = name or f'"{column.name}"'
    if column.type == "text":
        return value
    if column.type == "instant":
        return f"epoch_us({value})::VARCHAR"
    return f"{value}::VARCHAR"


def hashed(table: FactTable) -> tuple[Column, ...]:
    """The columns that tell versions of one row apart: all but the key."""
    return tuple(column for column in table.columns if column.name not in table.key)


def joined(columns: Sequence[Column], texts: Sequence[str]) -> str:
    """Canonical texts joined with U+001F, NULL as the empty text, separators at the end dropped.

    So a table that grows a column at its end keeps its hashes. A text that is '' as SQL stands for a column that the
    file does not have; only where the last one that it has is NULL is there anything to drop while it runs.
    """
    parts: list[str] = []
    constant = ""
    last = max((place for place, part in enumerate(texts) if part), default=-1)
    for place, part in enumerate(texts[: last + 1]):
        constant += "\x1f" if place else ""
        if part:
            if constant:
                parts.append(text(constant))
            parts.append(part)
            constant = ""
    if not parts:
        return "''"
    whole = f"concat({', '.join(parts)})"
    if columns[last].required:
        return whole
    return f"CASE WHEN {texts[last]} IS NULL THEN rtrim({whole}, chr(31)) ELSE {whole} END"


def short_hash(whole: str) -> str:
    """63 bits of MD5: in Python int.from_bytes(md5(whole).digest()[:8], "little") & (2**63 - 1).

    The whole number is asked for and masked, for DuckDB's own lower half costs four times as much.
    """
    return f"(md5_number({whole}) & 9223372036854775807::UHUGEINT)::BIGINT"


def row_hash(table: FactTable, prefix: str = "") -> str:
    """The hash of rows that have their stored form: of the content besides the key, which versions share."""
    columns = hashed(table)
    return short_hash(joined(columns, [canonical(column, f'{prefix}"{column.name}"') for column in columns]))


def local_shift(us: str, zone: ZoneInfo, is_day: str) -> str:
    """What to subtract from a local time (microseconds as if UTC) to get the instant; NULL where the clocks skipped it.

    Of a time that happens twice the first is meant. A day that begins in a gap begins at the gap's end. The zone's
    changes become a balanced tree of CASEs, so a row passes nine comparisons for three hundred years.
    """
    found = offsets(zone, EARLIEST - timedelta(days=2), LATEST + timedelta(days=2))
    steps: list[tuple[int, str]] = []  # from this local time on, this shift
    for place in range(1, len(found)):
        at, after = found[place]
        before = found[place - 1][1]
        assert at is not None
        instant, old, new = micros(at), before // timedelta(microseconds=1), after // timedelta(microseconds=1)
        if new > old:
            steps.append((instant + old, f"CASE WHEN {is_day} THEN {old} END"))
            steps.append((instant + new, str(new)))
        else:
            steps.append((instant + old, str(new)))
    first = str(found[0][1] // timedelta(microseconds=1))
    return f"({_tree(us, first, steps)})::BIGINT"


def _tree(us: str, first: str, steps: Sequence[tuple[int, str]]) -> str:
    if not steps:
        return first
    middle = len(steps) // 2
    at, value = steps[middle]
    earlier, later = _tree(us, first, steps[:middle]), _tree(us, value, steps[middle + 1 :])
    return f"CASE WHEN {us} < {at} THEN {earlier} ELSE {later} END"
