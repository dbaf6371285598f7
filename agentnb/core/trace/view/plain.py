"""A trace as text that is the same in every run: names, outcomes and attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.trace.view.rows import rows_of
from agentnb.core.trace.view.words import line, title

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.trace.tree import Trace

__all__ = ["plain_of"]


def plain_of(trace: Trace, redactor: Callable[[str], str]) -> str:
    """Return the tree of a trace without times, ids, numbers of processes and of cells."""
    lines = []
    for row in rows_of(trace):
        if row.excerpt:
            continue
        span = row.span
        words = [redactor(title(span, numbered=False))]
        if row.merged:
            words.append(f"×{len(row.spans):,}")
            words += [f"✕ {row.failures:,}"] if row.failures else []
        else:
            words += [f"attempt {span.attempt}"] if span.attempt > 1 else []
            words += [] if span.outcome == "ok" else [line(redactor(span.outcome))]
        lines.append("  " * row.level + " ".join(words))
    return "\n".join(lines)
