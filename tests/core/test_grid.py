"""Grids over results: pages, orders, filters and summaries, in Python."""

from __future__ import annotations

import datetime as dt
import gc
import math
import weakref
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from agentnb.core.db import Result
from agentnb.core.db.result import Preview
from agentnb.core.errors import UsageError
from agentnb.core.grid import Filter, GridColumn, Sort, View, open_grid
from agentnb.core.grid.bars import bins_of

pytestmark = pytest.mark.usefixtures("in_python")


@pytest.fixture
def in_python(monkeypatch):
    monkeypatch.setattr("agentnb.core.grid.opening.has_duckdb", lambda: False)


def grid_of(*values):
    return open_grid(Result(["v"], [(value,) for value in values]))


def column(grid, view=None):
    return [row[0] for row in grid.page(view or View(rows=1000)).rows]


def matched(grid, *filters):
    return grid.page(View(filters=filters)).matched


def test_a_page_shows_cells_as_a_table_does_and_counts_rows():
    rows = [(n, f"name {n}" if n % 2 else None, b"\x00" * n) for n in range(50)]
    grid = open_grid(Result(["id", "name", "raw"], rows))
    page = grid.page(View(offset=21, rows=2))
    assert page.rows == (("21", "name 21", "<21 bytes>"), ("22", None, "<22 bytes>"))
    assert (page.first, page.matched, page.total) == (21, 50, 50)
    assert grid.columns == (
        GridColumn("id", "number"), GridColumn("name", "text"), GridColumn("raw", "other"),
    )  # fmt: skip
    assert grid.page(View(offset=50)).rows == ()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5, Decimal(3), None], "number"),
        ([True, None], "bool"),
        ([dt.date(2026, 1, 1)], "time"),
        ([dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)], "other"),
        ([dt.date(2026, 1, 1), dt.datetime(2026, 1, 2)], "other"),
        ([dt.time(9)], "other"),
        (["a", 1], "other"),
        ([[1], {"a": 1}], "other"),
        ([None, None], "text"),
        ([], "text"),
    ],
)
def test_a_column_has_the_kind_of_all_of_its_values(values, kind):
    assert grid_of(*values).columns[0].kind == kind


@pytest.mark.parametrize("descending", [False, True])
def test_nan_is_sorted_after_the_numbers_and_null_last_in_both_directions(descending):
    grid = grid_of(math.nan, 2, None, math.inf, 1, Decimal("1.5"), -math.inf)
    numbers = ["-inf", "1", "1.5", "2", "inf"]
    expected = numbers[::-1] if descending else numbers
    assert column(grid, View(Sort(0, descending))) == [*expected, "nan", None]


@pytest.mark.parametrize("descending", [False, True])
def test_rows_of_equal_values_stay_in_their_order(descending):
    grid = open_grid(Result(["k", "n"], [(n % 2, n) for n in range(10)]))
    found = grid.page(View(Sort(0, descending))).rows
    for key in "01":
        assert [n for k, n in found if k == key] == sorted(n for k, n in found if k == key)
    assert found[0][0] == str(int(descending))


def test_values_without_an_order_among_them_are_sorted_all_the_same():
    assert len(column(grid_of({"b": 1}, [1], "a", 5, None), View(Sort(0)))) == 5


def test_filters_hold_together():
    grid = open_grid(Result(["n", "name"], [(n, f"x{n}") for n in range(100)]))
    found = grid.page(View(filters=(Filter(0, "between", 10, 19), Filter(1, "contains", "5"))))
    assert (found.rows, found.matched, found.total) == ((("15", "x15"),), 1, 100)
    assert matched(grid, Filter(0, "between", 90), Filter(0, "between", None, 95)) == 6
    assert matched(grid, Filter(1, "equals", "x7")) == 1
    assert matched(grid, Filter(1, "contains", "X7")) == 0


def test_null_and_not_null_divide_the_rows():
    grid = grid_of(1, None, math.nan)
    assert (matched(grid, Filter(0, "null")), matched(grid, Filter(0, "not_null"))) == (1, 2)
    assert matched(grid, Filter(0, "equals", "NaN")) == 1
    assert matched(grid, Filter(0, "between", 0)) == 1  # NaN is in no range


def test_a_number_is_compared_exactly_when_its_text_is_sent():
    grid = grid_of(2**60, 2**60 + 1, Decimal("0.1"))
    assert matched(grid, Filter(0, "equals", str(2**60 + 1))) == 1
    assert matched(grid, Filter(0, "equals", "0.1")) == 1


def test_a_time_with_a_zone_is_compared_as_a_moment():
    grid = grid_of(dt.datetime(2026, 1, 1, 9, tzinfo=dt.timezone(dt.timedelta(hours=5))))
    assert matched(grid, Filter(0, "equals", "2026-01-01T04:00:00+00:00")) == 1
    assert matched(grid, Filter(0, "equals", "2026-01-01 04:00")) == 1


@pytest.mark.parametrize(
    ("value", "one"),
    [
        (1, Filter(1, "equals", 1)),
        (1, Filter(-1, "equals", 1)),
        (1, Filter(column=True, kind="equals", low=1)),
        (1, Filter(0, "like", 1)),
        (1, Filter(0, "equals")),
        (1, Filter(0, "equals", "many")),
        (1, Filter(0, "equals", low=True)),
        (1, Filter(0, "equals", [1])),
        (1, Filter(0, "equals", "9" * 10_000)),
        (1, Filter(0, "equals", "1e999999999")),
        (1, Filter(0, "between")),
        (1, Filter(0, "between", "nan", 5)),
        (1, Filter(0, "equals", 1, 2)),
        (1, Filter(0, "null", 1)),
        (1, Filter(0, "contains", "1")),
        ("a", Filter(0, "equals", 1)),
        ("a", Filter(0, "contains", "\ud800")),
        ("a", Filter(0, "between", "a", "b")),
        (True, Filter(0, "equals", 1)),
        (dt.date(2026, 1, 1), Filter(0, "equals", "soon")),
        (dt.datetime(2026, 1, 1), Filter(0, "equals", "2026-01-01T00:00:00Z")),
        (b"", Filter(0, "equals", "")),
        (1, ("equals", 1)),
        (1, None),
    ],
)
def test_a_filter_that_does_not_fit_its_column_is_refused(value, one):
    with pytest.raises(UsageError) as error:
        grid_of(value).page(View(filters=(one,)))
    assert error.value.hint


@pytest.mark.parametrize(
    "view",
    [
        View(rows=0),
        View(rows=1001),
        View(rows="20"),
        View(offset=-1),
        View(offset=2**70),
        View(sort=Sort(1)),
        View(sort=Sort("0")),
        View(sort=0),
        View(sort=Sort(0, descending="no")),
        View(filters=(Filter(0, "null"),) * 101),
    ],
)
def test_a_view_out_of_range_is_refused(view):
    with pytest.raises(UsageError) as error:
        grid_of(1).page(view)
    assert error.value.hint


def test_whole_numbers_and_days_have_as_many_of_them_in_each_bin():
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(30)]
    for grid in (grid_of(*range(30)), grid_of(*days)):
        (summary,) = grid.summaries()
        assert [bar.count for bar in summary.bars] == [2] * 15
    assert summary.bars[0].label == "2026-01-01 to 2026-01-02"
    assert (summary.low, summary.high) == ("2026-01-01", "2026-01-30")
    (summary,) = grid_of(1, 3, 3).summaries()
    assert [(bar.label, bar.count) for bar in summary.bars] == [("1", 1), ("2", 0), ("3", 2)]
    assert summary.bars[1].filter is None


@pytest.mark.parametrize(
    ("low", "high"),
    [(-1.7e308, 1.7e308), (0.0, 5e-324), (-(2**63), 2**63 - 1), (0.1, 0.1), (1e16, 1e16 + 2)],
)
def test_bins_hold_numbers_of_any_size(low, high):
    bins = bins_of("real", low, high)
    assert bins.of(low) == 0
    assert bins.of(high) == bins.count - 1
    assert grid_of(low, high).summaries()[0].bars[-1].count


def test_categories_are_the_largest_and_the_others():
    names = [f"c{n}" for n in range(30) for _ in range(n + 1)] + ["x" * 500] * 100 + [None]
    (summary,) = grid_of(*names).summaries()
    bars = summary.bars
    assert [bar.label for bar in bars] == [f"c{n}" for n in range(29, 9, -1)] + ["other"]
    assert bars[0].filter == Filter(0, "equals", "c29")
    assert (bars[-1].count, bars[-1].filter) == (100 + sum(range(1, 11)), None)
    assert (summary.nulls, summary.distinct) == (1, 31)


def test_names_of_which_nearly_each_is_another_are_no_categories():
    (summary,) = grid_of(*(f"n{n}" for n in range(10_001))).summaries()
    assert [(bar.label, bar.count, bar.filter) for bar in summary.bars] == [("other", 10_001, None)]
    assert summary.distinct == 10_001


def test_no_rows_and_no_columns_are_a_grid_too():
    with open_grid(Result(["a", "b"], [])) as grid:
        assert grid.page(View(Sort(1), (Filter(0, "null"),))).matched == 0
        assert [one.bars for one in grid.summaries()] == [(), ()]
    with open_grid(Result([], [], returns_rows=False)) as grid:
        assert (grid.page(View()).rows, grid.summaries(), grid.columns) == ((), (), ())


def test_at_most_sixty_columns_are_summarised():
    names = [f'c"{n}' for n in range(500)]
    grid = open_grid(Result(names, [tuple(range(500))]))
    assert len(grid.summaries()) == 60
    assert grid.page(View(Sort(499))).rows[0][499] == "499"


def test_a_cell_that_cannot_be_shown_names_its_type():
    class Odd:
        def __str__(self):
            raise RuntimeError

    found = column(grid_of(10**5000, Odd(), "\x00" * 500, "x" * 500))
    assert found[:2] == ["<an integer of more than 4,300 digits>", "<Odd>"]
    assert max(map(len, found)) <= 200


def test_too_many_rows_for_python_are_paged_but_not_sorted():
    grid = open_grid(Result(["n"], [(n,) for n in range(100_001)]))
    assert grid.page(View(offset=100_000)).rows == (("100000",),)
    assert "duckdb" in grid.refuses
    assert grid.summaries() == ()
    with pytest.raises(UsageError, match="rows are sorted in Python") as error:
        grid.page(View(Sort(0)))
    assert error.value.hint == "%pip install duckdb pyarrow"


def test_a_cut_result_without_its_database_is_paged_but_not_sorted():
    grid = open_grid(Preview(["n"], [(1,), (2,)], statement="select n from t"))
    assert (column(grid), grid.total) == (["1", "2"], 2)
    assert grid.refuses
    with pytest.raises(UsageError) as error:
        grid.page(View(filters=(Filter(0, "null"),)))
    assert "x << SQL" in error.value.hint


def test_many_threads_look_at_a_grid_until_it_is_closed():
    grid = open_grid(Result(["n"], [(n,) for n in range(1_000)]))

    def look(number):
        try:
            while True:
                view = View(Sort(0, descending=number % 2 == 0), (Filter(0, "between", number),))
                assert grid.page(view).matched == 1_000 - number
        except UsageError as error:
            return error.message

    with ThreadPoolExecutor(8) as threads:
        found = [threads.submit(look, number) for number in range(8)]
        grid.page(View())
        grid.close()
        assert {one.result() for one in found} == {"this grid is closed"}


def test_a_closed_grid_has_let_go_of_its_rows():
    class Rows(list):
        pass

    rows = Rows([(1,)])
    reference = weakref.ref(rows)
    grid = open_grid(Result(["n"], rows))
    del rows
    assert reference() is not None
    grid.close()
    gc.collect()
    assert reference() is None


def test_a_closed_grid_says_so():
    grid = grid_of(1)
    grid.close()
    grid.close()
    for call in (lambda: grid.page(View()), grid.summaries, lambda: grid.total):
        with pytest.raises(UsageError, match="closed"):
            call()
    assert repr(grid) == "Grid(1 columns, closed)"
