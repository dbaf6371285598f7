"""What an orchestrator is made of, and the agents that it knows."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from agentnb.core.codec import Json, Unkept, check_schema, read
from agentnb.core.errors import NotFoundError, did_you_mean
from agentnb.core.loop import LoopThread
from agentnb.core.ranges import seconds
from agentnb.core.table import Table
from agentnb.core.trace import stamp
from agentnb.core.workflow import migrating
from agentnb.core.workflow.agents import made
from agentnb.core.workflow.bell import Bell
from agentnb.core.workflow.keys import KEY_TTL
from agentnb.core.workflow.link import Link
from agentnb.core.workflow.reading import Reader
from agentnb.core.workflow.registry import Registry
from agentnb.core.workflow.relay import Relay
from agentnb.core.workflow.steering import Steering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from agentnb.core.db import Database
    from agentnb.core.runtime import Runtime
    from agentnb.core.trace import Context as TraceContext
    from agentnb.core.workflow.bell import Remote
    from agentnb.core.workflow.info import AgentInfo

__all__ = ["Base"]

F = TypeVar("F")
T = TypeVar("T")
_LIMIT = 1_000_000
_RESULTS = 64  # a result is paid for already: it may be larger than what is sent
_MOST_ADVICE = 1000


class _lazy(Generic[T]):  # noqa: N801 - as property is called
    """Make a value on first use, once for each object.

    Until 3.12 `functools.cached_property` has one lock for all objects, which is held meanwhile.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, owner: Any, kind: type | None = None) -> T:
        if owner is None:
            return self  # type: ignore[return-value]  # asked of the class, by a tool
        with owner._making:  # noqa: SLF001 - the two are one
            if self._name not in vars(owner):
                vars(owner)[self._name] = self._make(owner)
            return vars(owner)[self._name]  # type: ignore[no-any-return]  # it was made here


class Base:
    """The part of an `Orchestrator` below its workflows; parameters as there."""

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
        bell: Remote | None = None,
        runtime: Runtime | None = None,
        owns_database: bool = False,
    ) -> None:
        migrating.check_kind(database)
        self.database = database
        self.scope = scope
        self.lease = lease
        self.key_ttl = seconds("key_ttl", key_ttl, service="workflow")
        self.json = Json(
            "workflow",
            "the task's value",
            limit=limit,
            setting="AGENTNB_WORKFLOW_PAYLOAD",
            results=limit * _RESULTS,
        )
        self._advised: set[tuple[str, str]] = set()
        self.registry = Registry(home, scope)
        self.services = services
        runtime = runtime or database.runtime
        self.tracer = runtime.tracer
        self.redactor = runtime.redactor
        self.log = runtime.log("workflow")
        self.loop = LoopThread()
        self._bus = events
        self._remote = bell
        self._owns = owns_database
        self._making = threading.RLock()  # never held while somebody is waited for
        self._lock = threading.RLock()

    @_lazy
    def link(self) -> Link:
        """Return the turns on the database, whose tables are there from now on."""
        migrating.require(self.database)
        return Link(self.database)

    @_lazy
    def reader(self) -> Reader:
        """Return what looks at workflows."""
        return Reader(self.link, self.scope)

    @_lazy
    def steering(self) -> Steering:
        """Return what steers workflows."""
        return Steering(self.link, self.scope)

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
            ``capabilities=()``, ``retries=3``, ``timeout=600``, ``backoff=2``, ``schema=None``,
            ``returns=None``, as `agentnb.core.workflow.agent` takes them.

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
                f"there is no agent {name!r}",
                service="workflow",
                hint=did_you_mean(name, found, "agents"),
            )
        return found[name]

    # Results

    def results(self, number: str) -> dict[str, Any]:
        """Return the results of a workflow's completed tasks, by their names."""
        return {
            name: Unkept.read(unkept) if unkept else read(result, self.registry.declared(agent))
            for name, agent, result, unkept in self.reader.results(number)
        }

    def inputs(self, number: str, needs: Iterable[str]) -> dict[str, Any]:
        """Return the results of some tasks; see `Context.inputs`."""
        rows = {row[0]: row[1:] for row in self.reader.results(number)}
        found = {}
        for name in needs:
            agent, result, unkept = rows[name]
            _check_kept(number, name, agent, unkept)
            found[name] = read(result, self.registry.declared(agent))
        return found

    def result_of(self, number: str, task: str, kind: Any = None) -> Any:
        """Return the result of a completed task; see `Workflow.result_of`."""
        check_schema(kind, "workflow", "type")
        agent, result, unkept = self.reader.result(number, task)
        _check_kept(number, task, agent, unkept)
        if kind is None:
            return read(result, self.registry.declared(agent))
        return self.json.decode(result.encode(), kind)

    def advise(self, agent: str, text: str) -> bool:
        """Return whether something is said of an agent for the first time."""
        key = (agent, text)
        first = key not in self._advised and len(self._advised) < _MOST_ADVICE
        self._advised.add(key)
        return first

    # What is told

    @_lazy
    def bell(self) -> Bell:
        """Return what wakes those who wait."""
        return Bell(self._remote, self.log)

    @_lazy
    def relay(self) -> Relay | None:
        """Return what publishes the events of the outbox; None where there is no bus."""
        if self._bus is None:
            return None
        return Relay(self.link, self.scope, self._bus, self.log)

    def relay_once(self) -> int:
        """Publish what stands in the outbox, up to a hundred events, and return how many.

        A thread does so by itself, from the first workflow on that is made or worked on here.

        Raises
        ------
        UnavailableError
            The server is away; they stay in the outbox.
        """
        return self.relay.once() if self.relay is not None else 0

    def happened(self, ready: Mapping[str, int], *, ring: bool = True) -> None:
        """Say that something was committed: tasks of some agents could run, events are there."""
        if ring:
            self.bell.ring(ready)
        if self.relay is not None:
            self.relay.start()
            self.relay.wake()

    def tell(
        self,
        words: str,
        *args: Any,
        level: int = logging.INFO,
        context: TraceContext | None = None,
        **data: Any,
    ) -> None:
        """Log something of a task or a worker, in a task's trace where there is one."""
        if self.log.isEnabledFor(level):
            self.log.log(level, words, *args, extra={"data": data, **stamp(context)})

    def ping(self) -> None:
        """Do nothing if the tables can be read.

        Raises
        ------
        AgentnbError
            They cannot.
        """
        self.reader.newest(None, 1)


def _check_kept(number: str, task: str, agent: str, unkept: str | None) -> None:
    if unkept is not None:
        raise Unkept.read(unkept).error(
            f"task {task}",
            "workflow",
            f"have agent {agent} return plain values or a model, then "
            f"%workflow retry {number} {task} runs the task again",
        )


def _anything(task: Any, ctx: Any) -> None:
    """Stand for an agent while its options are checked."""
