"""The output of ``git diff -z --raw --patch``, taken apart into files, hunks and lines."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from agentnb.core.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.git.diff import FileDiff

__all__ = ["Entry", "Hunk", "entries", "fill", "patch_of_new"]

_HUNK = re.compile(
    r"(?P<at>@@+)(?P<olds>(?: -\d+(?:,\d+)?)+) \+(?P<new>\d+)(?:,(?P<news>\d+))? (?P=at) ?"
)
_OLD = re.compile(r" -(\d+)(?:,(\d+))?")
_QUOTED = re.compile(r'["\\\x00-\x1f\x7f]')
_ESCAPES: Final = dict(zip('\a\b\t\n\v\f\r"\\', 'abtnvfr"\\', strict=True))
_UNMERGED: Final = "* Unmerged path "


class Hunk(NamedTuple):
    r"""A run of lines: its first line on both sides, its context, and the lines.

    A line begins with its signs: a space (both sides have it), ``-`` or ``+``; or with ``\`` where
    the last line has no end. In a conflict there is one sign for each side that was merged.
    """

    old: int
    new: int
    about: str
    lines: list[str]
    signs: int = 1


class Entry(NamedTuple):
    """A file of the raw part.

    Parameters
    ----------
    modes, names
        Types and git's names of the contents: one for each side before, then the one after.
    letter
        The kind of change: ``A``, ``M``, ``D``, ``R``, ``C``, ``T``, or ``U`` in a conflict.
    was, path
        Its path before and after, from the top of the repository.
    """

    modes: tuple[str, ...]
    names: tuple[str, ...]
    letter: str
    was: str
    path: str

    @property
    def conflict(self) -> bool:
        """Whether the file is in conflict."""
        return self.letter == "U"

    @property
    def type_changed(self) -> bool:
        """Whether a file became a symbolic link, a submodule, or the reverse."""
        return self.letter == "T"

    def headers(self) -> tuple[str, ...]:
        """Return the lines with which its sections of the patch may begin, each once."""
        if self.conflict:
            return f"{_UNMERGED}{self.path}", f"diff --cc {_quoted(self.path)}"
        header = f"diff --git {_quoted('a/' + self.was)} {_quoted('b/' + self.path)}"
        # What was removed is a section of its own then, and so is what took its place.
        return (header,) * (2 if self.type_changed else 1)


def entries(text: str) -> tuple[list[Entry], str]:
    r"""Return the files of the raw part, and the patch behind it.

    A file in conflict may come twice: as that, and as one that was changed since the merge began.

    >>> found, patch = entries(":100644 100644 1a 2b M\0a.py\0\0diff --git a/a.py b/a.py\n")
    >>> found[0].letter, found[0].path, patch
    ('M', 'a.py', 'diff --git a/a.py b/a.py\n')
    """
    found: list[Entry] = []
    at = 0
    while text.startswith(":", at):
        end = text.index("\0", at)
        about = text[at:end]
        fields = about.lstrip(":").split(" ")
        sides = len(about) - len(about.lstrip(":")) + 1
        modes, names = tuple(fields[:sides]), tuple(fields[sides : 2 * sides])
        letter = fields[-1][0] if sides == 2 else "U"  # noqa: PLR2004 - before and after
        paths = []
        for _ in range(2 if sides == 2 and letter in "RC" else 1):  # noqa: PLR2004
            at, end = end + 1, text.index("\0", end + 1)
            paths.append(text[at:end])
        at = end + 1
        found.append(Entry(modes, names, letter, paths[0], paths[-1]))
    return found, text[at:].removeprefix("\0")


def patch_of_new(path: str, count: int, lines: Sequence[str], *, binary: bool) -> str:
    """Return the patch that makes a file, as git writes it."""
    old, new = _quoted(f"a/{path}"), _quoted(f"b/{path}")
    head = [f"diff --git {old} {new}", "new file mode 100644"]
    if binary:
        return "\n".join([*head, f"Binary files /dev/null and {new} differ", ""])
    if not lines:
        return "\n".join([*head, ""])
    size = "1" if count == 1 else f"1,{count}"
    return "\n".join([*head, "--- /dev/null", f"+++ {new}", f"@@ -0,0 +{size} @@", *lines, ""])


def _quoted(path: str) -> str:
    r"""Return a path as git writes it in a header.

    >>> _quoted("a/b c"), _quoted("a/t\tä")
    ('a/b c', '"a/t\\tä"')
    """
    if _QUOTED.search(path) is None:
        return path
    return f'"{_QUOTED.sub(_escaped, path)}"'


def _escaped(found: re.Match[str]) -> str:
    character = found.group()
    return f"\\{_ESCAPES.get(character) or format(ord(character), '03o')}"


def fill(files: Sequence[tuple[Entry, FileDiff]], patch: str) -> None:
    """Give each file the hunks of its own sections.

    Raises
    ------
    UnavailableError
        A section belongs to none of them.
    """
    waiting: dict[str, deque[FileDiff]] = {}
    for entry, file in files:
        for header in entry.headers():
            waiting.setdefault(header, deque()).append(file)
    if len(files) == 1 and patch.startswith("diff --git "):
        # Of two contents that are compared, the raw part names the second alone.
        waiting.setdefault(patch.partition("\n")[0], deque([files[0][1]]))
    lines = patch.split("\n")
    at, current = 0, None
    while at < len(lines):
        line = lines[at]
        if line.startswith(("diff --git ", "diff --cc ", _UNMERGED)):
            current, length = _section(waiting, lines, at)
            at += length
        elif current is not None and line.startswith("@@"):
            at = _hunk(current, lines, at)
        else:
            if current is not None and line.startswith(("Binary files ", "GIT binary patch")):
                current.binary = True
            at += 1


def _section(
    waiting: dict[str, deque[FileDiff]], lines: Sequence[str], at: int
) -> tuple[FileDiff, int]:
    """Return the file of the section that begins here, and how many lines its header has."""
    header, length = lines[at], 1
    # In this header alone git does not quote a path, which may have several lines.
    while header.startswith(_UNMERGED) and not waiting.get(header) and at + length < len(lines):
        header = f"{header}\n{lines[at + length]}"
        length += 1
    if not waiting.get(header):
        raise UnavailableError(
            f"the files changed while they were compared: {lines[at][:200]}",
            service="git",
            hint="try again; hub.git.get_diff() returns the patch as git writes it",
        )
    return waiting[header].popleft(), length


def _hunk(file: FileDiff, lines: Sequence[str], at: int) -> int:
    """Add the hunk that begins here to a file, and return where it ends."""
    found = _HUNK.match(lines[at])
    if found is None:
        return at + 1
    olds = [(int(start), int(count or 1)) for start, count in _OLD.findall(found["olds"])]
    left = [count for _, count in olds]
    start = at = at + 1
    if len(left) == 1:
        at = _end_of_two(lines, at, left[0], int(found["news"] or 1))
    else:
        at = _end_of_many(lines, at, left, int(found["news"] or 1))
    while at < len(lines) and lines[at].startswith("\\"):
        at += 1
    about = found.string[found.end() :]
    hunk = Hunk(olds[0][0], int(found["new"]), about, list(lines[start:at]), len(left))
    file.hunks.append(hunk)
    return at


def _end_of_two(lines: Sequence[str], at: int, old: int, new: int) -> int:
    while (old > 0 or new > 0) and at < len(lines):
        sign = lines[at][:1]
        old -= sign in {" ", "-", ""}
        new -= sign in {" ", "+", ""}
        at += 1
    return at


def _end_of_many(lines: Sequence[str], at: int, left: list[int], new: int) -> int:
    """Return where a hunk of a conflict ends: each side that was merged has a sign of its own."""
    while (new > 0 or any(count > 0 for count in left)) and at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith("\\"):
            continue
        signs = line[: len(left)].ljust(len(left))
        has = "-" if "-" in signs else " "
        left = [count - (sign == has) for count, sign in zip(left, signs, strict=True)]
        new -= has == " "
    return at
