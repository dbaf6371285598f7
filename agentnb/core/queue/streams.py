"""Waits for entries of streams: in the caller's thread, or for any number of coroutines."""

from __future__ import annotations

import asyncio
import os
import time
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from agentnb.core import sansio
from agentnb.core.errors import UnavailableError
from agentnb.core.queue.waits import SLICE, is_over, look_limit, pause_of, slice_of
from agentnb.core.work.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.redis import RedisClient
    from agentnb.core.redis.keys import Keys
    from agentnb.core.trace.servicelog import ServiceLog

__all__ = ["StreamCheck", "StreamWaiter", "waiting"]

T = TypeVar("T")

_GATHER_SECONDS = 0.005  # from the first entry to a look: one for many that come together
_WAKE_MS = 10_000
_START = "0-0"


class StreamWaiter:
    """Waits for entries of streams.

    Parameters
    ----------
    redis
        The client.
    keys
        Makes the keys.
    threads
        The threads of awaited calls to the server.
    log
        The logger of queues.
    """

    def __init__(
        self, redis: RedisClient, keys: Keys, threads: CallThreads, log: ServiceLog
    ) -> None:
        self._redis = redis.untraced
        self._own_stream = keys.internal("awaited", f"stream-{token_hex(6)}")
        self._threads = threads
        self._woken = _START
        self._watcher = Watcher(self._look, wake=self._wake, name="streams", log=log)

    def run(self, flow: Generator[_Step, Any, T]) -> T:
        """Do the steps of `waiting` in this thread, and return its result."""

        def do(step: _Step) -> Any:
            if isinstance(step, _Pause):
                return time.sleep(step.seconds)
            if isinstance(step, _Call):
                return step.call()
            return self._read({step.stream: step.after}, step.seconds)

        return sansio.run(flow, do)

    async def arun(self, flow: Generator[_Step, Any, T]) -> T:
        """Await the steps of `waiting`, and return its result."""
        return await sansio.arun(flow, self._ado)

    async def _ado(self, step: _Step) -> Any:
        if isinstance(step, _Pause):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, _Call):
            return await self._threads.run(step.call)
        with self._watcher.awaiting(f"{step.stream} {step.after}") as awaited:
            if await awaited.within(max(step.seconds, 0.0)):
                awaited.result()
        return None

    def _read(self, after: dict[Any, Any], seconds: float) -> Any:
        """Wait until a stream has an entry after one, and return the streams that have."""
        ms = max(int(seconds * 1000), 1)
        return self._redis.xread(after, count=1, block=ms) or []

    def _look(self, units: Sequence[str]) -> list[tuple[str, None]]:
        """Wait until one of some streams has an entry, and return the units that wait for it."""
        own = self._own
        after = {own: self._woken}
        for stream, entry in (unit.rsplit(" ", 1) for unit in units):
            after[stream] = min(after.get(stream, entry), entry, key=_place)
        found = self._read(after, SLICE)
        entries = {name.decode(): ids for name, ids in dict(found).items()}
        if own in entries:
            self._woken = _id_of(entries[own])
        return [(unit, None) for unit in units if unit.rsplit(" ", 1)[0] in entries]

    @property
    def _own(self) -> str:
        """The stream by which a look is woken, of this process."""
        return f"{self._own_stream}-{os.getpid()}"

    def _wake(self) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.xadd(self._own, {"n": 1}, maxlen=1, approximate=False)
            pipe.pexpire(self._own, _WAKE_MS).execute()

    def close(self) -> None:
        """End what is awaited."""
        self._watcher.stop()


class _Call(NamedTuple):
    """The step that calls a function, which may wait for the server."""

    call: Callable[[], Any]


class _Pause(NamedTuple):
    """The step that waits, in seconds."""

    seconds: float


class _Wait(NamedTuple):
    """The step that waits until a stream has an entry after one, for some seconds at most."""

    stream: str
    after: str
    seconds: float


_Step = _Call | _Pause | _Wait


class StreamCheck(NamedTuple):
    """A look at the server: its result, whether that is enough, and where more is announced."""

    result: Any
    enough: bool
    stream: str
    after: str


def waiting(
    look: Callable[[float | None], StreamCheck],
    until: float | None,
    check: Callable[[], object] | None,
    longest: float,
) -> Generator[_Step, Any, Any]:
    """Yield the steps of a wait, and return what was found in the end, enough or not.

    Parameters
    ----------
    look
        Looks at the server, within some seconds or within the client's timeout.
    until
        The end of the wait, of the monotonic clock; None for never.
    check
        Called now and then; raises where the wait is in vain. None for nothing.
    longest
        Seconds of the client's timeout.
    """
    answered = False
    while True:
        try:
            checked: StreamCheck = yield _Call(lambda: look(look_limit(until, longest)))
            answered = True
            if checked.enough or is_over(until):
                return checked.result
            if check is not None:
                yield _Call(check)
            yield _Wait(checked.stream, checked.after, slice_of(until, SLICE))
            yield _Pause(_GATHER_SECONDS)
        except UnavailableError:
            # An endless wait for a server that does not answer at first would say nothing.
            if is_over(until) or (until is None and not answered):
                raise
            yield _Pause(pause_of(until))


def _place(entry: str) -> tuple[int, int]:
    """Return the place of an entry in its stream."""
    ms, _, number = entry.partition("-")
    return int(ms), int(number)


def _id_of(found: Any) -> str:
    """Return the id of the entry in a reply, which is nested deeper in the newer protocol."""
    while not isinstance(found, bytes):
        found = found[0]
    return found.decode()
