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


def test_tables_of_other_connections_and_frames_are_named_completed_and_described(
    run, shell, tmp_path
):
    run("%db create table task (id integer, name text)")
    run("%db insert into task values (1, 'a')")
    shell.user_ns["prices"] = pd.DataFrame({"id": [1], "eur": [5]})
    run(f"%db connect prod sqlite:///{tmp_path / 'prod.db'}")
    run("%db create table orders (id integer, amount integer)")
    sql = "select name, eur from hub.task join Prices using (id) left join prod.orders using (id)"
    assert run(f"%db -c duck {sql}").rows == [("a", 5)]
    assert run(f"%%db -c duck --tx\n{sql}").rows == [("a", 5)]
    assert run("%db -c duck describe prod.orders").column("column") == ["id", "amount"]
    run("%db -c duck create table Kept as select 1 as Amount")
    assert completed(shell, "%db -c duck select * from pri") == ["prices"]
    assert completed(shell, "%db -c duck select * from prod.o") == ["prod.orders"]
    assert completed(shell, "%db -c duck select * from kE") == ["Kept"]
    assert "o.amount" in completed(shell, "%db -c duck select * from prod.orders o where o.am")
    run("%db use duck")
    assert completed(shell, "%db select * from HUB.ta") == ["HUB.task"]
    assert completed(shell, "%db describe ke") == ["Kept"]
    with pytest.raises(NotFoundError, match="no such table: PRICES") as caught:
        run("%db -c prod select * from PRICES")
    assert caught.value.hint.startswith("prices is a frame of this notebook")
