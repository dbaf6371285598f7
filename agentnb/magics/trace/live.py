"""A trace that is followed while something of it runs."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import ConfigError

if TYPE_CHECKING:
    from agentnb.core.trace.traces import Traces
    from agentnb.core.trace.tree import Trace
    from agentnb.magics.extension import Extension

__all__ = ["follow"]

_EVERY = 0.5
_QUIET = 2.0
"""Seconds in which nothing ran and nothing came, after which a trace has ended."""


def follow(
    traces: Traces, trace_id: str, extension: Extension, *, timeout: float, quiet: bool = False
) -> Trace:
    """Show a trace until nothing of it runs; return it as it is then.

    Parameters
    ----------
    traces
        Finds it.
    trace_id
        Its id.
    extension
        Opens the live view, in a kernel.
    timeout
        Seconds, after which it is returned although it runs.
    quiet
        Show nothing.
    """
    live = _Live(extension, trace_id, quiet=quiet)
    try:
        with suppress(KeyboardInterrupt):  # Ctrl-C ends the view, not the cells behind it
            _wait(traces, trace_id, timeout)
    finally:
        live.close()
    trace = traces.get(trace_id)
    running = sum(span.outcome == "running" for span in trace.spans)
    if running:
        trace.notes += (f"{running:,} of its spans still run: %trace {trace_id[:8]} --live",)
    return trace


def _wait(traces: Traces, trace_id: str, timeout: float) -> None:
    """Wait until nothing of a trace runs and nothing has come for a while."""
    end = time.monotonic() + timeout
    seen, since = -1, time.monotonic()
    while True:
        spans = traces.get(trace_id).spans
        now = time.monotonic()
        if len(spans) != seen or any(span.outcome == "running" for span in spans):
            seen, since = len(spans), now
        if now - since >= _QUIET or now >= end:
            return
        time.sleep(max(0.0, min(_EVERY, end - now)))


class _Live:
    """The live view, in a kernel with widgets; elsewhere nothing.

    Its one output becomes empty at the end, since the result shows it all.
    """

    def __init__(self, extension: Extension, trace_id: str, *, quiet: bool) -> None:
        self._panel: Any = None
        self._handle: Any = None
        if quiet or not hasattr(extension.shell, "kernel"):
            return
        from IPython.display import display

        show: Any = display
        try:
            self._panel = extension.open_panel("trace", trace_id=trace_id)
        except ConfigError:
            return  # no widgets are installed
        bundle, _ = self._panel._repr_mimebundle_()
        self._handle = show(bundle, raw=True, display_id=True)

    def close(self) -> None:
        if self._panel is not None:
            self._panel.close()
        if self._handle is not None:
            self._handle.update({"text/plain": "", "text/html": ""}, raw=True)
