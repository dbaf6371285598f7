"""Jobs and tasks on a real Dask cluster, whose workers and scheduler are killed and stopped.

``AGENTNB_TEST_CUTS=20`` plays more rounds of the last test.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import agentnb
from tests.core.executor_units import KINDS, notes
from tests.dask_cluster import Cluster

LEASE = 2.0
ROUNDS = int(os.environ.get("AGENTNB_TEST_CUTS", "2"))
_WORKER = """
import sys
import agentnb
from tests.core.executor_units import KINDS
kind, name, address = sys.argv[1:]
hub = agentnb.connect()
units = KINDS[kind](hub, name)
units.work("hold", address, concurrency=4)
print("works", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    """Set the environment that all processes share."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REDIS_URL", "DATABASE_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("AGENTNB_HOME", str(tmp_path_factory.mktemp("dask") / "home"))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        patch.setenv("AGENTNB_QUEUE_LEASE", str(LEASE))
        patch.setenv("AGENTNB_WORKFLOW_LEASE", str(LEASE))
        yield


@pytest.fixture(scope="module")
def hub(environ):  # noqa: ARG001 - which it reads
    with agentnb.connect() as made:
        yield made


@pytest.fixture(scope="module")
def shared(hub, tmp_path_factory):  # noqa: ARG001 - of the environment
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


@pytest.fixture
def dask(shared):
    """Return a cluster of two workers, each with two threads."""
    while len(shared.workers) > 2:
        shared.kill_worker(shared.workers[-1])
    while len(shared.workers) < 2:
        shared.add_worker(threads=2)
    shared.wait()
    return shared


@pytest.fixture(params=KINDS)
def units(request, hub):
    made = KINDS[request.param](hub)
    yield made
    made.stop()


def check_counts(folder, units):
    """Assert that each attempt has begun once and ended once at most, and that each counts.

    One that is killed before its first line counts, too.
    """
    for word in ("begun", "done"):
        seen = Counter((unit, attempt) for unit, attempt, _ in notes(folder, word))
        assert max(seen.values()) == 1, seen
    assert {unit for unit, _, _ in notes(folder, "done")} >= {unit.id for unit in units}
    for unit in units:
        begun = [int(attempt) for one, attempt, _ in notes(folder, "begun") if one == unit.id]
        assert max(begun) == unit.attempt >= len(begun)


def running_in(folder, process):
    """Return the units that a Dask worker has begun and not ended."""
    of = {word: notes(folder, word) for word in ("done", "begun")}
    ids = {
        word: {unit for unit, _, pid in lines if pid == str(process.pid)}
        for word, lines in of.items()
    }
    return ids["begun"] - ids["done"]


def test_jobs_of_a_killed_dask_worker_run_again_and_their_attempts_are_exact(
    units, dask, tmp_path, until
):
    units.work("nap", dask.address, concurrency=4)
    added = [units.add([str(tmp_path), 0.7]) for _ in range(8)]
    victim = dask.workers[0]
    until(lambda: running_in(tmp_path, victim))
    dask.kill_worker(victim)
    killed = running_in(tmp_path, victim)
    for unit in added:
        unit.result(60)
    assert all(unit.attempt == 2 for unit in added if unit.id in killed)
    check_counts(tmp_path, added)


@pytest.mark.parametrize("units", ["jobs"], indirect=True)  # the rounds at the end have both
def test_a_scheduler_that_is_killed_and_started_again_costs_a_lease(units, dask, tmp_path, until):
    units.work("nap", dask.address, concurrency=2)
    added = [units.add([str(tmp_path), 0.7]) for _ in range(4)]
    until(lambda: notes(tmp_path, "begun"))
    dask.kill_scheduler()
    for worker in list(dask.workers):
        dask.kill_worker(worker)  # which would end by itself, sooner or later
    before = len(notes(tmp_path, "begun"))
    dask.start_scheduler()
    dask.add_worker(threads=2)
    dask.wait(1)
    there = time.monotonic()
    assert until(lambda: len(notes(tmp_path, "begun")) > before)
    assert time.monotonic() - there < LEASE + 5
    for unit in added:
        unit.result(60)
    check_counts(tmp_path, added)


def test_a_worker_that_is_killed_leaves_an_attempt_on_dask_that_counts_for_nothing(
    units, dask, tmp_path, until
):
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKER, units.kind, units.name, dask.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"works\n"
    unit = units.add(str(tmp_path))
    until(lambda: notes(tmp_path, "begun"))
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    units.work("hold", dask.address, concurrency=4)
    pid = unit.result(60)
    until(lambda: notes(tmp_path, "fenced"))
    assert [attempt for _, attempt, _ in notes(tmp_path, "fenced")] == ["1"]
    assert [(attempt, found) for _, attempt, found in notes(tmp_path, "done")] == [("2", str(pid))]
    check_counts(tmp_path, [unit])


@pytest.mark.parametrize("units", ["tasks"], indirect=True)
def test_a_stopped_dask_worker_counts_as_silent(units, dask, tmp_path, until):
    units.work("nap", dask.address, concurrency=4)
    added = [units.add([str(tmp_path), 0.7]) for _ in range(6)]
    stopped = dask.workers[0]
    until(lambda: running_in(tmp_path, stopped))
    stopped.send_signal(signal.SIGSTOP)
    held = running_in(tmp_path, stopped)
    try:
        for unit in added:
            unit.result(60)
    finally:
        stopped.send_signal(signal.SIGCONT)
    # What it had begun comes to its end there, and is fenced.
    until(lambda: {unit for unit, _, _ in notes(tmp_path, "fenced")} >= held)
    check_counts(tmp_path, added)


@pytest.mark.parametrize(
    ("cut", "units"), [(n, list(KINDS)[n % 2]) for n in range(ROUNDS)], indirect=["units"]
)
def test_nothing_is_lost_or_counted_twice_whatever_is_cut(units, dask, tmp_path, cut):
    chance = random.Random(cut)
    units.work("nap", dask.address, concurrency=4)
    added = [units.add([str(tmp_path), 0.15], attempts=20) for _ in range(20)]
    over = threading.Event()

    def disturb():
        while not over.wait(chance.uniform(0.3, 1.0)):
            what = chance.choice(["worker", "worker", "stop", "scheduler"])
            victim = chance.choice(dask.workers)
            if what == "stop":
                victim.send_signal(signal.SIGSTOP)
                over.wait(LEASE + 1)
                victim.send_signal(signal.SIGCONT)
            if what == "scheduler":
                dask.kill_scheduler()
                dask.start_scheduler()
                for worker in list(dask.workers):
                    dask.kill_worker(worker)
                dask.add_worker(threads=2)
            if what in {"worker", "scheduler"}:
                if victim in dask.workers:
                    dask.kill_worker(victim)
                dask.add_worker(threads=2)
            over.wait(1.0)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for unit in added:
            unit.result(120)
    finally:
        over.set()
        thread.join()
    check_counts(tmp_path, added)
