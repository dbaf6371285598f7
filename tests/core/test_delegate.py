from __future__ import annotations

import inspect

import pytest

from agentnb.core.api import APIClient
from agentnb.core.delegate import delegate
from agentnb.core.docker import DockerManager
from agentnb.core.files import FileSystemManager
from agentnb.core.git import GitManager


def delegates(cls):
    return {name: each for name, each in vars(cls).items() if isinstance(each, delegate)}


def managers(tmp_path):
    return {
        DockerManager: DockerManager("unix:///nowhere"),
        FileSystemManager: FileSystemManager(tmp_path),
        GitManager: GitManager(tmp_path),
    }


COMPOSED = [DockerManager, FileSystemManager, GitManager]


@pytest.mark.parametrize("cls", COMPOSED)
def test_every_method_of_a_part_is_that_of_the_part_which_the_instance_holds(cls, tmp_path):
    manager = managers(tmp_path)[cls]
    for name in delegates(cls):
        method = getattr(manager, name)
        assert method.__func__ is getattr(cls, name), name


@pytest.mark.parametrize("cls", COMPOSED)
def test_a_method_of_a_part_shows_its_signature_and_docstring_on_the_public_class(cls):
    for name in delegates(cls):
        method = getattr(cls, name)
        assert inspect.isfunction(method), name
        assert inspect.getdoc(method), name
        assert "return" in method.__annotations__, name
    assert list(inspect.signature(GitManager.create_branch).parameters)[1:] == [
        *("name", "start", "switch")
    ]


def test_what_replaces_a_method_of_a_part_is_called():
    class Part:
        def greet(self):
            return "hello"

    class Whole:
        greet = delegate("_part", Part.greet)

        def __init__(self):
            self._part = Part()

    whole = Whole()
    assert whole.greet() == "hello"
    whole._part.greet = lambda: "changed"
    assert whole.greet() == "changed"


def test_the_public_names_of_git_are_methods_and_settings_that_a_user_may_use(tmp_path):
    shown = [name for name in dir(GitManager(tmp_path)) if not name.startswith("_")]
    assert shown == sorted(
        [
            *("abort", "add_files", "add_remote", "amend", "at", "branches", "ceiling", "clone"),
            *("close", "commit", "conflicts", "create_branch", "create_tag", "current_branch"),
            *("delete_branch", "delete_tag", "diff", "diff_of_unknown", "fetch"),
            *("fetch_submodules", "filters", "get_current_branch", "get_diff", "get_status"),
            *("initialize", "interpret", "is_repository", "log", "merge", "merge_abort"),
            *("merge_continue", "names", "path", "ping", "protected", "pull", "push"),
            *("remotes", "remove_remote", "remove_worktree", "repository", "resolve"),
            *("restore", "root", "show", "show_file", "stash", "stash_apply", "stash_drop"),
            *("stash_pop", "stash_show", "stashes", "status", "submodules", "switch"),
            *("tags", "timeout", "unstage_files", "worktree", "worktrees"),
        ]
    )


def test_the_public_names_of_files_are_methods_and_settings_that_a_user_may_use(tmp_path):
    shown = [name for name in dir(FileSystemManager(tmp_path)) if not name.startswith("_")]
    assert shown == sorted(
        [
            *("aappend", "aedit", "append", "aread_file", "awrite_file", "close", "confined_by"),
            *("copy_directory", "copy_file", "delete", "edit", "ensure_directory", "exists"),
            *("glob", "hash_file", "head", "list", "max_size", "move", "ping", "quota"),
            *("read_file", "read_only", "resolve_path", "root", "usage", "watch", "write_file"),
        ]
    )


def test_the_public_names_of_docker_are_methods_and_settings_that_a_user_may_use():
    shown = [name for name in dir(DockerManager("unix:///nowhere")) if not name.startswith("_")]
    assert shown == sorted(
        [
            *("abuild_image", "aexec", "apull", "arun", "aservice", "await_until", "build_image"),
            *("close", "engine", "events", "exec", "get_container_logs", "get_files", "images"),
            *("inspect", "list", "names", "network", "networks", "ping", "policies", "prune"),
            *("pull", "put_files", "remove_network", "run", "run_container", "service"),
            *("start_container", "stats", "status", "stop_container", "usage", "wait_until"),
        ]
    )


def test_the_public_names_of_an_api_are_methods_and_settings_that_a_user_may_use():
    with APIClient("https://api.example") as client:
        shown = [name for name in dir(client) if not name.startswith("_")]
    assert shown == sorted(
        [
            *("aclose", "adelete", "adownload", "aget", "ahead", "apatch", "apost", "aput"),
            *("arequest", "astream", "base_url", "breakers", "close", "closed", "cookies", "count"),
            *("delete", "download", "get", "head", "origin", "patch", "post", "put"),
            *("request", "stream"),
        ]
    )
