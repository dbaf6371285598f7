"""The cells of a notebook as spans, which are made once a cell calls a service."""

from __future__ import annotations

from time import perf_counter, time
from typing import TYPE_CHECKING

from agentnb.core.forking import ForkGuard, new_rlock
from agentnb.core.trace.context import (
    Context,
    ambient,
    attach,
    context_var,
    detach,
    random_bits,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.tape.flight import CellUnit
    from agentnb.core.trace.spans import OpenSpan, Tracer

__all__ = ["Cell"]

_LONGEST_LINE = 200
# One for all, and held for a moment: the threads of a cell may make its first calls at once.
_lock = new_rlock()


class _CellContext(Context):
    """The context of a cell, whose `opener` the first span below it calls."""

    __slots__ = ("opener",)


class Cell:
    """One cell of a notebook that runs; a span from its first call of a service on.

    Parameters
    ----------
    source
        The cell's text.
    number
        The number in its prompt; None within another cell.
    outer
        The cell that it runs in, or None.
    tracer
        Returns the tracer, or None as long as no service is open.

    Examples
    --------
    >>> from agentnb.core.trace.spans import Tracer
    >>> tracer = Tracer()
    >>> cell = Cell("hub.db.query('select 1')", 1, None, lambda: tracer)
    >>> cell.begin()
    >>> with tracer.span("query", service="db"):
    ...     pass
    >>> cell.end(None)
    >>> [span.name for span in tracer.recent()]
    ['query', 'cell']
    """

    context: _CellContext
    """The context of what the cell runs."""

    def __init__(
        self,
        source: str,
        number: int | None,
        outer: Cell | None,
        tracer: Callable[[], Tracer | None],
    ) -> None:
        self._source = source
        self._number = number
        self._outer = outer
        self._tracer = tracer
        self._span: OpenSpan | None = None
        self.recording: CellUnit | None = None
        """Records its calls, where that is on."""
        self._fork = ForkGuard()
        self._has_ended = False
        self._outcome = "ok"
        self._ms = 0.0

    def begin(self) -> None:
        """Make the cell the context of what runs from now on."""
        around = ambient() if self._outer is None else self._outer.context
        span = random_bits(64) or 1
        if around is None:
            self.context = _CellContext(random_bits(128) or 1, span)
            self._parent = 0
        else:
            self.context = _CellContext(around.trace, span, sampled=around.sampled)
            self.context.correlation_id = around.correlation_id
            self._parent = around.span
        self.context.opener = self.open
        context_var.set(self.context)
        self._attached = attach(self.context)
        self._started, self._began = time(), perf_counter()

    @property
    def caused(self) -> bool:
        """Whether it has called a service."""
        return self._span is not None

    def open(self) -> None:
        """Write that the cell has begun, as its first span asks for."""
        with _lock:
            tracer = self._tracer()
            if self._span is not None or tracer is None or self._fork.forked:
                # The span is of a service outside of the hub, or of a child, where no cell ends.
                return
            if self._outer is not None:
                self._outer.open()
            self.context.opener = None
            self._span = self._made(tracer)
            tracer._begin(self._span)  # noqa: SLF001 - one mechanism
            if self._has_ended:  # the call is of a callback, such as a button's
                self._finish(tracer)

    def _made(self, tracer: Tracer) -> OpenSpan:
        from agentnb.core.trace.spans import OpenSpan

        attributes: dict[str, object] = {"source": first_line(self._source)}
        if self._number is not None:
            attributes["number"] = self._number
        made = OpenSpan(tracer, "cell", "notebook", 1, attributes, "cell")
        made.trace, made.span, made.parent = self.context.trace, self.context.span, self._parent
        made.correlation_id, made.sampled = self.context.correlation_id, self.context.sampled
        made._started = self._started  # noqa: SLF001 - as above
        return made

    def end(self, error: BaseException | None) -> None:
        """Write the end of the cell, if it has called a service.

        Parameters
        ----------
        error
            The error that ended it, or None.
        """
        with _lock:
            self._ms = (perf_counter() - self._began) * 1000
            self._has_ended = True
            if error is not None:
                self._outcome = type(error).__name__  # the error itself keeps what it refers to
            detach(self._attached)
            if self.recording is not None:
                self.recording.end(error)
                self.recording = None
            if self._span is not None:
                # The hub may have been closed, and opened again, by the cell.
                self._finish(self._tracer() or self._span._tracer, error)  # noqa: SLF001 - as above
            # What called the cell goes on in its own; of the last one callbacks are a part.
            if self._outer is not None:
                context_var.set(self._outer.context)

    def _finish(self, tracer: Tracer | None, error: BaseException | None = None) -> None:
        from agentnb.core.trace.spans import message_of

        span = self._span
        if span is None or tracer is None:
            return
        span._tracer = None  # noqa: SLF001 - as above
        span.ms = self._ms
        span.outcome = self._outcome
        span.error = None if error is None else message_of(error)
        tracer._end(span)  # noqa: SLF001 - as above


def first_line(source: str) -> str:
    r"""Return the first line of a cell that says something, cut.

    >>> first_line("\n  # load\nx = 1")
    '# load'
    """
    line = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"
