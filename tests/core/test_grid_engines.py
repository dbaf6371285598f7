"""Grids over results: DuckDB, a database that is asked again, and Python do the same."""

from __future__ import annotations

import datetime as dt
import math
import os
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agentnb.core.db import Database
from agentnb.core.grid import Filter, Sort, View, open_grid
from agentnb.core.grid.details import of_values
from agentnb.core.grid.grid import Grid
from agentnb.core.grid.memory import RowsEngine

EXAMPLES = int(os.environ.get("AGENTNB_TEST_GRIDS", "3"))
TABLE = {
    "sqlite": "create table t (batch integer, n integer, i integer, r real, t text, raw blob)",
    "duckdb": "create table t (batch integer, n integer, i bigint, r double, t varchar, raw blob, "
    "b boolean, day date, moment timestamp, z timestamptz, d decimal(18, 3), tod time)",
    "postgresql": "create table t (batch integer, n integer, i bigint, r float8, t text, "
    "raw bytea, b boolean, day date, moment timestamp, z timestamptz, d numeric, tod time)",
}
NAMES = ("i", "r", "t", "raw", "b", "day", "moment", "z", "d", "tod")
NUMBERS = count(1)

moments = st.datetimes(dt.datetime(1901, 1, 1), dt.datetime(2200, 1, 1))
row = st.tuples(
    st.one_of(st.none(), st.integers(-5, 5), st.integers(-(2**63) + 1, 2**63 - 1)),
    st.one_of(st.none(), st.sampled_from([0.5, -1.5, 3.0, math.nan, math.inf]), st.floats()),
    st.one_of(st.none(), st.sampled_from(["a", "b", "'\"", ""]), st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5
    )),
    st.one_of(st.none(), st.binary(max_size=3)),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.dates(dt.date(2025, 12, 30), dt.date(2026, 1, 4)), st.dates()),
    st.one_of(st.none(), moments),
    st.one_of(st.none(), moments.map(lambda one: one.replace(tzinfo=dt.UTC))),
    st.one_of(st.none(), st.decimals(-10**6, 10**6, places=3)),
    st.one_of(st.none(), st.times()),
)  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "duckdb", "postgresql"])
def db(request, tmp_path_factory):
    url = {
        "sqlite": lambda: f"sqlite:///{tmp_path_factory.mktemp('grid')}/grid.db",
        "duckdb": lambda: "duckdb:///:memory:",
        "postgresql": lambda: request.getfixturevalue("postgres_url"),
    }[request.param]()
    with Database(url) as database:
        database.execute("drop table if exists t")
        database.execute(TABLE[request.param])
        yield database
        database.execute("drop table t")


def filled(db, rows):
    """Return a result that was cut, and that of all rows."""
    batch = next(NUMBERS)
    names = NAMES[:4] if db.kind == "sqlite" else NAMES
    rows = [*rows, rows[0]]  # of a column of SQLite the type is that of the rows that are shown
    marks = ", ".join(f":{name}" for name in names)
    given = [
        {"batch": batch, "n": n, **dict(zip(names, one, strict=False))}
        for n, one in enumerate(rows)
    ]
    db.execute(f"insert into t values (:batch, :n, {marks})", given)
    sql = f"select {', '.join(('n', *names))} from t where batch = :batch order by n -- all"
    cut = db.query(sql, {"batch": batch, "unused": object()}, preview=len(rows) - 1)
    return cut, db.query(sql, {"batch": batch})


def in_python(result):
    details = [
        of_values([one[number] for one in result.rows], (result.kinds or [None] * 99)[number])
        for number in range(len(result.columns))
    ]
    return Grid(RowsEngine(result.columns, details, result.rows), len(result), result.formats)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink rows takes minutes
    derandomize="AGENTNB_TEST_GRIDS" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(row, min_size=1, max_size=40), st.integers())
def test_engines_agree_on_pages_counts_summaries_and_clicks(db, rows, seed):
    cut, whole = filled(db, rows)
    chance = Random(seed)
    expected = in_python(whole)
    for grid in (open_grid(cut, database=db), open_grid(whole)):
        with grid:
            assert grid.engine in {"query", "duckdb", "rows"}
            assert grid.page(View(rows=100)) == expected.page(View(rows=100))
            valued = [
                n for n in range(len(grid.columns)) if any(one[n] is not None for one in whole.rows)
            ]
            assert [grid.columns[n] for n in valued] == [expected.columns[n] for n in valued]
            agree_on_order(grid, expected, chance)
            agree_on_summaries(grid, expected, chance)


def agree_on_order(grid, expected, chance):
    for column in chance.sample(range(len(grid.columns)), 5):
        view = View(Sort(column, chance.random() < 0.5), (), chance.randrange(5), 30)
        assert grid.page(view).rows == expected.page(view).rows, (grid.engine, view)


def agree_on_summaries(grid, expected, chance):
    total = expected.total
    for mine, theirs in zip(grid.summaries(), expected.summaries(), strict=True):
        assert mine.nulls == theirs.nulls
        assert mine.nulls + sum(bar.count for bar in mine.bars) == total
        assert [bar.count for bar in mine.bars] == [bar.count for bar in theirs.bars], mine
        assert (mine.low, mine.high) == (theirs.low, theirs.high)
        if grid.engine == "duckdb":
            assert mine.distinct == theirs.distinct, mine
        clicked = [bar for bar in mine.bars if bar.filter]
        for bar in chance.sample(clicked, min(1, len(clicked))):
            other = Filter(0, "between", chance.randrange(-1, 5), None)
            assert grid.page(View(filters=(bar.filter,))).matched == bar.count, bar
            view = View(Sort(0, descending=True), (bar.filter, other), 0, 100)
            found, wanted = grid.page(view), expected.page(view)
            assert (found.rows, found.matched) == (wanted.rows, wanted.matched), view
    if clicked:
        filters = (bar.filter,)
        assert sum(one.count for one in grid.summaries(filters)[0].bars) == bar.count
