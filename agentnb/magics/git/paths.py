"""Paths on a line of ``%git``: as they are, as patterns, and as Tab offers them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import NotFoundError

if TYPE_CHECKING:
    from agentnb.core.git import GitManager
    from agentnb.magics.grammar import Call

__all__ = ["files_in", "paths_of"]


def paths_of(git: GitManager, call: Call) -> list[str]:
    """Return the paths on a line; a pattern stands for the changed files that match it."""
    found: list[str] = []
    changed: list[str] | None = None
    for word, value in zip(call.words, call.arguments, strict=True):
        if word.kind == "bind":
            found += [str(each) for each in ([value] if isinstance(value, (str, Path)) else value)]
            continue
        text = word.text
        if word.kind == "quoted" or not any(mark in text for mark in "*?["):
            found.append(text)
            continue
        if (git.path / text).exists():
            found.append(text)
            continue
        if changed is None:
            changed = [change.path for change in git.status(untracked="all").changes]
        matching = [path for path in changed if fnmatchcase(path, text)]
        if not matching:
            raise NotFoundError(
                f"no changed file matches {text}", service="git", hint="%git status lists them"
            )
        found += matching
    return found or ["."]


def files_in(folder: Path, start: str) -> list[str]:
    """Return the files and folders whose path begins so."""
    before, _, _ = start.rpartition("/")
    inner = folder / before
    if not inner.is_dir():
        return []
    found = [path for path in inner.iterdir() if path.name != ".git"]
    prefix = f"{before}/" if before else ""
    return sorted(f"{prefix}{path.name}{'/' if path.is_dir() else ''}" for path in found)
