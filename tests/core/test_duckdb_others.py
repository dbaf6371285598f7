"""Tables of a hub's other connections in the SQL of DuckDB, as `CONNECTION.TABLE`."""

from __future__ import annotations

import threading
import time

import pandas as pd
import pytest

import agentnb
from agentnb.core.db import Database
from agentnb.core.db.duck import others
from agentnb.core.errors import (
    ConfigError,
    DeadlineExceeded,
    NotFoundError,
    QueryRejected,
    UnavailableError,
    UsageError,
)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Yield a hub with a default database and one named `prod`, both of SQLite."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    with agentnb.connect(start=tmp_path / "project", home=tmp_path / "home") as hub:
        hub.db.script("create table task (id integer, name text); insert into task values (1, 'a')")
        prod = hub.databases.connect("Prod", f"sqlite:///{tmp_path / 'prod.db'}")
        prod.script("""
            create table orders (id integer, eur real);
            insert into orders values (1, 5.5), (2, 7.5);
            create table "Odd ""name" (a integer); insert into "Odd ""name" values (7);
            create table task (id integer, note text); insert into task values (1, 'p')""")
        yield hub


@pytest.fixture
def duck(hub):
    return hub.databases["duck"]


READS = [
    ("select * from prod.orders order by id", [(1, 5.5), (2, 7.5)]),
    ("select orders.eur from prod.orders where orders.id = 1", [(5.5,)]),
    ("select prod.orders.eur from PROD.Orders where Prod.ORDERS.id = :id", [(5.5,)]),
    ("select o.eur from prod.orders o where o.id = 2", [(7.5,)]),
    ("select o.eur from prod.orders as o join df using (id)", [(7.5,)]),
    ("select name, note from hub.task join prod.task using (id)", [("a", "p")]),
    ("select prod.task.note, hub.task.name from hub.task, prod.task", [("p", "a")]),
    ("select prod.task.id + hub.task.id from hub.task, prod.task", [(2,)]),
    ('select a from "prod"."Odd ""name"', [(7,)]),
    ('select name from "default".task', [("a",)]),
    ("select sum(eur) from (select * from prod.orders) where id in (select id from hub.task)",
     [(5.5,)]),
    ("with o as (from prod.orders) select count(*) from o", [(2,)]),
    ("select a.id from prod.orders a, prod.orders b where a.id < b.id", [(1,)]),
    ("from o: prod.orders select max(o.id)", [(2,)]),
    ("select column_name from (describe prod.orders)", [("id",), ("eur",)]),
    ("from prod.orders anti join hub.task using (id)", [(2, 7.5)]),
    ("select 'prod.orders' as x -- from prod.orders", [("prod.orders",)]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "rows"), READS)
def test_a_table_of_another_connection_is_a_table(duck, sql, rows):
    df = pd.DataFrame({"id": [2]})
    assert duck.query(sql, {"id": 1}, frames={"df": df}).rows == rows
    assert duck.query(sql, {"id": 1}, frames={"df": df}, arrow=True).rows == rows


def test_they_are_there_in_transactions_scripts_streams_plots_and_tables_that_are_made(duck):
    with duck.transaction() as tx:
        tx.execute("create table kept as from prod.orders")
        assert tx.query("select count(*) from prod.orders join kept using (id)").scalar() == 2
    assert duck.script("from kept; from prod.orders")[1].rowcount == 2
    assert [len(part) for part in duck.stream("from prod.orders", chunk=1)] == [1, 1]
    assert duck.plot("from prod.orders", "id", "eur")
    assert duck.query("select table_name from duckdb_tables() union select view_name "
                      "from duckdb_views() where not internal").rows == [("kept",)]  # fmt: skip
    assert [row[:2] for row in duck.describe("prod.orders")] == [("id", "integer"), ("eur", "real")]
    assert duck.profile("PROD.orders").column("column") == ["id", "eur"]


def test_each_query_has_the_rows_of_now_and_threads_have_their_own(hub, duck):
    failed = []

    def work(number):
        try:
            for _ in range(5):
                found = duck.query("select n from prod.orders, df", frames={"df": df[number]})
                assert set(found.column("n")) == {number}
        except BaseException as error:
            failed.append(error)
            raise

    df = [pd.DataFrame({"n": [number]}) for number in range(3)]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    hub.databases["Prod"].execute("insert into orders values (3, 1)")
    assert duck.query("select count(*) from prod.orders").scalar() == 3


def test_a_schema_or_an_attached_database_of_the_name_wins(duck):
    duck.script("create schema prod; create table prod.orders (x int); create table t (hub int)")
    assert duck.query("from prod.orders").rows == []
    assert duck.describe("prod.orders").rows[0][0] == "x"
    duck.execute("attach ':memory:' as hub")
    with pytest.raises(NotFoundError):
        duck.query("from hub.task")


def test_an_alias_is_not_a_connection(hub, duck):
    calls = []
    hub.databases["Prod"].access.backend.check = calls.append
    duck.execute("create table t as select 1 as orders")
    assert duck.query("select prod.orders from t as prod").rows == [(1,)]
    assert not calls


CHANGES = [
    "insert into prod.orders values (9, 9)", "update prod.orders set id = 9",
    "delete from prod.orders", "drop table prod.orders", "create table prod.other (a int)",
    "create view v as from prod.orders", "alter table prod.orders add column x int",
    "insert into prod.orders select * from hub.task", "create view prod.v as select 1",
    "merge into prod.orders using hub.task on true when matched then delete",
    "drop table if exists prod.orders", "from prod.main.orders",
]  # fmt: skip


@pytest.mark.parametrize("sql", CHANGES)
def test_another_connection_is_changed_by_its_own_sql_only(hub, duck, sql):
    with pytest.raises(UsageError, match="prod") as caught:
        duck.execute(sql)
    assert caught.value.hint
    assert hub.databases["Prod"].query("select count(*) from orders").scalar() == 2


def test_a_table_that_is_too_large_is_an_error_that_says_what_to_do(duck, monkeypatch):
    monkeypatch.setattr(others, "MOST_ROWS", 1)
    with pytest.raises(UsageError, match=r"prod\.orders has more than 1 rows") as caught:
        duck.query("select * from prod.orders limit 1")
    assert "%db -c prod rows << SQL" in caught.value.hint
    monkeypatch.setattr(others, "MOST_ROWS", 2)
    assert duck.query("select count(*) from prod.orders").scalar() == 2
    monkeypatch.setattr(others, "MOST_BYTES", 10)
    with pytest.raises(UsageError, match=r"prod\.orders: .*larger than") as caught:
        duck.query("select * from prod.orders")
    assert "filter it first" in caught.value.hint


def test_errors_name_the_connection_and_show_no_secret(hub, duck):
    with pytest.raises(NotFoundError, match=r"prod\.ordrs: no such table") as caught:
        duck.query("from prod.ordrs")
    assert caught.value.hint == "did you mean orders?"
    hub.databases.connect("far", "postgresql://me:s3cret@127.0.0.1:9/x")
    with pytest.raises(UnavailableError, match=r"far\.t: ") as caught:
        duck.query("from far.t")
    assert "s3cret" not in f"{caught.value}{caught.value.hint}"
    with pytest.raises(QueryRejected) as caught:
        duck.query("select nam from hub.task")
    assert str(caught.value).endswith('select nam from "hub.task" as "task"\n       ^')


@pytest.mark.parametrize(
    "sql",
    [
        "create macro m() as table from prod.orders",
        "prepare p as from prod.orders",
        "comment on table prod.orders is 'x'",
    ],
)
def test_what_would_be_gone_after_the_statement_is_refused(duck, sql):
    with pytest.raises(UsageError, match=r"prod\.orders"):
        duck.execute(sql)
    duck.execute("create table kept as select 1 as function from prod.orders")


def test_the_deadline_holds_for_the_other_connection(hub, duck):
    hub.databases["Prod"].execute("create view endless as with recursive n(i) as "
        "(select 1 union all select i + 1 from n) select count(*) as c from n")  # fmt: skip
    assert duck.query("from prod.orders limit 0").rows == []  # both are connected
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"prod\.endless"):
        duck.query("from prod.endless", timeout=0.7)
    assert time.monotonic() - begun < hub.databases["Prod"].timeout / 2  # not its own
    assert duck.query("select count(*) from prod.orders").scalar() == 2


@pytest.mark.usefixtures("hub")
def test_a_database_on_its_own_knows_no_other():
    with Database("duckdb:///:memory:") as alone, pytest.raises(NotFoundError):
        alone.query("from prod.orders")


def test_tools_reach_the_default_database_only(tmp_path, monkeypatch):
    from agentnb.core.tools.database import open_database

    monkeypatch.chdir(tmp_path)
    url = f"duckdb:///{tmp_path / 'd.duckdb'}"
    with Database(url) as made:
        made.execute("create table t as select 1 as a")
    with agentnb.connect(start=tmp_path, home=tmp_path / "home", database_url=url) as hub:
        hub.databases.connect("prod", f"sqlite:///{tmp_path / 'p.db'}").execute(
            "create table o (a)"
        )
        with open_database(hub) as tools:
            assert tools.query("from t").scalar() == 1
            with pytest.raises((NotFoundError, ConfigError)):
                tools.query("from prod.o")


def test_postgres_is_another_connection(hub, duck, postgres_url):
    far = hub.databases.connect("far-away", postgres_url, read_only=False)
    far.script("""create schema sales; create table sales.item (id int, price numeric(9, 2),
        at timestamptz, tags text[]); insert into sales.item values
        (1, 2.50, '2026-01-01 00:00Z', '{a,b}'), (2, null, null, null)""")
    try:
        sql = """select price, tags[1] from "far-away"."sales.item" join prod.orders using (id)
            where id = 1"""
        assert [str(value) for value in duck.query(sql).rows[0]] == ["2.50", "a"]
        assert duck.describe("far-away.sales.item").column("column") == [
            "id",
            "price",
            "at",
            "tags",
        ]
    finally:
        far.execute("drop schema sales cascade")


@pytest.mark.parametrize(("sql", "found"), [("from df", 1), ("from DF", 1), ('from "Df"', 1)])
def test_a_frame_is_found_in_any_case(duck, sql, found):
    frame, other = pd.DataFrame({"k": [1]}), pd.DataFrame({"k": [2]})
    assert duck.query(sql, frames={"df": frame}).scalar() == found
    assert duck.query("from DF", frames={"df": frame, "DF": other}).scalar() == 2
    assert duck.query("from df", frames={"df": frame, "DF": other}).scalar() == 1
    for text in ("from Df", "select * from df, DF"):
        with pytest.raises(UsageError, match="have one name in SQL"):
            duck.query(text, frames={"df": frame, "DF": other})
    duck.execute("create table Df as select 5 as k")
    assert duck.query("from dF", frames={"df": frame}).scalar() == 5
    duck.execute("create schema Other")
    duck.execute("create table other.T as select 1 as A")
    assert duck.describe("OTHER.t").rows[0][0] == "A"
