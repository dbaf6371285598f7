"""Hidden names below a workspace: settings, the home, the inside of repositories.

Writing them runs code later, and reading them shows secrets. So no path of the workspace leads
there, at any depth and through any link.

A second hard link to such a file has another name and is not recognised.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from agentnb.core.errors import PathEscape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["NAMES_ONLY", "Hidden"]

_NAMES: Final = frozenset({".agentnb", ".env", ".git"})

# Characters that macOS leaves out when it compares names; git knows the same ones.
_IGNORED: Final = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)
# The short names that Windows' file systems give to them.
_SHORT: Final = re.compile(r"(?:agentn|env|git)~[0-9]")


@dataclass(frozen=True, slots=True)
class Hidden:
    """Decides which paths below a workspace are hidden: by their names, and the home by its path.

    Names are compared as the file systems of macOS and Windows do, on every system: ``.Git``
    and ``.git.`` are hidden, too.

    Parameters
    ----------
    home
        The home, where it lies below the workspace under another name than ``.agentnb``.
    homes
        Its names from the workspace on, as compared; with and without its links.

    Examples
    --------
    >>> NAMES_ONLY.find(["app", ".git", "config"]), NAMES_ONLY.find(["app", ".gitignore"])
    ('.git', None)
    """

    home: Path | None = None
    homes: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def below(cls, workspace: Path, home: Path | None) -> Self:
        """Return what is hidden below a workspace.

        Parameters
        ----------
        workspace
            The workspace's folder.
        home
            The home, wherever it is.
        """
        if home is None:
            return cls()
        pairs = ((workspace.absolute(), home.absolute()), (workspace.resolve(), home.resolve()))
        found = {
            tuple(map(_compared, one.relative_to(around).parts))
            for around, one in pairs
            if one != around and one.is_relative_to(around)
        }
        named = {parts for parts in found if not _NAMES & set(parts)}
        return cls(home, tuple(sorted(named))) if named else cls()

    def find(self, parts: Sequence[str]) -> str | None:
        """Return the hidden name that a path goes through, or None.

        Parameters
        ----------
        parts
            The names of the path, relative to the workspace.
        """
        if _is_suspicious("/".join(parts)):
            for name in parts:
                if _compared(name) in _NAMES or _SHORT.fullmatch(_compared(name)):
                    return name
        if self.homes:
            names = _without_dots(parts)
            for home in self.homes:
                if tuple(names[: len(home)]) == home:
                    return "/".join(home)
        return None

    def may_hide(self, path: str) -> bool:
        """Return whether a path has to be looked at at all; quick, since hardly any has."""
        return bool(self.homes) or _is_suspicious(path)

    def refuse(self, parts: Sequence[str]) -> None:
        """Refuse a path that goes through a hidden name.

        Raises
        ------
        PathEscape
            It does.
        """
        found = self.find(parts)
        if found is not None:
            raise _escape("/".join(parts), found)

    def refuse_around(self, parts: Sequence[str]) -> None:
        """Refuse to move a folder that holds the home.

        Raises
        ------
        PathEscape
            It does.
        """
        names = tuple(_without_dots(parts))
        for home in self.homes:
            if home[: len(names)] == names:
                raise _escape("/".join(parts), "/".join(home))

    def hides(self, name: str, about: os.stat_result) -> bool:
        """Return whether an entry of a folder is hidden.

        Parameters
        ----------
        name
            The entry's name.
        about
            Its own status; a link is not followed.
        """
        if _is_suspicious(name) and self.find([name]):
            return True
        if self.home is None or not stat.S_ISDIR(about.st_mode):
            return False
        try:
            return os.path.samestat(about, self.home.stat())
        except OSError:
            return False

    def refuse_real(self, path: Path, workspace: Path) -> None:
        """Refuse a path of this machine that lies in what is hidden below a workspace.

        Parameters
        ----------
        path
            The path, free of links.
        workspace
            The workspace, free of links.

        Raises
        ------
        PathEscape
            It does.
        """
        if path.is_relative_to(workspace):
            self.refuse(path.relative_to(workspace).parts)


NAMES_ONLY: Final = Hidden()


def _is_suspicious(path: str) -> bool:
    return path[:1] == "." or "/." in path or "~" in path or not path.isascii()


def _compared(name: str) -> str:
    """Return a name as the most lenient file system compares it.

    >>> _compared(".GIT. "), _compared(".g\u200cit"), _compared(".git::$INDEX_ALLOCATION")
    ('.git', '.git', '.git')
    """
    return name.translate(_IGNORED).partition(":")[0].rstrip(". ").casefold() or name


def _without_dots(parts: Sequence[str]) -> list[str]:
    names: list[str] = []
    for name in parts:
        if name != "..":
            names.append(_compared(name))
        elif names:
            names.pop()
    return names


def _escape(path: str, name: str) -> PathEscape:
    shown = path if path.isprintable() else ascii(path)
    return PathEscape(
        f"{shown} is not part of the workspace: {ascii(name)[1:-1]} is hidden",
        service="files",
        hint="the home, .env and the inside of .git are not for files of the workspace; "
        "hub.git (%git) works on repositories",
    )
