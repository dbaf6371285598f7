"""Tables of workflows and of their events."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.format import duration
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentnb.core.workflow.info import AgentInfo
    from agentnb.core.workflow.workflow import Workflow

__all__ = ["agent_table", "event_table", "workflow_table"]

_ENDED = ("completed", "failed", "cancelled", "skipped")
_KNOWN = {"workflow_id", "task", "agent_id", "status"}


def agent_table(agents: Sequence[AgentInfo]) -> Table:
    """Return agents as a table: who would work as them, and since when."""
    columns = ("agent", "capabilities", "state", "workers", "heartbeat", "module")
    rows = [
        (
            one.name,
            ", ".join(one.capabilities),
            one.state,
            one.workers,
            one.heartbeat,
            one.module,
        )
        for one in agents
    ]
    return Table(columns, rows, empty='no agents yet: @hub.workflows.agent("NAME") (%%agent NAME)')


def event_table(rows: Sequence[tuple[Any, ...]]) -> Table:
    """Return events as a table: time, event, task, agent, status, what else is known."""
    found = []
    for created, kind, data, number, published, workflow in rows:
        known: dict[str, Any] = msgspec.json.decode(data)
        rest = {word: value for word, value in known.items() if word not in _KNOWN}
        rest.pop("task_id", None)
        if isinstance(milliseconds := rest.pop("ms", None), int | float):
            rest["ran"] = duration(milliseconds / 1000)
        words = ", ".join(f"{word} {value}" for word, value in rest.items() if value is not None)
        found.append(
            (
                dt.datetime.fromtimestamp(created, dt.UTC),
                workflow,
                kind,
                known.get("task", ""),
                known.get("agent_id", ""),
                known.get("status", ""),
                words,
                "yes" if published is not None else "not yet",
                number,
            )
        )
    columns = ("time", "workflow", "event", "task", "agent", "status", "more", "published", "id")
    return Table(columns, found, empty="nothing has happened yet")


def workflow_table(workflows: Sequence[Workflow], counts: Mapping[str, Mapping[str, int]]) -> Table:
    """Return workflows as a table, with how many of their tasks have ended."""
    rows = []
    for one in workflows:
        states = counts.get(one.id, {})
        ended = sum(states.get(state, 0) for state in _ENDED)
        rows.append(
            (
                one.id,
                one.name,
                one.standing,
                f"{ended}/{sum(states.values())}",
                states.get("active", 0),
                states.get("approval", 0),
                one.created,
                one.error or "",
            )
        )
    columns = ("id", "name", "state", "tasks", "active", "approval", "created", "error")
    return Table(
        columns,
        rows,
        empty="no workflow yet: hub.workflows.create(NAME, tasks=[...]) (%%workflow NAME, "
        "with a task a line)",
    )
