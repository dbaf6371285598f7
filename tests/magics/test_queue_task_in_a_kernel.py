"""%%queue task where it is used: in a kernel, and in a process that has only its module."""

from __future__ import annotations

import json
import subprocess
import sys

# What `agentnb worker` does, in short.
WORKER = """
import sys
from pathlib import Path
import agentnb
from agentnb.core.modules import load_module, module_path
from agentnb.core.queue.processing import marked

home, name, job = sys.argv[1:]
found = marked(load_module(module_path(Path(home), "queue", name)))[name]
with agentnb.connect(home=home) as hub:
    queue = hub.queue(name)
    with queue.work(found.function, concurrency=1):
        queue.get(job).result(timeout=30)
"""


def test_what_a_processor_prints_or_displays_never_lands_in_a_cell(kernel):
    kernel.run(
        "%%queue task prints\n"
        "import sys\n"
        "print('printed', job.data)\n"
        "print('err', file=sys.stderr)\n"
        "display({'shown': job.data})\n"
        "job.data"
    )
    kernel.run("%queue work prints -c 2 --quiet")
    assert kernel.run(
        "jobs = [hub.queue('prints').add(n) for n in range(5)]\n"
        "print([job.result(timeout=20) for job in jobs])"
    ) == ("[0, 1, 2, 3, 4]\n", "")
    assert kernel.run("print('next')") == ("next\n", "")
    shown, _ = kernel.run("jobs[3].logs()")
    assert shown == "['printed 3', 'err', \"{'shown': 3}\"]"
    kernel.run("%queue stop prints --quiet")


def test_the_traceback_of_a_job_shows_the_lines_of_the_cell(kernel):
    kernel.run("%%queue task fails\nvalue = 1\nvalue / job.data  # the user's line")
    kernel.run("%queue work fails -c 1 --quiet")
    kernel.run("job = hub.queue('fails').add(0, attempts=1)")
    _, raised = kernel.run("job.result(timeout=20)")
    assert "ZeroDivisionError" in raised
    shown, _ = kernel.run("%queue show :job")
    assert "line 3, in process" in shown
    assert "value / job.data  # the user's line" in shown
    kernel.run("%queue stop fails --quiet")


def test_an_interrupted_drain_stops_waiting_and_the_worker_goes_on(kernel):
    kernel.run("import threading\ngo = threading.Event()")
    kernel.run("%%queue task slow\ngo.wait(60)\n'done'")
    kernel.run("job = %queue add slow")
    shown, raised = kernel.run(
        "%queue work slow -c 1 --drain", when_printed=kernel.manager.interrupt_kernel
    )
    assert shown.startswith("slow: 0 of 1")
    assert "%queue stop slow" in shown
    assert "KeyboardInterrupt" in raised
    kernel.run("go.set()")
    assert kernel.run("job.result(timeout=20)")[0] == "'done'"
    kernel.run("%queue stop slow --quiet")


def test_work_shows_how_far_the_jobs_that_are_left_are_while_the_notebook_goes_on(kernel):
    kernel.run("import threading\nnext_ = threading.Semaphore(0)")
    kernel.run("%%queue task bar\nnext_.acquire(timeout=60)\n'done'")
    kernel.run("jobs = [hub.queue('bar').add(n) for n in range(3)]")
    shown, _ = kernel.run("%queue work bar -c 1")
    assert shown.startswith("bar: 0 of 3")
    asked = kernel.client.execute("for _ in jobs: next_.release()\n[j.result(20) for j in jobs]")
    seen = []
    while "bar: 3 of 3" not in seen:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "update_display_data":
            seen.append(message["content"]["data"]["text/plain"])
            assert message["parent_header"]["msg_id"] != asked  # not in the cell that runs now
    kernel.run("%queue stop bar --quiet")
    assert kernel.run("%queue work bar -c 1 --quiet") == ("", "")
    shown, _ = kernel.run("%queue work bar -c 1")
    assert shown == "Worker('bar', 1 thread, idle)"  # no job is left: there is no bar
    kernel.run("%queue stop bar --quiet")


def test_a_processor_written_in_a_cell_runs_in_another_process(kernel):
    kernel.run("import os, math")
    shown, _ = kernel.run(
        "%%queue task roots\nprint('in', job.id)\n[os.getpid(), math.sqrt(job.data)]"
    )
    assert "agentnb worker roots" in shown
    kernel.run("job = hub.queue('roots').add(49)")
    home, job = json.loads(
        kernel.run("import json; print(json.dumps([str(hub.settings.home), job.id]))")[0]
    )
    done = subprocess.run(
        [sys.executable, "-c", WORKER, home, "roots", job],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    pid, here, root = json.loads(
        kernel.run("print(json.dumps([job.result()[0], os.getpid(), job.result()[1]]))")[0]
    )
    assert pid != here
    assert root == 7.0
