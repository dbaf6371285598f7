"""A trace in the JSON of Chrome's tracing, which Perfetto and ``chrome://tracing`` open."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from agentnb.core.trace.view.words import process_words, title
from agentnb.core.trace.view.work_time import extents

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.trace.spans import Process, Span
    from agentnb.core.trace.tree import Trace

__all__ = ["chrome_of"]

_IN_EVENT = frozenset({"name", "service", "started", "ms"})


def chrome_of(trace: Trace, redactor: Callable[[str], str]) -> dict[str, object]:
    """Return every span as an event; on one track events lie in one another or apart.

    Parameters
    ----------
    trace
        The trace.
    redactor
        Masks secrets.
    """
    at = extents(trace.spans, time())
    processes: dict[Process | None, int] = {}
    lanes: dict[int, list[list[float]]] = {}
    events: list[dict[str, object]] = []
    first = trace.spans[0].began if trace.spans else 0.0
    for span in sorted(trace.spans, key=lambda span: (at[span.span][0], -at[span.span][1])):
        number = processes.setdefault(span.process, len(processes) + 1)
        began, ended = at[span.span]
        record = span.to_dict(redactor)
        events.append({
            "ph": "X",
            "name": redactor(title(span)),
            "cat": redactor(span.service),
            "ts": round((began - first) * 1e6, 1),
            "dur": round((ended - began) * 1e6, 1),
            "pid": number,
            "tid": _lane(lanes.setdefault(number, []), began, ended),
            "args": {name: value for name, value in record.items() if name not in _IN_EVENT},
        })  # fmt: skip
    names: list[dict[str, object]] = [
        {"ph": "M", "name": "process_name", "pid": number, "args": {"name": _name(one, redactor)}}
        for one, number in processes.items()
    ]
    return {
        "displayTimeUnit": "ms",
        "otherData": {"trace_id": trace.id, "started": _started(trace.spans)},
        "traceEvents": [*names, *events],
    }


def _lane(lanes: list[list[float]], began: float, ended: float) -> int:
    """Return the first track on which a span lies inside of the open ones, or behind all."""
    for number, open_ends in enumerate(lanes):
        while open_ends and open_ends[-1] <= began:
            open_ends.pop()
        if not open_ends or ended <= open_ends[-1]:
            open_ends.append(ended)
            return number
    lanes.append([ended])
    return len(lanes) - 1


def _name(process: Process | None, redactor: Callable[[str], str]) -> str:
    return redactor(process_words(process) + (f" on {process.host}" if process else ""))


def _started(spans: list[Span]) -> str | None:
    return spans[0].started.isoformat() if spans else None
