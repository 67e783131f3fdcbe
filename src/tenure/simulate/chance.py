"""What happened by chance? Draws that depend on (seed, purpose, who, which) and on nothing else.

A draw is a hash of its name, not the next number of a stream. So a company comes out the same however its customers
are split into chunks, and two companies that differ in one setting meet the same luck everywhere else: what differs
between them is the effect of the setting (a paired comparison).

The hash is SplitMix64's finaliser (Steele, Lea and Flood 2014), twice: once over who, once over which.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[Any]  # int64, float64 or bool, said by the name

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xD1B54A32D192ED03)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser, in place."""
    x ^= x >> np.uint64(30)
    x *= _FIRST
    x ^= x >> np.uint64(27)
    x *= _SECOND
    x ^= x >> np.uint64(31)
    return x


def _unsigned(x: ArrayLike) -> NDArray[np.uint64]:
    return np.atleast_1d(np.asarray(x, dtype=np.int64)).view(np.uint64)


class Chance:
    """The luck of one company. `who` is the customer's number, `which` tells its draws of one purpose apart."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._keys: dict[str, np.uint64] = {}

    def _key(self, purpose: str) -> np.uint64:
        key = self._keys.get(purpose)
        if key is None:
            digest = blake2b(f"{self._seed}|{purpose}".encode(), digest_size=8).digest()
            key = self._keys[purpose] = np.uint64(int.from_bytes(digest, "little"))
        return key

    def bits(self, purpose: str, who: ArrayLike, which: ArrayLike = 0) -> NDArray[np.uint64]:
        """64 random bits per (who, which), which are broadcast against each other."""
        x = _mixed(_unsigned(who) * _GOLDEN + self._key(purpose))
        return _mixed(x + _unsigned(which) * _STEP)

    def uniform(self, purpose: str, who: ArrayLike, which: ArrayLike = 0) -> Numbers:
        """Uniform in (0, 1), neither end included."""
        return ((self.bits(purpose, who, which) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def normal(self, purpose: str, who: ArrayLike, which: ArrayLike = 0) -> Numbers:
        """Standard normal, by Box and Muller from the two halves of one draw's bits."""
        bits = self.bits(purpose, who, which)
        radius = ((bits >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32
        angle = (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) * (2.0**-32 * 2 * np.pi)
        return np.sqrt(-2.0 * np.log(radius)) * np.cos(angle)

    def pick(self, purpose: str, weights: ArrayLike, who: ArrayLike, which: ArrayLike = 0) -> Numbers:
        """An index into `weights`, as often as its weight says."""
        edges = np.cumsum(np.asarray(weights, dtype=np.float64))
        return np.searchsorted(edges[:-1] / edges[-1], self.uniform(purpose, who, which), side="right")
