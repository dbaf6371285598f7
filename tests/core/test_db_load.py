from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid

import pytest

from agentnb.core.db import Database
from agentnb.core.db.sources import read
from agentnb.core.errors import AgentnbError, NotFoundError, QueryRejected, UsageError
from agentnb.core.table import Table
from tests.groups import stable_id


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'load.db'}"
    else:
        url = request.getfixturevalue("fresh_url")
    with Database(url) as database:
        yield database


def kinds(source):
    return dict(read(source).columns)


@pytest.fixture
def csv(tmp_path):
    """Return a function that writes a CSV file."""

    def write(text, name="data.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_text(text, encoding=encoding)
        return path

    return write


FRAME = {
    "id": [1, 2**60, None],
    "name": ["ada 🙂", "", None],
    "score": [0.5, None, -1e300],
    "ok": [True, False, None],
    "day": [dt.date(2026, 1, 31), None, dt.date(1, 1, 1)],
    "at": [dt.datetime(2026, 1, 31, 10, 0, 0, 5), None, dt.datetime(1999, 12, 31)],
    "raw": [b"\0\xff", b"", None],
}
STORED = {
    "postgresql": list(zip(*FRAME.values(), strict=True)),
    "sqlite": [
        (1, "ada 🙂", 0.5, 1, "2026-01-31", "2026-01-31 10:00:00.000005", b"\0\xff"),
        (2**60, "", None, 0, None, None, b""),
        (None, None, -1e300, None, "0001-01-01", "1999-12-31 00:00:00", None),
    ],
}


@pytest.mark.parametrize("kind", ["dicts", "pandas", "polars", "arrow", "parquet", "table"])
def test_every_kind_of_frame_stores_the_same_values(db, tmp_path, kind):
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table(FRAME)
    if kind == "pandas":
        pandas = pytest.importorskip("pandas")
        source = table.to_pandas(types_mapper=pandas.ArrowDtype)
    elif kind == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        source = tmp_path / "data.parquet"
        parquet.write_table(table, source)
    else:
        rows = list(zip(*FRAME.values(), strict=True))
        source = {
            "dicts": lambda: [dict(zip(FRAME, row, strict=True)) for row in rows],
            "polars": lambda: pytest.importorskip("polars").DataFrame(FRAME),
            "arrow": lambda: table,
            "table": lambda: Table(tuple(FRAME), rows),
        }[kind]()
    result = db.load(source, "t")
    assert (result.rowcount, repr(result)) == (3, "3 rows affected")
    assert db.query("select * from t").rows == STORED[db.kind]


def test_a_result_loads_back_into_another_table(db):
    db.load([{"a": 1, "b": "x"}, {"a": 2, "b": None}], "one")
    db.load(db.query("select * from one order by a"), "two")
    assert db.query("select * from two order by a").rows == [(1, "x"), (2, None)]


def test_an_empty_result_makes_an_empty_table(db):
    db.load(Table(("a", "b"), []), "t")
    assert db.query("select * from t").columns == ("a", "b")


def test_a_loaded_table_has_types_to_go_on_with(db):
    db.load([{"i": 1, "r": 0.5, "s": "x", "b": True, "d": dt.date(2026, 1, 31)}], "t")
    types = {row.column: row.type for row in db.describe("t")}
    assert types["i"] == "bigint"
    assert types["s"] == "text"
    assert types["d"] == "date"


def test_missing_values_of_every_library_are_null(db):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "f": [1.5, float("nan")],
            "i": pandas.array([1, None], dtype="Int64"),
            "t": [pandas.Timestamp("2026-01-31"), pandas.NaT],
            "s": ["x", None],
            "c": pandas.Categorical(["y", None]),
        }
    )
    db.load(frame, "t")
    db.load(frame.astype(object).to_dict("records"), "t", if_exists="append")
    rows = db.query("select * from t where s is null").rows
    assert rows == [(None,) * 5] * 2


def test_a_time_without_a_value_is_null_when_it_is_bound(db):
    pandas = pytest.importorskip("pandas")
    assert db.query("select cast(:t as text)", {"t": pandas.NaT}).scalar() is None


def test_numbers_of_numpy_in_dictionaries_stay_numbers(db):
    numpy = pytest.importorskip("numpy")
    row = {"i": numpy.int64(5), "f": numpy.float32(0.5), "b": numpy.bool_(True)}  # noqa: FBT003
    db.load([row], "t")
    assert db.query("select * from t").rows == [(5, 0.5, True)]


def test_nested_values_are_stored_as_json(db):
    value = {"b": [1, None, {"c": "é"}]}
    db.load([{"a": value}, {"a": None}, {"a": [1]}], "t")
    found = db.query("select a from t").column("a")
    assert [json.loads(one) if isinstance(one, str) else one for one in found] == [value, None, [1]]


def test_integers_too_big_for_a_database_are_kept_exactly_or_refused(db):
    big = 10**30 + 1
    if db.kind == "sqlite":
        with pytest.raises(UsageError, match="column 'n' has 31 digits") as caught:
            db.load([{"n": 5}, {"n": big}], "t")
        assert "str(value)" in caught.value.hint
        assert len(db.tables()) == 0
        db.load([{"n": "5"}, {"n": str(big)}], "t")
    else:
        db.load([{"n": 5}, {"n": big}], "t")
    assert [int(n) for n in db.query("select n from t").column("n")] == [5, big]


def test_decimals_and_uuids_are_kept_exactly(db):
    value = uuid.UUID(int=7)
    db.load([{"d": decimal.Decimal("0.10"), "u": value}], "t")
    row = db.query("select * from t")[0]
    assert (decimal.Decimal(str(row.d)), str(row.u)) == (decimal.Decimal("0.10"), str(value))


def test_a_column_of_mixed_objects_is_stored_as_text(db):
    pandas = pytest.importorskip("pandas")
    db.load(pandas.DataFrame({"x": [1, "a", None]}), "t")
    assert db.query("select x from t").column("x") == ["1", "a", None]


def test_an_index_with_a_name_is_loaded_and_a_row_number_is_not(db):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"k": ["a", "a", "b"], "l": [1, 2, 1], "n": [1, 2, 3]})
    db.load(frame[frame.n > 1], "plain")
    assert db.query("select * from plain").columns == ("k", "l", "n")
    db.load(frame.groupby(["k", "l"]).sum(), "grouped")
    assert db.query("select * from grouped").columns == ("k", "l", "n")
    db.load(frame.groupby("k").n.sum(), "series")
    assert db.query("select * from series order by k").rows == [("a", 3), ("b", 3)]


def test_categories_are_loaded_as_their_values(db):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"n": pandas.Categorical([10, 20, 10]), "s": pandas.Categorical(list("aba"))}
    )
    db.load(frame, "t")
    assert db.query("select n, s from t").rows == [(10, "a"), (20, "b"), (10, "a")]


@pytest.mark.parametrize("name", ["a%b", "x:y", "(n)", 'q"q', "ß ü", "select", "%(a)s", "a.b", "?"])
def test_any_name_of_a_column_or_a_table_is_loaded(db, name):
    db.load([{name: 1}], name)
    db.load([{name: 2}], name, if_exists="append")
    assert db.tables().column("name") == [name]
    assert db.describe(name).column("column") == [name]
    db.load([{name: 3}], name, if_exists="replace")
    quoted = name.replace('"', '""')
    assert db.query(f'select * from "{quoted}"').rows == [(3,)]


def test_a_table_that_exists_is_left_alone_unless_told_otherwise(db):
    db.load([{"a": 1}], "t")
    with pytest.raises(UsageError, match="the table t exists") as caught:
        db.load([{"a": 2}], "t")
    assert "if_exists='append'" in caught.value.hint
    db.load([{"a": 2}], "t", if_exists="append")
    assert db.query("select a from t order by a").column("a") == [1, 2]
    db.load([{"b": "x"}], "t", if_exists="replace")
    assert db.query("select * from t").dicts() == [{"b": "x"}]
    with pytest.raises(UsageError, match="if_exists must be fail, append or replace, got 'drop'"):
        db.load([{"a": 2}], "t", if_exists="drop")


def test_a_load_that_fails_leaves_the_old_table_as_it_was(db):
    rows = [{"a": 2, "s": str(number)} for number in range(7000)] + [{"a": 3, "s": "\ud800"}]
    for mode in ("replace", "append"):
        db.load([{"a": 1, "s": "x"}], "t", if_exists="replace")
        with pytest.raises(UsageError, match="surrogates"):
            db.load(rows, "t", if_exists=mode)
        assert db.query("select * from t").rows == [(1, "x")]
    with pytest.raises(UsageError, match="surrogates"):
        db.load(rows, "new")
    assert db.tables().column("name") == ["t"]


def test_a_load_that_fails_inside_a_transaction_leaves_it_usable(db):
    db.execute("create table t (a int primary key)")
    with db.transaction() as tx:
        tx.load([{"a": 1}], "t", if_exists="append")
        with pytest.raises(QueryRejected):
            tx.load([{"a": 2}, {"a": 1}], "t", if_exists="append")
        tx.load([{"a": 3}], "t", if_exists="append")
    assert db.query("select a from t order by a").column("a") == [1, 3]


def test_a_load_inside_a_transaction_is_rolled_back_with_it(db):
    with pytest.raises(ZeroDivisionError), db.transaction() as tx:
        tx.load([{"a": 1}], "t")
        raise ZeroDivisionError
    assert len(db.tables()) == 0


def test_columns_that_a_table_does_not_have_are_refused_with_those_it_has(db):
    db.load([{"a": 1, "b": 2}], "t")
    with pytest.raises(UsageError, match="t has no column c, d") as caught:
        db.load([{"a": 1, "c": 2, "d": 3}], "t", if_exists="append")
    assert caught.value.hint == "its columns: a, b"
    db.load([{"b": 5}], "t", if_exists="append")
    assert db.query("select * from t where b = 5").rows == [(None, 5)]


def test_rows_are_fitted_to_the_columns_of_a_table_that_was_designed(db, csv):
    db.execute(
        "create table t (zip varchar(10), born date, n numeric(9,2), note text, flag boolean)"
    )
    db.load(
        csv("zip,born,n,note,flag\n10115,2026-01-31,5,7,true\n01067,1999-12-31,0.50,x,false\n"),
        "t",
        if_exists="append",
    )
    db.load(csv("zip,born,n,note\n10117,2026-01-31,5,2026-02-01\n"), "t", if_exists="append")
    db.load([{"born": "2026-01-31", "note": {"a": 1}}], "t", if_exists="append")
    rows = db.query("select cast(zip as text), cast(born as text), note from t").rows
    assert rows == [
        ("10115", "2026-01-31", "7"),
        ("01067", "1999-12-31", "x"),
        ("10117", "2026-01-31", "2026-02-01"),
        (None, "2026-01-31", '{"a": 1}'),
    ]


def test_a_schema_before_the_name_is_used_where_there_are_schemas(fresh_url):
    with Database(fresh_url) as db:
        db.execute("create schema app")
        db.load([{"a": 1}], "app.t")
        db.load([{"a": 2}], "app.t", if_exists="append")
        assert db.query("select * from app.t").rows == [(1,), (2,)]
        db.load([{"a": 3}], "app.t", if_exists="replace")
        assert db.tables().column("name") == ["app.t"]


def test_html_in_a_file_stays_text_and_is_escaped_when_shown(db, csv):
    db.load(csv("x\n<img src=x onerror=alert(1)>\n"), "t")
    result = db.query("select x from t")
    assert result.scalar() == "<img src=x onerror=alert(1)>"
    assert "<img" not in result._repr_html_()


@pytest.mark.parametrize(
    ("values", "kind", "read_as"),
    [
        (["1", "-2", ""], "integer", [1, -2, None]),
        (["1", "2.5", "1e3"], "real", [1.0, 2.5, 1000.0]),
        (["007", "1"], "text", ["007", "1"]),
        (["1", "007"], "text", ["1", "007"]),
        (["1.5", "01.5"], "text", ["1.5", "01.5"]),
        (["+49301234"], "text", ["+49301234"]),
        (["1_000"], "text", ["1_000"]),
        (["1", "x", "2"], "text", ["1", "x", "2"]),
        (["12345678901234567890"], "text", ["12345678901234567890"]),
        (["9007199254740993", "0.5"], "text", ["9007199254740993", "0.5"]),
        (["0.5", "9007199254740993"], "text", ["0.5", "9007199254740993"]),
        (["1e999"], "text", ["1e999"]),
        (["nan", "inf"], "text", ["nan", "inf"]),
        (["5 "], "text", ["5 "]),
        (["٣"], "text", ["٣"]),
        (["true", "False", ""], "boolean", [True, False, None]),
        (["true", "1"], "text", ["true", "1"]),
        (["2026-01-31", ""], "date", [dt.date(2026, 1, 31), None]),
        (["2026-W05-1"], "text", ["2026-W05-1"]),
        (["2026-02-30"], "text", ["2026-02-30"]),
        (["2026-01-31 10:00", "2026-01-31T10:00:05"], "datetime", None),
        (["2026-01-31T10:00:00+02:00", "2026-01-31T10:00:00"], "text", None),
        (["2026-01-31T10:00:00+02:00", ""], "datetimetz", None),
        (["2026-01-31", "5"], "text", ["2026-01-31", "5"]),
        (["", ""], "text", [None, None]),
        (["-", "."], "text", ["-", "."]),
    ],
)
def test_the_type_of_a_csv_column_is_the_narrowest_that_loses_nothing(csv, values, kind, read_as):
    source = read(csv("k,x\n" + "".join(f"k,{value}\n" for value in values)))
    assert source.columns[1] == ("x", kind)
    rows = [row[1] for row in source.rows]
    assert rows == (read_as or rows)
    assert len(rows) == len(values)


def test_a_csv_file_is_read_as_spreadsheets_write_it(db, csv):
    text = 'id,"name, full"\r\n1,"O\'Neil ""Bob""\r\nsecond line"\r\n\r\n2,naïve 🙂\r\n'
    db.load(csv(text, encoding="utf-8-sig"), "t")
    result = db.query("select * from t order by id")
    assert result.columns == ("id", "name, full")
    assert result.rows == [(1, 'O\'Neil "Bob"\r\nsecond line'), (2, "naïve 🙂")]


def test_a_csv_file_with_a_header_alone_makes_an_empty_table(db, csv):
    assert db.load(csv("a,b\n"), "t").rowcount == 0
    assert db.query("select * from t").columns == ("a", "b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n3\n", "line 3: 1 values under 2 columns"),
        ("a,b\n1,2,3\n", "line 2: 3 values under 2 columns"),
        ("a,a\n1,2\n", "columns without a name of their own: 'a'"),
        ("a,\n1,2\n", "columns without a name of their own: ''"),
        ("", "no columns"),
    ],
)
def test_a_csv_file_that_is_broken_is_refused_and_nothing_is_made(db, csv, text, said):
    with pytest.raises(UsageError, match=said):
        db.load(csv(text), "t")
    assert len(db.tables()) == 0


def test_a_file_in_another_encoding_is_an_agentnb_error(db, csv):
    with pytest.raises(UsageError, match="cannot be read"):
        db.load(csv("a\nnaïve\n", encoding="latin-1"), "t")


def test_json_and_json_lines_are_loaded(db, csv):
    rows = [{"a": 1, "b": {"c": [1]}}, {"a": None, "d": "x\u2028y\x85z"}]
    db.load(csv(json.dumps(rows), "rows.json"), "one")
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n"
    db.load(csv(lines, "rows.jsonl"), "two")
    db.load(csv('{"a": 1}', "object.json"), "three")
    assert db.query("select d from two where d is not null").scalar() == "x\u2028y\x85z"
    assert db.query("select * from one").dicts() == db.query("select * from two").dicts()
    assert db.query("select * from three").dicts() == [{"a": 1}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.json", "[1, 2]"),
        ("x.json", '{"a": '),
        ("x.jsonl", '{"a": 1}\nnot json'),
        ("x.parquet", "not parquet"),
        ("x.xlsx", ""),
    ],
)
def test_a_file_that_holds_something_else_is_refused(db, csv, name, text):
    with pytest.raises(UsageError):
        db.load(csv(text, name), "t")
    assert len(db.tables()) == 0


def test_a_file_that_is_not_there_is_not_found(db, tmp_path):
    with pytest.raises(NotFoundError, match="no file"):
        db.load(tmp_path / "missing.csv", "t")


@pytest.mark.parametrize("source", [5, None, [1, 2], {"a": [1]}, [], object()], ids=stable_id)
def test_what_has_no_rows_is_refused(db, source):
    with pytest.raises(UsageError):
        db.load(source, "t")


def test_columns_of_one_name_are_refused(db):
    pandas = pytest.importorskip("pandas")
    with pytest.raises(UsageError, match="without a name of their own"):
        db.load(pandas.DataFrame([[1, 2]], columns=["a", "a"]), "t")


def test_a_read_only_connection_loads_nothing(db, tmp_path, request):
    db.execute("create table other (a int)")
    url = f"sqlite:///{tmp_path / 'load.db'}"
    if db.kind == "postgresql":
        url = request.getfixturevalue("fresh_url")
    with Database(url, read_only=True) as reader, pytest.raises(AgentnbError):
        reader.load([{"a": 1}], "t")
    assert db.tables().column("name") == ["other"]


def test_a_large_csv_file_is_loaded_whole(db, csv):
    text = "i,x\n" + "".join(f"{i},{i}.5\n" for i in range(20_001))
    assert db.load(csv(text), "t").rowcount == 20_001
    assert db.query("select count(*), sum(i), max(x) from t").rows == [
        (20_001, 200_010_000, 20_000.5)
    ]


def test_kinds_of_values_in_dictionaries_are_told_apart():
    assert kinds([{"a": 1, "b": True, "c": 1}, {"a": 2.5, "b": False, "c": "x"}]) == {
        "a": "real",
        "b": "boolean",
        "c": "text",
    }
    assert kinds([{"t": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}]) == {"t": "datetimetz"}
    assert kinds([{"a": None}]) == {"a": "text"}


def test_replacing_a_temporary_table_makes_a_temporary_one_and_leaves_the_permanent_one(db):
    db.execute("create table kept as select 1 as n")
    db.execute('create table "Odd Name" as select 1 as n')
    with db.session() as session:
        for name in ("mine", "kept", '"Odd Name"'):
            session.execute(f"create temp table {name} as select 2 as n")
        for name in ("mine", "kept", "Odd Name"):
            session.load([{"n": 3}], name, if_exists="replace")
            session.load([{"n": 4}], name, if_exists="append")
            assert session.query(f'select n from "{name}"').column("n") == [3, 4]
        assert sorted(db.tables().column("name")) == ["Odd Name", "kept"]
        session.load([{"n": 5}], "new", if_exists="replace")
    for name in ("kept", "Odd Name"):
        assert db.query(f'select n from "{name}"').column("n") == [1]
    db.load([{"n": 6}], "kept", if_exists="replace")
    assert db.query("select kept.n, new.n as m from kept, new").rows == [(6, 5)]


@pytest.mark.parametrize("url", ["sqlite://", "duckdb://"])
def test_a_column_is_found_in_another_case_where_the_database_knows_none(url):
    if url == "duckdb://":
        pytest.importorskip("duckdb")
        pytest.importorskip("pyarrow")
    with Database(url) as db:
        db.execute('create table t (id integer, "Name" varchar)')
        db.load([{"ID": 1, "name": "a"}], "t", if_exists="append")
        assert db.query("select id, name from t").rows == [(1, "a")]
        with pytest.raises(UsageError, match="t has no column other"):
            db.load([{"ID": 1, "other": "a"}], "t", if_exists="append")
        if url == "duckdb://":
            with pytest.raises(UsageError, match=r"1\.5 does not fit into integer"):
                db.load([{"ID": 1.5}], "t", if_exists="append")
