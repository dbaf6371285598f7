"""Locks between processes that the kernel drops when their holder ends, however it ends."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentnb.core.flock import release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentnb.core.resilience import Deadline

__all__ = ["is_free", "lock", "locked"]

_PAUSE = 0.003
_MODE = 0o600


def lock(path: Path, deadline: Deadline, *, shared: bool = False) -> int:
    """Take a lock, and return the descriptor that holds it until it is closed.

    A forked child inherits the descriptor, and the lock is held until both have closed it.

    Raises
    ------
    DeadlineExceeded
        Somebody else kept it for too long.
    OSError
        The file cannot be opened.
    """
    import fcntl

    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _MODE)
    try:
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                # The system call that waits cannot be told for how long.
                deadline.check("redis", f"waiting for {path.name}")
                time.sleep(_PAUSE)
            else:
                return descriptor
    except BaseException:
        os.close(descriptor)
        raise


@contextmanager
def locked(path: Path, deadline: Deadline) -> Iterator[None]:
    """Run a block with a lock of one's own; see `lock`."""
    descriptor = lock(path, deadline)
    try:
        yield
    finally:
        release(descriptor)


def is_free(path: Path) -> bool:
    """Return whether nobody holds a lock, not even shared."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        release(descriptor)
