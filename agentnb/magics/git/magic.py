"""``%git``: the repository of the working directory, or one of the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import AgentnbError, UsageError, did_you_mean
from agentnb.magics.git.grammar import GRAMMAR
from agentnb.magics.git.paths import files_in, paths_of
from agentnb.magics.git.progress import Progress
from agentnb.magics.grammar import is_word
from agentnb.magics.noun import Noun, Said

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.git import Diff, GitManager, Log, Status
    from agentnb.core.git.shown import Shown
    from agentnb.core.table import Table
    from agentnb.magics.grammar import Call

__all__ = ["GitMagic"]

_OFFERED = 200


class _Sha(str):  # noqa: SLOT000 - it carries what it shows
    """A commit's name, which shows what was committed."""

    about = ""

    def __repr__(self) -> str:
        return self.about


@magics_class
class GitMagic(Noun):
    """The magic ``%git``."""

    grammar = GRAMMAR

    @line_magic
    @needs_local_scope
    @no_var_expand
    def git(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Status, diff, log, commit and the like. `%git help` tells the rest."""
        __tracebackhide__ = True
        return self.call(line, None, local_ns)

    def reset(self) -> None:
        """There is no state of its own to go back from."""

    def _git(self, call: Call) -> GitManager:
        folder = call.options.get("repo")
        return self.hub.git if folder is None else self.hub.repo(folder)

    def status(self, call: Call) -> Status:
        """Return what has changed."""
        return self._git(call).status()

    # Tab

    def live(self, kind: str, start: str = "") -> Iterable[str]:
        """Return branches, remotes, revisions or paths, for Tab."""
        try:
            found = self._names(kind, start)
        except AgentnbError:
            return ()  # nobody is helped by an error while typing
        return [name for name in found if is_word(name)][:_OFFERED]

    def _names(self, kind: str, start: str) -> list[str]:
        fixed = {"stash": ["list", "pop"], "worktree": ["add", "rm"], "add or rm": ["add", "rm"]}
        if kind in fixed:
            return fixed[kind]
        if kind == "repo":
            folders = self.hub.settings.workspace.glob("*/.git")
            return sorted(folder.parent.name for folder in folders)
        git = self.hub.git
        if kind == "remote":
            return [row.remote for row in git.remotes()]
        if kind == "branch":
            return [row.branch for row in git.branches()]
        if kind == "ref":
            return ["HEAD", *git.names()]
        if kind == "path":
            return files_in(git.path, start)
        status = git.status(untracked="all")
        return {
            "staged": status.staged,
            "unstaged": [*status.changed, *status.untracked, *status.conflicts],
            "changed": list(dict.fromkeys(change.path for change in status.changes)),
        }.get(kind, [])

    # Looking

    def do_status(self, call: Call) -> Status:
        """Return what has changed."""
        return self._git(call).status()

    def do_diff(self, call: Call) -> Diff:
        """Return what differs."""
        git = self._git(call)
        paths = paths_of(git, call) if call.arguments else None
        staged = "staged" in call.options
        return git.diff(staged, paths=paths, between=call.options.get("with"))

    def do_log(self, call: Call) -> Log:
        """Return the history."""
        options = call.options
        return self._git(call).log(
            options.get("rows", 20),
            revision=_text(call, 0),
            paths=options.get("path"),
            every="all" in options,
        )

    def do_show(self, call: Call) -> Shown:
        """Return a commit."""
        return self._git(call).show(_text(call, 0) or "HEAD")

    # Changing

    def do_init(self, call: Call) -> str:
        """Make a folder a repository."""
        folder = _text(call, 0)
        git = self._git(call) if folder is None else self._git(call).at(folder)
        return Said(f"{git.initialize()} is a repository")

    def do_add(self, call: Call) -> Status:
        """Stage files."""
        git = self._git(call)
        git.add_files(paths_of(git, call))
        return git.status()

    def do_unstage(self, call: Call) -> Status:
        """Take files out of the stage."""
        git = self._git(call)
        git.unstage_files(paths_of(git, call))
        return git.status()

    def do_commit(self, call: Call) -> Any:
        """Commit what is staged, or exactly these paths."""
        git = self._git(call)
        message: str = call.options.get("message", "")
        dry = "dry_run" in call.options
        if not message.strip() and not dry:
            raise UsageError(
                "a commit wants a message", service="git", hint='%git commit -m "what and why"'
            )
        everything = "all" in call.options
        if everything and call.arguments:
            raise UsageError("--all and paths say different things", service="git")
        paths = paths_of(git, call) if call.arguments else None
        if dry:
            given = ["."] if everything else paths
            return git.commit(message or "-", paths=given, dry_run=True)
        if everything:
            git.add_files()
        sha = _Sha(git.commit(message, paths=paths, author=call.options.get("author")))
        subject = message.strip().splitlines()[0]
        sha.about = f"{git.current_branch() or 'no branch'} {sha[:10]}: {subject}"
        return sha

    def do_branch(self, call: Call) -> Any:
        """List the branches, make one, or delete one."""
        git, name = self._git(call), _text(call, 0)
        if "delete" in call.options and len(call.arguments) != 1:
            raise UsageError(
                "--delete takes the name of one branch",
                service="git",
                hint="%git branch --delete NAME",
            )
        if name is None:
            return git.branches()
        if "delete" in call.options:
            git.delete_branch(name, force="force" in call.options)
            return Said(f"{name}: deleted")
        git.create_branch(name, _text(call, 1), switch=False)
        return Said(f"{name}: made; %git switch {name} changes to it")

    def do_switch(self, call: Call) -> Status:
        """Change to a branch."""
        git = self._git(call)
        git.switch(_text(call, 0) or "", create="create" in call.options)
        return git.status()

    def do_stash(self, call: Call) -> Any:
        """Put changes aside, list them, or bring them back."""
        git, verb = self._git(call), _choice(call, ("list", "pop"))
        if verb == "list":
            return git.stashes()
        if verb == "pop":
            git.stash_pop()
            return git.status()
        stashed = git.stash(call.options.get("message", ""))
        return Said("put aside; %git stash pop brings it back" if stashed else "nothing to stash")

    def do_worktree(self, call: Call) -> Any:
        """List further work trees, add one, or remove one."""
        git, verb = self._git(call), _choice(call, ("add", "rm"))
        folder, branch = _text(call, 1), _text(call, 2)
        if "force" in call.options and verb != "rm":
            raise UsageError(
                "--force has no effect here", service="git", hint="%git worktree rm FOLDER --force"
            )
        if verb is None:
            return git.worktrees()
        if folder is None or (branch is None) == (verb == "add"):
            raise UsageError(
                f"%git worktree {verb} wants a folder" + (" and a branch" * (verb == "add")),
                service="git",
                hint="%git worktree add FOLDER BRANCH, %git worktree rm FOLDER",
            )
        if verb == "add":
            made = git.worktree(folder, branch or "")
            return Said(f"{branch} is checked out in {made.path}")
        git.remove_worktree(folder, force="force" in call.options)
        return Said(f"{folder}: removed")

    # Others

    def do_clone(self, call: Call) -> GitManager:
        """Copy a repository."""
        options = call.options
        with Progress() as progress:
            return self._git(call).clone(
                _text(call, 0) or "",
                _text(call, 1),
                branch=options.get("branch"),
                depth=options.get("depth"),
                timeout=options.get("timeout"),
                progress=progress,
            )

    def do_push(self, call: Call) -> Table:
        """Send a branch."""
        git = self._git(call)
        branch = _text(call, 1) or _current(git)
        with Progress() as progress:
            return git.push(
                _text(call, 0) or "origin",
                branch,
                force="force" in call.options,
                dry_run="dry_run" in call.options,
                timeout=call.options.get("timeout"),
                progress=progress,
            )

    def do_pull(self, call: Call) -> Status:
        """Fetch, and bring the current branch up to it."""
        git = self._git(call)
        with Progress() as progress:
            git.pull(
                _text(call, 0) or "origin",
                _text(call, 1),
                rebase="rebase" in call.options,
                timeout=call.options.get("timeout"),
                progress=progress,
            )
        return git.status()

    def do_fetch(self, call: Call) -> Status:
        """Fetch, and change no branch."""
        git = self._git(call)
        with Progress() as progress:
            git.fetch(
                _text(call, 0) or "origin",
                prune="prune" in call.options,
                timeout=call.options.get("timeout"),
                progress=progress,
            )
        return git.status()

    def do_remote(self, call: Call) -> Table:
        """List the remotes, add one, or remove one."""
        git, verb = self._git(call), _choice(call, ("add", "rm"))
        name, url = _text(call, 1), _text(call, 2)
        if verb is not None and (name is None or (url is None) == (verb == "add")):
            raise UsageError(
                f"%git remote {verb} wants a name" + (" and a URL" * (verb == "add")),
                service="git",
                hint="%git remote add NAME URL, %git remote rm NAME",
            )
        if verb == "add":
            git.add_remote(name or "", url or "")
        elif verb == "rm":
            git.remove_remote(name or "")
        return git.remotes()

    def do_panel(self, call: Call) -> Any:
        """Open the panel."""
        folder = call.options.get("repo")
        return self.hub.panel("git", **({} if folder is None else {"repo": folder}))


def _text(call: Call, at: int) -> str | None:
    """Return an argument as text, or None if it is not there."""
    if at >= len(call.arguments):
        return None
    value = call.arguments[at]
    return str(value) if isinstance(value, (str, Path)) else call.words[at].text


def _choice(call: Call, choices: tuple[str, ...]) -> str | None:
    verb = _text(call, 0)
    if verb is not None and verb not in choices:
        raise UsageError(
            f"%git {call.verb} has no {verb!r}",
            service="git",
            hint=did_you_mean(verb, choices) or f"it has {' and '.join(choices)}",
        )
    return verb


def _current(git: GitManager) -> str:
    branch = git.current_branch()
    if branch is None:
        raise UsageError("no branch is checked out", service="git", hint="name one to push")
    return branch
