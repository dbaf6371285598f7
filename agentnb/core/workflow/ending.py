"""An attempt comes to its end, and what follows from that: all in the transaction it is given.

The workflow's row is locked first on PostgreSQL, then its tasks: so nothing waits in a circle.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.workflow.graph import dependents
from agentnb.core.workflow.link import listed, plain
from agentnb.core.workflow.outbox import note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.codec import Unkept
    from agentnb.core.failure import Failure
    from agentnb.core.workflow.claiming import Claimed
    from agentnb.core.workflow.link import Turn

__all__ = ["After", "complete", "count", "fail", "give_back", "lock", "pause", "skip"]

_LONGEST_PAUSE = 300.0
_SPREAD = 0.2
_FENCE = "id = :id and owner = :owner and entry = :entry and state = 'active'"
_COMPLETE = f"""
update {{task}} set state = 'completed', result = :result, unkept = :unkept, error = null,
  traceback = null, finished = {{now}}, owner = null where {_FENCE}
"""
_FREE = """
update {task} set missing = missing - 1,
  state = case when missing > 1 then state when approval = 1 then 'approval'
    when delay > 0 then 'delayed' else 'waiting' end,
  due = case when missing > 1 or approval = 1 then due else {now} + delay end,
  ready_at = case when missing > 1 or approval = 1 or delay > 0 then ready_at else {now} end
where workflow_id = :workflow and state = 'blocked' and place
"""
_FREED = "returning id, name, agent, state"
_AGAIN = f"""
update {{task}} set state = 'delayed', due = {{now}} + :pause, ready_at = null, owner = null,
  error = :error, traceback = :traceback where {_FENCE}
"""
_FAIL = f"""
update {{task}} set state = :state, finished = {{now}}, owner = null, error = :error,
  traceback = :traceback where {_FENCE}
"""
_BACK = f"""
update {{task}} set state = 'waiting', due = {{now}}, owner = null, attempt = attempt - 1
where {_FENCE}
"""


@dataclass(frozen=True, slots=True)
class After:
    """What follows from a task's end: how many could run, by agents; whether that was the last."""

    ready: dict[str, int]
    last: bool


def lock(turn: Turn, workflow: str) -> str:
    """Lock a workflow, and return its state."""
    row = turn.row("select state from {workflow} where id = :id {lock}", id=workflow)
    return str(row[0]) if row else "gone"


def complete(
    turn: Turn,
    scope: str,
    claimed: Claimed,
    result: bytes,
    ms: float,
    unkept: Unkept | None = None,
) -> After | None:
    """Complete a task, and return what follows from that; None if it is fenced."""
    task = claimed.info
    if turn.postgres:
        lock(turn, task.workflow_id)
    text = None if unkept is None else unkept.write()
    if not turn.run(_COMPLETE, result=result.decode(), unkept=text, **claimed.fence):
        return None
    ready: dict[str, int] = {}
    if claimed.frees:
        places = msgspec.json.decode(claimed.frees)
        marks, values = listed(places)
        sql = f"{_FREE} in ({marks}) {_FREED}"
        for number, name, agent, state in turn.rows(sql, workflow=task.workflow_id, **values):
            if state == "approval":
                note(turn, scope, task.workflow_id, "TASK_APPROVAL", task_id=number, task=name)
            elif state != "blocked":
                ready[agent] = ready.get(agent, 0) + 1
    _tell(turn, scope, claimed, "success", ms=round(ms, 1))
    return After(ready, count(turn, scope, task.workflow_id, 1))


def fail(
    turn: Turn,
    scope: str,
    claimed: Claimed,
    failure: Failure,
    *,
    cancelled: bool = False,
    final: bool = False,
    wait: bool = True,
) -> str | None:
    """End an attempt that failed, and return what has become of the task; None if it is fenced.

    Parameters
    ----------
    cancelled
        Whether it was asked to stop.
    final
        Whether another attempt would fail as well.
    wait
        Whether there is a pause before the next one.
    """
    task = claimed.info
    over = lock(turn, task.workflow_id) != "active" or cancelled
    words: dict[str, Any] = {
        "error": plain(failure.error),
        "traceback": plain(failure.traceback) or None,
    }
    words |= claimed.fence
    if not over and not final and task.attempt < task.attempts:
        seconds = pause(claimed.backoff, task.attempt) if wait else 0.0
        if not turn.run(_AGAIN, pause=seconds, **words):
            return None
        left = task.attempts - task.attempt
        kind, more = "TASK_RETRIED", {"error": words["error"], "left": left}
        _tell(turn, scope, claimed, "retried", kind=kind, **more)
        return "delayed"
    state = "cancelled" if over else "failed"
    if not turn.run(_FAIL, state=state, **words):
        return None
    _tell(turn, scope, claimed, state, kind=f"TASK_{state.upper()}", error=words["error"])
    skipped = skip(turn, task.workflow_id, [claimed.place])
    count(turn, scope, task.workflow_id, 1 + skipped)
    return state


def give_back(turn: Turn, fence: dict[str, Any]) -> bool:
    """Let a task that its worker gives up run elsewhere; the attempt does not count."""
    return bool(turn.run(_BACK, **fence))


def skip(turn: Turn, workflow: str, places: Iterable[int]) -> int:
    """Skip all that needs tasks which will not come about, and return how many that are."""
    rows = turn.rows("select place, frees from {task} where workflow_id = :id", id=workflow)
    frees = {place: msgspec.json.decode(text) for place, text in rows if text}
    found: set[int] = set()
    for place in places:
        found |= dependents(frees, place)
    if not found:
        return 0
    marks, values = listed(sorted(found))
    sql = (
        "update {task} set state = 'skipped', finished = {now} where workflow_id = :workflow "
        f"and state in ('blocked', 'approval', 'delayed', 'waiting') and place in ({marks})"
    )
    return turn.run(sql, workflow=workflow, **values)


def count(turn: Turn, scope: str, workflow: str, ended: int) -> bool:
    """Count tasks that have ended, and return whether the workflow has as well."""
    sql = "update {workflow} set pending = pending - :n where id = :id returning pending, state"
    row = turn.row(sql, n=ended, id=workflow)
    if row is None or row[0] > 0 or row[1] != "active":
        return False
    _end_workflow(turn, scope, workflow)
    return True


def _end_workflow(turn: Turn, scope: str, workflow: str) -> None:
    """End a workflow none of whose tasks is left."""
    sql = "select name, state, error from {task} where workflow_id = :id and state <> 'completed'"
    rows = turn.rows(sql + " order by finished, place", id=workflow)
    bad = next((row for row in rows if row[1] in {"failed", "cancelled"}), None)
    state, error = "completed", None
    if rows:
        state = "failed"
        error = f"task {bad[0]}: {bad[2] or bad[1]}" if bad else None
    sql = "update {workflow} set state = :state, error = :error, finished = {now} where id = :id"
    turn.run(sql, state=state, error=error, id=workflow)
    note(turn, scope, workflow, f"WORKFLOW_{state.upper()}", status=state, error=error)


def _tell(
    turn: Turn,
    scope: str,
    claimed: Claimed,
    status: str,
    *,
    kind: str = "TASK_COMPLETED",
    **more: Any,
) -> None:
    task = claimed.info
    note(
        turn,
        scope,
        task.workflow_id,
        kind,
        agent_id=task.agent,
        task_id=task.id,
        task=task.name,
        status=status,
        attempt=task.attempt,
        **more,
    )


def pause(backoff: float, attempt: int) -> float:
    """Return the seconds to wait after an attempt: they double, up to five minutes.

    >>> 1.6 <= pause(2.0, 1) <= 2.4, 3.2 <= pause(2.0, 2) <= 4.8
    (True, True)
    """
    grown = backoff * 2.0 ** min(attempt - 1, 64)
    spread = 1 + _SPREAD * (2 * random.random() - 1)  # noqa: S311 - a lot is drawn
    return float(min(grown, max(_LONGEST_PAUSE, backoff)) * spread)
