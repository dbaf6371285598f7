"""Defer Ctrl-C until a reply was read, so that no reply is left for the next command."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.signal takes 35 µs, this 1 µs
import os
import threading
from _thread import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DeferredSigint", "defer_sigint"]

T = TypeVar("T")
_SIGINT: int = int(_signal.SIGINT)
_getsignal: Callable[[int], Any] = _signal.getsignal
_setsignal: Callable[[int, Any], Any] = _signal.signal


class DeferredSigint:
    """A handler of SIGINT that counts signals; the second one closes the connection.

    So an interrupt need not wait for a server that hangs.
    """

    __slots__ = ("came", "end")

    def __init__(self) -> None:
        self.came = 0
        self.end: Callable[[], None] | None = None

    def __call__(self, number: int, frame: object) -> None:  # noqa: ARG002 - what a handler is given
        """Count a signal."""
        self.came += 1
        if self.came > 1 and self.end is not None:
            self.end()


def defer_sigint(function: Callable[[DeferredSigint], T]) -> T:
    """Call a function; raise an interrupt that arrives meanwhile when it returns.

    The function receives the `DeferredSigint` and may set its ``end``. Python runs signal handlers
    in the main thread only; in other threads, or where SIGINT is ignored, nothing is deferred.

    Raises
    ------
    KeyboardInterrupt
        An interrupt arrived; it replaces the function's result or error.
    """
    waiting = DeferredSigint()
    if get_ident() != threading.main_thread().ident:
        return function(waiting)
    before = _getsignal(_SIGINT)
    if before is None or before == _signal.SIG_IGN:
        return function(waiting)
    _setsignal(_SIGINT, waiting)
    try:
        return function(waiting)
    finally:
        _setsignal(_SIGINT, before)
        if waiting.came:
            _deliver(before)


def _deliver(handler: Any) -> None:
    if callable(handler):
        handler(_SIGINT, None)
    else:
        os.kill(os.getpid(), _SIGINT)
