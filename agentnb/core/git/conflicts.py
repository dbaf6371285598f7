"""Files in conflict: both sides of each, by lines, and of notebooks by cells."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from agentnb.core.errors import UsageError
from agentnb.core.git import threeway
from agentnb.core.git.cells import Cell, cells_of
from agentnb.core.git.markers import marked_lines
from agentnb.core.git.operations import advice
from agentnb.core.git.status import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentnb.core.git.opened import Runner, Stage, Stages
    from agentnb.core.git.threeway import Region

__all__ = ["SIDES", "Block", "Conflict", "Conflicts"]

SIDES: Final = {"base": 1, "ours": 2, "theirs": 3}
_SNIFFED: Final = 8000


class Block(NamedTuple):
    """A part of a file that conflicts.

    Parameters
    ----------
    title
        Where it is, such as ``"line 12"`` or ``"code cell 3"``.
    ours, base, theirs
        The lines of each version.
    """

    title: str
    ours: list[str]
    base: list[str]
    theirs: list[str]


@dataclass(slots=True)
class Conflict:
    """A file in conflict.

    Parameters
    ----------
    path
        Its name.
    kind
        The changes of both sides, such as ``"modified by both"`` or ``"deleted by them"``.
    """

    path: str
    kind: str
    _stages: Stages = field(repr=False)
    _run: Runner = field(repr=False)
    _current: Callable[[], bytes] = field(repr=False)
    _contents: dict[str, bytes | None] = field(default_factory=dict, repr=False)
    _blocks: list[Block] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, path: str, stages: Stages, run: Runner, current: Callable[[], bytes]) -> Conflict:
        """Return the conflict that is in git's versions of a file."""
        return cls(path, KINDS[tuple(sorted(stages))], stages, run, current)

    def content(self, side: str) -> bytes | None:
        """Return one version of the file; None where that side has none.

        Parameters
        ----------
        side
            ``"ours"``, ``"theirs"``, or ``"base"``, from which both began.
        """
        if side not in SIDES:
            raise UsageError(
                f"side must be ours, theirs or base, got {side!r}", service="git", hint='"ours"'
            )
        if side not in self._contents:
            self._contents[side] = self._read(self._stages.get(SIDES[side]))
        return self._contents[side]

    def _read(self, stage: Stage | None) -> bytes | None:
        if stage is None:
            return None
        if stage.is_submodule:
            return f"Subproject commit {stage.name}\n".encode()
        return self._run("cat-file", "blob", stage.name).out

    @property
    def is_notebook(self) -> bool:
        """Whether the cells of a notebook are compared."""
        return self.path.endswith(".ipynb")

    @property
    def binary(self) -> bool:
        """Whether a version is no text."""
        return any(b"\0" in (self.content(side) or b"")[:_SNIFFED] for side in SIDES)

    @property
    def open_markers(self) -> list[int]:
        """The lines of the file at which conflict markers begin."""
        return marked_lines(self._current())

    def blocks(self) -> list[Block]:
        """Return the parts that conflict: of a text its lines, of a notebook its cells.

        A binary file has none.
        """
        if self._blocks is None:
            self._blocks = self._compared()
        return self._blocks

    def _compared(self) -> list[Block]:
        if self.binary:
            return []
        versions = [self.content(side) or b"" for side in SIDES]
        if self.is_notebook:
            cells = [cells_of(data) for data in versions]
            if None not in cells:
                return list(_cell_blocks(self._run, *[each or [] for each in cells]))
        return self._line_blocks(*map(_lines, versions))

    def _line_blocks(self, base: list[str], ours: list[str], theirs: list[str]) -> list[Block]:
        found = threeway.regions(self._run, base, ours, theirs)
        begins = self.open_markers
        # Once somebody has edited the file, its markers are others.
        titles = (
            [f"line {number:,}" for number in begins]
            if len(begins) == len(found)
            else [f"part {number}" for number in range(1, len(found) + 1)]
        )
        return [Block(title, *region) for title, region in zip(titles, found, strict=True)]


def _lines(data: bytes) -> list[str]:
    lines = data.decode("utf-8", "replace").split("\n")
    return lines if lines[-1] else lines[:-1]


def _cell_blocks(
    run: Runner, base: Sequence[Cell], ours: Sequence[Cell], theirs: Sequence[Cell]
) -> Iterator[Block]:
    """Yield the cells that conflict, a block for each."""
    known: dict[str, Cell] = {}
    versions = [_keys(cells, known) for cells in (base, ours, theirs)]
    numbers = {key: number for number, key in enumerate(versions[1], start=1)}
    last = 0
    for region in threeway.regions(run, *versions):
        for row in _rows(region, known):
            key = row[0]
            last = numbers[key] if key else last
            cell = known[next(each for each in row if each)]
            where = f"{cell.type} cell {last}" if key else f"{cell.type} cell, after cell {last}"
            yield Block(where, *(known[each].source.split("\n") if each else [] for each in row))


def _keys(cells: Sequence[Cell], known: dict[str, Cell]) -> list[str]:
    """Return a text for each cell, the same one only for the same cell in another version."""
    seen: Counter[str] = Counter()
    found = []
    for cell in cells:
        text = json.dumps([cell.id, cell.type, cell.source])
        seen[text] += 1
        key = hashlib.sha256(f"{seen[text]} {text}".encode("utf-8", "surrogateescape")).hexdigest()
        known[key] = cell
        found.append(key)
    return found


def _rows(region: Region, known: dict[str, Cell]) -> Iterator[tuple[str, str, str]]:
    """Yield the cells that belong beside each other: those of one id, else those of one number."""
    sides = [list(side) for side in region]
    if all(known[key].id for side in sides for key in side):
        rows: dict[str, list[str]] = {}
        for at in (0, 2, 1):  # where only the base has a cell, it comes last
            for key in sides[at]:
                rows.setdefault(known[key].id, ["", "", ""])[at] = key
        beside = list(rows.values())
    else:
        beside = [list(row) for row in zip_longest(*sides, fillvalue="")]
    for ours, base, theirs in beside:
        if ours != theirs:
            yield ours, base, theirs


class Conflicts:
    """The files in conflict, each with both sides.

    Parameters
    ----------
    files
        The files.
    doing
        The operation that waits to be ended, such as ``"merge"``; ``""`` for none.
    ours, theirs
        What the two sides are, such as the names of the branches.
    base
        Whether the version from which both began is shown too.
    """

    def __init__(
        self, files: Sequence[Conflict], *, doing: str, ours: str, theirs: str, base: bool = False
    ) -> None:
        self.files = list(files)
        self.doing, self.ours, self.theirs, self.base = doing, ours, theirs, base

    @cached_property
    def paths(self) -> list[str]:
        """The paths of the files."""
        return [file.path for file in self.files]

    @property
    def advice(self) -> str:
        """How to go on."""
        return advice(self.doing, conflicts=bool(self.files))

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Conflict]:
        return iter(self.files)

    def __getitem__(self, index: int) -> Conflict:
        return self.files[index]

    def files_html(self) -> str:
        """Return both sides of the files as HTML, without how to go on."""
        from agentnb.core.git.conflict_view import files_html

        return files_html(self)

    def __repr__(self) -> str:
        from agentnb.core.git.conflict_view import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from agentnb.core.git.conflict_view import as_html

        return as_html(self)
