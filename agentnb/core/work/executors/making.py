"""The executor of a worker, made from what ``executor=`` was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.work.executors.choose import choose
from agentnb.core.work.executors.words import PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

__all__ = ["executor_of"]


def executor_of(
    executor: Executor | str,
    concurrency: int,
    *,
    hub: Any,
    service: str,
    say: Callable[[str], object],
) -> Executor | None:
    """Return the executor that an argument names, None for threads of this process.

    Parameters
    ----------
    executor
        As `choose` takes it; ``processes`` are made for the worker.
    concurrency
        How many attempts it runs at once.
    hub
        The hub, whose settings the processes have.
    service
        The service of errors.
    say
        Given a line about a process that has ended.

    Raises
    ------
    UsageError, ConfigError, UnavailableError
        As `choose`.
    """
    found = choose(executor, service=service)
    if found == PROCESSES:
        from agentnb.core.work.executors.processes import Processes

        # What its maker was given, over the environment, which a process inherits.
        settings = {"start": hub._start, **hub._arguments}  # noqa: SLF001 - to make the same there
        return Processes(concurrency, settings=settings, say=say)
    return None if isinstance(found, str) else found
