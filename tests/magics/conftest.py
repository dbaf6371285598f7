"""A real IPython shell with agentnb loaded, in a project folder of its own."""

from __future__ import annotations

import atexit
import re
from queue import Empty

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Kernel:
    """A real kernel, and a client that runs cells in it."""

    def __init__(self, manager, client):
        self.manager, self.client = manager, client

    def run(self, code, *, when_printed=None):
        """Run a cell; return what it shows, and what it raised as the kernel tells it."""
        asked = self.client.execute(code)
        shown, raised = [], ""
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=60)
            except Empty:
                pytest.fail(f"the kernel is stuck after {shown}")
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown.append(content["text"])
            elif kind in {"execute_result", "display_data"}:
                shown.append(content["data"]["text/plain"])
            elif kind == "error":
                raised = _COLOURS.sub("", "\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(shown), raised
            if shown and when_printed is not None:
                when_printed()
                when_printed = None

    def outputs(self, code, *, cell=None):
        """Run a cell; return its outputs as a notebook keeps them, each with its kind.

        Parameters
        ----------
        code
            The cell.
        cell
            Its id, which JupyterLab sends; None for a program that runs notebooks.
        """
        session = self.client.session
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        metadata = {} if cell is None else {"cellId": cell}
        message = session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        return self._outputs_of(message["header"]["msg_id"])

    def _outputs_of(self, asked):
        found, clearing = [], False
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != asked:
                continue
            if kind == "status" and content["execution_state"] == "idle":
                return [(kind, data) for kind, data, _ in found]
            if kind == "clear_output":
                clearing = content["wait"]
                found = found if clearing else []
            elif kind in _OUTPUTS:
                found, clearing = [] if clearing else found, False
                _OUTPUTS[kind](found, kind, content)


def _add_text(found, _, content):
    name, text = content["name"], content["text"]
    if found and found[-1][0] == name:
        text = found.pop()[1] + text
    found.append((name, text, None))


def _add_data(found, kind, content):
    found.append((kind, content["data"], content.get("transient", {}).get("display_id")))


def _update_data(found, _, content):
    id_ = content["transient"]["display_id"]
    found[:] = [(one[0], content["data"], id_) if one[2] == id_ else one for one in found]


_OUTPUTS = {
    "stream": _add_text,
    "display_data": _add_data,
    "execute_result": _add_data,
    "update_display_data": _update_data,
    "error": lambda found, kind, content: found.append((kind, content["ename"], None)),
}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """Return a kernel after ``%load_ext agentnb``, in a project of its own."""
    manager_module = pytest.importorskip("jupyter_client.manager")
    folder = tmp_path_factory.mktemp("project")
    (folder / ".agentnb").mkdir()
    manager, client = manager_module.start_new_kernel(
        kernel_name="python3", cwd=str(folder), extra_arguments=["--HistoryManager.enabled=False"]
    )
    kernel = Kernel(manager, client)
    kernel.run(f"import os; os.environ['AGENTNB_HOME'] = {str(folder / '.agentnb')!r}")
    kernel.run("%load_ext agentnb")
    yield kernel
    client.stop_channels()
    manager.shutdown_kernel()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Be in the folder of an empty project, whose settings are the defaults."""
    (tmp_path / ".agentnb").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    for name in ("AGENTNB_HOME", "AGENTNB_WORKSPACE", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def own_jedi_cache(tmp_path_factory):
    """Keep jedi's cache apart from other processes'.

    A file of it that another process is writing makes Tab offer nothing.
    """
    import jedi

    jedi.settings.cache_directory = tmp_path_factory.mktemp("jedi")


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
    # Else each shell is kept up to the end of the run, and tidied up for only then.
    atexit.unregister(shell.atexit_operations)
    with pytest.MonkeyPatch.context() as patch:
        # Each would look for garbage among all that the tests have made so far.
        patch.setattr("gc.collect", lambda *_: 0)
        shell.atexit_operations()
    shell.restore_sys_module_state()


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
