"""A customer's own words: read, cleaned of what acts, cut where they are long."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.faces.report.quoting import COMMENT_LENGTH, name_of, quoted


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand  gaps", "two lines and gaps"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),  # the escape is gone, its letters do nothing
        ("abc\u202edcba\u202c", "abc dcba"),  # right-to-left override
        ("a\u200bb\ufeffc", "a b c"),  # zero-width space, byte order mark
        ("\u200b\u200d\u2060", ""),  # nothing that can be seen
        ("ชื่อไทย น้ำ", "ชื่อไทย น้ำ"),
        ("شركة النور", "شركة النور"),
        ("👩\u200d👧 ok", "👩\u200d👧 ok"),  # a family is one emoji, joined
        ("<b>&amp;</b>", "<b>&amp;</b>"),  # escaping is the template's work
        ("", ""),
    ],
)
def test_what_acts_is_taken_out_and_what_shows_stays(given_text: str, shown: str) -> None:
    assert quoted(given_text) == shown


def test_ten_kilobytes_are_cut_with_an_ellipsis() -> None:
    cut = quoted("x" * 10_240)
    assert len(cut) == COMMENT_LENGTH
    assert cut.endswith("…")
    assert quoted("x" * COMMENT_LENGTH) == "x" * COMMENT_LENGTH


def test_a_letter_is_never_cut_from_its_marks_nor_a_family_in_two() -> None:
    # Three Thai letters with marks: the fifth character is a mark of the third letter.
    assert quoted("ที่ดี่ที่ดี่", 6) == "ที่…"
    assert quoted("ab👩\u200d👧👩\u200d👧", 5) == "ab…"
    assert quoted("ab👍🏽cd", 4) == "ab…"


def test_a_customer_without_a_name_that_can_be_seen_is_shown_by_id() -> None:
    assert name_of("Acme", "cus_1") == "Acme"
    assert name_of("", "cus_1") == "cus_1"
    assert name_of("\u200b\u200b", "cus_1") == "cus_1"
    assert name_of("\u200b", "\u200b") == "?"


@given(st.text(max_size=600), st.integers(min_value=2, max_value=300))
def test_no_text_grows_breaks_the_line_or_keeps_a_control(text: str, limit: int) -> None:
    shown = quoted(text, limit)
    assert len(shown) <= max(limit, 1) + 1
    assert "\n" not in shown
    assert not any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in shown)
    assert not any(letter in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff" for letter in shown)
    assert quoted(shown, limit + 1) == shown
