"""The git panel: changes, staging, commits, branches, the graph and the remote."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.git.status import WORDS
from agentnb.panels.base import (
    HtmlBlock,
    Instruction,
    Paced,
    Panel,
    TableView,
    button,
    choice,
    label,
    row,
    split,
    stack,
    text_box,
)
from agentnb.panels.base.cells import plain
from agentnb.panels.git.snapshot import Snapshot, sync_text, take
from agentnb.panels.git.solving import MergeBar, SolveButtons

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.git import GitManager
    from agentnb.core.git.status import Change
    from agentnb.core.hub import Hub

__all__ = ["GitPanel", "make"]

P = ParamSpec("P")

LISTED: Final = 2000
_NO_REPOSITORY: Final = "No git repository here. Type in a cell:  %git init"
_CLEAN: Final = "Nothing has changed since the last commit."
_PICK: Final = Instruction("Select a file to see its changes.")
_KEYS: Final = (("Shift+Enter or Ctrl+Enter", "in the message: commit the staged changes"),)
_NO_BRANCH: Final = "(no branch)"
_WORDS: Final = WORDS | {"?": "untracked"}
# Looking may take this share of the time: in a huge tree it is slow.
_SHARE: Final = 0.2


class GitPanel:
    """The state and the actions of the panel; `panel` composes the widgets.

    Parameters
    ----------
    hub
        The hub.
    repo
        A folder of the workspace; by default the working directory's repository.
    every
        Seconds between two looks at the repository.
    """

    def __init__(self, hub: Hub, *, repo: str | None = None, every: float | None = 3.0) -> None:
        # Bound to a folder from now on, wherever the notebook goes.
        self._git: GitManager = hub.git if repo is None else hub.repo(repo)
        self._picked: str | None = None
        self._known: dict[str, Change] = {}
        self._generation = 0
        self._looked: Paced[Snapshot] = Paced(_SHARE)
        self.panel = Panel("Git", every=every, redactor=hub.settings.redactor, keys_help=_KEYS)
        act, say = self.panel.action, self.panel.say

        def acting(function: Callable[[], str], text: str, about: str, icon: str) -> Any:
            return button(text, act(self._done(function), say), tooltip=about, icon=icon)

        self.branches = choice([], tooltip="Branch", on_change=act(self._done(self._switch), say))
        self.new_branch = text_box(
            placeholder="New branch · Enter",
            width="150px",
            on_change=act(self._done(self._create), say),
        )
        self.sync = label("", dim=True)
        self.fetch = acting(self._fetch, "Fetch", "Fetch the remote's commits", "refresh")
        self.pull = acting(
            self._pull, "Pull", "Fast-forward the branch to the remote's", "arrow-down"
        )
        self.push = acting(self._push, "Push", "Push the branch to the remote", "arrow-up")
        self.files = TableView(
            ("file", "staged", "not staged"),
            key="file",
            label="Changes",
            hint=_CLEAN,
            on_select=act(self._pick),
            height="300px",
            noun=("file", "files"),
        )
        self.stage = acting(self._stage, "Stage", "Stage the selected file", "plus")
        self.unstage = acting(self._unstage, "Unstage", "Unstage the selected file", "minus")
        self.stage_all = acting(self._stage_all, "Stage all", "Stage every change", "")
        self.unstage_all = acting(self._unstage_all, "Unstage all", "Unstage every change", "")
        self.merge = MergeBar(self.panel, self._git, self._done)
        self.solve = SolveButtons(self.panel, self._git, self._done, self._picked_or_error)
        self.message = text_box(
            placeholder="The message of the commit", tooltip="Message of the commit", rows=3
        )
        commit = act(self._done(self._commit), say)
        self.commit = button(
            "Commit",
            commit,
            tooltip="Commit the staged changes: Shift+Enter or Ctrl+Enter in the message",
            icon="check",
            primary=True,
        )
        self.panel.on_submit(self.message, commit)
        self.pick = label(_PICK, dim=True)
        self.diff = HtmlBlock("Difference", height="430px")
        self.beside = stack(self.diff)
        self.graph = HtmlBlock("History", height="260px")
        self.panel.compose(
            row(self.branches, self.new_branch, self.fetch, self.pull, self.push, self.sync),
            self.merge,
            split(
                stack(
                    self.files,
                    self.pick,
                    row(self.stage, self.unstage, self.stage_all, self.unstage_all),
                    self.solve,
                    self.message,
                    row(self.commit),
                ),
                self.beside,
                wide_left=True,
            ),
            self.graph,
        ).keep_fresh(self._load, self._show)
        self._enable(None)

    # Looking

    def _load(self) -> Snapshot | None:
        with self.panel.lock:
            picked, generation = self._picked, self._generation
        if self._git.repository() is None:
            return None

        def read() -> Snapshot:
            return take(self._git, generation, picked)

        snapshot = self._looked.get(read)
        if (snapshot.generation, snapshot.picked) != (
            generation,
            picked,
        ):  # another file was picked in between
            self._looked.reset()
            snapshot = self._looked.get(read)
        return snapshot

    def _show(self, snapshot: Snapshot | None) -> None:
        if snapshot is None:
            self.files.update([], hint=_NO_REPOSITORY)
            self.merge.show(None)
            self._enable(None)
            self._show_beside(changed=False)
            return
        if snapshot.generation != self._generation:
            return  # it began before something was done, after which there is another look
        status = snapshot.status
        self._known = {change.path: change for change in status.changes}
        rows = [
            (change.path, _WORDS.get(change.index.strip("?"), ""), _WORDS.get(change.work, ""))
            for change in status.changes[:LISTED]
        ]
        more = len(status.changes) - LISTED
        self.files.update(rows, note=f"first {LISTED:,}" if more > 0 else "", hint=_CLEAN)
        self.sync.value = escape(sync_text(status))
        self.merge.show(status)
        self._show_branches(status.branch or _NO_BRANCH, snapshot.branches)
        self.graph.show(snapshot.log._repr_html_())
        if snapshot.picked == self._picked:
            self.diff.show(snapshot.changes)
        self._enable(self._known.get(self._picked or ""))
        self._show_beside(changed=bool(self._known))

    def _show_beside(self, *, changed: bool) -> None:
        """Give the whole width to the files where none is picked."""
        picked = self._picked in self._known
        self.beside.layout.display = None if picked else "none"
        self.pick.layout.display = "none" if picked or not changed else None

    def _show_branches(self, current: str, names: list[str]) -> None:
        self.branches.show(names if current in names else [current, *names], current)

    def _enable(self, change: Change | None) -> None:
        """Enable the actions that the selected file, and all files, allow."""
        self.stage.disabled = change is None or not change.work
        self.unstage.disabled = change is None or not change.staged
        self.stage_all.disabled = not any(each.work for each in self._known.values())
        staged = any(each.staged for each in self._known.values())
        self.unstage_all.disabled = not staged
        conflict = any(each.conflict for each in self._known.values())
        self.commit.disabled = conflict or not staged
        self.solve.show(change)

    # Doing

    def _done(self, function: Callable[P, str]) -> Callable[P, str]:
        """Return a function after which the repository is looked at anew."""

        def run(*args: P.args, **kwargs: P.kwargs) -> str:
            try:
                return function(*args, **kwargs)
            finally:
                with self.panel.lock:
                    self._generation += 1
                    self._looked.reset()

        return run

    def _pick(self, path: str) -> None:
        """Display the changes of a file, or hide them if they are displayed already."""
        with self.panel.lock:
            self._picked = None if self._picked == path else path
            if self._picked is None:
                self.files.select(None)
            self._looked.reset()

    def _picked_or_error(self) -> str:
        if self._picked is None or self._picked not in self._known:
            raise UsageError("no file is selected", service="git", hint="click a file in the list")
        return self._picked

    def _stage(self) -> str:
        path = self._picked_or_error()
        self._git.add_files([path])
        return f"{plain(path)}: staged"

    def _unstage(self) -> str:
        path = self._picked_or_error()
        was = self._known[path].was
        self._git.unstage_files([each for each in (path, was) if each])
        return f"{plain(path)}: no longer staged"

    def _stage_all(self) -> str:
        left = self._git.at(self._git.root).add_files()
        return plain(f"everything else is staged; {left}") if left else "everything is staged"

    def _unstage_all(self) -> str:
        self._git.at(self._git.root).unstage_files()
        return "nothing is staged now"

    def _commit(self) -> str:
        message = self.message.value.strip()
        if not message:
            raise UsageError(
                "a commit needs a message", service="git", hint="type the message above"
            )
        sha = self._git.commit(message)
        with self.panel.lock:
            self.message.value = ""
        return f"committed {sha[:10]}: {message.splitlines()[0]}"

    def _switch(self, name: str) -> str:
        if name in {_NO_BRANCH, self._git.current_branch()}:
            return ""
        self._git.switch(name)
        return f"on {name}"

    def _create(self, name: str) -> str:
        name = name.strip()
        if not name:
            return ""
        self._git.create_branch(name)
        with self.panel.lock:
            self.new_branch.value = ""
            self._generation += 1  # a look that is under way does not know it
            self._looked.reset()
            # Before it is said: the old one would be taken for the current one, and to choose
            # that one is no change of the list's.
            self._show_branches(name, list(dict.fromkeys([*self.branches.options, name])))
        return f"on {name}, which is new"

    def _remote(self) -> str:
        remotes = [found.remote for found in self._git.remotes()]
        if not remotes:
            raise NotFoundError(
                "there is no remote", service="git", hint="%git remote add origin URL"
            )
        return "origin" if "origin" in remotes else str(remotes[0])

    def _fetch(self) -> str:
        remote = self._remote()
        self._git.fetch(remote)
        return f"fetched from {remote}"

    def _pull(self) -> str:
        sha = self._git.pull(self._remote())
        return f"the branch is at {sha[:10]}"

    def _push(self) -> str:
        branch = self._git.current_branch()
        if branch is None:
            raise UsageError(
                "no branch is checked out", service="git", hint="select a branch above"
            )
        done = self._git.push(self._remote(), branch)
        return ", ".join(f"{each.branch} → {each.to}: {each.state}" for each in done)


def make(hub: Hub, **options: Any) -> Panel:
    """Return the git panel of a hub.

    Parameters
    ----------
    hub
        The hub.
    **options
        As `GitPanel` takes them.
    """
    return GitPanel(hub, **options).panel
