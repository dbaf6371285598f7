"""%%cache between kernels: after a restart, three at once, a kernel that is killed, forged data."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from queue import Empty

import pytest

from .conftest import Kernel

SHOWS = """%%cache shown
from IPython.display import display, HTML
import sys
with open("shows", "a") as _file: _file.write("x")
print("printed", flush=True)  # the two streams have no order else
print("warned", file=sys.stderr, flush=True)
_handle = display(HTML("<b>first</b>"), display_id=True)
_handle.update(HTML("<b>last</b>"))
display({"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}, raw=True)
number = 42
number
"""
SLOW = """%%cache slow
import time
with open("runs", "a") as _file: _file.write("x")
for _ in range(1_000):
    if __import__("os").path.exists("go"): break
    time.sleep(0.1)
print("done")
7"""


def kinds(outputs):
    return [kind for kind, _ in outputs]


def load(kernel):
    """Begin anew in a kernel, in the home of the project."""
    kernel.run("import os; os.environ['AGENTNB_HOME'] = os.path.abspath('.agentnb')")
    kernel.run("%load_ext agentnb")
    kernel.run("hub.cache.keys()")  # a home that is made says so


@pytest.fixture(scope="module")
def others(kernel):
    """Start two more kernels in the project of the first."""
    from jupyter_client.manager import start_new_kernel

    load(kernel)
    folder = str(project(kernel))
    started = [
        start_new_kernel(
            kernel_name="python3",
            cwd=folder,
            extra_arguments=["--HistoryManager.enabled=False"],
        )
        for _ in range(2)
    ]
    made = [Kernel(manager, client) for manager, client in started]
    for one in made:
        load(one)
    yield made
    for manager, client in started:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def project(kernel):
    return Path(kernel.run("__import__('os').getcwd()")[0].strip("'"))


def test_a_kernel_that_is_restarted_shows_what_the_one_before_showed(kernel):
    load(kernel)
    first = kernel.outputs(SHOWS)
    assert kinds(first) == ["stdout", "stderr", "display_data", "display_data", "execute_result"]
    assert first[2][1]["text/html"] == "<b>last</b>"
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    load(kernel)
    assert kernel.outputs(SHOWS) == first
    assert (project(kernel) / "shows").read_text() == "x"
    assert kernel.run("number") == ("42", "")


class Running:
    """A cell that a kernel runs, and what it has sent so far."""

    def __init__(self, kernel, source):
        self.kernel, self.asked = kernel, kernel.client.execute(source)
        self.messages = []

    def look(self):
        """Take the messages that are there; return whether the cell is done."""
        with suppress(Empty):
            while True:
                message = self.kernel.client.get_iopub_msg(timeout=0.02)
                if message["parent_header"].get("msg_id") == self.asked:
                    self.messages.append(message)
        return any(one["content"].get("execution_state") == "idle" for one in self.messages)

    def text(self, stream):
        """Return what was printed."""
        contents = [one["content"] for one in self.messages if one["msg_type"] == "stream"]
        return "".join(one["text"] for one in contents if one["name"] == stream)


def test_of_three_kernels_at_once_one_runs_a_cell_and_all_show_its_outcome(kernel, others, until):
    load(kernel)
    folder = project(kernel)
    running = [Running(one, SLOW) for one in (kernel, *others)]

    def two_wait():
        for one in running:
            one.look()
        return sum("another kernel runs this cell" in one.text("stderr") for one in running) == 2

    until(two_wait)
    (folder / "go").touch()
    until(lambda: [one.look() for one in running] == [True] * 3)
    assert (folder / "runs").read_text() == "x"
    for one in running:
        assert one.text("stdout") == "done\n"
        results = [m["content"]["data"] for m in one.messages if m["msg_type"] == "execute_result"]
        assert results == [{"text/plain": "7"}]


def test_a_cell_that_raises_or_whose_kernel_is_killed_is_run_by_the_next(kernel, others, until):
    load(kernel)
    folder = project(kernel)
    source = """%%cache failing
import os, time
with open("tries", "a") as _file: _file.write("x")
if os.path.getsize("tries") == 1:
    while not os.path.exists("killed"): time.sleep(0.05)
if os.path.getsize("tries") == 2: 1 / 0
9"""
    first = Running(others[0], source)
    until((folder / "tries").exists)
    second = Running(others[1], source)
    third = Running(kernel, source)
    until(lambda: [one.look() for one in (second, third)] and second.text("stderr"))
    os.kill(others[0].manager.provisioner.process.pid, signal.SIGKILL)
    until(lambda: [one.look() for one in (second, third)] == [True] * 2)
    assert len((folder / "tries").read_text()) == 3
    ends = sorted(one.messages[-2]["msg_type"] for one in (second, third))
    assert ends == ["error", "execute_result"]
    assert not first.text("stdout")


KILL = """
import os, signal
from agentnb.core.cache.files import Path
_replace = Path.replace
def _killed(path, to):
    if path.suffix == ".part":
        os.kill(os.getpid(), signal.SIGKILL)
    return _replace(path, to)
Path.replace = _killed
"""
KEEPS = """%%cache large
import os
with open("written", "a") as _file: _file.write("x")
data = os.urandom(3_000_000)
"""


def test_a_kernel_that_is_killed_while_it_keeps_an_outcome_leaves_none(kernel):
    load(kernel)
    folder = project(kernel)
    kernel.run(KILL)
    kernel.client.execute(KEEPS)
    kernel.manager.provisioner.process.wait()
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    load(kernel)
    assert list((folder / ".agentnb" / "cache").glob("*.part"))
    for _ in range(2):
        kernel.outputs(KEEPS)
        assert (folder / "written").read_text() == "xx"
        assert kernel.run("len(data)") == ("3000000", "")


def test_a_forged_pickle_is_never_loaded(kernel):
    load(kernel)
    folder = project(kernel)
    source = "%%cache pickled\nprint('mine')\nkept = bytes(2_000_000)\n7"
    kernel.outputs(source)
    kernel.run(PICKLE)
    for place in ("value", "record", "file", "names"):
        kernel.run(f"forge({place!r})")
        assert kernel.outputs(source)[-1] == ("execute_result", {"text/plain": "7"})
        kernel.run("hub.cache.get('pickled'), kept")
    assert not (folder / "canary").exists()


PICKLE = """
import pickle, pathlib, msgspec
class Canary:
    def __reduce__(self): return (pathlib.Path("canary").touch, ())
EVIL = pickle.dumps(Canary())
def forge(place):
    redis, cells = hub.cache._redis, hub.cache.cells
    if place == "value": redis.set(hub.cache._keys.cache("pickled"), EVIL, px=60_000)
    if place == "record": redis.set(cells._key("pickled"), EVIL, px=60_000)
    if place == "names":
        kept = msgspec.msgpack.decode(redis.get(cells._key("pickled")))
        kept["names"] = {name: EVIL for name in kept["names"]}
        redis.set(cells._key("pickled"), msgspec.msgpack.encode(kept), px=60_000)
    if place == "file":
        for one in pathlib.Path(os.environ["AGENTNB_HOME"], "cache").iterdir():
            if one.is_file(): one.chmod(0o600); one.write_bytes(EVIL)
"""
