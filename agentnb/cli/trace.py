"""``agentnb trace``: list traces, show one, send one to a receiver of OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]

_OPTIONS = {"list": {"failed", "n"}, "show": {"id", "plain"}, "export": {"id", "otlp"}}
_MOST = 20


def run(options: argparse.Namespace) -> int:
    """Do what the verb says, and return 0."""
    import agentnb
    from agentnb.core.hints import use_commands

    _check(options)
    with use_commands(), agentnb.connect() as hub:
        if options.verb == "list":
            from agentnb.core.trace.view.listing import table_of

            limit, failed = options.n or _MOST, options.failed
            print(table_of(hub.trace.list(limit, failed=failed or None), failed=failed))
            return 0
        trace = hub.trace.get(options.id) if options.id else hub.trace.last()
        if options.verb == "show":
            print(trace.plain() if options.plain else trace)
            return 0
        from agentnb.core.trace.otel.environment import variables_of
        from agentnb.core.trace.otel.otlp import send_trace

        print(send_trace(trace, variables_of(hub.settings), options.otlp))
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse an option of another verb, which would have no effect."""
    for verb, names in _OPTIONS.items():
        for name in sorted(names - _OPTIONS[options.verb]):
            if getattr(options, name):
                shown = "ID" if name == "id" else f"{'-' if len(name) == 1 else '--'}{name}"
                raise UsageError(
                    f"{shown} has no effect with {options.verb}",
                    service="cli",
                    hint=f"agentnb trace {verb} {shown}",
                )
