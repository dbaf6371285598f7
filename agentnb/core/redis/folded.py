"""Commands that are part of another service's call, whose span speaks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.trace.context import context_var
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from typing import Final

__all__ = ["Folded", "note_start"]

_CALLERS: Final = frozenset({"cache", "events", "queue", "workflow"})


class Folded:
    """The place of a span for a command that has none: it notes in its caller's.

    >>> from agentnb.core.trace.spans import Tracer
    >>> with Tracer().span("get", service="cache") as span:
    ...     Folded().attempt += 1
    >>> span.attempt
    2
    """

    __slots__ = ()

    @property
    def attempt(self) -> int:
        """The number of the attempt; 1 where no call is around the command."""
        span = _caller()
        return 1 if span is None else span.attempt

    @attempt.setter
    def attempt(self, number: int) -> None:
        span = _caller()
        if span is not None:
            span.attempt = number


def note_start(span: Span | Folded, *, started: bool = True) -> None:
    """Note in a span that the embedded server was started for it, if it was."""
    if not started:
        return
    found = span if isinstance(span, Span) else _caller()
    if found is not None:
        found.note(server_started=True)


def _caller() -> Span | None:
    """Return the span of the call that the running command is part of.

    One of an attempt at work is not: its number counts runs of the job.
    """
    span = context_var.get()
    if isinstance(span, Span) and span.service in _CALLERS and span.kind in {"call", "wait"}:
        return span
    return None
