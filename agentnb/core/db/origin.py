"""The origin of a cut result: what it takes to ask for its rows again."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentnb.core.db.text import Statement

__all__ = ["Origin"]


class Origin:
    """The connection of a statement, its values, and its frames.

    The values may be secrets, so that they are not shown. Frames belong to the caller, and are
    not kept alive.

    Parameters
    ----------
    connection
        The name of the connection.
    statement
        The statement, which tells the values that it binds.
    params
        Values by name, and more.
    frames
        The frames that the statement names.
    """

    __slots__ = ("_frames", "connection", "params")

    def __init__(
        self,
        connection: str,
        statement: Statement,
        params: Mapping[str, Any],
        frames: Mapping[str, Any],
    ) -> None:
        self.connection = connection
        names = {bind.name.partition(".")[0] for bind in statement.binds}
        self.params = {name: _copied(params[name]) for name in sorted(names) if name in params}
        self._frames = {name: _reference(frame) for name, frame in frames.items()}

    def lost(self) -> list[str]:
        """Return the names of the frames that are gone."""
        return [name for name, frame in self._frames.items() if frame() is None]

    def frames(self) -> dict[str, Any]:
        """Return the frames by their names."""
        return {name: frame() for name, frame in self._frames.items()}

    def __repr__(self) -> str:
        return f"Origin({self.connection!r})"


def _copied(value: Any) -> Any:
    """Return a value that stays as it is when the caller's list changes."""
    return type(value)(value) if type(value) in {list, set, dict} else value


def _reference(value: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(value)
    except TypeError:  # a class of slots
        return lambda: value
