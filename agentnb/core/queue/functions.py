"""The names of functions: a worker refuses a job that is for another function than its own."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.ranges import refused
from agentnb.core.work.executors.names import find_named
from agentnb.core.work.executors.names import name_of as importable_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.queue.processing import Processor

__all__ = ["CELL", "check_function", "function_of", "is_importable", "load_function", "name_of"]

CELL = "the cell of"
_FORMS = "a function or 'module:function'"


def name_of(function: Callable[..., Any]) -> str:
    """Return ``module:name`` of a function, or of the class of another callable.

    >>> name_of(inspect.unwrap)
    'inspect:unwrap'
    """
    inner = inspect.unwrap(function)
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{named.__module__}:{named.__qualname__}"


def function_of(processor: Processor, queue: str) -> str:
    """Return the name of a processor's function; that of a cell is the cell's, in all processes."""
    if processor.source.startswith(("%%", "this kernel")):
        return f"{CELL} {queue}"
    return name_of(processor.function)


def is_importable(function: Callable[..., Any]) -> bool:
    """Return whether other processes can import a function by its name.

    >>> is_importable(inspect.unwrap), is_importable(lambda job: job.data)
    (True, False)
    """
    try:
        importable_name(function, "the function", service="queue", hint="")
    except UsageError:
        return False
    return True


def load_function(name: str) -> Callable[..., Any]:
    """Return the function that ``module:function`` names.

    Raises
    ------
    UsageError
        It is no such name, or cannot be imported.
    """
    module, colon, path = name.partition(":")
    if not module or not colon or not path:
        raise refused("f", _FORMS, name, "queue", '"pkg.module:function"')
    try:
        found: Any = find_named(name)
    except ConfigError as error:
        raise UsageError(
            error.message,
            service="queue",
            hint=f"python -c 'import {module}' shows whether it can be imported here, too; "
            "map(None, items) is for the queue's own processor",
        ) from error
    if not callable(found):
        raise refused("f", _FORMS, name, "queue", '"pkg.module:function"')
    function: Callable[..., Any] = found
    return function


def check_function(wanted: str | None, processor: Processor, queue: str, job: str) -> None:
    """Refuse a job that is for another function than the processor's.

    Raises
    ------
    UsageError
        It is.
    """
    if wanted is None:
        return
    found = function_of(processor, queue)
    if found != wanted:
        raise UsageError(
            f"job {job} is for {wanted}, and this worker of {queue} has {found}",
            service="queue",
            hint=f"stop this worker, start one with that function "
            f"(agentnb worker {queue} --processor {wanted}), and retry the batch",
        )
