"""A forked child uses a hub whose locks threads of its parent held when it was made."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
import types
import warnings
from pathlib import Path

import pytest

import agentnb
from agentnb.core import forking
from agentnb.core.background import run_in_thread
from agentnb.core.db import Database
from agentnb.core.db.catalog import Catalog
from agentnb.core.errors import AgentnbError

LOCKS = (type(threading.Lock()), type(threading.RLock()))
CONTAINERS = (dict, list, tuple, set, frozenset)
SYNCHRONISERS = (threading.Condition, threading.Event, threading.Semaphore)


def _locks(root):
    """Return every lock that can be reached from an object through objects of agentnb."""
    seen, left, found = {}, [root], []
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        if isinstance(one, LOCKS):
            found.append(one)
        elif isinstance(one, CONTAINERS):
            left += one.values() if isinstance(one, dict) else one
        elif isinstance(one, types.MethodType):
            left.append(one.__self__)
        elif isinstance(one, SYNCHRONISERS) or type(one).__module__.startswith("agentnb"):
            left += getattr(one, "__dict__", {}).values()
            slots = [
                name
                for kind in type(one).__mro__
                for name in getattr(kind, "__slots__", ())
                if hasattr(one, name)
            ]
            left += [getattr(one, name) for name in slots]
    return found


def _use_all(hub):
    hub.files.list(".")
    hub.db.query("select 1")
    hub.cache.set("k", 1)
    hub.events.publish("c", 1)
    hub.queue("q").add(1)
    hub.workflows.list()
    hub.repo(".").repository()
    hub.websocket("ws://127.0.0.1:1").stats()
    for call in (lambda: hub.api("http://127.0.0.1:1").get("/", retries=0), hub.docker.ping):
        with pytest.raises(AgentnbError):
            call()


@pytest.fixture
def hub(redis_home):
    nowhere = f"unix://{redis_home.parent}/no.sock"
    with agentnb.connect(
        home=redis_home, workspace=redis_home.parent / "w", docker_host=nowhere
    ) as hub:
        _use_all(hub)
        yield hub


def _fork(work):
    """Return how a child ended that does some work: 0 if it was done."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point
        child = os.fork()
    if not child:
        signal.alarm(30)
        try:
            work()
        except BaseException:  # noqa: BLE001 - of a child, which must not go on as a test
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


LOCK = re.compile(r"\bthreading\.(R?Lock|Condition|Event|\w*Semaphore|Barrier)\(")
EXAMPLE = re.compile(r"^ *>>> .*$", re.MULTILINE)
IMPORT = re.compile(
    r"^from threading import .*(Lock|Condition|Event|Semaphore|Barrier)", re.MULTILINE
)


def test_every_lock_of_the_package_is_made_where_a_child_finds_it():
    folder = Path(agentnb.__file__).parent
    files = [path for path in folder.rglob("*.py") if "tutorials" not in path.parts]
    texts = {path.relative_to(folder): EXAMPLE.sub("", path.read_text("utf-8")) for path in files}
    assert LOCK.search(texts.pop(Path("core/forking.py")))
    assert [name for name, text in texts.items() if LOCK.search(text) or IMPORT.search(text)] == []


def test_a_lock_that_nobody_has_but_a_function_is_free_in_a_child():
    event, semaphore = forking.new_event(), forking.new_semaphore(1)
    locks = [forking.new_lock(), event._cond, semaphore._cond]
    with contextlib.ExitStack() as held:
        for lock in locks:
            held.enter_context(lock)
        assert _fork(lambda: all(lock.acquire(timeout=5) for lock in locks) or 1 / 0) == 0


@pytest.mark.parametrize("frozen", [False, True])
def test_a_child_finds_no_lock_held_by_a_thread_that_it_does_not_have(hub, monkeypatch, frozen):
    if frozen:
        gc.freeze()  # as Python's documentation advises to do before forks
    monkeypatch.setattr(forking, "_LONGEST_WAIT", 0.0)  # what is held is not let go
    locks = _locks(hub)
    assert len(locks) > 40
    held, done = threading.Event(), threading.Event()

    def hold():
        mine = [lock for lock in locks if lock.acquire(timeout=0.01)]
        held.set()
        done.wait()
        for lock in mine:
            lock.release()

    def work():
        mine = _locks(hub)  # a part that notices the fork may have made new ones
        assert len(mine) > 40
        stuck = [lock for lock in mine if not lock.acquire(blocking=False)]
        assert not stuck
        for lock in mine:
            lock.release()
        _use_all(hub)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert _fork(work) == 0
    finally:
        done.set()
        thread.join()


def test_a_lock_that_the_forking_thread_holds_stays_held(hub):
    def work():
        assert hub._lock._lock._is_owned()
        hub._lock._lock.release()

    with hub._lock:
        assert _fork(work) == 0


def test_a_child_opens_a_service_while_its_parent_opens_another(redis_home, monkeypatch):
    monkeypatch.setattr(forking, "_LONGEST_WAIT", 0.0)
    with agentnb.connect(home=redis_home, workspace=redis_home.parent / "w") as hub:
        started, done = threading.Event(), threading.Event()

        def open_slowly():
            with hub._lock:
                started.set()
                done.wait()

        thread = threading.Thread(target=open_slowly)
        thread.start()
        started.wait()
        ended = _fork(lambda: hub.files.list("."))
        done.set()
        thread.join()
    assert ended == 0


FIRST = """
import os, signal, sys, threading, time
import agentnb

hub = agentnb.connect()
threading.Thread(target=lambda: getattr(hub, sys.argv[1])).start()
time.sleep(float(sys.argv[2]))
child = os.fork()
if not child:
    signal.alarm(60)
    hub.files.list(".")
    getattr(hub, sys.argv[1])
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(("service", "after"), [("websockets", 0.004), ("workflows", 0.03)])
def test_a_fork_during_the_first_use_of_a_process_leaves_a_child_that_works(
    tmp_path, service, after
):
    (tmp_path / ".agentnb").mkdir(mode=0o700)
    command = [sys.executable, "-c", FIRST, service, str(after)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_fork_lets_another_thread_finish_what_it_opens(redis_home):
    with agentnb.connect(home=redis_home, workspace=redis_home.parent / "w") as hub:
        held, opened = threading.Event(), []

        def open_slowly():
            with hub._lock:
                held.set()
                time.sleep(0.3)
                opened.append(True)

        thread = threading.Thread(target=open_slowly)
        thread.start()
        held.wait()
        assert _fork(opened.pop) == 0
        thread.join()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_names_that_a_parent_asks_for_are_asked_for_anew_in_a_child(tmp_path):
    gate, asked = threading.Event(), threading.Event()
    with Database(f"sqlite:///{tmp_path / 'a.db'}") as db:
        db.execute("create table t (n int)")
        catalog = Catalog(db, patience=10.0)

        def ask():
            asked.set()
            gate.wait(30)
            return []

        run_in_thread(catalog._names, "t", ask, name="test")
        assert asked.wait(30)
        child = os.fork()
        if child == 0:
            os._exit(0 if catalog._names("t", lambda: ["n"]) == ["n"] else 1)
        try:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        finally:
            gate.set()


def _file_locks(folder):
    """Yield what holds the lock of a file for a block, with the file."""
    from agentnb.core.files.ledger import FileLedger
    from agentnb.core.files.writing import exclusive
    from agentnb.core.git.locks import alone
    from agentnb.core.redis.locks import locked
    from agentnb.core.resilience import Deadline

    yield FileLedger(folder, "ledger").gate(alone=True), folder / "ledger.gate"
    yield alone(folder, 1.0), folder
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    yield exclusive(directory, "x"), folder
    os.close(directory)
    yield locked(folder / "start.lock", Deadline(1.0)), folder / "start.lock"


def test_the_lock_of_a_file_ends_with_its_block_although_a_child_was_forked(tmp_path):
    for block, path in _file_locks(tmp_path):
        ended, end = os.pipe()
        with block, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
            if not child:
                os.close(end)
                os.read(ended, 1)
                os._exit(0)
        taken = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            for descriptor in (taken, end, ended):
                os.close(descriptor)
            os.waitpid(child, 0)
