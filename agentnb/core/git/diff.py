"""Differences: files, hunks and lines; of notebooks, cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from agentnb.core.git import raw
from agentnb.core.git.raw import Hunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agentnb.core.git.cells import CellChange
    from agentnb.core.git.raw import Entry

__all__ = ["Diff", "FileDiff", "Hunk", "is_nobody", "of_new_file", "parse"]

_KINDS: Final = {
    "A": "new",
    "D": "deleted",
    "M": "modified",
    "R": "renamed",
    "C": "copied",
    "T": "another type",
    "U": "conflict",
}
_SNIFFED: Final = 8000
_FILES: Final = ("100", "000000")  # regular files, and nothing at all
_SUBMODULE: Final = "160000"


@dataclass(slots=True)
class FileDiff:
    """The differences of one file.

    Parameters
    ----------
    path, was
        Its name, and the one before where it was renamed.
    kind
        ``"new"``, ``"deleted"``, ``"modified"``, ``"renamed"``, ``"copied"``, ``"another type"``
        (a symbolic link became a file, for instance) or ``"conflict"``.
    before, after
        Git's names of the contents; that of a file in the work tree is all zeros.
    mode
        The change of its mode, such as ``"100644 → 100755"``; ``""`` for nothing.
    binary
        Whether the file is binary.
    hunks
        The lines.
    note
        More about it: how the sides of a conflict differ, such as ``"deleted by us"``, or why there
        are no lines.
    """

    path: str
    was: str
    kind: str
    before: str
    after: str
    mode: str = ""
    binary: bool = False
    hunks: list[Hunk] = field(default_factory=list)
    note: str = ""
    load: Callable[[], tuple[bytes, bytes]] | None = field(default=None, repr=False)
    _cells: list[CellChange] | None = field(default=None, repr=False)
    _compared: bool = field(default=False, repr=False)

    @property
    def is_notebook(self) -> bool:
        """Whether the cells of a notebook are compared."""
        return self.path.endswith(".ipynb") and self.load is not None

    @property
    def added(self) -> int:
        """The number of lines added."""
        return sum(self._count(hunk, "+") for hunk in self.hunks)

    @property
    def removed(self) -> int:
        """The number of lines removed."""
        return sum(self._count(hunk, "-") for hunk in self.hunks)

    @staticmethod
    def _count(hunk: Hunk, sign: str) -> int:
        if hunk.signs == 1:
            return sum(line.startswith(sign) for line in hunk.lines)
        return sum(sign in line[: hunk.signs] for line in hunk.lines)

    def cells(self) -> list[CellChange] | None:
        """Return the differences between the cells of a notebook; None where they are unknown.

        The first one of a process takes a second: what compares notebooks is imported.
        """
        if not self._compared and self.is_notebook and self.load is not None:
            from agentnb.core.git.cells import compare

            self._cells, self._compared = compare(*self.load()), True
        return self._cells


class Diff:
    """Differences, file by file.

    ``str`` is the patch as git writes it, which ``git apply`` takes. Shown, notebooks are
    compared cell by cell, and what differs within a line is marked.

    Parameters
    ----------
    text
        The patch.
    files
        The same, taken apart.

    Attributes
    ----------
    files
        One `FileDiff` for each file.
    """

    def __init__(self, text: str, files: list[FileDiff]) -> None:
        self._text = text
        self.files = files

    def __str__(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[FileDiff]:
        return iter(self.files)

    def __getitem__(self, index: int) -> FileDiff:
        return self.files[index]

    @cached_property
    def summary(self) -> str:
        """Return how much differs, in a line."""
        if not self.files:
            return "no differences"
        count = len(self.files)
        added = sum(file.added for file in self.files)
        removed = sum(file.removed for file in self.files)
        return f"{count:,} {'file' if count == 1 else 'files'}, +{added:,} -{removed:,}"

    def __repr__(self) -> str:
        from agentnb.core.git.render import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from agentnb.core.git.render import as_html

        return as_html(self)


def parse(
    text: str,
    shown: Callable[[str], str],
    content: Callable[[str, str], bytes],
    conflicts: Callable[[], tuple[str, str, Mapping[str, str]]],
) -> Diff:
    """Return the difference in the output of ``git diff -z --raw --patch``.

    Parameters
    ----------
    text
        The output.
    shown
        Makes the paths of the root into those that people see.
    content
        Given a path and git's name of its content, returns this.
    conflicts
        Asked where there are conflicts, since git then leaves the patch out, and takes what waits
        to be merged for renamed files. It returns the raw part and the patch without renames, and
        by path how the sides differ, such as ``"deleted by us"``.
    """
    entries, patch = raw.entries(text)
    kinds: Mapping[str, str] = {}
    if any(entry.conflict for entry in entries):
        again, patch, kinds = conflicts()
        entries, _ = raw.entries(again)
    files: dict[str, FileDiff] = {}
    for entry in entries:
        if entry.path not in files:
            files[entry.path] = _file(entry, shown, content, kinds.get(entry.path, ""))
    raw.fill([(entry, files[entry.path]) for entry in entries], patch)
    return Diff(patch, list(files.values()))


def _file(
    entry: Entry,
    shown: Callable[[str], str],
    content: Callable[[str, str], bytes],
    conflict: str,
) -> FileDiff:
    old_mode, new_mode = entry.modes[0], entry.modes[-1]
    same = entry.letter in {"A", "D", "U"} or old_mode == new_mode
    file = FileDiff(
        path=shown(entry.path),
        was="" if entry.was == entry.path else shown(entry.was),
        kind=_KINDS.get(entry.letter, "modified"),
        before=entry.names[0],
        after=entry.names[-1],
        mode="" if same else f"{old_mode} → {new_mode}",
        note=conflict or ("submodule" if _SUBMODULE in entry.modes else ""),
    )
    if not entry.conflict and all(mode.startswith(_FILES) for mode in entry.modes):
        file.load = partial(_both, content, entry)
    return file


def _both(content: Callable[[str, str], bytes], entry: Entry) -> tuple[bytes, bytes]:
    before = b"" if entry.letter == "A" else content(entry.was, entry.names[0])
    after = b"" if entry.letter == "D" else content(entry.path, entry.names[-1])
    return before, after


def is_nobody(name: str) -> bool:
    """Return whether git has no such content: the file is in the work tree, or is not there."""
    return not name.strip("0")


def of_new_file(path: str, data: bytes, note: str = "") -> Diff:
    r"""Return the difference between nothing and a file.

    >>> of_new_file("a.py", b"a = 1\n")
    1 file, +1 -0
    a.py (new)
    @@ line 1
    +a = 1
    """
    binary = b"\0" in data[:_SNIFFED]
    lines = [] if binary or not data else data.decode("utf-8", "surrogateescape").split("\n")
    *whole, last = [f"+{line}" for line in lines] or ["+"]
    if last != "+":
        whole += [last, "\\ No newline at end of file"]
    hunks = [Hunk(0, 1, "", whole)] if whole else []
    file = FileDiff(path, "", "new", "", "", binary=binary, hunks=hunks, note=note)
    file.load = partial(_nothing_and, data)
    return Diff(raw.patch_of_new(path, file.added, whole, binary=binary), [file])


def _nothing_and(data: bytes) -> tuple[bytes, bytes]:
    return b"", data
