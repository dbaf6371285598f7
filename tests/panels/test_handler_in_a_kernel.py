"""A cell that handles events, in a kernel: its output comes to a view of its own."""

from __future__ import annotations

import pytest

BEGIN = """
import os, tempfile
home = tempfile.mkdtemp(prefix="agentnb-handler-", dir="/tmp")
os.environ["AGENTNB_HOME"] = home
%load_ext agentnb
"""

END = """
%unload_ext agentnb
import shutil
shutil.rmtree(home)
"""


@pytest.fixture
def notebook(lab):
    lab.run(BEGIN)
    yield lab
    lab.run(END)


def view_of(lab, text):
    def ready():
        return any(text in str(state.get("value", "")) for state in lab.comms.values())

    lab.until(ready)


def test_what_a_handler_prints_never_lands_in_another_cell(notebook):
    lab = notebook
    source = (
        "%%events on c\nimport sys\nprint('handled', event.data)\nprint('err', file=sys.stderr)"
    )
    lab.run(source, metadata={"cellId": "one"})
    publish = "for n in range(5):\n    hub.events.publish('c', n); time.sleep(0.05)\nprint('done')"
    assert lab.run(f"import time\n{publish}")[0] == "done\n"
    view_of(lab, "handled 4")
    view_of(lab, "err")
    assert lab.run("print('next')")[0] == "next\n"


def test_what_a_handler_displays_or_awaits_comes_there_too(notebook):
    lab = notebook
    source = (
        "%%events on d\nimport asyncio\nfrom IPython.display import display\n"
        "await asyncio.sleep(0)\nprint('awaited', event.data)\ndisplay({'shown': event.data})"
    )
    lab.run(source, metadata={"cellId": "two"})
    texts, bundles = lab.run("hub.events.publish('d', 7); import time; time.sleep(0.3); print('x')")
    assert (texts, bundles) == ("x\n", [])
    view_of(lab, "awaited 7")
    view_of(lab, "{&#x27;shown&#x27;: 7}")


def test_running_the_cell_again_replaces_handler_and_view(notebook):
    lab = notebook
    for text in ("old", "new"):
        lab.run(f"%%events on e\nprint('{text}', event.data)", metadata={"cellId": "three"})
    lab.run("hub.events.publish('e', 1)")
    view_of(lab, "new 1")
    assert not any("old 1" in str(state.get("value", "")) for state in lab.comms.values())
    assert lab.run("print(len(hub.events.subscriptions()))")[0] == "1\n"


def test_a_handler_that_is_gone_says_so_and_offers_nothing(notebook):
    lab = notebook
    lab.run("%%events on gone\nprint(event.data)", metadata={"cellId": "four"})
    view_of(lab, "listening · 0 handled")
    lab.run("%events unsubscribe gone")
    view_of(lab, "unsubscribed · 0 handled")
    view_of(lab, "The cell printed nothing.")
    states = list(lab.comms.values())
    assert [s["disabled"] for s in states if s.get("description") == "Unsubscribe"] == [True]
