"""A session is one connection: what a statement sets there lasts, and only there."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentnb.core.db import Database
from agentnb.core.db import session as sessions
from agentnb.core.db.result import ArrowResult
from agentnb.core.db.state import Leaves, leaves
from agentnb.core.db.text import scan
from agentnb.core.errors import (
    DeadlineExceeded,
    NotFoundError,
    QueryRejected,
    UnavailableError,
    UsageError,
)

PID = "select pg_backend_pid()"


@pytest.fixture
def server(fresh_url):
    with Database(fresh_url) as database:
        database.script(
            "create schema a; create table t (x text); insert into t values ('PUBLIC');"
            "create table a.t (x text); insert into a.t values ('A')"
        )
        yield database


@pytest.fixture
def file(tmp_path):
    with Database(f"sqlite:///{tmp_path / 'a.db'}") as database:
        database.script("create table t (x text); insert into t values ('real')")
        yield database


@pytest.fixture(params=["file", "server"])
def db(request):
    return request.getfixturevalue(request.param)


def crowd(db):
    """Open several connections of the pool, as threads do."""

    async def queries():
        await asyncio.gather(*(db.aquery("select count(*) from t") for _ in range(4)))

    asyncio.run(queries())


def test_what_is_set_in_a_session_lasts_and_only_there(server):
    crowd(server)
    with server.session() as session:
        session.execute("set search_path to a")
        session.execute("set role pg_read_all_data")
        for _ in range(6):
            assert session.query("select x from t").scalar() == "A"
            assert session.query("select current_user").scalar() == "pg_read_all_data"
            assert server.query("select x from t").scalar() == "PUBLIC"
            assert server.query("select current_user").scalar() == "postgres"
        crowd(server)
        assert session.query("select x from t").scalar() == "A"


def test_a_temporary_table_and_an_attached_file_last_in_a_session(file, tmp_path):
    crowd(file)
    sqlite3.connect(tmp_path / "b.db").execute("create table other (n)").connection.close()
    with file.session() as session:
        session.execute("create temp table mine as select 42 as n")
        session.execute("attach :path as b", {"path": str(tmp_path / "b.db")})
        session.execute("pragma foreign_keys = off")
        for _ in range(6):
            assert session.query("select n from mine").scalar() == 42
            assert session.query("select count(*) from b.other").scalar() == 0
            assert session.query("pragma foreign_keys").scalar() == 0
            assert file.query("pragma foreign_keys").scalar() == 1
        for _ in range(6):
            assert file.query("select count(*) from sqlite_temp_master").scalar() == 0


SETTINGS = [
    ("set search_path to a", "show search_path"),
    ("set role pg_read_all_data", "select current_user"),
    ("set statement_timeout = '55s'", "show statement_timeout"),
    (
        "select set_config('app.user', 'ada', false)",
        "select coalesce(current_setting('app.user', true), '')",
    ),
    ("create temp table t as select 'temp' as x", "select x from t"),
    ("prepare p as select 1", "select count(*) from pg_prepared_statements"),
    ("do 'begin listen news; end'", "select count(*) from pg_listening_channels()"),
    ("select pg_advisory_lock(7)", "select count(*) from pg_locks where locktype = 'advisory'"),
    ("select pick()", "show search_path"),
    ("do $$ begin perform set_config('search_path', 'a', false); end $$", "show search_path"),
]


@pytest.mark.parametrize(("sql", "look"), SETTINGS)
@pytest.mark.parametrize("how", ["query", "script", "transaction", "stream", "session"])
def test_what_a_statement_sets_does_not_stay_on_a_connection_of_the_pool(fresh_url, sql, look, how):
    with Database(f"{fresh_url}&connection_limit=2") as db:
        db.script(
            "create schema a; create table t (x text); insert into t values ('PUBLIC');"
            "create function pick() returns text language sql as "
            "$$ select set_config('search_path', 'a', false) $$"
        )
        before = db.query(look).scalar()
        if how == "query":
            db.query(sql)
        elif how == "script":
            db.script(f"{sql}; select 1")
        elif how == "stream":
            sql = sql if sql.startswith("select") else "select pick()"
            list(db.stream(sql))
        elif how == "transaction":
            with db.transaction() as tx:
                tx.execute(sql)
        else:
            with db.session() as session:
                session.execute(sql)
                assert session.has_state
        with ThreadPoolExecutor(2) as pool:
            assert set(pool.map(lambda _: db.query(look).scalar(), range(8))) == {before}


def test_what_a_trigger_sets_for_its_transaction_does_not_stay(fresh_url):
    with Database(f"{fresh_url}&connection_limit=1") as db:
        db.script("""create table t (x text);
            create function mark() returns trigger language plpgsql as
            $$ begin perform set_config('app.user', 'ada', true); return new; end $$;
            create trigger mark before insert on t for each row execute function mark()""")
        db.execute("insert into t values ('a')")
        assert not db.query("select current_setting('app.user', true)").scalar()


def test_a_connection_that_nothing_was_set_on_is_not_reset(server, monkeypatch):
    cleared = []
    clear = type(server.access.backend).clear
    monkeypatch.setattr(
        type(server.access.backend), "clear", lambda *given: (cleared.append(1), clear(*given))
    )
    server.query("select count(*), lower(x) from t where x in ('a') group by 2")
    server.execute("insert into t (x) values (:x)", {"x": "b"})
    with server.transaction() as tx:
        tx.execute("set local search_path to a")
        tx.execute("update t set x = coalesce(x, 'c')")
    assert not cleared
    server.query("set search_path to a")
    assert cleared


@pytest.mark.parametrize("how", ["pandas", "polars", "arrow"])
def test_a_frame_comes_from_the_same_session(db, how):
    crowd(db)
    convert = {"pandas": "df", "polars": "pl", "arrow": "arrow"}[how]
    with db.session() as session:
        session.execute("create temp table t as select 'temp' as x")
        found = session.query("select x from t", arrow=True)
        assert isinstance(found, ArrowResult) is (db.kind == "postgresql")
        assert len(getattr(found, convert)()) == 1
        assert found.scalar() == "temp"
        with session.transaction() as tx:
            tx.execute("insert into t values ('more')")
            assert tx.query("select x from t order by x", arrow=True).column("x") == [
                "more",
                "temp",
            ]
    if db.kind == "postgresql":
        with db.session() as session:
            session.execute("set role pg_read_all_data")
            found = session.query("select current_user::text u", arrow=True)
            assert (type(found), found.scalar()) == (ArrowResult, "pg_read_all_data")


def test_a_session_without_state_takes_the_fast_way_to_arrow(server):
    with server.session() as session:
        assert isinstance(session.query("select x from t", arrow=True), ArrowResult)
        assert server.access.tracer.recent(1)[0].attributes["through"] == "adbc"
        session.execute("set application_name to mine")
        session.query("select x from t", arrow=True)
        assert server.access.tracer.recent(1)[0].attributes["through"] == "copy"


ARROW = """
select i as id, 'it''s "' || i || E'\\n,;' as name, nullif(i % 3, 0) as third,
  case i % 4 when 0 then null when 1 then '' else 'x' end as text, i % 2 = 0 as even,
  i / 7.0::float8 as ratio, '2026-01-31'::date + i as day,
  '2026-01-31 10:00:00.5'::timestamp + i * interval '1 second' as moment,
  null::int as nothing, case i when 1 then 'nan'::float8 when 2 then '-inf'::float8 else 1 end as f
from generate_series(1, 500) as i order by i
"""


def test_copy_gives_what_adbc_and_the_driver_give(server):
    with server.session() as session:
        adbc = session.query(ARROW, arrow=True)
        session.execute("set application_name to mine")
        copied = session.query(ARROW, arrow=True)
        plain = session.query(ARROW)
    assert isinstance(adbc, ArrowResult)
    assert isinstance(copied, ArrowResult)
    assert copied.arrow().schema == adbc.arrow().schema
    assert copied.df().equals(adbc.df())
    assert repr(copied.rows) == repr(list(plain.rows)) == repr(adbc.rows)


@pytest.mark.parametrize("sql", [
    "select null::text as a",
    "select '' as a",
    "select 1 as a, 2 as a",
    "select x from t where false",
    "select 1 as a limit 0",
    'select x as "a b", 7 % 4 as "%" from t -- a comment',
    "select 'infinity'::timestamp as a",
    "select '0044-03-15 BC'::date as a",
    "select 1.50 as a",
    "select '{1,2}'::int[] as a",
    "select :v as a, :w::text as b",
    "values (1, 'a'), (2, null)",
    "table t",
])  # fmt: skip
def test_any_form_of_a_query_gives_the_same_through_copy(server, sql):
    values = {"v": "50% 'off'", "w": None}
    with server.session() as session:
        session.execute("set application_name to mine")
        try:
            wanted = session.query(sql, values)
        except Exception as error:  # noqa: BLE001 - then Arrow gives the same
            with pytest.raises(type(error)):
                session.query(sql, values, arrow=True)
            return
        found = session.query(sql, values, arrow=True)
        assert (found.columns, list(found.rows)) == (wanted.columns, list(wanted.rows))


def test_copy_keeps_limits_bytes_deadlines_and_errors(server):
    many = "select i from generate_series(1, 5000) as i order by i"
    with server.session() as session:
        session.execute("set application_name to mine")
        limited = session.query(many, limit=10, arrow=True)
        assert (limited.column("i"), limited.truncated) == (list(range(1, 11)), True)
        with pytest.raises(UsageError, match="larger than 10 kB"):
            session.query(many, arrow=True, max_bytes=10_000)
        with pytest.raises(DeadlineExceeded):
            session.query("select 1 as a, pg_sleep(30)::text", arrow=True, timeout=0.3)
        with pytest.raises(QueryRejected, match="division by zero"):
            session.query("select 1 / (i - i) as a from generate_series(1, 2) as i", arrow=True)
        assert session.query("show application_name").scalar() == "mine"
        with session.transaction() as tx:
            tx.execute("insert into t values ('b')")
            with pytest.raises(UsageError, match="larger than 10 kB"):
                tx.query(many, arrow=True, max_bytes=10_000)
            tx.execute("insert into t values ('c')")
        assert session.query("select count(*) from t").scalar() == 3


def test_a_function_that_may_write_is_not_run_twice_for_arrow_data(server):
    server.script(
        "create table calls (i int); create function count_call() returns timestamp language sql "
        "as $$ insert into calls values (1) returning 'infinity'::timestamp $$"
    )
    with server.session() as session:
        session.execute("set application_name to mine")
        # Arrow cannot read what comes, so that the driver has to run the statement.
        with pytest.raises(Exception, match="timestamp too large"):
            session.query("select count_call() as n", arrow=True)
        assert session.query("select count(*) from calls").scalar() == 1


def test_statements_of_several_threads_wait_for_their_turn(db):
    wait = "select pg_sleep(0.2), 7 as n" if db.kind == "postgresql" else "select 1, 7 as n"
    with db.session() as session, ThreadPoolExecutor(4) as pool:
        session.execute("create temp table mine as select 7 as n")
        for found in pool.map(lambda _: session.query(wait).column("n"), range(4)):
            assert found == [7]


def test_a_busy_session_is_an_error_when_the_time_is_over(server):
    with server.session() as session, ThreadPoolExecutor(1) as pool:
        running = pool.submit(session.query, "select pg_sleep(2)")
        while not session.access._lock.locked():
            time.sleep(0.01)
        with pytest.raises(UnavailableError, match="busy with another statement"):
            session.query("select 1", timeout=0.2)
        assert session.query("select 1").scalar() == 1  # waits for it
        assert running.done()


def test_a_thread_that_would_wait_for_itself_is_told(db):
    with db.session() as session:
        with session.transaction(), pytest.raises(UsageError, match="in use by a transaction"):
            session.query("select 1")
        for _ in session.stream("select x from t"):
            with pytest.raises(UsageError, match="or a stream of this thread"):
                session.query("select 1")
        assert session.query("select 1").scalar() == 1


@pytest.mark.parametrize("state", [True, False])
def test_a_lost_connection_is_told_once_and_only_if_something_was_set(server, state):
    with server.session() as session:
        if state:
            session.execute("set search_path to a")
        pid = session.query(PID).scalar()
        assert server.query("select pg_terminate_backend(:p, 10000)", {"p": pid}).scalar()
        if state:
            with pytest.raises(UnavailableError, match="connection was lost") as caught:
                session.query("insert into t values ('B')")
            assert "temporary tables" in caught.value.hint
        assert session.query("select x from t").scalar() == "PUBLIC"
        assert not session.has_state
        assert server.query("select count(*) from t").scalar() == 1


def test_a_connection_that_is_lost_under_a_statement_is_told_afterwards(server):
    with server.session() as session, ThreadPoolExecutor(1) as pool:
        session.execute("set search_path to a")
        pid = session.query(PID).scalar()
        running = pool.submit(session.query, "select pg_sleep(30)")
        active = "select count(*) from pg_stat_activity where pid = :p and state = 'active'"
        while not server.query(active, {"p": pid}).scalar():
            time.sleep(0.02)
        server.query("select pg_terminate_backend(:p, 10000)", {"p": pid})
        with pytest.raises(UnavailableError):
            running.result()
        with pytest.raises(UnavailableError, match="session of default is gone"):
            session.query("select x from t")
        assert session.query("select x from t").scalar() == "PUBLIC"


def test_an_idle_session_gives_its_connection_back_unless_something_was_set(server, until):
    with server.session(idle=0.2) as session, server.session(idle=0.2) as kept:
        first = session.query(PID).scalar()
        kept.execute("set search_path to a")
        assert session.open
        until(lambda: not session.open)
        time.sleep(0.3)
        assert kept.query("select x from t").scalar() == "A"
        assert session.query(PID).scalar() is not None
        assert first


def test_a_session_in_use_does_not_count_as_idle(server):
    with server.session(idle=0.3) as session:
        pid = session.query(PID).scalar()
        for _ in range(6):
            time.sleep(0.1)
            assert session.query(PID).scalar() == pid


def test_a_session_with_settings_is_given_up_in_the_end_and_says_so(server, until, monkeypatch):
    monkeypatch.setattr(sessions, "KEPT_SECONDS", 0.3)
    with server.session(idle=0.1) as session:
        session.execute("set search_path to a")
        until(lambda: not session.open)
        with pytest.raises(UnavailableError, match=r"unused for 0\.3 s"):
            session.query("select x from t")
        assert session.query("select x from t").scalar() == "PUBLIC"


@pytest.mark.parametrize("idle", [0, -1, float("nan")])
def test_an_idle_time_is_above_zero(db, idle):
    with pytest.raises(UsageError, match="idle must be greater than 0 s, got"):
        db.session(idle=idle)


def test_a_reset_and_a_close_leave_nothing_behind(server):
    with server.session() as session:
        session.script("set search_path to a; create temp table mine as select 1")
        session.reset()
        assert not session.open
        assert session.query("select x from t").scalar() == "PUBLIC"
    with pytest.raises(UsageError, match="this session is closed"):
        session.query("select 1")
    assert server.query("select x from t").scalar() == "PUBLIC"


def test_closing_the_database_ends_its_sessions(server):
    session = server.session()
    pid = session.query(PID).scalar()
    server.close()
    gone = "select count(*) from pg_stat_activity where pid = :p"
    assert server.query(gone, {"p": pid}).scalar() == 0
    assert session.query("select x from t").scalar() == "PUBLIC"


def test_a_session_that_is_forgotten_gives_its_connection_back(server):
    for _ in range(30):  # more than there are connections
        server.session().query("select 1")


def test_a_script_that_fails_behind_its_begin_leaves_no_transaction_open(db):
    with db.session() as session:
        with pytest.raises(QueryRejected):
            session.script("begin; insert into t values ('x'); select nothing; commit")
        session.execute("insert into t values ('y')")
        assert db.query("select count(*) from t").scalar() == 2


def test_a_transaction_of_a_session_is_committed_or_rolled_back_as_a_whole(db):
    with db.session() as session:
        session.execute("create temp table mine (n int)")
        with session.transaction() as tx:
            tx.execute("insert into mine values (1)")
        with pytest.raises(ZeroDivisionError), session.transaction() as tx:
            tx.execute("insert into mine values (2)")
            raise ZeroDivisionError
        assert session.query("select n from mine").column("n") == [1]


def test_load_tables_and_describe_use_the_session(file):
    with file.session() as session:
        session.load([{"a": 1}], "loaded")
        assert "loaded" in session.tables().column("name")
        assert session.describe("loaded").column("column") == ["a"]


def test_a_session_is_awaited_like_a_database(db):
    async def talk(session):
        await session.aexecute("create temp table mine as select 5 as n")
        found = await asyncio.gather(*(session.aquery("select n from mine") for _ in range(5)))
        return [one.scalar() for one in found]

    with db.session() as session:
        assert asyncio.run(talk(session)) == [5] * 5


def test_a_database_of_one_connection_shares_it_with_its_session(fresh_url):
    for url in ("sqlite://", f"{fresh_url}&connection_limit=1"):
        with Database(url) as db, db.session() as session:
            session.execute("create temp table mine as select 1 as n")
            assert db.query("select n from mine").scalar() == 1
            assert session.query("select n from mine").scalar() == 1


def test_a_forked_child_has_a_session_of_its_own(server):
    with server.session() as session:
        session.execute("set search_path to a")
        pid = session.query(PID).scalar()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point
            child = os.fork()
        if not child:
            code = 1
            try:
                with pytest.raises(UnavailableError, match="a forked process does not share it"):
                    session.query("select 1")
                assert session.query("select x from t").scalar() == "PUBLIC"
                assert session.query(PID).scalar() != pid
                session.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert session.query("select x from t").scalar() == "A"
        assert session.query(PID).scalar() == pid


@pytest.mark.parametrize("how", ["close", "reset", "forget"])
def test_a_forked_child_that_ends_a_session_leaves_that_of_its_parent(server, how):
    kept = [server.session()]
    kept[0].execute("set search_path to a")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as above
        child = os.fork()
    if not child:
        try:
            if how == "forget":
                kept.clear()
                gc.collect()
            else:
                getattr(kept.pop(), how)()
                gc.collect()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert kept[0].query("select x from t").scalar() == "A"
    kept[0].close()


def test_five_hundred_statements_take_one_connection(server):
    with server.session() as session:
        for _ in range(500):
            session.query("select 1")
        count = "select count(*) from pg_stat_activity where application_name = 'agentnb'"
        assert session.query(count).scalar() <= 2


def test_ctrl_c_and_a_timeout_leave_the_session_as_it_was(db):
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
    with db.session() as session:
        session.execute("create temp table mine as select 3 as n")
        with pytest.raises(DeadlineExceeded):
            session.query(endless, timeout=0.2)
        timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), 2))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            session.query(endless)
        timer.join()
        assert session.query("select n from mine").scalar() == 3


@pytest.mark.parametrize(
    "sql", ["set role postgres", "create temp table x (a int)", "prepare x as select 1"]
)
def test_through_pgbouncer_what_would_not_last_is_refused(fresh_url, sql):
    with Database(f"{fresh_url}&pgbouncer=true") as db, db.session() as session:
        for call in (db.query, session.query, session.script):
            with pytest.raises(UsageError, match="does not last through PgBouncer") as caught:
                call(sql)
            assert "set local" in caught.value.hint
        with session.transaction() as tx:
            tx.execute("set local role postgres")
            tx.execute("create temp table x (a int) on commit drop")
            tx.execute("insert into x values (1)")
        assert session.query("select lower('A')").scalar() == "a"


@pytest.mark.parametrize("kind", ["duckdb", "mariadb"])
def test_a_session_lasts_on_databases_of_plain_support_too(request, tmp_path, kind):
    if kind == "duckdb":
        url = f"duckdb:///{tmp_path / 'a.duckdb'}"
    else:
        url = request.getfixturevalue("mariadb_url")
    with Database(url) as db:
        db.execute("create table t (x varchar(9))")
        crowd(db)
        with db.session() as session:
            session.execute("create temporary table mine as select 42 as n")
            for _ in range(4):
                assert session.query("select n from mine").scalar() == 42
                with pytest.raises(NotFoundError):
                    db.query("select n from mine")
            assert session.query("select n from mine", arrow=True).df()["n"].tolist() == [42]
            with session.transaction() as tx:
                tx.execute("insert into mine values (43)")
            assert session.query("select max(n) from mine").scalar() == 43
        for _ in range(4):
            with pytest.raises(NotFoundError):
                db.query("select n from mine")


@pytest.mark.parametrize(("kind", "sql", "wanted"), [
    ("postgresql", "SET x = 1", Leaves.STATE),
    ("postgresql", "set local x = 1", Leaves.NOTHING),
    ("postgresql", "-- a\n/* b */ set /* c */\nlocal x = 1", Leaves.NOTHING),
    ("postgresql", "set constraints all deferred", Leaves.NOTHING),
    ("postgresql", "set transaction read only", Leaves.NOTHING),
    ("postgresql", "set session characteristics as transaction read only", Leaves.STATE),
    ("postgresql", "set search_path to a, local", Leaves.STATE),
    ("postgresql", "create table pg_temp.mine (a int)", Leaves.STATE),
    ("mysql", "set local sql_mode = 'ansi'", Leaves.STATE),
    ("mysql", "set session transaction read only", Leaves.STATE),
    ("postgresql", "reset all", Leaves.STATE),
    ("postgresql", "create temporary view v as select 1", Leaves.STATE),
    ("postgresql", "create temp table v (a int) on commit drop", Leaves.NOTHING),
    ("postgresql", "select 1 into temp x", Leaves.STATE),
    ("postgresql", "create table v (a int)", Leaves.NOTHING),
    ("postgresql", "insert into v (a) values (1)", Leaves.NOTHING),
    ("postgresql", "insert into v (a) select mine(1)", Leaves.PERHAPS),
    ("postgresql", "call mine()", Leaves.PERHAPS),
    ("postgresql", "do $$ begin end $$", Leaves.PERHAPS),
    ("postgresql", "select 'set role x', \"set\" from t", Leaves.NOTHING),
    ("postgresql", "select pg_try_advisory_lock(1)", Leaves.STATE),
    ("postgresql", "declare c cursor with hold for select 1", Leaves.STATE),
    ("sqlite", "pragma table_info(t)", Leaves.NOTHING),
    ("sqlite", "pragma foreign_keys", Leaves.NOTHING),
    ("sqlite", "pragma foreign_keys = off", Leaves.STATE),
    ("sqlite", "pragma foreign_keys(0)", Leaves.STATE),
    ("sqlite", "pragma main.cache_size=5", Leaves.STATE),
    ("sqlite", "attach 'x' as y", Leaves.STATE),
    ("sqlite", "select load_extension('x')", Leaves.PERHAPS),
    ("sqlite", "select mine(1)", Leaves.NOTHING),
    ("mysql", "use other", Leaves.STATE),
    ("duckdb", "install x", Leaves.PERHAPS),
])  # fmt: skip
def test_what_a_statement_leaves_is_known(kind, sql, wanted):
    assert leaves(kind, scan(sql)) is wanted


def test_what_is_set_for_all_transactions_does_not_stay_in_the_pool(server):
    server.execute("set session characteristics as transaction read only")
    server.execute("insert into t values ('one')")
    server.execute("create table pg_temp.mine (a int)")
    with pytest.raises(NotFoundError):
        server.query("select * from mine")


def test_an_arrow_result_tells_of_the_connection_of_the_session(file):
    file.execute("create table s (id integer primary key, changes integer)")
    with file.session() as session:
        session.execute("insert into s (changes) values (7), (8)")
        for arrow in (False, True):
            found = session.query("select last_insert_rowid(), changes()", arrow=arrow)
            assert found.rows == [(2, 2)]
        assert isinstance(session.query("select changes from s", arrow=True), ArrowResult)


def test_arrow_data_goes_round_neither_a_transaction_nor_the_end_of_a_session(db):
    session = db.session()
    with session.transaction() as tx:
        tx.execute("insert into t values ('new')")
        for arrow in (False, True):
            with pytest.raises(UsageError, match="in use by a transaction"):
                session.query("select count(*) from t", arrow=arrow)
    assert session.query("select count(*) from t", arrow=True).rows == [(2,)]
    session.close()
    with pytest.raises(UsageError, match="closed"):
        session.query("select 1", arrow=True)


def test_a_reset_between_the_statements_of_another_thread_holds_for_the_next_one(db):
    with db.session() as session:
        session.execute("create temp table mine (a int)")
        session.access._lock.acquire()  # as the other thread, after its look
        session.reset()
        session.access._lock.release()
        with pytest.raises(NotFoundError):
            session.query("select * from mine")
        assert session.query("select 1").scalar() == 1
