"""The workspace against a model of it: a dictionary of paths."""

from __future__ import annotations

import contextlib
import fnmatch
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentnb.core.errors import (
    FileChanged,
    NotFoundError,
    PathEscape,
    RejectedError,
    UsageError,
)
from agentnb.core.files import FileSystemManager, hash_of
from agentnb.core.files.confinement import Openat2, Walk

FOLDER = None
QUOTA = 400
SIZE = 120
# Few enough for the steps to meet.
PATHS = st.sampled_from(["a", "a/b", "a/c.txt", "a/b/c.txt", "b", "c.txt", ".env", "a/.env/b"])
# A path, or the number of a file that is there.
KNOWN = st.integers(0, 9) | st.integers(0, 9) | PATHS
TEXTS = st.lists(st.sampled_from(["x", "yy\n", "é", "zz\r\n", "x" * 50]), max_size=4).map("".join)
EXPECTED = (NotFoundError, UsageError, RejectedError)


def around(path):
    return [path[:at] for at, character in enumerate(path) if character == "/"]


class Workspace(RuleBasedStateMachine):
    """Does the same to a workspace and to a dictionary of its texts; None is a folder."""

    @initialize(resolver=st.sampled_from([Openat2, Walk]))
    def begin(self, resolver):
        self.top = Path(tempfile.mkdtemp(prefix="agentnb-model-", dir="/tmp"))
        self.model = {}
        self.files = FileSystemManager(
            self.top / "ws",
            resolver=resolver(),
            home=self.top / "home",
            quota=QUOTA,
            max_size=SIZE,
        )
        for path, text in (("a/b", "x\nyy\n"), ("c.txt", "yy\r\né")):
            self.files.write_file(path, text)
            self.make_around(path)
            self.model[path] = text

    def teardown(self):
        if hasattr(self, "top"):
            self.files.close()
            shutil.rmtree(self.top)

    # What the model says

    def path_of(self, known):
        files = sorted(path for path, text in self.model.items() if text is not FOLDER)
        if isinstance(known, str):
            return known
        return files[known % len(files)] if files else "a"

    def is_hidden(self, path):
        return ".env" in path.split("/")

    def is_blocked(self, path):
        """Tell whether a file lies where a folder around this path would have to be."""
        return any(self.model.get(one, FOLDER) is not FOLDER for one in around(path))

    def make_around(self, path):
        for one in around(path):
            self.model.setdefault(one, FOLDER)

    def below(self, path):
        return {one: text for one, text in self.model.items() if one.startswith(f"{path}/")}

    def used(self):
        return sum(len(text.encode()) for text in self.model.values() if text is not FOLDER)

    def fits(self, path, text):
        size, before = len(text.encode()), self.model.get(path, FOLDER)
        more = size - (len(before.encode()) if before is not FOLDER else 0)
        return size <= SIZE and (more <= 0 or self.used() + more <= QUOTA)

    def refused(self, call, *kinds):
        """Expect one of these errors."""
        try:
            call()
        except kinds:
            return
        raise AssertionError("it was not refused")

    def can_write(self, path, call):
        """Tell whether a file can come to be at a path; else expect that the call fails."""
        if self.is_hidden(path):
            self.refused(call, PathEscape)
        elif self.is_blocked(path) or (path in self.model and self.model[path] is FOLDER):
            # Folders on the way to a file that cannot be are made up to there.
            self.refused(call, *EXPECTED)
            self.sync_folders()
        else:
            return True
        return False

    def sync_folders(self):
        for path in self.files.glob("**"):
            if path not in self.model and (self.files.root / path).is_dir():
                self.model[path] = FOLDER

    # What is done

    @rule(path=KNOWN, text=TEXTS, check=st.booleans())
    def write(self, path, text, check):
        path = self.path_of(path)
        before = self.model.get(path, FOLDER)
        options = {"if_hash": "" if before is FOLDER else hash_of(before)} if check else {}

        def call():
            self.files.write_file(path, text, **options)

        if not self.can_write(path, call):
            return
        if not self.fits(path, text):
            self.refused(call, RejectedError)
            self.sync_folders()
            return
        call()
        self.make_around(path)
        self.model[path] = text

    @rule(path=PATHS)
    def write_what_has_changed(self, path):
        with contextlib.suppress(PathEscape, UsageError, NotFoundError):
            self.refused(lambda: self.files.write_file(path, "", if_hash="0" * 64), FileChanged)
        self.sync_folders()

    @rule(path=KNOWN, text=TEXTS)
    def append(self, path, text):
        path = self.path_of(path)

        def call():
            self.files.append(path, text)

        if not self.can_write(path, call):
            return
        before = self.model.get(path, FOLDER)
        whole = ("" if before is FOLDER else before) + text
        if not self.fits(path, whole):
            self.refused(call, RejectedError)
            self.sync_folders()
            return
        call()
        self.make_around(path)
        self.model[path] = whole

    @rule(path=KNOWN, old=st.sampled_from(["x", "yy\n", "é"]), new=TEXTS)
    def edit(self, path, old, new):
        path = self.path_of(path)

        def call():
            self.files.edit(path, old, new)

        text = self.model.get(path, FOLDER)
        plain = "" if text is FOLDER else text.replace("\r\n", "\n")
        if self.is_hidden(path) or plain.count(old) != 1 or old == new.replace("\r\n", "\n"):
            self.refused(call, *EXPECTED)
            return
        try:
            call()
        except RejectedError:
            # The room is reckoned with two characters for each line end.
            most = plain.replace(old, new).replace("\n", "\r\n")
            assert not self.fits(path, most)
            return
        after = self.files.read_file(path)
        assert after.replace("\r\n", "\n") == plain.replace(old, new.replace("\r\n", "\n"))
        self.model[path] = after

    @rule(path=PATHS)
    def make_folder(self, path):
        def call():
            self.files.ensure_directory(path)

        if self.is_hidden(path):
            self.refused(call, PathEscape)
        elif self.is_blocked(path) or self.model.get(path, FOLDER) is not FOLDER:
            self.refused(call, *EXPECTED)
            self.sync_folders()
        else:
            call()
            self.make_around(path)
            self.model[path] = FOLDER

    @rule(path=KNOWN, recursive=st.booleans())
    def delete(self, path, recursive):
        path = self.path_of(path)

        def call():
            return self.files.delete(path, recursive=recursive)

        inner = self.below(path)
        if self.is_hidden(path):
            self.refused(call, PathEscape)
        elif path not in self.model or (inner and not recursive):
            self.refused(call, NotFoundError, UsageError)
        else:
            assert call() == 1 + len(inner)
            for one in [path, *inner]:
                del self.model[one]

    @rule(source=KNOWN, goal=PATHS, overwrite=st.booleans())
    def move(self, source, goal, overwrite):
        source = self.path_of(source)

        def call():
            self.files.move(source, goal, overwrite=overwrite)

        if self.is_hidden(source) or self.is_hidden(goal):
            self.refused(call, PathEscape, NotFoundError, UsageError)
            self.sync_folders()
            return
        before = dict(self.model)
        try:
            call()
        except (NotFoundError, UsageError, RejectedError):
            fine = source in before and goal not in before and not self.is_blocked(goal)
            assert not fine or goal.startswith(f"{source}/")
            self.sync_folders()
            return
        assert source in before
        assert overwrite or goal not in before
        if source == goal:
            return
        moved = {goal: before[source]}
        moved |= {goal + one.removeprefix(source): text for one, text in self.below(source).items()}
        for one in [source, *self.below(source)]:
            del self.model[one]
        self.make_around(goal)
        self.model |= moved

    @rule(source=KNOWN, goal=PATHS)
    def copy(self, source, goal):
        source = self.path_of(source)
        text = self.model.get(source, FOLDER)

        def call():
            return self.files.copy_file(source, goal)

        if text is FOLDER or self.is_hidden(goal) or self.is_hidden(source):
            self.refused(call, *EXPECTED)
            self.sync_folders()
            return
        if not self.can_write(goal, call):
            return
        # A copy takes its whole size until what it replaces is gone.
        if self.used() + len(text.encode()) > QUOTA:
            with contextlib.suppress(RejectedError):
                call()
                self.model[goal] = text
            self.sync_folders()
            return
        assert call().size == len(text.encode())
        self.make_around(goal)
        self.model[goal] = text

    @rule(path=KNOWN, count=st.integers(1, 4))
    def read_parts(self, path, count):
        path = self.path_of(path)
        text = self.model.get(path, FOLDER)
        if text is FOLDER:
            self.refused(lambda: self.files.read_file(path, head=count), *EXPECTED)
            return
        lines = text.split("\n")
        lines = [f"{line}\n" for line in lines[:-1]] + [lines[-1]] * bool(lines[-1])
        assert self.files.read_file(path, head=count) == "".join(lines[:count])
        assert self.files.read_file(path, tail=count) == "".join(lines[-count:])
        assert self.files.read_file(path, offset=0, length=len(text.encode()) + count) == text

    # What is always so

    @invariant()
    def it_is_as_the_model_says(self):
        if not hasattr(self, "model"):
            return
        assert self.files.glob("**") == sorted(self.model)
        for path, text in self.model.items():
            if text is not FOLDER:
                assert self.files.read_file(path) == text
        for pattern in ("*", "**/c.txt", "{a,b}/*", "[^a]*"):
            wanted = {
                path
                for one in ([pattern] if "{" not in pattern else ["a/*", "b/*"])
                for path in self.model
                if path.count("/") == one.count("/") and "**" not in one
                if all(
                    fnmatch.fnmatchcase(name, part.replace("[^", "[!"))
                    for name, part in zip(path.split("/"), one.split("/"), strict=True)
                )
            }
            if "**" in pattern:
                wanted = {path for path in self.model if path.rpartition("/")[2] == "c.txt"}
            assert self.files.glob(pattern) == sorted(wanted)
        assert self.used() <= QUOTA
        total = self.files.usage().total
        assert (total.size, total.files + total.folders) == (self.used(), len(self.model))


TestWorkspace = Workspace.TestCase
TestWorkspace.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
