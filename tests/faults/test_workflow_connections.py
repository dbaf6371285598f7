"""Connections of workflows that are lost at every statement: nothing is lost, nothing counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import suppress

import psycopg
import pytest

from agentnb.core.db import Database
from agentnb.core.errors import UnavailableError
from agentnb.core.workflow import Orchestrator, Task, migrating
from agentnb.core.workflow.transactions import Transaction

TIMES = 2  # each statement is cut off so often


@pytest.fixture
def url(fresh_url):
    with Database(fresh_url) as database:
        migrating.migrate(database)
    return fresh_url


class Cutter:
    """Terminates the server's side of a connection before its next statement."""

    def __init__(self, url):
        self._url = url.replace("postgresql+psycopg://", "postgresql://")
        self._lock = threading.Lock()
        self.cut = Counter()
        self.on = False

    def before(self, sql, raw):
        with self._lock:
            if not self.on or self.cut[sql] >= TIMES:
                return
            self.cut[sql] += 1
        with psycopg.connect(self._url, autocommit=True) as admin:
            pid = raw.info.backend_pid
            admin.execute("select pg_terminate_backend(%s)", [pid])
            alive = "select count(*) from pg_stat_activity where pid = %s"
            while admin.execute(alive, [pid]).fetchone()[0]:
                time.sleep(0.01)


@pytest.fixture
def cutter(url, monkeypatch):
    made = Cutter(url)
    send = Transaction._send

    def cut_off(self, text, values):
        made.before(text, self._raw)
        return send(self, text, values)

    monkeypatch.setattr(Transaction, "_send", cut_off)
    return made


def ended(workflow, seconds=120.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(UnavailableError):
            if workflow.refresh().state != "active":
                return workflow
        time.sleep(0.1)
    pytest.fail(f"not ended: {Counter(task.state for task in workflow.tasks)}")


def layered(width, depth):
    """Return tasks in layers, each of which needs two of the layer before."""
    return [
        Task(
            f"t{layer}-{n}",
            agent="noop",
            needs=[f"t{layer - 1}-{n}", f"t{layer - 1}-{(n + 1) % width}"] if layer else [],
        )
        for layer in range(depth)
        for n in range(width)
    ]


def test_a_connection_lost_at_any_statement_fails_no_task_and_counts_no_attempt(url, cutter):
    with Database(url, pool_size=8) as database, Orchestrator(database) as flows:
        calls = Counter()

        @flows.agent("noop", attempts=1)
        def noop(task, ctx):
            ctx.step("once", lambda: calls.update([task.name]))
            ctx.progress(0.5, "half")
            return task.attempt

        flows.work()
        cutter.on = True
        workflow = None
        while workflow is None:
            with suppress(UnavailableError):
                workflow = flows.create("x", layered(20, 10), max_parallel=7, key="once")
        ended(workflow)
        cutter.on = False
        assert workflow.state == "completed"
        assert {task.state for task in workflow.tasks} == {"completed"}
        assert set(workflow.result.values()) == {1}
        assert len(workflow.result) == 200
        assert set(calls.values()) == {1}
        assert len(cutter.cut) > 10
        assert flows.worker.stop(20)


def test_a_commit_whose_answer_is_lost_is_counted_once(url, monkeypatch):
    with Database(url, pool_size=8) as database, Orchestrator(database) as flows:
        flows.agent("noop", attempts=1)(lambda task, ctx: task.attempt)
        workflow = flows.create("x", layered(4, 5))
        send, lost = Transaction._send, Counter()

        def unanswered(self, text, values):
            answer = send(self, text, values)
            name = threading.current_thread().name
            if text.endswith("commit") and name == "agentnb-worker" and lost[name] < 12:
                lost[name] += 1
                self._raw.close()
                raise psycopg.OperationalError("the connection is lost")
            return answer

        monkeypatch.setattr(Transaction, "_send", unanswered)
        flows.work(concurrency=2)
        ended(workflow)
        assert lost["agentnb-worker"] == 12
        assert [task.state for task in workflow.tasks] == ["completed"] * 20
        assert set(workflow.result.values()) == {1}
        events = Counter(workflow.events(1000).column("event"))
        assert events["TASK_COMPLETED"] == 20
