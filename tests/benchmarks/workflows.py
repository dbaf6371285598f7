"""Workflows on SQLite: a chain and a fan-out of tasks that do nothing; a worker's death."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time

from rounds import Row, scratch

TASKS = 100
LEASE = 2.0
_CREATE, _RESUME = 20.0, (LEASE + 1.0) * 1000

_DYING = """
import os, time
import agentnb
hub = agentnb.connect()

@hub.workflows.agent("sleep")
def sleep(task, ctx):
    os.write(1, b"begun\\n")
    time.sleep(60)

hub.workflows.work()
time.sleep(60)
"""


def chain(task):
    """Return tasks each of which needs the one before."""
    return [task(f"t{n}", agent="noop", needs=[f"t{n - 1}"] if n else []) for n in range(TASKS)]


def fan_out(task):
    """Return tasks that need nothing."""
    return [task(f"t{n}", agent="noop") for n in range(TASKS)]


class Ours:
    """The hub's workflows, with their heartbeats, spans, events and outbox as they come."""

    def __init__(self):
        import agentnb
        from agentnb.core.workflow import Task

        self.hub, self.task = agentnb.connect(), Task
        self.hub.workflows.agent("noop")(lambda task: None)  # noqa: ARG005 - what it is given
        self.hub.workflows.work()
        self.run(lambda task: [task("warm", agent="noop")])

    def run(self, shape):
        """Return the ms from the making of a workflow to its end."""
        began = time.perf_counter()
        self.hub.workflows.create("bench", shape(self.task)).wait(60)
        return (time.perf_counter() - began) * 1000

    def create(self):
        """Return the ms that the making of a workflow takes."""
        tasks = [self.task(f"t{n}", agent="noop", delay=3600) for n in range(TASKS)]
        began = time.perf_counter()
        made = self.hub.workflows.create("bench", tasks)
        ms = (time.perf_counter() - began) * 1000
        made.cancel()
        return ms

    def close(self):
        """Stop it."""
        self.hub.close()


def resume():
    """Return the ms from the death of a worker to the end of its task elsewhere."""
    import agentnb

    with agentnb.connect() as hub:
        hub.workflows.agent("sleep")(lambda task: None)  # noqa: ARG005 - as above
        workflow = hub.workflows.create("bench", [{"name": "sleep"}])
        dying = subprocess.Popen([sys.executable, "-c", _DYING], stdout=subprocess.PIPE)
        with dying.stdout:
            dying.stdout.readline()
            hub.workflows.work()
            os.kill(dying.pid, signal.SIGKILL)
            began = time.perf_counter()
            dying.wait()
        workflow.wait(60)
        return (time.perf_counter() - began) * 1000


def measure(*, quick):
    """Return the rows."""
    rounds = 3 if quick else 9
    with scratch():
        os.environ["AGENTNB_WORKFLOW_LEASE"] = str(LEASE)
        ours = Ours()
        try:
            chained = [ours.run(chain) for _ in range(rounds)]
            fanned = [ours.run(fan_out) for _ in range(rounds)]
            created = [ours.create() for _ in range(rounds)]
        finally:
            ours.close()
        resumed = statistics.median(resume() for _ in range(1 if quick else 3))
    made = statistics.median(created)
    return [
        row("workflow: 100 tasks, a chain", statistics.median(chained)),
        row("workflow: 100 tasks, a fan-out", statistics.median(fanned)),
        row("workflow: make one of 100 tasks", made, _CREATE),
        row("workflow: kill -9 to the task's end elsewhere", resumed, _RESUME),
    ]


def row(what, ms, target=None):
    """Return a row of milliseconds, beside nobody."""
    return Row(what, f"{ms:,.1f} ms", "", ms, target, "ms")
