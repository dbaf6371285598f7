from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import enum
import logging
import multiprocessing
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from agentnb.core.db import Database
from agentnb.core.errors import (
    AgentnbError,
    ConfigError,
    DeadlineExceeded,
    NotFoundError,
    QueryRejected,
    UnavailableError,
    UsageError,
)
from agentnb.core.hub import Hub
from agentnb.core.redact import Secret
from tests.groups import stable_id

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
MANY = "with recursive n(i) as (select 1 union all select i + 1 from n limit {}) select i from n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a b" / "app.db"


@pytest.fixture
def db(path):
    path.parent.mkdir()
    with Database(f"sqlite:///{path}") as database:
        yield database


@pytest.fixture
def tasks(db):
    db.execute("create table task (id integer primary key, name text, status text)")
    db.execute(
        "insert into task (name, status) values (:name, :status)",
        [{"name": f"task {i}", "status": "done" if i % 2 else "ready"} for i in range(10)],
    )
    return db


def outside(path, sql):
    """Write to a SQLite file as another program would, waiting for nobody."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        return other.execute(sql).fetchall()


def test_a_query_returns_its_rows_with_values_bound(tasks):
    result = tasks.query(
        "select id, name from task where status = :s and id in (:ids) order by id",
        {"s": "ready", "ids": [1, 2, 3]},
    )
    assert result.columns == ("id", "name")
    assert [tuple(row) for row in result] == [(1, "task 0"), (3, "task 2")]
    assert (result.rowcount, result.truncated) == (2, False)


def test_a_limit_is_kept_and_says_that_there_is_more(tasks):
    result = tasks.query("select id from task order by id", limit=3)
    assert (result.column("id"), result.truncated, result.rowcount) == ([1, 2, 3], True, 3)
    assert "limited to 3 rows" in repr(result)
    exact = tasks.query("select id from task", limit=10)
    assert (len(exact), exact.truncated) == (10, False)
    assert len(tasks.query("select id from task", limit=None)) == 10
    none = tasks.query("select id from task", limit=0)
    assert (none.columns, len(none), none.truncated) == (("id",), 0, True)
    with pytest.raises(UsageError, match=r"limit must be 0 to [\d,]+, got -1"):
        tasks.query("select 1", limit=-1)


def test_a_preview_of_ten_million_rows_fetches_a_thousand(db):
    result = db.query(MANY.format(10_000_000), preview=1000)
    assert "limited to 1,000 rows" in repr(result)


def test_a_second_writer_is_not_locked_out_after_a_limited_query(tasks, path):
    tasks.query("select * from task", limit=1)
    outside(path, "insert into task (name) values ('other')")
    outside(path, "pragma wal_checkpoint(truncate)")
    assert tasks.query("select count(*) from task").scalar() == 11


def test_a_statement_that_changes_rows_counts_them(tasks):
    result = tasks.execute("update task set status = 'old' where status = 'done'")
    assert (result.rowcount, repr(result)) == (5, "5 rows affected")
    assert repr(tasks.execute("create table other (id int)")) == "done"


def test_all_rows_that_a_statement_returns_are_returned_by_execute(db):
    db.execute("create table n (i int)")
    result = db.execute(f"insert into n {MANY.format(1500)} returning i")
    assert (len(result), result.truncated) == (1500, False)


def test_a_list_of_parameters_is_one_transaction(tasks):
    rows = [{"id": 100}, {"id": 101}, {"id": 1}]
    with pytest.raises(QueryRejected, match="UNIQUE"):
        tasks.execute("insert into task (id) values (:id)", rows)
    assert tasks.query("select count(*) from task").scalar() == 10
    assert tasks.execute("insert into task (id) values (:id)", rows[:2]).rowcount == 2
    assert tasks.execute("insert into task (id) values (:id)", []).rowcount == 0


def test_parameters_without_names_are_an_error(tasks):
    with pytest.raises(UsageError, match="params must be a dictionary"):
        tasks.execute("insert into task (id) values (:id)", (1,))
    with pytest.raises(UsageError, match="params must be a dictionary"):
        tasks.query("select :id", [1])


def test_a_script_runs_every_statement_and_keeps_every_result(db):
    results = db.script(
        """
        create table t (a int); -- a comment; with a semicolon
        insert into t values (1), (:two);
        select * from t where a in (:ids);
        select count(*) as n from t
        """,
        {"two": 2, "ids": [2, 3]},
    )
    assert [result.rowcount for result in results] == [0, 2, 1, 1]
    assert (results[2].rows, results[3].scalar()) == ([(2,)], 2)
    assert repr(results).count("-- ") >= 4
    assert "<code>" in results._repr_html_()


def test_an_error_in_a_script_names_the_statement_and_its_line(db):
    with pytest.raises(QueryRejected, match=r"statement 3 \(line 4\): .*syntax error"):
        db.script("create table t (a int);\n\nselect 1;\nselec 2;\ninsert into t values (1)")
    assert db.tables().column("name") == ["t"]
    assert len(db.query("select * from t")) == 0
    with pytest.raises(NotFoundError, match=r"statement 2 \(line 1\): no such table: tt") as caught:
        db.script("select 1; select * from tt")
    assert caught.value.hint == "did you mean t?"


def test_a_script_with_a_transaction_of_its_own_is_rolled_back_by_an_error(db):
    db.execute("create table t (a int)")
    with pytest.raises(QueryRejected):
        db.script("begin; insert into t values (1); select nowhere; commit")
    assert len(db.query("select * from t")) == 0
    db.script("begin; insert into t values (1); commit")
    assert len(db.query("select * from t")) == 1


def test_a_begin_that_nothing_ends_is_rolled_back_and_said(db, path):
    for sql in ("begin", "begin immediate"):
        with pytest.raises(UsageError, match="rolled back at once") as caught:
            db.query(sql)
        assert "transaction()" in caught.value.hint
    outside(path, "create table other (a int)")


def test_a_stream_yields_every_row_once_in_chunks(db):
    chunks = list(db.stream(MANY.format(25), chunk=10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert [row.i for chunk in chunks for row in chunk] == list(range(1, 26))
    assert chunks[0].columns == ("i",)


def test_a_stream_locks_no_writer_out(tasks, path):
    for chunk in tasks.stream("select * from task order by id", chunk=5):
        outside(path, f"insert into task (id) values ({chunk[0].id + 100})")
    assert tasks.query("select count(*) from task").scalar() == 12


def test_a_stream_that_is_not_read_to_its_end_gives_its_connection_back(tmp_path):
    with Database(f"sqlite:///{tmp_path / 'a.db'}?connection_limit=1", pool_size=1) as db:
        for _ in range(20):
            stream = db.stream(MANY.format(100), chunk=10)
            assert len(next(stream)) == 10
            stream.close()
        assert db.query("select 1").scalar() == 1


def test_a_stream_of_nothing_says_so(db):
    assert list(db.stream("select 1 where 1 = 0")) == []
    with pytest.raises(UsageError, match="no rows to stream"):
        list(db.stream("create table t (a int)"))
    with pytest.raises(NotFoundError, match="no such table: tt"):
        list(db.stream("select * from tt"))
    with pytest.raises(UsageError, match="chunk must be 1 or more, got 0"):
        list(db.stream("select 1", chunk=0))


def test_a_stream_stops_at_its_deadline_even_if_others_ran_in_between(db):
    with db.transaction() as tx, pytest.raises(DeadlineExceeded):
        for _ in tx.stream(ENDLESS.replace("count(*)", "i"), chunk=10, timeout=0.3):
            tx.query("select 1")


def test_a_transaction_is_committed_at_its_end(db, path):
    with db.transaction() as tx:
        tx.execute("create table t (a int)")
        tx.execute("insert into t values (:a)", {"a": 1})
    assert outside(path, "select a from t") == [(1,)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_transaction_is_rolled_back_by_any_error(tasks, error):
    with pytest.raises(error), tasks.transaction() as tx:
        tx.execute("delete from task")
        raise error
    assert tasks.query("select count(*) from task").scalar() == 10


def test_a_failed_statement_rolls_the_transaction_back(tasks):
    with pytest.raises(QueryRejected), tasks.transaction() as tx:
        tx.execute("delete from task")
        tx.execute("insert into task (nonsense) values (1)")
    assert tasks.query("select count(*) from task").scalar() == 10


def test_a_transaction_holds_the_write_lock_from_its_start(tasks, path):
    with tasks.transaction() as tx:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            outside(path, "delete from task")
        assert outside(path, "select count(*) from task") == [(10,)]
        tx.execute("delete from task")
        assert outside(path, "select count(*) from task") == [(10,)]


def test_a_transaction_that_has_ended_takes_no_more_statements(tasks):
    with tasks.transaction() as tx:
        tx.execute("delete from task")
    with pytest.raises(UsageError, match="has ended"):
        tx.execute("select 1")
    with tasks.transaction() as tx:
        tx.execute("insert into task (name) values ('x')")
        tx.execute("commit")
        with pytest.raises(UsageError, match="has ended"):
            tx.execute("insert into task (name) values ('y')")
    assert tasks.query("select name from task").column("name") == ["x"]


def test_several_rows_inside_a_transaction_are_all_or_nothing_and_it_goes_on(tasks):
    with tasks.transaction() as tx:
        tx.execute("insert into task (id) values (100)")
        with pytest.raises(QueryRejected):
            tx.execute("insert into task (id) values (:id)", [{"id": 200}, {"id": 1}])
        tx.execute("insert into task (id) values (101)")
    assert tasks.query("select id from task where id >= 100").column("id") == [100, 101]


def test_a_transaction_that_sqlite_has_rolled_back_is_not_committed_in_part(tasks):
    slow = f"insert into task (name) {MANY.format(10**9).replace('select i', 'select i', 1)}"
    with pytest.raises(QueryRejected, match="was rolled back"), tasks.transaction() as tx:
        tx.execute("insert into task (name) values ('first')")
        with pytest.raises(DeadlineExceeded):
            tx.execute(slow, timeout=0.2)
        with pytest.raises(QueryRejected, match="was rolled back"):
            tx.execute("insert into task (name) values ('second')")
    assert tasks.query("select count(*) from task").scalar() == 10


def test_a_busy_database_is_unavailable_and_another_try_succeeds(tasks, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(UnavailableError, match="another connection is writing"):
            tasks.execute("delete from task", timeout=0.2)
        with (
            pytest.raises(UnavailableError, match="another connection is writing"),
            tasks.transaction(timeout=0.2),
        ):
            pytest.fail("it has no lock")
        assert tasks.query("select count(*) from task").scalar() == 10
        other.execute("rollback")
    assert tasks.execute("delete from task").rowcount == 10


def test_a_writer_waits_for_another_writer(tasks, path):
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("begin immediate")
        timer = threading.Timer(0.3, lambda: other.execute("commit"))
        timer.start()
        assert tasks.execute("delete from task").rowcount == 10
        timer.join()


def test_sqlite_is_set_up_for_many_readers_and_for_foreign_keys(db, path):
    db.execute("create table a (id integer primary key)")
    assert outside(path, "pragma journal_mode") == [("wal",)]
    assert db.query("pragma foreign_keys").scalar() == 1
    assert db.query("pragma busy_timeout").scalar() == 5000
    db.query("select 1", timeout=1)
    assert db.query("pragma busy_timeout").scalar() == 5000


def test_a_statement_is_cancelled_when_its_time_is_over_and_the_connection_goes_on(db):
    with pytest.raises(DeadlineExceeded) as caught:
        db.query(ENDLESS, timeout=0.2)
    assert "timeout=" in caught.value.hint
    assert db.query("select 1").scalar() == 1
    assert db.query(MANY.format(200_000), limit=None, timeout=60).rowcount == 200_000


def test_no_time_at_all_is_refused_and_runs_nothing(tasks):
    with pytest.raises(UsageError, match="timeout must be greater than 0 s, got 0"):
        tasks.execute("delete from task", timeout=0)
    assert tasks.query("select count(*) from task").scalar() == 10


def interrupted(code, *arguments):
    """Run a script, send it Ctrl-C once it says that it is ready, and return its output."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        # Not before the statement runs: the timer of the script leaves it that much.
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    return out.splitlines()


def test_ctrl_c_stops_a_statement_and_the_connection_goes_on(path):
    path.parent.mkdir()
    code = f"""
import sys, threading
from agentnb.core.db import Database
with Database(sys.argv[1]) as db:
    db.query("select 1")
    threading.Timer(0.5, print, ["ready"], {{"flush": True}}).start()
    try:
        db.query("{ENDLESS}", timeout=50)
    except KeyboardInterrupt:
        print("interrupted")
    print(db.query("select 41 + 1").scalar())
"""
    assert interrupted(code, f"sqlite:///{path}") == ["interrupted", "42"]


def test_a_query_that_is_awaited_can_be_cancelled(tasks):
    async def main():
        running = asyncio.create_task(tasks.aquery(ENDLESS, timeout=50))
        await asyncio.sleep(0.2)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        # Its connection comes back: the pool is not used up by what nobody waits for.
        rows = await asyncio.gather(*(tasks.aquery("select count(*) from task") for _ in range(20)))
        return [row.scalar() for row in rows]

    assert asyncio.run(asyncio.wait_for(main(), 30)) == [10] * 20


def test_execute_can_be_awaited(tasks):
    async def main():
        return await tasks.aexecute("update task set status = :s", {"s": "x"})

    assert asyncio.run(main()).rowcount == 10


def test_run_calls_functions_and_coroutine_functions_with_the_database(tasks):
    async def count(db):
        return (await db.aquery("select count(*) from task")).scalar()

    assert tasks.run(lambda db: db.query("select count(*) from task").scalar()) == 10
    assert tasks.run(count) == 10


def test_a_failure_in_run_is_logged_and_raised(tasks, caplog):
    async def fail(_):
        raise LookupError("nobody here")

    for operation in (fail, lambda _: {}["nobody here"]):
        caplog.clear()
        with pytest.raises(LookupError, match="nobody here"):
            tasks.run(operation)
        (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert record.name == "agentnb.db"
        assert record.exc_info


def test_closing_ends_what_run_is_waiting_for(tmp_path):
    db = Database(f"sqlite:///{tmp_path / 'a.db'}")
    started = threading.Event()
    ended = threading.Event()

    async def forever(_):
        started.set()
        await asyncio.sleep(1000)

    def caller():
        try:
            db.run(forever)
        except BaseException:  # noqa: BLE001 - whichever it is, it has ended
            ended.set()

    thread = threading.Thread(target=caller)
    thread.start()
    assert started.wait(10)
    db.close()
    assert ended.wait(10)
    thread.join()


def test_connecting_and_disconnecting_are_logged_with_the_connections_name(tmp_path, caplog):
    caplog.set_level(logging.INFO, "agentnb.db")
    with Database(f"sqlite:///{tmp_path / 'a.db'}", name="main") as db:
        assert caplog.messages == []
        db.query("select 1")
        db.query("select 1")
    assert caplog.messages == ["database connected", "database disconnected"]
    assert {record.data["connection"] for record in caplog.records} == {"main"}


def test_an_error_of_the_database_is_logged(tasks, caplog):
    with pytest.raises(QueryRejected):
        tasks.query("select nowhere from task")
    assert any("no such column: nowhere" in message for message in caplog.messages)


def test_every_statement_is_a_span(tasks):
    tasks.query("select 1")
    with pytest.raises(QueryRejected):
        tasks.query("select nowhere")
    spans = [span for span in tasks.access.tracer.recent() if span.name == "query"]
    assert spans[-2].service == "db"
    assert (spans[-2].outcome, spans[-1].outcome) == ("ok", "QueryRejected")


def test_a_missing_table_is_named_with_the_nearest(tasks):
    with pytest.raises(NotFoundError, match="no such table: tasks") as caught:
        tasks.query("select * from tasks")
    assert caught.value.hint == "did you mean task?"
    with pytest.raises(NotFoundError) as caught:
        tasks.query("select * from xyz")
    assert caught.value.hint == "tables: task"
    with tasks.transaction() as tx, pytest.raises(NotFoundError) as caught:
        tx.query("select * from tasks")
    assert caught.value.hint == "did you mean task?"


def test_tables_and_views_are_listed_and_described(tasks):
    tasks.execute('create table "odd name.x" (id int references task(id), note text not null)')
    tasks.execute("create view ready as select * from task where status = 'ready'")
    assert dict(tasks.tables().rows) == {"odd name.x": "table", "ready": "view", "task": "table"}
    rows = {row.column: row for row in tasks.describe("odd name.x")}
    assert rows["id"].key == "→ task.id"
    assert (rows["note"].type, rows["note"].nullable) == ("text", "no")
    assert {row.column: row.key for row in tasks.describe("task")}["id"] == "primary"
    with pytest.raises(NotFoundError) as caught:
        tasks.describe("tsak")
    assert caught.value.hint == "did you mean task?"


def test_agentnbs_own_tables_are_counted_and_listed_when_asked_for(tasks):
    tasks.execute("create table agentnb_task (id text)")
    tasks.execute("create table agentnb_event (id text)")
    tasks.execute("create table agentnbs (id text)")
    found = tasks.tables()
    assert found.column("name") == ["agentnbs", "task"]
    assert found.note == "2 tables of agentnb's own are not listed: tables(internal=True)"
    every = tasks.tables(internal=True)
    assert every.column("name") == ["agentnb_event", "agentnb_task", "agentnbs", "task"]
    assert every.note == ""
    with tasks.transaction() as transaction:
        assert transaction.tables().column("name") == ["agentnbs", "task"]


def test_a_hint_names_the_tables_of_the_user_and_agentnbs_own_to_those_who_ask(tasks):
    tasks.execute("create table agentnb_task (id text)")
    for ask in (lambda name: tasks.query(f"select * from {name}"), tasks.describe):
        with pytest.raises(NotFoundError) as caught:
            ask("nowhere")
        assert caught.value.hint == "tables: task"
        with pytest.raises(NotFoundError) as caught:
            ask("agentnb_tasks")
        assert caught.value.hint == "did you mean agentnb_task?"


def test_a_plan_is_explained_without_running_the_statement(tasks):
    plan = tasks.explain("delete from task where id = :id", {"id": 1})
    assert "task" in repr(plan)
    assert tasks.query("select count(*) from task").scalar() == 10


EAST = dt.timezone(dt.timedelta(hours=5))


class Color(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        (2**63 - 1, 2**63 - 1),
        (1.5, 1.5),
        ("", ""),
        ("naïve 🙂 \0 ' \" ; :x", "naïve 🙂 \0 ' \" ; :x"),
        (b"\0\xff", b"\0\xff"),
        (dt.date(2026, 1, 31), "2026-01-31"),
        (dt.datetime(2026, 1, 31, 10, 0, 0, 5), "2026-01-31 10:00:00.000005"),
        (dt.time(10, 30), "10:30:00"),
        (decimal.Decimal("0.10"), 0.1),
        (decimal.Decimal("10.00"), 10),
        (dt.datetime(2026, 1, 31, 9, tzinfo=EAST), "2026-01-31 04:00:00+00:00"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Path("a/b"), "a/b"),
        (Color.RED, "red"),
        ({"a": [1, None]}, '{"a": [1, null]}'),
    ],
)
def test_a_value_is_stored_as_documented(db, value, stored):
    found = db.query("select :v as v, typeof(:v) as t", {"v": value}).scalar()
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(
    "value",
    [2**63, object(), {"a": object()}, {"a": float("nan")}, ["list"], Secret("hunter22")],
    ids=stable_id,
)
def test_a_value_that_cannot_be_stored_is_an_agentnb_error(db, value):
    with pytest.raises(AgentnbError) as caught:
        db.query("select :v", {"v": value})
    assert isinstance(caught.value, (UsageError, QueryRejected))
    assert "hunter22" not in str(caught.value)


def test_a_read_only_connection_writes_nothing_whatever_it_is_told(tasks, path):
    with Database(f"sqlite:///{path}", read_only=True) as reader:
        assert reader.query("select count(*) from task").scalar() == 10
        assert repr(reader).endswith("read_only=True)")
        for sql in (
            "delete from task",
            "pragma query_only = off; delete from task",
            "begin immediate; delete from task; commit",
        ):
            with pytest.raises(AgentnbError, match=r"readonly|only reads"):
                reader.script(sql)
        with pytest.raises(QueryRejected), reader.transaction() as tx:
            tx.execute("delete from task")
        with reader.transaction() as tx:
            assert tx.query("select count(*) from task").scalar() == 10
    assert tasks.query("select count(*) from task").scalar() == 10


def test_a_read_only_connection_makes_no_file(tmp_path):
    with pytest.raises(NotFoundError, match="there is no SQLite file"):
        Database(f"sqlite:///{tmp_path / 'no.db'}", read_only=True).query("select 1")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_a_database_is_a_config_error(tmp_path):
    (tmp_path / "text.db").write_text("this is not a database, but a text " * 100)
    for name, said in (
        ("missing/app.db", "does not exist"),
        (".", "is a folder"),
        ("text.db", "is not a SQLite database"),
    ):
        with pytest.raises(ConfigError, match=said):
            Database(f"sqlite:///{tmp_path / name}").query("select 1")
        with pytest.raises(ConfigError, match=said):
            Database(f"sqlite:///{tmp_path / name}").tables()


WRITER = """
import sys
from agentnb.core.db import Database
with Database(sys.argv[1]) as db:
    db.execute("create table if not exists t (who text, i int)")
    for i in range(200):
        with db.transaction() as tx:
            last = tx.query("select coalesce(max(i), 0) from t").scalar()
            tx.execute("insert into t values (:who, :i)", {"who": sys.argv[2], "i": last + 1})
"""


def test_two_processes_write_to_one_new_file_without_losing_anything(tmp_path):
    url = f"sqlite:///{tmp_path / 'app.db'}"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, who], stderr=subprocess.PIPE)
        for who in "ab"
    ]
    for writer in writers:
        _, err = writer.communicate(timeout=120)
        assert writer.returncode == 0, err.decode()
    with Database(url) as db:
        assert db.query("select count(*), count(distinct i), max(i) from t").rows == [
            (400, 400, 400)
        ]


def test_many_threads_share_one_database(tasks):
    errors = []

    def work(number):
        try:
            for i in range(20):
                tasks.execute("insert into task (name) values (:n)", {"n": f"{number} {i}"})
                tasks.query("select * from task", limit=5)
        except BaseException as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert tasks.query("select count(*) from task").scalar() == 10 + 400


def test_a_pool_that_is_used_up_is_waited_for_no_longer_than_the_deadline():
    with Database("sqlite://") as db, db.transaction() as tx:
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="in use") as caught:
            db.query("select 1", timeout=0.1)
        assert time.monotonic() - started < 15  # rather than the pool's own 30 s
        assert "transaction" in caught.value.hint
        assert tx.query("select 1").scalar() == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_opens_connections_of_its_own(tasks):
    tasks.run(_noop)

    def child(queue):
        tasks.execute("insert into task (name) values ('child')")
        queue.put((tasks.run(_noop), tasks.query("select count(*) from task").scalar()))

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=[queue])
    process.start()
    assert queue.get(timeout=30) == ("noop", 11)
    process.join(30)
    assert process.exitcode == 0
    assert tasks.query("select count(*) from task").scalar() == 11
    queue.close()


async def _noop(_):
    return "noop"


def test_a_closed_database_opens_again(db):
    db.execute("create table t (a int)")
    db.close()
    db.close()
    assert db.tables().column("name") == ["t"]
    assert db.run(_noop) == "noop"


def test_nothing_is_opened_before_it_is_used(tmp_path):
    Database(f"sqlite:///{tmp_path / 'a.db'}").close()
    assert list(tmp_path.iterdir()) == []


def test_named_connections_are_matched_exactly(tmp_path):
    for name in ("prod.db", "prod.db.bak"):
        with Database(f"sqlite:///{tmp_path / name}") as db:
            db.execute("create table t (a text)")
            db.execute("insert into t values (:a)", {"a": name})
    with Hub(home=tmp_path / "home") as hub:
        hub.databases.connect("prod-bak", f"sqlite:///{tmp_path / 'prod.db.bak'}")
        with pytest.raises(NotFoundError) as caught:
            hub.databases["prod"]
        assert caught.value.hint == "did you mean prod-bak?"
        hub.databases.connect("prod", f"sqlite:///{tmp_path / 'prod.db'}")
        assert hub.databases["prod"].query("select a from t").scalar() == "prod.db"
        assert hub.databases["prod-bak"].query("select a from t").scalar() == "prod.db.bak"
        assert hub.databases.names() == ["default", "prod-bak", "prod"]
        with pytest.raises(UsageError, match="not a name"):
            hub.databases.connect("prod.db", "sqlite://")
        hub.databases.forget("prod")
        with pytest.raises(NotFoundError):
            hub.databases["prod"]


def test_a_connection_that_is_named_again_is_replaced_and_closed(tmp_path):
    with Hub(home=tmp_path / "home") as hub:
        first = hub.databases.connect("x", f"sqlite:///{tmp_path / '1.db'}")
        first.query("select 1")
        second = hub.databases.connect("x", f"sqlite:///{tmp_path / '2.db'}", read_only=True)
        assert hub.databases["x"] is second
        assert not first.access.pool.connected
        shown = hub.databases.list()
        assert shown.columns == ("name", "kind", "support", "target", "access")
        assert ("x", "sqlite", "full", str(tmp_path / "2.db"), "read") in shown.rows


def test_a_home_with_spaces_holds_the_default_database(tmp_path):
    home = tmp_path / "my home"
    with Hub(home=home) as hub:
        hub.db.execute("create table t (a int)")
        assert hub.db.tables().column("name") == ["t"]
    assert (home / "agentnb.db").is_file()


def test_a_file_that_cannot_be_opened_is_a_config_error(tmp_path):
    (tmp_path / "a.db").symlink_to(tmp_path / "missing" / "a.db")
    with pytest.raises(ConfigError, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path / 'a.db'}").query("select 1")


@pytest.mark.parametrize(
    "call",
    [
        lambda db, sql: db.query(sql, c="CH"),
        lambda db, sql: db.execute(sql, c="CH"),
        lambda db, sql: db.script(sql, c="CH"),
        lambda db, sql: list(db.stream(sql, c="CH")),
        lambda db, sql: db.explain(sql, c="CH"),
        lambda db, sql: asyncio.run(db.aquery(sql, c="CH")),
        lambda db, sql: asyncio.run(db.aexecute(sql, c="CH")),
    ],
    ids=["query", "execute", "script", "stream", "explain", "aquery", "aexecute"],
)
def test_a_value_given_as_a_keyword_is_refused_with_the_way_to_give_it(call):
    with Database("sqlite://") as db, pytest.raises(UsageError, match="has no keyword c") as caught:
        call(db, "select :c")
    assert caught.value.hint == 'values of :names are given as params={"c": c}'


def test_a_keyword_that_is_misspelt_is_named_with_the_nearest():
    with Database("sqlite://") as db, pytest.raises(UsageError) as caught:
        db.query("select 1", limt=5)
    assert caught.value.hint.startswith("did you mean limit?")
