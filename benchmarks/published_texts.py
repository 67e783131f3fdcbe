"""Labelled texts that others published, split as they split them: TrueVoice (Thai), banking77 (English), Wisesight (Thai).

Each function answers (texts, labels) of the training split and of the test split. The folder is the one of the public
data sets beside the repository.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

Split = tuple[list[str], list[str]]


def truevoice(folder: Path, label: str = "destination") -> tuple[Split, Split]:
    """Calls to a Thai mobile operator; labels: destination (7 departments), action (cancel, enquire, ...), object."""
    splits = []
    with zipfile.ZipFile(folder / "truevoice_intent_th" / "mari-intent.zip") as archive:
        for name in ("mari_train.csv", "mari_test.csv"):
            with archive.open(name) as file:
                rows = list(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8")))
            splits.append(([row["texts"] for row in rows], [row[label] for row in rows]))
    return splits[0], splits[1]


def banking77(folder: Path) -> tuple[Split, Split]:
    """Questions to a bank in English; labels: 77 intents."""
    splits = []
    for name in ("train", "test"):
        with (folder / "banking77" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        splits.append(([row["text"] for row in rows], [row["category"] for row in rows]))
    return splits[0], splits[1]


def wisesight(folder: Path) -> tuple[Split, Split]:
    """Messages of Thai social media; labels: pos, neu, neg, q."""
    splits = []
    with zipfile.ZipFile(folder / "wisesight_th" / "data.zip") as archive:
        for name in ("train", "test"):
            with archive.open(f"data/{name}.jsonl") as file:
                rows = [json.loads(line) for line in io.TextIOWrapper(file, encoding="utf-8")]
            splits.append(([row["texts"] for row in rows], [row["category"] for row in rows]))
    return splits[0], splits[1]


def f1(label: str, given: list[str], truth: list[str]) -> float:
    """The harmonic mean of precision and recall of one label."""
    hits = sum(one == other == label for one, other in zip(given, truth, strict=True))
    return 2 * hits / (given.count(label) + truth.count(label))
