"""Traces of a list, whose spans are read once somebody asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.trace.index import Row
from agentnb.core.trace.tree import Trace
from agentnb.core.trace.view.words import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Known", "ListedTrace", "row_of"]

_READ = frozenset({"spans", "notes", "_children"})


def row_of(trace: Trace) -> Row:
    """Return a trace as the list shows it."""
    if isinstance(trace, ListedTrace) and not trace.is_read:
        return trace.row
    return Row(
        trace.spans[0].began,
        _name(trace),
        trace.ms,
        len(trace.spans),
        len({span.process for span in trace.spans}),
        len(trace.failed),
    )


def _name(trace: Trace) -> str:
    """Return the name of a trace: that of its cell or its first root."""
    roots = trace.roots or trace.spans
    named = next((span for span in roots if span.kind == "cell"), roots[0])
    return trace.redactor(title(named))


class Known:
    """The traces of a list of which a row was known; the first that is asked for reads them all.

    Parameters
    ----------
    read
        Reads them.
    """

    def __init__(self, read: Callable[[], Iterable[Trace]]) -> None:
        self._read = read
        self._traces: dict[str, Trace] | None = None

    def of(self, trace_id: str, redactor: Callable[[str], str]) -> Trace:
        """Return a trace, without spans if they were removed meanwhile."""
        if self._traces is None:
            self._traces = {trace.id: trace for trace in self._read()}
        gone = ("its spans were removed",)
        return self._traces.get(trace_id) or Trace(trace_id, (), notes=gone, redactor=redactor)


class ListedTrace(Trace):
    """A trace of a list.

    Parameters
    ----------
    id, redactor
        As those of `Trace`.
    row
        The trace as the list shows it.
    known
        Reads its spans.
    """

    # Not the constructor of a trace, which sets what is read later.
    def __init__(
        self,
        id: str,  # noqa: A002 - the name of the field
        row: Row,
        known: Known,
        redactor: Callable[[str], str],
    ) -> None:
        self.id = id
        self.redactor = redactor
        self.depth: int | None = None
        self.merge = True
        self.row = row
        self._known = known

    @property
    def is_read(self) -> bool:
        """Whether the spans were read."""
        return "spans" in vars(self)

    def __getattr__(self, name: str) -> Any:
        if name not in _READ or "_known" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        trace = self._known.of(self.id, self.redactor)
        for each in _READ:
            vars(self)[each] = getattr(trace, each)
        return vars(self)[name]

    @property
    def ms(self) -> float:
        """The time from the first start to the last end, in milliseconds."""
        return super().ms if self.is_read else self.row.ms

    def __len__(self) -> int:
        return len(self.spans) if self.is_read else self.row.spans
