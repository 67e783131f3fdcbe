"""Tables, marks and cells: what is printed is aligned, fits, and runs nowhere."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.faces.cli.layout import Column, cells, printable, shortened, table, wrapped
from tenure.faces.cli.numbers import Footnotes, amount, as_table, interval, number, trimmed
from tenure.faces.cli.outputs import as_csv, as_json, flattened

TEXT = st.text(max_size=60)


def row(**told: object) -> dict[str, object]:
    """One number of an answer, as the engine gives it."""
    return {
        "metric": "customer_churn_rate", "profile": "tenure", "period_start": "2026-01-01",
        "period_end": "2026-02-01", "segment": None, "currency": None, "unit": "rate", "value": 0.08, "low": 0.04,
        "high": 0.15, "numerator": 8, "denominator": 100, "n": 100, "reason": None,
    } | told  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- layout


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8), st.integers(40, 100))
def test_a_table_never_grows_wider_than_its_room(rows: list[tuple[str, str]], room: int) -> None:
    text = table([Column("who", cut=True), Column("what", cut=True)], rows, room)
    *lines, last = text.split("\n")
    assert last == ""
    assert len(lines) == len(rows) + 2
    assert max(cells(line) for line in lines) <= room


@given(TEXT)
def test_nothing_printed_moves_the_cursor_or_turns_the_text_around(text: str) -> None:
    shown = printable(text)
    assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


@given(TEXT, st.integers(1, 40))
def test_a_shortened_text_fits_and_says_that_it_was_cut(text: str, room: int) -> None:
    short = shortened(text, room)
    assert cells(short) <= room
    assert short == text or short.endswith("…")


def test_thai_takes_the_columns_it_is_drawn_in() -> None:
    # ก ำ ลั ง: the vowel and tone marks above and below take no column of their own.
    assert cells("ที่") == 1
    lines = table([Column("ชื่อ"), Column("n", right=True)], [["ที่รัก", "1"], ["abc", "22"]]).split("\n")
    assert len({cells(line) for line in lines if line}) == 1


def test_a_number_is_right_aligned_and_never_cut() -> None:
    lines = table([Column("who", cut=True), Column("sum", right=True)], [["x" * 300, "$1.00"], ["y", "$1,000.00"]], 60)
    head, _, first, second, _ = lines.split("\n")
    assert first.endswith("    $1.00")
    assert second.endswith("$1,000.00")
    assert "…" in first
    assert len(head) == len(first) == len(second) == 60


def test_a_paragraph_keeps_its_words_and_its_width() -> None:
    text = wrapped("word " * 60, 50, indent="  ")
    assert max(len(line) for line in text.split("\n")) <= 50
    assert text.split() == ["word"] * 60


# --------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("value", "unit", "currency", "shown"),
    [
        (Decimal("1234.5"), "money", "USD", "$1,234.50"),
        (Decimal("-1234"), "money", "JPY", "-¥1,234"),
        (Decimal("1.234"), "money", "KWD", "1.234 KWD"),
        (0.08, "rate", None, "8.00 %"),
        (1.2345, "rate", None, "123.45 %"),
        (0.0, "rate", None, "0.00 %"),
        (1234, "count", None, "1,234"),
        (1.75, "ratio", None, "1.75"),
        (None, "rate", None, "–"),
        (None, "money", "USD", "–"),
    ],
)
def test_a_number_reads_in_its_unit(value: object, unit: str, currency: str | None, shown: str) -> None:
    assert number(value, unit, currency) == shown


def test_an_interval_is_in_the_unit_of_its_number() -> None:
    assert interval(row()) == "4.00 to 15.00 %"
    assert interval(row(low=None)) == ""


def test_small_bases_share_one_footnote_and_other_reasons_have_their_own() -> None:
    notes = Footnotes()
    assert notes.mark("small base: 8 customers at the start (under 30)") == "[1]"
    assert notes.mark("small base: 12 customers at the start (under 30)") == "[1]"
    assert notes.mark("nobody pays") == "[2]"
    assert notes.mark(None) == ""
    assert notes.text(80) == "[1] small base: under 30 customers at the start\n[2] nobody pays\n"


def test_an_unknown_segment_says_that_it_is_unknown() -> None:
    text = as_table([row(segment={"channel": None}), row(segment={"channel": "ads"})], "month", ["channel"])
    assert [line.split()[:2] for line in text.splitlines()[2:4]] == [["2026-01", "(unknown)"], ["2026-01", "ads"]]


def test_metrics_that_do_not_fit_side_by_side_stand_below_each_other() -> None:
    names = [f"a_rather_long_name_of_a_rate_{i}" for i in range(5)]
    text = as_table([row(metric=name) for name in names], "month", [])
    heads = [line for line in text.splitlines() if line.startswith("period")]
    assert len(heads) > 1
    assert [name for head in heads for name in head.split() if name.startswith("a_")] == names
    assert max(len(line) for line in text.splitlines()) <= 100


def test_money_keeps_its_digits_and_more_only_where_it_is_finer() -> None:
    assert str(trimmed(Decimal("12.3000000000"), "USD")) == "12.30"
    assert str(trimmed(Decimal("8.3333330000"), "USD")) == "8.333333"
    assert str(trimmed(Decimal("3000.0000000000"), "JPY")) == "3000"
    assert trimmed(None, "USD") is None
    assert amount(Decimal("12.30"), "EUR") == "€12.30"


# --------------------------------------------------------------------------------------------------------- outputs


@pytest.mark.parametrize("formula", ["=1+1", "+1+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_csv_runs_in_a_spreadsheet(formula: str) -> None:
    text = as_csv(["name", formula], [{"name": formula, formula: "x"}])
    head, line = csv.reader(io.StringIO(text, newline=""))
    assert line[0] == "'" + formula
    assert head[1] == "'" + formula


def test_csv_keeps_exact_values_and_leaves_the_unknown_empty() -> None:
    values = [Decimal("-12.50"), 0.1 + 0.2, None, True, date(2026, 1, 31), datetime(2026, 1, 31, tzinfo=UTC), [1], "-3"]
    (line,) = csv.reader(
        io.StringIO(as_csv([str(i) for i in range(8)], [dict(zip("01234567", values, strict=True))])[16:])
    )
    assert line == [
        "-12.50", "0.30000000000000004", "", "true", "2026-01-31", "2026-01-31T00:00:00+00:00", "[1]", "-3",
    ]  # fmt: skip


def test_json_is_strict_even_where_a_number_or_a_name_is_not() -> None:
    text = as_json([{"value": float("nan"), "high": float("inf"), "file": "caf\udce9.csv", "money": Decimal("0E-2")}])
    found = json.loads(text.encode("utf-8"))
    assert found == [{"value": None, "high": None, "file": "caf\\udce9.csv", "money": "0.00"}]
    assert json.loads(as_json([])) == []


def test_a_segment_takes_one_column_of_csv_for_each_of_its_parts() -> None:
    keys, (flat,) = flattened(
        ("metric", "segment", "value"), [row(segment={"plan_id": "a", "size": None})], ["plan_id", "size"]
    )
    assert keys == ["metric", "segment.plan_id", "segment.size", "value"]
    assert (flat["segment.plan_id"], flat["segment.size"]) == ("a", None)
    assert flattened(("metric", "segment"), [row()], [])[0] == ["metric", "segment"]
