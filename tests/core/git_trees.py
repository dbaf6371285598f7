"""Random repositories, and what differs in them by contents alone, without reading a patch."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

NAMES = (
    *("a", "b.txt", "dir/c", "dir/d.py", "dir/deep/e", "a b", "x b", "x b/x", "-dash", "ä/ö"),
    *('q"uote', "back\\slash", "t\tab", "new\nline", "* Unmerged path z", "z", ":(top)a"),
    *("a\ndiff --git b/z b/z\n@@ -1 +1 @@\n-z", "n.ipynb", os.fsdecode(b"\xff\xfe"), "LF\r"),
)
LINES = (
    *(b"", b"one", b"two", b"three", b"@@ -1 +1 @@", b"diff --git a/a b/a", b"--- a/a", b"+++ b/a"),
    *(
        b"-- x",
        b"++ x",
        b"\\ No newline at end of file",
        b"* Unmerged path z",
        b"\xff\xfe",
        b"cr\r",
    ),
    *(b"Binary files a/a and b/b differ", b"diff --cc a", b"GIT binary patch", "ä".encode()),
)
FILE, LINK, MODULE = "file", "link", "module"


class Trees:
    """A repository with two branches, and perhaps a merge that waits to be solved.

    Parameters
    ----------
    folder
        Where it is made.
    seed
        What is in it.
    """

    def __init__(self, folder, seed):
        self.path = Path(folder)
        self.random = random.Random(seed)
        self.git("init", "-q", "-b", "main")
        for name in self.random.sample(NAMES, self.random.randint(2, 9)):
            self.put(name)
        self.commit("first")
        self.git("switch", "-q", "-c", "topic")
        self.mutate()
        self.commit("topic")
        self.git("switch", "-q", "main")
        self.mutate()
        self.commit("main")
        self.merging = self.random.random() < 0.6
        if self.merging:
            self.git("merge", "-q", "topic", check=False)
            if self.random.random() < 0.3:
                self.mutate(2)
        else:
            self.mutate()
            self.git("add", "-A")
            self.mutate(3)

    def git(self, *words, feed=None, check=True):
        done = subprocess.run(
            ["git", "-c", "core.protectNTFS=false", *words],
            cwd=self.path,
            input=feed,
            capture_output=True,
            check=False,
        )
        assert not check or done.returncode == 0, (words, done.stderr)
        return done.stdout

    def commit(self, subject):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)

    def text(self):
        lines = self.random.choices(LINES, k=self.random.randint(0, 12))
        end = b"\n" if self.random.random() < 0.8 else b""
        return b"\n".join(lines) + end if lines else b""

    def put(self, name, kind=None):
        """Put a file, a link or a submodule in the place of whatever is there."""
        kind = kind or self.random.choices((FILE, LINK, MODULE), (8, 2, 1))[0]
        whole = self.path / name
        for folder in whole.parents:
            if folder != self.path and (folder.is_symlink() or folder.is_file()):
                folder.unlink()
        self.drop(name)
        whole.parent.mkdir(parents=True, exist_ok=True)
        if kind == LINK:
            whole.symlink_to(self.random.choice(("a", "nowhere", "../out", "one\ntwo")))
        elif kind == FILE:
            data = self.text()
            whole.write_bytes(data if self.random.random() < 0.9 else b"\0" + data)
            whole.chmod(self.random.choice((0o644, 0o644, 0o755)))
        else:
            whole.mkdir()
            head = f"{self.random.getrandbits(160):040x}"
            entry = f"160000 {head}\t{name}\0".encode("utf-8", "surrogateescape")
            self.git("rm", "-rq", "--cached", "--ignore-unmatch", "--", f":(literal){name}")
            self.git("update-index", "-z", "--index-info", feed=entry, check=False)

    def drop(self, name):
        whole = self.path / name
        if whole.is_dir() and not whole.is_symlink():
            subprocess.run(["rm", "-rf", whole], check=True)
            self.git("rm", "-rq", "--cached", "--ignore-unmatch", "--", f":(literal){name}")
        elif os.path.lexists(whole):
            whole.unlink()

    def mutate(self, most=6):
        for _ in range(self.random.randint(1, most)):
            listed = self.git("ls-files", "-z").split(b"\0")[:-1]
            names = sorted({os.fsdecode(name) for name in listed}) or ["a"]
            name = self.random.choice(names)
            whole = self.path / name
            step = self.random.choice(("edit", "edit", "put", "new", "drop", "move", "mode"))
            if step == "put":
                self.put(name)
            elif step == "new":
                self.put(self.random.choice(NAMES))
            elif step == "drop":
                self.drop(name)
            elif whole.is_symlink() or not whole.is_file():
                continue
            elif step == "edit":
                lines = whole.read_bytes().split(b"\n")
                lines[self.random.randrange(len(lines))] = self.random.choice(LINES)
                whole.write_bytes(b"\n".join(lines))
            elif step == "mode":
                whole.chmod(whole.stat().st_mode ^ 0o111)
            else:
                data, other = whole.read_bytes(), self.random.choice(NAMES)
                self.put(other, FILE)
                if whole.is_file():
                    (self.path / other).write_bytes(data)
                    whole.unlink()

    # By contents

    def of_revision(self, revision):
        """Return mode and content of each path in a revision."""
        fields = self.git("ls-tree", "-rz", revision).split(b"\0")[:-1]
        return self._contents((line.partition(b"\t") for line in fields), 2)

    def staged(self, stage=b"0"):
        """Return mode and content of each path of a stage."""
        fields = self.git("ls-files", "-sz").split(b"\0")[:-1]
        parts = (line.partition(b"\t") for line in fields)
        return self._contents((part for part in parts if part[0].endswith(stage)), 1)

    def _contents(self, parts, at):
        found = {path: about.split(b" ") for about, _, path in parts}
        shas = [about[at] for about in found.values() if about[0] != b"160000"]
        blobs = self._blobs(shas)
        return {
            os.fsdecode(path): (
                about[0].decode(),
                blobs[about[at]]
                if about[0] != b"160000"
                else b"Subproject commit " + about[at] + b"\n",
            )
            for path, about in found.items()
        }

    def _blobs(self, shas):
        data = self.git("cat-file", "--batch", feed=b"".join(sha + b"\n" for sha in shas))
        found, at = {}, 0
        for sha in shas:
            end = data.index(b"\n", at)
            size = int(data[at:end].split(b" ")[2])
            found[sha] = data[end + 1 : end + 1 + size]
            at = end + 1 + size + 1
        return found

    def on_disk(self, known):
        """Return mode and content on disk of the paths of an index."""
        found = {}
        for path, (mode, data) in known.items():
            whole = self.path / path
            if any(folder.is_symlink() for folder in whole.parents if folder != self.path):
                continue
            if whole.is_symlink():
                found[path] = "120000", os.fsencode(whole.readlink())
            elif whole.is_file():
                executable = whole.stat().st_mode & 0o100
                found[path] = "100755" if executable else "100644", whole.read_bytes()
            elif whole.is_dir() and mode == "160000":
                found[path] = mode, data
        return found


def applied(data, hunks):
    """Return what hunks make of a content.

    Raises
    ------
    AssertionError
        They do not fit it.
    """
    lines, result, at = data.split(b"\n"), [], 0
    lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    for hunk in hunks:
        start = max(hunk.old - 1, 0)
        old, new = sides(hunk)
        if not old:
            start = hunk.old  # behind that line
        result += lines[at:start]
        assert lines[start : start + len(old)] == old
        result += new
        at = start + len(old)
    return b"".join(result + lines[at:])


def sides(hunk, side=0):
    """Return the lines of a hunk as one side and the result have them."""
    old, new = [], []
    for number, line in enumerate(hunk.lines):
        if line.startswith("\\"):
            continue
        signs = line[: hunk.signs] or " "
        data = line[hunk.signs :].encode("utf-8", "surrogateescape")
        ends = hunk.lines[number + 1 : number + 2]
        data += b"" if ends and ends[0].startswith("\\") else b"\n"
        if signs[side : side + 1] in ({"-"} if "-" in signs else {" ", ""}):
            old.append(data)
        if "-" not in signs:
            new.append(data)
    return old, new
