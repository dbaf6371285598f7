from __future__ import annotations

import os
import signal
import threading
import warnings

import pytest

from agentnb.core.db import Database, adbc
from agentnb.core.errors import DeadlineExceeded

PID = "select pg_backend_pid() as pid"


@pytest.fixture
def db(fresh_url):
    pytest.importorskip("adbc_driver_postgresql")
    with Database(fresh_url) as database:
        yield database


def fetch(db, sql, **options):
    result = db.query(sql, arrow=True, **options)
    assert type(result).__name__ == "ArrowResult"
    return result


def test_the_next_fetch_uses_the_same_session_again(db):
    first = fetch(db, PID).scalar()
    limited = fetch(db, "select n from generate_series(1, 100000) as n", limit=10)
    assert (len(limited), limited.truncated) == (10, True)
    assert fetch(db, PID).scalar() == first


def test_what_a_statement_makes_of_the_session_is_undone_before_the_next_one(db):
    fetch(db, "select set_config('default_transaction_read_only', 'off', false) as changed")
    fetch(db, "select set_config('search_path', 'pg_catalog', false) as changed")
    setting = "select current_setting('{}') as now"
    assert fetch(db, setting.format("default_transaction_read_only")).scalar() == "on"
    assert "public" in fetch(db, setting.format("search_path")).scalar()


def test_a_session_that_the_server_has_ended_costs_no_error(db):
    pid = fetch(db, PID).scalar()
    assert db.query("select pg_terminate_backend(:pid, 10000)", {"pid": pid}).scalar()
    assert db.query("select 41 + 1 as n", arrow=True).scalar() == 42
    assert fetch(db, PID).scalar() != pid


def test_a_session_that_was_idle_for_long_is_not_trusted(db, monkeypatch):
    pid = fetch(db, PID).scalar()
    monkeypatch.setattr(adbc, "_IDLE", 0)
    assert fetch(db, PID).scalar() != pid


def test_a_forked_child_leaves_the_session_to_its_parent(db):
    pid = fetch(db, PID).scalar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point
        child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        other = 1
        try:
            other = fetch(db, PID).scalar() == pid
            db.close()
        finally:
            os._exit(other)
    assert os.waitpid(child, 0)[1] == 0
    assert fetch(db, PID).scalar() == pid


def test_closing_the_database_ends_the_session(db, fresh_url):
    pid = fetch(db, PID).scalar()
    db.close()
    with Database(fresh_url) as other:
        asked = "select pid from pg_stat_activity where pid = :pid"
        while other.query(asked, {"pid": pid}).rows:
            pass  # the server takes a moment
    assert fetch(db, PID).scalar() != pid


@pytest.mark.parametrize(
    "number",
    ["5", "-5", "0.5", "-0.5", "1e300", "9e999", "-9e999", "' 5'", "'+5'", "'.5'", "' inf'"],
)
def test_a_number_below_text_is_never_given_as_text(tmp_path, number):
    pytest.importorskip("adbc_driver_sqlite")
    with Database(f"sqlite:///{tmp_path}/mixed.db") as mixed:
        mixed.execute("create table t (v)")
        mixed.execute(f"insert into t values ('a'), ({number}), (null)")
        assert (
            mixed.query("select v from t", arrow=True).rows == mixed.query("select v from t").rows
        )


def test_text_that_does_not_look_like_a_number_is_fetched_as_arrow_data(tmp_path):
    pytest.importorskip("adbc_driver_sqlite")
    texts = [{"v": text} for text in ("2026-01-31", "item", "-", "1.2.3", "a 1", "", "5 items")]
    with Database(f"sqlite:///{tmp_path}/texts.db") as db:
        db.execute("create table t (v text)")
        db.execute("insert into t values (:v)", texts)
        assert fetch(db, "select v from t").column("v") == [text["v"] for text in texts]


ENDLESS = (
    "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) as c from n"
)


NESTED = [
    "select * from endless",
    "select count(*) as n from p a, p b",
    "select a.v, b.v as w from p a join p b on b.k = a.k",  # an IN has the same plan
    "select count(*) as n from p a, p b where a.k in (1, 2) and b.k in (1, 2)",
    "select count(*) as n from p a, p b where (b.k = 1 or b.v = 'b') and a.k > 0",
    "select (select max(b.v) from p b where b.k >= a.k) as v from p a",
    "select v from p a where exists (select 1 from p b where b.k > a.k)",
    "select max(v) over (order by k rows between 9 preceding and 9 following) as v from p",
    'select count(*) as n from p as "x USING INTEGER PRIMARY KEY (rowid=?)", p as "CREATE"',
    "select v from many",
]
ENDING = [
    "select 1 as a",
    "select k, v from p where k in (1, 2) order by v",
    "select k, v from p where k = 1 or v = 'b'",
    "select max(k) as k from p group by v",
    "select v from p union all select v from p",
    "select v from p union select 'c' order by 1",
    "select v from p where k > (select min(k) from p)",
    "select v from p where v in (select v from p where k = 2)",
    "select k from seen where k > 1",
]


@pytest.fixture
def plans(tmp_path):
    pytest.importorskip("adbc_driver_sqlite")
    with Database(f"sqlite:///{tmp_path}/p.db") as db:
        db.script(
            "create table p (k integer primary key, v text); create index by_v on p (v);"
            f"insert into p values (1, 'a'), (2, 'b'); create view endless as {ENDLESS};"
            "create view seen as select k from p where v >= 'a'"
        )
        db.execute("create view many as " + " union all ".join(["select v from p"] * 9))
        yield db


@pytest.mark.parametrize("sql", NESTED)
def test_what_may_have_no_end_is_left_to_the_driver_which_has_a_cancel(plans, sql):
    if "endless" in sql:
        with pytest.raises(DeadlineExceeded):
            plans.query(sql, arrow=True, timeout=0.2)
    else:
        found = plans.query(sql, arrow=True)
        assert (type(found).__name__, found.rows) == ("Result", plans.query(sql).rows)
    assert "agentnb-adbc" not in [each.name for each in threading.enumerate()]


@pytest.mark.parametrize("sql", ENDING)
def test_what_reads_tables_one_after_another_is_fetched_as_arrow_data(plans, sql):
    assert fetch(plans, sql).rows == plans.query(sql).rows
