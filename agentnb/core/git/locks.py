"""Git's lock of an index, and a lock for what git does not do twice at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from agentnb.core.errors import RejectedError, UnavailableError
from agentnb.core.flock import release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["LOCK_PATIENCE", "alone", "at_work", "locked", "waits"]

LOCK_PATIENCE: Final = 10.0
"""Seconds for which a lock of another git is waited for, within the deadline."""


def at_work(lock: str | Path) -> UnavailableError:
    """Return the error for a lock that stays."""
    return UnavailableError(
        f"another git is at work here: {lock} exists",
        service="git",
        hint="try again when it is done; if none is running, it has crashed: remove that file",
    )


def waits(seconds: float) -> Iterator[None]:
    """Yield until a time is over, ever more slowly, and at least once."""
    until = monotonic() + min(seconds, LOCK_PATIENCE)
    pause = 0.02
    while True:
        yield
        if monotonic() + pause > until:
            return
        sleep(pause)
        pause = min(2 * pause, 0.5)


@contextlib.contextmanager
def locked(index: Path, seconds: float) -> Iterator[None]:
    """Hold git's lock of an index, so that no other git stages or commits meanwhile.

    Raises
    ------
    UnavailableError
        Another git holds it all the time.
    """
    lock = index.with_name(f"{index.name}.lock")
    _until_done(lambda: lock.open("xb").close(), lock, seconds)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(git_dir: Path, seconds: float) -> Iterator[None]:
    """Be the only one of agentnb's that commits here, or that changes the list of work trees.

    ``git commit`` writes its message to a file and reads it again, and another that commits at
    the same time would write to the same file.

    Raises
    ------
    UnavailableError
        Another one does so all the time.
    """
    descriptor = os.open(git_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _until_done(
            lambda: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB), git_dir, seconds
        )
        yield
    finally:
        release(descriptor)


def _until_done(take: Callable[[], None], lock: Path, seconds: float) -> None:
    for _ in waits(seconds):
        try:
            take()
        except (FileExistsError, BlockingIOError):
            continue
        except OSError as error:
            raise RejectedError(
                f"{lock} cannot be locked: {error.strerror}",
                service="git",
                hint="make .git writable for this user",
            ) from error
        return
    raise at_work(lock)
