from __future__ import annotations

import json
import time

import pytest

from agentnb.core.db import Result
from agentnb.core.errors import (
    AgentnbError,
    ConfigError,
    NotFoundError,
    QueryRejected,
    RejectedError,
    UniqueViolation,
    UsageError,
)
from agentnb.magics.db import transaction as transaction_module

PASSWORD = "hunter22"


@pytest.fixture
def tasks(run, shell):
    """Make a table of three tasks; return a function that lists their names."""
    run("%db create table task (id integer primary key, name text)")
    run("%db insert into task (name) values ('plan'), ('build'), ('ship')")
    db = shell.user_ns["hub"].db
    return lambda: db.query("select name from task order by id").column("name")


def error_of(run, source, kind=AgentnbError):
    with pytest.raises(kind) as caught:
        run(source)
    return caught.value


def test_agentnbs_own_tables_are_listed_with_all(run, tasks):  # noqa: ARG001
    run("%db create table agentnb_task (id text)")
    found = run("%db tables")
    assert found.column("name") == ["task"]
    assert "%db tables --all" in repr(found)
    assert run("%db tables --all").column("name") == ["agentnb_task", "task"]
    run("%db begin")
    assert run("%db tables").column("name") == ["task"]
    run("%db rollback")


def test_a_line_of_sql_gives_back_its_rows(run, tasks):  # noqa: ARG001
    found = run("%db select id, name from task order by id")
    assert [(row.id, row.name) for row in found] == [(1, "plan"), (2, "build"), (3, "ship")]


def test_a_result_can_be_assigned_by_python_and_by_the_arrow(run, shell):
    run("x = %db select 1 as a")
    assert run("%db y << select 2 as b") is None
    run("%%db z <<\nselect 3 as c")
    run("%db n<<select 4 as d")
    run("%db größe << select 5 as e")
    assert [shell.user_ns[name].scalar() for name in ("x", "y", "z", "n", "größe")] == [
        1,
        2,
        3,
        4,
        5,
    ]


def test_a_shift_in_sql_is_not_an_assignment(run):
    assert run("%db select 1 << 3").scalar() == 8


def test_a_keyword_is_not_assigned_to(run):
    assert "class" in str(error_of(run, "%db class << select 1", UsageError))


def test_a_cell_runs_several_statements_and_gives_back_each(run):
    found = run(
        "%%db\ncreate table a (x);\ninsert into a values (1), (2); -- two\nselect * from a;"
    )
    assert [one.rowcount for one in found][1:] == [2, 2]
    assert found[2].column("x") == [1, 2]


@pytest.mark.parametrize("source", [
    "%%db\n-- first a comment\n/* and\nanother */\nselect 7 as n;",
    "%%db -- a comment\nselect 7 as n",
    "%%db select 7\nas n",
    "%%db\r\nselect 7 as n;\r\n\r\n",
    "%db select 7 as n;",
    "%db select \\\n  7 as n",
])  # fmt: skip
def test_comments_line_ends_and_semicolons_do_not_matter(run, source):
    found = run(source)
    assert isinstance(found, Result)
    assert found.scalar() == 7


def test_a_very_long_line_runs(run):
    numbers = " union all select ".join(map(str, range(400)))
    assert len(run(f"%db --all select * from (select {numbers})")) == 400


def test_values_bind_from_the_notebook_on_a_line_and_in_a_cell(run, tasks):  # noqa: ARG001
    run(
        "from types import SimpleNamespace as S\n"
        "n, ids, job, d = 2, [1, 3], S(id=3), {'a': {'b': 1}}"
    )
    assert run("%db select name from task where id = :n").scalar() == "build"
    assert run("%db select name from task where id = :job.id").scalar() == "ship"
    assert run("%%db\nselect name from task where id = :d.a.b").scalar() == "plan"
    assert run("%%db\nselect name from task where id in :ids order by id").column("name") == [
        "plan",
        "ship",
    ]
    run("été = 9")
    assert run("%db select :été").scalar() == 9
    run("ids = []")
    assert len(run("%db select * from task where id in (:ids)")) == 0


def test_values_bind_from_a_functions_own_names_before_the_notebooks(run):
    run("x, y = 'outer', 'seen'")
    run(
        "def f():\n    x = 'inner'\n"
        "    return get_ipython().run_line_magic('db', 'select :x as x, :y as y')"
    )
    assert run("f()").dicts() == [{"x": "inner", "y": "seen"}]


def test_a_frame_of_a_functions_own_is_loaded(run):
    run(
        "def f():\n    rows = [{'a': 1}]\n"
        "    return get_ipython().run_line_magic('db', 'load rows t')"
    )
    run("f()")
    assert run("%db select * from t").scalar() == 1


def test_an_unbound_name_is_told_with_the_nearest(run):
    run("status = 'ready'")
    error = error_of(run, "%db select :statsu", UsageError)
    assert "nothing is bound to :statsu" in str(error)
    assert error.hint == "did you mean status?"


def test_braces_and_dollars_are_the_sqls_own(run):
    run("x = 'not this'")
    assert run("%db select '{x} $x {{x}} $$' as a").scalar() == "{x} $x {{x}} $$"
    assert run("""%%db\nselect '{"x": "$x"}' as a""").scalar() == '{"x": "$x"}'


def test_a_misspelt_verb_is_sql_whose_error_names_the_verb(run):
    assert error_of(run, "%db tabels", QueryRejected).hint == "did you mean tables?"
    assert error_of(run, "%db descibe task", QueryRejected).hint == "did you mean describe?"
    assert error_of(run, "%db TABLES;", QueryRejected).hint == "the verb is: %db tables"
    assert error_of(run, "%db describe", QueryRejected).hint == "the verb is: %db describe TABLE"


def test_a_misspelt_word_of_sql_is_named_however_long_the_statement(run):
    error = error_of(run, "%db selct a, b, c from t where a = 1 and b = 2", QueryRejected)
    assert error.hint == "did you mean select?"


def test_a_short_option_behind_the_sql_is_told(run):
    assert error_of(run, "%db select 1 -n 5", AgentnbError).hint == "options go first: %db -n 5 SQL"


def test_a_quote_that_is_not_closed_is_told_by_the_database(run):
    assert "unrecognized token: \"'x" in str(error_of(run, "%db select 'x", QueryRejected))


def test_an_error_in_a_cell_has_the_statements_number_and_line(run, tasks):
    error = error_of(
        run, "%%db\ninsert into task (name) values ('x');\n\nselct 1;\n", QueryRejected
    )
    assert str(error).startswith("statement 2 (line 3): ")
    assert tasks()[-1] == "x"


def test_a_word_that_is_near_no_verb_or_option_is_answered_with_those_there_are(run):
    assert "--tx" not in error_of(run, "%db --chart select 1", UsageError).hint.split("options")[0]
    assert error_of(run, "%db --chart select 1", UsageError).hint.startswith("options: -c")
    assert error_of(run, "%workflow fork", UsageError).hint.startswith("verbs: list, show")


def test_a_url_of_another_protocol_is_not_loaded(run):
    error = error_of(run, "%db load ftp://example.com/task.csv task", UsageError)
    assert str(error) == "source must be a file of this machine, got ftp://..."
    assert "%db load URL TABLE" in error.hint
    assert "example.com" not in str(error)  # a URL may hold a token


def test_a_missing_table_is_told_with_the_nearest(run, tasks):  # noqa: ARG001
    assert error_of(run, "%db select * from tsk", NotFoundError).hint == "did you mean task?"
    assert error_of(run, "%db describe tsk", NotFoundError).hint == "did you mean task?"


def test_an_option_behind_the_sql_is_refused_and_not_taken_for_a_comment(run, tasks):
    error = error_of(run, "%db delete from task --tx", UsageError)
    assert "--tx comes after the SQL" in str(error)
    assert error.hint == "options go first: %db --tx delete from task"
    error = error_of(run, "%db select id from task --as pandas", UsageError)
    assert error.hint == "options go first: %db --as pandas select id from task"
    assert list(run(error.hint.partition(": ")[2]).columns) == ["id"]
    assert tasks() == ["plan", "build", "ship"]
    assert run("%db select '--tx' as a -- --all of it").scalar() == "--tx"
    assert run("%%db\nselect 1 as a --all").scalar() == 1


@pytest.mark.parametrize("source", ["%%db tables\nselect 1", "%%db begin\nselect 1"])
def test_a_verb_with_a_body_is_refused(run, source):
    assert "takes no body" in str(error_of(run, source, UsageError))


def test_begin_transaction_is_sql_and_ends_with_a_clear_error(run, tasks):
    error = error_of(run, "%db begin transaction", UsageError)
    assert "rolled back" in str(error)
    assert "%db begin" in error.hint
    run("%db insert into task (name) values ('still possible')")
    assert len(tasks()) == 4


def test_sql_of_comments_only_is_told(run):
    assert "no SQL" in str(error_of(run, "%db -- nothing", UsageError))
    assert "no SQL" in str(error_of(run, "%%db\n-- nothing\n", UsageError))


def test_a_bare_line_shows_a_thousand_rows_unless_told_otherwise(run):
    series = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1500) "
        "select i from n"
    )
    assert "limited to 1,000 rows; there are more" in repr(run(f"%db {series}"))
    assert len(run(f"%db -n 5 {series}")) == 5
    assert len(run(f"%db --all {series}")) == 1500
    assert "exclude" in str(error_of(run, f"%db --all -n 5 {series}", UsageError))


def test_frames_come_as_asked_for_from_sql_and_verbs(run, tasks):  # noqa: ARG001
    for name, module in (("pandas", "pandas"), ("polars", "polars"), ("arrow", "pyarrow")):
        pytest.importorskip(module)
        for source in (f"%db --as {name} select * from task", f"%db tables --as {name}"):
            assert type(run(source)).__module__.startswith(module)
        cell = run(f"%%db --as {name}\ncreate table t{name} (a);\nselect 2 as b;")
        assert type(cell).__module__.startswith(module)


@pytest.mark.parametrize("name", ["pandas", "polars", "arrow"])
def test_a_cell_with_several_selects_gives_a_list_of_frames(run, shown, name):
    several = "select 1 as a;\ncreate table if not exists u (a);\nselect 2 as b union all select 3;"
    frames = run(f"%%db --as {name}\n{several}")
    run(f"%%db --as {name} kept <<\n{several}")
    for found in (frames, run("kept")):
        assert [(len(one), columns_of(one)) for one in found] == [(1, ["a"]), (2, ["b"])]
    both = "select 1 as a union select 2;\nselect 3 as b union select 4"
    assert shown(f"%%db --as {name} -n 1\n{both}").count("limited to 1 rows as asked") == 2


def columns_of(frame):
    return list(getattr(frame, "column_names", None) or frame.columns)


def test_quiet_shows_nothing_and_still_fails(run):
    assert run("%db --quiet select 1") is None
    assert run("%db tables --quiet") is None
    assert run("%%db --quiet\nselect 1") is None
    error_of(run, "%db --quiet selct 1", QueryRejected)


def test_a_timeout_cancels(run):
    forever = (
        "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    )
    error = error_of(run, f"%db --timeout 0.2 {forever}")
    assert "cancelled" in str(error)


def test_explain_runs_nothing(run, tasks):
    plan = run("%db --explain delete from task where id = 1")
    assert len(plan) > 0
    assert len(tasks()) == 3


def test_help_prints(shown):
    assert "connect NAME [URL]" in shown("%db help")
    assert "connect NAME [URL]" in shown("%db --help")
    assert "--env VARIABLE" in shown("%db connect --help")
    assert "--env VARIABLE" in shown("%db help connect")


def test_markup_in_a_value_is_shown_and_never_run(run):
    found = run("""%db select '<script>alert("x")</script>' as "<b>" """)
    html = found._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    assert "<script>" in repr(found)


def test_everything_that_is_shown_has_text_and_html(shell, run, tasks):  # noqa: ARG001
    formatter = shell.display_formatter
    for source in (
        "%db",
        "%db tables",
        "%db describe task",
        "%db select 1",
        "%%db\nselect 1;\nselect 2",
    ):
        data, _ = formatter.format(run(source))
        assert {"text/plain", "text/html"} <= set(data), source
    data, _ = formatter.format(run("%db begin"))
    assert data["text/plain"].startswith("default: transaction open")


# Connections


def test_connect_by_a_variable_of_dotenv_names_it_and_uses_it(run, project):
    (project / ".env").write_text("OTHER_URL=sqlite:///other.db\n")
    run("%agentnb reset")
    found = run("%db connect other --env OTHER_URL")
    assert [(row.name, row.state) for row in found] == [("default", ""), ("other", "in use")]
    run("%db create table here (a)")
    assert run("%db tables").column("name") == ["here"]
    assert run("%db -c default tables").column("name") == []
    run("%db use default")
    assert run("%db tables").column("name") == []
    run("%db rm other")
    assert run("%db list").column("name") == ["default"]


def test_connect_takes_a_url_from_a_name_of_the_notebook(run):
    run(
        "from agentnb.core.redact import Secret\nurl = Secret('sqlite:///o.db')\nplain = 'sqlite:///p.db'"
    )
    run("%db connect one :url")
    run("%db connect two :plain")
    assert run("%db list").column("name") == ["default", "one", "two"]
    # A password there is the notebook's business; that it is not on the line is ours.
    run(f"far = 'postgresql://ada:{PASSWORD}@127.0.0.1:1/x'")
    assert PASSWORD not in str(error_of(run, "%db connect far :far", AgentnbError))
    run("number = 3")
    assert "int" in str(error_of(run, "%db connect three :number", UsageError))


@pytest.mark.parametrize("line", [
    f"connect prod postgresql://ada:{PASSWORD}@host/app",
    f"connect prod postgresql://ada:a/{PASSWORD}@host/app",
    f"connect prod 'postgresql://ada:{PASSWORD}@host/app'",
    f"connect prod postgresql://host/app?password={PASSWORD}",
    f"connect postgresql://ada:{PASSWORD}@host/app",
    f"connect prod redis://:{PASSWORD}@host --read-only",
])  # fmt: skip
def test_a_password_on_a_line_is_refused_and_shown_nowhere(run, shown, project, line):
    error = error_of(run, f"%db {line}", UsageError)
    assert "%db connect NAME --env VARIABLE" in error.hint
    texts = [str(error), str(error.hint), repr(error), *error.__notes__, shown(f"%db {line}")]
    run("%db select 1")
    run("hub.close()")
    texts += [path.read_text() for path in (project / ".agentnb").rglob("*.jsonl*")]
    assert all(PASSWORD not in text for text in texts)


def test_a_failed_connect_leaves_nothing_behind(run):
    error = error_of(run, "%db connect broken postgres://u@127.0.0.1:1/x")
    assert isinstance(error, AgentnbError)
    found = run("%db list")
    assert [(row.name, row.state) for row in found] == [("default", "in use")]


def test_connect_wants_a_url_or_a_variable(run):
    for line in ("connect prod", "connect prod sqlite:// --env X", "connect sqlite://"):
        assert "one of them" in str(error_of(run, f"%db {line}", UsageError))
    error = error_of(run, "%db connect prod --env NO_SUCH_URL", ConfigError)
    assert "NO_SUCH_URL is not set" in str(error)


def test_an_unknown_connection_is_told_with_the_nearest(run):
    run("%db connect archive sqlite://")
    assert error_of(run, "%db use archiv", NotFoundError).hint == "did you mean archive?"
    assert error_of(run, "%db -c archiv select 1", NotFoundError).hint == "did you mean archive?"
    assert "cannot be removed" in str(error_of(run, "%db rm default", UsageError))


def test_a_read_only_connection_does_not_write(run, tasks, project):
    path = project / ".agentnb" / "agentnb.db"
    run(f"%db connect reader sqlite:///{path} --read-only")
    error_of(run, "%db delete from task", RejectedError)
    assert len(tasks()) == 3


# Transactions


def test_tx_keeps_all_or_nothing(run, tasks):
    error = error_of(
        run,
        "%%db --tx\ninsert into task (name) values ('x');\ninsert into task (id) values (1)",
        QueryRejected,
    )
    assert "nothing of this cell was kept" in error.hint
    assert type(error) is UniqueViolation
    assert tasks() == ["plan", "build", "ship"]
    run("%%db --tx\ninsert into task (name) values ('x');\ninsert into task (name) values ('y')")
    assert tasks()[3:] == ["x", "y"]
    assert isinstance(run("%db --tx select 1"), Result)


@pytest.mark.parametrize("word", ["commit", "COMMIT", "rollback", "begin", "end"])
def test_tx_refuses_a_commit_of_the_cells_own(run, tasks, word):
    cell = f"%%db --tx\ninsert into task (name) values ('x');\n{word};\nselct"
    assert word.upper() in str(error_of(run, cell, UsageError))
    assert len(tasks()) == 3


def test_begin_binds_the_cells_that_follow_and_never_the_hub(run, shell, tasks):
    run("%db begin")
    run("%db insert into task (name) values ('inside')")
    run("%%db\ninsert into task (name) values ('also');\nselect 1")
    assert run("%db select count(*) from task").scalar() == 5
    assert len(tasks()) == 3  # which asks hub.db
    assert run("%db list")[0].state == "in use, in a transaction"
    assert shell.user_ns["hub"].db.query("select count(*) from task").scalar() == 3
    run("%db commit")
    assert tasks()[3:] == ["inside", "also"]
    assert run("%db list")[0].state == "in use, session"


def test_rollback_undoes_what_came_after_begin(run, tasks):
    run("%db begin")
    run("%db delete from task")
    run("%db rollback")
    assert len(tasks()) == 3
    for verb in ("commit", "rollback"):
        assert error_of(run, f"%db {verb}", UsageError).hint == "%db begin"


def test_a_second_begin_and_a_tx_inside_are_refused(run):
    run("%db begin")
    assert "already" in str(error_of(run, "%db begin", UsageError))
    assert "--tx inside" in str(error_of(run, "%db --tx select 1", UsageError))


@pytest.mark.parametrize("line", ["COMMIT", "rollback;", "end transaction", "begin immediate"])
def test_sql_does_not_end_a_transaction_behind_begins_back(run, tasks, line):
    run("%db begin")
    run("%db insert into task (name) values ('x')")
    assert "%db begin opened" in str(error_of(run, f"%db {line}", UsageError))
    run("%db savepoint a")
    run("%db insert into task (name) values ('y')")
    run("%db rollback to a")
    run("%db commit")
    assert tasks()[3:] == ["x"]


def test_an_idle_transaction_is_rolled_back_and_its_user_is_told_once(run, tasks, monkeypatch):
    monkeypatch.setattr(transaction_module, "IDLE_SECONDS", 0.2)
    run("%db begin")
    run("%db insert into task (name) values ('lost')")
    until = time.monotonic() + 30
    while "rolled back" not in run("%db list")[0].state and time.monotonic() < until:
        time.sleep(0.05)
    assert run("%db list")[0].state == "in use, rolled back: idle for 0.2 s"
    error = error_of(run, "%db insert into task (name) values ('next')", UsageError)
    assert "idle for 0.2 s" in str(error)
    assert tasks() == ["plan", "build", "ship"]
    run("%db insert into task (name) values ('next')")
    assert tasks()[3:] == ["next"]


def test_a_commit_after_the_idle_time_is_an_error(run, tasks, monkeypatch):
    monkeypatch.setattr(transaction_module, "IDLE_SECONDS", 0.05)
    run("%db begin")
    until = time.monotonic() + 30
    while "rolled back" not in run("%db list")[0].state and time.monotonic() < until:
        time.sleep(0.02)
    assert "idle" in str(error_of(run, "%db commit", UsageError))
    run("%db begin")
    run("%db rollback")
    assert len(tasks()) == 3


def test_a_commit_that_fails_leaves_no_lock_behind(run, tasks):
    run("%db create table sub (task integer references task(id) deferrable initially deferred)")
    run("%db begin")
    run("%db insert into sub values (99)")
    error_of(run, "%db commit", QueryRejected)
    run("%db insert into task (name) values ('free')")
    assert tasks()[3:] == ["free"]
    assert run("%db select count(*) from sub").scalar() == 0


def test_a_reset_rolls_back(run, tasks):  # noqa: ARG001
    run("%db begin")
    run("%db delete from task")
    run("%agentnb reset")
    assert run("%db select count(*) from task").scalar() == 3


# Loading


def test_rows_and_files_are_loaded(run, project):
    (project / "t.json").write_text(json.dumps([{"a": 1, "b": "x"}]))
    run("%db load t.json t")
    run('%db load [{"a": 2, "b": "y"}] t --append')
    assert run("%db select a, b from t order by a").rows == [(1, "x"), (2, "y")]
    run("rows = [{'a': 3}]")
    run("%db load rows t --replace")
    assert run("%db select * from t").dicts() == [{"a": 3}]


def test_a_table_of_an_earlier_release_is_mended(run):
    run("%db create table t (p text, code text)")
    run("%db insert into t values ('9.50', '10')")
    assert "left as text: code" in repr(run("%db retype t"))
    assert run("%db select max(p) from t").scalar() == 9.5
    assert run("%db retype t code").rows == [("code", "text to numbers", 1)]
    assert "has no column c" in str(error_of(run, "%db retype t c", UsageError))


def test_what_cannot_be_loaded_is_told(run):
    run("rows = [{'a': 1}]")
    assert error_of(run, "%db load row t", NotFoundError).hint == "did you mean rows?"
    assert "exclude" in str(error_of(run, "%db load rows t --append --replace", UsageError))
    run("%db load rows t")
    assert isinstance(error_of(run, "%db load rows t"), UsageError)
    assert isinstance(error_of(run, "%db load no.csv t"), NotFoundError)
