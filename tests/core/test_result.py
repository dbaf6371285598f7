from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from agentnb.core.db import Database
from agentnb.core.db.result import ArrowResult, Result, Script
from agentnb.core.errors import DeadlineExceeded, QueryRejected, UsageError

pandas = pytest.importorskip("pandas")
pytest.importorskip("polars")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    pytest.importorskip(f"adbc_driver_{request.param}")
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a b#%41.db'}"
    return request.getfixturevalue("fresh_url")


@pytest.fixture
def db(url):
    with Database(url) as database:
        yield database


def test_a_result_tells_rows_from_effects():
    rows = Result(["n"], [(1,), (2,)], rowcount=2)
    assert (rows.scalar(), repr(rows)) == (1, "n\n1\n2")
    assert Result(["n"], []).scalar() is None
    done = Result((), [], rowcount=1, returns_rows=False)
    assert (repr(done), done._repr_html_()) == ("1 row affected", "<div>1 row affected</div>")
    assert repr(Result((), [], returns_rows=False)) == "done"


def test_the_results_of_a_script_are_shown_under_their_statements():
    script = Script([Result(["<n>"], [(1,)], statement='select 1\n  as "<n>"')])
    assert repr(script) == '-- select 1 as "<n>"\n<n>\n  1'
    assert "&lt;n&gt;" in script._repr_html_()
    assert "<n>" not in script._repr_html_()


def both(db, sql, params=None):
    """Return the result through ADBC, after comparing it with the driver's."""
    fast = db.query(sql, params, arrow=True, limit=None)
    slow = db.query(sql, params, limit=None)
    assert fast.columns == slow.columns
    assert fast.rows == slow.rows
    assert [list(map(type, row)) for row in fast.rows] == [
        list(map(type, row)) for row in slow.rows
    ]
    pandas.testing.assert_frame_equal(fast.df(), slow.df())
    assert fast.pl().equals(slow.pl())
    assert fast.pl().schema == slow.pl().schema
    assert fast.arrow().to_pylist() == slow.arrow().to_pylist()
    assert (len(fast), fast.rowcount, bool(fast)) == (len(slow), len(slow), bool(slow))
    return type(fast)


COLUMNS = {
    "int": ("bigint", [1, -(2**62), None]),
    "small": ("smallint", [1, 2, 3]),
    "real": ("double precision", [0.5, None, -1e300]),
    "text": ("text", ["a", None, "naïve 🙂"]),
    "date": ("date", ["2026-01-31", None, "1999-12-31"]),
    "time": ("timestamp", ["2026-01-31 10:00:00", None, "1999-12-31 00:00:00"]),
    "null": ("text", [None, None, None]),
    "nullint": ("bigint", [None, None, None]),
    "big": ("bigint", [2**60 + 1, None, 5]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_through_adbc_is_what_the_driver_gives(db, name):
    kind, values = COLUMNS[name]
    db.execute(f"create table t (i int, x {kind})")
    db.execute(
        f"insert into t values (:i, cast(:x as {kind}))"
        if db.kind == "postgresql"
        else "insert into t values (:i, :x)",
        [{"i": i, "x": value} for i, value in enumerate(values)],
    )
    assert both(db, "select x from t order by i") is ArrowResult


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 as a, 2 as a, 'x' as b",
        "select 1 as a where 1 = 0",
        "select count(*) as n from t",
        "select t.i, u.i from t join t u on u.i = t.i order by 1",
        "with x as (select max(i) as m from t) select * from x;",
        "values (1, 'a'), (2, 'b')",
        "select '%' as a, ':x' as b -- :y",
    ],
)
def test_any_form_of_a_query_gives_the_same_through_adbc(db, sql):
    db.load([{"i": i} for i in range(10)], "t")
    both(db, sql)


def test_values_that_only_look_like_numbers_stay_text(db):
    db.load([{"zip": "01067"}, {"zip": "10115"}], "t")
    both(db, "select zip from t order by zip")


@pytest.mark.parametrize(
    "values",
    [
        [1, "a", 2.5, None],
        [1, 2.5],
        [2**53 + 1, 0.5],
        ["a", b"b"],
        ["1", 1],
        [1e300, "x"],
    ],
    ids=repr,
)
def test_a_mixed_column_of_sqlite_keeps_the_values_that_were_stored(tmp_path, values):
    with Database(f"sqlite:///{tmp_path / 'a.db'}") as db:
        db.execute("create table t (x)")
        db.execute("insert into t values (:x)", [{"x": value} for value in values])
        fast = db.query("select x from t", arrow=True)
        slow = db.query("select x from t")
        assert fast.rows == slow.rows
        pandas.testing.assert_frame_equal(fast.df(), slow.df())


@pytest.mark.parametrize("late", ["z", 5, 2.5], ids=repr)
def test_a_first_value_after_six_thousand_nulls_is_found(db, late):
    kind = {str: "text", int: "bigint", float: "double precision"}[type(late)]
    db.execute(f"create table t (i int, x {kind})")
    rows = [{"i": i, "x": None} for i in range(6000)] + [{"i": 6000, "x": late}]
    db.load(rows, "t", if_exists="append")
    both(db, "select x from t order by i")


def test_reals_after_six_thousand_integers_are_not_cut(tmp_path):
    with Database(f"sqlite:///{tmp_path / 'a.db'}") as db:
        db.execute("create table t (i int, x)")
        db.execute(
            "insert into t values (:i, :x)",
            [{"i": i, "x": i if i < 6000 else i + 0.5} for i in range(6010)],
        )
        fast = db.query("select x from t order by i", arrow=True, limit=None)
        assert fast.rows == db.query("select x from t order by i", limit=None).rows


@pytest.mark.parametrize(
    "expression",
    [
        "1.10::numeric",
        "now()",
        "'{\"a\": 1}'::jsonb",
        "gen_random_uuid()::text::uuid is not null",
        "array[1, 2]",
        "interval '1 day'",
        "'10:00'::time",
        "1.5::real",
        "'x'::bytea",
        "'ab'::char(5)",
        "true",
        "null::int",
        "'a'::name",
    ],
)
def test_every_type_of_postgresql_is_what_the_driver_gives(fresh_url, expression):
    pytest.importorskip("adbc_driver_postgresql")
    with Database(fresh_url) as db:
        if expression == "now()":
            db.execute("create table n as select now() as now")
            both(db, "select now as x from n")
        else:
            both(db, f"select {expression} as x, 1 as y")


def test_what_adbc_cannot_give_is_done_only_once(fresh_url):
    pytest.importorskip("adbc_driver_postgresql")
    psycopg = pytest.importorskip("psycopg")
    with Database(fresh_url) as db:
        db.execute("create sequence s")
        with psycopg.connect(fresh_url, autocommit=True) as listener:
            listener.execute("listen news")
            db.query("select pg_notify('news', 'x') as x", arrow=True)
            assert len(list(listener.notifies(timeout=0.5))) == 1
        assert db.query("select nextval('s') as x", arrow=True).scalar() == 1


def test_values_are_bound_for_adbc_too(db):
    db.load([{"i": i, "s": f"{i}%"} for i in range(10)], "t")
    for params in ({"a": [1, 2], "s": "1%"}, {"a": [], "s": None}):
        both(db, "select * from t where i in (:a) or s = :s order by i", params)


def test_the_limit_holds_through_adbc(db):
    db.load([{"i": i} for i in range(5000)], "t")
    result = db.query("select i from t order by i", arrow=True, limit=10)
    assert isinstance(result, ArrowResult)
    assert (result.column("i"), result.truncated) == (list(range(10)), True)
    assert "limited to 10 rows" in repr(result)
    assert (len(result.df()), len(result.pl()), len(result.arrow())) == (10, 10, 10)
    exact = db.query("select i from t where i < 10", arrow=True, limit=10)
    assert (len(exact), exact.truncated) == (10, False)
    default = db.query("select i from t", arrow=True)
    assert (len(default), default.truncated) == (5000, False)
    with pytest.raises(UsageError, match="larger than 10 kB"):
        db.query("select i from t", arrow=True, max_bytes=10_000)


def test_a_transaction_sees_its_own_rows_when_arrow_is_asked_for(db):
    db.load([{"i": 1}], "t")
    with db.transaction() as tx:
        tx.execute("insert into t values (2)")
        result = tx.query("select i from t order by i", arrow=True)
        # Through COPY on the same connection; ADBC has one of its own.
        assert isinstance(result, ArrowResult) is (db.kind == "postgresql")
        assert result.df()["i"].tolist() == [1, 2]


def test_a_write_or_an_error_is_the_same_whether_arrow_is_asked_for_or_not(db):
    db.execute("create table t (i int)")
    assert db.query("insert into t values (1)", arrow=True).rowcount == 1
    assert db.query("select count(*) from t").scalar() == 1
    with pytest.raises(QueryRejected):
        db.query("select nowhere from t", arrow=True)
    assert db.query("insert into t values (2) returning i", arrow=True).scalar() == 2


def test_a_change_is_seen_by_the_next_fetch_through_adbc(db):
    db.load([{"i": 1}], "t")
    assert db.query("select i from t", arrow=True).scalar() == 1
    db.load([{"j": "x"}], "t", if_exists="replace")
    assert db.query("select * from t", arrow=True).dicts() == [{"j": "x"}]


def test_no_time_is_left_to_a_slow_query_through_adbc(fresh_url):
    pytest.importorskip("adbc_driver_postgresql")
    with Database(fresh_url) as db:
        with pytest.raises(DeadlineExceeded):
            db.query("select pg_sleep(100)::text as a", arrow=True, timeout=0.5)
        with pytest.raises(DeadlineExceeded):
            db.query("select 1 as a from pg_sleep(100)", arrow=True, timeout=0.5)
        running = "select count(*) from pg_stat_activity where query like '%pg_sleep(100)%' "
        while db.query(f"{running} and state = 'active' and pid <> pg_backend_pid()").scalar():
            pass  # until it is cancelled, or the test's time is over
        assert db.query("select 1 as a", arrow=True).scalar() == 1


def test_an_endless_query_of_sqlite_leaves_no_thread_behind(tmp_path):
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
    with Database(f"sqlite:///{tmp_path / 'a.db'}") as db:
        with pytest.raises(DeadlineExceeded):
            db.query(endless, arrow=True, timeout=0.3)
        assert "agentnb-adbc" not in {thread.name for thread in threading.enumerate()}


INTERRUPTED = """
import sys, threading
from agentnb.core.db import Database
with Database(sys.argv[1]) as db:
    db.query("select 1 as a", arrow=True).df()
    threading.Timer(0.5, print, ["ready"], {"flush": True}).start()
    try:
        db.query("select 1 as a from pg_sleep(100)", arrow=True, timeout=100)
    except KeyboardInterrupt:
        print("interrupted")
    print(db.query("select 42 as a", arrow=True).scalar())
"""


def test_ctrl_c_ends_a_fetch_through_adbc(fresh_url):
    pytest.importorskip("adbc_driver_postgresql")
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, fresh_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out.splitlines()) == (0, ["interrupted", "42"]), err


def test_a_result_holds_nothing_of_the_database(tmp_path):
    path = tmp_path / "a.db"
    with Database(f"sqlite:///{path}") as db:
        db.load([{"i": i} for i in range(10)], "t")
        results = [db.query("select * from t", arrow=arrow, limit=5) for arrow in (True, False)]
        db.execute("drop table t")
    path.unlink()
    for result in results:
        assert result.column("i") == [0, 1, 2, 3, 4]
