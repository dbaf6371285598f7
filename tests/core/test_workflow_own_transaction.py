"""On SQLite a write of workflows within the caller's own transaction is refused at once."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import agentnb
from agentnb.core.db import sqlite
from agentnb.core.errors import UsageError
from agentnb.core.workflow import Task, TaskFailed

OWN = "a transaction of this very thread is open"


@pytest.fixture
def hub(tmp_path):
    with agentnb.connect(
        home=tmp_path / "home", workspace=tmp_path / "w", database_url="", redis_url=""
    ) as hub:
        hub.db.execute("create table o (n integer)")
        hub.workflows.agent("echo")(lambda task: task.data)
        yield hub


def test_a_workflow_made_within_an_own_transaction_is_refused_and_made_after_it(hub):
    with hub.db.transaction() as tx:
        tx.execute("insert into o values (1)")
        with pytest.raises(UsageError, match=OWN) as raised:
            hub.workflows.create("x", [Task("echo")])
        assert "end it first; or move" in raised.value.hint
    assert hub.workflows.create("x", [Task("echo")]).state == "active"
    assert hub.db.query("select n from o").scalar() == 1


def test_a_session_that_holds_a_transaction_is_an_own_one_too(hub):
    hub.workflows.list()
    session = hub.db.session()
    with session.transaction():
        with pytest.raises(UsageError, match=OWN):
            hub.workflows.create("x", [Task("echo")])
        assert hub.workflows.list() == []


@pytest.mark.parametrize("call", ["step", "progress", "log"])
def test_an_agent_within_its_own_transaction_is_refused_before_anything_is_called(hub, call):
    calls = []

    @hub.workflows.agent("pays", attempts=3)
    def pays(task, ctx):
        with ctx.db.transaction() as tx:
            tx.execute("insert into o values (1)")
            if call == "step":
                return ctx.step("ask", lambda: calls.append(1))
            return ctx.progress(0.5) if call == "progress" else ctx.log("half")

    hub.workflows.work()
    workflow = hub.workflows.create("x", [Task("pays")])
    with pytest.raises(TaskFailed, match=OWN):
        workflow.wait(20)
    assert calls == []
    assert workflow.task("pays").attempt == 1
    assert hub.db.query("select count(*) from o").scalar() == 0


def test_an_async_agent_is_refused_for_its_own_transaction_and_not_for_anothers(hub):
    claimed, inside, kept = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @hub.workflows.agent("holds", attempts=1)
    async def holds(task, ctx):
        await claimed.wait()  # which the transaction would not let it be
        with ctx.db.transaction():
            inside.set()
            await kept.wait()
            await ctx.step("ask", lambda: 1)

    @hub.workflows.agent("beside", attempts=1)
    async def beside(task, ctx):
        claimed.set()
        await inside.wait()
        asyncio.get_running_loop().call_later(0.2, kept.set)
        return await ctx.step("ask", lambda: 2)

    hub.workflows.work()
    workflow = hub.workflows.create("x", [Task("holds"), Task("beside")])
    with pytest.raises(TaskFailed, match=f"task holds: .*{OWN}"):
        workflow.wait(20)
    assert workflow.result == {"beside": 2}


def test_a_transaction_of_another_thread_is_waited_for_by_a_step_which_is_called_once(
    monkeypatch, request
):
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.2)
    hub = request.getfixturevalue("hub")
    calls, begun, go = [], threading.Event(), threading.Event()

    @hub.workflows.agent("pays", attempts=1)
    def pays(task, ctx):
        begun.set()
        go.wait(30)
        return ctx.step("charge", lambda: calls.append(1) or len(calls))

    hub.workflows.work()
    workflow = hub.workflows.create("x", [Task("pays")])
    assert begun.wait(30)
    with hub.db.transaction() as tx:
        tx.execute("insert into o values (1)")
        go.set()
        time.sleep(1.5)  # longer than SQLite waits
        assert workflow.state == "active"
    assert workflow.wait(30).result == {"pays": 1}
    assert calls == [1]
