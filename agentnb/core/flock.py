"""The end of a lock of a file."""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["release"]


def release(descriptor: int) -> None:
    """Give back the lock of an open file, and close the file.

    To close it is not enough: a child that another thread has forked meanwhile has a copy of the
    descriptor, and would keep the lock for as long as it lives.
    """
    import fcntl

    with suppress(OSError):  # a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
