"""The queue panel as a person meets it: in JupyterLab, by mouse and keyboard."""

from __future__ import annotations

import pytest

SETUP = """\
%load_ext agentnb
import random, time
hub.redis.flushall()
hub.queue("mail").pause()
for number in range(40):
    hub.queue("mail").add({"to": f"user{number}@example.org", "subject": "Weekly report"})

def build(job):
    if job.data["app"] == "broken":
        raise ValueError("<img src=x onerror=alert(1)> package.json is no JSON")
    for percent in range(0, 101, 20):
        job.progress(percent)
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


@pytest.fixture
def panel(lab):
    """Open a notebook with a queue panel, and return the panel's element."""
    lab.open(lab.write("queue.ipynb", SETUP, "hub.panel('queue')"))
    lab.run_all()
    element = lab.page.locator(".agentnb-panel")
    element.wait_for()
    row(element, "scaffold-tasks").wait_for()
    return element


def grid(panel, name):
    return panel.get_by_role("grid", name=name)


def row(panel, text, table="Queues"):
    return grid(panel, table).get_by_role("row").filter(has_text=text).first


def busy(lab, seconds=8):
    """Let the worker have something to do meanwhile."""
    lab.execute(
        "import threading\n"
        "def slow(job):\n"
        "    for percent in range(101):\n"
        "        job.progress(percent); time.sleep(0.06)\n"
        "def feed():\n"
        "    for number in range(400):\n"
        "        scaffold.add({'app': f'next-{number}'}); time.sleep(random.uniform(0, 0.04))\n"
        "movies = hub.queue('movies')\n"
        "for n in range(5): movies.add({'title': f'movie {n}'})\n"
        "_ = movies.work(slow, concurrency=2)\n"
        "threading.Thread(target=feed, daemon=True).start()"
    )
    lab.page.wait_for_timeout(seconds * 1000)


def test_queues_jobs_and_workers_are_shown(lab, panel):
    busy(lab)
    panel.scroll_into_view_if_needed()
    lab.page.set_viewport_size({"width": 1280, "height": 1250})
    lab.screenshot("queue_panel")
    lab.set_theme("JupyterLab Dark")
    lab.page.wait_for_timeout(300)
    row(panel, "package.json", "Jobs").click()
    panel.get_by_role("region", name="Error").wait_for()
    lab.page.wait_for_timeout(1500)
    lab.screenshot("queue_panel_dark")
