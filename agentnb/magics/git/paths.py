"""Paths on a line of ``%git``: as they are, as patterns, and as Tab offers them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotFoundError
from agentnb.magics.grammar import each_word, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.git import GitManager
    from agentnb.magics.grammar import Call, Word

__all__ = ["files_in", "has_paths", "paths_behind", "paths_of", "words_of"]


def paths_of(git: GitManager, call: Call) -> list[str]:
    """Return the paths on a line, those behind ``--`` too; by default everything here.

    A pattern stands for the changed files that match it.
    """
    return words_of(git, call) + paths_behind(git, call) or ["."]


def has_paths(call: Call) -> bool:
    """Return whether a line has paths."""
    return bool(call.arguments or call.rest)


def words_of(git: GitManager, call: Call) -> list[str]:
    """Return the words in front of ``--``, with the changed files in the place of a pattern."""
    return _expanded(git, zip(call.words, call.arguments, strict=True), None)


def paths_behind(
    git: GitManager, call: Call, changed: Callable[[], list[str]] | None = None
) -> list[str]:
    """Return the paths behind ``--``, with the changed files in the place of a pattern.

    Parameters
    ----------
    git, call
        The repository and the line.
    changed
        Returns the files that a pattern may stand for, by default those of the status.
    """
    found = [word for word in each_word(call.rest or "", service="git") if word.kind != "rest"]
    return _expanded(git, ((word, value_of(word, call.namespace)) for word in found), changed)


def _expanded(
    git: GitManager, words: Iterable[tuple[Word, Any]], changed: Callable[[], list[str]] | None
) -> list[str]:
    found: list[str] = []
    known: list[str] | None = None
    for word, value in words:
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
        if known is None:
            known = _of_status(git) if changed is None else changed()
        matching = [path for path in known if fnmatchcase(path, text)]
        if not matching:
            raise NotFoundError(
                f"no changed file matches {text}", service="git", hint="%git status lists them"
            )
        found += matching
    return found


def _of_status(git: GitManager) -> list[str]:
    return [change.path for change in git.status(untracked="all").changes]


def files_in(folder: Path, start: str) -> list[str]:
    """Return the files and folders whose path begins so."""
    before, _, _ = start.rpartition("/")
    inner = folder / before
    if not inner.is_dir():
        return []
    found = [path for path in inner.iterdir() if path.name != ".git"]
    prefix = f"{before}/" if before else ""
    return sorted(f"{prefix}{path.name}{'/' if path.is_dir() else ''}" for path in found)
