"""Cloning of repositories and of their submodules, whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

from agentnb.core.errors import NotFoundError, RejectedError, UsageError
from agentnb.core.expand import expand
from agentnb.core.git import arguments, discovery, transport
from agentnb.core.git.credentials import clean, is_local, split_url
from agentnb.core.git.remotes import urls_of
from agentnb.core.git.submodules import DEEPEST, Submodule, folder_of, listed, source_of
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import whole
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agentnb.core.git.credentials import Login
    from agentnb.core.git.repository import Repository

__all__ = ["Cloner"]


@dataclass(frozen=True, slots=True)
class _Call:
    """The limits and logins of one clone, its submodules included."""

    until: float
    progress: Callable[[str], object] | None
    logins: list[Login]

    def left(self) -> float:
        """Return the seconds that are left; never 0, for which git would not begin."""
        return max(0.001, self.until - monotonic())


@refuse_unknown("git")
class Cloner:
    """Clones repositories and fetches submodules.

    Parameters
    ----------
    repository
        The folder to clone into, and the repository whose submodules are fetched.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

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
    ) -> Repository:
        """Clone a repository; see `GitManager.clone`."""
        source, login = split_url(url)
        if is_local(source) and "://" not in source:
            source = str(discovery.resolved(self._repository.path / expand(source, service="git")))
        target = _target(self._repository, directory, source)
        made = [each for each in (target.parent, *target.parent.parents) if not each.exists()]
        discovery.make(target.parent)
        half = target.parent / f".{target.name}.{secrets.token_hex(4)}.cloning"
        options = [f"--branch={arguments.branch(branch)}"] if branch else []
        if depth is not None:
            options.append(f"--depth={whole('depth', depth, service='git')}")
        call = _Call(
            monotonic() + self._repository.seconds(timeout), progress, [login] if login else []
        )
        try:
            _copy(self._repository, source, half, options, call)
            if recurse_submodules:
                _add_submodules(self._repository.at(half), source, call, 1)
            half.replace(target)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            with suppress(OSError):
                for each in made:
                    each.rmdir()
            raise
        self._repository.say("repository cloned", url=source, path=target)
        clone = self._repository.at(target)
        missing = [row.path for row in Cloner(clone).submodules() if row.state == "not fetched"]
        if missing:
            self._repository.log.warning(
                "submodules not fetched",
                extra={"data": {"path": str(target), "count": len(missing)}},
            )
        return clone

    def submodules(self) -> Table:
        """Return the submodules: path, URL, the commit that belongs there, and the state."""
        repo = self._repository.open()
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
        repo = self._repository.open()
        remotes = repo.run("remote").text.split()
        source = urls_of(repo, "origin")[0] if "origin" in remotes else str(repo.folders.root)
        call = _Call(monotonic() + self._repository.seconds(timeout), progress, [])
        return [repo.shown(path) for path in _add_submodules(self._repository, source, call, 1)]


def _copy(
    repository: Repository, source: str, folder: Path, options: Sequence[str], call: _Call
) -> None:
    """Clone into a folder that is empty or not there."""
    repository.run(
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


def _add_submodules(repository: Repository, parent: str, call: _Call, level: int) -> list[str]:
    repo = repository.open()
    missing = [each for each in listed(repo) if not each.fetched]
    if missing and level > DEEPEST:
        raise RejectedError(
            f"submodules lie more than {DEEPEST} levels deep",
            service="git",
            hint="clone the deeper ones by themselves: hub.git.clone(URL, FOLDER)",
        )
    for each in missing:
        source, login = split_url(source_of(each, parent))
        folder = folder_of(repo.folders.root, each.path)
        own = replace(call, logins=[*call.logins, *([login] if login else [])])
        try:
            _copy(repository, source, folder, ["--no-checkout"], own)
            module = repository.at(folder)
            _check_out(module, each, source, own)
            _add_submodules(module, source, own, level + 1)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                folder.mkdir()
            raise
    return [each.path for each in missing]


def _check_out(repository: Repository, module: Submodule, source: str, call: _Call) -> None:
    """Check out the commit of a submodule, which may lie on no branch."""
    repo = repository.open()
    have = repo.run("cat-file", "-e", f"{module.sha}^{{commit}}", fine=(0, 1, 128))
    if have.code:
        fetch = ("fetch", "--no-recurse-submodules", transport.upload_pack(source))
        one = ("--", "origin", module.sha)
        try:
            repo.run(*fetch, *one, timeout=call.left(), logins=call.logins)
        except (NotFoundError, RejectedError) as error:
            raise NotFoundError(
                f"{clean(source)} does not have the commit {module.sha[:10]} of the submodule "
                f"{module.path}",
                service="git",
                hint="it may not be pushed yet",
            ) from error
    options = ("--quiet", "--detach", "--no-recurse-submodules")
    repo.run("checkout", *options, module.sha, timeout=call.left())


def _target(repository: Repository, directory: str | os.PathLike[str] | None, source: str) -> Path:
    if directory is None:
        name = source.rstrip("/").removesuffix("/.git").removesuffix(".git")
        directory = name.rpartition("/")[2].rpartition(":")[2]
        if not directory or directory in {".", ".."}:
            raise UsageError(
                "the URL names no folder to clone into",
                service="git",
                hint="hub.git.clone(URL, FOLDER) (%git clone URL FOLDER)",
            )
    target = repository.new_folder(directory)
    if target.is_dir() and not any(target.iterdir()):
        return target
    if os.path.lexists(target):
        raise RejectedError(
            f"{target} is there already", service="git", hint="clone into another folder"
        )
    return target
