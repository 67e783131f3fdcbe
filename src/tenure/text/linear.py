"""Which label does a text carry, and how sure is that? A linear reading, learnt from examples, with "can't tell".

Each label has a weight for every column of the texts' features (a linear support vector machine for each against the
rest; scikit-learn's LinearSVC). Scores become chances by a softmax, whose temperature is fitted to texts that the
reading had not seen: a fifth is held back after another, until a thousand texts or all have been, and chosen by a hash
of the text, so that a text written twice is never on both sides. A confidence of 0.8 therefore means right in about
four of five cases, on texts like those of the examples; below the threshold, 0.5 unless told otherwise, the answer is
None: can't tell.

Everything follows from the examples alone: their order changes nothing, and nothing is drawn by chance.
"""

from __future__ import annotations

import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from tenure.errors import BadInput, Damaged
from tenure.text import ngrams
from tenure.text.cleaning import cleaned

VERSION = 1
THRESHOLD = 0.5
STRENGTH = 0.5
FOLDS = 5
_ENOUGH = 1_000  # texts held back fix one temperature well; more fits would only take longer
_FEW = 20  # with fewer texts held back, a temperature fitted to them says nothing
_TEMPERATURE = 0.3


class Encoder(Protocol):
    """What turns texts into rows of numbers of length one, such as tenure.text.encoder.SentenceEncoder."""

    name: str

    def encode(self, texts: Sequence[str]) -> Any:
        """One float32 row for each text."""


class Guess(NamedTuple):
    """A label with the chance that it is right; None for "can't tell", with the chance of the best label there was."""

    label: str | None
    confidence: float


class TextClassifier:
    """Reads a text as one of the labels it learnt from examples.

    >>> texts = ["too dear", "far too dear", "so slow", "very slow"]
    >>> learnt = TextClassifier.fit(texts, ["price", "price", "speed", "speed"])
    >>> learnt.predict(["it is dear"])[0].label
    'price'
    """

    def __init__(
        self,
        labels: Sequence[str],
        weights: Any,
        offsets: Any,
        temperature: float,
        rare: Any = None,
        columns: Any = None,
        encoder: Encoder | None = None,
        bits: int = ngrams.BITS,
        made_of: str = "",
    ) -> None:
        """What `fit` and `load` make; `made_of` is what the maker wishes to remember with it."""
        self.labels = tuple(labels)
        self.temperature = temperature
        self.made_of = made_of
        self._weights, self._offsets = weights, offsets
        self._rare, self._columns, self._encoder, self._bits = rare, columns, encoder, bits

    @property
    def by(self) -> str:
        """Which features answered: `ngrams`, or the encoder's name."""
        return "ngrams" if self._encoder is None else self._encoder.name

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        labels: Sequence[str],
        *,
        encoder: Encoder | None = None,
        weights: Sequence[float] | None = None,
        calibrate_on: Sequence[bool] | None = None,
        family: Callable[[str], str] = str,
        balanced: bool = False,
        strength: float = STRENGTH,
        bits: int = ngrams.BITS,
        made_of: str = "",
    ) -> TextClassifier:
        """Learn from texts and the label of each.

        encoder: features of a sentence encoder instead of character n-grams. weights: how much each example counts.
        calibrate_on: the examples on which confidence is calibrated, where some are unlike the texts to come. family:
        labels of one family are one answer where confidence is calibrated. balanced: whether rare labels count as much
        as frequent ones. strength: the inverse of the regularisation (C).

        Raises
        ------
        BadInput : fewer than two labels, or as many labels as texts were not given.
        """
        if len(texts) != len(labels):
            raise BadInput(f"{len(texts)} texts and {len(labels)} labels: give one label for each text")
        counted = [1.0] * len(texts) if weights is None else [float(weight) for weight in weights]
        checked = [True] * len(texts) if calibrate_on is None else [bool(one) for one in calibrate_on]
        rows = sorted(zip(map(cleaned, texts), labels, counted, checked, strict=True))
        if len({label for _, label, _, _ in rows}) < 2:
            raise BadInput("a reading is learnt from examples of at least two labels; give some of another label")
        words = [row[0] for row in rows]
        names = np.array([row[1] for row in rows])
        counting = np.array([row[2] for row in rows])
        found, rare = _features(words, encoder, bits)
        columns = None
        if encoder is None:  # a hashed column that no example has is never looked at
            columns, narrow = np.unique(found.indices, return_inverse=True)
            found = type(found)((found.data, narrow.astype(np.int32), found.indptr), (found.shape[0], len(columns)))
        fold = np.array([_fold(text) for text in words])
        known, place = np.unique(names, return_inverse=True)

        def machine(which: Any) -> tuple[Any, Any]:
            return _machine(found[which], place[which], counting[which], len(known), balanced, strength)

        held_back: list[tuple[Any, Any]] = []
        for part in range(FOLDS):
            if sum(len(right) for _, right in held_back) >= _ENOUGH:
                break
            out = (fold == part) & np.array([row[3] for row in rows])
            rest = fold != part
            if out.any() and len(set(place[rest])) > 1:
                coefficients, offsets = machine(rest)
                held_back.append((found[out] @ coefficients + offsets, place[out]))
        coefficients, offsets = machine(np.ones(len(rows), bool))
        return cls(
            [str(label) for label in known],
            np.ascontiguousarray(coefficients, np.float32),
            offsets.astype(np.float32),
            _temperature(held_back, np.unique([family(str(label)) for label in known], return_inverse=True)[1]),
            rare,
            columns,
            encoder,
            bits,
            made_of,
        )

    def probabilities(self, texts: Sequence[str | None]) -> Any:
        """The chance of each label for each text: an array, texts by `labels`, rows summing to one."""
        return self.chances([cleaned(text) for text in texts])

    def chances(self, words: Sequence[str]) -> Any:
        """As `probabilities`, of texts that are cleaned already."""
        found = np.empty((len(words), len(self.labels)), np.float64)
        for begin, end, scores in self._scores(words):
            scores = scores.astype(np.float64) / self.temperature
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            found[begin:end] = scores / scores.sum(axis=1, keepdims=True)
        return found

    def predict(self, texts: Sequence[str | None], threshold: float = THRESHOLD) -> list[Guess]:
        """The likeliest label of each text with its chance; None below `threshold`, and with 0 for an empty text."""
        words = [cleaned(text) for text in texts]
        chances = self.chances(words)
        best = chances.argmax(axis=1)
        sure = chances[np.arange(len(best)), best]
        return [
            Guess(self.labels[label] if chance >= threshold else None, float(chance)) if text else Guess(None, 0.0)
            for label, chance, text in zip(best, sure, words, strict=True)
        ]

    def _scores(self, words: Sequence[str]) -> Iterator[tuple[int, int, Any]]:
        """Scores by spans of the texts."""
        if self._encoder is not None:
            if words:
                yield 0, len(words), self._encoder.encode(words) @ self._weights + self._offsets
            return
        from scipy.sparse import csr_matrix

        place = np.full(1 << self._bits, -1, np.int32)
        place[self._columns] = np.arange(len(self._columns), dtype=np.int32)
        for begin, end in ngrams.batches(words):
            found = ngrams.weighted(ngrams.counts(words[begin:end], self._bits), self._rare)
            column = place[found.indices]
            kept = column >= 0
            ends = np.concatenate([[0], np.cumsum(kept)])[found.indptr]
            narrow = csr_matrix((found.data[kept], column[kept], ends), shape=(end - begin, len(self._columns)))
            yield begin, end, narrow @ self._weights + self._offsets

    # --- keeping it --------------------------------------------------------------------------------------------------

    def save(self, path: Path | str, small: bool = False) -> None:
        """Write the reading to one file of plain arrays (.npz, no pickle); equal readings give equal bytes.

        small: half the bytes, in half precision; a confidence then differs in its third digit.
        """
        about = {
            "version": VERSION,
            "labels": self.labels,
            "temperature": self.temperature,
            "by": self.by,
            "bits": self._bits,
            "made_of": self.made_of,
        }
        arrays = {"weights": self._weights, "offsets": self._offsets}
        if self._encoder is None:
            arrays |= {"rare": self._rare, "columns": self._columns}
        if small:
            arrays = {name: array if name == "columns" else array.astype(np.float16) for name, array in arrays.items()}
        with Path(path).open("wb") as file:
            np.savez_compressed(file, about=np.array(json.dumps(about, ensure_ascii=False)), **arrays)

    @classmethod
    def load(cls, path: Path | str, encoder: Encoder | None = None) -> TextClassifier:
        """Read what `save` wrote.

        Raises
        ------
        BadInput : no such file, or it was learnt with an encoder and another one, or none, is given.
        Damaged : the file is not one of ours, or another version wrote it: learn again from the same examples.
        """
        path = Path(path)
        again = "learn it again from the same examples, nothing else is lost"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                about = json.loads(str(stored["about"]))
                if about["version"] != VERSION:
                    raise Damaged(f"{path} is a reading of version {about['version']}, not {VERSION}; {again}")
                if about["by"] != ("ngrams" if encoder is None else encoder.name):
                    raise BadInput(f"{path} was learnt with '{about['by']}'; load it with that encoder")
                arrays = {name: stored[name] for name in stored.files if name != "about"}
                return cls(
                    about["labels"],
                    arrays["weights"].astype(np.float32),
                    arrays["offsets"].astype(np.float32),
                    float(about["temperature"]),
                    arrays["rare"].astype(np.float32) if encoder is None else None,
                    arrays["columns"].astype(np.int32) if encoder is None else None,
                    encoder,
                    int(about["bits"]),
                    about["made_of"],
                )
        except FileNotFoundError as err:
            raise BadInput(f"no reading is kept at {path}") from err
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as err:
            raise Damaged(f"{path} does not hold a reading of texts ({err}); {again}") from err


def _features(words: Sequence[str], encoder: Encoder | None, bits: int) -> tuple[Any, Any]:
    """Features of the examples, and how rare each column is."""
    if encoder is not None:
        return np.asarray(encoder.encode(words), np.float32), None
    from scipy.sparse import vstack

    found = vstack([ngrams.counts(words[begin:end], bits) for begin, end in ngrams.batches(words)], format="csr")
    rare = ngrams.rarity(found)
    return ngrams.weighted(found, rare), rare


def _machine(found: Any, place: Any, counting: Any, labels: int, balanced: bool, strength: float) -> tuple[Any, Any]:
    """Weights (columns by labels) and offsets; a label that does not occur is never chosen."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    model = LinearSVC(C=strength, class_weight="balanced" if balanced else None, random_state=0, max_iter=5000)
    with warnings.catch_warnings():
        # Contradicting labels may keep it from its optimum; what it found by then is as good as they are.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(found, place, sample_weight=counting)
    coefficients, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        coefficients, intercept = (
            np.vstack([-coefficients[0], coefficients[0]]),
            np.array([-intercept[0], intercept[0]]),
        )
    weights = np.zeros((found.shape[1], labels), np.float32)
    offsets = np.full(labels, -2.0)
    weights[:, model.classes_] = coefficients.T
    offsets[model.classes_] = intercept
    return weights, offsets


def _fold(text: str) -> int:
    """In which of the folds a text is held back: by its content alone."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=2).digest()[0] % FOLDS


def _temperature(held_back: Sequence[tuple[Any, Any]], family: Any) -> float:
    """What scores are divided by, so that the chances of families fit the texts held back best (least log loss)."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    if sum(len(place) for _, place in held_back) < _FEW:
        return _TEMPERATURE
    scores = np.vstack([score for score, _ in held_back]).astype(np.float64)
    place = np.concatenate([place for _, place in held_back])
    others = np.where(family[None, :] == family[place][:, None], 0.0, -np.inf)

    def loss(log_temperature: float) -> float:
        scaled = scores / np.exp(log_temperature)
        return float((logsumexp(scaled, axis=1) - logsumexp(scaled + others, axis=1)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-4.0, 2.0), method="bounded").x))
