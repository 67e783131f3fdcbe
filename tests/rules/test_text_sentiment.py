"""How a text feels: Thai held against Wisesight's published test split, English against sentences written for it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import published_texts
from tenure.text import Sentiment
from tenure.text.sentiment import WISESIGHT, shipped, train

REFERENCE = Path(__file__).parent.parent / "reference"


def test_thai_feelings_are_right_on_seven_of_ten_of_the_published_test_split(
    shared_data: Callable[[str], Path],
) -> None:
    folder = shared_data("wisesight_th/data.zip").parent.parent
    _, (texts, given_labels) = published_texts.wisesight(folder)
    guesses = shipped().predict(texts, 0)
    right = sum(guess.label == WISESIGHT[label] for guess, label in zip(guesses, given_labels, strict=True))
    assert len(texts) == 2_671
    assert right / len(texts) >= 0.70
    sure = sum(guess.confidence for guess in guesses) / len(texts)
    assert abs(sure - right / len(texts)) < 0.05, "confidence is the chance of being right"


def test_the_shipped_weights_are_what_the_training_split_teaches(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("wisesight_th/data.zip").parent.parent
    (texts, labels), (unseen, _) = published_texts.wisesight(folder)
    again = train(texts, [WISESIGHT[label] for label in labels]).predict(unseen, 0)
    kept = shipped().predict(unseen, 0)
    # Half precision moves a confidence in its third digit, and with it a text between two labels.
    assert sum(one.label == other.label for one, other in zip(again, kept, strict=True)) >= 0.99 * len(unseen)


def test_english_feelings_are_mostly_right_on_sentences_written_for_it() -> None:
    with (REFERENCE / "feelings_in_english.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    feelings = Sentiment().read([row["text"] for row in rows])
    right = sum(feeling.label == row["feeling"] for feeling, row in zip(feelings, rows, strict=True))
    opposite = [
        row["text"]
        for feeling, row in zip(feelings, rows, strict=True)
        if {feeling.label, row["feeling"]} == {"positive", "negative"}
    ]
    assert len(rows) == 60
    assert right >= 36, f"{right} of 60"
    assert len(opposite) <= 9, opposite


@pytest.mark.parametrize(
    ("text", "feeling"),
    [
        ("Great product, thank you", "positive"),
        ("Not helpful at all", "negative"),
        ("Not bad", "positive"),
        ("Great idea but far too slow", "negative"),
        ("Slow at first, but wonderful now", "positive"),
        ("Too fast", "negative"),
        ("😡😡", "negative"),
        ("😍", "positive"),
        ("How do I change my address?", "question"),
        ("We have two offices.", "neutral"),
        ("บริการแย่มาก", "negative"),
        ("ชอบมาก อร่อยที่สุด", "positive"),
        ("Das ist schlecht", None),
        ("", None),
        ("...", None),
    ],
)
def test_negation_excess_and_turns_are_heard(text: str, feeling: str | None) -> None:
    assert Sentiment().read([text])[0].label == feeling


def test_a_feeling_says_which_reading_answered() -> None:
    by = [feeling.by for feeling in Sentiment().read(["ดีมาก", "very good", "", None])]
    assert by == ["wisesight", "words", "", ""]


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_text_has_a_feeling_or_none_and_a_score_in_bounds(texts: list[str]) -> None:
    feelings = Sentiment().read(texts)
    assert len(feelings) == len(texts)
    for feeling in feelings:
        assert feeling.label in {"positive", "neutral", "negative", "question", None}
        assert -1 <= feeling.score <= 1
        assert (feeling.label is None) == (feeling.by == "")
