"""Plain support on DuckDB and MariaDB: statements run, the rest is refused with that word."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal

import pytest

import agentnb
from agentnb.core.db import Database
from agentnb.core.errors import (
    ConfigError,
    NotFoundError,
    QueryRejected,
    UnavailableError,
    UsageError,
)


@pytest.fixture
def url(mariadb_url):
    return mariadb_url


@pytest.fixture
def db(url):
    with Database(url) as database:
        yield database


@pytest.fixture
def mariadb(mariadb_url):
    with Database(mariadb_url) as database:
        yield database


@pytest.mark.parametrize(
    "value",
    [None, 5, -5, 2**62, 1.5, "", "it's \\ :x % $1 ? \" é"],
    ids=repr,
)
def test_a_value_comes_back_as_it_was_bound(db, value):
    assert db.query("select :v as v, ':v' as t, :v as w", {"v": value}).rows == [
        (value, ":v", value)
    ]


def test_lists_attributes_percent_signs_and_repeated_names_are_bound(db):
    sql = "select '50%' as a, 7 % 4 as b, :x.n as c where 3 in (:l) and 5 not in (:none) -- :no"
    assert db.query(sql, {"x": {"n": 2}, "l": [1, 2, 3], "none": []}).rows == [("50%", 3, 2)]


def test_a_decimal_and_a_time_are_exact(db):
    sql = "select cast(:d as decimal(20, 10)) as d, cast(:t as timestamp) as t"
    if db.kind == "mysql":
        sql = sql.replace("timestamp", "datetime(6)")
    when = dt.datetime(2026, 1, 31, 10, 0, 0, 5)
    row = db.query(sql, {"d": decimal.Decimal("0.00012345"), "t": when}).rows[0]
    assert row == (decimal.Decimal("0.00012345"), when)


def test_a_statement_commits_itself_and_a_failing_script_keeps_what_came_before(db, url):
    db.execute("create table t (a int)")
    assert repr(db.execute("insert into t values (:a), (2)", {"a": 1})) == "2 rows affected"
    with pytest.raises(QueryRejected, match="statement 2"):
        db.script("insert into t values (3); selct 1; insert into t values (4)")
    assert db.query("select a from t order by a").column("a") == [1, 2, 3]
    db.close()
    with Database(url) as other:
        assert other.query("select count(*) from t").scalar() == 3


def test_begin_commit_and_rollback_in_a_script_are_transactions(db):
    db.execute("create table t (a int)")
    db.script(
        "begin; insert into t values (1); rollback; begin transaction; "
        "insert into t values (2); commit"
    )
    assert db.query("select a from t").column("a") == [2]
    with pytest.raises(UsageError, match="rolled back at once"):
        db.script("begin; insert into t values (3)")
    with pytest.raises(QueryRejected):
        db.script("begin; insert into t values (4); selct")
    with pytest.raises(UsageError, match="open already"):
        db.script("begin; begin")
    with pytest.raises(UsageError, match="plain support"):
        db.script("start transaction read only; select 1; commit")
    assert db.query("select a from t").column("a") == [2]


def test_a_transaction_is_committed_or_rolled_back_as_a_whole(db):
    db.execute("create table t (a int)")
    with db.transaction() as tx:
        tx.execute("insert into t values (:a)", {"a": 1})
        assert tx.query("select count(*) from t").scalar() == 1
    with pytest.raises(ZeroDivisionError), db.transaction() as tx:
        tx.execute("delete from t")
        raise ZeroDivisionError
    db.execute("insert into t values (:a)", [{"a": 2}, {"a": 3}])
    with pytest.raises(UsageError):
        db.execute("insert into t values (:a)", [{"a": 4}, {"b": 5}])
    assert db.query("select a from t order by a").column("a") == [1, 2, 3]


def test_a_stream_gives_all_rows_in_chunks(db):
    db.execute("create table t (a int)")
    db.execute("insert into t values (:a)", [{"a": n} for n in range(25)])
    chunks = [one.column("a") for one in db.stream("select a from t order by a", chunk=10)]
    assert [len(one) for one in chunks] == [10, 10, 5]
    assert sum(chunks, []) == list(range(25))  # noqa: RUF017 - three lists
    for _ in db.stream("select a from t", chunk=10):
        break
    assert db.query("select 1 as x").scalar() == 1


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda db, _: db.load([{"a": 1}], "t"), UsageError),
        (lambda db, _: db.query("select 1", timeout=5), UsageError),
        (lambda db, _: db.execute("select 1", timeout=5), UsageError),
        (lambda db, _: db.script("select 1", timeout=5), UsageError),
        (lambda db, _: list(db.stream("select 1", timeout=5)), UsageError),
        (lambda db, _: asyncio.run(db.aquery("select 1", timeout=5)), UsageError),
        (lambda db, _: asyncio.run(db.aexecute("select 1", timeout=5)), UsageError),
        (lambda db, _: db.transaction(timeout=5).__enter__(), UsageError),
        (lambda _, url: Database(url, read_only=True), ConfigError),
    ],
    ids=["load", "query", "execute", "script", "stream", "aquery", "aexecute", "tx", "read only"],
)
def test_what_cannot_be_promised_is_refused_with_the_word_plain(db, url, ask, error):
    with pytest.raises(error, match="has plain support, which has no") as caught:
        ask(db, url)
    assert caught.value.hint


def test_the_default_time_out_is_not_applied_and_said_once_at_connect(url, caplog):
    caplog.set_level("INFO", "agentnb.db")
    with Database(url, timeout=0.001) as db:
        sql = (
            "select sleep(0.05)" if db.kind == "mysql" else "select sum(range) from range(1000000)"
        )
        db.query(sql)
        db.query(sql)
        asyncio.run(db.aquery(sql))
    said = [one.message for one in caplog.records if "plain support" in one.message]
    assert len(said) == 1
    assert "db_timeout is not applied" in said[0]
    assert {one.levelname for one in caplog.records} == {"INFO"}


def test_errors_of_the_driver_are_translated_and_a_missing_table_is_named(db):
    db.execute("create table orders (id int)")
    with pytest.raises(NotFoundError, match="no such table: order_s") as caught:
        db.query("select * from order_s")
    assert caught.value.hint == "did you mean orders?"
    with pytest.raises(QueryRejected, match="syntax"):
        db.query("selct 1")
    with pytest.raises(QueryRejected, match="nope"):
        db.query("select nope from orders")
    with pytest.raises(QueryRejected):
        list(db.stream("select nope from orders"))
    with pytest.raises(QueryRejected), db.transaction() as tx:
        tx.execute("insert into orders values ('x y')")
    assert db.query("select count(*) from orders").scalar() == 0


def test_the_hub_lists_the_support_of_each_connection(url, tmp_path):
    with agentnb.connect(home=tmp_path / "home") as hub:
        hub.databases.connect("other", url)
        found = hub.databases.list()
        rows = {row.name: row.support for row in found}
    assert rows == {"default": "full", "other": "plain"}


def test_a_ping_needs_no_time_out(db):
    db.ping()


def test_mariadb_backslashes_and_comments_hide_names(mariadb):
    mariadb.execute("create table bs (t text)")
    mariadb.execute(r"insert into bs values ('don\'t touch :x; # -- ')", {"x": 5})
    mariadb.execute('insert into bs values ("a\\" :x ; "\'b\')', {"x": 5})
    mariadb.execute("insert into bs values (:x) # :y ; '", {"x": "\\'\0\n"})
    assert mariadb.query("select t from bs").column("t") == [
        "don't touch :x; # -- ",
        'a" :x ; b',
        "\\'\0\n",
    ]
    assert mariadb.query("select 5--:x as a", {"x": 1}).scalar() == 6


def test_mariadb_refuses_a_backslash_that_the_session_reads_otherwise(mariadb):
    with pytest.raises(UsageError, match="backslash") as caught:
        mariadb.script(r"set sql_mode = 'NO_BACKSLASH_ESCAPES'; select 'a\' as x")
    assert ":name" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        """create procedure p(a int) begin
             declare i int default 0;
             while i < a do set i = i + 1; end while;
             if i > 1 then select 'x;' as x; else select if(a, 1, 2) as x; end if;
             case i when 1 then select 5; else begin select 6; end; end case;
             lab: loop leave lab; end loop lab;
             repeat set i = i - 1; until i < 1 end repeat;
             select case when a then 'end' end as `end`;
           end; select 1 as last""",
        """DELIMITER //
           create procedure p(a int) begin select 1; select 2; end//
           DELIMITER ;
           select 1 as last;""",
        """delimiter $$
           create or replace definer=`root`@`localhost` procedure p(a int)
             if a then select 1; end if$$
           create function f() returns int deterministic return 5$$
           delimiter ;
           select 1 as last""",
        """create table t (event int, begin int, a int); create trigger g before insert on t
           for each row begin set new.begin = 1; set new.a = 2; end; select 1 as last""",
        """begin not atomic declare x int; set x = 1; select x; end; select 1 as last""",
        """create event e on schedule every 1 day do begin delete from t; end;
           select 1 as last""",
        """/*!40101 set @x = 1 */;
           create function f() returns int return case when 1 then 2 end; select 1 as last""",
    ],
)
def test_mariadb_bodies_keep_their_semicolons(mariadb, text):
    results = mariadb.script(text)
    assert results[-1].columns == ("last",)
    for kind in ("procedure p", "function f", "event e", "table t"):
        mariadb.execute(f"drop {kind.replace(' ', ' if exists ')}")


def test_mariadb_tells_of_the_results_that_are_not_shown(mariadb):
    mariadb.execute("create procedure p() begin select 1 as a; select 2; select 3; end")
    result = mariadb.query("call p()")
    assert result.rows == [(1,)]
    assert result.notices == ("NOTICE: the statement has 3 results; this is the first",)
    assert mariadb.query("select 4").rows == [(4,)]


def test_mariadb_refuses_a_body_whose_end_is_not_clear(mariadb):
    with pytest.raises(UsageError, match="not clear") as caught:
        mariadb.script("create procedure p(a int) if a then select 1; end if; select 2")
    assert "BEGIN" in caught.value.hint


def test_mariadb_login_database_and_server_have_errors_of_their_own(mariadb_socket, mariadb_url):
    wrong = mariadb_url.replace("root@", "root:Tr0ub@dor#3@")
    with pytest.raises(ConfigError, match="refused the login") as caught:
        Database(wrong).query("select 1")
    assert "dor" not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"
    with pytest.raises(ConfigError, match="Unknown database"):
        Database(f"mysql+pymysql://root@localhost/no?unix_socket={mariadb_socket}").query(
            "select 1"
        )
    with pytest.raises(UnavailableError, match="cannot be reached"):
        Database("mysql+pymysql://root@127.0.0.1:1/x").query("select 1")
    with pytest.raises(ConfigError, match="cannot be connected to") as caught:
        Database(f"{mariadb_url}&strange=1").query("select 1")
    assert "options" in caught.value.hint


def test_mariadb_describes_tables_and_names_a_missing_one(mariadb):
    mariadb.execute("create table orders (id int primary key, name varchar(5) not null)")
    rows = {row.column: (row.nullable, row.key) for row in mariadb.describe("orders")}
    assert rows == {"id": ("no", "primary"), "name": ("no", None)}
    with pytest.raises(NotFoundError) as caught:
        mariadb.describe("order")
    assert caught.value.hint == "did you mean orders?"
