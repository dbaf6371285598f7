"""The trace of a job whose worker was killed: the lost attempt, its calls, and the next attempt."""

from __future__ import annotations

import signal

import pytest

import agentnb
from agentnb.core.trace import use
from tests.waiting import until

JOBS = """
import time

def query(job):
    job.hub.db.query("select 1 as first")
    if job.attempt == 1:
        time.sleep(60)
    return job.hub.db.query("select 2 as second").scalar()
"""


@pytest.fixture
def hub(steady_home, tmp_path):
    (tmp_path / "jobs.py").write_text(JOBS)
    with use(None), agentnb.connect(home=steady_home, start=tmp_path) as hub:
        yield hub


def test_a_killed_attempt_is_lost_with_its_calls_and_the_next_is_beside_it(hub, start_worker):
    with hub.trace.run("nightly") as run:
        job = hub.queue("killed").add(None, attempts=2)
    trace_id = run.trace_id

    def worker():
        home = hub.settings.home
        return start_worker(home, "killed", "--processor", "jobs:query", "--quiet", lease=2)

    first = worker()
    # Its attempt runs, as the trace says, and the thread that writes has written its query.
    until(lambda: hub.trace.get(trace_id).find(service="db", name="query"))
    (running,) = hub.trace.get(trace_id).find(service="queue", name="process")
    assert running.outcome == "running"
    assert running.process.pid == first.pid
    assert running.process.role == "worker killed"
    first.process.kill()
    assert first.wait() == -signal.SIGKILL
    (lost,) = hub.trace.get(trace_id).find(service="queue", name="process")
    assert lost.outcome == "Lost"
    second = worker()
    assert job.result(60) == 2
    second.end()

    trace = hub.trace.get(trace_id)
    lost, done = trace.find(service="queue", name="process")
    assert [(one.attempt, one.outcome) for one in (lost, done)] == [(1, "Lost"), (2, "ok")]
    assert lost.parent_id == done.parent_id == trace.find(name="add")[0].span_id
    assert [one.process.pid for one in (lost, done)] == [first.pid, second.pid]

    def queries(attempt):
        return [one.name for one in trace.children(attempt) if one.service == "db"]

    assert queries(lost)[-1] == "query"
    assert queries(done)[-2:] == ["query", "query"]
    assert lost.began <= lost.ended <= done.began
    assert [root.name for root in trace.roots] == ["nightly"]
    assert [one.outcome for one in trace.failed] == ["Lost"]
