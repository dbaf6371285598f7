"""A healthy start, in a fresh process on a fresh home, logs nothing above INFO."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import agentnb

SCRIPT = """
import logging, sys, threading

logging.basicConfig(level=sys.argv[1], format="%(levelname)s %(name)s %(message)s")

import agentnb
from agentnb.core.workflow import Task

hub = agentnb.connect()


def queue():
    name = f"q{threading.get_ident()}"  # of this thread alone
    hub.queue(name).work(lambda job: 1)
    assert hub.queue(name).add(1).result(timeout=30) == 1


def events():
    heard = threading.Event()
    with hub.events.subscribe("made", lambda event: heard.set()):
        hub.events.publish("made", 1)
        assert heard.wait(30)


def workflows():
    hub.workflows.agent("a")(lambda task, ctx: 1)
    hub.workflows.work()
    hub.workflows.create("w", [Task("t", agent="a")]).wait(30)


def docker():
    hub.docker.list()


calls = {
    "db": lambda: hub.db.query("select 1"),
    "redis": lambda: hub.redis.get("x"),
    "publisher": lambda: hub.redis.publisher.publish("x", "1"),
    "subscriber": lambda: hub.redis.subscriber.blpop("x", 0.01),
    "pipeline": lambda: hub.redis.pipeline().get("x").execute(),
    "cache": lambda: hub.cache.get_or_set("x", lambda: 1),
    "publish": lambda: hub.events.publish("made", 1),
    "events": events,
    "queue": queue,
    "workflows": workflows,
    "files": lambda: hub.files.write_file("a", "x"),
}
failures = []


def run(call):
    try:
        call()
    except BaseException as error:
        failures.append(error)


with hub:
    if sys.argv[2] == "docker":
        docker()
    elif sys.argv[2] in calls:
        calls[sys.argv[2]]()
    else:
        threads = [threading.Thread(target=run, args=(one,)) for one in [*calls.values()] * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
assert not failures, failures
"""
SERVICES = (
    "db",
    "redis",
    "publisher",
    "subscriber",
    "pipeline",
    "cache",
    "publish",
    "events",
    "queue",
    "workflows",
    "files",
)


@pytest.fixture
def start(redis_home):
    """Return what starts processes on one fresh home, and returns what each of them logged."""

    def run(service, level="WARNING", processes=1, **variables):
        environment = {
            **os.environ,
            "AGENTNB_HOME": str(redis_home),
            "AGENTNB_WORKSPACE": str(redis_home.parent / "workspace"),
            **variables,
        }
        started = [
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT, level, service],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(processes)
        ]
        told = [one.communicate(timeout=120)[1] for one in started]
        assert [one.returncode for one in started] == [0] * processes, told
        return told

    return run


@pytest.mark.parametrize("service", SERVICES)
def test_the_first_use_of_a_service_warns_of_nothing(start, service):
    assert start(service) == [""]


def test_the_first_use_of_an_engine_warns_of_nothing(start, docker_engine):
    assert docker_engine.ping()
    assert start("docker") == [""]


def test_all_services_at_once_in_threads_warn_of_nothing(start):
    assert start("all") == [""]


def test_processes_that_start_together_warn_of_nothing(start):
    assert start("queue", processes=3) == [""] * 3


def test_a_start_is_logged_at_info(start):
    [told] = start("queue", level="INFO")
    assert "INFO agentnb.redis embedded server started" in told
    assert "INFO agentnb.redis redis connected" in told
    assert "INFO agentnb.queue worker started" in told


def test_starting_the_server_is_no_attempt_at_the_first_call(redis_home):
    with agentnb.connect(home=redis_home) as hub:
        hub.cache.get("x")
        hub.events.publish("made", 1)
        [get, publish] = [one for one in hub.tracer.recent() if one.service in {"cache", "events"}]
        assert (get.attempt, get.outcome) == (publish.attempt, publish.outcome) == (1, "ok")
        assert get.attributes == {"key": "x", "hit": False, "server_started": True}
        assert "server_started" not in publish.attributes
        hub.stop()
        hub.redis.get("x")
        assert hub.tracer.recent(1)[0].attempt == 1


def test_a_server_that_is_started_again_is_said_in_place_of_an_attempt(redis_home, until):
    with agentnb.connect(home=redis_home) as hub:
        pid = int(hub.redis.info("server")["process_id"])
        os.kill(pid, 9)
        until(lambda: not Path(f"/proc/{pid}/exe").exists())
        hub.redis.get("x")
        [span] = hub.tracer.recent(1)
        assert (span.name, span.attempt, span.outcome) == ("GET", 1, "ok")
        assert span.attributes["server_started"] is True


def test_a_server_that_is_killed_is_logged_as_an_error(redis_home, caplog, until):
    with agentnb.connect(home=redis_home) as hub:
        pid = int(hub.redis.info("server")["process_id"])
        os.kill(pid, 9)
        until(lambda: not Path(f"/proc/{pid}/exe").exists())
        assert hub.redis.get("x") is None
    told = [one for one in caplog.records if one.message.startswith("redis error, attempt 1")]
    assert [one.levelname for one in told] == ["ERROR"]
