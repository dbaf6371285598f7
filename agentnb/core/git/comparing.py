"""Differences: of the files, of the index, between revisions, in a commit."""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Final

from agentnb.core.errors import FileNotFound
from agentnb.core.git import diff as differences
from agentnb.core.git.cells import LARGEST
from agentnb.core.git.objects import CommitView
from agentnb.core.git.status import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentnb.core.git.diff import Diff
    from agentnb.core.git.discovery import Folders
    from agentnb.core.git.opened import Runner

__all__ = ["Comparer"]

_RAW: Final = ("-z", "--raw", "--no-abbrev", "--patch")


class Comparer:
    """Reads the differences in one repository.

    Parameters
    ----------
    run
        Runs git there.
    found
        Its folders.
    shown
        Makes the paths of the root into those that people see.
    """

    def __init__(self, run: Runner, found: Folders, shown: Callable[[str], str]) -> None:
        self._run, self._repository, self._shown = run, found, shown

    def diff(self, given: Sequence[str], context: int) -> Diff:
        """Return the differences, parsed; `given` follows the options of ``git diff``."""
        around = f"--unified={context}"
        output = self._run("diff", around, *_RAW, *given)
        return self._parsed(output.text, partial(self._conflicts, (around, *given)))

    def patch(self, given: Sequence[str]) -> str:
        """Return the differences as git's patch."""
        return self._run("diff", *given).text

    def show(self, revision: str, paths: Sequence[str]) -> CommitView:
        """Return a commit and its changes against its first parent."""
        # All behind :/ is the text that is looked for in messages, and it finds commits only.
        commit = revision if revision.startswith(":/") else f"{revision}^{{commit}}"
        output = self._run(
            *("show", *_RAW, "--first-parent", "--diff-merges=first-parent", "--sparse"),
            f"--format={CommitView.FORMAT}",
            *("--end-of-options", commit, "--", *paths),
        )
        head, _, rest = output.text.partition(CommitView.END)
        return CommitView.parse(head, self._parsed(rest.lstrip("\n"), lambda: ("", "", {})))

    def stash(self, name: str) -> Diff:
        """Return the changes of a stash, new files included."""
        # As `hardened` has them for the other commands that compare.
        safe = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
        words = ("stash", "show", "--include-untracked", *safe, *_RAW, name)
        output = self._run(*words, doing="stash")
        return self._parsed(output.text, lambda: ("", "", {}))

    def of_unknown(self, path: str, inner: str) -> Diff:
        """Return a file that git does not know as one that is new.

        Parameters
        ----------
        path, inner
            From the folder, and from the top of the repository.

        Raises
        ------
        NotFoundError
            There is no such file.
        """
        whole = self._repository.root / inner
        if not os.path.lexists(whole):
            raise FileNotFound(
                f"there is no path {path!r}",
                service="git",
                hint="hub.git.status() (%git status) lists what there is",
            )
        if whole.is_dir() and not whole.is_symlink():
            return differences.of_new_file(path, b"", "a folder")
        data = read_file(self._repository, inner)
        if len(data) > LARGEST:
            size = whole.lstat().st_size
            return differences.of_new_file(path, b"", f"{size:,} bytes, too many to show")
        return differences.of_new_file(path, data)

    def _parsed(
        self, text: str, conflicts: Callable[[], tuple[str, str, Mapping[str, str]]]
    ) -> Diff:
        return differences.parse(text, self._shown, self._content, conflicts)

    def _conflicts(self, words: Sequence[str]) -> tuple[str, str, Mapping[str, str]]:
        """Return the raw part and the patch, both without renames, and how the sides differ."""
        stages: dict[str, list[int]] = {}
        root = str(self._repository.root)
        listed = self._run("ls-files", "-z", "--unmerged", "--full-name", "--", root).text
        for line in listed.split("\0")[:-1]:
            about, _, path = line.partition("\t")
            stages.setdefault(path, []).append(int(about[-1]))
        kinds = {path: KINDS[tuple(found)] for path, found in stages.items()}
        again = self._run("diff", *_RAW, "--no-renames", *words).text
        patch = self._run("diff", "--patch", "--full-index", "--no-renames", *words).text
        return again, patch, kinds

    def _content(self, path: str, name: str) -> bytes:
        """Return a content by git's name of it, or from the work tree where it has none."""
        if differences.is_nobody(name):
            return read_file(self._repository, path)
        return self._run("cat-file", "blob", name).out


def read_file(found: Folders, path: str) -> bytes:
    """Return a file of the work tree, of a large one the start; of a link where it points."""
    file = found.root / path
    try:
        if file.parent.resolve() != file.parent:
            return b""  # behind a link, where git itself does not look
        if file.is_symlink():
            return os.fsencode(file.readlink())
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):  # a name with a NUL or a lone surrogate
        return b""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return b""
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read(LARGEST + 1)
