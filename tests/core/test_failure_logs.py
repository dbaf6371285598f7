"""The user's exception is in the log once for each attempt, from the user's code on."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import time
import traceback

import pytest

import agentnb
from agentnb.core.errors import AgentnbError
from agentnb.core.workflow import Task


@pytest.fixture
def hub(redis_home):
    with agentnb.connect(home=redis_home, workspace=redis_home.parent / "work") as hub:
        yield hub


@pytest.fixture
def printed(caplog):
    """Return what a handler of the standard library prints."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    root.addHandler(handler)
    caplog.set_level(logging.INFO)
    yield text
    root.removeHandler(handler)


def fails(*_):
    secret = "password=hunter22hunter22"
    raise ValueError(f"boom {secret}")


async def afails(*_):
    fails()


FAILS = pytest.mark.parametrize("function", [fails, afails])


def failures(caplog, service):
    return [
        record
        for record in caplog.records
        if record.name == f"agentnb.{service}" and record.levelno >= logging.WARNING
    ]


def functions_of(record):
    """Return the functions in the traceback of a record, outermost first."""
    return [frame.name for frame in traceback.extract_tb(record.exc_info[2])]


def expected(function):
    return ["fails"] if function is fails else ["afails", "fails"]


@FAILS
def test_a_failed_attempt_of_a_job_is_one_record_with_the_users_traceback(
    hub, caplog, printed, function, until
):
    queue = hub.queue("mail")
    worker = queue.work(function)
    job = queue.add(1, attempts=2, backoff=0)
    with pytest.raises(AgentnbError):
        job.result(20)
    first, last = until(lambda: len(found := failures(caplog, "queue")) == 2 and found)
    worker.stop()
    assert (first.levelname, last.levelname) == ("WARNING", "ERROR")
    begin = f"job {job.id} of mail failed at attempt"
    assert first.getMessage().startswith(f"{begin} 1 of 2: ValueError: boom")
    assert last.getMessage().startswith(f"{begin} 2 of 2: ValueError: boom")
    for record in (first, last):
        assert functions_of(record) == expected(function)
        assert isinstance(record.exc_info[1], ValueError)
    assert last.data | {"ms": 0} == {
        "queue": "mail",
        "job_id": job.id,
        "attempt": 2,
        "left": 0,
        "state": "failed",
        "ms": 0,
        "error": "ValueError: boom password=••••••",
    }
    assert "hunter22" not in printed.getvalue().replace(fails_line(), "")
    assert "in fails" in printed.getvalue()
    lines = [json.loads(line) for line in hub.logs.path.read_text().splitlines()]
    told = [line for line in lines if line["message"].startswith(begin)]
    assert [line["level"] for line in told] == ["WARNING", "ERROR"]
    assert all("in fails" in line["error"] and "hunter22h" not in line["message"] for line in told)


def fails_line():
    return 'secret = "password=hunter22hunter22"'


def test_a_coroutine_that_takes_too_long_is_logged_with_the_line_that_it_waited_at(
    hub, caplog, until
):
    async def waits(_):
        await asyncio.sleep(60)

    with hub.queue("mail").work(waits, timeout=0.2):
        job = hub.queue("mail").add(1, attempts=1)
        (record,) = until(lambda: failures(caplog, "queue"))
    assert record.getMessage().startswith(f"job {job.id} of mail failed at attempt 1 of 1: it took")
    assert functions_of(record) == ["waits", "sleep"]
    assert "direct cause" not in record.exc_text


@FAILS
def test_a_failed_attempt_of_a_task_is_one_record_with_the_users_traceback(
    hub, caplog, printed, function, until
):
    hub.workflows.agent("a", attempts=2, backoff=0)(function)
    hub.workflows.work()
    workflow = hub.workflows.create("w", [Task("t", agent="a")])
    with pytest.raises(AgentnbError):
        workflow.wait(30)
    first, last = until(lambda: len(found := failures(caplog, "workflow")) == 2 and found)
    assert (first.levelname, last.levelname) == ("WARNING", "ERROR")
    begin = f"task t of workflow {workflow.id} failed at attempt"
    assert first.getMessage().startswith(f"{begin} 1 of 2: ValueError: boom")
    assert last.getMessage().startswith(f"{begin} 2 of 2: ValueError: boom")
    assert functions_of(first) == functions_of(last) == expected(function)
    assert "hunter22" not in printed.getvalue()


@FAILS
def test_a_failing_handler_of_events_is_one_record_with_the_users_traceback(
    hub, caplog, function, until
):
    with hub.events.subscribe("made", function):
        event = hub.events.publish("made", 1)
        (record,) = until(lambda: failures(caplog, "events"))
    assert record.levelname == "ERROR"
    begin = f"handler {function.__name__} of made failed at event {event.id}: ValueError: boom"
    assert record.getMessage().startswith(begin)
    assert functions_of(record) == expected(function)


@FAILS
def test_a_failing_handler_of_a_websocket_is_one_record_with_the_users_traceback(
    hub, caplog, function, until, peer
):
    client = hub.websocket(peer.url("/"))
    client.on("connected", function)
    client.connect()
    (record,) = until(lambda: failures(caplog, "websocket"))
    client.disconnect()
    assert record.levelname == "ERROR"
    assert f"handler {function.__name__} of connected on ws://" in record.getMessage()
    assert functions_of(record) == expected(function)


def test_a_failing_handler_of_changed_files_is_one_record(hub, caplog, until):
    hub.files.ensure_directory("a")
    with hub.files.watch("a").start(fails):

        def write():
            hub.files.write_file("a/b", "x")
            return failures(caplog, "files")

        record = until(write)[0]
    assert record.getMessage().startswith("handler fails of changed files failed: ValueError")
    assert functions_of(record) == ["fails"]


def test_a_loader_that_fails_behind_an_old_value_is_one_record(hub, caplog):
    hub.cache.get_or_set("k2", lambda: 1, ttl=0.2, stale=60)
    time.sleep(0.3)
    assert hub.cache.get_or_set("k2", fails, ttl=0.2, stale=60) == 1
    (record,) = failures(caplog, "cache")
    assert record.levelname == "WARNING"
    assert "in fails" in record.exc_text


def test_the_users_own_calls_inside_of_agentnb_stay_in_the_traceback(hub, caplog, until):
    def load():
        raise LookupError("no rate")

    def process(_):
        return hub.cache.get_or_set("rate", load)

    with hub.queue("rates").work(process):
        hub.queue("rates").add(1, attempts=1)
        (record,) = until(lambda: failures(caplog, "queue"))
    assert functions_of(record)[0] == "process"
    assert "in load" in record.exc_text


def test_huey_logs_nothing_of_a_job_and_the_users_own_huey_does(hub, caplog, until):
    from huey import MemoryHuey

    caplog.set_level(logging.DEBUG, logger="huey")
    queue = hub.queue("mail")
    queue.huey.signal()(lambda *_: None)
    with queue.work(fails):
        queue.add(1, attempts=1)
        until(lambda: failures(caplog, "queue"))
    assert not [record for record in caplog.records if record.name.startswith("huey")]
    own = MemoryHuey(immediate=True)
    own.task()(fails)()
    assert [record for record in caplog.records if record.name.startswith("huey")]


OWN = """
from agentnb.core.queue.tasks import QueueHuey
from huey import MemoryHuey
QueueHuey("mail")
own = MemoryHuey(immediate=True)
own.task()(lambda: 1 / 0)()
"""


def test_the_users_own_huey_prints_its_errors_where_no_log_is_set_up():
    done = subprocess.run(
        [sys.executable, "-c", OWN], capture_output=True, text=True, timeout=60, check=True
    )
    assert "ZeroDivisionError" in done.stderr
