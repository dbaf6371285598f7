"""The rows of a waterfall: spans in the order of the tree, repeats merged into one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.trace.spans import Span
    from agentnb.core.trace.tree import Trace

__all__ = ["Row", "chosen", "rows_of"]

_REPEATS = 5
_FAILURES = 3
_MOST_FAILURES = 50


class Row:
    """One row: a span, or all those of one name below the same row.

    Attributes
    ----------
    spans
        Its spans, by start time.
    level
        The number of rows above it in the tree.
    above
        The row that it lies below, or None.
    excerpt
        Whether it shows one span of the merged row above it.
    hidden
        The number of spans below it that have no rows, since they lie too deep.
    """

    __slots__ = ("above", "excerpt", "hidden", "level", "spans")

    def __init__(
        self, spans: list[Span], level: int, above: Row | None, *, excerpt: bool = False
    ) -> None:
        self.spans = spans
        self.level = level
        self.above = above
        self.excerpt = excerpt
        self.hidden = 0

    @property
    def span(self) -> Span:
        """The first of its spans."""
        return self.spans[0]

    @property
    def merged(self) -> bool:
        """Whether it stands for several spans."""
        return len(self.spans) > 1

    @property
    def failures(self) -> int:
        """The number of its spans that failed."""
        return sum(span.failed for span in self.spans)


def rows_of(trace: Trace, *, merge: bool = True, depth: int | None = None) -> list[Row]:
    """Return the rows of a trace, each above those that lie below it.

    Parameters
    ----------
    trace
        The trace.
    merge
        Whether more than five spans of one name below the same row are one row, and the spans
        below them are merged in the same way. Their first three failures are rows of their own.
    depth
        How many levels; None for all.
    """
    found: list[Row] = []
    waiting = _below(None, trace.roots, merge=merge)
    while waiting:  # no recursion: a chain of jobs may be thousands deep
        row = waiting.pop()
        found.append(row)
        if row.excerpt:
            continue
        children = [child for span in row.spans for child in trace.children(span)]
        if depth is not None and row.level + 1 >= depth:
            row.hidden = _count(trace, children)
            continue
        if row.merged:
            failed = [span for span in row.spans if span.failed][:_FAILURES]
            rows = (Row([span], row.level + 1, row, excerpt=True) for span in reversed(failed))
            waiting.extend(rows)
        waiting.extend(_below(row, children, merge=merge))
    return found


def _below(above: Row | None, spans: Iterable[Span], *, merge: bool) -> list[Row]:
    """Return the rows of spans below a row, last first."""
    level = above.level + 1 if above else 0
    groups: dict[object, list[Span]] = {}
    for span in spans:
        groups.setdefault(_name(span) if merge else span.span, []).append(span)
    rows: list[Row] = []
    for group in groups.values():
        if len(group) > _REPEATS:
            group.sort(key=_began)
            rows.append(Row(group, level, above))
        else:
            rows += [Row([span], level, above) for span in group]
    rows.sort(key=lambda row: row.span.began, reverse=True)
    return rows


def _began(span: Span) -> float:
    return span.began


def _name(span: Span) -> tuple[object, ...]:
    """Return the name by which spans are the same; tasks are so only by their own names."""
    if span.name == "task":
        return span.service, span.name, str((span.attributes or {}).get("task"))
    return span.service, span.name


def _count(trace: Trace, spans: list[Span]) -> int:
    """Return how many spans there are, with all below them."""
    count, waiting = 0, list(spans)
    while waiting:
        count += 1
        waiting += trace.children(waiting.pop())
    return count


def chosen(rows: list[Row], limit: int) -> list[Row]:
    """Return at most so many rows: the first failures with all that is above them, and the first.

    Parameters
    ----------
    rows
        All rows.
    limit
        Greatest number.
    """
    if len(rows) <= limit:
        return rows
    kept: set[int] = set()
    failed = [row for row in rows if not row.merged and row.span.failed]
    for row in failed[:_MOST_FAILURES]:
        path: list[int] = []
        step: Row | None = row
        while step is not None and id(step) not in kept:
            path.append(id(step))
            step = step.above
        if len(kept) + len(path) <= limit:
            kept.update(path)
    for row in rows:
        if len(kept) >= limit:
            break
        kept.add(id(row))
    return [row for row in rows if id(row) in kept]
