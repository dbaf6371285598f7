"""Tables of workflows and of their events."""

from __future__ import annotations

import datetime as dt
import shlex
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.format import duration
from agentnb.core.hints import rendered
from agentnb.core.moments import moment_of
from agentnb.core.table import Table
from agentnb.core.workflow.forms import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentnb.core.workflow.info import AgentInfo
    from agentnb.core.workflow.workflow import Workflow

__all__ = ["agent_table", "event_table", "wait_table", "why_parked", "workflow_table"]

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
        told = {word: _text(value) for word, value in rest.items() if value is not None}
        words = ", ".join(f"{word} {text}" for word, text in told.items())
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


def _text(value: Any) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)


def wait_table(rows: Sequence[tuple[Any, ...]], *, alone: bool) -> Table:
    """Return open waits as a table; without their workflow if it is alone."""
    found = []
    for workflow, task, name, kind, question, form, addressee, due, since, error in rows:
        asked = f"{question} ({error})" if error else question
        schema = None if form is None else msgspec.json.decode(form)
        row = (task, name, kind, asked, schema, addressee, moment_of(due), moment_of(since))
        found.append(row if alone else (workflow, *row))
    columns = ["task", "name", "kind", "question", "form", "to", "due", "since"]
    columns = columns if alone else ["workflow", *columns]
    return Table(columns, found, empty="no task waits for an answer, a time, an event or tasks")


def why_parked(workflow: str, rows: Sequence[tuple[Any, ...]]) -> str:
    """Return what the parked tasks of a workflow wait for, by its open waits; empty for nothing.

    A question comes first: somebody can answer it.
    """
    kinds = ("ask", "event", "sleep")
    found = sorted((row for row in rows if row[3] in kinds), key=lambda row: kinds.index(row[3]))
    if not found:
        return ""
    _, task, name, kind, question, _, addressee, due, *_ = found[0]
    until = "" if due is None else f" until {moment_of(due):%Y-%m-%d %H:%M:%S} UTC"
    if kind == "ask":
        whom = f"{one_line(addressee)}: " if addressee else ""
        return rendered(
            f"task {task} waits for {whom}{one_line(question or name)}{until}; "
            f"workflow.answer({task!r}, {name!r}, VALUE) "
            f"(%workflow answer {workflow} {task} {shlex.quote(name)} VALUE)"
        )
    what = f"event {name}" if kind == "event" else "a time"
    return f"task {task} waits for {what}{until}"


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
                states.get("parked", 0),
                one.created,
                one.error or "",
            )
        )
    columns = ("id", "name", "state", "tasks", "active", "approval", "parked", "created", "error")
    return Table(
        columns,
        rows,
        empty="no workflow yet: hub.workflows.create(NAME, tasks=[...]) (%%workflow NAME, "
        "with a task a line)",
    )
