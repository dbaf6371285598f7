from __future__ import annotations

import gc
import logging
from contextlib import suppress

import pytest

import agentnb
from agentnb.core.cache import Cache
from agentnb.core.db import Database
from agentnb.core.errors import AgentnbError, NotFoundError
from agentnb.core.events import EventBus
from agentnb.core.queue import Queues
from agentnb.core.redact import Redactor
from agentnb.core.redis import RedisClient
from agentnb.core.runtime import Runtime
from agentnb.core.trace import Tracer
from agentnb.core.workflow import Orchestrator


@pytest.fixture(autouse=True)
def _nothing_left():
    gc.collect()  # a client of another test's logs that it is closed


@pytest.fixture
def runtime():
    return Runtime(Tracer(), Redactor(["hunter22"]), "hub-77")


def names(tracer):
    return {(span.service, span.name) for span in tracer.recent(1000)}


def stamps(caplog):
    """Return the services that have logged, each with the hubs on its records."""
    found = {}
    for record in caplog.records:
        # The library of WebSockets logs for no hub, below WARNING.
        if record.name.startswith("agentnb.") and record.name != "agentnb.websocket.protocol":
            found.setdefault(record.name.split(".")[1], set()).add(getattr(record, "hub", None))
    return found


def refuse(_job):
    raise ValueError("it is hunter22")


def test_a_log_is_the_services_and_stamped_with_the_hub(runtime):
    log = runtime.log("queue", queue="mail")
    assert log.logger is logging.getLogger("agentnb.queue")
    assert log.extra == {"hub": "hub-77", "data": {"queue": "mail"}}
    assert Runtime().log("queue").extra == {}


def test_two_runtimes_share_nothing():
    one, other = Runtime(), Runtime()
    one.redactor.add("hunter22")
    with one.tracer.span("query", service="db"):
        pass
    assert other.redactor("it is hunter22") == "it is hunter22"
    assert other.tracer.recent() == []


def test_services_use_the_runtime_of_the_redis_client(redis_home, runtime, caplog):
    caplog.set_level(logging.DEBUG, "agentnb")
    with RedisClient(home=redis_home, runtime=runtime) as redis:
        cache = Cache(redis)
        with Queues(redis) as queues, EventBus(redis) as bus:
            cache.set("k", 1)
            bus.publish("c", 1)
            bus.subscribe("c", print)
            queues.get_queue("q").work(refuse)
            job = queues.add_task("q", {"a": 1}, attempts=1)
            with pytest.raises(AgentnbError):
                job.result(timeout=30)
            assert "hunter22" not in str(job.failure)
    assert {("cache", "set"), ("events", "publish"), ("queue", "add")} <= names(runtime.tracer)
    found = stamps(caplog)
    assert {"redis", "events", "queue"} <= found.keys()
    assert found == {key: {"hub-77"} for key in found}


def test_workflows_use_the_runtime_of_their_database(tmp_path, runtime, caplog):
    caplog.set_level(logging.DEBUG, "agentnb")
    with (
        Database(f"sqlite:///{tmp_path / 'a.db'}", runtime=runtime) as database,
        Orchestrator(database) as workflows,
    ):
        workflows.agent("refuse", attempts=1)(refuse)
        workflows.work()
        workflow = workflows.create("hello", [{"name": "a", "agent": "refuse"}])
        with pytest.raises(AgentnbError):
            workflow.wait(timeout=30)
        assert "hunter22" not in str(workflow.task("a").error)
    assert {("workflow", "create"), ("db", "query")} <= names(runtime.tracer)
    found = stamps(caplog)
    assert {"db", "workflow"} <= found.keys()
    assert found == {key: {"hub-77"} for key in found}


def test_a_runtime_of_its_own_comes_before_that_of_the_redis_client(redis_home, runtime, caplog):
    with (
        RedisClient(home=redis_home) as redis,
        EventBus(redis, runtime=runtime) as bus,
        Queues(redis, runtime=runtime) as queues,
    ):
        bus.publish("c", 1)
        caplog.set_level(logging.DEBUG, "agentnb.queue")
        queues.get_queue("q").work(str)
        queues.add_task("q", 1)
    assert {("events", "publish"), ("queue", "add")} <= names(runtime.tracer)
    assert "redis" not in {service for service, _ in names(runtime.tracer)}
    assert stamps(caplog)["queue"] == {"hub-77"}


def test_looking_at_queues_leaves_no_spans(redis_home, runtime):
    with RedisClient(home=redis_home, runtime=runtime) as redis, Queues(redis) as queues:
        before = len([one for one in runtime.tracer.recent(100) if one.service == "queue"])
        with pytest.raises(NotFoundError):
            queues.within(1.0).find("nothing")
        after = len([one for one in runtime.tracer.recent(100) if one.service == "queue"])
        assert before == after


def test_all_services_of_a_hub_share_its_tracer_redactor_and_logs(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "agentnb")
    with agentnb.connect(home=tmp_path / ".agentnb", start=tmp_path) as hub:
        hub.db.query("select 1")
        hub.cache.set("k", 1)
        hub.redis.get("k")
        hub.events.publish("c", 1)
        hub.queue("q").add(1)
        hub.workflows.agent("echo")(lambda task: task.data)
        hub.workflows.work()
        hub.workflows.create("w", [{"name": "t", "agent": "echo"}]).wait(timeout=30)
        hub.files.write_file("a.txt", "x")
        hub.repo("r").initialize()
        api = hub.api("http://127.0.0.1:1", retries=0)
        socket = hub.websocket("ws://127.0.0.1:1/?token=hunter22")
        for call in (lambda: api.get("/"), hub.docker.ping, socket.connect):
            with suppress(AgentnbError):
                call()
        services = {service for service, _ in names(hub.tracer)}
        assert services >= {
            *("db", "redis", "events", "queue", "workflow", "files", "git", "api", "websocket")
        }
        found = stamps(caplog)
        assert {"db", "redis", "workflow", "files", "git", "api", "websocket"} <= found.keys()
        assert found == {key: {hub.runtime.hub_id} for key in found}
        assert "hunter22" not in hub.runtime.redactor("it is hunter22")
