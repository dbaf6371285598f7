"""Tasks on a tape: what a replay needs to run the agent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.codec import decode
from agentnb.core.tape.units import function_name, trace_of

if TYPE_CHECKING:
    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.execution import TaskExecution

__all__ = ["described"]


def described(execution: TaskExecution, agent: Agent) -> dict[str, Any]:
    """Return a task as the unit of a tape, with the steps that were done before this entry."""
    task, reader = execution.task, execution.around.reader
    began = None if task.started is None else task.started.timestamp()
    row = reader.row(task.workflow_id)
    rows = reader.results(task.workflow_id, task.needs) if task.needs else []
    return {
        "kind": "task",
        "id": task.id,
        "workflow": task.workflow_id,
        "workflow_name": row[1],
        "task": task.name,
        "agent": task.agent,
        "attempt": task.attempt,
        "attempts": task.attempts,
        "data": task.data,
        "inputs": {name: decode(result) for name, _, result, unkept in rows if unkept is None},
        "steps": reader.steps(task.id, before=began),
        "answers": reader.answers(task.id),
        "workflow_data": decode(row[4]),
        "function": function_name(agent.target),
        "trace_id": trace_of(execution.claimed.context),
    }
