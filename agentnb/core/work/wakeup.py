"""Wake-ups: they say that there may be something to claim, and are never the truth.

Threads of this process are woken by a condition, other processes by a backend. A wake-up that is
lost costs a second, since workers look by themselves, too.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from agentnb.core.background import BackgroundThread
from agentnb.core.errors import AgentnbError
from agentnb.core.forking import new_condition, new_lock
from agentnb.core.outage import OutageTracker

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Mapping

__all__ = ["DueTimer", "Wakeup", "WakeupBackend"]

_PAUSE = 2.0
_LISTEN = 1.0
_FOREVER = 3600.0


class WakeupBackend(Protocol):
    """Carries wake-ups to other processes, by topics."""

    def send(self, ready: Mapping[str, int]) -> None:
        """Wake as many as may be ready for each of some topics."""

    def listen(self, topics: Iterable[str], seconds: float) -> bool:
        """Wait for one of some topics, and return whether a wake-up came."""

    def wake(self) -> None:
        """Let the thread that listens here return."""


class Wakeup:
    """Wakes threads of this process, and of others through a backend.

    Parameters
    ----------
    backend
        Carries wake-ups to other processes; None for none.
    log
        Told once when it cannot.
    """

    def __init__(
        self,
        backend: WakeupBackend | None,
        log: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self._backend = backend
        self._news = new_condition()
        self._count = 0
        self._to_send: dict[str, int] = {}
        self._closed = False
        self._topics: tuple[str, ...] = ()
        away = "no wake-ups between processes, which look by themselves"
        self._outage = OutageTracker(log, away, None)
        self._sender = BackgroundThread(self._send, name="wakeup-sender", log=log)
        self._listener = BackgroundThread(self._listen, name="wakeup-listener", log=log)

    @property
    def count(self) -> int:
        """The number of wake-ups here; see `wait`."""
        return self._count

    def notify(self, ready: Mapping[str, int] | None = None) -> None:
        """Wake those who wait here, and those elsewhere who listen to some topics."""
        with self._news:
            self._count += 1
            self._news.notify_all()
            if self._backend is None or not ready or self._closed:
                return
            for topic, number in ready.items():
                self._to_send[topic] = self._to_send.get(topic, 0) + number
        self._sender.wake()

    def wait(self, seen: int, seconds: float) -> bool:
        """Wait for a wake-up since a count, and return whether there was one."""
        with self._news:
            return self._news.wait_for(lambda: self._count != seen or self._closed, seconds)

    def listen(self, topics: Iterable[str]) -> None:
        """Listen to some topics from now on."""
        self._topics = tuple(topics)
        if self._backend is not None and not self._closed:
            self._listener.start()

    def unlisten(self) -> None:
        """Listen to nothing."""
        self._topics = ()
        if self._backend is None or not self._listener.alive:
            return
        self._listener.stop(0)
        if not self._outage.is_away:
            with suppress(AgentnbError):
                self._backend.wake()
        self._listener.stop(_PAUSE)  # what it uses may be closed after that

    def _send(self) -> float | None:
        with self._news:
            ready, self._to_send = self._to_send, {}
        if self._backend is None or not ready:
            return None
        try:
            self._backend.send(ready)
        except AgentnbError as error:
            self._failed(error, self._sender)
        else:
            self._outage.succeeded()
        return None

    def _listen(self) -> float | None:
        if self._backend is None:
            return None
        try:
            woken = self._backend.listen(self._topics, _LISTEN)
        except AgentnbError as error:
            self._failed(error, self._listener)
            return 0.0
        self._outage.succeeded()
        if woken:
            self.notify()
        return 0.0 if self._topics else None

    def _failed(self, error: AgentnbError, thread: BackgroundThread) -> None:
        if not self._closed and not thread.stopping:
            self._outage.failed(error)
        thread.pause(_PAUSE)

    def close(self) -> None:
        """Release all who wait, and stop the threads."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        self.unlisten()
        self._sender.stop(_PAUSE)


class DueTimer:
    """The time at which the next delayed unit is due.

    Examples
    --------
    >>> timer = DueTimer()
    >>> timer.set(60.0), timer.set(0.0), timer.set(30.0)
    (True, True, False)
    >>> timer.expired(), timer.expired()
    (True, False)
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._due: float | None = None

    def set(self, seconds: float) -> bool:
        """Set it to some seconds from now, and return whether that is earlier than it was."""
        due = monotonic() + seconds
        with self._lock:
            if self._due is not None and self._due <= due:
                return False
            self._due = due
            return True

    def left(self) -> float:
        """Return the seconds until it is due; an hour if nothing is set."""
        due = self._due
        return _FOREVER if due is None else max(due - monotonic(), 0.0)

    def expired(self) -> bool:
        """Return whether it is due, once: it is unset then."""
        with self._lock:
            if self._due is None or monotonic() < self._due:
                return False
            self._due = None
            return True
