"""Schedules in the panels of queues and of workflows: shown, paused, resumed, triggered."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest

import agentnb
from agentnb.core.work.schedules.schedule import ScheduleInfo
from agentnb.core.work.schedules.timing import Timing
from agentnb.core.workflow import Task
from agentnb.panels.base.schedules import Schedules
from agentnb.panels.queue.view import QueuePanel
from agentnb.panels.workflow.view import WorkflowPanel
from tests.waiting import until


@pytest.fixture(scope="module")
def hub():
    # Not under pytest's folder, whose path is too long for a socket.
    with (
        tempfile.TemporaryDirectory(prefix="agentnb-plan-", dir="/tmp") as folder,
        agentnb.connect(home=Path(folder) / "home") as hub,
    ):
        hub.workflows.agent("greet")(lambda task: task.data)
        hub.queue("reports").schedule("nightly", "0 2 * * *", tz="Europe/Berlin")
        hub.workflows.schedule("weekly", "@weekly", [Task("greet")])
        yield hub


def refreshed(view):
    runs = view.panel._refresher.runs
    view.panel.refresh()
    until(lambda: view.panel._refresher.runs > runs)
    return view


def row(view):
    state = view.schedules.table.state()
    (cells,) = [cells for _, cells in state["rows"]]
    texts = [cell["text"] if isinstance(cell, dict) else cell for cell in cells]
    return dict(zip([name for name, _ in state["cols"]], texts, strict=True))


CASES = [
    (QueuePanel, "reports: nightly", lambda hub: hub.queue("reports").get_schedule("nightly")),
    (WorkflowPanel, "weekly", lambda hub: hub.workflows.get_schedule("weekly")),
]


@pytest.mark.parametrize(("kind", "name", "find"), CASES, ids=["queue", "workflow"])
def test_a_panel_shows_a_schedule_and_pauses_resumes_and_triggers_it(hub, kind, name, find):
    view = kind(hub, every=None)
    try:
        shown = row(refreshed(view))
        made = find(hub)
        first, *later = made.next_times(3)
        assert (shown["schedule"], shown["when"]) == (name, made.info().timing.cron)
        assert shown["state"] == "active"
        assert shown["next"] == f"{first:%Y-%m-%d %H:%M:%S}"
        assert shown["then"] == ", ".join(f"{one:%Y-%m-%d %H:%M:%S}" for one in later)
        assert view.schedules.pause.disabled

        view.schedules._pick(name)
        assert not view.schedules.pause.disabled
        view.schedules.pause.click()
        until(lambda: made.info().paused)
        until(lambda: row(refreshed(view))["state"] == "paused")
        assert view.schedules.pause.description == "Resume schedule"
        view.schedules.pause.click()
        until(lambda: not made.info().paused)
        fired = made.info().fired
        view.schedules.trigger.click()
        until(lambda: made.info().fired == fired + 1)
    finally:
        view.panel.close()


def test_a_panel_without_schedules_shows_no_table_of_them(hub):
    view = QueuePanel(hub, every=None, queue="other")
    try:
        assert refreshed(view).schedules.parts[1].layout.display == "none"
    finally:
        view.panel.close()


@pytest.mark.parametrize(("due", "word"), [(-60, "late"), (60, "active")])
def test_a_schedule_that_no_worker_fires_is_late(due, word):
    timing = Timing(every=60.0)
    due += time.time()
    info = ScheduleInfo("poll", "feeds", timing, "latest", "allow", paused=False, due=due)
    assert str(Schedules._row("poll", info)[3]) == word
