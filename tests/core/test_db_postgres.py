from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
import uuid

import pytest

from agentnb.core.db import Database
from agentnb.core.db.text import split
from agentnb.core.errors import (
    ConfigError,
    DeadlineExceeded,
    NotFoundError,
    QueryRejected,
    UnavailableError,
    UsageError,
)
from tests.groups import stable_id

MANY = "select i, 'row ' || i as name from generate_series(1, {}) i order by i"


@pytest.fixture
def db(fresh_url):
    with Database(fresh_url) as database:
        yield database


@pytest.fixture
def tasks(db):
    db.execute("create table task (id serial primary key, name text, status text)")
    db.execute(
        "insert into task (name, status) values (:name, :status)",
        [{"name": f"task {i}", "status": "done" if i % 2 else "ready"} for i in range(10)],
    )
    return db


def sessions(db, extra=""):
    """Return what the server says about the other sessions of this database."""
    return db.query(
        "select pid, state, query from pg_stat_activity where datname = current_database() "
        f"and pid <> pg_backend_pid() and backend_type = 'client backend' {extra}",
        limit=None,
    )


def test_a_query_returns_its_rows_with_values_bound(tasks):
    for limit in (1000, None):
        result = tasks.query(
            "select id, name from task where status = :s and id in (:ids) order by id",
            {"s": "ready", "ids": [1, 2, 3]},
            limit=limit,
        )
        assert result.columns == ("id", "name")
        assert [tuple(row) for row in result] == [(1, "task 0"), (3, "task 2")]


def test_a_limit_is_kept_and_says_that_there_is_more(tasks):
    result = tasks.query("select id from task order by id -- all of them", limit=3)
    assert (result.column("id"), result.truncated) == ([1, 2, 3], True)
    exact = tasks.query("select id from task order by id limit 10;", limit=10)
    assert (exact.column("id"), exact.truncated) == (list(range(1, 11)), False)
    assert tasks.query("select id from task", limit=0).truncated


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 as a, 2 as a",
        "values (1, 2)",
        "with x as (select 1 as a, 2) select * from x",
        "(select 1, 2) union all (select 1, 2) offset 1",
        "select 1, 2 /* ) */ -- )",
        "select id, id + 1 from task where id = 1 for update",
        "table one",
        "with x as (delete from task where id = 1 returning id, id + 1) select * from x",
        "insert into one values (1, 2) returning a, b",
    ],
)
def test_the_limit_fits_every_form_of_a_statement(tasks, sql):
    tasks.script("create table one (a int, b int); insert into one values (1, 2)")
    assert tasks.query(sql, limit=5).rows == [(1, 2)]


@pytest.mark.parametrize("limit", [10, None])
def test_values_are_bound_where_the_server_cannot_tell_their_type(tasks, limit):
    for status, expected in (("ready", 5), (None, 10)):
        result = tasks.query(
            "select id from task where :s is null or status = :s", {"s": status}, limit=limit
        )
        assert len(result) == expected
    assert tasks.query("select :x as x, :y as y", {"x": None, "y": "a"}).rows == [(None, "a")]
    tasks.execute("create role temporary password :p", {"p": "it's"})
    tasks.execute("drop role temporary")


@pytest.mark.parametrize("limit", [10, None])
def test_a_percent_sign_is_only_a_percent_sign(db, limit):
    result = db.query("select '50%' as a, 7 % 4 as b, 'x' like '%x' as c", limit=limit)
    assert result.rows == [("50%", 3, True)]
    result = db.query("select '%s %(a)s' || :a as a, '%%' as b", {"a": "%"}, limit=limit)
    assert result.rows == [("%s %(a)s%", "%%")]


def test_colons_in_casts_slices_and_json_are_left_alone(db):
    row = db.query(
        """select (array[1,2,3])[1:2] as a, '{"k": {":x": 1}}'::jsonb -> 'k' ->> :key as j,
        '10:30'::time as t, :n::int + 1 as n""",
        {"key": ":x", "n": 1},
    )[0]
    assert tuple(row) == ([1, 2], "1", dt.time(10, 30), 2)


def test_lists_and_empty_lists_match_what_they_hold(tasks):
    for column, none, some in (("id", [], [1, 2]), ("name", [], ["task 0", "task 1"])):
        count = f"select count(*) from task where {column}"
        assert tasks.query(f"{count} in (:x)", {"x": some}).scalar() == 2
        assert tasks.query(f"{count} not in (:x)", {"x": some}).scalar() == 8
        assert tasks.query(f"{count} in (:x)", {"x": none}).scalar() == 0
        assert tasks.query(f"{count} not in :x", {"x": none}).scalar() == 10
        assert tasks.query(f"{count} = any(:x)", {"x": some}).scalar() == 2


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        2**62,
        1.5,
        -1e300,
        float("inf"),
        "",
        "naïve 🙂 ' \" \\ ; :x %s",
        b"\0\xff",
        dt.date(2026, 1, 31),
        dt.datetime(2026, 1, 31, 10, 0, 0, 5),
        dt.datetime(2026, 1, 31, 10, tzinfo=dt.UTC),
        dt.time(10, 30),
        dt.timedelta(days=1, seconds=5),
        decimal.Decimal("0.10"),
        uuid.UUID(int=5),
        [1, 2],
        -5,
    ],
    ids=repr,
)
def test_a_value_comes_back_as_it_was_bound(db, value):
    found = db.query("select :v as v, 1 - -:n as n", {"v": value, "n": -1}).rows[0]
    assert found == (value, 0)
    assert type(found[0]) is type(value)


def test_a_dictionary_is_bound_as_json(db):
    assert db.query("select :v::jsonb as v", {"v": {"a": [1, None]}}).scalar() == {"a": [1, None]}


@pytest.mark.parametrize("value", [object(), "a\0b", {"a": object()}], ids=stable_id)
def test_a_value_that_cannot_be_bound_is_a_usage_error(db, value):
    with pytest.raises(UsageError):
        db.query("select :v", {"v": value})
    with pytest.raises(UsageError, match="too large"):
        db.query("select 'infinity'::date")
    assert db.query("select 1").scalar() == 1


def test_an_error_of_the_server_names_the_line_of_the_statement(db):
    for limit in (10, None):
        with pytest.raises(QueryRejected, match='at or near "from"\nline 3: from from'):
            db.query("select 1,\n 2\nfrom from\n x", limit=limit)
        with pytest.raises(QueryRejected, match=r"\(line 2 of the statement\)"):
            db.query("select :long,\n nope", {"long": "x" * 99}, limit=limit)
    with pytest.raises(QueryRejected, match=r"statement 2 \(line 2\): division by zero"):
        db.script("select 1;\nselect 1/0")


def test_a_missing_table_is_named_with_the_nearest(tasks):
    for sql in ("select * from tasks", "drop table tasks", "select * from public.tasks"):
        with pytest.raises(NotFoundError, match=r"no such table: (public\.)?tasks") as caught:
            tasks.execute(sql)
        assert caught.value.hint == "did you mean task?"
    with pytest.raises(NotFoundError) as caught, tasks.transaction() as tx:
        tx.query("select * from tasks")
    assert caught.value.hint == "did you mean task?"
    with pytest.raises(QueryRejected, match="missing FROM-clause"):
        tasks.query("select t.id from task")


def test_tables_views_and_schemas_are_listed_and_described(tasks):
    tasks.script(
        """create schema app; create table app.t (id int references task(id), d numeric(5,2));
        create view ready as select * from task; create materialized view old as select 1 as x;
        create table "Odd.Name" (a int[])"""
    )
    assert dict(tasks.tables().rows) == {
        "Odd.Name": "table",
        "app.t": "table",
        "old": "materialized view",
        "ready": "view",
        "task": "table",
    }
    rows = {row.column: row for row in tasks.describe("app.t")}
    assert (rows["id"].key, rows["d"].type) == ("→ task.id", "numeric(5, 2)")
    assert tasks.describe("Odd.Name").column("column") == ["a"]
    with pytest.raises(NotFoundError) as caught:
        tasks.describe("app.tt")
    assert caught.value.hint == "did you mean app.t?"


def test_the_schema_of_the_url_is_where_names_are_looked_for(db, fresh_url):
    db.script("create schema my_app; create table my_app.t as select 5 as a")
    with Database(f"{fresh_url}&schema=my_app") as other:
        assert other.query("select a from t").scalar() == 5
        assert "t" in other.tables().column("name")
        assert other.query("select a from t", arrow=True).scalar() == 5


def test_a_statement_commits_itself_and_leaves_no_transaction_open(tasks):
    tasks.query("select * from task", limit=1)
    tasks.execute("insert into task (name) values ('x')")
    list(tasks.stream("select * from task", chunk=3))
    with pytest.raises(UsageError, match="rolled back at once"):
        tasks.execute("begin")
    with pytest.raises(QueryRejected):
        tasks.script("begin; delete from task; select 1/0; commit")
    assert tasks.query("select count(*) from task").scalar() == 11
    assert set(sessions(tasks).column("state")) <= {"idle"}


def test_a_transaction_is_committed_or_rolled_back_as_a_whole(tasks):
    with tasks.transaction() as tx:
        tx.execute("delete from task where id = 1")
        assert len(tx.query("select * from task", limit=3)) == 3
        assert tasks.query("select count(*) from task").scalar() == 10
    with pytest.raises(ZeroDivisionError), tasks.transaction() as tx:
        tx.execute("delete from task")
        raise ZeroDivisionError
    assert tasks.query("select count(*) from task").scalar() == 9


def test_committing_a_transaction_that_has_failed_is_an_error(tasks):
    with (
        pytest.raises(QueryRejected, match="nothing was committed"),
        tasks.transaction() as tx,
    ):
        tx.execute("delete from task")
        with pytest.raises(QueryRejected):
            tx.execute("select 1/0")
        with pytest.raises(QueryRejected, match="current transaction is aborted"):
            tx.query("select 1")
    assert tasks.query("select count(*) from task").scalar() == 10


def test_several_rows_inside_a_transaction_are_all_or_nothing_and_it_goes_on(tasks):
    with tasks.transaction() as tx:
        tx.execute("insert into task (id) values (100)")
        with pytest.raises(QueryRejected):
            tx.execute("insert into task (id) values (:id)", [{"id": 200}, {"id": 1}])
        tx.execute("insert into task (id) values (101)")
    assert tasks.query("select id from task where id >= 100").column("id") == [100, 101]


def test_a_constraint_that_is_checked_at_the_commit_is_an_error_of_the_commit(tasks):
    tasks.execute("create table t (id int references task(id) deferrable initially deferred)")
    with pytest.raises(QueryRejected, match="violates foreign key"), tasks.transaction() as tx:
        tx.execute("insert into t values (99)")
    assert tasks.query("select count(*) from t").scalar() == 0


def test_a_read_only_connection_writes_nothing_whatever_it_is_told(tasks, fresh_url):
    tasks.execute(
        "create function unlocked() returns text language sql as "
        "$$ select set_config('default_transaction_read_only', 'off', false) $$"
    )
    with Database(fresh_url, read_only=True, pool_size=1) as reader:
        assert reader.query("select count(*) from task").scalar() == 10
        for sql in (
            "delete from task",
            "set default_transaction_read_only = off; delete from task",
            "discard all; delete from task",
            "DISCARD /* */ ALL",
            "select set_config('default_transaction_read_only', 'off', false); delete from task",
            "begin read write; delete from task; commit",
            "start transaction read write; delete from task; commit",
            "do $$ begin set local transaction_read_only = off; delete from task; end $$",
            """do $$ begin perform set_config('default_transaction_read_only', 'off', false);
            end $$; delete from task""",
            """select "set_config"('default_transaction_read_only', 'off', false);
            delete from task""",
            "select unlocked(); delete from task",
        ):
            with pytest.raises(QueryRejected, match=r"read-only|only reads|read-write"):
                for statement in split(sql):  # on whichever connections
                    reader.query(statement.sql)
            with pytest.raises(QueryRejected, match=r"read-only|only reads|read-write"):
                reader.script(sql)
        for first in ("select 1", "select unlocked()", "set transaction read write"):
            reader.query("select unlocked()")
            with pytest.raises(QueryRejected), reader.transaction() as tx:
                tx.execute(first)
                tx.execute("delete from task")
        with pytest.raises(QueryRejected):
            list(reader.stream("with x as (delete from task returning id) select * from x"))
    assert tasks.query("select count(*) from task").scalar() == 10


def test_a_stream_yields_every_row_once_in_chunks(db):
    chunks = list(db.stream(f"{MANY} offset :skip".format(25), {"skip": 0}, chunk=10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert [row.i for chunk in chunks for row in chunk] == list(range(1, 26))
    nulls = list(db.stream("select '5%' as a where :x is null or 1 = :x", {"x": None}))
    assert [chunk.rows for chunk in nulls] == [[("5%",)]]


def test_a_stream_that_is_not_read_to_its_end_gives_its_connection_back(fresh_url):
    with Database(f"{fresh_url}&connection_limit=1") as db:
        for _ in range(5):
            stream = db.stream(MANY.format(1000), chunk=10)
            assert next(stream)[0].i == 1
            stream.close()
        with pytest.raises(QueryRejected):
            list(db.stream("select 1/0"))
        assert db.query("select 1").scalar() == 1


def test_a_stream_within_a_transaction_leaves_it_open(tasks):
    with tasks.transaction() as tx:
        tx.execute("delete from task where id > 5")
        assert sum(len(chunk) for chunk in tx.stream("select * from task", chunk=2)) == 5
        tx.execute("delete from task where id = 5")
    assert tasks.query("select count(*) from task").scalar() == 4


MEMORY = """
import resource, sys
from agentnb.core.db import Database
with Database(sys.argv[1]) as db:
    db.query("select 1", arrow=True).df() if sys.argv[2] == "arrow" else db.query("select 1")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.argv[2] == "stream":
        count = sum(len(chunk) for chunk in db.stream("select * from big", chunk=5000))
    else:
        shown = db.query("select * from big", preview=1000)
        assert "limited to 1,000 rows" in repr(shown)
        rows = db.query("select * from big", arrow=sys.argv[2] == "arrow", limit=1000)
        count = len(rows)
    print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(("how", "rows"), [("rows", 1000), ("arrow", 1000), ("stream", 2_000_000)])
def test_two_million_rows_are_read_in_bounded_memory(db, fresh_url, how, rows):
    if how == "arrow":
        pytest.importorskip("adbc_driver_postgresql")
    db.execute(
        "create table big as select i, md5(i::text) as a, md5(i::text) as b "
        "from generate_series(1, 2000000) i"
    )
    out = subprocess.check_output([sys.executable, "-c", MEMORY, fresh_url, how], text=True)
    count, kilobytes = map(int, out.split())
    assert count == rows
    assert kilobytes < 40_000  # all of it takes several hundred megabytes


def test_a_statement_whose_time_is_over_is_cancelled_on_the_server(db, fresh_url):
    with Database(fresh_url) as other:
        with pytest.raises(DeadlineExceeded):
            other.query("select pg_sleep(100)", timeout=0.3)
        assert other.query("select 1").scalar() == 1
        assert sessions(db, "and query like '%pg_sleep%' and state = 'active'").rows == []


def test_a_transaction_whose_statement_was_cancelled_is_rolled_back(tasks):
    with pytest.raises(DeadlineExceeded), tasks.transaction() as tx:
        tx.execute("delete from task")
        tx.query("select pg_sleep(100)", timeout=0.3)
    assert tasks.query("select count(*) from task").scalar() == 10


def test_an_awaited_query_that_is_cancelled_is_cancelled_on_the_server(db):
    async def main():
        running = asyncio.create_task(db.aquery("select pg_sleep(100)", timeout=100))
        await asyncio.sleep(0.5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(asyncio.wait_for(main(), 30))  # joins its threads at the end
    assert sessions(db, "and state = 'active'").rows == []


INTERRUPTED = """
import sys, threading
from agentnb.core.db import Database
with Database(sys.argv[1]) as db:
    pid = db.query("select pg_backend_pid()").scalar()
    threading.Timer(0.5, print, ["ready"], {"flush": True}).start()
    try:
        if sys.argv[2] == "stream":
            for _ in db.stream("select pg_sleep(100)", timeout=100): pass
        elif sys.argv[2] == "transaction":
            with db.transaction() as tx:
                tx.query("select pg_sleep(100)", timeout=100)
        else:
            limit = None if sys.argv[2] == "all" else 10
            db.query("select pg_sleep(100)", limit=limit, timeout=100)
    except KeyboardInterrupt:
        print("interrupted")
    print(db.query("select 41 + 1").scalar())
    print(db.query("select count(*) from pg_stat_activity where query like '%pg_sleep(1%' "
                   "and state = 'active' and pid <> pg_backend_pid()").scalar())
"""


@pytest.mark.parametrize("how", ["all", "limited", "stream", "transaction"])
def test_ctrl_c_cancels_on_the_server_and_the_connection_goes_on(fresh_url, how):
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", INTERRUPTED, fresh_url, how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, err) == (0, "")
    assert out.splitlines() == ["interrupted", "42", "0"]


@pytest.mark.parametrize("what", ["password", "user", "database"])
def test_a_refused_login_is_a_config_error_that_shows_no_password(server, caplog, what):
    wrong = {"password": "hunter%2B99", "user": "nobody", "database": "nowhere"}[what]
    caplog.set_level(logging.DEBUG)
    database = Database(server.url(**{what: wrong}))
    with pytest.raises(ConfigError) as caught:
        database.query("select 1")
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    for secret in ("hunter", server.password, server.quoted):
        assert secret not in shown
    assert ("password" if what == "password" else wrong) in str(caught.value)
    assert caught.value.hint
    assert "attempt 2" not in caplog.text


def test_a_password_with_special_characters_opens_the_database_for_adbc_too(server):
    pytest.importorskip("adbc_driver_postgresql")
    with Database(server.url()) as db:
        assert type(db.query("select 1 as a", arrow=True)).__name__ == "ArrowResult"


def test_a_server_that_does_not_listen_is_unavailable():
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        url = f"postgresql://ada:hunter22@127.0.0.1:{link.getsockname()[1]}/app"
        with pytest.raises(UnavailableError, match="cannot be reached") as caught:
            Database(url).query("select 1")
    assert "hunter22" not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_never_answers_is_unavailable_within_seconds():
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        link.listen()
        started = time.monotonic()
        with pytest.raises(UnavailableError):
            Database(f"postgresql://ada@127.0.0.1:{link.getsockname()[1]}/app").query("select 1")
        assert time.monotonic() - started < 15  # rather than for ever


def test_a_server_that_was_killed_and_started_again_answers_the_next_call(server, caplog):
    with Database(server.url()) as db:
        with db.transaction() as first, db.transaction() as second:
            assert first.query("select 1").scalar() == second.query("select 1").scalar()
        server.kill()
        try:
            with pytest.raises(UnavailableError, match="cannot be reached"):
                db.query("select 1")
        finally:
            server.start()
        for _ in range(4):
            assert db.query("select 42").scalar() == 42
    assert not [one for one in caplog.records if one.name.startswith("sqlalchemy")]


def test_a_server_that_dies_under_a_statement_or_a_transaction_is_unavailable(server, caplog):
    with Database(server.url()) as db, Database(server.url()) as admin:

        def die(pid):
            admin.query("select pg_terminate_backend(:pid, 5000)", {"pid": pid})

        with pytest.raises(UnavailableError):
            db.query("select pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(UnavailableError), db.transaction() as tx:
            die(tx.query("select pg_backend_pid()").scalar())
            tx.query("select 1")
        with pytest.raises(QueryRejected, match="was rolled back"), db.transaction() as tx:
            die(tx.query("select pg_backend_pid()").scalar())
            with pytest.raises(UnavailableError):
                tx.execute("create table never (a int)")
            with pytest.raises(QueryRejected, match="was rolled back"):
                tx.execute("create table never (a int)")
        with pytest.raises(UnavailableError):
            for _ in db.stream("select * from generate_series(1, 100000)", chunk=10):
                die(
                    admin.query(
                        "select max(pid) from pg_stat_activity where query like "
                        "'FETCH%' and pid <> pg_backend_pid()"
                    ).scalar()
                )
        assert "never" not in db.tables().column("name")
    assert not [one for one in caplog.records if one.name.startswith("sqlalchemy")]


@pytest.mark.parametrize("where", ["statement", "checkout", "commit"])
def test_a_frozen_server_exceeds_the_deadline_and_does_not_hang(server, where):
    with Database(server.url()) as db:
        pid = db.query("select pg_backend_pid()").scalar()
        started = time.monotonic()
        try:
            if where == "commit":
                with pytest.raises(DeadlineExceeded), db.transaction(timeout=0.5):
                    os.kill(pid, signal.SIGSTOP)
            elif where == "checkout":
                os.kill(pid, signal.SIGSTOP)
                with pytest.raises(DeadlineExceeded):
                    db.query("select 1", timeout=0.5)
            else:
                with pytest.raises(DeadlineExceeded), db.transaction() as tx:
                    os.kill(pid, signal.SIGSTOP)
                    tx.query("select 1", timeout=0.5)
            assert time.monotonic() - started < 20  # rather than for ever
            assert db.query("select 1", timeout=20).scalar() == 1
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_opens_connections_of_its_own_and_can_cancel(tasks):
    with pytest.raises(DeadlineExceeded):
        tasks.query("select pg_sleep(100)", timeout=0.2)
    parent = tasks.query("select pg_backend_pid()").scalar()

    def child(queue):
        try:
            tasks.query("select pg_sleep(100)", timeout=0.3)
        except DeadlineExceeded:
            queue.put(tasks.query("select pg_backend_pid()").scalar())

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=[queue])
    process.start()
    assert queue.get(timeout=30) != parent
    process.join(30)
    assert process.exitcode == 0
    assert tasks.query("select pg_backend_pid()").scalar() == parent
    queue.close()


def test_a_connection_limit_is_kept_and_waited_for_within_the_deadline(db, fresh_url):
    with Database(f"{fresh_url}&connection_limit=1") as limited, limited.transaction() as tx:
        with pytest.raises(UnavailableError, match="in use"):
            limited.query("select 1", timeout=0.2)
        assert tx.query("select 1").scalar() == 1
        assert len(sessions(db)) == 1
    with (
        Database(f"{fresh_url}&connection_limit=1") as limited,
        pytest.raises(NotFoundError, match="no such table: missing"),
        limited.transaction() as tx,
    ):
        started = time.monotonic()
        try:
            tx.query("select * from missing")
        finally:
            assert time.monotonic() - started < 15  # the nearest name is not waited for


def test_a_lock_that_does_not_come_is_an_error_within_the_deadline(tasks):
    with tasks.transaction() as tx:
        tx.execute("lock table task")
        with pytest.raises(DeadlineExceeded):
            tasks.query("select * from task", timeout=0.3)


def test_a_notice_of_the_server_is_logged(db, caplog):
    db.execute("do $$ begin raise warning 'mind the step'; end $$")
    assert "WARNING: mind the step" in caplog.messages


def test_a_servers_full_disk_is_unavailable_and_a_missing_right_has_its_sqlstate(db):
    raising = "do $$ begin raise exception 'x' using errcode = '{}'; end $$"
    with pytest.raises(UnavailableError, match="cannot write: x") as raised:
        db.execute(raising.format("53100"))
    assert raised.value.hint == "free some room on the server's disk"
    with pytest.raises(QueryRejected) as refused:
        db.execute(raising.format("42501"))
    assert refused.value.sqlstate == "42501"
