"""Forms of answers that several services have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.tape.values import dump, load, masked_again, raw

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NOTHING", "VALUE"]


class _Nothing:
    """The form of a call that returns nothing."""

    def hold(self, answer: object) -> tuple[Any, int]:
        """Return nothing."""
        del answer
        return None, 0

    def dump(self, held: Any, redactor: Callable[[str], str]) -> None:
        """Return nothing."""

    def load(self, data: Any) -> None:
        """Return nothing."""


class _Value:
    """The form of a call that returns a value. It is dumped at once: the caller may change it."""

    def hold(self, answer: object) -> tuple[Any, int]:
        """Return the plain value, and about its size."""
        plain = dump(answer, raw)
        return plain, len(repr(plain))

    def dump(self, held: Any, redactor: Callable[[str], str]) -> Any:
        """Return the plain value, masked."""
        return masked_again(held, redactor)

    def load(self, data: Any) -> Any:
        """Return the value."""
        return load(data)


NOTHING = _Nothing()
VALUE = _Value()
