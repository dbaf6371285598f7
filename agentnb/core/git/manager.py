"""Git on one folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, overload

from agentnb.core.errors import AgentnbError
from agentnb.core.git.branches import Branches
from agentnb.core.git.cloning import Cloner
from agentnb.core.git.commits import Commits
from agentnb.core.git.history import History
from agentnb.core.git.inspection import Inspector
from agentnb.core.git.merging import Merges
from agentnb.core.git.remotes import Remotes
from agentnb.core.git.repository import Repository, RepositoryOptions, call_threads
from agentnb.core.git.restoring import Restorer
from agentnb.core.git.solving import Solver
from agentnb.core.git.staging import Staging
from agentnb.core.git.stashes import Stashes
from agentnb.core.git.tags import Tags
from agentnb.core.git.worktrees import Worktrees
from agentnb.core.hidden import NAMES_ONLY, Hidden
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds
from agentnb.core.runtime import Runtime
from agentnb.core.tape.forms import VALUE
from agentnb.core.tape.methods import on_tapes
from agentnb.core.trace.methods import call
from agentnb.core.twins import await_method, twin

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.git.credentials import Login
    from agentnb.core.git.nested import Committed
    from agentnb.core.git.staging import Files
    from agentnb.core.table import Table

__all__ = ["GitManager"]


_TAPED = (
    *("initialize", "current_branch", "get_current_branch", "get_diff", "add_files"),
    *("unstage_files", "restore", "amend", "commit", "branches", "names", "create_branch"),
    *("delete_branch", "switch", "merge", "merge_continue", "merge_abort", "abort", "resolve"),
    *("tags", "create_tag", "delete_tag", "stash", "stashes", "stash_pop", "stash_apply"),
    *("stash_drop", "remotes", "add_remote", "remove_remote", "fetch", "pull", "push"),
    *("status", "get_status", "log", "diff", "show"),
)


@on_tapes("git", "_redactor", dict.fromkeys(_TAPED, lambda _: VALUE))
@refuse_unknown("git")
class GitManager:
    """Git on the repository that a folder belongs to.

    Uses the installed git at native speed, with these differences:

    - Never prompts, and always honours its timeout, for every process that a call starts.
    - Never runs code that a repository's settings name (hooks, filters, fsmonitor, signatures,
      diff drivers, remote helpers), except git-lfs and nbstripout. The user's settings work.
    - A word that looks like an option is an error, and a path is taken literally.
    - Logins are never shown and never written to a file.

    Paths, given and returned, are relative to `path`. Thread-safe; no process is left behind.
    `astatus` awaits `status`, and so on. Cancelling an awaited call ends a transfer from or to a
    remote; any other command ends first, so that the repository is not left half changed.

    Parameters
    ----------
    working_directory
        The folder, which need not be a repository yet.
    ceiling
        The highest folder in which a repository is searched, and which nothing may leave; by
        default there is none.
    timeout
        Seconds that a command may take.
    protected
        Branches (``"main"``, ``"release/*"``) that take no commit, merge, amendment, push,
        rebase or deletion.
    filters
        Names of the filters that a repository may ask for.
    logins
        For https remotes; see `agentnb.core.git.credentials.logins`.
    runtime
        Tracer, redactor and logs; by default new ones.
    scratch
        A folder that staging never includes: if it lies in the repository, a line in
        ``.git/info/exclude`` leaves it out.
    hidden
        The folders below the ceiling that nothing may be in, such as the home.
    threads
        The threads in which awaited calls run, to share them among managers; by default 8.

    Attributes
    ----------
    path
        The folder, absolute and without links.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     git = GitManager(folder)
    ...     _ = git.initialize()
    ...     _ = (git.path / "app.py").write_text("answer = 42")
    ...     git.add_files()
    ...     git.status()
    on main, no commits yet
    state   change  path
    staged  new     app.py
    """

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
        threads: CallThreads | None = None,
    ) -> None:
        options = RepositoryOptions(
            ceiling=None if ceiling is None else Path(ceiling).resolve(),
            timeout=seconds("timeout", timeout, service="git"),
            protected=tuple(protected),
            filters=tuple(filters),
            logins=tuple(logins),
            runtime=runtime or Runtime(),
            scratch=scratch,
            hidden=hidden,
            threads=threads or call_threads(),
        )
        self._compose(Repository(Path(working_directory), options))

    @classmethod
    def _of(cls, repository: Repository) -> Self:
        manager = cls.__new__(cls)
        manager._compose(repository)  # noqa: SLF001 - a constructor of this class
        return manager

    def _compose(self, repository: Repository) -> None:
        self._repository = repository
        self._redactor = repository.options.runtime.redactor
        self._inspector = Inspector(repository)
        self._history = History(repository)
        self._staging = Staging(repository)
        self._commits = Commits(repository, self._staging)
        self._branches = Branches(repository)
        self._merges = Merges(repository, self._commits)
        self._solver = Solver(repository)
        self._restorer = Restorer(repository)
        self._stashes = Stashes(repository)
        self._tags = Tags(repository)
        self._remotes = Remotes(repository)
        self._cloner = Cloner(repository)
        self._worktrees = Worktrees(repository)

    def _call_span(
        self, method: Callable[..., object], _args: object, _options: object
    ) -> AbstractContextManager[object]:
        return self._repository.span(method.__name__)

    def _call_ended(self, _span: object, _result: object) -> None:
        """Add nothing: a result of git says enough."""

    # The folder and its repository

    @property
    def _call_threads(self) -> CallThreads:
        return self._repository.options.threads

    @property
    def path(self) -> Path:
        """The folder, absolute and without links."""
        return self._repository.path

    @property
    def root(self) -> Path:
        """The top of the repository's work tree.

        Raises
        ------
        NotFoundError
            The folder belongs to no repository.
        """
        return self._repository.folders().root

    @property
    def is_repository(self) -> bool:
        """Whether the folder belongs to a repository that can be used."""
        try:
            return self._repository.find() is not None
        except AgentnbError:
            return False

    async def aroot(self) -> Path:
        """Await `root`."""
        return await self._call_threads.call(lambda: self.root)

    async def ais_repository(self) -> bool:
        """Await `is_repository`."""
        return await self._call_threads.call(lambda: self.is_repository)

    @property
    def timeout(self) -> float:
        """Seconds that a command may take."""
        return self._repository.options.timeout

    @property
    def protected(self) -> tuple[str, ...]:
        """Patterns of the protected branches."""
        return self._repository.options.protected

    @property
    def filters(self) -> tuple[str, ...]:
        """Names of the filters that a repository may use."""
        return self._repository.options.filters

    @property
    def ceiling(self) -> Path | None:
        """The highest folder in which a repository is searched; None without a limit."""
        return self._repository.options.ceiling

    def repository(self) -> Path | None:
        """Return the top of the work tree, or None where there is no repository."""
        folders = self._repository.find()
        return None if folders is None else folders.root

    arepository = twin(repository)

    def at(self, folder: str | os.PathLike[str]) -> Self:
        """Return a manager of another folder, with the same limits and logins."""
        return self._of(self._repository.at(folder))

    initialize = call("_repository", Repository.initialize)
    ainitialize = twin(initialize)

    # Reading

    status = get_status = call("_inspector", Inspector.status)
    current_branch = get_current_branch = call("_inspector", Inspector.current_branch)
    interpret = call("_inspector", Inspector.interpret)
    diff = call("_inspector", Inspector.diff)
    get_diff = call("_inspector", Inspector.get_diff)
    diff_of_unknown = call("_inspector", Inspector.diff_of_unknown)
    show = call("_inspector", Inspector.show)
    show_file = call("_inspector", Inspector.show_file)
    log = call("_history", History.log)
    astatus = aget_status = twin(status)
    acurrent_branch = aget_current_branch = twin(current_branch)
    ainterpret = twin(interpret)
    adiff = twin(diff)
    aget_diff = twin(get_diff)
    adiff_of_unknown = twin(diff_of_unknown)
    ashow = twin(show)
    ashow_file = twin(show_file)
    alog = twin(log)

    # Changes and commits

    add_files = call("_staging", Staging.add_files)
    unstage_files = call("_staging", Staging.unstage_files)
    restore = call("_restorer", Restorer.restore)
    amend = call("_commits", Commits.amend)
    aadd_files = twin(add_files)
    aunstage_files = twin(unstage_files)
    arestore = twin(restore)
    aamend = twin(amend)

    @overload
    def commit(
        self,
        message: str,
        *,
        paths: Files | None = None,
        author: str | None = None,
        allow_empty: bool = False,
        dry_run: Literal[False] = False,
    ) -> Committed: ...
    @overload
    def commit(
        self,
        message: str,
        *,
        paths: Files | None = None,
        author: str | None = None,
        allow_empty: bool = False,
        dry_run: Literal[True],
    ) -> Table: ...
    def commit(
        self,
        message: str,
        *,
        paths: Files | None = None,
        author: str | None = None,
        allow_empty: bool = False,
        dry_run: bool = False,
    ) -> Committed | Table:
        """Commit what is staged, or exactly these paths.

        Never runs hooks and never signs: both are programs that the repository chooses.

        Parameters
        ----------
        message
            The message.
        paths
            Commit these paths as they are now, new ones too, and nothing else. Other staged
            changes stay staged.
        author
            ``"Name <email>"``; by default the configured user.
        allow_empty
            Commit even if nothing has changed.
        dry_run
            Change nothing and return what would be committed.

        Returns
        -------
        str or Table
            The sha; its ``left_out`` names the repositories in the paths that were left out. With
            ``dry_run`` the changes.

        Raises
        ------
        RejectedError
            There is nothing to commit, markers of a conflict are staged or left in the paths, or
            a path is or belongs to another repository.
        ConfigError
            The branch is protected, or git does not know who you are.
        """
        with self._repository.span("commit"):
            if dry_run:
                return self._commits.preview(message, paths)
            return self._commits.commit(
                message, paths=paths, author=author, allow_empty=allow_empty
            )

    @overload
    async def acommit(
        self,
        message: str,
        *,
        paths: Files | None = None,
        author: str | None = None,
        allow_empty: bool = False,
        dry_run: Literal[False] = False,
    ) -> Committed: ...
    @overload
    async def acommit(
        self,
        message: str,
        *,
        paths: Files | None = None,
        author: str | None = None,
        allow_empty: bool = False,
        dry_run: Literal[True],
    ) -> Table: ...
    async def acommit(
        self,
        message: str,
        *,
        paths: Files | None = None,
        author: str | None = None,
        allow_empty: bool = False,
        dry_run: bool = False,
    ) -> Committed | Table:
        """Await `commit`."""
        commit: Callable[..., Committed | Table] = self.commit
        return await await_method(
            self,
            commit,
            message,
            paths=paths,
            author=author,
            allow_empty=allow_empty,
            dry_run=dry_run,
        )

    # Branches, merges and tags

    branches = call("_branches", Branches.branches)
    names = call("_branches", Branches.names)
    create_branch = call("_branches", Branches.create_branch)
    delete_branch = call("_branches", Branches.delete_branch)
    switch = call("_branches", Branches.switch)
    merge = call("_merges", Merges.merge)
    merge_continue = call("_merges", Merges.merge_continue)
    merge_abort = call("_merges", Merges.merge_abort)
    abort = call("_merges", Merges.abort)
    conflicts = call("_solver", Solver.conflicts)
    resolve = call("_solver", Solver.resolve)
    tags = call("_tags", Tags.tags)
    create_tag = call("_tags", Tags.create_tag)
    delete_tag = call("_tags", Tags.delete_tag)
    abranches = twin(branches)
    anames = twin(names)
    acreate_branch = twin(create_branch)
    adelete_branch = twin(delete_branch)
    aswitch = twin(switch)
    amerge = twin(merge)
    amerge_continue = twin(merge_continue)
    amerge_abort = twin(merge_abort)
    aabort = twin(abort)
    aconflicts = twin(conflicts)
    aresolve = twin(resolve)
    atags = twin(tags)
    acreate_tag = twin(create_tag)
    adelete_tag = twin(delete_tag)

    # Stashes

    stash = call("_stashes", Stashes.stash)
    stashes = call("_stashes", Stashes.stashes)
    stash_pop = call("_stashes", Stashes.stash_pop)
    stash_apply = call("_stashes", Stashes.stash_apply)
    stash_drop = call("_stashes", Stashes.stash_drop)
    stash_show = call("_stashes", Stashes.stash_show)
    astash = twin(stash)
    astashes = twin(stashes)
    astash_pop = twin(stash_pop)
    astash_apply = twin(stash_apply)
    astash_drop = twin(stash_drop)
    astash_show = twin(stash_show)

    # Remotes and submodules

    remotes = call("_remotes", Remotes.remotes)
    add_remote = call("_remotes", Remotes.add_remote)
    remove_remote = call("_remotes", Remotes.remove_remote)
    fetch = call("_remotes", Remotes.fetch)
    pull = call("_remotes", Remotes.pull)
    push = call("_remotes", Remotes.push)
    submodules = call("_cloner", Cloner.submodules)
    fetch_submodules = call("_cloner", Cloner.fetch_submodules)
    aremotes = twin(remotes)
    aadd_remote = twin(add_remote)
    aremove_remote = twin(remove_remote)
    afetch = twin(fetch, callbacks=("progress",))
    apull = twin(pull, callbacks=("progress",))
    apush = twin(push, callbacks=("progress",))
    asubmodules = twin(submodules)
    afetch_submodules = twin(fetch_submodules, callbacks=("progress",))

    def clone(
        self,
        url: str,
        directory: str | os.PathLike[str] | None = None,
        *,
        branch: str | None = None,
        depth: int | None = None,
        recurse_submodules: bool = False,
        timeout: float | None = None,
        progress: Callable[[str], object] | None = None,
    ) -> Self:
        """Clone a repository.

        A clone that fails, or is not over in time, leaves nothing behind. A login in the URL is
        used for this one call and stored nowhere.

        Parameters
        ----------
        url
            ``https://``, ``http://``, ``ssh://``, ``file://``, ``user@host:path``, or a folder.
        directory
            The folder of the clone: by default one of the repository's name below `path`. It must
            not exist, or be empty.
        branch
            The branch to check out.
        depth
            Commits at most.
        recurse_submodules
            Fetch its submodules too, at every level. By default their folders are empty, the
            log says so, and `fetch_submodules` fetches them later.
        timeout
            Seconds, in place of the manager's.
        progress
            Called with each line of git's progress.

        Returns
        -------
        GitManager
            Of the clone.

        Raises
        ------
        UnavailableError
            The server cannot be reached, or was not done in time.
        ConfigError
            It refuses the login.
        NotFoundError
            It has no such repository.
        RejectedError
            The folder is not empty.
        """
        with self._repository.span("clone"):
            clone = self._cloner.clone(
                url,
                directory,
                branch=branch,
                depth=depth,
                recurse_submodules=recurse_submodules,
                timeout=timeout,
                progress=progress,
            )
        return self._of(clone)

    aclone = twin(clone, callbacks=("progress",))

    # Work trees

    worktrees = call("_worktrees", Worktrees.worktrees)
    remove_worktree = call("_worktrees", Worktrees.remove_worktree)

    def worktree(
        self, directory: str | os.PathLike[str], branch: str, start: str | None = None
    ) -> Self:
        """Check out a branch into a folder of its own.

        Parameters
        ----------
        directory
            The new folder.
        branch
            The branch; one that does not exist is created.
        start
            The revision that a new branch begins at.

        Returns
        -------
        GitManager
            Of the new folder.

        Raises
        ------
        RejectedError
            The folder exists, or the branch is checked out elsewhere.
        PathEscape
            The folder lies in the home, in ``.git`` or in another hidden folder.
        """
        with self._repository.span("worktree"):
            return self._of(self._worktrees.worktree(directory, branch, start))

    aworktrees = twin(worktrees)
    aremove_worktree = twin(remove_worktree)
    aworktree = twin(worktree)

    ping = call("_repository", Repository.ping)
    aping = twin(ping)

    def close(self) -> None:
        """Do nothing: no process is kept. For symmetry with services that keep one."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"
