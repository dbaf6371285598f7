"""A JupyterLab server of this interpreter, with a home of its own."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from . import kernels

SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Every cell is in the page, also those far below what is seen.
    "notebook-extension/tracker": {"windowingMode": "none"},
}
# Parts of JupyterLab that no test uses: they take time each time it is loaded, and with each cell.
UNUSED = """
audio cell-toolbar celltags console csvviewer debugger documentsearch extensionmanager
filebrowser fileeditor help htmlviewer hub imageviewer inspector javascript json json-lines
launcher logconsole lsp mainmenu markdownviewer mathjax mermaid metadataform pdf pluginmanager
running settingeditor statusbar terminal toc tooltip video workspaces
"""
UNUSED_PARTS = {
    "application": ("faviconbusy",),
    "apputils": ("kernel-status", "running-sessions-status"),
    "notebook": (
        "active-cell-tool",
        "cloned-outputs",
        "copy-output",
        "execution-indicator",
        "log-output",
        "metadata-editor",
        "search",
        "toc",
        "tools",
    ),
}
UNUSED_IN_SERVER = "jupysql_plugin jupyter_lsp jupyter_server_terminals nbdime notebook_shim"
# jsonschema, where it finds rfc3987_syntax, has it read a grammar of addresses as it is imported:
# that takes longer than all the rest of the server's start, and no test is about such addresses.
START = """
import sys
sys.modules["rfc3987_syntax"] = None
from jupyterlab.labapp import main
main()
"""
WIDGETS = ("@jupyter-widgets", "anywidget")  # the extensions of others that are used


def _unused():
    names = [f"@jupyterlab/{name}-extension" for name in UNUSED.split()]
    parts = [(name, part) for name, all_of in UNUSED_PARTS.items() for part in all_of]
    return names + [f"@jupyterlab/{name}-extension:{part}" for name, part in parts]


class Server:
    """A JupyterLab server of this interpreter, with a home of its own."""

    def __init__(self, folder):
        self.root = folder / "notebooks"
        self.token = secrets.token_hex(16)
        self.log = folder / "lab.log"
        self.kept = None  # the notebook that is open with its kernel: its page, name and cells
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        self.root.mkdir(parents=True)
        (self.root / ".agentnb").mkdir()
        folders = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
        ours = {f"JUPYTER_{name}": str(self._folder / name.lower()) for name in folders}
        ours |= {
            "HOME": str(self._folder),
            "IPYTHONDIR": str(self._folder / "ipython"),
            "JUPYTERLAB_SETTINGS_DIR": str(self._folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self._folder / "workspaces"),
            "JUPYTER_PREFER_ENV_PATH": "1",
            "JUPYTER_PATH": str(self._folder / "share"),  # before any other
        }
        for name, value in SETTINGS.items():
            plugin, setting = name.split("/")
            path = (
                self._folder
                / "settings"
                / "@jupyterlab"
                / plugin
                / f"{setting}.jupyterlab-settings"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value))
        path = self._folder / "config_dir" / "labconfig" / "page_config.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"disabledExtensions": dict.fromkeys(_unused(), True)}))
        extensions = self._folder / "labextensions"
        extensions.mkdir()
        for name in WIDGETS:
            installed = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / name
            (extensions / name).symlink_to(installed)
        left_out = ("AGENTNB_", "JUPYTER", "DATABASE_URL", "REDIS_URL")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
        self._serve_kernels(environment | ours)
        options = [
            f"--ServerApp.root_dir={self.root}",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.extension_manager=readonly",
            f"--LabApp.labextensions_path={extensions}",
            *(f"--ServerApp.jpserver_extensions={name}=False" for name in UNUSED_IN_SERVER.split()),
            "--allow-root",
            "--no-browser",
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, *options],
                cwd=self.root,
                env=environment | ours,
                stdout=log,
                stderr=log,
            )
        for _ in range(600):
            assert self.process.poll() is None, self.log.read_text()
            try:
                self.ask("GET", "/api/status")
            except OSError:
                time.sleep(0.1)
            else:
                return self
        raise AssertionError(self.log.read_text())

    def _serve_kernels(self, environment):
        """Start what forks kernels: to import what they need takes longer than most tests."""
        script, link = str(Path(kernels.__file__)), str(self._folder / "kernels.sock")
        argv = [sys.executable, "-S", script, "start", link, "-f", "{connection_file}"]
        path = self._folder / "share" / "kernels" / "python3" / "kernel.json"
        path.parent.mkdir(parents=True)
        path.write_text(
            json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"})
        )
        self._kernels = subprocess.Popen(
            [sys.executable, script, "serve", link], cwd=self.root, env=environment
        )

    def ask(self, method, path):
        """Call the server's REST interface and return what it says."""
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            text = reply.read()
        return json.loads(text) if text else None

    def shut_kernels(self):
        for session in self.ask("GET", "/api/sessions"):
            self.ask("DELETE", f"/api/sessions/{session['id']}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._kernels.kill()
        self._kernels.wait()
