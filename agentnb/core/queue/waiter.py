"""Waits for the outcomes of jobs."""

from __future__ import annotations

import asyncio
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.background import run_in_thread
from agentnb.core.ranges import end_of
from agentnb.core.work.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.queue.store import JobStore
    from agentnb.core.redis import RedisClient
    from agentnb.core.redis.keys import Keys
    from agentnb.core.trace.servicelog import ServiceLog

__all__ = ["JobOutcome", "JobWaiter"]

JobOutcome = tuple[str, bytes]
"""The state in which a job ended, and its result or error."""
_SLICE = 5.0  # seconds between two looks at a job whose end is waited for
_WAKE_MS = 10_000


class JobWaiter:
    """Waits for the outcomes of jobs, in the caller's thread or for any number of coroutines.

    Parameters
    ----------
    redis
        The client.
    keys
        Makes the keys.
    log
        The logger of queues.
    """

    def __init__(self, redis: RedisClient, keys: Keys, log: ServiceLog) -> None:
        self._redis = redis.untraced
        self._jobs = keys.internal("job", "")
        self._own = keys.internal("awaited", token_hex(6))
        self._watcher = Watcher(self._look, wake=self._wake, name="jobs", log=log)

    def wait(
        self, store: JobStore, job: str, timeout: float | None, check: Callable[[], object]
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
        outcome = store.wait(job, 1)
        while outcome is None:
            try:
                check()
            except BaseException:
                store.wait(job, -1)
                raise
            outcome = store.next_outcome(job, max(_slice(until), 0.001))
            if outcome is None:
                late = _is_over(until)
                outcome = store.wait(job, -1 if late else 0)
                if late:
                    break
        return outcome

    async def await_(
        self,
        store: JobStore,
        job: str,
        timeout: float | None,  # noqa: ASYNC109 - as wait
        check: Callable[[], object],
    ) -> JobOutcome | None:
        """Await the outcome of a job, without a thread of its own; see `wait`."""
        until = end_of(timeout, service="queue")
        outcome = await asyncio.to_thread(store.wait, job, 1)
        try:
            while outcome is None:
                await asyncio.to_thread(check)
                try:
                    outcome = await self._watcher.outcome(job, max(_slice(until), 0.0))
                except TimeoutError:
                    late = _is_over(until)
                    outcome = await asyncio.to_thread(store.wait, job, -1 if late else 0)
                    if late:
                        break
        except BaseException:
            run_in_thread(store.wait, job, -1, name="leave-job")  # the caller is on its way out
            raise
        return outcome

    def _look(self, jobs: Sequence[str]) -> list[tuple[str, JobOutcome]]:
        """Wait until one of some jobs has ended, and return it with its outcome."""
        keys = {f"{self._jobs}{job}:done": job for job in jobs}
        found: Any = self._redis.blpop([*keys, self._own], _SLICE)
        job = None if found is None else keys.get(found[0].decode())
        return [] if found is None or job is None else [(job, outcome_of(found[1]))]

    def _wake(self) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.rpush(self._own, "1").pexpire(self._own, _WAKE_MS).execute()

    def close(self) -> None:
        """Cancel what is awaited."""
        self._watcher.stop()


def outcome_of(copy: bytes) -> JobOutcome:
    """Return the outcome of which those who wait for a job have a copy."""
    state, _, value = copy.partition(b" ")
    return state.decode(), value


def _slice(until: float | None) -> float:
    return _SLICE if until is None else min(until - monotonic(), _SLICE)


def _is_over(until: float | None) -> bool:
    return until is not None and monotonic() >= until
