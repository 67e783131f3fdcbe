"""How is a number, a day or a sentence written in the reader's language?

Words live in plain TOML files, one per language (`words/en.toml`, `words/th.toml`), with one template per key
and, where a count decides the form, one per plural category of the language. Numbers, money and dates are written by
Babel. Years are Gregorian in every language.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from tenure.errors import UnknownName

LANGUAGES = ("en", "th")
PLURALS = frozenset({"zero", "one", "two", "few", "many", "other"})
WORDS = Path(__file__).with_name("words")

# A minus sign, not a hyphen: it is as wide as the plus sign, so columns of numbers line up.
MINUS = "−"


class Language:
    """One language's words and its way of writing numbers.

    >>> Language("en").percent(0.0423)
    '4.2%'
    >>> Language("en").words("units.months")
    'months'
    """

    def __init__(self, code: str, *folders: Path) -> None:
        from babel import Locale

        if code not in LANGUAGES:
            raise UnknownName.of("language", code, LANGUAGES)
        self.code = code
        self.locale = Locale.parse(code)
        self._words: dict[str, str | dict[str, str]] = {}
        for folder in (WORDS, *folders):
            with (folder / f"{code}.toml").open("rb") as file:
                self._words.update(flattened(tomllib.load(file)))

    def has(self, key: str) -> bool:
        """Is there a template of that name?"""
        return key in self._words

    def template(self, key: str, count: int | Decimal | None = None) -> str:
        """The template called `key`, in the plural form that `count` takes in this language."""
        found = self._words.get(key)
        if found is None:
            raise UnknownName.of(f"sentence in '{self.code}'", key, self._words)
        if isinstance(found, str):
            return found
        form = "other" if count is None else self.locale.plural_form(count if count >= 0 else -count)
        return found.get(form, found["other"])

    def words(self, template: str, how_many: int | Decimal | None = None, **values: object) -> str:
        """The sentence called `template` with its placeholders filled."""
        return self.template(template, how_many).format(**values)

    def named(self, group: str, name: str) -> str:
        """The words for `name` of a group of names, or the name itself, readable, where nobody translated it."""
        key = f"{group}.{name}"
        return self.words(key) if self.has(key) else name.replace("_", " ")

    def number(self, value: float | Decimal | int, digits: int = 0) -> str:
        """12,345 or 1.25: grouped, with exactly `digits` decimals, rounded half-even."""
        from babel.numbers import format_decimal

        exact = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
        rounded = exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)
        rounded = abs(rounded) if rounded == 0 else rounded
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return str(format_decimal(rounded, format=pattern, locale=self.locale)).replace("-", MINUS)

    def percent(self, value: float | Decimal, digits: int = 1, signed: bool = False) -> str:
        """A fraction as per cent: 0.0423 -> 4.2%."""
        return self._sign(value, digits + 2, signed) + self.number(Decimal(str(value)) * 100, digits) + "%"

    def listed(self, items: Iterable[str]) -> str:
        """Names as one phrase: a, b and c."""
        from babel.lists import format_list

        names = list(items)
        if self.code == "th" and len(names) > 1:
            # Babel sets the word for "and" without the space that Thai wants before a foreign name.
            return ", ".join(names[:-1]) + " และ " + names[-1]
        return str(format_list(names, locale=self.locale))

    def points(self, value: float | Decimal, digits: int = 1) -> str:
        """A difference of fractions in percentage points, always signed: 0.012 -> +1.2."""
        return self._sign(value, digits + 2, True) + self.number(Decimal(str(value)) * 100, digits)

    def money(self, value: Decimal | float, currency: str, signed: bool = False, whole: bool | None = None) -> str:
        """Money with its symbol: $1,234.50.

        whole: True without minor units, False always with them (columns that must add up), None with them below 10,000.
        """
        from babel.numbers import format_currency, get_currency_precision

        exact = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
        if not currency:
            return ("+" if signed and exact > 0 else "") + self.number(exact, 0 if whole else 2)
        is_whole = abs(exact) >= 10_000 if whole is None else whole
        digits = 0 if is_whole else get_currency_precision(currency)
        rounded = exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)
        rounded = abs(rounded) if rounded == 0 else rounded
        pattern = "¤#,##0" + ("." + "0" * digits if digits else "")
        symbol = self.symbol(currency)
        if symbol[-1:].isalpha():
            pattern = pattern.replace("¤", "¤\xa0")  # THB 500, but $500
        text = format_currency(rounded, currency, format=pattern, locale=self.locale, currency_digits=False)
        return ("+" if signed and rounded > 0 else "") + str(text).replace("-", MINUS)

    def symbol(self, currency: str) -> str:
        """The currency's sign in this language, or its code."""
        from babel.numbers import get_currency_symbol

        return str(get_currency_symbol(currency, locale=self.locale)) if currency else ""

    def day(self, value: date) -> str:
        """A day in words: 3 Oct 2025."""
        from babel.dates import format_date

        return str(format_date(value, "d MMM y", locale=self.locale))

    def instant(self, value: datetime) -> str:
        """A day and a time with the zone's name: 3 Oct 2025, 14:05 UTC."""
        zone = value.tzname() or "UTC"
        return f"{self.day(value.date())} {value:%H:%M} {zone}"

    def period(self, start: date, end: date, grain: str = "month", short: bool = False) -> str:
        """The name of a half-open period: October 2025, Q4 2025, 2025, 3 Oct 2025, 6–12 Oct 2025."""
        from babel.dates import format_date

        last = end - timedelta(days=1)
        if grain == "month" and (start.year, start.month) == (last.year, last.month):
            # The stand-alone form where a language has one (Babel: L).
            if short:
                return str(format_date(start, "LLL y", locale=self.locale))
            return self.words("dates.month", month=format_date(start, "LLLL", locale=self.locale), year=start.year)
        if grain == "quarter":
            return self.words("dates.quarter", quarter=(start.month - 1) // 3 + 1, year=start.year)
        if grain == "year" and (start.month, start.day) == (1, 1):
            return str(start.year)
        if start >= last:
            return self.day(start)
        return f"{self.day(start)} – {self.day(last)}"

    def tick(self, start: date, grain: str = "month") -> tuple[str, str]:
        """A period's label under an axis: the narrow name and the year."""
        from babel.dates import format_date

        if grain == "month":
            return str(format_date(start, "LLL", locale=self.locale)), str(start.year)
        if grain == "quarter":
            return f"Q{(start.month - 1) // 3 + 1}", str(start.year)
        if grain == "year":
            return str(start.year), ""
        return str(format_date(start, "d MMM", locale=self.locale)), str(start.year)

    @staticmethod
    def _sign(value: float | Decimal, digits: int, signed: bool) -> str:
        rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)
        return "+" if signed and rounded > 0 else ""


@lru_cache(maxsize=16)
def language(code: str, *folders: Path) -> Language:
    """The language called `code` with the words of the charts and of the `folders` given."""
    return Language(code, *folders)


def flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str | dict[str, str]]:
    """Nested tables as dotted keys; a table of plural categories (`one`, `other`) is one sentence with its forms."""
    flat: dict[str, str | dict[str, str]] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and not ("other" in value and PLURALS.issuperset(value)):
            flat.update(flattened(value, key + "."))
        elif isinstance(value, Mapping):
            flat[key] = {str(form): str(text) for form, text in value.items()}
        else:
            flat[key] = str(value)
    return flat
