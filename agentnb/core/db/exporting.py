"""All rows of a query, written to a file as they come."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.db import taped
from agentnb.core.db.backend import Watch
from agentnb.core.db.result import Result
from agentnb.core.db.sources import read
from agentnb.core.db.text import scan
from agentnb.core.db.values import Columns
from agentnb.core.errors import DeadlineExceeded, UsageError
from agentnb.core.export import Target, form_of, save
from agentnb.core.export import export as write
from agentnb.core.hints import rendered
from agentnb.core.table import Table

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from agentnb.core.db.executor import Executor
    from agentnb.core.export import Exported

__all__ = ["export", "export_source"]

_TIMEOUTS = 10
_CHUNK = 10_000
_GROUP = 100_000  # rows of Parquet that have their own statistics


def export(
    executor: Executor,
    sql: str,
    path: str | os.PathLike[str],
    params: Mapping[str, Any],
    *,
    overwrite: bool,
    separator: str | None,
    spreadsheet: bool,
    timeout: float | None,
    frames: Mapping[str, Any] | None,
) -> Exported:
    """Write the rows of a query to a file; see `Executor.export`."""
    access = executor.access
    form = form_of(path, separator=separator, spreadsheet=spreadsheet)
    target = Target(path, overwrite=overwrite, private=access.backend.home)
    statement = scan(sql, access.backend.syntax)
    if not statement.reads:
        raise UsageError(
            f"only a query is exported, got {statement.keyword.upper() or 'something else'}",
            service="db",
            hint="hub.db.export('select * from TABLE', 'rows.csv') "
            "(%db export rows.csv select * from TABLE)",
        )
    if timeout is None and access.backend.cancels:
        timeout = access.timeout * _TIMEOUTS
    watch = Watch(access.deadline(timeout))
    executor._taped(  # noqa: SLF001 - the two are one
        taped.EXPORT,
        lambda: {**executor._arguments([statement], params), "path": str(path)},  # noqa: SLF001
        lambda: None,
    )
    arrow = form.name == "parquet"
    chunk = _GROUP if arrow else _CHUNK
    parts = executor._chunks(statement, params, chunk, watch, frames, arrow=arrow)  # noqa: SLF001
    with closing(parts):
        try:
            return write(parts, target, form)
        except DeadlineExceeded as error:
            if given := watch.deadline.seconds:
                error.hint = rendered(
                    f"it had {given:g} s: give it longer with timeout={given * 2:g} "
                    f"(--timeout {given * 2:g}), or ask for less"
                )
            raise


def export_source(source: Any, path: str | os.PathLike[str], **options: Any) -> Exported:
    """Write a result, a frame or a list of dictionaries to a file.

    Parameters
    ----------
    source
        As `Executor.load` takes it.
    path
        As in `export`.
    **options
        ``overwrite``, ``separator``, ``spreadsheet`` and ``private``.

    Raises
    ------
    UsageError
        It is none of these, or as in `export`.
    """
    if isinstance(source, str | Path):
        raise UsageError(
            f"a {type(source).__name__} is not exported",
            service="db",
            hint="name a variable that has a result or a frame",
        )
    if isinstance(source, list) and source and all(isinstance(one, Table) for one in source):
        raise UsageError(
            f"there are {len(source)} results, and a file has one",
            service="db",
            hint="choose one: rows = results[0]",
        )
    if not isinstance(source, Table):
        found = read(source)
        names, kinds = zip(*found.columns, strict=True)
        source = Result(Columns(names, kinds), [tuple(row) for row in found.rows])
    return save(source, path, **options)
