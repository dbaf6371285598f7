"""What goes over the wire when a panel refreshes."""

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
    peers = f"ipywidgets.HTML {theirs:,} B ({theirs / ours:.0f}x)"
    what = "panel of 1,000 rows x 6, on the wire: "
    return [
        Row(f"{what}1 % has changed", f"{ours:,} B", peers, ours, 2000, "B"),
        Row(f"{what}nothing has", f"{same:,} B", "", same, 2000, "B"),
    ]
