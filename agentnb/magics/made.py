"""The functions that cells have made, such as processors and agents, and their kept modules."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agentnb.core.cellmodule import CellModule
    from agentnb.magics.body import FunctionBody

__all__ = ["CellFunction", "CellFunctions", "cell_module"]


class CellFunction(NamedTuple):
    """A function that a cell has made.

    Attributes
    ----------
    name
        The queue or the agent that it is for.
    path, text
        The file of its module, and the source in it.
    withdraw
        Called once the cell is run for another name: withdraws the function unless another cell
        has replaced it, and returns whether it did, and a message for people.
    """

    name: str
    path: Path
    text: str
    withdraw: Callable[[], tuple[bool, str]]

    def remove_module(self) -> None:
        """Remove its module, unless another source has been written there."""
        with suppress(OSError):
            if self.path.read_text(encoding="utf-8") == self.text:
                self.path.unlink()


class CellFunctions:
    """The functions that cells have made, by the id of the cell."""

    def __init__(self) -> None:
        self._made: dict[str, CellFunction] = {}

    def replace(self, cell: str | None, made: CellFunction) -> str:
        """Record the function of a cell, and withdraw the one that it made for another name.

        Parameters
        ----------
        cell
            The cell's id; None where cells have none, and then nothing is recorded.
        made
            The function.

        Returns
        -------
        str
            A message about that other name; empty if there is none.
        """
        if cell is None:
            return ""
        before = self._made.get(cell)
        self._made[cell] = made
        if before is None or before.name == made.name:
            return ""
        withdrawn, message = before.withdraw()
        if withdrawn:
            before.remove_module()
        return message


def cell_module(
    body: FunctionBody,
    marked: tuple[str, str],
    name: str,
    options: Mapping[str, Any],
    types: Mapping[str, Any],
    shell: Any,
) -> CellModule:
    """Return the module of a cell's function, for worker processes.

    Parameters
    ----------
    body
        The cell.
    marked
        The module and the name of the decorator.
    name, options
        The arguments of the decorator.
    types
        The classes that the function needs besides.
    shell
        The IPython shell.
    """
    from agentnb.core.cellmodule import CellModule

    given = ", ".join([repr(name), *(f"{key}={value!r}" for key, value in options.items())])
    # A class of the notebook's is not there in another process either.
    also = tuple(str(getattr(one, "__name__", one)) for one in types.values())
    return CellModule(
        body.source,
        body.name,
        shell.user_ns,
        (*marked, given),
        also=also,
        flags=shell.compile.flags,
        cells=shell.history_manager.input_hist_parsed,
    )
