"""The texts of spans, masked, and fit for one line or for several."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agentnb.core.format import clock, cut, duration, short

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.trace.spans import Process, Span

__all__ = ["block", "details", "label", "line", "process_words", "title"]

# The attributes that say best what a span did.
_LABELS = (
    *("statement", "url", "key", "channel", "queue", "path", "image", "repository"),
    *("source", "workflow_name", "workflow", "task", "model"),
)
# Characters that move the cursor, hide or reverse text, or have no UTF-8.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_SPACE = re.compile(r"\s+")
_MOST = 160  # characters of a line
_MOST_TEXT = 1_000  # characters of a text


def line(text: str, most: int = _MOST) -> str:
    r"""Return a text as one line without characters that cannot be seen.

    >>> line("select 1\n  from t\x1b[2J")
    'select 1 from t\\x1b[2J'
    """
    return cut(_visible(_SPACE.sub(" ", text[: 4 * most])).strip(), most)


def block(text: str, most: int = _MOST_TEXT) -> str:
    """Return a text of several lines without characters that cannot be seen."""
    return cut(_visible(text[: 2 * most]), most)


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)


def title(span: Span, *, numbered: bool = True) -> str:
    """Return the name of a span as people say it: ``db.query``, ``cell [12]``, ``parse``.

    A task of a workflow has its own name behind that.

    Parameters
    ----------
    span
        The span.
    numbered
        Whether a cell has its number.
    """
    number = (span.attributes or {}).get("number")
    if span.kind == "cell" and numbered and number is not None:
        return line(f"{span.name} [{number}]")
    if span.kind == "cell" or span.service == "app":
        return line(span.name)
    task = (span.attributes or {}).get("task") if span.name == "task" else None
    return line(f"{span.service}.{span.name}" + (f" {task}" if task else ""))


def label(record: dict[str, Any], most: int = _MOST) -> str:
    """Return what a span did in one line: its statement, its URL, its key.

    Parameters
    ----------
    record
        The span as `Span.to_dict` gives it, with its secrets masked.
    most
        Greatest number of characters.
    """
    attributes = record.get("attributes") or {}
    for name in _LABELS:
        value = attributes.get(name)
        if value not in (None, ""):
            return line(short(value, 2 * most), most)
    return ""


def process_words(process: Process | None, *, numbered: bool = True) -> str:
    """Return the name of a process: its role, and its number.

    >>> from agentnb.core.trace.spans import Process
    >>> process_words(Process(4212, "a", "worker mail")), process_words(None)
    ('worker mail 4212', 'this process')
    """
    if process is None:
        return "this process"
    role = line(process.role, 40)
    return f"{role} {process.pid}" if numbered else role


def details(
    span: Span, record: dict[str, Any], seconds: float, redactor: Callable[[str], str]
) -> list[tuple[str, str]]:
    """Return all that is known of a span: names and texts.

    Parameters
    ----------
    span
        The span.
    record
        The record that `Span.to_dict` returns.
    seconds
        How long it took.
    redactor
        Masks what is not in the record.
    """
    found: list[tuple[str, str]] = []
    if span.outcome != "ok":
        found.append(("outcome", line(str(record["outcome"]))))
    if record.get("error"):
        found.append(("error", block(str(record["error"]))))
    attributes = record.get("attributes")
    if isinstance(attributes, dict):
        found += [
            (line(str(name), 40), block(short(value, 2 * _MOST_TEXT)))
            for name, value in attributes.items()
            if value is not None
        ]
    if span.attempt > 1:
        found.append(("attempt", str(span.attempt)))
    still = " until now" if span.outcome == "running" else ""
    found.append(("time", f"{clock(span.began)} for {duration(seconds)}{still}"))
    if span.process is not None:
        where = f"{process_words(span.process)} on {span.process.host}"
        found.append(("process", line(redactor(where))))
    if record.get("correlation_id"):
        found.append(("correlation id", line(str(record["correlation_id"]))))
    if span.links:
        found.append(("follows from", " ".join(span.links[:20])))
    above = f", below {span.parent_id}" if span.parent_id else ""
    found.append(("span", f"{span.span_id} of trace {span.trace_id}{above}"))
    return found
