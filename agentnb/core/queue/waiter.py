"""Waits for the outcomes of jobs."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager, suppress
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core import sansio
from agentnb.core.background import BackgroundThread
from agentnb.core.errors import AgentnbError, UnavailableError
from agentnb.core.forking import new_lock
from agentnb.core.queue.waits import LOOK_SECONDS, is_over, look_limit, pause_of, slice_of
from agentnb.core.queue.waits import SLICE as _SLICE
from agentnb.core.ranges import end_of
from agentnb.core.work.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.queue.store import JobStore
    from agentnb.core.redis import RedisClient
    from agentnb.core.redis.keys import Keys
    from agentnb.core.trace.servicelog import ServiceLog
    from agentnb.core.work.watcher import Awaited

__all__ = ["JobOutcome", "JobWaiter"]

JobOutcome = tuple[str, bytes]
"""The state in which a job ended, and its result or error."""
Check = Callable[[], object]
_COPY_SECONDS = 2.0  # until the copy of an outcome has come
_AT_ONCE = 50  # copies that are received at once
_WAKE_MS = 10_000


class JobWaiter:
    """Waits for the outcomes of jobs, in the caller's thread or for any number of coroutines.

    An outage of the server during a wait is waited out.

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
        self._jobs = keys.internal("job", "")
        self._own_keys = keys.internal("awaited", token_hex(6))
        self._threads = threads
        self._watcher = Watcher(self._look, wake=self._wake, name="jobs", log=log)
        self._left: deque[_Registration] = deque()
        self._leaving = BackgroundThread(self._leave, name="leave-jobs", log=log, linger=_SLICE)

    def wait(
        self, store: JobStore, job: str, timeout: float | None, check: Check | None
    ) -> JobOutcome | None:
        """Wait for the outcome of a job, and return it; None if there is none in time.

        Parameters
        ----------
        store
            The job's queue.
        job
            Its id.
        timeout
            Seconds to wait; None for as long as it takes.
        check
            Called now and then; raises where the job cannot end.
        """
        until = end_of(timeout, service="queue")

        def do(step: _Step) -> Any:
            if isinstance(step, _Call):
                return step.call()
            if isinstance(step, _Pause):
                return time.sleep(step.seconds)
            return store.next_outcome(job, max(step.seconds, 0.001))

        with self._registered(store, job, until) as one:
            return sansio.run(_flow(one, until, check), do)

    async def await_(
        self,
        store: JobStore,
        job: str,
        timeout: float | None,  # noqa: ASYNC109 - as wait
        check: Check | None,
    ) -> JobOutcome | None:
        """Await the outcome of a job, without a thread of its own; see `wait`."""
        until = end_of(timeout, service="queue")
        with self._registered(store, job, until) as one, self._watcher.awaiting(job) as awaited:
            try:
                return await sansio.arun(
                    _flow(one, until, check), lambda step: self._ado(step, awaited, until)
                )
            except _LateError:
                return None

    async def _ado(self, step: _Step, awaited: Awaited, until: float | None) -> Any:
        if isinstance(step, _Pause):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, _Call):
            end = None if until is None else max(until, monotonic() + LOOK_SECONDS)
            return await self._threads.run(step.call, until=end, late=_LateError, abandon=True)
        return awaited.result() if await awaited.within(max(step.seconds, 0.0)) else None

    @contextmanager
    def _registered(
        self, store: JobStore, job: str, until: float | None
    ) -> Iterator[_Registration]:
        """Leave those who wait for a job at the end of the block, however that ends."""
        one = _Registration(store, job, until)
        try:
            yield one
        finally:
            # In another thread: the caller's time is over, and it may be on its way out.
            if one.leave():
                self._left.append(one)
                self._leaving.wake()

    def _leave(self) -> None:
        while self._left:
            with suppress(AgentnbError):  # it expires with the job
                self._left.popleft().withdraw()

    def _look(self, jobs: Sequence[str]) -> list[tuple[str, JobOutcome]]:
        """Wait until one of some jobs has ended, and return it with its outcome."""
        keys = {f"{self._jobs}{job}:done": job for job in jobs}
        found: Any = self._redis.blpop([*keys, self._own], _SLICE)
        name = "" if found is None else found[0].decode()
        if name not in keys:
            return []
        # Jobs end about in the order in which they are awaited: the next ones in one round trip.
        names = list(keys)
        begin = names.index(name) + 1
        following = names[begin : begin + _AT_ONCE]
        with self._redis.pipeline(transaction=False) as pipe:
            for one in following:
                pipe.lpop(one)
            copies = [found[1], *pipe.execute()]
        ended = zip([name, *following], copies, strict=True)
        return [(keys[one], outcome_of(copy)) for one, copy in ended if copy is not None]

    @property
    def _own(self) -> str:
        """The key by which a look is woken, of this process."""
        return f"{self._own_keys}-{os.getpid()}"

    def _wake(self) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            own = self._own
            pipe.rpush(own, "1").pexpire(own, _WAKE_MS).execute()

    def close(self) -> None:
        """End what is awaited."""
        self._watcher.stop()
        self._leaving.stop(finish=True)


class _Call(NamedTuple):
    """The step that calls a function, which may wait for the server."""

    call: Callable[[], Any]


class _Pause(NamedTuple):
    """The step that waits, in seconds, before the server is asked again."""

    seconds: float


class _Next(NamedTuple):
    """The step that waits for the copy of the job's outcome, in seconds."""

    seconds: float


_Step = _Call | _Pause | _Next


class _LateError(Exception):
    """The time is over, and the server has not answered."""


class _Registration:
    """One caller among those who wait for a job: each of them gets a copy of its outcome."""

    def __init__(self, store: JobStore, job: str, until: float | None) -> None:
        self._store = store
        self._job = job
        self._until = until
        self._lock = new_lock()
        self._joined = self._left = False

    def look(self) -> JobOutcome | None:
        """Return the outcome; if there is none yet, the caller has joined from now on."""
        joins = not self._joined
        try:
            outcome = self._store.wait(self._job, int(joins), self._seconds())
        except AgentnbError:
            raise
        except BaseException:  # interrupted: the server may have got it
            self._joined = True
            raise
        with self._lock:
            if joins or outcome is not None:
                self._joined = outcome is None
            gone = joins and self._joined and self._left
        if gone:  # the caller has left meanwhile
            self.withdraw()
        return outcome

    def _seconds(self) -> float | None:
        """Return the seconds that a look may take; None for the client's timeout."""
        return look_limit(self._until, self._store.redis.timeout)

    @property
    def joined(self) -> bool:
        """Whether the server counts the caller."""
        return self._joined

    def received(self) -> None:
        """Note that the outcome has come: the server counts the caller no longer."""
        self._joined = False

    def leave(self) -> bool:
        """Leave, and return whether the server has to be told."""
        with self._lock:
            joined, self._joined, self._left = self._joined, False, True
        return joined

    def withdraw(self) -> None:
        """Tell the server that the caller has left."""
        self._store.wait(self._job, -1)


def _flow(
    one: _Registration, until: float | None, check: Check | None
) -> Generator[_Step, Any, JobOutcome | None]:
    """Yield the steps of a wait, and return the job's outcome; None if there is none in time."""
    answered = False
    while True:
        try:
            joined = one.joined
            outcome: JobOutcome | None = yield _Call(one.look)
            answered = True
            if joined and outcome is not None and outcome[0] == "gone":
                # It has ended, and others since: it is kept no longer, and the copy is on its way.
                copy: JobOutcome | None = yield _Next(_COPY_SECONDS)
                outcome = copy or outcome
            if outcome is not None or is_over(until):
                return outcome
            if check is not None:
                yield _Call(check)
            outcome = yield _Next(slice_of(until, _SLICE))
            if outcome is not None:
                one.received()
                return outcome
        except UnavailableError:
            # An endless wait for a server that does not answer at first would say nothing.
            if is_over(until) or (until is None and not answered):
                raise
            yield _Pause(pause_of(until))


def outcome_of(copy: bytes) -> JobOutcome:
    """Return the outcome of which those who wait for a job have a copy."""
    state, _, value = copy.partition(b" ")
    return state.decode(), value
