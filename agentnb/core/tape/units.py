"""Units of work on tapes: the names of their functions and of their traces."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentnb.core.trace import Context

__all__ = ["function_name", "trace_of"]


def function_name(function: Any) -> str:
    """Return ``module:name`` of a function that can be imported, else an empty text.

    >>> function_name(inspect.getsource), function_name(lambda: 1)
    ('inspect:getsource', '')
    """
    inner = inspect.unwrap(function) if callable(function) else function
    if not hasattr(inner, "__qualname__"):
        inner = type(inner)
    module, name = getattr(inner, "__module__", None), inner.__qualname__
    known = module not in {None, "__main__"} and "<" not in name
    return f"{module}:{name}" if known else ""


def trace_of(context: Context | None) -> str | None:
    """Return the id of a trace."""
    return None if context is None else context.trace_id
