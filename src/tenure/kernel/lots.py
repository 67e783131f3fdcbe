"""Which lot does a customer draw? A number that nobody chose, and that is the same whenever one asks again.

Used where chance must hold for years and on every machine: who is never treated, and who is in a sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

_ALL = float(1 << 53)


def drawn(names: Iterable[str], purpose: str) -> list[float]:
    """Each name's number in [0, 1), uniform and independent between names and between purposes.

    The first 53 of 64 bits of BLAKE2b over purpose and name: so nothing needs to be stored, and a new name has one too.

    >>> drawn(["ada", "bob"], "hold-out") == drawn(["ada", "bob"], "hold-out")
    True
    """
    start = blake2b(purpose.encode() + b"\x00", digest_size=8)
    found = []
    for name in names:
        one = start.copy()
        one.update(name.encode())
        found.append((int.from_bytes(one.digest(), "big") >> 11) / _ALL)
    return found
