"""A summary of each column, from rows in memory and from each database."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import pytest

from agentnb.core.db import Database, Result
from agentnb.core.errors import NotFoundError, UsageError

ROWS = [
    {
        "n": number if number % 7 else None,
        "r": number / 4,
        "t": f"name {number % 10}" if number % 3 else None,
        "at": dt.datetime(2026, 1, 1) + dt.timedelta(days=number),
        "b": bool(number % 2),
    }
    for number in range(100)
]


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def db(request):
    url = {
        "sqlite": lambda: "sqlite://",
        "duckdb": lambda: "duckdb:///:memory:",
        "postgresql": lambda: request.getfixturevalue("fresh_url"),
    }[request.param]()
    with Database(url) as database:
        database.load(ROWS, "t")
        yield database


def test_a_table_is_summarized_by_its_database_as_its_rows_are(db):
    found = {row["column"]: row for row in db.profile("t").dicts()}
    wanted = {
        row["column"]: row
        for row in Result(list(ROWS[0]), [tuple(one.values()) for one in ROWS]).profile().dicts()
    }
    assert list(found) == list(wanted) == ["n", "r", "t", "at", "b"]
    for name in ("n", "r"):
        for key in ("nulls", "least", "greatest", "q25", "median", "q75"):
            assert found[name][key] == wanted[name][key]
        assert math.isclose(found[name]["mean"], wanted[name]["mean"])
    assert (found["t"]["nulls"], found["t"]["least"], found["t"]["greatest"]) == (
        34, "name 0", "name 9",
    )  # fmt: skip
    assert found["t"]["distinct"] == wanted["t"]["distinct"] == 10
    assert found["t"]["mean"] is found["t"]["q25"] is None
    assert str(found["at"]["least"]).startswith("2026-01-01")
    assert found["b"]["nulls"] == 0
    assert abs(found["at"]["distinct"] - 100) <= (15 if db.kind == "duckdb" else 0)
    assert db.profile("t").note.startswith("of 100 rows")


def test_names_and_values_are_taken_as_they_are(db):
    db.execute('create table "odd ""name" ("a b" integer, "select" varchar(500))')
    assert [row[2] for row in db.profile('odd "name').rows] == [0, 0]
    db.execute('insert into "odd ""name" values (1, :text)', {"text": "x" * 300})
    assert db.profile('odd "name').dicts()[1]["least"] == "x" * 300
    with pytest.raises(NotFoundError):
        db.profile("nowhere")
    with pytest.raises(NotFoundError):
        db.profile("t; drop table t")
    assert db.query("select count(*) from t").scalar() == 100


def test_a_profile_shows_six_digits_and_short_texts_and_says_so():
    rows = [(1 / 3, 1e7 / 3, "a long text of which a few words are shown", n) for n in range(3)]
    found = Result(["x", "y", "t", "n"], rows).profile()
    shown = repr(found).splitlines()
    assert [line.split()[-1] for line in shown[1:3]] == ["0.333333", "3333333"]
    assert "a long text of which a few word…  a long text of which a few word…" in shown[3]
    assert shown[-1] == "of 3 rows; shown with 6 digits and 32 characters, whole in .dicts()"
    assert "0.333333</td>" in found._repr_html_()
    assert "0.33333333" not in found._repr_html_()
    assert found.dicts()[0]["mean"] == 1 / 3
    assert found.dicts()[2]["least"] == rows[0][2]
    # Nothing to say where all of it is seen, and no column is left out.
    wide = Result([f"c{n}" for n in range(60)], [(1,) * 60]).profile()
    assert wide.note == "of 1 row"
    assert "c59" in repr(wide)


def test_columns_of_mixed_values_have_no_mean():
    with Database("sqlite://") as db:
        db.execute("create table t (x)")
        db.execute("insert into t values (1), ('a'), (null)")
        row = db.profile("t").dicts()[0]
        assert (row["nulls"], row["distinct"], row["mean"], row["median"]) == (1, 2, None, None)
    mixed = Result(["x"], [(1,), ("a",), (None,), (math.nan,), ([1],)]).profile().dicts()[0]
    assert (mixed["type"], mixed["nulls"], mixed["distinct"]) == ("int or list or str", 2, 3)
    assert mixed["least"] is mixed["mean"] is None
    exact = Result(["x"], [(Decimal("1.5"),), (Decimal("2.5"),)]).profile().dicts()[0]
    assert (exact["least"], exact["mean"], exact["median"]) == (Decimal("1.5"), 2.0, Decimal("1.5"))


def test_many_columns_are_summarized_and_none_are_refused():
    with Database("duckdb:///:memory:") as db:
        columns = ", ".join(f"{n} as c{n}" for n in range(150))
        db.execute(f"create table wide as select {columns}")
        assert [row["median"] for row in db.profile("wide").dicts()] == list(range(150))
    with pytest.raises(UsageError, match="no columns"):
        Result([], []).profile()
