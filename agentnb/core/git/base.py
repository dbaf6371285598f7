"""What every part of the manager stands on: a folder, its repository, and running git there."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import AgentnbError, ConfigError, NotFoundError, UsageError
from agentnb.core.git import config as configuration
from agentnb.core.git import discovery, hardening, trees
from agentnb.core.git.credentials import clean, split_url
from agentnb.core.git.errors import refused
from agentnb.core.git.executor import execute
from agentnb.core.hidden import NAMES_ONLY, Hidden
from agentnb.core.ranges import seconds
from agentnb.core.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentnb.core.git.config import Config, Contents
    from agentnb.core.git.credentials import Login
    from agentnb.core.git.discovery import Folders
    from agentnb.core.git.executor import Output

__all__ = ["Base"]


# HEAD and full shas are what they are, whatever else has their name.
_AMBIGUOUS = re.compile(
    r"^warning: refname '(?!HEAD'|[0-9a-f]{40}'|[0-9a-f]{64}')([^']+)' is ambiguous", re.MULTILINE
)
READS: Final = frozenset(
    {"status", "diff", "log", "show", "for-each-ref", "rev-parse", "symbolic-ref", "cat-file"}
    | {"ls-files", "ls-tree", "diff-tree", "remote", "version", "config", "merge-file"}
)
# Those that change files in no more than one step: any other may check something out, and then
# start git again, which reads its settings as they have become by then.
_CHANGE_NO_TREE: Final = frozenset(
    {"add", "branch", "clone", "commit", "commit-tree", "fetch", "init", "push", "read-tree"}
    | {
        "hash-object",
        "reset",
        "restore",
        "rm",
        "switch",
        "tag",
        "update-index",
        "update-ref",
        "write-tree",
    }
)
_READ_VERBS: Final = frozenset({("stash", "list"), ("stash", "show"), ("worktree", "list")})
_READS_OF_SETTINGS: Final = 3


def _reads(words: Sequence[str]) -> bool:
    return words[0] in READS or tuple(words[:2]) in _READ_VERBS


class Base:
    """A folder and the repository that it belongs to. See `GitManager`."""

    def __init__(
        self,
        working_directory: str | os.PathLike[str] = ".",
        *,
        ceiling: str | os.PathLike[str] | None = None,
        timeout: float = 60.0,
        protected: Sequence[str] = (),
        filters: Sequence[str] = ("lfs", "nbstripout"),
        logins: Sequence[Login] = (),
        runtime: Runtime | None = None,
        scratch: Path | None = None,
        hidden: Hidden = NAMES_ONLY,
    ) -> None:
        self.ceiling = None if ceiling is None else Path(ceiling).resolve()
        self._hidden = hidden
        self.path = self._bound(Path(working_directory).expanduser())
        self.timeout = seconds("timeout", timeout, service="git")
        self.protected = tuple(protected)
        self.filters = tuple(filters)
        self._logins = tuple(logins)
        self._runtime = runtime or Runtime()
        self._scratch = scratch
        self._log = self._runtime.log("git")
        self._lock = threading.Lock()
        self._known: dict[Folders | Path | None, tuple[Contents, Config]] = {}

    def _bound(self, path: Path) -> Path:
        """Return a folder without links, if this manager may go there."""
        return discovery.bound(path, self.ceiling, self._hidden)

    def _new_folder(self, directory: str | os.PathLike[str]) -> Path:
        """Return a folder that files are to be put into; see `_bound`.

        Without a ceiling, too, it is not in what is hidden below the repository or this folder.
        """
        target = self._bound(self.path / Path(directory))
        found = discovery.find(self.path, self.ceiling)
        for around in {self.path, *([found.root] if found else [])}:
            self._hidden.refuse_real(target, around)
        return target

    def at(self, folder: str | os.PathLike[str]) -> Any:
        """Return a manager of another folder, with the same time, limits and logins."""
        return type(self)(
            self.path / folder,
            ceiling=self.ceiling,
            timeout=self.timeout,
            protected=self.protected,
            filters=self.filters,
            logins=self._logins,
            runtime=self._runtime,
            scratch=self._scratch,
            hidden=self._hidden,
        )

    # Where

    def _find(self) -> Folders | None:
        found = discovery.find(self.path, self.ceiling)
        if found is not None and os.name == "posix":
            for folder in found.of_others():
                self._ask_git_about_the_owner(folder)
        return found

    def _place(self) -> Folders:
        """Return the repository.

        Raises
        ------
        NotFoundError
            The folder belongs to none.
        """
        found = self._find()
        if found is not None:
            return found
        bare = discovery.bare(self.path)
        if bare is not None:
            raise NotFoundError(
                f"{bare} is a bare repository: it has no work tree",
                service="git",
                hint=f"clone it: %git clone {bare} FOLDER, hub.git.clone({str(bare)!r}, FOLDER)",
            )
        raise NotFoundError(
            f"{self.path} is in no git repository",
            service="git",
            hint="make one: %git init, or hub.git.initialize()",
        )

    def _ask_git_about_the_owner(self, folder: Path) -> None:
        """Let git decide on a repository of another user's, as it does without our help."""
        output = execute(
            ["rev-parse", "--git-dir"],
            cwd=folder,
            env={},
            seconds=self.timeout,
        )
        if output.code:
            raise refused(output, "status")

    @property
    def root(self) -> Path:
        """Return the top of the repository's work tree.

        Raises
        ------
        NotFoundError
            The folder belongs to no repository.
        """
        return self._place().root

    def repository(self) -> Path | None:
        """Return the top of the work tree, or None where there is no repository."""
        found = self._find()
        return None if found is None else found.root

    @property
    def is_repository(self) -> bool:
        """Whether the folder belongs to a repository that can be used."""
        try:
            return self._find() is not None
        except AgentnbError:
            return False

    # Paths: git's are relative to the root, ours to the folder that the manager is bound to

    def _prefix(self, found: Folders) -> str:
        relative = os.path.relpath(self.path, found.root)
        return "" if relative == "." else relative

    def _shown(self, found: Folders) -> Callable[[str], str]:
        prefix = self._prefix(found)
        if not prefix:
            return lambda path: path
        return lambda path: os.path.relpath(path, prefix) + ("/" if path.endswith("/") else "")

    # Running

    def _config(self, found: Folders | None) -> Config:
        """Return what is configured, asked for again when a file of it has changed."""
        return self._kept(found, lambda: configuration.read(found, seconds=self.timeout))

    def _kept(self, key: Folders | Path | None, read: Callable[[], Config]) -> Config:
        """Return settings, read again if one of their files has changed."""
        found = key if not isinstance(key, Path) else None
        with self._lock:
            contents, config = self._known.get(key, (None, None))
        for _ in range(_READS_OF_SETTINGS):
            before = configuration.contents(found, config)
            if config is not None and before == contents:
                return config
            config, contents = read(), before
            # What is read here may have changed meanwhile, or have named further files.
            if config.lasting and configuration.contents(found, config) == before:
                with self._lock:
                    self._known = {**self._known, key: (before, config)}
                return config
            contents = None
        assert config is not None  # noqa: S101 - it was read
        return config

    def _config_for(self, found: Folders | None, words: Sequence[str], index: Path) -> Config:
        """Return what is configured in every tree that a command may run git in.

        Raises
        ------
        ConfigError
            The settings could become others while the command runs.
        """
        config = self._config(found)
        if found is None:
            return config
        if not _reads(words):
            wide = words[0] not in _CHANGE_NO_TREE
            inner = trees.submodules(found, index, self._listed, every=wide)
            entries = [
                entry._replace(scope=configuration.ELSEWHERE)
                for other in [
                    *(self._file_config(f) for f in trees.work_tree_settings(found, config)),
                    *(self._config(each) for each in inner),
                ]
                for entry in other.repository
            ]
            config = configuration.Config([*config.entries, *entries]) if entries else config
            if wide and words[0] != "worktree":
                hardening.refuse_settings_in_work_tree(config, found.root)
        hardening.refuse_conditional_settings(config)
        return config

    def _file_config(self, file: Path) -> Config:
        return self._kept(file, lambda: configuration.read_file(file, seconds=self.timeout))

    def _listed(self, found: Folders, index: Path, *options: str) -> bytes:
        # Before its settings have been looked at: it runs nothing by them, and fetches nothing
        # that a partial clone lacks.
        env = {
            **found.environment(),
            "GIT_INDEX_FILE": str(index),
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_LAZY_FETCH": "1",
        }
        words = ("-c", "core.fsmonitor=false", "ls-files", "-z", *options)
        return execute(words, cwd=found.root, env=env, seconds=self.timeout).out

    def _run(
        self,
        *words: str,
        at: Folders | None = None,
        outside: bool = False,
        timeout: float | None = None,
        feed: bytes | None = None,
        variables: Mapping[str, str] | None = None,
        progress: Callable[[str], object] | None = None,
        fine: Sequence[int] = (0,),
        doing: str = "",
        logins: Sequence[Login] = (),
    ) -> Output:
        """Run git in the repository, guarded.

        Parameters
        ----------
        *words
            What stands after ``git``; nothing in it is looked at again.
        at
            The repository, if it is known already.
        outside
            Run in none.
        timeout
            Seconds, in place of the manager's.
        feed
            Standard input.
        variables
            Added to the environment.
        progress
            Called with each line of git's progress.
        fine
            The exit codes that are no error.
        doing
            What an error calls it: by default the command.
        logins
            In front of the manager's.

        Raises
        ------
        AgentnbError
            Git failed; `errors` says which one.
        """
        found = None if outside else at or self._place()
        variables = variables or {}
        index = Path(variables.get("GIT_INDEX_FILE") or (found and found.git_dir / "index") or "/")
        config = self._config_for(found, words, index)
        writes = not _reads(words)
        known = tuple({login.url: login for login in (*self._logins, *logins)}.values())
        env = hardening.environment(config, filters=self.filters, logins=known, writes=writes)
        if found is not None:
            env |= found.environment()
        env |= variables
        seconds = self._seconds(timeout)
        cwd = Path("/") if outside else self.path
        if not cwd.is_dir():
            raise NotFoundError(f"the folder {cwd} does not exist", service="git")
        with self._runtime.tracer.span(
            words[0], service="git", repository=str(found and found.root)
        ):
            output = execute(
                hardening.hardened(words),
                cwd=cwd,
                env=env,
                seconds=seconds,
                feed=feed,
                progress=progress,
            )
            if output.code not in fine:
                blocked = hardening.blocked_filters(config, self.filters)
                raise refused(output, doing or words[0], blocked=blocked)
        if not writes:
            _unambiguous(output)
        return output

    def _seconds(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else seconds("timeout", timeout, service="git")

    def ping(self) -> str:
        """Return git's version, as asked for now."""
        return self._run("version", outside=True).text.strip().removeprefix("git version ")

    def close(self) -> None:
        """Do nothing: no process is kept. For symmetry with what keeps one."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def _remote_urls(self, found: Folders, remote: str, *, push: bool = False) -> list[str]:
        """Return where a remote is, for this process's eyes."""
        words = ["remote", "get-url", "--all", *(["--push"] if push else []), "--", remote]
        urls = self._run(*words, at=found).text.splitlines()
        for url in urls:
            split_url(url)  # refuses what may not be used
        return urls

    def _say(self, text: str, **data: object) -> None:
        shown = {key: clean(str(value)) for key, value in data.items()}
        self._log.info(text, extra={"data": shown})


def _unambiguous(output: Output) -> None:
    """Refuse a name that is a branch's and a tag's, of which git takes the tag with a warning.

    Raises
    ------
    UsageError
        There is one.
    """
    found = _AMBIGUOUS.search(output.err)
    if found is not None:
        name = found[1]
        raise UsageError(
            f"{name!r} is the name of several revisions, such as a branch and a tag",
            service="git",
            hint=f"the branch is refs/heads/{name}, the tag refs/tags/{name}",
        )


def not_protected(branch: str, patterns: Sequence[str], doing: str) -> None:
    """Refuse to change a protected branch.

    Raises
    ------
    ConfigError
        It is one.
    """
    from fnmatch import fnmatchcase

    for pattern in patterns:
        if fnmatchcase(branch, pattern):
            raise ConfigError(
                f"the branch {branch} is protected: no {doing}",
                service="git",
                hint=f"work on another branch: %git switch -c NAME "
                f"(AGENTNB_GIT_PROTECTED has {pattern})",
            )
