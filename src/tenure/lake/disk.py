"""What survives a power cut? Files whose bytes and names the disk has confirmed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def make_durable(paths: Iterable[Path]) -> None:
    """Return once the files, and their names in their folders, would outlive a power cut."""
    files = list(paths)
    for path in [*files, *{file.parent for file in files}]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
