"""The waterfall of a trace in JupyterLab: live, saved and untrusted, by mouse and by keys."""

from __future__ import annotations

import json
import re

from playwright.sync_api import expect

from agentnb.core.trace.view.style import FAILED
from tests.core.trace_samples import Sample, many, one_job

LOAD = """import os
os.environ["DATABASE_URL"] = "sqlite:///trace.db"
%load_ext agentnb"""


def lost_and_running():
    """Return the trace of a task that was lost, waited for a person, and runs again."""
    made = Sample()
    step = made.add("app.plan", 0, 300, kind="step")
    made.add("db.query", 20, 200, below=step, statement="select * from plan")
    task = {"below": step, "kind": "work", "task": "release", "workflow_name": "new-app"}
    lost = made.add("workflow.task", 1_257_300, 800, **task, outcome="Lost")
    made.add("api.POST", 1_257_400, 700, below=lost, url="https://x.example/y")
    made.add("workflow.task", 1_258_500, 900, **task, attempt=2)
    return made.trace(notes=["older spans are gone (kept 7 days, 200 MB)"])


def saved(lab, name, *traces):
    """Write a notebook that shows these traces, as another person's: nothing signed it."""
    lab.write(name, *("%trace" for _ in traces))
    path = lab.root / name
    content = json.loads(path.read_text())
    for cell, trace in zip(content["cells"], traces, strict=True):
        cell["execution_count"] = 1
        data = {"text/html": trace._repr_html_(), "text/plain": repr(trace)}
        output = {"output_type": "execute_result", "execution_count": 1, "metadata": {}}
        cell["outputs"] = [output | {"data": data}]
    path.write_text(json.dumps(content))
    return name


def red_bars(output):
    """Return the boxes of red bars, with those of the columns that they are in."""
    return output.evaluate(
        """(root, red) => [...root.querySelectorAll('summary > span > span')]
          .filter(e => e.style.position === 'absolute' && e.style.top === '4px')
          .filter(e => {
            const probe = document.createElement('i');
            probe.style.color = red;
            return e.style.background.includes(probe.style.color)
              || e.style.background.includes(red);
          })
          .map(e => [e.getBoundingClientRect(), e.parentElement.getBoundingClientRect()]
            .map(r => [r.left, r.right, r.width, r.height]))""",
        FAILED,
    )


def test_an_untrusted_notebook_shows_the_bars_without_a_kernel(lab, axe):
    lab.page.set_viewport_size({"width": 1280, "height": 1350})
    name = saved(lab, "trace_untrusted.ipynb", one_job(), lost_and_running(), many())
    lab.open(name, kernel=False)
    output = lab.output(0)
    assert (
        output.locator("style, .agentnb-trace svg").count() == 0
    )  # untrusted, or this shows nothing
    ((bar, column),) = red_bars(output)
    assert column[0] <= bar[0] < bar[1] <= column[1] + 1
    assert bar[2] > 50
    assert column[2] > 200
    output.locator("summary").filter(has_text="UnavailableError").press("Enter")
    expect(output.get_by_text("503 Service Unavailable").last).to_be_visible()
    assert lab.violations(axe, lab.page.locator(".agentnb-trace")) == []
    lab.screenshot("trace_untrusted", dark=True)
    lab.page.set_viewport_size({"width": 1280, "height": 900})


SETUP = r'''
import subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

class Flaky(BaseHTTPRequestHandler):
    answers = [503, 200]

    def do_GET(self):
        self.send_response(self.answers.pop(0))
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"42")

    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Flaky)
threading.Thread(target=server.serve_forever, daemon=True).start()
Path("trace_jobs.py").write_text("""
def work(job):
    job.hub.db.query("select :page as page", {"page": 17})
    found = job.hub.api(job.data["url"]).get("/price")
    job.hub.events.publish("made", {"price": found})
    return found
""")
command = [sys.executable, "-m", "agentnb", "worker", "trace", "--processor", "trace_jobs:work"]
worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
handled = threading.Event()
def handle(event):
    hub.db.query("select 1")
    handled.set()
_ = hub.events.subscribe("made", handle)
while not hub.queue("trace").workers():
    assert worker.poll() is None, worker.stdout.read()
'''
CELL = """job = hub.queue("trace").add({"url": f"http://127.0.0.1:{server.server_port}"})
job.result(timeout=30), handled.wait(30)"""
END = """worker.terminate(); worker.wait(30); server.shutdown()"""


TREE = """cell
  queue.add
    queue.process
      db.query
      api.GET UnavailableError
      api.GET attempt 2
      events.publish
        events.handle
          db.query
  queue.result"""


def test_a_cell_shows_all_that_its_job_caused_in_another_process(lab, axe):
    lab.page.set_viewport_size({"width": 1280, "height": 1000})
    # The worker writes its last spans up to 0.2 s after the cell has its result.
    lab.open(lab.write("trace.ipynb", LOAD, SETUP, CELL, "%trace --live", "%trace --plain", END))
    try:
        for number in range(5):
            assert lab.run_cell(number), lab.cell_output_text(number)
        output = lab.output(3)
        plain = lab.cell_output_text(4).splitlines()
        # Each process connects when it first queries.
        assert "\n".join(line for line in plain if "db.connect" not in line) == TREE
        check_picture(output)
        check_keys(lab, output)
        assert lab.violations(axe, output) == []
        lab.screenshot("trace", dark=True)
    finally:
        lab.run_cell(5)
        lab.page.set_viewport_size({"width": 1280, "height": 900})


def check_picture(output):
    """Check one root, one failure, two processes, and a handler that outlives its publisher."""
    rows = output.locator("summary")
    expect(rows.first).to_contain_text("cell [3]")
    expect(rows.filter(has_text="cell [")).to_have_count(1)
    ((bar, column),) = red_bars(output)
    assert column[0] <= bar[0] < bar[1] <= column[1] + 1
    expect(output.get_by_text("attempt 2", exact=True)).to_have_count(1)
    expect(output.get_by_text("2 processes", exact=True)).to_have_count(1)
    pills = output.get_by_text(re.compile(r"^(worker trace|notebook) \d+$"))
    assert [text.rpartition(" ")[0] for text in pills.all_inner_texts()] == [
        *("worker trace", "notebook")
    ]
    publish, handle = (
        rows.filter(has_text=name).locator("span > span[style*=absolute]").bounding_box()
        for name in ("events.publish", "events.handle")
    )
    assert handle["x"] + handle["width"] > publish["x"] + publish["width"]
    assert output.locator("script").count() == 0


def check_keys(lab, output):
    """Check that Tab goes from row to row, and that Enter opens one."""
    rows = output.locator("summary")
    rows.first.focus()
    for number in range(1, rows.count()):
        lab.page.keyboard.press("Tab")
        assert rows.nth(number).evaluate("e => e === document.activeElement")
    failed = rows.filter(has_text="UnavailableError")
    failed.focus()
    lab.page.keyboard.press("Enter")
    expect(output.get_by_text("answered 503").last).to_be_visible()
    expect(output.get_by_text("select :page as page").last).not_to_be_visible()


LIVE = """import threading, time
from pathlib import Path
found = []
def slowly():
    with hub.trace.run("slow") as span:
        found.append(span.trace_id)
        for number in range(2):
            with hub.trace.span(f"step {number}"):
                while not Path(f"trace-go-{number}").exists(): time.sleep(0.02)
thread = threading.Thread(target=slowly)
thread.start()
while not found: pass
shown = get_ipython().run_line_magic("trace", f"{found[0]} --live --timeout 60")
shown"""


def test_a_row_that_was_opened_stays_open_while_a_live_trace_moves(lab):
    lab.open(lab.write("trace_live.ipynb", LOAD, LIVE))
    assert lab.run_cell(0)
    lab.run_cell(1, wait=False)
    output = lab.output(1)
    row = output.locator("details").filter(has_text="step 0")
    row.locator("summary").focus()
    lab.page.keyboard.press("Enter")
    expect(row).to_have_attribute("open", "")
    expect(output.get_by_text("running", exact=True).first).to_be_visible()
    lab.screenshot("trace_live")
    (lab.root / "trace-go-0").touch()
    expect(output.locator("summary").filter(has_text="step 1")).to_be_visible()
    expect(row).to_have_attribute("open", "")
    assert row.locator("summary").evaluate("e => e === document.activeElement")
    (lab.root / "trace-go-1").touch()
    lab.wait_idle()
    expect(output.locator(".agentnb-panel")).to_have_count(0)
    expect(output.locator(".agentnb-trace")).to_have_count(1)
    expect(output.get_by_text("running", exact=True)).to_have_count(0)
