"""Language: numbers, money and dates as readers of English and Thai write them, and words that say the same in both."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path
from string import Formatter

import pytest

from tenure.charts import language as module
from tenure.charts.language import LANGUAGES, PLURALS, WORDS, Language, flattened
from tenure.errors import UnknownName
from tenure.faces.report import sentences

FOLDERS = [WORDS, sentences.WORDS]


def words_of(folder: Path, code: str) -> dict[str, str | dict[str, str]]:
    with (folder / f"{code}.toml").open("rb") as file:
        return flattened(tomllib.load(file))


def placeholders(found: str | dict[str, str]) -> set[str]:
    texts = [found] if isinstance(found, str) else list(found.values())
    return {name for text in texts for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("folder", FOLDERS, ids=["charts", "report"])
def test_every_language_has_the_same_sentences_with_the_same_placeholders(folder: Path) -> None:
    english, thai = words_of(folder, "en"), words_of(folder, "th")
    assert set(english) == set(thai)
    differing = [key for key in english if placeholders(english[key]) != placeholders(thai[key])]
    assert not differing
    assert {path.stem for path in folder.glob("*.toml")} == set(LANGUAGES)


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("folder", FOLDERS, ids=["charts", "report"])
def test_plural_forms_are_those_of_the_language(folder: Path, code: str) -> None:
    forms = {*Language(code).locale.plural_form.tags, "other"}
    for key, found in words_of(folder, code).items():
        if isinstance(found, dict):
            assert set(found) == forms, key


@pytest.mark.parametrize("folder", FOLDERS, ids=["charts", "report"])
def test_thai_sentences_are_in_thai(folder: Path) -> None:
    thai = re.compile("[\u0e00-\u0e7f]")
    # Names that are the same everywhere.
    same = re.compile(r"metrics\.\w+\.title|customer\.mrr|why\.amount|worse\.mrr|page\.interval_short|trust\..*")
    bare = [key for key, found in words_of(folder, "th").items() if not thai.search(str(found)) and not same.match(key)]
    assert not bare


def test_a_group_with_a_name_called_other_is_no_plural() -> None:
    assert flattened({"how": {"other": "Other", "unknown": "Unknown"}}) == {
        "how.other": "Other",
        "how.unknown": "Unknown",
    }
    assert flattened({"some": {"one": "a", "other": "b"}}) == {"some": {"one": "a", "other": "b"}}
    assert "other" in PLURALS


def test_one_is_singular_in_english_and_alike_in_thai() -> None:
    english = Language("en")
    assert english.words("unit.month", 1) == "month"
    assert english.words("unit.month", 2) == "months"
    assert english.words("unit.month", Decimal("1.5")) == "months"
    assert english.words("unit.month", -1) == "month"
    assert Language("th").words("unit.month", 2) == "เดือน"


@pytest.mark.parametrize(
    ("value", "currency", "code", "written"),
    [
        ("1234.5", "USD", "en", "$1,234.50"),
        ("-1234.5", "USD", "en", "−$1,234.50"),
        ("1234.5", "USD", "th", "US$1,234.50"),
        ("1234.5", "THB", "th", "฿1,234.50"),
        ("1234", "JPY", "en", "¥1,234"),
        ("1.234", "BHD", "en", "BHD 1.234"),
        ("-500", "THB", "en", "−THB 500.00"),
        ("500", "", "en", "500.00"),
        ("12345.67", "USD", "en", "$12,346"),
        ("-0.001", "USD", "en", "$0.00"),
        ("0", "EUR", "en", "€0.00"),
    ],
)
def test_money_is_written_with_the_digits_of_its_currency(value: str, currency: str, code: str, written: str) -> None:
    assert Language(code).money(Decimal(value), currency).replace("\xa0", " ") == written


def test_columns_that_add_up_keep_their_minor_units() -> None:
    english = Language("en")
    assert english.money(Decimal("12345.67"), "USD", whole=False) == "$12,345.67"
    assert english.money(Decimal("5.50"), "USD", whole=True) == "$6"
    assert english.money(Decimal("5.50"), "USD", signed=True) == "+$5.50"
    assert english.money(Decimal("0"), "USD", signed=True) == "$0.00"


def test_rates_are_written_in_per_cent_and_differences_in_points() -> None:
    english = Language("en")
    assert english.percent(0.0423) == "4.2%"
    assert english.percent(1.031) == "103.1%"
    assert english.percent(-0.05, 0) == "−5%"
    assert english.percent(0.0004, signed=True) == "0.0%"
    assert english.points(0.0123) == "+1.2"
    assert english.points(-0.0123) == "−1.2"
    assert english.points(0.0) == "0.0"


def test_thai_months_stand_with_gregorian_years() -> None:
    english, thai = Language("en"), Language("th")
    october = (date(2025, 10, 1), date(2025, 11, 1), "month")
    assert english.period(*october) == "October 2025"
    assert thai.period(*october) == "เดือนตุลาคม 2025"
    assert thai.period(*october, short=True) == "ต.ค. 2025"
    assert thai.day(date(2025, 10, 3)) == "3 ต.ค. 2025"


@pytest.mark.parametrize(
    ("start", "end", "grain", "written"),
    [
        (date(2025, 1, 1), date(2026, 1, 1), "year", "2025"),
        (date(2025, 4, 1), date(2025, 7, 1), "quarter", "Q2 2025"),
        (date(2025, 4, 7), date(2025, 4, 14), "week", "7 Apr 2025 – 13 Apr 2025"),
        (date(2025, 4, 7), date(2025, 4, 8), "day", "7 Apr 2025"),
        # A fiscal year names its days: 2025 would be wrong.
        (date(2025, 4, 1), date(2026, 4, 1), "year", "1 Apr 2025 – 31 Mar 2026"),
    ],
)
def test_a_period_is_named_as_people_name_it(start: date, end: date, grain: str, written: str) -> None:
    assert Language("en").period(start, end, grain) == written


def test_names_are_listed_with_the_word_for_and() -> None:
    assert Language("en").listed(["a", "b", "c"]) == "a, b, and c"
    assert Language("th").listed(["ก", "ข"]) == "ก และ ข"
    assert Language("th").listed(["ก"]) == "ก"


def test_a_sentence_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnknownName, match=r"units\.month"):
        Language("en").words("units.monht")


def test_a_name_nobody_translated_reads_as_words() -> None:
    assert Language("th").named("kinds", "some_new_kind") == "some new kind"


def test_a_language_is_read_once() -> None:
    assert module.language("en") is module.language("en")
