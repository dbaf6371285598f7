"""Awaited calls of a database: their threads, and the end of their statements on cancellation."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from functools import partial
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.callthreads import CallThreads, to_end
from agentnb.core.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Callable
    from queue import SimpleQueue

    from agentnb.core.db.backend import Watch

__all__ = ["AwaitedCall", "StatementThreads", "acquire", "current_call", "get"]

T = TypeVar("T")

_CALL: ContextVar[AwaitedCall | None] = ContextVar("agentnb.db.call", default=None)
_SLICE = 0.1
"""Seconds after which a wait looks for the cancellation of its caller, which nothing wakes."""


class AwaitedCall:
    """One awaited call of a database.

    Attributes
    ----------
    began
        The time of `time.monotonic` at which it was made: its deadlines count from there.
    cancelled
        Whether its caller was cancelled.
    thread, task
        The thread and the asyncio task of its caller.
    """

    def __init__(self) -> None:
        self.began = monotonic()
        self.cancelled = False
        self.thread = threading.get_ident()
        self.task: Any = asyncio.current_task()
        self._running: list[Watch] = []

    def started(self, watch: Watch) -> None:
        """Note a statement that is under way."""
        self._running.append(watch)

    def ended(self, watch: Watch) -> None:
        """Forget a statement."""
        self._running.remove(watch)

    def cancel(self) -> None:
        """Cancel the statement that is under way, and those that would follow."""
        self.cancelled = True
        for watch in list(self._running):
            watch.cancel()

    def check(self) -> None:
        """Raise if the caller was cancelled."""
        if self.cancelled:
            raise DeadlineExceeded("the call was cancelled", service="db")


def current_call() -> AwaitedCall | None:
    """Return the awaited call on whose behalf this thread runs; None for a synchronous one."""
    return _CALL.get()


def get(slots: SimpleQueue[None], seconds: float | None) -> bool:
    """Take a slot, and return whether there was one in time; raise if the caller is cancelled."""
    return _waited(lambda limit: _got(slots, limit), seconds)


def acquire(lock: threading.Lock, seconds: float | None) -> bool:
    """Acquire a lock as `get` takes a slot."""
    return _waited(lambda limit: lock.acquire(timeout=-1 if limit is None else limit), seconds)


def _got(slots: SimpleQueue[None], seconds: float | None) -> bool:
    try:
        slots.get(timeout=seconds)
    except Empty:
        return False
    return True


def _waited(wait: Callable[[float | None], bool], seconds: float | None) -> bool:
    call = current_call()
    if call is None:
        return wait(seconds)
    until = None if seconds is None else monotonic() + seconds
    while True:
        call.check()
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
        super().__init__("db", limit)
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
        finish: bool = False,
    ) -> T:
        """Await a function; see `CallThreads.run`."""
        call = AwaitedCall()
        if until is None:
            until = call.began + self._patience
        else:
            until = min(until, call.began + self._longest)

        def called() -> T:
            _CALL.set(call)  # in the call's own copy of the context
            return function()

        def cancel() -> None:
            call.cancel()
            if undo is not None:
                undo()

        try:
            return await super().run(
                called,
                until=until,
                late=late or partial(self._busy, until - call.began),
                abandon=abandon,
                undo=cancel if self._cancels else undo,
                finish=finish,
            )
        except asyncio.CancelledError:
            call.cancelled = True  # where the database cannot cancel: no statement follows
            raise

    def late(self, seconds: float) -> BaseException:
        """Return the error of a call that waited for a thread until its time-out."""
        return self._busy(min(seconds, self._longest))

    async def settled(self, function: Callable[[], T]) -> T:
        """Await a function that is called and ends in any case; then a cancellation is raised."""
        return await to_end(asyncio.ensure_future(super().run(function)))
