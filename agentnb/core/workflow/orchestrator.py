"""The orchestrator: makes workflows, works on them, looks at them and controls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

from agentnb.core.callthreads import CallThreads
from agentnb.core.closing import leave
from agentnb.core.codec import Json
from agentnb.core.delegate import delegate
from agentnb.core.errors import (
    AgentnbError,
    AgentNotFound,
    UsageError,
    did_you_mean,
)
from agentnb.core.forking import new_rlock
from agentnb.core.keywords import refuse_unknown
from agentnb.core.loop import LoopThread
from agentnb.core.ranges import refused, seconds, whole
from agentnb.core.trace.spans import Span
from agentnb.core.twins import twin
from agentnb.core.work.executors.words import THREADS
from agentnb.core.work.wakeup import Wakeup
from agentnb.core.work.worker import DEFAULT_CONCURRENCY, MOST_CONCURRENCY
from agentnb.core.workflow import migrating
from agentnb.core.workflow.agent_limiting import AgentLimits
from agentnb.core.workflow.agents import current_options, made
from agentnb.core.workflow.control import Control
from agentnb.core.workflow.controlling import WorkflowControls
from agentnb.core.workflow.creating import Creator, check_name_of_workflow
from agentnb.core.workflow.deadlines import Deadlines
from agentnb.core.workflow.depths import depths
from agentnb.core.workflow.event_waits import EventWaits
from agentnb.core.workflow.execution import Advice, Surroundings
from agentnb.core.workflow.handler import TaskHandler
from agentnb.core.workflow.keys import KEY_TTL
from agentnb.core.workflow.lazily import lazy
from agentnb.core.workflow.pruning import prune
from agentnb.core.workflow.reading import Reader
from agentnb.core.workflow.registry import Registry
from agentnb.core.workflow.relay import Relay
from agentnb.core.workflow.results import Results
from agentnb.core.workflow.running import failed_tasks, running_workflows
from agentnb.core.workflow.schedules import WorkflowSchedules
from agentnb.core.workflow.spec import Task, check_name, several, shown, text
from agentnb.core.workflow.store import SqlWorkStore
from agentnb.core.workflow.stream_reading import StreamReader
from agentnb.core.workflow.stream_writer import Streams
from agentnb.core.workflow.tables import agent_table, event_table, wait_table, workflow_table
from agentnb.core.workflow.transactions import Transactions
from agentnb.core.workflow.waiter import WorkflowWaiter
from agentnb.core.workflow.worker import Worker
from agentnb.core.workflow.workers import silent_workers, worker_table
from agentnb.core.workflow.workflow import Workflow

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from typing_extensions import TypeForm

    from agentnb.core.db import Database
    from agentnb.core.db.transaction import Transaction as DatabaseTransaction
    from agentnb.core.runtime import Runtime
    from agentnb.core.table import Table
    from agentnb.core.work.executors.far import FarSide
    from agentnb.core.work.executors.near import Elsewhere
    from agentnb.core.work.executors.record import Record
    from agentnb.core.work.inline import InlineWorker
    from agentnb.core.work.wakeup import WakeupBackend
    from agentnb.core.workflow.agents import AgentOptions, SchemaDecorator, SchemalessOptions
    from agentnb.core.workflow.depths import AgentDepth
    from agentnb.core.workflow.forms import OpenWait
    from agentnb.core.workflow.info import AgentInfo, WorkflowState
    from agentnb.core.workflow.registry import Unknown
    from agentnb.core.workflow.remote import Agents, FarTasks, TaskRecords
    from agentnb.core.workflow.running import FailedTask, RunningWorkflow
    from agentnb.core.workflow.workers import SilentWorker

__all__ = ["Orchestrator"]

F = TypeVar("F")
S = TypeVar("S")
_LIMIT = 1_000_000
_RESULTS = 64  # a result is paid for already: it may be larger than what is sent
_CLOSING_SECONDS = 5.0
_CALLS = 8  # awaited calls that run at once
_WORDS = ("name", "key", "max_parallel", "data", "correlation_id", "deadline", "unknown")


@refuse_unknown("workflow")
class Orchestrator(AgentLimits, WorkflowControls):
    """Durable workflows on a database.

    Parameters
    ----------
    database
        SQLite in a file, or PostgreSQL.
    scope
        Separates those who share a database.
    home
        The home in which cells keep their agents; None for none.
    lease
        Seconds that a silent worker keeps its tasks.
    limit
        Bytes that a task's data may take; a result may take 64 times as many.
    key_ttl
        Seconds that an idempotency key is kept, even if its workflow fails or is pruned.
    services
        Given the name of a service that an agent asks its context for, returns it; None for none.
    events
        The event bus on which what happens is published, such as `EventBus`; None for none.
    wakeup
        Wakes workers of other processes, see `agentnb.core.work.wakeup.WakeupBackend`; None for
        none: they then look by themselves, every half second.
    executor
        Where attempts run by default; see `work`.
    hub
        The hub that it belongs to; None for none.
    runtime
        Tracer, redactor and logs; default: those of the database.
    owns_database
        Whether `close` closes the database.

    Attributes
    ----------
    database
        The database.
    registry
        The agents of this process, and those that cells have kept in the home.

    Examples
    --------
    >>> import tempfile
    >>> from agentnb.core.db import Database
    >>> with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/a.db") as db:
    ...     with Orchestrator(db) as workflows:
    ...         made = workflows.agent("greet")(lambda task: f"Hello, {task.data}!")
    ...         worker = workflows.work()
    ...         workflow = workflows.create("hello", [Task("greet", data="Ada")])
    ...         workflow.wait(timeout=30).result
    {'greet': 'Hello, Ada!'}
    """

    def __init__(  # noqa: PLR0913 - keyword-only ones, each documented
        self,
        database: Database,
        *,
        scope: str = "agentnb",
        home: Path | None = None,
        lease: float = 30.0,
        limit: int = _LIMIT,
        key_ttl: float = KEY_TTL,
        services: Callable[[str], Any] | None = None,
        events: Any = None,
        wakeup: WakeupBackend | None = None,
        executor: Executor | str = THREADS,
        hub: Any = None,
        runtime: Runtime | None = None,
        owns_database: bool = False,
    ) -> None:
        self.database = database
        self._scope = scope
        self._lease = lease
        self._limit = limit
        self.registry = Registry(home, scope, str(database.access.backend.target))
        self._runtime = runtime or database.access.runtime
        migrating.check_kind(database, in_memory=self._runtime.ephemeral)
        self._tracer = self._runtime.tracer
        self._log = self._runtime.log("workflow")
        self._redactor = self._runtime.redactor
        self._key_ttl = seconds("key_ttl", key_ttl, service="workflow")
        self._json = Json(
            "workflow",
            "the task's value",
            limit=limit,
            setting="AGENTNB_WORKFLOW_PAYLOAD",
            results=limit * _RESULTS,
        )
        self._services = services
        self._advice = Advice()
        self._loop = LoopThread()
        self._call_threads = CallThreads("workflow", _CALLS)
        self._bus = events
        self._backend = wakeup
        self._owns = owns_database
        self._executor = executor
        self._hub = hub
        self._worker: Worker | None = None
        self._making = new_rlock()  # never held while somebody is waited for
        self._lock = new_rlock()

    # Parts, made on first use

    @lazy
    def _transactions(self) -> Transactions:
        """Return the transactions on the database, whose tables are there from now on."""
        migrating.require(self.database)
        return Transactions(self.database, self._runtime.clock)

    @lazy
    def _reader(self) -> Reader:
        """Return the part that looks at workflows."""
        return Reader(self._transactions, self._scope, self._deadlines.expire)

    @lazy
    def _control(self) -> Control:
        return Control(self._transactions, self._scope)

    @lazy
    def _creator(self) -> Creator:
        return Creator(
            self._transactions,
            self._scope,
            self.registry,
            self._json,
            key_ttl=self._key_ttl,
            log=self._log,
        )

    @lazy
    def _schedules(self) -> WorkflowSchedules:
        return WorkflowSchedules(
            self._transactions,
            self._scope,
            self._creator,
            self._json,
            tracer=self._tracer,
            log=self._log,
            threads=self._call_threads,
            made=self._happened,
            find=lambda number: self._workflow(self._reader.row(number)),
        )

    @lazy
    def _deadlines(self) -> Deadlines:
        return Deadlines(
            self._transactions, self._scope, log=self._log, happened=self._look_at_control
        )

    @lazy
    def _results(self) -> Results:
        return Results(self._reader, self.registry, self._json)

    @lazy
    def _wakeup(self) -> Wakeup:
        """Return the part that wakes those who wait."""
        return Wakeup(self._backend, self._log)

    @lazy
    def _waiter(self) -> WorkflowWaiter:
        return WorkflowWaiter(self._reader, self._wakeup, self._call_threads, self._log)

    @lazy
    def _streams(self) -> Streams:
        """Return the part that keeps what agents stream."""
        return Streams(self._transactions, self._log, limit=self._limit)

    @lazy
    def _stream_reader(self) -> StreamReader:
        return StreamReader(self._streams, self._call_threads, self._log)

    @lazy
    def _far_tasks(self) -> FarTasks:
        from agentnb.core.workflow.remote import FarTasks

        return FarTasks(self._transactions, self._scope, self.registry, make=self._make_far_side)

    @lazy
    def _relay(self) -> Relay | None:
        if self._bus is None:
            return None
        return Relay(self._transactions, self._scope, self._bus, self._log)

    @lazy
    def _event_waits(self) -> EventWaits | None:
        if self._bus is None:
            return None
        return EventWaits(
            self._transactions, self._scope, self._bus, log=self._log, happened=self._happened
        )

    def migrate(self) -> tuple[str | None, str]:
        """Bring the tables up to date; return the version before (None: no tables) and now."""
        return migrating.migrate(self.database)

    def ping(self) -> None:
        """Do nothing if the tables can be read.

        Raises
        ------
        AgentnbError
            They cannot.
        """
        self._reader.newest(None, 1)

    # Agents

    @overload
    def agent(self, name: str, target: F, **options: Unpack[AgentOptions]) -> F: ...
    @overload
    def agent(
        self, name: str, *, schema: TypeForm[S], **options: Unpack[SchemalessOptions]
    ) -> SchemaDecorator[S]: ...
    @overload
    def agent(
        self, name: str, *, schema: None = ..., **options: Unpack[SchemalessOptions]
    ) -> Callable[[F], F]: ...
    def agent(self, name: str, target: Any = None, **options: Unpack[AgentOptions]) -> Any:
        """Register a function or a class as an agent of this process, in the place of an older one.

        Parameters
        ----------
        name
            Its name, which tasks give.
        target
            What is registered; None returns a decorator. An agent of pydantic-ai with a
            `agentnb.ai.Durability` takes the data of a task as its prompt, text or
            ``{"prompt": text}``, and its output is the result.
        **options
            ``capabilities=()``, ``attempts=3``, ``timeout=600``, ``backoff=2``, ``schema=None``,
            ``returns=None``, as `agentnb.core.workflow.agent` takes them. They apply to the
            attempts to come of all tasks that set none themselves.

        Raises
        ------
        UsageError
            The target cannot do a task, or an option is out of its range.
        """
        given = current_options(options)
        made(name, _anything, **given)

        def register(target: F) -> F:
            self.registry.add(made(name, target, **given))
            return target

        return register if target is None else register(target)

    def agents(self) -> Table:
        """Return the agents that are known: who would work as them, and since when."""
        return agent_table(self.agent_infos())

    def agent_infos(self) -> list[AgentInfo]:
        """Return the agents that are known, by their names."""
        with self._transactions.read() as tx:
            return self.registry.look(tx)

    def workers(self) -> Table:
        """Return the workers of agents, on all machines, that are alive.

        A worker is alive while its heartbeat is younger than its lease.

        Returns
        -------
        Table
            Host, process id, kind of the process, executor, how many tasks run, how many run at
            most, when the worker started, its last heartbeat, and its agents.
        """
        with self._transactions.read() as tx:
            return worker_table(tx, self._scope)

    def _silent_workers(self) -> list[SilentWorker]:
        """Return the workers that miss their heartbeats and are not known to be dead."""
        with self._transactions.read() as tx:
            return silent_workers(tx, self._scope)

    def _depths(self, agents: Sequence[str]) -> list[AgentDepth]:
        """Return the open tasks and the workers of some agents, in their order."""
        with self._transactions.read() as tx:
            return depths(tx, self._scope, self.registry, agents)

    def _running(self, n: int) -> list[RunningWorkflow]:
        """Return the newest `n` workflows that have not ended, with how far they are."""
        with self._transactions.read() as tx:
            return running_workflows(tx, self._scope, n)

    def _failed(self, n: int) -> list[FailedTask]:
        """Return the last `n` tasks that failed, newest first."""
        with self._transactions.read() as tx:
            return failed_tasks(tx, self._scope, n)

    def agent_info(self, name: str) -> AgentInfo:
        """Return one agent.

        Raises
        ------
        NotFoundError
            Nobody has registered it.
        """
        found = {one.name: one for one in self.agent_infos()}
        if name not in found:
            raise AgentNotFound(
                f"there is no agent {name!r} on {self._reader.where}",
                service="workflow",
                hint=did_you_mean(name, found, "agents")
                or f'@hub.workflows.agent("{name}") above a function makes it (%%agent {name})',
            )
        return found[name]

    # Making

    def create(
        self,
        name: str,
        tasks: Iterable[Task | Mapping[str, Any]],
        *,
        key: str | None = None,
        max_parallel: int | None = None,
        data: Any = None,
        correlation_id: str | None = None,
        deadline: float | dt.timedelta | dt.datetime | None = None,
        unknown: Unknown = "refuse",
        transaction: DatabaseTransaction | None = None,
    ) -> Workflow:
        """Make a workflow with its tasks, all or nothing; workers begin with it at once.

        Parameters
        ----------
        name
            A name for people; need not be unique.
        tasks
            `Task` objects, or dicts of their words.
        key
            An idempotency key. The first call makes the workflow; each later one returns it, for
            7 days (``key_ttl``) and as long as it is active. One that failed is returned, too:
            its state says so, and `Workflow.retry` runs it again.
        max_parallel
            How many tasks are active at once at most.
        data
            Any value with a JSON form, for all tasks: ``ctx.workflow.data``.
        correlation_id
            Free text that goes with it.
        deadline
            Seconds from now, or a datetime with a zone, after which what is left of it is
            cancelled with the reason ``deadline``; None for never. It also passes while no worker
            runs: the next look at the workflow cancels it then. `retry` removes one that has
            passed.
        unknown
            The treatment of a task whose agent nobody has registered: ``"refuse"`` makes nothing,
            ``"wait"`` makes the task wait for the agent, and logs a line.
        transaction
            A transaction of yours on the same database, as of ``hub.db.transaction()``, in which
            it is made: nobody sees the workflow before the commit, and after a rollback there is
            none. None for a transaction of its own.

        Raises
        ------
        UsageError
            The key was used with other tasks, other data or another name; two tasks have one
            name, a need is not there, tasks wait for each other, an agent that nobody has
            registered, data that is not JSON: nothing was made. The transaction has ended, only
            reads, or is on another database.
        RejectedError
            The workflow that was made with the key was pruned.
        UnavailableError
            The database is away: nothing was made, or the same call with a ``key`` finds it.
        """
        with self._tracer.span("create", service="workflow", workflow_name=str(name)) as span:
            if isinstance(correlation_id, str):
                span.correlation_id = correlation_id
            if transaction is not None:
                self._require_tables()
            make = partial(
                self._creator.create,
                name,
                tasks,
                key=key,
                max_parallel=max_parallel,
                data=data,
                correlation_id=correlation_id,
                deadline=deadline,
                unknown=unknown,
            )
            found = self._make(make) if transaction is None else self._make_in(transaction, make)
            span.note(workflow=found.id)
        return found

    def _make(self, make: Callable[..., tuple[str, dict[str, int]] | None]) -> Workflow:
        made = make()
        assert made is not None  # noqa: S101 - there is no claim
        self._happened(made[1])
        return self._workflow(self._reader.row(made[0]))

    def _require_tables(self) -> None:
        """Look for the tables, which cannot be made within the caller's transaction."""
        try:
            _ = self._transactions
        except UsageError as error:
            raise UsageError(
                "no workflow can be made within this transaction: their tables are not there yet",
                service="workflow",
                hint="hub.workflows.migrate() before it begins makes them, once",
            ) from error

    def _make_in(
        self,
        transaction: DatabaseTransaction,
        make: Callable[..., tuple[str, dict[str, int]] | None],
    ) -> Workflow:
        """Make a workflow in a transaction of the caller's; wake workers once it is committed."""
        from agentnb.core.workflow.within import check_transaction

        runner = check_transaction(transaction, self.database)
        with self._transactions.within(runner) as tx:
            made = make(within=tx)
            assert made is not None  # noqa: S101 - there is no claim
            number, ready = made
            row = self._reader.row_within(tx, number)
        runner.at_commit(lambda: self._happened(ready))
        return self._workflow(row)

    def create_workflow_with_tasks(
        self, workflow: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]
    ) -> Workflow:
        """Make a workflow from dicts: one of its words (`create`'s), and one for each task."""
        if not isinstance(workflow, Mapping):
            raise UsageError(
                f"a workflow is a dict here, got {type(workflow).__name__}",
                service="workflow",
                hint='{"name": "new app"}, [{"name": "plan", "agent": "plan"}]',
            )
        words = dict(workflow)
        for word in words:
            if word not in _WORDS:
                raise UsageError(
                    f"a workflow has no {shown(word)}",
                    service="workflow",
                    hint=did_you_mean(str(word), _WORDS) or f"it has: {', '.join(_WORDS)}",
                )
        return self.create(words.pop("name", None), tasks, **words)

    def pipeline(
        self,
        name: str,
        steps: Iterable[Task | tuple[str, Callable[..., Any]] | Callable[..., Any]],
        *,
        key: str | None = None,
        data: Any = None,
    ) -> Workflow:
        """Make a workflow of steps, each of which needs the one before.

        Parameters
        ----------
        name, key, data
            As `create` takes them.
        steps
            Functions of ``(task, ctx)``, called by their own names or those given with them, and
            `Task` objects. A function is registered as an agent ``NAME.STEP`` of this process.
        """
        name = check_name_of_workflow(name)
        made_tasks: list[Task] = []
        for step in several("steps", steps, "a list of functions"):
            made_tasks.append(self._step(name, step, made_tasks[-1].name if made_tasks else None))
        return self.create(name, made_tasks, key=key, data=data)

    def _step(self, pipeline: str, step: Any, before: str | None) -> Task:
        needs = (before,) if before else ()
        if isinstance(step, Task):
            return replace(step, needs=(*step.needs, *needs))
        pair = step if isinstance(step, tuple) else (getattr(step, "__name__", ""), step)
        word, function = pair if len(pair) == 2 else ("", None)  # noqa: PLR2004 - a pair
        if not word or word == "<lambda>":
            raise UsageError(
                f"a step of {pipeline} has no name",
                service="workflow",
                hint='a function with a name, or ("name", function)',
            )
        agent = f"{pipeline.replace(' ', '-')}.{check_name(word, 'a step')}"
        self.agent(agent)(function)
        return Task(word, agent=agent, needs=needs)

    # Schedules

    schedule = delegate("_schedules", WorkflowSchedules.schedule)
    schedules = delegate("_schedules", WorkflowSchedules.schedules)
    schedule_infos = delegate("_schedules", WorkflowSchedules.schedule_infos)
    get_schedule = delegate("_schedules", WorkflowSchedules.get_schedule)
    unschedule = delegate("_schedules", WorkflowSchedules.unschedule)

    # Working

    def work(
        self,
        agents: Sequence[str] | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        kind: Literal["kernel", "process"] = "kernel",
        executor: Executor | str | None = None,
    ) -> Worker:
        """Do the tasks of agents until the worker is stopped: in threads here, or by an executor.

        Working again replaces the worker, unless it would be the same.

        Parameters
        ----------
        agents
            Their names; default: all that this process registers, now and later.
        concurrency
            How many tasks are done at once.
        kind
            ``kernel``, or ``process`` for a worker process.
        executor
            Where attempts run; this process keeps their leases and outcomes. ``"threads"`` of
            this process; ``"processes"`` of this host, which are killed at a time-out;
            ``"dask://HOST:PORT"``, the address of a Dask scheduler, or its ``Client``;
            ``"pkg.module:factory"``; or any `concurrent.futures.Executor`. The agents must be
            importable there, and the settings there must name the same database. Default:
            ``AGENTNB_EXECUTOR``, else threads.

        Returns
        -------
        Worker
            To stop it, or to wait until everything is done.

        Raises
        ------
        UsageError
            One of the agents is not known here, or an executor cannot import it.
        ConfigError
            One was made by a cell, and cannot be used in this process; or tasks cannot run by
            the executor. Nothing was claimed.
        UnavailableError
            The executor does not answer.
        """
        concurrency = whole("concurrency", concurrency, service="workflow", most=MOST_CONCURRENCY)
        named = None
        if agents is not None:
            given = several("agents", agents, "the names of agents")
            named = tuple(dict.fromkeys(check_name(name, "an agent") for name in given))
        for name in named or ():
            self.registry.find(name)
        chosen = self._executor if executor is None else executor
        with self._lock:
            running = self.worker
            if running is not None and running.same(named, concurrency, chosen):
                running._check()  # noqa: SLF001 - an agent may be another
                return running
            made = self._make_worker(named, concurrency, kind, chosen)
            if running is not None:
                running.stop()
            self._worker = made
            self._worker.start()
            self._look_for_events()
            return self._worker

    def _make_worker(
        self, agents: Sequence[str] | None, concurrency: int, kind: str, executor: Executor | str
    ) -> Worker:
        elsewhere, records = self._elsewhere(executor, concurrency)
        return Worker(
            self._make_store,
            lambda found: TaskHandler(self.registry, self._surroundings(self._loop), found),
            self.registry,
            agents,
            executor=executor,
            make_elsewhere=elsewhere,
            records=records,
            loop=self._loop,
            log=self._log,
            concurrency=concurrency,
            kind=kind,
        )

    def _elsewhere(
        self, executor: Executor | str, concurrency: int
    ) -> tuple[Callable[[SqlWorkStore], Elsewhere] | None, TaskRecords | None]:
        """Return what makes the part that runs attempts by an executor; None for threads here."""
        if executor == THREADS:
            return None, None
        from agentnb.core.work.executors.making import executor_of
        from agentnb.core.work.executors.near import Elsewhere
        from agentnb.core.workflow.remote import TaskRecords, unpack

        records = TaskRecords(
            self._transactions, self._scope, self.registry, lease=self._lease, hub=self._hub
        )
        made = executor_of(
            executor, concurrency, hub=self._hub, service="workflow", say=self._log.warning
        )
        if made is None:
            return None, None

        def elsewhere(store: SqlWorkStore) -> Elsewhere:
            owned = made is not executor
            return Elsewhere(
                made, store, record=records.record, log=self._log, unpack=unpack, owned=owned
            )

        return elsewhere, records

    def _far_side(self, record: Record) -> FarSide:
        """Return what runs a task that a worker of another process has claimed."""
        return self._far_tasks.side(record)

    def _make_far_side(self, agents: Agents) -> FarSide:
        from agentnb.core.work.executors.far import FarSide
        from agentnb.core.workflow.remote import pack

        results = Results(self._reader, agents, self._json)
        handler = TaskHandler(agents, self._surroundings(self._loop, results))
        return FarSide(self._make_store(lambda: ()), handler, self._loop, self._log, pack)

    def _look_for_events(self) -> None:
        """Look for the events that tasks wait for, where a worker runs here."""
        if self._event_waits is not None and self._worker is not None:
            self._event_waits.wake()

    def _surroundings(self, loop: LoopThread, results: Results | None = None) -> Surroundings:
        return Surroundings(
            self._transactions,
            self._json,
            self._reader,
            results or self._results,
            self._services,
            loop,
            self._call_threads,
            self._runtime,
            self._log,
            self._advice,
            self._streams,
            self._creator,
            self._happened,
            self._bus,
            self._look_for_events,
        )

    def _inline_worker(
        self, agents: Callable[[], tuple[str, ...]], loop: LoopThread | None = None
    ) -> InlineWorker:
        """Return a worker that does tasks in its caller's thread, for `agentnb.testing`."""
        from agentnb.core.work.inline import InlineWorker

        loop = loop or self._loop
        # It does not wait, so that it listens to nobody.
        store = self._make_store(agents, Wakeup(None, self._log))
        handler = TaskHandler(self.registry, self._surroundings(loop))
        return InlineWorker(store, handler, loop=loop, log=self._log)

    def _make_store(
        self, agents: Callable[[], tuple[str, ...]], wakeup: Wakeup | None = None
    ) -> SqlWorkStore:
        return SqlWorkStore(
            self._transactions,
            self._scope,
            self.registry,
            agents=agents,
            wakeup=wakeup or self._wakeup,
            lease=self._lease,
            on_commit=self._happened,
            fire_due=self._fire_due,
        )

    def _fire_due(self) -> float | None:
        """Fire schedules and deadlines; return the seconds until the next is due, None for none."""
        following = (self._deadlines.fire_due(), self._schedules.fire_due())
        return min((one for one in following if one is not None), default=None)

    @property
    def worker(self) -> Worker | None:
        """The worker of this process, or None."""
        found = self._worker
        return found if found is not None and found.working else None

    def stop(self, timeout: float = 30.0) -> bool:
        """Stop the worker of this process, if there is one; see `Worker.stop`."""
        worker = self.worker
        return worker.stop(timeout) if worker is not None else True

    def _happened(self, ready: Mapping[str, int], notify: bool = True) -> None:  # noqa: FBT001, FBT002 - a store's callback
        """Wake those who wait after a commit: tasks may be ready, and events are there."""
        if notify:
            self._wakeup.notify(ready)
        if self._relay is not None:
            self._relay.wake()

    def relay_once(self) -> int:
        """Publish what stands in the outbox, up to a hundred events, and return how many.

        A thread does so by itself, from the first workflow on that is made or worked on here.

        Raises
        ------
        UnavailableError
            The server is away; they stay in the outbox.
        """
        return self._relay.once() if self._relay is not None else 0

    # Waiting

    def wait(self, workflow: str | Workflow, timeout: float | None = None) -> Workflow:
        """Wait until a workflow has ended, and return it.

        Parameters
        ----------
        timeout
            Seconds to wait; None for as long as it takes.

        Raises
        ------
        NotFoundError
            There is no such workflow.
        TaskFailed
            It failed or was cancelled.
        DeadlineExceeded
            It has not ended in time; it goes on. The hint says what it waits for.
        """
        self._loop.check()
        given = workflow if isinstance(workflow, Workflow) else self.get(workflow)
        with self._waiting(given.id):
            return self._waiter.wait(given, timeout)

    async def await_(self, workflow: str | Workflow, timeout: float | None = None) -> Workflow:  # noqa: ASYNC109 - as wait
        """Await the end of a workflow; see `wait`."""
        waiter: WorkflowWaiter | None = vars(self).get("_waiter")
        if waiter is None:  # its first use looks for the tables
            waiter = await self._call_threads.call(lambda: self._waiter)
        if not isinstance(workflow, str | Workflow):
            workflow = await self._call_threads.call(self.get, workflow)  # it says what is wrong
        with self._waiting(workflow if isinstance(workflow, str) else workflow.id):
            return await waiter.await_(workflow, timeout, self.get)

    def _span(self, name: str, workflow: Workflow, **about: object) -> Span:
        known = {"workflow": workflow.id, "workflow_name": workflow.name, **about}
        return Span(self._tracer, name, "workflow", 1, known)

    def _waiting(self, number: str) -> Span:
        return self._tracer.span("wait", service="workflow", kind="wait", workflow=number)

    # Looking

    def get(self, workflow: str | Workflow) -> Workflow:
        """Return a workflow by its id, by how its id alone begins, or the newest of a name.

        Raises
        ------
        NotFoundError, UsageError
            There is none, or there are several.
        """
        if isinstance(workflow, Workflow):
            return workflow.refresh()
        return self._workflow(self._reader.find(workflow))

    def _workflow(self, row: Sequence[Any]) -> Workflow:
        return Workflow(self, self._reader, self._results, row)

    def counts(self, workflows: Sequence[Workflow]) -> dict[str, dict[str, int]]:
        """Return the number of tasks in each state of some workflows, by their ids."""
        return self._reader.counts([one.id for one in _workflows(workflows)])

    def waited(self, workflows: Sequence[Workflow]) -> dict[str, float]:
        """Return the seconds for which workflows only waited for a person, by their ids.

        Those that no person was asked about are left out.
        """
        return self._reader.waited(_workflows(workflows), self._runtime.clock.time())

    def table(self, state: WorkflowState | None = None, n: int = 50) -> Table:
        """Return the newest workflows with how far they are, as `list` does."""
        found = self.list(state, n)
        return workflow_table(found, self._reader.counts([one.id for one in found]))

    def list(self, state: WorkflowState | None = None, n: int = 50) -> list[Workflow]:
        """Return the newest workflows, of one state or all, newest first; `table` shows them."""
        return [self._workflow(row) for row in self._reader.newest(state, n)]

    def events(self, workflow: str | Workflow | None = None, n: int = 100) -> Table:
        """Return the last events of a workflow, or of all, oldest first."""
        number = None if workflow is None else self.get(workflow).id
        return event_table(self._reader.events(number, n))

    def cancel(self, workflow: str | Workflow, reason: str = "cancelled") -> Workflow:
        """End what has not begun, and ask what runs to stop: `Context.check_cancelled` raises.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow; it has ended.
        """
        found = self.get(workflow)
        with self._span("cancel", found):
            self._control.cancel(found.id, self._redactor(text("reason", reason)))
        self._look_at_control()
        return found.refresh()

    def _look_at_control(self) -> None:
        """Wake those who wait, and the worker of this process to stop what was cancelled."""
        self._happened({})
        if self.worker is not None:
            self.worker.look()

    def retry(
        self,
        workflow: str | Workflow,
        task: str | None = None,
        *,
        from_step: str | None = None,
    ) -> Workflow:
        """Let what failed or was cancelled run again with all its attempts, and what it held up.

        Results of tasks and steps that are there are not made again. A cancelled workflow whose
        tasks all completed in spite of it is completed. A deadline that has passed is removed.

        Parameters
        ----------
        task
            Only this one of them, and those that it needs; default: all. A task that is done, but
            whose result could not be kept, runs again if it is named here.
        from_step
            A step of the task, or a wait: its kept result and those that were kept after it are
            forgotten, answers too, and the children that it has spawned since are removed. A task
            that waits, is delayed or parked runs again, too, as soon as a worker has it.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow, task or step; it has not failed; a child that would be
            removed is running.
        UsageError
            A step is given without its task.
        """
        if from_step is not None and task is None:
            raise UsageError(
                "from_step needs the task that has the step",
                service="workflow",
                hint=f"workflow.retry(TASK, from_step={shown(from_step)})",
            )
        found = self.get(workflow)
        about = {} if from_step is None else {"step": from_step}
        with self._span("retry", found, **about):
            ready = self._control.retry(found.id, task, from_step)
        self._happened(ready)
        return found.refresh()

    def forget(self, workflow: str | Workflow, task: str, step: str) -> Workflow:
        """Forget the kept result of a step, so that the next attempt at its task calls it again.

        Parameters
        ----------
        task, step
            Their names.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow, task or step; the task is running.
        """
        found = self.get(workflow)
        with self._span("forget", found, task=task, step=step):
            self._control.forget(found.id, task, step)
        return found.refresh()

    def approve(self, workflow: str | Workflow, task: str, by: str | None = None) -> Workflow:
        """Let a task run that waits for a person.

        Parameters
        ----------
        by
            Who says so; default: the user that this process runs as.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow or task; the task waits for no approval.
        """
        found = self.get(workflow)
        with self._span("approve", found, task=task):
            ready = self._control.approve(found.id, task, text("by", by or _user()))
        self._happened(ready)
        return found.refresh()

    def reject(
        self, workflow: str | Workflow, task: str, reason: str = "", by: str | None = None
    ) -> Workflow:
        """Let a task that waits for a person not run; what needs it is skipped.

        Raises
        ------
        NotFoundError, RejectedError
            As `approve`.
        """
        found = self.get(workflow)
        why = self._redactor(text("reason", reason))
        with self._span("reject", found, task=task):
            ready = self._control.reject(found.id, task, why, text("by", by or _user()))
        self._happened(ready)
        return found.refresh()

    def answer(
        self, workflow: str | Workflow, task: str, name: str, value: Any, by: str | None = None
    ) -> Workflow:
        """Answer a question of a task, see `Context.ask`; the task goes on with it.

        Parameters
        ----------
        task, name
            The name of the task, and that of the wait.
        value
            The answer: any value with a JSON form. It is checked against the form that the task
            has given; the task reads it as its type.
        by
            Who says so; default: the user that this process runs as.

        Raises
        ------
        NotFoundError
            There is no such workflow, task or question.
        RejectedError
            It was answered before, its time is over, or the task has ended.
        UsageError
            It has no JSON form, or does not fit the form.
        """
        found = self.get(workflow)
        data = self._json.encode(value)
        with self._span("answer", found, task=task, wait=name):
            ready = self._control.answer(found.id, task, name, data, text("by", by or _user()))
        self._happened(ready)
        return found.refresh()

    def waits(self, workflow: str | Workflow | None = None) -> Table:
        """Return the open waits of a workflow, or of all, oldest first.

        Returns
        -------
        Table
            Workflow, task, name and kind of each wait, its question, its form as JSON Schema,
            who is asked, when it times out, and since when it waits.
        """
        number = None if workflow is None else self.get(workflow).id
        return wait_table(self._reader.waits(number), alone=workflow is not None)

    def _open_waits(self, workflow: Workflow | None = None) -> Sequence[OpenWait]:
        """Return the open waits as panels and magics show them."""
        return self._reader.open_waits(None if workflow is None else workflow.id)

    def prune(self, older_than: float) -> int:
        """Forget the workflows that ended long ago: their tasks, steps, results and events.

        An idempotency key is kept for its 7 days all the same. Those whose events have not all been
        published are kept, where there is an event bus.

        Parameters
        ----------
        older_than
            Seconds since they ended.

        Returns
        -------
        int
            How many there were.

        Raises
        ------
        UsageError
            It is not a number of seconds.
        """
        published = self._relay is not None
        return prune(
            self._transactions,
            self._scope,
            seconds("older_than", older_than, service="workflow", zero=True),
            told=published,
            key_ttl=self._key_ttl,
        )

    amigrate, aping, aagent_infos = twin(migrate), twin(ping), twin(agent_infos)
    aagents, aagent_info, aworkers = twin(agents), twin(agent_info), twin(workers)
    acreate, acreate_workflow_with_tasks = twin(create), twin(create_workflow_with_tasks)
    apipeline, arelay_once = twin(pipeline), twin(relay_once)
    aget, acounts, awaited, atable = twin(get), twin(counts), twin(waited), twin(table)
    alist, aevents, aprune = twin(list), twin(events), twin(prune)  # noqa: A003 - the method
    aschedule, aschedules = twin(schedule), twin(schedules)
    aschedule_infos, aget_schedule = twin(schedule_infos), twin(get_schedule)
    aunschedule = twin(unschedule)
    acancel, aretry, aforget = twin(cancel), twin(retry), twin(forget)
    aapprove, areject, astop = twin(approve), twin(reject), twin(stop)
    aanswer, awaits = twin(answer), twin(waits)

    def close(self) -> None:
        """Stop what works here; what runs has five seconds, and is then released."""
        try:
            self.stop(_CLOSING_SECONDS)
        except AgentnbError as error:
            self._log.warning("the worker was not stopped in an orderly way: %s", error)
        # Only what was used: closing opens nothing.
        parts = vars(self)
        for name in ("_event_waits", "_waiter", "_stream_reader", "_streams", "_wakeup", "_relay"):
            if name in parts and parts[name] is not None:
                parts[name].close()
        self._call_threads.close()
        self._loop.close()
        if self._owns:
            self.database.close()

    aclose = twin(close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    def __repr__(self) -> str:
        return f"Orchestrator({self._scope!r}, on {self.database.access.backend.target})"


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # there is no such user, as in a container
        return "somebody"


def _anything(task: Any, ctx: Any) -> None:
    """Stand for an agent while its options are checked."""


def _workflows(given: Sequence[Workflow]) -> Sequence[Workflow]:
    """Return some workflows, if each of them is one."""
    wrong = [one for one in given if not isinstance(one, Workflow)]
    if wrong:
        hint = "workflows=hub.workflows.list()"
        raise refused("workflows", "a list of workflows", wrong[0], "workflow", hint)
    return given
