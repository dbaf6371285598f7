"""A trace that is over as OTLP: in the JSON of a file, or sent to a receiver."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import UnavailableError, UsageError
from agentnb.core.trace.otel.conventions import SCHEMA_URL, describe
from agentnb.core.trace.otel.environment import check_installed, target_of
from agentnb.core.trace.otel.resources import (
    SERVICE_NAME,
    agentnb_version,
    nanoseconds,
    process_attributes,
)
from agentnb.core.trace.process import this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from agentnb.core.trace.otel.conventions import Attribute
    from agentnb.core.trace.process import Process
    from agentnb.core.trace.spans import Span
    from agentnb.core.trace.tree import Trace

__all__ = ["send_trace", "to_otlp"]

_KINDS: Final = {"INTERNAL": 1, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
_UNSET, _ERROR = 0, 2
_BATCH: Final = 512


def to_otlp(trace: Trace) -> bytes:
    """Return a trace in the JSON of OTLP, as a collector's file receiver reads it.

    It needs no package of OpenTelemetry.

    Examples
    --------
    >>> from agentnb.core.trace.spans import Tracer
    >>> from agentnb.core.trace.tree import Trace
    >>> tracer = Tracer()
    >>> with tracer.span("parse") as span:
    ...     pass
    >>> text = to_otlp(Trace(span.trace_id, tracer.recent()))
    >>> json.loads(text)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"]
    'parse'
    """
    scope = {"name": "agentnb", "version": agentnb_version()}
    found = [
        {
            "resource": {
                "attributes": _pairs({"service.name": SERVICE_NAME, **process_attributes(process)})
            },
            "scopeSpans": [
                {
                    "scope": scope,
                    "spans": [_record(span, trace.redactor) for span in spans],
                    "schemaUrl": SCHEMA_URL,
                }
            ],
        }
        for process, spans in _by_process(trace.spans)
    ]
    text = json.dumps({"resourceSpans": found}, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")


def _by_process(found: Iterable[Span]) -> Iterator[tuple[Process, list[Span]]]:
    here = this_process()

    def process_of(span: Span) -> Process:
        return span.process or here

    for process, spans in groupby(sorted(found, key=process_of), process_of):
        yield process, list(spans)


def _record(span: Span, redactor: Callable[[str], str]) -> dict[str, Any]:
    found = describe(span, redactor)
    record: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": found.name,
        "kind": _KINDS[found.kind],
        "startTimeUnixNano": str(nanoseconds(span.began)),
        "endTimeUnixNano": str(nanoseconds(span.ended)),
        "attributes": _pairs(found.attributes),
        "status": {"code": _UNSET},
        "flags": int(span.sampled),
    }
    if span.parent_id is not None:
        record["parentSpanId"] = span.parent_id
    if found.error is not None:
        record["status"] = {"code": _ERROR, "message": found.error}
    if span.links:
        record["links"] = [{"traceId": span.trace_id, "spanId": one} for one in span.links]
    if found.events:
        record["events"] = [
            {
                "name": one.name,
                "timeUnixNano": str(nanoseconds(one.at)),
                "attributes": _pairs(one.attributes),
            }
            for one in found.events
        ]
    return record


def _pairs(attributes: Mapping[str, Attribute]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Attribute) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}  # 64 bits, which JSON's readers may not have
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": value}


_LOGIN = "OTEL_EXPORTER_OTLP_HEADERS=NAME=VALUE, with the login that the receiver takes"


def send_trace(trace: Trace, variable: Callable[[str], str | None], url: str | None = None) -> str:
    """Send a trace to a receiver of OTLP over HTTP; return a line that says so.

    Spans that are not sampled stay here, as in the export of a running process.

    Parameters
    ----------
    trace
        The trace.
    variable
        Returns a variable of the environment or of ``.env``.
    url
        The receiver; default: OTEL_EXPORTER_OTLP_ENDPOINT.

    Raises
    ------
    ConfigError
        The extra ``otel`` is not installed, or a variable cannot be used.
    UsageError
        The URL is none, or no span of the trace is sampled.
    UnavailableError
        The receiver did not take it.
    """
    check_installed("the export of a trace")
    target = target_of(variable, url)
    sampled = [span for span in trace.spans if span.sampled]
    if not sampled:
        raise UsageError(
            f"no span of trace {trace.id[:8]} is sampled: the traceparent of its caller says so",
            service="trace",
            hint=f"hub.trace.get({trace.id[:8]!r}) has them all "
            f"(%trace {trace.id[:8]} --export trace.otlp writes them to a file)",
        )
    from agentnb.core.trace.otel.readable import readable, resource_of

    sink = target.sink()
    shown = trace.redactor(target.redactor(target.url))
    try:
        for process, spans in _by_process(sampled):
            resource = resource_of(process, {})
            for start in range(0, len(spans), _BATCH):
                batch = spans[start : start + _BATCH]
                error = sink.send([readable(span, resource, trace.redactor) for span in batch])
                if error is not None:
                    raise UnavailableError(
                        f"{shown} did not take the spans: {trace.redactor(target.redactor(error))}",
                        service="trace",
                        hint=_LOGIN
                        if "code: 401" in error or "code: 403" in error
                        else "is a collector listening there, for OTLP over HTTP? "
                        "Its port is usually 4318",
                    )
    finally:
        sink.abort()
    left = len(trace.spans) - len(sampled)
    left_out = f"; {left:,} that are not sampled were left out" if left else ""
    return f"{len(sampled):,} spans of trace {trace.id[:8]} sent to {shown}{left_out}"
