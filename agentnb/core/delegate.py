"""Methods of a part as methods of the class that is composed of it.

A public class that is composed of parts declares each method that a part implements:

>>> class Parser:
...     def parse(self, text: str, *, strict: bool = False) -> list[str]:
...         '''Return the words of a text.'''
...         return text.split()
>>> class Reader:
...     parse = delegate("_parser", Parser.parse)
...
...     def __init__(self) -> None:
...         self._parser = Parser()
>>> Reader().parse("one two")
['one', 'two']

Its signature, types and docstring are those of the part's method, and Tab shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["delegate"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S")


class delegate(Generic[_S, _P, _R]):  # noqa: N801 - used like property
    """A method that a part implements.

    Parameters
    ----------
    part
        The attribute of the instance that holds the part.
    method
        The function of the part's class.
    """

    __slots__ = ("_method", "_part", "around")

    def __init__(self, part: str, method: Callable[Concatenate[_S, _P], _R]) -> None:
        self._part, self._method = part, method
        self.around: Callable[[Any, Callable[..., Any]], Callable[..., Any]] | None = None
        """Given the instance and the part's bound method, returns what is called."""

    @property
    def method(self) -> Callable[Concatenate[_S, _P], _R]:
        """Return the function of the part's class."""
        return self._method

    @overload
    def __get__(self, instance: None, owner: type) -> Callable[Concatenate[object, _P], _R]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Callable[_P, _R]: ...
    def __get__(
        self, instance: object | None, owner: type
    ) -> Callable[Concatenate[object, _P], _R] | Callable[_P, _R]:
        if instance is None:
            return self._method  # type: ignore[return-value]  # its self is the part
        # By the part's own name, so that what replaces a method of the part is found.
        found: Callable[_P, _R] = getattr(getattr(instance, self._part), self._method.__name__)
        return found if self.around is None else self.around(instance, found)
