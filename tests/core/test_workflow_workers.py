"""The workers of agents, as the database knows them."""

from __future__ import annotations

import os
import socket
import threading
import time


def test_a_worker_is_shown_with_its_host_its_executor_and_how_much_it_runs(make_workflows, until):
    workflows = make_workflows()
    assert "no worker is running" in repr(workflows.workers())
    begun, end = threading.Event(), threading.Event()

    @workflows.agent("holds")
    def holds(task):
        begun.set()
        end.wait(30)

    workflows.work(concurrency=3)
    try:
        workflows.create("w", [{"name": "a", "agent": "holds"}])
        assert begun.wait(30)
        (row,) = workflows.workers()
        assert (row.host, row.pid) == (socket.gethostname(), os.getpid())
        assert (row.executor, row.running, row.concurrency) == ("threads", 1, 3)
        assert row.agents == "holds"
        assert abs(row.started.timestamp() - time.time()) < 60
        assert row.seen.endswith("ago")
    finally:
        end.set()
    workflows.stop()
    until(lambda: not list(workflows.workers()))


def test_a_worker_of_an_older_version_has_no_host(make_workflows):
    workflows = make_workflows()
    workflows.agent("write")(lambda task: None)
    workflows.work()
    with workflows._transactions.write() as tx:
        tx.run("update {worker} set host = null, executor = null, started = null")
    (row,) = workflows.workers()
    assert (row.host, row.executor, row.started) == (None, None, None)
    assert row.pid == os.getpid()
