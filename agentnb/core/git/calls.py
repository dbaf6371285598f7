"""Public methods of a manager as calls: one span each, whatever git is run for it."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from agentnb.core.delegate import delegate

__all__ = ["call"]

if TYPE_CHECKING:
    call = delegate  # with its types
else:

    class call(delegate):  # noqa: N801 - as `delegate`
        """A method that a part of a manager implements, in a span of its name."""

        __slots__ = ()

        def __get__(self, instance: Any, owner: type) -> Any:
            found = super().__get__(instance, owner)
            if instance is None:
                return found

            @wraps(found)
            def traced(*args: Any, **kwargs: Any) -> Any:
                with instance._repository.span(self.method.__name__):  # noqa: SLF001 - the manager's
                    return found(*args, **kwargs)

            return traced
