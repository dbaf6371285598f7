"""Which statements may do more than read."""

from __future__ import annotations

import pytest

from agentnb.core.db import Database
from agentnb.core.db.effects import changing
from agentnb.core.errors import UsageError


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("fresh_url")
    with Database(url) as made:
        made.execute("create table t (a integer)")
        yield made


def words(database, sql):
    return [one.sql for one in changing(database.access, sql)]


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from t",
        "with x as (select 1 as a) select a from x; values (1)",
        "explain select 1",
    ],
)
def test_a_query_only_reads(database, sql):
    assert words(database, sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "delete from t",
        "drop table t",
        "create table u as select 1 as a",
        "begin",
        "set x = 1",
        "explain analyze delete from t",
        "truncate t",
        "call p()",
    ],
)
def test_whatever_is_not_known_to_read_is_named(database, sql):
    assert words(database, f"select 1; {sql}; select 2") == [sql]


def test_postgresql_says_which_functions_may_write(fresh_url):
    with Database(fresh_url) as database:
        database.execute("create sequence s")
        found = "select upper('a'), now(); select nextval('s'); select 1; select 2 for update"
        assert words(database, found) == ["select nextval('s')", "select 2 for update"]
        coded = r"""select u&"next\0076al"('s')"""
        assert words(database, coded) == [coded]
        # Comments nest there, and what is in one is no statement.
        assert words(database, "select 1 /* a /* b */ ; drop table t */") == []


@pytest.mark.parametrize("setting", ["on", "off"])
def test_a_function_is_found_by_any_name_that_it_has(fresh_url, setting):
    with Database(fresh_url) as database, database.session() as session:
        session.execute(f"set standard_conforming_strings = {setting}")
        for name in ('"it\'s"', '"a\\b"', '"100%"', "löschen"):
            session.execute(
                f"create function {name}() returns int volatile language sql as 'select 1'"
            )
            sql = f"select {name}()"
            assert words(session, sql) == [sql], name


def test_a_view_of_a_view_that_calls_what_may_write_is_found(fresh_url):
    with Database(fresh_url) as database:
        database.execute("create sequence s")
        database.execute("create view \"in'ner\" as select nextval('s') as n")
        database.execute('create view outermost as select n from "in\'ner"')
        database.execute("create view harmless as select random() as n")
        found = 'select * from "in\'ner"; select 1; table outermost; select * from harmless'
        assert words(database, found) == ['select * from "in\'ner"', "table outermost"]


def test_a_text_without_a_statement_is_an_error(database):
    with pytest.raises(UsageError, match="there is no SQL to run"):
        changing(database.access, " -- nothing\n")
