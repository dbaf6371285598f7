"""A workflow is made, with its tasks and the event of it, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import UsageError
from agentnb.core.ranges import whole
from agentnb.core.trace import current
from agentnb.core.workflow.errors import UnfitTask
from agentnb.core.workflow.graph import frees_of
from agentnb.core.workflow.ids import new_id
from agentnb.core.workflow.link import plain
from agentnb.core.workflow.outbox import note
from agentnb.core.workflow.spec import Task, check_words, shown, task_of, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.base import Base
    from agentnb.core.workflow.link import Turn

__all__ = ["create"]

_MOST_TASKS = 10_000
_LONGEST_KEY = 500
_PATIENCE = 60.0  # seconds for thousands of tasks on a server that is far away

_BY_KEY = "select id, name from {workflow} where scope = :scope and key = :key"
_WORKFLOW = """
insert into {workflow} (id, scope, name, key, state, data, max_parallel, pending, created,
  traceparent, correlation_id)
values (:id, :scope, :name, :key, 'active', :data, :max_parallel, :pending, {now},
  :traceparent, :correlation_id)
on conflict (scope, key) do nothing returning id
"""
_TASK = """
insert into {task} (id, workflow_id, place, scope, name, agent, state, needs, frees, missing, data,
  attempt, attempts, priority, delay, timeout, backoff, max_parallel, approval, cancel, message,
  created, due, ready_at)
values (:id, :workflow_id, :place, :scope, :name, :agent, :state, :needs, :frees, :missing, :data,
  0, :attempts, :priority, :delay, :timeout, :backoff, :max_parallel, :approval, 0, '',
  {now}, :due, :ready_at)
"""


def create(
    orchestrator: Base,
    name: str,
    tasks: Iterable[Task | Mapping[str, Any]],
    *,
    key: str | None,
    max_parallel: int | None,
    data: Any,
    correlation_id: str | None,
) -> tuple[str, dict[str, int]]:
    """Make a workflow, or find the one of its key.

    Returns
    -------
    tuple
        Its id, and how many tasks could run at once, by their agents.
    """
    name = check_name_of_workflow(name)
    _check_key(key)
    if max_parallel is not None:
        max_parallel = whole("max_parallel", max_parallel, service="workflow", most=100_000)
    if correlation_id is not None:
        correlation_id = plain(text("correlation_id", correlation_id))
    wanted = _wanted(tasks)
    frees = frees_of(wanted)
    scope, link = orchestrator.scope, orchestrator.link
    with link.read() as turn:
        if key is not None and (row := turn.row(_BY_KEY, scope=scope, key=key)):
            if row[1] != name:
                said = "this key is workflow %s (%s) already: nothing was made for %s"
                orchestrator.tell(said, row[1], row[0], name, level=logging.WARNING)
            return str(row[0]), {}
        agents = _agents(orchestrator, turn, wanted)
    made = _rows(orchestrator, wanted, agents, frees)
    here = current()
    number = new_id()
    words = {
        "id": number,
        "scope": scope,
        "name": name,
        "key": key,
        "data": orchestrator.json.encode(data).decode(),
        "max_parallel": max_parallel,
        "pending": len(made),
        "traceparent": here.traceparent if here else None,
        "correlation_id": correlation_id
        if correlation_id is not None or here is None
        else here.correlation_id,
    }
    with link.write(_PATIENCE) as turn:
        if turn.row(_WORKFLOW, **words) is None:
            row = turn.row(_BY_KEY, scope=scope, key=key)
            return str(row[0]) if row else number, {}
        orchestrator.registry.write(turn, {task.agent for task in wanted} & agents.keys())
        _insert(turn, made, words)
        note(turn, scope, number, "WORKFLOW_CREATED", name=name, tasks=len(made))
        for one in made:
            if one["state"] == "approval":
                note(turn, scope, number, "TASK_APPROVAL", task_id=one["id"], task=one["name"])
    ready: dict[str, int] = {}
    for one in made:
        if one["state"] in {"waiting", "delayed"}:
            ready[one["agent"]] = ready.get(one["agent"], 0) + 1
    return number, ready


def _check_key(key: Any) -> None:
    good = isinstance(key, str) and key.isprintable() and key[:_LONGEST_KEY] == key != ""
    if key is not None and not good:
        raise UsageError(
            f"key cannot be {shown(key)}",
            service="workflow",
            hint=f"text that names the work, of at most {_LONGEST_KEY} characters",
        )


def check_name_of_workflow(name: Any) -> str:
    """Return a workflow's name, if it can be one: words in one line."""
    return check_words(name, "a workflow", "new app")


def _wanted(tasks: Iterable[Task | Mapping[str, Any]]) -> list[Task]:
    if not isinstance(tasks, Iterable):
        raise UsageError(
            f"tasks is a list of them, not a {type(tasks).__name__}", service="workflow"
        )
    # There may be no end of them.
    wanted = [task_of(one) for one in islice(tasks, _MOST_TASKS + 1)]
    if not 0 < len(wanted) <= _MOST_TASKS:
        raise UsageError(
            f"a workflow has 1 to {_MOST_TASKS:,} tasks: here are {'more' if wanted else 'none'}",
            service="workflow",
            hint='create(name, [Task("plan"), Task("api", needs=["plan"])])',
        )
    return wanted


def _agents(orchestrator: Base, turn: Turn, wanted: list[Task]) -> dict[str, Agent]:
    found: dict[str, Agent] = {}
    for place, task in enumerate(wanted):
        if task.agent not in found:
            with _of_task(place, task):
                found[task.agent] = orchestrator.registry.options(turn, task.agent)
    return found


@contextmanager
def _of_task(place: int, task: Task) -> Iterator[None]:
    """Say of which task it is that something is wrong with."""
    try:
        yield
    except UsageError as error:
        raise UnfitTask(
            f"task {task.name}: {error.message}", hint=error.hint, place=place
        ) from error


def _rows(
    orchestrator: Base, wanted: list[Task], agents: dict[str, Agent], frees: list[list[int]]
) -> list[dict[str, Any]]:
    rows = []
    for place, task in enumerate(wanted):
        with _of_task(place, task):
            rows.append(_row(orchestrator, task, agents[task.agent], frees[place]))
    return rows


def _row(orchestrator: Base, task: Task, agent: Agent, frees: list[int]) -> dict[str, Any]:
    data = orchestrator.json.encode(task.data, agent.schema)
    retries = agent.retries if task.retries is None else task.retries
    return {
        "name": task.name,
        "agent": task.agent,
        "needs": msgspec.json.encode(task.needs).decode(),
        "frees": msgspec.json.encode(frees).decode() if frees else None,
        "missing": len(task.needs),
        "data": data.decode(),
        "attempts": retries + 1,
        "priority": task.priority,
        "delay": float(task.delay),
        "timeout": agent.timeout if task.timeout is None else float(task.timeout),
        "backoff": agent.backoff,
        "approval": int(task.approval),
    }


def _insert(turn: Turn, made: list[dict[str, Any]], workflow: dict[str, Any]) -> None:
    now = turn.now()
    for place, row in enumerate(made):
        state, due = "blocked", None
        if not row["missing"]:
            state = "approval" if row["approval"] else "delayed" if row["delay"] else "waiting"
            due = None if row["approval"] else now + row["delay"]
        row |= {
            "id": f"{workflow['id']}-{place + 1}",
            "workflow_id": workflow["id"],
            "place": place,
            "scope": workflow["scope"],
            "state": state,
            "due": due,
            "ready_at": now if state == "waiting" else None,
            "max_parallel": workflow["max_parallel"],
        }
    turn.many(_TASK, made)
