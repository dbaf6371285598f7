from __future__ import annotations

import logging

import pytest

import agentnb
from agentnb.core.cache import Cache
from agentnb.core.db import Database
from agentnb.core.events import EventBus
from agentnb.core.queue import TaskQueue
from agentnb.core.redact import Redactor
from agentnb.core.redis import RedisClient
from agentnb.core.runtime import Runtime
from agentnb.core.trace import Tracer
from agentnb.core.workflow import Orchestrator


@pytest.fixture
def runtime():
    return Runtime(Tracer(), Redactor(["hunter22"]), "hub-77")


def names(tracer):
    return {(span.service, span.name) for span in tracer.recent(100)}


def part(service, name):
    """Return the `tracer` or `redactor` of a service, wherever it keeps its runtime."""
    context = getattr(service, "_context", None)
    runtime = getattr(context, "runtime", None) or getattr(service, "_runtime", None)
    if runtime is not None:
        return getattr(runtime, name)
    return getattr(service, f"_{name}", None) or getattr(service, name)


def log_of(service):
    """Return the stamp of a service's log lines."""
    keepers = (service, getattr(service, "_context", None))
    found = [getattr(one, name, None) for one in keepers for name in ("_log", "log")]
    return next(log for log in found if log is not None).extra


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


def test_a_service_uses_the_runtime_of_the_one_that_it_stands_on(redis_home, runtime):
    with RedisClient(home=redis_home, runtime=runtime) as redis:
        cache, queues, bus = Cache(redis), TaskQueue(redis), EventBus(redis)
        with queues, bus:
            cache.set("k", 1)
            bus.publish("c", 1)
            job = queues.add_task("q", {"a": 1})
            job.remove()
            assert log_of(cache) == log_of(bus) == log_of(queues) == {"hub": "hub-77"}
            assert part(queues, "redactor")("it is hunter22") == "it is ••••••"
    assert {("redis", "SET"), ("events", "publish"), ("queue", "add")} <= names(runtime.tracer)


def test_workflows_use_the_runtime_of_their_database(tmp_path, runtime):
    with (
        Database(f"sqlite:///{tmp_path / 'a.db'}", runtime=runtime) as database,
        Orchestrator(database) as workflows,
    ):
        workflows.agent("greet")(lambda task: task.data)
        workflows.create("hello", [{"name": "a", "agent": "greet"}])
        assert log_of(workflows) == {"hub": "hub-77"}
        assert part(workflows, "redactor")("it is hunter22") == "it is ••••••"
    assert {"create", "query"} <= {name for _, name in names(runtime.tracer)}


def test_a_runtime_of_its_own_comes_before_that_of_the_redis_client(redis_home, runtime):
    with (
        RedisClient(home=redis_home) as redis,
        EventBus(redis, runtime=runtime) as bus,
        TaskQueue(redis, runtime=runtime) as queues,
    ):
        bus.publish("c", 1)
        assert log_of(Cache(redis, runtime=runtime)) == {"hub": "hub-77"}
        assert log_of(bus) == log_of(queues) == {"hub": "hub-77"}
    assert names(runtime.tracer) == {("events", "publish")}


def test_looking_at_queues_leaves_no_spans_and_masks_as_they_do(redis_home, runtime):
    with RedisClient(home=redis_home, runtime=runtime) as redis, TaskQueue(redis) as queues:
        glance = queues.within(1.0)
        assert part(glance, "tracer") is not runtime.tracer
        assert part(glance, "redactor") is runtime.redactor


def test_all_services_of_a_hub_share_its_tracer_redactor_and_id(tmp_path):
    with agentnb.connect(home=tmp_path / ".agentnb", start=tmp_path) as hub:
        services = (hub.db.access, hub.events, hub.queues, hub.workflows, hub.docker.engine)
        client = hub.api("http://127.0.0.1:1")
        assert {id(part(one, "tracer")) for one in (*services, client)} == {id(hub.tracer)}
        assert {log_of(one)["hub"] for one in (*services, hub.cache, client)} == {
            hub.runtime.hub_id
        }
        redactor = hub.settings.redactor
        masks = {id(part(one, "redactor")) for one in (hub.queues, hub.workflows, client)}
        assert masks == {id(redactor)}
        hub.websocket("ws://127.0.0.1:1/?token=hunter22")
        assert "hunter22" not in redactor("it is hunter22")
