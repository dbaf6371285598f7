"""Grids over results that were cut: the database sorts and filters all of their rows."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentnb.core.codec.tagged import dump, load
from agentnb.core.db import Database, Result
from agentnb.core.db.result import ArrowResult, Preview
from agentnb.core.errors import AgentnbError, DeadlineExceeded, UsageError
from agentnb.core.grid import Filter, Sort, View, open_grid

COUNTED = (
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < :most) "
    "select i, 'row ' || i as name, i % 3 as i from n -- the end"
)


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def db(request):
    url = {
        "sqlite": lambda: "sqlite://",
        "duckdb": lambda: "duckdb:///:memory:",
        "postgresql": lambda: request.getfixturevalue("postgres_url"),
    }[request.param]()
    with Database(url) as database:
        yield database


@pytest.fixture
def lite():
    with Database("sqlite://") as database:
        yield database


def test_a_cut_result_is_sorted_and_filtered_over_all_rows_with_its_own_values(db):
    cut = db.query(COUNTED, {"most": 500, "secret": "s3cret"}, preview=10)
    grid = open_grid(cut, database=db)
    assert (grid.engine, grid.refuses, grid.total) == ("query", "", 500)
    page = grid.page(View(Sort(0, descending=True), (Filter(1, "contains", "99"),), rows=2))
    assert page.rows == (("499", "row 499", "1"), ("399", "row 399", "0"))
    assert (page.matched, page.total) == (5, 500)
    assert grid.page(View(offset=498)).rows == (("499", "row 499", "1"), ("500", "row 500", "2"))
    bars = grid.summaries((Filter(2, "equals", 1),))[2].bars
    assert [(bar.label, bar.count) for bar in bars] == [("1", 167)]


def test_a_far_page_of_sorted_rows_is_refused_and_an_unsorted_one_is_not(db):
    grid = open_grid(db.query(COUNTED, {"most": 20_000}, preview=10), database=db)
    assert grid.page(View(offset=19_999)).rows[0][0] == "20000"
    assert grid.page(View(Sort(0), offset=9_980)).rows[0][0] == "9981"
    with pytest.raises(UsageError, match="offset must be 0 to 9,980 while") as error:
        grid.page(View(Sort(0), offset=9_981))
    assert "filter first" in error.value.hint


def test_a_cut_result_shows_neither_its_values_nor_those_of_its_caller(lite):
    scope = {"most": 50, "password": "s3cret", "objects": [object()]}
    cut = lite.query(COUNTED, scope, preview=5)
    scope["most"] = 3
    assert cut.origin.params == {"most": 50}
    assert "50" not in repr(cut.origin)
    assert open_grid(cut, database=lite).total == 50


def test_a_cut_result_that_is_kept_elsewhere_is_kept_without_its_values(lite):
    sql = f"select i from ({COUNTED}\n) where :token <> 'another'"
    cut = lite.query(sql, {"most": 50, "token": "s3cret"}, preview=2)
    kept = dump(cut)
    assert b"s3cret" not in kept
    grid = open_grid(load(kept), database=lite)
    assert (grid.engine, len(grid.page(View()).rows)) == ("rows", 2)
    assert open_grid(cut, database=lite).total == 50


def test_a_list_that_is_bound_stays_as_it_was(lite):
    wanted = [1, 2, 3]
    cut = lite.query(f"select i from ({COUNTED}\n) where i in :wanted", {
        "most": 50, "wanted": wanted,
    }, preview=2)  # fmt: skip
    wanted.append(4)
    assert open_grid(cut, database=lite).total == 3


@pytest.mark.parametrize(
    "sql",
    [
        "insert into t values (1) returning n",
        "pragma table_list",
        "with x as (delete from t returning n) select n from x",
        "select 1; select 2",
        "select random() as n union all select 2",
        "select n from t for update",
        "",
    ],
)
def test_what_is_no_select_of_the_same_rows_is_not_asked_again(lite, sql):
    origin = lite.query("select 1 as n union all select 2", preview=1).origin
    grid = open_grid(Preview(["n"], [(1,)], statement=sql, origin=origin), database=lite)
    assert (grid.engine, grid.total, grid.summaries()) == ("rows", 1, ())
    with pytest.raises(UsageError, match=r".") as error:
        grid.page(View(Sort(0)))
    assert error.value.hint == "x << SQL keeps all rows"


def test_a_database_of_plain_support_is_not_asked(lite):
    cut = lite.query(COUNTED, {"most": 50}, preview=5)
    with Database("mysql+pymysql://nobody@127.0.0.1:1/none") as plain:
        grid = open_grid(cut, database=plain)
        assert grid.refuses == "mysql does not sort and filter for a grid: x << SQL keeps all rows"


def test_another_database_is_not_asked(lite):
    cut = lite.query(COUNTED, {"most": 50}, preview=5)
    with Database("sqlite://", name="other") as other:
        assert "default, not from other" in open_grid(cut, database=other).refuses
    assert open_grid(cut).refuses


def test_a_session_is_asked_where_its_temporary_tables_are(lite):
    with lite.session() as session:
        session.execute("create temp table mine as select 1 as n union all select 2")
        cut = session.query("select n from mine", preview=1)
        assert open_grid(cut, database=session).total == 2


def test_a_read_only_connection_is_asked(tmp_path):
    url = f"sqlite:///{tmp_path}/t.db"
    with Database(url) as db:
        db.execute("create table t as select 1 as n union all select 2")
    with Database(url, read_only=True) as db:
        grid = open_grid(db.query("select n from t", preview=1), database=db)
        assert grid.page(View(Sort(0, descending=True))).rows == (("2",), ("1",))


def test_a_page_takes_no_longer_than_a_statement():
    with Database("sqlite://", timeout=0.2) as db:
        cut = db.query(COUNTED, {"most": 100_000_000}, preview=5)
        with pytest.raises(DeadlineExceeded):
            open_grid(cut, database=db).page(View(Sort(0)))


def test_frames_of_a_statement_are_asked_again_while_they_are_there():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"n": range(100)})
    with Database("duckdb:///:memory:") as db:
        cut = db.query("select n from frame", frames={"frame": frame, "more": 1}, preview=5)
        with open_grid(cut, database=db) as grid:
            assert grid.page(View(Sort(0, descending=True))).rows[0] == ("99",)
        del frame, grid
        gc.collect()
        assert "frame is not there" in open_grid(cut, database=db).refuses


def test_values_of_any_type_in_a_column_of_sqlite_are_counted(lite):
    sql = (
        "select 1 as n, 'a' as t union all select 2.5, 'b' union all select 'x', 1 union all "
        "select x'00', null union all select 9e999, x'61' union all select null, 'a'"
    )
    grid = open_grid(lite.query(f"select * from ({sql}) where :yes", {"yes": 1}, preview=2),
                     database=lite)  # fmt: skip
    numbers, texts = grid.summaries()
    assert grid.columns[0].kind == "number"
    assert (numbers.nulls, sum(bar.count for bar in numbers.bars)) == (1, 5)
    assert (numbers.bars[-1].label, numbers.bars[-1].count) == ("other", 2)
    for summary in (numbers, texts):
        for bar in summary.bars:
            if bar.filter:
                assert grid.page(View(filters=(bar.filter,))).matched == bar.count
    assert grid.page(View(filters=(Filter(0, "between", 0, None),))).matched == 3


def test_types_without_an_order_are_sorted_and_summarised_on_postgresql(postgres_url):
    sql = (
        "select * from (values ('{\"a\":1}'::json, array[1], 'a'::char(3), 1::numeric, 1::float4),"
        "(null, null, null, null, null), ('2', array[2], 'b', 'NaN', 0.1), "
        "('2', array[2], 'b', '123456789012345678901234567890.5', 'Infinity')) as v"
    )
    with Database(postgres_url) as db:
        grid = open_grid(db.query(sql, preview=3), database=db)
        for column in range(5):
            assert len(grid.page(View(Sort(column))).rows) == 4
        for summary in grid.summaries():
            assert summary.nulls + sum(bar.count for bar in summary.bars) == 4
            for bar in summary.bars:
                if bar.filter:
                    assert grid.page(View(filters=(bar.filter,))).matched == bar.count
        assert grid.page(View(filters=(Filter(4, "between", 0.1, 0.2),))).matched == 1


ODD = "odd \"name' % :x ; --"


def test_columns_of_one_name_and_of_odd_names_are_told_apart(db):
    twice = f'select 1 as "{ODD.replace(chr(34), chr(34) * 2)}", 2 as a, 3 as a, 4 as "A"'
    cut = db.query(f"{twice} union all select 5, 6, 7, 8", preview=1)
    with open_grid(cut, database=db) as grid:
        assert grid.columns[0].name == ODD
        assert grid.page(View(Sort(2, descending=True))).rows[0] == ("5", "6", "7", "8")
        assert len(grid.summaries()) == 4


def test_arrow_data_of_many_types_are_touched_without_a_copy():
    pa = pytest.importorskip("pyarrow")
    with Database("duckdb:///:memory:") as db:
        result = db.query(
            "select case when i % 4 > 0 then i end as i, i::decimal(20, 2) / 3 as d, [i, i] as l, "
            "{'a': i} as s, i::utinyint as u, (i * 1e300)::double as r, "
            "'2026-01-01'::timestamp_ns + to_microseconds(i) as ns, null as nothing, "
            "i::hugeint * 10000000000000000000000 as h, i::varchar::enum('0','1','2') as e, "
            "interval (i) day as v, uuid() as id, "
            "true as b from range(3) as t(i)", arrow=True,
        )  # fmt: skip
    assert isinstance(result.arrow(), pa.Table)
    with open_grid(result) as grid:
        assert grid.engine == "duckdb"
        for column in range(len(grid.columns)):
            assert len(grid.page(View(Sort(column, descending=True))).rows) == 3
        for summary in grid.summaries():
            assert summary.nulls + sum(bar.count for bar in summary.bars) == 3
            for bar in summary.bars:
                if bar.filter:
                    assert grid.page(View(filters=(bar.filter,))).matched == bar.count
        with pytest.raises(AgentnbError):
            grid.page(View(filters=(Filter(2, "equals", 1),)))


def test_many_threads_look_at_arrow_data_until_the_grid_is_closed():
    grid = open_grid(Result(["n"], [(n,) for n in range(1_000)]))
    assert grid.engine == "duckdb"

    def look(number):
        try:
            while True:
                view = View(Sort(0, descending=number % 2 == 0), (Filter(0, "between", number),))
                assert grid.page(view).rows[0][0] == ("999" if number % 2 == 0 else str(number))
        except UsageError as error:
            return error.message

    with ThreadPoolExecutor(4) as threads:
        found = [threads.submit(look, number) for number in range(4)]
        grid.summaries()
        grid.close()
        assert {one.result() for one in found} == {"this grid is closed"}


def test_rows_of_many_batches_are_told_apart_near_and_far():
    pa = pytest.importorskip("pyarrow")
    batches = [list(range(start + 999, start - 1, -1)) for start in range(0, 12_000, 1_000)]
    numbers = pa.chunked_array([*batches[:5], [], *batches[5:]])
    texts = pa.array([f"row {n.as_py()}" for n in numbers])
    with open_grid(ArrowResult(pa.table({"n": numbers, "name": texts}))) as grid:
        for offset in (0, 1_500, 4_990, 9_980):
            page = grid.page(View(Sort(0), (Filter(1, "contains", "row"),), offset, 20))
            assert page.rows == tuple((str(n), f"row {n}") for n in range(offset, offset + 20))
        assert grid.page(View(filters=(Filter(0, "between", 3_000, 3_001),))).rows == (
            ("3001", "row 3001"), ("3000", "row 3000"),
        )  # fmt: skip
        assert grid.page(View(offset=11_999)).rows == (("11000", "row 11000"),)
        with pytest.raises(UsageError, match="while the rows are sorted"):
            grid.page(View(Sort(0), offset=9_981))


def test_no_rows_and_hundreds_of_columns_are_touched_by_duckdb_too():
    with open_grid(Result(["a", "a"], [])) as grid:
        page = grid.page(View(Sort(1, descending=True), (Filter(0, "not_null"),)))
        assert (grid.engine, page.rows, page.matched) == ("duckdb", (), 0)
        assert [one.bars for one in grid.summaries()] == [(), ()]
    names = [f'"; drop table c{n} --' for n in range(500)]
    with open_grid(Result(names, [tuple(range(500)), tuple(range(1, 501))])) as grid:
        assert grid.page(View(Sort(499, descending=True), rows=1)).rows[0][499] == "500"
        assert len(grid.summaries()) == 60
        assert grid.columns[7].name == names[7]


def test_decimals_wider_than_those_of_duckdb_are_sorted():
    pa = pytest.importorskip("pyarrow")
    from decimal import Decimal

    values = [Decimal(10) ** 45, Decimal(-1), None]
    result = Result(["d"], [(value,) for value in values])
    assert pa.types.is_decimal256(result.arrow().schema[0].type)
    with open_grid(result) as grid:
        assert grid.page(View(Sort(0))).rows[0] == ("-1",)
        assert grid.page(View(filters=(Filter(0, "between", 0),))).matched == 1


def test_values_that_arrow_does_not_have_are_touched_in_python():
    with open_grid(Result(["v"], [(1,), ("a",), (None,)])) as grid:
        assert (grid.engine, grid.refuses) == ("rows", "")
        assert len(grid.page(View(Sort(0))).rows) == 3
