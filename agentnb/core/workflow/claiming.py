"""A worker claims a task: the first that could run, in a short transaction of its own.

PostgreSQL gets the claim in one message, so that no lock is held while the network carries it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.trace import carried
from agentnb.core.workflow.agent_limits import TURN as AGENT_TURN
from agentnb.core.workflow.agent_limits import count_start
from agentnb.core.workflow.claim_sql import LIMITED, REF, TURN, UNLIMITED
from agentnb.core.workflow.ids import new_id
from agentnb.core.workflow.info import task_info
from agentnb.core.workflow.outbox import note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agentnb.core.trace import Context as TraceContext
    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.info import TaskInfo
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["REF", "Claimed", "TaskRef", "claim", "due", "has_limits", "promote", "task_ref"]

_DELAYED = """
select d.id from {agents} join {task} d on d.scope = :scope and d.agent = a.agent
  and d.state in ('delayed', 'parked') and d.due is not null and d.due <= {now}
"""
_PROMOTE = """
update {task} set state = 'waiting', ready_at = coalesce(ready_at, due)
where state in ('delayed', 'parked') and id in
"""
_PROMOTED = """
returning id, name, workflow_id, agent, exists (select 1 from {task_wait} w
  where w.task_id = {task}.id and w.entry = {task}.entry and w.state = 'open')
"""
# More than there are workers that claim in the same millisecond.
_LIMITS = {"most": 50, "most_bounded": 10}
_OPTIONS = """
update {task} set attempts = :attempts, timeout = :timeout, backoff = :backoff where id = :id
"""


@dataclass(frozen=True, slots=True)
class TaskRef:
    """A claimed task, as far as its end needs it.

    Attributes
    ----------
    id, entry, owner
        The fence: they name this claim for ever.
    attempt, attempts, deaths
        As in `agentnb.core.work.store.Claim`.
    workflow_id, name, agent
        The task.
    frees, place
        The places of the tasks that need it, as JSON, and its own place in the workflow.
    parent
        The id of the task that has spawned it; None for none.
    traceparent, correlation_id
        The trace that it continues.
    workflow_name
        The name of its workflow.
    """

    id: str
    entry: int
    owner: str
    attempt: int
    attempts: int
    deaths: int
    workflow_id: str
    name: str
    agent: str
    frees: str | None
    place: int
    parent: str | None
    traceparent: str | None
    correlation_id: str | None
    workflow_name: str

    @property
    def context(self) -> TraceContext | None:
        """The trace that it belongs to."""
        return carried(self.traceparent, self.correlation_id)

    @property
    def fence(self) -> dict[str, Any]:
        """The values that name this claim in a statement."""
        return {"id": self.id, "owner": self.owner, "entry": self.entry}


def task_ref(row: Iterable[Any]) -> TaskRef:
    """Return the claimed task of a row of `REF`, traceparent, correlation id, workflow's name."""
    return TaskRef(*row)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that a worker has claimed.

    Attributes
    ----------
    ref
        The claim.
    info
        The task as agents see it.
    timeout, backoff
        Seconds for the attempt, and before the next.
    limited
        True if its agent has a limit: others may start when it has ended.
    """

    ref: TaskRef
    info: TaskInfo
    timeout: float | None
    backoff: float
    limited: bool = False

    @property
    def name(self) -> str:
        """The task's name."""
        return self.ref.name

    @property
    def fence(self) -> dict[str, Any]:
        """The values that name this claim in a statement."""
        return self.ref.fence

    @property
    def context(self) -> TraceContext | None:
        """The trace that it belongs to."""
        return self.ref.context


def has_limits(tx: Transaction, scope: str) -> bool:
    """Return whether any agent has a limit."""
    return (
        tx.row("select 1 from {agent_limit} where scope = :scope limit 1", scope=scope) is not None
    )


def due(
    tx: Transaction, scope: str, agents: Iterable[str], *, limited: bool = True
) -> float | None:
    """Return in how many seconds the first task of some agents could run; None for none.

    Parameters
    ----------
    limited
        Whether some agent may have a limit, see `claim`.
    """
    statements = LIMITED if limited else UNLIMITED
    row = tx.row(statements.due, scope=scope, agents=_listed(agents))
    return None if row is None or row[0] is None else max(float(row[0]), 0.0)


def promote(tx: Transaction, scope: str, agents: Iterable[str]) -> None:
    """Let the delayed and parked tasks of some agents wait that are due, in a transaction."""
    lock = "for update of d skip locked" if tx.postgres else ""
    sql = f"{_PROMOTE} ({_DELAYED} {lock}) {_PROMOTED}"
    for number, name, workflow, agent, parked in tx.rows(sql, scope=scope, agents=_listed(agents)):
        if parked:
            data = {"task_id": number, "task": name, "agent_id": agent, "status": "due"}
            note(tx, scope, workflow, "TASK_RESUMED", **data)


def claim(
    tx: Transaction,
    scope: str,
    agents: Iterable[str],
    owner: str,
    find: Callable[[str], Agent | None] = lambda _: None,
    *,
    held: Mapping[str, int] | None = None,
    limited: bool = True,
) -> Claimed | None:
    """Claim the first waiting task, in a transaction; return None if there is none.

    Parameters
    ----------
    find
        Returns the agent of a name as it is in this process, whose options apply to the attempts
        of tasks that set none themselves.
    held
        The entries of the claims that the owner has, by their tasks. A server that crashed may
        have lost one of them, which must not be given out again.
    limited
        Whether some agent may have a limit. On PostgreSQL a task of an agent that has one is not
        claimed without: look at `has_limits` then, since the transaction is ``contended``.
    """
    if tx.postgres:
        row = _claim_at_once(tx, scope, tuple(agents), owner, find, held or {}, limited=limited)
        return None if row is None else _claimed(row, owner)
    limited = has_limits(tx, scope)
    sql = (LIMITED if limited else UNLIMITED).take_first
    row = tx.row(sql, scope=scope, agents=_listed(agents), owner=owner)
    if row is None:
        return None
    claimed = _claimed(row, owner)
    if claimed.limited:
        count_start(tx, scope, claimed.ref.agent)
    agent = find(claimed.ref.agent)
    if agent is not None:
        claimed = _with_options(tx, claimed, agent, row[7:10])
    ref = claimed.ref
    note(
        tx,
        scope,
        ref.workflow_id,
        "TASK_STARTED",
        task=ref.name,
        task_id=ref.id,
        agent_id=ref.agent,
        attempt=ref.attempt,
    )
    return claimed


def _claimed(row: tuple[Any, ...], owner: str) -> Claimed:
    entry, deaths, frees, place, parent, timeout, backoff, *rest = row
    _, _, _, limited, traceparent, correlation_id, workflow_name, *rest = rest
    task = task_info(rest)
    ref = TaskRef(
        *(task.id, entry, owner, task.attempt, task.attempts, deaths),
        *(task.workflow_id, task.name, task.agent, frees, place, parent),
        *(traceparent, correlation_id, workflow_name),
    )
    return Claimed(ref, task, timeout, backoff, bool(limited))


def _claim_at_once(
    tx: Transaction,
    scope: str,
    agents: tuple[str, ...],
    owner: str,
    find: Callable[[str], Agent | None],
    held: Mapping[str, int],
    *,
    limited: bool,
) -> tuple[Any, ...] | None:
    """Claim a task in one message where others do so at the same time; no task is waited for."""
    known = {name: agent for name in agents if (agent := find(name)) is not None}
    options = {name: (one.attempts, one.timeout, one.backoff) for name, one in known.items()}
    # A claim that a crash of the server loses is only made again: it need not wait for the disk.
    quick = ["set local synchronous_commit = off"] if tx.once else []
    statements = LIMITED if limited else UNLIMITED
    turns = [TURN, AGENT_TURN] if limited else [TURN]
    found = tx.several(
        [*quick, statements.lock, *turns, statements.take],
        scope=scope,
        agents=_listed(agents),
        owner=owner,
        options=msgspec.json.encode(options).decode(),
        held=msgspec.json.encode(held).decode(),
        event_id=new_id(),
        **_LIMITS,
    )
    if found[-1]:
        return found[-1][0]
    # A task that another has locked, or a workflow or an agent's limit that others have filled:
    # look again soon.
    tx.contended = found[len(quick)][0][0] != "" or bool(
        tx.rows(statements.candidates, scope=scope, agents=_listed(agents), most=1, most_bounded=1)
    )
    return None


def _with_options(
    tx: Transaction, claimed: Claimed, agent: Agent, own: tuple[int, int, int]
) -> Claimed:
    """Return a claim with the options that its agent has now, where the task has not its own."""
    own_attempts, own_timeout, own_backoff = own
    attempts = claimed.ref.attempts if own_attempts else agent.attempts
    timeout = claimed.timeout if own_timeout else agent.timeout
    backoff = claimed.backoff if own_backoff else agent.backoff
    # Never fewer than this one, which has begun.
    attempts = max(attempts, claimed.ref.attempt)
    if (attempts, timeout, backoff) == (
        claimed.ref.attempts,
        claimed.timeout,
        claimed.backoff,
    ):
        return claimed
    options = {"attempts": attempts, "timeout": timeout, "backoff": backoff}
    tx.run(_OPTIONS, id=claimed.ref.id, **options)
    return replace(
        claimed,
        ref=replace(claimed.ref, attempts=attempts),
        info=replace(claimed.info, attempts=attempts),
        timeout=timeout,
        backoff=backoff,
    )


def _listed(agents: Iterable[str]) -> str:
    return msgspec.json.encode(tuple(agents)).decode()
