"""A tree of widgets: walk it, close it, let its clicks through while a cell runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipywidgets import Widget

__all__ = ["answer_while_busy", "close_all", "walk"]


def walk(root: Widget, *, visible: bool = False) -> Iterator[Widget]:
    """Yield the widget and every widget it refers to, each once, in the order of reading.

    Parameters
    ----------
    root
        The first widget.
    visible
        Leave out what is not displayed, with all that is in it.
    """
    from ipywidgets import Widget

    seen: set[int] = set()
    waiting = [root]
    while waiting:
        widget = waiting.pop(0)
        if id(widget) in seen:
            continue
        seen.add(id(widget))
        if visible and getattr(getattr(widget, "layout", None), "display", None) == "none":
            continue
        yield widget
        found = []
        for name in widget.keys:
            value = getattr(widget, name, None)
            if isinstance(value, Widget):
                found.append(value)
            elif isinstance(value, (list, tuple)):
                found += [each for each in value if isinstance(each, Widget)]
        waiting = found + waiting


def close_all(root: Widget) -> None:
    """Close the whole tree, the root first, so that the page removes it in one go."""
    for widget in list(walk(root)):
        widget.close()


def answer_while_busy(root: Widget) -> bool:
    """Let the tree's messages be handled while a cell runs; tell whether this kernel allows it.

    ipykernel 7.4 sends a message from the page to the thread that last wrote to the widget, which
    for a widget made in a cell is the main one: a click waits for the cell to end. Without that
    route the message goes where the page sent it, to a thread of its own. The name is private to
    ipykernel, hence the probe; where it is absent nothing is changed.
    """
    routed = False
    for widget in walk(root):
        if hasattr(widget.comm, "_reply_subshell_for"):
            widget.comm._reply_subshell_for = None  # noqa: SLF001 - no public switch exists
            routed = True
    return routed
