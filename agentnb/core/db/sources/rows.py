"""Rows as dictionaries, and JSON files."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import os
import uuid
from typing import TYPE_CHECKING, Any

from agentnb.core.db.sources.source import Source
from agentnb.core.db.values import (
    LARGEST,
    PLAIN,
    SMALLEST,
    TEXTUAL,
    UnfitError,
    in_microseconds,
    plain_value,
)
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["plain_column", "read_dicts", "read_json"]

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "real"),
    (dt.datetime, "datetime"),
    (dt.date, "date"),
    (dt.time, "time"),
    (bytes, "bytes"),
    (bytearray, "bytes"),
    (memoryview, "bytes"),
    (dt.timedelta, "interval"),
    (decimal.Decimal, "decimal"),
    (dict, "json"),
    (list, "json"),
    (tuple, "json"),
    (uuid.UUID, "uuid"),
    *((kind, "text") for kind in (str, os.PathLike, *TEXTUAL)),
)


def read_json(path: Path) -> Source:
    """Return the objects of a JSON file, or of one with an object a line.

    Raises
    ------
    UsageError
        It holds something else.
    """
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".json":
        rows = json.loads(text)
        rows = [rows] if isinstance(rows, dict) else rows
    else:
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(
            f"{path.name} does not hold a list of objects",
            service="db",
            hint='such as [{"name": "plan"}, {"name": "build"}], or one object a line in .jsonl',
        )
    return read_dicts(rows)


def read_dicts(
    rows: Sequence[dict[str, Any]], names: Sequence[Any] = (), kinds: Sequence[str | None] = ()
) -> Source:
    """Return rows whose columns are the keys of all of them, after the names given.

    Parameters
    ----------
    rows
        The dictionaries.
    names
        Columns that come first, also without rows.
    kinds
        Of these columns, for those without values.

    Raises
    ------
    UsageError
        A column has values that no database stores, or that do not go together.
    """
    keys = dict.fromkeys([*names, *(name for row in rows for name in row)])
    known = dict(zip(names, kinds, strict=False))
    found = [
        (str(name), *plain_column(name, [row.get(name) for row in rows], known.get(name)))
        for name in keys
    ]
    return Source(
        [(name, kind) for name, kind, _ in found],
        zip(*(values for _, _, values in found), strict=True),
    )


def plain_column(
    name: object, values: list[Any], known: str | None = None
) -> tuple[str, list[Any]]:
    """Return the kind of a column's values, and the values as Python's own.

    Parameters
    ----------
    name, values
        The column.
    known
        Its kind if there is no value; default: ``"text"``.

    Raises
    ------
    UsageError
        No database stores them, or they do not go together.
    """
    try:
        values = [_plain(value) for value in values]
        kinds = {_kind_of(value) for value in values} - {"null"}
        return (_common(kinds) if kinds else known or "text"), values
    except UnfitError as error:
        raise error.about(f"column {name!r}") from error


def _plain(value: Any) -> Any:
    """Return numpy's and pandas' values as Python's, and what they call missing as None."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return in_microseconds(value).tolist()
    return plain_value(value)


def _kind_of(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "null"
    if isinstance(value, (dt.datetime, dt.time)) and value.tzinfo:
        return "datetimetz" if isinstance(value, dt.datetime) else "timetz"
    if isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        return "decimal"
    found = next((kind for python, kind in _KINDS if isinstance(value, python)), None)
    if found is None:
        raise UnfitError(
            f"has a {type(value).__name__}, which is not stored by itself",
            "load it as text, str(value), or as its parts",
        )
    return found


def _common(kinds: set[str]) -> str:
    """Return the kind that values of several kinds go into without a change."""
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {"integer", "real"}:
        return "real"
    if kinds <= {"integer", "real", "decimal"}:
        return "decimal"
    if len(kinds & {"datetime", "datetimetz"}) > 1:
        raise UnfitError(
            "has times with and without a time zone", "give each of them one, or none of them"
        )
    if alone := kinds & {"bytes", "interval", "timetz", "uuid"}:
        others = ", ".join(sorted(kinds - alone) or sorted(alone))
        raise UnfitError(f"mixes {min(alone)} and {others}", "load them as columns of their own")
    return "text"
