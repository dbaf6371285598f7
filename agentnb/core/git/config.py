"""What git is configured to do here, each value with who says so: the user, or the repository."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from agentnb.core.git.executor import execute

if TYPE_CHECKING:
    from agentnb.core.git.place import Place

__all__ = ["Config", "Entry", "Signature", "read", "signature"]

Signature = tuple[tuple[int, int, int, int] | None, ...]

_OF_REPOSITORY: Final = frozenset({"local", "worktree", "submodule", "unknown"})


class Entry(NamedTuple):
    """One value: its key in three parts, of which the middle one may be empty."""

    scope: str
    section: str
    subsection: str
    name: str
    value: str

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
        """The repository's own, which are not trusted: whoever copied it here wrote them."""
        return [entry for entry in self.entries if entry.scope in _OF_REPOSITORY]

    @cached_property
    def user(self) -> list[Entry]:
        """The user's and the machine's own."""
        return [entry for entry in self.entries if entry.scope not in _OF_REPOSITORY]

    @property
    def includes(self) -> bool:
        """Whether the repository's values are in further files."""
        return any(entry.section in {"include", "includeif"} for entry in self.repository)

    def value_of_user(self, key: str) -> str | None:
        """Return the user's value of a key, or None."""
        found = [entry.value for entry in self.user if entry.key == key]
        return found[-1] if found else None

    def has(self, section: str, subsection: str, name: str) -> bool:
        """Return whether the repository has a value of a key."""
        wanted = (section, subsection, name)
        return any(entry[1:4] == wanted for entry in self.repository)


def read(place: Place | None, *, seconds: float) -> Config:
    """Ask git for its settings; of no repository, where there is none.

    Nothing that a repository configures is run by this.
    """
    if place is None:
        environment, cwd = {"GIT_DIR": os.devnull}, Path("/")
    else:
        environment, cwd = place.environment(), place.root
    output = execute(
        ["config", "--list", "--null", "--show-scope", "--includes"],
        cwd=cwd,
        env=environment,
        seconds=seconds,
    )
    if output.code:
        from agentnb.core.errors import ConfigError

        raise ConfigError(
            f"git cannot read its settings: {output.err.strip()}",
            service="git",
            hint="mend that file, or restore it",
        )
    return Config(_parsed(output.text))


def _parsed(text: str) -> list[Entry]:
    fields = text.split("\0")
    found = []
    for scope, pair in zip(fields[::2], fields[1::2], strict=False):
        key, _, value = pair.partition("\n")
        section, _, rest = key.partition(".")
        subsection, _, name = rest.rpartition(".")
        # A name without = is true, which is what git makes of no value.
        found.append(Entry(scope, section, subsection, name, value))
    return found


def signature(place: Place | None) -> Signature:
    """Return what changes whenever a file of settings does."""
    home = Path(os.environ.get("HOME") or "~").expanduser()
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [home / ".gitconfig", config_home / "git" / "config", Path("/etc/gitconfig")]
    files += [Path(os.environ[name]) for name in _FILES if os.environ.get(name)]
    if place is not None:
        files += [place.common_dir / "config", place.git_dir / "config.worktree"]
    return tuple(_stamp(file) for file in files)


_FILES: Final = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")


def _stamp(file: Path) -> tuple[int, int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    # The last of them cannot be set back by whoever has changed the file.
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
