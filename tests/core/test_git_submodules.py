"""Submodules of clones: said, fetched, and as guarded as any clone."""

from __future__ import annotations

import logging

import pytest

from agentnb.core.errors import AgentnbError, NotFoundError, RejectedError, UnavailableError
from agentnb.core.git import GitManager


@pytest.fixture
def nested(tmp_path, plain_git):
    """Return a folder with app, its submodule lib/one, and a submodule of that, deep."""
    for name, inner, path in (("deep", "", ""), ("lib", "deep", "deep"), ("app", "lib", "lib/one")):
        git = GitManager(tmp_path / "up" / name)
        git.initialize()
        (git.path / f"{name}.txt").write_text(name)
        if inner:
            plain_git(
                git.path,
                *("-c", "protocol.file.allow=always", "submodule", "add", "-q"),
                f"../{inner}",
                path,
            )
        git.add_files()
        git.commit(name)
    return tmp_path / "up"


def test_a_clone_says_which_submodules_it_lacks_and_fetches_them_later(nested, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "agentnb.git"):
        clone = GitManager(tmp_path).clone(str(nested / "app"), "app")
    assert "submodules not fetched" in caplog.text
    assert [tuple(row)[0::3] for row in clone.submodules()] == [("lib/one", "not fetched")]
    assert clone.at("lib").fetch_submodules() == ["one"]
    assert (clone.path / "lib" / "one" / "deep" / "deep.txt").read_text() == "deep"
    assert [row.state for row in clone.submodules()] == ["fetched"]
    assert clone.fetch_submodules() == []
    assert clone.status().clean
    module = clone.at("lib/one")
    assert module.root == clone.path / "lib" / "one"
    assert module.current_branch() is None


def test_a_clone_fetches_its_submodules_and_those_of_these(nested, tmp_path, plain_git, caplog):
    (nested / "lib" / "lib.txt").write_text("later")  # not the commit that app is made of
    GitManager(nested / "lib").commit("later", paths=["lib.txt"])
    with caplog.at_level(logging.WARNING, "agentnb.git"):
        clone = GitManager(tmp_path).clone(
            (nested / "app").as_uri(), "app", recurse_submodules=True, depth=1
        )
    assert "not fetched" not in caplog.text
    assert (clone.path / "lib" / "one" / "lib.txt").read_text() == "lib"
    assert (clone.path / "lib" / "one" / "deep" / "deep.txt").read_text() == "deep"
    # Git itself finds everything where it belongs.
    told = plain_git(clone.path, "status", "--porcelain", "--ignore-submodules=none")
    assert told == ""
    assert "+" not in plain_git(clone.path, "submodule", "status", "--recursive")


def test_a_clone_whose_submodule_fails_leaves_nothing_behind(nested, tmp_path):
    (nested / "deep").rename(nested / "gone")
    with pytest.raises((NotFoundError, UnavailableError)):
        GitManager(tmp_path).clone(str(nested / "app"), "x/app", recurse_submodules=True)
    assert not (tmp_path / "x").exists()
    clone = GitManager(tmp_path).clone(str(nested / "app"), "app")
    with pytest.raises((NotFoundError, UnavailableError)):
        clone.fetch_submodules()
    assert list((clone.path / "lib" / "one").iterdir()) == []
    (nested / "gone").rename(nested / "deep")
    assert clone.fetch_submodules() == ["lib/one"]


def test_a_commit_that_nobody_has_is_an_error_that_names_it(nested, tmp_path, plain_git):
    sha = "1" * 40
    plain_git(nested / "app", "update-index", "--cacheinfo", f"160000,{sha},lib/one")
    plain_git(nested / "app", "commit", "-qm", "x")
    with pytest.raises(NotFoundError, match="commit 1111111111 of the submodule lib/one"):
        GitManager(tmp_path).clone(str(nested / "app"), "app", recurse_submodules=True)
    assert not (tmp_path / "app").exists()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ext::sh -c touch% ran", "may not use 'ext'"),
        ("--upload-pack=touch ran", "looks like an option"),
        ("../../../../../../../../../../../x", "too far up|not found|does not exist"),
        ("", "has no URL"),
    ],
)
def test_a_url_that_could_run_something_is_refused(nested, tmp_path, plain_git, url, error):
    app = nested / "app"
    if url:
        plain_git(app, "config", "-f", ".gitmodules", "submodule.lib/one.url", url)
    else:
        plain_git(app, "config", "-f", ".gitmodules", "--unset", "submodule.lib/one.url")
    plain_git(app, "commit", "-qam", "url")
    with pytest.raises(AgentnbError, match=error):
        GitManager(tmp_path).clone(str(app), "app", recurse_submodules=True)
    assert not (tmp_path / "app").exists()
    assert not list(tmp_path.rglob("ran"))


def test_a_repository_from_elsewhere_gets_no_folder_of_this_machine(nested, tmp_path, plain_git):
    clone = GitManager(tmp_path).clone(str(nested / "app"), "app")
    plain_git(clone.path, "remote", "set-url", "origin", "https://example.com/app")
    for url in (str(nested / "lib"), (nested / "lib").as_uri()):
        plain_git(clone.path, "config", "-f", ".gitmodules", "submodule.lib/one.url", url)
        clone.add_files([".gitmodules"])
        with pytest.raises(RejectedError, match="is a folder of this machine"):
            clone.fetch_submodules()


def test_a_folder_behind_a_link_or_with_files_is_left_alone(nested, tmp_path):
    clone = GitManager(tmp_path).clone(str(nested / "app"), "app")
    (clone.path / "lib" / "one" / "mine").write_text("x")
    with pytest.raises(RejectedError, match="is not empty"):
        clone.fetch_submodules()
    (clone.path / "lib" / "one" / "mine").unlink()
    (clone.path / "lib" / "one").rmdir()
    (clone.path / "lib").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (clone.path / "lib").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RejectedError, match="behind a link"):
        clone.fetch_submodules()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_no_hook_or_filter_runs_in_a_submodule(nested, tmp_path, plain_git):
    lib = nested / "lib"
    hook = lib / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    plain_git(lib, "config", "uploadpack.packObjectsHook", str(hook))
    plain_git(lib, "config", "core.fsmonitor", str(hook))
    GitManager(tmp_path).clone(str(nested / "app"), "app", recurse_submodules=True)
    assert not (tmp_path / "ran").exists()
