"""Who may work now? Locks between processes that vanish with the process that held them.

A lock is a file under `<lake>/.locks` held with flock(2): the kernel frees it when the holder ends, `kill -9` included,
so no lock is ever stale and none is ever broken by hand. Two threads of one process exclude each other as well.
"""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenure.errors import Busy

_FIRST_WAIT = 0.002  # seconds; doubled, with jitter, up to the longest
_LONGEST_WAIT = 0.1


@contextmanager
def held(path: Path, *, what: str, timeout: float, shared: bool = False) -> Iterator[None]:
    """Hold the lock of that file for the length of the block; `Busy`, naming `what`, after `timeout` seconds.

    A shared holder excludes exclusive ones only. The file itself stays: unlinking it would let two holders in.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, what, timeout)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, kind: int, what: str, timeout: float) -> None:
    give_up_at = time.monotonic() + timeout
    wait = _FIRST_WAIT
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError as err:
            left = give_up_at - time.monotonic()
            if left <= 0:
                message = f"another process is {what}, for more than {timeout:g} seconds; try again when it is done."
                raise Busy(message) from err
            time.sleep(min(left, wait * random.uniform(0.5, 1.5)))
            wait = min(_LONGEST_WAIT, wait * 2)
