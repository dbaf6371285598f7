"""A rule of a table that is broken is an error of its own, on every database."""

from __future__ import annotations

import pickle

import pytest

from agentnb.core.db import Database
from agentnb.errors import (
    CheckViolation,
    ConstraintViolation,
    ForeignKeyViolation,
    NotNullViolation,
    QueryRejected,
    UniqueViolation,
)

TABLES = (
    "create table team (id integer primary key, name varchar(20) unique)",
    """create table task (
        id integer primary key, team_id integer not null, tries integer,
        constraint some_tries check (tries > 0),
        constraint in_team foreign key (team_id) references team (id))""",
    "insert into team values (1, 'red')",
    "insert into task values (1, 1, 1)",
)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "duckdb"])
def db(request, tmp_path):
    url = {
        "sqlite": lambda: f"sqlite:///{tmp_path / 'x.db'}",
        "postgresql": lambda: request.getfixturevalue("fresh_url"),
        "mariadb": lambda: request.getfixturevalue("mariadb_url"),
        "duckdb": lambda: f"duckdb:///{tmp_path / 'x.duckdb'}",
    }[request.param]()
    with Database(url) as made:
        for statement in TABLES:
            made.execute(statement)
        yield made


@pytest.mark.parametrize(
    ("statement", "kind", "state", "rule"),
    [
        ("insert into team values (1, 'blue')", UniqueViolation, "23505", "team"),
        ("insert into team values (2, 'red')", UniqueViolation, "23505", "name"),
        ("insert into task values (2, 9, 1)", ForeignKeyViolation, "23503", "in_team"),
        ("delete from team where id = 1", ForeignKeyViolation, "23503", "in_team"),
        ("insert into task values (2, null, 1)", NotNullViolation, "23502", "team_id"),
        ("insert into task values (2, 1, 0)", CheckViolation, "23514", "some_tries"),
    ],
)
def test_a_broken_rule_has_a_class_a_state_and_a_name(db, statement, kind, state, rule):
    with pytest.raises(kind) as caught:
        db.execute(statement)
    error = caught.value
    assert (type(error), error.sqlstate) == (kind, state)
    assert isinstance(error, ConstraintViolation)
    assert error.hint
    assert (db.query("select * from team").rows, db.query("select * from task").rows) == (
        [(1, "red")],
        [(1, 1, 1)],
    )
    nameless = db.kind == "duckdb" or (db.kind == "sqlite" and kind is ForeignKeyViolation)
    primary = rule == "team" and error.constraint == "PRIMARY"  # as MariaDB names it
    assert nameless or primary or rule in error.constraint
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.sqlstate, again.constraint) == (kind, state, error.constraint)


def test_in_a_transaction_the_error_is_the_same(db):
    with pytest.raises(UniqueViolation), db.transaction() as tx:
        tx.execute("insert into team values (1, 'blue')")


def test_of_several_rows_the_error_is_the_same(db):
    with pytest.raises(UniqueViolation):
        db.execute("insert into team values (:id, :name)", [{"id": 2, "name": n} for n in "ab"])


def test_in_a_script_the_error_is_the_same(db):
    with pytest.raises(UniqueViolation, match="statement 2") as caught:
        db.script("select 1; insert into team values (1, 'blue')")
    assert caught.value.sqlstate == "23505"


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("selct 1", "42601"),
        ("select (", "42601"),
        ("select missing from team", "42703"),
        ("select missing()", "42883"),
        ("select id from team a, team b", "42702"),
        ("create table team (id integer)", "42P07"),
        ("insert into team (id) values (1, 2)", "42601"),
    ],
)
@pytest.mark.parametrize("db", ["sqlite", "postgresql"], indirect=True)
def test_sqlite_gives_the_states_that_postgresql_gives(db, statement, state):
    with pytest.raises(QueryRejected) as caught:
        db.execute(statement)
    assert caught.value.sqlstate == state


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_value_of_another_type_than_a_strict_table_s_is_refused_as_such(db):
    db.execute("create table strict_one (n integer) strict")
    with pytest.raises(QueryRejected) as caught:
        db.execute("insert into strict_one values ('x')")
    assert caught.value.sqlstate == "42804"
    assert not isinstance(caught.value, ConstraintViolation)


@pytest.mark.parametrize("sql", ["create table team (id integer)", "create view seen as select 1"])
def test_what_exists_already_is_told_with_what_to_do(db, sql):
    db.execute("create view seen as select 2 as n")
    with pytest.raises(QueryRejected, match="already exists") as caught:
        db.execute(sql)
    assert caught.value.hint == "take another name, or drop what has this one first"
    assert caught.value.sqlstate in {"42P07", "42S01"}
