"""Statements on a tape: their text and values, their rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from agentnb.core.db.fetching import is_url
from agentnb.core.db.result import ArrowResult, Preview, Result, Script
from agentnb.core.db.values import Columns
from agentnb.core.errors import UsageError
from agentnb.core.table import Table
from agentnb.core.tape.forms import NOTHING
from agentnb.core.tape.hook import Operation
from agentnb.core.tape.values import digest_of, digested, dump, dump_row, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agentnb.core.db.fetching import Fetch
    from agentnb.core.db.text import Statement

__all__ = [
    "ARROW",
    "DESCRIBE",
    "EXECUTE",
    "EXPORT",
    "LOAD",
    "QUERY",
    "RETYPE",
    "SCRIPT",
    "STREAM",
    "TABLES",
    "TRANSACTION",
    "bound",
    "digests",
    "replayable",
    "source",
]

_CUT = -1
_ALWAYS = 200  # bytes of an answer beside its rows
_CELL = 16
_MANY = 1000  # dictionaries of values that are compared one by one
_LARGEST = 1_000_000
"""Bytes beyond which no tape keeps an answer, so that no more of it is looked at."""


def _size(rows: Sequence[Sequence[Any]]) -> int:
    """Return about the bytes of rows; `_CUT` of too many."""
    size = _ALWAYS
    for row in rows:
        size += _CELL * len(row)
        for one in row:
            if type(one) is str or type(one) is bytes:
                size += len(one)
        if size > _LARGEST:
            return _CUT
    return size


class _Results:
    """The form of the result of a statement."""

    def hold(self, answer: Result) -> tuple[Any, int]:
        """Return the result with a copy of its rows."""
        if isinstance(answer, Preview | ArrowResult):
            return None, _CUT
        rows = answer.rows
        size = _size(rows)
        return (None, size) if size == _CUT else ((answer, list(rows)), size)

    def dump(self, held: Any, redactor: Callable[[str], str]) -> dict[str, Any]:
        """Return the plain value of a result, with columns of secret names masked."""
        result, rows = held
        found: dict[str, Any] = {"rowcount": result.rowcount}
        if result.returns_rows:
            names = result.columns
            found["columns"] = [redactor(name) for name in names]
            found["rows"] = [dump_row(names, row, redactor) for row in rows]
            if any(result.kinds):
                found["kinds"] = list(result.kinds)
        if result.truncated:
            found["truncated"] = True
        if result.notices:
            found["notices"] = dump(list(result.notices), redactor)
        return found

    def load(self, data: dict[str, Any]) -> Result:
        """Return the result of a plain value."""
        columns: Any = data.get("columns", ())
        if "kinds" in data:
            columns = Columns(columns, data["kinds"])
        made = Result(
            columns,
            [tuple(load(row)) for row in data.get("rows", ())],
            rowcount=int(data["rowcount"]),
            truncated=bool(data.get("truncated")),
            returns_rows="columns" in data,
        )
        made.notices = tuple(data.get("notices", ()))
        return made


class _Scripts:
    """The form of the results of a script."""

    def hold(self, answer: Script) -> tuple[Any, int]:
        """Return what is held of each result."""
        parts = [_RESULTS.hold(one) for one in answer]
        if any(size == _CUT for _, size in parts):
            return None, _CUT
        return [held for held, _ in parts], sum(size for _, size in parts)

    def dump(self, held: Any, redactor: Callable[[str], str]) -> list[Any]:
        """Return the plain value of each."""
        return [_RESULTS.dump(one, redactor) for one in held]

    def load(self, data: list[Any]) -> Script:
        """Return the results of plain values."""
        return Script(map(_RESULTS.load, data))


class _Tables:
    """The form of a table, as of `Executor.describe`."""

    def hold(self, answer: Table) -> tuple[Any, int]:
        """Return the table with a copy of its rows."""
        rows = list(answer.rows)
        size = _size(rows)
        return (None, size) if size == _CUT else ((answer, rows), size)

    def dump(self, held: Any, redactor: Callable[[str], str]) -> dict[str, Any]:
        """Return the plain value of a table."""
        table, rows = held
        names = list(table.columns)
        found = {
            "columns": [redactor(name) for name in names],
            "rows": [dump(list(row), redactor) for row in rows],
        }
        return found | ({"note": redactor(table.note)} if table.note else {})

    def load(self, data: dict[str, Any]) -> Table:
        """Return the table of a plain value."""
        rows = [tuple(load(row)) for row in data["rows"]]
        return Table(data["columns"], rows, note=data.get("note", ""))


def _source(arguments: dict[str, Any], redactor: Callable[[str], str]) -> dict[str, Any]:
    """Return the arguments of `Executor.load`: of its source the rows, or the path."""
    return {**arguments, "source": dump(arguments["source"], redactor)}


def source(given: Any, fetch: Fetch | None = None) -> Any:
    """Return the source of `Executor.load` as a tape keeps it: of a frame the digest."""
    if fetch is not None and is_url(given):
        return fetch.shown(given)
    if isinstance(given, str | list):
        return given
    return digest_of_frame(given) or type(given).__name__


def digests(statements: Iterable[Statement], frames: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the digests of the frames that statements name; None of one that has none."""
    from agentnb.core.db.duck.frames import named

    found = {name: one for each in statements for name, one in named(each, frames).items()}
    return {name: digest_of_frame(found[name]) for name in sorted(found)}


def digest_of_frame(value: Any) -> str | None:
    """Return the digest of a frame's rows and types; None where reading them would use it up.

    Equal frames have equal digests, however their rows are laid out in parts.
    """
    from agentnb.core.db.duck.frames import is_frame, readable

    if not is_frame(value) or type(value).__name__ == "LazyFrame":
        return None
    try:
        import pyarrow as pa

        frame = readable("frame", value)
        if type(frame).__module__.partition(".")[0] == "pandas":
            table = pa.Table.from_pandas(frame, preserve_index=False)
        else:
            table = pa.table(frame)
        table = table.replace_schema_metadata(None).combine_chunks()
        hashed = _Hashed()
        with pa.PythonFile(hashed, "w") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    except (ImportError, UsageError, ArithmeticError, TypeError, ValueError, OSError):
        return None  # it can be read once only, or is no Arrow table
    return f"sha256:{hashed.digest.hexdigest()}"


class _Hashed:
    """A file whose content is only hashed."""

    closed = False

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        """Take some bytes."""
        self.digest.update(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def replayable(operation: Operation, arguments: Mapping[str, Any]) -> Operation:
    """Return an operation, without its form where a frame of its arguments has no digest."""
    frames = arguments.get("frames") or {}
    lost = next((name for name, digest in frames.items() if digest is None), None)
    if lost is None:
        return operation
    reason = f"the frame {lost} has no digest to tell it by: collect it, or make it an Arrow table"
    return operation._replace(form=None, reason=reason)


def bound(statements: Iterable[Statement], params: Any) -> Any:
    """Return the values that statements bind; params may be a whole namespace.

    >>> from agentnb.core.db.text import scan
    >>> bound([scan("select :n")], {"n": 1, "secret": 2})
    {'n': 1}
    """
    if isinstance(params, list):  # of `execute`, one for each run
        if len(params) > _MANY:
            return {"rows": len(params), "digest": digest_of(repr(params))}
        return [bound(statements, one) for one in params]
    if not hasattr(params, "keys"):
        return params
    names = sorted({bind.name.partition(".")[0] for one in statements for bind in one.binds})
    return {name: digested(params[name]) for name in names if name in params}


_RESULTS = _Results()
QUERY = Operation("db", "query", _RESULTS)
ARROW = Operation("db", "query", None, "Arrow data are not recorded: leave arrow=True away")
EXECUTE = Operation("db", "execute", _RESULTS)
SCRIPT = Operation("db", "script", _Scripts())
LOAD = Operation("db", "load", _RESULTS, prepare=_source)
RETYPE = Operation("db", "retype", _Tables())
TABLES = Operation("db", "tables", _Tables())
DESCRIBE = Operation("db", "describe", _Tables())
EXPORT = Operation("db", "export", None, "files that were exported are not recorded")
STREAM = Operation("db", "stream", None, "streams of rows are not recorded")
TRANSACTION = {
    name: Operation("db", name, NOTHING)
    for name in ("begin", "commit", "rollback", "savepoint", "release")
}
