"""Every error of the outer services has a hint."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import agentnb
from agentnb.core import errors
from agentnb.core.errors import UsageError
from agentnb.core.hints import rendered, use_magics
from agentnb.core.table import Table

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


MAGIC = re.compile(
    r"%%?(?:agent|agentnb|ai|api|cache|db|docker|events|files|git|load_ext|queue|trace|workflow|ws)\b"
)
# What tells where something came from, or explains a setting: no hint.
LABELS = {"%%queue task {queue}", "%%agent {self.name}", "rows that a bare %db line shows"}


def texts_of(tree):
    """Yield line and text of each text that is no docstring, with the braces of f-strings."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(each) for each in ast.walk(node) if each is not node}
    for node in ast.walk(tree):
        if id(node) in inner:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (
                each.value if isinstance(each, ast.Constant) else f"{{{ast.unparse(each.value)}}}"
                for each in node.values
            )
            yield node.lineno, "".join(parts)


def magics_outside(tree):
    return [
        (line, text)
        for line, text in texts_of(tree)
        if text not in LABELS and MAGIC.search(rendered(text))
    ]


def test_a_magic_that_is_not_in_parentheses_is_found():
    assert magics_outside(ast.parse("hint = f'{name}: %queue show {job}'"))
    assert not magics_outside(ast.parse("hint = f'queue.get({job!r}) (%queue show {job}) has it'"))
    assert not magics_outside(ast.parse("'''Run by %db.'''"))


@pytest.mark.parametrize("part", ["core", "cli", "testing"])
def test_outside_of_ipython_no_text_names_a_magic(part):
    found = [
        (str(path.relative_to(ROOT)), *each)
        for path in sorted((ROOT / part).rglob("*.py"))
        for each in magics_outside(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_a_hint_names_the_magic_while_a_shell_has_it():
    shells = [object(), object()]
    hint = "hub.git.stash() (%git stash), then try again"
    plain = "hub.git.stash(), then try again"
    try:
        assert UsageError("no", service="git", hint=hint).hint == plain
        for shell in shells:
            use_magics(shell, on=True)
        use_magics(shells[0], on=False)
        assert UsageError("no", service="git", hint=hint).hint == hint
        error = UsageError("no", service="git")
        error.advise(hint)
        assert error.hint == hint
        assert Table(["a"], [], empty=hint).empty == hint
    finally:
        for shell in shells:
            use_magics(shell, on=False)
    error.advise("hub.git.status() (%git status)")
    assert error.hint == f"{hint}; hub.git.status()"
    assert Table(["a"], [], empty=hint, note=hint).empty == plain
    assert Table(["a"], [], empty=hint, note=hint).note == plain


def test_parentheses_that_are_no_magic_or_do_not_end_are_left():
    for text in ("others (5 s)", "100% (%)", "text (%git stash", "sqlite (% of all)"):
        assert rendered(text) == text
    assert rendered("a (%git show 'x (1)') b (%%db) c (2)") == "a b c (2)"
