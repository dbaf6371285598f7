"""Workflows on PostgreSQL over hosts, one of which vanishes: the others go on, nothing is lost."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from agentnb.core.db import Database
from agentnb.core.errors import UnavailableError
from agentnb.core.workflow import Orchestrator, Task, migrating
from agentnb.core.workflow.transactions import Transactions
from tests.listening import Relay

CUTS = int(os.environ.get("AGENTNB_TEST_CUTS", "2"))
LEASE, THREADS = 2.0, 4
WORKER = f"""
import os, sys, time
from agentnb.core.db import Database
from agentnb.core.workflow import Orchestrator
flows = Orchestrator(Database(sys.argv[1]), lease={LEASE})
@flows.agent("work", attempts=5, backoff=0.0)
def work(task, ctx):
    os.write(1, f"{{task.name}} {{time.time()}}\\n".encode())
    time.sleep(0.15)
    return task.name
flows.work(concurrency={THREADS})
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def url(fresh_url):
    with Database(fresh_url) as database:
        migrating.migrate(database)
    return fresh_url


def socket_of(url):
    return Path(parse_qs(urlsplit(url).query)["host"][0]) / ".s.PGSQL.5432"


def through(relay, host, url):
    return f"postgresql://postgres@{host}:{relay.port}{urlsplit(url).path}"


class Said:
    """The lines of a worker: when it has begun which task."""

    def __init__(self, process):
        self.begun = []
        self.ready = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._thread.start()

    def _read(self, pipe):
        with suppress(ValueError):  # closed, at the end of its host
            for line in pipe:
                name, _, at = line.partition(" ")
                if at:
                    self.begun.append((float(at), name))
                else:
                    self.ready.set()

    def longest_pause(self, since, until):
        times = [since, *(at for at, _ in self.begun if since < at < until), until]
        return max(after - before for before, after in itertools.pairwise(times))


def test_a_host_that_is_cut_off_stops_no_other_and_loses_nothing(url, hosts, until):
    names = [f"t{n}" for n in range(300 * CUTS)]
    with (
        Relay(socket_of(url), host=hosts.address) as relay,
        Orchestrator(Database(url), owns_database=True) as flows,
    ):
        flows.agent("work", attempts=5)(lambda task: None)
        workers = [host.python(WORKER, through(relay, hosts.address, url)) for host in hosts]
        near, far = (Said(worker) for worker in workers)
        assert near.ready.wait(60)
        assert far.ready.wait(60)
        workflow = flows.create("x", [Task(name, agent="work") for name in names])
        for _ in range(CUTS):
            seen = len(far.begun)
            until(lambda seen=seen: len(far.begun) >= seen + 10, 60)
            hosts[1].cut()
            cut = time.time()
            time.sleep(LEASE + 5.5)
            healed = time.time()
            hosts[1].heal()
            assert near.longest_pause(cut, healed) <= LEASE + 5
            if workflow.refresh().state != "active":
                break
        workflow.wait(60 + 60 * CUTS)
        assert workflow.result == {name: name for name in names}
        ended = Counter(row[3] for row in workflow.events(100_000) if row[2] == "TASK_COMPLETED")
        begun = Counter(name for _, name in [*near.begun, *far.begun])
    assert set(begun) == set(names)
    # Those that the far host ran when it was cut off may run again, no others.
    assert sum(begun.values()) - len(names) <= CUTS * THREADS
    assert set(ended.values()) == {1}


def test_a_host_that_falls_silent_in_a_transaction_holds_its_locks_for_seconds(url):
    silent = threading.Event()
    with (
        Relay(socket_of(url), lambda *_: not silent.is_set()) as relay,
        Database(through(relay, "127.0.0.1", url)) as far,
        Orchestrator(Database(url), lease=LEASE, owns_database=True) as near,
    ):
        near.agent("work")(lambda task: task.name)
        workflow = near.create("x", [Task(f"t{n}", agent="work") for n in range(40)])
        transaction = Transactions(far).write(60)
        tx = transaction.__enter__()
        tx.run("update {workflow} set pending = pending")
        tx.rows("select 1 from {task} for update")
        silent.set()
        began = time.monotonic()
        near.work()
        assert len(workflow.wait(60).result) == 40
        assert time.monotonic() - began <= LEASE + 5
        relay.cut()
        with pytest.raises(UnavailableError):
            transaction.__exit__(None, None, None)
