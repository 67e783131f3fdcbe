"""How do we name a thing that came without a name? By what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def content_key(parts: Iterable[object], occurrence: int = 1) -> str:
    """A stable key for a row without one: 32 hex digits of SHA-256 over its parts, and which of several equal rows.

    NULL and '' differ, and no two lists of parts share a text (each part carries its length).
    """
    digest = hashlib.sha256()
    for part in parts:
        raw = b"" if part is None else str(part).encode()
        digest.update(b"-" if part is None else b"%d:" % len(raw))
        digest.update(raw)
    return f"{digest.hexdigest()[:32]}-{occurrence}"
