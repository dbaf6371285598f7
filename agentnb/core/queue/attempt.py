"""One attempt at a job, from when it is taken until its outcome counts or does not."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from huey.exceptions import CancelExecution, TaskTimeout

from agentnb.core.errors import UsageError
from agentnb.core.failure import Failure
from agentnb.core.queue.options import pause_before
from agentnb.core.queue.snapshot import UNKEPT
from agentnb.core.trace import use

if TYPE_CHECKING:
    from agentnb.core.queue.job import Job
    from agentnb.core.queue.processing import Processor
    from agentnb.core.queue.queue import Queue
    from agentnb.core.queue.store import Taken
    from agentnb.core.trace import Context

__all__ = ["Attempt", "Failed"]


class Failed(Exception):  # noqa: N818 - what happened
    """An attempt failed: huey is shown this, never the error itself, which it would log whole."""


class Attempt:
    """An attempt at a job in this process.

    Parameters
    ----------
    queue
        The job's queue.
    job
        The job, as its processor is given it.
    taken, owner
        Tell the attempt on the server.

    Attributes
    ----------
    lost
        Whether the job was cancelled, or belongs to another: what comes of it does not count.
    settled
        Whether what came of it is on its way to the server, which knows whether that counts.
    failure
        Why it failed, or None.
    final
        Whether another attempt would fail as well.
    thread
        The number of the worker's thread that runs it.
    began
        When it was taken, of the monotonic clock.
    context
        The trace that its log lines and events belong to: the job's, then the attempt's span.
    overdue
        When it has to be over, of the monotonic clock; None while it may take its time.
    """

    def __init__(self, queue: Queue, job: Job, taken: Taken, owner: str) -> None:
        self.queue = queue
        self.job = job
        self.taken = taken
        self.owner = owner
        self.lost = False
        self.settled = False
        self.failure: Failure | None = None
        self.final = False
        self.thread = threading.get_ident()
        self.began = monotonic()
        self.context: Context | None = job.context
        self.overdue: float | None = None
        self._cancel: Any = None
        self._timeout: float | None = None

    @property
    def left(self) -> int:
        """Return how many attempts are left after this one."""
        return 0 if self.final else max(self.job.options.attempts - self.taken.attempt, 0)

    @property
    def ms(self) -> float:
        """Return the ms since it was taken."""
        return (monotonic() - self.began) * 1000

    @property
    def pause(self) -> float:
        """Return the seconds to wait before the next one."""
        return pause_before(self.job.options, self.taken.attempt + 1)

    def run(self, processor: Processor | None) -> bytes:
        """Process the job and return its result as JSON.

        Raises
        ------
        Failed, TaskTimeout, CancelExecution
            It failed, took too long, or is not this attempt's any more. `failure` says why.
        """
        queue, job = self.queue, self.job
        timeout = job.options.timeout
        self._timeout = timeout or (processor.timeout if processor else None)
        if self._timeout is not None:
            self.overdue = monotonic() + self._timeout
        span = queue.tracer.span(
            "process", service="queue", attempt=self.taken.attempt, queue=queue.name, job=job.id
        )
        with use(self.context), span:
            self.context = span
            queue.tell.say_begun(job)
            try:
                return self._kept(self._call(processor), processor)
            except BaseException as error:  # noqa: BLE001 - a job may raise anything, even SystemExit
                span.outcome = type(error).__name__
                self._failed(error)
                if self.lost:
                    raise CancelExecution(retry=False) from None
                queue.tell.say_raised(job, self.failure.error if self.failure else "")
                if isinstance(error, TaskTimeout):
                    raise TaskTimeout(str(error)) from None
                raise Failed(self.failure.error if self.failure else "") from None
            finally:
                self.overdue = None

    def _kept(self, result: Any, processor: Processor | None) -> bytes:
        """Return a result as it is kept; work that is done is never lost by its result."""
        queue = self.queue
        kept = queue.json.keep(result, processor.declared if processor else None, queue.redact)
        if kept.unkept is not None:
            queue.log.warning(
                "job %s is %s", self.job.id, kept.unkept, extra=queue.tell.of(self.job)
            )
            return UNKEPT + kept.unkept.write().encode()
        if kept.note and processor is not None:
            queue.note_result(self.job, processor, kept.note)
        return kept.data

    def _failed(self, error: BaseException) -> None:
        self.failure = Failure.of(error, self.taken.attempt, self.queue.redact)
        # Data that the schema refuses stays so.
        self.final = isinstance(error, UsageError) and error.service == "queue"

    def _call(self, processor: Processor | None) -> Any:
        if processor is None:
            raise UsageError("this worker's processor was taken away", service="queue")
        job = self.job
        job._data = job._read(processor.schema)  # noqa: SLF001 - the two are one
        function = processor.function
        if self._timeout is None or self.queue.kills or inspect.iscoroutinefunction(function):
            found = function(job)
            return self._await(found) if inspect.isawaitable(found) else found
        return self._in_thread(function)

    def _await(self, awaitable: Any) -> Any:
        async def bounded() -> Any:
            task = asyncio.current_task()
            loop = asyncio.get_running_loop()
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel) if task else None
            if self.lost:
                self._cancel()
            try:
                async with asyncio.timeout(self._timeout):
                    return await awaitable
            except TimeoutError as error:
                if self.overdue is not None and monotonic() >= self.overdue:
                    raise self._too_long("it was cancelled") from error
                raise
            finally:
                self._cancel = None

        return self.queue.loop.call(bounded)

    def _in_thread(self, function: Any) -> Any:
        """Call a function in a thread that can be left behind, since it cannot be ended."""
        outcome: list[Any] = []
        done = threading.Event()
        context = contextvars.copy_context()

        def call() -> None:
            try:
                found = context.run(function, self.job)
                if inspect.isawaitable(found):
                    found = self._await(found)
                outcome.append((found, None))
            except BaseException as error:  # noqa: BLE001 - raised in the worker's thread
                outcome.append((None, error))
            done.set()

        name = f"agentnb-job-{self.job.id}"
        threading.Thread(target=call, name=name, daemon=True).start()
        until = monotonic() + (self._timeout or 0.0)
        while not done.wait(min(0.2, max(until - monotonic(), 0.001))):
            if monotonic() >= until:
                raise self._too_long("its thread may run on, and what comes of it does not count")
            if self.lost:
                raise CancelExecution(retry=False)
        found, error = outcome[0]
        if error is not None:
            raise error
        return found

    def _too_long(self, and_so: str) -> TaskTimeout:
        return TaskTimeout(f"it took longer than {self._timeout:g} s; {and_so}")

    def timed_out(self) -> Failure:
        """Return the failure of an attempt that has taken too long, of which the process ends."""
        error = self._too_long("its process was killed")
        return Failure.of(error, self.taken.attempt, self.queue.redact)

    def lose(self) -> None:
        """Note that the job is not this attempt's any more, and stop what can be stopped."""
        self.lost = True
        cancel = self._cancel
        if cancel is not None:
            with suppress(RuntimeError):  # its loop is closed
                cancel()
