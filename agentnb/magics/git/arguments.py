"""Arguments on a line of ``%git``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from agentnb.magics.grammar import Call

__all__ = ["choice", "text"]


def text(call: Call, at: int) -> str | None:
    """Return an argument as text, or None if it is not there."""
    if at >= len(call.arguments):
        return None
    value = call.arguments[at]
    return str(value) if isinstance(value, (str, Path)) else call.words[at].text


def choice(call: Call, choices: tuple[str, ...]) -> str | None:
    """Return the first argument, one of the choices, or None if there is none.

    Raises
    ------
    UsageError
        It is another word.
    """
    verb = text(call, 0)
    if verb is not None and verb not in choices:
        raise UsageError(
            f"%git {call.verb} has no {verb!r}",
            service="git",
            hint=did_you_mean(verb, choices) or f"it has {' and '.join(choices)}",
        )
    return verb
