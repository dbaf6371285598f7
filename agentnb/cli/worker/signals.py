"""Being told to stop: once for an orderly end, twice for one at once."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Signals"]

_STOPPING = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Takes SIGTERM and SIGINT while it is entered, in the main thread.

    Parameters
    ----------
    at_once
        Called at the second one, with its number; must not come back.

    Attributes
    ----------
    told
        The first one's number, None before.
    """

    def __init__(self, at_once: Callable[[int], object]) -> None:
        self.told: int | None = None
        self._at_once = at_once
        self._before: dict[int, Any] = {}
        # A handler may run inside any lock of the main thread's, so it only writes to a pipe.
        self.woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def __enter__(self) -> Self:
        self._before = {one: signal.signal(one, self._handle) for one in _STOPPING}
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        os.close(self.woken)
        os.close(self._wake)

    def _handle(self, number: int, frame: object) -> None:  # noqa: ARG002 - what a handler is given
        if self.told is not None:
            self._at_once(number)
        self.told = number
        os.write(self._wake, b".")

    def wait(self, seconds: float) -> bool:
        """Wait, and return whether one came, now or before."""
        if self.told is None:
            select.select([self.woken], [], [], seconds)
        return self.told is not None
