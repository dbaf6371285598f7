"""Git's settings, each with its origin: the user or the repository."""

from __future__ import annotations

import contextlib
import os
import stat
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from agentnb.core.git.executor import execute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.git.discovery import Folders

__all__ = ["ELSEWHERE", "Config", "Contents", "Entry", "contents", "read", "read_file"]

Contents = dict[Path, bytes | None]

ELSEWHERE: Final = "elsewhere"
"""The scope of what another work tree or a submodule has."""

_OF_REPOSITORY: Final = frozenset({"local", "worktree", "submodule", "unknown", ELSEWHERE})


class Entry(NamedTuple):
    """A setting: a value and its key in three parts, of which the middle one may be empty."""

    scope: str
    section: str
    subsection: str
    name: str
    value: str
    origin: str = ""

    @property
    def key(self) -> str:
        """Return the key as git writes it."""
        parts = (self.section, self.subsection, self.name)
        return ".".join(part for part in parts if part)


class Config:
    """The values in their order, where a later one of a key counts more.

    Parameters
    ----------
    entries
        As git lists them.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries

    @cached_property
    def repository(self) -> list[Entry]:
        """The repository's settings, which are not trusted: its author wrote them."""
        return [entry for entry in self.entries if entry.scope in _OF_REPOSITORY]

    @cached_property
    def user(self) -> list[Entry]:
        """The user's and the machine's own."""
        return [entry for entry in self.entries if entry.scope not in _OF_REPOSITORY]

    @cached_property
    def files(self) -> frozenset[Path]:
        """The files that the values were read from, and those that are included by one of them."""
        return _files(self.entries)

    @cached_property
    def files_of_repository(self) -> frozenset[Path]:
        """The files of settings that the repository names."""
        return _files(self.repository)

    @property
    def lasting(self) -> bool:
        """Whether the values stay the same for as long as the files do."""
        return not any(
            entry.section == "includeif" and entry.subsection.startswith("onbranch:")
            for entry in self.entries
        )

    def value_of_user(self, key: str) -> str | None:
        """Return the user's value of a key, or None."""
        found = [entry.value for entry in self.user if entry.key == key]
        return found[-1] if found else None

    def has(self, section: str, subsection: str, name: str) -> bool:
        """Return whether the repository has a value of a key."""
        key = (section, subsection, name)
        return any(entry[1:4] == key for entry in self.repository)


def read(folders: Folders | None, *, seconds: float) -> Config:
    """Return the settings of a repository; the user's own where there is none.

    Nothing that a repository configures is run by this.
    """
    if folders is None:
        environment, cwd = {"GIT_DIR": os.devnull}, Path("/")
    else:
        environment, cwd = folders.environment(), folders.root
    return Config(_listed(cwd, environment, seconds=seconds))


def read_file(file: Path, *, seconds: float) -> Config:
    """Return the settings of one file, as those of a repository."""
    entries = _listed(Path("/"), {"GIT_DIR": os.devnull}, "--file", str(file), seconds=seconds)
    return Config([entry._replace(scope="worktree") for entry in entries])


def _listed(cwd: Path, environment: dict[str, str], *options: str, seconds: float) -> list[Entry]:
    listing = ("--list", "--null", "--show-scope", "--show-origin", "--includes")
    output = execute(["config", *options, *listing], cwd=cwd, env=environment, seconds=seconds)
    if output.code:
        from agentnb.core.errors import ConfigError

        raise ConfigError(
            f"git cannot read its settings: {output.err.strip()}",
            service="git",
            hint="mend that file, or restore it",
        )
    return _parsed(output.text, cwd)


def _parsed(text: str, cwd: Path) -> list[Entry]:
    fields = text.split("\0")
    found = []
    for scope, origin, pair in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        key, _, value = pair.partition("\n")
        section, _, rest = key.partition(".")
        subsection, _, name = rest.rpartition(".")
        kind, _, name_of_file = origin.partition(":")
        file = str(cwd / name_of_file) if kind == "file" else ""
        # A name without = is true, which is what git makes of no value.
        found.append(Entry(scope, section, subsection, name, value, file))
    return found


def _files(entries: Iterable[Entry]) -> frozenset[Path]:
    found = set()
    for entry in entries:
        if not entry.origin:
            continue
        origin = Path(entry.origin)
        found.add(origin)
        if entry.section in {"include", "includeif"} and entry.name == "path":
            with contextlib.suppress(RuntimeError):  # a user of that name is not known
                found.add(origin.parent / Path(entry.value).expanduser())
    return frozenset(found)


def contents(folders: Folders | None, config: Config | None) -> Contents:
    """Return the contents of the files of settings, those that a config names included."""
    files = {Path("/etc/gitconfig")}
    config_home = os.environ.get("XDG_CONFIG_HOME")
    with contextlib.suppress(RuntimeError):  # a user id of a container has no home directory
        home = Path(os.environ.get("HOME") or "~").expanduser()
        files.add(home / ".gitconfig")
        config_home = config_home or str(home / ".config")
    if config_home:
        files.add(Path(config_home, "git", "config"))
    files |= {Path(os.environ[name]) for name in _FILES if os.environ.get(name)}
    if folders is not None:
        files |= {folders.common_dir / "config", folders.git_dir / "config.worktree"}
    if config is not None:
        files |= config.files
    return {file: _content(file) for file in files}


_FILES: Final = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")


def _content(file: Path) -> bytes | None:
    try:
        # Not as a pipe, which would wait for somebody to write.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as open_file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return open_file.read()
