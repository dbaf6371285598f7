"""One trace: its spans, in the tree that their parents make."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from agentnb.core.keywords import refuse_unknown
from agentnb.core.redact import redact
from agentnb.core.trace.links import TaskLinks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pandas as pd

    from agentnb.core.trace.spans import Process, Span
    from agentnb.core.trace.view.layout import Layout

__all__ = ["Trace", "TraceList"]


@refuse_unknown("trace")
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
    redactor
        Masks secrets in every view and export.

    Attributes
    ----------
    depth
        How many levels of the tree are displayed; None for all.
    merge
        Whether more than five spans of one name are displayed as one row.

    Examples
    --------
    >>> from agentnb.core.trace.spans import Tracer
    >>> tracer = Tracer()
    >>> with tracer.span("import") as top, tracer.span("query", service="db"):
    ...     pass
    >>> trace = Trace(top.trace_id, tracer.recent())
    >>> [span.name for span in trace.roots], [span.name for span in trace.children(top)]
    (['import'], ['query'])
    >>> print(trace.plain())
    import
      db.query
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - the name of the field
        spans: Iterable[Span],
        *,
        notes: Sequence[str] = (),
        redactor: Callable[[str], str] = redact,
    ) -> None:
        self.id = id
        self.redactor = redactor
        self.depth: int | None = None
        self.merge = True
        self.spans = sorted(spans, key=attrgetter("_started"))  # `began` takes ten times as long
        self.notes = tuple(notes)
        self._children: dict[int, list[Span]] = {}
        known = {span.span for span in self.spans}
        for span in self.spans:
            below = span.parent in known and span.parent != span.span
            self._children.setdefault(span.parent if below else 0, []).append(span)
        _link_tasks(self.spans)

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

    def __len__(self) -> int:
        return len(self.spans)

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    def __bool__(self) -> bool:
        return True  # also without spans

    def first(self, count: int) -> Trace:
        """Return the trace with its first spans only, by start time."""
        return Trace(self.id, self.spans[:count], notes=self.notes, redactor=self.redactor)

    def find(self, *, service: str | None = None, name: str | None = None) -> list[Span]:
        """Return the spans of a service or of a name, by start time."""
        return [
            span
            for span in self.spans
            if service in (None, span.service) and name in (None, span.name)
        ]

    def to_dict(self, redactor: Callable[[str], str] | None = None) -> dict[str, object]:
        """Return the trace as plain JSON values with every secret masked."""
        masked = redactor or self.redactor
        return {
            "trace_id": self.id,
            "ms": round(self.ms, 3),
            "spans": [span.to_dict(masked) for span in self.spans],
            "notes": list(map(masked, self.notes)),
        }

    def plain(self) -> str:
        """Return the tree as text without times and ids, the same in every run.

        A line has the name of a span, its attempt if that is not the first, and its outcome if
        that is not ``ok``. A test compares it: ``assert trace.plain() == ...``.
        """
        from agentnb.core.trace.view.plain import plain_of

        return plain_of(self, self.redactor)

    def df(self) -> pd.DataFrame:
        """Return a pandas DataFrame with a row for each span.

        Raises
        ------
        UsageError
            pandas is not installed.
        """
        from agentnb.core.frames import to_pandas
        from agentnb.core.trace.view.frame import COLUMNS, rows_of_spans

        return to_pandas(COLUMNS, rows_of_spans(self, self.redactor))

    def to_chrome(self) -> dict[str, object]:
        """Return the trace as the JSON of Chrome's tracing, which Perfetto opens."""
        from agentnb.core.trace.view.chrome import chrome_of

        return chrome_of(self, self.redactor)

    def _layout(self) -> Layout:
        from agentnb.core.trace.view.layout import Layout

        limit = None if not self.merge else Layout.ROWS
        return Layout(self, merge=self.merge, depth=self.depth, limit=limit)

    def __repr__(self) -> str:
        from agentnb.core.trace.view.text import text_of

        return text_of(self._layout())

    def _repr_html_(self) -> str:
        from agentnb.core.trace.view.html import html_of

        return html_of(self._layout())


def _link_tasks(spans: Sequence[Span]) -> None:
    """Link each attempt at a task to those that did what it needed.

    Here, since an attempt knows the names of these tasks, and not by which attempt they ended.
    """
    tasks = [span for span in spans if span.name == "task"]
    links = TaskLinks(None)
    for span in tasks:
        links.add(span)
    for span in tasks:
        links.link(span)


class TraceList(list[Trace]):
    """Traces, which display themselves as a table with a row for each."""

    __slots__ = ()

    def __repr__(self) -> str:
        from agentnb.core.trace.view.listing import table_of

        return repr(table_of(self))

    def _repr_html_(self) -> str:
        from agentnb.core.trace.view.listing import table_of

        return table_of(self)._repr_html_()
