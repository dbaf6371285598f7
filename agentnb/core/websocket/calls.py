"""Calls the handlers, one after the other, on a thread of their own."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from agentnb.core.background import BackgroundThread
from agentnb.core.errors import AgentnbError, UsageError, did_you_mean
from agentnb.core.loop import LoopThread

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.trace import Context, Tracer

__all__ = ["KINDS", "Calls", "HandlerFailed"]

KINDS = ("connected", "message", "disconnected", "error")
_MAY_GO = {"message", "error"}


class HandlerFailed(AgentnbError):  # noqa: N818 - what happened, as QueryRejected
    """A handler of a client raised; what it raised is the cause."""


class Calls:
    """What has happened and has not been handled, and the thread that handles it.

    Parameters
    ----------
    limit
        How many messages and errors may wait; the oldest ones make room, and are counted.
    name
        What the handlers belong to, for messages.
    tracer, log
        Where a message's handling is a span, and where failures are told.
    """

    def __init__(
        self, limit: int, name: str, tracer: Tracer, log: logging.LoggerAdapter[logging.Logger]
    ) -> None:
        self._limit = limit
        self._name = name
        self._tracer, self._log = tracer, log
        self._loop = LoopThread()
        self._handlers: dict[str, list[Callable[..., Any]]] = {kind: [] for kind in KINDS}
        self.context: Context | None = None
        self.handled = self.failed = self.dropped = 0
        self._begin()

    def _begin(self) -> None:
        self._waiting: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._lock = threading.Lock()
        self._thread = BackgroundThread(self._run, name="websocket-handlers", log=self._log)

    forked = _begin

    def check(self, kind: str) -> None:
        """Refuse a kind that there is not.

        Raises
        ------
        UsageError
            It is unknown.
        """
        if kind not in KINDS:
            raise UsageError(
                f"a client has no {kind!r} to be told of",
                service="websocket",
                hint=did_you_mean(str(kind), KINDS) or f"there are {', '.join(KINDS)}",
            )

    def add(self, kind: str, handler: Callable[..., Any]) -> None:
        """Add a handler.

        Raises
        ------
        UsageError
            There is no such kind, or it cannot be called.
        """
        self.check(kind)
        if not callable(handler):
            raise UsageError(
                f"a handler is a function, not a {type(handler).__name__}",
                service="websocket",
                hint="client.on('message', lambda message: ...)",
            )
        self._handlers[kind] = [*self._handlers[kind], handler]

    def remove(self, kind: str, handler: Callable[..., Any]) -> bool:
        """Remove a handler, and return whether it was there."""
        before = self._handlers.get(kind, [])
        self._handlers[kind] = [one for one in before if one is not handler and one != handler]
        return len(self._handlers[kind]) < len(before)

    def has(self, kind: str) -> bool:
        """Return whether anybody is to be told of a kind."""
        return bool(self._handlers[kind])

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, kind: str, *arguments: Any) -> None:
        """Have the handlers of a kind called, once it is their turn."""
        if not self._handlers[kind]:
            return
        with self._lock:
            if len(self._waiting) >= self._limit:
                self._make_room()
            self._waiting.append((kind, arguments))
        self._thread.wake()

    def _make_room(self) -> None:
        """Let go of the oldest message or error; who is connected is told to the last."""
        for at, (kind, _) in enumerate(self._waiting):
            if kind in _MAY_GO:
                del self._waiting[at]
                self.dropped += 1
                return
        self._waiting.popleft()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                kind, arguments = self._waiting.popleft()
            for handler in self._handlers[kind]:
                self._call(kind, handler, arguments)

    def _call(self, kind: str, handler: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        from agentnb.core.trace import use

        try:
            with (
                use(self.context),
                self._tracer.span("handle", service="websocket", kind=kind, url=self._name),
            ):
                self._loop.call(handler, *arguments)
            self.handled += 1
        except BaseException as error:  # noqa: BLE001 - it is the handler's, and is told as an error
            self.failed += 1
            name = getattr(handler, "__qualname__", type(handler).__name__)
            made = HandlerFailed(
                f"{name}, a handler of {kind!r}, failed: {type(error).__name__}: {error}",
                service="websocket",
            )
            made.__cause__ = error
            self._log.error("%s", made, extra={"data": {"kind": kind}})
            if kind != "error":  # one that fails at errors is not told of its own
                self.put("error", made)

    def begin(self) -> None:
        """Start to call, again after an `end`."""
        self._thread.resume()

    def end(self, timeout: float) -> None:
        """Handle what waits, for so many seconds at most, and let go of what is left."""
        if self._thread.stop(timeout, finish=True):
            self._loop.close()
            return
        with self._lock:
            gone = [kind for kind, _ in self._waiting if kind in _MAY_GO]
            self.dropped += len(gone)
            self._waiting.clear()
        self._log.warning(
            "%s: a handler still runs after %.1f s; it is left to itself", self._name, timeout
        )

    def within(self) -> bool:
        """Return whether the caller is a handler, which cannot wait for itself."""
        if self._thread.is_current:
            return True
        with contextlib.suppress(UsageError):
            self._loop.check()
            return False
        return True
