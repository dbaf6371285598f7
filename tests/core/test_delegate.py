from __future__ import annotations

import inspect

import pytest

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
        while not inspect.ismethod(method):  # what records its span, or its call
            method = method.__wrapped__
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
