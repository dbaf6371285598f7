"""Tables of SQLite that an earlier release filled: text becomes numbers and times of UTC."""

from __future__ import annotations

import tarfile
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from agentnb.core.db import Database
from agentnb.core.db.retype import with_numbers
from agentnb.core.errors import NotFoundError, UsageError

# As a load of the release 0.1.0 made them.
OLD = """
create table orders (name TEXT, price TEXT, "at it" datetime, zip TEXT);
insert into orders values ('tea', '9.50', '2026-01-01 09:00:00+05:00', '10115'),
    ('pot', '10.00', '2026-01-01 05:00:00+00:00', '01067'), (null, null, null, null);
"""


@pytest.fixture
def db(tmp_path):
    with Database(f"sqlite:///{tmp_path / 'old.db'}") as database:
        database.script(OLD)
        yield database


def test_text_that_is_a_decimal_or_a_time_becomes_comparable(db):
    found = db.retype("orders")
    assert found.rows == [("price", "text to numbers", 2), ("at it", "times to UTC", 1)]
    assert db.query("select max(price) from orders").scalar() == 10
    assert db.query("select name from orders where price > :p", {"p": Decimal("9.6")}).rows == [
        ("pot",)
    ]
    assert db.query('select * from orders order by "at it" nulls last').rows == [
        ("tea", 9.5, "2026-01-01 04:00:00+00:00", "10115"),
        ("pot", 10, "2026-01-01 05:00:00+00:00", "01067"),
        (None, None, None, None),
    ]
    assert {row.column: row.type for row in db.describe("orders")} == {
        "name": "text",
        "price": "numeric",
        "at it": "datetime",
        "zip": "text",
    }


def test_the_database_of_an_old_home_is_mended(tmp_path):
    archive = Path(__file__).parents[1] / "data" / "home-0.1.0.tar.gz"
    with tarfile.open(archive) as files:
        (tmp_path / "old.db").write_bytes(files.extractfile("home/agentnb.db").read())
    with Database(f"sqlite:///{tmp_path / 'old.db'}") as db:
        before = db.query("select * from everything order by id").dicts()
        found = db.retype("everything")
        assert found.column("column") == ["aware", "price"]
        after = db.query("select * from everything order by id").dicts()
        assert [row["price"] for row in after] == [9.5, 10]
        assert [row["aware"] for row in after] == [
            "2026-03-01 04:00:00+00:00",
            "2026-03-01 05:00:00+00:00",
        ]
        for old, new in zip(before, after, strict=True):
            assert old | {"aware": 0, "price": 0} == new | {"aware": 0, "price": 0}
        assert db.retype("bound").rows == []
        assert db.retype("everything").rows == []


def test_a_second_time_finds_nothing_to_do(db):
    db.retype("orders")
    before = db.query("select * from orders").rows
    again = db.retype("orders")
    assert (len(again), repr(again)) == (0, "nothing to mend in orders")
    assert db.query("select * from orders").rows == before


def test_whole_numbers_are_changed_only_when_they_are_named(db):
    db.script("create table t (code text); insert into t values ('10115'), ('99')")
    found = db.retype("t")
    assert found.rows == []
    assert found.note == "left as text: code; to make numbers of them, name them"
    assert db.retype("t", "code").rows == [("code", "text to numbers", 2)]
    assert db.query("select max(code) from t").scalar() == 10115


def test_a_column_that_is_named_and_holds_something_else_is_refused(db):
    for column, said in (("name", "holds 'tea'"), ("zip", "holds '01067'")):
        with pytest.raises(UsageError, match=said) as caught:
            db.retype("orders", "price", column)
        assert caught.value.hint == "nothing was changed"
    assert db.query("select price from orders").column("price") == ["9.50", "10.00", None]
    with pytest.raises(UsageError, match="orders has no column prices") as caught:
        db.retype("orders", "prices")
    assert "price" in caught.value.hint
    with pytest.raises(NotFoundError, match="no such table: order") as caught:
        db.retype("order")
    assert caught.value.hint == "did you mean orders?"


def test_a_number_that_would_be_rounded_is_left_and_refused_when_named(db):
    db.script("create table t (p text); insert into t values ('0.12345678901234567890123')")
    assert db.retype("t").rows == []
    with pytest.raises(UsageError, match="a value of column 'p' has 23 digits"):
        db.retype("t", "p")


def test_keys_indexes_triggers_defaults_and_row_numbers_are_kept(db):
    db.script(
        """create table log (at text);
        create table item (id integer primary key autoincrement, code text unique not null,
            price varchar(9) not null default '1.50' check (price <> ''), /* a, b */ note);
        create index item_price on item (price);
        create trigger item_change after insert on item begin insert into log values ('x'); end;
        create view dear as select id from item where price > 9;
        insert into item (id, code, price) values (7, 'a', '9.50'), (9, 'b', '10.00');
        delete from item where id = 9; delete from log; insert into item values
            (8, 'c', '2.50', null); delete from log""",
    )
    assert db.retype("item").rows == [("price", "text to numbers", 2)]
    assert db.query("select * from item").rows == [(7, "a", 9.5, None), (8, "c", 2.5, None)]
    assert db.query("select * from dear").rows == [(7,)]
    assert db.query("select count(*) from log").scalar() == 0
    db.execute("insert into item (code) values ('d')")
    assert db.query("select id, price from item where code = 'd'").rows == [(10, 1.5)]
    assert db.query("select count(*) from log").scalar() == 1
    names = db.query("select name from sqlite_master where tbl_name = 'item'").column("name")
    assert {"item", "item_price", "item_change"} <= set(names)
    assert db.query("pragma integrity_check").scalar() == "ok"


def test_a_table_that_others_refer_to_is_refused(db):
    db.script(
        """create table shop (id integer primary key, fee text);
        create table sale (shop int references shop on delete cascade);
        insert into shop values (1, '1.50'); insert into sale values (1)"""
    )
    with pytest.raises(UsageError, match="sale refers to shop"):
        db.retype("shop")
    assert db.query("select fee from shop, sale").rows == [("1.50",)]


def test_a_table_is_mended_all_or_nothing(db):
    with pytest.raises(ZeroDivisionError), db.transaction() as tx:
        assert len(tx.retype("orders")) == 2
        raise ZeroDivisionError
    assert db.query("select price from orders").column("price") == ["9.50", "10.00", None]
    db.execute("create unique index one on orders (cast(price as int))")
    assert db.retype("orders").rows[0] == ("price", "text to numbers", 2)


def test_a_table_is_mended_in_a_session(db):
    with db.session() as session:
        session.execute("create temp table note (a int)")
        assert len(session.retype("orders")) == 2
        assert session.query("select max(price) from orders").scalar() == 10
        assert session.query("select count(*) from note").scalar() == 0


def test_a_value_without_a_declared_type_is_mended_in_its_place(db):
    db.script("create table t (p); insert into t values ('9.50'), (10)")
    assert db.retype("t").rows == [("p", "text to numbers", 1)]
    assert db.query("select p from t where p > 9.4 order by p").column("p") == [9.5, 10]
    assert db.describe("t").column("type") == [""]


def test_a_server_is_told_that_it_has_types_of_its_own(fresh_url):
    with Database(fresh_url) as db, pytest.raises(UsageError, match="retype mends") as caught:
        db.retype("t")
    assert "alter table" in caught.value.hint


@pytest.mark.parametrize(
    ("sql", "made"),
    [
        ("create table t (p TEXT)", "create table t (p numeric)"),
        ("create table t(p)", "create table t(p numeric)"),
        ('create table t ("p" char(3), q)', 'create table t ("p" numeric, q)'),
        ("create table t (q text default ('p, (x'), p text)",
         "create table t (q text default ('p, (x'), p numeric)"),
        ("create table t (p text -- the price\n, primary key (p))",
         "create table t (p numeric, primary key (p))"),
        ("create table t ([p] text collate nocase)", "create table t ([p] numeric collate nocase)"),
        ("create table p (a text)", "create table p (a text)"),
    ],
)  # fmt: skip
def test_only_the_type_of_a_column_is_rewritten(sql, made):
    import sqlite3

    found = with_numbers(sql, {"p"})
    assert found == made
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(found)


def test_a_temporary_table_is_refused_and_the_one_behind_it_stays(tmp_path):
    with Database(f"sqlite:///{tmp_path / 'shadow.db'}") as db, db.session() as session:
        db.execute("create table item (price text)")
        db.execute("insert into item values ('9.50')")
        session.execute("create temp table item as select '1.50' as price")
        with pytest.raises(UsageError, match="item is a temporary table") as caught:
            session.retype("item")
        session.execute(caught.value.hint.rpartition(": ")[2])
        assert len(session.retype("item")) == 1
        assert session.query("select price from item").scalar() == 9.5
