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
_STEPS_OF = 20  # tasks whose steps are looked for


def names_of(workflows: Orchestrator, kind: str) -> list[str]:
    """Return names of a kind from the newest workflows.

    Parameters
    ----------
    workflows
        The hub's.
    kind
        For tasks ``"task"``, ``"approval"``, ``"failed"`` or ``"unended"``; ``"step"`` for the
        steps of the newest; for workflows ``"workflow"``,
        ``"open"``, ``"asking"`` (a person), ``"paused"`` or ``"ended"`` (badly).
    """
    found = workflows.list(_STATES.get(kind), _NEWEST)
    if kind in _TASKS:
        wanted = _TASKS[kind]
        tasks = [task for one in found for task in one.tasks]
        return list(dict.fromkeys(t.name for t in tasks if t.state in wanted))
    if kind == "step":
        newest = [task for one in found for task in one.tasks if task.attempt][:_STEPS_OF]
        steps = dict.fromkeys(step for one in newest for step in workflows._reader.steps(one.id))  # noqa: SLF001 - for Tab
        return [step for step in steps if is_word(step)]
    if kind == "asking":
        found = [one for one in found if any(t.state == "approval" for t in one.tasks)]
    elif kind == "paused":
        found = [one for one in found if one.paused]
    elif kind == "ended":
        found = [one for one in found if one.state in {"failed", "cancelled"}]
    names = dict.fromkeys(one.name for one in found)
    return [*(name for name in names if is_word(name)), *(one.id for one in found)]
