"""Every error of the outer services has a hint."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import agentnb
from agentnb.core import errors

ROOT = Path(agentnb.__file__).parent
PARTS = [
    path
    for part in ("git", "docker", "files", "api")
    for path in sorted([*ROOT.glob(f"*/{part}/*.py"), *ROOT.glob(f"*/{part}.py")])
]
KINDS = {name for name in errors.__all__ if name[0].isupper()} | {"PoolTimeout"}


def without_hint(tree):
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            given = {keyword.arg for keyword in call.keywords}
            if call.func.id in KINDS and "service" in given and not given & {"hint", None}:
                yield call.lineno


def test_an_error_without_a_hint_is_found():
    assert list(without_hint(ast.parse("raise UsageError('x', service='git')"))) == [1]
    assert not list(without_hint(ast.parse("raise UsageError('x', service='git', hint='y')")))


@pytest.mark.parametrize("path", PARTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_error_says_what_to_do(path):
    assert not list(without_hint(ast.parse(path.read_text())))
