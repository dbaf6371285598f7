"""Remotes: name them, fetch, pull and push."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentnb.core.errors import (
    NonFastForward,
    NotFoundError,
    RejectedError,
    RevisionNotFound,
    UsageError,
)
from agentnb.core.errors import did_you_mean as nearest
from agentnb.core.expand import expand
from agentnb.core.git import arguments, discovery, transport
from agentnb.core.git.credentials import clean, is_local, split_url
from agentnb.core.git.errors import refused
from agentnb.core.keywords import refuse_unknown
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.git.executor import Output
    from agentnb.core.git.opened import OpenRepository
    from agentnb.core.git.repository import Repository

__all__ = ["Remotes", "urls_of"]

_SHA = re.compile(r"[0-9a-f]{40,64}")
_TOLD: Final = 8
_STATES: Final = {" ": "updated", "+": "forced", "-": "deleted", "*": "new", "=": "up to date"}
_PURPOSE: Final = re.compile(r" \((?:fetch|push)\)(?: \[[^\]]*\])?$")


@refuse_unknown("git")
class Remotes:
    """The remotes of a repository.

    Parameters
    ----------
    repository
        The repository.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def remotes(self) -> Table:
        """Return the remotes: name and URL, without the logins in it."""
        repo = self._repository.open()
        output = repo.run("remote", "--verbose")
        rows = dict.fromkeys(
            tuple(_PURPOSE.sub("", clean(line)).split("\t", 1)) for line in output.text.splitlines()
        )
        return Table(
            ("remote", "url"),
            [(name, url) for name, url in rows],
            empty="no remotes: hub.git.add_remote('origin', URL) (%git remote add origin URL)",
        )

    def add_remote(self, name: str, url: str) -> None:
        """Add a remote.

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
            url = str(discovery.resolved(self._repository.path / expand(url, service="git")))
        self._repository.run("remote", "add", "--", name, url, doing="remote")

    def remove_remote(self, name: str) -> None:
        """Remove a remote and its remote-tracking branches."""
        words = ("remote", "remove", "--", arguments.branch(name, "remote"))
        self._repository.run(*words, doing="remote")

    def fetch(
        self,
        remote: str = "origin",
        *,
        prune: bool = False,
        timeout: float | None = None,
        progress: Callable[[str], object] | None = None,
    ) -> None:
        """Fetch the commits of a remote; local branches stay as they are.

        Parameters
        ----------
        remote
            Its name.
        prune
            Remove remote-tracking branches that the remote no longer has.
        timeout
            Seconds, in place of the manager's.
        progress
            Called with each line of git's progress.

        Raises
        ------
        UnavailableError, ConfigError, NotFoundError
            As `clone`.
        """
        repo = self._repository.open()
        url = _known_remote(repo, remote)
        options = [*(["--prune"] if prune else []), *(["--progress"] if progress else [])]
        repo.run(
            *("fetch", "--no-recurse-submodules", transport.upload_pack(url), *options),
            *("--", remote),
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
            If both sides have commits, put the local ones on top. By default that is an error,
            and nothing changes.
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
        repo = self._repository.open()
        name = arguments.branch(branch or _current_branch(repo))
        url = _known_remote(repo, remote)
        if rebase and (current := repo.branch()) is not None:
            repo.refuse_protected("rebase", current)
        repo.run(
            *("fetch", "--no-recurse-submodules", transport.upload_pack(url)),
            *(["--progress"] if progress else []),
            *("--", remote, f"refs/heads/{name}"),
            timeout=timeout,
            progress=progress,
            doing="pull",
        )
        if rebase:
            _rebase(repo, f"{remote}/{name}")
        else:
            options = ("--ff-only", "--no-stat", "--quiet", "--no-verify-signatures")
            repo.run("merge", *options, "FETCH_HEAD", doing="pull")
        return repo.head()

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
        """Push a branch to a remote, and set its upstream if it has none.

        Parameters
        ----------
        remote
            Its name.
        branch
            The branch, which has the same name there.
        force
            Replace the remote's branch, if it is still as it was fetched last.
        dry_run
            Report the result, and change nothing.
        timeout
            Seconds, in place of the manager's.
        progress
            Called with each line of git's progress.

        Returns
        -------
        Table
            Branch, the remote's branch, and the result.

        Raises
        ------
        NonFastForward
            The remote has commits that are missing here.
        RejectedError
            The remote refused for another reason.
        ConfigError
            The branch is protected, or the login was refused.
        """
        repo = self._repository.open()
        repo.refuse_protected("push", arguments.branch(branch))
        _known_remote(repo, remote)
        _known_branch(repo, branch)
        urls = urls_of(repo, remote, push=True)
        follows = self._repository.config.of(repo.folders).has("branch", branch, "remote")
        ref = f"refs/heads/{branch}"
        output = repo.run(
            *("push", "--porcelain", "--no-verify", "--no-signed", "--no-recurse-submodules"),
            transport.receive_pack(urls),
            *(["--force-with-lease"] if force else []),
            *(["--dry-run"] if dry_run else []),
            *([] if follows or dry_run else ["--set-upstream"]),
            *(["--progress"] if progress else []),
            *("--", remote, f"{ref}:{ref}"),
            timeout=timeout,
            progress=progress,
            fine=(0, 1),
        )
        rows = _pushed(output, remote, branch)
        if not dry_run:
            self._repository.say("changes pushed", remote=remote, branch=branch)
        note = "nothing was sent: this was a dry run" if dry_run else ""
        return Table(("branch", "to", "state"), rows, note=note)


def _rebase(repo: OpenRepository, onto: str) -> None:
    try:
        repo.run("rebase", "--quiet", "--no-stat", "FETCH_HEAD", doing="pull")
    except RejectedError as error:
        if not (repo.folders.git_dir / "rebase-merge").exists():
            raise
        files = ", ".join(repo.status().conflicts)
        repo.run("rebase", "--abort", doing="pull")
        raise RejectedError(
            f"both sides changed the same lines: {files}",
            service="git",
            hint="the rebase was given up and nothing has changed; merge instead: "
            f"hub.git.merge({onto!r}) (%git merge {onto})",
        ) from error


def _pushed(output: Output, remote: str, branch: str) -> list[tuple[str, str, str]]:
    """Return the branch, its name at the remote, and the result."""
    rows = []
    for line in output.text.splitlines():
        flag, _, rest = line.partition("\t")
        refs, _, reason = rest.partition("\t")
        if flag == "!":
            raise _push_refused(clean(reason), clean(output.err), remote, branch)
        if flag in _STATES and refs:
            reason = _SHA.sub(lambda sha: sha[0][:10], reason.strip("[]"))
            state = f"{_STATES[flag]} ({reason})" if reason else _STATES[flag]
            rows.append((branch, f"{remote}/{branch}", state))
    if output.code:
        raise refused(output, "push")
    return rows


def _current_branch(repo: OpenRepository) -> str:
    branch = repo.branch()
    if branch is None:
        raise UsageError(
            "no branch is checked out",
            service="git",
            hint="name a branch, or switch to one: hub.git.switch(NAME) (%git switch NAME)",
        )
    return branch


def _known_branch(repo: OpenRepository, name: str) -> None:
    output = repo.run("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
    known = output.text.split()
    if name not in known:
        raise RevisionNotFound(
            f"there is no branch {name!r}",
            service="git",
            hint=nearest(name, known) or f"branches: {', '.join(known) or 'none yet'}",
        )


def _known_remote(repo: OpenRepository, name: str) -> str:
    """Return the URL that a remote is fetched from."""
    arguments.branch(name, "remote")
    known = repo.run("remote").text.split()
    if name not in known:
        raise NotFoundError(
            f"there is no remote {name!r}",
            service="git",
            hint=nearest(name, known)
            or f"hub.git.add_remote({name!r}, URL) (%git remote add {name} URL)",
        )
    return urls_of(repo, name)[0]


def urls_of(repo: OpenRepository, remote: str, *, push: bool = False) -> list[str]:
    """Return the URLs of a remote, logins included."""
    words = ["remote", "get-url", "--all", *(["--push"] if push else []), "--", remote]
    urls = repo.run(*words).text.splitlines()
    for url in urls:
        split_url(url)  # refuses what may not be used
    return urls


def _push_refused(reason: str, err: str, remote: str, branch: str) -> RejectedError:
    if "stale info" in reason:
        return NonFastForward(
            f"{remote}/{branch} has changed since it was fetched",
            service="git",
            hint="fetch and look at the new commits first: hub.git.fetch() (%git fetch), "
            "hub.git.log('origin/BRANCH') (%git log origin/BRANCH)",
        )
    behind = any(word in reason for word in ("fetch first", "non-fast-forward"))
    if behind and not reason.startswith("[remote rejected]"):
        return NonFastForward(
            f"{remote}/{branch} has commits that are missing here",
            service="git",
            hint=f"hub.git.pull({remote!r}, {branch!r}) (%git pull), then push again; where both "
            "sides have commits, with rebase=True (--rebase)",
        )
    lines = [line for line in err.splitlines() if line.startswith("remote:")][:_TOLD]
    return RejectedError(
        "\n".join([f"{remote} refuses {branch}: {reason}", *(line.rstrip() for line in lines)]),
        service="git",
        hint="push another branch, or ask the owner of the remote: hub.git.push(remote, branch)",
    )
