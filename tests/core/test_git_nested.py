"""Repositories in a work tree: never staged as links that nobody else can follow."""

from __future__ import annotations

import os

import pytest

import agentnb
from agentnb.core.errors import PathEscape, RejectedError
from agentnb.core.git import GitManager, exclude


@pytest.fixture
def nest(repository, plain_git):
    """Return what makes a repository in another, with a commit or without."""

    def make(path, *, empty=False, inside=repository.path):
        (inside / path).mkdir(parents=True)
        plain_git(inside / path, "init", "-q", "-b", "main")
        (inside / path / "inner.txt").write_text("inner\n")
        if not empty:
            plain_git(inside / path, "add", ".")
            plain_git(inside / path, "commit", "-q", "-m", "inner")
        return inside / path

    return make


def links(plain_git, path, revision="HEAD"):
    listed = plain_git(path, "ls-tree", "-r", revision).splitlines()
    return [line.partition("\t")[2] for line in listed if line.startswith("160000")]


def test_a_repository_in_another_is_left_out_and_named(repository, nest, plain_git, caplog):
    nest("tools/one")
    nest("two", empty=True)  # of which git would say only that it cannot be added
    (repository.path / "tools" / "a.py").write_text("a")
    left = repository.add_files()
    assert sorted(left) == ["tools/one", "two"]
    assert "left out, a repository of its own: tools/one, two" in repr(left)
    assert "tools/one" in caplog.text
    assert repository.status().staged == ["tools/a.py"]
    sha = repository.commit("all")
    assert links(plain_git, repository.path) == []
    assert repr(sha) == f"'{sha}'"
    assert repository.add_files() == left  # and again
    (repository.path / "a.py").write_text("changed\n")
    assert repository.add_files("a.py") is None


def test_a_commit_of_a_folder_leaves_them_out_and_says_so(repository, nest, plain_git):
    nest("lib/one")
    (repository.path / "lib" / "new.py").write_text("new")
    dry = repository.commit("lib", paths=["lib"], dry_run=True)
    assert [row.path for row in dry] == ["lib/new.py"]
    assert "lib/one" in repr(dry)
    sha = repository.commit("lib", paths=["lib"])
    assert sha.left_out == ("lib/one",)
    assert "left out, a repository of its own: lib/one" in repr(sha)
    assert [file.path for file in repository.show(sha).diff] == ["lib/new.py"]
    assert links(plain_git, repository.path) == []


@pytest.mark.parametrize("path", ["one", "./one", "one/", "{root}/one"])
def test_one_that_is_asked_for_by_name_is_refused(repository, nest, path):
    nest("one")
    path = path.format(root=repository.path)
    for call in (
        lambda: repository.add_files(path),
        lambda: repository.commit("x", paths=[path]),
        lambda: repository.commit("x", paths=[path], dry_run=True),
    ):
        with pytest.raises(RejectedError, match="a repository of its own") as caught:
            call()
        assert "git submodule add" in caught.value.hint
    assert repository.status().staged == []


def test_a_file_of_another_repository_is_refused_where_git_does_nothing(repository, nest):
    nest("one/two")
    for call in (
        lambda: repository.add_files("one/two/inner.txt"),
        lambda: repository.commit("x", paths=["one/two/inner.txt"]),
    ):
        with pytest.raises(RejectedError, match=r"belongs to another repository, .*one/two"):
            call()
    GitManager(repository.path / "one" / "two").add_files("inner.txt")


def test_a_submodule_is_taken_as_before(repository, nest, plain_git):
    sub = nest("sub")
    (repository.path / ".gitmodules").write_text(
        '[submodule "other name"]\n\tpath = sub\n\turl = https://example.com/sub\n'
    )
    assert repository.add_files() is None
    repository.commit("with a submodule")
    assert links(plain_git, repository.path) == ["sub"]
    (sub / "inner.txt").write_text("newer\n")
    plain_git(sub, "commit", "-q", "-a", "-m", "newer")
    assert repository.add_files("sub") is None
    assert repository.status().staged == ["sub"]
    with pytest.raises(RejectedError, match="belongs to another repository"):
        repository.add_files("sub/inner.txt")


def test_paths_are_those_of_the_folder_and_taken_literally(repository, nest):
    lib = repository.path / "lib [x]*"
    nest("one", inside=lib)
    nest("*", inside=lib)
    (lib / "new.py").write_text("new")
    git = repository.at("lib [x]*")
    assert sorted(git.add_files(".")) == ["*", "one"]
    assert git.status().staged == ["new.py"]


def test_ignored_ones_are_not_mentioned(repository, nest):
    nest("vendor/one")
    (repository.path / ".gitignore").write_text("vendor/\n")
    assert repository.add_files() is None


# What agentnb makes itself


def test_a_work_tree_in_the_repository_is_left_out_for_as_long_as_it_is_there(
    repository, plain_git
):
    path = repository.path
    (path / ".git" / "info" / "exclude").write_text("mine\n")
    repository.worktree("trees/[a] b", "agent/a")
    repository.at("trees/[a] b").worktree("../c", "agent/c")
    assert repository.status().clean
    assert repository.add_files() is None
    assert plain_git(path, "status", "--porcelain") == ""
    repository.remove_worktree("trees/[a] b")
    repository.remove_worktree("trees/c")
    assert (path / ".git" / "info" / "exclude").read_text() == "mine\n"
    (path / "trees" / "c").mkdir(parents=True)
    (path / "trees" / "c" / "file").write_text("x")
    assert repository.status().untracked


def test_many_work_trees_at_once_are_all_left_out(repository, together):
    numbers = iter(range(6))

    def work():
        number = next(numbers)
        return repository.worktree(f"tree{number}", f"agent/{number}")

    _, errors = together(6, work)
    assert errors == []
    assert repository.status().clean

    names = iter(range(200))

    def hide():
        for _ in range(25):
            exclude.hide(repository._repository.folders(), repository.path / f"folder{next(names)}")

    _, errors = together(8, hide)
    assert errors == []
    lines = (repository.path / ".git" / "info" / "exclude").read_text().splitlines()
    assert len([line for line in lines if line.startswith("/folder")]) == 200


@pytest.mark.parametrize("part", ["info", "info/exclude"])
def test_a_link_in_the_place_of_the_list_is_not_followed(repository, tmp_path, part, caplog):
    target = tmp_path / "target"
    folder = repository.path / ".git" / "info"
    if part == "info":
        target.mkdir()
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        folder.symlink_to(target)
    else:
        target.write_text("theirs\n")
        (folder / "exclude").unlink(missing_ok=True)
        (folder / "exclude").symlink_to(target)
    repository.worktree("tree", "agent")
    assert "is not left out" in caplog.text
    assert not (target / "exclude").exists()
    assert target.is_dir() or target.read_text() == "theirs\n"
    assert list(repository.add_files()) == ["tree"]


@pytest.mark.parametrize("how", ["default", "chosen", "tracked"])
def test_the_workspace_is_left_out_of_the_notebooks_repository(
    repository, plain_git, monkeypatch, how
):
    path = repository.path
    monkeypatch.chdir(path)
    (path / "workspace").mkdir()
    (path / "workspace" / "app.py").write_text("app")
    if how == "tracked":
        repository.commit("mine", paths=["workspace"])
        (path / "workspace" / "more.py").write_text("more")
    monkeypatch.delenv("AGENTNB_WORKSPACE", raising=False)
    chosen = {"workspace": "workspace"} if how == "chosen" else {}
    with agentnb.connect(home=path / ".agentnb", **chosen) as hub:
        hub.git.add_files()
        staged = plain_git(path, "diff", "--cached", "--name-only").split()
    expected = {"default": [], "chosen": ["workspace/app.py"], "tracked": ["workspace/more.py"]}
    assert [file for file in staged if file.startswith("workspace")] == expected[how]
    assert ("/workspace/" in (path / ".git" / "info" / "exclude").read_text()) is (how == "default")


@pytest.mark.parametrize(
    "folder", [".git/wt", ".agentnb/modules", ".env", "src/.agentnb/x", ".GIT/x", "src/../.git/x"]
)
def test_nothing_is_checked_out_or_cloned_into_what_is_hidden(repository, tmp_path, folder):
    (repository.path / "src").mkdir()
    for begin in (
        lambda git: git.worktree(repository.path / folder, "side"),
        lambda git: git.clone(str(repository.path), repository.path / folder),
    ):
        for git in (repository, repository.at("src")):
            with pytest.raises(PathEscape, match="hidden"):
                begin(git)
    assert not (repository.path / folder).exists()
    # What is around the repository is its owner's, such as a work tree in a home of another name.
    assert repository.worktree(tmp_path / ".env" / "side", "side").path.is_dir()


@pytest.mark.parametrize("folder", ["a.py", "a.py/x", "a.py/x/y"])
def test_a_folder_in_the_place_of_a_file_is_an_error_that_says_so(repository, folder):
    for begin in (
        lambda: repository.at(folder).initialize(),
        lambda: repository.at(folder).clone(str(repository.path)),
        lambda: repository.clone(str(repository.path), f"{folder}/z"),
    ):
        with pytest.raises(RejectedError, match=r"a\.py.* cannot be made: File exists"):
            begin()


def test_a_line_is_hidden_once_and_taken_away_alone(repository):
    found = repository._repository.folders()
    file = repository.path / ".git" / "info" / "exclude"
    before = file.read_text() if file.exists() else ""
    os.makedirs(repository.path / "a")  # noqa: PTH103
    for name in ("a", "b", "a"):
        assert exclude.hide(found, repository.path / name)
    assert file.read_text().count("/a/") == 1
    exclude.unhide(found, repository.path / "a")
    assert not exclude.hides(found, repository.path / "a")
    assert exclude.hides(found, repository.path / "b")
    exclude.unhide(found, repository.path / "b")
    assert file.read_text() == before
