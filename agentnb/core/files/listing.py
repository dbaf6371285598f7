"""The contents and the disk usage of a folder, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.files.errors import kind_of
from agentnb.core.files.limits import Measure
from agentnb.core.files.names import joined
from agentnb.core.files.walking import WalkEntry, entries, walk
from agentnb.core.moments import moment_of
from agentnb.core.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentnb.core.hidden import Hidden

__all__ = ["Usage", "listing", "usage_of"]

_WRITE = "hub.files.write_file(path, text) (%%files write PATH)"


def listing(found: Iterable[WalkEntry], *, empty: str) -> Table:
    """Return name, kind, size and time of some entries, folders first."""
    ordered = sorted(found, key=lambda one: (not one.is_folder, one.path))
    rows = [
        (
            one.path,
            kind_of(one.stat.st_mode),
            one.stat.st_size if one.is_file else None,
            moment_of(int(one.stat.st_mtime)),
        )
        for one in ordered
    ]
    columns = ("name", "kind", Column("size", "size"), Column("modified", "time"))
    return Table(columns, rows, empty=empty)


class Usage(Table):
    """The disk usage of each entry of a folder, the largest first.

    Parameters
    ----------
    rows
        Name, kind, files and bytes of each.
    total
        Of all of them.
    note, empty
        As a `Table` has them.
    """

    __slots__ = ("total",)

    def __init__(
        self, rows: Sequence[tuple[Any, ...]], total: Measure, *, note: str = "", empty: str = ""
    ) -> None:
        columns = ("name", "kind", "files", Column("bytes", "size"))
        super().__init__(columns, rows, note=note, empty=empty)
        self.total = total


def usage_of(folder: int, path: str, hidden: Hidden) -> Usage:
    """Return how much room each thing in an open folder takes."""
    total = Measure()
    parts: dict[str, tuple[str, Measure]] = {}
    seen: set[tuple[int, int]] = set()

    def miss(_: str) -> None:
        total.missed += 1

    for one in entries(folder, hidden=hidden):
        parts[one.name] = kind_of(one.stat.st_mode), Measure()
    for one in walk(folder, hidden=hidden, missed=miss):
        top = one.path.partition("/")[0]
        _, part = parts.setdefault(top, (kind_of(one.stat.st_mode), Measure()))
        for count in (part, total):
            count.folders += one.is_folder
            count.files += not one.is_folder
        identity = one.stat.st_dev, one.stat.st_ino
        if one.is_file and identity not in seen:
            if one.stat.st_nlink > 1:
                seen.add(identity)
            part.size += one.stat.st_size
            total.size += one.stat.st_size
    rows = [(name, kind, part.files, part.size) for name, (kind, part) in parts.items()]
    rows.sort(key=lambda row: (-row[3], row[0]))
    notes = [f"{total.files:,} files, {total.size:,} bytes in {joined(path)}"]
    if total.missed:
        notes.append(f"{total.missed:,} folders could not be read, or lie too deep")
    return Usage(
        rows,
        total,
        note="; ".join(notes) if rows else "",
        empty=f"there is nothing in {path}: {_WRITE}",
    )
