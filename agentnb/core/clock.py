"""The time by which delayed work is due: the system's, which a test can move ahead."""

from __future__ import annotations

import weakref
from time import time
from typing import TYPE_CHECKING, Any

from agentnb.core.forking import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """The time of the services of one hub.

    Queues and workflows compute by it when delayed work is due, how old a result is, and the
    times that they record. Leases, heartbeats and time-outs go by the system's time, since they
    say whether a worker is alive.

    Examples
    --------
    >>> clock = Clock()
    >>> clock.offset
    0.0
    >>> clock.advance(60)
    >>> clock.offset
    60.0
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._offset = 0.0
        self._listeners: list[weakref.WeakMethod[Callable[[], object]]] = []

    @property
    def offset(self) -> float:
        """The seconds by which this clock is ahead of the system's."""
        return self._offset

    @property
    def offset_ms(self) -> int:
        """The same in milliseconds, as scripts on the server take it."""
        return round(self._offset * 1000)

    def time(self) -> float:
        """Return the seconds since the epoch by this clock."""
        return time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the clock ahead, and wake the workers that wait for delayed work."""
        with self._lock:
            self._offset += seconds
            self._listeners = [one for one in self._listeners if one() is not None]
            listeners = list(self._listeners)
        for one in listeners:
            listener = one()
            if listener is not None:
                listener()

    def on_advance(self, method: Callable[[], Any]) -> None:
        """Call a method whenever the clock is moved, as long as its object exists."""
        reference = weakref.WeakMethod(method)
        with self._lock:
            if reference not in self._listeners:
                self._listeners.append(reference)
