"""The marks of a task in ``%%workflow``, such as ``!approve``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MARKS"]


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _count(text: str) -> int:
    value = _whole(text)
    if not value:
        raise ValueError(text)
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _above(text: str) -> float:
    value = _seconds(text)
    if not value:
        raise ValueError(text)
    return value


MARKS: Final[dict[str, tuple[str, Callable[[str], Any] | None, str]]] = {
    "approve": ("approval", None, "!approve"),
    "priority": ("priority", _whole, "!priority=N, lower first, 0 without one"),
    "delay": ("delay", _seconds, "!delay=SECONDS"),
    "attempts": ("attempts", _count, "!attempts=N"),
    "timeout": ("timeout", _above, "!timeout=SECONDS"),
}
"""The marks of a task: the option that each sets, what makes its value of a text, its usage."""
