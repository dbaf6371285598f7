"""Tasks that wait hold no worker: a thousand questions, and a planner beside its children."""

from __future__ import annotations

import statistics
import threading
import time

from rounds import Row, scratch

from agentnb.core.db import Database
from agentnb.core.workflow import Orchestrator, Task

TASKS, CHILDREN = 1000, 5
WORK = 0.05  # seconds of a child


def asked(flows, tasks):
    """Return the threads and slots that parked tasks hold, and the seconds until all are done."""
    worker = flows.work(concurrency=2)
    before = threading.active_count()
    names = [f"t{number}" for number in range(tasks)]
    made = flows.create("questions", [Task(name, agent="ask") for name in names])
    while flows.counts([made])[made.id].get("parked", 0) < tasks:
        time.sleep(0.02)
    held = worker.busy + threading.active_count() - before
    began = time.perf_counter()
    for name in names:
        made.answer(name, "go", 1)
    made.wait(120)
    return held, time.perf_counter() - began


def planned(flows):
    """Return the seconds that a planner takes beyond the work of its children."""
    began = time.perf_counter()
    flows.create("plan", [Task("plan")]).wait(120)
    return time.perf_counter() - began - CHILDREN * WORK


def measure(*, quick):
    """Return the rows."""
    tasks = 100 if quick else TASKS
    with (
        scratch() as folder,
        Database(f"sqlite:///{folder}/a.db") as database,
        Orchestrator(database) as flows,
    ):
        flows.agent("ask")(lambda _, ctx: ctx.ask("go"))
        flows.agent("work")(lambda _: time.sleep(WORK))
        flows.agent("plan")(lambda _, ctx: ctx.map("work", range(CHILDREN)))
        held, seconds = asked(flows, tasks)
        flows.stop()
        flows.work(concurrency=1)
        planned(flows)
        beyond = statistics.median(planned(flows) for _ in range(3 if quick else 10))
    what = f"{tasks:,} parked tasks"
    return [
        Row(f"{what}: threads and slots that they hold", f"{held}", "", held, 0, "held"),
        Row(f"{what}: answered and done", f"{seconds:.2f} s", "", seconds, 5, "s"),
        Row(
            f"a planner and {CHILDREN} children at concurrency 1, beyond their work",
            f"{beyond * 1000:.0f} ms",
            "",
            beyond * 1000,
            1000,
            "ms",
        ),
    ]
