"""The context of an agent: the hub's services, and the steps, progress and log of its task."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, Unpack, overload
from uuid import UUID, uuid4

import msgspec

from agentnb.core.delegate import delegate
from agentnb.core.errors import Final, TaskNotFound, UsageError, did_you_mean
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import amount
from agentnb.core.twins import await_method, twin
from agentnb.core.workflow.asking import Asking
from agentnb.core.workflow.spawning import Spawning
from agentnb.core.workflow.step_options import StepOptions
from agentnb.core.workflow.stepping import Stepping
from agentnb.core.workflow.streams import STREAM
from agentnb.core.workflow.waiting import Waits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import TypeForm

    from agentnb.core.api import APIClient, GitHub
    from agentnb.core.api.arguments import ClientOptions
    from agentnb.core.cache import Cache
    from agentnb.core.db import Database
    from agentnb.core.docker import DockerManager
    from agentnb.core.events import EventBus
    from agentnb.core.files import FileSystemManager
    from agentnb.core.git import GitManager
    from agentnb.core.queue import Queue
    from agentnb.core.redis import RedisClient
    from agentnb.core.workflow.execution import TaskExecution
    from agentnb.core.workflow.info import TaskInfo
    from agentnb.core.workflow.step_options import ErrorClasses, OnChange, StepArguments
    from agentnb.core.workflow.stepping import TypedSteps

__all__ = [
    "SERVICES",
    "Context",
    "WorkflowInfo",
    "current_context",
    "execution_of",
    "steps_of",
    "within",
]

T = TypeVar("T")

SERVICES = ("db", "cache", "events", "files", "git", "api", "docker", "queue", "github", "redis")


@dataclass(frozen=True, slots=True)
class WorkflowInfo:
    """The workflow that a task belongs to: its id, name, data and correlation id."""

    id: str
    name: str
    data: Any
    correlation_id: str | None = None


@refuse_unknown("workflow")
class Context(Asking):
    """The context of one attempt at a task, which its agent is given.

    Besides what is below, the hub's services are there by their names, opened on first use: ``db
    cache events files git api docker queue github redis``.

    Attributes
    ----------
    task
        The task.
    """

    def __init__(self, execution: TaskExecution, task: TaskInfo, *, is_async: bool) -> None:
        super().__init__(execution, is_async=is_async)
        self._spawning = Spawning(execution, self._waits)
        self.task = task
        self._workflow: WorkflowInfo | None = None
        self._inputs: dict[str, Any] | None = None

    if not TYPE_CHECKING:  # else a checker would find no name that is misspelt

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(f"a context has no {name!r}; services: {', '.join(SERVICES)}")

    def _service(self, name: str) -> Any:
        services = self._execution.around.services
        if services is None:
            raise UsageError(
                f"there is no {name} here: this orchestrator belongs to no hub",
                service="workflow",
                hint="hub = agentnb.connect(); hub.workflows",
            )
        return services(name)

    @property
    def db(self) -> Database:
        """The database of the hub."""
        found: Database = self._service("db")
        return found

    @property
    def cache(self) -> Cache:
        """The cache of the hub."""
        found: Cache = self._service("cache")
        return found

    @property
    def events(self) -> EventBus:
        """The event bus of the hub."""
        found: EventBus = self._service("events")
        return found

    @property
    def files(self) -> FileSystemManager:
        """The files of the workspace."""
        found: FileSystemManager = self._service("files")
        return found

    @property
    def git(self) -> GitManager:
        """Git on the repository that the working directory belongs to."""
        found: GitManager = self._service("git")
        return found

    @property
    def docker(self) -> DockerManager:
        """The containers and images of the home."""
        found: DockerManager = self._service("docker")
        return found

    @property
    def github(self) -> GitHub:
        """GitHub's API."""
        found: GitHub = self._service("github")
        return found

    @property
    def redis(self) -> RedisClient:
        """The Redis client of the hub."""
        found: RedisClient = self._service("redis")
        return found

    def api(self, base_url: str, **options: Unpack[ClientOptions]) -> APIClient:
        """Return the client of an API; see `Hub.api`."""
        found: APIClient = self._service("api")(base_url, **options)
        return found

    def queue(self, name: str) -> Queue:
        """Return a task queue by its name; see `Hub.queue`."""
        found: Queue = self._service("queue")(name)
        return found

    @property
    def correlation_id(self) -> str | None:
        """The correlation id of the workflow, which all that the agent does carries; or None."""
        return self._execution.claimed.ref.correlation_id

    @property
    def attempt(self) -> int:
        """Which attempt at the task this is, from 1."""
        return self.task.attempt

    @property
    def entry(self) -> int:
        """Which entry into the task this is, from 1: each wait may begin another."""
        return self._execution.claimed.ref.entry

    @property
    def workflow(self) -> WorkflowInfo:
        """The workflow: its ``id``, ``name``, ``data`` and ``correlation_id``."""
        if self._workflow is None:
            row = self._execution.around.reader.row(self.task.workflow_id)
            self._workflow = WorkflowInfo(row[0], row[1], msgspec.json.decode(row[4]), row[10])
        return self._workflow

    @property
    def inputs(self) -> dict[str, Any]:
        """The results of the tasks that this one needs, by their names.

        Each is of the type that its agent declares, where this process has the agent, else plain
        JSON; `input` reads one as a type of your choice.

        Raises
        ------
        UnkeptResult
            One of the results could not be kept.
        """
        if self._inputs is None:
            task = self.task
            results = self._execution.around.results
            self._inputs = results.some(task.workflow_id, task.needs) if task.needs else {}
        return self._inputs

    @overload
    def input(self, name: str, *, type: TypeForm[T]) -> T: ...
    @overload
    def input(self, name: str, *, type: None = ...) -> Any: ...
    def input(self, name: str, *, type: Any = None) -> Any:  # noqa: A002 - the name that `Job.result` has
        """Return the result of a task that this one needs.

        Parameters
        ----------
        name
            The task's name.
        type
            The type to read it as; None for the one that its agent declares.

        Raises
        ------
        NotFoundError
            This task needs no task of that name.
        UnkeptResult
            The result could not be kept.
        UsageError
            The result is not of the type.
        """
        task = self.task
        if name not in task.needs:
            raise TaskNotFound(
                f"task {task.name} needs no task {name!r}",
                service="workflow",
                hint=did_you_mean(name, task.needs) or f"it needs: {', '.join(task.needs)}",
            )
        return self._execution.around.results.one(task.workflow_id, name, type)

    @overload
    def with_options(
        self, *, returns: TypeForm[T], **options: Unpack[StepArguments]
    ) -> TypedSteps[T]: ...
    @overload
    def with_options(
        self, *, returns: None = ..., **options: Unpack[StepArguments]
    ) -> Stepping: ...
    def with_options(
        self,
        *,
        returns: Any = None,
        attempts: int = 1,
        backoff: float = 2.0,
        timeout: float | None = None,
        final: ErrorClasses = (),
        on_change: OnChange = "warn",
    ) -> Any:
        """Return an object whose `step` and `astep` have options of their own.

        Parameters
        ----------
        returns
            The type of the steps' results; None for that of the function's annotation.
        attempts
            How often a step is called within one attempt at the task, until it succeeds.
        backoff
            Seconds before it is called a second time; they double with each further call, up to
            300 s, with a fifth of jitter.
        timeout
            Seconds that one call may take; for coroutine functions only.
        final
            A class of errors, or several, after which neither the step nor the task is attempted
            again.
        on_change
            The treatment of a step that an earlier attempt has done with other arguments:
            ``"warn"`` uses its result and logs a line, ``"fail"`` raises, ``"again"`` calls it
            again. Arguments are compared as JSON, those without a JSON form by their classes.

        Raises
        ------
        UsageError
            One of them is not what it may be.

        Examples
        --------
        ``ctx.with_options(returns=Report, attempts=3, final=KeyError).step("ask", ask, "why?")``
        """
        options = StepOptions.of(
            returns=returns,
            attempts=attempts,
            backoff=backoff,
            timeout=timeout,
            final=final,
            on_change=on_change,
        )
        return self._stepping(options)

    def _stepping(self, options: StepOptions) -> Stepping:
        return Stepping(self._execution, self._names, is_async=self._async, options=options)

    # Waits

    def now(self, name: str = "now") -> dt.datetime:
        """Return the time at which the task first came here, in UTC: the same in each entry.

        ``datetime.now()`` differs from entry to entry, and with it all that depends on it.

        Parameters
        ----------
        name
            Its name within the task, for another time.
        """
        return self._kept(dt.datetime).step(f"now: {name}", self._clock_now)

    async def anow(self, name: str = "now") -> dt.datetime:
        """Await `now`."""
        found: dt.datetime = await self._kept(dt.datetime).astep(f"now: {name}", self._clock_now)
        return found

    def uuid(self, name: str) -> UUID:
        """Return a random id of the task: the same in each entry.

        Parameters
        ----------
        name
            Its name within the task.
        """
        return self._kept(UUID).step(f"uuid: {name}", uuid4)

    async def auuid(self, name: str) -> UUID:
        """Await `uuid`."""
        found: UUID = await self._kept(UUID).astep(f"uuid: {name}", uuid4)
        return found

    def _kept(self, kind: Any) -> Stepping:
        """Return what calls a step whose name may come again in an entry."""
        return Stepping(
            self._execution, set(), is_async=False, options=replace(StepOptions(), returns=kind)
        )

    def _clock_now(self) -> dt.datetime:
        seconds = self._execution.around.runtime.clock.time()
        return dt.datetime.fromtimestamp(seconds, dt.UTC)

    sleep = delegate("_waits", Waits.sleep)
    asleep = delegate("_waits", Waits.asleep)
    sleep_until = delegate("_waits", Waits.sleep_until)
    asleep_until = delegate("_waits", Waits.asleep_until)
    spawn = delegate("_spawning", Spawning.spawn)
    aspawn = delegate("_spawning", Spawning.aspawn)
    map = delegate("_spawning", Spawning.map)
    amap = delegate("_spawning", Spawning.amap)
    gather = delegate("_spawning", Spawning.gather)
    agather = delegate("_spawning", Spawning.agather)

    def progress(self, fraction: float | None, message: str = "") -> None:
        """Record the progress of the task.

        Parameters
        ----------
        fraction
            0 to 1; None if it is not known.
        message
            A message for people.

        Raises
        ------
        UsageError
            It is no such number.
        RejectedError
            The task was cancelled, or given to another worker.
        """
        if fraction is not None:
            amount("fraction", fraction, service="workflow", most=1, hint="ctx.progress(0.5)")
        self.check_cancelled()
        self._execution.progress(fraction, message)

    def log(self, message: str) -> None:
        """Log a message of one line or several with the task.

        Its last line is the task's ``message``; the last 200 of the attempt are its log, see
        `Workflow.logs`, and each is in the log file too.

        Raises
        ------
        RejectedError
            The task was cancelled, or given to another worker.
        """
        self.check_cancelled()
        self._execution.log(str(message))

    def write(self, value: Any, stream: str = STREAM) -> None:
        """Write a value to a stream of the task, for those who read it while the agent runs.

        It is read by `Workflow.stream`, in any process, at once and for as long as the workflow
        is kept. The call takes a few microseconds: values are gathered for up to 50 ms. They are
        kept before a step that was called meanwhile is, and before the task ends.

        Values written in a step belong to its result: a later attempt that is given that result
        keeps them. All others are dropped when the agent begins again, and readers are told.
        Concurrent steps should write to a stream each.

        Parameters
        ----------
        value
            Any value with a JSON form. Readers join texts as they are.
        stream
            The name of the stream: printable text of at most 200 characters. A task may have
            100 of them.

        Raises
        ------
        UsageError
            It has no JSON form, or is larger than ``AGENTNB_WORKFLOW_PAYLOAD``; or the name is
            none. Nothing was written.
        RejectedError
            The task was cancelled, or given to another worker.

        Examples
        --------
        ``for token in tokens: ctx.write(token)``
        """
        self.check_cancelled()
        if self._execution.streams.write(value, stream):
            self._execution.streams.flush_full()

    async def awrite(self, value: Any, stream: str = STREAM) -> None:
        """Await `write`, which lets the event loop go on where many values wait to be kept."""
        self.check_cancelled()
        streams = self._execution.streams
        if streams.write(value, stream):
            await self._call_threads.call(streams.flush_full)

    async def aworkflow(self) -> WorkflowInfo:
        """Await `workflow`, which is read from the database at its first use."""
        return await self._call_threads.call(lambda: self.workflow)

    async def ainputs(self) -> dict[str, Any]:
        """Await `inputs`, which are read from the database at their first use."""
        return await self._call_threads.call(lambda: self.inputs)

    @overload
    async def ainput(self, name: str, *, type: TypeForm[T]) -> T: ...
    @overload
    async def ainput(self, name: str, *, type: None = ...) -> Any: ...
    async def ainput(self, name: str, *, type: Any = None) -> Any:  # noqa: A002 - as input
        """Await `input`."""
        return await await_method(self, self.input, name, type=type)

    aprogress, alog = twin(progress), twin(log)

    @property
    def cancelled(self) -> bool:
        """Whether the task was cancelled or given to another worker; noticed within a second."""
        return self._execution.stopped

    def check_cancelled(self) -> None:
        """Raise an error if the task was cancelled or given to another worker.

        Raises
        ------
        RejectedError
            It was.
        """
        self._execution.check()

    def fail(self, message: str) -> NoReturn:
        """End the task as failed, with no other attempt.

        Raises
        ------
        Final
            Always. ``raise Final(message)`` in what the agent calls does the same.
        """
        raise Final(message)

    def __repr__(self) -> str:
        return f"Context({self.task.name!r}, attempt {self.task.attempt})"


_CURRENT: ContextVar[Context | None] = ContextVar("agentnb_workflow_context", default=None)


def current_context() -> Context | None:
    """Return the context of the attempt at a task that the calling code belongs to.

    It is that of the thread or the coroutine, so that a library which an agent calls finds the
    steps, the log and the services of the task. Threads that the agent starts itself have it if
    they run in a copy of its `contextvars` context.

    Returns
    -------
    Context or None
        The context that the agent was given; None outside of a task.

    Examples
    --------
    >>> current_context() is None
    True
    """
    return _CURRENT.get()


@contextmanager
def within(context: Context) -> Iterator[None]:
    """Make a context that of the calling code, in a block."""
    token = _CURRENT.set(context)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def execution_of(context: Context) -> TaskExecution:
    """Return the execution that a context stands for, for packages of agentnb."""
    return context._execution  # noqa: SLF001 - it is nothing that an agent calls


def steps_of(context: Context, options: StepOptions) -> Stepping:
    """Return the steps of a context with options that `Context.with_options` does not have."""
    return context._stepping(options)  # noqa: SLF001 - as above
