"""Counts of calls, jobs and tasks in memory."""

from __future__ import annotations

import threading

import pytest

from agentnb.core.errors import TaskFailed
from agentnb.core.trace import Counters, Tracer
from agentnb.core.trace.counters import CALL_BOUNDS, OTHER, Histogram
from agentnb.core.trace.metrics import numbers_by_service
from tests.waiting import until


def calls_of(counters):
    return {
        (one.service, one.operation, one.outcome): one.durations.count for one in counters.calls()
    }


def test_each_span_is_counted_by_service_operation_and_outcome():
    tracer = Tracer()
    for _ in range(3):
        with tracer.span("query", service="db"):
            pass
    with pytest.raises(KeyError), tracer.span("query", service="db"):
        raise KeyError
    assert calls_of(tracer.counters) == {("db", "query", "ok"): 3, ("db", "query", "KeyError"): 1}


def test_spans_that_are_not_written_are_counted(tmp_path):
    (tmp_path / "logs").write_text("a file in the place of the folder")
    tracer = Tracer(tmp_path / "logs")
    for _ in range(20_000):
        with tracer.span("query", service="db"):
            pass
    tracer.close()
    assert tracer.dropped > 0
    assert calls_of(tracer.counters) == {("db", "query", "ok"): 20_000}


def test_threads_count_each_call_once():
    counters = Counters()

    def call():
        for number in range(20_000):
            counters.call("db", f"query{number % 3}", "ok", 1.0, 0.0)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(calls_of(counters).values()) == 80_000
    assert sum(one.durations.total for one in counters.calls()) == pytest.approx(80.0)


def test_operations_beyond_the_limit_are_counted_as_other():
    counters = Counters()
    for number in range(2_000):
        counters.call("app", f"step {number}", "ok", 1.0, 0.0)
    for number in range(1_000):
        counters.call("app", "step", f"Error{number}", 1.0, 0.0)
    for number in range(1_000):
        counters.call(f"service{number}", "step", "ok", 1.0, 0.0)
    found = calls_of(counters)
    assert sum(found.values()) == 4_000
    assert len(found) <= 560
    assert found["app", OTHER, "ok"] == 1_500
    assert found["app", "step 499", "ok"] == 1


@pytest.mark.parametrize(
    "name", ["x" * 61, "", ["a", "list"], "password=hunter22", "two\nlines", "\ud800"]
)
def test_a_name_that_cannot_be_a_label_is_counted_as_other(name):
    tracer = Tracer()
    with tracer.span(name, service="app"):
        pass
    assert calls_of(tracer.counters) == {("app", OTHER, "ok"): 1}


def test_a_quantile_lies_in_its_bucket():
    histogram = Histogram(CALL_BOUNDS)
    assert histogram.quantile(0.5) is None
    for ms in range(1, 101):
        histogram.observe(ms / 1000)
    assert histogram.quantile(0.5) == pytest.approx(0.05, abs=0.001)
    assert histogram.quantile(0.95) == pytest.approx(0.1, abs=0.01)
    histogram.observe(1000.0)
    assert histogram.quantile(1.0) == CALL_BOUNDS[-1]


def test_the_table_of_metrics_has_a_row_for_each_operation(hub):
    from agentnb.core.errors import AgentnbError

    hub.db.query("select 1")
    with pytest.raises(AgentnbError):
        hub.db.query("select * from nowhere")
    found = {(row[0], row[1]): row for row in hub.metrics()}
    row = found["db", "query"]
    assert (row.calls, row.errors) == (2, 1)
    assert 0 < row.p50 <= row.p95
    assert row[-1] == "TableNotFound: no such table: nowhere"


def test_the_last_error_of_a_series_is_the_newest_and_has_no_secret():
    counters = Counters(lambda text: text.replace("s3cret", "•"))
    counters.call("db", "query", "Late", 1.0, 5.0, "the newer s3cret")
    counters.call("db", "query", "Early", 1.0, 2.0, "the older")
    counters.call("db", "execute", "ok", 1.0, 9.0)
    assert numbers_by_service(counters)["db"].last_error == "Late: the newer •"
    counters.call("db", "query", "Early", 1.0, 7.0, "x" * 1000)
    last = numbers_by_service(counters)["db"].last_error
    assert last.startswith("Early: xxx")
    assert len(last) < 250
    counters.call("db", "query", "Bare", 1.0, 8.0)
    assert numbers_by_service(counters)["db"].last_error == "Bare"


def test_the_numbers_of_a_service_are_those_of_all_its_operations():
    counters = Counters()
    for number in range(8):
        counters.call("db", "query", "ok", 1.0, 0.0)
        counters.call("db", f"execute {number}", "Failed" if number else "ok", 200.0, 1.0)
    found = numbers_by_service(counters)["db"]
    assert (found.calls, found.errors) == (16, 7)
    assert 0.0005 <= found.p50 <= 0.001
    assert 0.1 < found.p95 <= 0.25


class TestJobs:
    """The attempts at jobs."""

    @staticmethod
    def counts(hub):
        return hub.tracer.counters.work("job")["mail"]

    def test_the_end_of_each_attempt_is_counted(self, hub):
        queue = hub.queue("mail")

        def work(job):
            if job.data == "never":
                raise ValueError
            if job.data == "once" and job.attempt == 1:
                raise KeyError

        for _ in range(5):
            queue.add("well")
        queue.add("once", attempts=2, backoff=0.01)
        queue.add("never", attempts=2, backoff=0.01)
        queue.work(work).wait_until_empty(timeout=30)
        until(lambda: sum(self.counts(hub).outcomes.values()) == 9)
        found = self.counts(hub)
        assert found.outcomes == {"completed": 6, "retried": 2, "failed": 1}
        assert found.started == found.durations.count == 9
        assert found.waits.count == 7  # the first attempts

    def test_a_delay_is_no_wait(self, hub):
        queue = hub.queue("mail")
        job = queue.add(1, delay=0.5)
        queue.work(lambda _: None)
        job.result(timeout=30)
        found = self.counts(hub)
        assert found.waits.count == 1
        assert found.waits.total < 0.4

    def test_a_job_that_is_put_back_is_counted_as_released(self, hub):
        queue = hub.queue("mail")
        begun, end = threading.Event(), threading.Event()

        def work(_):
            begun.set()
            end.wait(30)

        queue.add(1)
        queue.work(work)
        assert begun.wait(30)
        queue.stop(0)
        end.set()
        found = self.counts(hub)
        assert (found.started, found.outcomes) == (1, {"released": 1})
        assert found.durations.count == 0


class TestTasks:
    """The attempts at tasks."""

    def test_tasks_are_counted_by_their_agent(self, hub):
        hub.workflows.agent("write")(lambda ctx: ctx.data)
        hub.workflows.agent("break", attempts=2, backoff=0.01)(lambda _: 1 / 0)
        made = hub.workflows.create(
            "book",
            tasks=[
                {"name": "a", "agent": "write"},
                {"name": "b", "agent": "write", "needs": ["a"]},
                {"name": "c", "agent": "break"},
            ],
        )
        hub.workflows.work()
        with pytest.raises(TaskFailed):
            made.wait(timeout=30)
        counters = hub.tracer.counters
        until(lambda: counters.work("task")["break"].outcomes == {"retried": 1, "failed": 1})
        until(lambda: counters.work("task")["write"].outcomes == {"completed": 2})
        found = counters.work("task")["write"]
        assert found.started == found.waits.count == 2
