"""Attributes that are made on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["lazy"]

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 - as property is called
    """Make a value on first use, once for each object, under the object's lock ``_making``.

    Until 3.12 `functools.cached_property` has one lock for all objects, which is held meanwhile.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, owner: Any, kind: type | None = None) -> T:
        if owner is None:
            return self  # type: ignore[return-value]  # asked of the class, by a tool
        with owner._making:  # noqa: SLF001 - the two are one
            if self._name not in vars(owner):
                vars(owner)[self._name] = self._make(owner)
            return vars(owner)[self._name]  # type: ignore[no-any-return]  # it was made here
