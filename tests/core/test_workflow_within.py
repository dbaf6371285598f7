"""A workflow is made within the caller's own transaction: it is there once that is committed."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from agentnb.core.db import Database
from agentnb.core.errors import UsageError, WorkflowNotFound
from agentnb.core.workflow import Orchestrator, Task

ON_SQLITE = pytest.mark.parametrize("workflow_url", ["sqlite"], indirect=True)


@pytest.fixture
def db(workflow_url):
    with Database(workflow_url) as db:
        db.execute("create table o (n integer)")
        yield db


@pytest.fixture
def flows(db, workflow_url):
    with Orchestrator(Database(workflow_url), owns_database=True) as flows:
        flows.agent("a")(lambda task: task.data)
        flows.ping()
        yield flows


def make(flows, tx, **options):
    return flows.create("x", [Task("a", data=7)], transaction=tx, **options)


def test_it_is_there_with_the_callers_own_rows_and_done_after_the_commit(db, flows):
    flows.work()
    with db.transaction() as tx:
        tx.execute("insert into o values (1)")
        made = make(flows, tx, key="k", deadline=600)
        assert (made.name, made.state) == ("x", "active")
        assert flows.list() == []
        with pytest.raises(WorkflowNotFound):
            made.refresh()
        assert make(flows, tx, key="k", deadline=600) == made
        assert db.query("select count(*) from o").scalar() == 0
    assert made.wait(20).result == {"a": 7}
    assert db.query("select count(*) from o").scalar() == 1
    assert flows.create("x", [Task("a", data=7)], key="k", deadline=600) == made
    assert next(row.event for row in made.events()) == "WORKFLOW_CREATED"


def test_after_a_rollback_there_is_none_and_its_key_and_agent_are_free(db, flows):
    with contextlib.suppress(ZeroDivisionError), db.transaction() as tx:
        tx.execute("insert into o values (1)")
        gone = make(flows, tx, key="k")
        raise ZeroDivisionError
    assert flows.list() == []
    assert flows.events().rows == []
    with db.transaction() as tx:
        make(flows, tx)
        tx.rollback()
    assert flows.list() == []
    # The agent's row went with it, and is written with the next one.
    made = flows.create("x", [Task("a", data=7)], key="k")
    assert made != gone
    with flows._transactions.read() as reading:
        assert reading.row("select name from {agent}") == ("a",)


def test_a_worker_is_woken_by_the_commit_and_not_before(db, flows):
    woken = []
    listen = flows._wakeup.notify
    flows._wakeup.notify = lambda *given: (woken.append(given), listen(*given))[1]
    with db.transaction() as tx:
        make(flows, tx)
        assert woken == []
        tx.commit()
        assert woken == [({"a": 1},)]
    with db.transaction() as tx:
        make(flows, tx)
        tx.rollback()
    with db.transaction() as tx:  # by SQL, which the driver ends
        make(flows, tx)
        tx.execute("commit")
    assert len(woken) == 2
    assert len(flows.list()) == 2


def test_an_awaited_one_in_an_awaited_transaction_does_the_same(db, flows):
    async def main(*, fail):
        async with db.atransaction() as tx:
            await tx.aexecute("insert into o values (1)")
            made = await flows.acreate("x", [Task("a", data=7)], transaction=tx)
            assert await flows.alist() == []
            if fail:
                raise ZeroDivisionError
        return made

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main(fail=True))
    assert flows.list() == []
    assert asyncio.run(main(fail=False)) == flows.get("x")
    flows.work()
    assert flows.get("x").wait(20).result == {"a": 7}


def test_what_is_wrong_with_a_workflow_leaves_the_transaction_to_go_on(db, flows):
    with db.transaction() as tx:
        tx.execute("insert into o values (1)")
        with pytest.raises(UsageError, match="no agent 'nobody'"):
            flows.create("x", [Task("nobody")], transaction=tx)
        with pytest.raises(UsageError, match="deadline must be"):
            make(flows, tx, deadline=-1)
        first = make(flows, tx, key="k")
        with pytest.raises(UsageError, match="other input"):
            flows.create("y", [Task("a")], key="k", transaction=tx)
    assert db.query("select count(*) from o").scalar() == 1
    assert flows.list() == [first]


@ON_SQLITE
def test_the_transaction_of_a_session_will_do(db, flows):
    with db.session() as session, session.transaction() as tx:
        made = make(flows, tx)
    assert flows.list() == [made]


def test_another_ended_failed_or_read_only_transaction_is_refused(db, flows, tmp_path):
    with (
        Database(f"sqlite:///{tmp_path}/other.db") as other,
        other.transaction() as tx,
        pytest.raises(UsageError, match=r"it is on .*other.db, workflows are kept on "),
    ):
        make(flows, tx)
    with db.transaction() as tx:
        pass
    with pytest.raises(UsageError, match="it has ended"):
        make(flows, tx)
    for wrong in (db, "tx", 7, db.transaction()):
        with pytest.raises(UsageError, match=r"transaction must be a transaction of hub.db, got"):
            make(flows, wrong)
    target = db.access.backend.target
    with (
        Database(target.url.render_as_string(hide_password=False), read_only=True) as reads,
        reads.transaction() as tx,
        pytest.raises(UsageError, match="it only reads"),
    ):
        make(flows, tx)
    if db.kind == "postgresql":
        with db.transaction() as tx:
            tx.execute("set transaction read only")
            with pytest.raises(UsageError, match="it only reads"):
                make(flows, tx)
        with db.transaction() as tx:
            with pytest.raises(Exception, match="nothing_here"):
                tx.query("select * from nothing_here")
            with pytest.raises(UsageError, match="a statement of it has failed"):
                make(flows, tx)
            tx.rollback()
    assert flows.list() == []


def test_the_tables_are_asked_for_before_the_transaction(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    with Database(url) as db, Orchestrator(Database(url), owns_database=True) as flows:
        flows.agent("a")(lambda task: 1)
        with db.transaction() as tx, pytest.raises(UsageError, match="are not there yet") as caught:
            make(flows, tx)
        assert "hub.workflows.migrate()" in caught.value.hint
        flows.migrate()
        with db.transaction() as tx:
            make(flows, tx)
        assert len(flows.list()) == 1


@ON_SQLITE
def test_a_database_in_memory_is_no_other_ones(flows):
    with (
        Database("sqlite://") as other,
        other.transaction() as tx,
        pytest.raises(UsageError, match="it is on sqlite in memory"),
    ):
        make(flows, tx)
