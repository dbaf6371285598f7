"""Workflows that outlive a crash: the database is the truth, everything else a doorbell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentnb.core.workflow.agents import agent
    from agentnb.core.workflow.context import Context, current_context
    from agentnb.core.workflow.errors import TaskFailed
    from agentnb.core.workflow.info import AgentInfo, TaskInfo
    from agentnb.core.workflow.orchestrator import Orchestrator
    from agentnb.core.workflow.parking import Parked
    from agentnb.core.workflow.spec import Task
    from agentnb.core.workflow.streams import Chunk, StreamText
    from agentnb.core.workflow.worker import Worker
    from agentnb.core.workflow.workflow import Workflow

__all__ = [
    "AgentInfo",
    "Chunk",
    "Context",
    "Orchestrator",
    "Parked",
    "StreamText",
    "Task",
    "TaskFailed",
    "TaskInfo",
    "Worker",
    "Workflow",
    "agent",
    "current_context",
]

_MODULES = {
    "AgentInfo": "info",
    "Chunk": "streams",
    "Context": "context",
    "Orchestrator": "orchestrator",
    "Parked": "parking",
    "StreamText": "streams",
    "Task": "spec",
    "TaskFailed": "errors",
    "TaskInfo": "info",
    "Worker": "worker",
    "Workflow": "workflow",
    "agent": "agents",
    "current_context": "context",
}


if not TYPE_CHECKING:  # else a checker would find no name that is misspelt

    def __getattr__(name: str) -> Any:
        # Imported on first use: SQLAlchemy's models are not needed to mark an agent.
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value
