"""Functions and types by their names: only what another process can import travels to it."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from agentnb.core.errors import ConfigError, UsageError

__all__ = ["find_named", "name_of"]


def name_of(found: Any, what: str, *, service: str, hint: str) -> str:
    """Return ``pkg.module:name`` of a function or a class, by which other processes import it.

    Parameters
    ----------
    found
        The function or the class; what a decorator wraps around it is looked through.
    what
        Its part in the message, such as ``"the processor"``.
    service, hint
        Of the error.

    Raises
    ------
    UsageError
        It cannot be imported: a lambda, a function of ``__main__`` or within another one.

    Examples
    --------
    >>> name_of(ConfigError, "the type", service="queue", hint="")
    'agentnb.core.errors.base:ConfigError'
    >>> try:
    ...     name_of(lambda job: 1, "the processor", service="queue", hint="name a function")
    ... except UsageError as error:
    ...     print(error.message)
    the processor is a lambda, which no other process can import
    """
    inner = inspect.unwrap(found)
    module, path = getattr(inner, "__module__", None), getattr(inner, "__qualname__", None)
    why = None
    if not isinstance(module, str) or not isinstance(path, str):
        why = f"is a {type(inner).__name__} without a name"
    elif "<lambda>" in path:
        why = "is a lambda"
    elif module == "__main__":
        why = f"{path} is of __main__, this script or notebook"
    elif "<locals>" in path:
        why = f"{path} is made within another function"
    else:
        seen = _walk(importlib.import_module(module), path)
        if seen is None or inspect.unwrap(seen) is not inner:
            why = f"{path} is not what {module} has under this name"
    if why is not None:
        raise UsageError(
            f"{what} {why}, which no other process can import", service=service, hint=hint
        )
    return f"{module}:{path}"


def find_named(name: str) -> Any:
    """Return what ``pkg.module:name`` names.

    Raises
    ------
    ConfigError
        It cannot be imported here.

    Examples
    --------
    >>> find_named("os.path:join")("a", "b")
    'a/b'
    """
    module, _, path = name.partition(":")
    try:
        found = _walk(importlib.import_module(module), path)
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{module} cannot be imported: {type(error).__name__}: {error}",
            service="work",
            hint=f"install it there, or add its folder to PYTHONPATH; python -c 'import {module}'",
        ) from error
    if found is None:
        raise ConfigError(
            f"{module} has no {path}",
            service="work",
            hint="is it the same version of the code on both sides?",
        )
    return found


def _walk(found: Any, path: str) -> Any:
    for word in path.split("."):
        found = getattr(found, word, None)
    return found
