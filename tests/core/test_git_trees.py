"""Differences of random repositories: each file has its own hunks, proved by its contents.

40 repositories are tried; ``AGENTNB_TEST_TREES=500`` tries more.
"""

from __future__ import annotations

import os

import pytest

from agentnb.core.errors import AgentnbError
from agentnb.core.git import GitManager

from .git_trees import Trees, applied, sides

# In all of these a merge waits, of which git takes a file for a renamed one.
KNOWN = (79, 241, 326, 375, 410, 438)
SEEDS = sorted({*range(int(os.environ.get("AGENTNB_TEST_TREES", "40"))), *KNOWN})


def check(diff, before, after, conflicts=()):
    """Compare a difference with the contents of both sides."""
    seen = set()
    for file in diff:
        seen |= {file.path, file.was or file.path}
        if file.path in conflicts:
            assert file.kind == "conflict", file
            continue
        old = before.get(file.was or file.path)
        new = after.get(file.path)
        assert (old is None, new is None) == (file.kind == "new", file.kind == "deleted"), file
        if file.kind in {"renamed", "another type", "modified"} and old[0] != new[0]:
            assert file.mode == f"{old[0]} → {new[0]}", file
        if old and new:
            assert (old[0][:3] != new[0][:3]) == (file.kind == "another type"), file
        if file.binary:
            assert b"\0" in (old or ("", b""))[1] + (new or ("", b""))[1]
            continue
        check_hunks(file, (old or ("", b""))[1], (new or ("", b""))[1])
    both = before.keys() | after.keys()
    assert {path for path in both if before.get(path) != after.get(path)} | set(conflicts) == seen


def check_hunks(file, old, new, *, retyped=False):
    if retyped or file.kind == "another type":
        removed = [hunk for hunk in file.hunks if hunk.new == 0]
        added = [hunk for hunk in file.hunks if hunk.new != 0]
        assert applied(old, removed) == b"", file
        assert applied(b"", added) == new, file
    else:
        assert applied(old, file.hunks) == new, file


def check_conflict(file, ours, disk):
    """Check a combined difference: what its lines say of ours, and of the file."""
    if all(hunk.signs == 1 for hunk in file.hunks):  # not both sides have it: against that one
        retyped = disk is not None and ours[0][:3] != disk[0][:3]
        check_hunks(file, ours[1], disk[1] if disk else b"", retyped=retyped)
        return
    for hunk in file.hunks:
        old, new = (b"".join(lines) for lines in sides(hunk))
        assert old in ours[1] + b"\n"  # of an end without a line's, git does not say here
        assert new in disk[1] + b"\n"


@pytest.mark.parametrize("start", range(0, len(SEEDS), 10))
def test_each_file_of_a_random_repository_has_its_own_hunks(start, tmp_path):
    for seed in SEEDS[start : start + 10]:
        (tmp_path / str(seed)).mkdir()
        trees = Trees(tmp_path / str(seed), seed)
        git = GitManager(trees.path)
        try:
            check_repository(trees, git)
        except (AssertionError, AgentnbError) as error:
            raise AssertionError(f"seed {seed}") from error


def check_repository(trees, git):
    first, topic, main = map(trees.of_revision, ("main~1", "topic", "main"))
    check(git.diff("main~1", "topic"), first, topic)
    check(git.diff("topic..main"), topic, main)
    check(git.show("main").diff, first, main)
    status = git.status(untracked="no")
    conflicts = status.conflicts
    staged = trees.staged()
    # While a merge waits, one side is missing of what is in conflict.
    head = {path: found for path, found in main.items() if path not in conflicts}
    check(git.diff(cached=True), head, staged, conflicts)
    disk = trees.on_disk(staged)
    diff = git.diff()
    check(diff, staged, disk, conflicts)
    ours = trees.staged(b"2")
    for file in diff:
        if file.kind == "conflict":
            assert file.note == dict(zip(conflicts, kinds(status), strict=True))[file.path]
            if file.path in ours and file.hunks:
                check_conflict(file, ours[file.path], trees.on_disk(ours).get(file.path))
    assert conflicts or str(diff) == git.get_diff()
    assert all(file.path for file in git.diff("HEAD"))
    repr(diff), diff._repr_html_()


def kinds(status):
    return [change.sides for change in status.changes if change.conflict]
