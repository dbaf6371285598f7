"""The eight practices of an integration, on every service that there is.

The table in README.md beside this file says which test holds which practice; a service
that is added to SERVICES is held to all of them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import (
    AgentnbError,
    CircuitOpen,
    ConfigError,
    DeadlineExceeded,
    UnavailableError,
    UsageError,
)
from agentnb.core.trace import start_trace

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


class Sqlite:
    service = "db"
    url = "database_url"

    def use(self, hub):
        return hub.db.query("select 1").scalar()

    def connection(self, hub):
        hub.db.query("select 1")
        return hub.db.engine.pool.checkedin()

    def hang(self, hub):
        hub.db.query(ENDLESS, timeout=0.3)

    def fail(self, hub):
        hub.db.query("select * from nowhere")

    def misuse(self, hub):
        hub.db.query("select :unbound")

    def left(self, _hub):
        return [link for link in _open_files() if link.endswith("agentnb.db")]


class Postgresql(Sqlite):
    far = "postgresql://nobody@127.0.0.1:{port}/none"

    def knock(self, hub):
        """Call what may not be there; a call that has less time gives up sooner."""
        return self.use(hub)

    def connection(self, hub):
        return hub.db.query("select pg_backend_pid()").scalar()

    def lose(self, hub):
        """Let the server end the connection that the pool will lend next."""
        pid = self.connection(hub)
        with agentnb.connect(database_url=hub.settings.database_url) as other:
            other.db.query("select pg_terminate_backend(:pid)", {"pid": pid})

    def hang(self, hub):
        hub.db.query("select pg_sleep(60)", timeout=0.3)

    def left(self, hub):
        sql = """select pid from pg_stat_activity
            where application_name = 'agentnb' and pid <> pg_backend_pid()"""
        with agentnb.connect(database_url=hub.settings.database_url) as other:
            return list(other.db.query(sql))


class Redis:
    service = "redis"
    url = "redis_url"
    far = "redis://127.0.0.1:{port}/0"

    def use(self, hub):
        return hub.redis.ping()

    def knock(self, hub):
        return hub.redis.within(0.5).ping()

    def connection(self, hub):
        return hub.redis.client_id()

    def lose(self, hub):
        os.kill(_server(hub), signal.SIGKILL)

    def hang(self, hub):
        with Stopped(hub):
            self.slow(hub)

    def slow(self, hub):
        hub.redis.within(0.3).get("key")

    def fail(self, hub):
        hub.redis.set("text", "x")
        hub.redis.lpush("text", "y")

    def misuse(self, hub):
        hub.redis.within(-1)

    def left(self, hub):
        home = hub.settings.home.resolve() / "redis"
        return [path for path in Path("/proc").glob("[0-9]*/cwd") if _target(path) == home]


class Cache(Redis):
    service = "cache"

    def use(self, hub):
        return hub.cache.get_or_set("key", lambda: 1)

    def connection(self, hub):
        hub.cache.set("key", 1)
        return hub.redis.client_id()

    def slow(self, hub):
        hub.cache.redis = hub.redis.within(0.3)
        hub.cache.get("key")

    def fail(self, hub):
        hub.redis.lpush(hub.cache.keys_of.cache("list"), "x")
        hub.cache.get("list")

    def misuse(self, hub):
        hub.cache.set("key", object())


class Queue(Redis):
    service = "queue"

    def use(self, hub):
        return hub.queue("q").add(1).id

    def knock(self, hub):
        return hub.queues.within(0.5).get_queue("q").add(1)

    def connection(self, hub):
        hub.queue("q").add(1)
        return hub.redis.client_id()

    def slow(self, hub):
        hub.queues.within(0.3).get_queue("q").counts()

    def fail(self, hub):
        hub.redis.set(f"{hub.queue('bad').store.base}:wait", "text")
        hub.queue("bad").counts()

    def misuse(self, hub):
        hub.queue("q").add(object())


class Workflows(Sqlite):
    service = "workflows"

    def use(self, hub):
        hub.workflows.agent("a")(lambda _task, _ctx: 1)
        return hub.workflows.create("w", [{"name": "t", "agent": "a"}]).id

    def connection(self, hub):
        self.use(hub)
        return hub.db.engine.pool.checkedin()

    def fail(self, hub):
        self.use(hub)
        hub.db.execute(
            "create trigger refuse before insert on agentnb_task "
            "begin select raise(abort, 'not today'); end"
        )
        self.use(hub)

    def misuse(self, hub):
        hub.workflows.create("w", [{"name": "t", "agent": "a", "data": object()}])


SERVICES = {
    "sqlite": Sqlite(),
    "postgresql": Postgresql(),
    "redis": Redis(),
    "cache": Cache(),
    "queue": Queue(),
    "workflows": Workflows(),
}
FAR = {name: service for name, service in SERVICES.items() if hasattr(service, "far")}


@pytest.fixture(params=SERVICES)
def case(request):
    return SERVICES[request.param]


@pytest.fixture
def hub(request, redis_home):
    """Return a hub on a home of its own, whose services are real."""
    arguments = {"home": redis_home}
    if isinstance(request.getfixturevalue("case"), Postgresql):
        arguments["database_url"] = request.getfixturevalue("postgres_url")
    with agentnb.connect(**arguments) as hub:
        yield hub


def test_connections_are_pooled(case, hub):
    assert len({case.connection(hub) for _ in range(50)}) == 1


@pytest.mark.parametrize("case", [FAR["postgresql"], FAR["redis"], FAR["cache"], FAR["queue"]])
def test_a_lost_connection_is_made_again(case, hub):
    case.use(hub)
    case.lose(hub)
    assert case.use(hub) is not None


@pytest.mark.parametrize("case", [FAR["postgresql"], FAR["redis"], FAR["queue"]])
def test_a_service_that_is_away_is_not_asked_for_ever(case, redis_home):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        far = case.far.format(port=unused.getsockname()[1])
        with agentnb.connect(home=redis_home, **{case.url: far}) as hub:
            seen = [_error(lambda: case.knock(hub)) for _ in range(8)]
    assert all(isinstance(error, UnavailableError) for error in seen)
    assert isinstance(seen[-1], CircuitOpen)


def test_what_crosses_the_boundary_is_checked(case, hub):
    assert isinstance(_error(lambda: case.misuse(hub)), UsageError)


def test_connection_strings_come_from_the_settings_and_keep_their_password(
    case, redis_home, caplog
):
    if case.url == "database_url":
        value = "postgresql://ada:hunter22@127.0.0.1:1/x"
    else:
        value = "redis://:hunter22@127.0.0.1:1/0"
    with agentnb.connect(home=redis_home, **{case.url: value}) as hub:
        assert hub.settings.source(case.url) == "argument"
        assert "hunter22" not in repr(hub.settings.table())
        error = _error(lambda: case.use(hub))
    told = f"{error} {getattr(error, 'hint', '')}"
    if case.service == "cache":  # it loads the value all the same, and says why in the log
        assert error is None
        told = caplog.text
        assert "the cache is away" in told
    else:
        assert isinstance(error, UnavailableError)
    assert "127.0.0.1:1" in told
    assert "hunter22" not in told + caplog.text


def test_every_call_has_its_time(case, hub):
    case.use(hub)
    assert isinstance(_error(lambda: case.hang(hub)), DeadlineExceeded)
    assert case.use(hub) is not None


def test_calls_are_logged_with_the_ids_of_their_trace(case, hub):
    trace = start_trace(correlation_id="order-7")
    case.use(hub)
    _error(lambda: case.fail(hub))
    spans = hub.tracer.trace(trace.trace_id)
    assert {span.service for span in spans} & {"db", "redis"}
    assert {span.correlation_id for span in spans} == {"order-7"}
    assert any(span.outcome != "ok" for span in spans)
    hub.logs.flush()
    lines = [
        json.loads(line)
        for path in (hub.settings.home / "logs").glob("agentnb-*.jsonl")
        for line in path.read_text("utf-8").splitlines()
    ]
    assert any("connected" in line["message"] for line in lines)


def test_no_error_is_swallowed(case, hub):
    error = _error(lambda: case.fail(hub))
    assert isinstance(error, AgentnbError)
    assert not isinstance(error, (UnavailableError, ConfigError))
    assert error.__cause__ is not None


def test_nothing_is_left_behind(case, hub, wait_until_gone):
    case.use(hub)
    before = case.left(hub)
    hub.close()
    wait_until_gone()
    assert before
    assert not case.left(hub)
    assert not [t for t in threading.enumerate() if t.name.startswith("agentnb") and t.is_alive()]


def _error(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001 - which one it is is what the tests ask
        return error
    return None


def _server(hub):
    return int(hub.redis.info("server")["process_id"])


class Stopped:
    """A server that is frozen for the length of a block."""

    def __init__(self, hub):
        self.pid = _server(hub)

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


def _open_files():
    return [str(_target(path)) for path in Path("/proc/self/fd").iterdir()]


def _target(path):
    try:
        return path.readlink()
    except OSError:
        return None
