"""`%db -c duck`: frames of the notebook and files beside it as tables."""

from __future__ import annotations

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import NotFoundError, UsageError


def completed(shell, line):
    with provisionalcompleter():
        return [one.text for one in shell.Completer.completions(line, len(line))]


def test_a_frame_of_the_notebook_is_a_table_of_duck(run, shell):
    shell.user_ns["df"] = pd.DataFrame({"k": [1, 2, 3]})
    shell.user_ns["least"] = 2
    assert run("%db -c duck select count(*) from df where k >= :least").scalar() == 2
    frame = run("%db -c duck --as pandas from df")
    assert frame["k"].tolist() == [1, 2, 3]
    run("%db -c duck kept << select sum(k) as total from df")
    assert shell.user_ns["kept"].rows == [(6,)]
    found = run("%%db -c duck --tx\ncreate table t as select * from df;\nselect count(*) from t")
    assert found[1].rows == [(3,)]
    run("%db -c duck begin")
    assert run("%db -c duck select count(*) from t join df using (k)").scalar() == 3
    run("%db -c duck rollback")
    assert run("%db -c duck from kept").rows == [(6,)]


def test_a_variable_of_a_function_is_a_table_there(run, shell):
    run("""
import pandas as pd
def f():
    near = pd.DataFrame({"k": [7]})
    found = %db -c duck select k from near
    return found.scalar()
found = f()
""")
    assert shell.user_ns["found"] == 7


def test_the_default_database_knows_no_frames_and_says_where_they_are(run, shell):
    shell.user_ns["df"] = pd.DataFrame({"k": [1]})
    with pytest.raises(NotFoundError, match="no such table: df") as caught:
        run("%db select * from df")
    assert caught.value.hint == "df is a frame of this notebook: %db -c duck select * from df"


def test_duck_is_used_listed_described_loaded_and_completed(run, shell):
    shell.user_ns["df"] = pd.DataFrame({"k": [1]})
    assert "duck" in completed(shell, "%db -c d")
    assert run("%db").column("name") == ["default"]
    run("%db use duck")
    run("%db load df kept")
    assert [row.name for row in run("%db tables")] == ["kept"]
    assert run("%db describe kept").rows[0][:2] == ("k", "bigint")
    listed = run("%db list").rows
    assert [row[:4] for row in listed][1] == ("duck", "duckdb", "full", "duckdb in memory")
    assert "kept" in completed(shell, "%db select * from ke")
    assert run("%db --explain select * from kept").rows


def test_a_file_is_read_where_the_notebook_is_and_nowhere_else(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("a\n1\n")
    assert run("%db -c duck from 'x.csv'").rows == [(1,)]
    with pytest.raises(UsageError, match="outside of the folders"):
        run("%db -c duck from read_text('/etc/passwd')")


def test_a_table_is_profiled(run, shell):
    shell.user_ns["df"] = pd.DataFrame({"k": [1, 2, 3], "t": ["a", None, "b"]})
    run("%db -c duck create table kept as select * from df")
    found = run("%db profile kept -c duck")
    assert [row[:4] for row in found.rows] == [("k", "bigint", 0, 3), ("t", "varchar", 1, 2)]
    assert run("%db --as pandas profile kept -c duck")["median"].tolist()[0] == 2
