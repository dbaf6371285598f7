"""The lines of `%db` beside a result: notices, support of a connection, places of errors."""

from __future__ import annotations

import pytest

from agentnb.core.errors import QueryRejected, UsageError

RAISE = "do $$ begin for i in 1..{} loop raise notice 'row %', i; end loop; end $$"


@pytest.fixture
def cell(shell, capsys):
    """Run a cell; return what it printed to stderr."""

    def run_cell(source):
        capsys.readouterr()
        shell.run_cell(source).raise_error()
        return capsys.readouterr().err

    return run_cell


@pytest.fixture
def postgres(run, monkeypatch, fresh_url):
    monkeypatch.setenv("PG_URL", fresh_url)
    run("%db connect pg --env PG_URL")


def test_notices_are_shown_under_the_cell_that_raised_them(cell, shell, postgres):  # noqa: ARG001
    assert cell(f"%db {RAISE.format(2)}") == "NOTICE: row 1\nNOTICE: row 2\n"
    assert cell("%db select 1") == ""
    assert cell(f"x << 1\n%db y << {RAISE.format(1)}".partition("\n")[2]) == "NOTICE: row 1\n"
    assert shell.user_ns["y"].notices == ("NOTICE: row 1",)
    assert cell("%%db\ndrop table if exists a;\ndrop table if exists b").count("NOTICE") == 2
    assert cell(f"%%db --tx\n{RAISE.format(1)}") == "NOTICE: row 1\n"


def test_notices_of_a_cell_that_fails_are_shown(shell, capsys, postgres):  # noqa: ARG001
    capsys.readouterr()
    found = shell.run_cell("%%db\ndrop table if exists a;\nselect 1/0")
    assert isinstance(found.error_in_exec, QueryRejected)
    assert 'NOTICE: table "a" does not exist, skipping\n' in capsys.readouterr().err


def test_a_flood_of_notices_is_cut_and_says_where_the_rest_is(cell, postgres):  # noqa: ARG001
    lines = cell(f"%db {RAISE.format(300)}").splitlines()
    assert len(lines) == 101
    assert "x.notices" in lines[-1]


def test_plain_support_is_said_once_and_listed(cell, run, shell, mariadb_url, monkeypatch):
    monkeypatch.setenv("PLAIN_URL", mariadb_url)
    assert cell("%db connect plain --env PLAIN_URL").count("plain support") == 1
    assert cell("%db select 1") == ""
    assert run("%db list").column("support") == ["full", "plain"]
    for line, what in (
        ("%db --timeout 5 select 1", "time-out"),
        ("df = [{'a': 1}]\n%db load df t", "load"),
    ):
        with pytest.raises(UsageError, match=f"plain support, which has no {what}"):
            run(line)
    assert shell.user_ns["hub"].databases["plain"].support == "plain"


def test_copy_is_a_result_and_a_copy_without_data_is_refused(run, postgres):  # noqa: ARG001
    run("%db create table t as select 1 as a")
    assert run("%db copy t to stdout (format csv, header)").column("line") == ["a", "1"]
    with pytest.raises(UsageError, match="COPY") as caught:
        run("%db copy t from stdin")
    assert "%db load" in caught.value.hint


def test_a_syntax_error_shows_its_place(run):
    with pytest.raises(QueryRejected) as caught:
        run("%db select * form t")
    assert caught.value.message.splitlines()[1:] == ["select * form t", "         ^"]
