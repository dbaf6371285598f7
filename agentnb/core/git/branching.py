"""Branches, stashes, and further work trees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from agentnb.core.errors import NotFoundError, RejectedError, did_you_mean
from agentnb.core.git import arguments, discovery, exclude, operations
from agentnb.core.git.base import not_protected
from agentnb.core.git.changing import Changing
from agentnb.core.ranges import whole
from agentnb.core.table import Table

if TYPE_CHECKING:
    import os

    from agentnb.core.git.diff import Diff

__all__ = ["Branching"]


class Branching(Changing):
    """The part of `GitManager` for lines of work beside each other."""

    def create_branch(self, name: str, start: str | None = None, *, switch: bool = True) -> None:
        """Make a branch and, by default, change to it.

        Parameters
        ----------
        name
            Its name.
        start
            The revision that it begins at: by default the current commit.
        switch
            Whether to change to it.

        Raises
        ------
        RejectedError
            There is one of that name.
        NotFoundError
            There is no such revision.
        """
        arguments.branch(name)
        begin = [] if start is None else [arguments.revision(start)]
        if switch:
            self._run("switch", "--quiet", "--create", name, *begin, doing="branch")
        else:
            self._run("branch", "--quiet", "--end-of-options", name, *begin)
        self._say("branch created", branch=name)

    def delete_branch(self, name: str, *, force: bool = False) -> None:
        """Delete a branch.

        Parameters
        ----------
        name
            Its name.
        force
            Even if it has commits that no other branch has.

        Raises
        ------
        RejectedError
            It is the current one, or has commits of its own.
        ConfigError
            It is protected.
        """
        not_protected(arguments.branch(name), self.protected, "deletion")
        how = "-D" if force else "-d"
        self._run("branch", "--quiet", how, "--end-of-options", name, doing="branch")

    def switch(self, name: str, *, create: bool = False) -> None:
        """Change to a branch; one that only a remote has is made here.

        Parameters
        ----------
        name
            The branch.
        create
            Make it first.

        Raises
        ------
        NotFoundError
            There is no such branch.
        RejectedError
            Changes that are not committed would be lost.
        """
        if create:
            self.create_branch(name)
            return
        arguments.branch(name)
        try:
            self._run("switch", "--quiet", "--no-recurse-submodules", name)
        except NotFoundError as error:
            known = [each for each in self.names() if each != name]
            raise NotFoundError(
                f"there is no branch {name!r}",
                service="git",
                hint=did_you_mean(name, known)
                or f"make it: %git switch -c {name}, or hub.git.create_branch({name!r})",
            ) from error

    # Stashes

    def stash(self, message: str = "", *, untracked: bool = True) -> bool:
        """Put changes aside, so that the files are those of the last commit.

        Parameters
        ----------
        message
            What they are.
        untracked
            Files that git does not know too.

        Returns
        -------
        bool
            Whether there was anything.
        """
        operations.refuse_during(self._place(), "stash")  # git would forget what it merges
        options = ["--include-untracked"] if untracked else []
        if message:
            options.append(f"--message={message}")
        # Git removes the new files by the path ":/", which is none where paths are literal.
        output = self._run("stash", "push", *options, variables={"GIT_LITERAL_PATHSPECS": "0"})
        return "No local changes" not in output.text + output.err

    def stashes(self) -> Table:
        """Return what was put aside, the newest first."""
        output = self._run("stash", "list", "-z", "--format=%gd%x00%aI%x00%gs", doing="stash")
        fields = output.text.split("\0")
        rows = list(zip(*[iter(fields)] * 3, strict=False))
        return Table(("stash", "when", "what"), rows, empty="nothing is stashed")

    def stash_pop(self, number: int = 0) -> None:
        """Bring back what was put aside.

        Parameters
        ----------
        number
            Which: 0 is the newest.

        Raises
        ------
        RejectedError
            It conflicts with the files as they are; it stays put aside. Where the changes of both
            are in the files then, the error lists these: see `conflicts`.
        NotFoundError
            There is none.
        """
        self._unstash("pop", number)

    def stash_apply(self, number: int = 0) -> None:
        """Bring back what was put aside, and keep it put aside too.

        Parameters
        ----------
        number
            Which: 0 is the newest.

        Raises
        ------
        RejectedError, NotFoundError
            As `stash_pop`.
        """
        self._unstash("apply", number)

    def stash_drop(self, number: int = 0) -> str:
        """Forget what was put aside.

        Parameters
        ----------
        number
            Which: 0 is the newest. The later ones move up by one.

        Returns
        -------
        str
            The sha of the stash, from which ``git stash apply SHA`` brings it back for a while.

        Raises
        ------
        NotFoundError
            There is none.
        """
        name = self._stash_name(number)
        sha = self._run("rev-parse", "--verify", name, doing="stash").text.strip()
        self._run("stash", "drop", "--quiet", name, doing="stash")
        return sha

    def stash_show(self, number: int = 0) -> Diff:
        """Return what was put aside as a difference, new files too.

        Parameters
        ----------
        number
            Which: 0 is the newest.

        Raises
        ------
        NotFoundError
            There is none.
        """
        return self._comparer(self._place()).stash(self._stash_name(number))

    def _stash_name(self, number: int) -> str:
        number = whole("number", number, service="git", least=0)
        count = len(self.stashes())
        if number >= count:
            raise NotFoundError(
                f"there is no stash {number}" if count else "nothing is stashed",
                service="git",
                hint=f"there are {count:,}, numbered from 0: hub.git.stashes() (%git stash list)"
                if count
                else "hub.git.stash() (%git stash) puts changes aside",
            )
        return f"stash@{{{number}}}"

    def _unstash(self, doing: str, number: int) -> None:
        name, repo = self._stash_name(number), self._open()
        operations.refuse_during(repo.folders, f"stash {doing}")
        try:
            self._run("stash", doing, "--quiet", name, at=repo.folders, doing="stash")
        except RejectedError as error:
            files = [repo.shown(path) for path in repo.unmerged()]
            if not files:
                raise
            raise RejectedError(
                f"the stash is in the files now, and in conflict in {', '.join(files)}; "
                "it is kept as well",
                service="git",
                hint=operations.advice("", conflicts=True)
                + f"; then forget the stash: hub.git.stash_drop({number}) "
                f"(%git stash drop {number})",
            ) from error

    # Work trees

    def worktree(
        self, directory: str | os.PathLike[str], branch: str, start: str | None = None
    ) -> Self:
        """Check a branch out into a folder of its own, beside this one.

        Parameters
        ----------
        directory
            The new folder.
        branch
            The branch; one that is not there is made.
        start
            The revision that a new branch begins at.

        Returns
        -------
        GitManager
            Of the new folder.

        Raises
        ------
        RejectedError
            The folder is there, or the branch is checked out elsewhere.
        PathEscape
            The folder lies in the home, in ``.git`` or in what else is hidden.
        """
        arguments.branch(branch)
        target = self._new_folder(directory)
        here = self._run("for-each-ref", "--format=%(refname)", f"refs/heads/{branch}").text.strip()
        if here and start is not None:
            raise RejectedError(f"the branch {branch} is there already", service="git")
        begin = [] if start is None else [arguments.revision(start)]
        if here:
            self._run("worktree", "add", "--quiet", "--", str(target), branch)
        else:
            self._run("worktree", "add", "--quiet", "-b", branch, "--", str(target), *begin)
        outer = discovery.find(target.parent, self.ceiling)
        if outer is not None and not exclude.hide(outer, target):
            self._log.warning(
                "%s is not left out of %s: info/exclude is a link", target, outer.root
            )
        return self.at(target)  # type: ignore[no-any-return]

    def worktrees(self) -> Table:
        """Return the folders into which a branch is checked out."""
        output = self._run("worktree", "list", "--porcelain", doing="worktree")
        rows = []
        for block in output.text.strip().split("\n\n"):
            about = dict(line.partition(" ")[::2] for line in block.splitlines())
            branch = about.get("branch", "").removeprefix("refs/heads/")
            rows.append((about.get("worktree", ""), branch, about.get("HEAD", "")[:10]))
        return Table(("worktree", "branch", "sha"), rows)

    def remove_worktree(self, directory: str | os.PathLike[str], *, force: bool = False) -> None:
        """Remove a further work tree; its branch stays.

        Raises
        ------
        RejectedError
            It has changes that are not committed; ``force=True`` drops them.
        """
        target = self._bound(self.path / Path(directory))
        options = ["--force"] if force else []
        self._run("worktree", "remove", *options, "--", str(target), doing="worktree")
        outer = discovery.find(target.parent, self.ceiling)
        if outer is not None:
            exclude.unhide(outer, target)
