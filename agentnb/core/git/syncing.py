"""Going along with others: remotes, fetch, pull, push."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import NonFastForward, NotFoundError, RejectedError, UsageError
from agentnb.core.errors import did_you_mean as nearest
from agentnb.core.git import arguments, discovery, transport
from agentnb.core.git.base import not_protected
from agentnb.core.git.branching import Branching
from agentnb.core.git.credentials import clean, is_local, split_url
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.git.discovery import Folders

__all__ = ["Syncing"]

_SHA = re.compile(r"[0-9a-f]{40,64}")
_TOLD: Final = 8
_STATES: Final = {" ": "updated", "+": "forced", "-": "deleted", "*": "new", "=": "up to date"}


class Syncing(Branching):
    """The part of `GitManager` that speaks to other repositories."""

    def add_remote(self, name: str, url: str) -> None:
        """Give another repository a name.

        Raises
        ------
        UsageError
            The URL has a login, which git would store in a file.
        RejectedError
            There is a remote of that name.
        """
        arguments.branch(name, "remote")
        _, login = split_url(url)
        if login is not None:
            raise UsageError(
                "a login in the URL of a remote would be stored in .git/config",
                service="git",
                hint="leave it out, and set AGENTNB_GIT_CREDENTIALS=https://USER:TOKEN@HOST "
                "in .env (GITHUB_TOKEN for github.com)",
            )
        if is_local(url) and "://" not in url:
            url = str(discovery.resolved(self.path / Path(url).expanduser()))
        self._run("remote", "add", "--", name, url, doing="remote")

    def remove_remote(self, name: str) -> None:
        """Forget a remote, and what was fetched from it."""
        self._run("remote", "remove", "--", arguments.branch(name, "remote"), doing="remote")

    def fetch(
        self,
        remote: str = "origin",
        *,
        prune: bool = False,
        timeout: float | None = None,
        progress: Callable[[str], object] | None = None,
    ) -> None:
        """Fetch the commits of a remote; no branch of one's own changes.

        Parameters
        ----------
        remote
            Its name.
        prune
            Forget branches that it has no more.
        timeout
            Seconds, in place of the manager's.
        progress
            Called with each line of git's progress.

        Raises
        ------
        UnavailableError, ConfigError, NotFoundError
            As `clone`.
        """
        found = self._place()
        url = self._known_remote(found, remote)
        options = [*(["--prune"] if prune else []), *(["--progress"] if progress else [])]
        self._run(
            *("fetch", "--no-recurse-submodules", transport.upload_pack(url), *options),
            *("--", remote),
            at=found,
            timeout=timeout,
            progress=progress,
        )

    def pull(
        self,
        remote: str = "origin",
        branch: str | None = None,
        *,
        rebase: bool = False,
        timeout: float | None = None,
        progress: Callable[[str], object] | None = None,
    ) -> str:
        """Fetch a branch and bring the current one up to it.

        Parameters
        ----------
        remote
            Its name.
        branch
            The remote's branch: by default the one of the current name.
        rebase
            Where both sides have commits, put one's own on top of the others'. By default that
            is an error, and nothing changes.
        timeout
            Seconds, in place of the manager's.
        progress
            Called with each line of git's progress.

        Returns
        -------
        str
            The sha of the last commit then.

        Raises
        ------
        NonFastForward
            Both sides have commits.
        RejectedError
            Changes that are not committed are in the way, or the rebase met conflicts and was
            given up.
        """
        found = self._place()
        name = arguments.branch(branch or self._branch_or_error())
        url = self._known_remote(found, remote)
        here = self.current_branch()
        if here is not None and rebase:
            not_protected(here, self.protected, "rebase")
        self._run(
            *("fetch", "--no-recurse-submodules", transport.upload_pack(url)),
            *(["--progress"] if progress else []),
            *("--", remote, f"refs/heads/{name}"),
            at=found,
            timeout=timeout,
            progress=progress,
            doing="pull",
        )
        if rebase:
            self._rebase(found, f"{remote}/{name}")
        else:
            options = ("--ff-only", "--no-stat", "--quiet", "--no-verify-signatures")
            self._run("merge", *options, "FETCH_HEAD", at=found, doing="pull")
        return self._head(found)

    def _rebase(self, found: Folders, onto: str) -> None:
        try:
            self._run("rebase", "--quiet", "--no-stat", "FETCH_HEAD", at=found, doing="pull")
        except RejectedError as error:
            if not (found.git_dir / "rebase-merge").exists():
                raise
            files = ", ".join(self.status().conflicts)
            self._run("rebase", "--abort", at=found, doing="pull")
            raise RejectedError(
                f"both sides changed the same lines: {files}",
                service="git",
                hint="the rebase was given up and nothing has changed; merge instead: "
                f"hub.git.merge({onto!r}) (%git merge {onto})",
            ) from error

    def push(
        self,
        remote: str = "origin",
        branch: str = "main",
        *,
        force: bool = False,
        dry_run: bool = False,
        timeout: float | None = None,
        progress: Callable[[str], object] | None = None,
    ) -> Table:
        """Send a branch to a remote. One that follows none follows that from then on.

        Parameters
        ----------
        remote
            Its name.
        branch
            The branch, which has the same name there.
        force
            Replace what is there, if it is still what was fetched last.
        dry_run
            Ask what would happen, and change nothing.
        timeout
            Seconds, in place of the manager's.
        progress
            Called with each line of git's progress.

        Returns
        -------
        Table
            Branch, where to, and what became of it.

        Raises
        ------
        NonFastForward
            The remote has commits that are missing here.
        RejectedError
            It said no for another reason.
        ConfigError
            The branch is protected, or the login was refused.
        """
        found = self._place()
        not_protected(arguments.branch(branch), self.protected, "push")
        self._known_remote(found, remote)
        self._known_branch(branch)
        urls = self._remote_urls(found, remote, push=True)
        follows = self._config(found).has("branch", branch, "remote")
        ref = f"refs/heads/{branch}"
        output = self._run(
            *("push", "--porcelain", "--no-verify", "--no-signed", "--no-recurse-submodules"),
            transport.receive_pack(urls),
            *(["--force-with-lease"] if force else []),
            *(["--dry-run"] if dry_run else []),
            *([] if follows or dry_run else ["--set-upstream"]),
            *(["--progress"] if progress else []),
            *("--", remote, f"{ref}:{ref}"),
            at=found,
            timeout=timeout,
            progress=progress,
            fine=(0, 1),
        )
        return self._pushed(output, remote, branch, dry_run=dry_run)

    def _pushed(self, output: Any, remote: str, branch: str, *, dry_run: bool) -> Table:
        rows = []
        for line in output.text.splitlines():
            flag, _, rest = line.partition("\t")
            refs, _, said = rest.partition("\t")
            if flag == "!":
                raise _push_refused(clean(said), clean(output.err), remote, branch)
            if flag in _STATES and refs:
                said = _SHA.sub(lambda sha: sha[0][:10], said.strip("[]"))
                state = f"{_STATES[flag]} ({said})" if said else _STATES[flag]
                rows.append((branch, f"{remote}/{branch}", state))
        if output.code:
            self._raise(output, "push")
        if not dry_run:
            self._say("changes pushed", remote=remote, branch=branch)
        note = "nothing was sent: this was a dry run" if dry_run else ""
        return Table(("branch", "to", "state"), rows, note=note)

    def _branch_or_error(self) -> str:
        branch = self.current_branch()
        if branch is None:
            raise UsageError(
                "no branch is checked out", service="git", hint="name one, or switch to one"
            )
        return branch

    def _known_branch(self, name: str) -> None:
        output = self._run("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
        known = output.text.split()
        if name not in known:
            raise NotFoundError(
                f"there is no branch {name!r}",
                service="git",
                hint=nearest(name, known) or f"branches: {', '.join(known) or 'none yet'}",
            )

    def _known_remote(self, found: Folders, name: str) -> str:
        """Return where a remote is fetched from."""
        arguments.branch(name, "remote")
        known = self._run("remote", at=found).text.split()
        if name not in known:
            raise NotFoundError(
                f"there is no remote {name!r}",
                service="git",
                hint=nearest(name, known)
                or f"hub.git.add_remote({name!r}, URL) (%git remote add {name} URL)",
            )
        return self._remote_urls(found, name)[0]


def _push_refused(said: str, err: str, remote: str, branch: str) -> RejectedError:
    if "stale info" in said:
        return NonFastForward(
            f"{remote}/{branch} has changed since it was fetched",
            service="git",
            hint="fetch, look at what is new there, then decide again",
        )
    behind = any(word in said for word in ("fetch first", "non-fast-forward"))
    if behind and not said.startswith("[remote rejected]"):
        return NonFastForward(
            f"{remote}/{branch} has commits that are missing here",
            service="git",
            hint=f"hub.git.pull({remote!r}, {branch!r}) (%git pull), then push again; where both "
            "sides have commits, with rebase=True (--rebase)",
        )
    told = [line for line in err.splitlines() if line.startswith("remote:")][:_TOLD]
    return RejectedError(
        "\n".join([f"{remote} refuses {branch}: {said}", *(line.rstrip() for line in told)]),
        service="git",
    )
