"""Tasks that run by an executor: their records, and what runs them on the far side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from agentnb.core.codec import Kept, Unkept
from agentnb.core.errors import AgentnbError, ConfigError, UsageError
from agentnb.core.forking import new_lock
from agentnb.core.work.executors.far import FarSide, check_local, register
from agentnb.core.work.executors.names import find_named, name_of
from agentnb.core.work.executors.record import Record, versions
from agentnb.core.work.identity import host_name, shared_place
from agentnb.core.workflow.agents import made, mark_of
from agentnb.core.workflow.pulses import identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.codec import TypeCodec
    from agentnb.core.work.attempt import Attempt
    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.registry import Registry
    from agentnb.core.workflow.transactions import Transactions

__all__ = ["FarAgents", "FarTasks", "TaskRecords", "pack", "unpack"]

_CELL = "cell"


class Named(msgspec.Struct, array_like=True, frozen=True):
    """An agent, as a record has it.

    Attributes
    ----------
    name
        Its name.
    function
        ``pkg.module:function`` of its function or class, or ``cell`` for one that the home keeps.
    schema, returns
        The types of its data and its result, where its own mark does not have them.
    """

    name: str
    function: str
    schema: str = ""
    returns: str = ""


_decoder = msgspec.json.Decoder(list[Named])


class TaskRecords:
    """Makes the records of attempts at the tasks of one worker.

    Each has all agents that other processes can import, so that the results of one are read
    there by another as the types that they declare.

    Parameters
    ----------
    transactions, scope
        The database.
    registry
        Knows the agents of this process.
    lease
        Seconds for which an attempt counts as alive after its last sign of life.
    hub
        The hub, for an executor whose calls run in this process.
    """

    def __init__(
        self,
        transactions: Transactions,
        scope: str,
        registry: Registry,
        *,
        lease: float,
        hub: Any,
    ) -> None:
        if hub is None:
            raise UsageError(
                "executor= needs a hub, and this orchestrator was made without one",
                service="workflow",
                hint="hub = agentnb.connect(); hub.workflows.work(executor=...)",
            )
        self._registry = registry
        self._lock = new_lock()
        self._seen: dict[str, tuple[Agent, Named | UsageError]] = {}
        self._text: tuple[list[Agent], str] = ([], "[]")
        store = identity(transactions, scope, make=True)
        register(store, hub)
        local = transactions.database.kind == "sqlite"
        self._frame = Record(
            "task",
            store,
            shared_place(transactions.where, scope),
            scope,
            lease=lease,
            local_to=host_name() if local else "",
            **versions()._asdict(),
        )

    def check(self, agents: tuple[str, ...]) -> None:
        """Refuse agents that other processes cannot import.

        Raises
        ------
        UsageError
            One of them is such.
        """
        for name in agents:
            found = self._named(self._registry.find(name))
            if isinstance(found, UsageError):
                raise found

    def why_not(self, name: str) -> UsageError | None:
        """Return why other processes cannot import an agent, None if they can."""
        agent = self._registry.known(name)
        found = None if agent is None else self._named(agent)
        return found if isinstance(found, UsageError) else None

    def record(self, attempt: Attempt | None) -> Record:
        """Return the record of an attempt; of none for the check at the start."""
        frame = msgspec.structs.replace(self._frame, function=self._agents())
        if attempt is None:
            return frame
        claim = attempt.claim
        return msgspec.structs.replace(
            frame,
            id=claim.id,
            entry=claim.entry,
            owner=claim.owner,
            waited=claim.waited,
            timeout=attempt.timeout,
        )

    def _agents(self) -> str:
        registry = self._registry
        names = dict.fromkeys([*registry.registered(), *registry.kept()])
        known = [registry.known(name) for name in names]
        agents = [agent for agent in known if agent is not None]
        with self._lock:
            before, text = self._text
        if len(before) == len(agents) and all(a is b for a, b in zip(agents, before, strict=True)):
            return text
        found = [one for agent in agents if isinstance(one := self._named(agent), Named)]
        text = msgspec.json.encode(found).decode()
        with self._lock:
            self._text = agents, text
        return text

    def _named(self, agent: Agent) -> Named | UsageError:
        seen = self._seen.get(agent.name)
        if seen is not None and seen[0] is agent:
            return seen[1]
        try:
            found: Named | UsageError = _named(agent)
        except UsageError as error:
            found = error
        self._seen[agent.name] = agent, found
        return found


def _named(agent: Agent) -> Named:
    if agent.cell:
        return Named(agent.name, _CELL)
    function = name_of(
        agent.target,
        f"agent {agent.name}",
        service="workflow",
        hint="register a function of a module, or keep a cell (%%agent NAME); threads run any",
    )
    mark = mark_of(find_named(function))
    options = {} if mark is None else mark[1]
    types = {}
    for what in ("schema", "returns"):
        given = getattr(agent, what)
        if given is not None and options.get(what) is not given:
            types[what] = name_of(
                given,
                f"the {what} of agent {agent.name}",
                service="workflow",
                hint=f"mark the function in its module: @agent({agent.name!r}, {what}=...)",
            )
    return Named(agent.name, function, **types)


class Agents(Protocol):
    """The agents that a process knows, as a handler and those who read results ask for them."""

    def find(self, name: str) -> Agent:
        """Return the agent of a name."""

    def declared(self, name: str) -> TypeCodec | None:
        """Return the codec of an agent's results."""


class FarAgents:
    """The agents of a record, imported when they are asked for.

    Parameters
    ----------
    text
        The agents, as the record has them.
    registry
        Finds those that cells have made.
    """

    def __init__(self, text: str, registry: Registry) -> None:
        self._named = {one.name: one for one in _decoder.decode(text)}
        self._registry = registry
        self._made: dict[str, Agent] = {}

    def check(self) -> None:
        """Import all of them.

        Raises
        ------
        ConfigError, NotFoundError
            One cannot be imported here.
        """
        for name in self._named:
            self.find(name)

    def find(self, name: str) -> Agent:
        """Return an agent; its cell as it is now.

        Raises
        ------
        ConfigError, NotFoundError
            It cannot be imported here.
        """
        found = self._made.get(name)
        if found is not None:
            return found
        one = self._named.get(name)
        if one is None or one.function == _CELL:
            return self._registry.find(name)
        target = find_named(one.function)
        mark = mark_of(target)
        options = {} if mark is None else mark[1]
        types = {
            what: find_named(given) if (given := getattr(one, what)) else options.get(what)
            for what in ("schema", "returns")
        }
        self._made[name] = made(name, target, module=one.function, **types)
        return self._made[name]

    def declared(self, name: str) -> TypeCodec | None:
        """Return the codec of an agent's results, None where they are plain JSON."""
        try:
            return self.find(name).declared
        except AgentnbError:
            return None


class FarTasks:
    """Runs tasks that the workers of other processes have claimed; one for an orchestrator.

    Parameters
    ----------
    transactions, scope
        The database.
    registry
        Finds the agents that cells have made.
    make
        Returns the parts that run the tasks of some agents.
    """

    def __init__(
        self,
        transactions: Transactions,
        scope: str,
        registry: Registry,
        *,
        make: Callable[[Agents], FarSide],
    ) -> None:
        self._transactions = transactions
        self._scope = scope
        self._registry = registry
        self._make = make
        self._lock = new_lock()
        self._identity = ""
        self._sides: dict[str, FarSide] = {}

    def side(self, record: Record) -> FarSide:
        """Return what runs a record here.

        Raises
        ------
        ConfigError
            It is of another database, or one of its agents cannot be imported here.
        """
        shared = self._transactions.database.kind != "sqlite"
        check_local(record, shared=shared, name="database", variable="DATABASE_URL")
        self._check_store(record)
        with self._lock:
            found = self._sides.get(record.function)
            if found is None:
                agents = FarAgents(record.function, self._registry)
                agents.check()
                found = self._sides[record.function] = self._make(agents)
            return found

    def _check_store(self, record: Record) -> None:
        where = shared_place(self._transactions.where, self._scope)
        same = not record.local_to or record.where == where
        if same and self._identity != record.store:
            self._identity = identity(self._transactions, self._scope)
        if not same or self._identity != record.store:
            names = "AGENTNB_HOME or DATABASE_URL" if record.local_to else "DATABASE_URL"
            raise ConfigError(
                f"the tasks are those of {record.where}, and this process uses {where}",
                service="workflow",
                hint=f"set {names} and AGENTNB_KEY_PREFIX to the same on both sides",
            )


def pack(kept: Kept) -> bytes:
    """Return a result as it is kept, and the description of one that could not be.

    >>> unpack(pack(Kept(b'[1, "two"]'))).copy
    [1, 'two']
    """
    unkept = None if kept.unkept is None else kept.unkept.write()
    return msgspec.json.encode((kept.data.decode(), unkept))


def unpack(data: bytes) -> Kept:
    """Return the result that `pack` has made bytes of."""
    text, unkept = msgspec.json.decode(data, type=tuple[str, str | None])
    return Kept(text.encode(), None if unkept is None else Unkept.read(unkept))
