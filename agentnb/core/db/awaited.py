"""Awaited calls of a database: their threads, and the end of their statements on cancellation."""

from __future__ import annotations

import asyncio
from functools import partial
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from agentnb.core.callthreads import CallThreads, current_call, to_end
from agentnb.core.errors import DeadlineExceeded

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from queue import SimpleQueue

    from agentnb.core.resilience import Deadline

__all__ = ["StatementThreads", "acquire", "get", "happened"]

T = TypeVar("T")

_SLICE = 0.1
"""Seconds after which a wait looks for the cancellation of its caller, which nothing wakes."""


def get(slots: SimpleQueue[None], seconds: float | None) -> bool:
    """Take a slot, and return whether there was one in time; raise if the caller is cancelled."""
    return _waited(lambda limit: _got(slots, limit), seconds)


def acquire(lock: threading.Lock, seconds: float | None) -> bool:
    """Acquire a lock as `get` takes a slot."""
    return _waited(lambda limit: lock.acquire(timeout=-1 if limit is None else limit), seconds)


def happened(event: threading.Event, seconds: float | None) -> bool:
    """Wait for an event as `get` waits for a slot."""
    return _waited(event.wait, seconds)


def _got(slots: SimpleQueue[None], seconds: float | None) -> bool:
    try:
        slots.get(timeout=seconds)
    except Empty:
        return False
    return True


def _waited(wait: Callable[[float | None], bool], seconds: float | None) -> bool:
    call = current_call("db")
    if call is None:
        return wait(seconds)
    until = None if seconds is None else monotonic() + seconds
    while True:
        if call.cancelled:
            raise DeadlineExceeded("the call was cancelled", service="db", hint="await it again")
        left = _SLICE if until is None else until - monotonic()
        if wait(max(0.0, min(left, _SLICE))):
            return True
        if left <= 0:
            return False


class StatementThreads(CallThreads):
    """The threads of a database's awaited calls. Cancelling a call cancels its statement.

    Parameters
    ----------
    limit
        How many calls run at once.
    patience
        Seconds that a call without a time-out waits for a thread.
    longest
        Seconds that any call waits at most, as for a connection of the pool.
    cancels
        Whether the database can cancel a statement. A cancelled caller waits for that.
    busy
        Makes the error of a call that waited for as many seconds.
    """

    shortens = False  # the deadlines count from the call by themselves

    def __init__(
        self,
        limit: int,
        *,
        patience: float,
        longest: float,
        cancels: bool,
        busy: Callable[[float], BaseException],
    ) -> None:
        super().__init__("db", limit, finish=cancels)
        self._patience = min(patience, longest)
        self._longest = longest
        self._cancels = cancels
        self._busy = busy

    def alone(self) -> StatementThreads:
        """Return such threads for one connection: one call at a time."""
        return StatementThreads(
            1,
            patience=self._patience,
            longest=self._longest,
            cancels=self._cancels,
            busy=self._busy,
        )

    async def run(
        self,
        function: Callable[[], T],
        *,
        until: float | None = None,
        late: Callable[[], BaseException] | None = None,
        abandon: bool = False,
        undo: Callable[[], object] | None = None,
        finish: bool | None = None,
    ) -> T:
        """Await a function; see `CallThreads.run`."""
        now = monotonic()
        until = now + self._patience if until is None else min(until, now + self._longest)
        return await super().run(
            function,
            until=until,
            late=late or partial(self._busy, until - now),
            abandon=abandon,
            undo=undo,
            finish=finish,
        )

    async def within(self, deadline: Deadline, function: Callable[[], T]) -> T:
        """Await a function that must have begun by a deadline, which it holds by itself then."""
        seconds = deadline.seconds
        if seconds is None:
            return await self.run(function)
        until = monotonic() + (deadline.remaining() or 0.0)
        return await self.run(function, until=until, late=partial(self.late, seconds))

    def late(self, seconds: float) -> BaseException:
        """Return the error of a call that waited for a thread until its time-out."""
        return self._busy(min(seconds, self._longest))

    async def settled(self, function: Callable[[], T]) -> T:
        """Await a function that is called and ends in any case; then a cancellation is raised."""
        return await to_end(asyncio.ensure_future(super().run(function)))
