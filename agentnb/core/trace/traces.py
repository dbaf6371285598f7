"""Traces: find those of this home, and make spans of one's own."""

from __future__ import annotations

from contextlib import suppress
from functools import wraps
from inspect import iscoroutine, iscoroutinefunction
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from agentnb.core.errors import AgentnbError, NotFoundError, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import refused, text, whole
from agentnb.core.tape.hook import carry_tape
from agentnb.core.trace.context import (
    carry_active,
    check_correlation_id,
    current,
    parse_traceparent,
    use,
)
from agentnb.core.trace.decorating import refuse_generator
from agentnb.core.trace.finding import Finder
from agentnb.core.trace.lookup import about
from agentnb.core.trace.spans import OpenSpan
from agentnb.core.trace.tree import TraceList
from agentnb.core.twins import twin

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.tape.capture import Captured
    from agentnb.core.trace.otel.export import SpanExport
    from agentnb.core.trace.spans import Tracer
    from agentnb.core.trace.tree import Trace

__all__ = ["Traces"]

P = ParamSpec("P")
R = TypeVar("R")

_SHORTEST = 6
_LONGEST_NAME = 200
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
        self._finder = Finder(tracer)

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
            The id, the first six or more of its digits, or a W3C ``traceparent``. Or
            ``"job:ID"``, ``"workflow:NAME"`` or ``"event:ID"`` for the newest trace of one.

        Raises
        ------
        UsageError
            It is no such text, or several traces begin so.
        NotFoundError
            No trace of this home has it.
        """
        found = about(id) if isinstance(id, str) else None
        return self._finder.about(*found) if found else self._finder.get(_prefix_of(id))

    def last(self, number: int = 1) -> Trace:
        """Return the last trace whose cell or run has ended; work that it caused may still run.

        In a notebook it is that of the last cell, before the running one, that called a service;
        in a script that of the last run, or of the last call outside of a run. Where this
        process has none, it is the last of the home.

        Parameters
        ----------
        number
            2 for the one before the last one, and so on.

        Raises
        ------
        NotFoundError
            There are not that many.
        UsageError
            The number is below 1.
        """
        number = whole("number", number, service="trace")
        seen = 0
        for trace in self._finder.ended():
            seen += 1
            if seen == number:
                return trace
        if seen:
            there = "is only 1 trace" if seen == 1 else f"are only {seen:,} traces"
            raise NotFoundError(
                f"there {there}",
                service="trace",
                hint="hub.trace.list() (%trace list) lists the traces",
            )
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

        Raises
        ------
        UsageError
            The limit is below 1, or `failed` is something else.
        """
        limit = whole("limit", limit, service="trace")
        return TraceList(self._finder.newest(limit, failed))

    aget, alast, alist = twin(get), twin(last), twin(list)  # noqa: A003 - the method

    def span(self, name: str, /, **attributes: object) -> OpenSpan:
        """Return a span of your own code, to be entered with ``with``.

        As a decorator it makes each call of a function such a span.

        Parameters
        ----------
        name
            The step: ``"parse"``.
        **attributes
            Values that are worth keeping. Secrets are masked when it is written.

        Raises
        ------
        UsageError
            The name is not text. When it is entered: the span was entered before.

        Examples
        --------
        >>> import agentnb
        >>> with agentnb.connect() as hub, hub.trace.span("parse", rows=3) as span:
        ...     pass
        >>> span.service, span.kind, span.attributes
        ('app', 'step', {'rows': 3})
        """
        return OpenSpan(self._tracer, _name_of(name, "span"), "app", 1, attributes or None, "step")

    def run(self, name: str, correlation_id: str | None = None) -> OpenSpan:
        """Return a block whose calls are one trace, as those of a notebook's cell are.

        As a decorator it makes each call of a function such a trace.

        Parameters
        ----------
        name
            The name of the run: ``"nightly"``.
        correlation_id
            Free text that every span and log record of it carries.

        Raises
        ------
        UsageError
            The name or the correlation id is not text.
        """
        check_correlation_id(correlation_id)
        span = OpenSpan(self._tracer, _name_of(name, "run"), "app", 1, None, "cell")
        span.correlation_id = correlation_id
        return span

    def carry(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function, to be called in another thread as a part of this trace.

        Parameters
        ----------
        function
            Called with the arguments that the returned function is given. It may be a coroutine
            function.

        Raises
        ------
        UsageError
            It cannot be called, or is a generator.

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
        if not callable(function):
            raise refused(
                "function", "a function", function, "trace", "hub.trace.carry(fetch), not fetch()"
            )
        refuse_generator(
            function, "hub.trace.carry(lambda: list(pages())): carry the function that iterates"
        )
        context, within, taped = current(), carry_active(), carry_tape()

        async def awaited(made: Any) -> Any:
            with use(context), within(), taped():
                return await made

        if iscoroutinefunction(function):

            @wraps(function)
            async def carried_on(*args: P.args, **kwargs: P.kwargs) -> Any:
                return await awaited(function(*args, **kwargs))

            return cast("Callable[P, R]", carried_on)

        @wraps(function)
        def carried(*args: P.args, **kwargs: P.kwargs) -> R:
            with use(context), within(), taped():
                made = function(*args, **kwargs)
            # The coroutine of a lambda or of an object with an asynchronous __call__ runs later.
            return cast("R", awaited(made)) if iscoroutine(made) else made

        return carried

    def capture(
        self,
        id: str,  # noqa: A002 - as get
        *,
        test: str | os.PathLike[str] | None = None,
        to: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
    ) -> Captured:
        """Write a test or a notebook that replays recorded attempts without a network.

        The attempts at jobs and tasks, and the runs of cells, are those that
        ``agentnb worker --record failed``, AGENTNB_RECORD or `Hub.record` has kept. Of each it
        takes the newest, and writes its tape beside the file.

        Parameters
        ----------
        id
            ``"job:ID"``, ``"workflow:NAME"``, ``"cell:NUMBER"`` of a notebook, or the first six
            or more digits of a trace's id.
        test
            A file for pytest: ``"tests/test_night.py"``.
        to
            A notebook: ``"notebooks/night.ipynb"``.
        overwrite
            Replace a file that exists.

        Raises
        ------
        NotFoundError
            No such attempt was recorded.
        UsageError
            The processor or the agent cannot be imported by a test; a file exists.

        Examples
        --------
        ``hub.trace.capture("job:k3x9", test="tests/test_night.py")``
        """
        from agentnb.core.tape.capture import capture, home_of, trace_of

        home, shown = home_of(self._tracer.path), None
        if to is not None:
            with suppress(AgentnbError):  # its spans may be gone
                shown = self.get(trace_of(home, id))
        return capture(home, id, test=test, to=to, overwrite=overwrite, about=shown)

    acapture = twin(capture)

    def export_to(self, exporter: Any) -> SpanExport:
        """Hand the finished spans of this process to OpenTelemetry, from now on.

        They go in batches from a thread, with secrets masked. What the exporter does not take is
        dropped and counted. ``AGENTNB_OTEL=1`` does the same with an exporter of OTLP, in all
        processes.

        Parameters
        ----------
        exporter
            A ``SpanExporter`` or a ``SpanProcessor`` of OpenTelemetry's SDK, or its
            ``TracerProvider``, whose processors then have the spans. It stays yours to shut down.

        Returns
        -------
        SpanExport
            Stops it, by `stop` or as a block. The end of the hub stops it, too.

        Raises
        ------
        ConfigError
            The extra ``otel`` is not installed, or the provider takes no finished spans.
        UsageError
            It is none of them.

        Examples
        --------
        >>> import agentnb
        >>> from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        >>> exporter = InMemorySpanExporter()
        >>> with agentnb.connect() as hub, hub.trace.export_to(exporter):
        ...     with hub.trace.span("parse"):
        ...         pass
        >>> [span.name for span in exporter.get_finished_spans()]
        ['parse']
        """
        from agentnb.core.trace.otel.environment import check_installed

        check_installed("hub.trace.export_to")
        from agentnb.core.trace.otel.export import SpanExport
        from agentnb.core.trace.otel.sinks import sink_of

        sink = sink_of(exporter)
        name, redactor = type(exporter).__name__, self._tracer.redactor
        return SpanExport(self._tracer, lambda: sink, name, redactor=redactor)

    @property
    def exports(self) -> tuple[SpanExport, ...]:
        """The exports of this process's spans that run."""
        return self._tracer._exports  # noqa: SLF001 - the two are one mechanism

    def close(self) -> None:
        """Do nothing: the tracer is closed by its owner."""


def _name_of(name: object, call: str) -> str:
    """Return the name of a span, cut."""
    found = text("name", name, service="trace", hint=f'hub.trace.{call}("parse")')
    if not found.strip():
        raise refused("name", "text", name, "trace", f'hub.trace.{call}("parse")')
    return found if len(found) <= _LONGEST_NAME else f"{found[:_LONGEST_NAME]}…"


def _prefix_of(given: object) -> str:
    """Return the digits of an id, of its beginning, or of a ``traceparent``."""
    if isinstance(given, str):
        context = parse_traceparent(given.strip())
        if context is not None:
            return context.trace_id
        digits = given.strip().lower()
        if _SHORTEST <= len(digits) <= 32 and _DIGITS.issuperset(digits):  # noqa: PLR2004 - a W3C id
            return digits
    hint = "hub.trace.list() (%trace list) lists the traces; job:ID, workflow:NAME and event:ID"
    if isinstance(getattr(given, "trace_id", None), str):  # a job, an event, an error
        hint = "it has one: hub.trace.get(value.trace_id)"
    raise UsageError(
        f"a trace's id must be {_SHORTEST} to 32 hexadecimal digits, got {given!a:.80}",
        service="trace",
        hint=hint,
    )
