"""%%cache where it is used: in a kernel, whose tracebacks and interrupts are its own."""

from __future__ import annotations

import re
from queue import Empty

import pytest

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Kernel:
    def __init__(self, manager, client):
        self.manager, self.client = manager, client

    def run(self, code, *, when_printed=None):
        """Run a cell; return what it shows, and what it raised as the kernel tells it."""
        asked = self.client.execute(code)
        shown, raised = [], ""
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=60)
            except Empty:
                pytest.fail(f"the kernel is stuck after {shown}")
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown.append(content["text"])
                if when_printed is not None:
                    when_printed()
            elif kind in {"execute_result", "display_data"}:
                shown.append(content["data"]["text/plain"])
            elif kind == "error":
                raised = _COLOURS.sub("", "\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(shown), raised


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    manager_module = pytest.importorskip("jupyter_client.manager")
    folder = tmp_path_factory.mktemp("project")
    (folder / ".agentnb").mkdir()
    manager, client = manager_module.start_new_kernel(
        kernel_name="python3", cwd=str(folder), extra_arguments=["--HistoryManager.enabled=False"]
    )
    kernel = Kernel(manager, client)
    kernel.run(f"import os; os.environ['AGENTNB_HOME'] = {str(folder / '.agentnb')!r}")
    kernel.run("%load_ext agentnb")
    yield kernel
    client.stop_channels()
    manager.shutdown_kernel()


def test_a_traceback_shows_the_lines_of_the_cell_and_none_of_ours(kernel):
    _, raised = kernel.run("%%cache broken\nvalue = 1\nvalue / 0  # the user's line")
    assert "----> 3 value / 0  # the user's line" in raised
    assert "ZeroDivisionError" in raised
    assert "agentnb" not in raised
    assert kernel.run("hub.cache.keys('broken')") == ("[]", "")


def test_a_traceback_after_an_await_shows_the_line_too(kernel):
    _, raised = kernel.run(
        "%%cache broken\nimport asyncio\nawait asyncio.sleep(0)\nawait asyncio.sleep(0, 1) / 0"
    )
    assert "----> 4 await asyncio.sleep(0, 1) / 0" in raised
    assert "concurrent" not in raised
    assert "agentnb" not in raised


def test_what_an_awaiting_cell_prints_is_shown_in_its_cell(kernel):
    source = "%%cache printed\nimport asyncio\nawait asyncio.sleep(0.05)\nprint('once')\n7"
    assert kernel.run(source) == ("once\n7", "")
    assert kernel.run(source) == ("7", "")


@pytest.mark.parametrize("sleep", ["import time; time.sleep(60)", "await asyncio.sleep(60)"])
def test_an_interrupted_cell_stops_and_keeps_nothing(kernel, sleep):
    source = f"%%cache stopped\nimport asyncio\nprint('begun')\n{sleep}"
    shown, raised = kernel.run(source, when_printed=kernel.manager.interrupt_kernel)
    assert shown == "begun\n"
    assert "KeyboardInterrupt" in raised
    assert kernel.run("hub.cache.keys('stopped')") == ("[]", "")
