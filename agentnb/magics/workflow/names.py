"""The names that Tab offers behind ``%workflow``: of workflows, and of their tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.magics.grammar import is_word

if TYPE_CHECKING:
    from agentnb.core.workflow import Orchestrator
    from agentnb.core.workflow.info import WorkflowState

__all__ = ["names_of"]

_NEWEST = 50
_STATES: dict[str, WorkflowState] = {**dict.fromkeys(("open", "asking", "paused"), "active")}
_TASKS = {"task": set(), "approval": {"approval"}, "failed": {"failed", "cancelled"}}


def names_of(workflows: Orchestrator, kind: str) -> list[str]:
    """Return names of a kind from the newest workflows.

    Parameters
    ----------
    workflows
        The hub's.
    kind
        For tasks ``"task"``, ``"approval"`` or ``"failed"``; for workflows ``"workflow"``,
        ``"open"``, ``"asking"`` (a person), ``"paused"`` or ``"ended"`` (badly).
    """
    found = workflows.list(_STATES.get(kind), _NEWEST)
    if kind in _TASKS:
        wanted = _TASKS[kind]
        tasks = [task for one in found for task in one.tasks]
        return list(dict.fromkeys(t.name for t in tasks if not wanted or t.state in wanted))
    if kind == "asking":
        found = [one for one in found if any(t.state == "approval" for t in one.tasks)]
    elif kind == "paused":
        found = [one for one in found if one.paused]
    elif kind == "ended":
        found = [one for one in found if one.state in {"failed", "cancelled"}]
    names = dict.fromkeys(one.name for one in found)
    return [*(name for name in names if is_word(name)), *(one.id for one in found)]
