"""Many jobs at once: `add_many` beside `add`, and `map` beside a drain of the same queue."""

from __future__ import annotations

import multiprocessing
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor

from rounds import Row, compared, embedded, scratch

JOBS, THREADS = 10_000, 5
_PATIENCE = 300.0


def noop(job):
    """Do nothing."""


def _queue(name):
    import agentnb

    hub = agentnb.connect()
    queue = hub.queue(name)
    queue.process(noop)
    queue.add_many(range(10))  # connects, and imports what is imported late
    queue.work(concurrency=THREADS).drain(_PATIENCE)
    queue.stop()
    return hub, queue


def _added(hub, queue, jobs, add):
    began = time.perf_counter()
    add(queue, jobs)
    took = time.perf_counter() - began
    hub.close()
    return took / jobs


def add(name, jobs):
    """Return the seconds that a job takes to add, one after another."""
    hub, queue = _queue(name)
    return _added(hub, queue, jobs, lambda queue, jobs: [queue.add(n) for n in range(jobs)])


def add_many(name, jobs):
    """Return the seconds that a job takes to add, all at once."""
    hub, queue = _queue(name)
    return _added(hub, queue, jobs, lambda queue, jobs: queue.add_many(range(jobs)))


def drain(name, jobs):
    """Return the seconds that a job takes which waits already."""
    hub, queue = _queue(name)
    queue.add_many(range(jobs))
    return _added(hub, queue, jobs, lambda queue, _: queue.work(concurrency=THREADS).drain())


def mapped(name, jobs):
    """Return the seconds that an item takes, from the call until all results are read."""
    hub, queue = _queue(name)
    return _added(hub, queue, jobs, lambda queue, jobs: queue.map(noop, range(jobs)).results())


def peak(name, jobs):
    """Return the most megabytes that are held while a generator is mapped."""
    hub, queue = _queue(name)
    tracemalloc.start()
    queue.map(None, ({"n": n, "text": "x" * 200 + str(n)} for n in range(jobs)), key=name)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    hub.close()
    return most / 1e6


def by_turns(calls, jobs, rounds):
    """Return the seconds of each call, a number a round; each time in a fresh process."""
    found = {name: [] for name in calls}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for turn in range(rounds + 1):
            for name, call in calls.items():
                number = pool.submit(call, f"{call.__name__}-{turn}", jobs).result()
                if turn:  # the first warms up
                    found[name].append(number)
    return found


def measure(*, quick=False):
    """Return the rows."""
    rounds, jobs = (1, 2000) if quick else (3, JOBS)
    calls = {"add": add, "add_many": add_many, "drain": drain, "map": mapped}
    with scratch(), embedded():
        found = by_turns(calls, jobs, rounds)
        items = 10_000 if quick else 100_000
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            most = pool.submit(peak, "peak", items).result()
    return [
        compared(
            f"`add_many`, each of {jobs:,} jobs", found, "add_many", "add", target=0.5, unit="µs"
        ),
        compared(
            f"`map` of {jobs:,} no-ops until all results are read, each",
            found,
            "map",
            "drain",
            target=1 / 0.8,
            unit="µs",
        ),
        Row(
            f"memory while {items:,} items of 250 B are mapped", f"{most:.2g} MB", "", most, 5, "MB"
        ),
    ]
