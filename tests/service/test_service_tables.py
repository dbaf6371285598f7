"""The table of thread safety and fork safety in the page about services is true, row by row."""

from __future__ import annotations

import os
import re
import signal
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from agentnb.core.db import Database
from agentnb.core.errors import AgentnbError, UsageError

from .test_service_guide import rows

lock = threading.Lock()
ROWS = {
    name: (threads, fork)
    for names, threads, fork in rows("Thread safety and fork safety")
    for name in re.findall(r"`(\w+)`", names)
}


def database(hub):
    hub.db.execute("insert into t values (1)")


def session(hub):
    hub.kept_session.execute("insert into t values (1)")


def redis(hub):
    assert hub.redis.ping()


def cache(hub):
    assert hub.cache.get_or_set("key", lambda: 1, ttl=60) == 1


def events(hub):
    hub.events.publish("told", os.getpid())


def queue(hub):
    job = hub.queue("q").add(1)
    assert job.refresh().state == "waiting"


def workflow(hub):
    made = hub.workflows.create("w", [{"name": "t", "agent": "a"}])
    assert made.refresh().state != "failed"


def files(hub):
    hub.files.write_file(f"{os.getpid()}.txt", "x")


def git(hub):
    assert hub.repo(".").status() is not None


def away(call):
    with pytest.raises(AgentnbError):
        call()


def docker(hub):
    away(hub.docker.ping)


def api(hub):
    away(lambda: hub.api("http://127.0.0.1:1").get("/", retries=0))


def websocket(hub):
    client = hub.websocket(hub.peer_url)
    with lock:
        if not client.connected:
            client.connect()
    client.send("told")
    assert client.receive(timeout=30) == "told"


def whole(hub):
    for use in (database, redis, cache, events, queue, workflow, files):
        use(hub)
    assert hub.ready(timeout=30).services["redis"] == "ok"


USES = {
    "Hub": whole,
    "Database": database,
    "Session": session,
    "RedisClient": redis,
    "Cache": cache,
    "EventBus": events,
    "Queues": queue,
    "Queue": queue,
    "Job": queue,
    "Orchestrator": workflow,
    "Workflow": workflow,
    "FileSystemManager": files,
    "GitManager": git,
    "DockerManager": docker,
    "APIClient": api,
    "WebSocketClient": websocket,
}


def in_a_child(work):
    """Return how a forked child ended that does some work: 0 if it was done."""
    child = os.fork()
    if not child:
        signal.alarm(60)
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - a child must not go on as a test
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def used(hub, monkeypatch, peer):
    monkeypatch.setattr(hub, "kept_session", hub.db.session(), raising=False)
    monkeypatch.setattr(hub, "peer_url", peer.url(), raising=False)
    hub.db.execute("create table t (n integer)")
    hub.workflows.agent("a")(lambda task: task.name)
    hub.repo(".").initialize()
    return hub


@pytest.mark.agentnb(docker_host="unix:///nowhere/docker.sock")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in ROWS if name != "Transaction"])
def test_an_object_is_used_by_threads_and_by_a_child_as_its_row_says(used, name):
    threads, fork = ROWS[name]
    use = USES[name]
    assert threads.startswith("safe")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(use, used) for _ in range(12)]:
            done.result(60)
    assert re.match(r"works?\b|publishes|is not connected", fork)
    assert in_a_child(lambda: use(used)) == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_transaction_is_used_by_threads_and_refused_in_a_child(request, kind, tmp_path):
    assert ROWS["Transaction"][0].startswith("safe")
    assert ROWS["Transaction"][1].startswith("refuses")
    url = f"sqlite:///{tmp_path}/a.db" if kind == "sqlite" else request.getfixturevalue("fresh_url")
    with Database(url) as db:
        db.execute("create table t (n integer)")
        with ExitStack() as block:
            tx = block.enter_context(db.transaction())
            with ThreadPoolExecutor(4) as pool:
                for done in [pool.submit(tx.execute, "insert into t values (1)") for _ in range(8)]:
                    done.result(60)

            def leave():
                with pytest.raises(UsageError, match="begun by the parent"), block:
                    tx.execute("insert into t values (2)")
                assert db.query("select 1").scalar() == 1

            assert in_a_child(leave) == 0
            tx.execute("insert into t values (1)")
        assert db.query("select sum(n) from t").scalar() == 9
