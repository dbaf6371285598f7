"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import agentnb

MODULES = [
    module.name
    for module in pkgutil.walk_packages(agentnb.__path__, "agentnb.")
    if not module.name.startswith("agentnb.tutorials")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_a_module_are_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
