"""Call a client's handlers, one after the other, on a thread of their own."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from agentnb.core.background import BackgroundThread
from agentnb.core.callables import check_takes
from agentnb.core.errors import HandlerFailed, UsageError, did_you_mean
from agentnb.core.failure import words_of
from agentnb.core.forking import new_lock
from agentnb.core.loop import LoopThread
from agentnb.core.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.trace import Context, ServiceLog, Tracer

__all__ = ["KINDS", "HandlerCalls", "HandlerFailed"]

KINDS = ("connected", "message", "disconnected", "error")
# What the handlers of a kind are called with.
_GIVEN: dict[str, tuple[str, ...]] = {
    "connected": (),
    "message": ("message",),
    "disconnected": (),
    "error": ("error",),
}
_DROPPABLE = {"message", "error"}


class HandlerCalls:
    """The handlers of a client, the events that wait for them, and the thread that calls them.

    Parameters
    ----------
    limit
        Maximum number of waiting messages and errors; the oldest are dropped and counted.
    name
        The client's URL, for messages.
    tracer, log
        Record a span for each call, and log failures.
    """

    def __init__(self, limit: int, name: str, tracer: Tracer, log: ServiceLog) -> None:
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
        self._lock = new_lock()
        self._thread = BackgroundThread(self._run, name="websocket-handlers", log=self._log)

    forked = _begin

    def check(self, kind: str) -> None:
        """Check that a kind of events exists.

        Raises
        ------
        UsageError
            The kind is unknown.
        """
        if kind not in KINDS:
            raise UsageError(
                f"event must be one of {', '.join(KINDS)}, got {kind!r}",
                service="websocket",
                hint=did_you_mean(str(kind), KINDS) or 'such as client.on("message", FUNCTION)',
            )

    def add(self, kind: str, handler: Callable[..., Any]) -> None:
        """Add a handler.

        Raises
        ------
        UsageError
            The kind is unknown, or the handler cannot be called.
        """
        self.check(kind)
        if not callable(handler):
            raise UsageError(
                f"handler must be a function, got {type(handler).__name__}",
                service="websocket",
                hint="client.on('message', lambda message: ...)",
            )
        given = _GIVEN[kind]
        check_takes(
            handler,
            *given,
            name=f"a handler of {kind!r}",
            service="websocket",
            hint=f"client.on({kind!r}, lambda {', '.join(given)}: ...)".replace(
                "lambda :", "lambda:"
            ),
        )
        self._handlers[kind] = [*self._handlers[kind], handler]

    def remove(self, kind: str, handler: Callable[..., Any]) -> bool:
        """Remove a handler, and return whether it was there."""
        before = self._handlers.get(kind, [])
        self._handlers[kind] = [one for one in before if one is not handler and one != handler]
        return len(self._handlers[kind]) < len(before)

    def has(self, kind: str) -> bool:
        """Return whether a kind has handlers."""
        return bool(self._handlers[kind])

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, kind: str, *arguments: Any) -> None:
        """Queue an event for the handlers of its kind."""
        if not self._handlers[kind]:
            return
        with self._lock:
            if len(self._waiting) >= self._limit:
                self._make_room()
            self._waiting.append((kind, arguments))
        self._thread.wake()

    def _make_room(self) -> None:
        """Drop the oldest message or error; "connected" and "disconnected" go last."""
        for at, (kind, _) in enumerate(self._waiting):
            if kind in _DROPPABLE:
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
                self._tracer.span(
                    "handle", service="websocket", kind="work", message=kind, url=self._name
                ),
            ):
                self._loop.call(handler, *arguments)
            self.handled += 1
        except BaseException as error:  # noqa: BLE001 - it becomes an error event
            self.failed += 1
            name = getattr(handler, "__qualname__", type(handler).__name__)
            failure = HandlerFailed(
                f"{name}, a handler of {kind!r}, failed: {type(error).__name__}: {error}",
                service="websocket",
                hint="mend the handler; the client goes on",
            )
            failure.__cause__ = error
            self._log.failed(
                logging.ERROR,
                "handler %s of %s on %s failed: %s",
                *(name, kind, self._name, redact(words_of(error))),
                error=error,
                extra={"data": {"kind": kind, "handler": name}},
            )
            if kind != "error":  # a failing handler of errors is not called for its own
                self.put("error", failure)

    def begin(self) -> None:
        """Start the thread, also after an `end`."""
        self._thread.resume()

    def end(self, timeout: float) -> None:
        """Handle waiting events until the timeout, and drop the rest."""
        if self._thread.stop(timeout, finish=True):
            self._loop.close()
            return
        with self._lock:
            gone = [kind for kind, _ in self._waiting if kind in _DROPPABLE]
            self.dropped += len(gone)
            self._waiting.clear()
        self._log.warning(
            "%s: a handler still runs after %.1f s; it is left running", self._name, timeout
        )

    def within(self) -> bool:
        """Return whether the caller is a handler, which must not wait for itself."""
        if self._thread.is_current:
            return True
        with contextlib.suppress(UsageError):
            self._loop.check()
            return False
        return True
