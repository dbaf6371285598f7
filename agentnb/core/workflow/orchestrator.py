"""The orchestrator: workflows are made, worked on, looked at and steered."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from agentnb.core.errors import NotFoundError, UsageError, did_you_mean
from agentnb.core.loop import LoopThread
from agentnb.core.redact import redact
from agentnb.core.table import Table
from agentnb.core.trace import Tracer
from agentnb.core.wire import Json
from agentnb.core.workflow import migrating
from agentnb.core.workflow.agents import made
from agentnb.core.workflow.creating import create
from agentnb.core.workflow.link import Link
from agentnb.core.workflow.reading import Reader
from agentnb.core.workflow.registry import Registry
from agentnb.core.workflow.spec import Task, check_name
from agentnb.core.workflow.telling import event_table, workflow_table
from agentnb.core.workflow.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from agentnb.core.db import Database
    from agentnb.core.workflow.info import AgentInfo

__all__ = ["Orchestrator"]

F = TypeVar("F")
_logger = logging.getLogger("agentnb.workflows")
_LIMIT = 1_000_000


class Orchestrator:
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
    ...         workflow = workflows.create("hello", [Task("greet", data="Ada")])
    ...         [(task.name, task.state) for task in workflow.tasks]
    [('greet', 'waiting')]
    """

    def __init__(
        self,
        database: Database,
        *,
        scope: str = "agentnb",
        home: Path | None = None,
        lease: float = 30.0,
        limit: int = _LIMIT,
        services: Callable[[str], Any] | None = None,
        tracer: Tracer | None = None,
        redactor: Callable[[str], str] = redact,
        owns_database: bool = False,
        hub_id: str | None = None,
    ) -> None:
        migrating.check_kind(database)
        self.database = database
        self.scope = scope
        self.lease = lease
        self.json = Json(
            "workflows", "the task's value", limit=limit, setting="AGENTNB_WORKFLOW_PAYLOAD"
        )
        self.registry = Registry(home, scope)
        self.services = services
        self.tracer = tracer or Tracer()
        self.redactor = redactor
        self.log = logging.LoggerAdapter(_logger, {"hub": hub_id})
        self.loop = LoopThread()
        self._owns = owns_database
        self._lock = threading.Lock()

    @cached_property
    def link(self) -> Link:
        """The turns on the database, whose tables are there from now on."""
        migrating.require(self.database)
        return Link(self.database)

    @cached_property
    def reader(self) -> Reader:
        """What looks at workflows."""
        return Reader(self.link, self.scope)

    def migrate(self) -> tuple[str | None, str]:
        """Bring the tables up to date; return the version before (None: no tables) and now."""
        return migrating.migrate(self.database)

    # Agents

    def agent(self, name: str, **options: Any) -> Callable[[F], F]:
        """Register a function or a class as an agent of this process, in the place of an older one.

        Parameters
        ----------
        name
            Its name, which tasks give.
        **options
            ``capabilities=()``, ``retries=3``, ``timeout=600``, ``backoff=2``, ``schema=None``, as
            `agentnb.core.workflow.agent` takes them.

        Raises
        ------
        UsageError
            It cannot do a task, or an option cannot have its value.
        """
        made(name, _anything, **options)

        def register(target: F) -> F:
            self.registry.add(made(name, target, **options))
            return target

        return register

    def agents(self) -> Table:
        """Return the agents that are known: who would work as them, and since when."""
        columns = ("agent", "capabilities", "state", "workers", "heartbeat", "module")
        rows = [
            (
                one.name,
                ", ".join(one.capabilities),
                one.state,
                one.workers,
                one.heartbeat,
                one.module,
            )
            for one in self.agent_infos()
        ]
        return Table(
            columns, rows, empty='no agents yet: @hub.workflows.agent("NAME"), or %%agent NAME'
        )

    def agent_infos(self) -> list[AgentInfo]:
        """Return the agents that are known, by their names."""
        with self.link.read() as turn:
            return self.registry.look(turn)

    def agent_info(self, name: str) -> AgentInfo:
        """Return one agent.

        Raises
        ------
        NotFoundError
            Nobody has registered it.
        """
        found = {one.name: one for one in self.agent_infos()}
        if name not in found:
            raise NotFoundError(
                f"there is no agent {name!r}", service="workflows", hint=did_you_mean(name, found)
            )
        return found[name]

    # Workflows

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
        self._ring(ready)
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

    def _ring(self, ready: Mapping[str, int]) -> None:
        pass

    def ping(self) -> None:
        """Do nothing if the tables can be read.

        Raises
        ------
        AgentnbError
            They cannot.
        """
        self.reader.newest(None, 1)

    def close(self) -> None:
        """Stop what works here."""
        self.loop.close()
        if self._owns:
            self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Orchestrator({self.scope!r}, on {self.database.backend.target})"


def _anything(task: Any, ctx: Any) -> None:
    """Stand for an agent while its options are checked."""
