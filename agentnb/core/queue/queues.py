"""The queues of one hub, by their names."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from agentnb.core.callthreads import CallThreads
from agentnb.core.closing import leave
from agentnb.core.codec import Json
from agentnb.core.errors import JobNotFound, UsageError, did_you_mean
from agentnb.core.forking import new_lock
from agentnb.core.keywords import refuse_unknown
from agentnb.core.loop import LoopThread
from agentnb.core.queue.batch_store import BatchStore
from agentnb.core.queue.blocked import Blocked
from agentnb.core.queue.events import JobEvents
from agentnb.core.queue.failures import failed_jobs
from agentnb.core.queue.keys import KEY_TTL
from agentnb.core.queue.options import RESULT_TTL
from agentnb.core.queue.overview import overview
from agentnb.core.queue.parts import QueueParts
from agentnb.core.queue.queue import Queue
from agentnb.core.queue.registry import worker_table
from agentnb.core.queue.store import JobStore
from agentnb.core.queue.streams import StreamWaiter
from agentnb.core.queue.waiter import JobWaiter
from agentnb.core.ranges import seconds, texts
from agentnb.core.redis import Keys
from agentnb.core.table import Table
from agentnb.core.trace import Tracer
from agentnb.core.twins import twin
from agentnb.core.work.executors.words import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

    from typing_extensions import TypeForm

    from agentnb.core.queue.arguments import AddOptions, WorkOptions
    from agentnb.core.queue.failures import FailedJob
    from agentnb.core.queue.job import Job
    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.queue.parts import BatchViews
    from agentnb.core.queue.remote import FarJobs
    from agentnb.core.queue.worker import Worker
    from agentnb.core.redis import RedisClient
    from agentnb.core.runtime import Runtime
    from agentnb.core.work.executors.far import FarSide
    from agentnb.core.work.executors.record import Record
    from agentnb.core.work.schedules.schedule import ScheduleInfo

__all__ = ["Queues", "TaskQueue"]

S = TypeVar("S")

_LONGEST_NAME = 200
_CLOSING = 5.0
_SHOWN = (
    *("delayed", "active", "completed", "failed", "cancelled"),
    *("completed_total", "failed_total"),
)
_CALLS = 8  # awaited calls that run at once
_RESULTS = 16  # a result is there already: it may be larger than what is sent


@refuse_unknown("queue")
class Queues:
    """Named queues, each made on first use.

    Parameters
    ----------
    redis
        The client. Whoever made it closes it.
    prefix
        Separates those who share a server, see `Keys`.
    events
        The event bus that publishes the ends of jobs, such as `EventBus`; None for none.
    lease
        Seconds for which an active job is its worker's; renewed well before that.
    limit
        Bytes that a job's data may take; a result may take 16 times as many.
    result_ttl
        Seconds for which an unread result is kept, unless the job or its queue says so.
    key_ttl
        Seconds for which an idempotency key is kept after its job has ended.
    executor
        Where jobs run, unless `Queue.work` is told otherwise.
    runtime
        Tracer, redactor and logs; default: those of `redis`.
    wrap
        Given a processor, returns what is called in its place: a notebook keeps what it prints.
    views
        Displays batches, and shows the progress of one that is waited for: a notebook does.
    hub
        The hub that the queues belong to, which processors find as ``job.hub``; None for none.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from agentnb.core.redis import RedisClient
    >>> with tempfile.TemporaryDirectory() as home, RedisClient(home=Path(home)) as redis:
    ...     with Queues(redis) as queues:
    ...         worker = queues.get_queue("squares").work(lambda job: job.data**2)
    ...         queues.add_task("squares", 7).result(timeout=10)
    49
    """

    def __init__(  # noqa: PLR0913 - one word for each option
        self,
        redis: RedisClient,
        *,
        prefix: str = "agentnb",
        events: Any = None,
        lease: float = 30.0,
        limit: int = 1_000_000,
        result_ttl: float = RESULT_TTL,
        key_ttl: float = KEY_TTL,
        executor: Executor | str = THREADS,
        runtime: Runtime | None = None,
        wrap: Callable[[Callable[[Job], Any]], Callable[[Job], Any]] | None = None,
        views: BatchViews | None = None,
        hub: Any = None,
    ) -> None:
        self._redis = redis
        self._keys = Keys(prefix)
        self._bus = events
        self._lease = seconds("lease", lease, service="queue")
        self._result_ttl = seconds("result_ttl", result_ttl, service="queue", zero=True)
        self._executor = executor
        self._key_ttl = seconds("key_ttl", key_ttl, service="queue")
        self._wrap = wrap
        self._views = views
        self._hub = hub
        self._json = Json(
            "queue",
            "the job's value",
            limit=limit,
            setting="AGENTNB_QUEUE_PAYLOAD",
            results=limit * _RESULTS,
        )
        self._loop = LoopThread()
        self._call_threads = CallThreads("queue", _CALLS)
        self._runtime = runtime or redis.runtime
        self._log = self._runtime.log("queue")
        self._waiter = JobWaiter(redis, self._keys, self._call_threads, self._log)
        self._streams = StreamWaiter(redis, self._keys, self._call_threads, self._log)
        self._blocked = Blocked()
        self._lock = new_lock()
        self._far_jobs: FarJobs | None = None
        self._queues: dict[str, Queue] = {}
        self._stores: dict[str, JobStore] = {}

    def get_queue(self, name: str) -> Queue:
        """Return a queue by its name; nothing has to be set up.

        Raises
        ------
        UsageError
            The name is not one.
        """
        found = self._queues.get(name) if isinstance(name, str) else None
        if found is not None:
            return found
        good = isinstance(name, str) and name.isprintable() and " " not in name
        if not good or not 0 < len(name) <= _LONGEST_NAME or name.startswith("-"):
            raise UsageError(
                f"a queue cannot be called {name!r}",
                service="queue",
                hint="use a word of at most 200 characters, such as scaffold-tasks",
            )
        with self._lock:
            if name not in self._queues:
                parts = self._parts_of(name)
                self._stores[name] = parts.store
                self._queues[name] = Queue(self, parts, self._result_ttl)
            return self._queues[name]

    def _far_side(self, record: Record) -> FarSide:
        """Return what runs a job that a worker of another process has claimed."""
        if self._far_jobs is None:
            from agentnb.core.queue.remote import FarJobs

            hub = self._hub
            self._far_jobs = FarJobs(
                self._redis,
                self._keys,
                home=lambda: None if hub is None else hub.settings.home,
                queue=self.get_queue,
            )
        return self._far_jobs.side(record)

    def _parts_of(self, name: str) -> QueueParts:
        store = JobStore(self._redis, self._keys, name, self._runtime.clock)
        return QueueParts(
            name=name,
            redis=self._redis,
            store=store,
            bus=self._bus,
            events=JobEvents(name, self._bus, self._log, self._runtime.redactor),
            json=self._json,
            loop=self._loop,
            threads=self._call_threads,
            tracer=self._runtime.tracer,
            log=self._log,
            redact=self._runtime.redactor,
            waiter=self._waiter,
            blocked=self._blocked,
            batches=BatchStore(store),
            streams=self._streams,
            lease=self._lease,
            key_ttl=self._key_ttl,
            wrap=self._wrap,
            views=self._views,
            hub=self._hub,
            flight=self._runtime.flight,
        )

    def add_task(self, /, name: str, data: Any = None, **options: Unpack[AddOptions]) -> Job:
        """Add a job to a queue; see `Queue.add`."""
        return self.get_queue(name).add(data, **options)

    @overload
    def process_queue(
        self,
        name: str,
        processor: Callable[[Job[S]], Any],
        concurrency: int = ...,
        *,
        schema: TypeForm[S],
        **options: Unpack[WorkOptions],
    ) -> Worker: ...
    @overload
    def process_queue(
        self,
        name: str,
        processor: Callable[[Job], Any],
        concurrency: int = ...,
        *,
        schema: None = ...,
        **options: Unpack[WorkOptions],
    ) -> Worker: ...
    def process_queue(
        self,
        name: str,
        processor: Callable[[Job], Any],
        concurrency: int = 5,
        *,
        schema: Any = None,
        **options: Unpack[WorkOptions],
    ) -> Worker:
        """Process the jobs of a queue in this process; see `Queue.work`."""
        return self.get_queue(name).work(
            processor, concurrency=concurrency, schema=schema, **options
        )

    def names(self) -> list[str]:
        """Return the queues that had a job or a worker, on any machine."""
        found: Any = self._redis.untraced.smembers(self._keys.internal("queues"))
        here = {name for name, queue in self._queues.items() if queue.current is not None}
        return sorted({name.decode() for name in found} | here)

    def working(self) -> list[str]:
        """Return the queues that are worked on in this process."""
        return sorted(name for name, one in list(self._queues.items()) if one.worker is not None)

    def within(self, seconds: float) -> Queues:
        """Return these queues to look at, with another limit to each call to the server.

        Nothing is to be processed by them; see `RedisClient.within`.
        """
        redis = self._redis.within(seconds)
        runtime = replace(self._runtime, tracer=Tracer())  # a look leaves no spans
        return Queues(redis, prefix=self._keys.prefix, lease=self._lease, runtime=runtime)

    def find(self, job_id: str) -> Job:
        """Return a job by its id, whichever queue it is in.

        Raises
        ------
        NotFoundError
            There is none.
        """
        job_id = QueueParts.checked_id(job_id)
        name: Any = self._redis.hget(self._keys.internal("job", job_id), "queue")
        if name is None:
            names = self.names()
            hint = did_you_mean(job_id, names) or "hub.queues.table() (%queue list)"
            if job_id in names:
                hint = f"{job_id} is a queue: hub.queue({job_id!r}).search() (%queue jobs {job_id})"
            raise JobNotFound(
                f"there is no job {job_id} on {self._redis.target}: it was removed, or "
                f"is no longer kept",
                service="queue",
                hint=hint,
            )
        return self.get_queue(name.decode()).get(job_id)

    def overview(
        self, names: Iterable[str] | None = None, *, oldest: bool = False
    ) -> list[QueueOverview]:
        """Return the jobs by state and the workers of queues, in one round trip.

        Parameters
        ----------
        names
            The queues; None for all, which takes another round trip.
        oldest
            Whether to read for how long the first waiting job of each could have run, which
            takes another round trip.

        Raises
        ------
        UsageError
            They are not a list of texts.
        """
        if names is None:
            names = self.names()
        queues = [self.get_queue(name) for name in texts("names", names, service="queue")]
        found = [(queue, self._stores[queue.name]) for queue in queues]
        return overview(self._redis, found, oldest=oldest)

    def _failed(self, n: int, names: Iterable[str] | None = None) -> list[FailedJob]:
        """Return the last `n` failed jobs of each queue, newest first."""
        chosen = self.names() if names is None else names
        queues = [self.get_queue(name).name for name in chosen]
        return failed_jobs(self._redis, [(name, self._stores[name]) for name in queues], n)

    def schedule_infos(self) -> list[ScheduleInfo]:
        """Return the schedules of all queues, by queue and name."""
        names = self.names()
        with self._redis.untraced.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.exists(f"{self._keys.internal('queue', name)}:schedules")
            having = [name for name, some in zip(names, pipe.execute(), strict=True) if some]
        return [one for name in having for one in self.get_queue(name).schedule_infos()]

    def schedules(self) -> Table:
        """Return the schedules of all queues with their next times, by this machine's clock."""
        from agentnb.core.queue.schedules import table

        return table(self.schedule_infos())

    def find_schedule(self, name: str) -> Queue:
        """Return the queue of a schedule.

        Raises
        ------
        NotFoundError
            There is no schedule of that name.
        UsageError
            Several queues have one.
        """
        infos = self.schedule_infos()
        found = [one.target for one in infos if one.name == name]
        if not found:
            from agentnb.core.work.schedules.schedule import there_is_none

            raise there_is_none(name, [one.name for one in infos], "of any queue", "queue")
        if len(found) > 1:
            raise UsageError(
                f"several queues have a schedule {name}: {', '.join(found)}",
                service="queue",
                hint=f"hub.queue({found[0]!r}).get_schedule({name!r}) "
                f"(%queue schedule {name} {found[0]} --pause)",
            )
        return self.get_queue(found[0])

    def workers(self, names: Iterable[str] | None = None) -> Table:
        """Return the workers of queues, on all machines, that are alive.

        A worker is alive while its heartbeat is at most 20 s old; one comes every 5 s.

        Parameters
        ----------
        names
            The queues; None for all.

        Returns
        -------
        Table
            Queue, host, process id, kind of the process, executor, how many jobs run, how many
            run at most, when the worker started, its last heartbeat, and its processor.

        Raises
        ------
        UsageError
            They are not a list of texts.
        """
        seen = self.overview(names)
        shown = seen[0].queue.name if names is not None and len(seen) == 1 else None
        where = "for any queue" if shown is None else f"for queue {shown}"
        word = shown or "QUEUE"
        return worker_table(
            [(one.queue.name, worker) for one in seen for worker in one.workers],
            empty=f"no worker is running {where}: hub.queue({word!r}).work(function) "
            f"(%queue work {word}), or agentnb worker {word}",
        )

    def table(self) -> Table:
        """Return all queues with their jobs by state, and whether anybody works on them."""
        found = self.overview()
        rows = [
            (
                one.queue.name,
                one.state,
                one.counts.waiting,
                *(one.counts[state] for state in _SHOWN),
                sum(worker.concurrency for worker in one.workers),
            )
            for one in found
        ]
        notes = [one.why for one in found if not one.paused]
        notes += [_limited(one) for one in found if one.limits]
        columns = ("queue", "state", "waiting", *_SHOWN, "concurrency")
        return Table(
            columns,
            rows,
            note="\n".join(dict.fromkeys(filter(None, notes))),
            empty="no queue has a job yet: hub.queue(QUEUE).add(DATA) and .work(function) "
            "(%queue add QUEUE JSON, and %%queue task QUEUE over a cell that processes them)",
        )

    aadd_task, anames, afind = twin(add_task), twin(names), twin(find)
    aschedules, aschedule_infos = twin(schedules), twin(schedule_infos)
    afind_schedule = twin(find_schedule)
    aoverview, atable, aworkers = twin(overview), twin(table), twin(workers)

    def close(self) -> None:
        """Stop the workers of this process; running jobs have 5 seconds, and are then released."""
        with self._lock:
            queues = list(self._queues.values())
        until = monotonic() + _CLOSING
        for queue in queues:
            queue.stop(max(until - monotonic(), 0.1))
        self._waiter.close()
        self._streams.close()
        self._call_threads.close()
        self._loop.close()

    aclose = twin(close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    def __repr__(self) -> str:
        return f"Queues({', '.join(sorted(self._queues))})"


def _limited(one: QueueOverview) -> str:
    return f"{one.queue.name} is limited: {', '.join(map(str, one.limits))}"


TaskQueue = Queues
"""The name of the specification."""
