"""Git on 5,000 files: status, diff, log and commits, beside the command line."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

from rounds import Row, by_turns, ratio, spelt

from agentnb.core.git import GitManager
from agentnb.core.git.log import FORMAT

FILES, FOLDERS, CHANGED, COMMITS = 5000, 50, 50, 1000
CLI = "git"


def command(folder, *words):
    """Run git as a script does, and return what it says."""
    return subprocess.run(
        ["git", *words], cwd=folder, check=True, stdin=subprocess.DEVNULL, capture_output=True
    ).stdout


def repository(folder):
    """Make a repository of 5,000 files and 1,000 commits, of which 50 files have changed."""
    git = GitManager(folder)
    git.initialize()
    for number in range(FILES):
        path = git.path / f"folder{number % FOLDERS}" / f"file{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"def function{number}():\n    return {number}\n" * 5)
    git.add_files()
    git.commit("first")
    history = "".join(
        "commit refs/heads/main\ncommitter Ada <ada@example.com> "
        f"{1_700_000_000 + number} +0000\ndata 10\nnumber{number:04}\n"
        + ("from refs/heads/main^0\n" if number == 0 else "")
        for number in range(COMMITS)
    )
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=folder, check=True, input=history.encode()
    )
    for number in range(CHANGED):
        path = git.path / f"folder{number % FOLDERS}" / f"file{number}.py"
        path.write_text(f"def changed{number}():\n    return {number}\n" * 5)
    # Once, so that nobody has to read files again that look as if they had just been written.
    command(folder, "status")
    return git


class Commits:
    """Changes a file and commits it, in another way for each candidate."""

    def __init__(self, git, name):
        self.git, self.name, self.number = git, name, 0
        self.path = f"{name}.txt"

    def _change(self):
        self.number += 1
        (self.git.path / self.path).write_text(f"{self.number}\n")

    def staged_cli(self):
        self._change()
        command(self.git.path, "add", "--", self.path)
        command(self.git.path, "commit", "-m", "x")

    def staged_ours(self):
        self._change()
        self.git.add_files([self.path])
        self.git.commit("x")

    def paths_cli(self):
        self._change()
        command(self.git.path, "add", "--intent-to-add", "--", self.path)
        command(self.git.path, "commit", "-m", "x", "--only", "--", self.path)

    def paths_ours(self):
        self._change()
        self.git.commit("x", paths=[self.path])


def measure(*, quick):
    """Return the rows of this subject."""
    rounds = 7 if quick else 31
    with tempfile.TemporaryDirectory(prefix="agentnb-git-") as folder:
        settings = Path(folder) / "gitconfig"
        settings.write_text("[user]\nname = Ada\nemail = ada@example.com\n[gc]\nauto = 0\n")
        os.environ |= {"GIT_CONFIG_GLOBAL": str(settings), "GIT_CONFIG_NOSYSTEM": "1"}
        git = repository(Path(folder) / "repository")
        path = git.path
        status = ("status", "--porcelain=v2", "--branch", "-z")
        log = ("log", "-z", "-n", str(COMMITS), f"--format={FORMAT}")
        subjects = [
            ("status", lambda: command(path, *status), git.status, 1.15),
            ("diff of 50 files", lambda: command(path, "diff"), git.diff, 1.15),
            ("log of 1,000 commits", lambda: command(path, *log), lambda: git.log(COMMITS), 1.15),
            (
                "add and commit of a file",
                Commits(git, "cli").staged_cli,
                Commits(git, "ours").staged_ours,
                1.15,
            ),
            (
                "commit of a path, what else is staged kept",
                Commits(git, "cli2").paths_cli,
                Commits(git, "ours2").paths_ours,
                1.3,
            ),
        ]
        rows = []
        for what, theirs, ours, target in subjects:
            found = by_turns({CLI: theirs, "agentnb": ours}, rounds=rounds, clock=perf_counter)
            shown = f"the command line {spelt(found[CLI], 'ms')}"
            value = ratio(found, "agentnb", CLI)
            about = f"git {what}, in 5,000 files"
            rows.append(Row(about, spelt(found["agentnb"], "ms"), shown, value, target))
        return rows
