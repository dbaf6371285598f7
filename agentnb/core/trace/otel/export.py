"""The way of finished spans to an exporter: a bounded queue and a thread."""

from __future__ import annotations

import logging
import os
import sys
import weakref
from collections import deque
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Self

from agentnb.core.background import BackgroundThread
from agentnb.core.closing import aclosed, aleave, leave
from agentnb.core.forking import new_rlock
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds
from agentnb.core.redact import redact
from agentnb.core.trace.links import TaskLinks
from agentnb.core.trace.logs import is_shown
from agentnb.core.trace.process import NOTEBOOK, this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.resources import Resource

    from agentnb.core.trace.otel.sinks import Sink
    from agentnb.core.trace.spans import Span, Tracer

__all__ = ["SpanExport"]

_MOST_WAITING = 10_000
_BATCH = 512
_PAUSE = 0.5
_STOP_SECONDS = 3.0
_WARN_SECONDS = 60.0
_LONGEST_REASON = 300
_logger = logging.getLogger("agentnb.trace")
_running: weakref.WeakSet[SpanExport] = weakref.WeakSet()


@refuse_unknown("trace")
class SpanExport:
    """Hands the finished spans of a tracer to OpenTelemetry; made by ``hub.trace.export_to``.

    Spans wait in memory and go in batches, from a thread: no caller waits. What does not fit,
    and what the exporter does not take, is dropped and counted. The end of its block and the end
    of the hub stop it.

    Attributes
    ----------
    target
        The exporter's name, or the URL that spans go to.
    exported
        The number of spans that were taken.
    error
        Why the last batch was not taken, or None.
    """

    def __init__(
        self,
        tracer: Tracer,
        make: Callable[[], Sink],
        target: str,
        *,
        redactor: Callable[[str], str] | None = None,
        resource: Mapping[str, str] | None = None,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self.target = target
        self._tracer = weakref.ref(tracer)
        self._make = make
        self._redactor = redactor or redact
        self._given = resource or {}
        self._most_waiting = most_waiting
        self._closed = False
        self._reset()
        _running.add(self)
        tracer._exports = (*tracer._exports, self)  # noqa: SLF001 - the two are one mechanism
        # Also runs at exit, and when a tracer that nobody closed is collected.
        self._finalizer = weakref.finalize(tracer, self._end, _STOP_SECONDS)

    def _reset(self) -> None:
        """Begin anew, at first and in a forked child: what waits there is the parent's to send."""
        self.exported = 0
        self.error: str | None = None
        self._lost = 0
        self._sending = 0  # spans of the batch under way; 0 once it was given up at the end
        self._warned_of = 0
        self._warned_at: float | None = None
        self._sink: Sink | None = None
        self._resource: Resource | None = None
        self._queue: deque[Span] = deque()
        self._links = TaskLinks()
        self._lock = new_rlock()  # the garbage collector may run while it is held
        self._thread = BackgroundThread(self._drain, name="otel", delay=_PAUSE)

    @property
    def dropped(self) -> int:
        """The number of spans that were not exported."""
        return self._lost

    @property
    def reason(self) -> str:
        """Why spans were dropped: the error of the last batch, or that they waited too long."""
        if self.error is None and self._closed:
            return "the exporter did not answer in time"
        return self.error or "too many were waiting"

    @property
    def waiting(self) -> int:
        """The number of spans that wait to be exported."""
        return len(self._queue)

    def _submit(self, span: Span) -> None:
        """Queue a finished span without waiting; one that is not sampled is left out."""
        if not span.sampled or self._closed:
            return
        if span.kind == "work":
            # Of this process; other processes have their own exports.
            self._links.add(span)
            self._links.link(span)
        queue = self._queue
        if len(queue) >= self._most_waiting:
            with self._lock:
                self._lost += 1
            return
        queue.append(span)
        self._thread.wake()

    def flush(self, timeout: float = 5.0) -> bool:
        """Export the waiting spans now; return whether all have gone within the time-out.

        Parameters
        ----------
        timeout
            Seconds.
        """
        until = monotonic() + seconds("timeout", timeout, service="trace")
        # Ends the pause between two batches; a run that was asked for comes first.
        ended = self._thread.stop(timeout, finish=True)
        if not self._closed:
            self._thread.resume()
            if self._queue:
                self._thread.wake()
        if ended and self._sink is not None and (left := until - monotonic()) > 0:
            self._sink.flush(left)
        return ended and not self._queue

    def stop(self, timeout: float = _STOP_SECONDS) -> None:
        """Export what is waiting, and stop; what has not gone within the time-out is dropped.

        An exporter that was handed over stays open: it is its owner's.

        Parameters
        ----------
        timeout
            Seconds.
        """
        timeout = seconds("timeout", timeout, service="trace")
        tracer = self._tracer()
        if tracer is not None:
            tracer._exports = tuple(one for one in tracer._exports if one is not self)  # noqa: SLF001 - as above
        self._finalizer.detach()
        self._end(timeout)

    def _end(self, timeout: float) -> None:
        if self._closed:
            return
        self.flush(timeout)
        self._closed = True
        self._thread.stop(0)
        if self._sink is not None:
            self._sink.abort()
        with self._lock:
            self._lost += len(self._queue) + self._sending
            self._sending = 0
            self._queue.clear()
        self._warn(now=True)

    def _drain(self) -> None:
        """Export all that is waiting; called in the thread alone."""
        from agentnb.core.trace.otel.readable import readable, resource_of

        if self._sink is None:
            self._sink = self._make()
        if self._resource is None:
            self._resource = self._sink.resource or resource_of(this_process(), self._given)
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
            found = [readable(span, self._resource, self._redactor) for span in batch]
            self._sending = len(batch)
            error = self._sink.send(found)
            with self._lock:
                sent, self._sending = self._sending, 0
                if error is None:
                    self.exported += sent
                    self.error = None
                else:
                    self._lost += sent
                    self.error = self._redactor(error)[:_LONGEST_REASON]
            self._warn()

    def _warn(self, *, now: bool = False) -> None:
        """Log the number of dropped spans, once a minute."""
        with self._lock:
            lost = self._lost - self._warned_of
            recently = self._warned_at is not None and monotonic() - self._warned_at < _WARN_SECONDS
            if not lost or (recently and not now):
                return
            self._warned_of, self._warned_at = self._lost, monotonic()
        text = f"{lost:,} spans were not exported to {self.target}: {self.reason}"
        _logger.warning("%s", text)
        if this_process().role != NOTEBOOK and not is_shown(_logger, logging.WARNING):
            # A notebook says it in %agentnb; of a script nobody would see the line.
            with suppress(AttributeError, ValueError, OSError):  # no stderr, or a closed one
                sys.stderr.write(f"agentnb: {text}\n")

    async def aflush(self, timeout: float = 5.0) -> bool:  # noqa: ASYNC109 - that of its twin
        """Await `flush`."""
        return await aclosed(partial(self.flush, timeout))

    async def astop(self, timeout: float = _STOP_SECONDS) -> None:  # noqa: ASYNC109 - as above
        """Await `stop`."""
        await aclosed(partial(self.stop, timeout))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await aleave(error, self.astop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.stop)

    def __repr__(self) -> str:
        state = "stopped" if self._closed else "running"
        counts = f"{self.exported} exported, {self.dropped} dropped"
        return f"<SpanExport to {self.target}: {state}, {counts}>"


def _reset_inherited() -> None:
    for export in list(_running):
        export._reset()  # noqa: SLF001 - its own module's class


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_reset_inherited)
