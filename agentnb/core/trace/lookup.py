"""Finds the trace of a job, a workflow or an event by the attributes of spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.trace.reading import SpanReader
    from agentnb.core.trace.spans import Span

__all__ = ["KEYS", "about", "newest_about"]

KEYS: Final = {
    "job": ("job",),
    "workflow": ("workflow_name", "workflow"),
    "event": ("event",),
}
"""The attributes that name each of them."""


def about(text: str) -> tuple[str, str] | None:
    """Return the kind and the name in ``job:ID``, ``workflow:NAME`` or ``event:ID``; else None.

    >>> about("job:j-17"), about("1b77e0")
    (('job', 'j-17'), None)
    """
    kind, colon, name = text.strip().partition(":")
    return (kind, name) if colon and name and kind in KEYS else None


def newest_about(
    kind: str, name: str, own: Iterable[Span], reader: SpanReader | None
) -> str | None:
    """Return the id of the newest trace that has a span of it, or None.

    Parameters
    ----------
    kind, name
        As `about` gives them.
    own
        The spans of this process's memory.
    reader
        Reads the files; None without files.
    """
    keys = KEYS[kind]
    found = [
        (span.began, span.trace_id)
        for span in own
        if span.attributes and any(span.attributes.get(key) == name for key in keys)
    ]
    if reader is not None:
        for key in keys:
            found += reader.traces_with(key, name)
    return max(found)[1] if found else None
