"""Whatever customers write becomes text that can be read: no markup, nothing invisible, and never a crash."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.text import cleaned, language_of
from tenure.text.cleaning import KEPT, KEPT_FIRST, KEPT_LAST

# Any code point, lone surrogates and unassigned ones too, and texts that look like markup.
ANYTHING = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=200),
    st.text("<>!/-&;#ab \n\u200b\u202e\u0e01\u0e49\u0301😡", max_size=200),
)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<p>Too <b>expensive</b></p>", "Too expensive"),
        ("a &lt;b&gt; &amp; c&nbsp;d", "a <b> & c d"),
        ("I <3 it, 2 < 3 and 5 > 4", "I <3 it, 2 < 3 and 5 > 4"),
        ("x<style>p{color:red}</style>y<script>alert('1')</script>z", "x y z"),
        ("before<!-- hidden <b> -->after", "before after"),
        ("<STYLE>p{}</STYLE>shown", "shown"),
        ("<style>never closed", "never closed"),
        ("แพง\u200bเกิน\u200dไป", "แพงเกินไป"),
        ("\u202ereversed\u202c \ufeffand marked\u00ad", "reversed and marked"),
        ("cafe\u0301", "café"),
        ("so bad 😡😡😡😡😡😡", "so bad 😡😡😡"),
        ("❤️", "❤"),
        ("noooooooo!!!!!!", "nooo!!!"),
        ("1000000 baht 55555", "1000000 baht 55555"),
        ("line\r\n\tbreaks\x00\x07  here", "line breaks here"),
        ("\ud800half", "half"),
        ("   ", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_markup_and_what_nobody_sees_go_and_the_words_stay(written: str | None, read: str) -> None:
    assert cleaned(written) == read


def test_of_a_text_of_a_million_characters_the_beginning_and_the_end_count() -> None:
    # 200,000 characters are looked at; of these the first 3,000 and the last 1,000 less the space between them count.
    text = "".join(f"{number:09d} " for number in range(100_000))
    read = cleaned(text)
    looked_at = text[:200_000].strip()
    assert len(read) == KEPT
    assert read == f"{looked_at[:KEPT_FIRST]} {looked_at[-KEPT_LAST + 1 :]}"


@pytest.mark.parametrize("piece", ["<a", "<style>", "<!--", "&amp;", "<", "aaaa", "\u200b", "้", "<a <", "</style"])
def test_a_million_characters_of_something_nasty_are_read(piece: str) -> None:
    assert len(cleaned(piece * (1_000_000 // len(piece)))) <= KEPT


def test_markup_of_a_long_mail_does_not_use_up_what_is_kept() -> None:
    mail = "<style>" + "p{margin:0}" * 5_000 + "</style>" + "<div>" * 3_000 + "I am leaving because of the price"
    assert cleaned(mail) == "I am leaving because of the price"


@given(ANYTHING)
def test_any_text_is_read_and_reading_leaves_nothing_invisible(text: str) -> None:
    read = cleaned(text)
    assert len(read) <= KEPT
    assert read == read.strip()
    assert "  " not in read
    assert not {"\u200b", "\u202e", "\ufeff", "\x00", "\ud800"} & set(read)
    assert language_of(read) in {"en", "th", "other", ""}


@given(st.text(st.characters(exclude_categories=["Cs", "Cf", "Cc", "Co", "Cn"]), max_size=100))
def test_text_without_markup_keeps_every_letter(text: str) -> None:
    text = text.replace("<", "").replace("&", "")
    letters = [character for character in unicodedata.normalize("NFC", text) if character.isalpha()]
    kept = [character for character in cleaned(text) if character.isalpha()]
    assert set(kept) == set(letters)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The price is too high for us", "en"),
        ("cancel", "en"),
        ("Don’t need it anymore", "en"),
        ("I loved the café in Zürich", "en"),
        ("ยกเลิกค่ะ", "th"),
        ("ย้ายไปใช้ FlowAccount แล้วครับ", "th"),
        ("อยาก upgrade package internet", "th"),
        ("Das ist mir viel zu teuer geworden", "other"),
        ("C'est trop cher pour nous", "other"),
        ("Es demasiado caro y no funciona", "other"),
        ("Terlalu mahal dan tidak berguna", "other"),
        ("Quá đắt và không có ích", "other"),
        ("太贵了，我们不再需要", "other"),
        ("слишком дорого", "other"),
        ("غالي جدا", "other"),
        ("qwrtzpsdf", "other"),
        ("5/10 😡 !!!", ""),
        ("", ""),
    ],
)
def test_the_language_is_told_by_script_and_function_words(text: str, language: str) -> None:
    assert language_of(text) == language
