"""The active span of OpenTelemetry as the parent of a span, and the other way round.

Imported only where a user's code, or the export, has imported ``opentelemetry``.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import Token
from typing import TYPE_CHECKING, cast

from opentelemetry.context import attach as attach_context
from opentelemetry.context import detach as detach_context
from opentelemetry.context import get_current
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from agentnb.core.trace.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["active_span", "attach", "carry", "detach", "span_context"]


class _OwnSpan(NonRecordingSpan):
    """A span of agentnb, as the instrumentation of others sees it: a parent.

    A cell is written once it causes something. That its ids are asked for is a sign of it: they
    are those of a span below it, or of a header that leads to one.
    """

    def __init__(self, place: Context) -> None:
        super().__init__(span_context(place.trace, place.span, sampled=place.sampled))
        self._place = place
        self.ended = self.overtaken = False
        self.before = _open_one(get_current_span())

    def get_span_context(self) -> SpanContext:
        """Return the ids, and let the cell be written that they are of."""
        opener = getattr(self._place, "opener", None)
        if opener is not None:
            opener()
        return super().get_span_context()


def _open_one(span: Span) -> Span:
    """Return a span, or the one before it that has not ended.

    Spans that end in another context stay where they are, and would become an endless chain.
    """
    if not isinstance(span, _OwnSpan) or not span.ended:
        return span
    before = span.before
    while isinstance(before, _OwnSpan) and before.ended:
        before = before.before
    span.before = before
    return before


def active_span() -> Context | None:
    """Return the active span of another's instrumentation; None without one.

    A span of agentnb is none: where one is still attached, its block has ended.
    """
    span = get_current_span()
    if isinstance(span, _OwnSpan) or not (context := span.get_span_context()).is_valid:
        return None
    return Context(context.trace_id, context.span_id, sampled=context.trace_flags.sampled)


def span_context(trace: int, span: int, *, sampled: bool = True) -> SpanContext:
    """Return a trace's and a span's id as OpenTelemetry has them."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(trace, span, is_remote=False, trace_flags=flags)


def attach(span: Context) -> object:
    """Make a span the active one, and return what `detach` takes."""
    own = _OwnSpan(span)
    return own, attach_context(set_span_in_context(own))


def detach(attached: object) -> None:
    """Make the span before it the active one again, or one before that if it was overtaken.

    So it is where a cell opens a trace that another cell closes.
    """
    own, token = cast("tuple[_OwnSpan, object]", attached)
    is_active = get_current_span() is own
    own.ended = True
    # Where it ends in its turn, or in another context, it is the parent of what was begun below it.
    own.overtaken = _set_back(token) and not is_active
    span = get_current_span()
    while isinstance(span, _OwnSpan) and span.overtaken:
        span = span.before
        attach_context(set_span_in_context(span))


def _set_back(token: object) -> bool:
    """Make the context before an `attach_context` the current one again.

    In another context, such as that of the end of an awaited cell, there is nothing to set back.
    """
    if isinstance(token, Token):
        # Not `detach_context`, which logs that as an error.
        try:
            token.var.reset(token)
        except (ValueError, RuntimeError):
            return False
    else:
        detach_context(token)  # type: ignore[arg-type]  # of another implementation of contexts
    return True


def carry() -> Callable[[], AbstractContextManager[None]]:
    """Return what makes the active span of this code that of a block in another thread."""
    context = get_current()

    @contextmanager
    def within() -> Iterator[None]:
        token = attach_context(context)
        try:
            yield
        finally:
            _set_back(token)

    return within
