"""Staging: paths, but for other repositories in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError
from agentnb.core.git import discovery, exclude, nested
from agentnb.core.git.nested import LeftOut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from agentnb.core.git.opened import OpenRepository

__all__ = ["is_folder", "left_out", "stage"]


def stage(
    repo: OpenRepository,
    folder: Path,
    paths: Sequence[str],
    how: str,
    *,
    scratch: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> LeftOut:
    """Stage paths, but for repositories in them, which are returned.

    Parameters
    ----------
    repo
        The repository.
    folder
        The folder that the paths are relative to.
    paths
        Files and folders.
    how
        The option of ``git add``.
    scratch
        A folder of agentnb's own, which is left out for good.
    variables
        Added to the environment.

    Raises
    ------
    RejectedError
        A path is another repository, or belongs to one.
    """
    if scratch is not None and any(is_folder(folder, path) for path in paths):
        _hide(repo, scratch)
    left = left_out(repo, folder, paths, variables=variables)
    variables = dict(variables or {})
    if left:
        paths = nested.patterns(paths, left)
        variables["GIT_LITERAL_PATHSPECS"] = "0"
    repo.run("add", how, "--", *paths, variables=variables, doing="add")
    return left


def left_out(
    repo: OpenRepository,
    folder: Path,
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
    outer = nested.enclosing(folder, paths, repo.folders.root)
    if outer is not None:
        path, repository = outer
        raise RejectedError(
            f"{path} belongs to another repository, {repository}",
            service="git",
            hint=f"use that one: hub.repo(...), or GitManager({str(repository)!r})",
        )
    folders = [path for path in paths if is_folder(folder, path)]
    if not folders:
        return LeftOut()
    options = ("--others", "--exclude-standard", "-z")
    listed = repo.run("ls-files", *options, "--", *folders, variables=variables)
    if "/\0" not in listed.text:
        return LeftOut()
    left = LeftOut(nested.repositories(listed.text, nested.declared(repo)))
    for path in paths:
        if os.path.relpath(folder / path, folder) in left:
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
