"""A worker takes a task: the first that could run, for as long as its heartbeat lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.trace import carried
from agentnb.core.workflow.info import TASK, task_info
from agentnb.core.workflow.link import listed
from agentnb.core.workflow.outbox import note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.trace import Context as TraceContext
    from agentnb.core.workflow.info import TaskInfo
    from agentnb.core.workflow.link import Turn

__all__ = ["Claimed", "claim", "due"]

_READY = "scope = :scope and state in ('waiting', 'delayed') and agent in"
_ROOM = """
(c.max_parallel is null or c.max_parallel > (select count(*) from {task} a
  where a.scope = :scope and a.workflow_id = c.workflow_id and a.state = 'active'))
"""
_ORDER = "order by c.priority, c.due, c.place limit 1"
_TAKE = """
update {task} set state = 'active', owner = :owner, entry = entry + 1,
  attempt = attempt + 1, started = {now},
  ready_at = coalesce(ready_at, due), cancel = 0, progress = null, message = '', log = null
where state in ('waiting', 'delayed') and id =
"""
_GIVES = f"""
returning {TASK}, entry, timeout, backoff, frees, place,
  (select traceparent from {{workflow}} w where w.id = workflow_id),
  (select correlation_id from {{workflow}} w where w.id = workflow_id)
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that a worker has taken.

    Attributes
    ----------
    info
        The task.
    owner, entry
        The worker that has claimed it, and the number of this claim: the fence of its writes.
    timeout, backoff
        Seconds for the attempt, and before the next.
    frees, place
        Who needs it, as JSON, and where it stands in its workflow.
    traceparent, correlation_id
        Whose trace it continues.
    """

    info: TaskInfo
    owner: str
    entry: int
    timeout: float | None
    backoff: float
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
        return {"id": self.info.id, "owner": self.owner, "entry": self.entry}


def due(turn: Turn, scope: str, agents: Iterable[str]) -> float | None:
    """Return in how many seconds the first task of some agents could run; None for none."""
    marks, values = listed(agents)
    found = turn.row(
        f"select min(due) - {{now}} from {{task}} where {_READY} ({marks})", scope=scope, **values
    )
    return None if found is None or found[0] is None else max(float(found[0]), 0.0)


def claim(turn: Turn, scope: str, agents: Iterable[str], owner: str) -> Claimed | None:
    """Take the first task that could run, in a transaction; None if there is none."""
    marks, values = listed(agents)
    where = f"c.{_READY.replace(' state', ' c.state').replace(' agent', ' c.agent')} ({marks})"
    first = f"select c.id from {{task}} c where {where} and c.due <= {{now}} and {_ROOM}"
    if not turn.postgres:
        row = turn.row(f"{_TAKE} ({first} {_ORDER}) {_GIVES}", scope=scope, owner=owner, **values)
    else:
        row = _claim_with_locks(turn, first, scope, owner, values)
    if row is None:
        return None
    *info, entry, timeout, backoff, frees, place, traceparent, correlation_id = row
    task = task_info(info)
    note(
        turn,
        scope,
        task.workflow_id,
        "TASK_STARTED",
        task=task.name,
        task_id=task.id,
        agent_id=task.agent,
        attempt=task.attempt,
    )
    return Claimed(task, owner, entry, timeout, backoff, frees, place, traceparent, correlation_id)


def _claim_with_locks(
    turn: Turn, first: str, scope: str, owner: str, values: dict[str, Any]
) -> tuple[Any, ...] | None:
    """Take a task where others do so at the same time.

    Nothing is waited for here, since this transaction may hold locks of a task that has ended:
    what another one has locked is left to it.
    """
    full: list[str] = []
    while True:
        marks, names = listed(full)
        others = f" and c.workflow_id not in ({marks.replace(':one', ':full')})" if full else ""
        beside = {name.replace("one", "full", 1): value for name, value in names.items()}
        found = turn.row(
            f"{first}{others} {_ORDER} {{lock_free}}".replace(
                "select c.id", "select c.id, c.workflow_id, c.max_parallel", 1
            ),
            scope=scope,
            **values,
            **beside,
        )
        if found is None:
            return None
        number, workflow, most = found
        if most is not None and not _room(turn, scope, workflow, most):
            full.append(workflow)
            continue
        return turn.row(f"{_TAKE} :id {_GIVES}", id=number, owner=owner)


def _room(turn: Turn, scope: str, workflow: str, most: int) -> bool:
    """Return whether a workflow may have one more active task; its row is locked from now on."""
    sql = "select 1 from {workflow} where id = :id {lock_free}"
    if turn.row(sql, id=workflow) is None:
        turn.contended = True
        return False
    sql = "select count(*) from {task} where scope = :scope and workflow_id = :id "
    found = turn.row(sql + "and state = 'active'", scope=scope, id=workflow)
    return found is not None and found[0] < most
