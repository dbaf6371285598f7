"""A correlation id goes wherever the work goes: into jobs, tasks, events, requests and logs."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import threading

import pytest

import agentnb
from agentnb.core.errors import UsageError
from agentnb.core.trace import (
    carried,
    current,
    outgoing_headers,
    outgoing_variables,
    start_trace,
    use,
)
from agentnb.core.workflow import Task

from .api_server import says

ORDER = "order-17"


@pytest.fixture
def hub(redis_home):
    with use(None), agentnb.connect(home=redis_home) as hub:
        yield hub


@pytest.fixture
def order(hub):  # noqa: ARG001 - the trace ends before the hub does
    """Return the trace of an order, in which the test runs."""
    with use(None):
        yield start_trace(correlation_id=ORDER)


class Records(logging.Handler):
    """Keeps the records of a logger."""

    def __init__(self, name):
        super().__init__(logging.DEBUG)
        self.found = []
        self._logger = logging.getLogger(name)

    def emit(self, record):
        self.found.append(record)

    def ids(self, text):
        """Return the correlation ids of the records whose message begins so."""
        found = [one for one in self.found if one.getMessage().startswith(text)]
        return [getattr(one, "correlation_id", None) for one in found]

    def __enter__(self):
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_):
        self._logger.removeHandler(self)


def ids(job):
    """Return what a processor sees of the id: on the job, and in the running trace."""
    return [job.correlation_id, current().correlation_id]


async def aids(job):
    return ids(job)


@pytest.mark.parametrize("processor", [ids, aids], ids=["def", "async def"])
@pytest.mark.parametrize("options", [{}, {"timeout": 20}], ids=["plain", "with a time-out"])
def test_a_job_has_the_id_of_the_trace_that_added_it(hub, order, processor, options):
    hub.queue("orders").work(processor)
    job = hub.queue("orders").add(1, **options)
    assert job.correlation_id == ORDER
    assert job.result(timeout=20) == [ORDER, ORDER]
    assert hub.queue("orders").get(job.id).correlation_id == ORDER
    spans = [span for span in hub.tracer.trace(order.trace_id) if span.service == "queue"]
    assert {span.correlation_id for span in spans} == {ORDER}


def test_an_id_of_its_own_goes_into_a_jobs_trace(hub, order):
    hub.queue("orders").work(ids)
    job = hub.queue("orders").add(1, correlation_id="mine")
    assert job.result(timeout=20) == ["mine", "mine"]
    assert current().correlation_id == ORDER
    found = {span.name: span.correlation_id for span in hub.tracer.trace(order.trace_id)}
    assert (found["add"], found["process"]) == ("mine", "mine")


@pytest.mark.usefixtures("order")
def test_an_id_is_kept_from_job_to_job(hub):
    queue = hub.queue("orders")

    def work(job):
        return queue.add("last").id if job.data == "first" else ids(job)

    queue.work(work)
    first = queue.add("first", correlation_id="mine").result(timeout=20)
    assert queue.get(first).result(timeout=20) == ["mine", "mine"]


def test_an_id_lives_through_retries_in_logs_and_events(hub, order, until):
    seen = []

    def work(job):
        seen.append(ids(job))
        logging.getLogger("agentnb.test").warning("from the job")
        if job.attempt < 2:
            raise ValueError("once more")

    queue = hub.queue("orders")
    events = []
    with hub.events.subscribe("queue.orders.*", events.append), Records("agentnb.queue") as records:
        queue.work(work)
        queue.add(1, backoff=0.01).result(timeout=20)
        until(lambda: events and records.ids("job completed"), seconds=20)
    assert seen == [[ORDER, ORDER]] * 2
    assert records.ids("job")[:1] == [ORDER]
    assert records.ids("job completed") == [ORDER]
    assert {(one.correlation_id, one.trace_id) for one in events} == {(ORDER, order.trace_id)}
    lines = hub.logs.path.read_text().splitlines()
    told = [json.loads(line) for line in lines if "from the job" in line]
    assert [line["correlation_id"] for line in told] == [ORDER, ORDER]


@pytest.mark.usefixtures("order")
def test_a_job_that_its_queue_ends_is_logged_under_its_id(hub, until):
    def work(job):
        job.progress(0.5)
        raise ValueError("no")

    queue = hub.queue("orders")
    events = []
    with hub.events.subscribe("queue.orders.*", events.append), Records("agentnb.queue") as records:
        queue.work(work)
        job = queue.add(1, attempts=1)
        until(lambda: job.state == "failed" and len(events) > 1, seconds=20)
        with use(None):
            waiting = hub.queue("orders-2").add(2, correlation_id="other")
            with hub.events.subscribe("queue.orders-2.*", events.append):
                waiting.cancel()
                until(lambda: len(events) == 3, seconds=20)
    assert records.ids(f"job {job.id} of orders failed") == [ORDER]
    assert [one.correlation_id for one in events] == [ORDER, ORDER, "other"]


@pytest.mark.usefixtures("order")
def test_a_worker_process_has_the_id(redis_home, hub, start_worker, tmp_path):
    (tmp_path / "jobs.py").write_text(
        "from agentnb.core.trace import current\n"
        "def work(job):\n"
        "    return [job.correlation_id, current().correlation_id]\n"
    )
    worker = start_worker(redis_home, "orders", "--processor", "jobs:work", "--processes")
    jobs = [hub.queue("orders").add(1), hub.queue("orders").add(2, correlation_id="mine")]
    assert [job.result(timeout=60) for job in jobs] == [[ORDER, ORDER], ["mine", "mine"]]
    worker.end()
    lines = [
        json.loads(line)
        for path in (hub.settings.home / "logs").glob("agentnb-*.jsonl")
        for line in path.read_text().splitlines()
    ]
    ended = [line for line in lines if line["message"] == "job completed"]
    assert sorted(line["correlation_id"] for line in ended) == ["mine", ORDER]


@pytest.mark.parametrize("given", [None, "mine"])
def test_the_tasks_steps_logs_and_events_of_a_workflow_have_its_id(hub, order, until, given):
    seen = []

    @hub.workflows.agent("a", attempts=3, backoff=0.01)
    def agent(task, ctx):
        seen.append(current().correlation_id)
        seen.append(ctx.step("one", lambda: current().correlation_id))
        ctx.log("said")
        if task.attempt < 2:
            raise ValueError("once more")

    wanted = given or ORDER
    events = []
    with hub.events.subscribe("*", events.append), Records("agentnb.workflow") as records:
        hub.workflows.work()
        hub.workflows.create("w", [Task("t", agent="a")], correlation_id=given).wait(30)
        until(lambda: "workflow.completed" in {one.channel for one in events}, seconds=20)
    assert seen == [wanted] * 4
    for text in ("task says", "task t of workflow", "task completed"):
        assert set(records.ids(text)) == {wanted}
    assert {(one.correlation_id, one.trace_id) for one in events} == {(wanted, order.trace_id)}


@pytest.mark.usefixtures("order")
def test_an_event_takes_the_id_to_its_handler_and_to_what_that_does(hub, until):
    seen = []
    hub.queue("orders").work(ids)

    def handle(event):
        seen.append((event.correlation_id, current().correlation_id))
        seen.append(hub.queue("orders").add(1).result(timeout=20))

    async def ahandle(event):
        seen.append((event.correlation_id, current().correlation_id))

    with hub.events.subscribe("made", handle), hub.events.subscribe("made", ahandle):
        hub.events.publish("made", 1)
        until(lambda: len(seen) == 3, seconds=20)
    assert sorted(map(tuple, seen)) == [(ORDER, ORDER)] * 3


def test_an_id_given_for_a_block_is_in_all_that_it_makes_and_can_be_read_back(hub, until):
    seen = {}

    @hub.workflows.agent("a")
    def agent(_, ctx):
        return [ctx.correlation_id, ctx.workflow.correlation_id]

    def work(_):
        workflow = hub.workflows.create("w", [Task("t", agent="a")])
        child = subprocess.run(
            ["sh", "-c", "echo $CORRELATION_ID"],
            env=outgoing_variables(current()),
            capture_output=True,
            text=True,
            check=True,
        )
        event = hub.events.publish("made", 1)
        added = hub.queue("later").add(1)
        return [workflow.id, event.correlation_id, added.correlation_id, child.stdout.strip()]

    hub.workflows.work()
    hub.queue("orders").work(work)
    with hub.events.subscribe("made", lambda event: seen.update(event=event.correlation_id)):
        with agentnb.correlation(ORDER), hub.tracer.span("mine") as span:
            job = hub.queue("orders").add(1)
        assert current() is None
        assert (span.correlation_id, job.correlation_id) == (ORDER, ORDER)
        number, *found = job.result(timeout=30)
        until(lambda: seen, seconds=20)
    assert found == [ORDER] * 3
    assert seen == {"event": ORDER}
    workflow = hub.workflows.get(number).wait(30)
    assert workflow.correlation_id == ORDER
    assert workflow.result == {"t": [ORDER, ORDER]}
    assert [one.correlation_id for one in hub.workflows.list()] == [ORDER]
    assert hub.workflows.create("w", [Task("t", agent="a")]).correlation_id is None
    given = hub.workflows.create("w", [Task("t", agent="a")], correlation_id="mine")
    assert given.correlation_id == "mine"


def test_a_block_with_an_id_goes_on_with_the_trace_around_it():
    with use(None), agentnb.correlation("outer") as outer:
        with agentnb.correlation("inner") as inner:
            assert current() is inner
        assert current() is outer
    assert (inner.trace, inner.span, inner.correlation_id) == (outer.trace, outer.span, "inner")


@pytest.mark.parametrize("wrong", [None, 17, b"order", "\ud800"])
def test_what_is_no_text_is_no_correlation_id_of_a_block(wrong):
    with pytest.raises(UsageError, match="correlation_id must be text, got"):
        agentnb.correlation(wrong)


def test_a_dead_letter_is_logged_and_published_anew_under_its_id(hub, order, until):
    def fail(event):
        raise ValueError(event.data)

    with Records("agentnb.events") as records, hub.events.subscribe("made", fail, name="fail"):
        hub.events.publish("made", 1)
        until(hub.events.dead_letters, seconds=20)
    assert records.ids("handler fail of made failed") == [ORDER]
    [letter] = hub.events.dead_letters()
    with use(None):
        start_trace(correlation_id="of the one who looks")
        hub.events.replay(letter)
    again = hub.events.history("made")[-1]
    assert (again.correlation_id, again.trace_id) == (ORDER, order.trace_id)


def test_the_last_line_of_an_attempt_is_in_its_span(hub, until):
    with Records("agentnb.queue") as jobs, Records("agentnb.workflow") as tasks:
        hub.queue("orders").work(ids)
        hub.queue("orders").add(1).result(timeout=20)
        hub.workflows.agent("a")(lambda task, ctx: None)  # noqa: ARG005 - as agents are given
        hub.workflows.work()
        hub.workflows.create("w", [Task("t", agent="a")]).wait(30)
        for records, text in ((jobs, "job completed"), (tasks, "task completed")):
            until(lambda: records.ids(text), seconds=20)  # noqa: B023 - called at once
    spans = {span.name: span.span_id for span in hub.tracer.recent(1000)}
    for records, text, name in (
        (jobs, "job completed", "process"),
        (tasks, "task completed", "task"),
    ):
        [record] = [one for one in records.found if one.getMessage() == text]
        assert record.span_id == spans[name]


def test_an_event_with_an_id_alone_gives_its_handler_a_trace_of_that_id():
    context = carried(None, ORDER)
    assert (context.correlation_id, context.span) == (ORDER, 0)
    assert carried("junk", None) is None


@pytest.mark.usefixtures("order")
def test_a_loader_of_the_cache_has_the_id(hub):
    async def aload():
        return current().correlation_id

    async def both():
        one = await hub.cache.aget_or_set("a", aload)
        return [one, await hub.cache.aget_or_set("b", lambda: current().correlation_id)]

    found = hub.cache.get_or_set("c", lambda: current().correlation_id)
    threads = hub.cache.get_or_set("d", aload)
    assert [found, threads, *asyncio.run(both())] == [ORDER] * 4


def test_a_request_sends_the_id(hub, order, web):
    web.on("/x", says(200, 1))
    for headers in ({}, {"X-Correlation-ID": "mine"}):
        hub.api(web.url).get("/x", headers=headers)
    first, second = ({k.lower(): v for k, v in asked[2].items()} for asked in web.asked)
    assert first["x-correlation-id"] == ORDER
    assert first["traceparent"].split("-")[1] == order.trace_id
    assert second["x-correlation-id"] == "mine"


def test_a_websocket_sends_the_id_and_logs_and_handles_under_it(hub, order, peer, until):
    client = hub.websocket(peer.url("/headers"))
    seen = []
    client.on("message", lambda message: seen.append((message, current().correlation_id)))
    with Records("agentnb.websocket") as records:
        client.connect()
        until(lambda: seen, seconds=20)
        client.disconnect()
        until(lambda: records.ids("WebSocket disconnected"), seconds=20)
    headers = {name.lower(): value for name, value in seen[0][0].items()}
    assert headers["x-correlation-id"] == seen[0][1] == ORDER
    assert headers["traceparent"].split("-")[1] == order.trace_id
    assert records.ids("WebSocket connected") == records.ids("WebSocket disconnected") == [ORDER]


@pytest.mark.parametrize(
    ("given", "sent"),
    [("order 17", "order%2017"), ("a\r\nb: c", "a%0D%0Ab:%20c"), ("é%", "%C3%A9%25")],
)
def test_an_id_is_sent_as_a_header_can_hold_it(given, sent):
    assert outgoing_headers(start_trace(correlation_id=given))["x-correlation-id"] == sent


def test_a_container_gets_the_id(docker, docker_image):
    with use(None):
        trace = start_trace(correlation_id="order 17")
        words = ["sh", "-c", "echo $TRACEPARENT $CORRELATION_ID"]
        told = docker.run(docker_image, words).stdout
        one = docker.run_container(docker_image, ["sleep", "30"])
        again = docker.exec(one.name, words).stdout
    for text in (told, again):
        assert trace.trace_id in text
        assert text.endswith("order 17\n")


@pytest.mark.parametrize("wrong", [17, b"x", "\ud800"])
def test_an_id_that_is_no_text_is_refused_where_it_is_given(hub, wrong):
    calls = [
        lambda: hub.queue("orders").add(1, correlation_id=wrong),
        lambda: hub.events.publish("made", 1, correlation_id=wrong),
        lambda: start_trace(correlation_id=wrong),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="correlation_id must be text, got"):
            call()
    assert hub.queue("orders").counts()["waiting"] == 0


def test_threads_do_not_mix_their_ids(hub):
    hub.queue("orders").work(ids, concurrency=4)
    found = {}

    def one(number):
        with use(None):
            start_trace(correlation_id=f"order-{number}")
            found[number] = hub.queue("orders").add(number).result(timeout=30)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [f"order-{n}"] * 2 for n in range(20)}
