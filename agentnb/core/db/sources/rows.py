"""Rows as dictionaries, and JSON files."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import TYPE_CHECKING, Any

from agentnb.core.db.sources.source import LARGEST, SMALLEST, Source
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["read_dicts", "read_json"]

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


def read_dicts(rows: Sequence[dict[str, Any]], names: Sequence[Any] = ()) -> Source:
    """Return rows whose columns are the keys of all of them, after the names given."""
    kinds: dict[Any, set[str]] = {name: set() for name in names}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(name, set()).add(_kind_of(_plain(value)))
    columns = [(str(name), _common(found - {"null"})) for name, found in kinds.items()]
    return Source(columns, ([_plain(row.get(name)) for name in kinds] for row in rows))


def _plain(value: Any) -> Any:
    """Return numpy's numbers as Python's, and what pandas calls missing as None."""
    module = type(value).__module__.partition(".")[0]
    if module == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    if module == "pandas" and type(value).__name__ in {"NAType", "NaTType"}:
        return None
    return value


def _kind_of(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "null"
    if isinstance(value, dt.datetime) and value.tzinfo:
        return "datetimetz"
    if isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        return "decimal"
    if type(value).__name__ == "Decimal":
        return "decimal"
    return next((kind for python, kind in _KINDS if isinstance(value, python)), "text")


def _common(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return kinds.pop()
    if kinds == {"integer", "real"}:
        return "real"
    return "decimal" if kinds == {"integer", "decimal"} else "text"
