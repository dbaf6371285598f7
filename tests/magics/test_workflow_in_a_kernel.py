"""%workflow where it is used: in a kernel, and with agents in a process of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


def test_an_interrupted_run_stops_looking_and_the_work_goes_on(kernel):
    kernel.run("import threading\ngo = threading.Event()")
    kernel.run("%%agent slow\ngo.wait(60)\n'done'")
    shown, raised = kernel.run(
        "%%workflow patience --run\nslow", when_printed=kernel.manager.interrupt_kernel
    )
    assert "▶ active" in shown
    assert "patience still runs: %workflow watch " in shown
    assert "%workflow cancel " in shown
    assert "KeyboardInterrupt" in raised
    kernel.run("go.set()")
    assert kernel.run("hub.workflows.get('patience').wait(20).result")[0] == "{'slow': 'done'}"
    kernel.run("%workflow stop --quiet")


def test_an_interrupted_watch_gives_back_what_it_saw_last(kernel):
    kernel.run("%%agent later\n1")
    kernel.run("%%workflow looked-at\nlater: !delay=3600")
    shown, raised = kernel.run(
        "view = %workflow watch looked-at", when_printed=kernel.manager.interrupt_kernel
    )
    assert raised == ""
    assert "◷ delayed" in shown
    assert kernel.run("view.state")[0] == "'active'"


def test_what_an_agent_prints_or_displays_never_lands_in_a_cell(kernel):
    kernel.run(
        "%%agent prints\n"
        "import sys\n"
        "print('printed', task.name)\n"
        "print('err', file=sys.stderr)\n"
        "display({'shown': task.data})"
    )
    kernel.run("%workflow work --quiet")
    lines = "\n".join(f"t{n}: prints {n}" for n in range(5))
    kernel.run(f"%%workflow talks --quiet\n{lines}")
    assert kernel.run("print(hub.workflows.get('talks').wait(20).state)") == ("completed\n", "")
    assert kernel.run("print('next')") == ("next\n", "")
    shown, _ = kernel.run("hub.workflows.get('talks').logs('t3')")
    assert shown == "['printed t3', 'err', \"{'shown': 3}\"]"
    kernel.run("%workflow stop --quiet")


def test_what_is_printed_after_the_cell_has_ended_is_the_tasks_as_well(kernel):
    kernel.run("import threading, time\nfirst, go = threading.Event(), threading.Event()")
    kernel.run("%%agent twice\nprint('before')\nfirst.set()\ngo.wait(30)\nprint('after')")
    kernel.run("%%workflow spans --quiet\ntwice")
    # The first line comes while a cell runs, the second while another one does.
    kernel.run("worker = hub.workflows.work()\nfirst.wait(30)")
    shown, _ = kernel.run("go.set()\nworkflow = hub.workflows.get('spans').wait(30)")
    assert shown == ""
    assert kernel.run("workflow.logs('twice')")[0] == "['before', 'after']"
    kernel.run("%workflow stop --quiet")


def test_the_traceback_of_a_task_shows_the_lines_of_the_cell(kernel):
    kernel.run("%%agent fails --attempts 1\nvalue = 1\nvalue / task.data  # the user's line")
    _, raised = kernel.run("%%workflow sums --run\nfails: fails 0")
    assert "TaskFailed" in raised
    assert "ZeroDivisionError" in raised
    shown, _ = kernel.run("%workflow show sums fails")
    assert "line 3, in run" in shown
    assert "value / task.data  # the user's line" in shown


def test_an_agent_written_in_a_cell_works_in_a_process_of_its_own(kernel):
    kernel.run("import os, math")
    shown, _ = kernel.run("%%agent roots\nctx.log('here')\n[os.getpid(), math.sqrt(task.data)]")
    assert "agentnb worker --agents roots" in shown
    kernel.run("%%workflow elsewhere --quiet\nroots: roots 49")
    home = json.loads(kernel.run("import json; print(json.dumps(str(hub.settings.home)))")[0])
    worker = subprocess.Popen(
        [sys.executable, "-m", "agentnb.cli", "worker", "--agents", "roots"],
        env=os.environ | {"AGENTNB_HOME": home},
        cwd=Path(home).parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        shown, raised = kernel.run("w = %workflow watch elsewhere --timeout 40\nw.state")
        assert raised == ""
        assert shown.endswith("'completed'")
        pid, root = json.loads(kernel.run("print(json.dumps(w.result['roots']))")[0])
        assert pid != int(kernel.run("print(os.getpid())")[0])
        assert root == 7.0
    finally:
        worker.send_signal(signal.SIGTERM)
        said = worker.communicate(timeout=40)[0]
    assert worker.returncode == 0, said


def test_an_agent_of_the_kernel_only_waits_for_it_and_a_worker_process_says_why(kernel):
    kernel.run("factor = 3")
    shown, _ = kernel.run("%%agent times\nfactor * task.data")
    assert "in this kernel only" in shown
    home = json.loads(kernel.run("import json; print(json.dumps(str(hub.settings.home)))")[0])
    done = subprocess.run(
        [sys.executable, "-m", "agentnb.cli", "worker", "--agents", "times", "--drain"],
        env=os.environ | {"AGENTNB_HOME": home},
        cwd=Path(home).parent,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "factor" in done.stdout + done.stderr
    assert kernel.run("%workflow list --quiet") == ("", "")
