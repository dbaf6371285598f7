"""The core works where no package of Jupyter is installed."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from agentnb.core.errors import UsageError
from agentnb.core.extras import need

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
JUPYTER = {
    *("IPython", "ipykernel", "jupyterlab", "ipywidgets", "anywidget", "nbdime", "traitlets"),
    *("nbformat", "nbconvert", "jupyter_client", "jupyter_core", "jupyter_server", "comm", "zmq"),
    *("tornado", "notebook"),
}
# A package that is None in sys.modules cannot be imported, as if it were not installed.
SITE = f"import sys; sys.modules.update(dict.fromkeys({sorted(JUPYTER)}))"


def names_of(requirements):
    return {re.match(r"[\w.-]+", one)[0].lower().replace("_", "-") for one in requirements}


@cache
def imports_of(folder):
    """Return the packages that the code of a folder imports, each with a file that does."""
    found = {}
    for path in sorted((ROOT / "agentnb" / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            found |= {one.partition(".")[0]: path.name for one in modules}
    known = sys.stdlib_module_names | {"annotationlib"}  # from Python 3.14 on
    return {one: path for one, path in found.items() if one not in {*known, "agentnb"}}


@pytest.fixture
def project(tmp_path, redis_home, monkeypatch):
    """Return a folder whose home is empty."""
    monkeypatch.setenv("AGENTNB_HOME", str(redis_home))
    for name in ("DATABASE_URL", "REDIS_URL", "AGENTNB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".agentnb").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def without_jupyter(project):
    """Return what runs a Python, and those that it starts, as if there were no Jupyter."""
    (project / "site").mkdir()
    (project / "site/sitecustomize.py").write_text(SITE)
    paths = filter(None, [str(project / "site"), *sys.path])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=project, env=env, capture_output=True, text=True, check=False
        )

    return run


def test_the_core_depends_on_no_package_of_jupyter():
    distributions = packages_distributions()
    jupyter = names_of(one for name in JUPYTER for one in distributions.get(name, [name]))
    extras = PROJECT["optional-dependencies"]
    assert not names_of(PROJECT["dependencies"]) & jupyter
    assert names_of(extras["lab"]) <= jupyter
    assert {"lab", "frames", "postgres"} <= set(re.findall(r"\w+", extras["all"][0]))
    assert "agentnb-toolkit[all]" in extras["test"]


@pytest.mark.parametrize("name", ["README.md", "environment.yml", "notebooks/guide/install.md"])
def test_each_way_to_install_has_the_packages_of_the_tutorial_about_data(name):
    assert ".[duckdb,frames,lab,postgres]" in (ROOT / name).read_text(encoding="utf-8")


def test_the_imports_of_a_folder_are_found():
    assert {"sqlalchemy", "redis", "httpx", "docker", "nbdime"} <= imports_of("core").keys()


@pytest.mark.parametrize("folder", ["core", "cli"])
def test_every_package_that_is_imported_is_a_dependency_or_of_an_extra(folder):
    extras = PROJECT["optional-dependencies"]
    kept = [one for name, found in extras.items() if name not in {"all", "test"} for one in found]
    known = names_of(PROJECT["dependencies"]) | names_of(kept)
    known |= {"jupyter-core"}  # of jupyterlab
    # Libraries whose values are understood where a user has them.
    known |= {"numpy", "attrs", "pydantic", "pydantic-core"}
    known |= {"httpcore", "hiredis", "requests"}  # of httpx, redis[hiredis] and docker
    known |= {"anyio", "httpx2"}  # of mcp
    known |= {"typing-extensions"}  # known to type checkers, and not imported when it runs
    distributions = packages_distributions()
    unknown = [
        f"{path} imports {package}"
        for package, path in imports_of(folder).items()
        if not names_of(distributions.get(package, [package])) & known
    ]
    assert unknown == []


def test_services_work_without_jupyter(without_jupyter):
    done = without_jupyter(
        "-c",
        "import sys, agentnb\n"
        "with agentnb.connect() as hub:\n"
        "    print(hub.db.query('select 42').scalar())\n"
        "    hub.cache.set('k', [1]); print(hub.cache.get('k'))\n"
        "    worker = hub.queue('q').work(lambda job: job.data * 2)\n"
        "    print(hub.queue('q').add(21).result(30))\n"
        "    agent = hub.workflows.agent('a')(lambda task, ctx: task.data)\n"
        "    hub.workflows.work()\n"
        "    made = hub.workflows.create('w', [{'name': 't', 'agent': 'a', 'data': 7}])\n"
        "    print(made.wait(timeout=30).result['t'])\n"
        "    hub.files.write_file('a.txt', 'x'); hub.repo('r').initialize()\n"
        "print(sorted({one.partition('.')[0] for one in sys.modules if sys.modules[one]}"
        f" & set({sorted(JUPYTER)})))\n",
    )
    assert done.stdout.split("\n")[:-1] == ["42", "[1]", "42", "7", "[]"], done.stderr


def test_a_worker_does_jobs_without_jupyter(without_jupyter, project):
    (project / "jobs.py").write_text("def double(job):\n    return job.data * 2\n")
    add = "import agentnb\nwith agentnb.connect() as hub: hub.queue('q').add(21)"
    assert without_jupyter("-c", add).returncode == 0
    command = ["-m", "agentnb.cli", "worker", "q", "--processor", "jobs:double", "--drain"]
    for options in ([], ["--processes"]):
        done = without_jupyter(*command, *options)
        assert done.returncode == 0, done.stderr
    look = "import agentnb\nwith agentnb.connect() as hub: print(hub.queue('q').counts())"
    assert "'completed': 1" in without_jupyter("-c", look).stdout


def test_lab_names_the_packages_to_install(without_jupyter):
    done = without_jupyter("-m", "agentnb.cli", "lab", "--no-browser")
    assert done.returncode == 2
    packages = "jupyterlab ipykernel ipywidgets anywidget nbdime"
    assert f"-m pip install {packages}" in done.stderr
    assert (
        "agentnb lab needs jupyterlab, ipykernel, ipywidgets, anywidget and nbdime, which"
        in done.stderr
    )


def test_the_other_commands_work_without_jupyter(without_jupyter, project):
    (project / "a.ipynb").write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": []}))
    for command in (["status"], ["check", "a.ipynb"], ["tutorials", "t"], ["migrate"], ["--help"]):
        done = without_jupyter("-m", "agentnb.cli", *command)
        assert done.returncode == 0, (command, done.stderr)


def test_notebooks_are_compared_by_their_cells_without_nbdime(without_jupyter):
    done = without_jupyter(
        "-c",
        "import json\n"
        "from agentnb.core.git.cells import compare\n"
        "def notebook(*sources):\n"
        "    cells = [{'cell_type': 'code', 'source': one, 'outputs': []} for one in sources]\n"
        "    return json.dumps({'nbformat': 4, 'cells': cells}).encode()\n"
        "found = compare(notebook('a', 'b = 1', 'c'), notebook('a', 'b = 2', 'new', 'c'))\n"
        "print([(one.kind, one.number) for one in found])\n",
    )
    assert done.stdout.strip() == "[('changed', 2), ('added', 3)]", done.stderr


def test_magics_work_in_a_shell_without_widgets_and_a_panel_names_them(project):
    gone = sorted(JUPYTER - {"IPython", "traitlets"})
    source = (
        f"import sys; sys.modules.update(dict.fromkeys({gone}))\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "from traitlets.config import Config\n"
        "config = Config(); config.HistoryManager.enabled = False\n"
        "shell = InteractiveShell.instance(config=config)\n"
        "shell.run_line_magic('load_ext', 'agentnb')\n"
        "print(shell.run_line_magic('db', 'select 42').scalar())\n"
        "for line in ('%files ls', '%agentnb', '%queue', '%%events on c\\nevent', '%api list'):\n"
        "    assert shell.run_cell(line).success, line\n"
        "error = shell.run_cell('%db panel').error_in_exec\n"
        "print(error.message); print(error.hint)\n"
        "shell.run_line_magic('unload_ext', 'agentnb')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=project, capture_output=True, text=True, check=False
    )
    assert "42" in done.stdout.split(), done.stderr
    assert "a panel needs ipywidgets and anywidget, which are not installed here" in done.stdout
    assert "%pip install ipywidgets anywidget" in done.stdout


@pytest.mark.parametrize("module", ["pandas", "polars", "pyarrow", "pyarrow.ipc"])
def test_a_frame_without_its_library_says_the_line_that_installs_it(monkeypatch, module):
    package = module.partition(".")[0]
    for name in [one for one in sys.modules if one.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"{package} is not installed here") as caught:
        need(module)
    assert caught.value.hint == f"%pip install {package}"


def test_a_library_that_fails_to_import_another_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import what_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="what_is_not_there"):
        need("half_installed")
