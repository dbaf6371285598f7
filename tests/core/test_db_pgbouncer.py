"""PostgreSQL behind PgBouncer in transaction mode: another session for each transaction."""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentnb.core.db import Database
from agentnb.core.errors import ConfigError, DeadlineExceeded, QueryRejected, UsageError
from agentnb.core.workflow import Orchestrator, Task
from tests import pgbouncer


@pytest.fixture(scope="module", params=["refuses", "ignores"])
def bouncer(request, require, postgres_url):
    """Return the URL of a PgBouncer that refuses options at the start, or drops them."""
    reason = pgbouncer.missing()
    require("pgbouncer", reason is None, reason)
    options = {"ignore_startup_parameters": "options"} if request.param == "ignores" else {}
    with (
        tempfile.TemporaryDirectory(prefix="agentnb-pgbouncer-", dir="/tmp") as folder,
        pgbouncer.server(Path(folder), postgres_url, **options) as url,
    ):
        yield url


@pytest.fixture
def url(bouncer, fresh_url):
    name = fresh_url.partition("?")[0].rpartition("/")[2]
    with Database(fresh_url) as db:
        db.script('create schema "App"; create table "App".t (a int); create table other (b int)')
        db.execute('insert into "App".t values (1), (2), (3)')
    return bouncer.replace("/postgres", f"/{name}")


@pytest.mark.parametrize("query", ["schema=App", "pgbouncer=true&schema=App"])
def test_the_schema_is_found_in_every_statement_on_every_session(url, query):
    with Database(f"{url}?{query}", pool_size=8) as db:
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda n: db.query("select count(*) + :n from t", {"n": n}), range(40))
            assert [one.scalar() for one in found] == [n + 3 for n in range(40)]
        with db.transaction() as tx:
            tx.execute("insert into t values (4)")
            assert tx.query("select count(*) from t").scalar() == 4
        assert db.script("begin; delete from t; rollback; select count(*) from t")[-1].scalar() == 4
        chunks = list(db.stream("select a from t order by a", chunk=3))
        assert [one.column("a") for one in chunks] == [[1, 2, 3], [4]]
        assert db.query("copy t to stdout").column("line") == ["1", "2", "3", "4"]
        assert db.query("select a from t where a = 1", arrow=True).scalar() == 1
        assert asyncio.run(db.aquery("select max(a) from t")).scalar() == 4
        assert dict(db.tables().rows) == {"t": "table", "public.other": "table"}
        assert db.describe("t").column("column") == ["a"]
        db.load([{"a": 7}], "t", if_exists="append")
        assert db.query("select max(a) from t").scalar() == 7


def test_arrow_data_come_from_the_schema_of_the_url_in_the_first_statement_too(url):
    with Database(url) as db:
        db.execute("create table public.t (a int)")
    with Database(f"{url}?schema=App") as db:
        assert db.query("select count(*) as n from t", arrow=True).scalar() == 3
    with Database(f"{url}?schema=App", read_only=True) as db, db.session() as session:
        assert session.query("select count(*) as n from t", arrow=True).scalar() == 3


def delete_in_a_transaction(db):
    with db.transaction() as tx:
        tx.execute("delete from t")


def test_a_read_only_connection_writes_nothing(url):
    with Database(f"{url}?schema=App", read_only=True) as db:
        assert db.query("select count(*) from t").scalar() == 3
        for write in (
            lambda: db.execute("insert into t values (4)"),
            lambda: list(db.stream("insert into t values (4) returning a")),
            lambda: delete_in_a_transaction(db),
            lambda: db.query("copy (delete from t returning a) to stdout"),
            lambda: db.execute("set default_transaction_read_only = off"),
        ):
            with pytest.raises(QueryRejected, match="read"):
                write()
        assert db.query("select count(*) from t").scalar() == 3
    with Database(url) as db:  # nothing of it stays in the sessions that others get
        assert db.query("show default_transaction_read_only").scalar() == "off"
        assert db.query("show search_path").scalar() == '"$user", public'


def test_settings_of_the_url_hold_and_what_is_no_setting_is_refused(url):
    with Database(f"{url}?options=-cjit%3Doff%20--work-mem%3D5MB") as db:
        assert db.query("select current_setting('jit'), current_setting('work_mem')").rows == [
            ("off", "5MB")
        ]
    with pytest.raises(ConfigError, match="PgBouncer") as caught:
        Database(f"{url}?pgbouncer=true&options=-E").query("select 1")
    assert "-cname=value" in caught.value.hint


def test_a_time_out_cancels_and_the_connection_goes_on(url):
    with Database(f"{url}?schema=App") as db:
        for _ in range(3):
            with pytest.raises(DeadlineExceeded):
                db.query("select pg_sleep(30)", timeout=0.3)
            assert db.query("select count(*) from t").scalar() == 3


def test_a_statement_that_needs_no_transaction_says_why_it_has_one(url):
    with Database(f"{url}?schema=App") as db, pytest.raises(QueryRejected) as caught:
        db.execute("vacuum")
    assert "PgBouncer" in caught.value.hint
    with Database(url) as db:
        db.execute("vacuum")
        with pytest.raises(UsageError):
            db.execute("begin")
        assert db.query("select 1 as x").scalar() == 1


def test_what_would_not_last_is_refused_unless_the_pooler_keeps_sessions(url):
    for query in ("", "?pgbouncer=true", "?schema=App"):
        with Database(url + query) as db:
            for sql in ("set role pg_read_all_data", "create temp table mine (a int)"):
                with pytest.raises(UsageError, match="does not last through PgBouncer") as caught:
                    db.execute(sql)
                assert "pgbouncer=false" in caught.value.hint
            with db.transaction() as tx:
                tx.execute("set local role pg_read_all_data")
                assert tx.query("select current_user").scalar() == "pg_read_all_data"
    with Database(f"{url}?pgbouncer=false") as db:
        db.execute("set role pg_read_all_data")


def test_a_server_without_a_pooler_is_known_as_one(fresh_url):
    with Database(fresh_url) as db:
        db.ping()
        assert not db.access.backend.pooler
        assert db.access.backend.uri_for_adbc() is not None


def test_a_workflow_runs_through_it_and_leaves_no_setting_to_other_clients(url):
    with Orchestrator(Database(url), owns_database=True) as flows:
        flows.migrate()
        flows.agent("a")(lambda task: task.name)
        flows.work(concurrency=4)
        tasks = [Task(f"t{n}", agent="a", needs=["t0"] if n else []) for n in range(12)]
        workflow = flows.create("x", tasks, max_parallel=3).wait(30)
        assert len(workflow.result) == 12
        flows.stop()
        names = ("idle_in_transaction_session_timeout", "synchronous_commit", "search_path")
        with Database(url) as other:
            for name in names:
                sql = "select setting = reset_val from pg_settings where name = :name"
                assert other.query(sql, {"name": name}).scalar()
