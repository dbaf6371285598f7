"""The locks of loaders that run: one thread renews them for as long as they do."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentnb.core.errors import AgentnbError
from agentnb.core.forking import ForkGuard

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
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def held(self, token: str, renew: Callable[[], object]) -> Iterator[None]:
        """Renew a lock within the block."""
        if self._fork.forked:
            self._begin()  # a forked child has its own locks, and not its parent's thread
        with self._wake:
            self._held[token] = renew
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="agentnb-cache-locks", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            with self._wake:
                self._held.pop(token, None)

    def close(self) -> None:
        """Let the thread end; locks still held end by themselves."""
        if self._fork.forked:
            return
        with self._wake:
            self._held.clear()
            self._thread = None
            self._wake.notify_all()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait(self.seconds / 3)
                # With nothing to renew the thread ends: the next load starts another.
                if self._thread is not threading.current_thread() or not self._held:
                    if self._thread is threading.current_thread():
                        self._thread = None
                    return
                held = list(self._held.values())
            for renew in held:
                try:
                    renew()
                except AgentnbError:
                    break  # the server is away, and with it the lock; the next round tries again
