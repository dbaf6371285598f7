"""Schedules in the panels as a person meets them: in JupyterLab, by mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

SETUP = """\
%load_ext agentnb
_ = hub.redis.flushall()
from agentnb.core.workflow import Task
hub.workflows.agent("greet")(lambda task: task.data)
_ = hub.queue("reports").schedule("at-two", "0 2 * * *", {"kind": "daily"}, tz="Europe/Berlin")
_ = hub.queue("feeds").schedule("poll", every=900)
_ = hub.workflows.schedule("weekly", "0 8 * * MON", [Task("greet")], tz="America/New_York")"""


@pytest.fixture
def panels(lab):
    """Open a notebook with both panels, and return their elements."""
    lab.page.set_viewport_size({"width": 1280, "height": 1400})
    lab.open(lab.write("schedules.ipynb", SETUP, "%queue panel", "%workflow panel"))
    lab.run_all()
    found = lab.page.locator(".agentnb-panel")
    found.nth(1).wait_for()
    yield found.nth(0), found.nth(1)
    lab.page.set_viewport_size({"width": 1280, "height": 900})


def row(panel, text):
    grid = panel.get_by_role("grid", name="Schedules")
    return grid.get_by_role("row").filter(has_text=text).first


def test_a_schedule_is_paused_resumed_and_triggered_in_its_panel(lab, panels):
    queues, workflows = panels
    for panel, name in ((queues, "reports: at-two"), (workflows, "weekly")):
        expect(row(panel, name)).to_contain_text("active")
        row(panel, name).click()
        panel.get_by_role("button", name="Pause").filter(has_text="schedule").click()
        expect(row(panel, name)).to_contain_text("paused")
        lab.page.locator(".agentnb-panel").first.scroll_into_view_if_needed()
        panel.get_by_role("button", name="Resume").filter(has_text="schedule").click()
        expect(row(panel, name)).to_contain_text("active")
        panel.get_by_role("button", name="Trigger now").click()
        expect(panel).to_contain_text("has fired")
    queues.scroll_into_view_if_needed()
    lab.screenshot("schedules_queue")
    workflows.scroll_into_view_if_needed()
    lab.screenshot("schedules_workflow")
