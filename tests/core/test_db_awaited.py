"""Awaited calls of a database: in time, in few threads, and over when their caller is cancelled."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from agentnb.core import callthreads
from agentnb.core.callthreads import CallThreads
from agentnb.core.db import Database
from agentnb.core.db.open_transactions import is_open_here
from agentnb.core.errors import DeadlineExceeded, QueryRejected, UsageError

LONG = 120.0
FOREVER = {
    "sqlite": "with recursive c(n) as (select 1 union all select n+1 from c) select max(n) from c",
    "postgresql": "select pg_sleep(600)",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a.db'}"
    return request.getfixturevalue("fresh_url")


@pytest.fixture
def db(url):
    with Database(url) as db:
        db.execute("create table task (n integer)")
        yield db


def busy(db):
    """Return how many connections are in use."""
    return db.access.backend.capacity - db.access.pool._slots.qsize()


async def until(condition):
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def cancelled(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def count(db):
    return db.query("select count(*) from task").scalar()


def run(main):
    return asyncio.run(asyncio.wait_for(main, LONG))


def test_a_timeout_counts_from_the_call_while_all_threads_are_in_use(db):
    async def main():
        slow = [asyncio.create_task(db.aquery(FOREVER[db.kind], timeout=60)) for _ in range(14)]
        await until(lambda: busy(db) == 5)
        message = (
            r"timed out after 0\.3 s waiting for a free connection \(5 in use; AGENTNB_DB_POOL\)"
        )
        with pytest.raises(DeadlineExceeded, match=message) as caught:
            await db.aquery("select 1", timeout=0.3)
        assert "AGENTNB_DB_POOL" in caught.value.hint
        # Nothing else in the process waits for them.
        assert await asyncio.to_thread(lambda: 42) == 42
        for one in slow:
            one.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    run(main())
    assert busy(db) == 0


@pytest.mark.parametrize("kind", ["transaction", "stream"])
def test_the_timeout_of_a_block_counts_from_the_call_while_all_threads_are_in_use(db, kind):
    async def enter():
        if kind == "transaction":
            async with db.atransaction(timeout=0.3):
                pass
        else:
            async for _ in db.astream("select 1", timeout=0.3):
                pass

    async def main():
        slow = [asyncio.create_task(db.aquery(FOREVER[db.kind], timeout=60)) for _ in range(14)]
        await until(lambda: busy(db) == 5)
        with pytest.raises(DeadlineExceeded, match=r"after 0\.3 s waiting for a free connection"):
            await enter()
        for one in slow:
            one.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    run(main())
    assert busy(db) == 0


def test_the_error_of_a_full_pool_says_the_same_to_a_thread(db):
    taken = [db.access.pool.lend(db.access.deadline(None)) for _ in range(15)]
    message = r"timed out after 0\.1 s waiting for a free connection \(15 in use; AGENTNB_DB_POOL\)"
    with pytest.raises(DeadlineExceeded, match=message):
        db.query("select 1", timeout=0.1)
    for connection, slots in taken:
        db.access.pool.take_back(connection)
        slots.put(None)


def test_the_default_timeout_counts_from_the_call(url):
    async def main():
        slow = [asyncio.create_task(db.aquery(FOREVER[db.kind], timeout=60)) for _ in range(5)]
        await until(lambda: busy(db) == 5)
        with pytest.raises(DeadlineExceeded, match=r"after 0\.3 s waiting"):
            await db.atables()
        for one in slow:
            one.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    with Database(url, timeout=0.3) as db:
        assert db.query("select 1", timeout=60).scalar() == 1
        run(main())


def test_a_thousand_awaited_queries_hold_no_more_threads_than_the_pool_has_places(db):
    most = set()

    def added():
        """Return the threads that this test has added, without those that write files.

        Nor those in which a connection is made, which end with it.
        """
        new = set(threading.enumerate()) - before
        others = {"spans", "agentnb", "agentnb-connect"}
        return {thread for thread in new if thread.name not in others}

    async def main():
        nonlocal most
        asking = asyncio.gather(*(db.aquery("select :n + 0", {"n": n}) for n in range(1000)))
        while not asking.done():
            most = max(most, added(), key=len)
            await asyncio.sleep(0)
        return [found.scalar() for found in await asking]

    db.query("select 1")
    before = set(threading.enumerate())
    assert run(main()) == list(range(1000))
    assert len(most) <= 5, most
    assert db.access.threads.count <= 5


def test_each_method_that_waits_can_be_awaited(db, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"n": 1}\n{"n": 2}\n')

    async def main():
        assert (await db.aload([{"n": 1}, {"n": 2}], "other")).rowcount == 2
        assert (
            await db.aexecute("insert into task values (:n)", [{"n": 1}, {"n": 2}])
        ).rowcount == 2
        assert (await db.ascript("select 1; select 2"))[1].scalar() == 2
        assert sorted((await db.atables()).column("name")) == ["other", "task"]
        assert (await db.adescribe("task")).column("column") == ["n"]
        assert len(await db.aexplain("select * from task")) > 0
        assert (await db.aquery("select n from task order by n", limit=1)).truncated
        await db.aping()
        parts = [part async for part in db.astream("select n from task order by n", chunk=1)]
        assert [part.scalar() for part in parts] == [1, 2]
        async with db.session() as session:
            assert (await session.aquery("select 1")).scalar() == 1
            await session.areset()

    run(main())
    assert busy(db) == 0


def test_an_operation_that_is_awaited_runs_on_the_callers_loop(db):
    async def operation(given):
        assert given is db
        return asyncio.get_running_loop()

    async def main():
        assert await db.arun(operation) is asyncio.get_running_loop()
        assert await db.arun(lambda db: db.query("select 7").scalar()) == 7

    run(main())


def test_a_transaction_that_is_awaited_commits_off_the_loop(db):
    async def main():
        async with db.atransaction() as tx:
            await tx.aexecute("insert into task values (1)")
            assert (await tx.aquery("select count(*) from task")).scalar() == 1
            assert not tx.access.threads.count > 1

    run(main())
    assert count(db) == 1
    assert busy(db) == 0


def test_an_error_in_an_awaited_transaction_rolls_back_and_is_raised(db):
    async def main():
        async with db.atransaction() as tx:
            await tx.aexecute("insert into task values (1)")
            raise KeyError("the real error")

    with pytest.raises(KeyError, match="the real error"):
        run(main())
    assert count(db) == 0
    assert busy(db) == 0


def test_an_awaited_transaction_may_end_itself(db):
    async def main():
        async with db.atransaction() as tx:
            await tx.aexecute("insert into task values (1)")
            await tx.arollback()
        async with db.atransaction() as tx:
            await tx.aexecute("insert into task values (2)")
            await tx.acommit()
            with pytest.raises(UsageError, match="has ended"):
                await tx.aquery("select 1")

    run(main())
    assert db.query("select n from task").column("n") == [2]


def test_more_awaited_transactions_than_connections_all_end(db):
    async def one(n):
        async with db.atransaction() as tx:
            await asyncio.sleep(0.001)
            await tx.aexecute("insert into task values (:n)", {"n": n})

    async def main():
        await asyncio.gather(*(one(n) for n in range(60)))

    run(main())
    assert count(db) == 60
    assert busy(db) == 0


def test_a_transaction_that_is_cancelled_while_it_waits_for_a_connection_is_given_up(db):
    async def enter():
        async with db.atransaction(timeout=60):
            raise AssertionError

    async def main():
        db.access.pool.engine  # noqa: B018
        taken = [db.access.pool.lend(db.access.deadline(None)) for _ in range(15)]
        waiting = [asyncio.create_task(enter()) for _ in range(8)]  # three of them for a thread
        await asyncio.sleep(0.1)
        for one in waiting:
            await cancelled(one)
        assert busy(db) == 15
        for connection, slots in taken:
            db.access.pool.take_back(connection)
            slots.put(None)
        assert (await db.aquery("select 1")).scalar() == 1

    run(main())
    assert busy(db) == 0


def test_a_transaction_that_is_cancelled_while_it_begins_is_rolled_back(db, monkeypatch):
    beginning, go = threading.Event(), threading.Event()
    begin = db.access.backend.begin

    def slow(connection):
        begin(connection)
        beginning.set()
        go.wait(LONG)

    async def enter():
        async with db.atransaction():
            raise AssertionError

    async def main():
        task = asyncio.create_task(enter())
        await until(beginning.is_set)
        task.cancel()
        await asyncio.sleep(0.02)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert busy(db) == 0

    monkeypatch.setattr(db.access.backend, "begin", slow)
    run(main())
    db.execute("insert into task values (1)")  # nothing is locked


def test_a_transaction_that_is_cancelled_in_its_body_is_rolled_back(db):
    inside = asyncio.Event()

    async def body():
        async with db.atransaction() as tx:
            await tx.aexecute("insert into task values (1)")
            inside.set()
            await asyncio.sleep(LONG)

    async def main():
        task = asyncio.create_task(body())
        await inside.wait()
        await cancelled(task)
        assert busy(db) == 0

    run(main())
    assert count(db) == 0


def test_a_transaction_that_is_cancelled_in_a_statement_is_rolled_back(db):
    inside = asyncio.Event()

    async def body():
        async with db.atransaction() as tx:
            await tx.aexecute("insert into task values (1)")
            inside.set()
            await tx.aquery(FOREVER[db.kind], timeout=60)

    async def main():
        task = asyncio.create_task(body())
        await inside.wait()
        await asyncio.sleep(0.2)
        await cancelled(task)
        assert busy(db) == 0

    run(main())
    assert count(db) == 0


@pytest.mark.parametrize("times", [1, 3])
def test_a_transaction_that_is_cancelled_in_its_commit_ends_before_the_cancellation(
    db, monkeypatch, times
):
    committing, go = threading.Event(), threading.Event()
    commit = db.access.backend.commit

    def slow(connection):
        committing.set()
        go.wait(LONG)
        commit(connection)

    async def body():
        async with db.atransaction() as tx:
            await tx.aexecute("insert into task values (1)")
            monkeypatch.setattr(db.access.backend, "commit", slow)

    async def main():
        task = asyncio.create_task(body())
        await until(committing.is_set)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.02)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert busy(db) == 0

    run(main())
    assert count(db) == 1


def test_a_transaction_that_is_cancelled_in_its_rollback_is_rolled_back(db, monkeypatch):
    rolling, go = threading.Event(), threading.Event()
    rollback = db.access.backend.rollback

    def slow(connection):
        rolling.set()
        go.wait(LONG)
        rollback(connection)

    async def body():
        async with db.atransaction() as tx:
            await tx.aexecute("insert into task values (1)")
            monkeypatch.setattr(db.access.backend, "rollback", slow)
            raise KeyError

    async def main():
        task = asyncio.create_task(body())
        await until(rolling.is_set)
        task.cancel()
        await asyncio.sleep(0.02)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert busy(db) == 0

    run(main())
    assert count(db) == 0


def test_a_transaction_whose_loop_is_gone_is_rolled_back(db):
    async def body():
        async with db.atransaction() as tx:
            await tx.aexecute("insert into task values (1)")
            await asyncio.sleep(LONG)

    loop = asyncio.new_event_loop()
    running = body()
    task = loop.create_task(running)
    loop.run_until_complete(asyncio.wait({task}, timeout=0.5))
    assert busy(db) == 1
    running.close()
    end = time.monotonic() + LONG
    while busy(db) and time.monotonic() < end:
        time.sleep(0.01)
    assert busy(db) == 0
    assert count(db) == 0
    task.cancel()
    loop.run_until_complete(asyncio.wait({task}))
    loop.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda db, sql: db.aquery(sql, timeout=60),
        lambda db, sql: db.aexecute(sql, timeout=60),
        lambda db, sql: db.ascript(f"select 1; {sql}", timeout=60),
        lambda db, sql: anext(db.astream(sql, timeout=60)),
        lambda db, sql: db.session().aquery(sql, timeout=60),
    ],
    ids=["aquery", "aexecute", "ascript", "astream", "session"],
)
def test_a_call_that_is_cancelled_leaves_no_connection_thread_or_task(db, call):
    async def main():
        tasks = len(asyncio.all_tasks())
        running = asyncio.ensure_future(call(db, FOREVER[db.kind]))
        await until(lambda: busy(db) == 1)
        await asyncio.sleep(0.1)
        await cancelled(running)
        del running
        assert len(asyncio.all_tasks()) == tasks

    run(main())
    assert busy(db) <= 1  # a session keeps its connection until it is closed
    db.close()
    end = time.monotonic() + LONG
    while db.access.threads.count and time.monotonic() < end:
        time.sleep(0.01)
    assert db.access.threads.count == 0


def test_a_stream_that_is_cancelled_while_it_closes_leaves_no_thread(db, monkeypatch):
    monkeypatch.setattr(callthreads, "_LINGER_SECONDS", 600.0)

    before = threading.active_count()

    async def main():
        for _ in range(12):
            stream = db.astream("select 1")
            await anext(stream)
            closing = asyncio.create_task(stream.aclose())
            await asyncio.sleep(0)
            await cancelled(closing)
        await until(lambda: threading.active_count() < before + 6)

    run(main())
    assert busy(db) == 0


def test_a_load_that_is_cancelled_is_rolled_back(db, monkeypatch):
    started, watches = threading.Event(), []
    watching = db.access.backend.watching

    def recording(connection, watch):
        watches.append(watch)
        return watching(connection, watch)

    monkeypatch.setattr(db.access.backend, "watching", recording)

    def rows():
        for n in range(1_000_000_000):
            if n == 5000:
                started.set()
            yield {"n": n}

    async def main():
        running = asyncio.create_task(db.aexecute("insert into task values (:n)", rows()))
        await until(started.is_set)
        await cancelled(running)

    run(main())
    assert not watches[-1].over  # the rollback is not cancelled with the call
    assert count(db) == 0
    assert busy(db) == 0


def test_a_cancelled_call_logs_no_error(db, caplog):
    async def main():
        running = asyncio.create_task(db.aquery(FOREVER[db.kind], timeout=60))
        await until(lambda: busy(db) == 1)
        await asyncio.sleep(0.1)
        await cancelled(running)

    run(main())
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_statement_that_is_refused_fails_as_it_does_without_await(db):
    with pytest.raises(QueryRejected):
        run(db.aexecute("insert into task select 1, 2"))


def test_a_database_is_closed_by_async_with(url):
    async def main():
        async with Database(url) as db:
            await db.aquery("select 1")
        assert not db.access.pool.connected
        return db

    db = run(main())
    assert run(db.aquery("select 2")).scalar() == 2  # opened again
    db.close()


def test_an_awaited_transaction_is_its_tasks_and_no_threads(tmp_path):
    path = tmp_path / "a.db"

    async def main():
        with Database(f"sqlite:///{path}") as db:
            async with db.atransaction():
                assert is_open_here(path)
                assert is_open_here(path, awaits=True)
                assert not await asyncio.to_thread(is_open_here, path)
                asking = CallThreads.run(db.access.threads, lambda: is_open_here(path))
                assert await asking  # an awaited call of the same task would wait for itself
                asking = CallThreads.run(db.access.threads, lambda: is_open_here(path))
                assert not await asyncio.create_task(asking)
            assert not is_open_here(path)

    run(main())


def test_a_statement_of_another_services_call_is_not_cancelled_with_it(db):
    begun, go, found = threading.Event(), threading.Event(), []
    threads = CallThreads("cache", limit=1)

    def load():
        begun.set()
        go.wait(LONG)
        found.append(db.query("select 7").scalar())  # others wait for this value

    async def main():
        task = asyncio.create_task(threads.call(load))
        await until(begun.is_set)
        await cancelled(task)
        go.set()
        await until(lambda: found == [7])

    run(main())
    threads.close()


@pytest.mark.parametrize("given", [60, None])
def test_a_statement_has_what_the_wait_for_a_thread_left_of_its_timeout(
    tmp_path, monkeypatch, given
):
    go, left = threading.Event(), []

    async def main(db):
        held = [asyncio.ensure_future(db.arun(lambda _: go.wait(LONG))) for _ in range(5)]
        asking = asyncio.ensure_future(db.aquery("select 1", timeout=given))
        await asyncio.sleep(0.5)
        go.set()
        await asyncio.gather(asking, *held)

    with Database(f"sqlite:///{tmp_path / 'a.db'}", timeout=60) as db:
        watching = db.access.backend.watching

        def recording(connection, watch):
            left.append(watch.deadline.remaining())
            return watching(connection, watch)

        monkeypatch.setattr(db.access.backend, "watching", recording)
        run(main(db))
    assert left[-1] < 59.9


def test_a_session_in_use_is_waited_for_by_others_and_refused_to_its_own_call(db):
    def both(session):
        with session.transaction(), pytest.raises(UsageError, match="in use by a transaction"):
            session.query("select 1")

    async def main():
        with db.session() as session:
            await db.access.threads.run(lambda: both(session))
            async with session.atransaction() as tx:
                waiting = asyncio.ensure_future(session.aquery("select 7"))
                await asyncio.sleep(0.05)
                assert not waiting.done()
                await tx.aexecute("insert into task values (1)")
            assert (await waiting).scalar() == 7

    run(main())
    assert count(db) == 1
