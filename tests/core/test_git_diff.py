"""What differs: between revisions, in conflicts, of any size, and of notebooks."""

from __future__ import annotations

import json
import shutil

import pytest

from agentnb.core.errors import ConfigError, NotFoundError, RejectedError, UsageError
from agentnb.core.git import GitManager, render


@pytest.fixture
def branched(repository):
    """Return git on main, with a branch topic that has changed a.py and added sub/t.py."""
    git = repository
    git.switch("topic", create=True)
    write(git, "a.py", "a = 'topic'\nb = 2\n")
    write(git, "sub/t.py", "t\n")
    git.add_files()
    git.commit("on topic")
    git.switch("main")
    write(git, "a.py", "a = 'main'\nb = 2\n")
    git.commit("on main", paths=["a.py"])
    return git


def write(git, name, text):
    (git.path / name).parent.mkdir(exist_ok=True)
    (git.path / name).write_text(text)


def lines(diff):
    return {file.path: [line for hunk in file.hunks for line in hunk.lines] for file in diff}


# Revisions, ranges and paths


def test_revisions_ranges_and_paths_are_taken_as_git_takes_them(branched, plain_git):
    for given in (
        ("main", "topic"),
        ("main..topic",),
        ("main...topic",),
        ("..topic",),
        ("topic...",),
        ("HEAD~1", "HEAD"),
        ("HEAD^!",),
        ("^main", "topic"),
        ("topic",),
        ("main", "topic", "a.py"),
        ("topic", "sub"),
        ("main", "topic", "sub/t.py", "a.py"),
    ):
        # Only files that have gone stand behind -- on git's own line.
        behind = [word for word in given if word.startswith("sub") or word == "a.py"]
        front = [word for word in given if word not in behind]
        expected = plain_git(branched.path, "diff", "--full-index", *front, "--", *behind)
        assert str(branched.diff(*given)) == branched.get_diff(*given) == expected, given
        assert expected, given
    assert str(branched.diff(between=("main", "topic"), paths="sub")) == str(
        branched.diff("main..topic", "sub")
    )
    assert str(branched.diff(between="main..topic")) == str(branched.diff("main", "topic"))
    blobs = branched.diff("main:a.py", "topic:notes.txt")
    assert next(iter(lines(blobs).values()))[:2] == ["-a = 'main'", "-b = 2"]


def test_a_word_that_is_nothing_is_an_error_that_says_what_it_may_mean(branched):
    git = branched
    for ask in (git.diff, git.get_diff, git.interpret):
        with pytest.raises(NotFoundError, match=r"'typo.py' is no revision, and no path here"):
            ask("typo.py")
    with pytest.raises(NotFoundError) as caught:
        git.diff("topik")
    assert caught.value.hint == "did you mean topic?"
    for ask in (
        lambda path: git.diff(paths=path),
        lambda path: git.diff("main", "topic", paths=["a.py", path]),
        lambda path: git.log(paths=path),
        lambda path: git.log(paths=["a.py", path]),
        lambda path: git.show(paths=path),
        git.add_files,
        git.unstage_files,
        git.diff_of_unknown,
        lambda path: git.commit("x", paths=[path], dry_run=True),
    ):
        with pytest.raises(NotFoundError, match=r"there is no path 'b.py'"):
            ask("b.py")
    with pytest.raises(NotFoundError) as caught:
        git.diff(paths="topic")
    assert caught.value.hint == "topic is a revision: hub.git.diff('topic')"
    for ask in (git.show, lambda name: git.log(revision=name), lambda n: git.diff(between=n)):
        with pytest.raises(NotFoundError, match=r"there is no revision 'a\.py'") as caught:
            ask("a.py")
        assert caught.value.hint == "it is a path: hub.git.log(paths='a.py')"


def test_a_path_is_known_on_disk_in_the_stage_in_a_commit_or_in_a_revision(branched):
    git = branched
    (git.path / "a.py").unlink()
    write(git, "staged.py", "x")
    git.add_files()
    (git.path / "staged.py").unlink()
    assert [file.kind for file in git.diff(cached=True, paths="a.py")] == ["deleted"]
    assert [file.kind for file in git.diff(paths="staged.py")] == ["deleted"]
    assert not git.diff("a.py")  # neither on disk nor staged, but in the last commit
    assert len(git.diff("main", "topic", "sub/t.py")) == len(git.diff("main", "topic", "sub")) == 1
    git.commit("gone")
    with pytest.raises(NotFoundError):
        git.diff("a.py")
    assert len(git.diff("HEAD~1", "a.py")) == 1
    assert [row.subject for row in git.log(paths="a.py")] == ["gone", "on main", "first"]
    assert [row.subject for row in git.log(revision="topic", paths="sub/t.py")] == ["on topic"]
    assert not git.show(paths="notes.txt").diff
    assert git.show(paths="notes.txt").message == "gone"
    assert git.show(":/on main").message == git.show("HEAD^{/on main}").message == "on main"
    write(git, "quiet.py", "x")
    assert repr(git.log(paths="quiet.py")) == "no commit has changed quiet.py"
    assert repr(git.log(revision="main..main")) == "no commits in main..main"
    for name in ("HEAD:notes.txt", ":notes.txt", "HEAD^{tree}"):
        with pytest.raises(NotFoundError, match="is no commit"):
            git.log(revision=name)
    with pytest.raises(UsageError, match="git diff: it does not take these words"):
        git.diff("HEAD:notes.txt")
    below = GitManager(git.path / "sub")
    below.path.mkdir()
    assert [file.path for file in below.diff("main", "topic", "t.py")] == ["t.py"]
    assert len(below.diff("main", "topic", "../sub")) == 1


def test_a_path_of_another_repository_is_called_so(branched):
    git = branched
    GitManager(git.path / "mod").initialize()
    write(git, "mod/f.py", "x")
    for ask in (git.diff, lambda path: git.diff(paths=path), lambda path: git.log(paths=path)):
        with pytest.raises(NotFoundError, match=r"'mod/f.py' ") as caught:
            ask("mod/f.py")
        assert caught.value.hint == "hub.git.at('mod')"
    (git.path / "sub").mkdir()
    with pytest.raises(NotFoundError, match=r"belongs to another repository: \.\./mod"):
        GitManager(git.path / "sub").diff("../mod/f.py")
    assert GitManager(git.path / "mod").diff("f.py") is not None
    write(git, "a\u2028b", "x")
    assert git.interpret("main", "topic", "a\u2028b") == (["main", "topic"], ["a\u2028b"])
    empty = GitManager(git.path / "empty")
    empty.initialize()
    with pytest.raises(NotFoundError) as caught:
        empty.diff("HEAD")
    assert caught.value.hint == (
        "there is no commit yet: hub.git.add_files([...]), then hub.git.commit(TEXT)"
    )


def test_what_could_be_two_things_is_refused(branched):
    git = branched
    write(git, "topic", "a file")
    assert git.interpret("main..topic", "a.py") == (["main..topic"], ["a.py"])
    with pytest.raises(UsageError, match="'topic' is a revision and a path"):
        git.diff("topic")
    assert git.diff("refs/heads/topic")
    assert not git.diff(paths="topic")
    with pytest.raises(UsageError, match=r"'main' stands behind the path 'a\.py'"):
        git.diff("a.py", "main")
    for given in (("main", "HEAD", "main~1"), (True, "main", "HEAD")):
        with pytest.raises(UsageError, match="compared"):
            git.diff(*given)
    with pytest.raises(UsageError, match="looks like an option"):
        git.diff("--output=canary")


def test_a_branch_and_a_tag_of_one_name_never_mix(branched, plain_git):
    git = branched
    plain_git(git.path, "tag", "main", "topic")
    assert git.current_branch() == "main"
    assert git.status().branch == "main"
    assert {row.branch for row in git.branches()} == {"main", "topic"}
    assert sorted(git.names()) == ["main", "topic"]
    for ask in (git.show, lambda name: git.log(revision=name), lambda n: git.diff(n, "topic")):
        with pytest.raises(UsageError, match="'main' is the name of several revisions") as caught:
            ask("main")
        assert caught.value.hint == "the branch is refs/heads/main, the tag refs/tags/main"
        assert ask("refs/heads/main")
    for switch in (True, False):
        with pytest.raises(UsageError, match="ambiguous object name: 'main'") as caught:
            git.create_branch("new", "main", switch=switch)
        assert "the branch is refs/heads/NAME" in caught.value.hint
    assert {row.branch for row in git.branches()} == {"main", "topic"}
    plain_git(git.path, "update-ref", "refs/tags/HEAD", "topic")
    plain_git(git.path, "update-ref", f"refs/heads/{git.show('HEAD').sha}", "topic")
    assert git.show("HEAD").message == git.show(git.show("HEAD").sha).message == "on main"


def test_an_upstream_has_its_full_name_whatever_else_is_called_so(branched, tmp_path, plain_git):
    plain_git(tmp_path, "clone", "-q", str(branched.path), "copy")
    git = GitManager(tmp_path / "copy")
    plain_git(git.path, "branch", "origin/main")
    plain_git(git.path, "tag", "origin/main")
    assert git.status().upstream == "origin/main"
    row = next(row for row in git.branches() if row.branch == "main")
    assert (row.branch, row.upstream) == ("main", "origin/main")
    plain_git(git.path, "config", "remote.origin.promisor", "true")
    plain_git(git.path, "config", "remote.origin.partialclonefilter", "blob:none")
    assert [tuple(row) for row in git.remotes()] == [("origin", str(branched.path))]


def test_a_bare_repository_is_called_so(branched, tmp_path, plain_git):
    plain_git(tmp_path, "clone", "-q", "--bare", str(branched.path), "bare.git")
    for folder in (tmp_path / "bare.git", tmp_path / "bare.git" / "refs"):
        with pytest.raises(NotFoundError, match=r"bare.git is a bare repository") as caught:
            GitManager(folder).log()
        assert f"hub.git.clone('{tmp_path / 'bare.git'}', FOLDER)" in caught.value.hint


# Conflicts and changes of type


def test_every_conflict_is_parsed_and_costs_no_other_file(branched, plain_git):
    git = branched
    write(git, "notes.txt", "changed in the file\n")
    plain_git(git.path, "merge", "topic", check=False)
    diff = git.diff()
    assert [(file.path, file.kind, file.note) for file in diff] == [
        ("a.py", "conflict", "modified by both"),
        ("notes.txt", "modified", ""),
    ]
    conflict, other = diff
    assert conflict.hunks[0].signs == 2
    assert "++<<<<<<< HEAD" in conflict.hunks[0].lines
    assert " +a = 'main'" in conflict.hunks[0].lines
    assert "+ a = 'topic'" in conflict.hunks[0].lines
    assert (conflict.added, conflict.removed) == (5, 0)
    assert other.hunks[0].lines[0] == "-one"
    assert str(diff) == plain_git(git.path, "diff", "--full-index", "--no-renames")
    assert "a.py (conflict, modified by both)\n@@ line 1\n++<<<<<<< HEAD" in repr(diff)
    assert "conflict · modified by both" in diff._repr_html_()
    assert [(file.path, file.note) for file in git.diff(cached=True)] == [
        ("a.py", "modified by both"),
        ("sub/t.py", ""),
    ]
    assert [file.kind for file in git.diff("a.py")] == ["conflict"]
    below = GitManager(git.path / "sub")
    assert [(file.path, file.note) for file in below.diff()] == [
        ("../a.py", "modified by both"),
        ("../notes.txt", ""),
    ]


def test_a_file_that_became_a_link_leaves_the_others_their_hunks(repository):
    git = repository
    (git.path / "a").symlink_to("x")
    write(git, "b", "1\n")
    write(git, "c", "1\n")
    git.add_files()
    git.commit("a link")
    (git.path / "a").unlink()
    for name, text in (("a", "f\n"), ("b", "2\n"), ("c", "2\n")):
        write(git, name, text)
    expected = {
        "a": ["-x", "\\ No newline at end of file", "+f"],
        "b": ["-1", "+2"],
        "c": ["-1", "+2"],
    }
    assert lines(git.diff()) == expected
    git.add_files()
    git.commit("a file")
    assert lines(git.show().diff) == lines(git.diff("HEAD~1", "HEAD")) == expected
    assert "a (another type, 120000 → 100644)" in repr(git.show().diff)


# Amounts


def test_a_line_without_an_end_is_shown_where_it_differs(repository):
    git = repository
    text = "x=1;" * 500_000
    write(git, "min.js", text)
    git.add_files()
    git.commit("minified")
    write(git, "min.js", text[:1_200_000] + "x=2;" + text[1_200_004:])
    for shown in (git.diff(), git.show()):
        assert len(repr(shown)) < 3000
        assert len(shown._repr_html_()) < 6000
    assert "x=2;" in repr(git.diff())
    assert "-1,199,922 characters … " in repr(git.diff())
    assert " … 799,678 more characters" in repr(git.diff())
    assert git.diff()._repr_html_().count("<mark") == 2
    assert len(str(git.diff())) > 4_000_000
    assert " … 1,999,600 more characters" in repr(git.diff_of_unknown("min.js"))


def test_half_a_million_changed_lines_are_shown_in_part(repository, monkeypatch):
    git = repository
    write(git, "a.csv", "".join(f"{n},{n * 7},one two,{n % 13}\n" for n in range(250_000)))
    git.add_files()
    git.commit("many")
    write(git, "a.csv", "".join(f"{n},{n * 7},one six,{n % 13}\n" for n in range(250_000)))
    write(git, "b.py", "later")
    git.add_files()
    diff = git.diff(cached=True)
    compared, mark = [], render.Marker.mark
    monkeypatch.setattr(render.Marker, "mark", lambda *given: compared.append(1) or mark(*given))
    text, html = repr(diff), diff._repr_html_()
    assert len(compared) <= render.MOST_LINES + 1
    assert text.splitlines()[-1] == "… 499,607 more lines: print(diff) shows them all"
    assert len(text) < 20_000
    assert len(html) < 1_000_000
    assert "… more lines: print(diff) shows them all" in html
    assert "… 1 more files: print(diff) shows them all" in html
    assert len(str(diff).splitlines()) > 500_000
    assert "print(_.diff) shows them all" in repr(git.show("HEAD"))


def test_many_files_without_lines_are_shown_in_part(repository, monkeypatch):
    monkeypatch.setattr(render, "MOST_LINES", 9)
    for number in range(20):
        write(repository, f"{number:02}", "")
    repository.add_files()
    diff = repository.diff(cached=True)
    assert "… 11 more files: print(diff) shows them all" in diff._repr_html_()
    assert "new file mode" in str(diff)


def test_words_within_lines_are_compared_up_to_an_amount_of_work(repository):
    git = repository
    write(git, "a.txt", "".join("a b " * 90 + f"{n}\n" for n in range(300)))
    git.add_files()
    git.commit("long lines")
    write(git, "a.txt", "".join("a b " * 90 + f"{n + 1000}\n" for n in range(300)))
    html = git.diff()._repr_html_()
    assert 0 < html.count("<mark") < 100
    assert html.count("a b a b") > 600


def test_a_message_without_an_end_is_shown_in_part(repository):
    repository.commit("subject\n\n" + "line\n" * 5000, allow_empty=True)
    shown = repository.show()
    assert "… 4,802 more lines: print(_.message) shows them all" in repr(shown)
    assert "… 4,802 more lines" in shown._repr_html_()
    assert shown.message.count("\n") == 5001


def test_the_patch_of_an_unknown_file_is_git_s(repository, plain_git):
    for name, text in (("x y", "one\n\ntwo\x0cthree\n"), ("t\tab", "no end"), ("empty", "")):
        write(repository, name, text)
        expected = plain_git(
            repository.path, "diff", "--no-index", "--", "/dev/null", name, check=False
        )
        lines = [line for line in expected.split("\n") if not line.startswith("index ")]
        # Behind a name with a space, git writes a tab.
        expected = "\n".join(line.removesuffix("\t") for line in lines)
        assert str(repository.diff_of_unknown(name)) == expected, name


# Notebooks


def notebook(*cells, **more):
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], **cell} for cell in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells, **more})


def changed(git, before, after, name="n.ipynb"):
    write(git, name, before)
    git.add_files()
    git.commit("before")
    write(git, name, after)
    return git.diff(paths=name)


def test_metadata_that_changed_is_shown(repository):
    before = notebook({"source": "a = 1"}, metadata={"kernelspec": {"name": "python3"}})
    after = notebook(
        {"source": "a = 1", "metadata": {"tags": ["parameters"]}},
        metadata={"kernelspec": {"name": "r"}},
    )
    diff = changed(repository, before, after)
    for shown in (repr(diff), diff._repr_html_()):
        assert "notebook: metadata" in shown
        assert "code cell 1: metadata" in shown
    assert '-   "name": "python3"\n+   "name": "r"' in repr(diff)
    assert '+   "parameters"' in repr(diff)
    counted = notebook({"source": "a = 1", "execution_count": 2})
    diff = changed(repository, notebook({"source": "a = 1", "execution_count": 1}), counted)
    for shown in (repr(diff), diff._repr_html_()):
        assert "nothing but execution counts, or how the file is written" in shown


def test_a_picture_in_a_cell_that_changed_is_told_without_it(repository):
    cells = [{"source": "![](a.png)", "attachments": {"a.png": {"image/png": x}}} for x in "ab"]
    diff = changed(repository, *(notebook({**cell, "cell_type": "markdown"}) for cell in cells))
    assert "markdown cell 1: metadata" in repr(diff)
    assert '"a.png": "' in repr(diff)


def test_a_notebook_that_is_nested_too_deeply_is_compared_as_text(repository):
    deep = '{"nbformat": 4, "cells": [{"cell_type": "code", "source": %s}]}'
    nested = deep % ("[" * 100_000 + "]" * 100_000)
    for before, after in (("[" * 100_000, "[" * 100_001), (nested, nested + "\n")):
        diff = changed(repository, before, after)
        assert diff[0].cells() is None
        assert "@@ line 1" in repr(diff)
        assert "line 1" in diff._repr_html_()
        assert repr(repository.show())


def test_cells_are_compared_with_each_other_up_to_an_amount_of_work(repository, monkeypatch):
    monkeypatch.setattr("nbdime.diffing.notebooks.diff_notebooks", None)  # it would take minutes
    sides = [
        notebook(*({"source": f"{word} = {number}\n" * 40} for number in range(400)))
        for word in ("first", "second")
    ]
    diff = changed(repository, *sides)
    assert {change.kind for change in diff[0].cells()} == {"changed"}
    assert len(repr(diff).splitlines()) < 410
    one = [notebook({"source": "\n".join(f"x{n} = {v}" for n in range(50_000))}) for v in (1, 2)]
    diff = changed(repository, *one, name="one.ipynb")
    assert [change.kind for change in diff[0].cells()] == ["changed"]
    assert repr(diff).splitlines()[-1] == "… more lines: print(diff) shows them all"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("link", lambda path: path.symlink_to("a.py")),
        ("folder", lambda path: path.mkdir()),
        ("large", lambda path: path.write_bytes(b"x" * (64 * 2**20 + 1))),
    ],
)
def test_an_unknown_path_that_is_no_plain_file_is_shown_as_what_it_is(repository, name, make):
    make(repository.path / name)
    shown = repr(repository.diff_of_unknown(name))
    patch = str(repository.diff_of_unknown(name))
    assert patch.startswith(f"diff --git a/{name} b/{name}\nnew file mode 100644\n")
    expected = {"link": "+a.py", "folder": "a folder", "large": "67,108,865 bytes, too many"}
    assert expected[name] in shown


# What git says and does at the end


def test_a_commit_that_was_made_is_no_error_when_git_fails_at_its_summary(
    repository, plain_git, caplog
):
    git = repository
    old = plain_git(git.path, "rev-parse", "HEAD:a.py").strip()
    (git.path / ".git" / "objects" / old[:2] / old[2:]).unlink()
    write(git, "a.py", "a = 2\n")
    for number, commit in enumerate(
        (
            lambda: git.commit("by paths", paths=["a.py"]),
            lambda: git.commit("again", allow_empty=True),
        )
    ):
        sha = commit()
        assert plain_git(git.path, "rev-parse", "HEAD").strip() == sha, number
    assert plain_git(git.path, "log", "--format=%s").split("\n")[:2] == ["again", "by paths"]
    assert "git failed after the commit was made" in caplog.text
    with pytest.raises(RejectedError, match="nothing to commit"):
        git.commit("nothing")
    assert plain_git(git.path, "rev-parse", "HEAD").strip() == sha


def test_a_protected_branch_stays_so_whatever_else_has_its_name(tmp_path, plain_git):
    up = GitManager(tmp_path / "up")
    up.initialize()
    up.commit("first", allow_empty=True)
    git = up.at(tmp_path).clone(str(up.path), "down")
    git = GitManager(git.path, protected=("main",))
    up.commit("second", allow_empty=True)
    plain_git(up.path, "tag", "main")
    git.fetch()
    assert git.current_branch() == "main"
    write(git, "a", "2")
    with pytest.raises(ConfigError, match="the branch main is protected"):
        git.commit("x", paths=["a"])
    free = GitManager(git.path)
    assert free.pull() == plain_git(up.path, "rev-parse", "main^{commit}").strip()
    free.create_branch("work")
    assert free.push("origin", "work")[0].state.startswith("new")
    plain_git(git.path, "tag", "work")
    assert free.push("origin", "work")[0].state.startswith("up to date")


def test_a_git_lfs_that_is_not_there_is_named(repository, plain_git, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("git", "env", "sh"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    write(repository, ".gitattributes", "*.bin filter=lfs\n")
    write(repository, "a.bin", "x")
    plain_git(repository.path, "config", "filter.lfs.clean", "git-lfs clean -- %f")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ConfigError) as caught:
        repository.add_files()
    assert caught.value.hint.startswith("git-lfs is not installed: apt-get install git-lfs")
