"""What is a text made of? Runs of two to four characters, and words: counted without a dictionary, in any script.

Every run is hashed to one of 2^18 columns, weighted by how rare it is (TF-IDF) and the row brought to length one. No
vocabulary is kept, so a model is two arrays; and as all texts of a batch are hashed together in a few passes of numpy,
it is quick: see docs/explanation/reading-what-customers-write.md.

Hashes: character i has the value v(c) B^i, modulo 2^64; the prefix sums of these give the hash of any run as a
difference, divided by B^start (B is odd, so it has an inverse). Source: Karp and Rabin, "Efficient randomized
pattern-matching algorithms" (1987); the last mixing is SplitMix64's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BITS = 18
SIZES = (2, 3, 4)
CHARACTERS = 1 << 20  # of one batch: what a few arrays of 8 bytes each take little room for
_BASE = 0x9E3779B97F4A7C15 | 1
_BASE_INVERSE = pow(_BASE, -1, 1 << 64)
_THAI = (0x0E00, 0x0E7F)


def batches(texts: Sequence[str], characters: int = CHARACTERS) -> Iterator[tuple[int, int]]:
    """Spans of texts that together have about so many characters, at least one text each."""
    begin, size = 0, 0
    for number, text in enumerate(texts):
        if size and size + len(text) > characters:
            yield begin, number
            begin, size = number, 0
        size += len(text) + 2
    if begin < len(texts):
        yield begin, len(texts)


def counts(texts: Sequence[str], bits: int = BITS) -> csr_matrix:
    """How often each run of characters, word and pair of words occurs: one row a text, 2^bits columns.

    `texts` are cleaned; case is folded here. Words are runs of letters and digits between other characters; of Thai,
    which writes no spaces between words, only the runs of characters are counted.
    """
    from scipy.sparse import csr_matrix

    folded = [f" {text.lower()} " for text in texts]
    lengths = np.fromiter((len(text) for text in folded), np.int64, len(folded))
    codes = np.frombuffer("".join(folded).encode("utf-32-le", "surrogatepass"), np.uint32)
    powers, inverses = _powers(len(codes))
    prefix = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(_mixed(codes.astype(np.uint64)) * powers, out=prefix[1:])
    document = np.repeat(np.arange(len(folded), dtype=np.int32), lengths)
    rows, columns = [], []
    for size in SIZES:
        if len(codes) < size:
            continue
        begins = np.flatnonzero(document[: len(codes) - size + 1] == document[size - 1 :])
        hashed = (prefix[begins + size] - prefix[begins]) * inverses[begins]
        rows.append(document[begins])
        columns.append(_column(hashed, size, bits))
    starts, ends = _words(codes)
    pairs = np.flatnonzero(document[starts[:-1]] == document[starts[1:]])
    for salt, first, last in ((101, starts, ends), (102, starts[pairs], ends[pairs + 1])):
        rows.append(document[first])
        columns.append(_column((prefix[last] - prefix[first]) * inverses[first], salt, bits))
    row, column = np.concatenate(rows), np.concatenate(columns)
    found = csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(len(folded), 1 << bits))
    found.sum_duplicates()
    return found


def rarity(found: csr_matrix) -> Any:
    """Each column's weight, log((1 + texts) / (1 + texts that have it)) + 1: the rarer, the more it says."""
    seen = np.bincount(found.indices, minlength=found.shape[1])
    return (np.log((1 + found.shape[0]) / (1 + seen)) + 1).astype(np.float32)


def weighted(found: csr_matrix, rare: Any) -> csr_matrix:
    """Counts as TF-IDF: 1 + log(count), times rarity, every row brought to length one; an empty text stays zero."""
    found.data = (1 + np.log(found.data)) * rare[found.indices]
    squares = np.add.reduceat(np.append(found.data, 0) ** 2, np.minimum(found.indptr[:-1], len(found.data)))
    sizes = np.diff(found.indptr)
    length = np.sqrt(np.where(sizes > 0, squares, 1)).astype(np.float32)
    found.data /= np.repeat(length, sizes)
    return found


def _powers(size: int) -> tuple[Any, Any]:
    """B^i and B^-i modulo 2^64 for i below `size`."""
    powers, inverses = _powers_up_to(max(size - 1, 1).bit_length())
    return powers[:size], inverses[:size]


@cache
def _powers_up_to(bits: int) -> tuple[Any, Any]:
    found = []
    for base in (_BASE, _BASE_INVERSE):
        factors = np.full(1 << bits, base, np.uint64)
        factors[0] = 1
        found.append(np.cumprod(factors))
    return found[0], found[1]


def _mixed(values: Any) -> Any:
    """SplitMix64's finaliser: every bit of the outcome hangs on every bit of the value."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _column(hashed: Any, salt: int, bits: int) -> Any:
    return (_mixed(hashed + np.uint64(salt * _BASE_INVERSE % (1 << 64))) >> np.uint64(64 - bits)).astype(np.int32)


@cache
def _letters() -> Any:
    """For each code point of the basic plane, whether a word may hold it."""
    table = np.fromiter((chr(code).isalnum() for code in range(0xD800)), bool, 0xD800)
    table[_THAI[0] : _THAI[1] + 1] = False
    table[ord("'")] = True
    return table


def _words(codes: Any) -> tuple[Any, Any]:
    """Where words begin and end."""
    table = _letters()
    inside = table[np.minimum(codes, len(table) - 1)]
    edges = np.diff(inside.astype(np.int8), prepend=0, append=0)
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
