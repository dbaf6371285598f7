"""Workers and the server are killed, and disks full, at random: what was acknowledged is kept.

The moments are drawn from a seed, which the test prints with its figures;
``AGENTNB_CHAOS_SEED`` and ``AGENTNB_CHAOS_SECONDS`` choose others.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

import agentnb
from agentnb.core.errors import AgentnbError

SECONDS = float(os.environ.get("AGENTNB_CHAOS_SECONDS", "15"))
ROOM = 20_000_000  # bytes of a file while the disk is full: logs and databases have less
SEED = os.environ.get("AGENTNB_CHAOS_SEED", "seed")

WORK = """
import os, sys, time
import agentnb

def double(job):
    time.sleep(0.05)
    return 2 * job.data

def agent(task, ctx):
    first = ctx.step("first", lambda: task.data + 1)
    time.sleep(0.05)
    return 2 * first

home, workspace = sys.argv[1:]
with agentnb.connect(home=home, workspace=workspace, queue_lease="2") as hub:
    hub.queue("chaos").work(double, concurrency=2)
    hub.workflows.agent("chaos")(agent)
    hub.workflows.work(concurrency=2)
    print("ready", flush=True)
    sys.stdin.read()
"""


class Chaos:
    """Two workers on one home, what the caller was told of, and the figures."""

    def __init__(self, hub):
        self.hub = hub
        self.random = random.Random(SEED)
        self.jobs, self.workflows, self.events = {}, {}, set()
        self.rows, self.files = 0, {}
        kinds = ("workers killed", "servers killed", "disks full", "calls refused")
        self.figures = dict.fromkeys(kinds, 0)
        self.workers = [self.start(), self.start()]
        hub.db.execute("create table half (n integer)")

    def start(self):
        settings = self.hub.settings
        return subprocess.Popen(
            [sys.executable, "-c", WORK, str(settings.home), str(settings.workspace)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def stop(self):
        for one in self.workers:
            one.kill()
            one.wait(10)
            one.stdin.close()
            one.stdout.close()

    def kill_a_worker(self):
        one = self.workers.pop(self.random.randrange(2))
        one.kill()
        one.wait(10)
        one.stdin.close()
        one.stdout.close()
        self.workers.append(self.start())
        self.figures["workers killed"] += 1

    def kill_the_server(self):
        with contextlib.suppress(AgentnbError):
            os.kill(int(self.hub.redis.info("server")["process_id"]), signal.SIGKILL)
            self.figures["servers killed"] += 1

    def fill_the_disk(self):
        """Write what finds no room: the file that was there stays."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
        try:
            with pytest.raises(AgentnbError):
                self.hub.files.write_file(f"file-{self.random.randrange(5)}", b"x" * 2 * ROOM)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.figures["disks full"] += 1

    def add(self, number):
        job = self.hub.queue("chaos").add(number, attempts=20, remove_on_complete=False)
        self.jobs[job.id] = 2 * number

    def create(self, number):
        task = {"name": "t", "agent": "chaos", "data": number, "attempts": 21}
        self.workflows[self.hub.workflows.create(f"w{number}", [task]).id] = 2 * (number + 1)

    def publish(self, number):
        self.events.add(self.hub.events.publish("chaos", number).id)

    def commit(self, number):
        with self.hub.db.transaction() as tx:
            tx.execute("insert into half values (:n)", {"n": number})
            tx.execute("insert into half values (:n)", {"n": -number})
        self.rows += 1

    def write(self, number):
        path = f"file-{number % 5}"
        self.hub.files.write_file(path, str(number) * 1000)
        self.files[path] = number

    def cached(self, number):
        assert self.hub.cache.get_or_set(f"k{number % 20}", lambda: number % 20) == number % 20

    def run(self):
        calls = [self.add, self.create, self.publish, self.commit, self.write, self.cached]
        faults = [self.kill_a_worker, self.kill_a_worker, self.kill_the_server]
        faults.append(self.fill_the_disk)
        until = time.monotonic() + SECONDS
        next_fault = time.monotonic() + 1
        number = 0
        while time.monotonic() < until:
            number += 1
            if time.monotonic() >= next_fault:
                self.random.choice(faults)()
                next_fault = time.monotonic() + self.random.uniform(0.3, 1.2)
            try:
                self.random.choice(calls)(number)
            except AgentnbError:
                self.figures["calls refused"] += 1
            time.sleep(self.random.uniform(0, 0.03))


@pytest.fixture
def chaos(redis_home):
    workspace = redis_home.parent / "workspace"
    workspace.mkdir()
    with agentnb.connect(home=redis_home, workspace=workspace, queue_lease="2") as hub:
        made = Chaos(hub)
        try:
            yield made
        finally:
            made.stop()


def test_acknowledged_work_is_kept_when_any_process_is_killed(chaos, capsys):
    chaos.run()
    hub = chaos.hub
    done = {id_: hub.queues.find(id_).result(60) for id_ in chaos.jobs}
    assert done == chaos.jobs
    ended = {id_: hub.workflows.wait(id_, 60).result["t"] for id_ in chaos.workflows}
    assert ended == chaos.workflows
    assert hub.events.flush(30)
    assert chaos.events <= {event.id for event in hub.events.history("chaos", 100_000)}
    total, rows = hub.db.query("select sum(n), count(*) from half").rows[0]
    assert (total or 0, rows) == (0, 2 * chaos.rows)
    for path, number in chaos.files.items():
        assert hub.files.read_file(path) == str(number) * 1000
    figures = {
        **chaos.figures,
        "jobs": len(done),
        "workflows": len(ended),
        "events": len(chaos.events),
        "transactions": chaos.rows,
        "files": len(chaos.files),
    }
    assert chaos.figures["workers killed"] >= 2
    with capsys.disabled():
        sys.stdout.write(f"\nchaos, seed {SEED!r}, {SECONDS:g} s: {figures}\n")
