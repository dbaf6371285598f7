"""When a delayed job is due, to the millisecond: no server's timer is as exact."""

from __future__ import annotations

import secrets
import threading
from time import monotonic

__all__ = ["Alarm"]


class Alarm:
    """Says how long to wait, and wakes early when a delayed job is due before that.

    Attributes
    ----------
    name
        That of the bell on which this worker's idle threads listen.
    stopped
        Whether the worker is stopping, and takes nothing more.
    """

    def __init__(self) -> None:
        self.name = secrets.token_hex(6)
        self.stopped = False
        self._changed = threading.Condition()
        self._due: float | None = None

    def set(self, seconds: float) -> None:
        """Note that a job is due in some seconds."""
        due = monotonic() + seconds
        with self._changed:
            if self._due is None or due < self._due:
                self._due = due
                self._changed.notify_all()

    def stop(self) -> None:
        """Wake whoever waits, now and from now on."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait, and return whether a job is due."""
        until = monotonic() + seconds
        with self._changed:
            while not self.stopped:
                now = monotonic()
                if self._due is not None and self._due <= now:
                    self._due = None
                    return True
                end = until if self._due is None else min(until, self._due)
                if end <= now:
                    return False
                self._changed.wait(end - now)
        return False
