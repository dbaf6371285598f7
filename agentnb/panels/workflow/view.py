"""The workflow panel, composed."""

from __future__ import annotations

import time
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Final

from agentnb.core.format import clock, cut, duration
from agentnb.core.moments import seconds_between
from agentnb.core.workflow.drawing import signed, svg, tally
from agentnb.panels.base import (
    Notice,
    Panel,
    Picture,
    Schedules,
    TableView,
    label,
    row,
    split,
    stack,
)
from agentnb.panels.base.cells import plain
from agentnb.panels.workflow.approvals import Approvals
from agentnb.panels.workflow.detail import Detail
from agentnb.panels.workflow.questions import Questions
from agentnb.panels.workflow.rows import (
    AGENT_COLUMNS,
    EVENT_COLUMNS,
    TASK_COLUMNS,
    WORKFLOW_COLUMNS,
    agent_row,
    event_row,
    task_rows,
    workflow_row,
)
from agentnb.panels.workflow.snapshot import LISTED, Snapshot, Waits, streamed, take_snapshot

if TYPE_CHECKING:
    from agentnb.core.hub import Hub
    from agentnb.core.workflow import Orchestrator, TaskInfo

__all__ = ["WorkflowPanel"]

EMPTY: Final = (
    "No workflow yet. Make a cell an agent:  %%agent NAME\n"
    "and list the tasks in another, one a line:  %%workflow NAME --run"
)
_LIMITS = 3
_LONGEST: Final = 600
_LIVE_SECONDS = 0.2  # between two looks at a stream that grows
_NO_AGENTS: Final = "No agent yet. Make a cell one:  %%agent NAME"


class WorkflowPanel:
    """The content and actions of the panel; the widgets are composed in `panel`.

    Parameters
    ----------
    hub
        Whose workflows it shows.
    workflow
        The id, the beginning of it, or the name of the one that it shows first. By default it is
        always the newest that has not ended.
    every
        Seconds between two looks at the database.

    Raises
    ------
    NotFoundError
        There is no such workflow.
    """

    def __init__(self, hub: Hub, *, workflow: str | None = None, every: float | None = 1.0) -> None:
        self._hub = hub
        self._redact = hub.settings.redactor
        self._requested = None if workflow is None else hub.workflows.get(workflow).id
        self._picked: str | None = None
        self._last: Snapshot | None = None
        self._waits = Waits()
        self._every, self._whole_at = every, 0.0
        self.panel = Panel("Workflows", every=every, redactor=hub.settings.redactor)
        act = self.panel.action
        self.notice = Notice()
        self.workflows = TableView(
            WORKFLOW_COLUMNS,
            key="id",
            label="Workflows",
            hint=EMPTY,
            on_select=act(self._choose),
            height="180px",
            filterable=False,
            noun=("workflow", "workflows"),
            quiet=("took",),
        )
        self.schedules = Schedules(
            self.panel,
            lambda info: self._workflows.get_schedule(info.name),
            lambda info: info.name,
        )
        self.about = label("")
        self.graph = Picture("Graph", on_pick=act(self._pick), height="460px")
        self.approvals = Approvals(self.panel, lambda: self._last, lambda: self._picked)
        self.questions = Questions(self.panel)
        self.tasks = TableView(
            TASK_COLUMNS,
            key="task",
            label="Tasks",
            hint="This workflow has no task.",
            on_select=act(self._pick),
            height="330px",
            quiet=("took", "progress"),
            noun=("task", "tasks"),
        )
        self.detail = Detail()
        self.events = TableView(
            EVENT_COLUMNS,
            key="id",
            label="Events",
            hint="Nothing has happened yet.",
            height="220px",
            noun=("event", "events"),
        )
        self.agents = TableView(
            AGENT_COLUMNS,
            key="agent",
            label="Agents",
            hint=_NO_AGENTS,
            height="220px",
            filterable=False,
            quiet=("workers",),
            noun=("agent", "agents"),
        )
        self.body = [
            row(self.about),
            self.graph,
            self.approvals.widget,
            self.questions,
            split(stack(self.tasks), self.detail.widget, wide_left=True),
            split(stack(self.events), stack(self.agents), wide_left=True),
        ]
        self.panel.compose(self.notice, self.workflows, *self.schedules.parts, *self.body)
        self.panel.keep_fresh(self._load, self._show)

    @property
    def _workflows(self) -> Orchestrator:
        return self._hub.workflows

    def _choose(self, workflow_id: str) -> None:
        """Show a workflow, and stay with it; the newest again, if it was this one already."""
        with self.panel.lock:
            self._requested = None if self._requested == workflow_id else workflow_id
            self._picked = None
            self.tasks.select(None)
            self.approvals.reset()

    def _pick(self, name: str) -> None:
        """Show all of a task; no longer, if it was this one already."""
        with self.panel.lock:
            self._picked = None if self._picked == name else name
            self.tasks.select(self._picked)
            self.approvals.reset()

    def _load(self) -> Snapshot:
        with self.panel.lock:
            requested, picked = self._requested, self._picked
            last = self._last
        stale = self._every is None or time.monotonic() - self._whole_at >= self._every
        live = None if stale else _live_task(last, requested, picked)
        if last is not None and last.chosen is not None and live is not None:
            # Between two looks at everything, at what grows.
            return replace(last, stream=streamed(last.chosen, live))
        self._whole_at = time.monotonic()
        return take_snapshot(self._workflows, requested, picked, waits=self._waits)

    def _show(self, snapshot: Snapshot) -> None:
        if snapshot.requested != self._requested:  # another one is being looked for
            return
        last, self._last = self._last, snapshot
        live = _live_task(snapshot, self._requested, self._picked) is not None
        self.panel.pace(_LIVE_SECONDS if live and self._every is not None else self._every)
        if last is not None and last.tasks is snapshot.tasks:  # nothing but its stream is new
            if snapshot.picked == self._picked:
                self.detail.show_stream(self._redact(snapshot.stream))
            return
        chosen = snapshot.chosen
        self.workflows.update(
            [
                workflow_row(one, counts, snapshot.now, snapshot.waited.get(one.id, 0.0))
                for one, counts in snapshot.workflows
            ],
            note=f"the newest {LISTED}" if len(snapshot.workflows) >= LISTED else "",
        )
        self.workflows.select(chosen.id if chosen else None)
        self.schedules.show(snapshot.schedules)
        for part in self.body:
            widget = getattr(part, "widget", part)
            widget.layout.display = None if chosen else "none"
        self.questions.show(chosen, snapshot.waits)
        if chosen is None:
            self.notice.show([])
            return
        why = cut(plain(f"{chosen.name} waits: {snapshot.why}"), _LONGEST)
        lines = [why] if snapshot.why else []
        lines += [f"Limited: agent {one.agent}: {one}" for one in snapshot.limits[:_LIMITS]]
        if len(snapshot.limits) > _LIMITS:
            lines.append(f"and {len(snapshot.limits) - _LIMITS:,} more agents with limits")
        self.notice.show(lines)
        self.about.value = _about(snapshot)
        known = {task.name: task for task in snapshot.tasks}
        if self._picked not in known:
            self._picked = None
        picture = svg(snapshot.tasks, f"Workflow {chosen.name}", selected=self._picked)
        self.graph.show(picture, tally(task.state for task in snapshot.tasks))
        columns, rows = task_rows(
            snapshot.tasks,
            snapshot.now,
            snapshot.limits,
            snapshot.waits,
            beside=self._picked is not None,
        )
        self.tasks.update(rows, columns)
        log = snapshot.log if snapshot.picked == self._picked else []
        stream = self._redact(snapshot.stream) if snapshot.picked == self._picked else ""
        task = known.get(self._picked or "")
        self.detail.show(task, log, snapshot.now, snapshot.waits, stream)
        self.approvals.show(snapshot, self._picked)
        self.events.update([event_row(one) for one in reversed(snapshot.events)])
        self.agents.update([agent_row(one, snapshot.now) for one in snapshot.agents])


def _live_task(
    snapshot: Snapshot | None, requested: str | None, picked: str | None
) -> TaskInfo | None:
    """Return the task that is picked, if it streams while it runs."""
    if snapshot is None or not snapshot.stream:
        return None
    if (snapshot.requested, snapshot.picked) != (requested, picked):
        return None
    return next((t for t in snapshot.tasks if t.name == picked and t.state == "active"), None)


def _about(snapshot: Snapshot) -> str:
    chosen = snapshot.chosen
    if chosen is None:
        return ""
    waited = snapshot.waited.get(chosen.id, 0.0)
    took = seconds_between(chosen.created, chosen.finished or snapshot.now) - waited
    words = [signed(chosen.standing), tally(task.state for task in snapshot.tasks)]
    words += [f"key {plain(chosen.key)}"] if chosen.key else []
    words += [f"at most {chosen.max_parallel} at once"] if chosen.max_parallel else []
    if chosen.deadline and chosen.state == "active":
        words.append(f"deadline {clock(chosen.deadline)}")
    if chosen.finished:
        words.append(f"took {duration(max(took, 0.0))}")
    words += [f"waited {duration(waited)} for a person"] if waited else []
    return " · ".join([f"<strong>{escape(plain(chosen.name))}</strong>", *map(escape, words)])
