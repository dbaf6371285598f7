"""What an agent is given beside its task: the hub's services, and a say in its task."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import RejectedError, UsageError
from agentnb.core.workflow.spec import check_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.workflow.attempt import Attempt
    from agentnb.core.workflow.info import TaskInfo

__all__ = ["SERVICES", "Context", "Stopped", "WorkflowInfo"]

SERVICES = ("db", "cache", "events", "files", "git", "api", "docker", "queue", "github", "redis")


class Stopped(RejectedError):  # noqa: N818 - what happened
    """The task was cancelled, or given to another worker."""


@dataclass(frozen=True, slots=True)
class WorkflowInfo:
    """The workflow that a task belongs to: its id, name and data."""

    id: str
    name: str
    data: Any


class Context:
    """What an agent has to do its task with; made for each attempt.

    Besides what is below, the hub's services are there by their names, opened on first use: ``db
    cache events files git api docker queue github redis``.

    Attributes
    ----------
    task
        The task.
    """

    db: Any
    cache: Any
    events: Any
    files: Any
    git: Any
    api: Any
    docker: Any
    queue: Any
    github: Any
    redis: Any

    def __init__(self, attempt: Attempt, task: TaskInfo, *, is_async: bool) -> None:
        self.task = task
        self._attempt = attempt
        self._async = is_async
        self._steps: set[str] = set()
        self._workflow: WorkflowInfo | None = None
        self._inputs: dict[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name not in SERVICES:
            raise AttributeError(f"a context has no {name!r}; services: {', '.join(SERVICES)}")
        services = self._attempt.orchestrator.services
        if services is None:
            raise UsageError(
                f"there is no {name} here: this orchestrator belongs to no hub",
                service="workflows",
                hint="hub = agentnb.connect(); hub.workflows",
            )
        return services(name)

    @property
    def attempt(self) -> int:
        """Which attempt at the task this is, from 1."""
        return self.task.attempt

    @property
    def workflow(self) -> WorkflowInfo:
        """The workflow: its ``id``, ``name`` and ``data``."""
        if self._workflow is None:
            row = self._attempt.orchestrator.reader.row(self.task.workflow_id)
            self._workflow = WorkflowInfo(row[0], row[1], msgspec.json.decode(row[4]))
        return self._workflow

    @property
    def inputs(self) -> dict[str, Any]:
        """The results of the tasks that this one needs, by their names."""
        task = self.task
        if self._inputs is None:
            reader = self._attempt.orchestrator.reader
            self._inputs = reader.results(task.workflow_id, task.needs) if task.needs else {}
        return self._inputs

    def step(self, name: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function once for this task, whatever happens, and return its result.

        Where the result is known from an earlier attempt, it is returned and nothing is called.
        A worker that dies between the call and the keeping of its result has it called again.

        Parameters
        ----------
        name
            What the step is called; another one for each of a task.
        function
            ``def`` or ``async def``. It returns what JSON has.
        *args, **options
            Given to it.

        Returns
        -------
        object
            The result; in an asynchronous agent an awaitable of it.

        Raises
        ------
        UsageError
            The name is taken by another step of this attempt, or the result is not JSON.
        RejectedError
            The task was cancelled, or given to another worker.
        """
        name = check_words(name, "a step", "call the API")
        if name in self._steps:
            raise UsageError(
                f"two steps of task {self.task.name} are called {name!r}",
                service="workflows",
                hint=f'give each a name of its own, such as f"{name}-{{n}}"',
            )
        self._steps.add(name)
        if self._async:
            return self._astep(name, function, args, options)
        self.check_cancelled()
        found = self._attempt.step_result(name)
        if found is not None:
            return found[0]
        with self._span(name):
            result = self._attempt.orchestrator.loop.call(lambda: function(*args, **options))
        return self._attempt.keep_step(name, result)

    async def _astep(
        self, name: str, function: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        self.check_cancelled()
        found = await asyncio.to_thread(self._attempt.step_result, name)
        if found is not None:
            return found[0]
        with self._span(name):
            result = function(*args, **options)
            if inspect.isawaitable(result):
                result = await result
        return await asyncio.to_thread(self._attempt.keep_step, name, result)

    def _span(self, name: str) -> Any:
        tracer = self._attempt.orchestrator.tracer
        return tracer.span("step", service="workflows", step=name, task=self.task.name)

    def progress(self, fraction: float | None, message: str = "") -> None:
        """Say how far the task is.

        Parameters
        ----------
        fraction
            0 to 1; None for what cannot be told.
        message
            Words for people.

        Raises
        ------
        UsageError
            It is no such number.
        RejectedError
            The task was cancelled, or given to another worker.
        """
        good = fraction is None or (isinstance(fraction, int | float) and 0 <= fraction <= 1)
        if not good:
            raise UsageError(f"a progress is 0 to 1, not {fraction!r}", service="workflows")
        self.check_cancelled()
        self._attempt.note(fraction, message)

    def log(self, message: str) -> None:
        """Say something about the task, in one line or several.

        Its last line is the task's ``message``; the last 200 of the attempt are its log, see
        `Workflow.logs`, and each is in the log file too.

        Raises
        ------
        RejectedError
            The task was cancelled, or given to another worker.
        """
        self.check_cancelled()
        self._attempt.say(str(message))

    @property
    def cancelled(self) -> bool:
        """Whether the task was cancelled or given to another worker; noticed within a second."""
        return self._attempt.stopped

    def check_cancelled(self) -> None:
        """Raise an error if the task was cancelled or given to another worker.

        Raises
        ------
        RejectedError
            It was.
        """
        if self._attempt.stopped:
            raise Stopped(
                f"task {self.task.name} was cancelled, or given to another worker",
                service="workflows",
            )

    def __repr__(self) -> str:
        return f"Context({self.task.name!r}, attempt {self.task.attempt})"
