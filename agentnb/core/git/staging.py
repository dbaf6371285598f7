"""Staging: paths, but for other repositories in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError
from agentnb.core.git import arguments, discovery, exclude, nested, solving
from agentnb.core.git.nested import LeftOut
from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from agentnb.core.git.opened import OpenRepository
    from agentnb.core.git.repository import Repository

__all__ = ["Files", "Staging", "is_folder", "left_out"]

Files = str | os.PathLike[str] | list[str]


@refuse_unknown("git")
class Staging:
    """The index of a repository: the changes that the next commit takes.

    Parameters
    ----------
    repository
        The repository.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def add_files(self, files: Files = ".") -> LeftOut | None:
        """Stage files for the next commit; deleted files are staged as deleted.

        Parameters
        ----------
        files
            Paths, taken literally; a folder is everything in it, except repositories that are no
            submodules.

        Returns
        -------
        LeftOut or None
            The repositories that were left out, if there are any.

        Raises
        ------
        NotFoundError
            There is no such file.
        RejectedError
            It is ignored, its filter may not run, markers of a conflict are left in it, or it is
            or belongs to another repository.
        """
        given = arguments.paths(files)
        repo = self._repository.open()
        solving.check_markers(repo, given)
        with repo.explains_paths(given):
            return self.stage(repo, given, "--all") or None

    def stage(
        self,
        repo: OpenRepository,
        paths: Sequence[str],
        how: str,
        variables: Mapping[str, str] | None = None,
    ) -> LeftOut:
        """Stage paths, but for repositories in them, which are logged and returned.

        Parameters
        ----------
        repo
            The repository.
        paths
            Files and folders.
        how
            The option of ``git add``.
        variables
            Added to the environment.

        Raises
        ------
        RejectedError
            A path is another repository, or belongs to one.
        """
        scratch = self._repository.options.scratch
        if scratch is not None and any(is_folder(repo.folder, path) for path in paths):
            _hide(repo, scratch)
        left = left_out(repo, paths, variables=variables)
        variables = dict(variables or {})
        if left:
            paths = nested.patterns(paths, left)
            variables["GIT_LITERAL_PATHSPECS"] = "0"
        repo.run("add", how, "--", *paths, variables=variables, doing="add")
        if left:
            self._repository.log.warning("%r", left)
        return left

    def unstage_files(self, files: Files = ".") -> None:
        """Unstage files; the files themselves stay as they are.

        Raises
        ------
        NotFoundError
            There is no such file.
        """
        given, repo = arguments.paths(files), self._repository.open()
        repo.interpreter().check_paths(given)
        if repo.head():
            repo.run("reset", "--quiet", "--", *given, doing="unstage")
        else:
            # Forced, since it would keep what has changed after it was staged; no file is touched.
            options = ("--cached", "-r", "--force", "--quiet")
            repo.run("rm", *options, "--", *given, doing="unstage")


def left_out(
    repo: OpenRepository,
    paths: Sequence[str],
    *,
    variables: Mapping[str, str] | None = None,
) -> LeftOut:
    """Return the repositories in some paths that are no submodules.

    Raises
    ------
    RejectedError
        A path is one itself, or belongs to one.
    """
    outer = nested.enclosing(repo.folder, paths, repo.folders.root)
    if outer is not None:
        path, repository = outer
        raise RejectedError(
            f"{path} belongs to another repository, {repository}",
            service="git",
            hint=f"use that one: hub.repo(...), or GitManager({str(repository)!r})",
        )
    folders = [path for path in paths if is_folder(repo.folder, path)]
    if not folders:
        return LeftOut()
    options = ("--others", "--exclude-standard", "-z")
    listed = repo.run("ls-files", *options, "--", *folders, variables=variables)
    if "/\0" not in listed.text:
        return LeftOut()
    left = LeftOut(nested.repositories(listed.text, nested.declared(repo)))
    for path in paths:
        if os.path.relpath(repo.folder / path, repo.folder) in left:
            raise nested.refusal(path)
    return left


def is_folder(folder: Path, path: str) -> bool:
    """Return whether a path is a folder, and no link to one."""
    whole = folder / path
    return whole.is_dir() and not whole.is_symlink()


def _hide(repo: OpenRepository, scratch: Path) -> None:
    """Leave agentnb's own folder out, unless files in it are the repository's already."""
    root = repo.folders.root
    if scratch == root or not discovery.inside(scratch, root):
        return
    if not scratch.is_dir() or exclude.hides(repo.folders, scratch):
        return
    if not repo.run("ls-files", "-z", "--", str(scratch)).out:
        exclude.hide(repo.folders, scratch)
