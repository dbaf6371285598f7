"""Spans that were begun and have no end: what runs, and what ended with its process."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.trace.spans import Span

__all__ = ["LOST", "RUNNING", "settle"]

LOST = "Lost"
"""The outcome of a span whose process ended before it."""
RUNNING = "running"
_SAME_WORK = ("queue", "job", "workflow", "task", "channel", "event", "handler")


def settle(spans: list[Span], owners: Mapping[int, str | None]) -> list[Span]:
    """Set outcome and length of the spans that were begun and have no end.

    One whose process is gone, or beside which a later attempt at the same work was made, is
    ``"Lost"``, and ended with the last of what it did. Any other runs.

    Parameters
    ----------
    spans
        The spans of a trace, by start.
    owners
        The identities of the processes of those without an end, by the ids of the spans.
    """
    if not owners:
        return spans
    dead: dict[str, bool] = {}
    latest = _latest_attempts(spans)
    below = _children(spans)
    now = time()
    for span in spans:
        if span.span not in owners:
            continue
        owner = owners[span.span] or ""
        if owner not in dead:
            dead[owner] = _is_dead(owner)
        if dead[owner] or latest.get(_work(span), span.attempt) > span.attempt:
            span.outcome = LOST
            span.ms = max(_last_sign(span, below) - span.began, 0.0) * 1000
        else:
            span.outcome = RUNNING
            span.ms = max(now - span.began, 0.0) * 1000
    return spans


def _is_dead(owner: str) -> bool:
    from agentnb.core.work.identity import is_dead

    return is_dead(f"{owner}|")


def _work(span: Span) -> tuple[object, ...]:
    """Return which work an attempt is one at."""
    attributes = span.attributes or {}
    about = (str(attributes.get(key)) for key in _SAME_WORK)
    return (span.parent, span.service, span.name, *about)


def _latest_attempts(spans: list[Span]) -> dict[tuple[object, ...], int]:
    """Return the number of the latest attempt at each piece of work."""
    found: dict[tuple[object, ...], int] = {}
    for span in spans:
        if span.kind == "work":
            work = _work(span)
            found[work] = max(found.get(work, 0), span.attempt)
    return found


def _children(spans: list[Span]) -> dict[int, list[Span]]:
    found: dict[int, list[Span]] = {}
    for span in spans:
        found.setdefault(span.parent, []).append(span)
    return found


def _last_sign(span: Span, below: Mapping[int, list[Span]]) -> float:
    """Return when the last of what a span did in its process ended."""
    last = span.began
    seen = {span.span}
    waiting = [span.span]
    while waiting:
        for child in below.get(waiting.pop(), ()):
            if child.process == span.process and child.span not in seen:
                seen.add(child.span)
                waiting.append(child.span)
                last = max(last, child.ended)
    return last
