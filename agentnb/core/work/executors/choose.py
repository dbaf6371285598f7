"""The executor that a word, an address or an object names, for ``executor=`` and ``--executor``."""

from __future__ import annotations

import importlib
import re
import sys
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import ConfigError, UsageError, did_you_mean
from agentnb.core.work.executors.words import PROCESSES, THREADS

if TYPE_CHECKING:
    from agentnb.core.work.executors.dask import DaskExecutor

__all__ = ["WORDS", "choose", "read_executor"]

WORDS = (THREADS, PROCESSES)
"""The executors that have a word of their own."""
_RANGE = "threads, processes, dask://HOST:PORT, tls://HOST:PORT or pkg.module:factory"
_HINT = 'executor="dask://localhost:8786" (--executor dask://localhost:8786)'
_ADDRESS = re.compile(
    r"(?P<scheme>dask|tcp|tls)://(?P<host>\[[0-9a-fA-F:.%]+\]|[\w.-]+):(?P<port>\d{1,5})/?"
)
_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_MOST_PORT = 65_535


def read_executor(text: str) -> str:
    """Return the text of an executor without its white space, if it has one of the forms.

    Nothing is imported and nobody is asked.

    Raises
    ------
    ValueError
        It has none; the message is the range.

    Examples
    --------
    >>> read_executor(" dask://10.0.0.5:8786")
    'dask://10.0.0.5:8786'
    >>> try:
    ...     read_executor("thread")
    ... except ValueError as error:
    ...     print(error)
    threads, processes, dask://HOST:PORT, tls://HOST:PORT or pkg.module:factory
    """
    text = text.strip()
    found = _ADDRESS.fullmatch(text)
    if found is not None and 0 < int(found["port"]) <= _MOST_PORT:
        return text
    if text in WORDS or (found is None and _FACTORY.fullmatch(text)):
        return text
    raise ValueError(_RANGE)


def choose(executor: Any, *, service: str) -> Executor | str:
    """Return the executor that a word, an address or an object names.

    Parameters
    ----------
    executor
        ``"threads"``, ``"processes"``, the address of a Dask scheduler, ``"pkg.module:factory"``
        of a function without arguments that returns an executor, a ``distributed.Client``, or any
        `concurrent.futures.Executor`.
    service
        The service of errors.

    Returns
    -------
    Executor or str
        The executor; one of `WORDS` for those that the worker makes itself.

    Raises
    ------
    UsageError
        It is none of these.
    ConfigError
        The factory cannot be imported or fails, or Dask is not installed.
    UnavailableError
        The scheduler does not answer.

    Examples
    --------
    >>> choose("threads", service="queue")
    'threads'
    >>> try:
    ...     choose("procesess", service="queue")
    ... except UsageError as error:
    ...     print(error.message, error.hint, sep="; ")
    executor must be threads, processes, dask://HOST:PORT, tls://HOST:PORT or \
pkg.module:factory, got 'procesess'; did you mean processes?
    """
    if not isinstance(executor, str):
        return _of_object(executor, "executor", service)
    try:
        text = read_executor(executor)
    except ValueError as error:
        raise UsageError(
            f"executor must be {error}, got {executor!r:.200}",
            service=service,
            hint=did_you_mean(executor.strip(), WORDS) or _HINT,
        ) from None
    if text in WORDS:
        return text
    if _ADDRESS.fullmatch(text):
        return _dask(service).connect(text, service=service)
    return _of_factory(text, service)


def _of_object(found: Any, name: str, service: str) -> Executor:
    if isinstance(found, Executor):
        return found
    # A client of Dask's: only who has imported the library can have made one.
    distributed = sys.modules.get("distributed")
    if distributed is not None and isinstance(found, distributed.Client):
        return _dask(service)(found, service=service)
    kind = found.__name__ if isinstance(found, type) else type(found).__name__
    made = isinstance(found, type) or callable(found)
    raise UsageError(
        f"{name} must be a concurrent.futures.Executor or a Client of Dask's, got {kind}",
        service=service,
        hint=f"give the object that it makes: executor={kind}(...)" if made else _HINT,
    )


def _dask(service: str) -> type[DaskExecutor]:
    from agentnb.core.extras import require

    require(("distributed",), "an executor of Dask", service=service)
    from agentnb.core.work.executors.dask import DaskExecutor

    return DaskExecutor


def _of_factory(text: str, service: str) -> Executor:
    """Return the executor that ``pkg.module:factory`` makes."""
    name, _, path = text.partition(":")
    here = str(Path.cwd())  # as `python -m` has it
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{name} cannot be imported: {type(error).__name__}: {error}",
            service=service,
            hint=f"python -c 'import {name}' shows where",
        ) from error
    for word in path.split("."):
        if not hasattr(found, word):
            known = [one for one in dir(found) if callable(getattr(found, one, None))]
            raise ConfigError(
                f"{name} has no {path}", service=service, hint=did_you_mean(word, known, "it has")
            )
        found = getattr(found, word)
    if not callable(found):
        return _of_object(found, text, service)
    try:
        made = found()
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{text} failed: {type(error).__name__}: {error}",
            service=service,
            hint=f"python -c 'import {name}; {name}.{path}()' shows where",
        ) from error
    return _of_object(made, text, service)
