"""The orchestrator: workflows are made, worked on, looked at and steered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.workflow.creating import create
from agentnb.core.workflow.pruning import prune
from agentnb.core.workflow.spec import Task, check_name, seconds
from agentnb.core.workflow.telling import event_table, workflow_table
from agentnb.core.workflow.workflow import Workflow
from agentnb.core.workflow.working import Working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agentnb.core.table import Table

__all__ = ["Orchestrator"]


class Orchestrator(Working):
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
        Bytes that a task's data or result may take.
    services
        Given the name of a service that an agent asks its context for, returns it; None for none.
    events
        The event bus on which what happens is published, such as `EventBus`; None for none.
    bell
        Carries the bell to other processes, see `agentnb.core.workflow.bell.Remote`; None for
        none: they then look by themselves, every second.
    tracer
        Where spans go; default: one of its own, in memory.
    redactor
        Masks secrets in what is kept of errors.
    owns_database
        Whether `close` closes the database.
    hub_id
        The hub whose log file takes what is logged; default: any.

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

    def create(
        self,
        name: str,
        tasks: Iterable[Task | Mapping[str, Any]],
        *,
        key: str | None = None,
        max_parallel: int | None = None,
        data: Any = None,
        correlation_id: str | None = None,
    ) -> Workflow:
        """Make a workflow with its tasks, all or nothing; workers begin with it at once.

        Parameters
        ----------
        name
            What people call it; need not be unique.
        tasks
            `Task` objects, or dicts of their words.
        key
            An idempotency key: where there is a workflow of this key, that one is returned.
        max_parallel
            How many tasks are active at once at most.
        data
            What JSON has, for all tasks: ``ctx.workflow.data``.
        correlation_id
            Free text that goes with it.

        Raises
        ------
        UsageError
            Two tasks have one name, a need is not there, tasks wait for each other, an agent that
            nobody has registered, data that is not JSON: nothing was made.
        UnavailableError
            The database is away: nothing was made, or the same call with a ``key`` finds it.
        """
        with self.tracer.span("create", service="workflows", workflow=str(name)) as span:
            number, ready = create(
                self,
                name,
                tasks,
                key=key,
                max_parallel=max_parallel,
                data=data,
                correlation_id=correlation_id,
            )
            span.attributes = {"workflow": name, "id": number}
        self.happened(ready)
        return self._of(number)

    def create_workflow_with_tasks(
        self, workflow: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]
    ) -> Workflow:
        """Make a workflow from dicts: one of its words (`create`'s), and one for each task."""
        known = {"name", "key", "max_parallel", "data", "correlation_id"}
        words = dict(workflow)
        for word in words:
            if word not in known:
                raise UsageError(
                    f"a workflow has no {word!r}",
                    service="workflows",
                    hint=did_you_mean(str(word), known) or f"it has: {', '.join(sorted(known))}",
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
        made_tasks: list[Task] = []
        for step in steps:
            made_tasks.append(self._step(name, step, made_tasks[-1].name if made_tasks else None))
        return self.create(name, made_tasks, key=key, data=data)

    def _step(self, pipeline: str, step: Any, before: str | None) -> Task:
        needs = (before,) if before else ()
        if isinstance(step, Task):
            return replace(step, needs=(*step.needs, *needs))
        word, function = step if isinstance(step, tuple) else (getattr(step, "__name__", ""), step)
        if not word or word == "<lambda>":
            raise UsageError(
                f"a step of {pipeline} has no name",
                service="workflows",
                hint='a function with a name, or ("name", function)',
            )
        agent = f"{pipeline.replace(' ', '-')}.{check_name(word, 'a step')}"
        self.agent(agent)(function)
        return Task(word, agent=agent, needs=needs)

    def get(self, workflow: str | Workflow) -> Workflow:
        """Return a workflow by its id, by how its id alone begins, or the newest of a name.

        Raises
        ------
        NotFoundError, UsageError
            There is none, or there are several.
        """
        if isinstance(workflow, Workflow):
            return workflow.refresh()
        return Workflow(self, self.reader.find(workflow))

    def _of(self, number: str) -> Workflow:
        return Workflow(self, self.reader.row(number))

    def table(self, state: str | None = None, n: int = 50) -> Table:
        """Return the newest workflows with how far they are, as `list` does."""
        found = self.list(state, n)
        return workflow_table(found, self.reader.counts([one.id for one in found]))

    def list(self, state: str | None = None, n: int = 50) -> list[Workflow]:
        """Return the newest workflows, of one state or all, newest first; `table` shows them."""
        return [Workflow(self, row) for row in self.reader.newest(state, n)]

    def events(self, workflow: str | Workflow | None = None, n: int = 100) -> Table:
        """Return the last events of a workflow, or of all, oldest first."""
        number = None if workflow is None else self.get(workflow).id
        return event_table(self.reader.events(number, n))

    def cancel(self, workflow: str | Workflow, reason: str = "cancelled") -> Workflow:
        """End what has not begun, and ask what runs to stop: `Context.check_cancelled` raises.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow; it has ended.
        """
        found = self.get(workflow)
        self.steering.cancel(found.id, self.redactor(reason))
        self.happened({})
        if self.worker is not None:
            self.worker.look()
        return found.refresh()

    def retry(self, workflow: str | Workflow, task: str | None = None) -> Workflow:
        """Let what failed or was cancelled run again with all its attempts, and what it held up.

        Results of tasks and steps that are there are not made again.

        Parameters
        ----------
        task
            Only this one of them, and those that it needs; default: all.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow or task; it has not failed.
        """
        found = self.get(workflow)
        self.happened(self.steering.retry(found.id, task))
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
        self.happened(self.steering.approve(found.id, task, str(by or _user())))
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
        self.steering.reject(found.id, task, self.redactor(reason), str(by or _user()))
        self.happened({})
        return found.refresh()

    def prune(self, older_than: float) -> int:
        """Forget the workflows that ended long ago: their tasks, steps, results and events.

        The same ``key`` makes another workflow after that. Those whose events have not all been
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
        told = self.relay is not None
        return prune(self.link, self.scope, seconds("older_than", older_than), told=told)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Orchestrator({self.scope!r}, on {self.database.backend.target})"


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # there is no such user, as in a container
        return "somebody"
