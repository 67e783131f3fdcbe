"""Why do they say they leave? Each text read as a cause and a reason of the taxonomy, or "can't tell".

The reading starts from the taxonomy's phrases alone. What people label is learnt besides: the latest label of a text
counts, it is the answer for that text, and it teaches the reading of texts like it; one that names only a cause teaches
the reason of it that is likeliest by the phrases. With fifty labels and more, confidence is calibrated on them alone,
for customers write otherwise than authors of phrases.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tenure.errors import BadInput, Damaged
from tenure.text.cleaning import cleaned
from tenure.text.languages import language_of
from tenure.text.linear import THRESHOLD, Encoder, TextClassifier
from tenure.text.taxonomy import Taxonomy

PERSON = "person"
_ENOUGH_LABELS = 50
_MOST = 0.5  # of a cause's chance that one reason must have to be named


class Label(NamedTuple):
    """What a person said a text means: a code of the taxonomy, or None to take back what was said before."""

    text_id: str
    code: str | None
    recorded_at: datetime


class Reading(NamedTuple):
    """What a text says of why.

    cause: a code of the taxonomy, "unknown" for a text that says nothing of why, None for "can't tell". reason: within
    the cause, None where no reason has half of its chance. confidence: the chance that the cause is right; 1 for a
    person's. by: "person", "ngrams" or the encoder's name. language: en, th, other or ''. text_id opens the text.
    """

    text_id: str
    cause: str | None
    reason: str | None
    confidence: float
    by: str
    language: str


def latest(labels: Iterable[Label], known_on: datetime | None = None) -> dict[str, str]:
    """The code that counts for each text: its latest label's; of two recorded at one instant the greater code.

    known_on: labels recorded after it are left out. Raises BadInput where an instant has no time zone.
    """
    found: dict[str, Label] = {}
    for label in labels:
        if label.recorded_at.tzinfo is None:
            raise BadInput(f"the label of text '{label.text_id}' has a time without a zone: {label.recorded_at}")
        if known_on is not None and label.recorded_at > known_on:
            continue
        before = found.get(label.text_id)
        if before is None or (label.recorded_at, label.code or "") >= (before.recorded_at, before.code or ""):
            found[label.text_id] = label
    return {text_id: label.code for text_id, label in sorted(found.items()) if label.code is not None}


class ReasonClassifier:
    """Reads texts as reasons; what it learns makes a new one, so an answer can be given again.

    >>> reader = ReasonClassifier.from_phrases()
    >>> [(one.cause, one.by) for one in reader.read({"t1": "It is just too expensive for us", "t2": "แพงเกินไปค่ะ"})]
    [('price', 'ngrams'), ('price', 'ngrams')]
    """

    def __init__(
        self, taxonomy: Taxonomy, model: TextClassifier, encoder: Encoder | None, labelled: Mapping[str, str]
    ) -> None:
        """What `from_phrases`, `learn` and `load` make."""
        self.taxonomy = taxonomy
        self.labelled = dict(labelled)
        self._model = model
        self._encoder = encoder
        self._causes = np.array([[taxonomy[code].cause == cause for cause in taxonomy.causes] for code in model.labels])

    @property
    def by(self) -> str:
        """Which reading answers where no person did: `ngrams`, or the encoder's name."""
        return self._model.by

    @classmethod
    def from_phrases(cls, taxonomy: Taxonomy | None = None, encoder: Encoder | None = None) -> ReasonClassifier:
        """The reading that the taxonomy's phrases give, before anybody has labelled a text."""
        return _learnt(taxonomy or Taxonomy.load(), encoder, {}, {})

    def learn(
        self, texts: Mapping[str, str], labels: Iterable[Label], known_on: datetime | None = None
    ) -> ReasonClassifier:
        """The reading that the phrases and these labels give; `texts` by the id that labels name.

        `labels` are all there are, not those since the last time. A label whose text is not given still answers for its
        text, and teaches nothing. Raises UnknownName for a code that the taxonomy has not.
        """
        return _learnt(self.taxonomy, self._encoder, texts, latest(labels, known_on))

    def read(self, texts: Mapping[str, str | None], threshold: float = THRESHOLD) -> list[Reading]:
        """One reading for each text, in their order; below `threshold` the cause is None: can't tell."""
        words = [cleaned(text) for text in texts.values()]
        chances = self._model.chances(words)
        of_causes = chances @ self._causes
        best = of_causes.argmax(axis=1)
        sure = of_causes[np.arange(len(words)), best]
        within = np.where(self._causes.T[best], chances, 0)
        likeliest = within.argmax(axis=1)
        is_named = within[np.arange(len(words)), likeliest] >= _MOST * sure
        codes, causes, by = self._model.labels, self.taxonomy.causes, self.by
        found = []
        for number, (text_id, text) in enumerate(zip(texts, words, strict=True)):
            language = language_of(text)
            if text_id in self.labelled:
                code = self.labelled[text_id]
                cause, _, reason = code.partition(".")
                found.append(Reading(text_id, cause, code if reason else None, 1.0, PERSON, language))
            elif not text:
                found.append(Reading(text_id, None, None, 0.0, by, language))
            elif sure[number] < threshold:
                found.append(Reading(text_id, None, None, float(sure[number]), by, language))
            else:
                named = codes[likeliest[number]] if is_named[number] else None
                named = named if named and "." in named else None
                found.append(Reading(text_id, causes[best[number]], named, float(sure[number]), by, language))
        return found

    def chances(self, texts: Sequence[str | None]) -> Any:
        """The chance of each cause for each text: an array, texts by `taxonomy.causes`, rows summing to one."""
        return self._model.probabilities(texts) @ self._causes

    def save(self, path: Path | str) -> None:
        """Write the reading and its labels (ids and codes, no texts) to one file without pickle."""
        self._model.save(path)

    @classmethod
    def load(
        cls, path: Path | str, taxonomy: Taxonomy | None = None, encoder: Encoder | None = None
    ) -> ReasonClassifier:
        """Read what `save` wrote.

        Raises
        ------
        BadInput : no such file; or it was learnt from another taxonomy, or with another encoder: learn it again.
        Damaged : the file is not one of ours.
        """
        taxonomy = taxonomy or Taxonomy.load()
        model = TextClassifier.load(path, encoder)
        try:
            about = json.loads(model.made_of)
            labelled, fingerprint = dict(about["labelled"]), about["taxonomy"]
        except (ValueError, KeyError, TypeError) as err:
            raise Damaged(f"{path} holds a reading, but not one of reasons; learn it again") from err
        if fingerprint != taxonomy.fingerprint:
            raise BadInput(f"{path} was learnt from another taxonomy; learn it again from this one and the labels")
        return cls(taxonomy, model, encoder, labelled)


def _learnt(
    taxonomy: Taxonomy, encoder: Encoder | None, texts: Mapping[str, str], labelled: Mapping[str, str]
) -> ReasonClassifier:
    """The reading from a taxonomy's phrases and the texts that are labelled."""
    for code in labelled.values():
        taxonomy[code]  # says which code nobody knows
    words = [phrase for _, _, phrase in taxonomy.phrases()]
    codes = [code for code, _, _ in taxonomy.phrases()]
    phrases = len(words)
    said = [(texts[text_id], code) for text_id, code in labelled.items() if cleaned(texts.get(text_id))]
    words += [text for text, _ in said]
    codes += _reasons_of([text for text, _ in said], [code for _, code in said], words[:phrases], codes, encoder)
    enough = len(said) >= _ENOUGH_LABELS
    model = TextClassifier.fit(
        words,
        codes,
        encoder=encoder,
        calibrate_on=[not enough] * phrases + [True] * len(said),
        family=_cause,
        balanced=True,
        made_of=json.dumps({"taxonomy": taxonomy.fingerprint, "labelled": dict(labelled)}, ensure_ascii=False),
    )
    return ReasonClassifier(taxonomy, model, encoder, labelled)


def _cause(code: str) -> str:
    return code.partition(".")[0]


def _reasons_of(
    texts: Sequence[str],
    given: Sequence[str],
    phrases: Sequence[str],
    codes: Sequence[str],
    encoder: Encoder | None,
) -> list[str]:
    """The codes that labels teach: a reason as it is, a cause as the likeliest of its reasons that has phrases."""
    found = list(given)
    whole = [number for number, code in enumerate(given) if "." not in code and code not in codes]
    if not whole:
        return found
    model = TextClassifier.fit(phrases, codes, encoder=encoder, balanced=True)
    chances = model.probabilities([texts[number] for number in whole])
    for number, row in zip(whole, chances, strict=True):
        within = [place for place, code in enumerate(model.labels) if _cause(code) == given[number]]
        if within:
            found[number] = model.labels[max(within, key=lambda place: float(row[place]))]
    return found
