"""A read-only SQLite connection reads its own file, and nothing makes it do more."""

from __future__ import annotations

import asyncio

import pytest

from agentnb.core.db import Database
from agentnb.core.db.sqlite_read_only import authorize
from agentnb.core.errors import QueryRejected

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
