"""Merges on real repositories: begun, seen, solved, ended and given up."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.errors import ConfigError, NotFoundError, RejectedError, UsageError
from agentnb.core.git import GitManager
from agentnb.core.git.markers import marked_lines
from agentnb.core.git.threeway import regions


def write(git, **files):
    for name, text in files.items():
        path = git.path / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def notebook(*sources, count=None):
    cells = [
        {"cell_type": "code", "id": f"c{number}", "source": text, "outputs": [], "metadata": {}}
        | {"execution_count": count}
        for number, text in sources
    ]
    return json.dumps(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}, indent=1
    )


@pytest.fixture
def two(repository):
    """Return a function that makes main and topic out of what each of them writes."""

    def make(base=None, ours=None, theirs=None):
        git = repository
        for branch, files in (("main", base), ("topic", theirs), ("main", ours)):
            if branch not in git.names():
                git.create_branch(branch)
            git.switch(branch)
            for name, text in (files or {}).items():
                path = git.path / name
                if text is None:
                    path.unlink()
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
            if files:
                git.add_files()
                git.commit(f"{branch} writes")
        return git

    return make


@pytest.fixture
def conflict(two):
    git = two(
        {"b.txt": "same\n"},
        {"a.py": "a = 'ours'\nb = 2\n", "own.txt": "own\n"},
        {"a.py": "a = 'theirs'\nb = 2\n", "b.txt": "changed\n", "notes.txt": None},
    )
    assert not git.merge("topic")
    return git


def test_a_merge_says_whether_it_was_a_fast_forward_a_commit_or_nothing(two, plain_git):
    git = two(theirs={"new.txt": "new\n"})
    merge = git.merge("topic")
    assert merge
    assert merge.state == "fast-forward"
    assert merge.summary == f"main: fast-forward to topic, now at {merge.sha[:10]}"
    assert merge.sha == plain_git(git.path, "rev-parse", "topic").strip()
    again = git.merge("topic")
    assert again.state == "up to date"
    assert repr(again) == "main is up to date: it has every commit of topic"
    git.switch("topic")
    write(git, more_txt="more")
    git.commit("more", paths=["more.txt"])
    git.switch("main")
    made = git.merge("topic", fast_forward=False)
    assert made.state == "merged"
    assert git.show().parents == (merge.sha, git.show("topic").sha)
    assert git.show().message == "Merge branch 'topic'"
    assert git.status().clean


def test_a_merge_takes_tags_and_commits_and_a_message(two, plain_git):
    git = two(ours={"own.txt": "x"}, theirs={"new.txt": "new\n"})
    git.create_tag("v1", "topic", message="one")
    git.create_branch("side", "main~1")
    write(git, side_txt="s")
    git.commit("side", paths=["side.txt"])
    assert git.merge("v1").state == "merged"
    assert git.show().message == "Merge tag 'v1' into side"
    git.switch("main")
    assert git.merge("topic", message="# 1: all of it").state == "merged"
    assert git.show().message == "# 1: all of it"
    # Of a branch and a tag of one name the branch is meant.
    plain_git(git.path, "tag", "side", "topic")
    assert git.merge("side").state == "merged"
    assert (git.path / "side.txt").exists()


def test_conflicts_are_a_result_that_lists_the_files_and_how_to_go_on(conflict):
    git = conflict
    status = git.status()
    assert status.doing == "merge"
    assert status.conflicts == ["a.py"]
    assert "hub.git.merge_abort()" in repr(status)
    assert "hub.git.resolve(PATHS" in status._repr_html_()
    before = git.log()[0].sha
    git.merge_abort()
    merge = git.merge("topic")
    assert merge.conflicts == {"a.py": "modified by both"}
    assert merge.sha == before
    assert "main: topic is not merged yet, 1 file in conflict" in repr(merge)
    for word in ("git.conflicts()", "git.resolve(", "merge_continue()", "merge_abort()"):
        assert word in repr(merge)
        assert word in merge._repr_html_()


def test_giving_up_brings_back_what_was_before(conflict):
    git = conflict
    write(git, a_py="edited")
    git.merge_abort()
    assert (git.path / "a.py").read_text() == "a = 'ours'\nb = 2\n"
    assert (git.path / "b.txt").read_text() == "same\n"
    assert git.status().clean
    with pytest.raises(RejectedError, match="no merge to give up") as caught:
        git.merge_abort()
    assert "hub.git.merge(REV)" in caught.value.hint


@pytest.mark.parametrize("take", ["ours", "theirs"])
def test_one_side_is_taken_and_the_merge_is_ended(conflict, take):
    git = conflict
    with pytest.raises(RejectedError, match=r"still in conflict: a\.py"):
        git.merge_continue()
    assert git.resolve(["a.py"], take) == ["a.py"]
    sha = git.merge_continue()
    assert (git.path / "a.py").read_text() == f"a = '{take}'\nb = 2\n"
    assert git.show().sha == sha
    assert git.show().message == "Merge branch 'topic'"
    assert len(git.show().parents) == 2
    assert git.status().clean
    with pytest.raises(RejectedError, match="no merge to continue"):
        git.merge_continue()


def test_all_kinds_of_conflict_are_told_and_solved_by_either_side(two):
    base = {name: f"{name}\n" for name in ("mod", "theirs-gone", "ours-gone", "bin", "dir/[x].txt")}
    change = {"mod": "o\n", "bin": b"\0ours", "both-new": "o\n", "dir/[x].txt": "o\n"}
    git = two(
        base,
        change | {"theirs-gone": "o\n", "ours-gone": None},
        {"mod": "t\n", "bin": b"\0theirs", "both-new": "t\n", "dir/[x].txt": "t\n"}
        | {"theirs-gone": None, "ours-gone": "t\n"},
    )
    kinds = {
        "mod": "modified by both",
        "bin": "modified by both",
        "dir/[x].txt": "modified by both",
        "both-new": "added by both",
        "theirs-gone": "deleted by them",
        "ours-gone": "deleted by us",
    }
    for take, gone in (("ours", "ours-gone"), ("theirs", "theirs-gone")):
        merge = git.merge("topic")
        assert merge.conflicts == kinds
        found = {each.path: each for each in git.conflicts()}
        assert found["ours-gone"].content("ours") is None
        assert found["ours-gone"].content("theirs") == b"t\n"
        assert found["bin"].binary
        assert found["bin"].blocks() == []
        text = repr(git.conflicts())
        assert "bin (modified by both)\n  no text: take one of the sides" in text
        assert "by parts" not in text
        at = git.at("dir")
        assert at.resolve(take=take) == [os.path.relpath(path, "dir") for path in sorted(kinds)]
        assert not git.status().conflicts
        assert not (git.path / gone).exists()
        assert (git.path / "dir" / "[x].txt").read_text() == f"{take[0]}\n"
        assert (git.path / "bin").read_bytes() == b"\0" + take.encode()
        git.merge_abort()


def test_paths_that_are_in_no_conflict_are_refused_with_those_that_are(conflict):
    git = conflict
    with pytest.raises(NotFoundError, match=r"no conflict in b\.txt") as caught:
        git.resolve("b.txt", "ours")
    assert "a.py" in caught.value.hint
    with pytest.raises(NotFoundError, match=r"there is no path 'a\.pi'"):
        git.conflicts("a.pi")
    assert repr(git.conflicts("b.txt")) == "no conflicts"
    for revision in ("", "0"):
        with pytest.raises(RejectedError, match=r"a\.py is in conflict: nothing of it is staged"):
            git.show_file("a.py", revision)
    with pytest.raises(UsageError, match="take must be 'ours' or 'theirs', got 'both'"):
        git.resolve("a.py", "both")
    assert git.status().conflicts == ["a.py"]
    git.resolve(take="theirs")
    with pytest.raises(NotFoundError, match="no file is in conflict"):
        git.resolve(take="theirs")


def test_lines_in_conflict_are_beside_each_other(two):
    lines = [f"line {number}\n" for number in range(30)]

    def version(word):
        return "".join([*lines[:3], f"{word} 1\n", *lines[4:20], f"{word} 2\n", *lines[21:]])

    git = two({"t.txt": "".join(lines)}, {"t.txt": version("ours")}, {"t.txt": version("theirs")})
    git.merge("topic")
    (file,) = git.conflicts(base=True)
    assert file.blocks() == [
        ("line 4", ["ours 1"], ["line 3"], ["theirs 1"]),
        ("line 25", ["ours 2"], ["line 20"], ["theirs 2"]),
    ]
    text = (git.path / "t.txt").read_text().splitlines()
    assert text[3].startswith("<<<<<<<")
    assert text[24].startswith("<<<<<<<")
    assert "1 file in conflict; ours: main, theirs: topic" in repr(git.conflicts())
    assert "  ours | ours 1\ntheirs | theirs 1" in repr(git.conflicts())
    assert "  base | line 3" in repr(git.conflicts(base=True))
    html = git.conflicts(base=True)._repr_html_()
    assert html.count("<mark") == 4
    assert html.index("ours: main") < html.index("theirs: topic")
    # Whoever has edited the file has other lines there.
    (git.path / "t.txt").write_text("edited\n")
    assert [block.title for block in git.conflicts()[0].blocks()] == ["part 1", "part 2"]


def test_text_that_looks_like_markers_or_html_is_shown_as_it_is(two):
    odd = "<<<<<<< x\n=======\n<script>\x1b[31m\u202e\r\n>>>>>>> y\n"
    git = two({"t.txt": "base\n"}, {"t.txt": odd}, {"t.txt": "17\n||||||| z\n"})
    git.merge("topic")
    (block,) = git.conflicts()[0].blocks()
    assert "\n".join(block.ours) + "\n" == odd
    assert block.theirs == ["17", "||||||| z"]
    html = git.conflicts()._repr_html_()
    assert "<script" not in html
    assert "\x1b" not in html + repr(git.conflicts())


def test_a_long_conflict_is_cut_with_a_word(two):
    long = "".join(f"{number}\n" for number in range(5000))
    git = two({"t.txt": "base\n"}, {"t.txt": long}, {"t.txt": "x" * 100_000})
    git.merge("topic")
    conflicts = git.conflicts()
    assert len(conflicts[0].blocks()[0].ours) == 5000
    assert "4,400 more lines" in conflicts._repr_html_()
    assert "more lines: conflicts[0].blocks() has them all" in repr(conflicts)
    assert len(conflicts._repr_html_()) + len(repr(conflicts)) < 300_000


def test_notebooks_in_conflict_are_shown_by_cells(two):
    git = two(
        {"n.ipynb": notebook((1, "import math"), (2, "r = 1"), (3, "area(r)"))},
        {"n.ipynb": notebook((1, "import math"), (2, "r = 2"), (4, "new"), (3, "area(r)"))},
        {"n.ipynb": notebook((1, "import math"), (2, "r = 3"), (3, "area(r)\nprint()"))},
    )
    git.merge("topic")
    (file,) = git.conflicts()
    # The other cells were changed by one side each.
    assert file.blocks() == [("code cell 2", ["r = 2"], ["r = 1"], ["r = 3"])]
    html = git.conflicts()._repr_html_()
    assert "code cell 2" in html
    assert "nbformat" not in html


def test_a_cell_that_both_sides_changed_alike_is_in_no_conflict(two):
    git = two(
        *(
            {"n.ipynb": notebook(*enumerate(sources))}
            for sources in (("a", "b", "c"), ("ours", "same", "ours"), ("theirs", "same", "theirs"))
        )
    )
    git.merge("topic")
    titles = [block.title for block in git.conflicts()[0].blocks()]
    assert titles == ["code cell 1", "code cell 3"]


def test_a_notebook_of_which_only_counts_conflict_says_so(two):
    git = two(*({"n.ipynb": notebook((1, "a"), (2, "b"), count=n)} for n in (1, 2, 3)))
    git.merge("topic")
    assert git.conflicts()[0].blocks() == []
    assert "no cell conflict, but outputs, counts or metadata" in repr(git.conflicts())


def sources(git, name="n.ipynb"):
    return [cell["source"] for cell in json.loads((git.path / name).read_text())["cells"]]


@pytest.mark.parametrize(("take", "radius"), [("ours", "r = 2"), ("theirs", "r = 3")])
def test_a_side_of_the_cells_that_both_changed_keeps_all_other_changes(two, take, radius):
    git = two(
        {"n.ipynb": notebook((1, "import math"), (2, "r = 1"), (3, "area(r)"), (5, "x"))},
        {
            "n.ipynb": notebook(
                (1, "import math"), (2, "r = 2"), (4, "new"), (3, "area(r)"), (5, "x")
            )
        },
        {"n.ipynb": notebook((1, "import cmath"), (2, "r = 3"), (3, "area(r)\nprint()"), count=7)},
    )
    git.merge("topic")
    assert git.resolve("n.ipynb", take, parts=True) == ["n.ipynb"]
    assert sources(git) == ["import cmath", radius, "new", "area(r)\nprint()"]
    assert git.status().conflicts == []
    assert git.status().changed == []
    git.merge_continue()
    cells = json.loads(git.show_file("n.ipynb").data)["cells"]
    assert cells[0]["execution_count"] == 7


def test_cells_without_ids_are_taken_as_they_stand(two):
    def plain(*texts):
        cells = [{"cell_type": "code", "source": text, "outputs": []} for text in texts]
        return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})

    git = two(
        {"n.ipynb": plain("a", "b", "c", "d")},
        {"n.ipynb": plain("ours", "b", "c", "d", "e")},
        {"n.ipynb": plain("theirs", "more", "b", "c", "d")},
    )
    git.merge("topic")
    titles = [block.title for block in git.conflicts()[0].blocks()]
    assert titles == ["code cell 1", "code cell, after cell 1"]
    git.resolve("n.ipynb", "theirs", parts=True)
    assert sources(git) == ["theirs", "more", "b", "c", "d", "e"]


def test_a_side_of_the_lines_that_both_changed_keeps_all_other_changes(two):
    lines = [f"{number}\r\n".encode() for number in range(30)]

    def version(at, text):
        own = [*lines, b"\xff end"]
        own[at] = own[15] = text
        return b"".join(own)

    base = b"".join([*lines, b"\xff end"])
    git = two(
        {"t.txt": base}, {"t.txt": version(2, b"ours\n")}, {"t.txt": version(28, b"theirs\n")}
    )
    (git.path / "t.txt").chmod(0o755)
    git.commit("mode", paths=["t.txt"])
    git.merge("topic")
    assert [block.ours for block in git.conflicts()[0].blocks()] == [["ours"]]
    git.resolve(take="theirs", parts=True)
    merged = [*lines, b"\xff end"]
    merged[2], merged[15], merged[28] = b"ours\n", b"theirs\n", b"theirs\n"
    assert (git.path / "t.txt").read_bytes() == b"".join(merged)
    assert git.show_file("t.txt", "").mode == "100755"
    assert git.status().conflicts == []


def test_a_file_without_parts_is_taken_as_a_whole_only(two):
    git = two(
        {"gone": "x\n", "bin": "x\n"}, {"gone": "o\n", "bin": b"\0o"}, {"gone": None, "bin": b"\0t"}
    )
    git.merge("topic")
    for path in ("gone", "bin"):
        with pytest.raises(RejectedError, match=f"one side only: {path}") as caught:
            git.resolve(path, "ours", parts=True)
        assert f"hub.git.resolve({path!r}, 'ours')" in caught.value.hint
    with pytest.raises(UsageError, match="needs a side"):
        git.resolve("bin", parts=True)
    assert git.status().conflicts == ["bin", "gone"]


def test_what_is_no_notebook_is_shown_by_lines(two):
    git = two({"n.ipynb": "{"}, {"n.ipynb": "[1"}, {"n.ipynb": "[2"})
    git.merge("topic")
    assert git.conflicts()[0].blocks() == [("line 1", ["[1"], ["{"], ["[2"])]


def test_a_merge_in_a_work_tree_of_its_own_is_left_from_a_folder_of_it(two, tmp_path):
    git = two({"sub/a.txt": "base\n"}, {"sub/a.txt": "ours\n"}, {"sub/a.txt": "theirs\n"})
    tree = git.worktree(tmp_path / "tree", "agent", "main").at("sub")
    assert tree.merge("topic").conflicts == {"a.txt": "modified by both"}
    assert tree.status().doing == "merge"
    assert git.status().doing == ""
    assert tree.conflicts()[0].blocks()[0].ours == ["ours"]
    with pytest.raises(RejectedError, match=r"markers are left in a\.txt line 1"):
        tree.add_files()
    tree.merge_abort()
    tree.merge("topic")
    tree.resolve("a.txt", "theirs", parts=True)
    tree.merge_continue("merged here")
    assert tree.show().message == "merged here"
    assert tree.show_file("a.txt").text == "theirs\n"
    assert tree.restore("a.txt", source="main") == ["a.txt"]
    assert (tree.path / "a.txt").read_text() == "ours\n"
    assert git.status().clean


def test_markers_that_are_left_are_neither_staged_nor_committed(conflict, plain_git):
    git = conflict
    for stage in (
        git.add_files,
        lambda: git.add_files(["a.py"]),
        lambda: git.resolve("a.py"),
        lambda: git.at("sub").add_files(["../a.py"]),
    ):
        (git.path / "sub").mkdir(exist_ok=True)
        with pytest.raises(RejectedError, match=r"markers are left in .*a\.py line 1") as caught:
            stage()
        assert "hub.git.resolve(" in caught.value.hint
    assert git.status().conflicts == ["a.py"]
    git.add_files(["b.txt"])
    # Somebody stages them in a terminal.
    plain_git(git.path, "add", "a.py")
    for commit in (lambda: git.commit("x"), git.merge_continue):
        with pytest.raises(RejectedError, match=r"markers are left in a\.py line 1"):
            commit()
    assert git.status().doing == "merge"
    sha = git.merge_continue("as it is", force=True)
    assert git.show().sha == sha
    assert "<<<<<<<" in git.show_file("a.py").text


def test_markers_of_a_stash_are_not_committed_by_their_paths(two):
    git = two()
    write(git, a_py="a = 'stashed'\n")
    git.stash()
    write(git, a_py="a = 'later'\n")
    head = git.commit("Later", paths=["a.py"])
    with pytest.raises(RejectedError, match="in conflict in a"):
        git.stash_pop()
    for paths in (["a.py"], ["."]):
        with pytest.raises(RejectedError, match=r"markers are left in a\.py line 1"):
            git.commit("With markers", paths=paths)
    assert git.show().sha == head
    write(git, a_py="a = 'both'\n")
    assert git.commit("Without them", paths=["a.py"]) == git.show().sha


def test_a_file_that_was_edited_is_solved_by_staging_it(conflict):
    git = conflict
    write(git, a_py="a = 'both'\nTitle\n=======\n")
    git.add_files(["a.py"])
    assert git.commit("Merge it") == git.show().sha
    assert len(git.show().parents) == 2


def test_markers_that_belong_to_a_file_can_be_kept(conflict):
    git = conflict
    assert git.resolve("a.py", force=True) == ["a.py"]
    assert not git.status().conflicts


def test_a_merge_is_refused_where_something_is_not_committed(two):
    git = two(ours={"own.txt": "x"}, theirs={"new.txt": "n"})
    head = git.show().sha
    write(git, a_py="dirty")
    with pytest.raises(RejectedError, match=r"not committed: a\.py") as caught:
        git.merge("topic")
    assert "hub.git.stash()" in caught.value.hint
    git.add_files(["a.py"])
    with pytest.raises(RejectedError, match=r"not committed: a\.py"):
        git.merge("topic")
    git.unstage_files()
    git.restore("a.py")
    write(git, new_txt="mine")
    with pytest.raises(RejectedError, match=r"new\.txt"):
        git.merge("topic")
    assert (git.path / "new.txt").read_text() == "mine"
    assert git.show().sha == head
    for ask in (
        git.merge,
        lambda name: git.create_tag("v", name),
        lambda name: git.restore(".", source=name),
    ):
        with pytest.raises(NotFoundError, match="there is no commit 'topc'") as caught:
            ask("topc")
        assert "topic" in caught.value.hint


def test_nothing_else_begins_in_the_middle_of_a_merge(conflict):
    git = conflict
    git.resolve(take="ours")  # after which git itself would stash, and forget the merge
    for begin in (lambda: git.merge("topic"), git.stash, lambda: git.amend("x")):
        with pytest.raises(RejectedError, match="in the middle of a merge") as caught:
            begin()
        assert "hub.git.merge_continue()" in caught.value.hint
    assert git.status().doing == "merge"


@pytest.mark.parametrize("theirs", [{"new.txt": "n"}, {"a.py": "theirs"}])
def test_a_protected_branch_takes_no_merge(two, theirs):
    git = two(ours={"a.py": "ours"}, theirs=theirs)
    locked = GitManager(git.path, protected=("main",))
    head = git.show().sha
    with pytest.raises(ConfigError, match="main is protected: no merge"):
        locked.merge("topic")
    if not git.merge("topic"):
        git.resolve(take="ours")
        with pytest.raises(ConfigError, match="main is protected: no merge"):
            locked.merge_continue()
        locked.merge_abort()
        assert git.show().sha == head


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("merge.ff", "only"),
        ("merge.ff", "false"),
        ("branch.main.mergeOptions", "--strategy=ours"),
        ("branch.main.mergeOptions", "--squash --no-commit"),
        ("merge.renames", "false"),
        ("pull.twohead", "ours"),
        ("commit.gpgSign", "true"),
        ("commit.cleanup", "verbatim"),
        ("merge.conflictStyle", "diff3"),
        ("core.hooksPath", "evil"),
        ("merge.verifySignatures", "true"),
    ],
)
def test_settings_of_the_repository_do_not_change_the_result(two, plain_git, key, value):
    git = two(
        {"move.txt": "".join(f"{n}\n" for n in range(20)), "c.txt": "base\n"},
        {"move.txt": "".join(f"{n}\n" for n in range(20)) + "more\n", "c.txt": "ours\n"},
        {"move.txt": None, "moved.txt": "".join(f"{n}\n" for n in range(20)), "c.txt": "theirs\n"},
    )
    (git.path / "evil").mkdir()
    hook = git.path / "evil" / "commit-msg"
    hook.write_text("#!/bin/sh\ntouch ran\nexit 1\n")
    hook.chmod(0o755)
    plain_git(git.path, "config", key, value)
    assert git.merge("topic").conflicts == {"c.txt": "modified by both"}
    assert git.conflicts()[0].blocks() == [("line 1", ["ours"], ["base"], ["theirs"])]
    git.resolve("c.txt", "theirs")
    git.merge_continue()
    assert (git.path / "moved.txt").read_text().endswith("19\nmore\n")
    assert git.show().message == "Merge branch 'topic'"
    assert not (git.path / "ran").exists()
    git.create_branch("behind", "main~1")
    assert git.merge("main").state == "fast-forward"


def test_what_the_repository_recorded_of_earlier_merges_solves_nothing(two, plain_git):
    git = two(ours={"a.py": "ours\n"}, theirs={"a.py": "theirs\n"})
    plain_git(git.path, "config", "rerere.enabled", "true")
    plain_git(git.path, "config", "rerere.autoUpdate", "true")
    plain_git(git.path, "merge", "topic", check=False)
    write(git, a_py="recorded\n")
    plain_git(git.path, "add", "a.py")
    plain_git(git.path, "commit", "-qm", "merge")
    plain_git(git.path, "reset", "-q", "--hard", "HEAD~1")
    assert git.merge("topic").conflicts == {"a.py": "modified by both"}
    assert "recorded" not in (git.path / "a.py").read_text()


def test_no_merge_driver_of_the_repository_runs(two, plain_git, tmp_path):
    git = two({".gitattributes": "*.py merge=evil\n"}, {"a.py": "ours\n"}, {"a.py": "theirs\n"})
    plain_git(git.path, "config", "merge.evil.driver", f"touch {tmp_path}/ran; cp %B %A")
    assert git.merge("topic").conflicts == {"a.py": "modified by both"}
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("words", "doing", "hint"),
    [
        (("rebase", "topic"), "rebase", "git rebase --continue"),
        (("cherry-pick", "topic"), "cherry-pick", "hub.git.abort()"),
        (("revert", "--no-edit", "HEAD~1"), "revert", "hub.git.abort()"),
    ],
)
def test_other_operations_are_told_with_how_to_end_them(two, plain_git, words, doing, hint):
    git = two(ours={"a.py": "ours\n"}, theirs={"a.py": "theirs\n"})
    write(git, a_py="later\n")
    git.commit("later", paths=["a.py"])
    plain_git(git.path, *words, check=False, GIT_EDITOR="true")
    status = git.status()
    assert status.doing == git.conflicts().doing == doing
    assert hint in repr(status)
    assert "hub.git.conflicts()" in repr(status)
    for method in (git.merge_abort, git.merge_continue, lambda: git.merge("topic")):
        with pytest.raises(RejectedError, match=f"in the middle of a {doing}|the middle of a"):
            method()
    git.resolve(take="ours")
    if doing != "rebase":
        git.commit("ended", allow_empty=True)
        assert git.status().doing == ""
        plain_git(git.path, "reset", "-q", "--hard", "HEAD~1")
        plain_git(git.path, *words, check=False, GIT_EDITOR="true")
    assert git.status().doing == doing
    assert git.abort() == doing
    assert git.status().doing == ""
    assert git.status().clean
    assert git.current_branch() == "main"
    assert git.show().message == "later"
    with pytest.raises(RejectedError, match="nothing waits"):
        git.abort()


def test_to_give_a_rebase_up_runs_nothing_that_the_repository_noted(two, plain_git, tmp_path):
    git = two(ours={"a.py": "ours\n"}, theirs={"a.py": "theirs\n"})
    plain_git(git.path, "rebase", "topic", check=False)
    todo = git.path / ".git" / "rebase-merge" / "git-rebase-todo"
    todo.write_text(f"exec touch {tmp_path}/ran\n")
    (todo.parent / "autostash").write_text("$(touch ran)\n")
    assert git.abort() == "rebase"
    assert not list(tmp_path.rglob("ran"))


def test_a_file_in_conflict_is_not_committed_by_its_path_nor_restored(conflict):
    for change in (
        lambda: conflict.commit("x", paths=["a.py"]),
        lambda: conflict.restore("a.py"),
    ):
        with pytest.raises(RejectedError, match=r"markers are left in a\.py|in conflict: a\.py"):
            change()
    assert conflict.status().conflicts == ["a.py"]


LINES = st.lists(st.sampled_from(["<<<<<<< a", "=======", ">>>>>>> b", "||||||| c", "x", ""]))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(LINES, LINES, LINES)
def test_markers_are_found_where_all_three_follow_each_other(before, ours, theirs):
    text = ["<<<<<<< ours", *ours, "=======", *theirs, ">>>>>>> theirs"]
    assert marked_lines("\n".join(text).encode())
    for sep in ("\n", "\r\n"):
        found = marked_lines(sep.join([*before, *text]).encode())
        assert found
        assert all((before + text)[number - 1].startswith("<<<<<<<") for number in found)


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    git = GitManager(tmp_path_factory.mktemp("threeway"))
    git.initialize()
    return git._repository.run


ITEMS = st.lists(
    st.sampled_from(["<<<<<<< a", "=======", ">>>>>>> b", "7", "", "\0", "a\r"]), max_size=8
)


def contained(part, whole):
    return any(whole[at : at + len(part)] == part for at in range(len(whole) + 1))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(ITEMS, ITEMS, ITEMS)
def test_three_versions_are_laid_beside_each_other_whatever_they_hold(runner, base, ours, theirs):
    found = regions(runner, base, ours, theirs)
    for region in found:
        assert contained(region.ours, ours)
        assert contained(region.base, base)
        assert contained(region.theirs, theirs)
        assert region.ours != region.theirs
    assert not found or len({tuple(base), tuple(ours), tuple(theirs)}) == 3
    swapped = regions(runner, base, theirs, ours)
    assert [(each.theirs, each.base, each.ours) for each in swapped] == [tuple(r) for r in found]


def test_the_commit_of_a_submodule_in_conflict_is_taken_from_a_side(two, plain_git):
    git = two()
    shas = dict(zip(("base", "topic", "main"), ("1" * 40, "2" * 40, "3" * 40), strict=True))
    for branch, sha in shas.items():
        git.switch("main" if branch == "base" else branch)
        plain_git(git.path, "update-index", "--add", "--cacheinfo", f"160000,{sha},sub dir")
        (git.path / "sub dir").mkdir(exist_ok=True)
        git.commit(branch)
        if branch == "base":
            plain_git(git.path, "branch", "-qf", "topic", "main")
    git.switch("main")
    assert git.merge("topic").conflicts == {"sub dir": "modified by both"}
    assert "Subproject commit 222" in repr(git.conflicts())
    git.resolve("sub dir", "theirs")
    git.merge_continue()
    assert shas["topic"] in plain_git(git.path, "ls-tree", "HEAD", "sub dir")
