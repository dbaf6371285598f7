"""Functions of the caller, checked when they are given and not when they are called."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_takes"]


def check_takes(
    function: Callable[..., Any], *given: str, name: str, service: str, hint: str
) -> None:
    """Raise if a function cannot be called with some positional arguments.

    A function whose parameters are not known, as of some in C, is let pass.

    Parameters
    ----------
    function
        The function.
    given
        The names of what it is called with, for the message.
    name
        The function's name in the message, such as ``"the processor"``.
    service, hint
        Of the error.

    Raises
    ------
    UsageError
        It needs more than that, or takes less.

    Examples
    --------
    >>> try:
    ...     check_takes(lambda job, db: 1, "job", name="the processor", service="queue",
    ...                 hint="work(lambda job: job.data)")
    ... except UsageError as error:
    ...     print(error.message)
    the processor is called with job alone: missing a required argument: 'db'
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*given)
    except TypeError as error:
        called = f"{given[0]} alone" if len(given) == 1 else " and ".join(given) or "nothing"
        raise UsageError(
            f"{name} is called with {called}: {error}", service=service, hint=hint
        ) from error
