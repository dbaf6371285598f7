"""Spans of agentnb as spans of OpenTelemetry's SDK, under the same ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.status import Status, StatusCode

from agentnb.core.trace.otel.conventions import SCHEMA_URL, describe
from agentnb.core.trace.otel.parents import span_context
from agentnb.core.trace.otel.resources import (
    SERVICE_NAME,
    agentnb_version,
    nanoseconds,
    process_attributes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentnb.core.trace.process import Process
    from agentnb.core.trace.spans import Span

__all__ = ["readable", "resource_of"]


def resource_of(process: Process, given: Mapping[str, str]) -> Resource:
    """Return the resource of a process, with what OTEL_RESOURCE_ATTRIBUTES and others add.

    Parameters
    ----------
    process
        The process.
    given
        Attributes that win over those of the environment, such as those of ``.env``.
    """
    own = Resource({"service.name": SERVICE_NAME, **process_attributes(process)})
    return own.merge(OTELResourceDetector().detect()).merge(Resource(dict(given)))


_SCOPE: Final = InstrumentationScope("agentnb", agentnb_version(), SCHEMA_URL)


def readable(span: Span, resource: Resource, redactor: Callable[[str], str]) -> ReadableSpan:
    """Return a span as the exporters of the SDK take it, with every secret masked."""
    found = describe(span, redactor)
    status = Status(StatusCode.UNSET)
    if found.error is not None:
        status = Status(StatusCode.ERROR, found.error)
    return ReadableSpan(
        found.name,
        context=span_context(span.trace, span.span, sampled=span.sampled),
        parent=span_context(span.trace, span.parent, sampled=span.sampled) if span.parent else None,
        resource=resource,
        attributes=found.attributes,
        events=[Event(one.name, one.attributes, nanoseconds(one.at)) for one in found.events],
        links=[Link(span_context(span.trace, int(one, 16))) for one in span.links],
        kind=SpanKind[found.kind],
        status=status,
        start_time=nanoseconds(span.began),
        end_time=nanoseconds(span.ended),
        instrumentation_scope=_SCOPE,
    )
