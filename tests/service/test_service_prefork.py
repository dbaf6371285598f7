"""Processes that fork after agentnb was used: gunicorn with `--preload`, and `os.fork`."""

from __future__ import annotations

import collections
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from .conftest import SCRIPTS

PREFORKED = '''
"""Uses a hub before it is forked, and in each request afterwards."""

import os

from service.web import app, lifespan

import agentnb

hub = agentnb.connect()
hub.db.execute("create table if not exists hit (number integer)")


def hit(number):
    hub.db.execute("insert into hit values (:number)", {"number": number})
    hub.events.publish("hit", number)
    hub.cache.get_or_set("warm", lambda: "warm", ttl=60)
    hub.queue("hits").add(number)
    return {"pid": os.getpid()}


hit(-1)


@app.get("/hit/{number}")
async def awaited(number: int):
    await hub.db.aexecute("insert into hit values (:number)", {"number": number})
    await hub.events.apublish("hit", number)
    await hub.cache.aget_or_set("warm", lambda: "warm", ttl=60)
    await hub.queue("hits").aadd(number)
    return {"pid": os.getpid()}


def application(environ, start_response):
    found = hit(int(environ["PATH_INFO"].rpartition("/")[2]))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b'{"pid": %d}' % found["pid"]]
'''
KINDS = {
    "uvicorn": ("--worker-class", "uvicorn_worker.UvicornWorker", "preforked:app"),
    "gthread": ("--worker-class", "gthread", "--threads", "4", "preforked:application"),
}


@pytest.fixture
def gunicorn(service, backend, tmp_path, until):  # noqa: ARG001 - both set variables
    """Return what starts gunicorn with two workers that are forked after the hub was used."""
    (tmp_path / "preforked.py").write_text(PREFORKED)
    started = []

    def start(*words):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = ("--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}")
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{SCRIPTS}:{tmp_path}"},
            start_new_session=True,
        )
        started.append(process)

        def listening():
            assert process.poll() is None
            with socket.socket() as there:
                return there.connect_ex(("127.0.0.1", port)) == 0

        until(listening, 60)
        return process, f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    ("backend", "kind"), [("sqlite", "gthread"), ("postgresql", "uvicorn")], indirect=["backend"]
)
def test_workers_of_gunicorn_use_what_was_used_before_the_fork(gunicorn, backend, kind):
    process, url = gunicorn(*KINDS[kind])

    def ask(number):
        # A connection of its own each time; without TLS no certificates are read for it.
        with httpx.Client(timeout=60, verify=False) as client:
            return client.get(f"{url}/hit/{number}")

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(ask, range(100)))
    assert collections.Counter(reply.status_code for reply in replies) == {200: 100}
    assert process.pid not in {reply.json()["pid"] for reply in replies}
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    with backend.connect() as hub:
        found = sorted(row.number for row in hub.db.query("select number from hit"))
        assert found == [-1, *range(100)]
        assert len({event.data for event in hub.events.history("hit", n=200)}) == 101
        assert hub.queue("hits").counts()["waiting"] == 101


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_orders_with_the_hub_of_its_parent(service, backend):
    app = service("app")
    with backend.connect() as hub:
        for function in ("collect", "write", "publish"):
            hub.workflows.agent(function)(getattr(service("report"), function))
        jobs, workflow = app.order(hub, ["EURUSD"])
        child = os.fork()
        if not child:
            signal.alarm(60)
            code = 1
            try:
                app.order(hub, ["GBPUSD"])
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert hub.queue("prices").counts()["waiting"] == 2
        assert len(hub.workflows.list()) == 2
        assert {job.refresh().state for job in jobs} == {"waiting"}
        assert workflow.refresh().state != "failed"
