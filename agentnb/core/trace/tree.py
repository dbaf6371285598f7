"""One trace: its spans, in the tree that their parents make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agentnb.core.trace.spans import Process, Span

__all__ = ["Trace"]


class Trace:
    """The spans of one trace, of every process that wrote some.

    Parameters
    ----------
    id
        The trace's id, 32 hexadecimal digits.
    spans
        Its spans, in any order.
    notes
        Lines about what is not among them, such as spans that were dropped.

    Examples
    --------
    >>> from agentnb.core.trace.spans import Tracer
    >>> tracer = Tracer()
    >>> with tracer.span("import") as top, tracer.span("query", service="db"):
    ...     pass
    >>> trace = Trace(top.trace_id, tracer.recent())
    >>> [span.name for span in trace.roots], [span.name for span in trace.children(top)]
    (['import'], ['query'])
    """

    def __init__(self, id: str, spans: Iterable[Span], *, notes: Sequence[str] = ()) -> None:  # noqa: A002 - the name of the field
        self.id = id
        self.spans = sorted(spans, key=lambda span: span.began)
        self.notes = tuple(notes)
        self._children: dict[int, list[Span]] = {}
        known = {span.span for span in self.spans}
        for span in self.spans:
            self._children.setdefault(span.parent if span.parent in known else 0, []).append(span)

    @property
    def roots(self) -> list[Span]:
        """The spans whose parent is not among them, by start time."""
        return list(self._children.get(0, ()))

    def children(self, span: Span) -> list[Span]:
        """Return the spans right below one, by start time."""
        return list(self._children.get(span.span, ()))

    @property
    def ms(self) -> float:
        """The time from the first start to the last end, in milliseconds."""
        if not self.spans:
            return 0.0
        return (max(span.ended for span in self.spans) - self.spans[0].began) * 1000

    @property
    def failed(self) -> list[Span]:
        """The spans that did not end well, by start time."""
        return [span for span in self.spans if span.failed]

    @property
    def processes(self) -> list[Process]:
        """The processes that wrote them, in the order of their first span."""
        return list(dict.fromkeys(span.process for span in self.spans if span.process is not None))

    def find(self, *, service: str | None = None, name: str | None = None) -> list[Span]:
        """Return the spans of a service or of a name, by start time."""
        return [
            span
            for span in self.spans
            if service in (None, span.service) and name in (None, span.name)
        ]

    def to_dict(self, redactor: Callable[[str], str] = redact) -> dict[str, object]:
        """Return the trace as plain JSON values with every secret masked."""
        return {
            "trace_id": self.id,
            "ms": round(self.ms, 3),
            "spans": [span.to_dict(redactor) for span in self.spans],
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        return f"<Trace {self.id[:8]}: {len(self.spans)} spans in {self.ms:.1f} ms>"
