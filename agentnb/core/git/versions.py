"""A version of a file: of a commit, of the index, or of one side of a conflict."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from shlex import quote
from typing import TYPE_CHECKING, Final

from agentnb.core.errors import FileNotFound, NotFoundError, RejectedError, UsageError
from agentnb.core.git import arguments
from agentnb.core.git.cells import cells_of
from agentnb.core.table import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.git.opened import OpenRepository

__all__ = ["FileVersion", "load"]

_LARGEST: Final = 64 * 2**20
_SHOWN_LINES: Final = 400
_WIDEST: Final = 400
_SNIFFED: Final = 8000
_HEX: Final = 256


@dataclass(frozen=True, slots=True, repr=False)
class FileVersion:
    """A file as one revision has it.

    Parameters
    ----------
    path
        Its name.
    revision
        The revision, as it was asked for; ``""`` is the index.
    sha
        Git's name of the content.
    mode
        ``"100644"``, ``"100755"`` of a program, ``"120000"`` of a link, whose content is its
        target.
    data
        The content.
    """

    path: str
    revision: str
    sha: str
    mode: str
    data: bytes

    @property
    def binary(self) -> bool:
        """Whether the content is binary."""
        return b"\0" in self.data[:_SNIFFED]

    @property
    def text(self) -> str:
        """Return the content as text.

        Raises
        ------
        UsageError
            It is no UTF-8.
        """
        try:
            return self.data.decode()
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{self.path} is no text in UTF-8", service="git", hint="use .data, its bytes"
            ) from error

    def __bytes__(self) -> bytes:
        return self.data

    def __str__(self) -> str:
        return self.text

    @property
    def _title(self) -> str:
        return f"{text_of(self.path)} ({self.revision or 'staged'}), {len(self.data):,} bytes"

    def _lines(self) -> list[str]:
        if self.binary:
            rows = range(0, min(len(self.data), _HEX), 16)
            return ["no text; its first bytes", *(self.data[at : at + 16].hex(" ") for at in rows)]
        cells = cells_of(self.data) if self.path.endswith(".ipynb") else None
        if cells is None:
            return _cut(self.data.decode("utf-8", "replace").splitlines())
        lines = []
        for number, cell in enumerate(cells, start=1):
            lines += [f"@@ {cell.type} cell {number}", *cell.source.splitlines()]
        return _cut(lines)

    def __repr__(self) -> str:
        return "\n".join([self._title, *self._lines()])

    def _repr_html_(self) -> str:
        code = "font-family:var(--jp-code-font-family,monospace);white-space:pre;overflow:auto"
        return (
            '<div style="color:var(--jp-content-font-color1,inherit)">'
            f'<div style="color:var(--jp-ui-font-color2,#757575)">{escape(self._title)}</div>'
            f'<div style="{code}">{escape(chr(10).join(self._lines()))}</div></div>'
        )


def _cut(lines: Sequence[str]) -> list[str]:
    shown = []
    for line in lines[:_SHOWN_LINES]:
        more = len(line) - _WIDEST
        text = text_of(line[:_WIDEST].replace("\t", "    ")) if line else ""
        shown.append(f"{text}… {more:,} more characters" if more > 0 else text)
    more = len(lines) - _SHOWN_LINES
    if more > 0:
        shown.append(f"… {more:,} more lines: .text has them all")
    return shown


def load(repo: OpenRepository, path: str, revision: str) -> FileVersion:
    """Return a file as a revision has it; see `GitManager.show_file`."""
    given = arguments.paths(path)[0]
    inner = os.path.normpath(os.path.join(repo.prefix, given))  # noqa: PTH118 - a name, no file
    if inner.startswith(("../", "/")) or inner in {"..", "."}:
        raise UsageError(
            f"{given} is no file of the repository", service="git", hint="name a path below it"
        )
    mode, kind, sha = _entry(repo, revision, inner, given)
    if kind != "blob":
        what = "a folder" if kind == "tree" else f"a submodule at {sha[:10]}"
        raise UsageError(
            f"{given} is {what} in {revision or 'the index'}",
            service="git",
            hint="name a file",
        )
    size = int(repo.run("cat-file", "-s", sha).text)
    if size > _LARGEST:
        raise RejectedError(
            f"{given} has {size:,} bytes, the most are {_LARGEST:,}",
            service="git",
            hint=f"in a terminal: git show {revision}:{inner} > FILE",
        )
    return FileVersion(given, revision, sha, mode, repo.run("cat-file", "blob", sha).out)


def _entry(repo: OpenRepository, revision: str, inner: str, given: str) -> tuple[str, str, str]:
    """Return mode, kind and name of the content of a path."""
    if revision in {"", "0", "1", "2", "3"}:
        return _staged(repo, revision, inner, given)
    sha = repo.sha(revision)
    output = repo.run("ls-tree", "-z", "--full-tree", sha, "--", inner)
    if not output.out:
        raise _missing(given, revision)
    mode, kind, name = output.text.partition("\t")[0].split(" ")
    return mode, kind, name


def _staged(repo: OpenRepository, stage: str, inner: str, given: str) -> tuple[str, str, str]:
    path = os.path.join(repo.folders.root, inner)  # noqa: PTH118 - a name of git's
    output = repo.run("ls-files", "--stage", "-z", "--full-name", "--", path)
    found: dict[str, tuple[str, str]] = {}
    for entry in output.text.split("\0")[:-1]:
        about, _, name = entry.partition("\t")
        mode, sha, number = about.split(" ")
        if name == inner:
            found[number] = mode, sha
    entry_of = found.get(stage or "0")
    if entry_of is None and stage in {"", "0"} and found:
        raise RejectedError(
            f"{given} is in conflict: nothing of it is staged",
            service="git",
            hint="its sides are the revisions '2' (ours), '3' (theirs) and '1' (base): "
            f"hub.git.show_file({given!r}, '2') (%git show {quote(f':2:{given}')})",
        )
    if entry_of is None:
        raise _missing(given, f":{stage}" if stage else "the index")
    mode, sha = entry_of
    return mode, "commit" if mode == "160000" else "blob", sha


def _missing(path: str, where: str) -> NotFoundError:
    return FileNotFound(
        f"there is no {path} in {where}",
        service="git",
        hint=f"hub.git.log(paths={path!r}) (%git log --path {quote(path)}) lists the commits that "
        "changed it; a path is relative to the folder of the manager",
    )
