"""Labels learnt from examples: held against published test splits, and confidence against how often it is right."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import published_texts
from tenure.errors import BadInput, Damaged
from tenure.text import TextClassifier, ngrams
from tenure.text.linear import Guess

TEXTS = [
    *("far too expensive", "the price is high", "expensive for us", "price went up", "cannot afford the price"),
    *("it is very slow", "slow to load", "so slow today", "loading is slow", "the page is slow"),
]
LABELS = ["price"] * 5 + ["speed"] * 5


def test_where_thai_callers_want_to_go_is_told_as_well_as_published(shared_data: Callable[[str], Path]) -> None:
    # Published: fastText .384, LinearSVC .808, ULMFit .835. One test text in thirteen is in the training split too.
    folder = shared_data("truevoice_intent_th/mari-intent.zip").parent.parent
    (texts, labels), (unseen, truth) = published_texts.truevoice(folder)
    assert (len(texts), len(unseen)) == (12_939, 3_236)
    guesses = TextClassifier.fit(texts, labels).predict(unseen, 0)
    right = np.array([guess.label == label for guess, label in zip(guesses, truth, strict=True)])
    sure = np.array([guess.confidence for guess in guesses])
    assert right.mean() >= 0.85
    assert abs(sure.mean() - right.mean()) < 0.05
    # Calibrated all along, not only in the mean: each fifth by confidence is right about as often as it says.
    for fifth in np.array_split(np.argsort(sure), 5):
        assert abs(sure[fifth].mean() - right[fifth].mean()) < 0.08


def test_thai_callers_who_want_to_cancel_are_found(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("truevoice_intent_th/mari-intent.zip").parent.parent
    (texts, labels), (unseen, truth) = published_texts.truevoice(folder, "action")
    given_labels = [str(guess.label) for guess in TextClassifier.fit(texts, labels).predict(unseen, 0)]
    assert truth.count("cancel") == 161
    assert published_texts.f1("cancel", given_labels, truth) >= 0.88


def test_seventy_seven_intents_of_a_bank_are_told_apart(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("banking77/train.csv").parent.parent
    (texts, labels), (unseen, truth) = published_texts.banking77(folder)
    assert (len(texts), len(unseen), len(set(labels))) == (10_003, 3_080, 77)
    guesses = TextClassifier.fit(texts, labels).predict(unseen, 0)
    assert sum(guess.label == label for guess, label in zip(guesses, truth, strict=True)) / len(truth) >= 0.89


@given(st.lists(st.text("ab เก้า'.😡1", max_size=30), min_size=1, max_size=6))
def test_hashed_counts_are_those_of_a_plain_count(texts: list[str]) -> None:
    found = ngrams.counts(texts, bits=30)  # so many columns that two runs hardly ever share one
    for row, text in enumerate(texts):
        folded = f" {text} "
        plain = Counter(folded[i : i + size] for size in (2, 3, 4) for i in range(len(folded) - size + 1))
        word, words = "", []
        for character in [*folded, " "]:
            if character == "'" or (character.isalnum() and not "\u0e00" <= character <= "\u0e7f"):
                word += character
            elif word:
                words, word = [*words, word], ""
        expected = sorted([*plain.values(), *Counter(words).values()])
        pairs = max(len(words) - 1, 0)
        counted = found[row].data
        assert counted.sum() == sum(expected) + pairs
        if not pairs:
            assert sorted(counted) == expected


@given(st.lists(st.text(max_size=20), min_size=1, max_size=8), st.integers(1, 40))
def test_batches_hold_every_text_once_and_change_no_count(texts: list[str], characters: int) -> None:
    spans = list(ngrams.batches(texts, characters))
    assert [number for begin, end in spans for number in range(begin, end)] == list(range(len(texts)))
    whole = ngrams.counts(texts).toarray()
    for begin, end in spans:
        assert (ngrams.counts(texts[begin:end]).toarray() == whole[begin:end]).all()


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_weighted_rows_have_length_one_or_are_empty(texts: list[str]) -> None:
    found = ngrams.counts(texts)
    weighted = ngrams.weighted(found, ngrams.rarity(found)).toarray()
    lengths = np.sqrt((weighted**2).sum(axis=1))
    assert all(np.isclose(length, 1, atol=1e-5) for length in lengths), "two spaces are a run, so no row is empty"


def test_the_order_of_the_examples_changes_nothing(tmp_path: Path) -> None:
    mixed = list(zip(TEXTS, LABELS, strict=True))
    random.Random(5).shuffle(mixed)
    TextClassifier.fit(TEXTS, LABELS).save(tmp_path / "a")
    TextClassifier.fit([text for text, _ in mixed], [label for _, label in mixed]).save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_reading_that_was_kept_answers_as_before(tmp_path: Path) -> None:
    learnt = TextClassifier.fit(TEXTS, LABELS, made_of="these")
    learnt.save(tmp_path / "kept")
    again = TextClassifier.load(tmp_path / "kept")
    asked = ["how slow", "the price", "", "nothing known 123"]
    assert again.predict(asked) == learnt.predict(asked)
    assert (again.labels, again.made_of, again.by) == (("price", "speed"), "these", "ngrams")
    learnt.save(tmp_path / "small", small=True)
    assert (tmp_path / "small").stat().st_size < (tmp_path / "kept").stat().st_size
    assert TextClassifier.load(tmp_path / "small").probabilities(asked) == pytest.approx(
        learnt.probabilities(asked), abs=0.01
    )


def test_a_kept_reading_holds_no_pickle_and_a_damaged_one_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    TextClassifier.fit(TEXTS, LABELS).save(path)
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        arrays = {name: stored[name] for name in stored.files}
    assert about["version"] == 1
    with pytest.raises(BadInput, match="no reading is kept at"):
        TextClassifier.load(tmp_path / "none")
    whole = path.read_bytes()
    for broken in (b"", b"not a file of ours", whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(Damaged, match="learn it again"):
            TextClassifier.load(path)
    arrays["about"] = np.array(json.dumps(about | {"version": 99}))
    with path.open("wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(Damaged, match="version 99, not 1"):
        TextClassifier.load(path)


def test_below_the_threshold_and_for_an_empty_text_nobody_can_tell() -> None:
    learnt = TextClassifier.fit(TEXTS, LABELS)
    assert learnt.predict(["too expensive"])[0].label == "price"
    unsure = learnt.predict(["too expensive"], threshold=1.1)[0]
    assert unsure.label is None
    assert 0.5 <= unsure.confidence <= 1
    assert learnt.predict(["", None, " \u200b<br>"]) == [Guess(None, 0.0)] * 3
    assert learnt.predict([]) == []


@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=[]), max_size=50)), max_size=5))
def test_any_texts_have_chances_that_sum_to_one(texts: list[str | None]) -> None:
    chances = LEARNT.probabilities(texts)
    assert chances.shape == (len(texts), 2)
    assert np.allclose(chances.sum(axis=1), 1)


def test_what_cannot_be_learnt_is_refused() -> None:
    with pytest.raises(BadInput, match="at least two labels"):
        TextClassifier.fit(["a", "b"], ["x", "x"])
    with pytest.raises(BadInput, match="2 texts and 1 labels"):
        TextClassifier.fit(["a", "b"], ["x"])


LEARNT = TextClassifier.fit(TEXTS, LABELS)
