"""`%db export`: a query, a result or a frame as a file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import FileExists, NotFoundError, TableNotFound, UsageError


def completed(shell, line):
    with provisionalcompleter():
        return [one.text for one in shell.Completer.completions(line, len(line))]


@pytest.fixture
def tasks(run):
    run("%db create table task (id integer, name text)")
    run("%db insert into task values (1, 'plan'), (2, 'a{b'), (3, null)")


@pytest.mark.usefixtures("tasks")
def test_all_rows_of_a_query_are_exported_with_binds_and_options(run, shell):
    shell.user_ns["least"] = 2
    found = run("%db export t.csv select id, name from task where id >= :least")
    assert Path("t.csv").read_text() == "id,name\n2,a{b\n3,\n"
    assert repr(found).startswith("2 rows in t.csv, ")
    with pytest.raises(FileExists) as caught:
        run("%db export t.csv select * from missing")
    assert caught.value.hint.startswith("replace it: overwrite=True (--force)")
    run('%db export --force t.csv --separator ";" --timeout 9 select id, name from task limit 1')
    assert Path("t.csv").read_text() == "id;name\n1;plan\n"
    run("%%db export all.jsonl --timeout 9\nselect id -- the key\nfrom task\nwhere name = '[x'")
    assert Path("all.jsonl").read_text() == ""
    assert run("%db export 'two words.csv' select 1 as n").rows == 1
    with pytest.raises(UsageError, match="--force comes after the SQL") as caught:
        run("%db export t.csv select 1 --force")
    assert caught.value.hint == "options go first: %db export --force ... SQL"


def test_a_bare_line_shows_some_rows_and_an_export_has_all(run):
    many = "with recursive n(i) as (select 1 union all select i + 1 from n limit 2000)"
    run(f"%db create table n as {many} select i from n")
    assert run("%db select * from n").truncated
    assert run("%db export n.csv select * from n").rows == 2000


@pytest.mark.usefixtures("tasks")
def test_results_and_frames_of_the_notebook_are_exported_by_name(run, shell):
    run("%db rows << select id from task where id < 3")
    assert run("%db export rows.csv << rows  # of today").rows == 2
    assert Path("rows.csv").read_text() == "id\n1\n2\n"
    shell.user_ns["df"] = pd.DataFrame({"at": pd.to_datetime(["2026-01-31"]), "n": [1.5]})
    run("%db export df.csv <<df")
    assert Path("df.csv").read_text() == "at,n\n2026-01-31 00:00:00,1.5\n"
    run("%db export df.parquet << df")
    assert pd.read_parquet("df.parquet")["n"].tolist() == [1.5]
    shell.user_ns["path"] = "by-name.csv"
    assert run("%db export :path << df").rows == 1
    with pytest.raises(NotFoundError, match="no variable 'rowz'") as caught:
        run("%db export x.csv << rowz")
    assert "rows" in caught.value.hint
    shell.user_ns["text"] = "x"
    with pytest.raises(UsageError, match="a str is not exported"):
        run("%db export x.csv << text")
    both = run("%%db\nselect 1 as a;\nselect 2 as a")
    shell.user_ns["both"] = both
    with pytest.raises(UsageError, match="2 results"):
        run("%db export x.csv << both")
    assert not Path("x.csv").exists()


@pytest.mark.usefixtures("tasks")
def test_what_is_no_query_says_what_to_type(run):
    for line in (
        "%db export x.csv",
        "%db export x.csv task",
        "%db export x.csv --timeout 1 << task",
    ):
        with pytest.raises(UsageError) as caught:
            run(line)
        assert "%db export x.csv select * from" in caught.value.hint
    with pytest.raises(UsageError, match="only a query"):
        run("%db export x.csv delete from task where id = 1")
    with pytest.raises(TableNotFound, match="no such table: tasc"):
        run("%db export x.csv select * from tasc")
    with pytest.raises(UsageError) as caught:
        run("%db export database 'x'")
    assert "EXPORT DATABASE" in caught.value.hint
    with pytest.raises(UsageError, match="lies in"):
        run("%db export .agentnb/x.csv select 1 as n")
    assert not list(Path().glob("*x.csv*"))


def test_an_export_sees_the_open_transaction_the_session_and_frames(run, shell):
    run("%db begin")
    run("%db create table inside as select 7 as n")
    assert run("%db export n.csv select * from inside").rows == 1
    run("%db rollback")
    shell.user_ns["df"] = pd.DataFrame({"k": [1, 2]})
    assert run("%db export -c duck k.csv from df where k > 1").rows == 1
    assert run("%db -c duck export k.parquet from df").rows == 2
    assert run("%db -c duck select count(*) from 'k.parquet'").scalar() == 2


def test_tab_knows_the_verb_its_options_and_names(run, shell):
    run("%db create table task (id integer)")
    shell.user_ns["rowset"] = 1
    assert "export" in completed(shell, "%db exp")
    assert {"--force", "--separator", "--spreadsheet"} <= set(
        completed(shell, "%db export x.csv --")
    )
    assert "task" in completed(shell, "%db export x.csv select * from ta")
    assert "rowset" in completed(shell, "%db export x.csv << row")


def test_tab_offers_data_files_and_folders(run, shell):
    run("%db create table task (id integer)")
    Path("data").mkdir()
    for name in ("data/days.csv", "days.tsv", "days.py", ".days.csv", "two days.csv"):
        Path(name).touch()
    shell.user_ns["dayframe"] = 1
    assert completed(shell, "%db export da") == ["data/", "days.tsv"]
    assert completed(shell, "%db export --force data/d") == ["data/days.csv"]
    assert {"data/", "days.tsv", "dayframe"} <= set(completed(shell, "%db load da"))


def test_tab_after_a_verb_offers_the_tables_of_the_connection_that_is_named(run, shell):
    run("%db create table task (id integer)")
    run("%db -c duck create table tally (id integer)")
    for line in ("%db -c duck describe ta", "%db describe -c duck ta", "%db profile -c duck ta"):
        assert completed(shell, line) == ["tally"], line
    assert completed(shell, "%db describe ta") == ["task"]
