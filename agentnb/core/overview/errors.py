"""The last errors: of calls, jobs, tasks and handlers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.errors import AgentnbError
from agentnb.core.redact import redact
from agentnb.core.services import EVENTS, QUEUES, TRACER, WORKFLOWS
from agentnb.core.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agentnb.core.hub import Hub
    from agentnb.core.trace.spans import Span

__all__ = ["ErrorLine", "error_table", "errors_of_spans", "newest_errors", "stored_errors"]

_WORDS = re.compile(r"([A-Za-z_][\w.]*)(?:: ?(.*))?\Z", re.DOTALL)
_SHOWN_DIGITS = 8
_AT_ONCE = 5.0
_SPANS = 2000
_OTHERS = frozenset({"JobFailed", "TaskFailed"})
"""Errors of those who waited for a job or a workflow, which has an error of its own."""
_COLUMNS = (
    *(Column("time", "time"), "service", Column("error", "text"), Column("message", "text")),
    Column("trace", "text"),
)
_STORES = {"queue": QUEUES.name, "workflow": WORKFLOWS.name, "events": EVENTS.name}


class ErrorLine(NamedTuple):
    """An error that ended a call, a job, a task or a handler.

    Attributes
    ----------
    when
        When it came, in seconds since the epoch.
    service
        The service that it came from.
    error
        Its class.
    message
        Its message, with secrets masked.
    trace_id
        The trace that it belongs to, or None.
    about
        The job, the task or the handler that a store keeps; empty for a call.
    """

    when: float
    service: str
    error: str
    message: str
    trace_id: str | None
    about: str = ""


def errors_of_spans(
    spans: Iterable[Span], redactor: Callable[[str], str] = redact
) -> list[ErrorLine]:
    """Return the errors of spans, each where it was raised: not again in each span around it.

    Examples
    --------
    >>> from agentnb.core.trace.spans import Tracer
    >>> tracer = Tracer()
    >>> try:
    ...     with tracer.span("process", service="queue"), tracer.span("query", service="db"):
    ...         raise ValueError("no such app")
    ... except ValueError:
    ...     [(one.service, one.message) for one in errors_of_spans(tracer.recent())]
    [('db', 'query: no such app')]
    """
    failed = [span for span in spans if span.failed and span.outcome not in _OTHERS]
    causes: dict[tuple[int, int], list[Span]] = {}
    for span in failed:
        causes.setdefault((span.trace, span.parent), []).append(span)
    return [
        ErrorLine(
            span.ended,
            span.service,
            redactor(span.outcome),
            redactor(_message(span)),
            span.trace_id,
        )
        for span in failed
        if not any(_is_of(cause, span) for cause in causes.get((span.trace, span.span), ()))
    ]


def _message(span: Span) -> str:
    if not span.error or span.error.startswith(span.name):
        return span.error or span.name
    return f"{span.name}: {span.error}"


def _is_of(cause: Span, span: Span) -> bool:
    """Return whether a span failed since one in it did."""
    if cause.outcome == span.outcome:
        return True
    return bool(cause.error and span.error and cause.error in span.error)


def stored_errors(hub: Hub, names: Iterable[str], n: int) -> list[ErrorLine]:
    """Return the last errors that the stores of services keep.

    Parameters
    ----------
    hub
        The hub, on which these services are opened.
    names
        ``queue``, ``workflow``, ``events``.
    n
        How many of each queue and service.
    """
    redactor = hub.settings.redactor  # others wrote them, who know other secrets
    return [
        line._replace(error=redactor(line.error), message=redactor(line.message))
        for name in names
        for line in _READERS[name](hub, n)
    ]


def _of_jobs(hub: Hub, n: int) -> list[ErrorLine]:
    return [
        _line(one.when, "queue", one.error, f"job {one.id} of {one.queue}", one.trace_id)
        for one in hub.queues._failed(n)  # noqa: SLF001 - of this core
    ]


def _of_tasks(hub: Hub, n: int) -> list[ErrorLine]:
    return [
        _line(one.when, "workflow", one.error, f"task {one.name} of {one.workflow}", one.trace_id)
        for one in hub.workflows._failed(n)  # noqa: SLF001 - as above
    ]


def _of_handlers(hub: Hub, n: int) -> list[ErrorLine]:
    found = []
    for one in hub.events._dead.last(n):  # noqa: SLF001 - a look leaves no span
        about = f"handler {one.handler} of {one.channel}" if one.handler else one.channel
        found.append(_line(one.time.timestamp(), "events", one.error, about, one.trace_id))
    return found


_READERS: dict[str, Callable[[Hub, int], list[ErrorLine]]] = {
    "queue": _of_jobs,
    "workflow": _of_tasks,
    "events": _of_handlers,
}


def _line(when: float, service: str, error: str, about: str, trace_id: str | None) -> ErrorLine:
    found = _WORDS.match(error)
    kind, message = (found[1], found[2] or "") if found else ("", error)
    text = f"{about}: {message}" if message else about
    return ErrorLine(when, service, kind, text, trace_id, about)


def newest_errors(lines: Iterable[ErrorLine], n: int) -> list[ErrorLine]:
    """Return the newest errors, each once: neither as that of a call and of a job, nor retried.

    >>> kept = ErrorLine(7.0, "queue", "ValueError", "job j1 of mail: no", "4bf9", "job j1 of mail")
    >>> call = ErrorLine(6.0, "queue", "ValueError", "process: no", "4bf9")
    >>> wait = ErrorLine(8.0, "queue", "JobFailed", "result: job j1 of mail failed", None)
    >>> newest_errors([call, kept, wait], 9) == [kept]
    True
    """
    found = list(lines)
    stored = [one for one in found if one.about]
    calls = [one for one in found if not one.about]
    for one in stored:
        same = [call for call in calls if _is_same(one, call)]
        calls = [call for call in calls if call not in same]
        # A handler's event may have come without a trace; the call has one.
        traced = next((call.trace_id for call in same if one.trace_id is None), one.trace_id)
        calls.append(one._replace(trace_id=traced))
    newest: dict[tuple[object, ...], ErrorLine] = {}
    for line in sorted(calls, key=lambda one: one.when, reverse=True):
        newest.setdefault(line[1:], line)  # a call that was retried is one
    return list(newest.values())[:n]


def _is_same(stored: ErrorLine, call: ErrorLine) -> bool:
    """Return whether the error of a call is one that a store keeps."""
    if call.about:
        return False
    if stored.about in call.message:
        return True
    if stored.error != call.error:
        return False
    if stored.trace_id is not None:
        return stored.trace_id == call.trace_id
    return abs(stored.when - call.when) < _AT_ONCE and call.service == stored.service


def error_table(hub: Hub, limit: int) -> Table:
    """Return the last errors of this home's traces and of the opened services.

    Parameters
    ----------
    hub
        The hub.
    limit
        How many.
    """
    opened = hub._opened  # noqa: SLF001 - as above
    lines: list[ErrorLine] = []
    notes = []
    for name in (name for name, service in _STORES.items() if service in opened):
        try:
            lines += stored_errors(hub, [name], limit)
        except AgentnbError as error:
            notes.append(f"{name} does not answer: {error.message}")
    closed = [name for name, service in _STORES.items() if service not in opened]
    if closed:
        notes.append(_of_closed(closed))
    if TRACER.name in opened or (hub.settings.home / "logs").is_dir():
        newest = _with_traces(hub, lines, limit)
    else:
        newest = newest_errors(lines, limit)
    rows = [
        (one.when, one.service, one.error, one.message, (one.trace_id or "")[:_SHOWN_DIGITS])
        for one in newest
    ]
    note = "\n".join(notes)
    return Table(_COLUMNS, rows, note=note, empty="no errors", display=None)


def _with_traces(hub: Hub, stored: list[ErrorLine], limit: int) -> list[ErrorLine]:
    """Return the newest of stored errors and of those of traces."""
    # Those of this process first: a call outside of a cell or a run has no trace in the list.
    spans = {(span.trace, span.span): span for span in hub.tracer.recent(_SPANS)}
    asked = limit
    while True:
        traces = hub.trace.list(limit=asked, failed=True)
        for trace in traces:
            spans |= {(span.trace, span.span): span for span in trace.spans}
        lines = [*stored, *errors_of_spans(spans.values(), hub.settings.redactor)]
        newest = newest_errors(lines, limit)
        if len(newest) == limit or len(traces) < asked:
            return newest
        asked *= 4  # some traces have errors of others only, such as of who waited for a job


def _of_closed(names: Sequence[str]) -> str:
    given = ", ".join(f'"{name}"' for name in names)
    what = {"queue": "failed jobs", "workflow": "failed tasks", "events": "dead letters"}
    missing = ", ".join(what[name] for name in names)
    return f"without {missing}, whose services are not opened: hub.open({given})"
