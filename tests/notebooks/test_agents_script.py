"""The story of the agents is the same in its notebook and in its script."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest

import agentnb
from agentnb.core.errors import AgentnbError

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SCRIPT = NOTEBOOKS / "scripts" / "agents.py"
CELLS = [
    cell.source
    for cell in nbformat.read(NOTEBOOKS / "10_agents.ipynb", as_version=4).cells
    if cell.cell_type == "code"
]


def bodies_of_the_notebook():
    """Return what each agent does, without its docstring and its comments."""
    found = {}
    for source in CELLS:
        if made := re.match(r"%%agent (\S+).*\n", source):
            function = "def f(task, ctx):\n" + re.sub(
                "^", "    ", source[made.end() :], flags=re.MULTILINE
            )
            found[made[1]] = [ast.dump(line) for line in ast.parse(function).body[0].body]
    return found


def bodies_of_the_script():
    found = {}
    for node in ast.parse(SCRIPT.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            name = node.decorator_list[0].args[0].value
            found[name] = [ast.dump(line) for line in node.body[1:]]
    return found


def told(text):
    """Return the lines of a summary by their names."""
    return dict(line.split(": ", 1) for line in text.splitlines())


def result_of_the_notebook():
    """Return what its summary was when it was saved."""
    notebook = nbformat.read(NOTEBOOKS / "10_agents.ipynb", as_version=4)
    cell = next(cell for cell in notebook.cells if cell.source.startswith("tell(summary("))
    return told(cell.outputs[0]["text"])


@pytest.fixture
def run_script(redis_home):
    home = {"AGENTNB_HOME": str(redis_home), "AGENTNB_WORKSPACE": f"{redis_home}-workspace"}
    environment = os.environ | home

    def python(*words, **settings):
        done = subprocess.run(
            [sys.executable, *words],
            env=environment | settings,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(key, database_url=""):
        settings = {"DATABASE_URL": database_url}
        if database_url:
            python("-m", "agentnb.cli", "migrate", **settings)
        return told(python(str(SCRIPT), key, **settings))

    yield run
    with agentnb.connect(home=redis_home) as hub, suppress(AgentnbError):  # there is no engine
        hub.docker.prune(images=True)


def test_the_agents_of_the_script_are_those_of_the_notebook():
    assert list(bodies_of_the_notebook()) == list(bodies_of_the_script())
    assert bodies_of_the_notebook() == bodies_of_the_script()


def test_the_script_imports_nothing_but_the_core():
    imported = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    others = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    assert others
    assert all(name.startswith("agentnb.core") for name in others)


def test_the_script_prints_what_the_notebook_shows_and_the_same_key_does_nothing_twice(run_script):
    found, expected = run_script("a key"), result_of_the_notebook()
    assert found.pop("the same key") == "the same workflow"
    assert found["started again"] == '["code", "tests", "docs"]'
    image = found.pop("image")  # what came of it depends on whether an engine answers
    assert image == '{"image": "greeter", "says": "Hello, Ada"}' or "skipped" in image
    assert found == expected
    again = run_script("a key")
    assert again == found | {"image": image, "the same key": "the same workflow"}


def test_the_script_prints_the_same_on_postgresql(run_script, fresh_url):
    found, expected = run_script("a key", fresh_url), result_of_the_notebook()
    assert {name: found[name] for name in expected} == expected
