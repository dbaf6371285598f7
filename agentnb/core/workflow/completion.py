"""The end of an attempt at a task, and its consequences, in the transaction that is given.

On PostgreSQL ends of one workflow run side by side. Each shares the workflow's row first, which
those who steer it lock for themselves alone; then it locks its own task, then others in the order
of their places, and the workflow's row, where they are counted, last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.failure import CANCELLED, Failure
from agentnb.core.workflow.family import end_children, lock_parent, tell_parent
from agentnb.core.workflow.outbox import CHANNELS, EVENT, NOTE, event_values, note
from agentnb.core.workflow.transactions import plain

if TYPE_CHECKING:
    from agentnb.core.codec import Unkept
    from agentnb.core.workflow.claiming import TaskRef
    from agentnb.core.workflow.transactions import Transaction

__all__ = [
    "Completion",
    "complete",
    "count",
    "ended_state",
    "fail",
    "lock",
    "release",
    "retry",
    "share",
    "skip",
]

_LEFT = "state in ('blocked', 'approval', 'delayed', 'parked', 'waiting')"
_FENCE = "id = :id and owner = :owner and entry = :entry and state = 'active'"
_COMPLETE = f"""
update {{task}} set state = 'completed', result = :result, unkept = :unkept, error = null,
  traceback = null, finished = {{now}}, owner = null, ended = entry, deaths = 0 where {_FENCE}
"""
_FREE = """
update {task} set missing = missing - 1,
  state = case when missing > 1 then state when approval = 1 then 'approval'
    when delay > 0 then 'delayed' else 'waiting' end,
  due = case when missing > 1 or approval = 1 then due else {now} + delay end,
  ready_at = case when missing > 1 or approval = 1 or delay > 0 then ready_at else {now} end
where workflow_id = :workflow and state = 'blocked' and place {in_places}
"""
_FREED = "returning id, name, agent, state"
_COUNT = "update {workflow} set pending = pending - :n where id = :workflow"
_SHARE = "select 1 from {workflow} where id = :workflow for key share"
_BAD = """
select name, state, error from {task} where workflow_id = :workflow
  and state <> 'completed' and looked = 0
order by case when state in ('failed', 'cancelled') then 0 else 1 end, finished, place limit 1
"""
# PostgreSQL gets the end of a task in one message: its statements go on only where the first has
# found that the claim still counts.
_COUNTS = "current_setting('agentnb.ended') = '1'"
_COMPLETE_FIRST = f"""
with done as ({_COMPLETE} returning 1)
select set_config('agentnb.ended', (select count(*) from done)::text, true)
"""
# Side by side, those that free the same tasks lock them in one order.
_FREE_ORDERED = f"""
with freed as ({_FREE} and {_COUNTS} and id in (
    select id from {{task}} where workflow_id = :workflow and state = 'blocked'
      and place {{in_places}} order by place for update)
  returning id, workflow_id, name, agent, state, place),
held as ({EVENT}
  select :event_id || '-' || place, :scope, :workflow, 'TASK_APPROVAL',
    '{CHANNELS["TASK_APPROVAL"]}',
    json_build_object('workflow_id', workflow_id, 'task_id', id, 'task', name)::text, {{now}}, 0
  from freed where state = 'approval' order by place)
select id, name, agent, state from freed
"""
_NOTE_IT = f"""
{EVENT} select :event_id, :scope, :workflow, :event_type, :event_channel, :event_data, {{now}}, 0
where {_COUNTS}
"""
_COUNT_IT = f"{_COUNT} and {_COUNTS} returning pending, state"
_END_IT = f"""
with bad as ({_BAD}),
over as (update {{workflow}} set finished = {{now}},
    state = case when exists (select 1 from bad) then 'failed' else 'completed' end,
    error = (select 'task ' || name || ': ' || coalesce(nullif(error, ''), state)
      from bad where state <> 'skipped')
  where id = :workflow and pending <= 0 and state = 'active' and {_COUNTS}
  returning id, state, error)
{EVENT} select :event_id || '-end', :scope, :workflow, 'WORKFLOW_' || upper(state),
  'workflow.' || state,
  json_build_object('workflow_id', id, 'status', state, 'error', error)::text, {{now}}, 0
from over
"""
_CANCELLED = f"select cancel from {{task}} where {_FENCE} {{lock}}"
_RETRY = f"""
update {{task}} set state = :state, due = case when :pause > 0 then {{now}} + :pause else due end,
  ready_at = null, owner = null, ended = :ended, deaths = :deaths, attempt = :attempt,
  error = :error, traceback = :traceback where {_FENCE}
"""
_FAIL = f"""
update {{task}} set state = :state, finished = {{now}}, owner = null, ended = :ended, deaths = 0,
  error = :error, traceback = :traceback where {_FENCE}
"""
# The time at which it was due is its place in the order, and stays.
_RELEASE = f"""
update {{task}} set state = 'waiting', owner = null, attempt = attempt - 1
where {_FENCE} and cancel = 0
"""
_AFTER = f"""
with recursive after_it(place, frees) as (
  select place, frees from {{task}}
  where workflow_id = :workflow and {_LEFT} and place {{in_places}}
  union
  select t.place, t.frees from after_it f cross join {{places}} cross join {{task}} t
  where t.workflow_id = :workflow and t.place = {{a_place}} and t.{_LEFT}
)
select place from after_it
"""
_SKIP = f"""
update {{task}} set state = 'skipped', finished = {{now}} where id in (
  select id from {{task}} where workflow_id = :workflow and {_LEFT} and place {{in_places}}
  order by place {{lock}})
"""


@dataclass(frozen=True, slots=True)
class Completion:
    """The consequences of a task's end.

    Attributes
    ----------
    state
        The task's state after it.
    ready
        How many tasks could run now, by agents.
    last
        Whether the workflow has ended with it.
    """

    state: str
    ready: dict[str, int]
    last: bool = False


def lock(tx: Transaction, workflow: str) -> str:
    """Lock a workflow against ends and other steering, and return its state."""
    row = tx.row("select state from {workflow} where id = :id {lock}", id=workflow)
    return str(row[0]) if row else "gone"


def share(tx: Transaction, workflow: str) -> None:
    """Keep those who steer a workflow out, and let other ends go on beside."""
    if tx.postgres:
        tx.row(_SHARE, workflow=workflow)


def complete(
    tx: Transaction,
    scope: str,
    ref: TaskRef,
    result: bytes,
    ms: float,
    unkept: Unkept | None = None,
) -> Completion | None:
    """Complete a task, and free the tasks that need it; return None if it is fenced."""
    text = None if unkept is None else unkept.write()
    values = {"result": result.decode(), "unkept": text, **ref.fence}
    if tx.postgres and ref.parent is None:
        return _complete_at_once(tx, scope, ref, ms, values)
    share(tx, ref.workflow_id)
    lock_parent(tx, ref.parent)
    if not tx.run(_COMPLETE, **values):
        return None
    freed: list[tuple[Any, ...]] = []
    if ref.frees:
        freed = tx.rows(f"{_FREE}{_FREED}", workflow=ref.workflow_id, places=ref.frees)
        for number, name, _, state in freed:
            if state == "approval":
                note(tx, scope, ref.workflow_id, "TASK_APPROVAL", task_id=number, task=name)
    _record(tx, scope, ref, "success", ms=round(ms, 1))
    ready = _ready(freed) | tell_parent(tx, scope, ref.parent, ref.id, failed=False)
    return Completion("completed", ready, count(tx, scope, ref.workflow_id, 1))


def _complete_at_once(
    tx: Transaction, scope: str, ref: TaskRef, ms: float, values: dict[str, Any]
) -> Completion | None:
    """Complete a task in one message, which locks the workflow's row last and for no round trip."""
    event = _event(ref, "success", "TASK_COMPLETED", ms=round(ms, 1))
    free = [_FREE_ORDERED] if ref.frees else []
    found = tx.several(
        [_SHARE, _COMPLETE_FIRST, *free, _NOTE_IT, _COUNT_IT, _END_IT],
        scope=scope,
        workflow=ref.workflow_id,
        places=ref.frees,
        n=1,
        **event,
        **values,
    )
    if found[1] != [("1",)]:
        return None
    counted = found[-2]
    last = bool(counted) and counted[0][0] <= 0 and counted[0][1] == "active"
    return Completion("completed", _ready(found[2] if free else []), last)


def _ready(freed: list[tuple[Any, ...]]) -> dict[str, int]:
    """Return how many of some freed tasks could run now or later, by their agents."""
    ready: dict[str, int] = {}
    for _, _, agent, state in freed:
        if state not in {"blocked", "approval"}:
            ready[agent] = ready.get(agent, 0) + 1
    return ready


def retry(
    tx: Transaction,
    scope: str,
    ref: TaskRef,
    failure: Failure,
    *,
    pause: float = 0.0,
    own: bool = True,
) -> Completion | None:
    """Let another attempt follow; a task that was asked to stop is cancelled instead.

    Parameters
    ----------
    pause
        Seconds before it; 0 puts the task back at its first place in the order.
    own
        Whether the attempt's own worker ends it: the same end may come again from there.
    """
    return _again(tx, scope, ref, failure, pause=pause, own=own, counted=True)


def release(
    tx: Transaction, scope: str, ref: TaskRef, failure: Failure | None = None
) -> Completion | None:
    """Put a task back at its first place in the order, without counting the attempt.

    A task that was asked to stop is cancelled instead.

    Parameters
    ----------
    failure
        The death of its worker, which ran others beside it; None for a worker that gives it up.
    """
    if failure is not None:
        return _again(tx, scope, ref, failure, pause=0.0, own=False, counted=False)
    if tx.run(_RELEASE, **ref.fence):
        return Completion("waiting", {ref.agent: 1})
    return fail(tx, scope, ref, Failure(CANCELLED, ref.attempt), cancelled=True)


def _again(
    tx: Transaction,
    scope: str,
    ref: TaskRef,
    failure: Failure,
    *,
    pause: float,
    own: bool,
    counted: bool,
) -> Completion | None:
    share(tx, ref.workflow_id)
    lock_parent(tx, ref.parent)
    row = tx.row(_CANCELLED, **ref.fence)
    if row is None:
        return None
    if row[0]:
        return _end(tx, scope, ref, failure, "cancelled", own=own)
    state = "delayed" if pause > 0 else "waiting"
    tx.run(
        _RETRY,
        state=state,
        pause=pause,
        ended=ref.entry if own else None,
        attempt=ref.attempt if counted else ref.attempt - 1,
        deaths=0 if own else ref.deaths + (not counted),
        **_words(failure),
        **ref.fence,
    )
    left = ref.attempts - ref.attempt + (not counted)
    error = plain(failure.error)
    _record(tx, scope, ref, "retried", kind="TASK_RETRIED", error=error, left=left)
    return Completion(state, {} if pause > 0 else {ref.agent: 1})


def fail(
    tx: Transaction,
    scope: str,
    ref: TaskRef,
    failure: Failure,
    *,
    cancelled: bool = False,
    own: bool = True,
) -> Completion | None:
    """End a task for good, and skip all that needs it; return None if it is fenced.

    Parameters
    ----------
    cancelled
        Whether the attempt was asked to stop.
    own
        As `retry` takes it.
    """
    share(tx, ref.workflow_id)
    lock_parent(tx, ref.parent)
    row = tx.row(_CANCELLED, **ref.fence)
    if row is None:
        return None
    state = "cancelled" if cancelled or row[0] else "failed"
    return _end(tx, scope, ref, failure, state, own=own)


def _end(
    tx: Transaction, scope: str, ref: TaskRef, failure: Failure, state: str, *, own: bool
) -> Completion:
    ended = ref.entry if own else None
    tx.run(_FAIL, state=state, ended=ended, **_words(failure), **ref.fence)
    _record(tx, scope, ref, state, kind=f"TASK_{state.upper()}", error=plain(failure.error))
    skipped = skip(tx, ref.workflow_id, ref.frees) + end_children(tx, ref.id)
    ready = tell_parent(tx, scope, ref.parent, ref.id, failed=True)
    return Completion(state, ready, count(tx, scope, ref.workflow_id, 1 + skipped))


def ended_state(tx: Transaction, ref: TaskRef) -> str | None:
    """Return the state to which this very claim has brought its task; None if it did not end it."""
    sql = "select state, entry from {task} where id = :id and ended = :entry"
    row = tx.row(sql, id=ref.id, entry=ref.entry)
    if row is None:
        return None
    return str(row[0]) if row[1] == ref.entry else "delayed"


def skip(tx: Transaction, workflow: str, frees: str | None) -> int:
    """Skip all that needs a task which failed, by its ``frees``, and return how many that are."""
    if frees is None:
        return 0
    found = tx.rows(_AFTER, workflow=workflow, places=frees)
    if not found:
        return 0
    places = msgspec.json.encode([row[0] for row in found]).decode()
    return tx.run(_SKIP, workflow=workflow, places=places)


def count(tx: Transaction, scope: str, workflow: str, ended: int) -> bool:
    """Count tasks that have ended, and return whether the workflow has as well."""
    row = tx.row(f"{_COUNT} returning pending, state", n=ended, workflow=workflow)
    if row is None or row[0] > 0 or row[1] != "active":
        return False
    _end_workflow(tx, scope, workflow)
    return True


def _end_workflow(tx: Transaction, scope: str, workflow: str) -> None:
    """End a workflow none of whose tasks is left."""
    bad = tx.row(_BAD, workflow=workflow)
    state, error = "completed", None
    if bad is not None:
        state = "failed"
        error = f"task {bad[0]}: {bad[2] or bad[1]}" if bad[1] != "skipped" else None
    sql = "update {workflow} set state = :state, error = :error, finished = {now} where id = :id"
    tx.run(sql, state=state, error=error, id=workflow)
    note(tx, scope, workflow, f"WORKFLOW_{state.upper()}", status=state, error=error)


def _words(failure: Failure) -> dict[str, Any]:
    return {"error": plain(failure.error), "traceback": plain(failure.traceback) or None}


def _record(
    tx: Transaction,
    scope: str,
    ref: TaskRef,
    status: str,
    *,
    kind: str = "TASK_COMPLETED",
    **more: Any,
) -> None:
    values = _event(ref, status, kind, **more)
    tx.run(NOTE, scope=scope, workflow=ref.workflow_id, **values)


def _event(ref: TaskRef, status: str, kind: str, **more: Any) -> dict[str, Any]:
    return event_values(
        kind,
        ref.workflow_id,
        agent_id=ref.agent,
        task_id=ref.id,
        task=ref.name,
        status=status,
        attempt=ref.attempt,
        **more,
    )
