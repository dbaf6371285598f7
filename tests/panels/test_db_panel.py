"""The database panel over a real database; what the browser adds is tested there."""

from __future__ import annotations

import datetime as dt

import pytest

from agentnb.core.workflow import Task
from agentnb.panels.db import DbPanel
from tests.waiting import refresh

PANEL = DbPanel


@pytest.fixture
def customers(hub):
    hub.db.execute("create table customer (id integer, name text)")
    rows = [{"i": n, "n": f"name {n}"} for n in range(1_234)]
    hub.db.execute("insert into customer values (:i, :n)", rows)
    hub.db.execute("create table visit (id integer)")
    return hub.db


@pytest.fixture
def workflow(hub):
    """Make a workflow, and with it agentnb's own tables."""
    hub.workflows.agent("plan")(print)
    return hub.workflows.create("app", [Task("a", agent="plan", timeout=2.5)])


def refreshed(view):
    refresh(view.panel)
    return view


def cells(table):
    return [row for _, row in table.state()["rows"]]


def message(view):
    return view.panel._bar.widget.message


def run(view, sql):
    """Type SQL and press its key, as the page says it."""
    box = "agentnb-submit-0"
    view.panel._bar._received(None, {"do": "submit", "box": box, "text": sql}, None)


def pick(view, table):
    view.tree.on_select(table)
    return refreshed(view)


@pytest.mark.usefixtures("customers")
def test_the_key_runs_the_sql_and_the_title_says_which(view):
    it = view()
    run(it, "select count(*) as many from customer")
    assert cells(it.result) == [["1234"]]
    assert it.result.title.endswith(": select count(*) as many from customer")
    assert it.result.title.startswith("SQL of ")


@pytest.mark.usefixtures("customers")
def test_the_rows_of_a_table_are_never_under_the_sql_of_another(view):
    it = view()
    assert it.result.title == "Table customer"
    assert it.sql.value == 'select * from "customer"'
    run(it, "select 7 as seven")
    pick(it, "visit")
    assert it.result.title == "Table visit"
    assert it.sql.value == 'select * from "visit"'


@pytest.mark.usefixtures("customers")
def test_sql_that_was_not_run_yet_stays_in_the_box(view):
    it = view()
    it.sql.value = "select name from"
    pick(it, "visit")
    assert it.sql.value == "select name from"
    assert it.result.title == "Table visit"


@pytest.mark.usefixtures("customers", "workflow")
def test_agentnbs_own_tables_are_out_of_sight_until_asked_for(view):
    it = view()
    assert it.tree.shown() == ["customer", "visit"]
    assert it.internal.layout.display is None
    it.internal.value = True
    refreshed(it)
    assert it.tree.shown()[:2] == ["customer", "visit"]
    assert "agentnb_task" in it.tree.shown()
    assert it.result.title == "Table customer"


@pytest.mark.usefixtures("workflow")
def test_a_database_without_tables_of_its_user_opens_on_none(view):
    it = view()
    assert it.tree.shown() == []
    assert it.result.title == "Rows"
    assert "%db load" in it.panel._repr_mimebundle_()[0]["text/plain"]


@pytest.mark.usefixtures("workflow")
def test_the_times_of_agentnbs_own_tables_are_times(view):
    it = view()
    it.internal.value = True
    pick(refreshed(it), "agentnb_task")
    columns = [name for name, _ in it.result.state()["cols"]]
    row = it.result.row(it.result.shown()[0])
    created = row[columns.index("created")]
    assert isinstance(created, dt.datetime)
    assert abs(created - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    assert row[columns.index("timeout")] == 2.5


@pytest.mark.usefixtures("customers")
def test_counts_are_grouped_and_columns_are_no_tables(view):
    it = pick(view(), "customer")
    assert cells(it.tree)[0] == ["customer", "table", "1,234"]
    assert len(it.tree) == 4
    assert (it.tree.state()["count"], it.tree.state()["noun"]) == (2, ["table", "tables"])


@pytest.mark.parametrize(
    ("sql", "question"),
    [
        ("delete from customer", "Run: delete from customer (every row)"),
        ("update customer set name = 'x'", "Run: update customer set name = 'x' (every row)"),
        ("delete from customer where id = 1", "Run: delete from customer where id = 1"),
        ("drop table customer", "Run: drop table customer"),
        ("alter table customer add x text", "Run: alter table customer add x text"),
        ("select 1; insert into visit values (1)", "Run: insert into visit values (1)"),
        ("drop table visit; drop table customer", "Run: drop table visit and 1 more"),
        ("with x as (select 1) delete from customer", "Run: with x as (select 1) delete"),
        ("vacuum", "Run: vacuum"),
        ("explain analyze delete from visit", "Run: explain analyze delete from visit"),
        ("pragma user_version = 3", "Run: pragma user_version = 3"),
    ],
)
def test_what_is_more_than_a_look_asks_first(customers, view, sql, question):
    it = view()
    run(it, sql)
    assert it.run.second.description.startswith(question)
    assert customers.query("select count(*) from customer").scalar() == 1234
    run(it, sql)  # the same key is no yes
    assert it.run.asking
    assert customers.query("select count(*) from customer").scalar() == 1234


@pytest.mark.parametrize(
    "sql",
    ["select 1", "with x as (select 1 as a) select * from x", "values (1)", "explain select 1"],
)
@pytest.mark.usefixtures("customers")
def test_a_look_does_not_ask(view, sql):
    it = view()
    run(it, sql)
    assert not it.run.asking
    assert len(it.result) >= 1


def test_a_yes_runs_what_was_asked_whatever_is_typed_meanwhile(customers, view):
    it = view()
    run(it, "delete from customer where id < 10")
    it.sql.value = "drop table customer"
    it.run.second.click()
    assert customers.query("select count(*) from customer").scalar() == 1224
    assert message(it) == {"text": "10 rows affected", "error": False}
    assert it.result.title.endswith("delete from customer where id < 10")


def test_a_question_is_taken_back_by_another_table(customers, view):
    it = view()
    run(it, "drop table visit")
    pick(it, "customer")
    assert not it.run.asking
    it.run.second.click()
    assert customers.query("select count(*) from visit").scalar() == 0


@pytest.mark.usefixtures("customers")
def test_an_error_is_shown_and_the_rows_before_stay(view):
    it = view()
    run(it, "select * from custome")
    assert "did you mean customer?" in message(it)["text"]
    assert it.result.title == "Table customer"
    run(it, "  ")
    assert message(it)["text"].startswith("there is no SQL to run")


def test_duck_is_looked_at_like_any_other_connection(hub, view):
    hub.databases["duck"].script(
        "create table kept as select 7 as a; create view seen as from kept"
    )
    it = view(connection="duck")
    assert it.tree.shown() == ["kept", "seen"]
    run(it, "select a + 1 as b from kept")
    assert cells(it.result) == [["8"]]
    run(it, "from read_text('/etc/passwd')")
    assert "outside of the folders" in message(it)["text"]
    pick(it, "kept")
    assert cells(it.result) == [["7"]]
