"""Traces as the rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.table import Column, Table
from agentnb.core.trace.view.words import title

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
        (
            *(trace.spans[0].began, _name(trace), trace.ms / 1000, len(trace.spans)),
            *(len({span.process for span in trace.spans}), len(trace.failed), trace.id[:8]),
        )
        for trace in traces
        if trace.spans
    ]
    empty = "no trace has a failure" if failed else "nothing was traced yet"
    return Table(
        _COLUMNS,
        rows,
        note="hub.trace.get(ID) (%trace ID) shows one" if rows else "",
        empty=f'{empty}: hub.db.query("select 1") (%db select 1) makes one',
        display=None,
    )


def _name(trace: Trace) -> str:
    """Return the name of a trace: that of its cell or its first root."""
    roots = trace.roots or trace.spans
    named = next((span for span in roots if span.kind == "cell"), roots[0])
    return trace.redactor(title(named))
