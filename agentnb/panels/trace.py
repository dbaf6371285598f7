"""A trace as it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.trace.view.html import html_of
from agentnb.core.trace.view.layout import Layout
from agentnb.core.trace.view.text import text_of
from agentnb.panels.base import Panel, Picture

if TYPE_CHECKING:
    from agentnb.core.hub import Hub
    from agentnb.core.trace.tree import Trace

__all__ = ["make"]


def make(hub: Hub, *, trace_id: str | None = None, every: float = 0.5) -> Panel:
    """Return a panel of a trace; by default of the last one.

    Parameters
    ----------
    hub
        Whose home has the trace.
    trace_id
        The id.
    every
        Seconds from one refresh to the next.
    """
    traces = hub.trace
    id = trace_id or traces.last().id  # noqa: A001 - the name of the field
    panel = Panel(f"Trace {id[:8]}", every=every, redactor=hub.settings.redactor)
    picture = Picture("Waterfall", height="600px")

    def show(trace: Trace) -> None:
        layout = Layout(trace)
        picture.show(html_of(layout, live=True), text_of(layout))

    return panel.compose(picture).keep_fresh(lambda: traces.get(id), show)
