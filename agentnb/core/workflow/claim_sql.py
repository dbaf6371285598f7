"""The SQL of a claim, for agents without limits and for agents of which some have one.

PostgreSQL plans each statement anew, so that those without limits are to be short.
"""

from __future__ import annotations

from typing import NamedTuple

from agentnb.core.workflow.agent_limits import FULL, OPEN, STARTED, UNTIL
from agentnb.core.workflow.info import TASK
from agentnb.core.workflow.outbox import CHANNELS, EVENT

__all__ = ["LIMITED", "REF", "TURN", "UNLIMITED", "Statements"]

REF = "id, entry, owner, attempt, attempts, deaths, workflow_id, name, agent, frees, place, parent"
"""The columns of a `TaskRef`, without its trace."""
# A waiting task of a bounded workflow, one with `max_parallel`, is found by its workflow: those of
# a workflow that has as many active tasks as it may are not looked at, however many they are. The
# tasks of a paused workflow are bounded by 0.
_FREE = """
from {task} t where t.scope = :scope and t.agent = a.agent and t.state = 'waiting'
  and t.max_parallel is null
"""
_BOUNDED = """
from {task} t where t.workflow_id = w.id and t.agent = a.agent and t.state = 'waiting'
  and t.max_parallel is not null
"""
_ROOM = """
w.scope = :scope and w.state = 'active' and w.max_parallel is not null and w.paused is null
  and (select count(*) from {task} f where f.scope = :scope and f.workflow_id = w.id
    and f.state = 'active') < w.max_parallel
"""
_BY_ORDER = "order by t.priority, t.due, t.place"
# One claim at a time in a bounded workflow: the next statement sees those that came before.
TURN = """
select 1 from (select pg_advisory_xact_lock(hashtextextended(
  current_setting('agentnb.workflow'), 0)) where current_setting('agentnb.workflow') <> '') x
"""
_TAKE = """
update {task} as t set state = 'active', owner = :owner, entry = ENTRY,
  attempt = attempt + 1, started = {now}, began = coalesce(began, {now}),
  ready_at = coalesce(ready_at, due), cancel = 0,
  progress = null, message = '', log = null
"""
_NEXT_ENTRY = "greatest(entry, coalesce(cast(cast(:held as jsonb) ->> id as int), 0)) + 1"
# The options that the agents have here apply to tasks that set none, never fewer attempts than
# the one that begins.


class Statements(NamedTuple):
    """The statements of a claim.

    Attributes
    ----------
    due
        In how many seconds the first task could run.
    candidates, lock, take
        On PostgreSQL: the first tasks; locks one of them and notes it; takes it, if the workflow
        and the limit of its agent still have room.
    take_first
        On SQLite: takes the first task.
    """

    due: str
    candidates: str
    lock: str
    take: str
    take_first: str


def _statements(*, limited: bool) -> Statements:
    """Return the statements for agents of which some have limits, or none has."""
    # The agents that have room; without limits all.
    begin, agents = (f"with {OPEN}", "a") if limited else ("", "{agents}")
    candidates = _candidates(begin, agents)
    return Statements(
        _due(begin, agents, limited=limited),
        candidates,
        _lock(candidates, limited=limited),
        _take(limited=limited),
        _take_first(begin, agents, limited=limited),
    )


def _due(begin: str, agents: str, *, limited: bool) -> str:
    bounded = f"exists (select 1 {_BOUNDED})"
    delayed = """(select min(t.due) from {task} t where t.scope = :scope and t.agent = a.agent
      and t.state in ('delayed', 'parked') and t.due is not null) - {now}"""
    in_workflows = f"select 0 from {{workflow}} w cross join {agents} where {_ROOM} and {bounded}"
    if not limited:
        return f"""
select min(d.due) from (
  select case when exists (select 1 {_FREE}) then 0 else {delayed} end as due from {{agents}}
  union all
  {in_workflows}
) d
"""
    return f"""
{begin} select min(d.due) from (
  select case when exists (select 1 {_FREE}) then 0 else null end as due from a
  union all
  select {delayed} from {{agents}}
  union all
  {in_workflows}
  union all
  {UNTIL} where exists (select 1 {_FREE})
    or exists (select 1 from {{workflow}} w where {_ROOM} and {bounded})
) d
"""


def _take_first(begin: str, agents: str, *, limited: bool) -> str:
    # The first task of each agent is found by an index, however many wait for other agents.
    return f"""
{_TAKE.replace("ENTRY", "entry + 1")} where t.state = 'waiting' and t.id = (
  {begin} select c.id from (
    select t.id, t.priority, t.due, t.place from {agents} join {{task}} t
      on t.id = (select t.id {_FREE} {_BY_ORDER} limit 1)
    union all
    select t.id, t.priority, t.due, t.place from {{workflow}} w cross join {agents} join {{task}} t
      on t.id = (select t.id {_BOUNDED} {_BY_ORDER} limit 1) where {_ROOM}
    order by 2, 3, 4 limit 1) c)
returning {_gives("{task}", limited=limited)}
"""


def _candidates(begin: str, agents: str) -> str:
    return f"""
{begin} select c.id from (
  select f.* from {agents} cross join lateral
    (select t.id, t.priority, t.due, t.place {_FREE} {_BY_ORDER} limit :most) f
  union all
  select b.* from {{workflow}} w cross join {agents} cross join lateral
    (select t.id, t.priority, t.due, t.place {_BOUNDED} {_BY_ORDER} limit :most_bounded) b
  where {_ROOM}) c
order by c.priority, c.due, c.place limit :most
"""


def _lock(candidates: str, *, limited: bool) -> str:
    note = """,
  set_config('agentnb.agent', coalesce((select p.agent from picked p join {agent_limit} l
    on l.scope = :scope and l.agent = p.agent), ''), true)"""
    return f"""
with picked as (
  select c.id, c.workflow_id, c.max_parallel, c.agent from {{task}} c
  where c.id = any(array({candidates})) and c.state = 'waiting'
  order by c.priority, c.due, c.place limit 1 for update skip locked)
select set_config('agentnb.task', coalesce((select id from picked), ''), true),
  set_config('agentnb.workflow',
    coalesce((select workflow_id from picked where max_parallel is not null), ''), true)
{note if limited else ""}
"""


def _take(*, limited: bool) -> str:
    # A limit that was set since this worker looked: the task is left to the other statements.
    new_limit = """
exists (select 1 from {agent_limit} l where l.scope = :scope and l.agent = t.agent)
"""
    # The options that the agents have here apply to tasks that set none, never fewer attempts than
    # the one that begins.
    return f"""
with taken as ({_TAKE.replace("ENTRY", _NEXT_ENTRY)},
    attempts = greatest(attempt + 1, case when own_attempts = 1 then attempts
      else coalesce(cast(cast(:options as jsonb) -> agent ->> 0 as int), attempts) end),
    timeout = case when own_timeout = 1 or not cast(:options as jsonb) ? agent then timeout
      else cast(cast(:options as jsonb) -> agent ->> 1 as float8) end,
    backoff = case when own_backoff = 1 then backoff
      else coalesce(cast(cast(:options as jsonb) -> agent ->> 2 as float8), backoff) end
  where t.id = current_setting('agentnb.task') and t.state = 'waiting'
    and (t.max_parallel is null or t.max_parallel > (select count(*) from {{task}} f
      where f.scope = :scope and f.workflow_id = t.workflow_id and f.state = 'active'))
    and not {FULL.replace("AGENT", "t.agent") if limited else new_limit}
  returning *),
{f"{STARTED}," if limited else ""}
noted as ({EVENT}
  select :event_id, :scope, workflow_id, 'TASK_STARTED', '{CHANNELS["TASK_STARTED"]}',
    json_build_object('workflow_id', workflow_id, 'task', name, 'task_id', id,
      'agent_id', agent, 'attempt', attempt)::text, {{now}}, 0
  from taken)
select {_gives("taken", limited=limited)} from taken
"""


def _gives(of: str, *, limited: bool) -> str:
    count = f"""
  (select count(*) from {{agent_limit}} l where l.scope = :scope and l.agent = {of}.agent)"""
    return f"""
entry, deaths, frees, place, parent, timeout, backoff, own_attempts, own_timeout, own_backoff,
  {count if limited else 0},
  (select traceparent from {{workflow}} w where w.id = workflow_id),
  (select correlation_id from {{workflow}} w where w.id = workflow_id),
  (select name from {{workflow}} w where w.id = workflow_id), {TASK}
"""


UNLIMITED = _statements(limited=False)
"""Those for agents none of which has a limit."""
LIMITED = _statements(limited=True)
"""Those for agents of which some have limits."""
