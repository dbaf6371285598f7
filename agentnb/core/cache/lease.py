"""The locks of loaders that run: one thread renews them for as long as they do."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from agentnb.core.background import BackgroundThread
from agentnb.core.errors import AgentnbError
from agentnb.core.forking import ForkGuard, new_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Leases"]


class Leases:
    """Renews the locks that this process holds, a few times within their life.

    A lock whose holder has died is not renewed, and ends by itself.

    Parameters
    ----------
    seconds
        How long a lock lives without being renewed.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._begin()

    def _begin(self) -> None:
        self._fork = ForkGuard()
        self._held: dict[str, Callable[[], object]] = {}
        self._due: float | None = None  # None while the thread has nothing to do
        self._lock = new_lock()
        self._thread = BackgroundThread(self._renew, name="cache-locks", linger=0.0)

    @contextmanager
    def held(self, token: str, renew: Callable[[], object]) -> Iterator[None]:
        """Renew a lock within the block."""
        if self._fork.forked:
            self._begin()  # a forked child has its own locks, and not its parent's thread
        with self._lock:
            self._held[token] = renew
            idle = self._due is None
            if idle:
                self._due = monotonic() + self.seconds / 3
        if idle:
            self._thread.start()
        try:
            yield
        finally:
            self._held.pop(token, None)

    def close(self) -> None:
        """Let the thread end; locks still held end by themselves."""
        if self._fork.forked:
            return
        self._thread.stop(0.0)
        with self._lock:
            self._held.clear()
            self._due = None

    def _renew(self) -> float | None:
        """Renew all locks if it is time, and return the seconds until the next time."""
        with self._lock:
            left = 0.0 if self._due is None else self._due - monotonic()
            if left > 0:
                return left
            held = list(self._held.values())
            self._due = monotonic() + self.seconds / 3 if held else None
        for renew in held:
            try:
                renew()
            except AgentnbError:
                break  # the server is away, and with it the lock; the next round tries again
        return self.seconds / 3 if held else None
