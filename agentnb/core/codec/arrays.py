"""Arrays, Series, indexes and frames as parts of a value: npy and Arrow, never a pickle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.codec.errors import UnreadableError, UnstorableError
from agentnb.core.codec.frames import decode_frame, encode_frame, has_frequency, kind_of
from agentnb.core.extras import need

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ARRAYS", "dump_array", "dump_raw", "load_raw", "room_for"]

# Booleans, numbers, times, bytes, text and records of them.
_KINDS = "biufcmMSUV"
# As wide as another type, and yet a type of its own.
_LONG_LONG = "qQ"
_LENGTH, _ALIGNED = 4, 64  # bytes of a length, and of what a processor reads at once
_MOST_AXES, _MOST_EMPTY = 64, 10_000
_PANDAS_SCALARS = frozenset({"Timestamp", "Timedelta", "Period", "Interval"})


def dump_array(value: Any) -> tuple[str, list[Any]] | None:
    """Return the tag and the parts of a value of numpy, pandas, polars or pyarrow.

    Returns
    -------
    tuple or None
        None if it is of none of their classes that have an exact form.

    Raises
    ------
    UnstorableError
        It would not come back equal.
    """
    library = type(value).__module__.partition(".")[0]
    if library == "numpy":
        return _dump_numpy(value)
    kind = kind_of(value)
    if kind is not None:
        return "frame", [kind, encode_frame(value, kind)[0], *_frequencies(value)]
    if library == "pandas":
        return _dump_pandas(value)
    if library == "polars" and type(value).__name__ == "Series":
        return "polars-series", [value.name, encode_frame(value.to_frame("0"), b"L")[0]]
    return None


def _dump_numpy(value: Any) -> tuple[str, list[Any]] | None:
    numpy = need("numpy")
    if isinstance(value, numpy.generic):
        array = numpy.asarray(value)
        if array.dtype.kind in "SU" and array[()] != value:
            raise UnstorableError("an array drops the zeros at the end of a text of numpy")
        return "numpy-scalar", _parts(array)
    if type(value) is not numpy.ndarray:
        return None
    if value.dtype == object:
        return "objects", [list(value.shape), value.ravel().tolist()]
    return "ndarray", _parts(value)


def _parts(array: Any) -> list[Any]:
    """Return what an npy file holds of an array: type, order, shape, bytes."""
    if array.dtype.hasobject or array.dtype.kind not in _KINDS or array.dtype.metadata:
        raise UnstorableError(f"an array of {array.dtype!r} has no exact form")
    descr = need("numpy.lib.format").dtype_to_descr(array.dtype)
    if array.dtype.char in _LONG_LONG and array.dtype.isnative:
        descr = array.dtype.char
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    data = array.tobytes("F" if fortran else "C")
    return [descr, fortran, list(array.shape), data]


def _load_ndarray(descr: Any, fortran: bool, shape: list[int], data: bytes) -> Any:  # noqa: FBT001 - as it was stored
    numpy = need("numpy")
    dtype = need("numpy.lib.format").descr_to_dtype(descr)
    if dtype.hasobject or dtype.kind not in _KINDS:
        raise UnreadableError("an array of objects")
    if dtype.itemsize:
        flat = numpy.frombuffer(data, dtype)
    elif not data and len(shape) <= _MOST_AXES and math.prod(shape) <= _MOST_EMPTY:
        flat = numpy.empty(math.prod(shape), dtype)
    else:
        raise UnreadableError("an array is damaged")
    # A copy can be changed; a view of bytes cannot.
    return flat.reshape(shape, order="F" if fortran else "C").copy(order="K")


def dump_raw(value: Any) -> bytes | None:
    """Return an array as its type, its shape and its bytes as they are.

    None stands for what is none, or one of records.

    Raises
    ------
    UnstorableError
        It would not come back equal.
    """
    kind = type(value)
    if (kind.__module__, kind.__name__) != ("numpy", "ndarray") or value.dtype == object:
        return None
    if value.dtype.names is not None:
        return None
    descr, fortran, shape, data = _parts(value)
    head = msgspec.msgpack.encode([descr, fortran, shape])
    start = -(-(len(head) + _LENGTH) // _ALIGNED) * _ALIGNED
    raw: bytes = data
    return len(head).to_bytes(_LENGTH) + head.ljust(start - _LENGTH, b"\0") + raw


def room_for(size: int) -> Any:
    """Return bytes for `load_raw`, which are not filled with zeros first."""
    return need("numpy").empty(size, "u1")


def load_raw(data: Any, at: int) -> Any:
    """Return the array that `dump_raw` has made bytes of, in the memory of these.

    Parameters
    ----------
    data, at
        The bytes, and where its own begin.
    """
    numpy = need("numpy")
    whole = memoryview(data)
    size = int.from_bytes(whole[at : at + _LENGTH])
    descr, fortran, shape = msgspec.msgpack.decode(
        whole[at + _LENGTH : at + _LENGTH + size], type=tuple[str, bool, list[int]]
    )
    dtype = need("numpy.lib.format").descr_to_dtype(descr)
    if dtype.hasobject or dtype.kind not in _KINDS:
        raise UnreadableError("an array of objects")
    start = at + -(-(size + _LENGTH) // _ALIGNED) * _ALIGNED
    flat = numpy.frombuffer(data, dtype, offset=start)
    return flat.reshape(shape, order="F" if fortran else "C")


def _load_objects(shape: list[int], items: list[Any]) -> Any:
    numpy = need("numpy")
    made = numpy.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        made[index] = item
    return made.reshape(shape)


def _dump_pandas(value: Any) -> tuple[str, list[Any]] | None:
    pandas = need("pandas")
    if value is pandas.NaT or value is pandas.NA:
        return "pandas-missing", ["NaT" if value is pandas.NaT else "NA"]
    if type(value) is pandas.Series:
        _check_attributes(value)
        if value.dtype == object:  # which Arrow would give a type of its own
            return "series-objects", [value.name, value.index, value.tolist()]
        return "series", [value.name, _column(value.rename("0")), *_frequencies(value)]
    if isinstance(value, pandas.Index):
        frame = pandas.DataFrame(index=value)
        names = list(value.names)
        data, copy = encode_frame(frame.rename_axis(_blank(names)), b"P")
        if type(copy.index) is not type(value):
            raise UnstorableError(f"the {type(value).__name__} would come back changed")
        return "index", [names, data, *_frequencies(frame)]
    if isinstance(value, pandas.api.extensions.ExtensionArray):
        return "pandas-array", [_column(pandas.Series(value, name="0", copy=False))]
    if type(value).__name__ in _PANDAS_SCALARS:
        data = _column(pandas.Series([value], name="0"))
        copy = _load_pandas_scalar(data)
        if type(copy) is not type(value) or copy != value or repr(copy) != repr(value):
            raise UnstorableError(f"the {type(value).__name__} would come back changed")
        return "pandas-scalar", [data]
    return None


def _check_attributes(value: Any) -> None:
    if value.attrs:
        raise UnstorableError(f"the {type(value).__name__} has attrs, which would be lost")


def _column(series: Any) -> bytes:
    return encode_frame(series.to_frame(), b"P")[0]


def _blank(names: list[Any]) -> list[None]:
    return [None] * len(names)


def _frequencies(value: Any) -> list[Any]:
    """Return the frequency of an index of times, which Arrow has no place for."""
    return [value.index.freq.freqstr] if has_frequency(value) else []


def _with_frequency(value: Any, frequency: list[str]) -> Any:
    if frequency:
        value.index.freq = frequency[0]
    return value


def _load_frame(kind: bytes, data: bytes, *frequency: str) -> Any:
    return _with_frequency(decode_frame(data, kind), list(frequency))


def _load_series(name: Any, data: bytes, *frequency: str) -> Any:
    series = decode_frame(data, b"P")["0"].rename(name)
    return _with_frequency(series, list(frequency))


def _load_series_of_objects(name: Any, index: Any, items: list[Any]) -> Any:
    pandas = need("pandas")
    return pandas.Series(_load_objects([len(items)], items), index=index, name=name, dtype=object)


def _load_index(names: list[Any], data: bytes, *frequency: str) -> Any:
    frame = _with_frequency(decode_frame(data, b"P"), list(frequency))
    return frame.index.set_names(names)


def _load_pandas_scalar(data: bytes) -> Any:
    return decode_frame(data, b"P")["0"].iloc[0]


def _load_missing(name: str) -> Any:
    return {"NaT": need("pandas").NaT, "NA": need("pandas").NA}[name]


ARRAYS: dict[str, Callable[..., Any]] = {
    "frame": _load_frame,
    "ndarray": _load_ndarray,
    "numpy-scalar": lambda *parts: _load_ndarray(*parts)[()],
    "objects": _load_objects,
    "series": _load_series,
    "series-objects": _load_series_of_objects,
    "index": _load_index,
    "pandas-array": lambda data: decode_frame(data, b"P")["0"].array,
    "pandas-scalar": _load_pandas_scalar,
    "pandas-missing": _load_missing,
    "polars-series": lambda name, data: decode_frame(data, b"L").to_series().rename(name),
}
