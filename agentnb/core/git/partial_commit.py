"""A commit of some paths, made with a copy of the index, so that other staged changes stay.

``git commit --only -- paths`` reads the index before it takes its lock: what somebody stages in
between is lost. So the lock is taken first, and the commit is made with a copy, which then takes
the index's place.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agentnb.core.errors import AgentnbError, NotFoundError, RejectedError, UnavailableError
from agentnb.core.git.locks import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agentnb.core.git.discovery import Folders

__all__ = ["commit_paths"]

_MOVED = re.compile(r"but expected|cannot lock ref|reference already exists")
_ATTEMPTS: Final = 20
_UNDER_WAY: Final = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")


def commit_paths(
    found: Folders,
    *,
    stage: Callable[[Mapping[str, str]], object],
    commit: Callable[[Mapping[str, str]], str],
    all_known: bool,
    seconds: float,
) -> str:
    """Commit some paths as they are in the work tree, and return the sha.

    Parameters
    ----------
    found
        The repository.
    stage
        Makes new files among the paths known to the index that the variables name.
    commit
        Commits the paths with the index that the variables name.
    all_known
        Whether there may be no new files among them; if git does not know one, it is staged.
    seconds
        Seconds to wait for the index's lock, at most.

    Raises
    ------
    RejectedError
        Nothing in them has changed, or a merge waits to be committed as a whole.
    UnavailableError
        The branch kept moving, or the index stayed locked.
    """
    _refuse_during_merge(found)
    index = found.git_dir / "index"
    own = found.git_dir / f"agentnb-index-{secrets.token_hex(6)}"
    beside = {"GIT_INDEX_FILE": str(own)}
    try:
        with locked(index, seconds):
            for _ in range(_ATTEMPTS):
                _copy(index, own)
                try:
                    if not all_known:
                        stage(beside)
                    sha = commit(beside)
                except AgentnbError as error:
                    unknown = all_known and isinstance(error, NotFoundError)
                    if not (unknown or _MOVED.search(error.message)):
                        raise
                    all_known = False
                    continue
                own.replace(index)  # its times stay: by those git judges whether a file changed
                return sha
    finally:
        for file in (own, own.with_name(f"{own.name}.lock")):
            with suppress(OSError):
                file.unlink()
    raise UnavailableError("the branch kept moving", service="git", hint="try again")


def _refuse_during_merge(found: Folders) -> None:
    for name in _UNDER_WAY:
        if (found.git_dir / name).exists():
            raise RejectedError(
                "a merge is committed as a whole, not by paths",
                service="git",
                hint="solve and stage what hub.git.status() lists, then commit without paths",
            )


def _copy(index: Path, own: Path) -> None:
    """Copy the index with its time.

    A file that was changed in the second in which the index was written is compared by its
    content. With the time of the copy git would take it for one that has not changed.
    """
    try:
        about = index.stat()
        own.write_bytes(index.read_bytes())
        os.utime(own, ns=(about.st_atime_ns, about.st_mtime_ns))
    except FileNotFoundError:
        own.unlink(missing_ok=True)
