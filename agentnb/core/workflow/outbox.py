"""Events are written in the transaction of what they tell of; they are published after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.workflow.ids import new_id

if TYPE_CHECKING:
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["CHANNELS", "EVENT", "NOTE", "event_values", "note"]

CHANNELS = {
    "WORKFLOW_CREATED": "workflow.created",
    "WORKFLOW_COMPLETED": "workflow.completed",
    "WORKFLOW_FAILED": "workflow.failed",
    "WORKFLOW_CANCELLED": "workflow.cancelled",
    "WORKFLOW_RETRIED": "workflow.retried",
    "WORKFLOW_PAUSED": "workflow.paused",
    "WORKFLOW_RESUMED": "workflow.resumed",
    "TASK_STARTED": "workflow.task.started",
    "TASK_COMPLETED": "agent.task.completed",
    "TASK_FAILED": "agent.task.completed",
    "TASK_CANCELLED": "agent.task.completed",
    "TASK_REJECTED": "agent.task.completed",
    "TASK_RETRIED": "workflow.task.retried",
    "TASK_CHANGED": "workflow.task.changed",
    "TASK_PARKED": "workflow.task.parked",
    "TASK_RESUMED": "workflow.task.resumed",
    "TASK_APPROVAL": "workflow.task.approval",
    "TASK_APPROVED": "workflow.task.approved",
}
"""The channel of each type of event; one channel tells of the end of a task, however it ended."""

EVENT = "insert into {event} (id, scope, workflow_id, type, channel, data, created, taken)"
"""The beginning of the statement that writes an event."""
NOTE = f"""
{EVENT} values
  (:event_id, :scope, :workflow, :event_type, :event_channel, :event_data, {{now}}, 0)
"""
"""The statement that writes an event of `event_values`."""


def event_values(kind: str, workflow_id: str, **data: Any) -> dict[str, Any]:
    """Return the values of an event, for a statement that begins with `EVENT`."""
    return {
        "event_id": new_id(),
        "event_type": kind,
        "event_channel": CHANNELS[kind],
        "event_data": msgspec.json.encode({"workflow_id": workflow_id, **data}).decode(),
    }


def note(tx: Transaction, scope: str, workflow_id: str, kind: str, **data: Any) -> None:
    """Write an event into the outbox, in a transaction."""
    values = event_values(kind, workflow_id, **data)
    tx.run(NOTE, scope=scope, workflow=workflow_id, **values)
