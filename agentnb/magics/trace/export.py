"""Writes a trace to a file of another program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.trace.tree import Trace

__all__ = ["FORMS", "export"]


def _chrome(trace: Trace) -> str:
    return json.dumps(trace.to_chrome(), ensure_ascii=False, default=str)


def _otlp(trace: Trace) -> str:
    from agentnb.core.trace.otel.otlp import to_otlp

    return to_otlp(trace).decode()


FORMS: dict[str, Callable[[Trace], str]] = {".json": _chrome, ".otlp": _otlp}
"""The text of a file by the end of its name."""


def export(trace: Trace, name: str) -> str:
    """Write a trace to a file; return a line that says so.

    Raises
    ------
    UsageError
        The name ends in none of the forms, or the file cannot be written.
    """
    path = Path(name).expanduser()
    form = FORMS.get(path.suffix.lower())
    if form is None:
        raise UsageError(
            f"--export takes a file that ends in {' or '.join(FORMS)}, got {name!r:.80}",
            service="trace",
            hint="%trace --export trace.json",
        )
    text = form(trace)
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(
            f"cannot write {name!r:.80}: {error.strerror or type(error).__name__}",
            service="trace",
            hint="name a file in a folder that exists: %trace --export trace.json",
        ) from error
    more = "; open it on https://ui.perfetto.dev" if form is _chrome else ""
    return f"{len(trace.spans):,} spans of trace {trace.id[:8]} in {path}{more}"
