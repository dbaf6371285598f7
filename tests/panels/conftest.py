"""A real kernel, and a client that speaks to it as JupyterLab does."""

from __future__ import annotations

import time
from queue import Empty

import pytest

import agentnb
from tests.waiting import until

SETUP = """
import threading, gc
from agentnb.panels import Panel, PanelRegistry, TableView, button, cell_id, choice, label, row
from agentnb.panels import run_id, text_box
from ipywidgets.widgets.widget import _instances
"""


class Lab:
    """What the browser is to a kernel: runs cells, clicks, and counts what comes over the wire."""

    def __init__(self, client):
        self.client = client
        self.comms = {}
        self.traffic = []

    def run(self, code, *, metadata=None):
        """Run a cell; return its text outputs, its bundles, and raise what it raised."""
        return self.finish(self.start(code, metadata=metadata))

    def start(self, code, *, metadata=None):
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        message = self.client.session.msg("execute_request", content, metadata=metadata or {})
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def finish(self, msg_id, timeout=60):
        texts, bundles = [], []
        while True:
            message = self.take(timeout)
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                texts.append(content["text"])
            elif kind in {"execute_result", "display_data"}:
                bundles.append(content["data"])
            elif kind == "error":
                raise AssertionError("\n".join(content["traceback"]))
            elif (
                kind == "status"
                and content["execution_state"] == "idle"
                and message["parent_header"].get("msg_id") == msg_id
            ):
                return "".join(texts), bundles

    def take(self, timeout=30):
        """Return the next message from the kernel, remembering what widgets were opened."""
        message = self.client.get_iopub_msg(timeout=timeout)
        kind, content = message["msg_type"], message["content"]
        if kind == "comm_open":
            self.comms[content["comm_id"]] = content["data"]["state"]
        elif kind == "comm_msg" and content["data"].get("method") == "update":
            self.comms[content["comm_id"]].update(content["data"]["state"])
        elif kind == "comm_close":
            self.comms.pop(content["comm_id"], None)
        if kind.startswith("comm_"):
            self.traffic.append(message)
        return message

    def until(self, ready, timeout=30):
        """Take messages until the condition holds."""
        end = time.monotonic() + timeout
        while not ready():
            try:
                self.take(timeout=max(0.01, min(0.5, end - time.monotonic())))
            except Empty:
                assert time.monotonic() < end, "the kernel never said so"

    def size(self, message):
        """Return the bytes of a message on the wire, envelope included."""
        pack = self.client.session.pack
        parts = ("header", "parent_header", "metadata", "content")
        signature, delimiter = 64, len(b"<IDS|MSG>")
        return signature + delimiter + sum(len(pack(message[part])) for part in parts)

    def find(self, **state):
        """Return the comm id of the open widget whose state holds these values."""
        return next(
            comm
            for comm, known in self.comms.items()
            if all(known.get(name) == value for name, value in state.items())
        )

    def subshell(self):
        """Start a thread in the kernel for messages that must not wait, as JupyterLab does."""
        request = self.client.session.msg("create_subshell_request")
        self.client.control_channel.send(request)
        return self.client.get_control_msg(timeout=30)["content"]["subshell_id"]

    def send(self, comm_id, content, *, subshell=None):
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]


@pytest.fixture(scope="module")
def running_kernel():
    manager_module = pytest.importorskip("jupyter_client.manager")
    manager, client = manager_module.start_new_kernel(kernel_name="python3")
    yield Lab(client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def lab(running_kernel):
    """Yield a kernel with the panels imported and every widget of the test before closed."""
    running_kernel.run(SETUP)
    yield running_kernel
    running_kernel.run("for each in list(_instances.values()): each.close()")
    running_kernel.comms.clear()
    running_kernel.traffic.clear()


@pytest.fixture
def hub(redis_home):
    with agentnb.connect(home=redis_home) as hub:
        yield hub


@pytest.fixture
def view(request, hub):
    """Return what opens the PANEL of the test's module, refreshed once and then by hand."""
    made = []

    def open_view(**options):
        made.append(request.module.PANEL(hub, every=None, **options))
        made[-1].panel.refresh()
        until(lambda: made[-1].panel.state != "loading")
        return made[-1]

    yield open_view
    for one in made:
        one.panel.close()


@pytest.fixture
def choose():
    """Return what chooses in a list as the page does: by the place of the option."""

    def choose_option(widget, option):
        widget.set_state({"index": list(widget.options).index(option)})

    return choose_option
