"""The span of a generator, whose caller works between two of its items."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from agentnb.core.trace.spans import Span

__all__ = ["Streaming"]


class Streaming:
    """Records a generator as a span.

    What the caller does between two items is not below it, and leaving the generator early is no
    failure.

    Parameters
    ----------
    span
        The span, which is not entered yet.

    Examples
    --------
    >>> from agentnb.core.trace import Tracer, current
    >>> with Streaming(Tracer().span("pages")):
    ...     current() is None
    True
    """

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._span.__enter__()
        self._span.detach()
        return self._span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is GeneratorExit:
            kind = error = traceback = None
        self._span.__exit__(kind, error, traceback)
