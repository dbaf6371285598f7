"""A repository that is set with traps, and a tour that touches everything in it."""

from __future__ import annotations

import shutil

from agentnb.core.errors import AgentnbError

HOOKS = (
    *("pre-commit", "commit-msg", "prepare-commit-msg", "post-commit", "post-checkout"),
    *("post-merge", "pre-push", "pre-rebase", "post-rewrite", "reference-transaction"),
    *("post-index-change", "pre-merge-commit", "pre-auto-gc", "sendemail-validate"),
)
RECEIVING = ("pre-receive", "update", "post-receive", "post-update", "reference-transaction")


def make_pattern(folder, git):
    """Make the repository and its remote that each den is a copy of."""
    git(folder, "init", "-q", "--bare", "-b", "main", "remote.git")
    git(folder, "init", "-q", "-b", "main", "repo")
    path = folder / "repo"
    for name in ("a.txt", "b.txt", "c.md"):
        (path / name).write_text(f"{name}\n" * 20)
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "first")
    git(path, "remote", "add", "origin", str(folder / "remote.git"))
    git(path, "push", "-q", "-u", "origin", "main")


def _copy(pattern, folder):
    skipped = shutil.ignore_patterns("*.sample")
    for name in ("repo", "remote.git"):
        shutil.copytree(pattern / name, folder / name, ignore=skipped)


class Den:
    """A repository, its remote, and what a trap springs."""

    def __init__(self, folder, plain_git, pattern):
        self.folder, self.git = folder, plain_git
        self.canary = folder / "canary"
        self.script = folder / "evil"
        # Passes its input on, as a filter that works does, so that nothing stops before a trap.
        self.script.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.canary}\ncat 2>/dev/null\n')
        self.script.chmod(0o755)
        # Ends at once, where git would wait for an answer.
        self.curt = folder / "curt"
        self.curt.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.canary}\nexit 1\n')
        self.curt.chmod(0o755)
        self.remote = folder / "remote.git"
        self.path = folder / "repo"
        _copy(pattern, folder)
        config = self.path / ".git" / "config"
        config.write_text(config.read_text().replace(str(pattern), str(folder)))
        # Files of a copy are others than those that the index knows.
        self("update-index", "-q", "--refresh")

    def __call__(self, *words, check=True):
        return self.git(self.path, *words, check=check)

    def config(self, key, value=None):
        self("config", key, value or str(self.script))

    def hooks(self, folder, names):
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(self.script, folder / name)

    def attributes(self, text):
        (self.path / ".git" / "info").mkdir(exist_ok=True)
        (self.path / ".git" / "info" / "attributes").write_text(text)

    @property
    def sprung(self):
        return self.canary.read_text() if self.canary.exists() else ""


def touch(den):
    """Change a file to another of the same size, so that git has to look into it."""
    (den.path / "a.txt").write_text("A.txt\n" * 20)


def undoing(git):
    """Yield the steps that leave a conflict and go back."""
    path = git.path
    yield lambda: git.create_branch("topic")
    yield lambda: (path / "a.txt").write_text("theirs\n")
    yield lambda: git.commit("theirs", paths=["a.txt"])
    yield lambda: git.switch("main")
    yield lambda: (path / "a.txt").write_text("ours\n")
    yield lambda: git.commit("ours", paths=["a.txt"])
    yield lambda: git.merge("topic")
    yield git.merge_abort
    yield lambda: git.merge("topic")
    yield lambda: git.conflicts()._repr_html_()
    yield lambda: git.resolve("a.txt", "theirs")
    yield git.merge_continue
    yield git.merge_abort
    yield lambda: (path / "a.txt").write_text("gone\n")
    yield lambda: git.restore("a.txt")
    yield lambda: git.restore(".", source="HEAD~1")
    yield lambda: git.restore(".")
    yield lambda: (path / "c.md").write_text("stashed\n")
    yield git.stash
    yield lambda: git.stash_show()._repr_html_()
    yield git.stash_apply
    yield git.stash_drop
    yield lambda: git.restore(".")
    yield lambda: git.create_tag("v1", message="one")
    yield git.tags
    yield lambda: git.delete_tag("v1")
    yield lambda: git.amend("amended", force=True)
    yield lambda: git.show_file("a.txt", "HEAD~1")
    yield git.submodules
    yield git.fetch_submodules


def everything(git):
    """Do all that can be done with a repository; return how many of the steps were refused."""
    path = git.path
    refused = 0

    def steps():
        yield git.status
        yield lambda: git.status(untracked="all")
        yield lambda: git.diff()._repr_html_()
        yield git.get_diff
        yield lambda: git.diff(cached=True)
        yield lambda: repr(git.log(every=True))
        yield lambda: repr(git.show())
        yield git.branches
        yield git.remotes
        yield git.names
        yield git.worktrees
        yield lambda: (path / "new.txt").write_text("new\n")
        yield lambda: (path / "b.txt").write_text("b\n")
        yield lambda: git.commit("paths", paths=["b.txt", "new.txt"])
        yield lambda: git.commit("dry", paths=["a.txt"], dry_run=True)
        yield git.add_files
        yield git.unstage_files
        yield git.add_files
        yield lambda: git.commit("all")
        yield lambda: git.commit("empty", allow_empty=True)
        yield lambda: (path / "c.md").write_text("c\n")
        yield lambda: git.stash("aside")
        yield git.stashes
        yield git.stash_pop
        yield lambda: git.commit("c", paths=["c.md"])
        yield from undoing(git)
        yield lambda: git.delete_branch("topic", force=True)
        yield lambda: git.worktree("../tree", "tree")
        yield lambda: git.remove_worktree("../tree", force=True)
        yield lambda: [git.remove_worktree(row.worktree) for row in git.worktrees()[1:]]
        yield git.fetch
        yield git.pull
        yield lambda: git.pull(rebase=True)
        yield lambda: git.push(dry_run=True)
        yield git.push
        yield lambda: git.push(force=True)
        yield lambda: git.clone(str(path), "../copy")
        yield lambda: git.clone(path.as_uri(), "../copied", recurse_submodules=True)
        yield git.initialize

    for number, step in enumerate(steps()):
        try:
            step()
        except AgentnbError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"step {number} of the tour: {error!r}") from error
    return refused
