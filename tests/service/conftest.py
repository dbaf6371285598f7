"""The sample service: its API of prices, its backends, and its processes."""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import agentnb
from agentnb.core.redis.binary import find_binary
from tests.waiting import until as wait_until

SCRIPTS = Path(__file__).parents[2] / "notebooks" / "scripts"
AMOUNTS = {"EURUSD": 1.5, "GBPUSD": 2.5, "USDJPY": 150.0, "USDCHF": 0.75}
APPS = ("--agents", "--app", "service.jobs", "--app", "service.report")
_OWN = ("service", "preforked")


class Handler(BaseHTTPRequestHandler):
    """Answers with the price of a symbol, once the gate is open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.gate.wait()
        symbol = self.path.rpartition("/")[2]
        body = {"symbol": symbol, "amount": AMOUNTS.get(symbol), "at": "2026-01-02T03:04:05Z"}
        data = json.dumps(body).encode()
        self.send_response(200 if symbol in AMOUNTS else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Prices(ThreadingHTTPServer):
    """An API of prices."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.gate = [], threading.Event()
        self.gate.set()

    def handle_error(self, *_):
        """Say nothing of a caller that was killed."""


@pytest.fixture
def prices():
    """Run the API of prices."""
    with Prices() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def service(prices, monkeypatch):
    """Return the modules of the service by their names."""
    monkeypatch.setenv("PRICES_URL", f"http://127.0.0.1:{prices.server_port}")
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield lambda name: importlib.import_module(f"service.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] in _OWN]:
        del sys.modules[name]


class Valkey:
    """A server of the test's own at one address, which keeps its data when it is killed."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._folder, self._process = folder, None
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        words = ["--port", self.port, "--dir", self._folder, "--save", "", "--appendonly", "yes"]
        command = [str(find_binary()), *map(str, words)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as there:
                there.sendall(b"PING\r\n")
                return there.recv(5) == b"+PONG"
        except OSError:
            return False

    def kill(self):
        self._process.kill()
        self._process.wait()


class Backend:
    """What the service stands on: the variables that say where, and a restart of its Redis."""

    def __init__(self, variables, restart):
        self.variables, self.restart = variables, restart

    def connect(self):
        return agentnb.connect()


def _restart_embedded():
    with agentnb.connect() as hub:
        pid = int(hub.redis.info("server")["process_id"])
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request, tmp_path, redis_home, monkeypatch):
    """Set the variables of SQLite and an embedded server, or of PostgreSQL and Redis."""
    valkey = None
    variables = {"AGENTNB_HOME": str(redis_home), "AGENTNB_WORKSPACE": str(tmp_path / "workspace")}
    restart = _restart_embedded
    if request.param == "postgresql":
        (tmp_path / "valkey").mkdir()
        valkey = Valkey(tmp_path / "valkey")
        variables["DATABASE_URL"] = request.getfixturevalue("fresh_url")
        variables["REDIS_URL"] = valkey.url

        def restart():
            valkey.kill()
            valkey.start()

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if valkey:
        command = [sys.executable, "-m", "agentnb.cli", "migrate"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    yield Backend(variables, restart)
    if valkey:
        valkey.kill()


@pytest.fixture
def worker(start_worker, backend, service):  # noqa: ARG001 - it sets the address of the prices
    """Return what starts a worker of the whole service."""

    def start(*words, **options):
        home = backend.variables["AGENTNB_HOME"]
        return start_worker(home, *APPS, *words, PYTHONPATH=str(SCRIPTS), **options)

    return start
