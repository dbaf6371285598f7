"""Workers of a script that block until a signal, as ``agentnb worker`` does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import UsageError

SCRIPT = """
import sys, time, pathlib, agentnb

def slow(job):
    pathlib.Path(job.data["mark"]).touch()
    time.sleep(job.data["seconds"])
    return "done"

with agentnb.connect() as hub:
    worker = hub.queue("slow").work(slow)
    if sys.argv[1] == "all":
        hub.queue("other").work(slow)
        hub.workflows.agent("a")(lambda task: 1)
        hub.workflows.work()
        print("ended:", hub.run_workers(grace=float(sys.argv[2])), flush=True)
    else:
        print("ended:", worker.run(grace=float(sys.argv[2])), flush=True)
print("closed", flush=True)
"""


@pytest.fixture
def script(steady_home, tmp_path, monkeypatch):
    """Return what starts the script on a hub's queue, and the hub."""
    (tmp_path / "service.py").write_text(SCRIPT)
    monkeypatch.setenv("AGENTNB_KEY_PREFIX", f"run-{tmp_path.name}")
    started = []

    def start(*words):
        process = subprocess.Popen(
            [sys.executable, "service.py", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "AGENTNB_HOME": str(steady_home)},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    with agentnb.connect(home=steady_home) as hub:
        yield start, hub
    for process in started:
        process.kill()
        process.communicate()


def handles_sigterm(process):
    """Return whether the process has come to `run`; before it a signal ends it."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
    return bool(caught & 1 << (signal.SIGTERM - 1))


@pytest.mark.parametrize("which", ["one", "all"])
def test_a_signal_lets_what_runs_end_and_returns(script, tmp_path, until, which):
    start, hub = script
    mark = tmp_path / "begun"
    process = start(which, 60)
    job = hub.queue("slow").add({"mark": str(mark), "seconds": 1})
    until(mark.exists, 60)
    until(lambda: handles_sigterm(process), 60)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert said.splitlines() == ["ended: True", "closed"]
    assert process.returncode == 0
    assert job.result(timeout=10) == "done"


def test_what_does_not_end_is_released_uncounted(script, tmp_path, until):
    start, hub = script
    mark = tmp_path / "begun"
    process = start("one", 0.1)
    job = hub.queue("slow").add({"mark": str(mark), "seconds": 600})
    until(mark.exists, 60)
    until(lambda: handles_sigterm(process), 60)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert said.splitlines() == ["ended: False", "closed"]
    job.refresh()
    assert (job.state, job.attempt) == ("waiting", 0)


def test_a_second_signal_ends_the_process(script, tmp_path, until):
    start, hub = script
    mark = tmp_path / "begun"
    process = start("one", 600)
    hub.queue("slow").add({"mark": str(mark), "seconds": 600})
    until(mark.exists, 60)
    until(lambda: handles_sigterm(process), 60)

    def ends():
        process.send_signal(signal.SIGTERM)
        return process.poll() is not None

    until(ends, 60)
    assert process.returncode == 128 + signal.SIGTERM


def test_a_worker_runs_in_the_main_thread_only(tmp_path):
    with agentnb.connect(home=tmp_path, start=tmp_path) as hub:
        with pytest.raises(UsageError, match="no worker was started"):
            hub.run_workers()
        found = []

        def run():
            with pytest.raises(UsageError, match="only the main thread") as caught:
                hub.run_workers()
            found.append(caught.value.hint)

        hub.workflows.agent("a")(print)
        hub.workflows.work(["a"])
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(60)
        assert "main thread" in found[0]
