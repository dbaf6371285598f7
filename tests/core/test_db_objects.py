"""Rows as objects, and values as types."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import msgspec
import pydantic
import pytest

from agentnb.core.db import Database
from agentnb.core.errors import UsageError
from agentnb.core.table import Row


@pytest.fixture
def db():
    with Database("sqlite://") as database:
        yield database


class Tick(msgspec.Struct):
    name: str
    active: bool
    day: dt.date | None = None


class Model(pydantic.BaseModel):
    name: str
    active: bool


@dataclass
class Pair:
    name: str
    active: int


TICKS = "select 'a' as name, 1 as active, '2026-01-02' as day union all select 'b', 0, null"


def test_rows_are_objects_of_a_type(db):
    found = db.query(TICKS)
    assert found.objects(Tick) == [
        Tick("a", active=True, day=dt.date(2026, 1, 2)),
        Tick("b", active=False),
    ]
    assert found.objects(Model) == [Model(name="a", active=True), Model(name="b", active=False)]
    assert found.objects(Pair) == [Pair("a", 1), Pair("b", 0)]
    assert db.query("select 1 as n where 1 = 0").objects(Pair) == []


def test_a_row_that_is_not_of_the_type_is_named(db):
    with pytest.raises(UsageError, match="row 2 is not Pair: Expected `int`, got `str`"):
        db.query("select 'a' as name, 1 as active union all select 'b', 'no'").objects(Pair)
    with pytest.raises(UsageError, match="missing required field `active`"):
        db.query("select 'a' as name").objects(Pair)
    with pytest.raises(UsageError, match="row 1 is not Model"):
        db.query("select 'a' as name, 5 as active").objects(Model)
    with pytest.raises(UsageError, match="is not a type that values can be read as"):
        db.query("select 1 as n").objects(object())


def test_a_scalar_is_read_as_a_type(db):
    assert db.query("select 1").scalar(type=bool) is True
    assert db.query("select '2026-01-02 03:04:05'").scalar(type=dt.datetime).hour == 3
    assert db.query("select 2").scalar(type=float) == 2.0
    assert db.query("select null").scalar(type=int) is None
    assert db.query("select 1 where 1 = 0").scalar(type=int) is None
    with pytest.raises(UsageError, match="the value is not int: Expected `int`, got `str`"):
        db.query("select 'many'").scalar(type=int)


def test_a_row_is_a_tuple_with_the_names_of_its_columns(db):
    row = db.query("select 1 as id, 2 as count")[0]
    assert isinstance(row, Row)
    assert (row.id, row.count, row[1], tuple(row)) == (1, 2, 2, (1, 2))
    assert [one.id for one in db.query("select 1 as id")] == [1]
