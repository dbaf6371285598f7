"""The rows of a result that was cut: its statement runs again, inside of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.db.effects import locks
from agentnb.core.db.text import scan
from agentnb.core.errors import AgentnbError
from agentnb.core.grid.asking import SQLEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentnb.core.db.executor import Executor
    from agentnb.core.db.result import Preview

__all__ = ["query_engine", "refusal"]

_ALL = "x << SQL keeps all rows"
_FULL = frozenset({"sqlite", "postgresql", "duckdb"})
# They return other rows each time, or change something.
_VOLATILE = frozenset({
    "gen_random_uuid", "nextval", "random", "randomblob", "sample", "setseed", "setval",
    "tablesample", "uuid", "uuidv4", "uuidv7",
})  # fmt: skip


def refusal(result: Preview, database: Executor | None) -> str:
    """Return the line that says why a cut result is not asked for again; ``""`` if it can be."""
    origin = result.origin
    if database is None or origin is None:
        return f"these are not all rows of the result: {_ALL}"
    backend = database.access.backend
    if backend.kind not in _FULL or backend.support != "full":
        return f"{backend.kind} does not sort and filter for a grid: {_ALL}"
    if database.name != origin.connection:
        return f"the result came from {origin.connection}, not from {database.name}: {_ALL}"
    try:
        statement = scan(result.statement, backend.syntax)
    except AgentnbError as error:
        return f"{error.message}: {_ALL}"
    if not statement.reads or locks(statement):
        return f"only a SELECT without locks is asked again: {_ALL}"
    if found := sorted(statement.words & _VOLATILE):
        return f"the rows of {found[0]} are others each time: {_ALL}"
    if lost := origin.lost():
        return f"the frame {lost[0]} is not there any longer: run the statement again"
    return ""


def query_engine(result: Preview, details: Sequence[str], database: Executor) -> SQLEngine:
    """Return the engine that asks a database for parts of a result.

    Parameters
    ----------
    result
        The result, of which some rows are there.
    details
        The types of the values of these rows.
    database
        The database.
    """
    kind = database.access.backend.kind
    told = [*result.kinds, *[None] * len(details)]
    if kind != "sqlite":  # which has no types of columns, so that each row might change them
        details = [one or "other" for one, _ in zip(told, details, strict=False)]
    origin = result.origin
    frames = {} if origin is None else origin.frames()
    params: Mapping[str, Any] = {} if origin is None else origin.params

    def ask(sql: str, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        return database.query(sql, {**params, **values}, frames=frames or None).rows

    return SQLEngine(
        "query",
        result.columns,
        details,
        kind=kind,
        query=result.statement,
        ask=ask,
        close=_nothing,
    )


def _nothing() -> None:
    """Leave the database as it is: it is the user's."""
