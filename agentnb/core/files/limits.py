"""Limits: the size of a file, and of all files together."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from time import monotonic, time
from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError, UnavailableError
from agentnb.core.files.ledger import WAIT_SECONDS, Count
from agentnb.core.files.names import shown
from agentnb.core.files.removing import sweep
from agentnb.core.files.walking import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.files.ledger import Ledger
    from agentnb.core.hidden import Hidden

__all__ = ["Measure", "Quota", "measure"]

# Measuring takes at most this share of the time; others write here too.
_SHARE = 0.05
_SECONDS = 30.0
_LONGEST = 3600.0


@dataclass(slots=True)
class Measure:
    """The size of a tree.

    Parameters
    ----------
    size
        Bytes of the files; one that has several names counts once.
    files, folders
        The number of files; links count as files.
    missed
        Folders that could not be read, or lie too deep.
    """

    size: int = 0
    files: int = 0
    folders: int = 0
    missed: int = 0


def measure(folder: int, *, sweeping: bool = False, hidden: Hidden | None = None) -> Measure:
    """Return the size of the tree in an open folder, unfinished files included."""
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
    and from time to time, since others write too. While it is measured nobody writes, so that
    every byte is either measured or counted.

    Parameters
    ----------
    limit
        Bytes; 0 is none.
    measured
        Returns what there is, and sweeps what writers that died have left.
    ledger
        Where the count is kept, for all that write to the same tree.
    """

    def __init__(self, limit: int, measured: Callable[[], Measure], ledger: Ledger) -> None:
        self.limit = limit
        self._measured = measured
        self._ledger = ledger
        self._swept = False

    @contextmanager
    def taken(self, size: int, path: str) -> Iterator[None]:
        """Take up room for the length of a block, and for good if it does not fail.

        Parameters
        ----------
        size
            Bytes; a negative size gives back.
        path
            The file, for the error.

        Raises
        ------
        RejectedError
            There is not so much room.
        UnavailableError
            The room is nearly used up, and others do not end their writing.
        """
        if not self._swept:
            self._swept = True
            self._sweep()
        if not self.limit:
            yield
            return
        with ExitStack() as gate:
            gate.enter_context(self._ledger.gate(alone=False))
            missing = self._take_known(size)
            if missing:
                gate.close()
                # Where only the time has come and others are writing, one of them measures.
                with suppress(*[UnavailableError] * (missing == "time")):
                    self._measure(wait=WAIT_SECONDS if missing == "room" else 0)
                gate.enter_context(self._ledger.gate(alone=False))
                self._take(size, path)
            try:
                yield
            except BaseException:
                self._ledger.change(lambda count: replace(count, used=count.used - size))
                raise

    def _sweep(self) -> None:
        """Measure before the first write, which removes the unfinished files of dead writers."""
        if not self.limit:
            self._measured()
            return
        with suppress(UnavailableError):  # others are writing, and have done so
            self._measure(wait=0)

    def _take_known(self, size: int) -> str:
        """Take up room, or return why it is to be measured first: ``"time"`` or ``"room"``."""
        missing = ""

        def take(count: Count) -> Count:
            nonlocal missing
            half = count.base + max(0, self.limit - count.base) // 2
            if count.due is None or (size > 0 and count.used + size > half):
                missing = "room"
            elif not 0 <= count.due - time() <= _LONGEST:
                missing = "time"
            return count if missing else replace(count, used=count.used + size)

        self._ledger.change(take)
        return missing

    def _measure(self, wait: float = WAIT_SECONDS) -> None:
        with self._ledger.gate(alone=True, wait=wait):
            begun = monotonic()
            size = self._measured().size
            pause = min(_LONGEST, max(_SECONDS, (monotonic() - begun) / _SHARE))
            self._ledger.change(lambda _: Count(size, size, time() + pause))

    def _take(self, size: int, path: str) -> None:
        def take(count: Count) -> Count:
            if size > 0 and count.used + size > self.limit:
                raise RejectedError(
                    f"{shown(path)} needs {size:,} bytes more; "
                    f"{max(0, self.limit - count.used):,} of {self.limit:,} are left",
                    service="files",
                    hint="hub.files.usage() (%files du) shows what takes up the room; "
                    "AGENTNB_FILES_QUOTA sets the limit",
                )
            return replace(count, used=count.used + size)

        self._ledger.change(take)
