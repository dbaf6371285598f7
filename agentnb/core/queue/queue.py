"""One queue: jobs are added to it, looked at, and processed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError, NotFoundError, RejectedError, UsageError
from agentnb.core.queue.adding import Adding
from agentnb.core.queue.counts import ENDED, STATES
from agentnb.core.queue.job import Job
from agentnb.core.queue.options import DEFAULTS, RESULT_TTL
from agentnb.core.queue.processing import Processor
from agentnb.core.queue.registry import WorkerInfo, workers_of
from agentnb.core.queue.steering import Steering
from agentnb.core.queue.store import Store
from agentnb.core.queue.telling import Teller
from agentnb.core.ranges import seconds

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.loop import LoopThread
    from agentnb.core.queue.counts import Counts
    from agentnb.core.queue.queues import TaskQueue
    from agentnb.core.queue.snapshot import Seen
    from agentnb.core.queue.tasks import QueueHuey
    from agentnb.core.queue.worker import Worker
    from agentnb.core.trace import Tracer

__all__ = ["Queue"]

MOST_THREADS = 1000


class Queue(Adding, Steering):
    """A queue of jobs, made on first use by `TaskQueue.get_queue`.

    Jobs are handed out at least once: one whose worker dies is handed out again, and counted as
    another attempt. So a processor has to bear being run twice for one job.

    Parameters
    ----------
    queues
        What all queues share.
    name
        Its name.

    Attributes
    ----------
    name
        Its name.
    kills
        Whether a job that takes too long, or is cancelled, ends this whole process: so do worker
        processes that run one job at a time.
    """

    def __init__(self, queues: TaskQueue, name: str) -> None:
        self.queues = queues
        self.name = name
        self.store = Store(
            queues.redis,
            queues.keys,
            name,
            lease=queues.lease,
            publish=queues.events.publish_function if queues.events is not None else "",
        )
        self.json = queues.json
        self.tell = Teller(self)
        self.kills = False
        self._result_ttl = queues.result_ttl
        self._processor: Processor | None = None
        self._noted: Processor | None = None
        self._worker: Worker | None = None

    @property
    def lease(self) -> float:
        """Seconds for which an active job is its worker's without a renewal."""
        return self.queues.lease

    @property
    def result_ttl(self) -> float:
        """Seconds for which a result that nobody reads is kept, of jobs added from now on here."""
        return self._result_ttl

    @result_ttl.setter
    def result_ttl(self, value: float) -> None:
        self._result_ttl = seconds("result_ttl", value, service="queue", zero=True)

    @property
    def loop(self) -> LoopThread:
        """The loop that runs coroutine functions."""
        return self.queues.loop

    @property
    def tracer(self) -> Tracer:
        """Where spans go."""
        return self.queues.tracer

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """Where log lines go."""
        return self.queues.log

    def redact(self, text: str) -> str:
        """Return a text without its secrets."""
        return self.queues.redactor(text)

    @cached_property
    def huey(self) -> QueueHuey:
        """The instance of huey for this queue, with its signals and hooks; see `QueueHuey`."""
        from agentnb.core.queue.tasks import QueueHuey

        return QueueHuey(self)

    def get(self, job_id: str) -> Job:
        """Return a job as it stands.

        Raises
        ------
        NotFoundError
            It was removed, or is no longer kept.
        """
        seen = self.store.show(job_id)
        if seen is None:
            raise self.gone(job_id)
        return self.job_of(seen)

    def gone(self, job_id: str) -> NotFoundError:
        """Return the error for a job that is not there."""
        return NotFoundError(
            f"there is no job {job_id} in {self.name}: it was removed, or is no longer kept",
            service="queue",
            hint=f"%queue jobs {self.name} lists the jobs that are kept; a result that was read "
            f"is kept for the next {DEFAULTS.keep} jobs, others for result_ttl= "
            f"({RESULT_TTL:g} s)",
        )

    def job_of(self, seen: Seen) -> Job:
        """Return the job that was seen on the server."""
        return Job(self, seen.id, seen.fields.get("message", b""), seen=seen)

    def jobs(
        self, state: str | None = None, n: int = 100, *, start: int = 0, newest: bool | None = None
    ) -> list[Job]:
        """Return jobs by their state.

        Parameters
        ----------
        state
            ``waiting``, ``paused``, ``delayed``, ``active``, ``completed``, ``failed``,
            ``cancelled``; None for all.
        n
            How many of each state at most.
        start
            How many to leave out first.
        newest
            Whether the last come first; None for that with jobs that have ended, while others
            come in the order in which they will run.

        Raises
        ------
        UsageError
            No such state.
        """
        if state is not None and state not in STATES:
            raise UsageError(
                f"no such state: {state!r}", service="queue", hint=f"states: {', '.join(STATES)}"
            )
        found = []
        for one in STATES if state is None else (state,):
            backwards = one in ENDED if newest is None else newest
            found += self.store.jobs_in(one, n, start, newest=backwards)
        return [self.job_of(seen) for seen in found]

    def counts(self) -> Counts:
        """Return how many jobs there are by state, and how many have ever ended.

        ``completed``, ``failed`` and ``cancelled`` are the jobs that are kept; beside them
        ``completed_total``, ``failed_total`` and ``cancelled_total`` count all.
        """
        return self.store.counts()

    def pause(self) -> None:
        """Let nothing more be taken, by anybody; what runs goes on. Lasts until `resume`."""
        self.store.pause()
        self.log.info("queue is paused", extra=self.tell.of())

    def resume(self) -> None:
        """Let jobs be taken again."""
        self.store.resume()
        self.log.info("queue goes on", extra=self.tell.of())

    @property
    def paused(self) -> bool:
        """Whether nothing is taken."""
        return self.store.is_paused()

    def note_result(self, job: Job, processor: Processor, note: str) -> None:
        """Say once for a processor that its results come back as another type."""
        if self._noted is processor:
            return
        self._noted = processor
        text = f"processor {processor.name} {note}"
        self.log.warning("%s", text, extra=self.tell.of(job))
        with suppress(AgentnbError):  # the work is done, with or without the line
            job.log(text)

    @property
    def current(self) -> Processor | None:
        """The queue's processor in this process, or None."""
        return self._processor

    def process(
        self,
        processor: Callable[[Job], Any],
        *,
        schema: Any = None,
        returns: Any = None,
        timeout: float | None = None,
        source: str = "",
        needs: tuple[str, ...] = (),
    ) -> None:
        """Make a function the queue's processor in this process; it starts no work by itself.

        A worker that runs here already uses it from the next job on.

        Parameters
        ----------
        processor, schema, returns, timeout
            As `work` takes them.
        source
            Where the function comes from, for people.
        needs
            The names of its notebook that keep it in this process.
        """
        made = Processor(processor, schema, timeout, source, needs, returns)
        wrap = self.queues.wrap
        self._processor = made if wrap is None else replace(made, function=wrap(made.function))

    def forget_processor(self) -> None:
        """Have no processor in this process any more.

        Raises
        ------
        RejectedError
            A worker of this process uses it.
        """
        if self.worker is not None:
            raise RejectedError(
                f"{self.name} is worked on here", service="queue", hint=f"%queue stop {self.name}"
            )
        self._processor = None

    def work(
        self,
        processor: Callable[[Job], Any] | None = None,
        *,
        concurrency: int = 5,
        schema: Any = None,
        returns: Any = None,
        timeout: float | None = None,
    ) -> Worker:
        """Process jobs in this process, in threads, until the worker is stopped.

        Working again replaces the processor, and the worker if the number of threads is another.

        Parameters
        ----------
        processor
            Called with each `Job`. Its return value is the job's result, and an exception lets
            the attempt fail. ``def`` or ``async def``. Default: the one given to `process`.
            In a notebook what it prints is kept in the job's log.
        concurrency
            How many jobs run at once.
        schema
            The type that the data is checked by and read as: a msgspec Struct, a dataclass, a
            TypedDict, a pydantic model, or lists and dicts of those.
        returns
            The type of its result; default: its return annotation. `Job.result` reads the result
            as it; see `agentnb.core.codec.plain` for the JSON that is kept.
        timeout
            Seconds for an attempt, unless the job says otherwise. A coroutine is cancelled after
            that; a function's thread is left behind, and what comes of it does not count.

        Returns
        -------
        Worker
            To stop it, or to wait until everything is done.

        Raises
        ------
        UsageError
            There is no processor, or one of the others cannot be used, such as a type that no
            JSON can be read as.
        """
        from agentnb.core.queue.worker import Worker

        if processor is not None:
            self.process(processor, schema=schema, returns=returns, timeout=timeout)
        if self._processor is None:
            raise UsageError(
                f"{self.name} has no processor in this process",
                service="queue",
                hint=f"hub.queue({self.name!r}).work(function), or %%queue task {self.name} "
                "over a cell",
            )
        if not isinstance(concurrency, int) or not 1 <= concurrency <= MOST_THREADS:
            raise UsageError(f"concurrency cannot be {concurrency!r}", service="queue")
        running = self._worker
        if running is not None and running.running and running.concurrency == concurrency:
            return running
        if running is not None:
            running.stop()
        self._worker = Worker(self, concurrency)
        self._worker.start()
        return self._worker

    @property
    def worker(self) -> Worker | None:
        """The worker of this process, or None."""
        found = self._worker
        return found if found is not None and found.running else None

    def stop(self, timeout: float = 30.0) -> bool:
        """Stop the worker of this process, if there is one; see `Worker.stop`."""
        worker = self.worker
        return worker.stop(timeout) if worker is not None else True

    def workers(self) -> list[WorkerInfo]:
        """Return everybody who works on this queue, here and elsewhere."""
        return workers_of(self.store)

    def why_waiting(self) -> str | None:
        """Return why jobs wait and what to do, or None if somebody works on them."""
        if self.paused:
            return f"{self.name} is paused: %queue resume {self.name}"
        if not self.workers():
            if self._processor is not None and self._processor.needs:
                return (
                    f"nobody works on {self.name}: %queue work {self.name}, since its cell is for "
                    "this kernel only"
                )
            return (
                f"nobody works on {self.name}: hub.queue({self.name!r}).work(function), "
                f"%queue work {self.name}, or agentnb worker {self.name}"
            )
        return None

    def __repr__(self) -> str:
        return f"Queue({self.name!r})"
