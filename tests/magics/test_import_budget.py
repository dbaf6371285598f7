from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    *("sqlalchemy", "pandas", "polars", "pyarrow", "numpy", "ipywidgets", "anywidget", "redis"),
    *("docker", "git", "httpx", "huey", "dotenv", "msgspec", "stamina", "adbc_driver_manager"),
    *("psycopg", "nbformat", "jsonschema", "sqlite3", "watchfiles", "websockets", "duckdb"),
)
_LOAD = """
import json, sys
import IPython, ipykernel.ipkernel, ipykernel.kernelapp
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
before = set(sys.modules)
shell.run_line_magic("load_ext", "agentnb")
loaded = set(sys.modules) - before
shell.run_cell("1")
ran = set(sys.modules) - before - loaded
shell.run_line_magic("agentnb", "help")
shell.run_line_magic("db", "help")
helped = set(sys.modules) - before - loaded - ran
print(json.dumps([sorted(loaded), sorted(ran), sorted(helped)]))
"""
# Each costs about a quarter of a millisecond in every notebook, used or not.
LOADED = [
    "agentnb",
    "agentnb.core",
    "agentnb.core.clock",
    "agentnb.core.closing",
    "agentnb.core.delegate",
    "agentnb.core.errors",
    "agentnb.core.errors.base",
    "agentnb.core.errors.files",
    "agentnb.core.errors.leaves",
    "agentnb.core.errors.missing",
    "agentnb.core.errors.queries",
    "agentnb.core.forking",
    "agentnb.core.hints",
    "agentnb.core.hub",
    "agentnb.core.imports",
    "agentnb.core.keywords",
    "agentnb.core.nearest",
    "agentnb.core.ranges",
    "agentnb.core.services",
    "agentnb.core.services.data",
    "agentnb.core.services.entry",
    "agentnb.core.services.health",
    "agentnb.core.services.outside",
    "agentnb.core.services.work",
    "agentnb.core.twins",
    "agentnb.magics",
    "agentnb.magics.extension",
    "agentnb.magics.hints",
]


def modules_of(source, cwd):
    found = subprocess.run(
        [sys.executable, "-c", source], cwd=cwd, capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout.splitlines()[-1])


def heavy(names):
    return [name for name in names if name.partition(".")[0] in HEAVY]


def test_loading_imports_nothing_heavy(project):
    loaded, ran, helped = modules_of(_LOAD, project)
    assert "agentnb.magics.db.magic" in helped  # the measure measures
    assert heavy(loaded) == heavy(ran) == heavy(helped) == []


def test_loading_imports_no_magic_and_no_service(project):
    loaded, ran, _ = modules_of(_LOAD, project)
    ours = [name for name in loaded if name.partition(".")[0] == "agentnb"]
    assert ours == LOADED
    assert [name for name in ran if name.partition(".")[0] == "agentnb"] == [
        "agentnb.core.trace",
        "agentnb.core.trace.cell",
        "agentnb.core.trace.context",
        "agentnb.core.trace.process",
    ]


def test_help_of_git_starts_and_imports_no_git(project):
    source = _LOAD.replace('"db", "help"', '"git", "help"')
    *_, helped = modules_of(source, project)
    assert "agentnb.magics.git.magic" in helped
    assert [name for name in helped if name.startswith(("agentnb.core.git", "git"))] == []


def test_the_package_itself_imports_nothing_at_all(project):
    source = (
        "import __future__, json, sys, typing; before = set(sys.modules); import agentnb;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    assert modules_of(source, project) == ["agentnb"]


def test_loading_writes_nothing(project):
    before = set(project.rglob("*"))
    modules_of(_LOAD, project)
    assert {path for path in project.rglob("*") if ".ipython" not in path.parts} == before
