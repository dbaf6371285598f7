"""The functions that process jobs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from agentnb.core.callables import check_takes
from agentnb.core.codec import check_schema, declared
from agentnb.core.errors import ConfigError, KernelOnlyError, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.modules import load_module, module_path
from agentnb.core.ranges import seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from typing_extensions import TypeForm

    from agentnb.core.codec import TypeCodec
    from agentnb.core.queue.job import Job

__all__ = [
    "KernelOnlyError",
    "Processor",
    "kept_processor",
    "mark_of",
    "marked",
    "processor",
    "processor_of",
]

F = TypeVar("F", bound="Callable[[Job], Any]")
R = TypeVar("R")
S = TypeVar("S")
_MARK = "__agentnb_queue__"


class Mark(NamedTuple):
    """The options that `processor` has marked a function with."""

    queue: str
    schema: Any = None
    timeout: float | None = None
    returns: Any = None


@dataclass(frozen=True, slots=True)
class Processor:
    """A function that processes the jobs of a queue.

    Parameters
    ----------
    function
        Called with a `Job`; its result is the job's. ``def`` or ``async def``.
    schema
        The type that the data is checked and made into; None for plain JSON.
    timeout
        Seconds that an attempt may take, unless the job says otherwise; None for no limit.
    source
        The origin, for people: ``"this kernel"``, ``"pkg.module:function"``.
    needs
        The names of its notebook that keep it in this process.
    returns
        The type of its result; None for that of its return annotation, if there is one.
    declared
        The codec of that type, or None.
    cell
        Whether the home keeps the function as a cell, so that other processes of it find it.
    """

    function: Callable[[Any], Any]
    schema: Any = None
    timeout: float | None = None
    source: str = ""
    needs: tuple[str, ...] = ()
    returns: Any = None
    declared: TypeCodec | None = None
    cell: bool = False

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise UsageError(
                "a processor must be a function that is given a job, got "
                f"{type(self.function).__name__}",
                service="queue",
                hint="def process(job): return job.data",
            )
        check_takes(
            self.function,
            "job",
            name="the processor",
            service="queue",
            hint="def process(job); job.data and job.hub have what it works with",
        )
        check_schema(self.schema, "queue")
        if self.declared is None:
            codec = declared(self.function, self.returns, "queue")
            object.__setattr__(self, "declared", codec)
        if self.timeout is not None:
            seconds("timeout", self.timeout, service="queue")

    @property
    def name(self) -> str:
        """Return the function's name, and where it comes from."""
        inner = inspect.unwrap(self.function)
        name = str(getattr(inner, "__name__", type(inner).__name__))
        return f"{name} ({self.source})" if self.source else name


@overload
def processor(
    queue: str, *, schema: TypeForm[S], returns: Any = ..., timeout: float | None = ...
) -> Callable[[Callable[[Job[S]], R]], Callable[[Job[S]], R]]: ...
@overload
def processor(
    queue: str, *, schema: None = ..., returns: Any = ..., timeout: float | None = ...
) -> Callable[[F], F]: ...
@refuse_unknown("queue")
def processor(
    queue: str, *, schema: Any = None, returns: Any = None, timeout: float | None = None
) -> Any:
    """Mark a function as a queue's processor, for ``agentnb worker --app MODULE`` to find.

    The function stays as it is.

    Parameters
    ----------
    queue
        The queue's name.
    schema, returns, timeout
        As `Queue.work` takes them.

    Examples
    --------
    >>> @processor("mail", timeout=60)
    ... def send(job):
    ...     return len(job.data["to"])
    """

    def mark(function: F) -> F:
        setattr(function, _MARK, Mark(queue, schema, timeout, returns))
        return function

    return mark


def mark_of(function: Any) -> Mark | None:
    """Return the mark of a processor, None where it has none."""
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, Mark) else None


def marked(module: ModuleType) -> dict[str, Processor]:
    """Return the processors that a module has marked, by their queues.

    Raises
    ------
    UsageError
        Two are marked for one queue.
    """
    found: dict[str, Processor] = {}
    for value in list(vars(module).values()):
        mark = mark_of(value)
        if mark is None:
            continue
        queue, schema, timeout, returns = mark
        source = f"{module.__name__}:{getattr(value, '__name__', '?')}"
        if queue in found and found[queue].function is not value:
            raise UsageError(
                f"{module.__name__} has two processors for {queue!r}: "
                f"{found[queue].source} and {source}",
                service="queue",
                hint="mark one of them for another queue",
            )
        found[queue] = Processor(value, schema, timeout, source, returns=returns)
    return found


def kept_processor(home: Path, queue: str) -> Processor:
    """Return the processor of the cell that was kept for a queue, such as by an earlier kernel.

    Raises
    ------
    NotFoundError
        No cell was kept.
    ConfigError
        Its module cannot be loaded, or uses names of its notebook.
    """
    path = module_path(home, "queue", queue)
    return processor_of(load_module(path), path.name, queue)


def processor_of(module: ModuleType, file: str, queue: str) -> Processor:
    """Return the processor of a queue in the module of a cell.

    Raises
    ------
    ConfigError
        There is none, or it uses names of its notebook.
    """
    names = getattr(module, "KERNEL_ONLY", ())
    if names:
        raise KernelOnlyError(
            f"the processor of {queue} uses names of its notebook: {', '.join(names)}",
            service="queue",
            hint=f"run its cell again (%%queue task {queue}); for a worker process, import or "
            f"make them inside the cell{'; job.hub is the hub' if 'hub' in names else ''}",
        )
    found = marked(module).get(queue)
    if found is None:
        raise ConfigError(
            f"{file} has no processor for {queue}",
            service="queue",
            hint=f"run its cell again (%%queue task {queue})",
        )
    return replace(found, source=f"%%queue task {queue}", cell=True)
