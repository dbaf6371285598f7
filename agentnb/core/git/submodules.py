"""Submodules: which there are, where they come from, and where they belong.

``git submodule update`` takes the settings of `hardening` out of the environment of the git that
it starts in a submodule. So each submodule is cloned as any other repository is.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from agentnb.core.errors import NotFoundError, RejectedError
from agentnb.core.git.credentials import clean, is_local

if TYPE_CHECKING:
    from pathlib import Path

    from agentnb.core.git.opened import OpenRepository

__all__ = ["DEEPEST", "Submodule", "folder_of", "listed", "source_of"]

DEEPEST: Final = 10
"""Levels of submodules within submodules that are fetched."""

_GITLINK: Final = "160000"
_KEY: Final = re.compile(r"submodule\.(?P<name>.+)\.(?P<key>path|url)", re.DOTALL)


class Submodule(NamedTuple):
    """A submodule.

    Parameters
    ----------
    path
        Its folder, below the root.
    url
        The URL in ``.gitmodules``, which may be relative; ``""`` where it is in none.
    sha
        The commit that belongs there.
    fetched
        Whether the folder holds a repository.
    """

    path: str
    url: str
    sha: str
    fetched: bool


def listed(repo: OpenRepository) -> list[Submodule]:
    """Return the submodules in the index, in the order of their paths."""
    output = repo.run("ls-files", "--stage", "-z", "--full-name", "--", str(repo.folders.root))
    found = []
    urls: dict[str, str] | None = None
    for entry in output.text.split("\0"):
        if not entry.startswith(_GITLINK):
            continue
        if urls is None:
            urls = _urls(repo)
        about, _, path = entry.partition("\t")
        sha = about.split(" ")[1]
        fetched = os.path.lexists(repo.folders.root / path / ".git")
        found.append(Submodule(path, urls.get(path, ""), sha, fetched))
    return found


def _urls(repo: OpenRepository) -> dict[str, str]:
    """Return the URL of each path, as ``.gitmodules`` is staged, not as somebody has changed it."""
    # A file in the work tree could be a link to any other.
    words = ("config", "--blob", ":.gitmodules", "--null", "--list")
    output = repo.run(*words, fine=(0, 1, 128, 129), doing="submodules")
    by_name: dict[str, dict[str, str]] = {}
    for entry in output.text.split("\0") if output.code == 0 else []:
        key, _, value = entry.partition("\n")
        match = _KEY.fullmatch(key)
        if match is not None:
            by_name.setdefault(match["name"], {})[match["key"]] = value
    return {
        each["path"]: each["url"] for each in by_name.values() if each.keys() == {"path", "url"}
    }


def source_of(module: Submodule, parent: str) -> str:
    """Return the URL that a submodule is fetched from.

    Parameters
    ----------
    module
        The submodule.
    parent
        The URL of the repository that it belongs to, from which a relative one counts.

    Raises
    ------
    NotFoundError
        ``.gitmodules`` says none.
    RejectedError
        It is a folder of this machine, and the repository comes from elsewhere.
    """
    if not module.url:
        raise NotFoundError(
            f"the submodule {module.path} has no URL",
            service="git",
            hint="it was added without git submodule add: its URL belongs into .gitmodules",
        )
    url = joined(parent, module.url)
    if is_local(url) and not is_local(parent):
        # Whoever wrote .gitmodules would choose which folder of this machine is copied.
        raise RejectedError(
            f"the submodule {module.path} is a folder of this machine: {clean(url)}",
            service="git",
            hint="clone it yourself, if you trust it",
        )
    return url


def joined(parent: str, url: str) -> str:
    """Return a URL that counts from another one if it begins with ``./`` or ``../``.

    >>> joined("https://host/me/app.git", "../lib.git")
    'https://host/me/lib.git'
    >>> joined("git@host:me/app", "../../you/lib"), joined("git@host:app", "../lib")
    ('git@host:you/lib', 'git@host:lib')
    >>> joined("/srv/app", "./lib"), joined("/srv/app", "https://host/lib")
    ('/srv/app/lib', 'https://host/lib')
    """
    if not url.startswith(("./", "../")):
        return url
    base, rest = parent.rstrip("/"), url
    mark = "/"
    while True:
        if rest.startswith("./"):
            rest = rest[2:]
        elif rest.startswith("../"):
            rest = rest[3:]
            cut = max(base.rfind("/"), base.rfind(":"))
            if cut < 0 or base[:cut].endswith((":", "/")) or base[cut : cut + 3] == "://":
                raise RejectedError(
                    f"the URL {clean(url)} leads too far up",
                    service="git",
                    hint="write the whole URL into .gitmodules",
                )
            base, mark = base[:cut], base[cut]
        else:
            return f"{base}{mark}{rest}"


def folder_of(root: Path, path: str) -> Path:
    """Return the folder of a submodule, which is empty or not there, and behind no link.

    Raises
    ------
    RejectedError
        It is another thing.
    """
    folder = root / path
    if folder.parent.resolve() != folder.parent or folder.is_symlink():
        raise RejectedError(
            f"the submodule {path} lies behind a link",
            service="git",
            hint="remove the link in its path, then fetch again: hub.git.fetch_submodules()",
        )
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise RejectedError(
            f"the folder of the submodule {path} is not empty",
            service="git",
            hint="move away what is in it",
        )
    return folder
