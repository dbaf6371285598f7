"""Trace ids, spans and structured logs.

A context variable holds the running trace (`start_trace`, `current`, `traceparent`, `use`), a
`Tracer` makes and keeps spans, a `LogFile` writes what is logged under ``agentnb``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentnb.core.trace.context import (
        Context,
        carried,
        check_correlation_id,
        correlation,
        current,
        outgoing_headers,
        outgoing_variables,
        parse_traceparent,
        stamp,
        start_trace,
        traceparent,
        use,
    )
    from agentnb.core.trace.counters import Counters
    from agentnb.core.trace.logs import JsonFormatter, LogFile, StampFilter
    from agentnb.core.trace.reading import read_spans
    from agentnb.core.trace.servicelog import ServiceLog
    from agentnb.core.trace.spans import Span, Tracer

__all__ = [
    "Context",
    "Counters",
    "JsonFormatter",
    "LogFile",
    "ServiceLog",
    "Span",
    "StampFilter",
    "Tracer",
    "carried",
    "check_correlation_id",
    "correlation",
    "current",
    "outgoing_headers",
    "outgoing_variables",
    "parse_traceparent",
    "read_spans",
    "stamp",
    "start_trace",
    "traceparent",
    "use",
]

_MODULES = {
    **dict.fromkeys(("JsonFormatter", "LogFile", "StampFilter"), "logs"),
    **dict.fromkeys(("Span", "Tracer"), "spans"),
    "Counters": "counters",
    "read_spans": "reading",
    "ServiceLog": "servicelog",
}


if not TYPE_CHECKING:  # else a checker would find no name that is misspelt

    def __getattr__(name: str) -> Any:
        # Imported on first use: each cell of a notebook starts a trace, with or without spans.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f"{__name__}.{_MODULES.get(name, 'context')}")
        value = globals()[name] = getattr(module, name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
