"""The settings that a command of git reads, kept until one of their files changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentnb.core.forking import new_lock
from agentnb.core.git import config as configuration
from agentnb.core.git import hardening, trees
from agentnb.core.git.commands import changes_work_tree, reads
from agentnb.core.git.executor import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.git.config import Config, Contents
    from agentnb.core.git.discovery import Folders

__all__ = ["ConfigCache"]

_READS_OF_SETTINGS: Final = 3


class ConfigCache:
    """Reads the settings of repositories. Thread-safe.

    Parameters
    ----------
    timeout
        Seconds that reading may take.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = new_lock()
        self._known: dict[Folders | Path | None, tuple[Contents, Config]] = {}

    def of(self, folders: Folders | None) -> Config:
        """Return the settings of a repository; the user's own for None."""
        return self._kept(folders, lambda: configuration.read(folders, seconds=self._timeout))

    def for_command(self, folders: Folders | None, words: Sequence[str], index: Path) -> Config:
        """Return the settings of every tree in which a command may run git.

        Parameters
        ----------
        folders
            The repository; None for none.
        words
            The command.
        index
            The file of the index that the command uses.

        Raises
        ------
        ConfigError
            The settings could change while the command runs.
        """
        config = self.of(folders)
        if folders is None:
            return config
        if not reads(words):
            wide = changes_work_tree(words)
            inner = trees.submodules(folders, index, self._listed, every=wide)
            entries = [
                entry._replace(scope=configuration.ELSEWHERE)
                for other in [
                    *(self._of_file(f) for f in trees.work_tree_settings(folders, config)),
                    *(self.of(each) for each in inner),
                ]
                for entry in other.repository
            ]
            config = configuration.Config([*config.entries, *entries]) if entries else config
            if wide and words[0] != "worktree":
                hardening.refuse_settings_in_work_tree(config, folders.root)
        hardening.refuse_conditional_settings(config)
        return config

    def _of_file(self, file: Path) -> Config:
        return self._kept(file, lambda: configuration.read_file(file, seconds=self._timeout))

    def _kept(self, key: Folders | Path | None, read: Callable[[], Config]) -> Config:
        """Return settings, read again if one of their files has changed."""
        folders = key if not isinstance(key, Path) else None
        with self._lock:
            contents, config = self._known.get(key, (None, None))
        for _ in range(_READS_OF_SETTINGS):
            before = configuration.contents(folders, config)
            if config is not None and before == contents:
                return config
            config, contents = read(), before
            # What is read here may have changed meanwhile, or have named further files.
            if config.lasting and configuration.contents(folders, config) == before:
                with self._lock:
                    self._known = {**self._known, key: (before, config)}
                return config
            contents = None
        assert config is not None  # noqa: S101 - it was read
        return config

    def _listed(self, folders: Folders, index: Path, *options: str) -> bytes:
        # Before its settings have been looked at: it runs nothing by them, and fetches nothing
        # that a partial clone lacks.
        env = {
            **folders.environment(),
            "GIT_INDEX_FILE": str(index),
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_LAZY_FETCH": "1",
        }
        words = ("-c", "core.fsmonitor=false", "ls-files", "-z", *options)
        return execute(words, cwd=folders.root, env=env, seconds=self._timeout).out
