"""A real IPython shell with agentnb loaded, in a project folder of its own."""

from __future__ import annotations

import gc

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Be in the folder of an empty project, whose settings are the defaults."""
    (tmp_path / ".agentnb").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    for name in ("AGENTNB_HOME", "AGENTNB_WORKSPACE", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def bare_shell(project):  # noqa: ARG001 - the shell lives in it
    """Return a shell without agentnb."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell(config=config)
    yield shell
    if "agentnb" in shell.extension_manager.loaded:
        shell.run_line_magic("unload_ext", "agentnb")
    gc.collect()


@pytest.fixture
def shell(bare_shell):
    """Return a shell after ``%load_ext agentnb``."""
    bare_shell.run_line_magic("load_ext", "agentnb")
    return bare_shell


@pytest.fixture
def run(shell, capsys):
    """Run a cell; return its result, or raise its error."""

    def run_cell(source):
        found = shell.run_cell(source)
        capsys.readouterr()
        found.raise_error()
        return found.result

    return run_cell


@pytest.fixture
def shown(shell, capsys):
    """Run a cell; return what it prints and its error, if it has one, as they are shown."""

    def run_cell(source):
        capsys.readouterr()
        shell.run_cell(source)
        captured = capsys.readouterr()
        return captured.out + captured.err

    return run_cell
