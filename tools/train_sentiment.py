"""Learn how Thai texts feel from Wisesight Sentiment's training split, and write the weights that ship with Tenure.

python tools/train_sentiment.py wisesight_th/data.zip [src/tenure/text/weights/wisesight.npz]
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

from tenure.text import sentiment


def split(path: Path, name: str) -> tuple[list[str], list[str]]:
    """The texts of one published split (train, valid, test), and the feeling of each."""
    with zipfile.ZipFile(path) as archive, archive.open(f"data/{name}.jsonl") as file:
        rows = [json.loads(line) for line in io.TextIOWrapper(file, encoding="utf-8")]
    return [row["texts"] for row in rows], [sentiment.WISESIGHT[row["category"]] for row in rows]


def main() -> None:
    """Train, write, and say how it does on the validation split, which it has not seen."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else sentiment.WEIGHTS
    sentiment.train(*split(source, "train")).save(target, small=True)
    kept = sentiment.TextClassifier.load(target)
    texts, feelings = split(source, "valid")
    right = sum(guess.label == feeling for guess, feeling in zip(kept.predict(texts, 0), feelings, strict=True))
    print(f"{target}: {target.stat().st_size:,} bytes; right on {right} of {len(texts)} of the validation split")


if __name__ == "__main__":
    main()
