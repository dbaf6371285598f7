"""One queue: jobs are added to it, looked at, and processed."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import NotFoundError, RejectedError, UsageError
from agentnb.core.failure import CANCELLED, Failure
from agentnb.core.queue.blocked import Blocked
from agentnb.core.queue.counts import ENDED, STATES
from agentnb.core.queue.events import JobEvents
from agentnb.core.queue.job import Job
from agentnb.core.queue.keys import KeyRecord
from agentnb.core.queue.options import DEFAULTS, RESULT_TTL, Message, Options
from agentnb.core.queue.overview import overview
from agentnb.core.queue.processing import Processor
from agentnb.core.queue.store import JobStore
from agentnb.core.ranges import seconds, whole
from agentnb.core.trace import check_correlation_id
from agentnb.core.trace.context import random_bits

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.loop import LoopThread
    from agentnb.core.queue.claims import RedisWorkStore
    from agentnb.core.queue.counts import Counts
    from agentnb.core.queue.keys import AddedJob
    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.queue.queues import Queues
    from agentnb.core.queue.registry import WorkerInfo
    from agentnb.core.queue.snapshot import JobSnapshot
    from agentnb.core.queue.tasks import QueueHuey
    from agentnb.core.queue.worker import Worker
    from agentnb.core.trace import Tracer
    from agentnb.core.work.attempt import Attempt

__all__ = ["Queue"]

_MOST_THREADS = 1000
_GIVEN = (3, None, None, None, False, 100, 50)
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_BITS = 60
_WAS = {"failed": "failed", "cancelled": "was cancelled"}


class Queue:
    """A queue of jobs, made on first use by `Queues.get_queue`.

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
        processes that run one job at a time. Read as a worker starts.
    before
        Called with each attempt before its processor is looked up; None for nothing.
    """

    def __init__(self, queues: Queues, name: str) -> None:
        self.queues = queues
        self.name = name
        self.store = JobStore(queues.redis, queues.keys, name)
        self.json = queues.json
        self.kills = False
        self.before: Callable[[Attempt], object] | None = None
        self.blocked = Blocked()
        self._events = JobEvents(name, queues.events, queues.log, queues.redactor)
        self._result_ttl = queues.result_ttl
        self._processor: Processor | None = None
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

        return QueueHuey(self.name)

    def add(  # noqa: PLR0913 - one word for each option
        self,
        data: Any = None,
        *,
        priority: int = 0,
        delay: float = 0.0,
        attempts: int = 3,
        backoff: float | dict[str, Any] | None = None,
        timeout: float | None = None,
        key: str | None = None,
        lifo: bool = False,
        remove_on_complete: bool | int = 100,
        remove_on_fail: bool | int = 50,
        result_ttl: float | None = None,
        correlation_id: str | None = None,
    ) -> Job:
        """Add a job, and return it.

        Parameters
        ----------
        data
            Any value with a JSON form, see `agentnb.core.codec.plain`. It is checked by the
            schema of the processor, where this process has one.
        priority
            The lower number runs first: 0, then 1, 2, ... up to 524,287. A job without a
            priority has 0, so that any other number lets it run later.
        delay
            Seconds before it may run.
        attempts
            How often it is tried before it fails, a worker's death counted.
        backoff
            Seconds between attempts; or ``{"type": "exponential", "delay": 2}``, the default,
            which doubles from one to the next, up to five minutes, with some jitter.
        timeout
            Seconds that an attempt may take; see `work`.
        key
            An idempotency key. The first call adds the job; each later one returns it, until 7
            days (`Queues`' ``key_ttl``) after it has ended. One that failed or was cancelled
            is returned, too, and a warning is logged. Removing a job that has not completed
            frees its key.
        lifo
            Before all others of its priority.
        remove_on_complete
            The completed job is kept while fewer than this many other jobs have completed after
            it, and in any case until its result was read or ``result_ttl`` is over; True removes
            it at once, False never.
        remove_on_fail
            The same for a job that failed or was cancelled, which is kept for 7 days in any case,
            as one of 10,000 at most.
        result_ttl
            Seconds for which its result is kept in any case; default: `Queue.result_ttl`.
        correlation_id
            Free text that goes with the job: its attempts' spans, log lines and events carry it,
            and so does what they add or publish. Default: that of the running trace.

        Raises
        ------
        UsageError
            The data has no JSON form, is too large or not of the schema; an option cannot be
            used; the key was used with other data.
        UnavailableError
            The server is away. The job was not added, or the same call with a ``key`` finds it.
        """
        options = DEFAULTS
        if result_ttl is None:
            result_ttl = self.result_ttl
        given = (attempts, backoff, timeout, key, lifo, remove_on_complete, remove_on_fail)
        if priority or given != _GIVEN or result_ttl != RESULT_TTL:
            options = Options.checked(
                priority=priority,
                attempts=attempts,
                backoff=backoff,
                timeout=timeout,
                key=key,
                lifo=lifo,
                remove_on_complete=remove_on_complete,
                remove_on_fail=remove_on_fail,
                result_ttl=result_ttl,
            )
        delay = 0.0 if delay is None else seconds("delay", delay, service="queue", zero=True)
        kind = self.current.schema if self.current is not None else None
        check_correlation_id(correlation_id, "queue")
        with self.tracer.span("add", service="queue", queue=self.name) as span:
            if correlation_id is not None:
                span.correlation_id = correlation_id
            message = Message(
                msgspec.Raw(self.json.encode(data, kind)),
                options,
                span.traceparent,
                span.correlation_id,
            )
            encoded = msgspec.json.encode(message)
            record = None
            if options.key is not None:
                ttl = self.queues.key_ttl
                record = KeyRecord.of(options.key, ttl, bytes(message.data), self.redact)
            id_ = _new_id()
            found = self.store.add(id_, encoded, options, delay, record)
            span.attributes = {"queue": self.name, "job": found.id}
        if record is None or found.id == id_:
            return Job(self, found.id, encoded)
        return self._added_before(found, record, encoded)

    def _added_before(self, found: AddedJob, record: KeyRecord, encoded: bytes) -> Job:
        """Return the job that has the key already, if it was added with the same data."""
        seen = self.store.show(found.id)
        job = Job(self, found.id, encoded) if seen is None else self.job_of(seen)
        found.check(record, None if seen is None else job.raw)
        if found.state in {"failed", "cancelled"}:
            self.log.warning(
                "key %s is job %s, which %s: nothing was added%s",
                *(record.key, found.id, _WAS[found.state]),
                "" if seen is None else "; retry() runs it again",
                extra=self._events.stamp(job),
            )
        return job

    def retry(self, job_id: str) -> None:
        """Run a failed, cancelled, completed or delayed job now, with all its attempts.

        Raises
        ------
        NotFoundError, RejectedError
            It is gone; it waits or runs already.
        """
        self._refuse(job_id, self.store.requeue(job_id), {"waiting", "active"}, "waits already")

    def remove(self, job_id: str, *, force: bool = False) -> None:
        """Remove a job with all that is kept of it; a running one only if forced to.

        Raises
        ------
        NotFoundError, RejectedError
            It is gone; it is running.
        """
        refused = set() if force else {"active"}
        self._refuse(job_id, self.store.remove(job_id, force=force), refused, "cannot be removed")

    def cancel(self, job_id: str) -> None:
        """Cancel a job; one that runs is stopped where that is possible.

        Raises
        ------
        NotFoundError, RejectedError
            It is gone; it has ended already.
        """
        seen = self.store.show(job_id)
        if seen is None:
            raise self.gone(job_id)
        job = self.job_of(seen)
        failure = Failure(CANCELLED, seen.attempt)
        state = self.store.cancel(job_id, failure.write(), job.options.retention("cancelled"))
        self._refuse(job_id, state, set(ENDED), "cannot be cancelled")
        if self._worker is not None:
            self._worker.look()
        self.log.info("job cancelled", extra=self._events.stamp(job))
        self._events.publish("cancelled", job, attempt=seen.attempt)

    def _refuse(self, job_id: str, state: str, refused: set[str], why: str) -> None:
        if state == "gone":
            raise self.gone(job_id)
        if state in refused:
            raise RejectedError(
                f"job {job_id} {why}: it is {state}",
                service="queue",
                hint=f"%queue show {job_id}" if state != "active" else "job.cancel() stops it",
            )

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

    def job_of(self, seen: JobSnapshot, *, attempt: int | None = None) -> Job:
        """Return the job of a snapshot, at one attempt of it or at the latest."""
        message = seen.fields.get("message", b"")
        return Job(self, seen.id, message, seen=seen, attempt=attempt)

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
        """Pause the queue for all workers until `resume`; jobs that run go on."""
        self.store.pause()
        self.log.info("queue is paused", extra=self._events.stamp())

    def resume(self) -> None:
        """Resume the queue."""
        self.store.resume()
        self.log.info("queue is resumed", extra=self._events.stamp())

    @property
    def paused(self) -> bool:
        """Whether the queue is paused."""
        return self.store.is_paused()

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
        whole("concurrency", concurrency, service="queue", most=_MOST_THREADS)
        running = self._worker
        if running is not None and running.running and running.concurrency == concurrency:
            return running
        if running is not None:
            running.stop()
        self._worker = Worker(self, self._work_store(), concurrency)
        self._worker.start()
        return self._worker

    def _work_store(self) -> RedisWorkStore:
        """Return the store that a worker claims the jobs of this queue from."""
        from agentnb.core.queue.claims import RedisWorkStore

        events = self.queues.events
        return RedisWorkStore(
            self.store,
            lease=self.lease,
            publish=events.publish_function if events is not None else "",
            make=lambda id_, message, attempt: Job(self, id_, message, attempt=attempt),
            events=self._events,
            processor=lambda: self._processor.name if self._processor is not None else "",
        )

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
        """Return the workers of this queue, in this process and elsewhere."""
        return self._overview().workers

    def _overview(self) -> QueueOverview:
        return overview(self.queues.redis, [self])[0]

    def deadlock(self, job: Job) -> RejectedError | None:
        """Return the error of a processor of this queue that waits for a job that cannot start."""
        worker = self.worker
        if worker is None or self.blocked.count < worker.concurrency or job.state != "waiting":
            return None
        if {one.owner for one in self.workers()} - {worker.owner}:
            return None
        return RejectedError(
            f"job {job.id} of {self.name} cannot start: all threads of its worker "
            f"({worker.concurrency}) wait for other jobs of this queue",
            service="queue",
            hint=f"add it to another queue, or use more threads: %queue work {self.name} "
            f"--concurrency {2 * worker.concurrency}",
        )

    def why_waiting(self) -> str | None:
        """Return why jobs wait and what to do, or None if somebody works on them."""
        return self.why_of(self._overview())

    def why_of(self, seen: QueueOverview) -> str | None:
        """Return why jobs wait and what to do, by what was seen of the queue; as `why_waiting`."""
        name = self.name
        if seen.paused:
            return f"{name} is paused: %queue resume {name}"
        if seen.workers:
            return None
        if self._processor is not None and self._processor.needs:
            return (
                f"no worker is running for queue {name}, whose cell is for this kernel only: "
                f"%queue work {name}"
            )
        return (
            f"no worker is running for queue {name}: hub.queue({name!r}).work(function), "
            f"%queue work {name}, or agentnb worker {name}"
        )

    def __repr__(self) -> str:
        return f"Queue({self.name!r})"


def _new_id() -> str:
    # The generator of trace ids, which a notebook that seeds random's does not repeat.
    bits = random_bits(_BITS)
    return "".join([_LETTERS[bits >> shift & 31] for shift in range(0, _BITS, 5)])
