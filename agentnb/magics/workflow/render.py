"""Views of ``%workflow``: one workflow with its graph, many as a table."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.format import INKS, clock, duration, formatted, short, visible
from agentnb.core.moments import seconds_between
from agentnb.core.table import Column, Table, cut_note, text_of
from agentnb.core.workflow.drawing import COLOURS, TONES, signed, svg, tally
from agentnb.core.workflow.forms import form_words, waits_by_task
from agentnb.magics.detail import DetailView

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from agentnb.core.workflow import AgentInfo, TaskInfo, Workflow
    from agentnb.core.workflow.agent_limits import AgentLimit
    from agentnb.core.workflow.forms import OpenWait

__all__ = [
    "TaskView",
    "WorkflowView",
    "agents",
    "events",
    "limits",
    "listing",
    "outcome",
    "tasks_table",
]

_LONGEST: Final = 2000
_DIM: Final = "color:var(--jp-ui-font-color2,#757575)"


class WorkflowView:
    """A workflow whole, as it was when it was looked at: its graph and its tasks.

    Parameters
    ----------
    workflow
        The workflow, refreshed.
    tasks
        Its tasks.
    why
        Why it does not move; empty where it does.
    waited
        Seconds in which it did nothing but wait for a person.
    limits
        The limits of agents, by which tasks may wait.
    waits
        The open waits of tasks.
    """

    def __init__(
        self,
        workflow: Workflow,
        tasks: Sequence[TaskInfo],
        why: str = "",
        *,
        waited: float = 0.0,
        limits: Sequence[AgentLimit] = (),
        waits: Sequence[OpenWait] = (),
    ) -> None:
        self.workflow, self.tasks, self.why = workflow, list(tasks), why
        self.waits = list(waits)
        self._limits = limits
        self._waited = waited
        # Of that moment: the workflow may be refreshed while this is shown.
        self.state, self.finished = workflow.state, workflow.finished
        self.standing = workflow.standing
        self._seen = time.time()

    @property
    def name(self) -> str:
        """The workflow's name."""
        return self.workflow.name

    @property
    def id(self) -> str:
        """The workflow's id."""
        return self.workflow.id

    @property
    def result(self) -> dict[str, Any]:
        """The results of the tasks that are completed, by their names, as plain JSON."""
        done = [task for task in self.tasks if task.state == "completed"]
        return {task.name: task.unkept or task.result for task in done}

    def __iter__(self) -> Iterator[TaskInfo]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, name: str) -> TaskInfo:
        return next(task for task in self.tasks if task.name == name)

    @property
    def table(self) -> Table:
        """The tasks as a table."""
        return tasks_table(self.tasks, self._limits, self.waits)

    def df(self) -> Any:
        """Return the tasks as a pandas DataFrame."""
        return self.table.df()

    def svg(self) -> str:
        """Return the graph as an SVG that needs no style or script."""
        return svg(self.tasks, f"Workflow {self.name}")

    @property
    def about(self) -> list[str]:
        """A short description, without its name and state."""
        workflow = self.workflow
        took = seconds_between(workflow.created, self.finished or self._seen) - self._waited
        said = [tally(task.state for task in self.tasks), duration(max(took, 0.0))]
        if self._waited:
            said.append(f"waited {duration(self._waited)} for a person")
        if workflow.deadline and workflow.state == "active":
            said.append(f"deadline {clock(workflow.deadline)}")
        if workflow.key:
            said.append(f"key {workflow.key}")
        if workflow.trace_id:
            said.append(f"trace {workflow.trace_id[:8]}")
        return [*said, workflow.id]

    def __repr__(self) -> str:
        head = " · ".join([self.name, signed(self.standing), *self.about])
        lines = [text_of(head), repr(self.table)]
        return "\n".join([*lines, *([f"waits: {self.why}"] if self.why else [])])

    def _repr_html_(self) -> str:
        colour = INKS[TONES.get(self.standing, "")]
        about = f'<span style="{_DIM}">· {escape(" · ".join(self.about))}</span>'
        name = escape(text_of(self.name))
        state = f'<span style="color:{colour}">{escape(signed(self.standing))}</span>'
        parts = [
            f'<div style="margin-bottom:4px"><strong>{name}</strong> {state} {about}</div>',
            f'<div style="overflow:auto;margin:2px 0 6px">{self.svg()}</div>',
        ]
        if self.why:
            edge = COLOURS["warn"]
            parts.append(
                f'<div style="border-left:3px solid {edge};padding:2px 8px;margin:4px 0">'
                f"{escape(self.why)}</div>"
            )
        parts.append(self.table._repr_html_())
        return f'<div class="agentnb-workflow">{"".join(parts)}</div>'


class TaskView(DetailView):
    """A task whole, as it was when it was looked at.

    Attributes
    ----------
    task
        The task.
    log
        The lines that its latest attempt has logged, the last 200.
    waits
        Its open waits.
    """

    kind = "task"

    def __init__(
        self,
        workflow: Workflow,
        task: TaskInfo,
        log: Sequence[str],
        waits: Sequence[OpenWait] = (),
    ) -> None:
        self.workflow, self.task, self.log = workflow, task, list(log)
        self.waits = [one for one in waits if one.task == task.name]

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Its properties, by their names."""
        task = self.task
        known: list[tuple[str, Any]] = [
            ("task", task.name),
            ("workflow", f"{self.workflow.name} {task.workflow_id}"),
            ("state", signed(task.standing)),
            ("agent", task.agent),
            ("needs", ", ".join(task.needs)),
            ("attempt", f"{task.attempt} of {task.attempts}" if task.attempt else ""),
            # What a person approves is seen whole.
            ("data", visible(short(task.data, None if task.state == "approval" else _LONGEST))),
            ("priority", task.priority or ""),
            ("waits", "; ".join(one.words for one in self.waits)),
            ("answer", "; ".join(form_words(one.form) for one in self.waits if one.kind == "ask")),
            ("approved by", task.approved_by),
            ("worker", task.worker),
            ("trace", (task.trace_id or "")[:8]),
            ("started", clock(task.started)),
            ("ended", clock(task.finished)),
            ("took", formatted(took(task), "duration")),
            ("models", str(task.usage or "")),
            ("result", str(task.unkept or "") or short(task.result, _LONGEST)),
            ("error", task.error),
        ]
        return [(name, str(value)) for name, value in known if value not in {None, ""}]

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """Its traceback and its log."""
        traceback = (self.task.traceback or "").rstrip()
        return [("traceback", traceback), ("log", "\n".join(self.log))]


def limits(found: Sequence[AgentLimit], agent: str | None = None) -> Table:
    """Return the limits of agents as a table, or that of one."""
    rows = [(one.agent, str(one), one.active, one.reason) for one in found]
    name = agent or "AGENT"
    has = "no agent has a limit" if agent is None else f"agent {agent} has no limit"
    return Table(
        ("agent", "limit", "active", "waits"),
        [row for row in rows if agent in {None, row[0]}],
        empty=f"{has}: hub.workflows.limit({name!r}, concurrency=3) "
        f"(%workflow limit {name} --concurrency 3, or 60 --per 60)",
    )


def tasks_table(
    tasks: Sequence[TaskInfo],
    limits: Sequence[AgentLimit] = (),
    waits: Sequence[OpenWait] = (),
    *,
    empty: str = "no tasks",
) -> Table:
    """Return tasks as a table, with the limits and the waits that keep some."""
    parked = waits_by_task(waits)
    reasons = {one.agent: one.reason for one in limits}
    rows = [
        (
            task.name,
            signed(task.standing),
            task.agent,
            f"{task.attempt} of {task.attempts}" if task.attempt else "",
            took(task),
            parked.get(task.name, "")
            if task.state == "parked"
            else outcome(task) or (reasons.get(task.agent, "") if task.state == "waiting" else ""),
        )
        for task in tasks
    ]
    columns = (
        "task",
        Column("state", "state"),
        "agent",
        "attempt",
        Column("took", "duration"),
        "outcome",
    )
    return Table(columns, rows, empty=empty)


def took(task: TaskInfo) -> float | None:
    """Return the seconds that a task took, or has taken so far."""
    if task.started is None:
        return None
    end = task.finished or (time.time() if task.state == "active" else None)
    return None if end is None else max(seconds_between(task.started, end), 0.0)


def outcome(task: TaskInfo) -> str:
    """Return what came of a task, or what it waits for."""
    if task.state == "completed":
        return str(task.unkept or "") or short(task.result, _LONGEST)
    if task.state == "active":
        done = "" if task.progress is None else f"{task.progress:.0%}"
        return " ".join(part for part in (done, task.message) if part)
    if task.state == "approval":
        return f"%workflow approve {task.workflow_id} {task.name}"
    if task.error:
        return task.error
    return f"← {', '.join(task.needs)}" if task.state == "blocked" and task.needs else ""


def listing(
    found: Sequence[Workflow],
    counts: Mapping[str, Mapping[str, int]],
    waited: Mapping[str, float],
    *,
    empty: str,
    note: str,
) -> Table:
    """Return workflows as a table, each with how far its tasks are.

    The time in which one only waited for a person is no part of how long it took.
    """
    rows = []
    for workflow in found:
        took = seconds_between(workflow.created, workflow.finished or time.time())
        rows.append(
            (
                workflow.name,
                signed(workflow.standing),
                tally(counts.get(workflow.id, {})),
                workflow.created,
                max(took - waited.get(workflow.id, 0.0), 0.0),
                workflow.id,
            )
        )
    columns = (
        "workflow",
        Column("state", "state"),
        "tasks",
        Column("created", "time"),
        Column("took", "duration"),
        "id",
    )
    return Table(columns, rows, empty=empty, note=note)


def events(found: Table, count: int) -> Table:
    """Return the last events of a workflow with their times as the clock of this machine has them.

    Parameters
    ----------
    found
        One more than the count, where there are more.
    """
    rows = [
        (f"{when.astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3], *rest)
        for when, *rest in found.rows[-count:]
    ]
    note = cut_note(count) if len(found) > count else ""
    columns = ["details" if name == "more" else name for name in found.columns]
    return Table(columns, rows, empty=found.empty, note=note)


def _since(heartbeat: dt.datetime | None) -> str:
    if heartbeat is None:
        return ""
    return f"{duration(max(seconds_between(heartbeat, time.time()), 0.0))} ago"


def agents(found: Sequence[AgentInfo]) -> Table:
    """Return agents as a table."""
    rows = [
        (
            one.name,
            one.state,
            one.workers,
            _since(one.heartbeat),
            ", ".join(one.capabilities),
            one.attempts,
            one.timeout or "none",
            one.module,
        )
        for one in found
    ]
    columns = (
        *("agent", Column("state", "state"), "workers", "seen", "capabilities"),
        *("attempts", Column("timeout", "duration"), "module"),
    )
    return Table(columns, rows, empty="no agent yet: %%agent NAME over a cell that does a task")
