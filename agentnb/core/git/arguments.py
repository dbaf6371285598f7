"""Words that are handed to git: none may be taken for an option, or for a command."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError
from agentnb.core.ranges import text

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["branch", "message", "paths", "plain", "revision"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# git-check-ref-format(1). Source: https://git-scm.com/docs/git-check-ref-format
_LONGEST_PATH = 4096  # bytes, as Linux has it
_NO_REF = re.compile(
    r"^/|/$|//|\.\.|@\{|[ ~^:?*\[\\]|(?:^|/)\.|\.(?:lock)?(?:/|$)|^@$|^HEAD$", re.ASCII
)


def plain(word: str, kind: str) -> str:
    """Return a word that is no option.

    Parameters
    ----------
    word
        The argument.
    kind
        The kind of argument, for the error.

    Raises
    ------
    UsageError
        It is empty, begins with a dash, or holds a control character.
    """
    if not isinstance(word, str) or not word:
        raise UsageError(
            f"{kind} must be a text that is not empty, got {word!r:.60}",
            service="git",
            hint=f"give the name of a {kind}",
        )
    if word.startswith("-"):
        raise UsageError(
            f"{word[:60]!r} is no {kind}: it looks like an option",
            service="git",
            hint=f"a {kind} does not begin with -",
        )
    if _CONTROL.search(word):
        raise UsageError(
            f"{word[:60]!r} is no {kind}: it has control characters",
            service="git",
            hint=f"write the {kind} without line ends and tabs",
        )
    return word


def branch(name: str, kind: str = "branch") -> str:
    """Return the name of a branch.

    >>> branch("feature/one")
    'feature/one'

    Raises
    ------
    UsageError
        Git does not allow it.
    """
    if _NO_REF.search(plain(name, kind)):
        raise UsageError(
            f"{name[:60]!r} is not the name of a {kind}",
            service="git",
            hint="words with / between them; no spaces, no .. and none of ~ ^ : ? * [ \\",
        )
    return name


def revision(name: str) -> str:
    """Return a revision: a branch, a tag, a sha, ``HEAD~2``, ``main..topic``."""
    return plain(name, "revision")


def message(given: str | None) -> str | None:
    """Return a message that may be left away, but not be empty.

    Raises
    ------
    UsageError
        It is empty, or no text that git can take.
    """
    if given is not None and not text("message", given, service="git").strip():
        raise UsageError(
            "the message is empty", service="git", hint="leave it out, or describe the change"
        )
    return given


def _is_name(path: str) -> bool:
    """Return whether a file can have a name: of a bounded length, without lone surrogates."""
    try:
        return len(os.fsencode(path)) < _LONGEST_PATH
    except UnicodeEncodeError:
        return False


def paths(files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return paths as git takes them after ``--``.

    Raises
    ------
    UsageError
        There is none, or one is empty or holds a NUL.
    """
    given = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    found = [os.fspath(file) for file in given]
    if not found:
        raise UsageError("no paths are given", service="git", hint="'.' is everything here")
    for path in found:
        if not isinstance(path, str) or not path or "\0" in path or not _is_name(path):
            raise UsageError(
                f"{path!r:.200} is no path",
                service="git",
                hint="a path is a text that is not empty, has no NUL, and at most 4,095 bytes",
            )
    return [str(Path(path)) if path != "." else path for path in found]
