"""The queue panel, composed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import UsageError, did_you_mean
from agentnb.panels.base import (
    Notice,
    Panel,
    Plot,
    Schedules,
    TableView,
    button,
    choice,
    row,
    split,
    stack,
    text_box,
)
from agentnb.panels.queue.bulk import Bulk
from agentnb.panels.queue.detail import Detail, Details, read
from agentnb.panels.queue.rows import (
    BATCH_COLUMNS,
    JOB_COLUMNS,
    QUEUE_COLUMNS,
    WORKER_COLUMNS,
    batch_row,
    job_rows,
    queue_row,
    worker_row,
)
from agentnb.panels.queue.snapshot import STATES, Filter, Poller, Snapshot

if TYPE_CHECKING:
    from agentnb.core.hub import Hub
    from agentnb.core.queue import TaskQueue
    from agentnb.core.queue.search import JobSummary

__all__ = ["QueuePanel"]

ALL_QUEUES: Final = "all queues"
ANY_STATE: Final = "any state"
EMPTY: Final = (
    "No queue has a job yet. Type in a cell:  %queue add QUEUE JSON\n"
    "and over a cell that processes its jobs:  %%queue task QUEUE"
)
_NOTICES = 3


class QueuePanel:
    """The queue panel; its widgets are composed in `panel`.

    Parameters
    ----------
    hub
        Whose queues it shows.
    queue
        The queue whose jobs it shows first; None for all.
    state
        The state of the jobs that it shows first; None for any.
    text
        Text in their id, data or error.
    every
        Seconds between two looks at the queues.

    Raises
    ------
    UsageError
        No such state.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        queue: str | None = None,
        state: str | None = None,
        text: str = "",
        every: float | None = 1.0,
    ) -> None:
        if state is not None and state not in STATES:
            raise UsageError(
                f"no such state: {state!r}",
                service="queue",
                hint=did_you_mean(state, STATES) or f"states: {', '.join(STATES)}",
            )
        self._hub = hub
        self.filter = Filter(queue, state, text.strip())
        self._picked: str | None = None
        self._listed: list[JobSummary] = []
        self._poller = Poller()
        self._plotted = queue
        self.panel = Panel("Queue", every=every, redactor=hub.settings.redactor)
        self._make_queues()
        self._make_jobs()
        self.detail = Detail(self.panel, self._poller.forget)
        self.body = [
            row(self.ended, self.wait, self.run),
            row(self.which, self.state, self.text, self.pause, self.bulk),
            split(stack(self.jobs), self.detail.widget, wide_left=True),
            self.workers,
        ]
        self.panel.compose(
            self.notice, self.queues, self.batches, *self.schedules.parts, *self.body
        )
        self.panel.keep_fresh(self._load, self._show)

    def _make_queues(self) -> None:
        act = self.panel.action
        self.notice = Notice()
        self.queues = TableView(
            QUEUE_COLUMNS,
            key="queue",
            label="Queues",
            hint=EMPTY,
            on_select=act(self._click_queue),
            height="216px",
            filterable=False,
            noun=("queue", "queues"),
        )
        self.batches = TableView(
            BATCH_COLUMNS,
            key="batch",
            label="Batches",
            hint="No batch is kept.",
            height="144px",
            filterable=False,
            noun=("batch", "batches"),
            quiet=("progress", "left"),
        )
        self.batches.widget.layout.display = "none"
        self.schedules = Schedules(
            self.panel,
            lambda info: self._queues.get_queue(info.target).get_schedule(info.name),
            lambda info: f"{info.target}: {info.name}",
        )
        self.ended = Plot("Throughput", "jobs/s")
        self.wait = Plot("Wait before start, median", "s")
        self.run = Plot("Run time, median", "s")
        self.workers = TableView(
            WORKER_COLUMNS,
            key="worker",
            label="Workers",
            hint="Nobody works here. Type in a cell:  %queue work QUEUE\n"
            "or in a terminal:  agentnb worker QUEUE",
            height="180px",
            filterable=False,
            noun=("worker", "workers"),
            quiet=("last heartbeat",),
        )

    def _make_jobs(self) -> None:
        act = self.panel.action
        request = self.filter
        self.which = choice(
            [ALL_QUEUES, *([request.queue] if request.queue else [])],
            value=request.queue or ALL_QUEUES,
            tooltip="Queue",
            on_change=act(self._use_queue),
        )
        self.state = choice(
            [ANY_STATE, *STATES],
            value=request.state or ANY_STATE,
            tooltip="State",
            on_change=act(lambda word: self._use(state=None if word == ANY_STATE else word)),
        )
        self.text = text_box(
            value=request.text,
            placeholder="Text in id, data or error · Enter",
            tooltip="Text in id, data or error",
            on_change=act(lambda text: self._use(text=text.strip())),
        )
        self.pause = button("Pause queue", act(self._pause, self.panel.say), icon="pause")
        self.jobs = TableView(
            JOB_COLUMNS,
            key="job",
            label="Jobs",
            hint="No job is here.",
            on_select=act(self._pick),
            height="420px",
            filterable=False,
            quiet=("when", "took", "progress"),
            noun=("job", "jobs"),
            markable=True,
        )
        self.bulk = Bulk(
            self.panel,
            lambda: self._queues,
            lambda: self.filter,
            self._marked,
            self._poller.forget,
        )

    @property
    def _queues(self) -> TaskQueue:
        return self._hub.queues

    def _use(self, **changed: Any) -> None:
        with self.panel.lock:
            now = self.filter
            fields = {"queue": now.queue, "state": now.state, "text": now.text} | changed
            self.filter = Filter(**fields)
            self.bulk.reset()

    def _use_queue(self, word: str) -> None:
        self._use(queue=None if word == ALL_QUEUES else word)

    def _click_queue(self, name: str) -> None:
        """Show the jobs of a queue; of all, if it was this one's already."""
        self._use(queue=None if self.filter.queue == name else name)

    def _pick(self, job_id: str) -> None:
        """Show all of a job; no longer, if it was this one already."""
        with self.panel.lock:
            self._picked = None if self._picked == job_id else job_id
            if self._picked is None:
                self.jobs.select(None)

    def _marked(self) -> list[tuple[str, str, str]]:
        with self.panel.lock:
            marked = set(self.jobs.marked)
            return [(one.queue, one.state, one.id) for one in self._listed if one.id in marked]

    def _pause(self) -> str:
        name = self.filter.queue
        if name is None:
            raise UsageError("no queue is chosen", service="queue", hint="click on one")
        queue = self._queues.get_queue(name)
        if queue.paused:
            queue.resume()
            return f"{name} goes on"
        queue.pause()
        return f"{name} is paused: running jobs go on, no other is claimed"

    def _load(self) -> tuple[Snapshot, str | None, Details | None]:
        with self.panel.lock:
            request, picked = self.filter, self._picked
        snapshot = self._poller.poll(self._queues, request)
        found = None if picked is None else read(self._queues, picked, self._hub.settings.redactor)
        return snapshot, picked, found

    def _show(self, loaded: tuple[Snapshot, str | None, Details | None]) -> None:
        snapshot, picked, found = loaded
        self._show_queues(snapshot)
        self._show_speed(snapshot)
        if snapshot.request == self.filter:  # else others are being looked for
            self._show_jobs(snapshot)
        if picked == self._picked:
            self.detail.show(picked, found)

    def _show_queues(self, snapshot: Snapshot) -> None:
        names = [one.queue.name for one in snapshot.queues]
        more = f"{snapshot.more:,} more are not shown" if snapshot.more else ""
        self.queues.update([queue_row(one) for one in snapshot.queues], note=more)
        self.queues.select(self.filter.queue)
        reasons = (one.overview.why for one in snapshot.queues)
        lines = [reason for reason in reasons if reason]
        hidden = len(lines) - _NOTICES
        shown = [f"Jobs wait: {line}" for line in lines[:_NOTICES]]
        if hidden > 0:
            shown.append(f"and {hidden:,} more queues whose jobs wait")
        limited = [one.overview for one in snapshot.queues if one.overview.limits]
        shown += [
            f"Limited: {one.queue.name}: {', '.join(map(str, one.limits))}"
            for one in limited[:_NOTICES]
        ]
        if len(limited) > _NOTICES:
            shown.append(f"and {len(limited) - _NOTICES:,} more queues with limits")
        self.notice.show(shown)
        for part in self.body:
            widget = getattr(part, "widget", part)
            widget.layout.display = None if snapshot.queues else "none"
        options = [ALL_QUEUES, *names]
        value = self.filter.queue or ALL_QUEUES
        self.which.show(options if value in options else [*options, value], value)
        self._show_pause(snapshot)
        self.schedules.show(snapshot.schedules)
        self.batches.update([batch_row(one) for one in snapshot.batches])
        self.batches.widget.layout.display = None if snapshot.batches else "none"

    def _show_pause(self, snapshot: Snapshot) -> None:
        name = self.filter.queue
        chosen = next((one for one in snapshot.queues if one.queue.name == name), None)
        paused = chosen is not None and chosen.overview.paused
        word = "Resume" if paused else "Pause"
        self.pause.description, self.pause.icon = f"{word} queue", "play" if paused else "pause"
        self.pause.tooltip = f"{word} {name}" if name else "Choose a queue to pause it"
        self.pause.disabled = chosen is None

    def _show_speed(self, snapshot: Snapshot) -> None:
        speed = snapshot.speed
        if speed.which != self._plotted:
            self._plotted = speed.which
            for plot in (self.ended, self.wait, self.run):
                plot.clear()
        self.ended.add(speed.ended)
        self.wait.add(speed.wait)
        self.run.add(speed.run)

    def _show_jobs(self, snapshot: Snapshot) -> None:
        request = snapshot.request
        self._listed = snapshot.listed.jobs
        columns, rows = job_rows(
            self._listed, queue=request.queue is None, beside=self._picked is not None
        )
        self.jobs.update(rows, columns, note=snapshot.listed.note, hint=_hint(request))
        self.workers.update(
            [
                worker_row(one, worker)
                for one in snapshot.queues
                if request.queue in {None, one.queue.name}
                for worker in one.workers
            ]
        )


def _hint(request: Filter) -> str:
    state = f" {request.state}" if request.state else ""
    of = f" of {request.queue}" if request.queue else ""
    text = f" holds “{request.text}”" if request.text else " is here"
    return f"No{state} job{of}{text}."
