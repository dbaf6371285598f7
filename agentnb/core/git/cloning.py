"""Copying a repository, wholly or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Self

from agentnb.core.errors import NotFoundError, RejectedError, UsageError
from agentnb.core.git import arguments, discovery, transport
from agentnb.core.git.credentials import clean, is_local, split_url
from agentnb.core.git.submodules import DEEPEST, Submodule, folder_of, listed, source_of
from agentnb.core.git.syncing import Syncing
from agentnb.core.ranges import whole
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.git.credentials import Login

__all__ = ["Cloning"]


@dataclass(frozen=True, slots=True)
class _Call:
    """How a clone is made, its submodules included."""

    until: float
    progress: Callable[[str], object] | None
    logins: list[Login]

    def left(self) -> float:
        """Return the seconds that are left; never 0, for which git would not begin."""
        return max(0.001, self.until - monotonic())


class Cloning(Syncing):
    """The part of `GitManager` that copies a repository."""

    def clone(
        self,
        url: str,
        directory: str | os.PathLike[str] | None = None,
        *,
        branch: str | None = None,
        depth: int | None = None,
        recurse_submodules: bool = False,
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
        recurse_submodules
            Fetch its submodules too, and those of these. By default their folders are empty, the
            log says so, and `fetch_submodules` fetches them later.
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
            source = str(discovery.resolved(self.path / Path(source).expanduser()))
        target = self._target(directory, source)
        made = [each for each in (target.parent, *target.parent.parents) if not each.exists()]
        discovery.make(target.parent)
        half = target.parent / f".{target.name}.{secrets.token_hex(4)}.cloning"
        options = [f"--branch={arguments.branch(branch)}"] if branch else []
        if depth is not None:
            options.append(f"--depth={whole('depth', depth, service='git')}")
        call = _Call(monotonic() + self._seconds(timeout), progress, [login] if login else [])
        try:
            self._copy(source, half, options, call)
            if recurse_submodules:
                self.at(half)._add_submodules(source, call, 1)  # noqa: SLF001 - this class's own
            half.replace(target)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            with suppress(OSError):
                for each in made:
                    each.rmdir()
            raise
        self._say("repository cloned", url=source, path=target)
        clone = self.at(target)
        missing = [row.path for row in clone.submodules() if row.state == "not fetched"]
        if missing:
            self._log.warning(
                "submodules not fetched",
                extra={"data": {"path": str(target), "count": len(missing)}},
            )
        return clone  # type: ignore[no-any-return]

    def _copy(self, source: str, folder: Path, options: Sequence[str], call: _Call) -> None:
        """Clone into a folder that is empty or not there."""
        self._run(
            *("clone", "--no-local", "--no-recurse-submodules", "--template="),
            transport.upload_pack(source),
            *options,
            *(["--progress"] if call.progress is not None else []),
            *("--", source, str(folder)),
            outside=True,
            timeout=call.left(),
            progress=call.progress,
            logins=call.logins,
        )

    # Submodules

    def submodules(self) -> Table:
        """Return the submodules: path, URL, the commit that belongs there, and the state."""
        repo = self._open()
        rows = [
            (
                repo.shown(each.path),
                clean(each.url),
                each.sha[:10],
                "fetched" if each.fetched else "not fetched",
            )
            for each in listed(repo)
        ]
        return Table(("path", "url", "sha", "state"), rows, empty="no submodules")

    def fetch_submodules(
        self,
        *,
        timeout: float | None = None,
        progress: Callable[[str], object] | None = None,
    ) -> list[str]:
        """Fetch the submodules whose folders are empty, and the submodules of these.

        Each is cloned as any other repository, guarded, and its commit is checked out.

        Parameters
        ----------
        timeout
            Seconds for all of them, in place of the manager's.
        progress
            Called with each line of git's progress.

        Returns
        -------
        list of str
            The folders that were filled.

        Raises
        ------
        NotFoundError
            ``.gitmodules`` has no URL of one, or its server does not have the commit.
        RejectedError
            The URL of one is a folder of this machine, while the repository comes from elsewhere;
            or its folder is not empty.
        UnavailableError, ConfigError
            As `clone`.
        """
        found = self._place()
        remotes = self._run("remote", at=found).text.split()
        source = self._remote_urls(found, "origin")[0] if "origin" in remotes else str(found.root)
        call = _Call(monotonic() + self._seconds(timeout), progress, [])
        return [self._shown(found)(path) for path in self._add_submodules(source, call, 1)]

    def _add_submodules(self, parent: str, call: _Call, level: int) -> list[str]:
        repo = self._open()
        missing = [each for each in listed(repo) if not each.fetched]
        if missing and level > DEEPEST:
            raise RejectedError(f"submodules lie more than {DEEPEST} levels deep", service="git")
        for each in missing:
            source, login = split_url(source_of(each, parent))
            folder = folder_of(repo.folders.root, each.path)
            own = replace(call, logins=[*call.logins, *([login] if login else [])])
            try:
                self._copy(source, folder, ["--no-checkout"], own)
                module = self.at(folder)
                module._check_out(each, source, own)  # noqa: SLF001 - this class's own
                module._add_submodules(source, own, level + 1)  # noqa: SLF001 - as above
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                with suppress(OSError):
                    folder.mkdir()
                raise
        return [each.path for each in missing]

    def _check_out(self, module: Submodule, source: str, call: _Call) -> None:
        """Check out the commit of a submodule, which may lie on no branch."""
        found = self._place()
        have = self._run("cat-file", "-e", f"{module.sha}^{{commit}}", at=found, fine=(0, 1, 128))
        if have.code:
            fetch = ("fetch", "--no-recurse-submodules", transport.upload_pack(source))
            one = ("--", "origin", module.sha)
            try:
                self._run(*fetch, *one, at=found, timeout=call.left(), logins=call.logins)
            except (NotFoundError, RejectedError) as error:
                raise NotFoundError(
                    f"{clean(source)} does not have the commit {module.sha[:10]} of the submodule "
                    f"{module.path}",
                    service="git",
                    hint="it may not be pushed yet",
                ) from error
        options = ("--quiet", "--detach", "--no-recurse-submodules")
        self._run("checkout", *options, module.sha, at=found, timeout=call.left())

    def _target(self, directory: str | os.PathLike[str] | None, source: str) -> Path:
        if directory is None:
            name = source.rstrip("/").removesuffix("/.git").removesuffix(".git")
            directory = name.rpartition("/")[2].rpartition(":")[2]
            if not directory or directory in {".", ".."}:
                raise UsageError("name the folder to clone into", service="git")
        target = self._new_folder(directory)
        if target.is_dir() and not any(target.iterdir()):
            return target
        if os.path.lexists(target):
            raise RejectedError(
                f"{target} is there already", service="git", hint="clone into another folder"
            )
        return target
