"""Tasks that a task spawns at run time, and its waits for their ends.

A task locks its own row before those of its children, and a child that of its parent first: ends
and waits of both take turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agentnb.core.errors import UsageError
from agentnb.core.workflow.creating import insert_children
from agentnb.core.workflow.outbox import note
from agentnb.core.workflow.parking import WaitState, find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.workflow.claiming import TaskRef
    from agentnb.core.workflow.parking import Wait
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["ChildState", "Spawned", "enter", "look", "spawn"]

MOST_CHILDREN = 10_000
ENDED = ("completed", "failed", "cancelled", "skipped")
_ENDED = f"({', '.join(repr(state) for state in ENDED)})"
_FENCE = "id = :id and owner = :owner and entry = :entry and state = 'active'"
_WORKFLOW = "select state from {workflow} where id = :workflow {lock}"
_PARENT = f"select scope, max_parallel from {{task}} where {_FENCE} {{lock}}"
_KNOWN = """
select name, id, agent, data, parent from {task} where workflow_id = :workflow and name {in_names}
"""
_COUNT = "select count(*) from {task} where parent = :id"
_LAST = "select max(place) from {task} where workflow_id = :workflow"
_LOOK = "select id, name, agent, state, error from {task} where id {in_names}"
_LEFT_OVER = f"""
select count(*), sum(case when state <> 'completed' then 1 else 0 end) from {{task}}
where id {{in_names}} and state in {_ENDED}
"""
_SUBSCRIBE = """
insert into {task_wait} as w (task_id, name, scope, workflow_id, kind, state, question, what,
  remaining, strict, entry, created)
values (:id, :name, :scope, :workflow, 'tasks', 'open', '', :names, :remaining, :strict, :entry,
  {now})
on conflict (task_id, name) do update set state = 'open', what = excluded.what,
  remaining = excluded.remaining, strict = excluded.strict, entry = excluded.entry
"""


class ChildState(NamedTuple):
    """The state of a child."""

    id: str
    name: str
    agent: str
    state: str
    error: str | None

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.state in ENDED

    @property
    def failed(self) -> bool:
        """Whether it has ended, and is not completed."""
        return self.ended and self.state != "completed"


class Spawned(NamedTuple):
    """The children of some names, and how many new ones could run, by their agents.

    Those that were not made, since enough run already, are left out.
    """

    children: list[ChildState]
    ready: dict[str, int]


def spawn(
    tx: Transaction, ref: TaskRef, rows: Sequence[dict[str, Any]], at_once: int | None = None
) -> Spawned | None:
    """Make tasks as children of a task, those that are not there; None if the claim is lost.

    Parameters
    ----------
    rows
        The tasks, as `agentnb.core.workflow.creating` makes them.
    at_once
        How many of them have not ended at most; None for any number.

    Raises
    ------
    UsageError
        One is there with other data, or is no child of this task; there would be too many.
    """
    workflow = tx.row(_WORKFLOW, workflow=ref.workflow_id)
    held = tx.row(_PARENT, **ref.fence)
    if held is None or workflow is None:
        return None
    names = msgspec.json.encode([row["name"] for row in rows]).decode()
    found = tx.rows(_KNOWN, workflow=ref.workflow_id, names=names)
    known = {name: rest for name, *rest in found}
    for row in rows:
        if row["name"] in known:
            _check_same(ref, row, *known[row["name"]])
    new = [dict(row) for row in rows if row["name"] not in known]
    if at_once is not None:
        left = sum(not one.ended for one in look(tx, [number for _, number, *_ in found]))
        new = new[: max(at_once - left, 0)]
    scope, most = held
    if new:
        _check_number(ref, tx.rows(_COUNT, id=ref.id)[0][0] + len(new))
        first = int(tx.rows(_LAST, workflow=ref.workflow_id)[0][0]) + 1
        insert_children(tx, new, ref.workflow_id, scope, most, parent=ref.id, first=first)
        for row in new:
            if row["state"] == "approval":
                about = {"task_id": row["id"], "task": row["name"]}
                note(tx, scope, ref.workflow_id, "TASK_APPROVAL", **about)
    ids = {name: number for name, (number, *_) in known.items()}
    ids |= {row["name"]: row["id"] for row in new}
    made = {one.name: one for one in look(tx, list(ids.values()))}
    ready: dict[str, int] = {}
    for row in new:
        if row["state"] in {"waiting", "delayed"}:
            ready[row["agent"]] = ready.get(row["agent"], 0) + 1
    return Spawned([made[row["name"]] for row in rows if row["name"] in made], ready)


def _check_same(
    ref: TaskRef, row: dict[str, Any], number: str, agent: str, data: str, parent: str | None
) -> None:
    name = row["name"]
    if parent != ref.id:
        raise UsageError(
            f"the workflow has a task {name!r} that task {ref.name} has not spawned",
            service="workflow",
            hint=f'give it another name, such as Task("{ref.name}-{name}")',
        )
    if (agent, data) != (row["agent"], row["data"]):
        what = "other data" if agent == row["agent"] else f"another agent, {agent}"
        raise UsageError(
            f"child {name!r} ({number}) is there with {what}: its name should say what it is",
            service="workflow",
            hint="keep what children are made of in a step: ctx.step('plan', plan); "
            f"workflow.retry({ref.name!r}, from_step=STEP) makes those after it again",
        )


def _check_number(ref: TaskRef, number: int) -> None:
    if number > MOST_CHILDREN:
        raise UsageError(
            f"a task may have {MOST_CHILDREN:,} children, and {ref.name} would have {number:,}",
            service="workflow",
            hint="give each child more of the work, or let children spawn their own",
        )


def look(tx: Transaction, ids: Sequence[str]) -> list[ChildState]:
    """Return the states of some children, in any order."""
    if not ids:
        return []
    names = msgspec.json.encode(list(ids)).decode()
    return [ChildState(*row) for row in tx.rows(_LOOK, names=names)]


def enter(tx: Transaction, ref: TaskRef, wait: Wait) -> WaitState | None:
    """Open a wait for tasks, or find it; return its state, None if the claim is lost."""
    held = tx.row(_PARENT, **ref.fence)
    if held is None:
        return None
    ids = wait.what or "[]"
    number, bad = tx.rows(_LEFT_OVER, names=ids)[0]
    remaining = (wait.remaining or 0) - number
    over = remaining <= 0 or (wait.strict and bool(bad))
    if not over:
        tx.run(
            _SUBSCRIBE,
            id=ref.id,
            name=wait.name,
            scope=held[0],
            workflow=ref.workflow_id,
            names=ids,
            remaining=remaining,
            strict=int(wait.strict),
            entry=ref.entry,
        )
    now, kept = tx.now(), find(tx, ref.id, wait.name)
    began, ended = (now, now) if kept is None else (kept.created, kept.ended or now)
    return WaitState("tasks", "done" if over else "open", "", None, None, began, None, ended)
