"""The examples in the docstrings are true, on every Python that is supported."""

from __future__ import annotations

import builtins
import doctest
import importlib
import pkgutil
import traceback
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

import agentnb

# Only their texts: to import them takes seconds, in each process that collects the tests.
TEXTS = {
    module.name: Path(module.module_finder.find_spec(module.name).origin).read_text("utf-8")
    for module in pkgutil.walk_packages(agentnb.__path__, "agentnb.")
    if not module.name.startswith("agentnb.tutorials")
}
MODULES = [name for name, text in TEXTS.items() if ">>>" in text]
RAISING = [name for name in MODULES if "Traceback (most recent call last)" in TEXTS[name]]


@pytest.fixture(autouse=True)
def forget_last_value():
    """Remove what doctest leaves in the builtins: IPython keeps no `_` of its own beside it."""
    yield
    vars(builtins).pop("_", None)


@cache
def raising(module):
    """Return the examples of a module that end in an exception."""
    tests = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module))
    return [example for test in tests for example in test.examples if example.exc_msg is not None]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_a_module_are_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_an_example_shows_no_exception_with_a_hint(name):
    # The hint is a note, and until Python 3.11.4 doctest compares an exception's last line only.
    for example in raising(name):
        assert example.exc_msg.count("\n") == 1, example.source


def as_in_python_3_11_2(*error):
    return traceback.format_exception_only(*error)[-1:]


@pytest.mark.parametrize("name", RAISING)
def test_the_exceptions_in_examples_are_true_on_python_3_11_2(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old = SimpleNamespace(**vars(traceback) | {"format_exception_only": as_in_python_3_11_2})
    monkeypatch.setattr(doctest, "traceback", old)
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert (failed, tried > 0) == (0, True)
