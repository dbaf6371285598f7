"""A read-only SQLite connection reads its own file, and nothing makes it do more."""

from __future__ import annotations

import asyncio

import pytest

from agentnb.core.db import Database
from agentnb.core.db.sqlite_read_only import authorize
from agentnb.core.errors import QueryRejected, UsageError

REFUSED = [
    "attach database '{folder}/other.db' as o",
    "attach '{folder}/new.db' as n",
    "detach main",
    "vacuum",
    "vacuum into '{folder}/new.db'",
    "pragma writable_schema = 1",
    "pragma query_only = off",
    "pragma user_version = 5",
    "pragma journal_mode = delete",
    "pragma temp_store_directory = '{folder}'",
    "pragma wal_checkpoint",
    "pragma optimize",
    "create table n (a)",
    "create temp table n (a)",
    "create view w as select 1",
    "drop table t",
    "alter table t add column c",
    "analyze",
    "reindex",
    "insert into t values (1)",
    "update t set a = 1",
    "delete from t",
    "select load_extension('x')",
]
READ = [
    "select * from t",
    "select * from v",
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 3) select * from r",
    "select value from json_each('[1]')",
    "select * from f where f match 'x'",
    "select name from pragma_table_info('t')",
    "select name from sqlite_master",
    "explain query plan select * from t",
    "pragma table_info(t)",
    "pragma main.index_list(t)",
    "pragma foreign_key_check(t)",
    "pragma user_version",
    "pragma integrity_check",
    "pragma compile_options",
]


@pytest.fixture
def folder(tmp_path):
    for name in ("db", "other"):
        with Database(f"sqlite:///{tmp_path / name}.db") as db:
            db.script(
                "create table t (a); create index i on t (a); create view v as select * from t;"
                "create virtual table f using fts5(x); insert into t values ('canary')"
            )
    return tmp_path


@pytest.fixture
def reader(folder):
    with Database(f"sqlite:///{folder / 'db.db'}", read_only=True) as db:
        yield db


@pytest.mark.parametrize("sql", REFUSED)
def test_what_writes_or_opens_another_file_is_refused(reader, folder, sql):
    text = sql.format(folder=folder)
    for run in (
        reader.query,
        reader.execute,
        reader.script,
        lambda text: list(reader.stream(text)),
        lambda text: asyncio.run(reader.aquery(text)),
        lambda text: reader.query(text, arrow=True),
    ):
        with pytest.raises(QueryRejected, match="this connection only reads") as caught:
            run(text)
        assert caught.value.sqlstate == "25006"
    with pytest.raises(QueryRejected, match=r"only reads|VACUUM"), reader.transaction() as tx:
        tx.execute(text)
    assert not (folder / "new.db").exists()
    assert reader.query("select a from t").rows == [("canary",)]


@pytest.mark.parametrize("sql", READ)
def test_what_reads_is_allowed(reader, sql):
    reader.query(sql)
    with reader.transaction() as tx:
        tx.query(sql)


def test_tables_are_listed_and_described(reader):
    assert {"t", "v"} <= set(reader.tables().column("name"))
    assert reader.describe("t").column("column") == ["a"]
    assert reader.query("select a from t", timeout=1).scalar() == "canary"


def test_an_action_that_sqlite_may_add_is_denied():
    assert authorize(999, None, None, None, None) != 0


def test_a_syntax_error_has_a_caret_under_its_place(folder):
    with Database(f"sqlite:///{folder / 'db.db'}") as db:
        for sql, place in (
            ("select * form t", ["select * form t", " " * 9 + "^"]),
            (
                "select 'form',\n  \"form\" -- form\n  frm form t form",
                ["line 3:   frm form t form", " " * 14 + "^"],
            ),
            (
                "select form, form form form",
                ["select form, form form form", " " * 23 + "^"],
            ),
        ):
            with pytest.raises(QueryRejected, match="syntax error") as caught:
                db.query(sql)
            assert caught.value.message.splitlines()[1:] == place
        with pytest.raises(QueryRejected, match="no such column: nope"):
            db.query("select nope from t")


def test_malformed_json_is_no_broken_database(folder):
    with (
        Database(f"sqlite:///{folder / 'db.db'}") as db,
        pytest.raises(QueryRejected, match="malformed JSON"),
    ):
        db.query("select json_extract('{', '$')")


# What a read-only transaction of PostgreSQL itself lets through, and what ends one.
POSTGRES = [
    """do $$ begin perform set_config('default_transaction_read_only', 'off', false); commit;
    insert into t values (1); end $$""",
    "do $$ begin perform lo_create(0); end $$",
    "do $$ begin execute 'copy (select 1) to program ''true'''; end $$",
    "call ends()",
    "select changes()",
    "select set_config('transaction_read_only', 'off', false)",
    "select pg_catalog.\"set_config\"('work_mem', '5MB', false)",
    "set transaction read write",
    "set default_transaction_read_only = off",
    "begin read write",
    "/* - */ start transaction read write",
    "discard all",
    "reset all",
    "select nextval('s')",
    "select setval('s', 5)",
    "select pg_advisory_lock(1)",
    r'select U&"lo\005fcreate"(0)',
    """select pg_catalog.u&"lo!005fcreate" uescape '!' (0)""",
    "select pg_try_advisory_xact_lock(1)",
    "select pg_notify('a', 'b')",
    "notify a",
    "select lo_create(0)",
    "select lo_export(1, '{folder}/new')",
    "with x as (select lo_from_bytea(0, 'a')) select * from x",
    "copy (select lo_create(0)) to stdout",
    "copy (select 1) to program 'touch {folder}/new'",
    "copy t to '{folder}/new'",
    "copy t from program 'echo 1'",
    "select query_to_xml('select lo_create(0)', true, true, '')",
    "select pg_terminate_backend(0)",
    "prepare p as select lo_create(0)",
    "explain analyze insert into t values (1)",
    "insert into t values (1) returning a",
    "with x as (insert into t values (1) returning a) select * from x",
    "create temp table n (a int)",
    "alter system set work_mem = '5MB'",
    "lock table t",
    "load 'auto_explain'",
    *("vacuum", "analyze", "checkpoint", "reindex table t", "cluster"),
]


def test_postgres_writes_nothing_and_does_nothing_else_either(fresh_url, tmp_path):
    with Database(fresh_url) as db:
        db.execute("create table t (a int)")
        db.execute("create sequence s")
        db.execute("create procedure ends() language plpgsql as $$ begin commit; end $$")
        db.execute(
            "create function changes() returns int language plpgsql as $$ begin "
            "perform set_config('transaction_read_only', 'off', false); return 1; end $$"
        )
        with Database(fresh_url, read_only=True) as reader, reader.session() as session:
            for sql in (one.format(folder=tmp_path) for one in POSTGRES):
                for run in (
                    reader.query,
                    reader.script,
                    session.query,
                    lambda text: list(reader.stream(text)),
                    lambda text: asyncio.run(reader.aquery(text)),
                    lambda text: reader.query(text, arrow=True),
                    lambda text: _in_transaction(reader, text),
                ):
                    with pytest.raises(QueryRejected):
                        run(sql)
            for sql in ("select a, random() from t", "show work_mem", "copy t to stdout"):
                reader.query(sql)
                assert list(reader.stream("select 1")) != []
        large = "(select count(*) from pg_largeobject_metadata)"
        counts = db.query(f"select last_value, is_called, (select count(*) from t), {large} from s")
        assert counts.rows == [(1, False, 0, 0)]
    assert list(tmp_path.iterdir()) == []


def _in_transaction(reader, sql):
    with reader.transaction() as tx:
        tx.query("select 1")
        tx.execute(sql)


def test_a_transaction_that_a_statement_ends_is_followed_by_another_that_only_reads(fresh_url):
    with Database(fresh_url) as db, Database(fresh_url, read_only=True) as reader:
        db.execute("create table t (a int)")
        for end in ("commit", "rollback", "commit and chain", "rollback and chain", "end"):
            with pytest.raises((QueryRejected, UsageError)), reader.transaction() as tx:
                tx.execute(end)
                tx.execute("insert into t values (1)")
        assert db.query("select count(*) from t").scalar() == 0
