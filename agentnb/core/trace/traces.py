"""Traces: find those of this home, and make spans of one's own."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import whole
from agentnb.core.trace.context import check_correlation_id, current, parse_traceparent, use
from agentnb.core.trace.spans import Span, read_all
from agentnb.core.trace.tree import Trace
from agentnb.core.twins import twin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.trace.spans import Tracer

__all__ = ["Traces"]

P = ParamSpec("P")
R = TypeVar("R")

_SHORTEST = 6
_DIGITS = frozenset("0123456789abcdef")


@refuse_unknown("trace")
class Traces:
    """Finds the traces that the processes of a home have written, and makes spans.

    Parameters
    ----------
    tracer
        Makes the spans, and knows the folder.
    call_threads
        Returns the threads in which awaited methods run.

    Examples
    --------
    >>> import agentnb
    >>> with agentnb.connect(database_url="sqlite://") as hub:
    ...     with hub.trace.run("nightly"):
    ...         _ = hub.db.query("select 1")
    ...     trace = hub.trace.last()
    >>> [span.name for span in trace.roots], [span.name for span in trace.find(service="db")]
    (['nightly'], ['connect', 'query'])
    """

    def __init__(self, tracer: Tracer, call_threads: Callable[[], CallThreads]) -> None:
        self._tracer = tracer
        self._threads = call_threads

    @property
    def _call_threads(self) -> CallThreads:
        return self._threads()

    @property
    def current_id(self) -> str | None:
        """The id of the running code's trace, or None outside of every trace."""
        context = current()
        return None if context is None else context.trace_id

    @property
    def dropped(self) -> int:
        """The number of this process's spans that were not written."""
        return self._tracer.dropped

    def get(self, id: str) -> Trace:  # noqa: A002 - the name of the field
        """Return a trace by its id.

        Parameters
        ----------
        id
            The id, the first six or more of its digits, or a W3C ``traceparent``.

        Raises
        ------
        UsageError
            It is no such text, or several traces begin so.
        NotFoundError
            No trace of this home has it.
        """
        prefix = _prefix_of(id)
        found = [trace for trace in self._all() if trace.id.startswith(prefix)]
        if not found:
            raise NotFoundError(
                f"no trace {prefix[:12]} in this home",
                service="trace",
                hint="hub.trace.list() lists the traces",
            )
        if len(found) > 1:
            ids = ", ".join(trace.id[:12] for trace in found[:5])
            raise UsageError(
                f"{len(found)} traces begin with {prefix}", service="trace", hint=f"one of {ids}"
            )
        return found[0]

    def last(self) -> Trace:
        """Return the last trace that has ended: of a notebook's cell, or of a script's run.

        Raises
        ------
        NotFoundError
            There is none yet.
        """
        running = self.current_id
        for trace in self._all():
            if trace.id != running:
                return trace
        raise NotFoundError(
            "nothing was traced yet",
            service="trace",
            hint='run a cell that calls a service, such as hub.db.query("select 1")',
        )

    def list(self, limit: int = 20, *, failed: bool | None = None) -> list[Trace]:
        """Return the last traces, newest first.

        Parameters
        ----------
        limit
            How many.
        failed
            True for those with a failed span only, False for those without; default: all.
        """
        limit = whole("limit", limit, service="trace")
        found = (
            trace for trace in self._all() if failed is None or bool(trace.failed) is bool(failed)
        )
        return [trace for trace, _ in zip(found, range(limit), strict=False)]

    aget, alast, alist = twin(get), twin(last), twin(list)  # noqa: A003 - the method

    def span(self, name: str, /, **attributes: object) -> Span:
        """Return a span of your own code, to be entered with ``with``.

        Parameters
        ----------
        name
            The step: ``"parse"``.
        **attributes
            What is worth keeping of it. Secrets are masked when it is written.

        Examples
        --------
        >>> import agentnb
        >>> with agentnb.connect() as hub, hub.trace.span("parse", rows=3) as span:
        ...     pass
        >>> span.service, span.kind, span.attributes
        ('app', 'step', {'rows': 3})
        """
        span = self._tracer.span(name, kind="step")
        span.attributes = attributes or None
        return span

    def run(self, name: str, correlation_id: str | None = None) -> AbstractContextManager[Span]:
        """Return a block whose calls are one trace, as those of a notebook's cell are.

        Parameters
        ----------
        name
            The name of the run: ``"nightly"``.
        correlation_id
            Free text that every span and log record of it carries.

        Raises
        ------
        UsageError
            The correlation id is not text.
        """
        check_correlation_id(correlation_id)
        span = self._tracer.span(name, kind="cell")
        span.correlation_id = correlation_id
        return span

    def carry(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function, to be called in another thread as a part of this trace.

        Parameters
        ----------
        function
            Called with the arguments that the returned function is given.

        Examples
        --------
        >>> import agentnb
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with agentnb.connect() as hub, hub.trace.run("fetch") as run:
        ...     with ThreadPoolExecutor() as threads:
        ...         call = hub.trace.carry(lambda: hub.trace.current_id)
        ...         threads.submit(call).result() == run.trace_id
        True
        """
        context = current()

        @wraps(function)
        def carried(*args: P.args, **kwargs: P.kwargs) -> R:
            with use(context):
                return function(*args, **kwargs)

        return carried

    def _all(self) -> Sequence[Trace]:
        """Return all traces, newest first."""
        self._tracer.flush()
        spans: dict[tuple[int, int], Span] = {}
        if self._tracer.path is not None:
            spans = {(span.trace, span.span): span for span in read_all(self._tracer.path)}
        for span in self._tracer.recent(1_000_000):
            spans[span.trace, span.span] = span
        traces: dict[str, list[Span]] = {}
        for span in spans.values():
            traces.setdefault(span.trace_id, []).append(span)
        masked = self._tracer._redactor  # noqa: SLF001 - one mechanism
        found = [Trace(id, spans, redactor=masked) for id, spans in traces.items()]  # noqa: A001 - as above
        return sorted(found, key=lambda trace: trace.spans[0].began, reverse=True)

    def close(self) -> None:
        """Do nothing: the tracer is closed by its owner."""


def _prefix_of(text: object) -> str:
    """Return the digits of an id, of its beginning, or of a ``traceparent``."""
    if isinstance(text, str):
        context = parse_traceparent(text.strip())
        if context is not None:
            return context.trace_id
        digits = text.strip().lower()
        if _SHORTEST <= len(digits) <= 32 and _DIGITS.issuperset(digits):  # noqa: PLR2004 - a W3C id
            return digits
    raise UsageError(
        f"a trace's id must be {_SHORTEST} to 32 hexadecimal digits, got {text!a}",
        service="trace",
        hint="hub.trace.list() lists the traces",
    )
