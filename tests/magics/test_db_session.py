"""`%db` is a session: one connection for each name, from cell to cell."""

from __future__ import annotations

import asyncio
import threading

import pytest

from agentnb.core.errors import AgentnbError, QueryRejected, UnavailableError, UsageError


@pytest.fixture
def server(run, fresh_url, monkeypatch):
    """Use a PostgreSQL database, behind whose `hub.db` several connections are open."""
    monkeypatch.setenv("SERVER", fresh_url)
    run("%db connect server --env SERVER")
    run(
        "%%db\ncreate schema a; create table t (x text); insert into t values ('PUBLIC');\n"
        "create table a.t (x text); insert into a.t values ('A')"
    )
    crowd(run)


def crowd(run):
    database = run("hub.databases['server']")

    async def queries():
        await asyncio.gather(*(database.aquery("select pg_sleep(0.05)") for _ in range(3)))

    asyncio.run(queries())


@pytest.mark.usefixtures("server")
def test_what_a_cell_sets_holds_for_every_cell_after_it_and_not_for_the_hub(run):
    run("%db set search_path to a")
    run("%db set role pg_read_all_data")
    for _ in range(6):
        assert run("%db select x from t").scalar() == "A"
        assert run("%db select current_user").scalar() == "pg_read_all_data"
        assert run("hub.databases['server'].query('select x from t').scalar()") == "PUBLIC"
    crowd(run)
    assert run("%db select x from t").scalar() == "A"
    run("%db reset")
    assert run("%db select x from t").scalar() == "PUBLIC"
    assert run("%db select current_user").scalar() == "postgres"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("line", [
    "%db --as pandas {}", "%db --as polars {}", "%db --as arrow {}",
    "%%db --as pandas\n{}", "%%db --as pandas\nselect 1;\n{}",
])  # fmt: skip
def test_a_frame_is_of_the_role_and_the_path_of_the_session(run, line):
    run("%db set role pg_read_all_data")
    run("%db set search_path to a")
    for _ in range(3):
        found = run(line.format("select current_user::text as u, x from t"))
        text = found.to_csv() if hasattr(found, "to_csv") else str(found)
        assert "pg_read_all_data" in text
        assert "PUBLIC" not in text
    run("%db begin")
    run("%db set local search_path to public")
    assert "PUBLIC" in str(run(line.format("select x from t")))
    run("%db rollback")
    assert "PUBLIC" not in str(run(line.format("select x from t")))


@pytest.mark.usefixtures("server")
def test_each_name_has_a_session_of_its_own(run):
    run("%db set search_path to a")
    run("%db use default")
    run("%db create temp table mine as select 1 as n")
    assert run("%db select n from mine").scalar() == 1
    assert run("%db -c server select x from t").scalar() == "A"
    run("%db use server")
    assert run("%db select x from t").scalar() == "A"


def test_temporary_tables_attached_files_and_pragmas_last_on_sqlite(run):
    run("%db create temp table mine as select 42 as n")
    run("%db attach 'other.db' as other")
    run("%db pragma foreign_keys = off")
    run("hub.db.query('select 1')")
    for _ in range(3):
        assert run("%db select n from mine").scalar() == 42
        assert run("%db pragma foreign_keys").scalar() == 0
        assert run("hub.db.query('pragma foreign_keys').scalar()") == 1
        assert len(run("%db --as pandas select n from mine")) == 1
    run("%db create table real as select 'real' as x")
    run("%db create temp table real as select 'temp' as x")
    assert run("%db --as pandas select x from real")["x"].tolist() == ["temp"]
    assert run("hub.db.query('select x from real', arrow=True).scalar()") == "real"


def test_load_describe_and_a_transaction_use_the_session(run):
    run("%db create temp table mine (n int)")
    run("rows = [{'n': 1}, {'n': 2}]")
    run("%db load rows mine --append")
    run("%db begin")
    run("%db insert into mine values (3)")
    assert run("%db select count(*) from mine").scalar() == 3
    run("%db rollback")
    assert run("%db select count(*) from mine").scalar() == 2
    run("%%db --tx\ninsert into mine values (3);\ninsert into mine values (4)")
    assert run("%db select count(*) from mine").scalar() == 4
    assert run("%db describe mine").column("column") == ["n"]


def test_the_list_shows_the_session(run):
    assert run("%db list")[0].state == "in use"
    run("%db select 1")
    assert run("%db list")[0].state == "in use, session"
    run("%db create temp table mine (n int)")
    shown = "in use, session with settings, temporary tables or locks"
    assert run("%db list")[0].state == shown
    run("%db reset")
    assert run("%db list")[0].state == "in use"


def test_a_reset_ends_a_transaction_and_sql_that_begins_with_reset_is_sql(run):
    run("%db create table t (n int)")
    run("%db begin")
    run("%db insert into t values (1)")
    assert "new session" in run("%db reset")
    assert run("%db select count(*) from t").scalar() == 0
    with pytest.raises(Exception, match="syntax error"):  # SQLite's: it has no RESET
        run("%db reset role")


@pytest.mark.usefixtures("server")
def test_a_reset_of_the_servers_own_is_sql(run):
    run("%db set role pg_read_all_data")
    run("%db reset role")
    assert run("%db select current_user").scalar() == "postgres"


@pytest.mark.usefixtures("server")
def test_a_lost_session_is_told_once_before_anything_runs(run):
    run("%db set search_path to a")
    pid = run("%db select pg_backend_pid()").scalar()
    run(f"hub.databases['server'].query('select pg_terminate_backend({pid}, 10000)')")
    with pytest.raises(UnavailableError, match="the session of server is gone"):
        run("%db insert into t values ('wrong schema')")
    assert run("%db select count(*) from t").scalar() == 1
    assert run("%db select x from t").scalar() == "PUBLIC"


@pytest.mark.usefixtures("server")
def test_a_cell_waits_for_the_one_that_runs_on_another_thread(run, shell):
    run("%db set search_path to a")
    found = []

    def other():
        found.append(shell.run_line_magic("db", "-c server select pg_sleep(0.3)::text, x from t"))

    thread = threading.Thread(target=other)
    thread.start()
    assert run("%db select x from t").scalar() == "A"
    thread.join()
    assert found[0].column("x") == ["A"]


def test_a_connection_that_is_named_anew_has_a_new_session(run):
    run("%db connect other sqlite:///one.db")
    run("%db create temp table mine (n int)")
    run("%db connect other sqlite:///two.db")
    with pytest.raises(Exception, match="no such table: mine"):
        run("%db select * from mine")
    run("hub.databases.connect('other', 'sqlite:///three.db')")
    run("%db create table three (n int)")
    assert run("hub.databases['other'].tables()").column("name") == ["three"]
    run("%db rm other")
    run("%agentnb reset")
    assert run("%db list")[0].state == "in use"


def test_a_session_for_scripts_is_on_the_hub(run):
    run("with hub.databases['default'].session() as session:\n"
        "    _ = session.execute('create temp table mine as select 3 as n')\n"
        "    found = session.query('select n from mine').scalar()")  # fmt: skip
    assert run("found") == 3
    with pytest.raises(UsageError, match="closed"):
        run("session.query('select 1')")


@pytest.mark.usefixtures("server")
def test_a_connection_that_cannot_be_made_costs_neither_the_former_nor_its_transaction(
    run, shown, monkeypatch
):
    monkeypatch.setenv("GONE", "postgresql://nobody@127.0.0.1:1/none")
    run("%db create temp table mine as select 42 as n")
    run("%db begin")
    run("%db insert into mine values (43)")
    with pytest.raises(UnavailableError):
        run("%db connect server --env GONE")
    run("%db commit")
    assert run("%db select sum(n) from mine").scalar() == 85
    run("%db begin")
    assert "the open transaction of server was rolled back" in shown(
        "%db connect server --env SERVER"
    )
    assert "rolled back" not in shown("%db connect server --env SERVER")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("line", [
    "%db select 1/0", "%db slct 1", "%db select * from tt", "%db describe nothing",
    "%db load ROWS t",
])  # fmt: skip
def test_an_error_after_begin_says_how_the_transaction_ends(run, line):
    run("ROWS = [{'x': 'B'}]")
    run("%db begin")
    run("%db insert into t values ('C')")
    with pytest.raises(AgentnbError) as caught:
        run(line)
    blocked = "describe" not in line and "load" not in line
    assert ("%db rollback" in str(caught.value.hint)) == blocked
    if line == "%db slct 1":
        assert caught.value.hint.startswith("did you mean")
    if blocked:
        for _ in range(2):
            with pytest.raises(QueryRejected, match="is aborted") as caught:
                run("%db select 1")
            assert caught.value.hint.endswith("%db rollback: no statement runs before that")
            assert caught.value.__notes__ == [f"hint: {caught.value.hint}"]
    run("%db rollback")
    assert run("%db select x from t").column("x") == ["PUBLIC"]


def test_an_error_after_begin_on_sqlite_leaves_the_transaction_open(run):
    run("%db begin")
    run("%db create table t as select 1 as n")
    with pytest.raises(QueryRejected) as caught:
        run("%db select 1 from t where")
    assert "rollback" not in str(caught.value.hint)
    run("%db commit")
    assert run("%db select n from t").scalar() == 1


def test_a_name_that_is_a_function_s_own_is_not_assigned_elsewhere_without_a_word(run, shell):
    with pytest.raises(UsageError, match="found is a variable of a function") as caught:
        run("def f():\n    found = None\n    %db found << select 1\n    return found\nf()")
    assert caught.value.hint == "found = %db select 1"
    assert "found" not in shell.user_ns
    run("def g():\n    found = %db select 1\n    return found.scalar()")
    assert run("g()") == 1
    run("for k in range(2):\n    %db found << select :k")
    assert run("found.scalar()") == 1


@pytest.mark.parametrize("line", [
    "%db -n 1 tables", "%db --timeout 3 tables", "%db begin --timeout 3", "%db --tx begin",
    "%db --as pandas load rows t", "%db load rows t -n 3", "%db --explain describe t",
    "%db --all commit", "%db -c default list", "%db -c default use default", "%db list -c default",
    "%db -c default rm default", "%db -c default connect x sqlite://", "%db -c default", "%db -n 3",
    "%db --explain",
])  # fmt: skip
def test_an_option_that_a_verb_would_ignore_is_refused(run, line):
    with pytest.raises(UsageError, match=" takes no --") as caught:
        run(line)
    assert caught.value.hint.startswith("%db ")
    assert len(run("%db --as pandas tables --all")) == 0
    assert len(run("%db --as pandas")) == 1


def test_the_help_of_a_verb_lists_the_options_that_it_takes(shown):
    about = shown("%db help list")
    assert "--as" in about
    assert "--connection" not in about
    assert "--explain" not in about
    assert "--connection" in shown("%db help describe")
