"""Jobs that run by an executor, beside the threads of their worker."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from rounds import Row, compared, embedded, scratch

sys.path.append(str(Path(__file__).parents[2]))  # and to those that a far side imports
from tests.dask_cluster import cluster

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


def on_dask(hub, *, quick):
    """Return the row of an attempt on Dask, over a call of its client alone; one at a time."""
    from distributed import Client

    rounds, calls = (1, 20) if quick else (5, 100)
    with (
        cluster(Path.cwd(), workers=1, threads=2) as made,
        Client(made.address.replace("dask", "tcp"), set_as_default=False) as client,
    ):
        queue = hub.queue("noop-dask")
        queue.work(nothing, executor=made.address, concurrency=1)
        queue.add(None).result(60)
        over, bare, spent = [], [], []
        for _ in range(rounds):
            started = time.perf_counter()
            for n in range(calls):
                client.submit(abs, -n, pure=False, retries=0).result()
            between = time.perf_counter()
            for _ in range(calls):
                queue.add(None).result(60)
            ended = time.perf_counter()
            bare.append((between - started) / calls * 1000)
            spent.append((ended - between) / calls * 1000)
            over.append(spent[-1] - bare[-1])
        queue.stop()
    peers = f"client.submit {statistics.median(bare):.1f} ms"
    ours = f"{statistics.median(spent):.1f} ms"
    return Row("a job on Dask, over its call", ours, peers, statistics.median(over), 15, "ms")


def measure(*, quick=False):
    """Return the rows."""
    rounds, jobs = (1, 500) if quick else (5, JOBS)
    found = {shown: [] for shown in _SHOWN.values()}
    with scratch(), embedded() as (hub, _):
        queue = hub.queue("noop")
        for _ in range(rounds):
            for executor, shown in _SHOWN.items():
                found[shown].append(drained(queue, executor, jobs))
        dask = on_dask(hub, quick=quick)
    what = f"drain, each of {jobs:,} no-op jobs, in 5 processes"
    ours, peer = _SHOWN["processes"], _SHOWN["threads"]
    return [compared(what, found, ours, peer, target=1 / 0.6, unit="µs"), dask]
