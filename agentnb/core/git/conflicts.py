"""Files in conflict: both sides of each, by lines, and of notebooks by cells."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from agentnb.core.errors import UsageError
from agentnb.core.git import threeway
from agentnb.core.git.cell_merge import NotebookMerge
from agentnb.core.git.markers import marked_lines
from agentnb.core.git.operations import advice
from agentnb.core.git.status import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentnb.core.git.cell_merge import Row
    from agentnb.core.git.opened import Runner, Stage, Stages

__all__ = ["SIDES", "Block", "Conflict", "Conflicts"]

SIDES: Final = {"base": 1, "ours": 2, "theirs": 3}
_SNIFFED: Final = 8000


class Block(NamedTuple):
    """A part of a file that conflicts.

    Parameters
    ----------
    title
        The position, such as ``"line 12"`` or ``"code cell 3"``.
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
                f"side must be ours, theirs or base, got {side!r}",
                service="git",
                hint='side="ours"',
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

    def merged(self, take: str) -> bytes | None:
        """Return the file with the changes of both sides; where both changed, those of one side.

        Parameters
        ----------
        take
            ``"ours"`` or ``"theirs"``.

        Returns
        -------
        bytes or None
            The content; None of a file that has no parts: no text, or a version is missing.
        """
        if not self.has_parts:
            return None
        notebook = self._notebook()
        if notebook is not None:
            return notebook.merged(take)
        versions = [_whole_lines(self.content(side) or b"") for side in SIDES]
        found: list[str] = []
        for segment in threeway.segments(self._run, *versions):
            found += [segment] if isinstance(segment, str) else getattr(segment, take)
        return "".join(found).encode("utf-8", "surrogateescape")

    @property
    def has_parts(self) -> bool:
        """Whether both sides have a text, which can be merged part by part."""
        sides = [self._stages.get(SIDES[side]) for side in ("ours", "theirs")]
        return not self.binary and all(each is not None and each.is_file for each in sides)

    def _notebook(self) -> NotebookMerge | None:
        if not self.is_notebook:
            return None
        return NotebookMerge.of(self._run, *(self.content(side) or b"" for side in SIDES))

    def _compared(self) -> list[Block]:
        if self.binary:
            return []
        notebook = self._notebook()
        if notebook is not None:
            return [Block(title, *_sources(notebook, row)) for title, row in notebook.conflicts()]
        return self._line_blocks(*(_lines(self.content(side) or b"") for side in SIDES))

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


def _sources(notebook: NotebookMerge, row: Row) -> list[list[str]]:
    """Return the lines of a cell in our version, in the base, and in theirs."""
    keys = (row.ours, row.base, row.theirs)
    return [notebook.cells[key].source.split("\n") if key else [] for key in keys]


def _whole_lines(data: bytes) -> list[str]:
    """Return the lines with their ends; bytes that are no UTF-8 survive a round trip."""
    return re.findall(r"[^\n]*\n|[^\n]+", data.decode("utf-8", "surrogateescape"))


def _lines(data: bytes) -> list[str]:
    lines = data.decode("utf-8", "replace").split("\n")
    return lines if lines[-1] else lines[:-1]


class Conflicts:
    """The files in conflict, each with both sides.

    Parameters
    ----------
    files
        The files.
    doing
        The operation that waits to be ended, such as ``"merge"``; ``""`` for none.
    ours, theirs
        The names of the two sides, such as those of the branches.
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
        """The next steps."""
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
