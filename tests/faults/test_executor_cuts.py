"""Workers of two hosts that run jobs in processes, while one of the hosts is cut off."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import agentnb
from agentnb.core.redis.binary import find_binary
from tests.waiting import until

ROUNDS = int(os.environ.get("AGENTNB_TEST_ROUNDS", "2"))
LEASE, JOBS_A_ROUND = 1.5, 24
JOBS = """
import os, time

def work(job):
    with open("notes", "ab", 0) as file:
        entry, host = job._hold.key.entry, os.uname().nodename
        file.write(f"{job.id} {entry} {host}\\n".encode())
    time.sleep(job.data)
    job.log("almost done")
    return os.uname().nodename
"""


@pytest.fixture
def server(hosts, tmp_path):
    """Yield the URL of a server that both hosts reach."""
    with socket.socket() as free:
        free.bind((hosts.address, 0))
        port = free.getsockname()[1]
    words = ["--bind", hosts.address, "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    words += ["--protected-mode", "no"]
    with subprocess.Popen([find_binary(), *words], stdout=subprocess.DEVNULL) as process:
        yield f"redis://{hosts.address}:{port}"
        process.kill()


@pytest.fixture
def environment(server, tmp_path):
    (tmp_path / "far_jobs.py").write_text(JOBS)
    return {
        **os.environ,
        "REDIS_URL": server,
        "AGENTNB_HOME": str(tmp_path / "home"),
        "AGENTNB_QUEUE_LEASE": str(LEASE),
        "PYTHONPATH": str(Path(agentnb.__file__).parents[1]),
    }


def start(host, environment, folder):
    words = ["worker", "mail", "--processor", "far_jobs:work", "--processes", "--concurrency", "2"]
    return host.run(
        [sys.executable, "-m", "agentnb.cli", *words, "--wait", "20"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
    )


def test_no_job_is_lost_or_counted_twice_while_a_host_of_processes_is_cut_off(
    hosts, environment, server, tmp_path
):
    home = tmp_path / "own"
    with agentnb.connect(redis_url=server, home=home, queue_lease=LEASE) as hub:
        until(hub.redis.ping)
        queue = hub.queue("mail")
        for host in hosts:
            start(host, environment, tmp_path)
        until(lambda: len(queue.workers()) == 2, 60)
        added, longest = [], 0.0
        for _ in range(ROUNDS):
            added += [queue.add(0.25, attempts=20) for _ in range(JOBS_A_ROUND)]
            before = len(begun_on("h2", tmp_path))
            until(lambda before=before: len(begun_on("h2", tmp_path)) > before, 30)
            hosts[1].cut()
            longest = max(longest, cut_for(LEASE * 2, queue))
            hosts[1].heal()
        where = [job.result(60) for job in added]
        counts = queue.counts()
        assert (counts.left, counts["completed_total"]) == (0, JOBS_A_ROUND * ROUNDS)
        assert "h1" in where
        # The host that was not cut went on, and took over what the other one had.
        assert longest <= LEASE + 5
    begun = [*begun_on("h1", tmp_path), *begun_on("h2", tmp_path)]
    assert len(set(begun)) == len(begun)  # no claim was begun twice
    again = len(begun) - JOBS_A_ROUND * ROUNDS
    assert 0 <= again <= 2 * ROUNDS  # at most those that were running on the host


def begun_on(host, folder):
    """Return the jobs and the entries of the attempts that were begun on a host."""
    notes = folder / "notes"
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [line.rpartition(" ")[0] for line in lines if line.endswith(f" {host}")]


def cut_for(seconds, queue):
    """Wait for some seconds, and return the longest time in them without a job that completed."""
    end, last, longest = time.monotonic() + seconds, time.monotonic(), 0.0
    done = queue.counts()["completed_total"]
    while (now := time.monotonic()) < end:
        if (found := queue.counts()["completed_total"]) > done:
            done, last = found, now
        longest = max(longest, now - last)
        time.sleep(0.02)
    return longest
