"""Every span of a trace as a row of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.trace.view.words import label

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.trace.tree import Trace

__all__ = ["COLUMNS", "rows_of_spans"]

COLUMNS = (
    *("service", "name", "kind", "label", "started", "ms", "outcome", "error", "attempt"),
    *("pid", "host", "role", "span_id", "parent_id", "correlation_id"),
)
"""The names of the columns."""


def rows_of_spans(trace: Trace, redactor: Callable[[str], str]) -> list[tuple[Any, ...]]:
    """Return the columns' values of each span, by start time, with secrets masked."""
    found = []
    for span in trace.spans:
        record = span.to_dict(redactor)
        process = span.process
        where: tuple[Any, ...] = (None, None, None)
        if process is not None:
            where = process.pid, redactor(process.host), redactor(process.role)
        text = label(record) or None
        found.append((
            *(span.service, record["name"], span.kind, text, span.started, span.ms),
            *(record["outcome"], record.get("error"), span.attempt, *where),
            *(span.span_id, span.parent_id, record["correlation_id"]),
        ))  # fmt: skip
    return found
