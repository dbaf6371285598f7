"""Differences: files, hunks and lines; of notebooks, cells."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentnb.core.git.cells import CellChange

__all__ = ["Diff", "FileDiff", "Hunk", "is_nobody", "of_new_file", "parse"]

_HUNK = re.compile(r"@@ -(?P<old>\d+)(?:,(?P<olds>\d+))? \+(?P<new>\d+)(?:,(?P<news>\d+))? @@ ?")
_KINDS: Final = {
    "A": "new",
    "D": "deleted",
    "M": "modified",
    "R": "renamed",
    "C": "copied",
    "U": "conflict",
}
_SNIFFED: Final = 8000
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPES: Final = dict(zip(b"abtnvfr", b"\a\b\t\n\v\f\r", strict=True))


class Hunk(NamedTuple):
    r"""A run of lines: where it begins on both sides, what it is in, and the lines.

    A line begins with a space (both sides have it), ``-`` or ``+``, or with ``\`` where the last
    line has no end.
    """

    old: int
    new: int
    about: str
    lines: list[str]


@dataclass(slots=True)
class FileDiff:
    """What differs in one file.

    Parameters
    ----------
    path, was
        Its name, and the one before where it was renamed.
    kind
        ``"new"``, ``"deleted"``, ``"modified"``, ``"renamed"`` or ``"copied"``.
    before, after
        Git's names of the contents; that of a file in the work tree is all zeros.
    mode
        What became of its mode, such as ``"100644 → 100755"``; ``""`` for nothing.
    binary
        Whether it is no text.
    hunks
        The lines.
    """

    path: str
    was: str
    kind: str
    before: str
    after: str
    mode: str = ""
    binary: bool = False
    hunks: list[Hunk] = field(default_factory=list)
    load: Callable[[], tuple[bytes, bytes]] | None = field(default=None, repr=False)
    _cells: list[CellChange] | None = field(default=None, repr=False)

    @property
    def is_notebook(self) -> bool:
        """Whether it is a notebook, of which cells are compared."""
        return self.path.endswith(".ipynb") and self.load is not None

    @property
    def added(self) -> int:
        """How many lines are new."""
        return sum(line[:1] == "+" for hunk in self.hunks for line in hunk.lines)

    @property
    def removed(self) -> int:
        """How many lines are gone."""
        return sum(line[:1] == "-" for hunk in self.hunks for line in hunk.lines)

    def cells(self) -> list[CellChange] | None:
        """Return what differs between the cells of a notebook; None where it cannot be told.

        The first one of a process takes a second: what compares notebooks is imported.
        """
        if self._cells is None and self.load is not None and self.is_notebook:
            from agentnb.core.git.cells import compare

            self._cells = compare(*self.load())
        return self._cells


class Diff:
    """What differs, file by file.

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
) -> Diff:
    """Return the difference in what ``git diff --raw --patch`` said.

    Parameters
    ----------
    text
        What it said.
    shown
        Makes the paths of the root into those that people see.
    content
        Given a path and git's name of its content, returns this.
    """
    raw: list[str] = []
    at = 0
    while text.startswith(":", at):
        end = text.index("\n", at)
        raw.append(text[at:end])
        at = end + 1
    patch = text[at:].removeprefix("\n")
    files = list(_files(raw, shown, content))
    _fill(files, patch)
    return Diff(patch, files)


def _files(
    raw: Sequence[str], shown: Callable[[str], str], content: Callable[[str, str], bytes]
) -> Iterator[FileDiff]:
    seen: set[str] = set()
    for line in raw:
        about, *names = line.split("\t")
        old_mode, new_mode, before, after, letter = about.lstrip(":").split(" ")
        paths = [_unquoted(name) for name in names]
        was, path = paths[0], paths[-1]
        if path in seen:
            continue  # git tells a conflict twice
        seen.add(path)
        yield FileDiff(
            path=shown(path),
            was="" if was == path else shown(was),
            kind=_KINDS.get(letter[0], "modified"),
            before=before,
            after=after,
            mode=f"{old_mode} → {new_mode}" if letter[0] in "MR" and old_mode != new_mode else "",
            load=partial(_both, content, (was, path), (before, after), letter[0]),
        )


def _both(
    content: Callable[[str, str], bytes],
    paths: tuple[str, str],
    names: tuple[str, str],
    letter: str,
) -> tuple[bytes, bytes]:
    before = b"" if letter == "A" else content(paths[0], names[0])
    after = b"" if letter == "D" else content(paths[1], names[1])
    return before, after


def _unquoted(name: str) -> str:
    r"""Return a path that git has written as C would, if it has.

    >>> _unquoted('a.py'), _unquoted(r'"a\tb\"\303\244.py"')
    ('a.py', 'a\tb"ä.py')
    """
    if not name.startswith('"'):
        return name
    data = name[1:-1].encode("utf-8", "surrogateescape")
    found = _ESCAPE.sub(lambda match: _meant(match[1]), data)
    return found.decode("utf-8", "surrogateescape")


def _meant(escape: bytes) -> bytes:
    if len(escape) > 1:
        return bytes([int(escape, 8)])
    return bytes([_ESCAPES.get(escape[0], escape[0])])


def _fill(files: Sequence[FileDiff], patch: str) -> None:
    """Give each file its hunks; git writes both in the same order."""
    waiting = iter(files)
    current: FileDiff | None = None
    old = new = 0  # lines of the hunk that are still to come
    for line in patch.split("\n"):
        if old > 0 or new > 0:
            assert current is not None  # noqa: S101 - a hunk is a file's
            current.hunks[-1].lines.append(line)
            old -= line[:1] in {" ", "-", ""}
            new -= line[:1] in {" ", "+", ""}
        elif line.startswith(("diff --git ", "diff --cc ")):
            current = next(waiting, None)
        elif current is None:
            continue
        elif found := _HUNK.match(line):
            old, new = int(found["olds"] or 1), int(found["news"] or 1)
            about = line[found.end() :]
            current.hunks.append(Hunk(int(found["old"]), int(found["new"]), about, []))
        elif line.startswith("\\") and current.hunks:
            current.hunks[-1].lines.append(line)
        elif line.startswith(("Binary files ", "GIT binary patch")):
            current.binary = True


def is_nobody(name: str) -> bool:
    """Return whether git has no such content: the file is in the work tree, or is not there."""
    return not name.strip("0")


def of_new_file(path: str, data: bytes) -> Diff:
    """Return the difference between nothing and a file.

    >>> of_new_file("a.py", b"a = 1")
    1 file, +1 -0
    a.py (new)
    @@ line 1
    +a = 1
    """
    binary = b"\0" in data[:_SNIFFED]
    lines = [] if binary else data.decode("utf-8", "replace").splitlines()
    hunks = [Hunk(0, 1, "", [f"+{line}" for line in lines])] if lines else []
    file = FileDiff(path, "", "new", "", "", binary=binary, hunks=hunks)
    file.load = partial(_nothing_and, data)
    return Diff("", [file])


def _nothing_and(data: bytes) -> tuple[bytes, bytes]:
    return b"", data
