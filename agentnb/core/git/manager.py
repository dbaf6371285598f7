"""The manager: git on one folder."""

from __future__ import annotations

from agentnb.core.git.cloning import Cloning

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
        Branches (``"main"``, ``"release/*"``) that take no commit, push, rebase or deletion.
    filters
        Names of the filters that a repository may ask for.
    logins
        For https remotes; see `agentnb.core.git.credentials.logins`.
    tracer
        Where spans go; default: one of its own, in memory.
    hub_id
        The hub whose log file takes what this manager logs; default: any.

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
