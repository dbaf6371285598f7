"""Workflows on a PostgreSQL that is 2 ms away, and what an idle worker costs the server."""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from rounds import Row, compared, postgres, scratch

DELAY = 0.001  # each way
THREADS, DELAYED = 4, 50_000
_WORKER = """
import sys
from agentnb.core.db import Database
from agentnb.core.workflow import Orchestrator
with Orchestrator(Database(sys.argv[1]), owns_database=True) as flows:
    flows.agent("noop")(lambda task: 1)
    flows.work(concurrency=int(sys.argv[2]))
    print("ready", flush=True)
    sys.stdin.readline()
"""


class Distance:
    """Hands bytes on after a while, each way."""

    def __init__(self, target):
        self.target = target

    async def serve(self, ready):
        server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        ready.put(server.sockets[0].getsockname()[1])
        async with server:
            await server.serve_forever()

    async def _link(self, reader, writer):
        back, there = await asyncio.open_unix_connection(self.target)
        await asyncio.gather(self._carry(reader, there), self._carry(back, writer))

    async def _carry(self, source, sink):
        loop = asyncio.get_running_loop()
        while data := await source.read(65536):
            loop.call_later(DELAY, sink.write, data)
        loop.call_later(DELAY, sink.close)


def _serve(target, ready):
    asyncio.run(Distance(target).serve(ready))


@contextmanager
def far(url):
    """Yield the URL of a database at a distance."""
    parts = urlsplit(url)
    target = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    process = context.Process(target=_serve, args=(target, ready))
    process.start()
    try:
        yield f"postgresql://postgres@127.0.0.1:{ready.get(timeout=30)}{parts.path}"
    finally:
        process.kill()
        process.join()


@contextmanager
def workers(url, number, threads=THREADS):
    """Start some processes that work on the tasks of a database."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, url, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    for process in started:
        process.stdout.readline()
    try:
        yield
    finally:
        for process in started:
            process.communicate("\n")


def task_seconds(flows, url, number, tasks):
    """Return the seconds a task of one workflow takes that some processes work on."""
    from agentnb.core.workflow import Task

    with workers(url, number):
        made = flows.create("x", [Task(f"t{n}", agent="noop") for n in range(tasks)])
        made.wait(600)
    ran = made.tasks
    began, ended = min(one.started for one in ran), max(one.finished for one in ran)
    return (ended - began).total_seconds() / tasks


def idle_cost(flows, url, delayed, seconds):
    """Return the server's CPU time in a second beside delayed tasks, for a worker and for none."""
    from agentnb.core.workflow import Task

    for _ in range(0, delayed, 10_000):
        tasks = [Task(f"t{n}", agent="noop", delay=86_400.0) for n in range(min(delayed, 10_000))]
        flows.create("later", tasks)
    flows.database.execute("analyze agentnb.task")
    folder = Path(parse_qs(urlsplit(url).query)["host"][0]).resolve()
    without = _spent(folder, seconds)
    with workers(url, 1, 8):
        time.sleep(2)
        return max(_spent(folder, seconds) - without, 0.0)


def _spent(folder, seconds):
    before = _cpu(folder)
    time.sleep(seconds)
    return (_cpu(folder) - before) / seconds


def _cpu(folder):
    """Return the CPU seconds of all processes of the server whose data are in a folder."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == folder:
                words = (process / "stat").read_text().rpartition(")")[2].split()
                ticks += int(words[11]) + int(words[12])
        except OSError:
            continue
    return ticks / 100


def _noop(task):
    """Do nothing; the workers have an agent of this name."""


def measure(*, quick=False):
    """Return the rows."""
    from agentnb.core.db import Database
    from agentnb.core.workflow import Orchestrator

    rounds, tasks, delayed = (1, 100, 2_000) if quick else (3, 1_000, DELAYED)
    found = {"2 processes": [], "1 process": []}
    with (
        scratch() as folder,
        postgres(folder) as url,
        far(url) as distant,
        Orchestrator(Database(url), owns_database=True) as flows,
    ):
        flows.migrate()
        flows.agent("noop")(_noop)
        for _ in range(rounds):
            for name, seconds in found.items():
                seconds.append(task_seconds(flows, distant, int(name[0]), tasks))
        cost = [idle_cost(flows, url, delayed, 2 if quick else 10)]
    what = f"each of {tasks:,} tasks of one workflow, PostgreSQL 2 ms away, {THREADS} threads each"
    rows = [compared(what, found, "2 processes", "1 process", target=1 / 1.25)]
    what = (
        f"an idle worker of 8 threads beside {delayed:,} delayed tasks, the server's CPU a second"
    )
    rows.append(Row(what, "", "", statistics.median(cost) * 1e3, 10, "ms"))
    return rows
