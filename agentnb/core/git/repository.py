"""A folder, the repository that it belongs to, and how git is run there."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentnb.core.callthreads import CallThreads
from agentnb.core.errors import FileNotFound, RepositoryNotFound, UsageError
from agentnb.core.expand import expand
from agentnb.core.git import arguments, discovery, hardening
from agentnb.core.git.commands import reads
from agentnb.core.git.config_cache import ConfigCache
from agentnb.core.git.credentials import clean
from agentnb.core.git.errors import refused
from agentnb.core.git.executor import execute
from agentnb.core.git.opened import OpenRepository
from agentnb.core.hidden import NAMES_ONLY, Hidden
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds
from agentnb.core.runtime import Runtime
from agentnb.core.trace import current
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from agentnb.core.git.credentials import Login
    from agentnb.core.git.discovery import Folders
    from agentnb.core.git.executor import Output

__all__ = ["Repository", "RepositoryOptions", "call_threads"]

# HEAD and full shas are what they are, whatever else has their name.
_AMBIGUOUS: Final = re.compile(
    r"^warning: refname '(?!HEAD'|[0-9a-f]{40}'|[0-9a-f]{64}')([^']+)' is ambiguous", re.MULTILINE
)


_CALLS = 8
"""Awaited calls that run at once."""


def call_threads() -> CallThreads:
    """Return threads for the awaited calls of managers."""
    # A caller that is cancelled finds the repository at rest.
    return CallThreads("git", limit=_CALLS, finish=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryOptions:
    """The options of a manager, which those of other folders share. See `GitManager`."""

    ceiling: Path | None = None
    timeout: float = 60.0
    protected: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    logins: tuple[Login, ...] = ()
    runtime: Runtime = field(default_factory=Runtime)
    scratch: Path | None = None
    hidden: Hidden = NAMES_ONLY
    threads: CallThreads = field(default_factory=call_threads)


@refuse_unknown("git")
class Repository:
    """A folder and the repository that it belongs to, which need not be there yet.

    Parameters
    ----------
    path
        The folder.
    options
        As of `GitManager`.
    """

    def __init__(self, path: Path, options: RepositoryOptions) -> None:
        self.options = options
        self.path = self.bound(expand(path, service="git"))
        self.config = ConfigCache(options.timeout)
        self.log = options.runtime.log("git")

    def at(self, folder: str | os.PathLike[str]) -> Repository:
        """Return another folder, with the same options."""
        return Repository(self.path / folder, self.options)

    def bound(self, path: Path) -> Path:
        """Return a folder without links, if git may run there."""
        return discovery.bound(path, self.options.ceiling, self.options.hidden)

    def new_folder(self, directory: str | os.PathLike[str]) -> Path:
        """Return a folder that files are to be put into; see `bound`.

        Without a ceiling, too, it is not in what is hidden below the repository or this folder.
        """
        target = self.bound(self.path / Path(directory))
        folders = discovery.find(self.path, self.options.ceiling)
        for around in {self.path, *([folders.root] if folders else [])}:
            self.options.hidden.refuse_real(target, around)
        return target

    def find(self) -> Folders | None:
        """Return the repository's folders, or None where there is no repository."""
        folders = discovery.find(self.path, self.options.ceiling)
        if folders is not None and os.name == "posix":
            for folder in folders.of_others():
                self._check_owner(folder)
        return folders

    def _check_owner(self, folder: Path) -> None:
        """Let git judge a repository that another user owns."""
        output = execute(
            ["rev-parse", "--git-dir"], cwd=folder, env={}, seconds=self.options.timeout
        )
        if output.code:
            raise refused(output, "status")

    def folders(self) -> Folders:
        """Return the repository's folders.

        Raises
        ------
        NotFoundError
            The folder belongs to no repository.
        """
        folders = self.find()
        if folders is not None:
            return folders
        bare = discovery.bare(self.path)
        if bare is not None:
            raise RepositoryNotFound(
                f"{bare} is a bare repository: it has no work tree",
                service="git",
                hint=f"clone it: hub.git.clone({str(bare)!r}, FOLDER) (%git clone {bare} FOLDER)",
            )
        raise RepositoryNotFound(
            f"{self.path} is in no git repository",
            service="git",
            hint=f"make one: hub.repo({str(self.path)!r}).initialize() "
            f"(%git init {shlex.quote(str(self.path))})",
        )

    def initialize(self, branch: str = "main") -> Path:
        """Initialize a repository in the folder; one that is there already stays as it is.

        Parameters
        ----------
        branch
            The first branch.

        Returns
        -------
        Path
            The top of its work tree.

        Raises
        ------
        RejectedError
            The folder cannot be made.
        """
        arguments.branch(branch)
        discovery.make(self.path)
        if not os.path.lexists(self.path / ".git"):
            words = ("init", "--quiet", f"--initial-branch={branch}", "--", str(self.path))
            self.run(*words, outside=True)
            self.say("git repository initialized", path=self.path)
        return self.folders().root

    def open(self) -> OpenRepository:
        """Return the repository as one operation receives it.

        Raises
        ------
        NotFoundError
            The folder belongs to no repository.
        """
        folders = self.folders()
        return OpenRepository(
            run=partial(self.run, at=folders),
            folders=folders,
            folder=self.path,
            protected=self.options.protected,
        )

    def run(
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
        """Run git in the repository, hardened.

        Parameters
        ----------
        *words
            The words after ``git``; they are not checked again.
        at
            The repository, if it is known already.
        outside
            Run in no repository.
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
            The action, for errors: by default the command.
        logins
            Used before the manager's.

        Raises
        ------
        AgentnbError
            Git failed; `errors` says which one.
        """
        found = None if outside else at or self.folders()
        variables = variables or {}
        index = Path(variables.get("GIT_INDEX_FILE") or (found and found.git_dir / "index") or "/")
        config = self.config.for_command(found, words, index)
        known = tuple({login.url: login for login in (*self.options.logins, *logins)}.values())
        filters = self.options.filters
        env = hardening.environment(config, filters=filters, logins=known, writes=not reads(words))
        env |= {} if found is None else found.environment()
        limit = self.seconds(timeout)
        cwd = Path("/") if outside else self.path
        if not cwd.is_dir():
            raise FileNotFound(
                f"the folder {cwd} does not exist",
                service="git",
                hint="make the folder, or name another: hub.repo(PATH)",
            )
        with self.span(words[0]) as span:
            if found is not None and span is not None:
                span.note(repository=str(found.root))
            output = execute(
                hardening.hardened(words),
                cwd=cwd,
                env=env | dict(variables),
                seconds=limit,
                feed=feed,
                progress=progress,
            )
            if output.code not in fine:
                blocked = hardening.blocked_filters(config, filters)
                raise refused(output, doing or words[0], blocked=blocked)
        if reads(words):
            _refuse_ambiguous(output)
        return output

    def span(self, name: str) -> AbstractContextManager[Span | None]:
        """Return the span of a call; within another call of git that one's, which goes on."""
        around = current()
        if isinstance(around, Span) and around.service == "git":
            return nullcontext(around)
        return self.options.runtime.tracer.span(name, service="git", path=str(self.path))

    def seconds(self, timeout: float | None) -> float:
        """Return the seconds that a call may take."""
        return (
            self.options.timeout if timeout is None else seconds("timeout", timeout, service="git")
        )

    def say(self, text: str, **data: object) -> None:
        """Write a line to the log, without logins."""
        masked = {key: clean(str(value)) for key, value in data.items()}
        self.log.info(text, extra={"data": masked})

    def ping(self) -> str:
        """Return git's version, asked for now."""
        return self.run("version", outside=True).text.strip().removeprefix("git version ")


def _refuse_ambiguous(output: Output) -> None:
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
