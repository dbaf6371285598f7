"""``%trace --live`` in a kernel: a picture that moves while something of the trace runs."""

from __future__ import annotations

import pytest

BEGIN = """
import os, tempfile, threading
home = tempfile.mkdtemp(prefix="agentnb-trace-", dir="/tmp")
os.environ["AGENTNB_HOME"] = home
%load_ext agentnb
go = threading.Event()

def work(found):
    with hub.trace.run("slow") as span:
        found.append(span.trace_id)
        with hub.trace.span("first <b>step</b>"):
            go.wait(120)
        with hub.trace.span("second"):
            pass

found = []
thread = threading.Thread(target=work, args=(found,))
thread.start()
while not found:
    pass
"""

END = """
thread.join(30)
%unload_ext agentnb
import shutil
shutil.rmtree(home)
"""


@pytest.fixture
def notebook(lab):
    lab.run(BEGIN)
    yield lab
    lab.run(END)


def test_a_live_trace_moves_and_is_replaced_by_the_result_at_its_end(notebook):
    lab = notebook

    def html():
        found = [str(state.get("html", "")) for state in lab.comms.values()]
        return next((text for text in found if "agentnb-trace" in text), "")

    source = "timer = threading.Timer(1.2, go.set); timer.start()\n%trace {0} --live --timeout 30"
    asked = lab.start(source.format(lab.run("print(found[0])")[0].strip()))
    lab.until(lambda: "running" in html())
    assert "data-key=" in html()
    assert "<b>" not in html()
    texts, bundles = lab.finish(asked)
    result = bundles[-1]["text/plain"]
    assert "second" in result
    assert "running" not in result
    assert "<details" in bundles[-1]["text/html"]
    assert html() == ""  # the live view is closed
    assert texts == ""


def test_an_interrupt_ends_the_view_and_not_the_notebook(notebook):
    source = (
        "import _thread\n"
        "timer = threading.Timer(1, _thread.interrupt_main); timer.start()\n"
        "shown = get_ipython().run_line_magic('trace', f'{found[0]} --live --timeout 60')\n"
        "go.set(); print(shown.notes)"
    )
    texts, _ = notebook.run(source)
    assert "still run" in texts
