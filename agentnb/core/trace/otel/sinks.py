"""Receivers of finished spans: an exporter or a processor of OpenTelemetry's SDK."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Protocol

from agentnb.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = ["ExporterSink", "ProcessorSink", "Sink", "sink_of"]

_HINT = "hub.trace.export_to(OTLPSpanExporter()), or AGENTNB_OTEL=1"
_NO_REASON = "the exporter gives no reason"


class Sink(Protocol):
    """Takes batches of spans, in one thread at a time."""

    resource: Resource | None
    """The resource of the spans; None for that of the process."""

    def send(self, spans: Sequence[ReadableSpan]) -> str | None:
        """Send the spans; return why they were not taken, or None."""

    def flush(self, seconds: float) -> None:
        """Send what waits behind it."""

    def abort(self) -> None:
        """End a call of `send` that waits, from another thread, and close the sink."""


class _Captured(logging.Filter):
    """Keeps what an exporter logs of a failure, to be said once a minute and not each time."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = threading.local()

    def begin(self) -> list[str]:
        """Keep the records of this thread, and return the list that they come to."""
        messages: list[str] = []
        self._kept.messages = messages
        return messages

    def end(self) -> None:
        """Let the records of this thread pass again."""
        self._kept.messages = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record passes: it does in all other threads."""
        messages: list[str] | None = getattr(self._kept, "messages", None)
        if messages is None:
            return True
        messages.append(record.getMessage())
        return False


_captured = _Captured()


class ExporterSink:
    """Hands spans to a ``SpanExporter``.

    Parameters
    ----------
    exporter
        The exporter.
    owned
        Whether it ends with the sink.
    """

    resource: Resource | None = None

    def __init__(self, exporter: SpanExporter, *, owned: bool = False) -> None:
        self._exporter = exporter
        self._owned = owned
        for kind in type(exporter).__mro__:
            if kind.__module__.startswith("opentelemetry.exporter."):
                logging.getLogger(kind.__module__).addFilter(_captured)

    def send(self, spans: Sequence[ReadableSpan]) -> str | None:
        """Export the spans; return the reason of a failure, or None."""
        from opentelemetry.context import attach, detach, set_value
        from opentelemetry.sdk.trace.export import SpanExportResult

        # A plain key, which instrumentation of HTTP clients looks for: no spans of our requests.
        token = attach(set_value("suppress_instrumentation", True))  # noqa: FBT003 - its signature
        messages = _captured.begin()
        try:
            if self._exporter.export(spans) is SpanExportResult.SUCCESS:
                return None
        except Exception as error:  # noqa: BLE001 - an exporter of the user's may raise anything
            return f"{type(error).__name__}: {error}"
        finally:
            _captured.end()
            detach(token)
        return messages[0] if messages else _NO_REASON

    def flush(self, seconds: float) -> None:
        """Let the exporter send what it keeps."""
        self._exporter.force_flush(int(seconds * 1000))

    def abort(self) -> None:
        """Shut an exporter down that belongs to the sink."""
        if self._owned:
            self._exporter.shutdown()


class ProcessorSink:
    """Hands spans to the end of a ``SpanProcessor``.

    Parameters
    ----------
    processor
        The processor.
    resource
        The resource of its provider.
    """

    def __init__(self, processor: SpanProcessor, resource: Resource | None = None) -> None:
        self._processor = processor
        self.resource = resource

    def send(self, spans: Sequence[ReadableSpan]) -> str | None:
        """Hand over the spans one by one."""
        try:
            for span in spans:
                self._processor.on_end(span)
        except Exception as error:  # noqa: BLE001 - a processor of the user's may raise anything
            return f"{type(error).__name__}: {error}"
        return None

    def flush(self, seconds: float) -> None:
        """Let the processor send what waits in it."""
        self._processor.force_flush(int(seconds * 1000))

    def abort(self) -> None:
        """Leave the processor to its owner."""


def sink_of(target: Any) -> Sink:
    """Return the sink of an exporter, a processor or a provider.

    Raises
    ------
    UsageError
        It is none of them.
    ConfigError
        The provider does not show its processors.
    """
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import TracerProvider

    if isinstance(target, SpanExporter):
        return ExporterSink(target)
    if isinstance(target, SpanProcessor):
        return ProcessorSink(target)
    if isinstance(target, TracerProvider):
        processor = getattr(target, "_active_span_processor", None)
        if isinstance(processor, SpanProcessor):
            return ProcessorSink(processor, getattr(target, "resource", None))
        raise ConfigError(
            f"a {type(target).__name__} takes no finished spans", service="trace", hint=_HINT
        )
    raise UsageError(
        "exporter must be a SpanExporter, a SpanProcessor or a TracerProvider of OpenTelemetry, "
        f"got {type(target).__name__}",
        service="trace",
        hint=_HINT,
    )
