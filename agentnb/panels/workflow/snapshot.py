"""A snapshot of the workflows: a bounded number of rows, however many there are."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import NotFoundError
from agentnb.core.workflow.streams import joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentnb.core.work.schedules.schedule import ScheduleInfo
    from agentnb.core.workflow import AgentInfo, Orchestrator, TaskInfo, Workflow
    from agentnb.core.workflow.agent_limits import AgentLimit
    from agentnb.core.workflow.forms import OpenWait

__all__ = ["LISTED", "Snapshot", "Waits", "streamed", "take_snapshot"]

LISTED: Final = 50
EVENTS: Final = 100
TAIL: Final = 4000
"""Characters that are read of the end of a stream."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that was snapshot at once.

    Attributes
    ----------
    workflows
        The newest, with how many of their tasks are in each state.
    chosen
        The workflow that is shown; None where there is none.
    tasks, events, why
        Of that one; `why` it does not move, or empty.
    picked, log, stream
        The name of the task that is picked, what it has logged, and the end of what it streams.
    agents
        All of them.
    waited
        Seconds in which workflows did nothing but wait for a person, by their ids.
    limits
        The limits of agents.
    schedules
        All of them.
    waits
        The open waits of the workflow that is shown.
    """

    requested: str | None
    workflows: Sequence[tuple[Workflow, Mapping[str, int]]] = ()
    chosen: Workflow | None = None
    tasks: list[TaskInfo] = field(default_factory=list)
    why: str = ""
    events: list[Any] = field(default_factory=list)
    picked: str | None = None
    log: list[str] = field(default_factory=list)
    stream: str = ""
    agents: list[AgentInfo] = field(default_factory=list)
    waited: Mapping[str, float] = field(default_factory=dict)
    now: float = field(default_factory=time.time)
    limits: Sequence[AgentLimit] = ()
    schedules: Sequence[ScheduleInfo] = ()
    waits: Sequence[OpenWait] = ()


class Waits:
    """Seconds in which workflows only waited for a person; of those that ended kept."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}

    def of(self, workflows: Orchestrator, found: Sequence[Workflow]) -> dict[str, float]:
        """Return the seconds by the ids of the workflows."""
        asked = [one for one in found if not one.finished or one.id not in self._known]
        new = workflows.waited(asked)
        seconds = {one.id: new.get(one.id, self._known.get(one.id, 0.0)) for one in found}
        self._known = {one.id: seconds[one.id] for one in found if one.finished}
        return seconds


def take_snapshot(
    workflows: Orchestrator, requested: str | None, picked: str | None = None, *, waits: Waits
) -> Snapshot:
    """Return a snapshot of the workflows.

    Parameters
    ----------
    workflows
        The orchestrator.
    requested
        The id of the workflow that is shown; None for the newest that has not ended, or else the
        newest.
    picked
        The name of the task that is shown whole.
    waits
        Remembers how long each waited for a person.
    """
    now = time.time()
    found = list(workflows.list(None, LISTED))
    counts = workflows.counts(found)
    chosen = _chosen(workflows, found, requested)
    snapshot = [(one, counts.get(one.id, {})) for one in found]
    if chosen is None:
        agents, schedules = workflows.agent_infos(), workflows.schedule_infos()
        return Snapshot(requested, snapshot, agents=agents, now=now, schedules=schedules)
    why = chosen.why_waiting() if chosen.state == "active" else ""
    tasks = chosen.tasks
    task = next((one for one in tasks if one.name == picked), None)
    return Snapshot(
        requested,
        snapshot,
        chosen,
        tasks,
        why,
        list(chosen.events(EVENTS)),
        picked,
        [] if task is None else chosen.logs(task.name),
        "" if task is None else streamed(chosen, task),
        workflows.agent_infos(),
        waits.of(workflows, [*found, *([] if chosen in found else [chosen])]),
        now,
        workflows.limits(),
        workflows.schedule_infos(),
        chosen._open_waits() if chosen.state == "active" else (),  # noqa: SLF001 - for panels
    )


def streamed(workflow: Workflow, task: TaskInfo) -> str:
    """Return the end of what a task streams."""
    return joined(workflow._stream_tail(task.id, TAIL)) if task.attempt else ""  # noqa: SLF001 - for display


def _chosen(
    workflows: Orchestrator, found: list[Workflow], requested: str | None
) -> Workflow | None:
    if requested is not None:
        known = next((one for one in found if one.id == requested), None)
        if known is not None:
            return known
        try:
            return workflows.get(requested)
        except NotFoundError:
            return None
    active = (one for one in found if one.state == "active")
    return next(active, found[0] if found else None)
