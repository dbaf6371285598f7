"""What can be loaded into a table: columns with types, and rows in any number."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.frames import need
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Source", "read"]

_CHUNK = 10_000
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


@dataclass(slots=True)
class Source:
    """Named and typed columns, and the rows under them.

    Parameters
    ----------
    columns
        Name and kind of each: ``integer real text boolean date datetime time decimal
        bytes json``.
    rows
        Read once, in order.
    """

    columns: list[tuple[str, str]]
    rows: Iterable[Sequence[Any]]


def read(source: Any) -> Source:
    """Return columns and rows of a frame, of rows or of a file.

    Raises
    ------
    UsageError
        It is none of these, or it has no columns.
    NotFoundError
        There is no such file.
    """
    if isinstance(source, (str, Path)):
        found = _file(Path(source).expanduser())
    elif isinstance(source, Table):
        found = _dicts([dict(zip(source.columns, row, strict=True)) for row in source.rows])
    elif isinstance(source, (list, tuple)) and all(isinstance(row, dict) for row in source):
        found = _dicts(source)
    elif hasattr(source, "__arrow_c_stream__") or hasattr(source, "to_arrow"):
        found = _arrow(source)
    else:
        raise UsageError(
            f"a {type(source).__name__} cannot be loaded",
            service="db",
            hint="a pandas, polars or Arrow frame, a list of dictionaries, or a "
            ".csv, .json, .jsonl or .parquet file",
        )
    if not found.columns:
        raise UsageError("there are no columns to load", service="db")
    return found


def _file(path: Path) -> Source:
    readers = {".csv": _csv, ".json": _json, ".jsonl": _json, ".ndjson": _json}
    readers[".parquet"] = _parquet
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path.name}: a file of an unknown kind",
            service="db",
            hint=f"the name ends in one of {', '.join(readers)}",
        )
    if not path.is_file():
        raise NotFoundError(
            f"there is no file {path}", service="db", hint=f"looked for it from {Path.cwd()}"
        )
    try:
        return reader(path)
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}", service="db") from error


def _csv(path: Path) -> Source:
    # Two passes: the first finds the types, so that any size loads in bounded memory.
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        names = next(lines, [])
        kinds = [_Guess() for _ in names]
        for row in lines:
            if row and len(row) != len(names):
                raise UsageError(
                    f"{path.name}, line {lines.line_num}: {len(row)} values under "
                    f"{len(names)} columns",
                    service="db",
                )
            for guess, text in zip(kinds, row, strict=False):
                guess.see(text)

    def rows() -> Iterator[list[Any]]:
        converters = [guess.convert for guess in kinds]
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            next(lines, None)
            for row in lines:
                if row:
                    yield [f(text) for f, text in zip(converters, row, strict=True)]

    return Source([(name, g.kind) for name, g in zip(names, kinds, strict=True)], rows())


def _integer(text: str) -> int:
    # "007" and "1_000" are names that look like numbers.
    digits = text.lstrip("-")
    if not digits.isdecimal() or not text.isascii() or (len(digits) > 1 and digits[0] == "0"):
        raise ValueError(text)
    value = int(text)
    if not _SMALLEST <= value <= _LARGEST:
        raise ValueError(text)
    return value


def _real(text: str) -> float:
    digits = text.lstrip("+-")
    if "_" in text or (not digits[:1].isdigit() and digits[:1] != "."):
        raise ValueError(text)
    if len(digits) > 1 and digits[0] == "0" and digits[1] not in ".eE":
        raise ValueError(text)
    return float(text)


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _date(text: str) -> dt.date:
    if len(text) != len("2026-01-31"):
        raise ValueError(text)
    return dt.date.fromisoformat(text)


def _datetime(text: str) -> dt.datetime:
    value = _moment(text)
    if value.tzinfo is not None:
        raise ValueError(text)
    return value


def _datetimetz(text: str) -> dt.datetime:
    value = _moment(text)
    if value.tzinfo is None:
        raise ValueError(text)
    return value


def _moment(text: str) -> dt.datetime:
    if len(text) < len("2026-01-31T10:00"):
        raise ValueError(text)
    return dt.datetime.fromisoformat(text)


_LADDER = (
    ("integer", _integer),
    ("real", _real),
    ("boolean", _boolean),
    ("date", _date),
    ("datetime", _datetime),
    ("datetimetz", _datetimetz),
)


class _Guess:
    """The narrowest type that every value of a column of text has."""

    def __init__(self) -> None:
        self._fitting = list(_LADDER)
        self._seen = False

    def see(self, text: str) -> None:
        """Drop the types that a value does not have; an empty one is a missing value."""
        if text:
            self._seen = True
            self._fitting = [rung for rung in self._fitting if _fits(rung[1], text)]

    @property
    def kind(self) -> str:
        """Return the type, text where there is no other."""
        return self._fitting[0][0] if self._fitting and self._seen else "text"

    def convert(self, text: str) -> Any:
        """Return a value of the column's type."""
        if not text:
            return None
        return text if self.kind == "text" else self._fitting[0][1](text)


def _fits(parse: Any, text: str) -> bool:
    try:
        parse(text)
    except (ValueError, KeyError):
        return False
    return True


def _json(path: Path) -> Source:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".json":
        rows = json.loads(text)
        rows = [rows] if isinstance(rows, dict) else rows
    else:
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(
            f"{path.name} does not hold a list of objects",
            service="db",
            hint='such as [{"name": "plan"}, {"name": "build"}], or one object a line in .jsonl',
        )
    return _dicts(rows)


def _parquet(path: Path) -> Source:
    parquet = need("pyarrow.parquet")
    file = parquet.ParquetFile(path)
    return _batches(file.schema_arrow, file.iter_batches(_CHUNK))


def _arrow(source: Any) -> Source:
    arrow = need("pyarrow")
    if type(source).__module__.startswith("pandas."):
        # NaN is how pandas writes a missing value; an index without a name is a row number.
        keep = source.index.name is not None
        table = arrow.Table.from_pandas(source, preserve_index=keep)
    elif hasattr(source, "__arrow_c_stream__"):
        table = arrow.table(source)
    else:
        table = source.to_arrow()
    return _batches(table.schema, table.to_batches(_CHUNK))


def _batches(schema: Any, batches: Iterable[Any]) -> Source:
    kinds = [(field.name, _arrow_kind(field.type)) for field in schema]

    def rows() -> Iterator[Sequence[Any]]:
        for batch in batches:
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    return Source(kinds, rows())


def _arrow_kind(kind: Any) -> str:
    types = need("pyarrow.types")
    for name, test in (
        ("boolean", types.is_boolean),
        ("integer", types.is_integer),
        ("real", types.is_floating),
        ("decimal", types.is_decimal),
        ("datetime", types.is_timestamp),
        ("date", types.is_date),
        ("time", types.is_time),
        ("json", types.is_nested),
        ("bytes", types.is_binary),
        ("bytes", types.is_large_binary),
    ):
        if test(kind):
            return "datetimetz" if name == "datetime" and kind.tz else name
    return "text"


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "real"),
    (dt.datetime, "datetime"),
    (dt.date, "date"),
    (dt.time, "time"),
    (bytes, "bytes"),
    (dict, "json"),
    (list, "json"),
)


def _dicts(rows: Sequence[dict[str, Any]]) -> Source:
    kinds: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(str(name), set()).add(_kind_of(value))
    columns = [(name, _common(found - {"null"})) for name, found in kinds.items()]
    return Source(columns, ([row.get(name) for name, _ in columns] for row in rows))


def _kind_of(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "null"
    if isinstance(value, dt.datetime) and value.tzinfo:
        return "datetimetz"
    if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
        return "decimal"
    if type(value).__name__ == "Decimal":
        return "decimal"
    return next((kind for python, kind in _KINDS if isinstance(value, python)), "text")


def _common(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return kinds.pop()
    return "real" if kinds == {"integer", "real"} else "text"
