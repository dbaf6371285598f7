"""Records the calls of a cell, where ``%agentnb record`` or AGENTNB_RECORD asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError

if TYPE_CHECKING:
    from agentnb.core.trace.cell import Cell
    from agentnb.magics.extension import Extension

__all__ = ["record_cell"]


def record_cell(cell: Cell, source: str, number: int | None, extension: Extension) -> None:
    """Record a cell from now until its end.

    Parameters
    ----------
    cell
        The cell, which has begun.
    source
        Its text.
    number
        The number in its prompt, or None.
    extension
        The extension, which has the hub and the shell.
    """
    hub = extension.hub
    try:
        flight = hub._flight_recorder  # noqa: SLF001 - the notebook's own
        log = hub.runtime.log("trace") if flight.mode != "off" else None
    except AgentnbError:
        return  # a setting is wrong, or the hub is closed: the first call of a service says so
    if log is None or not source.strip():
        return
    from agentnb.core.tape.cells import cell_source

    shell: Any = extension.shell  # IPython leaves these untyped
    earlier = shell.history_manager.input_hist_parsed[:-1]
    # Now: the cell may change what it uses.
    try:
        python = shell.transform_cell(source)
    except SyntaxError:
        return  # it does not run
    found = cell_source(python, shell.user_ns, earlier)
    name = cell.context.trace_id
    number_or_trace = name[:8] if number is None else str(number)
    recording = flight.cell(lambda: found.unit(number_or_trace, name), log)
    cell.recording = recording
    recording.begin()
