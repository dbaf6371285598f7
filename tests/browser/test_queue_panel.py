"""The queue panel as a person meets it: in JupyterLab, by mouse and keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

SETUP = """\
%load_ext agentnb
import random, threading, time
_ = hub.redis.flushall()
hub.queue("mail").pause()
for number in range(40):
    hub.queue("mail").add({"to": f"user{number}@example.org", "subject": "Weekly report"})

def build(job):
    if job.data["app"] == "broken":
        raise ValueError("<img src=x onerror=alert(1)> package.json is no JSON")
    for percent in range(0, 101, 20):
        job.progress(percent / 100)
        job.log(f"step {percent // 20} of 5")
        time.sleep(random.uniform(0.001, 0.02))
    return {"files": 12, "app": job.data["app"]}

scaffold = hub.queue("scaffold-tasks")
for number in range(60):
    scaffold.add({"type": "create-app", "app": f"app-{number}"})
for number in range(6):
    scaffold.add({"type": "create-app", "app": "broken"}, attempts=1)
worker = scaffold.work(build, concurrency=3)
_ = worker.drain(60)
for number in range(12):
    hub.queue("embed").add({"page": number}, delay=3600 if number % 3 else 0)"""

# Jobs that go on for a while, so that there is something to see.
BUSY = """\
def film(job):
    for percent in range(101):
        job.progress(percent / 100)
        time.sleep(0.06)

def feed():
    for number in range(400):
        scaffold.add({"type": "create-app", "app": f"next-{number}"})
        time.sleep(random.uniform(0, 0.04))

movies = hub.queue("movies")
for number in range(5):
    movies.add({"title": f"movie {number}"})
_ = movies.work(film, concurrency=2)
threading.Thread(target=feed, daemon=True).start()"""


@pytest.fixture
def panel(lab):
    """Open a notebook with a queue panel, and return the panel's element."""
    lab.page.set_viewport_size({"width": 1280, "height": 1250})
    assert lab.show("queue.ipynb", SETUP, "%queue panel"), lab.cell_output_text(0)
    element = lab.page.locator(".agentnb-panel")
    element.wait_for()
    row(element, "scaffold-tasks").wait_for()
    yield element
    lab.page.set_viewport_size({"width": 1280, "height": 900})


def grid(panel, name):
    return panel.get_by_role("grid", name=name)


def row(panel, text, table="Queues"):
    return grid(panel, table).get_by_role("row").filter(has_text=text).first


def click(panel, name):
    panel.get_by_role("button", name=name).click()


def see(lab, name):
    """Take a picture in the light theme and one in the dark."""
    lab.page.locator(".agentnb-panel").first.scroll_into_view_if_needed()
    lab.screenshot(name, dark=True)


def test_queues_jobs_and_workers_move_by_themselves_and_a_click_shows_the_job(lab, panel):
    lab.execute(BUSY)
    expect(row(panel, "movie 0", "Jobs")).to_contain_text(re.compile(r"[2-9]\d %"), timeout=30_000)
    row(panel, "kernel", "Workers").wait_for()
    panel.get_by_text("no worker is running for queue embed", exact=False).wait_for()
    see(lab, "queue_panel")
    row(panel, "package.json", "Jobs").click()
    error = panel.get_by_role("region", name="Error")
    error.get_by_text("package.json is no JSON", exact=False).wait_for()
    assert panel.locator("img").count() == 0
    see(lab, "queue_panel_job")


def test_the_combined_filter_holds_while_jobs_come(lab, panel):
    row(panel, "mail").click()
    box = panel.get_by_placeholder("Text in id", exact=False)
    box.fill("user3")
    box.press("Enter")
    row(panel, "user12@", "Jobs").wait_for(state="detached")
    assert grid(panel, "Jobs").get_by_role("row").filter(has_text="user3").count() == 11
    lab.execute("hub.queue('mail').add({'to': 'user399'}), hub.queue('mail').add({'to': 'eve'})")
    row(panel, "user399", "Jobs").wait_for()
    assert row(panel, "eve", "Jobs").count() == 0
    panel.locator("select").nth(1).select_option("failed")
    panel.get_by_text("No failed job of mail holds “user3”.").wait_for()


def test_failed_jobs_are_retried_once_confirmed_and_marked_ones_removed(lab, panel):
    row(panel, "scaffold-tasks").click()
    panel.locator("select").nth(1).select_option("failed")
    row(panel, "broken", "Jobs").or_(row(panel, "package.json", "Jobs")).first.wait_for()
    for number in range(2):
        grid(panel, "Jobs").get_by_role("checkbox").nth(number + 1).click()
    click(panel, "Remove…")
    click(panel, "Remove 2 marked jobs")
    panel.get_by_text("2 jobs removed").wait_for()
    lab.execute("def build(job): return 'mended'\n_ = scaffold.work(build)")
    click(panel, "Retry…")
    click(panel, "Retry 4 failed jobs of scaffold-tasks")
    panel.get_by_text("4 jobs run again").wait_for()
    panel.get_by_text("No failed job of scaffold-tasks is here.").wait_for()
    assert lab.execute("print(scaffold.counts()['completed'])").strip() == "64"


def test_a_paused_queue_goes_on_at_a_click(lab, panel):
    row(panel, "mail").click()
    row(panel, "user3@", "Jobs").wait_for()
    click(panel, "Resume queue")
    expect(row(panel, "mail")).to_contain_text("no worker")
    panel.get_by_text("no worker is running for queue mail", exact=False).wait_for()
    click(panel, "Pause queue")
    expect(row(panel, "mail")).to_contain_text("paused")
    assert lab.execute("print(hub.queue('mail').paused)").strip() == "True"


def test_rows_are_marked_by_mouse_and_keyboard_and_keys_are_no_shortcuts_of_the_lab(lab, panel):
    cells = lab.page.locator(".jp-Notebook .jp-Cell").count()
    panel.locator("select").nth(1).select_option("failed")
    panel.get_by_text("6 jobs", exact=True).wait_for()
    table = grid(panel, "Jobs")
    boxes = table.get_by_role("checkbox")
    boxes.nth(2).click()
    panel.get_by_text("6 jobs · 1 marked").wait_for()
    boxes.nth(4).click(modifiers=["Shift"])
    panel.get_by_text("6 jobs · 3 marked").wait_for()
    table.focus()
    lab.page.keyboard.press("Home")
    lab.page.keyboard.press("Space")
    panel.get_by_text("6 jobs · 4 marked").wait_for()
    assert boxes.nth(0).evaluate("box => box.indeterminate")
    boxes.nth(0).click()
    panel.get_by_text("6 jobs · 6 marked").wait_for()
    assert panel.get_by_role("region", name="Error").count() == 0  # a mark is no choice
    for element in (boxes.nth(0), boxes.nth(3), table, panel.locator("select").first):
        element.focus()
        for key in ("b", "x", "d", "d"):
            lab.page.keyboard.press(key)
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == cells
    table.focus()
    lab.page.keyboard.press("Enter")
    panel.get_by_role("region", name="Error").wait_for()


def test_a_click_is_answered_while_a_cell_is_busy(lab, panel):
    number = lab.add_cell("time.sleep(20); print('slept')", wait=False)
    row(panel, "package.json", "Jobs").click()
    panel.get_by_role("region", name="Error").wait_for(timeout=10_000)
    assert "slept" not in lab.cell_output_text(number)
    lab.command("notebook:interrupt-kernel")
    lab.wait_idle()


def test_without_queues_it_says_what_to_type_and_comes_to_life_with_the_first_job(lab):
    lab.open(
        lab.write(
            "empty.ipynb",
            "%load_ext agentnb\n_ = hub.redis.flushall()",
            "hub.panel('queue')",
        )
    )
    lab.run_all()
    panel = lab.page.locator(".agentnb-panel")
    panel.get_by_text("%queue add QUEUE JSON", exact=False).wait_for()
    see(lab, "queue_panel_empty")
    lab.execute("hub.queue('mail').add({'to': 'ada'})")
    row(panel, "ada", "Jobs").wait_for()
    see(lab, "queue_panel_first")


@pytest.mark.usefixtures("panel")
def test_a_saved_panel_is_readable_without_a_kernel(lab, lab_server):
    lab.save()
    lab_server.shut_kernels()
    lab.open("queue.ipynb", kernel=False)
    static = lab.page.locator(".agentnb-static")
    static.get_by_text("scaffold-tasks").first.wait_for()
    lab.page.locator(".agentnb-static").first.scroll_into_view_if_needed()
    lab.screenshot("queue_panel_saved")
