"""The names that Tab offers behind ``%workflow``: of workflows, and of their tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.workflow.info import TASK_STATES
from agentnb.magics.grammar import is_word

if TYPE_CHECKING:
    from agentnb.core.workflow import Orchestrator
    from agentnb.core.workflow.info import TaskState, WorkflowState

__all__ = ["names_of"]

_NEWEST = 50
_STATES: dict[str, WorkflowState] = {**dict.fromkeys(("open", "asking", "paused"), "active")}
_ENDED: set[TaskState] = {"completed", "failed", "cancelled", "skipped"}
_TASKS: dict[str, set[TaskState]] = {
    "task": set(TASK_STATES),
    "approval": {"approval"},
    "failed": {"failed", "cancelled"},
    "unended": set(TASK_STATES) - _ENDED,
}
_WAITS = ("waiting", "asked", "asking task", "question")
_STEPS_OF = 20  # tasks whose steps are looked for


def names_of(workflows: Orchestrator, kind: str) -> list[str]:
    """Return names of a kind from the newest workflows.

    Parameters
    ----------
    workflows
        The hub's.
    kind
        For tasks ``"task"``, ``"approval"``, ``"failed"`` or ``"unended"``; ``"step"`` and
        ``"stream"`` for the steps and the streams of the newest, ``"asking task"`` and
        ``"question"`` for open questions; for workflows ``"waiting"``, ``"asked"`` (a question),
        ``"workflow"``,
        ``"open"``, ``"asking"`` (a person), ``"paused"`` or ``"ended"`` (badly).
    """
    if kind in _WAITS:
        return _of_waits(workflows, kind)
    found = workflows.list(_STATES.get(kind), _NEWEST)
    if kind in _TASKS:
        wanted = _TASKS[kind]
        tasks = [task for one in found for task in one.tasks]
        return list(dict.fromkeys(t.name for t in tasks if t.state in wanted))
    if kind == "step":
        newest = [task for one in found for task in one.tasks if task.attempt][:_STEPS_OF]
        steps = dict.fromkeys(step for one in newest for step in workflows._reader.steps(one.id))  # noqa: SLF001 - for Tab
        return [step for step in steps if is_word(step)]
    if kind == "stream":
        begun = [(one, task.id) for one in found for task in one.tasks if task.attempt]
        tables = [one.streams(task) for one, task in begun[:_STEPS_OF]]
        streams = dict.fromkeys(row[0] for table in tables for row in table)
        return [name for name in streams if is_word(name)]
    if kind == "asking":
        found = [one for one in found if any(t.state == "approval" for t in one.tasks)]
    elif kind == "paused":
        found = [one for one in found if one.paused]
    elif kind == "ended":
        found = [one for one in found if one.state in {"failed", "cancelled"}]
    names = dict.fromkeys(one.name for one in found)
    return [*(name for name in names if is_word(name)), *(one.id for one in found)]


def _of_waits(workflows: Orchestrator, kind: str) -> list[str]:
    """Return the workflows, tasks or names of open waits."""
    rows = [row for row in workflows.waits() if kind == "waiting" or row.kind == "ask"]
    if kind == "asking task":
        return list(dict.fromkeys(row.task for row in rows))
    if kind == "question":
        return [name for name in dict.fromkeys(row.name for row in rows) if is_word(name)]
    ids = dict.fromkeys(row.workflow for row in rows)
    names = dict.fromkeys(workflows.get(number).name for number in list(ids)[:_STEPS_OF])
    return [*(name for name in names if is_word(name)), *ids]
