"""Arrays, Series and scalars of numpy, pandas and polars come back equal, or are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from agentnb.core.cache.codec import Codec
from agentnb.core.codec.errors import UnstorableError
from agentnb.core.codec.tagged import dump, load
from agentnb.core.db.result import ArrowResult
from agentnb.core.errors import UsageError
from tests.core.shapes import Task

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")


@pytest.fixture(params=[False, True], ids=["prefixed", "plain"])
def codec(request):
    return Codec(plain=request.param)


def check_equal(back, value):
    assert type(back) is type(value)
    if isinstance(value, np.ndarray):
        assert (back.dtype, back.shape) == (value.dtype, value.shape)
        assert back.flags.f_contiguous == value.flags.f_contiguous or not value.flags.forc
        assert repr(back) == repr(value)
    elif isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(back, value)
    elif isinstance(value, pd.Series):
        pd.testing.assert_series_equal(back, value)
    elif isinstance(value, pd.Index):
        pd.testing.assert_index_equal(back, value)
        assert getattr(back, "freq", None) == getattr(value, "freq", None)
    else:
        assert repr(back) == repr(value)


COUNTS = pd.Series(["x", "x", "y"], name="w").value_counts()
DAYS = pd.date_range("2026-01-01", periods=3, freq="D")
VALUES = {
    **{f"scalar {kind}": np.dtype(kind).type(1) for kind in "?bBhHiIlLqQefdgFDG"},
    "scalar of a mean": pd.DataFrame({"a": [1.0, 2.5]}).a.mean(),
    "scalar nan": np.float64("nan"),
    "scalar text": np.str_("ü"),
    "scalar bytes": np.bytes_(b"x"),
    "scalar time": np.datetime64("2026-01-01T00:00:00.000000001"),
    "scalar span": np.timedelta64(5, "D"),
    "scalar record": np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])[0],
    "array": np.arange(6, dtype="f4").reshape(2, 3),
    "array in columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "array of a step": np.arange(12).reshape(3, 4)[::2, ::3],
    "array without axes": np.array(3.5),
    "array of nothing": np.zeros((2, 0, 3)),
    "array of texts": np.array(["a", "bcd"]),
    "array of times": np.array(["2026", "NaT"], dtype="M8[D]"),
    "array of records": np.zeros(2, dtype=[("a", ">i4"), ("日", "f8", (2,))]),
    "array of big end": np.arange(3, dtype=">i8"),
    "array of objects": np.array([1, "a", None, (1,)], dtype=object),
    "array of objects in rows": np.array([[1, "a"], [None, {1}]], dtype=object),
    "series": pd.Series([1, 2]),
    "series with labels": pd.Series([1.0, None], name="x", index=["a", "b"]),
    "series counts": COUNTS,
    "series named by a tuple": pd.Series([1, 2], name=("a", 1)),
    "series of a group": pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}).groupby("b").a.mean(),
    "series of days": pd.Series(range(3), index=DAYS),
    "series of objects": pd.Series([(1,), [2], "a"], name="o", dtype=object, index=DAYS),
    "series of categories": pd.Series(["a", "b"], dtype="category"),
    "series of zones": pd.Series(pd.date_range("2026", periods=2, tz="Europe/Berlin")),
    "series of nothing": pd.Series([], dtype="float64"),
    "index": pd.Index([1, 2]),
    "index with a name": pd.Index(["a"], name="n"),
    "index named by a tuple": pd.Index([1.5], name=("a", 1)),
    "range": pd.RangeIndex(2, 10, 3, name="r"),
    "levels": pd.MultiIndex.from_tuples([(1, "a")], names=["x", None]),
    "months": pd.date_range("2026", periods=3, freq="ME", tz="Europe/Berlin"),
    "spans": pd.timedelta_range("1D", periods=3),
    "periods": pd.period_range("2026", periods=2, freq="M"),
    "intervals": pd.interval_range(0, 2),
    "categories": pd.CategoricalIndex(["a"]),
    "frame of days": pd.DataFrame({"a": [1, 2, 3]}, index=DAYS),
    "described": pd.DataFrame({"a": [1, 2.0]}).describe(),
    "pivoted": pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}).pivot_table(columns="b", values="a"),
    "extension array": pd.array([1, None]),
    "unique": pd.Series(["a", "a"]).unique(),
    "categorical": pd.Categorical(["a", "b"]),
    "timestamp": pd.Timestamp("2026-01-01 01:02:03.123456789", tz="Europe/Berlin"),
    "timestamp of a day": pd.Timestamp("2026-01-01"),
    "timedelta": pd.Timedelta("1D 00:00:00.000000001"),
    "period": pd.Period("2026-01", "M"),
    "interval": pd.Interval(0, 1, closed="both"),
    "NaT": pd.NaT,
    "NA": pd.NA,
    "polars series": pl.Series("x", [1, None]),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_equal(codec, name):
    value = VALUES[name]
    data, copy = codec.encode_and_decode(value)
    check_equal(copy, value)
    check_equal(codec.decode(data), value)


def test_arrays_and_frames_may_be_parts_of_other_values(codec):
    value = {"a": (np.arange(3), [pd.DataFrame({"x": [1]})]), "b": Task("x", pl.Series([1]))}
    back = codec.decode(codec.encode(value))
    check_equal(back["a"][0], value["a"][0])
    check_equal(back["a"][1][0], value["a"][1][0])
    check_equal(back["b"].data, value["b"].data)
    nested = codec.decode(codec.encode([pa.table({"a": [1]}), pl.DataFrame({"a": [1]})]))
    assert (nested[0].to_pydict(), nested[1].to_dicts()) == ({"a": [1]}, [{"a": 1}])


def test_an_arrow_result_comes_back_as_one(codec):
    result = ArrowResult(pa.table({"a": [1, 2]}), statement="select", truncated=True)
    back = codec.decode(codec.encode(result))
    assert type(back) is ArrowResult
    assert (back.rows, back.rowcount, back.truncated) == ([(1,), (2,)], 2, True)
    assert back.arrow().equals(result.arrow())


def test_what_comes_back_can_be_changed(codec):
    for value in (np.zeros(3), np.zeros((2, 2), order="F"), pd.Series([1.0, 2.0])):
        back = codec.decode(codec.encode(value))
        back[0] = 5.0
        assert np.asarray(back).ravel()[0] == 5.0


def test_the_bytes_of_an_array_are_its_own_and_little_more():
    value = np.random.default_rng(1).random(250_000, dtype="f4")
    assert len(Codec().encode(value)) < value.nbytes + 200


@pytest.mark.parametrize(
    "value",
    [
        np.ma.masked_array([1, 2], mask=[True, False]),
        np.array([object()], dtype=object),
        np.zeros(1, dtype=np.dtype("i4", metadata={"a": 1})),
        np.array(["a"], dtype=np.dtypes.StringDType()),
        np.dtype("i4"),
        pd.Index([1, "a", (1,)], dtype=object),
        pl.LazyFrame({"a": [1]}),
        pa.array([1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_without_an_exact_form_is_refused(codec, value):
    with pytest.raises(UsageError, match="cannot be stored"):
        codec.encode(value)


def test_a_series_with_attributes_is_refused(codec):
    series = pd.Series([1])
    series.attrs["unit"] = "EUR"
    with pytest.raises(UsageError, match="attrs"):
        codec.encode(series)


@given(
    npst.arrays(
        npst.scalar_dtypes() | npst.nested_dtypes(),
        npst.array_shapes(min_dims=0, min_side=0),
        elements=None,
        fill=st.nothing(),
    )
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_array_comes_back_equal(value):
    back = Codec().decode(Codec().encode(value))
    assert (back.dtype, back.shape, back.tobytes()) == (value.dtype, value.shape, value.tobytes())


@pytest.mark.parametrize("value", [np.bytes_(b"a\0"), np.str_("a\0")])
def test_a_text_of_numpy_whose_zeros_an_array_would_drop_is_refused(value):
    with pytest.raises(UnstorableError, match="drops the zeros"):
        dump(value)
    plain = type(value)(value[:1])
    assert load(dump(plain)) == plain
