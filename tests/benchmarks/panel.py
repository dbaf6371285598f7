"""What goes over the wire when a panel refreshes, and what a look at all services takes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from rounds import Row, kernel, scratch

SETUP = """
from ipywidgets import HTML
from agentnb.core.table import Table
from agentnb.panels import Panel, TableView
jobs = [(i, f"task-{i}", "ready", i * 7 % 13, None, f"2026-01-01 10:00:{i % 60:02}")
        for i in range(1000)]
columns = ["id", "name", "state", "attempts", "error", "created"]
table = TableView(columns, key="id", label="Jobs")
panel = Panel("Queue").compose(table).keep_fresh(lambda: jobs, table.update)
panel
"""
CHANGE = """
for i in range(0, 1000, 100):
    jobs[i] = (i, f"task-{i}x", "failed", 77, "boom: no", "2026-01-02 11:11:11")
"""
PAGE = """
cell = "<td>{}</td>".format
def page():
    return "<table>" + "".join(f"<tr>{''.join(map(cell, job))}</tr>" for job in jobs) + "</table>"
html = HTML(page())
html
"""


OVERVIEW = """
import time, agentnb
from agentnb.panels.agentnb.view import AgentnbPanel
hub = agentnb.connect(home=HOME)
for at in range(10):
    queue = hub.queue(f"queue-{at}")
    for number in range(20):
        queue.add(number, attempts=1)
queue.work(lambda job: 1 / (job.data % 2))
hub.workflows.agent("plan")(lambda task: 1)
for at in range(10):
    tasks = [{"name": f"t{n}", "agent": "plan", "approval": n == 9} for n in range(10)]
    _ = hub.workflows.create(f"flow {at}", tasks=tasks)
worker = hub.workflows.work()
time.sleep(2)
overview = AgentnbPanel(hub, every=None)
overview.panel
"""
CALLS = """
for number in range(50):
    _ = hub.db.query("select 1"), hub.cache.get("a"), hub.cache.set("a", number)
"""
CPU = """
spent = time.process_time()
for number in range(100):
    overview._show(overview._reader.read())
print((time.process_time() - spent) / 100 * 1000)
"""


def laboratory():
    """Return the tests' class that is to a kernel what the browser is."""
    path = Path(__file__).parent.parent / "panels" / "conftest.py"
    spec = importlib.util.spec_from_file_location("panels_conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Lab


def taken(lab, code, until):
    """Return the bytes that a cell's code sends to the browser until the condition holds."""
    lab.traffic.clear()
    lab.run(code)
    lab.until(until)
    return sum(lab.size(message) for message in lab.traffic)


def measure(*, quick):  # noqa: ARG001 - bytes are the same every time
    """Return the rows of this subject."""
    with scratch(), kernel() as client:
        lab = laboratory()(client)
        lab.run(SETUP)
        bar = lab.find(label="Queue")

        def done():
            return any(m["content"]["comm_id"] == bar for m in lab.traffic)

        same = taken(lab, "panel.refresh()", done)
        lab.run(CHANGE)
        ours = taken(lab, "panel.refresh()", done)
        lab.run("panel.close()")
        lab.run(PAGE)
        lab.run(CHANGE.replace("77", "78"))
        theirs = taken(lab, "html.value = page()", lambda: bool(lab.traffic))
        lab.run(f"HOME = {str(Path.cwd() / 'home')!r}")
        lab.run(OVERVIEW)
        bar = lab.find(label="agentnb")
        for _ in range(2):
            taken(lab, "overview.panel.refresh()", done)
        idle = taken(lab, "overview.panel.refresh()", done)
        lab.run(CALLS)
        busy = taken(lab, "overview.panel.refresh()", done)
        cpu = float(lab.run(CPU)[0])
        lab.run("hub.close()")
    peers = f"ipywidgets.HTML {theirs:,} B ({theirs / ours:.0f}x)"
    whole = "panel over all services, 10 queues and workflows, on the wire: "
    what = "panel of 1,000 rows x 6, on the wire: "
    return [
        Row(f"{what}1 % has changed", f"{ours:,} B", peers, ours, 2000, "B"),
        Row(f"{what}nothing has", f"{same:,} B", "", same, 2000, "B"),
        Row(f"{whole}nothing has changed", f"{idle:,} B", "", idle, 2000, "B"),
        Row(f"{whole}150 calls were made", f"{busy:,} B", "", busy, 2000, "B"),
        Row("panel over all services, CPU of a refresh", f"{cpu:.1f} ms", "", cpu, 10, "ms"),
    ]
