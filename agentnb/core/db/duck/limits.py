"""The limits of DuckDB: the folders that its SQL may reach, and its memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DuckLimits"]


@dataclass(frozen=True, slots=True)
class DuckLimits:
    """The limits of the connections of one database.

    Parameters
    ----------
    folders
        Folders whose files SQL may read and write, with all below them; None for the working
        directory at the first connection.
    home
        The home, which is out of reach wherever it is; None if there is none.
    memory
        DuckDB's ``memory_limit``, such as ``"2GB"``; None for half of the machine's.
    spill
        The folder of intermediate results that do not fit into memory; None for none.
    """

    folders: tuple[Path, ...] | None = None
    home: Path | None = None
    memory: str | None = None
    spill: Path | None = None
