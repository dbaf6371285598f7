"""Values that go into a database come out as they were, or are refused with what to do."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import ipaddress
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

from agentnb.core.db import Database
from agentnb.core.db.result import ArrowResult
from agentnb.core.errors import QueryRejected, UsageError

numpy = pytest.importorskip("numpy")
pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
pyarrow = pytest.importorskip("pyarrow")

EAST = dt.timezone(dt.timedelta(hours=5))


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'types.db'}"
    else:
        url = request.getfixturevalue("fresh_url")
    with Database(url) as database:
        yield database


@pytest.fixture
def lite(tmp_path):
    with Database(f"sqlite:///{tmp_path / 'types.db'}") as database:
        yield database


@pytest.fixture
def server(fresh_url):
    with Database(fresh_url) as database:
        yield database


class Color(enum.Enum):
    RED = "red"


# --- numbers ---------------------------------------------------------------------------------


def test_a_decimal_is_compared_as_a_number(db):
    db.load([{"name": "tea", "price": Decimal("9.50")}, {"name": "pot", "price": Decimal(10)}], "t")
    prices = "select name from t where price > :p"
    assert db.query("select 5 > :d as yes", {"d": Decimal(3)}).scalar() == 1
    assert db.query(prices, {"p": Decimal("9.6")}).column("name") == ["pot"]
    assert db.query("select name from t where price = :p", {"p": Decimal("9.5")}).rows == [("tea",)]
    assert db.query("select name from t where price * 2 > :p", {"p": Decimal(19)}).rows == [
        ("pot",)
    ]
    assert db.query("select max(price), sum(price) from t").rows == [(10, 19.5)]
    assert db.query("select name from t order by price").column("name") == ["tea", "pot"]
    summed = "select name from t group by name having sum(price) > :p"
    assert db.query(summed, {"p": Decimal("9.99")}).column("name") == ["pot"]


@pytest.mark.parametrize("text", ["0.12345678901234567890123", "1E+400", "9007199254740993.5"])
def test_a_decimal_that_sqlite_would_round_is_refused_with_what_to_do(lite, text):
    with pytest.raises(UsageError, match=r":d has .* more than SQLite's numbers hold") as caught:
        lite.query("select :d", {"d": Decimal(text)})
    assert "str(value)" in caught.value.hint
    with pytest.raises(UsageError, match="column 'd' has"):
        lite.load([{"d": Decimal(text)}], "t")
    assert len(lite.tables()) == 0


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_decimal_that_is_no_finite_number_is_refused_by_sqlite(lite, text):
    with pytest.raises(UsageError, match="which is no number"):
        lite.query("select :d", {"d": Decimal(text)})


def test_decimals_added_to_a_column_of_text_keep_their_text(lite):
    lite.execute("create table t (p text)")
    lite.execute("insert into t values ('9.50')")
    lite.load([{"p": Decimal("10.00")}], "t", if_exists="append")
    assert lite.query("select p from t").column("p") == ["9.50", "10.00"]


def test_a_list_that_python_cannot_read_is_an_agentnb_error(db):
    far = polars.Series([2**60]).cast(polars.Datetime("us"))
    with pytest.raises(UsageError, match=":t cannot be bound"):
        db.query("select 1 where '' in (:t)", {"t": far})


@pytest.mark.parametrize(
    "value", [-5, -(2**15), -(2**31), -(2**63), -(2**70), Decimal("-1.50"), -2.5], ids=repr
)
def test_a_negative_number_is_one_value_under_a_cast(server, value):
    assert server.query("select :a::text", {"a": value}).scalar() == str(value)
    found = server.query("select :a as a, :a - :a as zero", {"a": value}).rows[0]
    assert found == (value, 0)
    assert type(found[0]) is (Decimal if value == -(2**70) else type(value))


def test_the_smallest_integers_are_loaded(db):
    rows = [{"a": -(2**63), "b": -(2**15)}, {"a": 2**63 - 1, "b": 2**15 - 1}]
    db.load(rows, "t")
    db.execute("create table small (a bigint, b smallint)")
    db.load(rows, "small", if_exists="append")
    assert db.query("select * from t").dicts() == db.query("select * from small").dicts() == rows


def test_an_integer_that_a_column_cannot_hold_is_refused(db):
    frame = pandas.DataFrame({"n": numpy.array([2**63], dtype="uint64")})
    with pytest.raises((UsageError, QueryRejected), match=r"64 bits|out of range"):
        db.load(frame, "t")


def test_numbers_of_several_kinds_share_a_column_only_without_a_change(db):
    db.load([{"x": Decimal("1.5")}, {"x": 0.25}, {"x": 3}], "t")
    assert db.query("select x from t order by x").column("x") == [0.25, 1.5, 3]
    with pytest.raises(UsageError, match="column 'x' has 9007199254740993 beside floats"):
        db.load([{"x": 2**53 + 1}, {"x": 0.5}], "u")


def test_numbers_are_not_rounded_into_the_columns_of_a_server(server):
    server.execute("create table t (i int, n numeric)")
    server.load(pandas.DataFrame({"i": [1.0, None], "n": [0.12345678901234568, 1.0]}), "t",
                if_exists="append")  # fmt: skip
    assert server.query("select * from t").rows == [
        (1, Decimal("0.12345678901234568")),
        (None, Decimal(1)),
    ]
    with pytest.raises(UsageError, match=r"column 'i' has 1\.5, and the column is an integer"):
        server.load([{"i": 1.5}], "t", if_exists="append")


# --- times -----------------------------------------------------------------------------------


def test_aware_times_are_compared_as_moments(db):
    first = dt.datetime(2026, 1, 1, 9, tzinfo=EAST)
    last = dt.datetime(2026, 1, 1, 5, tzinfo=dt.UTC)
    db.load([{"name": "first", "at": first}, {"name": "last", "at": last}], "t")
    assert db.query("select name from t order by at").column("name") == ["first", "last"]
    assert db.query("select name from t where at > :at", {"at": first}).column("name") == ["last"]
    assert db.query("select name from t where at = :at", {"at": first}).column("name") == ["first"]
    found = db.query("select max(at) as at from t").scalar()
    assert found == ("2026-01-01 05:00:00+00:00" if db.kind == "sqlite" else last)
    db.execute("insert into t values (:n, :at)", {"n": "late", "at": last + dt.timedelta(0, 0, 5)})
    assert db.query("select name from t order by at desc").column("name")[0] == "late"


def test_times_with_and_without_a_zone_are_no_column(db):
    rows = [{"at": dt.datetime(2026, 1, 1)}, {"at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}]
    for source in (rows, pandas.DataFrame(rows, dtype=object)):
        with pytest.raises(UsageError, match="column 'at' has times with and without a time zone"):
            db.load(source, "t")


def test_a_time_near_the_first_year_that_utc_does_not_have_is_refused(lite):
    with pytest.raises(UsageError, match="which UTC has no date for"):
        lite.query("select :t", {"t": dt.datetime(1, 1, 1, tzinfo=EAST)})


def test_a_time_of_day_with_an_offset_is_kept_or_refused(db):
    at = dt.time(10, 30, tzinfo=EAST)
    if db.kind == "sqlite":
        with pytest.raises(UsageError, match="column 'at' holds times of day with an offset"):
            db.load([{"at": at}], "t")
        with pytest.raises(UsageError, match=":at is a time of day with an offset"):
            db.query("select :at", {"at": at})
    else:
        db.load([{"at": at}], "t")
        result = db.query("select at, :at as bound from t", {"at": at})
        assert result.rows == [(at, at)]
        for frame in (result.pl, result.arrow):
            with pytest.raises(UsageError, match="times of day with an offset"):
                frame()


@pytest.mark.parametrize("kind", ["dicts", "pandas", "polars", "arrow"])
def test_a_duration_is_an_interval_or_refused(db, kind):
    span = dt.timedelta(days=1, hours=12, microseconds=5)
    source = {
        "dicts": lambda: [{"span": span}, {"span": None}],
        "pandas": lambda: pandas.DataFrame({"span": [span, None]}),
        "polars": lambda: polars.DataFrame({"span": [span, None]}),
        "arrow": lambda: pyarrow.table({"span": [span, None]}),
    }[kind]()
    if db.kind == "sqlite":
        with pytest.raises(UsageError, match="column 'span' holds durations") as caught:
            db.load(source, "t")
        assert "total_seconds()" in caught.value.hint
        with pytest.raises(UsageError, match=":span is a duration"):
            db.query("select :span", {"span": span})
        return
    db.load(source, "t")
    assert db.describe("t").column("type") == ["interval"]
    result = db.query("select span from t where span = :span", {"span": span})
    assert result.rows == [(span,)]
    assert result.df()["span"][0].to_pytimedelta() == span
    assert result.pl()["span"].to_list() == result.arrow()["span"].to_pylist() == [span]


FINE = numpy.datetime64("2026-01-31T10:00:00.000000001")


@pytest.mark.parametrize(
    "value",
    [
        FINE,
        pandas.Timestamp(FINE),
        pandas.Timedelta(nanoseconds=1),
        numpy.timedelta64(1, "ns"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_bound_time_with_nanoseconds_is_refused(db, value):
    with pytest.raises(UsageError, match=r":t (has nanoseconds|is a duration)"):
        db.query("select :t", {"t": value})
    if not isinstance(value, (pandas.Timedelta, numpy.timedelta64)):
        whole = pandas.Timestamp(value).round("us")
        assert db.query("select cast(:t as text)", {"t": whole}).scalar() == "2026-01-31 10:00:00"


@pytest.mark.parametrize(
    "values",
    [
        numpy.array([FINE]),
        pandas.Series([pandas.Timestamp(FINE)]),
        polars.Series(numpy.array([FINE])),
        pyarrow.array([FINE]),
    ],
    ids=lambda values: type(values).__module__.partition(".")[0],
)
def test_a_bound_list_of_times_with_nanoseconds_is_refused(db, values):
    with pytest.raises(UsageError, match="nanoseconds"):
        db.query("select 1 where cast('2026-01-31' as date) in (:t)", {"t": values})


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "dicts", "objects"])
def test_a_loaded_time_with_nanoseconds_is_refused(db, kind):
    frame = pandas.DataFrame({"at": pandas.to_datetime([FINE, None])})
    source = {
        "pandas": lambda: frame,
        "polars": lambda: polars.from_pandas(frame),
        "arrow": lambda: pyarrow.Table.from_pandas(frame),
        "dicts": lambda: frame.to_dict("records"),
        "objects": lambda: frame.astype(object),
    }[kind]()
    with pytest.raises(UsageError, match=r"column 'at'.*(nanoseconds|lose data)") as caught:
        db.load(source, "t")
    assert "round('us')" in caught.value.hint
    assert len(db.tables()) == 0
    frame["at"] = frame["at"].dt.round("us")
    db.load(frame, "t")
    assert db.query("select count(at) from t").scalar() == 1


def test_a_time_is_not_cut_to_the_column_of_a_server(server):
    server.execute("create table t (day date, at timestamp, clock time)")
    server.load(
        pandas.DataFrame({"day": [pandas.Timestamp("2026-01-31")]}), "t", if_exists="append"
    )
    assert server.query("select day from t").scalar() == dt.date(2026, 1, 31)
    for column, value, said in (
        ("day", dt.datetime(2026, 1, 31, 10), "the column is a date"),
        ("at", dt.datetime(2026, 1, 31, tzinfo=EAST), "the column has no time zone"),
        ("clock", dt.time(10, tzinfo=EAST), "the column has no time zone"),
    ):
        with pytest.raises(UsageError, match=f"column '{column}' has .*{said}"):
            server.load([{column: value}], "t", if_exists="append")


ENDLESS = [
    "'infinity'::timestamp",
    "'-infinity'::timestamp",
    "'infinity'::timestamptz",
    "'infinity'::date",
    "'-infinity'::date",
    "'0044-03-15 BC'::date",
    "'0044-03-15 BC'::timestamp",
    "'20000-01-01'::date",
    "'24:00'::time",
    "interval '1 month'",
    "interval '-2 years 3 days'",
    "age('2026-03-01'::timestamp, '2025-01-31')",
]


@pytest.mark.parametrize("expression", ENDLESS)
def test_a_value_that_python_has_not_is_refused_and_its_text_is_read(server, expression):
    for arrow in (False, True):
        for sql in (f"select {expression} as x", f"select {expression} as x, 1::numeric as n"):
            with pytest.raises(UsageError) as caught:
                server.query(sql, arrow=arrow).df()
            assert "x::text" in caught.value.hint
            with pytest.raises(UsageError), server.session() as session:
                session.execute("create temp table here (a int)")
                session.query(sql, arrow=arrow)
        assert isinstance(
            server.query(f"select ({expression})::text as x", arrow=arrow).scalar(), str
        )
    with pytest.raises(UsageError):
        asyncio.run(server.aquery(f"select {expression} as x"))
    with pytest.raises(UsageError):
        list(server.stream(f"select {expression} as x"))


def test_the_first_and_the_last_day_of_python_are_read_through_arrow(server):
    sql = """select '0001-01-01'::date as a, '9999-12-31'::date as b,
        '0001-01-01'::timestamp as c, '9999-12-31 23:59:59.999999'::timestamp as d"""
    fast = server.query(sql, arrow=True)
    assert isinstance(fast, ArrowResult)
    assert fast.rows == server.query(sql).rows


@pytest.mark.parametrize("expression", ["'12.5'::money", "4294967295::oid"])
def test_a_type_that_arrow_data_would_change_is_read_by_the_driver(server, expression):
    sql = f"select {expression} as x"
    assert server.query(sql, arrow=True).rows == server.query(sql).rows


# --- texts, bytes, JSON, lists ----------------------------------------------------------------


def test_a_blob_far_down_a_column_of_text_stays_bytes(lite):
    lite.execute("create table t (i int, x text)")
    lite.load([{"i": i, "x": "a"} for i in range(6000)], "t", if_exists="append")
    assert isinstance(lite.query("select * from t", arrow=True), ArrowResult)
    lite.execute("insert into t values (6000, :b)", {"b": b"abc"})
    found = lite.query("select x from t order by i", arrow=True, limit=None)
    assert (found.rows[0], found.rows[-1]) == (("a",), (b"abc",))
    assert lite.query('select x as "x""y z" from t where i < 5', arrow=True).columns == ('x"y z',)


@pytest.mark.parametrize("arrow", [False, True])
def test_a_text_that_is_no_utf8_is_refused_with_how_to_read_its_bytes(lite, arrow):
    lite.execute("create table t (x text)")
    lite.execute("insert into t values (cast(x'61ff' as text))")
    with pytest.raises(QueryRejected, match="not valid UTF-8") as caught:
        lite.query("select x from t", arrow=arrow)
    assert "as blob" in caught.value.hint
    assert lite.query("select cast(x as blob) as x from t", arrow=arrow).scalar() == b"a\xff"


@pytest.mark.parametrize("missing", [None, pandas.NA, pandas.NaT, numpy.datetime64("NaT", "us")])
def test_every_missing_value_is_bound_as_null(db, missing):
    assert db.query("select cast(:x as text)", {"x": missing}).scalar() is None
    sql = "select 1 as one where 5 in (:x)"
    assert db.query(sql, {"x": [5, missing]}).rows == [(1,)]


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        (numpy.int64(-5), -5),
        (numpy.float32(0.5), 0.5),
        (numpy.bool_(True), True),  # noqa: FBT003 - numpy's own
        (numpy.str_("x"), "x"),
        (Color.RED, "red"),
        (pandas.Period("2026-01"), "2026-01"),
        (pandas.Interval(0, 1), "(0, 1]"),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
    ],
    ids=repr,
)
def test_a_scalar_of_a_library_is_bound_as_what_it_stands_for(db, value, bound):
    if db.kind == "postgresql" and isinstance(value, ipaddress.IPv4Address):
        bound = value
    found = db.query("select :x as x", {"x": value}).scalar()
    assert found == bound


@pytest.mark.parametrize(
    "value", [1j, numpy.complex64(1), object(), {1}], ids=lambda value: type(value).__name__
)
def test_a_value_without_a_type_in_sql_is_refused(db, value):
    with pytest.raises(UsageError):
        db.query("select :x", {"x": value})
    with pytest.raises(UsageError, match="column 'x'"):
        db.load([{"x": value}], "t")
    with pytest.raises(UsageError, match="column 'x'"):
        db.load(pandas.DataFrame({"x": [value]}), "t")
    assert len(db.tables()) == 0


@pytest.mark.parametrize("source", [
    lambda key: [{"u": key}, {"u": None}],
    lambda key: pandas.DataFrame({"u": [key, None]}),
    lambda key: polars.DataFrame({"u": polars.Series([key, None], dtype=polars.Object)}),
    lambda key: pyarrow.table({"u": pyarrow.array([key.bytes, None], pyarrow.uuid())}),
])  # fmt: skip
def test_a_uuid_stays_one_on_postgresql_and_is_text_on_sqlite(db, source):
    key = uuid.UUID(int=7)
    kept = key if db.kind == "postgresql" else str(key)
    db.load(source(key), "t")
    assert db.describe("t").column("type") == ["uuid" if db.kind == "postgresql" else "text"]
    assert db.query("select u from t where u = :key", {"key": key}).column("u") == [kept]
    assert db.query("select u from t where u is null").column("u") == [None]
    empty = db.query("select u from t where false")
    assert [len(empty.df()), len(empty.pl()), len(empty.arrow())] == [0, 0, 0]
    db.load(empty, "none")
    assert db.describe("none").column("type") == db.describe("t").column("type")
    db.load(db.query("select u from t"), "again")
    db.execute("create table words (u text)")
    for table in ("again", "words"):
        db.load(source(key), table, if_exists="append")
    assert db.query("select u from again where u is not null").column("u") == [kept, kept]
    assert db.query("select u from words where u is not null").column("u") == [str(key)]


def test_a_uuid_among_text_is_refused(db):
    for source in ([{"x": "a"}, {"x": uuid.UUID(int=1)}],
                   pandas.DataFrame({"x": ["a", uuid.UUID(int=1)]})):  # fmt: skip
        with pytest.raises(UsageError, match="column 'x' mixes uuid and text"):
            db.load(source, "t")


def test_an_address_is_its_text_which_an_inet_column_reads(db):
    address = ipaddress.ip_address("10.0.0.1")
    db.load([{"a": address, "n": ipaddress.ip_network("10.0.0.0/8")}], "t")
    assert db.query("select * from t").rows == [("10.0.0.1", "10.0.0.0/8")]
    if db.kind == "postgresql":
        db.execute("create table exact (a inet)")
        db.load([{"a": address}], "exact", if_exists="append")
        assert db.query("select a from exact").scalar() == address


def test_bytes_among_text_are_refused(db):
    for source in ([{"x": "a"}, {"x": b"b"}], pandas.DataFrame({"x": ["a", b"b"]})):
        with pytest.raises(UsageError, match="column 'x' mixes bytes and text"):
            db.load(source, "t")


def test_an_enum_and_a_path_are_loaded_as_they_are_bound(db):
    db.load([{"c": Color.RED, "p": Path("a/b"), "u": uuid.UUID(int=1)}], "t")
    assert db.query("select c, p from t where c = :c", {"c": Color.RED}).rows == [("red", "a/b")]


def test_rows_are_added_to_columns_of_types_that_text_is_read_as(server):
    server.script("""create type mood as enum ('sad', 'ok');
        create table t (m mood, words text[], numbers int[], doc jsonb, span int4range)""")
    row = {"m": "ok", "words": ["a", "b"], "numbers": [1, -2], "doc": {"a": [1]}, "span": "[1,5)"}
    server.load([row, {"m": None, "words": [], "numbers": None, "doc": [1, "x"]}], "t",
                if_exists="append")  # fmt: skip
    found = server.query("select m, words, numbers, doc, span::text from t").rows
    assert found == [
        ("ok", ["a", "b"], [1, -2], {"a": [1]}, "[1,5)"),
        (None, [], None, [1, "x"], None),
    ]
    assert server.query("select count(*) from t where doc is null").scalar() == 0
    server.load([{"doc": None}], "t", if_exists="append")
    assert server.query("select count(*) from t where doc is null").scalar() == 1


def test_a_missing_json_value_is_null_and_not_the_word(db):
    db.load([{"a": {"b": 1}}, {"a": None}], "t")
    assert db.query("select count(*) from t where a is null").scalar() == 1


@pytest.mark.parametrize("value", [[], [1, 2], [1, "a", None], [{"a": [1]}], {"a": 1}], ids=repr)
def test_a_value_under_a_cast_to_json_is_json(server, value):
    server.execute("create table t (j jsonb)")
    server.execute("insert into t values (:v::jsonb)", {"v": value})
    assert server.query("select j from t where j = :v :: JSONB", {"v": value}).rows == [(value,)]


def test_a_number_in_json_keeps_its_digits(server):
    sql = """select '{"a": 0.1, "b": 1.0, "c": 0.12345678901234567890, "d": 12345678901234567890,
        "e": 1e400}'::jsonb as j"""
    found = server.query(sql).scalar()
    assert found == {
        "a": 0.1,
        "b": 1.0,
        "c": Decimal("0.12345678901234567890"),
        "d": 12345678901234567890,
        "e": Decimal("1e400").to_integral_value(),
    }
    assert [type(found[key]) for key in "abc"] == [float, float, Decimal]


def test_a_list_is_an_array_and_one_of_dictionaries_is_json(server):
    server.execute("create table t (a int[], j jsonb)")
    values = {"a": [1, pandas.NA, -2], "j": [{"x": Decimal("1.5")}]}
    server.execute("insert into t values (:a, :j)", values)
    assert server.query("select * from t").rows == [([1, None, -2], [{"x": "1.5"}])]


def test_a_list_of_several_types_is_refused_with_how_to_bind_json(server):
    with pytest.raises(UsageError, match="mixed types") as caught:
        server.query("select :v", {"v": [1, "a"]})
    assert ":name::jsonb" in caught.value.hint


def test_a_time_whose_offset_a_driver_would_leave_away_is_refused(mariadb_url):
    with Database(mariadb_url) as db:
        for value in (dt.datetime(2026, 1, 1, tzinfo=EAST), dt.time(10, tzinfo=EAST)):
            with pytest.raises(UsageError, match=":t has an offset") as caught:
                db.query("select :t", {"t": value})
            assert "astimezone(UTC)" in caught.value.hint
        assert db.query("select :d as d", {"d": Decimal("19.99")}).scalar() == Decimal("19.99")
        assert db.query("select :x is null as x", {"x": pandas.NA}).scalar() == 1
        with pytest.raises(UsageError, match="plain support, which has no retype"):
            db.retype("t")


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": {1, 2}}], ids=repr)
def test_what_json_has_no_word_for_is_refused(db, value):
    with pytest.raises(UsageError, match=":x cannot be bound"):
        db.query("select :x", {"x": value})
    with pytest.raises(UsageError, match="column 'x' cannot be loaded"):
        db.load([{"x": value}], "t")


@pytest.mark.parametrize("style", ["intervalstyle = iso_8601", "datestyle = 'German'"])
def test_a_style_that_is_not_read_is_an_agentnb_error(server, style):
    with server.transaction() as tx:
        tx.execute(f"set {style}")
        value = "interval '1 day'" if "interval" in style else "now()"
        with pytest.raises(UsageError, match="can't parse") as caught:
            tx.query(f"select {value}")
        assert "set datestyle = 'ISO'" in caught.value.hint


# --- frames ----------------------------------------------------------------------------------


def test_labels_of_an_index_without_a_name_are_loaded(db):
    counts = pandas.Series(["x", "x", "y"]).value_counts()
    db.load(counts.rename_axis(None), "plain")
    assert db.query("select * from plain").dicts() == [
        {"index": "x", "count": 2},
        {"index": "y", "count": 1},
    ]
    levels = pandas.MultiIndex.from_tuples([("a", 1), ("b", 2)])
    db.load(pandas.DataFrame({"n": [1, 2]}, index=levels), "levels")
    assert db.query("select * from levels").columns == ("level_0", "level_1", "n")
    db.load(pandas.DataFrame({"n": [1, 2]}), "counted")
    assert db.query("select * from counted").columns == ("n",)
    with pytest.raises(UsageError, match="has no column index") as caught:
        db.load(pandas.DataFrame({"n": [1]}, index=["a"]), "counted", if_exists="append")
    assert "reset_index(drop=True)" in caught.value.hint


def test_an_index_named_like_a_column_is_refused_with_what_to_do(db):
    frame = pandas.DataFrame({"k": [1]}, index=pandas.Index(["a"], name="k"))
    with pytest.raises(UsageError, match="the index cannot be loaded") as caught:
        db.load(frame, "t")
    assert "rename_axis" in caught.value.hint


def test_periods_and_intervals_of_a_frame_are_loaded_as_their_text(db):
    months = pandas.period_range("2026-01", periods=2, freq="M")
    frame = pandas.DataFrame({"month": months, "n": [1, 2]})
    frame["bin"] = pandas.cut(frame["n"], [0, 1, 2])
    frame.loc[1, "month"] = pandas.NaT
    db.load(frame, "t")
    assert db.query("select month, bin from t order by n").rows == [
        ("2026-01", "(0, 1]"),
        (None, "(1, 2]"),
    ]
    db.load(frame.groupby("bin", observed=True).n.sum(), "binned")
    assert db.query("select bin from binned order by n").column("bin") == ["(0, 1]", "(1, 2]"]


def test_periods_under_names_that_are_no_text_are_loaded_and_the_frame_is_left_alone(db):
    frame = pandas.DataFrame({0: pandas.period_range("2026-01", periods=2, freq="M")})
    before = frame.copy()
    db.load(frame, "t")
    assert db.query('select "0" from t order by 1').column("0") == ["2026-01", "2026-02"]
    pandas.testing.assert_frame_equal(frame, before)
    twice = pandas.concat([frame, frame], axis=1)
    with pytest.raises(UsageError, match="without a name of their own"):
        db.load(twice, "u")


def test_objects_of_a_frame_are_not_cut_to_one_type(db):
    frame = pandas.DataFrame(
        {"when": [dt.date(2026, 1, 1), dt.datetime(2026, 1, 1, 5)], "doc": [{"a": 1}, {"b": 2}]}
    )
    db.load(frame, "t")
    found = db.query("select cast(doc as text) from t").rows
    assert sorted(found) == [('{"a": 1}',), ('{"b": 2}',)]
    assert db.query('select when_ from (select max("when") as when_ from t) q').scalar() == (
        "2026-01-01 05:00:00"
    )


def test_objects_and_wide_integers_of_polars_are_their_values(db):
    key = uuid.UUID(int=7)
    frame = polars.DataFrame({"u": polars.Series([key, None], dtype=polars.Object)})
    frame = frame.with_columns(n=polars.Series([5, None], dtype=polars.Int128))
    db.load(frame, "t")
    kept = key if db.kind == "postgresql" else str(key)
    assert db.query("select u, n from t where u is not null").rows == [(kept, 5)]
    db.load(polars.Series("s", [1, 2]), "series")
    assert db.query("select s from series").column("s") == [1, 2]
    if db.kind == "postgresql":
        db.load(db.query("select gen_random_uuid() as u, '10.0.0.1'::inet as i").pl(), "again")
        assert db.query("select i from again").scalar() == "10.0.0.1"


def test_tuples_are_json_and_buffers_are_bytes(db):
    db.load([{"j": (1, "a"), "b": bytearray(b"x")}, {"j": [2], "b": memoryview(b"y")}], "t")
    found = db.query("select j, b from t").rows
    assert [bytes(b) for _, b in found] == [b"x", b"y"]
    assert found[0][0] in ('[1, "a"]', [1, "a"])


def test_a_sum_of_large_integers_keeps_its_digits_in_a_frame(server):
    sql = "select sum(x) as s, sum(y) as t from (values (9007199254740993::bigint, 1.5)) v(x, y)"
    for arrow in (False, True):
        frame = server.query(sql, arrow=arrow).df()
        assert frame["s"].tolist() == [Decimal(9007199254740993)]
        assert (frame["t"].dtype, frame["t"][0]) == ("float64", 1.5)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("'10.0.0.1'::inet", {"pl"}),
        ("int4range(1, 5)", {"pl"}),
        ("gen_random_uuid()", {"pl", "arrow"}),
        ("array[1, null, 3]", {"pl", "arrow"}),
        ("array['a', 'b']", {"pl", "arrow"}),
        ("'{\"a\": 1}'::jsonb", {"pl", "arrow"}),
        ("'[1, \"a\"]'::jsonb", set()),
        ("'NaN'::numeric", set()),
        ("repeat('9', 39)::numeric", {"pl", "arrow"}),
        ("repeat('9', 90)::numeric", {"pl"}),
        ("'x'::bytea", {"pl", "arrow"}),
        ("row(1, 'a')", set()),
    ],
)
def test_a_type_of_postgresql_is_exact_in_a_frame_or_refused(server, expression, holds):
    result = server.query(f"select {expression} as x")
    (value,) = result.rows[0]
    assert str(result.df()["x"][0]) in {str(value), "nan"}
    for library in ("pl", "arrow"):
        if library in holds:
            column = getattr(result, library)()["x"]
            found = column.to_list() if library == "pl" else column.to_pylist()
            assert found == [value]
        else:
            with pytest.raises(UsageError, match="cannot hold column 'x'") as caught:
                getattr(result, library)()
            assert "x::text" in caught.value.hint


def test_documents_of_several_shapes_are_not_made_one(server):
    result = server.query("""select * from (values ('{"a": 1}'::jsonb), ('{"b": 2}')) v(x)""")
    for frame in (result.pl, result.arrow):
        with pytest.raises(UsageError, match="dict values that would be changed"):
            frame()
    assert result.df()["x"].tolist() == [{"a": 1}, {"b": 2}]


TYPES = {
    "i": ("integer", "int64", "Int64", "int64"),
    "r": ("double precision", "float64", "Float64", "double"),
    "b": ("boolean", "bool", "Boolean", "bool"),
    "s": ("text", str(pandas.Series(["a"]).dtype), "String", "string"),
    "d": ("date", "object", "Date", "date32[day]"),
    "t": ("timestamp", str(pandas.Series([dt.datetime(2026, 1, 1)]).dtype), None, "timestamp[us]"),
    "n": ("numeric", "float64", "Decimal(precision=38, scale=0)", None),
    "y": ("bytea", "object", "Binary", "binary"),
}


@pytest.mark.parametrize("arrow", [False, True])
@pytest.mark.parametrize("values", [0, 1])
def test_a_column_without_values_has_the_type_of_the_database(server, arrow, values):
    columns = {name: kind for name, (kind, *_) in TYPES.items() if not (arrow and name in "ny")}
    made = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    server.execute(f"create table t ({made})")
    if values:
        server.execute("insert into t default values")
    result = server.query("select * from t", arrow=arrow)
    assert isinstance(result, ArrowResult) == arrow
    frames = (result.df().dtypes, result.pl().schema, result.arrow().schema)
    for name in columns:
        _, in_pandas, in_polars, in_arrow = TYPES[name]
        if values:
            in_pandas = {"int64": "float64", "bool": "object"}.get(in_pandas, in_pandas)
        assert str(frames[0][name]) == in_pandas
        assert in_polars in {None, str(frames[1][name])}
        assert in_arrow in {None, str(frames[2].field(name).type)}
    assert [len(frame) for frame in (result.df(), result.pl(), result.arrow())] == [values] * 3
    assert result.df().isna().all(axis=None)
    server.load(result, "copy")
    assert server.describe("copy").column("type") == [
        {"integer": "bigint", "timestamp": "timestamp without time zone"}.get(kind, kind)
        for kind in columns.values()
    ]
