"""A worker claims a task: the first that could run, in a short transaction of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.trace import carried
from agentnb.core.workflow.info import TASK, task_info
from agentnb.core.workflow.outbox import note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.trace import Context as TraceContext
    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.info import TaskInfo
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["REF", "Claimed", "TaskRef", "claim", "due", "promote", "task_ref"]

_OF_AGENT = "from {task} t where t.scope = :scope and t.agent = a.agent"
_DUE = f"""
select min(d.due) from (select case
  when exists (select 1 {_OF_AGENT} and t.state = 'waiting') then 0
  else (select min(t.due) {_OF_AGENT} and t.state = 'delayed') - {{now}} end as due
from {{agents}}) d
"""
_DELAYED = """
select d.id from {agents} join {task} d on d.scope = :scope and d.agent = a.agent
  and d.state = 'delayed' and d.due <= {now}
"""
_PROMOTE = """
update {task} set state = 'waiting', ready_at = coalesce(ready_at, due)
where state = 'delayed' and id in
"""
# The workflows that have as many active tasks as they may: the few that are active are counted.
_FULL = """
(t.max_parallel is null or t.workflow_id not in (select f.workflow_id from {task} f
  where f.scope = :scope and f.state = 'active' and f.max_parallel is not null
  group by f.workflow_id having count(*) >= max(f.max_parallel)))
"""
_FIRST = f"""
{_OF_AGENT} and t.state = 'waiting' and {_FULL} order by t.priority, t.due, t.place
"""
_ORDER = "order by c.priority, c.due, c.place limit 1"
# The first task of each agent is found by the index, however many wait for other agents.
_SQLITE = f"""
(select c.id from {{agents}} join {{task}} c on c.id = (select t.id {_FIRST} limit 1) {_ORDER})
"""
_CANDIDATES = f"""
select c.id from {{agents}} cross join lateral
  (select t.id, t.priority, t.due, t.place {_FIRST} limit :n) c
order by c.priority, c.due, c.place limit :n
"""
_LOCKED = f"""
select c.id, c.workflow_id, c.max_parallel from {{task}} c
where c.id = any(array({_CANDIDATES})) and c.state = 'waiting' {_ORDER}
{{lock_free}}
"""
_MOST_CANDIDATES = 50  # more than there are workers that claim in the same millisecond
_TAKE = """
update {task} set state = 'active', owner = :owner, entry = entry + 1, attempt = attempt + 1,
  started = {now}, ready_at = coalesce(ready_at, due), cancel = 0, progress = null, message = '',
  log = null
where state = 'waiting' and id =
"""
REF = "id, entry, owner, attempt, attempts, deaths, workflow_id, name, agent, frees, place"
"""The columns of a `TaskRef`, without its trace."""
_GIVES = f"""
returning entry, deaths, frees, place, timeout, backoff, own_attempts, own_timeout,
  (select traceparent from {{workflow}} w where w.id = workflow_id),
  (select correlation_id from {{workflow}} w where w.id = workflow_id), {TASK}
"""
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
    traceparent, correlation_id
        The trace that it continues.
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
    traceparent: str | None
    correlation_id: str | None

    @property
    def context(self) -> TraceContext | None:
        """The trace that it belongs to."""
        return carried(self.traceparent, self.correlation_id)

    @property
    def fence(self) -> dict[str, Any]:
        """The values that name this claim in a statement."""
        return {"id": self.id, "owner": self.owner, "entry": self.entry}


def task_ref(row: Iterable[Any]) -> TaskRef:
    """Return the claimed task of a row of `REF`, traceparent and correlation id."""
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
    """

    ref: TaskRef
    info: TaskInfo
    timeout: float | None
    backoff: float

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


def due(tx: Transaction, scope: str, agents: Iterable[str]) -> float | None:
    """Return in how many seconds the first task of some agents could run; None for none."""
    row = tx.row(_DUE, scope=scope, agents=_listed(agents))
    return None if row is None or row[0] is None else max(float(row[0]), 0.0)


def promote(tx: Transaction, scope: str, agents: Iterable[str]) -> None:
    """Let the delayed tasks of some agents wait that are due, in a transaction."""
    lock = "for update of d skip locked" if tx.postgres else ""
    tx.run(f"{_PROMOTE} ({_DELAYED} {lock})", scope=scope, agents=_listed(agents))


def claim(
    tx: Transaction,
    scope: str,
    agents: Iterable[str],
    owner: str,
    find: Callable[[str], Agent | None] = lambda _: None,
) -> Claimed | None:
    """Claim the first waiting task, in a transaction; return None if there is none.

    Parameters
    ----------
    find
        Returns the agent of a name as it is in this process, whose options apply to the attempts
        of tasks that set none themselves.
    """
    values = {"scope": scope, "agents": _listed(agents)}
    if tx.postgres:
        row = _claim_with_locks(tx, owner, values)
    else:
        row = tx.row(f"{_TAKE} {_SQLITE} {_GIVES}", owner=owner, **values)
    if row is None:
        return None
    entry, deaths, frees, place, timeout, backoff, own_attempts, own_timeout, *rest = row
    task = task_info(rest[2:])
    ref = TaskRef(
        *(task.id, entry, owner, task.attempt, task.attempts, deaths),
        *(task.workflow_id, task.name, task.agent, frees, place, rest[0], rest[1]),
    )
    claimed = Claimed(ref, task, timeout, backoff)
    agent = find(ref.agent)
    if agent is not None:
        claimed = _with_options(tx, claimed, agent, own_attempts, own_timeout)
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


def _with_options(
    tx: Transaction, claimed: Claimed, agent: Agent, own_attempts: int, own_timeout: int
) -> Claimed:
    """Return a claim with the options that its agent has now, where the task sets none."""
    attempts = claimed.ref.attempts if own_attempts else agent.attempts
    timeout = claimed.timeout if own_timeout else agent.timeout
    # Never fewer than this one, which has begun.
    attempts = max(attempts, claimed.ref.attempt)
    if (attempts, timeout, agent.backoff) == (
        claimed.ref.attempts,
        claimed.timeout,
        claimed.backoff,
    ):
        return claimed
    options = {"attempts": attempts, "timeout": timeout, "backoff": agent.backoff}
    tx.run(_OPTIONS, id=claimed.ref.id, **options)
    return Claimed(
        replace(claimed.ref, attempts=attempts),
        replace(claimed.info, attempts=attempts),
        timeout,
        agent.backoff,
    )


def _claim_with_locks(
    tx: Transaction, owner: str, values: dict[str, Any]
) -> tuple[Any, ...] | None:
    """Claim a task where others do so at the same time; nothing is waited for."""
    found = tx.row(_LOCKED, n=_MOST_CANDIDATES, **values)
    if found is None:
        tx.contended = tx.row(_CANDIDATES, n=1, **values) is not None
        return None
    number, workflow, most = found
    if most is not None and not _room(tx, values["scope"], workflow, most):
        tx.contended = True
        return None
    return tx.row(f"{_TAKE} :id {_GIVES}", id=number, owner=owner)


def _room(tx: Transaction, scope: str, workflow: str, most: int) -> bool:
    """Return whether a workflow may have one more active task; others' claims wait from now on."""
    sql = "select 1 from {workflow} where id = :id {lock_claim}"
    if tx.row(sql, id=workflow) is None:
        return False
    sql = "select count(*) from {task} where scope = :scope and workflow_id = :id "
    found = tx.row(sql + "and state = 'active'", scope=scope, id=workflow)
    return found is not None and found[0] < most


def _listed(agents: Iterable[str]) -> str:
    return msgspec.json.encode(tuple(agents)).decode()
