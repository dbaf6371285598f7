"""``%%queue task``: a cell that processes the jobs of a queue, here and in worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.magics.body import Role, body_of
from agentnb.magics.noun import Said

if TYPE_CHECKING:
    from agentnb.core.queue import Queue
    from agentnb.magics.body import FunctionBody
    from agentnb.magics.grammar import Call

__all__ = ["make_processor"]

_ROLE = Role(
    "queue", "process", "job", "a processor", "job.data", "return what comes of it", returns=True
)


def make_processor(call: Call, queue: Queue, schema: Any, home: Any, shell: Any) -> Said:
    """Make a cell the processor of a queue, and say what to type next.

    Parameters
    ----------
    call
        The magic's line and the cell.
    queue
        The queue.
    schema
        The class of a job's data, or None.
    home
        The folder where modules are kept.
    shell
        The IPython shell.
    """
    from agentnb.core.cellmodule import keep_module
    from agentnb.core.modules import module_path
    from agentnb.magics.output import diverted
    from agentnb.magics.queue.log import JobLog

    body = body_of(call, f"%%queue task {queue.name}", _ROLE, shell)
    module = _module(call, queue, body, shell)
    function = diverted(body.bound(shell.user_ns), JobLog, shell)
    queue.process(
        function, schema=schema, timeout=call.options.get("timeout"), source="this kernel"
    )
    keep_module(home, module_path(home, "queue", queue.name), module.text)
    return Said("\n".join((_here(queue), _elsewhere(queue, module.needs))))


def _module(call: Call, queue: Queue, body: FunctionBody, shell: Any) -> Any:
    from agentnb.core.cellmodule import CellModule

    timeout, schema = call.options.get("timeout"), call.options.get("schema")
    given = repr(queue.name) + ("" if timeout is None else f", timeout={timeout!r}")
    # A class of the notebook's is not there in another process either.
    also = () if schema is None else (str(getattr(schema, "__name__", schema)),)
    return CellModule(
        body.source,
        body.name,
        shell.user_ns,
        ("agentnb.core.queue", "processor", given),
        also=also,
        flags=shell.compile.flags,
    )


def _here(queue: Queue) -> str:
    name = queue.name
    if queue.worker is not None:
        return f"{name}: processed by this cell, from the next job on"
    return f"{name}: processed by this cell once there is a worker: %queue work {name}"


def _elsewhere(queue: Queue, needs: tuple[str, ...]) -> str:
    if not needs:
        return f"in a process of its own: agentnb worker {queue.name}"
    shown = ["IPython's own syntax" if one == "get_ipython" else one for one in needs]
    return (
        f"in this kernel only, since a worker process has not got {', '.join(shown)}: import or "
        "make inside the cell what it needs"
    )
