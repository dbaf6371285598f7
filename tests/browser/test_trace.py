"""The waterfall of a trace in JupyterLab: live, saved and untrusted, by mouse and by keys."""

from __future__ import annotations

import json

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


def see(lab, name):
    """Take a picture in the light theme and one in the dark."""
    lab.screenshot(name)
    lab.set_theme("JupyterLab Dark")
    lab.page.wait_for_timeout(300)
    lab.screenshot(f"{name}_dark")
    lab.set_theme("JupyterLab Light")


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


def test_an_untrusted_notebook_shows_the_bars_without_a_kernel(lab):
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
    see(lab, "trace_untrusted")
    output.locator("summary").filter(has_text="UnavailableError").press("Enter")
    expect(output.get_by_text("503 Service Unavailable").last).to_be_visible()
    lab.page.set_viewport_size({"width": 1280, "height": 900})
