"""Copying a repository, wholly or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from agentnb.core.errors import RejectedError, UsageError
from agentnb.core.git import others, place, words
from agentnb.core.git.credentials import is_local, split_url
from agentnb.core.git.syncing import Syncing
from agentnb.core.ranges import whole

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Cloning"]


class Cloning(Syncing):
    """The part of `GitManager` that copies a repository."""

    def clone(
        self,
        url: str,
        directory: str | os.PathLike[str] | None = None,
        *,
        branch: str | None = None,
        depth: int | None = None,
        timeout: float | None = None,
        progress: Callable[[str], object] | None = None,
    ) -> Self:
        """Copy a repository.

        A clone that fails, or is not over in time, leaves nothing behind. A login in the URL is
        used for this one call and stored nowhere.

        Parameters
        ----------
        url
            ``https://``, ``http://``, ``ssh://``, ``file://``, ``user@host:path``, or a folder.
        directory
            Where to: by default a folder of the repository's name, in the one that the manager
            is bound to. It must not exist, or be empty.
        branch
            The one to check out.
        depth
            Only so many commits.
        timeout
            Seconds, in place of the manager's.
        progress
            Called with each line of git's progress.

        Returns
        -------
        GitManager
            Of the clone.

        Raises
        ------
        UnavailableError
            The server cannot be reached, or was not done in time.
        ConfigError
            It refuses the login.
        NotFoundError
            It has no such repository.
        RejectedError
            The folder is not empty.
        """
        source, login = split_url(url)
        if is_local(source) and "://" not in source:
            source = str(place.resolved(self.path / Path(source).expanduser()))
        target = self._target(directory, source)
        made = [each for each in (target.parent, *target.parent.parents) if not each.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.parent / f".{target.name}.{secrets.token_hex(4)}.cloning"
        options = [f"--branch={words.branch(branch)}"] if branch else []
        if depth is not None:
            options.append(f"--depth={whole('depth', depth, service='git')}")
        if progress is not None:
            options.append("--progress")
        try:
            self._run(
                *("clone", "--no-local", "--no-recurse-submodules", "--template="),
                others.upload_pack(source),
                *options,
                *("--", source, str(half)),
                outside=True,
                timeout=timeout,
                progress=progress,
                logins=[login] if login else (),
            )
            half.replace(target)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            with suppress(OSError):
                for each in made:
                    each.rmdir()
            raise
        self._say("repository cloned", url=source, path=target)
        return self.at(target)  # type: ignore[no-any-return]

    def _target(self, directory: str | os.PathLike[str] | None, source: str) -> Path:
        if directory is None:
            name = source.rstrip("/").removesuffix("/.git").removesuffix(".git")
            directory = name.rpartition("/")[2].rpartition(":")[2]
            if not directory or directory in {".", ".."}:
                raise UsageError("name the folder to clone into", service="git")
        target = place.bound(self.path / Path(directory), self.ceiling)
        if target.is_dir() and not any(target.iterdir()):
            return target
        if os.path.lexists(target):
            raise RejectedError(
                f"{target} is there already", service="git", hint="clone into another folder"
            )
        return target
