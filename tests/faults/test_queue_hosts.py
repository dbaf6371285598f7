"""Two hosts work on one queue, and one of them is cut off without a word."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from itertools import pairwise

import pytest

import agentnb
from tests.redis_servers import PROGRAMS, Server, missing
from tests.waiting import until

LEASE = 2
CONCURRENCY = 3
# What it has run is said on its own host, which no cut of the network hinders.
WORK = """
import sys, time
import agentnb

hub = agentnb.connect(redis_url=sys.argv[1], home=sys.argv[2])

def work(job):
    time.sleep(0.1)
    sys.stdout.write(f"ran {job.data}\\n")  # in one piece, of three threads

hub.queue("cuts").work(work, concurrency=3)
print("up", flush=True)
time.sleep(600)
"""


class Worker:
    """A worker on a host, and the jobs that it has run with the time of each."""

    def __init__(self, host, server, home):
        environment = {**os.environ, "AGENTNB_QUEUE_LEASE": str(LEASE)}
        self.process = host.python(WORK, server.url, str(home), env=environment)
        self.ran = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        assert self.process.stdout.readline() == "up\n"
        for line in self.process.stdout:
            self.ran.append((int(line.split()[1]), time.monotonic()))

    def close(self):
        self.process.kill()
        self.process.wait(10)
        self.reader.join(10)

    def longest_pause(self, since):
        """Return the longest time without a job's end from then up to the last one."""
        times = [since, *(when for _, when in self.ran if when > since)]
        return max(later - earlier for earlier, later in pairwise(times))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_host_that_is_cut_off_loses_no_job_and_stops_no_other_host(
    require, hosts, tmp_path, program
):
    require("redis", missing(program) is None, missing(program))
    far = hosts[1]
    options = ("--protected-mode", "no")
    server = Server(tmp_path / "server", *options, program=program, host=hosts.address).start()
    workers = []
    try:
        with agentnb.connect(redis_url=server.url, home=tmp_path / "home") as hub:
            queue = hub.queue("cuts")
            for number in range(120):
                queue.add(number, attempts=5, remove_on_complete=False)
            workers += [Worker(host, server, tmp_path / host.name) for host in hosts]
            until(lambda: all(len(one.ran) > 5 for one in workers))
            far.cut()
            cut = time.monotonic()
            until(lambda: time.monotonic() - cut > LEASE + 1)
            said = [when for _, when in workers[1].ran if when > cut]
            assert len(said) <= 2 * CONCURRENCY  # what it had, and it was given no more
            far.heal()
            until(lambda: queue.counts()["completed_total"] == 120, 60)
            before = len(workers[1].ran)
            for number in range(120, 150):
                queue.add(number, remove_on_complete=False)
            until(lambda: queue.counts()["completed_total"] == 150, 60)
            assert len(workers[1].ran) > before  # it is back
            assert (queue.counts()["completed"], queue.counts()["failed"]) == (150, 0)
            assert workers[0].longest_pause(cut) < LEASE + 5
        runs = Counter(number for one in workers for number, _ in one.ran)
        assert set(runs) == set(range(150))
        assert sum(runs.values()) - 150 <= CONCURRENCY  # those in flight on the host that was cut
    finally:
        for one in workers:
            one.close()
        server.close()
