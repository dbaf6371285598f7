"""Round trips of any value: into a table and out again, by every way, on both databases."""

from __future__ import annotations

import datetime as dt
import math
import tempfile
import uuid
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentnb.core.db import Database
from agentnb.core.errors import UsageError

pandas = pytest.importorskip("pandas")
pytest.importorskip("polars")
pytest.importorskip("pyarrow")

# Twelve kinds of values share the examples of a test of all kinds.
PROPERTY = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
EACH = settings(PROPERTY, max_examples=20)
# A load and its ways out cost the same for one value and for many: as many values in fewer loads.
LOADS = settings(PROPERTY, max_examples=10)


@pytest.fixture(scope="module")
def lite():
    with (
        tempfile.TemporaryDirectory(prefix="agentnb-types-", dir="/tmp") as folder,
        Database(f"sqlite:///{folder}/types.db") as db,
    ):
        yield db


@pytest.fixture(scope="module")
def server(postgres_url):
    import psycopg

    name = "types_properties"
    with psycopg.connect(postgres_url, autocommit=True) as link:
        link.execute(f"create database {name}")
        with Database(postgres_url.replace("/postgres?", f"/{name}?")) as db:
            yield db
        link.execute(f"drop database {name} with (force)")


@pytest.fixture(params=["lite", "server"])
def db(request):
    return request.getfixturevalue(request.param)


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))
NAIVE = st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 12, 31))
AWARE = st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 12, 31), timezones=ZONES)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
SHORT = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9),
                    max_value=10**9)  # fmt: skip
ANY_DECIMAL = st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda d: abs(d.adjusted()) < 200 and d.as_tuple().exponent > -200
)
EXACT = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(allow_nan=False),
    "text": TEXT,
    "boolean": st.booleans(),
    "bytes": st.binary(),
    "date": st.dates(),
    "datetime": NAIVE,
    "datetimetz": AWARE,
    "time": st.times(),
    "decimal": SHORT,
    "uuid": st.uuids(),
    "interval": st.timedeltas(dt.timedelta(-(10**6)), dt.timedelta(10**6)),
}


def few_or_many(values):
    return st.lists(values, min_size=1, max_size=2) | st.lists(values, min_size=8, max_size=16)


def stored(kind, value, db):
    """Return what a value of a kind comes back as."""
    if value is None or db.kind == "postgresql":
        return value
    if kind in {"date", "time"}:
        return value.isoformat()
    if kind == "datetime":
        return value.isoformat(sep=" ")
    if kind == "datetimetz":
        return value.astimezone(dt.UTC).isoformat(sep=" ")
    return str(value) if kind == "uuid" else value


def number(value):
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


@LOADS
@given(st.data())
@pytest.mark.parametrize("kind", EXACT)
def test_a_column_of_any_values_comes_back_by_every_way(db, kind, data):
    values = data.draw(few_or_many(st.none() | EXACT[kind]), label=kind)
    rows = [{"i": number, "x": value} for number, value in enumerate(values)]
    if kind == "interval" and db.kind == "sqlite":
        if any(value is not None for value in values):
            with pytest.raises(UsageError):
                db.load(rows, "t", if_exists="replace")
        return
    db.load(rows, "t", if_exists="replace")
    expected = [stored(kind, value, db) for value in values]
    sql = "select x from t order by i"
    with db.transaction() as tx:
        copied = tx.query(sql, arrow=True)
    for result in (db.query(sql), db.query(sql, arrow=True), copied):
        assert same(result.column("x"), expected)
        assert same(result.pl()["x"].to_list(), expected)
        assert same(result.arrow()["x"].to_pylist(), expected)
        frame = result.df()["x"]
        assert same([None if pandas.isna(one) else one for one in frame.tolist()], expected)


def same(found, expected):
    """Compare as numbers what may be a float, an integer or a Decimal of one value."""
    if len(found) != len(expected):
        return False
    return all(one_same(a, b) for a, b in zip(found, expected, strict=True))


def one_same(found, expected):
    if found is None or expected is None:
        return found is expected or (found != found and expected is None)  # noqa: PLR0124 - NaT
    if isinstance(expected, Decimal):
        return number(found) == expected
    if isinstance(expected, float):
        return found == expected or math.isnan(found)
    return found == expected


@EACH
@given(st.data())
@pytest.mark.parametrize("kind", EXACT)
def test_a_bound_value_equals_the_one_that_was_loaded(db, kind, data):
    value = data.draw(EXACT[kind], label=kind)
    if kind == "interval" and db.kind == "sqlite":
        with pytest.raises(UsageError, match=":v is a duration"):
            db.query("select :v", {"v": value})
        return
    db.load([{"x": value}], "b", if_exists="replace")
    assert db.query("select count(*) from b where x = :v", {"v": value}).scalar() == 1
    assert db.query("select count(*) from b where x in (:v)", {"v": [value]}).scalar() == 1


@PROPERTY
@given(st.lists(ANY_DECIMAL, min_size=2, max_size=8))
def test_decimals_on_sqlite_sort_and_compare_as_in_python_or_are_refused(lite, values):
    rows = [{"i": i, "x": value} for i, value in enumerate(values)]
    try:
        lite.load(rows, "d", if_exists="replace")
    except UsageError as error:
        assert "more than SQLite's numbers hold" in str(error)  # noqa: PT017 - either is right
        assert any(exponent_digits(value) > 15 for value in values)
        return
    found = lite.query("select x from d order by x").column("x")
    assert [number(one) for one in found] == sorted(values)
    middle = values[0]
    sql = "select count(*) from d where x {} :m"
    for sign, python in (("<", Decimal.__lt__), (">=", Decimal.__ge__), ("=", Decimal.__eq__)):
        counted = lite.query(sql.format(sign), {"m": middle}).scalar()
        assert counted == sum(bool(python(value, middle)) for value in values)


def exponent_digits(value):
    return len(value.as_tuple().digits) + max(0, -300 - value.adjusted())


@PROPERTY
@given(st.lists(AWARE, min_size=2, max_size=8))
def test_aware_times_sort_and_compare_as_in_python(db, values):
    db.load([{"x": value} for value in values], "a", if_exists="replace")
    found = db.query("select x from a order by x").column("x")
    moments = [dt.datetime.fromisoformat(one) if isinstance(one, str) else one for one in found]
    assert moments == sorted(values)
    counted = db.query("select count(*) from a where x <= :m", {"m": values[0]}).scalar()
    assert counted == sum(value <= values[0] for value in values)
    newest = db.query("select max(x) from a").scalar()
    newest = dt.datetime.fromisoformat(newest) if isinstance(newest, str) else newest
    assert newest == max(values)


LITERALS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    SHORT,
    TEXT,
    st.booleans(),
    st.none(),
)


@PROPERTY
@given(LITERALS)
def test_a_bound_value_is_the_literal_in_parentheses(db, value):
    literal = {
        str: lambda: "'" + value.replace("'", "''") + "'",
        type(None): lambda: "null",
        bool: lambda: "true" if value else "false",
        float: lambda: f"({value!r})" + ("" if db.kind == "sqlite" else "::float8"),
        Decimal: lambda: f"({value:f})",
        int: lambda: f"({value})",
    }[type(value)]()
    sql = f"select cast(:v as text) as bound, cast({literal} as text) as written, :v as v"
    row = db.query(sql, {"v": value})[0]
    if db.kind == "postgresql" or not (isinstance(value, Decimal) or value == -(2**63)):
        assert row.bound == row.written
    assert row.v == value or (isinstance(value, Decimal) and number(row.v) == value)


@PROPERTY
@given(st.lists(st.none() | ANY_DECIMAL, min_size=1, max_size=5))
def test_a_frame_has_floats_only_where_each_decimal_survives(values):
    from agentnb.core.table import Table

    frame = Table(["x"], [(value,) for value in values]).df()
    kept = [number(one) for one in frame["x"].tolist() if one is not None and one == one]  # noqa: PLR0124 - NaN
    assert kept == [value for value in values if value is not None]
    if all(value is None or len(value.as_tuple().digits) <= 15 for value in values):
        assert frame["x"].dtype == ("float64" if any(v is not None for v in values) else "object")


@PROPERTY
@given(st.dictionaries(st.text(max_size=3), st.lists(st.integers() | TEXT, max_size=3), max_size=3))
def test_json_comes_back_as_it_went_in(db, value):
    import json

    db.load([{"x": value}, {"x": None}], "j", if_exists="replace")
    found = db.query("select x from j where x is not null").scalar()
    if "\0" not in json.dumps(value):
        assert (json.loads(found) if isinstance(found, str) else found) == value


@PROPERTY
@given(st.uuids(), st.uuids())
def test_a_uuid_is_found_by_its_value(lite, one, other):
    lite.load([{"u": one}], "u", if_exists="replace")
    assert lite.query("select count(*) from u where u = :u", {"u": one}).scalar() == 1
    assert lite.query("select count(*) from u where u = :u", {"u": other}).scalar() == (
        one == other
    )
    assert uuid.UUID(lite.query("select u from u").scalar()) == one


INTEGERS = st.integers(-(2**63), 2**63 - 1)
EDGES = [
    2**63 - 1,
    2**63 - 513,
    -(2**63),
    2**53,
    2**53 + 1,
    math.inf,
    -math.inf,
    "inf",
    "-Inf",
    "1",
]
MIXED = st.one_of(
    st.none(), INTEGERS, st.floats(allow_nan=False), st.text(max_size=3), st.binary(max_size=2),
    st.sampled_from(EDGES),
)  # fmt: skip


@PROPERTY
@given(st.lists(MIXED, max_size=4))
def test_a_column_of_sqlite_with_values_of_any_kinds_is_equal_as_arrow_data(lite, values):
    lite.script("drop table if exists mixed; create table mixed (a)")
    lite.execute("insert into mixed values (:a)", [{"a": value} for value in values])
    rows = lite.query("select a from mixed order by rowid").column("a")
    assert rows == values
    assert lite.query("select a from mixed order by rowid", arrow=True).column("a") == rows


@pytest.mark.parametrize("values", [[2**63 - 1, 0.5], [math.inf, "a"], ["a", -math.inf]], ids=str)
def test_no_number_of_a_mixed_column_is_rounded_or_made_text(lite, values):
    lite.script("drop table if exists mixed; create table mixed (a)")
    lite.execute("insert into mixed values (:a)", [{"a": value} for value in values])
    found = lite.query("select a from mixed order by rowid", arrow=True).column("a")
    assert [(type(one), one) for one in found] == [(type(one), one) for one in values]
