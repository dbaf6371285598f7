"""The agents that are known: those of this process, those of the home, those of others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import msgspec

from agentnb.core.errors import (
    AgentnbError,
    AgentNotFound,
    ConfigError,
    NotFoundError,
    UsageError,
    did_you_mean,
)
from agentnb.core.forking import new_lock
from agentnb.core.modules import KeptModule, module_path
from agentnb.core.moments import moment_of
from agentnb.core.work.identity import is_dead, shared_place
from agentnb.core.workflow.agents import Agent, marked
from agentnb.core.workflow.info import AgentInfo
from agentnb.core.workflow.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import ModuleType

    from agentnb.core.codec import TypeCodec
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["UNKNOWN", "Registry", "Unknown"]

Unknown = Literal["refuse", "wait"]
UNKNOWN = "nobody has registered it yet"
"""The module of an agent that its tasks wait for."""
_KIND = "agent"


class _Kept:
    """An agent that a cell has made; another one as soon as the cell has run again."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.agent: Agent | None = None
        self.refused: AgentnbError | None = None
        self._lock = new_lock()
        self._module = KeptModule(path, self._use)

    def look(self) -> Agent:
        """Return what the cell has made last.

        Raises
        ------
        NotFoundError, ConfigError
            There is none, it cannot be loaded, or it needs the notebook's names.
        """
        with self._lock:
            try:
                self._module.refresh()
            except NotFoundError:
                self.refused = None
            except AgentnbError as error:
                self.refused = error
            if self.refused is not None:
                raise self.refused
            if self.agent is None:
                raise _missing(self.name)
            return self.agent

    def _use(self, module: ModuleType) -> None:
        self.refused = None
        names = getattr(module, "KERNEL_ONLY", ())
        if names:
            self.refused = ConfigError(
                f"agent {self.name} uses names of its notebook: {', '.join(names)}",
                service="workflow",
                hint="a worker process has not got them: import or make them inside the cell and "
                "run it again, or hub.workflows.work() in the notebook",
            )
            return
        found = marked(module).get(self.name)
        if found is None:
            raise ConfigError(
                f"{self._module.path.name} has no agent {self.name}",
                service="workflow",
                hint=f"run its cell again (%%agent {self.name})",
            )
        self.agent = replace(found, module=f"%%agent {self.name}", cell=True)


class Registry:
    """The agents of a process; those that cells have made are looked for in the home.

    Parameters
    ----------
    home
        The home, or None for none.
    scope
        Separates those who share a database.
    where
        The database, as messages name it; empty for none.
    """

    def __init__(self, home: Path | None, scope: str, where: str = "") -> None:
        self._home = home
        self._scope = scope
        self._where = where
        self._lock = new_lock()
        self._registered: dict[str, Agent] = {}
        self._kept: dict[str, _Kept] = {}
        self._written: dict[str, Agent] = {}

    def add(self, agent: Agent) -> None:
        """Make an agent known, in the place of one of the same name."""
        with self._lock:
            self._registered[agent.name] = agent

    def remove(self, name: str) -> None:
        """Forget an agent of this process."""
        with self._lock:
            self._registered.pop(name, None)

    def registered(self) -> list[str]:
        """Return the names of the agents that were registered in this process."""
        return list(self._registered)

    def kept(self) -> list[str]:
        """Return the names of the agents that cells have made in this home."""
        folder = None if self._home is None else module_path(self._home, _KIND, "x").parent
        if folder is None or not folder.is_dir():
            return []
        found = folder.glob(f"{_KIND}_*.py")
        return sorted(unquote(path.stem.removeprefix(f"{_KIND}_")) for path in found)

    def find(self, name: str) -> Agent:
        """Return the agent of a name, as it is to be called here.

        Raises
        ------
        NotFoundError, ConfigError
            This process has none, and no cell has made one that could be used.
        """
        found = self._registered.get(name)
        if found is not None:
            return found
        if self._home is None:
            raise _missing(name)
        with self._lock:
            kept = self._kept.get(name)
            if kept is None:
                kept = self._kept[name] = _Kept(name, module_path(self._home, _KIND, name))
        return kept.look()

    def known(self, name: str) -> Agent | None:
        """Return the agent of a name, None where this process has none that could be used."""
        try:
            return self.find(name)
        except AgentnbError:
            return None

    def declared(self, name: str) -> TypeCodec | None:
        """Return the codec of an agent's results, where this process has the agent."""
        agent = self.known(name)
        return None if agent is None else agent.declared

    def save(
        self, transactions: Transactions | Transaction, names: Iterable[str] | None = None
    ) -> None:
        """Make the agents of this process, or those of some names, known to others.

        Each row is written in a transaction of its own, which holds it for no round trip; or in
        the one that is given, which may be rolled back: they are written again later.
        """
        for name in self.registered() if names is None else names:
            kept = self._kept.get(name)
            agent = self._registered.get(name) or (kept.agent if kept is not None else None)
            if agent is not None and self._written.get(name) is not agent:
                transactions.run(_REGISTER, scope=self._scope, **_row(agent))
                if isinstance(transactions, Transactions):
                    self._written[name] = agent

    def options(self, tx: Transaction, name: str, unknown: Unknown = "refuse") -> Agent:
        """Return what is known of an agent, wherever it is.

        One that nobody has registered has the defaults of agents, if ``unknown`` is ``"wait"``.

        Raises
        ------
        UsageError
            Nobody has registered it.
        """
        try:
            return self.find(name)
        except AgentnbError as error:
            row = tx.row(_REGISTERED, scope=self._scope, name=name)
            if row is not None:
                return _of_row(row)
            if unknown == "wait" and isinstance(error, NotFoundError):
                return Agent(name, _never, False, module=UNKNOWN)  # noqa: FBT003 - is_async
            raise self._unknown(tx, name, error) from error

    def _unknown(self, tx: Transaction, name: str, error: AgentnbError) -> UsageError:
        if isinstance(error, ConfigError):
            return UsageError(
                f"agent {name} cannot be used: {error}", service="workflow", hint=error.hint
            )
        rows = tx.rows("select name from {agent} where scope = :scope", scope=self._scope)
        known = sorted({*self.registered(), *self.kept(), *(row[0] for row in rows)})
        return UsageError(
            f"no agent {name!r} is registered",
            service="workflow",
            hint=did_you_mean(name, known) or f"{_missing(name).hint}{self._looked}",
        )

    @property
    def _looked(self) -> str:
        """The places where agents were looked for, as the end of a hint."""
        if not self._where:
            return ""
        return f"; known are those of this process and of {shared_place(self._where, self._scope)}"

    def look(self, tx: Transaction) -> list[AgentInfo]:
        """Return all agents that are known, with who works as them."""
        agents: dict[str, Agent] = {}
        for row in tx.rows(f"{_ALL} where scope = :scope", scope=self._scope):
            agents[row[0]] = _of_row(row)
        for name in {*self.kept(), *self.registered()}:
            try:
                agents[name] = self.find(name)
            except AgentnbError as error:
                agents.setdefault(name, Agent(name, _never, False, module=f"refused: {error}"))  # noqa: FBT003 - is_async
        alive = self._alive(tx)
        busy = {row[0] for row in tx.rows(_BUSY, scope=self._scope)}
        found = []
        for name in sorted(agents):
            who = [w for w in alive if name in msgspec.json.decode(w[1])]
            found.append(_info(agents[name], [w[3] for w in who], busy=name in busy))
        return found

    def _alive(self, tx: Transaction) -> list[tuple[Any, ...]]:
        now = tx.clock()
        workers = tx.rows(_WORKERS, scope=self._scope)
        return [w for w in workers if w[3] + w[2] >= now and not is_dead(w[0])]

    def owners(self, tx: Transaction) -> list[str]:
        """Return the owner ids of the workers that are alive."""
        return [row[0] for row in self._alive(tx)]

    def served(self, tx: Transaction) -> list[list[str]]:
        """Return the names of the agents of each worker that is alive."""
        return [msgspec.json.decode(row[1]) for row in self._alive(tx)]


def _missing(name: str) -> NotFoundError:
    return AgentNotFound(
        f"there is no agent {name} here",
        service="workflow",
        hint=f'@hub.workflows.agent("{name}") above a function (%%agent {name} over a cell)',
    )


_ALL = "select name, capabilities, attempts, timeout, backoff, module from {agent}"
_REGISTERED = f"{_ALL} where scope = :scope and name = :name"
_REGISTER = """
insert into {agent} (scope, name, capabilities, attempts, timeout, backoff, module, registered)
values (:scope, :name, :capabilities, :attempts, :timeout, :backoff, :module, {now})
on conflict (scope, name) do update set capabilities = excluded.capabilities,
  attempts = excluded.attempts, timeout = excluded.timeout, backoff = excluded.backoff,
  module = excluded.module, registered = excluded.registered
"""
_WORKERS = "select owner, agents, lease, heartbeat from {worker} where scope = :scope"
_BUSY = "select distinct agent from {task} where scope = :scope and state = 'active'"


def _row(agent: Agent) -> dict[str, Any]:
    return {
        "name": agent.name,
        "capabilities": msgspec.json.encode(agent.capabilities).decode(),
        "attempts": agent.attempts,
        "timeout": agent.timeout,
        "backoff": agent.backoff,
        "module": agent.module,
    }


def _of_row(row: tuple[Any, ...]) -> Agent:
    name, capabilities, attempts, timeout, backoff, module = row
    words = tuple(msgspec.json.decode(capabilities))
    return Agent(name, _never, False, words, attempts, timeout, backoff, None, module)  # noqa: FBT003 - is_async


def _info(agent: Agent, beats: list[float], *, busy: bool) -> AgentInfo:
    state = ("working" if busy else "idle") if beats else "no worker"
    return AgentInfo(
        agent.name,
        agent.capabilities,
        state,
        len(beats),
        moment_of(max(beats, default=None)),
        agent.module,
        agent.attempts,
        agent.timeout,
    )


def _never(task: Any, ctx: Any) -> Any:  # noqa: ARG001 - as an agent is called
    raise AgentNotFound(
        "this agent is registered elsewhere",
        service="workflow",
        hint="hub.workflows.agent(NAME) registers it here",
    )
