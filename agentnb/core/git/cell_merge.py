"""Three versions of a notebook, merged by their cells."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.git import threeway
from agentnb.core.git.cells import cells_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentnb.core.git.cells import Cell
    from agentnb.core.git.opened import Runner

__all__ = ["NotebookMerge", "Row"]


class Row(NamedTuple):
    """A cell of the three versions, each by a key; ``""`` where a version does not have it.

    Parameters
    ----------
    ours, base, theirs
        The keys.
    paired
        Whether ids tell that they are the same cell.
    """

    ours: str
    base: str
    theirs: str
    paired: bool = True

    def resolved(self) -> str | None:
        """Return the key that both sides agree on, or that only one has changed; else None."""
        if not self.paired:
            return None
        if self.theirs in {self.ours, self.base}:
            return self.ours
        return self.theirs if self.ours == self.base else None


@dataclass(frozen=True, slots=True)
class NotebookMerge:
    """The cells of three versions of a notebook beside each other.

    Parameters
    ----------
    rows
        The cells in the order of the merged notebook.
    cells
        The cell of each key.
    """

    rows: list[Row]
    cells: dict[str, Cell]
    _versions: dict[str, tuple[bytes, list[str]]]

    @classmethod
    def of(cls, run: Runner, base: bytes, ours: bytes, theirs: bytes) -> NotebookMerge | None:
        """Return the merge; None where a version is no notebook of format 4."""
        known: dict[str, Cell] = {}
        versions: dict[str, tuple[bytes, list[str]]] = {}
        for name, data in (("base", base), ("ours", ours), ("theirs", theirs)):
            cells = cells_of(data)
            if cells is None:
                return None
            versions[name] = (data, _keys(cells, known))
        keys = [keys for _, keys in versions.values()]
        rows: list[Row] = []
        for segment in threeway.segments(run, *keys):
            if isinstance(segment, str):
                rows.append(Row(segment, segment, segment))
            else:
                rows += _rows(segment, known)
        return cls(rows, known, versions)

    def conflicts(self) -> Iterator[tuple[str, Row]]:
        """Yield the cells that both sides changed, each with its position in our version."""
        numbers = {key: number for number, key in enumerate(self._versions["ours"][1], start=1)}
        last = 0
        for row in self.rows:
            last = numbers.get(row.ours, last)
            if row.resolved() is None and row.ours != row.theirs:
                kind = self.cells[row.ours or row.theirs].type
                where = f"cell {last}" if row.ours else f"cell, after cell {last}"
                yield f"{kind} {where}", row

    def merged(self, take: str) -> bytes:
        """Return the merged notebook.

        Parameters
        ----------
        take
            ``"ours"`` or ``"theirs"``, for what both sides changed.
        """
        notebooks: dict[str, dict[str, Any]] = {}
        raw: dict[str, dict[str, Any]] = {}
        for name, (data, keys) in self._versions.items():
            notebook = json.loads(data) if data else {}
            raw[name] = dict(zip(keys, notebook.pop("cells", []), strict=True))
            notebooks[name] = notebook
        keys = [_key(row, take) for row in self.rows]
        cells = [_picked({name: raw[name].get(key) for name in raw}, take) for key in keys if key]
        return _dumped({"cells": cells, **_merged_dict(notebooks, take)})


def _key(row: Row, take: str) -> str:
    resolved = row.resolved()
    taken: str = getattr(row, take)
    return taken if resolved is None else resolved


def _dumped(notebook: dict[str, Any]) -> bytes:
    """Return a notebook as Jupyter writes it."""
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError:  # half of a pair, which only an escape can hold
        return f"{json.dumps(notebook, indent=1)}\n".encode()


def _picked(versions: dict[str, Any], take: str) -> Any:
    """Return the version that changed something; where both sides did, the one to take."""
    base, ours, theirs = (versions[name] for name in ("base", "ours", "theirs"))
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    if ours in (base, theirs):
        return theirs
    return ours if theirs == base else versions[take]


def _merged_dict(versions: dict[str, dict[str, Any]], take: str) -> dict[str, Any]:
    """Return the entries of a notebook beside its cells, each merged by itself."""
    names = dict.fromkeys([*versions["ours"], *versions["theirs"]])
    return {
        name: _picked({each: versions[each].get(name) for each in versions}, take) for name in names
    }


def _keys(cells: Sequence[Cell], known: dict[str, Cell]) -> list[str]:
    """Return a text for each cell, the same one only for the same cell in another version."""
    seen: Counter[str] = Counter()
    found = []
    for cell in cells:
        text = json.dumps([cell.id, cell.type, cell.source])
        seen[text] += 1
        key = hashlib.sha256(f"{seen[text]} {text}".encode()).hexdigest()
        known[key] = cell
        found.append(key)
    return found


def _rows(region: threeway.Region, known: dict[str, Cell]) -> Iterator[Row]:
    """Yield the cells that belong beside each other: those of one id.

    Without ids nothing tells which cells belong together: the sides are taken as wholes.
    """
    sides = [list(side) for side in region]
    if all(known[key].id for side in sides for key in side):
        rows: dict[str, list[str]] = {}
        for at in (0, 2, 1):  # where only the base has a cell, it comes last
            for key in sides[at]:
                rows.setdefault(known[key].id, ["", "", ""])[at] = key
        yield from (Row(ours, base, theirs) for ours, base, theirs in rows.values())
        return
    for ours, base, theirs in zip_longest(*sides, fillvalue=""):
        yield Row(ours, base, theirs, paired=False)
