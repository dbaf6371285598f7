"""``%git``: the repository of the working directory, or one of the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import AgentnbError, UsageError
from agentnb.magics.base import Magic, Message
from agentnb.magics.git import undoing
from agentnb.magics.git.arguments import choice, text
from agentnb.magics.git.grammar import GRAMMAR
from agentnb.magics.git.paths import files_in, has_paths, paths_behind, paths_of, words_of
from agentnb.magics.git.progress import Progress
from agentnb.magics.grammar import is_word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.git import Diff, GitManager, Log, Status
    from agentnb.core.git.conflicts import Conflicts
    from agentnb.core.git.nested import LeftOut
    from agentnb.core.git.objects import CommitView
    from agentnb.core.git.versions import FileVersion
    from agentnb.core.table import Table
    from agentnb.magics.grammar import Call

__all__ = ["GitMagic"]

_OFFERED = 200


class _Sha(str):  # noqa: SLOT000 - it carries what it shows
    """A commit's sha, displayed with its changes."""

    about = ""

    def __repr__(self) -> str:
        return self.about


@magics_class
class GitMagic(Magic):
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
        """Return the changed files."""
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
        fixed = {
            "stash": [*undoing.STASHES],
            "worktree": ["add", "rm"],
            "add or rm": ["add", "rm"],
            "fetch": ["fetch"],
        }
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
        if kind == "tag":
            return [row.tag for row in git.tags()]
        if kind == "stash number":
            return [str(number) for number in range(len(git.stashes()))]
        if kind == "path":
            return files_in(git.path, start)
        status = git.status(untracked="all")
        return {
            "staged": status.staged,
            "conflict": status.conflicts,
            "restorable": status.changed,
            "unstaged": [*status.changed, *status.untracked, *status.conflicts],
            "changed": list(dict.fromkeys(change.path for change in status.changes)),
        }.get(kind, [])

    # Looking

    def do_status(self, call: Call) -> Status:
        """Return the changed files."""
        return self._git(call).status()

    def do_diff(self, call: Call) -> Diff:
        """Return the differences."""
        git = self._git(call)
        named = git.interpret(*words_of(git, call))
        given = call.options.get("with")
        revisions = [*([] if given is None else [given]), *named.revisions]
        staged = "staged" in call.options

        def differing() -> list[str]:
            return [file.path for file in git.diff(staged, between=revisions)]

        # Of revisions, a pattern stands for the files that differ between them.
        behind = paths_behind(git, call, differing if revisions else None)
        return git.diff(staged, paths=[*named.paths, *behind] or None, between=revisions)

    def do_log(self, call: Call) -> Log:
        """Return the history."""
        git, options = self._git(call), call.options
        named = git.interpret(*words_of(git, call))
        paths = [*named.paths, *options.get("path", ()), *paths_behind(git, call)]
        return git.log(
            options.get("rows", 20),
            revision=named.revisions,
            paths=paths or None,
            every="all" in options,
        )

    def do_show(self, call: Call) -> CommitView | FileVersion:
        """Return a commit, or a file as a commit has it."""
        git = self._git(call)
        return undoing.show(git, text(call, 0) or "HEAD", paths_behind(git, call))

    # Changing

    def do_init(self, call: Call) -> str:
        """Make a folder a repository."""
        folder = text(call, 0)
        git = self._git(call) if folder is None else self._git(call).at(folder)
        return Message(f"{git.initialize()} is a repository")

    def do_add(self, call: Call) -> Status:
        """Stage files."""
        git = self._git(call)
        left = git.add_files(paths_of(git, call))
        status = git.status()
        if left:
            status.note = repr(left)
        return status

    def do_unstage(self, call: Call) -> Status:
        """Take files out of the stage."""
        git = self._git(call)
        git.unstage_files(paths_of(git, call))
        return git.status()

    def do_commit(self, call: Call) -> Any:
        """Commit what is staged, or exactly these paths."""
        git = self._git(call)
        message: str = call.options.get("message", "")
        if "amend" in call.options:
            return _committed(git, undoing.amend(git, call))
        dry = "dry_run" in call.options
        if not message.strip() and not dry:
            raise UsageError(
                "a commit needs a message", service="git", hint='%git commit -m "what and why"'
            )
        everything = "all" in call.options
        if everything and has_paths(call):
            raise UsageError(
                "--all and paths exclude each other",
                service="git",
                hint="%git commit -m MESSAGE --all, or %git commit -m MESSAGE PATH",
            )
        paths = paths_of(git, call) if has_paths(call) else None
        if dry:
            given = ["."] if everything else paths
            return git.commit(message or "-", paths=given, dry_run=True)
        left = git.add_files() if everything else None
        made = git.commit(message, paths=paths, author=call.options.get("author"))
        return _committed(git, made, left or made.left_out)

    def do_branch(self, call: Call) -> Any:
        """List the branches, make one, or delete one."""
        git, name = self._git(call), text(call, 0)
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
            return Message(f"{name}: deleted")
        git.create_branch(name, text(call, 1), switch=False)
        return Message(f"{name}: made; %git switch {name} changes to it")

    def do_switch(self, call: Call) -> Status:
        """Change to a branch."""
        git = self._git(call)
        git.switch(text(call, 0) or "", create="create" in call.options)
        return git.status()

    def do_stash(self, call: Call) -> Any:
        """Put changes aside; list, show, apply, pop or drop them."""
        return undoing.stash(self._git(call), call)

    # Conflicts, and going back

    def do_merge(self, call: Call) -> Any:
        """Begin a merge, end it or give it up."""
        return undoing.merge(self._git(call), call)

    def do_abort(self, call: Call) -> Status:
        """Give up the operation that waits."""
        git = self._git(call)
        git.abort()
        return git.status()

    def do_conflicts(self, call: Call) -> Conflicts:
        """Return the files in conflict, both sides beside each other."""
        return undoing.conflicts(self._git(call), call)

    def do_resolve(self, call: Call) -> Status:
        """Solve files in conflict."""
        return undoing.resolve(self._git(call), call)

    def do_restore(self, call: Call) -> Any:
        """Discard the changes of files."""
        return undoing.restore(self._git(call), call)

    def do_tag(self, call: Call) -> Any:
        """List the tags, make one, or delete one."""
        return undoing.tag(self._git(call), call)

    def do_worktree(self, call: Call) -> Any:
        """List further work trees, add one, or remove one."""
        git, verb = self._git(call), choice(call, ("add", "rm"))
        folder, branch = text(call, 1), text(call, 2)
        if "force" in call.options and verb != "rm":
            raise UsageError(
                "--force has no effect here", service="git", hint="%git worktree rm FOLDER --force"
            )
        if verb is None:
            return git.worktrees()
        if folder is None or (branch is None) == (verb == "add"):
            raise UsageError(
                f"%git worktree {verb} needs a folder" + (" and a branch" * (verb == "add")),
                service="git",
                hint="%git worktree add FOLDER BRANCH, %git worktree rm FOLDER",
            )
        if verb == "add":
            made = git.worktree(folder, branch or "")
            return Message(f"{branch} is checked out in {made.path}")
        git.remove_worktree(folder, force="force" in call.options)
        return Message(f"{folder}: removed")

    # Others

    def do_clone(self, call: Call) -> GitManager:
        """Copy a repository."""
        options = call.options
        with Progress() as progress:
            clone = self._git(call).clone(
                text(call, 0) or "",
                text(call, 1),
                branch=options.get("branch"),
                depth=options.get("depth"),
                recurse_submodules="recurse_submodules" in options,
                timeout=options.get("timeout"),
                progress=progress,
            )
        missing = [row.path for row in clone.submodules() if row.state == "not fetched"]
        if missing:
            count = f"{len(missing):,} {'submodule is' if len(missing) == 1 else 'submodules are'}"
            # Beside the clone, which is the result.
            print(f"{count} not fetched: hub.git.at({str(clone.path)!r}).fetch_submodules()")  # noqa: T201
        return clone

    def do_submodules(self, call: Call) -> Table:
        """List the submodules, or fetch those that are missing."""
        git, verb = self._git(call), choice(call, ("fetch",))
        if verb is None and "timeout" in call.options:
            raise UsageError(
                "--timeout has no effect on the list", service="git", hint="%git submodules fetch"
            )
        if verb == "fetch":
            with Progress() as progress:
                git.fetch_submodules(timeout=call.options.get("timeout"), progress=progress)
        return git.submodules()

    def do_push(self, call: Call) -> Table:
        """Send a branch."""
        git = self._git(call)
        branch = text(call, 1) or _current(git)
        with Progress() as progress:
            return git.push(
                text(call, 0) or "origin",
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
                text(call, 0) or "origin",
                text(call, 1),
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
                text(call, 0) or "origin",
                prune="prune" in call.options,
                timeout=call.options.get("timeout"),
                progress=progress,
            )
        return git.status()

    def do_remote(self, call: Call) -> Table:
        """List the remotes, add one, or remove one."""
        git, verb = self._git(call), choice(call, ("add", "rm"))
        name, url = text(call, 1), text(call, 2)
        if verb is not None and (name is None or (url is None) == (verb == "add")):
            raise UsageError(
                f"%git remote {verb} needs a name" + (" and a URL" * (verb == "add")),
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


def _committed(git: GitManager, sha: str, left: LeftOut | None = None) -> _Sha:
    """Return a commit's name that shows its branch and subject."""
    made = _Sha(sha)
    made.about = f"{git.current_branch() or 'no branch'} {sha[:10]}: {git.log(1)[0].subject}"
    if left:
        made.about += f"\n{left}"
    return made


def _current(git: GitManager) -> str:
    branch = git.current_branch()
    if branch is None:
        raise UsageError("no branch is checked out", service="git", hint="name one to push")
    return branch
