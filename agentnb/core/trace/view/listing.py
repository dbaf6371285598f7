"""Traces as the rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.table import Column, Table
from agentnb.core.trace.listed import row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.trace.tree import Trace

__all__ = ["table_of"]

_COLUMNS = (
    *(Column("when", "time"), "name", Column("took", "duration"), Column("spans", "count")),
    *(Column("processes", "count"), Column("failed", "count"), "trace"),
)


def table_of(traces: Sequence[Trace], *, failed: bool = False) -> Table:
    """Return a table of traces: when, what, how long, how many, and the beginning of its id.

    Parameters
    ----------
    traces
        The traces.
    failed
        Whether only those with failures were looked for.
    """
    rows = [
        (row.began, row.name, row.ms / 1000, row.spans, row.processes, row.failed, trace.id[:8])
        for trace, row in ((trace, row_of(trace)) for trace in traces if len(trace))
    ]
    empty = "no trace has a failure" if failed else "nothing was traced yet"
    return Table(
        _COLUMNS,
        rows,
        note="hub.trace.get(ID) (%trace ID) shows one" if rows else "",
        empty=f'{empty}: hub.db.query("select 1") (%db select 1) makes one',
        display=None,
    )
