"""Methods of a part as calls of a service: one span each, whatever is done for it."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from agentnb.core.delegate import delegate

__all__ = ["call"]

if TYPE_CHECKING:
    call = delegate  # with its types
else:

    class call(delegate):  # noqa: N801 - as `delegate`
        """A method that a part implements, in a span.

        The instance has ``_call_span``, which returns the span of a method and its arguments, and
        ``_call_ended``, which is given the span and the result.
        """

        __slots__ = ()

        def __get__(self, instance: Any, owner: type) -> Any:
            found = super().__get__(instance, owner)
            if instance is None:
                return found

            @wraps(found)
            def traced(*args: Any, **kwargs: Any) -> Any:
                with instance._call_span(self.method, args, kwargs) as span:  # noqa: SLF001 - its class declares it
                    result = found(*args, **kwargs)
                    instance._call_ended(span, result)  # noqa: SLF001 - as above
                    return result

            return traced
