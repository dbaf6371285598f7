"""``%%queue task``: a cell that processes the jobs of a queue, here and in worker processes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.magics.base import Message
from agentnb.magics.body import Role, body_of, kernel_only

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agentnb.core.queue import Queue
    from agentnb.magics.body import FunctionBody
    from agentnb.magics.grammar import Call

__all__ = ["Cells", "make_processor"]

_ROLE = Role(
    "queue", "process", "job", "a processor", "job.data", "return what comes of it", returns=True
)


class _Made(NamedTuple):
    queue: Queue
    processor: Any
    path: Path
    text: str


class Cells:
    """The cells that have made processors, where cells have ids."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}

    def replace(self, cell: str | None, made: _Made) -> str:
        """Note what a cell has made, and take back what it made for another queue before.

        Returns
        -------
        str
            A message about that other queue; empty if there is none.
        """
        if cell is None:
            return ""
        before = self._made.get(cell)
        self._made[cell] = made
        if before is None or before.queue is made.queue:
            return ""
        queue = before.queue
        if queue.current is not before.processor:  # another cell's by now
            return ""
        if queue.worker is not None:
            return f"{queue.name}: still processed by this cell as it was: %queue stop {queue.name}"
        queue.forget_processor()
        with suppress(OSError):
            if before.path.read_text(encoding="utf-8") == before.text:
                before.path.unlink()
        return f"{queue.name}: no longer processed by this cell"


def make_processor(
    call: Call, queue: Queue, types: Mapping[str, Any], home: Path, shell: Any, cells: Cells
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
    cells
        The cells that have made processors.
    """
    from agentnb.core.cellmodule import keep_module
    from agentnb.core.modules import module_path
    from agentnb.panels.base.registry import cell_id

    body = body_of(call, f"%%queue task {queue.name}", _ROLE, shell)
    module = _module(call, queue, body, types, shell)
    queue.process(
        body.bound(shell.user_ns),
        **types,
        timeout=call.options.get("timeout"),
        source="this kernel",
        needs=module.needs,
    )
    path = module_path(home, "queue", queue.name)
    keep_module(home, path, module.text)
    left = cells.replace(cell_id(shell), _Made(queue, queue.current, path, module.text))
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
    )


def _module(
    call: Call, queue: Queue, body: FunctionBody, types: Mapping[str, Any], shell: Any
) -> Any:
    from agentnb.core.cellmodule import CellModule

    timeout = call.options.get("timeout")
    given = repr(queue.name) + ("" if timeout is None else f", timeout={timeout!r}")
    # A class of the notebook's is not there in another process either.
    also = tuple(str(getattr(one, "__name__", one)) for one in types.values())
    return CellModule(
        body.source,
        body.name,
        shell.user_ns,
        ("agentnb.core.queue", "processor", given),
        also=also,
        flags=shell.compile.flags,
        cells=shell.history_manager.input_hist_parsed,
    )


def _in_kernel(queue: Queue) -> str:
    name = queue.name
    if queue.worker is not None:
        return f"{name}: processed by this cell, from the next job on"
    return f"{name}: processed by this cell once there is a worker: %queue work {name}"


def _elsewhere(queue: Queue, needs: tuple[str, ...]) -> str:
    if not needs:
        return f"in a process of its own: agentnb worker {queue.name}"
    return kernel_only(needs)
