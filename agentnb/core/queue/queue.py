"""One queue: jobs are added to it, looked at, and processed."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

import msgspec

from agentnb.core.errors import RejectedError, UsageError
from agentnb.core.failure import CANCELLED, Failure
from agentnb.core.keywords import refuse_unknown
from agentnb.core.queue.bulk import QueueBatches
from agentnb.core.queue.counts import ENDED, STATES
from agentnb.core.queue.functions import function_of
from agentnb.core.queue.ids import new_id
from agentnb.core.queue.job import Job
from agentnb.core.queue.keys import KeyRecord
from agentnb.core.queue.limits import QueueLimits
from agentnb.core.queue.options import DEFAULTS, RESULT_TTL, Message, Options
from agentnb.core.queue.processing import Processor
from agentnb.core.queue.search import search, search_ids
from agentnb.core.queue.taped import AddedJobs
from agentnb.core.ranges import seconds, whole
from agentnb.core.tape.methods import on_tapes
from agentnb.core.trace import check_correlation_id
from agentnb.core.trace.spans import Span
from agentnb.core.twins import twin
from agentnb.core.work.executors.words import THREADS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable
    from concurrent.futures import Executor
    from zoneinfo import ZoneInfo

    from typing_extensions import TypeForm

    from agentnb.core.loop import LoopThread
    from agentnb.core.queue.arguments import (
        Backoff,
        ScheduleOptions,
        State,
        WorkOptions,
    )
    from agentnb.core.queue.claims import RedisWorkStore
    from agentnb.core.queue.counts import Counts
    from agentnb.core.queue.handler import JobHandler
    from agentnb.core.queue.keys import AddedJob
    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.queue.queues import Queues
    from agentnb.core.queue.registry import WorkerInfo
    from agentnb.core.queue.schedules import QueueSchedules
    from agentnb.core.queue.search import JobPage
    from agentnb.core.queue.snapshot import JobSnapshot
    from agentnb.core.queue.tasks import QueueHuey
    from agentnb.core.queue.worker import Worker
    from agentnb.core.table import Table
    from agentnb.core.tape.hook import Form
    from agentnb.core.work.attempt import Attempt
    from agentnb.core.work.executors.far import FarSide
    from agentnb.core.work.executors.near import Elsewhere
    from agentnb.core.work.inline import InlineWorker
    from agentnb.core.work.schedules.policy import Missed, Overlap
    from agentnb.core.work.schedules.schedule import Schedule, ScheduleInfo

__all__ = ["Queue"]

S = TypeVar("S")

_MOST_THREADS = 1000
_GIVEN = (3, None, None, None, False, 100, 50)
_WAS = {"failed": "failed", "cancelled": "was cancelled"}


def _added(queue: Queue) -> Form:
    return AddedJobs(lambda id_, message: Job(queue, queue._parts, id_, message))  # noqa: SLF001 - of its own module


@on_tapes(
    "queue",
    "_parts.redact",
    {"add": _added},
    names=lambda queue: {"queue": queue.name},
)
@refuse_unknown("queue")
class Queue(QueueBatches, QueueLimits):
    """A queue of jobs, made on first use by `Queues.get_queue`.

    Each job runs at least once: one whose worker dies runs again, and that is counted as
    another attempt: make processors idempotent.

    Parameters
    ----------
    queues
        The queues that it is one of.
    parts
        Its parts.
    result_ttl
        Seconds for which an unread result is kept, unless the job says so.

    Attributes
    ----------
    name
        Its name.
    queues
        The queues that it is one of.
    """

    def __init__(self, queues: Queues, parts: QueueParts, result_ttl: float) -> None:
        self.name = parts.name
        self.queues = queues
        self._parts = parts
        self._store = parts.store
        self._result_ttl = result_ttl
        self._call_threads = parts.threads
        self._processor: Processor | None = None
        self._worker: Worker | None = None
        self._shown: Queue | None = None
        """The queue that jobs which run here take this one for; see `agentnb.testing.run_job`."""

    @property
    def lease(self) -> float:
        """Seconds for which an active job is its worker's without a renewal."""
        return self._parts.lease

    @property
    def result_ttl(self) -> float:
        """Seconds for which an unread result is kept, of jobs that are added here from now on."""
        return self._result_ttl

    @result_ttl.setter
    def result_ttl(self, value: float) -> None:
        self._result_ttl = seconds("result_ttl", value, service="queue", zero=True)

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
        backoff: float | Backoff | None = None,
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
        with self._parts.tracer.span("add", service="queue", queue=self.name) as span:
            if correlation_id is not None:
                span.correlation_id = correlation_id
            message = Message(
                msgspec.Raw(self._parts.json.encode(data, kind)),
                options,
                span.traceparent,
                span.correlation_id,
            )
            encoded = msgspec.json.encode(message)
            record = None
            if options.key is not None:
                ttl = self._parts.key_ttl
                record = KeyRecord.of(options.key, ttl, bytes(message.data), self._parts.redact)
            id_ = new_id()
            found = self._store.add(id_, encoded, options, delay, record)
            span.attributes = {"queue": self.name, "job": found.id}
        if record is None or found.id == id_:
            return Job(self, self._parts, found.id, encoded)
        return self._added_before(found, record, encoded)

    def _added_before(self, found: AddedJob, record: KeyRecord, encoded: bytes) -> Job:
        """Return the job that has the key already, if it was added with the same data."""
        seen = self._store.show(found.id)
        job = Job(self, self._parts, found.id, encoded) if seen is None else self._job_of(seen)
        found.check(record, None if seen is None else job.raw)
        if found.state in {"failed", "cancelled"}:
            self._parts.log.warning(
                "key %s is job %s, which %s: nothing was added%s",
                *(record.key, found.id, _WAS[found.state]),
                "" if seen is None else "; retry() runs it again",
                extra=self._parts.events.stamp(job),
            )
        return job

    @cached_property
    def _schedules(self) -> QueueSchedules:
        from agentnb.core.queue.schedules import QueueSchedules

        return QueueSchedules(
            self._parts, lambda id_, message: Job(self, self._parts, id_, message)
        )

    def schedule(
        self,
        name: str,
        cron: str | None = None,
        data: Any = None,
        *,
        every: float | dt.timedelta | None = None,
        tz: str | ZoneInfo | None = None,
        start: dt.datetime | None = None,
        end: dt.datetime | None = None,
        missed: Missed = "latest",
        overlap: Overlap = "allow",
        **options: Unpack[ScheduleOptions],
    ) -> Schedule[Job]:
        """Add a job at each of some times, or replace the schedule that has this name.

        The workers of the queue fire it, by the clock of the server: each time once, however many
        there are. Without a worker, and while the queue is paused, nothing fires. The same call
        again changes nothing; another one sets the next time anew, and a paused schedule stays
        paused.

        Parameters
        ----------
        name
            A word, unique in the queue; ``job.schedule`` has it, and ``job.scheduled_at`` the time.
        cron
            ``"0 2 * * *"``: minute, hour, day, month, weekday, with seconds in front where there
            are six fields, or ``"@daily"``. Names, ranges, steps, ``L`` and ``MON#1`` are
            understood. Where clocks are set, it fires as Debian's cron does: see
            `agentnb.core.work.schedules.timing.Timing`.
        data
            The data of its jobs, as `add` takes it.
        every
            Seconds or a timedelta from one time to the next, in the place of ``cron``: at least 1.
            They count from ``start``, or from 1970-01-01 00:00 UTC, so that 900 is each full
            quarter of an hour.
        tz
            The time zone of ``cron``; default: UTC.
        start, end
            Datetimes with a zone: the first and the last moment at which it may fire.
        missed
            What becomes of times at which no worker ran: ``latest`` fires once for all of them,
            so that nightly work is done though the machine was off at night, and a long outage
            starts one job, not hundreds; ``skip`` gives up those that are over 60 s old, or
            followed by another; ``all`` fires for each, for the latest 100 at most. A warning
            is logged in each case.
        overlap
            ``skip`` leaves out a time while the last job waits or runs.
        **options
            Those of its jobs, as `add` takes them: ``priority``, ``attempts``, ``timeout``, ...

        Raises
        ------
        UsageError
            It is no time, would never fire, or an option cannot be used; nothing was changed.

        Examples
        --------
        ``queue.schedule("report", "0 2 * * *", {"kind": "daily"}, tz="Europe/Berlin")``
        """
        kind = self.current.schema if self.current is not None else None
        return self._schedules.save(
            name,
            cron,
            data,
            every=every,
            tz=tz,
            start=start,
            end=end,
            missed=missed,
            overlap=overlap,
            schema=kind,
            default_ttl=self.result_ttl,
            **options,
        )

    def schedules(self) -> Table:
        """Return the schedules with their next times, by this machine's clock."""
        from agentnb.core.queue.schedules import table

        return table(self.schedule_infos())

    def schedule_infos(self) -> list[ScheduleInfo]:
        """Return the schedules as the server has them, by their names."""
        return self._schedules.infos()

    def get_schedule(self, name: str) -> Schedule[Job]:
        """Return a schedule by its name, to pause, resume, trigger or remove it.

        Raises
        ------
        NotFoundError
            There is none.
        """
        self._schedules.info(name)
        return self._schedules.get(name)

    def unschedule(self, name: str) -> None:
        """Remove a schedule; the jobs that it has added stay.

        Raises
        ------
        NotFoundError
            There is none.
        """
        self._schedules.remove(name)

    def retry(self, job_id: str) -> None:
        """Run a failed, cancelled, completed or delayed job now, with all its attempts.

        Raises
        ------
        NotFoundError, RejectedError
            It is gone; it waits or runs already.
        """
        with self._span("retry", job=job_id):
            state = self._store.requeue(self._parts.checked_id(job_id))
            self._refuse(job_id, state, {"waiting", "active"}, "waits already")

    def remove(self, job_id: str, *, force: bool = False) -> None:
        """Remove a job with all that is kept of it; a running one only if forced to.

        Raises
        ------
        NotFoundError, RejectedError
            It is gone; it is running.
        """
        refused = set() if force else {"active"}
        with self._span("remove", job=job_id):
            state = self._store.remove(self._parts.checked_id(job_id), force=force)
            self._refuse(job_id, state, refused, "cannot be removed")

    def cancel(self, job_id: str) -> None:
        """Cancel a job; one that runs is stopped where that is possible.

        Raises
        ------
        NotFoundError, RejectedError
            It is gone; it has ended already.
        """
        with self._span("cancel", job=job_id):
            self._cancel(job_id)

    def _span(self, name: str, **about: object) -> Span:
        return Span(self._parts.tracer, name, "queue", 1, {"queue": self.name, **about})

    def _cancel(self, job_id: str) -> None:
        seen = self._store.show(self._parts.checked_id(job_id))
        if seen is None:
            raise self._parts.gone(job_id)
        job = self._job_of(seen)
        failure = Failure(CANCELLED, seen.attempt)
        state = self._store.cancel(job_id, failure.write(), job.options.retention("cancelled"))
        self._refuse(job_id, state, set(ENDED), "cannot be cancelled")
        if self._worker is not None:
            self._worker.look()
        self._parts.log.info("job cancelled", extra=self._parts.events.stamp(job))
        self._parts.events.publish("cancelled", job, attempt=seen.attempt)

    def _refuse(self, job_id: str, state: str, refused: set[str], why: str) -> None:
        if state == "gone":
            raise self._parts.gone(job_id)
        if state in refused:
            raise RejectedError(
                f"job {job_id} {why}: it is {state}",
                service="queue",
                hint=f"hub.queue({self.name!r}).get({job_id!r}) (%queue show {job_id})"
                if state != "active"
                else "job.cancel() stops it",
            )

    def get(self, job_id: str) -> Job:
        """Return a job in its current state.

        Raises
        ------
        NotFoundError
            It was removed, or is no longer kept.
        UsageError
            The id is no text.
        """
        seen = self._store.show(self._parts.checked_id(job_id))
        if seen is None:
            raise self._parts.gone(job_id)
        return self._job_of(seen)

    def _job_of(self, seen: JobSnapshot) -> Job:
        """Return the job of a snapshot."""
        message = seen.fields.get("message", b"")
        return Job(self, self._parts, seen.id, message, seen=seen)

    def search(self, state: State, text: str = "", *, n: int = 100, most: int = 20_000) -> JobPage:
        """Return jobs of a state that hold a text, as a list shows them.

        Parameters
        ----------
        state
            One of those of `jobs`.
        text
            Text in the id, the data as JSON or the error, whether upper or lower case; empty for
            all jobs.
        n
            How many to return at most.
        most
            How many to search at most.
        """
        return search(self._parts, state, text, n=n, most=most)

    def search_ids(self, state: State, text: str = "", *, n: int = 100_000) -> list[str]:
        """Return the ids of jobs of a state that hold a text; as `search`."""
        return search_ids(self._parts, state, text, n=n).jobs

    def jobs(
        self,
        state: State | None = None,
        n: int = 100,
        *,
        start: int = 0,
        newest: bool | None = None,
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
            found += self._store.jobs_in(one, n, start, newest=backwards)
        return [self._job_of(seen) for seen in found]

    def counts(self) -> Counts:
        """Return how many jobs there are by state, and how many have ever ended.

        ``completed``, ``failed`` and ``cancelled`` are the jobs that are kept; beside them
        ``completed_total``, ``failed_total`` and ``cancelled_total`` count all.
        """
        return self._store.counts()

    def pause(self) -> None:
        """Pause the queue for all workers until `resume`; jobs that run go on."""
        with self._span("pause"):
            self._store.pause()
        self._parts.log.info("queue is paused", extra=self._parts.events.stamp())

    def resume(self) -> None:
        """Resume the queue."""
        with self._span("resume"):
            self._store.resume()
        self._parts.log.info("queue is resumed", extra=self._parts.events.stamp())

    @property
    def paused(self) -> bool:
        """Whether the queue is paused."""
        return self._store.is_paused()

    @property
    def current(self) -> Processor | None:
        """The queue's processor in this process, or None."""
        return self._processor

    @overload
    def process(
        self,
        processor: Callable[[Job[S]], Any],
        *,
        schema: TypeForm[S],
        returns: Any = ...,
        timeout: float | None = ...,
        source: str = ...,
        needs: tuple[str, ...] = ...,
        cell: bool = ...,
    ) -> None: ...
    @overload
    def process(
        self,
        processor: Callable[[Job], Any],
        *,
        schema: None = ...,
        returns: Any = ...,
        timeout: float | None = ...,
        source: str = ...,
        needs: tuple[str, ...] = ...,
        cell: bool = ...,
    ) -> None: ...
    def process(
        self,
        processor: Callable[[Job], Any],
        *,
        schema: Any = None,
        returns: Any = None,
        timeout: float | None = None,
        source: str = "",
        needs: tuple[str, ...] = (),
        cell: bool = False,
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
        cell
            Whether the home keeps it as a cell, which other processes load from there.
        """
        made = Processor(processor, schema, timeout, source, needs, returns, cell=cell)
        wrap = self._parts.wrap
        self._processor = made if wrap is None else replace(made, function=wrap(made.function))

    def forget_processor(self) -> None:
        """Remove the processor of this process.

        Raises
        ------
        RejectedError
            A worker of this process uses it.
        """
        if self.worker is not None:
            raise RejectedError(
                f"{self.name} is worked on here",
                service="queue",
                hint=f"hub.queue({self.name!r}).stop() (%queue stop {self.name})",
            )
        self._processor = None

    @overload
    def work(
        self,
        processor: Callable[[Job[S]], Any],
        *,
        concurrency: int = ...,
        schema: TypeForm[S],
        **options: Unpack[WorkOptions],
    ) -> Worker: ...
    @overload
    def work(
        self,
        processor: Callable[[Job], Any] | None = ...,
        *,
        concurrency: int = ...,
        schema: None = ...,
        **options: Unpack[WorkOptions],
    ) -> Worker: ...
    def work(
        self,
        processor: Callable[[Job], Any] | None = None,
        *,
        concurrency: int = 5,
        schema: Any = None,
        returns: Any = None,
        timeout: float | None = None,
        kind: Literal["kernel", "process"] = "kernel",
        executor: Executor | str | None = None,
        before: Callable[[Attempt], object] | None = None,
    ) -> Worker:
        """Process jobs until the worker is stopped: in threads here, or by an executor.

        Working again replaces the processor, and the worker if its concurrency or its executor
        is another.

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
            that; a function's thread is left behind, and its outcome does not count.
        kind
            ``kernel``, or ``process`` for a worker process, in the list of workers.
        executor
            Where attempts run; this process keeps their leases and outcomes. ``"threads"`` of
            this process; ``"processes"`` of this host, which are killed at a time-out;
            ``"dask://HOST:PORT"``, the address of a Dask scheduler, or its ``Client``;
            ``"pkg.module:factory"``; or any `concurrent.futures.Executor`. The processor must be
            importable there, and the settings there must name the same server. Default:
            ``AGENTNB_EXECUTOR``, else threads.
        before
            Called with each attempt before the processor is looked up.

        Returns
        -------
        Worker
            To stop it, or to wait until everything is done.

        Raises
        ------
        UsageError
            There is no processor, or one of the others cannot be used, such as a type that no
            JSON can be read as, or a function that an executor cannot import.
        ConfigError
            Jobs cannot run by the executor. Nothing was claimed.
        """
        if processor is not None:
            self.process(processor, schema=schema, returns=returns, timeout=timeout)
        if self._processor is None:
            raise UsageError(
                f"{self.name} has no processor in this process",
                service="queue",
                hint=f"hub.queue({self.name!r}).work(function) "
                f"(%%queue task {self.name} over a cell)",
            )
        whole("concurrency", concurrency, service="queue", most=_MOST_THREADS)
        chosen = self.queues._executor if executor is None else executor  # noqa: SLF001 - its owner
        running = self._worker
        if (
            running is not None
            and running.running
            and running.concurrency == concurrency
            and running.executor == chosen
        ):
            if running.elsewhere is not None:
                running.elsewhere.check()  # the processor is another
            return running
        made = self._new_worker(concurrency, chosen, kind=kind, before=before)
        if running is not None:
            running.stop()
        self._worker = made
        self._worker.start()
        return self._worker

    def _work_store(self) -> RedisWorkStore:
        """Return the store that a worker claims the jobs of this queue from."""
        from agentnb.core.queue.claims import RedisWorkStore

        parts = self._parts
        return RedisWorkStore(
            parts.store,
            lease=parts.lease,
            publish=parts.bus.publish_function if parts.bus is not None else "",
            make=self._claimed_job,
            events=parts.events,
            processor=self._processor_names,
            fire_due=self._schedules.fire_due,
        )

    def _processor_names(self) -> tuple[str, str]:
        """Return the name of the processor and that of its function, for the list of workers."""
        if self._processor is None:
            return "", ""
        return self._processor.name, function_of(self._processor, self.name)

    def _claimed_job(self, job_id: str, message: bytes, attempt: int) -> Job:
        return Job(self._shown or self, self._parts, job_id, message, attempt=attempt)

    def _handler(
        self,
        before: Callable[[Attempt], object] | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> JobHandler:
        from agentnb.core.queue.handler import JobHandler

        return JobHandler(
            self._parts,
            processor=lambda: self._processor,
            make=self._claimed_job,
            huey=lambda: self.__dict__.get("huey"),
            before=before,
            elsewhere=elsewhere,
        )

    def _far_side(
        self, store: RedisWorkStore, processor: Callable[[], Processor | None]
    ) -> FarSide:
        """Return the parts that run jobs which a worker of another process has claimed."""
        from agentnb.core.queue.remote import far_side

        return far_side(self._parts, store, processor, make=self._claimed_job)

    def _inline_worker(self, loop: LoopThread | None = None) -> InlineWorker:
        """Return a worker that runs jobs in its caller's thread, for `agentnb.testing`."""
        from agentnb.core.work.inline import InlineWorker

        loop = loop or self._parts.loop
        return InlineWorker(self._work_store(), self._handler(), loop=loop, log=self._parts.log)

    def _new_worker(
        self,
        concurrency: int,
        executor: Executor | str,
        *,
        kind: str,
        before: Callable[[Attempt], object] | None,
    ) -> Worker:
        from agentnb.core.queue.worker import Worker

        store = self._work_store()
        elsewhere = self._elsewhere(executor, store, concurrency)
        return Worker(
            self,
            store,
            self._handler(before, elsewhere),
            executor=executor,
            elsewhere=elsewhere,
            loop=self._parts.loop,
            log=self._parts.log,
            concurrency=concurrency,
            kind=kind,
        )

    def _elsewhere(
        self, executor: Executor | str, store: RedisWorkStore, concurrency: int
    ) -> Elsewhere | None:
        """Return what runs the attempts of a worker by an executor; None for threads here."""
        if executor == THREADS:
            return None
        from agentnb.core.queue.remote import job_records
        from agentnb.core.work.executors.making import executor_of
        from agentnb.core.work.executors.near import Elsewhere

        parts = self._parts

        def say(line: str) -> None:
            parts.log.warning("%s", line, extra=parts.events.stamp())

        record = job_records(self, parts, self.queues._keys, lambda: self._processor)  # noqa: SLF001 - its owner
        found = executor_of(executor, concurrency, hub=parts.hub, service="queue", say=say)
        if found is None:
            return None
        owned = found is not executor
        return Elsewhere(found, store, record=record, log=parts.log, owned=owned)

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
        return self.queues.overview([self.name])[0]

    def why_waiting(self) -> str | None:
        """Return why jobs wait and what to do, or None if a worker is running."""
        return self._overview().no_progress

    aadd, aget, aretry = twin(add), twin(get), twin(retry)
    aremove, acancel = twin(remove), twin(cancel)
    aschedule, aunschedule, aget_schedule = twin(schedule), twin(unschedule), twin(get_schedule)
    aschedules, aschedule_infos = twin(schedules), twin(schedule_infos)
    asearch, asearch_ids, ajobs = twin(search), twin(search_ids), twin(jobs)
    acounts, apause, aresume = twin(counts), twin(pause), twin(resume)
    aworkers, awhy_waiting, astop = twin(workers), twin(why_waiting), twin(stop)

    def __repr__(self) -> str:
        return f"Queue({self.name!r})"
