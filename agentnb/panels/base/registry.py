"""Which panels are open, and which cell made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from agentnb.core.forking import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PanelRegistry", "cell_id", "run_id"]


class Closable(Protocol):
    """Anything that can be closed, twice too."""

    def close(self) -> None:
        """End it."""


PanelT = TypeVar("PanelT", bound=Closable)


@dataclass(frozen=True, slots=True)
class _Opened:
    name: str
    cell: str | None
    run: str | None
    panel: Closable


class PanelRegistry:
    """The panels that are open. Running a cell again closes those it made before.

    Examples
    --------
    >>> class Panel:
    ...     def close(self): print("closed")
    >>> registry = PanelRegistry()
    >>> first = registry.open("db", Panel, cell_id="c1")
    >>> second = registry.open("db", Panel, cell_id="c1")
    closed
    >>> len(registry)
    1
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._opened: list[_Opened] = []

    def open(
        self,
        name: str,
        factory: Callable[[], PanelT],
        cell_id: str | None = None,
        run_id: str | None = None,
        most: int | None = None,
    ) -> PanelT:
        """Make a panel and close those that it replaces.

        Parameters
        ----------
        name
            The kind of the panel: ``"db"``, ``"queue"``, ...
        factory
            Makes the panel. If it raises, nothing is closed.
        cell_id
            The cell it is made by (see `cell_id`). None: outside of a notebook, where a panel
            replaces the one of the same name.
        run_id
            Which run of that cell it is (see `run_id`). Given, a cell may make any number of
            panels, and all those of its earlier runs are closed. Not given, a panel replaces the
            one of the same name and cell.
        most
            How many of the name may be open: beyond it the oldest are closed.
        """
        panel = factory()
        with self._lock:
            old = [each for each in self._opened if _replaces(each, name, cell_id, run_id)]
            if most is not None:
                same = [each for each in self._opened if each.name == name and each not in old]
                old += same[: max(0, len(same) - most + 1)]
            self._opened = [each for each in self._opened if each not in old]
            self._opened.append(_Opened(name, cell_id, run_id, panel))
        for each in old:
            each.panel.close()
        on_close = getattr(panel, "on_close", None)
        if callable(on_close):  # a panel may be closed by its own button
            on_close(lambda: self.forget(panel))
        return panel

    def begin(self, cell_id: str | None, run_id: str | None) -> None:
        """Close the panels of a cell's earlier runs, since it runs again."""
        if cell_id is None or run_id is None:
            return
        with self._lock:
            old = [each for each in self._opened if _replaces(each, "", cell_id, run_id)]
            self._opened = [each for each in self._opened if each not in old]
        for each in old:
            each.panel.close()

    def forget(self, panel: Closable) -> None:
        """Take a panel off the list, since it has been closed."""
        with self._lock:
            self._opened = [each for each in self._opened if each.panel is not panel]

    def close_all(self) -> None:
        """Close every panel. Idempotent."""
        with self._lock:
            old, self._opened = self._opened, []
        for each in reversed(old):
            each.panel.close()

    def __len__(self) -> int:
        return len(self._opened)


def _replaces(old: _Opened, name: str, cell: str | None, run: str | None) -> bool:
    if old.cell != cell:
        return False
    if cell is not None and run is not None:
        return old.run != run
    return old.name == name


def cell_id(shell: object) -> str | None:
    """Return the id of the cell that is running, or None outside of a notebook.

    JupyterLab sends it in the metadata of the request, as ``cellId``; nbclient sends none.

    Parameters
    ----------
    shell
        The result of `IPython.get_ipython`; None is allowed.
    """
    metadata = _parent(shell).get("metadata")
    if not isinstance(metadata, dict):
        return None
    found = metadata.get("cellId")
    return found if isinstance(found, str) else None


def run_id(shell: object) -> str | None:
    """Return an id of this run of the cell, or None outside of a kernel."""
    header = _parent(shell).get("header")
    found = header.get("msg_id") if isinstance(header, dict) else None
    return found if isinstance(found, str) else None


def _parent(shell: object) -> dict[str, object]:
    get_parent = getattr(getattr(shell, "kernel", None), "get_parent", None)
    parent = get_parent() if callable(get_parent) else getattr(shell, "parent_header", None)
    return parent if isinstance(parent, dict) else {}
