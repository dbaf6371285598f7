"""The marks of a task in ``%%workflow``, such as ``!approve``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentnb.core.ranges import read_seconds
from agentnb.magics.grammar.values import count, times

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MARKS"]


def _delay(text: str) -> float:
    return read_seconds(text, zero=True)


MARKS: Final[dict[str, tuple[str, Callable[[str], Any] | None, str]]] = {
    "approve": ("approval", None, "!approve"),
    "priority": ("priority", times, "!priority=N, lower first, 0 without one"),
    "delay": ("delay", _delay, "!delay=SECONDS"),
    "attempts": ("attempts", count, "!attempts=N"),
    "timeout": ("timeout", read_seconds, "!timeout=SECONDS"),
}
"""The marks of a task: the option that each sets, what makes its value of a text, its usage."""
