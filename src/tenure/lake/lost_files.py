"""What if a file vanishes while it is read? The look at the lake was too old: look again, once.

Vacuum removes files that no version has named for at least 24 hours. A reader that holds a snapshot longer than that
may lose one. Its work is then done again on a fresh snapshot; if that loses a file too, the lake itself is damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenure.errors import Damaged

Answer = TypeVar("Answer")

# What engines say of a file that is not there: DuckDB, the operating system, Spark.
_SIGNS = (
    "no files found that match the pattern",
    "no such file or directory",
    "filenotfoundexception",
    "file_not_exist",
    "path_not_found",
    "path does not exist",
)


def is_lost_file(error: BaseException) -> bool:
    """Whether an engine's error, or one it was raised from, says that a file is not there."""
    seen: BaseException | None = error
    while seen is not None:
        text = f"{type(seen).__name__}: {seen}".lower()
        if isinstance(seen, FileNotFoundError) or any(sign in text for sign in _SIGNS):
            return True
        seen = seen.__cause__
    return False


def retry_lost_file(attempt: Callable[[], Answer]) -> Answer:
    """The answer of `attempt`, which takes its snapshots itself; called a second time if a file was gone.

    Any other error passes through. A file that is gone from a fresh snapshot too is `Damaged`.
    """
    try:
        return attempt()
    except Exception as error:
        if not is_lost_file(error):
            raise
    try:
        return attempt()
    except Exception as error:
        if not is_lost_file(error):
            raise
        raise Damaged(
            f"the lake names a file that does not exist: {error}; restore the file from a backup, "
            "or load the facts into a new workspace."
        ) from error
