"""DuckDB as a database of full support: statements, transactions, files, time and memory."""

from __future__ import annotations

import datetime as dt
import os
import threading
import uuid
from contextlib import suppress
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import agentnb
from agentnb.core.db import Database
from agentnb.core.db.duck import DuckLimits
from agentnb.core.db.duck.paths import plain
from agentnb.core.errors import (
    ConfigError,
    NotFoundError,
    PathEscape,
    QueryRejected,
    UsageError,
)
from agentnb.core.table import Table


@pytest.fixture
def duck():
    with Database("duckdb:///:memory:") as database:
        yield database


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Yield a working directory with a home, secrets, files, and a folder beside it."""
    inside = tmp_path / "project"
    home = inside / "state"
    home.mkdir(parents=True)
    (home / "agentnb.csv").write_text("secret\nCANARY\n")
    (inside / ".env").write_text("KEY=CANARY\n")
    (inside / ".git").mkdir()
    (inside / ".git" / "config.csv").write_text("secret\nCANARY\n")
    (inside / "ok.csv").write_text("a,b\n1,x\n2,y\n")
    outside = tmp_path / "project2"
    outside.mkdir()
    (outside / "out.csv").write_text("secret\nCANARY\n")
    (inside / "link.csv").symlink_to(outside / "out.csv")
    (inside / "inner.csv").symlink_to(home / "agentnb.csv")
    (inside / "folder").symlink_to(outside)
    monkeypatch.chdir(inside)
    return inside


@pytest.fixture
def confined(place):
    limits = DuckLimits(folders=(place,), home=place / "state")
    with Database("duckdb:///:memory:", duck=limits) as database:
        yield database


def frames():
    pandas = pd.DataFrame({"k": [1, 2], "v": ["a", None]})
    return {
        "pandas": pandas,
        "polars": pl.DataFrame({"k": [1, 2], "v": ["a", None]}),
        "lazy": pl.LazyFrame({"k": [1, 2], "v": ["a", None]}),
        "arrow": pa.table({"k": [1, 2], "v": ["a", None]}),
        "ours": Table(["k", "v"], [(1, "a"), (2, None)]),
    }


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy", "arrow", "ours"])
def test_a_frame_that_a_statement_names_is_a_table(duck, kind):
    df = frames()[kind]
    scope = {"df": df, "k": 1, "other": 5}
    sql = "select * from df where k >= :k order by k"
    assert duck.query(sql, {"k": 1}, frames=scope).rows == [(1, "a"), (2, None)]
    assert duck.query(sql, {"k": 2}, frames=scope, arrow=True).df()["k"].tolist() == [2]
    with duck.transaction() as tx:
        assert tx.execute("create table kept as select * from df", frames=scope).rowcount == 2
        assert tx.query("select count(*) from df join kept using (k)", frames=scope).scalar() == 2
    found = duck.script("select 1; select count(*) from df", frames=scope)
    assert found[1].rows == [(2,)]
    with pytest.raises(NotFoundError, match="no such table: df"):
        duck.query("select * from df")


def test_a_table_of_the_name_wins_and_text_names_nothing(duck):
    df = pd.DataFrame({"k": [1]})
    duck.script("create table df (k int); insert into df values (7)")
    assert duck.query("select k from df", frames={"df": df}).scalar() == 7
    assert duck.query("select 'frame' as frame -- frame", frames={"frame": df}).rows == [("frame",)]
    quoted = duck.query('select k from "My frame"', frames={"My frame": df})
    assert quoted.scalar() == 1


def test_no_frame_is_found_by_looking_around(duck):
    df = pd.DataFrame({"k": [1]})
    with pytest.raises(NotFoundError):
        duck.query("select * from df")
    with agentnb.connect(database_url="sqlite://") as hub:
        with pytest.raises(UsageError, match="sqlite takes no frames") as caught:
            hub.db.query("select * from df", frames={"df": df})
        assert '"duck"' in caught.value.hint
        assert hub.databases["duck"].query("from df", frames={"df": df}).scalar() == 1


def test_a_frame_has_its_index_and_a_series_its_name(duck):
    named = pd.DataFrame({"v": [1, 2]}, index=pd.Index(["a", "b"], name="key"))
    series = pd.Series([1, 2], name="n")
    assert duck.query("select key from named where v = 2", frames={"named": named}).rows == [("b",)]
    assert duck.query("select sum(n) from s", frames={"s": series}).scalar() == 3


def test_a_frame_that_can_be_read_once_and_a_view_of_a_frame_are_refused(duck):
    reader = pa.table({"k": [1]}).to_reader()
    with pytest.raises(UsageError, match="reader can be read once only"):
        duck.query("select * from reader", frames={"reader": reader})
    df = pd.DataFrame({"k": [1]})
    with pytest.raises(UsageError, match="a view of the frame df") as caught:
        duck.execute("create view v as select * from df", frames={"df": df})
    assert "create table" in caught.value.hint
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(UsageError, match="columns of one name"):
        duck.query("from twice", frames={"twice": twice})
    indexed = pd.DataFrame({"id": [1]}, index=pd.Index([5], name="id"))
    with pytest.raises(UsageError, match="columns of one name: id") as caught:
        duck.query("from indexed", frames={"indexed": indexed})
    assert "reset_index" in caught.value.hint


HIDDEN = [
    "from '.env'", "from read_text('.env')", "from read_text(['ok.csv', '.env'])",
    "from read_text(:path)", "from read_csv('state/agentnb.csv')", "from 'state/agentnb.csv'",
    'from "state/agentnb.csv"', "from './state/../state/agentnb.csv'", "from read_text('*')",
    "from glob('**')", "from 'inner.csv'", "from '.git/config.csv'", "from read_csv('state/*.csv')",
    "from read_text('.' || 'env')", "from read_text(getvariable('path'))",
    "from query('select * from read_text(''.env'')')", "copy (select 1) to '.env'",
    "copy (select 1) to 'state/new.csv'", "attach 'state/other.duckdb'",
    "create table t as select * from read_text('.env')", "from read_text($$.env$$)",
    "create macro m(p) as table select * from read_text(p)", "set file_search_path = 'state'",
    "select * from (values (1)) a, 'state/agentnb.csv'", "from read_text('.ENV')",
    "insert into ok select * from read_text('.env')", "with x as (from read_text('.env')) from x",
    "select (select content from read_text('.env'))", "from file('.env')",
    "describe select * from '.env'", "summarize '.git/config.csv'",
    "unpivot 'state/agentnb.csv' on secret", "from x: 'state/agentnb.csv'",
    "merge into ok using 'state/agentnb.csv' on a = secret when not matched then insert values (1)",
    'from "./"."git/config".csv', "from read_text\u00a0('.e' || 'nv')",
    "from read_text\u200b('.e' || 'nv')", "from '~/state/agentnb.csv'",
    "from 'file://localhost{place}/state/agentnb.csv'", "copy ok from ('.e' || 'nv')",
    "copy (select 1) to (concat('.e', 'nv'))", "explain analyze copy ok to ('.e' || 'nv')",
    "attach ('sta' || 'te/x.duckdb') as q", "attach if not exists concat('state', '/x') as q",
    "set log_query_path = 'sta' || 'te/agentnb.csv'", "set home_directory = 'sta' || 'te'",
    "call enable_logging('QueryLog', storage = 'file', storage_path = 'sta' || 'te')",
    "copy ok to 'out' (format csv, per_thread_output, filename_pattern '../state/new')",
    "copy (select 1) to 'out' (per_thread_output, file_extension 'x/../../state/new.csv')",
    "copy (select 'x' p, 1 a) to 'around' (format csv, partition_by (p), overwrite true)",
    "import database 'kept'", "pragma import_database('kept')",
    "from histogram_values('sta' || 'te/agentnb.csv', secret)",
    "from ok, histogram('sta' || 'te/agentnb.csv', secret)", "from read_text('stat?\\*.csv')",
    'create macro m(p) as table select * from read_text("p")', "from 'FILE:state/agentnb.csv'",
    "from register_external_resource('a', 'b', map{}, 'c', 'd', 'e')",
    "call add_grammar_extension('x')", "from pandas_scan('1')",
    "update ok set a = secret from 'state/agentnb.csv'", "show 'state/agentnb.csv'",
    "create type e as enum (from 'state/agentnb.csv')", "copy 'state/agentnb.csv' to 'o.csv'",
    "from read_text('.env\0')", "copy (select 1) to '.git/new\0.csv'", "attach 'state/x.duckdb\0'",
    r"from read_text(E'.\env')", r"from read_csv(E'state/agentnb.cs\v')",
    r"copy (select 1) to E'.en\v'", "from 'state/agentnb.cs'\n'v'", "from E'state/agentnb.cs'\n'v'",
    "select E'a'\n'\\'', (select content from read_text('.env')) --'",
]  # fmt: skip


@pytest.mark.parametrize("sql", HIDDEN)
def test_what_is_hidden_is_never_reached(confined, place, sql, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    (place / "around" / "deep" / ".git").mkdir(parents=True)
    (place / "around" / "deep" / ".git" / "config").write_text("CANARY")
    (place / "kept").mkdir()
    (place / "kept" / "schema.sql").write_text("copy (select 1) to '.env'")
    (place / "kept" / "load.sql").write_text("select 1")
    sql = sql.replace("{place}", str(place))
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    confined.script("create table ok (a text); set variable path = concat('.', 'env')")
    with pytest.raises((UsageError, QueryRejected, NotFoundError)) as caught:
        confined.query(sql, {"path": ".env"})
    assert "CANARY" not in str(caught.value)
    after = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert after == before


OUTSIDE = [
    "from read_text('/etc/passwd')", "from read_csv('../project2/out.csv')",
    "from read_text('link.csv')", "from read_csv('folder/out.csv')",
    "from read_csv('folder/*.csv')",
    "copy (select 1) to '../project2/new.csv'", "attach '../project2/new.duckdb'",
    "set log_query_path = '../project2/log'", "pragma profiling_output = '../project2/p'",
    "from 'http://127.0.0.1:9/x.csv'", "load sqlite", "install httpfs", "load spatial",
    "export database '../project2/all'", "from read_csv('*.csv')",
    "from read_text('{place}/../project2/out.csv\0/../../{name}/ok.csv')",
    "copy (select 1) to '{place}/../project2/new\0/../../{name}/ok.csv'",
]  # fmt: skip


@pytest.mark.parametrize("sql", OUTSIDE)
def test_what_is_outside_of_the_folders_is_never_reached(confined, place, sql):
    sql = sql.replace("{place}", str(place)).replace("{name}", place.name)
    with pytest.raises((UsageError, QueryRejected)) as caught:
        confined.query(sql)
    assert "CANARY" not in str(caught.value)
    assert caught.value.hint or "pragma" in sql or "set " in sql
    assert sorted(path.name for path in (place.parent / "project2").iterdir()) == ["out.csv"]


def test_a_bound_path_that_ends_at_a_nul_reaches_nothing_and_a_value_may_have_one(confined, place):
    outside = f"{place}/../project2/out.csv\0/../../{place.name}/ok.csv"
    for path in (".env\0", "state/agentnb.csv\0x", outside, [outside]):
        with pytest.raises(UsageError, match="a NUL in it"):
            confined.query("from read_text(:path)", {"path": path})
    assert confined.query("select :text", {"text": "a\0b"}).scalar() == "a\0b"


def test_texts_with_escapes_are_read_as_duckdb_reads_them(duck):
    codes = [chr(code) for code in (*range(33, 127), 233, 0x4E2D)]
    texts = [f"E'a\\{code}{rest}z'" for code in codes for rest in ("", "41", "0041x", "00000041g")]
    different = []
    for text in texts:
        with suppress(QueryRejected):  # not UTF-8, or a NUL
            if (value := duck.query(f"select {text}").scalar()) != plain(text):
                different.append((text, value, plain(text)))
    assert different == []


def test_no_secret_is_kept_in_the_folder_of_the_user(confined, place, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    with confined.session() as session:
        for sql in (
            "set allow_persistent_secrets = true",
            "create persistent secret s (type http)",
        ):
            with pytest.raises((UsageError, QueryRejected)):
                session.execute(sql)
    assert not (place / ".duckdb").exists()


def test_what_looks_like_a_path_stays_a_value_and_files_are_written(confined, place):
    confined.execute("create table t as select '.env' as a, 'x' as p where '.git' like '.g%'")
    assert confined.query("select a = '.env' and a <> '.git' from t").scalar() is True
    confined.execute("copy (select a || p as b from (from t)) to 'made.csv'")
    assert confined.query("from 'made.csv'").scalar() == ".envx"
    confined.execute("copy t (a, p) to :path (header false)", {"path": "plain.csv"})
    confined.execute(
        "copy t to 'parts' (format csv, partition_by (p), overwrite true, filename_pattern 'n_{i}')"
    )
    assert (place / "parts" / "p=x" / "n_0.csv").exists()
    confined.execute("attach if not exists 'other.duckdb' as other (type duckdb)")
    confined.execute("create table other.t as from t")
    assert confined.query("select x: p from other.main.t").rows == [("x",)]
    assert confined.query("select p, histogram(a || '') from t group by p").scalar() == "x"
    assert confined.query("from histogram_values('t', p)").rows == [("x", 1)]
    assert confined.query("select count(*) from duckdb_databases()").scalar() > 1


STORED = [
    "create view v as from read_text('.env')", "create view v as from '.git/config.csv'",
    "create macro v(p) as table from read_text(p)",
    "create macro v(p) as (select content from read_text(p))",
    "create view x as select 1; create view \"V \"\"1\" as select * from 'state/agentnb.csv'",
]  # fmt: skip


@pytest.mark.parametrize("sql", STORED)
def test_what_a_file_of_duckdb_brings_along_reaches_nothing_hidden(confined, place, sql):
    import duckdb

    with duckdb.connect(place / "other.duckdb") as other:
        other.execute(sql)
    with pytest.raises(UsageError, match=" of e: "):
        confined.execute("attach 'other.duckdb' as e")
    with pytest.raises(QueryRejected):
        confined.execute("prepare p as attach 'other.duckdb' as e")
    assert confined.query(
        "select database_name from duckdb_databases() where not internal"
    ).rows == [("memory",)]
    limits = DuckLimits(folders=(place,), home=place / "state")
    with (
        Database(f"duckdb:///{place / 'other.duckdb'}", duck=limits) as db,
        pytest.raises(UsageError, match=" of other: "),
    ):
        db.query("select 1")


def test_a_path_means_what_it_means_now(confined, place, monkeypatch):
    confined.execute("create view v as from 'ok.csv'")
    confined.execute("create temp macro m() as table from 'ok.csv'")
    assert confined.query("select count(*) from V").scalar() == 2
    (place / "ok.csv").unlink()
    (place / "ok.csv").symlink_to(place / "state" / "agentnb.csv")
    for sql in ("from v", 'from "V"', "from memory.main.v", "from ok.csv"):
        with pytest.raises(PathEscape):
            confined.query(sql)
    monkeypatch.chdir(place / "state")
    for sql in ("from 'agentnb.csv'", "from read_csv('*.csv')", "copy (select 1) to 'new.csv'"):
        with pytest.raises(PathEscape):
            confined.query(sql)


def test_files_beside_the_notebook_are_tables(confined, place):
    assert confined.query("from 'ok.csv'").rows == [(1, "x"), (2, "y")]
    assert confined.query("select count(*) from read_csv(:p)", {"p": "ok.csv"}).scalar() == 2
    confined.execute("copy (select 1 as n) to 'made.parquet'")
    assert confined.query("from 'made.parquet'").scalar() == 1
    assert confined.query("select '.env' as name where 'x' <> '.git'").scalar() == ".env"
    (place / "sub").mkdir()
    os.chdir(place / "sub")
    with pytest.raises((PathEscape, QueryRejected, NotFoundError)):
        confined.query("from 'ok.csv'")


def test_a_hub_lets_sql_reach_the_folders_of_its_settings(tmp_path, monkeypatch):
    more = tmp_path / "more"
    more.mkdir()
    (more / "x.csv").write_text("a\n5\n")
    project = tmp_path / "project"
    (project / "workspace").mkdir(parents=True)
    (project / "workspace" / "w.csv").write_text("a\n6\n")
    monkeypatch.chdir(project)
    with agentnb.connect(start=project, duck_dirs=str(more), duck_memory="300MB") as hub:
        duck = hub.databases["duck"]
        assert duck.query(f"from '{more}/x.csv'").scalar() == 5
        assert duck.query("from 'workspace/w.csv'").scalar() == 6
        assert duck.query("select current_setting('memory_limit')").scalar().startswith("28")
        hub.db.execute("create table t (a int)")
        with pytest.raises(PathEscape):
            duck.query("from read_blob('.agentnb/agentnb.db')")
        assert hub.databases.names() == ["default", "duck"]


def test_a_read_only_connection_writes_no_table_and_no_file(place):
    path = place / "data.duckdb"
    with Database(f"duckdb:///{path}") as db:
        db.script("create table t (a int); insert into t values (1)")
    with Database(f"duckdb:///{path}", read_only=True) as db:
        assert db.query("from t").rows == [(1,)]
        for sql in (
            "insert into t values (2)", "create temp table x (a int)", "copy t to 'leak.csv'",
            "export database 'all'", "explain analyze copy t to 'leak.csv'", "attach 'new.duckdb'",
            "pragma profiling_output = 'leak'", "checkpoint", "select 1 into x", "drop table t",
        ):  # fmt: skip
            with pytest.raises((QueryRejected, UsageError)):
                db.query(sql)
        with pytest.raises(QueryRejected) as caught:
            db.load([{"a": 1}], "t", if_exists="append")
        assert caught.value
        db.execute("set timezone = 'UTC'")
    assert not (place / "leak.csv").exists()
    with pytest.raises(ConfigError, match="in memory would stay empty"):
        Database("duckdb:///:memory:", read_only=True)


def test_threads_share_a_database_and_each_has_its_own_frames(duck):
    duck.script("create table t (a int)")
    failed = []

    def work(number):
        try:
            df = pd.DataFrame({"n": [number]})
            for _ in range(20):
                assert duck.query("select n from df", frames={"df": df}).scalar() == number
                duck.execute("insert into t values (:n)", {"n": number})
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    with duck.session() as session:
        session.execute("create temp table mine as select 42 as n")
        for thread in threads:
            thread.join()
        assert session.query("from mine").scalar() == 42
    assert not failed
    assert duck.query("select count(*) from t").scalar() == 80
    with pytest.raises(NotFoundError):
        duck.query("from mine")


def test_a_transaction_is_whole_or_nothing(duck):
    duck.execute("create table t (a int primary key)")
    with duck.transaction() as tx:
        tx.execute("insert into t values (1)")
        tx.load([{"a": 2}], "t", if_exists="append")
    with pytest.raises(QueryRejected), duck.transaction() as tx:
        tx.execute("insert into t values (3)")
        with pytest.raises(QueryRejected):
            tx.query("select nothing")
        if not tx.failed:  # before DuckDB 2
            raise QueryRejected("it goes on", service="db")
        tx.execute("insert into t values (4)")
    with pytest.raises(QueryRejected), duck.transaction() as tx:
        tx.execute("insert into t values (5)")
        with pytest.raises(UsageError):
            tx.load([{"b": 2}], "t", if_exists="append")
        tx.execute("insert into t values (6)")
    duck.script("begin; insert into t values (7); rollback")
    duck.script("begin; insert into t values (8); commit")
    with pytest.raises(UsageError, match="rolled back at once"):
        duck.query("begin")
    assert [row.a for row in duck.query("from t order by a")] == [1, 2, 8]
    with pytest.raises(QueryRejected):
        duck.execute("insert into t values (:a)", [{"a": 9}, {"a": 1}])
    assert duck.query("select count(*) from t").scalar() == 3


KINDS = {
    "i": 2**62, "r": 1.5, "t": "it's", "b": True, "d": dt.date(2026, 1, 31),
    "ts": dt.datetime(2026, 1, 31, 1, 2, 3, 4), "tm": dt.time(1, 2, 3),
    "tz": dt.datetime(2026, 1, 31, tzinfo=dt.UTC), "iv": dt.timedelta(days=40, microseconds=5),
    "dec": Decimal("12345678901234567890.123456789"), "by": b"\x00\xff", "u": uuid.UUID(int=5),
}  # fmt: skip


def test_values_of_each_kind_are_loaded_and_come_back(duck):
    empty = dict.fromkeys(KINDS)
    assert duck.load([KINDS, empty], "kinds").rowcount == 2
    found = duck.query("from kinds order by i nulls last").dicts()
    assert found == [KINDS, empty]
    assert duck.query("select :iv as iv, :u as u, :dec as dec", KINDS).dicts() == [
        {name: KINDS[name] for name in ("iv", "u", "dec")}
    ]
    duck.load([KINDS], "kinds", if_exists="append")
    assert duck.query("select count(*) from kinds").scalar() == 3
    duck.load([{"js": {"a": [1]}}], "kinds", if_exists="replace")
    assert [row.type for row in duck.describe("kinds")] == ["json"]


@pytest.mark.parametrize(("column", "value"), [
    ("i", 1.5), ("i", "1.5"), ("i", "x"), ("dec", Decimal("1.234567890123")),
    ("d", dt.datetime(2026, 1, 1, 5)), ("ts", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
    ("nowhere", 1),
])  # fmt: skip
def test_nothing_is_rounded_on_its_way_into_a_table_that_is_there(duck, column, value):
    duck.load([KINDS], "kinds")
    with pytest.raises((UsageError, QueryRejected)):
        duck.load([{column: value}], "kinds", if_exists="append")
    assert duck.query("from kinds").dicts() == [KINDS]


def test_what_python_does_not_hold_is_an_error_and_not_another_value(duck):
    for sql in (
        "select interval '1 month' as x",
        "select timestamp_ns '2024-01-01 00:00:00.1234567' as x",
    ):
        with pytest.raises(UsageError, match="that Python does not hold") as caught:
            duck.query(sql)
        assert "x::text" in caught.value.hint
    found = duck.query("select date 'infinity' as d")
    assert "infinity" in found.notices[0]
    assert duck.query("select 'x' as d").notices == ()


def test_frames_have_floats_for_decimals_that_are_floats(duck):
    frame = duck.query("select 0.5 as a, 1::hugeint as b", arrow=True).df()
    assert str(frame["a"].dtype) == "float64"
    long = "select 12345678901234567890.123456789 as a"
    assert duck.query(long, arrow=True).df()["a"].tolist() == [
        Decimal("12345678901234567890.123456789")
    ]


def test_a_limit_fetches_no_more_and_a_stream_goes_on(duck):
    cut = duck.query("from range(10000000000)", limit=3)
    assert (len(cut), cut.truncated) == (3, True)
    assert duck.query("from range(10000000000)", limit=3, arrow=True).truncated
    assert [len(part) for part in duck.stream("from range(25000)")] == [10_000, 10_000, 5_000]
    duck.script("create table t (a int); insert into t values (1), (2), (3)")
    for chunk in duck.stream("select a from t", chunk=1):
        duck.execute("insert into t values (:a)", {"a": chunk[0].a + 10})
    assert duck.query("select count(*) from t").scalar() == 6
    with pytest.raises(UsageError, match="no rows to stream"):
        list(duck.stream("insert into t values (1)"))


def test_errors_show_the_place_and_the_nearest_name(duck):
    duck.execute("create table task (name text)")
    with pytest.raises(QueryRejected) as caught:
        duck.query("select nam from task")
    assert str(caught.value).endswith("select nam from task\n       ^")
    assert caught.value.hint == "did you mean name?"
    with pytest.raises(NotFoundError) as caught:
        duck.query("from tasks")
    assert caught.value.hint == "did you mean task?"


def test_values_are_bound_by_name_only(duck):
    assert duck.query("select :b, :a, :b", {"a": 1, "b": "x"}).rows == [("x", 1, "x")]
    for text in ("select $1, :a", "select ?, :a", "select $name"):
        with pytest.raises(UsageError, match="bound by name") as caught:
            duck.query(text, {"a": 1})
        assert ":name" in caught.value.hint
    assert duck.query("select $$:a$$ /* :b /* :c */ */ as x").scalar() == ":a"
    assert duck.query("select {'k': :a} as s, [1, 2, 3][1:2] as l", {"a": 1}).rows == [
        ({"k": 1}, [1, 2])
    ]
    assert duck.query("select 3 in :a, :a", {"a": [1, 3]}).rows == [(True, [1, 3])]


def test_each_table_is_listed_once_and_described(duck):
    duck.script("""create schema other; create table task (a int primary key, b text default 'x');
        create table other.log (a int); create view seen as select 1 as one;
        create table agentnb_task (a int)""")
    with duck.session() as session:
        session.script("create temp table mine (a int); create temp table task (b int)")
        found = session.tables()
        for name, _ in found.rows:
            assert session.query(f"select count(*) from {name}").scalar() in {0, 1}
        assert session.describe("mine").rows == [("a", "integer", "yes", None, None)]
    assert found.rows == [
        ("seen", "view"), ("task", "table"), ("other.log", "table"),
        ("temp.main.mine", "table"), ("temp.main.task", "table"),
    ]  # fmt: skip
    assert found.note.startswith("1 table of agentnb's own")
    assert duck.describe("task").rows == [
        ("a", "integer", "no", None, "primary"), ("b", "varchar", "yes", "'x'", None),
    ]  # fmt: skip
    duck.execute("create table step (task int references task(a))")
    assert duck.describe("other.log").rows == [("a", "integer", "yes", None, None)]
    assert duck.describe("step").rows[0][-1] == "→ task.a"
    assert duck.query("select count(*) from seen").scalar() == 1
    assert duck.explain("select 1").rows


def test_a_statement_tells_how_many_rows_it_changed(duck):
    duck.execute("create table t (a int)")
    assert duck.execute("insert into t values (1), (2), (3)").rowcount == 3
    assert duck.execute("update t set a = 5 where a > 1").rowcount == 2
    assert duck.query("insert into t values (7) returning a").rows == [(7,)]
    assert duck.query('select count(*) as "Count" from t').rows == [(4,)]
    assert repr(duck.execute("set timezone = 'UTC'")) == "done"


async def awaited(duck):
    return (await duck.aquery("select 1 as n")).scalar()


def test_statements_are_awaited(duck):
    import asyncio

    assert asyncio.run(awaited(duck)) == 1


@pytest.mark.parametrize("path", [":memory:", "/closed.duckdb"])
def test_a_database_that_is_closed_lets_what_runs_in_other_threads_end(tmp_path, path):
    url = f"duckdb:///{path if path.startswith(':') else f'{tmp_path}{path}'}"
    with Database(url) as duck, duck.session() as other:
        root = duck.access.backend._roots
        running = threading.Event()
        found: list[int] = []

        def chunked():
            for chunk in duck.stream("select range as n from range(300000)", chunk=1000):
                running.set()
                found.append(len(chunk))
                closed.wait()

        closed = threading.Event()
        thread = threading.Thread(target=chunked)
        thread.start()
        try:
            assert running.wait(60)
            duck.close()
            assert duck.query("select 1 as n").scalar() == 1
            assert other.query("select 2 as n").scalar() == 2
        finally:
            closed.set()
            thread.join()
        assert sum(found) == 300_000
        duck.close()
        other.close()
        assert not root._lent  # so that the file is free
    with Database(url) as duck:
        assert duck.query("select 3 as n").scalar() == 3
