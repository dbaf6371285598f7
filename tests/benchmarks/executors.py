"""Jobs that run by an executor, beside the threads of their worker."""

from __future__ import annotations

import time

from rounds import compared, embedded, scratch

JOBS, THREADS = 3000, 5
_SHOWN = {"threads": "5 threads", "processes": "processes, 5"}


def nothing(job):
    """Do nothing: what is measured is the way of an attempt."""


def drained(queue, executor, jobs):
    """Return the seconds that one job takes, of many that wait when the worker is warm."""
    worker = queue.work(nothing, executor=executor, concurrency=THREADS)
    for job in [queue.add(None) for _ in range(THREADS)]:
        job.result(60)
    queue.pause()
    for _ in range(jobs):
        queue.add(None)
    started = time.perf_counter()
    queue.resume()
    worker.drain()
    ended = time.perf_counter()
    queue.stop()
    return (ended - started) / jobs


def measure(*, quick=False):
    """Return the rows."""
    rounds, jobs = (1, 500) if quick else (5, JOBS)
    found = {shown: [] for shown in _SHOWN.values()}
    with scratch(), embedded() as (hub, _):
        queue = hub.queue("noop")
        for _ in range(rounds):
            for executor, shown in _SHOWN.items():
                found[shown].append(drained(queue, executor, jobs))
    what = f"drain, each of {jobs:,} no-op jobs"
    ours, peer = _SHOWN["processes"], _SHOWN["threads"]
    return [compared(what, found, ours, peer, target=1 / 0.6, unit="µs")]
