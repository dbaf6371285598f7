"""DataFrames and Arrow tables come back equal, or storing them is an error."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agentnb.core.cache.codec import Codec
from agentnb.core.errors import UsageError
from tests.groups import stable_id

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")


@pytest.fixture
def codec():
    return Codec()


PANDAS = {
    "numbers and missing ones": lambda: pd.DataFrame({"a": [1.0, float("nan")], "b": ["x", None]}),
    "columns named by numbers": lambda: pd.DataFrame([[1, 2]]),
    "two levels of index": lambda: pd.DataFrame(
        {"a": [1]}, index=pd.MultiIndex.from_tuples([(1, "x")], names=["n", "w"])
    ),
    "categories": lambda: pd.DataFrame({"a": pd.Categorical(["x", "y"])}),
    "times": lambda: pd.DataFrame({"a": [1]}, index=pd.to_datetime(["2026-01-01T00:00:00Z"])),
    "nullable integers": lambda: pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
    "nothing": pd.DataFrame,
}


@pytest.mark.parametrize("name", PANDAS)
def test_a_pandas_frame_comes_back_equal(codec, name):
    frame = PANDAS[name]()
    data, copy = codec.encode_and_decode(frame)
    pd.testing.assert_frame_equal(copy, frame)
    pd.testing.assert_frame_equal(codec.decode(data), frame)


def test_what_comes_back_can_be_changed(codec):
    back = codec.decode(codec.encode(pd.DataFrame({"a": [1.0, 2.0]})))
    back.loc[0, "a"] = 5.0
    assert back["a"].tolist() == [5.0, 2.0]


@pytest.mark.parametrize(
    "columns",
    [{"a": [(1, 2)]}, {"a": [[1, 2]]}, {"a": [1, "x"]}, {"a": [object()]}, {"a": [1 + 2j]}],
    ids=stable_id,
)
def test_a_pandas_frame_that_would_change_is_refused(codec, columns):
    with pytest.raises(UsageError, match="pandas DataFrame cannot be stored"):
        codec.encode(pd.DataFrame(columns))


def test_a_pandas_frame_with_two_columns_of_one_name_is_refused(codec):
    with pytest.raises(UsageError, match="Duplicate column names"):
        codec.encode(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_polars_frame_comes_back_equal(codec):
    frame = pl.DataFrame(
        {"n": [1, None], "f": [1.5, float("nan")], "c": ["x", "y"], "t": [None, None]},
        schema_overrides={"n": pl.Int8, "c": pl.Categorical, "t": pl.Time},
    )
    back = codec.decode(codec.encode(frame))
    assert back.equals(frame)
    assert back.schema == frame.schema


def test_a_polars_frame_of_objects_is_refused(codec):
    with pytest.raises(UsageError, match="polars DataFrame cannot be stored"):
        codec.encode(pl.DataFrame({"a": [object()]}, schema={"a": pl.Object}))


def test_an_arrow_table_comes_back_equal(codec):
    table = pa.table({"a": [1.0, None], "b": ["x", "y"]}).replace_schema_metadata({"k": "v"})
    back = codec.decode(codec.encode(table))
    assert back.equals(table, check_metadata=True)


def test_an_arrow_table_may_hold_nan(codec):
    back = codec.decode(codec.encode(pa.table({"a": [1.0, float("nan")]})))
    assert str(back["a"].to_pylist()) == "[1.0, nan]"


def test_a_frame_is_not_of_another_type(codec):
    data = codec.encode(pd.DataFrame({"a": [1]}))
    assert len(codec.decode(data, pd.DataFrame)) == 1
    with pytest.raises(UsageError, match="it is a pandas DataFrame"):
        codec.decode(data, dict)


def test_a_frame_is_cached_like_any_other_value(cache):
    runs = []

    def load():
        runs.append(1)
        return pd.DataFrame({"a": range(3)})

    first = cache.get_or_set("frame", load)
    first.loc[0, "a"] = 100
    pd.testing.assert_frame_equal(cache.get_or_set("frame", load), pd.DataFrame({"a": range(3)}))
    assert runs == [1]


def test_periods_and_intervals_come_back_in_another_process(codec, tmp_path):
    index = pd.period_range("2026-01", periods=2, freq="M", name="month")
    frame = pd.DataFrame({"p": index, "i": pd.interval_range(0, 2)}, index=index)
    (tmp_path / "data").write_bytes(codec.encode_and_decode([frame, index])[0])
    code = (
        "import sys; from agentnb.core.cache.codec import Codec; "
        "frame, index = Codec().decode(open(sys.argv[1], 'rb').read()); "
        "print(frame.index.dtype, index.dtype, *frame.dtypes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "data"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split(maxsplit=3)[:3] == ["period[M]"] * 3
    assert "interval[int64" in done.stdout
