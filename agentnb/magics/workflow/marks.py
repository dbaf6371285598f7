"""The marks of a task in ``%%workflow``, such as ``!approve``, and their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentnb.core.ranges import OutsideError, read_seconds
from agentnb.magics.grammar.values import count, times

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MARKS", "or_agent", "pause_seconds"]


def pause_seconds(text: str) -> float:
    """Return the number of seconds that a text is, 0 or more."""
    return read_seconds(text, zero=True)


def or_agent(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return what makes a value of a text, and None of ``agent``.

    >>> or_agent(float)("2"), or_agent(float)("agent")
    (2.0, None)
    """

    def parsed(text: str) -> Any:
        if text == "agent":
            return None
        try:
            return parse(text)
        except OutsideError as error:
            raise OutsideError(f"{error}, or agent") from None

    return parsed


MARKS: Final[dict[str, tuple[str, Callable[[str], Any] | None, str]]] = {
    "approve": ("approval", None, "!approve"),
    "priority": ("priority", times, "!priority=N, lower first, 0 without one"),
    "delay": ("delay", pause_seconds, "!delay=SECONDS"),
    "attempts": ("attempts", count, "!attempts=N"),
    "timeout": ("timeout", read_seconds, "!timeout=SECONDS"),
}
"""The marks of a task: the option that each sets, what makes its value of a text, its usage."""
