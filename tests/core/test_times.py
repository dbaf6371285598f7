"""Each time that a record has is an aware datetime in UTC, whatever its store keeps."""

from __future__ import annotations

import datetime as dt

import pytest

import agentnb
from agentnb.core.workflow import Task


@pytest.fixture
def hub(redis_home):
    with agentnb.connect(home=redis_home, workspace=redis_home.parent / "work") as hub:
        yield hub


def recent(*moments):
    """Check that moments are aware, in UTC and of now, one not before the other."""
    now = dt.datetime.now(dt.UTC)
    for moment in moments:
        assert moment.utcoffset() == dt.timedelta(0)
        assert abs(now - moment) < dt.timedelta(minutes=5)
    assert list(moments) == sorted(moments)


def test_the_times_of_a_job_and_of_its_summary(hub):
    queue = hub.queue("mail")
    job = queue.add(1)
    recent(job.created)
    late = queue.add(1, delay=60)
    with queue.work(lambda _: None):
        job.result(20)
    recent(job.created, job.started, job.finished)
    [done] = queue.search("completed").jobs
    recent(done.created, done.started, done.finished, done.now)
    assert done.created == job.created
    [delayed] = queue.search("delayed").jobs
    recent(delayed.created, delayed.now, delayed.due)
    assert dt.timedelta(seconds=50) < delayed.due - late.created <= dt.timedelta(seconds=61)


def test_the_times_of_a_workflow_its_tasks_events_and_agents(hub):
    hub.workflows.agent("a")(lambda _, __: None)
    late = hub.workflows.create("w", [Task("t", agent="a", delay=60)])
    workflow = hub.workflows.create("w", [Task("t", agent="a")])
    assert workflow.finished is None
    recent(workflow.created)
    hub.workflows.work()
    workflow.wait(30)
    task = workflow.task("t")
    recent(workflow.created, task.started, task.finished, workflow.finished)
    recent(task.created, task.ready_at, task.started)
    recent(late.task("t").created, late.task("t").due)
    assert late.task("t").started is None
    recent(*workflow.events().column("time"))
    [agent] = hub.workflows.agents()
    recent(agent.heartbeat)


def test_the_times_of_events_spans_and_files(hub):
    event = hub.events.publish("made", 1)
    recent(event.time)
    recent(hub.events.history("made")[-1].time)
    with hub.tracer.span("mine") as span:
        pass
    recent(span.started)
    hub.tracer.flush()
    hub.files.write_file("a", "x")
    recent(*hub.files.list().column("modified"))


def test_a_span_that_was_written_is_read_with_the_same_time(hub):
    from agentnb.core.trace import read_spans

    with hub.tracer.span("mine") as span:
        pass
    hub.tracer.flush()
    [found] = read_spans(hub.tracer.path, span.trace_id)
    assert found.started == span.started
