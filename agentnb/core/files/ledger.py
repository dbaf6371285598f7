"""The count of the bytes in a workspace, kept for all threads and processes that write to it."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import struct
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING, Protocol

from agentnb.core.errors import UnavailableError
from agentnb.core.flock import release
from agentnb.core.forking import new_condition
from agentnb.core.trust import private_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["WAIT_SECONDS", "Count", "FileLedger", "Ledger", "MemoryLedger"]

WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.002
_log = logging.getLogger("agentnb.files")
_RECORD = struct.Struct("<qqd")


@dataclass(frozen=True, slots=True)
class Count:
    """The known size of a tree.

    Parameters
    ----------
    used
        Bytes in use, with those that are being written.
    base
        Bytes that were measured last.
    due
        When it is to be measured again, in seconds since 1970; None where it never was.
    """

    used: int = 0
    base: int = 0
    due: float | None = None


class Ledger(Protocol):
    """Keeps a `Count`, and lets many write at once or one alone."""

    def gate(self, *, alone: bool, wait: float = WAIT_SECONDS) -> AbstractContextManager[None]:
        """Write for the length of a block, beside others or alone.

        Parameters
        ----------
        alone
            Whether nobody else may be writing.
        wait
            Seconds to wait for the others.

        Raises
        ------
        UnavailableError
            The others do not end.
        """

    def change(self, make: Callable[[Count], Count]) -> tuple[Count, Count]:
        """Replace the count in one step, and return the former one and the new one."""


class MemoryLedger:
    """For the threads of one process."""

    def __init__(self) -> None:
        self._state = new_condition()
        self._count = Count()
        self._writers = 0
        self._alone = False

    @contextlib.contextmanager
    def gate(self, *, alone: bool, wait: float = WAIT_SECONDS) -> Iterator[None]:
        """Write for the length of a block; see `Ledger`."""

        def is_free() -> bool:
            return not self._alone and not (alone and self._writers)

        with self._state:
            if not self._state.wait_for(is_free, wait):
                raise _busy()
            self._writers += 1
            self._alone = alone
        try:
            yield
        finally:
            with self._state:
                self._writers -= 1
                self._alone = False
                self._state.notify_all()

    def change(self, make: Callable[[Count], Count]) -> tuple[Count, Count]:
        """Replace the count; see `Ledger`."""
        with self._state:
            before = self._count
            self._count = make(before)
            return before, self._count


class FileLedger:
    """For the processes of one home: a small file in it, whose locks end with their owners.

    Parameters
    ----------
    folder
        The folder of the file, made on first use.
    name
        The file's name, another one for each tree.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._path, self._gate = folder / name, folder / f"{name}.gate"
        self._instead: MemoryLedger | None = None

    def _open(self, path: Path) -> int | MemoryLedger:
        """Return the ledger's file, or a count in memory where the home cannot be written to."""
        if self._instead is not None:
            return self._instead
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            try:
                return os.open(path, flags, 0o600)
            except FileNotFoundError:
                private_folder(self._folder, service="files")
                return os.open(path, flags, 0o600)
        except OSError as error:
            _log.warning("the quota is counted for this process alone: %s", error)
            self._instead = MemoryLedger()
            return self._instead

    @contextlib.contextmanager
    def gate(self, *, alone: bool, wait: float = WAIT_SECONDS) -> Iterator[None]:
        """Write for the length of a block; see `Ledger`."""
        descriptor = self._open(self._gate)
        if isinstance(descriptor, MemoryLedger):
            with descriptor.gate(alone=alone, wait=wait):
                yield
            return
        try:
            _lock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, wait)
            yield
        finally:
            release(descriptor)

    def change(self, make: Callable[[Count], Count]) -> tuple[Count, Count]:
        """Replace the count; see `Ledger`."""
        descriptor = self._open(self._path)
        if isinstance(descriptor, MemoryLedger):
            return descriptor.change(make)
        try:
            _lock(descriptor, fcntl.LOCK_EX)
            data = os.pread(descriptor, _RECORD.size, 0)
            # A record that was cut short counts as none: it is measured anew.
            before = Count(*_RECORD.unpack(data)) if len(data) == _RECORD.size else Count()
            after = make(before)
            if after is not before:
                # On a full disk nothing else is written either.
                with contextlib.suppress(OSError):
                    os.pwrite(descriptor, _RECORD.pack(after.used, after.base, after.due or 0.0), 0)
            return before, after
        finally:
            release(descriptor)


def _lock(descriptor: int, kind: int, wait: float = WAIT_SECONDS) -> None:
    until = monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > until:
                raise _busy() from None
            sleep(_POLL_SECONDS)
        except OSError:
            return  # a file system without locks
        else:
            return


def _busy() -> UnavailableError:
    return UnavailableError(
        "others are writing to the workspace, whose quota is nearly used up",
        service="files",
        hint="call again once they are done",
    )
