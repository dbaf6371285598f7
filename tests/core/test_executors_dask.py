"""A Dask cluster as an executor: a real scheduler, and real workers."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

import agentnb
from agentnb.core.errors import ConfigError, UnavailableError
from agentnb.core.work.executors import far
from agentnb.core.work.executors.choose import choose
from agentnb.core.work.executors.dask import DaskExecutor
from agentnb.core.work.executors.record import Record, versions, write
from agentnb.core.work.identity import host_name
from tests.core.executor_units import KINDS
from tests.dask_cluster import Cluster, cluster


@pytest.fixture(scope="module")
def dask_cluster(tmp_path_factory):
    """Return a cluster of one worker with two threads."""
    folder = tmp_path_factory.mktemp("dask")
    with cluster(folder, workers=1) as made:
        yield made


@pytest.fixture
def executor(dask_cluster):
    with choose(dask_cluster.address, service="queue") as made:
        yield made


def test_a_call_runs_on_a_worker_of_the_cluster(executor, dask_cluster):
    assert isinstance(executor, DaskExecutor)
    assert executor.submit(os.getpid).result(30) == dask_cluster.workers[0].pid


def test_equal_calls_are_two_calls(executor):
    assert executor.submit(time.monotonic_ns).result(30) != executor.submit(
        time.monotonic_ns
    ).result(30)


def test_its_size_is_said(executor):
    assert (str(executor), executor.slots) == ("dask 1x2", 2)


def test_a_client_of_the_callers_is_used_and_left_open(dask_cluster):
    from distributed import Client

    address = dask_cluster.address.replace("dask", "tcp")
    with Client(address, set_as_default=False) as client:
        with choose(client, service="queue") as executor:
            assert executor.submit(abs, -1).result(30) == 1
        assert client.status == "running"
        with pytest.raises(UnavailableError):
            executor.submit(abs, -1)


def test_an_address_where_nobody_listens_is_refused_in_time():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))  # and does not listen
        address = f"dask://127.0.0.1:{one.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="no Dask scheduler answers at tcp") as caught:
            choose(address, service="queue")
    assert "dask scheduler" in caught.value.hint


def test_something_else_that_listens_there_is_refused_in_time(monkeypatch):
    monkeypatch.setattr("agentnb.core.work.executors.dask.ANSWER_SECONDS", 0.5)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        address = f"dask://127.0.0.1:{one.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="no Dask scheduler answers"):
            choose(address, service="queue")


def test_tls_without_certificates_says_which_settings_it_needs(dask_cluster):
    # Before a client is made: one that fails for it is waited for when it is collected.
    with pytest.raises(ConfigError, match=r"cannot be used.*names no certificates") as caught:
        choose(dask_cluster.address.replace("dask", "tls"), service="queue")
    assert "CA_FILE" in caught.value.hint


def test_a_check_runs_beside_the_calls_of_a_busy_worker(executor):
    busy = [executor.submit(time.sleep, 1.5) for _ in range(executor.slots)]
    executor.check(_fits)
    assert not any(one.done() for one in busy)


def test_a_worker_that_the_check_refuses_is_named(executor):
    with pytest.raises(ConfigError, match=r"Dask worker tcp://.* cannot run this: wrong server"):
        executor.check(_refuses, "wrong server")


def test_a_function_that_cannot_be_imported_there_is_named(executor):
    with pytest.raises(ConfigError, match=r"No module named .*only_here"):
        executor.check(_only_here())


def test_a_worker_that_joins_later_is_checked_and_sent_nothing(tmp_path, until):
    made = Cluster(tmp_path)
    try:
        first = made.add_worker(threads=1)
        made.wait()
        with choose(made.address, service="queue") as executor:
            executor.check(_is_named, "AGENTNB_NO_SUCH")
            made.add_worker(threads=1, environ={"AGENTNB_NO_SUCH": "1"})
            made.wait()
            until(lambda: executor._refused)
            assert {executor.submit(os.getpid).result(30) for _ in range(6)} == {first.pid}
            assert str(executor) == "dask 1x1"
            made.kill_worker(first)
            made.wait(1)
            until(lambda: not executor._passed)
            with pytest.raises(ConfigError, match="AGENTNB_NO_SUCH is set"):
                executor.submit(os.getpid)
            made.workers[0].kill()
    finally:
        made.close()


def test_a_cluster_without_workers_says_once_that_calls_wait(tmp_path, until, caplog):
    caplog.set_level("INFO", "agentnb.work")
    made = Cluster(tmp_path)
    try:
        with choose(made.address, service="queue") as executor:
            executor.check(_fits)
            call = executor.submit(os.getpid)
            until(lambda: "no Dask worker has joined tcp://127.0.0.1:" in caplog.text)
            worker = made.add_worker(threads=1)
            assert call.result(60) == worker.pid
            until(lambda: "a Dask worker has joined" in caplog.text)
            assert caplog.text.count("no Dask worker has joined") == 1
            # The same look goes on where the client gives up: it is no failure of the thread.
            asked = executor._client.scheduler_info
            executor._client.scheduler_info = lambda **_: {"type": "Scheduler"}
            with pytest.raises(UnavailableError, match="does not answer"):
                executor._look_for_silent()
            executor._client.scheduler_info = asked
    finally:
        made.close()


def test_it_connects_again_to_a_scheduler_that_was_away(tmp_path, until, monkeypatch):
    monkeypatch.setattr("agentnb.core.work.executors.dask.ANSWER_SECONDS", 1.0)
    made = Cluster(tmp_path)
    try:
        made.add_worker(threads=1)
        made.wait()
        with choose(made.address, service="queue") as executor:
            executor.check(_fits)
            made.kill_scheduler()
            until(lambda: executor._client.status != "running")
            with pytest.raises(UnavailableError, match="does not answer"):
                executor.submit(os.getpid)
            until(lambda: executor._client.status == "closed")  # it has given up
            made.start_scheduler()
            worker = made.add_worker(threads=1)
            made.wait(1)
            until(lambda: executor._client.status == "running")
            assert executor.submit(os.getpid).result(30) == worker.pid
    finally:
        made.close()


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """Yield the address of a cluster whose workers each lack something."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "sitecustomize.py").write_text("import agentnb\nagentnb.__version__ = '9.9'\n")
    root = str(Path(__file__).parents[2])
    lacking = [
        {"AGENTNB_HOME": str(folder / "elsewhere")},
        {"PYTHONPATH": f"{folder}:{root}"},
        {"AGENTNB_QUEUE_LEASE": "-1"},
    ]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REDIS_URL", "DATABASE_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("AGENTNB_HOME", str(folder / "home"))
        patch.setenv("PYTHONPATH", root)
        with cluster(folder, workers=0) as made:
            for environ in lacking:
                made.add_worker(threads=1, environ=environ)
            made.wait()
            yield made.address


@pytest.mark.parametrize("kind", KINDS)
def test_workers_that_lack_something_are_refused_before_anything_is_claimed(kind, there):
    with agentnb.connect() as hub:
        units = KINDS[kind](hub)
        unit = None if kind == "tasks" else units.add("x")
        with pytest.raises(ConfigError, match=r"cannot run this.*; and so for 2 more"):
            units.work("who", there)
        assert units.worker is None
        assert unit is None or (unit.state, unit.attempt) == ("waiting", 0)
    found = " ".join(why.message for why in _refusals(there, kind).values())
    assert f"the {kind} are those of" in found
    assert "9.9 here" in found
    assert "AGENTNB_QUEUE_LEASE must be greater than 0" in found


def _refusals(address, kind):
    """Return why each worker of a cluster cannot run the units of a hub."""
    executor = choose(address, service="queue")
    record = {
        "jobs": lambda: Record("job", "another", "the server", "mail", **versions()._asdict()),
        "tasks": lambda: Record("task", "another", "the file", "x", function="[]"),
    }[kind]()
    record = replace(record, local_to=host_name(), **versions()._asdict())
    with executor, contextlib.suppress(ConfigError):
        executor.check(far.check, write(record))
    return executor._refused


# Importable there: `agentnb` is, this file is not, so these are shipped by value.


def _importable(function):
    function.__module__ = "__main__"  # cloudpickle ships those of a main module by value
    return function


@_importable
def _fits():
    return None


@_importable
def _refuses(text):
    return text


@_importable
def _is_named(name):
    import os

    return f"{name} is set" if name in os.environ else None


def _only_here():
    from types import ModuleType

    module = ModuleType("only_here")
    exec("def check(): return None", module.__dict__)
    sys.modules["only_here"] = module
    return module.check
