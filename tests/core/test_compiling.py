"""Processes of a parallel run compile each test file once."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from _pytest.assertion import rewrite

from tests.compiling import compile_share


@pytest.fixture
def share(pytestconfig, tmp_path, monkeypatch):
    """Return what compiles as process N of two, and gives the names of all that are compiled."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def compile_one(number):
        config = SimpleNamespace(
            workerinput={"workerid": f"gw{number}", "workercount": 2},
            stash=pytestconfig.stash,
            getini=pytestconfig.getini,
        )
        compile_share(config, tmp_path)
        return sorted(file.name.partition(".cpython")[0] for file in tmp_path.rglob("*.pyc"))

    return compile_one


def test_each_process_compiles_its_share(share, tmp_path):
    (tmp_path / "core").mkdir()
    for name in ["core/test_a.py", "core/test_b.py", "test_c.py", "help.py"]:
        (tmp_path / name).write_text("assert 1 == 1\n")
    first = share(0)
    both = share(1)
    assert [len(first), len(both)] == [2, 3]
    assert both == ["test_a", "test_b", "test_c"]


def test_pytest_takes_what_was_compiled_up_to_the_next_change(share, tmp_path):
    file = tmp_path / "test_a.py"
    file.write_text("def test_a(x=1):\n    assert x == 2\n")
    share(0)
    compiled = rewrite.get_cache_dir(file) / f"test_a{rewrite.PYC_TAIL}"
    code = rewrite._read_pyc(file, compiled)
    assert "@pytest_ar" in code.co_names  # so asserts explain themselves
    made = compiled.stat().st_mtime_ns
    share(0)
    assert compiled.stat().st_mtime_ns == made
    file.write_text("def test_a(x=1):\n    assert x == 1\n")
    assert rewrite._read_pyc(file, compiled) is None
    share(0)
    assert rewrite._read_pyc(file, compiled) is not None
