"""Workflows beside other orchestrators: a chain, a fan-out, making one, and a worker's death."""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import orchestrators
from peers import installed
from rounds import Row, compared, embedded, scratch, spelt

TASKS = 100
OURS, DBOS, AS_OURS = "hub.workflows", "DBOS", "DBOS set as ours, without a queue"
CELERY, HUEY, PREFECT = "Celery", "huey pipeline", "Prefect"
LEASE = 2.0


class Ours:
    """The hub's workflows on SQLite, worked on in this process, with spans, leases and events."""

    def __init__(self, folder, path):  # noqa: ARG002 - the settings say where everything is
        import agentnb

        self.hub = agentnb.connect()
        self.hub.workflows.agent("noop")(orchestrators.noop)
        self.hub.workflows.work(concurrency=orchestrators.THREADS)

    def chain(self, count):
        self.hub.workflows.create("chain", chained(count)).wait(60)

    def fan(self, count):
        self.hub.workflows.create("fan", side_by_side(count)).wait(60)

    def stop(self):
        self.hub.close()


def chained(count):
    """Return tasks of which each needs the one before."""
    from agentnb.core.workflow import Task

    return [Task(f"t{n}", agent="noop", needs=[f"t{n - 1}"] if n else []) for n in range(count)]


def side_by_side(count):
    """Return tasks that need nothing."""
    from agentnb.core.workflow import Task

    return [Task(f"t{n}", agent="noop") for n in range(count)]


MAKERS = {
    OURS: Ours,
    DBOS: orchestrators.Dbos,
    AS_OURS: orchestrators.DbosAsOurs,
    CELERY: orchestrators.Celery,
    HUEY: orchestrators.Huey,
    PREFECT: orchestrators.Prefect,
}
LIBRARIES = {DBOS: "dbos", AS_OURS: "dbos", CELERY: "celery", HUEY: "huey", PREFECT: "prefect"}


def both(kind, folder, path, repeats):
    """Return the seconds of a chain and of a fan-out, several of each; in a process of its own."""
    os.environ["DATABASE_URL"] = f"sqlite:///{folder}/{OURS}-{os.getpid()}.db"
    one = MAKERS[kind](folder, path)
    one.chain(3)  # connects, and imports what is imported late
    one.fan(3)
    found = [(timed(one.chain), timed(one.fan)) for _ in range(repeats)]
    one.stop()
    return found


def timed(call):
    """Return how many seconds a call for all tasks takes."""
    started = time.perf_counter()
    call(TASKS)
    return time.perf_counter() - started


def in_turn(kinds, folder, path, *, rounds, repeats):
    """Return the chains and the fan-outs of each kind, each round in a fresh process."""
    chains, fans = ({kind: [] for kind in kinds} for _ in range(2))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for _ in range(rounds):
            for kind in kinds:
                # Starting Prefect takes longer than all that is measured of it.
                often = 1 if kind == PREFECT else repeats
                pairs = pool.submit(both, kind, folder, path, often).result()
                chains[kind].append(statistics.median(chain for chain, _ in pairs))
                fans[kind].append(statistics.median(fan for _, fan in pairs))
    return chains, fans


def creation(hub, times):
    """Return the seconds that making a workflow of many tasks takes, a number for each time."""
    hub.workflows.agent("noop")(orchestrators.noop)
    tasks, found = chained(TASKS), []
    for n in range(times + 1):
        started = time.perf_counter()
        made = hub.workflows.create("create", tasks)
        spent = time.perf_counter() - started
        made.cancel()
        if n:  # the first makes the tables
            found.append(spent)
    return found


_VICTIM = """
import time, agentnb
hub = agentnb.connect()
hub.workflows.agent("death")(lambda task, ctx: print("begun", flush=True) or time.sleep(60))
hub.workflows.work()
time.sleep(60)
"""


def resumed(hub, *, elsewhere):
    """Return the seconds from a worker's kill -9 to the task's start on another."""
    from agentnb.core.workflow import Task

    begun = []
    hub.workflows.agent("death", attempts=4, backoff=0)(
        lambda task, ctx: begun.append(time.perf_counter())  # noqa: ARG005 - what it is given
    )
    workflow = hub.workflows.create("death", [Task("death")])
    victim = subprocess.Popen([sys.executable, "-c", _VICTIM], stdout=subprocess.PIPE, text=True)
    victim.stdout.readline()
    if elsewhere:  # a host whose processes cannot be looked at from here
        for table in ("task", "worker"):
            hub.db.execute(
                f"update agentnb_{table} set owner = 'other-' || owner where owner <> ''"
            )
    os.kill(victim.pid, signal.SIGKILL)
    killed = time.perf_counter()
    hub.workflows.work()
    workflow.wait(60)
    hub.workflows.stop()
    victim.wait()
    victim.stdout.close()
    return begun[0] - killed


def measure(*, quick=False):
    """Return the rows."""
    rounds, repeats = (1, 1) if quick else (3, 3)
    kinds = [OURS, *(kind for kind, library in LIBRARIES.items() if installed(library))]
    with scratch() as folder:
        os.environ["AGENTNB_WORKFLOW_LEASE"] = f"{LEASE:g}"
        with embedded() as (hub, path):
            chains, fans = in_turn(kinds, str(folder), path, rounds=rounds, repeats=repeats)
            made = creation(hub, 5 if quick else 20)
            here = [resumed(hub, elsewhere=False) for _ in range(rounds)]
            there = [resumed(hub, elsewhere=True) for _ in range(rounds)]
    rows = []
    for what, found, of_dbos in (
        (f"a chain of {TASKS} tasks that do nothing", chains, 1.0),
        (f"{TASKS} tasks that do nothing, side by side", fans, 1 / 4),
    ):
        targets = {DBOS: (of_dbos, (AS_OURS,)), PREFECT: (1 / 10, ()), CELERY: (1.3, (HUEY,))}
        rows += [
            compared(what, found, OURS, peer, target=target, others=others)
            for peer, (target, others) in targets.items()
            if peer in found
        ]
    median = statistics.median(made) * 1e3
    rows.append(Row(f"making a workflow of {TASKS} tasks", spelt(made), "", median, 20, "ms"))
    rows.append(_death("a task starts again after its worker's `kill -9`, same host", here, 1))
    what = f"the same, another host, a lease of {LEASE:g} s"
    rows.append(_death(what, there, LEASE + 1))
    return rows


def _death(what, seconds, target):
    return Row(what, spelt(seconds), "", statistics.median(seconds), target, "s")
