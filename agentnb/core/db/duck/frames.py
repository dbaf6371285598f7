"""Frames of the caller as tables, for one statement: those that its text names, and no others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agentnb.core.db.duck.paths import plain
from agentnb.core.db.syntax import DUCKDB
from agentnb.core.db.text import tokens
from agentnb.core.errors import UsageError
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agentnb.core.db.text import Statement

__all__ = ["is_frame", "named", "named_as", "readable", "registered"]

_MAKES_A_VIEW = {"create", "view"}
_IS_THERE = (
    "select 1 from (select table_name as name from duckdb_tables() union all "
    "select view_name from duckdb_views()) where lower(name) = lower($1) limit 1"
)
_FRAMES = {
    "pandas": {"DataFrame", "Series"},
    "polars": {"DataFrame", "LazyFrame", "Series"},
    "pyarrow": {"Table", "RecordBatch"},
}


class Batches:
    """A frame whose Arrow batches are made while a statement reads them, once.

    Parameters
    ----------
    reader
        Makes a reader of the batches, for each statement.
    """

    __slots__ = ("reader",)

    def __init__(self, reader: Callable[[], Any]) -> None:
        self.reader = reader


def is_frame(value: Any) -> bool:
    """Return whether a value is a frame: of pandas, polars or Arrow, or one of ours.

    >>> is_frame(Table(["n"], [(1,)])), is_frame([1])
    (True, False)
    """
    if isinstance(value, Table | Batches):
        return True
    if isinstance(value, type):
        return False
    kind = type(value)
    if kind.__name__ in _FRAMES.get(kind.__module__.partition(".")[0], ()):
        return True
    return hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")


def named(statement: Statement, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the frames of a scope that a statement names.

    Parameters
    ----------
    statement
        The statement; a string or a comment names nothing.
    scope
        Values by name, such as the variables of a notebook.

    Raises
    ------
    UsageError
        The names of two frames differ in case only.
    """
    words = {
        plain(text)
        for kind, text, _ in tokens(statement.sql, DUCKDB)
        if kind in {"word", "initial", "quoted"}
    }
    found: dict[str, Any] = {}
    written: dict[str, str] = {}
    for word in sorted(words):
        name = named_as(word, scope)
        if name is None:
            continue
        other = written.setdefault(name.lower(), name)
        if other != name:
            raise _alike(other, name)
        found[name] = scope[name]
    return found


def named_as(word: str, scope: Mapping[str, Any]) -> str | None:
    """Return the name of the frame that a word means: in its spelling, else in any case.

    >>> frame = Table(["n"], [(1,)])
    >>> named_as("DF", {"df": frame}), named_as("df", {"DF": frame, "df": frame, "k": 1})
    ('df', 'df')

    Raises
    ------
    UsageError
        It may mean two frames, whose names differ in case only.
    """
    if word in scope and is_frame(scope[word]):
        return word
    lower = word.lower()
    names = [one for one in scope if one.lower() == lower and is_frame(scope[one])]
    if len(names) > 1:
        raise _alike(*names[:2])
    return names[0] if names else None


def _alike(one: str, other: str) -> UsageError:
    return UsageError(
        f"the frames {one} and {other} have one name in SQL, which knows no case",
        service="db",
        hint=f"rename one: other = {other}",
    )


@contextmanager
def registered(
    native: Any, statement: Statement, scope: Mapping[str, Any] | None
) -> Iterator[None]:
    """Run a block in which the frames that a statement names are tables of a connection.

    A table or view of the same name is not covered.

    Parameters
    ----------
    native
        DuckDB's connection.
    statement
        The statement.
    scope
        The frames by name, among other values.

    Raises
    ------
    UsageError
        A frame can be read once only, or the statement would keep it by its name.
    """
    frames = named(statement, scope) if scope else {}
    names = [name for name in frames if not native.execute(_IS_THERE, [name]).fetchall()]
    if names and statement.words >= _MAKES_A_VIEW and statement.keyword == "create":
        raise UsageError(
            f"a view of the frame {names[0]} would be of no use after this statement",
            service="db",
            hint="create table NAME as select ...",
        )
    made = []
    try:
        for name in names:
            native.register(name, readable(name, frames[name]))
            made.append(name)
        yield
    finally:
        for name in made:
            native.unregister(name)


def readable(name: str, value: Any) -> Any:
    """Return a frame in a form that DuckDB reads, with its index."""
    if isinstance(value, Table):
        return value.arrow()
    if isinstance(value, Batches):
        return value.reader()
    library = type(value).__module__.partition(".")[0]
    if library == "pandas":
        return _pandas(value)
    if library == "polars":
        return value.to_frame() if type(value).__name__ == "Series" else value
    if library == "pyarrow" and type(value).__name__ in _FRAMES["pyarrow"]:
        return value
    if hasattr(value, "read_next_batch") or hasattr(value, "__next__"):
        raise UsageError(
            f"{name} can be read once only",
            service="db",
            hint=f"keep it first: {name} = {name}.read_all()",
        )
    from agentnb.core.extras import need

    return need("pyarrow").table(value)


def _pandas(value: Any) -> Any:
    frame = value if hasattr(value, "columns") else value.to_frame()
    index = frame.index
    counts = type(index).__name__ == "RangeIndex" and index.name is None
    names = [*([] if counts else index.names), *frame.columns]
    if twice := {str(name) for name in names if name is not None and names.count(name) > 1}:
        raise UsageError(
            f"columns of one name: {', '.join(sorted(twice))}",
            service="db",
            hint="rename them first; a named index is a column, too: df.reset_index(drop=True)",
        )
    return frame if counts else frame.reset_index()
