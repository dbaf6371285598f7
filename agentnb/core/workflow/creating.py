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
from agentnb.core.workflow.keys import Input, check_key, find, record
from agentnb.core.workflow.link import plain
from agentnb.core.workflow.outbox import note
from agentnb.core.workflow.spec import Task, check_words, task_of, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.base import Base
    from agentnb.core.workflow.keys import Record
    from agentnb.core.workflow.link import Turn

__all__ = ["create"]

_MOST_TASKS = 10_000
_PATIENCE = 60.0  # seconds for thousands of tasks on a server that is far away

_WORKFLOW = """
insert into {workflow} (id, scope, name, key, state, data, max_parallel, pending, created,
  traceparent, correlation_id)
values (:id, :scope, :name, :key, 'active', :data, :max_parallel, :pending, {now},
  :traceparent, :correlation_id)
"""
_TASK = """
insert into {task} (id, workflow_id, place, scope, name, agent, state, needs, frees, missing, data,
  attempt, attempts, entry, deaths, own_attempts, own_timeout, priority, delay,
  timeout, backoff, max_parallel, approval, cancel, message,
  created, due, ready_at)
values (:id, :workflow_id, :place, :scope, :name, :agent, :state, :needs, :frees, :missing, :data,
  0, :attempts, 0, 0, :own_attempts, :own_timeout, :priority, :delay,
  :timeout, :backoff, :max_parallel, :approval, 0, '',
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
    check_key(key)
    if max_parallel is not None:
        max_parallel = whole("max_parallel", max_parallel, service="workflow", most=100_000)
    if correlation_id is not None:
        correlation_id = plain(text("correlation_id", correlation_id))
    wanted = _wanted(tasks)
    frees = frees_of(wanted)
    scope, link, ttl = orchestrator.scope, orchestrator.link, orchestrator.key_ttl
    data = orchestrator.json.encode(data).decode()
    asked = None if key is None else _input(orchestrator, name, data, max_parallel, wanted)
    with link.read() as turn:
        if key is not None and (known := find(turn, scope, key, ttl)):
            return _made_before(orchestrator, turn, key, known, asked), {}
        agents = _agents(orchestrator, turn, wanted)
    made = _rows(orchestrator, wanted, agents, frees)
    here = current()
    number = new_id()
    words = {
        "id": number,
        "scope": scope,
        "name": name,
        "key": key,
        "data": data,
        "max_parallel": max_parallel,
        "pending": len(made),
        "traceparent": here.traceparent if here else None,
        "correlation_id": correlation_id
        if correlation_id is not None or here is None
        else here.correlation_id,
    }
    with link.write(_PATIENCE) as turn:
        if key is not None and asked is not None:
            known = record(turn, scope, key, number, asked.digest, ttl=ttl)
            if known is not None:
                return _made_before(orchestrator, turn, key, known, asked), {}
        turn.run(_WORKFLOW, **words)
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


def _input(
    orchestrator: Base, name: str, data: str, max_parallel: int | None, wanted: list[Task]
) -> Input:
    """Return the input of a workflow as it is compared with that of an earlier one."""
    tasks = []
    for place, task in enumerate(wanted):
        with _of_task(place, task):
            values = orchestrator.json.encode(task.data).decode()
        tasks.append(
            (
                *(task.name, task.agent, values, msgspec.json.encode(task.needs).decode()),
                *(task.priority, float(task.delay), int(task.approval)),
                None if task.retries is None else task.retries + 1,
                None if task.timeout is None else float(task.timeout),
            )
        )
    return Input(name, data, max_parallel, tasks)


def _made_before(
    orchestrator: Base, turn: Turn, key: str, known: Record, asked: Input | None
) -> str:
    """Return the id of the workflow that was made with a key, if it was made from this input."""
    if asked is not None:
        known.check(turn, key, asked)
    if known.state in {"failed", "cancelled"}:
        orchestrator.tell(
            "key %s is workflow %s (%s), which %s: nothing was made; retry() runs it again",
            *(key, known.name, known.workflow),
            "failed" if known.state == "failed" else "was cancelled",
            level=logging.WARNING,
        )
    return known.workflow


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
        "own_attempts": int(task.retries is not None),
        "own_timeout": int(task.timeout is not None),
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
