"""The manager: git on one folder."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from agentnb.core.git import arguments, merging, restoring, solving, tagging, versions
from agentnb.core.git.cloning import Cloning

if TYPE_CHECKING:
    from agentnb.core.git.conflicts import Conflicts
    from agentnb.core.git.merging import Merge
    from agentnb.core.git.solving import Side
    from agentnb.core.git.versions import FileVersion
    from agentnb.core.table import Table

__all__ = ["GitManager"]


class GitManager(Cloning):
    """Git, on the repository that a folder belongs to.

    It runs the git of this machine, so that it is as quick, and does what git does, but for this:

    - Nobody is asked for anything, and every call is over in its time, with all that it started.
    - What a repository's own settings would run (hooks, filters, monitors, signatures, differs,
      remote helpers) does not run; git-lfs and nbstripout may. What the user has set up works.
    - A word that looks like an option is an error, and a path is taken literally.
    - Logins never show, and are never written anywhere.

    Paths, those given and those returned, are relative to `path`. Thread-safe; no process stays
    behind.

    Parameters
    ----------
    working_directory
        The folder; it need not be a repository yet.
    ceiling
        The highest folder in which a repository is looked for, and that nothing may lie outside
        of. None: none.
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
        Tracer, redactor and logs; default: new ones.
    scratch
        A folder for work that no repository is to take along: where it lies in one, staging
        everything leaves it out, by a line in ``.git/info/exclude``.
    hidden
        Where below the ceiling nothing may lie, such as in the home.

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

    # Merges

    def merge(
        self, revision: str, *, message: str | None = None, fast_forward: bool = True
    ) -> Merge:
        """Merge a branch, or another revision, into the current branch.

        Files that conflict are no error: the result lists them and is false. `conflicts` shows
        both sides, `resolve` solves a file, `merge_continue` commits and `merge_abort` goes back.
        Settings of the repository (``merge.ff``, ``branch.NAME.mergeOptions``, rerere, merge
        drivers) do not change the result.

        Parameters
        ----------
        revision
            The branch, tag or commit.
        message
            The message of the merge's commit; by default it names the branches.
        fast_forward
            Move the branch without a commit of its own where it has nothing that the other
            lacks. If false, there is always a commit.

        Returns
        -------
        Merge
            Its ``state`` is ``"up to date"``, ``"fast-forward"``, ``"merged"`` or
            ``"conflicts"``.

        Raises
        ------
        RejectedError
            Changes are not committed, another operation waits to be ended, or files that git
            does not know are in the way.
        NotFoundError
            There is no such revision.
        ConfigError
            The branch is protected.
        """
        arguments.message(message)
        return merging.begin(self._open(), revision, message=message, fast_forward=fast_forward)

    def merge_continue(self, message: str | None = None, *, force: bool = False) -> str:
        """Commit the merge that waits, once no file is in conflict.

        Parameters
        ----------
        message
            The message of the commit; by default the one that the merge began with.
        force
            Commit even where conflict markers are left in a file.

        Returns
        -------
        str
            The sha.

        Raises
        ------
        RejectedError
            No merge waits, files are in conflict, or conflict markers are left.
        ConfigError
            The branch is protected.
        """
        arguments.message(message)
        repo = self._open()
        commit = partial(self._commit, repo.folders, options=[])
        return merging.end(repo, commit, message=message, force=force)

    def merge_abort(self) -> str:
        """Give up the merge that waits; the files are as they were before it.

        Returns
        -------
        str
            The sha of the last commit.

        Raises
        ------
        RejectedError
            No merge waits.
        """
        repo = self._open()
        merging.abort(repo, "merge")
        return repo.head()

    def abort(self) -> str:
        """Give up the merge, rebase, cherry-pick or revert that waits to be ended.

        The branch and the files are as they were before it.

        Returns
        -------
        str
            The operation, such as ``"rebase"``.

        Raises
        ------
        RejectedError
            None waits.
        """
        return merging.abort(self._open())

    def conflicts(
        self,
        paths: str | os.PathLike[str] | list[str] | None = None,
        *,
        base: bool = False,
    ) -> Conflicts:
        """Return the files in conflict; shown, both sides are beside each other.

        Of a notebook the cells are compared, of any other text the lines.

        Parameters
        ----------
        paths
            Only these, or those below these folders.
        base
            Show the version from which both sides began, too.

        Returns
        -------
        Conflicts
            One `Conflict` for each file: ``path``, ``kind``, ``content(side)``, ``blocks()``.
            There are none where nothing is in conflict.

        Raises
        ------
        NotFoundError
            There is no such path.
        """
        given = None if paths is None else arguments.paths(paths)
        found = solving.conflicts(self._open(), given, base=base)
        if given and not found.files:
            self._interpreter(self._place()).check_paths(given)
        return found

    def resolve(
        self,
        paths: str | os.PathLike[str] | list[str] | None = None,
        take: Side | None = None,
        *,
        parts: bool = False,
        force: bool = False,
    ) -> list[str]:
        """Take one side of files in conflict, or mark them as solved as they are, and stage them.

        Parameters
        ----------
        paths
            The files, or folders with all that are in conflict below them; by default all of the
            repository.
        take
            ``"ours"``, the current branch's version, or ``"theirs"``, the one that is merged;
            the other one is discarded, with all its changes. By default the files stay as you
            have edited them. (In a rebase *ours* is the branch that it goes onto, and *theirs*
            your commit.)
        parts
            Take the side only of what both have changed (lines, or the cells of a notebook), and
            keep all other changes of both. What you have edited in the file meanwhile is lost.
        force
            Mark files as solved even where conflict markers are left in them.

        Returns
        -------
        list of str
            The files that were in conflict.

        Raises
        ------
        NotFoundError
            None of them is in conflict.
        RejectedError
            Conflict markers are left in one; or one has no parts, such as a binary file.
        """
        given = None if paths is None else arguments.paths(paths)
        return solving.resolve(self._open(), given, take, parts=parts, force=force)

    # Going back

    def restore(
        self,
        paths: str | os.PathLike[str] | list[str],
        *,
        source: str | None = None,
        dry_run: bool = False,
    ) -> list[str]:
        """Discard the changes of files: make them what is staged, or what a commit has.

        What is discarded cannot be brought back. What is staged, the branch, and files that git
        does not know stay as they are.

        Parameters
        ----------
        paths
            Files, taken literally; a folder is every file in it that git knows.
        source
            The revision that they are taken from; by default what is staged. A file that git
            knows and that the revision does not have is removed.
        dry_run
            Change nothing, and return the files that would be changed.

        Returns
        -------
        list of str
            The files that were changed; none where all were so already.

        Raises
        ------
        NotFoundError
            Git does not know one of the files, or there is no such revision.
        RejectedError
            A file is in conflict, or a file that git does not know is in the place of one.
        """
        given = arguments.paths(paths)
        return restoring.restore(self._open(), given, source=source, dry_run=dry_run)

    def show_file(self, path: str | os.PathLike[str], revision: str = "HEAD") -> FileVersion:
        """Return a file as a commit has it, as it is staged, or as one side of a conflict has it.

        Parameters
        ----------
        path
            The file.
        revision
            The commit. ``""`` is what is staged; ``"1"``, ``"2"`` and ``"3"`` are the base, our
            and their side of a conflict.

        Returns
        -------
        FileVersion
            ``.text`` (``str`` of it) or ``.data``, its bytes. Shown, a notebook has its cells.

        Raises
        ------
        NotFoundError
            There is no such file in it, or no such revision.
        UsageError
            It is a folder or a submodule.
        """
        repo = self._open()
        return versions.load(repo, os.fspath(path), revision, self._prefix(repo.folders))

    # Tags

    def tags(self) -> Table:
        """Return the tags, the newest first, with the commit that each names."""
        return tagging.listed(self._open())

    def create_tag(
        self, name: str, revision: str = "HEAD", *, message: str | None = None, force: bool = False
    ) -> str:
        """Give a commit a name that stays.

        Parameters
        ----------
        name
            The tag.
        revision
            The commit.
        message
            Make an annotated tag, which has a message, a date and an author. It is not signed.
        force
            Move a tag that is there already.

        Returns
        -------
        str
            The sha of the commit.

        Raises
        ------
        RejectedError
            There is a tag of that name.
        NotFoundError
            There is no such revision.
        ConfigError
            It has a message, and git does not know who you are.
        """
        arguments.message(message)
        return tagging.create(self._open(), name, revision, message=message, force=force)

    def delete_tag(self, name: str) -> str:
        """Delete a tag of this repository; a remote keeps its own.

        Returns
        -------
        str
            The sha of the commit that it named.

        Raises
        ------
        NotFoundError
            There is no such tag.
        """
        return tagging.delete(self._open(), name)
