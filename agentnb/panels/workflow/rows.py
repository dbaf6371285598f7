"""Workflows, tasks, events and agents as the rows of their tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentnb.core.format import short, time_left, time_of_day
from agentnb.core.moments import seconds_between
from agentnb.core.table import Column, names_of
from agentnb.core.workflow.drawing import SIGNS, TONES, signed
from agentnb.core.workflow.forms import waits_by_task
from agentnb.panels.base import Indicator, progress, stacked, state
from agentnb.panels.base.saved import absolute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentnb.core.workflow import AgentInfo, TaskInfo, Workflow
    from agentnb.core.workflow.agent_limits import AgentLimit
    from agentnb.core.workflow.forms import OpenWait

__all__ = [
    "AGENT_COLUMNS",
    "EVENT_COLUMNS",
    "TASK_COLUMNS",
    "WORKFLOW_COLUMNS",
    "agent_row",
    "event_row",
    "task_rows",
    "took",
    "workflow_row",
]

WORKFLOW_COLUMNS: Final = (
    *("workflow", "state", "tasks"),
    Column("took", "duration"),
    *("created", "id"),
)
TASK_COLUMNS: Final = (
    *("task", "state", "progress", "agent", "attempt"),
    Column("took", "duration"),
    "outcome",
)
EVENT_COLUMNS: Final = ("time", "event", "task", "details", "id")
AGENT_COLUMNS: Final = ("agent", "state", "workers", "capabilities", "defined in")
_AGENT_TONES: Final = {"working": "brand", "idle": "good"}
_BESIDE: Final = ("agent", "attempt", "took")  # the detail has them
_SHORT = 300


def workflow_row(
    workflow: Workflow, counts: Mapping[str, int], now: float, waited: float
) -> tuple[object, ...]:
    """Return a workflow as a row; the time in which it waited for a person is left out."""
    return (
        workflow.name,
        _state(workflow.standing),
        stacked((name, counts.get(name, 0), TONES[name]) for name in SIGNS),
        max(seconds_between(workflow.created, workflow.finished or now) - waited, 0.0),
        _moment(workflow.created.timestamp()),
        workflow.id,
    )


def task_rows(
    tasks: Sequence[TaskInfo],
    now: float,
    limits: Sequence[AgentLimit] = (),
    waits: Sequence[OpenWait] = (),
    *,
    beside: bool,
) -> tuple[tuple[str | Column, ...], list[tuple[object, ...]]]:
    """Return the columns of tasks and their rows.

    Parameters
    ----------
    tasks
        The tasks.
    now
        The time, in seconds since the epoch.
    limits
        The limits of agents, which keep tasks waiting.
    waits
        The open waits of tasks.
    beside
        Whether one of them is shown whole beside the table, which then has less room.
    """
    reasons = {one.agent: one.reason for one in limits}
    parked = waits_by_task(waits)
    rows: list[tuple[object, ...]] = [
        (
            task.name,
            _state(task.standing),
            _progress(task),
            task.agent,
            f"{task.attempt} of {task.attempts}" if task.attempt else "",
            took(task, now),
            parked.get(task.name, "")
            if task.state == "parked"
            else _outcome(task) or (reasons.get(task.agent, "") if task.state == "waiting" else ""),
        )
        for task in tasks
    ]
    if not beside:
        return TASK_COLUMNS, rows
    kept = [at for at, name in enumerate(names_of(TASK_COLUMNS)[0]) if name not in _BESIDE]
    return tuple(TASK_COLUMNS[at] for at in kept), [tuple(row[at] for at in kept) for row in rows]


def _state(word: str) -> Indicator:
    """Return a state, whose sign has its colour."""
    return Indicator(signed(word), TONES.get(word, ""))


def event_row(event: Any) -> tuple[object, ...]:
    """Return a row of the table of events as one of the panel's."""
    return (
        _moment(event.time.timestamp()),
        event.event,
        event.task or "",
        ", ".join(part for part in (event.status, event.more) if part),
        event.id,
    )


def agent_row(agent: AgentInfo, now: float) -> tuple[object, ...]:
    """Return an agent as a row."""
    snapshot = agent.heartbeat.timestamp() if agent.heartbeat else None
    return (
        agent.name,
        state(agent.state, _AGENT_TONES.get(agent.state, "warn")),
        Indicator(
            str(agent.workers)
            + ("" if snapshot is None else f" · {time_left(max(now - snapshot, 0.0))} ago"),
            order=agent.workers,
            saved="" if snapshot is None else f"{agent.workers} · {absolute(snapshot)}",
        ),
        ", ".join(agent.capabilities),
        agent.module,
    )


def _progress(task: TaskInfo) -> object:
    if task.state == "active" and task.progress is not None:
        return progress(task.progress * 100)
    return progress(100, tone="good", text="") if task.state == "completed" else Indicator("")


def took(task: TaskInfo, now: float) -> float | None:
    """Return the seconds that a task took, or has taken so far."""
    if task.started is None:
        return None
    end = task.finished or (now if task.state == "active" else None)
    return None if end is None else max(seconds_between(task.started, end), 0.0)


def _outcome(task: TaskInfo) -> str:
    if task.state == "active":
        return task.message
    if task.error:
        return task.error
    if task.state == "completed":
        return str(task.unkept or "") or short(task.result, _SHORT)
    return f"needs {', '.join(task.needs)}" if task.state == "blocked" and task.needs else ""


def _moment(when: float) -> Indicator:
    return Indicator(time_of_day(when), order=when, saved=absolute(when))
