"""The orchestrator: workflows are made, worked on, looked at and steered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.workflow.creating import check_name_of_workflow, create
from agentnb.core.workflow.spec import Task, check_name, several, shown
from agentnb.core.workflow.steered import Steered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agentnb.core.workflow.workflow import Workflow

__all__ = ["Orchestrator"]


class Orchestrator(Steered):
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
        Seconds that an idempotency key is kept, whatever becomes of its workflow.
    services
        Given the name of a service that an agent asks its context for, returns it; None for none.
    events
        The event bus on which what happens is published, such as `EventBus`; None for none.
    bell
        Carries the bell to other processes, see `agentnb.core.workflow.bell.Remote`; None for
        none: they then look by themselves, every second.
    runtime
        Tracer, redactor and logs; default: those of `database`.
    owns_database
        Whether `close` closes the database.

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
            An idempotency key. The first call makes the workflow; each later one returns it, for
            7 days (``key_ttl``) and as long as it is active. One that failed is returned, too:
            its state says so, and `Workflow.retry` runs it again.
        max_parallel
            How many tasks are active at once at most.
        data
            Any value with a JSON form, for all tasks: ``ctx.workflow.data``.
        correlation_id
            Free text that goes with it.

        Raises
        ------
        UsageError
            The key was used with other tasks, other data or another name; two tasks have one
            name, a need is not there, tasks wait for each other, an agent that nobody has
            registered, data that is not JSON: nothing was made.
        RejectedError
            The workflow that was made with the key was pruned.
        UnavailableError
            The database is away: nothing was made, or the same call with a ``key`` finds it.
        """
        with self.tracer.span("create", service="workflow", workflow=str(name)) as span:
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
        if not isinstance(workflow, Mapping):
            raise UsageError(
                f"a workflow is a dict here, not a {type(workflow).__name__}",
                service="workflow",
                hint='{"name": "new app"}, [{"name": "plan", "agent": "plan"}]',
            )
        words = dict(workflow)
        for word in words:
            if word not in known:
                raise UsageError(
                    f"a workflow has no {shown(word)}",
                    service="workflow",
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Orchestrator({self.scope!r}, on {self.database.backend.target})"
