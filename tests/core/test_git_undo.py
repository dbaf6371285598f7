"""Going back on real repositories: restore, stashes, amend, tags, old versions of files."""

from __future__ import annotations

import json
import subprocess

import pytest

from agentnb.core.errors import ConfigError, NotFoundError, RejectedError, UsageError
from agentnb.core.git import GitManager

OLD = "a = 1\nb = 2\n"


def write(git, name, text):
    path = git.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# Restore


def test_the_changes_of_a_file_are_discarded(repository):
    git = repository
    write(git, "a.py", "changed")
    (git.path / "notes.txt").unlink()
    assert git.restore(["a.py", "notes.txt"], dry_run=True) == ["a.py", "notes.txt"]
    assert (git.path / "a.py").read_text() == "changed"
    assert git.restore("a.py") == ["a.py"]
    assert (git.path / "a.py").read_text() == OLD
    assert git.status().changed == ["notes.txt"]
    (git.path / "sub").mkdir()
    assert git.at("sub").restore("../notes.txt") == ["../notes.txt"]
    assert git.status().clean
    assert git.restore(".") == []


def test_a_restore_takes_what_is_staged_and_leaves_it_staged(repository):
    git = repository
    write(git, "a.py", "staged")
    write(git, "new.txt", "new")
    git.add_files()
    write(git, "a.py", "later")
    write(git, "new.txt", "later")
    head = git.show().sha
    locked = GitManager(git.path, protected=("main",))
    assert locked.restore(".") == ["a.py", "new.txt"]
    assert (git.path / "a.py").read_text() == "staged"
    assert (git.path / "new.txt").read_text() == "new"
    assert git.status().staged == ["a.py", "new.txt"]
    assert git.status().changed == []
    assert git.show().sha == head


def test_a_restore_from_a_commit_changes_the_files_alone(repository):
    git = repository
    write(git, "a.py", "second")
    write(git, "sub/new.txt", "new")
    git.add_files()
    git.commit("second")
    assert git.restore("a.py", source="HEAD~1") == ["a.py"]
    assert (git.path / "a.py").read_text() == OLD
    assert git.status().staged == []
    assert git.restore(".", source="HEAD~1") == ["sub/new.txt"]
    assert not (git.path / "sub" / "new.txt").exists()
    assert sorted(git.restore(".")) == ["a.py", "sub/new.txt"]
    assert (git.path / "sub" / "new.txt").read_text() == "new"
    with pytest.raises(NotFoundError):
        git.restore("a.py", source="nosuch")


@pytest.mark.parametrize("name", ["nosuch", "*", ":/", "unknown.txt", "-f"])
def test_a_path_that_git_does_not_know_is_an_error(repository, name):
    git = repository
    write(git, "unknown.txt", "mine")
    write(git, "a.py", "changed")
    with pytest.raises(NotFoundError, match="nothing to restore it from"):
        git.restore(["a.py", name])
    assert (git.path / "a.py").read_text() == "changed"
    assert (git.path / "unknown.txt").read_text() == "mine"


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("case", ["file", "folder", "parent", "link"])
def test_no_file_that_git_does_not_know_is_lost(repository, tmp_path, case, ignored):
    """Git itself removes each of them without a word."""
    git = repository
    write(git, "dir/f.txt", "known\n")
    git.add_files()
    git.commit("dir")
    source = None
    if ignored:
        write(git, ".git/info/exclude", "*\n")
    if case == "file":
        source = "HEAD"
        subprocess.run(["git", "rm", "-qr", "--cached", "a.py"], cwd=git.path, check=True)
        path = "a.py"
        write(git, path, "mine")
    elif case == "folder":
        (git.path / "a.py").unlink()
        path = "a.py/mine.txt"
        write(git, path, "mine")
    else:
        (git.path / "dir" / "f.txt").unlink()
        (git.path / "dir").rmdir()
        path = "dir"
        if case == "link":
            (tmp_path / "elsewhere").mkdir()
            (git.path / path).symlink_to(tmp_path / "elsewhere")
        else:
            write(git, path, "mine")
    for target in (["a.py"] if case in {"file", "folder"} else ["dir/f.txt"], ["."]):
        with pytest.raises(RejectedError, match=f"would be lost: {path}"):
            git.restore(target, source=source)
    if case == "link":
        assert (git.path / path).is_symlink()
        assert list((tmp_path / "elsewhere").iterdir()) == []
    else:
        assert (git.path / path).read_text() == "mine"


def test_many_files_are_restored_at_once(repository):
    git = repository
    for number in range(1200):
        write(git, f"many/{number:04}.txt", "x")
    git.add_files()
    git.commit("many")
    for number in range(1200):
        write(git, f"many/{number:04}.txt", "changed")
    assert len(git.restore("many")) == 1200
    assert git.status().clean


# Stashes


def test_a_stash_is_shown_applied_and_dropped(repository):
    git = repository
    write(git, "a.py", "a = 3\n")
    write(git, "new.txt", "new\n")
    assert git.stash("first")
    assert git.status().clean
    write(git, "notes.txt", "later\n")
    git.stash("second")
    assert [row.what for row in git.stashes()] == ["On main: second", "On main: first"]
    shown = git.stash_show(1)
    assert sorted(file.path for file in shown) == ["a.py", "new.txt"]
    assert "+a = 3" in str(shown)
    assert [file.path for file in git.stash_show()] == ["notes.txt"]
    git.stash_apply(1)
    assert (git.path / "a.py").read_text() == "a = 3\n"
    assert (git.path / "new.txt").read_text() == "new\n"
    assert len(git.stashes()) == 2
    sha = git.stash_drop(0)
    assert git.show(sha).message == "On main: second"
    assert [row.what for row in git.stashes()] == ["On main: first"]


@pytest.mark.parametrize("number", [1, 10**9])
def test_a_stash_that_is_not_there_is_an_error(repository, number):
    git = repository
    for method in (git.stash_apply, git.stash_drop, git.stash_show, git.stash_pop):
        with pytest.raises(NotFoundError, match="nothing is stashed"):
            method(number)
    write(git, "a.py", "x")
    git.stash()
    for method in (git.stash_apply, git.stash_drop, git.stash_show, git.stash_pop):
        with pytest.raises(NotFoundError, match=f"there is no stash {number}") as caught:
            method(number)
        assert "numbered from 0" in caught.value.hint
    assert len(git.stashes()) == 1


@pytest.mark.parametrize("method", ["stash_pop", "stash_apply"])
def test_a_stash_that_conflicts_lists_the_files_and_can_be_solved(repository, method):
    git = repository
    write(git, "a.py", "stashed\n")
    git.stash()
    write(git, "a.py", "committed\n")
    git.commit("other", paths=["a.py"])
    with pytest.raises(RejectedError, match=r"in conflict in a\.py; it is kept") as caught:
        getattr(git, method)()
    assert "hub.git.stash_drop(0)" in caught.value.hint
    assert "hub.git.conflicts()" in repr(git.status())
    (file,) = git.conflicts()
    assert file.blocks()[0].ours == ["committed"]
    assert file.blocks()[0].theirs == ["stashed"]
    with pytest.raises(RejectedError, match="markers are left"):
        git.add_files()
    git.resolve("a.py", "theirs")
    git.stash_drop()
    assert (git.path / "a.py").read_text() == "stashed\n"
    assert git.status().staged == ["a.py"]


# Amend


def test_the_last_commit_is_amended(repository, plain_git):
    git = repository
    write(git, "a.py", "second")
    first = git.commit("second", paths=["a.py"])
    write(git, "late.txt", "late")
    git.add_files()
    sha = git.amend()
    assert sha != first
    assert git.show().sha == sha
    assert git.show().message == "second"
    assert sorted(file.path for file in git.show().diff) == ["a.py", "late.txt"]
    assert git.amend("# better\n\nwhy", author="Bo <bo@example.com>") == git.show().sha
    assert git.show().message == "# better\n\nwhy"
    assert git.show().author == "Bo"
    assert git.amend("x" * 200_000)
    assert len(git.show().message) == 200_000
    assert plain_git(git.path, "rev-list", "--count", "HEAD").strip() == "2"


def test_an_amendment_that_changes_nothing_is_refused(repository):
    git = repository
    write(git, "a.py", "not staged")
    with pytest.raises(RejectedError, match="would stay the same"):
        git.amend()
    with pytest.raises(UsageError, match="the message is empty"):
        git.amend(" ")
    with pytest.raises(NotFoundError, match="no commit yet"):
        empty = git.at("new")
        empty.initialize()
        empty.amend("x")
    with pytest.raises(ConfigError, match="main is protected"):
        GitManager(git.path, protected=("ma*",)).amend("x")


def test_a_commit_that_a_remote_has_is_amended_by_force_only(repository, tmp_path, plain_git):
    git = repository
    plain_git(tmp_path, "init", "-q", "--bare", "origin.git")
    git.add_remote("origin", str(tmp_path / "origin.git"))
    git.push()
    sha = git.show().sha
    with pytest.raises(RejectedError, match=f"origin/main has the commit {sha[:10]}") as caught:
        git.amend("x")
    assert "force=True" in caught.value.hint
    assert git.show().sha == sha
    assert git.amend("x", force=True) == git.show().sha != sha
    assert git.amend("y") == git.show().sha


# Tags


def test_tags_are_made_listed_moved_and_deleted(repository, plain_git):
    git = repository
    first = git.show().sha
    assert not git.tags()
    assert git.create_tag("v1") == first
    write(git, "a.py", "x")
    second = git.commit("second", paths=["a.py"])
    git.create_tag("v2", message="# release\n\nwhy")
    git.create_tag("old", "HEAD~1")
    assert {row.tag: (row.annotated, row.sha) for row in git.tags()} == {
        "v1": (False, first[:10]),
        "old": (False, first[:10]),
        "v2": (True, second[:10]),
    }
    assert plain_git(git.path, "tag", "-l", "--format=%(contents)", "v2").strip() == (
        "# release\n\nwhy"
    )
    with pytest.raises(RejectedError, match="there is a tag v1 already") as caught:
        git.create_tag("v1")
    assert "force=True" in caught.value.hint
    assert git.create_tag("v1", force=True) == second
    assert git.delete_tag("v2") == second
    assert sorted(row.tag for row in git.tags()) == ["old", "v1"]
    with pytest.raises(NotFoundError, match="no tag 'v3'") as caught:
        git.delete_tag("v3")
    assert "v1" in caught.value.hint
    with pytest.raises(NotFoundError):
        git.create_tag("v4", "nosuch")


@pytest.mark.parametrize("name", ["-d", "a b", "a..b", "", "x.lock", "HEAD"])
def test_names_that_no_tag_can_have_are_refused(repository, name):
    for method in (repository.create_tag, repository.delete_tag):
        with pytest.raises(UsageError, match="tag"):
            method(name)


def test_no_setting_signs_a_tag(repository, plain_git):
    for key in ("tag.gpgSign", "tag.forceSignAnnotated"):
        plain_git(repository.path, "config", key, "true")
    repository.create_tag("light")
    repository.create_tag("heavy", message="m")
    assert "PGP" not in plain_git(repository.path, "cat-file", "tag", "heavy")
    assert [row.annotated for row in repository.tags() if row.tag == "light"] == [False]


# Old versions


def test_a_file_is_shown_as_a_commit_or_the_stage_has_it(repository):
    git = repository
    write(git, "sub/ü [1].txt", "first\n")
    git.add_files()
    git.commit("second")
    write(git, "a.py", "staged")
    git.add_files(["a.py"])
    write(git, "a.py", "work")
    version = git.show_file("a.py")
    assert (version.text, str(version), bytes(version)) == (OLD, OLD, OLD.encode())
    assert version.mode == "100644"
    assert repr(version) == f"a.py (HEAD), {len(OLD)} bytes\na = 1\nb = 2"
    assert git.show_file("a.py", "").text == "staged"
    inner = git.at("sub")
    assert inner.show_file("ü [1].txt").text == "first\n"
    assert inner.show_file("../a.py", "HEAD~1").text == OLD
    with pytest.raises(NotFoundError, match=r"no a\.py in HEAD") as caught:
        inner.show_file("a.py")
    assert "hub.git.log(paths=" in caught.value.hint
    for wrong in ("..", "../../x", "/etc/passwd"):
        with pytest.raises(UsageError, match="no file of the repository"):
            inner.show_file(wrong)
    with pytest.raises(UsageError, match="is a folder"):
        git.show_file("sub")
    with pytest.raises(NotFoundError):
        git.show_file("a.py", "nosuch")


def test_what_is_no_text_is_shown_by_its_bytes(repository):
    git = repository
    (git.path / "b.bin").write_bytes(b"\0\xff" * 20_000)
    (git.path / "latin.txt").write_bytes("é".encode("latin-1"))
    (git.path / "link").symlink_to("a.py")
    git.add_files()
    git.commit("x")
    version = git.show_file("b.bin")
    assert version.binary
    assert version.data == b"\0\xff" * 20_000
    assert len(repr(version)) < 2000
    with pytest.raises(UsageError, match="no text in UTF-8"):
        _ = version.text
    assert "�" in repr(git.show_file("latin.txt"))
    assert (git.show_file("link").mode, git.show_file("link").text) == ("120000", "a.py")


def test_an_old_notebook_is_shown_by_its_cells(repository):
    git = repository
    cells = [{"cell_type": "code", "source": "a = '<b>'", "outputs": [{"text": "secret"}]}]
    write(git, "n.ipynb", json.dumps({"nbformat": 4, "cells": cells}))
    git.add_files()
    git.commit("n")
    version = git.show_file("n.ipynb")
    assert repr(version).splitlines()[1:] == ["@@ code cell 1", "a = '<b>'"]
    assert "&lt;b&gt;" in version._repr_html_()
    assert "<b>" not in version._repr_html_()


def test_a_long_file_is_cut_with_a_word(repository):
    git = repository
    write(git, "long.txt", "x" * 100_000 + "\n" + "y\n" * 10_000)
    git.add_files()
    git.commit("long")
    shown = repr(git.show_file("long.txt"))
    assert "99,600 more characters" in shown
    assert "9,601 more lines: .text has them all" in shown


def test_the_sides_of_a_conflict_are_versions_too(repository):
    git = repository
    git.create_branch("topic")
    write(git, "a.py", "theirs")
    git.commit("theirs", paths=["a.py"])
    git.switch("main")
    write(git, "a.py", "ours")
    git.commit("ours", paths=["a.py"])
    git.merge("topic")
    assert [git.show_file("a.py", stage).text for stage in "123"] == [OLD, "ours", "theirs"]
    with pytest.raises(RejectedError, match="in conflict: nothing of it is staged") as caught:
        git.show_file("a.py", "")
    assert "hub.git.show_file('a.py', '2')" in caught.value.hint
