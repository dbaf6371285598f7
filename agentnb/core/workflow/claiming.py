"""A worker claims a task: the first that could run, in a short transaction of its own.

PostgreSQL gets the claim in one message, so that no lock is held while the network carries it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.trace import carried
from agentnb.core.workflow.agent_limits import FULL, OPEN, STARTED, TURN, UNTIL, count_start
from agentnb.core.workflow.ids import new_id
from agentnb.core.workflow.info import TASK, task_info
from agentnb.core.workflow.outbox import CHANNELS, EVENT, note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agentnb.core.trace import Context as TraceContext
    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.info import TaskInfo
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["REF", "Claimed", "TaskRef", "claim", "due", "promote", "task_ref"]

# A waiting task of a bounded workflow, one with `max_parallel`, is found by its workflow: those of
# a workflow that has as many active tasks as it may are not looked at, however many they are.
_FREE = """
from {task} t where t.scope = :scope and t.agent = a.agent and t.state = 'waiting'
  and t.max_parallel is null
"""
_BOUNDED = """
from {task} t where t.workflow_id = w.id and t.agent = a.agent and t.state = 'waiting'
  and t.max_parallel is not null
"""
_ROOM = """
w.scope = :scope and w.state = 'active' and w.max_parallel is not null
  and (select count(*) from {task} f where f.scope = :scope and f.workflow_id = w.id
    and f.state = 'active') < w.max_parallel
"""
_DUE = f"""
with {OPEN} select min(d.due) from (
  select case when exists (select 1 {_FREE}) then 0 else null end as due from a
  union all
  select (select min(t.due) from {{task}} t where t.scope = :scope and t.agent = a.agent
    and t.state = 'delayed') - {{now}} from {{agents}}
  union all
  select 0 from {{workflow}} w cross join a where {_ROOM} and exists (select 1 {_BOUNDED})
  union all
  {UNTIL} where exists (select 1 {_FREE}) or exists (select 1 from {{workflow}} w where {_ROOM}
    and exists (select 1 {_BOUNDED}))
) d
"""
_DELAYED = """
select d.id from {agents} join {task} d on d.scope = :scope and d.agent = a.agent
  and d.state = 'delayed' and d.due <= {now}
"""
_PROMOTE = """
update {task} set state = 'waiting', ready_at = coalesce(ready_at, due)
where state = 'delayed' and id in
"""
_BY_ORDER = "order by t.priority, t.due, t.place"
# The first task of each agent is found by an index, however many wait for other agents.
_SQLITE = f"""
(with {OPEN} select c.id from (
  select t.id, t.priority, t.due, t.place from a join {{task}} t
    on t.id = (select t.id {_FREE} {_BY_ORDER} limit 1)
  union all
  select t.id, t.priority, t.due, t.place from {{workflow}} w cross join a join {{task}} t
    on t.id = (select t.id {_BOUNDED} {_BY_ORDER} limit 1) where {_ROOM}
  order by 2, 3, 4 limit 1) c)
"""
_CANDIDATES = f"""
with {OPEN} select c.id from (
  select f.* from a cross join lateral
    (select t.id, t.priority, t.due, t.place {_FREE} {_BY_ORDER} limit :most) f
  union all
  select b.* from {{workflow}} w cross join a cross join lateral
    (select t.id, t.priority, t.due, t.place {_BOUNDED} {_BY_ORDER} limit :most_bounded) b
  where {_ROOM}) c
order by c.priority, c.due, c.place limit :most
"""
# More than there are workers that claim in the same millisecond.
_LIMITS = {"most": 50, "most_bounded": 10}
_LOCK = f"""
with picked as (
  select c.id, c.workflow_id, c.max_parallel, c.agent from {{task}} c
  where c.id = any(array({_CANDIDATES})) and c.state = 'waiting'
  order by c.priority, c.due, c.place limit 1 for update skip locked)
select set_config('agentnb.task', coalesce((select id from picked), ''), true),
  set_config('agentnb.workflow',
    coalesce((select workflow_id from picked where max_parallel is not null), ''), true),
  set_config('agentnb.agent', coalesce((select p.agent from picked p join {{agent_limit}} l
    on l.scope = :scope and l.agent = p.agent), ''), true)
"""
# One claim at a time in a bounded workflow: the next statement sees those that came before.
_TURN = """
select 1 from (select pg_advisory_xact_lock(hashtextextended(
  current_setting('agentnb.workflow'), 0)) where current_setting('agentnb.workflow') <> '') x
"""
_TAKE = """
update {task} as t set state = 'active', owner = :owner, entry = ENTRY,
  attempt = attempt + 1, started = {now}, ready_at = coalesce(ready_at, due), cancel = 0,
  progress = null, message = '', log = null
"""
REF = "id, entry, owner, attempt, attempts, deaths, workflow_id, name, agent, frees, place"
"""The columns of a `TaskRef`, without its trace."""
_GIVES = f"""
entry, deaths, frees, place, timeout, backoff, own_attempts, own_timeout,
  (select count(*) from {{agent_limit}} l where l.scope = :scope and l.agent = OF.agent),
  (select traceparent from {{workflow}} w where w.id = workflow_id),
  (select correlation_id from {{workflow}} w where w.id = workflow_id), {TASK}
"""
_TAKE_SQLITE = f"""
{_TAKE.replace("ENTRY", "entry + 1")} where t.state = 'waiting' and t.id = {_SQLITE}
returning {_GIVES.replace("OF.", "{task}.")}
"""
_NEXT_ENTRY = "greatest(entry, coalesce(cast(cast(:held as jsonb) ->> id as int), 0)) + 1"
# The options that the agents have here apply to tasks that set none, never fewer attempts than
# the one that begins.
_TAKE_LOCKED = f"""
with taken as ({_TAKE.replace("ENTRY", _NEXT_ENTRY)},
    attempts = greatest(attempt + 1, case when own_attempts = 1 then attempts
      else coalesce(cast(cast(:options as jsonb) -> agent ->> 0 as int), attempts) end),
    timeout = case when own_timeout = 1 or not cast(:options as jsonb) ? agent then timeout
      else cast(cast(:options as jsonb) -> agent ->> 1 as float8) end,
    backoff = coalesce(cast(cast(:options as jsonb) -> agent ->> 2 as float8), backoff)
  where t.id = current_setting('agentnb.task') and t.state = 'waiting'
    and (t.max_parallel is null or t.max_parallel > (select count(*) from {{task}} f
      where f.scope = :scope and f.workflow_id = t.workflow_id and f.state = 'active'))
    and not {FULL.replace("AGENT", "t.agent")}
  returning *),
{STARTED},
noted as ({EVENT}
  select :event_id, :scope, workflow_id, 'TASK_STARTED', '{CHANNELS["TASK_STARTED"]}',
    json_build_object('workflow_id', workflow_id, 'task', name, 'task_id', id,
      'agent_id', agent, 'attempt', attempt)::text, {{now}}, 0
  from taken)
select {_GIVES.replace("OF.", "taken.")} from taken
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
    limited
        Whether its agent has a limit: others may start when it has ended.
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
    *,
    held: Mapping[str, int] | None = None,
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
    """
    if tx.postgres:
        row = _claim_at_once(tx, scope, tuple(agents), owner, find, held or {})
        return None if row is None else _claimed(row, owner)
    row = tx.row(_TAKE_SQLITE, scope=scope, agents=_listed(agents), owner=owner)
    if row is None:
        return None
    claimed = _claimed(row, owner)
    count_start(tx, scope, claimed.ref.agent)
    agent = find(claimed.ref.agent)
    if agent is not None:
        claimed = _with_options(tx, claimed, agent, own_attempts=row[6], own_timeout=row[7])
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
    entry, deaths, frees, place, timeout, backoff, *rest = row
    _, _, limited, traceparent, correlation_id, *rest = rest
    task = task_info(rest)
    ref = TaskRef(
        *(task.id, entry, owner, task.attempt, task.attempts, deaths),
        *(task.workflow_id, task.name, task.agent, frees, place, traceparent, correlation_id),
    )
    return Claimed(ref, task, timeout, backoff, bool(limited))


def _claim_at_once(
    tx: Transaction,
    scope: str,
    agents: tuple[str, ...],
    owner: str,
    find: Callable[[str], Agent | None],
    held: Mapping[str, int],
) -> tuple[Any, ...] | None:
    """Claim a task in one message where others do so at the same time; no task is waited for."""
    known = {name: agent for name in agents if (agent := find(name)) is not None}
    options = {name: (one.attempts, one.timeout, one.backoff) for name, one in known.items()}
    # A claim that a crash of the server loses is only made again: it need not wait for the disk.
    quick = ["set local synchronous_commit = off"] if tx.once else []
    found = tx.several(
        [*quick, _LOCK, _TURN, TURN, _TAKE_LOCKED],
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
    tx.contended = found[-4][0][0] != "" or bool(
        tx.rows(_CANDIDATES, scope=scope, agents=_listed(agents), most=1, most_bounded=1)
    )
    return None


def _with_options(
    tx: Transaction, claimed: Claimed, agent: Agent, *, own_attempts: int, own_timeout: int
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
    return replace(
        claimed,
        ref=replace(claimed.ref, attempts=attempts),
        info=replace(claimed.info, attempts=attempts),
        timeout=timeout,
        backoff=agent.backoff,
    )


def _listed(agents: Iterable[str]) -> str:
    return msgspec.json.encode(tuple(agents)).decode()
