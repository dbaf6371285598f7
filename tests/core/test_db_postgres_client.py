"""PostgreSQL and its client beside rows: COPY, notices, places of errors."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from agentnb.core.db import Database
from agentnb.core.db.notices import notified
from agentnb.core.db.postgres_copy import direction
from agentnb.core.errors import ConfigError, QueryRejected, UsageError
from tests.listening import Relay

RAISE = "do $$ begin for i in 1..{} loop raise {} 'row %', i; end loop; end $$"


@pytest.fixture
def db(fresh_url):
    with Database(fresh_url) as database:
        database.script(
            "create table t (a int, b text); insert into t values (1, 'x'), (2, E'y\\tz')"
        )
        yield database


@pytest.mark.parametrize(
    ("sql", "way"),
    [
        ("copy t to stdout", "to client"),
        ("COPY t (a) FROM /* x */ STDIN", "from client"),
        ("copy (select a as x from t) to stdout (format csv)", "to client"),
        ("copy t to '/tmp/stdout'", "to server"),
        ("copy t to program 'cat'", "to server"),
        ("copy t from '/tmp/x'", "from server"),
        ('copy "from" to stdin', "to client"),
        ("copy", ""),
    ],
)
def test_the_direction_of_a_copy_is_read_from_its_words(sql, way):
    assert direction(sql) == way


def test_copy_to_stdout_gives_its_lines(db):
    assert db.query("copy t to stdout").column("line") == ["1\tx", "2\ty\\tz"]
    sql = (
        "copy (select a, ':no' as n, a % 2 as m from t where a = :a) to stdout (format csv, header)"
    )
    assert db.query(sql, {"a": 1}).column("line") == ["a,n,m", "1,:no,1"]
    with db.transaction() as tx:
        assert tx.execute("copy t to stdout").rowcount == 2
        assert tx.query("select count(*) from t").scalar() == 2
    assert [one.column("line") for one in db.stream("copy t to stdout", chunk=1)] == [
        ["1\tx"],
        ["2\ty\\tz"],
    ]


def test_a_copy_that_is_cut_leaves_the_connection_in_order(db):
    sql = "copy (select * from generate_series(1, 100000)) to stdout"
    assert db.query(sql, limit=3).column("line") == ["1", "2", "3"]
    assert db.query("select 1 as x").scalar() == 1
    deleted = db.query("copy (delete from t returning a) to stdout", preview=1)
    assert db.query("select count(*) from t").scalar() == 0
    assert deleted.rows == [("1",), ("2",)]


@pytest.mark.parametrize("sql", ["copy t from stdin", "copy t to stdout (format binary)"])
def test_a_copy_without_data_or_text_is_refused_before_it_runs(db, sql):
    for run in (db.query, db.execute, db.script, lambda text: list(db.stream(text))):
        with pytest.raises(UsageError, match="COPY") as caught:
            run(sql)
        assert caught.value.hint
    assert db.query("select count(*) from t").scalar() == 2


def test_a_read_only_connection_copies_to_no_file_and_no_table(fresh_url, db, tmp_path):
    with Database(fresh_url, read_only=True) as reader:
        assert reader.query("copy t to stdout").rowcount == 2
        for sql in (
            f"copy t to '{tmp_path}/out'",
            "copy t to program 'cat'",
            f"copy t from '{tmp_path}/in'",
            "copy (delete from t returning a) to stdout",
        ):
            with pytest.raises(QueryRejected, match="read") as caught:
                reader.execute(sql)
            assert caught.value.sqlstate == "25006"
    assert db.query("select count(*) from t").scalar() == 2


def test_listen_is_refused_and_names_what_waits(db):
    for run in (db.execute, db.script):
        with pytest.raises(UsageError, match="LISTEN") as caught:
            run("listen jobs")
        assert "hub.events.subscribe" in caught.value.hint
    db.execute("notify jobs")


def test_notices_are_in_the_result_in_their_order(db, caplog):
    caplog.set_level(logging.INFO, "agentnb.db")
    result = db.execute(RAISE.format(2, "notice"))
    assert result.notices == ("NOTICE: row 1", "NOTICE: row 2")
    assert db.execute("select 1").notices == ()
    assert db.execute(RAISE.format(1, "warning")).notices == ("WARNING: row 1",)
    detail = "do $$ begin raise notice 'a' using detail = 'b', hint = 'c'; end $$"
    assert db.execute(detail).notices == ("NOTICE: a\nDETAIL: b\nHINT: c",)
    script = db.script(f"select 1; {RAISE.format(1, 'notice')}; drop table if exists nope")
    assert [len(one.notices) for one in script] == [0, 1, 1]
    with db.transaction() as tx:
        assert tx.query("select 1 as x").notices == ()
        assert tx.execute(RAISE.format(1, "info")).notices == ("INFO: row 1",)
    levels = {one.message: one.levelname for one in caplog.records}
    assert levels["NOTICE: row 1"] == "INFO"
    assert levels["WARNING: row 1"] == "WARNING"


def test_a_flood_of_notices_is_counted_and_not_kept(db):
    notices = db.execute(RAISE.format(1500, "notice")).notices
    assert len(notices) == 1001
    assert notices[-1] == "500 more notices, which were not kept"


def test_notices_of_a_statement_that_fails_are_heard(db):
    heard = []
    with notified(heard.append), pytest.raises(QueryRejected, match="over"):
        db.execute("do $$ begin raise notice 'first'; raise exception 'over'; end $$")
    assert heard == ["NOTICE: first"]
    db.execute(RAISE.format(1, "notice"))
    assert heard == ["NOTICE: first"]


def test_a_statement_that_changes_rows_is_streamed(db):
    sql = "insert into t select i, 'n' from generate_series(1, 5) i returning a"
    assert [one.column("a") for one in db.stream(sql, chunk=2)] == [[1, 2], [3, 4], [5]]
    assert db.query("select count(*) from t").scalar() == 7
    for _ in db.stream("delete from t returning a", chunk=1):
        break  # given up: nothing is deleted
    assert db.query("select count(*) from t").scalar() == 7
    assert len(next(db.stream("show all", chunk=1000))) > 100
    with pytest.raises(UsageError, match="no rows to stream"):
        list(db.stream("delete from t"))
    assert db.query("select count(*) from t").scalar() == 7


def test_two_streams_are_read_at_once_in_one_transaction(db):
    with db.transaction() as tx:
        sql = "select i from generate_series(1, 4) i"
        pairs = zip(tx.stream(sql, chunk=2), tx.stream(sql, chunk=2), strict=True)
        assert [(a.rows, b.rows) for a, b in pairs] == [([(1,), (2,)],) * 2, ([(3,), (4,)],) * 2]


def test_an_error_has_a_caret_under_its_place(db):
    for limit in (5, None):
        with pytest.raises(QueryRejected) as caught:
            db.query("select *\nform t", limit=limit)
        assert caught.value.message.splitlines()[1:] in (
            ["line 2: form t", "             ^"],
            ["line 2: form t", "        ^"],
        )
    with pytest.raises(QueryRejected, match="does not exist\nselect nope from t\n") as caught:
        db.query("select nope from t")
    assert caught.value.message.endswith(f"\n{' ' * 7}^")


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("a\0b", "NUL"),
        ({1, 2}, "list(value)"),
        (object(), "bind a str"),
    ],
    ids=["NUL", "set", "object"],
)
def test_a_hint_about_a_value_fits_the_value(db, value, hint):
    with pytest.raises(UsageError) as caught:
        db.query("select :v", {"v": value})
    assert hint in caught.value.hint
    assert "::text" not in caught.value.hint


def test_a_value_that_python_does_not_hold_is_cast_in_the_sql(db):
    with pytest.raises(UsageError) as caught:
        db.query("select 'infinity'::date")
    assert "x::text" in (caught.value.hint or "")


def test_an_option_that_libpq_does_not_know_is_a_config_error(fresh_url):
    with pytest.raises(ConfigError, match="invalid connection option") as caught:
        Database(f"{fresh_url}&strange=1").query("select 1")
    assert "libpq" in caught.value.hint


@pytest.mark.parametrize("driver", ["psycopg2", "pg8000"])
def test_other_drivers_are_served_by_psycopg_with_one_line(fresh_url, driver, caplog):
    caplog.set_level(logging.INFO, "agentnb.db")
    with Database(fresh_url.replace("postgresql:", f"postgresql+{driver}:")) as other:
        assert other.query("select :a::int as a", {"a": 1}).scalar() == 1
        assert other.query("select 2 as a").scalar() == 2
        assert other.support == "full"
    said = [one.message for one in caplog.records if "psycopg" in one.message]
    assert said == [f"postgresql+{driver} is served by psycopg"]


def test_nothing_is_printed_when_a_load_or_a_copy_fails(fresh_url, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"""
from agentnb.core.db import Database
from agentnb.core.errors import AgentnbError

db = Database({fresh_url!r})
db.execute("create table t (a int check (a < 3))")
for call in (
    lambda: db.load([{{"a": n}} for n in range(10)], "t", if_exists="append"),
    lambda: db.load([{{"a": "x"}} for n in range(10)], "t", if_exists="append"),
    lambda: db.execute("copy t from stdin"),
    lambda: db.execute("insert into t values (:a)", [{{"a": 1}}, {{"a": 9}}]),
):
    try:
        call()
    except AgentnbError as error:
        print("refused")
db.close()
"""
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("refused\n" * 4, "")


def test_a_backslash_that_the_session_reads_otherwise_is_refused(db):
    assert db.query(r"select 'a\' as x, ':no' as y").rows == [("a\\", ":no")]
    with db.transaction() as tx:
        tx.execute("set local standard_conforming_strings = off")
        for run in (tx.query, lambda sql: list(tx.stream(sql))):
            with pytest.raises(UsageError, match="backslash") as caught:
                run(r"select 'a\' as x, ':no' as y")
            assert ":name" in caught.value.hint
        assert tx.query(r"select E'a\'' as x").scalar() == "a'"


def test_a_connection_that_was_used_a_moment_ago_is_lent_without_asking_the_server(fresh_url):
    sent = []
    socket = Path(parse_qs(urlsplit(fresh_url).query)["host"][0]) / ".s.PGSQL.5432"
    name = urlsplit(fresh_url).path

    def passes(_, data):
        sent.extend([data] if data[:1] in b"QP" else [])
        return True

    with (
        Relay(socket, passes) as relay,
        Database(f"postgresql://postgres@127.0.0.1:{relay.port}{name}", pool_size=1) as db,
    ):
        db.query("select 1")
        sent.clear()
        assert db.query("select 2").scalar() == 2
        assert len(sent) == 1
        relay.cut()
        assert db.query("select 3").scalar() == 3


@pytest.mark.parametrize(("query", "idle"), [("", "10"), ("&keepalives_idle=60", "60")])
def test_a_network_that_is_gone_is_noticed_within_half_a_minute_or_as_the_url_says(
    fresh_url, query, idle
):
    with Database(f"{fresh_url}{query}") as db, db.engine.connect() as connection:
        found = connection.connection.dbapi_connection.info.get_parameters()
        names = ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")
        assert [found[name] for name in names] == [idle, "5", "4", "30000"]
