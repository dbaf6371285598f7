"""The task queue beside others on the same server; delays; and a worker's death."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor

from peers import installed
from rounds import Row, compared, embedded, scratch, spelt

JOBS, THREADS = 5000, 5
OURS, HUEY = "hub.queue", "PriorityRedisHuey"
_PATIENCE = 120.0


def wait_for(count, done):
    """Wait until so many jobs are done; fail if they never are."""
    until = time.monotonic() + _PATIENCE
    while len(done) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(done)} of {count} jobs were done")
        time.sleep(0.002)


def noting(done):
    """Return a job that does nothing but note when it is run."""

    def noop(job):  # noqa: ARG001 - what it is given
        done.append(time.perf_counter())

    return noop


class Ours:
    """The hub's queue, with its leases, spans, log and events as they come."""

    def __init__(self, path, name, done):  # noqa: ARG002 - the home says where the server is
        import agentnb

        self.hub = agentnb.connect()
        self.queue, self.done = self.hub.queue(name), done
        self.queue.process(noting(done))

    def add(self, n):
        self.queue.add(n)

    def start(self):
        self.queue.work(concurrency=THREADS)

    def stop(self):
        self.hub.close()


class Huey:
    """huey on the storage that has priorities, as it comes."""

    def __init__(self, path, name, done):
        from huey import PriorityRedisHuey

        self.done = done
        self.huey = PriorityRedisHuey(name, url=f"unix://{path}")
        self.add = self.huey.task(name="noop")(noting(done))
        self.consumer = None

    def start(self):
        self.consumer = self.huey.create_consumer(workers=THREADS, periodic=False)
        self.consumer._set_signal_handlers = lambda: None
        self.consumer.start()

    def stop(self):
        self.consumer.stop(graceful=True)


class Dramatiq:
    """Dramatiq with its worker in this process."""

    def __init__(self, path, name, done):
        import dramatiq
        from dramatiq.brokers.redis import RedisBroker

        self.done = done
        self.broker = RedisBroker(url=f"unix://{path}", namespace=name)
        self.broker.middleware.clear()  # what it has is for retries and time-outs, and costs time
        actor = dramatiq.actor(
            noting(done),
            actor_name="noop",
            broker=self.broker,
        )
        self.add = actor.send
        self.worker = dramatiq.Worker(self.broker, worker_threads=THREADS)

    def start(self):
        self.worker.start()

    def stop(self):
        self.worker.stop()
        self.broker.close()


class Celery:
    """Celery with its worker in this process, in threads."""

    def __init__(self, path, name, done):
        from celery import Celery as App

        self.done = done
        self.app = App(name, broker=f"redis+socket://{path}")
        self.app.conf.update(
            task_default_queue=name, worker_hijack_root_logger=False, task_ignore_result=True
        )
        task = self.app.task(name=f"{name}.noop")(noting(done))
        self.add = task.delay
        self.worker = None
        self.thread = None

    def start(self):
        self.worker = self.app.WorkController(
            pool="threads",
            concurrency=THREADS,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self.thread = threading.Thread(target=self.worker.start, daemon=True)
        self.thread.start()

    def stop(self):
        with contextlib.suppress(BaseException):  # it raises its own way out
            self.worker.stop(in_sighandler=False)
        self.thread.join(10)


MAKERS = {OURS: Ours, HUEY: Huey, "Dramatiq": Dramatiq, "Celery": Celery}


def throughput(kind, path, name, jobs):
    """Return the seconds that one job takes to add and to drain; in a process of its own."""
    done = []
    one = MAKERS[kind](path, name, done)
    one.add(0)  # connects, and imports what is imported late
    started = time.perf_counter()
    for n in range(jobs):
        one.add(n)
    between = time.perf_counter()
    one.start()
    wait_for(jobs + 1, done)
    ended = time.perf_counter()
    one.stop()
    return (between - started) / jobs, (ended - between) / jobs


def latency(kind, path, name, jobs):
    """Return the median seconds from adding a job to its start; in a process of its own."""
    done, times = [], []
    one = MAKERS[kind](path, name, done)
    one.start()
    for n in range(jobs):
        started = time.perf_counter()
        one.add(n)
        wait_for(n + 1, done)
        times.append(done[-1] - started)
        time.sleep(0.002)
    one.stop()
    return statistics.median(times[jobs // 10 :])


def in_turn(what, kinds, path, *, rounds, jobs):
    """Return what each kind takes, a number a round; each time in a fresh process."""
    found = {kind: [] for kind in kinds}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for turn in range(rounds + 1):
            for kind in kinds:
                name = f"{what.__name__}-{turn}"
                number = pool.submit(what, kind, path, name, jobs).result()
                if turn:  # the first warms up
                    found[kind].append(number)
    return found


def lateness(hub, *, jobs):
    """Return by how many seconds each of many delayed jobs was late."""
    late, due = [], {}
    draw = random.Random(7)
    queue = hub.queue("late")
    queue.work(lambda job: late.append(time.perf_counter() - due[job.data]), concurrency=THREADS)
    for n in range(jobs):
        delay = draw.uniform(0.05, 3.0)
        due[n] = time.perf_counter() + delay
        queue.add(n, delay=delay)
    wait_for(jobs, late)
    queue.stop()
    return sorted(late)


UNLIMITED, BY_PLACES, BY_RATE = "without a limit", "concurrency", "rate"


def claims(hub, *, keys):
    """Return what a claim takes by turns, without limits and by those of as many keys as jobs."""
    limits = {UNLIMITED: {}, BY_PLACES: {"concurrency": 3}, BY_RATE: {"rate": 10, "per": 60}}
    stores = {}
    for name, limit in limits.items():
        queue = hub.queue(f"claims-{name.split()[0]}")
        if limit:
            queue.limit(**limit, by="data.user")
        queue.add_many([{"user": f"user-{n}"} for n in range(keys)])
        stores[name] = queue._work_store()
    found = {name: [] for name in limits}
    for _ in range(keys // 100):
        times = {name: [] for name in limits}
        for _ in range(100):
            for name, store in stores.items():
                started = time.perf_counter()
                store.claim("benchmark")
                times[name].append(time.perf_counter() - started)
        for name, some in times.items():
            found[name].append(statistics.median(some))
    return found


_VICTIM = """
import sys, time, agentnb
hub = agentnb.connect()
hub.queue("death").work(lambda job: print("begun", flush=True) or time.sleep(60), concurrency=1)
time.sleep(60)
"""


def resumed(hub, lease, *, elsewhere):
    """Return the seconds from a worker's kill -9 to the job's start on another."""
    environment = {**os.environ, "AGENTNB_QUEUE_LEASE": f"{lease}"}
    queue = hub.queue("death")
    queue.stop()
    job = queue.add(1)
    victim = subprocess.Popen(
        [sys.executable, "-c", _VICTIM], stdout=subprocess.PIPE, text=True, env=environment
    )
    victim.stdout.readline()
    if elsewhere:  # a host whose processes cannot be looked at from here
        owner = hub.redis.hget(f"{queue._store.jobs}{job.id}", "owner").decode()
        hub.redis.hset(f"{queue._store.jobs}{job.id}", "owner", f"other-{owner}")
    begun = []
    os.kill(victim.pid, signal.SIGKILL)
    killed = time.perf_counter()
    queue.work(lambda _: begun.append(time.perf_counter()), concurrency=1)
    wait_for(1, begun)
    victim.wait()
    victim.stdout.close()
    queue.stop()
    return begun[0] - killed


def scheduled(hub, firings):
    """Return how late jobs of schedules start, in seconds, in order; they are due 100 ms apart."""
    import datetime as dt

    queue, late = hub.queue("scheduled"), []
    begins = dt.datetime.now(dt.UTC)
    names = [f"every-{n}" for n in range(10)]
    for n, name in enumerate(names):
        start = begins + dt.timedelta(milliseconds=100 * n)
        queue.schedule(name, every=1, start=start)
    queue.work(lambda job: late.append(time.time() - job.scheduled_at.timestamp()))
    wait_for(firings, late)
    queue.stop()
    for name in names:
        queue.unschedule(name)
    return sorted(late[len(names) :])  # without those that were due before the worker


def measure(*, quick=False):
    """Return the rows."""
    rounds, jobs = (1, 1000) if quick else (3, JOBS)
    lease = 3.0
    with scratch():
        os.environ["AGENTNB_QUEUE_LEASE"] = f"{lease}"
        with embedded() as (hub, path):
            others = [name for name in ("Dramatiq", "Celery") if installed(name.lower())]
            kinds = [OURS, HUEY, *others]
            both = in_turn(throughput, kinds, path, rounds=rounds, jobs=jobs)
            some = 60 if quick else 200
            waited = in_turn(latency, kinds, path, rounds=rounds, jobs=some)
            keys = 1000 if quick else 10_000
            claimed = claims(hub, keys=keys)
            late = lateness(hub, jobs=50 if quick else 200)
            planned = scheduled(hub, 60 if quick else 300)
            here = [resumed(hub, lease, elsewhere=False) for _ in range(rounds)]
            there = [resumed(hub, lease, elsewhere=True) for _ in range(rounds)]
    us = {"unit": "µs", "others": others}
    added = {kind: [pair[0] for pair in pairs] for kind, pairs in both.items()}
    drained = {kind: [pair[1] for pair in pairs] for kind, pairs in both.items()}
    rows = [
        compared(f"add, each of {jobs:,} jobs", added, OURS, HUEY, target=1 / 0.7, **us),
        compared(f"drain, each of {jobs:,} jobs", drained, OURS, HUEY, target=1 / 0.8, **us),
        compared("from adding to its start", waited, OURS, HUEY, target=1.3, **us),
    ]
    if others:
        best = min(others, key=lambda name: statistics.median(drained[name]))
        what = "add and drain, beside the fastest other"
        both = {kind: [sum(pair) for pair in pairs] for kind, pairs in both.items()}
        rows.append(compared(what, both, OURS, best, target=1.0, unit="µs"))
    for kind in (BY_PLACES, BY_RATE):
        what = f"a claim, by a limited {kind} for each of {keys:,} keys"
        rows.append(compared(what, claimed, kind, UNLIMITED, target=1.3, unit="µs"))
    p99 = late[int(len(late) * 0.99) - 1] * 1e3
    median = statistics.median(late) * 1e3
    rows.append(Row("a delayed job is late, p99", f"p50 {median:.2g} ms", "", p99, 15, "ms"))
    p99 = planned[int(len(planned) * 0.99) - 1] * 1e3
    median = statistics.median(planned) * 1e3
    rows.append(Row("a scheduled job is late, p99", f"p50 {median:.2g} ms", "", p99, 20, "ms"))
    rows.append(_death("a job starts again after its worker's `kill -9`, same host", here, 1))
    what = f"the same, another host, a lease of {lease:g} s"
    rows.append(_death(what, there, lease + 5))
    return rows


def _death(what, seconds, target):
    return Row(what, spelt(seconds), "", statistics.median(seconds), target, "s")
