"""How much there may be: the size of a file, and of everything together."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError
from agentnb.core.files.names import shown
from agentnb.core.files.removing import sweep
from agentnb.core.files.walking import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.hidden import Hidden

__all__ = ["Measure", "Quota", "measure"]

# Measuring takes at most this share of the time; others write here too.
_SHARE = 0.05
_SECONDS = 30.0


@dataclass(slots=True)
class Measure:
    """What lies in a tree.

    Parameters
    ----------
    size
        Bytes of the files; one that has several names counts once.
    files, folders
        How many; links and the like count as files.
    missed
        Folders that could not be read, or lie too deep.
    """

    size: int = 0
    files: int = 0
    folders: int = 0
    missed: int = 0


def measure(folder: int, *, sweeping: bool = False, hidden: Hidden | None = None) -> Measure:
    """Return what lies below an open folder, what is not finished included."""
    found = Measure()
    seen: set[tuple[int, int]] = set()

    def miss(_: str) -> None:
        found.missed += 1

    for one in walk(folder, temporary=True, hidden=hidden, missed=miss):
        if sweeping and sweep(one):
            continue
        if one.is_folder:
            found.folders += 1
            continue
        found.files += 1
        if one.is_file:
            about = one.stat
            if about.st_nlink > 1:
                if (about.st_dev, about.st_ino) in seen:
                    continue
                seen.add((about.st_dev, about.st_ino))
            found.size += about.st_size
    return found


class Quota:
    """Keeps the size of everything below a limit without measuring it on each write.

    It is measured at first, then again when half of the room that was left has been used up,
    and from time to time, since other processes write too.

    Parameters
    ----------
    limit
        Bytes; 0 is none.
    measured
        Returns what there is.
    """

    def __init__(self, limit: int, measured: Callable[[], Measure]) -> None:
        self.limit = limit
        self._measured = measured
        self._lock = threading.Lock()
        self._used = 0
        self._until = 0
        self._due: float | None = None

    def take(self, size: int, path: str) -> None:
        """Take up room for what is about to be written, in bytes; a negative size gives back.

        Raises
        ------
        RejectedError
            There is not so much room.
        """
        with self._lock:
            due = self._due is None or (self.limit and monotonic() > self._due)
            if due or (self.limit and size > 0 and self._used + size > self._until):
                self._measure()
            if self.limit and size > 0 and self._used + size > self.limit:
                raise RejectedError(
                    f"{shown(path)} needs {size:,} bytes more; "
                    f"{max(0, self.limit - self._used):,} of {self.limit:,} are left",
                    service="files",
                    hint="%files du shows what takes up the room; "
                    "AGENTNB_FILES_QUOTA sets the limit",
                )
            self._used += size

    @contextmanager
    def taken(self, size: int, path: str) -> Iterator[None]:
        """Take up room for the length of a block, and for good if it does not fail.

        Raises
        ------
        RejectedError
            As `take`.
        """
        self.take(size, path)
        try:
            yield
        except BaseException:
            with self._lock:
                self._used -= size
            raise

    def _measure(self) -> None:
        begun = monotonic()
        self._used = self._measured().size
        ended = monotonic()
        self._until = self._used + max(0, self.limit - self._used) // 2
        self._due = ended + max(_SECONDS, (ended - begun) / _SHARE)
