"""``%%queue task``: a cell that processes the jobs of a queue, here and in worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.magics.base import Message
from agentnb.magics.body import Role, body_of, kernel_only
from agentnb.magics.made import CellFunction, cell_module

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agentnb.core.queue import Queue
    from agentnb.magics.grammar import Call
    from agentnb.magics.made import CellFunctions

__all__ = ["make_processor"]

_ROLE = Role(
    "queue", "process", "job", "a processor", "job.data", "return what comes of it", returns=True
)


def make_processor(
    call: Call,
    queue: Queue,
    types: Mapping[str, Any],
    home: Path,
    shell: Any,
    functions: CellFunctions,
) -> Message:
    """Make a cell the processor of a queue, and say what to type next.

    Parameters
    ----------
    call
        The magic's line and the cell.
    queue
        The queue.
    types
        The classes of a job's data (``schema``) and result (``returns``), those that were given.
    home
        The folder where modules are kept.
    shell
        The IPython shell.
    functions
        The functions that cells have made.
    """
    from agentnb.core.cellmodule import keep_module
    from agentnb.core.modules import module_path
    from agentnb.panels.base.registry import cell_id

    body = body_of(call, f"%%queue task {queue.name}", _ROLE, shell)
    timeout = call.options.get("timeout")
    given = {} if timeout is None else {"timeout": timeout}
    module = cell_module(body, ("agentnb.core.queue", "processor"), queue.name, given, types, shell)
    queue.process(
        body.bound(shell.user_ns),
        **types,
        timeout=timeout,
        source="this kernel",
        needs=module.needs,
        cell=True,
    )
    path = module_path(home, "queue", queue.name)
    keep_module(home, path, module.text)
    made = CellFunction(queue.name, path, module.text, _withdraw(queue, queue.current))
    left = functions.replace(cell_id(shell), made)
    said = (_in_kernel(queue), _elsewhere(queue, module.needs), left)
    return Message("\n".join(filter(None, said)))


def use_kept_cell(queue: Queue, home: Path) -> None:
    """Make the cell that an earlier kernel has kept the queue's processor, if there is one.

    Raises
    ------
    ConfigError
        Its module cannot be loaded, or uses names of its notebook.
    """
    from agentnb.core.errors import NotFoundError
    from agentnb.core.queue.processing import kept_processor

    try:
        kept = kept_processor(home, queue.name)
    except NotFoundError:
        return  # the error of a queue without a processor says more
    queue.process(
        kept.function,
        schema=kept.schema,
        returns=kept.returns,
        timeout=kept.timeout,
        source=kept.source,
        cell=kept.cell,
    )


def _withdraw(queue: Queue, processor: Any) -> Callable[[], tuple[bool, str]]:
    def withdraw() -> tuple[bool, str]:
        name = queue.name
        if queue.current is not processor:  # another cell's by now
            return False, ""
        if queue.worker is not None:
            return False, f"{name}: still processed by this cell as it was: %queue stop {name}"
        queue.forget_processor()
        return True, f"{name}: no longer processed by this cell"

    return withdraw


def _in_kernel(queue: Queue) -> str:
    name = queue.name
    if queue.worker is not None:
        return f"{name}: processed by this cell, from the next job on"
    return f"{name}: processed by this cell once there is a worker: %queue work {name}"


def _elsewhere(queue: Queue, needs: tuple[str, ...]) -> str:
    if not needs:
        return f"in a process of its own: agentnb worker {queue.name}"
    return kernel_only(needs)
