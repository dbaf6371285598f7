"""The last errors: of calls, jobs, tasks and handlers."""

from __future__ import annotations

import asyncio

import pytest

import agentnb
from agentnb.core.errors import AgentnbError, UsageError
from agentnb.core.overview.errors import errors_of_spans, newest_errors
from agentnb.core.trace.spans import Tracer
from tests.waiting import until

CANARY = "c4naryC4NARYc4nary"


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Return a hub on which a query, a job, a task and a handler have failed."""
    with agentnb.connect(home=tmp_path_factory.mktemp("home")) as hub:
        with pytest.raises(AgentnbError), hub.trace.run("first"):
            hub.db.query("select * from nowhere")

        def scrape(job):
            raise ValueError(f"no <script> in {job.data} of https://u:{CANARY}@host/")

        def fail(_task):
            hub.db.query("select * from void")

        def handle(event):
            raise KeyError(event.data)

        hub.queue("scrape").work(scrape)
        job = hub.queue("scrape").add(1, attempts=1)
        with pytest.raises(AgentnbError):
            job.result(timeout=30)
        hub.workflows.agent("plan")(fail)
        hub.workflows.work()
        tasks = [{"name": "t", "agent": "plan", "attempts": 1}]
        with pytest.raises(AgentnbError):
            hub.workflows.wait(hub.workflows.create("new app", tasks=tasks), timeout=30)
        hub.events.subscribe("made", handle, name="handle")
        hub.events.publish("made", "boom")
        until(hub.events.dead_letters)
        yield hub, job


def lines(hub):
    return [(row.service, row.error) for row in hub.errors()]


def test_each_error_is_listed_once_newest_first(broken):
    hub, job = broken
    table = hub.errors()
    found = {(row.service, row.error): row.message for row in table}
    assert len(found) == len(table) == 4, table
    assert found["events", "KeyError"] == "handler handle of made: 'boom'"
    assert found["workflow", "TableNotFound"].startswith("task t of new app: no such table: void")
    assert found["queue", "ValueError"].startswith(f"job {job.id} of scrape: no <script> in 1")
    assert found["db", "TableNotFound"] == "query: no such table: nowhere"
    assert table.column("time") == sorted(table.column("time"), reverse=True)
    assert table.note == ""


def test_each_error_names_its_trace(broken):
    hub, job = broken
    table = hub.errors()
    traces = table.column("trace")
    assert traces[table.column("error").index("ValueError")] == job.traceparent[3:11]
    assert all(hub.trace.get(trace).failed for trace in traces)


def test_the_errors_show_no_secret_and_no_markup(broken):
    hub, _ = broken
    table = hub.errors()
    assert CANARY not in repr(table) + table._repr_html_() + str(table.dicts())
    assert "<script>" not in table._repr_html_()
    assert "&lt;script&gt;" in table._repr_html_()


def test_the_number_of_errors_is_limited_and_checked(broken):
    hub, _ = broken
    assert len(hub.errors(2)) == 2
    assert lines(hub)[:2] == [(row.service, row.error) for row in hub.errors(2)]
    with pytest.raises(UsageError, match="limit must be 1 or more, got 0"):
        hub.errors(0)
    assert len(asyncio.run(hub.aerrors(limit=1))) == 1


def test_a_later_hub_finds_the_errors_and_names_what_it_has_not_opened(broken):
    hub, _ = broken
    hub.tracer.flush()
    with agentnb.connect(home=hub.settings.home) as later:
        table = later.errors()
        assert ("db", "TableNotFound") in {(row.service, row.error) for row in table}
        assert 'hub.open("queue", "workflow", "events")' in table.note
        assert "queue" not in repr(later)
        later.open("queue", "workflow", "events")
        assert later.errors().note == ""
        assert lines(later) == lines(hub)


def test_a_secret_that_only_the_reader_knows_is_masked(broken):
    hub, _ = broken

    def leak(job):
        raise ValueError(f"{job.data} was sent")

    hub.queue("leak").work(leak)
    hub.queue("leak").add("plain-looking-token", attempts=1)
    until(lambda: hub.queue("leak").counts()["failed"])
    with agentnb.connect(home=hub.settings.home, github_token="plain-looking-token") as later:
        later.open("queue")
        shown = repr(later.errors(100))
    assert "of leak: •••••• was sent" in shown
    assert "plain-looking-token" not in shown


def test_waits_for_a_failed_job_take_no_places_of_errors(tmp_path):
    def fail(_job):
        raise ValueError("no")

    with agentnb.connect(home=tmp_path / "home") as hub:
        for table in ("nowhere", "void"):
            with pytest.raises(AgentnbError), hub.trace.run("ask"):
                hub.db.query(f"select * from {table}")
        hub.queue("q").work(fail)
        job = hub.queue("q").add(1, attempts=1)
        for _ in range(5):
            with pytest.raises(AgentnbError), hub.trace.run("wait"):
                job.result(timeout=30)
    with agentnb.connect(home=tmp_path / "home") as later:
        assert [row.service for row in later.errors(3)] == ["queue", "db", "db"]


def test_nothing_is_made_to_find_no_errors(tmp_path):
    with agentnb.connect(home=tmp_path / "home") as hub:
        assert "no errors" in repr(hub.errors())
        assert not hub.settings.home.exists()


def test_an_error_that_passes_through_several_spans_is_that_of_the_innermost():
    tracer = Tracer()
    with (
        pytest.raises(RuntimeError),
        tracer.span("cell", service="notebook"),
        tracer.span("process", service="queue"),
    ):
        with pytest.raises(ValueError, match="no such app"), tracer.span("query", service="db"):
            raise ValueError("no such app")
        raise RuntimeError("failed: no such app")
    found = errors_of_spans(tracer.recent())
    assert [(one.service, one.error) for one in found] == [("db", "ValueError")]


def test_two_errors_of_one_trace_are_two():
    tracer = Tracer()
    with tracer.span("cell", service="notebook"):
        for name in ("get", "post"):
            with pytest.raises(ValueError, match=name), tracer.span(name, service="api"):
                raise ValueError(name)
    found = newest_errors(errors_of_spans(tracer.recent()), 20)
    assert [one.message for one in found] == ["post", "get"]
